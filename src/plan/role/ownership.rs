//! Whose an IAM object is, and whether a role may be written now (irsa §9.5).

use crate::{
    model::{iam::Role, net::Tags, tags},
    plan::{
        draft::{Draft, code},
        group::owner_hints,
    },
};

use super::{Binding, Provider};

/// Whether a live IAM object is ours (irsa §9.5).
enum Ownership {
    Ours,
    /// Named by its unique id in git.
    Adopted,
    Foreign {
        code: &'static str,
        message: String,
        release: &'static str,
    },
}

impl Binding<'_> {
    /// Whether the role may be written now; holds it otherwise.
    pub(super) fn admit(&self, draft: &mut Draft<'_>, provider: &Provider) -> bool {
        if self.wanted.suspended {
            let release = "remove the annotation albsync.dev/suspend";
            draft.block(
                &self.stack,
                code::SUSPENDED,
                "suspended by its document",
                release,
            );
            return false;
        }
        if draft.block_on_waiting(&self.stack) || draft.block_on_gap(&self.stack) {
            return false;
        }
        if let Provider::Missing(why) = provider {
            draft.block(
                &self.stack,
                code::PROVIDER_MISSING,
                why.clone(),
                "once the provider stands",
            );
            return false;
        }
        if let Some(live) = &self.observed.role
            && let Ownership::Foreign {
                code,
                message,
                release,
            } = self.ownership(draft, live)
        {
            draft.block(&self.stack, code, message, release);
            return false;
        }
        for (name, spec) in &self.wanted.policies {
            let Some(live) = self.observed.policies.get(&spec.arn) else {
                continue;
            };
            if owned_by(&live.tags, &spec.tags) {
                continue;
            }
            let known = draft.applied(&self.policy_id(name)).is_some();
            let (code, message) = match known {
                true => (
                    code::OWNERSHIP_CONFLICT,
                    format!("policy {} lost our owner tags", live.arn),
                ),
                false => (
                    code::OWNERSHIP_CONFLICT,
                    format!(
                        "policy {} exists and is not ours ({})",
                        live.arn,
                        hints(&live.tags)
                    ),
                ),
            };
            draft.block(
                &self.stack,
                code,
                message,
                "delete it, or put the owner tags back",
            );
            return false;
        }
        true
    }

    fn ownership(&self, draft: &Draft<'_>, live: &Role) -> Ownership {
        let spec = self.spec();
        let recorded = draft
            .applied(&self.id())
            .and_then(|applied| applied.unique_id.as_ref());
        if live.arn != spec.arn {
            return Ownership::Foreign {
                code: code::REPLACEMENT_NEEDED,
                message: format!(
                    "role {} exists under the path {} and {} is wanted; a role's path never changes",
                    live.name, live.path, spec.path
                ),
                release: "give the role another name, or delete the live one",
            };
        }
        if let Some(recorded) = recorded.filter(|recorded| **recorded != live.role_id) {
            return Ownership::Foreign {
                code: code::REPLACED_OUT_OF_BAND,
                message: format!(
                    "role {} is {} and ours was {recorded}: somebody deleted and made it anew",
                    live.name, live.role_id
                ),
                release: "delete the live role, or adopt it by role.adopt.roleId",
            };
        }
        if owned_by(&live.tags, &spec.tags) {
            return Ownership::Ours;
        }
        if spec.adopt_role_id.as_deref() == Some(live.role_id.as_str()) {
            let kept_by_aws = live.path.starts_with("/aws-service-role/");
            let stack = live
                .tags
                .keys()
                .any(|key| key.starts_with("aws:cloudformation:"));
            if !kept_by_aws && !stack {
                return Ownership::Adopted;
            }
            return Ownership::Foreign {
                code: code::OWNERSHIP_CONFLICT,
                message: format!(
                    "role {} belongs to AWS or to a CloudFormation stack",
                    live.name
                ),
                release: "it cannot be taken over; choose another name",
            };
        }
        let message = match recorded {
            Some(_) => format!("role {} lost our owner tags", live.name),
            None => format!(
                "role {} exists and is not ours ({})",
                live.name,
                hints(&live.tags)
            ),
        };
        Ownership::Foreign {
            code: code::OWNERSHIP_CONFLICT,
            message,
            release: "put the owner tags back, adopt it by role.adopt.roleId, or choose another name",
        }
    }
}

/// Owner and object tags equal the wanted ones (irsa §9.5 rule 1).
pub(super) fn owned_by(live: &Tags, wanted: &Tags) -> bool {
    [tags::OWNER, tags::OBJECT]
        .iter()
        .all(|key| wanted.contains_key(*key) && live.get(*key) == wanted.get(*key))
}

/// Who seems to own an IAM object (irsa §9.5 rule 2).
fn hints(found: &Tags) -> String {
    let known = [
        ("aws:cloudformation:", "CloudFormation"),
        ("alpha.eksctl.io/", "eksctl"),
        ("services.k8s.aws/", "ACK"),
        ("albsync.dev/owner", "another albsync"),
    ];
    let owner = known
        .iter()
        .find(|(prefix, _)| found.keys().any(|key| key.starts_with(prefix)))
        .map(|(_, owner)| format!("it looks like {owner}'s; "));
    let terraform = found
        .keys()
        .any(|key| key.to_lowercase().contains("terraform"))
        || found
            .values()
            .any(|value| value.to_lowercase().contains("terraform"));
    let owner = owner.or_else(|| terraform.then(|| "it looks like Terraform's; ".to_owned()));
    format!("{}{}", owner.unwrap_or_default(), owner_hints(found))
}
