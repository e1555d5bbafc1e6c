//! Which nodes are targets (aws-deploy §4.3).

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    id::SecurityGroupId,
    model::facts::{Facts, Node},
};

/// Nodes with one of these labels, whatever its value, take no traffic from balancers.
const EXCLUDING_LABELS: [&str; 3] = [
    "node-role.kubernetes.io/master",
    "node.kubernetes.io/exclude-from-external-load-balancers",
    "alpha.service-controller.kubernetes.io/exclude-balancer",
];
/// Fargate's nodes have no ports of their own.
const COMPUTE_TYPE: (&str, &str) = ("eks.amazonaws.com/compute-type", "fargate");
/// About to be deleted by the cluster autoscaler, whatever the effect.
const AUTOSCALER_TAINT: &str = "ToBeDeletedByClusterAutoscaler";
/// About to be deleted by Karpenter.
const KARPENTER_TAINT: (&str, &str) = ("karpenter.sh/disrupted", "NoSchedule");

/// A node that may take traffic.
pub(super) struct Instance<'a> {
    pub id: String,
    pub groups: &'a [SecurityGroupId],
    node: &'a Node,
}

impl Instance<'_> {
    pub fn name(&self) -> &str {
        &self.node.name
    }
}

/// Instance ids of the nodes that balancers send to: the ready ones with the selector's labels; if none is, and
/// `fails_open`, those of which nothing is known.
pub(super) fn targets(
    facts: &Facts,
    selector: Option<&BTreeMap<String, String>>,
    fails_open: bool,
) -> Result<BTreeSet<String>, String> {
    let selected = |node: &Node| {
        selector.is_none_or(|selector| {
            selector
                .iter()
                .all(|(key, value)| node.labels.get(key) == Some(value))
        })
    };
    let instances: Vec<Instance<'_>> = suitable(facts)?
        .into_iter()
        .filter(|instance| selected(instance.node))
        .collect();
    let with = |ready: &str| -> BTreeSet<String> {
        let instances = instances
            .iter()
            .filter(|instance| instance.node.ready == ready);
        instances.map(|instance| instance.id.clone()).collect()
    };
    let ready = with("True");
    Ok(if ready.is_empty() && fails_open {
        with("Unknown")
    } else {
        ready
    })
}

/// Nodes that may take traffic, ready or not, in the order of their instances' ids. Balancers must be able to reach all of
/// them, so that a node that comes and goes does not open and close the way to the others.
pub(super) fn suitable(facts: &Facts) -> Result<Vec<Instance<'_>>, String> {
    let Some(nodes) = &facts.nodes else {
        return Err("the cluster's nodes were not read".to_owned());
    };
    let mut suitable: Vec<(String, &Node)> = nodes
        .iter()
        .filter(|node| !is_excluded(node))
        .filter_map(|node| Some((instance(node)?, node)))
        .collect();
    suitable.sort_by(|a, b| (&a.0, &a.1.name).cmp(&(&b.0, &b.1.name)));
    if suitable.is_empty() {
        return Ok(Vec::new());
    }
    let Some(groups) = &facts.instance_groups else {
        return Err("the security groups of the nodes' instances were not read".to_owned());
    };
    // An instance that EC2 does not know is gone, and registering it would fail for all.
    let known = suitable.into_iter().filter_map(|(id, node)| {
        let groups = groups.get(&id)?;
        Some(Instance { id, groups, node })
    });
    Ok(known.collect())
}

fn is_excluded(node: &Node) -> bool {
    let (compute_type, fargate) = COMPUTE_TYPE;
    EXCLUDING_LABELS
        .iter()
        .any(|label| node.labels.contains_key(*label))
        || node
            .labels
            .get(compute_type)
            .is_some_and(|value| value == fargate)
        || node.taints.iter().any(|(key, effect)| {
            key == AUTOSCALER_TAINT || (key.as_str(), effect.as_str()) == KARPENTER_TAINT
        })
}

/// The last part of `aws:///ZONE/i-…`; a node without one (not initialised yet, or hybrid) is no instance.
fn instance(node: &Node) -> Option<String> {
    let id = node.provider_id.as_deref()?.rsplit('/').next()?;
    id.starts_with("i-").then(|| id.to_owned())
}
