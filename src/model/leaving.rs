//! Services that a commit takes out of git, and so out of the cluster, while one of its Ingresses still routes to them.

use std::collections::BTreeSet;

use super::{applied::Applied, desired::Desired};
use crate::{
    id::ObjectKey,
    manifest::{
        Ingress, Manifests,
        annotation::{
            Setting,
            options::{ForwardTo, RuleAction},
        },
        ingress::{Backend, PortRef, USE_ANNOTATION},
    },
    problem::{Origin, Problem, codes},
};

/// The cluster still has such a Service when the commit is judged; a moment later it would be pruned (decision 25 of the
/// spec: a commit whose Ingress names a Service that will not be there is refused).
pub fn still_needed(manifests: &Manifests, desired: &Desired, applied: &Applied) -> Vec<Problem> {
    let inventory = applied.inventory.iter();
    let mut leaving: BTreeSet<(&str, &str)> = inventory
        .filter(|(key, object)| is_service(key) && !object.keep)
        .filter_map(|(key, _)| Some((key.namespace.as_deref()?, key.name.as_str())))
        .collect();
    for service in &manifests.services {
        let reference = &service.reference;
        leaving.remove(&(reference.namespace.as_str(), reference.name.as_str()));
    }
    if leaving.is_empty() {
        return Vec::new();
    }
    let members = desired.groups.values().flat_map(|group| &group.members);
    let ours: BTreeSet<String> = members.map(|member| member.reference.to_string()).collect();
    let mut problems = Vec::new();
    for ingress in &manifests.ingresses {
        let object = format!("Ingress {}", ingress.key());
        if !ours.contains(&object) {
            continue;
        }
        for (name, origin) in backends(ingress) {
            if !leaving.contains(&(ingress.namespace.as_str(), name)) {
                continue;
            }
            let message = format!(
                "Service `{name}` is no longer in git, so it would be deleted from the cluster while this backend routes \
                 to it, in namespace `{}`",
                ingress.namespace
            );
            let problem = Problem::new(codes::UNKNOWN_SERVICE, origin.clone(), message);
            problems.push(problem.of(object.clone()).hint(
                "keep the Service until nothing routes to it; or keep it in the cluster: give it albsync.dev/prune: \
                 disabled in one commit, and remove it in the next",
            ));
        }
    }
    problems
}

fn is_service(key: &ObjectKey) -> bool {
    key.group.is_empty() && key.kind == "Service"
}

/// The Services that its rules, its default and its actions lead to, with the places that say so.
pub(super) fn backends(ingress: &Ingress) -> impl Iterator<Item = (&str, &Origin)> {
    let paths = ingress.rules.iter().flat_map(|rule| &rule.paths);
    let plain = paths
        .map(|path| &path.backend)
        .chain(&ingress.default_backend)
        .filter_map(|backend| match &backend.value {
            // Then the name is an annotation's.
            Backend::Service {
                port: PortRef::Name(port),
                ..
            } if port == USE_ANNOTATION => None,
            Backend::Service { name, .. } => Some((name.as_str(), &backend.origin)),
            Backend::Resource => None,
        });
    let actions = ingress.options.rule.actions.values();
    let forwards = actions
        .filter_map(|action| match Setting::good(action)? {
            RuleAction::Forward { targets, .. } => Some((targets, &action.origin)),
            _ => None,
        })
        .flat_map(|(targets, origin)| {
            targets.iter().filter_map(move |target| match &target.to {
                ForwardTo::Service { name, .. } => Some((name.as_str(), origin)),
                _ => None,
            })
        });
    plain.chain(forwards)
}
