use serde_json::{Value, json};

use super::super::fixture::*;

fn subnet(id: &str, az: &str, tags: Value) -> Value {
    json!({"id": id, "az": az, "freeAddresses": 200, "tags": tags, "public": false})
}

fn internal(id: &str, az: &str) -> Value {
    subnet(
        id,
        az,
        json!({"kubernetes.io/role/internal-elb": "1", "Name": format!("name-of-{id}")}),
    )
}

fn world(annotations: Value, subnets: &[Value]) -> World {
    World::new()
        .ingress("web", annotations, plain())
        .fact("subnets", json!(subnets))
}

fn chosen(world: &World) -> Vec<String> {
    let subnets = world.group().load_balancer.subnets;
    subnets.into_iter().map(|id| id.0).collect()
}

/// The one reason why there are none.
fn reason(world: &World) -> String {
    let mut said = world.refusals();
    assert_eq!(said.len(), 1, "{said:?}");
    said.remove(0)
}

#[test]
fn discovery_prefers_the_clusters_own_then_the_lowest_id() {
    let own =
        json!({"kubernetes.io/role/internal-elb": "", "kubernetes.io/cluster/mz-k8s": "shared"});
    let subnets = [
        internal("subnet-9", "a"),
        subnet("subnet-8", "a", own),
        internal("subnet-1", "a"),
        internal("subnet-7", "b"),
        internal("subnet-2", "b"),
    ];
    assert_eq!(
        chosen(&world(json!({}), &subnets)),
        ["subnet-2", "subnet-8"]
    );
}

#[test]
fn why_a_candidate_is_not_chosen_is_told_of_each() {
    let role = |value: &str| json!({"kubernetes.io/role/internal-elb": value});
    let foreign =
        json!({"kubernetes.io/role/internal-elb": "1", "kubernetes.io/cluster/other": "owned"});
    let mut full = internal("subnet-5", "b");
    full["freeAddresses"] = json!(7);
    let subnets = [
        internal("subnet-1", "a"),
        internal("subnet-2", "a"),
        subnet("subnet-3", "b", role("yes")),
        subnet("subnet-4", "b", foreign),
        full,
        subnet("subnet-6", "b", json!({})),
    ];
    assert_eq!(
        reason(&world(json!({}), &subnets)),
        "network: an internal balancer needs subnets in 2 zones, found 1: subnet-1 (a): fits; subnet-2 (a): fits, but its \
         zone has one already; subnet-3 (b): tag kubernetes.io/role/internal-elb is `yes`, not `1` or empty; \
         subnet-4 (b): tagged for another cluster (kubernetes.io/cluster/other); subnet-5 (b): 7 free addresses, 8 are \
         needed; subnet-6 (b): no tag kubernetes.io/role/internal-elb (tag subnets `kubernetes.io/role/internal-elb` = `1`)"
    );
    assert_eq!(
        reason(&world(json!({}), &[])),
        "network: no subnets for an internal balancer: the VPC has none"
    );
}

#[test]
fn the_check_of_cluster_tags_can_be_switched_off() {
    let foreign = |id: &str, az: &str| {
        subnet(
            id,
            az,
            json!({"kubernetes.io/role/internal-elb": "1", "kubernetes.io/cluster/other": "owned"}),
        )
    };
    let mut world = world(
        json!({}),
        &[foreign("subnet-1", "a"), foreign("subnet-2", "b")],
    );
    assert_eq!(world.refusals().len(), 1);
    world.settings.gates.subnets_cluster_tag_check = false;
    assert_eq!(chosen(&world), ["subnet-1", "subnet-2"]);
}

#[test]
fn without_role_tags_routes_decide_unless_the_gate_is_off() {
    let mut public = subnet("subnet-1", "a", json!({}));
    public["public"] = json!(true);
    let subnets = [
        public,
        subnet("subnet-2", "b", json!({})),
        subnet("subnet-3", "c", json!({})),
    ];
    let mut world = world(json!({}), &subnets);
    assert_eq!(chosen(&world), ["subnet-2", "subnet-3"]);

    world.settings.gates.subnet_discovery_by_reachability = false;
    assert!(reason(&world).contains("subnet-2 (b): no tag kubernetes.io/role/internal-elb"));
}

#[test]
fn routes_that_nobody_looked_up_are_a_missing_fact() {
    let mut unknown = subnet("subnet-1", "a", json!({}));
    unknown["public"] = Value::Null;
    assert_eq!(
        reason(&world(json!({}), &[unknown])),
        "fact-missing: whether subnet-1 has a route to an internet gateway (public) was not looked up"
    );
}

#[test]
fn dualstack_wants_ipv6_in_each_subnet() {
    let dual = |id: &str, az: &str| {
        let mut subnet = internal(id, az);
        subnet["ipv6Cidrs"] = json!(["2001:db8::/64"]);
        subnet
    };
    let subnets = [
        internal("subnet-1", "a"),
        dual("subnet-2", "a"),
        dual("subnet-3", "b"),
    ];
    let discovered = world(json!({"ip-address-type": "dualstack"}), &subnets);
    assert_eq!(chosen(&discovered), ["subnet-2", "subnet-3"]);
    let named = world(
        json!({"ip-address-type": "dualstack", "subnets": "subnet-1,subnet-3"}),
        &subnets,
    );
    assert_eq!(
        reason(&named),
        "network: the annotation alb.ingress.kubernetes.io/subnets cannot be \"subnet-1,subnet-3\": subnet-1 have no IPv6 CIDR"
    );
}

#[test]
fn one_zone_is_enough_with_the_gate_or_outside_of_regions() {
    let mut single = world(json!({}), &[internal("subnet-1", "a")]);
    assert_eq!(single.refusals().len(), 1);
    single.settings.gates.alb_single_subnet = true;
    assert_eq!(chosen(&single), ["subnet-1"]);

    let mut local = internal("subnet-1", "a-lax-1");
    local["zoneType"] = json!("local-zone");
    assert_eq!(chosen(&world(json!({}), &[local.clone()])), ["subnet-1"]);
    let mixed = world(json!({}), &[local, internal("subnet-2", "b")]);
    assert_eq!(
        reason(&mixed),
        "network: subnets of several kinds of zones: subnet-1 (local-zone), subnet-2 (availability-zone)"
    );
}

#[test]
fn an_existing_balancer_keeps_its_subnets_while_its_scheme_stays() {
    let subnets = [internal("subnet-1", "a"), internal("subnet-2", "b")];
    let live = |scheme: &str| {
        world(json!({}), &subnets).fact(
            "loadBalancers",
            json!([{"group": "default/web", "scheme": scheme, "subnets": ["subnet-9", "subnet-4"]}]),
        )
    };
    assert_eq!(chosen(&live("internal")), ["subnet-9", "subnet-4"]);
    assert_eq!(chosen(&live("internet-facing")), ["subnet-1", "subnet-2"]);
    let unknown = world(json!({}), &subnets).fact("loadBalancers", Value::Null);
    assert_eq!(
        reason(&unknown),
        "fact-missing: whether the group has a balancer already, whose subnets would stay (loadBalancers) was not looked up"
    );
    // Named subnets need no look at it.
    let named =
        world(json!({"subnets": "subnet-2,subnet-1"}), &subnets).fact("loadBalancers", Value::Null);
    assert_eq!(chosen(&named), ["subnet-2", "subnet-1"]);
}

#[test]
fn names_are_ids_or_tags_in_the_order_as_written() {
    let twin = |id: &str, az: &str| subnet(id, az, json!({"Name": "twin"}));
    let subnets = [
        internal("subnet-1", "a"),
        twin("subnet-6", "c"),
        twin("subnet-5", "b"),
    ];
    let named = |text: &str| world(json!({"subnets": text}), &subnets);
    assert_eq!(
        chosen(&named("twin, subnet-1 ,twin")),
        ["subnet-5", "subnet-1", "subnet-6"]
    );
    for (text, said) in [
        (
            "twin,twin,twin",
            "network: subnets names \"twin\" more often than the VPC has subnets of that name",
        ),
        ("subnet-1,subnet-1", "network: subnets names subnet-1 twice"),
        (
            "subnet-1,subnet-2",
            "network: subnets names subnet-2, which the VPC does not have",
        ),
        (
            "twin,twim",
            "network: no subnet of the VPC is named \"twim\" by its tag Name, which subnets wants",
        ),
        (
            "subnet-1,name-of-subnet-1",
            "network: the annotation alb.ingress.kubernetes.io/subnets cannot be \"subnet-1,name-of-subnet-1\": subnet-1 is named twice, by its id and by its name",
        ),
        (
            "subnet-1",
            "network: the annotation alb.ingress.kubernetes.io/subnets cannot be \"subnet-1\": only subnet-1 for the balancer",
        ),
    ] {
        assert_eq!(reason(&named(text)), said);
    }
}

#[test]
fn a_selector_of_the_class_looks_at_neither_role_nor_scheme() {
    let edge = |id: &str, az: &str, tier: &str| subnet(id, az, json!({"tier": tier}));
    let subnets = [
        edge("subnet-3", "a", "x"),
        edge("subnet-1", "b", "y"),
        edge("subnet-2", "c", "z"),
    ];
    let selected = |selector: Value| {
        World::new()
            .lbc()
            .params(json!({"subnets": selector}))
            .ingress("web", json!({"subnets": "unknown"}), plain())
            .fact("subnets", json!(subnets))
    };
    let by = |selector: Value| -> Vec<String> {
        let subnets = selected(selector).warned().0.load_balancer.subnets;
        subnets.into_iter().map(|id| id.0).collect()
    };
    assert_eq!(
        by(json!({"tags": {"tier": ["x", "y"]}})),
        ["subnet-1", "subnet-3"]
    );
    assert_eq!(by(json!({})), ["subnet-1", "subnet-2", "subnet-3"]);
    // They are values of EC2's filters, so wildcards count.
    for (values, chosen) in [
        (json!(["*"]), &["subnet-1", "subnet-2", "subnet-3"][..]),
        (json!(["?"]), &["subnet-1", "subnet-2", "subnet-3"]),
        (json!(["x*", "z"]), &["subnet-2", "subnet-3"]),
    ] {
        assert_eq!(by(json!({"tags": {"tier": values}})), chosen);
    }
    assert!(reason(&selected(json!({"tags": {"tier": [r"\*"]}}))).contains("found 0"));
    // In the order in which they are listed, whatever the selector's.
    assert_eq!(
        by(json!({"ids": ["subnet-1", "subnet-3"]})),
        ["subnet-3", "subnet-1"]
    );
    assert_eq!(
        reason(&selected(json!({"tags": {"tier": ["y"]}}))),
        "network: an internal balancer needs subnets in 2 zones, found 1: subnet-1 (b): fits; subnet-2 (c): tag tier is `z`; \
         subnet-3 (a): tag tier is `x` (subnets.tags of IngressClassParams selects them)"
    );
}
