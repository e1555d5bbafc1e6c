//! Target groups and who is registered in them (aws-deploy §2.6; decision 16 of the spec).

use std::collections::BTreeSet;

use crate::{
    id::ResourceId,
    model::{
        attribute::AttributeKind,
        desired::{GroupStack, Ref, TargetGroupStack},
        digest,
        elb::{Target, TargetGroup, TargetGroupSpec},
    },
};

use super::{
    super::{
        diff::{self, difference, elb, joined},
        draft::{Draft, because, code, reason},
        op::{Action, Cause},
    },
    Group, update,
};

impl<'a> Group<'a> {
    pub(super) fn build_target_groups(&self, draft: &mut Draft<'a>, desired: &GroupStack) {
        for (name, wanted) in &desired.target_groups {
            match self.target_groups.get(name) {
                Some(live) => self.mend_target_group(draft, name, wanted, live),
                None => self.create_target_group(draft, name, wanted),
            }
        }
    }

    fn create_target_group(&self, draft: &mut Draft<'a>, name: &str, wanted: &TargetGroupStack) {
        let id = ResourceId::target_group(self.id, name);
        let spec = &wanted.spec;
        let digest = settings_digest(spec);
        let first = draft.ops.len();
        let replaced = self
            .surplus_target_groups
            .iter()
            .filter(|surplus| surplus.cause != Cause::Removed)
            .find(|surplus| {
                self.name_of(
                    draft,
                    id.kind,
                    surplus.live.arn.as_str(),
                    &surplus.live.tags,
                )
                .as_deref()
                    == Some(name)
            })
            .map(|surplus| elb::target_group_replacement(spec, surplus.live))
            .unwrap_or_default();
        let cause = draft.cause(&id, &digest, false);
        let origin = Some(&wanted.origin);
        let action = Action::CreateTargetGroup {
            id: id.clone(),
            spec: spec.clone(),
        };
        let create = draft.create(&id, action, because(cause, origin, replaced), []);
        if !spec.attributes.is_empty() {
            let action = Action::ModifyTargetGroupAttributes {
                arn: Ref::Output(id.clone()),
                attributes: spec.attributes.clone(),
            };
            let set = diff::declared(&spec.attributes);
            draft.op(&id, action, because(cause, origin, set), [create]);
        }
        if !spec.targets.is_empty() {
            let action = Action::RegisterTargets {
                target_group: Ref::Output(id.clone()),
                targets: spec.targets.clone(),
            };
            draft.op(&id, action, reason(cause, origin), [create]);
        }
        let mut update = update(draft, &id, None, digest, &spec.attributes, &spec.tags);
        update.targets = Some(spec.targets.clone());
        draft.note_resource(&id, first, update);
    }

    fn mend_target_group(
        &self,
        draft: &mut Draft<'a>,
        name: &str,
        wanted: &TargetGroupStack,
        live: &TargetGroup,
    ) {
        let id = ResourceId::target_group(self.id, name);
        let spec = &wanted.spec;
        let digest = settings_digest(spec);
        let first = draft.ops.len();
        let cause = draft.cause(&id, &digest, true);
        let origin = Some(&wanted.origin);
        self.mend_tags(
            draft,
            &id,
            &live.arn,
            (&spec.tags, &live.tags),
            (cause, origin),
        );
        let differences = elb::health_check(&spec.health_check, &live.health_check);
        if !differences.is_empty() {
            let action = Action::ModifyTargetGroup {
                arn: live.arn.clone(),
                health_check: spec.health_check.clone(),
            };
            draft.op(&id, action, because(cause, origin, differences), []);
        }
        let applied = draft
            .applied(&id)
            .map(|applied| applied.attributes.clone())
            .unwrap_or_default();
        let changes = diff::attributes(
            AttributeKind::TargetGroup,
            &spec.attributes,
            &live.attributes,
            &applied,
        );
        if !changes.set.is_empty() {
            let action = Action::ModifyTargetGroupAttributes {
                arn: Ref::Known(live.arn.clone()),
                attributes: changes.set,
            };
            draft.op(&id, action, because(cause, origin, changes.differences), []);
        }
        let missing: BTreeSet<Target> = spec.targets.difference(&live.targets).cloned().collect();
        if !missing.is_empty() {
            let cause = targets_cause(draft, &id, spec);
            let difference = difference("targets", None, targets_text(&missing));
            let action = Action::RegisterTargets {
                target_group: Ref::Known(live.arn.clone()),
                targets: missing,
            };
            draft.op(&id, action, because(cause, origin, vec![difference]), []);
        }
        let mut update = update(
            draft,
            &id,
            Some(live.arn.as_str()),
            digest,
            &spec.attributes,
            &spec.tags,
        );
        update.targets = Some(spec.targets.clone());
        draft.note_resource(&id, first, update);
    }

    /// Takes out targets that nobody wants, behind everything that was registered and attached (lessons C2).
    pub(super) fn trim_targets(&self, draft: &mut Draft<'a>, desired: &GroupStack) {
        for (name, wanted) in &desired.target_groups {
            let Some(live) = self.target_groups.get(name) else {
                continue;
            };
            let spec = &wanted.spec;
            let surplus: BTreeSet<Target> =
                live.targets.difference(&spec.targets).cloned().collect();
            if surplus.is_empty() {
                continue;
            }
            let id = ResourceId::target_group(self.id, name);
            if spec.targets.is_empty() && self.emptied_first(draft, &id) {
                continue;
            }
            let cause = targets_cause(draft, &id, spec);
            let difference = difference("targets", targets_text(&surplus), None);
            let registered = draft.ops_where(|op| {
                op.resource == id && matches!(op.action, Action::RegisterTargets { .. })
            });
            let action = Action::DeregisterTargets {
                target_group: live.arn.clone(),
                targets: surplus,
            };
            draft.op(
                &id,
                action,
                because(cause, Some(&wanted.origin), vec![difference]),
                registered,
            );
        }
    }

    /// A target group that had targets is not emptied at first sight: nodes that cannot be listed look like none
    /// (lessons C2). True when this is the first sight; that nothing is wanted is noted with the target group.
    fn emptied_first(&self, draft: &mut Draft<'a>, id: &ResourceId) -> bool {
        let seen = draft
            .applied(id)
            .is_some_and(|applied| applied.targets.is_empty());
        if seen {
            return false;
        }
        draft.hold(
            &self.stack,
            Some(id.clone()),
            code::EMPTY_TARGETS,
            format!("{} would lose all of its targets", id.name),
            "done when the next pass finds no target either",
        );
        true
    }
}

/// Targets follow nodes and node ports; a hand's change is told by what we registered last.
fn targets_cause(draft: &Draft<'_>, id: &ResourceId, spec: &TargetGroupSpec) -> Cause {
    match draft.applied(id) {
        Some(applied) if applied.digest.is_empty() => Cause::Added,
        Some(applied) if applied.targets == spec.targets => Cause::Drift,
        Some(_) => Cause::Followed,
        None => Cause::Unrecorded,
    }
}

/// Digest of what is set on a target group in its lifetime: targets, and the port and name that follow from the node
/// port, come from outside git.
fn settings_digest(spec: &TargetGroupSpec) -> String {
    let mut spec = spec.clone();
    spec.targets.clear();
    spec.name.clear();
    spec.port = 0;
    digest::digest(&spec)
}

fn targets_text(targets: &BTreeSet<Target>) -> String {
    joined(
        targets
            .iter()
            .map(|target| format!("{}:{}", target.id, target.port)),
    )
}
