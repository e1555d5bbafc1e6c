//! Target groups of both balancers and the bindings of the application balancer's.

use serde::{Serialize, Serializer, ser::SerializeMap};

use super::{
    Attributes, BALANCER_ID, Entries, Group, LOAD_BALANCER, List, One, Or, Reference, TARGET_GROUP,
    Text, reference, spec,
};
use crate::{
    manifest::{
        annotation::value::{Protocol, TargetType},
        ingress::PortRef,
    },
    model::{
        group::{
            GroupModel, HealthCheck, HealthCheckPort, Later, Matcher, Networking, NetworkingPort,
            TargetGroup,
        },
        net::Tags,
    },
};

fn family(is_ipv6: bool) -> &'static str {
    if is_ipv6 { "ipv6" } else { "ipv4" }
}

pub(super) struct All<'a>(pub &'a GroupModel);

impl Serialize for All<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        if let Some(nlb) = &self.0.frontend_nlb {
            for (port, listener) in &nlb.listeners {
                let described = Described {
                    health_check: health_check(&listener.health_check),
                    ip_address_type: "ipv4",
                    name: &listener.target_group_name,
                    port,
                    protocol: "TCP",
                    protocol_version: None,
                    tags: &nlb.tags,
                    target_control_port: None,
                    attributes: None,
                    target_type: "alb",
                };
                map.serialize_entry(
                    &Text(format_args!("FrontendNlb-tg-TCP-{port}")),
                    &spec(described),
                )?;
            }
        }
        for (id, target_group) in &self.0.target_groups {
            let described = Described {
                health_check: health_check(&target_group.health_check),
                ip_address_type: family(target_group.is_ipv6),
                name: Or(&target_group.name),
                port: Or(&target_group.port),
                protocol: target_group.protocol.as_str(),
                protocol_version: Some(target_group.protocol_version.as_str()),
                tags: &target_group.tags,
                target_control_port: target_group.target_control_port,
                attributes: Some(Attributes(&target_group.attributes))
                    .filter(|attributes| !attributes.is_empty()),
                target_type: target_group.target_type.as_str(),
            };
            map.serialize_entry(id, &spec(described))?;
        }
        map.end()
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Described<'a, N, P> {
    #[serde(rename = "healthCheckConfig")]
    health_check: Checked<'a>,
    ip_address_type: &'static str,
    name: N,
    port: P,
    protocol: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    protocol_version: Option<&'static str>,
    #[serde(skip_serializing_if = "Tags::is_empty")]
    tags: &'a Tags,
    #[serde(skip_serializing_if = "Option::is_none")]
    target_control_port: Option<i32>,
    #[serde(
        rename = "targetGroupAttributes",
        skip_serializing_if = "Option::is_none"
    )]
    attributes: Option<Attributes<'a>>,
    target_type: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Checked<'a> {
    healthy_threshold_count: i32,
    interval_seconds: i32,
    matcher: Codes<'a>,
    path: &'a str,
    port: CheckPort<'a>,
    protocol: Protocol,
    timeout_seconds: i32,
    unhealthy_threshold_count: i32,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Codes<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    grpc_code: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    http_code: Option<&'a str>,
}

fn health_check(check: &HealthCheck) -> Checked<'_> {
    let (grpc_code, http_code) = match &check.matcher {
        Matcher::HttpCode(code) => (None, Some(code.as_str())),
        Matcher::GrpcCode(code) => (Some(code.as_str()), None),
    };
    Checked {
        healthy_threshold_count: check.healthy_threshold_count,
        interval_seconds: check.interval_seconds,
        matcher: Codes {
            grpc_code,
            http_code,
        },
        path: &check.path,
        port: CheckPort(&check.port),
        protocol: check.protocol,
        timeout_seconds: check.timeout_seconds,
        unhealthy_threshold_count: check.unhealthy_threshold_count,
    }
}

struct CheckPort<'a>(&'a Later<HealthCheckPort>);

impl Serialize for CheckPort<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Some(HealthCheckPort::TrafficPort) => serializer.serialize_str("traffic-port"),
            Some(HealthCheckPort::Number(number)) => serializer.serialize_i32(*number),
            None => serializer.serialize_str(super::LATER),
        }
    }
}

#[derive(Serialize)]
pub(super) struct Template<'a> {
    template: Binding<'a>,
}

#[derive(Serialize)]
struct Binding<'a> {
    metadata: Metadata<'a>,
    spec: BindingSpec<'a>,
}

#[derive(Serialize)]
struct Metadata<'a> {
    name: Or<'a, String>,
    namespace: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct BindingSpec<'a> {
    ip_address_type: &'static str,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    multi_cluster_target_group: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    networking: Option<Rules<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    node_selector: Option<Selector<'a>>,
    service_ref: ServiceRef<'a>,
    #[serde(rename = "targetGroupARN")]
    target_group: Reference<&'a str>,
    target_group_protocol: Protocol,
    target_type: TargetType,
    #[serde(rename = "vpcID")]
    vpc_id: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Selector<'a> {
    #[serde(skip_serializing_if = "Tags::is_empty")]
    match_labels: &'a Tags,
}

#[derive(Serialize)]
struct ServiceRef<'a> {
    name: &'a str,
    port: &'a PortRef,
}

pub(super) fn binding<'a>(id: &'a str, target_group: &'a TargetGroup) -> Template<'a> {
    let binding = &target_group.binding;
    let selector = binding.node_selector.as_ref();
    Template {
        template: Binding {
            metadata: Metadata {
                name: Or(&target_group.name),
                namespace: &binding.service.namespace,
            },
            spec: BindingSpec {
                ip_address_type: family(target_group.is_ipv6),
                multi_cluster_target_group: binding.multi_cluster,
                networking: binding.networking.as_ref().map(Rules),
                node_selector: selector.map(|match_labels| Selector { match_labels }),
                service_ref: ServiceRef {
                    name: &binding.service.name,
                    port: &binding.port,
                },
                target_group: reference(TARGET_GROUP, id, "targetGroupARN"),
                target_group_protocol: target_group.protocol,
                target_type: target_group.target_type,
                vpc_id: &binding.vpc_id,
            },
        },
    }
}

/// One rule for each port.
struct Rules<'a>(&'a Networking);

impl Serialize for Rules<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let source = &self.0.source;
        let rules = self.0.ports.iter().map(|port| Rule {
            from: [One("securityGroup", One("groupID", Group(source)))],
            ports: [Port(port)],
        });
        One("ingress", List(rules)).serialize(serializer)
    }
}

#[derive(Serialize)]
struct Rule<'a> {
    from: [One<&'static str, One<&'static str, Group<'a>>>; 1],
    ports: [Port<'a>; 1],
}

struct Port<'a>(&'a Later<NetworkingPort>);

impl Serialize for Port<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        match self.0 {
            Some(NetworkingPort::Number(number)) => map.serialize_entry("port", number)?,
            Some(NetworkingPort::Name(name)) => map.serialize_entry("port", name)?,
            Some(NetworkingPort::All) => {}
            None => map.serialize_entry("port", super::LATER)?,
        }
        map.serialize_entry("protocol", "TCP")?;
        map.end()
    }
}

/// What LBC notes of the application balancer's registration behind the network balancer; it always notes something.
pub(super) struct Bookkeeping<'a>(pub &'a GroupModel);

impl Serialize for Bookkeeping<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let listeners = self.0.frontend_nlb.iter().flat_map(|nlb| &nlb.listeners);
        let registered = listeners.map(|(port, listener)| {
            let name = listener.target_group_name.as_str();
            let id = format!("FrontendNlb-tg-TCP-{port}");
            let registered = Registered {
                arn: reference(TARGET_GROUP, id, "targetGroupARN"),
                name,
                port: *port,
                target: reference(LOAD_BALANCER, BALANCER_ID, "loadBalancerARN"),
                target_port: listener.alb_port,
            };
            (name, registered)
        });
        One("TargetGroups", Entries(registered)).serialize(serializer)
    }
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Registered<'a> {
    #[serde(rename = "ARN")]
    arn: Reference<String>,
    name: &'a str,
    port: i32,
    #[serde(rename = "TargetARN")]
    target: Reference<&'static str>,
    target_port: i32,
}
