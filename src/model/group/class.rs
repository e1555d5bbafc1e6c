//! Which Ingresses are ours, and with which parameters (ingress-model §1.1).

use std::collections::{BTreeMap, BTreeSet};

use super::context::Whole;
use crate::{
    manifest::{
        Ingress, IngressClass, IngressClassParams, Manifests,
        ingress::{CONTROLLER, LabelSelector},
        name,
    },
    model::{
        facts::{ClassFact, Facts},
        settings::{Checks, Settings},
    },
    problem::{Located, Origin, Problem, codes, nearest::did_you_mean},
    shared::Shared,
};

/// Value of the older class annotation that counts when the configuration names none.
const FALLBACK_CLASS: &str = "alb";
/// What `spec.parameters` of an IngressClass must name.
const PARAMS_GROUP: &str = "elbv2.k8s.aws";
const PARAMS_KIND: &str = "IngressClassParams";
/// The label that the API server gives every namespace.
const NAMESPACE_NAME: &str = "kubernetes.io/metadata.name";

/// Whether an Ingress is ours to serve.
#[derive(Clone, Debug, PartialEq)]
pub enum Class<'a> {
    /// With these parameters, where its class has any.
    Ours(Option<&'a Shared<IngressClassParams>>),
    Foreign,
    /// It has no class, and the cluster's default class was not looked up.
    Undecided,
    /// Its class is wrong, or cannot be told.
    Invalid(Box<Problem>),
    /// Several classes are the default, and which of them holds cannot be told.
    SeveralDefaults(Box<Problem>),
}

/// The decision of ingress-model §1.1, in its order.
pub fn class_of<'a>(ingress: &Ingress, whole: &Whole<'a>) -> Class<'a> {
    if let Some(annotation) = &ingress.class_annotation {
        // IngressClasses are not even read on this path.
        let ours = match whole.settings.ingress_class.as_str() {
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
        Some(class) => named_class(ingress, class, whole),
        None => default_class(ingress, whole),
    }
}

/// Whether an Ingress is certainly somebody else's, or nobody's.
pub fn is_foreign(
    ingress: &Ingress,
    manifests: &Manifests,
    facts: &Facts,
    settings: &Settings,
) -> bool {
    let whole = Whole {
        manifests,
        facts,
        settings,
    };
    class_of(ingress, &whole) == Class::Foreign
}

fn named_class<'a>(ingress: &Ingress, wanted: &Located<String>, whole: &Whole<'a>) -> Class<'a> {
    let name = wanted.value.as_str();
    if let Some(class) = class_in_git(name, whole) {
        return of_git(ingress, class, whole);
    }
    let invalid = |code: &str, message: String, hint: Option<String>| {
        let mut problem =
            Problem::new(code, wanted.origin.clone(), message).of(object_name(ingress));
        problem.hint = hint;
        Class::Invalid(Box::new(problem))
    };
    let Some(classes) = &whole.facts.ingress_classes else {
        return invalid(
            codes::FACT_MISSING,
            format!("IngressClass `{name}` is not in git, and the cluster's were not looked up"),
            None,
        );
    };
    match classes.get(name) {
        Some(class) if class.controller == CONTROLLER => {
            of_cluster(ingress, name, class, &wanted.origin, whole)
        }
        Some(_) => Class::Foreign,
        None => {
            let in_git = whole.manifests.classes.iter();
            let known: BTreeSet<&str> = in_git
                .map(|class| class.name.as_str())
                .chain(classes.keys().map(String::as_str))
                .collect();
            invalid(
                codes::UNKNOWN_INGRESS_CLASS,
                format!("IngressClass `{name}` does not exist"),
                did_you_mean(name, known),
            )
        }
    }
}

/// Of several default classes the API server's admission takes one: the newest, and of those of one age the first by name
/// (`DefaultIngressClass`). How old a cluster's are is not looked up, nor which one its Ingresses were given; without a
/// cluster, git's come in one apply and are of one age.
fn default_class<'a>(ingress: &Ingress, whole: &Whole<'a>) -> Class<'a> {
    let in_git = whole.manifests.classes.iter();
    let mut defaults: BTreeMap<&str, Default<'a>> = in_git
        .filter(|class| class.is_default)
        .map(|class| (class.name.as_str(), Default::InGit(class)))
        .collect();
    for (name, class) in whole.facts.ingress_classes.iter().flatten() {
        if class.is_default && class_in_git(name, whole).is_none() {
            defaults.insert(name, Default::InCluster(name, class));
        }
    }
    let is_told = whole.settings.checks == Checks::Lbc && whole.facts.ingress_classes.is_none();
    if defaults.len() > 1 && !is_told {
        let names: Vec<_> = defaults.keys().copied().collect();
        return Class::SeveralDefaults(Box::new(
            Problem::new(
                codes::SEVERAL_DEFAULT_CLASSES,
                ingress.origin.clone(),
                format!(
                    "no class is given, and there are several default ones: {}",
                    names.join(", ")
                ),
            )
            .of(object_name(ingress))
            .hint("set spec.ingressClassName"),
        ));
    }
    match defaults.into_values().next() {
        Some(Default::InGit(class)) => of_git(ingress, class, whole),
        Some(Default::InCluster(name, class)) if class.controller == CONTROLLER => {
            of_cluster(ingress, name, class, &ingress.origin, whole)
        }
        Some(Default::InCluster(..)) => Class::Foreign,
        None if whole.facts.ingress_classes.is_none() => Class::Undecided,
        None if whole.settings.ingress_class.is_empty() => Class::Ours(None),
        None => Class::Foreign,
    }
}

/// The class that holds where an Ingress names none.
enum Default<'a> {
    InGit(&'a IngressClass),
    InCluster(&'a str, &'a ClassFact),
}

/// A class of ours that only the cluster holds, with its parameters.
fn of_cluster<'a>(
    ingress: &Ingress,
    name: &str,
    class: &ClassFact,
    origin: &Origin,
    whole: &Whole<'a>,
) -> Class<'a> {
    let Some(parameters) = &class.parameters else {
        return Class::Ours(None);
    };
    let asked = Asked {
        class: name,
        origin,
        group: &parameters.api_group,
        kind: &parameters.kind,
        name: &parameters.name,
    };
    match params_of(ingress, asked, whole) {
        Ok(params) => Class::Ours(Some(params)),
        Err(problem) => Class::Invalid(problem),
    }
}

/// A class that git holds, with its parameters.
fn of_git<'a>(ingress: &Ingress, class: &'a IngressClass, whole: &Whole<'a>) -> Class<'a> {
    if class.controller != CONTROLLER {
        return Class::Foreign;
    }
    let Some(parameters) = &class.parameters else {
        return Class::Ours(None);
    };
    let (group, kind, name) = &parameters.value;
    let asked = Asked {
        class: &class.name,
        origin: &parameters.origin,
        group,
        kind,
        name,
    };
    match params_of(ingress, asked, whole) {
        Ok(params) => Class::Ours(Some(params)),
        Err(problem) => Class::Invalid(problem),
    }
}

/// The parameters that a class names, with the place that says so.
#[derive(Clone, Copy)]
struct Asked<'s> {
    class: &'s str,
    origin: &'s Origin,
    group: &'s str,
    kind: &'s str,
    name: &'s str,
}

fn params_of<'a>(
    ingress: &Ingress,
    asked: Asked<'_>,
    whole: &Whole<'a>,
) -> Result<&'a Shared<IngressClassParams>, Box<Problem>> {
    let Asked {
        class,
        origin,
        group,
        kind,
        name,
    } = asked;
    let wrong = |code: &str, message: String, hint: Option<String>| {
        let mut problem = Problem::new(code, origin.clone(), message).of(object_name(ingress));
        problem.hint = hint;
        problem.also = Some(ingress.origin.clone());
        Box::new(problem)
    };
    if group != PARAMS_GROUP || kind != PARAMS_KIND {
        return Err(wrong(
            codes::BAD_CLASS,
            format!(
                "the parameters of IngressClass `{class}` are of kind `{kind}` in group `{group}`"
            ),
            Some(format!(
                "they are of kind {PARAMS_KIND} in group {PARAMS_GROUP}"
            )),
        ));
    }
    let what = || format!("{PARAMS_KIND} `{name}`, which IngressClass `{class}` names,");
    let in_git = whole.manifests.params.iter();
    let found = in_git
        .filter(|params| params.name == name)
        .min_by_key(|params| &params.origin);
    let params = match (found, &whole.facts.ingress_class_params) {
        (Some(params), _) => params,
        (None, None) => {
            let message = format!("{} is not in git, and was not looked up", what());
            return Err(wrong(codes::FACT_MISSING, message, None));
        }
        (None, Some(in_cluster)) => match in_cluster.get(name).map(|fact| &fact.read) {
            Some(Ok(params)) => params,
            Some(Err(reason)) => {
                let message = format!("{} cannot be read whole: {reason}", what());
                return Err(wrong(codes::FACT_MISSING, message, None));
            }
            None => {
                let known = whole.manifests.params.iter();
                let known: BTreeSet<&str> = known
                    .map(|params| params.name.as_str())
                    .chain(in_cluster.keys().map(String::as_str))
                    .collect();
                return Err(wrong(
                    codes::BAD_CLASS,
                    format!("{} does not exist", what()),
                    did_you_mean(name, known),
                ));
            }
        },
    };
    if let Some(selector) = &params.spec.namespace_selector {
        selects(ingress, params, selector, whole)?;
    }
    Ok(params)
}

/// Whether the parameters' `namespaceSelector` takes the Ingress's namespace.
fn selects(
    ingress: &Ingress,
    params: &IngressClassParams,
    selector: &Located<LabelSelector>,
    whole: &Whole<'_>,
) -> Result<(), Box<Problem>> {
    let wrong = |code: &str, message: String| {
        Box::new(
            Problem::new(code, selector.origin.clone(), message)
                .of(object_name(ingress))
                .also(ingress.origin.clone()),
        )
    };
    let namespace = ingress.namespace.as_str();
    let in_git = whole.manifests.namespaces.get(namespace);
    let in_cluster = || whole.facts.namespaces.as_ref()?.get(namespace);
    let labels = match (in_git.or_else(in_cluster), &whole.facts.namespaces) {
        (Some(labels), _) => labels,
        (None, None) => {
            return Err(wrong(
                codes::FACT_MISSING,
                format!(
                    "namespace `{namespace}` is not in git, and the cluster's labels of it were not looked up"
                ),
            ));
        }
        (None, Some(_)) => {
            return Err(wrong(
                codes::BAD_CLASS,
                format!("namespace `{namespace}`, whose labels decide, does not exist"),
            ));
        }
    };
    let label = |key: &str| match key {
        NAMESPACE_NAME => Some(namespace),
        _ => labels.get(key).map(String::as_str),
    };
    match matches(&selector.value, label) {
        Ok(true) => Ok(()),
        Ok(false) => Err(wrong(
            codes::BAD_CLASS,
            format!(
                "the namespaceSelector of {PARAMS_KIND} `{}` does not take namespace `{namespace}`",
                params.name
            ),
        )),
        Err(reason) => Err(wrong(
            codes::BAD_CLASS,
            format!(
                "the namespaceSelector of {PARAMS_KIND} `{}` is no selector: {reason}",
                params.name
            ),
        )),
    }
}

/// Kubernetes' label selection; an empty selector takes everything. One bad key, operator or value anywhere makes it no
/// selector at all (Kubernetes' `LabelSelectorAsSelector`).
fn matches<'l>(
    selector: &LabelSelector,
    label: impl Fn(&str) -> Option<&'l str>,
) -> Result<bool, String> {
    let mut all = true;
    for (key, value) in &selector.match_labels {
        labelled(key, std::slice::from_ref(value))?;
        all &= label(key) == Some(value);
    }
    for (key, operator, values) in &selector.match_expressions {
        labelled(key, values)?;
        let found = label(key);
        let is_among = || found.is_some_and(|found| values.iter().any(|value| value == found));
        let holds = match (operator.as_str(), values.is_empty()) {
            ("In", false) => is_among(),
            ("NotIn", false) => !is_among(),
            ("Exists", true) => found.is_some(),
            ("DoesNotExist", true) => found.is_none(),
            ("In" | "NotIn", true) => {
                return Err(format!("{operator} of \"{key}\" needs values"));
            }
            ("Exists" | "DoesNotExist", false) => {
                return Err(format!("{operator} of \"{key}\" takes no values"));
            }
            _ => {
                return Err(format!(
                    "operator \"{operator}\" is none of In, NotIn, Exists, DoesNotExist"
                ));
            }
        };
        all &= holds;
    }
    Ok(all)
}

/// Whether a label may have that key and these values.
fn labelled(key: &str, values: &[String]) -> Result<(), String> {
    name::qualified(key).map_err(|expected| format!("the key \"{key}\" is not {expected}"))?;
    for value in values {
        name::label_value(value)
            .map_err(|expected| format!("the value \"{value}\" of \"{key}\" is not {expected}"))?;
    }
    Ok(())
}

/// Of two with one name, which parsing reports, the one that stands first.
fn class_in_git<'a>(name: &str, whole: &Whole<'a>) -> Option<&'a IngressClass> {
    let classes = whole.manifests.classes.iter();
    classes
        .filter(|class| class.name == name)
        .min_by_key(|class| &class.origin)
}

fn object_name(ingress: &Ingress) -> String {
    format!("Ingress {}", ingress.key())
}
