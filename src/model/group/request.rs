//! What ALB does with a request, for property tests: the meaning of conditions, written down apart from the code that
//! reasons about them.

use std::net::Ipv4Addr;

use proptest::prelude::*;

use super::{Rule, shadow::Network};
use crate::{
    manifest::annotation::value::{Condition, Patterns, QueryPair},
    problem::Origin,
};

#[derive(Clone, Debug)]
pub struct Request {
    pub host: String,
    pub path: String,
    pub method: String,
    pub header: (String, String),
    pub query: (String, String),
    pub source: Ipv4Addr,
}

impl Request {
    /// Rules without regular expressions only.
    pub fn meets(&self, conditions: &[Condition]) -> bool {
        conditions.iter().all(|condition| match condition {
            Condition::HostHeader { values } => any(values, |pattern| {
                matches(&pattern.to_lowercase(), &self.host.to_lowercase())
            }),
            Condition::PathPattern { values } => {
                any(values, |pattern| matches(pattern, &self.path))
            }
            Condition::HttpHeader { name, values } => {
                name.eq_ignore_ascii_case(&self.header.0)
                    && any(values, |pattern| matches(pattern, &self.header.1))
            }
            Condition::HttpRequestMethod { values } => values.contains(&self.method),
            Condition::QueryString { values } => values.iter().any(|pair| {
                pair.key.as_ref().is_none_or(|key| *key == self.query.0)
                    && matches(&pair.value, &self.query.1)
            }),
            Condition::SourceIp { values } => values.iter().any(|text| {
                Network::parse(text).is_some_and(|network| network.contains(self.source.into()))
            }),
        })
    }
}

fn any(patterns: &Patterns, test: impl Fn(&str) -> bool) -> bool {
    match patterns {
        Patterns::Values(values) => values.iter().any(|value| test(value)),
        Patterns::Regex(_) => false,
    }
}

/// `*` is any text, `?` one character.
pub fn matches(pattern: &str, text: &str) -> bool {
    let mut rest = pattern.chars();
    match rest.next() {
        None => text.is_empty(),
        Some('*') => {
            let ends = text.char_indices().map(|(end, _)| end).chain([text.len()]);
            ends.into_iter()
                .any(|end| matches(rest.as_str(), &text[end..]))
        }
        Some(letter) => {
            let mut text = text.chars();
            text.next().is_some_and(|c| {
                (letter == '?' || letter == c) && matches(rest.as_str(), text.as_str())
            })
        }
    }
}

pub fn rule(conditions: Vec<Condition>) -> Rule {
    Rule {
        origin: Origin::new("a.yaml", 1, 1),
        member: 0,
        conditions,
        actions: Vec::new(),
        transforms: Vec::new(),
        tags: Default::default(),
    }
}

/// From a small alphabet, so that patterns and requests meet often.
pub fn any_request() -> impl Strategy<Value = Request> {
    let word = "[ab]{1,3}";
    (
        "[abA]{1,2}(\\.[ab]{1,2})?",
        "/[ab]{0,3}(/[ab]{0,2})?",
        "GET|PUT",
        ("x|y", word),
        ("k|l", word),
        (proptest::bool::ANY, proptest::bool::ANY),
    )
        .prop_map(|(host, path, method, header, query, (a, b))| Request {
            host,
            path,
            method,
            header,
            query,
            source: Ipv4Addr::new(10, u8::from(a), u8::from(b), 1),
        })
}

pub fn any_conditions() -> impl Strategy<Value = Vec<Condition>> {
    let values =
        |pattern: &'static str| proptest::collection::vec(pattern, 1..5).prop_map(Patterns::Values);
    let host =
        values("[abA*?]{1,2}(\\.[ab*]{1,2})?").prop_map(|values| Condition::HostHeader { values });
    let path = values("/[ab*?]{0,3}(/[ab*]{0,2})?|\\*|/\\*")
        .prop_map(|values| Condition::PathPattern { values });
    let header = ("x|y|X", values("[ab*?]{1,3}"))
        .prop_map(|(name, values)| Condition::HttpHeader { name, values });
    let method = proptest::collection::vec("GET|PUT|POST", 1..4)
        .prop_map(|values| Condition::HttpRequestMethod { values });
    let pair = (proptest::option::of("k|l"), "[ab*?]{1,3}")
        .prop_map(|(key, value)| QueryPair { key, value });
    let query =
        proptest::collection::vec(pair, 1..4).prop_map(|values| Condition::QueryString { values });
    let source =
        proptest::collection::vec("10\\.(0|1)\\.(0|1)\\.0/(8|15|16|24)|0\\.0\\.0\\.0/0", 1..5)
            .prop_map(|values| Condition::SourceIp { values });
    (
        proptest::option::of(host),
        proptest::option::of(path),
        proptest::collection::vec(prop_oneof![header, method, query, source], 0..3),
    )
        .prop_map(|(host, path, others)| {
            others
                .into_iter()
                .chain(host)
                .chain(path)
                .collect::<Vec<_>>()
        })
        .prop_filter("a rule has a condition", |conditions| {
            !conditions.is_empty()
        })
}
