//! The cluster's part of facts and observed state. "Could not read" becomes a [`Gap`], never an absence.

use std::collections::{BTreeMap, BTreeSet};

use futures::{StreamExt, stream};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use crate::{
    cluster::{ClusterRead, KindFact, Lease, Result, Right},
    id::{ObjectKey, ObjectRef, StackId},
    manifest::ingress::CONTROLLER,
    model::{
        applied::AppliedObject,
        call::CallError,
        facts::{ClassFact, Facts, SecretFact},
        object::{LiveObject, ObjectSpec},
        observed::{Gap, ObservedObject},
    },
    shared::Shared,
};

/// Calls in flight at once: quick, and far below what API priority and fairness gives one client.
const CONCURRENCY: usize = 8;

/// The annotation that made an Ingress ours before classes existed.
const CLASS_ANNOTATION: &str = "kubernetes.io/ingress.class";
const GROUP_ANNOTATION: &str = "alb.ingress.kubernetes.io/group.name";

/// What is to be looked up; what is not asked for stays `None` in the facts.
#[derive(Clone, Debug, Default)]
pub struct FactsWanted {
    /// Services of these namespaces; `None`: none at all.
    pub service_namespaces: Option<BTreeSet<String>>,
    /// Services of all namespaces.
    pub all_services: bool,
    pub nodes: bool,
    /// Pods behind the Services of these namespaces; empty: nobody asks for pods.
    pub endpoint_namespaces: BTreeSet<String>,
    pub ingress_classes: bool,
    /// Git names IngressClassParams that it does not hold. Those of a class that git does not hold are read in any case.
    pub ingress_class_params: bool,
    /// IngressClasses that git holds: git's word counts, so they are left out of the facts.
    pub declared_classes: BTreeSet<String>,
    /// Labels of namespaces.
    pub namespaces: bool,
    /// `namespace/name` of Secrets: whether they are there and which keys they have, never a value.
    pub secrets: BTreeSet<String>,
}

impl FactsWanted {
    /// Nothing at all is to be looked up.
    pub fn is_nothing(&self) -> bool {
        !self.nodes
            && !self.all_services
            && self.service_namespaces.is_none()
            && self.endpoint_namespaces.is_empty()
            && !self.ingress_classes
            && !self.ingress_class_params
            && !self.namespaces
            && self.secrets.is_empty()
    }
}

/// Which of the wanted objects are looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Every one: a sweep.
    All,
    /// Those that differ from what was applied last, and these: an event named them, or the pass needs them.
    Changed { also: BTreeSet<ObjectKey> },
}

/// What makes an Ingress ours (ingress-model §1.1).
#[derive(Clone, Debug, Default)]
pub struct OurClasses {
    /// IngressClasses, of git or of the cluster, whose controller is ours.
    pub names: BTreeSet<String>,
    /// The value of the older annotation that means us; empty: `alb` or nothing.
    pub annotation: String,
    /// The cluster's default class is one of ours, so an Ingress without class is, too.
    pub default_is_ours: bool,
}

/// An Ingress of our class that git does not hold (decision 3 of the spec).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForeignIngress {
    pub object: ObjectKey,
    /// The group that it asks for: its annotation, or `namespace/name`.
    pub group: String,
}

/// Services, nodes and ingress classes.
pub async fn facts(cluster: &dyn ClusterRead, wanted: &FactsWanted) -> (Facts, Vec<Gap>) {
    let services = async {
        match &wanted.service_namespaces {
            _ if wanted.all_services => Some(cluster.services(None).await),
            Some(namespaces) => Some(cluster.services(Some(namespaces)).await),
            None => None,
        }
    };
    let nodes = async {
        match wanted.nodes {
            true => Some(cluster.nodes().await),
            false => None,
        }
    };
    let classes = async {
        match wanted.ingress_classes {
            true => Some(cluster.ingress_classes().await),
            false => None,
        }
    };
    let namespaces = async {
        match wanted.namespaces {
            true => Some(cluster.namespaces().await),
            false => None,
        }
    };
    let secrets = secrets(cluster, &wanted.secrets);
    let endpoints = async {
        match wanted.endpoint_namespaces.is_empty() {
            true => None,
            false => Some(cluster.endpoints(&wanted.endpoint_namespaces).await),
        }
    };
    let (services, nodes, classes, namespaces, secrets, endpoints) =
        futures::join!(services, nodes, classes, namespaces, secrets, endpoints);
    let mut gaps = Vec::new();
    let mut facts = Facts {
        services: read(services, "Service", &mut gaps).map(Shared::from),
        nodes: read(nodes, "Node", &mut gaps),
        endpoints: read(endpoints, "EndpointSlice", &mut gaps).map(Shared::from),
        ingress_classes: read(classes, "IngressClass", &mut gaps),
        namespaces: read(namespaces, "Namespace", &mut gaps),
        secrets: read(secrets, "Secret", &mut gaps),
        ..Facts::default()
    };
    if let Some(classes) = &mut facts.ingress_classes {
        classes.retain(|name, _| !wanted.declared_classes.contains(name));
    }
    let mut classes = facts.ingress_classes.iter().flat_map(BTreeMap::values);
    let is_ours = |class: &ClassFact| class.controller == CONTROLLER && class.parameters.is_some();
    if wanted.ingress_class_params || classes.any(is_ours) {
        let params = cluster.ingress_class_params().await;
        facts.ingress_class_params = read(Some(params), "IngressClassParams", &mut gaps);
    }
    // The order of a list must not show in a plan.
    if let Some(nodes) = &mut facts.nodes {
        nodes.sort_by(|a, b| a.name.cmp(&b.name));
    }
    (facts, gaps)
}

/// Those of the Secrets that are there. One that may not be read makes all of them unknown: it must not pass for absent.
async fn secrets(
    cluster: &dyn ClusterRead,
    wanted: &BTreeSet<String>,
) -> Option<Result<BTreeMap<String, SecretFact>>> {
    if wanted.is_empty() {
        return None;
    }
    let mut found = BTreeMap::new();
    for key in wanted {
        let Some((namespace, name)) = key.split_once('/') else {
            continue;
        };
        match cluster.secret(namespace, name).await {
            Ok(Some(secret)) => drop(found.insert(key.clone(), secret)),
            Ok(None) => {}
            Err(error) => return Some(Err(error)),
        }
    }
    Some(Ok(found))
}

/// The live state of wanted objects with what a dry run says of each, and of objects that left git.
///
/// A wanted object outside of `scope` is absent from the answer: it was not looked at. Objects of the inventory that
/// are not wanted any more are always looked at: deleting them needs their uid (gitops R6). An object with an entry in
/// the gaps is absent too, so nothing is planned for it.
pub async fn objects(
    cluster: &dyn ClusterRead,
    wanted: &[ObjectSpec],
    inventory: &BTreeMap<ObjectKey, AppliedObject>,
    scope: &Scope,
) -> (BTreeMap<ObjectKey, ObservedObject>, Vec<Gap>) {
    let wanted_keys: BTreeSet<ObjectKey> = wanted.iter().map(|spec| spec.reference.key()).collect();
    let look = wanted
        .iter()
        .filter(|spec| in_scope(spec, inventory, scope))
        .map(|spec| (&spec.reference, Some(&spec.value)));
    let leaving = inventory
        .iter()
        .filter(|(key, _)| !wanted_keys.contains(key))
        .map(|(_, entry)| (&entry.reference, None));
    let calls: Vec<_> = look
        .chain(leaving)
        .map(|(reference, value)| one(cluster, reference, value))
        .collect();
    let mut answers: Vec<(&ObjectRef, Result<ObservedObject>)> = stream::iter(calls)
        .buffer_unordered(CONCURRENCY)
        .collect()
        .await;
    // Which call ended first must not show in a plan.
    answers.sort_by_key(|(reference, _)| reference.key());
    let mut found = BTreeMap::new();
    let mut gaps = Vec::new();
    for (reference, answer) in answers {
        match answer {
            Ok(object) => {
                found.insert(reference.key(), object);
            }
            Err(error) => gaps.push(gap(&reference.to_string(), &error)),
        }
    }
    (found, gaps)
}

/// Ingresses of our classes in the cluster that neither git nor our inventory holds.
pub async fn foreign_ingresses(
    cluster: &dyn ClusterRead,
    wanted: &[ObjectSpec],
    inventory: &BTreeMap<ObjectKey, AppliedObject>,
    classes: &OurClasses,
) -> (Vec<ForeignIngress>, Vec<Gap>) {
    let live = match cluster.ingresses().await {
        Ok(live) => live,
        Err(error) => return (Vec::new(), vec![gap("Ingress", &error)]),
    };
    let wanted: BTreeSet<ObjectKey> = wanted.iter().map(|spec| spec.reference.key()).collect();
    let mut foreign: Vec<ForeignIngress> = live
        .iter()
        .filter(|ingress| classes.holds(&ingress.value))
        .map(|ingress| ForeignIngress {
            object: ingress.reference.key(),
            group: group_of(ingress),
        })
        .filter(|it| !wanted.contains(&it.object) && !inventory.contains_key(&it.object))
        .collect();
    foreign.sort_by(|a, b| a.object.cmp(&b.object));
    (foreign, Vec::new())
}

/// Who holds a live lease of the AWS Load Balancer Controller (decision 28 of the spec): `namespace/name: holder`.
///
/// The caller treats an error as "perhaps": without proof that nobody leads, AWS stays read-only.
pub async fn lbc_active(
    cluster: &dyn ClusterRead,
    lease_name: &str,
    now: Timestamp,
) -> std::result::Result<Option<String>, Gap> {
    let leases = cluster
        .leases_named(lease_name)
        .await
        .map_err(|error| gap("Lease", &error))?;
    let mut holders: Vec<String> = leases
        .iter()
        .filter(|lease| is_live(lease, now))
        .map(|lease| {
            let holder = lease.holder.as_deref().unwrap_or("unknown");
            format!("{}/{}: {holder}", lease.namespace, lease.name)
        })
        .collect();
    holders.sort();
    Ok(holders.into_iter().next())
}

/// What a pass needs: reading and applying the wanted objects, deleting those that leave, and our own surroundings.
///
/// `kinds`: how each (apiVersion, kind) is served; kinds that are not in there are skipped, for nobody can say yet what
/// they are called (a CRD of the same commit).
pub fn needed_rights(
    wanted: &[ObjectSpec],
    leaving: &[&ObjectRef],
    kinds: &BTreeMap<KindName, KindFact>,
) -> Vec<Right> {
    const NETWORKING: &str = "networking.k8s.io";
    let mut rights = BTreeSet::from([
        Right::new("get", "", "namespaces", None),
        Right::new("create", "", "events", None),
        Right::new("patch", "", "events", None),
        Right::new("list", "coordination.k8s.io", "leases", None),
        Right::new("patch", NETWORKING, "ingresses/status", None),
    ]);
    for (group, resource) in [
        ("", "nodes"),
        ("", "services"),
        ("", "serviceaccounts"),
        (NETWORKING, "ingresses"),
        (NETWORKING, "ingressclasses"),
    ] {
        for verb in ["list", "watch"] {
            rights.insert(Right::new(verb, group, resource, None));
        }
    }
    let wanted = wanted.iter().map(|spec| &spec.reference);
    // Server-side apply of an object that does not exist needs `create` beside `patch`.
    let apply = wanted.zip(std::iter::repeat(&["get", "patch", "create"][..]));
    let delete = leaving
        .iter()
        .copied()
        .zip(std::iter::repeat(&["get", "delete"][..]));
    for (reference, verbs) in apply.chain(delete) {
        let kind = (reference.api_version.clone(), reference.kind.clone());
        let Some(fact) = kinds.get(&kind) else {
            continue;
        };
        let namespace = reference.namespace.as_deref().filter(|_| fact.namespaced);
        for verb in verbs {
            rights.insert(Right::new(verb, reference.group(), &fact.plural, namespace));
        }
    }
    // A namespaced right that is held in the whole cluster need not be asked for again.
    let everywhere: BTreeSet<Right> = rights
        .iter()
        .filter(|right| right.namespace.is_none())
        .cloned()
        .collect();
    rights
        .into_iter()
        .filter(|right| {
            right.namespace.is_none()
                || !everywhere.contains(&Right {
                    namespace: None,
                    ..right.clone()
                })
        })
        .collect()
}

/// Those of [`needed_rights`] that we do not have, to be named before the first write (lessons I5).
pub async fn missing_rights(
    cluster: &dyn ClusterRead,
    wanted: &[ObjectSpec],
    inventory: &BTreeMap<ObjectKey, AppliedObject>,
) -> (Vec<Right>, Vec<Gap>) {
    let keys: BTreeSet<ObjectKey> = wanted.iter().map(|spec| spec.reference.key()).collect();
    let leaving: Vec<&ObjectRef> = inventory
        .iter()
        .filter(|(key, entry)| !keys.contains(key) && !entry.keep)
        .map(|(_, entry)| &entry.reference)
        .collect();
    let (kinds, mut gaps) = kinds(
        cluster,
        wanted
            .iter()
            .map(|spec| &spec.reference)
            .chain(leaving.iter().copied()),
    )
    .await;
    let needed = needed_rights(wanted, &leaving, &kinds);
    match cluster.missing_rights(&needed).await {
        Ok(missing) => (missing, gaps),
        Err(error) => {
            gaps.push(gap("SelfSubjectAccessReview", &error));
            (Vec::new(), gaps)
        }
    }
}

/// apiVersion and kind.
type KindName = (String, String);

/// How the kinds of these objects are served; kinds that are not served are left out.
async fn kinds(
    cluster: &dyn ClusterRead,
    references: impl Iterator<Item = &ObjectRef>,
) -> (BTreeMap<KindName, KindFact>, Vec<Gap>) {
    let names: BTreeSet<KindName> = references
        .map(|it| (it.api_version.clone(), it.kind.clone()))
        .collect();
    let calls: Vec<_> = names
        .into_iter()
        .map(|(version, kind)| async move {
            let answer = cluster.kind(&version, &kind).await;
            ((version, kind), answer)
        })
        .collect();
    let mut answers: Vec<(KindName, Result<Option<KindFact>>)> = stream::iter(calls)
        .buffer_unordered(CONCURRENCY)
        .collect()
        .await;
    answers.sort_by(|a, b| a.0.cmp(&b.0));
    let mut kinds = BTreeMap::new();
    let mut gaps = Vec::new();
    for (name, answer) in answers {
        match answer {
            Ok(Some(fact)) => {
                kinds.insert(name, fact);
            }
            Ok(None) => {}
            Err(error) => gaps.push(gap(&format!("kind {} of {}", name.1, name.0), &error)),
        }
    }
    (kinds, gaps)
}

fn in_scope(
    spec: &ObjectSpec,
    inventory: &BTreeMap<ObjectKey, AppliedObject>,
    scope: &Scope,
) -> bool {
    let Scope::Changed { also } = scope else {
        return true;
    };
    let key = spec.reference.key();
    also.contains(&key)
        || inventory
            .get(&key)
            .is_none_or(|entry| entry.uid.is_none() || entry.digest != spec.digest())
}

async fn one<'a>(
    cluster: &dyn ClusterRead,
    reference: &'a ObjectRef,
    value: Option<&Value>,
) -> (&'a ObjectRef, Result<ObservedObject>) {
    let observed = match value {
        Some(value) => cluster
            .look(reference, value)
            .await
            .map(|(live, dry_run)| (live, Some(dry_run))),
        None => cluster.get(reference).await.map(|live| (live, None)),
    };
    let observed = observed.map(|(live, dry_run)| ObservedObject { live, dry_run });
    (reference, observed)
}

impl OurClasses {
    /// By its older annotation if it has one, else by its class, else by the default.
    fn holds(&self, ingress: &Value) -> bool {
        let annotation = ingress["metadata"]["annotations"][CLASS_ANNOTATION].as_str();
        let class = ingress["spec"]["ingressClassName"].as_str();
        match (annotation, class) {
            (Some(value), _) if self.annotation.is_empty() => value.is_empty() || value == "alb",
            (Some(value), _) => value == self.annotation,
            (None, Some(class)) => self.names.contains(class),
            (None, None) => self.default_is_ours,
        }
    }
}

fn group_of(ingress: &LiveObject) -> String {
    match ingress.value["metadata"]["annotations"][GROUP_ANNOTATION].as_str() {
        Some(name) => name.to_owned(),
        None => format!(
            "{}/{}",
            ingress.reference.namespace.as_deref().unwrap_or_default(),
            ingress.reference.name
        ),
    }
}

/// A lease is live when it has a holder and was renewed within its duration. A renewal in the future (clocks differ)
/// counts as live; a time that cannot be read does as well.
fn is_live(lease: &Lease, now: Timestamp) -> bool {
    let (Some(_), Some(renewed)) = (&lease.holder, &lease.renewed_at) else {
        return false;
    };
    let Ok(renewed) = renewed.parse::<Timestamp>() else {
        return true;
    };
    let duration = SignedDuration::from_secs(i64::from(lease.duration_seconds));
    now.duration_since(renewed) < duration
}

fn read<T>(answer: Option<Result<T>>, what: &str, gaps: &mut Vec<Gap>) -> Option<T> {
    match answer? {
        Ok(value) => Some(value),
        Err(error) => {
            gaps.push(gap(what, &error));
            None
        }
    }
}

fn gap(what: &str, error: &CallError) -> Gap {
    Gap {
        stack: StackId::Cluster,
        what: what.to_owned(),
        message: error.to_string(),
        denied: error.is_denied(),
    }
}

#[cfg(test)]
mod tests;
