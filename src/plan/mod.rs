//! Desired minus observed: an ordered list of operations, complete before anything is done. Pure.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    id::{Generation, ObjectKey, OpId, ResourceId, Revision, StackId},
    model::{
        applied::{Applied, AppliedChange},
        desired::Desired,
        observed::Observed,
        quota::{Excess, Limits},
    },
};

pub mod audit;
pub mod diff;
mod draft;
mod group;
pub mod guard;
pub mod history;
mod network;
mod object;
pub mod op;
pub mod order;
pub mod peak;
pub mod record;
pub mod render;
mod role;

pub use draft::object_id;

use draft::Draft;
use group::Group;
use network::Network;
use object::Leaving;
use op::{Plan, Stage};

/// By group id, the limits that its operations would go over.
type Overruns = BTreeMap<String, Vec<Excess>>;

/// Everything a plan is made from; nothing else decides it.
#[derive(Clone, Copy, Debug)]
pub struct Inputs<'a> {
    pub desired: &'a Desired,
    pub observed: &'a Observed,
    pub applied: &'a Applied,
    /// Absent when planned from a plain directory.
    pub revision: Option<&'a Revision>,
    pub base: Generation,
    /// Only these stacks are planned.
    pub scope: &'a BTreeSet<StackId>,
    pub options: &'a PlanOptions,
}

/// What decides about a plan besides the states: rules of the operator and of the moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlanOptions {
    pub read_only: Option<ReadOnly>,
    /// Whether what left git may be deleted, in every plane; `false` holds it with `PruneLimit` (gitops G43).
    pub allow_prune: bool,
    /// Kinds whose objects stay in the cluster when git drops them (gitops G45).
    pub protected_kinds: BTreeSet<String>,
    /// Whether surplus permissions of the nodes' groups may be revoked now: widen first, narrow when it has been quiet
    /// (aws-deploy §4.7). A teardown of all balancers does not wait for it.
    pub network_quiet: bool,
    /// How long a fresh role settles before something may use it (irsa §9.4 step 5).
    pub settle_seconds: u32,
    /// Of the account, as far as they are known: near them the surplus goes first (lessons A10).
    pub limits: Limits,
    /// Whether a group whose operations would go over a limit is held, or else tried (gitops G11).
    pub hold_over_limits: bool,
    /// Group id → Ingresses of it that are in the cluster and not in git: their balancer is held (decision 3).
    pub foreign_members: BTreeMap<String, BTreeSet<String>>,
}

impl Default for PlanOptions {
    fn default() -> Self {
        Self {
            read_only: None,
            allow_prune: true,
            protected_kinds: BTreeSet::new(),
            network_quiet: true,
            settle_seconds: 15,
            limits: Limits::new(),
            hold_over_limits: true,
            foreign_members: BTreeMap::new(),
        }
    }
}

/// What must not be written now, and why (decision 28 of the spec).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadOnly {
    pub plane: Plane,
    /// A phrase for people: `the AWS Load Balancer Controller runs (lease kube-system/… held by …)`.
    pub why: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plane {
    /// AWS, and what another controller would write into the cluster for it (status, finalizers).
    Aws,
    Everything,
}

/// First half of a pass: IAM, then the cluster's objects.
pub fn prepare(inputs: &Inputs<'_>) -> Plan {
    let mut draft = Draft::new(inputs);
    role::prepare(&mut draft);
    object::apply(&mut draft);
    let completed = inputs
        .desired
        .stacks()
        .into_iter()
        .filter(|(stack, _)| match stack {
            StackId::Provider => inputs.observed.provider.is_some(),
            StackId::Role(name) => inputs.observed.roles.contains_key(name),
            _ => false,
        })
        .filter(|(stack, _)| inputs.scope.contains(stack))
        .collect();
    draft.finish(Stage::Prepare, &completed, &BTreeSet::new())
}

/// Second half of a pass: balancers, the Ingresses' status, then everything that goes away. Of a group that would go over
/// one of the account's limits on its way nothing is done, and the others go on.
pub fn route(inputs: &Inputs<'_>) -> Plan {
    let mut overruns = BTreeMap::new();
    loop {
        let plan = route_but(inputs, &overruns);
        if !inputs.options.hold_over_limits {
            return plan;
        }
        let before = overruns.len();
        for overrun in peak::overruns(&plan, inputs) {
            if !overrun.follows {
                let of_group: &mut Vec<_> = overruns.entry(overrun.group).or_default();
                of_group.push(overrun.excess);
            }
        }
        // What is held has no operations: it is found once, and the loop ends.
        if overruns.len() == before {
            return plan;
        }
    }
}

/// The same without the groups that are too many for the account's limits.
fn route_but(inputs: &Inputs<'_>, overruns: &Overruns) -> Plan {
    let mut draft = Draft::new(inputs);
    draft.overruns.clone_from(overruns);
    let mut network = network_in_scope(&mut draft);
    if let Some(network) = &mut network {
        network.build(&mut draft);
    }
    let (mut groups, refused) = groups_in_scope(&mut draft);
    for group in &mut groups {
        group.build(&mut draft);
    }
    for group in &mut groups {
        group.publish(&mut draft);
    }
    for group in &mut groups {
        group.take_down(&mut draft);
    }
    let users = users_of_network(&draft, &groups, &refused);
    if let Some(network) = &mut network {
        network.revoke(&mut draft, &users);
    }
    let mut leaving = object::leaving(&mut draft);
    let busy = Busy::of(inputs, &refused);
    let kept = busy.keep(&mut draft, &mut leaving);
    let (free, guarded): (Vec<Leaving<'_>>, Vec<Leaving<'_>>) = leaving
        .into_iter()
        .partition(|object| object.finalizers.is_empty());
    let mut deleted = BTreeSet::new();
    for object in &free {
        let needs = replaced_by(&object.key(), &groups);
        deleted.extend(object.delete(&mut draft, needs));
    }
    let mut gone = role::remove(&mut draft, &deleted, &kept);
    for group in &mut groups {
        group.drop_security_groups(&mut draft);
    }
    if let Some(network) = &network {
        network.drop_groups(&mut draft, &users);
    }
    for object in &guarded {
        // The finalizer says that its balancer is still there: it goes last.
        let mut needs = replaced_by(&object.key(), &groups);
        needs.extend(object.release(&mut draft, &needs));
        object.delete(&mut draft, needs);
    }
    for group in &groups {
        group.forget_stale(&mut draft);
    }
    let completed = completed_by_route(&draft, &groups, network.is_some());
    gone.extend(
        groups
            .iter()
            .filter(|group| group.desired.is_none())
            .map(|group| group.stack.clone()),
    );
    if network.is_some() && inputs.desired.network.is_none() && users.is_empty() {
        gone.insert(StackId::Network);
    }
    if inputs.desired.objects.is_empty() && leaving_known(inputs) {
        gone.insert(StackId::Cluster);
    }
    if forget_provider(&mut draft) {
        gone.insert(StackId::Provider);
    }
    draft.finish(Stage::Route, &completed, &gone)
}

fn network_in_scope<'a>(draft: &mut Draft<'a>) -> Option<Network<'a>> {
    let network = Network::find(draft)?;
    // Known to the groups even where nothing of it is planned.
    network.register(draft);
    let stack = StackId::Network;
    if !draft.in_scope(&stack) || draft.block_on_waiting(&stack) || draft.block_on_gap(&stack) {
        return None;
    }
    Some(network)
}

/// Groups that may be planned, and ids of those that may not.
fn groups_in_scope<'a>(draft: &mut Draft<'a>) -> (Vec<Group<'a>>, Vec<String>) {
    let inputs = draft.inputs;
    let mut ids: BTreeSet<&'a str> = inputs.observed.groups.keys().map(String::as_str).collect();
    ids.extend(inputs.desired.groups.keys().map(String::as_str));
    let (mut groups, mut refused) = (Vec::new(), Vec::new());
    let backend = ResourceId::backend_security_group();
    if !draft.known.contains_key(&backend) && inputs.observed.network.is_none() {
        let recorded = draft
            .applied(&backend)
            .and_then(|applied| applied.arn.clone());
        if let Some(arn) = recorded {
            draft.known.insert(backend, arn);
        }
    }
    for id in ids {
        let stack = StackId::Group(id.to_owned());
        if !draft.in_scope(&stack) {
            continue;
        }
        let Some(group) = Group::find(draft, id) else {
            if !draft.block_on_waiting(&stack) {
                draft.block_on_gap(&stack);
            }
            refused.push(id.to_owned());
            continue;
        };
        group.register(draft);
        match group.admit(draft) {
            true => groups.push(group),
            false => refused.push(id.to_owned()),
        }
    }
    (groups, refused)
}

/// Groups that need the shared network though the desired state does not count them: held, or not looked at.
fn users_of_network(draft: &Draft<'_>, groups: &[Group<'_>], refused: &[String]) -> Vec<String> {
    let desired = &draft.inputs.desired.groups;
    let taken_down: BTreeSet<&str> = groups.iter().map(|group| group.id).collect();
    let recorded = &draft.recorded_groups;
    let held = refused.iter().filter(|id| {
        let seen = draft.inputs.observed.groups.get(*id);
        seen.is_none_or(|seen| !seen.load_balancers.is_empty())
    });
    let mut users: BTreeSet<String> = recorded
        .iter()
        .chain(held)
        .filter(|id| !desired.contains_key(*id) && !taken_down.contains(id.as_str()))
        .map(|id| format!("group {id}"))
        .collect();
    // A desired group that could not be brought to its new state may still use what the new state does not ask for.
    users.extend(
        refused
            .iter()
            .filter(|id| desired.contains_key(*id))
            .map(|id| format!("group {id}")),
    );
    users.into_iter().collect()
}

/// Namespaces whose balancers could not be brought to the wanted state: what they may still use stays (lessons D7,
/// gitops R5).
struct Busy {
    groups: Vec<String>,
    namespaces: BTreeSet<String>,
    /// A group whose namespaces are not known is among them.
    everywhere: bool,
}

impl Busy {
    fn of(inputs: &Inputs<'_>, refused: &[String]) -> Self {
        let mut busy = Self {
            groups: refused.to_vec(),
            namespaces: BTreeSet::new(),
            everywhere: false,
        };
        for id in refused {
            if let Some(group) = inputs.desired.groups.get(id) {
                let members = group.members.iter();
                busy.namespaces
                    .extend(members.filter_map(|member| member.reference.namespace.clone()));
            } else if let Some((namespace, _)) = id.split_once('/') {
                busy.namespaces.insert(namespace.to_owned());
            } else {
                busy.everywhere = true;
            }
        }
        busy
    }

    /// Holds what must stay and takes it out of `leaving`; gives the namespaces in which something stays.
    fn keep(&self, draft: &mut Draft<'_>, leaving: &mut Vec<Leaving<'_>>) -> BTreeSet<String> {
        let mut kept = BTreeSet::new();
        leaving.retain(|object| {
            let key = object.key();
            let busy = match &key.namespace {
                Some(namespace) => self.everywhere || self.namespaces.contains(namespace),
                None => !self.groups.is_empty(),
            };
            if busy {
                kept.extend(key.namespace.clone());
                let message = format!(
                    "{} stays while group {} is held",
                    object.recorded.reference,
                    self.groups.join(", ")
                );
                let release = "deleted once that group is as wanted";
                let id = Some(draft::object_id(&key));
                draft.hold(
                    &StackId::Cluster,
                    id,
                    draft::code::STILL_IN_USE,
                    message,
                    release,
                );
            }
            !busy
        });
        kept
    }
}

/// What must have happened in AWS before an object may leave the cluster: all that concerns balancers of its namespace,
/// security groups apart (gitops R5).
fn replaced_by(key: &ObjectKey, groups: &[Group<'_>]) -> BTreeSet<OpId> {
    groups
        .iter()
        .filter(|group| {
            let Some(namespace) = &key.namespace else {
                return true;
            };
            let implicit = group
                .id
                .split_once('/')
                .is_some_and(|(found, _)| found == namespace);
            implicit
                || group.desired.is_some_and(|desired| {
                    let mut members = desired.members.iter();
                    members.any(|member| member.reference.namespace.as_ref() == Some(namespace))
                })
        })
        .flat_map(|group| group.built.union(&group.taken).copied())
        .collect()
}

/// Whether everything in the inventory that git dropped was looked at.
fn leaving_known(inputs: &Inputs<'_>) -> bool {
    let wanted: BTreeSet<ObjectKey> = inputs
        .desired
        .objects
        .iter()
        .map(|object| object.reference.key())
        .collect();
    let mut inventory = inputs.applied.inventory.keys();
    inputs.scope.contains(&StackId::Cluster)
        && inventory.all(|key| wanted.contains(key) || inputs.observed.objects.contains_key(key))
}

/// The provider is never deleted (irsa R7): when nothing wants it any more, it is only forgotten.
fn forget_provider(draft: &mut Draft<'_>) -> bool {
    let inputs = draft.inputs;
    let stack = StackId::Provider;
    let waits = inputs
        .desired
        .waiting
        .iter()
        .any(|waiting| waiting.stack == stack);
    if inputs.desired.provider.is_some() || waits || !draft.in_scope(&stack) {
        return false;
    }
    let known: Vec<ResourceId> = inputs
        .applied
        .resources
        .keys()
        .filter(|id| id.stack == stack)
        .cloned()
        .collect();
    for id in known {
        draft.note(&stack, AppliedChange::RemoveResource(id));
    }
    true
}

/// Stacks that are as desired once this plan is done.
fn completed_by_route(
    draft: &Draft<'_>,
    groups: &[Group<'_>],
    network: bool,
) -> BTreeMap<StackId, String> {
    let planned: BTreeSet<&StackId> = groups.iter().map(|group| &group.stack).collect();
    let inputs = draft.inputs;
    let objects_stand = || {
        leaving_known(inputs)
            && inputs.desired.objects.iter().all(|object| {
                let recorded = inputs.applied.inventory.get(&object.reference.key());
                object.waits.is_none()
                    && recorded.is_some_and(|recorded| recorded.digest == object.digest())
            })
    };
    inputs
        .desired
        .stacks()
        .into_iter()
        .filter(|(stack, _)| match stack {
            StackId::Group(_) => planned.contains(stack),
            StackId::Network => network,
            StackId::Cluster => inputs.scope.contains(stack) && objects_stand(),
            StackId::Provider | StackId::Role(_) => false,
        })
        .collect()
}
