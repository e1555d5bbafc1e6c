//! What the model needs to know about account and network.

use std::collections::{BTreeMap, BTreeSet};

use super::{Gaps, scan::Scan};
use crate::{
    aws::{AwsRead, GroupQuery, Query},
    id::{Arn, ResourceId, ResourceKind, SecurityGroupId, StackId},
    model::{
        applied::Applied,
        elb::{LoadBalancer, Scheme},
        facts::{Facts, LoadBalancerFact, Node, SecurityGroupFact, Vpc},
        observed::Gap,
        tags,
    },
};

/// What is to be looked up; what is not asked for stays `None` in the facts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FactsWanted {
    pub region: String,
    /// The EKS cluster's name.
    pub cluster: String,
    pub vpc_id: String,
    /// The VPC's address ranges, a call of their own; without, only its id is told.
    pub vpc_cidrs: bool,
    /// Account and partition.
    pub identity: bool,
    /// ARN and OIDC issuer of the EKS cluster.
    pub eks: bool,
    /// Subnets, fit to choose from for balancers of these schemes.
    pub subnets_for: BTreeSet<Scheme>,
    /// Security groups of these instances, see [`instance_ids`]. `None`: not at all.
    pub instances: Option<BTreeSet<String>>,
}

/// Account, cluster and network; nothing of Kubernetes.
pub async fn facts(aws: &dyn AwsRead, wanted: &FactsWanted) -> (Facts, Vec<Gap>) {
    let network = Gaps::of(StackId::Network);
    let provider = Gaps::of(StackId::Provider);
    let identity = async {
        match wanted.identity {
            true => provider.note(aws.identity().await),
            false => None,
        }
    };
    let eks = async {
        match wanted.eks {
            true => provider.note(aws.eks_cluster(&wanted.cluster).await),
            false => None,
        }
    };
    let vpc = async {
        match wanted.vpc_cidrs {
            true => network.note(aws.vpc().await),
            false => Some(Vpc {
                id: wanted.vpc_id.clone(),
                cidrs: Vec::new(),
            })
            .filter(|vpc| !vpc.id.is_empty()),
        }
    };
    let (identity, eks, vpc, subnets, (instance_groups, security_groups)) = futures::join!(
        identity,
        eks,
        vpc,
        subnets(aws, &wanted.subnets_for, &network),
        groups_of_instances(aws, wanted.instances.as_ref(), &network),
    );
    let facts = Facts {
        account: identity.as_ref().map(|identity| identity.account.clone()),
        partition: identity.map(|identity| identity.partition),
        region: Some(wanted.region.clone()).filter(|region| !region.is_empty()),
        cluster: Some(wanted.cluster.clone()).filter(|cluster| !cluster.is_empty()),
        oidc_issuer: eks.as_ref().and_then(|eks| eks.issuer.clone()),
        cluster_arn: eks.map(|eks| eks.arn),
        vpc,
        subnets,
        security_groups,
        instance_groups,
        ..Facts::default()
    };
    let mut gaps = provider.into_inner();
    gaps.extend(network.into_inner());
    (facts, gaps)
}

/// With routes only where no subnet says by a tag that it is meant for a scheme (ingress-model §3.4): that takes more
/// calls.
async fn subnets(
    aws: &dyn AwsRead,
    schemes: &BTreeSet<Scheme>,
    gaps: &Gaps,
) -> Option<Vec<crate::model::facts::Subnet>> {
    if schemes.is_empty() {
        return None;
    }
    let found = gaps.note(aws.subnets(false).await)?;
    let tagged = |scheme: &Scheme| {
        let role = match scheme {
            Scheme::InternetFacing => tags::ROLE_ELB,
            Scheme::Internal => tags::ROLE_INTERNAL_ELB,
        };
        found.iter().any(|subnet| {
            subnet
                .tags
                .get(role)
                .is_some_and(|value| ["", "1"].contains(&value.as_str()))
        })
    };
    if schemes.iter().all(tagged) {
        Some(found)
    } else {
        gaps.note(aws.subnets(true).await)
    }
}

type InstanceGroups = BTreeMap<String, Vec<SecurityGroupId>>;

async fn groups_of_instances(
    aws: &dyn AwsRead,
    instances: Option<&BTreeSet<String>>,
    gaps: &Gaps,
) -> (Option<InstanceGroups>, Option<Vec<SecurityGroupFact>>) {
    let Some(instances) = instances else {
        return (None, None);
    };
    let instances: Vec<String> = instances.iter().cloned().collect();
    let Some(groups) = gaps.note(aws.instance_groups(&instances).await) else {
        return (None, None);
    };
    let ids: BTreeSet<_> = groups.values().flatten().cloned().collect();
    if ids.is_empty() {
        return (Some(groups), Some(Vec::new()));
    }
    let query = GroupQuery::Ids(ids.into_iter().collect());
    let facts = gaps.note(aws.security_groups(&query).await).map(|found| {
        found
            .into_iter()
            .map(|group| SecurityGroupFact {
                id: group.id,
                name: group.name,
                tags: group.tags,
            })
            .collect()
    });
    (Some(groups), facts)
}

/// The EC2 instances behind the nodes: the last part of `aws:///ZONE/i-…`.
pub fn instance_ids(nodes: &[Node]) -> BTreeSet<String> {
    nodes
        .iter()
        .filter_map(|node| node.provider_id.as_deref()?.rsplit('/').next())
        .filter(|id| id.starts_with("i-"))
        .map(str::to_owned)
        .collect()
}

/// The live balancers of all groups that the store knows or the scan found, for subnets that stick (ingress-model §3.4):
/// one call for 20 of them, none with a scan. `None` when one could not be read.
pub async fn load_balancers(
    aws: &dyn AwsRead,
    applied: &Applied,
    scan: Option<&Scan>,
) -> (Option<BTreeMap<String, LoadBalancerFact>>, Vec<Gap>) {
    let known: BTreeMap<&Arn, &ResourceId> = applied
        .resources
        .iter()
        .filter(|(id, _)| id.kind == ResourceKind::LoadBalancer)
        .filter_map(|(id, resource)| Some((resource.arn.as_ref()?, id)))
        .collect();
    let gaps = Gaps::of(StackId::Network);
    let found: Option<Vec<LoadBalancer>> = match scan {
        Some(scan) => scan
            .failures()
            .is_empty()
            .then(|| scan.all_load_balancers()),
        None if known.is_empty() => Some(Vec::new()),
        None => {
            let arns = known.keys().map(|arn| (*arn).clone()).collect();
            gaps.note(aws.load_balancers(&Query::Arns(arns)).await)
        }
    };
    if let Some(scan) = scan {
        scan.failures().iter().for_each(|error| gaps.add(error));
    }
    let facts = found.map(|found| {
        found
            .iter()
            .filter_map(|live| {
                let group = match known.get(&live.arn) {
                    Some(ResourceId {
                        stack: StackId::Group(group),
                        ..
                    }) => group.clone(),
                    _ => scan?.group_of(&live.tags)?,
                };
                Some((
                    group,
                    LoadBalancerFact {
                        scheme: live.scheme,
                        subnets: live.subnets.iter().cloned().collect(),
                    },
                ))
            })
            .collect()
    });
    (facts, gaps.into_inner())
}
