//! Each grammar and each rule of a value: what is read, and what is said of what is not.

use proptest::prelude::*;

use super::super::{
    options::{
        AuthType, ForwardTarget, ForwardTo, HealthCheckPort, IngressOptions, ListenPort,
        MutualMode, RuleAction, Stickiness,
    },
    value::{Condition, Patterns, Protocol, QueryPair, Transform},
};
use super::{On, PREFIX, TABLE, one};
use crate::manifest::{Checks, ingress::PortRef};

fn read(suffix: &str, value: &str) -> (IngressOptions, Vec<String>) {
    one(On::Ingress, suffix, value, Checks::Strict)
}

/// The options of a value with which nothing is wrong.
fn good(suffix: &str, value: &str) -> IngressOptions {
    let (options, found) = read(suffix, value);
    assert_eq!(found, [""; 0], "{suffix}={value}");
    options
}

/// Each value with the hint of its problem, of that code.
fn refused(code: &str, suffix: &str, table: &[(&str, &str)]) {
    for (value, hint) in table {
        let (_, found) = read(suffix, value);
        let shown = value.trim_end().replace('\n', " ");
        assert_eq!(
            found,
            [format!(
                "a.yaml:1:1: problem[{code}]: the annotation {PREFIX}/{suffix} cannot be \"{shown}\"; {hint}"
            )],
            "{suffix}={value}"
        );
    }
}

#[test]
fn words_and_numbers_are_exact() {
    refused(
        "bad-annotation",
        "ip-address-type",
        &[
            ("", "it is ipv4, dualstack or dualstack-without-public-ipv4"),
            (
                "IPv4",
                "it is ipv4, dualstack or dualstack-without-public-ipv4",
            ),
        ],
    );
    refused(
        "bad-annotation",
        "auth-type",
        &[
            ("OIDC", "it is none, oidc or cognito"),
            ("", "it is none, oidc or cognito"),
        ],
    );
    let number = "it is a whole number from 5 to 300";
    refused(
        "bad-annotation",
        "healthcheck-interval-seconds",
        &[
            ("", number),
            (" 30", number),
            ("30.0", number),
            ("1_5", number),
            ("2147483648", number),
        ],
    );
    let order = "it is a whole number from -1000 to 1000";
    refused(
        "bad-annotation",
        "group.order",
        &[("1001", order), ("ten", order), ("", order)],
    );
    refused(
        "bad-annotation",
        "use-regex-path-match",
        &[
            ("yes", "it is `true` or `false`"),
            ("true ", "it is `true` or `false`"),
        ],
    );
    refused(
        "bad-annotation",
        "auth-session-timeout",
        &[("1d", "it is a number of seconds from 1 to 604800")],
    );
    assert_eq!(
        good("group.order", "+0008").group.order.unwrap().value,
        Ok(8)
    );
    assert_eq!(
        good("auth-type", "oidc").auth.auth_type.unwrap().value,
        Ok(AuthType::Oidc)
    );
}

#[test]
fn a_health_check_port_is_a_number_a_name_or_the_traffics() {
    let port = |text: &str| {
        let (options, _) = read("healthcheck-port", text);
        options
            .target_group
            .health_check_port
            .unwrap()
            .value
            .clone()
            .unwrap()
    };
    assert_eq!(port("traffic-port"), HealthCheckPort::TrafficPort);
    assert_eq!(port("+8086"), HealthCheckPort::Number(8086));
    assert_eq!(port("-1"), HealthCheckPort::Number(-1));
    for name in ["Traffic-Port", "", " 8086", "2147483648", "health"] {
        assert_eq!(port(name), HealthCheckPort::Name(name.to_owned()));
    }
}

#[test]
fn the_older_name_of_the_web_acl_gives_way() {
    let (newer, older) = ("waf-acl-id", "web-acl-id");
    assert_eq!(good(older, "b").add_on.waf_acl_id.unwrap().text, "b");
    let manifests = crate::manifest::tests::read(&[(
        "a.yaml",
        &format!(
            "apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {{name: a, annotations: {{{PREFIX}/{older}: b, {PREFIX}/{newer}: a}}}}\nspec: {{rules: []}}\n"
        ),
    )]);
    let options = &manifests.value.ingresses[0].options;
    assert_eq!(options.add_on.waf_acl_id.as_ref().unwrap().text, "a");
}

#[test]
fn listen_ports_are_what_the_controller_takes() {
    let ports = |text: &str| {
        let (options, _) = read("listen-ports", text);
        let setting = options.listener.listen_ports.unwrap();
        assert_eq!(setting.text, text);
        let ports = setting.value.clone().unwrap().into_iter();
        ports
            .map(|ListenPort { port, protocol }| (port, protocol))
            .collect::<Vec<_>>()
    };
    assert_eq!(
        ports(r#"[{"HTTP": 80}, {"HTTPS": 443, "HTTP": 8080}]"#),
        [
            (80, Protocol::Http),
            (8080, Protocol::Http),
            (443, Protocol::Https)
        ]
    );
    assert_eq!(ports(r#"[null, {"HTTP": 80}]"#), [(80, Protocol::Http)]);
    assert_eq!(ports("[{}]"), []);
    refused(
        "bad-annotation",
        "listen-ports",
        &[
            ("", "it is JSON, which has a value at its end"),
            (
                "[]",
                "it is a list of at least one object, as [{\"HTTP\":80}]",
            ),
            (
                "null",
                "it is a list of at least one object, as [{\"HTTP\":80}]",
            ),
            ("80", "it is a list, not `80`"),
            (r#"[{"HTTP":"80"}]"#, "[0].HTTP is a whole number, not text"),
            (
                r#"[{"HTTP":80.0}]"#,
                "[0].HTTP is a whole number, not `80.0`",
            ),
            (r#"[{"HTTP":8e1}]"#, "[0].HTTP is a whole number, not `8e1`"),
            (
                r#"[{"HTTP":null}]"#,
                "[0].HTTP is a port from 1 to 65535, not 0",
            ),
            (
                r#"[{"HTTP":65536}]"#,
                "[0].HTTP is a port from 1 to 65535, not 65536",
            ),
            (r#"[{"Http":80}]"#, "[0] names HTTP or HTTPS, not \"Http\""),
            (
                r#"[{"HTTP":80}] x"#,
                "it is JSON, which has nothing more at character 15, not `x`",
            ),
        ],
    );
    let (_, found) = read("listen-ports", r#"[{"HTTP":80},{"HTTPS":80}]"#);
    assert!(found[0].contains("odd-annotation") && found[0].contains("lists port 80 twice"));
    let (_, found) = read("listen-ports", r#"[{"HTTP":80,"HTTP":81}]"#);
    assert!(
        found[0].ends_with("the key \"HTTP\" stands twice in [0]; keep one of them"),
        "{found:?}"
    );
}

#[test]
fn mutual_tls_is_checked_entry_by_entry() {
    let text = r#"[{"port":443,"mode":"off"},{"port":8443,"mode":"verify","trustStore":"ts","advertiseTrustStoreCaNames":"on"}]"#;
    let options = good("mutual-authentication", text);
    let ports = options
        .listener
        .mutual_authentication
        .unwrap()
        .value
        .clone()
        .unwrap();
    assert_eq!(ports[&443].mode, MutualMode::Off);
    assert_eq!(ports[&8443].trust_store.as_deref(), Some("ts"));
    assert_eq!(ports[&8443].ignore_client_certificate_expiry, None);
    for nothing in [r#""advertiseTrustStoreCaNames":null"#, r#""trustStore":"""#] {
        good(
            "mutual-authentication",
            &format!("[{{\"port\":443,\"mode\":\"off\",{nothing}}}]"),
        );
    }
    refused(
        "bad-annotation",
        "mutual-authentication",
        &[
            ("[]", "it is a list of at least one object"),
            ("[null]", "[0].port is a port from 1 to 65535, not 0"),
            (
                r#"[{"port":443}]"#,
                "[0].mode is off, passthrough or verify, not \"\"",
            ),
            (
                r#"[{"port":443,"mode":"Off"}]"#,
                "[0].mode is off, passthrough or verify, not \"Off\"",
            ),
            (
                r#"[{"port":443,"mode":"verify"}]"#,
                "[0].trustStore is needed for the mode verify",
            ),
            (
                r#"[{"port":443,"mode":"off","trustStore":"x"}]"#,
                "[0].trustStore goes with the mode verify only",
            ),
            (
                r#"[{"port":443,"mode":"passthrough","ignoreClientCertificateExpiry":false}]"#,
                "[0].ignoreClientCertificateExpiry goes with the mode verify only",
            ),
            (
                r#"[{"port":443,"mode":"passthrough","advertiseTrustStoreCaNames":"on"}]"#,
                "[0].advertiseTrustStoreCaNames goes with the mode verify only",
            ),
            (
                r#"[{"port":443,"mode":"verify","trustStore":"x","advertiseTrustStoreCaNames":"ON"}]"#,
                "[0].advertiseTrustStoreCaNames is on or off, not \"ON\"",
            ),
            (
                r#"[{"port":443,"mode":"verify","trustStore":"x","advertiseTrustStoreCaNames":""}]"#,
                "[0].advertiseTrustStoreCaNames is on or off, not \"\"",
            ),
            (
                r#"[{"port":443,"mode":"off","advertiseTrustStoreCaNames":""}]"#,
                "[0].advertiseTrustStoreCaNames goes with the mode verify only",
            ),
            (
                r#"[{"port":443,"mode":"passthrough","advertiseTrustStoreCaNames":""}]"#,
                "[0].advertiseTrustStoreCaNames goes with the mode verify only",
            ),
        ],
    );
}

#[test]
fn actions_take_three_forms() {
    let action = |text: &str| {
        good("actions.x", text).rule.actions["x"]
            .value
            .clone()
            .unwrap()
    };
    assert_eq!(
        action(r#"{"Type":"redirect","RedirectConfig":{"statusCode":"HTTP_301","port":"443"}}"#),
        RuleAction::Redirect {
            status_code: "HTTP_301".to_owned(),
            host: None,
            path: None,
            port: Some("443".to_owned()),
            protocol: None,
            query: None,
        }
    );
    assert_eq!(
        action(r#"{"type":"forward","targetGroupARN":"arn:x","targetGroupName":"y"}"#),
        RuleAction::Forward {
            targets: vec![ForwardTarget {
                to: ForwardTo::TargetGroupArn("arn:x".to_owned()),
                weight: None
            }],
            stickiness: None
        }
    );
    let text = r#"{"type":"forward","forwardConfig":{"targetGroups":[
        {"serviceName":"a","servicePort":"80","weight":1},{"serviceName":"b","servicePort":"http","weight":0}],
        "TargetGroupStickinessConfig":{"enabled":true,"durationSeconds":60}}}"#;
    let service = |name: &str, port, weight| ForwardTarget {
        to: ForwardTo::Service {
            name: name.to_owned(),
            port,
        },
        weight: Some(weight),
    };
    assert_eq!(
        action(text),
        RuleAction::Forward {
            targets: vec![
                service("a", PortRef::Number(80), 1),
                service("b", PortRef::Name("http".to_owned()), 0)
            ],
            stickiness: Some(Stickiness {
                enabled: Some(true),
                duration_seconds: Some(60)
            })
        }
    );
    refused(
        "bad-annotation",
        "actions.x",
        &[
            ("", "it is JSON, which has a value at its end"),
            (
                "null",
                "it needs a type: fixed-response, redirect or forward",
            ),
            ("[]", "it is an object, not a list"),
            (
                r#"{"type":"Forward"}"#,
                "its type is fixed-response, redirect or forward, not \"Forward\"",
            ),
            (
                r#"{"type":"fixed-response"}"#,
                "the type fixed-response needs fixedResponseConfig",
            ),
            (
                r#"{"type":"fixed-response","fixedResponseConfig":{}}"#,
                "fixedResponseConfig needs a statusCode",
            ),
            (
                r#"{"type":"fixed-response","fixedResponseConfig":{"statusCode":503}}"#,
                "fixedResponseConfig.statusCode is text, not `503`",
            ),
            (
                r#"{"type":"redirect","redirectConfig":{"port":"443"}}"#,
                "redirectConfig needs a statusCode",
            ),
            (
                r#"{"type":"forward"}"#,
                "the type forward needs forwardConfig, targetGroupARN or targetGroupName",
            ),
            (
                r#"{"type":"forward","targetGroupName":"x","forwardConfig":{}}"#,
                "it has either targetGroupARN or targetGroupName, or forwardConfig",
            ),
            (
                r#"{"type":"forward","forwardConfig":{"targetGroups":[{"serviceName":"a"}]}}"#,
                "forwardConfig.targetGroups[0] needs a servicePort",
            ),
            (
                r#"{"type":"forward","forwardConfig":{"targetGroups":[{}]}}"#,
                "forwardConfig.targetGroups[0] needs serviceName, targetGroupARN or targetGroupName",
            ),
        ],
    );
}

#[test]
fn several_target_groups_need_weights() {
    let text = r#"{"type":"forward","forwardConfig":{"targetGroups":[{"serviceName":"a","servicePort":80,"weight":1},{"serviceName":"b","servicePort":80}]}}"#;
    let (_, found) = read("actions.x", text);
    assert!(
        found[0].ends_with("forwardConfig.targetGroups[1] needs a weight, since there are several"),
        "{found:?}"
    );
    assert!(found[0].contains("…\"; "), "long values are cut: {found:?}");
}

#[test]
fn conditions_and_transforms_are_checked_by_their_field() {
    let conditions = |text: &str| {
        let options = read("conditions.s", text).0;
        options.rule.conditions["s"].value.clone().unwrap()
    };
    let text = r#"[{"field":"host-header","hostHeaderConfig":{"regexValues":["^a"]}},
        {"Field":"query-string","queryStringConfig":{"values":[{"value":"v"},{"key":"","value":"w"}]}},
        {"field":"source-ip","sourceIpConfig":{"Values":["10.0.0.0/8"]}}]"#;
    let pair = |key: Option<&str>, value: &str| QueryPair {
        key: key.map(str::to_owned),
        value: value.to_owned(),
    };
    assert_eq!(
        conditions(text),
        [
            Condition::HostHeader {
                values: Patterns::Regex(vec!["^a".to_owned()])
            },
            Condition::QueryString {
                values: vec![pair(None, "v"), pair(Some(""), "w")]
            },
            Condition::SourceIp {
                values: vec!["10.0.0.0/8".to_owned()]
            }
        ]
    );
    assert_eq!(conditions("null"), []);
    assert_eq!(conditions("[null]"), []);
    assert_eq!(conditions(r#"[{"field":"Host-Header"}]"#), []);
    let (_, found) = read("conditions.s", r#"[{"field":"Host-Header"}]"#);
    assert!(
        found[0].contains("odd-annotation") && found[0].ends_with("did you mean \"host-header\"?")
    );
    refused(
        "bad-annotation",
        "conditions.s",
        &[
            (r#"{"field":"source-ip"}"#, "it is a list, not an object"),
            (
                r#"[{"field":"source-ip"}]"#,
                "[0].sourceIPConfig is missing",
            ),
            (
                r#"[{"field":"http-request-method","httpRequestMethodConfig":{}}]"#,
                "[0].httpRequestMethodConfig.values is empty",
            ),
            (
                r#"[{"field":"http-header","httpHeaderConfig":{"httpHeaderName":"x"}}]"#,
                "[0].httpHeaderConfig needs values or regexValues",
            ),
            (
                r#"[{"field":"path-pattern","pathPatternConfig":{"values":["/a"],"regexValues":["a"]}}]"#,
                "[0].pathPatternConfig has values or regexValues, not both",
            ),
            (
                r#"[{"field":"query-string","queryStringConfig":{"values":[{"key":"a"}]}}]"#,
                "[0].queryStringConfig.values[0] needs a value",
            ),
        ],
    );
    let options = good(
        "transforms.s",
        r#"[{"type":"host-header-rewrite","hostHeaderRewriteConfig":{"rewrites":[{"regex":"a"}]}}]"#,
    );
    let transforms = options.rule.transforms["s"].value.clone().unwrap();
    assert!(
        matches!(&transforms[0], Transform::HostHeaderRewrite { rewrites } if rewrites[0].replace.is_empty())
    );
    refused(
        "bad-annotation",
        "transforms.s",
        &[
            (
                "[null]",
                "[0].type is url-rewrite or host-header-rewrite, not \"\"",
            ),
            (
                r#"[{"type":"url-rewrite"}]"#,
                "[0].urlRewriteConfig is missing",
            ),
            (
                r#"[{"type":"url-rewrite","urlRewriteConfig":{"rewrites":[]}}]"#,
                "[0].urlRewriteConfig.rewrites is empty",
            ),
        ],
    );
}

#[test]
fn tokens_and_providers_are_read_whole() {
    refused(
        "bad-annotation",
        "jwt-validation",
        &[
            ("{}", "it needs jwksEndpoint"),
            (r#"{"jwksEndpoint":"https://a"}"#, "it needs issuer"),
            (
                r#"{"jwksEndpoint":"https://a","issuer":"i","additionalClaims":[{"format":"single-string","name":"n"}]}"#,
                "it needs additionalClaims[0].values",
            ),
        ],
    );
    let (options, found) = read("auth-idp-cognito", "{}");
    assert_eq!(
        options.auth.idp_cognito.unwrap().value,
        Ok(Default::default())
    );
    assert_eq!(found.len(), 3);
    assert!(found.iter().all(|found| found.contains("odd-annotation")));
    refused(
        "bad-annotation",
        "auth-idp-oidc",
        &[(r#"{"secretName":1}"#, "secretName is text, not `1`")],
    );
}

#[test]
fn what_aws_refuses_is_out_of_range() {
    let code = "out-of-range";
    let table: &[(&str, &str, &str)] = &[
        (
            "load-balancer-name",
            "-a",
            "it has 1 to 32 letters, digits and inner `-`, and does not begin with `internal-`",
        ),
        (
            "load-balancer-name",
            "internal-a",
            "it has 1 to 32 letters, digits and inner `-`, and does not begin with `internal-`",
        ),
        (
            "healthcheck-interval-seconds",
            "4",
            "it is a whole number from 5 to 300",
        ),
        (
            "healthcheck-timeout-seconds",
            "121",
            "it is a whole number from 2 to 120",
        ),
        (
            "healthy-threshold-count",
            "1",
            "it is a whole number from 2 to 10",
        ),
        (
            "unhealthy-threshold-count",
            "11",
            "it is a whole number from 2 to 10",
        ),
        (
            "healthcheck-port",
            "70000",
            "it is a port from 1 to 65535, a port's name or traffic-port",
        ),
        (
            "success-codes",
            "2xx",
            "it is codes and ranges such as 200,204 or 200-299: 200 to 499, of gRPC 0 to 99",
        ),
        (
            "target-control-port.s.80",
            "0",
            "it is a whole number from 1 to 65535",
        ),
        ("ssl-redirect", "0", "it is a whole number from 1 to 65535"),
        (
            "ssl-policy",
            "",
            "names of policies begin with `ELBSecurityPolicy-`",
        ),
        (
            "certificate-arn",
            "my-cert",
            "\"my-cert\" is no certificate's ARN, which begins with `arn:`",
        ),
        (
            "security-group-prefix-lists",
            "a",
            "\"a\" is no prefix list, which begins with `pl-`",
        ),
        (
            "inbound-cidrs",
            "192.0.2.1/24",
            "\"192.0.2.1/24\" has bits behind its length; write 192.0.2.0/24",
        ),
        (
            "auth-session-timeout",
            "0",
            "it is a number of seconds from 1 to 604800",
        ),
        (
            "auth-on-unauthenticated-request",
            "Deny",
            "it is one of allow, authenticate, deny",
        ),
        ("auth-scope", "", "it names at least one scope, as openid"),
        ("wafv2-acl-arn", "None", "it is an ARN, or none"),
        (
            "frontend-nlb-listener-port-mapping",
            "80=70000",
            "80=70000 has no port from 1 to 65535",
        ),
        (
            "actions.x",
            r#"{"type":"fixed-response","fixedResponseConfig":{"statusCode":"301"}}"#,
            "fixedResponseConfig.statusCode is 2xx, 4xx or 5xx",
        ),
        (
            "actions.x",
            r#"{"type":"fixed-response","fixedResponseConfig":{"statusCode":"200","contentType":"text/xml"}}"#,
            "fixedResponseConfig.contentType is one of text/plain, text/css, text/html, application/javascript, application/json",
        ),
        (
            "actions.x",
            r#"{"type":"redirect","redirectConfig":{"statusCode":"301","port":"443"}}"#,
            "redirectConfig.statusCode is HTTP_301 or HTTP_302",
        ),
        (
            "actions.x",
            r#"{"type":"redirect","redirectConfig":{"statusCode":"HTTP_301","path":"a"}}"#,
            "redirectConfig.path begins with `/` and has up to 128 characters",
        ),
        (
            "actions.x",
            r#"{"type":"redirect","redirectConfig":{"statusCode":"HTTP_301","query":"a"}}"#,
            "redirectConfig changes protocol, host, port or path",
        ),
        (
            "actions.x",
            r#"{"type":"forward","forwardConfig":{"targetGroups":[]}}"#,
            "forwardConfig.targetGroups has 1 to 5 entries",
        ),
        (
            "actions.x",
            r#"{"type":"forward","forwardConfig":{"targetGroups":[{"targetGroupName":"a","weight":1000}]}}"#,
            "forwardConfig.targetGroups[0].weight is a whole number from 0 to 999",
        ),
        (
            "conditions.s",
            r#"[{"field":"source-ip","sourceIPConfig":{"values":["10.0.0.1"]}}]"#,
            "\"10.0.0.1\" is no CIDR such as 192.0.2.0/24",
        ),
        (
            "conditions.s",
            r#"[{"field":"http-request-method","httpRequestMethodConfig":{"values":["get"]}}]"#,
            "\"get\" is no method, which has up to 40 capital letters, `-` and `_`",
        ),
        (
            "conditions.s",
            r#"[{"field":"host-header","hostHeaderConfig":{"values":[""]}}]"#,
            "each value of host-header has 1 to 128 characters",
        ),
    ];
    for (suffix, value, hint) in table {
        refused(code, suffix, &[(value, hint)]);
    }
}

#[test]
fn attributes_are_those_that_elb_knows() {
    for (suffix, value, wanted) in [
        (
            "target-group-attributes",
            "deregistration_delay.timeout_seconds=3601",
            "the attribute deregistration_delay.timeout_seconds cannot be \"3601\"; it is a number of seconds from 0 to 3600",
        ),
        (
            "target-group-attributes",
            "slow_start.duration_seconds=10",
            "the attribute slow_start.duration_seconds cannot be \"10\"; it is 0 or a number of seconds from 30 to 900",
        ),
        (
            "target-group-attributes",
            "stickyness.enabled=true",
            "target groups have no attribute \"stickyness.enabled\"; did you mean \"stickiness.enabled\"?",
        ),
        (
            "listener-attributes.HTTP-80",
            "routing.http.response.server.enabled=no",
            "the attribute routing.http.response.server.enabled cannot be \"no\"; it is `true` or `false`",
        ),
    ] {
        let (_, found) = read(suffix, value);
        assert_eq!(
            found,
            [format!(
                "a.yaml:1:1: problem[bad-attribute]: in the annotation {PREFIX}/{suffix}, {wanted}"
            )]
        );
    }
}

#[test]
fn under_lbcs_checks_a_bad_value_waits_for_whoever_asks() {
    let (options, found) = one(On::Ingress, "scheme", "public", Checks::Lbc);
    assert_eq!(found, [""; 0]);
    let setting = options.load_balancer.scheme.unwrap();
    assert_eq!(setting.text, "public");
    let problem = setting.value.clone().unwrap_err();
    assert_eq!(
        problem.hint.as_deref(),
        Some("it is internal or internet-facing")
    );
}

#[test]
fn a_certificate_is_requested_only_by_a_clear_word() {
    let (options, found) = read("create-acm-cert", "yes");
    assert_eq!(options.listener.create_acm_cert.unwrap().value, Ok(false));
    assert!(found[0].contains("odd-annotation"), "{found:?}");
}

proptest! {
    #[test]
    fn no_text_makes_any_annotation_panic(
        index in 0..TABLE.len(),
        name in "[a-z.]{1,8}",
        text in prop_oneof![any::<String>(), "[\\[\\]{}\",:0-9a-z=\\\\ -]{0,40}"],
    ) {
        let row = &TABLE[index];
        let suffix = format!("{}{}", row.name, if row.is_family { name.as_str() } else { "" });
        for checks in [Checks::Strict, Checks::Lbc] {
            let (options, _) = one(row.on, &suffix, &text, checks);
            prop_assert!(options != IngressOptions::default() || row.name == "dry-run-plan");
        }
    }
}
