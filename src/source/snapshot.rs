//! What one commit holds, as plain data.

use std::{
    collections::BTreeMap,
    fmt,
    ops::Deref,
    sync::{Arc, OnceLock},
};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::id::{RepoPath, Revision};

/// The files of one commit that matter to us: `.yaml` and `.yml` under the watched paths, plus what they name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// Absent for a plain directory.
    pub commit: Option<Commit>,
    pub files: BTreeMap<RepoPath, File>,
}

/// The bytes of one file. Snapshots of several commits hold a file together where it is the same in them, and what is
/// found out about its bytes is found out once.
#[derive(Clone, Default)]
pub struct File(Arc<Inner>);

#[derive(Default)]
struct Inner {
    bytes: Vec<u8>,
    digest: OnceLock<[u8; 32]>,
    names_others: OnceLock<bool>,
}

impl File {
    /// Whether both are one, and so equal.
    pub fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// SHA-256 of the bytes.
    pub fn digest(&self) -> &[u8; 32] {
        let digest = || Sha256::digest(&self.0.bytes).into();
        self.0.digest.get_or_init(digest)
    }

    /// Whether its documents may name other files: what `of` says of the bytes, asked once.
    pub fn names_others(&self, of: impl FnOnce(&[u8]) -> bool) -> bool {
        *self.0.names_others.get_or_init(|| of(&self.0.bytes))
    }
}

impl From<Vec<u8>> for File {
    fn from(bytes: Vec<u8>) -> Self {
        Self(Arc::new(Inner {
            bytes,
            ..Inner::default()
        }))
    }
}

impl Deref for File {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0.bytes
    }
}

impl PartialEq for File {
    fn eq(&self, other: &Self) -> bool {
        self.is(other) || **self == **other
    }
}

impl Eq for File {}

/// Its length only: a file may hold Secrets.
impl fmt::Debug for File {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.len())
    }
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
