//! Rules that LBC leaves out: redirections to where the request came from, and what stands behind a redirection that
//! takes its requests (ingress-model §5.4, §15.6).
//!
//! Meant for the old idiom of one redirecting action on an Ingress with a plain and a TLS listener, it does more and less
//! than that: see [`QUIRKS`].

use std::collections::{BTreeMap, BTreeSet};

use super::{Action, Rule, condition::ANY_PATH};
use crate::manifest::annotation::value::{Condition, Patterns, Protocol};

#[cfg(test)]
mod tests;

/// One way in which the optimizer differs from what its purpose suggests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quirk {
    pub name: &'static str,
    pub doc: &'static str,
}

/// What LBC's optimizer does that one would not expect; `checks: lbc` and the default do the same.
pub const QUIRKS: &[Quirk] = &[
    Quirk {
        name: "loop-despite-conditions",
        doc: "A redirection to its own URL is left out even if a header, method, query or source condition would end the loop.",
    },
    Quirk {
        name: "loop-host-regex-uncounted",
        doc: "Host regular expressions are not looked at: a redirection to a host that only they name is kept.",
    },
    Quirk {
        name: "loop-path-regex-kept",
        doc: "A redirection on a path regular expression is never left out, though it may loop.",
    },
    Quirk {
        name: "loop-literal",
        doc: "All comparisons are of text: the protocol `https` in lower case is no loop on HTTPS, the path `#{path}` without slash and an empty query count as a change, and a host under a wildcard is another host.",
    },
    Quirk {
        name: "loop-prefix-whole",
        doc: "A Prefix path that redirects to itself is left out whole, with the paths below it that would not loop.",
    },
    Quirk {
        name: "default-action-unchecked",
        doc: "Default actions are never looked at: a default backend that redirects to its own listener stays.",
    },
    Quirk {
        name: "behind-redirect-only",
        doc: "Only redirections take the rules behind them away; behind a forward or a fixed response they stay.",
    },
    Quirk {
        name: "behind-conditions-ignored",
        doc: "A rule behind a redirection is left out by its host and path alone, whatever its further conditions and its action, and whichever Ingress of the group it belongs to.",
    },
    Quirk {
        name: "behind-host-regex-uncounted",
        doc: "Host regular expressions are not counted: a redirection limited by one alone takes all hosts.",
    },
    Quirk {
        name: "behind-literal",
        doc: "Wildcards and regular expressions compare as text: `/a*` does not take `/ab`, `*.example.com` does not take `www.example.com`, and the path regular expression `/a` takes the Exact path `/a`.",
    },
    Quirk {
        name: "dropped-target-groups-stay",
        doc: "Target groups of rules that are left out are made all the same.",
    },
];

/// The rules that stay, and those that do not with the reason.
#[derive(Debug, Default, PartialEq)]
pub struct Optimized {
    pub rules: Vec<Rule>,
    pub dropped: Vec<Dropped>,
}

#[derive(Debug, PartialEq)]
pub struct Dropped {
    pub rule: Rule,
    pub why: Why,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// It redirects to where the request came from.
    Loop,
    /// Index into [`Optimized::rules`] of the redirection before it.
    Behind(usize),
}

/// Goes through the rules of one listener in their order.
pub fn optimize(port: u16, protocol: Protocol, rules: Vec<Rule>) -> Optimized {
    // Most groups redirect nothing: then nothing is looked at.
    if !rules.iter().any(|rule| redirect(rule).is_some()) {
        return Optimized {
            rules,
            dropped: Vec::new(),
        };
    }
    let mut optimized = Optimized::default();
    let mut redirections = Redirections::default();
    for rule in rules {
        if is_loop(port, protocol, &rule) {
            let why = Why::Loop;
            optimized.dropped.push(Dropped { rule, why });
        } else if let Some(index) = redirections.before(&rule) {
            let why = Why::Behind(index);
            optimized.dropped.push(Dropped { rule, why });
        } else {
            redirections.add(optimized.rules.len(), &rule);
            optimized.rules.push(rule);
        }
    }
    optimized
}

/// The first action that redirects.
fn redirect(rule: &Rule) -> Option<&Action> {
    let mut actions = rule.actions.iter();
    actions.find(|action| matches!(action, Action::Redirect { .. }))
}

/// Whether it is the plain redirection of everything to HTTPS, for which the optimizer was made.
pub fn is_plain_https_redirect(rule: &Rule) -> bool {
    let Some(Action::Redirect {
        status_code: _,
        host,
        path,
        port: _,
        protocol,
        query,
    }) = redirect(rule)
    else {
        return false;
    };
    let keeps = |part: &Option<String>, placeholder: &str| {
        part.as_ref().is_none_or(|part| part == placeholder)
    };
    keeps(host, "#{host}")
        && keeps(path, "/#{path}")
        && keeps(query, "#{query}")
        && protocol.as_deref() == Some("HTTPS")
}

fn is_loop(listener_port: u16, listener_protocol: Protocol, rule: &Rule) -> bool {
    let Some(Action::Redirect {
        status_code: _,
        host,
        path,
        port,
        protocol,
        query,
    }) = redirect(rule)
    else {
        return false;
    };
    let is_path_regex = rule.conditions.iter().any(|condition| {
        matches!(condition, Condition::PathPattern { values: Patterns::Regex(values) } if !values.is_empty())
    });
    let leads_back = |part: &Option<String>, placeholder: &str, is_here: &dyn Fn(&str) -> bool| {
        part.as_deref()
            .is_none_or(|part| part == placeholder || is_here(part))
    };
    !is_path_regex
        && leads_back(host, "#{host}", &|host| hosts(rule).any(|own| own == host))
        && leads_back(path, "/#{path}", &|path| paths(rule).any(|own| own == path))
        && leads_back(port, "#{port}", &|port| port == listener_port.to_string())
        && leads_back(protocol, "#{protocol}", &|protocol| {
            protocol == listener_protocol.as_str()
        })
        && leads_back(query, "#{query}", &|_| false)
}

/// Host values; regular expressions are not counted.
fn hosts(rule: &Rule) -> impl Iterator<Item = &str> {
    let values = rule
        .conditions
        .iter()
        .filter_map(|condition| match condition {
            Condition::HostHeader {
                values: Patterns::Values(values),
            } => Some(values),
            _ => None,
        });
    values.flatten().map(String::as_str)
}

/// Path values and regular expressions, as text.
fn paths(rule: &Rule) -> impl Iterator<Item = &str> {
    let values = rule
        .conditions
        .iter()
        .filter_map(|condition| match condition {
            Condition::PathPattern {
                values: Patterns::Values(values) | Patterns::Regex(values),
            } => Some(values),
            _ => None,
        });
    values.flatten().map(String::as_str)
}

/// The redirections that have been kept and whose conditions are of host and path only, by each of their hosts.
#[derive(Debug, Default)]
struct Redirections {
    kept: Vec<Kept>,
    /// Indices into `kept`, ascending.
    by_host: BTreeMap<String, Vec<usize>>,
    of_any_host: Vec<usize>,
}

#[derive(Debug)]
struct Kept {
    /// Index among the rules that stay.
    rule: usize,
    hosts: BTreeSet<String>,
    paths: BTreeSet<String>,
}

impl Redirections {
    fn add(&mut self, index: usize, rule: &Rule) {
        let is_of_host_and_path = rule.conditions.iter().all(|condition| {
            matches!(
                condition,
                Condition::HostHeader { .. } | Condition::PathPattern { .. }
            )
        });
        if redirect(rule).is_none() || !is_of_host_and_path {
            return;
        }
        let kept = Kept {
            rule: index,
            hosts: hosts(rule).map(str::to_owned).collect(),
            paths: paths(rule).map(str::to_owned).collect(),
        };
        let position = self.kept.len();
        for host in &kept.hosts {
            self.by_host.entry(host.clone()).or_default().push(position);
        }
        if kept.hosts.is_empty() {
            self.of_any_host.push(position);
        }
        self.kept.push(kept);
    }

    /// The first kept redirection that takes the hosts and paths of a rule. One that takes its first host is enough to
    /// look at, because it has to take all of them.
    fn before(&self, rule: &Rule) -> Option<usize> {
        let of_host = hosts(rule).next().and_then(|host| self.by_host.get(host));
        let candidates = of_host.into_iter().flatten().chain(&self.of_any_host);
        candidates
            .filter_map(|position| self.kept.get(*position))
            .filter(|kept| kept.takes(rule))
            .map(|kept| kept.rule)
            .min()
    }
}

impl Kept {
    fn takes(&self, rule: &Rule) -> bool {
        let takes_hosts = self.hosts.is_empty()
            || (hosts(rule).next().is_some() && hosts(rule).all(|host| self.hosts.contains(host)));
        let takes_paths = self.paths.is_empty()
            || self.paths.contains(ANY_PATH)
            || (paths(rule).next().is_some() && paths(rule).all(|path| self.paths.contains(path)));
        takes_hosts && takes_paths
    }
}
