//! The ends of a pass: records of commits, what people are told, what the next pass has to do.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Instant,
};

use futures::FutureExt;

use super::{Context, PassEnd, Run, Stopped, load::Loaded, partial};
use crate::{
    apply::{self, ApplyOptions},
    config::Config,
    daemon::schedule::Trigger,
    id::{ObjectRef, ResourceId, Revision, StackId},
    manifest::{Manifests, ingress::CONTROLLER},
    model::{
        applied::{Applied, AppliedChange},
        confine::{self, Naming},
        desired::Desired,
        facts::Facts,
        grounds::{Grounds, Trust},
        observed::{Gap, Observed},
        previous::PreviousSet,
    },
    observe,
    plan::{
        PlanOptions, ReadOnly,
        guard::Limits,
        history::{CommitState, HeldBack, OpCounts, PARTIAL, RevisionRecord, RevisionUpdate},
        op::Held,
    },
    problem::Problem,
    report::{LoadBalancerStatus, PassSummary, WaitStatus, event, event::Subject, now},
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
    publish(cx, Some(&commit.revision));
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
    publish(cx, None);
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
fn keep(cx: &Context, loaded: &Loaded) -> Result<(), Stopped> {
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
        rule_limit: cx.world.rule_limit(),
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
    publish(cx, tip);
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

/// Keeps the facts that groups were built on, for the day when they are gone: of the groups that were looked at and are
/// applied as they are wanted.
pub fn remember(
    cx: &Context,
    loaded: &Loaded,
    desired: &Desired,
    facts: &Facts,
    seen: &[Observed],
) -> Result<(), Stopped> {
    let looked_at = seen.iter().flat_map(|observed| observed.groups.keys());
    let looked_at: BTreeSet<&String> = looked_at.collect();
    if looked_at.is_empty() {
        return Ok(());
    }
    let digests = desired.stacks();
    let naming = Naming::of(&loaded.manifests);
    let kept: BTreeSet<&StackId> = desired.kept.iter().map(|kept| &kept.stack).collect();
    let mut changes = Vec::new();
    for id in looked_at {
        let stack = StackId::Group(id.clone());
        let (Some(group), Some(digest)) = (desired.groups.get(id), digests.get(&stack)) else {
            continue;
        };
        let last = cx.store.read_applied(|applied| {
            let last = applied.stacks.get(&stack);
            last.filter(|last| last.digest == *digest).cloned()
        });
        let Some(last) = last else {
            continue;
        };
        let grounds = match &last.grounds {
            // It was not built on the facts of the moment alone.
            Some(last) if kept.contains(&stack) => {
                Grounds::of(group, &naming, &last.fill(facts, Trust::Past))
            }
            _ => Grounds::of(group, &naming, facts),
        };
        if last.grounds.is_none_or(|last| *last != grounds) {
            changes.push(AppliedChange::SetGrounds(stack, Arc::new(grounds)));
        }
    }
    cx.store.commit(&changes).map_err(Stopped::store)
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
    let waits = !desired.kept.is_empty()
        || desired
            .waiting
            .iter()
            .any(|wait| !(held_back(&wait.stack) || shared && wait.stack == StackId::Network))
        || !gaps.is_empty()
        || !held.is_empty();

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
    let failures = failures(runs, gaps);
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
    cx.reporter
        .change(|status| status.failures.extend(failures));
    report_waits(cx, loaded, waiting(desired)).await;
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
    publish_load_balancers(cx, desired);
    let pairs: Vec<_> = runs.iter().map(|run| (&run.plan, &run.outcome)).collect();
    let subjects = subjects(desired, seen, &cx.store.applied());
    event::send(
        &*cx.cluster,
        &event::of_pass(Some(revision), &pairs, &subjects),
    )
    .boxed()
    .await;
    Ok(if interrupted {
        PassEnd::Interrupted
    } else if whole && !waits {
        PassEnd::Complete
    } else {
        PassEnd::Incomplete
    })
}

/// Ingresses of our classes that are in the cluster and not in git: told, never changed (decision 3 of the spec).
pub async fn report_foreign_ingresses(cx: &Context, loaded: &Loaded) {
    let of_git = loaded
        .manifests
        .classes
        .iter()
        .map(|class| (&class.name, class.controller.as_str(), class.is_default));
    let of_cluster = loaded
        .facts
        .ingress_classes
        .iter()
        .flatten()
        .map(|(name, (controller, is_default))| (name, controller.as_str(), *is_default));
    let ours: Vec<_> = of_git
        .chain(of_cluster)
        .filter(|(_, controller, _)| *controller == CONTROLLER)
        .collect();
    let classes = observe::cluster::OurClasses {
        names: ours.iter().map(|(name, ..)| (*name).clone()).collect(),
        annotation: cx.config.ingress.class.clone(),
        default_is_ours: ours.iter().any(|(_, _, is_default)| *is_default),
    };
    let inventory = cx.store.applied().inventory;
    let (foreign, gaps) = observe::cluster::foreign_ingresses(
        &*cx.cluster,
        &loaded.desired.objects,
        &inventory,
        &classes,
    )
    .boxed()
    .await;
    if let Some(gap) = gaps.first() {
        tracing::warn!(what = %gap.what, "foreign Ingresses are not known: {}", gap.message);
        return;
    }
    let mut members: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for ingress in &foreign {
        members
            .entry(ingress.group.clone())
            .or_default()
            .insert(ingress.object.to_string());
    }
    cx.world.set_foreign_members(members);
    cx.reporter.foreign_ingresses(
        foreign
            .iter()
            .map(|ingress| format!("{} (group {})", ingress.object, ingress.group))
            .collect(),
    );
}

/// Tells the live objects that a refused commit names; never fails a pass (gitops G84).
pub async fn report_rejected(cx: &Context, tip: &Revision, problems: &[Problem]) {
    let live: Vec<Subject> = cx
        .store
        .applied()
        .inventory
        .into_values()
        .map(|object| Subject {
            object: object.reference,
            uid: object.uid,
        })
        .collect();
    event::send(
        &*cx.cluster,
        &event::of_problems(Some(tip), problems, &live),
    )
    .boxed()
    .await;
}

/// Tells the live objects of parts that are held back; never fails a pass (gitops G84).
pub async fn report_held_back(cx: &Context, tip: &Revision, held_back: &[HeldBack]) {
    let applied = cx.store.applied();
    let mut events = Vec::new();
    for held in held_back {
        let members = held
            .members
            .iter()
            .filter_map(|key| applied.inventory.get(key));
        for object in members {
            let subject = Subject {
                object: object.reference.clone(),
                uid: object.uid.clone(),
            };
            events.push(event::held_back(&subject, tip, held));
        }
    }
    event::send(&*cx.cluster, &events).boxed().await;
}

/// Tells everything that routes that the branch was rewritten (decision 18 of the spec); never fails a pass.
pub async fn report_rewritten(cx: &Context, text: &str) {
    let events: Vec<_> = cx
        .store
        .applied()
        .inventory
        .into_values()
        .filter(|object| matches!(object.reference.kind.as_str(), "Ingress" | "ServiceAccount"))
        .map(|object| {
            event::rewritten(
                &Subject {
                    object: object.reference,
                    uid: object.uid,
                },
                text,
            )
        })
        .collect();
    event::send(&*cx.cluster, &events).boxed().await;
}

/// Who hears of a stack: its Ingresses, its ServiceAccount.
fn subjects(desired: &Desired, seen: &[Observed], applied: &Applied) -> event::Subjects {
    let subject = |reference: &ObjectRef| {
        let key = reference.key();
        let uid = seen
            .iter()
            .find_map(|observed| {
                observed
                    .objects
                    .get(&key)?
                    .live
                    .as_ref()
                    .map(|live| live.uid.clone())
            })
            .or_else(|| {
                applied
                    .inventory
                    .get(&key)
                    .and_then(|object| object.uid.clone())
            });
        Subject {
            object: reference.clone(),
            uid,
        }
    };
    let mut subjects = event::Subjects::new();
    for (group, stack) in &desired.groups {
        let members = stack
            .members
            .iter()
            .map(|member| subject(&member.reference))
            .collect();
        subjects.insert(StackId::Group(group.clone()), members);
    }
    for (role, stack) in &desired.roles {
        if let Some(account) = &stack.service_account {
            subjects.insert(StackId::Role(role.clone()), vec![subject(account)]);
        }
    }
    let shared: Vec<Subject> = desired
        .objects
        .iter()
        .filter(|object| matches!(object.reference.kind.as_str(), "Ingress" | "ServiceAccount"))
        .map(|object| subject(&object.reference))
        .collect();
    subjects.insert(StackId::Cluster, shared);
    subjects
}

/// Shows what waits, and tells the objects that are concerned when that is new: one member, or everybody of a stack that
/// waits whole.
async fn report_waits(cx: &Context, loaded: &Loaded, waits: Vec<WaitStatus>) {
    let known = cx.reporter.status().waits;
    let inventory = cx.store.applied().inventory;
    let new = waits.iter().filter(|wait| !known.contains(wait));
    let mut events = Vec::new();
    for wait in new {
        let objects: Vec<_> = match &wait.object {
            Some(name) => inventory
                .values()
                .filter(|object| object.reference.to_string() == *name)
                .collect(),
            None => confine::members(&wait.stack, &loaded.manifests, &Manifests::default())
                .iter()
                .filter_map(|key| inventory.get(key))
                .collect(),
        };
        events.extend(objects.into_iter().map(|object| {
            let subject = Subject {
                object: object.reference.clone(),
                uid: object.uid.clone(),
            };
            event::waits(&subject, &wait.reason)
        }));
    }
    cx.reporter.waits(waits);
    event::send(&*cx.cluster, &events).boxed().await;
}

/// What waits, and what goes on but for a part.
fn waiting(desired: &Desired) -> Vec<WaitStatus> {
    let whole = desired.waiting.iter().map(|wait| WaitStatus {
        stack: wait.stack.clone(),
        object: None,
        reason: format!("{}: {}", wait.origin, wait.reason),
    });
    let parts = desired.kept.iter().map(|kept| WaitStatus {
        stack: kept.stack.clone(),
        object: kept.problem.object.clone(),
        reason: format!(
            "{}: {}: {}",
            kept.what(),
            kept.problem.origin,
            kept.problem.message
        ),
    });
    whole.chain(parts).collect()
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

fn failures(runs: &[Run], gaps: &[Gap]) -> Vec<String> {
    let failed = runs
        .iter()
        .flat_map(|run| &run.outcome.failed)
        .map(|failed| format!("{} ({}): {}", failed.what, failed.stack, failed.error));
    let unread = gaps.iter().map(unread);
    let mut all: Vec<String> = failed.chain(unread).collect();
    all.sort();
    all.dedup();
    all
}

/// What could not be read; an operator must learn which right is missing (AWS names its actions as its operations).
pub fn unread(gap: &Gap) -> String {
    let denied = if gap.denied {
        "; the right is missing"
    } else {
        ""
    };
    format!(
        "{} could not be read ({}): {}{denied}",
        gap.what, gap.stack, gap.message
    )
}

/// The records of the tip and of what is in force, as people see them; without a `head` the tip stays the one it was.
pub fn publish(cx: &Context, head: Option<&Revision>) {
    let known = cx.reporter.status().head.map(|head| head.revision);
    let head = head
        .or(known.as_ref())
        .and_then(|revision| cx.store.revision(revision));
    let in_force = cx
        .store
        .in_force()
        .and_then(|revision| cx.store.revision(&revision));
    cx.reporter.records(head.as_ref(), in_force.as_ref());
}

fn publish_load_balancers(cx: &Context, desired: &Desired) {
    let applied = cx.store.applied();
    let names = cx.world.dns_names();
    let shown: BTreeMap<String, LoadBalancerStatus> = desired
        .groups
        .iter()
        .filter_map(|(group, stack)| {
            let arn = applied
                .resources
                .get(&ResourceId::load_balancer(group))?
                .arn
                .clone()?;
            let status = LoadBalancerStatus {
                group: group.clone(),
                name: stack.load_balancer.name.clone(),
                dns_name: names.get(&arn).cloned().unwrap_or_default(),
                arn: arn.to_string(),
            };
            Some((group.clone(), status))
        })
        .collect();
    cx.reporter.load_balancers(shown);
}
