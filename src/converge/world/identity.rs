//! Who we are in AWS and in the cluster, what of the configuration shapes the model, and whether somebody else writes.

use std::collections::BTreeSet;

use futures::FutureExt;
use jiff::Timestamp;

use super::super::{Context, Stopped};
use crate::{
    config::{Config, ProviderPolicy, SchemeConfig, TargetTypeConfig},
    id::Arn,
    manifest::annotation::{Scheme, TargetType},
    model::{
        digest::digest,
        settings::{IamSettings, Settings},
    },
    observe,
    plan::{Plane, ReadOnly},
    store::{Pins, StoreError},
};

/// Settings without any account, for checking manifests offline.
pub fn offline_settings(config: Option<&Config>) -> Settings {
    match config {
        Some(config) => settings(config, None),
        None => Settings::offline(),
    }
}

pub(super) fn settings(config: &Config, account: Option<&str>) -> Settings {
    let arns = |texts: &BTreeSet<String>| texts.iter().map(|text| Arn::new(text.clone())).collect();
    Settings {
        cluster_name: config.cluster.name.clone(),
        installation: installation(config, account.unwrap_or_default()),
        repo_id: digest(&config.source.url).chars().take(12).collect(),
        ingress_class: config.ingress.class.clone(),
        default_scheme: match config.ingress.default_scheme {
            SchemeConfig::Internal => Scheme::Internal,
            SchemeConfig::InternetFacing => Scheme::InternetFacing,
        },
        default_target_type: target_type(config),
        default_tags: config.ingress.default_tags.clone(),
        flags: config.ingress.flags.clone(),
        gates: config.ingress.feature_gates,
        checks: config.checks.mode,
        alb_owner_tag: config.ingress.owner_tag,
        iam: IamSettings {
            path: config.iam_path(),
            role_prefix: config.iam.role_prefix.clone(),
            permissions_boundary: config.iam.permissions_boundary.clone().map(Arn::new),
            allowed_boundaries: arns(&config.iam.allowed_boundaries),
            allowed_policies: config.iam.allowed_policies.clone(),
            ensure_provider: config.iam.oidc_provider == ProviderPolicy::Ensure,
            allow_adoption: config.iam.allow_adoption,
        },
        lowered: config.checks.lowered.clone(),
    }
}

/// How targets are registered where no document says.
pub fn target_type(config: &Config) -> TargetType {
    match config.ingress.default_target_type {
        TargetTypeConfig::Instance => TargetType::Instance,
        TargetTypeConfig::Ip => TargetType::Ip,
    }
}

/// Decision 27 of the spec: by default a hash over account, region and cluster, so that it survives the store's loss.
pub(super) fn installation(config: &Config, account: &str) -> String {
    config.installation.clone().unwrap_or_else(|| {
        digest(&(account, &config.aws.region, &config.cluster.name))
            .chars()
            .take(16)
            .collect()
    })
}

/// Who we are, asked once, and compared with who we were: another account or cluster is never written to (gitops G72).
pub async fn pin(cx: &Context) -> Result<(), Stopped> {
    let known = cx.world.state().identity.clone();
    if known.is_some() {
        return Ok(());
    }
    let (identity, cluster) = futures::join!(cx.aws.identity(), cx.cluster.identity());
    let identity = identity
        .map_err(|error| Stopped::new("AccountUnknown", format!("who we are in AWS: {error}")))?;
    let cluster = cluster.map_err(|error| {
        Stopped::new(
            "ClusterUnreachable",
            format!("which cluster this is: {error}"),
        )
    })?;
    let installation = installation(&cx.config, &identity.account);
    let pins = Pins {
        installation: Some(installation.clone()),
        account: Some(identity.account.clone()),
        cluster: Some(cluster),
    };
    cx.store.pin(&pins).map_err(|error| match error {
        StoreError::PinMismatch { .. } => Stopped::new(
            "TargetIdentityMismatch",
            format!("{error}; nothing is written. Give this target a state directory of its own"),
        ),
        error => Stopped::store(error),
    })?;
    confine(cx).await?;
    cx.reporter
        .change(|status| status.installation = installation);
    cx.world.state().identity = Some(identity);
    Ok(())
}

/// Where we are: the configured VPC, else the EKS cluster's. Asked here and not before the daemon starts, so that an
/// unreachable EKS is a state that is told and tried again, like an unreachable repository.
async fn confine(cx: &Context) -> Result<(), Stopped> {
    if cx.world.has_vpc() {
        return Ok(());
    }
    let name = &cx.config.cluster.name;
    let unknown = |why: String| Stopped::new("NetworkUnknown", format!("which VPC this is: {why}"));
    let cluster = cx.aws.eks_cluster(name).await.map_err(|error| {
        unknown(format!(
            "the EKS cluster {name} cannot be described: {error}; set aws.vpcId, or grant eks:DescribeCluster \
             (examples/iam-policy.json)"
        ))
    })?;
    let vpc_id = cluster.vpc_id.ok_or_else(|| {
        unknown(format!(
            "the EKS cluster {name} names no VPC; set aws.vpcId"
        ))
    })?;
    cx.aws.confine(&vpc_id);
    cx.world.set_vpc(vpc_id);
    Ok(())
}

/// While the AWS Load Balancer Controller's lease is renewed, AWS is read-only (decision 28 of the spec).
pub async fn other_controller(cx: &Context) -> Result<Option<ReadOnly>, Stopped> {
    let found = observe::cluster::lbc_active(&*cx.cluster, &cx.config.leases.lbc, Timestamp::now())
        .boxed()
        .await;
    let why = match found {
        Ok(holder) => {
            holder.map(|holder| format!("the AWS Load Balancer Controller runs: lease {holder}"))
        }
        // Could not read is not absent: two writers on one listener cost traffic.
        Err(gap) => Some(format!(
            "whether the AWS Load Balancer Controller runs is not known: {}",
            gap.message
        )),
    };
    cx.reporter.read_only(why.clone());
    Ok(why.map(|why| ReadOnly {
        plane: Plane::Aws,
        why,
    }))
}
