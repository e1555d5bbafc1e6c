//! The balancer's security groups: its own, the one that all balancers share, or those that the user names
//! (ingress-model §3.5, §3.6).

use std::collections::BTreeSet;

use super::{
    IngressPermission, IngressSource, ManagedSecurityGroup, SecurityGroupRef,
    build::Built,
    context::{GroupInput, Input, Report},
    load_balancer::{no_params, pooled},
    merge::{Given, agree},
    port::Ports,
    tag,
};
use crate::{
    id::SecurityGroupId,
    manifest::annotation::PREFIX,
    model::{
        facts::{SecurityGroupFact, needs::NAME_TAG},
        glob, tags,
    },
    problem::{Problem, codes, nearest::did_you_mean},
};

const MANAGES_RULES: &str = "manage-backend-security-group-rules";
const MANAGED_DESCRIPTION: &str = "[k8s] Managed SecurityGroup for LoadBalancer";
/// What begins so is an id; all else is a `Name` tag.
const ID_PREFIX: &str = "sg-";

/// What is attached to the balancer.
pub(super) struct Attached {
    /// In order of attachment.
    pub groups: Vec<SecurityGroupRef>,
    pub managed: Option<ManagedSecurityGroup>,
    /// Whom the targets let in; absent where nobody manages that.
    pub source: Option<SecurityGroupRef>,
}

pub(super) fn build(
    input: &Input<'_>,
    group: &GroupInput<'_>,
    ports: Option<&Ports>,
    is_dualstack: bool,
    report: &Report<'_>,
) -> Built<Attached> {
    let flags = &input.settings.flags;
    let lists = pooled(
        group,
        no_params,
        |member| member.options().load_balancer.security_groups.as_ref(),
        report,
    )?;
    // The order matters to LBC.
    let named = agree("security-groups", lists, report)?.filter(|given| !given.value.is_empty());
    let Some(named) = named else {
        let managed = managed(input, group, ports, is_dualstack, report)?;
        let mut groups = vec![SecurityGroupRef::Managed];
        let source = if flags.enable_backend_security_group {
            let shared = shared_group(input);
            groups.push(shared.clone());
            shared
        } else {
            SecurityGroupRef::Managed
        };
        return Ok(Attached {
            groups,
            managed: Some(managed),
            source: Some(source),
        });
    };
    let manages_rules = manages_rules(input, group, report);
    let mut groups = resolve(input, "security-groups", &named, report)?;
    let (manages_rules, said) = manages_rules?;
    if !manages_rules {
        return Ok(Attached {
            groups,
            managed: None,
            source: None,
        });
    }
    if !flags.enable_backend_security_group {
        const WITHOUT: &str = "without the shared backend group";
        let (at, message) = match &said {
            Some(said) => (
                said.origin,
                format!(
                    "the annotation {PREFIX}/{MANAGES_RULES} cannot be \"{}\" {WITHOUT}",
                    said.text
                ),
            ),
            None => (
                named.origin,
                format!("rules of the targets' groups cannot be managed {WITHOUT}"),
            ),
        };
        return report.refuse(
            Problem::new(codes::NETWORK, at.clone(), message)
                .of(named.member.object())
                .hint("the configuration switches it off: enableBackendSecurityGroup"),
        );
    }
    let shared = shared_group(input);
    groups.push(shared.clone());
    Ok(Attached {
        groups,
        managed: None,
        source: Some(shared),
    })
}

/// Whether the targets' groups are opened for groups that the user named; and who says so.
fn manages_rules<'a>(
    input: &Input<'_>,
    group: &GroupInput<'a>,
    report: &Report<'_>,
) -> Built<(bool, Option<Given<'a, bool>>)> {
    let given = pooled(
        group,
        no_params,
        |member| {
            let options = &member.options().load_balancer;
            options.manage_backend_security_group_rules.as_ref()
        },
        report,
    )?;
    let agreed = agree(MANAGES_RULES, given, report)?;
    Ok(agreed.map_or(
        (
            input
                .settings
                .flags
                .enable_manage_backend_security_group_rules,
            None,
        ),
        |given| (given.value, Some(given)),
    ))
}

/// The group that all balancers share: configured, else found by its tags, else made at the first apply.
pub(super) fn shared_group(input: &Input<'_>) -> SecurityGroupRef {
    let configured = input.settings.flags.backend_security_group.as_str();
    if !configured.is_empty() {
        return SecurityGroupRef::Backend(Some(SecurityGroupId::from(configured)));
    }
    let known = input.security_groups().into_iter().flatten();
    let found = known
        .filter(|group| {
            let tag = |key: &str| group.tags.get(key).map(String::as_str);
            tag(tags::CLUSTER) == Some(input.settings.cluster_name.as_str())
                && tag(tags::SHARED_RESOURCE) == Some(tags::BACKEND_SG)
        })
        .map(|group| group.id.clone())
        .next();
    SecurityGroupRef::Backend(found)
}

/// Ids and `Name` tags to groups: ids come first, each kind in the order in which AWS lists it. LBC asks EC2 for all names
/// in one filter, where wildcards count, and then only compares how many different names it asked for and found.
pub(super) fn resolve(
    input: &Input<'_>,
    what: &str,
    named: &Given<'_, Vec<String>>,
    report: &Report<'_>,
) -> Built<Vec<SecurityGroupRef>> {
    let object = named.member.object();
    let Some(known) = input.security_groups() else {
        return report.missing_fact(
            named.origin,
            &object,
            &format!("what {what} names (securityGroups)"),
        );
    };
    let (ids, names): (Vec<&str>, Vec<&str>) = named
        .value
        .iter()
        .map(String::as_str)
        .partition(|text| text.starts_with(ID_PREFIX));
    let mut refused = None;
    let mut refuse = |message: String, hint: Option<String>| {
        let mut problem = Problem::new(codes::NETWORK, named.origin.clone(), message).of(&object);
        problem.hint = hint;
        refused = Some(report.refuse::<Vec<SecurityGroupRef>>(problem));
    };
    let mut once = BTreeSet::new();
    for id in &ids {
        if !known.iter().any(|group| group.id.as_str() == *id) {
            let ids: BTreeSet<&str> = known.iter().map(|group| group.id.as_str()).collect();
            refuse(
                format!("{what} names the security group {id}, which does not exist"),
                did_you_mean(id, ids),
            );
        } else if !once.insert(*id) {
            refuse(format!("{what} names the security group {id} twice"), None);
        }
    }
    let asked: BTreeSet<&str> = names.into_iter().collect();
    let is_asked = |name: &str| asked.iter().any(|asked| glob::matches(asked, name));
    let tagged: BTreeSet<&str> = known.iter().filter_map(name_of).collect();
    let found: BTreeSet<&str> = tagged.iter().copied().filter(|it| is_asked(it)).collect();
    let is_counted = found.len() == asked.len();
    let mut absent = asked.clone();
    absent.retain(|asked| !found.iter().any(|name| glob::matches(asked, name)));
    if is_counted && report.is_lbc() {
        absent.clear();
    }
    for name in &absent {
        refuse(
            format!(
                "no security group of the VPC is named \"{name}\" by its tag {NAME_TAG}, which {what} wants"
            ),
            did_you_mean(name, tagged.iter().copied()),
        );
    }
    if absent.is_empty() && !is_counted {
        let found: Vec<&str> = found.into_iter().collect();
        refuse(
            format!(
                "{what} cannot be \"{}\": different names asked for: {}, found by the tag {NAME_TAG}: {} (\"{}\")",
                named.text,
                asked.len(),
                found.len(),
                found.join("\", \"")
            ),
            Some(
                "`*` and `?` are wildcards, and as many names are found as are asked for; spell them out, or give ids"
                    .to_owned(),
            ),
        );
    }
    if let Some(refused) = refused {
        return refused;
    }
    let by_id = known
        .iter()
        .filter(|group| ids.contains(&group.id.as_str()));
    let by_name = known
        .iter()
        .filter(|group| name_of(group).is_some_and(is_asked));
    Ok(by_id
        .chain(by_name)
        .map(|group| SecurityGroupRef::Id(group.id.clone()))
        .collect())
}

fn name_of(group: &SecurityGroupFact) -> Option<&str> {
    group.tags.get(NAME_TAG).map(String::as_str)
}

fn managed(
    input: &Input<'_>,
    group: &GroupInput<'_>,
    ports: Option<&Ports>,
    is_dualstack: bool,
    report: &Report<'_>,
) -> Built<ManagedSecurityGroup> {
    let all: Vec<usize> = (0..group.members.len()).collect();
    Ok(ManagedSecurityGroup {
        name: group.id.security_group_name(&input.settings.cluster_name),
        description: MANAGED_DESCRIPTION,
        tags: tag::shared(input, group, &all, report)?,
        ingress: ports
            .map(|ports| permissions(ports, is_dualstack))
            .unwrap_or_default(),
    })
}

/// One for each port and source; IPv6 only where the balancer has such addresses.
fn permissions(ports: &Ports, is_dualstack: bool) -> Vec<IngressPermission> {
    let mut permissions = Vec::new();
    for (port, merged) in &ports.ports {
        let inbound = &merged.inbound;
        let ipv4 = inbound.ipv4.iter().cloned().map(IngressSource::Ipv4);
        let ipv6 = inbound.ipv6.iter().filter(|_| is_dualstack).cloned();
        let ipv6 = ipv6.map(IngressSource::Ipv6);
        let lists = inbound.prefix_lists.iter().cloned();
        let lists = lists.map(IngressSource::PrefixList);
        let sources = ipv4.chain(ipv6).chain(lists);
        permissions.extend(sources.map(|source| IngressPermission {
            port: *port,
            source,
        }));
    }
    permissions
}

#[cfg(test)]
mod tests;
