//! Annotations of our own: `albsync.dev/`.

use super::{
    annotation::{self, Given},
    document::Metadata,
    field::Report,
    ingress::ORDERS,
    kind::ALBSYNC,
};
use crate::{
    id::ObjectRef,
    problem::{
        Problem, codes,
        nearest::{did_you_mean, distance},
    },
};

/// Checks what stands under `albsync.dev/`, and nearly there, on any object.
pub(super) fn check(reference: &ObjectRef, metadata: &Metadata, report: &mut Report) {
    for given in &metadata.annotations {
        let Some((prefix, key)) = given.key.split_once('/') else {
            continue;
        };
        if prefix == ALBSYNC {
            one(given, key, Carrier::of(reference), report);
        } else if distance(prefix, ALBSYNC).is_some_and(|distance| distance <= 2) {
            report.hinted(
                codes::UNKNOWN_ANNOTATION,
                given.key_origin.clone(),
                format!(
                    "the annotation {} is near one of ours and not read",
                    given.key
                ),
                format!("did you mean \"{ALBSYNC}/{key}\"?"),
            );
        }
    }
    if reference.kind != "Ingress" && reference.kind != "Service" {
        annotation::refuse_elsewhere(&metadata.annotations, &reference.kind, report);
    }
}

/// The kinds of objects on which more of ours is read than on others.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Carrier {
    Iam,
    ServiceAccount,
    Ingress,
    Other,
}

impl Carrier {
    fn of(reference: &ObjectRef) -> Self {
        match (reference.group(), reference.kind.as_str()) {
            (ALBSYNC, _) => Self::Iam,
            ("", "ServiceAccount") => Self::ServiceAccount,
            (_, "Ingress") => Self::Ingress,
            _ => Self::Other,
        }
    }
}

/// What we read on every object.
const ANYWHERE: &[&str] = &["prune", "adopt"];
/// Read on `IAMServiceAccount` only.
const ON_IAM: &[&str] = &["suspend"];
/// Read on Ingresses only.
const ON_INGRESS: &[&str] = &["order"];
/// Written by us, never by people.
const WRITTEN: &[&str] = &["revision", "source"];
/// irsa.md §9.1 form (a), and gitops G54: designed, not built.
const LATER_ON_ACCOUNTS: &[&str] = &[
    "iam",
    "policy-arns",
    "well-known",
    "inline-policy-file",
    "role-name",
    "permissions-boundary-arn",
    "max-session-duration",
    "binding",
    "deletion-policy",
];

fn one(given: &Given, key: &str, on: Carrier, report: &mut Report) {
    let value = given.value.value.as_str();
    let expected: &[&str] = match key {
        "prune" => &["disabled"],
        "adopt" => &["true"],
        "suspend" if on == Carrier::Iam => &["true", "false"],
        "order" if on == Carrier::Ingress => ORDERS,
        _ if WRITTEN.contains(&key) => {
            report.hinted(
                codes::MISPLACED_ANNOTATION,
                given.key_origin.clone(),
                format!("the annotation {} is written by albsync itself", given.key),
                "remove it",
            );
            return;
        }
        "reconcile" => {
            report.not_served(given.key_origin.clone(), &given.key);
            return;
        }
        _ if on == Carrier::ServiceAccount && LATER_ON_ACCOUNTS.contains(&key) => {
            report.not_served(given.key_origin.clone(), &given.key);
            return;
        }
        _ => {
            let mut known = ANYWHERE.to_vec();
            match on {
                Carrier::Iam => known.extend(ON_IAM),
                Carrier::Ingress => known.extend(ON_INGRESS),
                Carrier::ServiceAccount | Carrier::Other => {}
            }
            let mut problem = Problem::new(
                codes::UNKNOWN_ANNOTATION,
                given.key_origin.clone(),
                format!("nothing reads the annotation {} here", given.key),
            );
            problem.hint = did_you_mean(key, known);
            report.add(problem);
            return;
        }
    };
    if !expected.contains(&value) {
        let value = if report.secret { "(hidden)" } else { value };
        report.hinted(
            codes::BAD_ANNOTATION,
            given.value.origin.clone(),
            format!("the annotation {} cannot be \"{value}\"", given.key),
            format!("its value is \"{}\"", expected.join("\" or \"")),
        );
    }
}
