//! One Ingress group: its balancer with all that hangs on it.
//!
//! Order of what is built: security group → target groups with their targets → balancer → listeners → rules, and only
//! then what the rules no longer use (decisions 4, 13, 16, 17 and 23 of the spec; lessons A8, C1, C2, D2).

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    id::{Arn, OpId, ResourceId, ResourceKind, StackId},
    model::{
        applied::{AppliedChange, ResourceUpdate},
        desired::{GroupStack, Ref},
        elb::{Listener, LoadBalancer, TargetGroup},
        net::{SecurityGroup, Tags},
        observed::ObservedGroup,
        tags,
    },
    problem::Origin,
};

use super::{
    diff::{self, elb::target_group_replacement},
    draft::{Draft, bears_marks, because, code},
    op::{Action, Cause, Foreign},
};

mod balancer;
mod listener;
mod rule;
mod status;
mod target;
mod teardown;

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
    /// Identities of the wanted rules, by port and in order.
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
            rule_names: desired
                .into_iter()
                .flat_map(|desired| &desired.listeners)
                .map(|(port, listener)| (*port, rule::names(*port, &listener.rules)))
                .collect(),
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
        group.sort_target_groups(draft);
        group.sort_security_groups(draft);
        Some(group)
    }

    /// What a live thing is to us: by the store's memory of its ARN, else by its tags (decision 26).
    fn name_of(
        &self,
        draft: &Draft<'a>,
        kind: ResourceKind,
        arn: &str,
        found: &Tags,
    ) -> Option<String> {
        draft
            .recorded_as(&self.stack, kind, arn)
            .map(|id| id.name.clone())
            .or_else(|| {
                bears_marks(found, self.id, self.cluster.as_deref())
                    .then(|| found.get(tags::RESOURCE).cloned())
                    .flatten()
            })
    }

    /// Whether a listener or rule is ours: their resource tag does not matter.
    fn is_ours(&self, draft: &Draft<'a>, kind: ResourceKind, arn: &Arn, found: &Tags) -> bool {
        draft.recorded_as(&self.stack, kind, arn.as_str()).is_some()
            || bears_marks(found, self.id, self.cluster.as_deref())
    }

    fn sort_load_balancers(&mut self, draft: &Draft<'a>) {
        let id = ResourceId::load_balancer(self.id);
        let mut candidates = Vec::new();
        for live in &self.observed.load_balancers {
            match self.name_of(draft, id.kind, live.arn.as_str(), &live.tags) {
                Some(name) if name == id.name => candidates.push(live),
                _ => self.report(format!("load balancer {}", live.name), live.arn.as_str()),
            }
        }
        if self.desired.is_none() {
            self.surplus_load_balancers =
                self.surplus(draft, &id, None, candidates, |live| &live.arn.0);
            return;
        }
        let listeners = &self.observed.listeners;
        let kept = choose(
            draft,
            &id,
            &candidates,
            |live| &live.arn.0,
            |live| {
                listeners
                    .iter()
                    .any(|listener| listener.load_balancer == live.arn)
            },
        );
        self.load_balancer = kept;
        self.surplus_load_balancers = self.surplus(
            draft,
            &id,
            kept.map(|live| live.arn.as_str()),
            candidates,
            |live| &live.arn.0,
        );
    }

    fn sort_listeners(&mut self, draft: &Draft<'a>) {
        let Some(balancer) = self.load_balancer else {
            return;
        };
        for live in &self.observed.listeners {
            if live.load_balancer != balancer.arn {
                continue;
            }
            if self.is_ours(draft, ResourceKind::Listener, &live.arn, &live.tags) {
                self.listeners.insert(live.port, live);
            } else {
                self.foreign_listeners.insert(live.port);
                self.report(
                    format!("listener {}:{}", live.protocol, live.port),
                    live.arn.as_str(),
                );
            }
        }
    }

    fn sort_target_groups(&mut self, draft: &Draft<'a>) {
        let mut found: BTreeMap<String, Vec<&'a TargetGroup>> = BTreeMap::new();
        for live in &self.observed.target_groups {
            match self.name_of(
                draft,
                ResourceKind::TargetGroup,
                live.arn.as_str(),
                &live.tags,
            ) {
                Some(name) => found.entry(name).or_default().push(live),
                None => self.report(format!("target group {}", live.name), live.arn.as_str()),
            }
        }
        let attached = self.attached_target_groups();
        for (name, candidates) in found {
            let id = ResourceId::target_group(self.id, &name);
            let wanted = self
                .desired
                .and_then(|desired| desired.target_groups.get(&name));
            let fit: Vec<_> = candidates
                .iter()
                .copied()
                .filter(|live| {
                    wanted.is_some_and(|wanted| {
                        target_group_replacement(&wanted.spec, live).is_empty()
                    })
                })
                .collect();
            let kept = choose(
                draft,
                &id,
                &fit,
                |live| &live.arn.0,
                |live| attached.contains(&live.arn),
            );
            let surplus = self.surplus(
                draft,
                &id,
                kept.map(|live| live.arn.as_str()),
                candidates,
                |live| &live.arn.0,
            );
            self.surplus_target_groups.extend(surplus);
            if let Some(kept) = kept {
                self.target_groups.insert(name, kept);
            }
        }
    }

    fn attached_target_groups(&self) -> BTreeSet<Arn> {
        let rules = self
            .observed
            .rules
            .iter()
            .flat_map(|rule| diff::elb::forwarded(&rule.actions));
        let listeners = self
            .observed
            .listeners
            .iter()
            .flat_map(|listener| diff::elb::forwarded(&listener.default_actions));
        rules
            .chain(listeners)
            .filter_map(|reference| match reference {
                Ref::Known(arn) => Some(arn.clone()),
                Ref::Output(_) => None,
            })
            .collect()
    }

    fn sort_security_groups(&mut self, draft: &Draft<'a>) {
        let id = ResourceId::managed_security_group(self.id);
        let mut candidates = Vec::new();
        for live in &self.observed.security_groups {
            match self.name_of(draft, id.kind, live.id.as_str(), &live.tags) {
                Some(name) if name == id.name => candidates.push(live),
                _ => self.report(format!("security group {}", live.name), live.id.as_str()),
            }
        }
        let attached = |live: &SecurityGroup| {
            self.observed
                .load_balancers
                .iter()
                .any(|balancer| balancer.security_groups.contains(&live.id))
        };
        let kept = match self.desired {
            Some(_) => choose(draft, &id, &candidates, |live| &live.id.0, attached),
            None => None,
        };
        self.security_group = kept;
        self.surplus_security_groups = self.surplus(
            draft,
            &id,
            kept.map(|live| live.id.as_str()),
            candidates,
            |live| &live.id.0,
        );
    }

    /// Everything but the kept one, each under an identity of its own.
    fn surplus<T>(
        &self,
        draft: &Draft<'a>,
        id: &ResourceId,
        kept: Option<&str>,
        candidates: Vec<&'a T>,
        key: impl Fn(&T) -> &String,
    ) -> Vec<Surplus<'a, T>> {
        candidates
            .into_iter()
            .filter(|live| kept != Some(key(live).as_str()))
            .map(|live| {
                let arn = key(live);
                let (id, cause) = self.surplus_id(draft, id, arn);
                Surplus { id, live, cause }
            })
            .collect()
    }

    /// The recorded identity where the store knows this very thing and its place is not taken over by another one.
    fn surplus_id(&self, draft: &Draft<'a>, id: &ResourceId, arn: &str) -> (ResourceId, Cause) {
        let recorded = draft
            .applied(id)
            .and_then(|applied| applied.arn.as_ref())
            .is_some_and(|known| known.as_str() == arn);
        let claimed = self.claims(id);
        let cause = match (recorded, claimed) {
            (_, false) => Cause::Removed,
            (true, true) => Cause::Changed,
            (false, true) => Cause::Unrecorded,
        };
        if recorded && !claimed {
            return (id.clone(), cause);
        }
        if !recorded && !claimed && draft.applied(id).is_none() {
            return (id.clone(), cause);
        }
        let tail = arn.rsplit(['/', ':']).next().unwrap_or(arn);
        (
            ResourceId::new(id.stack.clone(), id.kind, format!("{}~{tail}", id.name)),
            cause,
        )
    }

    /// Whether the desired state has something of this identity.
    fn claims(&self, id: &ResourceId) -> bool {
        let Some(desired) = self.desired else {
            return false;
        };
        match id.kind {
            ResourceKind::LoadBalancer | ResourceKind::SecurityGroup => true,
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

    /// Whether the group may be planned at all now; holds it otherwise.
    pub fn admit(&self, draft: &mut Draft<'a>) -> bool {
        draft.foreign.extend(self.foreign.iter().cloned());
        if draft.block_on_waiting(&self.stack) || draft.block_on_gap(&self.stack) {
            return false;
        }
        if let Some(members) = draft.inputs.options.foreign_members.get(self.id) {
            let message = format!("git does not hold {} of this group", diff::joined(members));
            let release = "import them into git, or delete them";
            draft.block(&self.stack, code::FOREIGN_MEMBERS, message, release);
            return false;
        }
        match self.desired {
            Some(desired) => self.admit_desired(draft, desired),
            None => self.admit_teardown(draft),
        }
    }

    fn admit_desired(&self, draft: &mut Draft<'a>, desired: &GroupStack) -> bool {
        let mut names = Vec::new();
        if self.load_balancer.is_none() {
            names.push(&desired.load_balancer.name);
        }
        if self.security_group.is_none() {
            names.push(&desired.security_group.name);
        }
        let missing = desired
            .target_groups
            .iter()
            .filter(|(name, _)| !self.target_groups.contains_key(*name));
        names.extend(missing.map(|(_, wanted)| &wanted.spec.name));
        let mut taken = self.observed.name_taken.iter();
        if let Some(taken) = taken.find(|taken| names.contains(&&taken.name)) {
            draft.block(
                &self.stack,
                code::NAME_TAKEN,
                format!(
                    "the name {} is borne by {} ({})",
                    taken.name,
                    taken.id,
                    owner_hints(&taken.tags)
                ),
                "delete or rename that resource, or give it our tags to have it taken over",
            );
            return false;
        }
        for surplus in &self.surplus_target_groups {
            let name = diff::joined([&surplus.live.name]);
            if names.contains(&&name) {
                draft.block(
                    &self.stack,
                    code::REPLACEMENT_NEEDED,
                    format!("target group {name} must be replaced and its successor would bear the same name"),
                    "delete it by hand once nothing needs it",
                );
                return false;
            }
        }
        if let Some(live) = self.load_balancer {
            let wanted = &desired.load_balancer;
            let other = live.scheme.is_some_and(|scheme| scheme != wanted.scheme);
            if other || live.kind != "application" {
                draft.block(
                    &self.stack,
                    code::REPLACEMENT_NEEDED,
                    format!(
                        "load balancer {} is {} and {} is wanted, which needs a new one with another DNS name",
                        live.name,
                        live.scheme.map_or(live.kind.as_str(), |scheme| scheme.as_str()),
                        wanted.scheme.as_str()
                    ),
                    "remove the Ingress in one commit and add it with the new scheme in the next",
                );
                return false;
            }
        }
        if let Some(port) = desired
            .listeners
            .keys()
            .find(|port| self.foreign_listeners.contains(port))
        {
            draft.block(
                &self.stack,
                code::OWNERSHIP_CONFLICT,
                format!("the balancer has a listener on port {port} that is not ours"),
                "delete that listener, or give it our tags to have it taken over",
            );
            return false;
        }
        let unknown = desired
            .load_balancer
            .security_groups
            .iter()
            .filter_map(|group| match group {
                Ref::Output(id) if id.stack != self.stack => Some(id),
                _ => None,
            })
            .find(|id| !draft.known.contains_key(id) && !draft.creators.contains_key(id));
        if let Some(id) = unknown {
            let message = format!("{id} neither exists nor can be created now");
            draft.block(
                &self.stack,
                code::WAITING,
                message,
                "tried again with the next pass",
            );
            return false;
        }
        true
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

/// The one to keep of several: the recorded, else the one in use, else the first by ARN.
fn choose<'a, T>(
    draft: &Draft<'_>,
    id: &ResourceId,
    candidates: &[&'a T],
    key: impl Fn(&T) -> &String,
    in_use: impl Fn(&T) -> bool,
) -> Option<&'a T> {
    let recorded = draft.applied(id).and_then(|applied| applied.arn.as_ref());
    candidates.iter().copied().min_by_key(|live| {
        let known = recorded.is_some_and(|arn| arn.as_str() == key(live));
        (!known, !in_use(live), key(live).clone())
    })
}

/// Tags that tell people whose a thing is.
pub fn owner_hints(found: &Tags) -> String {
    if found.is_empty() {
        return "it has no tags".to_owned();
    }
    let texts: Vec<String> = found
        .iter()
        .take(8)
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    format!("tags {}", texts.join(", "))
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
