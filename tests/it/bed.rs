//! The test bed itself: what the other tests rely on.

use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::bed::Bed;
use crate::support::proxy::{Fault, Match, Plane, Rule};
use crate::support::repo::Repo;

const DEPLOYMENT: &str = r"
apiVersion: apps/v1
kind: Deployment
metadata: { name: web, namespace: default }
spec:
  replicas: 2
  selector: { matchLabels: { app: web } }
  template:
    metadata: { labels: { app: web } }
    spec: { containers: [{ name: web, image: web, ports: [{ name: http, containerPort: 8080 }] }] }
---
apiVersion: v1
kind: Service
metadata: { name: web, namespace: default }
spec: { type: NodePort, selector: { app: web }, ports: [{ port: 80, targetPort: http }] }
";

fn eventually(what: &str, check: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !check() {
        assert!(Instant::now() < deadline, "{what}: not within 60 s");
        thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn nodes_are_ready_behind_the_instances() {
    let bed = Bed::shared();
    let nodes: serde_json::Value =
        serde_json::from_str(&bed.kubectl(&["get", "nodes", "--output", "json"])).expect("JSON");
    let mut behind: Vec<String> = Vec::new();
    for node in nodes["items"].as_array().expect("a list") {
        let conditions = node["status"]["conditions"].as_array().expect("conditions");
        assert!(
            conditions
                .iter()
                .any(|c| c["type"] == "Ready" && c["status"] == "True"),
            "{node:#}"
        );
        behind.push(
            node["spec"]["providerID"]
                .as_str()
                .expect("a provider id")
                .to_owned(),
        );
    }
    let instances = bed.facts["aws"]["instances"].as_array().expect("instances");
    let mut expected: Vec<String> = instances
        .iter()
        .map(|i| {
            format!(
                "aws:///{}/{}",
                i["zone"].as_str().expect("zone"),
                i["id"].as_str().expect("id")
            )
        })
        .collect();
    behind.sort();
    expected.sort();
    assert_eq!(behind, expected);
    assert_eq!(expected.len(), 3);
}

#[test]
fn pods_run_and_a_reset_takes_everything_back() {
    let bed = Bed::shared();
    let (before, ids_before) = (bed.dump(), bed.dump_with_ids());
    bed.kubectl_apply(DEPLOYMENT);
    bed.kubectl(&["create", "namespace", "other"]);
    bed.kubectl(&[
        "annotate",
        "serviceaccount",
        "default",
        "eks.amazonaws.com/role-arn=x",
    ]);
    let vpc = bed.fact("/aws/vpc");
    bed.aws(
        "ec2",
        "CreateSecurityGroup",
        json!({"GroupName": "stray", "Description": "stray", "VpcId": vpc}),
    );
    eventually("two ready addresses", || {
        bed.dump()["cluster"]["endpoints"]["default/web"]["ready"] == 2
    });
    // Only now: a pod bound to a node that goes before the pod is ready waits a minute for its garbage collector.
    bed.kubectl(&["delete", "node", bed.fact("/aws/instances/0/name")]);
    assert_ne!(bed.dump()["aws"], before["aws"]);

    bed.reset_servers();

    assert_eq!(bed.dump(), before);
    assert_eq!(bed.dump_with_ids()["aws"], ids_before["aws"]);
    assert_eq!(
        bed.kubectl(&["get", "deployments,replicasets,pods", "--output", "name"]),
        ""
    );
}

#[test]
fn what_is_pushed_over_http_is_there_by_path() {
    let bed = Bed::shared();
    let over_http = Repo::new(bed.git_url());
    over_http.write("app.yaml", DEPLOYMENT);
    // More than git sends in one piece, so that the server also gets a chunked request.
    over_http.write(
        "big.bin",
        &(0..400_000)
            .map(|n: u32| n.wrapping_mul(2_654_435_761).to_string())
            .collect::<String>(),
    );
    let pushed = over_http.commit_and_push("first");
    let by_path = bed.repo();
    assert_eq!(by_path.head(), pushed);
    assert_eq!(by_path.read("app.yaml"), DEPLOYMENT);
    by_path.remove("big.bin");
    let second = by_path.commit_and_push("second");
    assert_eq!(Repo::new(bed.git_url()).head(), second);
}

#[test]
fn a_git_server_that_is_down_or_hangs_gives_no_answer() {
    let bed = Bed::shared();
    bed.git_mode("down");
    let refused = crate::support::repo::git_command(bed.path())
        .args(["ls-remote", bed.git_url()])
        .output()
        .expect("git");
    assert!(
        String::from_utf8_lossy(&refused.stderr).contains("503"),
        "{refused:?}"
    );
    bed.git_mode("hang");
    let mut asking = crate::support::repo::git_command(bed.path())
        .args(["ls-remote", bed.git_url()])
        .stderr(std::process::Stdio::null())
        .spawn()
        .expect("git");
    thread::sleep(Duration::from_millis(400));
    assert!(
        matches!(asking.try_wait(), Ok(None)),
        "git was to wait for an answer"
    );
    bed.git_mode("ok");
    asking.wait().expect("git ends when the connection does");
    Repo::new(bed.git_url()).commit_and_push("again");
}

#[test]
fn the_daemons_token_has_the_shipped_rights_and_no_more() {
    let bed = Bed::shared();
    let kubeconfig = bed.fact("/kubernetes/kubeconfig/daemon").to_owned();
    let can = |words: &[&str]| {
        let words = [
            &["auth", "can-i"][..],
            words,
            &["--kubeconfig", &kubeconfig],
        ]
        .concat();
        bed.try_kubectl(&words).is_ok()
    };
    assert!(can(&["patch", "ingresses.networking.k8s.io"]));
    assert!(can(&["list", "nodes"]));
    assert!(!can(&["delete", "nodes"]));
    assert!(!can(&["create", "clusterrolebindings"]));
}

#[test]
fn calls_through_the_proxy_are_decoded_on_both_planes() {
    let bed = Bed::shared();
    let authorization = "AWS4-HMAC-SHA256 Credential=testing/20260101/us-east-1/elasticloadbalancing/aws4_request, \
                         SignedHeaders=host, Signature=0";
    let post = |body: &'static str| {
        let request = reqwest::Client::new()
            .post(&bed.aws_url)
            .header("authorization", authorization)
            .header("content-type", "application/x-www-form-urlencoded")
            .body(body);
        block_on(async { request.send().await.expect("an answer").status().as_u16() })
    };
    assert_eq!(post("Action=DescribeLoadBalancers&Version=2015-12-01"), 200);
    bed.proxy.add(Rule::once(
        Match::aws("elasticloadbalancing", "DescribeTags"),
        Fault::Throttle,
    ));
    assert_eq!(
        post("Action=DescribeTags&ResourceArns.member.1=a%3Ab&Version=2015-12-01"),
        400
    );
    assert_eq!(post("Action=ModifyTrustStore&Version=2015-12-01"), 500);

    // Not by kubectl, which sends no token over plain HTTP.
    let ask = |method: reqwest::Method, path: &str, body: serde_json::Value| {
        let url = format!("{}{path}", bed.kubernetes_url);
        let token = bed.fact("/kubernetes/token/daemon");
        let request = reqwest::Client::new()
            .request(method, url)
            .bearer_auth(token)
            .json(&body);
        block_on(async { request.send().await.expect("an answer").status().as_u16() })
    };
    let map =
        |name: &str| json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}});
    let maps = "/api/v1/namespaces/default/configmaps";
    assert_eq!(ask(reqwest::Method::GET, "/api/v1/nodes", json!(null)), 200);
    assert_eq!(ask(reqwest::Method::POST, maps, map("x")), 201);
    assert_eq!(
        ask(
            reqwest::Method::POST,
            &format!("{maps}?dryRun=All"),
            map("y")
        ),
        201
    );
    assert_eq!(
        ask(reqwest::Method::GET, "/api/v1/secrets", json!(null)),
        403
    );

    let journal = bed.proxy.journal();
    let tags = journal.calls("elasticloadbalancing:DescribeTags");
    assert_eq!(tags[0].call.parameters["ResourceArns.member.1"], "a:b");
    assert_eq!((tags[0].status, tags[0].answered), (None, true));
    assert_eq!(journal.count("list nodes"), 1);
    let writes: Vec<String> = journal
        .on(Plane::Kubernetes)
        .writes()
        .iter()
        .map(|entry| entry.call.label())
        .collect();
    assert_eq!(writes, ["create configmaps default"]);
    assert_eq!(journal.violations.len(), 1, "{:?}", journal.violations);
    assert!(journal.violations[0].contains("ModifyTrustStore"));
}

/// A balancer with one rule to one Service, made by hand as the daemon would; `first` moves ids and priorities about.
fn build_stack(bed: &Bed, first: bool) {
    let (vpc, node_group) = (bed.fact("/aws/vpc"), bed.fact("/aws/node_group"));
    let tags = |resource: &str| {
        json!([
            {"Key": "elbv2.k8s.aws/cluster", "Value": "mz-k8s"},
            {"Key": "ingress.k8s.aws/resource", "Value": resource},
        ])
    };
    let group = |name: &str| {
        let request = json!({"GroupName": name, "Description": "managed", "VpcId": vpc});
        bed.aws("ec2", "CreateSecurityGroup", request)["GroupId"].clone()
    };
    if first {
        let passing = group("passing");
        bed.aws("ec2", "DeleteSecurityGroup", json!({"GroupId": passing}));
    }
    let managed = group("k8s-default-appawsin-e24e482dfa");
    bed.kubectl_apply(DEPLOYMENT);
    let service = bed
        .object("service", "default", "web")
        .expect("the service");
    let port = service["spec"]["ports"][0]["nodePort"].clone();
    let permission = json!({"IpProtocol": "tcp", "FromPort": port, "ToPort": port, "UserIdGroupPairs": [{"GroupId": managed}]});
    let ingress = json!({"GroupId": node_group, "IpPermissions": [permission]});
    bed.aws("ec2", "AuthorizeSecurityGroupIngress", ingress);

    let subnets: Vec<_> = bed.facts["aws"]["public_subnets"]
        .as_object()
        .expect("subnets")
        .values()
        .collect();
    let request = json!({
        "Name": "k8s-default-appawsin-d61ace8b4a", "Subnets": subnets, "SecurityGroups": [managed],
        "Scheme": "internet-facing", "Tags": tags("LoadBalancer"),
    });
    let balancer =
        bed.aws("elbv2", "CreateLoadBalancer", request)["LoadBalancers"][0]["LoadBalancerArn"]
            .clone();
    if first {
        // The default, said aloud.
        let attributes = json!([{"Key": "idle_timeout.timeout_seconds", "Value": "60"}]);
        let request = json!({"LoadBalancerArn": balancer, "Attributes": attributes});
        bed.aws("elbv2", "ModifyLoadBalancerAttributes", request);
    }
    let name = if first {
        "k8s-default-web-0123456789"
    } else {
        "k8s-default-web-fedcba9876"
    };
    let request = json!({
        "Name": name, "Protocol": "HTTP", "Port": port, "VpcId": vpc, "TargetType": "instance",
        "Tags": tags("default/app-web:80"),
    });
    let targets =
        bed.aws("elbv2", "CreateTargetGroup", request)["TargetGroups"][0]["TargetGroupArn"].clone();
    let registered: Vec<_> = bed.facts["aws"]["instances"]
        .as_array()
        .expect("instances")
        .iter()
        .map(|instance| json!({"Id": instance["id"], "Port": port}))
        .collect();
    bed.aws(
        "elbv2",
        "RegisterTargets",
        json!({"TargetGroupArn": targets, "Targets": registered}),
    );
    let request = json!({
        "LoadBalancerArn": balancer, "Protocol": "HTTP", "Port": 80, "Tags": tags("80"),
        "DefaultActions": [{
            "Type": "fixed-response",
            "FixedResponseConfig": {"StatusCode": "404", "ContentType": "text/plain", "MessageBody": ""},
        }],
    });
    let listener =
        bed.aws("elbv2", "CreateListener", request)["Listeners"][0]["ListenerArn"].clone();
    let forward = if first {
        json!([{"Type": "forward", "TargetGroupArn": targets}])
    } else {
        json!([{"Type": "forward", "ForwardConfig": {"TargetGroups": [{"TargetGroupArn": targets, "Weight": 1}]}}])
    };
    let request = json!({
        "ListenerArn": listener, "Priority": if first { 1 } else { 7 }, "Actions": forward,
        "Tags": tags(if first { "80:1" } else { "80:7" }),
        "Conditions": [{"Field": "path-pattern", "PathPatternConfig": {"Values": ["/web", "/web/*"]}}],
    });
    bed.aws("elbv2", "CreateRule", request);
    eventually("two ready addresses", || {
        bed.dump()["cluster"]["endpoints"]["default/web"]["ready"] == 2
    });
}

#[test]
fn the_same_things_made_anew_give_the_same_dump() {
    let bed = Bed::shared();
    build_stack(&bed, true);
    let (first, first_with_ids) = (bed.dump(), bed.dump_with_ids());
    bed.reset_servers();
    build_stack(&bed, false);
    assert_eq!(format!("{:#}", bed.dump()), format!("{first:#}"));
    assert_ne!(bed.dump_with_ids(), first_with_ids);
}

#[test]
fn a_dump_shows_whatever_is_doubled_missing_or_changed() {
    let bed = Bed::shared();
    build_stack(&bed, true);
    let arn =
        |call: &str, list: &str, key: &str| bed.aws("elbv2", call, json!({}))[list][0][key].clone();
    let balancer = arn("DescribeLoadBalancers", "LoadBalancers", "LoadBalancerArn");
    let targets = arn("DescribeTargetGroups", "TargetGroups", "TargetGroupArn");
    let listeners = bed.aws(
        "elbv2",
        "DescribeListeners",
        json!({"LoadBalancerArn": balancer}),
    );
    let listener = listeners["Listeners"][0]["ListenerArn"].clone();
    let rules = bed.aws("elbv2", "DescribeRules", json!({"ListenerArn": listener}));
    let rule = rules["Rules"][0]["RuleArn"].clone();
    let instance = bed.fact("/aws/instances/1/id");
    let group = bed.fact("/aws/node_group");
    let (vpc, subnet) = (
        bed.fact("/aws/vpc"),
        &bed.facts["aws"]["public_subnets"]["us-east-1a"],
    );
    let changes = [
        (
            "elbv2",
            "CreateLoadBalancer",
            json!({"Name": "k8s-default-appawsin-d61ace8b4a", "Subnets": [subnet]}),
        ),
        (
            "elbv2",
            "AddTags",
            json!({"ResourceArns": [rule], "Tags": [{"Key": "by", "Value": "hand"}]}),
        ),
        (
            "elbv2",
            "DeregisterTargets",
            json!({"TargetGroupArn": targets, "Targets": [{"Id": instance}]}),
        ),
        (
            "elbv2",
            "ModifyLoadBalancerAttributes",
            json!({"LoadBalancerArn": balancer, "Attributes": [{"Key": "idle_timeout.timeout_seconds", "Value": "61"}]}),
        ),
        ("elbv2", "DeleteRule", json!({"RuleArn": rule})),
        (
            "ec2",
            "AuthorizeSecurityGroupIngress",
            json!({"GroupId": group, "IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "CidrIp": "10.9.0.0/16"}),
        ),
        (
            "ec2",
            "CreateSecurityGroup",
            json!({"GroupName": "stray", "Description": "stray", "VpcId": vpc}),
        ),
        (
            "iam",
            "CreateRole",
            json!({"RoleName": "stray", "AssumeRolePolicyDocument": "{\"Version\":\"2012-10-17\",\"Statement\":[]}"}),
        ),
        (
            "iam",
            "CreateOpenIDConnectProvider",
            json!({"Url": bed.fact("/aws/issuer"), "ClientIDList": ["sts.amazonaws.com"]}),
        ),
    ];
    let mut last = bed.dump();
    for (service, operation, parameters) in changes {
        bed.aws(service, operation, parameters);
        let now = bed.dump();
        assert_ne!(now["aws"], last["aws"], "{operation} does not show");
        last = now;
    }
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime")
        .block_on(future)
}
