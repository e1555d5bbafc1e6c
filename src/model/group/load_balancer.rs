//! The balancer itself (ingress-model §3.2), in LBC's order: scheme, address type, subnets, security groups, pool,
//! attributes, tags, name, capacity, IPAM.

use std::collections::BTreeSet;

use super::{
    GroupModel, LoadBalancer,
    build::Built,
    context::{GroupInput, Input, MemberInput, Reach, Refused, Report},
    merge::{Given, GivenMap, agree, agree_keys},
    port::Ports,
    security_group::{self, Attached},
    subnet, tag,
};
use crate::{
    manifest::annotation::{
        Setting,
        options::Map,
        value::{IpAddressType, Scheme},
    },
    problem::{Problem, codes},
};

/// The longest name that LBC takes, in bytes.
const MAX_NAME: usize = 32;
/// The one key of `minimum-load-balancer-capacity`.
const CAPACITY_UNITS: &str = "CapacityUnits";

/// The balancer as far as it could be made, with what the rest of the group needs of it.
pub(super) struct Placed {
    pub load_balancer: Built<LoadBalancer>,
    pub security_groups: Built<Attached>,
    pub reach: Reach,
}

/// Step 5 of ingress-model §0.1. Without ports, whose problems have been told, the managed group is left open.
pub(super) fn build(
    input: &Input<'_>,
    group: &GroupInput<'_>,
    ports: Option<&Ports>,
    report: &Report<'_>,
) -> Placed {
    let scheme = scheme(input, group, report);
    let address_type = ip_address_type(group, report);
    let is_dualstack = address_type.map(|kind| kind != IpAddressType::Ipv4);
    let subnets = scheme.and_then(|scheme| {
        subnet::of_balancer(input, group, scheme, is_dualstack.unwrap_or(false), report)
    });
    let security_groups =
        security_group::build(input, group, ports, is_dualstack.unwrap_or(false), report);
    let pool = customer_owned_pool(group, report);
    let attributes = attributes(group, report);
    let all: Vec<usize> = (0..group.members.len()).collect();
    let tags = tag::shared(input, group, &all, report);
    let name = scheme.and_then(|scheme| name(input, group, scheme, report));
    let capacity = capacity(input, group, report);
    let ipam = ipam_pool(group, report);
    let reach = Reach {
        is_dualstack: is_dualstack.ok(),
        source: security_groups
            .as_ref()
            .ok()
            .and_then(|attached| attached.source.clone()),
    };
    let load_balancer = (|| {
        Ok(LoadBalancer {
            name: name?,
            scheme: scheme?,
            ip_address_type: address_type?,
            subnets: subnets?,
            security_groups: security_groups
                .as_ref()
                .map_err(|refused| *refused)?
                .groups
                .clone(),
            customer_owned_ipv4_pool: pool?,
            ipv4_ipam_pool: ipam?,
            minimum_capacity_units: capacity?,
            attributes: attributes?,
            tags: tags?,
        })
    })();
    Placed {
        load_balancer,
        security_groups,
        reach,
    }
}

/// The values of all members that give one, each by its class's parameters or else by its annotation.
pub(super) fn pooled<'a, T: Clone + 'a>(
    group: &GroupInput<'a>,
    of_params: impl Fn(MemberInput<'a>) -> Option<Given<'a, T>>,
    of_options: impl Fn(MemberInput<'a>) -> Option<&'a Setting<T>>,
    report: &Report<'_>,
) -> Built<Vec<Given<'a, T>>> {
    let mut given = Vec::new();
    let mut refused = false;
    for member in &group.members {
        match of_params(*member) {
            Some(value) => given.push(value),
            None => match Given::setting(*member, of_options(*member), report) {
                Ok(value) => given.extend(value),
                Err(Refused) => refused = true,
            },
        }
    }
    if refused { Err(Refused) } else { Ok(given) }
}

/// No field of the class's parameters replaces this annotation.
pub(super) fn no_params<'a, T>(_: MemberInput<'a>) -> Option<Given<'a, T>> {
    None
}

fn scheme(input: &Input<'_>, group: &GroupInput<'_>, report: &Report<'_>) -> Built<Scheme> {
    let given = pooled(
        group,
        |member| {
            let located = member.params?.spec.scheme.as_ref()?;
            Some(Given {
                value: located.value,
                text: located.value.as_str(),
                origin: &located.origin,
                member,
            })
        },
        |member| member.options().load_balancer.scheme.as_ref(),
        report,
    )?;
    let agreed = agree("scheme", given, report)?;
    Ok(agreed.map_or(input.settings.default_scheme, |given| given.value))
}

fn ip_address_type(group: &GroupInput<'_>, report: &Report<'_>) -> Built<IpAddressType> {
    let given = pooled(
        group,
        |member| {
            let located = member.params?.spec.ip_address_type.as_ref()?;
            Some(Given {
                value: located.value,
                text: located.value.as_str(),
                origin: &located.origin,
                member,
            })
        },
        |member| member.options().load_balancer.ip_address_type.as_ref(),
        report,
    )?;
    let agreed = agree("ip-address-type", given, report)?;
    Ok(agreed.map_or(IpAddressType::Ipv4, |given| given.value))
}

fn customer_owned_pool(group: &GroupInput<'_>, report: &Report<'_>) -> Built<Option<String>> {
    let given = pooled(
        group,
        no_params,
        |member| {
            member
                .options()
                .load_balancer
                .customer_owned_ipv4_pool
                .as_ref()
        },
        report,
    )?;
    if let Some(empty) = given.iter().find(|given| given.value.is_empty()) {
        return report.refuse(
            Problem::new(
                codes::BAD_ANNOTATION,
                empty.origin.clone(),
                "the annotation customer-owned-ipv4-pool cannot be \"\"",
            )
            .of(empty.member.object())
            .hint("it is a pool's id; leave the annotation out for none"),
        );
    }
    let agreed = agree("customer-owned-ipv4-pool", given, report)?;
    Ok(agreed.map(|given| given.value))
}

/// What the members say, key by key, under what the first member's parameters say: those silence conflicts on their keys
/// (ingress-model §3.3).
fn attributes(group: &GroupInput<'_>, report: &Report<'_>) -> Built<Map> {
    let first = group.members.first().and_then(|member| member.params);
    let of_params: Map = first
        .map(|params| {
            params
                .spec
                .load_balancer_attributes
                .iter()
                .cloned()
                .collect()
        })
        .unwrap_or_default();
    let settled: BTreeSet<&str> = of_params.keys().map(String::as_str).collect();
    let given = maps(
        group,
        |member| member.options().load_balancer.attributes.as_ref(),
        report,
    )?;
    let mut merged = agree_keys("load-balancer-attributes", given, &settled, report)?;
    merged.extend(of_params);
    Ok(merged)
}

/// The map annotations of all members.
fn maps<'a>(
    group: &GroupInput<'a>,
    of_options: impl Fn(MemberInput<'a>) -> Option<&'a Setting<Map>>,
    report: &Report<'_>,
) -> Built<Vec<GivenMap<'a>>> {
    let mut given = Vec::new();
    let mut refused = false;
    for member in &group.members {
        let setting = of_options(*member);
        match (report.ask(setting), setting) {
            (Ok(Some(map)), Some(setting)) => given.push(GivenMap {
                map,
                origin: &setting.origin,
                member: *member,
            }),
            (Ok(_), _) => {}
            (Err(Refused), _) => refused = true,
        }
    }
    if refused { Err(Refused) } else { Ok(given) }
}

/// An explicit name as it is written; the empty text is one.
fn name(
    input: &Input<'_>,
    group: &GroupInput<'_>,
    scheme: Scheme,
    report: &Report<'_>,
) -> Built<String> {
    let given = pooled(
        group,
        |member| {
            let located = member.params?.spec.load_balancer_name.as_ref()?;
            Some(Given::params(member, located)).filter(|given| !given.value.is_empty())
        },
        |member| member.options().load_balancer.name.as_ref(),
        report,
    )?;
    let Some(given) = agree("load-balancer-name", given, report)? else {
        let cluster = &input.settings.cluster_name;
        return Ok(group.id.load_balancer_name(cluster, scheme));
    };
    if given.value.len() > MAX_NAME {
        return report.refuse(
            Problem::new(
                codes::BAD_ANNOTATION,
                given.origin.clone(),
                format!("load-balancer-name cannot be \"{}\"", given.value),
            )
            .of(given.member.object())
            .hint(format!("it has at most {MAX_NAME} bytes")),
        );
    }
    Ok(given.value)
}

/// Of the class's parameters only the first member's count, and they hide all annotations.
fn capacity(input: &Input<'_>, group: &GroupInput<'_>, report: &Report<'_>) -> Built<Option<i32>> {
    if !input.settings.gates.lb_capacity_reservation {
        for member in &group.members {
            let setting = member.options().load_balancer.minimum_capacity.as_ref();
            if let Some(setting) = setting {
                let of = (*member, &setting.origin);
                report.closed(
                    of,
                    "minimum-load-balancer-capacity",
                    "LBCapacityReservation",
                );
            }
        }
        return Ok(None);
    }
    let first = group.members.first().and_then(|member| member.params);
    if let Some(units) = first.and_then(|params| params.spec.minimum_capacity_units.as_ref()) {
        return Ok(Some(units.value));
    }
    let given = maps(
        group,
        |member| member.options().load_balancer.minimum_capacity.as_ref(),
        report,
    )?;
    let mut refused = false;
    for given in &given {
        for (key, value) in given.map {
            let (what, hint) = if key != CAPACITY_UNITS {
                (
                    format!("minimum-load-balancer-capacity has no key \"{key}\""),
                    format!("its only key is {CAPACITY_UNITS}"),
                )
            } else if go_int32(value).is_none() {
                (
                    format!(
                        "{CAPACITY_UNITS} of minimum-load-balancer-capacity cannot be \"{value}\""
                    ),
                    "it is a whole number".to_owned(),
                )
            } else {
                continue;
            };
            let problem = Problem::new(codes::BAD_ANNOTATION, given.origin.clone(), what);
            report.add(problem.of(given.member.object()).hint(hint));
            refused = true;
        }
    }
    let merged = agree_keys(
        "minimum-load-balancer-capacity",
        given,
        &BTreeSet::new(),
        report,
    )?;
    if refused {
        return Err(Refused);
    }
    Ok(merged.get(CAPACITY_UNITS).and_then(|value| go_int32(value)))
}

/// A decimal number with an optional sign, as Go reads it.
pub(super) fn go_int32(text: &str) -> Option<i32> {
    text.parse().ok()
}

/// The first member's parameters hide all annotations, with the empty text too; an empty annotation is none.
fn ipam_pool(group: &GroupInput<'_>, report: &Report<'_>) -> Built<Option<String>> {
    let first = group.members.first().and_then(|member| member.params);
    if let Some(pool) = first.and_then(|params| params.spec.ipam_ipv4_pool_id.as_ref()) {
        return Ok(Some(pool.value.clone()));
    }
    let mut given = pooled(
        group,
        no_params,
        |member| member.options().load_balancer.ipam_ipv4_pool_id.as_ref(),
        report,
    )?;
    given.retain(|given| !given.value.is_empty());
    let agreed = agree("ipam-ipv4-pool-id", given, report)?;
    Ok(agreed.map(|given| given.value))
}

impl GroupModel {
    /// Whether targets with IPv6 addresses can be reached.
    pub fn is_dualstack(&self) -> bool {
        self.load_balancer.ip_address_type != IpAddressType::Ipv4
    }
}

#[cfg(test)]
mod tests;
