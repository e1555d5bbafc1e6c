//! One YAML document to one object: identity, metadata, dispatch on the kind.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{
    Body, Checks, IamServiceAccount, Ingress, IngressClass, IngressClassParams, Object,
    SecretShape, Service, ServiceAccount,
    annotation::Given,
    field::{Field, Report},
    ingress, irsa,
    kind::{self, ALBSYNC, ELBV2, NETWORKING},
    name, own,
    policy::Files,
    service, stored,
};
use crate::{
    id::ObjectRef,
    problem::{
        Located, Origin, Problem, codes,
        nearest::{did_you_mean, distance, nearest},
    },
    shared::Shared,
};

/// One object with its typed form.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Document {
    /// Its `value` goes to the cluster, but for [`Typed::IamServiceAccount`].
    pub object: Shared<Object>,
    pub typed: Typed,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Typed {
    Ingress(Shared<Ingress>, Vec<ingress::BackendUse>),
    Class(IngressClass),
    Params(Shared<IngressClassParams>),
    Service(Shared<Service>),
    ServiceAccount(ServiceAccount),
    IamServiceAccount(Box<IamServiceAccount>),
    Namespace(BTreeMap<String, String>),
    Secret(SecretShape),
    /// Carried as it is.
    Other,
}

/// `metadata`, checked.
#[derive(Clone, Debug, Default)]
pub(super) struct Metadata {
    /// Empty for cluster-scoped kinds.
    pub namespace: String,
    pub name: String,
    pub labels: BTreeMap<String, String>,
    pub annotations: Vec<Given>,
}

impl Metadata {
    /// All annotations by key.
    pub fn located_annotations(&self) -> BTreeMap<String, Located<String>> {
        self.annotations
            .iter()
            .map(|given| (given.key.clone(), given.value.clone()))
            .collect()
    }
}

/// Where a document comes from, for `file:` references.
#[derive(Clone, Copy, Debug)]
pub(super) struct Context<'a> {
    pub file: &'a str,
    pub files: &'a Files<'a>,
    pub checks: Checks,
}

/// All objects of one document: itself, or the items of a list.
pub(super) fn read(
    field: &Field<'_>,
    context: Context<'_>,
    documents: &mut Vec<Shared<Document>>,
    problems: &mut Vec<Problem>,
) {
    let kind = field.value().get("kind").and_then(Value::as_str);
    if kind.is_some_and(|kind| kind.ends_with("List")) && field.value().get("items").is_some() {
        let mut report = Report::default();
        if let Some(items) = field.get("items")
            && !items.value().is_array()
        {
            report.wrong_type(&items, "a list");
        }
        report.fields(field, &["apiVersion", "kind", "metadata", "items"]);
        problems.append(&mut report.problems);
        for item in field.get("items").iter().flat_map(Field::items) {
            read(&Field::root(item.node), context, documents, problems);
        }
        return;
    }
    let mut report = Report {
        checks: context.checks,
        ..Report::default()
    };
    documents.extend(object(field, context, &mut report).map(Shared::from));
    problems.append(&mut report.problems);
}

fn object(field: &Field<'_>, context: Context<'_>, report: &mut Report) -> Option<Document> {
    if !field.value().is_object() {
        report.hinted(
            codes::NOT_AN_OBJECT,
            field.origin(),
            "this document is no Kubernetes object",
            "it must be a mapping with apiVersion, kind and metadata",
        );
        return None;
    }
    let api_version = identity(field, "apiVersion", report);
    let kind = identity(field, "kind", report);
    let (api_version, kind) = (api_version?, kind?);
    report.secret = kind.value == "Secret" && api_version.value == "v1";
    // Provisional, so that problems of the identity itself name what they can.
    let bare_name = field
        .value()
        .pointer("/metadata/name")
        .and_then(Value::as_str)
        .unwrap_or_default();
    report.object = Some(format!("{} {bare_name}", kind.value).trim_end().to_owned());
    let is_ours_to_read = check_kind(&api_version, &kind, report);
    let group = api_version
        .value
        .split_once('/')
        .map_or("", |(group, _)| group)
        .to_owned();
    let is_namespaced = kind::is_namespaced(&group, &kind.value);
    let metadata = metadata(field, &group, &kind.value, is_namespaced, report)?;
    let reference = ObjectRef {
        api_version: api_version.value,
        kind: kind.value,
        namespace: (!metadata.namespace.is_empty()).then(|| metadata.namespace.clone()),
        name: metadata.name.clone(),
    };
    report.object = Some(reference.to_string());
    for problem in &mut report.problems {
        problem.object.clone_from(&report.object);
    }
    if !is_ours_to_read {
        return None;
    }
    let written = field.value().pointer("/metadata/namespace");
    let is_as_wanted = written.and_then(Value::as_str) == reference.namespace.as_deref();
    let body = if is_as_wanted {
        Body::from(field.value())
    } else {
        Body::from(&placed(field.value(), reference.namespace.as_deref()))
    };
    own::check(&reference, &metadata, report);
    let typed = typed(field, &group, &reference, &metadata, context, report);
    Some(Document {
        object: Shared::from(Object {
            origin: field.origin(),
            reference,
            body,
        }),
        typed,
    })
}

/// The document in this namespace, or in none.
fn placed(document: &Value, namespace: Option<&str>) -> Value {
    let mut value = document.clone();
    if let Some(map) = value.get_mut("metadata").and_then(Value::as_object_mut) {
        match namespace {
            Some(namespace) => map.insert("namespace".to_owned(), namespace.into()),
            None => map.remove("namespace"),
        };
    }
    value
}

fn typed(
    field: &Field<'_>,
    group: &str,
    reference: &ObjectRef,
    metadata: &Metadata,
    context: Context<'_>,
    report: &mut Report,
) -> Typed {
    match (group, reference.kind.as_str()) {
        (NETWORKING, "Ingress") => {
            let (ingress, uses) = ingress::ingress(field, metadata, report);
            Typed::Ingress(ingress.into(), uses)
        }
        (NETWORKING, "IngressClass") => Typed::Class(ingress::class(field, metadata, report)),
        (ELBV2, "IngressClassParams") => {
            Typed::Params(ingress::params(field, metadata, report).into())
        }
        (ELBV2, "TargetGroupBinding") => {
            report.not_served(field.origin(), "a TargetGroupBinding of one's own");
            Typed::Other
        }
        ("", "Service") => Typed::Service(service::service(field, metadata, report).into()),
        ("", "ServiceAccount") => {
            Typed::ServiceAccount(irsa::service_account(field, metadata, report))
        }
        (ALBSYNC, "IAMServiceAccount") => {
            let account = irsa::iam_service_account(field, metadata, context, report);
            Typed::IamServiceAccount(Box::new(account))
        }
        ("", "Namespace") => Typed::Namespace(stored::namespace_labels(
            &metadata.name,
            metadata.labels.clone(),
        )),
        ("", "ConfigMap") => {
            config_map(field, report);
            Typed::Other
        }
        ("", "Secret") => {
            bytes(field, "data", "stringData", report);
            config_texts(field, "stringData", report);
            Typed::Secret(SecretShape {
                origin: field.origin(),
                labels: metadata.labels.clone(),
                keys: stored::secret_keys(field),
            })
        }
        _ => Typed::Other,
    }
}

/// A key is in `data` or in `binaryData` (k8s `ValidateConfigMap`).
fn config_map(field: &Field<'_>, report: &mut Report) {
    let texts = config_texts(field, "data", report);
    for (key, (origin, _)) in bytes(field, "binaryData", "data", report) {
        if let Some((other, _)) = texts.get(&key) {
            report.add(
                Problem::new(
                    codes::BAD_VALUE,
                    origin,
                    format!("data and binaryData both have the key {key}"),
                )
                .hint("keep one of them")
                .also(other.clone()),
            );
        }
    }
}

type Texts = BTreeMap<String, (Origin, Located<String>)>;

/// A mapping under keys that may be names of files.
fn config_texts(field: &Field<'_>, of: &str, report: &mut Report) -> Texts {
    let texts = report.text_map(field, of);
    for (key, (origin, _)) in &texts {
        report.key((of, key), origin.clone(), name::config_key);
    }
    texts
}

/// The same of bytes: standard base64 with padding, or the API server cannot read the object.
fn bytes(field: &Field<'_>, of: &str, plain: &str, report: &mut Report) -> Texts {
    let texts = config_texts(field, of, report);
    for (key, (_, value)) in &texts {
        if !is_base64(&value.value) {
            report.hinted(
                codes::BAD_VALUE,
                value.origin.clone(),
                format!("{of}.{key} is no base64"),
                format!(
                    "encode it in standard base64 with padding, or write it as it is under {plain}"
                ),
            );
        }
    }
    texts
}

/// As Go's `base64.StdEncoding` reads it: ends of lines count for nothing.
fn is_base64(text: &str) -> bool {
    let is_end = |byte: &u8| matches!(byte, b'\r' | b'\n');
    let bytes: Vec<u8> = text.bytes().filter(|byte| !is_end(byte)).collect();
    let padding = bytes.iter().rev().take_while(|byte| **byte == b'=').count();
    let digits = bytes.len() - padding;
    let mut digits = bytes.iter().take(digits);
    bytes.len().is_multiple_of(4)
        && padding <= 2
        && digits.all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/'))
}

/// `apiVersion` or `kind`: text that is there.
fn identity(field: &Field<'_>, key: &str, report: &mut Report) -> Option<Located<String>> {
    if let Some(text) = report.text(field, key) {
        if !text.value.is_empty() {
            return Some(text);
        }
    } else if field.get(key).is_some() {
        return None;
    }
    let near = field
        .node
        .entries()
        .find(|(other, _, _)| *other != key && nearest(other, [key]).is_some());
    let (origin, hint) = match near {
        Some((_, origin, _)) => (origin, Some(format!("did you mean \"{key}\"?"))),
        None => (field.node.key_origin(key), None),
    };
    let mut problem = Problem::new(
        codes::NOT_AN_OBJECT,
        origin,
        format!("this document has no {key}"),
    );
    problem.hint = hint;
    report.add(problem);
    None
}

/// Whether the kind is one that can be read on: not misspelt, not obsolete, not of a tool that we do not run.
fn check_kind(api_version: &Located<String>, kind: &Located<String>, report: &mut Report) -> bool {
    let (group, version) = api_version
        .value
        .split_once('/')
        .unwrap_or(("", &api_version.value));
    let served: &[(&str, &str, &str)] = &[
        (NETWORKING, "Ingress", "v1"),
        (NETWORKING, "IngressClass", "v1"),
        (ELBV2, "IngressClassParams", "v1beta1"),
        (ELBV2, "TargetGroupBinding", "v1beta1"),
        (ALBSYNC, "IAMServiceAccount", "v1alpha1"),
        ("", "Service", "v1"),
        ("", "ServiceAccount", "v1"),
    ];
    if let Some((_, _, right)) = served
        .iter()
        .find(|row| row.0 == group && row.1 == kind.value)
    {
        if version == *right {
            return true;
        }
        let right = if group.is_empty() {
            (*right).to_owned()
        } else {
            format!("{group}/{right}")
        };
        report.hinted(
            codes::OBSOLETE_API,
            api_version.origin.clone(),
            format!("{} of {} is not served", kind.value, api_version.value),
            format!("write {right}"),
        );
        return false;
    }
    if group == "extensions" && kind.value == "Ingress" {
        report.hinted(
            codes::OBSOLETE_API,
            api_version.origin.clone(),
            format!("Ingress of {} is not served", api_version.value),
            "write networking.k8s.io/v1; backends have another form there",
        );
        return false;
    }
    let tools: &[(&str, &str, &str)] = &[
        ("kustomize.config.k8s.io", "Kustomization", "kustomize"),
        ("kustomize.config.k8s.io", "Component", "kustomize"),
        ("eksctl.io", "ClusterConfig", "eksctl's ClusterConfig"),
    ];
    if let Some((_, _, what)) = tools
        .iter()
        .find(|row| row.0 == group && row.1 == kind.value)
    {
        report.not_served(kind.origin.clone(), what);
        return false;
    }
    if kind::is_known_group(group) {
        return check_kind_in_group(group, version, api_version, kind, report);
    }
    // A group that nobody knows: a custom resource, unless it is nearly one that we know with one of its kinds.
    let near = kind::groups()
        .filter(|known| {
            !known.is_empty()
                && kind::kinds_of(known).any(|known| known == kind.value)
                && distance(group, known).is_some_and(|distance| distance <= 2)
        })
        .min_by_key(|known| distance(group, known));
    if let Some(near) = near {
        report.hinted(
            codes::UNKNOWN_KIND,
            api_version.origin.clone(),
            format!("there is no {} in the API group {group}", kind.value),
            format!("did you mean \"{near}\"?"),
        );
        return false;
    }
    true
}

fn check_kind_in_group(
    group: &str,
    version: &str,
    api_version: &Located<String>,
    kind: &Located<String>,
    report: &mut Report,
) -> bool {
    if kind::kinds_of(group).any(|known| known == kind.value) {
        return true;
    }
    let mut refuse = |origin: &Origin, hint: Option<String>| {
        let mut problem = Problem::new(
            codes::UNKNOWN_KIND,
            origin.clone(),
            format!("there is no {} in {}", kind.value, api_version.value),
        );
        problem.hint = hint;
        report.add(problem);
        false
    };
    if group.is_empty() && !is_version(version) {
        return refuse(
            &api_version.origin,
            Some("apiVersion is `v1` or `group/version`".to_owned()),
        );
    }
    if let Some(right) = kind::groups_of(&kind.value).next() {
        let right = if right.is_empty() { "v1" } else { right };
        return refuse(
            &api_version.origin,
            Some(format!("{} belongs to {right}", kind.value)),
        );
    }
    // Our own group has no kinds but these; Kubernetes' groups may have newer ones than we know.
    if group == ALBSYNC {
        return refuse(
            &kind.origin,
            did_you_mean(&kind.value, kind::kinds_of(group)),
        );
    }
    match nearest(&kind.value, kind::kinds_of(group)) {
        Some(near) => refuse(&kind.origin, Some(format!("did you mean \"{near}\"?"))),
        None => true,
    }
}

/// `v1`, `v2beta1` …
fn is_version(text: &str) -> bool {
    text.strip_prefix('v').is_some_and(|rest| {
        rest.starts_with(|c: char| c.is_ascii_digit())
            && rest.bytes().all(|byte| byte.is_ascii_alphanumeric())
    })
}

/// Fields of ObjectMeta; what the API server fills in is allowed, since people commit what they exported.
const METADATA: &[&str] = &[
    "name",
    "namespace",
    "labels",
    "annotations",
    "finalizers",
    "ownerReferences",
    "generateName",
    "uid",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "managedFields",
    "selfLink",
];

/// Reads `metadata`; a namespace of a cluster-scoped kind is dropped.
fn metadata(
    field: &Field<'_>,
    group: &str,
    kind: &str,
    is_namespaced: Option<bool>,
    report: &mut Report,
) -> Option<Metadata> {
    let Some(meta) = report.required(field, "metadata") else {
        if let Some(problem) = report.problems.last_mut() {
            codes::NOT_AN_OBJECT.clone_into(&mut problem.code);
        }
        return None;
    };
    if !report.fields(&meta, METADATA) {
        return None;
    }
    let grammar = match (group, kind) {
        ("", "Namespace" | "Service") => name::label,
        ("rbac.authorization.k8s.io", _) => name::path_segment,
        _ if is_namespaced.is_some() => name::subdomain,
        _ => name::path_segment,
    };
    let name = match report.text(&meta, "name") {
        Some(name) => name,
        None if meta.get("name").is_some() => return None,
        None => {
            let hint = if meta.get("generateName").is_some() {
                "a generated name cannot be converged: write metadata.name"
            } else {
                "write metadata.name"
            };
            report.hinted(
                codes::NOT_AN_OBJECT,
                meta.node.key_origin("generateName"),
                "this object has no name",
                hint,
            );
            return None;
        }
    };
    report.name("metadata.name", &name, grammar);
    let namespace = report
        .text(&meta, "namespace")
        .filter(|text| !text.value.is_empty());
    let namespace = match (namespace, is_namespaced) {
        (Some(namespace), Some(false)) => {
            report.add(
                Problem::new(
                    codes::BAD_VALUE,
                    namespace.origin,
                    format!("{kind} has no namespace; metadata.namespace is dropped"),
                )
                .warning(),
            );
            String::new()
        }
        (Some(namespace), _) => {
            report.name("metadata.namespace", &namespace, name::label);
            namespace.value
        }
        (None, Some(true)) => "default".to_owned(),
        (None, _) => String::new(),
    };
    let labels = report.labels(&meta, "labels");
    let annotations: Vec<_> = report
        .text_map(&meta, "annotations")
        .into_iter()
        .map(|(key, (key_origin, value))| {
            let place = key_origin.clone();
            report.key(("metadata.annotations", &key), place, name::annotation_key);
            Given {
                key,
                key_origin,
                value,
            }
        })
        .collect();
    annotations_size(&annotations, &meta, report);
    Some(Metadata {
        namespace,
        name: name.value,
        labels,
        annotations,
    })
}

/// Bytes of all keys and values of an object's annotations together (Kubernetes' `TotalAnnotationSizeLimitB`).
const ANNOTATION_BYTES: usize = 256 << 10;

fn annotations_size(annotations: &[Given], meta: &Field<'_>, report: &mut Report) {
    let bytes = annotations
        .iter()
        .map(|given| given.key.len() + given.value.value.len());
    let bytes: usize = bytes.sum();
    if bytes > ANNOTATION_BYTES {
        report.hinted(
            codes::BAD_VALUE,
            meta.node.key_origin("annotations"),
            format!("metadata.annotations have {bytes} bytes, keys and values together"),
            format!("Kubernetes takes {ANNOTATION_BYTES} bytes at most"),
        );
    }
}
