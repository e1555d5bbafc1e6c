//! Drift of what goes beyond the tutorial: certificates, policies, attributes, conditions, weights, order, subnets, tags
//! and pods. Each is put back within one sweep and told with what differed.

use serde_json::json;

use super::listeners::certificate;
use super::served::{deployment, ingress, paths};
use super::*;

const CONDITIONS: &str = r#"[{"field":"source-ip","sourceIpConfig":{"values":["10.0.0.0/8"]}}]"#;

#[test]
fn what_is_changed_by_hand_on_listeners_rules_and_targets_comes_back_within_a_sweep() {
    let (mut scene, _) = Scene::serving_with(&["app1", "app2"], |config| {
        config["sweep"] = json!({"period": format!("{}s", PERIOD.as_secs())});
    });
    let [a, b, foreign] =
        ["a", "b", "c"].map(|name| certificate(&scene, &[&format!("{name}.example.com")]));
    let split = json!({"type": "forward", "forwardConfig": {"targetGroups": [
        {"serviceName": "app1", "servicePort": 80, "weight": 80},
        {"serviceName": "app2", "servicePort": 80, "weight": 20},
    ]}})
    .to_string();
    let annotations = [
        ("target-type", "ip"),
        // Found by tags, those that the balancer has are taken (ingress-model §3.4), whoever gave them to it.
        (
            "subnets",
            "mz-k8s-private-a, mz-k8s-private-b, mz-k8s-private-c",
        ),
        ("listen-ports", r#"[{"HTTPS":443}]"#),
        ("certificate-arn", &format!("{a},{b}")),
        ("ssl-policy", "ELBSecurityPolicy-TLS13-1-2-2021-06"),
        (
            "mutual-authentication",
            r#"[{"port":443,"mode":"passthrough"}]"#,
        ),
        (
            "listener-attributes.HTTPS-443",
            "routing.http.response.server.enabled=false",
        ),
        (
            "load-balancer-attributes",
            "idle_timeout.timeout_seconds=90",
        ),
        (
            "target-group-attributes",
            "deregistration_delay.timeout_seconds=30",
        ),
        ("tags", "team=web"),
        ("actions.split", &split),
        ("conditions.app1", CONDITIONS),
    ];
    let given = [("/office", "app1"), ("/split", "split:use-annotation")];
    scene.put("pods.yaml", &[deployment("app1", 2), deployment("app2", 2)]);
    scene.put(
        "web.yaml",
        &[ingress("web", &annotations, &[paths("", &given)])],
    );
    scene.push("With a bit of everything");
    scene.ready();
    scene.eventually("all pods registered", PATIENCE, |_| {
        let both = ["app1", "app2"].map(|name| scene.targets(&scene.target_group(name)).len());
        (both == [2, 2]).then_some(())
    });
    let before = scene.bed.dump();

    let balancer = scene.balancer()["LoadBalancerArn"].take();
    let listener = scene.listeners()[&443]["ListenerArn"].clone();
    let rules = scene.raw_rules(&scene.listeners()[&443]);
    let group = scene.target_group("app1")["TargetGroupArn"].take();
    let rule = |part: &str| {
        let found = rules
            .iter()
            .find(|rule| rule["Conditions"].to_string().contains(part));
        found.expect("a rule of that path").clone()
    };
    let (office, split) = (rule("/office"), rule("/split"));
    let weighted = {
        let mut actions = split["Actions"].clone();
        actions[0]["ForwardConfig"]["TargetGroups"][0]["Weight"] = json!(1);
        actions
    };
    let certificates =
        |arn: &str| json!({"ListenerArn": listener, "Certificates": [{"CertificateArn": arn}]});
    let attributes = |name: &str, arn: &Value, key: &str, value: &str| json!({name: arn, "Attributes": [{"Key": key, "Value": value}]});
    let subnets = list(&scene.balancer()["AvailabilityZones"])[..2]
        .iter()
        .map(|zone| zone["SubnetId"].clone())
        .collect::<Vec<_>>();
    let target = text(&json!(scene.targets(&scene.target_group("app1"))[0])).to_owned();
    let (address, _) = target.split_once(':').expect("an address and a port");
    let by_hand = [
        (
            "RemoveListenerCertificates",
            certificates(&b),
            "certificate",
        ),
        (
            "AddListenerCertificates",
            certificates(&foreign),
            "certificate",
        ),
        (
            "ModifyListener",
            json!({"ListenerArn": listener, "SslPolicy": "ELBSecurityPolicy-2016-08", "MutualAuthentication": {"Mode": "off"}}),
            "SSL policy",
        ),
        (
            "ModifyListenerAttributes",
            attributes(
                "ListenerArn",
                &listener,
                "routing.http.response.server.enabled",
                "true",
            ),
            "routing.http.response.server.enabled",
        ),
        (
            "ModifyLoadBalancerAttributes",
            attributes(
                "LoadBalancerArn",
                &balancer,
                "idle_timeout.timeout_seconds",
                "60",
            ),
            "idle_timeout.timeout_seconds",
        ),
        (
            "ModifyTargetGroupAttributes",
            attributes(
                "TargetGroupArn",
                &group,
                "deregistration_delay.timeout_seconds",
                "300",
            ),
            "deregistration_delay.timeout_seconds",
        ),
        (
            "ModifyRule",
            json!({"RuleArn": office["RuleArn"], "Conditions": [{"Field": "path-pattern", "PathPatternConfig": {"Values": ["/office", "/office/*"]}}]}),
            "10.0.0.0/8",
        ),
        (
            "ModifyRule",
            json!({"RuleArn": split["RuleArn"], "Actions": weighted}),
            "80",
        ),
        (
            "SetSubnets",
            json!({"LoadBalancerArn": balancer, "Subnets": subnets}),
            "subnets",
        ),
        (
            "RemoveTags",
            json!({"ResourceArns": [balancer], "TagKeys": ["team"]}),
            "team",
        ),
        (
            "DeregisterTargets",
            json!({"TargetGroupArn": group, "Targets": [{"Id": address}]}),
            address,
        ),
    ];
    for (operation, parameters, _) in &by_hand {
        scene.bed.aws("elbv2", operation, parameters.clone());
    }
    scene.eventually("everything is as it was", PATIENCE, |bed| {
        (bed.dump() == before).then_some(())
    });
    for (operation, _, told) in by_hand {
        scene.daemon.wait_for(
            &format!("a report of {told} after {operation}"),
            PATIENCE,
            |status| status["drift"].to_string().contains(told),
        );
    }
    scene.assert_guard();
}
