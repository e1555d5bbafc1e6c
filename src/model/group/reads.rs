//! What the build of a group looked at, and what of that is different now: a group whose members and looked-at inputs are
//! the same comes out the same.

use std::{
    cmp::Ordering,
    collections::{BTreeMap, BTreeSet},
};

use super::context::{Whole, in_order};
use crate::{
    manifest::{
        Ingress, IngressClass, IngressClassParams, Manifests, SecretShape, Service, ServiceRef,
    },
    model::{facts::Facts, settings::Settings},
    shared::Shared,
};

/// A fact that is looked at as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Table {
    Certificates,
    SecurityGroups,
    Subnets,
    TargetGroups,
    TrustStores,
    Vpc,
    WebAcls,
}

impl Table {
    const ALL: [Self; 7] = [
        Self::Certificates,
        Self::SecurityGroups,
        Self::Subnets,
        Self::TargetGroups,
        Self::TrustStores,
        Self::Vpc,
        Self::WebAcls,
    ];

    fn is_same(self, before: &Facts, now: &Facts) -> bool {
        match self {
            Self::Certificates => before.certificates == now.certificates,
            Self::SecurityGroups => before.security_groups == now.security_groups,
            Self::Subnets => before.subnets == now.subnets,
            Self::TargetGroups => before.target_groups == now.target_groups,
            Self::TrustStores => before.trust_stores == now.trust_stores,
            Self::Vpc => before.vpc == now.vpc,
            Self::WebAcls => before.web_acls == now.web_acls,
        }
    }
}

/// What one build looked at, beside its members and the settings.
#[derive(Debug, Default)]
pub(super) struct Reads {
    pub tables: BTreeSet<Table>,
    services: Vec<ServiceRead>,
    /// Names of others were looked at too, for a hint.
    pub all_services: bool,
    /// By `namespace/name`.
    pub secrets: BTreeSet<String>,
    /// Names of other Secrets were looked at too, for a hint.
    pub all_secrets: bool,
    /// By group id.
    pub load_balancers: BTreeSet<String>,
}

/// A Service by its name; the document where there is one, which spares a copy of the name.
#[derive(Debug)]
enum ServiceRead {
    InGit(Shared<Service>),
    Elsewhere(ServiceRef),
}

impl ServiceRead {
    fn reference(&self) -> &ServiceRef {
        match self {
            Self::InGit(service) => &service.reference,
            Self::Elsewhere(reference) => reference,
        }
    }
}

impl Reads {
    pub fn service(&mut self, wanted: &ServiceRef, document: Option<&Shared<Service>>) {
        if self
            .services
            .last()
            .is_some_and(|last| last.reference() == wanted)
        {
            return;
        }
        self.services.push(match document {
            Some(service) => ServiceRead::InGit(service.clone()),
            None => ServiceRead::Elsewhere(wanted.clone()),
        });
    }

    /// Puts them in order; before that they meet nothing.
    pub fn settle(&mut self) {
        self.services
            .sort_unstable_by(|a, b| a.reference().cmp(b.reference()));
        self.services
            .dedup_by(|a, b| a.reference() == b.reference());
        self.services.shrink_to_fit();
    }

    /// Whether something of it is different now.
    pub fn meets(&self, changes: &Changes) -> bool {
        let has_read = |service: &ServiceRef| {
            self.services
                .binary_search_by(|read| read.reference().cmp(service))
                .is_ok()
        };
        if changes.is_empty() {
            return false;
        }
        let services = if changes.services.len() < self.services.len() {
            changes.services.iter().any(has_read)
        } else {
            self.services
                .iter()
                .any(|read| changes.services.contains(read.reference()))
        };
        services
            || (self.all_services && !changes.services.is_empty())
            || !self.tables.is_disjoint(&changes.tables)
            || (self.all_secrets && !changes.secrets.is_empty())
            || !self.secrets.is_disjoint(&changes.secrets)
            || !self.load_balancers.is_disjoint(&changes.load_balancers)
    }
}

/// Everything that builds look at, as of one time.
#[derive(Debug)]
pub(super) struct Inputs {
    services: Shared<Vec<Shared<Service>>>,
    /// They stand in order.
    is_ordered: bool,
    ingresses: Shared<Vec<Shared<Ingress>>>,
    /// Nothing was found to say of any of them, and they stand in order, each once.
    are_plain: bool,
    classes: Vec<IngressClass>,
    params: Vec<Shared<IngressClassParams>>,
    namespaces: BTreeMap<String, BTreeMap<String, String>>,
    secrets: BTreeMap<String, SecretShape>,
    facts: Facts,
    settings: Settings,
}

/// More Ingresses than this are not looked at one by one.
const FEW: usize = 256;

/// Ingresses that are there no longer, and those that were not there before.
pub(super) type Exchanged<'a> = (Vec<&'a Shared<Ingress>>, Vec<&'a Shared<Ingress>>);

/// What is different between two times.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Changes {
    tables: BTreeSet<Table>,
    services: BTreeSet<ServiceRef>,
    secrets: BTreeSet<String>,
    load_balancers: BTreeSet<String>,
}

impl Changes {
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl Inputs {
    pub fn of(whole: &Whole<'_>, is_ordered: bool, are_plain: bool) -> Self {
        let manifests = whole.manifests;
        Self {
            services: manifests.services.clone(),
            is_ordered,
            ingresses: manifests.ingresses.clone(),
            are_plain,
            classes: manifests.classes.clone(),
            params: manifests.params.clone(),
            namespaces: manifests.namespaces.clone(),
            secrets: manifests.secrets.clone(),
            facts: whole.facts.clone(),
            settings: whole.settings.clone(),
        }
    }

    /// Which Ingresses are different now; `None` where more than they may decide on groups, or where there are many.
    pub fn exchanged<'a>(&'a self, whole: &Whole<'a>) -> Option<Exchanged<'a>> {
        let (manifests, facts) = (whole.manifests, whole.facts);
        let is_same = self.are_plain
            && self.settings == *whole.settings
            && self.classes == manifests.classes
            && self.params == manifests.params
            && self.namespaces == manifests.namespaces
            && self.facts.namespaces == facts.namespaces
            && self.facts.ingress_classes == facts.ingress_classes
            && self.facts.ingress_class_params == facts.ingress_class_params;
        if !is_same {
            return None;
        }
        let (before, now) = (&self.ingresses, &manifests.ingresses);
        let (mut gone, mut new) = (Vec::new(), Vec::new());
        if before.is(now) {
            return Some((gone, new));
        }
        // Where one is new its neighbours must be on their sides; the others stand as they stood.
        let is_placed = |at: usize| {
            let around = &now[at.saturating_sub(1)..(at + 2).min(now.len())];
            around.is_sorted_by(|a, b| a.cmp_key(b).is_lt())
        };
        let (mut old, mut at) = (0, 0);
        loop {
            let order = match (before.get(old), now.get(at)) {
                (None, None) => return Some((gone, new)),
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (Some(a), Some(b)) if a.is(b) => {
                    (old, at) = (old + 1, at + 1);
                    continue;
                }
                (Some(a), Some(b)) => a.cmp_key(b),
            };
            if order.is_le() {
                gone.push(&before[old]);
                old += 1;
            }
            if order.is_ge() {
                if !is_placed(at) {
                    return None;
                }
                new.push(&now[at]);
                at += 1;
            }
            if gone.len() + new.len() > FEW {
                return None;
            }
        }
    }

    /// Whether the Services stand in order now: looked at where they are not as they were.
    pub fn is_ordered(&self, now: &Shared<Vec<Shared<Service>>>) -> bool {
        if self.services.is(now) {
            return self.is_ordered;
        }
        let before = &self.services;
        let same = |(a, b): &(&Shared<Service>, &Shared<Service>)| a.is(b);
        let start = before.iter().zip(now).take_while(same).count();
        let rest = before.len().min(now.len()) - start;
        let ends = before.iter().rev().zip(now.iter().rev());
        let end = ends.take(rest).take_while(same).count();
        // With their neighbours on both sides.
        let first = start.saturating_sub(1);
        let last = (now.len() - end + 1).min(now.len());
        let is_sorted = |services: &[Shared<Service>]| services.is_sorted_by(|a, b| in_order(a, b));
        if self.is_ordered {
            is_sorted(&now[first..last])
        } else {
            is_sorted(now)
        }
    }

    /// What is different now; `None`: so much that nothing stays.
    pub fn changes(
        &self,
        manifests: &Manifests,
        facts: &Facts,
        settings: &Settings,
    ) -> Option<Changes> {
        let before = &self.facts;
        let were_read = |facts: &Facts| {
            (
                facts.services.is_some(),
                facts.secrets.is_some(),
                facts.load_balancers.is_some(),
            )
        };
        if self.settings != *settings || were_read(before) != were_read(facts) {
            return None;
        }
        let mut changes = Changes {
            tables: Table::ALL
                .into_iter()
                .filter(|table| !table.is_same(before, facts))
                .collect(),
            ..Changes::default()
        };
        if !self.services.is(&manifests.services) {
            documents(&self.services, &manifests.services, &mut changes.services);
        }
        if let (Some(before), Some(now)) = (&before.services, &facts.services)
            && !before.is(now)
        {
            for key in differing(before, now) {
                changes.services.extend(named_by(key));
            }
        }
        changes
            .secrets
            .extend(differing(&self.secrets, &manifests.secrets).cloned());
        if let (Some(before), Some(now)) = (&before.secrets, &facts.secrets) {
            changes.secrets.extend(differing(before, now).cloned());
        }
        if let (Some(before), Some(now)) = (&before.load_balancers, &facts.load_balancers) {
            changes
                .load_balancers
                .extend(differing(before, now).cloned());
        }
        Some(changes)
    }
}

/// Services whose documents differ. Every document is either found again, equal, or its name is noted, in whatever order
/// they stand.
fn documents(
    before: &[Shared<Service>],
    now: &[Shared<Service>],
    changed: &mut BTreeSet<ServiceRef>,
) {
    let (mut before, mut now) = (before.iter().peekable(), now.iter().peekable());
    loop {
        let order = match (before.peek(), now.peek()) {
            (None, None) => return,
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(a), Some(b)) if a.is(b) => Ordering::Equal,
            (Some(a), Some(b)) => a.reference.cmp(&b.reference),
        };
        let old = if order.is_le() { before.next() } else { None };
        let new = if order.is_ge() { now.next() } else { None };
        if old != new {
            let either = old.or(new);
            changed.extend(either.map(|service| service.reference.clone()));
        }
    }
}

/// The Services that a fact's key may be of: a name that no Service can have may hold a slash too.
fn named_by(key: &str) -> impl Iterator<Item = ServiceRef> {
    key.match_indices('/').map(|(at, _)| ServiceRef {
        namespace: key[..at].to_owned(),
        name: key[at + 1..].to_owned(),
    })
}

/// Keys that only one of the maps holds, or whose values differ.
fn differing<'a, V: PartialEq>(
    before: &'a BTreeMap<String, V>,
    now: &'a BTreeMap<String, V>,
) -> impl Iterator<Item = &'a String> {
    let (mut before, mut now) = (before.iter().peekable(), now.iter().peekable());
    std::iter::from_fn(move || {
        loop {
            let order = match (before.peek(), now.peek()) {
                (None, None) => return None,
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (Some((a, _)), Some((b, _))) => a.cmp(b),
            };
            let old = if order.is_le() { before.next() } else { None };
            let new = if order.is_ge() { now.next() } else { None };
            if old != new {
                return old.or(new).map(|(key, _)| key);
            }
        }
    })
}
