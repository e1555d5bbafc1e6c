//! Will it fit? What the groups come to, against the account's limits (lessons A10; aws-deploy §10.1).
//!
//! Only what is known counts, so a count is at least what there will be: other balancers of the account and pods behind
//! ip targets are not seen. What is over a limit in the end is a problem, at the place that goes over it; what only the
//! way there passes, or what comes near, is a warning.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    facts::Facts,
    group::{Action, Certificate, GroupModel, Rule, TargetGroupRef, split},
};
use crate::{
    manifest::annotation::value::{Condition, Patterns, TargetType},
    problem::{Origin, Problem, codes},
};

// Names of limits, as DescribeAccountLimits spells them.
pub const RULES: &str = "rules-per-application-load-balancer";
const BALANCERS: &str = "application-load-balancers";
const LISTENERS: &str = "listeners-per-application-load-balancer";
const CERTIFICATES: &str = "certificates-per-application-load-balancer";
const TARGET_GROUPS: &str = "target-groups-per-application-load-balancer";
const TARGETS: &str = "targets-per-application-load-balancer";
const ALL_TARGET_GROUPS: &str = "target-groups";
const ACTION_TARGET_GROUPS: &str = "target-groups-per-action-on-application-load-balancer";
const VALUES: &str = "condition-values-per-alb-rule";
const WILDCARDS: &str = "condition-wildcards-per-alb-rule";

/// What comes so near to a limit is told, in percent.
const NEAR_PERCENT: u64 = 90;

/// The most there is of something at once while a plan is carried out, by group.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Peak {
    pub rules: u64,
    pub target_groups: u64,
    pub listeners: u64,
}

/// What is counted, and what surrounds it.
#[derive(Clone, Copy, Debug)]
pub struct Forecast<'a> {
    /// A limit that is not among them is not known, and nothing is said of it.
    pub limits: &'a BTreeMap<String, u64>,
    /// By group id.
    pub groups: &'a BTreeMap<&'a str, &'a GroupModel>,
    /// On the way there; without, only the end is judged.
    pub peaks: &'a BTreeMap<String, Peak>,
    /// Nodes that instance targets are made of, where they were read.
    pub nodes: Option<usize>,
}

/// Instances that are ready now: about what target groups of type instance will hold.
pub fn ready_instances(facts: &Facts) -> Option<usize> {
    let nodes = facts.nodes.as_ref()?.iter();
    let ready = nodes.filter(|node| {
        let id = node
            .provider_id
            .as_deref()
            .and_then(|id| id.rsplit('/').next());
        node.ready == "True" && id.is_some_and(|id| id.starts_with("i-"))
    });
    Some(ready.count())
}

/// What will not fit, and what hardly will.
pub fn forecast(of: Forecast<'_>) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (id, group) in of.groups {
        let name = format!("the balancer of group {id}");
        let peak = of.peaks.get(*id).copied().unwrap_or_default();
        let mut judge = |limit, things: Vec<Thing<'_>>, peak| {
            problems.extend(judge(&of, limit, &name, &things, peak));
        };
        judge(RULES, rules(group), peak.rules);
        judge(LISTENERS, listeners(group), peak.listeners);
        judge(CERTIFICATES, certificates(group), 0);
        judge(TARGET_GROUPS, target_groups(group), peak.target_groups);
        judge(TARGETS, targets(group, of.nodes), 0);
        problems.extend(group.listeners.values().flat_map(|listener| {
            let of_rules = listener.rules.iter().flat_map(|rule| {
                let object = member(group, rule.member);
                let actions = actions(&of, &rule.actions, &rule.origin, &object);
                let conditions = conditions(&of, rule, &object);
                actions.into_iter().chain(conditions)
            });
            let object = member(group, 0);
            let default = actions(&of, &listener.default_actions, &listener.origin, &object);
            of_rules.chain(default).collect::<Vec<_>>()
        }));
    }
    let balancers: Vec<Thing<'_>> = of
        .groups
        .values()
        .filter_map(|group| {
            Some(Thing::once(
                &group.members.first()?.origin,
                member(group, 0),
            ))
        })
        .collect();
    problems.extend(judge(&of, BALANCERS, "this repository", &balancers, 0));
    let target_groups: Vec<Thing<'_>> = of
        .groups
        .values()
        .flat_map(|group| own_target_groups(group))
        .collect();
    problems.extend(judge(
        &of,
        ALL_TARGET_GROUPS,
        "this repository",
        &target_groups,
        0,
    ));
    problems.sort();
    problems.dedup();
    problems
}

/// Something that counts, with the place that asks for it.
#[derive(Clone, Debug)]
struct Thing<'a> {
    origin: &'a Origin,
    object: String,
    weight: u64,
}

impl<'a> Thing<'a> {
    fn once(origin: &'a Origin, object: String) -> Self {
        Self {
            origin,
            object,
            weight: 1,
        }
    }
}

/// One limit of one owner. The problem is at the thing that goes over: what comes before it fits.
fn judge(
    of: &Forecast<'_>,
    limit: &str,
    owner: &str,
    things: &[Thing<'_>],
    peak: u64,
) -> Option<Problem> {
    let most = *of.limits.get(limit)?;
    let count: u64 = things.iter().map(|thing| thing.weight).sum();
    let highest = count.max(peak);
    // In whole numbers, and without overflow for whatever an account may be granted.
    let near = u128::from(highest) * 100 >= u128::from(most) * u128::from(NEAR_PERCENT);
    if !near {
        return None;
    }
    let what = words(limit);
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
            .of(&at.object)
            .hint(format!("the account's limit {limit} is {most}"))
    };
    Some(if count > most {
        problem(
            codes::QUOTA_EXCEEDED,
            format!("{owner} would have {count} {what}, and {most} are allowed"),
        )
    } else if highest > most {
        problem(
            codes::QUOTA_NEAR,
            format!(
                "{owner} would have up to {highest} {what} while this is carried out, and {most} are allowed; {count} in \
                 the end"
            ),
        )
        .warning()
    } else {
        problem(
            codes::QUOTA_NEAR,
            format!("{owner} would have {highest} of the {most} {what} that are allowed"),
        )
        .warning()
    })
}

fn words(limit: &str) -> &'static str {
    match limit {
        RULES => "rules",
        BALANCERS => "application load balancers",
        LISTENERS => "listeners",
        CERTIFICATES => "certificates besides the default ones",
        TARGETS => "targets",
        _ => "target groups",
    }
}

fn member(group: &GroupModel, index: usize) -> String {
    group
        .members
        .get(index)
        .map(|member| member.reference.to_string())
        .unwrap_or_default()
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

/// Each node counts once for every target group of type instance.
fn targets(group: &GroupModel, nodes: Option<usize>) -> Vec<Thing<'_>> {
    let Some(nodes) = nodes.and_then(|nodes| u64::try_from(nodes).ok()) else {
        return Vec::new();
    };
    let groups = group.target_groups.values();
    groups
        .filter(|target_group| target_group.target_type == TargetType::Instance)
        .map(|target_group| Thing {
            weight: nodes,
            ..Thing::once(&target_group.origin, member(group, target_group.member))
        })
        .collect()
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
    object: &str,
) -> Option<Problem> {
    let most = *of.limits.get(ACTION_TARGET_GROUPS)?;
    let counts = actions.iter().map(|action| forwarded(action).count());
    let count = u64::try_from(counts.max()?).ok()?;
    (count > most).then(|| {
        Problem::new(
            codes::QUOTA_EXCEEDED,
            origin.clone(),
            format!("one action forwards to {count} target groups, and {most} are allowed"),
        )
        .of(object)
        .hint(format!(
            "the account's limit {ACTION_TARGET_GROUPS} is {most}"
        ))
    })
}

/// Values and wildcards of each rule that ALB gets: what is too much for one rule has been dealt out to several.
fn conditions(of: &Forecast<'_>, rule: &Rule, object: &str) -> Vec<Problem> {
    let parts = split::parts_of(rule);
    let most_of = |count: fn(&Rule) -> usize| parts.iter().map(count).max().unwrap_or_default();
    let over = |limit: &str, count: usize| {
        let most = *of.limits.get(limit)?;
        (u64::try_from(count).ok()? > most).then_some(most)
    };
    let problem = |limit: &str, most: u64, message: String| {
        Problem::new(codes::QUOTA_EXCEEDED, rule.origin.clone(), message)
            .of(object)
            .hint(format!("the account's limit {limit} is {most}"))
    };
    let mut problems = Vec::new();
    let values = most_of(split::values);
    if let Some(most) = over(VALUES, values) {
        let message = format!(
            "a rule has {values} values in its conditions, and {most} are allowed in a rule"
        );
        problems.push(problem(VALUES, most, message));
    }
    let count = most_of(split::wildcards_of);
    if let Some(most) = over(WILDCARDS, count) {
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
        problems.push(problem(WILDCARDS, most, message));
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
