//! Writes go through; what they changed is remembered in the form in which it would be read.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use serde_json::Value;

use super::{Cached, Memory, forwarded};
use crate::{
    aws::{CreatedLoadBalancer, CreatedRole, Ec2Write, ElbWrite, IamWrite, Result},
    id::{Arn, RoleName, SecurityGroupId, SubnetId},
    model::{
        elb::{
            HealthCheck, Listener, ListenerSpec, LoadBalancerSpec, Rule, RuleAction, RuleSpec,
            Target, TargetGroup, TargetGroupSpec, Tls,
        },
        iam::{PolicySpec, ProviderSpec, RoleSpec},
        net::{Permission, SecurityGroup, SecurityGroupSpec, Tags},
    },
};

#[async_trait]
impl ElbWrite for Cached {
    async fn create_load_balancer(&self, spec: &LoadBalancerSpec) -> Result<CreatedLoadBalancer> {
        let answer = self.inner.create_load_balancer(spec).await;
        self.wrote(answer, |memory, created| {
            // The balancer itself will be read: AWS decides on more of it than the request says. That it is new, and not
            // one of the same name that was there before, was seen before the create.
            memory.forget_load_balancer(&created.arn);
            memory.tags.insert(created.arn.clone(), spec.tags.clone());
            memory.listeners.insert(created.arn.clone(), Vec::new());
            memory.hanging.insert(created.arn.clone(), BTreeSet::new());
        })
    }

    async fn set_security_groups(&self, arn: &Arn, groups: &[SecurityGroupId]) -> Result<()> {
        let answer = self.inner.set_security_groups(arn, groups).await;
        self.wrote(answer, |memory, ()| {
            if let Some(live) = memory.load_balancers.get_mut(arn) {
                live.security_groups = groups.to_vec();
                live.security_groups.sort();
            }
        })
    }

    async fn set_subnets(&self, arn: &Arn, subnets: &[SubnetId]) -> Result<()> {
        let answer = self.inner.set_subnets(arn, subnets).await;
        self.wrote(answer, |memory, ()| {
            if let Some(live) = memory.load_balancers.get_mut(arn) {
                live.subnets = subnets.iter().cloned().collect();
            }
        })
    }

    async fn set_ip_address_type(&self, arn: &Arn, ip_address_type: &str) -> Result<()> {
        let answer = self.inner.set_ip_address_type(arn, ip_address_type).await;
        self.wrote(answer, |memory, ()| {
            if let Some(live) = memory.load_balancers.get_mut(arn) {
                live.ip_address_type = ip_address_type.to_owned();
            }
        })
    }

    async fn modify_load_balancer_attributes(
        &self,
        arn: &Arn,
        attributes: &BTreeMap<String, String>,
    ) -> Result<()> {
        let answer = self
            .inner
            .modify_load_balancer_attributes(arn, attributes)
            .await;
        self.wrote(answer, |memory, ()| memory.set_attributes(arn, attributes))
    }

    async fn delete_load_balancer(&self, arn: &Arn) -> Result<()> {
        let answer = self.inner.delete_load_balancer(arn).await;
        self.wrote(answer, |memory, ()| memory.forget_load_balancer(arn))
    }

    async fn create_target_group(&self, spec: &TargetGroupSpec) -> Result<Arn> {
        let answer = self.inner.create_target_group(spec).await;
        self.wrote(answer, |memory, arn| {
            memory.forget_target_group(arn);
            memory.tags.insert(arn.clone(), spec.tags.clone());
            memory.targets.insert(arn.clone(), BTreeSet::new());
            memory.target_groups.insert(
                arn.clone(),
                TargetGroup {
                    arn: arn.clone(),
                    name: spec.name.clone(),
                    target_type: spec.target_type.as_str().to_owned(),
                    port: spec.port,
                    protocol: spec.protocol.clone(),
                    protocol_version: spec.protocol_version.clone(),
                    ip_address_type: spec.ip_address_type.clone(),
                    vpc_id: spec.vpc_id.clone(),
                    target_control_port: spec.target_control_port,
                    health_check: spec.health_check.clone(),
                    attributes: BTreeMap::new(),
                    tags: Tags::new(),
                    targets: BTreeSet::new(),
                },
            );
        })
    }

    async fn modify_target_group(&self, arn: &Arn, health_check: &HealthCheck) -> Result<()> {
        let answer = self.inner.modify_target_group(arn, health_check).await;
        self.wrote(answer, |memory, ()| {
            if let Some(live) = memory.target_groups.get_mut(arn) {
                live.health_check = health_check.clone();
            }
        })
    }

    async fn modify_target_group_attributes(
        &self,
        arn: &Arn,
        attributes: &BTreeMap<String, String>,
    ) -> Result<()> {
        let answer = self
            .inner
            .modify_target_group_attributes(arn, attributes)
            .await;
        self.wrote(answer, |memory, ()| memory.set_attributes(arn, attributes))
    }

    async fn delete_target_group(&self, arn: &Arn) -> Result<()> {
        let answer = self.inner.delete_target_group(arn).await;
        self.wrote(answer, |memory, ()| memory.forget_target_group(arn))
    }

    async fn register_targets(&self, target_group: &Arn, targets: &BTreeSet<Target>) -> Result<()> {
        let answer = self.inner.register_targets(target_group, targets).await;
        self.wrote(answer, |memory, ()| {
            if let Some(known) = memory.targets.get_mut(target_group) {
                known.extend(targets.iter().cloned());
            }
        })
    }

    async fn deregister_targets(
        &self,
        target_group: &Arn,
        targets: &BTreeSet<Target>,
    ) -> Result<()> {
        let answer = self.inner.deregister_targets(target_group, targets).await;
        self.wrote(answer, |memory, ()| {
            if let Some(known) = memory.targets.get_mut(target_group) {
                known.retain(|target| !targets.contains(target));
            }
        })
    }

    async fn create_listener(&self, load_balancer: &Arn, spec: &ListenerSpec) -> Result<Arn> {
        let answer = self.inner.create_listener(load_balancer, spec).await;
        self.wrote(answer, |memory, arn| {
            memory.hang(load_balancer, &spec.default_actions);
            memory.tags.insert(arn.clone(), spec.tags.clone());
            memory.rules.insert(arn.clone(), Vec::new());
            memory.certificates.insert(arn.clone(), BTreeSet::new());
            if let Some(listeners) = memory.listeners.get_mut(load_balancer) {
                listeners.retain(|live| live.arn != *arn);
                listeners.push(Listener {
                    arn: arn.clone(),
                    load_balancer: load_balancer.clone(),
                    port: spec.port,
                    protocol: spec.protocol.clone(),
                    default_actions: as_read(&spec.default_actions),
                    tls: tls_as_read(spec, None),
                    attributes: BTreeMap::new(),
                    tags: Tags::new(),
                });
                listeners.sort_by_key(|live| live.port);
            }
        })
    }

    async fn modify_listener(&self, arn: &Arn, spec: &ListenerSpec) -> Result<()> {
        let answer = self.inner.modify_listener(arn, spec).await;
        self.wrote(answer, |memory, ()| {
            if let Some(load_balancer) = memory.load_balancer_of(arn) {
                memory.hang(&load_balancer, &spec.default_actions);
            } else {
                memory.hanging.clear();
            }
            for live in memory.listeners.values_mut().flatten() {
                if live.arn == *arn {
                    live.tls = tls_as_read(spec, Some(&live.tls));
                    live.port = spec.port;
                    live.protocol.clone_from(&spec.protocol);
                    live.default_actions = as_read(&spec.default_actions);
                }
            }
        })
    }

    async fn modify_listener_attributes(
        &self,
        arn: &Arn,
        attributes: &BTreeMap<String, String>,
    ) -> Result<()> {
        let answer = self.inner.modify_listener_attributes(arn, attributes).await;
        self.wrote(answer, |memory, ()| memory.set_attributes(arn, attributes))
    }

    async fn add_listener_certificates(
        &self,
        arn: &Arn,
        certificates: &BTreeSet<Arn>,
    ) -> Result<()> {
        let answer = self
            .inner
            .add_listener_certificates(arn, certificates)
            .await;
        self.wrote(answer, |memory, ()| {
            if let Some(known) = memory.certificates.get_mut(arn) {
                known.extend(certificates.iter().cloned());
            }
        })
    }

    async fn remove_listener_certificates(
        &self,
        arn: &Arn,
        certificates: &BTreeSet<Arn>,
    ) -> Result<()> {
        let answer = self
            .inner
            .remove_listener_certificates(arn, certificates)
            .await;
        self.wrote(answer, |memory, ()| {
            if let Some(known) = memory.certificates.get_mut(arn) {
                known.retain(|certificate| !certificates.contains(certificate));
            }
        })
    }

    async fn delete_listener(&self, arn: &Arn) -> Result<()> {
        let answer = self.inner.delete_listener(arn).await;
        self.wrote(answer, |memory, ()| memory.forget_listener(arn))
    }

    async fn create_rule(&self, listener: &Arn, priority: u32, spec: &RuleSpec) -> Result<Arn> {
        let answer = self.inner.create_rule(listener, priority, spec).await;
        self.wrote(answer, |memory, arn| {
            memory.hang_on_listener(listener, &spec.actions);
            memory.tags.insert(arn.clone(), spec.tags.clone());
            if let Some(rules) = memory.rules.get_mut(listener) {
                rules.push(Rule {
                    arn: arn.clone(),
                    listener: listener.clone(),
                    priority,
                    conditions: spec.conditions.clone(),
                    actions: as_read(&spec.actions),
                    transforms: spec.transforms.clone(),
                    tags: Tags::new(),
                });
                rules.sort_by_key(|live| live.priority);
            }
        })
    }

    async fn modify_rule(&self, arn: &Arn, spec: &RuleSpec) -> Result<()> {
        let answer = self.inner.modify_rule(arn, spec).await;
        self.wrote(answer, |memory, ()| {
            let mut listener = None;
            for live in memory.rules.values_mut().flatten() {
                if live.arn == *arn {
                    live.conditions.clone_from(&spec.conditions);
                    live.actions = as_read(&spec.actions);
                    live.transforms.clone_from(&spec.transforms);
                    listener = Some(live.listener.clone());
                }
            }
            match listener {
                Some(listener) => memory.hang_on_listener(&listener, &spec.actions),
                None => memory.hanging.clear(),
            }
        })
    }

    async fn set_rule_priorities(&self, priorities: &BTreeMap<Arn, u32>) -> Result<()> {
        let answer = self.inner.set_rule_priorities(priorities).await;
        self.wrote(answer, |memory, ()| {
            for rules in memory.rules.values_mut() {
                for live in rules.iter_mut() {
                    if let Some(priority) = priorities.get(&live.arn) {
                        live.priority = *priority;
                    }
                }
                rules.sort_by_key(|live| live.priority);
            }
        })
    }

    async fn delete_rule(&self, arn: &Arn) -> Result<()> {
        let answer = self.inner.delete_rule(arn).await;
        self.wrote(answer, |memory, ()| {
            memory.tags.remove(arn);
            for rules in memory.rules.values_mut() {
                rules.retain(|live| live.arn != *arn);
            }
        })
    }

    async fn add_tags(&self, arn: &Arn, tags: &Tags) -> Result<()> {
        let answer = self.inner.add_tags(arn, tags).await;
        self.wrote(answer, |memory, ()| {
            if let Some(known) = memory.tags.get_mut(arn) {
                known.extend(tags.clone());
            }
        })
    }

    async fn remove_tags(&self, arn: &Arn, keys: &BTreeSet<String>) -> Result<()> {
        let answer = self.inner.remove_tags(arn, keys).await;
        self.wrote(answer, |memory, ()| {
            if let Some(known) = memory.tags.get_mut(arn) {
                known.retain(|key, _| !keys.contains(key));
            }
        })
    }
}

/// Actions as they are read back: target groups in order, an empty body as none.
fn as_read(actions: &[RuleAction]) -> Vec<RuleAction> {
    let mut actions = actions.to_vec();
    for action in &mut actions {
        match action {
            RuleAction::Forward { target_groups, .. } => target_groups.sort(),
            RuleAction::FixedResponse {
                content_type,
                message_body,
                ..
            } => {
                content_type.take_if(|text| text.is_empty());
                message_body.take_if(|text| text.is_empty());
            }
            // AWS says nothing of the secret.
            RuleAction::AuthenticateOidc { client, .. } => *client = None,
            RuleAction::Redirect { .. }
            | RuleAction::AuthenticateCognito { .. }
            | RuleAction::JwtValidation(_)
            | RuleAction::Other { .. } => {}
        }
    }
    actions
}

/// The encrypted half after a write, without the certificates beyond the default; what is not named stays.
fn tls_as_read(spec: &ListenerSpec, before: Option<&Tls>) -> Tls {
    let Some(wanted) = &spec.tls else {
        return Tls::default();
    };
    let before = before.cloned().unwrap_or_default();
    Tls {
        default_certificate: Some(wanted.default_certificate.clone()),
        certificates: BTreeSet::new(),
        ssl_policy: wanted.ssl_policy.clone().or(before.ssl_policy),
        mutual_authentication: wanted
            .mutual_authentication
            .clone()
            .or(before.mutual_authentication),
    }
}

impl Memory {
    fn set_attributes(&mut self, arn: &Arn, attributes: &BTreeMap<String, String>) {
        if let Some(known) = self.attributes.get_mut(arn) {
            known.extend(attributes.clone());
        }
    }

    /// The balancer of a listener, where its listeners are known.
    fn load_balancer_of(&self, listener: &Arn) -> Option<Arn> {
        self.listeners
            .values()
            .flatten()
            .find(|live| live.arn == *listener)
            .map(|live| live.load_balancer.clone())
    }

    /// Target groups that are named from now on. Those that were named before stay: who reads sorts out what is gone.
    fn hang(&mut self, load_balancer: &Arn, actions: &[RuleAction]) {
        if let Some(hanging) = self.hanging.get_mut(load_balancer) {
            hanging.extend(forwarded(actions).cloned());
        }
    }

    fn hang_on_listener(&mut self, listener: &Arn, actions: &[RuleAction]) {
        match self.load_balancer_of(listener) {
            Some(load_balancer) => self.hang(&load_balancer, actions),
            None => self.hanging.clear(),
        }
    }

    fn forget_load_balancer(&mut self, arn: &Arn) {
        let listeners = self.listeners.remove(arn).unwrap_or_default();
        for listener in listeners {
            self.forget_listener(&listener.arn);
        }
        self.load_balancers.remove(arn);
        self.hanging.remove(arn);
        self.tags.remove(arn);
        self.attributes.remove(arn);
    }

    fn forget_listener(&mut self, arn: &Arn) {
        for rule in self.rules.remove(arn).unwrap_or_default() {
            self.tags.remove(&rule.arn);
        }
        for listeners in self.listeners.values_mut() {
            listeners.retain(|live| live.arn != *arn);
        }
        self.tags.remove(arn);
        self.attributes.remove(arn);
        self.certificates.remove(arn);
    }

    fn forget_target_group(&mut self, arn: &Arn) {
        for hanging in self.hanging.values_mut() {
            hanging.remove(arn);
        }
        self.target_groups.remove(arn);
        self.targets.remove(arn);
        self.tags.remove(arn);
        self.attributes.remove(arn);
    }
}

#[async_trait]
impl Ec2Write for Cached {
    async fn create_security_group(&self, spec: &SecurityGroupSpec) -> Result<SecurityGroupId> {
        let answer = self.inner.create_security_group(spec).await;
        self.wrote(answer, |memory, id| {
            memory.security_groups.insert(
                id.clone(),
                SecurityGroup {
                    id: id.clone(),
                    name: spec.name.clone(),
                    description: spec.description.clone(),
                    vpc_id: spec.vpc_id.clone(),
                    tags: spec.tags.clone(),
                    ingress: BTreeSet::new(),
                },
            );
        })
    }

    async fn authorize_ingress(
        &self,
        group: &SecurityGroupId,
        permissions: &[Permission],
    ) -> Result<()> {
        let answer = self.inner.authorize_ingress(group, permissions).await;
        self.wrote(answer, |memory, ()| {
            if let Some(live) = memory.security_groups.get_mut(group) {
                live.ingress.extend(permissions.iter().cloned());
            }
        })
    }

    async fn revoke_ingress(
        &self,
        group: &SecurityGroupId,
        permissions: &[Permission],
    ) -> Result<()> {
        let answer = self.inner.revoke_ingress(group, permissions).await;
        self.wrote(answer, |memory, ()| {
            if let Some(live) = memory.security_groups.get_mut(group) {
                // The description is no part of a permission's identity.
                live.ingress.retain(|known| {
                    !permissions.iter().any(|gone| {
                        (&gone.protocol, gone.from_port, gone.to_port, &gone.source)
                            == (
                                &known.protocol,
                                known.from_port,
                                known.to_port,
                                &known.source,
                            )
                    })
                });
            }
        })
    }

    async fn create_tags(&self, group: &SecurityGroupId, tags: &Tags) -> Result<()> {
        let answer = self.inner.create_tags(group, tags).await;
        self.wrote(answer, |memory, ()| {
            if let Some(live) = memory.security_groups.get_mut(group) {
                live.tags.extend(tags.clone());
            }
        })
    }

    async fn delete_tags(&self, group: &SecurityGroupId, keys: &BTreeSet<String>) -> Result<()> {
        let answer = self.inner.delete_tags(group, keys).await;
        self.wrote(answer, |memory, ()| {
            if let Some(live) = memory.security_groups.get_mut(group) {
                live.tags.retain(|key, _| !keys.contains(key));
            }
        })
    }

    async fn delete_security_group(&self, group: &SecurityGroupId) -> Result<()> {
        let answer = self.inner.delete_security_group(group).await;
        self.wrote(answer, |memory, ()| {
            memory.security_groups.remove(group);
        })
    }
}

#[async_trait]
impl IamWrite for Cached {
    async fn create_provider(&self, spec: &ProviderSpec) -> Result<Arn> {
        self.inner.create_provider(spec).await
    }

    async fn add_client_id(&self, provider: &Arn, client_id: &str) -> Result<()> {
        self.inner.add_client_id(provider, client_id).await
    }

    async fn create_policy(&self, spec: &PolicySpec) -> Result<Arn> {
        self.inner.create_policy(spec).await
    }

    async fn create_policy_version(&self, arn: &Arn, document: &Value) -> Result<()> {
        self.inner.create_policy_version(arn, document).await
    }

    async fn set_default_policy_version(&self, arn: &Arn, version: &str) -> Result<()> {
        self.inner.set_default_policy_version(arn, version).await
    }

    async fn delete_policy_version(&self, arn: &Arn, version: &str) -> Result<()> {
        self.inner.delete_policy_version(arn, version).await
    }

    async fn tag_policy(&self, arn: &Arn, tags: &Tags) -> Result<()> {
        self.inner.tag_policy(arn, tags).await
    }

    async fn untag_policy(&self, arn: &Arn, keys: &BTreeSet<String>) -> Result<()> {
        self.inner.untag_policy(arn, keys).await
    }

    async fn delete_policy(&self, arn: &Arn) -> Result<()> {
        self.inner.delete_policy(arn).await
    }

    async fn create_role(&self, spec: &RoleSpec) -> Result<CreatedRole> {
        self.inner.create_role(spec).await
    }

    async fn update_assume_role_policy(&self, role: &RoleName, document: &Value) -> Result<()> {
        self.inner.update_assume_role_policy(role, document).await
    }

    async fn put_permissions_boundary(&self, role: &RoleName, boundary: &Arn) -> Result<()> {
        self.inner.put_permissions_boundary(role, boundary).await
    }

    async fn update_role(
        &self,
        role: &RoleName,
        description: &str,
        max_session_duration_seconds: i32,
    ) -> Result<()> {
        self.inner
            .update_role(role, description, max_session_duration_seconds)
            .await
    }

    async fn tag_role(&self, role: &RoleName, tags: &Tags) -> Result<()> {
        self.inner.tag_role(role, tags).await
    }

    async fn untag_role(&self, role: &RoleName, keys: &BTreeSet<String>) -> Result<()> {
        self.inner.untag_role(role, keys).await
    }

    async fn attach_role_policy(&self, role: &RoleName, policy: &Arn) -> Result<()> {
        self.inner.attach_role_policy(role, policy).await
    }

    async fn detach_role_policy(&self, role: &RoleName, policy: &Arn) -> Result<()> {
        self.inner.detach_role_policy(role, policy).await
    }

    async fn put_role_policy(&self, role: &RoleName, name: &str, document: &Value) -> Result<()> {
        self.inner.put_role_policy(role, name, document).await
    }

    async fn delete_role_policy(&self, role: &RoleName, name: &str) -> Result<()> {
        self.inner.delete_role_policy(role, name).await
    }

    async fn delete_role(&self, role: &RoleName) -> Result<()> {
        self.inner.delete_role(role).await
    }
}
