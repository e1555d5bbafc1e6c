//! Bytes to typed documents: pure, complete, never panicking.

use std::collections::BTreeMap;

use crate::{
    id::{ObjectRef, RepoPath},
    problem::Origin,
};

pub mod annotation;
pub mod document;
pub mod ingress;
pub mod irsa;
pub mod service;
pub mod validate;

pub use annotation::IngressOptions;
pub use ingress::{
    Backend, Ingress, IngressClass, IngressClassParams, IngressPath, IngressRule, PathType,
};
pub use irsa::IamServiceAccount;
pub use service::{Service, ServicePort, ServiceRef};

/// Everything one commit declares.
#[derive(Clone, Debug, Default)]
pub struct Manifests {
    /// Every document that goes to the cluster, as written, ours of kind `IAMServiceAccount` excepted (decision: it is
    /// never sent). Sorted by object key.
    pub objects: Vec<Object>,
    pub ingresses: Vec<Ingress>,
    pub classes: Vec<IngressClass>,
    pub params: Vec<IngressClassParams>,
    pub services: Vec<Service>,
    pub iam_service_accounts: Vec<IamServiceAccount>,
    /// Namespaces that the commit declares, with their labels.
    pub namespaces: BTreeMap<String, BTreeMap<String, String>>,
    /// How many objects came from each watched path, for the empty guard (gitops G42).
    pub watched: BTreeMap<RepoPath, usize>,
}

/// One document bound for the cluster.
#[derive(Clone, Debug, PartialEq)]
pub struct Object {
    pub origin: Origin,
    pub reference: ObjectRef,
    /// The whole document; `metadata.namespace` filled in where the kind is namespaced and it was absent.
    pub value: serde_json::Value,
}
