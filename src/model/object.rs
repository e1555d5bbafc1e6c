//! Kubernetes objects in the desired and the observed state.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    id::{ObjectRef, StackId},
    problem::Origin,
};

/// One object as wanted in the cluster.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ObjectSpec {
    pub reference: ObjectRef,
    /// What is sent by server-side apply, revision annotations not included.
    pub value: Value,
    /// Where it was declared.
    pub origin: Origin,
    /// Roles that must be bound before this object may be applied (its ServiceAccount's).
    pub after: Vec<StackId>,
    /// Never deleted by us (`albsync.dev/prune: disabled`, or a ServiceAccount that we only annotate).
    pub keep: bool,
}

/// One object as the cluster holds it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LiveObject {
    pub reference: ObjectRef,
    pub uid: String,
    pub resource_version: String,
    pub value: Value,
    /// Field managers by name, from `metadata.managedFields`.
    pub managers: Vec<String>,
    pub deleting: bool,
}

/// What a server-side dry run of one object would change: field path → (live, wanted), texts with secrets masked.
pub type FieldChanges = BTreeMap<String, (Option<String>, Option<String>)>;
