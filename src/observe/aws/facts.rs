//! What the model needs to know about account and network.

use std::collections::{BTreeMap, BTreeSet};

use super::{Gaps, scan::Scan};
use crate::{
    aws::{AwsRead, CertificateQuery, GroupQuery, Query},
    id::{Arn, ResourceId, ResourceKind, SecurityGroupId, StackId},
    model::{
        applied::Applied,
        elb::{LoadBalancer, Scheme},
        facts::{
            Facts, LoadBalancerFact, NamedArn, Node, SecurityGroupFact, Subnet, Vpc,
            needs::{CertificateNeeds, NAME_TAG, Needs, Selection, is_group_id},
        },
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
    /// Account and partition.
    pub identity: bool,
    /// Security groups of these instances, see [`instance_ids`]. `None`: not at all.
    pub instances: Option<BTreeSet<String>>,
    pub needs: Needs,
}

/// Account, cluster and network; nothing of Kubernetes, and nothing of what [`lookups`] answers.
pub async fn facts(aws: &dyn AwsRead, wanted: &FactsWanted) -> (Facts, Vec<Gap>) {
    let network = Gaps::of(StackId::Network);
    let provider = Gaps::of(StackId::Provider);
    let needs = &wanted.needs;
    let identity = async {
        match wanted.identity {
            true => provider.note(aws.identity().await),
            false => None,
        }
    };
    let eks = async {
        match needs.eks {
            true => provider.note(aws.eks_cluster(&wanted.cluster).await),
            false => None,
        }
    };
    let vpc = async {
        match needs.vpc_cidrs {
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
        subnets(aws, wanted, &network),
        groups(aws, wanted, &network),
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

/// What users name and what is new any minute: certificates, web ACLs, trust stores, target groups, prefix lists; and
/// the account's limits, which nothing waits for.
pub async fn lookups(aws: &dyn AwsRead, needs: &Needs) -> (Facts, Vec<Gap>) {
    let gaps = Gaps::of(StackId::Network);
    let certificates = async {
        let CertificateNeeds { authorities, tags } = needs.certificates?;
        let query = CertificateQuery { authorities, tags };
        gaps.note(aws.certificates(query).await)
    };
    let web_acls = async {
        match needs.web_acls {
            true => gaps.note(aws.web_acls().await),
            false => None,
        }
    };
    let trust_stores = async {
        match needs.trust_stores {
            true => gaps.note(aws.trust_stores().await),
            false => None,
        }
    };
    let target_groups = async {
        let query = match &needs.target_groups {
            nothing if nothing.is_nothing() => return None,
            Selection::Named(names) => Query::Names(names.iter().cloned().collect()),
            Selection::All => Query::All,
        };
        let mut found: Vec<NamedArn> = gaps
            .note(aws.target_groups(&query).await)?
            .into_iter()
            .map(|live| NamedArn {
                name: live.name,
                arn: live.arn.0,
            })
            .collect();
        found.sort_by(|left, right| (&left.name, &left.arn).cmp(&(&right.name, &right.arn)));
        Some(found)
    };
    let prefix_lists = async {
        match needs.prefix_lists {
            true => gaps.note(aws.prefix_lists().await),
            false => None,
        }
    };
    let account_limits = async {
        match needs.account_limits {
            true => gaps.note(aws.account_limits().await),
            false => None,
        }
    };
    let (certificates, web_acls, trust_stores, target_groups, prefix_lists, account_limits) = futures::join!(
        certificates,
        web_acls,
        trust_stores,
        target_groups,
        prefix_lists,
        account_limits
    );
    let facts = Facts {
        certificates,
        web_acls,
        trust_stores,
        target_groups,
        prefix_lists,
        account_limits,
        ..Facts::default()
    };
    (facts, gaps.into_inner())
}

/// With routes only where no subnet says by a tag that it is meant for a scheme (ingress-model §3.4), and with the types
/// of zones only where one may not be an availability zone: these take more calls.
async fn subnets(aws: &dyn AwsRead, wanted: &FactsWanted, gaps: &Gaps) -> Option<Vec<Subnet>> {
    let needs = &wanted.needs;
    if needs.schemes.is_empty() {
        return None;
    }
    let mut found = gaps.note(aws.subnets(needs.routes).await)?;
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
    if !needs.routes && !needs.schemes.iter().all(tagged) {
        found = gaps.note(aws.subnets(true).await)?;
    }
    if found
        .iter()
        .any(|subnet| !is_availability_zone(&subnet.az, &wanted.region))
    {
        let types = gaps.note(aws.zone_types().await)?;
        for subnet in &mut found {
            subnet.zone_type = types.get(&subnet.az).cloned();
        }
    }
    Some(found)
}

/// The region's name and one letter: local and wavelength zones have longer names.
fn is_availability_zone(zone: &str, region: &str) -> bool {
    let letter = zone.strip_prefix(region).unwrap_or_default();
    letter.len() == 1 && letter.bytes().all(|byte| byte.is_ascii_lowercase())
}

type InstanceGroups = BTreeMap<String, Vec<SecurityGroupId>>;

/// Groups of the nodes' interfaces and those that users name: by id in one call, by name in one each.
async fn groups(
    aws: &dyn AwsRead,
    wanted: &FactsWanted,
    gaps: &Gaps,
) -> (Option<InstanceGroups>, Option<Vec<SecurityGroupFact>>) {
    let of_instances = match &wanted.instances {
        None => None,
        Some(instances) => {
            let instances: Vec<String> = instances.iter().cloned().collect();
            let Some(groups) = gaps.note(aws.instance_groups(&instances).await) else {
                return (None, None);
            };
            Some(groups)
        }
    };
    let mut ids: BTreeSet<SecurityGroupId> = of_instances
        .iter()
        .flat_map(InstanceGroups::values)
        .flatten()
        .cloned()
        .collect();
    let mut queries = Vec::new();
    match &wanted.needs.security_groups {
        Selection::All => {
            ids.clear();
            queries.push(GroupQuery::Tags(BTreeMap::new()));
        }
        nothing if nothing.is_nothing() && of_instances.is_none() => return (None, None),
        Selection::Named(names) => {
            for name in names {
                if is_group_id(name) {
                    ids.insert(SecurityGroupId::from(name.as_str()));
                } else {
                    let tag = (NAME_TAG.to_owned(), Some(name.clone()));
                    queries.push(GroupQuery::Tags([tag].into()));
                }
            }
        }
    }
    if !ids.is_empty() {
        queries.insert(0, GroupQuery::Ids(ids.into_iter().collect()));
    }
    let mut facts: BTreeMap<SecurityGroupId, SecurityGroupFact> = BTreeMap::new();
    for query in queries {
        let Some(found) = gaps.note(aws.security_groups(&query).await) else {
            return (of_instances, None);
        };
        facts.extend(found.into_iter().map(|group| {
            let fact = SecurityGroupFact {
                id: group.id.clone(),
                name: group.name,
                tags: group.tags,
            };
            (group.id, fact)
        }));
    }
    (of_instances, Some(facts.into_values().collect()))
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
