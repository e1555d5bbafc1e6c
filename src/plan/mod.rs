//! Desired minus observed: an ordered list of operations, complete before anything is done. Pure.

use std::collections::BTreeSet;

use crate::{
    id::{Generation, Revision, StackId},
    model::{applied::Applied, desired::Desired, observed::Observed},
};

pub mod audit;
pub mod diff;
pub mod guard;
pub mod history;
pub mod op;
pub mod order;
pub mod record;
pub mod render;

use op::{Plan, Stage};

/// Everything a plan is made from; nothing else decides it.
#[derive(Clone, Copy, Debug)]
pub struct Inputs<'a> {
    pub desired: &'a Desired,
    pub observed: &'a Observed,
    pub applied: &'a Applied,
    /// Absent when planned from a plain directory.
    pub revision: Option<&'a Revision>,
    pub base: Generation,
    /// Only these stacks are planned.
    pub scope: &'a BTreeSet<StackId>,
    pub options: &'a PlanOptions,
}

/// What decides about a plan besides the states: rules of the operator and of the moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlanOptions {
    pub read_only: Option<ReadOnly>,
    /// Whether what left git may be deleted, in every plane; `false` holds it with `PruneLimit` (gitops G43).
    pub allow_prune: bool,
    /// Kinds whose objects stay in the cluster when git drops them (gitops G45).
    pub protected_kinds: BTreeSet<String>,
    /// Whether surplus permissions of the nodes' groups may be revoked now: widen first, narrow when it has been quiet
    /// (aws-deploy §4.7). A teardown of all balancers does not wait for it.
    pub network_quiet: bool,
    /// How long a fresh role settles before something may use it (irsa §9.4 step 5).
    pub settle_seconds: u32,
    /// Rules that one balancer may hold, default rules not counted, where the account's limit is known: beyond it the
    /// surplus goes first (lessons A10).
    pub rule_limit: Option<usize>,
}

impl Default for PlanOptions {
    fn default() -> Self {
        Self {
            read_only: None,
            allow_prune: true,
            protected_kinds: BTreeSet::new(),
            network_quiet: true,
            settle_seconds: 15,
            rule_limit: None,
        }
    }
}

/// What must not be written now, and why (decision 28 of the spec).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadOnly {
    pub plane: Plane,
    /// A phrase for people: `the AWS Load Balancer Controller runs (lease kube-system/… held by …)`.
    pub why: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plane {
    /// AWS, and what another controller would write into the cluster for it (status, finalizers).
    Aws,
    Everything,
}

/// First half of a pass: IAM, then the cluster's objects.
pub fn prepare(inputs: &Inputs<'_>) -> Plan {
    empty(inputs, Stage::Prepare)
}

/// Second half of a pass: balancers, the Ingresses' status, then everything that goes away.
pub fn route(inputs: &Inputs<'_>) -> Plan {
    empty(inputs, Stage::Route)
}

fn empty(inputs: &Inputs<'_>, stage: Stage) -> Plan {
    Plan {
        stage,
        revision: inputs.revision.cloned(),
        base: inputs.base,
        ops: Vec::new(),
        held: Vec::new(),
        foreign: Vec::new(),
        irreversible: Vec::new(),
        settled: Vec::new(),
        withheld: Vec::new(),
    }
}
