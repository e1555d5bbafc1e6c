//! From the configuration to clients: what `run` and a `plan` without a daemon share.

use std::{collections::BTreeSet, sync::Arc};

use futures::FutureExt;

use super::{CliError, Exit, client};
use crate::{
    aws::{
        self, ClientSource,
        governor::{Rate, Rates},
        sdk::{Endpoints, Sdk, SdkOptions, Timeouts},
    },
    cluster::kube::{ClusterOptions, KubeCluster},
    config::{Config, RateConfig},
    converge::{
        Context,
        preview::{self, Preview, PreviewTarget},
        survey,
        world::World,
    },
    daemon,
    model::{
        call::chain, client::ClientCredentials, facts::Facts, group::SecretRef, observed::Gap,
    },
    report::Reporter,
    source::Mirror,
    store::Store,
};

/// The AWS clients of a configuration; nothing is called yet.
pub async fn aws(config: &Config) -> Sdk {
    Sdk::connect(&sdk_options(config)).await
}

/// What the configuration says of the VPC; empty: the first pass asks the EKS cluster.
pub fn vpc_id(config: &Config) -> String {
    config.aws.vpc_id.clone().unwrap_or_default()
}

fn sdk_options(config: &Config) -> SdkOptions {
    let rate = |rate: RateConfig| Rate {
        per_second: rate.per_second,
        burst: rate.burst,
    };
    let endpoints = &config.aws.endpoints;
    let rates = &config.aws.rates;
    SdkOptions {
        region: config.aws.region.clone(),
        vpc_id: vpc_id(config),
        endpoints: Endpoints {
            elb: endpoints.elasticloadbalancing.clone(),
            ec2: endpoints.ec2.clone(),
            iam: endpoints.iam.clone(),
            sts: endpoints.sts.clone(),
            eks: endpoints.eks.clone(),
            acm: endpoints.acm.clone(),
            wafv2: endpoints.wafv2.clone(),
        },
        timeouts: Timeouts {
            connect: config.aws.timeouts.connect,
            attempt: config.aws.timeouts.attempt,
            operation: config.aws.timeouts.attempt,
        },
        rates: Rates {
            elb_describe: rate(rates.elb_describe),
            elb_modify: rate(rates.elb_modify),
            elb_register: rate(rates.elb_register),
            elb_write: rate(rates.elb_write),
            ec2_read: rate(rates.ec2_read),
            ec2_write: rate(rates.ec2_write),
            iam_read: rate(rates.iam_read),
            iam_write: rate(rates.iam_write),
            account: rate(rates.account),
        },
    }
}

/// The client of the configured cluster.
///
/// # Errors
/// The kubeconfig cannot be used.
pub async fn cluster(config: &Config) -> Result<KubeCluster, CliError> {
    KubeCluster::connect(&ClusterOptions {
        kubeconfig: config.cluster.kubeconfig.clone(),
        context: config.cluster.context.clone(),
        ..ClusterOptions::default()
    })
    .await
    .map_err(|error| {
        CliError::usage(format!("no way to the cluster: {error}")).hint("see cluster.kubeconfig")
    })
}

/// The clients of OIDC sign-in, from the cluster's Secrets.
pub struct Secrets(pub KubeCluster);

#[async_trait::async_trait]
impl ClientSource for Secrets {
    async fn client(&self, secret: &SecretRef) -> aws::Result<ClientCredentials> {
        self.0.oidc_client(&secret.namespace, &secret.name).await
    }
}

/// A preview without a daemon: the store is read where there is one.
///
/// # Errors
/// No configuration is named, or something cannot be reached.
pub fn preview(places: &client::Places, target: &PreviewTarget) -> Result<Preview, CliError> {
    let config = places.config.clone().ok_or_else(|| {
        CliError::usage(format!(
            "no daemon listens on {} and no configuration is named",
            places.socket.display()
        ))
        .hint("name one with --config FILE")
    })?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| CliError::new(Exit::Failed, format!("no threads: {error}")))?;
    runtime.block_on(async {
        let store = if places.state_dir.join("store").exists() {
            client::open_store(places)?
        } else {
            Store::ephemeral().map_err(|error| CliError::new(Exit::Failed, chain(&error)))?
        };
        let source = Mirror::open(&config.state_dir, &config.source)
            .map_err(|error| CliError::usage(chain(&error)))?;
        let cx = Context {
            source: Arc::new(source),
            aws: Arc::new(aws(&config).await),
            cluster: Arc::new(cluster(&config).await?),
            reporter: Reporter::new(daemon::first_status(&config)),
            world: World::new(vpc_id(&config), true),
            config: Arc::new(config),
            store,
        };
        preview::preview(&cx, target.clone())
            .await
            .map_err(|error| CliError::new(Exit::from_code(error.exit), error.message))
    })
}

/// All that account and cluster tell, with what could not be read. `secrets`: those to look at, as `namespace/name`.
///
/// # Errors
/// The cluster's kubeconfig cannot be used.
pub fn facts(config: &Config, secrets: BTreeSet<String>) -> Result<(Facts, Vec<Gap>), CliError> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| CliError::new(Exit::Failed, format!("no threads: {error}")))?;
    runtime.block_on(async {
        let (aws, cluster) = (aws(config).await, cluster(config).await?);
        Ok(survey::survey(&aws, &cluster, config, secrets)
            .boxed()
            .await)
    })
}
