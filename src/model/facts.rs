//! Looked-up inputs: what the model needs to know and no manifest says. Absent means not looked up, never "none".
//!
//! The parts have the shape that they have in a facts file ([`file`]).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    id::{SecurityGroupId, SubnetId},
    manifest::{self, IngressClassParams, IngressOptions, ServiceRef},
    model::{elb::Scheme, net::Tags},
    shared::Shared,
};

pub mod file;
pub mod needs;

/// One reading of account, network and cluster. Every `Option` is `None` when that fact was not or could not be read.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Facts {
    /// Twelve digits.
    pub account: Option<String>,
    /// `aws`, `aws-cn`, `aws-us-gov`; `aws` when absent.
    pub partition: Option<String>,
    pub region: Option<String>,
    pub cluster: Option<String>,
    pub cluster_arn: Option<String>,
    /// The EKS cluster's issuer, with `https://`.
    pub oidc_issuer: Option<String>,
    pub vpc: Option<Vpc>,
    /// All subnets of the VPC.
    pub subnets: Option<Vec<Subnet>>,
    /// By id: the groups of the nodes' interfaces and whatever else was looked up.
    pub security_groups: Option<Vec<SecurityGroupFact>>,
    pub services: Option<Shared<BTreeMap<String, ServiceFact>>>,
    pub nodes: Option<Vec<Node>>,
    /// Pods behind Services, by `namespace/name` of the Service: all of the namespaces that were looked at.
    pub endpoints: Option<Shared<BTreeMap<String, Vec<EndpointFact>>>>,
    /// Instance id → ids of the groups on its primary interface.
    pub instance_groups: Option<BTreeMap<String, Vec<SecurityGroupId>>>,
    /// Group id → the live balancer of that stack, for subnets that stick (ingress-model §3.4).
    pub load_balancers: Option<BTreeMap<String, LoadBalancerFact>>,
    /// All certificates of ACM in the region.
    pub certificates: Option<Vec<CertificateFact>>,
    pub prefix_lists: Option<Vec<PrefixListFact>>,
    /// WAFv2 web ACLs of scope REGIONAL.
    pub web_acls: Option<Vec<NamedArn>>,
    pub trust_stores: Option<Vec<NamedArn>>,
    /// Target groups by name, for actions that name one.
    pub target_groups: Option<Vec<NamedArn>>,
    pub ipam_pools: Option<Vec<String>>,
    pub coip_pools: Option<Vec<String>>,
    /// DescribeAccountLimits: limit name → maximum.
    pub account_limits: Option<BTreeMap<String, u64>>,
    /// Secrets that OIDC sign-in names: `namespace/name` → which of its keys exist; never a value.
    pub secrets: Option<BTreeMap<String, SecretFact>>,
    /// Labels of namespaces that git does not hold.
    pub namespaces: Option<BTreeMap<String, BTreeMap<String, String>>>,
    /// IngressClasses of the cluster that git does not hold, by name.
    pub ingress_classes: Option<BTreeMap<String, ClassFact>>,
    /// IngressClassParams of the cluster, by name; git's word counts where it holds one of the name.
    pub ingress_class_params: Option<BTreeMap<String, ParamsFact>>,
}

/// An IngressClass as the cluster holds it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClassFact {
    #[serde(default)]
    pub controller: String,
    #[serde(rename = "default", default)]
    pub is_default: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parameters: Option<ParametersFact>,
}

/// What an IngressClass names as its parameters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ParametersFact {
    #[serde(default)]
    pub api_group: String,
    pub kind: String,
    pub name: String,
}

/// IngressClassParams as the cluster holds them.
#[derive(Clone, Debug)]
pub struct ParamsFact {
    /// `spec`, as it was read.
    pub spec: serde_json::Value,
    /// The same as the model reads it, or what of it cannot be read.
    pub read: Result<Shared<IngressClassParams>, String>,
}

impl ParamsFact {
    pub fn new(name: &str, spec: serde_json::Value) -> Self {
        let read = manifest::live_params(name, &spec).map(Shared::from);
        Self { spec, read }
    }
}

/// How they are read follows from how they are written.
impl PartialEq for ParamsFact {
    fn eq(&self, other: &Self) -> bool {
        self.spec == other.spec
    }
}

impl Eq for ParamsFact {}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Vpc {
    pub id: String,
    #[serde(default)]
    pub cidrs: Vec<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Subnet {
    pub id: SubnetId,
    pub az: String,
    #[serde(default)]
    pub cidr: String,
    pub free_addresses: i32,
    #[serde(default)]
    pub tags: Tags,
    /// The route table sends something to an internet gateway; absent: not looked up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub public: Option<bool>,
    /// Only those in state `associated`.
    #[serde(default)]
    pub ipv6_cidrs: Vec<String>,
    /// `availability-zone`, `local-zone` or `wavelength-zone`; absent: an availability zone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone_type: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outpost_arn: Option<String>,
    /// For people: which route table decided `public`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub route_table: Option<String>,
}

/// One certificate of ACM (ingress-model §4.2).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CertificateFact {
    pub arn: String,
    #[serde(default)]
    pub domain: String,
    #[serde(default)]
    pub sans: Vec<String>,
    /// `ISSUED` and others.
    pub status: String,
    #[serde(rename = "type", default)]
    pub kind: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_algorithm: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_after: Option<String>,
    /// The CA that signed a private certificate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate_authority_arn: Option<String>,
    #[serde(default)]
    pub tags: Tags,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PrefixListFact {
    pub id: String,
    #[serde(default)]
    pub name: String,
}

/// Something that users name and AWS knows by ARN.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NamedArn {
    pub name: String,
    pub arn: String,
}

/// Presence of a Secret: its labels and the names of its keys.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SecretFact {
    pub labels: BTreeMap<String, String>,
    pub keys: std::collections::BTreeSet<String>,
    /// Changes with the Secret, and says nothing of it.
    #[serde(rename = "resourceVersion", skip_serializing_if = "Option::is_none")]
    pub resource_version: Option<String>,
}

/// One pod behind a Service, as an EndpointSlice lists it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EndpointFact {
    pub address: String,
    /// Takes traffic: ready, and not about to end.
    pub is_ready: bool,
    pub node: Option<String>,
    /// By name; a port without one has the empty name.
    pub ports: BTreeMap<String, u16>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SecurityGroupFact {
    pub id: SecurityGroupId,
    #[serde(default)]
    pub name: String,
    #[serde(default)]
    pub tags: Tags,
}

/// What the API server assigned to a Service; the map's key is `namespace/name`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct ServiceFact {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uid: Option<String>,
    /// Service port number as text → node port; null where there is none.
    pub node_ports: BTreeMap<String, Option<u16>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ip_families: Option<Vec<String>>,
    /// The Service as the cluster holds it, for Services that git does not hold: type and ports.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub service_type: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ports: Vec<ServicePortFact>,
    /// Its annotations under our prefix, likewise.
    #[serde(skip_serializing_if = "AnnotationsFact::is_empty")]
    pub annotations: AnnotationsFact,
}

/// Annotations under our prefix of an object that only the cluster holds.
#[derive(Clone, Debug, Default)]
pub struct AnnotationsFact {
    /// By their whole names, as written.
    written: BTreeMap<String, String>,
    /// The same as the model reads them; absent where there are none.
    read: Option<Shared<IngressOptions>>,
}

impl AnnotationsFact {
    /// Of all annotations those that the model reads.
    pub fn new(annotations: impl IntoIterator<Item = (String, String)>) -> Self {
        let written: BTreeMap<String, String> = annotations
            .into_iter()
            .filter(|(key, _)| manifest::is_read(key))
            .collect();
        let read = (!written.is_empty()).then(|| manifest::live_options(&written).into());
        Self { written, read }
    }

    pub fn is_empty(&self) -> bool {
        self.written.is_empty()
    }

    pub fn options(&self) -> Option<&IngressOptions> {
        self.read.as_deref()
    }
}

/// How they are read follows from how they are written.
impl PartialEq for AnnotationsFact {
    fn eq(&self, other: &Self) -> bool {
        self.written == other.written
    }
}

impl Eq for AnnotationsFact {}

impl Serialize for AnnotationsFact {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.written.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for AnnotationsFact {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        BTreeMap::deserialize(deserializer).map(Self::new)
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ServicePortFact {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    pub port: i32,
    pub target_port: serde_json::Value,
}

/// One node, as far as it decides whether it is a target (aws-deploy §4.3).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Node {
    pub name: String,
    /// `spec.providerID`.
    pub provider_id: Option<String>,
    pub labels: BTreeMap<String, String>,
    /// Taint keys with their effects.
    pub taints: Vec<(String, String)>,
    /// The condition Ready: `True`, `False` or `Unknown`.
    pub ready: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadBalancerFact {
    pub scheme: Option<Scheme>,
    pub subnets: Vec<SubnetId>,
}

impl Facts {
    /// Both readings in one; what both tell is taken from the first.
    pub fn and(self, other: Self) -> Self {
        Self {
            account: self.account.or(other.account),
            partition: self.partition.or(other.partition),
            region: self.region.or(other.region),
            cluster: self.cluster.or(other.cluster),
            cluster_arn: self.cluster_arn.or(other.cluster_arn),
            oidc_issuer: self.oidc_issuer.or(other.oidc_issuer),
            vpc: self.vpc.or(other.vpc),
            subnets: self.subnets.or(other.subnets),
            security_groups: self.security_groups.or(other.security_groups),
            services: self.services.or(other.services),
            nodes: self.nodes.or(other.nodes),
            endpoints: self.endpoints.or(other.endpoints),
            instance_groups: self.instance_groups.or(other.instance_groups),
            load_balancers: self.load_balancers.or(other.load_balancers),
            certificates: self.certificates.or(other.certificates),
            prefix_lists: self.prefix_lists.or(other.prefix_lists),
            web_acls: self.web_acls.or(other.web_acls),
            trust_stores: self.trust_stores.or(other.trust_stores),
            target_groups: self.target_groups.or(other.target_groups),
            ipam_pools: self.ipam_pools.or(other.ipam_pools),
            coip_pools: self.coip_pools.or(other.coip_pools),
            account_limits: self.account_limits.or(other.account_limits),
            secrets: self.secrets.or(other.secrets),
            namespaces: self.namespaces.or(other.namespaces),
            ingress_classes: self.ingress_classes.or(other.ingress_classes),
            ingress_class_params: self.ingress_class_params.or(other.ingress_class_params),
        }
    }

    pub fn service(&self, service: &ServiceRef) -> Option<&ServiceFact> {
        self.services.as_ref()?.get(&service.to_string())
    }
}
