use proptest::prelude::*;
use serde_json::{Value, json};

use super::super::fixture::{World, path};
use crate::manifest::annotation::value::{Condition, Patterns};

const HOSTS: [&str; 4] = ["a.example.com", "*.example.com", "*.com", ""];

fn patterns(texts: &[&str]) -> Patterns {
    Patterns::Values(texts.iter().map(|text| (*text).to_owned()).collect())
}

/// Conditions of a rule with this host and path.
fn of(host: &str, path: &[&str]) -> Vec<Condition> {
    let host = (!host.is_empty()).then(|| Condition::HostHeader {
        values: patterns(&[host]),
    });
    let path = Condition::PathPattern {
        values: patterns(path),
    };
    host.into_iter().chain([path]).collect()
}

#[test]
fn narrower_is_the_exact_host_then_the_exact_path_then_the_longer_one_then_more_conditions() {
    let mut header = of("*.com", &["/*"]);
    header.push(Condition::HttpRequestMethod {
        values: vec!["GET".to_owned()],
    });
    let regex = vec![
        Condition::HostHeader {
            values: patterns(&["*.com"]),
        },
        Condition::PathPattern {
            values: Patterns::Regex(vec!["^/x".to_owned()]),
        },
    ];
    let from_narrow = [
        of("a.example.com", &["/a"]),
        of("a.example.com", &["/*"]),
        of("*.example.com", &["/z"]),
        of("*.example.com", &["/shop/images", "/shop/images/*"]),
        of("*.example.com", &["/shop/*.png"]),
        of("*.example.com", &["/shop", "/shop/*"]),
        of("*.example.com", &["/shop*"]),
        of("*.example.com", &["/*.png"]),
        of("*.example.com", &["/*"]),
        regex,
        header,
        of("*.com", &["/*"]),
        of("", &["/a"]),
        of("", &["/*"]),
    ];
    for pair in from_narrow.windows(2) {
        assert!(
            super::narrowness(&pair[0]) > super::narrowness(&pair[1]),
            "{pair:?}"
        );
    }
}

/// An Ingress of the group `g` with one path.
fn ingress(world: World, name: &str, more: &Value, host: &str, at: Value) -> World {
    let mut annotations = json!({"group.name": "g"});
    if let (Some(all), Some(more)) = (annotations.as_object_mut(), more.as_object()) {
        all.extend(more.clone());
    }
    let mut rule = json!({"http": {"paths": [at]}});
    if !host.is_empty() {
        rule["host"] = json!(host);
    }
    world.ingress(name, annotations, json!({"rules": [rule]}))
}

/// `/a` of a team, `/` of another whose name comes first.
fn catch_all_first(more: &Value) -> World {
    let world = ingress(World::new(), "a", more, "", path("/", "Prefix", "app1"));
    ingress(world, "b", &json!({}), "", path("/b", "Prefix", "app2"))
}

fn members(world: &World) -> Vec<usize> {
    let group = world.group();
    let rules = group.listeners[&80].rules.iter();
    rules.map(|rule| rule.member).collect()
}

#[test]
fn a_group_that_asks_for_it_has_the_narrower_rule_first_and_no_shadow() {
    let told = catch_all_first(&json!({})).refusals();
    assert!(told[0].starts_with("shadowed-rule: "), "{told:?}");
    let ordered = catch_all_first(&json!({"albsync.dev/order": "specificity"}));
    assert_eq!(members(&ordered), [1, 0]);
}

#[test]
fn a_member_of_a_lower_order_comes_first_all_the_same() {
    let world = ingress(
        World::new(),
        "a",
        &json!({"group.order": "-1", "albsync.dev/order": "specificity", "conditions.app1": r#"[{"field":"source-ip","sourceIpConfig":{"values":["192.0.2.0/24"]}}]"#}),
        "",
        path("/", "Prefix", "app1"),
    );
    let world = ingress(
        world,
        "b",
        &json!({}),
        "b.example.com",
        path("/b", "Exact", "app2"),
    );
    assert_eq!(members(&world), [0, 1]);
}

#[test]
fn members_agree_on_the_order_and_what_is_none_is_told() {
    let both = |first: &str, second: &str| {
        let of = |order: &str| json!({"albsync.dev/order": order});
        let world = ingress(
            World::new(),
            "a",
            &of(first),
            "a.example.com",
            path("/", "Prefix", "app1"),
        );
        ingress(
            world,
            "b",
            &of(second),
            "b.example.com",
            path("/", "Prefix", "app1"),
        )
    };
    assert_eq!(both("lbc", "lbc").group().listeners.len(), 1);
    let told = both("lbc", "specificity").refusals();
    assert_eq!(
        told,
        [
            "group-conflict: the order of rules is \"specificity\" here and \"lbc\" in Ingress default/a, which shares the balancer"
        ]
    );
    let told = both("specific", "specific").refusals();
    assert_eq!(
        told,
        ["bad-annotation: the annotation albsync.dev/order cannot be \"specific\""]
    );
}

#[test]
fn where_lbcs_ways_are_asked_for_its_order_holds() {
    let (group, _) = catch_all_first(&json!({"albsync.dev/order": "specificity"}))
        .lbc()
        .warned();
    let rules = group.listeners[&80].rules.iter();
    assert_eq!(rules.map(|rule| rule.member).collect::<Vec<_>>(), [0, 1]);
}

proptest! {
    #[test]
    fn the_order_of_members_makes_no_difference_to_what_rules_of_other_width_match(
        hosts in prop::collection::btree_set(0..HOSTS.len(), 2..4),
        is_reversed in any::<bool>(),
    ) {
        let order = json!({"albsync.dev/order": "specificity"});
        let mut hosts: Vec<&str> = hosts.into_iter().map(|index| HOSTS[index]).collect();
        let wanted = hosts.clone();
        if is_reversed {
            hosts.reverse();
        }
        let world = hosts.iter().enumerate().fold(World::new(), |world, (index, host)| {
            ingress(world, &format!("i{index}"), &order, host, path("/", "Prefix", "app1"))
        });
        let group = world.group();
        let found: Vec<&str> = group.listeners[&80]
            .rules
            .iter()
            .map(|rule| hosts[rule.member])
            .collect();
        prop_assert_eq!(found, wanted);
    }
}
