//! Field by field: what is there against what is wanted, in AWS's own terms of equality.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::{
    attribute::{AttributeKind, default_of},
    net::Tags,
};

use super::op::Difference;

pub mod elb;
pub mod iam;
pub mod net;
pub mod priority;
pub mod words;

/// A difference of two texts.
pub fn difference(
    field: impl Into<String>,
    live: impl Into<Option<String>>,
    wanted: impl Into<Option<String>>,
) -> Difference {
    Difference {
        field: field.into(),
        live: live.into(),
        wanted: wanted.into(),
    }
}

/// What to send so that the attributes are as wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AttributeChanges {
    pub set: BTreeMap<String, String>,
    pub differences: Vec<Difference>,
    /// Keys that we set once and that are no longer wanted, whose default nobody knows: left as they are.
    pub left: BTreeSet<String>,
}

/// Compares wanted keys, and resets those that we set before and that nobody wants any more. Other keys are not ours.
pub fn attributes(
    kind: AttributeKind,
    wanted: &BTreeMap<String, String>,
    live: &BTreeMap<String, String>,
    applied: &BTreeMap<String, String>,
) -> AttributeChanges {
    let mut changes = AttributeChanges::default();
    let set = |key: &str, value: &str, changes: &mut AttributeChanges| {
        let current = live.get(key);
        if current.is_some_and(|current| same_attribute(current, value)) {
            return;
        }
        changes.set.insert(key.to_owned(), value.to_owned());
        changes.differences.push(difference(
            format!("attribute {key}"),
            current.cloned(),
            value.to_owned(),
        ));
    };
    for (key, value) in wanted {
        set(key, value, &mut changes);
    }
    for key in applied.keys().filter(|key| !wanted.contains_key(*key)) {
        match default_of(kind, key) {
            // What AWS does not return is at its default already.
            Some(default) if live.contains_key(key) => set(key, default, &mut changes),
            Some(_) => {}
            None => {
                changes.left.insert(key.clone());
            }
        }
    }
    changes
}

/// What a new thing's attributes are set to.
pub fn declared(attributes: &BTreeMap<String, String>) -> Vec<Difference> {
    attributes
        .iter()
        .map(|(key, value)| difference(format!("attribute {key}"), None, value.clone()))
        .collect()
}

/// Booleans come back in either case.
fn same_attribute(live: &str, wanted: &str) -> bool {
    live == wanted
        || (live.eq_ignore_ascii_case(wanted)
            && matches!(wanted, "true" | "false" | "True" | "False"))
}

/// What to send so that the tags are as wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TagChanges {
    pub set: Tags,
    pub remove: BTreeSet<String>,
    pub differences: Vec<Difference>,
}

impl TagChanges {
    /// The differences that adding mends.
    pub fn added(&self) -> Vec<Difference> {
        let added = |difference: &&Difference| difference.wanted.is_some();
        self.differences.iter().filter(added).cloned().collect()
    }

    /// The differences that removing mends.
    pub fn removed(&self) -> Vec<Difference> {
        let removed = |difference: &&Difference| difference.wanted.is_none();
        self.differences.iter().filter(removed).cloned().collect()
    }
}

/// Missing and changed tags of ours are set; tags that we set before and nobody wants go; other tags are not ours.
pub fn tags(wanted: &Tags, live: &Tags, applied: &Tags) -> TagChanges {
    let mut changes = TagChanges::default();
    for (key, value) in wanted {
        if live.get(key) != Some(value) {
            changes.set.insert(key.clone(), value.clone());
            changes.differences.push(difference(
                format!("tag {key}"),
                live.get(key).cloned(),
                value.clone(),
            ));
        }
    }
    let dropped = applied.keys().filter(|key| !wanted.contains_key(*key));
    for key in dropped.filter(|key| live.contains_key(*key)) {
        changes.remove.insert(key.clone());
        changes.differences.push(difference(
            format!("tag {key}"),
            live.get(key).cloned(),
            None,
        ));
    }
    changes
}

/// A set as one text.
pub fn joined<T: ToString>(items: impl IntoIterator<Item = T>) -> String {
    let texts: Vec<String> = items.into_iter().map(|item| item.to_string()).collect();
    if texts.is_empty() {
        "none".to_owned()
    } else {
        texts.join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect()
    }

    #[test]
    fn attributes_that_nobody_declared_are_never_written() {
        let live = map(&[
            ("idle_timeout.timeout_seconds", "4000"),
            ("routing.http2.enabled", "false"),
        ]);
        let changes = attributes(AttributeKind::LoadBalancer, &map(&[]), &live, &map(&[]));
        assert_eq!(changes, AttributeChanges::default());
    }

    #[test]
    fn a_removed_attribute_goes_back_to_its_default_once() {
        let applied = map(&[("idle_timeout.timeout_seconds", "120"), ("made.up", "1")]);
        let live = map(&[("idle_timeout.timeout_seconds", "120"), ("made.up", "1")]);
        let changes = attributes(AttributeKind::LoadBalancer, &map(&[]), &live, &applied);
        assert_eq!(changes.set, map(&[("idle_timeout.timeout_seconds", "60")]));
        assert_eq!(changes.left, BTreeSet::from(["made.up".to_owned()]));
        let live = map(&[("idle_timeout.timeout_seconds", "60"), ("made.up", "1")]);
        let changes = attributes(AttributeKind::LoadBalancer, &map(&[]), &live, &applied);
        assert!(changes.set.is_empty());
    }

    #[test]
    fn the_case_of_booleans_makes_no_difference_and_that_of_other_values_does() {
        let wanted = map(&[
            ("access_logs.s3.enabled", "true"),
            ("access_logs.s3.prefix", "a"),
        ]);
        let live = map(&[
            ("access_logs.s3.enabled", "True"),
            ("access_logs.s3.prefix", "A"),
        ]);
        let changes = attributes(AttributeKind::LoadBalancer, &wanted, &live, &map(&[]));
        assert_eq!(changes.set, map(&[("access_logs.s3.prefix", "a")]));
    }

    #[test]
    fn foreign_tags_stay_and_dropped_ones_of_ours_go() {
        let changes = tags(
            &map(&[("a", "1"), ("b", "2")]),
            &map(&[("a", "1"), ("b", "x"), ("old", "1"), ("cost", "7")]),
            &map(&[("a", "1"), ("old", "1"), ("gone", "1")]),
        );
        assert_eq!(changes.set, map(&[("b", "2")]));
        assert_eq!(changes.remove, BTreeSet::from(["old".to_owned()]));
        assert_eq!((changes.added().len(), changes.removed().len()), (1, 1));
    }
}
