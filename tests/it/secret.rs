//! A sign-in client's Secret changes: AWS is told once, and the value is nowhere but in the Secret; on a world in memory.

use albsync::{
    converge::PassEnd, daemon::schedule::Trigger, id::Arn, model::facts::CertificateFact,
};
use serde_json::{Value, json};

use crate::{
    golden::world::World,
    tree::{Tree, ingress},
};

const SIGN_IN: &str = "    alb.ingress.kubernetes.io/listen-ports: '[{\"HTTPS\": 443}]'
    alb.ingress.kubernetes.io/certificate-arn: arn:aws:acm:eu-central-1:123456789012:certificate/pay
    alb.ingress.kubernetes.io/auth-type: oidc
    alb.ingress.kubernetes.io/auth-idp-oidc: '{\"issuer\": \"https://id.example.com\", \
     \"authorizationEndpoint\": \"https://id.example.com/a\", \"tokenEndpoint\": \"https://id.example.com/t\", \
     \"userInfoEndpoint\": \"https://id.example.com/u\", \"secretName\": \"client\"}'
";

/// The secret of the client, once and once more, as a Secret holds it.
const FIRST: &str = "ZW5ldGVlZg==";
const SECOND: &str = "c2Vjb25kZW5ldGVl";

fn secret(value: &str) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "client", "namespace": "default"},
        "data": {"clientID": "YQ==", "clientSecret": value},
    })
}

/// `pay` asks for sign-in; one rule.
fn world() -> (World, Tree) {
    let world = World::new();
    let arn = "arn:aws:acm:eu-central-1:123456789012:certificate/pay";
    world.aws.edit(|state| {
        state.acm_certificates = vec![CertificateFact {
            arn: arn.to_owned(),
            domain: "pay.example.com".to_owned(),
            sans: Vec::new(),
            status: "ISSUED".to_owned(),
            kind: "IMPORTED".to_owned(),
            key_algorithm: None,
            not_after: None,
            certificate_authority_arn: None,
            tags: Default::default(),
        }];
        state.certificates.insert(Arn::new(arn));
    });
    let pay = ingress("pay", "pay", "pay", &["/pay"], SIGN_IN);
    (world, Tree::new().with("shop/pay.yaml", pay))
}

/// The writes that send the client's secret.
fn sent(world: &World) -> Vec<String> {
    let mut writes = world.writes();
    world.forget_writes();
    writes.retain(|write| !write.contains("Secret"));
    writes
}

fn tells_nothing(world: &World, preview: &str) {
    let status = serde_json::to_string(&world.cx.reporter.status()).expect("JSON");
    let applied = format!("{:?}", world.cx.store.applied());
    let plans = format!("{:?}", world.plans_since(Default::default()));
    for text in [preview, &status, &applied, &plans] {
        for value in [FIRST, SECOND, "eneteef", "secondenetee"] {
            assert!(!text.contains(value), "{text}");
        }
    }
}

#[test]
fn a_secret_of_git_that_changes_is_sent_once() {
    let (world, tree) = world();
    let with = |value: &str| tree.with("secret.yaml", secret(value).to_string());
    let tip = with(FIRST).commit(&world);
    assert_eq!(world.pass(Trigger::Start, &tip), PassEnd::Complete);
    world.forget_writes();
    assert_eq!(world.pass(Trigger::Sweep, &tip), PassEnd::Complete);
    assert_eq!(sent(&world), [""; 0], "nothing changed");

    let tip = with(SECOND).commit(&world);
    let preview = world.preview(&tip).text(false);
    assert!(preview.contains("Secret default/client"), "{preview}");
    assert!(preview.contains("known after apply"), "{preview}");
    assert_eq!(world.pass(Trigger::Commit, &tip), PassEnd::Complete);
    let writes = sent(&world);
    assert_eq!(writes.len(), 1, "the rule, once: {writes:#?}");
    assert!(
        writes.iter().all(|write| write.contains("ModifyRule")),
        "{writes:#?}"
    );
    for trigger in [Trigger::Commit, Trigger::Sweep, Trigger::Cluster] {
        assert_eq!(world.pass(trigger, &tip), PassEnd::Complete);
        assert_eq!(sent(&world), [""; 0]);
    }
    tells_nothing(&world, &preview);
}

#[test]
fn a_secret_of_the_cluster_that_changes_is_sent_once() {
    let (world, tree) = world();
    world.cluster.put("kubectl", secret(FIRST));
    let tip = tree.commit(&world);
    assert_eq!(world.pass(Trigger::Start, &tip), PassEnd::Complete);
    world.forget_writes();
    world.cluster.put("kubectl", secret(SECOND));
    assert_eq!(world.pass(Trigger::Sweep, &tip), PassEnd::Complete);
    assert_eq!(sent(&world).len(), 1, "the rule, once");
    assert_eq!(world.pass(Trigger::Sweep, &tip), PassEnd::Complete);
    assert_eq!(sent(&world), [""; 0]);
    tells_nothing(&world, "");
}
