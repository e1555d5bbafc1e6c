use serde_json::{Value, json};

use crate::model::group::fixture::{World, path, plain, rules};

/// The target group's port for `app1` as the Service and what the cluster assigned say.
fn port(spec: Value, node_ports: Value) -> Option<i32> {
    let world = World::new()
        .service_as("app1", json!({}), spec, node_ports)
        .ingress("web", json!({}), plain())
        .lbc();
    world.group().target_groups["default/web-app1:80"].port
}

fn with_port(kind: &str, port: Value) -> Value {
    json!({"type": kind, "selector": {"a": "b"}, "ports": [port]})
}

#[test]
fn node_ports_are_the_pinned_then_the_assigned_then_known_later() {
    let plain = || with_port("NodePort", json!({"port": 80}));
    let pinned = with_port("NodePort", json!({"port": 80, "nodePort": 30080}));
    assert_eq!(port(pinned, json!({})), Some(30080));
    assert_eq!(port(plain(), json!({"80": 31000})), Some(31000));
    assert_eq!(port(plain(), json!({})), None);
    let balanced = with_port("LoadBalancer", json!({"port": 80}));
    assert_eq!(port(balanced, json!({"80": null})), None);
}

#[test]
fn a_service_that_gets_no_node_port_is_refused_for_instances() {
    let mut none = with_port("LoadBalancer", json!({"port": 80}));
    none["allocateLoadBalancerNodePorts"] = json!(false);
    for spec in [none, with_port("ClusterIP", json!({"port": 80}))] {
        let world = World::new()
            .service_as("app1", json!({}), spec, json!({"80": null}))
            .ingress("web", json!({}), plain());
        assert!(world.lbc().refusals()[0].starts_with("node-port: "));
    }
}

#[test]
fn a_service_of_the_cluster_alone_will_do() {
    let far = || {
        let spec = rules("", &[path("/", "Prefix", "far")]);
        World::new().ingress("web", json!({}), spec)
    };
    let of_cluster = json!({"default/far": {
        "uid": "u", "type": "NodePort", "nodePorts": {"80": 32000},
        "ports": [{"name": "http", "port": 80, "targetPort": 8080}],
    }});
    let group = far().fact("services", of_cluster).group();
    assert_eq!(group.target_groups["default/web-far:80"].port, Some(32000));
    let wanted = "fact-missing: Service default/far, which is not in git, was not looked up";
    assert_eq!(far().fact("services", Value::Null).refusals(), [wanted]);
}

#[test]
fn a_missing_port_is_told_with_those_that_exist() {
    let mut backend = path("/", "Prefix", "app1");
    backend["backend"]["service"]["port"]["number"] = json!(81);
    let world = World::new()
        .ingress("web", json!({}), rules("", &[backend]))
        .lbc();
    let (_, problems) = world.outcome();
    assert_eq!(problems[0].message, "Service `app1` has no port `81`");
    assert_eq!(
        problems[0].hint.as_deref(),
        Some("its only port is 80 (`http`)")
    );
}

#[test]
fn the_first_port_that_fits_counts_whatever_its_protocol() {
    let spec = json!({"selector": {"a": "b"}, "ports": [
        {"name": "quic", "port": 80, "targetPort": 9443, "protocol": "UDP"},
        {"name": "tls", "port": 80, "targetPort": 10443},
    ]});
    let world = World::new()
        .service_as("app1", json!({}), spec, json!({}))
        .ingress("web", json!({"target-type": "ip"}), plain());
    let group = world.group();
    assert_eq!(group.target_groups["default/web-app1:80"].port, Some(9443));
}
