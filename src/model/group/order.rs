//! In which order rules are evaluated: as LBC has it, or where a group asks for it, the narrower rule first (decision 4 of
//! the spec; lessons B5, B6).

use std::cmp::Reverse;

use super::{
    Rule,
    build::Built,
    context::{GroupInput, Report},
    merge::{self, Given},
};
use crate::manifest::{
    annotation::{
        Setting,
        value::{Condition, Patterns},
    },
    ingress::{ORDER, ORDERS},
};

#[cfg(test)]
mod tests;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// Members by `group.order` and name, each as written (ingress-model §5.1).
    #[default]
    Lbc,
    /// Members by `group.order` alone; of one order, the narrower rule first.
    Specificity,
}

/// What the members that say something agree on. LBC knows nothing of it, so that its ways leave it unread.
///
/// # Errors
/// Two members want different ones.
pub fn of_group(group: &GroupInput<'_>, report: &Report<'_>) -> Built<Order> {
    if report.is_lbc() {
        return Ok(Order::Lbc);
    }
    let given = group.members.iter().filter_map(|member| {
        let located = member.ingress.annotations.get(ORDER)?;
        let order = match located.value.as_str() {
            "specificity" => Order::Specificity,
            // What is no order at all has been told when it was read.
            other if ORDERS.contains(&other) => Order::Lbc,
            _ => return None,
        };
        Some(Given {
            value: order,
            text: &located.value,
            origin: &located.origin,
            member: *member,
        })
    });
    let agreed = merge::agree("the order of rules", given, report)?;
    Ok(agreed.map(|given| given.value).unwrap_or_default())
}

/// Puts rules that are in LBC's order into this one; what is equally narrow stays as it is.
pub fn sort(order: Order, group: &GroupInput<'_>, rules: &mut [Rule]) {
    if order == Order::Lbc {
        return;
    }
    rules.sort_by_cached_key(|rule| place(rule, group));
}

/// Whether [`Order::Specificity`] evaluates a rule before another that precedes it in LBC's order.
pub fn puts_first(rule: &Rule, earlier: &Rule, group: &GroupInput<'_>) -> bool {
    place(rule, group) < place(earlier, group)
}

fn place(rule: &Rule, group: &GroupInput<'_>) -> (i32, Reverse<(Host, Path, usize)>) {
    let tier = group.members.get(rule.member).and_then(|member| {
        let setting = member.options().group.order.as_ref();
        setting.and_then(Setting::good).copied()
    });
    (
        tier.unwrap_or_default(),
        Reverse(narrowness(&rule.conditions)),
    )
}

/// How little a rule matches: greater is narrower. Of several values of one condition the widest counts.
fn narrowness(conditions: &[Condition]) -> (Host, Path, usize) {
    let mut host = Host::default();
    let mut path = Path::default();
    let mut further = 0;
    for condition in conditions {
        match condition {
            Condition::HostHeader { values } => {
                let widest = match values {
                    Patterns::Values(values) => values.iter().map(|value| Host::of(value)).min(),
                    Patterns::Regex(_) => Some(Host::Regex),
                };
                host = host.max(widest.unwrap_or_default());
            }
            Condition::PathPattern { values } => {
                let widest = match values {
                    Patterns::Values(values) => values.iter().map(|value| Path::of(value)).min(),
                    Patterns::Regex(_) => Some(Path::Regex),
                };
                path = path.max(widest.unwrap_or_default());
            }
            Condition::HttpHeader { .. }
            | Condition::HttpRequestMethod { .. }
            | Condition::QueryString { .. }
            | Condition::SourceIp { .. } => further += 1,
        }
    }
    (host, path, further)
}

/// From the widest to the narrowest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Host {
    #[default]
    Any,
    Regex,
    /// With the characters that are spelled out.
    Wildcard(usize),
    Exact,
}

impl Host {
    fn of(pattern: &str) -> Self {
        let spelled = pattern.chars().filter(|c| !is_wildcard(*c)).count();
        match pattern.contains(is_wildcard) {
            true => Self::Wildcard(spelled),
            false => Self::Exact,
        }
    }
}

/// From the widest to the narrowest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Path {
    #[default]
    Any,
    Regex,
    /// With the length of what stands before the first wildcard, and that of the whole.
    Pattern(usize, usize),
    Exact,
}

impl Path {
    fn of(pattern: &str) -> Self {
        match pattern {
            "/*" | "*" => Self::Any,
            _ => match pattern.find(is_wildcard) {
                Some(start) => Self::Pattern(start, pattern.len()),
                None => Self::Exact,
            },
        }
    }
}

fn is_wildcard(c: char) -> bool {
    matches!(c, '*' | '?')
}
