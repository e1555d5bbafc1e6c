//! How long it takes from the end of a push to the live rule: printed by `tests/run --latency`, not asserted.

use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::calls::{APP3, is_healthy};
use crate::support::bed::Bed;
use crate::support::daemon::{self, Daemon};
use crate::support::repo::Repo;

const PUSHES: usize = 8;
const PATIENCE: Duration = Duration::from_secs(90);
/// Between two looks at the rule; the emulator answers one caller at a time.
const LOOK: Duration = Duration::from_millis(4);

/// The emulator, asked past the proxy and without an SDK's detours.
struct Emulator {
    url: String,
    client: reqwest::Client,
    runtime: tokio::runtime::Runtime,
}

impl Emulator {
    fn of(bed: &Bed) -> Emulator {
        Emulator {
            url: bed.fact("/aws/endpoint").to_owned(),
            client: reqwest::Client::new(),
            runtime: tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("a runtime"),
        }
    }

    fn rules(&self, listener: &str) -> String {
        let listener = listener.replace(':', "%3A").replace('/', "%2F");
        let request = self
            .client
            .post(&self.url)
            .header(
                "authorization",
                "AWS4-HMAC-SHA256 Credential=testing/20260101/us-east-1/elasticloadbalancing/aws4_request, \
                 SignedHeaders=host, Signature=0",
            )
            .header("content-type", "application/x-www-form-urlencoded")
            .body(format!("Action=DescribeRules&Version=2015-12-01&ListenerArn={listener}"));
        self.runtime.block_on(async {
            let answer = request.send().await.expect("an answer of the emulator");
            answer.text().await.expect("its text")
        })
    }
}

/// One backend of one Ingress goes back and forth between two Services that are in git all the while.
fn measure(bed: &Bed, source: &str) -> Vec<Duration> {
    let mut config = daemon::config(bed, source);
    config["sweep"] = json!({"period": "10m"});
    let mut daemon = Daemon::start(bed, &config);
    let repo = Repo::new(source);
    repo.copy_from_checkout("examples/tutorial");
    repo.write("app3.yaml", APP3);
    healthy(&mut daemon, &repo.commit_and_push("The tutorial"));

    let emulator = Emulator::of(bed);
    let balancers = bed.aws("elbv2", "DescribeLoadBalancers", json!({}));
    let listeners = bed.aws(
        "elbv2",
        "DescribeListeners",
        json!({"LoadBalancerArn": balancers["LoadBalancers"][0]["LoadBalancerArn"]}),
    );
    let listener = listeners["Listeners"][0]["ListenerArn"]
        .as_str()
        .expect("a listener")
        .to_owned();
    let mut times = Vec::new();
    for number in 0..PUSHES {
        let (from, to) = if number % 2 == 0 {
            ("app2", "app3")
        } else {
            ("app3", "app2")
        };
        repo.edit(
            "ingress.yaml",
            &format!("name: {from}\n"),
            &format!("name: {to}\n"),
        );
        let commit = repo.commit(&format!("Serve /app2 by {to}"));
        let wanted = format!("/k8s-default-{to}-");
        assert!(!emulator.rules(&listener).contains(&wanted));
        repo.push();
        let pushed = Instant::now();
        while !emulator.rules(&listener).contains(&wanted) {
            assert!(
                pushed.elapsed() < PATIENCE,
                "the rule does not come to {to}"
            );
            thread::sleep(LOOK);
        }
        times.push(pushed.elapsed());
        healthy(&mut daemon, &commit);
        // Not in step with the poll.
        thread::sleep(Duration::from_millis(
            700 + 130 * u64::try_from(number).unwrap_or(0),
        ));
    }
    if std::env::var_os("ALBSYNC_LATENCY_TRACE").is_some() {
        eprintln!("{}\n{}", bed.proxy.journal().render(), daemon.logs());
    }
    times.sort();
    times
}

fn healthy(daemon: &mut Daemon, commit: &str) {
    let wanted = commit.to_owned();
    daemon.wait_for("the commit is healthy", PATIENCE, move |status| {
        is_healthy(status, &wanted)
    });
}

#[test]
#[ignore = "measures: tests/run --latency"]
fn pushes_become_live_rules() {
    let bed = Bed::shared();
    let local = measure(&bed, bed.git_path());
    bed.reset();
    let http = measure(&bed, bed.git_url());
    let line = |name: &str, times: &[Duration]| {
        let seconds = |time: Duration| format!("{:.2} s", time.as_secs_f64());
        let middle = (times[PUSHES / 2 - 1] + times[PUSHES / 2]) / 2;
        let most = times.last().copied().unwrap_or_default();
        format!("{name:<34} {:>8} {:>8}\n", seconds(middle), seconds(most))
    };
    let text = format!(
        "{:<34} {:>8} {:>8}\n{}{}{:<34} {:>8} {:>8}\n",
        format!("{PUSHES} pushes, push to live rule"),
        "median",
        "max",
        line("local repository", &local),
        line("smart HTTP, polled each second", &http),
        "Flux + AWS Load Balancer Controller",
        "2.15 s",
        "2.22 s",
    );
    match std::env::var_os("ALBSYNC_LATENCY") {
        Some(path) => std::fs::write(path, text).expect("the file for the times"),
        None => print!("{text}"),
    }
}
