//! What ties a target group to its Service, and who may reach the targets (ingress-model §6.6).

use super::{
    HealthCheckPort, Networking, NetworkingPort, TargetGroupBinding, backend::ViewPort,
    context::Reach,
};
use crate::{
    manifest::{
        ServiceRef,
        annotation::{options::Map, value::TargetType},
        ingress::PortRef,
    },
    model::settings::Flags,
};

#[cfg(test)]
mod tests;

/// What a target group's settings say of its binding.
pub struct Asked<'q> {
    pub service: &'q ServiceRef,
    pub service_port: &'q PortRef,
    pub target: &'q ViewPort<'q>,
    pub target_type: TargetType,
    /// `None`: a node port that is not assigned yet.
    pub health_check_port: Option<&'q HealthCheckPort>,
    pub control_port: Option<i32>,
    pub vpc_id: String,
    pub node_labels: Option<&'q Map>,
    pub multi_cluster: bool,
}

pub fn build(reach: &Reach, flags: &Flags, asked: Asked<'_>) -> TargetGroupBinding {
    let networking = reach.source.as_ref().map(|source| Networking {
        source: source.clone(),
        ports: if flags.disable_restricted_sg_rules {
            vec![Some(NetworkingPort::All)]
        } else {
            ports(&asked)
        },
    });
    TargetGroupBinding {
        service: asked.service.clone(),
        port: asked.service_port.clone(),
        vpc_id: asked.vpc_id,
        node_selector: asked
            .node_labels
            .filter(|labels| !labels.is_empty())
            .cloned(),
        multi_cluster: asked.multi_cluster,
        networking,
    }
}

/// The targets' port, that of the health check unless it is the same by nature, and the control port; equal numbers are
/// not joined.
fn ports(asked: &Asked<'_>) -> Vec<Option<NetworkingPort>> {
    let target = match (asked.target_type, &*asked.target.target) {
        (TargetType::Instance, _) => asked.target.node_port.map(NetworkingPort::Number),
        (TargetType::Ip, PortRef::Number(number)) => Some(NetworkingPort::Number(*number)),
        (TargetType::Ip, PortRef::Name(name)) => Some(NetworkingPort::Name(name.clone())),
    };
    let health_check = match asked.health_check_port {
        Some(HealthCheckPort::TrafficPort) => None,
        Some(HealthCheckPort::Number(number)) => Some(Some(NetworkingPort::Number(*number))),
        None => Some(None),
    };
    let control = asked
        .control_port
        .map(|port| Some(NetworkingPort::Number(port)));
    [Some(target), health_check, control]
        .into_iter()
        .flatten()
        .collect()
}
