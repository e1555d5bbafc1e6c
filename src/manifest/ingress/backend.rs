//! What a path points at: a Service's port.

use super::{Backend, BackendUse, PortRef, Sink};
use crate::{
    manifest::{field::Field, name},
    problem::{Located, codes},
};

/// A port of this name takes its action from an annotation (ingress-model.md §2.4).
pub const USE_ANNOTATION: &str = "use-annotation";

/// Reads one backend; its place is that of the Service's name.
pub(super) fn read(field: &Field<'_>, to: &mut Sink<'_>) -> Option<Located<Backend>> {
    if !to.report.fields(field, &["service", "resource"]) {
        return None;
    }
    let (service, resource) = (field.get("service"), field.get("resource"));
    if let (Some(_), Some(_)) = (&service, &resource) {
        to.report.problem(
            codes::BAD_VALUE,
            field.origin(),
            format!("{} names a service and a resource", field.path),
        );
        return None;
    }
    if let Some(resource) = resource {
        to.report.fields(&resource, &["apiGroup", "kind", "name"]);
        to.report.required_text(&resource, "kind");
        to.report.required_text(&resource, "name");
        return Some(Located::new(Backend::Resource, resource.origin()));
    }
    let Some(service) = service else {
        to.report.problem(
            codes::MISSING_FIELD,
            field.origin(),
            format!("{} is missing", field.path_of("service")),
        );
        return None;
    };
    if !to.report.fields(&service, &["name", "port"]) {
        return None;
    }
    let name = to.report.required_text(&service, "name");
    if let Some(name) = &name {
        to.report.name(&service.path_of("name"), name, name::label);
    }
    let port = to
        .report
        .required(&service, "port")
        .and_then(|port| port_reference(&port, to));
    let (name, port) = (name?, port?);
    if port.value != PortRef::Name(USE_ANNOTATION.to_owned()) {
        to.uses.push(BackendUse {
            service: name.clone(),
            port: port.clone(),
        });
    }
    let backend = Backend::Service {
        name: name.value,
        port: port.value,
    };
    Some(Located::new(backend, name.origin))
}

/// Kubernetes goes by zero values (`validateIngressBackend`): an empty name and the number 0 are as good as absent.
fn port_reference(field: &Field<'_>, to: &mut Sink<'_>) -> Option<Located<PortRef>> {
    if !to.report.fields(field, &["name", "number"]) {
        return None;
    }
    let has_name = field
        .get("name")
        .is_some_and(|name| name.value().as_str() != Some(""));
    let number = field
        .get("number")
        .filter(|number| !(has_name && number.is_zero()));
    let has_number = number.is_some();
    let number = number.and_then(|number| to.report.as_integer(&number, 1..=65_535));
    let name = to.report.text(field, "name");
    match (has_name, has_number) {
        (true, true) => {
            to.report.hinted(
                codes::BAD_VALUE,
                field.origin(),
                format!("{} has a name and a number", field.path),
                "keep one of them",
            );
            None
        }
        (false, false) => {
            to.report.hinted(
                codes::MISSING_FIELD,
                field.origin(),
                format!("{} is empty", field.path),
                "write a name or a number",
            );
            None
        }
        (true, false) => {
            let name = name?;
            to.report.name(&field.path_of("name"), &name, name::port);
            Some(Located::new(PortRef::Name(name.value), name.origin))
        }
        (false, true) => {
            let number = number?;
            let value = i32::try_from(number.value).ok()?;
            Some(Located::new(PortRef::Number(value), number.origin))
        }
    }
}
