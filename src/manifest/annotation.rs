//! THE TABLE: every annotation we know → its parser → the field of [`IngressOptions`] it fills.

use std::collections::BTreeMap;

use crate::problem::Located;

/// The annotations of one Ingress or Service, parsed, grouped by aspect. Absent is `None`: never declared.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct IngressOptions {
    pub load_balancer: LoadBalancerOptions,
    pub target_group: TargetGroupOptions,
    /// `tags`: on an Ingress for everything it owns, on a Service for its target groups.
    pub tags: Option<Located<BTreeMap<String, String>>>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct LoadBalancerOptions {
    pub scheme: Option<Located<Scheme>>,
    /// `load-balancer-attributes`.
    pub attributes: Option<Located<BTreeMap<String, String>>>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct TargetGroupOptions {
    pub target_type: Option<Located<TargetType>>,
    pub health_check_path: Option<Located<String>>,
}

#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum Scheme {
    Internal,
    InternetFacing,
}

impl Scheme {
    /// As ELBv2 and the annotation spell it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Internal => "internal",
            Self::InternetFacing => "internet-facing",
        }
    }
}

#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum TargetType {
    Instance,
    Ip,
}

impl TargetType {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Instance => "instance",
            Self::Ip => "ip",
        }
    }
}
