use serde_json::{Value, json};

use crate::{
    manifest::annotation::value::{Protocol, ProtocolVersion, TargetType},
    model::group::{
        HealthCheckPort, Matcher, TargetGroup,
        fixture::{UID, World, path, plain, rules},
    },
};

const ID: &str = "default/web-app1:80";

fn spec() -> Value {
    json!({"type": "NodePort", "selector": {"a": "b"}, "ports": [
        {"name": "http", "port": 80, "targetPort": 8080},
        {"name": "named", "port": 81, "targetPort": "web"},
        {"name": "health", "port": 82, "targetPort": 9090},
    ]})
}

/// `app1` with three ports; annotations of the Ingress and of the Service.
fn world(of_ingress: Value, of_service: Value) -> World {
    let node_ports = json!({"80": 31080, "81": 31081, "82": 31082});
    World::new()
        .service_as("app1", of_service, spec(), node_ports)
        .ingress("web", of_ingress, plain())
        .lbc()
}

fn made(of_ingress: Value, of_service: Value) -> TargetGroup {
    let (mut group, _) = world(of_ingress, of_service).warned();
    group.target_groups.remove(ID).unwrap()
}

fn refusal(of_ingress: Value) -> String {
    let said = world(of_ingress, json!({})).refusals();
    assert_eq!(said.len(), 1, "{said:?}");
    said.into_iter().next().unwrap_or_default()
}

#[test]
fn without_settings_it_has_lbcs_defaults() {
    let it = made(json!({}), json!({}));
    assert_eq!(
        (it.target_type, it.port),
        (TargetType::Instance, Some(31080))
    );
    assert_eq!(
        (it.protocol, it.protocol_version),
        (Protocol::Http, ProtocolVersion::Http1)
    );
    let check = &it.health_check;
    assert_eq!(check.port, Some(HealthCheckPort::TrafficPort));
    assert_eq!((check.path.as_str(), check.protocol), ("/", Protocol::Http));
    assert_eq!(check.matcher, Matcher::HttpCode("200".to_owned()));
    assert_eq!((check.interval_seconds, check.timeout_seconds), (15, 5));
    assert_eq!(
        (
            check.healthy_threshold_count,
            check.unhealthy_threshold_count
        ),
        (2, 2)
    );
    assert!(it.attributes.is_empty() && it.tags.is_empty() && !it.is_ipv6);
}

#[test]
fn the_service_wins_annotation_by_annotation_and_hides_bad_values() {
    let it = made(
        json!({"healthcheck-path": "/i", "success-codes": "201", "target-type": "nonsense"}),
        json!({"healthcheck-path": "/s", "target-type": "ip"}),
    );
    assert_eq!(it.health_check.path, "/s");
    assert_eq!(it.health_check.matcher, Matcher::HttpCode("201".to_owned()));
    assert_eq!((it.target_type, it.port), (TargetType::Ip, Some(8080)));
    let cleared = made(
        json!({"target-group-attributes": "a=b"}),
        json!({"target-group-attributes": ""}),
    );
    assert!(cleared.attributes.is_empty());
}

#[test]
fn the_classs_target_type_hides_both() {
    let world = world(json!({"target-type": "nonsense"}), json!({}));
    let group = world.params(json!({"targetType": "ip"})).group();
    assert_eq!(group.target_groups[ID].target_type, TargetType::Ip);
}

#[test]
fn grpc_has_its_own_path_and_codes() {
    let it = made(json!({"backend-protocol-version": "GRPC"}), json!({}));
    assert_eq!(it.health_check.path, "/AWS.ALB/healthcheck");
    assert_eq!(it.health_check.matcher, Matcher::GrpcCode("12".to_owned()));
}

#[test]
fn a_health_check_follows_the_backends_protocol_unless_told() {
    let https = made(json!({"backend-protocol": "HTTPS"}), json!({}));
    assert_eq!(https.health_check.protocol, Protocol::Https);
    let told = json!({"backend-protocol": "HTTPS", "healthcheck-protocol": "HTTP"});
    assert_eq!(made(told, json!({})).health_check.protocol, Protocol::Http);
}

#[test]
fn a_health_checks_port_is_a_number_or_a_port_of_the_service() {
    let port = |text: &str, kind: &str| {
        let annotations = json!({"healthcheck-port": text, "target-type": kind});
        made(annotations, json!({})).health_check.port
    };
    assert_eq!(
        port("traffic-port", "ip"),
        Some(HealthCheckPort::TrafficPort)
    );
    assert_eq!(port("+8086", "ip"), Some(HealthCheckPort::Number(8086)));
    assert_eq!(port("70000", "ip"), Some(HealthCheckPort::Number(70000)));
    assert_eq!(
        port("health", "instance"),
        Some(HealthCheckPort::Number(31082))
    );
    assert_eq!(port("health", "ip"), Some(HealthCheckPort::Number(9090)));
    let said = refusal(json!({"healthcheck-port": "named", "target-type": "ip"}));
    let wanted = "target-group: healthcheck-port cannot be the port `named`";
    assert!(said.starts_with(wanted), "{said}");
    for text in ["none", "Traffic-Port", "8080 ", "99999999999", ""] {
        let said = refusal(json!({"healthcheck-port": text}));
        assert!(
            said.starts_with("service-port: healthcheck-port: "),
            "{said}"
        );
    }
}

fn to_port(text: &str, port: Value) -> Value {
    let mut path = path(text, "Exact", "app1");
    path["backend"]["service"]["port"] = port;
    path
}

#[test]
fn a_named_target_port_counts_as_one() {
    let named = rules("", &[to_port("/", json!({"name": "named"}))]);
    let world = World::new()
        .service_as("app1", json!({}), spec(), json!({}))
        .ingress("web", json!({"target-type": "ip"}), named);
    assert_eq!(
        world.group().target_groups["default/web-app1:named"].port,
        Some(1)
    );
}

#[test]
fn one_for_each_spelling_of_a_port_and_each_ingress() {
    let by_number = || json!({"number": 80});
    let paths = [
        to_port("/1", by_number()),
        to_port("/2", by_number()),
        to_port("/3", json!({"name": "http"})),
    ];
    let world = World::new()
        .ingress("a", json!({"group.name": "g"}), rules("", &paths))
        .ingress(
            "b",
            json!({"group.name": "g"}),
            rules("", &[to_port("/4", by_number())]),
        );
    let group = world.group();
    let ids: Vec<_> = group.target_groups.keys().collect();
    assert_eq!(
        ids,
        [
            "default/a-app1:80",
            "default/a-app1:http",
            "default/b-app1:80"
        ]
    );
}

#[test]
fn names_follow_all_that_makes_a_target_group_and_wait_for_the_uid() {
    // ingress-model §12.2
    let made = |facts: Value| {
        let world = World::new().ingress("app-aws-ingress", json!({}), plain());
        let mut group = world.fact("services", facts).group();
        group
            .target_groups
            .remove("default/app-aws-ingress-app1:80")
            .unwrap()
    };
    let known = made(json!({"default/app1": {"uid": UID, "nodePorts": {"80": 32672}}}));
    assert_eq!(known.name.as_deref(), Some("k8s-default-app1-b86462c552"));
    let later = made(json!({}));
    assert_eq!((later.name.as_deref(), later.port), (None, None));
}

#[test]
fn a_control_port_is_of_one_port_as_spelled_and_needs_addresses() {
    let ip = |key: &str, port: &str| {
        made(json!({"target-type": "ip", key: port}), json!({})).target_control_port
    };
    assert_eq!(ip("target-control-port.app1.80", "3000"), Some(3000));
    assert_eq!(ip("target-control-port.app1.http", "3000"), None);
    assert_eq!(ip("target-control-port.app1.80", "0"), Some(0));
    let said = refusal(json!({"target-control-port.app1.80": "3000"}));
    assert_eq!(
        said,
        "target-group: target-control-port.app1.80 needs target type ip"
    );
}

#[test]
fn ipv6_needs_a_balancer_with_ipv6() {
    let families = ["IPv4", "IPv6"];
    let facts =
        json!({"default/app1": {"uid": UID, "nodePorts": {"80": 31080}, "ipFamilies": families}});
    let ipv4 = world(json!({}), json!({})).fact("services", facts.clone());
    let wanted = "target-group: Service `app1` has IPv6 addresses, and the balancer has none";
    assert_eq!(ipv4.refusals(), [wanted]);
    let subnet = |id: &str, az: &str| {
        json!({"id": id, "az": az, "freeAddresses": 200, "ipv6Cidrs": ["2001:db8::/64"],
            "tags": {"kubernetes.io/role/internal-elb": "1"}})
    };
    let dual = world(json!({"ip-address-type": "dualstack"}), json!({}))
        .fact("services", facts)
        .fact(
            "subnets",
            json!([subnet("subnet-1", "a"), subnet("subnet-2", "b")]),
        );
    assert!(dual.group().target_groups[ID].is_ipv6);
}

#[test]
fn multi_cluster_is_asked_of_the_ingress_first() {
    let key = "multi-cluster-target-group";
    let multi =
        |of_ingress: Value, of_service: Value| made(of_ingress, of_service).binding.multi_cluster;
    assert!(!multi(json!({}), json!({})));
    assert!(multi(json!({key: "true"}), json!({key: "nonsense"})));
    assert!(multi(json!({key: "false"}), json!({key: "true"})));
    let bad = world(json!({key: "false"}), json!({key: "nonsense"}));
    assert_eq!(bad.refusals().len(), 1);
}

#[test]
fn all_that_is_wrong_is_told_at_once() {
    let bad = json!({
        "backend-protocol": "TCP", "healthcheck-interval-seconds": "soon",
        "target-group-attributes": "x", "multi-cluster-target-group": "maybe",
        "healthcheck-port": "none",
    });
    let said = world(bad, json!({})).refusals();
    assert_eq!(said.len(), 5, "{said:?}");
}

#[test]
fn ip_targets_can_be_switched_off() {
    let mut world = world(json!({"target-type": "ip"}), json!({}));
    world.settings.gates.enable_ip_target_type = false;
    let said = world.refusals();
    assert!(
        said[0].starts_with("target-group: target-type cannot be \"ip\""),
        "{said:?}"
    );
}
