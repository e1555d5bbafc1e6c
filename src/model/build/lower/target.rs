//! Who is registered: nodes, or the pods behind a Service (aws-deploy §4.3–4.5).

use std::{
    collections::BTreeSet,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use super::{
    super::{Wait, node},
    Looks,
};
use crate::{
    manifest::annotation::value::TargetType,
    model::{
        elb::Target,
        facts::{EndpointFact, Facts},
        group::{self, backend::View},
    },
};

/// Targets, and the nodes on which they are where they are pods.
pub(in super::super) struct Targets {
    pub targets: BTreeSet<Target>,
    pub nodes: BTreeSet<String>,
}

impl<'a> Looks<'a> {
    pub(in super::super) fn targets(
        &self,
        model: &group::TargetGroup,
        port: u16,
    ) -> Result<Targets, Wait> {
        match model.target_type {
            TargetType::Instance => self.nodes(model, port),
            TargetType::Ip => self.pods(model),
        }
    }

    fn nodes(&self, model: &group::TargetGroup, port: u16) -> Result<Targets, Wait> {
        let selector = model.binding.node_selector.as_ref();
        let fails_open = self.settings.gates.endpoints_fail_open;
        let ids = node::targets(self.facts, selector, fails_open)
            .map_err(|reason| Wait::new(&model.origin, reason))?;
        Ok(Targets {
            targets: ids
                .into_iter()
                .map(|id| Target {
                    id,
                    port,
                    all_zones: false,
                })
                .collect(),
            nodes: BTreeSet::new(),
        })
    }

    /// The ready pods that the Service's endpoint slices list for this port, by the port's name.
    fn pods(&self, model: &group::TargetGroup) -> Result<Targets, Wait> {
        let service = &model.binding.service;
        let name = self.port_name(model)?;
        let endpoints = self.endpoints(model)?;
        let mut found = Targets {
            targets: BTreeSet::new(),
            nodes: BTreeSet::new(),
        };
        let facts = self.facts;
        for endpoint in endpoints {
            let Some(port) = endpoint.ports.get(&name) else {
                continue;
            };
            let Ok(address) = endpoint.address.parse::<IpAddr>() else {
                return Err(Wait::new(
                    &model.origin,
                    format!(
                        "an endpoint of Service `{}` has no address: `{}`",
                        service.name, endpoint.address
                    ),
                ));
            };
            if !endpoint.is_ready || address.is_ipv6() != model.is_ipv6 {
                continue;
            }
            found.targets.insert(Target {
                id: endpoint.address.clone(),
                port: *port,
                all_zones: !is_in_vpc(address, facts),
            });
            found.nodes.extend(endpoint.node.clone());
        }
        Ok(found)
    }

    fn endpoints(&self, model: &group::TargetGroup) -> Result<&'a [EndpointFact], Wait> {
        let service = &model.binding.service;
        match &self.facts.endpoints {
            None => Err(Wait::new(
                &model.origin,
                format!("the endpoints of Service `{}` were not read", service.name),
            )),
            Some(endpoints) => Ok(endpoints
                .get(&service.to_string())
                .map_or(&[], Vec::as_slice)),
        }
    }

    /// The Service behind the target group, as the model sees it.
    pub(super) fn view(&self, model: &group::TargetGroup) -> View<'a> {
        let service = &model.binding.service;
        let facts = self.facts.services.as_ref();
        View {
            document: self.services.get(service).copied(),
            fact: facts.and_then(|services| services.get(&service.to_string())),
        }
    }

    /// Slices name ports as the Service does; one without a name has the empty one.
    fn port_name(&self, model: &group::TargetGroup) -> Result<String, Wait> {
        let service = &model.binding.service;
        match self.view(model).port(&model.binding.port) {
            Some(port) => Ok(port.name.unwrap_or_default().to_owned()),
            None => Err(Wait::new(
                &model.origin,
                format!(
                    "port {} of Service `{}` is not known",
                    model.binding.port, service.name
                ),
            )),
        }
    }
}

/// Inside one of the VPC's ranges an address has a zone of its own; AWS wants to be told of all others. Where no range
/// of its family was read nothing can be said, and addresses of pods are the VPC's as a rule.
fn is_in_vpc(address: IpAddr, facts: &Facts) -> bool {
    let ranges: Vec<(IpAddr, u32)> = facts
        .vpc
        .iter()
        .flat_map(|vpc| &vpc.cidrs)
        .filter_map(|text| range(text))
        .filter(|(network, _)| network.is_ipv6() == address.is_ipv6())
        .collect();
    ranges.is_empty()
        || ranges
            .iter()
            .any(|(network, length)| covers(*network, *length, address))
}

fn range(text: &str) -> Option<(IpAddr, u32)> {
    let (network, length) = text.split_once('/')?;
    Some((network.parse().ok()?, length.parse().ok()?))
}

fn covers(network: IpAddr, length: u32, address: IpAddr) -> bool {
    match (network, address) {
        (IpAddr::V4(network), IpAddr::V4(address)) => {
            let mask = u32::MAX
                .checked_shl(Ipv4Addr::BITS.saturating_sub(length))
                .unwrap_or(0);
            network.to_bits() & mask == address.to_bits() & mask
        }
        (IpAddr::V6(network), IpAddr::V6(address)) => {
            let mask = u128::MAX
                .checked_shl(Ipv6Addr::BITS.saturating_sub(length))
                .unwrap_or(0);
            network.to_bits() & mask == address.to_bits() & mask
        }
        _ => false,
    }
}
