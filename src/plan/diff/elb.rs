//! When two ELBv2 settings are the same (aws-deploy §2.4, with its proposals to normalise more).

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    id::{Arn, ResourceId, SecurityGroupId},
    model::{
        desired::Ref,
        elb::{
            Condition, HealthCheck, LoadBalancer, LoadBalancerSpec, Matcher, MutualAuthentication,
            MutualMode, OidcClient, Patterns, RuleAction, TargetGroup, TargetGroupSpec, Tls,
            TlsSpec, Transform, WeightedTargetGroup,
        },
    },
};

use super::{super::op::Difference, difference, joined};

/// Conditions in a form in which equal meaning is equal data: values as sets, hosts and header names in lower case.
pub fn canonical_conditions(conditions: &[Condition]) -> BTreeSet<Condition> {
    conditions.iter().map(canonical_condition).collect()
}

fn canonical_condition(condition: &Condition) -> Condition {
    match condition {
        Condition::HostHeader { values } => Condition::HostHeader {
            values: match values {
                Patterns::Values(texts) => Patterns::Values(set(&lower(texts))),
                Patterns::Regex(texts) => Patterns::Regex(set(texts)),
            },
        },
        Condition::PathPattern { values } => Condition::PathPattern {
            values: patterns(values),
        },
        Condition::HttpHeader { name, values } => Condition::HttpHeader {
            name: name.to_lowercase(),
            values: patterns(values),
        },
        Condition::HttpRequestMethod { values } => Condition::HttpRequestMethod {
            values: set(values),
        },
        Condition::QueryString { values } => Condition::QueryString {
            values: set(values),
        },
        Condition::SourceIp { values } => Condition::SourceIp {
            values: set(values),
        },
        Condition::Other { text } => Condition::Other { text: text.clone() },
    }
}

fn set<T: Clone + Ord>(values: &[T]) -> Vec<T> {
    let set: BTreeSet<T> = values.iter().cloned().collect();
    set.into_iter().collect()
}

fn lower(values: &[String]) -> Vec<String> {
    values.iter().map(|value| value.to_lowercase()).collect()
}

fn patterns(patterns: &Patterns) -> Patterns {
    match patterns {
        Patterns::Values(texts) => Patterns::Values(set(texts)),
        Patterns::Regex(texts) => Patterns::Regex(set(texts)),
    }
}

/// Whether two lists of rewrites do the same: one of each type, in any order; an empty list is none.
pub fn same_transforms(a: &[Transform], b: &[Transform]) -> bool {
    fn set(transforms: &[Transform]) -> BTreeSet<&Transform> {
        transforms
            .iter()
            .filter(|transform| match transform {
                Transform::UrlRewrite { rewrites } | Transform::HostHeaderRewrite { rewrites } => {
                    !rewrites.is_empty()
                }
            })
            .collect()
    }
    set(a) == set(b)
}

/// Whether two lists of actions do the same: target groups in any order, the weight of a single one ignored.
pub fn same_actions(a: &[RuleAction], b: &[RuleAction]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same_action(a, b))
}

pub fn same_action(a: &RuleAction, b: &RuleAction) -> bool {
    match (a, b) {
        (
            RuleAction::Forward {
                target_groups: a,
                stickiness_seconds: sa,
            },
            RuleAction::Forward {
                target_groups: b,
                stickiness_seconds: sb,
            },
        ) => sa == sb && weights(a) == weights(b),
        (
            RuleAction::FixedResponse {
                status_code: a,
                content_type: ta,
                message_body: ba,
            },
            RuleAction::FixedResponse {
                status_code: b,
                content_type: tb,
                message_body: bb,
            },
        ) => a == b && filled(ta) == filled(tb) && filled(ba) == filled(bb),
        // The client is in a Secret: what AWS has of it cannot be compared.
        (RuleAction::AuthenticateOidc { .. }, RuleAction::AuthenticateOidc { .. }) => {
            without_client(a) == without_client(b)
        }
        (RuleAction::Redirect { .. }, RuleAction::Redirect { .. })
        | (RuleAction::AuthenticateCognito { .. }, RuleAction::AuthenticateCognito { .. })
        | (RuleAction::JwtValidation(_), RuleAction::JwtValidation(_))
        | (RuleAction::Other { .. }, RuleAction::Other { .. }) => a == b,
        (
            RuleAction::Forward { .. }
            | RuleAction::FixedResponse { .. }
            | RuleAction::Redirect { .. }
            | RuleAction::AuthenticateCognito { .. }
            | RuleAction::AuthenticateOidc { .. }
            | RuleAction::JwtValidation(_)
            | RuleAction::Other { .. },
            _,
        ) => false,
    }
}

fn without_client(action: &RuleAction) -> RuleAction {
    let mut action = action.clone();
    if let RuleAction::AuthenticateOidc { client, .. } = &mut action {
        *client = None;
    }
    action
}

/// The clients that the actions sign in with; their secrets are in the cluster.
pub fn clients(actions: &[RuleAction]) -> impl Iterator<Item = &OidcClient> {
    actions.iter().filter_map(|action| match action {
        RuleAction::AuthenticateOidc { client, .. } => client.as_ref(),
        _ => None,
    })
}

/// An absent text comes back as an empty one from some servers.
fn filled(text: &Option<String>) -> Option<&str> {
    text.as_deref().filter(|text| !text.is_empty())
}

fn weights(groups: &[WeightedTargetGroup]) -> BTreeMap<&Ref<Arn>, i32> {
    let single = groups.len() == 1;
    groups
        .iter()
        .map(|group| (&group.arn, if single { 1 } else { group.weight }))
        .collect()
}

/// The target groups that the actions forward to.
pub fn forwarded(actions: &[RuleAction]) -> impl Iterator<Item = &Ref<Arn>> {
    actions
        .iter()
        .flat_map(|action| match action {
            RuleAction::Forward { target_groups, .. } => target_groups.as_slice(),
            _ => &[],
        })
        .map(|group| &group.arn)
}

/// Actions with references to what exists already put in.
pub fn resolve_actions(
    actions: &[RuleAction],
    known: &BTreeMap<ResourceId, Arn>,
) -> Vec<RuleAction> {
    let mut actions = actions.to_vec();
    for action in &mut actions {
        if let RuleAction::Forward { target_groups, .. } = action {
            for group in target_groups {
                group.arn = resolve(&group.arn, known);
            }
        }
    }
    actions
}

/// A reference to what exists already becomes its ARN.
pub fn resolve(reference: &Ref<Arn>, known: &BTreeMap<ResourceId, Arn>) -> Ref<Arn> {
    match reference {
        Ref::Output(id) => known
            .get(id)
            .map_or_else(|| reference.clone(), |arn| Ref::Known(arn.clone())),
        Ref::Known(_) => reference.clone(),
    }
}

/// The same for security groups, whose ids the store keeps where others have ARNs.
pub fn resolve_group(
    reference: &Ref<SecurityGroupId>,
    known: &BTreeMap<ResourceId, Arn>,
) -> Ref<SecurityGroupId> {
    match reference {
        Ref::Output(id) => known.get(id).map_or_else(
            || reference.clone(),
            |id| Ref::Known(SecurityGroupId::new(id.as_str())),
        ),
        Ref::Known(_) => reference.clone(),
    }
}

/// Fields of a balancer that an edit can change in place, each with its own call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LoadBalancerChanges {
    pub security_groups: Option<Difference>,
    pub subnets: Option<Difference>,
    pub ip_address_type: Option<Difference>,
}

/// `groups` are the wanted security groups, resolved as far as they exist.
pub fn load_balancer(
    spec: &LoadBalancerSpec,
    groups: &[Ref<SecurityGroupId>],
    live: &LoadBalancer,
) -> LoadBalancerChanges {
    let live_groups: BTreeSet<Ref<SecurityGroupId>> = live
        .security_groups
        .iter()
        .cloned()
        .map(Ref::Known)
        .collect();
    let wanted_groups: BTreeSet<Ref<SecurityGroupId>> = groups.iter().cloned().collect();
    let wanted_subnets: BTreeSet<_> = spec.subnets.iter().cloned().collect();
    LoadBalancerChanges {
        security_groups: (live_groups != wanted_groups).then(|| {
            difference(
                "security groups",
                joined(&live.security_groups),
                joined(groups.iter().map(group_text)),
            )
        }),
        subnets: (live.subnets != wanted_subnets)
            .then(|| difference("subnets", joined(&live.subnets), joined(&wanted_subnets))),
        ip_address_type: (live.ip_address_type != spec.ip_address_type).then(|| {
            difference(
                "IP address type",
                live.ip_address_type.clone(),
                spec.ip_address_type.clone(),
            )
        }),
    }
}

pub fn group_text(group: &Ref<SecurityGroupId>) -> String {
    match group {
        Ref::Known(id) => id.to_string(),
        Ref::Output(id) => format!("the new {}", id.name),
    }
}

/// What makes a new target group necessary (aws-deploy §2.6); empty: the live one can be kept.
///
/// The port is not among them: every target is registered with a port of its own.
pub fn target_group_replacement(spec: &TargetGroupSpec, live: &TargetGroup) -> Vec<Difference> {
    let mut differences = Vec::new();
    let mut compare = |field: &str, live: &str, wanted: &str| {
        if live != wanted {
            differences.push(difference(field, live.to_owned(), wanted.to_owned()));
        }
    };
    compare("target type", &live.target_type, spec.target_type.as_str());
    compare("protocol", &live.protocol, &spec.protocol);
    compare(
        "protocol version",
        &live.protocol_version,
        &spec.protocol_version,
    );
    let control =
        |port: Option<u16>| port.map_or_else(|| "none".to_owned(), |port| port.to_string());
    compare(
        "target control port",
        &control(live.target_control_port),
        &control(spec.target_control_port),
    );
    compare(
        "IP address type",
        &live.ip_address_type,
        &spec.ip_address_type,
    );
    differences
}

/// What ModifyListener mends of the encrypted half; the certificates beyond the default have calls of their own.
///
/// `None` as a policy or mode leaves what is there (aws-deploy §2.2).
pub fn tls(spec: Option<&TlsSpec>, live: &Tls) -> Vec<Difference> {
    let Some(spec) = spec else {
        return Vec::new();
    };
    let mut differences = Vec::new();
    if live.default_certificate.as_ref() != Some(&spec.default_certificate) {
        differences.push(difference(
            "default certificate",
            live.default_certificate.as_ref().map(ToString::to_string),
            spec.default_certificate.to_string(),
        ));
    }
    if let Some(policy) = &spec.ssl_policy
        && live.ssl_policy.as_ref() != Some(policy)
    {
        differences.push(difference(
            "SSL policy",
            live.ssl_policy.clone(),
            policy.clone(),
        ));
    }
    if let Some(wanted) = &spec.mutual_authentication {
        let live = live.mutual_authentication.as_ref();
        let (live, wanted) = (mutual_text(live), mutual_text(Some(wanted)));
        if live != wanted {
            differences.push(difference("client certificates", live, wanted));
        }
    }
    differences
}

/// Every part of it, with what is left out filled in as AWS does: nothing said is off.
pub fn mutual_text(mutual: Option<&MutualAuthentication>) -> String {
    let Some(mutual) = mutual else {
        return "off".to_owned();
    };
    match mutual.mode {
        MutualMode::Off => "off".to_owned(),
        MutualMode::Passthrough => "passed through".to_owned(),
        MutualMode::Verify => format!(
            "verified by {}, expired ones {}, names of authorities {}",
            mutual
                .trust_store
                .as_ref()
                .map_or("nothing", |arn| arn.as_str()),
            match mutual.ignore_client_certificate_expiry {
                Some(true) => "accepted",
                _ => "refused",
            },
            match mutual.advertise_trust_store_ca_names.as_deref() {
                Some("on") => "sent",
                _ => "not sent",
            },
        ),
    }
}

/// Certificates beyond the default: those to offer and those to offer no longer. Whether the default is among them makes
/// no difference (LBC adds it, aws-deploy §2.3).
pub fn certificates(spec: &TlsSpec, live: &Tls) -> (BTreeSet<Arn>, BTreeSet<Arn>) {
    let differ = |ours: &BTreeSet<Arn>, theirs: &BTreeSet<Arn>| -> BTreeSet<Arn> {
        ours.difference(theirs)
            .filter(|arn| **arn != spec.default_certificate)
            .cloned()
            .collect()
    };
    (
        differ(&spec.certificates, &live.certificates),
        differ(&live.certificates, &spec.certificates),
    )
}

/// Every field of the health check that differs.
pub fn health_check(wanted: &HealthCheck, live: &HealthCheck) -> Vec<Difference> {
    let HealthCheck {
        port,
        protocol,
        path,
        interval_seconds,
        timeout_seconds,
        healthy_threshold,
        unhealthy_threshold,
        matcher,
    } = wanted;
    [
        ("port", live.port.clone(), port.clone()),
        ("protocol", live.protocol.clone(), protocol.clone()),
        ("path", live.path.clone(), path.clone()),
        (
            "interval",
            seconds(live.interval_seconds),
            seconds(*interval_seconds),
        ),
        (
            "timeout",
            seconds(live.timeout_seconds),
            seconds(*timeout_seconds),
        ),
        (
            "healthy threshold",
            live.healthy_threshold.to_string(),
            healthy_threshold.to_string(),
        ),
        (
            "unhealthy threshold",
            live.unhealthy_threshold.to_string(),
            unhealthy_threshold.to_string(),
        ),
        (
            "success codes",
            matcher_text(&live.matcher),
            matcher_text(matcher),
        ),
    ]
    .into_iter()
    .filter(|(_, live, wanted)| live != wanted)
    .map(|(field, live, wanted)| difference(format!("health check {field}"), live, wanted))
    .collect()
}

fn seconds(value: i32) -> String {
    format!("{value} s")
}

pub fn matcher_text(matcher: &Matcher) -> String {
    match matcher {
        Matcher::HttpCode(codes) => codes.clone(),
        Matcher::GrpcCode(codes) => format!("gRPC {codes}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn forward(groups: &[(&str, i32)]) -> Vec<RuleAction> {
        vec![RuleAction::Forward {
            target_groups: groups
                .iter()
                .map(|(arn, weight)| WeightedTargetGroup {
                    arn: Ref::Known(Arn::from(*arn)),
                    weight: *weight,
                })
                .collect(),
            stickiness_seconds: None,
        }]
    }

    #[test]
    fn order_and_case_of_condition_values_make_no_difference_but_paths_keep_their_case() {
        let host = |value: &str| Condition::HostHeader {
            values: vec![value.to_owned()].into(),
        };
        let path = |values: &[&str]| Condition::PathPattern {
            values: Patterns::Values(values.iter().map(|value| (*value).to_owned()).collect()),
        };
        let a = canonical_conditions(&[host("A.example"), path(&["/x", "/x/*"])]);
        let b = canonical_conditions(&[path(&["/x/*", "/x"]), host("a.example")]);
        assert_eq!(a, b);
        assert_ne!(
            canonical_conditions(&[path(&["/X"])]),
            canonical_conditions(&[path(&["/x"])])
        );
    }

    #[test]
    fn the_weight_of_a_single_target_group_is_ignored_and_of_two_is_not() {
        assert!(same_actions(&forward(&[("a", 1)]), &forward(&[("a", 7)])));
        assert!(same_actions(
            &forward(&[("a", 1), ("b", 2)]),
            &forward(&[("b", 2), ("a", 1)])
        ));
        assert!(!same_actions(
            &forward(&[("a", 1), ("b", 2)]),
            &forward(&[("b", 1), ("a", 2)])
        ));
        assert!(!same_actions(&forward(&[("a", 1)]), &forward(&[("b", 1)])));
    }

    #[test]
    fn an_absent_body_equals_an_empty_one() {
        let fixed = |body: Option<&str>| {
            vec![RuleAction::FixedResponse {
                status_code: "404".to_owned(),
                content_type: Some("text/plain".to_owned()),
                message_body: body.map(str::to_owned),
            }]
        };
        assert!(same_actions(&fixed(None), &fixed(Some(""))));
        assert!(!same_actions(&fixed(None), &fixed(Some("x"))));
    }
}
