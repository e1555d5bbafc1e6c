//! Limits of what rules are made of: actions, conditions, rewrites.

use super::{PORTS, Wrong, network};
use crate::manifest::annotation::{
    options::RuleAction,
    value::{Condition, Patterns, Transform},
};

/// The longest value of a condition, and the longest part of a redirect.
const VALUE: usize = 128;
const HEADER_NAME: usize = 40;
const BODY: usize = 1024;
const REGEX: usize = 1024;
const GROUPS: usize = 5;

pub(in crate::manifest::annotation) fn action(action: &RuleAction) -> Wrong {
    let mut wrong = Wrong::new();
    match action {
        RuleAction::FixedResponse {
            status_code,
            content_type,
            message_body,
        } => fixed_response(status_code, content_type, message_body, &mut wrong),
        RuleAction::Redirect {
            status_code,
            host,
            path,
            port,
            protocol,
            query,
        } => {
            let mut check = |is_fine: bool, expected: &str| {
                if !is_fine {
                    wrong.push(format!("redirectConfig.{expected}"));
                }
            };
            check(
                matches!(status_code.as_str(), "HTTP_301" | "HTTP_302"),
                "statusCode is HTTP_301 or HTTP_302",
            );
            let fits = |text: &Option<String>, shortest: usize| {
                let length = text.as_ref().map(String::len);
                length.is_none_or(|length| (shortest..=VALUE).contains(&length))
            };
            check(fits(host, 1), "host has 1 to 128 characters");
            check(
                fits(path, 1) && path.as_ref().is_none_or(|path| path.starts_with('/')),
                "path begins with `/` and has up to 128 characters",
            );
            check(fits(query, 0), "query has up to 128 characters");
            check(
                port.as_ref().is_none_or(|port| {
                    port == "#{port}" || port.parse().is_ok_and(|port| PORTS.contains(&port))
                }),
                "port is a number from 1 to 65535 or `#{port}`",
            );
            check(
                protocol.as_ref().is_none_or(|protocol| {
                    matches!(protocol.as_str(), "HTTP" | "HTTPS" | "#{protocol}")
                }),
                "protocol is HTTP, HTTPS or `#{protocol}`",
            );
            let keeps =
                |text: &Option<String>, same: &str| text.as_ref().is_none_or(|text| text == same);
            let changes = !keeps(protocol, "#{protocol}")
                || !keeps(host, "#{host}")
                || !keeps(port, "#{port}")
                || !keeps(path, "/#{path}");
            if !changes {
                wrong.push("redirectConfig changes protocol, host, port or path".to_owned());
            }
        }
        RuleAction::Forward {
            targets,
            stickiness,
        } => {
            if !(1..=GROUPS).contains(&targets.len()) {
                wrong.push(format!(
                    "forwardConfig.targetGroups has 1 to {GROUPS} entries"
                ));
            }
            for (index, target) in targets.iter().enumerate() {
                if target
                    .weight
                    .is_some_and(|weight| !(0..=999).contains(&weight))
                {
                    wrong.push(format!(
                        "forwardConfig.targetGroups[{index}].weight is a whole number from 0 to 999"
                    ));
                }
            }
            if let Some(stickiness) = stickiness {
                let seconds = stickiness.duration_seconds;
                let is_fine = match seconds {
                    Some(seconds) => (1..=604_800).contains(&seconds),
                    None => stickiness.enabled != Some(true),
                };
                if !is_fine {
                    wrong.push(
                        "forwardConfig.targetGroupStickinessConfig.durationSeconds is a whole number from 1 to 604800"
                            .to_owned(),
                    );
                }
            }
        }
    }
    wrong
}

fn fixed_response(
    status_code: &str,
    content_type: &Option<String>,
    message_body: &Option<String>,
    wrong: &mut Wrong,
) {
    let is_code = status_code.len() == 3
        && status_code.bytes().all(|byte| byte.is_ascii_digit())
        && status_code.starts_with(['2', '4', '5']);
    if !is_code {
        wrong.push("fixedResponseConfig.statusCode is 2xx, 4xx or 5xx".to_owned());
    }
    let types = [
        "text/plain",
        "text/css",
        "text/html",
        "application/javascript",
        "application/json",
    ];
    if content_type
        .as_ref()
        .is_some_and(|given| !types.contains(&given.as_str()))
    {
        wrong.push(format!(
            "fixedResponseConfig.contentType is one of {}",
            types.join(", ")
        ));
    }
    if message_body.as_ref().is_some_and(|body| body.len() > BODY) {
        wrong.push(format!(
            "fixedResponseConfig.messageBody has up to {BODY} bytes"
        ));
    }
}

pub(in crate::manifest::annotation) fn conditions(conditions: &[Condition]) -> Wrong {
    let mut wrong = Wrong::new();
    for condition in conditions {
        let mut values = |field: &str, values: &[String]| {
            for value in values {
                if !(1..=VALUE).contains(&value.chars().count()) {
                    wrong.push(format!("each value of {field} has 1 to {VALUE} characters"));
                }
            }
        };
        match condition {
            Condition::HostHeader { values: patterns } => values("host-header", texts(patterns)),
            Condition::PathPattern { values: patterns } => values("path-pattern", texts(patterns)),
            Condition::HttpHeader {
                name,
                values: patterns,
            } => {
                values("http-header", texts(patterns));
                if !(1..=HEADER_NAME).contains(&name.len()) {
                    wrong.push(format!("httpHeaderName has 1 to {HEADER_NAME} characters"));
                }
            }
            Condition::HttpRequestMethod { values } => {
                for method in values.iter().filter(|method| !is_method(method)) {
                    wrong.push(format!(
                        "\"{method}\" is no method, which has up to {HEADER_NAME} capital letters, `-` and `_`"
                    ));
                }
            }
            Condition::QueryString { values } => {
                let texts = values
                    .iter()
                    .flat_map(|pair| pair.key.iter().chain([&pair.value]));
                if texts.clone().any(|text| text.chars().count() > VALUE) {
                    wrong.push(format!(
                        "each key and value of query-string has up to {VALUE} characters"
                    ));
                }
            }
            Condition::SourceIp { values } => {
                for value in values.iter().filter(|value| network(value).is_none()) {
                    wrong.push(format!("\"{value}\" is no CIDR such as 192.0.2.0/24"));
                }
            }
        }
    }
    wrong
}

fn texts(patterns: &Patterns) -> &[String] {
    match patterns {
        Patterns::Values(texts) | Patterns::Regex(texts) => texts,
    }
}

fn is_method(text: &str) -> bool {
    (1..=HEADER_NAME).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_uppercase() || matches!(byte, b'-' | b'_'))
}

pub(in crate::manifest::annotation) fn transforms(transforms: &[Transform]) -> Wrong {
    let mut wrong = Wrong::new();
    let (mut urls, mut hosts) = (0, 0);
    for transform in transforms {
        let rewrites = match transform {
            Transform::UrlRewrite { rewrites } => {
                urls += 1;
                rewrites
            }
            Transform::HostHeaderRewrite { rewrites } => {
                hosts += 1;
                rewrites
            }
        };
        for rewrite in rewrites {
            if !(1..=REGEX).contains(&rewrite.regex.len()) || rewrite.replace.len() > REGEX {
                wrong.push(format!(
                    "regex has 1 to {REGEX} characters, replace up to {REGEX}"
                ));
            }
        }
        if rewrites.len() > 1 {
            wrong.push("one transform has one rewrite".to_owned());
        }
    }
    if urls > 1 || hosts > 1 {
        wrong.push("a rule has one url-rewrite and one host-header-rewrite".to_owned());
    }
    wrong
}
