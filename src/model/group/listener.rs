//! Listeners with their rules, and the target groups that these point at (ingress-model §4–§6).

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Action, Listener, TargetGroup, action,
    build::Built,
    context::{GroupInput, Input, MemberInput, Reach, Refused, Report},
    merge::{self, GivenMap},
    order::{self, Order},
    port::{Port, Ports},
    redirect, rule, tag,
    target_group::TargetGroups,
};
use crate::{
    manifest::annotation::{options::Map, value::Protocol},
    problem::{Problem, codes},
};

#[cfg(test)]
mod tests;

/// By port and by resource id.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Listeners {
    pub listeners: BTreeMap<u16, Listener>,
    pub target_groups: BTreeMap<String, TargetGroup>,
}

/// Steps 6 and 7 of ingress-model §0.1: the redirection to HTTPS, then each port.
///
/// # Errors
/// One of them cannot be built.
pub fn build_all(
    input: &Input<'_>,
    group: &GroupInput<'_>,
    ports: &Ports,
    reach: &Reach,
    report: &Report<'_>,
) -> Built<Listeners> {
    let redirect = redirect::port(group, ports, report);
    let order = order::of_group(group, report);
    let mut task = TargetGroups::new(input, group, reach, report);
    let mut listeners = BTreeMap::new();
    let mut result = redirect.and(order.map(|_| ()));
    for (number, port) in &ports.ports {
        if redirect.is_err() && port.protocol == Protocol::Http {
            // Whether anybody reads its rules is not known.
            continue;
        }
        let ways = (redirect.unwrap_or_default(), order.unwrap_or_default());
        match build(&mut task, *number, port, ways) {
            Ok(listener) => {
                listeners.insert(*number, listener);
            }
            Err(Refused) => result = Err(Refused),
        }
    }
    let target_groups = task.finish();
    result.map(|()| Listeners {
        listeners,
        target_groups,
    })
}

fn build(
    task: &mut TargetGroups<'_, '_>,
    number: u16,
    port: &Port,
    (redirect, order): (Option<u16>, Order),
) -> Built<Listener> {
    let redirect = redirect.filter(|_| port.protocol == Protocol::Http);
    let default_actions = match redirect {
        // The rest of a plain listener is not even read then.
        Some(to) => Ok(vec![redirect::action(to)]),
        None => default_actions(task, number, port),
    };
    let tags = tag::shared(task.input, task.group, &port.members, task.report);
    let attributes = attributes(task, number, port);
    let rules = match redirect {
        Some(_) => Ok(Vec::new()),
        None => rule::build_all(task, number, port, order),
    };
    Ok(Listener {
        origin: port.origin.clone(),
        protocol: port.protocol,
        default_actions: default_actions?,
        certificates: port.certificates.clone(),
        ssl_policy: port.ssl_policy.clone(),
        mutual_authentication: port.mutual_authentication.clone(),
        attributes: attributes?,
        tags: tags?,
        rules: rules?,
    })
}

fn members<'m, 'a>(
    task: &'m TargetGroups<'_, 'a>,
    port: &'m Port,
) -> impl Iterator<Item = (usize, MemberInput<'a>)> + use<'m, 'a> {
    let group = task.group;
    let indices = port.members.iter();
    indices.filter_map(move |index| Some((*index, *group.members.get(*index)?)))
}

/// What a request gets that no rule matches (ingress-model §4.6).
fn default_actions(
    task: &mut TargetGroups<'_, '_>,
    number: u16,
    port: &Port,
) -> Built<Vec<Action>> {
    let mut backends = members(task, port).filter_map(|(index, member)| {
        let backend = member.ingress.default_backend.as_ref()?;
        Some((index, member, backend))
    });
    let Some((index, member, backend)) = backends.next() else {
        return Ok(vec![not_found()]);
    };
    let others: Vec<_> = backends.collect();
    for (_, other, second) in &others {
        task.report.add(
            Problem::new(
                codes::DEFAULT_BACKEND,
                second.origin.clone(),
                format!(
                    "port {number} has a default backend from {} already",
                    member.object()
                ),
            )
            .of(other.object())
            .hint("keep one spec.defaultBackend per port of a balancer")
            .also(backend.origin.clone()),
        );
    }
    if !others.is_empty() {
        return Err(Refused);
    }
    let enhanced = action::read(task, member, backend)?;
    action::build(task, index, port.protocol, &enhanced)
}

fn not_found() -> Action {
    Action::FixedResponse {
        status_code: "404".to_owned(),
        content_type: Some("text/plain".to_owned()),
        message_body: None,
    }
}

/// The annotations of those who listen there, overlaid by the class of the first (ingress-model §4.7).
fn attributes(task: &TargetGroups<'_, '_>, number: u16, port: &Port) -> Built<Map> {
    let protocol = port.protocol.as_str();
    let mut of_members = members(task, port);
    let first = of_members.next().and_then(|(_, member)| member.params);
    let of_class = first.and_then(|params| {
        let mut listeners = params.spec.listeners.iter();
        listeners.find(|it| it.port == i64::from(number) && it.protocol == protocol)
    });
    let of_class = of_class.map_or(&[][..], |it| it.attributes.as_slice());
    let name = format!("{protocol}-{number}");
    let mut given = Vec::new();
    let mut result = Ok(());
    for (_, member) in members(task, port) {
        let Some(setting) = member.options().listener.attributes.get(&name) else {
            continue;
        };
        match task.report.ask(Some(setting)) {
            Ok(Some(map)) => given.push(GivenMap {
                map,
                origin: &setting.origin,
                member,
            }),
            Ok(None) => {}
            Err(Refused) => result = Err(Refused),
        }
    }
    let settled: BTreeSet<&str> = of_class.iter().map(|(key, _)| key.as_str()).collect();
    let what = format!("listener-attributes.{name}");
    let merged = merge::agree_keys(&what, given, &settled, task.report);
    result?;
    let mut merged = merged?;
    merged.extend(of_class.iter().cloned());
    Ok(merged)
}
