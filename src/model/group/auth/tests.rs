use serde_json::{Value, json};

use crate::model::group::{
    Action,
    fixture::{World, acted, path, plain, rules},
};

const COGNITO: &str = r#"{"userPoolARN":"arn:aws:cognito-idp:eu-west-1:123456789012:userpool/x","userPoolClientID":"id","userPoolDomain":"d"}"#;
const OIDC: &str = r#"{"issuer":"https://i","authorizationEndpoint":"https://a","tokenEndpoint":"https://t","userInfoEndpoint":"https://u","secretName":"oidc"}"#;
const JWT: &str = r#"{"jwksEndpoint":"https://k","issuer":"https://i"}"#;

fn https(annotations: Value) -> World {
    World::new().ingress("web", with_tls(annotations), plain())
}

fn with_tls(mut annotations: Value) -> Value {
    annotations["listen-ports"] = json!(r#"[{"HTTP":80},{"HTTPS":443}]"#);
    annotations["certificate-arn"] = json!("arn:aws:acm:eu-west-1:123456789012:certificate/1");
    annotations
}

fn secret(data: Value) -> Value {
    json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "oidc"}, "stringData": data})
}

#[test]
fn sign_in_stands_before_the_answer_with_tls_only() {
    let group = https(json!({"auth-type": "cognito", "auth-idp-cognito": COGNITO})).group();
    assert_eq!(group.listeners[&80].rules[0].actions.len(), 1);
    let [
        Action::AuthenticateCognito { session, .. },
        Action::Forward { .. },
    ] = &group.listeners[&443].rules[0].actions[..]
    else {
        panic!("sign-in, then a forward: {group:?}");
    };
    assert_eq!(session.on_unauthenticated_request, "authenticate");
    assert_eq!(session.scope, "openid");
    assert_eq!(session.session_cookie_name, "AWSELBAuthSessionCookie");
    assert_eq!(session.session_timeout, 604_800);
}

#[test]
fn a_clients_id_and_secret_are_asked_for_by_presence() {
    let oidc = || https(json!({"auth-type": "oidc", "auth-idp-oidc": OIDC}));
    for keys in [
        json!({"clientID": "i", "clientSecret": "s"}),
        json!({"clientId": "i", "clientSecret": "s"}),
    ] {
        let group = oidc().with(secret(keys)).group();
        assert!(
            matches!(&group.listeners[&443].rules[0].actions[0], Action::AuthenticateOidc { secret, .. } if secret.name == "oidc")
        );
        let printed = format!("{group:?}");
        assert!(
            !printed.contains("clientSecret"),
            "no key, no value: {printed}"
        );
    }
    for (keys, said) in [
        (
            json!({"clientSecret": "s"}),
            "auth: auth-idp-oidc names Secret `oidc`, which has no key clientID",
        ),
        (
            json!({"clientID": "i"}),
            "auth: auth-idp-oidc names Secret `oidc`, which has no key clientSecret",
        ),
    ] {
        assert_eq!(oidc().with(secret(keys)).refusals(), [said]);
    }
    assert_eq!(
        oidc().refusals(),
        ["fact-missing: Secret default/oidc, which is not in git, was not looked up"]
    );
    let absent = oidc().fact("secrets", json!({}));
    assert_eq!(
        absent.refusals(),
        [
            "auth: auth-idp-oidc names Secret `oidc`, which is neither in git nor in the cluster, in namespace `default`"
        ]
    );
    let hint = |world: World| -> Option<String> {
        let (_, problems) = world.outcome();
        problems.into_iter().find(|it| it.code == "auth")?.hint
    };
    let general = "make a Secret with clientID and clientSecret".to_owned();
    assert_eq!(hint(absent), Some(general.clone()));
    let mut near = secret(json!({"clientID": "i", "clientSecret": "s"}));
    near["metadata"]["name"] = json!("oidcs");
    let misspelt = oidc().fact("secrets", json!({})).with(near.clone());
    assert_eq!(hint(misspelt), Some("did you mean \"oidcs\"?".to_owned()));
    near["metadata"]["namespace"] = json!("other");
    let elsewhere = oidc().fact("secrets", json!({})).with(near);
    assert_eq!(
        hint(elsewhere),
        Some(general),
        "a Secret of its own namespace"
    );
    let present =
        json!({"default/oidc": {"keys": ["clientID", "clientSecret"], "labels": {"a": "b"}}});
    let mut labelled = oidc().fact("secrets", present);
    labelled.group();
    labelled.settings.flags.required_secrets_label = "a=b".to_owned();
    labelled.group();
    labelled.settings.flags.required_secrets_label = "a=c".to_owned();
    assert_eq!(
        labelled.refusals(),
        [
            "auth: auth-idp-oidc names Secret `oidc`, which lacks the label a=c that Secrets for sign-in need"
        ]
    );
}

#[test]
fn a_provider_is_needed_only_with_tls() {
    let said = https(json!({"auth-type": "oidc"})).refusals();
    assert_eq!(
        said,
        ["auth: auth-type is oidc, and auth-idp-oidc is missing"]
    );
    let said = https(json!({"auth-type": "cognito"})).refusals();
    assert_eq!(
        said,
        ["auth: auth-type is cognito, and auth-idp-cognito is missing"]
    );
    World::new()
        .ingress("web", json!({"auth-type": "oidc"}), plain())
        .lbc()
        .group();
    let nameless = OIDC.replace(r#","secretName":"oidc""#, "");
    let said = https(json!({"auth-type": "oidc", "auth-idp-oidc": nameless}))
        .lbc()
        .refusals();
    assert_eq!(said, ["auth: auth-idp-oidc names no Secret"]);
}

#[test]
fn bad_values_are_read_without_tls_and_without_sign_in_too() {
    for annotations in [
        json!({"auth-type": "ldap"}),
        json!({"auth-session-timeout": "soon"}),
        json!({"auth-type": "none", "auth-idp-cognito": "{"}),
        json!({"jwt-validation": "{}"}),
    ] {
        let world = World::new()
            .ingress("web", annotations.clone(), plain())
            .lbc();
        assert_eq!(world.refusals().len(), 1, "{annotations}");
    }
}

#[test]
fn without_a_backend_nothing_is_read() {
    let world = World::new()
        .ingress(
            "web",
            json!({"jwt-validation": "{}"}),
            json!({"rules": [{"host": "a.example.com"}]}),
        )
        .lbc();
    assert!(world.group().listeners[&80].rules.is_empty());
}

#[test]
fn the_service_wins_where_it_is_the_only_target() {
    let ports =
        json!({"type": "NodePort", "ports": [{"name": "http", "port": 80, "targetPort": 8080}]});
    let signed = json!({"auth-type": "none"});
    let base = |annotations| {
        World::new()
            .service_as("app1", signed.clone(), ports.clone(), json!({"80": 31001}))
            .ingress(
                "web",
                with_tls(annotations),
                rules("", &[path("/", "Prefix", "app1")]),
            )
    };
    let cognito = json!({"auth-type": "cognito", "auth-idp-cognito": COGNITO});
    let group = base(cognito.clone()).group();
    assert_eq!(group.listeners[&443].rules[0].actions.len(), 1);
    let mut two = cognito;
    two["actions.act"] = json!(
        r#"{"type":"forward","forwardConfig":{"targetGroups":[{"serviceName":"app1","servicePort":80,"weight":1},{"serviceName":"app2","servicePort":80,"weight":1}]}}"#
    );
    let world = World::new()
        .service_as("app1", signed, ports, json!({"80": 31001}))
        .ingress("web", with_tls(two), rules("", &[acted("/", "act")]));
    assert_eq!(world.group().listeners[&443].rules[0].actions.len(), 2);
}

#[test]
fn tokens_are_checked_instead() {
    let group = https(json!({"jwt-validation": JWT})).group();
    assert!(matches!(
        group.listeners[&443].rules[0].actions[0],
        Action::JwtValidation(_)
    ));
    assert_eq!(group.listeners[&80].rules[0].actions.len(), 1);
    let both = json!({"jwt-validation": JWT, "auth-type": "cognito", "auth-idp-cognito": COGNITO});
    let said = https(both).refusals();
    assert_eq!(
        said,
        ["auth: jwt-validation and auth-type exclude each other on an HTTPS listener"]
    );
}
