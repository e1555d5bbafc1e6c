//! What people see: the daemon's state as data, kept on a watch channel and served over the local socket.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    id::{Revision, StackId},
    plan::{
        history::RevisionRecord,
        op::{Difference, Foreign, Held},
    },
    problem::Problem,
};

pub mod event;
mod reporter;
pub mod text;

pub use reporter::{Reporter, now, shown};

/// The one-word answer to "how is it".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub enum Health {
    /// Nothing has been decided yet.
    #[default]
    Starting,
    /// A pass is changing something.
    Progressing,
    /// Everything is as committed.
    Healthy,
    /// The tip is refused; what was in force before stays.
    Rejected,
    /// Something waits for somebody.
    Held,
    /// The tip is in force without some of its parts, which have problems.
    Partial,
    /// Something failed and is tried again.
    Degraded,
}

/// Everything that `albsync status` shows.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Status {
    pub version: String,
    pub installation: String,
    pub pid: u32,
    pub started_at: String,
    pub health: Health,
    pub source: SourceStatus,
    /// The commit that is defended.
    pub in_force: Option<RevisionStatus>,
    /// The tip that was looked at last.
    pub head: Option<RevisionStatus>,
    /// Problems of the tip, when it is refused; warnings of what is in force otherwise.
    pub problems: Vec<Problem>,
    /// Ingresses of our class that are in the cluster and not in git: never changed (decision 3 of the spec).
    pub foreign_ingresses: Vec<String>,
    pub pass: Option<RunningPass>,
    pub last_pass: Option<PassSummary>,
    pub held: Vec<Held>,
    /// What cannot be brought about before a fact comes back or is known: it stays as it was applied last.
    pub waits: Vec<WaitStatus>,
    pub foreign: Vec<Foreign>,
    /// Newest last, at most [`DRIFT_KEPT`].
    pub drift: Vec<DriftReport>,
    /// The branch's history was rewritten; which commits no longer lead to the tip.
    pub rewritten: Option<String>,
    /// Why nothing is written to AWS, when that is so.
    pub read_only: Option<String>,
    /// What could not be read or done.
    pub failures: Vec<String>,
    pub load_balancers: Vec<LoadBalancerStatus>,
    /// Stack → when everything of it was last read back and found right (RFC 3339).
    pub verified_at: BTreeMap<String, String>,
    pub next_sweep_at: Option<String>,
}

/// How many drift reports `status` keeps.
pub const DRIFT_KEPT: usize = 50;

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SourceStatus {
    /// Without user information.
    pub url: String,
    pub branch: String,
    pub ready: bool,
    /// `BranchNotFound`, `RemoteUnavailable` …
    pub reason: Option<String>,
    pub message: Option<String>,
    pub fetched_at: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RevisionStatus {
    pub revision: Revision,
    pub subject: String,
    pub author: String,
    /// A state of gitops.md §7.2.
    pub state: String,
    /// Why, from the closed list of reasons; empty when there is nothing to say.
    pub reason: String,
    pub since: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RunningPass {
    pub trigger: String,
    pub revision: Option<Revision>,
    pub since: String,
    /// What is being done, in words.
    pub doing: String,
    pub done: u32,
    pub total: u32,
    /// The failures that are shown are those of the pass before: they stand until this one knows better.
    #[serde(skip)]
    pub failures_are_old: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PassSummary {
    pub trigger: String,
    pub revision: Option<Revision>,
    pub finished_at: String,
    pub duration_ms: u64,
    pub done: u32,
    pub failed: u32,
    pub skipped: u32,
    /// Calls to AWS by `service:Operation`.
    pub aws_calls: BTreeMap<String, u64>,
}

/// Something that had been changed by hand.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DriftReport {
    pub at: String,
    pub stack: StackId,
    pub resource: String,
    pub differences: Vec<Difference>,
    pub healed: bool,
}

/// A stack that waits for a fact.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WaitStatus {
    pub stack: StackId,
    /// The member that is concerned, as `Kind namespace/name`, where the others go on; absent: the whole stack waits.
    pub object: Option<String>,
    /// What stays, where in git it is asked for, and what is missing.
    pub reason: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LoadBalancerStatus {
    pub group: String,
    pub name: String,
    pub dns_name: String,
    pub arn: String,
}

impl Status {
    /// What a store remembers when no daemon runs.
    pub fn remembered(head: Option<&RevisionRecord>, in_force: Option<&RevisionRecord>) -> Self {
        Self {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            head: head.map(shown),
            in_force: in_force.map(shown),
            ..Self::default()
        }
    }

    /// One line, for the service manager.
    pub fn line(&self) -> String {
        let in_force = self
            .in_force
            .as_ref()
            .map_or("nothing in force", |it| it.revision.short());
        match &self.pass {
            Some(pass) if pass.total > 0 => {
                format!(
                    "{:?}: {in_force}; {} ({}/{})",
                    self.health, pass.doing, pass.done, pass.total
                )
            }
            _ => format!("{:?}: {in_force}", self.health),
        }
    }
}
