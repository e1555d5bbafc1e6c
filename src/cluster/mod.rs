//! Narrow ports to the cluster in our own words.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use async_trait::async_trait;
use serde_json::Value;

use crate::{
    id::{ObjectKey, ObjectRef},
    model::{
        call::CallError,
        facts::{ClassFact, EndpointFact, Node, ParamsFact, SecretFact, ServiceFact},
        object::LiveObject,
        observed::DryRun,
    },
};

pub mod convert;
pub mod diff;
pub mod event_rate;
pub mod fake;
#[cfg(feature = "live")]
pub mod kube;

pub type Result<T> = std::result::Result<T, CallError>;

/// The field manager of everything we apply.
pub const FIELD_MANAGER: &str = "albsync";

/// One right, for a SelfSubjectAccessReview.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Right {
    pub verb: String,
    pub group: String,
    /// Plural resource name; `ingresses/status` for a subresource.
    pub resource: String,
    pub namespace: Option<String>,
}

impl Right {
    /// `resource` may name a subresource: `ingresses/status`.
    pub fn new(verb: &str, group: &str, resource: &str, namespace: Option<&str>) -> Self {
        Self {
            verb: verb.to_owned(),
            group: group.to_owned(),
            resource: resource.to_owned(),
            namespace: namespace.map(str::to_owned),
        }
    }
}

impl fmt::Display for Right {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.verb, self.resource)?;
        if !self.group.is_empty() {
            write!(f, ".{}", self.group)?;
        }
        match &self.namespace {
            Some(namespace) => write!(f, " in namespace {namespace}"),
            None => f.write_str(" in the whole cluster"),
        }
    }
}

/// The state of a leader-election lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    pub namespace: String,
    pub name: String,
    pub holder: Option<String>,
    /// RFC 3339; absent: never renewed.
    pub renewed_at: Option<String>,
    pub duration_seconds: i32,
}

/// What a watch says: look at this object again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterChange {
    pub object: ObjectKey,
    pub change: Change,
    /// The latest writer of the object is our own field manager: very likely the echo of our own write.
    pub ours: bool,
}

/// How an object changed, as far as it matters to us.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Change {
    Added,
    Modified,
    Deleted,
}

/// How a kind is served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KindFact {
    pub plural: String,
    pub namespaced: bool,
}

#[async_trait]
pub trait ClusterRead: Send + Sync {
    /// The uid of the namespace kube-system: the cluster's identity.
    async fn identity(&self) -> Result<String>;
    /// `None` when the API server does not serve it.
    async fn kind(&self, api_version: &str, kind: &str) -> Result<Option<KindFact>>;
    async fn get(&self, object: &ObjectRef) -> Result<Option<LiveObject>>;
    /// Sends a server-side apply with `dryRun=All` (forced, as the real one would be).
    async fn dry_run(&self, object: &ObjectRef, value: &Value) -> Result<DryRun>;
    /// [`Self::get`] and [`Self::dry_run`] in one: an implementation that compares with the live object anyway hands it
    /// out without asking twice.
    async fn look(
        &self,
        object: &ObjectRef,
        value: &Value,
    ) -> Result<(Option<LiveObject>, DryRun)> {
        Ok((self.get(object).await?, self.dry_run(object, value).await?))
    }
    async fn nodes(&self) -> Result<Vec<Node>>;
    /// All Services, or those of these namespaces; key `namespace/name`. Paged.
    async fn services(
        &self,
        namespaces: Option<&BTreeSet<String>>,
    ) -> Result<BTreeMap<String, ServiceFact>>;
    /// Pods behind the Services of these namespaces, by `namespace/name` of the Service. Paged.
    async fn endpoints(
        &self,
        namespaces: &BTreeSet<String>,
    ) -> Result<BTreeMap<String, Vec<EndpointFact>>>;
    /// All Ingresses of the cluster, whoever made them.
    async fn ingresses(&self) -> Result<Vec<LiveObject>>;
    /// By name.
    async fn ingress_classes(&self) -> Result<BTreeMap<String, ClassFact>>;
    /// By name; empty where the kind is not served.
    async fn ingress_class_params(&self) -> Result<BTreeMap<String, ParamsFact>>;
    /// Name → labels.
    async fn namespaces(&self) -> Result<BTreeMap<String, BTreeMap<String, String>>>;
    /// What a Secret is like; its values are dropped at once.
    async fn secret(&self, namespace: &str, name: &str) -> Result<Option<SecretFact>>;
    async fn lease(&self, namespace: &str, name: &str) -> Result<Option<Lease>>;
    /// Leases of this name in all namespaces.
    async fn leases_named(&self, name: &str) -> Result<Vec<Lease>>;
    /// Those of the rights that we do not have.
    async fn missing_rights(&self, rights: &[Right]) -> Result<Vec<Right>>;
}

/// One Event on an object. Reporting never changes what a pass comes to (gitops G84).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectEvent {
    pub object: ObjectRef,
    pub uid: Option<String>,
    /// `Normal` or `Warning`.
    pub kind: String,
    /// CamelCase, closed list: `SuccessfullyReconciled`, `Rejected`, `DriftHealed`, `Held`, `FailedDeployModel` …
    pub reason: String,
    pub message: String,
}

#[async_trait]
pub trait ClusterWrite: ClusterRead {
    /// Server-side apply; returns the object's uid.
    async fn apply(&self, object: &ObjectRef, value: &Value, force: bool) -> Result<String>;
    /// With a uid precondition; foreground for nothing, background propagation.
    async fn delete(&self, object: &ObjectRef, uid: &str) -> Result<()>;
    async fn set_ingress_status(
        &self,
        object: &ObjectRef,
        hostname: &str,
        ports: &[u16],
    ) -> Result<()>;
    async fn remove_finalizer(&self, object: &ObjectRef, finalizer: &str) -> Result<()>;
    async fn event(&self, event: &ObjectEvent) -> Result<()>;
}

/// Live objects by identity.
pub type LiveObjects = BTreeMap<ObjectKey, LiveObject>;
