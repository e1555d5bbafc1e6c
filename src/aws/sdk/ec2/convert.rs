//! Between EC2's types and ours; permissions with one source each (aws-deploy §2.7).

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_ec2::types as sdk;

use crate::{
    id::{SecurityGroupId, SubnetId},
    model::{
        desired::Ref,
        facts::{Subnet, Vpc},
        net::{Permission, PermissionSource, SecurityGroup, Tags},
    },
};

/// The converted thing, or which field the answer lacks.
pub(super) type Read<T> = std::result::Result<T, &'static str>;

// From EC2

pub(super) fn vpc(raw: sdk::Vpc) -> Read<Vpc> {
    let mut cidrs: Vec<String> = raw
        .cidr_block_association_set
        .unwrap_or_default()
        .into_iter()
        .filter(|block| {
            block
                .cidr_block_state
                .as_ref()
                .and_then(|state| state.state.as_ref())
                .is_none_or(|state| state.as_str() == "associated")
        })
        .filter_map(|block| block.cidr_block)
        .collect();
    // The primary one first, as EC2 names it.
    if let Some(primary) = raw.cidr_block {
        cidrs.retain(|cidr| *cidr != primary);
        cidrs.insert(0, primary);
    }
    Ok(Vpc {
        id: raw.vpc_id.ok_or("VpcId")?,
        cidrs,
    })
}

/// `public` is filled in by [`mark_public`].
pub(super) fn subnet(raw: sdk::Subnet) -> Read<Subnet> {
    Ok(Subnet {
        id: SubnetId(raw.subnet_id.ok_or("SubnetId")?),
        az: raw.availability_zone.unwrap_or_default(),
        cidr: raw.cidr_block.unwrap_or_default(),
        free_addresses: raw.available_ip_address_count.unwrap_or(0),
        tags: tags(raw.tags),
        public: None,
        ipv6_cidrs: raw
            .ipv6_cidr_block_association_set
            .unwrap_or_default()
            .into_iter()
            .filter(|block| {
                let state = block.ipv6_cidr_block_state.as_ref();
                state
                    .and_then(|state| state.state.as_ref())
                    .is_some_and(|state| state.as_str() == "associated")
            })
            .filter_map(|block| block.ipv6_cidr_block)
            .collect(),
        outpost_arn: raw.outpost_arn,
        ..Subnet::default()
    })
}

/// A subnet is public when its route table, by default the VPC's main one, sends something to an internet gateway.
pub(super) fn mark_public(subnets: &mut [Subnet], tables: &[sdk::RouteTable]) {
    let mut main = (false, None);
    let mut own: BTreeMap<&str, (bool, Option<&str>)> = BTreeMap::new();
    for table in tables {
        let public = table.routes().iter().any(|route| {
            route
                .gateway_id()
                .is_some_and(|gateway| gateway.starts_with("igw-"))
        });
        let found = (public, table.route_table_id());
        for association in table.associations() {
            if association.main() == Some(true) {
                main = found;
            }
            if let Some(subnet) = association.subnet_id() {
                own.insert(subnet, found);
            }
        }
    }
    for subnet in subnets {
        let (public, table) = own.get(subnet.id.as_str()).copied().unwrap_or(main);
        subnet.public = Some(public);
        subnet.route_table = table.map(str::to_owned);
    }
}

pub(super) fn security_group(raw: sdk::SecurityGroup) -> Read<SecurityGroup> {
    Ok(SecurityGroup {
        id: SecurityGroupId(raw.group_id.ok_or("GroupId")?),
        name: raw.group_name.unwrap_or_default(),
        description: raw.description.unwrap_or_default(),
        vpc_id: raw.vpc_id.unwrap_or_default(),
        tags: tags(raw.tags),
        ingress: expand(raw.ip_permissions.unwrap_or_default()),
    })
}

/// EC2 groups permissions by protocol and ports, with many sources in one.
fn expand(raw: Vec<sdk::IpPermission>) -> BTreeSet<Permission> {
    let mut out = BTreeSet::new();
    for group in raw {
        let protocol = protocol(group.ip_protocol.as_deref().unwrap_or("-1"));
        let (from_port, to_port) = (group.from_port.unwrap_or(-1), group.to_port.unwrap_or(-1));
        let mut add = |source: PermissionSource, description: Option<String>| {
            out.insert(Permission {
                protocol: protocol.clone(),
                from_port,
                to_port,
                source,
                description: description.unwrap_or_default(),
            });
        };
        for range in group.ip_ranges.unwrap_or_default() {
            if let Some(cidr) = range.cidr_ip {
                add(PermissionSource::Cidr(cidr), range.description);
            }
        }
        for range in group.ipv6_ranges.unwrap_or_default() {
            if let Some(cidr) = range.cidr_ipv6 {
                add(
                    PermissionSource::Ipv6Cidr(cidr.to_lowercase()),
                    range.description,
                );
            }
        }
        for list in group.prefix_list_ids.unwrap_or_default() {
            if let Some(id) = list.prefix_list_id {
                add(PermissionSource::PrefixList(id), list.description);
            }
        }
        for pair in group.user_id_group_pairs.unwrap_or_default() {
            if let Some(id) = pair.group_id {
                add(
                    PermissionSource::SecurityGroup(Ref::Known(SecurityGroupId(id))),
                    pair.description,
                );
            }
        }
    }
    out
}

/// EC2 returns names for the protocols that have them; numbers may be sent.
fn protocol(raw: &str) -> String {
    match raw {
        "1" => "icmp".to_owned(),
        "6" => "tcp".to_owned(),
        "17" => "udp".to_owned(),
        "58" => "icmpv6".to_owned(),
        other => other.to_lowercase(),
    }
}

/// The groups of the primary interface; an instance that is gone has none.
pub(super) fn primary_groups(raw: &sdk::Instance) -> Option<Vec<SecurityGroupId>> {
    let gone = raw
        .state()
        .and_then(|state| state.name())
        .is_some_and(|name| name.as_str() == "terminated");
    if gone {
        return None;
    }
    let primary = raw.network_interfaces().iter().find(|interface| {
        interface
            .attachment()
            .is_some_and(|attachment| attachment.device_index() == Some(0))
    });
    let groups = primary.map_or_else(|| raw.security_groups(), |interface| interface.groups());
    let mut groups: Vec<_> = groups
        .iter()
        .filter_map(|group| group.group_id())
        .map(SecurityGroupId::from)
        .collect();
    groups.sort();
    groups.dedup();
    Some(groups)
}

pub(super) fn tags(raw: Option<Vec<sdk::Tag>>) -> Tags {
    raw.unwrap_or_default()
        .into_iter()
        .filter_map(|tag| Some((tag.key?, tag.value.unwrap_or_default())))
        .collect()
}

// To EC2

pub(super) fn to_tags(tags: &Tags) -> Vec<sdk::Tag> {
    tags.iter()
        .map(|(key, value)| sdk::Tag::builder().key(key).value(value).build())
        .collect()
}

/// Back to EC2's form: one entry per protocol and ports.
pub(super) fn group(permissions: &[Permission]) -> Vec<sdk::IpPermission> {
    let mut entries: BTreeMap<(&str, i32, i32), Vec<&Permission>> = BTreeMap::new();
    for permission in permissions {
        entries
            .entry((
                &permission.protocol,
                permission.from_port,
                permission.to_port,
            ))
            .or_default()
            .push(permission);
    }
    entries
        .into_iter()
        .map(|((protocol, from, to), permissions)| {
            let mut out = sdk::IpPermission::builder().ip_protocol(protocol);
            if protocol != "-1" {
                out = out.from_port(from).to_port(to);
            }
            for permission in permissions {
                out = with_source(out, permission);
            }
            out.build()
        })
        .collect()
}

fn with_source(
    out: sdk::builders::IpPermissionBuilder,
    permission: &Permission,
) -> sdk::builders::IpPermissionBuilder {
    // An empty description is no description.
    let description = Some(permission.description.clone()).filter(|text| !text.is_empty());
    match &permission.source {
        PermissionSource::Cidr(cidr) => out.ip_ranges(
            sdk::IpRange::builder()
                .cidr_ip(cidr)
                .set_description(description)
                .build(),
        ),
        PermissionSource::Ipv6Cidr(cidr) => out.ipv6_ranges(
            sdk::Ipv6Range::builder()
                .cidr_ipv6(cidr)
                .set_description(description)
                .build(),
        ),
        PermissionSource::PrefixList(id) => out.prefix_list_ids(
            sdk::PrefixListId::builder()
                .prefix_list_id(id)
                .set_description(description)
                .build(),
        ),
        PermissionSource::SecurityGroup(Ref::Known(id)) => out.user_id_group_pairs(
            sdk::UserIdGroupPair::builder()
                .group_id(id.as_str())
                .set_description(description)
                .build(),
        ),
        PermissionSource::SecurityGroup(Ref::Output(id)) => {
            unreachable!("BUG: an unresolved reference to {id} reached the SDK")
        }
    }
}
