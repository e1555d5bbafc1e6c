//! Balancers and the managed security group.

use serde::{Serialize, Serializer, ser::SerializeMap};

use super::{Attributes, BALANCER_ID, Group, List, NLB_ID, spec};
use crate::{
    manifest::annotation::value::{IpAddressType, Scheme},
    model::{
        group::{
            GroupModel, IngressPermission, IngressSource, ManagedSecurityGroup, NlbSubnet,
            SecurityGroupRef,
        },
        net::Tags,
    },
};

/// The application balancer and, where there is one, the network balancer before it.
pub(super) struct All<'a>(pub &'a GroupModel);

impl Serialize for All<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let balancer = &self.0.load_balancer;
        let mut map = serializer.serialize_map(None)?;
        if let Some(nlb) = &self.0.frontend_nlb {
            let subnets = nlb
                .subnets
                .iter()
                .map(|NlbSubnet { id, allocation_id }| Subnet {
                    allocation_id: allocation_id.as_deref(),
                    id: id.as_str(),
                });
            let nlb = Balancer {
                customer_owned_ipv4_pool: None,
                ip_address_type: nlb.ip_address_type,
                ipv4_ipam_pool: None,
                attributes: Attributes(&nlb.attributes),
                capacity: None,
                name: &nlb.name,
                scheme: nlb.scheme,
                security_groups: Groups(&nlb.security_groups),
                subnets: List(subnets),
                tags: &nlb.tags,
                kind: "network",
            };
            map.serialize_entry(NLB_ID, &spec(nlb))?;
        }
        let subnets = balancer.subnets.iter().map(|id| Subnet {
            allocation_id: None,
            id: id.as_str(),
        });
        let balancer = Balancer {
            customer_owned_ipv4_pool: balancer.customer_owned_ipv4_pool.as_deref(),
            ip_address_type: balancer.ip_address_type,
            ipv4_ipam_pool: balancer.ipv4_ipam_pool.as_deref(),
            attributes: Attributes(&balancer.attributes),
            capacity: balancer
                .minimum_capacity_units
                .map(|capacity_units| Capacity { capacity_units }),
            name: &balancer.name,
            scheme: balancer.scheme,
            security_groups: Groups(&balancer.security_groups),
            subnets: List(subnets),
            tags: &balancer.tags,
            kind: "application",
        };
        map.serialize_entry(BALANCER_ID, &spec(balancer))?;
        map.end()
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Balancer<'a, L> {
    #[serde(
        rename = "customerOwnedIPv4Pool",
        skip_serializing_if = "Option::is_none"
    )]
    customer_owned_ipv4_pool: Option<&'a str>,
    ip_address_type: IpAddressType,
    #[serde(rename = "ipv4IPAMPool", skip_serializing_if = "Option::is_none")]
    ipv4_ipam_pool: Option<&'a str>,
    #[serde(
        rename = "loadBalancerAttributes",
        skip_serializing_if = "Attributes::is_empty"
    )]
    attributes: Attributes<'a>,
    #[serde(
        rename = "minimumLoadBalancerCapacity",
        skip_serializing_if = "Option::is_none"
    )]
    capacity: Option<Capacity>,
    name: &'a str,
    scheme: Scheme,
    security_groups: Groups<'a>,
    #[serde(rename = "subnetMapping")]
    subnets: L,
    #[serde(skip_serializing_if = "Tags::is_empty")]
    tags: &'a Tags,
    #[serde(rename = "type")]
    kind: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Capacity {
    capacity_units: i32,
}

#[derive(Serialize)]
struct Subnet<'a> {
    #[serde(rename = "allocationID", skip_serializing_if = "Option::is_none")]
    allocation_id: Option<&'a str>,
    #[serde(rename = "subnetID")]
    id: &'a str,
}

struct Groups<'a>(&'a [SecurityGroupRef]);

impl Serialize for Groups<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        List(self.0.iter().map(Group)).serialize(serializer)
    }
}

pub(super) fn security_group(group: &ManagedSecurityGroup) -> impl Serialize {
    SecurityGroup {
        description: group.description,
        group_name: &group.name,
        ingress: Permissions(&group.ingress),
        tags: &group.tags,
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SecurityGroup<'a> {
    description: &'a str,
    group_name: &'a str,
    #[serde(skip_serializing_if = "Permissions::is_empty")]
    ingress: Permissions<'a>,
    #[serde(skip_serializing_if = "Tags::is_empty")]
    tags: &'a Tags,
}

struct Permissions<'a>(&'a [IngressPermission]);

impl Permissions<'_> {
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Serialize for Permissions<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        List(self.0.iter().map(permission)).serialize(serializer)
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Permission<'a> {
    from_port: u16,
    ip_protocol: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    ip_ranges: Option<[Ipv4Range<'a>; 1]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ipv6_ranges: Option<[Ipv6Range<'a>; 1]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    prefix_lists: Option<[PrefixList<'a>; 1]>,
    to_port: u16,
}

#[derive(Serialize)]
struct Ipv4Range<'a> {
    #[serde(rename = "cidrIP")]
    cidr: &'a str,
}

#[derive(Serialize)]
struct Ipv6Range<'a> {
    #[serde(rename = "cidrIPv6")]
    cidr: &'a str,
}

#[derive(Serialize)]
struct PrefixList<'a> {
    #[serde(rename = "listID")]
    id: &'a str,
}

fn permission(permission: &IngressPermission) -> Permission<'_> {
    let mut result = Permission {
        from_port: permission.port,
        ip_protocol: "tcp",
        ip_ranges: None,
        ipv6_ranges: None,
        prefix_lists: None,
        to_port: permission.port,
    };
    match &permission.source {
        IngressSource::Ipv4(cidr) => result.ip_ranges = Some([Ipv4Range { cidr }]),
        IngressSource::Ipv6(cidr) => result.ipv6_ranges = Some([Ipv6Range { cidr }]),
        IngressSource::PrefixList(id) => result.prefix_lists = Some([PrefixList { id }]),
    }
    result
}
