//! Groups that cannot be built on the facts of the moment though git is as it was: built on what they were last applied
//! on, so that what a missing fact concerns stays as it is and the rest goes on (lessons B1, B2; decision 7 of the spec).

use std::collections::{BTreeMap, BTreeSet};

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
        grounds::{Grounds, Trust},
        group::{GroupModel, build::build_all},
    },
};

/// Builds these groups on remembered facts; absent from the answer: nothing is remembered of it, or it cannot be built on
/// that either.
pub(super) fn build<'g>(
    ids: impl Iterator<Item = &'g String>,
    input: &Input<'_>,
    applied: &Applied,
) -> BTreeMap<String, Lowered> {
    let mut remembered: BTreeMap<&str, &Grounds> = ids
        .filter_map(|id| {
            let stack = applied.stacks.get(&StackId::Group(id.clone()))?;
            Some((id.as_str(), &**stack.grounds.as_ref()?))
        })
        .collect();
    let mut built = BTreeMap::new();
    // As little as will do: what the facts of the moment say of others counts.
    for trust in [Trust::Present, Trust::Past] {
        if remembered.is_empty() {
            break;
        }
        let ids: BTreeSet<&str> = remembered.keys().copied().collect();
        let part = confine::groups(&ids, input.manifests);
        let mut facts = input.facts.clone();
        for grounds in remembered.values() {
            grounds.fill(&mut facts, trust);
        }
        for (id, lowered) in build_on(&ids, &part, &facts, input, applied) {
            remembered.remove(id.as_str());
            built.insert(id, lowered);
        }
    }
    built
}

fn build_on(
    ids: &BTreeSet<&str>,
    part: &Manifests,
    facts: &Facts,
    input: &Input<'_>,
    applied: &Applied,
) -> Vec<(String, Lowered)> {
    let result = build_all(part, facts, input.settings);
    let undecided: BTreeSet<&String> = result.undecided.iter().map(|(id, _)| id).collect();
    let is_whole = |id: &String| {
        ids.contains(id.as_str()) && !result.refused.contains_key(id) && !undecided.contains(id)
    };
    let looks = Looks {
        facts,
        settings: input.settings,
        services: &input.services,
    };
    let models = result.groups.iter().filter(|(id, _)| is_whole(id));
    models
        .filter_map(|(id, model)| {
            let model = model.as_ref().ok()?;
            let mut lowered = lower(id, model, looks).ok()?;
            keep_targets(&mut lowered, model, input.facts, applied);
            Some((id.clone(), lowered))
        })
        .collect()
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
