use serde_json::{Value, json};

use crate::model::group::{
    MutualAuthentication,
    fixture::{World, plain},
};

fn world(text: &str) -> World {
    World::new().ingress(
        "web",
        json!({"certificate-arn": "arn:1", "mutual-authentication": text}),
        plain(),
    )
}

fn mutual(world: &World) -> Option<MutualAuthentication> {
    world.group().listeners[&443].mutual_authentication.clone()
}

#[test]
fn trust_stores_are_found_by_name() {
    let by_name = r#"[{"port":443,"mode":"verify","trustStore":"mine"}]"#;
    let known = json!([{"name": "mine", "arn": "arn:aws:elasticloadbalancing:truststore/mine"}]);
    let found = mutual(&world(by_name).fact("trustStores", known)).unwrap();
    assert_eq!(
        found.trust_store_arn,
        "arn:aws:elasticloadbalancing:truststore/mine"
    );
    assert_eq!(found.ignore_client_certificate_expiry, Some(false));
    let said = world(by_name).refusals();
    assert_eq!(
        said,
        ["trust-store: mutual-authentication names the trust store \"mine\", which does not exist"]
    );
    let unread = world(by_name).fact("trustStores", Value::Null);
    assert_eq!(
        unread.refusals(),
        ["fact-missing: the trust store \"mine\" was not looked up"]
    );
}

#[test]
fn an_arn_is_taken_as_it_is() {
    let by_arn = r#"[{"port":443,"mode":"verify","trustStore":"arn:x","ignoreClientCertificateExpiry":true}]"#;
    let found = mutual(&world(by_arn).lbc().fact("trustStores", Value::Null)).unwrap();
    assert_eq!(found.trust_store_arn, "arn:x");
    assert_eq!(found.ignore_client_certificate_expiry, Some(true));
}

#[test]
fn a_store_for_a_port_without_listener_must_exist_all_the_same() {
    let foreign = r#"[{"port":8443,"mode":"verify","trustStore":"mine"}]"#;
    let said = world(foreign).lbc().refusals();
    assert_eq!(
        said,
        ["trust-store: mutual-authentication names the trust store \"mine\", which does not exist"]
    );
    let known = json!([{"name": "mine", "arn": "arn:m"}]);
    assert_eq!(
        mutual(&world(foreign).lbc().fact("trustStores", known)),
        None
    );
}

#[test]
fn nothing_said_is_nothing_and_off_has_an_empty_store() {
    let silent = World::new().ingress("web", json!({"certificate-arn": "arn:1"}), plain());
    assert_eq!(mutual(&silent), None);
    let off = mutual(&world(r#"[{"port":443,"mode":"off"}]"#)).unwrap();
    assert_eq!(off.trust_store_arn, "");
    assert_eq!(off.ignore_client_certificate_expiry, None);
}
