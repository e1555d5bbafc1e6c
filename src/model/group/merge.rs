//! How the members' values become the group's: pooled and compared, or merged key by key (ingress-model §2, §3.7).

use std::collections::{BTreeMap, BTreeSet};

pub use super::inbound::{Inbound, MemberInbound, inbound, merge as merge_inbound};
use super::{
    build::Built,
    context::{MemberInput, Refused, Report},
};
use crate::{
    manifest::annotation::{Setting, options::Map},
    problem::{Located, Origin, Problem, codes},
};

/// A value that one member gives, and where.
#[derive(Clone, Debug)]
pub struct Given<'a, T> {
    pub value: T,
    /// As problems show it.
    pub text: &'a str,
    pub origin: &'a Origin,
    pub member: MemberInput<'a>,
}

impl<'a, T: Clone> Given<'a, T> {
    /// From an annotation: `None` where it is absent.
    ///
    /// # Errors
    /// The value does not follow its grammar.
    pub fn setting(
        member: MemberInput<'a>,
        setting: Option<&'a Setting<T>>,
        report: &Report<'_>,
    ) -> Built<Option<Self>> {
        let Some(setting) = setting else {
            return Ok(None);
        };
        let value = report.ask(Some(setting))?;
        Ok(value.map(|value| Self {
            value: value.clone(),
            text: &setting.text,
            origin: &setting.origin,
            member,
        }))
    }
}

impl<'a> Given<'a, String> {
    /// From a text of the class's parameters.
    pub fn params(member: MemberInput<'a>, located: &'a Located<String>) -> Self {
        Self {
            value: located.value.clone(),
            text: &located.value,
            origin: &located.origin,
            member,
        }
    }
}

/// The one value that all who give one agree on (X of ingress-model §2); the first place where it stands.
///
/// # Errors
/// Two members give different ones: told with both places.
pub fn agree<'a, T: PartialEq>(
    what: &str,
    given: impl IntoIterator<Item = Given<'a, T>>,
    report: &Report<'_>,
) -> Built<Option<Given<'a, T>>> {
    agree_by(what, given, |a, b| a == b, report)
}

/// [`agree`] with another idea of equal.
///
/// # Errors
/// As [`agree`].
pub fn agree_by<'a, T>(
    what: &str,
    given: impl IntoIterator<Item = Given<'a, T>>,
    equal: impl Fn(&T, &T) -> bool,
    report: &Report<'_>,
) -> Built<Option<Given<'a, T>>> {
    let mut first: Option<Given<'a, T>> = None;
    let mut refused = false;
    for next in given {
        match &first {
            None => first = Some(next),
            Some(first) if equal(&first.value, &next.value) => {}
            Some(first) => {
                conflict(what, first, &next, report);
                refused = true;
            }
        }
    }
    if refused { Err(Refused) } else { Ok(first) }
}

/// Tells that two members disagree.
pub fn conflict<T>(what: &str, first: &Given<'_, T>, next: &Given<'_, T>, report: &Report<'_>) {
    report.add(
        Problem::new(
            codes::GROUP_CONFLICT,
            next.origin.clone(),
            format!(
                "{what} is \"{}\" here and \"{}\" in {}, which shares the balancer",
                next.text,
                first.text,
                first.member.object()
            ),
        )
        .of(next.member.object())
        .hint("say it in one of them, or say the same in all")
        .also(first.origin.clone()),
    );
}

/// One member's pairs for [`agree_keys`].
#[derive(Clone, Debug)]
pub struct GivenMap<'a> {
    pub map: &'a Map,
    pub origin: &'a Origin,
    pub member: MemberInput<'a>,
}

/// All pairs of all members, where those who give one key give one value (K of ingress-model §2). Keys in `settled` are
/// decided elsewhere: they conflict with nothing and are left out.
///
/// # Errors
/// Two members give one key different values: told with both places.
pub fn agree_keys<'a>(
    what: &str,
    given: impl IntoIterator<Item = GivenMap<'a>>,
    settled: &BTreeSet<&str>,
    report: &Report<'_>,
) -> Built<Map> {
    let mut merged: BTreeMap<&'a str, Given<'a, &'a str>> = BTreeMap::new();
    let mut refused = false;
    for GivenMap {
        map,
        origin,
        member,
    } in given
    {
        for (key, value) in map {
            if settled.contains(key.as_str()) {
                continue;
            }
            let next = Given {
                value: value.as_str(),
                text: value,
                origin,
                member,
            };
            match merged.get(key.as_str()) {
                Some(first) if first.value == next.value => {}
                Some(first) => {
                    conflict(&format!("{key} of {what}"), first, &next, report);
                    refused = true;
                }
                None => {
                    merged.insert(key, next);
                }
            }
        }
    }
    if refused {
        return Err(Refused);
    }
    Ok(merged
        .into_iter()
        .map(|(key, given)| (key.to_owned(), given.value.to_owned()))
        .collect())
}
