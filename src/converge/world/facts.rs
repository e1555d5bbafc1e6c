//! Facts for the model: the cluster's are read in each pass, AWS's kept from sweep to sweep.

use std::collections::{BTreeMap, BTreeSet};

use futures::FutureExt;

use super::{super::Context, KeptFacts};
use crate::{
    config::SchemeConfig,
    manifest::{
        Manifests,
        annotation::{Scheme, Setting},
    },
    model::{
        facts::{Facts, LoadBalancerFact},
        observed::Gap,
    },
    observe,
};

/// The facts of the moment: the cluster's are read, AWS's kept from sweep to sweep.
pub async fn facts(cx: &Context, manifests: &Manifests) -> (Facts, Vec<Gap>) {
    let namespaces = manifests
        .ingresses
        .iter()
        .map(|ingress| ingress.namespace.clone());
    let wanted = observe::cluster::FactsWanted {
        service_namespaces: Some(namespaces.collect()),
        nodes: !manifests.ingresses.is_empty(),
        ingress_classes: !manifests.ingresses.is_empty(),
        declared_classes: manifests
            .classes
            .iter()
            .map(|class| class.name.clone())
            .collect(),
    };
    let (mut facts, mut gaps) = observe::cluster::facts(&*cx.cluster, &wanted).boxed().await;
    let instances = facts
        .nodes
        .as_deref()
        .map(observe::aws::instance_ids)
        .unwrap_or_default();
    let (aws, unread) = aws_facts(cx, manifests, instances).await;
    gaps.extend(unread);
    facts.account = aws.account;
    facts.partition = aws.partition;
    facts.region = Some(cx.config.aws.region.clone());
    facts.cluster = Some(cx.config.cluster.name.clone());
    facts.cluster_arn = aws.cluster_arn;
    facts.oidc_issuer = aws.oidc_issuer;
    facts.vpc = aws.vpc;
    facts.subnets = aws.subnets;
    facts.security_groups = aws.security_groups;
    facts.instance_groups = aws.instance_groups;
    let (balancers, unread) = load_balancers(cx).await;
    facts.load_balancers = balancers;
    gaps.extend(unread);
    if !manifests.iam_service_accounts.is_empty()
        && let Some(scan) = &cx.world.state().iam_scan
    {
        // Named before the first write.
        gaps.extend(scan.gaps());
    }
    (facts, gaps)
}

/// Account and network: read when a sweep forgot them, when nodes came, or when a scheme is asked for the first time.
async fn aws_facts(
    cx: &Context,
    manifests: &Manifests,
    instances: BTreeSet<String>,
) -> (Facts, Vec<Gap>) {
    let default = match cx.config.ingress.default_scheme {
        SchemeConfig::Internal => Scheme::Internal,
        SchemeConfig::InternetFacing => Scheme::InternetFacing,
    };
    let schemes: BTreeSet<Scheme> = manifests
        .ingresses
        .iter()
        .map(|ingress| {
            ingress
                .options
                .load_balancer
                .scheme
                .as_ref()
                .and_then(Setting::good)
                .map_or(default, |scheme| *scheme)
        })
        .collect();
    let eks = !manifests.iam_service_accounts.is_empty();
    let vpc_id = {
        let state = cx.world.state();
        if let Some(kept) = &state.facts
            && (kept.eks || !eks)
            && instances.is_subset(&kept.instances)
            && schemes.is_subset(&kept.schemes)
        {
            return (kept.facts.clone(), Vec::new());
        }
        state.vpc_id.clone()
    };
    let wanted = observe::aws::FactsWanted {
        region: cx.config.aws.region.clone(),
        cluster: cx.config.cluster.name.clone(),
        vpc_id,
        vpc_cidrs: false,
        identity: true,
        eks,
        subnets_for: schemes.clone(),
        instances: Some(instances.clone()),
    };
    let (facts, gaps) = observe::aws::facts(&*cx.aws, &wanted).boxed().await;
    if gaps.is_empty() {
        cx.world.state().facts = Some(KeptFacts {
            facts: facts.clone(),
            eks,
            schemes,
            instances,
        });
    }
    (facts, gaps)
}

async fn load_balancers(cx: &Context) -> (Option<BTreeMap<String, LoadBalancerFact>>, Vec<Gap>) {
    let scan = {
        let state = cx.world.state();
        if let Some(known) = &state.load_balancers {
            return (Some(known.clone()), Vec::new());
        }
        state.scan.clone()
    };
    let (read, gaps) = observe::aws::load_balancers(&*cx.aws, &cx.store.applied(), scan.as_deref())
        .boxed()
        .await;
    cx.world.state().load_balancers.clone_from(&read);
    (read, gaps)
}
