//! IngressClass and IngressClassParams.

use super::IngressClass;
use crate::{
    manifest::{
        document::Metadata,
        field::{Field, Report},
        name::{self, Grammar},
    },
    problem::{Located, codes, nearest::distance},
};

/// The annotation that makes a class the cluster's default.
const DEFAULT_CLASS: &str = "ingressclass.kubernetes.io/is-default-class";
/// The controller's name that means us, whatever the class is called (ingress-model.md §1.1).
pub const CONTROLLER: &str = "ingress.k8s.aws/alb";

pub(in crate::manifest) fn class(
    field: &Field<'_>,
    metadata: &Metadata,
    report: &mut Report,
) -> IngressClass {
    report.fields(field, &["apiVersion", "kind", "metadata", "spec"]);
    let mut class = IngressClass {
        origin: field.origin(),
        name: metadata.name.clone(),
        controller: String::new(),
        is_default: metadata
            .annotations
            .iter()
            .any(|given| given.key == DEFAULT_CLASS && given.value.value == "true"),
        parameters: None,
    };
    let Some(spec) = report.required(field, "spec") else {
        return class;
    };
    if !report.fields(&spec, &["controller", "parameters"]) {
        return class;
    }
    if let Some(controller) = report.required_text(&spec, "controller") {
        report.name("spec.controller", &controller, name::controller);
        // A controller of its own, for all that the API server and LBC know.
        let near = distance(&controller.value, CONTROLLER);
        if near.is_some_and(|steps| (1..=2).contains(&steps)) {
            report.hinted(
                codes::ODD_CONTROLLER,
                controller.origin.clone(),
                format!("spec.controller is \"{}\"", controller.value),
                format!("did you mean \"{CONTROLLER}\"?"),
            );
        }
        class.controller = controller.value;
    }
    if let Some(parameters) = spec.get("parameters") {
        let known = ["apiGroup", "kind", "name", "namespace", "scope"];
        if report.fields(&parameters, &known) {
            let group = report.text(&parameters, "apiGroup");
            let kind = report.required_text(&parameters, "kind");
            let name = report.required_text(&parameters, "name");
            let given = [
                ("apiGroup", &group, name::subdomain as Grammar),
                ("kind", &kind, name::reference),
                ("name", &name, name::reference),
            ];
            for (key, text, grammar) in given {
                if let Some(text) = text {
                    report.name(&parameters.path_of(key), text, grammar);
                }
            }
            scope(&parameters, report);
            class.parameters = Some(Located::new(
                (
                    group.map(|text| text.value).unwrap_or_default(),
                    kind.map(|text| text.value).unwrap_or_default(),
                    name.map(|text| text.value).unwrap_or_default(),
                ),
                parameters.origin(),
            ));
        }
    }
    class
}

/// A namespace belongs to the scope Namespace, and only there (k8s `validateIngressClassParametersReference`).
fn scope(parameters: &Field<'_>, report: &mut Report) {
    let namespace = report.text(parameters, "namespace");
    let scopes = [("Cluster", false), ("Namespace", true)];
    let is_namespaced = match parameters.get("scope") {
        // Cluster (k8s `SetDefaults_IngressClass`).
        None => false,
        Some(_) => match report.one_of(parameters, "scope", &scopes) {
            Some(scope) => scope.value,
            None => return,
        },
    };
    let path = parameters.path_of("namespace");
    match namespace {
        Some(namespace) if is_namespaced => report.name(&path, &namespace, name::label),
        Some(namespace) => report.hinted(
            codes::BAD_VALUE,
            namespace.origin,
            format!("{path} is set for parameters of scope Cluster"),
            "remove it, or write scope: Namespace",
        ),
        None if is_namespaced => {
            report.required(parameters, "namespace");
        }
        None => {}
    }
}
