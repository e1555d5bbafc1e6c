//! CHECKS: named checks across the documents of one commit.
//!
//! Each is about one Ingress, one Service or the objects of one name, so that after a change only what has to do with it
//! is checked again ([`super::known`]); [`super::watchers`] knows what the checks of an Ingress look at. Few documents
//! are what checks of all of them are about.

use std::collections::{BTreeMap, HashMap};

use super::{
    Checks, IamServiceAccount, Ingress, IngressClass, Manifests, Object, ParseOptions, Service,
    ServiceRef,
    annotation::TargetType,
    ingress::{BackendUse, CONTROLLER, PortRef},
    stored,
    watchers::Watchers,
};
use crate::{
    problem::{Origin, Problem, codes},
    shared::Shared,
};

mod effect;
#[cfg(test)]
mod tests;

use effect::ByClass;
pub(super) use effect::speaks_for_group;

/// One check: a name that is also the code of what it finds, and a line on what it looks for.
#[derive(Clone, Copy)]
pub struct Check {
    pub name: &'static str,
    pub doc: &'static str,
    /// LBC finds it only when something asks for it: so do our builders, where its ways are asked for.
    is_asked: bool,
    run: &'static [Run],
}

/// A part of a check, by what it is about.
#[derive(Clone, Copy)]
enum Run {
    /// What it finds counts if the Ingress's class is ours. It looks at the Ingress, its Services, what the members of its
    /// group say ([`speaks_for_group`]), and at classes and their parameters.
    Ingress(fn(&Whole<'_>, &Ingress, &[BackendUse]) -> Vec<Problem>),
    Service(fn(&Service) -> Vec<Problem>),
    /// Objects of one name, in the order of their places.
    Same(fn(&[Shared<Object>]) -> Vec<Problem>),
    /// It looks at classes and IAMServiceAccounts.
    All(fn(&Manifests) -> Vec<Problem>),
}

/// All cross-document checks, in the order in which they run.
pub fn checks() -> &'static [Check] {
    CHECKS
}

const CHECKS: &[Check] = &[
    Check {
        name: codes::DUPLICATE_OBJECT,
        doc: "No object is defined by two documents, whatever their files or API versions (gitops R12).",
        is_asked: false,
        run: &[Run::Same(duplicate_objects), Run::All(duplicate_accounts)],
    },
    Check {
        name: codes::SEVERAL_DEFAULT_CLASSES,
        doc: "At most one IngressClass is the default: of several, the newest is given to an Ingress without a class.",
        is_asked: true,
        run: &[Run::All(several_default_classes)],
    },
    Check {
        name: codes::SERVICE_PORT,
        doc: "A backend's port exists on its Service, where git holds that Service.",
        is_asked: true,
        run: &[Run::Ingress(service_ports)],
    },
    Check {
        name: codes::NODE_PORT,
        doc: "A backend with instance targets is a Service with node ports, where git holds that Service.",
        is_asked: true,
        run: &[Run::Ingress(node_ports)],
    },
    Check {
        name: codes::NO_EFFECT,
        doc: "What an Ingress declares is made use of by something (ingress-model §§2, 4, 5, 8).",
        is_asked: false,
        run: &[
            Run::Ingress(effect::of_ingress),
            Run::Service(effect::of_service),
        ],
    },
    Check {
        name: codes::IAM_DUPLICATE,
        doc: "One ServiceAccount and one role name are declared by one IAMServiceAccount only (irsa.md §9.1).",
        is_asked: false,
        run: &[Run::All(iam_duplicates)],
    },
];

fn runs(options: &ParseOptions) -> impl Iterator<Item = &'static Run> + use<> {
    let is_strict = options.checks == Checks::Strict;
    CHECKS
        .iter()
        .filter(move |check| is_strict || !check.is_asked)
        .flat_map(|check| check.run)
}

/// What the checks look at.
pub(super) struct Whole<'a> {
    pub manifests: &'a Manifests,
    pub options: &'a ParseOptions,
    /// Where many are going to be looked up: by namespace and name; of two with one name, which is a problem, the first.
    services: Option<HashMap<(&'a str, &'a str), &'a Service>>,
    git: effect::Git<'a>,
}

/// From so many documents on it pays to make an index of Services.
const MANY: usize = 1_000;

impl<'a> Whole<'a> {
    /// `looked_at`: how many documents are going to be checked.
    pub fn new(
        manifests: &'a Manifests,
        watchers: &'a Watchers,
        options: &'a ParseOptions,
        looked_at: usize,
    ) -> Self {
        let services = (looked_at >= MANY).then(|| {
            let services = manifests.services.iter();
            services
                // Whoever comes later takes the place: the first counts.
                .rev()
                .map(|service| {
                    let ServiceRef { namespace, name } = &service.reference;
                    ((namespace.as_str(), name.as_str()), &**service)
                })
                .collect()
        });
        Self {
            manifests,
            options,
            services,
            git: effect::Git::new(manifests, watchers),
        }
    }

    /// What is found in an Ingress; its class decides whether it counts.
    pub fn of_ingress(&self, ingress: &Ingress, backends: &[BackendUse]) -> Vec<Problem> {
        runs(self.options)
            .filter_map(|run| match run {
                Run::Ingress(run) => Some(run(self, ingress, backends)),
                _ => None,
            })
            .flatten()
            .collect()
    }

    pub fn of_service(&self, service: &Service) -> Vec<Problem> {
        runs(self.options)
            .filter_map(|run| match run {
                Run::Service(run) => Some(run(service)),
                _ => None,
            })
            .flatten()
            .collect()
    }

    /// What is found in objects of one name.
    pub fn of_same(&self, objects: &[Shared<Object>]) -> Vec<Problem> {
        runs(self.options)
            .filter_map(|run| match run {
                Run::Same(run) => Some(run(objects)),
                _ => None,
            })
            .flatten()
            .collect()
    }

    /// What is found among all documents.
    pub fn of_all(&self) -> Vec<Problem> {
        runs(self.options)
            .filter_map(|run| match run {
                Run::All(run) => Some(run(self.manifests)),
                _ => None,
            })
            .flatten()
            .collect()
    }

    /// The Service of that name; of two, which is a problem, the first, as in the model.
    pub fn service(&self, namespace: &str, name: &str) -> Option<&'a Service> {
        let wanted = (namespace, name);
        if let Some(services) = &self.services {
            return services.get(&wanted).copied();
        }
        fn key(service: &Service) -> (&str, &str) {
            let ServiceRef { namespace, name } = &service.reference;
            (namespace, name)
        }
        let services = &self.manifests.services;
        let start = services.partition_point(|service| key(service) < wanted);
        let first: &Service = services.get(start)?;
        (key(first) == wanted).then_some(first)
    }

    /// Backends whose Services git holds.
    fn held<'b>(
        &self,
        ingress: &Ingress,
        backends: &'b [BackendUse],
    ) -> impl Iterator<Item = (&'b BackendUse, &'a Service)> {
        backends.iter().filter_map(move |backend| {
            let service = self.service(&ingress.namespace, &backend.service.value)?;
            Some((backend, service))
        })
    }
}

/// Whose Ingress it is, as far as git tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ownership {
    Ours,
    Foreign,
    /// The class is not in git: facts decide.
    Undecided,
}

/// Whether an Ingress is ours, by ingress-model.md §1.1 over the classes of git.
pub fn ownership(ingress: &Ingress, classes: &[IngressClass], options: &ParseOptions) -> Ownership {
    let by_controller = |class: &IngressClass| {
        if class.controller == CONTROLLER {
            Ownership::Ours
        } else {
            Ownership::Foreign
        }
    };
    if let Some(annotation) = &ingress.class_annotation {
        let value = annotation.value.as_str();
        let is_ours = if options.ingress_class.is_empty() {
            matches!(value, "" | "alb")
        } else {
            value == options.ingress_class
        };
        return if is_ours {
            Ownership::Ours
        } else {
            Ownership::Foreign
        };
    }
    let found = match &ingress.class_name {
        Some(name) => classes.iter().find(|class| class.name == name.value),
        None => stored::default_class(classes),
    };
    found.map_or(Ownership::Undecided, by_controller)
}

fn duplicate_objects(same: &[Shared<Object>]) -> Vec<Problem> {
    let Some((first, others)) = same.split_first() else {
        return Vec::new();
    };
    let twice =
        |object: &Shared<Object>| defined_twice(&object.origin, &object.reference, &first.origin);
    others.iter().map(twice).collect()
}

fn defined_twice(origin: &Origin, object: impl std::fmt::Display, first: &Origin) -> Problem {
    Problem::new(
        codes::DUPLICATE_OBJECT,
        origin.clone(),
        "this object is defined twice",
    )
    .of(object)
    .hint("keep one of the documents")
    .also(first.clone())
}

/// [`duplicate_objects`] of those that are not sent to the cluster.
fn duplicate_accounts(manifests: &Manifests) -> Vec<Problem> {
    let accounts = &manifests.iam_service_accounts;
    let same = accounts.chunk_by(|a, b| a.namespace == b.namespace && a.name == b.name);
    let pairs = same.filter_map(<[_]>::split_first);
    pairs
        .flat_map(|(first, others)| {
            others.iter().map(|account| {
                let object = format!("IAMServiceAccount {}", account.key());
                defined_twice(&account.origin, object, &first.origin)
            })
        })
        .collect()
}

fn several_default_classes(manifests: &Manifests) -> Vec<Problem> {
    let classes = manifests.classes.iter();
    let mut defaults: Vec<&IngressClass> = classes.filter(|class| class.is_default).collect();
    defaults.sort_by_key(|class| &class.origin);
    let Some((first, others)) = defaults.split_first() else {
        return Vec::new();
    };
    others
        .iter()
        .map(|class| {
            Problem::new(
                codes::SEVERAL_DEFAULT_CLASSES,
                class.origin.clone(),
                format!(
                    "\"{}\" and \"{}\" are both the default class",
                    first.name, class.name
                ),
            )
            .of(format!("IngressClass {}", class.name))
            .hint("only one may be")
            .also(first.origin.clone())
        })
        .collect()
}

fn service_ports(whole: &Whole<'_>, ingress: &Ingress, backends: &[BackendUse]) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (backend, service) in whole.held(ingress, backends) {
        let is_there = service.ports.iter().any(|port| match &backend.port.value {
            PortRef::Name(name) => port.name.as_deref() == Some(name),
            PortRef::Number(number) => port.port == *number,
        });
        if is_there || service.service_type == "ExternalName" {
            continue;
        }
        let known: Vec<String> = service
            .ports
            .iter()
            .map(|port| match &port.name {
                Some(name) => format!("{} ({name})", port.port),
                None => port.port.to_string(),
            })
            .collect();
        let problem = Problem::new(
            codes::SERVICE_PORT,
            backend.port.origin.clone(),
            format!(
                "the Service {} has no port {}",
                service.reference, backend.port.value
            ),
        )
        .of(format!("Ingress {}", ingress.key()))
        .hint(format!(
            "it has {}",
            if known.is_empty() {
                "none".to_owned()
            } else {
                known.join(", ")
            }
        ))
        .also(service.origin.clone());
        problems.push(problem);
    }
    problems
}

fn node_ports(whole: &Whole<'_>, ingress: &Ingress, backends: &[BackendUse]) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (backend, service) in whole.held(ingress, backends) {
        if matches!(service.service_type.as_str(), "NodePort" | "LoadBalancer") {
            continue;
        }
        let setting = [&service.options, &ingress.options]
            .into_iter()
            .find_map(|options| options.target_group.target_type.as_ref());
        let target_type = match (whole.git.by_class(ingress), setting) {
            (ByClass::Set(target_type), _) => Some(target_type),
            (ByClass::Elsewhere, _) => None,
            (ByClass::Unset, Some(setting)) => setting.good().copied(),
            (ByClass::Unset, None) => Some(whole.options.default_target_type),
        };
        if target_type != Some(TargetType::Instance) {
            continue;
        }
        let problem = Problem::new(
            codes::NODE_PORT,
            backend.service.origin.clone(),
            format!(
                "the Service {} is of type {}, and instance targets need node ports",
                service.reference, service.service_type
            ),
        )
        .of(format!("Ingress {}", ingress.key()))
        .hint("write spec.type: NodePort on the Service")
        .also(service.origin.clone());
        problems.push(problem);
    }
    problems
}

fn iam_duplicates(manifests: &Manifests) -> Vec<Problem> {
    let mut declared: Vec<&IamServiceAccount> = manifests.iam_service_accounts.iter().collect();
    declared.sort_by_key(|account| &account.origin);
    let mut accounts: BTreeMap<(&str, &str), &Origin> = BTreeMap::new();
    let mut roles: BTreeMap<String, &Origin> = BTreeMap::new();
    let mut findings = Vec::new();
    let mut refuse =
        |origin: &Origin, account: &IamServiceAccount, message: String, first: &Origin| {
            findings.push(
                Problem::new(codes::IAM_DUPLICATE, origin.clone(), message)
                    .of(format!("IAMServiceAccount {}", account.key()))
                    .hint("one of the documents must go")
                    .also(first.clone()),
            );
        };
    for account in declared {
        let name = account.service_account.name.as_str();
        let key = (account.namespace.as_str(), name);
        match accounts.get(&key) {
            Some(first) => refuse(
                &account.origin,
                account,
                format!(
                    "the ServiceAccount {}/{name} is declared twice",
                    account.namespace
                ),
                first,
            ),
            None => {
                accounts.insert(key, &account.origin);
            }
        }
        let Some(role) = &account.role.name else {
            continue;
        };
        // IAM compares role names without case.
        match roles.get(&role.value.to_ascii_lowercase()) {
            Some(first) => refuse(
                &role.origin,
                account,
                format!("the role \"{}\" is declared twice", role.value),
                first,
            ),
            None => {
                roles.insert(role.value.to_ascii_lowercase(), &role.origin);
            }
        }
    }
    findings
}
