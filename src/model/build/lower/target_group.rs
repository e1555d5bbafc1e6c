//! Target groups with their targets (ingress-model §6).

use super::{super::Wait, Lower, network::Opening, port, target::Targets};
use crate::manifest::annotation::value::TargetType;
use crate::model::{
    elb::{HealthCheck, Matcher, TargetGroupSpec},
    group::{self, HealthCheckPort},
};

impl Lower<'_> {
    pub(super) fn target_group(
        &self,
        name: &str,
        model: &group::TargetGroup,
    ) -> Result<(TargetGroupSpec, Option<Opening>), Wait> {
        let origin = &model.origin;
        let service = &model.binding.service;
        self.check_assigned(model)?;
        let Some(number) = model.port else {
            return Err(Wait::new(
                origin,
                format!(
                    "port {} of Service `{}` has no node port yet",
                    model.binding.port, service.name
                ),
            ));
        };
        let Some(aws_name) = model.name.clone() else {
            return Err(Wait::new(
                origin,
                format!("the uid of Service `{}` is not known yet", service.name),
            ));
        };
        let number = port(number, origin, "the target group's port")?;
        let control = model
            .target_control_port
            .map(|control| port(control, origin, "the target control port"))
            .transpose()?;
        let Targets { targets, nodes } = self.looks.targets(model, number)?;
        let opening = self.opening(model, &targets, nodes)?;
        let spec = TargetGroupSpec {
            name: aws_name,
            target_type: model.target_type,
            port: number,
            protocol: model.protocol.as_str().to_owned(),
            protocol_version: model.protocol_version.as_str().to_owned(),
            ip_address_type: if model.is_ipv6 { "ipv6" } else { "ipv4" }.to_owned(),
            vpc_id: model.binding.vpc_id.clone(),
            target_control_port: control,
            health_check: health_check(model)?,
            attributes: model.attributes.clone(),
            tags: self.tags(&model.tags, Some(name)),
            targets,
        };
        Ok((spec, opening))
    }
}

impl Lower<'_> {
    /// The cluster has the Service as git wants it: targets on a node port that is still to come would not answer.
    fn check_assigned(&self, model: &group::TargetGroup) -> Result<(), Wait> {
        let service = &model.binding.service;
        let name = &service.name;
        let wait = |reason: String| Err(Wait::new(&model.origin, reason));
        let Some(services) = &self.looks.facts.services else {
            return wait(format!(
                "uid and node port of Service `{name}` are not known: the cluster's Services were not read"
            ));
        };
        let Some(fact) = services.get(&service.to_string()) else {
            return wait(format!("Service `{name}` is not in the cluster yet"));
        };
        if model.target_type != TargetType::Instance {
            return Ok(());
        }
        let number = self.looks.view(model).port(&model.binding.port);
        let live = number
            .and_then(|port| fact.node_ports.get(&port.number.to_string()))
            .copied()
            .flatten();
        match (live, model.port) {
            (Some(live), Some(wanted)) if i32::from(live) != wanted => wait(format!(
                "Service `{name}` does not have its new node port {wanted} yet"
            )),
            (None, Some(wanted)) => wait(format!(
                "Service `{name}` does not have its node port {wanted} yet"
            )),
            _ => Ok(()),
        }
    }
}

fn health_check(model: &group::TargetGroup) -> Result<HealthCheck, Wait> {
    let check = &model.health_check;
    let port = match &check.port {
        None => {
            return Err(Wait::new(
                &model.origin,
                format!(
                    "the health check's port of Service `{}` has no node port yet",
                    model.binding.service.name
                ),
            ));
        }
        Some(HealthCheckPort::TrafficPort) => "traffic-port".to_owned(),
        Some(HealthCheckPort::Number(number)) => number.to_string(),
    };
    Ok(HealthCheck {
        port,
        protocol: check.protocol.as_str().to_owned(),
        path: check.path.clone(),
        interval_seconds: check.interval_seconds,
        timeout_seconds: check.timeout_seconds,
        healthy_threshold: check.healthy_threshold_count,
        unhealthy_threshold: check.unhealthy_threshold_count,
        matcher: match &check.matcher {
            group::Matcher::HttpCode(codes) => Matcher::HttpCode(codes.clone()),
            group::Matcher::GrpcCode(codes) => Matcher::GrpcCode(codes.clone()),
        },
    })
}
