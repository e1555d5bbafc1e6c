use super::*;
use crate::id::ResourceId;

fn session() -> Session {
    Session {
        on_unauthenticated_request: "authenticate".to_owned(),
        scope: "openid".to_owned(),
        session_cookie_name: "AWSELBAuthSessionCookie".to_owned(),
        session_timeout: 604_800,
        extra_params: BTreeMap::new(),
    }
}

fn oidc(token_endpoint: &str, session: Session) -> RuleAction {
    RuleAction::AuthenticateOidc {
        issuer: "https://login.example".to_owned(),
        authorization_endpoint: "https://login.example/authorize".to_owned(),
        token_endpoint: token_endpoint.to_owned(),
        user_info_endpoint: "https://login.example/user".to_owned(),
        client: None,
        session,
    }
}

fn jwt(claims: &[(&str, &[&str])]) -> RuleAction {
    RuleAction::JwtValidation(JwtValidation {
        jwks_endpoint: "https://login.example/keys".to_owned(),
        issuer: "https://login.example".to_owned(),
        additional_claims: claims
            .iter()
            .map(|(name, values)| crate::model::elb::JwtClaim {
                format: "string-array".to_owned(),
                name: (*name).to_owned(),
                values: values.iter().map(|value| (*value).to_owned()).collect(),
            })
            .collect(),
    })
}

fn fixed(code: &str, content_type: Option<&str>, body: Option<&str>) -> RuleAction {
    RuleAction::FixedResponse {
        status_code: code.to_owned(),
        content_type: content_type.map(str::to_owned),
        message_body: body.map(str::to_owned),
    }
}

/// Each difference as `field: live → wanted`.
fn told(live: &[RuleAction], wanted: &[RuleAction]) -> Vec<String> {
    let text = |text: Option<String>| text.unwrap_or_else(|| "nothing".to_owned());
    actions(live, wanted, &BTreeMap::new())
        .into_iter()
        .map(|it| format!("{}: {} → {}", it.field, text(it.live), text(it.wanted)))
        .collect()
}

#[test]
fn every_part_of_a_sign_in_that_differs_is_told_and_no_other() {
    let mut wanted = session();
    wanted.scope = "email openid".to_owned();
    wanted.session_timeout = 60;
    wanted.extra_params = [("prompt".to_owned(), "login".to_owned())].into();
    assert_eq!(
        told(&[oidc("t", session())], &[oidc("u", wanted)]),
        [
            "extra parameter prompt: nothing → login",
            "scope: openid → email openid",
            "session timeout: 604800 s → 60 s",
            "token endpoint: t → u",
        ]
    );
    assert!(told(&[oidc("t", session())], &[oidc("t", session())]).is_empty());
}

#[test]
fn claims_and_answers_are_told_in_full() {
    assert_eq!(
        told(
            &[jwt(&[("aud", &["a"])])],
            &[jwt(&[("aud", &["a", "b"]), ("scope", &["x"])])]
        ),
        [
            "claim aud: a (string-array) → a or b (string-array)",
            "claim scope: nothing → x (string-array)",
        ]
    );
    assert_eq!(
        told(
            &[fixed("503", Some("text/plain"), Some("later"))],
            &[fixed("404", Some("text/html"), None)]
        ),
        [
            "action: answer 503 → answer 404",
            "body: later → nothing",
            "content type: text/plain → text/html",
        ]
    );
}

#[test]
fn actions_of_other_kinds_are_told_whole() {
    assert_eq!(
        told(
            &[fixed("404", Some("text/plain"), None)],
            &[
                oidc("t", session()),
                fixed("200", Some("text/html"), Some("hi"))
            ]
        ),
        [
            "action: answer 404 → sign in with https://login.example (authorization endpoint \
             https://login.example/authorize, on unauthenticated request authenticate, scope openid, session cookie \
             AWSELBAuthSessionCookie, session timeout 604800 s, token endpoint t, user info endpoint \
             https://login.example/user), answer 200 (body hi, content type text/html)"
        ]
    );
}

#[test]
fn a_target_group_that_replaces_its_namesake_is_told_apart() {
    let forward = |arn: Ref<Arn>| RuleAction::Forward {
        target_groups: vec![WeightedTargetGroup { arn, weight: 1 }],
        stickiness_seconds: None,
    };
    let old = forward(Ref::Known(Arn::from("arn:old")));
    let new = forward(Ref::Output(ResourceId::target_group("g", "default/web:80")));
    let names = [(Arn::from("arn:old"), "default/web:80".to_owned())].into();
    let found = actions(&[old], &[new], &names);
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].live.as_deref(), Some("forward to default/web:80"));
    assert_eq!(
        found[0].wanted.as_deref(),
        Some("forward to default/web:80, made anew")
    );
}

#[test]
fn rewrites_say_what_becomes_what() {
    let rewrite = |regex: &str, replace: &str| Rewrite {
        regex: regex.to_owned(),
        replace: replace.to_owned(),
    };
    let text = transforms_text(&[
        Transform::UrlRewrite {
            rewrites: vec![rewrite("^/a", "/b")],
        },
        Transform::HostHeaderRewrite {
            rewrites: vec![rewrite("^(.*)$", "x.example")],
        },
    ]);
    assert_eq!(text, "URL ^/a to /b, host ^(.*)$ to x.example");
}
