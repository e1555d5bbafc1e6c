//! Writes: one request each, with every field that AWS would default (decision 13 of the spec).

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use aws_sdk_elasticloadbalancingv2::types as sdk;

use super::convert::{
    known, to_actions, to_certificate, to_conditions, to_default_certificate, to_matcher,
    to_mutual_authentication, to_tags, to_targets, to_transforms,
};
use crate::{
    aws::{
        CreatedLoadBalancer, ElbWrite, Result,
        governor::Class,
        sdk::{ELB, Sdk, unusable},
    },
    id::{Arn, SecurityGroupId, SubnetId},
    model::{
        elb::{HealthCheck, ListenerSpec, LoadBalancerSpec, RuleSpec, Target, TargetGroupSpec},
        net::Tags,
    },
};

/// Targets in one call: within every known limit (testbed-aws §7).
const TARGETS: usize = 100;
/// Attributes in one ModifyLoadBalancerAttributes (aws-deploy §10.6).
const ATTRIBUTES: usize = 20;

#[async_trait]
impl ElbWrite for Sdk {
    async fn create_load_balancer(&self, spec: &LoadBalancerSpec) -> Result<CreatedLoadBalancer> {
        const OPERATION: &str = "CreateLoadBalancer";
        let subnets = spec.subnets.iter().map(|subnet| {
            sdk::SubnetMapping::builder()
                .subnet_id(subnet.as_str())
                .build()
        });
        let groups = spec
            .security_groups
            .iter()
            .map(|group| known(group).0.clone());
        let answer = self
            .call(
                ELB,
                Class::ElbWrite,
                OPERATION,
                self.elb
                    .create_load_balancer()
                    .name(&spec.name)
                    .r#type(sdk::LoadBalancerTypeEnum::Application)
                    .scheme(spec.scheme.as_str().into())
                    .ip_address_type(spec.ip_address_type.as_str().into())
                    .set_subnet_mappings(Some(subnets.collect()))
                    .set_security_groups(Some(groups.collect()))
                    .set_tags(to_tags(&spec.tags))
                    .send(),
            )
            .await?;
        let created = answer
            .load_balancers
            .unwrap_or_default()
            .into_iter()
            .next()
            .ok_or_else(|| unusable(ELB, OPERATION, "the load balancer"))?;
        Ok(CreatedLoadBalancer {
            arn: Arn(created
                .load_balancer_arn
                .ok_or_else(|| unusable(ELB, OPERATION, "LoadBalancerArn"))?),
            dns_name: created.dns_name.unwrap_or_default(),
        })
    }

    async fn set_security_groups(&self, arn: &Arn, groups: &[SecurityGroupId]) -> Result<()> {
        let request = self
            .elb
            .set_security_groups()
            .load_balancer_arn(arn.as_str())
            .set_security_groups(Some(groups.iter().map(|group| group.0.clone()).collect()));
        self.call(ELB, Class::ElbWrite, "SetSecurityGroups", request.send())
            .await
            .map(drop)
    }

    async fn set_subnets(&self, arn: &Arn, subnets: &[SubnetId]) -> Result<()> {
        let request = self
            .elb
            .set_subnets()
            .load_balancer_arn(arn.as_str())
            .set_subnets(Some(
                subnets.iter().map(|subnet| subnet.0.clone()).collect(),
            ));
        self.call(ELB, Class::ElbWrite, "SetSubnets", request.send())
            .await
            .map(drop)
    }

    async fn set_ip_address_type(&self, arn: &Arn, ip_address_type: &str) -> Result<()> {
        let request = self
            .elb
            .set_ip_address_type()
            .load_balancer_arn(arn.as_str())
            .ip_address_type(ip_address_type.into());
        self.call(ELB, Class::ElbWrite, "SetIpAddressType", request.send())
            .await
            .map(drop)
    }

    async fn modify_load_balancer_attributes(
        &self,
        arn: &Arn,
        attributes: &BTreeMap<String, String>,
    ) -> Result<()> {
        let all: Vec<_> = attributes
            .iter()
            .map(|(key, value)| {
                sdk::LoadBalancerAttribute::builder()
                    .key(key)
                    .value(value)
                    .build()
            })
            .collect();
        for some in all.chunks(ATTRIBUTES) {
            self.call(
                ELB,
                Class::ElbModify,
                "ModifyLoadBalancerAttributes",
                self.elb
                    .modify_load_balancer_attributes()
                    .load_balancer_arn(arn.as_str())
                    .set_attributes(Some(some.to_vec()))
                    .send(),
            )
            .await?;
        }
        Ok(())
    }

    async fn delete_load_balancer(&self, arn: &Arn) -> Result<()> {
        let request = self
            .elb
            .delete_load_balancer()
            .load_balancer_arn(arn.as_str());
        self.call(ELB, Class::ElbWrite, "DeleteLoadBalancer", request.send())
            .await
            .map(drop)
    }

    async fn create_target_group(&self, spec: &TargetGroupSpec) -> Result<Arn> {
        const OPERATION: &str = "CreateTargetGroup";
        let check = &spec.health_check;
        let request = self
            .elb
            .create_target_group()
            .name(&spec.name)
            .target_type(spec.target_type.as_str().into())
            .port(i32::from(spec.port))
            .protocol(spec.protocol.as_str().into())
            .protocol_version(&spec.protocol_version)
            .ip_address_type(spec.ip_address_type.as_str().into())
            .vpc_id(&spec.vpc_id)
            .set_target_control_port(spec.target_control_port.map(i32::from))
            .health_check_enabled(true)
            .health_check_port(&check.port)
            .health_check_protocol(check.protocol.as_str().into())
            .health_check_path(&check.path)
            .health_check_interval_seconds(check.interval_seconds)
            .health_check_timeout_seconds(check.timeout_seconds)
            .healthy_threshold_count(check.healthy_threshold)
            .unhealthy_threshold_count(check.unhealthy_threshold)
            .matcher(to_matcher(&check.matcher))
            .set_tags(to_tags(&spec.tags));
        let answer = self
            .call(ELB, Class::ElbWrite, OPERATION, request.send())
            .await?;
        answer
            .target_groups
            .unwrap_or_default()
            .into_iter()
            .find_map(|group| group.target_group_arn)
            .map(Arn)
            .ok_or_else(|| unusable(ELB, OPERATION, "TargetGroupArn"))
    }

    async fn modify_target_group(&self, arn: &Arn, check: &HealthCheck) -> Result<()> {
        let request = self
            .elb
            .modify_target_group()
            .target_group_arn(arn.as_str())
            .health_check_enabled(true)
            .health_check_port(&check.port)
            .health_check_protocol(check.protocol.as_str().into())
            .health_check_path(&check.path)
            .health_check_interval_seconds(check.interval_seconds)
            .health_check_timeout_seconds(check.timeout_seconds)
            .healthy_threshold_count(check.healthy_threshold)
            .unhealthy_threshold_count(check.unhealthy_threshold)
            .matcher(to_matcher(&check.matcher));
        self.call(ELB, Class::ElbModify, "ModifyTargetGroup", request.send())
            .await
            .map(drop)
    }

    async fn modify_target_group_attributes(
        &self,
        arn: &Arn,
        attributes: &BTreeMap<String, String>,
    ) -> Result<()> {
        let attributes = attributes.iter().map(|(key, value)| {
            sdk::TargetGroupAttribute::builder()
                .key(key)
                .value(value)
                .build()
        });
        let request = self
            .elb
            .modify_target_group_attributes()
            .target_group_arn(arn.as_str())
            .set_attributes(Some(attributes.collect()));
        self.call(
            ELB,
            Class::ElbModify,
            "ModifyTargetGroupAttributes",
            request.send(),
        )
        .await
        .map(drop)
    }

    async fn delete_target_group(&self, arn: &Arn) -> Result<()> {
        let request = self
            .elb
            .delete_target_group()
            .target_group_arn(arn.as_str());
        self.call(ELB, Class::ElbWrite, "DeleteTargetGroup", request.send())
            .await
            .map(drop)
    }

    async fn register_targets(&self, target_group: &Arn, targets: &BTreeSet<Target>) -> Result<()> {
        for some in to_targets(targets).chunks(TARGETS) {
            self.call(
                ELB,
                Class::ElbRegister,
                "RegisterTargets",
                self.elb
                    .register_targets()
                    .target_group_arn(target_group.as_str())
                    .set_targets(Some(some.to_vec()))
                    .send(),
            )
            .await?;
        }
        Ok(())
    }

    async fn deregister_targets(
        &self,
        target_group: &Arn,
        targets: &BTreeSet<Target>,
    ) -> Result<()> {
        for some in to_targets(targets).chunks(TARGETS) {
            self.call(
                ELB,
                Class::ElbRegister,
                "DeregisterTargets",
                self.elb
                    .deregister_targets()
                    .target_group_arn(target_group.as_str())
                    .set_targets(Some(some.to_vec()))
                    .send(),
            )
            .await?;
        }
        Ok(())
    }

    async fn create_listener(&self, load_balancer: &Arn, spec: &ListenerSpec) -> Result<Arn> {
        const OPERATION: &str = "CreateListener";
        let clients = self.clients(&spec.default_actions).await?;
        let tls = spec.tls.as_ref();
        let request = self
            .elb
            .create_listener()
            .load_balancer_arn(load_balancer.as_str())
            .port(i32::from(spec.port))
            .protocol(spec.protocol.as_str().into())
            .set_certificates(tls.map(to_default_certificate))
            .set_ssl_policy(tls.and_then(|tls| tls.ssl_policy.clone()))
            .set_mutual_authentication(tls.and_then(to_mutual_authentication))
            .set_default_actions(Some(to_actions(&spec.default_actions, &clients)))
            .set_tags(to_tags(&spec.tags));
        let answer = self
            .call(ELB, Class::ElbWrite, OPERATION, request.send())
            .await?;
        answer
            .listeners
            .unwrap_or_default()
            .into_iter()
            .find_map(|listener| listener.listener_arn)
            .map(Arn)
            .ok_or_else(|| unusable(ELB, OPERATION, "ListenerArn"))
    }

    async fn modify_listener(&self, arn: &Arn, spec: &ListenerSpec) -> Result<()> {
        let clients = self.clients(&spec.default_actions).await?;
        let tls = spec.tls.as_ref();
        let request = self
            .elb
            .modify_listener()
            .listener_arn(arn.as_str())
            .port(i32::from(spec.port))
            .protocol(spec.protocol.as_str().into())
            .set_certificates(tls.map(to_default_certificate))
            .set_ssl_policy(tls.and_then(|tls| tls.ssl_policy.clone()))
            .set_mutual_authentication(tls.and_then(to_mutual_authentication))
            .set_default_actions(Some(to_actions(&spec.default_actions, &clients)));
        self.call(ELB, Class::ElbModify, "ModifyListener", request.send())
            .await
            .map(drop)
    }

    async fn modify_listener_attributes(
        &self,
        arn: &Arn,
        attributes: &BTreeMap<String, String>,
    ) -> Result<()> {
        let attributes = attributes.iter().map(|(key, value)| {
            sdk::ListenerAttribute::builder()
                .key(key)
                .value(value)
                .build()
        });
        let request = self
            .elb
            .modify_listener_attributes()
            .listener_arn(arn.as_str())
            .set_attributes(Some(attributes.collect()));
        self.call(
            ELB,
            Class::ElbModify,
            "ModifyListenerAttributes",
            request.send(),
        )
        .await
        .map(drop)
    }

    async fn add_listener_certificates(
        &self,
        arn: &Arn,
        certificates: &BTreeSet<Arn>,
    ) -> Result<()> {
        for certificate in certificates {
            self.call(
                ELB,
                Class::ElbModify,
                "AddListenerCertificates",
                self.elb
                    .add_listener_certificates()
                    .listener_arn(arn.as_str())
                    .certificates(to_certificate(certificate))
                    .send(),
            )
            .await?;
        }
        Ok(())
    }

    async fn remove_listener_certificates(
        &self,
        arn: &Arn,
        certificates: &BTreeSet<Arn>,
    ) -> Result<()> {
        for certificate in certificates {
            self.call(
                ELB,
                Class::ElbModify,
                "RemoveListenerCertificates",
                self.elb
                    .remove_listener_certificates()
                    .listener_arn(arn.as_str())
                    .certificates(to_certificate(certificate))
                    .send(),
            )
            .await?;
        }
        Ok(())
    }

    async fn delete_listener(&self, arn: &Arn) -> Result<()> {
        let request = self.elb.delete_listener().listener_arn(arn.as_str());
        self.call(ELB, Class::ElbWrite, "DeleteListener", request.send())
            .await
            .map(drop)
    }

    async fn create_rule(&self, listener: &Arn, priority: u32, spec: &RuleSpec) -> Result<Arn> {
        const OPERATION: &str = "CreateRule";
        let clients = self.clients(&spec.actions).await?;
        let request = self
            .elb
            .create_rule()
            .listener_arn(listener.as_str())
            .priority(number(priority))
            .set_conditions(Some(to_conditions(&spec.conditions)))
            .set_actions(Some(to_actions(&spec.actions, &clients)))
            .set_transforms(to_transforms(&spec.transforms))
            .set_tags(to_tags(&spec.tags));
        let answer = self
            .call(ELB, Class::ElbWrite, OPERATION, request.send())
            .await?;
        answer
            .rules
            .unwrap_or_default()
            .into_iter()
            .find_map(|rule| rule.rule_arn)
            .map(Arn)
            .ok_or_else(|| unusable(ELB, OPERATION, "RuleArn"))
    }

    async fn modify_rule(&self, arn: &Arn, spec: &RuleSpec) -> Result<()> {
        let clients = self.clients(&spec.actions).await?;
        let transforms = to_transforms(&spec.transforms);
        let request = self
            .elb
            .modify_rule()
            .rule_arn(arn.as_str())
            .set_conditions(Some(to_conditions(&spec.conditions)))
            .set_actions(Some(to_actions(&spec.actions, &clients)))
            // The two exclude each other.
            .set_reset_transforms(transforms.is_none().then_some(true))
            .set_transforms(transforms);
        self.call(ELB, Class::ElbModify, "ModifyRule", request.send())
            .await
            .map(drop)
    }

    async fn set_rule_priorities(&self, priorities: &BTreeMap<Arn, u32>) -> Result<()> {
        let pairs = priorities.iter().map(|(rule, priority)| {
            sdk::RulePriorityPair::builder()
                .rule_arn(rule.as_str())
                .priority(number(*priority))
                .build()
        });
        // One call however long the list: only as a whole is it atomic.
        let request = self
            .elb
            .set_rule_priorities()
            .set_rule_priorities(Some(pairs.collect()));
        self.call(ELB, Class::ElbWrite, "SetRulePriorities", request.send())
            .await
            .map(drop)
    }

    async fn delete_rule(&self, arn: &Arn) -> Result<()> {
        let request = self.elb.delete_rule().rule_arn(arn.as_str());
        self.call(ELB, Class::ElbWrite, "DeleteRule", request.send())
            .await
            .map(drop)
    }

    async fn add_tags(&self, arn: &Arn, tags: &Tags) -> Result<()> {
        let request = self
            .elb
            .add_tags()
            .resource_arns(arn.as_str())
            .set_tags(to_tags(tags));
        self.call(ELB, Class::ElbWrite, "AddTags", request.send())
            .await
            .map(drop)
    }

    async fn remove_tags(&self, arn: &Arn, keys: &BTreeSet<String>) -> Result<()> {
        let request = self
            .elb
            .remove_tags()
            .resource_arns(arn.as_str())
            .set_tag_keys(Some(keys.iter().cloned().collect()));
        self.call(ELB, Class::ElbWrite, "RemoveTags", request.send())
            .await
            .map(drop)
    }
}

/// 1–50000, so it always fits.
fn number(priority: u32) -> i32 {
    i32::try_from(priority).unwrap_or(i32::MAX)
}
