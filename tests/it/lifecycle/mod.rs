//! The daemon's life on real servers: killed at each write, asked, told to leave, pointed at the wrong target, cut off
//! from its source, run by a service manager.

use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::bed::Bed;
use crate::support::daemon::{self, Daemon};
use crate::support::proxy::{Journal, Plane};
use crate::support::repo::Repo;

mod crash;
mod restart;
mod socket;
mod source;
mod systemd;
mod target;

const PATIENCE: Duration = Duration::from_secs(90);
const LOOK: Duration = Duration::from_millis(50);

/// The tutorial, pushed; its commit.
fn tutorial(bed: &Bed) -> (Repo, String) {
    let repo = bed.repo();
    repo.copy_from_checkout("examples/tutorial");
    let commit = repo.commit_and_push("The tutorial");
    (repo, commit)
}

/// A configuration on the repository by its path, without sweeps in between.
fn config(bed: &Bed) -> Value {
    let mut config = daemon::config(bed, bed.git_path());
    config["sweep"] = json!({"period": "1h"});
    config
}

/// Whether this commit is in force and everything of it is as it should be, with no pass under way.
fn is_healthy(status: &Value, commit: &str) -> bool {
    status["inForce"]["revision"] == commit
        && status["inForce"]["state"] == "Healthy"
        && status["health"] == "Healthy"
        && status["pass"].is_null()
        && !status["lastPass"].is_null()
}

#[track_caller]
fn wait_healthy(daemon: &mut Daemon, commit: &str) -> Value {
    daemon.wait_for("the commit in force and healthy", PATIENCE, |status| {
        is_healthy(status, commit)
    })
}

/// Waits until the dump equals `expected`: pods and endpoints follow their objects a moment later. Fails with the lines
/// that differ.
#[track_caller]
fn assert_becomes(bed: &Bed, expected: &Value, what: &str) {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let found = bed.dump();
        if found == *expected {
            return;
        }
        assert!(
            Instant::now() < deadline,
            "{what}: the state differs from the expected one:\n{}",
            differences(expected, &found)
        );
        thread::sleep(Duration::from_millis(200));
    }
}

/// The dump once it stays the same: controllers have done what follows from the daemon's writes.
fn settled_dump(bed: &Bed) -> Value {
    let deadline = Instant::now() + Duration::from_secs(20);
    let mut before = bed.dump();
    loop {
        thread::sleep(Duration::from_millis(700));
        let now = bed.dump();
        if now == before && pods_run(&now) || Instant::now() > deadline {
            return now;
        }
        before = now;
    }
}

fn pods_run(dump: &Value) -> bool {
    let owners = dump["cluster"]["pods"].as_object();
    owners.is_none_or(|owners| {
        owners.values().all(|phases| {
            phases
                .as_object()
                .is_some_and(|phases| phases.keys().all(|phase| phase == "Running"))
        })
    })
}

fn differences(expected: &Value, found: &Value) -> String {
    let (expected, found) = (format!("{expected:#}"), format!("{found:#}"));
    let expected: Vec<&str> = expected.lines().collect();
    let found: Vec<&str> = found.lines().collect();
    let missing = expected.iter().filter(|line| !found.contains(line));
    let surplus = found.iter().filter(|line| !expected.contains(line));
    let lines: Vec<String> = missing
        .map(|line| format!("- {line}"))
        .chain(surplus.map(|line| format!("+ {line}")))
        .take(60)
        .collect();
    if lines.is_empty() {
        "the same lines in another order or number".to_owned()
    } else {
        lines.join("\n")
    }
}

/// Fails if anything at all was written on a plane, whether the server carried it out or not.
#[track_caller]
fn assert_no_writes(journal: &Journal, plane: Plane) {
    let on = journal.on(plane);
    let writes: Vec<String> = on.writes().iter().map(|entry| entry.call.label()).collect();
    assert!(writes.is_empty(), "nothing was to be written: {writes:#?}");
}
