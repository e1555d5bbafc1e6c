//! What is not ours on what is ours: reported and left, or taken out (decisions 3 and 26).

use serde_json::json;

use super::*;

#[test]
fn a_foreign_rule_and_a_foreign_tag_are_left_and_a_foreign_target_is_taken_out() {
    let mut scene = Scene::tutorial(PERIOD);
    let listener = scene.listener()["ListenerArn"].take();
    let balancer = scene.balancer()["LoadBalancerArn"].take();
    let mark = scene.bed.proxy.mark();

    let request = json!({
        "ListenerArn": listener, "Priority": 7,
        "Conditions": [{"Field": "path-pattern", "Values": ["/theirs"]}],
        "Actions": [{"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "204", "ContentType": "text/plain"}}],
    });
    let foreign =
        only(scene.bed.aws("elbv2", "CreateRule", request)["Rules"].take())["RuleArn"].take();
    let tag = json!([{"Key": "cost-centre", "Value": "42"}]);
    scene.bed.aws(
        "elbv2",
        "AddTags",
        json!({"ResourceArns": [balancer], "Tags": tag}),
    );
    let nodes = scene.node_group();
    let theirs = json!([{"IpProtocol": "tcp", "FromPort": 9100, "ToPort": 9100, "IpRanges": [{"CidrIp": "10.0.0.0/16"}]}]);
    scene.bed.aws(
        "ec2",
        "AuthorizeSecurityGroupIngress",
        json!({"GroupId": nodes, "IpPermissions": theirs}),
    );
    let status = scene
        .daemon
        .wait_for("the foreign rule reported", PERIOD + SLACK, |status| {
            list(&status["foreign"])
                .iter()
                .any(|it| it["id"] == foreign)
        });
    let said = String::from_utf8(scene.daemon.cli(&["status"]).stdout).expect("text");
    assert!(said.contains(text(&foreign)), "{status:#}\n{said}");
    sweeps(&mut scene, 2);
    scene.since(mark).assert_changed_nothing();
    let paths: Vec<String> = rules(&scene.bed, &listener)
        .into_iter()
        .map(|rule| rule.paths[0].clone())
        .collect();
    assert!(paths.contains(&"/theirs".to_owned()), "{paths:?}");
    assert_eq!(scene.tags(&balancer)["cost-centre"], "42");
    assert!(
        scene
            .node_permissions()
            .iter()
            .any(|it| it["FromPort"] == 9100)
    );

    // Nor do a foreign rule's number and ours collide when ours change.
    scene
        .repo
        .edit("ingress.yaml", "path: /app1", "path: /shop");
    scene.push("Serve the shop");
    let all = rules(&scene.bed, &listener);
    assert_eq!(
        all.iter()
            .find(|rule| rule.arn == foreign)
            .map(|rule| rule.priority),
        Some(7)
    );

    let group = scene.target_group("app1")["TargetGroupArn"].take();
    // A machine that is no Node: the emulator keeps targets by id alone, so one of ours would be overwritten.
    let subnet = &scene.bed.facts["aws"]["instances"][0]["subnet"];
    let images = scene.bed.aws("ec2", "DescribeImages", json!({}))["Images"].take();
    let image = &list(&images)[0]["ImageId"];
    let request = json!({"ImageId": image, "MinCount": 1, "MaxCount": 1, "SubnetId": subnet});
    let machine =
        only(scene.bed.aws("ec2", "RunInstances", request)["Instances"].take())["InstanceId"]
            .take();
    let target = json!([{"Id": machine, "Port": 8443}]);
    let mark = scene.bed.proxy.mark();
    scene.bed.aws(
        "elbv2",
        "RegisterTargets",
        json!({"TargetGroupArn": group, "Targets": target}),
    );
    let told = format!("{}:8443", text(&machine));
    scene
        .daemon
        .wait_for("the foreign target reported", PERIOD + SLACK, |status| {
            list(&status["drift"])
                .iter()
                .any(|it| it.to_string().contains(&told))
        });
    scene.assert_writes(mark, &["elasticloadbalancing:DeregisterTargets"]);
    let health = scene.bed.aws(
        "elbv2",
        "DescribeTargetHealth",
        json!({"TargetGroupArn": group}),
    );
    assert!(!health.to_string().contains(text(&machine)), "{health:#}");
    assert_eq!(list(&health["TargetHealthDescriptions"]).len(), 3);
    scene.assert_guard();
}

#[test]
fn an_ingress_of_our_class_that_git_does_not_hold_is_reported_and_never_touched() {
    let mut scene = Scene::tutorial(PERIOD);
    let mark = scene.bed.proxy.mark();
    scene.bed.kubectl_apply(
        r"
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: { name: by-hand, namespace: default }
spec:
  ingressClassName: aws
  defaultBackend: { service: { name: app1, port: { number: 80 } } }
",
    );
    let before = scene.object("ingress", "by-hand");
    let status = scene
        .daemon
        .wait_for("the foreign Ingress reported", PERIOD + SLACK, |status| {
            !list(&status["foreignIngresses"]).is_empty()
        });
    assert!(
        status["foreignIngresses"]
            .to_string()
            .contains("default/by-hand"),
        "{status:#}"
    );
    sweeps(&mut scene, 2);
    scene.since(mark).assert_changed_nothing();
    assert_eq!(scene.object("ingress", "by-hand"), before);
    scene.balancer();

    // What is ours goes on.
    scene.repo.edit("ingress.yaml", "path: /app2", "path: /two");
    scene.push("Another path");
    assert_eq!(scene.paths(), ["/app1", "/two"]);
    scene.bed.kubectl(&["delete", "ingress", "by-hand"]);
    scene
        .daemon
        .wait_for("nothing foreign", PERIOD + SLACK, |status| {
            list(&status["foreignIngresses"]).is_empty()
        });
    scene.assert_guard();
}

/// Waits for so many sweeps to begin and end.
fn sweeps(scene: &mut Scene, count: usize) {
    for _ in 0..count {
        let last = scene
            .daemon
            .status()
            .map(|status| status["lastPass"].clone())
            .unwrap_or_default();
        scene.daemon.wait_for("a sweep", PERIOD + SLACK, |status| {
            status["lastPass"]["trigger"] == "sweep" && status["lastPass"] != last
        });
    }
}
