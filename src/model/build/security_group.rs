//! Security groups: the balancer's own, the one that all balancers share, and what the nodes let in from it
//! (ingress-model §3.5, §3.6; aws-deploy §4.7).

use std::collections::{BTreeMap, BTreeSet};

use super::{Input, Report, Wait, group::Group, listener, load_balancer, name, node, tag, waiting};
use crate::{
    id::{ResourceId, SecurityGroupId, StackId},
    model::{
        desired::{Desired, NetworkStack, Ref},
        net::{Permission, PermissionSource, SecurityGroupSpec},
        tags,
    },
    problem::{Origin, Problem, codes},
};

const MANAGED_DESCRIPTION: &str = "[k8s] Managed SecurityGroup for LoadBalancer";
const BACKEND_DESCRIPTION: &str = "[k8s] Shared Backend SecurityGroup for LoadBalancer";
const EVERYWHERE: &str = "0.0.0.0/0";

/// The group's own security group: open to the world on the listeners' ports.
pub(super) fn build_managed(group: &Group, input: &Input) -> Result<SecurityGroupSpec, Wait> {
    let id = group.id.to_string();
    let resource = ResourceId::managed_security_group(&id);
    Ok(SecurityGroupSpec {
        name: group.id.security_group_name(&input.settings.cluster_name),
        description: MANAGED_DESCRIPTION.to_owned(),
        vpc_id: vpc(input, group.members.first().map(|ingress| &ingress.origin))?,
        tags: tag::of_group(
            input,
            &id,
            Some(&resource.name),
            load_balancer::user_tags(group),
        ),
        ingress: listener::ports(group)
            .into_iter()
            .map(|port| Permission {
                protocol: "tcp".to_owned(),
                from_port: i32::from(port),
                to_port: i32::from(port),
                source: PermissionSource::Cidr(EVERYWHERE.to_owned()),
                description: String::new(),
            })
            .collect(),
    })
}

/// What all groups share; absent when none is wanted, waiting when it cannot be told whether one is.
pub(super) fn build_network(input: &Input, report: &mut Report, desired: &mut Desired) {
    let first = desired
        .groups
        .values()
        .flat_map(|group| &group.members)
        .map(|member| &member.origin)
        .min();
    let waiting_groups: Vec<Wait> = desired
        .waiting
        .iter()
        .filter_map(|wait| match &wait.stack {
            StackId::Group(id) => Some(Wait::new(&wait.origin, format!("group {id} waits"))),
            _ => None,
        })
        .collect();
    let Some(origin) = first.cloned() else {
        desired
            .waiting
            .extend(waiting(StackId::Network, waiting_groups));
        return;
    };
    let vpc_id = match vpc(input, Some(&origin)) {
        Ok(vpc_id) => vpc_id,
        Err(wait) => {
            desired
                .waiting
                .extend(waiting(StackId::Network, vec![wait]));
            return;
        }
    };
    let nodes = node_groups(input, &origin, report);
    let hold_revokes = nodes
        .unknown
        .into_iter()
        .chain(waiting_groups.into_iter().map(|wait| wait.reason))
        .collect();
    let node_permissions = match permission(desired) {
        Some(permission) => nodes
            .known
            .into_iter()
            .map(|id| (id, vec![permission.clone()]))
            .collect(),
        None => BTreeMap::new(),
    };
    desired.network = Some(NetworkStack {
        backend_group: SecurityGroupSpec {
            name: name::backend_security_group_name(&input.settings.cluster_name),
            description: BACKEND_DESCRIPTION.to_owned(),
            vpc_id,
            tags: tag::of_backend_group(input),
            ingress: BTreeSet::new(),
        },
        node_permissions,
        hold_revokes,
    });
}

/// One permission for all target groups: from the least to the greatest port. LBC's way, which keeps the nodes' groups
/// within the quota of rules.
fn permission(desired: &Desired) -> Option<Permission> {
    let target_groups = desired
        .groups
        .values()
        .flat_map(|group| group.target_groups.values());
    let ports: BTreeSet<u16> = target_groups
        .map(|target_group| target_group.spec.port)
        .collect();
    Some(Permission {
        protocol: "tcp".to_owned(),
        from_port: i32::from(*ports.first()?),
        to_port: i32::from(*ports.last()?),
        source: PermissionSource::SecurityGroup(Ref::Output(ResourceId::backend_security_group())),
        description: tags::NODE_PERMISSION_MARK.to_owned(),
    })
}

/// The security groups through which the balancers reach the nodes.
struct NodeGroups {
    known: BTreeSet<SecurityGroupId>,
    /// Why the group of a node cannot be told.
    unknown: BTreeSet<String>,
}

fn node_groups(input: &Input, origin: &Origin, report: &mut Report) -> NodeGroups {
    let mut groups = NodeGroups {
        known: BTreeSet::new(),
        unknown: BTreeSet::new(),
    };
    let candidates = match node::suitable(input.facts) {
        Ok(candidates) => candidates,
        Err(reason) => {
            groups.unknown.insert(reason);
            return groups;
        }
    };
    for instance in candidates {
        match group_of(&instance.id, instance.groups, input) {
            Ok(group) => {
                groups.known.insert(group);
            }
            Err(reason) => {
                // One odd node must not stop the balancers: they reach all others.
                report.add(
                    Problem::new(codes::NODE_GROUP, origin.clone(), reason.clone())
                        .warning()
                        .hint(format!(
                            "exactly one of an instance's security groups must be tagged {}{}",
                            tags::KUBERNETES_CLUSTER,
                            input.settings.cluster_name
                        )),
                );
                groups.unknown.insert(reason);
            }
        }
    }
    groups
}

/// A node's only group, else the one that is tagged for the cluster.
fn group_of(
    instance: &str,
    groups: &[SecurityGroupId],
    input: &Input,
) -> Result<SecurityGroupId, String> {
    if let [only] = groups {
        return Ok(only.clone());
    }
    let Some(facts) = &input.facts.security_groups else {
        return Err(format!(
            "{instance} has several security groups, and their tags were not read"
        ));
    };
    let key = format!(
        "{}{}",
        tags::KUBERNETES_CLUSTER,
        input.settings.cluster_name
    );
    let tagged: BTreeSet<&SecurityGroupId> = facts
        .iter()
        .filter(|group| groups.contains(&group.id) && group.tags.contains_key(&key))
        .map(|group| &group.id)
        .collect();
    match (tagged.first(), tagged.len()) {
        (Some(group), 1) => Ok((*group).clone()),
        _ => Err(format!(
            "{} of the {} security groups of {instance} are tagged {key}",
            tagged.len(),
            groups.len()
        )),
    }
}

fn vpc(input: &Input, origin: Option<&Origin>) -> Result<String, Wait> {
    match (&input.facts.vpc, origin) {
        (Some(vpc), _) => Ok(vpc.id.clone()),
        (None, Some(origin)) => Err(Wait::new(origin, "the VPC was not read")),
        (None, None) => unreachable!("BUG: a group has members"),
    }
}
