//! The daemon as a process, and what its own command line says about it.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::bed::Bed;

/// How often a wait looks.
const LOOK: Duration = Duration::from_millis(30);

/// A daemon with its directory: configuration, state and log. Dropping it kills it.
pub struct Daemon {
    pub directory: PathBuf,
    environment: Vec<(String, String)>,
    /// What a test sets on top, as a service manager would.
    extra: Vec<(String, String)>,
    child: Option<Child>,
}

/// The configuration of a daemon on this bed that watches `source`, as a value to change before the start.
pub fn config(bed: &Bed, source: &str) -> Value {
    let aws = &bed.aws_url;
    json!({
        "installation": "it",
        "source": {"url": source, "interval": "1s"},
        "cluster": {"name": bed.fact("/aws/cluster_name"), "kubeconfig": bed.kubeconfig()},
        "aws": {
            "region": bed.fact("/aws/region"),
            "endpoints": {"elasticloadbalancing": aws, "ec2": aws, "iam": aws, "sts": aws, "eks": aws, "acm": aws, "wafv2": aws},
        },
        "iam": {
            "permissionsBoundary": bed.fact("/aws/boundary"), "oidcProvider": "Ensure", "settle": "0s",
        },
    })
}

impl Daemon {
    /// Starts a daemon with an empty state. `config` is YAML or JSON; `stateDir` is added where it is not given.
    pub fn start(bed: &Bed, config: &Value) -> Daemon {
        let mut daemon = Daemon::prepare(bed, config);
        daemon.run(bed);
        daemon
    }

    /// All but the start: for a command line without a daemon behind it.
    pub fn prepare(bed: &Bed, config: &Value) -> Daemon {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let directory = bed.path().join(format!("daemon-{number}"));
        fs::create_dir_all(&directory).expect("a directory for the daemon");
        let daemon = Daemon {
            directory,
            environment: bed.aws_environment(),
            extra: Vec::new(),
            child: None,
        };
        daemon.configure(config);
        daemon
    }

    /// Sets a variable of the next start's environment.
    pub fn set_env(&mut self, name: &str, value: &str) {
        self.extra.push((name.to_owned(), value.to_owned()));
    }

    /// Rewrites the configuration for the next start.
    pub fn configure(&self, config: &Value) {
        let mut config = config.clone();
        if config["stateDir"].is_null() {
            config["stateDir"] = json!(self.directory.join("state"));
        }
        fs::write(self.config(), format!("{config:#}\n")).expect("the configuration");
    }

    /// Starts it (again) on the same state.
    pub fn run(&mut self, bed: &Bed) {
        assert!(self.child.is_none(), "the daemon runs already");
        let log = File::options()
            .create(true)
            .append(true)
            .open(self.log())
            .expect("the daemon's log");
        let errors = log.try_clone().expect("the daemon's log");
        let child = self
            .command()
            .arg("run")
            .arg("--config")
            .arg(self.config())
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(errors)
            .spawn()
            .expect("the daemon starts");
        bed.adopt(child.id());
        self.child = Some(child);
    }

    pub fn config(&self) -> PathBuf {
        self.directory.join("config.yaml")
    }

    pub fn state(&self) -> PathBuf {
        self.directory.join("state")
    }

    fn log(&self) -> PathBuf {
        self.directory.join("log")
    }

    /// Everything it has written since its first start.
    pub fn logs(&self) -> String {
        fs::read_to_string(self.log()).unwrap_or_default()
    }

    pub fn pid(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    pub fn is_running(&mut self) -> bool {
        self.child
            .as_mut()
            .is_some_and(|child| matches!(child.try_wait(), Ok(None)))
    }

    /// SIGKILL: no chance to say or write anything.
    pub fn kill9(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// SIGTERM; how it ended, or None if it was still there after `grace` (and is killed).
    pub fn terminate(&mut self, grace: Duration) -> Option<ExitStatus> {
        let mut child = self.child.take()?;
        let sent = Command::new("kill")
            .arg("-TERM")
            .arg(child.id().to_string())
            .status();
        assert!(
            sent.is_ok_and(|status| status.success()),
            "the daemon can be sent SIGTERM"
        );
        let deadline = Instant::now() + grace;
        while Instant::now() < deadline {
            if let Ok(Some(status)) = child.try_wait() {
                return Some(status);
            }
            thread::sleep(LOOK);
        }
        let _ = child.kill();
        let _ = child.wait();
        None
    }

    /// Waits for it to end by itself.
    pub fn wait(&mut self, timeout: Duration) -> Option<ExitStatus> {
        let deadline = Instant::now() + timeout;
        while Instant::now() < deadline {
            if let Ok(Some(status)) = self.child.as_mut()?.try_wait() {
                self.child = None;
                return Some(status);
            }
            thread::sleep(LOOK);
        }
        None
    }

    /// `status -o json`; what it says instead, if there is none.
    pub fn status(&self) -> Result<Value, String> {
        self.json(&["status"])
    }

    pub fn history(&self) -> Result<Value, String> {
        self.json(&["history"])
    }

    pub fn plan(&self) -> Result<Value, String> {
        self.json(&["plan"])
    }

    /// Waits until the status satisfies `predicate`, and returns it. Fails with the last status and the log's end.
    #[track_caller]
    pub fn wait_for(
        &mut self,
        what: &str,
        timeout: Duration,
        predicate: impl Fn(&Value) -> bool,
    ) -> Value {
        let deadline = Instant::now() + timeout;
        let mut last = Err("no status yet".to_owned());
        while Instant::now() < deadline {
            last = self.status();
            if let Ok(status) = &last
                && predicate(status)
            {
                return status.clone();
            }
            assert!(
                self.is_running(),
                "waiting for {what}, but the daemon has ended; its log:\n{}",
                self.log_end()
            );
            thread::sleep(LOOK);
        }
        let last = last.map_or_else(|error| error, |status| format!("{status:#}"));
        panic!(
            "{what}: not within {timeout:?}; last status: {last}\nlog:\n{}",
            self.log_end()
        );
    }

    /// The command line with this daemon's configuration, as `cli(&["plan", "--exit-code"])`.
    pub fn cli(&self, words: &[&str]) -> Output {
        self.command()
            .arg(words[0])
            .arg("--config")
            .arg(self.config())
            .args(&words[1..])
            .stdin(Stdio::null())
            .output()
            .expect("the command runs")
    }

    fn json(&self, words: &[&str]) -> Result<Value, String> {
        let done = self.cli(&[words, &["-o", "json"]].concat());
        serde_json::from_slice(&done.stdout).map_err(|_| {
            format!(
                "{} {}",
                done.status,
                String::from_utf8_lossy(&done.stderr).trim()
            )
        })
    }

    fn log_end(&self) -> String {
        let logs = self.logs();
        let lines: Vec<&str> = logs.lines().collect();
        lines[lines.len().saturating_sub(40)..].join("\n")
    }

    fn command(&self) -> Command {
        let mut command = Command::new(binary());
        command
            .current_dir(&self.directory)
            .envs(self.environment.iter().cloned());
        for name in [
            "RUST_LOG",
            "NOTIFY_SOCKET",
            "STATE_DIRECTORY",
            "RUNTIME_DIRECTORY",
            "KUBECONFIG",
            "AWS_PROFILE",
        ] {
            command.env_remove(name);
        }
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("ALBSYNC_") {
                command.env_remove(name);
            }
        }
        command.envs(self.extra.iter().cloned());
        command
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.kill9();
        if thread::panicking() {
            eprintln!("the daemon's log ends with:\n{}", self.log_end());
        }
    }
}

/// The built binary: `ALBSYNC_BIN`, or the one that cargo built with these tests (only with the `live` feature).
pub fn binary() -> &'static Path {
    static BINARY: std::sync::OnceLock<PathBuf> = std::sync::OnceLock::new();
    BINARY.get_or_init(|| {
        std::env::var_os("ALBSYNC_BIN")
            .map(PathBuf::from)
            .or_else(|| option_env!("CARGO_BIN_EXE_albsync").map(PathBuf::from))
            .expect(
                "these tests are built with the daemon (default features), or ALBSYNC_BIN names it",
            )
    })
}
