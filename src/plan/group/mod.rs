//! One Ingress group: its balancer with all that hangs on it.
//!
//! Order of what is built: security group → target groups with their targets → balancer → listeners → rules, and only
//! then what the rules no longer use (decisions 4, 13, 16, 17 and 23 of the spec; lessons A8, C1, C2, D2).

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
};

use crate::{
    id::{Arn, OpId, ResourceId, ResourceKind, StackId},
    model::{
        applied::{AppliedChange, ResourceUpdate},
        desired::{GroupStack, OrderedRule, Ref},
        elb::{Listener, LoadBalancer, TargetGroup},
        net::{SecurityGroup, Tags},
        observed::ObservedGroup,
        tags,
    },
    problem::Origin,
};

use super::{
    diff,
    draft::{Draft, because},
    op::{Action, Cause, Foreign},
};

mod admit;
mod balancer;
mod find;
mod listener;
mod rule;
mod status;
mod target;
mod teardown;

pub use admit::owner_hints;

/// A live thing that has no place in the desired state, and what it is called in the plan.
pub struct Surplus<'a, T> {
    pub id: ResourceId,
    pub live: &'a T,
    pub cause: Cause,
}

/// One group with what was found of it.
pub struct Group<'a> {
    pub id: &'a str,
    pub stack: StackId,
    pub desired: Option<&'a GroupStack>,
    pub observed: &'a ObservedGroup,
    pub cluster: Option<String>,
    pub load_balancer: Option<&'a LoadBalancer>,
    pub security_group: Option<&'a SecurityGroup>,
    /// By resource id text.
    pub target_groups: BTreeMap<String, &'a TargetGroup>,
    /// The wanted rules by port, as they are to stand.
    pub rules: BTreeMap<u16, Cow<'a, [OrderedRule]>>,
    /// Their identities, by port and in order.
    pub rule_names: BTreeMap<u16, Vec<String>>,
    /// On the balancer that is kept, by port.
    pub listeners: BTreeMap<u16, &'a Listener>,
    pub surplus_load_balancers: Vec<Surplus<'a, LoadBalancer>>,
    pub surplus_security_groups: Vec<Surplus<'a, SecurityGroup>>,
    pub surplus_target_groups: Vec<Surplus<'a, TargetGroup>>,
    pub foreign: Vec<Foreign>,
    /// Listeners on the kept balancer that are not ours.
    pub foreign_listeners: BTreeSet<u16>,
    /// Operations that build and change, then those that take away.
    pub built: BTreeSet<OpId>,
    pub taken: BTreeSet<OpId>,
}

impl<'a> Group<'a> {
    /// Sorts what was found by what it is for. `None` when nobody looked.
    pub fn find(draft: &Draft<'a>, id: &'a str) -> Option<Self> {
        let observed = draft.inputs.observed.groups.get(id)?;
        let desired = draft.inputs.desired.groups.get(id);
        let cluster = desired
            .and_then(|desired| desired.load_balancer.tags.get(tags::CLUSTER))
            .or_else(|| {
                let recorded = draft.applied(&ResourceId::load_balancer(id))?;
                recorded.tags.get(tags::CLUSTER)
            })
            .or_else(|| {
                observed
                    .load_balancers
                    .iter()
                    .find_map(|live| live.tags.get(tags::CLUSTER))
            })
            .cloned();
        let mut group = Self {
            id,
            stack: StackId::Group(id.to_owned()),
            desired,
            observed,
            cluster,
            load_balancer: None,
            security_group: None,
            target_groups: BTreeMap::new(),
            rules: BTreeMap::new(),
            rule_names: BTreeMap::new(),
            listeners: BTreeMap::new(),
            surplus_load_balancers: Vec::new(),
            surplus_security_groups: Vec::new(),
            surplus_target_groups: Vec::new(),
            foreign: Vec::new(),
            foreign_listeners: BTreeSet::new(),
            built: BTreeSet::new(),
            taken: BTreeSet::new(),
        };
        group.sort_load_balancers(draft);
        group.sort_listeners(draft);
        group.sort_out_rules(draft);
        group.sort_target_groups(draft);
        group.sort_security_groups(draft);
        Some(group)
    }

    /// Whether the desired state has something of this identity.
    fn claims(&self, id: &ResourceId) -> bool {
        let Some(desired) = self.desired else {
            return false;
        };
        match id.kind {
            ResourceKind::LoadBalancer => true,
            ResourceKind::SecurityGroup => desired.security_group.is_some(),
            ResourceKind::TargetGroup => desired.target_groups.contains_key(&id.name),
            ResourceKind::Listener => desired
                .listeners
                .keys()
                .any(|port| port.to_string() == id.name),
            ResourceKind::Rule => self
                .rule_names
                .values()
                .any(|names| names.contains(&id.name)),
            _ => false,
        }
    }

    fn report(&mut self, what: String, id: &str) {
        self.foreign.push(Foreign {
            stack: self.stack.clone(),
            what,
            id: id.to_owned(),
        });
    }

    /// The line in git that stands for the group as a whole.
    pub fn origin(&self) -> Option<&'a Origin> {
        self.desired?.members.first().map(|member| &member.origin)
    }

    /// Names of live target groups, for texts.
    fn target_group_names(&self) -> BTreeMap<Arn, String> {
        let kept = self
            .target_groups
            .iter()
            .map(|(name, live)| (live.arn.clone(), name.clone()));
        let surplus = self.surplus_target_groups.iter().map(|surplus| {
            let name = surplus.id.name.split('~').next().unwrap_or_default();
            (surplus.live.arn.clone(), name.to_owned())
        });
        kept.chain(surplus).collect()
    }

    /// Tells the draft which parts exist, so that references to them are put in.
    pub fn register(&self, draft: &mut Draft<'a>) {
        if let Some(live) = self.load_balancer {
            draft
                .known
                .insert(ResourceId::load_balancer(self.id), live.arn.clone());
        }
        if let Some(live) = self.security_group {
            draft.known.insert(
                ResourceId::managed_security_group(self.id),
                Arn::new(live.id.as_str()),
            );
        }
        for (name, live) in &self.target_groups {
            draft
                .known
                .insert(ResourceId::target_group(self.id, name), live.arn.clone());
        }
        for (port, live) in &self.listeners {
            draft
                .known
                .insert(ResourceId::listener(self.id, *port), live.arn.clone());
        }
    }

    /// Plans everything that is built or changed.
    pub fn build(&mut self, draft: &mut Draft<'a>) {
        let Some(desired) = self.desired else { return };
        let first = draft.ops.len();
        self.build_security_group(draft, desired);
        self.build_target_groups(draft, desired);
        self.build_load_balancer(draft, desired);
        self.build_listeners(draft, desired);
        self.trim_targets(draft, desired);
        self.built = draft.since(first);
    }

    /// Compares tags and plans what mends them on a balancer, listener, rule or target group.
    fn mend_tags(
        &self,
        draft: &mut Draft<'a>,
        id: &ResourceId,
        arn: &Arn,
        (wanted, live): (&Tags, &Tags),
        (cause, origin): (Cause, Option<&Origin>),
    ) {
        let applied = draft
            .applied(id)
            .map(|applied| applied.tags.clone())
            .unwrap_or_default();
        let changes = diff::tags(wanted, live, &applied);
        if !changes.set.is_empty() {
            let action = Action::AddTags {
                arn: Ref::Known(arn.clone()),
                tags: changes.set.clone(),
            };
            draft.op(id, action, because(cause, origin, changes.added()), []);
        }
        if !changes.remove.is_empty() {
            let action = Action::RemoveTags {
                arn: arn.clone(),
                keys: changes.remove.clone(),
            };
            draft.op(id, action, because(cause, origin, changes.removed()), []);
        }
    }

    /// Forgets what the store knows of this group and what is neither wanted nor there any more.
    pub fn forget_stale(&self, draft: &mut Draft<'a>) {
        let known: Vec<&ResourceId> = draft
            .inputs
            .applied
            .resources
            .range(ResourceId::new(self.stack.clone(), ResourceKind::SecurityGroup, "")..)
            .take_while(|(id, _)| id.stack == self.stack)
            .map(|(id, _)| id)
            .filter(|id| !self.claims(id))
            .collect();
        let stale: Vec<ResourceId> = known
            .into_iter()
            .filter(|id| {
                !draft.ops.iter().any(|op| {
                    op.resource == **id
                        || op
                            .record
                            .contains(&AppliedChange::RemoveResource((*id).clone()))
                })
            })
            .cloned()
            .collect();
        for id in stale {
            draft.note(&self.stack, AppliedChange::RemoveResource(id));
        }
    }
}

/// What the store is to hold of a thing that is as wanted.
fn update(
    draft: &Draft<'_>,
    id: &ResourceId,
    arn: Option<&str>,
    digest: String,
    attributes: &BTreeMap<String, String>,
    tags: &Tags,
) -> ResourceUpdate {
    let applied = draft.applied(id);
    ResourceUpdate {
        arn: arn.map(Arn::new),
        digest: Some(digest),
        attributes: super::draft::replacing(attributes, applied.map(|applied| &applied.attributes)),
        tags: super::draft::replacing(tags, applied.map(|applied| &applied.tags)),
        ..ResourceUpdate::default()
    }
}
