//! Groups that cannot be built on the facts of the moment though git is as it was: built on what they were last applied
//! on, so that what a missing fact concerns stays as it is and the rest goes on (lessons B1, B2; decision 7 of the spec).

use super::{
    Input,
    lower::{Looks, Lowered, lower},
};
use crate::{
    id::{ResourceId, StackId},
    manifest::Manifests,
    model::{
        applied::Applied,
        confine,
        facts::Facts,
        grounds::Trust,
        group::{GroupModel, build::build_all},
    },
    problem::Severity,
};

/// Builds one group on remembered facts; `None`: nothing is remembered, or it cannot be built on that either.
pub(super) fn build(id: &str, input: &Input<'_>, applied: &Applied) -> Option<Lowered> {
    let stack = StackId::Group(id.to_owned());
    let grounds = applied.stacks.get(&stack)?.grounds.as_ref()?;
    let part = confine::part(id, input.manifests);
    // As little as will do: what the facts of the moment say of others counts.
    [Trust::Present, Trust::Past].into_iter().find_map(|trust| {
        let facts = grounds.fill(input.facts, trust);
        let model = model(id, &part, &facts, input)?;
        let looks = Looks {
            facts: &facts,
            settings: input.settings,
            services: &input.services,
        };
        let mut lowered = lower(id, &model, looks).ok()?;
        keep_targets(&mut lowered, &model, input.facts, applied);
        Some(lowered)
    })
}

fn model(id: &str, part: &Manifests, facts: &Facts, input: &Input<'_>) -> Option<GroupModel> {
    let mut result = build_all(part, facts, input.settings);
    let refuses = |problem: &&crate::problem::Problem| problem.severity == Severity::Problem;
    let is_whole = result.undecided.is_empty()
        && result.refused.is_empty()
        && !result.problems.iter().any(|problem| refuses(&problem));
    let model = result.groups.remove(id)?.ok()?;
    is_whole.then_some(model)
}

/// Behind a Service that is gone nobody can be found: whoever was registered stays.
fn keep_targets(lowered: &mut Lowered, model: &GroupModel, facts: &Facts, applied: &Applied) {
    let services = facts.services.as_ref();
    for (name, target_group) in &model.target_groups {
        let service = target_group.binding.service.to_string();
        if services.is_none_or(|services| services.contains_key(&service)) {
            continue;
        }
        let id = ResourceId::target_group(&lowered.stack.group_id, name);
        if let (Some(applied), Some(stack)) = (
            applied.resources.get(&id),
            lowered.stack.target_groups.get_mut(name),
        ) {
            stack.spec.targets.clone_from(&applied.targets);
        }
    }
}
