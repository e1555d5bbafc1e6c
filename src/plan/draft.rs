//! A plan in the making: operations, what is held, and what the store is to note.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    id::{Arn, ObjectKey, OpId, ResourceId, ResourceKind, StackId},
    model::{
        applied::{AppliedChange, AppliedResource, AppliedStack, ResourceUpdate},
        net::Tags,
        tags,
    },
    problem::Origin,
};

use super::{
    Inputs, Overruns, Plane,
    diff::difference,
    op::{Action, Cause, Difference, Foreign, Held, Op, Plan, Reason, Settled, Stage},
    order::order,
};

/// Codes of [`Held`]; the list is closed.
pub mod code {
    pub const ADOPTION_REQUIRED: &str = "AdoptionRequired";
    pub const BOUNDARY_KEPT: &str = "BoundaryKept";
    pub const DELETION_PROTECTION: &str = "DeletionProtection";
    pub const DRIFT_REPORTED: &str = "DriftReported";
    pub const EMPTY_TARGETS: &str = "EmptyTargets";
    pub const FOREIGN_MEMBERS: &str = "ForeignMembers";
    pub const NAME_TAKEN: &str = "NameTaken";
    pub const OBJECT_MISSING: &str = "ObjectMissing";
    pub const OWNERSHIP_CONFLICT: &str = "OwnershipConflict";
    pub const POLICY_IN_USE: &str = "PolicyInUse";
    pub const PROVIDER_MISSING: &str = "ProviderMissing";
    pub const PRUNE_LIMIT: &str = "PruneLimit";
    pub const QUOTA: &str = "Quota";
    pub const READ_FAILED: &str = "ReadFailed";
    pub const READ_ONLY: &str = "ReadOnly";
    pub const REFUSED: &str = "Refused";
    pub const REPLACED_OUT_OF_BAND: &str = "ReplacedOutOfBand";
    pub const REPLACEMENT_NEEDED: &str = "ReplacementNeeded";
    pub const STILL_IN_USE: &str = "StillInUse";
    pub const SUSPENDED: &str = "Suspended";
    pub const TERMINATING: &str = "Terminating";
    pub const WAITING: &str = "WaitingForFacts";
}

/// Live things of one stack by identity, for references and for the audit of deletes.
pub type Known = BTreeMap<ResourceId, Arn>;

pub struct Draft<'a> {
    pub inputs: &'a Inputs<'a>,
    pub ops: Vec<Op>,
    pub held: Vec<Held>,
    pub foreign: Vec<Foreign>,
    pub irreversible: Vec<String>,
    /// What to note of a stack when all of its operations are done.
    notes: BTreeMap<StackId, Vec<AppliedChange>>,
    /// Stacks of which nothing was planned or noted because they are held.
    pub blocked: BTreeSet<StackId>,
    /// Operation that creates a resource → its id in this draft.
    pub creators: BTreeMap<ResourceId, OpId>,
    /// Everything that exists, of all stacks.
    pub known: Known,
    /// Operations that make or fill a target group.
    pub fillers: BTreeMap<ResourceId, Vec<OpId>>,
    /// Operations that let balancers reach the nodes.
    pub admissions: Vec<OpId>,
    /// Digests of the desired stacks.
    pub digests: BTreeMap<StackId, String>,
    /// Groups that we ever built and have not taken down.
    pub recorded_groups: BTreeSet<String>,
    /// Groups that may not be carried out: they would go over a limit.
    pub overruns: Overruns,
}

impl<'a> Draft<'a> {
    pub fn new(inputs: &'a Inputs<'a>) -> Self {
        Self {
            inputs,
            ops: Vec::new(),
            held: Vec::new(),
            foreign: Vec::new(),
            irreversible: Vec::new(),
            notes: BTreeMap::new(),
            blocked: BTreeSet::new(),
            creators: BTreeMap::new(),
            known: Known::new(),
            fillers: BTreeMap::new(),
            admissions: Vec::new(),
            digests: inputs.desired.stacks(),
            recorded_groups: inputs.applied.groups(),
            overruns: Overruns::new(),
        }
    }

    /// Adds an operation behind all others.
    pub fn op(
        &mut self,
        resource: &ResourceId,
        action: Action,
        reason: Reason,
        needs: impl IntoIterator<Item = OpId>,
    ) -> OpId {
        let id = OpId(self.ops.len() as u32);
        match &action {
            Action::CreateTargetGroup { .. } | Action::RegisterTargets { .. } => {
                self.fillers.entry(resource.clone()).or_default().push(id);
            }
            Action::AuthorizeIngress { .. } if resource.stack == StackId::Network => {
                self.admissions.push(id);
            }
            _ => {}
        }
        self.ops.push(Op {
            id,
            stack: resource.stack.clone(),
            resource: resource.clone(),
            needs: needs.into_iter().collect(),
            action,
            reason,
            record: Vec::new(),
        });
        id
    }

    /// Adds an operation that brings the resource into being.
    pub fn create(
        &mut self,
        resource: &ResourceId,
        action: Action,
        mut reason: Reason,
        needs: impl IntoIterator<Item = OpId>,
    ) -> OpId {
        if reason.cause == Cause::Drift && reason.differences.is_empty() {
            reason.differences.push(missing(&resource.name));
        }
        let id = self.op(resource, action, reason, needs);
        self.creators.insert(resource.clone(), id);
        id
    }

    /// Lets the store note something together with the operation's success.
    pub fn record(&mut self, op: OpId, change: AppliedChange) {
        self.ops[op.0 as usize].record.push(change);
    }

    /// Lets the store note something when the stack has nothing left to do.
    pub fn note(&mut self, stack: &StackId, change: AppliedChange) {
        self.notes.entry(stack.clone()).or_default().push(change);
    }

    /// What was last set on a resource now is the wanted: on its last operation since `first`, and when the stack is
    /// through, where the store does not know it yet.
    pub fn note_resource(&mut self, resource: &ResourceId, first: usize, update: ResourceUpdate) {
        let known = self.applied(resource);
        let mut after = known.cloned().unwrap_or_default();
        after.update(&update);
        if known == Some(&after) && self.ops.len() == first {
            return;
        }
        let last = self.ops[first..]
            .iter()
            .rev()
            .find(|op| op.resource == *resource)
            .map(|op| op.id);
        let change = AppliedChange::UpdateResource(resource.clone(), update);
        match last {
            Some(last) => self.record(last, change),
            None if known == Some(&after) => {}
            None => self.note(&resource.stack, change),
        }
    }

    pub fn hold(
        &mut self,
        stack: &StackId,
        resource: Option<ResourceId>,
        code: &str,
        message: impl Into<String>,
        release: impl Into<String>,
    ) {
        self.held.push(Held {
            stack: stack.clone(),
            resource,
            code: code.to_owned(),
            message: message.into(),
            release: release.into(),
        });
    }

    /// Holds a whole stack: nothing of it is planned, nothing noted.
    pub fn block(
        &mut self,
        stack: &StackId,
        code: &str,
        message: impl Into<String>,
        release: impl Into<String>,
    ) {
        self.hold(stack, None, code, message, release);
        self.blocked.insert(stack.clone());
    }

    pub fn applied(&self, resource: &ResourceId) -> Option<&'a AppliedResource> {
        self.inputs.applied.resources.get(resource)
    }

    /// Which recorded resource of the stack has this ARN (or group id).
    pub fn recorded_as(
        &self,
        stack: &StackId,
        kind: ResourceKind,
        arn: &str,
    ) -> Option<&'a ResourceId> {
        self.inputs
            .applied
            .resources
            .range(ResourceId::new(stack.clone(), kind, "")..)
            .take_while(|(id, _)| id.stack == *stack && id.kind == kind)
            .find(|(_, resource)| {
                resource
                    .arn
                    .as_ref()
                    .is_some_and(|known| known.as_str() == arn)
            })
            .map(|(id, _)| id)
    }

    /// What the store knows of one stack.
    pub fn recorded_in(
        &self,
        stack: &'a StackId,
    ) -> impl Iterator<Item = (&'a ResourceId, &'a AppliedResource)> {
        self.inputs
            .applied
            .resources
            .range(ResourceId::new(stack.clone(), ResourceKind::SecurityGroup, "")..)
            .take_while(move |(id, _)| id.stack == *stack)
    }

    /// Why a resource is written: what git says now against what was last set, and whether it is there.
    pub fn cause(&self, resource: &ResourceId, digest: &str, exists: bool) -> Cause {
        match self.applied(resource) {
            Some(applied) if applied.digest == digest => Cause::Drift,
            // Created by us and interrupted before it was complete.
            Some(applied) if applied.digest.is_empty() => Cause::Added,
            Some(_) => Cause::Changed,
            None if exists => Cause::Unrecorded,
            None => Cause::Added,
        }
    }

    pub fn in_scope(&self, stack: &StackId) -> bool {
        self.inputs.scope.contains(stack)
    }

    pub fn has_gap(&self, stack: &StackId) -> bool {
        self.inputs
            .observed
            .gaps
            .iter()
            .any(|gap| gap.stack == *stack)
    }

    /// Holds the stack when part of it could not be read; true when so.
    pub fn block_on_gap(&mut self, stack: &StackId) -> bool {
        let gaps: Vec<String> = self
            .inputs
            .observed
            .gaps
            .iter()
            .filter(|gap| gap.stack == *stack)
            .map(|gap| format!("{}: {}", gap.what, gap.message))
            .collect();
        if gaps.is_empty() {
            return false;
        }
        let denied = self
            .inputs
            .observed
            .gaps
            .iter()
            .any(|gap| gap.stack == *stack && gap.denied);
        let release = match denied {
            true => "grant the missing right",
            false => "tried again with the next pass",
        };
        self.block(
            stack,
            code::READ_FAILED,
            format!("could not read {}", gaps.join("; ")),
            release,
        );
        true
    }

    /// Holds the stack when it waits for a fact; true when so.
    pub fn block_on_waiting(&mut self, stack: &StackId) -> bool {
        let Some(waiting) = self
            .inputs
            .desired
            .waiting
            .iter()
            .find(|waiting| waiting.stack == *stack)
        else {
            return false;
        };
        self.block(
            stack,
            code::WAITING,
            format!("{}: {}", waiting.origin, waiting.reason),
            match waiting.lasts {
                true => "leave it out until it is served; what was applied last stays",
                false => "goes on by itself once the fact is there; what was applied last stays",
            },
        );
        true
    }

    /// Ids of the operations that fulfil the predicate.
    pub fn ops_where(&self, predicate: impl Fn(&Op) -> bool) -> BTreeSet<OpId> {
        self.ops
            .iter()
            .filter(|op| predicate(op))
            .map(|op| op.id)
            .collect()
    }

    /// Ids of the operations from this place on.
    pub fn since(&self, first: usize) -> BTreeSet<OpId> {
        self.ops[first..].iter().map(|op| op.id).collect()
    }

    /// Makes the plan of it. `digests` are those of the desired stacks that this stage completes; stacks in `gone` are
    /// through once their operations are.
    pub fn finish(
        mut self,
        stage: Stage,
        completed: &BTreeMap<StackId, String>,
        gone: &BTreeSet<StackId>,
    ) -> Plan {
        let held: BTreeSet<StackId> = self.held.iter().map(|held| held.stack.clone()).collect();
        for (stack, digest) in completed {
            let recorded = self.inputs.applied.stacks.get(stack);
            let wanted = AppliedStack {
                digest: digest.clone(),
                revision: self.inputs.revision.cloned(),
                grounds: None,
            };
            if !held.contains(stack) && recorded.is_none_or(|recorded| recorded.digest != *digest) {
                self.note(stack, AppliedChange::SetStack(stack.clone(), wanted));
            }
        }
        for stack in gone {
            let known = self.inputs.applied.stacks.contains_key(stack);
            if known && !held.contains(stack) {
                self.note(stack, AppliedChange::RemoveStack(stack.clone()));
            }
        }
        let ordered = order(self.ops, 0);
        let (ops, withheld, told) = withhold(self.inputs, ordered);
        self.held.extend(told);
        let withheld_stacks: BTreeSet<&StackId> = withheld.iter().map(|op| &op.stack).collect();
        let settled = self
            .notes
            .into_iter()
            .filter(|(stack, _)| !withheld_stacks.contains(stack))
            .map(|(stack, changes)| Settled { stack, changes })
            .collect();
        Plan {
            stage,
            revision: self.inputs.revision.cloned(),
            base: self.inputs.base,
            ops,
            held: self.held,
            foreign: self.foreign,
            irreversible: self.irreversible,
            settled,
            withheld,
        }
    }
}

/// Takes out what must not be written now, with all that needs it.
fn withhold(inputs: &Inputs<'_>, ops: Vec<Op>) -> (Vec<Op>, Vec<Op>, Vec<Held>) {
    let Some(read_only) = &inputs.options.read_only else {
        return (ops, Vec::new(), Vec::new());
    };
    let mut stopped: BTreeSet<OpId> = BTreeSet::new();
    for op in &ops {
        let written = read_only.plane == Plane::Everything || op.action.is_for_aws();
        if written || op.needs.iter().any(|need| stopped.contains(need)) {
            stopped.insert(op.id);
        }
    }
    let (withheld, ops): (Vec<Op>, Vec<Op>) =
        ops.into_iter().partition(|op| stopped.contains(&op.id));
    let ops = order(ops, 0);
    let mut stacks: BTreeMap<&StackId, usize> = BTreeMap::new();
    for op in &withheld {
        *stacks.entry(&op.stack).or_default() += 1;
    }
    let held = stacks
        .into_iter()
        .map(|(stack, count)| Held {
            stack: stack.clone(),
            resource: None,
            code: code::READ_ONLY.to_owned(),
            message: format!("{count} operations wait: {}", read_only.why),
            release: "done once the plane is no longer read-only".to_owned(),
        })
        .collect();
    let withheld = order(withheld, ops.len() as u32);
    (ops, withheld, held)
}

/// A reason without differences.
pub fn reason(cause: Cause, origin: Option<&Origin>) -> Reason {
    because(cause, origin, Vec::new())
}

pub fn because(cause: Cause, origin: Option<&Origin>, differences: Vec<Difference>) -> Reason {
    Reason {
        cause,
        origin: origin.cloned(),
        differences,
    }
}

/// The reason of what leaves git.
pub fn removed() -> Reason {
    reason(Cause::Removed, None)
}

/// How an object is named within the stack of the cluster: `Deployment.apps default/app1`.
pub fn object_id(key: &ObjectKey) -> ResourceId {
    let kind = match key.group.is_empty() {
        true => key.kind.clone(),
        false => format!("{}.{}", key.kind, key.group),
    };
    let name = match &key.namespace {
        Some(namespace) => format!("{kind} {namespace}/{}", key.name),
        None => format!("{kind} {}", key.name),
    };
    ResourceId::new(StackId::Cluster, ResourceKind::Object, name)
}

/// A map of new values with the keys of `before` that are gone taken out.
pub fn replacing(
    now: &BTreeMap<String, String>,
    before: Option<&BTreeMap<String, String>>,
) -> BTreeMap<String, Option<String>> {
    let mut update: BTreeMap<String, Option<String>> = before
        .into_iter()
        .flatten()
        .map(|(key, _)| (key.clone(), None))
        .collect();
    update.extend(
        now.iter()
            .map(|(key, value)| (key.clone(), Some(value.clone()))),
    );
    update
}

/// Whether tags say that the thing belongs to this group of this cluster (aws-deploy §1.1).
pub fn bears_marks(found: &Tags, group: &str, cluster: Option<&str>) -> bool {
    found.get(tags::STACK).is_some_and(|stack| stack == group)
        && found
            .get(tags::CLUSTER)
            .is_some_and(|found| cluster.is_none_or(|cluster| found == cluster))
}

/// What a hand deleted, told as a difference: nothing of it is left to compare field by field.
pub fn missing(name: &str) -> Difference {
    difference("existence", None, name.to_owned())
}
