//! The ends of a pass: records of commits, the summary, what the next pass has to do.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Instant,
};

use futures::FutureExt;

use super::{
    Context, PassEnd, Run, Stopped,
    load::{self, Loaded},
    partial, tell,
};
use crate::{
    apply::{self, ApplyOptions},
    config::Config,
    daemon::schedule::Trigger,
    id::{Revision, StackId},
    model::{
        desired::{Desired, Waiting},
        observed::{Gap, Observed},
        previous::PreviousSet,
    },
    plan::{
        PlanOptions, ReadOnly,
        guard::Limits,
        history::{CommitState, OpCounts, PARTIAL, RevisionRecord, RevisionUpdate},
        op::Held,
    },
    problem::codes,
    report::{PassSummary, event, now},
    source::snapshot::Commit,
};

/// Notes that a commit was seen; one that comes back after a final state starts anew.
pub fn seen(cx: &Context, commit: &Commit, config_digest: &str) -> Result<RevisionRecord, Stopped> {
    let at = now();
    let record = cx
        .store
        .seen(RevisionRecord {
            revision: commit.revision.clone(),
            author: commit.author.clone(),
            subject: commit.subject.clone(),
            committed_at: commit.time,
            seen_at: at.clone(),
            config_digest: config_digest.to_owned(),
            state: CommitState::Detected,
            reason: String::new(),
            problems: Vec::new(),
            digest: None,
            held_back: Vec::new(),
            ops: OpCounts::default(),
            state_at: at,
            finished_at: None,
        })
        .map_err(Stopped::store)?;
    cx.reporter.records(Some(&record), None);
    tell::publish(cx, Some(&commit.revision));
    Ok(record)
}

/// Moves a commit's record where the state table allows it; a stage that was passed before is not passed again.
pub fn advance(
    cx: &Context,
    revision: &Revision,
    to: CommitState,
    mut update: RevisionUpdate,
) -> Result<(), Stopped> {
    let Some(record) = cx.store.revision(revision) else {
        return Err(Stopped::new(
            "StoreUnavailable",
            format!("commit {} has no record", revision.short()),
        ));
    };
    if !record.state.may_become(to) {
        return Ok(());
    }
    update.at = now();
    cx.store
        .set_state(revision, to, &update)
        .map_err(Stopped::store)?;
    if record.state != to {
        tracing::info!(revision = %revision, from = %record.state, to = %to, reason = update.reason.as_deref(), "commit");
    }
    // Whose record moved is not the tip's alone: what is in force moves on while a tip is refused.
    tell::publish(cx, None);
    Ok(())
}

/// The first operation of a commit is about to be journaled: from here on it is the one that is defended.
pub fn in_force(cx: &Context, loaded: &Loaded) -> Result<(), Stopped> {
    let revision = &loaded.commit.revision;
    if cx.store.in_force().as_ref() != Some(revision) {
        keep(cx, loaded)?;
    }
    let digest = Some(loaded.set_digest.clone());
    advance(
        cx,
        revision,
        CommitState::Planned,
        RevisionUpdate {
            digest,
            ..RevisionUpdate::default()
        },
    )?;
    advance(
        cx,
        revision,
        CommitState::Applying,
        RevisionUpdate::default(),
    )
}

/// A commit that asks for what is in force: only the records move (gitops G8).
pub fn take_over(cx: &Context, loaded: &Loaded) -> Result<(), Stopped> {
    keep(cx, loaded)?;
    let update = || RevisionUpdate {
        digest: Some(loaded.set_digest.clone()),
        reason: Some("NothingChanged".to_owned()),
        // The same parts of it are older, and of the same commits.
        held_back: Some(loaded.held_back.clone()),
        ..RevisionUpdate::default()
    };
    // Whatever the one before had reached, this one has.
    let reached = cx
        .store
        .in_force()
        .and_then(|revision| cx.store.revision(&revision))
        .map(|record| record.state);
    let state = match reached {
        Some(CommitState::Healthy) => CommitState::Healthy,
        _ => CommitState::Applying,
    };
    advance(cx, &loaded.commit.revision, state, update())
}

/// What must outlive this process: the objects of the commit, for the guards; its tree, whatever the server does.
pub fn keep(cx: &Context, loaded: &Loaded) -> Result<(), Stopped> {
    cx.store
        .set_previous_set(&PreviousSet::of(&loaded.manifests))
        .map_err(Stopped::store)?;
    partial::keep(cx, &loaded.held_back);
    pin(cx, &loaded.commit.revision);
    Ok(())
}

/// Keeps a commit readable.
pub fn pin(cx: &Context, revision: &Revision) {
    if let Err(error) = cx.source.keep(revision) {
        // Readable today; only a server that rewrites its history could take it away.
        tracing::warn!(%revision, %error, "the commit could not be pinned");
    }
}

/// Rules of the operator for this pass.
pub fn plan_options(cx: &Context, read_only: Option<ReadOnly>) -> PlanOptions {
    PlanOptions {
        read_only,
        foreign_members: cx.world.foreign_members(),
        protected_kinds: cx.config.guards.protected_kinds.clone(),
        settle_seconds: u32::try_from(cx.config.iam.settle.as_secs()).unwrap_or(u32::MAX),
        limits: cx.world.account_limits(),
        hold_over_limits: !load::settings(cx).lowers(codes::QUOTA_EXCEEDED),
        ..PlanOptions::default()
    }
}

pub fn limits(config: &Config) -> Limits {
    Limits {
        floor: config.guards.prune_limit_min as usize,
        percent: config.guards.prune_limit_percent as usize,
    }
}

pub fn apply_options(config: &Config) -> ApplyOptions {
    let in_use = u64::try_from(config.apply.in_use_timeout.as_millis()).unwrap_or(u64::MAX);
    ApplyOptions {
        op_timeout: config.apply.op_timeout,
        grace: config.shutdown_grace,
        limits: apply::Limits {
            in_use_ms: in_use,
            ..apply::Limits::default()
        },
        now: Arc::new(now),
        ..ApplyOptions::default()
    }
}

/// A pass under way, for its summary.
pub struct Begun {
    trigger: Trigger,
    revision: Option<Revision>,
    at: Instant,
    calls: BTreeMap<String, u64>,
}

pub fn begin(cx: &Context, trigger: Trigger, tip: Option<&Revision>) -> Begun {
    tracing::debug!(
        trigger = trigger.as_str(),
        tip = tip.map(Revision::as_str),
        "pass begins"
    );
    cx.reporter.pass_begins(trigger.as_str(), tip);
    tell::publish(cx, tip);
    Begun {
        trigger,
        revision: tip.cloned(),
        at: Instant::now(),
        calls: cx.aws.calls(),
    }
}

pub fn end(cx: &Context, begun: Begun, end: PassEnd) {
    let Begun {
        trigger,
        revision,
        at,
        calls,
    } = begun;
    cx.world.end();
    let aws_calls: BTreeMap<String, u64> = cx
        .aws
        .calls()
        .into_iter()
        .map(|(operation, count)| {
            let before = calls.get(&operation).copied().unwrap_or_default();
            (operation, count.saturating_sub(before))
        })
        .filter(|(_, count)| *count > 0)
        .collect();
    let duration_ms = u64::try_from(at.elapsed().as_millis()).unwrap_or(u64::MAX);
    let ops = cx.world.ops();
    tracing::info!(
        trigger = trigger.as_str(),
        revision = revision.as_ref().map(Revision::as_str),
        end = ?end,
        duration_ms,
        done = ops.done,
        failed = ops.failed,
        aws_calls = aws_calls.values().sum::<u64>(),
        "pass ended"
    );
    cx.reporter.pass_ends(PassSummary {
        trigger: trigger.as_str().to_owned(),
        revision,
        finished_at: now(),
        duration_ms,
        done: ops.done,
        failed: ops.failed,
        skipped: ops.skipped,
        aws_calls,
    });
}

/// The second half needs nothing of what failed in the first, unless the whole pass was told to end: balancers of
/// other stacks must not suffer from one object that is refused.
pub fn may_go_on(run: &Run) -> bool {
    !run.outcome.interrupted && !run.outcome.replan
}

/// After both halves: the commit's state, the status, the events, and whether anything is left to do.
pub async fn finish(
    cx: &Context,
    loaded: &Loaded,
    desired: &Desired,
    seen: &[Observed],
    runs: &[Run],
    tip_held: &[Held],
) -> Result<PassEnd, Stopped> {
    let revision = &loaded.commit.revision;
    let held: Vec<Held> = runs
        .iter()
        .flat_map(|run| run.plan.held.iter().cloned())
        .collect();
    let mut gaps: Vec<Gap> = loaded.gaps.clone();
    gaps.extend(
        seen.iter()
            .flat_map(|observed| observed.gaps.iter().cloned()),
    );
    let gaps = &gaps;
    let whole = runs.len() == 2 && runs.iter().all(|run| run.outcome.is_complete());
    let interrupted = runs
        .iter()
        .any(|run| run.outcome.interrupted || run.outcome.replan);
    let held_back = |stack: &StackId| loaded.held_back.iter().any(|it| it.stack == *stack);
    let shared = !loaded.held_back.is_empty();
    let waiting: Vec<&Waiting> = desired
        .waiting
        .iter()
        .filter(|wait| !(held_back(&wait.stack) || shared && wait.stack == StackId::Network))
        .collect();
    let waits =
        !desired.kept.is_empty() || !waiting.is_empty() || !gaps.is_empty() || !held.is_empty();
    // What only another commit can end is not tried again before one, or the next sweep.
    let lasting = desired.lasting();
    let may_end = !desired.kept.is_empty()
        || !gaps.is_empty()
        || waiting.iter().any(|wait| !wait.lasts)
        || held
            .iter()
            .any(|held| !(held.waits() && lasting.contains(&held.stack)));

    let ops = runs.iter().fold(OpCounts::default(), |sum, run| OpCounts {
        done: sum.done.saturating_add(run.outcome.done),
        failed: sum
            .failed
            .saturating_add(u32::try_from(run.outcome.failed.len()).unwrap_or(u32::MAX)),
        skipped: sum.skipped.saturating_add(run.outcome.skipped),
    });
    cx.world.count(ops);
    if whole && !waits {
        cx.world.settled();
    }
    cx.world.look_again(not_right(desired, gaps, runs));
    let failures = tell::failures(runs, gaps);
    if cx.store.in_force().as_ref() == Some(revision) || whole {
        if cx.store.in_force().as_ref() != Some(revision) {
            // Nothing had to be written: it is in force all the same.
            keep(cx, loaded)?;
        }
        let update = |reason: &str| RevisionUpdate {
            reason: Some(reason.to_owned()),
            digest: Some(loaded.set_digest.clone()),
            ops,
            problems: shared.then(|| {
                let problems = partial::problems_of(&loaded.held_back);
                problems.iter().map(ToString::to_string).collect()
            }),
            ..RevisionUpdate::default()
        };
        if whole && !waits && shared {
            let record = cx.store.revision(revision);
            if record.is_none_or(|it| it.state != CommitState::Degraded || it.reason != PARTIAL) {
                advance(cx, revision, CommitState::Applied, update(PARTIAL))?;
            }
            advance(cx, revision, CommitState::Degraded, update(PARTIAL))?;
        } else if whole && !waits {
            advance(cx, revision, CommitState::Applied, update(""))?;
            advance(
                cx,
                revision,
                CommitState::Healthy,
                RevisionUpdate::default(),
            )?;
        } else if interrupted {
            tracing::info!(revision = %revision, "pass interrupted");
        } else if whole {
            advance(cx, revision, CommitState::Applied, update(""))?;
            advance(
                cx,
                revision,
                CommitState::Degraded,
                update(if gaps.is_empty() {
                    "Waiting"
                } else {
                    "ReadFailed"
                }),
            )?;
        } else {
            let state = cx.store.revision(revision).map(|record| record.state);
            let to = match state {
                Some(CommitState::Healthy | CommitState::Applied | CommitState::Degraded) => {
                    CommitState::Degraded
                }
                _ => CommitState::ApplyFailed,
            };
            advance(cx, revision, to, update("OperationsFailed"))?;
        }
    }
    // Beside what is said of a tip that is not in force.
    cx.reporter.failures(failures);
    tell::waits(cx, loaded, desired).await;
    let held_back = partial::shown(&loaded.held_back);
    cx.reporter.held([tip_held, &held_back, &held].concat());
    cx.reporter.foreign(
        runs.iter()
            .flat_map(|run| run.plan.foreign.iter().cloned())
            .collect(),
    );
    for run in runs {
        cx.reporter.drift(&run.plan, &run.outcome);
    }
    let settled: Vec<&StackId> = runs
        .iter()
        .flat_map(|run| run.plan.settled.iter().map(|settled| &settled.stack))
        .filter(|stack| {
            !runs.iter().any(|run| {
                run.outcome
                    .failed
                    .iter()
                    .any(|failed| failed.stack == **stack)
            })
        })
        .collect();
    cx.reporter.verified(settled);
    tell::load_balancers(cx, desired);
    let pairs: Vec<_> = runs.iter().map(|run| (&run.plan, &run.outcome)).collect();
    let subjects = tell::subjects(desired, seen, &cx.store.applied());
    event::send(
        &*cx.cluster,
        &event::of_pass(Some(revision), &pairs, &subjects),
    )
    .boxed()
    .await;
    Ok(if interrupted {
        PassEnd::Interrupted
    } else if whole && !may_end {
        PassEnd::Complete
    } else {
        PassEnd::Incomplete
    })
}

/// Stacks of which a pass cannot say that they are as wanted: to be looked at again before the next sweep.
fn not_right(desired: &Desired, gaps: &[Gap], runs: &[Run]) -> BTreeSet<StackId> {
    let cut_short = runs
        .iter()
        .filter(|run| !run.outcome.is_complete())
        .flat_map(|run| run.plan.ops.iter().map(|op| op.stack.clone()));
    gaps.iter()
        .map(|gap| gap.stack.clone())
        .chain(desired.waiting.iter().map(|wait| wait.stack.clone()))
        .chain(desired.kept.iter().map(|kept| kept.stack.clone()))
        .chain(cut_short)
        .collect()
}
