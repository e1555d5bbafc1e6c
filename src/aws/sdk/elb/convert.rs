//! From ELBv2's types to ours. What AWS echoes in several forms becomes one (aws-deploy §10.8 point 10).

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_elasticloadbalancingv2::types as sdk;

use crate::{
    id::{Arn, SecurityGroupId, SubnetId},
    model::{
        elb::{
            HealthCheck, Listener, LoadBalancer, Matcher, MutualAuthentication, MutualMode,
            Rewrite, Rule, RuleAction, Scheme, Target, TargetGroup, Tls, Transform,
        },
        net::Tags,
    },
};

mod action;
mod condition;
mod send;

use action::actions;
use condition::condition;
pub(super) use send::*;

/// The zone of an address outside the VPC.
const ALL_ZONES: &str = "all";

/// The converted thing, or which field the answer lacks.
pub(super) type Read<T> = std::result::Result<T, &'static str>;

pub(super) fn load_balancer(raw: sdk::LoadBalancer) -> Read<LoadBalancer> {
    Ok(LoadBalancer {
        arn: Arn(raw.load_balancer_arn.ok_or("LoadBalancerArn")?),
        name: raw.load_balancer_name.unwrap_or_default(),
        dns_name: raw.dns_name.unwrap_or_default(),
        kind: raw
            .r#type
            .map_or_else(|| "application".to_owned(), |kind| kind.as_str().to_owned()),
        scheme: raw.scheme.and_then(|scheme| match scheme.as_str() {
            "internal" => Some(Scheme::Internal),
            "internet-facing" => Some(Scheme::InternetFacing),
            _ => None,
        }),
        ip_address_type: raw
            .ip_address_type
            .map_or_else(|| "ipv4".to_owned(), |kind| kind.as_str().to_owned()),
        vpc_id: raw.vpc_id.unwrap_or_default(),
        state: raw
            .state
            .and_then(|state| state.code)
            .map_or_else(|| "active".to_owned(), |code| code.as_str().to_owned()),
        subnets: raw
            .availability_zones
            .unwrap_or_default()
            .into_iter()
            .filter_map(|zone| zone.subnet_id)
            .map(SubnetId)
            .collect(),
        security_groups: {
            let mut groups: Vec<_> = raw
                .security_groups
                .unwrap_or_default()
                .into_iter()
                .map(SecurityGroupId)
                .collect();
            groups.sort();
            groups
        },
        attributes: BTreeMap::new(),
        tags: Tags::new(),
    })
}

pub(super) fn listener(raw: sdk::Listener) -> Read<Listener> {
    Ok(Listener {
        arn: Arn(raw.listener_arn.ok_or("ListenerArn")?),
        load_balancer: Arn(raw.load_balancer_arn.ok_or("LoadBalancerArn")?),
        port: port(raw.port.ok_or("Port")?).ok_or("a valid Port")?,
        protocol: raw.protocol.ok_or("Protocol")?.as_str().to_owned(),
        default_actions: actions(raw.default_actions.unwrap_or_default()),
        tls: Tls {
            default_certificate: raw
                .certificates
                .unwrap_or_default()
                .into_iter()
                .find_map(|certificate| certificate.certificate_arn)
                .map(Arn),
            certificates: BTreeSet::new(),
            ssl_policy: raw.ssl_policy.filter(|policy| !policy.is_empty()),
            mutual_authentication: raw.mutual_authentication.and_then(mutual_authentication),
        },
        attributes: BTreeMap::new(),
        tags: Tags::new(),
    })
}

/// `None` for a mode that we do not know, which then compares as off.
fn mutual_authentication(raw: sdk::MutualAuthenticationAttributes) -> Option<MutualAuthentication> {
    let mode = match raw.mode?.as_str() {
        "off" => MutualMode::Off,
        "passthrough" => MutualMode::Passthrough,
        "verify" => MutualMode::Verify,
        _ => return None,
    };
    Some(MutualAuthentication {
        mode,
        trust_store: raw.trust_store_arn.filter(|arn| !arn.is_empty()).map(Arn),
        ignore_client_certificate_expiry: raw.ignore_client_certificate_expiry,
        advertise_trust_store_ca_names: raw
            .advertise_trust_store_ca_names
            .map(|names| names.as_str().to_owned()),
    })
}

/// Those that are not there as the default only.
pub(super) fn certificates(raw: Vec<sdk::Certificate>) -> BTreeSet<Arn> {
    raw.into_iter()
        .filter(|certificate| certificate.is_default != Some(true))
        .filter_map(|certificate| certificate.certificate_arn)
        .map(Arn)
        .collect()
}

/// `None` for the default rule.
pub(super) fn rule(listener: &Arn, raw: sdk::Rule) -> Read<Option<Rule>> {
    let priority = raw.priority.ok_or("Priority")?;
    if raw.is_default == Some(true) || priority == "default" {
        return Ok(None);
    }
    let mut actions = actions(raw.actions.unwrap_or_default());
    let (transforms, others): (Vec<_>, Vec<_>) = raw
        .transforms
        .unwrap_or_default()
        .into_iter()
        .map(transform)
        .partition(Result::is_ok);
    // A kind that we do not know must not look like one of ours.
    actions.extend(others.into_iter().filter_map(Result::err));
    Ok(Some(Rule {
        arn: Arn(raw.rule_arn.ok_or("RuleArn")?),
        listener: listener.clone(),
        priority: priority.parse().map_err(|_| "a valid Priority")?,
        conditions: raw
            .conditions
            .unwrap_or_default()
            .into_iter()
            .map(condition)
            .collect(),
        actions,
        transforms: transforms.into_iter().filter_map(Result::ok).collect(),
        tags: Tags::new(),
    }))
}

fn transform(raw: sdk::RuleTransform) -> Result<Transform, RuleAction> {
    let rewrites = |raw: Option<Vec<sdk::RewriteConfig>>| -> Vec<Rewrite> {
        raw.unwrap_or_default()
            .into_iter()
            .map(|rewrite| Rewrite {
                regex: rewrite.regex.unwrap_or_default(),
                replace: rewrite.replace.unwrap_or_default(),
            })
            .collect()
    };
    match raw.r#type.as_ref().map_or("", |kind| kind.as_str()) {
        "url-rewrite" => Ok(Transform::UrlRewrite {
            rewrites: rewrites(raw.url_rewrite_config.and_then(|config| config.rewrites)),
        }),
        "host-header-rewrite" => Ok(Transform::HostHeaderRewrite {
            rewrites: rewrites(
                raw.host_header_rewrite_config
                    .and_then(|config| config.rewrites),
            ),
        }),
        _ => Err(RuleAction::Other {
            text: format!("transform {raw:?}"),
        }),
    }
}

pub(super) fn target_group(raw: sdk::TargetGroup) -> Read<TargetGroup> {
    let protocol = raw
        .protocol
        .map_or_else(String::new, |protocol| protocol.as_str().to_owned());
    let matcher = raw.matcher;
    let grpc = matcher
        .as_ref()
        .and_then(|matcher| matcher.grpc_code.clone())
        .filter(|code| !code.is_empty());
    let http = matcher.and_then(|matcher| matcher.http_code);
    Ok(TargetGroup {
        arn: Arn(raw.target_group_arn.ok_or("TargetGroupArn")?),
        name: raw.target_group_name.unwrap_or_default(),
        target_type: raw
            .target_type
            .map_or_else(|| "instance".to_owned(), |kind| kind.as_str().to_owned()),
        port: raw.port.and_then(port).unwrap_or(0),
        protocol_version: raw.protocol_version.unwrap_or_else(|| {
            if protocol.starts_with("HTTP") {
                "HTTP1".to_owned()
            } else {
                String::new()
            }
        }),
        ip_address_type: raw
            .ip_address_type
            .map_or_else(|| "ipv4".to_owned(), |kind| kind.as_str().to_owned()),
        vpc_id: raw.vpc_id.unwrap_or_default(),
        target_control_port: raw.target_control_port.and_then(port),
        health_check: HealthCheck {
            port: raw
                .health_check_port
                .unwrap_or_else(|| "traffic-port".to_owned()),
            protocol: raw
                .health_check_protocol
                .map_or_else(|| protocol.clone(), |protocol| protocol.as_str().to_owned()),
            path: raw.health_check_path.unwrap_or_default(),
            interval_seconds: raw.health_check_interval_seconds.unwrap_or(0),
            timeout_seconds: raw.health_check_timeout_seconds.unwrap_or(0),
            healthy_threshold: raw.healthy_threshold_count.unwrap_or(0),
            unhealthy_threshold: raw.unhealthy_threshold_count.unwrap_or(0),
            matcher: grpc.map_or_else(
                || Matcher::HttpCode(http.unwrap_or_default()),
                Matcher::GrpcCode,
            ),
        },
        protocol,
        attributes: BTreeMap::new(),
        tags: Tags::new(),
        targets: BTreeSet::new(),
    })
}

/// `None` for a target that is on its way out.
pub(super) fn target(raw: sdk::TargetHealthDescription) -> Read<Option<Target>> {
    let draining = raw
        .target_health
        .and_then(|health| health.state)
        .is_some_and(|state| matches!(state.as_str(), "draining" | "unhealthy.draining"));
    if draining {
        return Ok(None);
    }
    let target = raw.target.ok_or("Target")?;
    Ok(Some(Target {
        id: target.id.ok_or("Target.Id")?,
        port: target.port.and_then(port).unwrap_or(0),
        all_zones: target.availability_zone.as_deref() == Some(ALL_ZONES),
    }))
}

pub(super) fn tags(raw: Option<Vec<sdk::Tag>>) -> Tags {
    raw.unwrap_or_default()
        .into_iter()
        .filter_map(|tag| Some((tag.key?, tag.value.unwrap_or_default())))
        .collect()
}

fn port(number: i32) -> Option<u16> {
    u16::try_from(number).ok()
}
