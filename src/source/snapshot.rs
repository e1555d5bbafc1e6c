//! What one commit holds, as plain data.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::id::{RepoPath, Revision};

/// The files of one commit that matter to us: `.yaml` and `.yml` under the watched paths, plus what they name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// Absent for a plain directory.
    pub commit: Option<Commit>,
    pub files: BTreeMap<RepoPath, Vec<u8>>,
}

/// What git says of a commit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Commit {
    pub revision: Revision,
    /// `Name <mail>`.
    pub author: String,
    /// Seconds since the epoch, of the committer.
    pub time: i64,
    /// First line of the message.
    pub subject: String,
    /// `Key: value` lines of the message's last paragraph, in order (git trailers).
    pub trailers: Vec<(String, String)>,
}
