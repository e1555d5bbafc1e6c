//! Ingress, IngressClass and IngressClassParams as the model reads them.

use std::{cmp::Ordering, collections::BTreeMap};

use super::{
    Checks,
    annotation::{
        self, CLASS, IngressOptions, On,
        options::{ForwardTo, RuleAction},
        value::{IpAddressType, Scheme, TargetType},
    },
    document::Metadata,
    field::{Field, Report},
    name,
};
use crate::problem::{Located, Origin, Problem, codes, nearest::distance};

mod backend;
mod class;
mod params;
#[cfg(test)]
mod tests;

pub use backend::USE_ANNOTATION;
pub use class::CONTROLLER;
pub(super) use class::class;
pub use params::FIELDS as PARAMS_FIELDS;
pub(super) use params::params;

/// One `networking.k8s.io/v1` Ingress.
#[derive(Clone, Debug, PartialEq)]
pub struct Ingress {
    pub origin: Origin,
    pub namespace: String,
    pub name: String,
    /// `spec.ingressClassName`.
    pub class_name: Option<Located<String>>,
    /// The older annotation `kubernetes.io/ingress.class`.
    pub class_annotation: Option<Located<String>>,
    pub default_backend: Option<Located<Backend>>,
    pub rules: Vec<IngressRule>,
    /// All hosts of `spec.tls`.
    pub tls_hosts: Vec<Located<String>>,
    /// Annotations under the `alb.ingress.kubernetes.io/` prefix, parsed.
    pub options: IngressOptions,
    /// All annotations, as written.
    pub annotations: BTreeMap<String, Located<String>>,
    /// Problems that count only if its class turns out to be ours, which facts decide; empty where git alone decides:
    /// then they are among the problems of the parse, or the class is another's.
    pub deferred: Vec<Problem>,
}

impl Ingress {
    /// `namespace/name`.
    pub fn key(&self) -> String {
        format!("{}/{}", self.namespace, self.name)
    }

    /// Whether the cluster's default class is its class.
    pub fn names_no_class(&self) -> bool {
        self.class_name.is_none() && self.class_annotation.is_none()
    }

    /// The order of [`Self::key`], byte by byte.
    pub fn cmp_key(&self, other: &Self) -> Ordering {
        if self.namespace == other.namespace {
            return self.name.cmp(&other.name);
        }
        fn key(it: &Ingress) -> impl Iterator<Item = u8> {
            it.namespace.bytes().chain([b'/']).chain(it.name.bytes())
        }
        key(self).cmp(key(other))
    }

    /// The backends of its rules and its default, then those that its actions forward to, each with its place.
    pub fn named_backends(&self) -> impl Iterator<Item = NamedBackend<'_>> {
        let paths = self.rules.iter().flat_map(|rule| &rule.paths);
        let plain = paths
            .map(|path| &path.backend)
            .chain(&self.default_backend)
            .filter_map(|backend| match &backend.value {
                Backend::Service { name, port } => Some(NamedBackend {
                    name,
                    origin: &backend.origin,
                    is_action: matches!(port, PortRef::Name(port) if port == USE_ANNOTATION),
                }),
                Backend::Resource => None,
            });
        let actions = self.options.rule.actions.values();
        let forwards = actions
            .filter_map(|action| match action.good()? {
                RuleAction::Forward { targets, .. } => Some((targets, &action.origin)),
                _ => None,
            })
            .flat_map(|(targets, origin)| {
                targets.iter().filter_map(move |target| match &target.to {
                    ForwardTo::Service { name, .. } => Some(NamedBackend {
                        name,
                        origin,
                        is_action: false,
                    }),
                    _ => None,
                })
            });
        plain.chain(forwards)
    }
}

/// What a backend names.
#[derive(Clone, Copy, Debug)]
pub struct NamedBackend<'a> {
    pub name: &'a str,
    pub origin: &'a Origin,
    /// The name is that of an annotation (`use-annotation`), not of a Service.
    pub is_action: bool,
}

/// One entry of `spec.rules` with its paths in manifest order.
#[derive(Clone, Debug, PartialEq)]
pub struct IngressRule {
    pub origin: Origin,
    /// Absent or empty: any host.
    pub host: Option<Located<String>>,
    pub paths: Vec<IngressPath>,
}

/// The annotation of ours that says in which order a group's rules are evaluated (decision 4 of the spec).
pub const ORDER: &str = "albsync.dev/order";
/// Its values; the first holds where nobody says anything.
pub const ORDERS: &[&str] = &["lbc", "specificity"];

#[derive(Clone, Debug, PartialEq)]
pub struct IngressPath {
    pub origin: Origin,
    /// As written; empty when absent.
    pub path: String,
    pub path_type: PathType,
    pub backend: Located<Backend>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PathType {
    Exact,
    Prefix,
    /// `ImplementationSpecific`, also when unset.
    ImplementationSpecific,
}

/// What a path points at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Backend {
    Service {
        name: String,
        port: PortRef,
    },
    /// `resource` backends; ALB cannot serve them.
    Resource,
}

/// A Service port as the backend spells it; the spelling is part of the target group's identity.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(untagged)]
pub enum PortRef {
    Name(String),
    Number(i32),
}

impl std::fmt::Display for PortRef {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Number(number) => write!(f, "{number}"),
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct IngressClass {
    pub origin: Origin,
    pub name: String,
    pub controller: String,
    /// Annotation `ingressclass.kubernetes.io/is-default-class` is exactly `true`.
    pub is_default: bool,
    /// `spec.parameters` as (apiGroup, kind, name).
    pub parameters: Option<Located<(String, String, String)>>,
}

/// `elbv2.k8s.aws/v1beta1` IngressClassParams (ingress-model §1.2). Absent is `None`; where LBC takes the empty value as
/// unset, so does the reader of this type.
#[derive(Clone, Debug, PartialEq)]
pub struct IngressClassParams {
    pub origin: Origin,
    pub name: String,
    pub spec: IngressClassParamsSpec,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct IngressClassParamsSpec {
    pub load_balancer_name: Option<Located<String>>,
    /// Empty when absent.
    pub certificate_arns: Vec<Located<String>>,
    pub namespace_selector: Option<Located<LabelSelector>>,
    /// `group` is there; its name may be empty.
    pub group: Option<Located<String>>,
    pub scheme: Option<Located<Scheme>>,
    pub inbound_cidrs: Vec<Located<String>>,
    pub ssl_policy: Option<Located<String>>,
    /// A text; what is no number switches redirection off (§15.1).
    pub ssl_redirect_port: Option<Located<String>>,
    pub subnets: Option<Located<SubnetSelector>>,
    pub ip_address_type: Option<Located<IpAddressType>>,
    /// In order; of one key twice the last counts.
    pub tags: Vec<(String, String)>,
    pub target_type: Option<Located<TargetType>>,
    pub load_balancer_attributes: Vec<(String, String)>,
    pub listeners: Vec<ParamsListener>,
    pub minimum_capacity_units: Option<Located<i32>>,
    /// `ipamConfiguration.ipv4IPAMPoolId`; the empty text is a value.
    pub ipam_ipv4_pool_id: Option<Located<String>>,
    /// `prefixListsIDs`, else the older `PrefixListsIDs`.
    pub prefix_lists: Vec<Located<String>>,
    pub wafv2_acl_arn: Option<Located<String>>,
    pub wafv2_acl_name: Option<Located<String>>,
}

/// `ids` win where both are given; neither selects every subnet (§15.1).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SubnetSelector {
    pub ids: Option<Vec<String>>,
    /// Tag key → accepted values.
    pub tags: Option<BTreeMap<String, Vec<String>>>,
}

/// Attributes for the listener of that protocol and port; never makes one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParamsListener {
    pub protocol: String,
    pub port: i64,
    pub attributes: Vec<(String, String)>,
}

/// A Kubernetes label selector; an unknown operator makes it invalid (§15.1).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LabelSelector {
    pub match_labels: BTreeMap<String, String>,
    /// Key, operator, values.
    pub match_expressions: Vec<(String, String, Vec<String>)>,
}

/// A Service port that an Ingress points at, with the places that [`Backend`] has no room for.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct BackendUse {
    pub service: Located<String>,
    pub port: Located<PortRef>,
}

/// Where the reading of one Ingress puts what it finds.
struct Sink<'a> {
    /// What the API server would refuse.
    report: &'a mut Report,
    /// What only our balancers do not do.
    ours: Report,
    uses: Vec<BackendUse>,
}

/// The longest text of one condition (aws-deploy.md §10.2).
const MAX_CONDITION: usize = 128;

/// Reads one Ingress. What the API server would refuse is a problem whatever its class; what only our balancers do not
/// do goes to [`Ingress::deferred`], for the class to decide.
pub(super) fn ingress(
    field: &Field<'_>,
    metadata: &Metadata,
    report: &mut Report,
) -> (Ingress, Vec<BackendUse>) {
    report.fields(field, &["apiVersion", "kind", "metadata", "spec", "status"]);
    let ours = Report {
        object: report.object.clone(),
        checks: report.checks,
        ..Report::default()
    };
    let mut to = Sink {
        report,
        ours,
        uses: Vec::new(),
    };
    let options = annotation::read(&metadata.annotations, On::Ingress, &mut to.ours);
    let mut ingress = Ingress {
        origin: field.origin(),
        namespace: metadata.namespace.clone(),
        name: metadata.name.clone(),
        class_name: None,
        class_annotation: class_annotation(metadata, to.report),
        default_backend: None,
        rules: Vec::new(),
        tls_hosts: Vec::new(),
        options,
        annotations: metadata.located_annotations(),
        deferred: Vec::new(),
    };
    if let Some(spec) = to.report.required(field, "spec") {
        read_spec(&spec, &mut ingress, &mut to);
    }
    ingress.deferred = to.ours.problems;
    (ingress, to.uses)
}

fn class_annotation(metadata: &Metadata, report: &mut Report) -> Option<Located<String>> {
    for given in &metadata.annotations {
        if given.key != CLASS && distance(&given.key, CLASS).is_some_and(|steps| steps <= 2) {
            report.hinted(
                codes::UNKNOWN_ANNOTATION,
                given.key_origin.clone(),
                format!("nothing reads the annotation {}", given.key),
                format!("did you mean \"{CLASS}\"?"),
            );
        }
    }
    metadata
        .annotations
        .iter()
        .find(|given| given.key == CLASS)
        .map(|given| given.value.clone())
}

fn read_spec(spec: &Field<'_>, ingress: &mut Ingress, to: &mut Sink<'_>) {
    if !to.report.fields(
        spec,
        &["ingressClassName", "defaultBackend", "tls", "rules"],
    ) {
        return;
    }
    ingress.class_name = to.report.text(spec, "ingressClassName");
    if let Some(class) = &ingress.class_name {
        to.report
            .name("spec.ingressClassName", class, name::subdomain);
    }
    if let (Some(class), Some(annotation)) = (&ingress.class_name, &ingress.class_annotation)
        && class.value != annotation.value
    {
        to.report.add(
            Problem::new(
                codes::CLASS_CONFLICT,
                class.origin.clone(),
                format!(
                    "spec.ingressClassName is \"{}\" and the annotation {CLASS} is \"{}\"",
                    class.value, annotation.value
                ),
            )
            .hint("keep one of them")
            .also(annotation.origin.clone()),
        );
    }
    if let Some(default) = spec.get("defaultBackend") {
        ingress.default_backend = backend::read(&default, to);
    }
    for tls in to.report.list(spec, "tls") {
        to.report.fields(&tls, &["hosts", "secretName"]);
        let secret = to.report.text(&tls, "secretName");
        if let Some(secret) = secret.filter(|secret| !secret.value.is_empty()) {
            to.report
                .name(&tls.path_of("secretName"), &secret, name::subdomain);
        }
        for host in to.report.list(&tls, "hosts") {
            if let Some(text) = to.report.as_text(&host) {
                to.report.name(&host.path, &text, name::tls_host);
                ingress.tls_hosts.push(text);
            }
        }
    }
    let rules = to.report.list(spec, "rules");
    if spec.get("defaultBackend").is_none() {
        let hint = "write a rule, or spec.defaultBackend";
        to.report.items_required(spec, "rules", hint);
    }
    ingress.rules = rules
        .iter()
        .map(|rule_field| rule(rule_field, to))
        .collect();
    duplicate_paths(ingress, &mut to.ours);
}

fn rule(field: &Field<'_>, to: &mut Sink<'_>) -> IngressRule {
    let mut rule = IngressRule {
        origin: field.origin(),
        host: None,
        paths: Vec::new(),
    };
    if !to.report.fields(field, &["host", "http"]) {
        return rule;
    }
    rule.host = to.report.text(field, "host");
    if let Some(host) = rule.host.as_ref().filter(|host| !host.value.is_empty()) {
        to.report.name(&field.path_of("host"), host, name::host);
        if host.value.len() > MAX_CONDITION {
            too_long(host.origin.clone(), &field.path_of("host"), &mut to.ours);
        }
    }
    let Some(http) = field.get("http") else {
        to.ours.hinted(
            codes::EMPTY_RULE,
            field.origin(),
            format!("{} has no paths and routes nothing", field.path),
            "add http.paths or remove the rule",
        );
        return rule;
    };
    if !to.report.fields(&http, &["paths"]) {
        return rule;
    }
    to.report.required(&http, "paths");
    let paths = to.report.list(&http, "paths");
    if paths.is_empty()
        && http
            .get("paths")
            .is_some_and(|paths| paths.value().is_array())
    {
        to.report.problem(
            codes::MISSING_FIELD,
            http.node.key_origin("paths"),
            format!("{} is empty", http.path_of("paths")),
        );
    }
    rule.paths = paths
        .iter()
        .filter_map(|path_field| path(path_field, to))
        .collect();
    rule
}

fn path(field: &Field<'_>, to: &mut Sink<'_>) -> Option<IngressPath> {
    if !to.report.fields(field, &["path", "pathType", "backend"]) {
        return None;
    }
    let types = [
        ("Exact", PathType::Exact),
        ("Prefix", PathType::Prefix),
        ("ImplementationSpecific", PathType::ImplementationSpecific),
    ];
    to.report.required(field, "pathType");
    let path_type = to.report.one_of(field, "pathType", &types);
    let path = to.report.text(field, "path");
    let backend = to
        .report
        .required(field, "backend")
        .and_then(|backend_field| backend::read(&backend_field, to));
    if let Some(path_type) = &path_type {
        check_path(field, path.as_ref(), path_type, to);
    }
    Some(IngressPath {
        origin: path
            .as_ref()
            .map_or_else(|| field.origin(), |path| path.origin.clone()),
        path: path.map(|path| path.value).unwrap_or_default(),
        path_type: path_type?.value,
        backend: backend?,
    })
}

/// Kubernetes' rules for paths, then ALB's.
fn check_path(
    field: &Field<'_>,
    path: Option<&Located<String>>,
    path_type: &Located<PathType>,
    to: &mut Sink<'_>,
) {
    let name = field.path_of("path");
    let is_specific = path_type.value == PathType::ImplementationSpecific;
    let Some(path) = path.filter(|path| !path.value.is_empty()) else {
        if !is_specific
            && field
                .get("path")
                .is_none_or(|path| path.value().is_string())
        {
            to.report.hinted(
                codes::MISSING_FIELD,
                field.node.key_origin("path"),
                format!("{name} is missing"),
                "Exact and Prefix need a path that begins with `/`",
            );
        }
        return;
    };
    let text = path.value.as_str();
    if !text.starts_with('/') {
        to.report.hinted(
            codes::BAD_VALUE,
            path.origin.clone(),
            format!("{name} cannot be \"{text}\""),
            "it begins with `/`",
        );
        return;
    }
    let suffix = if path_type.value == PathType::Prefix {
        2
    } else {
        0
    };
    if text.len() + suffix > MAX_CONDITION {
        too_long(path.origin.clone(), &name, &mut to.ours);
    }
    if is_specific {
        return;
    }
    let lower = text.to_ascii_lowercase();
    let part = ["//", "/./", "/../", "%2f"]
        .into_iter()
        .find(|part| lower.contains(part))
        .or_else(|| ["/..", "/."].into_iter().find(|part| text.ends_with(part)));
    if let Some(part) = part {
        to.report.problem(
            codes::BAD_VALUE,
            path.origin.clone(),
            format!("{name} cannot be \"{text}\": Kubernetes refuses `{part}` in it"),
        );
    }
    // LBC finds it when it builds the rule, and so do our builders where its ways are asked for.
    if text.contains(['*', '?']) && to.ours.checks == Checks::Strict {
        to.ours.hinted(
            codes::WILDCARD_PATH,
            path.origin.clone(),
            format!("{name} cannot be \"{text}\": Exact and Prefix paths have no wildcards"),
            "Prefix `/a` covers `/a` and all below it",
        );
    }
}

fn too_long(origin: Origin, name: &str, ours: &mut Report) {
    ours.problem(
        codes::TOO_LONG,
        origin,
        format!(
            "{name} is longer than the {MAX_CONDITION} characters that a rule's condition holds"
        ),
    );
}

/// The same path under the same host twice: ALB asks the first rule only.
fn duplicate_paths(ingress: &Ingress, ours: &mut Report) {
    for (path, first) in repeated_paths(ingress) {
        ours.add(
            Problem::new(
                codes::DUPLICATE_PATH,
                path.origin.clone(),
                format!("the path \"{}\" stands twice under one host", path.path),
            )
            .hint("the second never matches; remove one")
            .also(first.clone()),
        );
    }
}

/// Paths that stand under the same host before, with the first place. Prefix `/a/` and `/a` match alike.
pub fn repeated_paths(ingress: &Ingress) -> Vec<(&IngressPath, &Origin)> {
    let mut found = Vec::new();
    let mut seen: BTreeMap<(String, u8, &str), &Origin> = BTreeMap::new();
    for rule in &ingress.rules {
        let host = rule.host.as_ref().map_or("", |host| host.value.as_str());
        for path in &rule.paths {
            let (rank, text) = match path.path_type {
                PathType::Exact => (0, path.path.as_str()),
                PathType::Prefix => (1, path.path.strip_suffix('/').unwrap_or(&path.path)),
                PathType::ImplementationSpecific => (2, path.path.as_str()),
            };
            let key = (host.to_ascii_lowercase(), rank, text);
            match seen.get(&key) {
                Some(first) => found.push((path, *first)),
                None => drop(seen.insert(key, &path.origin)),
            }
        }
    }
    found
}
