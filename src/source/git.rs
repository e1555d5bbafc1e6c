//! A bare mirror of one branch in the state directory. Commits are read from its objects, never from a work tree.
//!
//! What the network does happens in [`fetch`] on a thread of its own that is left behind at the deadline; reading opens
//! a fresh handle each time, so nothing is shared with a thread that hangs. A fetch writes objects first and moves our
//! ref last: killed anywhere, the last good commit stays readable (gitops S8).

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet, HashMap},
    fs,
    io::Write,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError, RwLock, RwLockReadGuard,
        atomic::{AtomicBool, AtomicUsize, Ordering},
        mpsc,
    },
    thread,
};

use git2::{ErrorCode, ObjectType, Oid, Repository};
use sha2::{Digest, Sha256};

use super::{
    Commit, History, Snapshot, Source, SourceError,
    snapshot::File,
    walk::{self, Entry, Kind, Listing, MAX_FILE_BYTES, Tree},
};
use crate::{
    config::SourceConfig,
    id::{RepoPath, Revision},
};

mod fetch;
mod housekeeping;
mod process;
#[cfg(test)]
mod tests;

/// Revisions that stay readable besides the newest one kept (gitops G23).
const KEPT_BEFORE: usize = 20;
/// Fetches that may hang behind us before we refuse to start another; each ends by libgit2's own deadlines at last.
const MAX_HANGING: usize = 4;
const REDIRECTS: &str = "http.followRedirects";
const KEEP: &str = "refs/albsync/keep";
/// The order in which revisions were kept, oldest first, one a line.
const KEPT: &str = "albsync-kept";

/// The mirror of one branch.
#[derive(Debug)]
pub struct Mirror {
    dir: PathBuf,
    paths: Vec<RepoPath>,
    order: Arc<fetch::Order>,
    hanging: Arc<AtomicUsize>,
    /// Reading found objects damaged: the next fetch starts from nothing.
    suspect: AtomicBool,
    /// One fetch at a time, since the packs of one must not be tidied away by another.
    fetching: Mutex<()>,
    /// Held for reading while objects are read, for writing while packs are replaced.
    packs: RwLock<()>,
    blobs: Mutex<Blobs>,
}

impl Mirror {
    /// Opens or makes the mirror in `<state_dir>/mirror-<hash of the URL>`. A mirror that cannot be opened is set aside
    /// and made anew: it holds nothing that the source has not.
    pub fn open(state_dir: &Path, config: &SourceConfig) -> Result<Self, SourceError> {
        process::set_timeouts();
        let location = config
            .location()
            .map_err(|detail| SourceError::Unsupported {
                what: "this source".to_owned(),
                detail,
            })?;
        let mut order = fetch::Order::new(&location, config)?;
        let digest = hex(&Sha256::digest(order.address.as_bytes()));
        let dir = state_dir.join(format!("mirror-{}", &digest[..16]));
        if let Some(file) = &config.ca_file {
            process::trust(file).map_err(|error| SourceError::CertificateUntrusted {
                url: order.shown.clone(),
                detail: format!(
                    "{} holds no usable certificates: {}",
                    file.display(),
                    error.message()
                ),
            })?;
        }
        housekeeping::tidy(&dir);
        prepare(&dir).or_else(|error| {
            tracing::warn!(mirror = %dir.display(), %error, "setting a damaged mirror aside");
            set_aside(&dir)?;
            prepare(&dir)
        })?;
        order.mirror.clone_from(&dir);
        Ok(Self {
            dir,
            paths: config
                .paths
                .iter()
                .map(|path| RepoPath::new(path.clone()))
                .collect(),
            order: Arc::new(order),
            hanging: Arc::default(),
            suspect: AtomicBool::default(),
            fetching: Mutex::default(),
            packs: RwLock::default(),
            blobs: Mutex::default(),
        })
    }

    /// Where the mirror is.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The last tip that was fetched, from disk.
    pub fn last_fetched(&self) -> Result<Option<Revision>, SourceError> {
        let opened = self.opened()?;
        let repository = &opened.repository;
        let tip = repository.refname_to_id(&self.order.tip_ref);
        match tip {
            Ok(oid) => Ok(Some(Revision::new(oid.to_string()))),
            Err(error) if error.code() == ErrorCode::NotFound => Ok(None),
            Err(error) => Err(damaged(&error)),
        }
    }

    fn opened(&self) -> Result<Opened<'_>, SourceError> {
        let packs = self.packs.read().unwrap_or_else(PoisonError::into_inner);
        Repository::open_bare(&self.dir)
            .map(|repository| Opened {
                repository,
                _packs: packs,
            })
            .map_err(|error| SourceError::MirrorUnusable {
                path: self.dir.clone(),
                detail: error.message().to_owned(),
            })
    }
}

impl Source for Mirror {
    fn fetch(&self) -> Result<Revision, SourceError> {
        let timed_out = |detail: &str| SourceError::Timeout {
            url: self.order.shown.clone(),
            after: self.order.timeout,
            detail: detail.to_owned(),
        };
        let _alone = self.fetching.lock().unwrap_or_else(PoisonError::into_inner);
        if self.hanging.load(Ordering::SeqCst) >= MAX_HANGING {
            return Err(timed_out("earlier fetches still hang"));
        }
        if self.suspect.swap(false, Ordering::SeqCst) {
            let _packs = self.packs.write().unwrap_or_else(PoisonError::into_inner);
            tracing::warn!(mirror = %self.dir.display(), "objects are damaged, fetching everything anew");
            set_aside(&self.dir)?;
            prepare(&self.dir)?;
        }
        let live = fetch::Live::until(self.order.timeout);
        let (done, outcome) = mpsc::sync_channel(1);
        let hanging = Hanging::one_more(&self.hanging);
        let worker = (Arc::clone(&self.order), live.clone());
        thread::Builder::new()
            .name("git-fetch".to_owned())
            .spawn(move || {
                let (order, live) = worker;
                let outcome = fetch::fetch(&order, &live);
                // Before the answer: whoever gets it may fetch again at once and must not count this one.
                drop(hanging);
                // Nobody listens any more when the deadline has passed.
                let _ = done.send(outcome);
            })
            .map_err(|error| SourceError::RemoteUnavailable {
                url: self.order.shown.clone(),
                detail: format!("no thread to fetch with: {error}"),
            })?;
        match outcome.recv_timeout(self.order.timeout) {
            Ok(outcome) => {
                if outcome.is_ok() {
                    let _packs = self.packs.write().unwrap_or_else(PoisonError::into_inner);
                    housekeeping::repack(&self.dir);
                }
                outcome
            }
            Err(mpsc::RecvTimeoutError::Timeout) => {
                live.abandon();
                Err(timed_out("the fetch was given up"))
            }
            Err(mpsc::RecvTimeoutError::Disconnected) => Err(SourceError::RemoteUnavailable {
                url: self.order.shown.clone(),
                detail: "the fetch ended without a result".to_owned(),
            }),
        }
    }

    fn resolve(&self, text: &str) -> Result<Revision, SourceError> {
        let opened = self.opened()?;
        // The mirror's own HEAD says nothing: people mean the watched branch.
        let text = match text.strip_prefix("HEAD") {
            Some(rest) => format!("{}{rest}", self.order.tip_ref),
            None => text.to_owned(),
        };
        resolve(&opened.repository, &text)
    }

    fn commit(&self, revision: &Revision) -> Result<Commit, SourceError> {
        let opened = self.opened()?;
        let repository = &opened.repository;
        let commit = find_commit(repository, revision)?;
        let message = String::from_utf8_lossy(commit.message_bytes()).replace('\0', "\u{fffd}");
        let author = commit.author();
        let author = format!(
            "{} <{}>",
            String::from_utf8_lossy(author.name_bytes()),
            String::from_utf8_lossy(author.email_bytes())
        );
        Ok(Commit {
            revision: revision.clone(),
            author,
            time: commit.time().seconds(),
            subject: message
                .trim_start()
                .lines()
                .next()
                .unwrap_or_default()
                .trim_end()
                .to_owned(),
            trailers: trailers(&message),
        })
    }

    fn snapshot(
        &self,
        revision: &Revision,
        named: &BTreeSet<RepoPath>,
    ) -> Result<Snapshot, SourceError> {
        let commit = self.commit(revision)?;
        let opened = self.opened()?;
        let blobs = || self.blobs.lock().unwrap_or_else(PoisonError::into_inner);
        let known = blobs().clone();
        let files = files(&opened.repository, revision, &self.paths, named, known);
        let (files, read) = files.inspect_err(|error| {
            if matches!(error, SourceError::Corrupt { .. }) {
                self.suspect.store(true, Ordering::SeqCst);
            }
        })?;
        blobs().take(revision, read);
        Ok(Snapshot {
            files,
            commit: Some(commit),
        })
    }

    fn relation(&self, old: &Revision, new: &Revision) -> Result<History, SourceError> {
        if old == new {
            return Ok(History::Same);
        }
        let opened = self.opened()?;
        let repository = &opened.repository;
        let new = find_commit(repository, new)?.id();
        let Ok(old) = find_commit(repository, old).map(|commit| commit.id()) else {
            return Ok(History::Unknown);
        };
        // An ancestor that is missing (a shallow origin) makes the question undecidable, not an error.
        match repository.graph_ahead_behind(old, new) {
            Ok((0, _)) => Ok(History::Descends),
            Ok((dropped, _)) => Ok(History::Rewritten { dropped }),
            Err(error) => {
                tracing::debug!(%error, "history cannot be compared");
                Ok(History::Unknown)
            }
        }
    }

    fn keep(&self, revision: &Revision) -> Result<(), SourceError> {
        let opened = self.opened()?;
        let repository = &opened.repository;
        let oid = find_commit(repository, revision)?.id();
        let name = |revision: &str| format!("{KEEP}/{revision}");
        // First the ref, then the list, then what falls off it: killed anywhere, too much is kept, never too little.
        repository
            .reference(&name(revision.as_str()), oid, true, "albsync: keep")
            .map_err(|error| damaged(&error))?;
        let listed = fs::read_to_string(self.dir.join(KEPT)).unwrap_or_default();
        let mut kept: Vec<&str> = listed
            .lines()
            .filter(|line| *line != revision.as_str() && Oid::from_str(line).is_ok())
            .collect();
        kept.push(revision.as_str());
        let dropped = kept.len().saturating_sub(KEPT_BEFORE + 1);
        let dropped: Vec<&str> = kept.drain(..dropped).collect();
        write_whole(&self.dir.join(KEPT), &(kept.join("\n") + "\n")).map_err(|error| {
            SourceError::MirrorUnusable {
                path: self.dir.clone(),
                detail: error.to_string(),
            }
        })?;
        for old in dropped {
            if let Ok(mut reference) = repository.find_reference(&name(old)) {
                reference.delete().map_err(|error| damaged(&error))?;
            }
        }
        Ok(())
    }
}

/// The mirror, open for reading.
struct Opened<'a> {
    repository: Repository,
    _packs: RwLockReadGuard<'a, ()>,
}

/// Counts a fetch for as long as its thread lives.
struct Hanging(Arc<AtomicUsize>);

impl Hanging {
    fn one_more(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::SeqCst);
        Self(Arc::clone(count))
    }
}

impl Drop for Hanging {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

fn prepare(dir: &Path) -> Result<(), SourceError> {
    let unusable = |detail: String| SourceError::MirrorUnusable {
        path: dir.to_owned(),
        detail,
    };
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
        .map_err(|error| unusable(error.to_string()))?;
    let repository = match Repository::open_bare(dir) {
        Ok(repository) => repository,
        Err(error) if error.code() == ErrorCode::NotFound && is_empty(dir) => {
            Repository::init_bare(dir).map_err(|error| unusable(error.message().to_owned()))?
        }
        Err(error) => return Err(unusable(error.message().to_owned())),
    };
    let mut config = repository
        .config()
        .map_err(|error| unusable(error.message().to_owned()))?;
    // Redirects to another host are not followed: they would take us, and what we say, elsewhere (gitops S3).
    if config.get_bool(REDIRECTS).unwrap_or(true) {
        config
            .set_bool(REDIRECTS, false)
            .map_err(|error| unusable(error.message().to_owned()))?;
    }
    repository
        .references()
        .map(|_| ())
        .map_err(|error| unusable(error.message().to_owned()))
}

fn is_empty(dir: &Path) -> bool {
    fs::read_dir(dir).is_ok_and(|mut entries| entries.next().is_none())
}

fn set_aside(dir: &Path) -> Result<(), SourceError> {
    let aside = dir.with_extension("broken");
    let moved = match fs::remove_dir_all(&aside) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
        _ => fs::rename(dir, &aside),
    };
    moved.map_err(|error| SourceError::MirrorUnusable {
        path: dir.to_owned(),
        detail: error.to_string(),
    })
}

fn write_whole(path: &Path, text: &str) -> std::io::Result<()> {
    let fresh = path.with_extension("new");
    let mut file = fs::File::create(&fresh)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(fresh, path)
}

/// The files of one commit of any repository on this machine, by the rules of [`Source::snapshot`]; for looking at a
/// working repository without making a mirror of it. `text` is whatever git takes for a commit.
pub fn read_commit(
    repository: &Path,
    text: &str,
    paths: &[RepoPath],
    named: &BTreeSet<RepoPath>,
) -> Result<Snapshot, SourceError> {
    let shown = repository.display().to_string();
    let repository =
        Repository::discover(repository).map_err(|error| SourceError::RemoteUnavailable {
            url: shown,
            detail: error.message().to_owned(),
        })?;
    let revision = resolve(&repository, text)?;
    Ok(Snapshot {
        files: files(&repository, &revision, paths, named, Blobs::default())?.0,
        commit: None,
    })
}

fn resolve(repository: &Repository, text: &str) -> Result<Revision, SourceError> {
    let unknown = || SourceError::UnknownRevision {
        revision: Revision::from(text),
    };
    let commit = repository
        .revparse_single(text)
        .and_then(|object| object.peel_to_commit())
        .map_err(|_| unknown())?;
    Ok(Revision::new(commit.id().to_string()))
}

/// The files of a commit by their paths, and by what they hold.
fn files(
    repository: &Repository,
    revision: &Revision,
    paths: &[RepoPath],
    named: &BTreeSet<RepoPath>,
    known: Blobs,
) -> Result<(BTreeMap<RepoPath, File>, ByOid), SourceError> {
    let tree = CommitTree {
        root: find_commit(repository, revision)?.tree_id(),
        odb: repository.odb().map_err(|error| damaged(&error))?,
        repository,
        revision,
        known,
        read: RefCell::default(),
    };
    let files = walk::collect(&tree, paths, named)?;
    Ok((files, tree.read.into_inner()))
}

fn find_commit<'r>(
    repository: &'r Repository,
    revision: &Revision,
) -> Result<git2::Commit<'r>, SourceError> {
    let unknown = || SourceError::UnknownRevision {
        revision: revision.clone(),
    };
    let oid = Oid::from_str(revision.as_str()).map_err(|_| unknown())?;
    repository
        .find_commit(oid)
        .map_err(|error| match error.code() {
            ErrorCode::NotFound => unknown(),
            _ => damaged(&error),
        })
}

/// By git's own rules: the last paragraph, if it is made of trailers.
fn trailers(message: &str) -> Vec<(String, String)> {
    let Ok(found) = git2::message_trailers_strs(message) else {
        return Vec::new();
    };
    found
        .iter()
        .map(|(key, value)| (key.to_owned(), value.trim().to_owned()))
        .collect()
}

fn damaged(error: &git2::Error) -> SourceError {
    SourceError::Corrupt {
        detail: error.message().to_owned(),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The tree of one commit, read object by object.
struct CommitTree<'a> {
    repository: &'a Repository,
    odb: git2::Odb<'a>,
    root: Oid,
    revision: &'a Revision,
    known: Blobs,
    read: RefCell<ByOid>,
}

/// Files by their object ids, which tell what they hold.
type ByOid = HashMap<Oid, File>;

/// The files of the revision that was read last and of the one before, so that of the next one only what changed is read.
#[derive(Clone, Debug, Default)]
struct Blobs {
    revision: Option<Revision>,
    last: Arc<ByOid>,
    before: Arc<ByOid>,
}

impl Blobs {
    fn get(&self, oid: &Oid) -> Option<&File> {
        self.last.get(oid).or_else(|| self.before.get(oid))
    }

    /// A revision is read again with the files that its documents name.
    fn take(&mut self, revision: &Revision, read: ByOid) {
        if self.revision.as_ref() == Some(revision) {
            Arc::make_mut(&mut self.last).extend(read);
        } else {
            self.before = std::mem::replace(&mut self.last, Arc::new(read));
            self.revision = Some(revision.clone());
        }
    }
}

impl Tree for CommitTree<'_> {
    type Node = Oid;

    fn root(&self) -> Oid {
        self.root
    }

    fn list(&self, directory: &Oid, _path: &RepoPath) -> Result<Listing<Oid>, SourceError> {
        let tree = self
            .repository
            .find_tree(*directory)
            .map_err(|error| damaged(&error))?;
        Ok(tree
            .iter()
            .map(|entry| (entry.name_bytes().to_owned(), entry_of(&entry)))
            .collect())
    }

    fn child(&self, directory: &Oid, name: &str) -> Result<Option<Entry<Oid>>, SourceError> {
        let tree = self
            .repository
            .find_tree(*directory)
            .map_err(|error| damaged(&error))?;
        Ok(tree.get_name(name).map(|entry| entry_of(&entry)))
    }

    fn size(&self, file: &Oid, _path: &RepoPath) -> Result<u64, SourceError> {
        if let Some(file) = self.known.get(file) {
            return Ok(file.len() as u64);
        }
        self.odb
            .read_header(*file)
            .map(|(size, _)| size as u64)
            .map_err(|error| damaged(&error))
    }

    fn read(&self, entry: &Entry<Oid>, path: &RepoPath) -> Result<Vec<u8>, SourceError> {
        if self.size(&entry.node, path)? > MAX_FILE_BYTES {
            return Err(SourceError::TooLarge {
                path: path.clone(),
                limit: format!("the file has more than {} MiB", MAX_FILE_BYTES >> 20),
            });
        }
        self.repository
            .find_blob(entry.node)
            .map(|blob| blob.content().to_owned())
            .map_err(|error| damaged(&error))
    }

    fn file(&self, entry: &Entry<Oid>, path: &RepoPath) -> Result<File, SourceError> {
        let mut read = self.read.borrow_mut();
        let file = match read.get(&entry.node).or(self.known.get(&entry.node)) {
            Some(file) => file.clone(),
            None => File::from(self.read(entry, path)?),
        };
        read.insert(entry.node, file.clone());
        Ok(file)
    }

    fn revision(&self) -> Option<Revision> {
        Some(self.revision.clone())
    }
}

fn entry_of(entry: &git2::TreeEntry<'_>) -> Entry<Oid> {
    /// The file type bits of git's modes.
    const TYPE: i32 = 0o170_000;
    let kind = match (entry.filemode() & TYPE, entry.kind()) {
        (0o120_000, _) => Kind::Link,
        (_, Some(ObjectType::Tree)) => Kind::Directory,
        (_, Some(ObjectType::Commit)) => Kind::Submodule,
        (_, Some(ObjectType::Blob)) => Kind::File,
        _ => Kind::Other,
    };
    Entry {
        kind,
        node: entry.id(),
    }
}
