use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::model::group::{
    fixture::{World, acted, path, rules},
    request::{any_conditions, any_request, rule},
};

fn takes(wide: &str, narrow: &str) -> bool {
    pattern_covers(wide, narrow, Case::Counts)
}

#[test]
fn patterns_take_what_all_of_their_texts_match() {
    for (wide, narrow) in [
        ("*", ""),
        ("*", "a?*"),
        ("/a*", "/a"),
        ("/a*", "/a/*"),
        ("/?", "/a"),
        ("/?*", "/a*"),
        ("a*c", "ab*c"),
        ("**", "*"),
        ("*a*", "bab"),
    ] {
        assert!(takes(wide, narrow), "{wide} takes {narrow}");
    }
    for (wide, narrow) in [
        ("", "*"),
        ("/?", "/*"),
        ("/a/*", "/a"),
        ("a*c", "a*"),
        ("?", ""),
        ("/A", "/a"),
    ] {
        assert!(!takes(wide, narrow), "{wide} does not take {narrow}");
    }
}

#[test]
fn a_path_behind_a_wider_one_of_another_ingress_is_told_with_both_places() {
    let world = World::new()
        .ingress(
            "a",
            json!({"group.name": "g"}),
            rules("*.example.com", &[path("/", "Prefix", "app1")]),
        )
        .ingress(
            "b",
            json!({"group.name": "g"}),
            rules("www.example.com", &[path("/shop", "Prefix", "app1")]),
        );
    let (groups, problems) = world.outcome();
    assert!(groups.is_empty());
    let [problem] = &problems[..] else {
        panic!("one problem: {problems:?}");
    };
    assert_eq!(problem.code, codes::SHADOWED_RULE);
    assert_eq!(problem.object.as_deref(), Some("Ingress default/b"));
    assert!(problem.origin.file.starts_with("b-"));
    assert!(problem.also.as_ref().unwrap().file.starts_with("a-"));
    let hint = problem.hint.as_deref().unwrap();
    assert!(hint.contains("albsync.dev/order: specificity"), "{hint}");
    assert_eq!(world.lbc().group().listeners[&80].rules.len(), 2);
}

#[test]
fn what_narrower_rules_leave_is_no_shadow() {
    let world = World::new().ingress(
        "a",
        json!({"conditions.app2": r#"[{"field":"http-header","httpHeaderConfig":{"httpHeaderName":"x","values":["1"]}}]"#}),
        rules(
            "www.example.com",
            &[path("/shop", "Prefix", "app2"), path("/", "Prefix", "app1")],
        ),
    );
    assert_eq!(world.group().listeners[&80].rules.len(), 2);
}

#[test]
fn rules_behind_the_plain_redirection_to_https_are_no_shadows() {
    let redirect = r#"{"type":"redirect","redirectConfig":{"protocol":"HTTPS","port":"443","statusCode":"HTTP_301"}}"#;
    let world = World::new().ingress(
        "a",
        json!({
            "actions.ssl-redirect": redirect,
            "listen-ports": r#"[{"HTTP":80},{"HTTPS":443}]"#,
            "certificate-arn": "arn:aws:acm:eu-west-1:123456789012:certificate/1",
        }),
        json!({"rules": [
            {"http": {"paths": [acted("/", "ssl-redirect")]}},
            {"http": {"paths": [path("/shop", "Prefix", "app1")]}},
        ]}),
    );
    let group = world.group();
    assert_eq!(group.listeners[&80].rules.len(), 1);
    assert_eq!(group.listeners[&443].rules.len(), 1);
}

#[test]
fn other_redirections_that_are_left_out_or_take_rules_away_are_told() {
    let redirect = |config: &str| {
        format!(r#"{{"type":"redirect","redirectConfig":{{{config},"statusCode":"HTTP_301"}}}}"#)
    };
    let world = World::new().ingress(
        "a",
        json!({
            "actions.loop": redirect(r#""host":"a.example.com""#),
            "actions.moved": redirect(r#""host":"new.example.com""#),
        }),
        json!({"rules": [
            {"host": "a.example.com", "http": {"paths": [acted("/", "loop")]}},
            {"host": "b.example.com", "http": {"paths": [acted("/", "moved")]}},
            {"host": "b.example.com", "http": {"paths": [path("/x", "Exact", "app1")]}},
        ]}),
    );
    let codes: Vec<String> = world
        .refusals()
        .into_iter()
        .map(|it| it.split(':').next().unwrap_or_default().to_owned())
        .collect();
    assert_eq!(codes, [codes::REDIRECT_LOOP, codes::SHADOWED_RULE]);
}

#[test]
fn networks_of_sources_lie_in_each_other() {
    assert!(source_covers("10.0.0.0/8", "10.1.0.0/16"));
    assert!(source_covers("0.0.0.0/0", "1.2.3.4/32"));
    assert!(source_covers("2001:db8::/32", "2001:db8:1::/48"));
    assert!(!source_covers("10.1.0.0/16", "10.0.0.0/8"));
    assert!(!source_covers("0.0.0.0/0", "::/0"));
}

proptest! {
    #[test]
    fn a_shadow_is_never_a_false_alarm(
        all in proptest::collection::vec(any_conditions(), 2..8),
        requests in proptest::collection::vec(any_request(), 40),
    ) {
        let rules: Vec<Rule> = all.into_iter().map(rule).collect();
        for (narrow, wide) in shadowed(&rules) {
            for request in &requests {
                if request.meets(&narrow.conditions) {
                    prop_assert!(request.meets(&wide.conditions), "{:?} {:?} {:?}", request, wide.conditions, narrow.conditions);
                }
            }
        }
    }

    #[test]
    fn the_index_hides_no_shadow(all in proptest::collection::vec(any_conditions(), 2..8)) {
        let rules: Vec<Rule> = all.into_iter().map(rule).collect();
        let found = shadowed(&rules).len();
        let all = rules.iter().enumerate().filter(|(position, narrow)| {
            rules.iter().take(*position).any(|wide| covers(&wide.conditions, &narrow.conditions))
        });
        prop_assert_eq!(found, all.count());
    }

    #[test]
    fn a_pattern_takes_only_what_it_matches(wide in "[ab*?]{0,5}", narrow in "[ab*?]{0,5}", text in "[ab]{0,5}") {
        use crate::model::group::request::matches;
        if takes(&wide, &narrow) && matches(&narrow, &text) {
            prop_assert!(matches(&wide, &text));
        }
    }
}

#[test]
fn another_order_is_offered_only_where_it_would_mend_it() {
    let hints = |order: &str| -> Vec<String> {
        let world = World::new()
            .ingress(
                "a",
                json!({"group.name": "g"}),
                rules("www.example.com", &[path("/", "Prefix", "app1")]),
            )
            .ingress(
                "b",
                json!({"group.name": "g", "group.order": order}),
                rules("www.example.com", &[path("/shop", "Prefix", "app1")]),
            );
        let (_, problems) = world.outcome();
        problems.into_iter().filter_map(|it| it.hint).collect()
    };
    let [hint] = &hints("0")[..] else {
        panic!("one");
    };
    assert!(hint.contains("specificity"), "{hint}");
    // Members of another group.order keep their place in either.
    let [hint] = &hints("1")[..] else {
        panic!("one");
    };
    assert!(!hint.contains("specificity"), "{hint}");
}

#[test]
fn a_path_that_stands_twice_is_no_shadow_too() {
    let twice = [
        path("/shop", "Exact", "app1"),
        path("/shop", "Exact", "app1"),
    ];
    let world = World::new().ingress("a", json!({}), rules("www.example.com", &twice));
    let (_, problems) = world.outcome();
    let codes: Vec<&str> = problems.iter().map(|it| it.code.as_str()).collect();
    assert!(!codes.contains(&codes::SHADOWED_RULE), "{codes:?}");
}
