//! What Ingresses of ours name and git does not hold, for whoever looks at git alone: the cluster may hold it, or it is
//! misspelt.

use crate::{
    manifest::{
        self, Ingress, Manifests, Ownership, ParseOptions,
        ingress::{CONTROLLER, NamedBackend},
    },
    problem::{Origin, Problem, codes, nearest::nearest},
    shared::Shared,
};

/// A warning for each Service and each IngressClassParams that is named and not in git. Only of Ingresses and classes that
/// git alone makes ours.
pub fn references(manifests: &Manifests, options: &ParseOptions) -> Vec<Problem> {
    let classes = manifests.classes.iter();
    let ours = classes.filter(|class| class.controller == CONTROLLER);
    let params = ours.filter_map(|class| {
        let named = class.parameters.as_ref()?;
        let known = manifests.params.iter().map(|params| params.name.as_str());
        let object = format!("IngressClass {}", class.name);
        not_in_git("IngressClassParams", &named.value.2, known, &named.origin)
            .map(|it| it.of(object))
    });
    let is_ours = |ingress: &&Shared<Ingress>| {
        manifest::ownership(ingress, &manifests.classes, options) == Ownership::Ours
    };
    let services = manifests
        .ingresses
        .iter()
        .filter(is_ours)
        .flat_map(|ingress| {
            let services = manifests.services.iter().map(|service| &service.reference);
            let known: Vec<&str> = services
                .filter(|service| service.namespace == ingress.namespace)
                .map(|service| service.name.as_str())
                .collect();
            let named = ingress.named_backends().filter(|it| !it.is_action);
            let warnings = named.filter_map(|NamedBackend { name, origin, .. }| {
                let of = format!("Ingress {}", ingress.key());
                not_in_git("Service", name, known.iter().copied(), origin).map(|it| it.of(of))
            });
            warnings.collect::<Vec<_>>()
        });
    params.chain(services).collect()
}

fn not_in_git<'a>(
    kind: &str,
    name: &str,
    mut known: impl Iterator<Item = &'a str> + Clone,
    origin: &Origin,
) -> Option<Problem> {
    let candidates = known.clone();
    if known.any(|known| known == name) {
        return None;
    }
    let message = format!("{kind} `{name}` is not in git: the cluster must hold it");
    let mut problem = Problem::new(codes::NOT_IN_GIT, origin.clone(), message).warning();
    problem.hint = nearest(name, candidates).map(|near| format!("did you mean \"{near}\"?"));
    Some(problem)
}
