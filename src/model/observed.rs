//! What is: resources as they were read, and what could not be read.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::{
    elb::{Listener, LoadBalancer, Rule, TargetGroup},
    iam::{Policy, Provider, Role},
    net::SecurityGroup,
    object::{FieldChanges, LiveObject},
};
use crate::id::{Arn, ObjectKey, SecurityGroupId, StackId};

/// What was read for the stacks of one pass. A stack that is absent here was not looked at: the planner then plans
/// nothing for it. A stack that is present and empty was looked at and has nothing.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Observed {
    pub groups: BTreeMap<String, ObservedGroup>,
    pub network: Option<ObservedNetwork>,
    pub provider: Option<ObservedProvider>,
    pub roles: BTreeMap<String, ObservedRole>,
    pub objects: BTreeMap<ObjectKey, ObservedObject>,
    /// Reads that failed: their stacks get no deletes, and creates only where absence is proven.
    pub gaps: Vec<Gap>,
}

/// Something that could not be read. "Could not read" is not "absent".
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gap {
    pub stack: StackId,
    /// `service:Operation` or the Kubernetes kind.
    pub what: String,
    pub message: String,
    /// The right is missing, so trying again soon is useless.
    pub denied: bool,
}

/// Everything in AWS that bears the tags of one group (cluster + stack), whatever its resource tag.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ObservedGroup {
    pub load_balancers: Vec<LoadBalancer>,
    /// Of those balancers.
    pub listeners: Vec<Listener>,
    /// Of those listeners, default rules left out, foreign rules included.
    pub rules: Vec<Rule>,
    pub target_groups: Vec<TargetGroup>,
    pub security_groups: Vec<SecurityGroup>,
    /// A resource that bears the name we would use but not our tags: (kind, name, id). Creating would collide or adopt.
    pub name_taken: Vec<NameTaken>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NameTaken {
    pub name: String,
    pub id: String,
    /// Hints at the owner: its tags.
    pub tags: BTreeMap<String, String>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ObservedNetwork {
    /// Groups with the backend tags, oldest id first.
    pub backend_groups: Vec<SecurityGroup>,
    /// The nodes' groups, by id, with all of their permissions.
    pub node_groups: BTreeMap<SecurityGroupId, SecurityGroup>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ObservedProvider {
    pub provider: Option<Provider>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ObservedRole {
    /// The role of the wanted name, whoever owns it.
    pub role: Option<Role>,
    /// Policies of ours for this object (by path and tags, or attached under our path), and those of the wanted names.
    pub policies: BTreeMap<Arn, Policy>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ObservedObject {
    pub live: Option<LiveObject>,
    /// What a server-side dry run of the wanted object says; absent when the object is not wanted or nothing was asked.
    pub dry_run: Option<DryRun>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DryRun {
    /// It does not exist and would be created.
    WouldCreate,
    /// It exists and nothing would change.
    Same,
    /// These fields would change.
    WouldChange(FieldChanges),
    /// The API server refuses it: message for people.
    Refused(String),
    /// It cannot be checked before something else of this commit exists (namespace, CRD).
    Deferred(String),
}

impl Observed {
    /// Stacks with at least one failed read.
    pub fn gap_stacks(&self) -> BTreeSet<StackId> {
        self.gaps.iter().map(|gap| gap.stack.clone()).collect()
    }
}
