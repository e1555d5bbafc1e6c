//! Bytes to typed documents: pure, complete, never panicking.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::{
    id::{ObjectRef, RepoPath},
    problem::{Checked, Located, Origin, Problem, Severity, codes},
    shared::Shared,
    source::snapshot::Snapshot,
    yaml::{self, Limits},
};
use annotation::TargetType;
use cache::FileRead;
use document::{Context, Document, Typed};
use field::Field;
use policy::Files;
use validate::Finding;

pub mod annotation;
mod cache;
mod document;
mod field;
pub mod ingress;
pub mod irsa;
mod kind;
pub mod name;
mod own;
pub mod place;
mod policy;
pub mod service;
mod stored;
#[cfg(test)]
mod tests;
pub mod validate;

pub use annotation::IngressOptions;
pub use cache::Cache;
pub use ingress::{
    Backend, Ingress, IngressClass, IngressClassParams, IngressPath, IngressRule, PathType,
};
pub use irsa::{IamServiceAccount, ServiceAccount};
pub use service::{Service, ServicePort, ServiceRef};
pub use validate::{Check, Ownership, checks, ownership};

/// Which checks hold: ours, or only what LBC's model builder refuses too (decision 14 of the spec).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Checks {
    #[default]
    Strict,
    /// For take-over: whatever LBC builds is built, as LBC builds it. What it reads only when something asks for it is
    /// left to the builders, and what it does not check is a warning.
    Lbc,
}

/// How documents are read; everything that comes from the configuration.
#[derive(Clone, Debug)]
pub struct ParseOptions {
    /// Only `.yaml` and `.yml` files under these are manifests; `.` is the whole repository.
    pub watched: Vec<RepoPath>,
    /// Names of checks (problem codes) that are lowered to warnings; those that may not be lowered stay problems.
    pub lowered: BTreeSet<String>,
    pub checks: Checks,
    /// How targets are registered where no document says.
    pub default_target_type: TargetType,
    /// The value of the annotation `kubernetes.io/ingress.class` that means us (LBC's `--ingress-class`).
    pub ingress_class: String,
    pub limits: Limits,
}

impl Default for ParseOptions {
    fn default() -> Self {
        Self {
            watched: vec![RepoPath::from(".")],
            lowered: BTreeSet::new(),
            checks: Checks::Strict,
            default_target_type: TargetType::Instance,
            ingress_class: "alb".to_owned(),
            limits: Limits::default(),
        }
    }
}

/// Everything one commit declares.
#[derive(Clone, Debug, Default)]
pub struct Manifests {
    /// Every document that goes to the cluster, as written, ours of kind `IAMServiceAccount` excepted (decision: it is
    /// never sent). Sorted by object key.
    pub objects: Vec<Shared<Object>>,
    pub ingresses: Vec<Shared<Ingress>>,
    pub classes: Vec<IngressClass>,
    pub params: Vec<Shared<IngressClassParams>>,
    pub services: Vec<Shared<Service>>,
    pub iam_service_accounts: Vec<IamServiceAccount>,
    /// ServiceAccounts of git, which are among `objects` too: what a role's binding has to agree with.
    pub service_accounts: Vec<ServiceAccount>,
    /// Namespaces that the commit declares, with their labels.
    pub namespaces: BTreeMap<String, BTreeMap<String, String>>,
    /// Secrets that the commit holds, by `namespace/name`: what they are like, never what is in them.
    pub secrets: BTreeMap<String, SecretShape>,
    /// How many objects came from each watched path, for the empty guard (gitops G42).
    pub watched: BTreeMap<RepoPath, usize>,
}

/// A Secret without its values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretShape {
    pub origin: Origin,
    pub labels: BTreeMap<String, String>,
    /// Names of the keys of `data` and `stringData` together.
    pub keys: BTreeSet<String>,
}

/// One document bound for the cluster.
#[derive(Clone, Debug, PartialEq)]
pub struct Object {
    pub origin: Origin,
    pub reference: ObjectRef,
    /// The whole document; `metadata.namespace` filled in where the kind is namespaced and it was absent.
    pub value: serde_json::Value,
}

/// Reads all manifests of a snapshot. The value holds what is good; problems reject (gitops R13).
pub fn parse(snapshot: &Snapshot, options: &ParseOptions) -> Checked<Manifests> {
    read_all(snapshot, options, None)
}

/// The same, reading only the files that changed since the cache's last parse.
pub fn parse_changed(
    snapshot: &Snapshot,
    options: &ParseOptions,
    cache: &mut Cache,
) -> Checked<Manifests> {
    cache.begin(options, |path| snapshot.files.contains_key(path));
    read_all(snapshot, options, Some(cache))
}

fn read_all(
    snapshot: &Snapshot,
    options: &ParseOptions,
    mut cache: Option<&mut Cache>,
) -> Checked<Manifests> {
    let mut manifests = Manifests::default();
    for path in &options.watched {
        manifests.watched.insert(path.clone(), 0);
    }
    let files = Files {
        snapshot,
        limits: &options.limits,
    };
    let mut problems = Vec::new();
    let mut documents = Vec::new();
    for (path, bytes) in &snapshot.files {
        if !is_manifest(path)
            || !options
                .watched
                .iter()
                .any(|watched| is_under(path, watched))
        {
            continue;
        }
        let read = || read_file(path, bytes, &files, options);
        let mut read = match &mut cache {
            Some(cache) => cache.file(path, bytes, read),
            None => read(),
        };
        for (watched, count) in &mut manifests.watched {
            if is_under(path, watched) {
                *count += read.documents.len();
            }
        }
        problems.append(&mut read.problems);
        documents.append(&mut read.documents);
    }
    let findings = validate::run(&documents, options);
    assemble(documents, findings, options, &mut manifests, &mut problems);
    lower(&mut problems, options);
    problems.sort();
    problems.dedup();
    Checked {
        value: manifests,
        problems,
    }
}

/// IngressClassParams as the API server gives them, by their `spec`; places are those of the object, not of a file.
///
/// # Errors
/// Something in them that is not read here, so that what they ask for is not known whole.
pub fn live_params(name: &str, spec: &Value) -> Result<IngressClassParams, String> {
    let tree = yaml::Tree::without_places(
        &format!("cluster/IngressClassParams/{name}"),
        serde_json::json!({ "spec": spec }),
    );
    let metadata = document::Metadata {
        name: name.to_owned(),
        ..document::Metadata::default()
    };
    let mut report = field::Report::default();
    let params = ingress::params(&Field::root(tree.root()), &metadata, &mut report);
    let is_grave = |problem: &&Problem| {
        let beyond_lbc = codes::code(&problem.code).is_some_and(|code| code.beyond_lbc);
        problem.is_grave() && !beyond_lbc
    };
    match report.problems.iter().find(is_grave) {
        Some(problem) => Err(problem.message.clone()),
        None => Ok(params),
    }
}

/// Whether it is an annotation under our prefix.
pub fn is_read(key: &str) -> bool {
    let name = key.strip_prefix(annotation::PREFIX);
    name.is_some_and(|name| name.starts_with('/'))
}

/// A Service's annotations as the API server gives them. A value that does not follow its grammar is kept with its problem,
/// for whoever asks for it; names that nothing reads are passed over, for nobody can mend them in git.
pub fn live_options(annotations: &BTreeMap<String, String>) -> IngressOptions {
    let origin = Origin::start_of("cluster/Service");
    let given: Vec<annotation::Given> = annotations
        .iter()
        .map(|(key, value)| annotation::Given {
            key: key.clone(),
            key_origin: origin.clone(),
            value: Located::new(value.clone(), origin.clone()),
        })
        .collect();
    annotation::read(&given, annotation::On::Both, &mut field::Report::default())
}

/// One file alone: what it holds does not depend on others, but for those that it names.
fn read_file(path: &RepoPath, bytes: &[u8], files: &Files<'_>, options: &ParseOptions) -> FileRead {
    let yaml = yaml::parse(path.as_str(), bytes, &options.limits);
    let context = Context {
        file: path.as_str(),
        files,
        checks: options.checks,
    };
    let mut read = FileRead {
        problems: yaml.problems,
        names_files: mentions_iam(bytes),
        ..FileRead::default()
    };
    for tree in &yaml.value {
        let field = Field::root(tree.root());
        document::read(&field, context, &mut read.documents, &mut read.problems);
    }
    read
}

/// The files that `IAMServiceAccount` documents name by `file:`, as paths in the repository. Names that lead out of it
/// are left out; [`parse`] reports them.
pub fn named_files(snapshot: &Snapshot) -> BTreeSet<RepoPath> {
    let mut named = BTreeSet::new();
    for (path, bytes) in &snapshot.files {
        if !is_manifest(path) || !mentions_iam(bytes) {
            continue;
        }
        for tree in yaml::parse(path.as_str(), bytes, &Limits::default()).value {
            for value in items(&tree.value) {
                if value.get("kind").and_then(Value::as_str) == Some(IAM_KIND) {
                    named.extend(policy::named_by(path.as_str(), value));
                }
            }
        }
    }
    named
}

const IAM_KIND: &str = "IAMServiceAccount";

/// Whether a file may hold a document that names other files.
fn mentions_iam(bytes: &[u8]) -> bool {
    bytes
        .windows(IAM_KIND.len())
        .any(|window| window == IAM_KIND.as_bytes())
}

/// A document's objects: itself, or what a list holds, lists in lists too.
fn items(value: &Value) -> Vec<&Value> {
    match value.get("items").and_then(Value::as_array) {
        Some(list) => list.iter().flat_map(items).collect(),
        None => vec![value],
    }
}

/// Decision 29 of the spec.
fn is_manifest(path: &RepoPath) -> bool {
    path.as_str().ends_with(".yaml") || path.as_str().ends_with(".yml")
}

/// Whether a watched path covers a file: it is the file, a directory above it, or `.`.
fn is_under(path: &RepoPath, watched: &RepoPath) -> bool {
    let watched = watched
        .as_str()
        .trim_start_matches("./")
        .trim_end_matches('/');
    matches!(watched, "" | ".")
        || path
            .as_str()
            .strip_prefix(watched)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Sorts the documents by what they are, and decides which problems of Ingresses count.
fn assemble(
    documents: Vec<Shared<Document>>,
    findings: Vec<Finding>,
    options: &ParseOptions,
    manifests: &mut Manifests,
    problems: &mut Vec<Problem>,
) {
    let mut of_ingress: BTreeMap<usize, Vec<Problem>> = BTreeMap::new();
    for finding in findings {
        match finding.ingress {
            Some(index) => of_ingress.entry(index).or_default().push(finding.problem),
            None => problems.push(finding.problem),
        }
    }
    for (index, document) in documents.iter().enumerate() {
        let mut is_sent = true;
        match &document.typed {
            Typed::Ingress(ingress, _) => {
                let mut ingress = ingress.clone();
                if let Some(found) = of_ingress.remove(&index) {
                    ingress.deferred.extend(found);
                }
                manifests.ingresses.push(ingress);
            }
            Typed::Class(class) => manifests.classes.push(class.clone()),
            Typed::Params(params) => manifests.params.push(params.clone()),
            Typed::Service(service) => manifests.services.push(service.clone()),
            Typed::ServiceAccount(account) => manifests.service_accounts.push(account.clone()),
            Typed::IamServiceAccount(account) => {
                is_sent = false;
                manifests.iam_service_accounts.push((**account).clone());
            }
            Typed::Namespace(labels) => {
                manifests
                    .namespaces
                    .insert(document.object.reference.name.clone(), labels.clone());
            }
            Typed::Secret(shape) => {
                let reference = &document.object.reference;
                let namespace = reference.namespace.as_deref().unwrap_or_default();
                manifests
                    .secrets
                    .insert(format!("{namespace}/{}", reference.name), shape.clone());
            }
            Typed::Other => {}
        }
        if is_sent {
            manifests.objects.push(document.object.clone());
        }
    }
    // Most have none: asking first leaves them shared.
    for ingress in manifests
        .ingresses
        .iter_mut()
        .filter(|ingress| !ingress.deferred.is_empty())
    {
        match ownership(ingress, &manifests.classes, options) {
            Ownership::Ours => problems.append(&mut ingress.deferred),
            Ownership::Foreign => ingress.deferred.clear(),
            Ownership::Undecided => {
                lower(&mut ingress.deferred, options);
                ingress.deferred.sort();
            }
        }
    }
    // The order of files and documents never matters (gitops R11).
    manifests.objects.sort_by(|a, b| {
        (a.reference.identity(), &a.origin).cmp(&(b.reference.identity(), &b.origin))
    });
    manifests
        .ingresses
        .sort_by_cached_key(|ingress| ingress.key());
    manifests.classes.sort_by(|a, b| a.name.cmp(&b.name));
    manifests.params.sort_by(|a, b| a.name.cmp(&b.name));
    manifests
        .services
        .sort_by(|a, b| a.reference.cmp(&b.reference));
    manifests
        .iam_service_accounts
        .sort_by_key(IamServiceAccount::key);
    manifests
        .service_accounts
        .sort_by(|a, b| (&a.namespace, &a.name).cmp(&(&b.namespace, &b.name)));
}

/// Makes warnings of problems whose check is lowered and may be (decision 14 of the spec).
pub fn lower(problems: &mut [Problem], options: &ParseOptions) {
    for problem in problems {
        let Some(code) = codes::code(&problem.code) else {
            continue;
        };
        let is_lowered = code.lowerable && options.lowered.contains(&problem.code);
        if is_lowered || (code.beyond_lbc && options.checks == Checks::Lbc) {
            problem.severity = Severity::Warning;
        }
    }
}
