//! Between ELBv2's types and ours. What AWS echoes in several forms becomes one (aws-deploy §10.8 point 10).

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_elasticloadbalancingv2::types as sdk;

use crate::{
    id::{Arn, SecurityGroupId, SubnetId},
    model::{
        desired::Ref,
        elb::{
            Condition, HealthCheck, Listener, LoadBalancer, Matcher, QueryPair, Rule, RuleAction,
            Scheme, Target, TargetGroup, WeightedTargetGroup,
        },
        net::Tags,
    },
};

/// What ELBv2 puts into a redirect for a part that the request left out.
const REDIRECT_DEFAULTS: [&str; 5] = ["#{protocol}", "#{host}", "#{port}", "/#{path}", "#{query}"];

/// The converted thing, or which field the answer lacks.
pub(super) type Read<T> = std::result::Result<T, &'static str>;

// From ELBv2

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
        attributes: BTreeMap::new(),
        tags: Tags::new(),
    })
}

/// `None` for the default rule.
pub(super) fn rule(listener: &Arn, raw: sdk::Rule) -> Read<Option<Rule>> {
    let priority = raw.priority.ok_or("Priority")?;
    if raw.is_default == Some(true) || priority == "default" {
        return Ok(None);
    }
    let mut actions = actions(raw.actions.unwrap_or_default());
    // We have no transforms: a rule with some must not look like one of ours.
    actions.extend(
        raw.transforms
            .unwrap_or_default()
            .iter()
            .map(|transform| RuleAction::Other {
                text: format!("transform {transform:?}"),
            }),
    );
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
        tags: Tags::new(),
    }))
}

/// In the order of evaluation; the numbers themselves mean nothing.
fn actions(mut raw: Vec<sdk::Action>) -> Vec<RuleAction> {
    raw.sort_by_key(|action| action.order);
    raw.into_iter().map(action).collect()
}

fn action(raw: sdk::Action) -> RuleAction {
    let kind = raw.r#type.as_ref().map_or("", |kind| kind.as_str());
    match kind {
        "forward" => forward(raw.forward_config, raw.target_group_arn),
        "fixed-response" => {
            let fixed = raw.fixed_response_config;
            let (status_code, content_type, message_body) = fixed.map_or_else(
                || (String::new(), None, None),
                |fixed| {
                    (
                        fixed.status_code.unwrap_or_default(),
                        fixed.content_type,
                        fixed.message_body,
                    )
                },
            );
            RuleAction::FixedResponse {
                status_code,
                content_type: content_type.filter(|text| !text.is_empty()),
                message_body: message_body.filter(|text| !text.is_empty()),
            }
        }
        "redirect" => redirect(raw.redirect_config),
        // No contents: an OIDC action may hold a secret where the other side doesn't withhold it.
        other => RuleAction::Other {
            text: other.to_owned(),
        },
    }
}

/// `ForwardConfig` if it names groups, otherwise the short form; weight 1 and no stickiness where nothing is said.
fn forward(config: Option<sdk::ForwardActionConfig>, short: Option<String>) -> RuleAction {
    let (groups, stickiness) = config.map_or((None, None), |config| {
        (config.target_groups, config.target_group_stickiness_config)
    });
    let mut target_groups: Vec<WeightedTargetGroup> = groups
        .unwrap_or_default()
        .into_iter()
        .filter_map(|tuple| {
            Some(WeightedTargetGroup {
                arn: Ref::Known(Arn(tuple.target_group_arn?)),
                weight: tuple.weight.unwrap_or(1),
            })
        })
        .collect();
    if target_groups.is_empty() {
        target_groups.extend(short.map(|arn| WeightedTargetGroup {
            arn: Ref::Known(Arn(arn)),
            weight: 1,
        }));
    }
    target_groups.sort();
    RuleAction::Forward {
        target_groups,
        stickiness_seconds: stickiness
            .filter(|stickiness| stickiness.enabled == Some(true))
            .and_then(|stickiness| stickiness.duration_seconds),
    }
}

fn redirect(config: Option<sdk::RedirectActionConfig>) -> RuleAction {
    let [protocol, host, port, path, query] = REDIRECT_DEFAULTS;
    let (parts, status) = config.map_or((Default::default(), None), |config| {
        (
            [
                config.protocol,
                config.host,
                config.port,
                config.path,
                config.query,
            ],
            config.status_code,
        )
    });
    let [p, h, o, a, q] = parts;
    let or = |part: Option<String>, default: &str| part.unwrap_or_else(|| default.to_owned());
    RuleAction::Redirect {
        protocol: or(p, protocol),
        host: or(h, host),
        port: or(o, port),
        path: or(a, path),
        query: or(q, query),
        status_code: status.map_or_else(String::new, |status| status.as_str().to_owned()),
    }
}

/// Values stand in `Values`, in the field's own config, or in both.
fn condition(raw: sdk::RuleCondition) -> Condition {
    let field = raw.field.clone().unwrap_or_default();
    if uses_regex(&raw) {
        return other(&raw);
    }
    let short = raw.values.clone().filter(|values| !values.is_empty());
    let either = |own: Option<Vec<String>>| {
        own.filter(|values| !values.is_empty())
            .or(short)
            .unwrap_or_default()
    };
    match field.as_str() {
        "host-header" => Condition::HostHeader {
            values: either(raw.host_header_config.and_then(|config| config.values)),
        },
        "path-pattern" => Condition::PathPattern {
            values: either(raw.path_pattern_config.and_then(|config| config.values)),
        },
        "http-request-method" => Condition::HttpRequestMethod {
            values: either(
                raw.http_request_method_config
                    .and_then(|config| config.values),
            ),
        },
        "source-ip" => Condition::SourceIp {
            values: either(raw.source_ip_config.and_then(|config| config.values)),
        },
        "http-header" => {
            let (name, values) = raw.http_header_config.map_or((None, None), |config| {
                (config.http_header_name, config.values)
            });
            Condition::HttpHeader {
                name: name.unwrap_or_default(),
                values: either(values),
            }
        }
        "query-string" => Condition::QueryString {
            values: raw
                .query_string_config
                .and_then(|config| config.values)
                .unwrap_or_default()
                .into_iter()
                .map(|pair| QueryPair {
                    key: pair.key.filter(|key| !key.is_empty()),
                    value: pair.value.unwrap_or_default(),
                })
                .collect(),
        },
        _ => other(&raw),
    }
}

fn uses_regex(raw: &sdk::RuleCondition) -> bool {
    let some = |values: Option<&Vec<String>>| values.is_some_and(|values| !values.is_empty());
    some(raw.regex_values.as_ref())
        || some(
            raw.host_header_config
                .as_ref()
                .and_then(|config| config.regex_values.as_ref()),
        )
        || some(
            raw.path_pattern_config
                .as_ref()
                .and_then(|config| config.regex_values.as_ref()),
        )
        || some(
            raw.http_header_config
                .as_ref()
                .and_then(|config| config.regex_values.as_ref()),
        )
}

fn other(raw: &sdk::RuleCondition) -> Condition {
    Condition::Other {
        text: format!("{raw:?}"),
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

// To ELBv2

pub(super) fn to_tags(tags: &Tags) -> Option<Vec<sdk::Tag>> {
    // An empty list is refused by AWS; nothing is said instead.
    (!tags.is_empty()).then(|| {
        tags.iter()
            .map(|(key, value)| sdk::Tag::builder().key(key).value(value).build())
            .collect()
    })
}

pub(super) fn to_actions(actions: &[RuleAction]) -> Vec<sdk::Action> {
    (1..)
        .zip(actions)
        .map(|(order, action)| to_action(order, action))
        .collect()
}

/// Every field that AWS would default is said (decision 13 of the spec).
fn to_action(order: i32, action: &RuleAction) -> sdk::Action {
    let out = sdk::Action::builder().order(order);
    match action {
        RuleAction::Forward {
            target_groups,
            stickiness_seconds,
        } => {
            let groups = target_groups.iter().map(|group| {
                sdk::TargetGroupTuple::builder()
                    .target_group_arn(known(&group.arn).as_str())
                    .weight(group.weight)
                    .build()
            });
            out.r#type(sdk::ActionTypeEnum::Forward).forward_config(
                sdk::ForwardActionConfig::builder()
                    .set_target_groups(Some(groups.collect()))
                    .target_group_stickiness_config(
                        sdk::TargetGroupStickinessConfig::builder()
                            .enabled(stickiness_seconds.is_some())
                            .set_duration_seconds(*stickiness_seconds)
                            .build(),
                    )
                    .build(),
            )
        }
        RuleAction::FixedResponse {
            status_code,
            content_type,
            message_body,
        } => out
            .r#type(sdk::ActionTypeEnum::FixedResponse)
            .fixed_response_config(
                sdk::FixedResponseActionConfig::builder()
                    .status_code(status_code)
                    .set_content_type(content_type.clone())
                    .set_message_body(message_body.clone())
                    .build(),
            ),
        RuleAction::Redirect {
            protocol,
            host,
            port,
            path,
            query,
            status_code,
        } => out.r#type(sdk::ActionTypeEnum::Redirect).redirect_config(
            sdk::RedirectActionConfig::builder()
                .protocol(protocol)
                .host(host)
                .port(port)
                .path(path)
                .query(query)
                .status_code(status_code.as_str().into())
                .build(),
        ),
        RuleAction::Other { text } => unreachable!("BUG: a foreign action was planned: {text}"),
    }
    .build()
}

pub(super) fn to_conditions(conditions: &[Condition]) -> Vec<sdk::RuleCondition> {
    conditions.iter().map(to_condition).collect()
}

fn to_condition(condition: &Condition) -> sdk::RuleCondition {
    let out = sdk::RuleCondition::builder();
    match condition {
        Condition::HostHeader { values } => out.field("host-header").host_header_config(
            sdk::HostHeaderConditionConfig::builder()
                .set_values(Some(values.clone()))
                .build(),
        ),
        Condition::PathPattern { values } => out.field("path-pattern").path_pattern_config(
            sdk::PathPatternConditionConfig::builder()
                .set_values(Some(values.clone()))
                .build(),
        ),
        Condition::HttpHeader { name, values } => out.field("http-header").http_header_config(
            sdk::HttpHeaderConditionConfig::builder()
                .http_header_name(name)
                .set_values(Some(values.clone()))
                .build(),
        ),
        Condition::HttpRequestMethod { values } => {
            out.field("http-request-method").http_request_method_config(
                sdk::HttpRequestMethodConditionConfig::builder()
                    .set_values(Some(values.clone()))
                    .build(),
            )
        }
        Condition::QueryString { values } => {
            let pairs = values.iter().map(|pair| {
                sdk::QueryStringKeyValuePair::builder()
                    .set_key(pair.key.clone())
                    .value(&pair.value)
                    .build()
            });
            out.field("query-string").query_string_config(
                sdk::QueryStringConditionConfig::builder()
                    .set_values(Some(pairs.collect()))
                    .build(),
            )
        }
        Condition::SourceIp { values } => out.field("source-ip").source_ip_config(
            sdk::SourceIpConditionConfig::builder()
                .set_values(Some(values.clone()))
                .build(),
        ),
        Condition::Other { text } => unreachable!("BUG: a foreign condition was planned: {text}"),
    }
    .build()
}

pub(super) fn to_matcher(matcher: &Matcher) -> sdk::Matcher {
    let out = sdk::Matcher::builder();
    match matcher {
        Matcher::HttpCode(code) => out.http_code(code),
        Matcher::GrpcCode(code) => out.grpc_code(code),
    }
    .build()
}

pub(super) fn to_targets<'a>(
    targets: impl IntoIterator<Item = &'a Target>,
) -> Vec<sdk::TargetDescription> {
    targets
        .into_iter()
        .map(|target| {
            sdk::TargetDescription::builder()
                .id(&target.id)
                .port(i32::from(target.port))
                .build()
        })
        .collect()
}

/// The ports take resolved requests.
pub(super) fn known<T>(reference: &Ref<T>) -> &T {
    match reference {
        Ref::Known(value) => value,
        Ref::Output(id) => unreachable!("BUG: an unresolved reference to {id} reached the SDK"),
    }
}
