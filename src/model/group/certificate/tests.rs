use serde_json::{Value, json};

use super::*;
use crate::model::group::{
    GroupModel,
    fixture::{World, path, plain, rules},
};

fn certificate(number: u32, sans: &[&str]) -> Value {
    json!({"arn": format!("arn:{number}"), "sans": sans, "status": "ISSUED"})
}

fn https(host: &str) -> World {
    World::new().ingress(
        "web",
        json!({"listen-ports": r#"[{"HTTPS":443}]"#}),
        rules(host, &[path("/", "Prefix", "app1")]),
    )
}

fn found(group: &GroupModel) -> Vec<&str> {
    let certificates = group.listeners[&443].certificates.iter();
    certificates
        .map(|certificate| match certificate {
            Certificate::Arn(arn) => arn.as_str(),
            Certificate::Requested(id) => id.as_str(),
        })
        .collect()
}

#[test]
fn all_certificates_for_a_host_are_taken_by_ascending_arn() {
    let known = json!([
        certificate(3, &["a.example.com"]),
        certificate(2, &["b.example.com", "*.example.com"]),
        certificate(1, &["a.b.example.com", "*.b.example.com", "A.example.com"]),
        certificate(4, &["example.com"]),
        {"arn": "arn:0", "sans": ["a.example.com"], "status": "PENDING_VALIDATION"},
    ]);
    let of = |host: &str| https(host).fact("certificates", known.clone()).group();
    assert_eq!(found(&of("a.example.com")), ["arn:2", "arn:3"]);
    assert_eq!(found(&of("*.example.com")), ["arn:2"]);
    assert_eq!(found(&of("example.com")), ["arn:4"]);
}

#[test]
fn a_host_without_a_certificate_is_told_with_its_place() {
    let known = json!([certificate(1, &["shop.example.com"])]);
    let (groups, problems) = https("shop.example.org")
        .fact("certificates", known)
        .outcome();
    assert!(groups.is_empty());
    assert_eq!(problems.len(), 1);
    assert_eq!(
        problems[0].message,
        "no issued certificate of the account is for the host \"shop.example.org\""
    );
    assert_eq!(
        problems[0].hint.as_deref(),
        Some("there is one for \"shop.example.com\"; or name one in certificate-arn")
    );
}

#[test]
fn certificates_that_were_not_looked_up_are_a_missing_fact() {
    let said = https("a.example.com")
        .fact("certificates", Value::Null)
        .refusals();
    assert_eq!(
        said,
        ["fact-missing: the list of the account's certificates was not looked up"]
    );
}

#[test]
fn only_allowed_authorities_count() {
    let mut private = certificate(1, &["a.example.com"]);
    private["certificateAuthorityArn"] = json!("arn:ca");
    let known = json!([private, certificate(2, &["a.example.com"])]);
    let mut world = https("a.example.com").fact("certificates", known);
    world.settings.flags.allowed_certificate_authority_arns = ["arn:ca".to_owned()].into();
    assert_eq!(found(&world.group()), ["arn:1"]);
}

#[test]
fn hosts_of_tls_count_and_plain_listeners_need_none() {
    let mut spec = plain();
    spec["tls"] = json!([{"hosts": ["a.example.com"], "secretName": "unread"}]);
    let world = World::new()
        .ingress("web", json!({"listen-ports": r#"[{"HTTPS":443}]"#}), spec)
        .fact("certificates", json!([certificate(1, &["a.example.com"])]));
    assert_eq!(found(&world.group()), ["arn:1"]);
    let spec = rules("none.example.com", &[path("/", "Prefix", "app1")]);
    let http = World::new().ingress("web", json!({}), spec);
    http.fact("certificates", Value::Null).group();
}

fn requesting(mut annotations: Value) -> World {
    annotations["create-acm-cert"] = json!("true");
    let spec = rules(
        "sample-app.mamezou-tech.com",
        &[path("/", "Prefix", "app1")],
    );
    let mut world = World::new().ingress("app-aws-ingress", annotations, spec);
    world.settings.gates.enable_certificate_management = true;
    world
}

#[test]
fn a_certificate_is_asked_of_acm() {
    let group = requesting(json!({})).group();
    let id = "amazon_issued/sample-app.mamezou-tech.com-d26839f6";
    assert_eq!(found(&group), [id]);
    let request = &group.certificates[id];
    assert_eq!(request.domain_name, "sample-app.mamezou-tech.com");
    assert_eq!(request.certificate_authority_arn, None);
    let private = requesting(json!({"acm-pca-arn": "arn:ca"})).group();
    let request = &private.certificates["private/sample-app.mamezou-tech.com-d26839f6"];
    assert_eq!(request.certificate_authority_arn.as_deref(), Some("arn:ca"));
}

#[test]
fn an_empty_authority_leaves_the_configured_one() {
    let mut world = requesting(json!({"acm-pca-arn": ""})).lbc();
    world.settings.flags.default_pca_arn = "arn:configured".to_owned();
    let group = world.group();
    let request = group.certificates.values().next().unwrap();
    assert_eq!(
        request.certificate_authority_arn.as_deref(),
        Some("arn:configured")
    );
}

#[test]
fn the_classs_certificates_are_attached_in_place_of_the_one_that_is_asked_for() {
    let world = requesting(json!({})).params(json!({"certificateArn": ["arn:1"]}));
    let group = world.lbc().group();
    assert_eq!(group.certificates.len(), 1);
    assert_eq!(found(&group), ["arn:1"]);
    let named = requesting(json!({"certificate-arn": "arn:1"})).group();
    assert!(named.certificates.is_empty());
}

#[test]
fn without_the_gate_a_host_or_a_boolean_none_is_asked_for() {
    let mut closed = requesting(json!({})).lbc();
    closed.settings.gates.enable_certificate_management = false;
    assert!(closed.group().certificates.is_empty());
    let mut text = World::new()
        .ingress("web", json!({"create-acm-cert": "yes"}), plain())
        .lbc();
    text.settings.gates.enable_certificate_management = true;
    assert!(text.group().certificates.is_empty());
    let mut hostless = World::new().ingress("web", json!({"create-acm-cert": "true"}), plain());
    hostless.settings.gates.enable_certificate_management = true;
    let wanted = "certificate: create-acm-cert is true, and the Ingress has no host to ask a certificate for";
    assert_eq!(hostless.refusals(), [wanted]);
}
