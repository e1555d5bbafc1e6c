//! One Ingress group: its balancer and all that hangs on it.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use futures::{FutureExt, StreamExt, future::BoxFuture, stream};

use super::{CONCURRENCY, Gaps, scan::Scan};
use crate::{
    aws::{AwsRead, GroupQuery, Query},
    id::{Arn, ResourceId, ResourceKind, SecurityGroupId, StackId},
    model::{
        applied::Applied,
        desired::GroupStack,
        elb::{Listener, LoadBalancer, Rule, TargetGroup},
        net::{SecurityGroup, Tags},
        observed::{Gap, NameTaken, ObservedGroup},
        tags,
    },
};

/// What store and model say about a group before it is read.
#[derive(Clone, Debug, Default)]
pub struct GroupKnown {
    pub load_balancers: BTreeSet<Arn>,
    pub target_groups: BTreeSet<Arn>,
    pub security_groups: BTreeSet<SecurityGroupId>,
    /// Names of things that would be created because the store knows none: somebody may bear them, or our own creates
    /// that were cut short.
    pub names: Names,
    /// Things with attributes that are declared, or were: only theirs are read.
    pub attributes_of: BTreeSet<ResourceId>,
    /// Find everything by tags instead.
    pub scan: Option<Arc<Scan>>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names {
    pub load_balancer: Option<String>,
    pub target_groups: BTreeSet<String>,
    pub security_group: Option<String>,
}

impl GroupKnown {
    /// From what is wanted, if anything still is, and what was applied.
    pub fn new(group_id: &str, wanted: Option<&GroupStack>, applied: &Applied) -> Self {
        let mut known = Self::default();
        let stack = StackId::Group(group_id.to_owned());
        for (id, resource) in applied.resources.iter().filter(|(id, _)| id.stack == stack) {
            if !resource.attributes.is_empty() {
                known.attributes_of.insert(id.clone());
            }
            let Some(arn) = &resource.arn else { continue };
            match id.kind {
                ResourceKind::LoadBalancer => {
                    known.load_balancers.insert(arn.clone());
                }
                ResourceKind::TargetGroup => {
                    known.target_groups.insert(arn.clone());
                }
                ResourceKind::SecurityGroup => {
                    known.security_groups.insert(SecurityGroupId(arn.0.clone()));
                }
                _ => {}
            }
        }
        match wanted {
            Some(wanted) => known.add_wanted(group_id, wanted, applied),
            // Whether it may be deleted stands in an attribute that nobody needs to have declared (lessons D7).
            None => {
                known
                    .attributes_of
                    .insert(ResourceId::load_balancer(group_id));
            }
        }
        known
    }

    fn add_wanted(&mut self, group_id: &str, wanted: &GroupStack, applied: &Applied) {
        let has_arn = |id: &ResourceId| {
            applied
                .resources
                .get(id)
                .is_some_and(|resource| resource.arn.is_some())
        };
        let mut declared = Vec::new();
        let id = ResourceId::load_balancer(group_id);
        self.names.load_balancer = Some(wanted.load_balancer.name.clone());
        declared.push((id, &wanted.load_balancer.attributes));
        self.names.security_group = wanted
            .security_group
            .as_ref()
            .map(|group| group.name.clone());
        for (port, listener) in &wanted.listeners {
            declared.push((
                ResourceId::listener(group_id, *port),
                &listener.spec.attributes,
            ));
        }
        for (name, target_group) in &wanted.target_groups {
            let id = ResourceId::target_group(group_id, name);
            if !has_arn(&id) {
                self.names
                    .target_groups
                    .insert(target_group.spec.name.clone());
            }
            declared.push((id, &target_group.spec.attributes));
        }
        self.attributes_of.extend(
            declared
                .into_iter()
                .filter(|(_, attributes)| !attributes.is_empty())
                .map(|(id, _)| id),
        );
    }
}

/// Reads the group. What is known by ARN counts as the group's even if it lost its tags (decision 26 of the spec).
///
/// Calls without a scan, everything known: one each for balancers, listeners, target groups and security groups, one for
/// the rules of each listener, one for the tags of each twenty, one for the targets of each target group, one for the
/// certificates of each listener with HTTPS, and one for each thing with attributes.
pub async fn group(
    aws: &dyn AwsRead,
    group_id: &str,
    cluster: &str,
    known: &GroupKnown,
) -> (ObservedGroup, Vec<Gap>) {
    let reader = Reader {
        aws,
        known,
        group_id,
        cluster,
        gaps: Gaps::of(StackId::Group(group_id.to_owned())),
    };
    if let Some(scan) = &known.scan {
        scan.failures()
            .iter()
            .for_each(|error| reader.gaps.add(error));
    }
    let observed = reader.read().await;
    (observed, reader.gaps.into_inner())
}

struct Reader<'a> {
    aws: &'a dyn AwsRead,
    known: &'a GroupKnown,
    group_id: &'a str,
    cluster: &'a str,
    gaps: Gaps,
}

/// Things that may be the group's, before their tags are known.
#[derive(Default)]
struct Candidates {
    load_balancers: Vec<LoadBalancer>,
    target_groups: Vec<TargetGroup>,
    listeners: Vec<Listener>,
    rules: Vec<Rule>,
}

impl Reader<'_> {
    async fn read(&self) -> ObservedGroup {
        let mut observed = ObservedGroup::default();
        let (load_balancers, (security_groups, taken)) =
            futures::join!(self.load_balancers(), self.security_groups());
        observed.security_groups = security_groups;
        observed.name_taken.extend(taken);

        let (lines, target_groups) = futures::join!(
            self.listeners_and_rules(&load_balancers),
            self.target_groups(&load_balancers)
        );
        let (listeners, rules) = lines;
        let mut candidates = Candidates {
            load_balancers,
            target_groups,
            listeners,
            rules,
        };
        self.read_tags(&mut candidates).await;
        self.sort_out(candidates, &mut observed);
        self.read_details(&mut observed).await;
        observed
    }

    async fn load_balancers(&self) -> Vec<LoadBalancer> {
        let wanted = self.known.names.load_balancer.as_ref();
        if let Some(scan) = &self.known.scan {
            return scan
                .load_balancers()
                .iter()
                .filter(|live| {
                    self.known.load_balancers.contains(&live.arn)
                        || self.is_ours(&live.tags)
                        || Some(&live.name) == wanted
                })
                .cloned()
                .collect();
        }
        let mut found = Vec::new();
        if !self.known.load_balancers.is_empty() {
            let query = Query::Arns(self.known.load_balancers.iter().cloned().collect());
            match self.gaps.note(self.aws.load_balancers(&query).await) {
                Some(some) => found = some,
                None => return found,
            }
        }
        if let (true, Some(name)) = (found.is_empty(), wanted) {
            let query = Query::Names(vec![name.clone()]);
            found.extend(
                self.gaps
                    .note(self.aws.load_balancers(&query).await)
                    .unwrap_or_default(),
            );
        }
        found
    }

    /// The group's, and who has its name.
    async fn security_groups(&self) -> (Vec<SecurityGroup>, Vec<NameTaken>) {
        let wanted = self.known.names.security_group.as_ref();
        let found = match &self.known.scan {
            Some(scan) => scan
                .security_groups()
                .iter()
                .filter(|live| {
                    self.known.security_groups.contains(&live.id)
                        || self.is_ours(&live.tags)
                        || Some(&live.name) == wanted
                })
                .cloned()
                .collect(),
            None => self.find_security_groups(wanted).await,
        };
        let (ours, others): (Vec<_>, Vec<_>) = found.into_iter().partition(|live| {
            self.known.security_groups.contains(&live.id) || self.is_ours(&live.tags)
        });
        let taken = others.into_iter().map(|live| NameTaken {
            name: live.name,
            id: live.id.0,
            tags: live.tags,
        });
        (ours, taken.collect())
    }

    async fn find_security_groups(&self, wanted: Option<&String>) -> Vec<SecurityGroup> {
        let mut found = Vec::new();
        if !self.known.security_groups.is_empty() {
            let query = GroupQuery::Ids(self.known.security_groups.iter().cloned().collect());
            match self.gaps.note(self.aws.security_groups(&query).await) {
                Some(some) => found = some,
                None => return found,
            }
        }
        if let (true, Some(name)) = (found.is_empty(), wanted) {
            let query = GroupQuery::Name(name.clone());
            found.extend(
                self.gaps
                    .note(self.aws.security_groups(&query).await)
                    .unwrap_or_default(),
            );
        }
        found
    }

    async fn listeners_and_rules(
        &self,
        load_balancers: &[LoadBalancer],
    ) -> (Vec<Listener>, Vec<Rule>) {
        let asked = load_balancers
            .iter()
            .map(|live| self.aws.listeners(&live.arn))
            .collect();
        let listeners = self.gather(asked).await;
        let asked = listeners
            .iter()
            .map(|live| self.aws.rules(&live.arn))
            .collect();
        let rules = self.gather(asked).await;
        (listeners, rules)
    }

    /// All answers that came, some questions at a time.
    async fn gather<T>(&self, asked: Vec<BoxFuture<'_, crate::aws::Result<Vec<T>>>>) -> Vec<T> {
        let answers: Vec<_> = stream::iter(asked).buffered(CONCURRENCY).collect().await;
        answers
            .into_iter()
            .filter_map(|answer| self.gaps.note(answer))
            .flatten()
            .collect()
    }

    /// All that hang on the balancers, those that the store knows, and those with names that we would use.
    async fn target_groups(&self, load_balancers: &[LoadBalancer]) -> Vec<TargetGroup> {
        if let Some(scan) = &self.known.scan {
            return scan
                .target_groups()
                .iter()
                .filter(|live| {
                    self.known.target_groups.contains(&live.arn)
                        || self.is_ours(&live.tags)
                        || self.known.names.target_groups.contains(&live.name)
                })
                .cloned()
                .collect();
        }
        let mut found: BTreeMap<Arn, TargetGroup> = BTreeMap::new();
        for live in load_balancers {
            self.add_target_groups(&mut found, &Query::OfLoadBalancer(live.arn.clone()))
                .await;
        }
        let unseen: Vec<Arn> = self
            .known
            .target_groups
            .iter()
            .filter(|arn| !found.contains_key(arn))
            .cloned()
            .collect();
        if !unseen.is_empty() {
            self.add_target_groups(&mut found, &Query::Arns(unseen))
                .await;
        }
        let mut names = self.known.names.target_groups.clone();
        for live in found.values() {
            names.remove(&live.name);
        }
        // One by one: a name that nobody bears would fail the others' call.
        for name in names {
            self.add_target_groups(&mut found, &Query::Names(vec![name]))
                .await;
        }
        found.into_values().collect()
    }

    async fn add_target_groups(&self, found: &mut BTreeMap<Arn, TargetGroup>, query: &Query) {
        let some = self.gaps.note(self.aws.target_groups(query).await);
        found.extend(
            some.unwrap_or_default()
                .into_iter()
                .map(|live| (live.arn.clone(), live)),
        );
    }

    /// Where they are not there already, as after a scan.
    async fn read_tags(&self, candidates: &mut Candidates) {
        let mut slots: BTreeMap<Arn, &mut Tags> = BTreeMap::new();
        let Candidates {
            load_balancers,
            target_groups,
            listeners,
            rules,
        } = candidates;
        for live in load_balancers {
            slots.insert(live.arn.clone(), &mut live.tags);
        }
        for live in target_groups {
            slots.insert(live.arn.clone(), &mut live.tags);
        }
        for live in listeners {
            slots.insert(live.arn.clone(), &mut live.tags);
        }
        for live in rules {
            slots.insert(live.arn.clone(), &mut live.tags);
        }
        let arns: Vec<Arn> = slots
            .iter()
            .filter(|(_, tags)| tags.is_empty())
            .map(|(arn, _)| arn.clone())
            .collect();
        if arns.is_empty() {
            return;
        }
        for (arn, tags) in self
            .gaps
            .note(self.aws.tags(&arns).await)
            .unwrap_or_default()
        {
            if let Some(slot) = slots.get_mut(&arn) {
                **slot = tags;
            }
        }
    }

    /// What is the group's; what only has its name; what belongs to others (dropped).
    fn sort_out(&self, candidates: Candidates, observed: &mut ObservedGroup) {
        let Candidates {
            load_balancers,
            target_groups,
            mut listeners,
            mut rules,
        } = candidates;
        for live in load_balancers {
            if self.known.load_balancers.contains(&live.arn) || self.is_ours(&live.tags) {
                observed.load_balancers.push(live);
            } else {
                listeners.retain(|listener| listener.load_balancer != live.arn);
                observed.name_taken.push(NameTaken {
                    name: live.name,
                    id: live.arn.0,
                    tags: live.tags,
                });
            }
        }
        for live in target_groups {
            if self.known.target_groups.contains(&live.arn) || self.is_ours(&live.tags) {
                observed.target_groups.push(live);
            } else if self.known.names.target_groups.contains(&live.name) {
                observed.name_taken.push(NameTaken {
                    name: live.name,
                    id: live.arn.0,
                    tags: live.tags,
                });
            }
        }
        rules.retain(|rule| {
            listeners
                .iter()
                .any(|listener| listener.arn == rule.listener)
        });
        observed.listeners = listeners;
        observed.rules = rules;
    }

    /// Attributes of what has some to compare, and targets.
    async fn read_details(&self, observed: &mut ObservedGroup) {
        let ObservedGroup {
            load_balancers,
            listeners,
            target_groups,
            ..
        } = observed;
        let balancers = async {
            for live in load_balancers {
                if self.has_attributes(ResourceKind::LoadBalancer, "LoadBalancer") {
                    let answer = self.aws.load_balancer_attributes(&live.arn).await;
                    live.attributes = self.present(answer);
                }
            }
        };
        let listeners = async {
            for live in listeners {
                if live.protocol == "HTTPS" {
                    let answer = self.aws.listener_certificates(&live.arn).await;
                    live.tls.certificates = self.present(answer);
                }
                if self.has_attributes(ResourceKind::Listener, &live.port.to_string()) {
                    let answer = self.aws.listener_attributes(&live.arn).await;
                    live.attributes = self.present(answer);
                }
            }
        };
        let asked: Vec<_> = target_groups
            .iter_mut()
            .map(|live| self.read_target_group(live).boxed())
            .collect();
        let groups = stream::iter(asked)
            .buffered(CONCURRENCY)
            .collect::<Vec<()>>();
        futures::join!(balancers, listeners, groups);
    }

    async fn read_target_group(&self, live: &mut TargetGroup) {
        let name = live.tags.get(tags::RESOURCE).cloned().unwrap_or_default();
        if self.has_attributes(ResourceKind::TargetGroup, &name) {
            let answer = self.aws.target_group_attributes(&live.arn).await;
            live.attributes = self.present(answer);
        }
        let answer = self.aws.targets(&live.arn).await;
        live.targets = self.present(answer);
    }

    /// A thing that vanished between two calls has nothing; the next pass sees that it is gone.
    fn present<T: Default>(&self, answer: crate::aws::Result<T>) -> T {
        match answer {
            Err(error) if error.is_not_found() => T::default(),
            answer => self.gaps.note(answer).unwrap_or_default(),
        }
    }

    fn has_attributes(&self, kind: ResourceKind, name: &str) -> bool {
        self.known.attributes_of.contains(&ResourceId::new(
            StackId::Group(self.group_id.to_owned()),
            kind,
            name,
        ))
    }

    fn is_ours(&self, tags: &Tags) -> bool {
        let has = |key: &str, value: &str| tags.get(key).is_some_and(|own| own == value);
        has(tags::CLUSTER, self.cluster) && has(tags::STACK, self.group_id)
    }
}
