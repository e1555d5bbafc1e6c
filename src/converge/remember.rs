//! What must still be known when account or cluster no longer say it.

use std::{borrow::Cow, collections::BTreeSet, sync::Arc};

use super::{Context, Stopped, load::Loaded};
use crate::{
    id::StackId,
    model::{
        applied::{Applied, AppliedChange},
        confine::Naming,
        desired::Desired,
        facts::Facts,
        grounds::{Grounds, Trust},
        leaving,
        observed::Observed,
    },
};

/// Whether groups were built on parameters of classes that only the cluster held.
pub fn class_params(cx: &Context) -> bool {
    cx.store.read_applied(|applied| {
        let mut all = applied.stacks.values().filter_map(|it| it.grounds.as_ref());
        all.any(|grounds| !grounds.ingress_class_params.is_empty())
    })
}

/// The facts with the classes and parameters that are gone: what groups needed by them is to be looked up all the same,
/// for these groups stay.
pub fn with_gone_classes<'a>(cx: &Context, facts: &'a Facts) -> Cow<'a, Facts> {
    let mut facts = Cow::Borrowed(facts);
    cx.store.read_applied(|applied| {
        let all = applied.stacks.values();
        for grounds in all.filter_map(|it| it.grounds.as_ref()) {
            if grounds.misses_classes(&facts) {
                grounds.fill_classes(facts.to_mut(), Trust::Present);
            }
        }
    });
    facts
}

/// Keeps the facts that groups were built on, for the day when they are gone: of the groups that were looked at and are
/// applied as they are wanted.
pub fn grounds(
    cx: &Context,
    loaded: &Loaded,
    desired: &Desired,
    facts: &Facts,
    seen: &[Observed],
) -> Result<(), Stopped> {
    let looked_at = seen.iter().flat_map(|observed| observed.groups.keys());
    let looked_at: BTreeSet<&String> = looked_at.collect();
    if looked_at.is_empty() {
        return Ok(());
    }
    keep(cx, loaded, desired, facts, looked_at)
}

/// Keeps the facts of all groups where classes or their parameters leave git: nothing of a group is different then, so
/// nobody looks at it, and yet it hangs on what the cluster alone holds from now on. To be called before anything is
/// deleted.
pub fn leaving_classes(
    cx: &Context,
    loaded: &Loaded,
    desired: &Desired,
    facts: &Facts,
) -> Result<(), Stopped> {
    let manifests = &loaded.manifests;
    let classes_leave = |applied: &Applied| leaving::classes_leave(manifests, applied);
    if !cx.store.read_applied(classes_leave) {
        return Ok(());
    }
    keep(cx, loaded, desired, facts, desired.groups.keys().collect())
}

fn keep(
    cx: &Context,
    loaded: &Loaded,
    desired: &Desired,
    facts: &Facts,
    groups: BTreeSet<&String>,
) -> Result<(), Stopped> {
    let naming = Naming::of(&loaded.manifests);
    let kept: BTreeSet<&StackId> = desired.kept.iter().map(|kept| &kept.stack).collect();
    // Those were not built on the facts of the moment alone.
    let past = (!kept.is_empty()).then(|| {
        let mut facts = facts.clone();
        cx.store.read_applied(|applied| {
            let last = kept.iter().filter_map(|stack| applied.stacks.get(*stack));
            for grounds in last.filter_map(|last| last.grounds.as_ref()) {
                grounds.fill(&mut facts, Trust::Past);
            }
        });
        facts
    });
    let mut changes = Vec::new();
    for id in groups {
        let stack = StackId::Group(id.clone());
        let Some(group) = desired.groups.get(id) else {
            continue;
        };
        let digest = group.digest();
        let last = cx.store.read_applied(|applied| {
            let last = applied.stacks.get(&stack);
            last.filter(|last| last.digest == digest).cloned()
        });
        let Some(last) = last else {
            continue;
        };
        let facts = match &past {
            Some(past) if kept.contains(&stack) => past,
            _ => facts,
        };
        let grounds = Grounds::of(group, &naming, facts);
        if last.grounds.is_none_or(|last| *last != grounds) {
            changes.push(AppliedChange::SetGrounds(stack, Arc::new(grounds)));
        }
    }
    cx.store.commit(&changes).map_err(Stopped::store)
}
