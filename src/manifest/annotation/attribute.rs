//! Attributes of application load balancers, their listeners and target groups that ELBv2 knows, with their values
//! (aws-deploy.md §10.2).

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
    /// A whole number, from and to.
    Number(u32, u32),
    /// 0, or seconds from and to.
    SlowStart(u32, u32),
    /// `off`, or a number from and to.
    Minimum(u32, u32),
    /// Any text, empty too.
    Text,
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

const TARGET_GROUP: &[(&str, Domain)] = &[
    (
        "deregistration_delay.timeout_seconds",
        Domain::Seconds(0, 3600),
    ),
    ("lambda.multi_value_headers.enabled", Domain::Boolean),
    (
        "load_balancing.algorithm.anomaly_mitigation",
        Domain::OneOf(&["on", "off"]),
    ),
    (
        "load_balancing.algorithm.type",
        Domain::OneOf(&[
            "round_robin",
            "least_outstanding_requests",
            "weighted_random",
        ]),
    ),
    (
        "load_balancing.cross_zone.enabled",
        Domain::OneOf(&["true", "false", "use_load_balancer_configuration"]),
    ),
    ("slow_start.duration_seconds", Domain::SlowStart(30, 900)),
    ("stickiness.app_cookie.cookie_name", Domain::Text),
    (
        "stickiness.app_cookie.duration_seconds",
        Domain::Seconds(1, 604_800),
    ),
    ("stickiness.enabled", Domain::Boolean),
    (
        "stickiness.lb_cookie.duration_seconds",
        Domain::Seconds(1, 604_800),
    ),
    (
        "stickiness.type",
        Domain::OneOf(&["lb_cookie", "app_cookie"]),
    ),
    (
        "target_group_health.dns_failover.minimum_healthy_targets.count",
        Domain::Minimum(1, 1000),
    ),
    (
        "target_group_health.dns_failover.minimum_healthy_targets.percentage",
        Domain::Minimum(1, 100),
    ),
    (
        "target_group_health.unhealthy_state_routing.minimum_healthy_targets.count",
        Domain::Number(1, 1000),
    ),
    (
        "target_group_health.unhealthy_state_routing.minimum_healthy_targets.percentage",
        Domain::Minimum(1, 100),
    ),
];

/// Names of headers and their values are texts.
const LISTENER: &[(&str, Domain)] = &[
    (
        "routing.http.request.x_amzn_mtls_clientcert.header_name",
        Domain::Text,
    ),
    (
        "routing.http.request.x_amzn_mtls_clientcert_issuer.header_name",
        Domain::Text,
    ),
    (
        "routing.http.request.x_amzn_mtls_clientcert_leaf.header_name",
        Domain::Text,
    ),
    (
        "routing.http.request.x_amzn_mtls_clientcert_serial_number.header_name",
        Domain::Text,
    ),
    (
        "routing.http.request.x_amzn_mtls_clientcert_subject.header_name",
        Domain::Text,
    ),
    (
        "routing.http.request.x_amzn_mtls_clientcert_validity.header_name",
        Domain::Text,
    ),
    (
        "routing.http.request.x_amzn_tls_cipher_suite.header_name",
        Domain::Text,
    ),
    (
        "routing.http.request.x_amzn_tls_version.header_name",
        Domain::Text,
    ),
    (
        "routing.http.response.access_control_allow_credentials.header_value",
        Domain::Text,
    ),
    (
        "routing.http.response.access_control_allow_headers.header_value",
        Domain::Text,
    ),
    (
        "routing.http.response.access_control_allow_methods.header_value",
        Domain::Text,
    ),
    (
        "routing.http.response.access_control_allow_origin.header_value",
        Domain::Text,
    ),
    (
        "routing.http.response.access_control_expose_headers.header_value",
        Domain::Text,
    ),
    (
        "routing.http.response.access_control_max_age.header_value",
        Domain::Text,
    ),
    (
        "routing.http.response.content_security_policy.header_value",
        Domain::Text,
    ),
    ("routing.http.response.server.enabled", Domain::Boolean),
    (
        "routing.http.response.strict_transport_security.header_value",
        Domain::Text,
    ),
    (
        "routing.http.response.x_content_type_options.header_value",
        Domain::Text,
    ),
    (
        "routing.http.response.x_frame_options.header_value",
        Domain::Text,
    ),
];

/// What is wrong with an attribute, and what was expected.
pub(in crate::manifest) type Checked = Result<(), (String, Option<String>)>;

pub(in crate::manifest) fn check_load_balancer(key: &str, value: &str) -> Checked {
    check(LOAD_BALANCER, "load balancers have", key, value)
}

pub(super) fn check_target_group(key: &str, value: &str) -> Checked {
    check(TARGET_GROUP, "target groups have", key, value)
}

pub(in crate::manifest) fn check_listener(key: &str, value: &str) -> Checked {
    check(LISTENER, "listeners have", key, value)
}

fn check(table: &[(&str, Domain)], whose: &str, key: &str, value: &str) -> Checked {
    let Some((_, domain)) = table.iter().find(|(known, _)| *known == key) else {
        let hint = did_you_mean(key, table.iter().map(|(known, _)| *known));
        return Err((format!("{whose} no attribute \"{key}\""), hint));
    };
    let number = |from: u32, to: u32| {
        value.bytes().all(|byte| byte.is_ascii_digit())
            && value
                .parse::<u32>()
                .is_ok_and(|number| (from..=to).contains(&number))
    };
    let expected = match domain {
        Domain::Boolean if matches!(value, "true" | "false") => return Ok(()),
        Domain::Boolean => "it is `true` or `false`".to_owned(),
        Domain::Text => return Ok(()),
        Domain::Seconds(from, to) | Domain::Number(from, to) if number(*from, *to) => {
            return Ok(());
        }
        Domain::Seconds(from, to) => format!("it is a number of seconds from {from} to {to}"),
        Domain::Number(from, to) => format!("it is a whole number from {from} to {to}"),
        Domain::SlowStart(from, to) if value == "0" || number(*from, *to) => return Ok(()),
        Domain::SlowStart(from, to) => {
            format!("it is 0 or a number of seconds from {from} to {to}")
        }
        Domain::Minimum(from, to) if value == "off" || number(*from, *to) => return Ok(()),
        Domain::Minimum(from, to) => format!("it is `off` or a whole number from {from} to {to}"),
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
