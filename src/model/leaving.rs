//! Services that a commit takes out of git, and so out of the cluster, while one of its Ingresses still routes to them.

use std::collections::BTreeSet;

use super::{applied::Applied, desired::Desired};
use crate::{
    id::ObjectKey,
    manifest::{Manifests, ingress::NamedBackend},
    problem::{Problem, codes},
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
        for NamedBackend { name, origin, .. } in ingress.named_backends().filter(|it| !it.is_action)
        {
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
