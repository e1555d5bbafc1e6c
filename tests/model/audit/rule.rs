//! One rule as ELBv2 takes it.

use std::collections::BTreeSet;

use albsync::{
    manifest::annotation::value::{Condition, Patterns, Transform},
    model::group::{Action, Rule, Session},
};

/// Values that one condition takes, and all of a rule together.
const MAX_VALUES: (usize, usize) = (3, 5);
const MAX_WILDCARDS: usize = 5;
const MAX_VALUE: usize = 128;
const MAX_HEADER: usize = 40;
const MAX_REWRITE: usize = 1024;
const MAX_TARGET_GROUPS: usize = 5;
const MAX_BODY: usize = 1024;
const WEEK: i64 = 604_800;
const CONTENT_TYPES: [&str; 5] = [
    "text/plain",
    "text/css",
    "text/html",
    "application/javascript",
    "application/json",
];

pub fn conditions(rule: &Rule, wrong: &mut Vec<String>) {
    let (mut values, mut wildcards) = (0, 0);
    let mut once = BTreeSet::new();
    for condition in &rule.conditions {
        let mut name = "";
        let (kind, texts, regex): (&str, Vec<&str>, bool) = match condition {
            Condition::HostHeader { values } => ("host-header", texts(values), is_regex(values)),
            Condition::PathPattern { values } => ("path-pattern", texts(values), is_regex(values)),
            Condition::HttpHeader { name: of, values } => {
                name = of;
                ("", texts(values), is_regex(values))
            }
            Condition::HttpRequestMethod { values } => {
                ("http-request-method", borrowed(values), true)
            }
            Condition::QueryString { values } => {
                let pairs = values.iter();
                let parts =
                    pairs.flat_map(|pair| pair.key.as_deref().into_iter().chain([&*pair.value]));
                let parts: Vec<&str> = parts.collect();
                // Keys are no values of their own.
                wildcards += marks(&parts);
                (
                    "",
                    values.iter().map(|pair| pair.value.as_str()).collect(),
                    true,
                )
            }
            Condition::SourceIp { values } => ("source-ip", borrowed(values), true),
        };
        if !kind.is_empty() && !once.insert(kind) {
            wrong.push(format!("{}: two {kind} conditions", rule.origin));
        }
        let too_long = texts.iter().any(|text| text.len() > MAX_VALUE);
        if texts.is_empty() || texts.len() > MAX_VALUES.0 || too_long || name.len() > MAX_HEADER {
            wrong.push(format!("{}: {condition:?}", rule.origin));
        }
        values += texts.len();
        if !regex {
            wildcards += marks(&texts);
        }
    }
    if rule.conditions.is_empty() || values > MAX_VALUES.1 || wildcards > MAX_WILDCARDS {
        let origin = &rule.origin;
        wrong.push(format!("{origin}: {values} values, {wildcards} wildcards"));
    }
}

fn marks(texts: &[&str]) -> usize {
    texts
        .iter()
        .map(|text| text.matches(['*', '?']).count())
        .sum()
}

fn texts(patterns: &Patterns) -> Vec<&str> {
    borrowed(patterns.texts())
}

fn is_regex(patterns: &Patterns) -> bool {
    matches!(patterns, Patterns::Regex(_))
}

fn borrowed(texts: &[String]) -> Vec<&str> {
    texts.iter().map(String::as_str).collect()
}

pub fn transforms(rule: &Rule, wrong: &mut Vec<String>) {
    let (mut urls, mut hosts) = (0, 0);
    for transform in &rule.transforms {
        let rewrites = match transform {
            Transform::UrlRewrite { rewrites } => {
                urls += rewrites.len();
                rewrites
            }
            Transform::HostHeaderRewrite { rewrites } => {
                hosts += rewrites.len();
                rewrites
            }
        };
        for rewrite in rewrites {
            if rewrite.regex.len() > MAX_REWRITE || rewrite.replace.len() > MAX_REWRITE {
                wrong.push(format!("{}: a rewrite that is too long", rule.origin));
            }
        }
    }
    if urls > 1 || hosts > 1 {
        wrong.push(format!("{}: {urls} and {hosts} rewrites", rule.origin));
    }
}

pub fn actions(what: &str, actions: &[Action], wrong: &mut Vec<String>) {
    let (last, before) = match actions.split_last() {
        Some((last, before)) => (Some(last), before),
        None => (None, actions),
    };
    let answers = |action: &Action| {
        matches!(
            action,
            Action::Forward { .. } | Action::Redirect { .. } | Action::FixedResponse { .. }
        )
    };
    if !last.is_some_and(answers) || before.iter().any(answers) || before.len() > 1 {
        wrong.push(format!("{what}: {} actions", actions.len()));
    }
    if !actions.iter().all(action) {
        wrong.push(format!("{what}: {actions:?}"));
    }
}

/// Whether every part is in its range.
fn action(action: &Action) -> bool {
    match action {
        Action::AuthenticateCognito { session, .. } | Action::AuthenticateOidc { session, .. } => {
            self::session(session)
        }
        Action::JwtValidation(_) => true,
        Action::Forward {
            target_groups,
            stickiness,
        } => {
            let weighs = |weight: i32| (0..=999).contains(&weight);
            (1..=MAX_TARGET_GROUPS).contains(&target_groups.len())
                && target_groups.iter().all(|it| it.weight.is_none_or(weighs))
                && stickiness
                    .as_ref()
                    .and_then(|it| it.duration_seconds)
                    .is_none_or(|seconds| (1..=WEEK).contains(&i64::from(seconds)))
        }
        Action::FixedResponse {
            status_code,
            content_type,
            message_body,
        } => {
            let is_code = status_code.len() == 3
                && status_code.starts_with(['2', '4', '5'])
                && status_code.bytes().all(|byte| byte.is_ascii_digit());
            let is_type = |kind: &String| CONTENT_TYPES.contains(&kind.as_str());
            is_code
                && content_type.as_ref().is_none_or(is_type)
                && message_body
                    .as_ref()
                    .is_none_or(|body| body.len() <= MAX_BODY)
        }
        Action::Redirect {
            status_code,
            host,
            path,
            port,
            protocol,
            query,
        } => {
            let is_port =
                |port: &String| port == "#{port}" || port.parse::<u16>().is_ok_and(|port| port > 0);
            let changes = [host, path, port, protocol]
                .into_iter()
                .any(Option::is_some);
            let is_host = |host: &String| (1..=MAX_VALUE).contains(&host.len());
            let is_path = |path: &String| path.starts_with('/') && path.len() <= MAX_VALUE;
            ["HTTP_301", "HTTP_302"].contains(&status_code.as_str())
                && changes
                && host.as_ref().is_none_or(is_host)
                && path.as_ref().is_none_or(is_path)
                && port.as_ref().is_none_or(is_port)
                && query.as_ref().is_none_or(|query| query.len() <= MAX_VALUE)
        }
    }
}

fn session(session: &Session) -> bool {
    (1..=WEEK).contains(&session.session_timeout)
}
