//! States of the source: whatever happens to it is said, and the last good commit stays in force and defended.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use std::{fs, thread};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::{PATIENCE, assert_becomes, config, is_healthy, tutorial, wait_healthy};
use crate::support::bed::{Bed, BedOptions};
use crate::support::daemon::Daemon;
use crate::support::repo::Repo;

const README: &str = "README.md";

/// Polled over HTTP each second.
fn over_http(bed: &Bed) -> Value {
    let mut config = config(bed);
    config["source"]["url"] = json!(bed.git_url());
    config
}

fn fails_with<'a>(reason: &'a str) -> impl Fn(&Value) -> bool + 'a {
    move |status| status["source"]["reason"] == reason && status["source"]["ready"] == false
}

fn readme_commit(repo: &Repo, text: &str) -> String {
    repo.write(README, text);
    repo.commit_and_push(text)
}

/// Puts the git server right again, also when the test fails.
struct Mode<'a>(&'a Bed);

impl<'a> Mode<'a> {
    fn set(bed: &'a Bed, mode: &str) -> Mode<'a> {
        bed.git_mode(mode);
        Mode(bed)
    }
}

impl Drop for Mode<'_> {
    fn drop(&mut self) {
        self.0.git_mode("ok");
    }
}

#[test]
fn while_the_git_server_is_down_what_is_in_force_is_defended_and_later_the_new_commit_comes() {
    let bed = Bed::shared();
    let (repo, commit) = tutorial(&bed);
    let mut settings = over_http(&bed);
    settings["sweep"] = json!({"period": "3s"});
    let mut daemon = Daemon::start(&bed, &settings);
    wait_healthy(&mut daemon, &commit);
    let before = super::settled_dump(&bed);

    let mode = Mode::set(&bed, "down");
    repo.edit("ingress.yaml", "path: /app2", "path: /shop");
    let next = repo.commit_and_push("Serve the shop");
    let status = daemon.wait_for(
        "the failing source",
        PATIENCE,
        fails_with("RemoteUnavailable"),
    );
    assert_eq!(status["health"], "Degraded", "{status:#}");
    assert_eq!(status["inForce"]["revision"], commit);
    bed.kubectl(&["delete", "ingress", "app-aws-ingress"]);
    assert_becomes(
        &bed,
        &before,
        "what is in force, defended without its source",
    );

    // A new process that never saw the server knows what is in force.
    daemon.kill9();
    bed.kubectl(&["delete", "configmap", "app2"]);
    daemon.run(&bed);
    assert_becomes(&bed, &before, "defended after a restart without its source");

    drop(mode);
    wait_healthy(&mut daemon, &next);
    bed.proxy.journal().assert_guard();
}

#[test]
fn a_git_server_that_hangs_is_given_up_after_the_deadline_and_the_daemon_answers_meanwhile() {
    let bed = Bed::shared();
    let (_repo, commit) = tutorial(&bed);
    let mode = Mode::set(&bed, "hang");
    let mut settings = over_http(&bed);
    settings["source"]["timeout"] = json!("3s");
    let mut daemon = Daemon::start(&bed, &settings);

    let status = daemon.wait_for("an answer", Duration::from_secs(20), |_| true);
    assert!(status["inForce"].is_null(), "{status:#}");
    let status = daemon.wait_for("the deadline", PATIENCE, fails_with("Timeout"));
    assert!(
        status["source"]["message"]
            .as_str()
            .is_some_and(|text| text.contains("within 3 s")),
        "{status:#}"
    );
    bed.proxy.journal().assert_changed_nothing();

    drop(mode);
    let status = wait_healthy(&mut daemon, &commit);
    assert!(status["source"]["reason"].is_null(), "{status:#}");
}

#[test]
fn an_empty_repository_and_a_missing_branch_are_said_and_change_nothing() {
    let bed = Bed::shared();
    let mut settings = over_http(&bed);
    settings["source"]["branch"] = json!("production");
    let mut daemon = Daemon::start(&bed, &settings);
    daemon.wait_for(
        "the empty repository",
        PATIENCE,
        fails_with("EmptyRepository"),
    );

    let (repo, commit) = tutorial(&bed);
    let status = daemon.wait_for("the missing branch", PATIENCE, fails_with("BranchNotFound"));
    let message = status["source"]["message"].as_str().expect("a text");
    assert!(
        message.contains("production") && message.contains("main"),
        "{message}"
    );
    bed.proxy.journal().assert_changed_nothing();

    repo.git(&["push", "--quiet", "origin", "HEAD:refs/heads/production"]);
    wait_healthy(&mut daemon, &commit);

    // Deleted later on: what is in force stays.
    let mark = bed.proxy.mark();
    repo.git(&["push", "--quiet", "origin", ":refs/heads/production"]);
    let status = daemon.wait_for("the deleted branch", PATIENCE, fails_with("BranchNotFound"));
    assert_eq!(status["inForce"]["revision"], commit);
    bed.proxy.journal().since(mark).assert_changed_nothing();
}

/// A branch without its last commit, and with another one in its place.
fn rewrite(repo: &Repo, onto: &str) -> String {
    repo.reset_hard(onto);
    repo.edit("ingress.yaml", "path: /app2", "path: /other");
    let commit = repo.commit("Another history");
    repo.force_push();
    commit
}

#[test]
fn a_rewritten_branch_is_applied_with_a_warning() {
    let bed = Bed::shared();
    let (repo, first) = tutorial(&bed);
    repo.edit("ingress.yaml", "path: /app2", "path: /shop");
    let second = repo.commit_and_push("Serve the shop");
    let mut daemon = Daemon::start(&bed, &config(&bed));
    wait_healthy(&mut daemon, &second);

    let third = rewrite(&repo, &first);

    let status = wait_healthy(&mut daemon, &third);
    let warning = status["rewritten"].as_str().expect("a warning");
    assert!(
        warning.contains(&third[..12]) && warning.contains(&second[..12]),
        "{warning}"
    );
    let shown = String::from_utf8(daemon.cli(&["status"]).stdout).expect("UTF-8");
    assert!(shown.contains("rewritten"), "{shown}");
    assert!(daemon.logs().contains("the branch was rewritten"));

    // Said until the next commit that follows.
    let fourth = readme_commit(&repo, "As usual");
    let status = wait_healthy(&mut daemon, &fourth);
    assert!(status["rewritten"].is_null(), "{status:#}");
}

#[test]
fn where_only_descendants_are_allowed_a_rewritten_branch_is_held() {
    let bed = Bed::shared();
    let (repo, first) = tutorial(&bed);
    repo.edit("ingress.yaml", "path: /app2", "path: /shop");
    let second = repo.commit_and_push("Serve the shop");
    let mut settings = config(&bed);
    settings["source"]["history"] = json!("ff-only");
    let mut daemon = Daemon::start(&bed, &settings);
    wait_healthy(&mut daemon, &second);
    let mark = bed.proxy.mark();

    let third = rewrite(&repo, &first);

    let status = daemon.wait_for("the hold", PATIENCE, |status| {
        status["head"]["revision"] == third
            && status["head"]["state"] == "Held"
            && status["pass"].is_null()
    });
    assert_eq!(status["health"], "Held", "{status:#}");
    assert_eq!(status["inForce"]["revision"], second);
    assert_eq!(status["head"]["reason"], "HistoryRewritten");
    let shown = String::from_utf8(daemon.cli(&["status"]).stdout).expect("UTF-8");
    assert!(
        shown.contains("rewritten") && shown.contains("source.history"),
        "the text must say why and how to go on:\n{shown}"
    );
    let planned = daemon.cli(&["plan"]);
    let shown = String::from_utf8(planned.stdout).expect("UTF-8");
    assert_eq!(planned.status.code(), Some(5), "{shown}");
    assert!(
        shown.contains("HistoryRewritten") && shown.contains("source.history"),
        "a plan says what admission does:\n{shown}"
    );
    bed.proxy.journal().since(mark).assert_changed_nothing();

    // Held as well by a process that did not see it come.
    daemon.kill9();
    daemon.run(&bed);
    daemon.wait_for("the hold after a restart", PATIENCE, |status| {
        status["head"]["revision"] == third
            && status["head"]["state"] == "Held"
            && status["pass"].is_null()
            && !status["lastPass"].is_null()
    });
    bed.proxy.journal().since(mark).assert_changed_nothing();

    // Released by a tip that descends from what was accepted.
    repo.reset_hard(&second);
    repo.edit("ingress.yaml", "path: /shop", "path: /store");
    let fourth = repo.commit("On top of what was accepted");
    repo.force_push();
    wait_healthy(&mut daemon, &fourth);
}

#[test]
fn a_server_that_asks_for_a_token_gets_it_from_the_file_and_nobody_else_sees_it() {
    let bed = Bed::with(&BedOptions {
        git_auth: Some("git:s3cr3t-t0k3n".to_owned()),
        ..BedOptions::default()
    });
    let (_repo, commit) = tutorial(&bed);
    let token = bed.path().join("token");
    fs::write(&token, "wr0ng-t0k3n\n").expect("the token's file");
    let mut settings = over_http(&bed);
    settings["source"]["tokenFile"] = json!(token);
    let mut daemon = Daemon::start(&bed, &settings);

    daemon.wait_for("the refusal", PATIENCE, fails_with("AuthenticationFailed"));
    bed.proxy.journal().assert_changed_nothing();
    // Read at each fetch: replaced without a restart.
    fs::write(&token, "s3cr3t-t0k3n\n").expect("the token's file");
    wait_healthy(&mut daemon, &commit);

    let said = [
        daemon.logs(),
        String::from_utf8_lossy(&daemon.cli(&["status", "-o", "json"]).stdout).into_owned(),
        String::from_utf8_lossy(&daemon.cli(&["history", "--calls", "-o", "json"]).stdout)
            .into_owned(),
    ]
    .concat();
    for secret in ["s3cr3t-t0k3n", "wr0ng-t0k3n"] {
        assert!(!said.contains(secret), "the token is told");
    }
    bed.proxy.journal().assert_guard();
}

#[test]
fn a_commit_to_a_local_repository_is_seen_within_a_second_without_a_poll() {
    let bed = Bed::shared();
    let (repo, commit) = tutorial(&bed);
    let mut settings = config(&bed);
    settings["source"]["interval"] = json!("10m");
    let mut daemon = Daemon::start(&bed, &settings);
    wait_healthy(&mut daemon, &commit);

    let mut times = Vec::new();
    for number in 1..=3 {
        let commit = readme_commit(&repo, &format!("Note {number}"));
        let pushed = Instant::now();
        daemon.wait_for("the commit seen", Duration::from_secs(10), |status| {
            status["head"]["revision"] == commit
        });
        times.push(pushed.elapsed());
        daemon.wait_for("the commit in force", PATIENCE, |status| {
            is_healthy(status, &commit)
        });
        thread::sleep(Duration::from_millis(200));
    }

    println!("seen after {times:?}");
    times.sort();
    assert!(times[1] < Duration::from_secs(1), "seen after {times:?}");
}

/// Ends TLS before the bed's git server, with a certificate that only its own file vouches for.
struct Tls {
    process: Child,
    url: String,
    certificate: PathBuf,
    _directory: TempDir,
}

impl Tls {
    fn before(bed: &Bed) -> Tls {
        let directory = tempfile::tempdir().unwrap();
        let (key, certificate) = (directory.path().join("key"), directory.path().join("cert"));
        let made = Command::new("openssl")
            .args([
                "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
            ])
            .args([
                "-subj",
                "/CN=127.0.0.1",
                "-addext",
                "subjectAltName=IP:127.0.0.1",
            ])
            .arg("-keyout")
            .arg(&key)
            .arg("-out")
            .arg(&certificate)
            .output()
            .expect("openssl");
        assert!(made.status.success(), "{made:?}");
        let address = bed.git_url().trim_start_matches("http://");
        let (server, path) = address.split_once('/').unwrap();
        let mut process = Command::new("python3")
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/testbed/lib/tls.py"))
            .arg(&certificate)
            .arg(&key)
            .arg(server)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("python3");
        let mut port = String::new();
        BufReader::new(process.stdout.take().unwrap())
            .read_line(&mut port)
            .unwrap();
        Tls {
            process,
            url: format!("https://127.0.0.1:{}/{path}", port.trim()),
            certificate,
            _directory: directory,
        }
    }
}

impl Drop for Tls {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn a_server_behind_an_authority_of_its_own_is_trusted_once_the_configuration_names_it() {
    let bed = Bed::shared();
    let (_repo, commit) = tutorial(&bed);
    let tls = Tls::before(&bed);
    let mut settings = over_http(&bed);
    settings["source"]["url"] = json!(tls.url);
    let mut daemon = Daemon::start(&bed, &settings);
    let status = daemon.wait_for("the refusal", PATIENCE, fails_with("CertificateUntrusted"));
    let message = status["source"]["message"].as_str().unwrap_or_default();
    assert!(message.contains("source.caFile"), "{status:#}");
    bed.proxy.journal().assert_changed_nothing();
    daemon.kill9();

    settings["source"]["caFile"] = json!(tls.certificate);
    daemon.configure(&settings);
    daemon.run(&bed);
    wait_healthy(&mut daemon, &commit);
}
