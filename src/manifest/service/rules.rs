//! Fields of a Service that do not go together, which the API server refuses (k8s `validateService`).

use super::Service;
use crate::{
    manifest::{
        field::{Field, Report},
        name,
    },
    problem::codes,
};

/// Checks `clusterIP` against `clusterIPs`, and both against the type. Whether the Service is headless.
pub(super) fn cluster_ips(spec: &Field<'_>, service: &Service, report: &mut Report) -> bool {
    let first = service.cluster_ip.as_deref().filter(|ip| !ip.is_empty());
    let list = report.list(spec, "clusterIPs");
    let mut all = Vec::new();
    for ip in &list {
        all.extend(report.as_text(ip));
    }
    let is_headless = match all.as_slice() {
        [] => first == Some("None"),
        [only] => only.value == "None",
        _ => false,
    };
    if service.service_type == "ExternalName" {
        return is_headless;
    }
    if let Some(listed) = all.first()
        && first != Some(listed.value.as_str())
    {
        report.hinted(
            codes::BAD_VALUE,
            listed.origin.clone(),
            format!(
                "spec.clusterIPs[0] is \"{}\" and spec.clusterIP is \"{}\"",
                listed.value,
                first.unwrap_or_default()
            ),
            "write the first of spec.clusterIPs as spec.clusterIP too",
        );
    }
    if is_headless && service.service_type != "ClusterIP" {
        let key = if first.is_some() {
            "clusterIP"
        } else {
            "clusterIPs"
        };
        report.hinted(
            codes::BAD_VALUE,
            spec.get(key).unwrap_or_else(|| spec.clone()).origin(),
            format!(
                "spec.{key} is None on a Service of type {}",
                service.service_type
            ),
            "headless Services are of type ClusterIP",
        );
    }
    is_headless
}

/// The name that the Service stands for; one dot at its end says that it is whole.
pub(super) fn external_name(spec: &Field<'_>, report: &mut Report) -> Option<String> {
    let text = report.required_text(spec, "externalName")?;
    report.name("spec.externalName", &text, |text| {
        name::subdomain(text.strip_suffix('.').unwrap_or(text))
    });
    Some(text.value)
}

pub(super) fn has_ports(spec: &Field<'_>, report: &mut Report) {
    let is_empty = |list: &Field<'_>| list.value().as_array().is_some_and(Vec::is_empty);
    let what = match spec.get("ports") {
        None => "missing",
        Some(list) if is_empty(&list) => "empty",
        Some(_) => return,
    };
    report.problem(
        codes::MISSING_FIELD,
        spec.node.key_origin("ports"),
        format!("spec.ports is {what}"),
    );
}

/// Fields that only some types have, and their words.
pub(super) fn of_type(spec: &Field<'_>, service: &Service, report: &mut Report) {
    let service_type = service.service_type.as_str();
    if service_type == "ExternalName" {
        for key in ["clusterIP", "clusterIPs", "ipFamilies"] {
            refuse(spec, key, is_given, service_type, "remove it", report);
        }
        let key = "ipFamilyPolicy";
        refuse(spec, key, |_| true, service_type, "remove it", report);
    }
    if service_type == "LoadBalancer" {
        if let Some(class) = report.text(spec, "loadBalancerClass") {
            report.name("spec.loadBalancerClass", &class, name::qualified);
        }
    } else {
        let hint = "only Services of type LoadBalancer have it";
        for key in ["allocateLoadBalancerNodePorts", "loadBalancerClass"] {
            refuse(spec, key, |_| true, service_type, hint, report);
        }
        let key = "loadBalancerSourceRanges";
        refuse(spec, key, is_given, service_type, hint, report);
    }
    let takes_external_ips =
        service_type == "ClusterIP" && spec.get("externalIPs").is_some_and(|ips| is_given(&ips));
    if matches!(service_type, "NodePort" | "LoadBalancer") || takes_external_ips {
        let policies = ["Cluster", "Local"].map(|word| (word, ()));
        report.word(spec, "externalTrafficPolicy", &policies);
    } else {
        let hint = "only Services of type NodePort or LoadBalancer, or with externalIPs, have it";
        let key = "externalTrafficPolicy";
        refuse(spec, key, is_given, service_type, hint, report);
    }
    let affinities = ["ClientIP", "None"].map(|word| (word, ()));
    report.word(spec, "sessionAffinity", &affinities);
}

/// Whether the value is more than the empty text or list.
fn is_given(field: &Field<'_>) -> bool {
    match field.value() {
        serde_json::Value::String(text) => !text.is_empty(),
        serde_json::Value::Array(items) => !items.is_empty(),
        _ => true,
    }
}

/// Reports a field that this type of Service does not have.
fn refuse(
    spec: &Field<'_>,
    key: &str,
    is_given: fn(&Field<'_>) -> bool,
    service_type: &str,
    hint: &str,
    report: &mut Report,
) {
    if let Some(field) = spec.get(key).filter(is_given) {
        report.hinted(
            codes::BAD_VALUE,
            field.origin(),
            format!("{} is set on a Service of type {service_type}", field.path),
            hint,
        );
    }
}
