//! Groups as they were built last: after a change only those are built again that looked at something of it.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    GroupModel,
    build::{self, Builder, Built},
    collision::Names,
    context::{GroupInput, Input, Report, Whole, in_order},
    reads::{Changes, Inputs, Reads},
};
use crate::{
    manifest::{Ingress, IngressClassParams},
    problem::Problem,
    shared::Shared,
};

/// A memory only: with an empty one the same comes out.
#[derive(Debug, Default)]
pub struct Cache {
    /// What the groups were last found to fit.
    inputs: Option<Inputs>,
    groups: BTreeMap<String, Kept>,
    names: Names,
    /// Groups that the last build had to build.
    pub groups_built: usize,
}

/// One group, what it was made from, and what came of it.
#[derive(Debug)]
struct Kept {
    members: Vec<Member>,
    reads: Reads,
    outcome: Outcome,
}

type Member = (Shared<Ingress>, Option<Shared<IngressClassParams>>);

/// A group with its problems.
#[derive(Clone, Debug)]
pub(super) struct Outcome {
    pub model: Built<Arc<GroupModel>>,
    /// For its problems, though there may be a model.
    pub is_refused: bool,
    pub problems: Vec<Problem>,
}

/// A build that uses what the last one left, and leaves what the next one may use.
pub(super) struct Rebuild<'a> {
    input: Input<'a>,
    cache: &'a mut Cache,
    /// `None`: nothing of the last build fits.
    changes: Option<Changes>,
    is_ordered: bool,
    before: BTreeMap<String, Kept>,
}

impl<'a> Rebuild<'a> {
    pub fn new(cache: &'a mut Cache, whole: Whole<'a>) -> Self {
        // Emptied until the build is through: what is half done must not be taken for whole.
        let before = std::mem::take(cache);
        cache.names = before.names;
        let services = &whole.manifests.services;
        let (changes, is_ordered) = match before.inputs {
            Some(inputs) => (
                inputs.changes(whole.manifests, whole.facts, whole.settings),
                inputs.is_ordered(services),
            ),
            None => (None, services.is_sorted_by(|a, b| in_order(a, b))),
        };
        Self {
            input: Input::of_ordered(whole, is_ordered),
            cache,
            changes,
            is_ordered,
            before: before.groups,
        }
    }

    /// All groups are there.
    pub fn finish(self, whole: Whole<'_>) {
        self.cache.inputs = Some(Inputs::of(
            whole.manifests,
            whole.facts,
            whole.settings,
            self.is_ordered,
        ));
    }
}

impl Builder for Rebuild<'_> {
    /// The group as it was built before, if nothing that it was made from is different; else built now.
    fn group(&mut self, id: &str, group: &GroupInput<'_>) -> Outcome {
        let kept = match (self.before.remove(id), &self.changes) {
            (Some(kept), Some(changes)) if kept.fits(group, changes) => kept,
            _ => {
                self.cache.groups_built += 1;
                let (outcome, reads) = build_now(&self.input, group);
                Kept {
                    members: group
                        .members
                        .iter()
                        .map(|member| (member.ingress.clone(), member.params.cloned()))
                        .collect(),
                    reads,
                    outcome,
                }
            }
        };
        let outcome = kept.outcome.clone();
        self.cache.groups.insert(id.to_owned(), kept);
        outcome
    }

    fn names(&mut self) -> &mut Names {
        &mut self.cache.names
    }
}

impl Kept {
    fn fits(&self, group: &GroupInput<'_>, changes: &Changes) -> bool {
        let is_same = |(kept, member): (&Member, &super::context::MemberInput<'_>)| {
            kept.0 == *member.ingress && kept.1.as_ref() == member.params
        };
        self.members.len() == group.members.len()
            && self.members.iter().zip(&group.members).all(is_same)
            && !self.reads.meets(changes)
    }
}

/// Builds a group, and says what that looked at.
pub(super) fn build_now(input: &Input<'_>, group: &GroupInput<'_>) -> (Outcome, Reads) {
    let report = Report::new(input.settings);
    // What somebody else looked at is not this group's.
    input.take_reads();
    let model = build::build(input, group, &report).map(Arc::new);
    let outcome = Outcome {
        model,
        is_refused: report.is_refused(),
        problems: report.finish(),
    };
    (outcome, input.take_reads())
}
