//! The security group that all balancers share, and what the nodes let in from it (ingress-model §3.5, §3.6; aws-deploy
//! §4.7).

use std::collections::BTreeSet;

use super::{
    Input, Report, Wait,
    lower::{Opening, backend_group, network},
    name, tag, waiting,
};
use crate::{
    id::{SecurityGroupId, StackId},
    model::{
        desired::{Desired, NetworkStack, Ref, group_waits},
        facts::Facts,
        net::SecurityGroupSpec,
        settings::Settings,
        tags,
    },
    problem::{Origin, Problem, codes},
};

const BACKEND_DESCRIPTION: &str = "[k8s] Shared Backend SecurityGroup for LoadBalancer";

/// What all groups share; absent when none is wanted, waiting when it cannot be told whether one is.
pub(super) fn build_network(
    input: &Input<'_>,
    openings: &[Opening],
    report: &mut Report<'_>,
    desired: &mut Desired,
) {
    let waiting_groups: Vec<Wait> = desired
        .waiting
        .iter()
        .filter_map(|wait| match &wait.stack {
            StackId::Group(id) => Some(Wait {
                lasts: wait.lasts,
                ..Wait::new(&wait.origin, group_waits(id))
            }),
            _ => None,
        })
        .collect();
    // Who stands behind a Service that is gone cannot be told.
    let kept: BTreeSet<String> = desired
        .kept
        .iter()
        .map(|kept| format!("{} keeps what it has", kept.stack))
        .collect();
    let backend = backend_group(input.settings);
    let Some(origin) = first_user(openings, &backend, desired) else {
        desired
            .waiting
            .extend(waiting(StackId::Network, waiting_groups));
        return;
    };
    let Some(vpc) = &input.facts.vpc else {
        let wait = Wait::new(&origin, "the VPC was not read");
        desired
            .waiting
            .extend(waiting(StackId::Network, vec![wait]));
        return;
    };
    let admitted = match openings.is_empty() {
        true => network::Admitted::default(),
        false => network::admitted(openings, input.facts, input.settings),
    };
    for reason in &admitted.odd {
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
    }
    let (made, given) = match backend {
        Ref::Known(given) => (None, Some(given)),
        Ref::Output(_) => (
            Some(SecurityGroupSpec {
                name: name::backend_security_group_name(&input.settings.cluster_name),
                description: BACKEND_DESCRIPTION.to_owned(),
                vpc_id: vpc.id.clone(),
                tags: tag::of_backend_group(input.settings),
                ingress: BTreeSet::new(),
            }),
            None,
        ),
    };
    desired.network = Some(NetworkStack {
        backend_group: made,
        given_group: given,
        node_permissions: admitted.permissions,
        hold_revokes: admitted
            .unknown
            .into_iter()
            .chain(waiting_groups.into_iter().map(|wait| wait.reason))
            .chain(kept)
            .collect(),
    });
}

/// The first place that asks for a balancer with the shared group, or for targets that are reached through it.
fn first_user(
    openings: &[Opening],
    backend: &Ref<SecurityGroupId>,
    desired: &Desired,
) -> Option<Origin> {
    let mut users = desired
        .groups
        .values()
        .filter(|group| {
            !openings.is_empty() || group.load_balancer.security_groups.contains(backend)
        })
        .flat_map(|group| &group.members)
        .map(|member| &member.origin);
    let first = users.next()?;
    Some(users.fold(first, std::cmp::min).clone())
}

/// A node's only group, else the one that is tagged for the cluster.
pub(super) fn group_of(
    instance: &str,
    groups: &[SecurityGroupId],
    facts: &Facts,
    settings: &Settings,
) -> Result<SecurityGroupId, String> {
    if let [only] = groups {
        return Ok(only.clone());
    }
    let Some(known) = &facts.security_groups else {
        return Err(format!(
            "{instance} has several security groups, and their tags were not read"
        ));
    };
    let key = format!("{}{}", tags::KUBERNETES_CLUSTER, settings.cluster_name);
    let tagged: BTreeSet<&SecurityGroupId> = known
        .iter()
        .filter(|group| {
            groups.contains(&group.id)
                && group.tags.contains_key(&key)
                && settings
                    .flags
                    .service_target_eni_security_group_tags
                    .iter()
                    .all(|(key, value)| group.tags.get(key) == Some(value))
        })
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
