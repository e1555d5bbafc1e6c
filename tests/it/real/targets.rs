//! Pods as targets: their addresses from EndpointSlices, a scale-up and -down, and what their nodes let in
//! (ingress-model §6, aws-deploy §4).

use serde_json::json;

use super::served::{deployment, elb_writes, ingress, parameters, paths};
use super::*;

/// `ADDRESS:PORT` of all ready pods of an application, as the API server has them.
fn pods(bed: &Bed, app: &str) -> Vec<String> {
    let selector = format!("app={app}");
    let answer = bed.kubectl(&["get", "pods", "--selector", &selector, "--output", "json"]);
    let answer: Value = serde_json::from_str(&answer).expect("pods in JSON");
    let mut found: Vec<String> = list(&answer["items"])
        .iter()
        .filter(|pod| {
            pod["status"]["conditions"]
                .as_array()
                .into_iter()
                .flatten()
                .any(|it| it["type"] == "Ready" && it["status"] == "True")
        })
        .map(|pod| format!("{}:8080", text(&pod["status"]["podIP"])))
        .collect();
    found.sort();
    found
}

/// Waits until the target group of the Service holds exactly its ready pods, so many of them.
#[track_caller]
fn follows(scene: &Scene, app: &str, count: usize) -> Vec<String> {
    scene.eventually(
        &format!("{count} pods of {app} registered"),
        PATIENCE,
        |bed| {
            let pods = pods(bed, app);
            (pods.len() == count && scene.targets(&scene.target_group(app)) == pods).then_some(pods)
        },
    )
}

#[test]
fn ready_pods_are_registered_and_followed_as_they_come_and_go() {
    let (mut scene, seed) = Scene::serving(&["app1"]);
    let with = |replicas: u32| [deployment("app1", replicas)];
    scene.put("pods.yaml", &with(2));
    scene.put(
        "web.yaml",
        &[ingress(
            "web",
            &[("target-type", "ip")],
            &[paths("", &[("/", "app1")])],
        )],
    );
    scene.push("Send traffic to the pods");
    let two = follows(&scene, "app1", 2);
    let group = scene.target_group("app1");
    assert_eq!(group["TargetType"], "ip");
    assert_eq!(group["Port"], 1, "LBC's placeholder for a named port");
    // Their nodes let the balancer in at the pods' port.
    let admitted = scene.node_permissions();
    let ours: Vec<&Value> = admitted
        .iter()
        .filter(|it| {
            it["UserIdGroupPairs"]
                .to_string()
                .contains("elbv2.k8s.aws/targetGroupBinding=shared")
        })
        .collect();
    assert_eq!(ours.len(), 1, "{admitted:#?}");
    assert_eq!(
        json!([ours[0]["FromPort"], ours[0]["ToPort"]]),
        json!([8080, 8080])
    );
    scene.assert_settled();

    // Nobody commits anything: a third pod is followed by its event, and only it is sent.
    let mark = scene.bed.proxy.mark();
    scene
        .bed
        .kubectl(&["scale", "deployment", "app1", "--replicas", "3"]);
    let three = scene.eventually("a third pod", PATIENCE, |bed| {
        let pods = pods(bed, "app1");
        (pods.len() == 3).then_some(pods)
    });
    let added: Vec<&String> = three.iter().filter(|it| !two.contains(it)).collect();
    follows_or_drift(&scene, mark, &added);

    // By a commit, and back to one: what is gone is taken out, what stays is not touched.
    scene.put("pods.yaml", &with(4));
    scene.push("Four of them");
    follows(&scene, "app1", 4);
    let mark = scene.bed.proxy.mark();
    scene.put("pods.yaml", &with(1));
    scene.push("One of them");
    follows(&scene, "app1", 1);
    let changed = scene.changes(mark);
    assert_eq!(
        changed.count("elasticloadbalancing:RegisterTargets"),
        0,
        "{}",
        changed.render()
    );
    assert!(changed.count("elasticloadbalancing:DeregisterTargets") >= 1);
    scene.assert_settled();

    // To the nodes instead: a new target group takes the old one's place in the rule.
    let rule = scene.rules()[0].arn.clone();
    scene.put(
        "web.yaml",
        &[ingress(
            "web",
            &[("target-type", "instance")],
            &[paths("", &[("/", "app1")])],
        )],
    );
    let changed = scene.edit("Send traffic to the nodes");
    assert_eq!(
        elb_writes(&changed),
        [
            "CreateTargetGroup",
            "DeleteTargetGroup",
            "ModifyRule",
            "RegisterTargets"
        ]
    );
    changed.assert_order(
        "elasticloadbalancing:RegisterTargets",
        "elasticloadbalancing:ModifyRule",
    );
    changed.assert_order(
        "elasticloadbalancing:ModifyRule",
        "elasticloadbalancing:DeleteTargetGroup",
    );
    assert_eq!(scene.rules()[0].arn, rule);
    assert_eq!(scene.target_group("app1")["TargetType"], "instance");
    assert_eq!(
        scene.targets(&scene.target_group("app1")).len(),
        3,
        "one a node"
    );
    scene.assert_settled();
    scene.assert_leaves_nothing(&seed);
}

/// A pod that came by hand is registered by a call that names only it (the Deployment's replicas are put back at a sweep,
/// which does not come in this test).
#[track_caller]
fn follows_or_drift(scene: &Scene, mark: usize, added: &[&String]) {
    let registered = scene.eventually("the call for the third pod", PATIENCE, |_| {
        let journal = scene.changes(mark);
        (journal.count("elasticloadbalancing:RegisterTargets") > 0).then_some(journal)
    });
    let sent = parameters(&registered, "elasticloadbalancing:RegisterTargets");
    let target = format!(
        "{}:{}",
        sent["Targets.member.1.Id"], sent["Targets.member.1.Port"]
    );
    assert_eq!(vec![&target], added);
    assert!(!sent.contains_key("Targets.member.2.Id"), "{sent:#?}");
    assert_eq!(elb_writes(&registered), ["RegisterTargets"]);
}
