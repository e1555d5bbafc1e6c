//! What cannot be brought about in AWS yet holds its whole group with the part named; other groups go on.

use std::collections::BTreeMap;

use serde_json::json;

use super::listeners::certificate;
use super::served::{elb_writes, ingress, paths};
use super::*;
use crate::support::proxy::{Fault, Match, Rule};

/// An Ingress, the part that it needs as `status` names it, and its annotations.
type Part = (
    &'static str,
    &'static str,
    &'static [(&'static str, &'static str)],
);

const PARTS: [Part; 11] = [
    (
        "wafv2",
        "wafv2-acl-arn",
        &[(
            "wafv2-acl-arn",
            "arn:aws:wafv2:us-east-1:123456789012:regional/webacl/shop/0a1b",
        )],
    ),
    ("waf", "waf-acl-id", &[("waf-acl-id", "0a1b2c3d")]),
    (
        "shield",
        "shield-advanced-protection",
        &[("shield-advanced-protection", "true")],
    ),
    (
        "nlb",
        "enable-frontend-nlb",
        &[("enable-frontend-nlb", "true")],
    ),
    (
        "ipam",
        "ipam-ipv4-pool-id",
        &[
            ("ipam-ipv4-pool-id", "ipam-pool-0a1b"),
            ("scheme", "internet-facing"),
        ],
    ),
    (
        "coip",
        "customer-owned-ipv4-pool",
        &[("customer-owned-ipv4-pool", "ipv4pool-coip-0a1b")],
    ),
    (
        "capacity",
        "minimum-load-balancer-capacity",
        &[("minimum-load-balancer-capacity", "CapacityUnits=100")],
    ),
    (
        "clusters",
        "multi-cluster-target-group",
        &[("multi-cluster-target-group", "true")],
    ),
    (
        "acm",
        "create-acm-cert",
        &[
            ("create-acm-cert", "true"),
            ("listen-ports", r#"[{"HTTPS":443}]"#),
        ],
    ),
    (
        "mtls",
        "mutual-authentication",
        &[
            ("listen-ports", r#"[{"HTTPS":443}]"#),
            (
                "mutual-authentication",
                r#"[{"port":443,"mode":"verify","trustStore":"arn:aws:elasticloadbalancing:us-east-1:123456789012:truststore/clients/0a1b"}]"#,
            ),
        ],
    ),
    (
        "several",
        "shield-advanced-protection",
        &[
            ("shield-advanced-protection", "true"),
            ("waf-acl-id", "0a1b2c3d"),
        ],
    ),
];

/// Why each stack waits, by the stack.
fn held(status: &Value) -> BTreeMap<String, String> {
    list(&status["waits"])
        .iter()
        .map(|wait| (wait["stack"].to_string(), text(&wait["reason"]).to_owned()))
        .collect()
}

#[test]
fn a_group_that_needs_what_is_missing_sends_no_write_while_another_goes_on() {
    let (mut scene, _) = Scene::serving_with(&["app1"], |config| {
        config["ingress"]["featureGates"]["EnableCertificateManagement"] = json!(true);
    });
    let certificate = certificate(&scene, &["app.example.com"]);
    let route = |name: &str, annotations: &[(&str, &str)]| {
        let mut annotations = annotations.to_vec();
        if name == "mtls" {
            annotations.push(("certificate-arn", &certificate));
        }
        ingress(
            name,
            &annotations,
            &[paths("app.example.com", &[("/", "app1")])],
        )
    };
    for (name, _, annotations) in PARTS {
        scene.put(&format!("{name}.yaml"), &[route(name, annotations)]);
    }
    scene.put("good.yaml", &[route("good", &[])]);
    let mark = scene.bed.proxy.mark();
    let commit = scene
        .repo
        .commit_and_push("One good, the others ahead of their time");
    let status = scene.waits(&commit);

    let reasons = held(&status);
    assert_eq!(reasons.len(), PARTS.len(), "{reasons:#?}");
    let said = String::from_utf8(scene.daemon.cli(&["status"]).stdout).expect("text");
    for (name, part, _) in PARTS {
        let (_, reason) = reasons
            .iter()
            .find(|(stack, _)| stack.contains(&format!("default/{name}\"")))
            .expect(name);
        assert!(
            reason.contains(part) && reason.contains("not served yet"),
            "{name}: {reason}"
        );
        let line = said
            .lines()
            .find(|line| line.contains(&format!("default/{name}:")))
            .unwrap_or_else(|| panic!("no {name} in {said}"));
        assert!(line.contains(part), "{line}");
    }
    let (_, both) = reasons
        .iter()
        .find(|(stack, _)| stack.contains("default/several\""))
        .expect("several");
    assert!(
        both.contains("waf-acl-id"),
        "all that is missing is named: {both}"
    );

    scene.event("wafv2", "Waiting", &["wafv2-acl-arn"]);

    // The one balancer is the good one's, and no call names anything of another.
    assert!(text(&scene.balancer()["LoadBalancerName"]).starts_with("k8s-default-good-"));
    let aws = scene.changes(mark).on(Plane::Aws);
    assert_eq!(
        elb_writes(&aws),
        [
            "CreateListener",
            "CreateLoadBalancer",
            "CreateRule",
            "CreateTargetGroup",
            "RegisterTargets"
        ]
    );
    for entry in aws.writes() {
        let all: Vec<&String> = entry.call.parameters.values().collect();
        for (name, ..) in PARTS {
            assert!(
                !all.iter()
                    .any(|value| value.contains(&format!("default/{name}"))
                        || value.contains(&format!("k8s-default-{name}-"))),
                "{} names {name}: {all:#?}",
                entry.call.label()
            );
        }
    }
    assert_eq!(
        scene.object("ingress", "wafv2")["status"]["loadBalancer"],
        json!({}),
        "it has no address"
    );
    // Nor does a look at everything.
    let mark = scene.restart();
    assert!(
        scene.changes(mark).is_empty(),
        "{}",
        scene.changes(mark).render()
    );
    scene.assert_guard();
}

#[test]
fn a_group_in_force_keeps_what_it_has_while_it_asks_for_what_is_missing() {
    let (mut scene, seed) = Scene::serving(&["app1", "app2"]);
    let route = |name: &str, annotations: &[(&str, &str)], path: &str| {
        ingress(name, annotations, &[paths("", &[(path, "app1")])])
    };
    let guarded = [(
        "wafv2-acl-arn",
        "arn:aws:wafv2:us-east-1:123456789012:regional/webacl/shop/0a1b",
    )];
    scene.put("web.yaml", &[route("web", &[], "/web")]);
    scene.put("other.yaml", &[route("other", &[], "/other")]);
    scene.push("Two balancers");
    let of = |scene: &Scene, name: &str| {
        let dump = scene.bed.dump_with_ids();
        list(&dump["aws"]["elbv2"]["load_balancers"])
            .iter()
            .find(|it| text(&it["LoadBalancerName"]).contains(name))
            .expect(name)
            .clone()
    };
    let (web, other) = (of(&scene, "-web-"), of(&scene, "-other-"));

    // The path changes too, and is held with the rest: never half of a commit for one group.
    let mark = scene.bed.proxy.mark();
    scene.put("web.yaml", &[route("web", &guarded, "/shop")]);
    scene.put("other.yaml", &[route("other", &[], "/elsewhere")]);
    let commit = scene.repo.commit_and_push("Guard the web, move the other");
    let status = scene.waits(&commit);
    let reasons = held(&status);
    assert!(
        reasons
            .values()
            .all(|reason| reason.contains("wafv2-acl-arn")),
        "{reasons:#?}"
    );
    assert_eq!(of(&scene, "-web-"), web, "as it was");
    assert_ne!(of(&scene, "-other-"), other);
    assert_eq!(
        elb_writes(&scene.changes(mark)),
        ["CreateRule", "DeleteRule"]
    );

    // Nothing is mended on a group that waits, and it goes on by itself once the part is not asked for.
    let rule = only(json!(scene.raw_rules(&scene.listeners_of(&web)[&80])));
    scene
        .bed
        .aws("elbv2", "DeleteRule", json!({"RuleArn": rule["RuleArn"]}));
    let mark = scene.restart();
    assert!(
        scene.changes(mark).is_empty(),
        "{}",
        scene.changes(mark).render()
    );
    scene.put("web.yaml", &[route("web", &[], "/shop")]);
    scene.push("Leave the web open");
    let rules = scene.raw_rules(&scene.listeners_of(&web)[&80]);
    assert!(
        only(json!(rules))["Conditions"]
            .to_string()
            .contains("/shop")
    );
    assert_eq!(
        of(&scene, "-web-")["LoadBalancerArn"],
        web["LoadBalancerArn"]
    );
    scene.assert_settled();

    // What waits is taken down all the same when git holds it no more.
    scene.put("web.yaml", &[route("web", &guarded, "/shop")]);
    let commit = scene.repo.commit_and_push("Guard the web again");
    scene.waits(&commit);
    scene.assert_leaves_nothing(&seed);
}

/// The names are looked up in the account, and what they stand for is named all the same.
#[test]
fn what_is_asked_for_by_name_holds_its_group_too() {
    let (mut scene, _) = Scene::serving(&["app1"]);
    scene.bed.aws(
        "wafv2",
        "CreateWebACL",
        json!({
            "Name": "shop", "Scope": "REGIONAL", "DefaultAction": {"Allow": {}},
            "VisibilityConfig": {
                "SampledRequestsEnabled": false, "CloudWatchMetricsEnabled": false, "MetricName": "shop",
            },
        }),
    );
    let store = "arn:aws:elasticloadbalancing:us-east-1:123456789012:truststore/clients/0a1b";
    let xml = format!(
        "<DescribeTrustStoresResponse xmlns=\"http://elasticloadbalancing.amazonaws.com/doc/2015-12-01/\"><DescribeTrustStoresResult><TrustStores><member><Name>clients</Name><TrustStoreArn>{store}</TrustStoreArn><Status>ACTIVE</Status></member></TrustStores></DescribeTrustStoresResult></DescribeTrustStoresResponse>"
    );
    scene.bed.proxy.add(Rule::always(
        Match::aws("elasticloadbalancing", "DescribeTrustStores"),
        Fault::Answer { xml },
    ));
    let certificate = certificate(&scene, &["app.example.com"]);
    let verify = r#"[{"port":443,"mode":"verify","trustStore":"clients"}]"#;
    /// Ingress, the part that is not served, annotations.
    type Part<'a> = (&'a str, &'a str, &'a [(&'a str, &'a str)]);
    let parts: [Part<'_>; 2] = [
        ("named-acl", "wafv2-acl-name", &[("wafv2-acl-name", "shop")]),
        (
            "named-store",
            "mutual-authentication",
            &[
                ("listen-ports", r#"[{"HTTPS":443}]"#),
                ("certificate-arn", &certificate),
                ("mutual-authentication", verify),
            ],
        ),
    ];
    for (name, _, annotations) in parts {
        let routes = [paths("app.example.com", &[("/", "app1")])];
        scene.put(
            &format!("{name}.yaml"),
            &[ingress(name, annotations, &routes)],
        );
    }
    let mark = scene.bed.proxy.mark();
    let commit = scene.repo.commit_and_push("By their names");
    let status = scene.waits(&commit);
    let reasons = held(&status);
    for (name, part, _) in parts {
        let (_, reason) = reasons
            .iter()
            .find(|(stack, _)| stack.contains(&format!("default/{name}\"")))
            .expect(name);
        assert!(
            reason.contains(part) && reason.contains("not served yet"),
            "{name}: {reason}"
        );
    }
    for (operation, service) in [
        ("DescribeTrustStores", "elasticloadbalancing"),
        ("ListWebACLs", "wafv2"),
    ] {
        let calls = scene
            .since(mark)
            .calls(&format!("{service}:{operation}"))
            .len();
        assert!(calls > 0, "{operation} was not asked");
    }
    let aws = scene.changes(mark).on(Plane::Aws);
    assert!(aws.is_empty(), "{}", aws.render());
    scene.assert_guard();
}

/// Each alone, since each must hold by itself.
#[test]
fn a_setting_that_is_not_served_holds_every_group() {
    type Set = fn(&mut Value);
    let settings: [(&str, Set); 2] = [
        ("enableBackendSecurityGroup", |ingress| {
            ingress["enableBackendSecurityGroup"] = json!(false);
        }),
        ("ListenerRulesTagging", |ingress| {
            ingress["featureGates"]["ListenerRulesTagging"] = json!(false);
        }),
    ];
    for (part, set) in settings {
        let (mut scene, _) = Scene::serving_with(&["app1"], |config| set(&mut config["ingress"]));
        for name in ["one", "two"] {
            let routes = [paths("", &[("/", "app1")])];
            scene.put(&format!("{name}.yaml"), &[ingress(name, &[], &routes)]);
        }
        let mark = scene.bed.proxy.mark();
        let commit = scene.repo.commit_and_push("Two balancers");
        let reasons = held(&scene.waits(&commit));
        for name in ["one", "two"] {
            let (_, reason) = reasons
                .iter()
                .find(|(stack, _)| stack.contains(&format!("default/{name}\"")))
                .expect(name);
            assert!(
                reason.contains(part) && reason.contains("not served yet"),
                "{part}: {reason}"
            );
        }
        let aws = scene.changes(mark).on(Plane::Aws);
        assert!(aws.is_empty(), "{part}: {}", aws.render());
        scene.assert_guard();
    }
}
