//! Ingresses that a commit leaves as they are and makes nobody's, by what it does to their class.

use std::collections::BTreeSet;

use super::problem;
use crate::{
    manifest::{Ingress, IngressClass, Manifests},
    model::{
        applied::Applied, desired::Desired, facts::Facts, group::class::is_foreign,
        settings::Settings,
    },
    problem::{Problem, codes},
};

/// LBC takes the balancer of such an Ingress down without a word. An Ingress that itself names another controller's class
/// asks for that; one whose class is the default no more, or goes to another controller, hardly does.
pub fn disowned(
    manifests: &Manifests,
    facts: &Facts,
    settings: &Settings,
    desired: &Desired,
    applied: &Applied,
) -> Vec<Problem> {
    let changed = changed_classes(manifests, desired, applied);
    if changed.is_empty() {
        return Vec::new();
    }
    let stacks = applied.stacks.values();
    let members: BTreeSet<&String> = stacks
        .filter_map(|stack| stack.grounds.as_ref())
        .flat_map(|grounds| &grounds.members)
        .collect();
    let ingresses = manifests.ingresses.iter();
    ingresses
        .filter(|ingress| members.contains(&ingress.key()))
        .filter(|ingress| is_foreign(ingress, manifests, facts, settings))
        .filter_map(|ingress| told(ingress, &changed))
        .collect()
}

/// Classes that were applied otherwise than git has them now.
fn changed_classes<'a>(
    manifests: &'a Manifests,
    desired: &Desired,
    applied: &Applied,
) -> Vec<&'a IngressClass> {
    let objects = desired.objects.iter();
    let changed: BTreeSet<&str> = objects
        .filter(|object| object.reference.kind == "IngressClass")
        .filter(|object| {
            let last = applied.inventory.get(&object.reference.key());
            last.is_some_and(|last| last.digest != object.digest())
        })
        .map(|object| object.reference.name.as_str())
        .collect();
    let classes = manifests.classes.iter();
    classes
        .filter(|class| changed.contains(class.name.as_str()))
        .collect()
}

fn told(ingress: &Ingress, changed: &[&IngressClass]) -> Option<Problem> {
    if ingress.class_annotation.is_some() {
        return None;
    }
    let (class, origin, message, hint) = match &ingress.class_name {
        Some(name) => {
            let class = changed.iter().find(|class| class.name == name.value)?;
            let message = format!(
                "IngressClass `{}` is another controller's now, `{}`, so what was applied for this Ingress would be deleted",
                class.name, class.controller
            );
            let hint = "keep the class's spec.controller; to hand this Ingress over, name another class in its \
                        spec.ingressClassName";
            (class, &name.origin, message, hint)
        }
        None => {
            let message = "no class is given, and this commit leaves no default one of ours, so what was applied for this \
                           Ingress would be deleted"
                .to_owned();
            let hint = "keep the annotation ingressclass.kubernetes.io/is-default-class: \"true\" and the spec.controller of \
                        the class, or set spec.ingressClassName";
            (changed.first()?, &ingress.origin, message, hint)
        }
    };
    Some(
        problem(codes::CLASS_LOST, origin, message, ingress)
            .also(class.origin.clone())
            .hint(hint),
    )
}
