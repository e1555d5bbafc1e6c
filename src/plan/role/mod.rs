//! IAM roles for ServiceAccounts: provider → owned policies → role → permissions → settle (irsa §9.4, §9.5; lessons H1,
//! H2, H8). A role is never replaced for an edit; what is not provably ours is never written.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    id::{Arn, OpId, ResourceId, StackId},
    model::{
        applied::ResourceUpdate,
        desired::{Ref, RoleStack},
        digest::digest,
        iam::{PolicySpec, Role, RoleSpec},
        observed::ObservedRole,
        policy::same_document,
    },
};

use super::{
    diff::{
        self, difference,
        iam::{RoleChanges, document_difference},
    },
    draft::{Draft, because, code, reason, replacing},
    op::{Action, Cause},
};

mod ownership;
mod policy;
mod provider;
mod removal;

use ownership::owned_by;
use provider::{Provider, provider};

pub use removal::remove;

/// Inline policies of ours bear this prefix.
const INLINE_PREFIX: &str = "albsync-";

/// Plans the provider, then every role in scope.
pub fn prepare(draft: &mut Draft<'_>) {
    let provider = provider(draft);
    let inputs = draft.inputs;
    for (id, wanted) in &inputs.desired.roles {
        let stack = StackId::Role(id.clone());
        if !draft.in_scope(&stack) {
            continue;
        }
        let Some(observed) = inputs.observed.roles.get(id) else {
            // Nobody could look: whoever needs the role waits.
            draft.block_on_gap(&stack);
            continue;
        };
        let planned = Binding {
            key: id,
            stack,
            wanted,
            observed,
        };
        if planned.admit(draft, &provider) {
            planned.plan(draft, &provider);
        }
    }
}

/// One role as wanted and as found.
struct Binding<'a> {
    /// `namespace/name` of its document.
    key: &'a str,
    stack: StackId,
    wanted: &'a RoleStack,
    observed: &'a ObservedRole,
}

impl Binding<'_> {
    fn spec(&self) -> &RoleSpec {
        &self.wanted.role
    }

    fn id(&self) -> ResourceId {
        ResourceId::role(self.key)
    }

    fn policy_id(&self, name: &str) -> ResourceId {
        ResourceId::policy(self.key, name)
    }

    fn plan(&self, draft: &mut Draft<'_>, provider: &Provider) {
        let mut first = BTreeSet::new();
        if let Provider::Comes(ops) = provider {
            first.clone_from(ops);
        }
        let mut policies: BTreeMap<Arn, BTreeSet<OpId>> = BTreeMap::new();
        for (name, spec) in &self.wanted.policies {
            let ops = self.plan_policy(draft, name, spec);
            policies.insert(spec.arn.clone(), ops);
        }
        let start = draft.ops.len();
        let standing = match &self.observed.role {
            Some(live) => self.mend(draft, live),
            None => self.create(draft, &first),
        };
        let granted = self.grant(draft, &standing, &policies);
        let narrowed = self.narrow(draft, &granted);
        self.drop_policies(draft, &narrowed);
        self.settle(draft);
        self.note(draft, start);
    }

    /// Why the role is written; drift is reported only where the document says so.
    fn cause(&self, draft: &Draft<'_>) -> Cause {
        draft.cause(
            &self.id(),
            &digest(self.spec()),
            self.observed.role.is_some(),
        )
    }

    /// Adds an operation on the role, or reports it where drift is only reported.
    fn write(
        &self,
        draft: &mut Draft<'_>,
        action: Action,
        differences: Vec<super::op::Difference>,
        needs: impl IntoIterator<Item = OpId>,
    ) -> Option<OpId> {
        let cause = self.cause(draft);
        if self.spec().report_only && cause == Cause::Drift && self.observed.role.is_some() {
            let fields: Vec<&str> = differences.iter().map(|one| one.field.as_str()).collect();
            let message = format!("{} drifted: {}", self.spec().name, fields.join(", "));
            let release = "correct it by hand, or set driftPolicy: Correct";
            draft.hold(
                &self.stack,
                Some(self.id()),
                code::DRIFT_REPORTED,
                message,
                release,
            );
            return None;
        }
        let reason = because(cause, Some(&self.wanted.origin), differences);
        Some(draft.op(&self.id(), action, reason, needs))
    }

    fn create(&self, draft: &mut Draft<'_>, needs: &BTreeSet<OpId>) -> BTreeSet<OpId> {
        let id = self.id();
        let reason = reason(self.cause(draft), Some(&self.wanted.origin));
        let action = Action::CreateRole {
            id: id.clone(),
            spec: self.spec().clone(),
        };
        BTreeSet::from([draft.create(&id, action, reason, needs.iter().copied())])
    }

    /// Trust and boundary before permissions: narrowing before widening (irsa §9.4 step 3).
    fn mend(&self, draft: &mut Draft<'_>, live: &Role) -> BTreeSet<OpId> {
        let spec = self.spec();
        let role = spec.name.clone();
        let RoleChanges {
            trust,
            boundary,
            settings,
            extra_boundary,
        } = diff::iam::role(spec, live);
        let mut ops = Vec::new();
        if let Some(difference) = trust {
            let action = Action::UpdateAssumeRolePolicy {
                role: role.clone(),
                document: spec.trust.clone(),
            };
            ops.extend(self.write(draft, action, vec![difference], []));
        }
        if let (Some(difference), Some(wanted)) = (boundary, &spec.permissions_boundary) {
            let action = Action::PutPermissionsBoundary {
                role: role.clone(),
                boundary: wanted.clone(),
            };
            ops.extend(self.write(draft, action, vec![difference], []));
        }
        if let Some(extra) = extra_boundary {
            let message = format!("role {role} has the boundary {extra} that nobody declares");
            let release = "declare it in git, or remove it by hand";
            draft.hold(
                &self.stack,
                Some(self.id()),
                code::BOUNDARY_KEPT,
                message,
                release,
            );
        }
        if !settings.is_empty() {
            let action = Action::UpdateRole {
                role: role.clone(),
                description: spec.description.clone(),
                max_session_duration_seconds: spec.max_session_duration_seconds,
            };
            ops.extend(self.write(draft, action, settings, []));
        }
        let applied = draft
            .applied(&self.id())
            .map(|applied| applied.tags.clone());
        let changes = diff::tags(&spec.tags, &live.tags, &applied.unwrap_or_default());
        if !changes.set.is_empty() {
            let action = Action::TagRole {
                role: role.clone(),
                tags: changes.set.clone(),
            };
            // A denied tag call must not keep the role from its permissions (lessons H8).
            self.write(draft, action, changes.added(), []);
        }
        if !changes.remove.is_empty() {
            let action = Action::UntagRole {
                role,
                keys: changes.remove.clone(),
            };
            self.write(draft, action, changes.removed(), []);
        }
        ops.into_iter().collect()
    }

    /// Attaches and puts what is missing.
    fn grant(
        &self,
        draft: &mut Draft<'_>,
        standing: &BTreeSet<OpId>,
        policies: &BTreeMap<Arn, BTreeSet<OpId>>,
    ) -> BTreeSet<OpId> {
        let spec = self.spec();
        let mut granted = standing.clone();
        for wanted in self.attached() {
            let live = self.observed.role.as_ref();
            if live.is_some_and(|live| live.attached.contains(&wanted)) {
                continue;
            }
            let made = policies.get(&wanted).into_iter().flatten();
            let needs: BTreeSet<OpId> = standing.iter().chain(made).copied().collect();
            let difference = difference("attached policy", None, wanted.to_string());
            let action = Action::AttachRolePolicy {
                role: spec.name.clone(),
                policy: Ref::Known(wanted),
            };
            granted.extend(self.write(draft, action, vec![difference], needs));
        }
        for (name, document) in &spec.inline {
            let live = self
                .observed
                .role
                .as_ref()
                .and_then(|live| live.inline.get(name));
            if live.is_some_and(|live| same_document(live, document)) {
                continue;
            }
            let field = format!("inline policy {name}");
            let difference = match live {
                Some(_) => document_difference(field),
                None => difference(field, None, "the document in git".to_owned()),
            };
            let action = Action::PutRolePolicy {
                role: spec.name.clone(),
                name: name.clone(),
                document: document.clone(),
            };
            granted.extend(self.write(draft, action, vec![difference], standing.iter().copied()));
        }
        granted
    }

    /// Detaches and deletes the surplus, after what replaces it (irsa §9.4 step 4).
    fn narrow(&self, draft: &mut Draft<'_>, granted: &BTreeSet<OpId>) -> BTreeSet<OpId> {
        let spec = self.spec();
        let mut narrowed = granted.clone();
        let Some(live) = &self.observed.role else {
            return narrowed;
        };
        let wanted = self.attached();
        let ours = draft
            .applied(&self.id())
            .map(|applied| applied.attached.clone());
        let ours = ours.unwrap_or_default();
        for policy in live.attached.difference(&wanted) {
            if spec.additive && !ours.contains(policy) {
                continue;
            }
            let difference = difference("attached policy", policy.to_string(), None);
            let action = Action::DetachRolePolicy {
                role: spec.name.clone(),
                policy: policy.clone(),
            };
            narrowed.extend(self.write(draft, action, vec![difference], granted.iter().copied()));
        }
        for name in live
            .inline
            .keys()
            .filter(|name| !spec.inline.contains_key(*name))
        {
            if spec.additive && !name.starts_with(INLINE_PREFIX) {
                continue;
            }
            let difference = difference(
                format!("inline policy {name}"),
                "a document".to_owned(),
                None,
            );
            let action = Action::DeleteRolePolicy {
                role: spec.name.clone(),
                name: name.clone(),
            };
            narrowed.extend(self.write(draft, action, vec![difference], granted.iter().copied()));
        }
        narrowed
    }

    /// A role that is new, or newly trusts somebody, is not assumable at once (irsa §9.4 step 5).
    fn settle(&self, draft: &mut Draft<'_>) {
        let seconds = draft.inputs.options.settle_seconds;
        let fresh = draft.ops_where(|op| {
            op.stack == self.stack
                && matches!(
                    op.action,
                    Action::CreateRole { .. } | Action::UpdateAssumeRolePolicy { .. }
                )
        });
        if fresh.is_empty() || seconds == 0 {
            return;
        }
        let needs = draft.ops_where(|op| op.stack == self.stack);
        let reason = reason(self.cause(draft), Some(&self.wanted.origin));
        let action = Action::Settle {
            role: self.spec().name.clone(),
            seconds,
        };
        draft.op(&self.id(), action, reason, needs);
    }

    fn note(&self, draft: &mut Draft<'_>, start: usize) {
        let id = self.id();
        let spec = self.spec();
        let applied = draft.applied(&id);
        let before = applied
            .map(|applied| applied.attached.clone())
            .unwrap_or_default();
        let wanted = self.attached();
        let update = ResourceUpdate {
            arn: Some(spec.arn.clone()),
            unique_id: self.observed.role.as_ref().map(|live| live.role_id.clone()),
            digest: Some(digest(spec)),
            tags: replacing(&spec.tags, applied.map(|applied| &applied.tags)),
            detach: before.difference(&wanted).cloned().collect(),
            attach: wanted,
            retain: Some(self.wanted.retain),
            ..ResourceUpdate::default()
        };
        draft.note_resource(&id, start, update);
    }

    /// Wanted managed policies; owned ones by the ARN that they have or will have.
    fn attached(&self) -> BTreeSet<Arn> {
        let owned = |name: &str| -> Option<&PolicySpec> {
            let policies = &self.wanted.policies;
            policies
                .get(name)
                .or_else(|| policies.values().find(|policy| policy.name == name))
        };
        self.spec()
            .attached
            .iter()
            .filter_map(|reference| match reference {
                Ref::Known(arn) => Some(arn.clone()),
                Ref::Output(id) => owned(&id.name).map(|policy| policy.arn.clone()),
            })
            .collect()
    }
}
