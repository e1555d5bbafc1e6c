//! IAM, STS and EKS as far as the ports ask (irsa §6.2, §6.3).

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use serde_json::Value;

use super::{FakeAccount, State, refusal};
use crate::{
    aws::{CreatedRole, EksCluster, IamRead, IamWrite, Identity, Result},
    id::{Arn, RoleName},
    model::{
        iam::{Policy, PolicySpec, Provider, ProviderSpec, Role, RoleSpec},
        net::Tags,
    },
};

const IAM: &str = "iam";
/// Versions that IAM keeps of one policy.
const VERSION_QUOTA: usize = 5;

#[async_trait]
impl IamRead for FakeAccount {
    async fn identity(&self) -> Result<Identity> {
        self.read(("sts", "GetCallerIdentity"), "", |state| {
            Ok(state.identity())
        })
    }

    async fn eks_cluster(&self, name: &str) -> Result<EksCluster> {
        self.read(("eks", "DescribeCluster"), name, |state| {
            state.eks_cluster(name)
        })
    }

    async fn provider(&self, arn: &Arn) -> Result<Option<Provider>> {
        self.read((IAM, "GetOpenIDConnectProvider"), arn, |state| {
            Ok(state.providers.get(arn).cloned())
        })
    }

    async fn role(&self, name: &RoleName) -> Result<Option<Role>> {
        self.read((IAM, "GetRole"), name, |state| {
            let shown = state.shows(name.as_str());
            Ok(state.roles.get(name).filter(|_| shown).cloned())
        })
    }

    async fn policy(&self, arn: &Arn) -> Result<Option<Policy>> {
        self.read((IAM, "GetPolicy"), arn, |state| {
            let attachments = state
                .roles
                .values()
                .filter(|role| role.attached.contains(arn))
                .count();
            Ok(state
                .policies
                .get(arn)
                .filter(|_| state.shows(arn.as_str()))
                .map(|policy| Policy {
                    attachments: i32::try_from(attachments).unwrap_or(i32::MAX),
                    ..policy.clone()
                }))
        })
    }

    async fn policies_under(&self, path: &str) -> Result<Vec<Arn>> {
        self.read((IAM, "ListPolicies"), path, |state| {
            let under = format!(":policy{path}");
            Ok(state
                .policies
                .keys()
                .filter(|arn| arn.as_str().contains(&under))
                .cloned()
                .collect())
        })
    }

    async fn roles_under(&self, path: &str) -> Result<Vec<RoleName>> {
        self.read((IAM, "ListRoles"), path, |state| {
            let found = state
                .roles
                .values()
                .filter(|role| role.path.starts_with(path));
            Ok(found.map(|role| role.name.clone()).collect())
        })
    }

    async fn policy_version(&self, arn: &Arn, version: &str) -> Result<Value> {
        self.read((IAM, "GetPolicyVersion"), arn, |state| {
            state
                .policy_versions
                .get(&(arn.clone(), version.to_owned()))
                .cloned()
                .ok_or_else(|| missing("policy version", arn))
        })
    }
}

#[async_trait]
impl IamWrite for FakeAccount {
    async fn create_provider(&self, spec: &ProviderSpec) -> Result<Arn> {
        self.write((IAM, "CreateOpenIDConnectProvider"), &spec.arn, |state| {
            if state.providers.contains_key(&spec.arn) {
                return Err(exists("provider", &spec.arn));
            }
            let live = Provider {
                arn: spec.arn.clone(),
                client_ids: spec.client_ids.clone(),
                tags: spec.tags.clone(),
            };
            state.providers.insert(spec.arn.clone(), live);
            Ok(spec.arn.clone())
        })
    }

    async fn add_client_id(&self, provider: &Arn, client_id: &str) -> Result<()> {
        self.write(
            (IAM, "AddClientIDToOpenIDConnectProvider"),
            provider,
            |state| {
                let live = state
                    .providers
                    .get_mut(provider)
                    .ok_or_else(|| missing("provider", provider))?;
                live.client_ids.insert(client_id.to_owned());
                Ok(())
            },
        )
    }

    async fn create_policy(&self, spec: &PolicySpec) -> Result<Arn> {
        self.write((IAM, "CreatePolicy"), &spec.arn, |state| {
            if state.policies.contains_key(&spec.arn) {
                return Err(exists("policy", &spec.arn));
            }
            let live = Policy {
                arn: spec.arn.clone(),
                name: spec.name.clone(),
                description: spec.description.clone(),
                document: spec.document.clone(),
                default_version: "v1".to_owned(),
                versions: vec!["v1".to_owned()],
                tags: spec.tags.clone(),
                attachments: 0,
            };
            state
                .policy_versions
                .insert((spec.arn.clone(), "v1".to_owned()), spec.document.clone());
            state.hide(spec.arn.as_str());
            state.policies.insert(spec.arn.clone(), live);
            Ok(spec.arn.clone())
        })
    }

    async fn create_policy_version(&self, arn: &Arn, document: &Value) -> Result<()> {
        self.write((IAM, "CreatePolicyVersion"), arn, |state| {
            let live = state.existing_policy(arn)?;
            if live.versions.len() >= VERSION_QUOTA {
                let message = "a managed policy can have up to 5 versions";
                return Err(refusal("LimitExceeded", message));
            }
            let highest = live
                .versions
                .iter()
                .filter_map(|version| version.trim_start_matches('v').parse::<u32>().ok())
                .max();
            let version = format!("v{}", highest.unwrap_or(0) + 1);
            live.versions.push(version.clone());
            live.default_version.clone_from(&version);
            live.document = document.clone();
            state
                .policy_versions
                .insert((arn.clone(), version), document.clone());
            Ok(())
        })
    }

    async fn set_default_policy_version(&self, arn: &Arn, version: &str) -> Result<()> {
        self.write((IAM, "SetDefaultPolicyVersion"), arn, |state| {
            let document = state
                .policy_versions
                .get(&(arn.clone(), version.to_owned()))
                .cloned()
                .ok_or_else(|| missing("policy version", arn))?;
            let live = state.existing_policy(arn)?;
            live.default_version = version.to_owned();
            live.document = document;
            Ok(())
        })
    }

    async fn delete_policy_version(&self, arn: &Arn, version: &str) -> Result<()> {
        self.write((IAM, "DeletePolicyVersion"), arn, |state| {
            let live = state.existing_policy(arn)?;
            if live.default_version == version {
                return Err(refusal("DeleteConflict", "the default version"));
            }
            if !live.versions.iter().any(|known| known == version) {
                return Err(missing("policy version", arn));
            }
            live.versions.retain(|known| known != version);
            state
                .policy_versions
                .remove(&(arn.clone(), version.to_owned()));
            Ok(())
        })
    }

    async fn tag_policy(&self, arn: &Arn, tags: &Tags) -> Result<()> {
        self.write((IAM, "TagPolicy"), arn, |state| {
            state.existing_policy(arn)?.tags.extend(tags.clone());
            Ok(())
        })
    }

    async fn untag_policy(&self, arn: &Arn, keys: &BTreeSet<String>) -> Result<()> {
        self.write((IAM, "UntagPolicy"), arn, |state| {
            state
                .existing_policy(arn)?
                .tags
                .retain(|key, _| !keys.contains(key));
            Ok(())
        })
    }

    async fn delete_policy(&self, arn: &Arn) -> Result<()> {
        self.write((IAM, "DeletePolicy"), arn, |state| {
            let attached = state.roles.values().any(|role| role.attached.contains(arn));
            let versions = state.existing_policy(arn)?.versions.len();
            if attached || versions > 1 {
                return Err(refusal(
                    "DeleteConflict",
                    "it is attached or has other versions",
                ));
            }
            state.policies.remove(arn);
            state.policy_versions.retain(|(policy, _), _| policy != arn);
            Ok(())
        })
    }

    async fn create_role(&self, spec: &RoleSpec) -> Result<CreatedRole> {
        self.write((IAM, "CreateRole"), &spec.name, |state| {
            let taken = state
                .roles
                .keys()
                .any(|name| name.as_str().eq_ignore_ascii_case(spec.name.as_str()));
            if taken {
                return Err(exists("role", &spec.name));
            }
            let role_id = format!("AROA{}", state.new_id().to_uppercase());
            let live = Role {
                arn: spec.arn.clone(),
                name: spec.name.clone(),
                role_id: role_id.clone(),
                path: spec.path.clone(),
                description: spec.description.clone(),
                max_session_duration_seconds: spec.max_session_duration_seconds,
                trust: spec.trust.clone(),
                permissions_boundary: spec.permissions_boundary.clone(),
                tags: spec.tags.clone(),
                attached: BTreeSet::new(),
                inline: BTreeMap::new(),
            };
            state.hide(spec.name.as_str());
            state.roles.insert(spec.name.clone(), live);
            Ok(CreatedRole {
                arn: spec.arn.clone(),
                role_id,
            })
        })
    }

    async fn update_assume_role_policy(&self, role: &RoleName, document: &Value) -> Result<()> {
        self.write((IAM, "UpdateAssumeRolePolicy"), role, |state| {
            state.existing_role(role)?.trust = document.clone();
            Ok(())
        })
    }

    async fn put_permissions_boundary(&self, role: &RoleName, boundary: &Arn) -> Result<()> {
        self.write((IAM, "PutRolePermissionsBoundary"), role, |state| {
            state.existing_role(role)?.permissions_boundary = Some(boundary.clone());
            Ok(())
        })
    }

    async fn update_role(
        &self,
        role: &RoleName,
        description: &str,
        max_session_duration_seconds: i32,
    ) -> Result<()> {
        self.write((IAM, "UpdateRole"), role, |state| {
            let live = state.existing_role(role)?;
            live.description = description.to_owned();
            live.max_session_duration_seconds = max_session_duration_seconds;
            Ok(())
        })
    }

    async fn tag_role(&self, role: &RoleName, tags: &Tags) -> Result<()> {
        self.write((IAM, "TagRole"), role, |state| {
            state.existing_role(role)?.tags.extend(tags.clone());
            Ok(())
        })
    }

    async fn untag_role(&self, role: &RoleName, keys: &BTreeSet<String>) -> Result<()> {
        self.write((IAM, "UntagRole"), role, |state| {
            state
                .existing_role(role)?
                .tags
                .retain(|key, _| !keys.contains(key));
            Ok(())
        })
    }

    async fn attach_role_policy(&self, role: &RoleName, policy: &Arn) -> Result<()> {
        self.write(
            (IAM, "AttachRolePolicy"),
            format!("{role} {policy}"),
            |state| {
                // Policies of AWS's own exist without being listed here.
                let known =
                    policy.as_str().contains(":iam::aws:") || state.policies.contains_key(policy);
                if !known {
                    return Err(missing("policy", policy));
                }
                state.existing_role(role)?.attached.insert(policy.clone());
                Ok(())
            },
        )
    }

    async fn detach_role_policy(&self, role: &RoleName, policy: &Arn) -> Result<()> {
        self.write(
            (IAM, "DetachRolePolicy"),
            format!("{role} {policy}"),
            |state| match state.existing_role(role)?.attached.remove(policy) {
                true => Ok(()),
                false => Err(missing("attachment", policy)),
            },
        )
    }

    async fn put_role_policy(&self, role: &RoleName, name: &str, document: &Value) -> Result<()> {
        self.write((IAM, "PutRolePolicy"), format!("{role} {name}"), |state| {
            state
                .existing_role(role)?
                .inline
                .insert(name.to_owned(), document.clone());
            Ok(())
        })
    }

    async fn delete_role_policy(&self, role: &RoleName, name: &str) -> Result<()> {
        self.write(
            (IAM, "DeleteRolePolicy"),
            format!("{role} {name}"),
            |state| match state.existing_role(role)?.inline.remove(name) {
                Some(_) => Ok(()),
                None => Err(missing("inline policy", name)),
            },
        )
    }

    async fn delete_role(&self, role: &RoleName) -> Result<()> {
        self.write((IAM, "DeleteRole"), role, |state| {
            let live = state.existing_role(role)?;
            if !live.attached.is_empty() || !live.inline.is_empty() {
                return Err(refusal(
                    "DeleteConflict",
                    "detach and delete its policies first",
                ));
            }
            state.roles.remove(role);
            Ok(())
        })
    }
}

fn missing(what: &str, id: impl std::fmt::Display) -> crate::model::call::CallError {
    refusal("NoSuchEntity", format!("no such {what}: {id}"))
}

fn exists(what: &str, id: impl std::fmt::Display) -> crate::model::call::CallError {
    refusal("EntityAlreadyExists", format!("the {what} {id} exists"))
}

impl State {
    fn existing_role(&mut self, name: &RoleName) -> Result<&mut Role> {
        self.roles
            .get_mut(name)
            .ok_or_else(|| missing("role", name))
    }

    fn existing_policy(&mut self, arn: &Arn) -> Result<&mut Policy> {
        self.policies
            .get_mut(arn)
            .ok_or_else(|| missing("policy", arn))
    }
}
