//! What can go wrong with the store, for callers and for people.

use std::{fmt, io, path::PathBuf};

use serde::{Deserialize, Serialize};

use crate::{
    id::{Generation, Revision},
    plan::history::CommitState,
};

/// Who holds a state directory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    pub pid: u32,
    pub host: String,
    /// RFC 3339.
    pub since: String,
    /// It only looks (`status`, `history`, `plan` without a daemon) and is gone in a moment.
    #[serde(default)]
    pub looks: bool,
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "process {} on {} since {}",
            self.pid, self.host, self.since
        )
    }
}

#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Lessons F5: a second daemon says who is there and leaves.
    #[error("the state directory {} is in use by {}", dir.display(), holder.as_ref().map_or_else(|| "another process".to_owned(), ToString::to_string))]
    Held {
        dir: PathBuf,
        holder: Option<Holder>,
    },
    #[error(
        "the state directory {} was written by a newer albsync (schema {found}, this one knows up to {known}); \
         run that version, or move the directory away to start afresh", dir.display()
    )]
    NewerSchema {
        dir: PathBuf,
        found: u32,
        known: u32,
    },
    /// The machine's fault and not the data's: rights, a full disk, a read-only file system.
    #[error("cannot use the state directory {}", dir.display())]
    Unusable {
        dir: PathBuf,
        #[source]
        source: io::Error,
    },
    /// The data turned out to be unreadable while running; opening it anew moves it aside.
    #[error("the store cannot be read or written: {detail}")]
    Damaged { detail: String },
    #[error(
        "the plan was made from generation {} and the store is at {}", planned.0, current.0
    )]
    Stale {
        planned: Generation,
        current: Generation,
    },
    #[error("{what} is pinned to {pinned} and now is {found}")]
    PinMismatch {
        what: &'static str,
        pinned: String,
        found: String,
    },
    #[error("no record of commit {0}")]
    UnknownRevision(Revision),
    #[error("commit {revision} cannot go from {from} to {to}")]
    IllegalTransition {
        revision: Revision,
        from: CommitState,
        to: CommitState,
    },
    #[error("no open plan of generation {}", .0.0)]
    UnknownPlan(Generation),
}

pub type Result<T> = std::result::Result<T, StoreError>;
