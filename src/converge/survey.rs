//! Everything that account and cluster tell, whatever any manifests need: for a facts file.
//!
//! Each read stands alone: one that is refused leaves its fact out, and the others are made all the same.

use std::collections::BTreeSet;

use futures::FutureExt;
use serde_json::Value;

use super::world::offline_settings;
use crate::{
    aws::AwsRead,
    cluster::ClusterRead,
    config::Config,
    id::StackId,
    model::{
        applied::Applied,
        call::CallError,
        facts::{
            Facts,
            needs::{Needs, Selection},
        },
        observed::Gap,
    },
    observe::{self, aws::Scan},
};

/// The annotation that names the Secret of an OIDC client.
const OIDC: &str = "alb.ingress.kubernetes.io/auth-idp-oidc";

/// `secrets`: `namespace/name` of those to look at beside what the cluster's Ingresses name; never their values.
pub async fn survey(
    aws: &dyn AwsRead,
    cluster: &dyn ClusterRead,
    config: &Config,
    mut secrets: BTreeSet<String>,
) -> (Facts, Vec<Gap>) {
    let mut gaps = Vec::new();
    match cluster.ingresses().await {
        Ok(ingresses) => secrets.extend(ingresses.iter().filter_map(|it| secret(&it.value))),
        Err(error) => gaps.push(gap("Ingress", &error)),
    }
    let mut needs = Needs {
        secrets,
        ..Needs::everything(&offline_settings(Some(config)))
    };
    let vpc_id = match vpc(aws, config).await {
        Ok(id) => id,
        Err(gap) => {
            // EC2 is asked by VPC, so of an unknown one there is nothing to ask.
            gaps.push(gap);
            needs.schemes.clear();
            needs.vpc_cidrs = false;
            needs.security_groups = Selection::default();
            String::new()
        }
    };
    let wanted = observe::cluster::FactsWanted {
        all_services: true,
        nodes: true,
        ingress_classes: true,
        namespaces: needs.namespaces,
        secrets: needs.secrets.clone(),
        ..observe::cluster::FactsWanted::default()
    };
    let (found, unread) = observe::cluster::facts(cluster, &wanted).boxed().await;
    gaps.extend(unread);
    let instances = found.nodes.as_deref().map(observe::aws::instance_ids);
    let wanted = observe::aws::FactsWanted {
        region: config.aws.region.clone(),
        cluster: config.cluster.name.clone(),
        vpc_id: vpc_id.clone(),
        identity: true,
        instances,
        needs: needs.clone(),
    };
    let (account, unread) = observe::aws::facts(aws, &wanted).boxed().await;
    gaps.extend(unread);
    let (named, unread) = observe::aws::lookups(aws, &needs).boxed().await;
    gaps.extend(unread);
    let mut facts = found.and(account).and(named);
    if !vpc_id.is_empty() {
        // There may be no store, and it may be another's: balancers are found by their tags.
        let scan = Scan::read(aws, &config.cluster.name, &vpc_id).boxed().await;
        let (balancers, unread) =
            observe::aws::load_balancers(aws, &Applied::default(), Some(&scan))
                .boxed()
                .await;
        facts.load_balancers = balancers;
        gaps.extend(unread);
    }
    gaps.sort_by(|left, right| (&left.what, &left.message).cmp(&(&right.what, &right.message)));
    gaps.dedup_by(|left, right| (&left.what, &left.message) == (&right.what, &right.message));
    (facts, gaps)
}

/// The configured VPC, else the EKS cluster's.
async fn vpc(aws: &dyn AwsRead, config: &Config) -> Result<String, Gap> {
    if let Some(id) = &config.aws.vpc_id {
        return Ok(id.clone());
    }
    let name = &config.cluster.name;
    let found = aws
        .eks_cluster(name)
        .await
        .map_err(|error| gap("the VPC", &error))?;
    let id = found.vpc_id.ok_or_else(|| Gap {
        stack: StackId::Network,
        what: "the VPC".to_owned(),
        message: format!("the EKS cluster {name} names none; set aws.vpcId"),
        denied: false,
    })?;
    aws.confine(&id);
    Ok(id)
}

fn gap(what: &str, error: &CallError) -> Gap {
    Gap {
        stack: StackId::Network,
        what: what.to_owned(),
        message: error.to_string(),
        denied: error.is_denied(),
    }
}

fn secret(ingress: &Value) -> Option<String> {
    let metadata = &ingress["metadata"];
    let text = metadata["annotations"][OIDC].as_str()?;
    let idp: Value = serde_json::from_str(text).ok()?;
    let name = idp["secretName"].as_str().filter(|name| !name.is_empty())?;
    Some(format!("{}/{name}", metadata["namespace"].as_str()?))
}

#[cfg(test)]
mod tests;
