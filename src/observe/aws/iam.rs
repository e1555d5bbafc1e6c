//! The OIDC provider, and one role with its policies.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use futures::{StreamExt, stream};

use super::{CONCURRENCY, Gaps};
use crate::{
    aws::AwsRead,
    id::{Arn, ResourceKind, RoleName, StackId},
    model::{
        applied::Applied,
        call::CallError,
        desired::RoleStack,
        iam::{Policy, Role},
        net::Tags,
        observed::{Gap, ObservedProvider, ObservedRole},
        tags,
    },
};

/// Reads the provider.
pub async fn provider(aws: &dyn AwsRead, arn: &Arn) -> (ObservedProvider, Vec<Gap>) {
    let gaps = Gaps::of(StackId::Provider);
    let provider = gaps.note(aws.provider(arn).await).flatten();
    (ObservedProvider { provider }, gaps.into_inner())
}

/// What store and model say about a role before it is read.
#[derive(Clone, Debug, Default)]
pub struct RoleKnown {
    /// The wanted name, otherwise the one in the store.
    pub name: Option<RoleName>,
    /// Wanted ones and those in the store.
    pub policies: BTreeSet<Arn>,
    /// The path under which everything that is attached is ours or looks so.
    pub path: String,
    /// Find everything by tags as well.
    pub scan: Option<Arc<IamScan>>,
}

impl RoleKnown {
    /// From what is wanted, if anything still is, and what was applied.
    pub fn new(key: &str, path: &str, wanted: Option<&RoleStack>, applied: &Applied) -> Self {
        let mut known = Self {
            path: path.to_owned(),
            ..Self::default()
        };
        let stack = StackId::Role(key.to_owned());
        for (id, resource) in applied.resources.iter().filter(|(id, _)| id.stack == stack) {
            let Some(arn) = &resource.arn else { continue };
            match id.kind {
                // The name is an ARN's last part, whatever the path.
                ResourceKind::Role => known.name = arn.0.rsplit('/').next().map(RoleName::from),
                ResourceKind::Policy => {
                    known.policies.insert(arn.clone());
                }
                _ => {}
            }
        }
        if let Some(wanted) = wanted {
            known.name = Some(wanted.role.name.clone());
            known
                .policies
                .extend(wanted.policies.values().map(|policy| policy.arn.clone()));
        }
        known
    }
}

/// Reads the role of the wanted name and the policies that are its own: the known ones, and those attached to it that
/// lie under our path; with a scan also all that bear the object's tag.
pub async fn role(aws: &dyn AwsRead, key: &str, known: &RoleKnown) -> (ObservedRole, Vec<Gap>) {
    let gaps = Gaps::of(StackId::Role(key.to_owned()));
    let mut observed = ObservedRole::default();
    if let Some(scan) = &known.scan {
        scan.failures.iter().for_each(|error| gaps.add(error));
        observed.policies = scan.policies.get(key).cloned().unwrap_or_default();
    }
    let tagged = known
        .scan
        .as_ref()
        .and_then(|scan| scan.roles.get(key))
        .cloned();
    observed.role = match (&known.name, tagged) {
        (Some(name), Some(tagged)) if tagged.name == *name => Some(tagged),
        (Some(name), _) => gaps.note(aws.role(name).await).flatten(),
        (None, tagged) => tagged,
    };
    let mut wanted = known.policies.clone();
    if let Some(live) = &observed.role {
        let own = format!(":policy{}", known.path);
        wanted.extend(
            live.attached
                .iter()
                // At the root everything would be ours.
                .filter(|arn| known.path.len() > 1 && arn.0.contains(&own))
                .cloned(),
        );
    }
    wanted.retain(|arn| !observed.policies.contains_key(arn));
    let found: Vec<Policy> = stream::iter(wanted)
        .map(|arn| async move { aws.policy(&arn).await })
        .buffered(CONCURRENCY)
        .filter_map(|answer| async { gaps.note(answer).flatten() })
        .collect()
        .await;
    observed
        .policies
        .extend(found.into_iter().map(|policy| (policy.arn.clone(), policy)));
    (observed, gaps.into_inner())
}

/// Everything of one installation under a path, found by tags: what the store need not know (irsa §9.4 C3).
#[derive(Clone, Debug, Default)]
pub struct IamScan {
    /// By the tag `albsync.dev/object`.
    roles: BTreeMap<String, Role>,
    /// By the tag `albsync.dev/object`.
    policies: BTreeMap<String, BTreeMap<Arn, Policy>>,
    failures: Vec<CallError>,
}

impl IamScan {
    /// Reads every role and policy under the path, several calls each: not for every pass.
    pub async fn read(aws: &dyn AwsRead, path: &str, installation: &str) -> Self {
        let mut scan = Self::default();
        let (names, arns) = futures::join!(aws.roles_under(path), aws.policies_under(path));
        let names = scan.keep(names);
        let arns = scan.keep(arns);
        let ours = |tags: &Tags| {
            (tags.get(tags::OWNER).map(String::as_str) == Some(installation))
                .then(|| tags.get(tags::OBJECT).cloned())
                .flatten()
        };
        let roles: Vec<_> = stream::iter(names)
            .map(|name| async move { aws.role(&name).await })
            .buffered(CONCURRENCY)
            .collect()
            .await;
        for answer in roles {
            match answer {
                Ok(Some(role)) => {
                    if let Some(object) = ours(&role.tags) {
                        scan.roles.insert(object, role);
                    }
                }
                Ok(None) => {}
                Err(error) => scan.failures.push(error),
            }
        }
        let policies: Vec<_> = stream::iter(arns)
            .map(|arn| async move { aws.policy(&arn).await })
            .buffered(CONCURRENCY)
            .collect()
            .await;
        for answer in policies {
            match answer {
                Ok(Some(policy)) => {
                    if let Some(object) = ours(&policy.tags) {
                        scan.policies
                            .entry(object)
                            .or_default()
                            .insert(policy.arn.clone(), policy);
                    }
                }
                Ok(None) => {}
                Err(error) => scan.failures.push(error),
            }
        }
        scan
    }

    /// `namespace/name` of all documents that have something in IAM: git or the store may have lost them.
    pub fn objects(&self) -> BTreeSet<String> {
        self.roles
            .keys()
            .chain(self.policies.keys())
            .cloned()
            .collect()
    }

    /// What could not be read.
    pub fn failures(&self) -> &[CallError] {
        &self.failures
    }

    /// The same as gaps of no role in particular.
    pub fn gaps(&self) -> Vec<Gap> {
        let gaps = Gaps::of(StackId::Provider);
        self.failures.iter().for_each(|error| gaps.add(error));
        gaps.into_inner()
    }

    fn keep<T>(&mut self, answer: crate::aws::Result<Vec<T>>) -> Vec<T> {
        answer.unwrap_or_else(|error| {
            self.failures.push(error);
            Vec::new()
        })
    }
}
