//! Bytes to typed documents: pure, complete, never panicking.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    id::{ObjectRef, RepoPath},
    problem::{Checked, Origin},
    source::snapshot::Snapshot,
    yaml::Limits,
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
pub use irsa::{IamServiceAccount, ServiceAccount};
pub use service::{Service, ServicePort, ServiceRef};

/// How documents are read; everything that comes from the configuration.
#[derive(Clone, Debug)]
pub struct ParseOptions {
    /// Only `.yaml` and `.yml` files under these are manifests; `.` is the whole repository.
    pub watched: Vec<RepoPath>,
    /// Names of checks (problem codes) that are lowered to warnings; those that may not be lowered stay problems.
    pub lowered: BTreeSet<String>,
    /// The value of the annotation `kubernetes.io/ingress.class` that means us (LBC's `--ingress-class`).
    pub ingress_class: String,
    pub limits: Limits,
}

impl Default for ParseOptions {
    fn default() -> Self {
        Self {
            watched: vec![RepoPath::from(".")],
            lowered: BTreeSet::new(),
            ingress_class: "alb".to_owned(),
            limits: Limits::default(),
        }
    }
}

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
    /// ServiceAccounts of git, which are among `objects` too: what a role's binding has to agree with.
    pub service_accounts: Vec<ServiceAccount>,
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

/// Reads all manifests of a snapshot. The value holds what is good; problems reject (gitops R13).
pub fn parse(_snapshot: &Snapshot, _options: &ParseOptions) -> Checked<Manifests> {
    Checked::default()
}

/// The files that `IAMServiceAccount` documents name by `file:`, as paths in the repository. Names that lead out of it
/// are left out; [`parse`] reports them.
pub fn named_files(_snapshot: &Snapshot) -> BTreeSet<RepoPath> {
    BTreeSet::new()
}
