//! What people are told: events on objects, the status, the log. Nothing here changes what a pass came to (gitops G84).

use std::collections::{BTreeMap, BTreeSet};

use futures::FutureExt;

use super::{Context, Run, load::Loaded};
use crate::{
    id::{ObjectRef, ResourceId, Revision, StackId},
    manifest::{Manifests, ingress::CONTROLLER},
    model::{
        applied::Applied,
        confine,
        desired::Desired,
        observed::{Gap, Observed},
    },
    observe,
    plan::history::HeldBack,
    problem::Problem,
    report::{LoadBalancerStatus, WaitStatus, event, event::Subject},
};

/// Ingresses of our classes that are in the cluster and not in git: told, never changed (decision 3 of the spec).
pub async fn foreign_ingresses(cx: &Context, loaded: &Loaded) {
    let of_git = loaded
        .manifests
        .classes
        .iter()
        .map(|class| (&class.name, class.controller.as_str(), class.is_default));
    let of_cluster = loaded
        .facts
        .ingress_classes
        .iter()
        .flatten()
        .map(|(name, class)| (name, class.controller.as_str(), class.is_default));
    let ours: Vec<_> = of_git
        .chain(of_cluster)
        .filter(|(_, controller, _)| *controller == CONTROLLER)
        .collect();
    let classes = observe::cluster::OurClasses {
        names: ours.iter().map(|(name, ..)| (*name).clone()).collect(),
        annotation: cx.config.ingress.class.clone(),
        default_is_ours: ours.iter().any(|(_, _, is_default)| *is_default),
    };
    let inventory = cx.store.applied().inventory;
    let (foreign, gaps) = observe::cluster::foreign_ingresses(
        &*cx.cluster,
        &loaded.desired.objects,
        &inventory,
        &classes,
    )
    .boxed()
    .await;
    if let Some(gap) = gaps.first() {
        tracing::warn!(what = %gap.what, "foreign Ingresses are not known: {}", gap.message);
        return;
    }
    let mut members: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for ingress in &foreign {
        members
            .entry(ingress.group.clone())
            .or_default()
            .insert(ingress.object.to_string());
    }
    cx.world.set_foreign_members(members);
    cx.reporter.foreign_ingresses(
        foreign
            .iter()
            .map(|ingress| format!("{} (group {})", ingress.object, ingress.group))
            .collect(),
    );
}

/// Tells the live objects that a refused commit names; never fails a pass (gitops G84).
pub async fn rejected(cx: &Context, tip: &Revision, problems: &[Problem]) {
    let live: Vec<Subject> = cx
        .store
        .applied()
        .inventory
        .into_values()
        .map(|object| Subject {
            object: object.reference,
            uid: object.uid,
        })
        .collect();
    event::send(
        &*cx.cluster,
        &event::of_problems(Some(tip), problems, &live),
    )
    .boxed()
    .await;
}

/// Tells the live objects of parts that are held back; never fails a pass (gitops G84).
pub async fn held_back(cx: &Context, tip: &Revision, held_back: &[HeldBack]) {
    let applied = cx.store.applied();
    let mut events = Vec::new();
    for held in held_back {
        let members = held
            .members
            .iter()
            .filter_map(|key| applied.inventory.get(key));
        for object in members {
            let subject = Subject {
                object: object.reference.clone(),
                uid: object.uid.clone(),
            };
            events.push(event::held_back(&subject, tip, held));
        }
    }
    event::send(&*cx.cluster, &events).boxed().await;
}

/// Tells everything that routes that the branch was rewritten (decision 18 of the spec); never fails a pass.
pub async fn rewritten(cx: &Context, text: &str) {
    let events: Vec<_> = cx
        .store
        .applied()
        .inventory
        .into_values()
        .filter(|object| matches!(object.reference.kind.as_str(), "Ingress" | "ServiceAccount"))
        .map(|object| {
            event::rewritten(
                &Subject {
                    object: object.reference,
                    uid: object.uid,
                },
                text,
            )
        })
        .collect();
    event::send(&*cx.cluster, &events).boxed().await;
}

/// Who hears of a stack: its Ingresses, its ServiceAccount.
pub fn subjects(desired: &Desired, seen: &[Observed], applied: &Applied) -> event::Subjects {
    let subject = |reference: &ObjectRef| {
        let key = reference.key();
        let uid = seen
            .iter()
            .find_map(|observed| {
                observed
                    .objects
                    .get(&key)?
                    .live
                    .as_ref()
                    .map(|live| live.uid.clone())
            })
            .or_else(|| {
                applied
                    .inventory
                    .get(&key)
                    .and_then(|object| object.uid.clone())
            });
        Subject {
            object: reference.clone(),
            uid,
        }
    };
    let mut subjects = event::Subjects::new();
    for (group, stack) in &desired.groups {
        let members = stack
            .members
            .iter()
            .map(|member| subject(&member.reference))
            .collect();
        subjects.insert(StackId::Group(group.clone()), members);
    }
    for (role, stack) in &desired.roles {
        if let Some(account) = &stack.service_account {
            subjects.insert(StackId::Role(role.clone()), vec![subject(account)]);
        }
    }
    let shared: Vec<Subject> = desired
        .objects
        .iter()
        .filter(|object| matches!(object.reference.kind.as_str(), "Ingress" | "ServiceAccount"))
        .map(|object| subject(&object.reference))
        .collect();
    subjects.insert(StackId::Cluster, shared);
    subjects
}

/// Shows what waits, and tells the objects that are concerned when that is new: one member, or everybody of a stack that
/// waits whole.
pub async fn waits(cx: &Context, loaded: &Loaded, desired: &Desired) {
    let waits = waiting(desired);
    let known = cx.reporter.status().waits;
    let nothing = Manifests::default();
    let mut new: BTreeMap<String, &str> = BTreeMap::new();
    for wait in waits.iter().filter(|wait| !known.contains(wait)) {
        let objects = match &wait.object {
            Some(object) => vec![object.clone()],
            None => confine::members(&wait.stack, &loaded.manifests, &nothing)
                .iter()
                .map(ToString::to_string)
                .collect(),
        };
        new.extend(objects.into_iter().map(|it| (it, wait.reason.as_str())));
    }
    let inventory = match new.is_empty() {
        true => BTreeMap::new(),
        false => cx.store.applied().inventory,
    };
    let events: Vec<_> = inventory
        .into_values()
        .filter_map(|object| {
            let reason = new.get(&object.reference.to_string())?;
            let subject = Subject {
                object: object.reference,
                uid: object.uid,
            };
            Some(event::waits(&subject, reason))
        })
        .collect();
    cx.reporter.waits(waits);
    event::send(&*cx.cluster, &events).boxed().await;
}

/// What waits, and what goes on but for a part.
fn waiting(desired: &Desired) -> Vec<WaitStatus> {
    let whole = desired.waiting.iter().map(|wait| WaitStatus {
        stack: wait.stack.clone(),
        object: None,
        reason: format!("{}: {}", wait.origin, wait.reason),
    });
    let parts = desired.kept.iter().map(|kept| WaitStatus {
        stack: kept.stack.clone(),
        object: kept.problem.object.clone(),
        reason: format!(
            "{}: {}: {}",
            kept.what(),
            kept.problem.origin,
            kept.problem.message
        ),
    });
    whole.chain(parts).collect()
}

/// The records of the tip and of what is in force, as people see them; without a `head` the tip stays the one it was.
pub fn publish(cx: &Context, head: Option<&Revision>) {
    let known = cx.reporter.status().head.map(|head| head.revision);
    let head = head
        .or(known.as_ref())
        .and_then(|revision| cx.store.revision(revision));
    let in_force = cx
        .store
        .in_force()
        .and_then(|revision| cx.store.revision(&revision));
    cx.reporter.records(head.as_ref(), in_force.as_ref());
}

pub fn load_balancers(cx: &Context, desired: &Desired) {
    let applied = cx.store.applied();
    let names = cx.world.dns_names();
    let shown: BTreeMap<String, LoadBalancerStatus> = desired
        .groups
        .iter()
        .filter_map(|(group, stack)| {
            let arn = applied
                .resources
                .get(&ResourceId::load_balancer(group))?
                .arn
                .clone()?;
            let status = LoadBalancerStatus {
                group: group.clone(),
                name: stack.load_balancer.name.clone(),
                dns_name: names.get(&arn).cloned().unwrap_or_default(),
                arn: arn.to_string(),
            };
            Some((group.clone(), status))
        })
        .collect();
    cx.reporter.load_balancers(shown);
}

/// What could not be read; an operator must learn which right is missing (AWS names its actions as its operations).
pub fn unread(gap: &Gap) -> String {
    let denied = if gap.denied {
        "; the right is missing"
    } else {
        ""
    };
    format!(
        "{} could not be read ({}): {}{denied}",
        gap.what, gap.stack, gap.message
    )
}

pub fn failures(runs: &[Run], gaps: &[Gap]) -> Vec<String> {
    let failed = runs
        .iter()
        .flat_map(|run| &run.outcome.failed)
        .map(|failed| format!("{} ({}): {}", failed.what, failed.stack, failed.error));
    let unread = gaps.iter().map(unread);
    let mut all: Vec<String> = failed.chain(unread).collect();
    all.sort();
    all.dedup();
    all
}
