use serde_json::json;

use super::*;
use crate::model::{build::fixture, facts::ParametersFact};

fn example() -> Value {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/facts.json");
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn refused(value: Value) -> String {
    read(&value).unwrap_err().to_string()
}

#[test]
fn what_is_absent_or_null_was_not_looked_up_and_an_empty_list_is_none() {
    let facts = read(&json!({"certificates": [], "trustStores": null})).unwrap();
    assert_eq!(facts.certificates, Some(Vec::new()));
    assert_eq!(facts.trust_stores, None);
    assert_eq!(facts.web_acls, None);
    assert_eq!(facts.services, None);
}

#[test]
fn the_example_holds_every_key_and_comes_back_as_it_was() {
    let value = example();
    let facts = read(&value).unwrap();
    assert_eq!(read(&write(&facts)).unwrap(), facts);
    let keys = value.as_object().unwrap();
    // No fact is left out of the example, so none can be left out of the page that is held to it.
    let written = write(&facts);
    assert_eq!(
        written.as_object().unwrap().keys().collect::<Vec<_>>(),
        keys.keys().collect::<Vec<_>>()
    );
    let every = serde_path_to_error::deserialize::<_, FactsFile>(&json!({"?": 1}));
    let every = every.err().unwrap().to_string();
    assert!(every.contains("expected one of"), "{every}");
    for key in every.split('`').skip(3).step_by(2) {
        assert!(keys.contains_key(key), "the example lacks {key}");
    }
}

#[test]
fn the_page_tells_every_key_of_the_example() {
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/examples/facts.md"));
    let page = page.unwrap();
    let mut missing = Vec::new();
    let mut told = |key: &str| {
        if !page.contains(&format!("`{key}`")) {
            missing.push(key.to_owned());
        }
    };
    for (key, value) in example().as_object().unwrap() {
        told(key);
        // Keys of maps are the user's names; keys of entries are ours.
        let entries: Vec<&Value> = match value {
            Value::Array(items) => items.iter().collect(),
            Value::Object(map) => map
                .values()
                .chain((key == "vpc").then_some(value))
                .collect(),
            _ => Vec::new(),
        };
        let names = entries
            .iter()
            .filter(|_| key != "namespaces")
            .filter_map(|entry| entry.as_object())
            .flat_map(|entry| entry.keys());
        names.for_each(|key| told(key));
    }
    assert!(
        missing.is_empty(),
        "examples/facts.md says nothing of {missing:?}"
    );
}

#[test]
fn facts_come_back_from_their_file() {
    let mut facts = fixture::facts();
    facts.nodes = Some(vec![
        instance("i-1"),
        Node {
            name: "ip-10-0-0-1".into(),
            provider_id: Some("aws:///eu-central-1a/i-2".into()),
            labels: [("a".into(), "b".into())].into(),
            taints: vec![("gone".into(), "NoSchedule".into())],
            ready: "Unknown".into(),
        },
    ]);
    facts.load_balancers = Some(
        [(
            "shop/web".to_owned(),
            LoadBalancerFact {
                scheme: Some(Scheme::Internal),
                subnets: vec!["subnet-2".into(), "subnet-1".into()],
            },
        )]
        .into(),
    );
    facts.secrets = Some(
        [(
            "shop/client".to_owned(),
            SecretFact {
                resource_version: Some("7".to_owned()),
                labels: BTreeMap::new(),
                keys: ["clientID".to_owned()].into(),
            },
        )]
        .into(),
    );
    let class = ClassFact {
        controller: "ingress.k8s.aws/alb".to_owned(),
        is_default: true,
        parameters: Some(ParametersFact {
            api_group: "elbv2.k8s.aws".to_owned(),
            kind: "IngressClassParams".to_owned(),
            name: "all".to_owned(),
        }),
    };
    facts.ingress_classes = Some([("alb".to_owned(), class)].into());
    let params = ParamsFact::new("all", json!({"scheme": "internal"}));
    facts.ingress_class_params = Some([("all".to_owned(), params)].into());
    assert_eq!(read(&write(&facts)).unwrap(), facts);
    assert_eq!(read(&write(&Facts::default())).unwrap(), Facts::default());
}

#[test]
fn nodes_are_instance_ids_or_nodes_in_full() {
    let facts = read(&json!({"nodes": [
        "i-1",
        {"name": "n2", "providerId": "aws:///a/i-2", "ready": "False",
         "taints": [{"key": "k", "effect": "NoExecute"}]},
    ]}))
    .unwrap();
    let nodes = facts.nodes.unwrap();
    assert_eq!(nodes[0], instance("i-1"));
    assert_eq!(nodes[0].ready, "True");
    assert!(nodes[0].provider_id.as_ref().unwrap().ends_with("/i-1"));
    assert_eq!(nodes[1].taints, [("k".to_owned(), "NoExecute".to_owned())]);
}

#[test]
fn balancers_are_of_a_group_by_name_or_by_our_tags() {
    let tags = |cluster: &str, stack: &str| json!({"elbv2.k8s.aws/cluster": cluster, "ingress.k8s.aws/stack": stack});
    let facts = read(&json!({"cluster": "demo", "loadBalancers": [
        {"group": "edge", "scheme": "internal", "subnets": ["subnet-1"]},
        {"tags": tags("demo", "shop/web"), "subnets": ["subnet-2"]},
        // The first of a stack counts.
        {"tags": tags("demo", "shop/web"), "subnets": ["subnet-3"]},
        {"tags": tags("other", "shop/api"), "subnets": ["subnet-4"]},
        {"tags": {"Name": "mine"}, "subnets": ["subnet-5"]},
    ]}))
    .unwrap();
    let found = facts.load_balancers.unwrap();
    assert_eq!(found.keys().collect::<Vec<_>>(), ["edge", "shop/web"]);
    assert_eq!(found["edge"].scheme, Some(Scheme::Internal));
    assert_eq!(found["shop/web"].scheme, None);
    assert_eq!(found["shop/web"].subnets, ["subnet-2".into()]);
}

#[test]
fn services_may_lack_a_node_port_and_everything_else() {
    let facts = read(&json!({"services": {
        "shop/web": {"uid": "u", "nodePorts": {"80": 30080, "81": null}},
        "shop/new": {},
    }}))
    .unwrap();
    let services = facts.services.unwrap();
    assert_eq!(services["shop/web"].node_ports["80"], Some(30080));
    assert_eq!(services["shop/web"].node_ports["81"], None);
    assert_eq!(services["shop/web"].ip_families, None);
    assert_eq!(services["shop/new"], ServiceFact::default());
}

#[test]
fn a_key_that_no_fact_has_is_named_with_its_place() {
    for (value, place) in [
        (json!({"certificate": []}), "certificate: unknown field"),
        (
            json!({"securityGroups": [{"id": "sg-1"}, {"id": "sg-2", "nam": "x"}]}),
            "securityGroups[1].nam: unknown field `nam`, expected one of `id`, `name`, `tags`",
        ),
        (
            json!({"services": {"shop/web": {"nodePort": 1}}}),
            "services.shop/web.nodePort: unknown field",
        ),
        (
            json!({"nodes": [{"name": "n", "ready": "True", "taints": [{"kei": "x"}]}]}),
            "nodes[0].taints[0].kei: unknown field",
        ),
        (
            json!({"loadBalancers": [{"groups": "x"}]}),
            "loadBalancers[0].groups: unknown field",
        ),
    ] {
        let text = refused(value);
        assert!(text.starts_with(place), "{text}");
    }
}

#[test]
fn a_value_of_the_wrong_kind_is_named_with_its_place() {
    for (value, place) in [
        (json!([]), "not a mapping of facts"),
        (json!({"account": 123}), "account: invalid type: integer"),
        (
            json!({"nodes": [7]}),
            "nodes[0]: invalid type: integer `7`, expected an instance id",
        ),
        (
            json!({"loadBalancers": [{"scheme": "public"}]}),
            "loadBalancers[0].scheme: unknown variant `public`, expected `internal` or",
        ),
        (
            json!({"services": {"a/b": {"nodePorts": {"80": 70000}}}}),
            "services.a/b.nodePorts.80: invalid value",
        ),
    ] {
        let text = refused(value);
        assert!(text.starts_with(place), "{text}");
    }
}
