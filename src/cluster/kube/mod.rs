//! The ports on a real API server. This directory is the only place that names the `kube` crate.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use ::kube::{
    Client, Config,
    config::{KubeConfigOptions, Kubeconfig},
};
use async_trait::async_trait;
use futures::{StreamExt, stream};
use serde_json::{Value, json};
use tokio::{sync::mpsc, task::JoinHandle};

use super::{
    ClusterChange, ClusterRead, ClusterWrite, KindFact, Lease, ObjectEvent, Result, Right, convert,
    event_rate::EventRate,
};
use crate::{
    id::ObjectRef,
    model::{
        call::{CallError, Effect},
        client::ClientCredentials,
        facts::{ClassFact, EndpointFact, Node, ParamsFact, SecretFact, ServiceFact},
        object::LiveObject,
        observed::DryRun,
    },
};

mod discovery;
mod event;
mod object;
mod request;
#[cfg(test)]
mod tests;
mod watch;

use discovery::Discovery;
use request::Collection;

/// Requests in flight at once for one question of ours.
const CONCURRENCY: usize = 8;
/// A granted right is not asked for again for this long; a right that was taken away shows when it is used.
const GRANT_LIFETIME: Duration = Duration::from_secs(600);

/// How to reach the cluster.
#[derive(Clone, Debug)]
pub struct ClusterOptions {
    /// Absent: `KUBECONFIG`, `~/.kube/config`, or the pod's own account, in this order.
    pub kubeconfig: Option<PathBuf>,
    /// A context of the kubeconfig; absent: its current one.
    pub context: Option<String>,
    pub connect_timeout: Duration,
    /// For one request and its whole answer, watches apart.
    pub call_timeout: Duration,
    /// Asked of the server for each watch. Below 240 s, or quiet watches die unnoticed behind balancers (lessons G1).
    pub watch_timeout: Duration,
    /// A watch that the server has not ended this long after that time is dead: we end it.
    pub watch_grace: Duration,
}

impl Default for ClusterOptions {
    fn default() -> Self {
        Self {
            kubeconfig: None,
            context: None,
            connect_timeout: Duration::from_secs(5),
            call_timeout: Duration::from_secs(30),
            watch_timeout: Duration::from_secs(220),
            watch_grace: Duration::from_secs(15),
        }
    }
}

/// A cluster. Cheap to clone; clones share connections and caches.
#[derive(Clone)]
pub struct KubeCluster {
    inner: Arc<Inner>,
}

struct Inner {
    client: Client,
    options: ClusterOptions,
    discovery: Discovery,
    events: Mutex<EventRate>,
    granted: Mutex<BTreeMap<Right, Instant>>,
}

impl KubeCluster {
    /// Reads the configuration and prepares a client; nothing is sent yet.
    pub async fn connect(options: &ClusterOptions) -> Result<Self> {
        // Both of rustls' providers are linked (the AWS SDKs bring the other), so one must be named. It fails only
        // when somebody has chosen already, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut config = load(options).await?;
        config.connect_timeout = Some(options.connect_timeout);
        config.write_timeout = Some(options.call_timeout);
        // Counted from the request on, so that it also ends a watch whose connection died silently.
        config.read_timeout = Some(options.watch_timeout + options.watch_grace * 2);
        config.reset_reader_on_write = true;
        // Retrying is ours (decision 21 of the spec).
        config.default_retry = false;
        config.headers.clear();
        let client = Client::try_from(config)
            .map_err(|error| request::setup_error("the cluster client cannot be made", &error))?;
        Ok(Self {
            inner: Arc::new(Inner {
                client,
                options: options.clone(),
                discovery: Discovery::default(),
                events: Mutex::default(),
                granted: Mutex::default(),
            }),
        })
    }

    /// Reads the OIDC client of a Secret. Its values go to the caller and nowhere else.
    pub async fn oidc_client(&self, namespace: &str, name: &str) -> Result<ClientCredentials> {
        let operation = "get Secret";
        let path = Collection::SECRETS.path(Some(namespace));
        let secret = self
            .fetch(&path, name)
            .await
            .map_err(|failure| failure.read(operation))?;
        convert::oidc_client(&secret).map_err(|key| {
            let message = format!("Secret {namespace}/{name} has no key {key}");
            refused(operation, "Invalid", message)
        })
    }

    /// Follows the objects that routing depends on until the receiver is dropped.
    ///
    /// Nothing is sent for what exists at the start: the first pass looks at everything anyway.
    pub fn watch(&self, tx: mpsc::Sender<ClusterChange>) -> JoinHandle<()> {
        tokio::spawn(watch::run(self.clone(), tx))
    }
}

async fn load(options: &ClusterOptions) -> Result<Config> {
    let context = KubeConfigOptions {
        context: options.context.clone(),
        ..KubeConfigOptions::default()
    };
    let failed = |error: &dyn std::error::Error| {
        request::setup_error("the cluster configuration cannot be used", error)
    };
    match (&options.kubeconfig, &options.context) {
        (Some(path), _) => {
            let file = Kubeconfig::read_from(path).map_err(|error| failed(&error))?;
            Config::from_custom_kubeconfig(file, &context)
                .await
                .map_err(|error| failed(&error))
        }
        (None, Some(_)) => Config::from_kubeconfig(&context)
            .await
            .map_err(|error| failed(&error)),
        (None, None) => Config::infer().await.map_err(|error| failed(&error)),
    }
}

#[async_trait]
impl ClusterRead for KubeCluster {
    async fn identity(&self) -> Result<String> {
        let path = "/api/v1/namespaces";
        let operation = "get Namespace";
        let value = self
            .fetch(path, "kube-system")
            .await
            .map_err(|failure| failure.read(operation))?;
        match value["metadata"]["uid"].as_str() {
            Some(uid) => Ok(uid.to_owned()),
            None => Err(request::unexpected(operation, "the namespace has no uid")),
        }
    }

    async fn kind(&self, api_version: &str, kind: &str) -> Result<Option<KindFact>> {
        self.inner
            .discovery
            .find(self, api_version, kind)
            .await
            .map_err(|failure| failure.read(&format!("discover {api_version}")))
    }

    async fn get(&self, object: &ObjectRef) -> Result<Option<LiveObject>> {
        self.live(object).await
    }

    async fn dry_run(&self, object: &ObjectRef, value: &Value) -> Result<DryRun> {
        Ok(self.look(object, value).await?.1)
    }

    async fn look(
        &self,
        object: &ObjectRef,
        value: &Value,
    ) -> Result<(Option<LiveObject>, DryRun)> {
        self.compare(object, value).await
    }

    async fn nodes(&self) -> Result<Vec<Node>> {
        let items = self.list(Collection::NODES, None, None).await?;
        Ok(items.iter().filter_map(convert::node).collect())
    }

    async fn services(
        &self,
        namespaces: Option<&BTreeSet<String>>,
    ) -> Result<BTreeMap<String, ServiceFact>> {
        let Some(namespaces) = namespaces else {
            let items = self.list(Collection::SERVICES, None, None).await?;
            return Ok(items.iter().filter_map(convert::service).collect());
        };
        let calls: Vec<_> = namespaces
            .iter()
            .map(|namespace| self.list(Collection::SERVICES, Some(namespace), None))
            .collect();
        let lists: Vec<Result<Vec<Value>>> =
            stream::iter(calls).buffered(CONCURRENCY).collect().await;
        let mut services = BTreeMap::new();
        for list in lists {
            services.extend(list?.iter().filter_map(convert::service));
        }
        Ok(services)
    }

    async fn endpoints(
        &self,
        namespaces: &BTreeSet<String>,
    ) -> Result<BTreeMap<String, Vec<EndpointFact>>> {
        let calls: Vec<_> = namespaces
            .iter()
            .map(|namespace| self.list(Collection::ENDPOINT_SLICES, Some(namespace), None))
            .collect();
        let lists: Vec<Result<Vec<Value>>> =
            stream::iter(calls).buffered(CONCURRENCY).collect().await;
        let mut slices = Vec::new();
        for list in lists {
            slices.extend(list?);
        }
        Ok(convert::endpoints(&slices))
    }

    async fn ingresses(&self) -> Result<Vec<LiveObject>> {
        let items = self.list(Collection::INGRESSES, None, None).await?;
        Ok(items
            .into_iter()
            .filter_map(|item| convert::live_object(item, "networking.k8s.io/v1", "Ingress"))
            .collect())
    }

    async fn ingress_classes(&self) -> Result<BTreeMap<String, ClassFact>> {
        let items = self.list(Collection::INGRESS_CLASSES, None, None).await?;
        Ok(items.iter().filter_map(convert::ingress_class).collect())
    }

    async fn ingress_class_params(&self) -> Result<BTreeMap<String, ParamsFact>> {
        let path = Collection::INGRESS_CLASS_PARAMS.path(None);
        match self.list_path(&path, None).await {
            Ok((items, _)) => Ok(items
                .iter()
                .filter_map(convert::ingress_class_params)
                .collect()),
            Err(failure) if failure.is_unserved() => Ok(BTreeMap::new()),
            Err(failure) => Err(failure.read("list IngressClassParams")),
        }
    }

    async fn namespaces(&self) -> Result<BTreeMap<String, BTreeMap<String, String>>> {
        let items = self.list(Collection::NAMESPACES, None, None).await?;
        Ok(items.iter().filter_map(convert::namespace).collect())
    }

    async fn secret(&self, namespace: &str, name: &str) -> Result<Option<SecretFact>> {
        let path = Collection::SECRETS.path(Some(namespace));
        match self.fetch(&path, name).await {
            Ok(value) => Ok(Some(convert::secret(&value))),
            Err(failure) if failure.is_absent() => Ok(None),
            Err(failure) => Err(failure.read("get Secret")),
        }
    }

    async fn lease(&self, namespace: &str, name: &str) -> Result<Option<Lease>> {
        let path = Collection::LEASES.path(Some(namespace));
        match self.fetch(&path, name).await {
            Ok(value) => Ok(convert::lease(&value)),
            Err(failure) if failure.is_absent() => Ok(None),
            Err(failure) => Err(failure.read("get Lease")),
        }
    }

    async fn leases_named(&self, name: &str) -> Result<Vec<Lease>> {
        let selector = format!("metadata.name={name}");
        let items = self.list(Collection::LEASES, None, Some(&selector)).await?;
        Ok(items.iter().filter_map(convert::lease).collect())
    }

    async fn missing_rights(&self, rights: &[Right]) -> Result<Vec<Right>> {
        let open: Vec<&Right> = {
            let mut granted = lock(&self.inner.granted);
            granted.retain(|_, since| since.elapsed() < GRANT_LIFETIME);
            rights
                .iter()
                .filter(|right| !granted.contains_key(right))
                .collect()
        };
        let calls: Vec<_> = open.iter().map(|right| self.allowed(right)).collect();
        let answers: Vec<Result<bool>> = stream::iter(calls).buffered(CONCURRENCY).collect().await;
        let mut missing = Vec::new();
        for (right, answer) in open.into_iter().zip(answers) {
            match answer? {
                true => {
                    lock(&self.inner.granted).insert(right.clone(), Instant::now());
                }
                false => missing.push(right.clone()),
            }
        }
        Ok(missing)
    }
}

#[async_trait]
impl ClusterWrite for KubeCluster {
    async fn apply(&self, object: &ObjectRef, value: &Value, force: bool) -> Result<String> {
        self.apply_object(object, value, force).await
    }

    async fn delete(&self, object: &ObjectRef, uid: &str) -> Result<()> {
        self.delete_object(object, uid).await
    }

    async fn set_ingress_status(
        &self,
        object: &ObjectRef,
        hostname: &str,
        ports: &[u16],
    ) -> Result<()> {
        self.set_status(object, hostname, ports).await
    }

    async fn remove_finalizer(&self, object: &ObjectRef, finalizer: &str) -> Result<()> {
        self.drop_finalizer(object, finalizer).await
    }

    async fn event(&self, event: &ObjectEvent) -> Result<()> {
        self.send_event(event).await
    }
}

impl KubeCluster {
    async fn allowed(&self, right: &Right) -> Result<bool> {
        let (resource, subresource) = right
            .resource
            .split_once('/')
            .map_or((right.resource.as_str(), None), |(resource, sub)| {
                (resource, Some(sub))
            });
        let review = json!({
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": {
                "verb": right.verb,
                "group": right.group,
                "resource": resource,
                "subresource": subresource,
                "namespace": right.namespace,
            }},
        });
        let operation = "create SelfSubjectAccessReview";
        let answer = self
            .create(
                "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews",
                &review,
            )
            .await
            .map_err(|failure| failure.read(operation))?;
        Ok(answer["status"]["allowed"] == true)
    }
}

/// A panic elsewhere leaves these caches usable: each change to them is complete.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn refused(operation: &str, code: &str, message: String) -> CallError {
    CallError {
        service: "kubernetes".to_owned(),
        operation: operation.to_owned(),
        code: Some(code.to_owned()),
        status: None,
        message,
        request_id: None,
        effect: Effect::None,
    }
}
