//! What was found, sorted by what it is for: by the store's memory of its ARN, else by its tags (decision 26).

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    id::{Arn, ResourceId, ResourceKind},
    model::{
        desired::Ref,
        elb::TargetGroup,
        net::{SecurityGroup, Tags},
        tags,
    },
};

use super::{
    super::{
        diff::{self, elb::target_group_replacement},
        draft::{Draft, bears_marks},
        op::Cause,
    },
    Group, Surplus,
};

impl<'a> Group<'a> {
    /// What a live thing is to us: by the store's memory of its ARN, else by its tags (decision 26).
    pub(super) fn name_of(
        &self,
        draft: &Draft<'a>,
        kind: ResourceKind,
        arn: &str,
        found: &Tags,
    ) -> Option<String> {
        draft
            .recorded_as(&self.stack, kind, arn)
            .map(|id| id.name.clone())
            .or_else(|| {
                bears_marks(found, self.id, self.cluster.as_deref())
                    .then(|| found.get(tags::RESOURCE).cloned())
                    .flatten()
            })
    }

    /// Whether a listener or rule is ours: their resource tag does not matter.
    pub(super) fn is_ours(
        &self,
        draft: &Draft<'a>,
        kind: ResourceKind,
        arn: &Arn,
        found: &Tags,
    ) -> bool {
        draft.recorded_as(&self.stack, kind, arn.as_str()).is_some()
            || bears_marks(found, self.id, self.cluster.as_deref())
    }

    pub(super) fn sort_load_balancers(&mut self, draft: &Draft<'a>) {
        let id = ResourceId::load_balancer(self.id);
        let mut candidates = Vec::new();
        for live in &self.observed.load_balancers {
            match self.name_of(draft, id.kind, live.arn.as_str(), &live.tags) {
                Some(name) if name == id.name => candidates.push(live),
                _ => self.report(format!("load balancer {}", live.name), live.arn.as_str()),
            }
        }
        if self.desired.is_none() {
            self.surplus_load_balancers =
                self.surplus(draft, &id, None, candidates, |live| &live.arn.0);
            return;
        }
        let listeners = &self.observed.listeners;
        let kept = choose(
            draft,
            &id,
            &candidates,
            |live| &live.arn.0,
            |live| {
                listeners
                    .iter()
                    .any(|listener| listener.load_balancer == live.arn)
            },
        );
        self.load_balancer = kept;
        self.surplus_load_balancers = self.surplus(
            draft,
            &id,
            kept.map(|live| live.arn.as_str()),
            candidates,
            |live| &live.arn.0,
        );
    }

    pub(super) fn sort_listeners(&mut self, draft: &Draft<'a>) {
        let Some(balancer) = self.load_balancer else {
            return;
        };
        for live in &self.observed.listeners {
            if live.load_balancer != balancer.arn {
                continue;
            }
            if self.is_ours(draft, ResourceKind::Listener, &live.arn, &live.tags) {
                self.listeners.insert(live.port, live);
            } else {
                self.foreign_listeners.insert(live.port);
                self.report(
                    format!("listener {}:{}", live.protocol, live.port),
                    live.arn.as_str(),
                );
            }
        }
    }

    pub(super) fn sort_target_groups(&mut self, draft: &Draft<'a>) {
        let mut found: BTreeMap<String, Vec<&'a TargetGroup>> = BTreeMap::new();
        for live in &self.observed.target_groups {
            match self.name_of(
                draft,
                ResourceKind::TargetGroup,
                live.arn.as_str(),
                &live.tags,
            ) {
                Some(name) => found.entry(name).or_default().push(live),
                None => self.report(format!("target group {}", live.name), live.arn.as_str()),
            }
        }
        let attached = self.attached_target_groups();
        for (name, candidates) in found {
            let id = ResourceId::target_group(self.id, &name);
            let wanted = self
                .desired
                .and_then(|desired| desired.target_groups.get(&name));
            let fit: Vec<_> = candidates
                .iter()
                .copied()
                .filter(|live| {
                    wanted.is_some_and(|wanted| {
                        target_group_replacement(&wanted.spec, live).is_empty()
                    })
                })
                .collect();
            let kept = choose(
                draft,
                &id,
                &fit,
                |live| &live.arn.0,
                |live| attached.contains(&live.arn),
            );
            let surplus = self.surplus(
                draft,
                &id,
                kept.map(|live| live.arn.as_str()),
                candidates,
                |live| &live.arn.0,
            );
            self.surplus_target_groups.extend(surplus);
            if let Some(kept) = kept {
                self.target_groups.insert(name, kept);
            }
        }
    }

    fn attached_target_groups(&self) -> BTreeSet<Arn> {
        let rules = self
            .observed
            .rules
            .iter()
            .flat_map(|rule| diff::elb::forwarded(&rule.actions));
        let listeners = self
            .observed
            .listeners
            .iter()
            .flat_map(|listener| diff::elb::forwarded(&listener.default_actions));
        rules
            .chain(listeners)
            .filter_map(|reference| match reference {
                Ref::Known(arn) => Some(arn.clone()),
                Ref::Output(_) => None,
            })
            .collect()
    }

    pub(super) fn sort_security_groups(&mut self, draft: &Draft<'a>) {
        let id = ResourceId::managed_security_group(self.id);
        let mut candidates = Vec::new();
        for live in &self.observed.security_groups {
            match self.name_of(draft, id.kind, live.id.as_str(), &live.tags) {
                Some(name) if name == id.name => candidates.push(live),
                _ => self.report(format!("security group {}", live.name), live.id.as_str()),
            }
        }
        let attached = |live: &SecurityGroup| {
            self.observed
                .load_balancers
                .iter()
                .any(|balancer| balancer.security_groups.contains(&live.id))
        };
        let kept = match self
            .desired
            .and_then(|desired| desired.security_group.as_ref())
        {
            Some(_) => choose(draft, &id, &candidates, |live| &live.id.0, attached),
            None => None,
        };
        self.security_group = kept;
        self.surplus_security_groups = self.surplus(
            draft,
            &id,
            kept.map(|live| live.id.as_str()),
            candidates,
            |live| &live.id.0,
        );
    }

    /// Everything but the kept one, each under an identity of its own.
    fn surplus<T>(
        &self,
        draft: &Draft<'a>,
        id: &ResourceId,
        kept: Option<&str>,
        candidates: Vec<&'a T>,
        key: impl Fn(&T) -> &String,
    ) -> Vec<Surplus<'a, T>> {
        candidates
            .into_iter()
            .filter(|live| kept != Some(key(live).as_str()))
            .map(|live| {
                let arn = key(live);
                let (id, cause) = self.surplus_id(draft, id, arn);
                Surplus { id, live, cause }
            })
            .collect()
    }

    /// The recorded identity where the store knows this very thing and its place is not taken over by another one.
    pub(super) fn surplus_id(
        &self,
        draft: &Draft<'a>,
        id: &ResourceId,
        arn: &str,
    ) -> (ResourceId, Cause) {
        let recorded = draft
            .applied(id)
            .and_then(|applied| applied.arn.as_ref())
            .is_some_and(|known| known.as_str() == arn);
        let claimed = self.claims(id);
        let cause = match (recorded, claimed) {
            (_, false) => Cause::Removed,
            (true, true) => Cause::Changed,
            (false, true) => Cause::Unrecorded,
        };
        if recorded && !claimed {
            return (id.clone(), cause);
        }
        if !recorded && !claimed && draft.applied(id).is_none() {
            return (id.clone(), cause);
        }
        let tail = arn.rsplit(['/', ':']).next().unwrap_or(arn);
        (
            ResourceId::new(id.stack.clone(), id.kind, format!("{}~{tail}", id.name)),
            cause,
        )
    }
}

/// The one to keep of several: the recorded, else the one in use, else the first by ARN.
fn choose<'a, T>(
    draft: &Draft<'_>,
    id: &ResourceId,
    candidates: &[&'a T],
    key: impl Fn(&T) -> &String,
    in_use: impl Fn(&T) -> bool,
) -> Option<&'a T> {
    let recorded = draft.applied(id).and_then(|applied| applied.arn.as_ref());
    candidates.iter().copied().min_by_key(|live| {
        let known = recorded.is_some_and(|arn| arn.as_str() == key(live));
        (!known, !in_use(live), key(live).clone())
    })
}
