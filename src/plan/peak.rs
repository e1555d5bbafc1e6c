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
            // Its rules go with it.
            Action::DeleteListener { arn } => {
                let seen = observed.groups.get(id);
                let rules = seen.into_iter().flat_map(|seen| &seen.rules);
                let gone = count(rules.filter(|rule| rule.listener == *arn).count());
                state.rules = state.rules.saturating_sub(gone);
                state.listeners = state.listeners.saturating_sub(1);
            }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        id::{Arn, Generation, OpId, ResourceId},
        model::{
            desired::Ref,
            elb::{Rule, RuleSpec},
            observed::ObservedGroup,
        },
        plan::op::{Cause, Op, Reason, Stage},
    };

    const GROUP: &str = "shop/web";

    fn rule(number: u32) -> Rule {
        Rule {
            arn: Arn::from(format!("arn:r{number}").as_str()),
            listener: Arn::from("arn:l"),
            priority: number,
            conditions: Vec::new(),
            actions: Vec::new(),
            transforms: Vec::new(),
            tags: BTreeMap::new(),
        }
    }

    fn create() -> Action {
        Action::CreateRule {
            id: ResourceId::target_group(GROUP, "r"),
            listener: Ref::Known(Arn::from("arn:l")),
            priority: 9,
            spec: RuleSpec {
                conditions: Vec::new(),
                actions: Vec::new(),
                transforms: Vec::new(),
                tags: BTreeMap::new(),
            },
        }
    }

    fn delete(number: u32) -> Action {
        Action::DeleteRule {
            arn: rule(number).arn,
        }
    }

    fn rules_at_most(standing: u32, actions: Vec<Action>) -> u64 {
        let seen = ObservedGroup {
            rules: (0..standing).map(rule).collect(),
            ..ObservedGroup::default()
        };
        let observed = Observed {
            groups: [(GROUP.to_owned(), seen)].into(),
            ..Observed::default()
        };
        let ops = actions.into_iter().zip(0..).map(|(action, number)| Op {
            id: OpId(number),
            stack: StackId::Group(GROUP.to_owned()),
            resource: ResourceId::target_group(GROUP, "r"),
            needs: Default::default(),
            action,
            reason: Reason {
                cause: Cause::Changed,
                origin: None,
                differences: Vec::new(),
            },
            record: Vec::new(),
        });
        let plan = Plan {
            stage: Stage::Route,
            revision: None,
            base: Generation(0),
            ops: ops.collect(),
            held: Vec::new(),
            foreign: Vec::new(),
            irreversible: Vec::new(),
            settled: Vec::new(),
            withheld: Vec::new(),
        };
        peaks(&plan, &observed)[GROUP].rules
    }

    #[test]
    fn what_comes_before_the_old_goes_stands_beside_it() {
        assert_eq!(rules_at_most(3, Vec::new()), 3);
        assert_eq!(rules_at_most(3, vec![create(), create(), delete(0)]), 5);
        assert_eq!(rules_at_most(3, vec![delete(0), create(), delete(1)]), 3);
        let listener = Action::DeleteListener {
            arn: Arn::from("arn:l"),
        };
        assert_eq!(rules_at_most(3, vec![listener, create()]), 3);
    }
}
