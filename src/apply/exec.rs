//! One operation, one call: the only match from actions to ports. It makes no choices.

use crate::{
    aws::{AwsWrite, Query},
    cluster::ClusterWrite,
    id::{Arn, SecurityGroupId},
    model::{
        call::{CallError, Effect},
        desired::Ref,
    },
    plan::{op::Action, record::Output},
};

/// Where operations go.
#[derive(Clone, Copy)]
pub struct Ports<'a> {
    pub aws: &'a dyn AwsWrite,
    pub cluster: &'a dyn ClusterWrite,
}

/// Sends the call of a resolved action.
pub async fn execute(action: &Action, ports: Ports<'_>) -> Result<Output, CallError> {
    let Ports { aws, cluster } = ports;
    match action {
        Action::CreateSecurityGroup { spec, .. } => {
            return Ok(made(aws.create_security_group(spec).await?.0));
        }
        Action::AuthorizeIngress { group, permissions } => {
            aws.authorize_ingress(known(group)?, permissions).await
        }
        Action::RevokeIngress { group, permissions } => {
            aws.revoke_ingress(group, permissions).await
        }
        Action::TagSecurityGroup { group, tags } => aws.create_tags(group, tags).await,
        Action::UntagSecurityGroup { group, keys } => aws.delete_tags(group, keys).await,
        Action::DeleteSecurityGroup { group } => aws.delete_security_group(group).await,

        Action::CreateLoadBalancer { spec, .. } => {
            let created = aws.create_load_balancer(spec).await?;
            return Ok(Output {
                id: Some(created.arn),
                unique_id: None,
                dns_name: Some(created.dns_name),
            });
        }
        Action::SetSecurityGroups { arn, groups } => {
            let groups = groups
                .iter()
                .map(|group| known(group).cloned())
                .collect::<Result<Vec<SecurityGroupId>, _>>()?;
            aws.set_security_groups(arn, &groups).await
        }
        Action::SetSubnets { arn, subnets } => aws.set_subnets(arn, subnets).await,
        Action::SetIpAddressType {
            arn,
            ip_address_type,
        } => aws.set_ip_address_type(arn, ip_address_type).await,
        Action::ModifyLoadBalancerAttributes { arn, attributes } => {
            aws.modify_load_balancer_attributes(known(arn)?, attributes)
                .await
        }
        Action::DeleteLoadBalancer { arn } => aws.delete_load_balancer(arn).await,
        Action::CreateTargetGroup { spec, .. } => {
            return Ok(made(aws.create_target_group(spec).await?.0));
        }
        Action::ModifyTargetGroup { arn, health_check } => {
            aws.modify_target_group(arn, health_check).await
        }
        Action::ModifyTargetGroupAttributes { arn, attributes } => {
            aws.modify_target_group_attributes(known(arn)?, attributes)
                .await
        }
        Action::DeleteTargetGroup { arn } => aws.delete_target_group(arn).await,
        Action::RegisterTargets {
            target_group,
            targets,
        } => aws.register_targets(known(target_group)?, targets).await,
        Action::DeregisterTargets {
            target_group,
            targets,
        } => aws.deregister_targets(target_group, targets).await,
        Action::CreateListener {
            load_balancer,
            spec,
            ..
        } => {
            let arn = aws.create_listener(known(load_balancer)?, spec).await?;
            return Ok(made(arn.0));
        }
        Action::ModifyListener { arn, spec } => aws.modify_listener(arn, spec).await,
        Action::ModifyListenerAttributes { arn, attributes } => {
            aws.modify_listener_attributes(known(arn)?, attributes)
                .await
        }
        Action::AddListenerCertificates { arn, certificates } => {
            aws.add_listener_certificates(known(arn)?, certificates)
                .await
        }
        Action::RemoveListenerCertificates { arn, certificates } => {
            aws.remove_listener_certificates(arn, certificates).await
        }
        Action::DeleteListener { arn } => aws.delete_listener(arn).await,
        Action::CreateRule {
            listener,
            priority,
            spec,
            ..
        } => {
            let arn = aws.create_rule(known(listener)?, *priority, spec).await?;
            return Ok(made(arn.0));
        }
        Action::ModifyRule { arn, spec } => aws.modify_rule(arn, spec).await,
        Action::SetRulePriorities { priorities, .. } => aws.set_rule_priorities(priorities).await,
        Action::DeleteRule { arn } => aws.delete_rule(arn).await,
        Action::AddTags { arn, tags } => aws.add_tags(known(arn)?, tags).await,
        Action::RemoveTags { arn, keys } => aws.remove_tags(arn, keys).await,

        Action::CreateOidcProvider { spec, .. } => {
            return Ok(made(aws.create_provider(spec).await?.0));
        }
        Action::AddClientId {
            provider,
            client_id,
        } => aws.add_client_id(provider, client_id).await,
        Action::CreatePolicy { spec, .. } => {
            return Ok(made(aws.create_policy(spec).await?.0));
        }
        Action::CreatePolicyVersion { arn, document } => {
            aws.create_policy_version(arn, document).await
        }
        Action::SetDefaultPolicyVersion { arn, version } => {
            aws.set_default_policy_version(arn, version).await
        }
        Action::DeletePolicyVersion { arn, version } => {
            aws.delete_policy_version(arn, version).await
        }
        Action::TagPolicy { arn, tags } => aws.tag_policy(arn, tags).await,
        Action::UntagPolicy { arn, keys } => aws.untag_policy(arn, keys).await,
        Action::DeletePolicy { arn } => aws.delete_policy(arn).await,
        Action::CreateRole { spec, .. } => {
            let created = aws.create_role(spec).await?;
            return Ok(Output {
                id: Some(created.arn),
                unique_id: Some(created.role_id),
                dns_name: None,
            });
        }
        Action::UpdateAssumeRolePolicy { role, document } => {
            aws.update_assume_role_policy(role, document).await
        }
        Action::PutPermissionsBoundary { role, boundary } => {
            aws.put_permissions_boundary(role, boundary).await
        }
        Action::UpdateRole {
            role,
            description,
            max_session_duration_seconds,
        } => {
            aws.update_role(role, description, *max_session_duration_seconds)
                .await
        }
        Action::TagRole { role, tags } => aws.tag_role(role, tags).await,
        Action::UntagRole { role, keys } => aws.untag_role(role, keys).await,
        Action::AttachRolePolicy { role, policy } => {
            aws.attach_role_policy(role, known(policy)?).await
        }
        Action::DetachRolePolicy { role, policy } => aws.detach_role_policy(role, policy).await,
        Action::PutRolePolicy {
            role,
            name,
            document,
        } => aws.put_role_policy(role, name, document).await,
        Action::DeleteRolePolicy { role, name } => aws.delete_role_policy(role, name).await,
        Action::DeleteRole { role } => aws.delete_role(role).await,
        // The wait itself is the walk's, which goes on with other work meanwhile.
        Action::Settle { .. } => Ok(()),

        Action::ApplyObject {
            reference,
            value,
            force,
        } => {
            return Ok(made(cluster.apply(reference, value, *force).await?));
        }
        Action::DeleteObject { reference, uid } => cluster.delete(reference, uid).await,
        Action::SetIngressStatus {
            reference,
            load_balancer,
            hostname,
            ports,
        } => {
            let hostname = match hostname {
                Some(hostname) => hostname.clone(),
                None => dns_name(known(load_balancer)?, aws).await?,
            };
            cluster
                .set_ingress_status(reference, &hostname.to_lowercase(), ports)
                .await
        }
        Action::RemoveFinalizer {
            reference,
            finalizer,
        } => cluster.remove_finalizer(reference, finalizer).await,
    }?;
    Ok(Output::default())
}

async fn dns_name(arn: &Arn, aws: &dyn AwsWrite) -> Result<String, CallError> {
    let found = aws
        .load_balancers(&Query::Arns(vec![arn.clone()]))
        .await?
        .pop();
    found.map(|found| found.dns_name).ok_or_else(|| CallError {
        service: "elasticloadbalancing".to_owned(),
        operation: "DescribeLoadBalancers".to_owned(),
        code: Some("LoadBalancerNotFound".to_owned()),
        status: None,
        message: format!("{arn} does not exist"),
        request_id: None,
        effect: Effect::None,
    })
}

fn made(id: String) -> Output {
    Output {
        id: Some(Arn(id)),
        ..Output::default()
    }
}

/// Actions come here resolved; one that is not is a mistake of ours, told instead of sent.
fn known<T>(reference: &Ref<T>) -> Result<&T, CallError> {
    match reference {
        Ref::Known(value) => Ok(value),
        Ref::Output(id) => Err(CallError {
            service: "albsync".to_owned(),
            operation: "resolve".to_owned(),
            code: Some("Unresolved".to_owned()),
            status: None,
            message: format!("BUG: the id of {id} was not filled in"),
            request_id: None,
            effect: Effect::None,
        }),
    }
}
