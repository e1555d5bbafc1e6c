//! Attributes of application load balancers that ELBv2 knows, with their values (aws-deploy.md §10.2).

use crate::problem::nearest::did_you_mean;

/// What an attribute may hold.
#[derive(Clone, Copy, Debug)]
enum Domain {
    Boolean,
    /// Seconds, from and to.
    Seconds(u32, u32),
    OneOf(&'static [&'static str]),
    /// An S3 bucket's name.
    Bucket,
    /// A prefix in a bucket.
    Prefix,
}

const LOAD_BALANCER: &[(&str, Domain)] = &[
    ("access_logs.s3.bucket", Domain::Bucket),
    ("access_logs.s3.enabled", Domain::Boolean),
    ("access_logs.s3.prefix", Domain::Prefix),
    ("client_keep_alive.seconds", Domain::Seconds(60, 604_800)),
    ("connection_logs.s3.bucket", Domain::Bucket),
    ("connection_logs.s3.enabled", Domain::Boolean),
    ("connection_logs.s3.prefix", Domain::Prefix),
    ("deletion_protection.enabled", Domain::Boolean),
    ("health_check_logs.s3.bucket", Domain::Bucket),
    ("health_check_logs.s3.enabled", Domain::Boolean),
    ("health_check_logs.s3.prefix", Domain::Prefix),
    ("idle_timeout.timeout_seconds", Domain::Seconds(1, 4000)),
    ("ipv6.deny_all_igw_traffic", Domain::Boolean),
    (
        "load_balancing.cross_zone.enabled",
        Domain::OneOf(&["true"]),
    ),
    (
        "routing.http.desync_mitigation_mode",
        Domain::OneOf(&["monitor", "defensive", "strictest"]),
    ),
    (
        "routing.http.drop_invalid_header_fields.enabled",
        Domain::Boolean,
    ),
    ("routing.http.preserve_host_header.enabled", Domain::Boolean),
    (
        "routing.http.x_amzn_tls_version_and_cipher_suite.enabled",
        Domain::Boolean,
    ),
    ("routing.http.xff_client_port.enabled", Domain::Boolean),
    (
        "routing.http.xff_header_processing.mode",
        Domain::OneOf(&["append", "preserve", "remove"]),
    ),
    ("routing.http2.enabled", Domain::Boolean),
    ("waf.fail_open.enabled", Domain::Boolean),
    ("zonal_shift.config.enabled", Domain::Boolean),
];

/// What is wrong with one attribute of a load balancer and what was expected.
pub(super) fn check_load_balancer(key: &str, value: &str) -> Result<(), (String, Option<String>)> {
    let Some((_, domain)) = LOAD_BALANCER.iter().find(|(known, _)| *known == key) else {
        let hint = did_you_mean(key, LOAD_BALANCER.iter().map(|(known, _)| *known));
        return Err((format!("load balancers have no attribute \"{key}\""), hint));
    };
    let expected = match domain {
        Domain::Boolean if matches!(value, "true" | "false") => return Ok(()),
        Domain::Boolean => "it is `true` or `false`".to_owned(),
        Domain::Seconds(from, to) => {
            let is_plain = value.bytes().all(|byte| byte.is_ascii_digit());
            match value.parse::<u32>() {
                Ok(seconds) if is_plain && (*from..=*to).contains(&seconds) => return Ok(()),
                _ => format!("it is a number of seconds from {from} to {to}"),
            }
        }
        Domain::OneOf(words) if words.contains(&value) => return Ok(()),
        Domain::OneOf(words) => format!("it is one of {}", words.join(", ")),
        Domain::Bucket if is_bucket(value) => return Ok(()),
        Domain::Bucket => {
            "a bucket's name has 3 to 63 lower-case letters, digits, `.` and `-`".to_owned()
        }
        Domain::Prefix
            if !value.starts_with('/') && !value.ends_with('/') && !value.contains("AWSLogs") =>
        {
            return Ok(());
        }
        Domain::Prefix => {
            "a prefix neither begins nor ends with `/` and does not hold `AWSLogs`".to_owned()
        }
    };
    Err((
        format!("the attribute {key} cannot be \"{value}\""),
        Some(expected),
    ))
}

/// Empty is what AWS holds by default.
fn is_bucket(name: &str) -> bool {
    name.is_empty()
        || ((3..=63).contains(&name.len())
            && name.bytes().all(|byte| {
                byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'.' | b'-')
            })
            && !name.starts_with(['.', '-'])
            && !name.ends_with(['.', '-']))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_checked_against_their_range() {
        for (key, value) in [
            ("idle_timeout.timeout_seconds", "4000"),
            ("access_logs.s3.bucket", "my-bucket"),
            ("access_logs.s3.prefix", "a/b"),
            ("routing.http.desync_mitigation_mode", "strictest"),
        ] {
            assert_eq!(check_load_balancer(key, value), Ok(()), "{key}");
        }
        for (key, value) in [
            ("idle_timeout.timeout_seconds", "4001"),
            ("idle_timeout.timeout_seconds", "+60"),
            ("access_logs.s3.enabled", "True"),
            ("access_logs.s3.bucket", "My_Bucket"),
            ("access_logs.s3.prefix", "/a"),
            ("load_balancing.cross_zone.enabled", "false"),
        ] {
            assert!(check_load_balancer(key, value).is_err(), "{key}={value}");
        }
    }

    #[test]
    fn a_misspelt_key_is_answered_with_the_right_one() {
        let (_, hint) = check_load_balancer("access_log.s3.enabled", "true").unwrap_err();
        assert_eq!(hint.unwrap(), "did you mean \"access_logs.s3.enabled\"?");
    }
}
