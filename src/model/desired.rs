//! What should be: one [`Desired`] per commit, made of stacks that converge alone.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::{
    elb::{Condition, ListenerSpec, LoadBalancerSpec, RuleSpec, TargetGroupSpec},
    iam::{PolicySpec, ProviderSpec, RoleSpec},
    net::{Permission, SecurityGroupSpec},
    object::ObjectSpec,
};
use crate::{
    id::{ObjectRef, ResourceId, SecurityGroupId, StackId},
    problem::{Origin, Problem, codes},
};

/// An id we have, or the output of an operation that is still to run.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ref<T> {
    Known(T),
    /// The ARN, group id … of this resource once it exists.
    Output(ResourceId),
}

/// The whole desired state of one commit under one configuration and one set of facts.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Desired {
    /// In dependency order: what others need comes first.
    pub objects: Vec<ObjectSpec>,
    pub groups: BTreeMap<String, GroupStack>,
    pub network: Option<NetworkStack>,
    pub provider: Option<ProviderStack>,
    pub roles: BTreeMap<String, RoleStack>,
    /// Stacks that could not be built now though git is fine (a fact is missing: a Service without node port yet, a
    /// certificate gone): what was applied last stays (decision 7 of the spec).
    pub waiting: Vec<Waiting>,
    /// What of the groups is built on facts that no longer hold, because nothing better is known: it stays as it was
    /// applied last, and the rest of its group goes on (decision 7 of the spec).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub kept: Vec<Kept>,
}

/// Why part of a stack stays as it was applied.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Kept {
    pub stack: StackId,
    /// What it would be if it were a mistake of git.
    pub problem: Problem,
}

impl Kept {
    /// What stays.
    pub fn what(&self) -> String {
        let what = match self.problem.code.as_str() {
            codes::CERTIFICATE => "certificates",
            codes::NETWORK => "subnets and security groups",
            _ => "rules and targets",
        };
        match &self.problem.object {
            Some(object) => format!("{object} keeps the {what} that were applied last"),
            None => format!("the {what} stay that were applied last"),
        }
    }
}

impl Desired {
    /// Stacks that wait for another commit or configuration alone; what all balancers share among them, where it keeps
    /// permissions for the sake of such groups only.
    pub fn lasting(&self) -> BTreeSet<StackId> {
        let lasting = self.waiting.iter().filter(|wait| wait.lasts);
        let mut stacks: BTreeSet<StackId> = lasting.map(|wait| wait.stack.clone()).collect();
        let of_groups: BTreeSet<String> = stacks
            .iter()
            .filter_map(|stack| match stack {
                StackId::Group(id) => Some(group_waits(id)),
                _ => None,
            })
            .collect();
        if let Some(network) = &self.network
            && !network.hold_revokes.is_empty()
            && network.hold_revokes.is_subset(&of_groups)
        {
            stacks.insert(StackId::Network);
        }
        stacks
    }

    /// A stack that was not built though git holds it, for another reason than a fact: it waits, and so does what it shares
    /// with others.
    pub fn set_aside(&mut self, stack: &StackId, origin: &Origin, reason: &str) {
        let wait = |stack: &StackId, reason: &str| Waiting {
            stack: stack.clone(),
            origin: origin.clone(),
            reason: reason.to_owned(),
            lasts: false,
        };
        let waits = |desired: &Self, stack| desired.waiting.iter().any(|it| it.stack == stack);
        if let StackId::Group(id) = stack {
            let reason = group_waits(id);
            let network_waits = waits(self, StackId::Network);
            match &mut self.network {
                Some(network) => drop(network.hold_revokes.insert(reason)),
                None if network_waits => {}
                None => self.waiting.push(wait(&StackId::Network, &reason)),
            }
        }
        if !waits(self, stack.clone()) {
            self.waiting.push(wait(stack, reason));
        }
        self.waiting.sort_by(|a, b| {
            (&a.stack, &a.origin, &a.reason).cmp(&(&b.stack, &b.origin, &b.reason))
        });
    }
}

/// Why what all balancers share waits.
pub fn group_waits(id: &str) -> String {
    format!("group {id} waits")
}

/// A stack that waits for a fact.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waiting {
    pub stack: StackId,
    pub origin: Origin,
    pub reason: String,
    /// No look-up will ever end it, only another commit or configuration: it asks for what is not served yet.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub lasts: bool,
}

/// One Ingress group: one balancer and all that hangs on it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GroupStack {
    /// The tag `ingress.k8s.aws/stack`: the same text as in [`StackId::Group`].
    pub group_id: String,
    /// Members in group order.
    pub members: Vec<Member>,
    /// The group's own security group, resource `ManagedLBSecurityGroup`; absent where its members name others.
    pub security_group: Option<SecurityGroupSpec>,
    pub load_balancer: LoadBalancerSpec,
    /// By port; rules in order of evaluation.
    pub listeners: BTreeMap<u16, ListenerStack>,
    /// By resource id text `namespace/ingress-service:port`.
    pub target_groups: BTreeMap<String, TargetGroupStack>,
}

/// One Ingress of a group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    pub reference: ObjectRef,
    pub origin: Origin,
}

impl Member {
    /// `namespace/name`.
    pub fn key(&self) -> String {
        let namespace = self.reference.namespace.as_deref().unwrap_or_default();
        format!("{namespace}/{}", self.reference.name)
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ListenerStack {
    pub origin: Origin,
    pub spec: ListenerSpec,
    pub rules: Vec<OrderedRule>,
}

/// A rule with where it comes from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OrderedRule {
    pub origin: Origin,
    pub spec: RuleSpec,
    /// What a rule that comes in parts matches as a whole. Where the balancer has it so, it stays so: what AWS holds it
    /// has taken, whatever its pages say of limits, and a take-over changes nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub whole: Option<Vec<Condition>>,
}

impl OrderedRule {
    /// Whether both are parts of one rule of git. Two that match the same and stand in other lines are two rules.
    pub fn is_part_of_the_same(&self, other: &Self) -> bool {
        let is_same =
            |(a, b): (&RuleSpec, &RuleSpec)| a.actions == b.actions && a.transforms == b.transforms;
        self.whole.is_some()
            && self.whole == other.whole
            && self.origin == other.origin
            && is_same((&self.spec, &other.spec))
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TargetGroupStack {
    pub origin: Origin,
    pub spec: TargetGroupSpec,
}

/// What all balancers of the cluster share.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NetworkStack {
    /// The shared backend security group, resource name `backend-sg`; absent where the configuration gives one.
    pub backend_group: Option<SecurityGroupSpec>,
    /// Somebody else's in its place: never made, tagged or deleted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub given_group: Option<SecurityGroupId>,
    /// Node group id → the permissions that bear our mark there (description `elbv2.k8s.aws/targetGroupBinding=shared`).
    pub node_permissions: BTreeMap<SecurityGroupId, Vec<Permission>>,
    /// Why nothing may be revoked from the nodes' groups now, though more is there than `node_permissions` asks for: a
    /// group waits and what was applied for it must go on working, or a node's group cannot be told. Empty: all is known.
    #[serde(default)]
    pub hold_revokes: BTreeSet<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ProviderStack {
    pub spec: ProviderSpec,
}

/// One role with its owned policies and its binding.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RoleStack {
    pub origin: Origin,
    pub role: RoleSpec,
    /// By policy name.
    pub policies: BTreeMap<String, PolicySpec>,
    /// The ServiceAccount whose annotation binds the role, unless `manage: None`; it is among `objects`.
    pub service_account: Option<ObjectRef>,
    /// Leave role and policies in AWS when the document goes away.
    pub retain: bool,
    /// No writes for this stack.
    pub suspended: bool,
}
