//! What stands while a plan is carried out: a group's balancers with all that hangs on them, operation by operation.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    id::Arn,
    model::{
        desired::Ref,
        elb::{RuleAction, Target},
        observed::ObservedGroup,
        quota::{Counts, Limit},
    },
};

use super::super::{diff::elb::forwarded, op::Action};

/// The only kind of balancer that the limits on application load balancers count.
pub const APPLICATION: &str = "application";

/// One group as it stands now.
#[derive(Default)]
pub struct Standing {
    balancers: BTreeMap<Ref<Arn>, Balancer>,
    listeners: BTreeMap<Ref<Arn>, Listener>,
    rules: BTreeMap<Ref<Arn>, Rule>,
    /// Target groups with their targets, those that drain included.
    target_groups: BTreeMap<Ref<Arn>, BTreeSet<Target>>,
    /// Whether one that is deregistered counts while it drains AWS does not say: it goes on counting.
    draining: BTreeMap<Ref<Arn>, BTreeSet<Target>>,
    /// The most there was of everything since the last operation began.
    highest: Counts,
}

#[derive(Default)]
struct Balancer {
    listeners: u64,
    rules: u64,
    /// Certificate → listeners that offer it beside their default one.
    certificates: BTreeMap<Arn, u64>,
    /// Target group → actions that forward to it.
    used: BTreeMap<Ref<Arn>, u64>,
    targets: u64,
    /// Target → target groups that are used and have it.
    registrations: BTreeMap<String, u64>,
}

#[derive(Clone)]
struct Listener {
    balancer: Ref<Arn>,
    default: Option<Arn>,
    certificates: BTreeSet<Arn>,
    forwards: Vec<Ref<Arn>>,
}

struct Rule {
    listener: Ref<Arn>,
    forwards: Vec<Ref<Arn>>,
}

impl Standing {
    pub fn of(seen: &ObservedGroup) -> Self {
        let mut standing = Self::default();
        let balancers = seen.load_balancers.iter();
        for live in balancers.filter(|live| live.kind == APPLICATION) {
            let arn = Ref::Known(live.arn.clone());
            standing.balancers.insert(arn, Balancer::default());
        }
        for live in &seen.target_groups {
            let arn = Ref::Known(live.arn.clone());
            standing.target_groups.insert(arn.clone(), BTreeSet::new());
            standing.register(&arn, &live.targets);
        }
        for live in &seen.listeners {
            let listener = Listener {
                balancer: Ref::Known(live.load_balancer.clone()),
                default: live.tls.default_certificate.clone(),
                certificates: live.tls.certificates.clone(),
                forwards: forwards(&live.default_actions),
            };
            standing.add_listener(Ref::Known(live.arn.clone()), listener);
        }
        for live in &seen.rules {
            let rule = Rule {
                listener: Ref::Known(live.listener.clone()),
                forwards: forwards(&live.actions),
            };
            standing.add_rule(Ref::Known(live.arn.clone()), rule);
        }
        standing
    }

    /// Application load balancers.
    pub fn balancers(&self) -> u64 {
        count(self.balancers.len())
    }

    pub fn target_groups(&self) -> u64 {
        count(self.target_groups.len())
    }

    /// How it stands now, of its fullest balancer.
    pub fn now(&self) -> Counts {
        let mut now = Counts::default();
        for balancer in self.balancers.values() {
            balancer.count(&mut now);
            let most = balancer.registrations.values().max();
            now.raise(Limit::Registrations, most.copied().unwrap_or_default());
        }
        for targets in self.target_groups.values() {
            now.raise(Limit::GroupTargets, count(targets.len()));
        }
        now
    }

    /// How it stands when all is done and drained.
    pub fn end(mut self) -> Counts {
        for (target_group, targets) in std::mem::take(&mut self.draining) {
            let balancers = self.balancers.values_mut();
            for balancer in balancers.filter(|it| it.used.contains_key(&target_group)) {
                balancer.let_go(&targets);
            }
            if let Some(known) = self.target_groups.get_mut(&target_group) {
                known.retain(|target| !targets.contains(target));
            }
        }
        self.now()
    }

    /// Carries an operation out; the most there was of what it makes more of.
    pub fn apply(&mut self, action: &Action) -> Counts {
        self.change(action);
        std::mem::take(&mut self.highest)
    }

    fn change(&mut self, action: &Action) {
        match action {
            Action::CreateLoadBalancer { id, .. } => {
                let balancer = Balancer::default();
                self.balancers.insert(Ref::Output(id.clone()), balancer);
            }
            // Its listeners and their rules go with it.
            Action::DeleteLoadBalancer { arn } => {
                let arn = Ref::Known(arn.clone());
                self.balancers.remove(&arn);
                self.listeners
                    .retain(|_, listener| listener.balancer != arn);
                let listeners = &self.listeners;
                self.rules
                    .retain(|_, rule| listeners.contains_key(&rule.listener));
            }
            Action::CreateTargetGroup { id, .. } => {
                let id = Ref::Output(id.clone());
                self.target_groups.insert(id, BTreeSet::new());
            }
            Action::DeleteTargetGroup { arn } => {
                self.target_groups.remove(&Ref::Known(arn.clone()));
            }
            Action::RegisterTargets {
                target_group,
                targets,
            } => {
                if let Some(draining) = self.draining.get_mut(target_group) {
                    draining.retain(|target| !targets.contains(target));
                }
                self.register(target_group, targets);
            }
            Action::DeregisterTargets {
                target_group,
                targets,
            } => {
                let draining = self.draining.entry(Ref::Known(target_group.clone()));
                draining.or_default().extend(targets.iter().cloned());
            }
            Action::CreateListener {
                id,
                load_balancer,
                spec,
            } => {
                let tls = spec.tls.as_ref();
                let listener = Listener {
                    balancer: load_balancer.clone(),
                    default: tls.map(|tls| tls.default_certificate.clone()),
                    certificates: BTreeSet::new(),
                    forwards: forwards(&spec.default_actions),
                };
                self.add_listener(Ref::Output(id.clone()), listener);
            }
            Action::ModifyListener { arn, spec } => {
                self.change_listener(&Ref::Known(arn.clone()), |listener| {
                    listener.forwards = forwards(&spec.default_actions);
                    match &spec.tls {
                        Some(tls) => listener.default = Some(tls.default_certificate.clone()),
                        None => {
                            listener.default = None;
                            listener.certificates.clear();
                        }
                    }
                });
            }
            Action::AddListenerCertificates { arn, certificates } => {
                self.change_listener(arn, |listener| {
                    listener.certificates.extend(certificates.iter().cloned());
                });
            }
            Action::RemoveListenerCertificates { arn, certificates } => {
                self.change_listener(&Ref::Known(arn.clone()), |listener| {
                    listener
                        .certificates
                        .retain(|certificate| !certificates.contains(certificate));
                });
            }
            Action::DeleteListener { arn } => {
                let arn = Ref::Known(arn.clone());
                let rules = self.rules.iter();
                let rules = rules.filter(|(_, rule)| rule.listener == arn);
                for rule in rules.map(|(id, _)| id.clone()).collect::<Vec<_>>() {
                    self.remove_rule(&rule);
                }
                self.remove_listener(&arn);
            }
            Action::CreateRule {
                id, listener, spec, ..
            } => {
                let rule = Rule {
                    listener: listener.clone(),
                    forwards: forwards(&spec.actions),
                };
                self.add_rule(Ref::Output(id.clone()), rule);
            }
            Action::ModifyRule { arn, spec } => {
                let arn = Ref::Known(arn.clone());
                if let Some(rule) = self.remove_rule(&arn) {
                    let forwards = forwards(&spec.actions);
                    self.add_rule(arn, Rule { forwards, ..rule });
                }
            }
            Action::DeleteRule { arn } => {
                self.remove_rule(&Ref::Known(arn.clone()));
            }
            _ => {}
        }
    }

    fn register(&mut self, target_group: &Ref<Arn>, targets: &BTreeSet<Target>) {
        let known = self.target_groups.entry(target_group.clone()).or_default();
        let more: BTreeSet<Target> = targets.difference(known).cloned().collect();
        let balancers = self.balancers.values_mut();
        for balancer in balancers.filter(|it| it.used.contains_key(target_group)) {
            balancer.take_in(&more, &mut self.highest);
        }
        known.extend(more);
        self.highest.raise(Limit::GroupTargets, count(known.len()));
    }

    fn add_listener(&mut self, id: Ref<Arn>, listener: Listener) {
        if let Some(balancer) = self.balancers.get_mut(&listener.balancer) {
            balancer.listeners += 1;
            for certificate in listener.offered() {
                *balancer
                    .certificates
                    .entry(certificate.clone())
                    .or_default() += 1;
            }
            balancer.attach(&listener.forwards, &self.target_groups, &mut self.highest);
        }
        self.listeners.insert(id, listener);
    }

    fn remove_listener(&mut self, id: &Ref<Arn>) -> Option<Listener> {
        let listener = self.listeners.remove(id)?;
        if let Some(balancer) = self.balancers.get_mut(&listener.balancer) {
            balancer.listeners = balancer.listeners.saturating_sub(1);
            for certificate in listener.offered() {
                release(&mut balancer.certificates, certificate);
            }
            balancer.detach(&listener.forwards, &self.target_groups);
        }
        Some(listener)
    }

    fn change_listener(&mut self, id: &Ref<Arn>, change: impl FnOnce(&mut Listener)) {
        if let Some(mut listener) = self.remove_listener(id) {
            change(&mut listener);
            self.add_listener(id.clone(), listener);
        }
    }

    fn add_rule(&mut self, id: Ref<Arn>, rule: Rule) {
        let listener = self.listeners.get(&rule.listener);
        let balancer = listener.and_then(|it| self.balancers.get_mut(&it.balancer));
        if let Some(balancer) = balancer {
            balancer.rules += 1;
            balancer.attach(&rule.forwards, &self.target_groups, &mut self.highest);
        }
        self.rules.insert(id, rule);
    }

    fn remove_rule(&mut self, id: &Ref<Arn>) -> Option<Rule> {
        let rule = self.rules.remove(id)?;
        let listener = self.listeners.get(&rule.listener);
        let balancer = listener.and_then(|it| self.balancers.get_mut(&it.balancer));
        if let Some(balancer) = balancer {
            balancer.rules = balancer.rules.saturating_sub(1);
            balancer.detach(&rule.forwards, &self.target_groups);
        }
        Some(rule)
    }
}

impl Listener {
    fn offered(&self) -> impl Iterator<Item = &Arn> {
        let certificates = self.certificates.iter();
        certificates.filter(|certificate| Some(*certificate) != self.default.as_ref())
    }
}

impl Balancer {
    /// Everything but [`Limit::Registrations`], which only grows where targets come in.
    fn count(&self, counts: &mut Counts) {
        counts.raise(Limit::Listeners, self.listeners);
        counts.raise(Limit::Rules, self.rules);
        counts.raise(Limit::Certificates, count(self.certificates.len()));
        counts.raise(Limit::BalancerTargetGroups, count(self.used.len()));
        counts.raise(Limit::BalancerTargets, self.targets);
    }

    fn attach(
        &mut self,
        forwards: &[Ref<Arn>],
        target_groups: &BTreeMap<Ref<Arn>, BTreeSet<Target>>,
        highest: &mut Counts,
    ) {
        for target_group in forwards {
            let uses = self.used.entry(target_group.clone()).or_default();
            *uses += 1;
            if *uses == 1 {
                let targets = target_groups.get(target_group).into_iter().flatten();
                self.take_in(targets, highest);
            }
        }
        self.count(highest);
    }

    fn detach(
        &mut self,
        forwards: &[Ref<Arn>],
        target_groups: &BTreeMap<Ref<Arn>, BTreeSet<Target>>,
    ) {
        for target_group in forwards {
            if !release(&mut self.used, target_group) {
                continue;
            }
            self.let_go(target_groups.get(target_group).into_iter().flatten());
        }
    }

    fn let_go<'t>(&mut self, targets: impl IntoIterator<Item = &'t Target>) {
        for target in targets {
            self.targets = self.targets.saturating_sub(1);
            release(&mut self.registrations, &target.id);
        }
    }

    fn take_in<'t>(&mut self, targets: impl IntoIterator<Item = &'t Target>, highest: &mut Counts) {
        for target in targets {
            self.targets += 1;
            let times = self.registrations.entry(target.id.clone()).or_default();
            *times += 1;
            highest.raise(Limit::Registrations, *times);
        }
        highest.raise(Limit::BalancerTargets, self.targets);
    }
}

/// One holder less; true when it was the last.
fn release<K: Ord>(holders: &mut BTreeMap<K, u64>, key: &K) -> bool {
    match holders.get_mut(key) {
        Some(held) if *held > 1 => {
            *held -= 1;
            false
        }
        Some(_) => holders.remove(key).is_some(),
        None => false,
    }
}

/// Target groups that an action forwards to, each once.
fn forwards(actions: &[RuleAction]) -> Vec<Ref<Arn>> {
    let distinct: BTreeSet<&Ref<Arn>> = forwarded(actions).collect();
    distinct.into_iter().cloned().collect()
}

fn count(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}
