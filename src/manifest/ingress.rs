//! Ingress, IngressClass and IngressClassParams as the model reads them.

use std::collections::BTreeMap;

use super::annotation::IngressOptions;
use crate::problem::{Located, Origin, Problem};

/// One `networking.k8s.io/v1` Ingress.
#[derive(Clone, Debug, PartialEq)]
pub struct Ingress {
    pub origin: Origin,
    pub namespace: String,
    pub name: String,
    /// `spec.ingressClassName`.
    pub class_name: Option<Located<String>>,
    /// The older annotation `kubernetes.io/ingress.class`.
    pub class_annotation: Option<Located<String>>,
    pub default_backend: Option<Located<Backend>>,
    pub rules: Vec<IngressRule>,
    /// All hosts of `spec.tls`.
    pub tls_hosts: Vec<Located<String>>,
    /// Annotations under the `alb.ingress.kubernetes.io/` prefix, parsed.
    pub options: IngressOptions,
    /// All annotations, as written.
    pub annotations: BTreeMap<String, Located<String>>,
    /// Problems that count only if its class turns out to be ours, which facts decide; empty where git alone decides:
    /// then they are among the problems of the parse, or the class is another's.
    pub deferred: Vec<Problem>,
}

impl Ingress {
    /// `namespace/name`.
    pub fn key(&self) -> String {
        format!("{}/{}", self.namespace, self.name)
    }
}

/// One entry of `spec.rules` with its paths in manifest order.
#[derive(Clone, Debug, PartialEq)]
pub struct IngressRule {
    pub origin: Origin,
    /// Absent or empty: any host.
    pub host: Option<Located<String>>,
    pub paths: Vec<IngressPath>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct IngressPath {
    pub origin: Origin,
    /// As written; empty when absent.
    pub path: String,
    pub path_type: PathType,
    pub backend: Located<Backend>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PathType {
    Exact,
    Prefix,
    /// `ImplementationSpecific`, also when unset.
    ImplementationSpecific,
}

/// What a path points at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Backend {
    Service {
        name: String,
        port: PortRef,
    },
    /// `resource` backends; ALB cannot serve them.
    Resource,
}

/// A Service port as the backend spells it; the spelling is part of the target group's identity.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum PortRef {
    Name(String),
    Number(i32),
}

impl std::fmt::Display for PortRef {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Number(number) => write!(f, "{number}"),
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct IngressClass {
    pub origin: Origin,
    pub name: String,
    pub controller: String,
    /// Annotation `ingressclass.kubernetes.io/is-default-class` is exactly `true`.
    pub is_default: bool,
    /// `spec.parameters` as (apiGroup, kind, name).
    pub parameters: Option<Located<(String, String, String)>>,
}

/// `elbv2.k8s.aws/v1beta1` IngressClassParams; its fields are read when they are served.
#[derive(Clone, Debug, PartialEq)]
pub struct IngressClassParams {
    pub origin: Origin,
    pub name: String,
    pub spec: serde_json::Value,
}
