use std::collections::BTreeMap;

use serde_json::json;

use super::*;
use crate::{
    aws::fake::FakeAccount,
    cluster::fake::FakeCluster,
    config::Overrides,
    id::SecurityGroupId,
    model::facts::{CertificateFact, NamedArn, PrefixListFact, file},
};

const CLUSTER: &str = "demo";

fn config() -> Config {
    let text = format!(
        "source: {{ url: /git }}\ncluster: {{ name: {CLUSTER} }}\naws: {{ region: eu-central-1 }}\n"
    );
    Config::parse(
        "config.yaml",
        text.as_bytes(),
        &BTreeMap::new(),
        &Overrides::new(),
    )
    .unwrap()
}

fn cluster() -> FakeCluster {
    let cluster = FakeCluster::new();
    for value in [
        json!({"apiVersion": "v1", "kind": "Namespace",
               "metadata": {"name": "shop", "labels": {"team": "web"}}}),
        json!({"apiVersion": "v1", "kind": "Secret",
               "metadata": {"name": "client", "namespace": "shop"},
               "data": {"clientID": "bWU=", "clientSecret": "aHVudGVyMg=="}}),
        json!({"apiVersion": "v1", "kind": "Service",
               "metadata": {"name": "web", "namespace": "shop"},
               "spec": {"type": "NodePort", "ports": [{"port": 80, "targetPort": 8080}]}}),
        json!({"apiVersion": "networking.k8s.io/v1", "kind": "IngressClass",
               "metadata": {"name": "alb"},
               "spec": {"controller": "ingress.k8s.aws/alb", "parameters": {
                   "apiGroup": "elbv2.k8s.aws", "kind": "IngressClassParams", "name": "all"}}}),
        json!({"apiVersion": "networking.k8s.io/v1", "kind": "Ingress",
               "metadata": {"name": "web", "namespace": "shop",
                            "annotations": {OIDC: json!({"secretName": "client"}).to_string()}},
               "spec": {}}),
    ] {
        cluster.put("someone", value);
    }
    cluster
}

fn account() -> FakeAccount {
    let account = FakeAccount::seeded(CLUSTER);
    account.edit(|state| {
        state.acm_certificates.push(CertificateFact {
            arn: "arn:aws:acm:eu-central-1:123456789012:certificate/1".into(),
            domain: "example.com".into(),
            sans: vec!["example.com".into()],
            status: "ISSUED".into(),
            kind: "AMAZON_ISSUED".into(),
            key_algorithm: None,
            not_after: None,
            certificate_authority_arn: None,
            tags: Default::default(),
        });
        let named = |name: &str| NamedArn {
            name: name.into(),
            arn: format!("arn:{name}"),
        };
        state.web_acls.push(named("edge"));
        state.trust_stores.push(named("clients"));
        state.prefix_lists.push(PrefixListFact {
            id: "pl-1".into(),
            name: "office".into(),
        });
    });
    account
}

#[tokio::test]
async fn everything_is_read_and_no_value_of_a_secret() {
    let (account, cluster) = (account(), cluster());
    let (facts, gaps) = survey(&account, &cluster, &config(), BTreeSet::new()).await;
    assert_eq!(gaps, []);
    let value = file::write(&facts);
    let keys: Vec<&String> = value.as_object().unwrap().keys().collect();
    let mut every = file_keys();
    // Nothing tells of pools: they are taken as written.
    every.retain(|key| !["ipamPools", "coipPools"].contains(&key.as_str()));
    assert_eq!(keys, every.iter().collect::<Vec<_>>());
    assert_eq!(file::read(&value).unwrap(), facts);

    let secret = &facts.secrets.as_ref().unwrap()["shop/client"];
    assert_eq!(
        secret.keys,
        ["clientID", "clientSecret"].map(str::to_owned).into()
    );
    assert!(!value.to_string().contains("aHVudGVyMg"), "{value:#}");
    assert_eq!(facts.vpc.unwrap().cidrs, ["10.0.0.0/16"]);
    assert!(
        facts
            .subnets
            .unwrap()
            .iter()
            .all(|subnet| subnet.public.is_some())
    );
    assert_eq!(facts.namespaces.unwrap()["shop"]["team"], "web");
    assert!(facts.services.unwrap()["shop/web"].uid.is_some());
    assert_eq!(facts.certificates.unwrap().len(), 1);
    assert_eq!(
        facts.security_groups.unwrap()[0].id,
        SecurityGroupId::from("sg-nodes")
    );
}

fn file_keys() -> Vec<String> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/facts.json");
    let text = std::fs::read_to_string(path).unwrap();
    let example: Value = serde_json::from_str(&text).unwrap();
    example.as_object().unwrap().keys().cloned().collect()
}

#[tokio::test]
async fn what_is_refused_is_absent_and_told_and_the_rest_is_there() {
    let (account, cluster) = (account(), cluster());
    for operation in [
        "ListCertificates",
        "DescribeSubnets",
        "DescribeAccountLimits",
    ] {
        account.refuse_next(operation, "AccessDeniedException");
    }
    let (facts, gaps) = survey(&account, &cluster, &config(), BTreeSet::new()).await;
    let told: Vec<&str> = gaps.iter().map(|gap| gap.what.as_str()).collect();
    assert_eq!(
        told,
        [
            "acm:ListCertificates",
            "ec2:DescribeSubnets",
            "elasticloadbalancing:DescribeAccountLimits"
        ]
    );
    let value = file::write(&facts);
    for absent in ["certificates", "subnets", "accountLimits"] {
        assert!(value.get(absent).is_none(), "{absent}");
    }
    assert!(facts.web_acls.is_some() && facts.security_groups.is_some());
}

#[tokio::test]
async fn without_the_vpc_nothing_of_the_network_is_asked() {
    let (account, cluster) = (account(), cluster());
    account.edit(|state| state.clusters.clear());
    let (facts, gaps) = survey(&account, &cluster, &config(), BTreeSet::new()).await;
    assert_eq!(
        (facts.vpc, facts.subnets, facts.load_balancers),
        (None, None, None)
    );
    assert!(facts.certificates.is_some());
    assert!(gaps.iter().any(|gap| gap.what == "the VPC"), "{gaps:#?}");
}
