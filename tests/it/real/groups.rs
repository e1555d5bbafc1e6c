//! Several Ingresses behind one balancer: their order, and members that come and go (ingress-model §1.3).

use serde_json::json;

use super::served::{elb_writes, ingress, paths, service};
use super::*;

/// A member of group `shop` with one path of its own.
fn member(name: &str, order: &str, path: &str, service: &str) -> Value {
    let annotations = [("group.name", "shop"), ("group.order", order)];
    ingress(name, &annotations, &[paths("", &[(path, service)])])
}

fn alone(name: &str, path: &str, service: &str) -> Value {
    ingress(name, &[], &[paths("", &[(path, service)])])
}

/// The paths of all rules of the group's balancer, in order, with their ARNs.
fn routes(scene: &Scene, balancer: &str) -> Vec<(String, Value)> {
    let balancers = scene.balancers();
    let listener = scene.listeners_of(&balancers[balancer])[&80].clone();
    rules(&scene.bed, &listener["ListenerArn"])
        .into_iter()
        .map(|rule| (rule.paths[0].clone(), rule.arn))
        .collect()
}

fn order(routes: &[(String, Value)]) -> Vec<&str> {
    routes.iter().map(|(path, _)| path.as_str()).collect()
}

#[test]
fn members_share_a_balancer_in_their_order_and_come_and_go_without_touching_each_other() {
    let (mut scene, seed) = Scene::serving(&["app1", "app2"]);
    // A namespace beside: groups span them.
    scene.bed.kubectl(&["create", "namespace", "side"]);
    let mut beside = service("app3", &[]);
    beside["metadata"]["namespace"] = json!("side");
    let mut third = member("c", "30", "/c", "app3");
    third["metadata"]["namespace"] = json!("side");
    scene.put("side.yaml", &[beside, third]);
    scene.put("a.yaml", &[member("a", "20", "/a", "app1")]);
    scene.put("b.yaml", &[member("b", "10", "/b", "app2")]);
    let created = scene.edit("A shop of three parts");
    assert_eq!(
        created.count("elasticloadbalancing:CreateLoadBalancer"),
        1,
        "{}",
        created.render()
    );
    let balancer = scene.balancer();
    let shop = text(&balancer["LoadBalancerName"]).to_owned();
    assert!(shop.starts_with("k8s-shop-"), "{shop}");
    let tags = scene.tags(&balancer["LoadBalancerArn"]);
    assert_eq!(tags["ingress.k8s.aws/stack"], "shop");
    let first = routes(&scene, &shop);
    assert_eq!(order(&first), ["/b", "/a", "/c"], "by group.order");
    let dns = text(&balancer["DNSName"]).to_lowercase();
    for (namespace, name) in [("default", "a"), ("default", "b"), ("side", "c")] {
        let live = scene.bed.object("ingress", namespace, name).expect(name);
        let address = &live["status"]["loadBalancer"]["ingress"][0]["hostname"];
        assert_eq!(address, &dns, "{namespace}/{name}");
    }
    scene.assert_settled();

    // The other way round: nothing but the numbers.
    scene.put("b.yaml", &[member("b", "25", "/b", "app2")]);
    let moved = scene.edit("Look for a first");
    assert_eq!(elb_writes(&moved), ["SetRulePriorities"]);
    let second = routes(&scene, &shop);
    assert_eq!(order(&second), ["/a", "/b", "/c"]);
    for (path, arn) in &first {
        assert!(
            second.contains(&(path.clone(), arn.clone())),
            "{path} is the rule that it was"
        );
    }
    scene.assert_settled();

    // One leaves for a balancer of its own; the new way is there before the old one goes.
    scene.put("a.yaml", &[alone("a", "/a", "app1")]);
    let left = scene.edit("Let a go its own way");
    left.assert_order(
        "elasticloadbalancing:CreateRule",
        "elasticloadbalancing:DeleteRule",
    );
    assert_eq!(left.count("elasticloadbalancing:DeleteLoadBalancer"), 0);
    let own = scene
        .balancers()
        .into_keys()
        .find(|name| *name != shop)
        .expect("a second balancer");
    assert!(own.starts_with("k8s-default-a-"), "{own}");
    assert_eq!(order(&routes(&scene, &own)), ["/a"]);
    assert_eq!(
        routes(&scene, &shop),
        second[1..],
        "the others are as before"
    );
    scene.assert_settled();

    // And back: the balancer of its own goes with everything that belonged to it.
    scene.put("a.yaml", &[member("a", "5", "/a", "app1")]);
    let back = scene.edit("Take a back");
    back.assert_order(
        "elasticloadbalancing:CreateRule",
        "elasticloadbalancing:DeleteLoadBalancer",
    );
    assert_eq!(scene.balancers().len(), 1);
    let third = routes(&scene, &shop);
    assert_eq!(order(&third), ["/a", "/b", "/c"]);
    assert_eq!(third[1..], second[1..]);

    // A member that is gone takes only its own along.
    scene.repo.remove("b.yaml");
    let gone = scene.edit("Close b");
    assert_eq!(elb_writes(&gone), ["DeleteRule", "DeleteTargetGroup"]);
    assert_eq!(order(&routes(&scene, &shop)), ["/a", "/c"]);
    scene.assert_settled();
    scene.assert_leaves_nothing(&seed);
}
