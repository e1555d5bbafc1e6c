//! Rules with more values than ALB takes, as several rules of the same meaning (aws-deploy §10.1, §10.2).
//!
//! A rule is all of its conditions, a condition any of its values. So the values of a condition may be dealt out to rules
//! that stand one behind the other: a request meets one of them exactly when it met the whole.

use std::{borrow::Cow, collections::BTreeSet, fmt};

use super::{
    Rule,
    context::{GroupInput, Report},
    shadow::Network,
};
use crate::{
    manifest::annotation::value::{Condition, Patterns},
    problem::{Problem, Severity, codes},
};

#[cfg(test)]
mod tests;

/// Values that one condition takes.
const VALUES_PER_CONDITION: usize = 3;
/// Values that all conditions of one rule together take.
const VALUES_PER_RULE: usize = 5;
/// `*` and `?` in all values of one rule together; AWS's pages say five or six.
const WILDCARDS_PER_RULE: usize = 5;
/// More rules than this are not made of one: no balancer would take them.
const MAX_PARTS: usize = 100;

/// Why a rule cannot be had, in whatever parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TooMuch {
    /// Every condition needs one value in each part.
    Conditions(usize),
    /// A value, or the least of each condition together, has too many wildcards.
    Wildcards,
    Parts,
}

impl fmt::Display for TooMuch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Conditions(count) => write!(
                f,
                "it has {count} conditions, and ALB takes {VALUES_PER_RULE} values in one rule"
            ),
            Self::Wildcards => write!(
                f,
                "its values have more wildcards than the {WILDCARDS_PER_RULE} that ALB takes in one rule"
            ),
            Self::Parts => write!(f, "it would take more than {MAX_PARTS} rules"),
        }
    }
}

/// Notes which rules become several, and which cannot be had at all.
pub fn tell(group: &GroupInput<'_>, rules: &[Rule], report: &Report<'_>) {
    for rule in rules.iter().filter(|rule| !fits(rule)) {
        let (code, message) = match split(rule) {
            Ok(parts) if parts.len() == 1 => continue,
            Ok(parts) if parts.is_empty() => (
                codes::SHADOWED_RULE,
                "this rule never matches: its conditions exclude each other".to_owned(),
            ),
            Ok(parts) => (
                codes::SPLIT_RULE,
                format!(
                    "this rule becomes {} rules: ALB takes {VALUES_PER_RULE} values in one, {VALUES_PER_CONDITION} in a condition",
                    parts.len()
                ),
            ),
            Err(reason) => (
                codes::CONDITION_LIMIT,
                format!("this rule cannot be made: {reason}"),
            ),
        };
        let mut problem = Problem::new(code, rule.origin.clone(), message);
        let member = group.members.get(rule.member);
        problem.object = member.map(|member| member.object());
        if code == codes::SPLIT_RULE {
            problem.severity = Severity::Warning;
        }
        report.add(problem);
    }
}

/// Whether ALB takes it as it is, as nearly all are.
fn fits(rule: &Rule) -> bool {
    let is_once = |condition: &Condition| {
        matches!(
            condition,
            Condition::HttpRequestMethod { .. } | Condition::SourceIp { .. }
        )
    };
    let conditions = &rule.conditions;
    conditions.iter().map(count).sum::<usize>() <= VALUES_PER_RULE
        && conditions
            .iter()
            .all(|it| count(it) <= VALUES_PER_CONDITION)
        && conditions.iter().filter(|it| is_once(it)).count() <= 1
        && wildcards(conditions) <= WILDCARDS_PER_RULE
}

/// The rules that together match what one matches, in any order; none where it never matches. One that fits is returned
/// as it is, save that conditions of a kind that ALB takes once are joined.
///
/// # Errors
/// No number of rules would do.
pub fn split(rule: &Rule) -> Result<Vec<Rule>, TooMuch> {
    let Some(conditions) = join(&rule.conditions) else {
        return Ok(Vec::new());
    };
    if conditions.len() > VALUES_PER_RULE {
        return Err(TooMuch::Conditions(conditions.len()));
    }
    let parts = parts(&conditions)?;
    Ok(parts
        .into_iter()
        .map(|conditions| Rule {
            conditions,
            ..rule.clone()
        })
        .collect())
}

/// The rules that ALB gets of one; one that cannot be had in any way is left as it stands.
pub fn parts_of(rule: &Rule) -> Cow<'_, [Rule]> {
    if fits(rule) {
        return Cow::Borrowed(std::slice::from_ref(rule));
    }
    match split(rule) {
        Ok(parts) => Cow::Owned(parts),
        Err(_) => Cow::Borrowed(std::slice::from_ref(rule)),
    }
}

/// Values of all conditions of a rule.
pub fn values(rule: &Rule) -> usize {
    rule.conditions.iter().map(count).sum()
}

/// Wildcards of all conditions of a rule.
pub fn wildcards_of(rule: &Rule) -> usize {
    wildcards(&rule.conditions)
}

/// Methods and sources stand once in a rule: several conditions become what they have in common. `None`: nothing.
fn join(conditions: &[Condition]) -> Option<Vec<Condition>> {
    let mut joined: Vec<Condition> = Vec::with_capacity(conditions.len());
    for condition in conditions {
        let same = joined
            .iter_mut()
            .find_map(|earlier| common(earlier, condition));
        match same {
            None => joined.push(condition.clone()),
            Some(Common::Nothing) => return None,
            Some(Common::Joined) => {}
        }
    }
    Some(joined)
}

enum Common {
    Joined,
    Nothing,
}

/// Narrows the earlier condition to what both have in common, where both are of a kind that stands once. Sources that are
/// no networks are left for AWS to refuse.
fn common(earlier: &mut Condition, later: &Condition) -> Option<Common> {
    match (earlier, later) {
        (
            Condition::HttpRequestMethod { values },
            Condition::HttpRequestMethod { values: later },
        ) => {
            values.retain(|method| later.contains(method));
            Some(if values.is_empty() {
                Common::Nothing
            } else {
                Common::Joined
            })
        }
        (Condition::SourceIp { values }, Condition::SourceIp { values: later }) => {
            let networks = |texts: &[String]| -> Option<Vec<Network>> {
                texts.iter().map(|text| Network::parse(text)).collect()
            };
            let (first, second) = (networks(values)?, networks(later)?);
            let common: BTreeSet<String> = first
                .iter()
                .flat_map(|a| second.iter().filter_map(|b| a.common(*b)))
                .map(|network| network.to_string())
                .collect();
            *values = common.into_iter().collect();
            Some(if values.is_empty() {
                Common::Nothing
            } else {
                Common::Joined
            })
        }
        _ => None,
    }
}

/// The fewest parts: how many values each condition has in one part is tried in all ways, which are few.
fn parts(conditions: &[Condition]) -> Result<Vec<Vec<Condition>>, TooMuch> {
    let counts: Vec<usize> = conditions.iter().map(count).collect();
    let mut best: Option<(usize, Vec<usize>)> = None;
    let mut is_too_many = false;
    for sizes in shares(conditions.len()) {
        let parts: usize = counts
            .iter()
            .zip(&sizes)
            .map(|(count, size)| count.div_ceil(*size))
            .fold(1, usize::saturating_mul);
        if best.as_ref().is_some_and(|(least, _)| *least <= parts) {
            continue;
        }
        if parts > MAX_PARTS {
            is_too_many = true;
        } else if most_wildcards(conditions, &sizes) <= WILDCARDS_PER_RULE {
            best = Some((parts, sizes));
        }
    }
    match best {
        Some((_, sizes)) => Ok(deal(conditions, &sizes)),
        None if is_too_many => Err(TooMuch::Parts),
        None => Err(TooMuch::Wildcards),
    }
}

/// All ways to share out the values of one rule among that many conditions, larger shares of the first ones first.
fn shares(conditions: usize) -> Vec<Vec<usize>> {
    let mut ways: Vec<Vec<usize>> = vec![Vec::new()];
    for position in 0..conditions {
        let others = conditions - position - 1;
        ways = ways
            .into_iter()
            .flat_map(|way| {
                let left = VALUES_PER_RULE.saturating_sub(way.iter().sum::<usize>() + others);
                (1..=left.min(VALUES_PER_CONDITION))
                    .rev()
                    .map(move |share| {
                        let mut way = way.clone();
                        way.push(share);
                        way
                    })
            })
            .collect();
    }
    ways
}

/// Values of one condition.
pub fn count(condition: &Condition) -> usize {
    match condition {
        Condition::HostHeader { values }
        | Condition::PathPattern { values }
        | Condition::HttpHeader { name: _, values } => match values {
            Patterns::Values(values) | Patterns::Regex(values) => values.len(),
        },
        Condition::HttpRequestMethod { values } | Condition::SourceIp { values } => values.len(),
        Condition::QueryString { values } => values.len(),
    }
}

/// Each condition cut into pieces of its size, and every choice of one piece of each.
fn deal(conditions: &[Condition], sizes: &[usize]) -> Vec<Vec<Condition>> {
    let mut parts: Vec<Vec<Condition>> = vec![Vec::with_capacity(conditions.len())];
    for (condition, size) in conditions.iter().zip(sizes) {
        let pieces = pieces(condition, *size);
        parts = parts
            .into_iter()
            .flat_map(|part| {
                pieces.iter().map(move |piece| {
                    let mut part = part.clone();
                    part.push(piece.clone());
                    part
                })
            })
            .collect();
    }
    parts
}

fn pieces(condition: &Condition, size: usize) -> Vec<Condition> {
    let patterns = |patterns: &Patterns| -> Vec<Patterns> {
        match patterns {
            Patterns::Values(values) => values
                .chunks(size)
                .map(|chunk| Patterns::Values(chunk.to_vec()))
                .collect(),
            Patterns::Regex(values) => values
                .chunks(size)
                .map(|chunk| Patterns::Regex(chunk.to_vec()))
                .collect(),
        }
    };
    match condition {
        Condition::HostHeader { values } => patterns(values)
            .into_iter()
            .map(|values| Condition::HostHeader { values })
            .collect(),
        Condition::PathPattern { values } => patterns(values)
            .into_iter()
            .map(|values| Condition::PathPattern { values })
            .collect(),
        Condition::HttpHeader { name, values } => patterns(values)
            .into_iter()
            .map(|values| Condition::HttpHeader {
                name: name.clone(),
                values,
            })
            .collect(),
        Condition::HttpRequestMethod { values } => values
            .chunks(size)
            .map(|chunk| Condition::HttpRequestMethod {
                values: chunk.to_vec(),
            })
            .collect(),
        Condition::QueryString { values } => values
            .chunks(size)
            .map(|chunk| Condition::QueryString {
                values: chunk.to_vec(),
            })
            .collect(),
        Condition::SourceIp { values } => values
            .chunks(size)
            .map(|chunk| Condition::SourceIp {
                values: chunk.to_vec(),
            })
            .collect(),
    }
}

/// Of the part that has most: the richest piece of each condition.
fn most_wildcards(conditions: &[Condition], sizes: &[usize]) -> usize {
    conditions
        .iter()
        .zip(sizes)
        .map(|(condition, size)| {
            let pieces = pieces(condition, *size);
            pieces
                .iter()
                .map(|piece| wildcards(std::slice::from_ref(piece)))
                .max()
                .unwrap_or_default()
        })
        .sum()
}

/// Of wildcard patterns; in regular expressions the signs mean something else.
fn wildcards(conditions: &[Condition]) -> usize {
    let count = |text: &str| text.matches(['*', '?']).count();
    let in_patterns = |patterns: &Patterns| match patterns {
        Patterns::Values(values) => values.iter().map(|value| count(value)).sum(),
        Patterns::Regex(_) => 0,
    };
    conditions
        .iter()
        .map(|condition| match condition {
            Condition::HostHeader { values }
            | Condition::PathPattern { values }
            | Condition::HttpHeader { name: _, values } => in_patterns(values),
            Condition::QueryString { values } => values
                .iter()
                .map(|pair| count(&pair.value) + pair.key.as_deref().map_or(0, count))
                .sum(),
            Condition::HttpRequestMethod { .. } | Condition::SourceIp { .. } => 0,
        })
        .sum()
}
