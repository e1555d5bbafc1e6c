//! From a group's model to what is sent to AWS: tracking tags, targets, AWS's defaults spelled out (decision 13 of the
//! spec), and rules of a size that ALB takes.
//!
//! What of a group cannot be brought about in AWS holds the whole of it, so that nothing is ever half applied.

use std::collections::BTreeMap;

use super::{Wait, keep, tag};
use crate::{
    id::{Arn, ResourceId, SecurityGroupId},
    manifest::{Service, ServiceRef},
    model::{
        desired::{GroupStack, ListenerStack, Ref, TargetGroupStack},
        elb::LoadBalancerSpec,
        facts::Facts,
        group::{self, GroupModel, IngressSource, SecurityGroupRef, shadow::Network},
        net::{Permission, PermissionSource, SecurityGroupSpec, Tags},
        settings::Settings,
    },
    problem::Origin,
};

mod listener;
pub(super) mod network;
mod rule;
mod target;
mod target_group;
mod unserved;

pub(super) use network::Opening;
#[cfg(test)]
pub(super) use unserved::Unserved;

/// What lowering looks at; the same for all groups.
#[derive(Clone, Copy)]
pub(super) struct Looks<'a> {
    pub facts: &'a Facts,
    pub settings: &'a Settings,
    pub services: &'a BTreeMap<&'a ServiceRef, &'a Service>,
}

/// One group on its way to AWS.
struct Lower<'a> {
    id: &'a str,
    model: &'a GroupModel,
    looks: Looks<'a>,
    origin: &'a Origin,
}

/// A group as it is sent, and what its targets must let in.
pub(super) struct Lowered {
    pub stack: GroupStack,
    pub openings: Vec<Opening>,
}

/// # Errors
/// Everything that keeps the group from being applied now.
pub(super) fn lower(id: &str, model: &GroupModel, looks: Looks<'_>) -> Result<Lowered, Vec<Wait>> {
    let Some(first) = model.members.first() else {
        return Err(Vec::new());
    };
    let lower = Lower {
        id,
        model,
        looks,
        origin: &first.origin,
    };
    let mut waits = lower.unserved();
    let mut openings = Vec::new();
    let mut target_groups = BTreeMap::new();
    for (name, target_group) in &model.target_groups {
        let lowered = lower.target_group(name, target_group);
        if let Some((spec, opening)) = keep(&mut waits, lowered) {
            openings.extend(opening);
            let origin = target_group.origin.clone();
            target_groups.insert(name.clone(), TargetGroupStack { origin, spec });
        }
    }
    let mut listeners = BTreeMap::new();
    for (port, listener) in &model.listeners {
        let spec = keep(&mut waits, lower.listener(*port, listener));
        let mut rules = Vec::new();
        for rule in &listener.rules {
            rules.extend(keep(&mut waits, lower.rule(rule)).into_iter().flatten());
        }
        if let Some(spec) = spec {
            let origin = listener.origin.clone();
            listeners.insert(
                *port,
                ListenerStack {
                    origin,
                    spec,
                    rules,
                },
            );
        }
    }
    let vpc = keep(&mut waits, lower.vpc_id());
    let (Some(vpc_id), true) = (vpc, waits.is_empty()) else {
        return Err(waits);
    };
    Ok(Lowered {
        stack: GroupStack {
            group_id: id.to_owned(),
            members: model.members.clone(),
            security_group: model
                .security_group
                .as_ref()
                .map(|managed| lower.security_group(managed, vpc_id)),
            load_balancer: lower.load_balancer(),
            listeners,
            target_groups,
        },
        openings,
    })
}

impl Lower<'_> {
    fn vpc_id(&self) -> Result<String, Wait> {
        match &self.looks.facts.vpc {
            Some(vpc) => Ok(vpc.id.clone()),
            None => Err(Wait::new(self.origin, "the VPC was not read")),
        }
    }

    fn tags(&self, tags: &Tags, resource: Option<&str>) -> Tags {
        tag::of_group(self.looks.settings, self.id, resource, tags.clone())
    }

    fn security_group(
        &self,
        managed: &group::ManagedSecurityGroup,
        vpc_id: String,
    ) -> SecurityGroupSpec {
        let resource = ResourceId::managed_security_group(self.id);
        SecurityGroupSpec {
            name: managed.name.clone(),
            description: managed.description.to_owned(),
            vpc_id,
            tags: self.tags(&managed.tags, Some(&resource.name)),
            ingress: managed
                .ingress
                .iter()
                .map(|permission| Permission {
                    protocol: "tcp".to_owned(),
                    from_port: i32::from(permission.port),
                    to_port: i32::from(permission.port),
                    source: match &permission.source {
                        IngressSource::Ipv4(cidr) => PermissionSource::Cidr(network_of(cidr)),
                        IngressSource::Ipv6(cidr) => PermissionSource::Ipv6Cidr(network_of(cidr)),
                        IngressSource::PrefixList(list) => {
                            PermissionSource::PrefixList(list.clone())
                        }
                    },
                    description: String::new(),
                })
                .collect(),
        }
    }

    fn load_balancer(&self) -> LoadBalancerSpec {
        let model = &self.model.load_balancer;
        let resource = ResourceId::load_balancer(self.id);
        LoadBalancerSpec {
            name: model.name.clone(),
            scheme: model.scheme,
            ip_address_type: model.ip_address_type.as_str().to_owned(),
            subnets: model.subnets.clone(),
            security_groups: model
                .security_groups
                .iter()
                .map(|group| self.group_ref(group))
                .collect(),
            attributes: model.attributes.clone(),
            tags: self.tags(&model.tags, Some(&resource.name)),
        }
    }

    fn group_ref(&self, group: &SecurityGroupRef) -> Ref<SecurityGroupId> {
        match group {
            SecurityGroupRef::Managed => Ref::Output(ResourceId::managed_security_group(self.id)),
            SecurityGroupRef::Backend(_) => backend_group(self.looks.settings),
            SecurityGroupRef::Id(id) => Ref::Known(id.clone()),
        }
    }

    fn target_group_ref(&self, target_group: &group::TargetGroupRef) -> Ref<Arn> {
        match target_group {
            group::TargetGroupRef::Own(name) => {
                Ref::Output(ResourceId::target_group(self.id, name))
            }
            group::TargetGroupRef::Arn(arn) => Ref::Known(Arn::new(arn.as_str())),
        }
    }
}

/// A range as EC2 keeps it (aws-deploy §10.8): as it was written, one with host bits would differ for ever from what is
/// read.
fn network_of(cidr: &str) -> String {
    Network::parse(cidr).map_or_else(|| cidr.to_owned(), |network| network.network())
}

/// The group that all balancers share: the configured one, else one that is ours to make and to find, so that its id is
/// not asked of the facts.
pub(super) fn backend_group(settings: &Settings) -> Ref<SecurityGroupId> {
    match settings.flags.backend_security_group.as_str() {
        "" => Ref::Output(ResourceId::backend_security_group()),
        given => Ref::Known(SecurityGroupId::from(given)),
    }
}

/// A number as ELBv2 takes ports.
fn port(number: i32, origin: &Origin, what: &str) -> Result<u16, Wait> {
    u16::try_from(number)
        .ok()
        .filter(|port| *port != 0)
        .ok_or_else(|| {
            Wait::new(
                origin,
                format!("{what} {number} is not a port (1 to 65535)"),
            )
        })
}
