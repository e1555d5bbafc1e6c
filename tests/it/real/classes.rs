//! Parameters of an IngressClass: the custom object that LBC's users have, and what it settles for all of the class
//! (ingress-model §1.2).

use serde_json::json;

use super::refused::Granted;
use super::served::{elb_writes, ingress, paths};
use super::*;

/// As far as the API server needs to know it.
const DEFINITION: &str = "apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: ingressclassparams.elbv2.k8s.aws}
spec:
  group: elbv2.k8s.aws
  scope: Cluster
  names: {plural: ingressclassparams, singular: ingressclassparams, kind: IngressClassParams}
  versions:
    - name: v1beta1
      served: true
      storage: true
      schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}
";

fn class(idle: &str, cidr: &str) -> [Value; 2] {
    [
        json!({
            "apiVersion": "elbv2.k8s.aws/v1beta1", "kind": "IngressClassParams", "metadata": {"name": "edge"},
            "spec": {
                "scheme": "internet-facing",
                "group": {"name": "team"},
                "inboundCIDRs": [cidr],
                "tags": [{"key": "team", "value": "edge"}],
                "loadBalancerAttributes": [{"key": "idle_timeout.timeout_seconds", "value": idle}],
            },
        }),
        json!({
            "apiVersion": "networking.k8s.io/v1", "kind": "IngressClass", "metadata": {"name": "aws"},
            "spec": {
                "controller": "ingress.k8s.aws/alb",
                "parameters": {"apiGroup": "elbv2.k8s.aws", "kind": "IngressClassParams", "name": "edge"},
            },
        }),
    ]
}

#[test]
fn parameters_of_a_class_settle_scheme_group_sources_tags_and_attributes_of_all_its_members() {
    let (mut scene, seed) = Scene::serving(&["app1", "app2"]);
    scene.bed.kubectl_apply(DEFINITION);
    let definition = "crd/ingressclassparams.elbv2.k8s.aws";
    scene
        .bed
        .kubectl(&["wait", "--for", "condition=established", definition]);
    let _granted = Granted::to(&scene.bed, "elbv2.k8s.aws", "ingressclassparams");
    scene.put("class.yaml", &class("90", "192.0.2.0/24"));
    let tagged = [("tags", "color=blue")];
    scene.put(
        "a.yaml",
        &[ingress(
            "a",
            &tagged,
            &[paths("a.example.com", &[("/", "app1")])],
        )],
    );
    scene.put(
        "b.yaml",
        &[ingress(
            "b",
            &[],
            &[paths("b.example.com", &[("/", "app2")])],
        )],
    );
    scene.edit("A class with parameters");

    assert!(
        scene
            .bed
            .kubectl(&["get", "ingressclassparams", "edge"])
            .contains("edge")
    );
    let balancer = scene.balancer();
    assert!(text(&balancer["LoadBalancerName"]).starts_with("k8s-team-"));
    assert_eq!(balancer["Scheme"], "internet-facing");
    let arn = balancer["LoadBalancerArn"].clone();
    let tags = scene.tags(&arn);
    assert_eq!(tags["team"], "edge");
    assert_eq!(
        scene.attributes("load_balancer", &arn)["idle_timeout.timeout_seconds"],
        "90"
    );
    let hosts: Vec<Vec<String>> = scene.rules().into_iter().map(|rule| rule.hosts).collect();
    assert_eq!(hosts, [["a.example.com"], ["b.example.com"]]);
    let admitted = |scene: &Scene| {
        let groups = scene.balancer()["SecurityGroups"].take();
        let described = scene
            .bed
            .aws("ec2", "DescribeSecurityGroups", json!({"GroupIds": groups}));
        let managed = list(&described["SecurityGroups"])
            .iter()
            .find(|it| text(&it["GroupName"]).starts_with("k8s-team-"))
            .expect("the group's own security group")
            .clone();
        scene.admitted(&managed)
    };
    assert_eq!(admitted(&scene), ["80 192.0.2.0/24"]);
    scene.assert_settled();

    // One object of the class changes the balancer of all, and only what it says.
    scene.put("class.yaml", &class("120", "198.51.100.0/24"));
    let changed = scene.edit("Wait longer, for others");
    assert_eq!(elb_writes(&changed), ["ModifyLoadBalancerAttributes"]);
    assert_eq!(changed.count("ec2:AuthorizeSecurityGroupIngress"), 1);
    assert_eq!(changed.count("ec2:RevokeSecurityGroupIngress"), 1);
    assert_eq!(
        scene.attributes("load_balancer", &arn)["idle_timeout.timeout_seconds"],
        "120"
    );
    assert_eq!(admitted(&scene), ["80 198.51.100.0/24"]);
    scene.assert_settled();
    scene.assert_leaves_nothing(&seed);
}
