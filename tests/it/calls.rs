//! How many calls to AWS the tutorial and its edits take: the sum is asserted, `tests/run --calls` prints it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::bed::Bed;
use crate::support::daemon::{self, Daemon};
use crate::support::proxy::{Counts, Plane};
use crate::support::repo::Repo;

const PATIENCE: Duration = Duration::from_secs(90);
/// Nothing was asked of AWS for so long: what the step led to is over, echoes from the cluster included.
const QUIET: Duration = Duration::from_millis(1500);
/// Long enough that all steps but the sweep fit between two sweeps.
const SWEEP: &str = "45s";

/// A step, what it may cost, and what the AWS Load Balancer Controller needs for it on the same bed
/// (testbed-cluster.md §4).
const STEPS: [(&str, usize, usize); 6] = [
    ("first-create", 19, 40),
    ("no-op", 12, 17),
    ("readme-commit", 0, 17),
    ("backend-changed", 10, 23),
    ("reverted", 10, 23),
    ("deleted", 12, 19),
];

pub const APP3: &str = "
apiVersion: apps/v1
kind: Deployment
metadata: { name: app3, namespace: default }
spec:
  selector: { matchLabels: { app: app3 } }
  template:
    metadata: { labels: { app: app3 } }
    spec: { containers: [{ name: web, image: nginx, ports: [{ name: http, containerPort: 8080 }] }] }
---
apiVersion: v1
kind: Service
metadata: { name: app3, namespace: default }
spec: { type: NodePort, selector: { app: app3 }, ports: [{ port: 80, targetPort: http }] }
";

/// The Ingress with the backend of /app2 moved to app3.
pub fn move_app2(repo: &Repo) {
    let text = repo.read("ingress.yaml");
    let (head, tail) = text
        .rsplit_once("name: app2")
        .expect("the tutorial's Ingress names app2 last");
    repo.write("ingress.yaml", &format!("{head}name: app3{tail}"));
    repo.write("app3.yaml", APP3);
}

/// One step's calls.
struct Step {
    /// ELBv2 and EC2.
    counted: Counts,
    /// All other services, by the proxy's labels.
    apart: BTreeMap<String, usize>,
}

struct Scenario<'a> {
    bed: &'a Bed,
    daemon: Daemon,
    mark: usize,
    steps: Vec<Step>,
}

impl Scenario<'_> {
    /// Waits until the commit is healthy and all is quiet, and books the calls since the last step.
    fn step(&mut self, commit: &str) {
        let wanted = commit.to_owned();
        self.daemon
            .wait_for("the commit is healthy", PATIENCE, move |status| {
                is_healthy(status, &wanted)
            });
        self.quiet();
        self.book();
    }

    fn sweep(&mut self) {
        self.daemon.wait_for("a sweep", PATIENCE, |status| {
            status["lastPass"]["trigger"] == "sweep" && status["pass"].is_null()
        });
        self.quiet();
        self.book();
    }

    fn quiet(&self) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let mark = self.aws_calls();
            thread::sleep(QUIET);
            if self.aws_calls() == mark {
                return;
            }
            assert!(
                Instant::now() < deadline,
                "the daemon does not stop asking AWS:\n{}",
                self.bed.proxy.journal().on(Plane::Aws).render()
            );
        }
    }

    fn aws_calls(&self) -> usize {
        self.bed.proxy.journal().on(Plane::Aws).len()
    }

    fn book(&mut self) {
        let journal = self.bed.proxy.journal().since(self.mark);
        self.mark = self.bed.proxy.mark();
        if std::env::var_os("ALBSYNC_CALLS_TRACE").is_some() {
            let (name, ..) = STEPS[self.steps.len()];
            eprintln!("{name}\n{}", journal.on(Plane::Aws).render());
        }
        let counted = journal.counts(Plane::Aws, &["elasticloadbalancing", "ec2"]);
        let apart = journal
            .counts(Plane::Aws, &[])
            .by
            .into_iter()
            .filter(|(label, _)| !counted.by.contains_key(label))
            .collect();
        self.steps.push(Step { counted, apart });
    }
}

pub fn is_healthy(status: &Value, commit: &str) -> bool {
    status["inForce"]["revision"] == commit
        && status["inForce"]["state"] == "Healthy"
        && status["pass"].is_null()
}

#[test]
fn the_tutorial_and_its_edits_take_few_calls() {
    let bed = Bed::shared();
    let mut config = daemon::config(&bed, bed.git_path());
    config["sweep"] = json!({"period": SWEEP});
    // From a daemon's first start on, so that what it looks for in an account that it does not know is counted, too.
    let mut scenario = Scenario {
        daemon: Daemon::start(&bed, &config),
        bed: &bed,
        mark: 0,
        steps: Vec::new(),
    };
    scenario
        .daemon
        .wait_for("the first pass", PATIENCE, |status| {
            !status["lastPass"].is_null()
        });

    let repo = bed.repo();
    repo.copy_from_checkout("examples/tutorial");
    scenario.step(&repo.commit_and_push("The tutorial"));
    scenario.sweep();
    repo.write("README.md", "# Nothing that is applied\n");
    scenario.step(&repo.commit_and_push("A README"));
    move_app2(&repo);
    let moved = repo.commit_and_push("Serve /app2 by app3");
    scenario.step(&moved);
    let reverted = repo.revert(&moved);
    repo.push();
    scenario.step(&reverted);
    repo.remove("ingress.yaml");
    scenario.step(&repo.commit_and_push("Without the Ingress"));

    let steps = scenario.steps;
    print(&steps);
    bed.proxy.journal().assert_guard();
    assert_eq!(steps[1].counted.writes, 0, "a sweep wrote to AWS");
    for ((name, most, _), step) in STEPS.iter().zip(&steps) {
        let counted = &step.counted;
        assert!(
            counted.total <= *most,
            "{name}: {} calls, at most {most} were to be made: {:#?}",
            counted.total,
            counted.by
        );
    }
}

/// For `tests/run --calls`: to the file that it names, as JSON or as a table.
fn print(steps: &[Step]) {
    let Some(path) = std::env::var_os("ALBSYNC_CALLS") else {
        return;
    };
    let text = if std::env::var_os("ALBSYNC_CALLS_JSON").is_some() {
        let object: serde_json::Map<String, Value> = STEPS
            .iter()
            .zip(steps)
            .map(|((name, ..), step)| {
                let Counts { total, writes, by } = &step.counted;
                let value =
                    json!({"total": total, "writes": writes, "by": by, "apart": step.apart});
                ((*name).to_owned(), value)
            })
            .collect();
        format!("{:#}\n", Value::Object(object))
    } else {
        table(steps)
    };
    std::fs::write(path, text).expect("the file for the calls");
}

fn table(steps: &[Step]) -> String {
    let mut text = format!(
        "{:<16} {:>6} {:>6} {:>8} {:>5} {:>6}\n",
        "", "calls", "writes", "at most", "LBC", "apart"
    );
    for ((name, most, lbc), step) in STEPS.iter().zip(steps) {
        let Counts { total, writes, .. } = &step.counted;
        let apart: usize = step.apart.values().sum();
        let _ = writeln!(
            text,
            "{name:<16} {total:>6} {writes:>6} {most:>8} {lbc:>5} {apart:>6}"
        );
    }
    text.push_str("ELBv2 and EC2; IAM, STS and EKS apart.\n");
    text
}
