//! A Service's addresses and their families (k8s `ValidateServiceClusterIPsRelatedFields`, `initIPFamilyFields`).

use std::net::IpAddr;

use crate::{
    manifest::{
        Checks,
        annotation::limit::network,
        field::{Field, Report},
        stored,
    },
    problem::{Located, codes},
};

/// What Kubernetes takes for an address since 1.36 (gate `StrictIPCIDRValidation`).
const ADDRESS: &str = "an IPv4 address (no leading zeros) or an IPv6 address (not IPv4-mapped)";

/// What `clusterIP` and `clusterIPs` say together.
pub(super) struct ClusterIps {
    pub is_headless: bool,
    /// With their paths, in the order of the families; none where one of them is refused.
    addresses: Vec<(String, Located<IpAddr>)>,
}

/// Checks `clusterIP` against `clusterIPs`, and both against the type. Without the list the one address is all of it
/// (k8s `normalizeClusterIPs`).
pub(super) fn cluster_ips(
    spec: &Field<'_>,
    service_type: &str,
    cluster_ip: Option<&Located<String>>,
    report: &mut Report,
) -> ClusterIps {
    let first = cluster_ip.filter(|ip| !ip.value.is_empty());
    let listed: Vec<_> = report
        .list(spec, "clusterIPs")
        .into_iter()
        .map(|ip| (report.as_text(&ip), ip.path))
        .collect();
    let all = match first {
        Some(first) if listed.is_empty() => {
            vec![(Some(first.clone()), spec.path_of("clusterIP"))]
        }
        _ => listed,
    };
    let is_none =
        |text: &Option<Located<String>>| text.as_ref().is_some_and(|text| text.value == "None");
    let is_headless = matches!(all.as_slice(), [(only, _)] if is_none(only));
    let mut found = ClusterIps {
        is_headless,
        addresses: Vec::new(),
    };
    if service_type == "ExternalName" {
        return found;
    }
    if let Some((Some(head), path)) = all.first()
        && (head.value == "None" || address(&head.value).is_some())
    {
        let is_wrong_type = cluster_ip.is_none() && spec.get("clusterIP").is_some();
        let message = match first {
            Some(first) if first.value == head.value => None,
            Some(first) => Some(format!(
                "{path} is \"{}\" and spec.clusterIP is \"{}\"",
                head.value, first.value
            )),
            None if is_wrong_type => None,
            None => Some("spec.clusterIPs is set and spec.clusterIP is not".to_owned()),
        };
        if let Some(message) = message {
            report.hinted(
                codes::BAD_VALUE,
                head.origin.clone(),
                message,
                "write the first of spec.clusterIPs as spec.clusterIP too",
            );
        }
    }
    found.addresses = addresses(&all, report);
    one_of_each_family(spec, &mut found.addresses, report);
    if is_headless && service_type != "ClusterIP" {
        let key = if first.is_some() {
            "clusterIP"
        } else {
            "clusterIPs"
        };
        report.hinted(
            codes::BAD_VALUE,
            spec.get(key).unwrap_or_else(|| spec.clone()).origin(),
            format!("spec.{key} is None on a Service of type {service_type}"),
            "headless Services are of type ClusterIP",
        );
    }
    found
}

/// The texts as addresses; none of them where one is refused. `None` stands alone.
fn addresses(
    all: &[(Option<Located<String>>, String)],
    report: &mut Report,
) -> Vec<(String, Located<IpAddr>)> {
    let mut addresses = Vec::new();
    let mut are_good = true;
    for (index, (text, path)) in all.iter().enumerate() {
        let Some(text) = text else {
            are_good = false;
            continue;
        };
        if index == 0 && text.value == "None" {
            if all.len() > 1 {
                are_good = false;
                report.hinted(
                    codes::BAD_VALUE,
                    text.origin.clone(),
                    format!("{path} is None and not the only one"),
                    "a headless Service has None alone",
                );
            }
        } else if let Some(address) = address(&text.value) {
            let address = Located::new(address, text.origin.clone());
            addresses.push((path.clone(), address));
        } else {
            are_good = false;
            let expected = if index == 0 {
                format!("it is None, {ADDRESS}")
            } else {
                format!("it is {ADDRESS}")
            };
            cannot_be(path, text, &expected, report);
        }
    }
    if !are_good {
        addresses.clear();
    }
    addresses
}

fn one_of_each_family(
    spec: &Field<'_>,
    addresses: &mut Vec<(String, Located<IpAddr>)>,
    report: &mut Report,
) {
    let Some(list) = spec.get("clusterIPs") else {
        return;
    };
    for family in ["IPv4", "IPv6"] {
        let of_family = addresses
            .iter()
            .filter(|(_, address)| self::family(address.value) == family);
        let count = of_family.count();
        if count > 1 {
            report.hinted(
                codes::BAD_VALUE,
                list.origin(),
                format!("{} holds {count} {family} addresses", list.path),
                "it holds at most one of IPv4 and one of IPv6",
            );
            addresses.clear();
        }
    }
}

/// The families that the document asks for, as far as it decides them.
pub(super) fn ip_families(
    spec: &Field<'_>,
    service_type: &str,
    cluster: &ClusterIps,
    has_selector: bool,
    report: &mut Report,
) -> Option<Vec<String>> {
    let policies = ["SingleStack", "PreferDualStack", "RequireDualStack"].map(|word| (word, word));
    let policy = report.one_of(spec, "ipFamilyPolicy", &policies);
    let mut listed = Vec::new();
    let list = report.list(spec, "ipFamilies");
    for family in &list {
        let Some(text) = report.as_text(family) else {
            continue;
        };
        if !matches!(text.value.as_str(), "IPv4" | "IPv6") || listed.contains(&text.value) {
            let expected = "it is IPv4 or IPv6, each once";
            cannot_be(&family.path, &text, expected, report);
            continue;
        }
        listed.push(text.value);
    }
    if service_type != "ExternalName" {
        // Without a policy a new Service has one family, but for headless ones without selector.
        let has_one = match &policy {
            Some(policy) => policy.value == "SingleStack",
            None => {
                let is_both = cluster.is_headless && !has_selector;
                spec.get("ipFamilyPolicy").is_none() && !is_both
            }
        };
        if has_one {
            single_stack(spec, listed.len(), cluster.addresses.len(), report);
        }
        if listed.len() == list.len() {
            families_match(&listed, cluster, report);
        }
    }
    stored::ip_families(
        listed,
        policy.map(|policy| policy.value),
        service_type,
        cluster.is_headless,
        has_selector,
    )
}

/// A Service of one family has one of each.
fn single_stack(spec: &Field<'_>, families: usize, addresses: usize, report: &mut Report) {
    let (key, what) = match (families, addresses) {
        (2, _) => ("ipFamilies", "families"),
        (_, 2) => ("clusterIPs", "addresses"),
        _ => return,
    };
    let (at, how) = match spec.get("ipFamilyPolicy") {
        Some(policy) => (policy.origin(), "is SingleStack"),
        None => (spec.node.key_origin(key), "is not set"),
    };
    report.hinted(
        codes::BAD_VALUE,
        at,
        format!("spec.{key} holds two {what} and spec.ipFamilyPolicy {how}"),
        "write spec.ipFamilyPolicy: PreferDualStack or RequireDualStack, or keep one",
    );
}

fn families_match(listed: &[String], cluster: &ClusterIps, report: &mut Report) {
    let pairs = cluster.addresses.iter().zip(listed).enumerate();
    for (index, ((path, address), family)) in pairs {
        if self::family(address.value) != family {
            report.hinted(
                codes::BAD_VALUE,
                address.origin.clone(),
                format!(
                    "{path} is {} and spec.ipFamilies[{index}] is {family}",
                    address.value
                ),
                "write the families in the order of the addresses",
            );
        }
    }
}

/// Addresses outside the cluster that nodes answer to: none that means something else on each host or link (k8s
/// `ValidateEndpointIP`).
pub(super) fn external_ips(spec: &Field<'_>, report: &mut Report) {
    for field in report.list(spec, "externalIPs") {
        let Some(text) = report.as_text(&field) else {
            continue;
        };
        match address(&text.value) {
            None => cannot_be(&field.path, &text, &format!("it is {ADDRESS}"), report),
            Some(address) if is_special(address) => {
                let expected = "it is no unspecified, loopback or link-local address";
                cannot_be(&field.path, &text, expected, report);
            }
            Some(_) => {}
        }
    }
}

/// CIDRs, around which the API server forgives spaces. Bits behind the length are refused since Kubernetes 1.36 (gate
/// `StrictIPCIDRValidation`), but where the cluster has the value already: LBC's checks take them.
pub(super) fn source_ranges(spec: &Field<'_>, report: &mut Report) {
    for field in report.list(spec, "loadBalancerSourceRanges") {
        let Some(text) = report.as_text(&field) else {
            continue;
        };
        let cidr = text.value.trim();
        match network(cidr).filter(|_| is_plain_cidr(cidr)) {
            None => {
                let expected = "write a CIDR without leading zeros, as 10.0.0.0/8 or 2001:db8::/32";
                cannot_be(&field.path, &text, expected, report);
            }
            Some(network) if network != cidr && report.checks == Checks::Strict => report.hinted(
                codes::BAD_VALUE,
                text.origin,
                format!(
                    "{} is \"{}\", which has bits behind its length",
                    field.path, text.value
                ),
                format!("write {network}"),
            ),
            Some(_) => {}
        }
    }
}

fn is_plain_cidr(cidr: &str) -> bool {
    cidr.split_once('/').is_some_and(|(base, length)| {
        address(base).is_some() && (length == "0" || !length.starts_with('0'))
    })
}

/// An address as [`ADDRESS`] says.
fn address(text: &str) -> Option<IpAddr> {
    text.parse().ok().filter(|address| match address {
        IpAddr::V4(_) => true,
        IpAddr::V6(address) => address.to_ipv4_mapped().is_none(),
    })
}

fn family(address: IpAddr) -> &'static str {
    if address.is_ipv4() { "IPv4" } else { "IPv6" }
}

fn is_special(address: IpAddr) -> bool {
    let is_link_local = match address {
        IpAddr::V4(v4) => v4.is_link_local() || v4.octets().starts_with(&[224, 0, 0]),
        IpAddr::V6(v6) => v6.is_unicast_link_local() || v6.segments()[0] & 0xff0f == 0xff02,
    };
    address.is_unspecified() || address.is_loopback() || is_link_local
}

fn cannot_be(path: &str, text: &Located<String>, expected: &str, report: &mut Report) {
    report.hinted(
        codes::BAD_VALUE,
        text.origin.clone(),
        format!("{path} cannot be \"{}\"", text.value),
        expected,
    );
}
