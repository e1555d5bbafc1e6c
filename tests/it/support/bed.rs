//! The bed of real servers (tests/testbed), with the proxy in front of AWS and of the API server.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, TryLockError};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::http;
use super::proxy::{Plane, Proxy};
use super::repo::Repo;

/// A running bed. Dropping it ends its servers; if this process dies before, the bed ends by itself.
pub struct Bed {
    directory: TempDir,
    /// What bed.json says.
    pub facts: Value,
    pub proxy: Proxy,
    /// Where the daemon is to find AWS.
    pub aws_url: String,
    /// Where the daemon is to find the API server (plain HTTP, with the daemon's token); empty without a cluster.
    pub kubernetes_url: String,
}

/// A place for a bed, which the first test that finds it empty starts.
struct Slot {
    used: AtomicBool,
    bed: OnceLock<Mutex<Bed>>,
}

impl Slot {
    const fn new() -> Self {
        Self {
            used: AtomicBool::new(false),
            bed: OnceLock::new(),
        }
    }

    /// `None`: another test has it.
    fn take(&self) -> Option<MutexGuard<'_, Bed>> {
        let bed = self.bed.get_or_init(|| Mutex::new(Bed::start()));
        let bed = match bed.try_lock() {
            Ok(bed) => bed,
            Err(TryLockError::Poisoned(failed)) => failed.into_inner(),
            Err(TryLockError::WouldBlock) => return None,
        };
        // Whoever starts it need not be the first to get it.
        if self.used.swap(true, Ordering::Relaxed) {
            bed.reset();
        }
        Some(bed)
    }
}

/// What is left out or changed of a bed.
#[derive(Debug, Clone, Default)]
pub struct BedOptions {
    pub without_cluster: bool,
    /// `USER:PASSWORD` to ask for on the git server.
    pub git_auth: Option<String>,
}

impl Bed {
    pub fn start() -> Bed {
        Bed::with(&BedOptions::default())
    }

    pub fn with(options: &BedOptions) -> Bed {
        let directory = tempfile::Builder::new()
            .prefix("albsync-bed-")
            .tempdir()
            .expect("a directory for the bed");
        let mut command = script("up");
        command
            .arg(directory.path())
            .arg("--supervise")
            .arg(std::process::id().to_string())
            .arg("--purge");
        if options.without_cluster {
            command.arg("--no-cluster");
        }
        if let Some(credentials) = &options.git_auth {
            command.arg("--git-auth").arg(credentials);
        }
        let done = command.output().expect("tests/testbed/up runs");
        assert!(
            done.status.success(),
            "the test bed does not start:\n{}",
            String::from_utf8_lossy(&done.stderr)
        );
        let text = fs::read(directory.path().join("bed.json")).expect("bed.json");
        let facts: Value = serde_json::from_slice(&text).expect("bed.json in JSON");
        let proxy = Proxy::new();
        let aws_url = proxy.front(Plane::Aws, text_at(&facts, "/aws/endpoint"));
        let kubernetes_url = if facts["kubernetes"].is_null() {
            String::new()
        } else {
            proxy.front(Plane::Kubernetes, text_at(&facts, "/kubernetes/plain"))
        };
        let bed = Bed {
            directory,
            facts,
            proxy,
            aws_url,
            kubernetes_url,
        };
        bed.write_kubeconfig();
        bed
    }

    /// One of the two beds that the tests of this process share, each used by one test after the other: seeded state,
    /// empty repository, empty journal. Tests mostly wait, so that two at a time do not get into each other's way.
    pub fn shared() -> MutexGuard<'static, Bed> {
        static SLOTS: [Slot; 2] = [Slot::new(), Slot::new()];
        loop {
            if let Some(bed) = SLOTS.iter().find_map(Slot::take) {
                return bed;
            }
            thread::sleep(Duration::from_millis(20));
        }
    }

    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Back to the seeded state, with an empty repository; the proxy forgets too.
    pub fn reset(&self) {
        self.control("POST", "/reset", Some(&json!({"git": true})));
        self.proxy.clear();
    }

    /// Back to the seeded state; repository and journal stay.
    pub fn reset_servers(&self) {
        self.control("POST", "/reset", Some(&json!({})));
    }

    /// The whole state, normalised (tests/testbed/README.md).
    pub fn dump(&self) -> Value {
        self.control("GET", "/dump", None)
    }

    pub fn dump_with_ids(&self) -> Value {
        self.control("GET", "/dump?keep_ids=true", None)
    }

    /// One AWS call that must succeed, past the proxy: `aws("elbv2", "DescribeRules", json!({…}))`.
    #[track_caller]
    pub fn aws(&self, service: &str, operation: &str, parameters: Value) -> Value {
        match self.try_aws(service, operation, parameters) {
            Ok(result) => result,
            Err(refused) => panic!("{service}:{operation} was refused: {refused}"),
        }
    }

    /// One AWS call, past the proxy; `Err` has `code`, `message` and `status`.
    pub fn try_aws(
        &self,
        service: &str,
        operation: &str,
        parameters: Value,
    ) -> Result<Value, Value> {
        let request = json!({"service": service, "operation": operation, "parameters": parameters});
        let mut answer = self.control("POST", "/aws", Some(&request));
        if answer["refused"].is_null() {
            Ok(answer["result"].take())
        } else {
            Err(answer["refused"].take())
        }
    }

    /// kubectl as an administrator, past the proxy; its output.
    #[track_caller]
    pub fn kubectl(&self, words: &[&str]) -> String {
        match self.try_kubectl(words) {
            Ok(output) => output,
            Err(message) => panic!("kubectl {words:?} failed: {message}"),
        }
    }

    pub fn try_kubectl(&self, words: &[&str]) -> Result<String, String> {
        let done = Command::new(self.fact("/kubernetes/kubectl"))
            .arg("--kubeconfig")
            .arg(self.fact("/kubernetes/kubeconfig/admin"))
            .args(words)
            .output()
            .map_err(|error| error.to_string())?;
        if done.status.success() {
            Ok(String::from_utf8_lossy(&done.stdout).into_owned())
        } else {
            Err(String::from_utf8_lossy(&done.stderr).into_owned())
        }
    }

    /// An object as the API server has it, or None.
    pub fn object(&self, kind: &str, namespace: &str, name: &str) -> Option<Value> {
        let text = self.kubectl(&[
            "--namespace",
            namespace,
            "get",
            kind,
            name,
            "--ignore-not-found",
            "--output",
            "json",
        ]);
        (!text.trim().is_empty())
            .then(|| serde_json::from_str(&text).expect("kubectl answers in JSON"))
    }

    /// Applies a manifest as an administrator would by hand.
    pub fn kubectl_apply(&self, manifest: &str) -> String {
        let path = self.path().join("applied-by-hand.yaml");
        fs::write(&path, manifest).expect("a file in the bed's directory");
        self.kubectl(&[
            "apply",
            "--filename",
            path.to_str().expect("a path in UTF-8"),
        ])
    }

    /// The mutating requests in the API server's audit log by users other than the bed's own parts, oldest first.
    pub fn audit(&self) -> Vec<Value> {
        let text = fs::read_to_string(self.fact("/kubernetes/audit_log")).unwrap_or_default();
        text.lines()
            .filter_map(|line| serde_json::from_str(line).ok())
            .collect()
    }

    /// A work tree of the repository, which pushes by path.
    pub fn repo(&self) -> Repo {
        Repo::new(self.git_path())
    }

    pub fn git_path(&self) -> &str {
        self.fact("/git/path")
    }

    pub fn git_url(&self) -> &str {
        self.fact("/git/url")
    }

    /// How the git server behaves: `ok`, `down` (503) or `hang`.
    pub fn git_mode(&self, mode: &str) {
        self.control("POST", "/git", Some(&json!({"mode": mode})));
    }

    /// The environment in which an AWS SDK finds the emulator's credentials; not its address, which the daemon's
    /// configuration names.
    pub fn aws_environment(&self) -> Vec<(String, String)> {
        let Some(variables) = self.facts["aws"]["environment"].as_object() else {
            return Vec::new();
        };
        variables
            .iter()
            .filter(|(name, _)| *name != "AWS_ENDPOINT_URL")
            .map(|(name, value)| (name.clone(), value.as_str().unwrap_or_default().to_owned()))
            .collect()
    }

    /// The daemon's kubeconfig, by way of the proxy.
    pub fn kubeconfig(&self) -> PathBuf {
        self.path().join("daemon-kubeconfig.json")
    }

    /// A text of bed.json by its JSON pointer, as `/aws/vpc`.
    pub fn fact(&self, pointer: &str) -> &str {
        text_at(&self.facts, pointer)
    }

    /// Has the bed kill a process when it ends, should this test not come to it. The process must name a file in the
    /// bed's directory on its command line.
    pub fn adopt(&self, pid: u32) {
        self.control("POST", "/guest", Some(&json!({"pid": pid})));
    }

    #[track_caller]
    fn control(&self, method: &str, path: &str, body: Option<&Value>) -> Value {
        match http::json(method, self.fact("/control"), path, body) {
            Ok(value) => value,
            Err(message) => panic!("the test bed refuses {method} {path}: {message}"),
        }
    }

    fn write_kubeconfig(&self) {
        if self.kubernetes_url.is_empty() {
            return;
        }
        let text = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "bed",
            "clusters": [{"name": "bed", "cluster": {"server": self.kubernetes_url}}],
            "users": [{"name": "daemon", "user": {"token": self.fact("/kubernetes/token/daemon")}}],
            "contexts": [{"name": "bed", "context": {"cluster": "bed", "user": "daemon"}}],
        });
        fs::write(self.kubeconfig(), text.to_string()).expect("the daemon's kubeconfig");
    }
}

impl Drop for Bed {
    fn drop(&mut self) {
        // Also if a test has failed; and then its message is what matters, not this one's.
        let _ = script("down").arg(self.directory.path()).output();
    }
}

fn script(name: &str) -> Command {
    Command::new(
        Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("tests/testbed")
            .join(name),
    )
}

#[track_caller]
fn text_at<'a>(facts: &'a Value, pointer: &str) -> &'a str {
    facts
        .pointer(pointer)
        .and_then(Value::as_str)
        .unwrap_or_else(|| panic!("bed.json has no text at {pointer}"))
}
