//! What became of a commit, as data: its states and the record that `history` shows.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{
    id::{ObjectKey, Revision, StackId},
    problem::Problem,
};

/// The states of one commit (gitops §7.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CommitState {
    /// A new tip was seen.
    Detected,
    /// Its objects could not be fetched; tried again.
    FetchFailed,
    /// Its objects are here.
    Fetched,
    /// Signature and history policy pass.
    Verified,
    /// Every watched file was decoded.
    Parsed,
    /// Every check before the first write passed: the accepted revision.
    Validated,
    /// A fact could not be read; tried again.
    Deferred,
    /// Operations are known.
    Planned,
    /// A gate is closed.
    Held,
    /// The first operation is journaled: in force from here on.
    Applying,
    /// Some operations failed; tried again.
    ApplyFailed,
    /// Every operation succeeded.
    Applied,
    /// Everything it touched is well.
    Healthy,
    /// Applied, and something it touched is not well.
    Degraded,
    /// Refused before any write; final for this commit and configuration.
    Rejected,
    /// A newer revision took over; final.
    Superseded,
}

impl CommitState {
    pub const ALL: [Self; 16] = [
        Self::Detected,
        Self::FetchFailed,
        Self::Fetched,
        Self::Verified,
        Self::Parsed,
        Self::Validated,
        Self::Deferred,
        Self::Planned,
        Self::Held,
        Self::Applying,
        Self::ApplyFailed,
        Self::Applied,
        Self::Healthy,
        Self::Degraded,
        Self::Rejected,
        Self::Superseded,
    ];

    /// The way of a commit without trouble.
    const WAY: [Self; 9] = [
        Self::Detected,
        Self::Fetched,
        Self::Verified,
        Self::Parsed,
        Self::Validated,
        Self::Planned,
        Self::Applying,
        Self::Applied,
        Self::Healthy,
    ];

    /// Nothing follows (a commit that comes back starts a new record).
    pub fn is_final(self) -> bool {
        matches!(self, Self::Rejected | Self::Superseded)
    }

    /// The outside world is meant to follow this commit.
    pub fn is_in_force(self) -> bool {
        matches!(
            self,
            Self::Applying | Self::ApplyFailed | Self::Applied | Self::Healthy | Self::Degraded
        )
    }

    /// Whether a commit may go from here to `next` (gitops G1).
    ///
    /// Stages without effects outside are recomputed after a crash (G4) and need no record of their own, so several
    /// of them may be passed at once; from there on every step is recorded.
    pub fn may_become(self, next: Self) -> bool {
        if self == next {
            return !self.is_final();
        }
        if next == Self::Superseded {
            return !self.is_final();
        }
        // Where the commit stands on the way: troubles stand at the stage that they repeat.
        let (Some(from), to) = (self.stage(), next.stage()) else {
            return false;
        };
        match next {
            Self::FetchFailed => self == Self::Detected,
            Self::Rejected => !self.is_in_force(),
            Self::Held | Self::Deferred => !self.is_in_force(),
            Self::ApplyFailed => self == Self::Applying,
            Self::Degraded => matches!(
                self,
                Self::Applying | Self::Applied | Self::Healthy | Self::ApplyFailed
            ),
            Self::Applying => {
                to.is_some_and(|to| from <= to)
                    || matches!(self, Self::Degraded | Self::ApplyFailed)
            }
            _ => to.is_some_and(|to| from <= to),
        }
    }

    fn stage(self) -> Option<usize> {
        let on_way = match self {
            Self::FetchFailed => Self::Detected,
            // Held and Deferred are redone from the first check on.
            Self::Deferred | Self::Held => Self::Fetched,
            Self::ApplyFailed => Self::Applying,
            Self::Degraded => Self::Applied,
            Self::Rejected | Self::Superseded => return None,
            other => other,
        };
        Self::WAY.iter().position(|state| *state == on_way)
    }
}

impl fmt::Display for CommitState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}

/// One line of `history`. A commit that comes back after a final state gets a new record.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RevisionRecord {
    pub revision: Revision,
    pub author: String,
    pub subject: String,
    /// Seconds since the epoch, of the committer.
    pub committed_at: i64,
    /// RFC 3339.
    pub seen_at: String,
    /// Digest of the source's configuration under which it was judged (gitops G2).
    pub config_digest: String,
    pub state: CommitState,
    /// Closed list of CamelCase codes (gitops G3); empty when there is nothing to say.
    #[serde(default)]
    pub reason: String,
    /// Problems as printed, with their places.
    #[serde(default)]
    pub problems: Vec<String>,
    /// Digest of the desired state.
    #[serde(default)]
    pub digest: Option<String>,
    #[serde(default)]
    pub ops: OpCounts,
    /// What of it is not in force, where it was admitted without some of its parts (gitops G12).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub held_back: Vec<HeldBack>,
    /// When the present state was entered, RFC 3339.
    pub state_at: String,
    /// When it first became healthy, was rejected or superseded, RFC 3339.
    #[serde(default)]
    pub finished_at: Option<String>,
}

/// A part of a commit that has problems: what it was before stays in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldBack {
    pub stack: StackId,
    /// The objects that stand for it: its Ingresses, its ServiceAccount; those that git dropped among them.
    #[serde(default)]
    pub members: Vec<ObjectKey>,
    /// The commit whose documents are in force for it; absent where no commit's are known: nothing of it is touched.
    pub base: Option<Revision>,
    pub problems: Vec<Problem>,
}

/// Reason of a commit that is in force without some of its parts (gitops G12).
pub const PARTIAL: &str = "Partial";

/// Operations over all plans of a commit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpCounts {
    pub done: u32,
    pub failed: u32,
    pub skipped: u32,
}

/// What changes in a record together with its state; `None` keeps what is there.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RevisionUpdate {
    /// RFC 3339.
    pub at: String,
    pub reason: Option<String>,
    pub problems: Option<Vec<String>>,
    pub digest: Option<String>,
    pub held_back: Option<Vec<HeldBack>>,
    /// Added to those that are there.
    pub ops: OpCounts,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn final_states_have_no_exit() {
        for from in [CommitState::Rejected, CommitState::Superseded] {
            for to in CommitState::ALL {
                assert!(!from.may_become(to), "{from} → {to}");
            }
        }
    }

    #[test]
    fn a_commit_never_goes_back_before_its_first_write() {
        for from in CommitState::ALL.into_iter().filter(|s| s.is_in_force()) {
            for to in CommitState::ALL {
                if !to.is_in_force() && to != CommitState::Superseded {
                    assert!(!from.may_become(to), "{from} → {to}");
                }
            }
        }
    }

    #[test]
    fn every_edge_of_the_state_table_is_open() {
        use CommitState::*;
        for (from, to) in [
            (Detected, Fetched),
            (Detected, FetchFailed),
            (FetchFailed, Fetched),
            (Fetched, Verified),
            (Fetched, Rejected),
            (Fetched, Held),
            (Verified, Parsed),
            (Verified, Rejected),
            (Parsed, Validated),
            (Parsed, Rejected),
            (Parsed, Deferred),
            (Parsed, Healthy),
            (Deferred, Validated),
            (Deferred, Rejected),
            (Validated, Planned),
            (Validated, Deferred),
            (Planned, Applying),
            (Planned, Held),
            (Planned, Healthy),
            (Held, Planned),
            (Held, Rejected),
            (Applying, Applied),
            (Applying, ApplyFailed),
            (ApplyFailed, Applying),
            (Applied, Healthy),
            (Applied, Degraded),
            (Healthy, Degraded),
            (Degraded, Healthy),
            (Degraded, Applying),
        ] {
            assert!(from.may_become(to), "{from} → {to}");
            assert!(from.may_become(Superseded), "{from} → Superseded");
        }
        for (from, to) in [
            (Healthy, Applying),
            (Applied, Applying),
            (Detected, ApplyFailed),
            (Applying, Rejected),
            (Validated, Parsed),
        ] {
            assert!(!from.may_become(to), "{from} → {to}");
        }
    }
}
