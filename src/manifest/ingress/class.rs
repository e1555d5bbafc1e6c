//! IngressClass and IngressClassParams.

use super::IngressClass;
use crate::{
    manifest::{
        document::Metadata,
        field::{Field, Report},
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
        let near = distance(&controller.value, CONTROLLER);
        if near.is_some_and(|steps| (1..=2).contains(&steps)) {
            report.hinted(
                codes::BAD_VALUE,
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
            report.text(&parameters, "namespace");
            report.one_of(
                &parameters,
                "scope",
                &["Cluster", "Namespace"].map(|word| (word, ())),
            );
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
