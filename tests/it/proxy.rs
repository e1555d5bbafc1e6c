//! The proxy before a server of the test's own that counts and echoes.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use futures::StreamExt;
use reqwest::{Client, RequestBuilder};

use crate::support::proxy::{
    Call, Crash, CrashPoint, Entry, Fault, Journal, Match, Plane, Proxy, Rule, Side,
};

/// Requests that the server behind the proxy has carried out.
#[derive(Clone, Default)]
struct Upstream {
    served: Arc<AtomicUsize>,
}

impl Upstream {
    async fn start(&self) -> String {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
            .await
            .expect("a port");
        let address = listener.local_addr().expect("the port");
        let app = Router::new().fallback(answer).with_state(self.clone());
        tokio::spawn(async move { axum::serve(listener, app).await });
        format!("http://{address}")
    }

    fn served(&self) -> usize {
        self.served.load(Ordering::SeqCst)
    }
}

async fn answer(
    State(upstream): State<Upstream>,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    upstream.served.fetch_add(1, Ordering::SeqCst);
    if uri.query().unwrap_or("").contains("watch=true") {
        let first = futures::stream::iter([Ok::<_, std::io::Error>(Bytes::from_static(
            b"{\"type\":\"ADDED\"}\n",
        ))]);
        return Body::from_stream(first.chain(futures::stream::pending())).into_response();
    }
    if body.windows(9).any(|part| part == b"Unwritten") {
        return (
            StatusCode::INTERNAL_SERVER_ERROR,
            [("content-type", "text/html")],
            "<!doctype html>\n<h1>500</h1>",
        )
            .into_response();
    }
    let custom = headers
        .get("x-custom")
        .and_then(|value| value.to_str().ok())
        .unwrap_or("")
        .to_owned();
    (
        [("content-type", "text/xml"), ("x-seen", "yes")],
        format!("{uri} {custom} {}", String::from_utf8_lossy(&body)),
    )
        .into_response()
}

struct Setup {
    upstream: Upstream,
    proxy: Proxy,
    aws: String,
    kubernetes: String,
    client: Client,
}

async fn setup() -> Setup {
    let upstream = Upstream::default();
    let address = upstream.start().await;
    let proxy = Proxy::new();
    let aws = proxy.front(Plane::Aws, &address);
    let kubernetes = proxy.front(Plane::Kubernetes, &address);
    Setup {
        upstream,
        proxy,
        aws,
        kubernetes,
        client: Client::new(),
    }
}

impl Setup {
    fn call(&self, service: &str, body: &str) -> RequestBuilder {
        let scope = format!("AKID/20260101/eu-west-1/{service}/aws4_request");
        self.client
            .post(&self.aws)
            .header(
                "authorization",
                format!("AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0"),
            )
            .header(
                "content-type",
                "application/x-www-form-urlencoded; charset=utf-8",
            )
            .body(body.to_owned())
    }

    fn elb(&self, action: &str) -> RequestBuilder {
        self.call(
            "elasticloadbalancing",
            &format!("Action={action}&Version=2015-12-01"),
        )
    }

    async fn status(&self, request: RequestBuilder) -> Option<u16> {
        request
            .send()
            .await
            .ok()
            .map(|answer| answer.status().as_u16())
    }

    fn labels(&self) -> Vec<String> {
        self.proxy
            .journal()
            .entries
            .iter()
            .map(|entry| entry.call.label())
            .collect()
    }
}

#[tokio::test]
async fn bytes_and_headers_pass_unchanged_and_are_decoded() {
    let s = setup().await;
    let body = "Action=CreateRule&Version=2015-12-01&Conditions.member.1.Values.member.1=%2Fapp1%2F%2A&Note=a+b";
    let answer = s
        .call("elasticloadbalancing", body)
        .header("x-custom", "kept")
        .send()
        .await
        .expect("an answer");
    assert_eq!(answer.headers()["x-seen"], "yes");
    assert_eq!(
        answer.text().await.expect("a body"),
        format!("/ kept {body}")
    );
    let journal = s.proxy.journal();
    let entry = &journal.entries[0];
    assert_eq!(entry.call.label(), "elasticloadbalancing:CreateRule");
    assert_eq!(entry.call.region, "eu-west-1");
    assert_eq!(
        entry.call.parameters["Conditions.member.1.Values.member.1"],
        "/app1/*"
    );
    assert_eq!(entry.call.parameters["Note"], "a b");
    assert!(entry.applied() && entry.answered && entry.call.is_write());
}

#[tokio::test]
async fn other_ways_to_name_an_operation_are_decoded() {
    let s = setup().await;
    let scope = "AWS4-HMAC-SHA256 Credential=AKID/20260101/eu-west-1/eks/aws4_request, SignedHeaders=host, Signature=0";
    s.client
        .get(format!("{}/clusters/blue", s.aws))
        .header("authorization", scope)
        .send()
        .await
        .expect("an answer");
    s.client
        .get(format!("{}/clusters", s.aws))
        .header("authorization", scope)
        .send()
        .await
        .expect("an answer");
    let target = s
        .call("acm", "{}")
        .header("x-amz-target", "CertificateManager.ListCertificates");
    target.send().await.expect("an answer");
    let unsigned = s
        .client
        .post(&s.aws)
        .header("content-type", "application/x-www-form-urlencoded");
    unsigned
        .body("Action=AssumeRoleWithWebIdentity")
        .send()
        .await
        .expect("an answer");
    assert_eq!(
        s.labels(),
        [
            "eks:DescribeCluster",
            "eks:ListClusters",
            "acm:ListCertificates",
            "sts:AssumeRoleWithWebIdentity"
        ]
    );
    assert_eq!(s.proxy.journal().entries[0].call.parameters["name"], "blue");
    assert!(s.proxy.journal().writes().is_empty());
}

#[tokio::test]
async fn requests_to_the_api_server_are_decoded() {
    let s = setup().await;
    let at = |path: &str| format!("{}{path}", s.kubernetes);
    let apply = "application/apply-patch+yaml";
    let deployment =
        at("/apis/apps/v1/namespaces/shop/deployments/web?fieldManager=albsync&force=true");
    let requests = [
        s.client.get(at("/api/v1/namespaces")),
        s.client.get(at("/api/v1/namespaces/shop")),
        s.client.get(at("/api/v1/namespaces/shop/services")),
        s.client.get(at("/version")),
        s.client.patch(&deployment).header("content-type", apply),
        s.client
            .patch(format!("{deployment}&dryRun=All"))
            .header("content-type", apply),
        s.client
            .patch(at(
                "/apis/networking.k8s.io/v1/namespaces/shop/ingresses/web/status",
            ))
            .header("content-type", "application/merge-patch+json"),
        s.client.delete(at("/api/v1/namespaces/shop/services/web")),
        s.client.delete(at("/api/v1/namespaces/shop/services")),
        s.client.post(at("/api/v1/namespaces/shop/events")),
        s.client
            .post(at("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews")),
        s.client.put(at(
            "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/x",
        )),
        s.client.put(at("/api/v1/namespaces/shop/status")),
    ];
    for request in requests {
        request.send().await.expect("an answer");
    }
    assert_eq!(
        s.labels(),
        [
            "list namespaces",
            "get namespaces shop",
            "list services shop",
            "get",
            "apply apps/deployments shop/web",
            "apply apps/deployments shop/web (dry run)",
            "patch networking.k8s.io/ingresses/status shop/web",
            "delete services shop/web",
            "deletecollection services shop",
            "create events shop",
            "create authorization.k8s.io/selfsubjectaccessreviews",
            "update coordination.k8s.io/leases kube-system/x",
            "update namespaces/status shop",
        ]
    );
    let labels = |entries: Vec<&Entry>| {
        entries
            .iter()
            .map(|entry| entry.call.label())
            .collect::<Vec<_>>()
    };
    let journal = s.proxy.journal();
    assert_eq!(
        labels(journal.changes()),
        [
            "apply apps/deployments shop/web",
            "delete services shop/web",
            "deletecollection services shop"
        ]
    );
    assert_eq!(journal.writes().len(), 5);
    assert_eq!(journal.count("apply apps/deployments"), 2);
}

#[tokio::test]
async fn a_watch_passes_as_it_comes() {
    let s = setup().await;
    let answer = s
        .client
        .get(format!("{}/api/v1/services?watch=true", s.kubernetes))
        .send()
        .await
        .expect("an answer");
    let mut stream = answer.chunks();
    let first = tokio::time::timeout(Duration::from_secs(5), stream.next())
        .await
        .expect("before the stream's end");
    assert_eq!(
        first.expect("a chunk"),
        Bytes::from_static(b"{\"type\":\"ADDED\"}\n")
    );
}

/// reqwest offers streams only with a feature that nothing else needs.
trait Chunks {
    fn chunks(self) -> futures::stream::BoxStream<'static, Bytes>;
}

impl Chunks for reqwest::Response {
    fn chunks(self) -> futures::stream::BoxStream<'static, Bytes> {
        futures::stream::unfold(self, |mut answer| async {
            let chunk = answer.chunk().await.ok().flatten()?;
            Some((chunk, answer))
        })
        .boxed()
    }
}

#[tokio::test]
async fn errors_come_in_the_dialect_of_the_service() {
    let s = setup().await;
    s.proxy.add(Rule::always(Match::any(), Fault::Throttle));
    let text = |request: RequestBuilder| async { request.send().await.expect("an answer") };
    let elb = text(s.elb("CreateRule")).await;
    assert_eq!(elb.status(), 400);
    assert!(
        elb.text()
            .await
            .expect("a body")
            .contains("<ErrorResponse><Error><Type>Sender</Type><Code>Throttling<")
    );
    let ec2 = text(s.call("ec2", "Action=DescribeSubnets")).await;
    assert_eq!(ec2.status(), 503);
    assert!(
        ec2.text()
            .await
            .expect("a body")
            .contains("<Response><Errors><Error><Code>RequestLimitExceeded<")
    );
    let eks = text(s.call("eks", "")).await;
    assert_eq!(eks.headers()["x-amzn-errortype"], "ThrottlingException");
    let kubernetes = text(s.client.get(format!("{}/api/v1/nodes", s.kubernetes))).await;
    assert_eq!(kubernetes.status(), 429);
    assert_eq!(kubernetes.headers()["retry-after"], "1");
    let status: serde_json::Value = kubernetes.json().await.expect("JSON");
    assert_eq!(
        (&status["kind"], &status["reason"]),
        (&"Status".into(), &"TooManyRequests".into())
    );
    assert_eq!(s.upstream.served(), 0);
}

#[tokio::test]
async fn a_rule_hits_only_the_calls_whose_turn_it_is() {
    let s = setup().await;
    let fault = || Fault::error(403, "AccessDenied", "no");
    s.proxy.add(
        Rule::once(Match::aws("elasticloadbalancing", "CreateRule"), fault())
            .nth(2)
            .times(2),
    );
    s.proxy.add(Rule::always(
        Match::any()
            .writes()
            .when(|call| call.parameters.contains_key("Bad")),
        fault(),
    ));
    let mut statuses = Vec::new();
    for _ in 0..5 {
        statuses.push(s.status(s.elb("CreateRule")).await);
    }
    assert_eq!(
        statuses,
        [Some(200), Some(403), Some(403), Some(200), Some(200)]
    );
    assert_eq!(s.status(s.elb("DescribeRules&Bad=1")).await, Some(200));
    assert_eq!(s.status(s.elb("DeleteRule&Bad=1")).await, Some(403));
    s.proxy.clear_rules();
    assert_eq!(s.status(s.elb("DeleteRule&Bad=1")).await, Some(200));
}

#[tokio::test]
async fn an_answer_is_lost_before_or_after_the_effect() {
    let s = setup().await;
    s.proxy.add(Rule::once(
        Match::aws("elasticloadbalancing", "CreateRule"),
        Fault::ResetBefore,
    ));
    s.proxy.add(
        Rule::once(
            Match::aws("elasticloadbalancing", "CreateRule"),
            Fault::ResetAfter,
        )
        .nth(2),
    );
    assert_eq!(s.status(s.elb("CreateRule")).await, None);
    assert_eq!(s.upstream.served(), 0);
    assert_eq!(s.status(s.elb("CreateRule")).await, None);
    assert_eq!(s.upstream.served(), 1);
    assert_eq!(s.status(s.elb("CreateRule")).await, Some(200));
    let journal = s.proxy.journal();
    let told: Vec<(bool, bool)> = journal
        .entries
        .iter()
        .map(|entry| (entry.applied(), entry.answered))
        .collect();
    assert_eq!(told, [(false, false), (true, false), (true, true)]);
}

#[tokio::test]
async fn a_late_answer_comes_after_the_effect() {
    let s = setup().await;
    let late = Duration::from_millis(300);
    s.proxy
        .add(Rule::once(Match::any(), Fault::AnswerLate(late)));
    let impatient = s.elb("CreateRule").timeout(Duration::from_millis(100));
    assert_eq!(s.status(impatient).await, None);
    assert_eq!(s.upstream.served(), 1);
    s.proxy.add(Rule::once(Match::any(), Fault::Delay(late)));
    let started = Instant::now();
    assert_eq!(s.status(s.elb("CreateRule")).await, Some(200));
    assert!(started.elapsed() >= late);
}

#[tokio::test]
async fn pages_are_violations_and_injected_ones_are_not() {
    let s = setup().await;
    s.proxy
        .add(Rule::once(Match::any(), Fault::Html { status: 502 }));
    assert_eq!(s.status(s.elb("CreateRule")).await, Some(502));
    s.proxy.journal().assert_guard();
    assert_eq!(s.status(s.elb("Unwritten")).await, Some(500));
    let violations = s.proxy.journal().violations;
    assert_eq!(
        violations,
        ["elasticloadbalancing:Unwritten was answered with a page (status 500)"]
    );
}

#[tokio::test]
async fn the_journal_counts_and_knows_the_order() {
    let s = setup().await;
    for action in [
        "DescribeRules",
        "CreateTargetGroup",
        "CreateTargetGroup",
        "CreateRule",
    ] {
        s.status(s.elb(action)).await;
    }
    s.status(s.call("iam", "Action=CreateRole")).await;
    let journal = s.proxy.journal();
    let counts = journal.counts(Plane::Aws, &["elasticloadbalancing", "ec2"]);
    assert_eq!(
        (
            counts.total,
            counts.writes,
            counts.by["elasticloadbalancing:CreateTargetGroup"]
        ),
        (4, 3, 2)
    );
    journal.assert_order(
        "elasticloadbalancing:CreateTargetGroup",
        "elasticloadbalancing:CreateRule",
    );
    let wrong = |journal: &Journal| {
        journal.assert_order("iam:CreateRole", "elasticloadbalancing:CreateRule")
    };
    assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| wrong(&journal))).is_err());
    let mark = s.proxy.mark();
    s.status(s.elb("DescribeRules")).await;
    s.proxy.journal().since(mark).assert_changed_nothing();
    assert_eq!(s.proxy.journal().since(mark).len(), 1);
}

/// Asks again and again, since waiting would block the test's only thread.
async fn reached(crash: &Crash) -> Option<Call> {
    for _ in 0..500 {
        if let Some(call) = crash.reached(Duration::ZERO) {
            return Some(call);
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    None
}

#[tokio::test]
async fn a_crash_point_before_a_write_keeps_it_from_the_server() {
    let s = setup().await;
    let crash = s.proxy.crash_at(CrashPoint {
        nth: 2,
        side: Side::Before,
        plane: None,
    });
    assert_eq!(s.status(s.elb("CreateTargetGroup")).await, Some(200));
    assert_eq!(s.status(s.elb("DescribeRules")).await, Some(200));
    let held = tokio::spawn(s.elb("CreateRule").send());
    let call = reached(&crash).await;
    assert_eq!(
        call.expect("the second write").label(),
        "elasticloadbalancing:CreateRule"
    );
    // Reads go on, further writes don't.
    assert_eq!(s.status(s.elb("DescribeRules")).await, Some(200));
    let frozen = s.elb("DeleteRule").timeout(Duration::from_millis(200));
    assert_eq!(s.status(frozen).await, None);
    assert_eq!(s.upstream.served(), 3);
    drop(crash);
    assert!(held.await.expect("the task").is_err());
    assert_eq!(s.upstream.served(), 3);
    assert_eq!(s.status(s.elb("CreateRule")).await, Some(200));
}

#[tokio::test]
async fn a_crash_point_after_a_write_keeps_the_answer() {
    let s = setup().await;
    let crash = s.proxy.crash_at(CrashPoint {
        nth: 1,
        side: Side::After,
        plane: Some(Plane::Kubernetes),
    });
    assert_eq!(s.status(s.elb("CreateRule")).await, Some(200));
    let service = format!("{}/api/v1/namespaces/default/services", s.kubernetes);
    assert_eq!(
        s.status(s.client.post(format!("{service}?dryRun=All")))
            .await,
        Some(200)
    );
    assert_eq!(crash.seen(), 0);
    let held = tokio::spawn(s.client.post(service).send());
    let call = reached(&crash).await;
    assert_eq!(call.expect("the write").label(), "create services default");
    assert_eq!(s.upstream.served(), 3);
    drop(crash);
    assert!(held.await.expect("the task").is_err());
}

#[tokio::test]
async fn a_crash_point_that_never_comes_is_said_so() {
    let s = setup().await;
    let crash = s.proxy.crash_at(CrashPoint {
        nth: 3,
        side: Side::Before,
        plane: Some(Plane::Aws),
    });
    assert_eq!(s.status(s.elb("CreateRule")).await, Some(200));
    assert!(crash.reached(Duration::from_millis(50)).is_none());
    assert_eq!(crash.seen(), 1);
}
