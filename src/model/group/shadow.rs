//! Rules that never match, because an earlier one takes all of their requests (lessons J7).
//!
//! Sound, not complete: what is told is true of every request; a rule that only several earlier ones together cover is
//! not found.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
};

use super::{
    Rule,
    condition::ANY_PATH,
    context::{GroupInput, Report},
    optimize::{self, Dropped, Optimized, Why},
    order::{self, Order},
};
use crate::{
    manifest::{
        annotation::value::{Condition, Patterns, QueryPair},
        ingress::{ORDER, repeated_paths},
    },
    problem::{Origin, Problem, codes},
};
use cidr::Cidr;

mod cidr;
#[cfg(test)]
mod tests;
pub use cidr::Cidr as Network;

/// Notes every rule that never matches, and every one that LBC's optimizer leaves out though it is no plain redirection to
/// HTTPS, nor behind one.
pub fn tell(group: &GroupInput<'_>, order: Order, optimized: &Optimized, report: &Report<'_>) {
    let object = |rule: &Rule| {
        let member = group.members.get(rule.member);
        member.map_or_else(String::new, |member| member.object())
    };
    let mut told = BTreeMap::new();
    for (rule, earlier) in shadowed(&optimized.rules) {
        let told = told
            .entry(rule.member)
            .or_insert_with(|| told_of(rule.member, group));
        if told.contains(&rule.origin) {
            continue;
        }
        let mend = match order == Order::Lbc && order::puts_first(rule, earlier, group) {
            true => &format!(
                "{ORDER}: specificity on a member of the group puts the narrower rule first; or narrow the earlier one"
            ),
            false => {
                "remove it, put it first (group.order, or its own entry of spec.rules), or narrow the earlier one"
            }
        };
        report.add(
            Problem::new(
                codes::SHADOWED_RULE,
                rule.origin.clone(),
                format!(
                    "this rule never matches: an earlier one of {} takes all of its requests",
                    object(earlier)
                ),
            )
            .of(object(rule))
            .hint(mend)
            .also(earlier.origin.clone()),
        );
    }
    for Dropped { rule, why } in &optimized.dropped {
        match why {
            Why::Loop if optimize::is_plain_https_redirect(rule) => {}
            Why::Loop => {
                report.add(
                    Problem::new(
                        codes::REDIRECT_LOOP,
                        rule.origin.clone(),
                        "this rule redirects to where the request came from, so it is left out",
                    )
                    .of(object(rule))
                    .hint("change the protocol, host, port or path that it redirects to"),
                );
            }
            Why::Behind(index) => match optimized.rules.get(*index) {
                Some(earlier) if !optimize::is_plain_https_redirect(earlier) => {
                    report.add(
                        Problem::new(
                            codes::SHADOWED_RULE,
                            rule.origin.clone(),
                            format!(
                                "this rule is left out: a redirection of {} before it has its hosts and paths",
                                object(earlier)
                            ),
                        )
                        .of(object(rule))
                        .hint("remove it, or put it before the redirection")
                        .also(earlier.origin.clone()),
                    );
                }
                _ => {}
            },
        }
    }
}

/// Where paths of a member stand twice, which is told by itself ([`codes::DUPLICATE_PATH`]).
fn told_of<'g>(member: usize, group: &GroupInput<'g>) -> BTreeSet<&'g Origin> {
    let member = group.members.get(member);
    let twice = member.map_or_else(Vec::new, |member| repeated_paths(member.ingress));
    twice.into_iter().map(|(path, _)| &path.origin).collect()
}

/// Each rule that never matches with the first earlier one that takes all of its requests.
pub fn shadowed(rules: &[Rule]) -> Vec<(&Rule, &Rule)> {
    let mut found = Vec::new();
    let mut index = Index::default();
    for (position, rule) in rules.iter().enumerate() {
        let candidates = index.candidates(rule).into_iter();
        let earlier = candidates
            .filter_map(|position| rules.get(position))
            .find(|earlier| covers(&earlier.conditions, &rule.conditions));
        found.extend(earlier.map(|earlier| (rule, earlier)));
        // Even if it never matches itself: what it takes may be easier to see than what its own cover takes.
        index.add(position, rule);
    }
    found
}

/// Rules by a host and by the text of a path before its first wildcard: what may cover a rule has its host or none that
/// is spelled out, and a text that its path begins with.
#[derive(Debug, Default)]
struct Index<'r> {
    by_host: BTreeMap<Cow<'r, str>, BTreeMap<&'r str, Vec<usize>>>,
}

/// Hosts of rules that name none, or one with wildcards.
const SOME_HOST: &str = "";

impl<'r> Index<'r> {
    fn add(&mut self, position: usize, rule: &'r Rule) {
        for host in values(find(rule, host_patterns)) {
            let by_start = self.by_host.entry(host_key(host)).or_default();
            for path in values(find(rule, path_patterns)) {
                by_start.entry(path_key(path)).or_default().push(position);
            }
        }
    }

    /// In ascending order, each once.
    fn candidates(&self, rule: &Rule) -> Vec<usize> {
        let first = |patterns| values(patterns).next().unwrap_or_default();
        let host = host_key(first(find(rule, host_patterns)));
        let start = path_key(first(find(rule, path_patterns)));
        let mut candidates = Vec::new();
        let hosts = [
            Some(SOME_HOST),
            Some(&*host).filter(|host| *host != SOME_HOST),
        ];
        for by_start in hosts
            .iter()
            .flatten()
            .filter_map(|host| self.by_host.get(*host))
        {
            let ends = start
                .char_indices()
                .map(|(end, _)| end)
                .chain([start.len()]);
            // What takes every path takes this one too, however it is spelled.
            let starts = ends.filter_map(|end| start.get(..end)).chain(["/"]);
            let found = starts.filter_map(|start| by_start.get(start));
            candidates.extend(found.flatten().copied());
        }
        candidates.sort_unstable();
        candidates.dedup();
        candidates
    }
}

/// One empty value stands for regular expressions and for none at all.
fn values(patterns: Option<&Patterns>) -> impl Iterator<Item = &str> {
    let (values, absent) = match patterns {
        Some(Patterns::Values(values)) => (values.as_slice(), None),
        Some(Patterns::Regex(_)) | None => (&[][..], Some("")),
    };
    values.iter().map(String::as_str).chain(absent)
}

fn host_key(host: &str) -> Cow<'_, str> {
    if host.contains(['*', '?']) {
        Cow::Borrowed(SOME_HOST)
    } else if host.bytes().any(|byte| byte.is_ascii_uppercase()) {
        Cow::Owned(host.to_ascii_lowercase())
    } else {
        Cow::Borrowed(host)
    }
}

fn path_key(path: &str) -> &str {
    path.split(['*', '?']).next().unwrap_or_default()
}

fn find(rule: &Rule, field: fn(&Condition) -> Option<&Patterns>) -> Option<&Patterns> {
    rule.conditions.iter().find_map(field)
}

fn host_patterns(condition: &Condition) -> Option<&Patterns> {
    match condition {
        Condition::HostHeader { values } => Some(values),
        _ => None,
    }
}

fn path_patterns(condition: &Condition) -> Option<&Patterns> {
    match condition {
        Condition::PathPattern { values } => Some(values),
        _ => None,
    }
}

/// Whether every request that fulfils `narrow` fulfils `wide`.
pub fn covers(wide: &[Condition], narrow: &[Condition]) -> bool {
    wide.iter().all(|wide| {
        takes_everything(wide) || narrow.iter().any(|narrow| condition_covers(wide, narrow))
    })
}

/// Every path begins with a slash, and every request has a host, if an empty one.
fn takes_everything(condition: &Condition) -> bool {
    let (values, everything): (_, &[&str]) = match condition {
        Condition::PathPattern {
            values: Patterns::Values(values),
        } => (values, &["*", ANY_PATH]),
        Condition::HostHeader {
            values: Patterns::Values(values),
        } => (values, &["*"]),
        _ => return false,
    };
    values
        .iter()
        .any(|value| everything.contains(&value.as_str()))
}

fn condition_covers(wide: &Condition, narrow: &Condition) -> bool {
    match (wide, narrow) {
        (Condition::HostHeader { values: wide }, Condition::HostHeader { values: narrow }) => {
            patterns_cover(wide, narrow, Case::Ignored)
        }
        (Condition::PathPattern { values: wide }, Condition::PathPattern { values: narrow }) => {
            patterns_cover(wide, narrow, Case::Counts)
        }
        (
            Condition::HttpHeader {
                name: wide_name,
                values: wide,
            },
            Condition::HttpHeader {
                name: narrow_name,
                values: narrow,
            },
        ) => {
            wide_name.eq_ignore_ascii_case(narrow_name)
                && patterns_cover(wide, narrow, Case::Counts)
        }
        (
            Condition::HttpRequestMethod { values: wide },
            Condition::HttpRequestMethod { values: narrow },
        ) => narrow.iter().all(|method| wide.contains(method)),
        (Condition::QueryString { values: wide }, Condition::QueryString { values: narrow }) => {
            narrow
                .iter()
                .all(|narrow| wide.iter().any(|wide| pair_covers(wide, narrow)))
        }
        (Condition::SourceIp { values: wide }, Condition::SourceIp { values: narrow }) => narrow
            .iter()
            .all(|narrow| wide.iter().any(|wide| source_covers(wide, narrow))),
        _ => false,
    }
}

/// Whether letters differ by case. Where it is not known to be ignored it counts, which finds less and nothing false.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Case {
    Counts,
    Ignored,
}

/// Regular expressions are compared as text only.
fn patterns_cover(wide: &Patterns, narrow: &Patterns, case: Case) -> bool {
    match (wide, narrow) {
        (Patterns::Values(wide), Patterns::Values(narrow)) => narrow
            .iter()
            .all(|narrow| wide.iter().any(|wide| pattern_covers(wide, narrow, case))),
        (Patterns::Regex(wide), Patterns::Regex(narrow)) => {
            narrow.iter().all(|narrow| wide.contains(narrow))
        }
        _ => false,
    }
}

fn pair_covers(wide: &QueryPair, narrow: &QueryPair) -> bool {
    wide.key == narrow.key && pattern_covers(&wide.value, &narrow.value, Case::Counts)
}

fn source_covers(wide: &str, narrow: &str) -> bool {
    match (Cidr::parse(wide), Cidr::parse(narrow)) {
        (Some(wide), Some(narrow)) => wide.covers(&narrow),
        _ => wide == narrow,
    }
}

/// Whether every text that one wildcard pattern matches is matched by another: its letters by letters, `?` or `*`, its `?`
/// by `?` or `*`, its `*` by `*` alone.
fn pattern_covers(wide: &str, narrow: &str, case: Case) -> bool {
    let fold = |pattern: &str| -> Vec<char> {
        match case {
            Case::Counts => pattern.chars().collect(),
            Case::Ignored => pattern.chars().map(|c| c.to_ascii_lowercase()).collect(),
        }
    };
    let (wide, narrow) = (fold(wide), fold(narrow));
    // Which beginnings of `narrow` the beginning of `wide` so far takes.
    let mut takes = vec![false; narrow.len() + 1];
    if let Some(empty) = takes.first_mut() {
        *empty = true;
    }
    for step in wide {
        let mut next = vec![false; takes.len()];
        let mut any_before = false;
        for (position, slot) in next.iter_mut().enumerate() {
            let before = position.checked_sub(1);
            let here = takes.get(position).copied().unwrap_or_default();
            if step == '*' {
                any_before |= here;
                *slot = any_before;
            } else if let Some(before) = before {
                let was = takes.get(before).copied().unwrap_or_default();
                let letter = narrow.get(before).copied().unwrap_or('*');
                *slot = was && letter != '*' && (step == '?' || step == letter);
            }
        }
        takes = next;
    }
    takes.last().copied().unwrap_or_default()
}
