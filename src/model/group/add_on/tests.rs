use serde_json::{Value, json};

use super::super::fixture::*;

fn world(annotations: Value) -> World {
    World::new().ingress("web", annotations, plain()).fact(
        "webAcls",
        json!([{"name": "edge-rules", "arn": "arn:aws:wafv2:eu-west-1:1:regional/webacl/edge-rules/1"}]),
    )
}

fn wafv2(annotations: Value) -> Option<String> {
    world(annotations).group().add_ons.wafv2_acl_arn
}

#[test]
fn a_web_acl_by_name_beats_every_arn() {
    let arn = "arn:aws:wafv2:eu-west-1:1:regional/webacl/edge-rules/1";
    assert_eq!(
        wafv2(json!({"wafv2-acl-name": "edge-rules"})).as_deref(),
        Some(arn)
    );
    let both = world(json!({"wafv2-acl-name": "edge-rules", "wafv2-acl-arn": "arn:aws:other"}));
    let (group, said) = both.lbc().warned();
    assert_eq!(group.add_ons.wafv2_acl_arn.as_deref(), Some(arn));
    assert!(said[0].contains("names win"), "{said:?}");
    assert_eq!(
        wafv2(json!({"wafv2-acl-name": "none"})).as_deref(),
        Some("")
    );
    assert_eq!(wafv2(json!({"wafv2-acl-arn": "none"})).as_deref(), Some(""));
    assert_eq!(wafv2(json!({})), None);
}

#[test]
fn a_web_acl_that_is_not_there_is_told_with_what_is_near() {
    let unknown = world(json!({"wafv2-acl-name": "edge-rule"}));
    let (_, problems) = unknown.outcome();
    let told: Vec<_> = problems
        .iter()
        .map(|it| (it.message.as_str(), it.hint.as_deref()))
        .collect();
    assert_eq!(
        told,
        [(
            "wafv2-acl-name is \"edge-rule\", and there is no regional web ACL of that name",
            Some("did you mean \"edge-rules\"?")
        )]
    );
    let unread = world(json!({"wafv2-acl-name": "edge-rules"})).fact("webAcls", Value::Null);
    assert_eq!(
        unread.refusals(),
        ["fact-missing: the web ACL \"edge-rules\" (webAcls) was not looked up"]
    );
}

#[test]
fn the_parameters_of_the_class_hide_the_members_annotation() {
    let of_params = |params: Value, annotations: Value| {
        let world = World::new()
            .params(params)
            .ingress("web", annotations, plain())
            .lbc();
        world.warned().0.add_ons.wafv2_acl_arn
    };
    let arn = json!({"wafv2AclArn": "arn:aws:params"});
    assert_eq!(
        of_params(arn, json!({"wafv2-acl-arn": "arn:aws:mine"})).as_deref(),
        Some("arn:aws:params")
    );
    let name = json!({"wafv2AclName": "none"});
    assert_eq!(
        of_params(name, json!({"wafv2-acl-name": "edge-rules"})).as_deref(),
        Some("")
    );
}

#[test]
fn classic_acls_and_shield_are_values_or_nothing() {
    let add_ons = |annotations: Value| world(annotations).lbc().warned().0.add_ons;
    assert_eq!(
        add_ons(json!({"waf-acl-id": "id-1"})).waf_acl_id.as_deref(),
        Some("id-1")
    );
    assert_eq!(
        add_ons(json!({"web-acl-id": "none"})).waf_acl_id.as_deref(),
        Some("")
    );
    assert_eq!(
        add_ons(json!({"waf-acl-id": "", "web-acl-id": "id-1"})).waf_acl_id,
        None
    );
    assert_eq!(
        add_ons(json!({"shield-advanced-protection": "false"})).shield_protection,
        Some(false)
    );
    assert_eq!(add_ons(json!({})).shield_protection, None);
}
