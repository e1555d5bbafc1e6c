//! A few AWS resources in memory, with faults and crash points at every call: what these tests need and no more.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use async_trait::async_trait;
use serde_json::Value;
use tokio::task::yield_now;

use crate::{
    apply::Clock,
    aws::*,
    id::{Arn, RoleName, SecurityGroupId, SubnetId},
    model::{
        call::{CallError, Effect},
        elb::*,
        facts::{CertificateFact, NamedArn, PrefixListFact, Subnet, Vpc},
        iam::{Policy, PolicySpec, Provider, ProviderSpec, Role, RoleSpec},
        net::{Permission, SecurityGroup, SecurityGroupSpec, Tags},
    },
};

/// What goes wrong with one call.
#[derive(Clone, Debug)]
pub enum Fault {
    Refused(&'static str),
    /// It takes effect and the answer is lost.
    Lost,
    /// No answer for ever, after the effect.
    Hang,
}

#[derive(Clone, Default)]
pub struct Account {
    state: Arc<Mutex<State>>,
    pub clock: VirtualClock,
}

#[derive(Default)]
struct State {
    serial: u32,
    groups: BTreeMap<SecurityGroupId, SecurityGroup>,
    balancers: BTreeMap<Arn, LoadBalancer>,
    listeners: BTreeMap<Arn, Listener>,
    rules: BTreeMap<Arn, Rule>,
    target_groups: BTreeMap<Arn, TargetGroup>,
    roles: BTreeMap<RoleName, Role>,
    /// Operation → fault of its nth call from now (1 is the next).
    faults: Vec<(String, u32, Fault)>,
    throttled_until: Duration,
    /// Security groups cannot go before this time.
    busy_until: Duration,
    /// Nothing made after this count of creates is seen by reads until then.
    hidden_until: Duration,
    calls: Vec<String>,
    /// Writes so far, two points each; at this one the call never goes on.
    points: u32,
    crash_at: Option<u32>,
    crashed: bool,
}

impl Account {
    pub fn fail(&self, operation: &str, nth: u32, fault: Fault) {
        let mut state = self.lock();
        state.faults.push((operation.to_owned(), nth, fault));
    }

    pub fn throttle_for(&self, time: Duration) {
        self.lock().throttled_until = self.clock.elapsed() + time;
    }

    pub fn busy_for(&self, time: Duration) {
        self.lock().busy_until = self.clock.elapsed() + time;
    }

    pub fn hide_for(&self, time: Duration) {
        self.lock().hidden_until = self.clock.elapsed() + time;
    }

    pub fn crash_at(&self, point: Option<u32>) {
        let mut state = self.lock();
        state.points = 0;
        state.crash_at = point;
        state.crashed = false;
    }

    pub fn crashed(&self) -> bool {
        self.lock().crashed
    }

    /// Writes, in order.
    pub fn calls(&self) -> Vec<String> {
        self.lock().calls.clone()
    }

    pub fn count(&self, operation: &str) -> usize {
        self.calls()
            .iter()
            .filter(|call| *call == operation)
            .count()
    }

    /// Everything that is there, in words, without ids.
    pub fn dump(&self) -> Vec<String> {
        let state = self.lock();
        let mut lines = Vec::new();
        for group in state.groups.values() {
            lines.push(format!(
                "group {} {:?} {:?}",
                group.name,
                group.tags,
                group
                    .ingress
                    .iter()
                    .map(|p| p.from_port)
                    .collect::<Vec<_>>()
            ));
        }
        for it in state.balancers.values() {
            lines.push(format!("balancer {} {:?}", it.name, it.tags));
        }
        for it in state.listeners.values() {
            lines.push(format!("listener {} {:?}", it.port, it.tags));
        }
        for it in state.rules.values() {
            lines.push(format!(
                "rule {} {:?} {:?}",
                it.priority, it.conditions, it.tags
            ));
        }
        for it in state.target_groups.values() {
            lines.push(format!(
                "target group {} {:?} {:?}",
                it.name, it.tags, it.targets
            ));
        }
        for it in state.roles.values() {
            lines.push(format!("role {} {:?}", it.name, it.tags));
        }
        lines.sort();
        lines
    }

    pub fn group(&self, name: &str) -> Option<SecurityGroup> {
        let state = self.lock();
        state.groups.values().find(|it| it.name == name).cloned()
    }

    pub fn balancer(&self, name: &str) -> Option<LoadBalancer> {
        let state = self.lock();
        state.balancers.values().find(|it| it.name == name).cloned()
    }

    pub fn target_group(&self, name: &str) -> Option<TargetGroup> {
        let state = self.lock();
        state
            .target_groups
            .values()
            .find(|it| it.name == name)
            .cloned()
    }

    pub fn listener(&self, port: u16) -> Option<Listener> {
        let state = self.lock();
        state.listeners.values().find(|it| it.port == port).cloned()
    }

    pub fn rule(&self, priority: u32) -> Option<Rule> {
        let state = self.lock();
        state
            .rules
            .values()
            .find(|it| it.priority == priority)
            .cloned()
    }

    pub fn forget_tags_of_balancer(&self) {
        for it in self.lock().balancers.values_mut() {
            it.tags.clear();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    async fn write<T>(
        &self,
        operation: &str,
        effect: impl FnOnce(&mut State, Duration) -> Result<T>,
    ) -> Result<T> {
        self.point().await;
        let now = self.clock.elapsed();
        let fault = {
            let mut state = self.lock();
            state.calls.push(operation.to_owned());
            if now < state.throttled_until {
                return Err(error(operation, "Throttling"));
            }
            state.fault(operation)
        };
        if let Some(Fault::Refused(code)) = fault {
            return Err(error(operation, code));
        }
        let answer = effect(&mut self.lock(), now);
        self.point().await;
        match fault {
            Some(Fault::Lost) => Err(CallError {
                code: None,
                status: None,
                effect: Effect::Unknown,
                ..error(operation, "")
            }),
            Some(Fault::Hang) => std::future::pending().await,
            _ => answer,
        }
    }

    async fn read<T>(&self, read: impl FnOnce(&State) -> T) -> Result<T>
    where
        T: Default,
    {
        yield_now().await;
        let state = self.lock();
        if self.clock.elapsed() < state.hidden_until {
            return Ok(T::default());
        }
        Ok(read(&state))
    }

    async fn point(&self) {
        yield_now().await;
        let stop = {
            let mut state = self.lock();
            let stop = state.crash_at == Some(state.points);
            state.points += 1;
            state.crashed |= stop;
            stop
        };
        if stop {
            std::future::pending::<()>().await;
        }
    }
}

impl State {
    fn fault(&mut self, operation: &str) -> Option<Fault> {
        let mut due = None;
        self.faults.retain_mut(|(on, nth, fault)| {
            if on != operation {
                return true;
            }
            *nth -= 1;
            if *nth == 0 {
                due = Some(fault.clone());
            }
            *nth > 0
        });
        due
    }

    fn id(&mut self) -> u32 {
        self.serial += 1;
        self.serial
    }
}

fn error(operation: &str, code: &str) -> CallError {
    let service = if operation.contains("SecurityGroup") || operation.contains("Ingress") {
        "ec2"
    } else if operation.contains("Role") || operation.contains("olicy") {
        "iam"
    } else {
        "elasticloadbalancing"
    };
    CallError {
        service: service.to_owned(),
        operation: operation.to_owned(),
        code: Some(code.to_owned()),
        status: Some(400),
        message: String::new(),
        request_id: None,
        effect: Effect::None,
    }
}

fn unused<T>(operation: &str) -> Result<T> {
    Err(error(operation, "NotInTheseTests"))
}

/// Moves on to the next moment that anybody waits for, once everybody waits.
#[derive(Clone, Default)]
pub struct VirtualClock(Arc<Mutex<Moments>>);

#[derive(Default)]
struct Moments {
    now: Duration,
    serial: u64,
    waiting: BTreeSet<(Duration, u64)>,
}

struct Waiting<'a> {
    clock: &'a VirtualClock,
    moment: (Duration, u64),
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.clock.0.lock().unwrap().waiting.remove(&self.moment);
    }
}

#[async_trait]
impl Clock for VirtualClock {
    fn elapsed(&self) -> Duration {
        self.0.lock().unwrap().now
    }

    async fn sleep(&self, duration: Duration) {
        let moment = {
            let mut moments = self.0.lock().unwrap();
            moments.serial += 1;
            let moment = (moments.now + duration, moments.serial);
            moments.waiting.insert(moment);
            moment
        };
        let _waiting = Waiting {
            clock: self,
            moment,
        };
        loop {
            // Enough for everything that can go on without time passing.
            for _ in 0..50 {
                yield_now().await;
            }
            let mut moments = self.0.lock().unwrap();
            if moments.waiting.first() == Some(&moment) {
                moments.now = moments.now.max(moment.0);
                return;
            }
        }
    }
}

#[async_trait]
impl ElbRead for Account {
    async fn listener_certificates(&self, _: &Arn) -> Result<BTreeSet<Arn>> {
        self.read(|_| BTreeSet::new()).await
    }
    async fn load_balancers(&self, query: &Query) -> Result<Vec<LoadBalancer>> {
        self.read(|state| {
            let all = state.balancers.values();
            all.filter(|it| match query {
                Query::Arns(arns) => arns.contains(&it.arn),
                Query::Names(names) => names.contains(&it.name),
                _ => true,
            })
            .cloned()
            .collect()
        })
        .await
    }
    async fn listeners(&self, load_balancer: &Arn) -> Result<Vec<Listener>> {
        self.read(|state| {
            let all = state.listeners.values();
            all.filter(|it| it.load_balancer == *load_balancer)
                .cloned()
                .collect()
        })
        .await
    }
    async fn rules(&self, listener: &Arn) -> Result<Vec<Rule>> {
        self.read(|state| {
            let all = state.rules.values();
            all.filter(|it| it.listener == *listener).cloned().collect()
        })
        .await
    }
    async fn target_groups(&self, query: &Query) -> Result<Vec<TargetGroup>> {
        self.read(|state| {
            let all = state.target_groups.values();
            all.filter(|it| match query {
                Query::Arns(arns) => arns.contains(&it.arn),
                Query::Names(names) => names.contains(&it.name),
                _ => true,
            })
            .cloned()
            .collect()
        })
        .await
    }
    async fn tags(&self, arns: &[Arn]) -> Result<BTreeMap<Arn, Tags>> {
        self.read(|state| {
            let balancers = state.balancers.values().map(|it| (&it.arn, &it.tags));
            let listeners = state.listeners.values().map(|it| (&it.arn, &it.tags));
            let rules = state.rules.values().map(|it| (&it.arn, &it.tags));
            let groups = state.target_groups.values().map(|it| (&it.arn, &it.tags));
            balancers
                .chain(listeners)
                .chain(rules)
                .chain(groups)
                .filter(|(arn, _)| arns.contains(arn))
                .map(|(arn, tags)| (arn.clone(), tags.clone()))
                .collect()
        })
        .await
    }
    async fn load_balancer_attributes(&self, _: &Arn) -> Result<BTreeMap<String, String>> {
        unused("DescribeLoadBalancerAttributes")
    }
    async fn listener_attributes(&self, _: &Arn) -> Result<BTreeMap<String, String>> {
        unused("DescribeListenerAttributes")
    }
    async fn target_group_attributes(&self, _: &Arn) -> Result<BTreeMap<String, String>> {
        unused("DescribeTargetGroupAttributes")
    }
    async fn targets(&self, target_group: &Arn) -> Result<BTreeSet<Target>> {
        self.read(|state| {
            let live = state.target_groups.get(target_group);
            live.map(|live| live.targets.clone()).unwrap_or_default()
        })
        .await
    }
}

#[async_trait]
impl ElbWrite for Account {
    async fn create_load_balancer(&self, spec: &LoadBalancerSpec) -> Result<CreatedLoadBalancer> {
        self.write("CreateLoadBalancer", |state, _| {
            if state.balancers.values().any(|it| it.name == spec.name) {
                return Err(error("CreateLoadBalancer", "DuplicateLoadBalancerName"));
            }
            let arn = Arn(format!(
                "arn:aws:elb:r:1:loadbalancer/app/{}/{}",
                spec.name,
                state.id()
            ));
            let dns_name = format!("{}.ELB.example.org", spec.name);
            let live = LoadBalancer {
                arn: arn.clone(),
                name: spec.name.clone(),
                dns_name: dns_name.clone(),
                kind: "application".to_owned(),
                scheme: Some(spec.scheme),
                ip_address_type: spec.ip_address_type.clone(),
                vpc_id: "vpc-1".to_owned(),
                state: "active".to_owned(),
                subnets: spec.subnets.iter().cloned().collect(),
                security_groups: Vec::new(),
                attributes: BTreeMap::new(),
                tags: spec.tags.clone(),
            };
            state.balancers.insert(arn.clone(), live);
            Ok(CreatedLoadBalancer { arn, dns_name })
        })
        .await
    }
    async fn set_security_groups(&self, _: &Arn, _: &[SecurityGroupId]) -> Result<()> {
        self.write("SetSecurityGroups", |_, _| Ok(())).await
    }
    async fn set_subnets(&self, _: &Arn, _: &[SubnetId]) -> Result<()> {
        self.write("SetSubnets", |_, _| Ok(())).await
    }
    async fn set_ip_address_type(&self, _: &Arn, _: &str) -> Result<()> {
        self.write("SetIpAddressType", |_, _| Ok(())).await
    }
    async fn modify_load_balancer_attributes(
        &self,
        _: &Arn,
        _: &BTreeMap<String, String>,
    ) -> Result<()> {
        self.write("ModifyLoadBalancerAttributes", |_, _| Ok(()))
            .await
    }
    async fn delete_load_balancer(&self, arn: &Arn) -> Result<()> {
        self.write("DeleteLoadBalancer", |state, _| {
            state.balancers.remove(arn);
            state.listeners.retain(|_, it| it.load_balancer != *arn);
            let left: Vec<_> = state.listeners.keys().cloned().collect();
            state.rules.retain(|_, it| left.contains(&it.listener));
            Ok(())
        })
        .await
    }
    async fn create_target_group(&self, spec: &TargetGroupSpec) -> Result<Arn> {
        self.write("CreateTargetGroup", |state, _| {
            if state.target_groups.values().any(|it| it.name == spec.name) {
                return Err(error("CreateTargetGroup", "DuplicateTargetGroupName"));
            }
            let arn = Arn(format!(
                "arn:aws:elb:r:1:targetgroup/{}/{}",
                spec.name,
                state.id()
            ));
            let live = TargetGroup {
                target_control_port: None,
                arn: arn.clone(),
                name: spec.name.clone(),
                target_type: "instance".to_owned(),
                port: spec.port,
                protocol: spec.protocol.clone(),
                protocol_version: spec.protocol_version.clone(),
                ip_address_type: spec.ip_address_type.clone(),
                vpc_id: spec.vpc_id.clone(),
                health_check: spec.health_check.clone(),
                attributes: BTreeMap::new(),
                tags: spec.tags.clone(),
                targets: BTreeSet::new(),
            };
            state.target_groups.insert(arn.clone(), live);
            Ok(arn)
        })
        .await
    }
    async fn modify_target_group(&self, _: &Arn, _: &HealthCheck) -> Result<()> {
        self.write("ModifyTargetGroup", |_, _| Ok(())).await
    }
    async fn modify_target_group_attributes(
        &self,
        _: &Arn,
        _: &BTreeMap<String, String>,
    ) -> Result<()> {
        self.write("ModifyTargetGroupAttributes", |_, _| Ok(()))
            .await
    }
    async fn delete_target_group(&self, arn: &Arn) -> Result<()> {
        self.write("DeleteTargetGroup", |state, _| {
            state.target_groups.remove(arn);
            Ok(())
        })
        .await
    }
    async fn register_targets(&self, target_group: &Arn, targets: &BTreeSet<Target>) -> Result<()> {
        self.write("RegisterTargets", |state, _| {
            match state.target_groups.get_mut(target_group) {
                Some(live) => {
                    live.targets.extend(targets.iter().cloned());
                    Ok(())
                }
                None => Err(error("RegisterTargets", "TargetGroupNotFound")),
            }
        })
        .await
    }
    async fn deregister_targets(&self, _: &Arn, _: &BTreeSet<Target>) -> Result<()> {
        self.write("DeregisterTargets", |_, _| Ok(())).await
    }
    async fn create_listener(&self, load_balancer: &Arn, spec: &ListenerSpec) -> Result<Arn> {
        self.write("CreateListener", |state, _| {
            let Some(live) = state.balancers.get(load_balancer) else {
                return Err(error("CreateListener", "LoadBalancerNotFound"));
            };
            let name = live.name.clone();
            if state.listeners.values().any(|it| it.port == spec.port) {
                return Err(error("CreateListener", "DuplicateListener"));
            }
            let id = load_balancer
                .as_str()
                .rsplit('/')
                .next()
                .unwrap()
                .to_owned();
            let arn = Arn(format!(
                "arn:aws:elb:r:1:listener/app/{name}/{id}/{}",
                state.id()
            ));
            let live = Listener {
                tls: crate::model::elb::Tls::default(),
                arn: arn.clone(),
                load_balancer: load_balancer.clone(),
                port: spec.port,
                protocol: spec.protocol.clone(),
                default_actions: spec.default_actions.clone(),
                attributes: BTreeMap::new(),
                tags: spec.tags.clone(),
            };
            state.listeners.insert(arn.clone(), live);
            Ok(arn)
        })
        .await
    }
    async fn modify_listener(&self, _: &Arn, _: &ListenerSpec) -> Result<()> {
        self.write("ModifyListener", |_, _| Ok(())).await
    }
    async fn modify_listener_attributes(
        &self,
        _: &Arn,
        _: &BTreeMap<String, String>,
    ) -> Result<()> {
        self.write("ModifyListenerAttributes", |_, _| Ok(())).await
    }
    async fn delete_listener(&self, arn: &Arn) -> Result<()> {
        self.write("DeleteListener", |state, _| {
            state.listeners.remove(arn);
            state.rules.retain(|_, it| it.listener != *arn);
            Ok(())
        })
        .await
    }
    async fn create_rule(&self, listener: &Arn, priority: u32, spec: &RuleSpec) -> Result<Arn> {
        self.write("CreateRule", |state, _| {
            if !state.listeners.contains_key(listener) {
                return Err(error("CreateRule", "ListenerNotFound"));
            }
            if state.rules.values().any(|it| it.priority == priority) {
                return Err(error("CreateRule", "PriorityInUse"));
            }
            let place = listener.as_str().rsplit_once(":listener").unwrap().1;
            let arn = Arn(format!(
                "arn:aws:elb:r:1:listener-rule{place}/{}",
                state.id()
            ));
            let live = Rule {
                transforms: Vec::new(),
                arn: arn.clone(),
                listener: listener.clone(),
                priority,
                conditions: spec.conditions.clone(),
                actions: spec.actions.clone(),
                tags: spec.tags.clone(),
            };
            state.rules.insert(arn.clone(), live);
            Ok(arn)
        })
        .await
    }
    async fn add_listener_certificates(&self, _: &Arn, _: &BTreeSet<Arn>) -> Result<()> {
        self.write("AddListenerCertificates", |_, _| Ok(())).await
    }
    async fn remove_listener_certificates(&self, _: &Arn, _: &BTreeSet<Arn>) -> Result<()> {
        self.write("RemoveListenerCertificates", |_, _| Ok(()))
            .await
    }
    async fn modify_rule(&self, _: &Arn, _: &RuleSpec) -> Result<()> {
        self.write("ModifyRule", |_, _| Ok(())).await
    }
    async fn set_rule_priorities(&self, _: &BTreeMap<Arn, u32>) -> Result<()> {
        self.write("SetRulePriorities", |_, _| Ok(())).await
    }
    async fn delete_rule(&self, arn: &Arn) -> Result<()> {
        self.write("DeleteRule", |state, _| match state.rules.remove(arn) {
            Some(_) => Ok(()),
            None => Err(error("DeleteRule", "RuleNotFound")),
        })
        .await
    }
    async fn add_tags(&self, _: &Arn, _: &Tags) -> Result<()> {
        self.write("AddTags", |_, _| Ok(())).await
    }
    async fn remove_tags(&self, _: &Arn, _: &BTreeSet<String>) -> Result<()> {
        self.write("RemoveTags", |_, _| Ok(())).await
    }
}

#[async_trait]
impl Ec2Read for Account {
    fn confine(&self, _vpc_id: &str) {}

    async fn vpc(&self) -> Result<Vpc> {
        unused("DescribeVpcs")
    }
    async fn subnets(&self, _: bool) -> Result<Vec<Subnet>> {
        unused("DescribeSubnets")
    }
    async fn security_groups(&self, query: &GroupQuery) -> Result<Vec<SecurityGroup>> {
        self.read(|state| {
            let all = state.groups.values();
            all.filter(|it| match query {
                GroupQuery::Ids(ids) => ids.contains(&it.id),
                GroupQuery::Name(name) => it.name == *name,
                GroupQuery::Tags(_) => true,
            })
            .cloned()
            .collect()
        })
        .await
    }
    async fn instance_groups(
        &self,
        _: &[String],
    ) -> Result<BTreeMap<String, Vec<SecurityGroupId>>> {
        unused("DescribeInstances")
    }
}

#[async_trait]
impl Ec2Write for Account {
    async fn create_security_group(&self, spec: &SecurityGroupSpec) -> Result<SecurityGroupId> {
        self.write("CreateSecurityGroup", |state, _| {
            if state.groups.values().any(|it| it.name == spec.name) {
                return Err(error("CreateSecurityGroup", "InvalidGroup.Duplicate"));
            }
            let id = SecurityGroupId(format!("sg-{}", state.id()));
            let live = SecurityGroup {
                id: id.clone(),
                name: spec.name.clone(),
                description: spec.description.clone(),
                vpc_id: spec.vpc_id.clone(),
                tags: spec.tags.clone(),
                ingress: BTreeSet::new(),
            };
            state.groups.insert(id.clone(), live);
            Ok(id)
        })
        .await
    }
    async fn authorize_ingress(
        &self,
        group: &SecurityGroupId,
        permissions: &[Permission],
    ) -> Result<()> {
        self.write("AuthorizeIngress", |state, _| {
            let Some(live) = state.groups.get_mut(group) else {
                return Err(error("AuthorizeIngress", "InvalidGroup.NotFound"));
            };
            if permissions.iter().any(|it| live.ingress.contains(it)) {
                return Err(error("AuthorizeIngress", "InvalidPermission.Duplicate"));
            }
            live.ingress.extend(permissions.iter().cloned());
            Ok(())
        })
        .await
    }
    async fn revoke_ingress(&self, group: &SecurityGroupId, gone: &[Permission]) -> Result<()> {
        self.write("RevokeIngress", |state, _| {
            if let Some(live) = state.groups.get_mut(group) {
                live.ingress.retain(|it| !gone.contains(it));
            }
            Ok(())
        })
        .await
    }
    async fn create_tags(&self, _: &SecurityGroupId, _: &Tags) -> Result<()> {
        self.write("TagSecurityGroup", |_, _| Ok(())).await
    }
    async fn delete_tags(&self, _: &SecurityGroupId, _: &BTreeSet<String>) -> Result<()> {
        self.write("UntagSecurityGroup", |_, _| Ok(())).await
    }
    async fn delete_security_group(&self, group: &SecurityGroupId) -> Result<()> {
        self.write("DeleteSecurityGroup", |state, now| {
            if !state.groups.contains_key(group) {
                return Err(error("DeleteSecurityGroup", "InvalidGroup.NotFound"));
            }
            if now < state.busy_until || !state.balancers.is_empty() {
                return Err(error("DeleteSecurityGroup", "DependencyViolation"));
            }
            state.groups.remove(group);
            Ok(())
        })
        .await
    }
}

#[async_trait]
impl IamRead for Account {
    async fn identity(&self) -> Result<Identity> {
        unused("GetCallerIdentity")
    }
    async fn eks_cluster(&self, _: &str) -> Result<EksCluster> {
        unused("DescribeCluster")
    }
    async fn provider(&self, _: &Arn) -> Result<Option<Provider>> {
        Ok(None)
    }
    async fn role(&self, name: &RoleName) -> Result<Option<Role>> {
        self.read(|state| state.roles.get(name).cloned()).await
    }
    async fn policy(&self, _: &Arn) -> Result<Option<Policy>> {
        Ok(None)
    }
    async fn policies_under(&self, _: &str) -> Result<Vec<Arn>> {
        unused("ListPolicies")
    }
    async fn roles_under(&self, _: &str) -> Result<Vec<RoleName>> {
        unused("ListRoles")
    }
    async fn policy_version(&self, _: &Arn, _: &str) -> Result<Value> {
        unused("GetPolicyVersion")
    }
}

#[async_trait]
impl IamWrite for Account {
    async fn create_provider(&self, spec: &ProviderSpec) -> Result<Arn> {
        self.write("CreateOpenIDConnectProvider", |_, _| Ok(spec.arn.clone()))
            .await
    }
    async fn add_client_id(&self, _: &Arn, _: &str) -> Result<()> {
        self.write("AddClientId", |_, _| Ok(())).await
    }
    async fn create_policy(&self, spec: &PolicySpec) -> Result<Arn> {
        self.write("CreatePolicy", |_, _| Ok(spec.arn.clone()))
            .await
    }
    async fn create_policy_version(&self, _: &Arn, _: &Value) -> Result<()> {
        self.write("CreatePolicyVersion", |_, _| Ok(())).await
    }
    async fn set_default_policy_version(&self, _: &Arn, _: &str) -> Result<()> {
        self.write("SetDefaultPolicyVersion", |_, _| Ok(())).await
    }
    async fn delete_policy_version(&self, _: &Arn, _: &str) -> Result<()> {
        self.write("DeletePolicyVersion", |_, _| Ok(())).await
    }
    async fn tag_policy(&self, _: &Arn, _: &Tags) -> Result<()> {
        self.write("TagPolicy", |_, _| Ok(())).await
    }
    async fn untag_policy(&self, _: &Arn, _: &BTreeSet<String>) -> Result<()> {
        self.write("UntagPolicy", |_, _| Ok(())).await
    }
    async fn delete_policy(&self, _: &Arn) -> Result<()> {
        self.write("DeletePolicy", |_, _| Ok(())).await
    }
    async fn create_role(&self, spec: &RoleSpec) -> Result<CreatedRole> {
        self.write("CreateRole", |state, _| {
            if state.roles.contains_key(&spec.name) {
                return Err(error("CreateRole", "EntityAlreadyExists"));
            }
            let role_id = format!("AROA{}", state.id());
            let live = Role {
                arn: spec.arn.clone(),
                name: spec.name.clone(),
                role_id: role_id.clone(),
                path: spec.path.clone(),
                description: spec.description.clone(),
                max_session_duration_seconds: spec.max_session_duration_seconds,
                trust: spec.trust.clone(),
                permissions_boundary: spec.permissions_boundary.clone(),
                tags: spec.tags.clone(),
                attached: BTreeSet::new(),
                inline: BTreeMap::new(),
            };
            state.roles.insert(spec.name.clone(), live);
            Ok(CreatedRole {
                arn: spec.arn.clone(),
                role_id,
            })
        })
        .await
    }
    async fn update_assume_role_policy(&self, _: &RoleName, _: &Value) -> Result<()> {
        self.write("UpdateAssumeRolePolicy", |_, _| Ok(())).await
    }
    async fn put_permissions_boundary(&self, _: &RoleName, _: &Arn) -> Result<()> {
        self.write("PutRolePermissionsBoundary", |_, _| Ok(()))
            .await
    }
    async fn update_role(&self, _: &RoleName, _: &str, _: i32) -> Result<()> {
        self.write("UpdateRole", |_, _| Ok(())).await
    }
    async fn tag_role(&self, _: &RoleName, _: &Tags) -> Result<()> {
        self.write("TagRole", |_, _| Ok(())).await
    }
    async fn untag_role(&self, _: &RoleName, _: &BTreeSet<String>) -> Result<()> {
        self.write("UntagRole", |_, _| Ok(())).await
    }
    async fn attach_role_policy(&self, _: &RoleName, _: &Arn) -> Result<()> {
        self.write("AttachRolePolicy", |_, _| Ok(())).await
    }
    async fn detach_role_policy(&self, _: &RoleName, _: &Arn) -> Result<()> {
        self.write("DetachRolePolicy", |_, _| Ok(())).await
    }
    async fn put_role_policy(&self, _: &RoleName, _: &str, _: &Value) -> Result<()> {
        self.write("PutRolePolicy", |_, _| Ok(())).await
    }
    async fn delete_role_policy(&self, _: &RoleName, _: &str) -> Result<()> {
        self.write("DeleteRolePolicy", |_, _| Ok(())).await
    }
    async fn delete_role(&self, name: &RoleName) -> Result<()> {
        self.write("DeleteRole", |state, _| {
            state.roles.remove(name);
            Ok(())
        })
        .await
    }
}

#[async_trait]
impl LookupRead for Account {
    async fn certificates(&self, _: CertificateQuery) -> Result<Vec<CertificateFact>> {
        unused("ListCertificates")
    }
    async fn web_acls(&self) -> Result<Vec<NamedArn>> {
        unused("ListWebACLs")
    }
    async fn trust_stores(&self) -> Result<Vec<NamedArn>> {
        unused("DescribeTrustStores")
    }
    async fn prefix_lists(&self) -> Result<Vec<PrefixListFact>> {
        unused("DescribeManagedPrefixLists")
    }
    async fn zone_types(&self) -> Result<BTreeMap<String, String>> {
        unused("DescribeAvailabilityZones")
    }
    async fn account_limits(&self) -> Result<BTreeMap<String, u64>> {
        unused("DescribeAccountLimits")
    }
}

impl crate::aws::Counted for Account {
    fn calls(&self) -> BTreeMap<String, u64> {
        BTreeMap::new()
    }
}
