use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::{
    manifest::{ServiceRef, ingress::PortRef},
    model::{
        build::name::{GroupId, TargetGroupKey},
        elb::TargetType,
        group::fixture::{World, path, plain, rules},
    },
};

fn ambiguous() -> World {
    let to = |host: &str, service: &str| rules(host, &[path("/", "Prefix", service)]);
    World::new()
        .service("x-back", 31003)
        .service("back", 31004)
        .ingress(
            "web-x",
            json!({"group.name": "g"}),
            to("a.example.com", "back"),
        )
        .ingress(
            "web",
            json!({"group.name": "g"}),
            to("b.example.com", "x-back"),
        )
}

#[test]
fn two_services_in_one_target_group_are_told_with_both_places() {
    let (groups, problems) = ambiguous().outcome();
    assert!(groups.is_empty());
    let problem = &problems[0];
    assert_eq!(problem.code, codes::NAME_COLLISION);
    assert!(
        problem
            .message
            .ends_with("get one target group, \"default/web-x-back:80\"")
    );
    assert!(problem.also.is_some());
    let (group, _) = ambiguous().lbc().warned();
    assert_eq!(group.target_groups.len(), 1);
}

#[test]
fn one_target_group_for_two_paths_is_no_collision() {
    let paths = [path("/a", "Exact", "app1"), path("/b", "Exact", "app1")];
    World::new()
        .ingress("web", json!({}), rules("", &paths))
        .group();
}

fn named(name: &str) -> GroupModel {
    let mut group = World::new().ingress("web", json!({}), plain()).group();
    name.clone_into(&mut group.load_balancer.name);
    group
}

fn messages(groups: &BTreeMap<String, GroupModel>) -> Vec<String> {
    let found = equal_names(groups).into_iter();
    found.map(|collision| collision.problem.message).collect()
}

#[test]
fn equal_names_across_groups_are_told_by_kind() {
    let mut groups = BTreeMap::from([("a".to_owned(), named("lb")), ("b".to_owned(), named("lb"))]);
    let kinds: Vec<String> = messages(&groups)
        .iter()
        .map(|it| it.split(" name").next().unwrap_or_default().to_owned())
        .collect();
    assert_eq!(
        kinds,
        [
            "the load balancer",
            "the security group",
            "the target group"
        ]
    );
    let other = groups.get_mut("b").unwrap();
    "LB".clone_into(&mut other.load_balancer.name);
    other
        .security_group
        .as_mut()
        .unwrap()
        .name
        .make_ascii_uppercase();
    other.target_groups.clear();
    let said = messages(&groups);
    assert_eq!(
        said.len(),
        1,
        "only names of security groups have no case: {said:?}"
    );
}

#[test]
fn equal_names_within_one_group_are_told() {
    let mut group = named("lb");
    let twin = group.target_groups.values().next().unwrap().clone();
    group
        .target_groups
        .insert("default/web-app1:http".to_owned(), twin);
    let said = messages(&BTreeMap::from([("g".to_owned(), group)]));
    assert_eq!(said.len(), 1);
    let wanted = "by target group default/web-app1:80 and target group default/web-app1:http";
    assert!(said[0].ends_with(wanted));
}

#[test]
fn names_that_are_not_known_yet_collide_with_nothing() {
    let mut group = named("lb");
    group
        .target_groups
        .values_mut()
        .for_each(|it| it.name = None);
    let twin = group.target_groups.values().next().unwrap().clone();
    group.target_groups.insert("x".to_owned(), twin);
    let groups = BTreeMap::from([("g".to_owned(), group)]);
    assert_eq!(messages(&groups), [""; 0]);
}

#[test]
fn ports_that_swap_digits_give_one_name() {
    // ingress-model §15.7: 80 → 8080 and 8080 → 80.
    let group = GroupId::Explicit("g".to_owned());
    let service = ServiceRef {
        namespace: "default".to_owned(),
        name: "app1".to_owned(),
    };
    let name = |spelled: i32, port: i32| {
        TargetGroupKey {
            cluster: "c",
            group: &group,
            ingress: ("default", "web"),
            service: &service,
            service_uid: "u",
            service_port: &PortRef::Number(spelled),
            port,
            target_type: TargetType::Ip,
            protocol: "HTTP",
            protocol_version: "HTTP1",
            control_port: None,
        }
        .name()
    };
    assert_eq!(name(80, 8080), name(8080, 80));
}

proptest! {
    #[test]
    fn every_equal_name_is_found(names in proptest::collection::vec("[aA]{1,2}", 1..8)) {
        let template = named("lb");
        let groups: BTreeMap<String, GroupModel> = names
            .iter()
            .enumerate()
            .map(|(number, name)| {
                let mut group = template.clone();
                group.load_balancer.name.clone_from(name);
                group.security_group = None;
                group.target_groups.clear();
                (format!("g{number}"), group)
            })
            .collect();
        let distinct: std::collections::BTreeSet<_> = names.iter().collect();
        prop_assert_eq!(equal_names(&groups).len(), names.len() - distinct.len());
    }
}
