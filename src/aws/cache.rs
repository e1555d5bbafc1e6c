//! What AWS answered and what we wrote since, so that a commit needs few reads or none.
//!
//! A successful reply of a write confirms it, the sweep reads back (decision 19 of the spec): between two sweeps the
//! account is taken to be as it was read and as we changed it. Somebody else's change meanwhile shows as a refusal, which
//! forgets everything, or in the next sweep, which begins with [`Cached::forget`]. Balancers, what hangs on them and
//! security groups are remembered, certificates and the like for a minute; everything else goes through.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use serde_json::Value;

use super::{AwsWrite, Ec2Read, EksCluster, ElbRead, GroupQuery, IamRead, Identity, Query, Result};
use crate::{
    id::{Arn, RoleName, SecurityGroupId},
    model::{
        elb::{Listener, LoadBalancer, Rule, RuleAction, Target, TargetGroup},
        facts::{Subnet, Vpc},
        iam::{Policy, Provider, Role},
        net::{SecurityGroup, Tags},
    },
};

mod lookup;
#[cfg(test)]
mod tests;
mod write;

/// An account with a memory; all ports of the one inside.
pub struct Cached {
    inner: Arc<dyn AwsWrite>,
    memory: Arc<Mutex<Memory>>,
    lookups: Arc<Mutex<lookup::Lookups>>,
}

/// Nothing in it is ever partly known: what is there is complete.
#[derive(Debug, Default)]
struct Memory {
    /// Counts changes: an answer from before a change is not kept.
    generation: u64,
    load_balancers: BTreeMap<Arn, LoadBalancer>,
    /// By balancer.
    listeners: BTreeMap<Arn, Vec<Listener>>,
    /// By listener.
    rules: BTreeMap<Arn, Vec<Rule>>,
    target_groups: BTreeMap<Arn, TargetGroup>,
    /// Target groups that hang on a balancer, or did since they were read.
    hanging: BTreeMap<Arn, BTreeSet<Arn>>,
    tags: BTreeMap<Arn, Tags>,
    /// Of balancers, listeners and target groups.
    attributes: BTreeMap<Arn, BTreeMap<String, String>>,
    targets: BTreeMap<Arn, BTreeSet<Target>>,
    /// Of listeners, beyond the default.
    certificates: BTreeMap<Arn, BTreeSet<Arn>>,
    security_groups: BTreeMap<SecurityGroupId, SecurityGroup>,
}

impl fmt::Debug for Cached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cached").finish_non_exhaustive()
    }
}

impl super::Counted for Cached {
    fn calls(&self) -> BTreeMap<String, u64> {
        self.inner.calls()
    }

    fn forget(&self) {
        Self::forget(self);
    }
}

impl Cached {
    pub fn new(inner: Arc<dyn AwsWrite>) -> Self {
        Self {
            inner,
            memory: Arc::default(),
            lookups: Arc::default(),
        }
    }

    /// The same memory in front of another way to the same account: one for commits, one for sweeps.
    pub fn through(&self, inner: Arc<dyn AwsWrite>) -> Self {
        Self {
            inner,
            memory: self.memory.clone(),
            lookups: self.lookups.clone(),
        }
    }

    /// From here on everything is read anew: a sweep begins, or something did not go as expected.
    pub fn forget(&self) {
        let mut memory = self.memory();
        *memory = Memory {
            generation: memory.generation + 1,
            ..Memory::default()
        };
        drop(memory);
        self.forget_lookups();
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn generation(&self) -> u64 {
        self.memory().generation
    }

    /// Keeps an answer unless something changed while it was on its way.
    fn keep(&self, asked_at: u64, keep: impl FnOnce(&mut Memory)) {
        let mut memory = self.memory();
        if memory.generation == asked_at {
            keep(&mut memory);
        }
    }

    /// After a write: its effect on what we know, or doubt in everything.
    fn wrote<T>(&self, answer: Result<T>, effect: impl FnOnce(&mut Memory, &T)) -> Result<T> {
        match answer {
            Ok(answer) => {
                let mut memory = self.memory();
                memory.generation += 1;
                effect(&mut memory, &answer);
                Ok(answer)
            }
            Err(error) => {
                self.forget();
                Err(error)
            }
        }
    }
}

impl Memory {
    fn keep_load_balancers(&mut self, found: &[LoadBalancer]) {
        self.load_balancers
            .extend(found.iter().map(|live| (live.arn.clone(), live.clone())));
    }

    fn keep_target_groups(&mut self, found: &[TargetGroup]) {
        self.target_groups
            .extend(found.iter().map(|live| (live.arn.clone(), live.clone())));
    }

    fn keep_security_groups(&mut self, found: &[SecurityGroup]) {
        self.security_groups
            .extend(found.iter().map(|live| (live.id.clone(), live.clone())));
    }

    fn hanging_on(&self, load_balancer: &Arn) -> Option<Vec<TargetGroup>> {
        let arns = self.hanging.get(load_balancer)?;
        arns.iter()
            .map(|arn| self.target_groups.get(arn).cloned())
            .collect()
    }
}

/// Target groups that actions name.
fn forwarded(actions: &[RuleAction]) -> impl Iterator<Item = &Arn> {
    use crate::model::desired::Ref;

    actions
        .iter()
        .flat_map(|action| match action {
            RuleAction::Forward { target_groups, .. } => target_groups.as_slice(),
            _ => &[],
        })
        .filter_map(|group| match &group.arn {
            Ref::Known(arn) => Some(arn),
            Ref::Output(_) => None,
        })
}

#[async_trait]
impl ElbRead for Cached {
    async fn load_balancers(&self, query: &Query) -> Result<Vec<LoadBalancer>> {
        let mut known = Vec::new();
        let mut query = query.clone();
        if let Query::Arns(arns) = &mut query {
            let memory = self.memory();
            arns.retain(|arn| match memory.load_balancers.get(arn) {
                Some(live) => {
                    known.push(live.clone());
                    false
                }
                None => true,
            });
            if arns.is_empty() {
                return Ok(known);
            }
        }
        let asked_at = self.generation();
        let found = self.inner.load_balancers(&query).await?;
        self.keep(asked_at, |memory| memory.keep_load_balancers(&found));
        known.extend(found);
        Ok(known)
    }

    async fn listeners(&self, load_balancer: &Arn) -> Result<Vec<Listener>> {
        let (known, asked_at) = {
            let memory = self.memory();
            let known = memory.listeners.get(load_balancer).cloned();
            (known, memory.generation)
        };
        if let Some(known) = known {
            return Ok(known);
        }
        let found = self.inner.listeners(load_balancer).await?;
        self.keep(asked_at, |memory| {
            memory
                .listeners
                .insert(load_balancer.clone(), found.clone());
        });
        Ok(found)
    }

    async fn listener_certificates(&self, listener: &Arn) -> Result<BTreeSet<Arn>> {
        let (known, asked_at) = {
            let memory = self.memory();
            let known = memory.certificates.get(listener).cloned();
            (known, memory.generation)
        };
        if let Some(known) = known {
            return Ok(known);
        }
        let found = self.inner.listener_certificates(listener).await?;
        self.keep(asked_at, |memory| {
            memory.certificates.insert(listener.clone(), found.clone());
        });
        Ok(found)
    }

    async fn rules(&self, listener: &Arn) -> Result<Vec<Rule>> {
        let (known, asked_at) = {
            let memory = self.memory();
            (memory.rules.get(listener).cloned(), memory.generation)
        };
        if let Some(known) = known {
            return Ok(known);
        }
        let found = self.inner.rules(listener).await?;
        self.keep(asked_at, |memory| {
            memory.rules.insert(listener.clone(), found.clone());
        });
        Ok(found)
    }

    async fn target_groups(&self, query: &Query) -> Result<Vec<TargetGroup>> {
        let mut known = Vec::new();
        let mut query = query.clone();
        let asked_at = {
            let memory = self.memory();
            match &mut query {
                Query::Arns(arns) => {
                    arns.retain(|arn| match memory.target_groups.get(arn) {
                        Some(live) => {
                            known.push(live.clone());
                            false
                        }
                        None => true,
                    });
                    if arns.is_empty() {
                        return Ok(known);
                    }
                }
                Query::OfLoadBalancer(arn) => {
                    if let Some(hanging) = memory.hanging_on(arn) {
                        return Ok(hanging);
                    }
                }
                Query::All | Query::Names(_) => {}
            }
            memory.generation
        };
        let found = self.inner.target_groups(&query).await?;
        self.keep(asked_at, |memory| {
            memory.keep_target_groups(&found);
            if let Query::OfLoadBalancer(arn) = &query {
                let arns = found.iter().map(|live| live.arn.clone()).collect();
                memory.hanging.insert(arn.clone(), arns);
            }
        });
        known.extend(found);
        Ok(known)
    }

    async fn tags(&self, arns: &[Arn]) -> Result<BTreeMap<Arn, Tags>> {
        let mut known = BTreeMap::new();
        let mut unknown = Vec::new();
        let asked_at = {
            let memory = self.memory();
            for arn in arns {
                match memory.tags.get(arn) {
                    Some(tags) => drop(known.insert(arn.clone(), tags.clone())),
                    None => unknown.push(arn.clone()),
                }
            }
            memory.generation
        };
        if unknown.is_empty() {
            return Ok(known);
        }
        let found = self.inner.tags(&unknown).await?;
        self.keep(asked_at, |memory| memory.tags.extend(found.clone()));
        known.extend(found);
        Ok(known)
    }

    async fn load_balancer_attributes(&self, arn: &Arn) -> Result<BTreeMap<String, String>> {
        self.attributes(arn, self.inner.load_balancer_attributes(arn))
            .await
    }

    async fn listener_attributes(&self, arn: &Arn) -> Result<BTreeMap<String, String>> {
        self.attributes(arn, self.inner.listener_attributes(arn))
            .await
    }

    async fn target_group_attributes(&self, arn: &Arn) -> Result<BTreeMap<String, String>> {
        self.attributes(arn, self.inner.target_group_attributes(arn))
            .await
    }

    async fn targets(&self, target_group: &Arn) -> Result<BTreeSet<Target>> {
        let (known, asked_at) = {
            let memory = self.memory();
            (memory.targets.get(target_group).cloned(), memory.generation)
        };
        if let Some(known) = known {
            return Ok(known);
        }
        let found = self.inner.targets(target_group).await?;
        self.keep(asked_at, |memory| {
            memory.targets.insert(target_group.clone(), found.clone());
        });
        Ok(found)
    }
}

impl Cached {
    async fn attributes(
        &self,
        arn: &Arn,
        ask: impl Future<Output = Result<BTreeMap<String, String>>> + Send,
    ) -> Result<BTreeMap<String, String>> {
        let (known, asked_at) = {
            let memory = self.memory();
            (memory.attributes.get(arn).cloned(), memory.generation)
        };
        if let Some(known) = known {
            return Ok(known);
        }
        let found = ask.await?;
        self.keep(asked_at, |memory| {
            memory.attributes.insert(arn.clone(), found.clone());
        });
        Ok(found)
    }
}

#[async_trait]
impl Ec2Read for Cached {
    fn confine(&self, vpc_id: &str) {
        self.inner.confine(vpc_id);
    }

    async fn vpc(&self) -> Result<Vpc> {
        self.inner.vpc().await
    }

    async fn subnets(&self, with_routes: bool) -> Result<Vec<Subnet>> {
        self.inner.subnets(with_routes).await
    }

    async fn security_groups(&self, query: &GroupQuery) -> Result<Vec<SecurityGroup>> {
        let mut known = Vec::new();
        let mut query = query.clone();
        let asked_at = {
            let memory = self.memory();
            if let GroupQuery::Ids(ids) = &mut query {
                ids.retain(|id| match memory.security_groups.get(id) {
                    Some(live) => {
                        known.push(live.clone());
                        false
                    }
                    None => true,
                });
                if ids.is_empty() {
                    return Ok(known);
                }
            }
            memory.generation
        };
        let found = self.inner.security_groups(&query).await?;
        self.keep(asked_at, |memory| memory.keep_security_groups(&found));
        known.extend(found);
        known.sort_by(|left, right| left.id.cmp(&right.id));
        Ok(known)
    }

    async fn instance_groups(
        &self,
        instances: &[String],
    ) -> Result<BTreeMap<String, Vec<SecurityGroupId>>> {
        self.inner.instance_groups(instances).await
    }
}

#[async_trait]
impl IamRead for Cached {
    async fn identity(&self) -> Result<Identity> {
        self.inner.identity().await
    }

    async fn eks_cluster(&self, name: &str) -> Result<EksCluster> {
        self.inner.eks_cluster(name).await
    }

    async fn provider(&self, arn: &Arn) -> Result<Option<Provider>> {
        self.inner.provider(arn).await
    }

    async fn role(&self, name: &RoleName) -> Result<Option<Role>> {
        self.inner.role(name).await
    }

    async fn policy(&self, arn: &Arn) -> Result<Option<Policy>> {
        self.inner.policy(arn).await
    }

    async fn policies_under(&self, path: &str) -> Result<Vec<Arn>> {
        self.inner.policies_under(path).await
    }

    async fn roles_under(&self, path: &str) -> Result<Vec<RoleName>> {
        self.inner.roles_under(path).await
    }

    async fn policy_version(&self, arn: &Arn, version: &str) -> Result<Value> {
        self.inner.policy_version(arn, version).await
    }
}
