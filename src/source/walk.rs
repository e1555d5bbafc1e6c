//! Which files of a tree are read, and what makes a tree unreadable: one set of rules for commits and directories.
//!
//! Rules: gitops S6, S7, Q2, G28, G41 and decision 29 of the spec. Whatever would make us see less than there is (a
//! missing path, a limit, a link that leads elsewhere) is an error, never an emptier result.

use std::collections::{BTreeMap, BTreeSet};

use super::{Refusal, SourceError, snapshot::File};
use crate::id::{RepoPath, Revision};

/// Files of one commit (gitops Q2).
pub const MAX_FILES: usize = 10_000;
/// Bytes of all files of one commit together.
pub const MAX_BYTES: u64 = 64 << 20;
/// Bytes of one file.
pub const MAX_FILE_BYTES: u64 = 4 << 20;
/// Bytes of one path.
pub const MAX_PATH_BYTES: usize = 4096;
/// Directories and files looked at, read or not, so that a tree that holds itself a million times ends.
const MAX_ENTRIES: usize = 2_000_000;
/// Links that one link may lead over.
const MAX_HOPS: usize = 8;
/// Longest file that can be an LFS pointer, by its specification.
const MAX_POINTER_BYTES: usize = 1024;
const LFS_POINTER: &[u8] = b"version https://git-lfs.github.com/spec/";

/// What an entry of a directory is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    File,
    Directory,
    Link,
    Submodule,
    Other,
}

#[derive(Clone, Debug)]
pub(super) struct Entry<N> {
    pub(super) kind: Kind,
    pub(super) node: N,
}

/// The entries of a directory by their names.
pub(super) type Listing<N> = Vec<(Vec<u8>, Entry<N>)>;

/// A tree of files, of a commit or on disk. Nothing in it follows links.
pub(super) trait Tree {
    /// How an entry is found again.
    type Node: Clone;

    fn root(&self) -> Self::Node;
    /// Names as they are, in any order.
    fn list(
        &self,
        directory: &Self::Node,
        path: &RepoPath,
    ) -> Result<Listing<Self::Node>, SourceError>;
    fn child(
        &self,
        directory: &Self::Node,
        name: &str,
    ) -> Result<Option<Entry<Self::Node>>, SourceError>;
    fn size(&self, file: &Self::Node, path: &RepoPath) -> Result<u64, SourceError>;
    /// Content of a file, at most one byte more than [`MAX_FILE_BYTES`]; of a link, where it leads.
    fn read(&self, entry: &Entry<Self::Node>, path: &RepoPath) -> Result<Vec<u8>, SourceError>;
    /// The same of a file; one that was read before need not be read again.
    fn file(&self, entry: &Entry<Self::Node>, path: &RepoPath) -> Result<File, SourceError> {
        self.read(entry, path).map(File::from)
    }
    /// The commit that it is, for messages.
    fn revision(&self) -> Option<Revision>;
}

/// Reads all manifests under `watched`, and the `named` files that exist. A named file that doesn't is left out: who
/// names it knows the line to complain about.
pub(super) fn collect<T: Tree>(
    tree: &T,
    watched: &[RepoPath],
    named: &BTreeSet<RepoPath>,
) -> Result<BTreeMap<RepoPath, File>, SourceError> {
    let mut walk = Walk {
        tree,
        watched,
        files: BTreeMap::new(),
        bytes: 0,
        entries: 0,
    };
    for path in watched {
        walk.watched(path)?;
    }
    for path in named {
        walk.named(path)?;
    }
    Ok(walk.files)
}

/// Whether the path is a manifest by its name (decision 29 of the spec).
pub(super) fn is_manifest(path: &RepoPath) -> bool {
    path.as_str().ends_with(".yaml") || path.as_str().ends_with(".yml")
}

/// Whether `path` is `directory` or below it; `.` is above everything.
pub(super) fn is_within(path: &RepoPath, directory: &RepoPath) -> bool {
    if is_root(directory) || path == directory {
        return true;
    }
    path.as_str()
        .strip_prefix(directory.as_str())
        .is_some_and(|rest| rest.starts_with('/'))
}

fn is_root(path: &RepoPath) -> bool {
    matches!(path.as_str(), "." | "")
}

struct Walk<'a, T> {
    tree: &'a T,
    watched: &'a [RepoPath],
    files: BTreeMap<RepoPath, File>,
    bytes: u64,
    entries: usize,
}

impl<T: Tree> Walk<'_, T> {
    fn watched(&mut self, path: &RepoPath) -> Result<(), SourceError> {
        let entry = self.find(path)?.ok_or_else(|| SourceError::PathNotFound {
            path: path.clone(),
            revision: self.tree.revision(),
        })?;
        match entry.kind {
            Kind::Directory => self.directory(path.clone(), entry.node),
            Kind::File if is_manifest(path) => self.file(path, &entry),
            Kind::File => Err(refused(
                path,
                Refusal::Unreadable,
                "a watched file must end in .yaml or .yml",
            )),
            Kind::Link => Err(refused(
                path,
                Refusal::Symlink,
                "a watched path cannot be a symbolic link; name what it leads to",
            )),
            Kind::Submodule => Err(submodule(path)),
            Kind::Other => Err(special(path)),
        }
    }

    fn named(&mut self, path: &RepoPath) -> Result<(), SourceError> {
        if self.files.contains_key(path) {
            return Ok(());
        }
        let Some(entry) = self.find(path)? else {
            return Ok(());
        };
        match entry.kind {
            Kind::File => self.file(path, &entry),
            Kind::Link => self.link(path, &entry, true),
            Kind::Directory => Err(refused(
                path,
                Refusal::Unreadable,
                "a manifest names it as a file, but it is a directory",
            )),
            Kind::Submodule => Err(submodule(path)),
            Kind::Other => Err(special(path)),
        }
    }

    fn directory(&mut self, path: RepoPath, node: T::Node) -> Result<(), SourceError> {
        let mut open = vec![(path, node)];
        while let Some((directory, node)) = open.pop() {
            for (name, entry) in self.tree.list(&node, &directory)? {
                self.entries += 1;
                let path = self.joined(&directory, &name, entry.kind)?;
                let Some(path) = path else { continue };
                if self.entries > MAX_ENTRIES {
                    return Err(too_large(
                        &path,
                        format!(
                            "more than {MAX_ENTRIES} files and directories under the watched paths"
                        ),
                    ));
                }
                match entry.kind {
                    Kind::Directory => open.push((path, entry.node)),
                    Kind::File if is_manifest(&path) => self.file(&path, &entry)?,
                    Kind::File => {}
                    Kind::Link => self.link(&path, &entry, is_manifest(&path))?,
                    Kind::Submodule => return Err(submodule(&path)),
                    Kind::Other if is_manifest(&path) => return Err(special(&path)),
                    Kind::Other => {}
                }
            }
        }
        Ok(())
    }

    /// The path of an entry; `None` for a file of no interest whose name is not text.
    fn joined(
        &self,
        directory: &RepoPath,
        name: &[u8],
        kind: Kind,
    ) -> Result<Option<RepoPath>, SourceError> {
        let text = String::from_utf8_lossy(name);
        let path = if is_root(directory) {
            RepoPath::new(text.as_ref())
        } else {
            RepoPath::new(format!("{directory}/{text}"))
        };
        let plain = std::str::from_utf8(name).is_ok()
            && !matches!(name, b"" | b"." | b"..")
            && !name.contains(&b'/')
            && !name.contains(&0);
        if !plain {
            if kind == Kind::File && !is_manifest(&path) {
                return Ok(None);
            }
            return Err(refused(
                &path,
                Refusal::Name,
                "the name is not plain UTF-8 text",
            ));
        }
        if path.as_str().len() > MAX_PATH_BYTES {
            if kind == Kind::File && !is_manifest(&path) {
                return Ok(None);
            }
            return Err(too_large(
                &path,
                format!("the path has more than {MAX_PATH_BYTES} bytes"),
            ));
        }
        Ok(Some(path))
    }

    fn file(&mut self, path: &RepoPath, entry: &Entry<T::Node>) -> Result<(), SourceError> {
        if self.files.contains_key(path) {
            return Ok(());
        }
        if self.files.len() >= MAX_FILES {
            return Err(too_large(
                path,
                format!("more than {MAX_FILES} files under the watched paths"),
            ));
        }
        self.fits(path, self.tree.size(&entry.node, path)?)?;
        let content = self.tree.file(entry, path)?;
        // Again, since a file on disk may have grown meanwhile.
        self.fits(path, content.len() as u64)?;
        if content.len() <= MAX_POINTER_BYTES && content.starts_with(LFS_POINTER) {
            return Err(refused(
                path,
                Refusal::LfsPointer,
                "is a Git LFS pointer, not the file itself; LFS is not served, keep the file in git",
            ));
        }
        self.bytes += content.len() as u64;
        self.files.insert(path.clone(), content);
        Ok(())
    }

    fn fits(&self, path: &RepoPath, size: u64) -> Result<(), SourceError> {
        if size > MAX_FILE_BYTES {
            return Err(too_large(
                path,
                format!("the file has more than {} MiB", MAX_FILE_BYTES >> 20),
            ));
        }
        if self.bytes + size > MAX_BYTES {
            return Err(too_large(
                path,
                format!(
                    "the files under the watched paths have more than {} MiB",
                    MAX_BYTES >> 20
                ),
            ));
        }
        Ok(())
    }

    /// Follows a link to a file under a watched path; the content goes under the link's own name. A link that isn't
    /// `wanted` may lead to any file of the repository, since nobody reads it, but not to where manifests could hide.
    fn link(
        &mut self,
        path: &RepoPath,
        entry: &Entry<T::Node>,
        wanted: bool,
    ) -> Result<(), SourceError> {
        let mut at = path.clone();
        let mut entry = entry.clone();
        for _ in 0..MAX_HOPS {
            let target = self.tree.read(&entry, &at)?;
            let shown = String::from_utf8_lossy(&target).into_owned();
            let refuse = |why: &str| {
                refused(
                    path,
                    Refusal::Symlink,
                    format!("the symbolic link leads to {shown}, {why}"),
                )
            };
            let Some(next) = std::str::from_utf8(&target)
                .ok()
                .and_then(|target| resolved(&at, target))
            else {
                return Err(refuse("outside of the repository"));
            };
            let Some(found) = self.find(&next)? else {
                return Err(refuse("which does not exist in the repository"));
            };
            match found.kind {
                Kind::Link => {
                    at = next;
                    entry = found;
                }
                Kind::File if !wanted => return Ok(()),
                Kind::File if self.watched.iter().any(|watched| is_within(&next, watched)) => {
                    return self.file(path, &found);
                }
                Kind::File => return Err(refuse("outside of the watched paths")),
                Kind::Directory => {
                    return Err(refuse("a directory; only links to files are followed"));
                }
                Kind::Submodule | Kind::Other => return Err(refuse("which is not a file")),
            }
        }
        Err(refused(
            path,
            Refusal::Symlink,
            format!("the symbolic link leads over more than {MAX_HOPS} others"),
        ))
    }

    /// Finds an entry by its whole path, following nothing.
    fn find(&self, path: &RepoPath) -> Result<Option<Entry<T::Node>>, SourceError> {
        let mut entry = Entry {
            kind: Kind::Directory,
            node: self.tree.root(),
        };
        if is_root(path) {
            return Ok(Some(entry));
        }
        if path.as_str().len() > MAX_PATH_BYTES {
            return Err(too_large(
                path,
                format!("the path has more than {MAX_PATH_BYTES} bytes"),
            ));
        }
        let plain = |name: &str| !matches!(name, "" | "." | "..") && !name.contains('\0');
        if !path.as_str().split('/').all(plain) {
            return Err(refused(
                path,
                Refusal::Name,
                "the path must be relative to the repository, without `.`, `..` and empty parts",
            ));
        }
        for name in path.as_str().split('/') {
            match entry.kind {
                Kind::Directory => {}
                Kind::Link => {
                    return Err(refused(
                        path,
                        Refusal::Symlink,
                        "the path leads through a symbolic link; only links to files are followed",
                    ));
                }
                Kind::Submodule => return Err(submodule(path)),
                Kind::File | Kind::Other => return Ok(None),
            }
            match self.tree.child(&entry.node, name)? {
                Some(child) => entry = child,
                None => return Ok(None),
            }
        }
        Ok(Some(entry))
    }
}

/// Where a link at `at` leads, by its text alone; `None` when out of the repository.
fn resolved(at: &RepoPath, target: &str) -> Option<RepoPath> {
    if target.is_empty() || target.starts_with('/') || target.contains('\0') {
        return None;
    }
    let mut parts: Vec<&str> = at.as_str().split('/').collect();
    parts.pop();
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            name => parts.push(name),
        }
    }
    if parts.is_empty() {
        return Some(RepoPath::new("."));
    }
    Some(RepoPath::new(parts.join("/")))
}

fn refused(path: &RepoPath, refusal: Refusal, detail: impl Into<String>) -> SourceError {
    SourceError::Refused {
        path: path.clone(),
        refusal,
        detail: detail.into(),
    }
}

fn submodule(path: &RepoPath) -> SourceError {
    refused(
        path,
        Refusal::Submodule,
        "is a git submodule or a repository of its own; submodules are not served, keep the files in this repository",
    )
}

fn special(path: &RepoPath) -> SourceError {
    refused(
        path,
        Refusal::Unreadable,
        "is neither a file nor a directory",
    )
}

fn too_large(path: &RepoPath, limit: String) -> SourceError {
    SourceError::TooLarge {
        path: path.clone(),
        limit,
    }
}
