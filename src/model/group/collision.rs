//! Equal ids and equal names: two resources that would be one in AWS (ingress-model §15.4, §15.7).

use std::{
    borrow::Cow,
    collections::{BTreeMap, HashMap},
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
};

use super::{
    GroupModel, TargetGroup,
    context::{GroupInput, Report},
    target_group::Ask,
};
use crate::{
    model::desired::Member,
    problem::{Origin, Problem, codes},
};

#[cfg(test)]
mod tests;

/// Notes that a backend gets a target group which another backend made for another Service: the parts of an id have no
/// separator that they could not hold themselves.
pub fn tell_same_id(
    group: &GroupInput<'_>,
    id: &str,
    first: &TargetGroup,
    ask: &Ask<'_>,
    report: &Report<'_>,
) {
    let name = |member: usize| {
        let member = group.members.get(member);
        member.map_or_else(String::new, |member| member.object())
    };
    report.add(
        Problem::new(
            codes::NAME_COLLISION,
            ask.origin.clone(),
            format!(
                "Service `{}` of {} and Service `{}` of {} get one target group, \"{id}\"",
                ask.service.name,
                name(ask.member),
                first.binding.service.name,
                name(first.member)
            ),
        )
        .of(name(ask.member))
        .hint("rename one of the Ingresses or Services")
        .also(first.origin.clone()),
    );
}

/// The kinds whose names are unique in an account and region; names of security groups are unique in a VPC, whatever
/// their case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Kind {
    LoadBalancer,
    SecurityGroup,
    TargetGroup,
}

impl Kind {
    fn noun(self) -> &'static str {
        match self {
            Self::LoadBalancer => "load balancer",
            Self::SecurityGroup => "security group",
            Self::TargetGroup => "target group",
        }
    }
}

/// Two resources that would be one.
pub struct Collision<'a> {
    pub problem: Problem,
    /// The groups that want the name; twice the same where the resources are of one group.
    pub groups: [&'a str; 2],
}

/// A name with who wants it.
struct Wanted<'a> {
    kind: Kind,
    name: Cow<'a, str>,
    id: &'a str,
    group: &'a GroupModel,
    /// The target group of that id; absent: what the whole group has once.
    target_group: Option<(&'a str, &'a TargetGroup)>,
    is_of_nlb: bool,
}

/// How often each name is wanted, put right by the groups that change: equal names are looked for only where there are
/// some.
#[derive(Debug, Default)]
pub(super) struct Names {
    /// By a hash of kind and name. Two names of one hash make for a look that finds nothing.
    wanted: HashMap<u64, usize>,
    /// How many of them are wanted more than once.
    repeated: usize,
    groups: BTreeMap<String, Arc<GroupModel>>,
}

impl Names {
    /// Takes over the groups that have names. Whether it may be that two of the names are equal.
    pub fn take(&mut self, groups: &BTreeMap<String, Arc<GroupModel>>) -> bool {
        let mut gone = std::mem::take(&mut self.groups).into_iter().peekable();
        let mut stayed = Vec::with_capacity(groups.len());
        for (id, group) in groups {
            while let Some((id, old)) = gone.next_if(|(old, _)| old < id) {
                self.remove(&id, &old);
            }
            let old = gone.next_if(|(old, _)| old == id);
            if let Some((id, old)) = old {
                if Arc::ptr_eq(&old, group) {
                    stayed.push((id, old));
                    continue;
                }
                self.remove(&id, &old);
            }
            self.add(id, group);
            stayed.push((id.clone(), Arc::clone(group)));
        }
        for (id, old) in gone {
            self.remove(&id, &old);
        }
        self.groups = stayed.into_iter().collect();
        self.repeated > 0
    }

    fn add(&mut self, id: &str, group: &GroupModel) {
        for hash in hashes(id, group) {
            let count = self.wanted.entry(hash).or_default();
            *count += 1;
            self.repeated += usize::from(*count == 2);
        }
    }

    fn remove(&mut self, id: &str, group: &GroupModel) {
        for hash in hashes(id, group) {
            let Some(count) = self.wanted.get_mut(&hash) else {
                continue;
            };
            *count -= 1;
            self.repeated -= usize::from(*count == 1);
            if *count == 0 {
                self.wanted.remove(&hash);
            }
        }
    }
}

fn hashes(id: &str, group: &GroupModel) -> impl Iterator<Item = u64> {
    let mut names = Vec::new();
    collect(id, group, &mut names);
    let hashes: Vec<u64> = names
        .iter()
        .map(|wanted| {
            let mut hasher = DefaultHasher::new();
            (wanted.kind, &wanted.name).hash(&mut hasher);
            hasher.finish()
        })
        .collect();
    hashes.into_iter()
}

/// All pairs of resources of one kind with one name, within groups and across them. Names that are not known yet collide
/// with nothing.
pub fn equal_names<'a>(
    groups: impl IntoIterator<Item = (&'a String, &'a GroupModel)>,
) -> Vec<Collision<'a>> {
    let mut names = Vec::new();
    for (id, group) in groups {
        collect(id, group, &mut names);
    }
    // Stable: of equal names the first stays the first.
    names.sort_by(|a, b| (a.kind, &a.name).cmp(&(b.kind, &b.name)));
    let same = names.chunk_by(|a, b| (a.kind, &a.name) == (b.kind, &b.name));
    let pairs = same
        .filter_map(<[_]>::split_first)
        .flat_map(|(first, others)| others.iter().map(move |other| (first, other)));
    pairs
        .map(|(first, other)| collision(first, other))
        .collect()
}

fn collision<'a>(first: &Wanted<'a>, other: &Wanted<'a>) -> Collision<'a> {
    let mut problem = Problem::new(
        codes::NAME_COLLISION,
        other.origin().clone(),
        format!(
            "the {} name `{}` is wanted twice, by {} and {}",
            other.kind.noun(),
            other.name,
            first.what(),
            other.what()
        ),
    )
    .hint(match other.kind {
        Kind::LoadBalancer => "give one of them another load-balancer-name",
        Kind::SecurityGroup | Kind::TargetGroup => "rename one of the Ingresses or Services",
    })
    .also(first.origin().clone());
    problem.object = other.member().map(|member| member.reference.to_string());
    Collision {
        problem,
        groups: [first.id, other.id],
    }
}

impl<'a> Wanted<'a> {
    fn what(&self) -> String {
        match self.target_group {
            Some((id, _)) => format!("target group {id}"),
            None if self.is_of_nlb => format!("the frontend NLB of group {}", self.id),
            None => format!("group {}", self.id),
        }
    }

    fn member(&self) -> Option<&'a Member> {
        let index = self.target_group.map_or(0, |(_, it)| it.member);
        self.group.members.get(index)
    }

    fn origin(&self) -> &'a Origin {
        match (self.target_group, self.member()) {
            (Some((_, target_group)), _) => &target_group.origin,
            (None, Some(member)) => &member.origin,
            (None, None) => unreachable!("BUG: a group has members"),
        }
    }
}

fn collect<'a>(id: &'a str, group: &'a GroupModel, names: &mut Vec<Wanted<'a>>) {
    let mut want = |kind, name: &'a str, target_group, is_of_nlb| {
        let is_lower = !name.bytes().any(|byte| byte.is_ascii_uppercase());
        let name = match kind {
            Kind::SecurityGroup if !is_lower => Cow::Owned(name.to_ascii_lowercase()),
            _ => Cow::Borrowed(name),
        };
        names.push(Wanted {
            kind,
            name,
            id,
            group,
            target_group,
            is_of_nlb,
        });
    };
    if group.members.is_empty() {
        return;
    }
    want(Kind::LoadBalancer, &group.load_balancer.name, None, false);
    if let Some(managed) = &group.security_group {
        want(Kind::SecurityGroup, &managed.name, None, false);
    }
    if let Some(nlb) = &group.frontend_nlb {
        want(Kind::LoadBalancer, &nlb.name, None, true);
        for listener in nlb.listeners.values() {
            want(Kind::TargetGroup, &listener.target_group_name, None, true);
        }
    }
    for (id, target_group) in &group.target_groups {
        if let Some(name) = &target_group.name {
            want(Kind::TargetGroup, name, Some((id, target_group)), false);
        }
    }
}
