//! What ELBv2 and EC2 refuse of values that LBC takes unchecked (aws-deploy.md §10.2): found at the commit, not at AWS.

use std::{net::IpAddr, ops::RangeInclusive};

use super::{
    options::{JwtValidation, Map, MutualAuthentication, OidcIdp},
    read::{Read, Reading},
};
use crate::problem::codes;

mod rule;

pub(super) use rule::{action, conditions, transforms};

/// What is wrong, as hints of "the annotation X cannot be V".
type Wrong = Vec<String>;

const PORTS: RangeInclusive<i32> = 1..=65_535;
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
        let setting =
            self.setting(|text, _| super::grammar::int32(text).map_err(|_| expected(&range)));
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
    unless(range.contains(&number), || expected(range))
}

fn expected(range: &RangeInclusive<i32>) -> String {
    format!(
        "it is a whole number from {} to {}",
        range.start(),
        range.end()
    )
}

/// `load-balancer-name`; more than 32 characters are refused by LBC too, when it builds.
pub(in crate::manifest) fn load_balancer_name(name: &str) -> bool {
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
