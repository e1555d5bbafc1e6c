//! The most there is of something at once while a plan is carried out, for the forecast of quotas.

use std::collections::BTreeMap;

use super::op::{Action, Plan};
use crate::{
    id::StackId,
    model::{observed::Observed, quota::Peak},
};

/// By group id, of every group that was looked at.
pub fn peaks(plan: &Plan, observed: &Observed) -> BTreeMap<String, Peak> {
    let mut now: BTreeMap<&str, Peak> = observed
        .groups
        .iter()
        .map(|(id, seen)| {
            let standing = Peak {
                rules: count(seen.rules.len()),
                target_groups: count(seen.target_groups.len()),
                listeners: count(seen.listeners.len()),
            };
            (id.as_str(), standing)
        })
        .collect();
    let mut peaks = now.clone();
    for op in &plan.ops {
        let StackId::Group(id) = &op.stack else {
            continue;
        };
        let state = now.entry(id).or_default();
        match &op.action {
            Action::CreateRule { .. } => state.rules += 1,
            Action::DeleteRule { .. } => state.rules = state.rules.saturating_sub(1),
            Action::CreateTargetGroup { .. } => state.target_groups += 1,
            Action::DeleteTargetGroup { .. } => {
                state.target_groups = state.target_groups.saturating_sub(1);
            }
            Action::CreateListener { .. } => state.listeners += 1,
            Action::DeleteListener { .. } => state.listeners = state.listeners.saturating_sub(1),
            // What hangs on it goes with it; its target groups go on their own.
            Action::DeleteLoadBalancer { .. } => (state.rules, state.listeners) = (0, 0),
            _ => continue,
        }
        let peak = peaks.entry(id).or_default();
        peak.rules = peak.rules.max(state.rules);
        peak.target_groups = peak.target_groups.max(state.target_groups);
        peak.listeners = peak.listeners.max(state.listeners);
    }
    peaks
        .into_iter()
        .map(|(id, peak)| (id.to_owned(), peak))
        .collect()
}

fn count(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}
