//! IAM roles for ServiceAccounts: provider, roles, owned policies (irsa §9.2–9.5).

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use self::{allowed::is_allowed, cloud::Cloud};
use super::{Input, Report, Wait, waiting};
use crate::{
    id::{Arn, ObjectRef, ResourceId, RoleName, StackId},
    manifest::{
        IamServiceAccount,
        irsa::{DeletionPolicy, DriftPolicy, Manage, PolicyOptions, RoleOptions},
    },
    model::{
        desired::{Desired, ProviderStack, Ref, RoleStack},
        digest::hex,
        iam::{PolicySpec, RoleSpec},
        net::Tags,
        policy, tags,
    },
    problem::{Located, Problem, codes},
};

mod allowed;
mod cloud;

/// The only audience of IRSA, in every partition (irsa §1.7).
const AUDIENCE: &str = "sts.amazonaws.com";
/// IAM's own default.
const SESSION_SECONDS: i32 = 3600;
/// Name prefix of inline policies of ours (irsa §9.5).
const INLINE_PREFIX: &str = "albsync-";

/// A role name has at most 64 characters: these, a hyphen and the hash.
const NAME_BASE_LENGTH: usize = 55;
const NAME_HASH_LENGTH: usize = 8;

/// IAM's default quotas (irsa §6.4).
const TRUST_QUOTA: usize = 2_048;
const INLINE_QUOTA: usize = 10_240;
const MANAGED_QUOTA: usize = 6_144;
const ATTACHED_QUOTA: usize = 10;
const POLICY_NAME_LENGTH: usize = 128;

/// A declaration with what became of its role: what binding it to its ServiceAccount needs.
pub(super) struct Binding<'a> {
    pub account: &'a IamServiceAccount,
    /// The role's ARN, or why the ServiceAccount has to wait.
    pub role: Result<Arn, String>,
}

impl Binding<'_> {
    pub fn stack(&self) -> StackId {
        StackId::Role(self.account.key())
    }

    pub fn service_account(&self) -> ObjectRef {
        service_account(self.account)
    }
}

/// Builds provider and roles, each into `desired` or, with its reasons, into `desired.waiting`.
pub(super) fn build_all<'a>(
    input: &Input<'a>,
    report: &mut Report,
    desired: &mut Desired,
) -> Vec<Binding<'a>> {
    let mut accounts: Vec<&IamServiceAccount> =
        input.manifests.iam_service_accounts.iter().collect();
    accounts.sort_by(|a, b| (a.key(), &a.origin).cmp(&(b.key(), &b.origin)));
    // Two of one name are a problem found by parsing.
    accounts.dedup_by_key(|account| account.key());
    let Some(first) = accounts.first() else {
        return Vec::new();
    };
    let cloud = Cloud::of(input);
    match &cloud {
        Ok(cloud) => {
            desired.provider = Some(ProviderStack {
                spec: cloud.provider(input),
            })
        }
        Err(reason) => desired.waiting.extend(waiting(
            StackId::Provider,
            vec![Wait::new(&first.origin, reason.clone())],
        )),
    }

    let mut names: BTreeMap<RoleName, &IamServiceAccount> = BTreeMap::new();
    let mut bindings = Vec::new();
    for account in accounts {
        let built = match &cloud {
            Ok(cloud) => Builder {
                account,
                cloud,
                input,
            }
            .build(&mut names, report),
            Err(reason) => Err(vec![Wait::new(&account.origin, reason.clone())]),
        };
        let role = match built {
            Ok(stack) => {
                let arn = stack.role.arn.clone();
                desired.roles.insert(account.key(), stack);
                if account.suspended {
                    Err(format!("IAMServiceAccount {} is suspended", account.key()))
                } else {
                    Ok(arn)
                }
            }
            Err(waits) => {
                let wait = waiting(StackId::Role(account.key()), waits);
                let reason = wait
                    .as_ref()
                    .map_or_else(String::new, |wait| wait.reason.clone());
                desired.waiting.extend(wait);
                Err(format!("its role waits: {reason}"))
            }
        };
        bindings.push(Binding { account, role });
    }
    bindings
}

fn service_account(account: &IamServiceAccount) -> ObjectRef {
    ObjectRef {
        api_version: "v1".to_owned(),
        kind: "ServiceAccount".to_owned(),
        namespace: Some(account.namespace.clone()),
        name: account.service_account.name.clone(),
    }
}

struct Builder<'a, 'b> {
    account: &'a IamServiceAccount,
    cloud: &'b Cloud<'a>,
    input: &'b Input<'a>,
}

impl<'a> Builder<'a, '_> {
    fn build(
        &self,
        names: &mut BTreeMap<RoleName, &'a IamServiceAccount>,
        report: &mut Report,
    ) -> Result<RoleStack, Vec<Wait>> {
        let account = self.account;
        let mut problems = Vec::new();
        let RoleOptions {
            name: _,
            adopt_role_id,
            description,
            max_session_duration_seconds,
            permissions_boundary: _,
            tags: _,
        } = &account.role;

        let name = self.name(names, &mut problems);
        let policies = self.owned_policies(&name, &mut problems);
        let owned = policies
            .keys()
            .map(|policy| Ref::Output(ResourceId::policy(&account.key(), policy)));
        let attached: BTreeSet<Ref<Arn>> =
            owned.chain(self.managed_policies(&mut problems)).collect();
        if attached.len() > ATTACHED_QUOTA {
            problems.push(self.problem(
                codes::IAM_QUOTA,
                format!(
                    "{} managed policies, IAM attaches at most {ATTACHED_QUOTA}",
                    attached.len()
                ),
            ));
        }
        if let Some(id) = adopt_role_id
            && !self.input.settings.iam.allow_adoption
        {
            problems.push(
                self.problem(
                    codes::ADOPTION_NOT_ALLOWED,
                    format!(
                        "role {} may not be taken over: the configuration does not allow adoption",
                        id.value
                    ),
                )
                .at(id),
            );
        }
        let role = RoleSpec {
            path: self.input.settings.iam.path.clone(),
            arn: self
                .cloud
                .arn(&format!("role{}{name}", self.input.settings.iam.path)),
            description: description.clone(),
            max_session_duration_seconds: max_session_duration_seconds.unwrap_or(SESSION_SECONDS),
            trust: self.trust(&mut problems),
            permissions_boundary: self.boundary(&mut problems),
            tags: self.role_tags(),
            attached,
            inline: self.inline_policies(&mut problems),
            additive: account.policies.additive,
            adopt_role_id: adopt_role_id.as_ref().map(|id| id.value.clone()),
            report_only: account.drift_policy == DriftPolicy::Report,
            name,
        };
        if !problems.is_empty() {
            let waits = problems.iter().map(Wait::for_problem).collect();
            for problem in problems {
                report.add(problem);
            }
            return Err(waits);
        }
        Ok(RoleStack {
            origin: account.origin.clone(),
            role,
            policies,
            service_account: (account.service_account.manage != Manage::None)
                .then(|| service_account(account)),
            retain: account.deletion_policy == DeletionPolicy::Retain,
            suspended: account.suspended,
        })
    }

    fn problem(&self, code: &str, message: String) -> Problem {
        Problem::new(code, self.account.origin.clone(), message)
            .of(format!("IAMServiceAccount {}", self.account.key()))
    }

    fn name(
        &self,
        names: &mut BTreeMap<RoleName, &'a IamServiceAccount>,
        problems: &mut Vec<Problem>,
    ) -> RoleName {
        let settings = self.input.settings;
        let name = match &self.account.role.name {
            Some(name) => {
                if !name.value.starts_with(&settings.iam.role_prefix) {
                    problems.push(
                        self.problem(
                            codes::ROLE_NAME,
                            format!("role name `{}` lacks the configured prefix", name.value),
                        )
                        .at(name)
                        .hint(format!(
                            "begin it with `{}`, or leave it out",
                            settings.iam.role_prefix
                        )),
                    );
                }
                RoleName(name.value.clone())
            }
            None => computed_name(
                &settings.iam.role_prefix,
                &settings.cluster_name,
                self.cloud.cluster_arn,
                &self.account.namespace,
                &self.account.service_account.name,
            ),
        };
        // IAM tells names apart without regard to case.
        let key = RoleName(name.0.to_lowercase());
        match names.get(&key) {
            Some(other) => problems.push(
                self.problem(
                    codes::IAM_DUPLICATE,
                    format!("role `{name}` is declared twice"),
                )
                .hint(format!("IAMServiceAccount {} has it already", other.key()))
                .also(other.origin.clone()),
            ),
            None => {
                names.insert(key, self.account);
            }
        }
        name
    }

    /// One statement; who may take the role is never more than this one ServiceAccount (irsa §1.4, lessons H3–H5).
    fn trust(&self, problems: &mut Vec<Problem>) -> Value {
        let issuer = &self.cloud.issuer;
        let subject = format!(
            "system:serviceaccount:{}:{}",
            self.account.namespace, self.account.service_account.name
        );
        let trust = json!({
            "Version": "2012-10-17",
            "Statement": [{
                "Effect": "Allow",
                "Principal": { "Federated": self.cloud.provider_arn() },
                "Action": "sts:AssumeRoleWithWebIdentity",
                "Condition": { "StringEquals": {
                    format!("{issuer}:aud"): AUDIENCE,
                    format!("{issuer}:sub"): subject,
                }},
            }],
        });
        let size = policy::counted_size(&trust);
        if size > TRUST_QUOTA {
            problems.push(self.problem(
                codes::IAM_QUOTA,
                format!("the trust document would have {size} characters, IAM takes {TRUST_QUOTA}"),
            ));
        }
        trust
    }

    /// The declared boundary where the administrator allows it, else the configured one; never none (irsa §7.4 G2).
    fn boundary(&self, problems: &mut Vec<Problem>) -> Option<Arn> {
        let iam = &self.input.settings.iam;
        let Some(declared) = &self.account.role.permissions_boundary else {
            if iam.permissions_boundary.is_none() {
                problems.push(
                    self.problem(
                        codes::BOUNDARY_MISSING,
                        "neither this document nor the configuration names a permissions boundary"
                            .to_owned(),
                    )
                    .hint(
                        "a role without a boundary is never created; set one in the configuration",
                    ),
                );
            }
            return iam.permissions_boundary.clone();
        };
        let allowed: BTreeSet<&Arn> = iam
            .allowed_boundaries
            .iter()
            .chain(&iam.permissions_boundary)
            .collect();
        if !allowed.contains(&declared.value) {
            let allowed: Vec<_> = allowed.into_iter().map(Arn::as_str).collect();
            let hint = match allowed.is_empty() {
                true => "the configuration allows none".to_owned(),
                false => format!("allowed: {}", allowed.join(", ")),
            };
            problems.push(
                self.problem(
                    codes::BOUNDARY_NOT_ALLOWED,
                    format!(
                        "permissions boundary {} is not allowed by the configuration",
                        declared.value
                    ),
                )
                .at(declared)
                .hint(hint),
            );
        }
        Some(declared.value.clone())
    }

    /// The user's tags under the owner's: IAM keeps one key whatever its case, so none of ours may hide in another case.
    fn role_tags(&self) -> Tags {
        let own = self.object_tags();
        let mut tags: Tags = self
            .account
            .role
            .tags
            .iter()
            .filter(|(key, _)| !own.contains_key(&key.to_lowercase()))
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect();
        tags.extend(own);
        tags
    }

    fn object_tags(&self) -> Tags {
        let mut tags = self.cloud.tags(self.input);
        tags.insert(tags::OBJECT.to_owned(), self.account.key());
        tags
    }

    fn owned_policies(
        &self,
        role: &RoleName,
        problems: &mut Vec<Problem>,
    ) -> BTreeMap<String, PolicySpec> {
        let PolicyOptions {
            additive: _,
            managed_arns: _,
            inline: _,
            owned,
        } = &self.account.policies;
        let path = &self.input.settings.iam.path;
        let mut policies = BTreeMap::new();
        for Located {
            value: declared,
            origin,
        } in owned
        {
            let name = format!("{role}-{}", declared.name);
            if name.chars().count() > POLICY_NAME_LENGTH {
                let message =
                    format!("policy name `{name}` is longer than {POLICY_NAME_LENGTH} characters");
                problems.push(Problem {
                    origin: origin.clone(),
                    ..self.problem(codes::IAM_QUOTA, message)
                });
            }
            let size = policy::counted_size(&declared.document);
            if size > MANAGED_QUOTA {
                let message = format!(
                    "policy `{}` has {size} characters, IAM takes {MANAGED_QUOTA} for a managed policy",
                    declared.name
                );
                let problem = self
                    .problem(codes::IAM_QUOTA, message)
                    .hint("split it into two");
                problems.push(Problem {
                    origin: origin.clone(),
                    ..problem
                });
            }
            policies.insert(
                name.clone(),
                PolicySpec {
                    path: path.clone(),
                    arn: self.cloud.arn(&format!("policy{path}{name}")),
                    description: declared.description.clone(),
                    document: declared.document.clone(),
                    tags: self.object_tags(),
                    name,
                },
            );
        }
        policies
    }

    fn inline_policies(&self, problems: &mut Vec<Problem>) -> BTreeMap<String, Value> {
        let inline: BTreeMap<String, Value> = self
            .account
            .policies
            .inline
            .iter()
            .map(|declared| {
                let name = format!("{INLINE_PREFIX}{}", declared.value.name);
                (name, declared.value.document.clone())
            })
            .collect();
        let size: usize = inline.values().map(policy::counted_size).sum();
        if size > INLINE_QUOTA {
            problems.push(
                self.problem(
                    codes::IAM_QUOTA,
                    format!("inline policies have {size} characters together, IAM takes {INLINE_QUOTA} for a role"),
                )
                .hint("move some to policies.owned"),
            );
        }
        inline
    }

    fn managed_policies(&self, problems: &mut Vec<Problem>) -> Vec<Ref<Arn>> {
        let mut arns = Vec::new();
        for declared in &self.account.policies.managed_arns {
            let arn = self.substituted(&declared.value);
            let allowed = &self.input.settings.iam.allowed_policies;
            if !is_allowed(&arn, allowed.iter().map(|glob| self.substituted(glob))) {
                problems.push(
                    self.problem(
                        codes::POLICY_NOT_ALLOWED,
                        format!("managed policy {arn} is not allowed by the configuration"),
                    )
                    .at(declared)
                    .hint(match allowed.is_empty() {
                        true => "the configuration allows none".to_owned(),
                        false => format!("allowed: {}", allowed.join(", ")),
                    }),
                );
            }
            arns.push(Ref::Known(Arn(arn)));
        }
        arns
    }

    fn substituted(&self, text: &str) -> String {
        text.replace("${partition}", self.cloud.partition)
            .replace("${account}", self.cloud.account)
    }
}

trait At {
    /// Moves a problem from its document to the value that it is about.
    fn at<T>(self, value: &Located<T>) -> Self;
}

impl At for Problem {
    fn at<T>(self, value: &Located<T>) -> Self {
        Self {
            origin: value.origin.clone(),
            ..self
        }
    }
}

/// `PREFIXCLUSTER-NAMESPACE-ACCOUNT-HASH` (irsa §9.3). The hash is always there: `a-b`/`c` and `a`/`b-c` differ, and so do
/// two clusters of one name.
fn computed_name(
    prefix: &str,
    cluster: &str,
    cluster_arn: &str,
    namespace: &str,
    service_account: &str,
) -> RoleName {
    let base: String = format!("{prefix}{cluster}-{namespace}-{service_account}")
        .to_lowercase()
        .chars()
        .map(|letter| match letter {
            'a'..='z' | '0'..='9' | '-' => letter,
            _ => '-',
        })
        .take(NAME_BASE_LENGTH)
        .collect();
    let digest = Sha256::digest(format!("{cluster_arn}/{namespace}/{service_account}").as_bytes());
    let mut hash = hex(&digest);
    hash.truncate(NAME_HASH_LENGTH);
    RoleName(format!("{base}-{hash}"))
}

#[cfg(test)]
mod tests;
