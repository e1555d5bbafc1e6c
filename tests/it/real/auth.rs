//! Signing users in with OIDC and Cognito, and tokens (ingress-model §5.8–5.9): the Secret's values travel in the call
//! and are found nowhere else.

use std::fs;
use std::path::Path;

use serde_json::json;

use super::listeners::certificate;
use super::served::{elb_writes, ingress, parameters, paths};
use super::*;

const POOL: &str = "arn:aws:cognito-idp:us-east-1:123456789012:userpool/us-east-1_abc";

/// The client's Secret, which is not in git, and the right to read it alone.
fn client(scene: &Scene, secret: &str) {
    scene.bed.kubectl_apply(&format!(
        "apiVersion: v1\nkind: Secret\nmetadata:\n  name: oidc-client\n  namespace: default\nstringData:\n  clientID: \
         albsync-tests\n  clientSecret: {secret}\n---\napiVersion: rbac.authorization.k8s.io/v1\nkind: Role\nmetadata:\n  \
         name: oidc-client\n  namespace: default\nrules:\n  - {{apiGroups: [\"\"], resources: [secrets], resourceNames: \
         [oidc-client], verbs: [get]}}\n---\napiVersion: rbac.authorization.k8s.io/v1\nkind: RoleBinding\nmetadata:\n  name: \
         oidc-client\n  namespace: default\nroleRef:\n  apiGroup: rbac.authorization.k8s.io\n  kind: Role\n  name: \
         oidc-client\nsubjects:\n  - kind: ServiceAccount\n    name: albsync\n    namespace: albsync\n"
    ));
}

/// Where a text is found in what the daemon keeps and says.
fn found(scene: &Scene, needle: &str) -> Vec<String> {
    let mut places = Vec::new();
    let mut look = |place: &str, bytes: &[u8]| {
        if bytes
            .windows(needle.len())
            .any(|part| part == needle.as_bytes())
        {
            places.push(place.to_owned());
        }
    };
    for (path, bytes) in files(&scene.daemon.directory) {
        look(&path, &bytes);
    }
    for verb in ["status", "history", "plan"] {
        for words in [&[verb][..], &[verb, "-o", "json"]] {
            let said = scene.daemon.cli(words);
            look(&words.join(" "), &said.stdout);
            look(&words.join(" "), &said.stderr);
        }
    }
    let events = scene
        .bed
        .kubectl(&["get", "events", "--all-namespaces", "--output", "json"]);
    look("the events", events.as_bytes());
    places
}

/// State, log and configuration, each file whole.
fn files(directory: &Path) -> Vec<(String, Vec<u8>)> {
    let mut all = Vec::new();
    for entry in fs::read_dir(directory).expect("a directory") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            all.extend(files(&path));
        } else if path.is_file() {
            all.push((path.display().to_string(), fs::read(&path).expect("a file")));
        }
    }
    all
}

fn base64(text: &str) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    assert_eq!(text.len() % 3, 0, "no padding here");
    text.as_bytes()
        .chunks(3)
        .flat_map(|three| {
            let bits = three
                .iter()
                .fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte));
            [18, 12, 6, 0].map(|shift| char::from(ALPHABET[(bits >> shift & 63) as usize]))
        })
        .collect()
}

#[test]
fn oidc_sends_the_secret_in_the_call_alone_and_follows_its_rotation() {
    const FIRST: &str = "canary-of-the-first-secret-01";
    const SECOND: &str = "canary-of-the-other-secret-02";
    let (mut scene, seed) = Scene::serving(&["app1", "app2"]);
    client(&scene, &format!("{FIRST}!"));
    let certificate = certificate(&scene, &["app.example.com"]);
    let with = |scope: &str| {
        let idp = r#"{"issuer":"https://id.example.com","authorizationEndpoint":"https://id.example.com/authorize",
          "tokenEndpoint":"https://id.example.com/token","userInfoEndpoint":"https://id.example.com/user",
          "secretName":"oidc-client","authenticationRequestExtraParams":{"display":"page","prompt":"login"}}"#;
        let annotations = [
            ("listen-ports", r#"[{"HTTPS":443}]"#),
            ("certificate-arn", &certificate),
            ("auth-type", "oidc"),
            ("auth-idp-oidc", idp),
            ("auth-scope", scope),
            ("auth-session-cookie", "who"),
            ("auth-session-timeout", "3600"),
            ("auth-on-unauthenticated-request", "deny"),
        ];
        let given = [("/app1", "app1"), ("/app2", "app2")];
        ingress("web", &annotations, &[paths("app.example.com", &given)])
    };
    scene.put("web.yaml", &[with("openid email")]);
    let created = scene.edit("Sign in first");
    for entry in created.calls("elasticloadbalancing:CreateRule") {
        let sent = &entry.call.parameters;
        let config = "Actions.member.1.AuthenticateOidcConfig";
        assert_eq!(sent[&format!("{config}.ClientId")], "albsync-tests");
        assert_eq!(sent[&format!("{config}.ClientSecret")], format!("{FIRST}!"));
    }
    let rules = scene.raw_rules(&scene.listeners()[&443]);
    assert_eq!(rules.len(), 2);
    for rule in &rules {
        let actions = list(&rule["Actions"]);
        let kinds: Vec<&str> = actions.iter().map(|action| text(&action["Type"])).collect();
        assert_eq!(kinds, ["authenticate-oidc", "forward"], "in this order");
        assert_eq!(
            json!([actions[0]["Order"], actions[1]["Order"]]),
            json!([1, 2])
        );
        let config = &actions[0]["AuthenticateOidcConfig"];
        for (field, value) in [
            ("Issuer", json!("https://id.example.com")),
            (
                "AuthorizationEndpoint",
                json!("https://id.example.com/authorize"),
            ),
            ("TokenEndpoint", json!("https://id.example.com/token")),
            ("UserInfoEndpoint", json!("https://id.example.com/user")),
            ("Scope", json!("openid email")),
            ("SessionCookieName", json!("who")),
            ("SessionTimeout", json!(3600)),
            ("OnUnauthenticatedRequest", json!("deny")),
            (
                "AuthenticationRequestExtraParams",
                json!({"display": "page", "prompt": "login"}),
            ),
        ] {
            assert_eq!(config[field], value, "{field}");
        }
    }
    scene.assert_settled();

    // An edit of the scope sends the client again: AWS takes the whole configuration or none.
    scene.put("web.yaml", &[with("openid")]);
    let changed = scene.edit("Ask for less");
    assert_eq!(elb_writes(&changed), ["ModifyRule", "ModifyRule"]);
    scene.assert_settled();

    // The secret is rotated by somebody else: the next look at everything sends it.
    client(&scene, &format!("{SECOND}!"));
    let mark = scene.restart();
    let rotated = scene.changes(mark);
    assert_eq!(elb_writes(&rotated), ["ModifyRule", "ModifyRule"]);
    for entry in rotated.calls("elasticloadbalancing:ModifyRule") {
        let secret = &entry.call.parameters["Actions.member.1.AuthenticateOidcConfig.ClientSecret"];
        assert_eq!(*secret, format!("{SECOND}!"));
    }
    scene.assert_settled();
    for secret in [FIRST, SECOND] {
        for needle in [secret.to_owned(), base64(&format!("{secret}!"))] {
            assert_eq!(found(&scene, &needle), Vec::<String>::new(), "{needle}");
        }
    }
    // The search does find what is there.
    assert!(!found(&scene, "oidc-client").is_empty());
    scene.assert_leaves_nothing(&seed);
}

#[test]
fn without_the_right_to_see_the_secret_nothing_is_written_and_the_right_is_named() {
    let (mut scene, seed) = Scene::serving(&["app1"]);
    let good = scene.push("The Service alone");
    let certificate = certificate(&scene, &["app.example.com"]);
    let idp = r#"{"issuer":"https://id.example.com","authorizationEndpoint":"https://id.example.com/authorize",
      "tokenEndpoint":"https://id.example.com/token","userInfoEndpoint":"https://id.example.com/user",
      "secretName":"oidc-client"}"#;
    let annotations = [
        ("listen-ports", r#"[{"HTTPS":443}]"#),
        ("certificate-arn", &certificate),
        ("auth-type", "oidc"),
        ("auth-idp-oidc", idp),
    ];
    let (mark, audited) = (scene.bed.proxy.mark(), scene.audit().len());
    scene.put(
        "web.yaml",
        &[ingress(
            "web",
            &annotations,
            &[paths("app.example.com", &[("/", "app1")])],
        )],
    );
    let commit = scene.repo.commit_and_push("Sign in first");
    let status = scene
        .daemon
        .wait_for("a word on the Secret", PATIENCE, |status| {
            status["head"]["revision"] == commit.as_str()
                && status["pass"].is_null()
                && status.to_string().to_lowercase().contains("secret")
        });
    assert_eq!(
        json!([status["head"]["state"], status["head"]["reason"]]),
        json!(["Deferred", "AccessDenied"])
    );
    let failure = text(&only(status["failures"].clone())).to_owned();
    for part in ["secrets", "oidc-client", "the right is missing"] {
        assert!(failure.contains(part), "{failure}");
    }
    assert_eq!(status["inForce"]["revision"], good);
    scene.assert_changed_nothing(mark, audited);

    // It goes on by itself once the Secret and the right are there.
    client(&scene, "a-secret-of-this-test");
    scene.healthy(&commit);
    assert_eq!(scene.raw_rules(&scene.listeners()[&443]).len(), 1);
    scene.assert_settled();
    scene.assert_leaves_nothing(&seed);
}

#[test]
fn cognito_and_tokens_guard_their_rules_and_a_service_may_opt_out() {
    let (mut scene, seed) = Scene::serving(&["app1"]);
    scene.put(
        "open.yaml",
        &[super::served::service("open", &[("auth-type", "none")])],
    );
    let certificate = certificate(&scene, &["app.example.com"]);
    let idp =
        json!({"userPoolARN": POOL, "userPoolClientID": "client", "userPoolDomain": "sign-in"})
            .to_string();
    let cognito = |timeout: &str| {
        let annotations = [
            ("listen-ports", r#"[{"HTTPS":443}]"#),
            ("certificate-arn", &certificate),
            ("auth-type", "cognito"),
            ("auth-idp-cognito", &idp),
            ("auth-session-timeout", timeout),
        ];
        let given = [("/app1", "app1"), ("/open", "open")];
        ingress("web", &annotations, &[paths("app.example.com", &given)])
    };
    let token = |claim: &str| {
        let jwt = json!({
            "issuer": "https://id.example.com", "jwksEndpoint": "https://id.example.com/jwks",
            "additionalClaims": [{"format": "string-array", "name": "roles", "values": [claim]}],
        })
        .to_string();
        let annotations = [
            ("listen-ports", r#"[{"HTTPS":443}]"#),
            ("certificate-arn", &certificate),
            ("jwt-validation", &jwt),
        ];
        ingress(
            "api",
            &annotations,
            &[paths("api.example.com", &[("/", "app1")])],
        )
    };
    let action = |scene: &Scene, name: &str, path: &str| {
        let balancers = scene.balancers();
        let (_, balancer) = balancers
            .iter()
            .find(|(it, _)| it.contains(name))
            .expect(name);
        let rules = scene.raw_rules(&scene.listeners_of(balancer)[&443]);
        let rule = rules
            .iter()
            .find(|rule| rule["Conditions"].to_string().contains(path))
            .expect(path)
            .clone();
        rule["Actions"].clone()
    };
    scene.put("web.yaml", &[cognito("3600")]);
    scene.put("api.yaml", &[token("reader")]);
    scene.edit("Sign in, or bring a token");
    let guarded = action(&scene, "-web-", "/app1");
    assert_eq!(
        guarded[0]["AuthenticateCognitoConfig"],
        json!({
            "UserPoolArn": POOL, "UserPoolClientId": "client", "UserPoolDomain": "sign-in", "Scope": "openid",
            "SessionCookieName": "AWSELBAuthSessionCookie", "SessionTimeout": 3600, "OnUnauthenticatedRequest": "authenticate",
        })
    );
    assert_eq!(guarded[1]["Type"], "forward");
    assert_eq!(
        only(action(&scene, "-web-", "/open"))["Type"],
        "forward",
        "the Service says none"
    );
    let checked = action(&scene, "-api-", "/");
    assert_eq!(
        checked[0]["JwtValidationConfig"],
        json!({
            "Issuer": "https://id.example.com", "JwksEndpoint": "https://id.example.com/jwks",
            "AdditionalClaims": [{"Format": "string-array", "Name": "roles", "Values": ["reader"]}],
        })
    );
    assert_eq!(checked[1]["Type"], "forward");
    scene.assert_settled();

    scene.put("web.yaml", &[cognito("7200")]);
    scene.put("api.yaml", &[token("writer")]);
    let changed = scene.edit("Stay longer, and write");
    assert_eq!(elb_writes(&changed), ["ModifyRule", "ModifyRule"]);
    assert_eq!(
        action(&scene, "-web-", "/app1")[0]["AuthenticateCognitoConfig"]["SessionTimeout"],
        7200
    );
    assert_eq!(
        action(&scene, "-api-", "/")[0]["JwtValidationConfig"]["AdditionalClaims"][0]["Values"],
        json!(["writer"])
    );
    scene.assert_settled();

    scene.put(
        "web.yaml",
        &[ingress(
            "web",
            &[
                ("listen-ports", r#"[{"HTTPS":443}]"#),
                ("certificate-arn", &certificate),
            ],
            &[paths(
                "app.example.com",
                &[("/app1", "app1"), ("/open", "open")],
            )],
        )],
    );
    let changed = scene.edit("Let everybody in");
    let sent = parameters(&changed, "elasticloadbalancing:ModifyRule");
    assert_eq!(sent["Actions.member.1.Type"], "forward");
    assert_eq!(only(action(&scene, "-web-", "/app1"))["Type"], "forward");
    scene.assert_leaves_nothing(&seed);
}
