//! What a new thing is made with: nobody can compare it with what was there.

use std::collections::BTreeMap;

use crate::{
    model::{
        elb::{HealthCheck, ListenerSpec, LoadBalancerSpec, RuleSpec, TargetGroupSpec, TargetType},
        net::Tags,
    },
    plan::{
        diff::{
            elb::{group_text, matcher_text, mutual_text},
            joined,
            words::{actions_text, transforms_text},
        },
        op::Action,
    },
};

/// Lines below an operation that creates something, beyond what its own line says.
pub(super) fn of(action: &Action) -> Vec<String> {
    match action {
        Action::CreateSecurityGroup { spec, .. } => tags(&spec.tags),
        Action::CreateLoadBalancer { spec, .. } => load_balancer(spec),
        Action::CreateTargetGroup { spec, .. } => target_group(spec),
        Action::CreateListener { spec, .. } => listener(spec),
        Action::CreateRule { spec, .. } => rule(spec),
        _ => Vec::new(),
    }
}

fn load_balancer(spec: &LoadBalancerSpec) -> Vec<String> {
    let mut lines = vec![
        format!("{} in {}", spec.ip_address_type, joined(&spec.subnets)),
        format!(
            "security groups: {}",
            joined(spec.security_groups.iter().map(group_text))
        ),
    ];
    lines.extend(tags(&spec.tags));
    lines
}

fn target_group(spec: &TargetGroupSpec) -> Vec<String> {
    let of = match spec.target_type {
        TargetType::Instance => "instances",
        TargetType::Ip => "addresses",
    };
    let control = spec
        .target_control_port
        .map(|port| format!(", controlled on port {port}"));
    let HealthCheck {
        port,
        protocol,
        path,
        interval_seconds,
        timeout_seconds,
        healthy_threshold,
        unhealthy_threshold,
        matcher,
    } = &spec.health_check;
    let mut lines = vec![
        format!(
            "{of} ({}), {} ({}) to port {}{}",
            spec.ip_address_type,
            spec.protocol,
            spec.protocol_version,
            spec.port,
            control.unwrap_or_default()
        ),
        format!(
            "health check: {protocol} {path} on {port} every {interval_seconds} s, timeout {timeout_seconds} s, healthy \
             after {healthy_threshold}, unhealthy after {unhealthy_threshold}, success {}",
            matcher_text(matcher)
        ),
    ];
    lines.extend(tags(&spec.tags));
    lines
}

fn listener(spec: &ListenerSpec) -> Vec<String> {
    let actions = actions_text(&spec.default_actions, &BTreeMap::new());
    let mut lines = vec![format!("default action: {actions}")];
    if let Some(tls) = &spec.tls {
        lines.push(format!("default certificate: {}", tls.default_certificate));
        if let Some(policy) = &tls.ssl_policy {
            lines.push(format!("SSL policy: {policy}"));
        }
        if let Some(mutual) = &tls.mutual_authentication {
            lines.push(format!(
                "client certificates: {}",
                mutual_text(Some(mutual))
            ));
        }
    }
    lines.extend(tags(&spec.tags));
    lines
}

fn rule(spec: &RuleSpec) -> Vec<String> {
    let mut lines = Vec::new();
    if !spec.transforms.is_empty() {
        lines.push(format!("rewrites: {}", transforms_text(&spec.transforms)));
    }
    lines.extend(tags(&spec.tags));
    lines
}

/// Tags of the user's; those that mark what is ours are on everything.
fn tags(tags: &Tags) -> Vec<String> {
    const MARKS: [&str; 3] = ["elbv2.k8s.aws/", "ingress.k8s.aws/", "albsync.dev/"];
    let of_user: Vec<String> = tags
        .iter()
        .filter(|(key, _)| !MARKS.iter().any(|mark| key.starts_with(mark)))
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    if of_user.is_empty() {
        return Vec::new();
    }
    vec![format!("tags: {}", of_user.join(", "))]
}
