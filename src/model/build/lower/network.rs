//! What the nodes let in from the balancers (ingress-model §6.6, aws-deploy §4.7).
//!
//! Pods are taken to be behind the security groups of their node's primary interface, which is how the VPC's own network
//! plugin has it unless it is told otherwise.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    super::{Wait, node, security_group::group_of},
    Lower,
};
use crate::{
    id::SecurityGroupId,
    manifest::annotation::value::TargetType,
    model::{
        desired::Ref,
        elb::Target,
        facts::Facts,
        group::{self, NetworkingPort},
        net::{Permission, PermissionSource},
        settings::Settings,
        tags,
    },
};

const ALL_PORTS: (u16, u16) = (0, 65535);

/// Ports that one target group needs open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opening {
    /// From, to.
    pub ports: BTreeSet<(u16, u16)>,
    /// On these nodes; `None`: on all that take traffic.
    pub nodes: Option<BTreeSet<String>>,
}

impl Lower<'_> {
    pub(super) fn opening(
        &self,
        model: &group::TargetGroup,
        targets: &BTreeSet<Target>,
        nodes: BTreeSet<String>,
    ) -> Result<Option<Opening>, Wait> {
        let Some(networking) = &model.binding.networking else {
            return Ok(None);
        };
        let mut ports = BTreeSet::new();
        for asked in &networking.ports {
            match asked {
                None => {
                    return Err(Wait::new(
                        &model.origin,
                        format!(
                            "a port of Service `{}` has no node port yet",
                            model.binding.service.name
                        ),
                    ));
                }
                Some(NetworkingPort::Number(number)) => {
                    let port = super::port(*number, &model.origin, "the port of a target")?;
                    ports.insert((port, port));
                }
                // What the pods call so today.
                Some(NetworkingPort::Name(_)) => {
                    ports.extend(targets.iter().map(|target| (target.port, target.port)));
                }
                Some(NetworkingPort::All) => {
                    ports.insert(ALL_PORTS);
                }
            }
        }
        Ok(Some(Opening {
            ports,
            nodes: match model.target_type {
                TargetType::Instance => None,
                TargetType::Ip => Some(nodes),
            },
        }))
    }
}

/// What each group of the nodes must admit, and why some of it cannot be told.
#[derive(Debug, Default)]
pub struct Admitted {
    pub permissions: BTreeMap<SecurityGroupId, Vec<Permission>>,
    pub unknown: BTreeSet<String>,
    /// Those of them that somebody should look at.
    pub odd: BTreeSet<String>,
}

/// One permission per group of nodes, from the least to the greatest port: LBC's way, which keeps the groups within their
/// quota of rules. `disable_restricted_sg_rules` keeps them apart.
pub fn admitted(openings: &[Opening], facts: &Facts, settings: &Settings) -> Admitted {
    let mut admitted = Admitted::default();
    let suitable = match node::suitable(facts) {
        Ok(suitable) => suitable,
        Err(reason) => {
            admitted.unknown.insert(reason);
            return admitted;
        }
    };
    let mut ports: BTreeMap<SecurityGroupId, BTreeSet<(u16, u16)>> = BTreeMap::new();
    for instance in &suitable {
        let group = match group_of(&instance.id, instance.groups, facts, settings) {
            Ok(group) => group,
            Err(reason) => {
                admitted.odd.insert(reason.clone());
                admitted.unknown.insert(reason);
                continue;
            }
        };
        let on_node = openings.iter().filter(|opening| match &opening.nodes {
            None => true,
            Some(nodes) => nodes.contains(instance.name()),
        });
        ports
            .entry(group)
            .or_default()
            .extend(on_node.flat_map(|opening| &opening.ports));
    }
    for (group, ports) in ports {
        let ranges: Vec<(u16, u16)> = match settings.flags.disable_restricted_sg_rules {
            true => ports.into_iter().collect(),
            false => {
                let from = ports.iter().map(|(from, _)| *from).min();
                let to = ports.iter().map(|(_, to)| *to).max();
                from.zip(to).into_iter().collect()
            }
        };
        let source = super::backend_group(settings);
        let permissions: Vec<Permission> = ranges
            .into_iter()
            .map(|range| permission(range, source.clone()))
            .collect();
        if !permissions.is_empty() {
            admitted.permissions.insert(group, permissions);
        }
    }
    admitted
}

fn permission((from, to): (u16, u16), source: Ref<SecurityGroupId>) -> Permission {
    Permission {
        protocol: "tcp".to_owned(),
        from_port: i32::from(from),
        to_port: i32::from(to),
        source: PermissionSource::SecurityGroup(source),
        description: tags::NODE_PERMISSION_MARK.to_owned(),
    }
}
