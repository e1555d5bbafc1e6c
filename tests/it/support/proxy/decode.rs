//! What a request asks for, read from its bytes (testbed-aws.md §8, P1).

use std::collections::BTreeMap;

use hyper::header::{AUTHORIZATION, CONTENT_TYPE};
use hyper::http::request::Parts;
use hyper::{HeaderMap, Method};

/// Which of the two worlds a request goes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Plane {
    Aws,
    Kubernetes,
}

/// How a service words its errors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// ELBv2, IAM, STS: XML with `ErrorResponse`.
    Query,
    /// EC2: XML with `Response/Errors`.
    Ec2,
    /// EKS: JSON with the code in a header.
    Json,
    /// The API server's `Status` objects.
    Kubernetes,
}

/// One decoded request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    pub plane: Plane,
    /// As in the credential scope (`elasticloadbalancing`, `ec2`, `iam`, …); for Kubernetes the API group, "" for the core.
    pub service: String,
    /// `CreateRule`; for Kubernetes the verb (`get`, `list`, `watch`, `create`, `update`, `patch`, `apply`, `delete`,
    /// `deletecollection`).
    pub operation: String,
    /// The AWS region of the credential scope.
    pub region: String,
    /// AWS: the members of the form or the path's parts. Kubernetes: the query.
    pub parameters: BTreeMap<String, String>,
    /// Kubernetes only: the plural, with the subresource as `ingresses/status`.
    pub resource: String,
    pub namespace: String,
    pub name: String,
    pub dry_run: bool,
}

impl Call {
    /// `elasticloadbalancing:CreateRule`, `apply networking.k8s.io/ingresses/status default/app`.
    pub fn label(&self) -> String {
        match self.plane {
            Plane::Aws => format!("{}:{}", self.service, self.operation),
            Plane::Kubernetes => {
                let group = if self.service.is_empty() {
                    String::new()
                } else {
                    format!("{}/", self.service)
                };
                let dry = if self.dry_run { " (dry run)" } else { "" };
                let place = [self.namespace.as_str(), self.name.as_str()];
                let place = place
                    .into_iter()
                    .filter(|part| !part.is_empty())
                    .collect::<Vec<_>>()
                    .join("/");
                format!("{} {group}{} {place}{dry}", self.operation, self.resource)
                    .trim_end()
                    .to_owned()
            }
        }
    }

    /// Whether the call changes something that a test would call state: dry runs, events, leases and access reviews are
    /// requests that write nothing, or nothing of ours.
    pub fn is_write(&self) -> bool {
        match self.plane {
            Plane::Aws => {
                const READS: [&str; 6] = [
                    "Describe",
                    "List",
                    "Get",
                    "AssumeRole",
                    "Simulate",
                    "Decode",
                ];
                !READS
                    .iter()
                    .any(|prefix| self.operation.starts_with(prefix))
            }
            Plane::Kubernetes => {
                let mutating = matches!(
                    self.operation.as_str(),
                    "create" | "update" | "patch" | "apply" | "delete" | "deletecollection"
                );
                let no_state = matches!(self.resource.as_str(), "events" | "leases")
                    || self.resource.ends_with("reviews");
                mutating && !self.dry_run && !no_state
            }
        }
    }

    /// A write to the `status` subresource of a Kubernetes object.
    pub fn is_status(&self) -> bool {
        self.plane == Plane::Kubernetes && self.resource.ends_with("/status")
    }

    pub fn is_watch(&self) -> bool {
        self.operation == "watch"
    }

    pub fn dialect(&self) -> Dialect {
        match (self.plane, self.service.as_str()) {
            (Plane::Kubernetes, _) => Dialect::Kubernetes,
            (Plane::Aws, "ec2") => Dialect::Ec2,
            (Plane::Aws, "elasticloadbalancing" | "iam" | "sts") => Dialect::Query,
            (Plane::Aws, _) => Dialect::Json,
        }
    }
}

/// Decodes any request; what is not understood keeps its method and path as the operation.
pub fn decode(plane: Plane, head: &Parts, body: &[u8]) -> Call {
    match plane {
        Plane::Aws => decode_aws(head, body),
        Plane::Kubernetes => decode_kubernetes(head),
    }
}

fn decode_aws(head: &Parts, body: &[u8]) -> Call {
    let (region, mut service) = credential_scope(&head.headers).unwrap_or_default();
    let mut parameters = pairs(head.uri.query().unwrap_or(""));
    let content_type = header(&head.headers, CONTENT_TYPE.as_str());
    if content_type.starts_with("application/x-www-form-urlencoded") {
        parameters.extend(pairs(&String::from_utf8_lossy(body)));
    }
    let operation = if let Some(action) = parameters.remove("Action") {
        action
    } else if let Some((_, operation)) = header(&head.headers, "x-amz-target").rsplit_once('.') {
        operation.to_owned()
    } else {
        rest_operation(&service, head, &mut parameters)
    };
    parameters.remove("Version");
    if service.is_empty() && operation.starts_with("AssumeRoleWith") {
        // The one kind of call that AWS takes unsigned.
        service = "sts".to_owned();
    }
    Call {
        plane: Plane::Aws,
        service,
        operation,
        region,
        parameters,
        resource: String::new(),
        namespace: String::new(),
        name: String::new(),
        dry_run: false,
    }
}

/// Region and service from `Credential=KEY/DATE/REGION/SERVICE/aws4_request`.
fn credential_scope(headers: &HeaderMap) -> Option<(String, String)> {
    let authorization = header(headers, AUTHORIZATION.as_str());
    let credential = authorization
        .split("Credential=")
        .nth(1)?
        .split(',')
        .next()?;
    let mut parts = credential.split('/').skip(2);
    Some((parts.next()?.to_owned(), parts.next()?.to_owned()))
}

/// EKS's paths, as far as anybody here calls them.
fn rest_operation(
    service: &str,
    head: &Parts,
    parameters: &mut BTreeMap<String, String>,
) -> String {
    let path = head.uri.path().trim_matches('/');
    let parts: Vec<&str> = path.split('/').collect();
    let named = match (service, &head.method, parts.as_slice()) {
        ("eks", &Method::GET, ["clusters"]) => Some("ListClusters"),
        ("eks", &Method::POST, ["clusters"]) => Some("CreateCluster"),
        ("eks", &Method::GET, ["clusters", name]) => {
            parameters.insert("name".to_owned(), (*name).to_owned());
            Some("DescribeCluster")
        }
        ("eks", &Method::DELETE, ["clusters", _]) => Some("DeleteCluster"),
        ("eks", &Method::GET, ["clusters", _, "pod-identity-associations"]) => {
            Some("ListPodIdentityAssociations")
        }
        _ => None,
    };
    named.map_or_else(|| format!("{} /{path}", head.method), str::to_owned)
}

fn decode_kubernetes(head: &Parts) -> Call {
    let parameters = pairs(head.uri.query().unwrap_or(""));
    let parts: Vec<&str> = head
        .uri
        .path()
        .split('/')
        .filter(|part| !part.is_empty())
        .collect();
    let (group, rest) = match parts.as_slice() {
        ["api", _, rest @ ..] => ("", rest),
        ["apis", group, _, rest @ ..] => (*group, rest),
        _ => ("", &[][..]),
    };
    let (namespace, rest) = match rest {
        // Namespaces themselves, and their own subresources.
        ["namespaces"] | ["namespaces", _] | ["namespaces", _, "status" | "finalize"] => ("", rest),
        ["namespaces", namespace, rest @ ..] => (*namespace, rest),
        _ => ("", rest),
    };
    let (resource, name) = match rest {
        [] => (String::new(), ""),
        [plural] => ((*plural).to_owned(), ""),
        [plural, name] => ((*plural).to_owned(), *name),
        [plural, name, sub @ ..] => (format!("{plural}/{}", sub.join("/")), *name),
    };
    let watching = parameters
        .get("watch")
        .is_some_and(|value| value == "true" || value == "1");
    let applying =
        header(&head.headers, CONTENT_TYPE.as_str()).starts_with("application/apply-patch");
    let operation = match (&head.method, name.is_empty()) {
        (&Method::GET, _) if watching => "watch",
        (&Method::GET, true) if !resource.is_empty() => "list",
        (&Method::GET | &Method::HEAD, _) => "get",
        (&Method::POST, _) => "create",
        (&Method::PUT, _) => "update",
        (&Method::PATCH, _) if applying => "apply",
        (&Method::PATCH, _) => "patch",
        (&Method::DELETE, true) => "deletecollection",
        (&Method::DELETE, false) => "delete",
        _ => "other",
    };
    Call {
        plane: Plane::Kubernetes,
        service: group.to_owned(),
        operation: operation.to_owned(),
        region: String::new(),
        dry_run: parameters.get("dryRun").is_some_and(|value| value == "All"),
        parameters,
        resource,
        namespace: namespace.to_owned(),
        name: name.to_owned(),
    }
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers
        .get(name)
        .and_then(|value| value.to_str().ok())
        .unwrap_or("")
}

/// Decodes `a=b&c=d`, as forms and queries are written.
fn pairs(text: &str) -> BTreeMap<String, String> {
    text.split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (unescape(name), unescape(value))
        })
        .collect()
}

fn unescape(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut result = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let hex = bytes
            .get(at + 1..at + 3)
            .and_then(|digits| std::str::from_utf8(digits).ok());
        match (
            bytes[at],
            hex.and_then(|digits| u8::from_str_radix(digits, 16).ok()),
        ) {
            (b'%', Some(byte)) => {
                result.push(byte);
                at += 2;
            }
            (b'+', _) => result.push(b' '),
            (byte, _) => result.push(byte),
        }
        at += 1;
    }
    String::from_utf8_lossy(&result).into_owned()
}
