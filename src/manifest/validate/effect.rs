//! Declarations that nothing makes use of: LBC passes over them in silence, and somebody meant something by them.
//!
//! Only what git decides is told. Where class, parameters or Services are not in git, what depends on them is left alone.

use std::collections::{BTreeMap, BTreeSet};

use super::Whole;
use crate::{
    manifest::{
        Backend, Ingress, IngressOptions, PathType, Service,
        annotation::{
            PREFIX,
            options::{AuthType, ForwardTo, RuleAction},
            value::{Protocol, TargetType},
        },
        ingress::{BackendUse, PortRef, USE_ANNOTATION},
    },
    problem::{Located, Problem, codes},
};

mod git;
mod group;
#[cfg(test)]
mod tests;

pub(super) use git::{ByClass, Git};
use git::{Params, Said, good, ports};
use group::{of_group, of_params};

/// [`codes::NO_EFFECT`] of an Ingress.
pub(super) fn of_ingress(whole: &Whole<'_>, ingress: &Ingress, _: &[BackendUse]) -> Vec<Problem> {
    if ingress.options == IngressOptions::default() && ingress.tls_hosts.is_empty() {
        return Vec::new();
    }
    let git = &whole.git;
    let mut effects = Effects {
        ingress,
        problems: Vec::new(),
    };
    let params = git.params(ingress);
    of_ports(&mut effects, params);
    of_rules(&mut effects);
    of_backends(&mut effects, whole);
    of_group(&mut effects, params, git);
    if let Params::Known(Some((name, spec))) = params {
        of_params(&mut effects, name, spec);
    }
    effects.problems
}

/// Whether it says something that holds for all members of its group.
pub(in crate::manifest) fn speaks_for_group(ingress: &Ingress) -> bool {
    Said::of(ingress) != Said::default()
}

/// On a Service, `target-control-port` is about that Service's ports.
pub(super) fn of_service(service: &Service) -> Vec<Problem> {
    let mut problems = Vec::new();
    let name = &service.reference.name;
    for (spelled, setting) in &service.options.target_group.control_ports {
        let is_own = service.ports.iter().any(|port| {
            let names = port.name.iter().cloned().chain([port.port.to_string()]);
            names
                .into_iter()
                .any(|port| *spelled == format!("{name}.{port}"))
        });
        if is_own {
            continue;
        }
        let message = format!(
            "the annotation {PREFIX}/target-control-port.{spelled} has no effect: the Service has no such port"
        );
        problems.push(
            Problem::new(codes::NO_EFFECT, setting.origin.clone(), message)
                .of(format!("Service {}", service.reference))
                .hint(format!(
                    "it is {name}, a dot, and one of its ports by name or number"
                )),
        );
    }
    problems
}

/// What one Ingress declares in vain.
struct Effects<'a> {
    ingress: &'a Ingress,
    problems: Vec<Problem>,
}

impl<'a> Effects<'a> {
    /// The annotation has no effect, where it is there.
    fn idle(&mut self, suffix: &str, why: impl std::fmt::Display, hint: impl Into<String>) {
        let is_named = |key: &str| {
            let name = key.strip_prefix(PREFIX);
            name.and_then(|name| name.strip_prefix('/')) == Some(suffix)
        };
        // There are few: looking at each is less than making a key.
        let mut annotations = self.ingress.annotations.iter();
        let Some((key, given)) = annotations.find(|(key, _)| is_named(key)) else {
            return;
        };
        let message = format!("the annotation {key} has no effect: {why}");
        self.add(given, message, hint);
    }

    fn add(&mut self, at: &Located<String>, message: String, hint: impl Into<String>) {
        self.problems.push(
            Problem::new(codes::NO_EFFECT, at.origin.clone(), message)
                .of(format!("Ingress {}", self.ingress.key()))
                .hint(hint),
        );
    }

    /// Service backends, as (name, port), of paths and of the default.
    fn backends(&self) -> impl Iterator<Item = (&'a str, &'a PortRef)> {
        let paths = self.ingress.rules.iter().flat_map(|rule| &rule.paths);
        paths
            .map(|path| &path.backend)
            .chain(&self.ingress.default_backend)
            .filter_map(|backend| match &backend.value {
                Backend::Service { name, port } => Some((name.as_str(), port)),
                Backend::Resource => None,
            })
    }

    /// Names of backends whose action is an annotation's.
    fn bound_actions(&self) -> BTreeSet<&'a str> {
        self.backends()
            .filter(|(_, port)| is_use_annotation(port))
            .map(|(name, _)| name)
            .collect()
    }

    /// The Services that requests are forwarded to, with ports as spelled.
    fn services(&self) -> Vec<(&'a str, &'a PortRef)> {
        let bound = self.bound_actions();
        let plain = self.backends().filter(|(_, port)| !is_use_annotation(port));
        let by_actions = self.ingress.options.rule.actions.iter();
        let by_actions = by_actions
            .filter(|(name, _)| bound.contains(name.as_str()))
            .filter_map(|(_, setting)| setting.good())
            .flat_map(|action| match action {
                RuleAction::Forward { targets, .. } => targets.as_slice(),
                _ => &[],
            })
            .filter_map(|target| match &target.to {
                ForwardTo::Service { name, port } => Some((name.as_str(), port)),
                _ => None,
            });
        plain.chain(by_actions).collect()
    }
}

fn is_use_annotation(port: &PortRef) -> bool {
    matches!(port, PortRef::Name(name) if name == USE_ANNOTATION)
}

/// What goes with a port, or with HTTPS.
fn of_ports(effects: &mut Effects<'_>, params: Params<'_>) {
    let ingress = effects.ingress;
    let Some(ports) = ports(ingress, params) else {
        return;
    };
    let listed: Vec<String> = ports
        .iter()
        .map(|(port, protocol)| format!("{}-{port}", protocol.as_str()))
        .collect();
    let hint = format!("it listens on {}", listed.join(", "));
    for name in ingress.options.listener.attributes.keys() {
        if !listed.contains(name) {
            let why = format!("the Ingress does not listen on {name}");
            effects.idle(&format!("listener-attributes.{name}"), why, hint.clone());
        }
    }
    let mutual = good(ingress.options.listener.mutual_authentication.as_ref());
    for port in mutual.into_iter().flat_map(BTreeMap::keys) {
        if ports.get(port) != Some(&Protocol::Https) {
            let why = format!("the Ingress does not listen on HTTPS-{port}");
            effects.idle("mutual-authentication", why, hint.clone());
        }
    }
    if ports.values().any(|protocol| *protocol == Protocol::Https) {
        return;
    }
    let hint = "add {\"HTTPS\":443} to listen-ports";
    if let Some(host) = ingress.tls_hosts.first() {
        let message = "spec.tls has no effect: the Ingress listens on no HTTPS port".to_owned();
        effects.add(host, message, hint);
    }
    let is_signed_in = good(ingress.options.auth.auth_type.as_ref())
        .is_some_and(|auth_type| *auth_type != AuthType::None);
    let suffixes = ["certificate-arn", "ssl-policy", "jwt-validation"];
    for suffix in suffixes
        .into_iter()
        .chain(is_signed_in.then_some("auth-type"))
    {
        effects.idle(suffix, "the Ingress listens on no HTTPS port", hint);
    }
}

/// What goes with a backend's name.
fn of_rules(effects: &mut Effects<'_>) {
    let rule = &effects.ingress.options.rule;
    let bound = effects.bound_actions();
    for name in rule
        .actions
        .keys()
        .filter(|name| !bound.contains(name.as_str()))
    {
        effects.idle(
            &format!("actions.{name}"),
            format!("no backend is named {name} with the port use-annotation"),
            format!("write backend: {{service: {{name: {name}, port: {{name: use-annotation}}}}}}"),
        );
    }
    let paths = effects.ingress.rules.iter().flat_map(|rule| &rule.paths);
    let named: BTreeSet<&str> = paths
        .clone()
        .filter_map(|path| match &path.backend.value {
            Backend::Service { name, .. } => Some(name.as_str()),
            Backend::Resource => None,
        })
        .collect();
    let conditions = rule.conditions.keys().map(|name| ("conditions", name));
    let transforms = rule.transforms.keys().map(|name| ("transforms", name));
    for (family, name) in conditions.chain(transforms) {
        if !named.contains(name.as_str()) {
            effects.idle(
                &format!("{family}.{name}"),
                format!("no path has a backend named {name}"),
                crate::problem::nearest::did_you_mean(name, named.iter().copied())
                    .unwrap_or_else(|| "it goes by the backend's Service name".to_owned()),
            );
        }
    }
    let is_specific = |path: &crate::manifest::IngressPath| {
        path.path_type == PathType::ImplementationSpecific && !path.path.is_empty()
    };
    if good(rule.use_regex_path_match.as_ref()) == Some(&true) && !paths.clone().any(is_specific) {
        effects.idle(
            "use-regex-path-match",
            "no path is of type ImplementationSpecific",
            "only such paths are read as regular expressions",
        );
    }
}

/// Of sign-in, everything but its type.
const AUTH: &[&str] = &[
    "auth-idp-cognito",
    "auth-idp-oidc",
    "auth-on-unauthenticated-request",
    "auth-scope",
    "auth-session-cookie",
    "auth-session-timeout",
];

/// What goes with the Services that requests are forwarded to.
fn of_backends(effects: &mut Effects<'_>, whole: &Whole<'_>) {
    let ingress = effects.ingress;
    let services = effects.services();
    let control_ports = &ingress.options.target_group.control_ports;
    let spelled: BTreeSet<String> = services
        .iter()
        .filter(|_| !control_ports.is_empty())
        .map(|(name, port)| format!("{name}.{port}"))
        .collect();
    for name in control_ports.keys() {
        if !spelled.contains(name) {
            let listed: Vec<&str> = spelled.iter().map(String::as_str).collect();
            effects.idle(
                &format!("target-control-port.{name}"),
                format!("no backend is {name}"),
                format!(
                    "backends are {}, as the Ingress spells them",
                    listed.join(", ")
                ),
            );
        }
    }
    let held: Option<Vec<&Service>> = services
        .iter()
        .map(|(name, _)| whole.service(&ingress.namespace, name))
        .collect();
    let Some(held) = held else {
        return;
    };
    let has_type = ingress.options.auth.auth_type.is_some()
        || held
            .iter()
            .any(|service| service.options.auth.auth_type.is_some());
    for suffix in AUTH.iter().filter(|_| !has_type) {
        effects.idle(suffix, "nobody has to sign in", "add auth-type");
    }
    let is_overridden = held
        .iter()
        .any(|service| service.options.target_group.target_type.is_some());
    let target_type = good(ingress.options.target_group.target_type.as_ref());
    if target_type == Some(&TargetType::Ip) && !is_overridden {
        effects.idle(
            "target-node-labels",
            "targets are pods",
            "it chooses nodes for target-type instance",
        );
    }
}
