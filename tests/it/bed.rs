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
    let deadline = Instant::now() + Duration::from_secs(30);
    while !check() {
        assert!(Instant::now() < deadline, "{what}: not within 30 s");
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
    bed.kubectl(&["delete", "node", bed.fact("/aws/instances/0/name")]);
    let vpc = bed.fact("/aws/vpc");
    bed.aws(
        "ec2",
        "CreateSecurityGroup",
        json!({"GroupName": "stray", "Description": "stray", "VpcId": vpc}),
    );
    eventually("two ready addresses", || {
        bed.dump()["cluster"]["endpoints"]["default/web"]["ready"] == 2
    });
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

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime")
        .block_on(future)
}
