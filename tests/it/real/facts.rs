//! `albsync facts` on real servers: what is there is in the file, what is refused is not, and `render` needs nothing else.

use serde_json::{Value, json};

use super::*;
use crate::support::proxy::{Fault, Match, Rule};

#[test]
fn facts_of_account_and_cluster_are_enough_to_render() {
    let scene = Scene::tutorial(PERIOD);
    let certificate = scene.bed.aws(
        "acm",
        "RequestCertificate",
        json!({
            "DomainName": "shop.example.com",
            "SubjectAlternativeNames": ["www.example.com"],
            "ValidationMethod": "DNS",
        }),
    );
    scene.bed.proxy.add(Rule::always(
        Match::aws("elasticloadbalancing", "DescribeTrustStores"),
        Fault::error(403, "AccessDenied", "not authorized to perform this"),
    ));
    let file = scene.bed.path().join("facts.json");
    let name = file.to_str().expect("a path in UTF-8");
    let done = scene.daemon.cli(&["facts", "--output", name]);
    let said = String::from_utf8_lossy(&done.stderr);
    // Something that was tried was refused: told, and left out.
    assert_eq!(done.status.code(), Some(6), "{said}");
    assert!(
        said.contains("elasticloadbalancing:DescribeTrustStores"),
        "{said}"
    );
    assert_eq!(said.lines().count(), 1, "{said}");

    let written = std::fs::read_to_string(&file).expect("the facts");
    let facts: Value = serde_json::from_str(&written).expect("facts in JSON");
    assert!(facts.get("trustStores").is_none());
    assert_eq!(facts["cluster"], scene.bed.fact("/aws/cluster_name"));
    assert!(
        facts["services"]["default/app1"]["uid"].is_string(),
        "{written}"
    );
    assert!(
        facts["services"]["default/app1"]["nodePorts"]["80"].is_number(),
        "{written}"
    );
    let found = facts["certificates"].as_array().expect("certificates");
    let found = found
        .iter()
        .find(|it| it["arn"] == certificate["CertificateArn"])
        .expect("the new certificate");
    assert_eq!(found["domain"], "shop.example.com");
    assert_eq!(found["status"], "PENDING_VALIDATION");
    assert!(
        facts["accountLimits"]["application-load-balancers"].is_number(),
        "{written}"
    );
    let balancers = facts["loadBalancers"].as_array().expect("balancers");
    assert_eq!(
        balancers.len(),
        1,
        "the tutorial's, by its tags: {balancers:?}"
    );
    for list in ["subnets", "securityGroups", "nodes"] {
        assert!(!facts[list].as_array().expect(list).is_empty(), "{list}");
    }

    let yaml = scene.daemon.cli(&["facts", "-o", "yaml"]);
    assert!(String::from_utf8_lossy(&yaml.stdout).contains("\ncluster: "));

    let directory = scene.repo.path().to_str().expect("a path in UTF-8");
    let rendered = scene
        .daemon
        .cli(&["render", "--facts", name, "-o", "lbc", directory]);
    let said = String::from_utf8_lossy(&rendered.stderr);
    assert_eq!(rendered.status.code(), Some(0), "{said}");
    let live = scene.daemon.cli(&["render", "-o", "lbc", directory]);
    let told = String::from_utf8_lossy(&live.stderr);
    assert_eq!(live.status.code(), Some(0), "{told}");
    assert_eq!(
        String::from_utf8_lossy(&live.stdout),
        String::from_utf8_lossy(&rendered.stdout),
        "the same from the file as from account and cluster"
    );
    let model: Value = serde_json::from_slice(&rendered.stdout).expect("the model in JSON");
    assert_eq!(model["problems"], json!([]));
    let groups = model["groups"].as_object().expect("groups");
    assert_eq!(groups.len(), 1, "{model:#}");
    let subnets = &balancers[0]["subnets"];
    assert!(
        subnets
            .as_array()
            .is_some_and(|all| all.iter().all(|id| model.to_string().contains(text(id)))),
        "the balancer keeps its subnets: {model:#}"
    );
    scene.bed.proxy.journal().assert_guard();
}
