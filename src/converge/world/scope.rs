//! Which stacks a pass works on, and what is asked before it: dry runs and rights.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use futures::FutureExt;

use super::{
    super::{Context, Run, Stopped, load, load::Loaded, partial},
    facts,
};
use crate::{
    cluster::Right,
    daemon::schedule::Trigger,
    id::{ObjectKey, StackId},
    manifest::{Manifests, place},
    model::{
        applied::{Applied, changed_stacks},
        desired::Desired,
        facts::Facts,
        observed::{DryRun, Gap, ObservedObject},
    },
    observe,
    plan::op::Action,
    problem::Problem,
    source::snapshot::Snapshot,
};

/// What a server-side dry run says of objects that would change: problems at their places, what could not be asked, and
/// what was seen.
pub async fn dry_run(
    cx: &Context,
    files: &Snapshot,
    manifests: &Manifests,
    desired: &Desired,
) -> (Vec<Problem>, Vec<Gap>, Looked) {
    let options = load::parse_options(&cx.config);
    let inventory = cx.store.applied().inventory;
    let scope = observe::cluster::Scope::Changed {
        also: BTreeSet::new(),
    };
    let (objects, gaps) =
        observe::cluster::objects(&*cx.cluster, &desired.objects, &inventory, &scope)
            .boxed()
            .await;
    let problems = desired
        .objects
        .iter()
        .filter_map(|object| {
            let DryRun::Refused(message) =
                objects.get(&object.reference.key())?.dry_run.as_ref()?
            else {
                return None;
            };
            let key = object.reference.key();
            let document = manifests
                .objects
                .iter()
                .find(|document| document.reference.key() == key);
            let origin = document.map_or_else(
                || object.origin.clone(),
                |document| place::of_message(files, &options, document, message),
            );
            Some(
                Problem::new(
                    "refused-by-api-server",
                    origin,
                    format!("the API server refuses it: {message}"),
                )
                .of(&object.reference),
            )
        })
        .collect();
    (problems, gaps, objects)
}

/// Objects as they were seen.
pub type Looked = BTreeMap<ObjectKey, ObservedObject>;

/// Rights in the cluster that this commit needs and we do not have.
pub async fn missing_rights(cx: &Context, desired: &Desired) -> Result<Vec<Right>, Stopped> {
    let inventory = cx.store.applied().inventory;
    let (missing, gaps) =
        observe::cluster::missing_rights(&*cx.cluster, &desired.objects, &inventory)
            .boxed()
            .await;
    match gaps.into_iter().next() {
        None => Ok(missing),
        Some(gap) => Err(Stopped::new(
            "ClusterUnreachable",
            format!("{}: {}", gap.what, gap.message),
        )),
    }
}

/// Kinds that the model takes from git as they are: applying them teaches no fact.
const WITHOUT_FACTS: [&str; 7] = [
    "ConfigMap",
    "CronJob",
    "DaemonSet",
    "Deployment",
    "Ingress",
    "Job",
    "StatefulSet",
];

/// Whether an operation may change what the model is made from.
fn teaches(action: &Action) -> bool {
    match action {
        Action::ApplyObject { reference, .. } => !WITHOUT_FACTS.contains(&reference.kind.as_str()),
        _ => true,
    }
}

/// The desired state for the second half: built anew when the first half changed what it is made from, or when
/// something waited for that.
pub async fn rebuild(cx: &Context, loaded: &Loaded, runs: &[Run]) -> (Desired, Arc<Facts>, bool) {
    let learnt = runs
        .iter()
        .filter(|run| run.outcome.done > 0)
        .flat_map(|run| &run.plan.ops)
        .any(|op| teaches(&op.action));
    if !learnt && loaded.desired.waiting.is_empty() {
        let facts = Arc::clone(&loaded.facts);
        return (loaded.desired.clone(), facts, loaded.is_sound());
    }
    let (facts, gaps) = facts(cx, &loaded.manifests).await;
    let built = load::build(cx, &loaded.manifests, &facts);
    let built = partial::settle(built, &loaded.manifests, &loaded.held_back, &loaded.older);
    // Warnings keep nothing from being built, and were told when the commit was judged.
    let problems = built.problems.iter().filter(|problem| problem.is_grave());
    for problem in problems {
        tracing::warn!(place = %problem.origin, code = %problem.code, "cannot be built now: {problem}");
    }
    let sound = gaps.is_empty() && !built.problems.iter().any(Problem::is_grave);
    (built.value, Arc::new(facts), sound)
}

/// Which stacks a pass works on: what differs from what was applied last; in a full pass everything. Where something
/// could not be built (`!sound`), nothing is taken down: invalid never means delete.
pub fn scope(
    cx: &Context,
    desired: &Desired,
    applied: &Applied,
    trigger: Trigger,
    sound: bool,
) -> BTreeSet<StackId> {
    let mut scope = changed_stacks(desired, applied);
    scope.extend(cx.world.unfinished());
    let wanted: BTreeSet<StackId> = desired.stacks().into_keys().collect();
    let known = applied.known_stacks();
    scope.extend(
        cx.world
            .again()
            .into_iter()
            .filter(|stack| wanted.contains(stack) || known.contains(stack)),
    );
    if trigger.is_full() {
        scope.extend(wanted.iter().cloned());
        scope.extend(known);
    }
    if trigger == Trigger::Cluster {
        scope.insert(StackId::Cluster);
    }
    if !sound {
        scope.retain(|stack| wanted.contains(stack));
    }
    for wait in &desired.waiting {
        scope.remove(&wait.stack);
    }
    scope
}
