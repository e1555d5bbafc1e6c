//! Listeners of the kept balancer, matched by port (aws-deploy §2.2).

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    id::{Arn, OpId, ResourceId},
    model::{
        applied::ResourceUpdate,
        attribute::AttributeKind,
        desired::{GroupStack, ListenerStack, Ref},
        digest::digest,
        elb::{Listener, ListenerSpec, RuleAction, Tls},
        quota::Limit,
    },
    problem::Origin,
};

use super::{
    super::{
        diff::{self, difference, elb, words},
        draft::{Draft, because, reason, removed},
        op::{Action, Cause, Difference},
        peak::Standing,
    },
    Group, update,
};

impl<'a> Group<'a> {
    pub(super) fn build_listeners(&self, draft: &mut Draft<'a>, desired: &GroupStack) {
        let first = draft.ops.len();
        for (port, wanted) in &desired.listeners {
            let live = self.listeners.get(port).copied();
            match live {
                // Rules may sign in only while the listener is encrypted: they lose that before it becomes plain.
                Some(live) if live.protocol == "HTTPS" && wanted.spec.protocol == "HTTP" => {
                    let rules = draft.ops.len();
                    self.build_rules(draft, wanted, Some(live), None);
                    let rules = draft.since(rules);
                    self.mend_listener(draft, wanted, live, &rules);
                }
                Some(live) => {
                    let modified = self.mend_listener(draft, wanted, live, &BTreeSet::new());
                    let first = modified.filter(|_| live.protocol != wanted.spec.protocol);
                    self.build_rules(draft, wanted, Some(live), first);
                }
                None => {
                    self.create_listener(draft, wanted);
                    self.build_rules(draft, wanted, None, None);
                }
            }
        }
        let others = draft.since(first);
        for (port, live) in &self.listeners {
            if desired.listeners.contains_key(port) {
                continue;
            }
            let id = ResourceId::listener(self.id, *port);
            let action = Action::DeleteListener {
                arn: live.arn.clone(),
            };
            let delete = draft.op(&id, action, removed(), others.iter().copied());
            self.forget_rules(draft, delete, live);
        }
    }

    fn create_listener(&self, draft: &mut Draft<'a>, wanted: &ListenerStack) {
        let id = ResourceId::listener(self.id, wanted.spec.port);
        let digest = digest(&wanted.spec);
        let first = draft.ops.len();
        let cause = draft.cause(&id, &digest, false);
        let spec = resolved(draft, &wanted.spec);
        let balancer = ResourceId::load_balancer(self.id);
        let mut needs = self.fillers_of(draft, &spec.default_actions);
        needs.extend(draft.creators.get(&balancer));
        let load_balancer = elb::resolve(&Ref::Output(balancer), &draft.known);
        let origin = Some(&wanted.origin);
        let action = Action::CreateListener {
            id: id.clone(),
            load_balancer,
            spec,
        };
        let create = draft.create(&id, action, reason(cause, origin), needs);
        let offered = wanted
            .spec
            .tls
            .as_ref()
            .map(|tls| elb::certificates(tls, &Tls::default()).0)
            .unwrap_or_default();
        if !offered.is_empty() {
            let action = Action::AddListenerCertificates {
                arn: Ref::Output(id.clone()),
                certificates: offered,
            };
            draft.op(&id, action, reason(cause, origin), [create]);
        }
        if !wanted.spec.attributes.is_empty() {
            let action = Action::ModifyListenerAttributes {
                arn: Ref::Output(id.clone()),
                attributes: wanted.spec.attributes.clone(),
            };
            let set = diff::declared(&wanted.spec.attributes);
            draft.op(&id, action, because(cause, origin, set), [create]);
        }
        let update = update(
            draft,
            &id,
            None,
            digest,
            &wanted.spec.attributes,
            &wanted.spec.tags,
        );
        let update = with_clients(draft, &id, update, &wanted.spec.default_actions);
        draft.note_resource(&id, first, update);
    }

    /// Returns the operation that modifies the listener itself, which waits for `before`.
    fn mend_listener(
        &self,
        draft: &mut Draft<'a>,
        wanted: &ListenerStack,
        live: &Listener,
        before: &BTreeSet<OpId>,
    ) -> Option<OpId> {
        let id = ResourceId::listener(self.id, wanted.spec.port);
        let digest = digest(&wanted.spec);
        let first = draft.ops.len();
        let cause = draft.cause(&id, &digest, true);
        let origin = Some(&wanted.origin);
        let spec = resolved(draft, &wanted.spec);
        self.mend_tags(
            draft,
            &id,
            &live.arn,
            (&spec.tags, &live.tags),
            (cause, origin),
        );
        let modified = self.mend_encryption(draft, &id, (&spec, live), (cause, origin), before);
        let applied = draft
            .applied(&id)
            .map(|applied| applied.attributes.clone())
            .unwrap_or_default();
        let changes = diff::attributes(
            AttributeKind::Listener,
            &wanted.spec.attributes,
            &live.attributes,
            &applied,
        );
        if !changes.set.is_empty() {
            let action = Action::ModifyListenerAttributes {
                arn: Ref::Known(live.arn.clone()),
                attributes: changes.set,
            };
            draft.op(&id, action, because(cause, origin, changes.differences), []);
        }
        let update = update(
            draft,
            &id,
            Some(live.arn.as_str()),
            digest,
            &wanted.spec.attributes,
            &wanted.spec.tags,
        );
        let update = with_clients(draft, &id, update, &wanted.spec.default_actions);
        draft.note_resource(&id, first, update);
        modified
    }

    /// Protocol, default action and certificates: what is offered newly comes first, then what is the default, then what
    /// is no longer offered, so that no name is ever without its certificate (aws-deploy §2.3).
    fn mend_encryption(
        &self,
        draft: &mut Draft<'a>,
        id: &ResourceId,
        (spec, live): (&ListenerSpec, &Listener),
        (cause, origin): (Cause, Option<&Origin>),
        rules: &BTreeSet<OpId>,
    ) -> Option<OpId> {
        let mut modified = None;
        let plain = Tls::default();
        let live_tls = match live.protocol == spec.protocol {
            true => &live.tls,
            // What a plain listener once had is gone.
            false => &plain,
        };
        let (offered, withdrawn) = match &spec.tls {
            Some(tls) => elb::certificates(tls, live_tls),
            None => Default::default(),
        };
        let differences = self.listener_differences(draft, id, spec, live);
        // At the limit what goes makes room first, or nothing ever fits (aws-deploy §2.3, lessons A10).
        let crowded = self.certificate_overflow(draft, live, &offered);
        let (first, withdrawn): (Vec<_>, Vec<_>) = withdrawn
            .into_iter()
            .enumerate()
            .partition(|(index, _)| *index < crowded);
        let of = |certificates: Vec<(usize, Arn)>| -> BTreeSet<Arn> {
            certificates.into_iter().map(|(_, arn)| arn).collect()
        };
        let remove = |draft: &mut Draft<'a>, withdrawn: BTreeSet<Arn>, needs: BTreeSet<OpId>| {
            if withdrawn.is_empty() {
                return None;
            }
            let what = difference("certificates", diff::joined(&withdrawn), None);
            let action = Action::RemoveListenerCertificates {
                arn: live.arn.clone(),
                certificates: withdrawn,
            };
            Some(draft.op(id, action, because(cause, origin, vec![what]), needs))
        };
        let mut before = BTreeSet::new();
        before.extend(remove(draft, of(first), BTreeSet::new()));
        let add = |draft: &mut Draft<'a>, needs: &BTreeSet<OpId>| -> Option<OpId> {
            if offered.is_empty() {
                return None;
            }
            let action = Action::AddListenerCertificates {
                arn: Ref::Known(live.arn.clone()),
                certificates: offered.clone(),
            };
            let what = difference("certificates", None, diff::joined(&offered));
            Some(draft.op(
                id,
                action,
                because(cause, origin, vec![what]),
                needs.iter().copied(),
            ))
        };
        let takes_certificates = live.protocol == spec.protocol;
        if takes_certificates {
            let needs = before.clone();
            before.extend(add(draft, &needs));
        }
        if !differences.is_empty() {
            let mut needs = self.fillers_of(draft, &spec.default_actions);
            needs.extend(&before);
            needs.extend(rules);
            let action = Action::ModifyListener {
                arn: live.arn.clone(),
                spec: spec.clone(),
            };
            let op = draft.op(id, action, because(cause, origin, differences), needs);
            before.insert(op);
            modified = Some(op);
        }
        if !takes_certificates {
            let needs = before.clone();
            before.extend(add(draft, &needs));
        }
        remove(draft, of(withdrawn), before);
        modified
    }

    /// How many of the balancer's certificates must go before these come, after all that is planned for it already.
    fn certificate_overflow(
        &self,
        draft: &Draft<'a>,
        live: &Listener,
        offered: &BTreeSet<Arn>,
    ) -> usize {
        let Some(most) = Limit::Certificates.most(&draft.inputs.options.limits) else {
            return 0;
        };
        if offered.is_empty() {
            return 0;
        }
        let mut standing = Standing::of(self.observed);
        for op in draft.ops.iter().filter(|op| op.stack == self.stack) {
            standing.apply(&op.action);
        }
        standing.apply(&Action::AddListenerCertificates {
            arn: Ref::Known(live.arn.clone()),
            certificates: offered.clone(),
        });
        let over = standing.now().get(Limit::Certificates).saturating_sub(most);
        usize::try_from(over).unwrap_or(usize::MAX)
    }

    /// What one ModifyListener mends.
    fn listener_differences(
        &self,
        draft: &Draft<'a>,
        id: &ResourceId,
        spec: &ListenerSpec,
        live: &Listener,
    ) -> Vec<Difference> {
        let mut differences = Vec::new();
        if live.protocol != spec.protocol {
            differences.push(difference(
                "protocol",
                live.protocol.clone(),
                spec.protocol.clone(),
            ));
        }
        if !elb::same_actions(&spec.default_actions, &live.default_actions) {
            let names = self.target_group_names();
            let actions = words::actions(&live.default_actions, &spec.default_actions, &names);
            differences.extend(actions.into_iter().map(|mut difference| {
                difference.field = format!("default {}", difference.field);
                difference
            }));
        }
        differences.extend(elb::tls(spec.tls.as_ref(), &live.tls));
        differences.extend(client_differences(draft, id, &spec.default_actions));
        differences
    }

    /// What must be done before these actions may take traffic: their target groups made and filled, and the nodes
    /// reachable (decision 16; lessons C8).
    pub(super) fn fillers_of(&self, draft: &Draft<'a>, actions: &[RuleAction]) -> BTreeSet<OpId> {
        let groups: BTreeSet<ResourceId> = elb::forwarded(actions)
            .filter_map(|reference| match reference {
                Ref::Output(id) => Some(id.clone()),
                Ref::Known(arn) => self
                    .target_groups
                    .iter()
                    .find(|(_, live)| live.arn == *arn)
                    .map(|(name, _)| ResourceId::target_group(self.id, name)),
            })
            .collect();
        if groups.is_empty() {
            return BTreeSet::new();
        }
        groups
            .iter()
            .filter_map(|id| draft.fillers.get(id))
            .flatten()
            .chain(&draft.admissions)
            .copied()
            .collect()
    }
}

/// Secrets of clients that changed since they were sent. AWS never says what it has, so that what the store knows has to
/// do; of what it does not know, AWS is taken to have the right one (aws-deploy §12.3).
pub(super) fn client_differences(
    draft: &Draft<'_>,
    id: &ResourceId,
    actions: &[RuleAction],
) -> Vec<Difference> {
    let sent = draft.applied(id).map(|applied| &applied.secrets);
    let Some(sent) = sent else {
        return Vec::new();
    };
    elb::clients(actions)
        .filter_map(|client| {
            let name = client.secret.to_string();
            let (was, is) = (sent.get(&name)?, client.version.as_ref()?);
            (was != is).then(|| {
                difference(
                    format!("Secret {name}"),
                    format!("version {was}"),
                    format!("version {is}"),
                )
            })
        })
        .collect()
}

/// The versions of the Secrets that these actions send, for the store. Of one that could not be read the last known stays,
/// so that what changed meanwhile is still found.
pub(super) fn with_clients(
    draft: &Draft<'_>,
    id: &ResourceId,
    mut update: ResourceUpdate,
    actions: &[RuleAction],
) -> ResourceUpdate {
    let before = draft.applied(id).map(|applied| &applied.secrets);
    let secrets: BTreeMap<String, String> = elb::clients(actions)
        .filter_map(|client| {
            let name = client.secret.to_string();
            let last = || before?.get(&name).cloned();
            let version = client.version.clone().or_else(last)?;
            Some((name, version))
        })
        .collect();
    if before.map_or(!secrets.is_empty(), |before| *before != secrets) {
        update.secrets = Some(secrets);
    }
    update
}

/// The listener with references to target groups that exist put in.
fn resolved(draft: &Draft<'_>, spec: &ListenerSpec) -> ListenerSpec {
    let mut spec = spec.clone();
    spec.default_actions = elb::resolve_actions(&spec.default_actions, &draft.known);
    spec
}
