//! Fields of a Service that do not go together, which the API server refuses (k8s `validateService`).

use super::Service;
use crate::{
    manifest::{
        field::{Field, Report},
        name,
    },
    problem::codes,
};

/// The name that the Service stands for; one dot at its end says that it is whole.
pub(super) fn external_name(spec: &Field<'_>, report: &mut Report) -> Option<String> {
    let text = report.required_text(spec, "externalName")?;
    report.name("spec.externalName", &text, |text| {
        name::subdomain(text.strip_suffix('.').unwrap_or(text))
    });
    Some(text.value)
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
    let policies = [("Cluster", false), ("Local", true)];
    let mut is_local = false;
    if matches!(service_type, "NodePort" | "LoadBalancer") || takes_external_ips {
        is_local = report
            .word(spec, "externalTrafficPolicy", &policies)
            .is_some_and(|policy| policy.value);
    } else {
        let hint = "only Services of type NodePort or LoadBalancer, or with externalIPs, have it";
        let key = "externalTrafficPolicy";
        refuse(spec, key, is_given, service_type, hint, report);
    }
    let has_health_check = service_type == "LoadBalancer" && is_local;
    health_check(spec, has_health_check, report);
    // Unlike above, the empty text is refused: it does not count as absent.
    report.one_of(spec, "internalTrafficPolicy", &policies);
    let distributions = ["PreferClose", "PreferSameZone", "PreferSameNode"].map(|word| (word, ()));
    report.one_of(spec, "trafficDistribution", &distributions);
    report.boolean(spec, "publishNotReadyAddresses");
    sessions(spec, report);
}

/// The node port that tells a load balancer which nodes have pods; 0 leaves it to the cluster.
fn health_check(spec: &Field<'_>, has_health_check: bool, report: &mut Report) {
    let number = report.integer(spec, "healthCheckNodePort", 0..=65_535);
    if let Some(number) = number.filter(|number| number.value != 0 && !has_health_check) {
        report.hinted(
            codes::BAD_VALUE,
            number.origin,
            format!(
                "spec.healthCheckNodePort is {} on a Service without health check",
                number.value
            ),
            "only Services of type LoadBalancer with externalTrafficPolicy: Local have it",
        );
    }
}

/// How long a client keeps its pod. Without affinity the API server drops the time and takes any (k8s
/// `SetDefaults_Service`).
fn sessions(spec: &Field<'_>, report: &mut Report) {
    let affinities = [("ClientIP", true), ("None", false)];
    let is_by_client = report
        .word(spec, "sessionAffinity", &affinities)
        .is_some_and(|affinity| affinity.value);
    let seconds = if is_by_client {
        1..=86_400
    } else {
        i64::from(i32::MIN)..=i64::from(i32::MAX)
    };
    let client = spec
        .get("sessionAffinityConfig")
        .filter(|config| report.fields(config, &["clientIP"]))
        .and_then(|config| config.get("clientIP"));
    if let Some(client) = client.filter(|client| report.fields(client, &["timeoutSeconds"])) {
        report.integer(&client, "timeoutSeconds", seconds);
    }
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
