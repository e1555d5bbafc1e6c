//! IAM resources: provider, policies, roles. Documents are JSON values, compared by meaning.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{desired::Ref, net::Tags};
use crate::id::{Arn, RoleName};

/// The cluster's OIDC provider as wanted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProviderSpec {
    /// With `https://`.
    pub url: String,
    pub arn: Arn,
    pub client_ids: BTreeSet<String>,
    /// Whether it may be created and completed; otherwise it must be there (irsa §9.4 step 1).
    pub ensure: bool,
    pub tags: Tags,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Provider {
    pub arn: Arn,
    pub client_ids: BTreeSet<String>,
    pub tags: Tags,
}

/// A customer managed policy of ours as wanted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicySpec {
    pub name: String,
    /// Begins and ends with `/`.
    pub path: String,
    /// Computed from partition, account, path and name.
    pub arn: Arn,
    pub description: String,
    pub document: Value,
    pub tags: Tags,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    pub arn: Arn,
    pub name: String,
    pub description: String,
    /// The default version's document, decoded.
    pub document: Value,
    pub default_version: String,
    /// All versions with their documents' ids, oldest first (`v1`, `v2` …): the quota is five.
    pub versions: Vec<String>,
    pub tags: Tags,
    /// How many entities it is attached to.
    pub attachments: i32,
}

/// A role as wanted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoleSpec {
    pub name: RoleName,
    /// Begins and ends with `/`.
    pub path: String,
    /// Computed from partition, account, path and name.
    pub arn: Arn,
    pub description: String,
    pub max_session_duration_seconds: i32,
    pub trust: Value,
    pub permissions_boundary: Option<Arn>,
    pub tags: Tags,
    /// Managed policies, owned ones included: these as outputs of `ResourceId::policy`, so that they come first.
    pub attached: BTreeSet<Ref<Arn>>,
    /// Name → document.
    pub inline: BTreeMap<String, Value>,
    /// Detach only what we attached (`policies.mode: Additive`).
    pub additive: bool,
    /// The live role that may be taken over (`role.adopt.roleId`).
    pub adopt_role_id: Option<String>,
    /// Drift is reported and not corrected.
    pub report_only: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Role {
    pub arn: Arn,
    pub name: RoleName,
    pub role_id: String,
    pub path: String,
    pub description: String,
    pub max_session_duration_seconds: i32,
    pub trust: Value,
    pub permissions_boundary: Option<Arn>,
    pub tags: Tags,
    pub attached: BTreeSet<Arn>,
    pub inline: BTreeMap<String, Value>,
}
