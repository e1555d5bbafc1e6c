//! Bytes to typed documents: pure, complete, never panicking.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use serde_json::Value;

use crate::{
    id::{ObjectRef, RepoPath},
    problem::{Checked, Located, Origin, Problem, Severity, codes},
    shared::Shared,
    source::snapshot::{File, Snapshot},
    yaml::{self, Limits},
};
use annotation::TargetType;
use cache::FileRead;
use document::Context;
use field::Field;
use policy::Files;

pub mod annotation;
mod cache;
mod document;
mod field;
pub mod ingress;
pub mod irsa;
mod kind;
mod known;
pub mod name;
mod own;
pub mod place;
mod policy;
pub mod service;
mod stored;
#[cfg(test)]
mod tests;
pub mod validate;
mod watchers;

pub use annotation::IngressOptions;
pub use cache::Cache;
pub use ingress::{
    Backend, Ingress, IngressClass, IngressClassParams, IngressPath, IngressRule, PathType,
};
pub use irsa::{IamServiceAccount, ServiceAccount};
pub use service::{Service, ServicePort, ServiceRef};
pub use stored::default_class;
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
#[derive(Clone, Debug, PartialEq)]
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
    pub objects: Shared<Vec<Shared<Object>>>,
    pub ingresses: Shared<Vec<Shared<Ingress>>>,
    pub classes: Vec<IngressClass>,
    pub params: Vec<Shared<IngressClassParams>>,
    pub services: Shared<Vec<Shared<Service>>>,
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
    pub body: Body,
}

/// A document's JSON as text: a tree of it takes ten times the memory, and is asked for only on the way to the cluster.
#[derive(Clone, PartialEq)]
pub struct Body(Box<str>);

impl Body {
    pub fn value(&self) -> Value {
        // What was written as JSON reads as JSON: documents are less deep than its reader goes.
        serde_json::from_str(&self.0).unwrap_or_default()
    }
}

impl From<&Value> for Body {
    fn from(value: &Value) -> Self {
        Self(value.to_string().into())
    }
}

/// Its length only: a document may be a Secret.
impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}

/// Reads all manifests of a snapshot. The value holds what is good; problems reject (gitops R13).
pub fn parse(snapshot: &Snapshot, options: &ParseOptions) -> Checked<Manifests> {
    parse_changed(snapshot, options, &mut Cache::default())
}

/// The same, reading only the files that changed since the cache's last parse, and looking again only at documents that
/// have to do with what changed.
pub fn parse_changed(
    snapshot: &Snapshot,
    options: &ParseOptions,
    cache: &mut Cache,
) -> Checked<Manifests> {
    let files = Files {
        snapshot,
        limits: &options.limits,
    };
    let is_watched = |path: &RepoPath| {
        let mut watched = options.watched.iter();
        is_manifest(path) && watched.any(|watched| is_under(path, watched))
    };
    cache.parse(snapshot, options, is_watched, |path, file| {
        read_file(path, file, &files, options)
    })
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
fn read_file(path: &RepoPath, file: &File, files: &Files<'_>, options: &ParseOptions) -> FileRead {
    let yaml = yaml::parse(path.as_str(), file, &options.limits);
    let context = Context {
        file: path.as_str(),
        files,
        checks: options.checks,
    };
    let mut read = FileRead {
        problems: yaml.problems,
        names_files: file.names_others(mentions_iam),
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
        if !is_manifest(path) || !bytes.names_others(mentions_iam) {
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

/// Whether a file may hold a document that names other files: its kind stands there, or an escape that may be part of it.
fn mentions_iam(bytes: &[u8]) -> bool {
    let mut windows = bytes.windows(IAM_KIND.len());
    windows.any(|window| window == IAM_KIND.as_bytes()) || may_escape_letters(bytes)
}

/// Whether letters may be written as escapes in double quotes, or a word in two lines.
fn may_escape_letters(bytes: &[u8]) -> bool {
    let mut pairs = bytes.windows(2);
    bytes.contains(&b'"')
        && pairs.any(|pair| {
            matches!(
                pair,
                [b'\\', b'x' | b'u' | b'U' | b'\n' | b'\r' | b'\x80'..]
            )
        })
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
