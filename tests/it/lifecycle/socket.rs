//! What people ask: answered by the daemon while it runs, and from its store when it does not.

use std::process::Output;
use std::time::Duration;

use serde_json::{Value, json};

use super::{config, tutorial, wait_healthy};
use crate::support::bed::Bed;
use crate::support::daemon::Daemon;

fn text(done: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&done.stdout),
        String::from_utf8_lossy(&done.stderr)
    )
}

#[track_caller]
fn answer(daemon: &Daemon, words: &[&str], code: i32) -> String {
    let done = daemon.cli(words);
    assert_eq!(done.status.code(), Some(code), "{words:?}: {}", text(&done));
    String::from_utf8(done.stdout).expect("UTF-8")
}

#[test]
fn status_history_and_plan_answer_while_the_daemon_runs_and_when_it_does_not() {
    let bed = Bed::shared();
    let (repo, commit) = tutorial(&bed);
    let mut daemon = Daemon::start(&bed, &config(&bed));
    let status = wait_healthy(&mut daemon, &commit);
    assert_eq!(status["pid"], daemon.pid().expect("it runs"));
    repo.edit("ingress.yaml", "path: /app2", "path: /shop");
    let edited = repo.path().to_str().expect("a path in UTF-8").to_owned();
    let short = &commit[..12];
    let mark = bed.proxy.mark();

    // Asked through the socket, and then of the store.
    for running in [true, false] {
        let shown = answer(&daemon, &["status"], 0);
        assert!(shown.contains(short), "running: {running}: {shown}");
        let status = daemon.status().expect("a status");
        assert_eq!(
            status["inForce"]["revision"], commit,
            "running: {running}: {status:#}"
        );
        assert_eq!(status["inForce"]["state"], "Healthy");

        let shown = answer(&daemon, &["history"], 0);
        assert!(
            shown.contains(short) && shown.contains("The tutorial"),
            "{shown}"
        );
        let history = daemon.history().expect("a history");
        assert_eq!(history["commits"].as_array().map(Vec::len), Some(1));
        assert_eq!(history["commits"][0]["revision"], commit);

        let shown = answer(&daemon, &["plan", "--exit-code"], 0);
        assert!(shown.contains("nothing to change"), "{shown}");
        let plan = daemon.plan().expect("a plan");
        assert_eq!(plan["changes"], json!(false), "{plan:#}");
        let shown = answer(&daemon, &["plan", "--exit-code", &edited], 1);
        assert!(shown.contains("/shop"), "{shown}");

        if running {
            let left = daemon.terminate(Duration::from_secs(20));
            assert!(
                left.is_some_and(|status| status.success()),
                "{}",
                daemon.logs()
            );
        }
    }
    // A plan writes nothing, whoever makes it.
    bed.proxy.journal().since(mark).assert_changed_nothing();
    bed.proxy.journal().assert_guard();
    let nobody: Value = daemon.status().expect("a status from the store");
    assert_ne!(nobody["pid"], status["pid"], "{nobody:#}");
}

#[test]
fn the_daemon_answers_while_a_pass_is_under_way() {
    use crate::support::proxy::{CrashPoint, Side};
    let bed = Bed::shared();
    let (_repo, commit) = tutorial(&bed);
    let crash = bed.proxy.crash_at(CrashPoint {
        nth: 5,
        side: Side::Before,
        plane: None,
    });
    let mut daemon = Daemon::start(&bed, &config(&bed));
    crash
        .reached(Duration::from_secs(60))
        .expect("a fifth write");

    let status = daemon.status().expect("a status during the pass");

    assert_eq!(status["pass"]["trigger"], "start", "{status:#}");
    assert_ne!(status["pass"]["doing"], "", "{status:#}");
    assert_eq!(
        daemon.history().expect("a history")["commits"][0]["revision"],
        commit
    );
    // What was held is never answered, and the daemon finds out by itself.
    drop(crash);
    wait_healthy(&mut daemon, &commit);
    bed.proxy.journal().assert_guard();
}

#[test]
fn a_second_daemon_on_the_same_state_says_who_holds_it_and_leaves() {
    let bed = Bed::shared();
    let (_repo, commit) = tutorial(&bed);
    let mut first = Daemon::start(&bed, &config(&bed));
    wait_healthy(&mut first, &commit);
    let mut same = config(&bed);
    same["stateDir"] = json!(first.state());
    let second = Daemon::prepare(&bed, &same);
    let mark = bed.proxy.mark();

    let done = second.cli(&["run"]);

    assert_eq!(done.status.code(), Some(2), "{}", text(&done));
    let pid = first.pid().expect("it runs");
    let said = text(&done);
    assert!(
        said.contains(&format!("process {pid} ")) && said.contains("in use"),
        "{said}"
    );
    // The first one is none the worse for it.
    assert_eq!(first.status().expect("a status")["pid"], pid);
    bed.proxy.journal().since(mark).assert_changed_nothing();
}

#[test]
fn without_daemon_and_store_the_answer_says_so() {
    let bed = Bed::shared();
    let daemon = Daemon::prepare(&bed, &config(&bed));
    let done = daemon.cli(&["status"]);
    assert_ne!(done.status.code(), Some(0));
    let said = text(&done);
    assert!(
        said.contains("no daemon listens") && said.contains("no store"),
        "{said}"
    );
}

/// One line to the daemon, as any client may send it, and its answer.
fn raw(daemon: &Daemon, line: &str) -> Value {
    use std::io::{BufRead, BufReader, Write};
    let socket = daemon.state().join("albsync.sock");
    let mut stream = std::os::unix::net::UnixStream::connect(socket).expect("the socket");
    stream
        .write_all(format!("{line}\n").as_bytes())
        .expect("a request");
    let mut answer = String::new();
    BufReader::new(stream)
        .read_line(&mut answer)
        .expect("an answer");
    serde_json::from_str(&answer).expect("JSON")
}

#[test]
fn a_running_daemon_plans_under_the_checks_that_are_asked_for_and_keeps_its_own() {
    let bed = Bed::shared();
    let (repo, commit) = tutorial(&bed);
    let mut daemon = Daemon::start(&bed, &config(&bed));
    wait_healthy(&mut daemon, &commit);
    repo.edit(
        "ingress.yaml",
        "alb.ingress.kubernetes.io/scheme",
        "alb.ingress.kubernetes.io/skeme",
    );
    let edited = repo.path().to_str().expect("a path in UTF-8").to_owned();
    let mark = bed.proxy.mark();

    let refused = answer(&daemon, &["plan", &edited], 4);
    assert!(refused.contains("problem[unknown-annotation]"), "{refused}");
    let lenient = answer(&daemon, &["plan", "--checks", "lbc", &edited], 0);
    assert!(lenient.contains("warning[unknown-annotation]"), "{lenient}");
    assert!(!lenient.contains("rejected"), "{lenient}");
    answer(&daemon, &["plan", &edited], 4);

    // A client of an earlier version does not say whose checks; one of a later version may say more.
    for (more, checks) in [
        ("", "strict"),
        (r#", "later": 1"#, "strict"),
        (r#", "checks": "lbc""#, "lbc"),
    ] {
        let request = format!(r#"{{"verb": "plan", "target": {{"target": "tip"}}{more}}}"#);
        let plan = raw(&daemon, &request);
        assert_eq!(plan["plan"]["checks"], checks, "{more}: {plan:#}");
    }
    assert_eq!(
        daemon.status().expect("a status")["inForce"]["revision"],
        commit
    );
    bed.proxy.journal().since(mark).assert_changed_nothing();
}
