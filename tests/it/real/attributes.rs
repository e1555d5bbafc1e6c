//! Attributes of balancer, listener and target group, health checks, and tags with their precedence
//! (ingress-model §3.7–3.8, §4.7, §6.3–6.4).

use std::collections::BTreeMap;

use serde_json::json;

use super::served::{elb_writes, ingress, paths, service};
use super::*;

/// Fails unless `live` has these values; what else it has is AWS's.
#[track_caller]
fn assert_has(live: &Value, expected: &[(&str, &str)]) {
    for (key, value) in expected {
        assert_eq!(live[key], *value, "{key} of {live:#}");
    }
}

fn keys(parameters: &BTreeMap<String, String>, end: &str) -> Vec<String> {
    let mut keys: Vec<String> = parameters
        .iter()
        .filter(|(name, _)| name.ends_with(end))
        .map(|(_, value)| value.clone())
        .collect();
    keys.sort();
    keys
}

#[track_caller]
fn sent_keys(changes: &Journal, operation: &str) -> Vec<String> {
    keys(&super::served::parameters(changes, operation), ".Key")
}

#[test]
fn attributes_are_set_edited_and_put_back_one_by_one() {
    let (mut scene, seed) = Scene::serving(&["app1"]);
    let with = |balancer: &str, listener: &str, target_group: &str| {
        let annotations = [
            ("load-balancer-attributes", balancer),
            ("listener-attributes.HTTP-80", listener),
            ("target-group-attributes", target_group),
        ];
        ingress("web", &annotations, &[paths("", &[("/", "app1")])])
    };
    let balancer = "idle_timeout.timeout_seconds=120,routing.http.drop_invalid_header_fields.enabled=true,\
                    access_logs.s3.enabled=true,access_logs.s3.bucket=logs,access_logs.s3.prefix=web";
    let listener = "routing.http.response.server.enabled=false,\
                    routing.http.response.strict_transport_security.header_value=max-age=31536000";
    let target_group = "deregistration_delay.timeout_seconds=30,stickiness.enabled=true,stickiness.type=app_cookie,\
                        stickiness.app_cookie.cookie_name=who,stickiness.app_cookie.duration_seconds=600,\
                        load_balancing.algorithm.type=least_outstanding_requests";
    scene.put("web.yaml", &[with(balancer, listener, target_group)]);
    scene.edit("With everything set");
    let arns = json!([
        scene.balancer()["LoadBalancerArn"],
        scene.listener()["ListenerArn"],
        scene.target_group("app1")["TargetGroupArn"],
    ]);
    let live = |scene: &Scene, kind: &str| {
        let place = ["load_balancer", "listener", "target_group"]
            .iter()
            .position(|it| *it == kind);
        scene.attributes(kind, &arns[place.expect("a kind")])
    };
    assert_has(
        &live(&scene, "load_balancer"),
        &[
            ("idle_timeout.timeout_seconds", "120"),
            ("routing.http.drop_invalid_header_fields.enabled", "true"),
            ("access_logs.s3.enabled", "true"),
            ("access_logs.s3.bucket", "logs"),
            ("access_logs.s3.prefix", "web"),
        ],
    );
    assert_has(
        &live(&scene, "listener"),
        &[
            ("routing.http.response.server.enabled", "false"),
            (
                "routing.http.response.strict_transport_security.header_value",
                "max-age=31536000",
            ),
        ],
    );
    assert_has(
        &live(&scene, "target_group"),
        &[
            ("deregistration_delay.timeout_seconds", "30"),
            ("stickiness.enabled", "true"),
            ("stickiness.type", "app_cookie"),
            ("stickiness.app_cookie.cookie_name", "who"),
            ("stickiness.app_cookie.duration_seconds", "600"),
            (
                "load_balancing.algorithm.type",
                "least_outstanding_requests",
            ),
        ],
    );
    scene.assert_settled();

    // One value of each: nothing but that key is sent.
    scene.put(
        "web.yaml",
        &[with(
            &balancer.replace("=120", "=90"),
            &listener.replace("enabled=false", "enabled=true"),
            &target_group.replace("seconds=30", "seconds=45"),
        )],
    );
    let changed = scene.edit("One value of each");
    assert_eq!(
        elb_writes(&changed),
        [
            "ModifyListenerAttributes",
            "ModifyLoadBalancerAttributes",
            "ModifyTargetGroupAttributes"
        ]
    );
    for (operation, key) in [
        (
            "ModifyLoadBalancerAttributes",
            "idle_timeout.timeout_seconds",
        ),
        (
            "ModifyListenerAttributes",
            "routing.http.response.server.enabled",
        ),
        (
            "ModifyTargetGroupAttributes",
            "deregistration_delay.timeout_seconds",
        ),
    ] {
        assert_eq!(
            sent_keys(&changed, &format!("elasticloadbalancing:{operation}")),
            [key]
        );
    }
    scene.assert_settled();

    // What is said no longer goes back to AWS's default, and is not asked for again.
    scene.put(
        "web.yaml",
        &[ingress("web", &[], &[paths("", &[("/", "app1")])])],
    );
    scene.edit("As AWS has it");
    assert_has(
        &live(&scene, "load_balancer"),
        &[
            ("idle_timeout.timeout_seconds", "60"),
            ("routing.http.drop_invalid_header_fields.enabled", "false"),
            ("access_logs.s3.enabled", "false"),
        ],
    );
    assert_has(
        &live(&scene, "listener"),
        &[("routing.http.response.server.enabled", "true")],
    );
    assert_has(
        &live(&scene, "target_group"),
        &[
            ("deregistration_delay.timeout_seconds", "300"),
            ("stickiness.enabled", "false"),
        ],
    );
    scene.assert_settled();
    scene.assert_leaves_nothing(&seed);
}

#[test]
fn health_checks_and_protocols_are_those_of_service_before_ingress() {
    let (mut scene, seed) = Scene::serving(&["plain"]);
    let check = |path: &str, codes: &str| {
        service(
            "picky",
            &[
                ("healthcheck-path", path),
                ("healthcheck-port", "9000"),
                ("healthcheck-protocol", "HTTPS"),
                ("success-codes", codes),
            ],
        )
    };
    let grpc = |codes: &str| {
        service(
            "rpc",
            &[
                ("backend-protocol-version", "GRPC"),
                ("success-codes", codes),
                ("healthcheck-path", "/grpc.health.v1.Health/Check"),
            ],
        )
    };
    scene.put("picky.yaml", &[check("/ready", "200-204")]);
    scene.put("rpc.yaml", &[grpc("0,12")]);
    let annotations = [
        ("healthcheck-path", "/healthz"),
        ("healthcheck-interval-seconds", "20"),
        ("healthcheck-timeout-seconds", "10"),
        ("healthy-threshold-count", "3"),
        ("unhealthy-threshold-count", "4"),
        ("listen-ports", r#"[{"HTTPS":443}]"#),
        (
            "certificate-arn",
            &super::listeners::certificate(&scene, &["app.example.com"]),
        ),
    ];
    let given = [("/picky", "picky"), ("/plain", "plain"), ("/rpc", "rpc")];
    scene.put(
        "web.yaml",
        &[ingress(
            "web",
            &annotations,
            &[paths("app.example.com", &given)],
        )],
    );
    scene.edit("Look closely");
    let has = |scene: &Scene, name: &str, fields: Value| {
        let live = scene.target_group(name);
        for (field, value) in fields.as_object().expect("fields") {
            assert_eq!(live[field], *value, "{field} of {name}");
        }
    };
    let shared = json!({
        "HealthCheckIntervalSeconds": 20, "HealthCheckTimeoutSeconds": 10, "HealthyThresholdCount": 3, "UnhealthyThresholdCount": 4,
    });
    for name in ["picky", "plain", "rpc"] {
        has(&scene, name, shared.clone());
    }
    has(
        &scene,
        "plain",
        json!({"HealthCheckPath": "/healthz", "HealthCheckProtocol": "HTTP", "HealthCheckPort": "traffic-port", "Matcher": {"HttpCode": "200"}, "ProtocolVersion": "HTTP1"}),
    );
    has(
        &scene,
        "picky",
        json!({"HealthCheckPath": "/ready", "HealthCheckProtocol": "HTTPS", "HealthCheckPort": "9000", "Matcher": {"HttpCode": "200-204"}}),
    );
    has(
        &scene,
        "rpc",
        json!({"ProtocolVersion": "GRPC", "HealthCheckPath": "/grpc.health.v1.Health/Check", "Matcher": {"GrpcCode": "0,12"}}),
    );
    scene.assert_settled();

    scene.put("picky.yaml", &[check("/readyz", "200")]);
    scene.put("rpc.yaml", &[grpc("0-99")]);
    let changed = scene.edit("Look elsewhere");
    assert_eq!(
        elb_writes(&changed),
        ["ModifyTargetGroup", "ModifyTargetGroup"]
    );
    has(
        &scene,
        "picky",
        json!({"HealthCheckPath": "/readyz", "Matcher": {"HttpCode": "200"}}),
    );
    has(&scene, "rpc", json!({"Matcher": {"GrpcCode": "0-99"}}));
    scene.assert_settled();

    // Another protocol is another target group; the rule moves over before the old one goes.
    scene.put(
        "rpc.yaml",
        &[service("rpc", &[("backend-protocol-version", "HTTP2")])],
    );
    let changed = scene.edit("Speak HTTP/2");
    changed.assert_order(
        "elasticloadbalancing:RegisterTargets",
        "elasticloadbalancing:ModifyRule",
    );
    changed.assert_order(
        "elasticloadbalancing:ModifyRule",
        "elasticloadbalancing:DeleteTargetGroup",
    );
    has(
        &scene,
        "rpc",
        json!({"ProtocolVersion": "HTTP2", "Matcher": {"HttpCode": "200"}}),
    );
    scene.assert_settled();
    scene.assert_leaves_nothing(&seed);
}

#[test]
fn tags_of_service_win_over_the_ingress_and_the_configuration_over_both() {
    let (mut scene, seed) = Scene::serving_with(&["plain"], |config| {
        config["ingress"]["defaultTags"] = json!({"company": "acme", "stage": "prod"});
    });
    let with = |tags: &str| {
        ingress(
            "web",
            &[("tags", tags)],
            &[paths("", &[("/plain", "plain"), ("/own", "own")])],
        )
    };
    scene.put(
        "own.yaml",
        &[service("own", &[("tags", "team=backend,tier=1")])],
    );
    scene.put("web.yaml", &[with("team=web,stage=test,color=blue")]);
    scene.edit("Say whose it is");
    let balancer = scene.balancer();
    let security_groups = scene.bed.dump()["aws"]["ec2"]["security_groups"].take();
    let managed = list(&security_groups)
        .iter()
        .find(|it| text(&it["GroupName"]).starts_with("k8s-default-web-"))
        .expect("a group")
        .clone();
    let by_ingress = [
        ("team", "web"),
        ("stage", "prod"),
        ("color", "blue"),
        ("company", "acme"),
    ];
    assert_has(&scene.tags(&balancer["LoadBalancerArn"]), &by_ingress);
    assert_has(&managed["Tags"], &by_ingress);
    assert_has(&scene.tags(&scene.listener()["ListenerArn"]), &by_ingress);
    for rule in scene.rules() {
        assert_has(&scene.tags(&rule.arn), &by_ingress);
    }
    assert_has(
        &scene.tags(&scene.target_group("plain")["TargetGroupArn"]),
        &by_ingress,
    );
    let own = scene.tags(&scene.target_group("own")["TargetGroupArn"]);
    assert_has(
        &own,
        &[
            ("team", "backend"),
            ("tier", "1"),
            ("stage", "prod"),
            ("color", "blue"),
            ("company", "acme"),
        ],
    );
    scene.assert_settled();

    // A changed and a dropped tag; a foreign one stays.
    let arn = balancer["LoadBalancerArn"].clone();
    let by_hand = json!({"ResourceArns": [arn], "Tags": [{"Key": "cost", "Value": "42"}]});
    scene.bed.aws("elbv2", "AddTags", by_hand);
    scene.put("web.yaml", &[with("team=shop,stage=test")]);
    let changed = scene.edit("Another team, no colour");
    for write in elb_writes(&changed) {
        assert!(
            ["AddTags", "RemoveTags"].contains(&write.as_str()),
            "{}",
            changed.render()
        );
    }
    let tags = scene.tags(&arn);
    assert_has(
        &tags,
        &[("team", "shop"), ("stage", "prod"), ("cost", "42")],
    );
    assert!(tags["color"].is_null(), "{tags:#}");
    let own = scene.tags(&scene.target_group("own")["TargetGroupArn"]);
    assert_has(&own, &[("team", "backend")]);
    assert!(own["color"].is_null(), "{own:#}");
    scene.assert_settled();
    scene.assert_leaves_nothing(&seed);
}
