//! Looked-up inputs: what the model needs to know and no manifest says. Absent means not looked up, never "none".

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    id::{SecurityGroupId, SubnetId},
    manifest::ServiceRef,
    model::{elb::Scheme, net::Tags},
};

/// One reading of account, network and cluster. Every `Option` is `None` when that fact was not or could not be read.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
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
    pub services: Option<BTreeMap<String, ServiceFact>>,
    pub nodes: Option<Vec<Node>>,
    /// Instance id → ids of the groups on its primary interface.
    pub instance_groups: Option<BTreeMap<String, Vec<SecurityGroupId>>>,
    /// Group id → the live balancer of that stack, for subnets that stick (ingress-model §3.4).
    pub load_balancers: Option<BTreeMap<String, LoadBalancerFact>>,
    /// IngressClasses of the cluster that git does not hold: name → (controller, is default).
    pub ingress_classes: Option<BTreeMap<String, (String, bool)>>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vpc {
    pub id: String,
    #[serde(default)]
    pub cidrs: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Subnet {
    pub id: SubnetId,
    pub az: String,
    #[serde(default)]
    pub cidr: String,
    pub free_addresses: i32,
    #[serde(default)]
    pub tags: Tags,
    /// The route table sends something to an internet gateway; absent: not looked up.
    #[serde(default)]
    pub public: Option<bool>,
    #[serde(default)]
    pub ipv6_cidrs: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecurityGroupFact {
    pub id: SecurityGroupId,
    #[serde(default)]
    pub name: String,
    #[serde(default)]
    pub tags: Tags,
}

/// What the API server assigned to a Service; the map's key is `namespace/name`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ServiceFact {
    pub uid: Option<String>,
    /// Service port number as text → node port; null where there is none.
    pub node_ports: BTreeMap<String, Option<u16>>,
    pub ip_families: Option<Vec<String>>,
    /// The Service as the cluster holds it, for Services that git does not hold: type and ports.
    pub service_type: Option<String>,
    pub ports: Vec<ServicePortFact>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ServicePortFact {
    pub name: Option<String>,
    pub port: i32,
    pub target_port: serde_json::Value,
}

/// One node, as far as it decides whether it is a target (aws-deploy §4.3).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Node {
    pub name: String,
    /// `spec.providerID`.
    pub provider_id: Option<String>,
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// Taint keys with their effects.
    #[serde(default)]
    pub taints: Vec<(String, String)>,
    /// The condition Ready: `True`, `False` or `Unknown`.
    pub ready: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LoadBalancerFact {
    pub scheme: Option<Scheme>,
    pub subnets: Vec<SubnetId>,
}

impl Facts {
    pub fn service(&self, service: &ServiceRef) -> Option<&ServiceFact> {
        self.services.as_ref()?.get(&service.to_string())
    }
}
