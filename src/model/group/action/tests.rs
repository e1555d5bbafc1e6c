use serde_json::{Value, json};

use crate::model::group::{
    Action, GroupModel, TargetGroupRef,
    fixture::{World, acted, path, plain, rules},
};

fn world(annotations: Value) -> World {
    World::new().ingress("web", annotations, rules("", &[acted("/", "act")]))
}

fn forward(targets: &str) -> Value {
    json!({"actions.act": format!(r#"{{"type":"forward","forwardConfig":{{"targetGroups":[{targets}]}}}}"#)})
}

fn action(group: &GroupModel) -> &Action {
    group.listeners[&80].rules[0].actions.last().unwrap()
}

fn body(action: &Action) -> &str {
    match action {
        Action::FixedResponse {
            status_code,
            message_body: Some(body),
            ..
        } if status_code == "503" => body,
        other => panic!("a 503: {other:?}"),
    }
}

#[test]
fn a_plain_backend_forwards_without_weight() {
    let group = World::new().ingress("web", json!({}), plain()).group();
    let Action::Forward {
        target_groups,
        stickiness: None,
    } = action(&group)
    else {
        panic!("a forward: {group:?}");
    };
    assert_eq!(target_groups[0].weight, None);
    let own = TargetGroupRef::Own("default/web-app1:80".to_owned());
    assert_eq!(target_groups[0].target_group, own);
}

#[test]
fn a_service_that_does_not_exist_is_lbcs_503_and_a_problem_of_ours() {
    let missing = World::new().ingress("web", json!({}), rules("", &[path("/", "Prefix", "app9")]));
    let said = missing.refusals();
    assert_eq!(
        said,
        [
            "unknown-service: Service `app9` is neither in git nor in the cluster, in namespace `default`"
        ]
    );
    let (group, warned) = missing.lbc().warned();
    assert_eq!(body(action(&group)), "Backend service does not exist");
    assert_eq!(warned.len(), 1);
}

#[test]
fn a_missing_service_is_refused_where_it_is_not_tolerated_or_not_alone() {
    let mut alone = World::new()
        .ingress("web", json!({}), rules("", &[path("/", "Prefix", "app9")]))
        .lbc();
    alone.settings.flags.tolerate_non_existent_backend_service = false;
    assert!(alone.refusals()[0].starts_with("bad-backend: "));
    let two = forward(
        r#"{"serviceName":"app1","servicePort":80,"weight":1},{"serviceName":"app9","servicePort":80,"weight":1}"#,
    );
    assert!(world(two).lbc().refusals()[0].starts_with("bad-backend: "));
}

#[test]
fn an_action_that_is_missing_is_lbcs_503_and_a_problem_of_ours() {
    let missing = world(json!({}));
    assert!(missing.refusals()[0].starts_with("unknown-action: "));
    let mut refusing = world(json!({})).lbc();
    refusing.settings.flags.tolerate_non_existent_backend_action = false;
    assert!(refusing.refusals()[0].starts_with("bad-backend: "));
    let (group, _) = missing.lbc().warned();
    assert_eq!(body(action(&group)), "Backend action does not exist");
}

#[test]
fn actions_come_from_their_annotation() {
    let fixed = r#"{"type":"fixed-response","fixedResponseConfig":{"statusCode":"418","messageBody":"tea"}}"#;
    let group = world(json!({"actions.act": fixed})).group();
    assert_eq!(
        action(&group),
        &Action::FixedResponse {
            status_code: "418".to_owned(),
            content_type: None,
            message_body: Some("tea".to_owned()),
        }
    );
}

#[test]
fn weights_and_stickiness_are_passed_on() {
    let text = r#"{"type":"forward","forwardConfig":{"targetGroups":[
        {"serviceName":"app1","servicePort":"http","weight":20},
        {"targetGroupARN":"arn:aws:elasticloadbalancing:eu-west-1:123456789012:targetgroup/x/1","weight":80}],
        "targetGroupStickinessConfig":{"enabled":true,"durationSeconds":60}}}"#;
    let group = world(json!({"actions.act": text})).group();
    let Action::Forward {
        target_groups,
        stickiness: Some(stickiness),
    } = action(&group)
    else {
        panic!("a forward: {group:?}");
    };
    let weights: Vec<_> = target_groups.iter().map(|it| it.weight).collect();
    assert_eq!(weights, [Some(20), Some(80)]);
    assert_eq!(stickiness.duration_seconds, Some(60));
    assert!(group.target_groups.contains_key("default/web-app1:http"));
}

#[test]
fn target_groups_are_found_by_name() {
    let named = json!({"actions.act": r#"{"type":"forward","targetGroupName":"mine"}"#});
    let arn = "arn:aws:elasticloadbalancing:eu-west-1:123456789012:targetgroup/mine/1";
    let known = world(named.clone()).fact("targetGroups", json!([{"name": "mine", "arn": arn}]));
    let group = known.group();
    let Action::Forward { target_groups, .. } = action(&group) else {
        panic!("a forward: {group:?}");
    };
    assert_eq!(
        target_groups[0].target_group,
        TargetGroupRef::Arn(arn.to_owned())
    );
    assert_eq!(
        world(named.clone()).refusals(),
        [
            "bad-backend: targetGroupName of actions.act is \"mine\", and there is no single target group of that name"
        ]
    );
    let unread = world(named).fact("targetGroups", Value::Null);
    assert_eq!(
        unread.refusals(),
        ["fact-missing: the target group \"mine\" was not looked up"]
    );
}

#[test]
fn one_alone_needs_no_gate_and_several_do() {
    let one = forward(r#"{"serviceName":"app1","servicePort":80}"#);
    let two = forward(
        r#"{"serviceName":"app1","servicePort":80,"weight":1},{"serviceName":"app2","servicePort":80,"weight":1}"#,
    );
    for (annotations, refusals) in [(one, 0), (two, 1)] {
        let mut world = world(annotations);
        world.settings.gates.weighted_target_groups = false;
        assert_eq!(world.refusals().len(), refusals);
    }
}

#[test]
fn a_resource_is_no_backend() {
    let resource = json!({"path": "/", "pathType": "Prefix", "backend": {"resource": {"apiGroup": "example.com", "kind": "Bucket", "name": "x"}}});
    let world = World::new()
        .ingress("web", json!({}), rules("", &[resource]))
        .lbc();
    assert!(world.refusals()[0].starts_with("bad-backend: "));
}

#[test]
fn transforms_stay_on_a_rule_that_answers_503() {
    let rewrite =
        r#"[{"type":"url-rewrite","urlRewriteConfig":{"rewrites":[{"regex":"a","replace":"b"}]}}]"#;
    let world = World::new()
        .ingress(
            "web",
            json!({"transforms.app9": rewrite}),
            rules("", &[path("/", "Prefix", "app9")]),
        )
        .lbc();
    let (group, _) = world.warned();
    assert_eq!(group.listeners[&80].rules[0].transforms.len(), 1);
}
