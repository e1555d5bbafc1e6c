//! Which Ingresses are ours (ingress-model §1.1).

use std::collections::BTreeMap;

use super::{Input, Near, Report, Wait};
use crate::{
    manifest::{Ingress, IngressClass},
    problem::{Located, Problem, codes},
};

/// The controller that an IngressClass must name to be ours.
const CONTROLLER: &str = "ingress.k8s.aws/alb";

/// Value of the older class annotation that counts when the configuration names none.
const FALLBACK_CLASS: &str = "alb";

/// Whether an Ingress is ours to serve.
pub(super) enum Class<'a> {
    /// By this IngressClass, where git holds it.
    Ours(Option<&'a IngressClass>),
    Foreign,
    Unknown(Wait),
}

/// The decision of ingress-model §1.1, in its order.
pub(super) fn class_of<'a>(ingress: &Ingress, input: &Input<'a>, report: &mut Report) -> Class<'a> {
    if let Some(annotation) = &ingress.class_annotation {
        // IngressClasses are not even read on this path.
        let ours = match input.settings.ingress_class.as_str() {
            "" => ["", FALLBACK_CLASS].contains(&annotation.value.as_str()),
            ours => ours == annotation.value,
        };
        return if ours {
            Class::Ours(None)
        } else {
            Class::Foreign
        };
    }
    match &ingress.class_name {
        Some(class) => named_class(ingress, class, input, report),
        None => default_class(ingress, input, report),
    }
}

fn named_class<'a>(
    ingress: &Ingress,
    wanted: &Located<String>,
    input: &Input<'a>,
    report: &mut Report,
) -> Class<'a> {
    let name = wanted.value.as_str();
    if let Some(class) = class_in_git(name, input) {
        return if class.controller == CONTROLLER {
            Class::Ours(Some(class))
        } else {
            Class::Foreign
        };
    }
    let missing = Problem::new(
        codes::UNKNOWN_INGRESS_CLASS,
        wanted.origin.clone(),
        format!("IngressClass `{name}` does not exist"),
    )
    .of(format!("Ingress {}", ingress.key()));
    let Some(classes) = &input.facts.ingress_classes else {
        let problem = Problem {
            message: format!(
                "IngressClass `{name}` is not in git, and the cluster's were not read"
            ),
            ..missing
        };
        let wait = Wait::for_problem(&problem);
        report.add(problem.warning());
        return Class::Unknown(wait);
    };
    match classes.get(name) {
        Some((controller, _)) if controller == CONTROLLER => Class::Ours(None),
        Some(_) => Class::Foreign,
        None => {
            let in_git = input
                .manifests
                .classes
                .iter()
                .map(|class| class.name.as_str());
            let known = in_git.chain(classes.keys().map(String::as_str));
            let problem = missing.near(name, known);
            let wait = Wait::for_problem(&problem);
            report.add(problem);
            Class::Unknown(wait)
        }
    }
}

fn default_class<'a>(ingress: &Ingress, input: &Input<'a>, report: &mut Report) -> Class<'a> {
    let mut defaults: BTreeMap<&str, (&str, Option<&'a IngressClass>)> = input
        .manifests
        .classes
        .iter()
        .filter(|class| class.is_default)
        .map(|class| {
            (
                class.name.as_str(),
                (class.controller.as_str(), Some(class)),
            )
        })
        .collect();
    for (name, (controller, is_default)) in input.facts.ingress_classes.iter().flatten() {
        if *is_default && class_in_git(name, input).is_none() {
            defaults.insert(name, (controller, None));
        }
    }
    let names: Vec<_> = defaults.keys().copied().collect();
    match defaults.values().next() {
        Some(_) if defaults.len() > 1 => {
            let problem = Problem::new(
                codes::SEVERAL_DEFAULT_CLASSES,
                ingress.origin.clone(),
                format!(
                    "no class is given, and there are several default ones: {}",
                    names.join(", ")
                ),
            )
            .of(format!("Ingress {}", ingress.key()))
            .hint("set spec.ingressClassName");
            let wait = Wait::for_problem(&problem);
            report.add(problem);
            Class::Unknown(wait)
        }
        Some((controller, class)) if *controller == CONTROLLER => Class::Ours(*class),
        Some(_) => Class::Foreign,
        None if input.facts.ingress_classes.is_none() => Class::Unknown(Wait::new(
            &ingress.origin,
            "no class is given, and the cluster's default class was not read",
        )),
        None if input.settings.ingress_class.is_empty() => Class::Ours(None),
        None => Class::Foreign,
    }
}

/// Of two with one name, which parsing reports, the one that stands first.
fn class_in_git<'a>(name: &str, input: &Input<'a>) -> Option<&'a IngressClass> {
    input
        .manifests
        .classes
        .iter()
        .filter(|class| class.name == name)
        .min_by_key(|class| &class.origin)
}
