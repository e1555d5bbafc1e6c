//! What ELBv2 refuses of listeners and rules (aws-deploy §10.1, §10.4).

use std::collections::BTreeSet;

use crate::{
    aws::{Result, fake::refusal},
    id::Arn,
    model::{
        call::CallError,
        elb::{Condition, ListenerSpec, RuleAction, RuleSpec},
    },
};

/// Beyond the default, on one listener.
pub(super) const CERTIFICATES: usize = 25;
/// Values in all conditions of one rule.
const VALUES: usize = 5;
/// Target groups in one action.
const TARGET_GROUPS: usize = 5;
const WEIGHTS: std::ops::RangeInclusive<i32> = 0..=999;
const STICKINESS: std::ops::RangeInclusive<i32> = 1..=604_800;

/// HTTPS needs a certificate that exists, HTTP takes none.
pub(super) fn listener(spec: &ListenerSpec, issued: &BTreeSet<Arn>) -> Result<()> {
    match (spec.protocol.as_str(), &spec.tls) {
        ("HTTP", None) => {}
        ("HTTPS", Some(tls)) => {
            certificates(&BTreeSet::from([tls.default_certificate.clone()]), issued)?
        }
        ("HTTPS", None) => {
            let message = "A certificate must be specified for HTTPS listeners";
            return Err(refusal("ValidationError", message));
        }
        _ => {
            let message = "certificates and policies are for HTTPS listeners";
            return Err(invalid(message));
        }
    }
    actions(&spec.default_actions, &spec.protocol)
}

pub(super) fn certificates(wanted: &BTreeSet<Arn>, issued: &BTreeSet<Arn>) -> Result<()> {
    match wanted.iter().find(|arn| !issued.contains(arn)) {
        Some(arn) => Err(refusal(
            "CertificateNotFound",
            format!("Certificate ARN '{arn}' is not valid"),
        )),
        None => Ok(()),
    }
}

pub(super) fn rule(spec: &RuleSpec, protocol: &str) -> Result<()> {
    if spec.conditions.is_empty() {
        let message = "A condition must be specified";
        return Err(refusal("ValidationError", message));
    }
    let values: usize = spec.conditions.iter().map(count).sum();
    if spec
        .conditions
        .iter()
        .any(|condition| count(condition) == 0)
    {
        let message = "A condition value must be specified";
        return Err(refusal("ValidationError", message));
    }
    if values > VALUES {
        let message = "Rules can have at most 5 condition values";
        return Err(refusal("ValidationError", message));
    }
    actions(&spec.actions, protocol)
}

fn count(condition: &Condition) -> usize {
    match condition {
        Condition::HostHeader { values }
        | Condition::PathPattern { values }
        | Condition::HttpHeader { values, .. } => values.texts().len(),
        Condition::HttpRequestMethod { values } | Condition::SourceIp { values } => values.len(),
        Condition::QueryString { values } => values.len(),
        Condition::Other { .. } => 1,
    }
}

/// One that answers, at the end; sign-in before it, on HTTPS only.
fn actions(actions: &[RuleAction], protocol: &str) -> Result<()> {
    let Some((last, before)) = actions.split_last() else {
        return Err(refusal("ValidationError", "an action must be specified"));
    };
    if signs_in(last) || before.iter().any(|action| !signs_in(action)) {
        let message = "the last action must be forward, redirect or fixed-response, and it alone";
        return Err(refusal("InvalidLoadBalancerAction", message));
    }
    if !before.is_empty() && protocol != "HTTPS" {
        let message = "authentication is for HTTPS listeners";
        return Err(refusal("InvalidLoadBalancerAction", message));
    }
    let RuleAction::Forward {
        target_groups,
        stickiness_seconds,
    } = last
    else {
        return Ok(());
    };
    let weights = target_groups
        .iter()
        .all(|group| WEIGHTS.contains(&group.weight));
    let sticky = stickiness_seconds.is_none_or(|seconds| STICKINESS.contains(&seconds));
    if !weights || !sticky || !(1..=TARGET_GROUPS).contains(&target_groups.len()) {
        let message = "weights are 0 to 999, stickiness 1 to 604800 s, target groups 1 to 5";
        return Err(refusal("ValidationError", message));
    }
    Ok(())
}

fn signs_in(action: &RuleAction) -> bool {
    matches!(
        action,
        RuleAction::AuthenticateCognito { .. }
            | RuleAction::AuthenticateOidc { .. }
            | RuleAction::JwtValidation(_)
    )
}

fn invalid(message: &str) -> CallError {
    refusal("InvalidConfigurationRequest", message)
}
