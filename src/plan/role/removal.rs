//! Roles that left git: permissions, role, policies, after whoever used them is gone (irsa §9.4 R1–R6; lessons D4, D8).

use std::collections::BTreeSet;

use crate::{
    id::{OpId, ResourceId, ResourceKind, RoleName, StackId},
    model::{
        applied::{AppliedChange, AppliedResource},
        iam::Role,
        net::Tags,
        observed::ObservedRole,
        tags,
    },
    plan::{
        draft::{Draft, code, removed},
        op::Action,
    },
};

use super::policy::delete_policy;

/// Plans the removal of every recorded role that is in scope and not desired; `users` are the deletes of what used it,
/// and in namespaces of `kept` something that may use it stays. Gives the stacks that are through once their operations
/// are.
pub fn remove(
    draft: &mut Draft<'_>,
    users: &BTreeSet<OpId>,
    kept: &BTreeSet<String>,
) -> BTreeSet<StackId> {
    let inputs = draft.inputs;
    let stacks: BTreeSet<&StackId> = inputs
        .applied
        .resources
        .keys()
        .map(|id| &id.stack)
        .chain(inputs.applied.stacks.keys())
        .collect();
    let mut gone = BTreeSet::new();
    for stack in stacks {
        let StackId::Role(name) = stack else { continue };
        if inputs.desired.roles.contains_key(name) || !draft.in_scope(stack) {
            continue;
        }
        if draft.block_on_waiting(stack) || draft.block_on_gap(stack) {
            continue;
        }
        let Some(observed) = inputs.observed.roles.get(name) else {
            continue;
        };
        if name
            .split_once('/')
            .is_some_and(|(namespace, _)| kept.contains(namespace))
        {
            let message = format!("{stack} stays while objects of its namespace stay");
            draft.block(stack, code::STILL_IN_USE, message, "removed with them");
            continue;
        }
        let leaving = Leaving::find(draft, stack, observed);
        if leaving.admit(draft) {
            leaving.plan(draft, users);
            gone.insert(stack.clone());
        }
    }
    gone
}

/// One role stack that left git.
struct Leaving<'a> {
    stack: &'a StackId,
    observed: &'a ObservedRole,
    /// What the store knows of it.
    recorded: Vec<(&'a ResourceId, &'a AppliedResource)>,
}

impl<'a> Leaving<'a> {
    fn find(draft: &Draft<'a>, stack: &'a StackId, observed: &'a ObservedRole) -> Self {
        let recorded = draft.recorded_in(stack).collect();
        Self {
            stack,
            observed,
            recorded,
        }
    }

    fn role(&self) -> Option<(&'a ResourceId, &'a AppliedResource)> {
        self.recorded
            .iter()
            .copied()
            .find(|(id, _)| id.kind == ResourceKind::Role)
    }

    fn retained(&self) -> bool {
        self.recorded.iter().any(|(_, applied)| applied.retain)
    }

    /// Three proofs: our tags live, the unique id of the ledger, absence from git (lessons D4).
    fn admit(&self, draft: &mut Draft<'_>) -> bool {
        if self.retained() {
            return true;
        }
        let live = self.observed.role.as_ref();
        if let (Some(live), Some((id, applied))) = (live, self.role()) {
            let replaced = applied
                .unique_id
                .as_ref()
                .is_some_and(|known| *known != live.role_id);
            if replaced || !still_ours(&live.tags, &applied.tags) {
                let (code, why) = match replaced {
                    true => (
                        code::REPLACED_OUT_OF_BAND,
                        "was deleted and made anew by somebody",
                    ),
                    false => (code::OWNERSHIP_CONFLICT, "lost our owner tags"),
                };
                let message = format!("role {} {why}, so it stays", live.name);
                let release = "delete it by hand";
                draft.hold(self.stack, Some(id.clone()), code, message, release);
                return false;
            }
            if live.path.starts_with("/aws-service-role/") {
                return false;
            }
        }
        let something = live.is_some() || !self.observed.policies.is_empty();
        if something && !draft.inputs.options.allow_prune {
            let message = format!("{} left git and stays", self.stack);
            let release = "allow the deletes by the commit's trailer";
            draft.block(self.stack, code::PRUNE_LIMIT, message, release);
            return false;
        }
        true
    }

    fn plan(&self, draft: &mut Draft<'a>, users: &BTreeSet<OpId>) {
        let mut touched: BTreeSet<ResourceId> = BTreeSet::new();
        if !self.retained() {
            let mut done = users.clone();
            if let (Some(live), Some((id, _))) = (&self.observed.role, self.role()) {
                let op = strip_and_delete(draft, id, live, users);
                done.insert(op);
                touched.insert(id.clone());
            }
            self.delete_policies(draft, &done, &mut touched);
        }
        for (id, _) in &self.recorded {
            if !touched.contains(*id) {
                draft.note(self.stack, AppliedChange::RemoveResource((*id).clone()));
            }
        }
    }

    fn delete_policies(
        &self,
        draft: &mut Draft<'a>,
        needs: &BTreeSet<OpId>,
        touched: &mut BTreeSet<ResourceId>,
    ) {
        let attached = |arn| {
            self.observed
                .role
                .as_ref()
                .is_some_and(|role| role.attached.contains(arn))
        };
        for (id, applied) in self
            .recorded
            .iter()
            .filter(|(id, _)| id.kind == ResourceKind::Policy)
        {
            let live = applied
                .arn
                .as_ref()
                .and_then(|arn| self.observed.policies.get(arn));
            let Some(live) = live else { continue };
            let problem = if !still_ours(&live.tags, &applied.tags) {
                Some((code::OWNERSHIP_CONFLICT, "lost our owner tags"))
            } else if live.attachments > i32::from(attached(&live.arn)) {
                Some((code::POLICY_IN_USE, "is attached to something else as well"))
            } else {
                None
            };
            touched.insert((*id).clone());
            match problem {
                Some((code, why)) => {
                    let message = format!("policy {} {why}, so it stays", live.arn);
                    draft.hold(
                        self.stack,
                        Some((*id).clone()),
                        code,
                        message,
                        "delete it by hand",
                    );
                }
                None => delete_policy(draft, id, live, needs, &removed()),
            }
        }
    }
}

/// Detach, delete inline, then the role (irsa R4, R5).
fn strip_and_delete(
    draft: &mut Draft<'_>,
    id: &ResourceId,
    live: &Role,
    users: &BTreeSet<OpId>,
) -> OpId {
    let role: &RoleName = &live.name;
    let mut needs = users.clone();
    for policy in &live.attached {
        let action = Action::DetachRolePolicy {
            role: role.clone(),
            policy: policy.clone(),
        };
        needs.insert(draft.op(id, action, removed(), users.iter().copied()));
    }
    for name in live.inline.keys() {
        let action = Action::DeleteRolePolicy {
            role: role.clone(),
            name: name.clone(),
        };
        needs.insert(draft.op(id, action, removed(), users.iter().copied()));
    }
    draft.irreversible.push(format!(
        "role {role}: its unique id {} never comes back, and policies elsewhere that name the role must be set again",
        live.role_id
    ));
    draft.op(
        id,
        Action::DeleteRole { role: role.clone() },
        removed(),
        needs,
    )
}

/// The tags that we set and that prove ownership are still there.
fn still_ours(live: &Tags, recorded: &Tags) -> bool {
    [tags::OWNER, tags::OBJECT]
        .iter()
        .all(|key| recorded.contains_key(*key) && live.get(*key) == recorded.get(*key))
}
