//! What a commit takes out of git, and so out of the cluster, while one of its Ingresses still needs it: Services that it
//! routes to, its class, and that class's parameters.

use std::collections::BTreeSet;

use super::{applied::Applied, desired::Desired, facts::Facts};
use crate::{
    manifest::{self, Ingress, Manifests, ingress::NamedBackend},
    problem::{Located, Origin, Problem, codes},
};

mod disowned;

pub use disowned::disowned;

/// The cluster still has such a Service when the commit is judged; a moment later it would be pruned (decision 25 of the
/// spec: a commit whose Ingress names a Service that will not be there is refused).
pub fn still_needed(
    manifests: &Manifests,
    facts: &Facts,
    desired: &Desired,
    applied: &Applied,
) -> Vec<Problem> {
    let leaving = Leaving::of(manifests, applied, |is_kept| !is_kept);
    if leaving.is_nothing() {
        return Vec::new();
    }
    let members = desired.groups.values().flat_map(|group| &group.members);
    let ours: BTreeSet<String> = members.map(|member| member.key()).collect();
    let ingresses = manifests.ingresses.iter();
    ingresses
        .filter(|ingress| ours.contains(&ingress.key()))
        .flat_map(|ingress| {
            let services = leaving.services_of(ingress);
            services
                .into_iter()
                .chain(leaving.class_of(ingress, manifests, facts))
        })
        .collect()
}

/// Whether git held classes or their parameters that it holds no longer, stay they in the cluster or not: from now on the
/// cluster alone can say what groups were built on.
pub fn classes_leave(manifests: &Manifests, applied: &Applied) -> bool {
    let leaving = Leaving::of(manifests, applied, |_| true);
    !leaving.classes.is_empty() || !leaving.params.is_empty()
}

/// Objects of the cluster that git holds no longer, by name.
#[derive(Default)]
struct Leaving<'a> {
    services: BTreeSet<(&'a str, &'a str)>,
    classes: BTreeSet<&'a str>,
    params: BTreeSet<&'a str>,
}

impl<'a> Leaving<'a> {
    /// `counts`: whether one counts that is kept in the cluster, or is not.
    fn of(manifests: &'a Manifests, applied: &'a Applied, counts: impl Fn(bool) -> bool) -> Self {
        let mut leaving = Self::default();
        let inventory = applied.inventory.iter();
        for (key, _) in inventory.filter(|(_, object)| counts(object.keep)) {
            let name = key.name.as_str();
            match (key.group.as_str(), key.kind.as_str(), &key.namespace) {
                ("", "Service", Some(namespace)) => {
                    leaving.services.insert((namespace.as_str(), name));
                }
                ("networking.k8s.io", "IngressClass", _) => {
                    leaving.classes.insert(name);
                }
                ("elbv2.k8s.aws", "IngressClassParams", _) => {
                    leaving.params.insert(name);
                }
                _ => {}
            }
        }
        for service in &manifests.services {
            let reference = &service.reference;
            let key = (reference.namespace.as_str(), reference.name.as_str());
            leaving.services.remove(&key);
        }
        for class in &manifests.classes {
            leaving.classes.remove(class.name.as_str());
        }
        for params in &manifests.params {
            leaving.params.remove(params.name.as_str());
        }
        leaving
    }

    fn is_nothing(&self) -> bool {
        self.services.is_empty() && self.classes.is_empty() && self.params.is_empty()
    }

    fn services_of(&self, ingress: &Ingress) -> Vec<Problem> {
        let namespace = ingress.namespace.as_str();
        let backends = ingress.named_backends().filter(|it| !it.is_action);
        let needed = backends.filter(|it| self.services.contains(&(namespace, it.name)));
        needed
            .map(|NamedBackend { name, origin, .. }| {
                let message = format!(
                    "Service `{name}` is no longer in git, so it would be deleted from the cluster while this backend \
                     routes to it, in namespace `{namespace}`"
                );
                problem(codes::UNKNOWN_SERVICE, origin, message, ingress)
                    .hint(hint("the Service until nothing routes to it"))
            })
            .collect()
    }

    /// Of the class that it names or goes by, or of that class's parameters.
    fn class_of(&self, ingress: &Ingress, manifests: &Manifests, facts: &Facts) -> Option<Problem> {
        if ingress.class_annotation.is_some() {
            // Classes are not even looked at.
            return None;
        }
        let (name, origin) = match &ingress.class_name {
            Some(Located { value, origin }) => (value.as_str(), origin),
            None => (default_class(manifests, facts)?, &ingress.origin),
        };
        if self.classes.contains(name) {
            let message = match ingress.class_name {
                Some(_) => format!(
                    "IngressClass `{name}` is no longer in git, so it would be deleted from the cluster while this \
                     Ingress is of it"
                ),
                None => format!(
                    "IngressClass `{name}`, the default one, is no longer in git, so it would be deleted from the cluster \
                     while this Ingress, which names none, is of it"
                ),
            };
            let code = codes::UNKNOWN_INGRESS_CLASS;
            let problem = problem(code, origin, message, ingress);
            return Some(problem.hint(hint("the class until no Ingress is of it")));
        }
        let mut classes = manifests.classes.iter();
        let (params, origin) = match classes.find(|it| it.name == name) {
            Some(class) => {
                let parameters = class.parameters.as_ref()?;
                (parameters.value.2.as_str(), &parameters.origin)
            }
            None => {
                let class = facts.ingress_classes.as_ref()?.get(name)?;
                (class.parameters.as_ref()?.name.as_str(), origin)
            }
        };
        self.params.contains(params).then(|| {
            let message = format!(
                "IngressClassParams `{params}` are no longer in git, so they would be deleted from the cluster while \
                 IngressClass `{name}` names them"
            );
            problem(codes::BAD_CLASS, origin, message, ingress)
                .also(ingress.origin.clone())
                .hint(hint("them until no class names them"))
        })
    }
}

/// The class that holds for whoever names none; of git's and the cluster's, which is a problem of its own, git's.
fn default_class<'a>(manifests: &'a Manifests, facts: &'a Facts) -> Option<&'a str> {
    if let Some(class) = manifest::default_class(&manifests.classes) {
        return Some(&class.name);
    }
    let in_git = |name: &String| manifests.classes.iter().any(|class| class.name == *name);
    let mut in_cluster = facts.ingress_classes.iter().flatten();
    let (name, _) = in_cluster.find(|(name, class)| class.is_default && !in_git(name))?;
    Some(name)
}

fn problem(code: &str, origin: &Origin, message: String, ingress: &Ingress) -> Problem {
    Problem::new(code, origin.clone(), message).of(format!("Ingress {}", ingress.key()))
}

fn hint(what: &str) -> String {
    format!(
        "keep {what}; or keep the object in the cluster: give it albsync.dev/prune: disabled in one commit, and remove it in \
         the next"
    )
}
