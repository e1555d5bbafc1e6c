//! The annotations of one Ingress or Service as read, grouped by aspect.
//!
//! A value that does not follow its grammar stays here with its problem: LBC parses an annotation only when something
//! asks for it (ingress-model §15.2–15.4), so the builders decide whether anybody does.

use std::{
    collections::BTreeMap,
    ops::{Deref, DerefMut},
};

use serde::{Deserialize, Serialize};

use super::value::{
    Condition, IpAddressType, Protocol, ProtocolVersion, Scheme, TargetType, Transform, words,
};
use crate::{
    manifest::ingress::PortRef,
    problem::{Origin, Problem},
    shared::Shared,
};

/// One annotation. It takes a pointer's room: every Ingress and Service has a place for each annotation, and few are there.
#[derive(Debug, PartialEq)]
pub struct Setting<T>(Shared<Written<T>>);

/// Its place, its text, and what the text means or why it means nothing.
#[derive(Clone, Debug, PartialEq)]
pub struct Written<T> {
    pub origin: Origin,
    /// As written; some comparisons of LBC are of text.
    pub text: String,
    pub value: Result<T, Box<Problem>>,
}

impl<T> Setting<T> {
    /// The value, where it follows its grammar.
    pub fn good(&self) -> Option<&T> {
        self.value.as_ref().ok()
    }
}

impl<T> From<Written<T>> for Setting<T> {
    fn from(written: Written<T>) -> Self {
        Self(written.into())
    }
}

impl<T> Clone for Setting<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T> Deref for Setting<T> {
    type Target = Written<T>;

    fn deref(&self) -> &Written<T> {
        &self.0
    }
}

impl<T: Clone> DerefMut for Setting<T> {
    fn deref_mut(&mut self) -> &mut Written<T> {
        &mut self.0
    }
}

/// `key=value` pairs; of a key that stands twice the last value (LBC's rule; a problem of ours).
pub type Map = BTreeMap<String, String>;

/// All annotations under the prefix. Absent is `None`: never declared.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct IngressOptions {
    pub group: GroupOptions,
    pub load_balancer: LoadBalancerOptions,
    pub listener: ListenerOptions,
    pub rule: RuleOptions,
    pub auth: AuthOptions,
    pub target_group: TargetGroupOptions,
    pub add_on: AddOnOptions,
    pub frontend_nlb: FrontendNlbOptions,
    /// `tags`: on an Ingress for everything it owns, on a Service for its target groups.
    pub tags: Option<Setting<Map>>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct GroupOptions {
    /// `group.name`, unchecked: IngressClassParams may override it.
    pub name: Option<Setting<String>>,
    /// `group.order`; its range is part of its grammar.
    pub order: Option<Setting<i32>>,
}

/// ingress-model §2.2.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LoadBalancerOptions {
    pub name: Option<Setting<String>>,
    pub scheme: Option<Setting<Scheme>>,
    pub ip_address_type: Option<Setting<IpAddressType>>,
    pub subnets: Option<Setting<Vec<String>>>,
    pub customer_owned_ipv4_pool: Option<Setting<String>>,
    pub ipam_ipv4_pool_id: Option<Setting<String>>,
    pub attributes: Option<Setting<Map>>,
    /// `minimum-load-balancer-capacity` as pairs; which keys and values are fine is decided after merging.
    pub minimum_capacity: Option<Setting<Map>>,
    pub security_groups: Option<Setting<Vec<String>>>,
    pub manage_backend_security_group_rules: Option<Setting<bool>>,
    /// CIDRs as written, not yet checked.
    pub inbound_cidrs: Option<Setting<Vec<String>>>,
    pub security_group_prefix_lists: Option<Setting<Vec<String>>>,
}

/// ingress-model §2.3.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ListenerOptions {
    /// In the order of the array; checked for range and protocol. Of one port twice the later element wins.
    pub listen_ports: Option<Setting<Vec<ListenPort>>>,
    pub ssl_redirect: Option<Setting<i32>>,
    pub certificate_arns: Option<Setting<Vec<String>>>,
    /// The empty text is a policy too.
    pub ssl_policy: Option<Setting<String>>,
    /// Checked entry by entry (§4.4); of one port twice the last wins.
    pub mutual_authentication: Option<Setting<BTreeMap<u16, MutualAuthentication>>>,
    /// `listener-attributes.<PROTO>-<PORT>`: by `PROTO-PORT` as written.
    pub attributes: BTreeMap<String, Setting<Map>>,
    pub create_acm_cert: Option<Setting<bool>>,
    pub acm_pca_arn: Option<Setting<String>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ListenPort {
    pub port: u16,
    /// `HTTP` or `HTTPS`.
    pub protocol: Protocol,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MutualAuthentication {
    pub mode: MutualMode,
    /// `verify` only: an ARN or a trust store's name.
    pub trust_store: Option<String>,
    /// Absent where the entry does not say; `verify` then means false.
    pub ignore_client_certificate_expiry: Option<bool>,
    /// `on` or `off`, where given.
    pub advertise_trust_store_ca_names: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MutualMode {
    Off,
    Passthrough,
    Verify,
}

/// ingress-model §2.4: by the name behind the dot, a backend's Service name.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RuleOptions {
    pub actions: BTreeMap<String, Setting<RuleAction>>,
    /// In the order of the array; unknown fields are left out, as LBC does.
    pub conditions: BTreeMap<String, Setting<Vec<Condition>>>,
    pub transforms: BTreeMap<String, Setting<Vec<Transform>>>,
    pub use_regex_path_match: Option<Setting<bool>>,
    pub jwt_validation: Option<Setting<JwtValidation>>,
}

/// What `actions.<name>` says (§5.6), checked.
#[derive(Clone, Debug, PartialEq)]
pub enum RuleAction {
    FixedResponse {
        status_code: String,
        content_type: Option<String>,
        message_body: Option<String>,
    },
    Redirect {
        status_code: String,
        host: Option<String>,
        path: Option<String>,
        port: Option<String>,
        protocol: Option<String>,
        query: Option<String>,
    },
    Forward {
        targets: Vec<ForwardTarget>,
        stickiness: Option<Stickiness>,
    },
}

#[derive(Clone, Debug, PartialEq)]
pub struct ForwardTarget {
    pub to: ForwardTo,
    pub weight: Option<i32>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum ForwardTo {
    TargetGroupArn(String),
    TargetGroupName(String),
    Service { name: String, port: PortRef },
}

/// Group stickiness as written: each part may be left out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Stickiness {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration_seconds: Option<i32>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct JwtValidation {
    pub jwks_endpoint: String,
    pub issuer: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub additional_claims: Vec<JwtClaim>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JwtClaim {
    pub format: String,
    pub name: String,
    pub values: Vec<String>,
}

/// ingress-model §2.5.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AuthOptions {
    pub auth_type: Option<Setting<AuthType>>,
    pub idp_cognito: Option<Setting<CognitoIdp>>,
    pub idp_oidc: Option<Setting<OidcIdp>>,
    pub on_unauthenticated_request: Option<Setting<String>>,
    pub scope: Option<Setting<String>>,
    pub session_cookie: Option<Setting<String>>,
    pub session_timeout: Option<Setting<i64>>,
}

words!(
    /// How users sign in.
    AuthType { None "none", Oidc "oidc", Cognito "cognito" }
);

/// Absent fields are the empty text, as LBC takes them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CognitoIdp {
    pub user_pool_arn: String,
    pub user_pool_client_id: String,
    pub user_pool_domain: String,
    pub extra_params: Map,
}

/// Absent fields are the empty text, as LBC takes them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OidcIdp {
    pub issuer: String,
    pub authorization_endpoint: String,
    pub token_endpoint: String,
    pub user_info_endpoint: String,
    pub secret_name: String,
    pub extra_params: Map,
}

/// ingress-model §2.6.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TargetGroupOptions {
    pub target_type: Option<Setting<TargetType>>,
    pub backend_protocol: Option<Setting<Protocol>>,
    pub backend_protocol_version: Option<Setting<ProtocolVersion>>,
    pub attributes: Option<Setting<Map>>,
    pub health_check_port: Option<Setting<HealthCheckPort>>,
    pub health_check_protocol: Option<Setting<Protocol>>,
    pub health_check_path: Option<Setting<String>>,
    pub health_check_interval_seconds: Option<Setting<i32>>,
    pub health_check_timeout_seconds: Option<Setting<i32>>,
    pub healthy_threshold_count: Option<Setting<i32>>,
    pub unhealthy_threshold_count: Option<Setting<i32>>,
    pub success_codes: Option<Setting<String>>,
    pub node_labels: Option<Setting<Map>>,
    pub multi_cluster: Option<Setting<bool>>,
    /// `target-control-port.<service>.<port>`: by `service.port` as written.
    pub control_ports: BTreeMap<String, Setting<i32>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HealthCheckPort {
    TrafficPort,
    /// What reads as an int32, sign and all.
    Number(i32),
    /// Any other text: a Service port's name, which is looked up.
    Name(String),
}

/// ingress-model §2.7.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AddOnOptions {
    /// The empty text is a value.
    pub wafv2_acl_arn: Option<Setting<String>>,
    pub wafv2_acl_name: Option<Setting<String>>,
    /// `waf-acl-id`, else its older name `web-acl-id`.
    pub waf_acl_id: Option<Setting<String>>,
    pub shield_advanced_protection: Option<Setting<bool>>,
}

/// ingress-model §2.8.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FrontendNlbOptions {
    pub enable: Option<Setting<bool>>,
    pub scheme: Option<Setting<Scheme>>,
    pub subnets: Option<Setting<Vec<String>>>,
    pub security_groups: Option<Setting<Vec<String>>>,
    /// NLB port → ALB port, as text; numbers are read when the mapping is used.
    pub listener_port_mapping: Option<Setting<Map>>,
    pub eip_allocations: Option<Setting<Vec<String>>>,
    pub health_check_port: Option<Setting<String>>,
    pub health_check_protocol: Option<Setting<String>>,
    pub health_check_path: Option<Setting<String>>,
    pub health_check_interval_seconds: Option<Setting<i32>>,
    pub health_check_timeout_seconds: Option<Setting<i32>>,
    pub health_check_healthy_threshold_count: Option<Setting<i32>>,
    pub health_check_unhealthy_threshold_count: Option<Setting<i32>>,
    pub health_check_success_codes: Option<Setting<String>>,
    pub tags: Option<Setting<Map>>,
    pub attributes: Option<Setting<Map>>,
}
