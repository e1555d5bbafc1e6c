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
        group::{
            GroupModel,
            build::{LeftOut, build_all, members_of},
        },
    },
    problem::{Problem, codes},
};

/// Which groups Ingresses were applied in.
pub(super) struct Homes<'a> {
    groups: BTreeMap<&'a str, Vec<&'a str>>,
}

impl<'a> Homes<'a> {
    pub fn new(applied: &'a Applied) -> Self {
        let mut groups: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for (id, grounds) in all_grounds(applied) {
            for member in &grounds.members {
                groups.entry(member).or_default().push(id);
            }
        }
        Self { groups }
    }

    /// The group of an Ingress that is kept out of it: by its annotations if it was applied in that one or in none, for
    /// its class may have put it into another.
    pub fn of<'b>(&self, ingress: &'b LeftOut) -> &'b str
    where
        'a: 'b,
    {
        let group = ingress.group.as_str();
        match self.groups.get(ingress.member.key().as_str()) {
            Some(homes) if !homes.contains(&group) => homes[0],
            _ => group,
        }
    }
}

fn all_grounds(applied: &Applied) -> impl Iterator<Item = (&str, &Grounds)> {
    applied
        .stacks
        .iter()
        .filter_map(|(stack, last)| match stack {
            StackId::Group(id) => Some((id.as_str(), &**last.grounds.as_ref()?)),
            _ => None,
        })
}

/// Ingresses without a class that were applied under a default one of the cluster's which is gone, by group: without any
/// default class they would be nobody's, and be taken down.
pub(super) fn unclassed(input: &Input<'_>, applied: &Applied) -> Vec<(String, Problem)> {
    let Some(now) = &input.facts.ingress_classes else {
        return Vec::new();
    };
    let classes = &input.manifests.classes;
    if classes.iter().any(|it| it.is_default) || now.values().any(|it| it.is_default) {
        return Vec::new();
    }
    let mut found = Vec::new();
    for (id, grounds) in all_grounds(applied) {
        let is_gone = |name: &String| {
            !now.contains_key(name) && classes.iter().all(|class| class.name != *name)
        };
        let past = grounds.ingress_classes.iter();
        let mut gone = past.filter(|(name, class)| class.is_default && is_gone(name));
        let Some((name, _)) = gone.next() else {
            continue;
        };
        let ingresses = input.manifests.ingresses.iter();
        for ingress in ingresses.filter(|it| it.names_no_class()) {
            if grounds.members.contains(&ingress.key()) {
                let message = format!(
                    "no class is given, and IngressClass `{name}`, the default one, is gone"
                );
                let code = codes::UNKNOWN_INGRESS_CLASS;
                let problem = Problem::new(code, ingress.origin.clone(), message)
                    .of(format!("Ingress {}", ingress.key()))
                    .hint("set spec.ingressClassName");
                found.push((id.to_owned(), problem));
            }
        }
    }
    found
}

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
        let mut facts = input.facts.clone();
        for grounds in remembered.values() {
            grounds.fill(&mut facts, trust);
        }
        let mut members = members_of(&ids, input.manifests, &facts, input.settings);
        let grounds = remembered.values();
        members.extend(grounds.flat_map(|grounds| grounds.members.iter().cloned()));
        let part = confine::groups(&ids, &members, input.manifests);
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
    let homes = Homes::new(applied);
    let left_out = result.left_out.iter();
    let misses_some: BTreeSet<&str> = left_out.map(|ingress| homes.of(ingress)).collect();
    let is_whole = |id: &String| {
        let id = id.as_str();
        ids.contains(id) && !result.refused.contains_key(id) && !misses_some.contains(id)
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
