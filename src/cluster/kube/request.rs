//! One request: its path, its time limit, its pages, and what its failure means.

use std::{error::Error, time::Duration};

use ::kube::{
    client::AuthError,
    core::{
        Request,
        params::{DeleteParams, GetParams, ListParams, Patch, PatchParams, PostParams},
        response::Status,
    },
};
use serde_json::Value;

use super::{KubeCluster, Result, refused};
use crate::model::call::{CallError, Effect, chain};

/// Items per page of a list (lessons G2).
const PAGE: u32 = 500;
/// A list whose continue token expired half-way is begun anew this often.
const LIST_ATTEMPTS: u32 = 3;
/// What we keep of an error's text, in characters.
const TEXT_LIMIT: usize = 2000;

/// A kind that we read by its own list.
#[derive(Clone, Copy, Debug)]
pub(super) struct Collection {
    pub kind: &'static str,
    pub group: &'static str,
    /// `/api/v1` or `/apis/GROUP/VERSION`.
    base: &'static str,
    plural: &'static str,
}

impl Collection {
    pub const NODES: Self = Self::new("Node", "", "/api/v1", "nodes");
    pub const NAMESPACES: Self = Self::new("Namespace", "", "/api/v1", "namespaces");
    pub const SECRETS: Self = Self::new("Secret", "", "/api/v1", "secrets");
    pub const SERVICES: Self = Self::new("Service", "", "/api/v1", "services");
    pub const ENDPOINT_SLICES: Self = Self::new(
        "EndpointSlice",
        "discovery.k8s.io",
        "/apis/discovery.k8s.io/v1",
        "endpointslices",
    );
    pub const SERVICE_ACCOUNTS: Self =
        Self::new("ServiceAccount", "", "/api/v1", "serviceaccounts");
    pub const INGRESSES: Self = Self::new(
        "Ingress",
        "networking.k8s.io",
        "/apis/networking.k8s.io/v1",
        "ingresses",
    );
    pub const INGRESS_CLASSES: Self = Self::new(
        "IngressClass",
        "networking.k8s.io",
        "/apis/networking.k8s.io/v1",
        "ingressclasses",
    );
    pub const INGRESS_CLASS_PARAMS: Self = Self::new(
        "IngressClassParams",
        "elbv2.k8s.aws",
        "/apis/elbv2.k8s.aws/v1beta1",
        "ingressclassparams",
    );
    pub const LEASES: Self = Self::new(
        "Lease",
        "coordination.k8s.io",
        "/apis/coordination.k8s.io/v1",
        "leases",
    );

    const fn new(
        kind: &'static str,
        group: &'static str,
        base: &'static str,
        plural: &'static str,
    ) -> Self {
        Self {
            kind,
            group,
            base,
            plural,
        }
    }

    pub fn path(self, namespace: Option<&str>) -> String {
        collection_path(self.base, self.plural, namespace)
    }
}

pub(super) fn collection_path(base: &str, plural: &str, namespace: Option<&str>) -> String {
    match namespace {
        Some(namespace) => format!("{base}/namespaces/{namespace}/{plural}"),
        None => format!("{base}/{plural}"),
    }
}

/// Why a request gave no result.
#[derive(Debug)]
pub(super) enum Failure {
    /// The API server said no.
    Api(Box<Status>),
    /// No definite answer.
    Lost(String),
    /// Nothing was sent.
    Unsent(String),
}

impl Failure {
    /// The API server itself says that the object does not exist; a proxy's 404 page does not prove that.
    pub fn is_absent(&self) -> bool {
        matches!(self, Self::Api(status) if status.code == 404 && status.reason == "NotFound" && !names_no_object(status))
    }

    /// The path itself is unknown: the kind is not served, or not any more.
    pub fn is_unserved(&self) -> bool {
        matches!(self, Self::Api(status) if status.code == 404
            && ((status.reason == "NotFound" && names_no_object(status))
                || status.message.trim() == "404 page not found"))
    }

    pub fn is_expired(&self) -> bool {
        matches!(self, Self::Api(status) if status.code == 410)
    }

    pub fn is_forbidden(&self) -> bool {
        matches!(self, Self::Api(status) if status.code == 403)
    }

    /// As an error of a call that changes nothing.
    pub fn read(self, operation: &str) -> CallError {
        self.into_error(operation, false)
    }

    /// As an error of a call that may have taken effect.
    pub fn write(self, operation: &str) -> CallError {
        self.into_error(operation, true)
    }

    fn into_error(self, operation: &str, write: bool) -> CallError {
        let unknown = if write { Effect::Unknown } else { Effect::None };
        let (code, status, message, effect) = match self {
            Self::Api(status) => {
                let effect = if status.code >= 500 {
                    unknown
                } else {
                    Effect::None
                };
                (
                    Some(code(&status)),
                    Some(status.code),
                    limited(&status.message),
                    effect,
                )
            }
            Self::Lost(message) => (None, None, limited(&message), unknown),
            Self::Unsent(message) => (
                Some("Unsent".to_owned()),
                None,
                limited(&message),
                Effect::None,
            ),
        };
        CallError {
            status,
            message,
            effect,
            code,
            ..refused(operation, "", String::new())
        }
    }
}

/// Kubernetes' reason where there is one; answers that are not Kubernetes' own have a code of their own, so that a
/// gateway's 404 is never taken for a proof of absence.
fn code(status: &Status) -> String {
    let known = !status.reason.is_empty() && !status.reason.contains(' ');
    match (known, status.code) {
        (true, _) => status.reason.clone(),
        (false, 429) => "TooManyRequests".to_owned(),
        (false, code) => format!("Http{code}"),
    }
}

fn names_no_object(status: &Status) -> bool {
    status
        .details
        .as_ref()
        .is_none_or(|details| details.name.is_empty())
}

impl From<::kube::Error> for Failure {
    fn from(error: ::kube::Error) -> Self {
        use ::kube::Error as E;
        match error {
            E::Api(mut status) => {
                // What the schema does not know is answered with 500 and no reason, yet it is a definite refusal.
                if status.code == 500 && status.message.contains("failed to create typed patch") {
                    status.code = 422;
                    status.reason = "Invalid".to_owned();
                }
                Self::Api(status)
            }
            E::BuildRequest(error) => Self::Unsent(error.to_string()),
            E::Auth(error) => Self::Unsent(auth_text(&error)),
            E::Service(error) => match error.downcast_ref::<AuthError>() {
                Some(error) => Self::Unsent(auth_text(error)),
                None => Self::Lost(chain(error.as_ref())),
            },
            other => Self::Lost(chain(&other)),
        }
    }
}

/// An exec plugin's output may hold a token: it is never shown.
fn auth_text(error: &AuthError) -> String {
    match error {
        AuthError::ReadTokenFile(source, path) => {
            format!("the token file {} cannot be read: {source}", path.display())
        }
        AuthError::AuthExecStart(source) => {
            format!("the credentials command cannot be started: {source}")
        }
        AuthError::AuthExecRun { cmd, out } => {
            format!("the credentials command {cmd} ended with {}", out.status)
        }
        _ => "no credentials for the cluster could be obtained".to_owned(),
    }
}

fn limited(text: &str) -> String {
    let text = text.trim();
    if text.chars().count() <= TEXT_LIMIT {
        return text.to_owned();
    }
    let mut cut: String = text.chars().take(TEXT_LIMIT).collect();
    cut.push('…');
    cut
}

pub(super) fn setup_error(what: &str, error: &dyn Error) -> CallError {
    let text = format!("{what}: {}", chain(error));
    refused("connect", "Setup", limited(&text))
}

pub(super) fn unexpected(operation: &str, what: &str) -> CallError {
    refused(operation, "UnexpectedAnswer", what.to_owned())
}

/// Names go into paths: anything that could change the path's meaning is refused before it is sent.
pub(super) fn checked<'a>(operation: &str, name: &'a str) -> Result<&'a str> {
    let plain = |it: char| it.is_ascii_alphanumeric() || matches!(it, '-' | '.' | ':' | '_');
    if name.is_empty() || name == "." || name == ".." || !name.chars().all(plain) {
        return Err(refused(
            operation,
            "Invalid",
            format!("{name:?} is no name of a Kubernetes object"),
        ));
    }
    Ok(name)
}

type Sent<T> = std::result::Result<T, Failure>;

impl KubeCluster {
    pub(super) async fn fetch(&self, path: &str, name: &str) -> Sent<Value> {
        let request = Request::new(path).get(name, &GetParams::default());
        let request = request.map_err(|error| Failure::Unsent(error.to_string()))?;
        self.limited(self.inner.client.request::<Value>(request))
            .await
    }

    pub(super) async fn create(&self, path: &str, value: &Value) -> Sent<Value> {
        let body = value.to_string().into_bytes();
        let request = Request::new(path).create(&PostParams::default(), body);
        let request = request.map_err(|error| Failure::Unsent(error.to_string()))?;
        self.limited(self.inner.client.request::<Value>(request))
            .await
    }

    pub(super) async fn patch(
        &self,
        path: &str,
        name: &str,
        params: &PatchParams,
        patch: &Patch<&Value>,
    ) -> Sent<Value> {
        let request = Request::new(path).patch(name, params, patch);
        let request = request.map_err(|error| Failure::Unsent(error.to_string()))?;
        self.limited(self.inner.client.request::<Value>(request))
            .await
    }

    pub(super) async fn patch_status(
        &self,
        path: &str,
        name: &str,
        params: &PatchParams,
        patch: &Patch<&Value>,
    ) -> Sent<Value> {
        let request = Request::new(path).patch_subresource("status", name, params, patch);
        let request = request.map_err(|error| Failure::Unsent(error.to_string()))?;
        self.limited(self.inner.client.request::<Value>(request))
            .await
    }

    pub(super) async fn remove(&self, path: &str, name: &str, params: &DeleteParams) -> Sent<()> {
        let request = Request::new(path).delete(name, params);
        let request = request.map_err(|error| Failure::Unsent(error.to_string()))?;
        self.limited(self.inner.client.request::<Value>(request))
            .await
            .map(|_| ())
    }

    /// The raw answer of a path, for discovery.
    pub(super) async fn fetch_path(&self, path: &str) -> Sent<Value> {
        let (parent, name) = path.rsplit_once('/').unwrap_or(("", path));
        self.fetch(parent, name).await
    }

    /// All pages of a list.
    pub(super) async fn list(
        &self,
        collection: Collection,
        namespace: Option<&str>,
        fields: Option<&str>,
    ) -> Result<Vec<Value>> {
        let operation = format!("list {}", collection.kind);
        if let Some(namespace) = namespace {
            checked(&operation, namespace)?;
        }
        self.list_path(&collection.path(namespace), fields)
            .await
            .map(|(items, _)| items)
            .map_err(|failure| failure.read(&operation))
    }

    /// All pages of a list and the version of the first page.
    pub(super) async fn list_path(
        &self,
        path: &str,
        fields: Option<&str>,
    ) -> Sent<(Vec<Value>, String)> {
        let mut attempt = 1;
        loop {
            match self.pages(path, fields).await {
                // Compacted away between two pages.
                Err(failure) if failure.is_expired() && attempt < LIST_ATTEMPTS => attempt += 1,
                other => return other,
            }
        }
    }

    async fn pages(&self, path: &str, fields: Option<&str>) -> Sent<(Vec<Value>, String)> {
        let mut items = Vec::new();
        let mut params = ListParams::default().limit(PAGE);
        params.field_selector = fields.map(str::to_owned);
        loop {
            let request = Request::new(path).list(&params);
            let request = request.map_err(|error| Failure::Unsent(error.to_string()))?;
            let mut page = self
                .limited(self.inner.client.request::<Value>(request))
                .await?;
            let version = page["metadata"]["resourceVersion"]
                .as_str()
                .unwrap_or_default()
                .to_owned();
            match page.get_mut("items").map(Value::take) {
                Some(Value::Array(part)) => items.extend(part),
                Some(Value::Null) => {}
                _ => return Err(Failure::Lost("the answer is no list".to_owned())),
            }
            match page["metadata"]["continue"].as_str() {
                Some(token) if !token.is_empty() => params.continue_token = Some(token.to_owned()),
                _ => return Ok((items, version)),
            }
        }
    }

    async fn limited<T>(
        &self,
        call: impl Future<Output = std::result::Result<T, ::kube::Error>>,
    ) -> Sent<T> {
        let limit: Duration = self.inner.options.call_timeout;
        match tokio::time::timeout(limit, call).await {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(error)) => Err(error.into()),
            Err(_) => Err(Failure::Lost(format!(
                "no answer within {} s",
                limit.as_secs_f32()
            ))),
        }
    }
}
