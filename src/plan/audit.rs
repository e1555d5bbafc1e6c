//! Is this plan fit to run? Asked of every plan before its first operation; a fault found here is ours.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    id::{Arn, OpId, ResourceId, ResourceKind, SecurityGroupId, StackId},
    model::{
        desired::Ref,
        net::{Permission, PermissionSource, Tags},
        tags,
    },
};

use super::{
    Inputs, Plane,
    diff::elb::forwarded,
    op::{Action, Op, Plan},
};

/// What makes a plan unfit; each text begins with `BUG:`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the plan is unfit to run: {}", faults.join("; "))]
pub struct Unfit {
    pub faults: Vec<String>,
}

/// Checks a plan against what it was made from.
pub fn audit(plan: &Plan, inputs: &Inputs<'_>) -> Result<(), Unfit> {
    let mut audit = Audit {
        inputs,
        plan,
        closure: BTreeMap::new(),
        creators: plan
            .ops
            .iter()
            .filter_map(|op| Some((creates(&op.action)?, op.id)))
            .collect(),
        registrations: BTreeMap::new(),
        faults: Vec::new(),
    };
    for op in &plan.ops {
        if let Action::RegisterTargets { target_group, .. } = &op.action {
            let list = audit.registrations.entry(target_group).or_default();
            list.push(op.id);
        }
    }
    audit.numbering();
    if audit.faults.is_empty() {
        audit.closures();
        for op in &plan.ops {
            audit.scope(op);
            audit.references(op);
            audit.deletes(op);
            audit.attaching(op);
            audit.revoking(op);
            audit.read_only(op);
        }
        audit.moves();
        audit.blocked();
    }
    match audit.faults.is_empty() {
        true => Ok(()),
        false => Err(Unfit {
            faults: audit.faults,
        }),
    }
}

struct Audit<'a> {
    inputs: &'a Inputs<'a>,
    plan: &'a Plan,
    /// Everything that each operation needs, directly or not.
    closure: BTreeMap<OpId, BTreeSet<OpId>>,
    /// What is made, by which operation.
    creators: BTreeMap<&'a ResourceId, OpId>,
    /// Which operations fill a target group.
    registrations: BTreeMap<&'a Ref<Arn>, Vec<OpId>>,
    faults: Vec<String>,
}

impl Audit<'_> {
    fn fault(&mut self, op: &Op, what: impl std::fmt::Display) {
        self.faults
            .push(format!("BUG: {} ({}) {what}", op.id, op.resource));
    }

    /// Numbers are places, and needs point backwards.
    fn numbering(&mut self) {
        for (index, op) in self.plan.ops.iter().enumerate() {
            if op.id.0 as usize != index {
                self.fault(op, format!("stands at place {index}"));
            }
            if op.needs.iter().any(|need| *need >= op.id) {
                self.fault(op, "needs an operation that does not come earlier");
            }
        }
    }

    fn closures(&mut self) {
        for op in &self.plan.ops {
            let mut all = op.needs.clone();
            for need in &op.needs {
                all.extend(self.closure.get(need).into_iter().flatten());
            }
            self.closure.insert(op.id, all);
        }
    }

    fn needs(&self, op: &Op, other: OpId) -> bool {
        self.closure
            .get(&op.id)
            .is_some_and(|all| all.contains(&other))
    }

    /// Nothing outside of what was asked to be planned, nothing that nobody looked at.
    fn scope(&mut self, op: &Op) {
        if !self.inputs.scope.contains(&op.stack) {
            self.fault(op, "is out of scope");
        }
        let observed = self.inputs.observed;
        let seen = match &op.stack {
            StackId::Cluster => true,
            StackId::Network => observed.network.is_some(),
            StackId::Provider => observed.provider.is_some(),
            StackId::Group(id) => observed.groups.contains_key(id),
            StackId::Role(id) => observed.roles.contains_key(id),
        };
        if !seen {
            self.fault(op, "belongs to a stack that nobody looked at");
        }
    }

    /// Stacks that wait, are suspended or could not be read get no operations.
    fn blocked(&mut self) {
        let desired = self.inputs.desired;
        let mut blocked: BTreeSet<StackId> = self.inputs.observed.gap_stacks();
        blocked.remove(&StackId::Cluster);
        blocked.extend(desired.waiting.iter().map(|waiting| waiting.stack.clone()));
        let suspended = desired.roles.iter().filter(|(_, role)| role.suspended);
        blocked.extend(suspended.map(|(id, _)| StackId::Role(id.clone())));
        for op in self
            .plan
            .ops
            .iter()
            .filter(|op| blocked.contains(&op.stack))
        {
            self.fault(
                op,
                "belongs to a stack that waits, is suspended or could not be read",
            );
        }
    }

    /// What an operation refers to is made by one that it needs.
    fn references(&mut self, op: &Op) {
        for id in outputs(&op.action) {
            let made = self.creators.get(&id).copied();
            match made {
                None => self.fault(op, format!("refers to {id}, which nothing creates")),
                Some(made) if !self.needs(op, made) => {
                    self.fault(op, format!("refers to {id} without needing its creation"));
                }
                Some(_) => {}
            }
        }
    }

    /// Deletes touch only what is proven ours: by tags as read, or by the store's ledger (lessons D4).
    fn deletes(&mut self, op: &Op) {
        let proven = match &op.action {
            Action::DeleteLoadBalancer { arn }
            | Action::DeleteListener { arn }
            | Action::DeleteRule { arn }
            | Action::DeleteTargetGroup { arn } => self.is_ours(&op.stack, arn),
            Action::DeleteSecurityGroup { group } => {
                self.is_ours(&op.stack, &Arn::new(group.as_str()))
            }
            Action::DeletePolicy { arn } => self.is_ours(&op.stack, arn),
            Action::DeleteRole { role } => {
                self.inputs.applied.resources.iter().any(|(id, applied)| {
                    let observed = match &op.stack {
                        StackId::Role(name) => self.inputs.observed.roles.get(name),
                        _ => None,
                    };
                    let live = observed.and_then(|observed| observed.role.as_ref());
                    id.stack == op.stack
                        && live.is_some_and(|live| {
                            live.name == *role
                                && applied
                                    .unique_id
                                    .as_ref()
                                    .is_none_or(|id| *id == live.role_id)
                        })
                })
            }
            Action::DeleteObject { reference, uid } => {
                let wanted = self
                    .inputs
                    .desired
                    .objects
                    .iter()
                    .any(|object| object.reference.key() == reference.key());
                let recorded = self.inputs.applied.inventory.get(&reference.key());
                !wanted
                    && recorded.is_some_and(|recorded| {
                        !recorded.keep && recorded.uid.as_ref().is_none_or(|known| known == uid)
                    })
            }
            _ => true,
        };
        if !proven {
            self.fault(op, "deletes something that is not proven ours");
        }
    }

    fn is_ours(&self, stack: &StackId, arn: &Arn) -> bool {
        let recorded = self
            .inputs
            .applied
            .resources
            .range(ResourceId::new(stack.clone(), ResourceKind::SecurityGroup, "")..)
            .take_while(|(id, _)| id.stack == *stack)
            .any(|(_, applied)| applied.arn.as_ref() == Some(arn));
        recorded
            || self
                .tags_of(stack, arn)
                .is_some_and(|found| bears_marks(stack, found))
    }

    /// Tags as read of one thing of the stack.
    fn tags_of(&self, stack: &StackId, arn: &Arn) -> Option<&Tags> {
        let observed = self.inputs.observed;
        match stack {
            StackId::Group(id) => {
                let group = observed.groups.get(id)?;
                let balancers = group
                    .load_balancers
                    .iter()
                    .map(|live| (live.arn.as_str(), &live.tags));
                let listeners = group
                    .listeners
                    .iter()
                    .map(|live| (live.arn.as_str(), &live.tags));
                let rules = group
                    .rules
                    .iter()
                    .map(|live| (live.arn.as_str(), &live.tags));
                let targets = group
                    .target_groups
                    .iter()
                    .map(|live| (live.arn.as_str(), &live.tags));
                let groups = group
                    .security_groups
                    .iter()
                    .map(|live| (live.id.as_str(), &live.tags));
                balancers
                    .chain(listeners)
                    .chain(rules)
                    .chain(targets)
                    .chain(groups)
                    .find(|(found, _)| *found == arn.as_str())
                    .map(|(_, tags)| tags)
            }
            StackId::Network => observed
                .network
                .as_ref()?
                .backend_groups
                .iter()
                .find(|live| live.id.as_str() == arn.as_str())
                .map(|live| &live.tags),
            StackId::Role(id) => observed
                .roles
                .get(id)?
                .policies
                .get(arn)
                .map(|live| &live.tags),
            StackId::Cluster | StackId::Provider => None,
        }
    }

    /// Whoever forwards to a target group needs its registrations of this plan (decision 16).
    fn attaching(&mut self, op: &Op) {
        let actions = match &op.action {
            Action::CreateRule { spec, .. } | Action::ModifyRule { spec, .. } => &spec.actions,
            Action::CreateListener { spec, .. } | Action::ModifyListener { spec, .. } => {
                &spec.default_actions
            }
            _ => return,
        };
        let registrations: BTreeSet<OpId> = forwarded(actions)
            .filter_map(|target_group| self.registrations.get(target_group))
            .flatten()
            .copied()
            .collect();
        for registration in registrations {
            if !self.needs(op, registration) {
                self.fault(
                    op,
                    format!("forwards to a target group without needing {registration}"),
                );
            }
        }
    }

    /// Authorize before revoke; in groups that are not ours only what bears our mark.
    fn revoking(&mut self, op: &Op) {
        let Action::RevokeIngress { group, permissions } = &op.action else {
            return;
        };
        let authorizations: Vec<OpId> = self
            .plan
            .ops
            .iter()
            .filter(|other| match &other.action {
                Action::AuthorizeIngress {
                    group: Ref::Known(other),
                    ..
                } => other == group,
                _ => false,
            })
            .map(|other| other.id)
            .collect();
        for authorization in authorizations {
            if !self.needs(op, authorization) {
                self.fault(op, format!("revokes without needing {authorization}"));
            }
        }
        let managed = self.is_ours(&op.stack, &Arn::new(group.as_str()))
            && matches!(op.stack, StackId::Group(_));
        let foreign =
            |permission: &Permission| permission.description != tags::NODE_PERMISSION_MARK;
        if !managed && permissions.iter().any(foreign) {
            self.fault(
                op,
                format!("revokes permissions in {group} that do not bear our mark"),
            );
        }
    }

    fn moves(&mut self) {
        let mut seen: BTreeSet<&Arn> = BTreeSet::new();
        let mut twice = Vec::new();
        for op in &self.plan.ops {
            if let Action::SetRulePriorities {
                listener,
                priorities,
            } = &op.action
            {
                let numbers: BTreeSet<u32> = priorities.values().copied().collect();
                if !seen.insert(listener) || numbers.len() != priorities.len() {
                    twice.push(op);
                }
            }
        }
        for op in twice {
            self.fault(
                op,
                "moves the rules of one listener a second time, or two to one number",
            );
        }
    }

    fn read_only(&mut self, op: &Op) {
        let Some(read_only) = &self.inputs.options.read_only else {
            return;
        };
        if read_only.plane == Plane::Everything || op.action.is_for_aws() {
            self.fault(op, "writes to a plane that is read-only");
        }
    }
}

/// Our marks on a live thing, as its stack has them (aws-deploy §1.1, irsa §9.5).
fn bears_marks(stack: &StackId, found: &Tags) -> bool {
    match stack {
        StackId::Group(id) => {
            found.get(tags::STACK) == Some(id) && found.contains_key(tags::CLUSTER)
        }
        StackId::Network => {
            found
                .get(tags::SHARED_RESOURCE)
                .is_some_and(|value| value == tags::BACKEND_SG)
                && found.contains_key(tags::CLUSTER)
        }
        StackId::Role(id) => found.get(tags::OBJECT) == Some(id) && found.contains_key(tags::OWNER),
        StackId::Cluster | StackId::Provider => false,
    }
}

/// What the operation brings into being.
fn creates(action: &Action) -> Option<&ResourceId> {
    match action {
        Action::CreateSecurityGroup { id, .. }
        | Action::CreateLoadBalancer { id, .. }
        | Action::CreateTargetGroup { id, .. }
        | Action::CreateListener { id, .. }
        | Action::CreateRule { id, .. }
        | Action::CreateOidcProvider { id, .. }
        | Action::CreatePolicy { id, .. }
        | Action::CreateRole { id, .. } => Some(id),
        _ => None,
    }
}

/// Every reference that has to be filled in before the call.
fn outputs(action: &Action) -> BTreeSet<ResourceId> {
    let mut ids = BTreeSet::new();
    let arn = |reference: &Ref<Arn>, ids: &mut BTreeSet<ResourceId>| {
        if let Ref::Output(id) = reference {
            ids.insert(id.clone());
        }
    };
    let group = |reference: &Ref<SecurityGroupId>, ids: &mut BTreeSet<ResourceId>| {
        if let Ref::Output(id) = reference {
            ids.insert(id.clone());
        }
    };
    match action {
        Action::AuthorizeIngress {
            group: target,
            permissions,
        } => {
            group(target, &mut ids);
            for permission in permissions {
                if let PermissionSource::SecurityGroup(source) = &permission.source {
                    group(source, &mut ids);
                }
            }
        }
        Action::CreateLoadBalancer { spec, .. } => {
            spec.security_groups
                .iter()
                .for_each(|one| group(one, &mut ids));
        }
        Action::SetSecurityGroups { groups, .. } => {
            groups.iter().for_each(|one| group(one, &mut ids));
        }
        Action::ModifyLoadBalancerAttributes { arn: one, .. }
        | Action::ModifyTargetGroupAttributes { arn: one, .. }
        | Action::ModifyListenerAttributes { arn: one, .. }
        | Action::AddListenerCertificates { arn: one, .. }
        | Action::AddTags { arn: one, .. }
        | Action::RegisterTargets {
            target_group: one, ..
        }
        | Action::AttachRolePolicy { policy: one, .. }
        | Action::SetIngressStatus {
            load_balancer: one, ..
        } => arn(one, &mut ids),
        Action::CreateListener {
            load_balancer,
            spec,
            ..
        } => {
            arn(load_balancer, &mut ids);
            forwarded(&spec.default_actions).for_each(|one| arn(one, &mut ids));
        }
        Action::ModifyListener { spec, .. } => {
            forwarded(&spec.default_actions).for_each(|one| arn(one, &mut ids));
        }
        Action::CreateRule { listener, spec, .. } => {
            arn(listener, &mut ids);
            forwarded(&spec.actions).for_each(|one| arn(one, &mut ids));
        }
        Action::ModifyRule { spec, .. } => {
            forwarded(&spec.actions).for_each(|one| arn(one, &mut ids));
        }
        _ => {}
    }
    ids
}
