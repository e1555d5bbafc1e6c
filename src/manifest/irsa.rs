//! IAM roles for ServiceAccounts as declared (irsa.md §9.2).

use std::collections::BTreeMap;

use crate::{
    id::Arn,
    problem::{Located, Origin},
};

mod read;
#[cfg(test)]
pub(super) mod tests;

pub use read::ROLE_ARN;
pub(super) use read::{check_description, iam_service_account, service_account};

/// One `albsync.dev/v1alpha1` IAMServiceAccount.
#[derive(Clone, Debug, PartialEq)]
pub struct IamServiceAccount {
    pub origin: Origin,
    pub namespace: String,
    pub name: String,
    /// Annotation `albsync.dev/suspend` is `true`: no writes for this object.
    pub suspended: bool,
    pub service_account: ServiceAccountSpec,
    pub role: RoleOptions,
    pub policies: PolicyOptions,
    pub deletion_policy: DeletionPolicy,
    pub drift_policy: DriftPolicy,
}

impl IamServiceAccount {
    /// `namespace/name`.
    pub fn key(&self) -> String {
        format!("{}/{}", self.namespace, self.name)
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct ServiceAccountSpec {
    pub name: String,
    pub manage: Manage,
    pub labels: BTreeMap<String, String>,
    pub annotations: BTreeMap<String, String>,
    pub automount_token: Option<bool>,
    pub image_pull_secrets: Vec<String>,
    pub token_expiration_seconds: Option<i64>,
    pub sts_regional_endpoints: Option<bool>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Manage {
    /// Create and delete the ServiceAccount.
    #[default]
    Full,
    /// It must exist; only the annotation is ours.
    AnnotateOnly,
    /// The role only.
    None,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct RoleOptions {
    /// Explicit name; computed when absent (irsa.md §9.3).
    pub name: Option<Located<String>>,
    pub adopt_role_id: Option<Located<String>>,
    pub description: String,
    /// 3600 when absent.
    pub max_session_duration_seconds: Option<i32>,
    pub permissions_boundary: Option<Located<Arn>>,
    pub tags: BTreeMap<String, String>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct PolicyOptions {
    /// Detach only what a previous commit attached.
    pub additive: bool,
    pub managed_arns: Vec<Located<String>>,
    pub inline: Vec<Located<PolicyDocument>>,
    pub owned: Vec<Located<PolicyDocument>>,
}

/// A ServiceAccount document of git, as far as a role's binding has to agree with it.
#[derive(Clone, Debug, PartialEq)]
pub struct ServiceAccount {
    pub origin: Origin,
    pub namespace: String,
    pub name: String,
    /// Annotation `eks.amazonaws.com/role-arn`: with an `IAMServiceAccount` for the same account it must equal the
    /// computed ARN (irsa.md §9.1).
    pub role_arn: Option<Located<String>>,
}

/// A named IAM policy document, read inline or from the file that the manifest names.
#[derive(Clone, Debug, PartialEq)]
pub struct PolicyDocument {
    pub name: String,
    pub description: String,
    pub document: serde_json::Value,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DeletionPolicy {
    #[default]
    Delete,
    Retain,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DriftPolicy {
    #[default]
    Correct,
    Report,
}
