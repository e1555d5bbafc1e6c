//! Kubernetes Events on the objects that people look at: Ingresses and ServiceAccounts (gitops G81, aws-deploy §6.2).
//! Building them is pure; sending them never changes what a pass came to (gitops G84).

use std::{collections::BTreeMap, fmt::Write, time::Duration};

use futures::{StreamExt, stream};

use crate::{
    cluster::{ClusterWrite, ObjectEvent},
    id::{ObjectRef, Revision, StackId},
    plan::{
        history::HeldBack,
        object_id,
        op::{Action, Cause, Difference, Held, Op, Plan},
        record::{FailedOp, Outcome},
    },
    problem::Problem,
};

/// The API server refuses messages over 1,024 bytes.
const MESSAGE_LIMIT: usize = 1000;
/// More than this of one sort is counted, not listed.
const LISTED: usize = 5;
/// One Event may take this long; then it is dropped.
const SEND_TIMEOUT: Duration = Duration::from_secs(5);
const CONCURRENCY: usize = 4;

/// The live object that people look at, with its uid where known: without it `kubectl describe` does not show Events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    pub object: ObjectRef,
    pub uid: Option<String>,
}

/// The objects that stand for each stack: a group's Ingresses, a role's ServiceAccount.
pub type Subjects = BTreeMap<StackId, Vec<Subject>>;

/// The Events of one pass: its plans, as far as they were carried out.
///
/// Per object: what failed; or what was done, with drift told apart; and what is held. An object to which nothing
/// happened gets none.
pub fn of_pass(
    revision: Option<&Revision>,
    runs: &[(&Plan, &Outcome)],
    subjects: &Subjects,
) -> Vec<ObjectEvent> {
    let complete = runs.iter().all(|(_, outcome)| outcome.is_complete());
    let mut events = Vec::new();
    for (stack, members) in subjects {
        for subject in members {
            let mut failures = Vec::new();
            let mut ops = Vec::new();
            for (plan, outcome) in runs {
                let own = plan.ops.iter().filter(|op| {
                    op.stack == *stack || object_of(&op.action) == Some(&subject.object)
                });
                for op in own {
                    ops.push(op);
                    failures.extend(outcome.failed.iter().filter(|it| it.op == op.id));
                }
            }
            if !failures.is_empty() {
                events.push(failed_deploy(subject, revision, &failures));
            } else if complete {
                let (drift, rest): (Vec<&Op>, Vec<&Op>) = ops
                    .into_iter()
                    .partition(|op| op.reason.cause == Cause::Drift);
                if !rest.is_empty() {
                    events.push(reconciled(subject, revision, &rest));
                }
                if !drift.is_empty() {
                    events.push(drift_healed(subject, &drift));
                }
            }
        }
    }
    for (plan, _) in runs {
        events.extend(of_held(&plan.held, subjects));
    }
    events
}

/// The Events of what is held, also where there is no plan to carry out: of a stack on all of its objects, of an object
/// on itself.
pub fn of_held(held: &[Held], subjects: &Subjects) -> Vec<ObjectEvent> {
    let mut events = Vec::new();
    for held in held {
        for (stack, members) in subjects {
            for subject in members {
                let itself = object_id(&subject.object.key());
                if held.stack == *stack || held.resource.as_ref() == Some(&itself) {
                    events.push(self::held(subject, held));
                }
            }
        }
    }
    events
}

/// A commit was rejected: one Event on each live object that a problem names, with all of its problems.
///
/// Problems that name no live object give none; they are in the status and in the log.
pub fn of_problems(
    revision: Option<&Revision>,
    problems: &[Problem],
    live: &[Subject],
) -> Vec<ObjectEvent> {
    live.iter()
        .filter_map(|subject| {
            let own: Vec<&Problem> = problems
                .iter()
                .filter(|it| it.is_grave() && is_about(it, subject))
                .collect();
            (!own.is_empty()).then(|| rejected(subject, revision, &own))
        })
        .collect()
}

/// `SuccessfullyReconciled`: the commit and what changed.
pub fn reconciled(subject: &Subject, revision: Option<&Revision>, ops: &[&Op]) -> ObjectEvent {
    let what = ops
        .iter()
        .map(|op| format!("{} {}", verb(&op.action), op.resource.kind));
    let message = format!("{}: {}", commit(revision), counted(what));
    event(subject, "Normal", "SuccessfullyReconciled", message)
}

/// `Rejected`: file, line, column, what is wrong, what was expected.
pub fn rejected(
    subject: &Subject,
    revision: Option<&Revision>,
    problems: &[&Problem],
) -> ObjectEvent {
    let mut message = format!(
        "{} rejected, the last good one stays in force",
        commit(revision)
    );
    describe(&mut message, problems);
    event(subject, "Warning", "Rejected", message)
}

fn describe(message: &mut String, problems: &[&Problem]) {
    for problem in problems.iter().take(LISTED) {
        let _ = write!(message, "; {}: {}", problem.origin, problem.message);
        if let Some(hint) = &problem.hint {
            let _ = write!(message, " ({hint})");
        }
    }
    rest(message, problems.len());
}

/// `Rejected`, of a part alone: the others of the commit go on.
pub fn held_back(subject: &Subject, revision: &Revision, held: &HeldBack) -> ObjectEvent {
    let stays = match &held.base {
        Some(base) => format!("commit {} stays in force for it", base.short()),
        None => "nothing of it is touched".to_owned(),
    };
    let mut message = format!("{} of commit {revision} rejected, {stays}", held.stack);
    describe(&mut message, &held.problems.iter().collect::<Vec<_>>());
    event(subject, "Warning", "Rejected", message)
}

/// `DriftHealed`: what differed from git and was put back.
pub fn drift_healed(subject: &Subject, ops: &[&Op]) -> ObjectEvent {
    let mut message = "changed outside of git and put back".to_owned();
    let lines: Vec<String> = ops
        .iter()
        .flat_map(|op| match op.reason.differences.is_empty() {
            true => vec![format!("{} {}", op.resource.kind, op.resource.name)],
            false => op
                .reason
                .differences
                .iter()
                .map(|it| format!("{} {}: {}", op.resource.kind, op.resource.name, change(it)))
                .collect(),
        })
        .collect();
    for line in lines.iter().take(LISTED) {
        let _ = write!(message, "; {line}");
    }
    rest(&mut message, lines.len());
    event(subject, "Warning", "DriftHealed", message)
}

/// `Held`: what is not done, why, and what releases it.
pub fn held(subject: &Subject, held: &Held) -> ObjectEvent {
    let mut message = format!("{}: {}", held.code, held.message);
    if !held.release.is_empty() {
        let _ = write!(message, "; to release: {}", held.release);
    }
    event(subject, "Warning", "Held", message)
}

/// `Waiting`: what stays as it was applied last, and which fact is missing.
pub fn waits(subject: &Subject, reason: &str) -> ObjectEvent {
    event(subject, "Warning", "Waiting", reason.to_owned())
}

/// `HistoryRewritten`: what came into force does not descend from what was accepted before.
pub fn rewritten(subject: &Subject, text: &str) -> ObjectEvent {
    event(subject, "Warning", "HistoryRewritten", text.to_owned())
}

/// `FailedDeployModel`: which operations failed and what the other side said.
pub fn failed_deploy(
    subject: &Subject,
    revision: Option<&Revision>,
    failures: &[&FailedOp],
) -> ObjectEvent {
    let mut message = commit(revision);
    for (index, failure) in failures.iter().take(LISTED).enumerate() {
        let comma = if index == 0 { ": " } else { "; " };
        let _ = write!(message, "{comma}{}: {}", failure.what, failure.error);
    }
    rest(&mut message, failures.len());
    event(subject, "Warning", "FailedDeployModel", message)
}

/// Sends them; what cannot be sent is logged and dropped.
pub async fn send(cluster: &dyn ClusterWrite, events: &[ObjectEvent]) {
    let calls: Vec<_> = events
        .iter()
        .map(|event| send_one(cluster, event))
        .collect();
    stream::iter(calls)
        .buffer_unordered(CONCURRENCY)
        .collect::<()>()
        .await;
}

async fn send_one(cluster: &dyn ClusterWrite, event: &ObjectEvent) {
    match tokio::time::timeout(SEND_TIMEOUT, cluster.event(event)).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => {
            tracing::warn!(object = %event.object, reason = event.reason, %error, "event not sent");
        }
        Err(_) => {
            tracing::warn!(object = %event.object, reason = event.reason, "event timed out");
        }
    }
}

/// A ServiceAccount also stands for the `IAMServiceAccount` of its name, which never goes to the cluster.
fn is_about(problem: &Problem, subject: &Subject) -> bool {
    let name = subject.object.to_string();
    problem.object.as_ref().is_some_and(|object| {
        *object == name
            || (subject.object.kind == "ServiceAccount" && *object == format!("IAM{name}"))
    })
}

fn event(subject: &Subject, kind: &str, reason: &str, message: String) -> ObjectEvent {
    ObjectEvent {
        object: subject.object.clone(),
        uid: subject.uid.clone(),
        kind: kind.to_owned(),
        reason: reason.to_owned(),
        message: cut(message),
    }
}

fn commit(revision: Option<&Revision>) -> String {
    match revision {
        Some(revision) => format!("commit {revision}"),
        None => "no commit".to_owned(),
    }
}

/// `created rule, changed 2 listeners`: each phrase once, with its number.
fn counted(phrases: impl Iterator<Item = String>) -> String {
    let mut counts: Vec<(String, usize)> = Vec::new();
    for phrase in phrases {
        match counts.iter_mut().find(|(it, _)| *it == phrase) {
            Some((_, count)) => *count += 1,
            None => counts.push((phrase, 1)),
        }
    }
    let texts: Vec<String> = counts
        .into_iter()
        .map(|(phrase, count)| match count {
            1 => phrase,
            _ => format!("{phrase} ×{count}"),
        })
        .collect();
    texts.join(", ")
}

fn change(difference: &Difference) -> String {
    let side = |text: &Option<String>| text.clone().unwrap_or_else(|| "absent".to_owned());
    format!(
        "{} was {}, is {}",
        difference.field,
        side(&difference.live),
        side(&difference.wanted)
    )
}

fn rest(message: &mut String, total: usize) {
    if total > LISTED {
        let _ = write!(message, "; and {} more", total - LISTED);
    }
}

fn cut(mut message: String) -> String {
    if message.len() > MESSAGE_LIMIT {
        let mut end = MESSAGE_LIMIT;
        while !message.is_char_boundary(end) {
            end -= 1;
        }
        message.truncate(end);
        message.push('…');
    }
    message
}

fn object_of(action: &Action) -> Option<&ObjectRef> {
    match action {
        Action::ApplyObject { reference, .. }
        | Action::DeleteObject { reference, .. }
        | Action::SetIngressStatus { reference, .. }
        | Action::RemoveFinalizer { reference, .. } => Some(reference),
        _ => None,
    }
}

/// One word for what an operation does to its resource.
fn verb(action: &Action) -> &'static str {
    use Action as A;
    match action {
        A::CreateSecurityGroup { .. }
        | A::CreateLoadBalancer { .. }
        | A::CreateTargetGroup { .. }
        | A::CreateListener { .. }
        | A::CreateRule { .. }
        | A::CreateOidcProvider { .. }
        | A::CreatePolicy { .. }
        | A::CreateRole { .. } => "created",
        A::DeleteSecurityGroup { .. }
        | A::DeleteLoadBalancer { .. }
        | A::DeleteTargetGroup { .. }
        | A::DeleteListener { .. }
        | A::DeleteRule { .. }
        | A::DeletePolicy { .. }
        | A::DeleteRole { .. }
        | A::DeleteObject { .. } => "deleted",
        A::RegisterTargets { .. } => "registered targets in",
        A::DeregisterTargets { .. } => "removed targets from",
        A::ApplyObject { .. } => "applied",
        A::SetIngressStatus { .. } => "set status of",
        A::Settle { .. } => "waited for",
        _ => "changed",
    }
}

#[cfg(test)]
mod tests;
