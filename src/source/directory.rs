//! A plain directory instead of a commit: for checks and plans before anything is committed. Same rules as for commits.

use std::{
    collections::BTreeSet,
    fs,
    io::Read,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
};

use super::{
    Refusal, Snapshot, SourceError,
    walk::{self, Entry, Kind, Listing, MAX_FILE_BYTES, Tree},
};
use crate::id::{RepoPath, Revision};

/// Reads the manifests under `paths` (`.` for all) of a directory.
pub fn read(dir: &Path, paths: &[RepoPath]) -> Result<Snapshot, SourceError> {
    read_named(dir, paths, &BTreeSet::new())
}

/// The same with the files that manifests name.
pub fn read_named(
    dir: &Path,
    paths: &[RepoPath],
    named: &BTreeSet<RepoPath>,
) -> Result<Snapshot, SourceError> {
    if !dir.is_dir() {
        return Err(SourceError::RemoteUnavailable {
            url: dir.display().to_string(),
            detail: "there is no such directory".to_owned(),
        });
    }
    Ok(Snapshot {
        commit: None,
        files: walk::collect(&Directory { root: dir }, paths, named)?,
    })
}

struct Directory<'a> {
    root: &'a Path,
}

impl Tree for Directory<'_> {
    type Node = PathBuf;

    fn root(&self) -> PathBuf {
        self.root.to_owned()
    }

    fn list(&self, directory: &PathBuf, path: &RepoPath) -> Result<Listing<PathBuf>, SourceError> {
        let mut entries = Vec::new();
        let listing = fs::read_dir(directory).map_err(|error| unreadable(path, &error))?;
        for entry in listing {
            let entry = entry.map_err(|error| unreadable(path, &error))?;
            if entry.file_name() == ".git" {
                continue;
            }
            let node = entry.path();
            let kind = entry
                .file_type()
                .map_err(|error| unreadable(path, &error))?;
            entries.push((
                entry.file_name().as_bytes().to_owned(),
                Entry {
                    kind: kind_of(kind, &node),
                    node,
                },
            ));
        }
        Ok(entries)
    }

    fn child(
        &self,
        directory: &PathBuf,
        name: &str,
    ) -> Result<Option<Entry<PathBuf>>, SourceError> {
        let node = directory.join(name);
        match fs::symlink_metadata(&node) {
            Ok(metadata) => Ok(Some(Entry {
                kind: kind_of(metadata.file_type(), &node),
                node,
            })),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(unreadable(&RepoPath::new(name), &error)),
        }
    }

    fn size(&self, file: &PathBuf, path: &RepoPath) -> Result<u64, SourceError> {
        fs::symlink_metadata(file)
            .map(|metadata| metadata.len())
            .map_err(|error| unreadable(path, &error))
    }

    fn read(&self, entry: &Entry<PathBuf>, path: &RepoPath) -> Result<Vec<u8>, SourceError> {
        if entry.kind == Kind::Link {
            return fs::read_link(&entry.node)
                .map(|target| target.as_os_str().as_bytes().to_owned())
                .map_err(|error| unreadable(path, &error));
        }
        let mut content = Vec::new();
        fs::File::open(&entry.node)
            .and_then(|file| file.take(MAX_FILE_BYTES + 1).read_to_end(&mut content))
            .map_err(|error| unreadable(path, &error))?;
        Ok(content)
    }

    fn revision(&self) -> Option<Revision> {
        None
    }
}

/// A directory that is a work tree of its own is what git would show as a submodule.
fn kind_of(kind: fs::FileType, path: &Path) -> Kind {
    if kind.is_symlink() {
        Kind::Link
    } else if kind.is_file() {
        Kind::File
    } else if kind.is_dir() && path.join(".git").exists() {
        Kind::Submodule
    } else if kind.is_dir() {
        Kind::Directory
    } else {
        Kind::Other
    }
}

fn unreadable(path: &RepoPath, error: &std::io::Error) -> SourceError {
    SourceError::Refused {
        path: path.clone(),
        refusal: Refusal::Unreadable,
        detail: format!("cannot be read: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::symlink};

    use super::*;

    #[test]
    fn a_plain_directory_is_read_by_the_same_rules() {
        let dir = tempfile::tempdir().unwrap();
        let at = |path: &str| dir.path().join(path);
        fs::create_dir_all(at("a/b")).unwrap();
        fs::create_dir_all(at(".git")).unwrap();
        fs::write(at(".git/x.yaml"), "no").unwrap();
        fs::write(at("a/one.yaml"), "1").unwrap();
        fs::write(at("a/b/two.yml"), "2").unwrap();
        fs::write(at("a/policy.json"), "{}").unwrap();
        symlink("one.yaml", at("a/link.yaml")).unwrap();
        let read = |paths: &[&str]| {
            let paths: Vec<RepoPath> = paths.iter().map(|path| RepoPath::new(*path)).collect();
            read_named(
                dir.path(),
                &paths,
                &BTreeSet::from([RepoPath::new("a/policy.json")]),
            )
        };
        let snapshot = read(&["."]).unwrap();
        assert_eq!(snapshot.commit, None);
        let files: Vec<&str> = snapshot.files.keys().map(RepoPath::as_str).collect();
        assert_eq!(
            files,
            ["a/b/two.yml", "a/link.yaml", "a/one.yaml", "a/policy.json"]
        );
        assert_eq!(read(&["gone"]).unwrap_err().reason(), "PathNotFound");

        symlink("/etc/hostname", at("a/out.yaml")).unwrap();
        let refused = |error: SourceError| match error {
            SourceError::Refused { refusal, path, .. } => (refusal, path.to_string()),
            other => panic!("{other}"),
        };
        assert_eq!(
            refused(read(&["."]).unwrap_err()),
            (Refusal::Symlink, "a/out.yaml".to_owned())
        );
        fs::remove_file(at("a/out.yaml")).unwrap();
        fs::create_dir_all(at("sub/.git")).unwrap();
        assert_eq!(
            refused(read(&["."]).unwrap_err()),
            (Refusal::Submodule, "sub".to_owned())
        );
        fs::remove_dir_all(at("sub")).unwrap();
        fs::write(at("a/big.yaml"), vec![b'#'; (4 << 20) + 1]).unwrap();
        assert_eq!(read(&["."]).unwrap_err().reason(), "TooLarge");
        assert_eq!(
            super::read(&at("gone"), &[]).unwrap_err().reason(),
            "RemoteUnavailable"
        );
    }
}
