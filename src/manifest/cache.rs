//! What was read of a repository before: after a commit only the files that changed are read again.

use std::collections::BTreeMap;

use super::{Checks, ParseOptions, document::Document};
use crate::{id::RepoPath, problem::Problem, shared::Shared, yaml::Limits};

/// Files as they were read last. A memory only: with an empty one the same comes out.
#[derive(Debug, Default)]
pub struct Cache {
    /// Under which options; others read the same bytes to something else.
    how: Option<(Checks, Limits)>,
    files: BTreeMap<RepoPath, Kept>,
    /// Files that the last parse had to read.
    pub files_read: usize,
}

#[derive(Debug)]
struct Kept {
    bytes: Vec<u8>,
    read: FileRead,
}

/// What one file holds.
#[derive(Clone, Debug, Default)]
pub(super) struct FileRead {
    pub documents: Vec<Shared<Document>>,
    pub problems: Vec<Problem>,
    /// It names other files, so that its own bytes do not tell what it holds.
    pub names_files: bool,
}

impl Cache {
    /// Forgets what was read under other options and files that are gone.
    pub(super) fn begin<'p>(
        &mut self,
        options: &ParseOptions,
        present: impl Fn(&RepoPath) -> bool + 'p,
    ) {
        let how = (options.checks, options.limits);
        if self.how != Some(how) {
            self.files.clear();
            self.how = Some(how);
        }
        self.files.retain(|path, _| present(path));
        self.files_read = 0;
    }

    /// The file as it was read before, if it is the same; else as `read` reads it now.
    pub(super) fn file(
        &mut self,
        path: &RepoPath,
        bytes: &[u8],
        read: impl FnOnce() -> FileRead,
    ) -> FileRead {
        if let Some(kept) = self.files.get(path)
            && kept.bytes == bytes
        {
            return kept.read.clone();
        }
        self.files_read += 1;
        let read = read();
        if read.names_files {
            self.files.remove(path);
        } else {
            let kept = Kept {
                bytes: bytes.to_vec(),
                read: read.clone(),
            };
            self.files.insert(path.clone(), kept);
        }
        read
    }
}
