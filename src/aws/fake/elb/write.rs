//! Load balancers, listeners, rules and target groups: what is written.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;

use super::{ELB, check, defaults};
use crate::{
    aws::{
        CreatedLoadBalancer, ElbWrite, Result,
        fake::{FakeAccount, State, refusal},
    },
    id::{Arn, SecurityGroupId, SubnetId},
    model::{
        attribute::AttributeKind,
        desired::Ref,
        elb::{
            HealthCheck, Listener, ListenerSpec, LoadBalancer, LoadBalancerSpec, Rule, RuleAction,
            RuleSpec, Target, TargetGroup, TargetGroupSpec, Tls,
        },
        net::Tags,
    },
};

#[async_trait]
impl ElbWrite for FakeAccount {
    async fn create_load_balancer(&self, spec: &LoadBalancerSpec) -> Result<CreatedLoadBalancer> {
        self.write((ELB, "CreateLoadBalancer"), &spec.name, |state| {
            let mut groups = Vec::new();
            for group in &spec.security_groups {
                match group {
                    Ref::Known(id) if state.security_groups.contains_key(id) => {
                        groups.push(id.clone())
                    }
                    _ => return Err(refusal("InvalidSecurityGroup", "no such security group")),
                }
            }
            let subnets: BTreeSet<SubnetId> = spec.subnets.iter().cloned().collect();
            let zones: BTreeSet<&String> = state
                .subnets
                .iter()
                .filter(|subnet| subnets.contains(&subnet.id))
                .map(|subnet| &subnet.az)
                .collect();
            if zones.len() < 2 || zones.len() != subnets.len() {
                return Err(refusal(
                    "InvalidSubnet",
                    "subnets in two zones are needed, one for each",
                ));
            }
            if let Some(live) = state
                .load_balancers
                .values()
                .find(|live| live.name == spec.name)
            {
                let same = live.scheme == Some(spec.scheme)
                    && live.subnets == subnets
                    && live.ip_address_type == spec.ip_address_type;
                return match same {
                    true => Ok(CreatedLoadBalancer {
                        arn: live.arn.clone(),
                        dns_name: live.dns_name.clone(),
                    }),
                    false => Err(refusal(
                        "DuplicateLoadBalancerName",
                        "exists with other settings",
                    )),
                };
            }
            let id = state.new_id();
            let arn = state.arn(&format!("loadbalancer/app/{}/{id}", spec.name));
            let dns_name = format!("{}-{id}.{}.elb.amazonaws.com", spec.name, state.region);
            let live = LoadBalancer {
                arn: arn.clone(),
                name: spec.name.clone(),
                dns_name: dns_name.clone(),
                kind: "application".to_owned(),
                scheme: Some(spec.scheme),
                ip_address_type: spec.ip_address_type.clone(),
                vpc_id: state.vpc.id.clone(),
                state: "provisioning".to_owned(),
                subnets,
                security_groups: groups,
                attributes: defaults(AttributeKind::LoadBalancer),
                tags: spec.tags.clone(),
            };
            state.hide(arn.as_str());
            state.load_balancers.insert(arn.clone(), live);
            Ok(CreatedLoadBalancer { arn, dns_name })
        })
    }

    async fn set_security_groups(&self, arn: &Arn, groups: &[SecurityGroupId]) -> Result<()> {
        self.write((ELB, "SetSecurityGroups"), arn, |state| {
            if groups
                .iter()
                .any(|group| !state.security_groups.contains_key(group))
            {
                return Err(refusal("InvalidSecurityGroup", "no such security group"));
            }
            state.load_balancer(arn)?.security_groups = groups.to_vec();
            Ok(())
        })
    }

    async fn set_subnets(&self, arn: &Arn, subnets: &[SubnetId]) -> Result<()> {
        self.write((ELB, "SetSubnets"), arn, |state| {
            state.load_balancer(arn)?.subnets = subnets.iter().cloned().collect();
            Ok(())
        })
    }

    async fn set_ip_address_type(&self, arn: &Arn, ip_address_type: &str) -> Result<()> {
        self.write((ELB, "SetIpAddressType"), arn, |state| {
            state.load_balancer(arn)?.ip_address_type = ip_address_type.to_owned();
            Ok(())
        })
    }

    async fn modify_load_balancer_attributes(
        &self,
        arn: &Arn,
        attributes: &BTreeMap<String, String>,
    ) -> Result<()> {
        self.write((ELB, "ModifyLoadBalancerAttributes"), arn, |state| {
            state
                .load_balancer(arn)?
                .attributes
                .extend(attributes.clone());
            Ok(())
        })
    }

    async fn delete_load_balancer(&self, arn: &Arn) -> Result<()> {
        self.write((ELB, "DeleteLoadBalancer"), arn, |state| {
            let Some(live) = state.load_balancers.get(arn) else {
                return Ok(());
            };
            let protection = live.attributes.get("deletion_protection.enabled");
            if protection.is_some_and(|value| value == "true") {
                let message = "deletion protection is enabled";
                return Err(refusal("OperationNotPermitted", message));
            }
            let groups = live.security_groups.clone();
            if state.lingering > 0 {
                let left = state.lingering;
                state
                    .lingers
                    .extend(groups.into_iter().map(|group| (group, left)));
            }
            state.load_balancers.remove(arn);
            let gone: Vec<Arn> = state
                .listeners
                .values()
                .filter(|listener| listener.load_balancer == *arn)
                .map(|listener| listener.arn.clone())
                .collect();
            for listener in gone {
                state.drop_listener(&listener);
            }
            Ok(())
        })
    }

    async fn create_target_group(&self, spec: &TargetGroupSpec) -> Result<Arn> {
        self.write((ELB, "CreateTargetGroup"), &spec.name, |state| {
            if let Some(live) = state
                .target_groups
                .values()
                .find(|live| live.name == spec.name)
            {
                let same = live.port == spec.port
                    && live.protocol == spec.protocol
                    && live.protocol_version == spec.protocol_version
                    && live.target_type == spec.target_type.as_str()
                    && live.health_check == spec.health_check;
                return match same {
                    true => Ok(live.arn.clone()),
                    false => Err(refusal(
                        "DuplicateTargetGroupName",
                        "exists with other settings",
                    )),
                };
            }
            let id = state.new_id();
            let arn = state.arn(&format!("targetgroup/{}/{id}", spec.name));
            let live = TargetGroup {
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
                attributes: defaults(AttributeKind::TargetGroup),
                tags: spec.tags.clone(),
                targets: BTreeSet::new(),
            };
            state.hide(arn.as_str());
            state.target_groups.insert(arn.clone(), live);
            Ok(arn)
        })
    }

    async fn modify_target_group(&self, arn: &Arn, health_check: &HealthCheck) -> Result<()> {
        self.write((ELB, "ModifyTargetGroup"), arn, |state| {
            state.target_group(arn)?.health_check = health_check.clone();
            Ok(())
        })
    }

    async fn modify_target_group_attributes(
        &self,
        arn: &Arn,
        attributes: &BTreeMap<String, String>,
    ) -> Result<()> {
        self.write((ELB, "ModifyTargetGroupAttributes"), arn, |state| {
            state
                .target_group(arn)?
                .attributes
                .extend(attributes.clone());
            Ok(())
        })
    }

    async fn delete_target_group(&self, arn: &Arn) -> Result<()> {
        self.write((ELB, "DeleteTargetGroup"), arn, |state| {
            let used = state
                .load_balancers
                .keys()
                .any(|live| state.forwarded_by(live).contains(arn));
            if used {
                let message =
                    format!("Target group '{arn}' is currently in use by a listener or a rule");
                return Err(refusal("ResourceInUse", message));
            }
            state.target_groups.remove(arn);
            Ok(())
        })
    }

    async fn register_targets(&self, target_group: &Arn, targets: &BTreeSet<Target>) -> Result<()> {
        self.write((ELB, "RegisterTargets"), target_group, |state| {
            let instances = state.target_group(target_group)?.target_type == "instance";
            if let Some(unknown) = targets
                .iter()
                .find(|target| instances && !state.instances.contains_key(&target.id))
            {
                let message = format!("The following targets are not valid: {}", unknown.id);
                return Err(refusal("InvalidTarget", message));
            }
            state
                .target_group(target_group)?
                .targets
                .extend(targets.iter().cloned());
            Ok(())
        })
    }

    async fn deregister_targets(
        &self,
        target_group: &Arn,
        targets: &BTreeSet<Target>,
    ) -> Result<()> {
        self.write((ELB, "DeregisterTargets"), target_group, |state| {
            state
                .target_group(target_group)?
                .targets
                .retain(|target| !targets.contains(target));
            Ok(())
        })
    }

    async fn create_listener(&self, load_balancer: &Arn, spec: &ListenerSpec) -> Result<Arn> {
        let subject = format!("{load_balancer}:{}", spec.port);
        self.write((ELB, "CreateListener"), subject, |state| {
            state.load_balancer(load_balancer)?;
            state.check_forwarded(&spec.default_actions, load_balancer)?;
            check::listener(spec, &state.certificates)?;
            let taken = state
                .listeners
                .values()
                .find(|live| live.load_balancer == *load_balancer && live.port == spec.port);
            if let Some(live) = taken {
                let same = live.protocol == spec.protocol
                    && live.default_actions == as_read(&spec.default_actions);
                return match same {
                    true => Ok(live.arn.clone()),
                    false => Err(refusal(
                        "DuplicateListener",
                        "a listener on that port exists",
                    )),
                };
            }
            let id = state.new_id();
            let of = load_balancer
                .as_str()
                .rsplit("loadbalancer/")
                .next()
                .unwrap_or_default();
            let arn = state.arn(&format!("listener/{of}/{id}"));
            let live = Listener {
                arn: arn.clone(),
                load_balancer: load_balancer.clone(),
                port: spec.port,
                protocol: spec.protocol.clone(),
                default_actions: as_read(&spec.default_actions),
                tls: tls(spec, None),
                attributes: defaults(AttributeKind::Listener),
                tags: spec.tags.clone(),
            };
            state.hide(arn.as_str());
            state.listeners.insert(arn.clone(), live);
            Ok(arn)
        })
    }

    async fn modify_listener(&self, arn: &Arn, spec: &ListenerSpec) -> Result<()> {
        self.write((ELB, "ModifyListener"), arn, |state| {
            let balancer = state.listener(arn)?.load_balancer.clone();
            state.check_forwarded(&spec.default_actions, &balancer)?;
            check::listener(spec, &state.certificates)?;
            let live = state.listener(arn)?;
            live.tls = tls(spec, Some(&live.tls));
            live.port = spec.port;
            live.protocol = spec.protocol.clone();
            live.default_actions = as_read(&spec.default_actions);
            Ok(())
        })
    }

    async fn add_listener_certificates(
        &self,
        arn: &Arn,
        certificates: &BTreeSet<Arn>,
    ) -> Result<()> {
        self.write((ELB, "AddListenerCertificates"), arn, |state| {
            check::certificates(certificates, &state.certificates)?;
            let live = state.listener(arn)?;
            if live.protocol != "HTTPS" {
                let message = "certificates can only be added to listeners of protocol HTTPS";
                return Err(refusal("ValidationError", message));
            }
            let mut all = live.tls.certificates.clone();
            all.extend(certificates.iter().cloned());
            if all.len() > check::CERTIFICATES {
                return Err(refusal("TooManyCertificates", "the listener holds no more"));
            }
            live.tls.certificates = all;
            Ok(())
        })
    }

    async fn remove_listener_certificates(
        &self,
        arn: &Arn,
        certificates: &BTreeSet<Arn>,
    ) -> Result<()> {
        self.write((ELB, "RemoveListenerCertificates"), arn, |state| {
            let live = state.listener(arn)?;
            live.tls
                .certificates
                .retain(|certificate| !certificates.contains(certificate));
            Ok(())
        })
    }

    async fn modify_listener_attributes(
        &self,
        arn: &Arn,
        attributes: &BTreeMap<String, String>,
    ) -> Result<()> {
        self.write((ELB, "ModifyListenerAttributes"), arn, |state| {
            state.listener(arn)?.attributes.extend(attributes.clone());
            Ok(())
        })
    }

    async fn delete_listener(&self, arn: &Arn) -> Result<()> {
        self.write((ELB, "DeleteListener"), arn, |state| {
            state.listener(arn)?;
            state.drop_listener(arn);
            Ok(())
        })
    }

    async fn create_rule(&self, listener: &Arn, priority: u32, spec: &RuleSpec) -> Result<Arn> {
        self.write(
            (ELB, "CreateRule"),
            format!("{listener}:{priority}"),
            |state| {
                let of = state.listener(listener)?.clone();
                let balancer = of.load_balancer;
                state.check_forwarded(&spec.actions, &balancer)?;
                check::rule(spec, &of.protocol)?;
                if !(1..=50_000).contains(&priority) {
                    return Err(refusal("ValidationError", "priority out of range"));
                }
                let taken = |live: &Rule| live.listener == *listener && live.priority == priority;
                if state.rules.values().any(taken) {
                    return Err(refusal(
                        "PriorityInUse",
                        format!("priority {priority} is in use"),
                    ));
                }
                let listeners: BTreeSet<&Arn> = state
                    .listeners
                    .values()
                    .filter(|live| live.load_balancer == balancer)
                    .map(|live| &live.arn)
                    .collect();
                let count = state
                    .rules
                    .values()
                    .filter(|live| listeners.contains(&live.listener))
                    .count();
                if count >= state.rule_limit {
                    return Err(refusal("TooManyRules", "the balancer holds no more rules"));
                }
                let id = state.new_id();
                let of = listener
                    .as_str()
                    .rsplit(":listener/")
                    .next()
                    .unwrap_or_default();
                let arn = state.arn(&format!("listener-rule/{of}/{id}"));
                let live = Rule {
                    arn: arn.clone(),
                    listener: listener.clone(),
                    priority,
                    conditions: spec.conditions.clone(),
                    actions: as_read(&spec.actions),
                    transforms: spec.transforms.clone(),
                    tags: spec.tags.clone(),
                };
                state.hide(arn.as_str());
                state.rules.insert(arn.clone(), live);
                Ok(arn)
            },
        )
    }

    async fn modify_rule(&self, arn: &Arn, spec: &RuleSpec) -> Result<()> {
        self.write((ELB, "ModifyRule"), arn, |state| {
            let listener = state.rule(arn)?.listener.clone();
            let listener = state.listener(&listener)?.clone();
            state.check_forwarded(&spec.actions, &listener.load_balancer)?;
            check::rule(spec, &listener.protocol)?;
            let live = state.rule(arn)?;
            live.conditions.clone_from(&spec.conditions);
            live.actions = as_read(&spec.actions);
            live.transforms.clone_from(&spec.transforms);
            Ok(())
        })
    }

    async fn set_rule_priorities(&self, priorities: &BTreeMap<Arn, u32>) -> Result<()> {
        let subject = priorities
            .keys()
            .map(Arn::as_str)
            .collect::<Vec<_>>()
            .join(",");
        self.write((ELB, "SetRulePriorities"), subject, |state| {
            let numbers: BTreeSet<u32> = priorities.values().copied().collect();
            if numbers.len() != priorities.len() {
                return Err(refusal("PriorityInUse", "the same priority twice"));
            }
            for (arn, priority) in priorities {
                let listener = state.rule(arn)?.listener.clone();
                // Stricter than AWS: numbers of rules of the same call count as used, as some emulators see it.
                let taken = state.rules.values().any(|live| {
                    live.listener == listener && live.arn != *arn && live.priority == *priority
                });
                if taken {
                    return Err(refusal(
                        "PriorityInUse",
                        format!("priority {priority} is in use"),
                    ));
                }
            }
            for (arn, priority) in priorities {
                state.rule(arn)?.priority = *priority;
            }
            Ok(())
        })
    }

    async fn delete_rule(&self, arn: &Arn) -> Result<()> {
        self.write((ELB, "DeleteRule"), arn, |state| {
            state.rule(arn)?;
            state.rules.remove(arn);
            Ok(())
        })
    }

    async fn add_tags(&self, arn: &Arn, tags: &Tags) -> Result<()> {
        self.write((ELB, "AddTags"), arn, |state| {
            state.existing_tags(arn)?.extend(tags.clone());
            Ok(())
        })
    }

    async fn remove_tags(&self, arn: &Arn, keys: &BTreeSet<String>) -> Result<()> {
        self.write((ELB, "RemoveTags"), arn, |state| {
            state
                .existing_tags(arn)?
                .retain(|key, _| !keys.contains(key));
            Ok(())
        })
    }
}

/// What a listener has of certificates after a write; what the request does not name stays.
fn tls(spec: &ListenerSpec, before: Option<&Tls>) -> Tls {
    let Some(wanted) = &spec.tls else {
        return Tls::default();
    };
    let before = before.cloned().unwrap_or_default();
    Tls {
        default_certificate: Some(wanted.default_certificate.clone()),
        certificates: before.certificates,
        ssl_policy: wanted.ssl_policy.clone().or(before.ssl_policy),
        mutual_authentication: wanted
            .mutual_authentication
            .clone()
            .or(before.mutual_authentication),
    }
}

/// Actions as they come back: nothing is said of a client's secret.
fn as_read(actions: &[RuleAction]) -> Vec<RuleAction> {
    let mut actions = actions.to_vec();
    for action in &mut actions {
        if let RuleAction::AuthenticateOidc { client, .. } = action {
            *client = None;
        }
    }
    actions
}

impl State {
    fn arn(&self, rest: &str) -> Arn {
        Arn(format!(
            "arn:aws:elasticloadbalancing:{}:{}:{rest}",
            self.region, self.account
        ))
    }

    fn drop_listener(&mut self, arn: &Arn) {
        self.listeners.remove(arn);
        self.rules.retain(|_, rule| rule.listener != *arn);
    }

    fn existing_tags(&mut self, arn: &Arn) -> Result<&mut Tags> {
        let code = match arn.as_str() {
            text if text.contains(":loadbalancer/") => "LoadBalancerNotFound",
            text if text.contains(":listener/") => "ListenerNotFound",
            text if text.contains(":listener-rule/") => "RuleNotFound",
            _ => "TargetGroupNotFound",
        };
        self.tags_of(arn)
            .ok_or_else(|| refusal(code, format!("no such thing '{arn}'")))
    }
}
