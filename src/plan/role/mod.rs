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
        net::Tags,
        observed::ObservedRole,
        policy::same_document,
        tags,
    },
};

use super::{
    diff::{
        self, difference,
        iam::{RoleChanges, document_difference},
    },
    draft::{Draft, because, code, reason, replacing},
    group::owner_hints,
    op::{Action, Cause},
};

mod policy;
mod removal;

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

/// What the roles may rely on.
enum Provider {
    Stands,
    Comes(BTreeSet<OpId>),
    Missing(String),
}

/// The provider is completed, never changed otherwise and never deleted.
fn provider(draft: &mut Draft<'_>) -> Provider {
    let inputs = draft.inputs;
    let stack = StackId::Provider;
    let (Some(desired), true) = (&inputs.desired.provider, draft.in_scope(&stack)) else {
        return Provider::Stands;
    };
    if draft.block_on_waiting(&stack) || draft.block_on_gap(&stack) {
        return Provider::Missing("the OIDC provider could not be read".to_owned());
    }
    let Some(observed) = &inputs.observed.provider else {
        return Provider::Stands;
    };
    let spec = &desired.spec;
    let id = ResourceId::provider();
    let digest = digest(spec);
    let first = draft.ops.len();
    let missing: Vec<&String> = match &observed.provider {
        Some(live) => spec.client_ids.difference(&live.client_ids).collect(),
        None => Vec::new(),
    };
    if !spec.ensure && (observed.provider.is_none() || !missing.is_empty()) {
        let message = match &observed.provider {
            None => format!("IAM has no OIDC provider for {}", spec.url),
            Some(_) => format!(
                "the OIDC provider {} lacks the audience {}",
                spec.arn,
                diff::joined(missing)
            ),
        };
        let release = "create it, or allow albsync to in its configuration";
        draft.block(&stack, code::PROVIDER_MISSING, message.clone(), release);
        return Provider::Missing(message);
    }
    match &observed.provider {
        None => {
            let cause = draft.cause(&id, &digest, false);
            let action = Action::CreateOidcProvider {
                id: id.clone(),
                spec: spec.clone(),
            };
            draft.create(&id, action, reason(cause, None), []);
        }
        Some(live) => {
            let cause = draft.cause(&id, &digest, true);
            for client_id in missing {
                let difference = difference("audience", None, client_id.clone());
                let action = Action::AddClientId {
                    provider: live.arn.clone(),
                    client_id: client_id.clone(),
                };
                draft.op(&id, action, because(cause, None, vec![difference]), []);
            }
        }
    }
    let update = ResourceUpdate {
        arn: Some(spec.arn.clone()),
        digest: Some(digest),
        ..ResourceUpdate::default()
    };
    draft.note_resource(&id, first, update);
    let ops = draft.since(first);
    if ops.is_empty() {
        Provider::Stands
    } else {
        Provider::Comes(ops)
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
    fn spec(&self) -> &RoleSpec {
        &self.wanted.role
    }

    fn id(&self) -> ResourceId {
        ResourceId::role(self.key)
    }

    fn policy_id(&self, name: &str) -> ResourceId {
        ResourceId::policy(self.key, name)
    }

    /// Whether the role may be written now; holds it otherwise.
    fn admit(&self, draft: &mut Draft<'_>, provider: &Provider) -> bool {
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

/// Owner and object tags equal the wanted ones (irsa §9.5 rule 1).
fn owned_by(live: &Tags, wanted: &Tags) -> bool {
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
