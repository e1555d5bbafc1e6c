//! ELBv2 resources: one spec per kind for what is wanted, one record per kind for what is there. No SDK types.
//!
//! Every field that AWS would default is spelled out (decision 13 of the spec), so that what is read compares equal to
//! what was sent.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

pub use crate::manifest::annotation::{
    Scheme, TargetType,
    options::{JwtClaim, JwtValidation, MutualMode},
    value::{Patterns, QueryPair, Rewrite, Transform},
};

use super::{
    desired::Ref,
    group::{SecretRef, Session},
    net::Tags,
};
use crate::id::{Arn, SecurityGroupId, SubnetId};

/// An application load balancer as wanted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoadBalancerSpec {
    pub name: String,
    pub scheme: Scheme,
    /// `ipv4`, `dualstack` or `dualstack-without-public-ipv4`.
    pub ip_address_type: String,
    /// In ascending id; compared as a set.
    pub subnets: Vec<SubnetId>,
    /// In the order of attachment; compared as a set.
    pub security_groups: Vec<Ref<SecurityGroupId>>,
    /// Only the keys that were declared.
    pub attributes: BTreeMap<String, String>,
    pub tags: Tags,
}

/// A load balancer as ELBv2 returns it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoadBalancer {
    pub arn: Arn,
    pub name: String,
    /// As returned; compared without case.
    pub dns_name: String,
    /// `application`, `network`, `gateway`.
    pub kind: String,
    /// Absent where AWS (or an emulator) does not say.
    pub scheme: Option<Scheme>,
    pub ip_address_type: String,
    pub vpc_id: String,
    /// `provisioning`, `active`, `active_impaired`, `failed`.
    pub state: String,
    pub subnets: BTreeSet<SubnetId>,
    pub security_groups: Vec<SecurityGroupId>,
    pub attributes: BTreeMap<String, String>,
    pub tags: Tags,
}

/// A listener as wanted; its balancer is given by the stack.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListenerSpec {
    pub port: u16,
    /// `HTTP` or `HTTPS`.
    pub protocol: String,
    pub default_actions: Vec<RuleAction>,
    /// What HTTPS needs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<TlsSpec>,
    /// Only the keys that were declared.
    pub attributes: BTreeMap<String, String>,
    pub tags: Tags,
}

/// The encrypted half of a listener as wanted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TlsSpec {
    /// Shown to clients that ask for no name, or for one that no other fits.
    pub default_certificate: Arn,
    /// Chosen by the name that a client asks for. Whether the default is among them makes no difference.
    pub certificates: BTreeSet<Arn>,
    /// `None`: whatever is set stays.
    pub ssl_policy: Option<String>,
    /// `None`: whatever is set stays.
    pub mutual_authentication: Option<MutualAuthentication>,
}

/// Certificates of clients.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MutualAuthentication {
    pub mode: MutualMode,
    /// The rest is of mode `verify` only.
    pub trust_store: Option<Arn>,
    pub ignore_client_certificate_expiry: Option<bool>,
    /// `on` or `off`.
    pub advertise_trust_store_ca_names: Option<String>,
}

/// A listener as ELBv2 returns it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listener {
    pub arn: Arn,
    pub load_balancer: Arn,
    pub port: u16,
    pub protocol: String,
    pub default_actions: Vec<RuleAction>,
    #[serde(default)]
    pub tls: Tls,
    pub attributes: BTreeMap<String, String>,
    pub tags: Tags,
}

/// The encrypted half of a listener as ELBv2 returns it; empty where it is plain.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tls {
    pub default_certificate: Option<Arn>,
    /// Beyond the default, which may be among them all the same.
    pub certificates: BTreeSet<Arn>,
    pub ssl_policy: Option<String>,
    pub mutual_authentication: Option<MutualAuthentication>,
}

/// A rule as wanted: order is the list's, numbers are the planner's (decision 4 of the spec).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleSpec {
    pub conditions: Vec<Condition>,
    pub actions: Vec<RuleAction>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub transforms: Vec<Transform>,
    pub tags: Tags,
}

/// A rule as ELBv2 returns it; the default rule is not among the rules we hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    pub arn: Arn,
    pub listener: Arn,
    /// 1–50000.
    pub priority: u32,
    pub conditions: Vec<Condition>,
    pub actions: Vec<RuleAction>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub transforms: Vec<Transform>,
    pub tags: Tags,
}

/// One condition of a rule, in AWS's terms. Values keep their order; they are compared as sets.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "field")]
pub enum Condition {
    HostHeader {
        values: Patterns,
    },
    PathPattern {
        values: Patterns,
    },
    HttpHeader {
        name: String,
        values: Patterns,
    },
    HttpRequestMethod {
        values: Vec<String>,
    },
    QueryString {
        values: Vec<QueryPair>,
    },
    SourceIp {
        values: Vec<String>,
    },
    /// What a foreign rule may hold and we do not model: kept as text so that it never compares equal to ours.
    Other {
        text: String,
    },
}

/// One action of a rule or listener.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "type")]
pub enum RuleAction {
    AuthenticateCognito {
        user_pool_arn: String,
        user_pool_client_id: String,
        user_pool_domain: String,
        session: Session,
    },
    /// Client id and secret stay in the Secret and are read when the action is sent.
    AuthenticateOidc {
        issuer: String,
        authorization_endpoint: String,
        token_endpoint: String,
        user_info_endpoint: String,
        /// Absent in what was read: AWS says neither the Secret's name nor its content.
        client: Option<OidcClient>,
        session: Session,
    },
    JwtValidation(JwtValidation),
    Forward {
        target_groups: Vec<WeightedTargetGroup>,
        /// Group stickiness in seconds; `None` is off.
        stickiness_seconds: Option<i32>,
    },
    FixedResponse {
        status_code: String,
        content_type: Option<String>,
        message_body: Option<String>,
    },
    Redirect {
        protocol: String,
        host: String,
        port: String,
        path: String,
        query: String,
        status_code: String,
    },
    /// What a foreign rule may hold and we do not model.
    Other {
        text: String,
    },
}

/// Where the id and the secret of an OIDC client are. AWS never returns the secret, so that a changed one shows only in
/// the Secret's version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OidcClient {
    pub secret: SecretRef,
    /// The Secret's `resourceVersion`; absent where it was not read.
    pub version: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct WeightedTargetGroup {
    pub arn: Ref<Arn>,
    /// 1 when undeclared.
    pub weight: i32,
}

/// A target group as wanted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TargetGroupSpec {
    /// Used at creation only; matching is by tags.
    pub name: String,
    pub target_type: TargetType,
    /// Instance targets: the Service's node port.
    pub port: u16,
    /// `HTTP` or `HTTPS`.
    pub protocol: String,
    /// `HTTP1`, `HTTP2` or `GRPC`.
    pub protocol_version: String,
    /// `ipv4` or `ipv6`.
    pub ip_address_type: String,
    pub vpc_id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target_control_port: Option<u16>,
    pub health_check: HealthCheck,
    /// Only the keys that were declared.
    pub attributes: BTreeMap<String, String>,
    pub tags: Tags,
    /// What must be registered.
    pub targets: BTreeSet<Target>,
}

/// A target group as ELBv2 returns it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TargetGroup {
    pub arn: Arn,
    pub name: String,
    pub target_type: String,
    pub port: u16,
    pub protocol: String,
    pub protocol_version: String,
    pub ip_address_type: String,
    pub vpc_id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target_control_port: Option<u16>,
    pub health_check: HealthCheck,
    pub attributes: BTreeMap<String, String>,
    pub tags: Tags,
    /// Registered and not draining.
    pub targets: BTreeSet<Target>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HealthCheck {
    /// `traffic-port` or a number as text.
    pub port: String,
    pub protocol: String,
    pub path: String,
    pub interval_seconds: i32,
    pub timeout_seconds: i32,
    pub healthy_threshold: i32,
    pub unhealthy_threshold: i32,
    pub matcher: Matcher,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Matcher {
    HttpCode(String),
    GrpcCode(String),
}

/// One target: an instance id or an address, with its port.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Target {
    pub id: String,
    pub port: u16,
    /// An address outside the VPC: it belongs to no availability zone.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub all_zones: bool,
}
