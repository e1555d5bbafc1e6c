//! The group's security group and its load balancer (aws-deploy §2.1, §2.7).

use crate::{
    id::{ResourceId, SecurityGroupId},
    model::{
        attribute::AttributeKind,
        desired::{GroupStack, Ref},
        digest::digest,
        elb::LoadBalancer,
        net::{SecurityGroup, SecurityGroupSpec},
    },
};

use super::{
    super::{
        diff::{
            self, difference, elb,
            net::{permission_text, permissions},
        },
        draft::{Draft, because, reason},
        op::Action,
    },
    Group, update,
};

impl<'a> Group<'a> {
    pub(super) fn build_security_group(&self, draft: &mut Draft<'a>, desired: &GroupStack) {
        let Some(spec) = &desired.security_group else {
            return;
        };
        let id = ResourceId::managed_security_group(self.id);
        let digest = digest(spec);
        let first = draft.ops.len();
        match self.security_group {
            Some(live) => self.mend_security_group(draft, spec, live, &digest),
            None => {
                let cause = draft.cause(&id, &digest, false);
                let action = Action::CreateSecurityGroup {
                    id: id.clone(),
                    spec: spec.clone(),
                };
                let create = draft.create(&id, action, reason(cause, self.origin()), []);
                if !spec.ingress.is_empty() {
                    let action = Action::AuthorizeIngress {
                        group: Ref::Output(id.clone()),
                        permissions: spec.ingress.iter().cloned().collect(),
                    };
                    draft.op(&id, action, reason(cause, self.origin()), [create]);
                }
            }
        }
        let live = self.security_group.map(|live| live.id.as_str());
        let update = update(draft, &id, live, digest, &Default::default(), &spec.tags);
        draft.note_resource(&id, first, update);
    }

    fn mend_security_group(
        &self,
        draft: &mut Draft<'a>,
        spec: &SecurityGroupSpec,
        live: &SecurityGroup,
        digest: &str,
    ) {
        let id = ResourceId::managed_security_group(self.id);
        let cause = draft.cause(&id, digest, true);
        let applied = draft
            .applied(&id)
            .map(|applied| applied.tags.clone())
            .unwrap_or_default();
        let tags = diff::tags(&spec.tags, &live.tags, &applied);
        if !tags.set.is_empty() {
            let action = Action::TagSecurityGroup {
                group: live.id.clone(),
                tags: tags.set.clone(),
            };
            draft.op(&id, action, because(cause, self.origin(), tags.added()), []);
        }
        if !tags.remove.is_empty() {
            let action = Action::UntagSecurityGroup {
                group: live.id.clone(),
                keys: tags.remove.clone(),
            };
            draft.op(
                &id,
                action,
                because(cause, self.origin(), tags.removed()),
                [],
            );
        }
        // Every inbound permission of this group is ours to say (decision 26).
        let changes = permissions(&spec.ingress, &live.ingress, |_| true);
        let mut needs = Vec::new();
        if !changes.authorize.is_empty() {
            let differences = changes
                .authorize
                .iter()
                .map(|permission| difference("permission", None, permission_text(permission)))
                .collect();
            let action = Action::AuthorizeIngress {
                group: Ref::Known(live.id.clone()),
                permissions: changes.authorize,
            };
            needs.push(draft.op(&id, action, because(cause, self.origin(), differences), []));
        }
        if !changes.revoke.is_empty() {
            let differences = changes
                .revoke
                .iter()
                .map(|permission| difference("permission", permission_text(permission), None))
                .collect();
            let action = Action::RevokeIngress {
                group: live.id.clone(),
                permissions: changes.revoke,
            };
            draft.op(
                &id,
                action,
                because(cause, self.origin(), differences),
                needs,
            );
        }
    }

    pub(super) fn build_load_balancer(&self, draft: &mut Draft<'a>, desired: &GroupStack) {
        let id = ResourceId::load_balancer(self.id);
        let spec = &desired.load_balancer;
        let digest = digest(spec);
        let first = draft.ops.len();
        let groups: Vec<Ref<SecurityGroupId>> = spec
            .security_groups
            .iter()
            .map(|group| elb::resolve_group(group, &draft.known))
            .collect();
        match self.load_balancer {
            Some(live) => self.mend_load_balancer(draft, desired, live, &groups, &digest),
            None => {
                let cause = draft.cause(&id, &digest, false);
                let needs = creators_of(draft, &groups);
                let mut resolved = spec.clone();
                resolved.security_groups = groups;
                let action = Action::CreateLoadBalancer {
                    id: id.clone(),
                    spec: resolved,
                };
                let create = draft.create(&id, action, reason(cause, self.origin()), needs);
                if !spec.attributes.is_empty() {
                    let action = Action::ModifyLoadBalancerAttributes {
                        arn: Ref::Output(id.clone()),
                        attributes: spec.attributes.clone(),
                    };
                    let set = diff::declared(&spec.attributes);
                    draft.op(&id, action, because(cause, self.origin(), set), [create]);
                }
            }
        }
        let live = self.load_balancer.map(|live| live.arn.as_str());
        let update = update(draft, &id, live, digest, &spec.attributes, &spec.tags);
        draft.note_resource(&id, first, update);
    }

    fn mend_load_balancer(
        &self,
        draft: &mut Draft<'a>,
        desired: &GroupStack,
        live: &LoadBalancer,
        groups: &[Ref<SecurityGroupId>],
        digest: &str,
    ) {
        let id = ResourceId::load_balancer(self.id);
        let spec = &desired.load_balancer;
        let cause = draft.cause(&id, digest, true);
        let origin = self.origin();
        self.mend_tags(
            draft,
            &id,
            &live.arn,
            (&spec.tags, &live.tags),
            (cause, origin),
        );
        let changes = elb::load_balancer(spec, groups, live);
        let arn = live.arn.clone();
        if let Some(difference) = changes.security_groups {
            let needs = creators_of(draft, groups);
            let action = Action::SetSecurityGroups {
                arn: arn.clone(),
                groups: groups.to_vec(),
            };
            draft.op(&id, action, because(cause, origin, vec![difference]), needs);
        }
        if let Some(difference) = changes.subnets {
            let action = Action::SetSubnets {
                arn: arn.clone(),
                subnets: spec.subnets.clone(),
            };
            draft.op(&id, action, because(cause, origin, vec![difference]), []);
        }
        if let Some(difference) = changes.ip_address_type {
            let action = Action::SetIpAddressType {
                arn: arn.clone(),
                ip_address_type: spec.ip_address_type.clone(),
            };
            draft.op(&id, action, because(cause, origin, vec![difference]), []);
        }
        let applied = draft
            .applied(&id)
            .map(|applied| applied.attributes.clone())
            .unwrap_or_default();
        let changes = diff::attributes(
            AttributeKind::LoadBalancer,
            &spec.attributes,
            &live.attributes,
            &applied,
        );
        if !changes.set.is_empty() {
            let action = Action::ModifyLoadBalancerAttributes {
                arn: Ref::Known(arn),
                attributes: changes.set,
            };
            draft.op(&id, action, because(cause, origin, changes.differences), []);
        }
    }
}

/// Operations that create those of the groups that do not exist yet.
fn creators_of(draft: &Draft<'_>, groups: &[Ref<SecurityGroupId>]) -> Vec<crate::id::OpId> {
    groups
        .iter()
        .filter_map(|group| match group {
            Ref::Output(id) => draft.creators.get(id).copied(),
            Ref::Known(_) => None,
        })
        .collect()
}
