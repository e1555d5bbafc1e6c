//! The groups of a commit, each as a stack that converges alone: built by [`crate::model::group`], lowered here.

use std::collections::BTreeMap;

use super::{
    Input, Report, Wait,
    lower::{Looks, Lowered, Opening, lower},
    waiting,
};
use crate::{
    id::StackId,
    model::{
        desired::Desired,
        group::{
            GroupModel,
            build::{GroupsResult, RefusedGroup, build_all as build_models},
        },
    },
    problem::{Severity, codes},
};

/// Builds all groups: each into `desired.groups` or, with its reasons, into `desired.waiting`. Gives what the groups'
/// targets must let in.
pub(super) fn build_all(
    input: &Input<'_>,
    report: &mut Report<'_>,
    desired: &mut Desired,
) -> Vec<Opening> {
    let GroupsResult {
        groups,
        problems,
        undecided,
        refused,
    } = build_models(input.manifests, input.facts, input.settings);
    // A fact that is missing is no mistake of the commit: what needs it waits.
    report.tell(
        problems
            .into_iter()
            .filter(|problem| problem.code != codes::FACT_MISSING),
    );
    let mut waits: BTreeMap<String, Vec<Wait>> = BTreeMap::new();
    for (id, refused) in refused {
        waits.entry(id).or_default().extend(reasons(&refused));
    }
    for (id, member) in undecided {
        waits.entry(id).or_default().push(Wait::new(
            &member.origin,
            "the cluster's IngressClasses were not read",
        ));
    }
    let models: BTreeMap<String, GroupModel> = groups
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
    for (id, waits) in waits {
        desired.waiting.extend(waiting(StackId::Group(id), waits));
    }
    openings
}

/// Why a group could not be built; where only another place knows, that it could not.
fn reasons(refused: &RefusedGroup) -> Vec<Wait> {
    let rejecting = refused
        .problems
        .iter()
        .filter(|problem| problem.severity == Severity::Problem);
    let waits: Vec<Wait> = rejecting.map(Wait::for_problem).collect();
    match (waits.is_empty(), refused.members.first()) {
        (true, Some(member)) => vec![Wait::new(&member.origin, "it has problems")],
        _ => waits,
    }
}
