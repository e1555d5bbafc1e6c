//! Changes in git: only the difference is sent, and a revert brings back what was.

use serde_json::json;

use super::*;

const THIRD_PATH: &str = "          - path: /app1/admin
            pathType: Prefix
            backend:
              service:
                name: app2
                port:
                  number: 80
";
const SCHEME: &str = "    alb.ingress.kubernetes.io/scheme: internet-facing\n";
const ACCESS_LOGS: &str = "    alb.ingress.kubernetes.io/load-balancer-attributes: access_logs.s3.enabled=true,\
access_logs.s3.bucket=my-logs,access_logs.s3.prefix=edge\n";

#[test]
fn a_changed_path_sends_its_rule_and_a_revert_brings_everything_back() {
    let mut scene = Scene::tutorial(NEVER);
    let (before, ids) = (scene.bed.dump(), scene.identities());

    let mark = scene.bed.proxy.mark();
    scene
        .repo
        .edit("ingress.yaml", "path: /app1", "path: /shop");
    let commit = scene.push("Serve the shop");
    assert_eq!(scene.paths(), ["/shop", "/app2"]);
    // Made before broken: at no time is neither there.
    scene.assert_writes(
        mark,
        &[
            INGRESS,
            "elasticloadbalancing:CreateRule",
            "elasticloadbalancing:DeleteRule",
        ],
    );
    scene.changes(mark).assert_order(
        "elasticloadbalancing:CreateRule",
        "elasticloadbalancing:DeleteRule",
    );

    let mark = scene.bed.proxy.mark();
    scene.revert(&commit);
    scene.assert_writes(
        mark,
        &[
            INGRESS,
            "elasticloadbalancing:CreateRule",
            "elasticloadbalancing:DeleteRule",
        ],
    );
    assert_same("after the revert", &before, &scene.bed.dump());
    let mut after = scene.identities();
    // Of all identities only that of the rule for /app1 was not held by both commits.
    after["rules"]["/app1 /app1/*"] = ids["rules"]["/app1 /app1/*"].clone();
    assert_same("identities after the revert", &ids, &after);
    scene.assert_guard();
}

#[test]
fn a_third_path_that_sorts_first_moves_no_other_rule() {
    let mut scene = Scene::tutorial(NEVER);
    let (before, ids, rules) = (scene.bed.dump(), scene.identities(), scene.rules());

    let mark = scene.bed.proxy.mark();
    scene.repo.edit(
        "ingress.yaml",
        "          - path: /app1\n",
        &format!("{THIRD_PATH}          - path: /app1\n"),
    );
    let commit = scene.push("A way to the administration");
    assert_eq!(scene.paths(), ["/app1/admin", "/app1", "/app2"]);
    assert_eq!(
        scene.rules()[1..],
        rules,
        "the others keep their ARNs and numbers"
    );
    assert_eq!(
        scene.rule("/app1/admin").target_group,
        scene.target_group("app2")["TargetGroupArn"]
    );
    scene.assert_writes(mark, &[INGRESS, "elasticloadbalancing:CreateRule"]);

    let mark = scene.bed.proxy.mark();
    scene.revert(&commit);
    scene.assert_writes(mark, &[INGRESS, "elasticloadbalancing:DeleteRule"]);
    assert_same("after the revert", &before, &scene.bed.dump());
    assert_same("identities after the revert", &ids, &scene.identities());
    scene.assert_guard();
}

#[test]
fn access_logs_are_one_call_with_three_attributes_and_a_revert_resets_them() {
    let mut scene = Scene::tutorial(NEVER);
    let (before, ids) = (scene.bed.dump(), scene.bed.dump_with_ids());

    let mark = scene.bed.proxy.mark();
    scene
        .repo
        .edit("ingress.yaml", SCHEME, &format!("{SCHEME}{ACCESS_LOGS}"));
    let commit = scene.push("Keep access logs");
    scene.assert_writes(
        mark,
        &[INGRESS, "elasticloadbalancing:ModifyLoadBalancerAttributes"],
    );
    let journal = scene.since(mark);
    let call = &journal.calls("elasticloadbalancing:ModifyLoadBalancerAttributes")[0].call;
    let sent = call
        .parameters
        .keys()
        .filter(|name| name.ends_with(".Key"))
        .count();
    assert_eq!(sent, 3, "{:#?}", call.parameters);
    let arn = scene.balancer()["LoadBalancerArn"].take();
    let live = pairs(
        &scene.bed.aws(
            "elbv2",
            "DescribeLoadBalancerAttributes",
            json!({"LoadBalancerArn": arn}),
        )["Attributes"],
    );
    assert_eq!(
        json!([
            live["access_logs.s3.enabled"],
            live["access_logs.s3.bucket"],
            live["access_logs.s3.prefix"]
        ]),
        json!(["true", "my-logs", "edge"])
    );

    let mark = scene.bed.proxy.mark();
    scene.revert(&commit);
    scene.assert_writes(
        mark,
        &[INGRESS, "elasticloadbalancing:ModifyLoadBalancerAttributes"],
    );
    assert_same("after the revert", &before, &scene.bed.dump());
    assert_same(
        "with all ids after the revert",
        &ids,
        &scene.bed.dump_with_ids(),
    );
    scene.assert_guard();
}

#[test]
fn a_new_service_sends_what_is_new_and_a_revert_takes_it_away() {
    let mut scene = Scene::tutorial(NEVER);
    let (before, ids) = (scene.bed.dump(), scene.identities());
    let (a, b) = (scene.node_port("app1"), scene.node_port("app2"));

    let mark = scene.bed.proxy.mark();
    let app3 = scene.repo.read("app2.yaml").replace("app2", "app3");
    scene.repo.write("app3.yaml", &app3);
    let text = scene.repo.read("ingress.yaml");
    let path = THIRD_PATH
        .replace("/app1/admin", "/app3")
        .replace("app2", "app3");
    scene
        .repo
        .write("ingress.yaml", &format!("{}\n{path}", text.trim_end()));
    let commit = scene.push("A third application");
    assert_eq!(scene.paths(), ["/app1", "/app2", "/app3"]);
    let port = scene.node_port("app3");
    let mut expected = vec![
        "apply configmaps default/app3",
        "apply services default/app3",
        "apply apps/deployments default/app3",
        INGRESS,
        "elasticloadbalancing:CreateTargetGroup",
        "elasticloadbalancing:RegisterTargets",
        "elasticloadbalancing:CreateRule",
    ];
    let wider = port < a.min(b) || port > a.max(b);
    if wider {
        // The nodes admit one range, from the lowest to the highest node port.
        expected.extend([
            "ec2:AuthorizeSecurityGroupIngress",
            "ec2:RevokeSecurityGroupIngress",
        ]);
        scene.changes(mark).assert_order(
            "ec2:AuthorizeSecurityGroupIngress",
            "ec2:RevokeSecurityGroupIngress",
        );
    }
    scene.assert_writes(mark, &expected);
    scene.changes(mark).assert_order(
        "elasticloadbalancing:RegisterTargets",
        "elasticloadbalancing:CreateRule",
    );

    let mark = scene.bed.proxy.mark();
    scene.revert(&commit);
    let mut expected = vec![
        "delete configmaps default/app3",
        "delete services default/app3",
        "delete apps/deployments default/app3",
        INGRESS,
        "elasticloadbalancing:DeleteRule",
        "elasticloadbalancing:DeleteTargetGroup",
    ];
    if wider {
        expected.extend([
            "ec2:AuthorizeSecurityGroupIngress",
            "ec2:RevokeSecurityGroupIngress",
        ]);
    }
    scene.assert_writes(mark, &expected);
    scene.changes(mark).assert_order(
        "elasticloadbalancing:DeleteRule",
        "elasticloadbalancing:DeleteTargetGroup",
    );
    // Kubernetes' own controllers take the pods away in their own time.
    scene.eventually("the pods of app3 gone", PATIENCE, |bed| {
        bed.kubectl(&[
            "get",
            "replicasets,pods,endpointslices",
            "--selector",
            "app=app3",
            "--output",
            "name",
        ])
        .trim()
        .is_empty()
        .then_some(())
    });
    assert_same("after the revert", &before, &scene.bed.dump());
    assert_same("identities after the revert", &ids, &scene.identities());
    scene.assert_guard();
}
