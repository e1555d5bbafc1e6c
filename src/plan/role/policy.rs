//! Customer managed policies that a role owns (irsa §9.4 step 2 and R6).

use std::collections::BTreeSet;

use crate::{
    id::{OpId, ResourceId},
    model::{
        applied::ResourceUpdate,
        digest::digest,
        iam::{Policy, PolicySpec},
        policy::same_document,
    },
    plan::{
        diff::{self, iam::document_difference},
        draft::{Draft, because, code, reason, replacing},
        op::{Action, Cause, Reason},
    },
};

use super::{Binding, owned_by};

/// Versions that IAM keeps of one policy (irsa §6.4).
const VERSION_QUOTA: usize = 5;

impl Binding<'_> {
    /// Makes the policy as wanted; gives the operations that must precede its attachment.
    pub(super) fn plan_policy(
        &self,
        draft: &mut Draft<'_>,
        name: &str,
        spec: &PolicySpec,
    ) -> BTreeSet<OpId> {
        let id = self.policy_id(name);
        let digest = digest(spec);
        let first = draft.ops.len();
        let live = self.observed.policies.get(&spec.arn);
        let cause = draft.cause(&id, &digest, live.is_some());
        let origin = Some(&self.wanted.origin);
        let held = match live {
            None => {
                let action = Action::CreatePolicy {
                    id: id.clone(),
                    spec: spec.clone(),
                };
                draft.create(&id, action, reason(cause, origin), []);
                false
            }
            Some(live) => {
                let report = self.spec().report_only && cause == Cause::Drift;
                let differs = !same_document(&spec.document, &live.document);
                if differs && report {
                    let message = format!("policy {} drifted", live.name);
                    let release = "correct it by hand, or set driftPolicy: Correct";
                    draft.hold(
                        &self.stack,
                        Some(id.clone()),
                        code::DRIFT_REPORTED,
                        message,
                        release,
                    );
                } else if differs {
                    let reason =
                        because(cause, origin, vec![document_difference("policy document")]);
                    replace_document(draft, &id, spec, live, &reason);
                }
                let applied = draft.applied(&id).map(|applied| applied.tags.clone());
                let changes = diff::tags(&spec.tags, &live.tags, &applied.unwrap_or_default());
                if !changes.set.is_empty() && !report {
                    let action = Action::TagPolicy {
                        arn: live.arn.clone(),
                        tags: changes.set.clone(),
                    };
                    draft.op(&id, action, because(cause, origin, changes.added()), []);
                }
                if !changes.remove.is_empty() && !report {
                    let action = Action::UntagPolicy {
                        arn: live.arn.clone(),
                        keys: changes.remove.clone(),
                    };
                    draft.op(&id, action, because(cause, origin, changes.removed()), []);
                }
                differs && report
            }
        };
        if !held {
            let update = ResourceUpdate {
                arn: Some(spec.arn.clone()),
                digest: Some(digest),
                tags: replacing(&spec.tags, draft.applied(&id).map(|applied| &applied.tags)),
                retain: Some(self.wanted.retain),
                ..ResourceUpdate::default()
            };
            draft.note_resource(&id, first, update);
        }
        draft.since(first)
    }

    /// Deletes policies of ours that the role no longer declares, once they are detached.
    pub(super) fn drop_policies(&self, draft: &mut Draft<'_>, narrowed: &BTreeSet<OpId>) {
        for live in self.observed.policies.values() {
            let wanted = self
                .wanted
                .policies
                .values()
                .any(|policy| policy.arn == live.arn);
            if wanted || !owned_by(&live.tags, &self.spec().tags) {
                continue;
            }
            let id = recorded(draft, self, live);
            let attached_here = self
                .observed
                .role
                .as_ref()
                .is_some_and(|role| role.attached.contains(&live.arn));
            if live.attachments > i32::from(attached_here) {
                let message = format!("policy {} is attached to something else as well", live.arn);
                let release = "detach it there";
                draft.hold(&self.stack, Some(id), code::POLICY_IN_USE, message, release);
                continue;
            }
            if !draft.inputs.options.allow_prune {
                let message = format!("policy {} left git and stays", live.name);
                let release = "allow the deletes by the commit's trailer";
                draft.hold(&self.stack, Some(id), code::PRUNE_LIMIT, message, release);
                continue;
            }
            delete_policy(
                draft,
                &id,
                live,
                narrowed,
                &reason(Cause::Removed, Some(&self.wanted.origin)),
            );
        }
    }
}

fn recorded(draft: &Draft<'_>, binding: &Binding<'_>, live: &Policy) -> ResourceId {
    let kind = crate::id::ResourceKind::Policy;
    draft
        .recorded_as(&binding.stack, kind, live.arn.as_str())
        .cloned()
        .unwrap_or_else(|| binding.policy_id(&live.name))
}

/// A new default version; the oldest makes room where IAM keeps no more.
fn replace_document(
    draft: &mut Draft<'_>,
    id: &ResourceId,
    spec: &PolicySpec,
    live: &Policy,
    reason: &Reason,
) {
    let mut needs = Vec::new();
    if live.versions.len() >= VERSION_QUOTA {
        let oldest = live
            .versions
            .iter()
            .find(|version| **version != live.default_version);
        if let Some(oldest) = oldest {
            let action = Action::DeletePolicyVersion {
                arn: live.arn.clone(),
                version: oldest.clone(),
            };
            needs.push(draft.op(id, action, reason.clone(), []));
        }
    }
    let action = Action::CreatePolicyVersion {
        arn: live.arn.clone(),
        document: spec.document.clone(),
    };
    draft.op(id, action, reason.clone(), needs);
}

/// Other versions first: IAM refuses to delete a policy that has any (irsa R6).
pub(super) fn delete_policy(
    draft: &mut Draft<'_>,
    id: &ResourceId,
    live: &Policy,
    needs: &BTreeSet<OpId>,
    reason: &Reason,
) {
    let mut needs = needs.clone();
    for version in live
        .versions
        .iter()
        .filter(|version| **version != live.default_version)
    {
        let action = Action::DeletePolicyVersion {
            arn: live.arn.clone(),
            version: version.clone(),
        };
        let op = draft.op(id, action, reason.clone(), needs.iter().copied());
        needs.insert(op);
    }
    draft.op(
        id,
        Action::DeletePolicy {
            arn: live.arn.clone(),
        },
        reason.clone(),
        needs,
    );
}
