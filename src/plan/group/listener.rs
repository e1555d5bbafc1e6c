//! Listeners of the kept balancer, matched by port (aws-deploy §2.2).

use std::collections::BTreeSet;

use crate::{
    id::{OpId, ResourceId},
    model::{
        attribute::AttributeKind,
        desired::{GroupStack, ListenerStack, Ref},
        digest::digest,
        elb::{Listener, ListenerSpec, RuleAction},
    },
};

use super::{
    super::{
        diff::{self, difference, elb},
        draft::{Draft, because, reason, removed},
        op::Action,
    },
    Group, update,
};

impl<'a> Group<'a> {
    pub(super) fn build_listeners(&self, draft: &mut Draft<'a>, desired: &GroupStack) {
        let first = draft.ops.len();
        for (port, wanted) in &desired.listeners {
            let live = self.listeners.get(port).copied();
            match live {
                Some(live) => self.mend_listener(draft, wanted, live),
                None => self.create_listener(draft, wanted),
            }
            self.build_rules(draft, wanted, live);
        }
        let others = draft.since(first);
        for (port, live) in &self.listeners {
            if desired.listeners.contains_key(port) {
                continue;
            }
            let id = ResourceId::listener(self.id, *port);
            let action = Action::DeleteListener {
                arn: live.arn.clone(),
            };
            let delete = draft.op(&id, action, removed(), others.iter().copied());
            self.forget_rules(draft, delete, live);
        }
    }

    fn create_listener(&self, draft: &mut Draft<'a>, wanted: &ListenerStack) {
        let id = ResourceId::listener(self.id, wanted.spec.port);
        let digest = digest(&wanted.spec);
        let first = draft.ops.len();
        let cause = draft.cause(&id, &digest, false);
        let spec = resolved(draft, &wanted.spec);
        let balancer = ResourceId::load_balancer(self.id);
        let mut needs = self.fillers_of(draft, &spec.default_actions);
        needs.extend(draft.creators.get(&balancer));
        let load_balancer = elb::resolve(&Ref::Output(balancer), &draft.known);
        let origin = Some(&wanted.origin);
        let action = Action::CreateListener {
            id: id.clone(),
            load_balancer,
            spec,
        };
        let create = draft.create(&id, action, reason(cause, origin), needs);
        if !wanted.spec.attributes.is_empty() {
            let action = Action::ModifyListenerAttributes {
                arn: Ref::Output(id.clone()),
                attributes: wanted.spec.attributes.clone(),
            };
            draft.op(&id, action, reason(cause, origin), [create]);
        }
        let update = update(
            draft,
            &id,
            None,
            digest,
            &wanted.spec.attributes,
            &wanted.spec.tags,
        );
        draft.note_resource(&id, first, update);
    }

    fn mend_listener(&self, draft: &mut Draft<'a>, wanted: &ListenerStack, live: &Listener) {
        let id = ResourceId::listener(self.id, wanted.spec.port);
        let digest = digest(&wanted.spec);
        let first = draft.ops.len();
        let cause = draft.cause(&id, &digest, true);
        let origin = Some(&wanted.origin);
        let spec = resolved(draft, &wanted.spec);
        self.mend_tags(
            draft,
            &id,
            &live.arn,
            (&spec.tags, &live.tags),
            (cause, origin),
        );
        let mut differences = Vec::new();
        if live.protocol != spec.protocol {
            differences.push(difference(
                "protocol",
                live.protocol.clone(),
                spec.protocol.clone(),
            ));
        }
        if !elb::same_actions(&spec.default_actions, &live.default_actions) {
            let names = self.target_group_names();
            differences.push(difference(
                "default action",
                elb::actions_text(&live.default_actions, &names),
                elb::actions_text(&spec.default_actions, &names),
            ));
        }
        if !differences.is_empty() {
            let needs = self.fillers_of(draft, &spec.default_actions);
            let action = Action::ModifyListener {
                arn: live.arn.clone(),
                spec,
            };
            draft.op(&id, action, because(cause, origin, differences), needs);
        }
        let applied = draft
            .applied(&id)
            .map(|applied| applied.attributes.clone())
            .unwrap_or_default();
        let changes = diff::attributes(
            AttributeKind::Listener,
            &wanted.spec.attributes,
            &live.attributes,
            &applied,
        );
        if !changes.set.is_empty() {
            let action = Action::ModifyListenerAttributes {
                arn: Ref::Known(live.arn.clone()),
                attributes: changes.set,
            };
            draft.op(&id, action, because(cause, origin, changes.differences), []);
        }
        let update = update(
            draft,
            &id,
            Some(live.arn.as_str()),
            digest,
            &wanted.spec.attributes,
            &wanted.spec.tags,
        );
        draft.note_resource(&id, first, update);
    }

    /// What must be done before these actions may take traffic: their target groups made and filled, and the nodes
    /// reachable (decision 16; lessons C8).
    pub(super) fn fillers_of(&self, draft: &Draft<'a>, actions: &[RuleAction]) -> BTreeSet<OpId> {
        let groups: BTreeSet<ResourceId> = elb::forwarded(actions)
            .filter_map(|reference| match reference {
                Ref::Output(id) => Some(id.clone()),
                Ref::Known(arn) => self
                    .target_groups
                    .iter()
                    .find(|(_, live)| live.arn == *arn)
                    .map(|(name, _)| ResourceId::target_group(self.id, name)),
            })
            .collect();
        if groups.is_empty() {
            return BTreeSet::new();
        }
        groups
            .iter()
            .filter_map(|id| draft.fillers.get(id))
            .flatten()
            .chain(&draft.admissions)
            .copied()
            .collect()
    }
}

/// The listener with references to target groups that exist put in.
fn resolved(draft: &Draft<'_>, spec: &ListenerSpec) -> ListenerSpec {
    let mut spec = spec.clone();
    spec.default_actions = elb::resolve_actions(&spec.default_actions, &draft.known);
    spec
}
