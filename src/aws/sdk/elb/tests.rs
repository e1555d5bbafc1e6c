use aws_sdk_elasticloadbalancingv2::types as sdk;
use proptest::prelude::*;

use super::convert;
use crate::{
    aws::sdk::secret::Clients,
    id::Arn,
    model::{
        desired::Ref,
        elb::{
            Condition, JwtClaim, JwtValidation, Matcher, Patterns, QueryPair, Rewrite, Rule,
            RuleAction, Transform, WeightedTargetGroup,
        },
        group::Session,
    },
};

fn forward(groups: &[(&str, i32)], stickiness_seconds: Option<i32>) -> RuleAction {
    RuleAction::Forward {
        target_groups: groups
            .iter()
            .map(|(arn, weight)| WeightedTargetGroup {
                arn: Ref::Known(Arn::from(*arn)),
                weight: *weight,
            })
            .collect(),
        stickiness_seconds,
    }
}

fn read(rule: sdk::builders::RuleBuilder) -> Rule {
    convert::rule(
        &Arn::from("arn:listener"),
        rule.rule_arn("arn:rule").priority("7").build(),
    )
    .unwrap()
    .unwrap()
}

fn read_action(action: sdk::Action) -> RuleAction {
    read(sdk::Rule::builder().actions(action)).actions.remove(0)
}

fn tuple(arn: &str, weight: Option<i32>) -> sdk::TargetGroupTuple {
    sdk::TargetGroupTuple::builder()
        .target_group_arn(arn)
        .set_weight(weight)
        .build()
}

#[test]
fn every_form_of_a_forward_reads_the_same() {
    let short = sdk::Action::builder()
        .r#type(sdk::ActionTypeEnum::Forward)
        .target_group_arn("arn:a")
        .build();
    let config = |tuple, stickiness| {
        sdk::Action::builder()
            .r#type(sdk::ActionTypeEnum::Forward)
            .order(1)
            .forward_config(
                sdk::ForwardActionConfig::builder()
                    .target_groups(tuple)
                    .set_target_group_stickiness_config(stickiness)
                    .build(),
            )
    };
    let off = sdk::TargetGroupStickinessConfig::builder()
        .enabled(false)
        .duration_seconds(3600)
        .build();
    let both = config(tuple("arn:a", Some(1)), Some(off)).target_group_arn("arn:a");
    let unsaid = config(tuple("arn:a", None), None);
    for action in [short, both.build(), unsaid.build()] {
        assert_eq!(read_action(action), forward(&[("arn:a", 1)], None));
    }
}

#[test]
fn target_groups_of_a_forward_come_sorted_with_stickiness_in_seconds() {
    let action = sdk::Action::builder()
        .r#type(sdk::ActionTypeEnum::Forward)
        .forward_config(
            sdk::ForwardActionConfig::builder()
                .target_groups(tuple("arn:b", Some(0)))
                .target_groups(tuple("arn:a", Some(9)))
                .target_group_stickiness_config(
                    sdk::TargetGroupStickinessConfig::builder()
                        .enabled(true)
                        .duration_seconds(60)
                        .build(),
                )
                .build(),
        )
        .build();
    assert_eq!(
        read_action(action),
        forward(&[("arn:a", 9), ("arn:b", 0)], Some(60))
    );
}

#[test]
fn values_are_found_in_either_place() {
    let values = || Some(vec!["/b".to_owned(), "/a".to_owned()]);
    let config = || {
        sdk::PathPatternConditionConfig::builder()
            .set_values(values())
            .build()
    };
    let condition = || sdk::RuleCondition::builder().field("path-pattern");
    for raw in [
        condition().set_values(values()),
        condition().path_pattern_config(config()),
        condition()
            .set_values(values())
            .path_pattern_config(config()),
        condition()
            .set_values(Some(vec![]))
            .path_pattern_config(config()),
    ] {
        let rule = read(sdk::Rule::builder().conditions(raw.build()));
        assert_eq!(
            rule.conditions,
            [Condition::PathPattern {
                values: values().unwrap().into()
            }]
        );
    }
}

#[test]
fn what_we_do_not_model_never_looks_like_ours() {
    let regex = sdk::RuleCondition::builder()
        .field("path-pattern")
        .path_pattern_config(
            sdk::PathPatternConditionConfig::builder()
                .values("/a")
                .regex_values("^/a$")
                .build(),
        )
        .build();
    let unknown = sdk::RuleCondition::builder().field("new-field").values("x");
    let rule = read(
        sdk::Rule::builder()
            .conditions(regex)
            .conditions(unknown.build())
            .actions(
                sdk::Action::builder()
                    .r#type(sdk::ActionTypeEnum::Forward)
                    .target_group_arn("arn:a")
                    .build(),
            )
            .transforms(
                sdk::RuleTransform::builder()
                    .r#type("body-rewrite".into())
                    .build(),
            ),
    );
    assert!(
        rule.conditions
            .iter()
            .all(|condition| matches!(condition, Condition::Other { .. }))
    );
    assert_ne!(rule.conditions[0], rule.conditions[1]);
    assert_eq!(rule.actions.len(), 2);
    assert!(matches!(rule.actions[1], RuleAction::Other { .. }));
}

#[test]
fn an_echoed_client_secret_is_not_kept() {
    let action = sdk::Action::builder()
        .r#type(sdk::ActionTypeEnum::AuthenticateOidc)
        .authenticate_oidc_config(
            sdk::AuthenticateOidcActionConfig::builder()
                .client_secret("hunter2")
                .build(),
        )
        .build();
    let action = read_action(action);
    assert!(!format!("{action:?}").contains("hunter2"));
    assert!(matches!(
        action,
        RuleAction::AuthenticateOidc { client: None, .. }
    ));
}

#[test]
fn actions_come_in_their_order() {
    let action = |order, status: &str| {
        sdk::Action::builder()
            .r#type(sdk::ActionTypeEnum::FixedResponse)
            .order(order)
            .fixed_response_config(
                sdk::FixedResponseActionConfig::builder()
                    .status_code(status)
                    .message_body("")
                    .build(),
            )
            .build()
    };
    let rule = read(
        sdk::Rule::builder()
            .actions(action(2, "500"))
            .actions(action(1, "400")),
    );
    let fixed = |status: &str| RuleAction::FixedResponse {
        status_code: status.into(),
        content_type: None,
        message_body: None,
    };
    assert_eq!(rule.actions, [fixed("400"), fixed("500")]);
}

#[test]
fn a_grpc_matcher_is_told_from_an_http_one() {
    let group = |matcher: sdk::builders::MatcherBuilder| {
        convert::target_group(
            sdk::TargetGroup::builder()
                .target_group_arn("arn:t")
                .protocol(sdk::ProtocolEnum::Http)
                .matcher(matcher.build())
                .build(),
        )
        .unwrap()
    };
    let grpc = group(sdk::Matcher::builder().grpc_code("12").http_code(""));
    assert_eq!(grpc.health_check.matcher, Matcher::GrpcCode("12".into()));
    let http = group(sdk::Matcher::builder().http_code("200-299"));
    assert_eq!(
        http.health_check.matcher,
        Matcher::HttpCode("200-299".into())
    );
    assert_eq!(http.protocol_version, "HTTP1");
    assert_eq!(http.health_check.protocol, "HTTP");
}

#[test]
fn an_answer_without_its_key_field_is_refused() {
    assert_eq!(
        convert::load_balancer(sdk::LoadBalancer::builder().build()),
        Err("LoadBalancerArn")
    );
    let rule = sdk::Rule::builder().rule_arn("r").priority("seven").build();
    assert_eq!(
        convert::rule(&Arn::from("l"), rule),
        Err("a valid Priority")
    );
    let listener = sdk::Listener::builder()
        .listener_arn("l")
        .load_balancer_arn("lb")
        .port(70_000)
        .build();
    assert_eq!(convert::listener(listener), Err("a valid Port"));
}

fn any_condition() -> impl Strategy<Value = Condition> {
    let values = || proptest::collection::vec("[a-z*?/]{1,8}", 1..5);
    let patterns = || {
        (values(), any::<bool>()).prop_map(|(values, regex)| match regex {
            true => Patterns::Regex(values),
            false => Patterns::Values(values),
        })
    };
    let pairs = proptest::collection::vec(
        (proptest::option::of("[a-z]{1,4}"), "[a-z]{1,4}")
            .prop_map(|(key, value)| QueryPair { key, value }),
        1..4,
    );
    prop_oneof![
        patterns().prop_map(|values| Condition::HostHeader { values }),
        patterns().prop_map(|values| Condition::PathPattern { values }),
        ("[A-Z][a-z-]{0,8}", patterns())
            .prop_map(|(name, values)| Condition::HttpHeader { name, values }),
        values().prop_map(|values| Condition::HttpRequestMethod { values }),
        values().prop_map(|values| Condition::SourceIp { values }),
        pairs.prop_map(|values| Condition::QueryString { values }),
    ]
}

fn any_transform() -> impl Strategy<Value = Transform> {
    let rewrites = || {
        proptest::collection::vec(
            ("[a-z^$]{1,8}", "[a-z/]{0,8}").prop_map(|(regex, replace)| Rewrite { regex, replace }),
            1..3,
        )
    };
    prop_oneof![
        rewrites().prop_map(|rewrites| Transform::UrlRewrite { rewrites }),
        rewrites().prop_map(|rewrites| Transform::HostHeaderRewrite { rewrites }),
    ]
}

fn any_session() -> impl Strategy<Value = Session> {
    (
        prop_oneof!["authenticate", "allow", "deny"],
        "[a-z ]{1,9}",
        "[A-Za-z]{1,9}",
        1i64..604_800,
        proptest::collection::btree_map("[a-z]{1,4}", "[a-z]{1,4}", 0..3),
    )
        .prop_map(
            |(
                on_unauthenticated_request,
                scope,
                session_cookie_name,
                session_timeout,
                extra_params,
            )| {
                Session {
                    on_unauthenticated_request,
                    scope,
                    session_cookie_name,
                    session_timeout,
                    extra_params,
                }
            },
        )
}

fn any_sign_in() -> impl Strategy<Value = RuleAction> {
    let text = || "[a-z:/.]{1,12}";
    prop_oneof![
        (text(), text(), text(), any_session()).prop_map(|(arn, client, domain, session)| {
            RuleAction::AuthenticateCognito {
                user_pool_arn: arn,
                user_pool_client_id: client,
                user_pool_domain: domain,
                session,
            }
        }),
        (text(), text(), text(), text(), any_session()).prop_map(
            |(issuer, authorization, token, user_info, session)| RuleAction::AuthenticateOidc {
                issuer,
                authorization_endpoint: authorization,
                token_endpoint: token,
                user_info_endpoint: user_info,
                client: None,
                session,
            }
        ),
        (text(), text(), proptest::collection::vec(text(), 1..3)).prop_map(
            |(jwks_endpoint, issuer, values)| RuleAction::JwtValidation(JwtValidation {
                jwks_endpoint,
                issuer,
                additional_claims: vec![JwtClaim {
                    format: "string-array".to_owned(),
                    name: "groups".to_owned(),
                    values,
                }],
            })
        ),
    ]
}

fn any_action() -> impl Strategy<Value = RuleAction> {
    let groups = proptest::collection::btree_map("arn:[a-z]{1,6}", 0i32..999, 1..5);
    let text = || proptest::option::of("[a-z/]{1,12}");
    prop_oneof![
        any_sign_in(),
        (groups, proptest::option::of(1i32..604_800)).prop_map(|(groups, stickiness)| {
            let groups: Vec<_> = groups
                .iter()
                .map(|(arn, weight)| (arn.as_str(), *weight))
                .collect();
            forward(&groups, stickiness)
        }),
        ("[245][0-9]{2}", text(), text()).prop_map(|(status_code, content_type, message_body)| {
            RuleAction::FixedResponse {
                status_code,
                content_type,
                message_body,
            }
        }),
        (
            "HTTPS?",
            "[a-z.]{1,9}",
            "[0-9]{1,4}",
            "/[a-z]{0,9}",
            "[a-z=]{0,9}"
        )
            .prop_map(|(protocol, host, port, path, query)| RuleAction::Redirect {
                protocol,
                host,
                port,
                path,
                query,
                status_code: "HTTP_302".into(),
            }),
    ]
}

proptest! {
    #[test]
    fn what_is_sent_reads_back_equal(
        conditions in proptest::collection::vec(any_condition(), 1..4),
        actions in proptest::collection::vec(any_action(), 1..3),
        transforms in proptest::collection::vec(any_transform(), 0..3),
    ) {
        let rule = read(
            sdk::Rule::builder()
                .set_conditions(Some(convert::to_conditions(&conditions)))
                .set_actions(Some(convert::to_actions(&actions, &Clients::new())))
                .set_transforms(convert::to_transforms(&transforms)),
        );
        prop_assert_eq!(rule.conditions, conditions);
        prop_assert_eq!(rule.actions, actions);
        prop_assert_eq!(rule.transforms, transforms);
    }
}
