//! Git to bytes: where commits come from.
//!
//! Everything here is synchronous and may take as long as its deadline: the daemon calls it on a thread for blocking
//! work. Nothing here decides; what a rewritten branch or a missing one means is the caller's to say.

use std::{collections::BTreeSet, path::PathBuf, time::Duration};

use crate::id::{RepoPath, Revision};

pub mod directory;
pub mod git;
pub mod snapshot;
mod walk;
pub mod watch;

pub use git::Mirror;
pub use snapshot::{Commit, Snapshot};
pub use walk::{MAX_BYTES, MAX_FILE_BYTES, MAX_FILES, MAX_PATH_BYTES};

/// A branch of a repository, kept readable on this machine.
pub trait Source: Send + Sync {
    /// The branch's tip, its history brought here. Transfers nothing when the tip is what it was (gitops S1). An error
    /// leaves everything that was readable readable (S8, S10).
    fn fetch(&self) -> Result<Revision, SourceError>;

    /// The commit that a text names: an id or the beginning of one, or what git can make of it (`HEAD~1`, a tag).
    fn resolve(&self, text: &str) -> Result<Revision, SourceError>;

    /// What git says of a commit that was fetched.
    fn commit(&self, revision: &Revision) -> Result<Commit, SourceError>;

    /// The manifests under the watched paths at that commit, and those of the `named` files that exist there.
    fn snapshot(
        &self,
        revision: &Revision,
        named: &BTreeSet<RepoPath>,
    ) -> Result<Snapshot, SourceError>;

    /// How `new` came from `old` (gitops G21).
    fn relation(&self, old: &Revision, new: &Revision) -> Result<History, SourceError>;

    /// Keeps the revision readable whatever the server does: it and the 20 kept before it (gitops G23).
    fn keep(&self, revision: &Revision) -> Result<(), SourceError>;
}

/// How a tip relates to the one before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum History {
    Same,
    Descends,
    /// The new tip leaves out so many commits of the old one's history.
    Rewritten {
        dropped: usize,
    },
    /// Not decidable with the commits at hand; counts as rewritten (gitops G21).
    Unknown,
}

/// Why there is no commit, or nothing to be read from it. Messages hold no credentials and no user part of a URL.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SourceError {
    #[error("{url} has no branch {branch}{}", known_branches(.branches))]
    BranchNotFound {
        url: String,
        branch: String,
        /// Some that it has.
        branches: Vec<String>,
    },
    #[error("{url} has no commits yet")]
    EmptyRepository { url: String },
    #[error("{url} refuses access: {detail}")]
    AuthenticationFailed { url: String, detail: String },
    #[error(
        "{url} cannot be trusted: {detail}; name the certificate of its authority in source.caFile if it is yours"
    )]
    CertificateUntrusted { url: String, detail: String },
    #[error("{url} cannot be read: {detail}")]
    RemoteUnavailable { url: String, detail: String },
    #[error("{url} did not answer within {} s: {detail}", .after.as_secs_f32())]
    Timeout {
        url: String,
        after: Duration,
        detail: String,
    },
    #[error(
        "the repository {} belongs to another user; run `git config --system --add safe.directory '{}'`, or let the daemon run as its owner",
        .path.display(), .path.display()
    )]
    ForeignOwner { path: PathBuf },
    #[error("{what} is not served: {detail}")]
    Unsupported { what: String, detail: String },
    #[error("objects of the repository are damaged or missing: {detail}")]
    Corrupt { detail: String },
    #[error("the mirror {} cannot be used: {detail}", .path.display())]
    MirrorUnusable { path: PathBuf, detail: String },
    #[error("commit {revision} is not on this machine")]
    UnknownRevision { revision: Revision },
    #[error("the watched path {path} does not exist{}", at_revision(.revision))]
    PathNotFound {
        path: RepoPath,
        revision: Option<Revision>,
    },
    #[error("{path}: {limit}")]
    TooLarge { path: RepoPath, limit: String },
    #[error("{path}: {detail}")]
    Refused {
        path: RepoPath,
        refusal: Refusal,
        detail: String,
    },
}

/// What a tree must not hold where we read it (gitops G28).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    Symlink,
    Submodule,
    LfsPointer,
    /// A name that is not UTF-8, or a path that leaves the repository.
    Name,
    /// Neither file nor directory, or unreadable.
    Unreadable,
}

impl SourceError {
    /// One word from a closed list, for status, logs and metrics (gitops S10, G3).
    pub fn reason(&self) -> &'static str {
        match self {
            Self::BranchNotFound { .. } => "BranchNotFound",
            Self::EmptyRepository { .. } => "EmptyRepository",
            Self::AuthenticationFailed { .. } => "AuthenticationFailed",
            Self::CertificateUntrusted { .. } => "CertificateUntrusted",
            Self::RemoteUnavailable { .. } => "RemoteUnavailable",
            Self::Timeout { .. } => "Timeout",
            Self::ForeignOwner { .. } => "ForeignOwner",
            Self::Unsupported { .. } => "Unsupported",
            Self::Corrupt { .. } => "Corrupt",
            Self::MirrorUnusable { .. } => "MirrorUnusable",
            Self::UnknownRevision { .. } => "UnknownRevision",
            Self::PathNotFound { .. } => "PathNotFound",
            Self::TooLarge { .. } => "TooLarge",
            Self::Refused { refusal, .. } => match refusal {
                Refusal::Symlink => "Symlink",
                Refusal::Submodule => "Submodule",
                Refusal::LfsPointer => "LfsPointer",
                Refusal::Name => "Name",
                Refusal::Unreadable => "Unreadable",
            },
        }
    }

    /// Whether the commit itself is at fault: it is rejected and not tried again, where all others are (gitops G2).
    pub fn rejects(&self) -> bool {
        self.path().is_some()
    }

    /// The path in the repository that is at fault.
    pub fn path(&self) -> Option<&RepoPath> {
        match self {
            Self::PathNotFound { path, .. }
            | Self::TooLarge { path, .. }
            | Self::Refused { path, .. } => Some(path),
            _ => None,
        }
    }
}

fn known_branches(branches: &[String]) -> String {
    if branches.is_empty() {
        return " (nor any other)".to_owned();
    }
    format!("; it has {}", branches.join(", "))
}

fn at_revision(revision: &Option<Revision>) -> String {
    revision
        .as_ref()
        .map_or_else(String::new, |revision| format!(" at {}", revision.short()))
}
