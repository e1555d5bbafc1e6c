//! The daemon's memory on disk: journal, what was set last, history. The only module that names sled.
//!
//! A cache and a journal, never the authority (gitops §7.1, Q10): losing it costs history; ownership comes back from
//! tags and inventories. All calls are synchronous and quick. What is promised durable is flushed before the call
//! returns: every journal entry, everything that goes with it, pins, verdicts on commits.
//!
//! Trees: `meta` (schema, generation, pins, revisions in force), `journal` (plans with their entries), `applied` (one
//! record per stack, resource and object), `history` (one record per commit seen), `chunks` (parts of big values).

use std::{
    collections::BTreeMap,
    fs::{self, File},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

use crate::{
    id::{Generation, Revision},
    model::applied::Applied,
};

mod applied;
mod disk;
mod error;
mod history;
mod journal;
mod open;
mod redact;
#[cfg(test)]
mod tests;

pub use error::{Holder, Result, StoreError};
pub use journal::{Journal, JournaledPlan};
pub use redact::redact;

use disk::{Disk, DiskError, Part, Write};
use open::LoadError;

/// Version of what is written. Raised with every change that an older albsync would misread.
const SCHEMA: u32 = 1;

const KEY_SCHEMA: &str = "schema";
const KEY_GENERATION: &str = "generation";
const KEY_PINS: &str = "pins";
const KEY_IN_FORCE: &str = "in-force";
const KEY_ACCEPTED: &str = "accepted";
const KEY_LAST_HEALTHY: &str = "last-healthy";
const KEY_PREVIOUS_SET: &str = "previous-set";

/// An open store. Clones share it; the last one to go releases the directory.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

struct Inner {
    disk: Disk,
    /// Absent for an ephemeral store.
    dir: Option<PathBuf>,
    opened: Opened,
    /// What is read often, as it is on disk. One lock for all: every write is short and there is one pass at a time.
    state: Mutex<State>,
    /// Last, so that the directory is released when nothing is written any more.
    _lock: Option<File>,
}

/// How the data was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Opened {
    /// There was nothing yet.
    pub fresh: bool,
    /// Why older data was moved aside or is not trusted; absent when all was well.
    pub recovered: Option<String>,
}

impl Opened {
    /// What is applied is not known completely: everything must be read from AWS and the cluster (lessons F1).
    pub fn needs_full_scan(&self) -> bool {
        self.fresh || self.recovered.is_some()
    }
}

/// What belongs together for good (gitops G72, decision 27 of the spec).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pins {
    pub installation: Option<String>,
    /// AWS account id.
    pub account: Option<String>,
    /// The uid of the namespace kube-system.
    pub cluster: Option<String>,
}

#[derive(Default)]
struct State {
    generation: Generation,
    pins: Pins,
    applied: Applied,
    plans: BTreeMap<Generation, journal::PlanSize>,
    revisions: history::Ring,
    in_force: Option<Revision>,
    accepted: Option<Revision>,
    last_healthy: Option<Revision>,
}

struct Loaded {
    disk: Disk,
    state: State,
    fresh: bool,
}

impl Store {
    /// Opens the store of a state directory and holds the directory until the last clone is dropped.
    ///
    /// Data that cannot be read is moved aside to `store.corrupt-N` (the last three are kept) and a fresh store
    /// begins; [`Store::opened`] then says so.
    pub fn open(dir: &Path) -> Result<Self> {
        Self::open_under(open::hold(dir, false)?, dir)
    }

    /// The same for a moment's look: a daemon that starts meanwhile waits for its end.
    pub fn look(dir: &Path) -> Result<Self> {
        Self::open_under(open::hold(dir, true)?, dir)
    }

    fn open_under(lock: File, dir: &Path) -> Result<Self> {
        let found = open::open(dir, load)?;
        let Loaded {
            disk,
            mut state,
            fresh,
        } = found.value;
        let mut opened = Opened {
            fresh: fresh && found.recovered.is_none(),
            recovered: found.recovered,
        };
        // The stamp is written after the plan it counts is durable: data behind it has lost its end.
        if let Some(stamp) = read_stamp(dir)
            && stamp > state.generation
        {
            state.generation = stamp;
            disk.write(&[generation_write(stamp)?], true)
                .map_err(|error| from_disk(Some(dir), error))?;
            opened.recovered.get_or_insert_with(|| {
                "the data is older than the last plan that was opened".to_owned()
            });
            opened.fresh = false;
        }
        if let Some(reason) = &opened.recovered {
            tracing::warn!(%reason, "store recovered; everything will be read anew");
        }
        let store = Self {
            inner: Arc::new(Inner {
                disk,
                dir: Some(dir.to_owned()),
                opened,
                state: Mutex::new(state),
                _lock: Some(lock),
            }),
        };
        store.compact_journal()?;
        Ok(store)
    }

    /// A store that is gone with its last clone: for previews and tests, and for a disk that fails (gitops Q9).
    pub fn ephemeral() -> Result<Self> {
        let disk = Disk::ephemeral().map_err(|error| from_disk(None, error))?;
        let Loaded { disk, state, fresh } = load(disk).map_err(|error| match error {
            LoadError::Damaged(detail) => StoreError::Damaged { detail },
            error => StoreError::Damaged {
                detail: format!("{error:?}"),
            },
        })?;
        Ok(Self {
            inner: Arc::new(Inner {
                disk,
                dir: None,
                opened: Opened {
                    fresh,
                    recovered: None,
                },
                state: Mutex::new(state),
                _lock: None,
            }),
        })
    }

    /// How the data was found.
    pub fn opened(&self) -> &Opened {
        &self.inner.opened
    }

    /// How many plans were opened so far: what [`crate::plan::op::Plan::base`] must equal.
    pub fn generation(&self) -> Generation {
        self.state().generation
    }

    /// What was pinned so far.
    pub fn pins(&self) -> Pins {
        self.state().pins.clone()
    }

    /// Pins what is not pinned yet and compares the rest; a difference changes nothing.
    pub fn pin(&self, pins: &Pins) -> Result<()> {
        let mut state = self.state();
        let mut merged = state.pins.clone();
        for (what, have, want) in [
            (
                "the installation",
                &mut merged.installation,
                &pins.installation,
            ),
            ("the AWS account", &mut merged.account, &pins.account),
            ("the cluster", &mut merged.cluster, &pins.cluster),
        ] {
            match (have.as_ref(), want) {
                (Some(pinned), Some(found)) if pinned != found => {
                    return Err(StoreError::PinMismatch {
                        what,
                        pinned: pinned.clone(),
                        found: found.clone(),
                    });
                }
                (None, Some(_)) => have.clone_from(want),
                _ => {}
            }
        }
        if merged != state.pins {
            self.write(&[put(Part::Meta, KEY_PINS, &merged)?], true)?;
            state.pins = merged;
        }
        Ok(())
    }

    /// What the previous commit in force held, for the guards (decision 24 of the spec); the guard owns its shape.
    pub fn previous_set<T: DeserializeOwned>(&self) -> Result<Option<T>> {
        self.get(Part::Meta, KEY_PREVIOUS_SET)
    }

    pub fn set_previous_set<T: Serialize>(&self, set: &T) -> Result<()> {
        self.write(&[put(Part::Meta, KEY_PREVIOUS_SET, set)?], true)
    }

    /// Bytes on disk, for the gauge (lessons F2).
    pub fn size_on_disk(&self) -> Result<u64> {
        self.inner
            .disk
            .size_on_disk()
            .map_err(|error| self.failed(error))
    }

    /// Everything in one JSON value, for people and for other tools (lessons F4).
    pub fn export(&self) -> Result<Value> {
        let plans = self.plans(usize::MAX)?;
        let state = self.state();
        Ok(json!({
            "schema": SCHEMA,
            "generation": state.generation,
            "pins": state.pins,
            "inForce": state.in_force,
            "accepted": state.accepted,
            "lastHealthy": state.last_healthy,
            "previousSet": self.get::<Value>(Part::Meta, KEY_PREVIOUS_SET)?,
            "stacks": state.applied.stacks.iter().collect::<Vec<_>>(),
            "resources": state.applied.resources.iter().collect::<Vec<_>>(),
            "inventory": state.applied.inventory.values().collect::<Vec<_>>(),
            "history": state.revisions.newest_first(usize::MAX),
            "journal": plans,
        }))
    }

    /// Flushes, and leaves `export.json` beside the data. The directory is released by dropping the last clone.
    pub fn close(&self) -> Result<()> {
        self.inner
            .disk
            .flush()
            .map_err(|error| self.failed(error))?;
        if let Some(dir) = &self.inner.dir {
            let text = encode(&self.export()?)?;
            replace(&dir.join("export.json"), &text).map_err(|source| StoreError::Unusable {
                dir: dir.clone(),
                source,
            })?;
        }
        Ok(())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.inner
            .state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn get<T: DeserializeOwned>(&self, part: Part, key: &str) -> Result<Option<T>> {
        let bytes = self
            .inner
            .disk
            .get(part, key.as_bytes())
            .map_err(|error| self.failed(error))?;
        bytes.map(|bytes| decode(&bytes)).transpose()
    }

    fn write(&self, writes: &[Write], flush: bool) -> Result<()> {
        self.inner
            .disk
            .write(writes, flush)
            .map_err(|error| self.failed(error))
    }

    fn failed(&self, error: DiskError) -> StoreError {
        from_disk(self.inner.dir.as_deref(), error)
    }
}

/// Reads all of the data: what does not decode here would fail in the middle of a pass.
fn load(disk: Disk) -> std::result::Result<Loaded, LoadError> {
    let meta: BTreeMap<Vec<u8>, Value> = decode_all(disk.scan(Part::Meta, b"")?)?;
    let field = |key: &str| meta.get(key.as_bytes()).cloned();
    let mut fresh = false;
    match field(KEY_SCHEMA) {
        Some(value) => match value.as_u64().and_then(|found| u32::try_from(found).ok()) {
            Some(found) if found > SCHEMA => {
                return Err(LoadError::Newer {
                    found,
                    known: SCHEMA,
                });
            }
            Some(found) => migrate(&disk, found)?,
            None => return Err(LoadError::Damaged("the schema is not a number".to_owned())),
        },
        None => {
            for part in Part::ALL {
                if !disk.scan(part, b"")?.is_empty() {
                    return Err(LoadError::Damaged("the schema is missing".to_owned()));
                }
            }
            fresh = true;
            let schema = put(Part::Meta, KEY_SCHEMA, &SCHEMA).map_err(damaged)?;
            disk.write(&[schema], true)?;
        }
    }
    let state = State {
        generation: optional(field(KEY_GENERATION))?.unwrap_or_default(),
        pins: optional(field(KEY_PINS))?.unwrap_or_default(),
        in_force: optional(field(KEY_IN_FORCE))?,
        accepted: optional(field(KEY_ACCEPTED))?,
        last_healthy: optional(field(KEY_LAST_HEALTHY))?,
        applied: applied::load(&disk)?,
        plans: journal::load(&disk)?,
        revisions: history::load(&disk)?,
    };
    Ok(Loaded { disk, state, fresh })
}

/// Brings older data to [`SCHEMA`], one version at a time.
fn migrate(_disk: &Disk, found: u32) -> std::result::Result<(), LoadError> {
    match found {
        SCHEMA => Ok(()),
        older => Err(LoadError::Damaged(format!("unknown schema {older}"))),
    }
}

fn optional<T: DeserializeOwned>(
    value: Option<Value>,
) -> std::result::Result<Option<T>, LoadError> {
    match value {
        None | Some(Value::Null) => Ok(None),
        Some(value) => serde_json::from_value(value)
            .map(Some)
            .map_err(|error| LoadError::Damaged(error.to_string())),
    }
}

fn decode_all<T: DeserializeOwned>(
    pairs: Vec<disk::Pair>,
) -> std::result::Result<BTreeMap<Vec<u8>, T>, LoadError> {
    pairs
        .into_iter()
        .map(|(key, bytes)| Ok((key, decode(&bytes).map_err(damaged)?)))
        .collect()
}

fn damaged(error: StoreError) -> LoadError {
    LoadError::Damaged(error.to_string())
}

fn generation_write(generation: Generation) -> Result<Write> {
    put(Part::Meta, KEY_GENERATION, &generation)
}

fn put<T: Serialize>(part: Part, key: impl Into<Vec<u8>>, value: &T) -> Result<Write> {
    Ok(Write::put(part, key, encode(value)?))
}

fn encode<T: Serialize>(value: &T) -> Result<Vec<u8>> {
    serde_json::to_vec(value).map_err(|error| StoreError::Damaged {
        detail: format!("a record cannot be written: {error}"),
    })
}

fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    serde_json::from_slice(bytes).map_err(|error| StoreError::Damaged {
        // Only the kind of the error: its text may quote the data.
        detail: format!(
            "a record cannot be read ({:?} error at byte {})",
            error.classify(),
            error.column()
        ),
    })
}

fn from_disk(dir: Option<&Path>, error: DiskError) -> StoreError {
    match error {
        DiskError::Damaged(detail) => StoreError::Damaged { detail },
        DiskError::Environment(source) => StoreError::Unusable {
            dir: dir.unwrap_or(Path::new("")).to_owned(),
            source,
        },
        DiskError::Locked => StoreError::Held {
            dir: dir.unwrap_or(Path::new("")).to_owned(),
            holder: None,
        },
    }
}

fn stamp_path(dir: &Path) -> PathBuf {
    dir.join("store.generation")
}

fn read_stamp(dir: &Path) -> Option<Generation> {
    let text = fs::read_to_string(stamp_path(dir)).ok()?;
    text.trim().parse().ok().map(Generation)
}

/// Old or new, never half.
fn replace(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let fresh = path.with_extension("new");
    fs::write(&fresh, bytes)?;
    fs::rename(fresh, path)
}
