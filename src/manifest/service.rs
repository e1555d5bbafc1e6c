//! Services and the ports that rules point at.

use std::{collections::BTreeMap, sync::LazyLock};

use super::{
    annotation::{self, Given, IngressOptions, On},
    document::Metadata,
    field::{Field, Report},
    ingress::PortRef,
    name, stored,
};
use crate::{
    problem::{Located, Origin, Problem, codes},
    shared::Shared,
};

mod addresses;
mod rules;
#[cfg(test)]
mod tests;

/// `namespace/name` of a Service.
#[derive(
    Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
pub struct ServiceRef {
    pub namespace: String,
    pub name: String,
}

impl std::fmt::Display for ServiceRef {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// One `v1` Service as written in git.
#[derive(Clone, Debug, PartialEq)]
pub struct Service {
    pub origin: Origin,
    pub reference: ServiceRef,
    /// `ClusterIP` when absent, as the API server fills in.
    pub service_type: String,
    /// `spec.clusterIP`, where git says it: `None` of a headless Service, empty, or an address.
    pub cluster_ip: Option<String>,
    /// Where git decides them ([`super::stored`]); otherwise facts know.
    pub ip_families: Option<Vec<String>>,
    pub external_name: Option<String>,
    pub ports: Vec<ServicePort>,
    /// The API server gives its ports node ports: NodePort, or LoadBalancer unless `allocateLoadBalancerNodePorts` is false.
    pub has_node_ports: bool,
    /// Annotations under our prefix on the Service; they win over the Ingress's (ingress-model §0.3).
    pub options: Shared<IngressOptions>,
    pub annotations: BTreeMap<String, Located<String>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServicePort {
    pub origin: Origin,
    pub name: Option<String>,
    pub port: i32,
    /// `TCP` when absent, as the API server fills in. LBC does not look at it (ingress-model §15.4).
    pub protocol: String,
    /// `port` when absent, as the API server fills in.
    pub target_port: PortRef,
    /// Only where git pins it.
    pub node_port: Option<i32>,
}

/// Fields of a Service's spec.
const SPEC: &[&str] = &[
    "allocateLoadBalancerNodePorts",
    "clusterIP",
    "clusterIPs",
    "externalIPs",
    "externalName",
    "externalTrafficPolicy",
    "healthCheckNodePort",
    "internalTrafficPolicy",
    "ipFamilies",
    "ipFamilyPolicy",
    "loadBalancerClass",
    "loadBalancerIP",
    "loadBalancerSourceRanges",
    "ports",
    "publishNotReadyAddresses",
    "selector",
    "sessionAffinity",
    "sessionAffinityConfig",
    "trafficDistribution",
    "type",
];

/// Reads one Service.
pub(super) fn service(field: &Field<'_>, metadata: &Metadata, report: &mut Report) -> Service {
    report.fields(field, &["apiVersion", "kind", "metadata", "spec", "status"]);
    let options = options(&metadata.annotations, report);
    let mut service = Service {
        origin: field.origin(),
        reference: ServiceRef {
            namespace: metadata.namespace.clone(),
            name: metadata.name.clone(),
        },
        service_type: "ClusterIP".to_owned(),
        cluster_ip: None,
        ip_families: None,
        external_name: None,
        ports: Vec::new(),
        has_node_ports: false,
        options,
        annotations: metadata.located_annotations(),
    };
    let Some(spec) = report.required(field, "spec") else {
        return service;
    };
    if !report.fields(&spec, SPEC) {
        return service;
    }
    let types = ["ClusterIP", "NodePort", "LoadBalancer", "ExternalName"].map(|word| (word, word));
    if let Some(service_type) = report.word(&spec, "type", &types) {
        service_type.value.clone_into(&mut service.service_type);
    }
    let selector = report.labels(&spec, "selector");
    let cluster_ip = report.text(&spec, "clusterIP");
    let cluster = addresses::cluster_ips(&spec, &service.service_type, cluster_ip.as_ref(), report);
    service.cluster_ip = cluster_ip.map(|text| text.value);
    let allocates = report.boolean(&spec, "allocateLoadBalancerNodePorts");
    service.has_node_ports = match service.service_type.as_str() {
        "NodePort" => true,
        "LoadBalancer" => allocates != Some(false),
        _ => false,
    };
    if service.service_type == "ExternalName" {
        service.external_name = rules::external_name(&spec, report);
    } else if !cluster.is_headless {
        let hint = "write a port: only headless Services and those of type ExternalName have none";
        report.items_required(&spec, "ports", hint);
    }
    rules::of_type(&spec, &service, report);
    addresses::external_ips(&spec, report);
    addresses::source_ranges(&spec, report);
    service.ip_families = addresses::ip_families(
        &spec,
        &service.service_type,
        &cluster,
        !selector.is_empty(),
        report,
    );
    let fields = report.list(&spec, "ports");
    for field in &fields {
        service
            .ports
            .extend(port(field, &service.service_type, report));
    }
    if fields.len() > 1 {
        ports_together(&fields, report);
    }
    service
}

/// What its annotations ask for; those of which none is read hold the same nothing together.
fn options(annotations: &[Given], report: &mut Report) -> Shared<IngressOptions> {
    static NOTHING: LazyLock<Shared<IngressOptions>> = LazyLock::new(Shared::default);
    let options = annotation::read(annotations, On::Both, report);
    if options == **NOTHING {
        NOTHING.clone()
    } else {
        options.into()
    }
}

fn port(field: &Field<'_>, service_type: &str, report: &mut Report) -> Option<ServicePort> {
    let known = [
        "appProtocol",
        "name",
        "nodePort",
        "port",
        "protocol",
        "targetPort",
    ];
    if !report.fields(field, &known) {
        return None;
    }
    let name = report
        .text(field, "name")
        .filter(|name| !name.value.is_empty());
    if let Some(name) = &name {
        report.name(&field.path_of("name"), name, name::label);
    }
    let protocols = ["TCP", "UDP", "SCTP"].map(|word| (word, word));
    let protocol = report.word(field, "protocol", &protocols);
    if let Some(text) = report.text(field, "appProtocol") {
        report.name(&field.path_of("appProtocol"), &text, name::qualified);
    }
    report.required(field, "port");
    let port = report.integer(field, "port", 1..=65_535);
    let target_port = match field.get("targetPort").filter(|port| !is_zero(port)) {
        None => None,
        Some(target) if target.value().is_string() => report.as_text(&target).map(|text| {
            report.name(&target.path, &text, name::port);
            PortRef::Name(text.value)
        }),
        Some(target) => report
            .as_integer(&target, 1..=65_535)
            .and_then(|number| Some(PortRef::Number(i32::try_from(number.value).ok()?))),
    };
    let node_port = report
        .integer(field, "nodePort", 0..=65_535)
        .filter(|number| number.value != 0);
    // A Service of type ExternalName has no use for it, and the API server does not mind.
    if let Some(number) = node_port.as_ref().filter(|_| service_type == "ClusterIP") {
        report.hinted(
            codes::BAD_VALUE,
            number.origin.clone(),
            format!(
                "{} is set on a Service of type {service_type}",
                field.path_of("nodePort")
            ),
            "write spec.type: NodePort",
        );
    }
    let port = i32::try_from(port?.value).ok()?;
    Some(ServicePort {
        origin: field.origin(),
        name: name.map(|name| name.value),
        port,
        protocol: protocol
            .map_or(stored::PROTOCOL, |protocol| protocol.value)
            .to_owned(),
        target_port: stored::target_port(target_port, port),
        node_port: node_port.and_then(|number| i32::try_from(number.value).ok()),
    })
}

/// What the API server fills in with the port: the number 0 and the empty text (k8s `SetDefaults_Service`).
fn is_zero(target: &Field<'_>) -> bool {
    let is_empty = target.value().as_str() == Some("") && target.node.ambiguous().is_none();
    is_empty || target.is_zero()
}

/// Several ports need names of their own, and numbers and node ports that differ within one protocol.
fn ports_together(fields: &[Field<'_>], report: &mut Report) {
    let mut names: BTreeMap<&str, Origin> = BTreeMap::new();
    let mut numbers: BTreeMap<(&str, i64), Origin> = BTreeMap::new();
    let mut node_ports: BTreeMap<(&str, i64), Origin> = BTreeMap::new();
    for field in fields {
        let text = |key| field.value().get(key).and_then(serde_json::Value::as_str);
        match text("name").filter(|name| !name.is_empty()) {
            None => {
                if field.value().is_object() {
                    report.hinted(
                        codes::MISSING_FIELD,
                        field.origin(),
                        format!("{} is missing", field.path_of("name")),
                        "each of several ports has a name",
                    );
                }
            }
            Some(name) => {
                twice(
                    &mut names,
                    name,
                    field.node.key_origin("name"),
                    &format!("are {name}"),
                    report,
                );
            }
        }
        let protocol = text("protocol").filter(|word| !word.is_empty());
        let protocol = protocol.unwrap_or(stored::PROTOCOL);
        let number = |key| field.value().get(key).and_then(serde_json::Value::as_i64);
        if let Some(number) = number("port") {
            let shown = format!("are {number}/{protocol}");
            let origin = field.node.key_origin("port");
            twice(&mut numbers, (protocol, number), origin, &shown, report);
        }
        if let Some(number) = number("nodePort").filter(|number| *number != 0) {
            let shown = format!("have the nodePort {number}/{protocol}");
            let origin = field.node.key_origin("nodePort");
            twice(&mut node_ports, (protocol, number), origin, &shown, report);
        }
    }
}

fn twice<K: Ord>(
    seen: &mut BTreeMap<K, Origin>,
    key: K,
    origin: Origin,
    shown: &str,
    report: &mut Report,
) {
    if let Some(first) = seen.get(&key) {
        report.add(
            Problem::new(
                codes::BAD_VALUE,
                origin,
                format!("two ports of this Service {shown}"),
            )
            .also(first.clone()),
        );
    } else {
        seen.insert(key, origin);
    }
}
