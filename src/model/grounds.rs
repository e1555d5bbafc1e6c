//! The facts that a group was last applied on: what goes on holding for it when account or cluster no longer say so
//! (decision 7 of the spec).
//!
//! A certificate that is deleted or a Service that is gone is no mistake of git. What hangs on it is built as if the fact
//! were still there, so that it stays exactly as it was applied, in its place among the others, and the others go on.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
};

use serde::{Deserialize, Serialize};

use super::{
    confine::{Naming, Uses},
    desired::{GroupStack, Member, Ref},
    facts::{
        CertificateFact, ClassFact, Facts, NamedArn, ParamsFact, SecretFact, SecurityGroupFact,
        ServiceFact, Subnet,
    },
};
use crate::id::SecurityGroupId;

/// The state in which ACM has a certificate that can be used.
const ISSUED: &str = "ISSUED";

/// What one group's model was made of, no more.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Grounds {
    /// Its Ingresses, as `namespace/name`: which group one belongs to may depend on a class that is gone.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub members: BTreeSet<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub services: BTreeMap<String, ServiceFact>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub certificates: Vec<CertificateFact>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub subnets: Vec<Subnet>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub security_groups: Vec<SecurityGroupFact>,
    /// Target groups that actions name.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub target_groups: Vec<NamedArn>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub secrets: BTreeMap<String, SecretFact>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub namespaces: BTreeMap<String, BTreeMap<String, String>>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub ingress_classes: BTreeMap<String, ClassFact>,
    #[serde(with = "as_written", skip_serializing_if = "BTreeMap::is_empty")]
    pub ingress_class_params: BTreeMap<String, ParamsFact>,
}

/// Parameters of classes as the cluster wrote them; they are read once more.
mod as_written {
    use std::collections::BTreeMap;

    use serde::{Deserialize, Deserializer, Serializer};
    use serde_json::Value;

    use super::ParamsFact;

    pub fn serialize<S: Serializer>(
        params: &BTreeMap<String, ParamsFact>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_map(params.iter().map(|(name, fact)| (name, &fact.spec)))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<BTreeMap<String, ParamsFact>, D::Error> {
        let specs = BTreeMap::<String, Value>::deserialize(deserializer)?.into_iter();
        Ok(specs
            .map(|(name, spec)| {
                let fact = ParamsFact::new(&name, spec);
                (name, fact)
            })
            .collect())
    }
}

/// How far the facts of the moment are believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trust {
    /// What they say holds; only what is gone is remembered.
    Present,
    /// What they say of the network, of names and of classes is replaced by what was remembered of it.
    Past,
}

impl Grounds {
    /// What of the facts a group uses.
    pub fn of(stack: &GroupStack, naming: &Naming<'_>, facts: &Facts) -> Self {
        let Uses {
            objects: uses,
            target_groups,
            unclassed,
        } = naming.uses(&stack.members);
        let named = |kind: &'static str| {
            let keys = uses.iter().filter(move |key| key.kind == kind);
            keys.map(|key| match &key.namespace {
                Some(namespace) => format!("{namespace}/{}", key.name),
                None => key.name.clone(),
            })
        };
        let listeners = stack.listeners.values();
        let arns: BTreeSet<&str> = listeners
            .filter_map(|listener| listener.spec.tls.as_ref())
            .flat_map(|tls| tls.certificates.iter().chain([&tls.default_certificate]))
            .map(|arn| arn.as_str())
            .collect();
        let groups: Vec<&SecurityGroupId> = stack
            .load_balancer
            .security_groups
            .iter()
            .filter_map(|group| match group {
                Ref::Known(id) => Some(id),
                Ref::Output(_) => None,
            })
            .collect();
        let ingress_classes: BTreeMap<String, ClassFact> = {
            let names = named("IngressClass").filter(|name| !naming.has_class(name));
            let mut classes = pick(facts.ingress_classes.as_ref(), names);
            let in_cluster = facts.ingress_classes.iter().flatten();
            let default = in_cluster
                .filter(|(name, class)| unclassed && class.is_default && !naming.has_class(name));
            classes.extend(default.map(|(name, class)| (name.clone(), class.clone())));
            classes
        };
        let of_classes = ingress_classes.values();
        let of_classes =
            of_classes.filter_map(|class| Some(class.parameters.as_ref()?.name.clone()));
        let params: BTreeSet<String> = named("IngressClassParams")
            .chain(of_classes)
            .filter(|name| !naming.has_params(name))
            .collect();
        let members = stack.members.iter();
        Self {
            members: members.map(Member::key).collect(),
            services: pick(facts.services.as_deref(), named("Service")),
            certificates: some(&facts.certificates, |it| arns.contains(it.arn.as_str())),
            subnets: some(&facts.subnets, |it| {
                stack.load_balancer.subnets.contains(&it.id)
            }),
            security_groups: some(&facts.security_groups, |it| groups.contains(&&it.id)),
            target_groups: some(&facts.target_groups, |it| target_groups.contains(&it.name)),
            secrets: pick(facts.secrets.as_ref(), named("Secret")),
            namespaces: pick(facts.namespaces.as_ref(), named("Namespace")),
            ingress_class_params: pick(facts.ingress_class_params.as_ref(), params.into_iter()),
            ingress_classes,
        }
    }

    /// Whether classes or their parameters are gone.
    pub fn misses_classes(&self, facts: &Facts) -> bool {
        misses(facts.ingress_classes.as_ref(), &self.ingress_classes)
            || misses(
                facts.ingress_class_params.as_ref(),
                &self.ingress_class_params,
            )
    }

    /// [`Self::fill`] for classes and their parameters alone.
    pub fn fill_classes(&self, facts: &mut Facts, trust: Trust) {
        let past = trust == Trust::Past;
        let classes = facts.ingress_classes.as_mut();
        fill_map(classes, &self.ingress_classes, past);
        let params = facts.ingress_class_params.as_mut();
        fill_map(params, &self.ingress_class_params, past);
    }

    /// Adds to the facts of the moment what is gone from them. What was not read stays unread: that is not gone.
    pub fn fill(&self, facts: &mut Facts, trust: Trust) {
        let past = trust == Trust::Past;
        let services = facts.services.as_deref();
        let is_gone = |key: &String| services.is_some_and(|now| !now.contains_key(key));
        // Whoever fills in takes a copy of them all.
        if self.services.keys().any(is_gone) {
            fill_map(facts.services.as_deref_mut(), &self.services, false);
        }
        fill_map(facts.secrets.as_mut(), &self.secrets, false);
        fill_map(facts.namespaces.as_mut(), &self.namespaces, past);
        self.fill_classes(facts, trust);
        // One that has expired is as good as gone.
        fill_list(
            &mut facts.certificates,
            &self.certificates,
            |it| Cow::Borrowed(it.arn.as_str()),
            |now| now.status != ISSUED,
        );
        fill_list(
            &mut facts.subnets,
            &self.subnets,
            |it| Cow::Borrowed(it.id.as_str()),
            |_| past,
        );
        fill_list(
            &mut facts.security_groups,
            &self.security_groups,
            |it| Cow::Borrowed(it.id.as_str()),
            |_| past,
        );
        fill_list(
            &mut facts.target_groups,
            &self.target_groups,
            |it| Cow::Borrowed(it.name.as_str()),
            |_| past,
        );
    }
}

/// Whether some of what was is gone; what was not read is not.
fn misses<T>(now: Option<&BTreeMap<String, T>>, past: &BTreeMap<String, T>) -> bool {
    now.is_some_and(|now| past.keys().any(|key| !now.contains_key(key)))
}

fn pick<T: Clone>(
    all: Option<&BTreeMap<String, T>>,
    names: impl Iterator<Item = String>,
) -> BTreeMap<String, T> {
    let Some(all) = all else {
        return BTreeMap::new();
    };
    names
        .filter_map(|name| all.get(&name).cloned().map(|it| (name, it)))
        .collect()
}

fn some<T: Clone>(all: &Option<Vec<T>>, wanted: impl Fn(&T) -> bool) -> Vec<T> {
    let all = all.iter().flatten();
    all.filter(|it| wanted(it)).cloned().collect()
}

fn fill_map<T: Clone>(
    now: Option<&mut BTreeMap<String, T>>,
    past: &BTreeMap<String, T>,
    replace: bool,
) {
    let Some(now) = now else { return };
    for (key, value) in past {
        if replace || !now.contains_key(key) {
            now.insert(key.clone(), value.clone());
        }
    }
}

fn fill_list<T: Clone>(
    now: &mut Option<Vec<T>>,
    past: &[T],
    key: impl for<'a> Fn(&'a T) -> Cow<'a, str>,
    replace: impl Fn(&T) -> bool,
) {
    let Some(now) = now else { return };
    for value in past {
        match now.iter_mut().find(|it| key(it) == key(value)) {
            Some(it) if replace(it) => *it = value.clone(),
            Some(_) => {}
            None => now.push(value.clone()),
        }
    }
}
