//! What all balancers share: the backend security group and the nodes' groups.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::{Gaps, scan::Scan};
use crate::{
    aws::{AwsRead, GroupQuery},
    id::{ResourceId, SecurityGroupId, StackId},
    model::{
        applied::Applied,
        net::{SecurityGroup, Tags},
        observed::{Gap, ObservedNetwork},
        tags,
    },
};

/// What store and facts say before the network is read.
#[derive(Clone, Debug, Default)]
pub struct NetworkKnown {
    pub backend_groups: BTreeSet<SecurityGroupId>,
    pub node_groups: BTreeSet<SecurityGroupId>,
    pub scan: Option<Arc<Scan>>,
}

impl NetworkKnown {
    /// `node_groups`: of all nodes, and those that the desired network names.
    pub fn new(node_groups: BTreeSet<SecurityGroupId>, applied: &Applied) -> Self {
        Self {
            backend_groups: applied
                .resources
                .get(&ResourceId::backend_security_group())
                .and_then(|resource| resource.arn.as_ref())
                .map(|id| SecurityGroupId(id.0.clone()))
                .into_iter()
                .collect(),
            node_groups,
            scan: None,
        }
    }
}

/// Reads the backend group by its id, or by its tags where that is not known or gone, and the nodes' groups by theirs:
/// one call, or two; none with a scan. A scan also finds groups tagged for the cluster that hold permissions with our
/// mark though no node has them any more.
pub async fn network(
    aws: &dyn AwsRead,
    cluster: &str,
    known: &NetworkKnown,
) -> (ObservedNetwork, Vec<Gap>) {
    let gaps = Gaps::of(StackId::Network);
    let mut observed = ObservedNetwork::default();
    let is_backend = |live: &SecurityGroup| {
        known.backend_groups.contains(&live.id) || has_backend_tags(&live.tags, cluster)
    };
    let found = match &known.scan {
        Some(scan) => {
            scan.failures().iter().for_each(|error| gaps.add(error));
            scan.security_groups().to_vec()
        }
        None => by_id(aws, known, &gaps).await,
    };
    let cluster_tag = format!("{}{cluster}", tags::KUBERNETES_CLUSTER);
    for live in found {
        if is_backend(&live) {
            observed.backend_groups.push(live);
        } else if known.node_groups.contains(&live.id)
            || (live.tags.contains_key(&cluster_tag) && has_our_mark(&live))
        {
            observed.node_groups.insert(live.id.clone(), live);
        }
    }
    if known.scan.is_none() && observed.backend_groups.is_empty() {
        let query = GroupQuery::Tags(BTreeMap::from([
            (tags::CLUSTER.to_owned(), Some(cluster.to_owned())),
            (
                tags::SHARED_RESOURCE.to_owned(),
                Some(tags::BACKEND_SG.to_owned()),
            ),
        ]));
        observed.backend_groups = gaps
            .note(aws.security_groups(&query).await)
            .unwrap_or_default();
    }
    observed
        .backend_groups
        .sort_by(|left, right| left.id.cmp(&right.id));
    (observed, gaps.into_inner())
}

async fn by_id(aws: &dyn AwsRead, known: &NetworkKnown, gaps: &Gaps) -> Vec<SecurityGroup> {
    let ids: Vec<_> = known
        .backend_groups
        .union(&known.node_groups)
        .cloned()
        .collect();
    if ids.is_empty() {
        return Vec::new();
    }
    gaps.note(aws.security_groups(&GroupQuery::Ids(ids)).await)
        .unwrap_or_default()
}

fn has_backend_tags(tags: &Tags, cluster: &str) -> bool {
    let has = |key: &str, value: &str| tags.get(key).is_some_and(|own| own == value);
    has(tags::CLUSTER, cluster) && has(tags::SHARED_RESOURCE, tags::BACKEND_SG)
}

fn has_our_mark(live: &SecurityGroup) -> bool {
    live.ingress
        .iter()
        .any(|permission| permission.description == tags::NODE_PERMISSION_MARK)
}
