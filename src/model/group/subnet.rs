//! Where the balancers stand (ingress-model §3.4).

use std::collections::{BTreeMap, BTreeSet};

use super::{
    build::Built,
    context::{GroupInput, Input, MemberInput, Report},
    load_balancer::{no_params, pooled},
    merge::{Given, agree, agree_by, conflict},
};
use crate::{
    id::SubnetId,
    manifest::{annotation::PREFIX, ingress::SubnetSelector},
    model::{
        elb::Scheme,
        facts::{Subnet, needs::NAME_TAG},
    },
    problem::{Origin, Problem, codes, nearest::did_you_mean},
};

mod discovery;

/// What begins so is an id; all else is a `Name` tag.
const ID_PREFIX: &str = "subnet-";

/// What the subnets are for.
#[derive(Clone, Copy, Debug)]
struct Purpose {
    scheme: Scheme,
    is_dualstack: bool,
    /// A network balancer does with one zone.
    is_network: bool,
}

/// Where a choice is made and told.
struct Site<'a> {
    origin: &'a Origin,
    object: String,
    purpose: Purpose,
    /// What names the subnets, and how; absent where nothing does.
    named: Option<String>,
}

impl Site<'_> {
    /// What is wrong with the subnets as they are named.
    fn unfit(&self, message: impl std::fmt::Display) -> Problem {
        self.problem(match &self.named {
            Some(named) => format!("{named}: {message}"),
            None => message.to_string(),
        })
    }

    fn problem(&self, message: impl Into<String>) -> Problem {
        Problem::new(codes::NETWORK, self.origin.clone(), message).of(&self.object)
    }
}

/// The subnets of the group's balancer: named, selected, those that it has, or discovered; the first of these that
/// applies.
pub(super) fn of_balancer(
    input: &Input<'_>,
    group: &GroupInput<'_>,
    scheme: Scheme,
    is_dualstack: bool,
    report: &Report<'_>,
) -> Built<Vec<SubnetId>> {
    let purpose = Purpose {
        scheme,
        is_dualstack,
        is_network: false,
    };
    let of_params = |member: MemberInput<'_>| {
        member
            .params
            .is_some_and(|params| params.spec.subnets.is_some())
    };
    let named = pooled(
        group,
        no_params,
        |member| {
            let setting = member.options().load_balancer.subnets.as_ref();
            setting.filter(|_| !of_params(member))
        },
        report,
    )?;
    if let Some(selector) = selector(group, &named, report)? {
        let site = Site {
            origin: selector.origin,
            object: selector.member.object(),
            purpose,
            named: selector
                .value
                .ids
                .as_ref()
                .filter(|ids| !ids.is_empty())
                .map(|ids| {
                    format!(
                        "subnets.ids of IngressClassParams cannot be \"{}\"",
                        ids.join(", ")
                    )
                }),
        };
        return select(input, selector.value, &site, report);
    }
    if let Some(named) = same_list("subnets", named, report)? {
        return by_names(input, "subnets", &named, purpose, report);
    }
    let Some(first) = group.members.first().copied() else {
        return Ok(Vec::new());
    };
    let site = Site {
        origin: &first.ingress.origin,
        object: first.object(),
        purpose,
        named: None,
    };
    let Some(live) = input.load_balancer(&group.id.to_string()) else {
        return report.missing_fact(
            site.origin,
            &site.object,
            "whether the group has a balancer already, whose subnets would stay (loadBalancers)",
        );
    };
    // Where the scheme is not told, it counts as unchanged: moving a balancer by mistake is worse.
    if let Some(live) = live
        && live.scheme.is_none_or(|live| live == scheme)
        && !live.subnets.is_empty()
    {
        return Ok(live.subnets.clone());
    }
    discovery::by_role(input, &site, report)
}

/// The subnets of the frontend NLB: named, else discovered anew at each build.
pub(super) fn of_nlb(
    input: &Input<'_>,
    group: &GroupInput<'_>,
    scheme: Scheme,
    is_dualstack: bool,
    report: &Report<'_>,
) -> Built<Vec<SubnetId>> {
    let purpose = Purpose {
        scheme,
        is_dualstack,
        is_network: true,
    };
    let named = pooled(
        group,
        no_params,
        |member| member.options().frontend_nlb.subnets.as_ref(),
        report,
    )?;
    if let Some(named) = same_list("frontend-nlb-subnets", named, report)? {
        return by_names(input, "frontend-nlb-subnets", &named, purpose, report);
    }
    let Some(first) = group.members.first().copied() else {
        return Ok(Vec::new());
    };
    let site = Site {
        origin: &first.ingress.origin,
        object: first.object(),
        purpose,
        named: None,
    };
    discovery::by_role(input, &site, report)
}

/// Lists whose order does not matter, although the first member's counts.
fn same_list<'a>(
    what: &str,
    named: Vec<Given<'a, Vec<String>>>,
    report: &Report<'_>,
) -> Built<Option<Given<'a, Vec<String>>>> {
    agree_by(what, named, is_same_list, report)
}

/// Whether two lists hold the same, each as often, in whatever order.
#[expect(clippy::ptr_arg, reason = "compares values that members give")]
pub(super) fn is_same_list(a: &Vec<String>, b: &Vec<String>) -> bool {
    let sorted = |list: &[String]| {
        let mut list = list.to_vec();
        list.sort();
        list
    };
    sorted(a) == sorted(b)
}

/// The selector of the class's parameters. It goes with no annotation of another member, even an equal one.
fn selector<'a>(
    group: &GroupInput<'a>,
    named: &[Given<'a, Vec<String>>],
    report: &Report<'_>,
) -> Built<Option<Given<'a, &'a SubnetSelector>>> {
    let given = group.members.iter().filter_map(|member| {
        let located = member.params?.spec.subnets.as_ref()?;
        Some(Given {
            value: &located.value,
            text: "the selector of IngressClassParams",
            origin: &located.origin,
            member: *member,
        })
    });
    let Some(selector) = agree("subnets", given, report)? else {
        return Ok(None);
    };
    let Some(annotation) = named.first() else {
        return Ok(Some(selector));
    };
    let annotation = Given {
        value: selector.value,
        text: annotation.text,
        origin: annotation.origin,
        member: annotation.member,
    };
    conflict("subnets", &selector, &annotation, report);
    Err(super::context::Refused)
}

fn select(
    input: &Input<'_>,
    selector: &SubnetSelector,
    site: &Site<'_>,
    report: &Report<'_>,
) -> Built<Vec<SubnetId>> {
    let subnets = known(input, site, report)?;
    let Some(ids) = selector.ids.as_ref().filter(|ids| !ids.is_empty()) else {
        return discovery::by_tags(input, selector.tags.as_ref(), site, report);
    };
    let mut once = BTreeSet::new();
    for id in ids {
        known_id(subnets, id, "subnets.ids", site, report)?;
        if !once.insert(id.as_str()) {
            return report.refuse(site.problem(format!("subnets.ids names {id} twice")));
        }
    }
    // In the order in which AWS lists them.
    let chosen = subnets
        .iter()
        .filter(|subnet| once.contains(subnet.id.as_str()));
    checked(input, chosen.collect(), site, report)
}

/// All subnets of the VPC, which are needed now.
fn known<'a>(input: &Input<'a>, site: &Site<'_>, report: &Report<'_>) -> Built<&'a Vec<Subnet>> {
    match input.subnets() {
        Some(subnets) => Ok(subnets),
        None => report.missing_fact(site.origin, &site.object, "the VPC's subnets (subnets)"),
    }
}

fn known_id<'s>(
    subnets: &'s [Subnet],
    id: &str,
    what: &str,
    site: &Site<'_>,
    report: &Report<'_>,
) -> Built<&'s Subnet> {
    if let Some(found) = subnets.iter().find(|subnet| subnet.id.as_str() == id) {
        return Ok(found);
    }
    let ids: BTreeSet<&str> = subnets.iter().map(|subnet| subnet.id.as_str()).collect();
    let mut problem = site.problem(format!("{what} names {id}, which the VPC does not have"));
    problem.hint = did_you_mean(id, ids);
    report.refuse(problem)
}

/// Ids and `Name` tags in the order as written; a name that stands twice means two subnets of that name, by id.
fn by_names(
    input: &Input<'_>,
    what: &str,
    named: &Given<'_, Vec<String>>,
    purpose: Purpose,
    report: &Report<'_>,
) -> Built<Vec<SubnetId>> {
    let site = Site {
        origin: named.origin,
        object: named.member.object(),
        purpose,
        named: Some(format!(
            "the annotation {PREFIX}/{what} cannot be \"{}\"",
            named.text
        )),
    };
    let subnets = known(input, &site, report)?;
    let mut of_name: BTreeMap<&str, Vec<&Subnet>> = BTreeMap::new();
    for subnet in subnets {
        if let Some(name) = subnet.tags.get(NAME_TAG) {
            of_name.entry(name).or_default().push(subnet);
        }
    }
    let names: BTreeSet<&str> = of_name.keys().copied().collect();
    for of_one in of_name.values_mut() {
        of_one.sort_by(|a, b| b.id.cmp(&a.id));
    }
    let mut chosen: Vec<&Subnet> = Vec::new();
    let mut ids = BTreeSet::new();
    for text in &named.value {
        if text.starts_with(ID_PREFIX) {
            if !ids.insert(text.as_str()) {
                return report.refuse(site.problem(format!("{what} names {text} twice")));
            }
            chosen.push(known_id(subnets, text, what, &site, report)?);
            continue;
        }
        match of_name.get_mut(text.as_str()).map(Vec::pop) {
            Some(Some(subnet)) => chosen.push(subnet),
            Some(None) => {
                return report.refuse(site.problem(format!(
                    "{what} names \"{text}\" more often than the VPC has subnets of that name"
                )));
            }
            None => {
                let mut problem = site.problem(format!(
                    "no subnet of the VPC is named \"{text}\" by its tag {NAME_TAG}, which {what} wants"
                ));
                problem.hint = did_you_mean(text, names);
                return report.refuse(problem);
            }
        }
    }
    checked(input, chosen, &site, report)
}

/// What holds for subnets that somebody named: not none, each in a zone of its own, enough of them, with IPv6 where the
/// balancer has it. Neither cluster tags nor free addresses are looked at.
fn checked(
    input: &Input<'_>,
    chosen: Vec<&Subnet>,
    site: &Site<'_>,
    report: &Report<'_>,
) -> Built<Vec<SubnetId>> {
    if chosen.is_empty() {
        return report.refuse(site.unfit("no subnet is named").hint(
            "name at least two, or leave the setting out for those that are tagged for balancers",
        ));
    }
    let mut zones: BTreeMap<&str, &SubnetId> = BTreeMap::new();
    for subnet in &chosen {
        if let Some(other) = zones.insert(&subnet.az, &subnet.id) {
            let message = match *other == subnet.id {
                true => format!("{other} is named twice, by its id and by its name"),
                false => format!("{other} and {} are both in zone {}", subnet.id, subnet.az),
            };
            return report.refuse(
                site.unfit(message)
                    .hint("a balancer has one subnet in each zone"),
            );
        }
    }
    let without: Vec<&str> = chosen
        .iter()
        .filter(|subnet| site.purpose.is_dualstack && subnet.ipv6_cidrs.is_empty())
        .map(|subnet| subnet.id.as_str())
        .collect();
    if !without.is_empty() {
        return report.refuse(
            site.unfit(format!("{} have no IPv6 CIDR", without.join(", ")))
                .hint("a dualstack balancer needs one in each of its subnets"),
        );
    }
    enough(input, &chosen, site, report)?;
    Ok(chosen.iter().map(|subnet| subnet.id.clone()).collect())
}

/// One kind of zone, and as many as the balancer needs.
fn enough(
    input: &Input<'_>,
    chosen: &[&Subnet],
    site: &Site<'_>,
    report: &Report<'_>,
) -> Built<()> {
    let locales: BTreeSet<&str> = chosen.iter().map(|subnet| locale(subnet)).collect();
    if locales.len() > 1 {
        let each: Vec<String> = chosen
            .iter()
            .map(|subnet| format!("{} ({})", subnet.id, locale(subnet)))
            .collect();
        return report.refuse(
            site.unfit(format!(
                "subnets of several kinds of zones: {}",
                each.join(", ")
            ))
            .hint("a balancer stands in one kind"),
        );
    }
    let least = least_zones(input, site.purpose, locales.first().copied());
    if chosen.len() < least {
        let ids: Vec<&str> = chosen.iter().map(|subnet| subnet.id.as_str()).collect();
        return report.refuse(
            site.unfit(format!("only {} for the balancer", ids.join(", ")))
                .hint(format!("it needs subnets in {least} zones")),
        );
    }
    Ok(())
}

const AVAILABILITY_ZONE: &str = "availability-zone";

fn locale(subnet: &Subnet) -> &str {
    let outpost = subnet.outpost_arn.as_ref();
    match (outpost.filter(|arn| !arn.is_empty()), &subnet.zone_type) {
        (Some(_), _) => "outpost",
        (None, Some(kind)) => kind,
        (None, None) => AVAILABILITY_ZONE,
    }
}

fn least_zones(input: &Input<'_>, purpose: Purpose, locale: Option<&str>) -> usize {
    let is_single = purpose.is_network
        || input.settings.gates.alb_single_subnet
        || locale.is_some_and(|locale| locale != AVAILABILITY_ZONE);
    if is_single { 1 } else { 2 }
}

#[cfg(test)]
mod tests;
