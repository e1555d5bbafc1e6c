//! Services and the ports that rules point at.

use std::collections::BTreeMap;

use super::annotation::IngressOptions;
use crate::{
    manifest::ingress::PortRef,
    problem::{Located, Origin},
};

/// `namespace/name` of a Service.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub struct ServiceRef {
    pub namespace: String,
    pub name: String,
}

impl std::fmt::Display for ServiceRef {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// One `v1` Service as written in git.
#[derive(Clone, Debug, PartialEq)]
pub struct Service {
    pub origin: Origin,
    pub reference: ServiceRef,
    /// `ClusterIP` when absent, as the API server fills in.
    pub service_type: String,
    pub ports: Vec<ServicePort>,
    /// Annotations under our prefix on the Service; they win over the Ingress's (ingress-model §0.3).
    pub options: IngressOptions,
    pub annotations: BTreeMap<String, Located<String>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServicePort {
    pub origin: Origin,
    pub name: Option<String>,
    pub port: i32,
    /// `port` when absent, as the API server fills in.
    pub target_port: PortRef,
    /// Only where git pins it.
    pub node_port: Option<i32>,
}
