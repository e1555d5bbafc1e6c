//! What the builders of one group share: what they may look at, and where they put what is wrong.

use std::{cell::RefCell, collections::BTreeMap};

use super::{GroupId, SecurityGroupRef, build::Built, certificate};
use crate::{
    manifest::{
        Ingress, Manifests, Service, ServiceRef,
        annotation::{IngressOptions, Setting},
        ingress::IngressClassParams,
    },
    model::{
        facts::Facts,
        settings::{Checks, Settings},
    },
    problem::{Origin, Problem, Severity, codes},
};

/// Everything that a builder may look at; the same for all groups.
pub struct Input<'a> {
    pub manifests: &'a Manifests,
    pub facts: &'a Facts,
    pub settings: &'a Settings,
    pub services: BTreeMap<&'a ServiceRef, &'a Service>,
    /// `None`: the account's certificates were not looked up.
    pub certificates: Option<certificate::Index<'a>>,
}

impl<'a> Input<'a> {
    pub fn new(manifests: &'a Manifests, facts: &'a Facts, settings: &'a Settings) -> Self {
        let mut services: Vec<_> = manifests.services.iter().collect();
        // Two of one name are a problem found by parsing; whichever stays must not depend on the order.
        services.sort_by(|a, b| (&a.reference, &b.origin).cmp(&(&b.reference, &a.origin)));
        Self {
            manifests,
            facts,
            settings,
            services: services
                .into_iter()
                .map(|service| (&service.reference, service))
                .collect(),
            certificates: facts
                .certificates
                .as_ref()
                .map(|certificates| certificate::Index::new(certificates, settings)),
        }
    }
}

/// One Ingress of a group with the parameters of its class.
#[derive(Clone, Copy, Debug)]
pub struct MemberInput<'a> {
    pub ingress: &'a Ingress,
    /// Absent on the path of the older class annotation, and where the class has none.
    pub params: Option<&'a IngressClassParams>,
}

impl<'a> MemberInput<'a> {
    pub fn options(&self) -> &'a IngressOptions {
        &self.ingress.options
    }

    /// `Ingress namespace/name`, as problems name it.
    pub fn object(&self) -> String {
        format!("Ingress {}", self.ingress.key())
    }
}

/// A group before it is built: members in group order.
pub struct GroupInput<'a> {
    pub id: GroupId,
    pub members: Vec<MemberInput<'a>>,
}

/// What of the balancer decides how its target groups are made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reach {
    /// It has IPv6 addresses; absent where that could not be told, and its problem has been.
    pub is_dualstack: Option<bool>,
    /// Whom the targets' security groups let in; absent where nobody manages them (ingress-model §3.5).
    pub source: Option<SecurityGroupRef>,
}

/// The problems of one group. A builder goes on after a mistake wherever it can, so that all are found; what it could not
/// make is [`Built`]'s error, without a word, because the problem has been told.
pub struct Report<'a> {
    settings: &'a Settings,
    problems: RefCell<Vec<Problem>>,
}

/// Told already: see the report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused;

impl<'a> Report<'a> {
    pub fn new(settings: &'a Settings) -> Self {
        Self {
            settings,
            problems: RefCell::new(Vec::new()),
        }
    }

    /// Whether only what LBC refuses is refused.
    pub fn is_lbc(&self) -> bool {
        self.settings.checks == Checks::Lbc
    }

    /// Notes a problem, as a warning where its check is lowered. Its code tells whether LBC's builder has the check too.
    pub fn add(&self, mut problem: Problem) -> Severity {
        let code = codes::code(&problem.code);
        let lowered = code.is_some_and(|code| code.lowerable)
            && self.settings.lowered.contains(&problem.code);
        if lowered || (self.is_lbc() && code.is_some_and(|code| code.beyond_lbc)) {
            problem.severity = Severity::Warning;
        }
        let severity = problem.severity;
        self.problems.borrow_mut().push(problem);
        severity
    }

    /// Notes what LBC refuses too.
    pub fn refuse<T>(&self, problem: Problem) -> Built<T> {
        self.add(problem);
        Err(Refused)
    }

    /// Notes that a fact is needed that was not looked up.
    pub fn missing_fact<T>(&self, origin: &Origin, object: &str, what: &str) -> Built<T> {
        self.refuse(
            Problem::new(
                codes::FACT_MISSING,
                origin.clone(),
                format!("{what} was not looked up"),
            )
            .of(object),
        )
    }

    /// The value of an annotation that somebody asks for; what is wrong with it is told now.
    pub fn ask<'s, T>(&self, setting: Option<&'s Setting<T>>) -> Built<Option<&'s T>> {
        match setting.map(|setting| &setting.value) {
            None => Ok(None),
            Some(Ok(value)) => Ok(Some(value)),
            Some(Err(problem)) => self.refuse((**problem).clone()),
        }
    }

    pub fn is_refused(&self) -> bool {
        let problems = self.problems.borrow();
        problems
            .iter()
            .any(|problem| problem.severity == Severity::Problem)
    }

    pub fn finish(self) -> Vec<Problem> {
        self.problems.into_inner()
    }
}
