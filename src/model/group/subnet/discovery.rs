//! Choosing subnets that nobody named: candidates by role tag or by the selector of IngressClassParams, then one for each
//! zone; and why each of the others was not chosen (lessons J1).

use std::collections::{BTreeMap, BTreeSet};

use super::{Site, enough, known, least_zones, locale};
use crate::{
    id::SubnetId,
    model::{
        elb::Scheme,
        facts::Subnet,
        glob,
        group::{
            build::Built,
            context::{Input, Report},
        },
        tags,
    },
};

/// ALB wants this many free addresses in a subnet.
const LEAST_FREE_ADDRESSES: i32 = 8;
/// Candidates that a message names before it only counts them.
const NAMED_CANDIDATES: usize = 20;
/// Prefix of the keys by which subnets name their clusters, with any cluster's name behind it or none.
const ANY_CLUSTER: &str = "kubernetes.io/cluster";

/// By the tag of their role; where no subnet has it, by their way out.
pub(super) fn by_role(
    input: &Input<'_>,
    site: &Site<'_>,
    report: &Report<'_>,
) -> Built<Vec<SubnetId>> {
    let subnets = known(input, site, report)?;
    let role = match site.purpose.scheme {
        Scheme::InternetFacing => tags::ROLE_ELB,
        Scheme::Internal => tags::ROLE_INTERNAL_ELB,
    };
    let has_role = |subnet: &Subnet| {
        let value = subnet.tags.get(role);
        value.is_some_and(|value| ["", "1"].contains(&value.as_str()))
    };
    let by_routes =
        input.settings.gates.subnet_discovery_by_reachability && !subnets.iter().any(has_role);
    if by_routes && let Some(unknown) = subnets.iter().find(|subnet| subnet.public.is_none()) {
        return report.missing_fact(
            site.origin,
            &site.object,
            &format!(
                "whether {} has a route to an internet gateway (public)",
                unknown.id
            ),
        );
    }
    let how = if by_routes {
        format!("tag subnets `{role}` = `1`, no subnet has it, so routes decided")
    } else {
        format!("tag subnets `{role}` = `1`")
    };
    choose(input, subnets, site, &how, report, |subnet| {
        if by_routes {
            return unfit_by_routes(subnet, site.purpose.scheme);
        }
        match subnet.tags.get(role) {
            _ if has_role(subnet) => None,
            Some(value) => Some(format!("tag {role} is `{value}`, not `1` or empty")),
            None => Some(format!("no tag {role}")),
        }
    })
}

/// By the selector of the class's parameters: each key with one of its values, which go to EC2 as a filter's. Neither role
/// nor scheme count.
pub(super) fn by_tags(
    input: &Input<'_>,
    wanted: Option<&BTreeMap<String, Vec<String>>>,
    site: &Site<'_>,
    report: &Report<'_>,
) -> Built<Vec<SubnetId>> {
    let subnets = known(input, site, report)?;
    let how = "subnets.tags of IngressClassParams selects them";
    choose(input, subnets, site, how, report, |subnet| {
        let mut wanted = wanted.into_iter().flatten();
        wanted.find_map(|(key, values)| match subnet.tags.get(key) {
            Some(value) if values.iter().any(|wanted| glob::matches(wanted, value)) => None,
            Some(value) => Some(format!("tag {key} is `{value}`")),
            None => Some(format!("no tag {key}")),
        })
    })
}

/// One subnet in each zone, in ascending id; or why not, candidate by candidate.
fn choose(
    input: &Input<'_>,
    subnets: &[Subnet],
    site: &Site<'_>,
    how: &str,
    report: &Report<'_>,
    reason: impl Fn(&Subnet) -> Option<String>,
) -> Built<Vec<SubnetId>> {
    let own_tag = format!(
        "{}{}",
        tags::KUBERNETES_CLUSTER,
        input.settings.cluster_name
    );
    let mut sorted: Vec<&Subnet> = subnets.iter().collect();
    sorted.sort_by(|a, b| a.id.cmp(&b.id));
    let mut rejected: BTreeMap<&SubnetId, String> = BTreeMap::new();
    let mut zones: BTreeMap<&str, Vec<&Subnet>> = BTreeMap::new();
    for subnet in &sorted {
        match reason(subnet).or_else(|| unfit(input, subnet, &own_tag, site.purpose.is_dualstack)) {
            Some(reason) => {
                rejected.insert(&subnet.id, reason);
            }
            None => zones.entry(&subnet.az).or_default().push(subnet),
        }
    }
    // Sorted by id already: the first that names the cluster, else the first.
    let mut chosen: Vec<&Subnet> = zones
        .values()
        .filter_map(|candidates| {
            let own = candidates
                .iter()
                .find(|subnet| subnet.tags.contains_key(&own_tag));
            own.or(candidates.first()).copied()
        })
        .collect();
    chosen.sort_by(|a, b| a.id.cmp(&b.id));
    let least = least_zones(
        input,
        site.purpose,
        chosen.first().map(|subnet| locale(subnet)),
    );
    if chosen.len() < least {
        return report.refuse(site.problem(explain(&sorted, site, least, how, &chosen, &rejected)));
    }
    enough(input, &chosen, site, report)?;
    Ok(chosen.iter().map(|subnet| subnet.id.clone()).collect())
}

/// Without any role tag in the VPC, the way out decides.
fn unfit_by_routes(subnet: &Subnet, scheme: Scheme) -> Option<String> {
    match (subnet.public == Some(true), scheme) {
        (true, Scheme::InternetFacing) | (false, Scheme::Internal) => None,
        (false, Scheme::InternetFacing) => Some("no route to an internet gateway".to_owned()),
        (true, Scheme::Internal) => Some("has a route to an internet gateway".to_owned()),
    }
}

fn unfit(input: &Input<'_>, subnet: &Subnet, own_tag: &str, is_dualstack: bool) -> Option<String> {
    if input.settings.gates.subnets_cluster_tag_check {
        let keys = subnet.tags.keys().map(String::as_str);
        let clusters: Vec<&str> = keys.filter(|key| key.starts_with(ANY_CLUSTER)).collect();
        if !clusters.is_empty() && !clusters.contains(&own_tag) {
            return Some(format!(
                "tagged for another cluster ({})",
                clusters.join(", ")
            ));
        }
    }
    if subnet.free_addresses < LEAST_FREE_ADDRESSES {
        return Some(format!(
            "{} free addresses, {LEAST_FREE_ADDRESSES} are needed",
            subnet.free_addresses
        ));
    }
    (is_dualstack && subnet.ipv6_cidrs.is_empty()).then(|| "no IPv6 CIDR".to_owned())
}

fn explain(
    sorted: &[&Subnet],
    site: &Site<'_>,
    least: usize,
    how: &str,
    chosen: &[&Subnet],
    rejected: &BTreeMap<&SubnetId, String>,
) -> String {
    let scheme = site.purpose.scheme.as_str();
    if sorted.is_empty() {
        return format!("no subnets for an {scheme} balancer: the VPC has none");
    }
    let fits: BTreeSet<&SubnetId> = chosen.iter().map(|subnet| &subnet.id).collect();
    let named: Vec<String> = sorted
        .iter()
        .take(NAMED_CANDIDATES)
        .map(|subnet| {
            let verdict = match rejected.get(&subnet.id) {
                Some(reason) => reason.as_str(),
                None if fits.contains(&subnet.id) => "fits",
                None => "fits, but its zone has one already",
            };
            format!("{} ({}): {verdict}", subnet.id, subnet.az)
        })
        .collect();
    let more = match sorted.len().saturating_sub(NAMED_CANDIDATES) {
        0 => String::new(),
        more => format!("; and {more} more"),
    };
    let zones = if least == 1 { "1 zone" } else { "2 zones" };
    format!(
        "an {scheme} balancer needs subnets in {zones}, found {}: {}{more} ({how})",
        chosen.len(),
        named.join("; ")
    )
}
