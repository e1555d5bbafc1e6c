//! Keeps [`Status`] true while passes run; everybody who shows it watches the same channel.

use std::{collections::BTreeMap, sync::Arc};

use jiff::Timestamp;
use tokio::sync::watch;

use super::{
    DRIFT_KEPT, DriftReport, Health, LoadBalancerStatus, PassSummary, RevisionStatus, RunningPass,
    Status, WaitStatus,
};
use crate::{
    id::{Revision, StackId},
    plan::{
        history::{CommitState, PARTIAL, RevisionRecord},
        op::{Cause, Foreign, Held, Op, Plan},
        record::Outcome,
    },
    problem::Problem,
};

/// The one writer of the status. Clones share it.
#[derive(Clone, Debug)]
pub struct Reporter {
    status: Arc<watch::Sender<Status>>,
}

/// Now, as shown to people and kept in records.
pub fn now() -> String {
    Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

impl Reporter {
    pub fn new(status: Status) -> Self {
        Self {
            status: Arc::new(watch::Sender::new(status)),
        }
    }

    /// For those who show the status.
    pub fn watch(&self) -> watch::Receiver<Status> {
        self.status.subscribe()
    }

    /// The status as it is.
    pub fn status(&self) -> Status {
        self.status.borrow().clone()
    }

    /// Changes the status and lets its health follow.
    pub fn change(&self, change: impl FnOnce(&mut Status)) {
        self.status.send_modify(|status| {
            change(status);
            status.health = health(status);
        });
    }

    pub fn source_ready(&self) {
        self.change(|status| {
            status.source.ready = true;
            status.source.reason = None;
            status.source.message = None;
            status.source.fetched_at = Some(now());
        });
    }

    pub fn source_failed(&self, reason: &str, message: &str) {
        self.change(|status| {
            status.source.ready = false;
            status.source.reason = Some(reason.to_owned());
            status.source.message = Some(message.to_owned());
        });
    }

    pub fn pass_begins(&self, trigger: &str, revision: Option<&Revision>) {
        self.change(|status| {
            status.pass = Some(RunningPass {
                trigger: trigger.to_owned(),
                revision: revision.cloned(),
                since: now(),
                doing: "reading".to_owned(),
                done: 0,
                total: 0,
                failures_are_old: true,
            });
        });
    }

    /// What the pass does now, in words.
    pub fn doing(&self, doing: &str, done: u32, total: u32) {
        self.change(|status| {
            if let Some(pass) = &mut status.pass {
                doing.clone_into(&mut pass.doing);
                pass.done = done;
                pass.total = total;
            }
        });
    }

    /// A pass could not be carried through.
    pub fn failed(&self, message: String) {
        tracing::error!("{message}");
        self.failures(vec![message]);
    }

    /// What the pass could not read or do.
    pub fn failures(&self, messages: Vec<String>) {
        if messages.is_empty() {
            return;
        }
        self.change(|status| {
            forget_old_failures(status);
            status.failures.extend(messages);
        });
    }

    pub fn pass_ends(&self, summary: PassSummary) {
        self.change(|status| {
            forget_old_failures(status);
            status.pass = None;
            status.last_pass = Some(summary);
        });
    }

    /// The tip's record, and the one in force, as the store has them.
    pub fn records(&self, head: Option<&RevisionRecord>, in_force: Option<&RevisionRecord>) {
        self.change(|status| {
            if let Some(head) = head {
                status.head = Some(shown(head));
            }
            status.in_force = in_force.map(shown);
        });
    }

    /// Whether the problems of this refused tip are shown already, or it must be judged again to know them.
    pub fn knows_problems_of(&self, tip: &Revision) -> bool {
        let status = self.status.borrow();
        !status.problems.is_empty()
            && status
                .head
                .as_ref()
                .is_some_and(|head| head.revision == *tip)
    }

    /// What is wrong with the tip; empty when nothing is.
    pub fn problems(&self, problems: Vec<Problem>) {
        self.change(|status| status.problems = problems);
    }

    /// The branch was rewritten and applied all the same: said until the next commit.
    pub fn rewritten(&self, text: Option<String>) {
        self.change(|status| status.rewritten = text);
    }

    pub fn held(&self, held: Vec<Held>) {
        self.change(|status| status.held = held);
    }

    pub fn waits(&self, waits: Vec<WaitStatus>) {
        self.change(|status| {
            for wait in waits.iter().filter(|wait| !status.waits.contains(wait)) {
                tracing::warn!(stack = %wait.stack, "waits: {}", wait.reason);
            }
            status.waits = waits;
        });
    }

    pub fn foreign(&self, foreign: Vec<Foreign>) {
        self.change(|status| status.foreign = foreign);
    }

    pub fn foreign_ingresses(&self, ingresses: Vec<String>) {
        self.change(|status| status.foreign_ingresses = ingresses);
    }

    pub fn read_only(&self, why: Option<String>) {
        self.change(|status| {
            if status.read_only != why {
                match &why {
                    Some(why) => tracing::warn!(%why, "AWS is read-only"),
                    None => tracing::info!("AWS may be written again"),
                }
            }
            status.read_only = why;
        });
    }

    pub fn load_balancers(&self, load_balancers: BTreeMap<String, LoadBalancerStatus>) {
        self.change(|status| status.load_balancers = load_balancers.into_values().collect());
    }

    /// These stacks were read and are as they should be.
    pub fn verified<'a>(&self, stacks: impl IntoIterator<Item = &'a StackId>) {
        let at = now();
        self.change(|status| {
            for stack in stacks {
                status.verified_at.insert(stack.to_string(), at.clone());
            }
        });
    }

    /// What had been changed by hand, and whether it was put back.
    pub fn drift(&self, plan: &Plan, outcome: &Outcome) {
        let failed: Vec<_> = outcome.failed.iter().map(|failed| failed.op).collect();
        let reports: Vec<DriftReport> = plan
            .ops
            .iter()
            .chain(&plan.withheld)
            .filter(|op| op.reason.cause == Cause::Drift)
            .map(|op| {
                drift(
                    op,
                    !failed.contains(&op.id) && !outcome.interrupted && !plan.withheld.contains(op),
                )
            })
            .collect();
        if reports.is_empty() {
            return;
        }
        for report in &reports {
            tracing::warn!(
                resource = %report.resource,
                healed = report.healed,
                differences = ?report.differences,
                "changed outside of git"
            );
        }
        self.change(|status| {
            status.drift.extend(reports);
            let surplus = status.drift.len().saturating_sub(DRIFT_KEPT);
            status.drift.drain(..surplus);
        });
    }
}

fn drift(op: &Op, healed: bool) -> DriftReport {
    DriftReport {
        at: now(),
        stack: op.stack.clone(),
        resource: format!("{} {}", op.resource.kind, op.resource.name),
        differences: op.reason.differences.clone(),
        healed,
    }
}

fn forget_old_failures(status: &mut Status) {
    if let Some(pass) = &mut status.pass
        && std::mem::take(&mut pass.failures_are_old)
    {
        status.failures.clear();
    }
}

/// A record as people see it.
pub fn shown(record: &RevisionRecord) -> RevisionStatus {
    RevisionStatus {
        revision: record.revision.clone(),
        subject: record.subject.clone(),
        author: record.author.clone(),
        state: record.state.to_string(),
        reason: record.reason.clone(),
        since: record.state_at.clone(),
    }
}

/// The worst of what is true; a running pass counts only where nothing is wrong.
fn health(status: &Status) -> Health {
    let state = |revision: &Option<RevisionStatus>, state: CommitState| {
        revision
            .as_ref()
            .is_some_and(|it| it.state == state.to_string())
    };
    if state(&status.head, CommitState::Rejected) {
        Health::Rejected
    } else if !status.failures.is_empty() || status.source.reason.is_some() {
        Health::Degraded
    } else if status
        .in_force
        .as_ref()
        .is_some_and(|it| it.reason == PARTIAL)
    {
        Health::Partial
    } else if !status.held.is_empty()
        || status.read_only.is_some()
        || state(&status.head, CommitState::Held)
    {
        Health::Held
    } else if state(&status.in_force, CommitState::Healthy) && status.last_pass.is_some() {
        Health::Healthy
    } else if state(&status.in_force, CommitState::Degraded)
        || state(&status.in_force, CommitState::ApplyFailed)
    {
        Health::Degraded
    } else if status.pass.is_some() && status.last_pass.is_some() || status.in_force.is_some() {
        Health::Progressing
    } else {
        Health::Starting
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_failed_is_shown_until_the_next_pass_knows_better() {
        let reporter = Reporter::new(Status::default());
        let failures = || reporter.status().failures;
        let pass = || reporter.pass_begins("sweep", None);
        let ends = || reporter.pass_ends(PassSummary::default());
        pass();
        reporter.failed("no rights".to_owned());
        reporter.failed("no route".to_owned());
        ends();
        pass();
        assert_eq!(failures(), ["no rights", "no route"]);
        assert_eq!(reporter.status().health, Health::Degraded);
        reporter.failed("no route".to_owned());
        assert_eq!(failures(), ["no route"]);
        reporter.failed("no account".to_owned());
        ends();
        assert_eq!(failures(), ["no route", "no account"]);
        pass();
        ends();
        assert_eq!(failures(), [""; 0]);
    }
}
