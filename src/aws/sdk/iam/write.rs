//! Writes; ownership tags go into the create calls, so nothing of ours ever exists without them (irsa §9.5).

use std::collections::BTreeSet;

use async_trait::async_trait;
use aws_sdk_iam::types::Tag;
use serde_json::Value;

use super::document::encode;
use crate::{
    aws::{
        CreatedRole, IamWrite, Result,
        governor::Class,
        sdk::{IAM, Sdk, unusable},
    },
    id::{Arn, RoleName},
    model::{
        iam::{PolicySpec, ProviderSpec, RoleSpec},
        net::Tags,
    },
};

/// One write without an answer of interest.
macro_rules! write {
    ($sdk:ident, $operation:literal, $request:expr) => {
        $sdk.call(IAM, Class::IamWrite, $operation, $request.send())
            .await
            .map(drop)
    };
}

#[async_trait]
impl IamWrite for Sdk {
    async fn create_provider(&self, spec: &ProviderSpec) -> Result<Arn> {
        const OPERATION: &str = "CreateOpenIDConnectProvider";
        // No thumbprint: AWS verifies EKS issuers by their certificates (irsa §1.3).
        let request = self
            .iam
            .create_open_id_connect_provider()
            .url(&spec.url)
            .set_client_id_list(Some(spec.client_ids.iter().cloned().collect()))
            .set_tags(to_tags(&spec.tags, OPERATION)?);
        self.call(IAM, Class::IamWrite, OPERATION, request.send())
            .await?
            .open_id_connect_provider_arn
            .map(Arn)
            .ok_or_else(|| unusable(IAM, OPERATION, "OpenIDConnectProviderArn"))
    }

    async fn add_client_id(&self, provider: &Arn, client_id: &str) -> Result<()> {
        write!(
            self,
            "AddClientIDToOpenIDConnectProvider",
            self.iam
                .add_client_id_to_open_id_connect_provider()
                .open_id_connect_provider_arn(provider.as_str())
                .client_id(client_id)
        )
    }

    async fn create_policy(&self, spec: &PolicySpec) -> Result<Arn> {
        const OPERATION: &str = "CreatePolicy";
        let request = self
            .iam
            .create_policy()
            .policy_name(&spec.name)
            .path(&spec.path)
            .set_description(given(&spec.description))
            .policy_document(encode(&spec.document))
            .set_tags(to_tags(&spec.tags, OPERATION)?);
        self.call(IAM, Class::IamWrite, OPERATION, request.send())
            .await?
            .policy
            .and_then(|policy| policy.arn)
            .map(Arn)
            .ok_or_else(|| unusable(IAM, OPERATION, "Arn"))
    }

    async fn create_policy_version(&self, arn: &Arn, document: &Value) -> Result<()> {
        write!(
            self,
            "CreatePolicyVersion",
            self.iam
                .create_policy_version()
                .policy_arn(arn.as_str())
                .policy_document(encode(document))
                .set_as_default(true)
        )
    }

    async fn set_default_policy_version(&self, arn: &Arn, version: &str) -> Result<()> {
        write!(
            self,
            "SetDefaultPolicyVersion",
            self.iam
                .set_default_policy_version()
                .policy_arn(arn.as_str())
                .version_id(version)
        )
    }

    async fn delete_policy_version(&self, arn: &Arn, version: &str) -> Result<()> {
        write!(
            self,
            "DeletePolicyVersion",
            self.iam
                .delete_policy_version()
                .policy_arn(arn.as_str())
                .version_id(version)
        )
    }

    async fn tag_policy(&self, arn: &Arn, tags: &Tags) -> Result<()> {
        write!(
            self,
            "TagPolicy",
            self.iam
                .tag_policy()
                .policy_arn(arn.as_str())
                .set_tags(to_tags(tags, "TagPolicy")?)
        )
    }

    async fn untag_policy(&self, arn: &Arn, keys: &BTreeSet<String>) -> Result<()> {
        write!(
            self,
            "UntagPolicy",
            self.iam
                .untag_policy()
                .policy_arn(arn.as_str())
                .set_tag_keys(Some(keys.iter().cloned().collect()))
        )
    }

    async fn delete_policy(&self, arn: &Arn) -> Result<()> {
        write!(
            self,
            "DeletePolicy",
            self.iam.delete_policy().policy_arn(arn.as_str())
        )
    }

    async fn create_role(&self, spec: &RoleSpec) -> Result<CreatedRole> {
        const OPERATION: &str = "CreateRole";
        let request = self
            .iam
            .create_role()
            .role_name(spec.name.as_str())
            .path(&spec.path)
            .set_description(given(&spec.description))
            .max_session_duration(spec.max_session_duration_seconds)
            .assume_role_policy_document(encode(&spec.trust))
            .set_permissions_boundary(
                spec.permissions_boundary
                    .as_ref()
                    .map(|boundary| boundary.0.clone()),
            )
            .set_tags(to_tags(&spec.tags, OPERATION)?);
        let role = self
            .call(IAM, Class::IamWrite, OPERATION, request.send())
            .await?
            .role
            .ok_or_else(|| unusable(IAM, OPERATION, "the role"))?;
        Ok(CreatedRole {
            arn: Arn(role.arn),
            role_id: role.role_id,
        })
    }

    async fn update_assume_role_policy(&self, role: &RoleName, document: &Value) -> Result<()> {
        write!(
            self,
            "UpdateAssumeRolePolicy",
            self.iam
                .update_assume_role_policy()
                .role_name(role.as_str())
                .policy_document(encode(document))
        )
    }

    async fn put_permissions_boundary(&self, role: &RoleName, boundary: &Arn) -> Result<()> {
        write!(
            self,
            "PutRolePermissionsBoundary",
            self.iam
                .put_role_permissions_boundary()
                .role_name(role.as_str())
                .permissions_boundary(boundary.as_str())
        )
    }

    async fn update_role(
        &self,
        role: &RoleName,
        description: &str,
        max_session_duration_seconds: i32,
    ) -> Result<()> {
        write!(
            self,
            "UpdateRole",
            self.iam
                .update_role()
                .role_name(role.as_str())
                .description(description)
                .max_session_duration(max_session_duration_seconds)
        )
    }

    async fn tag_role(&self, role: &RoleName, tags: &Tags) -> Result<()> {
        write!(
            self,
            "TagRole",
            self.iam
                .tag_role()
                .role_name(role.as_str())
                .set_tags(to_tags(tags, "TagRole")?)
        )
    }

    async fn untag_role(&self, role: &RoleName, keys: &BTreeSet<String>) -> Result<()> {
        write!(
            self,
            "UntagRole",
            self.iam
                .untag_role()
                .role_name(role.as_str())
                .set_tag_keys(Some(keys.iter().cloned().collect()))
        )
    }

    async fn attach_role_policy(&self, role: &RoleName, policy: &Arn) -> Result<()> {
        write!(
            self,
            "AttachRolePolicy",
            self.iam
                .attach_role_policy()
                .role_name(role.as_str())
                .policy_arn(policy.as_str())
        )
    }

    async fn detach_role_policy(&self, role: &RoleName, policy: &Arn) -> Result<()> {
        write!(
            self,
            "DetachRolePolicy",
            self.iam
                .detach_role_policy()
                .role_name(role.as_str())
                .policy_arn(policy.as_str())
        )
    }

    async fn put_role_policy(&self, role: &RoleName, name: &str, document: &Value) -> Result<()> {
        write!(
            self,
            "PutRolePolicy",
            self.iam
                .put_role_policy()
                .role_name(role.as_str())
                .policy_name(name)
                .policy_document(encode(document))
        )
    }

    async fn delete_role_policy(&self, role: &RoleName, name: &str) -> Result<()> {
        write!(
            self,
            "DeleteRolePolicy",
            self.iam
                .delete_role_policy()
                .role_name(role.as_str())
                .policy_name(name)
        )
    }

    async fn delete_role(&self, role: &RoleName) -> Result<()> {
        write!(
            self,
            "DeleteRole",
            self.iam.delete_role().role_name(role.as_str())
        )
    }
}

/// IAM refuses an empty description on some calls; left out it is empty as well.
fn given(text: &str) -> Option<String> {
    Some(text.to_owned()).filter(|text| !text.is_empty())
}

fn to_tags(tags: &Tags, operation: &str) -> Result<Option<Vec<Tag>>> {
    let tags = tags
        .iter()
        .map(|(key, value)| Tag::builder().key(key).value(value).build())
        .collect::<std::result::Result<Vec<_>, _>>()
        .map_err(|_| unusable(IAM, operation, "a tag's key or value"))?;
    Ok(Some(tags).filter(|tags| !tags.is_empty()))
}
