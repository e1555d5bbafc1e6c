//! What all balancers share: the backend security group, and what the nodes' groups admit from it (aws-deploy §2.7,
//! §4.7). Only permissions that bear our mark and come from our group are ever revoked there. A group that the
//! configuration gives in the place of ours is only referred to.

use std::collections::BTreeSet;

use crate::{
    id::{Arn, OpId, ResourceId, ResourceKind, SecurityGroupId, StackId},
    model::{
        applied::{AppliedChange, ResourceUpdate},
        desired::{NetworkStack, Ref},
        digest::digest,
        net::{Permission, PermissionSource, SecurityGroup, SecurityGroupSpec},
        observed::ObservedNetwork,
        tags::NODE_PERMISSION_MARK,
    },
};

use super::{
    diff::{
        self, difference,
        net::{PermissionChanges, permission_text, permissions, resolve_permissions},
    },
    draft::{Draft, because, code, reason, removed, replacing},
    op::{Action, Cause},
};

/// The shared network as found.
pub struct Network<'a> {
    desired: Option<&'a NetworkStack>,
    observed: &'a ObservedNetwork,
    /// The group that is kept.
    backend: Option<&'a SecurityGroup>,
    /// Others of the same marks.
    surplus: Vec<&'a SecurityGroup>,
    /// Operations that revoke.
    revoked: BTreeSet<OpId>,
}

impl<'a> Network<'a> {
    /// `None` when nobody looked.
    pub fn find(draft: &Draft<'a>) -> Option<Self> {
        let observed = draft.inputs.observed.network.as_ref()?;
        let recorded = draft
            .applied(&ResourceId::backend_security_group())
            .and_then(|applied| applied.arn.as_ref());
        // Oldest first, as observed: the recorded one wins.
        let desired = draft.inputs.desired.network.as_ref();
        // The given one may well bear our marks, if LBC made it, or we did.
        let given = desired.and_then(|desired| desired.given_group.as_ref());
        let found: Vec<&SecurityGroup> = observed
            .backend_groups
            .iter()
            .filter(|live| given != Some(&live.id))
            .collect();
        let backend = found
            .iter()
            .find(|live| recorded.is_some_and(|arn| arn.as_str() == live.id.as_str()))
            .or_else(|| found.first())
            .copied();
        let surplus = found
            .into_iter()
            .filter(|live| backend.is_none_or(|backend| backend.id != live.id))
            .collect();
        Some(Self {
            desired,
            observed,
            backend,
            surplus,
            revoked: BTreeSet::new(),
        })
    }

    /// Tells the draft that the backend group exists.
    pub fn register(&self, draft: &mut Draft<'a>) {
        if let Some(live) = self.backend {
            let arn = Arn::new(live.id.as_str());
            draft
                .known
                .insert(ResourceId::backend_security_group(), arn);
        }
    }

    /// What widens: before any balancer needs it.
    pub fn build(&mut self, draft: &mut Draft<'a>) {
        let Some(desired) = self.desired else { return };
        if let Some(spec) = &desired.backend_group {
            self.build_backend(draft, spec);
        }
        self.authorize(draft, desired);
    }

    fn build_backend(&self, draft: &mut Draft<'a>, spec: &'a SecurityGroupSpec) {
        let id = ResourceId::backend_security_group();
        let digest = digest(spec);
        let first = draft.ops.len();
        match self.backend {
            Some(live) => self.mend_backend(draft, spec, live, &digest),
            None => {
                let cause = draft.cause(&id, &digest, false);
                let action = Action::CreateSecurityGroup {
                    id: id.clone(),
                    spec: spec.clone(),
                };
                draft.create(&id, action, reason(cause, None), []);
            }
        }
        let update = ResourceUpdate {
            arn: self.backend.map(|live| Arn::new(live.id.as_str())),
            digest: Some(digest),
            tags: replacing(&spec.tags, draft.applied(&id).map(|applied| &applied.tags)),
            ..ResourceUpdate::default()
        };
        draft.note_resource(&id, first, update);
    }

    fn mend_backend(
        &self,
        draft: &mut Draft<'a>,
        spec: &SecurityGroupSpec,
        live: &SecurityGroup,
        digest: &str,
    ) {
        let id = ResourceId::backend_security_group();
        let cause = draft.cause(&id, digest, true);
        let applied = draft
            .applied(&id)
            .map(|applied| applied.tags.clone())
            .unwrap_or_default();
        let changes = diff::tags(&spec.tags, &live.tags, &applied);
        if !changes.set.is_empty() {
            let action = Action::TagSecurityGroup {
                group: live.id.clone(),
                tags: changes.set.clone(),
            };
            draft.op(&id, action, because(cause, None, changes.added()), []);
        }
        if !changes.remove.is_empty() {
            let action = Action::UntagSecurityGroup {
                group: live.id.clone(),
                keys: changes.remove.clone(),
            };
            draft.op(&id, action, because(cause, None, changes.removed()), []);
        }
    }

    fn authorize(&self, draft: &mut Draft<'a>, desired: &NetworkStack) {
        for (group, wanted) in &desired.node_permissions {
            let Some(live) = self.observed.node_groups.get(group) else {
                let message = format!("the nodes' security group {group} was not read");
                let id = node_group_id(group);
                let release = "tried again with the next pass";
                draft.hold(
                    &StackId::Network,
                    Some(id),
                    code::READ_FAILED,
                    message,
                    release,
                );
                continue;
            };
            let id = node_group_id(group);
            let digest = digest(wanted);
            let first = draft.ops.len();
            let changes = self.changes(draft, wanted, group, live);
            if !changes.authorize.is_empty() {
                let cause = permission_cause(draft, &id, &digest);
                let differences = changes
                    .authorize
                    .iter()
                    .map(|wanted| difference("permission", None, permission_text(wanted)))
                    .collect();
                let needs = draft
                    .creators
                    .get(&ResourceId::backend_security_group())
                    .copied();
                let action = Action::AuthorizeIngress {
                    group: Ref::Known(group.clone()),
                    permissions: changes.authorize,
                };
                draft.op(&id, action, because(cause, None, differences), needs);
            }
            let update = ResourceUpdate {
                arn: Some(Arn::new(group.as_str())),
                digest: Some(digest),
                // Nothing else would tell later that what comes from there is ours to revoke.
                attach: desired.given_group.iter().map(as_arn).collect(),
                ..ResourceUpdate::default()
            };
            draft.note_resource(&id, first, update);
        }
    }

    fn changes(
        &self,
        draft: &Draft<'a>,
        wanted: &[Permission],
        group: &SecurityGroupId,
        live: &SecurityGroup,
    ) -> PermissionChanges {
        let wanted = resolve_permissions(wanted, &draft.known);
        permissions(&wanted, &live.ingress, |permission| {
            self.is_ours(draft, group, permission)
        })
    }

    /// Our mark, and from one of our groups or one that was given: another cluster's controller marks its permissions
    /// alike.
    fn is_ours(&self, draft: &Draft<'a>, group: &SecurityGroupId, permission: &Permission) -> bool {
        let PermissionSource::SecurityGroup(Ref::Known(source)) = &permission.source else {
            return false;
        };
        let given = self
            .desired
            .and_then(|desired| desired.given_group.as_ref());
        let was_given = || {
            draft
                .applied(&node_group_id(group))
                .is_some_and(|applied| applied.attached.contains(&as_arn(source)))
        };
        let mut made = self.observed.backend_groups.iter();
        let from_ours = given == Some(source) || made.any(|live| live.id == *source) || was_given();
        from_ours && permission.description == NODE_PERMISSION_MARK
    }

    /// What narrows: after everything that took traffic that way. `users` are groups that still need what git no longer
    /// asks for.
    pub fn revoke(&mut self, draft: &mut Draft<'a>, users: &[String]) {
        let none = Vec::new();
        for (group, live) in &self.observed.node_groups {
            let wanted = self
                .desired
                .and_then(|desired| desired.node_permissions.get(group));
            let wanted_now = wanted.unwrap_or(&none);
            let surplus = self.changes(draft, wanted_now, group, live).revoke;
            if surplus.is_empty() {
                continue;
            }
            let id = node_group_id(group);
            if let Some((code, why)) = self.keep(draft, users) {
                let texts = diff::joined(surplus.iter().map(permission_text));
                let message = format!("{group} keeps {texts}: {why}");
                let release = "done by a later pass";
                draft.hold(&StackId::Network, Some(id), code, message, release);
                continue;
            }
            let cause = match wanted {
                Some(wanted) => permission_cause(draft, &id, &digest(wanted)),
                None => Cause::Removed,
            };
            let differences = surplus
                .iter()
                .map(|live| difference("permission", permission_text(live), None))
                .collect();
            // Authorized before revoked, and not while something still sends that way (lessons C8).
            let needs = draft.ops_where(|op| {
                matches!(
                    op.action,
                    Action::AuthorizeIngress { .. }
                        | Action::DeleteLoadBalancer { .. }
                        | Action::DeregisterTargets { .. }
                        | Action::CreateRule { .. }
                        | Action::ModifyRule { .. }
                        | Action::DeleteRule { .. }
                )
            });
            let left = self.left(&surplus);
            let action = Action::RevokeIngress {
                group: group.clone(),
                permissions: surplus,
            };
            let op = draft.op(&id, action, because(cause, None, differences), needs);
            if wanted.is_none() && draft.applied(&id).is_some() {
                draft.record(op, AppliedChange::RemoveResource(id));
            } else if draft
                .applied(&id)
                .is_some_and(|applied| !applied.attached.is_disjoint(&left))
            {
                let update = ResourceUpdate {
                    detach: left,
                    ..ResourceUpdate::default()
                };
                draft.record(op, AppliedChange::UpdateResource(id, update));
            }
            self.revoked.insert(op);
        }
    }

    /// Groups from which nothing is admitted any more, since another was given.
    fn left(&self, revoked: &[Permission]) -> BTreeSet<Arn> {
        let given = self
            .desired
            .and_then(|desired| desired.given_group.as_ref());
        revoked
            .iter()
            .filter_map(|permission| match &permission.source {
                PermissionSource::SecurityGroup(Ref::Known(source)) => Some(source),
                _ => None,
            })
            .filter(|source| given != Some(source))
            .map(as_arn)
            .collect()
    }

    /// Why nothing may be revoked now.
    fn keep(&self, draft: &Draft<'a>, users: &[String]) -> Option<(&'static str, String)> {
        if !users.is_empty() {
            return Some((
                code::STILL_IN_USE,
                format!("still used by {}", users.join(", ")),
            ));
        }
        let desired = self.desired?;
        if !desired.hold_revokes.is_empty() {
            return Some((code::WAITING, diff::joined(&desired.hold_revokes)));
        }
        if !draft.inputs.options.network_quiet {
            return Some((
                code::WAITING,
                "it has not been quiet for long enough".to_owned(),
            ));
        }
        None
    }

    fn makes_one(&self) -> bool {
        self.desired
            .is_some_and(|desired| desired.backend_group.is_some())
    }

    /// Why our group may not be deleted now, though nobody is to use it.
    fn stays(&self, draft: &Draft<'a>, users: &[String]) -> Option<String> {
        if !users.is_empty() {
            return Some(format!("still used by {}", users.join(", ")));
        }
        if !draft.inputs.options.allow_prune {
            return Some("deletes wait for the commit's trailer".to_owned());
        }
        // Another was given in its place: balancers that wait still have it, and nodes admit it until that is revoked.
        self.desired
            .and_then(|_| self.keep(draft, users))
            .map(|(_, why)| why)
    }

    /// The backend group goes with its last user (decision 23), duplicates of it at any time.
    pub fn drop_groups(&self, draft: &mut Draft<'a>, users: &[String]) {
        let id = ResourceId::backend_security_group();
        let recorded = draft.applied(&id).and_then(|applied| applied.arn.clone());
        let mut leaving: Vec<(ResourceId, &SecurityGroup, Cause)> = self
            .surplus
            .iter()
            // A second one that we did not record may be somebody's who uses the same marks.
            .filter(|live| {
                self.makes_one() && self.backend.is_some_and(|kept| kept.name == live.name)
            })
            .map(|live| {
                let name = format!("{}~{}", id.name, live.id);
                let duplicate =
                    ResourceId::new(StackId::Network, ResourceKind::SecurityGroup, name);
                (duplicate, *live, Cause::Unrecorded)
            })
            .collect();
        if let (false, Some(live)) = (self.makes_one(), self.backend) {
            let ours = recorded
                .as_ref()
                .is_some_and(|arn| arn.as_str() == live.id.as_str());
            if !ours {
                draft.foreign.push(super::op::Foreign {
                    stack: StackId::Network,
                    what: format!("backend security group {} that we did not make", live.name),
                    id: live.id.to_string(),
                });
            } else if let Some(why) = self.stays(draft, users) {
                let message = format!("security group {} stays: {why}", live.name);
                let release = "deleted with its last user";
                draft.hold(
                    &StackId::Network,
                    Some(id.clone()),
                    code::STILL_IN_USE,
                    message,
                    release,
                );
            } else {
                leaving.push((id.clone(), live, Cause::Removed));
            }
        }
        let needs = draft.ops_where(|op| {
            matches!(
                op.action,
                Action::DeleteLoadBalancer { .. }
                    | Action::SetSecurityGroups { .. }
                    | Action::RevokeIngress { .. }
                    | Action::DeleteSecurityGroup { .. }
            )
        });
        for (id, live, cause) in leaving {
            let reason = match cause {
                Cause::Removed => removed(),
                cause => reason(cause, None),
            };
            let action = Action::DeleteSecurityGroup {
                group: live.id.clone(),
            };
            draft.op(&id, action, reason, needs.iter().copied());
        }
        self.forget_stale(draft);
    }

    /// What the store knows of the network and nothing wants or shows any more.
    fn forget_stale(&self, draft: &mut Draft<'a>) {
        let wanted = |id: &ResourceId| match self.desired {
            Some(desired) => {
                *id == ResourceId::backend_security_group()
                    && (desired.backend_group.is_some() || self.backend.is_some())
                    || desired
                        .node_permissions
                        .keys()
                        .any(|group| node_group_id(group) == *id)
            }
            None => *id == ResourceId::backend_security_group() && self.backend.is_some(),
        };
        let stale: Vec<ResourceId> = draft
            .inputs
            .applied
            .resources
            .keys()
            .filter(|id| id.stack == StackId::Network && !wanted(id))
            .filter(|id| !draft.ops.iter().any(|op| op.resource == **id))
            .filter(|id| {
                !draft
                    .held
                    .iter()
                    .any(|held| held.resource.as_ref() == Some(*id))
            })
            .cloned()
            .collect();
        for id in stale {
            draft.note(&StackId::Network, AppliedChange::RemoveResource(id));
        }
    }
}

/// The permissions that we keep in one of the nodes' groups.
fn node_group_id(group: &SecurityGroupId) -> ResourceId {
    ResourceId::new(
        StackId::Network,
        ResourceKind::SecurityGroup,
        group.as_str(),
    )
}

fn as_arn(group: &SecurityGroupId) -> Arn {
    Arn::new(group.as_str())
}

/// Ranges follow node ports and nodes; a hand's change is told by what we asked for last.
fn permission_cause(draft: &Draft<'_>, id: &ResourceId, digest: &str) -> Cause {
    match draft.applied(id) {
        Some(applied) if applied.digest == digest => Cause::Drift,
        Some(_) => Cause::Followed,
        None => Cause::Added,
    }
}
