//! Changed or deleted by hand, it comes back within one sweep and is reported with what differed.

use serde_json::json;

use super::*;

/// Does `by_hand`, and waits until exactly `healing` was written and `status` reports `resource` with a difference that
/// contains each of `told`. Everything must then be as before.
#[track_caller]
pub(super) fn heals(
    scene: &mut Scene,
    what: &str,
    by_hand: impl FnOnce(&Scene),
    healing: &[&str],
    (resource, told): (&str, &[&str]),
) -> Value {
    let before = scene.bed.dump();
    let known = reports(scene);
    by_hand(scene);
    let mark = scene.bed.proxy.mark();
    let begun = Instant::now();
    let limit = PERIOD + SLACK;
    let status = scene
        .daemon
        .wait_for(&format!("{what} reported"), limit, |status| {
            news(status, &known).iter().any(|report| {
                let line = report.to_string();
                text(&report["resource"]).starts_with(resource)
                    && report["healed"] == true
                    && told.iter().all(|part| line.contains(part))
            })
        });
    assert!(begun.elapsed() <= limit, "{what}: {:?}", begun.elapsed());
    scene.eventually(&format!("{what} as before"), SLACK, |bed| {
        (bed.dump() == before).then_some(())
    });
    let mut allowed: Vec<String> = healing.iter().map(|label| (*label).to_owned()).collect();
    allowed.sort();
    assert_eq!(
        scene.writes(mark),
        allowed,
        "{what}:\n{}",
        scene.since(mark).render()
    );
    status
}

fn reports(scene: &Scene) -> Vec<Value> {
    scene
        .daemon
        .status()
        .map(|status| list(&status["drift"]).to_vec())
        .unwrap_or_default()
}

/// Reports that were not there before.
fn news(status: &Value, known: &[Value]) -> Vec<Value> {
    list(&status["drift"])
        .iter()
        .skip(known.len())
        .cloned()
        .collect()
}

#[test]
fn what_a_hand_changes_at_the_balancer_comes_back() {
    let mut scene = Scene::tutorial(PERIOD);
    let balancer = scene.balancer()["LoadBalancerArn"].take();
    let ids = scene.identities();

    let rule = scene.rule("/app1");
    let elsewhere = scene.rule("/app2").target_group;
    heals(
        &mut scene,
        "a rule that leads elsewhere",
        |scene| {
            let forward = json!([{"Type": "forward", "TargetGroupArn": elsewhere}]);
            scene.bed.aws(
                "elbv2",
                "ModifyRule",
                json!({"RuleArn": rule.arn, "Actions": forward}),
            );
        },
        &["elasticloadbalancing:ModifyRule"],
        ("rule", &["action", "app2:80", "app1:80"]),
    );
    heals(
        &mut scene,
        "a default action that lets everybody in",
        |scene| {
            let listener = scene.listener()["ListenerArn"].take();
            let answer = json!([{"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "200", "ContentType": "text/plain"}}]);
            scene.bed.aws(
                "elbv2",
                "ModifyListener",
                json!({"ListenerArn": listener, "DefaultActions": answer}),
            );
        },
        &["elasticloadbalancing:ModifyListener"],
        ("listener", &["200", "404"]),
    );
    heals(
        &mut scene,
        "a tag of ours with another value",
        |scene| {
            let tags = json!([{"Key": "ingress.k8s.aws/resource", "Value": "mine"}]);
            scene.bed.aws(
                "elbv2",
                "AddTags",
                json!({"ResourceArns": [balancer], "Tags": tags}),
            );
        },
        &["elasticloadbalancing:AddTags"],
        ("load balancer", &["ingress.k8s.aws/resource", "mine"]),
    );
    heals(
        &mut scene,
        "a lost tag of ours",
        |scene| {
            let group = scene.target_group("app1")["TargetGroupArn"].take();
            scene.bed.aws(
                "elbv2",
                "RemoveTags",
                json!({"ResourceArns": [group], "TagKeys": ["ingress.k8s.aws/stack"]}),
            );
        },
        &["elasticloadbalancing:AddTags"],
        ("target group", &["ingress.k8s.aws/stack"]),
    );
    heals(
        &mut scene,
        "a health check that asks elsewhere",
        |scene| {
            let group = scene.target_group("app2")["TargetGroupArn"].take();
            scene.bed.aws(
                "elbv2",
                "ModifyTargetGroup",
                json!({"TargetGroupArn": group, "HealthCheckPath": "/elsewhere"}),
            );
        },
        &["elasticloadbalancing:ModifyTargetGroup"],
        ("target group", &["/elsewhere"]),
    );
    let target = json!([{"Id": scene.bed.facts["aws"]["instances"][0]["id"], "Port": scene.node_port("app1")}]);
    heals(
        &mut scene,
        "a target that was taken out",
        |scene| {
            let group = scene.target_group("app1")["TargetGroupArn"].take();
            scene.bed.aws(
                "elbv2",
                "DeregisterTargets",
                json!({"TargetGroupArn": group, "Targets": target}),
            );
        },
        &["elasticloadbalancing:RegisterTargets"],
        ("target group", &["targets", text(&target[0]["Id"])]),
    );
    assert_same("identities", &ids, &scene.identities());

    heals(
        &mut scene,
        "a rule that was deleted",
        |scene| {
            let arn = scene.rule("/app2").arn;
            scene
                .bed
                .aws("elbv2", "DeleteRule", json!({"RuleArn": arn}));
        },
        &["elasticloadbalancing:CreateRule"],
        ("rule", &["/app2"]),
    );
    scene.event("app-aws-ingress", "DriftHealed", &["/elsewhere"]);
    scene.assert_guard();
}

#[test]
fn an_attribute_that_git_sets_comes_back() {
    let mut scene = Scene::empty(PERIOD);
    scene.repo.copy_from_checkout("examples/tutorial");
    let scheme = "    alb.ingress.kubernetes.io/scheme: internet-facing\n";
    let timeout =
        "    alb.ingress.kubernetes.io/load-balancer-attributes: idle_timeout.timeout_seconds=75\n";
    scene
        .repo
        .edit("ingress.yaml", scheme, &format!("{scheme}{timeout}"));
    scene.push("The tutorial, patient");
    scene.ready();
    let balancer = scene.balancer()["LoadBalancerArn"].take();
    heals(
        &mut scene,
        "an attribute of ours",
        |scene| {
            let attributes = json!([{"Key": "idle_timeout.timeout_seconds", "Value": "10"}]);
            let request = json!({"LoadBalancerArn": balancer, "Attributes": attributes});
            scene
                .bed
                .aws("elbv2", "ModifyLoadBalancerAttributes", request);
        },
        &["elasticloadbalancing:ModifyLoadBalancerAttributes"],
        (
            "load balancer",
            &["idle_timeout.timeout_seconds", "\"10\"", "\"75\""],
        ),
    );
    scene.assert_guard();
}

#[test]
fn permissions_come_back_and_go() {
    let mut scene = Scene::tutorial(PERIOD);
    let managed = scene.security_group("k8s-default-appawsin-e24e482dfa")["GroupId"].take();
    let everybody = json!([{"IpProtocol": "tcp", "FromPort": 80, "ToPort": 80, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}]);
    heals(
        &mut scene,
        "a revoked permission",
        |scene| {
            let request = json!({"GroupId": managed, "IpPermissions": everybody});
            scene.bed.aws("ec2", "RevokeSecurityGroupIngress", request);
        },
        &["ec2:AuthorizeSecurityGroupIngress"],
        ("security group", &["permission", "0.0.0.0/0"]),
    );
    heals(
        &mut scene,
        "a permission that we did not set in a group of ours",
        |scene| {
            let ssh = json!([{"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "IpRanges": [{"CidrIp": "10.0.0.0/8"}]}]);
            scene.bed.aws(
                "ec2",
                "AuthorizeSecurityGroupIngress",
                json!({"GroupId": managed, "IpPermissions": ssh}),
            );
        },
        &["ec2:RevokeSecurityGroupIngress"],
        ("security group", &["permission", "22", "10.0.0.0/8"]),
    );
    let backend = scene.security_group("k8s-traffic-mzk8s-0276909bf6")["GroupId"].take();
    let group = scene.node_group();
    let (a, b) = (scene.node_port("app1"), scene.node_port("app2"));
    heals(
        &mut scene,
        "a revoked permission of the nodes",
        |scene| {
            let mut permissions = scene.node_permissions();
            permissions.retain(|it| it["UserIdGroupPairs"][0]["GroupId"] == backend);
            let permission = only(Value::Array(permissions));
            let permission = json!([{
                "IpProtocol": "tcp", "FromPort": permission["FromPort"], "ToPort": permission["ToPort"],
                "UserIdGroupPairs": permission["UserIdGroupPairs"],
            }]);
            scene.bed.aws(
                "ec2",
                "RevokeSecurityGroupIngress",
                json!({"GroupId": group, "IpPermissions": permission}),
            );
        },
        &["ec2:AuthorizeSecurityGroupIngress"],
        ("security group", &["permission", &a.min(b).to_string()]),
    );
    scene.assert_guard();
}

#[test]
fn what_a_hand_changes_in_the_cluster_comes_back() {
    let mut scene = Scene::tutorial(PERIOD);
    heals(
        &mut scene,
        "an edited Ingress",
        |scene| {
            let patch = r#"[{"op": "replace", "path": "/spec/rules/0/http/paths/0/path", "value": "/hijacked"}]"#;
            scene.bed.kubectl(&[
                "patch",
                "ingress",
                "app-aws-ingress",
                "--type",
                "json",
                "--patch",
                patch,
            ]);
        },
        &[INGRESS],
        ("object", &["app-aws-ingress", "/hijacked", "/app1"]),
    );
    heals(
        &mut scene,
        "a ServiceAccount with another role",
        |scene| {
            let role = "eks.amazonaws.com/role-arn=arn:aws:iam::123456789012:role/other";
            scene
                .bed
                .kubectl(&["annotate", "--overwrite", "serviceaccount", "app1", role]);
        },
        &["apply serviceaccounts default/app1"],
        (
            "object",
            &["app1", "eks.amazonaws.com/role-arn", "role/other"],
        ),
    );
    heals(
        &mut scene,
        "a Service with another port",
        |scene| {
            let patch = r#"[{"op": "replace", "path": "/spec/ports/0/targetPort", "value": 9999}]"#;
            scene.bed.kubectl(&[
                "patch", "service", "app2", "--type", "json", "--patch", patch,
            ]);
        },
        &["apply services default/app2"],
        ("object", &["app2", "9999"]),
    );

    // Deleted: made anew, with nothing in AWS changed.
    let balancer = scene.balancer();
    let before = scene.bed.dump();
    let mark = scene.bed.proxy.mark();
    scene.bed.kubectl(&["delete", "ingress", "app-aws-ingress"]);
    scene.eventually(
        "the Ingress is back, with its address",
        PERIOD + SLACK,
        |bed| {
            let ingress = bed.object("ingress", "default", "app-aws-ingress")?;
            let host = ingress["status"]["loadBalancer"]["ingress"][0]["hostname"].as_str()?;
            (*host == text(&balancer["DNSName"]).to_lowercase()).then_some(())
        },
    );
    scene.bed.kubectl(&["delete", "serviceaccount", "app1"]);
    scene.eventually("the ServiceAccount is back", PERIOD + SLACK, |bed| {
        bed.object("serviceaccount", "default", "app1")
    });
    for object in ["app-aws-ingress", "app1"] {
        scene
            .daemon
            .wait_for(&format!("{object} reported"), SLACK, |status| {
                list(&status["drift"]).iter().any(|report| {
                    let gone = list(&report["differences"])
                        .iter()
                        .any(|it| it["live"].is_null());
                    text(&report["resource"]).ends_with(&format!("/{object}"))
                        && report["healed"] == true
                        && gone
                })
            });
    }
    assert_eq!(
        scene.since(mark).on(Plane::Aws).writes().len(),
        0,
        "{}",
        scene.since(mark).render()
    );
    assert_same("after the deletes", &before, &scene.bed.dump());
    scene.assert_guard();
}

#[test]
fn a_service_that_a_hand_deleted_comes_back_with_its_targets_on_the_new_node_port() {
    let mut scene = Scene::tutorial(PERIOD);
    let before = scene.node_port("app1");
    scene
        .bed
        .kubectl(&["--namespace", "default", "delete", "service", "app1"]);

    let port = scene.eventually("the Service anew", PERIOD + SLACK, |bed| {
        let service = bed.object("service", "default", "app1")?;
        service["spec"]["ports"][0]["nodePort"].as_u64()
    });
    assert_ne!(port, before, "the API server chose the same port by chance");
    let nodes = list(&scene.bed.facts["aws"]["instances"]).len();
    let registered = |scene: &Scene| -> Vec<(String, u64)> {
        let group = scene.target_group("app1")["TargetGroupArn"].take();
        let health = scene.bed.aws(
            "elbv2",
            "DescribeTargetHealth",
            json!({"TargetGroupArn": group}),
        );
        let mut targets: Vec<(String, u64)> = list(&health["TargetHealthDescriptions"])
            .iter()
            .filter(|it| it["TargetHealth"]["State"] != "draining")
            .map(|it| {
                let target = &it["Target"];
                let port = target["Port"].as_u64().expect("a port");
                (text(&target["Id"]).to_owned(), port)
            })
            .collect();
        targets.sort();
        targets
    };
    scene.eventually("targets on the new port only", PERIOD + SLACK, |_| {
        let targets = registered(&scene);
        let all_new = targets.iter().all(|(_, found)| *found == port);
        (targets.len() == nodes && all_new).then_some(())
    });

    // Nothing is registered again by the sweeps that follow the one that put it right.
    scene.healthy(&scene.repo.head());
    let mark = scene.bed.proxy.mark();
    let sweeps = |scene: &Scene| {
        scene
            .since(mark)
            .count("elasticloadbalancing:DescribeTargetHealth")
    };
    scene.eventually("three more sweeps", 4 * PERIOD + SLACK, |_| {
        (sweeps(&scene) >= 6).then_some(())
    });
    scene.assert_writes(mark, &[]);
    assert_eq!(registered(&scene).len(), nodes);
    scene.assert_guard();
}
