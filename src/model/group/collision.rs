//! Equal ids and equal names: two resources that would be one in AWS (ingress-model §15.4, §15.7).

use std::collections::BTreeMap;

use super::{
    GroupModel, TargetGroup,
    context::{GroupInput, Report},
    target_group::Ask,
};
use crate::problem::{Origin, Problem, codes};

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
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
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

/// Who wants a name.
struct Owner<'a> {
    what: String,
    object: String,
    origin: &'a Origin,
}

/// All pairs of resources of one kind with one name, within groups and across them. Names that are not known yet collide
/// with nothing.
pub fn equal_names(groups: &BTreeMap<String, GroupModel>) -> Vec<Problem> {
    let mut owners: BTreeMap<(Kind, String), Vec<Owner<'_>>> = BTreeMap::new();
    for (id, group) in groups {
        for (kind, name, owner) in named(id, group) {
            owners.entry((kind, name)).or_default().push(owner);
        }
    }
    let mut problems = Vec::new();
    for ((kind, name), owners) in owners {
        let Some((first, others)) = owners.split_first() else {
            continue;
        };
        for other in others {
            problems.push(
                Problem::new(
                    codes::NAME_COLLISION,
                    other.origin.clone(),
                    format!(
                        "the {} name `{name}` is wanted twice, by {} and {}",
                        kind.noun(),
                        first.what,
                        other.what
                    ),
                )
                .of(&other.object)
                .hint(match kind {
                    Kind::LoadBalancer => "give one of them another load-balancer-name",
                    Kind::SecurityGroup | Kind::TargetGroup => {
                        "rename one of the Ingresses or Services"
                    }
                })
                .also(first.origin.clone()),
            );
        }
    }
    problems
}

fn named<'a>(
    id: &'a str,
    group: &'a GroupModel,
) -> impl Iterator<Item = (Kind, String, Owner<'a>)> {
    let member = move |index: usize| group.members.get(index);
    let object = move |index: usize| {
        member(index).map_or_else(String::new, |member| {
            let namespace = member.reference.namespace.as_deref().unwrap_or_default();
            format!("Ingress {namespace}/{}", member.reference.name)
        })
    };
    let of_group = move |kind: Kind, name: &str| {
        let name = match kind {
            Kind::SecurityGroup => name.to_ascii_lowercase(),
            Kind::LoadBalancer | Kind::TargetGroup => name.to_owned(),
        };
        let owner = Owner {
            what: format!("group {id}"),
            object: object(0),
            origin: &member(0)?.origin,
        };
        Some((kind, name, owner))
    };
    let nlb = group.frontend_nlb.as_ref();
    let security_group = group.security_group.as_ref();
    let shared = [
        of_group(Kind::LoadBalancer, &group.load_balancer.name),
        security_group.and_then(|it| of_group(Kind::SecurityGroup, &it.name)),
        nlb.and_then(|nlb| of_group(Kind::LoadBalancer, &nlb.name)),
    ];
    let of_nlb = nlb.into_iter().flat_map(move |nlb| {
        let listeners = nlb.listeners.values();
        listeners.filter_map(move |it| of_group(Kind::TargetGroup, &it.target_group_name))
    });
    let own = group.target_groups.iter().filter_map(move |(id, it)| {
        let owner = Owner {
            what: format!("target group {id}"),
            object: object(it.member),
            origin: &it.origin,
        };
        Some((Kind::TargetGroup, it.name.clone()?, owner))
    });
    shared.into_iter().flatten().chain(of_nlb).chain(own)
}
