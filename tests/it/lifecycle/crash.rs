//! Killed with SIGKILL before and after each write to AWS and Kubernetes, the daemon finishes the job with nothing
//! doubled or left over.
//!
//! Two ways through all points:
//! - **The chain** (always): one convergence in which the daemon is killed before its next write and, started again,
//!   after it, and so on until a process lives to see the end. Each write of the whole convergence is so hit on both
//!   sides, from the very state of the world in which an uncrashed run does it, since whatever was carried out before is
//!   there and nothing else. What differs from a single crash is the process: here it carries out at most one write,
//!   and finds all others done by earlier ones, so each resumption has one operation in doubt and none of its own behind
//!   it. It is the harder case for what must come from the store and the world, and hits the writes that a resumed run
//!   does in other order or number as well.
//! - **Fresh** (`ALBSYNC_SWEEPS=1`): for each point a bed as new and one crash: then a process of many writes is cut off
//!   in the midst of its plan.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::{assert_becomes, config, is_healthy, settled_dump, wait_healthy};
use crate::support::bed::Bed;
use crate::support::daemon::Daemon;
use crate::support::proxy::{CrashPoint, Journal, Plane, Side};
use crate::support::repo::Repo;

/// Far beyond what any of the stories below writes.
const WRITES_MAX: usize = 150;
/// From one start to its crash or its end.
const ONE_LIFE: Duration = Duration::from_secs(60);

/// One push, and what it is called.
#[derive(Clone, Copy)]
struct Stage {
    name: &'static str,
    push: fn(&Repo) -> String,
}

const FIRST: Stage = Stage {
    name: "first create",
    push: |repo| {
        repo.copy_from_checkout("examples/tutorial");
        repo.commit_and_push("The tutorial")
    },
};

/// A changed path, a new Service behind a third path that sorts first, and attributes. The Service names its node port,
/// below all that the API server chooses: whether the nodes' permission must widen is no matter of luck, and each run has
/// the same writes.
const CHANGE: Stage = Stage {
    name: "change",
    push: |repo| {
        repo.edit("ingress.yaml", "path: /app2", "path: /shop");
        repo.edit(
            "ingress.yaml",
            "    alb.ingress.kubernetes.io/scheme: internet-facing\n",
            "    alb.ingress.kubernetes.io/scheme: internet-facing\n    \
             alb.ingress.kubernetes.io/load-balancer-attributes: \
             access_logs.s3.enabled=true,access_logs.s3.bucket=logs,access_logs.s3.prefix=app\n",
        );
        repo.edit(
            "ingress.yaml",
            "          - path: /app1\n",
            "          - path: /app0\n            pathType: Prefix\n            backend:\n              service:\n                \
             name: app0\n                port:\n                  number: 80\n          - path: /app1\n",
        );
        repo.write(
            "app0.yaml",
            "apiVersion: v1\nkind: Service\nmetadata:\n  name: app0\n  namespace: default\nspec:\n  type: NodePort\n  \
             selector:\n    app: app1\n  ports:\n    - port: 80\n      targetPort: http\n      nodePort: 30001\n",
        );
        repo.commit_and_push("A shop and a third path")
    },
};

const REVERT: Stage = Stage {
    name: "revert",
    push: |repo| {
        let head = repo.head();
        let commit = repo.revert(&head);
        repo.push();
        commit
    },
};

const DELETE: Stage = Stage {
    name: "delete",
    push: |repo| {
        repo.remove("ingress.yaml");
        repo.commit_and_push("Without the Ingress")
    },
};

const STORY: [Stage; 4] = [FIRST, CHANGE, REVERT, DELETE];

/// What an uncrashed run of one stage came to.
struct Expected {
    dump: Value,
    /// Creating calls that were carried out, by label.
    created: BTreeMap<String, usize>,
    writes: usize,
}

#[test]
fn killed_at_every_write_of_the_first_create_the_daemon_finishes_with_nothing_doubled() {
    chain(&STORY[..1]);
}

#[test]
fn killed_at_every_write_of_a_change_its_revert_and_the_delete_the_daemon_finishes() {
    if sweeps() {
        chain(&STORY);
    }
}

#[test]
fn killed_once_at_each_write_of_the_first_create_the_daemon_finishes() {
    if sweeps() {
        fresh(&[], FIRST);
    }
}

#[test]
fn killed_once_at_each_write_of_a_change_the_daemon_finishes() {
    if sweeps() {
        fresh(&STORY[..1], CHANGE);
    }
}

#[test]
fn killed_once_at_each_write_of_a_revert_the_daemon_finishes() {
    if sweeps() {
        fresh(&STORY[..2], REVERT);
    }
}

#[test]
fn killed_once_at_each_write_of_the_delete_the_daemon_finishes() {
    if sweeps() {
        fresh(&STORY[..1], DELETE);
    }
}

/// Whether the slow ones were asked for (`tests/run --sweeps`).
fn sweeps() -> bool {
    std::env::var_os("ALBSYNC_SWEEPS").is_some_and(|value| value == "1")
}

/// The stages one after the other, each of them cut off at every write.
fn chain(stages: &[Stage]) {
    let bed = Bed::shared();
    let expected = uncrashed(&bed, stages);
    bed.reset();
    let repo = bed.repo();
    let mut daemon = Daemon::prepare(&bed, &config(&bed));
    for (stage, expected) in stages.iter().zip(&expected) {
        let mark = bed.proxy.mark();
        let (started, commit) = (Instant::now(), (stage.push)(&repo));
        let mut kills = 0;
        let mut side = Side::Before;
        while let Some(what) = crash_once(&bed, &mut daemon, &commit, 1, side) {
            println!("{}: killed {side:?} {what}", stage.name);
            kills += 1;
            assert!(
                kills < WRITES_MAX,
                "{}: no end of writes; the last was {what}",
                stage.name
            );
            side = match side {
                Side::Before => Side::After,
                Side::After => Side::Before,
            };
        }
        // The process that saw the end had been told to die before its first write, and had none.
        let journal = bed.proxy.journal().since(mark);
        assert_becomes(&bed, &expected.dump, stage.name);
        assert_eq!(
            created(&journal),
            expected.created,
            "{}: what was created, against a run without a crash:\n{}",
            stage.name,
            journal.render()
        );
        assert!(
            kills >= 2 * expected.writes,
            "{}: an uncrashed run has {} writes, and only {kills} crashes were survived",
            stage.name,
            expected.writes
        );
        println!(
            "{}: {kills} crashes in {:.0} s",
            stage.name,
            started.elapsed().as_secs_f32()
        );
        daemon.kill9();
    }
    bed.proxy.journal().assert_guard();
}

/// For each write of `stage`, and each side of it: the stages before uncrashed, one crash, and the end.
fn fresh(before: &[Stage], stage: Stage) {
    let bed = Bed::shared();
    let all: Vec<Stage> = before.iter().copied().chain([stage]).collect();
    let expected = uncrashed(&bed, &all).pop().expect("one for each stage");
    for side in [Side::Before, Side::After] {
        for nth in 1.. {
            bed.reset();
            let repo = bed.repo();
            let mut daemon = Daemon::prepare(&bed, &config(&bed));
            for stage in before {
                let commit = (stage.push)(&repo);
                if daemon.pid().is_none() {
                    daemon.run(&bed);
                }
                wait_healthy(&mut daemon, &commit);
            }
            daemon.kill9();
            let mark = bed.proxy.mark();
            let commit = (stage.push)(&repo);
            let Some(what) = crash_once(&bed, &mut daemon, &commit, nth, side) else {
                assert!(nth > expected.writes, "{}: only {nth} writes", stage.name);
                break;
            };
            let place = format!("{}: killed {side:?} write {nth}, {what}", stage.name);
            println!("{place}");
            daemon.run(&bed);
            wait_healthy(&mut daemon, &commit);
            assert_becomes(&bed, &expected.dump, &place);
            let journal = bed.proxy.journal();
            assert_eq!(
                created(&journal.since(mark)),
                expected.created,
                "{place}:\n{}",
                journal.render()
            );
            journal.assert_guard();
            assert!(nth < WRITES_MAX, "{}: no end of writes", stage.name);
        }
    }
}

/// Runs the stages without a crash, each by a process of its own; leaves the bed at the end of the last.
fn uncrashed(bed: &Bed, stages: &[Stage]) -> Vec<Expected> {
    let repo = bed.repo();
    let mut daemon = Daemon::prepare(bed, &config(bed));
    let mut expected = Vec::new();
    for stage in stages {
        let mark = bed.proxy.mark();
        let commit = (stage.push)(&repo);
        daemon.run(bed);
        wait_healthy(&mut daemon, &commit);
        let dump = settled_dump(bed);
        let journal = bed.proxy.journal().since(mark);
        println!("{}: {} writes", stage.name, journal.writes().len());
        assert!(
            !journal.writes().is_empty(),
            "{} wrote nothing: there is nothing to crash at",
            stage.name
        );
        expected.push(Expected {
            dump,
            created: created(&journal),
            writes: journal.writes().len(),
        });
        daemon.kill9();
    }
    bed.proxy.journal().assert_guard();
    expected
}

/// Starts the daemon and kills it at its `nth` write; what that was. None: it came to its end before, and lives.
fn crash_once(
    bed: &Bed,
    daemon: &mut Daemon,
    commit: &str,
    nth: usize,
    side: Side,
) -> Option<String> {
    let crash = bed.proxy.crash_at(CrashPoint {
        nth,
        side,
        plane: None,
    });
    daemon.run(bed);
    let deadline = Instant::now() + ONE_LIFE;
    loop {
        if let Some(call) = crash.reached(Duration::from_millis(300)) {
            // Killed while the call is held: it never hears of its end.
            daemon.kill9();
            return Some(call.label());
        }
        let status = daemon.status();
        if status
            .as_ref()
            .is_ok_and(|status| is_healthy(status, commit))
            && crash.reached(Duration::ZERO).is_none()
        {
            return None;
        }
        assert!(
            daemon.is_running(),
            "the daemon ended by itself:\n{}",
            daemon.logs()
        );
        assert!(
            Instant::now() < deadline,
            "neither a write nor the end within {ONE_LIFE:?}; status: {:#}\n{}\n{}",
            status.unwrap_or_else(Value::String),
            bed.proxy.journal().render(),
            daemon.logs()
        );
    }
}

/// What was made, by label: a second one of anything would show here even where the server takes it for the first.
fn created(journal: &Journal) -> BTreeMap<String, usize> {
    let mut created = BTreeMap::new();
    for entry in journal.on(Plane::Aws).writes() {
        if entry.applied() && entry.call.operation.starts_with("Create") {
            *created.entry(entry.call.label()).or_default() += 1;
        }
    }
    created
}
