//! Which balancer each of our Ingresses belongs to, and in which order (ingress-model §1.3).

use std::collections::{BTreeMap, BTreeSet};

use super::{
    GroupId,
    class::{Class, class_of},
    context::{GroupInput, MemberInput, Whole},
};
use crate::{
    manifest::Ingress,
    model::settings::Checks,
    problem::{Origin, Problem, codes},
    shared::Shared,
};

/// The longest name of a group.
const MAX_NAME: usize = 63;

/// Our Ingresses by balancer, and what kept others out.
#[derive(Default)]
pub struct Grouping<'a> {
    /// By group id, members in group order.
    pub groups: BTreeMap<String, GroupInput<'a>>,
    /// Groups that cannot be built, whatever their members say.
    pub refused: BTreeSet<String>,
    /// Ingresses that may be ours: nobody looked up what the cluster's default class is.
    pub undecided: Vec<&'a Shared<Ingress>>,
    pub problems: Vec<Problem>,
}

impl Grouping<'_> {
    /// Nothing was found to say of any Ingress.
    pub(super) fn is_plain(&self) -> bool {
        self.refused.is_empty() && self.undecided.is_empty() && self.problems.is_empty()
    }
}

/// Sorts the Ingresses into groups. One whose class or group is wrong is left out, and the others of its group are served
/// without it.
pub fn group<'a>(whole: &Whole<'a>) -> Grouping<'a> {
    let mut grouping = Grouping::default();
    let mut stops_all = false;
    for ingress in ingresses(whole) {
        let params = match class_of(ingress, whole) {
            Class::Ours(params) => params,
            Class::Foreign => continue,
            Class::Undecided => {
                grouping.undecided.push(ingress);
                continue;
            }
            Class::Invalid(problem) => {
                grouping.problems.push(*problem);
                continue;
            }
            Class::SeveralDefaults(problem) => {
                grouping.problems.push(*problem);
                // LBC asks for the class of every Ingress to build any group.
                stops_all |= whole.settings.checks == Checks::Lbc;
                continue;
            }
        };
        let member = MemberInput { ingress, params };
        let id = match id_of(member) {
            Ok(id) => id,
            Err(problem) => {
                grouping.problems.push(*problem);
                continue;
            }
        };
        let key = id.to_string();
        if let Some(Err(problem)) = order_setting(ingress) {
            grouping.problems.push((**problem).clone());
            grouping.refused.insert(key.clone());
        }
        let group = grouping.groups.entry(key).or_insert_with(|| GroupInput {
            id,
            members: Vec::new(),
        });
        group.members.push(member);
    }
    for group in grouping.groups.values_mut() {
        sort(&mut group.members);
    }
    if stops_all {
        grouping.refused = grouping.groups.keys().cloned().collect();
    }
    grouping
}

/// Puts members in group order.
pub(super) fn sort(members: &mut [MemberInput<'_>]) {
    members.sort_by(|a, b| {
        order(a.ingress)
            .cmp(&order(b.ingress))
            .then_with(|| a.ingress.cmp_key(b.ingress))
    });
}

/// An Ingress that nothing keeps out of its group.
pub(super) enum Placed<'a> {
    Member(MemberInput<'a>, GroupId),
    Foreign,
}

/// Where one Ingress belongs, as [`group`] finds it; none where [`group`] has something to say of it.
pub(super) fn place<'a>(ingress: &'a Shared<Ingress>, whole: &Whole<'a>) -> Option<Placed<'a>> {
    if !is_watched(ingress, whole) {
        return Some(Placed::Foreign);
    }
    let params = match class_of(ingress, whole) {
        Class::Ours(params) => params,
        Class::Foreign => return Some(Placed::Foreign),
        Class::Undecided | Class::Invalid(_) | Class::SeveralDefaults(_) => return None,
    };
    if matches!(order_setting(ingress), Some(Err(_))) {
        return None;
    }
    let member = MemberInput { ingress, params };
    Some(Placed::Member(member, id_of(member).ok()?))
}

fn is_watched(ingress: &Ingress, whole: &Whole<'_>) -> bool {
    let watched = whole.settings.flags.watch_namespace.as_str();
    watched.is_empty() || ingress.namespace == watched
}

/// Ours and others', each once: two of one name are a problem found by parsing.
fn ingresses<'a>(whole: &Whole<'a>) -> Vec<&'a Shared<Ingress>> {
    let mut ingresses: Vec<&Shared<Ingress>> = whole
        .manifests
        .ingresses
        .iter()
        .filter(|ingress| is_watched(ingress, whole))
        .collect();
    ingresses.sort_by(|a, b| a.cmp_key(b).then_with(|| a.origin.cmp(&b.origin)));
    ingresses.dedup_by(|a, b| a.cmp_key(b).is_eq());
    ingresses
}

fn order_setting(ingress: &Ingress) -> Option<&Result<i32, Box<Problem>>> {
    let setting = ingress.options.group.order.as_ref()?;
    Some(&setting.value)
}

fn order(ingress: &Ingress) -> i32 {
    match order_setting(ingress) {
        Some(Ok(order)) => *order,
        _ => 0,
    }
}

/// Where an Ingress belongs: by its class's parameters, else by its annotation, else alone.
fn id_of(member: MemberInput<'_>) -> Result<GroupId, Box<Problem>> {
    let ingress = member.ingress;
    let of_params = member.params.and_then(|params| params.spec.group.as_ref());
    let named: Option<(&str, &Origin, &str)> = match (of_params, &ingress.options.group.name) {
        (Some(group), _) => Some((
            &group.value,
            &group.origin,
            "group.name of IngressClassParams",
        )),
        (None, Some(setting)) => match &setting.value {
            Ok(name) => Some((name, &setting.origin, "the annotation group.name")),
            Err(problem) => return Err(problem.clone()),
        },
        (None, None) => None,
    };
    let Some((name, origin, what)) = named else {
        return Ok(GroupId::Implicit {
            namespace: ingress.namespace.clone(),
            name: ingress.name.clone(),
        });
    };
    let expected = if name.len() > MAX_NAME {
        format!("it has at most {MAX_NAME} characters")
    } else if !is_name(name) {
        "it is of lower-case letters, digits, `-` and `.`, the first and last a letter or digit"
            .to_owned()
    } else {
        return Ok(GroupId::Explicit(name.to_owned()));
    };
    Err(Box::new(
        Problem::new(
            codes::BAD_GROUP,
            origin.clone(),
            format!("{what} cannot be \"{name}\""),
        )
        .of(member.object())
        .hint(expected),
    ))
}

fn is_name(name: &str) -> bool {
    let is_inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    name.bytes()
        .all(|byte| is_inner(byte) || matches!(byte, b'-' | b'.'))
        && name.bytes().next().is_some_and(is_inner)
        && name.bytes().last().is_some_and(is_inner)
}

#[cfg(test)]
mod tests;
