//! Which balancer each of our Ingresses belongs to, and the stack of one balancer (ingress-model §1.3).

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Input, Report, Wait,
    class::{Class, class_of},
    keep, listener, load_balancer,
    name::GroupId,
    security_group,
    target_group::TargetGroups,
    unserved, waiting,
};
use crate::{
    id::{ObjectRef, StackId},
    manifest::Ingress,
    model::desired::{Desired, GroupStack, Member},
    problem::{Problem, Severity, codes},
};

/// The Ingresses that share one balancer, in group order.
pub(super) struct Group<'a> {
    pub id: GroupId,
    pub members: Vec<&'a Ingress>,
}

/// Builds all groups: each into `desired.groups` or, with its reasons, into `desired.waiting`.
pub(super) fn build_all(input: &Input, report: &mut Report, desired: &mut Desired) {
    let mut ingresses: Vec<&Ingress> = input.manifests.ingresses.iter().collect();
    ingresses.sort_by(|a, b| (a.key(), &a.origin).cmp(&(b.key(), &b.origin)));
    // Two of one name are a problem found by parsing.
    ingresses.dedup_by_key(|ingress| ingress.key());

    for ingress in ingresses {
        // Explicit groups come later: until then each Ingress has its balancer for itself.
        let group = Group {
            id: GroupId::Implicit {
                namespace: ingress.namespace.clone(),
                name: ingress.name.clone(),
            },
            members: vec![ingress],
        };
        let result = match class_of(ingress, input, report) {
            Class::Foreign => continue,
            Class::Unknown(wait) => Err(vec![wait]),
            Class::Ours(class) => {
                let mut waits = unserved::waits(ingress, class, input);
                waits.extend(deferred(ingress, report));
                if waits.is_empty() {
                    build(&group, input, report)
                } else {
                    Err(waits)
                }
            }
        };
        let id = group.id.to_string();
        match result {
            Ok(stack) => {
                desired.groups.insert(id, stack);
            }
            Err(waits) => desired.waiting.extend(waiting(StackId::Group(id), waits)),
        }
    }
    refuse_equal_names(report, desired);
}

fn build(group: &Group, input: &Input, report: &mut Report) -> Result<GroupStack, Vec<Wait>> {
    let id = group.id.to_string();
    let mut waits = Vec::new();
    let mut target_groups = TargetGroups::new(group, input);

    let load_balancer = keep(&mut waits, load_balancer::build(group, input));
    let security_group = keep(&mut waits, security_group::build_managed(group, input));
    let listeners = listener::build_all(group, input, report, &mut target_groups, &mut waits);
    let (Some(load_balancer), Some(security_group), true) =
        (load_balancer, security_group, waits.is_empty())
    else {
        return Err(waits);
    };
    Ok(GroupStack {
        group_id: id,
        members: group
            .members
            .iter()
            .map(|ingress| member(ingress))
            .collect(),
        security_group,
        load_balancer,
        listeners,
        target_groups: target_groups.finish(),
    })
}

fn member(ingress: &Ingress) -> Member {
    Member {
        reference: ObjectRef {
            api_version: "networking.k8s.io/v1".to_owned(),
            kind: "Ingress".to_owned(),
            namespace: Some(ingress.namespace.clone()),
            name: ingress.name.clone(),
        },
        origin: ingress.origin.clone(),
    }
}

/// What parsing found and could not hold against an Ingress before it was known to be ours.
fn deferred(ingress: &Ingress, report: &mut Report) -> Vec<Wait> {
    let rejecting = ingress
        .deferred
        .iter()
        .filter(|problem| problem.severity == Severity::Problem);
    let waits = rejecting.map(Wait::for_problem).collect();
    for problem in &ingress.deferred {
        report.add(problem.clone());
    }
    waits
}

/// Names have to be unique in the account and region; two equal ones would fight over one resource (ingress-model §15.7).
fn refuse_equal_names(report: &mut Report, desired: &mut Desired) {
    let mut owners: BTreeMap<(&str, &str), Vec<&str>> = BTreeMap::new();
    for (id, group) in &desired.groups {
        let named = [
            ("load balancer", &group.load_balancer.name),
            ("security group", &group.security_group.name),
        ];
        let target_groups = group
            .target_groups
            .values()
            .map(|it| ("target group", &it.spec.name));
        for (kind, name) in named.into_iter().chain(target_groups) {
            owners.entry((kind, name)).or_default().push(id);
        }
    }
    let mut refused = BTreeSet::new();
    for ((kind, name), groups) in owners.into_iter().filter(|(_, groups)| groups.len() > 1) {
        let origins: Vec<_> = groups
            .iter()
            .filter_map(|id| desired.groups[*id].members.first())
            .map(|member| member.origin.clone())
            .collect();
        if let [first, .., last] = &origins[..] {
            report.add(
                Problem::new(
                    codes::NAME_COLLISION,
                    last.clone(),
                    format!(
                        "{kind} `{name}` is wanted twice, by {}",
                        groups.join(" and ")
                    ),
                )
                .hint("rename one of the Ingresses or Services")
                .also(first.clone()),
            );
        }
        refused.extend(groups.into_iter().map(str::to_owned));
    }
    for id in refused {
        if let Some(group) = desired.groups.remove(&id) {
            let waits = group
                .members
                .iter()
                .map(|member| Wait::new(&member.origin, "a name is wanted twice"));
            desired
                .waiting
                .extend(waiting(StackId::Group(id), waits.collect()));
        }
    }
}
