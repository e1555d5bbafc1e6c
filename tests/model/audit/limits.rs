//! Each limit with an input just inside of it and one just outside.

use std::sync::LazyLock;

use albsync::manifest::Checks;
use serde_json::json;

use super::against_elbv2;
use crate::{
    build,
    repository::{Annotations, Repository, alone},
};

/// Annotations of one Ingress; it has a path to the Service `app`, and one to what `actions.act` says.
pub struct Limit {
    pub name: &'static str,
    pub inside: Annotations,
    pub outside: Annotations,
}

pub static LIMITS: LazyLock<Vec<Limit>> = LazyLock::new(limits);

/// Texts of generators live as long as those that are written down.
fn kept(text: String) -> &'static str {
    text.leak()
}

fn limits() -> Vec<Limit> {
    let mut limits = Vec::new();
    let mut limit = |name, key: &'static str, inside: String, outside: String| {
        limits.push(Limit {
            name,
            inside: [(key, kept(inside))].into(),
            outside: [(key, kept(outside))].into(),
        });
    };
    let mut number = |key, inside: i64, outside: i64| {
        let (inside, outside) = (inside.to_string(), outside.to_string());
        limit(key, key, inside, outside);
    };
    number("healthcheck-interval-seconds", 300, 301);
    number("healthcheck-timeout-seconds", 2, 1);
    number("healthy-threshold-count", 2, 1);
    number("healthy-threshold-count", 10, 11);
    number("unhealthy-threshold-count", 2, 1);
    number("unhealthy-threshold-count", 10, 11);
    number("healthcheck-port", 65_535, 65_536);
    number("healthcheck-port", 1, 0);

    let tags = |count: usize| -> String {
        let tags: Vec<String> = (0..count).map(|index| format!("k{index}=v")).collect();
        tags.join(",")
    };
    limit("fifty tags", "tags", tags(47), tags(48));
    let long = |count: usize| "x".repeat(count);
    limit(
        "length of a tag's key",
        "tags",
        format!("{}=v", long(128)),
        format!("{}=v", long(129)),
    );
    limit(
        "length of a tag's value",
        "tags",
        format!("k={}", long(256)),
        format!("k={}", long(257)),
    );
    limit(
        "characters of tags",
        "tags",
        "k=a_.:/=+-@ b".into(),
        "k=a*b".into(),
    );
    limit(
        "characters of tags' keys",
        "tags",
        "k/+@=v".into(),
        "k!=v".into(),
    );
    limit("keys of AWS", "tags", "aws=v".into(), "aws:k=v".into());
    let balancer = "load-balancer-name";
    limit("length of a balancer's name", balancer, long(32), long(33));
    limit(
        "characters of a balancer's name",
        balancer,
        "a-b".into(),
        "a_b".into(),
    );
    limit(
        "ends of a balancer's name",
        balancer,
        "a-b".into(),
        "a-b-".into(),
    );
    limit(
        "start of a balancer's name",
        balancer,
        "internal".into(),
        "internal-a".into(),
    );
    let of_balancer = "load-balancer-attributes";
    let mut attribute = |annotation, key: &'static str, inside: u32, outside: u32| {
        limit(
            key,
            annotation,
            format!("{key}={inside}"),
            format!("{key}={outside}"),
        );
    };
    attribute(of_balancer, "idle_timeout.timeout_seconds", 4000, 4001);
    attribute(of_balancer, "idle_timeout.timeout_seconds", 1, 0);
    attribute(of_balancer, "client_keep_alive.seconds", 60, 59);
    attribute(of_balancer, "client_keep_alive.seconds", 604_800, 604_801);
    let of_targets = "target-group-attributes";
    attribute(
        of_targets,
        "deregistration_delay.timeout_seconds",
        3600,
        3601,
    );
    attribute(of_targets, "slow_start.duration_seconds", 30, 29);
    attribute(of_targets, "slow_start.duration_seconds", 900, 901);
    attribute(
        of_targets,
        "stickiness.lb_cookie.duration_seconds",
        604_800,
        604_801,
    );
    let path = |count: usize| format!("/{}", long(count - 1));
    limit(
        "health check path",
        "healthcheck-path",
        path(1024),
        path(1025),
    );
    limit(
        "health check path's start",
        "healthcheck-path",
        "/a".into(),
        "a".into(),
    );
    limit(
        "success codes",
        "success-codes",
        "200-499".into(),
        "200-500".into(),
    );
    limit(
        "success codes",
        "success-codes",
        "200,201".into(),
        "199".into(),
    );
    let port = |port: u32| json!([{ "HTTP": port }]).to_string();
    limit(
        "port of a listener",
        "listen-ports",
        port(65_535),
        port(65_536),
    );

    let mut action = |name, inside: serde_json::Value, outside: serde_json::Value| {
        limit(name, "actions.act", inside.to_string(), outside.to_string());
    };
    let forward = |weights: &[i32]| {
        let services = ["app", "back", "b-back", "x-back"];
        let backends = services.iter().flat_map(|it| [(it, "80"), (it, "8080")]);
        let groups: Vec<_> = weights
            .iter()
            .zip(backends)
            .map(|(weight, (service, port))| {
                json!({"serviceName": service, "servicePort": port, "weight": weight})
            })
            .collect();
        json!({"type": "forward", "forwardConfig": {"targetGroups": groups}})
    };
    action("greatest weight", forward(&[1, 999]), forward(&[1, 1000]));
    action("least weight", forward(&[1, 0]), forward(&[1, -1]));
    action(
        "target groups of an action",
        forward(&[1; 5]),
        forward(&[1; 6]),
    );
    let sticky = |seconds: u32| {
        let mut action = forward(&[1, 1]);
        action["forwardConfig"]["targetGroupStickinessConfig"] =
            json!({"enabled": true, "durationSeconds": seconds});
        action
    };
    action("longest stickiness", sticky(604_800), sticky(604_801));
    action("shortest stickiness", sticky(1), sticky(0));
    let fixed = |code: &str, kind: &str, body: usize| {
        let config = json!({"statusCode": code, "contentType": kind, "messageBody": long(body)});
        json!({"type": "fixed-response", "fixedResponseConfig": config})
    };
    let plain = "text/plain";
    action(
        "status of a response",
        fixed("599", plain, 1),
        fixed("600", plain, 1),
    );
    action(
        "class of a response",
        fixed("200", plain, 1),
        fixed("300", plain, 1),
    );
    action(
        "type of a response",
        fixed("200", plain, 1),
        fixed("200", "text/markdown", 1),
    );
    action(
        "body of a response",
        fixed("200", plain, 1024),
        fixed("200", plain, 1025),
    );
    let redirect = |key: &str, value: String| {
        let mut config = json!({"statusCode": "HTTP_302", "host": "a.example.org"});
        config[key] = value.into();
        json!({"type": "redirect", "redirectConfig": config})
    };
    action(
        "host of a redirection",
        redirect("host", long(128)),
        redirect("host", long(129)),
    );
    action(
        "path of a redirection",
        redirect("path", path(128)),
        redirect("path", path(129)),
    );
    action(
        "path's start",
        redirect("path", "/a".into()),
        redirect("path", "a".into()),
    );
    action(
        "query of a redirection",
        redirect("query", long(128)),
        redirect("query", long(129)),
    );
    action(
        "port of a redirection",
        redirect("port", "65535".into()),
        redirect("port", "65536".into()),
    );
    let code = |code: &str| redirect("statusCode", code.into());
    action(
        "status of a redirection",
        code("HTTP_301"),
        code("HTTP_307"),
    );
    let mut same = redirect("query", "a=b".into());
    let elsewhere = same.clone();
    if let Some(config) = same["redirectConfig"].as_object_mut() {
        config.remove("host");
    }
    action("a redirection that changes something", elsewhere, same);

    let mut condition = |name, inside: Vec<serde_json::Value>, outside: Vec<serde_json::Value>| {
        let text = |conditions| serde_json::Value::Array(conditions).to_string();
        limit(name, "conditions.app", text(inside), text(outside));
    };
    let header = |name: String, value: String| json!({"field": "http-header", "httpHeaderConfig": {"httpHeaderName": name, "values": [value]}});
    let headers = |count: usize| -> Vec<_> {
        (0..count)
            .map(|index| header(format!("X-{index}"), "v".into()))
            .collect()
    };
    // The host and the path are conditions too.
    condition("conditions of a rule", headers(3), headers(4));
    condition(
        "length of a value",
        vec![header("X".into(), long(128))],
        vec![header("X".into(), long(129))],
    );
    condition(
        "length of a header's name",
        vec![header(long(40), "v".into())],
        vec![header(long(41), "v".into())],
    );
    // The path to `app` has one of its own.
    condition(
        "wildcards of a rule",
        vec![header("X".into(), "*a?b*c?".into())],
        vec![header("X".into(), "*a?b*c?d*".into())],
    );

    let transform = |regex: usize, replace: usize| {
        let rewrite = json!([{"regex": long(regex), "replace": long(replace)}]);
        json!([{"type": "url-rewrite", "urlRewriteConfig": {"rewrites": rewrite}}]).to_string()
    };
    limit(
        "regular expression of a rewrite",
        "transforms.app",
        transform(1024, 1),
        transform(1025, 1),
    );
    limit(
        "replacement of a rewrite",
        "transforms.app",
        transform(1, 1024),
        transform(1, 1025),
    );

    // Some need company.
    let pairs =
        |pairs: &[(&'static str, &'static str)]| -> Annotations { pairs.iter().copied().collect() };
    let mut together = |name, common: &[(&'static str, &'static str)], key, inside, outside| {
        let mut limit = Limit {
            name,
            inside: pairs(common),
            outside: pairs(common),
        };
        limit.inside.insert(key, inside);
        limit.outside.insert(key, outside);
        limits.push(limit);
    };
    let slow = [("healthcheck-interval-seconds", "300")];
    together(
        "longest timeout",
        &slow,
        "healthcheck-timeout-seconds",
        "120",
        "121",
    );
    let quick = [("healthcheck-timeout-seconds", "2")];
    together(
        "shortest interval",
        &quick,
        "healthcheck-interval-seconds",
        "5",
        "4",
    );
    let ip = [("target-type", "ip")];
    together(
        "target control port",
        &ip,
        "target-control-port.app.80",
        "65535",
        "65536",
    );
    let grpc = [("backend-protocol-version", "GRPC")];
    together("gRPC codes", &grpc, "success-codes", "0-99", "0-100");
    let sign_in = [
        ("listen-ports", r#"[{"HTTPS":443}]"#),
        (
            "certificate-arn",
            "arn:aws:acm:us-east-1:123456789012:certificate/0a1b2c3d-0000-4000-8000-000000000000",
        ),
        ("auth-type", "cognito"),
        (
            "auth-idp-cognito",
            r#"{"userPoolARN":"arn:aws:cognito-idp:us-east-1:123456789012:userpool/us-east-1_a","userPoolClientID":"c","userPoolDomain":"d"}"#,
        ),
    ];
    together(
        "longest session",
        &sign_in,
        "auth-session-timeout",
        "604800",
        "604801",
    );
    together(
        "shortest session",
        &sign_in,
        "auth-session-timeout",
        "1",
        "0",
    );
    limits
}

/// Two limits on two sides of one value have one name.
#[test]
fn every_limit_is_met_and_what_is_beyond_it_is_refused() {
    let mut wrong = Vec::new();
    for Limit {
        name,
        inside,
        outside,
    } in LIMITS.iter()
    {
        let build = |annotations: &Annotations, checks| {
            let repository: Repository = alone(annotations.clone());
            build(&repository.written(0), &repository.facts(), checks)
        };
        let good = build(inside, Checks::Strict);
        let audited: Vec<String> = good
            .groups
            .values()
            .flat_map(|it| against_elbv2(it))
            .collect();
        if !good.problems.is_empty() || good.groups.is_empty() || !audited.is_empty() {
            wrong.push(format!("{name}: inside: {:?} {audited:?}", good.problems));
        }
        let bad = build(outside, Checks::Strict);
        if bad.problems.is_empty() {
            wrong.push(format!("{name}: outside: nothing is told"));
        }
        // What LBC builds of it all the same, the audit must know to be wrong.
        let lenient = build(outside, Checks::Lbc);
        let mut audited = lenient.groups.values().map(|it| against_elbv2(it));
        if audited.any(|wrong| wrong.is_empty()) {
            wrong.push(format!("{name}: outside: the audit finds nothing"));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}
