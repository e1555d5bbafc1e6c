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
