//! A plan as data: printable, storable, comparable. One [`Action`] variant per remote write.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::draft::code;
use crate::{
    id::{
        Arn, Generation, ObjectRef, OpId, ResourceId, Revision, RoleName, SecurityGroupId, StackId,
        SubnetId,
    },
    model::{
        applied::AppliedChange,
        desired::Ref,
        elb::{HealthCheck, ListenerSpec, LoadBalancerSpec, RuleSpec, Target, TargetGroupSpec},
        iam::{PolicySpec, ProviderSpec, RoleSpec},
        net::{Permission, SecurityGroupSpec, Tags},
    },
    problem::Origin,
};

/// Which half of a pass a plan is (decision 15 of the spec): node ports and uids exist only after the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// IAM objects, then the cluster's objects.
    Prepare,
    /// Balancers and what belongs to them, the Ingresses' status, then everything that goes away.
    Route,
}

/// Everything that one half of a pass will do, in order, and what it will not do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    pub stage: Stage,
    /// Absent when planned from a plain directory.
    pub revision: Option<Revision>,
    /// The store's generation it was made from; refused when that has moved.
    pub base: Generation,
    /// In order of execution; `needs` point backwards only.
    pub ops: Vec<Op>,
    pub held: Vec<Held>,
    /// Parts on our resources that are not ours: reported and left (decision 26 of the spec).
    pub foreign: Vec<Foreign>,
    /// Names of things whose identity a later revert cannot bring back (gitops G34).
    pub irreversible: Vec<String>,
    /// What the store notes of a stack once the plan has nothing more to do for it: every operation of the stack
    /// succeeded, or there was none. The stack's digest; ids and digests of live resources of ours that needed no
    /// operation and were not recorded yet. Leave out stacks that are held or have gaps.
    #[serde(default)]
    pub settled: Vec<Settled>,
    /// What would be done were the plane not read-only: for people to read, never carried out. Its operations come
    /// after all of [`Plan::ops`] in numbering; each of their stacks is held with the code `ReadOnly`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub withheld: Vec<Op>,
}

/// See [`Plan::settled`]; at most one per stack.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Settled {
    pub stack: StackId,
    pub changes: Vec<AppliedChange>,
}

/// One remote write with its reason.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Op {
    pub id: OpId,
    pub stack: StackId,
    /// What it is about.
    pub resource: ResourceId,
    /// Operations that must have succeeded before; when one fails this is skipped.
    pub needs: BTreeSet<OpId>,
    pub action: Action,
    pub reason: Reason,
    /// What the store notes together with its success, beyond what follows from the action itself (ids, attributes,
    /// tags, attachments, removal): the digest of the desired spec on the resource's last operation, an object's
    /// digest and `keep`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub record: Vec<AppliedChange>,
}

/// Why an operation is in the plan.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reason {
    pub cause: Cause,
    /// The line in git that asks for it, where there is one.
    pub origin: Option<Origin>,
    /// What differs.
    pub differences: Vec<Difference>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cause {
    /// New in git.
    Added,
    /// Changed in git.
    Changed,
    /// Gone from git.
    Removed,
    /// Git did not change; the live state did.
    Drift,
    /// Follows from something outside git and not from a hand: nodes came or went, a Service got a node port.
    Followed,
    /// The live state was never recorded by us (first pass, take-over, store lost, crash).
    Unrecorded,
}

/// One differing field. Texts of secrets are masked before they come here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    pub field: String,
    pub live: Option<String>,
    pub wanted: Option<String>,
}

/// Something that is wanted and not done now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    pub stack: StackId,
    pub resource: Option<ResourceId>,
    /// Closed list, CamelCase, as gitops.md names them: `PruneLimit`, `OwnershipConflict`, `NameTaken`, `ReadFailed`,
    /// `Suspended`, `DeletionProtection`, `ForeignMembers`, `AdoptionRequired`, `ReadOnly`, `WaitingForFacts` …
    pub code: String,
    pub message: String,
    /// What releases it.
    pub release: String,
}

impl Held {
    /// Held for the sake of a stack that waits ([`crate::model::desired::Waiting`]) and keeps what it uses.
    pub fn waits(&self) -> bool {
        [code::WAITING, code::STILL_IN_USE].contains(&self.code.as_str())
    }
}

/// A foreign part on one of our resources.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Foreign {
    pub stack: StackId,
    pub what: String,
    pub id: String,
}

/// One write. Executing makes no choices: everything is in here but the ids of things that the same plan creates.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "do")]
pub enum Action {
    // EC2
    CreateSecurityGroup {
        id: ResourceId,
        spec: SecurityGroupSpec,
    },
    AuthorizeIngress {
        group: Ref<SecurityGroupId>,
        permissions: Vec<Permission>,
    },
    RevokeIngress {
        group: SecurityGroupId,
        permissions: Vec<Permission>,
    },
    TagSecurityGroup {
        group: SecurityGroupId,
        tags: Tags,
    },
    UntagSecurityGroup {
        group: SecurityGroupId,
        keys: BTreeSet<String>,
    },
    DeleteSecurityGroup {
        group: SecurityGroupId,
    },
    // Elastic Load Balancing v2
    CreateLoadBalancer {
        id: ResourceId,
        spec: LoadBalancerSpec,
    },
    SetSecurityGroups {
        arn: Arn,
        groups: Vec<Ref<SecurityGroupId>>,
    },
    SetSubnets {
        arn: Arn,
        subnets: Vec<SubnetId>,
    },
    SetIpAddressType {
        arn: Arn,
        ip_address_type: String,
    },
    ModifyLoadBalancerAttributes {
        arn: Ref<Arn>,
        attributes: BTreeMap<String, String>,
    },
    DeleteLoadBalancer {
        arn: Arn,
    },
    CreateTargetGroup {
        id: ResourceId,
        spec: TargetGroupSpec,
    },
    ModifyTargetGroup {
        arn: Arn,
        health_check: HealthCheck,
    },
    ModifyTargetGroupAttributes {
        arn: Ref<Arn>,
        attributes: BTreeMap<String, String>,
    },
    DeleteTargetGroup {
        arn: Arn,
    },
    RegisterTargets {
        target_group: Ref<Arn>,
        targets: BTreeSet<Target>,
    },
    DeregisterTargets {
        target_group: Arn,
        targets: BTreeSet<Target>,
    },
    CreateListener {
        id: ResourceId,
        load_balancer: Ref<Arn>,
        spec: ListenerSpec,
    },
    ModifyListener {
        arn: Arn,
        spec: ListenerSpec,
    },
    ModifyListenerAttributes {
        arn: Ref<Arn>,
        attributes: BTreeMap<String, String>,
    },
    /// Beyond the default.
    AddListenerCertificates {
        arn: Ref<Arn>,
        certificates: BTreeSet<Arn>,
    },
    RemoveListenerCertificates {
        arn: Arn,
        certificates: BTreeSet<Arn>,
    },
    DeleteListener {
        arn: Arn,
    },
    CreateRule {
        id: ResourceId,
        listener: Ref<Arn>,
        priority: u32,
        spec: RuleSpec,
    },
    ModifyRule {
        arn: Arn,
        spec: RuleSpec,
    },
    /// Rule → its new number; at most one such operation per listener and plan.
    SetRulePriorities {
        listener: Arn,
        priorities: BTreeMap<Arn, u32>,
    },
    DeleteRule {
        arn: Arn,
    },
    /// On balancers, listeners, rules and target groups.
    AddTags {
        arn: Ref<Arn>,
        tags: Tags,
    },
    RemoveTags {
        arn: Arn,
        keys: BTreeSet<String>,
    },
    // IAM
    CreateOidcProvider {
        id: ResourceId,
        spec: ProviderSpec,
    },
    AddClientId {
        provider: Arn,
        client_id: String,
    },
    CreatePolicy {
        id: ResourceId,
        spec: PolicySpec,
    },
    /// A new version that becomes the default.
    CreatePolicyVersion {
        arn: Arn,
        document: Value,
    },
    SetDefaultPolicyVersion {
        arn: Arn,
        version: String,
    },
    DeletePolicyVersion {
        arn: Arn,
        version: String,
    },
    TagPolicy {
        arn: Arn,
        tags: Tags,
    },
    UntagPolicy {
        arn: Arn,
        keys: BTreeSet<String>,
    },
    DeletePolicy {
        arn: Arn,
    },
    /// Without attachments and inline policies; those are operations of their own.
    CreateRole {
        id: ResourceId,
        spec: RoleSpec,
    },
    UpdateAssumeRolePolicy {
        role: RoleName,
        document: Value,
    },
    PutPermissionsBoundary {
        role: RoleName,
        boundary: Arn,
    },
    UpdateRole {
        role: RoleName,
        description: String,
        max_session_duration_seconds: i32,
    },
    TagRole {
        role: RoleName,
        tags: Tags,
    },
    UntagRole {
        role: RoleName,
        keys: BTreeSet<String>,
    },
    AttachRolePolicy {
        role: RoleName,
        policy: Ref<Arn>,
    },
    DetachRolePolicy {
        role: RoleName,
        policy: Arn,
    },
    PutRolePolicy {
        role: RoleName,
        name: String,
        document: Value,
    },
    DeleteRolePolicy {
        role: RoleName,
        name: String,
    },
    DeleteRole {
        role: RoleName,
    },
    /// Give a fresh role time to become assumable (irsa §9.4 step 5); writes nothing.
    Settle {
        role: RoleName,
        seconds: u32,
    },
    // Kubernetes
    /// Server-side apply with field manager `albsync`; `value` is complete (revision annotations included).
    ApplyObject {
        reference: ObjectRef,
        value: Value,
        force: bool,
    },
    /// Only while the object has this uid.
    DeleteObject {
        reference: ObjectRef,
        uid: String,
    },
    /// `status.loadBalancer` of an Ingress: the balancer's DNS name in lower case and the listeners' ports.
    SetIngressStatus {
        reference: ObjectRef,
        load_balancer: Ref<Arn>,
        hostname: Option<String>,
        ports: Vec<u16>,
    },
    /// Another controller's finalizer, once what it guards is gone (decision 5 of the spec).
    RemoveFinalizer {
        reference: ObjectRef,
        finalizer: String,
    },
}

impl Action {
    /// Whether it writes to AWS, or into the cluster what speaks for AWS (an Ingress's status, another controller's
    /// finalizer).
    pub fn is_for_aws(&self) -> bool {
        !matches!(self, Self::ApplyObject { .. } | Self::DeleteObject { .. })
    }
}

impl Plan {
    pub fn is_empty(&self) -> bool {
        self.ops.is_empty()
    }
}
