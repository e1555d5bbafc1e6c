//! Tags and who wins: configured defaults over IngressClassParams over annotations (ingress-model §3.8). Tracking tags are
//! not here: they are no part of the model.

use std::collections::BTreeMap;

use super::{
    build::Built,
    context::{GroupInput, Input, MemberInput, Refused, Report},
    merge::{Given, conflict},
};
use crate::{
    manifest::{
        IngressOptions,
        annotation::{Setting, options::Map},
    },
    model::net::Tags,
    problem::{Origin, Problem, codes},
};

/// Fifty, less the three tracking tags (aws-deploy §10.1).
const MAX_TAGS: usize = 47;

/// Tags of what members share, who must agree key by key: balancer, security group; of a listener with `members` those who
/// listen on it (indices into the group's).
///
/// # Errors
/// Text that is no tags, members disagree, or a key is managed elsewhere.
pub fn shared(
    input: &Input<'_>,
    group: &GroupInput<'_>,
    members: &[usize],
    report: &Report<'_>,
) -> Built<Tags> {
    let mut merged: BTreeMap<&str, Given<'_, &str>> = BTreeMap::new();
    let mut refused = false;
    for index in members {
        let Some(member) = group.members.get(*index).copied() else {
            continue;
        };
        let Ok(tags) = of_member(input, member, report) else {
            refused = true;
            continue;
        };
        for (key, (value, origin)) in tags {
            let next = Given {
                value,
                text: value,
                origin,
                member,
            };
            match merged.get(key) {
                Some(first) if first.value == next.value => {}
                Some(first) => {
                    conflict(&format!("the tag \"{key}\""), first, &next, report);
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
    let tags = merged
        .iter()
        .map(|(key, given)| ((*key).to_owned(), given.value.to_owned()));
    let tags = with_defaults(input, tags.collect());
    let places = merged.values().map(|given| (given.origin, given.member));
    check_count(input, &tags, places, report);
    Ok(tags)
}

/// Tags of what one Ingress has for itself: rules, and a certificate that is requested (`of_certificate`: configured
/// defaults win there whatever the gate says).
///
/// # Errors
/// As [`shared`].
pub fn own(
    input: &Input<'_>,
    member: MemberInput<'_>,
    of_certificate: bool,
    report: &Report<'_>,
) -> Built<Tags> {
    let placed = of_member(input, member, report)?;
    let tags = if of_certificate {
        let mut tags = owned(&placed);
        tags.extend(input.settings.default_tags.clone());
        tags
    } else {
        with_defaults(input, owned(&placed))
    };
    let places = placed.values().map(|(_, origin)| (*origin, member));
    check_count(input, &tags, places, report);
    Ok(tags)
}

/// Tags of a target group: the Service's over the Ingress's, key by key, and those of IngressClassParams over both.
///
/// # Errors
/// As [`shared`].
pub fn target_group(
    input: &Input<'_>,
    member: MemberInput<'_>,
    service: Option<&IngressOptions>,
    report: &Report<'_>,
) -> Built<Tags> {
    let of_service = service.and_then(|options| options.tags.as_ref());
    let of_service = annotated(of_service, report);
    let of_ingress = annotated(member.options().tags.as_ref(), report);
    let mut placed = of_ingress?;
    placed.extend(of_service?);
    placed.extend(of_params(member));
    refuse_managed_elsewhere(input, member, &placed, report)?;
    let tags = with_defaults(input, owned(&placed));
    let places = placed.values().map(|(_, origin)| (*origin, member));
    check_count(input, &tags, places, report);
    Ok(tags)
}

/// Each source alone may fit, and together they may be more than AWS takes. One that is too much alone has been told so.
fn check_count<'a>(
    input: &Input<'_>,
    tags: &Tags,
    places: impl Iterator<Item = (&'a Origin, MemberInput<'a>)>,
    report: &Report<'_>,
) {
    let room = MAX_TAGS.saturating_sub(usize::from(input.settings.alb_owner_tag));
    if tags.len() <= room {
        return;
    }
    // By name first: who is blamed does not depend on the order of files.
    let mut sources: BTreeMap<(String, &Origin), (usize, MemberInput<'_>)> = BTreeMap::new();
    for (origin, member) in places {
        let source = (member.ingress.key(), origin);
        sources.entry(source).or_insert((0, member)).0 += 1;
    }
    if sources.values().any(|(count, _)| *count > MAX_TAGS) {
        return;
    }
    let (Some(((_, first), _)), Some(((_, last), (_, member)))) =
        (sources.first_key_value(), sources.last_key_value())
    else {
        return;
    };
    let message = format!(
        "{} tags come together, more than the {room} that fit beside ours",
        tags.len()
    );
    let mut problem = Problem::new(codes::BAD_TAG, (*last).clone(), message)
        .of(member.object())
        .hint("members of a group, Service, IngressClassParams and defaultTags of the configuration add up");
    if first != last {
        problem = problem.also((*first).clone());
    }
    report.add(problem);
}

/// Tag keys to values, each with the place where it stands.
type Placed<'a> = BTreeMap<&'a str, (&'a str, &'a Origin)>;

fn of_member<'a>(
    input: &Input<'_>,
    member: MemberInput<'a>,
    report: &Report<'_>,
) -> Built<Placed<'a>> {
    let mut tags = annotated(member.options().tags.as_ref(), report)?;
    tags.extend(of_params(member));
    refuse_managed_elsewhere(input, member, &tags, report)?;
    Ok(tags)
}

fn annotated<'a>(setting: Option<&'a Setting<Map>>, report: &Report<'_>) -> Built<Placed<'a>> {
    let map = report.ask(setting)?;
    let origin = setting.map(|setting| &setting.origin);
    Ok(map
        .into_iter()
        .flatten()
        .filter_map(|(key, value)| Some((key.as_str(), (value.as_str(), origin?))))
        .collect())
}

/// Of a key that stands twice the last value counts.
fn of_params(member: MemberInput<'_>) -> Placed<'_> {
    let params = member.params.into_iter();
    params
        .flat_map(|params| {
            let tags = params.spec.tags.iter();
            tags.map(|(key, value)| (key.as_str(), (value.as_str(), &params.origin)))
        })
        .collect()
}

/// Keys that others manage on our resources; no user may set them.
fn refuse_managed_elsewhere(
    input: &Input<'_>,
    member: MemberInput<'_>,
    tags: &Placed<'_>,
    report: &Report<'_>,
) -> Built<()> {
    let managed = &input.settings.flags.external_managed_tags;
    let mut refused = false;
    for (key, (_, origin)) in tags.iter().filter(|(key, _)| managed.contains(**key)) {
        report.add(
            Problem::new(
                codes::BAD_ANNOTATION,
                (*origin).clone(),
                format!("tags cannot hold \"{key}\", which is managed elsewhere"),
            )
            .of(member.object())
            .hint("the configuration lists it under externalManagedTags; leave it out here"),
        );
        refused = true;
    }
    if refused { Err(Refused) } else { Ok(()) }
}

fn owned(tags: &Placed<'_>) -> Tags {
    let tags = tags.iter();
    tags.map(|(key, (value, _))| ((*key).to_owned(), (*value).to_owned()))
        .collect()
}

/// The configured defaults win over the user's, unless a gate says otherwise.
pub fn with_defaults(input: &Input<'_>, mut tags: Tags) -> Tags {
    let user_wins = input.settings.gates.enable_default_tags_low_priority;
    for (key, value) in &input.settings.default_tags {
        if !(user_wins && tags.contains_key(key)) {
            tags.insert(key.clone(), value.clone());
        }
    }
    tags
}
