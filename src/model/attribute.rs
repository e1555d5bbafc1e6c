//! What AWS sets an attribute to when nobody does: a removed declaration resets to this.
//!
//! LBC leaves a removed key as it was (ingress-model §13.4); a revert would then not bring back what was before. Keys:
//! aws-deploy §10.2, values: the ELBv2 API reference.

/// Whose attribute it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttributeKind {
    LoadBalancer,
    TargetGroup,
    Listener,
}

/// AWS's default for one attribute of an application load balancer or what belongs to it.
///
/// `None`: unknown, or different from case to case (`ipv6.deny_all_igw_traffic` depends on the scheme); such a key is
/// left as it is.
pub fn default_of(kind: AttributeKind, key: &str) -> Option<&'static str> {
    let table = match kind {
        AttributeKind::LoadBalancer => LOAD_BALANCER,
        AttributeKind::TargetGroup => TARGET_GROUP,
        AttributeKind::Listener => LISTENER,
    };
    table
        .iter()
        .find(|(name, _)| *name == key)
        .map(|(_, value)| *value)
}

const LOAD_BALANCER: &[(&str, &str)] = &[
    ("access_logs.s3.enabled", "false"),
    ("access_logs.s3.bucket", ""),
    ("access_logs.s3.prefix", ""),
    ("client_keep_alive.seconds", "3600"),
    ("connection_logs.s3.enabled", "false"),
    ("connection_logs.s3.bucket", ""),
    ("connection_logs.s3.prefix", ""),
    ("deletion_protection.enabled", "false"),
    ("health_check_logs.s3.enabled", "false"),
    ("health_check_logs.s3.bucket", ""),
    ("health_check_logs.s3.prefix", ""),
    ("idle_timeout.timeout_seconds", "60"),
    ("load_balancing.cross_zone.enabled", "true"),
    ("routing.http.desync_mitigation_mode", "defensive"),
    ("routing.http.drop_invalid_header_fields.enabled", "false"),
    ("routing.http.preserve_host_header.enabled", "false"),
    (
        "routing.http.x_amzn_tls_version_and_cipher_suite.enabled",
        "false",
    ),
    ("routing.http.xff_client_port.enabled", "false"),
    ("routing.http.xff_header_processing.mode", "append"),
    ("routing.http2.enabled", "true"),
    ("waf.fail_open.enabled", "false"),
    ("zonal_shift.config.enabled", "false"),
];

const TARGET_GROUP: &[(&str, &str)] = &[
    ("deregistration_delay.timeout_seconds", "300"),
    ("lambda.multi_value_headers.enabled", "false"),
    ("load_balancing.algorithm.anomaly_mitigation", "off"),
    ("load_balancing.algorithm.type", "round_robin"),
    (
        "load_balancing.cross_zone.enabled",
        "use_load_balancer_configuration",
    ),
    ("slow_start.duration_seconds", "0"),
    ("stickiness.app_cookie.cookie_name", ""),
    ("stickiness.app_cookie.duration_seconds", "86400"),
    ("stickiness.enabled", "false"),
    ("stickiness.lb_cookie.duration_seconds", "86400"),
    ("stickiness.type", "lb_cookie"),
    (
        "target_group_health.dns_failover.minimum_healthy_targets.count",
        "1",
    ),
    (
        "target_group_health.dns_failover.minimum_healthy_targets.percentage",
        "off",
    ),
    (
        "target_group_health.unhealthy_state_routing.minimum_healthy_targets.count",
        "1",
    ),
    (
        "target_group_health.unhealthy_state_routing.minimum_healthy_targets.percentage",
        "off",
    ),
];

const LISTENER: &[(&str, &str)] = &[
    (
        "routing.http.request.x_amzn_mtls_clientcert.header_name",
        "X-Amzn-Mtls-Clientcert",
    ),
    (
        "routing.http.request.x_amzn_mtls_clientcert_issuer.header_name",
        "X-Amzn-Mtls-Clientcert-Issuer",
    ),
    (
        "routing.http.request.x_amzn_mtls_clientcert_leaf.header_name",
        "X-Amzn-Mtls-Clientcert-Leaf",
    ),
    (
        "routing.http.request.x_amzn_mtls_clientcert_serial_number.header_name",
        "X-Amzn-Mtls-Clientcert-Serial-Number",
    ),
    (
        "routing.http.request.x_amzn_mtls_clientcert_subject.header_name",
        "X-Amzn-Mtls-Clientcert-Subject",
    ),
    (
        "routing.http.request.x_amzn_mtls_clientcert_validity.header_name",
        "X-Amzn-Mtls-Clientcert-Validity",
    ),
    (
        "routing.http.request.x_amzn_tls_cipher_suite.header_name",
        "X-Amzn-Tls-Cipher-Suite",
    ),
    (
        "routing.http.request.x_amzn_tls_version.header_name",
        "X-Amzn-Tls-Version",
    ),
    (
        "routing.http.response.access_control_allow_credentials.header_value",
        "",
    ),
    (
        "routing.http.response.access_control_allow_headers.header_value",
        "",
    ),
    (
        "routing.http.response.access_control_allow_methods.header_value",
        "",
    ),
    (
        "routing.http.response.access_control_allow_origin.header_value",
        "",
    ),
    (
        "routing.http.response.access_control_expose_headers.header_value",
        "",
    ),
    (
        "routing.http.response.access_control_max_age.header_value",
        "",
    ),
    (
        "routing.http.response.content_security_policy.header_value",
        "",
    ),
    ("routing.http.response.server.enabled", "true"),
    (
        "routing.http.response.strict_transport_security.header_value",
        "",
    ),
    (
        "routing.http.response.x_content_type_options.header_value",
        "",
    ),
    ("routing.http.response.x_frame_options.header_value", ""),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn access_logs_reset_to_off_and_to_no_bucket() {
        let of = |key| default_of(AttributeKind::LoadBalancer, key);
        assert_eq!(of("access_logs.s3.enabled"), Some("false"));
        assert_eq!(of("access_logs.s3.bucket"), Some(""));
        assert_eq!(of("access_logs.s3.prefix"), Some(""));
        assert_eq!(of("idle_timeout.timeout_seconds"), Some("60"));
    }

    #[test]
    fn one_key_has_one_default_per_kind() {
        let of = |kind| default_of(kind, "load_balancing.cross_zone.enabled");
        assert_eq!(of(AttributeKind::LoadBalancer), Some("true"));
        assert_eq!(
            of(AttributeKind::TargetGroup),
            Some("use_load_balancer_configuration")
        );
        assert_eq!(of(AttributeKind::Listener), None);
        for table in [LOAD_BALANCER, TARGET_GROUP, LISTENER] {
            let keys: std::collections::BTreeSet<_> = table.iter().map(|(key, _)| key).collect();
            assert_eq!(keys.len(), table.len());
        }
    }

    #[test]
    fn a_default_that_depends_on_the_balancer_is_not_guessed() {
        assert_eq!(
            default_of(AttributeKind::LoadBalancer, "ipv6.deny_all_igw_traffic"),
            None
        );
        assert_eq!(default_of(AttributeKind::LoadBalancer, "no.such.key"), None);
    }
}
