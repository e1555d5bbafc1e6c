use serde_json::{Value, json};

use crate::{
    manifest::annotation::value::{Condition, Patterns},
    model::group::fixture::{World, path, rules},
};

const HEADER: &str =
    r#"{"field":"http-header","httpHeaderConfig":{"httpHeaderName":"X","values":["1"]}}"#;
const QUERY: &str =
    r#"{"field":"query-string","queryStringConfig":{"values":[{"key":"a","value":"1"}]}}"#;
const HOSTS: &str =
    r#"{"field":"host-header","hostHeaderConfig":{"values":["b.example.com","a.example.com"]}}"#;
const PATHS: &str = r#"{"field":"path-pattern","pathPatternConfig":{"values":["/b"]}}"#;
const HOST_REGEX: &str = r#"{"field":"host-header","hostHeaderConfig":{"regexValues":["^a"]}}"#;

fn world(host: &str, paths: &[Value], conditions: &[&str]) -> World {
    let text = format!("[{}]", conditions.join(","));
    World::new()
        .ingress("web", json!({"conditions.app1": text}), rules(host, paths))
        .lbc()
}

fn fields(world: &World) -> Vec<String> {
    let group = world.group();
    let conditions = &group.listeners[&80].rules[0].conditions;
    conditions
        .iter()
        .map(|condition| match condition {
            Condition::HostHeader { values } => format!("host {}", shown(values)),
            Condition::PathPattern { values } => format!("path {}", shown(values)),
            Condition::HttpHeader { name, values } => format!("header {name} {}", shown(values)),
            Condition::HttpRequestMethod { values } => format!("method {}", values.join(" ")),
            Condition::QueryString { values } => format!("query {}", values.len()),
            Condition::SourceIp { values } => format!("source {}", values.join(" ")),
        })
        .collect()
}

fn shown(patterns: &Patterns) -> String {
    match patterns {
        Patterns::Values(values) => values.join(" "),
        Patterns::Regex(values) => format!("regex {}", values.join(" ")),
    }
}

#[test]
fn hosts_and_paths_stand_behind_the_others_and_beside_the_documents() {
    let world = world(
        "a.example.com",
        &[path("/a", "Prefix", "app1")],
        &[HOSTS, HEADER, PATHS, QUERY, HEADER],
    );
    assert_eq!(
        fields(&world),
        [
            "header X 1",
            "query 1",
            "header X 1",
            "host a.example.com b.example.com a.example.com",
            "path /a /a/* /b",
        ]
    );
}

#[test]
fn a_condition_alone_needs_no_path() {
    let empty = json!({"pathType": "ImplementationSpecific", "backend": {"service": {"name": "app1", "port": {"number": 80}}}});
    assert_eq!(fields(&world("", &[empty], &[HEADER])), ["header X 1"]);
}

#[test]
fn values_and_expressions_of_one_field_do_not_go_together() {
    let paths = [path("/a", "Exact", "app1")];
    assert_eq!(
        fields(&world("", &paths, &[HOST_REGEX])),
        ["host regex ^a", "path /a"]
    );
    let said = world("a.example.com", &paths, &[HOST_REGEX]).refusals();
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(said[0].contains("the host of one rule"), "{said:?}");
}

#[test]
fn a_bad_annotation_of_a_backend_that_no_path_has_is_not_read() {
    let world = World::new()
        .ingress(
            "web",
            json!({"conditions.other": "nonsense"}),
            rules("", &[path("/a", "Exact", "app1")]),
        )
        .lbc();
    assert_eq!(fields(&world), ["path /a"]);
}
