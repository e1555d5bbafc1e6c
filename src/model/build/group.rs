//! The groups of a commit, each as a stack that converges alone: built by [`crate::model::group`], lowered here.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::{
    Input, Report, Wait, kept,
    lower::{Looks, Lowered, Opening, lower},
    waiting,
};
use crate::{
    id::StackId,
    model::{
        applied::Applied,
        desired::{Desired, Kept, Member},
        group::{GroupModel, build::GroupsResult},
    },
    problem::{Problem, codes},
};

/// Lowers all groups: each into `desired.groups` or, with its reasons, into `desired.waiting`. Gives what the groups'
/// targets must let in.
pub(super) fn lower_all(
    input: &Input<'_>,
    models: GroupsResult,
    applied: &Applied,
    report: &mut Report<'_>,
    desired: &mut Desired,
) -> Vec<Opening> {
    let GroupsResult {
        groups,
        problems,
        left_out,
        refused,
    } = models;
    let mut waits: BTreeMap<String, Vec<Wait>> = BTreeMap::new();
    let mut of_groups: BTreeMap<String, Vec<Problem>> = BTreeMap::new();
    let mut members: BTreeMap<String, Vec<Member>> = BTreeMap::new();
    for (id, refused) in refused {
        let rejecting = refused.problems.iter().filter(|it| it.is_grave());
        waits.insert(id.clone(), rejecting.map(Wait::for_problem).collect());
        members.insert(id.clone(), refused.members);
        of_groups.insert(id, refused.problems);
    }
    let homes = kept::Homes::new(applied);
    for (id, problem) in kept::unclassed(input, applied) {
        let waits = waits.entry(id.clone()).or_default();
        waits.push(Wait::for_problem(&problem));
        of_groups.entry(id).or_default().push(problem);
    }
    for ingress in left_out {
        let id = homes.of(&ingress).to_owned();
        let waits = waits.entry(id.clone()).or_default();
        match ingress.problem {
            Some(problem) => {
                waits.push(Wait::for_problem(&problem));
                of_groups.entry(id).or_default().push(problem);
            }
            None => waits.push(Wait::new(
                &ingress.member.origin,
                "the cluster's IngressClasses were not read",
            )),
        }
    }
    for (id, members) in &members {
        let waits = waits.entry(id.clone()).or_default();
        if let (true, Some(first)) = (waits.is_empty(), members.first()) {
            waits.push(told_elsewhere(first, members, &problems));
        }
    }
    let models: BTreeMap<String, Arc<GroupModel>> = groups
        .into_iter()
        .filter_map(|(id, built)| Some((id, built.ok()?)))
        .collect();
    let looks = Looks {
        facts: input.facts,
        settings: input.settings,
        services: &input.services,
    };
    let mut openings = Vec::new();
    for (id, model) in &models {
        if waits.contains_key(id) {
            continue;
        }
        match lower(id, model, looks) {
            Ok(Lowered {
                stack,
                openings: more,
            }) => {
                desired.groups.insert(id.clone(), stack);
                openings.extend(more);
            }
            Err(reasons) => {
                waits.insert(id.clone(), reasons);
            }
        }
    }
    // Told by others than its own builder: what they found is of several groups, and stays.
    let is_own = |id: &&String| {
        of_groups
            .get(*id)
            .is_none_or(|problems| problems.iter().any(Problem::is_grave))
    };
    let mut kept = BTreeSet::new();
    for (id, lowered) in kept::build(waits.keys().filter(is_own), input, applied) {
        desired.groups.insert(id.clone(), lowered.stack);
        openings.extend(lowered.openings);
        let waits = waits.remove(&id).unwrap_or_default();
        kept.extend(why(&id, &waits, of_groups.remove(&id).unwrap_or_default()));
    }
    let excused: BTreeSet<&Problem> = kept.iter().map(|kept: &Kept| &kept.problem).collect();
    // A fact that is missing is no mistake of the commit: what needs it waits. Nor is what is kept as it was.
    report.tell(
        problems
            .into_iter()
            .filter(|problem| problem.code != codes::FACT_MISSING && !excused.contains(problem)),
    );
    desired.kept = kept.into_iter().collect();
    for (id, waits) in waits {
        desired.waiting.extend(waiting(StackId::Group(id), waits));
    }
    openings
}

/// Why part of a group is kept: what is wrong, or else what it would wait for.
fn why(id: &str, waits: &[Wait], problems: Vec<Problem>) -> Vec<Kept> {
    let stack = StackId::Group(id.to_owned());
    let grave = problems.into_iter().filter(Problem::is_grave);
    let mut why: Vec<Problem> = grave.collect();
    if why.is_empty() {
        let waits = waits.iter();
        why = waits
            .map(|wait| Problem::new(codes::FACT_MISSING, wait.origin.clone(), &wait.reason))
            .collect();
    }
    why.into_iter()
        .map(|problem| Kept {
            stack: stack.clone(),
            problem,
        })
        .collect()
}

/// Why a group could not be built that has no problem of its own: it is stopped by what is told of others.
fn told_elsewhere(first: &Member, members: &[Member], problems: &[Problem]) -> Wait {
    let objects: BTreeSet<String> = members
        .iter()
        .map(|member| format!("Ingress {}", member.key()))
        .collect();
    let is_of_them = |problem: &&Problem| {
        let object = problem.object.as_ref();
        let other = problem.also.as_ref();
        let other = other.filter(|_| problem.code == codes::NAME_COLLISION);
        object.is_some_and(|object| objects.contains(object))
            || other.is_some_and(|other| members.iter().any(|it| it.origin.file == other.file))
    };
    let grave = || problems.iter().filter(|problem| problem.is_grave());
    let of_all = || grave().find(|problem| problem.code == codes::SEVERAL_DEFAULT_CLASSES);
    match grave().find(is_of_them).or_else(of_all) {
        Some(problem) => Wait::new(
            &first.origin,
            format!(
                "a problem at {} stops it: {}",
                problem.origin, problem.message
            ),
        ),
        None => Wait::new(
            &first.origin,
            "a problem of another group stops it, which is told at its place",
        ),
    }
}
