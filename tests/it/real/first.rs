//! The first create: names, tags, order (ingress-model §12), and the order in which it comes about.

use serde_json::json;

use super::*;

const HOST: &str = "sample-app.mamezou-tech.com";
const STACK: &str = "default/app-aws-ingress";

#[test]
fn the_first_commit_builds_what_the_worked_example_says() {
    let scene = Scene::tutorial(NEVER);

    let balancer = scene.balancer();
    assert_eq!(
        balancer["LoadBalancerName"],
        "k8s-default-appawsin-d61ace8b4a"
    );
    assert_eq!(balancer["Type"], "application");
    assert_eq!(balancer["Scheme"], "internet-facing");
    assert_eq!(balancer["IpAddressType"], "ipv4");
    let tracked = |resource: &str| json!({"elbv2.k8s.aws/cluster": "mz-k8s", "ingress.k8s.aws/stack": STACK, "ingress.k8s.aws/resource": resource});
    assert_eq!(
        scene.tags(&balancer["LoadBalancerArn"]),
        tracked("LoadBalancer")
    );
    let subnets = scene.bed.aws(
        "ec2",
        "DescribeSubnets",
        json!({"Filters": [{"Name": "tag-key", "Values": ["kubernetes.io/role/elb"]}]}),
    );
    let sorted = |items: &Value, name: &str| {
        let mut ids: Vec<String> = list(items)
            .iter()
            .map(|item| text(&item[name]).to_owned())
            .collect();
        ids.sort();
        ids
    };
    assert_eq!(
        sorted(&balancer["AvailabilityZones"], "SubnetId"),
        sorted(&subnets["Subnets"], "SubnetId")
    );
    assert_eq!(list(&subnets["Subnets"]).len(), 3);

    let managed = scene.security_group("k8s-default-appawsin-e24e482dfa");
    assert_eq!(
        managed["Description"],
        "[k8s] Managed SecurityGroup for LoadBalancer"
    );
    assert_eq!(pairs(&managed["Tags"]), tracked("ManagedLBSecurityGroup"));
    let admitted = only(managed["IpPermissions"].clone());
    assert_eq!(
        json!([
            admitted["IpProtocol"],
            admitted["FromPort"],
            admitted["ToPort"],
            admitted["IpRanges"][0]["CidrIp"]
        ]),
        json!(["tcp", 80, 80, "0.0.0.0/0"])
    );
    assert_eq!(admitted["Ipv6Ranges"].as_array().map_or(0, Vec::len), 0);
    let backend = scene.security_group("k8s-traffic-mzk8s-0276909bf6");
    assert_eq!(
        pairs(&backend["Tags"]),
        json!({"elbv2.k8s.aws/cluster": "mz-k8s", "elbv2.k8s.aws/resource": "backend-sg"})
    );
    let mut groups: Vec<&str> = list(&balancer["SecurityGroups"]).iter().map(text).collect();
    groups.sort_unstable();
    let mut expected = vec![text(&managed["GroupId"]), text(&backend["GroupId"])];
    expected.sort_unstable();
    assert_eq!(groups, expected);

    let listener = scene.listener();
    assert_eq!(
        json!([listener["Protocol"], listener["Port"]]),
        json!(["HTTP", 80])
    );
    let default = only(listener["DefaultActions"].clone());
    assert_eq!(default["Type"], "fixed-response");
    assert_eq!(default["FixedResponseConfig"]["StatusCode"], "404");
    assert_eq!(default["FixedResponseConfig"]["ContentType"], "text/plain");
    assert_eq!(scene.tags(&listener["ListenerArn"]), tracked("80"));

    let rules = scene.rules();
    assert_eq!(scene.paths(), ["/app1", "/app2"]);
    let instances: Vec<&str> = list(&scene.bed.facts["aws"]["instances"])
        .iter()
        .map(|instance| text(&instance["id"]))
        .collect();
    for (rule, service) in rules.iter().zip(["app1", "app2"]) {
        assert_eq!(rule.hosts, [HOST]);
        assert_eq!(rule.paths, [format!("/{service}"), format!("/{service}/*")]);
        let number = format!("80:{}", rule.priority);
        assert_eq!(
            scene.tags(&rule.arn),
            tracked(&number),
            "the number as of creation (decision 17)"
        );
        let group = scene.target_group(service);
        assert_eq!(rule.target_group, group["TargetGroupArn"]);
        let port = scene.node_port(service);
        for (field, value) in [
            ("TargetType", json!("instance")),
            ("Protocol", json!("HTTP")),
            ("ProtocolVersion", json!("HTTP1")),
            ("Port", json!(port)),
            ("HealthCheckPort", json!("traffic-port")),
            ("HealthCheckProtocol", json!("HTTP")),
            ("HealthCheckPath", json!("/")),
            ("HealthCheckIntervalSeconds", json!(15)),
            ("HealthCheckTimeoutSeconds", json!(5)),
            ("HealthyThresholdCount", json!(2)),
            ("UnhealthyThresholdCount", json!(2)),
            ("Matcher", json!({"HttpCode": "200"})),
        ] {
            assert_eq!(group[field], value, "{service}: {field}");
        }
        assert_eq!(
            scene.tags(&group["TargetGroupArn"]),
            tracked(&format!("{STACK}-{service}:80"))
        );
        assert_eq!(
            targets(&scene.bed, &group),
            instances_at(&instances, port),
            "{service}"
        );
    }

    // One permission from the backend group over both node ports, with LBC's mark.
    let (a, b) = (scene.node_port("app1"), scene.node_port("app2"));
    let from_us: Vec<Value> = scene
        .node_permissions()
        .into_iter()
        .filter(|it| {
            list(&it["UserIdGroupPairs"])
                .iter()
                .any(|pair| pair["GroupId"] == backend["GroupId"])
        })
        .collect();
    let permission = only(Value::Array(from_us));
    assert_eq!(
        json!([
            permission["IpProtocol"],
            permission["FromPort"],
            permission["ToPort"]
        ]),
        json!(["tcp", a.min(b), a.max(b)])
    );
    assert_eq!(
        permission["UserIdGroupPairs"][0]["Description"],
        "elbv2.k8s.aws/targetGroupBinding=shared"
    );
    scene.assert_guard();
}

#[test]
fn a_role_stands_before_whoever_uses_it_and_targets_before_traffic() {
    let mut scene = Scene::empty(NEVER);
    scene.repo.copy_from_checkout("examples/tutorial");
    let commit = scene.push("The tutorial");

    let journal = scene.bed.proxy.journal();
    for (before, after) in [
        ("iam:CreateOpenIDConnectProvider", "iam:CreateRole"),
        ("iam:CreatePolicy", "iam:AttachRolePolicy"),
        ("iam:CreateRole", "iam:AttachRolePolicy"),
        ("iam:AttachRolePolicy", "apply serviceaccounts default/app1"),
        (
            "apply serviceaccounts default/app1",
            "apply apps/deployments default/app1",
        ),
        (
            "apply configmaps default/app1",
            "apply apps/deployments default/app1",
        ),
        (
            "apply services default/app1",
            "apply networking.k8s.io/ingresses",
        ),
        (
            "apply networking.k8s.io/ingressclasses",
            "apply networking.k8s.io/ingresses",
        ),
        (
            "apply services default/app2",
            "elasticloadbalancing:CreateTargetGroup",
        ),
        (
            "ec2:CreateSecurityGroup",
            "elasticloadbalancing:CreateLoadBalancer",
        ),
        (
            "elasticloadbalancing:CreateLoadBalancer",
            "elasticloadbalancing:CreateListener",
        ),
        (
            "elasticloadbalancing:CreateListener",
            "elasticloadbalancing:CreateRule",
        ),
        (
            "elasticloadbalancing:RegisterTargets",
            "elasticloadbalancing:CreateRule",
        ),
        (
            "ec2:AuthorizeSecurityGroupIngress",
            "elasticloadbalancing:CreateRule",
        ),
        (
            "elasticloadbalancing:CreateRule",
            &format!("patch {STATUS}"),
        ),
    ] {
        scene.changes(0).assert_order(before, after);
    }

    // The role: path, boundary, trust in the provider for this one account, the owned policy from the file.
    let role = scene.role();
    assert_eq!(text(&role["Path"]).split('/').nth(1), Some("albsync"));
    let full = scene
        .bed
        .aws("iam", "GetRole", json!({"RoleName": role["RoleName"]}))["Role"]
        .take();
    assert_eq!(
        full["PermissionsBoundary"]["PermissionsBoundaryArn"],
        scene.bed.fact("/aws/boundary")
    );
    let statement = only(full["AssumeRolePolicyDocument"]["Statement"].clone());
    let provider = only(
        scene
            .bed
            .aws("iam", "ListOpenIDConnectProviders", json!({}))["OpenIDConnectProviderList"]
            .take(),
    );
    assert_eq!(statement["Principal"]["Federated"], provider["Arn"]);
    assert_eq!(statement["Action"], "sts:AssumeRoleWithWebIdentity");
    let conditions = statement["Condition"]["StringEquals"]
        .as_object()
        .expect("conditions");
    let condition = |end: &str| {
        conditions
            .iter()
            .find(|(key, _)| key.ends_with(end))
            .map(|(_, value)| value.clone())
            .unwrap_or_default()
    };
    assert_eq!(condition(":sub"), "system:serviceaccount:default:app1");
    assert_eq!(condition(":aud"), "sts.amazonaws.com");
    let attached = only(
        scene.bed.aws(
            "iam",
            "ListAttachedRolePolicies",
            json!({"RoleName": role["RoleName"]}),
        )["AttachedPolicies"]
            .take(),
    );
    let policy = scene.bed.aws(
        "iam",
        "GetPolicy",
        json!({"PolicyArn": attached["PolicyArn"]}),
    )["Policy"]
        .take();
    let version = scene.bed.aws(
        "iam",
        "GetPolicyVersion",
        json!({"PolicyArn": attached["PolicyArn"], "VersionId": policy["DefaultVersionId"]}),
    );
    let written: Value = serde_json::from_str(&scene.repo.read("read-assets.json")).expect("JSON");
    assert_eq!(version["PolicyVersion"]["Document"], written);
    let account = scene.object("serviceaccount", "app1");
    assert_eq!(
        account["metadata"]["annotations"]["eks.amazonaws.com/role-arn"],
        role["Arn"]
    );

    // What people see.
    let dns = text(&scene.balancer()["DNSName"]).to_lowercase();
    let ingress = scene.object("ingress", "app-aws-ingress");
    // §12 names no protocol: LBC sends none, and the API server shows that as an empty one.
    assert_eq!(
        ingress["status"]["loadBalancer"]["ingress"],
        json!([{"hostname": dns, "ports": [{"port": 80, "protocol": ""}]}])
    );
    assert!(scene.bed.kubectl(&["get", "ingress"]).contains(&dns));
    scene.event("app-aws-ingress", "SuccessfullyReconciled", &[&commit]);
    let described = scene
        .bed
        .kubectl(&["describe", "ingress", "app-aws-ingress"]);
    assert!(
        described
            .lines()
            .any(|line| line.contains("SuccessfullyReconciled") && line.contains(&commit)),
        "{described}"
    );
    let unmanaged: Vec<String> = journal
        .on(Plane::Kubernetes)
        .calls("apply")
        .iter()
        .filter(|entry| {
            entry
                .call
                .parameters
                .get("fieldManager")
                .map(String::as_str)
                != Some("albsync")
        })
        .map(|entry| entry.call.label())
        .collect();
    assert_eq!(unmanaged, Vec::<String>::new(), "not applied as albsync");
    scene.assert_guard();
}

#[test]
fn a_sweep_and_a_readme_write_nothing_and_the_readme_asks_aws_nothing() {
    let mut scene = Scene::tutorial(NEVER);
    let before = scene.bed.dump_with_ids();
    let (mark, audited) = (scene.bed.proxy.mark(), scene.audit().len());
    scene.repo.write("README.md", "Who routes what.\n");
    scene.push("Say what this is");
    let asked = scene.since(mark).on(Plane::Aws);
    assert!(asked.is_empty(), "{}", asked.render());
    scene.assert_changed_nothing(mark, audited);

    // A start looks at everything.
    let before_start = scene.bed.proxy.mark();
    assert!(
        scene
            .daemon
            .terminate(PATIENCE)
            .is_some_and(|status| status.success()),
        "SIGTERM ends it in order"
    );
    scene.daemon.run(&scene.bed);
    scene.daemon.wait_for("the first pass", PATIENCE, |status| {
        status["lastPass"]["trigger"] == "start" && status["health"] == "Healthy"
    });
    assert!(
        scene
            .since(before_start)
            .count("elasticloadbalancing:DescribeRules")
            > 0
    );
    scene.assert_changed_nothing(mark, audited);
    assert_same(
        "after a commit and a start that change nothing",
        &before,
        &scene.bed.dump_with_ids(),
    );
    scene.assert_guard();
}

/// `id:port` of a group's targets.
fn targets(bed: &Bed, group: &Value) -> Vec<String> {
    let health = bed.aws(
        "elbv2",
        "DescribeTargetHealth",
        json!({"TargetGroupArn": group["TargetGroupArn"]}),
    );
    let mut targets: Vec<String> = list(&health["TargetHealthDescriptions"])
        .iter()
        .map(|entry| {
            format!(
                "{}:{}",
                text(&entry["Target"]["Id"]),
                entry["Target"]["Port"]
            )
        })
        .collect();
    targets.sort();
    targets
}

fn instances_at(instances: &[&str], port: u64) -> Vec<String> {
    let mut targets: Vec<String> = instances.iter().map(|id| format!("{id}:{port}")).collect();
    targets.sort();
    targets
}
