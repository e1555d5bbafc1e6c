//! Plans and what became of their operations: intent before each call, outcome after (lessons F6, gitops Q9).

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use serde::{Deserialize, Serialize};

use super::{
    Disk, LoadError, Part, Result, Store, StoreError, Write, applied, decode, generation_write,
    put, redact, replace, stamp_path,
};
use crate::{
    id::Generation,
    model::applied::AppliedChange,
    plan::{
        op::{Op, Plan},
        record::{Entry, Outcome},
    },
};

/// Closed plans that are kept for `history`.
const KEPT_PLANS: usize = 50;
/// What closed plans may take together (lessons F2).
const KEPT_BYTES: u64 = 8 * 1024 * 1024;

const HEADER: u8 = 0;
const OP: u8 = 1;
const ENTRY: u8 = 2;

/// One opened plan, to be written to until it is closed.
#[derive(Clone)]
pub struct Journal {
    store: Store,
    generation: Generation,
    next: Arc<AtomicU32>,
}

/// A plan with its entries, as read back. Values of Secrets are digests (see [`redact`]).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct JournaledPlan {
    pub generation: Generation,
    /// RFC 3339.
    pub at: String,
    pub trigger: String,
    pub plan: Plan,
    /// In the order of writing, [`Entry::Opened`] left out.
    pub entries: Vec<Entry>,
}

impl JournaledPlan {
    /// Absent while it runs or after a crash.
    pub fn outcome(&self) -> Option<&Outcome> {
        self.entries.iter().rev().find_map(|entry| match entry {
            Entry::Closed { outcome, .. } => Some(outcome),
            _ => None,
        })
    }
}

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct PlanSize {
    bytes: u64,
    closed: bool,
}

/// The plan without its operations; those are records of their own.
#[derive(Serialize, Deserialize)]
struct Header {
    at: String,
    trigger: String,
    ops: usize,
    plan: Plan,
}

impl Store {
    /// Opens a plan, if the store is still at the generation that it was made from.
    pub fn open_plan(&self, plan: &Plan, trigger: &str, at: &str) -> Result<Journal> {
        let mut state = self.state();
        if plan.base != state.generation {
            return Err(StoreError::Stale {
                planned: plan.base,
                current: state.generation,
            });
        }
        let generation = Generation(state.generation.0 + 1);
        let mut plan = redact(plan);
        let ops = std::mem::take(&mut plan.ops);
        let header = Header {
            at: at.to_owned(),
            trigger: trigger.to_owned(),
            ops: ops.len(),
            plan,
        };
        let mut writes = vec![
            generation_write(generation)?,
            put(Part::Journal, key(generation, HEADER, 0), &header)?,
        ];
        for op in &ops {
            writes.push(put(Part::Journal, key(generation, OP, op.id.0), op)?);
        }
        self.write(&writes, true)?;
        state.generation = generation;
        state.plans.insert(
            generation,
            PlanSize {
                bytes: size(&writes),
                closed: false,
            },
        );
        drop(state);
        if let Some(dir) = &self.inner.dir {
            // Only a help to notice lost data; without it everything still works.
            if let Err(error) = replace(&stamp_path(dir), generation.0.to_string().as_bytes()) {
                tracing::warn!(%error, "cannot write the generation stamp");
            }
        }
        Ok(Journal {
            store: self.clone(),
            generation,
            next: Arc::default(),
        })
    }

    /// Plans that were opened and never closed, oldest first: what a crash left.
    pub fn unfinished(&self) -> Result<Vec<JournaledPlan>> {
        let open: Vec<_> = self
            .state()
            .plans
            .iter()
            .filter(|(_, size)| !size.closed)
            .map(|(generation, _)| *generation)
            .collect();
        open.into_iter().map(|plan| self.plan(plan)).collect()
    }

    /// The last plans with their entries, newest first.
    pub fn plans(&self, limit: usize) -> Result<Vec<JournaledPlan>> {
        let newest: Vec<_> = self
            .state()
            .plans
            .keys()
            .rev()
            .take(limit)
            .copied()
            .collect();
        newest.into_iter().map(|plan| self.plan(plan)).collect()
    }

    /// Goes on writing to an unfinished plan.
    pub fn reopen(&self, plan: &JournaledPlan) -> Result<Journal> {
        match self.state().plans.get(&plan.generation) {
            Some(size) if !size.closed => Ok(Journal {
                store: self.clone(),
                generation: plan.generation,
                next: Arc::new(AtomicU32::new(
                    u32::try_from(plan.entries.len()).unwrap_or(u32::MAX),
                )),
            }),
            _ => Err(StoreError::UnknownPlan(plan.generation)),
        }
    }

    fn plan(&self, generation: Generation) -> Result<JournaledPlan> {
        let pairs = self
            .inner
            .disk
            .scan(Part::Journal, &generation.0.to_be_bytes())
            .map_err(|error| self.failed(error))?;
        assemble(generation, pairs)?.ok_or(StoreError::UnknownPlan(generation))
    }

    /// Forgets closed plans beyond what is kept.
    pub(super) fn compact_journal(&self) -> Result<()> {
        let mut state = self.state();
        let closed: Vec<_> = state
            .plans
            .iter()
            .filter(|(_, size)| size.closed)
            .map(|(generation, size)| (*generation, size.bytes))
            .collect();
        let mut bytes: u64 = closed.iter().map(|(_, bytes)| bytes).sum();
        let mut count = closed.len();
        for (generation, size) in closed {
            // The newest stays however big it is.
            if (count <= KEPT_PLANS && bytes <= KEPT_BYTES) || count <= 1 {
                break;
            }
            let deletes: Vec<_> = self
                .inner
                .disk
                .scan(Part::Journal, &generation.0.to_be_bytes())
                .map_err(|error| self.failed(error))?
                .into_iter()
                .map(|(key, _)| Write::delete(Part::Journal, key))
                .collect();
            self.write(&deletes, false)?;
            state.plans.remove(&generation);
            bytes -= size;
            count -= 1;
        }
        Ok(())
    }
}

impl Journal {
    pub fn generation(&self) -> Generation {
        self.generation
    }

    /// Durable when it returns.
    pub fn append(&self, entry: &Entry) -> Result<()> {
        self.append_with(entry, &[])
    }

    /// An entry together with what it teaches, both or neither; durable when it returns.
    pub fn append_with(&self, entry: &Entry, changes: &[AppliedChange]) -> Result<()> {
        self.append_all(std::slice::from_ref(entry), changes)
    }

    /// Several entries in one step.
    pub fn append_all(&self, entries: &[Entry], changes: &[AppliedChange]) -> Result<()> {
        let mut state = self.store.state();
        let mut writes = Vec::new();
        for entry in entries {
            let sequence = self.next.fetch_add(1, Ordering::Relaxed);
            let key = key(self.generation, ENTRY, sequence);
            writes.push(put(Part::Journal, key, entry)?);
        }
        let bytes = size(&writes);
        writes.extend(applied::writes(&mut state.applied, changes)?);
        self.store.write(&writes, true)?;
        let closed = entries
            .iter()
            .any(|entry| matches!(entry, Entry::Closed { .. }));
        let plan = state.plans.entry(self.generation).or_default();
        plan.bytes += bytes;
        plan.closed |= closed;
        drop(state);
        if closed {
            self.store.compact_journal()?;
        }
        Ok(())
    }

    /// The last entry.
    pub fn close(self, outcome: &Outcome, changes: &[AppliedChange], at: &str) -> Result<()> {
        self.append_with(
            &Entry::Closed {
                outcome: outcome.clone(),
                at: at.to_owned(),
            },
            changes,
        )
    }
}

/// Which plans there are. Everything is decoded, so that damage is found at the start.
pub(super) fn load(disk: &Disk) -> std::result::Result<BTreeMap<Generation, PlanSize>, LoadError> {
    let mut by_plan: BTreeMap<Generation, Vec<_>> = BTreeMap::new();
    for (key, value) in disk.scan(Part::Journal, b"")? {
        let generation = split(&key)
            .ok_or_else(|| LoadError::Damaged("a journal key is cut off".to_owned()))?
            .0;
        by_plan.entry(generation).or_default().push((key, value));
    }
    let mut plans = BTreeMap::new();
    for (generation, pairs) in by_plan {
        let bytes = pairs
            .iter()
            .map(|(key, value)| (key.len() + value.len()) as u64)
            .sum();
        let plan = assemble(generation, pairs)
            .map_err(super::damaged)?
            .ok_or_else(|| LoadError::Damaged("a plan has no header".to_owned()))?;
        plans.insert(
            generation,
            PlanSize {
                bytes,
                closed: plan.outcome().is_some(),
            },
        );
    }
    Ok(plans)
}

fn assemble(
    generation: Generation,
    pairs: Vec<(Vec<u8>, Vec<u8>)>,
) -> Result<Option<JournaledPlan>> {
    let mut header: Option<Header> = None;
    let mut ops: Vec<Op> = Vec::new();
    let mut entries = Vec::new();
    for (key, value) in pairs {
        match split(&key) {
            Some((_, HEADER)) => header = Some(decode(&value)?),
            Some((_, OP)) => ops.push(decode(&value)?),
            Some((_, ENTRY)) => entries.push(decode(&value)?),
            _ => {
                return Err(StoreError::Damaged {
                    detail: "a journal key has an unknown kind".to_owned(),
                });
            }
        }
    }
    let Some(header) = header else {
        return Ok(None);
    };
    if header.ops != ops.len() {
        return Err(StoreError::Damaged {
            detail: "a plan lost some of its operations".to_owned(),
        });
    }
    let mut plan = header.plan;
    plan.ops = ops;
    Ok(Some(JournaledPlan {
        generation,
        at: header.at,
        trigger: header.trigger,
        plan,
        entries,
    }))
}

/// Big-endian, so that keys sort as they were written.
fn key(generation: Generation, kind: u8, number: u32) -> Vec<u8> {
    let mut key = generation.0.to_be_bytes().to_vec();
    key.push(kind);
    key.extend(number.to_be_bytes());
    key
}

fn split(key: &[u8]) -> Option<(Generation, u8)> {
    let generation = key.get(..8)?.try_into().ok().map(u64::from_be_bytes)?;
    Some((Generation(generation), *key.get(8)?))
}

fn size(writes: &[Write]) -> u64 {
    writes
        .iter()
        .map(|write| (write.key.len() + write.value.as_ref().map_or(0, Vec::len)) as u64)
        .sum()
}
