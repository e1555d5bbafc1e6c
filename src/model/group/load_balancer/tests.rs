use serde_json::{Value, json};

use super::super::{GroupModel, fixture::*};
use crate::{
    manifest::annotation::value::{IpAddressType, Scheme},
    problem::{Problem, Severity},
};

fn with(annotations: Value) -> World {
    World::new().ingress("web", annotations, plain())
}

/// Two members of one group.
fn two(first: Value, second: Value) -> World {
    let grouped = |mut annotations: Value| {
        annotations["group.name"] = json!("g");
        annotations
    };
    let other = rules("b.example.com", &[path("/", "Prefix", "app2")]);
    World::new()
        .ingress(
            "a",
            grouped(first),
            rules("a.example.com", &[path("/", "Prefix", "app1")]),
        )
        .ingress("b", grouped(second), other)
}

fn problems(world: &World) -> Vec<Problem> {
    let (groups, mut problems) = world.outcome();
    problems.retain(|problem| problem.severity == Severity::Problem);
    assert!(problems.is_empty() || groups.is_empty());
    problems
}

/// The one conflict of two members: both places, and both named.
fn conflict(first: Value, second: Value) -> String {
    let world = two(first, second).lbc();
    let found = problems(&world);
    let [problem] = &found[..] else {
        panic!("{found:?}");
    };
    assert_eq!(problem.code, "group-conflict");
    assert_eq!(problem.object.as_deref(), Some("Ingress default/b"));
    assert!(problem.origin.file.starts_with("b-"), "{problem}");
    let also = problem.also.as_ref().map(|also| &*also.file);
    assert!(also.is_some_and(|file| file.starts_with("a-")), "{problem}");
    assert!(problem.message.contains("Ingress default/a"), "{problem}");
    problem.message.clone()
}

#[test]
fn a_group_takes_what_one_member_says() {
    let group = two(
        json!({}),
        json!({"scheme": "internet-facing", "ip-address-type": "dualstack-without-public-ipv4", "load-balancer-name": "edge"}),
    )
    .fact("subnets", json!([
        {"id": "subnet-1", "az": "a", "freeAddresses": 8, "ipv6Cidrs": ["2001:db8::/64"], "tags": {"kubernetes.io/role/elb": ""}},
        {"id": "subnet-2", "az": "b", "freeAddresses": 8, "ipv6Cidrs": ["2001:db8:1::/64"], "tags": {"kubernetes.io/role/elb": "1"}},
    ]))
    .group();
    let balancer = &group.load_balancer;
    assert_eq!(balancer.scheme, Scheme::InternetFacing);
    assert_eq!(
        balancer.ip_address_type,
        IpAddressType::DualstackWithoutPublicIpv4
    );
    assert_eq!(balancer.name, "edge");
    assert!(group.is_dualstack());
}

#[test]
fn members_that_disagree_are_told_with_both_places() {
    assert_eq!(
        conflict(
            json!({"scheme": "internal"}),
            json!({"scheme": "internet-facing"})
        ),
        "scheme is \"internet-facing\" here and \"internal\" in Ingress default/a, which shares the balancer"
    );
    assert!(
        conflict(
            json!({"ip-address-type": "ipv4"}),
            json!({"ip-address-type": "dualstack"})
        )
        .starts_with("ip-address-type is")
    );
    assert!(
        conflict(
            json!({"load-balancer-name": "x"}),
            json!({"load-balancer-name": ""})
        )
        .starts_with("load-balancer-name is")
    );
    assert!(
        conflict(
            json!({"customer-owned-ipv4-pool": "x"}),
            json!({"customer-owned-ipv4-pool": "y"})
        )
        .starts_with("customer-owned-ipv4-pool is")
    );
    assert!(
        conflict(
            json!({"ipam-ipv4-pool-id": "x"}),
            json!({"ipam-ipv4-pool-id": "y"})
        )
        .starts_with("ipam-ipv4-pool-id is")
    );
    assert_eq!(
        conflict(
            json!({"load-balancer-attributes": "idle_timeout.timeout_seconds=60"}),
            json!({"load-balancer-attributes": "idle_timeout.timeout_seconds=90"})
        ),
        "idle_timeout.timeout_seconds of load-balancer-attributes is \"90\" here and \"60\" in Ingress default/a, which shares the balancer"
    );
    assert!(
        conflict(
            json!({"minimum-load-balancer-capacity": "CapacityUnits=900"}),
            json!({"minimum-load-balancer-capacity": "CapacityUnits=0900"})
        )
        .starts_with("CapacityUnits of minimum-load-balancer-capacity is")
    );
    assert!(
        conflict(
            json!({"subnets": "subnet-1,subnet-2"}),
            json!({"subnets": "subnet-1"})
        )
        .starts_with("subnets is")
    );
    assert!(
        conflict(
            json!({"security-groups": "a,b"}),
            json!({"security-groups": "b,a"})
        )
        .starts_with("security-groups is")
    );
    assert!(
        conflict(json!({"tags": "k=1"}), json!({"tags": "k=2"})).starts_with("the tag \"k\" is")
    );
    assert!(
        conflict(
            json!({"inbound-cidrs": "10.0.0.0/8"}),
            json!({"inbound-cidrs": "10.0.0.0/9"})
        )
        .starts_with("inbound-cidrs for port 80 is")
    );
    assert!(
        conflict(
            json!({"security-group-prefix-lists": "pl-1"}),
            json!({"security-group-prefix-lists": "pl-2"})
        )
        .starts_with("security-group-prefix-lists for port 80 is")
    );
    assert!(
        conflict(
            json!({"wafv2-acl-arn": "arn:a"}),
            json!({"wafv2-acl-arn": "none"})
        )
        .starts_with("wafv2-acl-arn is")
    );
    assert!(
        conflict(
            json!({"shield-advanced-protection": "true"}),
            json!({"shield-advanced-protection": "false"})
        )
        .starts_with("shield-advanced-protection is")
    );
}

#[test]
fn every_mistake_of_the_balancer_is_told_at_once() {
    let world = with(json!({
        "load-balancer-name": "a-name-that-is-longer-than-32-bytes",
        "customer-owned-ipv4-pool": "",
        "minimum-load-balancer-capacity": "Units=5",
        "inbound-cidrs": "10.0.0.0",
    }));
    let said: Vec<String> = problems(&world)
        .into_iter()
        .map(|problem| problem.message)
        .collect();
    for expected in [
        "load-balancer-name cannot be \"a-name-that-is-longer-than-32-bytes\"",
        "the annotation customer-owned-ipv4-pool cannot be \"\"",
        "minimum-load-balancer-capacity has no key \"Units\"",
        "the annotation inbound-cidrs cannot hold \"10.0.0.0\"",
    ] {
        assert!(
            said.iter().any(|said| said == expected),
            "{expected}: {said:?}"
        );
    }
}

#[test]
fn an_explicit_name_is_taken_as_it_is_and_may_be_empty() {
    let name = |text: &str| {
        with(json!({"load-balancer-name": text}))
            .lbc()
            .warned()
            .0
            .load_balancer
            .name
    };
    assert_eq!(name(" x "), " x ");
    assert_eq!(name(""), "");
    assert_eq!(name("äöüäöüäöüäöüäöüä"), "äöüäöüäöüäöüäöüä");
}

#[test]
fn of_parameters_some_count_for_the_first_member_only() {
    let params = json!({
        "loadBalancerAttributes": [{"key": "idle_timeout.timeout_seconds", "value": "75"}],
        "minimumLoadBalancerCapacity": {"capacityUnits": 120},
        "ipamConfiguration": {"ipv4IPAMPoolId": ""},
    });
    let annotations = json!({
        "load-balancer-attributes": "idle_timeout.timeout_seconds=60,deletion_protection.enabled=true",
        "minimum-load-balancer-capacity": "CapacityUnits=900",
        "ipam-ipv4-pool-id": "ipam-pool-1",
    });
    let first = World::new()
        .params(params.clone())
        .ingress("web", annotations.clone(), plain())
        .lbc()
        .warned()
        .0;
    let balancer = &first.load_balancer;
    let attributes: Vec<_> = balancer
        .attributes
        .iter()
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    assert_eq!(
        attributes,
        [
            "deletion_protection.enabled=true",
            "idle_timeout.timeout_seconds=75"
        ]
    );
    assert_eq!(balancer.minimum_capacity_units, Some(120));
    assert_eq!(balancer.ipv4_ipam_pool.as_deref(), Some(""));

    // The second member's parameters are not looked at.
    let mut second = World::new().lbc().params(params);
    let mut plain_first = ingress("a", json!({"group.name": "g"}), plain());
    plain_first["spec"]["ingressClassName"] = json!("other");
    second = second
        .with(json!({
            "apiVersion": "networking.k8s.io/v1", "kind": "IngressClass", "metadata": {"name": "other"},
            "spec": {"controller": "ingress.k8s.aws/alb"},
        }))
        .with(plain_first)
        .ingress("b", json!({"group.name": "g"}), plain());
    let balancer = second.warned().0.load_balancer;
    assert!(balancer.attributes.is_empty());
    assert_eq!(
        (balancer.minimum_capacity_units, balancer.ipv4_ipam_pool),
        (None, None)
    );
}

#[test]
fn capacity_is_left_out_where_the_gate_is_off() {
    let mut world = with(json!({"minimum-load-balancer-capacity": "CapacityUnits=900"}));
    assert_eq!(
        world.group().load_balancer.minimum_capacity_units,
        Some(900)
    );
    world.settings.gates.lb_capacity_reservation = false;
    let told = world.refusals();
    assert!(told[0].starts_with("no-effect: "), "{told:?}");
    let (group, _) = world.lbc().warned();
    assert_eq!(group.load_balancer.minimum_capacity_units, None);
}

#[test]
fn configured_tags_win_unless_the_gate_says_otherwise() {
    let tags = |change: fn(&mut crate::model::settings::Settings)| {
        let mut world = with(json!({"tags": "owner=me,stage=x"}));
        world.settings.default_tags = [("owner".to_owned(), "ops".to_owned())].into();
        change(&mut world.settings);
        let GroupModel {
            load_balancer,
            security_group,
            listeners,
            target_groups,
            ..
        } = world.group();
        let of_listener = &listeners[&80];
        let target_group = target_groups.into_values().next().map(|it| it.tags);
        let all = [
            Some(load_balancer.tags),
            security_group.map(|it| it.tags),
            Some(of_listener.tags.clone()),
            Some(of_listener.rules[0].tags.clone()),
            target_group,
        ];
        let owners = all.map(|tags| tags.and_then(|tags| tags.get("owner").cloned()));
        owners.map(Option::unwrap_or_default)
    };
    assert_eq!(tags(|_| {}), ["ops"; 5]);
    assert_eq!(
        tags(|settings| settings.gates.enable_default_tags_low_priority = true),
        ["me"; 5]
    );
}

#[test]
fn tags_that_others_manage_are_refused() {
    let mut world = with(json!({"tags": "owner=me"}));
    world.settings.flags.external_managed_tags = ["owner".to_owned()].into();
    let said = problems(&world);
    assert!(
        said.iter()
            .any(|it| it.message == "tags cannot hold \"owner\", which is managed elsewhere"),
        "{said:?}"
    );
}
