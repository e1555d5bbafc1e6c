//! Rules in words: what they match, what they do, and each part of them that differs.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    id::Arn,
    model::{
        desired::Ref,
        elb::{
            Condition, JwtValidation, Patterns, QueryPair, Rewrite, RuleAction, Transform,
            WeightedTargetGroup,
        },
        group::Session,
    },
};

use super::{
    super::op::Difference,
    difference,
    elb::{same_action, same_actions},
    joined,
};

/// Conditions as people read them.
pub fn conditions_text(conditions: &[Condition]) -> String {
    joined(conditions.iter().map(|condition| match condition {
        Condition::HostHeader { values } => format!("host {}", patterns_text(values)),
        Condition::PathPattern { values } => format!("path {}", patterns_text(values)),
        Condition::HttpHeader { name, values } => {
            format!("header {name} {}", patterns_text(values))
        }
        Condition::HttpRequestMethod { values } => format!("method {}", values.join(" or ")),
        Condition::QueryString { values } => {
            let pair = |pair: &QueryPair| match &pair.key {
                Some(key) => format!("{key}={}", pair.value),
                None => pair.value.clone(),
            };
            format!(
                "query {}",
                values.iter().map(pair).collect::<Vec<_>>().join(" or ")
            )
        }
        Condition::SourceIp { values } => format!("source {}", values.join(" or ")),
        Condition::Other { text } => text.clone(),
    }))
}

fn patterns_text(patterns: &Patterns) -> String {
    match patterns {
        Patterns::Values(texts) => texts.join(" or "),
        Patterns::Regex(texts) => format!("like {}", texts.join(" or ")),
    }
}

/// Rewrites as people read them.
pub fn transforms_text(transforms: &[Transform]) -> String {
    joined(transforms.iter().map(|transform| {
        let (what, rewrites) = match transform {
            Transform::UrlRewrite { rewrites } => ("URL", rewrites),
            Transform::HostHeaderRewrite { rewrites } => ("host", rewrites),
        };
        let texts: Vec<String> = rewrites
            .iter()
            .map(|Rewrite { regex, replace }| format!("{regex} to {replace}"))
            .collect();
        format!("{what} {}", texts.join(" and "))
    }))
}

/// Actions as people read them, whole; `names` gives target groups their ids.
pub fn actions_text(actions: &[RuleAction], names: &BTreeMap<Arn, String>) -> String {
    joined(actions.iter().map(|action| action_text(action, names)))
}

fn action_text(action: &RuleAction, names: &BTreeMap<Arn, String>) -> String {
    let parts: Vec<String> = parts(action)
        .into_iter()
        // What is sent where nothing else is said.
        .filter(|(field, value)| !(field == "content type" && value == "text/plain"))
        .map(|(field, value)| format!("{field} {value}"))
        .collect();
    let head = head(action, names);
    if parts.is_empty() {
        head
    } else {
        format!("{head} ({})", parts.join(", "))
    }
}

/// What differs between two lists of actions, part by part where they are of the same kinds.
pub fn actions(
    live: &[RuleAction],
    wanted: &[RuleAction],
    names: &BTreeMap<Arn, String>,
) -> Vec<Difference> {
    if same_actions(live, wanted) {
        return Vec::new();
    }
    let kind = std::mem::discriminant::<RuleAction>;
    if !live.iter().map(kind).eq(wanted.iter().map(kind)) {
        return vec![difference(
            "action",
            actions_text(live, names),
            actions_text(wanted, names),
        )];
    }
    let pairs = live.iter().zip(wanted);
    pairs
        .filter(|(live, wanted)| !same_action(live, wanted))
        .flat_map(|(live, wanted)| action_parts(live, wanted, names))
        .collect()
}

fn action_parts(
    live: &RuleAction,
    wanted: &RuleAction,
    names: &BTreeMap<Arn, String>,
) -> Vec<Difference> {
    let (live_head, wanted_head) = (head(live, names), head(wanted, names));
    let (mut before, mut after) = (parts(live), parts(wanted));
    let mut differences = Vec::new();
    if live_head != wanted_head {
        differences.push(difference("action", live_head, wanted_head));
    } else if before == after {
        // A target group that takes the place of its namesake.
        let new = format!("{wanted_head}, made anew");
        return vec![difference("action", live_head, new)];
    }
    let fields: BTreeSet<String> = before.keys().chain(after.keys()).cloned().collect();
    for field in fields {
        let (live, wanted) = (before.remove(&field), after.remove(&field));
        if live != wanted {
            differences.push(difference(field, live, wanted));
        }
    }
    differences
}

/// What an action does, without the parts that [`parts`] tells.
fn head(action: &RuleAction, names: &BTreeMap<Arn, String>) -> String {
    let group = |group: &WeightedTargetGroup| match &group.arn {
        Ref::Output(id) => id.name.clone(),
        Ref::Known(arn) => names.get(arn).cloned().unwrap_or_else(|| arn.to_string()),
    };
    match action {
        RuleAction::Forward {
            target_groups,
            stickiness_seconds,
        } => {
            let single = target_groups.len() == 1;
            let targets: Vec<String> = target_groups
                .iter()
                .map(|target| match single {
                    true => group(target),
                    false => format!("{} (weight {})", group(target), target.weight),
                })
                .collect();
            let sticky = stickiness_seconds
                .map(|value| format!(", sticky for {value} s"))
                .unwrap_or_default();
            format!("forward to {}{sticky}", targets.join(" and "))
        }
        RuleAction::FixedResponse { status_code, .. } => format!("answer {status_code}"),
        RuleAction::AuthenticateCognito {
            user_pool_domain, ..
        } => format!("sign in with Cognito {user_pool_domain}"),
        RuleAction::AuthenticateOidc { issuer, .. } => format!("sign in with {issuer}"),
        RuleAction::JwtValidation(jwt) => format!("check tokens of {}", jwt.issuer),
        RuleAction::Redirect {
            protocol,
            host,
            port,
            path,
            query,
            status_code,
        } => format!("redirect ({status_code}) to {protocol}://{host}:{port}{path}?{query}"),
        RuleAction::Other { text } => text.clone(),
    }
}

/// What else is sent with an action, by what it is called. Nothing of a Secret is among it.
fn parts(action: &RuleAction) -> BTreeMap<String, String> {
    match action {
        RuleAction::FixedResponse {
            content_type,
            message_body,
            status_code: _,
        } => {
            let texts = [("content type", content_type), ("body", message_body)];
            texts
                .into_iter()
                .filter_map(|(field, text)| Some((field, text.as_ref()?)))
                .filter(|(_, text)| !text.is_empty())
                .map(|(field, text)| (field.to_owned(), text.clone()))
                .collect()
        }
        RuleAction::AuthenticateCognito {
            user_pool_arn,
            user_pool_client_id,
            user_pool_domain: _,
            session,
        } => {
            let mut parts = of_session(session);
            parts.insert("user pool".to_owned(), user_pool_arn.clone());
            parts.insert("user pool client".to_owned(), user_pool_client_id.clone());
            parts
        }
        RuleAction::AuthenticateOidc {
            issuer: _,
            authorization_endpoint,
            token_endpoint,
            user_info_endpoint,
            // AWS does not say whose it has; the planner compares the versions that were sent.
            client: _,
            session,
        } => {
            let mut parts = of_session(session);
            for (field, url) in [
                ("authorization endpoint", authorization_endpoint),
                ("token endpoint", token_endpoint),
                ("user info endpoint", user_info_endpoint),
            ] {
                parts.insert(field.to_owned(), url.clone());
            }
            parts
        }
        RuleAction::JwtValidation(jwt) => of_tokens(jwt),
        RuleAction::Forward { .. } | RuleAction::Redirect { .. } | RuleAction::Other { .. } => {
            BTreeMap::new()
        }
    }
}

fn of_session(session: &Session) -> BTreeMap<String, String> {
    let Session {
        on_unauthenticated_request,
        scope,
        session_cookie_name,
        session_timeout,
        extra_params,
    } = session;
    let fields = [
        (
            "on unauthenticated request",
            on_unauthenticated_request.clone(),
        ),
        ("scope", scope.clone()),
        ("session cookie", session_cookie_name.clone()),
        ("session timeout", format!("{session_timeout} s")),
    ];
    let fields = fields
        .into_iter()
        .map(|(field, value)| (field.to_owned(), value));
    let extra = extra_params
        .iter()
        .map(|(key, value)| (format!("extra parameter {key}"), value.clone()));
    fields.chain(extra).collect()
}

fn of_tokens(jwt: &JwtValidation) -> BTreeMap<String, String> {
    let keys = ("keys from".to_owned(), jwt.jwks_endpoint.clone());
    let claims = jwt.additional_claims.iter().map(|claim| {
        let values = claim.values.join(" or ");
        (
            format!("claim {}", claim.name),
            format!("{values} ({})", claim.format),
        )
    });
    claims.chain([keys]).collect()
}

#[cfg(test)]
mod tests;
