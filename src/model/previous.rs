//! What a commit declares, reduced to counting: kept by the store for the commit in force, so that the next one can be
//! guarded against deleting too much (gitops G42, G43; decision 24 of the spec).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    id::{ObjectKey, RepoPath},
    manifest::Manifests,
};

/// Kind of our own documents, which never reach the cluster and count as objects of git all the same.
const OUR_GROUP: &str = "albsync.dev";
const OUR_KIND: &str = "IAMServiceAccount";

/// The objects of one commit, by identity, and how many each watched path held.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PreviousSet {
    /// By watched path as written in the configuration; `.` is the whole repository.
    pub watched: BTreeMap<RepoPath, usize>,
    /// `group/Kind/namespace/name` (JSON wants text keys) → the object.
    pub objects: BTreeMap<String, PreviousObject>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PreviousObject {
    pub key: ObjectKey,
    /// The file that declared it.
    pub file: String,
}

impl PreviousSet {
    /// What the store has to keep of this commit once it is in force.
    pub fn of(manifests: &Manifests) -> Self {
        let applied = manifests
            .objects
            .iter()
            .map(|object| (object.reference.key(), object.origin.file.to_string()));
        let ours = manifests.iam_service_accounts.iter().map(|document| {
            let key = ObjectKey {
                group: OUR_GROUP.to_owned(),
                kind: OUR_KIND.to_owned(),
                namespace: Some(document.namespace.clone()),
                name: document.name.clone(),
            };
            (key, document.origin.file.to_string())
        });
        Self {
            watched: manifests.watched.clone(),
            objects: applied
                .chain(ours)
                .map(|(key, file)| (text(&key), PreviousObject { key, file }))
                .collect(),
        }
    }

    /// How many objects of this kind it holds.
    pub fn count(&self, kind: &str) -> usize {
        self.objects
            .values()
            .filter(|object| object.key.kind == kind)
            .count()
    }
}

fn text(key: &ObjectKey) -> String {
    let namespace = key.namespace.as_deref().unwrap_or_default();
    format!("{}/{}/{namespace}/{}", key.group, key.kind, key.name)
}
