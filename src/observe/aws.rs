//! AWS's part of facts and observed state. "Could not read" becomes a [`Gap`], never an absence.
//!
//! Calls are counted (decision 19 of the spec), so what the store knows is described by ARN, and everything is looked
//! for by tags only where the store cannot be trusted alone: a first pass, a store that was lost, an interrupted plan,
//! an audit (aws-deploy §1.3, §8.3). That search is a [`Scan`], read once for all groups.

use std::sync::{Mutex, PoisonError};

use crate::{
    aws::Result,
    id::StackId,
    model::{call::CallError, observed::Gap},
};

mod facts;
mod group;
mod iam;
mod network;
mod scan;
#[cfg(test)]
mod tests;

pub use self::{
    facts::{FactsWanted, facts, instance_ids, load_balancers, lookups},
    group::{GroupKnown, Names, group},
    iam::{IamScan, RoleKnown, provider, role},
    network::{NetworkKnown, network},
    scan::Scan,
};

/// Calls in flight at once; the governor decides how fast they go.
const CONCURRENCY: usize = 8;

/// What could not be read for one stack.
#[derive(Debug)]
struct Gaps {
    stack: StackId,
    found: Mutex<Vec<Gap>>,
}

impl Gaps {
    fn of(stack: StackId) -> Self {
        Self {
            stack,
            found: Mutex::default(),
        }
    }

    /// The answer, or a noted gap.
    fn note<T>(&self, answer: Result<T>) -> Option<T> {
        answer.map_err(|error| self.add(&error)).ok()
    }

    fn add(&self, error: &CallError) {
        let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        let gap = gap(self.stack.clone(), error);
        if !found.contains(&gap) {
            found.push(gap);
        }
    }

    fn into_inner(self) -> Vec<Gap> {
        self.found
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

fn gap(stack: StackId, error: &CallError) -> Gap {
    let code = error.code.as_deref().unwrap_or_default();
    let message = match (code.is_empty(), error.message.is_empty()) {
        (false, false) => format!("{code}: {}", error.message),
        (false, true) => code.to_owned(),
        (true, _) => error.message.clone(),
    };
    Gap {
        stack,
        what: format!("{}:{}", error.service, error.operation),
        message,
        denied: error.is_denied(),
    }
}
