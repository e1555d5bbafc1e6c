//! Will it fit? What the groups come to, against the account's limits (lessons A10; aws-deploy §10.1).
//!
//! Only what is known counts, so a count is at least what there will be: what others have in the account is not seen.
//! What is over a limit in the end is a problem, at the place that goes over it; what only the way there passes, or what
//! comes near, is a warning here, and the planner holds the group whose own way is too narrow.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use super::{
    desired::Member,
    group::{Action, Certificate, GroupModel, Rule, TargetGroup, TargetGroupRef, split},
};
use crate::{
    manifest::annotation::value::{Condition, Patterns, TargetType},
    problem::{Origin, Problem, codes},
};

mod limit;

pub use limit::{Counts, Excess, Limit, Limits, Peaks};

/// What comes so near to a limit is told, in percent.
const NEAR_PERCENT: u64 = 90;

/// What is counted, and what surrounds it.
#[derive(Clone, Copy)]
pub struct Forecast<'a> {
    pub limits: &'a Limits,
    /// By group id.
    pub groups: &'a BTreeMap<&'a str, &'a GroupModel>,
    /// On the way there; of what is not among them, only the end is judged.
    pub peaks: &'a Peaks,
    /// How many targets a target group will have, as far as facts tell.
    pub targets: &'a dyn Fn(&TargetGroup) -> Option<u64>,
}

/// What will not fit, and what hardly will.
pub fn forecast(of: Forecast<'_>) -> Vec<Problem> {
    let mut problems = Vec::new();
    let no_peak = Counts::default();
    for (id, group) in of.groups {
        let peak = of.peaks.groups.get(*id).unwrap_or(&no_peak);
        for limit in Limit::OF_BALANCER {
            let owner = limit.owner(id);
            let things = || things(limit, group, of.targets);
            problems.extend(judge(of.limits, limit, owner, things, peak.get(limit)));
        }
        problems.extend(group.listeners.values().flat_map(|listener| {
            let of_rules = listener.rules.iter().flat_map(|rule| {
                let object = member(group, rule.member);
                let actions = actions(&of, &rule.actions, &rule.origin, object);
                let conditions = conditions(&of, rule, object);
                actions.into_iter().chain(conditions)
            });
            let object = member(group, 0);
            let default = actions(&of, &listener.default_actions, &listener.origin, object);
            of_rules.chain(default).collect::<Vec<_>>()
        }));
    }
    for limit in Limit::OF_ACCOUNT {
        let things = || {
            let groups = of.groups.values();
            groups
                .flat_map(|group| things(limit, group, of.targets))
                .collect()
        };
        let peak = of.peaks.account.get(limit);
        problems.extend(judge(of.limits, limit, limit.owner(""), things, peak));
    }
    problems.sort();
    problems.dedup();
    problems
}

/// Something that counts, with the place that asks for it.
#[derive(Clone, Debug)]
struct Thing<'a> {
    origin: &'a Origin,
    object: Object<'a>,
    weight: u64,
}

/// The Ingress that a thing is of; its name is only made where it is told.
#[derive(Clone, Copy, Debug)]
struct Object<'a>(Option<&'a Member>);

impl fmt::Display for Object<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(member) => member.reference.fmt(f),
            None => Ok(()),
        }
    }
}

fn member(group: &GroupModel, index: usize) -> Object<'_> {
    Object(group.members.get(index))
}

impl<'a> Thing<'a> {
    fn once(origin: &'a Origin, object: Object<'a>) -> Self {
        Self {
            origin,
            object,
            weight: 1,
        }
    }
}

/// One limit of one owner. The problem is at the thing that goes over: what comes before it fits.
fn judge<'a>(
    limits: &Limits,
    limit: Limit,
    owner: String,
    things: impl Fn() -> Vec<Thing<'a>>,
    peak: u64,
) -> Option<Problem> {
    let most = limit.most(limits)?;
    let things = things();
    let count: u64 = things.iter().map(|thing| thing.weight).sum();
    let highest = count.max(peak);
    // In whole numbers, and without overflow for whatever an account may be granted.
    let near = u128::from(highest) * 100 >= u128::from(most) * u128::from(NEAR_PERCENT);
    if !near {
        return None;
    }
    let first_over = things
        .iter()
        .scan(0, |sum, thing| {
            *sum += thing.weight;
            Some((*sum, thing))
        })
        .find(|(sum, _)| *sum > most)
        .map(|(_, thing)| thing);
    let at = first_over.or(things.last())?;
    let problem = |code, message: String| {
        Problem::new(code, at.origin.clone(), message)
            .of(at.object)
            .hint(limit.told(most))
    };
    if highest <= most {
        let words = limit.words();
        let message =
            format!("{owner} would have {highest} of the {most} {words} that are allowed");
        return Some(problem(codes::QUOTA_NEAR, message).warning());
    }
    let excess = Excess {
        limit,
        owner,
        most,
        highest,
        end: count,
    };
    Some(match excess.is_passing() {
        true => problem(codes::QUOTA_NEAR, excess.to_string()).warning(),
        false => problem(codes::QUOTA_EXCEEDED, excess.to_string()),
    })
}

/// What counts against a limit of a balancer, or of a group's share in one of the account.
fn things<'a>(
    limit: Limit,
    group: &'a GroupModel,
    targets: &dyn Fn(&TargetGroup) -> Option<u64>,
) -> Vec<Thing<'a>> {
    match limit {
        Limit::Rules => rules(group),
        Limit::Listeners => listeners(group),
        Limit::Certificates => certificates(group),
        Limit::BalancerTargetGroups => target_groups(group),
        Limit::BalancerTargets => group_targets(group, targets),
        Limit::Registrations => registrations(group, targets),
        Limit::GroupTargets => {
            let largest = group_targets(group, targets);
            let largest = largest.into_iter().max_by_key(|thing| thing.weight);
            largest.into_iter().collect()
        }
        Limit::NetworkListeners => network_listeners(group),
        Limit::Balancers => first_member(group).into_iter().collect(),
        Limit::NetworkBalancers => {
            let frontend = group.frontend_nlb.as_ref();
            frontend.and(first_member(group)).into_iter().collect()
        }
        Limit::TargetGroups => {
            let mut things: Vec<_> = own_target_groups(group).collect();
            things.extend(network_listeners(group));
            things
        }
        // Of single actions and rules: judged one by one.
        Limit::ActionTargetGroups | Limit::Values | Limit::Wildcards => Vec::new(),
    }
}

fn first_member(group: &GroupModel) -> Option<Thing<'_>> {
    let first = group.members.first()?;
    Some(Thing::once(&first.origin, member(group, 0)))
}

/// Each with a target group of its own.
fn network_listeners(group: &GroupModel) -> Vec<Thing<'_>> {
    let frontend = group.frontend_nlb.iter();
    frontend
        .flat_map(|frontend| frontend.listeners.keys())
        .filter_map(|_| first_member(group))
        .collect()
}

/// Default rules do not count; a rule that ALB takes only in parts counts as many.
fn rules(group: &GroupModel) -> Vec<Thing<'_>> {
    let rules = group
        .listeners
        .values()
        .flat_map(|listener| &listener.rules);
    rules
        .map(|rule| Thing {
            weight: split::parts_of(rule).len() as u64,
            ..Thing::once(&rule.origin, member(group, rule.member))
        })
        .collect()
}

fn listeners(group: &GroupModel) -> Vec<Thing<'_>> {
    let listeners = group.listeners.values();
    listeners
        .map(|listener| Thing::once(&listener.origin, member(group, 0)))
        .collect()
}

/// Each certificate once for the balancer, the listeners' default ones left out.
fn certificates(group: &GroupModel) -> Vec<Thing<'_>> {
    let mut seen: BTreeSet<&str> = BTreeSet::new();
    let mut things = Vec::new();
    for listener in group.listeners.values() {
        let default = listener.certificates.first();
        for certificate in listener.certificates.iter().skip(1) {
            let (Certificate::Arn(key) | Certificate::Requested(key)) = certificate;
            if Some(certificate) != default && seen.insert(key) {
                things.push(Thing::once(&listener.origin, member(group, 0)));
            }
        }
    }
    things
}

fn own_target_groups(group: &GroupModel) -> impl Iterator<Item = Thing<'_>> {
    let groups = group.target_groups.values();
    groups.map(|target_group| Thing::once(&target_group.origin, member(group, target_group.member)))
}

/// The group's own and those of others that its actions name.
fn target_groups(group: &GroupModel) -> Vec<Thing<'_>> {
    let mut foreign: BTreeSet<&str> = BTreeSet::new();
    let mut things: Vec<_> = own_target_groups(group).collect();
    for rule in group
        .listeners
        .values()
        .flat_map(|listener| &listener.rules)
    {
        for target in rule.actions.iter().flat_map(forwarded) {
            if let TargetGroupRef::Arn(arn) = target
                && foreign.insert(arn)
            {
                things.push(Thing::once(&rule.origin, member(group, rule.member)));
            }
        }
    }
    things
}

/// Targets of each target group of its own.
fn group_targets<'a>(
    group: &'a GroupModel,
    targets: &dyn Fn(&TargetGroup) -> Option<u64>,
) -> Vec<Thing<'a>> {
    let groups = group.target_groups.values();
    groups
        .filter_map(|target_group| {
            Some(Thing {
                weight: targets(target_group)?,
                ..Thing::once(&target_group.origin, member(group, target_group.member))
            })
        })
        .collect()
}

/// Target groups with the same targets, where most are: the same nodes, or the pods of one Service.
fn registrations<'a>(
    group: &'a GroupModel,
    targets: &dyn Fn(&TargetGroup) -> Option<u64>,
) -> Vec<Thing<'a>> {
    let mut sharing: BTreeMap<_, Vec<Thing<'a>>> = BTreeMap::new();
    for target_group in group.target_groups.values() {
        if targets(target_group).is_none_or(|targets| targets == 0) {
            continue;
        }
        let binding = &target_group.binding;
        let who = match target_group.target_type {
            TargetType::Instance => (binding.node_selector.as_ref(), None),
            TargetType::Ip => (None, Some(&binding.service)),
        };
        let object = member(group, target_group.member);
        let thing = Thing::once(&target_group.origin, object);
        sharing.entry(who).or_default().push(thing);
    }
    sharing
        .into_values()
        .max_by_key(Vec::len)
        .unwrap_or_default()
}

fn forwarded(action: &Action) -> impl Iterator<Item = &TargetGroupRef> {
    let groups = match action {
        Action::Forward { target_groups, .. } => target_groups.as_slice(),
        _ => &[],
    };
    groups.iter().map(|weighted| &weighted.target_group)
}

/// Target groups of one action.
fn actions(
    of: &Forecast<'_>,
    actions: &[Action],
    origin: &Origin,
    object: Object<'_>,
) -> Option<Problem> {
    let most = Limit::ActionTargetGroups.most(of.limits)?;
    let counts = actions.iter().map(|action| forwarded(action).count());
    let count = u64::try_from(counts.max()?).ok()?;
    (count > most).then(|| {
        Problem::new(
            codes::QUOTA_EXCEEDED,
            origin.clone(),
            format!("one action forwards to {count} target groups, and {most} are allowed"),
        )
        .of(object)
        .hint(Limit::ActionTargetGroups.told(most))
    })
}

/// Values and wildcards of each rule that ALB gets: what is too much for one rule has been dealt out to several.
fn conditions(of: &Forecast<'_>, rule: &Rule, object: Object<'_>) -> Vec<Problem> {
    let parts = split::parts_of(rule);
    let most_of = |count: fn(&Rule) -> usize| parts.iter().map(count).max().unwrap_or_default();
    let over = |limit: Limit, count: usize| {
        let most = limit.most(of.limits)?;
        (u64::try_from(count).ok()? > most).then_some(most)
    };
    let problem = |limit: Limit, most: u64, message: String| {
        Problem::new(codes::QUOTA_EXCEEDED, rule.origin.clone(), message)
            .of(object)
            .hint(limit.told(most))
    };
    let mut problems = Vec::new();
    let values = most_of(split::values);
    if let Some(most) = over(Limit::Values, values) {
        let message = format!(
            "a rule has {values} values in its conditions, and {most} are allowed in a rule"
        );
        problems.push(problem(Limit::Values, most, message));
    }
    let count = most_of(split::wildcards_of);
    if let Some(most) = over(Limit::Wildcards, count) {
        let signs = |value: &String| value.matches(['*', '?']).count();
        let richest = rule
            .conditions
            .iter()
            .flat_map(patterns)
            .max_by_key(|value| signs(value));
        let message = match richest {
            Some(value) if signs(value) == count => format!(
                "the condition \"{value}\" has {count} wildcards, and {most} are allowed in a rule"
            ),
            _ => format!("a rule has {count} wildcards, and {most} are allowed in a rule"),
        };
        problems.push(problem(Limit::Wildcards, most, message));
    }
    problems
}

/// The values of a condition that may hold wildcards.
fn patterns(condition: &Condition) -> impl Iterator<Item = &String> {
    let (texts, pairs) = match condition {
        Condition::HostHeader { values }
        | Condition::PathPattern { values }
        | Condition::HttpHeader { values, .. } => match values {
            Patterns::Values(values) => (values.as_slice(), &[][..]),
            Patterns::Regex(_) => (&[][..], &[][..]),
        },
        Condition::QueryString { values } => (&[][..], values.as_slice()),
        Condition::HttpRequestMethod { .. } | Condition::SourceIp { .. } => (&[][..], &[][..]),
    };
    let pairs = pairs
        .iter()
        .flat_map(|pair| pair.key.iter().chain([&pair.value]));
    texts.iter().chain(pairs)
}

#[cfg(test)]
mod tests;
