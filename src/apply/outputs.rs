//! Fills in the ids of things that the same plan created: every `Ref::Output` of an action becomes `Ref::Known`.

use std::collections::BTreeMap;

use crate::{
    id::{Arn, ResourceId, SecurityGroupId},
    model::{
        applied::Applied,
        desired::Ref,
        elb::RuleAction,
        net::{Permission, PermissionSource},
    },
    plan::{op::Action, record::Output},
};

/// What creates returned, by the resource that they made.
#[derive(Clone, Debug, Default)]
pub struct Outputs(BTreeMap<ResourceId, Output>);

/// An action names a resource that nothing has made yet.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the id of {0} is not known")]
pub struct Unresolved(pub ResourceId);

type Result<T> = std::result::Result<T, Unresolved>;

impl Outputs {
    /// Starts from what earlier plans made.
    pub fn new(applied: &Applied) -> Self {
        Self(
            applied
                .resources
                .iter()
                .filter(|(_, resource)| resource.arn.is_some())
                .map(|(id, resource)| {
                    let output = Output {
                        id: resource.arn.clone(),
                        unique_id: resource.unique_id.clone(),
                        dns_name: None,
                    };
                    (id.clone(), output)
                })
                .collect(),
        )
    }

    pub fn insert(&mut self, id: ResourceId, output: Output) {
        self.0.insert(id, output);
    }

    fn arn(&self, reference: &Ref<Arn>) -> Result<Arn> {
        match reference {
            Ref::Known(arn) => Ok(arn.clone()),
            Ref::Output(id) => self.id(id),
        }
    }

    fn group(&self, reference: &Ref<SecurityGroupId>) -> Result<SecurityGroupId> {
        match reference {
            Ref::Known(group) => Ok(group.clone()),
            Ref::Output(id) => Ok(SecurityGroupId(self.id(id)?.0)),
        }
    }

    fn id(&self, id: &ResourceId) -> Result<Arn> {
        self.0
            .get(id)
            .and_then(|output| output.id.clone())
            .ok_or_else(|| Unresolved(id.clone()))
    }

    fn dns_name(&self, reference: &Ref<Arn>) -> Option<String> {
        match reference {
            Ref::Known(_) => None,
            Ref::Output(id) => self.0.get(id)?.dns_name.clone(),
        }
    }

    /// The action with all ids filled in.
    pub fn resolve(&self, action: &Action) -> Result<Action> {
        let mut action = action.clone();
        match &mut action {
            Action::AuthorizeIngress { group, permissions } => {
                *group = Ref::Known(self.group(group)?);
                self.permissions(permissions)?;
            }
            Action::RevokeIngress { permissions, .. } => self.permissions(permissions)?,
            Action::CreateLoadBalancer { spec, .. } => {
                for group in &mut spec.security_groups {
                    *group = Ref::Known(self.group(group)?);
                }
            }
            Action::SetSecurityGroups { groups, .. } => {
                for group in groups {
                    *group = Ref::Known(self.group(group)?);
                }
            }
            Action::ModifyLoadBalancerAttributes { arn, .. }
            | Action::ModifyTargetGroupAttributes { arn, .. }
            | Action::ModifyListenerAttributes { arn, .. }
            | Action::AddListenerCertificates { arn, .. }
            | Action::AddTags { arn, .. }
            | Action::RegisterTargets {
                target_group: arn, ..
            }
            | Action::AttachRolePolicy { policy: arn, .. } => *arn = Ref::Known(self.arn(arn)?),
            Action::CreateListener {
                load_balancer,
                spec,
                ..
            } => {
                *load_balancer = Ref::Known(self.arn(load_balancer)?);
                self.actions(&mut spec.default_actions)?;
            }
            Action::ModifyListener { spec, .. } => self.actions(&mut spec.default_actions)?,
            Action::CreateRule { listener, spec, .. } => {
                *listener = Ref::Known(self.arn(listener)?);
                self.actions(&mut spec.actions)?;
            }
            Action::ModifyRule { spec, .. } => self.actions(&mut spec.actions)?,
            Action::SetIngressStatus {
                load_balancer,
                hostname,
                ..
            } => {
                if hostname.is_none() {
                    *hostname = self.dns_name(load_balancer);
                }
                *load_balancer = Ref::Known(self.arn(load_balancer)?);
            }
            // A role's attachments are not sent with it; the rest names nothing by reference.
            Action::CreateSecurityGroup { .. }
            | Action::TagSecurityGroup { .. }
            | Action::UntagSecurityGroup { .. }
            | Action::DeleteSecurityGroup { .. }
            | Action::SetSubnets { .. }
            | Action::SetIpAddressType { .. }
            | Action::DeleteLoadBalancer { .. }
            | Action::CreateTargetGroup { .. }
            | Action::ModifyTargetGroup { .. }
            | Action::DeleteTargetGroup { .. }
            | Action::DeregisterTargets { .. }
            | Action::RemoveListenerCertificates { .. }
            | Action::DeleteListener { .. }
            | Action::SetRulePriorities { .. }
            | Action::DeleteRule { .. }
            | Action::RemoveTags { .. }
            | Action::CreateOidcProvider { .. }
            | Action::AddClientId { .. }
            | Action::CreatePolicy { .. }
            | Action::CreatePolicyVersion { .. }
            | Action::SetDefaultPolicyVersion { .. }
            | Action::DeletePolicyVersion { .. }
            | Action::TagPolicy { .. }
            | Action::UntagPolicy { .. }
            | Action::DeletePolicy { .. }
            | Action::CreateRole { .. }
            | Action::UpdateAssumeRolePolicy { .. }
            | Action::PutPermissionsBoundary { .. }
            | Action::UpdateRole { .. }
            | Action::TagRole { .. }
            | Action::UntagRole { .. }
            | Action::DetachRolePolicy { .. }
            | Action::PutRolePolicy { .. }
            | Action::DeleteRolePolicy { .. }
            | Action::DeleteRole { .. }
            | Action::Settle { .. }
            | Action::ApplyObject { .. }
            | Action::DeleteObject { .. }
            | Action::RemoveFinalizer { .. } => {}
        }
        Ok(action)
    }

    fn permissions(&self, permissions: &mut [Permission]) -> Result<()> {
        for permission in permissions {
            if let PermissionSource::SecurityGroup(group) = &mut permission.source {
                *group = Ref::Known(self.group(group)?);
            }
        }
        Ok(())
    }

    fn actions(&self, actions: &mut [RuleAction]) -> Result<()> {
        for action in actions {
            if let RuleAction::Forward { target_groups, .. } = action {
                for target_group in target_groups {
                    target_group.arn = Ref::Known(self.arn(&target_group.arn)?);
                }
            }
        }
        Ok(())
    }
}
