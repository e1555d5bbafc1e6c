use serde_json::{Value, json};

use crate::model::group::{
    Action,
    fixture::{World, path, plain, rules},
};

fn both(mut annotations: Value) -> Value {
    annotations["listen-ports"] = json!(r#"[{"HTTP":80},{"HTTP":8080},{"HTTPS":443}]"#);
    annotations["certificate-arn"] = json!("arn:1");
    annotations
}

fn of(host: &str) -> Value {
    rules(host, &[path("/", "Prefix", "app1")])
}

fn is_redirected(world: &World) -> bool {
    let actions = world.group().listeners[&80].default_actions.clone();
    matches!(actions[..], [Action::Redirect { .. }])
}

#[test]
fn every_plain_listener_of_the_group_redirects_and_has_no_rules() {
    let redirecting = both(json!({"group.name": "g", "ssl-redirect": "443"}));
    let backend = json!({"defaultBackend": {"service": {"name": "app2", "port": {"number": 80}}}});
    let world = World::new()
        .ingress("a", redirecting, of("a.example.com"))
        .ingress("b", json!({"group.name": "g"}), backend);
    let group = world.group();
    let redirect = Action::Redirect {
        status_code: "HTTP_301".to_owned(),
        host: None,
        path: None,
        port: Some("443".to_owned()),
        protocol: Some("HTTPS".to_owned()),
        query: None,
    };
    for port in [80, 8080] {
        assert_eq!(
            group.listeners[&port].default_actions,
            std::slice::from_ref(&redirect)
        );
        assert!(group.listeners[&port].rules.is_empty());
    }
    assert_eq!(group.listeners[&443].rules.len(), 1);
    // Nobody forwards to the default backend of a listener that redirects.
    let made: Vec<_> = group.target_groups.keys().collect();
    assert_eq!(made, ["default/a-app1:80"]);
}

#[test]
fn what_only_a_redirecting_listener_would_read_is_not_read() {
    let bad = json!({"group.name": "g", "auth-type": "ldap", "listen-ports": r#"[{"HTTP":80}]"#});
    let redirecting = both(json!({"group.name": "g", "ssl-redirect": "443"}));
    let world = World::new()
        .ingress("a", redirecting, plain())
        .ingress(
            "b",
            bad,
            rules("b.example.com", &[path("/*", "Exact", "app9")]),
        )
        .lbc();
    assert!(is_redirected(&world));
}

#[test]
fn it_goes_to_a_tls_listener_of_the_group() {
    for (port, said) in [
        (
            "8443",
            "ssl-redirect: ssl-redirect goes to port 8443, where nobody listens",
        ),
        (
            "8080",
            "ssl-redirect: ssl-redirect goes to port 8080, which listens without TLS",
        ),
        (
            "-1",
            "ssl-redirect: ssl-redirect goes to port -1, where nobody listens",
        ),
    ] {
        let world = World::new().ingress("web", both(json!({"ssl-redirect": port})), plain());
        assert_eq!(world.lbc().refusals(), [said]);
    }
    let signed = World::new().ingress("web", both(json!({"ssl-redirect": "+443"})), plain());
    assert!(is_redirected(&signed.lbc()));
}

#[test]
fn members_agree() {
    let to = |port: &str| both(json!({"group.name": "g", "ssl-redirect": port}));
    let world =
        World::new()
            .ingress("a", to("443"), plain())
            .ingress("b", to("8443"), of("b.example.com"));
    let said = world.lbc().refusals();
    assert!(
        said[0].starts_with("group-conflict: ssl-redirect is \"8443\" here"),
        "{said:?}"
    );
}

#[test]
fn a_classs_text_that_is_no_number_switches_redirection_off() {
    let of_class = |annotation: &str, parameter: &str| {
        World::new()
            .ingress("web", both(json!({"ssl-redirect": annotation})), plain())
            .params(json!({"sslRedirectPort": parameter}))
    };
    let said = of_class("443", "https").refusals();
    assert!(
        said.iter().any(|it| it.starts_with("odd-parameter: ")),
        "{said:?}"
    );
    let (group, _) = of_class("443", "https").lbc().warned();
    assert_eq!(group.listeners[&80].rules.len(), 1);
    assert!(is_redirected(&of_class("nonsense", "443").lbc()));
}
