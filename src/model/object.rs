//! Kubernetes objects in the desired and the observed state.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    id::{ObjectRef, Revision, StackId},
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
    /// Applied only onto an object that exists, never created by us (`manage: AnnotateOnly`, irsa §9.2).
    #[serde(default)]
    pub existing_only: bool,
    /// Wanted, but it cannot be completed now: why (its role's ARN is not known yet). Neither applied nor pruned meanwhile.
    #[serde(default)]
    pub waits: Option<String>,
    /// The commit that it comes from, where that is not the one that is applied (gitops G12).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<Revision>,
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

/// Annotations that say for which commit and from which line an object was last applied (gitops G81). We write them
/// with each apply and never compare them: a commit that changes nothing else must not rewrite every object.
pub const REVISION_ANNOTATIONS: [&str; 2] = ["albsync.dev/revision", "albsync.dev/source"];

impl ObjectSpec {
    /// What [`super::applied::AppliedObject::digest`] holds once this has been applied.
    pub fn digest(&self) -> String {
        digest(&self.value)
    }
}

/// SHA-256 hex over the canonical JSON of an object without its [`REVISION_ANNOTATIONS`], so that what was declared and
/// what was sent have the same digest.
pub fn digest(value: &Value) -> String {
    let mut value = value.clone();
    strip_revision(&mut value);
    super::digest::digest(&value)
}

/// Takes [`REVISION_ANNOTATIONS`] out, and the map of annotations when nothing else is in it.
pub fn strip_revision(object: &mut Value) {
    let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) else {
        return;
    };
    if let Some(annotations) = metadata
        .get_mut("annotations")
        .and_then(Value::as_object_mut)
    {
        annotations.retain(|key, _| !REVISION_ANNOTATIONS.contains(&key.as_str()));
        if annotations.is_empty() {
            metadata.remove("annotations");
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn revision_annotations_do_not_change_the_digest() {
        let plain = json!({"kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"k": "v"}});
        let mut sent = plain.clone();
        sent["metadata"]["annotations"] =
            json!({"albsync.dev/revision": "1", "albsync.dev/source": "a.yaml:1"});
        assert_eq!(digest(&plain), digest(&sent));
        sent["metadata"]["annotations"]["other"] = json!("x");
        assert_ne!(digest(&plain), digest(&sent));
    }

    #[test]
    fn every_other_difference_changes_the_digest() {
        let base = json!({"metadata": {"name": "a"}, "spec": {"list": [1, 2], "text": "1"}});
        for changed in [
            json!({"metadata": {"name": "b"}, "spec": {"list": [1, 2], "text": "1"}}),
            json!({"metadata": {"name": "a"}, "spec": {"list": [2, 1], "text": "1"}}),
            json!({"metadata": {"name": "a"}, "spec": {"list": [1, 2], "text": 1}}),
            json!({"metadata": {"name": "a"}, "spec": {"list": [[1, 2]], "text": "1"}}),
            json!({"metadata": {"name": "a"}, "spec": {"list": [1, 2]}}),
        ] {
            assert_ne!(digest(&base), digest(&changed), "{changed}");
        }
    }

    #[test]
    fn the_same_named_annotations_below_a_pod_template_count() {
        let at = |text: &str| json!({"spec": {"template": {"metadata": {"annotations": {"albsync.dev/revision": text}}}}});
        assert_ne!(digest(&at("1")), digest(&at("2")));
    }
}
