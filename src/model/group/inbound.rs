//! Who may reach the ports of a balancer (ingress-model §3.6, §3.7).

use std::{
    collections::BTreeSet,
    net::{Ipv4Addr, Ipv6Addr},
};

use super::{
    build::Built,
    context::{MemberInput, Refused, Report},
    merge::{Given, agree_by},
};
use crate::problem::{Origin, Problem, codes};

const EVERYWHERE_V4: &str = "0.0.0.0/0";
const EVERYWHERE_V6: &str = "::/0";

/// Who may reach a port of the balancer, each as text, sorted and once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inbound {
    pub ipv4: BTreeSet<String>,
    pub ipv6: BTreeSet<String>,
    pub prefix_lists: BTreeSet<String>,
}

/// What one member says of whom it lets in, the same for each of its ports.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MemberInbound<'a> {
    pub inbound: Inbound,
    /// Where its CIDRs stand and how they are written, if it gives any.
    pub cidrs: Option<(&'a Origin, String)>,
    /// Where its prefix lists stand and how they are written, if it gives any.
    pub prefix_lists: Option<(&'a Origin, String)>,
}

/// A list with its place, from the class's parameters where they have one, else from the annotation.
struct List<'a> {
    what: &'static str,
    items: Vec<(&'a str, &'a Origin)>,
}

/// Reads and checks what a member says of whom it lets in.
///
/// # Errors
/// A CIDR is none.
pub fn inbound<'a>(member: MemberInput<'a>, report: &Report<'_>) -> Built<MemberInbound<'a>> {
    let cidrs = cidrs(member, report);
    let prefix_lists = prefix_lists(member, report);
    let (cidrs, prefix_lists) = (cidrs?, prefix_lists?);
    let mut result = MemberInbound {
        cidrs: place(&cidrs),
        prefix_lists: place(&prefix_lists),
        ..MemberInbound::default()
    };
    let mut refused = false;
    for (cidr, origin) in &cidrs.items {
        // What holds a colon counts as IPv6, an IPv4 address in IPv6 form too.
        let is_v6 = cidr.contains(':');
        if !is_cidr(cidr, is_v6) {
            report.add(
                Problem::new(
                    codes::BAD_ANNOTATION,
                    (*origin).clone(),
                    format!("{} cannot hold \"{cidr}\"", cidrs.what),
                )
                .of(member.object())
                .hint("it is a list of CIDRs, such as 10.0.0.0/8 or 2001:db8::/32"),
            );
            refused = true;
        }
        let family = if is_v6 {
            &mut result.inbound.ipv6
        } else {
            &mut result.inbound.ipv4
        };
        family.insert((*cidr).to_owned());
    }
    if refused {
        return Err(Refused);
    }
    let ids = prefix_lists.items.iter().map(|(id, _)| (*id).to_owned());
    result.inbound.prefix_lists = ids.collect();
    Ok(result)
}

fn cidrs<'a>(member: MemberInput<'a>, report: &Report<'_>) -> Built<List<'a>> {
    let of_params = member.params.map(|params| &params.spec.inbound_cidrs);
    if let Some(cidrs) = of_params.filter(|cidrs| !cidrs.is_empty()) {
        return Ok(List {
            what: "inboundCIDRs of IngressClassParams",
            items: cidrs
                .iter()
                .map(|cidr| (cidr.value.as_str(), &cidr.origin))
                .collect(),
        });
    }
    let setting = member.options().load_balancer.inbound_cidrs.as_ref();
    list("the annotation inbound-cidrs", setting, report)
}

fn prefix_lists<'a>(member: MemberInput<'a>, report: &Report<'_>) -> Built<List<'a>> {
    let of_params = member.params.map(|params| &params.spec.prefix_lists);
    if let Some(ids) = of_params.filter(|ids| !ids.is_empty()) {
        return Ok(List {
            what: "prefixListsIDs of IngressClassParams",
            items: ids
                .iter()
                .map(|id| (id.value.as_str(), &id.origin))
                .collect(),
        });
    }
    let options = &member.options().load_balancer;
    let setting = options.security_group_prefix_lists.as_ref();
    list(
        "the annotation security-group-prefix-lists",
        setting,
        report,
    )
}

fn list<'a>(
    what: &'static str,
    setting: Option<&'a crate::manifest::annotation::Setting<Vec<String>>>,
    report: &Report<'_>,
) -> Built<List<'a>> {
    let values = report.ask(setting)?;
    let origin = setting.map(|setting| &setting.origin);
    let items = values
        .into_iter()
        .flatten()
        .filter_map(|value| Some((value.as_str(), origin?)))
        .collect();
    Ok(List { what, items })
}

fn place<'a>(list: &List<'a>) -> Option<(&'a Origin, String)> {
    let (_, origin) = list.items.first()?;
    let texts: Vec<&str> = list.items.iter().map(|(text, _)| *text).collect();
    Some((origin, texts.join(", ")))
}

/// An address, a slash and the length of the network in decimal digits; bits behind the network may be set.
fn is_cidr(text: &str, is_v6: bool) -> bool {
    let Some((address, length)) = text.split_once('/') else {
        return false;
    };
    let most = if is_v6 { 128 } else { 32 };
    let is_address = if is_v6 {
        address.parse::<Ipv6Addr>().is_ok()
    } else {
        address.parse::<Ipv4Addr>().is_ok()
    };
    is_address
        && length.bytes().all(|byte| byte.is_ascii_digit())
        && length.parse::<u32>().is_ok_and(|length| length <= most)
}

/// The members that have something in that place.
fn given<'m, 'a: 'm>(
    members: &'m [(MemberInput<'a>, &'m MemberInbound<'a>)],
    place: impl Fn(&'m MemberInbound<'a>) -> Option<&'m (&'a Origin, String)>,
) -> impl Iterator<Item = Given<'m, &'m Inbound>> {
    members.iter().filter_map(move |(member, inbound)| {
        let (origin, text) = place(inbound)?;
        Some(Given {
            value: &inbound.inbound,
            text,
            origin,
            member: *member,
        })
    })
}

/// The members that listen on one port as one; who gives nothing takes what the others say, and where nobody does, the
/// port is open to all.
///
/// # Errors
/// Those who give CIDRs give different ones, or so with prefix lists.
pub fn merge<'a>(
    port: u16,
    members: &[(MemberInput<'a>, &MemberInbound<'a>)],
    report: &Report<'_>,
) -> Built<Inbound> {
    let cidrs = agree_by(
        &format!("inbound-cidrs for port {port}"),
        given(members, |inbound| inbound.cidrs.as_ref()),
        |a, b| a.ipv4 == b.ipv4 && a.ipv6 == b.ipv6,
        report,
    );
    let prefix_lists = agree_by(
        &format!("security-group-prefix-lists for port {port}"),
        given(members, |inbound| inbound.prefix_lists.as_ref()),
        |a, b| a.prefix_lists == b.prefix_lists,
        report,
    );
    let (cidrs, prefix_lists) = (cidrs?, prefix_lists?);
    if cidrs.is_none() && prefix_lists.is_none() {
        return Ok(Inbound {
            ipv4: BTreeSet::from([EVERYWHERE_V4.to_owned()]),
            ipv6: BTreeSet::from([EVERYWHERE_V6.to_owned()]),
            prefix_lists: BTreeSet::new(),
        });
    }
    let (ipv4, ipv6) = cidrs
        .map(|given| (given.value.ipv4.clone(), given.value.ipv6.clone()))
        .unwrap_or_default();
    Ok(Inbound {
        ipv4,
        ipv6,
        prefix_lists: prefix_lists
            .map(|given| given.value.prefix_lists.clone())
            .unwrap_or_default(),
    })
}
