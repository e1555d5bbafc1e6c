//! What became of a plan, as data: the journal's entries and the outcome.

use serde::{Deserialize, Serialize};

use super::op::Stage;
use crate::{
    id::{Arn, Generation, OpId, Revision},
    model::call::CallError,
};

/// What a create returned.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Output {
    /// ARN, security group id or object uid.
    pub id: Option<Arn>,
    /// A role's unique id.
    pub unique_id: Option<String>,
    /// A balancer's DNS name.
    pub dns_name: Option<String>,
}

/// One journal record. `Begun` is flushed to disk before the call goes out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Entry {
    /// The whole plan (requests included), before its first operation.
    Opened {
        generation: Generation,
        stage: Stage,
        revision: Option<Revision>,
        at: String,
        trigger: String,
        plan: super::op::Plan,
    },
    /// Attempt counts from 1.
    Begun {
        op: OpId,
        attempt: u32,
        at: String,
    },
    Done {
        op: OpId,
        output: Output,
        at: String,
    },
    /// The attempt failed; whether another follows is decided by `class`.
    Failed {
        op: OpId,
        attempt: u32,
        class: FailureClass,
        error: CallError,
        at: String,
    },
    /// Not tried, because something it needs failed or the daemon was told to stop.
    Skipped {
        op: OpId,
        why: String,
    },
    Closed {
        outcome: Outcome,
        at: String,
    },
}

/// What a failure means for the operation (aws-deploy §10.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FailureClass {
    /// Waiting, not failing: throttled, not yet consistent, still in use.
    Retry { after_ms: u64 },
    /// The effect is unknown: read back, then decide.
    Verify { after_ms: u64 },
    /// It had already happened (NotFound on delete, exists with our tags on create): counts as done.
    AlreadyDone,
    /// The world moved: drop the rest of this stack and plan anew.
    Replan,
    /// Somebody must act (rights, quota, configuration).
    Blocked,
    /// Tried for as long as one pass allows: a later pass tries again after a back-off.
    GaveUp,
}

/// How a plan ended.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    pub done: u32,
    pub failed: Vec<FailedOp>,
    pub skipped: u32,
    /// Stopped before the end, because the daemon was asked to leave or a newer commit took over.
    pub interrupted: bool,
    /// Some stack asked to be planned anew at once.
    pub replan: bool,
    /// Stacks with a call whose effect is not known: to be read by tags and names, not only by recorded ids, before
    /// they are planned again.
    #[serde(default)]
    pub unknown: std::collections::BTreeSet<crate::id::StackId>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailedOp {
    pub op: OpId,
    pub stack: crate::id::StackId,
    pub what: String,
    pub error: CallError,
    pub blocked: bool,
}

impl Outcome {
    pub fn is_complete(&self) -> bool {
        self.failed.is_empty() && self.skipped == 0 && !self.interrupted && !self.replan
    }
}
