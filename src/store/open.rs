//! Getting hold of a state directory: one process, whatever shape the data is in (lessons F1, F5).

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Read, Seek, Write as _},
    path::{Path, PathBuf},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use super::{
    disk::{Disk, DiskError},
    error::{Holder, Result, StoreError},
};

/// Damaged stores that are kept for a look.
const KEPT_CORRUPT: usize = 3;
/// A store that ended the process this often while being opened is moved aside unread.
const OPENINGS: u32 = 3;
/// Live data is a few MiB; a store that takes longer is in a loop.
const OPEN_DEADLINE: Duration = Duration::from_secs(30);
/// How long the directory's lock may take to come free.
const HOLDER_PATIENCE: Duration = Duration::from_secs(1);
/// The same where somebody only looks: whoever asks for the status while the daemon starts must not keep it from
/// starting.
const LOOKER_PATIENCE: Duration = Duration::from_secs(30);
/// How long threads of a dropped handle may keep sled's lock.
const LOCK_PATIENCE: Duration = Duration::from_secs(5);
/// Below this a store is never worth compacting.
const COMPACT_FROM_BYTES: u64 = 32 * 1024 * 1024;

/// Takes the directory's lock, to work with it or only to look, or names its holder. The lock is released when the file
/// is dropped.
pub(super) fn hold(dir: &Path, looks: bool) -> Result<File> {
    let unusable = |source| StoreError::Unusable {
        dir: dir.to_owned(),
        source,
    };
    fs::create_dir_all(dir).map_err(unusable)?;
    let mut file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .read(true)
        .write(true)
        .open(dir.join("holder"))
        .map_err(unusable)?;
    let start = Instant::now();
    loop {
        match file.try_lock() {
            Ok(()) => break,
            // Held a moment longer by a child between fork and exec, or by a daemon that is just leaving.
            Err(TryLockError::WouldBlock) if start.elapsed() < HOLDER_PATIENCE => {
                thread::sleep(Duration::from_millis(20));
            }
            Err(TryLockError::WouldBlock) => {
                let holder = named(&mut file);
                let looked_at = holder.as_ref().is_some_and(|holder| holder.looks);
                if !looked_at || start.elapsed() >= LOOKER_PATIENCE {
                    return Err(StoreError::Held {
                        dir: dir.to_owned(),
                        holder,
                    });
                }
                thread::sleep(Duration::from_millis(20));
            }
            Err(TryLockError::Error(source)) => return Err(unusable(source)),
        }
    }
    let holder = Holder {
        pid: std::process::id(),
        host: fs::read_to_string("/proc/sys/kernel/hostname")
            .map_or_else(|_| "this host".to_owned(), |name| name.trim().to_owned()),
        since: jiff::Timestamp::now()
            .round(jiff::Unit::Second)
            .unwrap_or_default()
            .to_string(),
        looks,
    };
    let text = serde_json::to_string(&holder).map_err(|error| unusable(error.into()))?;
    file.set_len(0).map_err(unusable)?;
    file.rewind().map_err(unusable)?;
    file.write_all(text.as_bytes()).map_err(unusable)?;
    Ok(file)
}

/// Who says that it holds the lock. A holder that is just writing its name leaves an empty or partial text: then it stays
/// unnamed.
fn named(file: &mut File) -> Option<Holder> {
    let mut text = String::new();
    file.rewind().ok()?;
    file.read_to_string(&mut text).ok()?;
    serde_json::from_str(&text).ok()
}

/// What [`open`] came back with.
pub(super) struct Found<T> {
    pub value: T,
    /// Why the old data was moved aside, when it was.
    pub recovered: Option<String>,
}

/// Opens the database and hands it to `load`, which reads all of it; data that either of them cannot take is moved
/// aside and a fresh database takes its place. The directory's lock is held by the caller.
pub(super) fn open<T: Send + 'static>(
    dir: &Path,
    load: fn(Disk) -> std::result::Result<T, LoadError>,
) -> Result<Found<T>> {
    let unusable = |source| StoreError::Unusable {
        dir: dir.to_owned(),
        source,
    };
    finish_compaction(dir).map_err(unusable)?;
    let path = dir.join("store");
    let marker = dir.join("store.opening");
    let mut recovered = None;
    // Read here, since what cannot be caught (memory, a kill by a watchdog) leaves only this trace.
    let earlier: u32 = fs::read_to_string(&marker)
        .ok()
        .and_then(|text| text.trim().parse().ok())
        .unwrap_or(0);
    if earlier >= OPENINGS && path.exists() {
        move_aside(dir, &path).map_err(unusable)?;
        recovered = Some(format!("opening it did not end {earlier} times in a row"));
    }
    fs::write(&marker, (earlier + 1).to_string()).map_err(unusable)?;

    let value = match attempt(&path, load) {
        Ok(value) => value,
        Err(LoadError::Damaged(detail)) => {
            move_aside(dir, &path).map_err(unusable)?;
            recovered = Some(detail);
            match attempt(&path, load) {
                Ok(value) => value,
                Err(error) => return Err(refuse(dir, &marker, error)),
            }
        }
        Err(error) => return Err(refuse(dir, &marker, error)),
    };
    fs::remove_file(&marker).map_err(unusable)?;
    Ok(Found { value, recovered })
}

/// Why a database cannot be used.
#[derive(Debug)]
pub(super) enum LoadError {
    Damaged(String),
    Newer { found: u32, known: u32 },
    Environment(io::Error),
}

impl From<DiskError> for LoadError {
    fn from(error: DiskError) -> Self {
        match error {
            DiskError::Damaged(detail) => Self::Damaged(detail),
            DiskError::Environment(error) => Self::Environment(error),
            DiskError::Locked => Self::Environment(io::ErrorKind::WouldBlock.into()),
        }
    }
}

fn refuse(dir: &Path, marker: &Path, error: LoadError) -> StoreError {
    // This attempt ended in an answer, so it does not count as one that took the process down.
    let _ = fs::remove_file(marker);
    let dir = dir.to_owned();
    match error {
        LoadError::Damaged(detail) => StoreError::Damaged { detail },
        LoadError::Newer { found, known } => StoreError::NewerSchema { dir, found, known },
        LoadError::Environment(source) => StoreError::Unusable { dir, source },
    }
}

/// One opening, in a thread of its own: one that never ends is left behind, and its data moved away from it.
fn attempt<T: Send + 'static>(
    path: &Path,
    load: fn(Disk) -> std::result::Result<T, LoadError>,
) -> std::result::Result<T, LoadError> {
    let (sender, receiver) = mpsc::channel();
    let path = path.to_owned();
    thread::Builder::new()
        .name("store-open".to_owned())
        .spawn(move || {
            let opened = patiently(&path).map_err(LoadError::from).and_then(load);
            // Nobody listens any more after the deadline.
            let _ = sender.send(opened);
        })
        .map_err(LoadError::Environment)?;
    match receiver.recv_timeout(OPEN_DEADLINE) {
        Ok(opened) => opened,
        Err(mpsc::RecvTimeoutError::Timeout) => Err(LoadError::Damaged(format!(
            "opening it took more than {} s",
            OPEN_DEADLINE.as_secs()
        ))),
        Err(mpsc::RecvTimeoutError::Disconnected) => {
            Err(LoadError::Damaged("opening it panicked".to_owned()))
        }
    }
}

fn patiently(path: &Path) -> std::result::Result<Disk, DiskError> {
    let start = Instant::now();
    loop {
        match Disk::open(path) {
            Err(DiskError::Locked) if start.elapsed() < LOCK_PATIENCE => {
                thread::sleep(Duration::from_millis(20));
            }
            Ok(disk) => return compacted(path, disk),
            Err(error) => return Err(error),
        }
    }
}

/// Copies the live pairs into a fresh directory when the old one has grown far beyond them (lessons F2).
fn compacted(path: &Path, disk: Disk) -> std::result::Result<Disk, DiskError> {
    let size = disk.size_on_disk()?;
    if size < COMPACT_FROM_BYTES || size < 4 * disk.live_bytes()? {
        return Ok(disk);
    }
    let fresh = sibling(path, "compact");
    let old = sibling(path, "old");
    remove(&fresh).map_err(DiskError::Environment)?;
    let copy = Disk::open(&fresh)?;
    disk.copy_to(&copy)?;
    drop(copy);
    drop(disk);
    fs::rename(path, &old).map_err(DiskError::Environment)?;
    fs::rename(&fresh, path).map_err(DiskError::Environment)?;
    remove(&old).map_err(DiskError::Environment)?;
    let start = Instant::now();
    loop {
        match Disk::open(path) {
            Err(DiskError::Locked) if start.elapsed() < LOCK_PATIENCE => {
                thread::sleep(Duration::from_millis(20));
            }
            opened => return opened,
        }
    }
}

/// Tidies up after a crash in the middle of [`compacted`]: the old data counts until the new has its name.
fn finish_compaction(dir: &Path) -> io::Result<()> {
    let path = dir.join("store");
    let old = sibling(&path, "old");
    if old.exists() {
        if path.exists() {
            remove(&old)?;
        } else {
            fs::rename(&old, &path)?;
        }
    }
    remove(&sibling(&path, "compact"))
}

fn sibling(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(suffix);
    name.into()
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn move_aside(dir: &Path, path: &Path) -> io::Result<()> {
    let mut numbers = corrupt_numbers(dir)?;
    let next = numbers.last().map_or(1, |last| last + 1);
    fs::rename(path, dir.join(format!("store.corrupt-{next}")))?;
    numbers.push(next);
    let surplus = numbers.len().saturating_sub(KEPT_CORRUPT);
    for number in numbers.into_iter().take(surplus) {
        remove(&dir.join(format!("store.corrupt-{number}")))?;
    }
    Ok(())
}

/// Ascending.
fn corrupt_numbers(dir: &Path) -> io::Result<Vec<u64>> {
    let mut numbers: Vec<u64> = fs::read_dir(dir)?
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter_map(|name| name.strip_prefix("store.corrupt-")?.parse().ok())
        .collect();
    numbers.sort_unstable();
    Ok(numbers)
}
