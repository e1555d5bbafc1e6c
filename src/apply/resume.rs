//! After a crash: finds out what became of the calls that were on their way (gitops G4, irsa C1).
//!
//! Nothing is redone here. What is found done is recorded, the plan is closed as interrupted, and its stacks are read
//! and planned anew from what is really there.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use super::{
    ApplyError, ApplyOptions, Ports,
    clock::within,
    effects,
    find::{Found, find},
    outputs::Outputs,
};
use crate::{
    id::{OpId, StackId},
    plan::{
        op::{Action, Op},
        record::{Entry, FailureClass, Outcome, Output},
    },
    store::{JournaledPlan, Store},
};

/// How often an unreadable state is asked for before the stack is left to its full reading.
const READS: u32 = 3;
/// Two passes of two plans each.
const RECENT: usize = 4;
const BETWEEN_READS: Duration = Duration::from_millis(500);

/// What a crash left, settled as far as can be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resumed {
    /// How many plans had no end.
    pub plans: usize,
    /// To be read completely, by tags and names, and planned anew.
    pub stacks: BTreeSet<StackId>,
    /// Calls without a recorded end that turned out to have happened, and those that did not or cannot be told.
    pub happened: usize,
    pub open: usize,
}

/// Settles every plan that was opened and never closed.
pub async fn resume(
    ports: Ports<'_>,
    store: &Store,
    options: &ApplyOptions,
) -> Result<Resumed, ApplyError> {
    let mut resumed = Resumed::default();
    // What the last passes could not find out is still to be found out.
    for plan in store.plans(RECENT)? {
        if let Some(outcome) = plan.outcome() {
            resumed.stacks.extend(outcome.unknown.iter().cloned());
        }
    }
    for plan in store.unfinished()? {
        resumed.plans += 1;
        resumed
            .stacks
            .extend(plan.plan.ops.iter().map(|op| op.stack.clone()));
        settle(&plan, ports, store, options, &mut resumed).await?;
    }
    Ok(resumed)
}

async fn settle(
    plan: &JournaledPlan,
    ports: Ports<'_>,
    store: &Store,
    options: &ApplyOptions,
    resumed: &mut Resumed,
) -> Result<(), ApplyError> {
    let journal = store.reopen(plan)?;
    let ends = ends(plan);
    let mut outputs = Outputs::new(&store.applied());
    let mut outcome = Outcome {
        interrupted: true,
        ..Outcome::default()
    };
    for op in &plan.plan.ops {
        match ends.get(&op.id) {
            Some(End::Done(output)) => {
                if output.id.is_some() {
                    outputs.insert(op.resource.clone(), output.clone());
                }
                outcome.done += 1;
            }
            Some(End::Unknown) => {
                let verified = verify(op, &outputs, ports, options).await;
                match verified {
                    Some((action, output)) => {
                        let changes = effects::effects(op, &action, &output, &store.applied());
                        journal.append_with(
                            &Entry::Done {
                                op: op.id,
                                output: output.clone(),
                                at: (options.now)(),
                            },
                            &changes,
                        )?;
                        if output.id.is_some() {
                            outputs.insert(op.resource.clone(), output);
                        }
                        outcome.done += 1;
                        resumed.happened += 1;
                    }
                    None => {
                        journal.append(&Entry::Skipped {
                            op: op.id,
                            why: "not seen done after a restart: planned anew".to_owned(),
                        })?;
                        outcome.skipped += 1;
                        outcome.unknown.insert(op.stack.clone());
                        resumed.open += 1;
                    }
                }
            }
            Some(End::Over) | None => outcome.skipped += 1,
        }
    }
    journal.close(&outcome, &[], &(options.now)())?;
    Ok(())
}

enum End {
    Done(Output),
    /// It failed or was left out: nothing is on its way.
    Over,
    /// Begun, and no word of the end.
    Unknown,
}

fn ends(plan: &JournaledPlan) -> BTreeMap<OpId, End> {
    let mut ends = BTreeMap::new();
    for entry in &plan.entries {
        let (op, end) = match entry {
            Entry::Begun { op, .. } => (op, End::Unknown),
            Entry::Done { op, output, .. } => (op, End::Done(output.clone())),
            // Waiting to be read back: still not known.
            Entry::Failed {
                op,
                class: FailureClass::Verify { .. },
                ..
            } => (op, End::Unknown),
            Entry::Failed { op, .. } => (op, End::Over),
            Entry::Skipped { op, .. } => {
                // Told to stop while in doubt: the doubt stays.
                if matches!(ends.get(op), Some(End::Unknown)) {
                    continue;
                }
                (op, End::Over)
            }
            Entry::Opened { .. } | Entry::Closed { .. } => continue,
        };
        ends.insert(*op, end);
    }
    ends
}

/// The action as it was sent and what it made, when reading back proves that it happened.
async fn verify(
    op: &Op,
    outputs: &Outputs,
    ports: Ports<'_>,
    options: &ApplyOptions,
) -> Option<(Action, Output)> {
    let action = outputs.resolve(&op.action).ok()?;
    for read in 0..READS {
        if read > 0 {
            options.clock.sleep(BETWEEN_READS).await;
        }
        match within(&*options.clock, options.op_timeout, find(&action, ports)).await {
            Some(Ok(Found::Done(output))) => return Some((action, output)),
            Some(Ok(_)) => return None,
            Some(Err(error)) => {
                tracing::warn!(op = %op.id, resource = %op.resource, %error, "cannot read back");
            }
            None => {
                tracing::warn!(op = %op.id, resource = %op.resource, "no answer when reading back");
            }
        }
    }
    None
}
