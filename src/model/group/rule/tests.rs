use serde_json::{Value, json};

use crate::{
    manifest::annotation::value::{Condition, Patterns},
    model::group::{
        GroupModel, Rule,
        fixture::{World, path, plain, rules},
    },
};

/// The path patterns of the rules on port 80, one text a rule.
fn shown(group: &GroupModel) -> Vec<String> {
    group.listeners[&80].rules.iter().map(show).collect()
}

fn show(rule: &Rule) -> String {
    let parts = rule.conditions.iter().map(|condition| match condition {
        Condition::HostHeader { values } => format!("host {}", patterns(values)),
        Condition::PathPattern { values } => format!("path {}", patterns(values)),
        other => format!("{other:?}"),
    });
    parts.collect::<Vec<_>>().join(" and ")
}

fn patterns(patterns: &Patterns) -> String {
    match patterns {
        Patterns::Values(values) => values.join(" "),
        Patterns::Regex(values) => format!("regex {}", values.join(" ")),
    }
}

fn of_paths(annotations: Value, paths: &[Value]) -> World {
    World::new()
        .ingress("web", annotations, rules("", paths))
        .lbc()
}

#[test]
fn exact_then_longest_prefix_then_the_others_as_written() {
    let world = of_paths(
        json!({}),
        &[
            path("/i", "ImplementationSpecific", "app1"),
            path("/ab", "Prefix", "app1"),
            path("/abcd", "Prefix", "app1"),
            path("/cd", "Prefix", "app1"),
            path("/z", "Exact", "app1"),
            path("/a", "Exact", "app1"),
        ],
    );
    let wanted = [
        "path /z",
        "path /a",
        "path /abcd /abcd/*",
        "path /ab /ab/*",
        "path /cd /cd/*",
        "path /i",
    ];
    assert_eq!(shown(&world.group()), wanted);
}

#[test]
fn a_trailing_slash_lengthens_a_prefix_and_changes_no_pattern() {
    let world = of_paths(
        json!({}),
        &[
            path("/foo", "Prefix", "app1"),
            path("/bar/", "Prefix", "app1"),
        ],
    );
    assert_eq!(
        shown(&world.group()),
        ["path /bar /bar/*", "path /foo /foo/*"]
    );
}

#[test]
fn entries_and_members_are_not_sorted_among_each_other() {
    let world = World::new()
        .ingress(
            "b",
            json!({"group.name": "g", "group.order": "-1"}),
            json!({"rules": [
                {"host": "b.example.com", "http": {"paths": [path("/", "Prefix", "app1")]}},
                {"host": "only-a-host.example.com"},
                {"host": "a.example.com", "http": {"paths": [path("/long", "Exact", "app1")]}},
            ]}),
        )
        .ingress("a", json!({"group.name": "g"}), plain())
        .lbc();
    let (group, _) = world.warned();
    assert_eq!(
        shown(&group),
        [
            "host b.example.com and path /*",
            "host a.example.com and path /long",
            "path /*",
        ]
    );
    let members: Vec<usize> = group.listeners[&80]
        .rules
        .iter()
        .map(|it| it.member)
        .collect();
    assert_eq!(members, [0, 0, 1]);
}

#[test]
fn a_rule_without_host_and_path_matches_every_path() {
    let nothing = json!({"pathType": "ImplementationSpecific", "backend": {"service": {"name": "app1", "port": {"number": 80}}}});
    assert_eq!(
        shown(&of_paths(json!({}), std::slice::from_ref(&nothing)).group()),
        ["path /*"]
    );
    let world = World::new()
        .ingress("web", json!({}), rules("a.example.com", &[nothing]))
        .lbc();
    assert_eq!(shown(&world.group()), ["host a.example.com"]);
}

#[test]
fn implementation_specific_paths_take_wildcards_or_expressions() {
    let paths = [
        path("/a*b?", "ImplementationSpecific", "app1"),
        path("/p", "Prefix", "app1"),
    ];
    assert_eq!(
        shown(&of_paths(json!({}), &paths).group()),
        ["path /p /p/*", "path /a*b?"]
    );
    let regex = json!({"use-regex-path-match": "true"});
    assert_eq!(
        shown(&of_paths(regex, &paths).group()),
        ["path /p /p/*", "path regex a*b?"]
    );
}

#[test]
fn whether_paths_are_expressions_is_read_only_for_one_that_could_be() {
    let bad = json!({"use-regex-path-match": "yes"});
    let prefix = [path("/p", "Prefix", "app1")];
    assert_eq!(
        of_paths(bad.clone(), &prefix).group().listeners[&80]
            .rules
            .len(),
        1
    );
    let specific = [path("/p", "ImplementationSpecific", "app1")];
    let said = of_paths(bad, &specific).refusals();
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(said[0].contains("use-regex-path-match"), "{said:?}");
}

#[test]
fn exact_and_prefix_paths_have_no_wildcards() {
    for (text, kind) in [("/a*", "Prefix"), ("/a?", "Exact"), ("/*", "Prefix")] {
        let said = of_paths(json!({}), &[path(text, kind, "app1")]).refusals();
        assert_eq!(said.len(), 1, "{said:?}");
        assert!(said[0].starts_with("wildcard-path: "), "{said:?}");
    }
}

#[test]
fn tags_of_a_rule_are_its_ingresss_own() {
    let world = World::new()
        .ingress(
            "a",
            json!({"group.name": "g", "tags": "team=shop"}),
            rules("a.example.com", &[path("/", "Prefix", "app1")]),
        )
        .ingress(
            "b",
            json!({"group.name": "g"}),
            rules("b.example.com", &[path("/", "Prefix", "app1")]),
        );
    let group = world.group();
    let tags: Vec<usize> = group.listeners[&80]
        .rules
        .iter()
        .map(|it| it.tags.len())
        .collect();
    assert_eq!(tags, [1, 0]);
}

#[test]
fn every_bad_path_is_told_at_once() {
    let world = of_paths(
        json!({}),
        &[
            path("/a*", "Prefix", "app1"),
            path("/b*", "Exact", "app1"),
            path("/c", "Exact", "app1"),
        ],
    );
    assert_eq!(world.refusals().len(), 2);
}
