//! EC2 security groups and their permissions.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::desired::Ref;
use crate::id::SecurityGroupId;

/// Tag keys to values.
pub type Tags = BTreeMap<String, String>;

/// A security group as wanted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecurityGroupSpec {
    pub name: String,
    pub description: String,
    pub vpc_id: String,
    pub tags: Tags,
    /// All of its inbound permissions, one source each. `None`: not managed (the shared backend group has none of ours).
    pub ingress: BTreeSet<Permission>,
}

/// One inbound permission with exactly one source; AWS's grouped form is expanded before comparing (aws-deploy §2.7).
/// Identity is everything but the description.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Permission {
    /// `tcp`, `udp`, `icmp`, `-1` …, lower case, as EC2 returns it.
    pub protocol: String,
    /// -1 where the protocol has no ports.
    pub from_port: i32,
    pub to_port: i32,
    pub source: PermissionSource,
    /// Empty when absent.
    pub description: String,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PermissionSource {
    Cidr(String),
    Ipv6Cidr(String),
    PrefixList(String),
    SecurityGroup(Ref<SecurityGroupId>),
}

/// A security group as EC2 returns it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecurityGroup {
    pub id: SecurityGroupId,
    pub name: String,
    pub description: String,
    pub vpc_id: String,
    pub tags: Tags,
    pub ingress: BTreeSet<Permission>,
}
