use super::*;
use crate::model::group::{TargetGroupRef, WeightedTargetGroup, request::rule};

fn values(values: &[&str]) -> Patterns {
    Patterns::Values(values.iter().map(|it| (*it).to_owned()).collect())
}

fn regex(values: &[&str]) -> Patterns {
    Patterns::Regex(values.iter().map(|it| (*it).to_owned()).collect())
}

fn host(patterns: Patterns) -> Condition {
    Condition::HostHeader { values: patterns }
}

fn path(patterns: Patterns) -> Condition {
    Condition::PathPattern { values: patterns }
}

fn header() -> Condition {
    Condition::HttpHeader {
        name: "x".to_owned(),
        values: values(&["1"]),
    }
}

/// `key=value` parts of a redirection; what is absent is unset.
fn redirecting(parts: &[(&str, &str)], conditions: Vec<Condition>) -> Rule {
    let part = |name: &str| {
        let mut parts = parts.iter();
        parts
            .find(|(key, _)| *key == name)
            .map(|(_, value)| (*value).to_owned())
    };
    Rule {
        actions: vec![Action::Redirect {
            status_code: "HTTP_301".to_owned(),
            host: part("host"),
            path: part("path"),
            port: part("port"),
            protocol: part("protocol"),
            query: part("query"),
        }],
        ..rule(conditions)
    }
}

fn forwarding(conditions: Vec<Condition>) -> Rule {
    Rule {
        actions: vec![Action::Forward {
            target_groups: vec![WeightedTargetGroup {
                target_group: TargetGroupRef::Own("default/web-app1:80".to_owned()),
                weight: None,
            }],
            stickiness: None,
        }],
        ..rule(conditions)
    }
}

/// Whether the rule stays on a listener for HTTPS on 443.
fn stays(rule: Rule) -> bool {
    optimize(443, Protocol::Https, vec![rule])
        .dropped
        .is_empty()
}

/// Whether the second rule stays behind the first, on a plain listener.
fn second_stays(first: Rule, second: Rule) -> bool {
    optimize(80, Protocol::Http, vec![first, second])
        .dropped
        .is_empty()
}

fn any() -> Vec<Condition> {
    vec![path(values(&["/*"]))]
}

#[test]
fn a_redirection_to_where_it_is_goes() {
    let https = &[("protocol", "HTTPS"), ("port", "443")];
    assert!(!stays(redirecting(https, any())));
    assert!(!stays(redirecting(&[], any())), "nothing set");
    let placeholders = &[
        ("host", "#{host}"),
        ("path", "/#{path}"),
        ("port", "#{port}"),
        ("protocol", "#{protocol}"),
        ("query", "#{query}"),
    ];
    assert!(!stays(redirecting(placeholders, any())));
    let own = vec![host(values(&["a.example.com"])), path(values(&["/x"]))];
    assert!(!stays(redirecting(
        &[("host", "a.example.com"), ("path", "/x")],
        own
    )));
}

#[test]
fn one_that_changes_something_stays() {
    for part in [
        ("host", "b.example.com"),
        ("path", "/b"),
        ("port", "8443"),
        ("protocol", "HTTP"),
        ("query", "a=b"),
    ] {
        assert!(stays(redirecting(&[part], any())), "{part:?}");
    }
}

#[test]
fn loops_are_told_by_text_alone() {
    assert!(stays(redirecting(&[("protocol", "https")], any())));
    assert!(stays(redirecting(&[("path", "#{path}")], any())));
    assert!(stays(redirecting(&[("query", "")], any())));
    let wildcard = vec![host(values(&["*.example.com"]))];
    assert!(stays(redirecting(&[("host", "www.example.com")], wildcard)));
    let prefix = vec![path(values(&["/base", "/base/*"]))];
    assert!(!stays(redirecting(&[("path", "/base")], prefix)));
}

#[test]
fn further_conditions_save_no_loop_and_path_expressions_do() {
    let with_header = vec![header(), path(values(&["/*"]))];
    assert!(!stays(redirecting(&[], with_header)));
    assert!(stays(redirecting(&[], vec![path(regex(&["a"]))])));
    let of_host = vec![host(regex(&["a.example.com"]))];
    assert!(stays(redirecting(
        &[("host", "a.example.com")],
        of_host.clone()
    )));
    assert!(!stays(redirecting(&[], of_host)));
}

#[test]
fn what_stands_behind_a_redirection_of_its_hosts_and_paths_goes() {
    let https = &[("protocol", "HTTPS")];
    let of = |hosts: &[&str], paths: &[&str]| vec![host(values(hosts)), path(values(paths))];
    let first = || redirecting(https, of(&["a", "b"], &["/x", "/x/*"]));
    assert!(!second_stays(first(), forwarding(of(&["a"], &["/x"]))));
    assert!(second_stays(first(), forwarding(of(&["c"], &["/x"]))));
    assert!(second_stays(first(), forwarding(of(&["a", "c"], &["/x"]))));
    assert!(second_stays(first(), forwarding(of(&["a"], &["/y"]))));
    assert!(
        second_stays(first(), forwarding(vec![host(values(&["a"]))])),
        "no path"
    );
    assert!(
        second_stays(first(), forwarding(vec![path(values(&["/x"]))])),
        "no host"
    );
    let all = || redirecting(https, any());
    assert!(!second_stays(all(), forwarding(vec![header()])));
    assert!(!second_stays(
        all(),
        redirecting(&[("host", "z")], of(&["a"], &["/x"]))
    ));
}

#[test]
fn forwards_and_redirections_with_other_conditions_take_nothing() {
    assert!(second_stays(forwarding(any()), forwarding(any())));
    let https = &[("protocol", "HTTPS")];
    let limited = redirecting(https, vec![header(), path(values(&["/*"]))]);
    assert!(second_stays(limited, forwarding(any())));
}

#[test]
fn wildcards_and_expressions_behind_a_redirection_are_text() {
    let https = &[("protocol", "HTTPS")];
    let behind = |first: Condition, second: Condition| {
        second_stays(redirecting(https, vec![first]), forwarding(vec![second]))
    };
    assert!(behind(
        host(values(&["*.example.com"])),
        host(values(&["www.example.com"]))
    ));
    assert!(!behind(
        host(values(&["*.example.com"])),
        host(values(&["*.example.com"]))
    ));
    assert!(behind(path(values(&["/a*"])), path(values(&["/ab"]))));
    assert!(!behind(path(regex(&["/lit"])), path(values(&["/lit"]))));
    // Host expressions are not counted: such a redirection takes all.
    assert!(!behind(host(regex(&["a"])), host(values(&["b"]))));
}

#[test]
fn a_rule_behind_one_that_went_stays() {
    let of_loop = redirecting(&[("protocol", "HTTPS"), ("port", "443")], any());
    let optimized = optimize(443, Protocol::Https, vec![of_loop, forwarding(any())]);
    assert_eq!(optimized.rules.len(), 1);
    assert_eq!(optimized.dropped[0].why, Why::Loop);
}

#[test]
fn quirks_are_documented_once_each() {
    let mut names: Vec<_> = QUIRKS.iter().map(|quirk| quirk.name).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), QUIRKS.len());
    assert!(QUIRKS.iter().all(|quirk| quirk.doc.ends_with('.')));
}
