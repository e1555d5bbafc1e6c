//! Where the balancer stands (ingress-model §3.4).

use std::collections::{BTreeMap, BTreeSet};

use super::{Input, Wait, group::Group};
use crate::{
    id::SubnetId,
    model::{elb::Scheme, facts::Subnet, tags},
};

/// ALB wants this many free addresses in a subnet.
const LEAST_FREE_ADDRESSES: i32 = 8;
/// ALB wants subnets in this many zones.
const LEAST_ZONES: usize = 2;
/// Candidates that a message names before it only counts them.
const NAMED_CANDIDATES: usize = 20;
/// Prefix of the keys by which subnets name their clusters, with any cluster's name behind it or none.
const ANY_CLUSTER: &str = "kubernetes.io/cluster";

/// The live balancer's subnets while its scheme stays; otherwise discovery by tags, one subnet per zone.
///
/// Discovery never runs again for a balancer that exists: a subnet tagged later must not move it.
pub(super) fn choose(group: &Group, input: &Input, scheme: Scheme) -> Result<Vec<SubnetId>, Wait> {
    let wait = |reason: String| match group.members.first() {
        Some(ingress) => Wait::new(&ingress.origin, reason),
        None => unreachable!("BUG: a group has members"),
    };
    let Some(live) = &input.facts.load_balancers else {
        return Err(wait(
            "existing balancers were not read, so their subnets are not known".to_owned(),
        ));
    };
    if let Some(live) = live.get(&group.id.to_string())
        // Where the scheme is not told, it counts as unchanged: moving a balancer by mistake is worse.
        && live.scheme.is_none_or(|live| live == scheme)
        && !live.subnets.is_empty()
    {
        let subnets: BTreeSet<_> = live.subnets.iter().cloned().collect();
        return Ok(subnets.into_iter().collect());
    }
    let Some(subnets) = &input.facts.subnets else {
        return Err(wait("the subnets of the VPC were not read".to_owned()));
    };
    discover(subnets, scheme, &input.settings.cluster_name).map_err(wait)
}

/// One subnet per zone, in ascending id; or why not, candidate by candidate (lessons J1).
fn discover(subnets: &[Subnet], scheme: Scheme, cluster: &str) -> Result<Vec<SubnetId>, String> {
    let role = match scheme {
        Scheme::InternetFacing => "kubernetes.io/role/elb",
        Scheme::Internal => "kubernetes.io/role/internal-elb",
    };
    let own_tag = format!("{}{cluster}", tags::KUBERNETES_CLUSTER);
    let has_role = |subnet: &Subnet| {
        subnet
            .tags
            .get(role)
            .is_some_and(|value| ["", "1"].contains(&value.as_str()))
    };
    let by_routes = !subnets.iter().any(has_role);

    let mut sorted: Vec<&Subnet> = subnets.iter().collect();
    sorted.sort_by(|a, b| a.id.cmp(&b.id));
    let mut rejected: BTreeMap<&SubnetId, String> = BTreeMap::new();
    let mut zones: BTreeMap<&str, Vec<&Subnet>> = BTreeMap::new();
    for subnet in sorted {
        let reason = match by_routes {
            true => unfit_by_routes(subnet, scheme),
            false if has_role(subnet) => None,
            false => Some(match subnet.tags.get(role) {
                Some(value) => format!("tag {role} is `{value}`, not `1` or empty"),
                None => format!("no tag {role}"),
            }),
        };
        match reason.or_else(|| unfit(subnet, &own_tag)) {
            Some(reason) => {
                rejected.insert(&subnet.id, reason);
            }
            None => zones.entry(&subnet.az).or_default().push(subnet),
        }
    }
    // Sorted by id already: the first that names the cluster, else the first.
    let chosen: BTreeSet<&SubnetId> = zones
        .values()
        .filter_map(|candidates| {
            let own = candidates
                .iter()
                .find(|subnet| subnet.tags.contains_key(&own_tag));
            own.or(candidates.first()).map(|subnet| &subnet.id)
        })
        .collect();
    if chosen.len() >= LEAST_ZONES {
        return Ok(chosen.into_iter().cloned().collect());
    }
    Err(explain(
        subnets, scheme, role, by_routes, &chosen, &rejected,
    ))
}

/// Without any role tag in the VPC, the way out decides.
fn unfit_by_routes(subnet: &Subnet, scheme: Scheme) -> Option<String> {
    match (subnet.public, scheme) {
        (Some(true), Scheme::InternetFacing) | (Some(false), Scheme::Internal) => None,
        (Some(false), Scheme::InternetFacing) => Some("no route to an internet gateway".to_owned()),
        (Some(true), Scheme::Internal) => Some("has a route to an internet gateway".to_owned()),
        (None, _) => Some("its routes were not read".to_owned()),
    }
}

fn unfit(subnet: &Subnet, own_tag: &str) -> Option<String> {
    let clusters: Vec<&str> = subnet
        .tags
        .keys()
        .map(String::as_str)
        .filter(|key| key.starts_with(ANY_CLUSTER))
        .collect();
    if !clusters.is_empty() && !clusters.contains(&own_tag) {
        return Some(format!(
            "tagged for another cluster ({})",
            clusters.join(", ")
        ));
    }
    (subnet.free_addresses < LEAST_FREE_ADDRESSES).then(|| {
        format!(
            "{} free addresses, {LEAST_FREE_ADDRESSES} are needed",
            subnet.free_addresses
        )
    })
}

fn explain(
    subnets: &[Subnet],
    scheme: Scheme,
    role: &str,
    by_routes: bool,
    chosen: &BTreeSet<&SubnetId>,
    rejected: &BTreeMap<&SubnetId, String>,
) -> String {
    let scheme = scheme.as_str();
    if subnets.is_empty() {
        return format!("no subnets for an {scheme} balancer: the VPC has none");
    }
    let mut zones: BTreeMap<&SubnetId, &str> = BTreeMap::new();
    zones.extend(
        subnets
            .iter()
            .map(|subnet| (&subnet.id, subnet.az.as_str())),
    );
    let verdicts: Vec<String> = zones
        .iter()
        .map(|(id, zone)| {
            let verdict = match rejected.get(id) {
                Some(reason) => reason.as_str(),
                None if chosen.contains(id) => "fits",
                None => "fits, but its zone has one already",
            };
            format!("{id} ({zone}): {verdict}")
        })
        .collect();
    let named = verdicts
        .iter()
        .take(NAMED_CANDIDATES)
        .cloned()
        .collect::<Vec<_>>()
        .join("; ");
    let more = match verdicts.len().saturating_sub(NAMED_CANDIDATES) {
        0 => String::new(),
        more => format!("; and {more} more"),
    };
    let how = if by_routes {
        ", no subnet has it, so routes decided"
    } else {
        ""
    };
    format!(
        "an {scheme} balancer needs subnets in {LEAST_ZONES} zones, found {}: {named}{more} (tag subnets `{role}` = `1`{how})",
        chosen.len()
    )
}

#[cfg(test)]
mod tests;
