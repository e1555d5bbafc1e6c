//! What ELBv2 and EC2 refuse of values that LBC takes unchecked (aws-deploy.md §10.2): found at the commit, not at AWS.

use std::{net::IpAddr, ops::RangeInclusive};

use super::{
    options::{JwtValidation, Map, MutualAuthentication, OidcIdp, RuleAction},
    read::{Read, Reading},
    value::{Condition, Patterns, Transform},
};
use crate::problem::codes;

/// What is wrong, as hints of "the annotation X cannot be V".
type Wrong = Vec<String>;

const PORTS: RangeInclusive<i32> = 1..=65_535;
/// The longest value of a condition, and the longest part of a redirect.
const VALUE: usize = 128;
const HEADER_NAME: usize = 40;
const BODY: usize = 1024;
const REGEX: usize = 1024;
const GROUPS: usize = 5;

impl Reading<'_> {
    /// Reports what AWS refuses of a value that follows its grammar.
    pub fn limited<T>(&mut self, setting: Read<T>, check: impl FnOnce(&T) -> Wrong) -> Read<T> {
        let wrong = match setting.as_ref().and_then(super::Setting::good) {
            Some(value) => check(value),
            None => Vec::new(),
        };
        for expected in wrong {
            let message = self.refusal();
            self.beyond(codes::OUT_OF_RANGE, message, Some(expected));
        }
        setting
    }

    pub fn int32_in(&mut self, range: RangeInclusive<i32>) -> Read<i32> {
        let setting = self.int32();
        self.limited(setting, |number| number_in(*number, &range))
    }

    pub fn port(&mut self) -> Read<i32> {
        self.int32_in(PORTS)
    }

    /// A text that AWS knows few of; LBC passes any on.
    pub fn word_of(&mut self, words: &'static [&'static str]) -> Read<String> {
        let setting = self.text();
        self.limited(setting, |text| {
            unless(words.contains(&text.as_str()), || {
                format!("it is one of {}", words.join(", "))
            })
        })
    }

    pub fn text_that(
        &mut self,
        is_fine: impl FnOnce(&str) -> bool,
        expected: &str,
    ) -> Read<String> {
        let setting = self.text();
        self.limited(setting, |text| {
            unless(is_fine(text), || expected.to_owned())
        })
    }

    /// A list whose items begin alike.
    pub fn list_of(&mut self, prefix: &str, expected: &str) -> Read<Vec<String>> {
        let setting = self.list();
        self.limited(setting, |items| {
            items
                .iter()
                .filter(|item| !item.starts_with(prefix))
                .map(|item| format!("\"{item}\" is no {expected}, which begins with `{prefix}`"))
                .collect()
        })
    }
}

fn unless(is_fine: bool, expected: impl FnOnce() -> String) -> Wrong {
    if is_fine {
        Vec::new()
    } else {
        vec![expected()]
    }
}

fn number_in(number: i32, range: &RangeInclusive<i32>) -> Wrong {
    unless(range.contains(&number), || {
        format!(
            "it is a whole number from {} to {}",
            range.start(),
            range.end()
        )
    })
}

/// `load-balancer-name`; more than 32 characters are refused by LBC too, when it builds.
pub(super) fn load_balancer_name(name: &str) -> bool {
    name.len() > 32
        || (!name.is_empty()
            && name
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && !name.starts_with('-')
            && !name.ends_with('-')
            && !name.starts_with("internal-"))
}

/// `inbound-cidrs`: EC2 drops host bits, and what it then holds is not what was declared.
pub(super) fn cidrs(it: &mut Reading<'_>) -> Read<Vec<String>> {
    let setting = it.list();
    it.limited(setting, |items| {
        items
            .iter()
            .filter_map(|item| {
                let network = network(item)?;
                (network != *item)
                    .then(|| format!("\"{item}\" has bits behind its length; write {network}"))
            })
            .collect()
    })
}

/// The network that a CIDR lies in, in its usual spelling; none where it is no CIDR.
pub(in crate::manifest) fn network(cidr: &str) -> Option<String> {
    let (address, length) = cidr.split_once('/')?;
    let address: IpAddr = address.parse().ok()?;
    let length: u32 = length
        .parse()
        .ok()
        .filter(|_| length.bytes().all(|byte| byte.is_ascii_digit()))?;
    match address {
        IpAddr::V4(address) if length <= 32 => {
            let mask = u32::MAX.checked_shl(32 - length).unwrap_or(0);
            let network = std::net::Ipv4Addr::from(u32::from(address) & mask);
            Some(format!("{network}/{length}"))
        }
        // Of IPv6 many spellings are one; only bits count.
        IpAddr::V6(address) if length <= 128 => {
            let mask = u128::MAX.checked_shl(128 - length).unwrap_or(0);
            let network = std::net::Ipv6Addr::from(u128::from(address) & mask);
            Some(if network == address {
                cidr.to_owned()
            } else {
                format!("{network}/{length}")
            })
        }
        _ => None,
    }
}

/// `success-codes`: numbers and ranges, of HTTP 200 to 499, of gRPC 0 to 99.
pub(super) fn is_matcher(text: &str) -> bool {
    let code = |text: &str| {
        text.parse::<u16>()
            .ok()
            .filter(|code| *code <= 499 && text.bytes().all(|byte| byte.is_ascii_digit()))
    };
    text.split(',').all(|part| match part.split_once('-') {
        Some((from, to)) => code(from)
            .zip(code(to))
            .is_some_and(|(from, to)| from <= to),
        None => code(part).is_some(),
    })
}

pub(super) fn action(action: &RuleAction) -> Wrong {
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

pub(super) fn conditions(conditions: &[Condition]) -> Wrong {
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

pub(super) fn transforms(transforms: &[Transform]) -> Wrong {
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

pub(super) fn jwt(jwt: &JwtValidation) -> Wrong {
    let formats = ["single-string", "string-array", "space-separated-values"];
    let bad = |(index, format): (usize, &str)| {
        (!formats.contains(&format)).then(|| {
            format!(
                "additionalClaims[{index}].format is one of {}",
                formats.join(", ")
            )
        })
    };
    let claims = jwt
        .additional_claims
        .iter()
        .map(|claim| claim.format.as_str());
    let mut wrong: Wrong = claims.enumerate().filter_map(bad).collect();
    wrong.extend(unless(jwt.jwks_endpoint.starts_with("https://"), || {
        "jwksEndpoint begins with `https://`".to_owned()
    }));
    wrong
}

pub(super) fn oidc(idp: &OidcIdp) -> Wrong {
    [
        ("issuer", &idp.issuer),
        ("authorizationEndpoint", &idp.authorization_endpoint),
        ("tokenEndpoint", &idp.token_endpoint),
        ("userInfoEndpoint", &idp.user_info_endpoint),
    ]
    .into_iter()
    .filter(|(_, url)| !url.is_empty() && !url.starts_with("https://"))
    .map(|(key, _)| format!("{key} begins with `https://`"))
    .collect()
}

pub(super) fn mutual_authentication(
    by_port: &std::collections::BTreeMap<u16, MutualAuthentication>,
) -> Wrong {
    by_port
        .values()
        .filter_map(|entry| entry.trust_store.as_ref())
        .filter(|name| name.starts_with("arn:") && !name.contains(":truststore/"))
        .map(|name| format!("\"{name}\" is no ARN of a trust store"))
        .collect()
}

/// `frontend-nlb-listener-port-mapping`; what is no number is refused by LBC too, when it is used.
pub(super) fn port_mapping(map: &Map) -> Wrong {
    let is_out = |text: &String| text.parse().is_ok_and(|port: i32| !PORTS.contains(&port));
    map.iter()
        .filter(|(nlb, alb)| is_out(nlb) || is_out(alb))
        .map(|(nlb, alb)| format!("{nlb}={alb} has no port from 1 to 65535"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_lose_the_bits_behind_their_length() {
        let table = [
            ("192.0.2.1/24", Some("192.0.2.0/24")),
            ("192.0.2.0/24", Some("192.0.2.0/24")),
            ("10.1.2.3/0", Some("0.0.0.0/0")),
            ("2001:db8::1/64", Some("2001:db8::/64")),
            ("2001:DB8:0::/64", Some("2001:DB8:0::/64")),
            ("::1/0", Some("::/0")),
            ("192.0.2.0", None),
            ("192.0.2.0/33", None),
            ("192.0.2.0/+8", None),
            ("192.000.2.0/24", None),
            ("::/129", None),
        ];
        for (text, wanted) in table {
            assert_eq!(network(text).as_deref(), wanted, "{text}");
        }
    }

    #[test]
    fn matchers_are_codes_lists_and_ranges() {
        for text in ["200", "200,202", "200-299", "200-299,404", "12", "0-99"] {
            assert!(is_matcher(text), "{text}");
        }
        for text in ["", "2xx", "200,", "299-200", "500", "200 - 299", "+200"] {
            assert!(!is_matcher(text), "{text}");
        }
    }
}
