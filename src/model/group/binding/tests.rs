use serde_json::{Value, json};

use crate::model::group::{
    NetworkingPort, TargetGroupBinding,
    fixture::{World, plain},
};

const ID: &str = "default/web-app1:80";

fn world(annotations: Value) -> World {
    World::new().ingress("web", annotations, plain()).lbc()
}

fn binding(world: &World) -> TargetGroupBinding {
    world.group().target_groups.remove(ID).unwrap().binding
}

fn ports(annotations: Value) -> Vec<Option<NetworkingPort>> {
    binding(&world(annotations)).networking.unwrap().ports
}

#[test]
fn the_targets_the_health_checks_and_the_control_port_are_let_in() {
    let number = |port| Some(NetworkingPort::Number(port));
    let name = Some(NetworkingPort::Name("web".to_owned()));
    assert_eq!(ports(json!({})), [number(31001)]);
    assert_eq!(
        ports(json!({"target-type": "ip"})),
        std::slice::from_ref(&name)
    );
    assert_eq!(
        ports(json!({"healthcheck-port": "31001"})),
        [number(31001), number(31001)]
    );
    let all = json!({"target-type": "ip", "healthcheck-port": "9000", "target-control-port.app1.80": "3000"});
    assert_eq!(ports(all), [name, number(9000), number(3000)]);
}

#[test]
fn unrestricted_rules_let_in_all_ports_once() {
    let mut world = world(json!({"healthcheck-port": "9000"}));
    world.settings.flags.disable_restricted_sg_rules = true;
    assert_eq!(
        binding(&world).networking.unwrap().ports,
        [Some(NetworkingPort::All)]
    );
}

#[test]
fn where_nobody_manages_the_targets_groups_nothing_is_let_in() {
    let own = world(json!({"security-groups": "sg-1"}));
    let own = own.fact("securityGroups", json!([{"id": "sg-1"}]));
    assert_eq!(binding(&own).networking, None);
}

#[test]
fn nodes_are_chosen_by_labels_for_instances_only() {
    let selector = |annotations: Value| binding(&world(annotations)).node_selector;
    let labels = selector(json!({"target-node-labels": "pool=web"}));
    assert_eq!(labels.unwrap()["pool"], "web");
    assert_eq!(selector(json!({"target-node-labels": ""})), None);
    let unread = json!({"target-type": "ip", "target-node-labels": "nonsense"});
    assert_eq!(selector(unread), None);
    let bad = world(json!({"target-node-labels": "nonsense"}));
    assert_eq!(bad.refusals().len(), 1);
}
