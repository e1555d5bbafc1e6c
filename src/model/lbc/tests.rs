use serde_json::{Value, json};

use super::Model;
use crate::model::group::fixture::{World, path, plain, rules};

/// The resources of the only group.
fn resources(world: &World) -> Value {
    let (group, _) = world.warned();
    let model = Model {
        id: "default/web",
        group: &group,
    };
    let printed = serde_json::to_value(model).unwrap_or_default();
    assert_eq!(printed["id"], "default/web");
    printed["resources"].clone()
}

fn web(annotations: Value) -> World {
    World::new().lbc().ingress("web", annotations, plain())
}

#[test]
fn what_is_unset_or_empty_is_left_out() {
    let resources = resources(&web(json!({})));
    let kinds: Vec<_> = resources
        .as_object()
        .into_iter()
        .flat_map(|map| map.keys())
        .collect();
    assert_eq!(
        kinds,
        [
            "AWS::EC2::SecurityGroup",
            "AWS::ElasticLoadBalancingV2::Listener",
            "AWS::ElasticLoadBalancingV2::ListenerRule",
            "AWS::ElasticLoadBalancingV2::LoadBalancer",
            "AWS::ElasticLoadBalancingV2::TargetGroup",
            "FrontendNLBTargetGroup",
            "K8S::ElasticLoadBalancingV2::TargetGroupBinding",
        ]
    );
    assert_eq!(
        resources["AWS::ElasticLoadBalancingV2::Listener"],
        json!({"80": {"spec": {
            "loadBalancerARN": {"$ref": "#/resources/AWS::ElasticLoadBalancingV2::LoadBalancer/LoadBalancer/status/loadBalancerARN"},
            "port": 80, "protocol": "HTTP",
            "defaultActions": [{"type": "fixed-response", "fixedResponseConfig": {"statusCode": "404", "contentType": "text/plain"}}],
        }}})
    );
    assert_eq!(
        resources["FrontendNLBTargetGroup"],
        json!({"FrontendNLBTargetGroup": {"TargetGroups": {}}})
    );
}

#[test]
fn rules_are_numbered_for_each_listener() {
    let paths = [path("/a", "Exact", "app1"), path("/b", "Exact", "app2")];
    let world = World::new().lbc().ingress(
        "web",
        json!({"listen-ports": r#"[{"HTTP": 80}, {"HTTP": 8080}]"#}),
        rules("a.example.com", &paths),
    );
    let rules = &resources(&world)["AWS::ElasticLoadBalancingV2::ListenerRule"];
    let ids: Vec<_> = rules
        .as_object()
        .into_iter()
        .flat_map(|map| map.keys())
        .collect();
    assert_eq!(ids, ["8080:1", "8080:2", "80:1", "80:2"]);
    assert_eq!(rules["8080:2"]["spec"]["priority"], 2);
    assert_eq!(
        rules["8080:2"]["spec"]["listenerARN"],
        json!({"$ref": "#/resources/AWS::ElasticLoadBalancingV2::Listener/8080/status/listenerARN"})
    );
}

#[test]
fn what_the_cluster_decides_later_says_so() {
    let world = web(json!({}))
        .fact("services", json!({}))
        .fact("securityGroups", json!([]));
    let resources = resources(&world);
    let target_group =
        &resources["AWS::ElasticLoadBalancingV2::TargetGroup"]["default/web-app1:80"]["spec"];
    assert_eq!(
        (&target_group["name"], &target_group["port"]),
        (&json!("known after apply"), &json!("known after apply"))
    );
    let binding = &resources["K8S::ElasticLoadBalancingV2::TargetGroupBinding"]["default/web-app1:80"]
        ["spec"]["template"];
    assert_eq!(
        binding["metadata"],
        json!({"name": "known after apply", "namespace": "default"})
    );
    assert_eq!(
        binding["spec"]["networking"],
        json!({"ingress": [{
            "from": [{"securityGroup": {"groupID": "known after apply"}}],
            "ports": [{"port": "known after apply", "protocol": "TCP"}],
        }]})
    );
    let groups = &resources["AWS::ElasticLoadBalancingV2::LoadBalancer"]["LoadBalancer"]["spec"]["securityGroups"];
    assert_eq!(groups[1], "known after apply");
}

#[test]
fn texts_that_are_set_and_empty_stay() {
    let resources = resources(&web(json!({"load-balancer-name": "", "wafv2-acl-arn": ""})));
    assert_eq!(
        resources["AWS::ElasticLoadBalancingV2::LoadBalancer"]["LoadBalancer"]["spec"]["name"],
        ""
    );
    assert_eq!(
        resources["AWS::WAFv2::WebACLAssociation"]["LoadBalancer"]["spec"]["webACLARN"],
        ""
    );
}

#[test]
fn a_listener_of_port_zero_has_no_port() {
    let resources = resources(&web(json!({
        "enable-frontend-nlb": "true", "frontend-nlb-listener-port-mapping": "0=80",
    })));
    let listener =
        &resources["AWS::ElasticLoadBalancingV2::Listener"]["FrontendNlb-ls-TCP-0"]["spec"];
    assert_eq!(listener.get("port"), None);
    let target_group =
        &resources["AWS::ElasticLoadBalancingV2::TargetGroup"]["FrontendNlb-tg-TCP-0"]["spec"];
    assert_eq!(target_group["port"], 0);
    let registered = &resources["FrontendNLBTargetGroup"]["FrontendNLBTargetGroup"]["TargetGroups"];
    let registered = registered.as_object().and_then(|map| map.values().next());
    assert_eq!(
        registered.map(|it| (&it["Port"], &it["TargetPort"])),
        Some((&json!(0), &json!(80)))
    );
}
