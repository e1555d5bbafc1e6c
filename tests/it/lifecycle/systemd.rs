//! The unit as it is shipped, and what the daemon tells a service manager.

use std::os::unix::net::UnixDatagram;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use std::{fs, thread};

use super::{config, tutorial, wait_healthy};
use crate::support::bed::Bed;
use crate::support::daemon::{Daemon, binary};
use crate::support::proxy::{CrashPoint, Side};

/// The unit with the built binary, in a directory of its own.
fn rendered() -> (tempfile::TempDir, std::path::PathBuf) {
    let template = concat!(env!("CARGO_MANIFEST_DIR"), "/systemd/albsync.service");
    let text = fs::read_to_string(template).expect("the unit");
    assert!(text.contains("@BINARY@"), "nothing to render in:\n{text}");
    let text = text.replace("@BINARY@", binary().to_str().expect("a path in UTF-8"));
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("albsync.service");
    fs::write(&path, text).expect("the rendered unit");
    (directory, path)
}

fn analyze(words: &[&str], unit: &std::path::Path) -> (bool, String) {
    let done = Command::new("systemd-analyze")
        .args(words)
        .arg(unit)
        .output()
        .expect("systemd-analyze runs");
    let said = [done.stdout, done.stderr].concat();
    (
        done.status.success(),
        String::from_utf8_lossy(&said).into_owned(),
    )
}

#[test]
fn the_unit_is_without_complaint() {
    let (_directory, unit) = rendered();
    let (fine, said) = analyze(&["verify", "--man=no"], &unit);
    assert!(fine && said.trim().is_empty(), "{said}");
}

#[test]
fn the_units_exposure_is_at_most_two() {
    let (_directory, unit) = rendered();
    let words = ["security", "--offline=true", "--threshold=20", "--no-pager"];
    let (fine, said) = analyze(&words, &unit);
    assert!(fine, "{said}");
    assert!(said.contains("Overall exposure level"), "{said}");
}

/// A service manager's socket, and what came through it.
struct Manager {
    address: String,
    heard: Arc<Mutex<Vec<(Instant, String)>>>,
    _directory: tempfile::TempDir,
}

impl Manager {
    fn new() -> Manager {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("notify");
        let socket = UnixDatagram::bind(&path).expect("a socket");
        let heard = Arc::new(Mutex::new(Vec::new()));
        let ear = Arc::clone(&heard);
        thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(length) = socket.recv(&mut buffer) {
                let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
                let mut heard = ear.lock().expect("the list");
                for line in text.lines() {
                    heard.push((Instant::now(), line.to_owned()));
                }
            }
        });
        Manager {
            address: path.to_str().expect("a path in UTF-8").to_owned(),
            heard,
            _directory: directory,
        }
    }

    fn heard(&self) -> Vec<(Instant, String)> {
        self.heard.lock().expect("the list").clone()
    }

    fn lines(&self) -> Vec<String> {
        self.heard().into_iter().map(|(_, line)| line).collect()
    }

    fn count(&self, start: &str) -> usize {
        self.lines()
            .iter()
            .filter(|line| line.starts_with(start))
            .count()
    }

    #[track_caller]
    fn wait(&self, start: &str) {
        let deadline = Instant::now() + Duration::from_secs(60);
        while self.count(start) == 0 {
            assert!(
                Instant::now() < deadline,
                "{start} was never said: {:#?}",
                self.lines()
            );
            thread::sleep(Duration::from_millis(20));
        }
    }
}

#[test]
fn the_service_manager_hears_ready_after_the_first_pass_and_a_sign_of_life_all_the_while() {
    let bed = Bed::shared();
    let (_repo, commit) = tutorial(&bed);
    let manager = Manager::new();
    let mut daemon = Daemon::prepare(&bed, &config(&bed));
    daemon.set_env("NOTIFY_SOCKET", &manager.address);
    daemon.set_env("WATCHDOG_USEC", "1000000");
    // The first pass hangs in its third write.
    let crash = bed.proxy.crash_at(CrashPoint {
        nth: 3,
        side: Side::Before,
        plane: None,
    });
    daemon.run(&bed);
    crash
        .reached(Duration::from_secs(60))
        .expect("a third write");
    let alive = manager.count("WATCHDOG=1");
    thread::sleep(Duration::from_secs(3));

    let lines = manager.lines();
    assert!(
        !lines.contains(&"READY=1".to_owned()),
        "ready before the first pass ended: {lines:#?}"
    );
    assert!(
        lines.iter().any(|line| {
            line.strip_prefix("EXTEND_TIMEOUT_USEC=")
                .is_some_and(|time| time.parse::<u64>().is_ok_and(|time| time >= 10_000_000))
        }),
        "{lines:#?}"
    );
    let beats = manager.count("WATCHDOG=1") - alive;
    assert!(beats >= 3, "{beats} signs of life in 3 s: {lines:#?}");
    assert!(
        lines
            .iter()
            .any(|line| line.starts_with("STATUS=") && line.contains("/")),
        "the status line must say what is being done: {lines:#?}"
    );

    drop(crash);
    manager.wait("READY=1");
    let ready = manager.count("EXTEND_TIMEOUT_USEC=");
    wait_healthy(&mut daemon, &commit);
    thread::sleep(Duration::from_millis(1500));
    assert_eq!(manager.count("READY=1"), 1);
    assert_eq!(
        manager.count("EXTEND_TIMEOUT_USEC="),
        ready,
        "more time is asked for though it is ready"
    );
    let status = manager
        .lines()
        .into_iter()
        .rfind(|line| line.starts_with("STATUS="));
    assert!(
        status
            .as_ref()
            .is_some_and(|line| line.contains("Healthy") && line.contains(&commit[..7])),
        "{status:?}"
    );

    assert_eq!(manager.count("STOPPING=1"), 0);
    let left = daemon
        .terminate(Duration::from_secs(20))
        .expect("it leaves");
    assert!(left.success());
    manager.wait("STOPPING=1");
}

#[test]
fn without_a_source_the_service_is_ready_all_the_same_and_no_watchdog_is_fed_where_none_is_asked_for()
 {
    let bed = Bed::shared();
    let manager = Manager::new();
    let mut daemon = Daemon::prepare(&bed, &config(&bed));
    daemon.set_env("NOTIFY_SOCKET", &manager.address);
    daemon.run(&bed);

    // The repository is empty: the first pass ends with nothing to do.
    manager.wait("READY=1");
    thread::sleep(Duration::from_secs(1));

    assert_eq!(manager.count("WATCHDOG=1"), 0, "{:#?}", manager.lines());
    assert!(manager.count("STATUS=") > 0);
    bed.proxy.journal().assert_changed_nothing();
}

#[test]
fn a_resumption_of_a_cut_off_run_asks_for_time_and_can_be_told_to_leave() {
    use crate::support::proxy::{Fault, Match, Plane, Rule};
    let bed = Bed::shared();
    let (_repo, commit) = tutorial(&bed);
    let mut daemon = Daemon::prepare(&bed, &config(&bed));
    let crash = bed.proxy.crash_at(CrashPoint {
        nth: 8,
        side: Side::After,
        plane: None,
    });
    daemon.run(&bed);
    crash
        .reached(Duration::from_secs(60))
        .expect("an eighth write");
    daemon.kill9();
    drop(crash);
    // Reading back what became of the call takes longer than anybody waits for.
    let slow = Fault::Delay(Duration::from_secs(10));
    bed.proxy.add(Rule::always(
        Match::plane(Plane::Aws).when(|call| call.service != "eks"),
        slow.clone(),
    ));
    bed.proxy.add(Rule::always(
        Match::plane(Plane::Kubernetes).when(|call| !call.is_watch()),
        slow,
    ));
    let manager = Manager::new();
    daemon.set_env("NOTIFY_SOCKET", &manager.address);
    daemon.run(&bed);
    manager.wait("EXTEND_TIMEOUT_USEC=");

    let left = daemon
        .terminate(Duration::from_secs(25))
        .expect("it leaves within the grace period");

    assert_eq!(left.code(), Some(0), "{}", daemon.logs());
    manager.wait("STOPPING=1");
    assert_eq!(manager.count("READY=1"), 0);
    bed.proxy.clear_rules();
    daemon.run(&bed);
    wait_healthy(&mut daemon, &commit);
}
