//! Which repositories want two things under one id or name, worked out from the documents alone.

use std::collections::{BTreeMap, BTreeSet};

use super::repository::Repository;

/// Ids of target groups that two different backends of one group get, and names of balancers that two groups want.
pub fn expected(repository: &Repository) -> Vec<String> {
    let mut backends: BTreeMap<(String, String), BTreeSet<(&str, &str)>> = BTreeMap::new();
    let mut names: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    let redirected: BTreeSet<String> = repository
        .ingresses
        .iter()
        .filter(|ingress| ingress.annotations.contains_key("ssl-redirect"))
        .map(super::repository::Ingress::group)
        .collect();
    for ingress in &repository.ingresses {
        if let Some(name) = ingress.annotations.get("load-balancer-name") {
            names.entry(name).or_default().insert(ingress.group());
        }
        if redirected.contains(&ingress.group()) {
            // Which of its rules are built depends on who listens where.
            continue;
        }
        for (_, paths) in &ingress.rules {
            for (_, _, service, port) in paths {
                let id = format!("{}/{}-{service}:{port}", ingress.namespace, ingress.name);
                backends
                    .entry((ingress.group(), id))
                    .or_default()
                    .insert((ingress.name, service));
            }
        }
    }
    let ids = backends
        .into_iter()
        .filter(|(_, backends)| backends.len() > 1)
        .map(|((group, id), _)| format!("{group}: {id}"));
    let names = names
        .into_iter()
        .filter(|(_, groups)| groups.len() > 1)
        .map(|(name, groups)| format!("{name}: {groups:?}"));
    ids.chain(names).collect()
}
