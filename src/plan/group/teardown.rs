//! What leaves: rule → listener → balancer → target groups → (permissions of the nodes) → security groups (lessons D2).
//!
//! A balancer's listeners and rules go with it and get no calls of their own (decision 23).

use crate::{
    id::{Arn, OpId, ResourceKind},
    model::{applied::AppliedChange, elb::LoadBalancer},
};

use super::{
    super::{
        draft::{Draft, code, reason, removed},
        op::{Action, Cause, Reason},
    },
    Group,
};

/// The attribute that forbids deleting a balancer.
const PROTECTION: &str = "deletion_protection.enabled";

impl<'a> Group<'a> {
    /// Whether a group that left git may be taken down; says why not otherwise (lessons D4, D7).
    pub(super) fn admit_teardown(&self, draft: &mut Draft<'a>) -> bool {
        if !draft.recorded_groups.contains(self.id) {
            for balancer in &self.observed.load_balancers {
                draft.foreign.push(super::super::op::Foreign {
                    stack: self.stack.clone(),
                    what: format!(
                        "load balancer {} of a group that git does not hold",
                        balancer.name
                    ),
                    id: balancer.arn.to_string(),
                });
            }
            return false;
        }
        let empty = self.surplus_load_balancers.is_empty()
            && self.surplus_target_groups.is_empty()
            && self.surplus_security_groups.is_empty();
        if !empty && !draft.inputs.options.allow_prune {
            let message = format!("the balancer of group {} left git and stays", self.id);
            draft.block(
                &self.stack,
                code::PRUNE_LIMIT,
                message,
                "allow the deletes by the commit's trailer",
            );
            return false;
        }
        let protected = self
            .surplus_load_balancers
            .iter()
            .find(|surplus| is_protected(surplus.live));
        if let Some(protected) = protected {
            draft.block(
                &self.stack,
                code::DELETION_PROTECTION,
                format!(
                    "load balancer {} has deletion protection; nothing around it is taken down",
                    protected.live.name
                ),
                format!("switch {PROTECTION} off, in git before the Ingress goes or in AWS now"),
            );
            return false;
        }
        true
    }

    /// Balancers, then target groups that nothing forwards to any more.
    pub fn take_down(&mut self, draft: &mut Draft<'a>) {
        let mut balancers: Vec<OpId> = Vec::new();
        for surplus in &self.surplus_load_balancers {
            let live = surplus.live;
            if self.desired.is_some() && is_protected(live) {
                draft.hold(
                    &self.stack,
                    Some(surplus.id.clone()),
                    code::DELETION_PROTECTION,
                    format!(
                        "a second load balancer {} has deletion protection",
                        live.name
                    ),
                    format!("switch {PROTECTION} off in AWS"),
                );
                continue;
            }
            if surplus.cause == Cause::Removed {
                draft.irreversible.push(format!(
                    "load balancer {}: its ARN and its DNS name {} never come back",
                    live.name, live.dns_name
                ));
            }
            let action = Action::DeleteLoadBalancer {
                arn: live.arn.clone(),
            };
            let op = draft.op(
                &surplus.id,
                action,
                gone(surplus.cause),
                self.built.iter().copied(),
            );
            self.forget_parts(draft, op, &live.arn);
            balancers.push(op);
        }
        for surplus in &self.surplus_target_groups {
            let needs = self.built.iter().chain(&balancers).copied();
            let action = Action::DeleteTargetGroup {
                arn: surplus.live.arn.clone(),
            };
            let op = draft.op(&surplus.id, action, gone(surplus.cause), needs);
            self.taken.insert(op);
        }
        self.taken.extend(balancers);
    }

    /// Security groups, once no balancer and no permission names them.
    pub fn drop_security_groups(&mut self, draft: &mut Draft<'a>) {
        for surplus in &self.surplus_security_groups {
            let needs = self.built.union(&self.taken).copied();
            let action = Action::DeleteSecurityGroup {
                group: surplus.live.id.clone(),
            };
            let op = draft.op(&surplus.id, action, gone(surplus.cause), needs);
            self.taken.insert(op);
        }
    }

    /// The store forgets listeners and rules with the balancer that takes them along.
    fn forget_parts(&self, draft: &mut Draft<'a>, delete: OpId, balancer: &Arn) {
        let listeners: Vec<_> = self
            .observed
            .listeners
            .iter()
            .filter(|live| live.load_balancer == *balancer)
            .collect();
        for live in listeners {
            let known = draft.recorded_as(&self.stack, ResourceKind::Listener, live.arn.as_str());
            if let Some(id) = known.filter(|id| !self.claims(id)).cloned() {
                draft.record(delete, AppliedChange::RemoveResource(id));
            }
            self.forget_rules(draft, delete, live);
        }
    }
}

fn is_protected(live: &LoadBalancer) -> bool {
    live.attributes
        .get(PROTECTION)
        .is_some_and(|value| value.eq_ignore_ascii_case("true"))
}

fn gone(cause: Cause) -> Reason {
    match cause {
        Cause::Removed => removed(),
        cause => reason(cause, None),
    }
}
