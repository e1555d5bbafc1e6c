use serde_json::{Value, json};

use super::super::{FrontendNlb, HealthCheckPort, Matcher, fixture::*};
use crate::manifest::annotation::value::{Protocol, Scheme};

/// One Ingress with a network balancer before it.
fn world(more: Value) -> World {
    World::new().lbc().ingress("web", enabled(more), plain())
}

fn enabled(more: Value) -> Value {
    let mut annotations = json!({"enable-frontend-nlb": "true"});
    for (key, value) in more.as_object().into_iter().flatten() {
        annotations[key] = value.clone();
    }
    annotations
}

fn nlb(more: Value) -> FrontendNlb {
    let nlb = world(more).warned().0.frontend_nlb;
    nlb.unwrap_or_else(|| panic!("no network balancer"))
}

/// Two members of one group, the first with the balancer.
fn two(first: Value, second: Value) -> World {
    let grouped = |mut annotations: Value| {
        annotations["group.name"] = json!("g");
        annotations
    };
    World::new()
        .lbc()
        .ingress("a", grouped(enabled(first)), plain())
        .ingress("b", grouped(second), plain())
}

fn refusal(world: &World) -> String {
    world.refusals().join(" | ")
}

#[test]
fn it_takes_over_what_the_balancer_has() {
    let group = world(json!({"tags": "owner=me"})).warned().0;
    let nlb = group
        .frontend_nlb
        .unwrap_or_else(|| panic!("no network balancer"));
    assert_eq!(nlb.name, "k8s-default-web-".to_owned() + &nlb.name[16..]);
    assert!(nlb.name.ends_with("-nlb"));
    assert_eq!(nlb.security_groups, group.load_balancer.security_groups);
    assert_eq!(nlb.tags, group.load_balancer.tags);
    let listener = &nlb.listeners[&80];
    assert_eq!(listener.alb_port, 80);
    let check = &listener.health_check;
    assert_eq!(
        (check.port.clone(), check.protocol),
        (Some(HealthCheckPort::TrafficPort), Protocol::Http)
    );
    assert_eq!(
        (
            check.healthy_threshold_count,
            check.unhealthy_threshold_count
        ),
        (2, 2)
    );
}

#[test]
fn its_scheme_is_the_clusters_default_and_not_the_balancers() {
    assert_eq!(nlb(json!({})).scheme, Scheme::Internal);
    let subnet = |id: &str, az: &str| json!({"id": id, "az": az, "freeAddresses": 9, "tags": {"kubernetes.io/role/elb": "", "kubernetes.io/role/internal-elb": ""}});
    let public = world(json!({"scheme": "internet-facing"})).fact(
        "subnets",
        json!([subnet("subnet-1", "a"), subnet("subnet-2", "b")]),
    );
    let nlb = public.warned().0.frontend_nlb;
    assert_eq!(nlb.map(|nlb| nlb.scheme), Some(Scheme::Internal));
}

#[test]
fn a_mapping_counts_for_ports_that_its_ingress_listens_on() {
    let mapped =
        nlb(json!({"frontend-nlb-listener-port-mapping": "9000=80,09000=80,0=80,9001=443"}));
    let ports: Vec<_> = mapped
        .listeners
        .iter()
        .map(|(port, it)| (*port, it.alb_port))
        .collect();
    assert_eq!(ports, [(0, 80), (9000, 80)]);
    // Nothing is mapped, so its health check is not read.
    let none = nlb(
        json!({"frontend-nlb-listener-port-mapping": "1=2", "frontend-nlb-healthcheck-port": "nowhere"}),
    );
    assert!(none.listeners.is_empty());
    assert_eq!(
        refusal(&world(
            json!({"frontend-nlb-listener-port-mapping": "9000=http"})
        )),
        "bad-annotation: frontend-nlb-listener-port-mapping cannot hold the port \"http\""
    );
}

#[test]
fn health_checks_of_members_merge_port_by_port() {
    let merged = two(
        json!({"frontend-nlb-healthcheck-path": "/a"}),
        json!({"frontend-nlb-healthcheck-port": "+70000", "frontend-nlb-healthcheck-success-codes": "200-299"}),
    );
    let nlb = merged
        .warned()
        .0
        .frontend_nlb
        .unwrap_or_else(|| panic!("no network balancer"));
    let check = &nlb.listeners[&80].health_check;
    assert_eq!(check.path, "/a");
    assert_eq!(check.port, Some(HealthCheckPort::Number(70000)));
    assert_eq!(check.matcher, Matcher::HttpCode("200-299".to_owned()));

    let path = |text: &str| json!({"frontend-nlb-healthcheck-path": text});
    assert!(
        refusal(&two(path("/a"), path("/b")))
            .starts_with("group-conflict: frontend-nlb-healthcheck-path is \"/b\"")
    );
    // LBC takes even equal codes for different ones; we do not.
    let codes = json!({"frontend-nlb-healthcheck-success-codes": "200"});
    let mut equal = two(codes.clone(), codes);
    assert!(refusal(&equal).contains("frontend-nlb-healthcheck-success-codes"));
    equal.settings.checks = crate::model::settings::Checks::Strict;
    assert!(!refusal(&equal).contains("frontend-nlb-healthcheck-success-codes"));
}

#[test]
fn one_port_leads_to_one_port() {
    let mapping = |to: &str| json!({"frontend-nlb-listener-port-mapping": format!("9000={to}"), "listen-ports": format!("[{{\"HTTP\":{to}}}]")});
    assert!(
        refusal(&two(mapping("80"), mapping("81")))
            .starts_with("group-conflict: the port behind port 9000 of the NLB is \"81\"")
    );
}

#[test]
fn elastic_addresses_need_a_public_balancer_and_one_for_each_subnet() {
    let eip = |text: &str, scheme: &str| {
        world(
            json!({"frontend-nlb-eip-allocations": text, "frontend-nlb-scheme": scheme, "frontend-nlb-subnets": "subnet-2,subnet-1"}),
        )
    };
    let nlb = eip("eipalloc-1,eipalloc-2", "internet-facing")
        .warned()
        .0
        .frontend_nlb;
    let subnets = nlb.map(|nlb| nlb.subnets).unwrap_or_default();
    let pairs: Vec<_> = subnets
        .iter()
        .map(|it| (it.id.as_str(), it.allocation_id.as_deref()))
        .collect();
    assert_eq!(
        pairs,
        [
            ("subnet-2", Some("eipalloc-1")),
            ("subnet-1", Some("eipalloc-2"))
        ]
    );
    assert!(
        refusal(&eip("eipalloc-1", "internet-facing")).contains("names 1 addresses for 2 subnets")
    );
    let of_two = |first: &str, second: &str| {
        let eip = |text: &str| json!({"frontend-nlb-eip-allocations": text, "frontend-nlb-scheme": "internet-facing", "frontend-nlb-subnets": "subnet-2,subnet-1"});
        two(eip(first), eip(second))
    };
    // Each as often, in whatever order.
    assert_eq!(
        of_two("eipalloc-1,eipalloc-2", "eipalloc-2,eipalloc-1").refusals(),
        [""; 0]
    );
    assert!(
        refusal(&of_two(
            "eipalloc-1,eipalloc-1,eipalloc-2",
            "eipalloc-1,eipalloc-2,eipalloc-2"
        ))
        .starts_with("group-conflict: frontend-nlb-eip-allocations")
    );
    assert!(refusal(&eip("", "internal")).contains("is set on an internal balancer"));
    let none = eip("", "internet-facing").warned().0.frontend_nlb;
    assert!(none.is_some_and(|nlb| nlb.subnets.iter().all(|it| it.allocation_id.is_none())));
}

#[test]
fn attributes_are_compared_whole_and_missing_is_not_equal() {
    let attributes = |text: &str| json!({"frontend-nlb-attributes": text});
    assert!(
        refusal(&two(attributes("a=b"), json!({})))
            .starts_with("group-conflict: frontend-nlb-attributes")
    );
    assert!(
        refusal(&two(attributes(""), attributes("a=b")))
            .starts_with("group-conflict: frontend-nlb-attributes")
    );
    for set in ["a=b", ""] {
        assert_eq!(
            refusal(&two(attributes(set), json!({}))),
            format!(
                "group-conflict: frontend-nlb-attributes is missing here and \"{set}\" in Ingress default/a, which shares the balancer"
            )
        );
        assert!(
            two(attributes(set), attributes(set))
                .warned()
                .0
                .frontend_nlb
                .is_some()
        );
    }
    let later = two(json!({}), attributes("a=b")).warned().0.frontend_nlb;
    assert_eq!(later.map(|nlb| nlb.attributes.len()), Some(1));
    assert!(
        refusal(&world(attributes("dns_record.client_routing_policy=any")))
            .contains("cannot be \"any\"")
    );
}

#[test]
fn nothing_is_read_of_a_balancer_that_is_off() {
    let off = World::new().lbc().ingress(
        "web",
        json!({"enable-frontend-nlb": "false", "frontend-nlb-scheme": "public", "frontend-nlb-tags": "="}),
        plain(),
    );
    assert_eq!(off.warned().0.frontend_nlb, None);
}

#[test]
fn tags_of_its_own_replace_all_others() {
    let mut world = world(json!({"tags": "owner=me", "frontend-nlb-tags": "stage=x"}));
    world.settings.default_tags = [("d".to_owned(), "1".to_owned())].into();
    let tags = world
        .warned()
        .0
        .frontend_nlb
        .map(|nlb| nlb.tags)
        .unwrap_or_default();
    assert_eq!(
        tags.into_iter().collect::<Vec<_>>(),
        [("stage".to_owned(), "x".to_owned())]
    );
}
