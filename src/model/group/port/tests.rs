use serde_json::{Value, json};

use crate::{
    manifest::annotation::value::Protocol,
    model::group::{
        Certificate,
        fixture::{World, path, plain, rules},
    },
};

const POLICY: &str = "ELBSecurityPolicy-TLS13-1-2-2021-06";
const BOTH: &str = r#"[{"HTTP":80},{"HTTPS":443}]"#;

fn one(annotations: Value) -> World {
    World::new().ingress("web", annotations, plain())
}

/// Members `a`, `b` … of one group, each for its own host.
fn group(members: &[Value]) -> World {
    let mut world = World::new();
    for (name, annotations) in ["a", "b", "c"].iter().zip(members) {
        let mut annotations = annotations.clone();
        annotations["group.name"] = json!("g");
        let host = format!("{name}.example.com");
        world = world.ingress(
            name,
            annotations,
            rules(&host, &[path("/", "Prefix", "app1")]),
        );
    }
    world
}

fn ports(world: &World) -> Vec<(u16, Protocol)> {
    let group = world.group();
    let listeners = group.listeners.iter();
    listeners.map(|(port, it)| (*port, it.protocol)).collect()
}

fn arns(world: &World) -> Vec<String> {
    let group = world.group();
    let certificates = group.listeners[&443].certificates.iter();
    certificates
        .map(|certificate| match certificate {
            Certificate::Arn(arn) => arn.clone(),
            Certificate::Requested(id) => format!("requested {id}"),
        })
        .collect()
}

#[test]
fn certificates_decide_where_one_listens_that_does_not_say() {
    assert_eq!(ports(&one(json!({}))), [(80, Protocol::Http)]);
    let named = one(json!({"certificate-arn": "arn:1"}));
    assert_eq!(ports(&named), [(443, Protocol::Https)]);
    let empty = one(json!({"certificate-arn": " , "})).lbc();
    assert_eq!(ports(&empty), [(80, Protocol::Http)]);
    let tls = json!({"tls": [{"hosts": ["a.example.com"]}], "rules": plain()["rules"]});
    let tls = World::new().ingress("web", json!({}), tls).lbc();
    assert_eq!(ports(&tls), [(80, Protocol::Http)]);
}

#[test]
fn of_one_port_twice_the_later_counts() {
    let twice = json!({"listen-ports": r#"[{"HTTPS":8080},{"HTTP":8080}]"#});
    assert_eq!(ports(&one(twice).lbc()), [(8080, Protocol::Http)]);
    let none = json!({"listen-ports": "[{}]"});
    assert_eq!(ports(&one(none).lbc()), []);
}

#[test]
fn members_agree_on_a_ports_protocol() {
    let world = group(&[
        json!({"listen-ports": r#"[{"HTTP":8080}]"#}),
        json!({"listen-ports": r#"[{"HTTPS":8080}]"#, "certificate-arn": "arn:1"}),
    ]);
    let said = world.refusals();
    assert_eq!(said.len(), 1, "{said:?}");
    let wanted = "group-conflict: the protocol of port 8080 is \"HTTPS\"";
    assert!(said[0].starts_with(wanted), "{said:?}");
}

#[test]
fn a_policy_of_one_member_holds_for_all_and_two_conflict() {
    let policy = |world: &World| world.group().listeners[&443].ssl_policy.clone();
    let tls = |policy: Option<&str>| match policy {
        Some(policy) => json!({"certificate-arn": "arn:1", "ssl-policy": policy}),
        None => json!({"certificate-arn": "arn:1"}),
    };
    let default = Some("ELBSecurityPolicy-2016-08".to_owned());
    assert_eq!(policy(&group(&[tls(None), tls(None)])), default);
    let one = group(&[tls(None), tls(Some(POLICY))]);
    assert_eq!(policy(&one), Some(POLICY.to_owned()));
    assert_eq!(policy(&group(&[tls(Some(""))]).lbc()), Some(String::new()));
    let said = group(&[tls(Some("")), tls(Some(POLICY))]).lbc().refusals();
    let wanted = "group-conflict: the SSL policy of port 443";
    assert!(said[0].starts_with(wanted), "{said:?}");
    let of_class = group(&[tls(Some(POLICY))]).params(json!({"sslPolicy": "Q"}));
    assert_eq!(policy(&of_class.lbc()), Some("Q".to_owned()));
}

#[test]
fn the_first_members_first_certificate_is_the_default() {
    let world = group(&[
        json!({"listen-ports": BOTH, "certificate-arn": "arn:b,arn:c"}),
        json!({"certificate-arn": "arn:a,arn:c"}),
    ]);
    assert_eq!(arns(&world), ["arn:b", "arn:c", "arn:a"]);
    let again = group(&[
        json!({"certificate-arn": "arn:b"}),
        json!({"certificate-arn": "arn:a,arn:b"}),
    ]);
    assert_eq!(arns(&again), ["arn:b", "arn:a", "arn:b"]);
}

#[test]
fn the_classs_certificates_hide_the_annotations() {
    let world = one(json!({"certificate-arn": "arn:1"}));
    let world = world.params(json!({"certificateArn": ["arn:2"]})).lbc();
    assert_eq!(arns(&world), ["arn:2"]);
}

#[test]
fn a_tls_listener_without_a_certificate_is_told() {
    let bare = one(json!({"listen-ports": r#"[{"HTTPS":443}]"#}));
    let wanted = "no-certificate: the HTTPS listener on port 443 has no certificate, and no host to find one for";
    assert_eq!(bare.refusals(), [wanted]);
    let (group, _) = bare.lbc().warned();
    assert!(group.listeners[&443].certificates.is_empty());
}

#[test]
fn mutual_authentication_of_one_member_holds_for_all_and_two_conflict() {
    let tls = |mutual: Option<&str>| {
        let mut annotations = json!({"certificate-arn": "arn:1"});
        if let Some(mutual) = mutual {
            annotations["mutual-authentication"] = json!(mutual);
        }
        annotations
    };
    let passthrough = r#"[{"port":443,"mode":"passthrough"}]"#;
    let off = r#"[{"port":443,"mode":"off"}]"#;
    let group_of_one = group(&[tls(None), tls(Some(passthrough))]).group();
    let mutual = group_of_one.listeners[&443].mutual_authentication.clone();
    let mutual = mutual.unwrap();
    assert_eq!(mutual.trust_store_arn, "");
    assert_eq!(mutual.ignore_client_certificate_expiry, None);
    let said = group(&[tls(Some(off)), tls(Some(passthrough))]).refusals();
    let wanted = "group-conflict: mutual authentication on port 443";
    assert!(said[0].starts_with(wanted), "{said:?}");
}

#[test]
fn what_is_wrong_with_every_member_is_told_at_once() {
    let empty = json!({"listen-ports": "[]"});
    let zero = json!({"listen-ports": r#"[{"HTTP":0}]"#});
    assert_eq!(group(&[empty, zero]).lbc().refusals().len(), 2);
}
