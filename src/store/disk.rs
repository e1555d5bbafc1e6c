//! The one file that names sled: keys and values on disk, every call of it kept from taking the process down.
//!
//! sled 0.34 answers damage by errors, by panics and by stale data (lessons F1). Here errors and panics become
//! [`DiskError`]; what is stale is found by the callers. Big values are cut into chunks, since sled puts nodes beyond
//! its segment size into files of their own, which grow without bound (lessons F2).

use std::{
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use sled::transaction::{ConflictableTransactionError, TransactionError, Transactional};

/// Page cache of sled: the live data is bounded far below (lessons F3).
const CACHE_BYTES: u64 = 16 * 1024 * 1024;
/// Sixteen values of a leaf stay well inside one segment of 512 KiB.
const CHUNK_BYTES: usize = 8 * 1024;

const WHOLE: u8 = 0;
const CHUNKED: u8 = 1;

/// One tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Meta,
    Journal,
    Applied,
    History,
    Chunks,
}

impl Part {
    pub(super) const ALL: [Self; 5] = [
        Self::Meta,
        Self::Journal,
        Self::Applied,
        Self::History,
        Self::Chunks,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Meta => "meta",
            Self::Journal => "journal",
            Self::Applied => "applied",
            Self::History => "history",
            Self::Chunks => "chunks",
        }
    }

    fn index(self) -> usize {
        self as usize
    }
}

/// One change of one key; no value deletes.
#[derive(Clone, Debug)]
pub(super) struct Write {
    pub part: Part,
    pub key: Vec<u8>,
    pub value: Option<Vec<u8>>,
}

impl Write {
    pub(super) fn put(part: Part, key: impl Into<Vec<u8>>, value: Vec<u8>) -> Self {
        Self {
            part,
            key: key.into(),
            value: Some(value),
        }
    }

    pub(super) fn delete(part: Part, key: impl Into<Vec<u8>>) -> Self {
        Self {
            part,
            key: key.into(),
            value: None,
        }
    }
}

#[derive(Debug)]
pub(super) enum DiskError {
    /// sled's own lock is taken: by threads of a handle that is just being dropped.
    Locked,
    /// Rights, space, a read-only file system: not the data's fault.
    Environment(io::Error),
    Damaged(String),
}

pub(super) type DiskResult<T> = Result<T, DiskError>;
pub(super) type Pair = (Vec<u8>, Vec<u8>);

pub(super) struct Disk {
    db: sled::Db,
    trees: Vec<sled::Tree>,
    writing: Mutex<()>,
    broken: AtomicBool,
}

impl Disk {
    pub(super) fn open(path: &Path) -> DiskResult<Self> {
        Self::start(sled::Config::new().path(path))
    }

    /// Gone with the handle.
    pub(super) fn ephemeral() -> DiskResult<Self> {
        Self::start(sled::Config::new().temporary(true))
    }

    fn start(config: sled::Config) -> DiskResult<Self> {
        caught(|| {
            let db = config
                .cache_capacity(CACHE_BYTES)
                // Flushed where durability is promised; a timer would only add threads.
                .flush_every_ms(None)
                .open()?;
            let mut trees = Vec::new();
            for part in Part::ALL {
                trees.push(db.open_tree(part.name())?);
            }
            Ok(Self {
                db,
                trees,
                writing: Mutex::new(()),
                broken: AtomicBool::new(false),
            })
        })
    }

    pub(super) fn get(&self, part: Part, key: &[u8]) -> DiskResult<Option<Vec<u8>>> {
        let stored = self.run(|| self.tree(part).get(key))?;
        stored
            .map(|value| self.assemble(part, key, &value))
            .transpose()
    }

    /// All pairs whose key begins with `prefix`, in the order of keys.
    pub(super) fn scan(&self, part: Part, prefix: &[u8]) -> DiskResult<Vec<Pair>> {
        let stored = self.run(|| {
            self.tree(part)
                .scan_prefix(prefix)
                .map(|pair| pair.map(|(key, value)| (key.to_vec(), value.to_vec())))
                .collect::<Result<Vec<_>, _>>()
        })?;
        stored
            .into_iter()
            .map(|(key, value)| {
                let whole = self.assemble(part, &key, &value)?;
                Ok((key, whole))
            })
            .collect()
    }

    /// All or nothing over all trees, durable when `flush` is set.
    pub(super) fn write(&self, writes: &[Write], flush: bool) -> DiskResult<()> {
        let _turn = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut flat = Vec::new();
        for write in writes {
            self.flatten(write, &mut flat)?;
        }
        self.run(|| {
            self.trees[..]
                .transaction(|trees| {
                    for write in &flat {
                        let tree = &trees[write.part.index()];
                        match &write.value {
                            Some(value) => tree.insert(write.key.as_slice(), value.as_slice())?,
                            None => tree.remove(write.key.as_slice())?,
                        };
                    }
                    Ok::<(), ConflictableTransactionError<()>>(())
                })
                .map_err(|error| match error {
                    TransactionError::Storage(error) => error,
                    TransactionError::Abort(()) => {
                        sled::Error::ReportableBug("aborted without a reason".to_owned())
                    }
                })?;
            if flush {
                self.db.flush()?;
            }
            Ok(())
        })
    }

    pub(super) fn flush(&self) -> DiskResult<()> {
        self.run(|| self.db.flush().map(|_| ()))
    }

    pub(super) fn size_on_disk(&self) -> DiskResult<u64> {
        self.run(|| self.db.size_on_disk())
    }

    /// Every pair of every tree as it is stored, for copying into a fresh directory.
    pub(super) fn copy_to(&self, other: &Self) -> DiskResult<()> {
        for part in Part::ALL {
            self.run(|| {
                for pair in self.tree(part).iter() {
                    let (key, value) = pair?;
                    other.tree(part).insert(key, value)?;
                }
                Ok(())
            })?;
        }
        other.flush()
    }

    /// Bytes of all keys and values.
    pub(super) fn live_bytes(&self) -> DiskResult<u64> {
        self.run(|| {
            let mut sum = 0;
            for tree in &self.trees {
                for pair in tree.iter() {
                    let (key, value) = pair?;
                    sum += (key.len() + value.len()) as u64;
                }
            }
            Ok(sum)
        })
    }

    fn tree(&self, part: Part) -> &sled::Tree {
        &self.trees[part.index()]
    }

    /// Turns one write into writes of at most [`CHUNK_BYTES`], chunks of an older value removed.
    fn flatten(&self, write: &Write, flat: &mut Vec<Write>) -> DiskResult<()> {
        let old = self.run(|| self.tree(write.part).get(&write.key))?;
        let old_chunks = match old.as_deref() {
            Some([CHUNKED, count @ ..]) => chunk_count(count).unwrap_or(0),
            _ => 0,
        };
        let mut new_chunks = 0;
        let value = match &write.value {
            Some(value) if value.len() > CHUNK_BYTES => {
                for chunk in value.chunks(CHUNK_BYTES) {
                    flat.push(Write::put(
                        Part::Chunks,
                        chunk_key(write.part, &write.key, new_chunks),
                        chunk.to_vec(),
                    ));
                    new_chunks += 1;
                }
                let mut head = vec![CHUNKED];
                head.extend(new_chunks.to_be_bytes());
                Some(head)
            }
            Some(value) => {
                let mut whole = Vec::with_capacity(value.len() + 1);
                whole.push(WHOLE);
                whole.extend(value);
                Some(whole)
            }
            None => None,
        };
        for surplus in new_chunks..old_chunks {
            flat.push(Write::delete(
                Part::Chunks,
                chunk_key(write.part, &write.key, surplus),
            ));
        }
        flat.push(Write {
            part: write.part,
            key: write.key.clone(),
            value,
        });
        Ok(())
    }

    fn assemble(&self, part: Part, key: &[u8], stored: &[u8]) -> DiskResult<Vec<u8>> {
        match stored {
            [WHOLE, value @ ..] => Ok(value.to_vec()),
            [CHUNKED, count @ ..] => {
                let count = chunk_count(count)
                    .ok_or_else(|| DiskError::Damaged("a chunk count is cut off".to_owned()))?;
                let mut whole = Vec::new();
                for index in 0..count {
                    let chunk = self
                        .run(|| self.tree(Part::Chunks).get(chunk_key(part, key, index)))?
                        .ok_or_else(|| DiskError::Damaged("a chunk is missing".to_owned()))?;
                    whole.extend_from_slice(&chunk);
                }
                Ok(whole)
            }
            _ => Err(DiskError::Damaged("a value has an unknown form".to_owned())),
        }
    }

    /// After the first damage every further call fails at once, so that nothing is built on half of the truth.
    fn run<T>(&self, call: impl FnOnce() -> Result<T, sled::Error>) -> DiskResult<T> {
        if self.broken.load(Ordering::Relaxed) {
            return Err(DiskError::Damaged("it failed before".to_owned()));
        }
        caught(call).inspect_err(|_| self.broken.store(true, Ordering::Relaxed))
    }
}

fn chunk_key(part: Part, key: &[u8], index: u32) -> Vec<u8> {
    let mut chunk = vec![part as u8];
    chunk.extend(key);
    chunk.extend(index.to_be_bytes());
    chunk
}

fn chunk_count(bytes: &[u8]) -> Option<u32> {
    bytes.try_into().ok().map(u32::from_be_bytes)
}

fn caught<T>(call: impl FnOnce() -> Result<T, sled::Error>) -> DiskResult<T> {
    match catch_unwind(AssertUnwindSafe(call)) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(classify(error)),
        Err(panic) => {
            let text = panic
                .downcast_ref::<String>()
                .map(String::as_str)
                .or_else(|| panic.downcast_ref::<&str>().copied())
                .unwrap_or("panicked");
            Err(DiskError::Damaged(text.to_owned()))
        }
    }
}

fn classify(error: sled::Error) -> DiskError {
    match error {
        // sled wraps the lock's refusal into text.
        sled::Error::Io(error) if error.to_string().contains("could not acquire lock") => {
            DiskError::Locked
        }
        sled::Error::Io(error)
            if matches!(
                error.kind(),
                io::ErrorKind::PermissionDenied
                    | io::ErrorKind::StorageFull
                    | io::ErrorKind::QuotaExceeded
                    | io::ErrorKind::ReadOnlyFilesystem
                    | io::ErrorKind::OutOfMemory
            ) =>
        {
            DiskError::Environment(error)
        }
        error => DiskError::Damaged(error.to_string()),
    }
}
