//! The part of the configuration that shapes the model (controller flags in the peer's terms).

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::elb::{Scheme, TargetType};
pub use crate::manifest::Checks;
use crate::{id::Arn, problem::codes};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// The EKS cluster's name: part of tags and of every name hash.
    pub cluster_name: String,
    /// Who owns IAM objects: the tag `albsync.dev/owner`.
    pub installation: String,
    /// Short id of the repository: the tag `albsync.dev/repo`.
    pub repo_id: String,
    /// Value of the older class annotation that is ours (`--ingress-class`); `alb`.
    pub ingress_class: String,
    pub default_scheme: Scheme,
    pub default_target_type: TargetType,
    /// Added to everything; they win over user tags unless a gate says otherwise (ingress-model §3.8).
    pub default_tags: BTreeMap<String, String>,
    /// What else of LBC's flags shapes the model (ingress-model §9).
    pub flags: Flags,
    pub gates: FeatureGates,
    /// Which checks hold (decision 14 of the spec).
    pub checks: Checks,
    /// An extra owner tag on ALB resources, off by default (decision 2 of the spec).
    pub alb_owner_tag: bool,
    pub iam: IamSettings,
    /// Names of checks lowered to warnings.
    pub lowered: BTreeSet<String>,
}

/// LBC's flags with LBC's defaults.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Flags {
    /// Only Ingresses of this namespace; empty: of all.
    pub watch_namespace: String,
    /// Keys that no user may set.
    pub external_managed_tags: BTreeSet<String>,
    pub default_ssl_policy: String,
    pub enable_backend_security_group: bool,
    /// The shared backend group by id; empty: found or made by tags.
    pub backend_security_group: String,
    pub enable_manage_backend_security_group_rules: bool,
    pub disable_restricted_sg_rules: bool,
    pub tolerate_non_existent_backend_service: bool,
    pub tolerate_non_existent_backend_action: bool,
    pub allowed_certificate_authority_arns: BTreeSet<String>,
    pub default_pca_arn: String,
    /// `key=value` that Secrets of OIDC clients must be labelled with; empty: none.
    pub required_secrets_label: String,
    /// Tags that tell the group to open among several of one network interface.
    pub service_target_eni_security_group_tags: BTreeMap<String, String>,
}

impl Default for Flags {
    fn default() -> Self {
        Self {
            watch_namespace: String::new(),
            external_managed_tags: BTreeSet::new(),
            default_ssl_policy: "ELBSecurityPolicy-2016-08".to_owned(),
            enable_backend_security_group: true,
            backend_security_group: String::new(),
            enable_manage_backend_security_group_rules: false,
            disable_restricted_sg_rules: false,
            tolerate_non_existent_backend_service: true,
            tolerate_non_existent_backend_action: true,
            allowed_certificate_authority_arns: BTreeSet::new(),
            default_pca_arn: String::new(),
            required_secrets_label: String::new(),
            service_target_eni_security_group_tags: BTreeMap::new(),
        }
    }
}

/// LBC's feature gates that alter the model, with LBC's defaults (ingress-model §9); named as LBC names them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default, deny_unknown_fields)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "each gate is one switch, named by the peer"
)]
pub struct FeatureGates {
    pub listener_rules_tagging: bool,
    pub weighted_target_groups: bool,
    #[serde(rename = "EnableIPTargetType")]
    pub enable_ip_target_type: bool,
    pub endpoints_fail_open: bool,
    pub subnets_cluster_tag_check: bool,
    pub subnet_discovery_by_reachability: bool,
    #[serde(rename = "ALBSingleSubnet")]
    pub alb_single_subnet: bool,
    #[serde(rename = "LBCapacityReservation")]
    pub lb_capacity_reservation: bool,
    pub enable_default_tags_low_priority: bool,
    pub enable_certificate_management: bool,
    pub enhanced_default_behavior: bool,
}

impl Default for FeatureGates {
    fn default() -> Self {
        Self {
            listener_rules_tagging: true,
            weighted_target_groups: true,
            enable_ip_target_type: true,
            endpoints_fail_open: true,
            subnets_cluster_tag_check: true,
            subnet_discovery_by_reachability: true,
            alb_single_subnet: false,
            lb_capacity_reservation: true,
            enable_default_tags_low_priority: false,
            enable_certificate_management: false,
            enhanced_default_behavior: false,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IamSettings {
    /// Path of roles and owned policies, begins and ends with `/`.
    pub path: String,
    /// Prefix of role names; may be empty.
    pub role_prefix: String,
    pub permissions_boundary: Option<Arn>,
    pub allowed_boundaries: BTreeSet<Arn>,
    /// Globs (`*` only) that managed policy ARNs must match; `${account}` and `${partition}` substituted.
    pub allowed_policies: Vec<String>,
    /// Whether the OIDC provider may be created.
    pub ensure_provider: bool,
    /// Whether roles may be taken over by `role.adopt.roleId`.
    pub allow_adoption: bool,
}

impl Settings {
    /// Whether what this check finds is told as a warning, and nothing is kept from being done: by name, or because LBC's
    /// builder builds it.
    pub fn lowers(&self, check: &str) -> bool {
        codes::code(check).is_some_and(|code| {
            code.lowerable && self.lowered.contains(check)
                || code.beyond_lbc && self.checks == Checks::Lbc
        })
    }

    /// For looking at manifests without any configuration: defaults, and a cluster without a name.
    pub fn offline() -> Self {
        Self {
            cluster_name: String::new(),
            installation: String::new(),
            repo_id: String::new(),
            ingress_class: "alb".to_owned(),
            default_scheme: Scheme::Internal,
            default_target_type: TargetType::Instance,
            default_tags: BTreeMap::new(),
            flags: Flags::default(),
            gates: FeatureGates::default(),
            checks: Checks::default(),
            alb_owner_tag: false,
            iam: IamSettings {
                path: "/albsync/".to_owned(),
                role_prefix: String::new(),
                // Whether the operator gives one is not known here, so its absence is no problem of the manifests.
                permissions_boundary: Some(Arn::from(
                    "arn:aws:iam::000000000000:policy/of-the-configuration",
                )),
                allowed_boundaries: BTreeSet::new(),
                allowed_policies: vec!["*".to_owned()],
                ensure_provider: false,
                allow_adoption: false,
            },
            lowered: BTreeSet::new(),
        }
    }
}
