//! What an Ingress asks for and is not applied to AWS yet: it waits whole, nothing of it is left out in silence.

use std::collections::BTreeMap;

use super::{Input, Wait};
use crate::{
    manifest::{
        Backend, Ingress, IngressClass, IngressOptions, PathType, ServiceRef,
        annotation::{PREFIX, TargetType},
        ingress::{PortRef, USE_ANNOTATION},
    },
    model::settings::{FeatureGates, Flags},
    problem::{Located, Problem},
};

/// Suffixes of the annotations that are applied.
const APPLIED: &[&str] = &[
    "healthcheck-path",
    "load-balancer-attributes",
    "scheme",
    "tags",
    "target-type",
];

/// Everything about one Ingress that keeps it from being applied.
pub(super) fn waits(
    ingress: &Ingress,
    class: Option<&IngressClass>,
    input: &Input<'_>,
) -> Vec<Wait> {
    let mut waits = Vec::new();
    let settings = input.settings;
    if settings.flags != Flags::default() || settings.gates != FeatureGates::default() {
        waits.push(Wait::new(
            &ingress.origin,
            "flags and feature gates other than the defaults are not served yet",
        ));
    }
    if let Some(parameters) = class.and_then(|class| class.parameters.as_ref()) {
        waits.push(Wait::new(
            &parameters.origin,
            "IngressClassParams are not served yet",
        ));
    }
    if let Some(backend) = &ingress.default_backend {
        waits.push(Wait::new(
            &backend.origin,
            "default backends are not served yet",
        ));
    }
    if let Some(host) = ingress.tls_hosts.first() {
        waits.push(Wait::new(&host.origin, "TLS is not served yet"));
    }
    of_options(&ingress.options, &ingress.annotations, &mut waits);
    for path in ingress.rules.iter().flat_map(|rule| &rule.paths) {
        if path.path_type == PathType::ImplementationSpecific {
            waits.push(Wait::new(
                &path.origin,
                "path type ImplementationSpecific is not served yet",
            ));
        }
        let Backend::Service { name, port } = &path.backend.value else {
            continue;
        };
        if *port == PortRef::Name(USE_ANNOTATION.to_owned()) {
            waits.push(Wait::new(
                &path.backend.origin,
                "actions of annotations are not served yet",
            ));
        }
        let reference = ServiceRef {
            namespace: ingress.namespace.clone(),
            name: name.clone(),
        };
        if let Some(service) = input.services.get(&reference) {
            of_options(&service.options, &service.annotations, &mut waits);
        }
    }
    waits
}

fn of_options(
    options: &IngressOptions,
    annotations: &BTreeMap<String, Located<String>>,
    waits: &mut Vec<Wait>,
) {
    for (key, value) in annotations {
        let suffix = key
            .split_once('/')
            .filter(|(prefix, _)| *prefix == PREFIX)
            .map(|(_, suffix)| suffix);
        if suffix.is_some_and(|suffix| !APPLIED.contains(&suffix)) {
            let reason = format!("the annotation {key} is not served yet");
            waits.push(Wait::new(&value.origin, reason));
        }
    }
    let IngressOptions {
        load_balancer,
        target_group,
        tags,
        ..
    } = options;
    let bad: [Option<&Problem>; 5] = [
        refusal(load_balancer.scheme.as_ref().map(|it| &it.value)),
        refusal(load_balancer.attributes.as_ref().map(|it| &it.value)),
        refusal(target_group.target_type.as_ref().map(|it| &it.value)),
        refusal(target_group.health_check_path.as_ref().map(|it| &it.value)),
        refusal(tags.as_ref().map(|it| &it.value)),
    ];
    waits.extend(bad.into_iter().flatten().map(Wait::for_problem));
    if let Some(setting) = &target_group.target_type
        && setting.good() == Some(&TargetType::Ip)
    {
        waits.push(Wait::new(
            &setting.origin,
            "target type ip is not served yet",
        ));
    }
}

/// Why a value cannot be used; in strict checks parsing has told it too.
fn refusal<T>(value: Option<&Result<T, Box<Problem>>>) -> Option<&Problem> {
    value?.as_ref().err().map(|problem| &**problem)
}
