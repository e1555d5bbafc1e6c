//! Commits that were seen and what became of them: a ring.

use std::collections::{BTreeSet, VecDeque};

use super::{
    Disk, KEY_ACCEPTED, KEY_IN_FORCE, KEY_LAST_HEALTHY, LoadError, Part, Result, State, Store,
    StoreError, Write, decode, encode, put,
};
use crate::{
    id::Revision,
    plan::history::{CommitState, RevisionRecord, RevisionUpdate},
};

/// Records that are kept, and what they may take together (lessons F2).
const KEPT_RECORDS: usize = 200;
const KEPT_BYTES: usize = 2 * 1024 * 1024;
/// Of one record: enough to see what is wrong; the whole list is in the log and in `check`.
const KEPT_PROBLEMS: usize = 100;
const KEPT_PROBLEM_CHARS: usize = 1_000;

/// The records in memory, oldest first, with their sequence numbers and sizes.
#[derive(Default)]
pub(super) struct Ring {
    records: VecDeque<Kept>,
}

struct Kept {
    sequence: u64,
    bytes: usize,
    record: RevisionRecord,
}

impl Ring {
    pub(super) fn newest_first(&self, limit: usize) -> Vec<&RevisionRecord> {
        self.records
            .iter()
            .rev()
            .take(limit)
            .map(|kept| &kept.record)
            .collect()
    }

    /// A commit's newest record.
    fn find(&self, revision: &Revision) -> Option<&Kept> {
        self.records
            .iter()
            .rev()
            .find(|kept| kept.record.revision == *revision)
    }

    fn next(&self) -> u64 {
        self.records.back().map_or(0, |kept| kept.sequence + 1)
    }

    /// Replaces the record of that number, or adds it at the end; says what to write.
    fn keep(&mut self, sequence: u64, record: RevisionRecord) -> Result<Write> {
        let bytes = encode(&record)?;
        let kept = Kept {
            sequence,
            bytes: bytes.len(),
            record,
        };
        match self
            .records
            .iter_mut()
            .find(|kept| kept.sequence == sequence)
        {
            Some(place) => *place = kept,
            None => self.records.push_back(kept),
        }
        Ok(Write::put(Part::History, sequence.to_be_bytes(), bytes))
    }

    /// Drops the oldest records beyond the bounds, those in use left out.
    fn trim(&mut self, in_use: &[Option<Revision>]) -> Vec<Write> {
        let mut bytes: usize = self.records.iter().map(|kept| kept.bytes).sum();
        let mut count = self.records.len();
        let mut deletes = Vec::new();
        self.records.retain(|kept| {
            let surplus = count > KEPT_RECORDS || bytes > KEPT_BYTES;
            let used = in_use
                .iter()
                .any(|used| used.as_ref() == Some(&kept.record.revision));
            if !surplus || used || count == 1 {
                return true;
            }
            count -= 1;
            bytes -= kept.bytes;
            deletes.push(Write::delete(Part::History, kept.sequence.to_be_bytes()));
            false
        });
        deletes
    }
}

impl Store {
    /// Notes a commit, if it is new or comes back after a final state; answers its record as it stands.
    pub fn seen(&self, record: RevisionRecord) -> Result<RevisionRecord> {
        let mut state = self.state();
        if let Some(kept) = state.revisions.find(&record.revision) {
            let old = &kept.record;
            let comes_back = match old.state {
                CommitState::Superseded => true,
                // The same verdict would follow under the same configuration (gitops G2).
                CommitState::Rejected => old.config_digest != record.config_digest,
                _ => false,
            };
            if !comes_back {
                return Ok(old.clone());
            }
        }
        let record = bounded(record);
        let sequence = state.revisions.next();
        let mut writes = vec![state.revisions.keep(sequence, record.clone())?];
        writes.extend(trim(&mut state));
        self.write(&writes, false)?;
        Ok(record)
    }

    /// Moves a commit to a state, in one step with everything that follows: what it supersedes, what is accepted, in
    /// force or healthy (gitops G1). Durable when it returns, but for states that a restart recomputes (G4).
    pub fn set_state(
        &self,
        revision: &Revision,
        to: CommitState,
        update: &RevisionUpdate,
    ) -> Result<RevisionRecord> {
        let mut state = self.state();
        let kept = state
            .revisions
            .find(revision)
            .ok_or_else(|| StoreError::UnknownRevision(revision.clone()))?;
        let (sequence, mut record) = (kept.sequence, kept.record.clone());
        if !record.state.may_become(to) {
            return Err(StoreError::IllegalTransition {
                revision: revision.clone(),
                from: record.state,
                to,
            });
        }
        change(&mut record, to, update);
        let record = bounded(record);
        let mut writes = vec![state.revisions.keep(sequence, record.clone())?];

        let accepts = to == CommitState::Validated;
        let forces = to.is_in_force();
        if (accepts || forces) && state.accepted.as_ref() != Some(revision) {
            state.accepted = Some(revision.clone());
            writes.push(put(Part::Meta, KEY_ACCEPTED, revision)?);
        }
        if forces && state.in_force.as_ref() != Some(revision) {
            state.in_force = Some(revision.clone());
            writes.push(put(Part::Meta, KEY_IN_FORCE, revision)?);
        }
        if to == CommitState::Healthy && state.last_healthy.as_ref() != Some(revision) {
            state.last_healthy = Some(revision.clone());
            writes.push(put(Part::Meta, KEY_LAST_HEALTHY, revision)?);
        }
        if accepts || forces {
            writes.extend(supersede(&mut state, sequence, forces, &update.at)?);
        }
        writes.extend(trim(&mut state));
        let durable = to.is_in_force() && to != CommitState::Applying || to.is_final();
        self.write(&writes, durable)?;
        Ok(record)
    }

    /// Newest first.
    pub fn revisions(&self, limit: usize) -> Vec<RevisionRecord> {
        self.state()
            .revisions
            .newest_first(limit)
            .into_iter()
            .cloned()
            .collect()
    }

    /// A commit's newest record.
    pub fn revision(&self, revision: &Revision) -> Option<RevisionRecord> {
        Some(self.state().revisions.find(revision)?.record.clone())
    }

    /// The verdict on a commit that was refused under this configuration: it need not be judged again (gitops G2).
    pub fn rejected(&self, revision: &Revision, config_digest: &str) -> Option<RevisionRecord> {
        self.revision(revision).filter(|record| {
            record.state == CommitState::Rejected && record.config_digest == config_digest
        })
    }

    /// The revision that the daemon defends.
    pub fn in_force(&self) -> Option<Revision> {
        self.state().in_force.clone()
    }

    /// The last revision that passed every check.
    pub fn accepted(&self) -> Option<Revision> {
        self.state().accepted.clone()
    }

    pub fn last_healthy(&self) -> Option<Revision> {
        self.state().last_healthy.clone()
    }
}

pub(super) fn load(disk: &Disk) -> std::result::Result<Ring, LoadError> {
    let mut ring = Ring::default();
    for (key, value) in disk.scan(Part::History, b"")? {
        let sequence = key
            .as_slice()
            .try_into()
            .map(u64::from_be_bytes)
            .map_err(|_| LoadError::Damaged("a history key is cut off".to_owned()))?;
        ring.records.push_back(Kept {
            sequence,
            bytes: value.len(),
            record: decode(&value).map_err(super::damaged)?,
        });
    }
    Ok(ring)
}

fn change(record: &mut RevisionRecord, to: CommitState, update: &RevisionUpdate) {
    if record.state != to {
        record.state_at.clone_from(&update.at);
        // Of the state before, unless said anew.
        record.reason.clear();
        record.problems.clear();
    }
    record.state = to;
    if let Some(reason) = &update.reason {
        record.reason.clone_from(reason);
    }
    if let Some(problems) = &update.problems {
        record.problems.clone_from(problems);
    }
    if update.digest.is_some() {
        record.digest.clone_from(&update.digest);
    }
    if let Some(held_back) = &update.held_back {
        record.held_back.clone_from(held_back);
    }
    record.ops.done += update.ops.done;
    record.ops.failed += update.ops.failed;
    record.ops.skipped += update.ops.skipped;
    if (to.is_final() || to == CommitState::Healthy) && record.finished_at.is_none() {
        record.finished_at = Some(update.at.clone());
    }
}

/// What a newer accepted commit ends: all older ones that were never in force, and the one in force only once the
/// newer one takes its place.
fn supersede(state: &mut State, newer: u64, forces: bool, at: &str) -> Result<Vec<Write>> {
    let ended: Vec<_> = state
        .revisions
        .records
        .iter()
        .filter(|kept| {
            kept.sequence < newer
                && kept.record.state.may_become(CommitState::Superseded)
                && (forces || !kept.record.state.is_in_force())
        })
        .map(|kept| (kept.sequence, kept.record.clone()))
        .collect();
    let update = RevisionUpdate {
        at: at.to_owned(),
        ..RevisionUpdate::default()
    };
    ended
        .into_iter()
        .map(|(sequence, mut record)| {
            change(&mut record, CommitState::Superseded, &update);
            state.revisions.keep(sequence, record)
        })
        .collect()
}

fn trim(state: &mut State) -> Vec<Write> {
    let in_use = [
        state.in_force.clone(),
        state.accepted.clone(),
        state.last_healthy.clone(),
    ];
    state.revisions.trim(&in_use)
}

fn bounded(mut record: RevisionRecord) -> RevisionRecord {
    let surplus = record.problems.len().saturating_sub(KEPT_PROBLEMS);
    if surplus > 0 {
        record.problems.truncate(KEPT_PROBLEMS);
        record.problems.push(format!("and {surplus} more"));
    }
    for held in &mut record.held_back {
        // Which objects are to blame must be known again after a restart.
        let (mut blamed, mut count) = (BTreeSet::new(), 0);
        held.problems.retain(|problem| {
            count += 1;
            blamed.insert(problem.object.clone()) || count <= KEPT_PROBLEMS
        });
    }
    for text in record
        .problems
        .iter_mut()
        .chain([&mut record.subject, &mut record.author])
    {
        if let Some((end, _)) = text.char_indices().nth(KEPT_PROBLEM_CHARS) {
            text.truncate(end);
            text.push('…');
        }
    }
    record
}
