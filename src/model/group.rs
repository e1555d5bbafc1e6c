//! One Ingress group's model: what its documents and the looked-up facts ask for, in our own words, before anything is
//! known of targets, tracking tags and numbers of rules.
//!
//! It holds what AWS Load Balancer Controller's model holds (ingress-model §11), no more and no less: what a document
//! leaves open stays open here, and `lower` fills in what is sent to AWS. [`super::lbc`] prints it in LBC's shape.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize, Serializer};

pub mod action;
mod add_on;
pub mod auth;
pub mod backend;
pub mod binding;
pub mod build;
pub mod cache;
pub mod certificate;
pub mod class;
pub mod collision;
pub mod condition;
pub mod context;
#[cfg(test)]
pub mod fixture;
mod frontend_nlb;
mod inbound;
pub mod listener;
mod load_balancer;
mod member;
pub mod merge;
pub mod mutual;
pub mod optimize;
mod order;
pub mod port;
mod reads;
pub mod redirect;
#[cfg(test)]
pub mod request;
pub mod rule;
mod security_group;
pub mod shadow;
pub mod split;
mod subnet;
pub mod tag;
pub mod target_group;

pub use super::build::name::GroupId;
use super::{desired::Member, lbc::LATER, net::Tags};
use crate::{
    id::{SecurityGroupId, SubnetId},
    manifest::{
        ServiceRef,
        annotation::{
            options::{JwtValidation, Map, MutualMode, Stickiness},
            value::{
                Condition, IpAddressType, Protocol, ProtocolVersion, Scheme, TargetType, Transform,
            },
        },
        ingress::PortRef,
    },
    problem::Origin,
};

/// A group with everything that its members ask for. Tags are the users' and the configured defaults, without tracking.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct GroupModel {
    /// In group order (ingress-model §1.3).
    pub members: Vec<Member>,
    /// `ManagedLBSecurityGroup`; absent where the members name their own groups.
    pub security_group: Option<ManagedSecurityGroup>,
    pub load_balancer: LoadBalancer,
    pub listeners: BTreeMap<u16, Listener>,
    /// By resource id `namespace/ingress-service:port`, each with its binding.
    pub target_groups: BTreeMap<String, TargetGroup>,
    /// Certificates that ACM is asked for, by resource id.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub certificates: BTreeMap<String, CertificateRequest>,
    pub add_ons: AddOns,
    pub frontend_nlb: Option<FrontendNlb>,
}

/// A value of the cluster that is not there before the first apply: `None` prints as "known after apply".
pub type Later<T> = Option<T>;

/// Prints a [`Later`].
fn later<T: Serialize, S: Serializer>(value: &Later<T>, serializer: S) -> Result<S::Ok, S::Error> {
    match value {
        Some(value) => value.serialize(serializer),
        None => serializer.serialize_str(LATER),
    }
}

/// Prints a list of [`Later`]s.
fn laters<T: Serialize, S: Serializer>(
    values: &[Later<T>],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(values.iter().map(OrLater))
}

struct OrLater<'a, T>(&'a Later<T>);

impl<T: Serialize> Serialize for OrLater<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        later(self.0, serializer)
    }
}

/// ingress-model §3.5, §3.6.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ManagedSecurityGroup {
    pub name: String,
    pub description: &'static str,
    pub tags: Tags,
    /// In order of port; per port IPv4, IPv6, prefix lists, each sorted as text.
    pub ingress: Vec<IngressPermission>,
}

/// TCP from one source to one port.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct IngressPermission {
    pub port: u16,
    pub source: IngressSource,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum IngressSource {
    Ipv4(String),
    Ipv6(String),
    PrefixList(String),
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum SecurityGroupRef {
    /// The group's own.
    Managed,
    /// The one that all balancers of the cluster share; its id where it is known.
    Backend(#[serde(serialize_with = "later")] Later<SecurityGroupId>),
    /// One that the user named.
    Id(SecurityGroupId),
}

/// ingress-model §3.2.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LoadBalancer {
    pub name: String,
    pub scheme: Scheme,
    pub ip_address_type: IpAddressType,
    /// In the order of ingress-model §3.4.
    pub subnets: Vec<SubnetId>,
    /// In order of attachment.
    pub security_groups: Vec<SecurityGroupRef>,
    pub customer_owned_ipv4_pool: Option<String>,
    /// The empty text is a value.
    pub ipv4_ipam_pool: Option<String>,
    pub minimum_capacity_units: Option<i32>,
    /// Only the keys that were declared.
    pub attributes: Map,
    pub tags: Tags,
}

/// ingress-model §4.7.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Listener {
    /// The document that first asked for this port.
    pub origin: Origin,
    pub protocol: Protocol,
    pub default_actions: Vec<Action>,
    /// The default first, then the others; the default again where LBC repeats it.
    pub certificates: Vec<Certificate>,
    /// HTTPS only; the empty text is a value.
    pub ssl_policy: Option<String>,
    pub mutual_authentication: Option<MutualAuthentication>,
    pub attributes: Map,
    pub tags: Tags,
    /// In order of evaluation; numbers are the planner's.
    pub rules: Vec<Rule>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Certificate {
    Arn(String),
    /// One of [`GroupModel::certificates`].
    Requested(String),
}

/// ingress-model §4.4, names resolved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct MutualAuthentication {
    pub mode: MutualMode,
    /// The empty text for `off` and `passthrough`.
    pub trust_store_arn: String,
    pub ignore_client_certificate_expiry: Option<bool>,
    pub advertise_trust_store_ca_names: Option<String>,
}

/// ingress-model §5.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Rule {
    /// The path, or the rule's entry where it has none.
    pub origin: Origin,
    /// Index into [`GroupModel::members`].
    pub member: usize,
    pub conditions: Vec<Condition>,
    pub actions: Vec<Action>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub transforms: Vec<Transform>,
    pub tags: Tags,
}

/// One action; authentication comes before what answers the request.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "type")]
pub enum Action {
    #[serde(rename_all = "camelCase")]
    AuthenticateCognito {
        user_pool_arn: String,
        user_pool_client_id: String,
        user_pool_domain: String,
        #[serde(flatten)]
        session: Session,
    },
    /// Client id and secret stay in the Secret; only its name is here.
    #[serde(rename_all = "camelCase")]
    AuthenticateOidc {
        issuer: String,
        authorization_endpoint: String,
        token_endpoint: String,
        user_info_endpoint: String,
        /// In the Ingress's namespace.
        secret: SecretRef,
        #[serde(flatten)]
        session: Session,
    },
    JwtValidation(JwtValidation),
    #[serde(rename_all = "camelCase")]
    FixedResponse {
        status_code: String,
        content_type: Option<String>,
        message_body: Option<String>,
    },
    /// What is absent keeps its part of the request.
    #[serde(rename_all = "camelCase")]
    Redirect {
        status_code: String,
        host: Option<String>,
        path: Option<String>,
        port: Option<String>,
        protocol: Option<String>,
        query: Option<String>,
    },
    #[serde(rename_all = "camelCase")]
    Forward {
        target_groups: Vec<WeightedTargetGroup>,
        stickiness: Option<Stickiness>,
    },
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SecretRef {
    pub namespace: String,
    pub name: String,
}

impl std::fmt::Display for SecretRef {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// What both kinds of sign-in have (ingress-model §5.8).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Session {
    pub on_unauthenticated_request: String,
    pub scope: String,
    pub session_cookie_name: String,
    pub session_timeout: i64,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub extra_params: Map,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct WeightedTargetGroup {
    pub target_group: TargetGroupRef,
    /// Absent for plain backends.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weight: Option<i32>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum TargetGroupRef {
    /// One of [`GroupModel::target_groups`].
    Own(String),
    /// The user's own.
    Arn(String),
}

/// ingress-model §6.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TargetGroup {
    /// The first backend that asked for it.
    pub origin: Origin,
    /// Index into [`GroupModel::members`].
    pub member: usize,
    /// Needs the Service's uid and port.
    #[serde(serialize_with = "later")]
    pub name: Later<String>,
    pub target_type: TargetType,
    /// The node port, or the target port (1 where it is a name).
    #[serde(serialize_with = "later")]
    pub port: Later<i32>,
    pub protocol: Protocol,
    pub protocol_version: ProtocolVersion,
    /// The Service has IPv6.
    pub is_ipv6: bool,
    pub target_control_port: Option<i32>,
    pub health_check: HealthCheck,
    /// Only the keys that were declared.
    pub attributes: Map,
    pub tags: Tags,
    pub binding: TargetGroupBinding,
}

/// ingress-model §6.4; numbers as written, unchecked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HealthCheck {
    #[serde(serialize_with = "later")]
    pub port: Later<HealthCheckPort>,
    pub protocol: Protocol,
    pub path: String,
    pub matcher: Matcher,
    pub interval_seconds: i32,
    pub timeout_seconds: i32,
    pub healthy_threshold_count: i32,
    pub unhealthy_threshold_count: i32,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum HealthCheckPort {
    TrafficPort,
    Number(i32),
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Matcher {
    HttpCode(String),
    GrpcCode(String),
}

/// What ties a target group to its Service (ingress-model §6.6); its name is the target group's.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TargetGroupBinding {
    pub service: ServiceRef,
    /// As the backend spells it.
    pub port: PortRef,
    pub vpc_id: String,
    /// From `target-node-labels`, instance targets only.
    pub node_selector: Option<Map>,
    pub multi_cluster: bool,
    /// Absent where nobody manages the targets' security groups.
    pub networking: Option<Networking>,
}

/// Who may reach the targets, and on which ports; one permission each, in this order. `None` as a port is all ports.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Networking {
    pub source: SecurityGroupRef,
    #[serde(serialize_with = "laters")]
    pub ports: Vec<Later<NetworkingPort>>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum NetworkingPort {
    Number(i32),
    /// Ip targets behind a named target port.
    Name(String),
    /// With `disableRestrictedSgRules`.
    All,
}

/// ingress-model §4.3.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CertificateRequest {
    pub origin: Origin,
    /// Private: signed by this CA.
    pub certificate_authority_arn: Option<String>,
    pub domain_name: String,
    pub subject_alternative_names: Vec<String>,
    pub tags: Tags,
}

/// ingress-model §7: absent leaves what is in AWS as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AddOns {
    /// The empty text takes an association off.
    pub wafv2_acl_arn: Option<String>,
    pub waf_acl_id: Option<String>,
    pub shield_protection: Option<bool>,
}

/// ingress-model §8.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FrontendNlb {
    pub name: String,
    pub scheme: Scheme,
    pub ip_address_type: IpAddressType,
    pub subnets: Vec<NlbSubnet>,
    pub security_groups: Vec<SecurityGroupRef>,
    pub attributes: Map,
    pub tags: Tags,
    /// By NLB port as written in the mapping (unchecked: 0 is possible).
    pub listeners: BTreeMap<i32, NlbListener>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NlbSubnet {
    pub id: SubnetId,
    pub allocation_id: Option<String>,
}

/// One TCP listener with its target group of type `alb`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NlbListener {
    pub alb_port: i32,
    pub target_group_name: String,
    pub health_check: HealthCheck,
}
