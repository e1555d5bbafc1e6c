//! The real thing: the only place that names an `aws_sdk` crate.
//!
//! One attempt per call (decision 21 of the spec), every time-out set (lessons A14), every call through the governor.

use std::{
    fmt,
    future::Future,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use aws_config::{
    AppName, BehaviorVersion, Region, SdkConfig, retry::RetryConfig, timeout::TimeoutConfig,
};
use aws_smithy_runtime_api::client::{orchestrator::HttpResponse, result::SdkError};
use aws_smithy_types::error::metadata::ProvideErrorMetadata;

use super::{
    ClientSource, Result,
    governor::{Class, Governor, Priority, Rates},
};
use crate::model::call::{CallError, Effect};

mod acm;
mod ec2;
mod elb;
mod error;
mod iam;
mod lookup;
mod secret;
#[cfg(test)]
mod tests;

const ELB: &str = "elasticloadbalancing";
const EC2: &str = "ec2";
const IAM: &str = "iam";
const STS: &str = "sts";
const EKS: &str = "eks";
const ACM: &str = "acm";
const WAF: &str = "wafv2";

/// Where and how to call AWS, as plain data.
#[derive(Clone, Debug, PartialEq)]
pub struct SdkOptions {
    pub region: String,
    /// Queries of EC2 are confined to it; where it is empty, to the one that [`crate::aws::Ec2Read::confine`] names.
    pub vpc_id: String,
    pub endpoints: Endpoints,
    pub timeouts: Timeouts,
    pub rates: Rates,
}

/// Base URLs in place of AWS's own, per service.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Endpoints {
    pub elb: Option<String>,
    pub ec2: Option<String>,
    pub iam: Option<String>,
    pub sts: Option<String>,
    pub eks: Option<String>,
    pub acm: Option<String>,
    pub wafv2: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    pub connect: Duration,
    /// Until the complete answer is there, connecting included.
    pub attempt: Duration,
    /// The same for everything that one call does: credentials, signing, the attempt.
    pub operation: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(3),
            attempt: Duration::from_secs(15),
            operation: Duration::from_secs(20),
        }
    }
}

impl Endpoints {
    /// One address for all services, as emulators have it.
    pub fn all(url: &str) -> Self {
        let url = || Some(url.to_owned());
        Self {
            elb: url(),
            ec2: url(),
            iam: url(),
            sts: url(),
            eks: url(),
            acm: url(),
            wafv2: url(),
        }
    }
}

/// All ports on the official SDK. Cheap to clone; clones share connections, credentials and governor.
#[derive(Clone)]
pub struct Sdk {
    elb: aws_sdk_elasticloadbalancingv2::Client,
    ec2: aws_sdk_ec2::Client,
    iam: aws_sdk_iam::Client,
    sts: aws_sdk_sts::Client,
    eks: aws_sdk_eks::Client,
    acm: aws_sdk_acm::Client,
    waf: aws_sdk_wafv2::Client,
    /// One for all clones.
    vpc_id: Arc<Mutex<String>>,
    clients: Arc<dyn ClientSource>,
    governor: Arc<Governor>,
    priority: Priority,
}

impl fmt::Debug for Sdk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sdk")
            .field("vpc_id", &self.vpc_id())
            .field("priority", &self.priority)
            .finish_non_exhaustive()
    }
}

impl Sdk {
    /// Prepares the clients, with credentials by the default chain; nothing is called yet.
    pub async fn connect(options: &SdkOptions) -> Self {
        Self::of_config(&shared_config(options).await, options)
    }

    fn of_config(shared: &SdkConfig, options: &SdkOptions) -> Self {
        let endpoints = &options.endpoints;
        macro_rules! client {
            ($sdk:ident, $endpoint:expr) => {{
                let mut config = $sdk::config::Builder::from(shared);
                // Only where we have one: nothing would switch off what the environment says.
                if $endpoint.is_some() {
                    config.set_endpoint_url($endpoint.clone());
                }
                $sdk::Client::from_conf(config.build())
            }};
        }
        Self {
            elb: client!(aws_sdk_elasticloadbalancingv2, endpoints.elb),
            ec2: client!(aws_sdk_ec2, endpoints.ec2),
            iam: client!(aws_sdk_iam, endpoints.iam),
            sts: client!(aws_sdk_sts, endpoints.sts),
            eks: client!(aws_sdk_eks, endpoints.eks),
            acm: client!(aws_sdk_acm, endpoints.acm),
            waf: client!(aws_sdk_wafv2, endpoints.wafv2),
            vpc_id: Arc::new(Mutex::new(options.vpc_id.clone())),
            clients: Arc::new(secret::NoClients),
            governor: Arc::new(Governor::new(&options.rates)),
            priority: Priority::Commit,
        }
    }

    /// The same account with every call at this priority.
    pub fn with_priority(&self, priority: Priority) -> Self {
        Self {
            priority,
            ..self.clone()
        }
    }

    fn vpc_id(&self) -> String {
        self.vpc_id
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// The same account with the clients of OIDC sign-in read from here.
    pub fn with_clients(&self, clients: Arc<dyn ClientSource>) -> Self {
        Self {
            clients,
            ..self.clone()
        }
    }

    /// For metrics and the counts of calls.
    pub fn governor(&self) -> &Arc<Governor> {
        &self.governor
    }

    /// Sends one request when the governor allows it.
    async fn call<T, E>(
        &self,
        service: &'static str,
        class: Class,
        operation: &'static str,
        send: impl Future<Output = std::result::Result<T, SdkError<E, HttpResponse>>> + Send,
    ) -> Result<T>
    where
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    {
        self.governor.take(class, self.priority).await;
        self.governor.count(service, operation);
        let start = std::time::Instant::now();
        let answer = send.await;
        let elapsed_ms = u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX);
        answer
            .inspect(|_| tracing::debug!(service, operation, elapsed_ms, "called aws"))
            .map_err(|error| {
                let error = error::convert(service, operation, &error);
                tracing::debug!(service, operation, elapsed_ms, %error, "call to aws failed");
                if error.is_throttled() {
                    self.governor.on_throttled(class);
                }
                error
            })
    }
}

async fn shared_config(options: &SdkOptions) -> SdkConfig {
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(options.timeouts.connect)
        .read_timeout(options.timeouts.attempt)
        .operation_attempt_timeout(options.timeouts.attempt)
        .operation_timeout(options.timeouts.operation)
        .build();
    let mut loader = aws_config::defaults(BehaviorVersion::latest())
        .region(Region::new(options.region.clone()))
        .retry_config(RetryConfig::disabled())
        .timeout_config(timeouts);
    if let Ok(name) = AppName::new("albsync") {
        loader = loader.app_name(name);
    }
    loader.load().await
}

/// An answer that arrived and lacks what it must hold.
fn unusable(service: &str, operation: &str, lacks: &str) -> CallError {
    CallError {
        service: service.to_owned(),
        operation: operation.to_owned(),
        code: None,
        status: None,
        message: format!("the answer lacks {lacks}"),
        request_id: None,
        effect: Effect::Unknown,
    }
}

/// Asks for page after page: `call` sees the marker of the page that is due, `next` of a page is the marker after it.
macro_rules! paged {
    ($marker:ident => $call:expr, $page:ident => $next:expr, $take:expr) => {{
        let mut $marker: Option<String> = None;
        loop {
            let $page = $call?;
            // An empty marker means the end, and one that repeats would never end.
            let next: Option<String> = $next.clone().filter(|next| !next.is_empty());
            let end = next.is_none() || next == $marker;
            $take;
            if end {
                break;
            }
            $marker = next;
        }
    }};
}
use paged;

impl crate::aws::Counted for Sdk {
    fn calls(&self) -> std::collections::BTreeMap<String, u64> {
        self.governor.counts()
    }
}
