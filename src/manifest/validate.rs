//! CHECKS: named checks across the documents of one commit.

use std::collections::{BTreeMap, HashMap};

use super::{
    Checks, IamServiceAccount, Ingress, IngressClass, ParseOptions, Service, ServiceRef,
    annotation::TargetType,
    document::{Document, Typed},
    ingress::{BackendUse, CONTROLLER, PortRef},
    stored,
};
use crate::{
    problem::{Origin, Problem, codes},
    shared::Shared,
};

mod effect;
#[cfg(test)]
mod tests;

/// One check: a name that is also the code of what it finds, and a line on what it looks for.
#[derive(Clone, Copy)]
pub struct Check {
    pub name: &'static str,
    pub doc: &'static str,
    /// LBC finds it only when something asks for it: so do our builders, where its ways are asked for.
    is_asked: bool,
    run: fn(&Whole<'_>) -> Vec<Finding>,
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
        run: duplicate_objects,
    },
    Check {
        name: codes::SEVERAL_DEFAULT_CLASSES,
        doc: "At most one IngressClass is the default: with two, Ingresses without a class cannot be created.",
        is_asked: true,
        run: several_default_classes,
    },
    Check {
        name: codes::SERVICE_PORT,
        doc: "A backend's port exists on its Service, where git holds that Service.",
        is_asked: true,
        run: service_ports,
    },
    Check {
        name: codes::NODE_PORT,
        doc: "A backend with instance targets is a Service with node ports, where git holds that Service.",
        is_asked: true,
        run: node_ports,
    },
    Check {
        name: codes::NO_EFFECT,
        doc: "What an Ingress declares is made use of by something (ingress-model §§2, 4, 5, 8).",
        is_asked: false,
        run: effect::without,
    },
    Check {
        name: codes::IAM_DUPLICATE,
        doc: "One ServiceAccount and one role name are declared by one IAMServiceAccount only (irsa.md §9.1).",
        is_asked: false,
        run: iam_duplicates,
    },
];

/// What the checks look at.
pub(super) struct Whole<'a> {
    pub documents: &'a [Shared<Document>],
    pub options: &'a ParseOptions,
    /// By namespace and name; of two with one name, which is a problem, the last.
    pub services: HashMap<(&'a str, &'a str), &'a Service>,
    backends: Vec<Target<'a>>,
}

/// A backend whose Service git holds.
#[derive(Clone, Copy)]
struct Target<'a> {
    /// Index of the Ingress's document.
    index: usize,
    ingress: &'a Ingress,
    backend: &'a BackendUse,
    service: &'a Service,
}

/// What the parameters of an Ingress's class say of its type of targets.
#[derive(Clone, Copy)]
enum ByClass {
    /// It wins over annotations.
    Set(TargetType),
    Unset,
    /// The class names parameters that git does not hold: left to the builders.
    Elsewhere,
}

/// What the classes of git say of targets, by their names.
struct Classes<'a> {
    by_name: HashMap<&'a str, ByClass>,
    /// For Ingresses without a class.
    default: ByClass,
}

impl<'a> Classes<'a> {
    fn new(whole: &Whole<'a>) -> Self {
        let params: HashMap<&str, _> = whole
            .documents
            .iter()
            .filter_map(|document| match &document.typed {
                Typed::Params(params) => Some((params.name.as_str(), &params.spec.target_type)),
                _ => None,
            })
            .collect();
        let says = |class: &IngressClass| match &class.parameters {
            None => ByClass::Unset,
            Some(parameters) => match params.get(parameters.value.2.as_str()) {
                Some(Some(target_type)) => ByClass::Set(target_type.value),
                Some(None) => ByClass::Unset,
                None => ByClass::Elsewhere,
            },
        };
        Self {
            by_name: whole
                .classes()
                .map(|class| (class.name.as_str(), says(class)))
                .collect(),
            default: stored::default_class(whole.classes()).map_or(ByClass::Unset, says),
        }
    }

    /// A class that git does not hold counts as one without parameters: who waits for his class waits with what is found.
    fn of(&self, ingress: &Ingress) -> ByClass {
        match (&ingress.class_annotation, &ingress.class_name) {
            // Parameters do not hold on this path (ingress-model.md §1.1).
            (Some(_), _) => ByClass::Unset,
            (None, Some(name)) => {
                let found = self.by_name.get(name.value.as_str());
                found.copied().unwrap_or(ByClass::Unset)
            }
            (None, None) => self.default,
        }
    }
}

/// A problem, and the Ingress whose class decides whether it counts.
pub(super) struct Finding {
    pub problem: Problem,
    /// Index of the document.
    pub ingress: Option<usize>,
}

impl Finding {
    fn always(problem: Problem) -> Self {
        Self {
            problem,
            ingress: None,
        }
    }
}

/// Runs all checks.
pub(super) fn run(documents: &[Shared<Document>], options: &ParseOptions) -> Vec<Finding> {
    let whole = Whole::new(documents, options);
    CHECKS
        .iter()
        .filter(|check| options.checks == Checks::Strict || !check.is_asked)
        .flat_map(|check| (check.run)(&whole))
        .collect()
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

fn duplicate_objects(whole: &Whole<'_>) -> Vec<Finding> {
    let mut seen: HashMap<_, &Origin> = HashMap::new();
    let mut findings = Vec::new();
    for document in whole.documents {
        let object = &document.object;
        let key = object.reference.identity();
        if let Some(first) = seen.get(&key) {
            let problem = Problem::new(
                codes::DUPLICATE_OBJECT,
                object.origin.clone(),
                "this object is defined twice",
            );
            findings.push(Finding::always(
                problem
                    .of(&object.reference)
                    .hint("keep one of the documents")
                    .also((*first).clone()),
            ));
        } else {
            seen.insert(key, &object.origin);
        }
    }
    findings
}

fn several_default_classes(whole: &Whole<'_>) -> Vec<Finding> {
    let mut defaults = whole.classes().filter(|class| class.is_default);
    let Some(first) = defaults.next() else {
        return Vec::new();
    };
    defaults
        .map(|class| {
            let problem = Problem::new(
                codes::SEVERAL_DEFAULT_CLASSES,
                class.origin.clone(),
                format!(
                    "\"{}\" and \"{}\" are both the default class",
                    first.name, class.name
                ),
            );
            Finding::always(
                problem
                    .of(format!("IngressClass {}", class.name))
                    .hint("only one may be")
                    .also(first.origin.clone()),
            )
        })
        .collect()
}

fn service_ports(whole: &Whole<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for target in &whole.backends {
        let Target {
            index,
            ingress,
            backend,
            service,
        } = *target;
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
        findings.push(Finding {
            problem,
            ingress: Some(index),
        });
    }
    findings
}

fn node_ports(whole: &Whole<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    let classes = Classes::new(whole);
    for target in &whole.backends {
        let Target {
            index,
            ingress,
            backend,
            service,
        } = *target;
        if matches!(service.service_type.as_str(), "NodePort" | "LoadBalancer") {
            continue;
        }
        let setting = [&service.options, &ingress.options]
            .into_iter()
            .find_map(|options| options.target_group.target_type.as_ref());
        let target_type = match (classes.of(ingress), setting) {
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
        findings.push(Finding {
            problem,
            ingress: Some(index),
        });
    }
    findings
}

fn iam_duplicates(whole: &Whole<'_>) -> Vec<Finding> {
    let mut accounts: BTreeMap<(&str, &str), &Origin> = BTreeMap::new();
    let mut roles: BTreeMap<String, &Origin> = BTreeMap::new();
    let mut findings = Vec::new();
    let mut refuse =
        |origin: &Origin, account: &IamServiceAccount, message: String, first: &Origin| {
            findings.push(Finding::always(
                Problem::new(codes::IAM_DUPLICATE, origin.clone(), message)
                    .of(format!("IAMServiceAccount {}", account.key()))
                    .hint("one of the documents must go")
                    .also(first.clone()),
            ));
        };
    for account in whole.iam_service_accounts() {
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

impl<'a> Whole<'a> {
    fn new(documents: &'a [Shared<Document>], options: &'a ParseOptions) -> Self {
        let services = documents
            .iter()
            .filter_map(|document| match &document.typed {
                Typed::Service(service) => {
                    let ServiceRef { namespace, name } = &service.reference;
                    Some(((namespace.as_str(), name.as_str()), &**service))
                }
                _ => None,
            });
        let mut whole = Self {
            documents,
            options,
            services: services.collect(),
            backends: Vec::new(),
        };
        whole.backends = whole.all_backends();
        whole
    }

    fn classes(&self) -> impl Iterator<Item = &'a IngressClass> {
        self.documents
            .iter()
            .filter_map(|document| match &document.typed {
                Typed::Class(class) => Some(class),
                _ => None,
            })
    }

    fn iam_service_accounts(&self) -> impl Iterator<Item = &'a IamServiceAccount> {
        self.documents
            .iter()
            .filter_map(|document| match &document.typed {
                Typed::IamServiceAccount(account) => Some(&**account),
                _ => None,
            })
    }

    /// With the indexes of their documents.
    fn ingresses(&self) -> impl Iterator<Item = (usize, &'a Ingress)> {
        self.documents
            .iter()
            .enumerate()
            .filter_map(|(index, document)| match &document.typed {
                Typed::Ingress(ingress, _) => Some((index, &**ingress)),
                _ => None,
            })
    }

    fn all_backends(&self) -> Vec<Target<'a>> {
        let mut backends = Vec::new();
        for (index, document) in self.documents.iter().enumerate() {
            let Typed::Ingress(ingress, uses) = &document.typed else {
                continue;
            };
            for backend in uses {
                let key = (ingress.namespace.as_str(), backend.service.value.as_str());
                if let Some(service) = self.services.get(&key) {
                    backends.push(Target {
                        index,
                        ingress,
                        backend,
                        service,
                    });
                }
            }
        }
        backends
    }
}
