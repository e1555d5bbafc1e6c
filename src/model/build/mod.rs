//! Documents and facts to [`Desired`]: one aspect of the model per file.
//!
//! Nothing is guessed. What a fact is missing for waits with a reason, and everything else is built; what is wrong in git
//! is a problem with its place, and what it belongs to waits too, so that nothing is ever taken down by a mistake
//! (lessons B2).

use std::{
    cell::{OnceCell, RefCell},
    collections::BTreeMap,
};

use lower::Looks;

use super::{
    applied::Applied,
    desired::{Desired, Waiting},
    facts::Facts,
    group::{self as models, cache::Cache},
    settings::Settings,
};
use crate::{
    id::StackId,
    manifest::{Manifests, Service, ServiceRef, annotation::value::TargetType},
    problem::{Checked, Origin, Problem, Severity, codes},
};

mod group;
mod kept;
mod lower;
pub mod name;
mod node;
mod object;
mod role;
mod security_group;
mod tag;

/// What the commit wants, given the facts. Pure; the order of documents and facts never matters.
pub fn build(manifests: &Manifests, facts: &Facts, settings: &Settings) -> Checked<Desired> {
    let mut cache = Cache::default();
    build_on(manifests, facts, settings, &Applied::default(), &mut cache)
}

/// The same, where what was applied last goes on holding for groups that miss a fact; models of groups are taken from the
/// cache where nothing that they were made from is different.
pub fn build_on(
    manifests: &Manifests,
    facts: &Facts,
    settings: &Settings,
    applied: &Applied,
    cache: &mut Cache,
) -> Checked<Desired> {
    let input = Input::new(manifests, facts, settings);
    let mut report = Report::new(settings);
    let mut desired = Desired::default();

    let models = models::build::build_changed(manifests, facts, settings, cache);
    let openings = group::lower_all(&input, models, applied, &mut report, &mut desired);
    security_group::build_network(&input, &openings, &mut report, &mut desired);
    let bindings = role::build_all(&input, &mut report, &mut desired);
    object::build_all(&input, &bindings, &mut report, &mut desired);

    desired
        .waiting
        .sort_by(|a, b| (&a.stack, &a.origin, &a.reason).cmp(&(&b.stack, &b.origin, &b.reason)));
    Checked {
        value: desired,
        problems: report.finish(),
    }
}

/// Counts the targets that each target group will have, as far as the facts tell.
pub fn count_targets<'a>(
    manifests: &'a Manifests,
    facts: &'a Facts,
    settings: &'a Settings,
) -> impl Fn(&models::TargetGroup) -> Option<u64> + 'a {
    // Looked at for pods alone.
    let services = OnceCell::new();
    // The same nodes for most of them.
    let nodes = RefCell::new(BTreeMap::new());
    move |target_group| {
        let count = |services: &BTreeMap<&ServiceRef, &Service>| {
            let looks = Looks {
                facts,
                settings,
                services,
            };
            // Whichever port they listen at.
            let targets = looks.targets(target_group, 0).ok()?.targets.len();
            u64::try_from(targets).ok()
        };
        match target_group.target_type {
            TargetType::Ip => {
                count(services.get_or_init(|| Input::new(manifests, facts, settings).services))
            }
            TargetType::Instance => {
                let selector = target_group.binding.node_selector.clone();
                let mut nodes = nodes.borrow_mut();
                *nodes
                    .entry(selector)
                    .or_insert_with(|| count(&BTreeMap::new()))
            }
        }
    }
}

/// Everything that a builder may look at.
struct Input<'a> {
    manifests: &'a Manifests,
    facts: &'a Facts,
    settings: &'a Settings,
    services: BTreeMap<&'a ServiceRef, &'a Service>,
}

impl<'a> Input<'a> {
    fn new(manifests: &'a Manifests, facts: &'a Facts, settings: &'a Settings) -> Self {
        let mut services: Vec<_> = manifests.services.iter().collect();
        // Two of one name are a problem found by parsing; whichever stays must not depend on the order.
        services.sort_by(|a, b| (&a.reference, &b.origin).cmp(&(&b.reference, &a.origin)));
        Self {
            manifests,
            facts,
            settings,
            services: services
                .into_iter()
                .map(|service| (&service.reference, &**service))
                .collect(),
        }
    }
}

/// Problems as they are found.
struct Report<'a> {
    settings: &'a Settings,
    problems: Vec<Problem>,
}

impl<'a> Report<'a> {
    fn new(settings: &'a Settings) -> Self {
        Self {
            settings,
            problems: Vec::new(),
        }
    }

    /// Notes a problem, as a warning where the configuration lowers its check and the check may be lowered: the guards
    /// of IAM never are, or who may write manifests could lower what keeps them in bounds (irsa §7.4 G8).
    fn add(&mut self, mut problem: Problem) -> Severity {
        let lowerable = codes::code(&problem.code).is_some_and(|code| code.lowerable);
        if lowerable && self.settings.lowered.contains(&problem.code) {
            problem.severity = Severity::Warning;
        }
        let severity = problem.severity;
        self.problems.push(problem);
        severity
    }

    /// Notes problems whose severity is settled.
    fn tell(&mut self, problems: impl IntoIterator<Item = Problem>) {
        self.problems.extend(problems);
    }

    fn finish(mut self) -> Vec<Problem> {
        self.problems.sort();
        self.problems.dedup();
        self.problems
    }
}

/// Why something cannot be built now.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Wait {
    origin: Origin,
    reason: String,
    /// As [`Waiting::lasts`].
    lasts: bool,
}

impl Wait {
    fn new(origin: &Origin, reason: impl Into<String>) -> Self {
        Self {
            origin: origin.clone(),
            reason: reason.into(),
            lasts: false,
        }
    }

    /// The same for what no look-up ends.
    fn lasting(self) -> Self {
        Self {
            lasts: true,
            ..self
        }
    }

    /// A problem found just now: the reason in short, the rest is in the problem.
    fn for_problem(problem: &Problem) -> Self {
        Self::new(&problem.origin, problem.message.clone())
    }
}

/// One stack's reasons as one: at the first place, each reason once. As long as one of them may end by itself, it is to be
/// looked at again: what is left is told then.
fn waiting(stack: StackId, mut waits: Vec<Wait>) -> Option<Waiting> {
    waits.sort();
    let origin = waits.first()?.origin.clone();
    let lasts = waits.iter().all(|wait| wait.lasts);
    let mut reasons: Vec<String> = Vec::new();
    for wait in waits {
        if !reasons.contains(&wait.reason) {
            reasons.push(wait.reason);
        }
    }
    Some(Waiting {
        stack,
        origin,
        reason: reasons.join("; "),
        lasts,
    })
}

/// Takes a value out of a result and puts the reason for its absence aside, so that all reasons are found at once.
fn keep<T>(waits: &mut Vec<Wait>, result: Result<T, Wait>) -> Option<T> {
    result.map_err(|wait| waits.push(wait)).ok()
}

#[cfg(test)]
pub(super) mod fixture;
#[cfg(test)]
mod tests;
