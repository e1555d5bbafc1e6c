//! Looking at account and cluster: what one half of a pass needs, no more.

use std::collections::BTreeSet;

use futures::FutureExt;

use super::{
    super::{Context, Half},
    Looked,
};
use crate::{
    aws::GroupQuery,
    daemon::schedule::Trigger,
    id::{ResourceKind, SecurityGroupId, StackId},
    model::{applied::Applied, desired::Desired, observed::Observed},
    observe::{
        self,
        aws::{GroupKnown, NetworkKnown, RoleKnown},
        cluster::Scope,
    },
};

/// Looks at what one half of a pass needs, no more; `looked`: the changed objects, where they were just asked for.
pub async fn observe(
    cx: &Context,
    half: Half,
    desired: &Desired,
    applied: &Applied,
    scope: &BTreeSet<StackId>,
    trigger: Trigger,
    looked: Option<&Looked>,
) -> Observed {
    cx.reporter.doing("reading", 0, 0);
    match half {
        Half::Prepare => observe_prepare(cx, desired, applied, scope, trigger, looked).await,
        Half::Route => observe_route(cx, desired, applied, scope).await,
    }
}

async fn observe_prepare(
    cx: &Context,
    desired: &Desired,
    applied: &Applied,
    scope: &BTreeSet<StackId>,
    trigger: Trigger,
    looked: Option<&Looked>,
) -> Observed {
    let mut observed = Observed::default();
    if scope.contains(&StackId::Provider)
        && let Some(provider) = &desired.provider
    {
        let (seen, gaps) = observe::aws::provider(&*cx.aws, &provider.spec.arn)
            .boxed()
            .await;
        observed.provider = Some(seen);
        observed.gaps.extend(gaps);
    }
    let wanted = scope.iter().filter_map(|stack| match stack {
        StackId::Role(key) if desired.roles.contains_key(key) => Some(key),
        _ => None,
    });
    observe_roles(cx, desired, applied, wanted, &mut observed).await;
    let all = trigger.is_full()
        || trigger == Trigger::Cluster
        || cx.world.again().contains(&StackId::Cluster);
    if !scope.contains(&StackId::Cluster) {
        return observed;
    }
    if !all && let Some(looked) = looked {
        observed.objects.clone_from(looked);
        return observed;
    }
    let looking = if all {
        Scope::All
    } else {
        Scope::Changed {
            also: BTreeSet::new(),
        }
    };
    observe_objects(cx, desired, applied, &looking, &mut observed).await;
    observed
}

/// AWS and the cluster at the same time: neither needs what the other says.
async fn observe_route(
    cx: &Context,
    desired: &Desired,
    applied: &Applied,
    scope: &BTreeSet<StackId>,
) -> Observed {
    let members = scope
        .iter()
        .filter_map(|stack| match stack {
            StackId::Group(group) => desired.groups.get(group),
            _ => None,
        })
        .flat_map(|wanted| wanted.members.iter().map(|member| member.reference.key()))
        .collect();
    let looking = Scope::Changed { also: members };
    let mut in_cluster = Observed::default();
    let (mut observed, ()) = futures::join!(
        observe_aws(cx, desired, applied, scope),
        observe_objects(cx, desired, applied, &looking, &mut in_cluster),
    );
    observed.objects = in_cluster.objects;
    observed.gaps.extend(in_cluster.gaps);
    observed
}

async fn observe_aws(
    cx: &Context,
    desired: &Desired,
    applied: &Applied,
    scope: &BTreeSet<StackId>,
) -> Observed {
    let mut observed = Observed::default();
    let scan = cx.world.state().scan.clone();
    if scan.is_none() {
        read_security_groups(cx, applied, scope).await;
    }
    for stack in scope {
        let StackId::Group(group) = stack else {
            continue;
        };
        let mut known = GroupKnown::new(group, desired.groups.get(group), applied);
        known.scan.clone_from(&scan);
        let (seen, gaps) = observe::aws::group(&*cx.aws, group, &cx.config.cluster.name, &known)
            .boxed()
            .await;
        observed.groups.insert(group.clone(), seen);
        observed.gaps.extend(gaps);
    }
    if scope.contains(&StackId::Network) {
        let nodes = cx
            .world
            .state()
            .facts
            .iter()
            .flat_map(|kept| kept.facts.instance_groups.iter().flatten())
            .flat_map(|(_, groups)| groups.iter().cloned())
            .collect::<BTreeSet<_>>();
        let named = desired
            .network
            .iter()
            .flat_map(|network| network.node_permissions.keys().cloned());
        let mut known = NetworkKnown::new(nodes.into_iter().chain(named).collect(), applied);
        known.scan.clone_from(&scan);
        let (seen, gaps) = observe::aws::network(&*cx.aws, &cx.config.cluster.name, &known)
            .boxed()
            .await;
        observed.network = Some(seen);
        observed.gaps.extend(gaps);
    }
    let leaving = scope.iter().filter_map(|stack| match stack {
        StackId::Role(key) if !desired.roles.contains_key(key) => Some(key),
        _ => None,
    });
    observe_roles(cx, desired, applied, leaving, &mut observed).await;
    observed
}

/// One call for the security groups of all stacks: they are remembered, and each stack asks the memory. What could not
/// be read here is asked for again by the stack that needs it.
async fn read_security_groups(cx: &Context, applied: &Applied, scope: &BTreeSet<StackId>) {
    let ids: BTreeSet<SecurityGroupId> = applied
        .resources
        .iter()
        .filter(|(id, _)| id.kind == ResourceKind::SecurityGroup && scope.contains(&id.stack))
        .filter_map(|(_, resource)| Some(SecurityGroupId(resource.arn.as_ref()?.0.clone())))
        .collect();
    if ids.len() > 1 {
        let query = GroupQuery::Ids(ids.into_iter().collect());
        if let Err(error) = cx.aws.security_groups(&query).await {
            tracing::debug!(%error, "the security groups could not be read together");
        }
    }
}

async fn observe_roles(
    cx: &Context,
    desired: &Desired,
    applied: &Applied,
    keys: impl Iterator<Item = &String>,
    observed: &mut Observed,
) {
    let scan = cx.world.state().iam_scan.clone();
    let path = cx.config.iam_path();
    for key in keys {
        let mut known = RoleKnown::new(key, &path, desired.roles.get(key), applied);
        known.scan.clone_from(&scan);
        let (seen, gaps) = observe::aws::role(&*cx.aws, key, &known).boxed().await;
        observed.roles.insert(key.clone(), seen);
        observed.gaps.extend(gaps);
    }
}

async fn observe_objects(
    cx: &Context,
    desired: &Desired,
    applied: &Applied,
    looking: &Scope,
    observed: &mut Observed,
) {
    let (objects, gaps) =
        observe::cluster::objects(&*cx.cluster, &desired.objects, &applied.inventory, looking)
            .boxed()
            .await;
    observed.objects = objects;
    observed.gaps.extend(gaps);
}
