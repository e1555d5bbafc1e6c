//! Whether the manifests may ask for so much that limits of the account matter.
//!
//! Counted generously and without building anything: too much costs one call a day, too little leaves a limit unsaid.

use crate::{
    manifest::{
        Ingress, Manifests,
        annotation::options::RuleAction,
        ingress::{Backend, IngressPath},
    },
    model::{facts::Facts, group::split},
};

use super::{discovers_certificates, good};

/// From this many of something on, limits are read: AWS grants no account less than four times as much
/// (aws-deploy §10.1).
pub const FEW_RULES: usize = 25;
pub const FEW_TARGET_GROUPS: usize = 25;
pub const FEW_INGRESSES: usize = 12;
pub const FEW_LISTENERS: usize = 12;
pub const FEW_CERTIFICATES: usize = 6;
pub const FEW_TARGETS: usize = 250;

/// A prefix is itself and what is below it.
const VALUES_OF_A_PATH: usize = 2;

/// Sums over all Ingresses, as if all were one group.
pub fn may_be(manifests: &Manifests, cluster: &Facts) -> bool {
    let ingresses = &manifests.ingresses;
    let sum = |of: fn(&Ingress) -> usize| {
        let each = ingresses.iter().map(|ingress| of(ingress));
        each.fold(0, usize::saturating_add)
    };
    let of_classes = manifests.params.iter();
    let of_classes = of_classes.map(|params| params.spec.certificate_arns.len());
    let certificates = of_classes.fold(sum(certificates), usize::saturating_add);
    let target_groups = sum(target_groups);
    let nodes = cluster.nodes.as_ref().map_or(0, Vec::len);
    let pods = cluster.endpoints.iter().flat_map(|it| it.values());
    let targets = target_groups.saturating_mul(nodes) + pods.map(Vec::len).sum::<usize>();
    ingresses.len() > FEW_INGRESSES
        || sum(ports) > FEW_LISTENERS
        || sum(rules) > FEW_RULES
        || certificates > FEW_CERTIFICATES
        || target_groups > FEW_TARGET_GROUPS
        || targets > FEW_TARGETS
}

/// Each is a listener, and may be one of a frontend NLB.
fn ports(ingress: &Ingress) -> usize {
    good(&ingress.options.listener.listen_ports).map_or(1, |ports| ports.len().max(1))
}

fn paths(ingress: &Ingress) -> impl Iterator<Item = &IngressPath> {
    ingress.rules.iter().flat_map(|rule| &rule.paths)
}

/// Each path once on every port, in all its parts.
fn rules(ingress: &Ingress) -> usize {
    let parts = paths(ingress).map(|path| parts(ingress, path));
    parts
        .fold(0, usize::saturating_add)
        .saturating_mul(ports(ingress))
}

/// At most one for each choice of one value of each condition. The values of the path, and the host where a condition
/// names others, come in beside those of the annotation.
fn parts(ingress: &Ingress, path: &IngressPath) -> usize {
    let Backend::Service { name, .. } = &path.backend.value else {
        return 1;
    };
    let conditions = ingress.options.rule.conditions.get(name);
    let Some(conditions) = conditions.and_then(|setting| setting.good()) else {
        return 1;
    };
    let counts = conditions
        .iter()
        .map(|condition| split::count(condition) + 1);
    match conditions.is_empty() {
        true => 1,
        false => counts.fold(VALUES_OF_A_PATH, usize::saturating_mul),
    }
}

/// One for each backend, and one for each target that an action forwards to.
fn target_groups(ingress: &Ingress) -> usize {
    let actions = ingress.options.rule.actions.values();
    let forwards = actions.filter_map(|setting| match setting.good()? {
        RuleAction::Forward { targets, .. } => Some(targets.len()),
        _ => None,
    });
    let backends = paths(ingress).count() + usize::from(ingress.default_backend.is_some());
    forwards.fold(backends, usize::saturating_add)
}

/// Those it names; else one for each host, if it is to be found by that.
fn certificates(ingress: &Ingress) -> usize {
    let named = good(&ingress.options.listener.certificate_arns).map_or(0, Vec::len);
    let of_rules = match discovers_certificates(&ingress.options, None) {
        true => ingress.rules.len(),
        false => 0,
    };
    named + ingress.tls_hosts.len() + of_rules
}
