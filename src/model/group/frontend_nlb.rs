//! A network balancer in front of the application balancer (ingress-model §8, §15.5).

use std::collections::{BTreeMap, BTreeSet};

use super::{
    FrontendNlb, HealthCheck, HealthCheckPort, LoadBalancer, Matcher, NlbListener, NlbSubnet,
    SecurityGroupRef,
    build::Built,
    context::{GroupInput, Input, MemberInput, Refused, Report},
    load_balancer::{no_params, pooled},
    merge::{Given, agree, agree_by, conflict},
    port::Ports,
    security_group, subnet,
};
use crate::{
    manifest::annotation::{
        Setting,
        options::{FrontendNlbOptions, Map},
        value::{IpAddressType, Protocol, Scheme},
    },
    model::net::Tags,
    problem::{Problem, codes, nearest::did_you_mean},
};

const ROUTING_POLICY: &str = "dns_record.client_routing_policy";
const ROUTING_POLICIES: [&str; 3] = [
    "any_availability_zone",
    "partial_availability_zone_affinity",
    "availability_zone_affinity",
];
const TRAFFIC_PORT: &str = "traffic-port";

/// The NLB, where the members agree that there is one; otherwise nothing else about it is read.
pub(super) fn build(
    input: &Input<'_>,
    group: &GroupInput<'_>,
    ports: &Ports,
    balancer: &LoadBalancer,
    report: &Report<'_>,
) -> Built<Option<FrontendNlb>> {
    let enable = given(group, |options| options.enable.as_ref(), report)?;
    let enabled = agree("enable-frontend-nlb", enable, report)?;
    if !enabled.is_some_and(|given| given.value) {
        return Ok(None);
    }
    let scheme = given(group, |options| options.scheme.as_ref(), report)
        .and_then(|given| agree("frontend-nlb-scheme", given, report));
    let scheme = scheme.map(|given| given.map_or(input.settings.default_scheme, |it| it.value));
    let subnets = scheme.and_then(|scheme| subnets(input, group, scheme, balancer, report));
    let security_groups = security_groups(input, group, balancer, report);
    let attributes = attributes(group, report);
    let tags = tags(group, balancer, report);
    let listeners = listeners(input, group, ports, report);
    let scheme = scheme?;
    Ok(Some(FrontendNlb {
        name: group
            .id
            .nlb_name(&input.settings.cluster_name, scheme, &balancer.name),
        scheme,
        ip_address_type: balancer.ip_address_type,
        subnets: subnets?,
        security_groups: security_groups?,
        attributes: attributes?,
        tags: tags?,
        listeners: listeners?,
    }))
}

/// What the members say in one annotation.
fn given<'a, T: Clone + 'a>(
    group: &GroupInput<'a>,
    of_options: impl Fn(&'a FrontendNlbOptions) -> Option<&'a Setting<T>>,
    report: &Report<'_>,
) -> Built<Vec<Given<'a, T>>> {
    pooled(
        group,
        no_params,
        |member| of_options(&member.options().frontend_nlb),
        report,
    )
}

/// Subnets, each with its elastic address where the members give some: one for each, by position.
fn subnets(
    input: &Input<'_>,
    group: &GroupInput<'_>,
    scheme: Scheme,
    balancer: &LoadBalancer,
    report: &Report<'_>,
) -> Built<Vec<NlbSubnet>> {
    let is_dualstack = balancer.ip_address_type != IpAddressType::Ipv4;
    let chosen = subnet::of_nlb(input, group, scheme, is_dualstack, report);
    let what = "frontend-nlb-eip-allocations";
    let allocations = given(group, |options| options.eip_allocations.as_ref(), report)?;
    let allocations = agree_by(what, allocations, subnet::is_same_list, report)?;
    let chosen = chosen?;
    let Some(allocations) = allocations else {
        return Ok(without_addresses(chosen));
    };
    let wrong = |message: String| {
        Problem::new(codes::NETWORK, allocations.origin.clone(), message)
            .of(allocations.member.object())
    };
    if scheme == Scheme::Internal {
        return report.refuse(
            wrong(format!("{what} is set on an internal balancer"))
                .hint("elastic addresses need frontend-nlb-scheme: internet-facing"),
        );
    }
    if allocations.value.is_empty() {
        return Ok(without_addresses(chosen));
    }
    if allocations.value.len() != chosen.len() {
        return report.refuse(
            wrong(format!(
                "{what} names {} addresses for {} subnets",
                allocations.value.len(),
                chosen.len()
            ))
            .hint("give one for each subnet"),
        );
    }
    let zipped = chosen.into_iter().zip(allocations.value);
    Ok(zipped
        .map(|(id, allocation)| NlbSubnet {
            id,
            allocation_id: Some(allocation),
        })
        .collect())
}

fn without_addresses(chosen: Vec<crate::id::SubnetId>) -> Vec<NlbSubnet> {
    let chosen = chosen.into_iter();
    chosen
        .map(|id| NlbSubnet {
            id,
            allocation_id: None,
        })
        .collect()
}

/// Those that are named, else all of the application balancer's.
fn security_groups(
    input: &Input<'_>,
    group: &GroupInput<'_>,
    balancer: &LoadBalancer,
    report: &Report<'_>,
) -> Built<Vec<SecurityGroupRef>> {
    let what = "frontend-nlb-security-groups";
    let named = given(group, |options| options.security_groups.as_ref(), report)?;
    match agree(what, named, report)?.filter(|named| !named.value.is_empty()) {
        Some(named) => security_group::resolve(input, what, &named, report),
        None => Ok(balancer.security_groups.clone()),
    }
}

/// Compared as a whole. From the first member on that gives some, and be they none, a member without the annotation
/// disagrees: to LBC a missing map equals not even an empty one (ingress-model §8, caveat b).
fn attributes(group: &GroupInput<'_>, report: &Report<'_>) -> Built<Map> {
    let what = "frontend-nlb-attributes";
    let mut first: Option<Given<'_, Map>> = None;
    let mut refused = false;
    for member in &group.members {
        let setting = member.options().frontend_nlb.attributes.as_ref();
        let Ok(given) = Given::setting(*member, setting, report) else {
            refused = true;
            continue;
        };
        match (&first, given) {
            (None, given) => first = given,
            (Some(first), Some(next)) if first.value == next.value => {}
            (Some(first), next) => {
                match next {
                    Some(next) => conflict(what, first, &next, report),
                    None => missing(what, first, *member, report),
                }
                refused = true;
            }
        }
    }
    if refused {
        return Err(Refused);
    }
    let Some(attributes) = first else {
        return Ok(Map::new());
    };
    match attributes.value.get(ROUTING_POLICY) {
        Some(policy) if !ROUTING_POLICIES.contains(&policy.as_str()) => {
            let mut problem = Problem::new(
                codes::BAD_ANNOTATION,
                attributes.origin.clone(),
                format!("{ROUTING_POLICY} of {what} cannot be \"{policy}\""),
            )
            .of(attributes.member.object());
            problem.hint = did_you_mean(policy, ROUTING_POLICIES);
            report.refuse(problem)
        }
        _ => Ok(attributes.value),
    }
}

/// Tells that a member does not give what one before it gives.
fn missing<T>(what: &str, first: &Given<'_, T>, member: MemberInput<'_>, report: &Report<'_>) {
    let origin = &member.ingress.origin;
    report.add(
        Problem::new(
            codes::GROUP_CONFLICT,
            origin.clone(),
            format!(
                "{what} is missing here and \"{}\" in {}, which shares the balancer",
                first.text,
                first.member.object()
            ),
        )
        .of(member.object())
        .hint("say the same in all, or only in the last of the group's order")
        .also(first.origin.clone()),
    );
}

/// As they are written, without the configured defaults; where nobody gives any, the application balancer's.
fn tags(group: &GroupInput<'_>, balancer: &LoadBalancer, report: &Report<'_>) -> Built<Tags> {
    let tags = given(group, |options| options.tags.as_ref(), report)?;
    let agreed = agree("frontend-nlb-tags", tags, report)?;
    Ok(agreed.map_or_else(|| balancer.tags.clone(), |given| given.value))
}

/// What one member asks of one port of the NLB.
struct Wanted<'a> {
    alb_port: Given<'a, i32>,
    health_check: MemberHealthCheck<'a>,
}

/// What one member says of health checks; absent is the default, which others' values beat.
#[derive(Clone)]
struct MemberHealthCheck<'a> {
    port: Option<Given<'a, HealthCheckPort>>,
    protocol: Option<Given<'a, Protocol>>,
    path: Option<Given<'a, String>>,
    interval: Option<Given<'a, i32>>,
    timeout: Option<Given<'a, i32>>,
    healthy: Option<Given<'a, i32>>,
    unhealthy: Option<Given<'a, i32>>,
    success_codes: Option<Given<'a, String>>,
}

fn listeners(
    input: &Input<'_>,
    group: &GroupInput<'_>,
    ports: &Ports,
    report: &Report<'_>,
) -> Built<BTreeMap<i32, NlbListener>> {
    let mut by_port: BTreeMap<i32, Vec<Wanted<'_>>> = BTreeMap::new();
    let mut refused = false;
    for (index, member) in group.members.iter().enumerate() {
        match wanted(*member, index, ports, report) {
            Ok(wanted) => {
                for (port, wanted) in wanted {
                    by_port.entry(port).or_default().push(wanted);
                }
            }
            Err(Refused) => refused = true,
        }
    }
    let mut listeners = BTreeMap::new();
    for (port, wanted) in by_port {
        match listener(input, group, port, wanted, report) {
            Ok(listener) => {
                listeners.insert(port, listener);
            }
            Err(Refused) => refused = true,
        }
    }
    if refused { Err(Refused) } else { Ok(listeners) }
}

/// One member's ports of the NLB: as mapped, as far as it listens on the ports behind; without a mapping, its own.
fn wanted<'a>(
    member: MemberInput<'a>,
    index: usize,
    ports: &Ports,
    report: &Report<'_>,
) -> Built<Vec<(i32, Wanted<'a>)>> {
    let own: BTreeSet<i32> = ports
        .ports
        .iter()
        .filter(|(_, port)| port.members.contains(&index))
        .map(|(number, _)| i32::from(*number))
        .collect();
    let options = &member.options().frontend_nlb;
    let setting = options.listener_port_mapping.as_ref();
    let mapping = report.ask(setting)?.filter(|mapping| !mapping.is_empty());
    let mut pairs: BTreeMap<i32, Given<'a, i32>> = BTreeMap::new();
    if let (Some(mapping), Some(setting)) = (mapping, setting) {
        for (nlb_port, alb_port) in mapping {
            let (nlb_port, alb_port) = pair(member, setting, nlb_port, alb_port, report)?;
            if !own.contains(&alb_port.value) {
                continue;
            }
            let value = alb_port.value;
            let earlier = pairs.insert(nlb_port, alb_port);
            if let Some(earlier) = earlier.filter(|earlier| earlier.value != value) {
                // `9000` and `09000`: which of them LBC takes is chance.
                report.add(
                    Problem::new(
                        codes::ODD_ANNOTATION,
                        setting.origin.clone(),
                        format!(
                            "frontend-nlb-listener-port-mapping leads port {nlb_port} to {} and to {value}",
                            earlier.value
                        ),
                    )
                    .of(member.object())
                    .hint("keep one"),
                );
            }
        }
    } else {
        pairs.extend(own.into_iter().map(|port| {
            let given = Given {
                value: port,
                text: "",
                origin: &member.ingress.origin,
                member,
            };
            (port, given)
        }));
    }
    if pairs.is_empty() {
        // Its health check is not even read.
        return Ok(Vec::new());
    }
    let health_check = member_health_check(member, report)?;
    Ok(pairs
        .into_iter()
        .map(|(port, alb_port)| {
            let health_check = health_check.clone();
            (
                port,
                Wanted {
                    alb_port,
                    health_check,
                },
            )
        })
        .collect())
}

fn pair<'a>(
    member: MemberInput<'a>,
    setting: &'a Setting<Map>,
    nlb_port: &str,
    alb_port: &'a str,
    report: &Report<'_>,
) -> Built<(i32, Given<'a, i32>)> {
    let number = |text: &str| match text.parse::<i32>() {
        Ok(number) => Ok(number),
        Err(_) => report.refuse(
            Problem::new(
                codes::BAD_ANNOTATION,
                setting.origin.clone(),
                format!("frontend-nlb-listener-port-mapping cannot hold the port \"{text}\""),
            )
            .of(member.object())
            .hint("it is a list of NLB-PORT=ALB-PORT"),
        ),
    };
    let (nlb_port, value) = (number(nlb_port), number(alb_port));
    Ok((
        nlb_port?,
        Given {
            value: value?,
            text: alb_port,
            origin: &setting.origin,
            member,
        },
    ))
}

fn member_health_check<'a>(
    member: MemberInput<'a>,
    report: &Report<'_>,
) -> Built<MemberHealthCheck<'a>> {
    let options = &member.options().frontend_nlb;
    let port =
        Given::setting(member, options.health_check_port.as_ref(), report).and_then(|given| {
            checked(
                given,
                "port",
                "it is `traffic-port` or a number",
                read_port,
                report,
            )
        });
    let protocol =
        Given::setting(member, options.health_check_protocol.as_ref(), report).and_then(|given| {
            checked(
                given,
                "protocol",
                "it is HTTP or HTTPS",
                Protocol::from_word,
                report,
            )
        });
    let path = Given::setting(member, options.health_check_path.as_ref(), report);
    let interval = &options.health_check_interval_seconds;
    let interval = Given::setting(member, interval.as_ref(), report);
    let timeout = &options.health_check_timeout_seconds;
    let timeout = Given::setting(member, timeout.as_ref(), report);
    let healthy = &options.health_check_healthy_threshold_count;
    let healthy = Given::setting(member, healthy.as_ref(), report);
    let unhealthy = &options.health_check_unhealthy_threshold_count;
    let unhealthy = Given::setting(member, unhealthy.as_ref(), report);
    let success_codes = &options.health_check_success_codes;
    let success_codes = Given::setting(member, success_codes.as_ref(), report);
    Ok(MemberHealthCheck {
        port: port?,
        protocol: protocol?,
        path: path?,
        interval: interval?,
        timeout: timeout?,
        healthy: healthy?,
        unhealthy: unhealthy?,
        success_codes: success_codes?,
    })
}

fn read_port(text: &str) -> Option<HealthCheckPort> {
    if text == TRAFFIC_PORT {
        return Some(HealthCheckPort::TrafficPort);
    }
    text.parse().ok().map(HealthCheckPort::Number)
}

fn checked<'a, T>(
    given: Option<Given<'a, String>>,
    what: &str,
    expected: &str,
    read: impl Fn(&str) -> Option<T>,
    report: &Report<'_>,
) -> Built<Option<Given<'a, T>>> {
    let Some(given) = given else {
        return Ok(None);
    };
    match read(&given.value) {
        Some(value) => Ok(Some(Given {
            value,
            text: given.text,
            origin: given.origin,
            member: given.member,
        })),
        None => report.refuse(
            Problem::new(
                codes::BAD_ANNOTATION,
                given.origin.clone(),
                format!(
                    "frontend-nlb-healthcheck-{what} cannot be \"{}\"",
                    given.value
                ),
            )
            .of(given.member.object())
            .hint(expected),
        ),
    }
}

fn listener(
    input: &Input<'_>,
    group: &GroupInput<'_>,
    port: i32,
    mut wanted: Vec<Wanted<'_>>,
    report: &Report<'_>,
) -> Built<NlbListener> {
    let alb_ports = wanted.iter().map(|it| it.alb_port.clone());
    let alb_port = agree(
        &format!("the port behind port {port} of the NLB"),
        alb_ports,
        report,
    );
    /// The value that those who give one agree on.
    macro_rules! agreed {
        ($field:ident, $what:literal, $equal:expr) => {
            agree_by(
                concat!("frontend-nlb-healthcheck-", $what),
                wanted
                    .iter_mut()
                    .filter_map(|it| it.health_check.$field.take()),
                $equal,
                report,
            )
        };
    }
    let check_port = agreed!(port, "port", |a, b| a == b);
    let protocol = agreed!(protocol, "protocol", |a, b| a == b);
    let path = agreed!(path, "path", |a, b| a == b);
    let interval = agreed!(interval, "interval-seconds", |a, b| a == b);
    let timeout = agreed!(timeout, "timeout-seconds", |a, b| a == b);
    let healthy = agreed!(healthy, "healthy-threshold-count", |a, b| a == b);
    let unhealthy = agreed!(unhealthy, "unhealthy-threshold-count", |a, b| a == b);
    // LBC compares addresses of the texts: two that are equal conflict all the same.
    let is_lbc = report.is_lbc();
    let success_codes = agreed!(success_codes, "success-codes", |a, b| a == b && !is_lbc);

    let check_port = check_port?.map_or(HealthCheckPort::TrafficPort, |it| it.value);
    let protocol = protocol?.map_or(Protocol::Http, |it| it.value);
    let health_check = HealthCheck {
        port: Some(check_port.clone()),
        protocol,
        path: path?.map_or_else(|| "/".to_owned(), |it| it.value),
        matcher: Matcher::HttpCode(success_codes?.map_or_else(|| "200".to_owned(), |it| it.value)),
        interval_seconds: interval?.map_or(15, |it| it.value),
        timeout_seconds: timeout?.map_or(5, |it| it.value),
        healthy_threshold_count: healthy?.map_or(2, |it| it.value),
        unhealthy_threshold_count: unhealthy?.map_or(2, |it| it.value),
    };
    let check_port = match check_port {
        HealthCheckPort::TrafficPort => TRAFFIC_PORT.to_owned(),
        HealthCheckPort::Number(number) => number.to_string(),
    };
    Ok(NlbListener {
        alb_port: alb_port?.ok_or(Refused)?.value,
        target_group_name: group.id.nlb_target_group_name(
            &input.settings.cluster_name,
            port,
            &check_port,
            protocol.as_str(),
        ),
        health_check,
    })
}

#[cfg(test)]
mod tests;
