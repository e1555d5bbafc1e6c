//! The part of the configuration that shapes the model (controller flags in the peer's terms).

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::elb::{Scheme, TargetType};
use crate::id::Arn;

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
    /// Added to everything; they win over user tags (ingress-model §3.8).
    pub default_tags: BTreeMap<String, String>,
    /// An extra owner tag on ALB resources, off by default (decision 2 of the spec).
    pub alb_owner_tag: bool,
    pub iam: IamSettings,
    /// Names of checks lowered to warnings.
    pub lowered: BTreeSet<String>,
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
