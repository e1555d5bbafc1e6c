//! What sort of thing an operation is, as far as the walk's order and its messages go.

use crate::plan::op::Action;

/// Whether the operation ends or narrows something that traffic or permissions may still rest on.
pub(super) fn takes_away(action: &Action) -> bool {
    matches!(
        action,
        Action::RevokeIngress { .. }
            | Action::DeleteSecurityGroup { .. }
            | Action::DeleteLoadBalancer { .. }
            | Action::DeleteTargetGroup { .. }
            | Action::DeregisterTargets { .. }
            | Action::RemoveListenerCertificates { .. }
            | Action::DeleteListener { .. }
            | Action::DeleteRule { .. }
            | Action::DeletePolicy { .. }
            | Action::DetachRolePolicy { .. }
            | Action::DeleteRolePolicy { .. }
            | Action::DeleteRole { .. }
            | Action::DeleteObject { .. }
            | Action::RemoveFinalizer { .. }
    )
}

/// The names of [`CallError::service`].
pub(super) fn service(action: &Action) -> &'static str {
    match action {
        Action::CreateSecurityGroup { .. }
        | Action::AuthorizeIngress { .. }
        | Action::RevokeIngress { .. }
        | Action::TagSecurityGroup { .. }
        | Action::UntagSecurityGroup { .. }
        | Action::DeleteSecurityGroup { .. } => "ec2",
        Action::CreateLoadBalancer { .. }
        | Action::SetSecurityGroups { .. }
        | Action::SetSubnets { .. }
        | Action::SetIpAddressType { .. }
        | Action::ModifyLoadBalancerAttributes { .. }
        | Action::DeleteLoadBalancer { .. }
        | Action::CreateTargetGroup { .. }
        | Action::ModifyTargetGroup { .. }
        | Action::ModifyTargetGroupAttributes { .. }
        | Action::DeleteTargetGroup { .. }
        | Action::RegisterTargets { .. }
        | Action::DeregisterTargets { .. }
        | Action::CreateListener { .. }
        | Action::ModifyListener { .. }
        | Action::ModifyListenerAttributes { .. }
        | Action::AddListenerCertificates { .. }
        | Action::RemoveListenerCertificates { .. }
        | Action::DeleteListener { .. }
        | Action::CreateRule { .. }
        | Action::ModifyRule { .. }
        | Action::SetRulePriorities { .. }
        | Action::DeleteRule { .. }
        | Action::AddTags { .. }
        | Action::RemoveTags { .. } => "elasticloadbalancing",
        Action::CreateOidcProvider { .. }
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
        | Action::AttachRolePolicy { .. }
        | Action::DetachRolePolicy { .. }
        | Action::PutRolePolicy { .. }
        | Action::DeleteRolePolicy { .. }
        | Action::DeleteRole { .. }
        | Action::Settle { .. } => "iam",
        Action::ApplyObject { .. }
        | Action::DeleteObject { .. }
        | Action::SetIngressStatus { .. }
        | Action::RemoveFinalizer { .. } => "kubernetes",
    }
}

/// The variant's name, which is AWS's name of the call where there is one.
pub(super) fn name(action: &Action) -> String {
    let text = format!("{action:?}");
    text.split([' ', '{']).next().unwrap_or_default().to_owned()
}
