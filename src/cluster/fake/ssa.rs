//! Server-side apply, kept simple: ownership per leaf, lists are one leaf.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

type Path = Vec<String>;

/// Which manager owns which leaves.
pub type Owners = BTreeMap<String, BTreeSet<Path>>;

/// Another manager holds a field with another value: (field, manager).
#[derive(Debug, PartialEq, Eq)]
pub struct Conflict {
    pub field: String,
    pub manager: String,
}

/// What identifies an object is nobody's field.
const IDENTITY: [&[&str]; 4] = [
    &["apiVersion"],
    &["kind"],
    &["metadata", "name"],
    &["metadata", "namespace"],
];

/// Merges `wanted` into `live` as `manager`: sets its leaves, removes those that the manager alone owned and no longer
/// names, and takes others' over when forced.
pub fn apply(
    live: &mut Value,
    owners: &mut Owners,
    manager: &str,
    wanted: &Value,
    force: bool,
) -> Result<(), Conflict> {
    let mut leaves = BTreeMap::new();
    collect(wanted, &mut Vec::new(), &mut leaves);
    for (path, value) in &leaves {
        let differs = at(live, path) != Some(value);
        for (other, owned) in owners.iter_mut().filter(|(name, _)| *name != manager) {
            if differs && owned.contains(path) {
                if !force {
                    return Err(Conflict {
                        field: path.join("."),
                        manager: other.clone(),
                    });
                }
                owned.remove(path);
            }
        }
    }
    owners.retain(|_, owned| !owned.is_empty());
    let wanted: BTreeSet<Path> = leaves
        .keys()
        .filter(|path| !IDENTITY.iter().any(|it| **path == it[..]))
        .cloned()
        .collect();
    let before = owners
        .insert(manager.to_owned(), wanted.clone())
        .unwrap_or_default();
    for path in before.difference(&wanted) {
        if !owners.values().any(|owned| owned.contains(path)) {
            remove(live, path);
        }
    }
    for (path, value) in leaves {
        set(live, &path, value);
    }
    Ok(())
}

/// A plain update by `manager`: it becomes the owner of every leaf that it changed.
pub fn update(live: &mut Value, owners: &mut Owners, manager: &str, changed: Value) {
    let (mut before, mut after) = (BTreeMap::new(), BTreeMap::new());
    collect(live, &mut Vec::new(), &mut before);
    collect(&changed, &mut Vec::new(), &mut after);
    for path in before.keys().filter(|path| !after.contains_key(*path)) {
        for owned in owners.values_mut() {
            owned.remove(path);
        }
    }
    for (path, value) in &after {
        if before.get(path) != Some(value) {
            for owned in owners.values_mut() {
                owned.remove(path);
            }
            owners
                .entry(manager.to_owned())
                .or_default()
                .insert(path.clone());
        }
    }
    owners.retain(|_, owned| !owned.is_empty());
    *live = changed;
}

fn collect(value: &Value, path: &mut Path, leaves: &mut BTreeMap<Path, Value>) {
    match value.as_object().filter(|map| !map.is_empty()) {
        Some(map) => {
            for (key, value) in map {
                path.push(key.clone());
                collect(value, path, leaves);
                path.pop();
            }
        }
        None => {
            leaves.insert(path.clone(), value.clone());
        }
    }
}

fn at<'a>(value: &'a Value, path: &[String]) -> Option<&'a Value> {
    path.iter().try_fold(value, |value, key| value.get(key))
}

fn set(value: &mut Value, path: &[String], leaf: Value) {
    let Some((first, rest)) = path.split_first() else {
        // An empty map in the place of a filled one sets nothing.
        if !(leaf.as_object().is_some() && value.is_object()) {
            *value = leaf;
        }
        return;
    };
    if !value.is_object() {
        *value = Value::Object(serde_json::Map::new());
    }
    if let Some(map) = value.as_object_mut() {
        set(map.entry(first.clone()).or_insert(Value::Null), rest, leaf);
    }
}

/// Removes a leaf and the maps that are empty without it.
fn remove(value: &mut Value, path: &[String]) {
    let Some((first, rest)) = path.split_first() else {
        return;
    };
    let Some(map) = value.as_object_mut() else {
        return;
    };
    if rest.is_empty() {
        map.remove(first);
        return;
    }
    if let Some(inner) = map.get_mut(first) {
        remove(inner, rest);
        if inner.as_object().is_some_and(serde_json::Map::is_empty) {
            map.remove(first);
        }
    }
}
