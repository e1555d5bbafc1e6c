use serde_json::{Value, json};

use crate::model::group::{
    Action,
    fixture::{World, path, plain, rules},
};

fn default_backend(service: &str) -> Value {
    json!({"defaultBackend": {"service": {"name": service, "port": {"number": 80}}}})
}

#[test]
fn what_no_rule_matches_gets_a_404() {
    let group = World::new().ingress("web", json!({}), plain()).group();
    assert_eq!(
        group.listeners[&80].default_actions,
        [Action::FixedResponse {
            status_code: "404".to_owned(),
            content_type: Some("text/plain".to_owned()),
            message_body: None,
        }]
    );
}

#[test]
fn the_only_default_backend_answers_and_two_are_told() {
    let group = World::new()
        .ingress("web", json!({}), default_backend("app2"))
        .group();
    let actions = &group.listeners[&80].default_actions;
    assert!(matches!(actions[..], [Action::Forward { .. }]));
    assert!(group.target_groups.contains_key("default/web-app2:80"));
    let two = World::new()
        .ingress("a", json!({"group.name": "g"}), default_backend("app1"))
        .ingress("b", json!({"group.name": "g"}), default_backend("app2"));
    let wanted = "default-backend: port 80 has a default backend from Ingress default/a already";
    assert_eq!(two.refusals(), [wanted]);
    let elsewhere = json!({"group.name": "g", "listen-ports": r#"[{"HTTP":81}]"#});
    let apart = World::new()
        .ingress("a", json!({"group.name": "g"}), default_backend("app1"))
        .ingress("b", elsewhere, default_backend("app2"));
    assert_eq!(apart.group().listeners.len(), 2);
}

#[test]
fn conditions_of_a_default_backend_are_read_and_not_used() {
    let world = |conditions: &str| {
        let annotations = json!({"conditions.app1": conditions});
        World::new()
            .ingress("web", annotations, default_backend("app1"))
            .lbc()
    };
    assert!(world("[]").group().listeners[&80].rules.is_empty());
    assert_eq!(world("{").refusals().len(), 1);
}

#[test]
fn attributes_of_those_who_listen_there_are_merged_and_the_first_ones_class_wins() {
    let with = |pairs: &str| json!({"group.name": "g", "listener-attributes.HTTP-80": pairs});
    let keys = |a: &str, b: &str| {
        World::new()
            .ingress("a", with(a), plain())
            .ingress(
                "b",
                with(b),
                rules("b.example.com", &[path("/", "Prefix", "app1")]),
            )
            .lbc()
    };
    let attribute = |world: &World, key: &str| {
        let (group, _) = world.warned();
        group.listeners[&80].attributes.get(key).cloned()
    };
    let merged = keys("x=1,y=", "x=1,z=3");
    assert_eq!(attribute(&merged, "y").as_deref(), Some(""));
    assert_eq!(attribute(&merged, "z").as_deref(), Some("3"));
    let said = keys("x=1", "x=2").refusals();
    let wanted = "group-conflict: x of listener-attributes.HTTP-80";
    assert!(said[0].starts_with(wanted), "{said:?}");
    let of_class = keys("x=1", "x=2").params(json!({"listeners": [
        {"protocol": "HTTPS", "port": 80, "listenerAttributes": [{"key": "x", "value": "wrong"}]},
        {"protocol": "HTTP", "port": 80, "listenerAttributes": [{"key": "x", "value": "3"}]},
    ]}));
    assert_eq!(attribute(&of_class, "x").as_deref(), Some("3"));
}

#[test]
fn attributes_of_a_listener_that_is_not_there_are_not_read() {
    let annotations = json!({"listener-attributes.HTTPS-443": "nonsense"});
    World::new()
        .ingress("web", annotations, plain())
        .lbc()
        .warned();
}
