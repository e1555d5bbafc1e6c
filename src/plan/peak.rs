//! The most there is of something at once while a plan is carried out, and whose way is too narrow for the account's
//! limits (lessons A10, gitops G11).

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Inputs,
    op::{Action, Op, Plan},
};
use crate::{
    id::{Arn, ResourceKind, StackId},
    model::{
        desired::Ref,
        quota::{Counts, Excess, Limit, Peaks},
    },
};

mod standing;

pub(super) use standing::Standing;

use standing::APPLICATION;

/// A group whose operations go over a limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Overrun {
    pub group: String,
    pub excess: Excess,
    /// Only by registering what came up in the cluster: that is tried, for the targets of before may be gone, and AWS
    /// refuses what it does not take.
    pub follows: bool,
}

/// What of the account there is of one group.
#[derive(Clone, Copy, Default)]
struct Share {
    balancers: u64,
    target_groups: u64,
}

impl Share {
    fn get(self, limit: Limit) -> u64 {
        match limit {
            Limit::Balancers => self.balancers,
            Limit::TargetGroups => self.target_groups,
            // No plan makes one.
            _ => 0,
        }
    }

    fn of(standing: &Standing) -> Self {
        Self {
            balancers: standing.balancers(),
            target_groups: standing.target_groups(),
        }
    }

    /// `uncounted`: balancers that are no part of the share.
    fn apply(&mut self, action: &Action, uncounted: &BTreeSet<&Arn>) {
        match action {
            Action::CreateLoadBalancer { .. } => self.balancers += 1,
            Action::DeleteLoadBalancer { arn } if !uncounted.contains(arn) => {
                self.balancers = self.balancers.saturating_sub(1);
            }
            Action::CreateTargetGroup { .. } => self.target_groups += 1,
            Action::DeleteTargetGroup { .. } => {
                self.target_groups = self.target_groups.saturating_sub(1);
            }
            _ => {}
        }
    }
}

/// One group's way through the plan.
struct Way {
    before: Counts,
    highest: Counts,
    /// Without what follows the cluster.
    asked: Counts,
    end: Counts,
}

/// The peaks of every group that was looked at, and of the account, as far as it is ours.
pub fn peaks(plan: &Plan, inputs: &Inputs<'_>) -> Peaks {
    let ways = ways(plan, inputs);
    let mut account = Counts::default();
    walk(plan, inputs, |total| {
        for limit in Limit::OF_ACCOUNT {
            account.raise(limit, total.get(limit));
        }
    });
    Peaks {
        groups: ways
            .into_iter()
            .map(|(id, way)| (id.to_owned(), way.highest))
            .collect(),
        account,
    }
}

/// Whose operations go over a limit, limit by limit. What was over it before, and gets no more, does not.
pub fn overruns(plan: &Plan, inputs: &Inputs<'_>) -> Vec<Overrun> {
    let limits = &inputs.options.limits;
    if limits.is_empty() || plan.ops.is_empty() {
        return Vec::new();
    }
    let mut overruns = Vec::new();
    for (id, way) in ways(plan, inputs) {
        for limit in Limit::OF_BALANCER {
            let Some(most) = limit.most(limits) else {
                continue;
            };
            let (before, highest) = (way.before.get(limit), way.highest.get(limit));
            if highest <= most.max(before) {
                continue;
            }
            overruns.push(Overrun {
                group: id.to_owned(),
                excess: Excess {
                    limit,
                    owner: limit.owner(id),
                    most,
                    highest,
                    end: way.end.get(limit),
                },
                follows: way.asked.get(limit) <= most.max(before),
            });
        }
    }
    for limit in Limit::OF_ACCOUNT {
        overruns.extend(of_account(plan, inputs, limit));
    }
    overruns
}

/// Groups that would make more of something than the account may have, the others going on.
fn of_account(plan: &Plan, inputs: &Inputs<'_>, limit: Limit) -> Vec<Overrun> {
    let Some(most) = limit.most(&inputs.options.limits) else {
        return Vec::new();
    };
    let (mut highest, mut end) = (0, 0);
    walk(plan, inputs, |total| {
        end = total.get(limit);
        highest = end.max(highest);
    });
    let mut shares = shares(inputs);
    let uncounted = uncounted(inputs);
    let before: BTreeMap<&str, u64> = shares
        .iter()
        .map(|(id, share)| (*id, share.get(limit)))
        .collect();
    let mut total: u64 = before.values().sum();
    let mut over: BTreeSet<&str> = BTreeSet::new();
    for (id, op) in of_groups(plan) {
        if over.contains(id) {
            continue;
        }
        let share = shares.entry(id).or_default();
        let had = share.get(limit);
        share.apply(&op.action, &uncounted);
        let has = share.get(limit);
        total = total.saturating_sub(had).saturating_add(has);
        if has > had && total > most {
            // It stays as it was.
            let stays = before.get(id).copied().unwrap_or_default();
            total = total.saturating_sub(has).saturating_add(stays);
            over.insert(id);
        }
    }
    over.into_iter()
        .map(|id| Overrun {
            group: id.to_owned(),
            excess: Excess {
                limit,
                owner: limit.owner(id),
                most,
                highest,
                end,
            },
            follows: false,
        })
        .collect()
}

fn ways<'a>(plan: &'a Plan, inputs: &Inputs<'a>) -> BTreeMap<&'a str, Way> {
    let mut groups: BTreeMap<&str, (Standing, Way)> = inputs
        .observed
        .groups
        .iter()
        .map(|(id, seen)| {
            let standing = Standing::of(seen);
            let before = standing.now();
            let way = Way {
                highest: before.clone(),
                asked: before.clone(),
                end: before.clone(),
                before,
            };
            (id.as_str(), (standing, way))
        })
        .collect();
    for (id, op) in of_groups(plan) {
        let Some((standing, way)) = groups.get_mut(id) else {
            continue;
        };
        let highest = standing.apply(&op.action);
        let follows = matches!(
            &op.action,
            Action::RegisterTargets {
                target_group: Ref::Known(_),
                ..
            }
        );
        for limit in Limit::OF_BALANCER {
            let count = highest.get(limit);
            way.highest.raise(limit, count);
            if !follows {
                way.asked.raise(limit, count);
            }
        }
    }
    groups
        .into_iter()
        .map(|(id, (standing, way))| {
            let end = standing.end();
            (id, Way { end, ..way })
        })
        .collect()
}

/// Goes through what there is of all groups together, at first and after every operation.
fn walk(plan: &Plan, inputs: &Inputs<'_>, mut look: impl FnMut(Share)) {
    let mut total = Share::default();
    for share in shares(inputs).into_values() {
        total.balancers += share.balancers;
        total.target_groups += share.target_groups;
    }
    look(total);
    let uncounted = uncounted(inputs);
    for (_, op) in of_groups(plan) {
        total.apply(&op.action, &uncounted);
        look(total);
    }
}

/// What there is of every group: as it was seen, else as the store has it.
fn shares<'a>(inputs: &Inputs<'a>) -> BTreeMap<&'a str, Share> {
    let mut shares: BTreeMap<&str, Share> = BTreeMap::new();
    for (id, resource) in &inputs.applied.resources {
        let StackId::Group(group) = &id.stack else {
            continue;
        };
        let is_there = resource.arn.is_some() && !inputs.observed.groups.contains_key(group);
        let share = shares.entry(group).or_default();
        match id.kind {
            ResourceKind::LoadBalancer if is_there => share.balancers += 1,
            ResourceKind::TargetGroup if is_there => share.target_groups += 1,
            _ => {}
        }
    }
    for (id, seen) in &inputs.observed.groups {
        shares.insert(id, Share::of(&Standing::of(seen)));
    }
    shares
}

/// Balancers of other kinds, which have limits of their own.
fn uncounted<'a>(inputs: &Inputs<'a>) -> BTreeSet<&'a Arn> {
    let groups = inputs.observed.groups.values();
    groups
        .flat_map(|seen| &seen.load_balancers)
        .filter(|live| live.kind != APPLICATION)
        .map(|live| &live.arn)
        .collect()
}

fn of_groups(plan: &Plan) -> impl Iterator<Item = (&str, &Op)> {
    plan.ops.iter().filter_map(|op| match &op.stack {
        StackId::Group(id) => Some((id.as_str(), op)),
        _ => None,
    })
}

#[cfg(test)]
mod tests;
