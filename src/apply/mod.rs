//! Operations to the world: each one journaled before its call and after it, retried, stopped cleanly, resumed.
//!
//! Applying is no transaction over Kubernetes and AWS (gitops G13): it is ordered, bounded, idempotent and resumable.
//! What an operation needs comes before it; when something fails for good, what needs it is left out and the rest of
//! the world goes on (G16).

use std::{fmt, sync::Arc, time::Duration};

use crate::{
    id::Generation,
    plan::{
        op::{Op, Plan},
        record::{FailureClass, Outcome, Output},
    },
    store::{Store, StoreError},
};

pub mod clock;
pub mod effects;
pub mod exec;
pub mod find;
mod nature;
pub mod outputs;
pub mod resume;
pub mod retry;
mod stop;
#[cfg(test)]
mod tests;
mod walk;

pub use clock::{Clock, SystemClock};
pub use exec::Ports;
pub use resume::{Resumed, resume};
pub use retry::Limits;
pub use stop::{Stop, StopReason, Stopper};

use crate::model::{applied::AppliedChange, call::CallError};

/// How long things may take, and what time it is.
#[derive(Clone)]
pub struct ApplyOptions {
    /// One call, after which its effect is unknown.
    pub op_timeout: Duration,
    /// The whole plan, after which nothing new begins (gitops G18).
    pub plan_timeout: Duration,
    /// What a running call gets to end in when the daemon leaves (gitops Q8).
    pub grace: Duration,
    pub limits: Limits,
    /// Makes back-off repeatable in tests.
    pub seed: u64,
    /// What time the journal says, RFC 3339.
    pub now: Arc<dyn Fn() -> String + Send + Sync>,
    /// What waits and time-outs go by.
    pub clock: Arc<dyn Clock>,
}

impl Default for ApplyOptions {
    fn default() -> Self {
        Self {
            op_timeout: Duration::from_secs(30),
            plan_timeout: Duration::from_secs(1_800),
            grace: Duration::from_secs(15),
            limits: Limits::default(),
            seed: u64::from(std::process::id()),
            now: Arc::new(|| jiff::Timestamp::now().to_string()),
            clock: Arc::new(SystemClock::default()),
        }
    }
}

impl fmt::Debug for ApplyOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApplyOptions")
            .field("op_timeout", &self.op_timeout)
            .field("plan_timeout", &self.plan_timeout)
            .field("grace", &self.grace)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

/// What is going on, for people who wait.
#[derive(Clone, Copy, Debug)]
pub enum Progress<'a> {
    Opened {
        generation: Generation,
        ops: usize,
    },
    Begun {
        op: &'a Op,
        attempt: u32,
    },
    Done {
        op: &'a Op,
        output: &'a Output,
    },
    /// The attempt failed; `class` says what follows.
    Failed {
        op: &'a Op,
        error: &'a CallError,
        class: FailureClass,
    },
    Skipped {
        op: &'a Op,
        why: &'a str,
    },
    Closed {
        outcome: &'a Outcome,
    },
}

#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// Without a journal nothing is done.
    #[error("the journal cannot be written")]
    Store(#[from] StoreError),
}

/// Carries out a plan. `trigger` says in the journal what it was made for.
///
/// Ends when every operation is done, has failed for good or was left out; or soon after `stop` told so. The future
/// may be dropped at any point, like a crash: [`resume`] then finds out what happened.
pub async fn apply(
    plan: &Plan,
    trigger: &str,
    ports: Ports<'_>,
    store: &Store,
    stop: &Stop,
    options: &ApplyOptions,
    progress: &(dyn for<'p> Fn(Progress<'p>) + Send + Sync),
) -> Result<Outcome, ApplyError> {
    if plan.is_empty() {
        let changes: Vec<_> = plan
            .settled
            .iter()
            .flat_map(|settled| settled.changes.iter().cloned())
            .collect();
        commit_new(store, &changes)?;
        return Ok(Outcome::default());
    }
    let journal = store.open_plan(plan, trigger, &(options.now)())?;
    walk::Walk::new(plan, ports, store, journal, stop, options, progress)
        .run()
        .await
}

/// Leaves the disk alone when nothing is new, as in most sweeps.
fn commit_new(store: &Store, changes: &[AppliedChange]) -> Result<(), StoreError> {
    let before = store.applied();
    let mut after = before.clone();
    for change in changes {
        after.change(change);
    }
    if after == before {
        Ok(())
    } else {
        store.commit(changes)
    }
}
