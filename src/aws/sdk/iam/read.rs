//! Reads. `NoSuchEntity` is absence.

use std::collections::BTreeMap;

use async_trait::async_trait;
use futures::try_join;
use serde_json::Value;

use super::document::decode;
use crate::{
    aws::{
        EksCluster, IamRead, Identity, Result,
        governor::Class,
        sdk::{EKS, IAM, STS, Sdk, paged, unusable},
    },
    id::{Arn, RoleName},
    model::{
        iam::{Policy, Provider, Role},
        net::Tags,
    },
};

/// The largest page.
const PAGE: i32 = 1000;

#[async_trait]
impl IamRead for Sdk {
    async fn identity(&self) -> Result<Identity> {
        const OPERATION: &str = "GetCallerIdentity";
        let answer = self
            .call(
                STS,
                Class::Account,
                OPERATION,
                self.sts.get_caller_identity().send(),
            )
            .await?;
        let lacks = |what| unusable(STS, OPERATION, what);
        let arn = answer.arn.ok_or_else(|| lacks("Arn"))?;
        Ok(Identity {
            account: answer.account.ok_or_else(|| lacks("Account"))?,
            partition: arn
                .split(':')
                .nth(1)
                .filter(|partition| !partition.is_empty())
                .ok_or_else(|| lacks("a valid Arn"))?
                .to_owned(),
            arn,
        })
    }

    async fn eks_cluster(&self, name: &str) -> Result<EksCluster> {
        const OPERATION: &str = "DescribeCluster";
        let answer = self
            .call(
                EKS,
                Class::Account,
                OPERATION,
                self.eks.describe_cluster().name(name).send(),
            )
            .await?;
        let cluster = answer
            .cluster
            .ok_or_else(|| unusable(EKS, OPERATION, "the cluster"))?;
        Ok(EksCluster {
            arn: cluster.arn.ok_or_else(|| unusable(EKS, OPERATION, "arn"))?,
            issuer: cluster
                .identity
                .and_then(|identity| identity.oidc)
                .and_then(|oidc| oidc.issuer)
                .filter(|issuer| !issuer.is_empty()),
            vpc_id: cluster
                .resources_vpc_config
                .and_then(|config| config.vpc_id)
                .filter(|id| !id.is_empty()),
        })
    }

    async fn provider(&self, arn: &Arn) -> Result<Option<Provider>> {
        let request = self
            .iam
            .get_open_id_connect_provider()
            .open_id_connect_provider_arn(arn.as_str());
        let answer = self
            .call(
                IAM,
                Class::IamRead,
                "GetOpenIDConnectProvider",
                request.send(),
            )
            .await;
        Ok(present(answer)?.map(|answer| Provider {
            arn: arn.clone(),
            client_ids: answer
                .client_id_list
                .unwrap_or_default()
                .into_iter()
                .collect(),
            tags: tags(answer.tags),
        }))
    }

    async fn role(&self, name: &RoleName) -> Result<Option<Role>> {
        const OPERATION: &str = "GetRole";
        let request = self.iam.get_role().role_name(name.as_str());
        let answer = self
            .call(IAM, Class::IamRead, OPERATION, request.send())
            .await;
        let Some(answer) = present(answer)? else {
            return Ok(None);
        };
        let raw = answer
            .role
            .ok_or_else(|| unusable(IAM, OPERATION, "the role"))?;
        let trust = raw
            .assume_role_policy_document
            .as_deref()
            .and_then(decode)
            .ok_or_else(|| unusable(IAM, OPERATION, "a readable AssumeRolePolicyDocument"))?;
        // Gone in between is gone.
        let Some((attached, inline)) = present(try_join!(
            self.attached_policies(name),
            self.inline_policies(name)
        ))?
        else {
            return Ok(None);
        };
        Ok(Some(Role {
            arn: Arn(raw.arn),
            name: RoleName(raw.role_name),
            role_id: raw.role_id,
            path: raw.path,
            description: raw.description.unwrap_or_default(),
            // AWS's own default, which it leaves out in some answers.
            max_session_duration_seconds: raw.max_session_duration.unwrap_or(3600),
            trust,
            permissions_boundary: raw
                .permissions_boundary
                .and_then(|boundary| boundary.permissions_boundary_arn)
                .map(Arn),
            tags: tags(raw.tags),
            attached: attached.into_iter().collect(),
            inline,
        }))
    }

    async fn policy(&self, arn: &Arn) -> Result<Option<Policy>> {
        const OPERATION: &str = "GetPolicy";
        let request = self.iam.get_policy().policy_arn(arn.as_str());
        let answer = self
            .call(IAM, Class::IamRead, OPERATION, request.send())
            .await;
        let Some(answer) = present(answer)? else {
            return Ok(None);
        };
        let lacks = |what| unusable(IAM, OPERATION, what);
        let raw = answer.policy.ok_or_else(|| lacks("the policy"))?;
        let default_version = raw
            .default_version_id
            .ok_or_else(|| lacks("DefaultVersionId"))?;
        let Some((versions, document)) = present(try_join!(
            self.versions(arn),
            self.policy_version(arn, &default_version)
        ))?
        else {
            return Ok(None);
        };
        Ok(Some(Policy {
            arn: arn.clone(),
            name: raw.policy_name.unwrap_or_default(),
            description: raw.description.unwrap_or_default(),
            document,
            default_version,
            versions,
            tags: tags(raw.tags),
            attachments: raw.attachment_count.unwrap_or(0),
        }))
    }

    async fn policies_under(&self, path: &str) -> Result<Vec<Arn>> {
        let mut found = Vec::new();
        paged!(
            marker => self.call(
                IAM, Class::IamRead, "ListPolicies",
                self.iam.list_policies()
                    .scope(aws_sdk_iam::types::PolicyScopeType::Local)
                    .path_prefix(path)
                    .max_items(PAGE)
                    .set_marker(marker.clone())
                    .send(),
            ).await,
            page => page.marker,
            found.extend(page.policies.unwrap_or_default().into_iter().filter_map(|policy| policy.arn).map(Arn))
        );
        found.sort();
        Ok(found)
    }

    async fn roles_under(&self, path: &str) -> Result<Vec<RoleName>> {
        let mut found = Vec::new();
        paged!(
            marker => self.call(
                IAM, Class::IamRead, "ListRoles",
                self.iam.list_roles()
                    .path_prefix(path)
                    .max_items(PAGE)
                    .set_marker(marker.clone())
                    .send(),
            ).await,
            page => page.marker,
            found.extend(page.roles.into_iter().map(|role| RoleName(role.role_name)))
        );
        found.sort();
        Ok(found)
    }

    async fn policy_version(&self, arn: &Arn, version: &str) -> Result<Value> {
        const OPERATION: &str = "GetPolicyVersion";
        let request = self
            .iam
            .get_policy_version()
            .policy_arn(arn.as_str())
            .version_id(version);
        self.call(IAM, Class::IamRead, OPERATION, request.send())
            .await?
            .policy_version
            .and_then(|version| version.document)
            .as_deref()
            .and_then(decode)
            .ok_or_else(|| unusable(IAM, OPERATION, "a readable Document"))
    }
}

impl Sdk {
    async fn attached_policies(&self, role: &RoleName) -> Result<Vec<Arn>> {
        let mut found = Vec::new();
        paged!(
            marker => self.call(
                IAM, Class::IamRead, "ListAttachedRolePolicies",
                self.iam.list_attached_role_policies()
                    .role_name(role.as_str())
                    .max_items(PAGE)
                    .set_marker(marker.clone())
                    .send(),
            ).await,
            page => page.marker,
            found.extend(
                page.attached_policies
                    .unwrap_or_default()
                    .into_iter()
                    .filter_map(|policy| policy.policy_arn)
                    .map(Arn),
            )
        );
        Ok(found)
    }

    async fn inline_policies(&self, role: &RoleName) -> Result<BTreeMap<String, Value>> {
        const OPERATION: &str = "GetRolePolicy";
        let mut names = Vec::new();
        paged!(
            marker => self.call(
                IAM, Class::IamRead, "ListRolePolicies",
                self.iam.list_role_policies()
                    .role_name(role.as_str())
                    .max_items(PAGE)
                    .set_marker(marker.clone())
                    .send(),
            ).await,
            page => page.marker,
            names.extend(page.policy_names)
        );
        let mut inline = BTreeMap::new();
        for name in names {
            let request = self
                .iam
                .get_role_policy()
                .role_name(role.as_str())
                .policy_name(&name);
            let answer = self
                .call(IAM, Class::IamRead, OPERATION, request.send())
                .await?;
            let document = decode(&answer.policy_document)
                .ok_or_else(|| unusable(IAM, OPERATION, "a readable PolicyDocument"))?;
            inline.insert(name, document);
        }
        Ok(inline)
    }

    /// Oldest first: ids grow and are never used again.
    async fn versions(&self, arn: &Arn) -> Result<Vec<String>> {
        let mut found: Vec<String> = Vec::new();
        paged!(
            marker => self.call(
                IAM, Class::IamRead, "ListPolicyVersions",
                self.iam.list_policy_versions()
                    .policy_arn(arn.as_str())
                    .max_items(PAGE)
                    .set_marker(marker.clone())
                    .send(),
            ).await,
            page => page.marker,
            found.extend(
                page.versions
                    .unwrap_or_default()
                    .into_iter()
                    .filter_map(|version| version.version_id),
            )
        );
        found.sort_by_key(|id| {
            id.trim_start_matches('v')
                .parse::<u64>()
                .unwrap_or(u64::MAX)
        });
        Ok(found)
    }
}

fn present<T>(answer: Result<T>) -> Result<Option<T>> {
    match answer {
        Ok(answer) => Ok(Some(answer)),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error),
    }
}

fn tags(raw: Option<Vec<aws_sdk_iam::types::Tag>>) -> Tags {
    raw.unwrap_or_default()
        .into_iter()
        .map(|tag| (tag.key, tag.value))
        .collect()
}
