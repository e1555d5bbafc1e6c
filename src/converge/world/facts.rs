//! Facts for the model: the cluster's are read in each pass, AWS's kept from sweep to sweep.

use std::collections::{BTreeMap, BTreeSet};

use futures::FutureExt;

use super::{
    super::{Context, remember},
    KeptFacts,
};
use crate::{
    manifest::Manifests,
    model::{
        facts::{Facts, LoadBalancerFact, needs::Needs},
        observed::Gap,
    },
    observe,
};

/// The facts of the moment: the cluster's are read, AWS's kept from sweep to sweep.
pub async fn facts(cx: &Context, manifests: &Manifests) -> (Facts, Vec<Gap>) {
    let settings = cx.world.settings(&cx.config);
    let of_git = Needs::of(manifests, &settings);
    let namespaces = manifests
        .ingresses
        .iter()
        .map(|ingress| ingress.namespace.clone())
        .collect::<BTreeSet<String>>();
    let wanted = observe::cluster::FactsWanted {
        service_namespaces: Some(namespaces.clone()),
        all_services: false,
        nodes: !manifests.ingresses.is_empty(),
        endpoint_namespaces: match of_git.endpoints {
            true => namespaces.clone(),
            false => BTreeSet::new(),
        },
        ingress_classes: !manifests.ingresses.is_empty(),
        ingress_class_params: of_git.ingress_class_params || remember::class_params(cx),
        declared_classes: manifests
            .classes
            .iter()
            .map(|class| class.name.clone())
            .collect(),
        namespaces: of_git.namespaces,
        secrets: of_git.secrets.clone(),
    };
    let (mut cluster, mut gaps) = observe::cluster::facts(&*cx.cluster, &wanted).boxed().await;
    // Classes and Services that only the cluster holds ask for more.
    let known = remember::with_gone_classes(cx, &cluster);
    let needs = Needs::with(manifests, &known, &settings);
    let more = observe::cluster::FactsWanted {
        endpoint_namespaces: match needs.endpoints && !of_git.endpoints {
            true => namespaces,
            false => BTreeSet::new(),
        },
        namespaces: needs.namespaces && !of_git.namespaces,
        secrets: match needs.secrets == of_git.secrets {
            true => BTreeSet::new(),
            false => needs.secrets.clone(),
        },
        ..observe::cluster::FactsWanted::default()
    };
    if !more.is_nothing() {
        if !more.secrets.is_empty() {
            cluster.secrets = None;
        }
        let (found, unread) = observe::cluster::facts(&*cx.cluster, &more).boxed().await;
        cluster = cluster.and(found);
        gaps.extend(unread);
    }
    cx.world.state().follows_pods = needs.endpoints;
    let instances = cluster
        .nodes
        .as_deref()
        .map(observe::aws::instance_ids)
        .unwrap_or_default();
    let (aws, unread) = aws_facts(cx, &needs, instances).await;
    gaps.extend(unread);
    let (named, unread) = observe::aws::lookups(&*cx.aws, &needs).boxed().await;
    gaps.extend(unread);
    let (load_balancers, unread) = load_balancers(cx).await;
    gaps.extend(unread);
    let balancers = Facts {
        load_balancers,
        ..Facts::default()
    };
    let mut facts = cluster.and(aws).and(named).and(balancers);
    // Nothing waits for limits: where they may not be read, there is no forecast.
    gaps.retain(|gap| {
        let of_limits = gap.what == LIMITS;
        if of_limits {
            tracing::warn!(error = %gap.message, "the account's limits could not be read");
        }
        !of_limits
    });
    if let Some(limits) = &facts.account_limits {
        cx.world.state().account_limits.clone_from(limits);
    }
    if let Some(namespaces) = &mut facts.namespaces {
        namespaces.retain(|name, _| !manifests.namespaces.contains_key(name));
    }
    if !manifests.iam_service_accounts.is_empty()
        && let Some(scan) = &cx.world.state().iam_scan
    {
        // Named before the first write.
        gaps.extend(scan.gaps());
    }
    (facts, gaps)
}

/// The call that tells an account's limits, as gaps name it.
const LIMITS: &str = "elasticloadbalancing:DescribeAccountLimits";

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

/// Account and network: read when a sweep forgot them, when nodes came, when a scheme is asked for the first time, or when
/// somebody names what was not there.
async fn aws_facts(cx: &Context, needs: &Needs, instances: BTreeSet<String>) -> (Facts, Vec<Gap>) {
    let vpc_id = {
        let state = cx.world.state();
        if let Some(kept) = &state.facts
            && (kept.needs.eks || !needs.eks)
            && (kept.needs.vpc_cidrs || !needs.vpc_cidrs)
            && (kept.needs.routes || !needs.routes)
            && instances.is_subset(&kept.instances)
            && needs.schemes.is_subset(&kept.needs.schemes)
            && needs.finds_all_names(&kept.needs, &kept.facts)
        {
            return (kept.facts.clone(), Vec::new());
        }
        state.vpc_id.clone()
    };
    let wanted = observe::aws::FactsWanted {
        region: cx.config.aws.region.clone(),
        cluster: cx.config.cluster.name.clone(),
        vpc_id,
        identity: true,
        instances: Some(instances.clone()),
        needs: needs.clone(),
    };
    let (facts, gaps) = observe::aws::facts(&*cx.aws, &wanted).boxed().await;
    if gaps.is_empty() {
        cx.world.state().facts = Some(KeptFacts {
            facts: facts.clone(),
            needs: needs.clone(),
            instances,
        });
    }
    (facts, gaps)
}
