//! What a succeeded operation changes in the store's memory. Pure.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    id::{Arn, ResourceId, ResourceKind},
    model::{
        applied::{Applied, AppliedChange, AppliedResource, ObjectUpdate, ResourceUpdate},
        desired::Ref,
        elb::Target,
        net::Tags,
        object,
    },
    plan::{
        op::{Action, Op},
        record::Output,
    },
};

/// What goes to the inventory before the call goes out, so that it always covers what exists (gitops R4).
pub fn intents(op: &Op, applied: &Applied) -> Vec<AppliedChange> {
    match &op.action {
        Action::ApplyObject { reference, .. }
            if !applied.inventory.contains_key(&reference.key()) =>
        {
            vec![AppliedChange::UpdateObject(
                reference.clone(),
                ObjectUpdate::default(),
            )]
        }
        _ => Vec::new(),
    }
}

/// What follows from the success of `op`; `action` is its action with ids filled in.
pub fn effects(op: &Op, action: &Action, output: &Output, applied: &Applied) -> Vec<AppliedChange> {
    let mut changes = derived(op, action, output, applied);
    // What the planner says comes last: it knows more.
    changes.extend(op.record.iter().cloned());
    changes
}

fn derived(op: &Op, action: &Action, output: &Output, applied: &Applied) -> Vec<AppliedChange> {
    let about = About {
        id: &op.resource,
        applied,
    };
    match action {
        Action::CreateSecurityGroup { id, spec } => created(id, output, &spec.tags),
        Action::CreateLoadBalancer { id, spec } => created(id, output, &spec.tags),
        Action::CreateTargetGroup { id, spec } => created(id, output, &spec.tags),
        Action::CreateListener { id, spec, .. } => created(id, output, &spec.tags),
        Action::CreateRule { id, spec, .. } => created(id, output, &spec.tags),
        Action::CreateOidcProvider { id, spec } => created(id, output, &spec.tags),
        Action::CreatePolicy { id, spec } => created(id, output, &spec.tags),
        Action::CreateRole { id, spec } => created(id, output, &spec.tags),

        Action::TagSecurityGroup { group, tags } => about.tagged(group.as_str(), tags),
        Action::UntagSecurityGroup { group, keys } => about.untagged(group.as_str(), keys),
        Action::AddTags {
            arn: Ref::Known(arn),
            tags,
        }
        | Action::TagPolicy { arn, tags } => about.tagged(arn.as_str(), tags),
        Action::RemoveTags { arn, keys } | Action::UntagPolicy { arn, keys } => {
            about.untagged(arn.as_str(), keys)
        }
        // A role has its name for good: what is recorded under it is it.
        Action::TagRole { tags, .. } => about.update(set(tags)),
        Action::UntagRole { keys, .. } => about.update(unset(keys)),

        Action::ModifyLoadBalancerAttributes {
            arn: Ref::Known(arn),
            attributes,
        }
        | Action::ModifyTargetGroupAttributes {
            arn: Ref::Known(arn),
            attributes,
        }
        | Action::ModifyListenerAttributes {
            arn: Ref::Known(arn),
            attributes,
        } => about.update_of(
            arn.as_str(),
            ResourceUpdate {
                attributes: some(attributes),
                ..ResourceUpdate::default()
            },
        ),
        Action::RegisterTargets {
            target_group: Ref::Known(arn),
            targets,
        } => about.targets(arn, |registered| registered.extend(targets.iter().cloned())),
        Action::DeregisterTargets {
            target_group,
            targets,
        } => about.targets(target_group, |registered| {
            registered.retain(|target| !targets.contains(target));
        }),
        Action::AttachRolePolicy {
            policy: Ref::Known(policy),
            ..
        } => about.update(ResourceUpdate {
            attach: [policy.clone()].into(),
            ..ResourceUpdate::default()
        }),
        Action::DetachRolePolicy { policy, .. } => about.update(ResourceUpdate {
            detach: [policy.clone()].into(),
            ..ResourceUpdate::default()
        }),

        Action::DeleteSecurityGroup { group } => about.removed(group.as_str()),
        Action::DeleteTargetGroup { arn }
        | Action::DeleteRule { arn }
        | Action::DeletePolicy { arn } => about.removed(arn.as_str()),
        Action::DeleteRole { .. } => vec![AppliedChange::RemoveResource(op.resource.clone())],
        Action::DeleteLoadBalancer { arn } | Action::DeleteListener { arn } => {
            let mut changes = about.removed(arn.as_str());
            changes.extend(about.taken_along(arn));
            changes
        }

        Action::ApplyObject {
            reference, value, ..
        } => vec![AppliedChange::UpdateObject(
            reference.clone(),
            ObjectUpdate {
                uid: output.id.as_ref().map(|uid| uid.0.clone()),
                digest: Some(object::digest(value)),
                ..ObjectUpdate::default()
            },
        )],
        Action::DeleteObject { reference, uid } => {
            let key = reference.key();
            let other = applied
                .inventory
                .get(&key)
                .and_then(|object| object.uid.as_ref())
                .is_some_and(|recorded| recorded != uid);
            if other {
                Vec::new()
            } else {
                vec![AppliedChange::RemoveObject(key)]
            }
        }

        // Nothing of these is remembered, or the reference was not resolved and nothing was sent.
        Action::AuthorizeIngress { .. }
        | Action::RevokeIngress { .. }
        | Action::SetSecurityGroups { .. }
        | Action::SetSubnets { .. }
        | Action::SetIpAddressType { .. }
        | Action::ModifyLoadBalancerAttributes { .. }
        | Action::ModifyTargetGroup { .. }
        | Action::ModifyTargetGroupAttributes { .. }
        | Action::RegisterTargets { .. }
        | Action::ModifyListener { .. }
        | Action::ModifyListenerAttributes { .. }
        | Action::AddListenerCertificates { .. }
        | Action::RemoveListenerCertificates { .. }
        | Action::ModifyRule { .. }
        | Action::SetRulePriorities { .. }
        | Action::AddTags { .. }
        | Action::AddClientId { .. }
        | Action::CreatePolicyVersion { .. }
        | Action::SetDefaultPolicyVersion { .. }
        | Action::DeletePolicyVersion { .. }
        | Action::UpdateAssumeRolePolicy { .. }
        | Action::PutPermissionsBoundary { .. }
        | Action::UpdateRole { .. }
        | Action::AttachRolePolicy { .. }
        | Action::PutRolePolicy { .. }
        | Action::DeleteRolePolicy { .. }
        | Action::Settle { .. }
        | Action::SetIngressStatus { .. }
        | Action::RemoveFinalizer { .. } => Vec::new(),
    }
}

/// A new thing begins with an empty record, whatever an older thing of that identity had.
fn created(id: &ResourceId, output: &Output, tags: &Tags) -> Vec<AppliedChange> {
    vec![AppliedChange::SetResource(
        id.clone(),
        AppliedResource {
            arn: output.id.clone(),
            unique_id: output.unique_id.clone(),
            tags: tags.clone(),
            ..AppliedResource::default()
        },
    )]
}

/// The recorded resource that an operation is about. While a resource is being replaced, the record is the new one's
/// and operations on the old one must leave it alone.
struct About<'a> {
    id: &'a ResourceId,
    applied: &'a Applied,
}

impl About<'_> {
    fn is(&self, live: &str) -> bool {
        self.applied
            .resources
            .get(self.id)
            .and_then(|resource| resource.arn.as_ref())
            .is_none_or(|recorded| recorded.as_str() == live)
    }

    fn update(&self, update: ResourceUpdate) -> Vec<AppliedChange> {
        vec![AppliedChange::UpdateResource(self.id.clone(), update)]
    }

    fn update_of(&self, live: &str, update: ResourceUpdate) -> Vec<AppliedChange> {
        if self.is(live) {
            self.update(update)
        } else {
            Vec::new()
        }
    }

    fn tagged(&self, live: &str, tags: &Tags) -> Vec<AppliedChange> {
        self.update_of(live, set(tags))
    }

    fn untagged(&self, live: &str, keys: &BTreeSet<String>) -> Vec<AppliedChange> {
        self.update_of(live, unset(keys))
    }

    fn targets(
        &self,
        live: &Arn,
        change: impl FnOnce(&mut BTreeSet<Target>),
    ) -> Vec<AppliedChange> {
        let mut targets = self
            .applied
            .resources
            .get(self.id)
            .map(|resource| resource.targets.clone())
            .unwrap_or_default();
        change(&mut targets);
        self.update_of(
            live.as_str(),
            ResourceUpdate {
                targets: Some(targets),
                ..ResourceUpdate::default()
            },
        )
    }

    fn removed(&self, live: &str) -> Vec<AppliedChange> {
        if self.is(live) {
            vec![AppliedChange::RemoveResource(self.id.clone())]
        } else {
            Vec::new()
        }
    }

    /// Listeners and rules that go with their balancer or listener (decision 23 of the spec): their ARNs go on from
    /// its ARN, `…:loadbalancer/app/NAME/ID` → `…:listener/app/NAME/ID/…` and `…:listener-rule/app/NAME/ID/…`.
    fn taken_along(&self, parent: &Arn) -> Vec<AppliedChange> {
        let Some(place) = place(parent) else {
            return Vec::new();
        };
        self.applied
            .resources
            .iter()
            .filter(|(id, resource)| {
                id.stack == self.id.stack
                    && matches!(id.kind, ResourceKind::Listener | ResourceKind::Rule)
                    && resource
                        .arn
                        .as_ref()
                        .and_then(self::place)
                        .and_then(|child| child.strip_prefix(place))
                        .is_some_and(|rest| rest.starts_with('/'))
            })
            .map(|(id, _)| AppliedChange::RemoveResource(id.clone()))
            .collect()
    }
}

/// What follows the kind in an ELBv2 ARN: `app/NAME/ID/…`.
fn place(arn: &Arn) -> Option<&str> {
    let (_, resource) = arn.as_str().rsplit_once(':')?;
    resource.split_once('/').map(|(_, place)| place)
}

fn some(values: &BTreeMap<String, String>) -> BTreeMap<String, Option<String>> {
    values
        .iter()
        .map(|(key, value)| (key.clone(), Some(value.clone())))
        .collect()
}

fn set(tags: &Tags) -> ResourceUpdate {
    ResourceUpdate {
        tags: some(tags),
        ..ResourceUpdate::default()
    }
}

fn unset(keys: &BTreeSet<String>) -> ResourceUpdate {
    ResourceUpdate {
        tags: keys.iter().map(|key| (key.clone(), None)).collect(),
        ..ResourceUpdate::default()
    }
}
