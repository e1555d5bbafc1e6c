//! Specs as small as they come, for tests that need one and care for some of its fields.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::elb::{HealthCheck, Matcher, TargetGroupSpec, TargetType};

/// As an Ingress without annotations has it (ingress-model §6): for nodes, by HTTP, with no target and no tag.
pub fn target_group(name: &str) -> TargetGroupSpec {
    TargetGroupSpec {
        target_control_port: None,
        name: name.to_owned(),
        target_type: TargetType::Instance,
        port: 30080,
        protocol: "HTTP".to_owned(),
        protocol_version: "HTTP1".to_owned(),
        ip_address_type: "ipv4".to_owned(),
        vpc_id: "vpc-1".to_owned(),
        health_check: HealthCheck {
            port: "traffic-port".to_owned(),
            protocol: "HTTP".to_owned(),
            path: "/".to_owned(),
            interval_seconds: 15,
            timeout_seconds: 5,
            healthy_threshold: 2,
            unhealthy_threshold: 2,
            matcher: Matcher::HttpCode("200".to_owned()),
        },
        attributes: BTreeMap::new(),
        tags: BTreeMap::new(),
        targets: BTreeSet::new(),
    }
}
