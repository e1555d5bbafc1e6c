//! Says "look again" when a local repository's refs move; only a hint, the poll goes on beside it (lessons E7, E8).

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{self, RecvTimeoutError},
    },
    thread,
    time::{Duration, Instant},
};

use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::mpsc::{Sender, error::TrySendError};

/// A push moves several files; what comes within this time is one movement.
const QUIET: Duration = Duration::from_millis(50);
/// Refs that never come to rest are looked at this often.
const LONGEST_MOVEMENT: Duration = Duration::from_millis(500);
/// How often to say "look again" when the system's notifications have failed.
const FALLBACK_POLL: Duration = Duration::from_secs(2);

/// Watches for as long as it lives.
#[derive(Debug)]
pub struct Watcher {
    degraded: Arc<AtomicBool>,
    _inner: RecommendedWatcher,
}

/// Why refs cannot be watched; polling has to do.
#[derive(Debug, thiserror::Error)]
pub enum WatchError {
    #[error("{} is no git repository that can be read", .path.display())]
    NoRepository {
        path: PathBuf,
        #[source]
        source: git2::Error,
    },
    #[error("the system cannot watch {}", .path.display())]
    Refused {
        path: PathBuf,
        #[source]
        source: notify::Error,
    },
}

impl Watcher {
    /// Whether notifications have failed meanwhile, so that hints come from a timer.
    pub fn is_degraded(&self) -> bool {
        self.degraded.load(Ordering::Relaxed)
    }
}

/// Watches HEAD, `packed-refs` and `refs/` of the repository at `path`, never its work tree. Sends at once when
/// something moves, and once more when it has come to rest. A full channel already says "look again".
pub fn watch_refs(path: &Path, tx: Sender<()>) -> Result<Watcher, WatchError> {
    let repository = git2::Repository::open(path).map_err(|source| WatchError::NoRepository {
        path: path.to_owned(),
        source,
    })?;
    let dir = repository.commondir().to_owned();
    // Events name files as the kernel does.
    let dir = dir.canonicalize().unwrap_or(dir);
    let degraded = Arc::new(AtomicBool::new(false));
    let (moved, movements) = mpsc::channel();
    let inner = notify::recommended_watcher({
        let dir = dir.clone();
        let degraded = Arc::clone(&degraded);
        move |event| {
            if is_movement(&dir, &event, &degraded) {
                // Gone only when the watcher itself goes.
                let _ = moved.send(());
            }
        }
    })
    .and_then(|mut inner| {
        inner.watch(&dir, RecursiveMode::NonRecursive)?;
        inner.watch(&dir.join("refs"), RecursiveMode::Recursive)?;
        Ok(inner)
    })
    .map_err(|source| WatchError::Refused {
        path: dir.clone(),
        source,
    })?;
    thread::Builder::new()
        .name("watch-refs".to_owned())
        .spawn({
            let degraded = Arc::clone(&degraded);
            move || forward(&movements, &tx, &degraded)
        })
        .map_err(|error| WatchError::Refused {
            path: dir,
            source: notify::Error::io(error),
        })?;
    Ok(Watcher {
        degraded,
        _inner: inner,
    })
}

/// Whether an event may mean that a ref moved. An error, or the loss of what we watch, turns the timer on.
fn is_movement(dir: &Path, event: &notify::Result<notify::Event>, degraded: &AtomicBool) -> bool {
    let event = match event {
        Ok(event) => event,
        Err(error) => {
            degrade(degraded, &error.to_string());
            return true;
        }
    };
    if event.need_rescan() {
        return true;
    }
    if matches!(event.kind, EventKind::Access(_)) {
        return false;
    }
    if event.kind.is_remove()
        && event
            .paths
            .iter()
            .any(|path| path == dir || *path == dir.join("refs"))
    {
        degrade(degraded, "the repository was moved or removed");
        return true;
    }
    event.paths.iter().any(|path| is_ref(dir, path))
}

fn is_ref(dir: &Path, path: &Path) -> bool {
    let Ok(inside) = path.strip_prefix(dir) else {
        return false;
    };
    if inside
        .extension()
        .is_some_and(|extension| extension == "lock")
    {
        return false;
    }
    inside.starts_with("refs") || inside == Path::new("HEAD") || inside == Path::new("packed-refs")
}

fn degrade(degraded: &AtomicBool, error: &str) {
    if !degraded.swap(true, Ordering::Relaxed) {
        tracing::warn!(error, "cannot watch refs any longer, polling them");
    }
}

fn forward(movements: &mpsc::Receiver<()>, tx: &Sender<()>, degraded: &AtomicBool) {
    loop {
        let wait = if degraded.load(Ordering::Relaxed) {
            movements.recv_timeout(FALLBACK_POLL)
        } else {
            movements.recv().map_err(RecvTimeoutError::from)
        };
        match wait {
            Ok(()) | Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
        if !hint(tx) {
            return;
        }
        let mut again = false;
        let since = Instant::now();
        while since.elapsed() < LONGEST_MOVEMENT && movements.recv_timeout(QUIET).is_ok() {
            again = true;
        }
        if again && !hint(tx) {
            return;
        }
    }
}

/// Whether anybody still listens.
fn hint(tx: &Sender<()>) -> bool {
    !matches!(tx.try_send(()), Err(TrySendError::Closed(())))
}

#[cfg(test)]
mod tests {
    use std::{fs, time::Instant};

    use git2::{Oid, Repository};
    use tempfile::TempDir;
    use tokio::sync::mpsc::{Receiver, channel};

    use super::*;

    fn watched() -> (TempDir, Repository, Watcher, Receiver<()>) {
        let dir = tempfile::tempdir().unwrap();
        let repository = Repository::init(dir.path()).unwrap();
        let (tx, rx) = channel(1);
        let watcher = watch_refs(dir.path(), tx).unwrap();
        (dir, repository, watcher, rx)
    }

    /// Whether a hint comes soon.
    fn hinted(rx: &mut Receiver<()>) -> bool {
        let start = Instant::now();
        while start.elapsed() < Duration::from_secs(2) {
            if rx.try_recv().is_ok() {
                // The second one, when all has come to rest.
                thread::sleep(3 * QUIET);
                let _ = rx.try_recv();
                return true;
            }
            thread::sleep(Duration::from_millis(2));
        }
        false
    }

    fn commit(repository: &Repository) -> Oid {
        let tree = repository.treebuilder(None).unwrap().write().unwrap();
        let tree = repository.find_tree(tree).unwrap();
        let who = git2::Signature::now("a", "a@example.com").unwrap();
        repository
            .commit(None, &who, &who, "c", &tree, &[])
            .unwrap()
    }

    #[test]
    fn moved_packed_and_nested_refs_are_noticed() {
        let (_dir, repository, watcher, mut rx) = watched();
        let oid = commit(&repository);
        repository
            .reference("refs/heads/main", oid, true, "")
            .unwrap();
        assert!(hinted(&mut rx), "a new branch");
        repository
            .reference("refs/heads/team/a/b", oid, true, "")
            .unwrap();
        assert!(hinted(&mut rx), "a branch in a new directory");
        thread::sleep(Duration::from_millis(100));
        let _ = rx.try_recv();
        repository
            .reference("refs/heads/team/a/c", oid, true, "")
            .unwrap();
        assert!(hinted(&mut rx), "a branch in a directory that is new since");
        let packed = repository.path().join("packed-refs");
        fs::write(packed.with_extension("new"), "").unwrap();
        fs::rename(packed.with_extension("new"), &packed).unwrap();
        assert!(hinted(&mut rx), "packed refs replaced by renaming");
        assert!(!watcher.is_degraded());
    }

    #[test]
    fn the_work_tree_index_and_objects_are_not_watched() {
        let (dir, repository, _watcher, mut rx) = watched();
        fs::write(dir.path().join("file.yaml"), "x").unwrap();
        fs::write(repository.path().join("index"), "x").unwrap();
        fs::write(repository.path().join("COMMIT_EDITMSG"), "x").unwrap();
        commit(&repository);
        thread::sleep(Duration::from_millis(300));
        assert!(rx.try_recv().is_err());
    }

    #[test]
    fn a_repository_that_vanishes_turns_the_timer_on() {
        let (_dir, repository, watcher, mut rx) = watched();
        fs::remove_dir_all(repository.path()).unwrap();
        assert!(hinted(&mut rx));
        assert!(watcher.is_degraded());
        thread::sleep(FALLBACK_POLL + Duration::from_millis(500));
        assert!(rx.try_recv().is_ok(), "hints go on");
    }

    #[test]
    fn a_path_without_repository_cannot_be_watched() {
        let dir = tempfile::tempdir().unwrap();
        let (tx, _rx) = channel(1);
        let error = watch_refs(&dir.path().join("gone"), tx).unwrap_err();
        assert!(matches!(error, WatchError::NoRepository { .. }));
    }

    #[test]
    fn dropping_the_watcher_ends_it() {
        let (_dir, _repository, watcher, mut rx) = watched();
        drop(watcher);
        let start = Instant::now();
        while !matches!(
            rx.try_recv(),
            Err(tokio::sync::mpsc::error::TryRecvError::Disconnected)
        ) {
            assert!(
                start.elapsed() < Duration::from_secs(2),
                "the thread lives on"
            );
            thread::sleep(Duration::from_millis(5));
        }
    }
}
