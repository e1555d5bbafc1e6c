//! Where in a file the field stands that somebody else names: the API server knows fields by their path only.

use super::{Object, ParseOptions, Snapshot};
use crate::{
    id::RepoPath,
    problem::Origin,
    yaml::{self, Node, Segment},
};

/// The place of the first field that `message` names in an object, or of its nearest parent that is in the file; else the
/// object's own.
pub fn of_message(
    files: &Snapshot,
    options: &ParseOptions,
    object: &Object,
    message: &str,
) -> Origin {
    find(files, options, object, message).unwrap_or_else(|| object.origin.clone())
}

fn find(
    files: &Snapshot,
    options: &ParseOptions,
    object: &Object,
    message: &str,
) -> Option<Origin> {
    let path = field_in(message, &object.body.value())?;
    let file = RepoPath::new(&*object.origin.file);
    let bytes = files.files.get(&file)?;
    let documents = yaml::parse(&object.origin.file, bytes, &options.limits).value;
    documents
        .iter()
        .map(yaml::Tree::root)
        .find_map(|root| standing_at(root, &object.origin))
        .map(|node| walk(node, &path))
}

/// The document that begins there, which may be an item of a List.
fn standing_at<'a>(root: Node<'a>, origin: &Origin) -> Option<Node<'a>> {
    if root.origin() == *origin {
        return Some(root);
    }
    root.get("items")?
        .items()
        .find(|item| item.origin() == *origin)
}

fn walk(mut node: Node<'_>, path: &[Segment]) -> Origin {
    for segment in path {
        let next = match segment {
            Segment::Key(key) => node.get(key),
            Segment::Index(index) => node.items().nth(*index),
        };
        match next {
            Some(next) => node = next,
            None => break,
        }
    }
    node.origin()
}

/// `spec.replicas` of `Deployment.apps "a" is invalid: spec.replicas: Invalid value: …`, `.spec.foo` of `.spec.foo: field
/// not declared in schema`, `spec.foo` of `unknown field "spec.foo"`: the first word that leads into the object.
fn field_in(message: &str, object: &serde_json::Value) -> Option<Vec<Segment>> {
    message.split_whitespace().find_map(|word| {
        let word = word.trim_matches(|letter| matches!(letter, '"' | '[' | ',' | ':' | '.' | ';'));
        let path = segments(word)?;
        match path.first()? {
            Segment::Key(key) if path.len() > 1 => object.get(key).map(|_| path),
            _ => None,
        }
    })
}

/// `spec.containers[0].args`, `metadata.annotations[a.b/c]`.
fn segments(word: &str) -> Option<Vec<Segment>> {
    let mut path = Vec::new();
    let mut rest = word;
    while !rest.is_empty() {
        if let Some(inner) = rest.strip_prefix('[') {
            let (inside, after) = inner.split_once(']')?;
            let inside = inside.trim_matches('"');
            path.push(match inside.parse::<usize>() {
                Ok(index) => index.into(),
                Err(_) => inside.into(),
            });
            rest = after.strip_prefix('.').unwrap_or(after);
            continue;
        }
        let end = rest.find(['.', '[']).unwrap_or(rest.len());
        let (key, after) = rest.split_at(end);
        if key.is_empty() {
            return None;
        }
        path.push(key.into());
        rest = after.strip_prefix('.').unwrap_or(after);
    }
    Some(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "\
# A web server.
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: default}
spec:
  replicas: -2
  template:
    spec:
      containers:
        - name: main
          ports:
            - containerPort: 0
---
apiVersion: v1
kind: List
items:
  - apiVersion: v1
    kind: Service
    metadata: {name: web, namespace: default}
    spec:
      ports: [{port: 0}]
";

    fn place(name: &str, message: &str) -> String {
        let mut files = Snapshot::default();
        let file = RepoPath::new("web.yaml".to_owned());
        files
            .files
            .insert(file.clone(), FILE.as_bytes().to_vec().into());
        let options = ParseOptions {
            watched: [RepoPath::new(".".to_owned())].into(),
            ..ParseOptions::default()
        };
        let manifests = super::super::parse(&files, &options).value;
        let object = manifests
            .objects
            .iter()
            .find(|object| object.reference.kind == name)
            .unwrap();
        of_message(&files, &options, object, message).to_string()
    }

    #[test]
    fn a_field_that_the_api_server_names_is_found_in_its_file() {
        for (kind, message, expected) in [
            (
                "Deployment",
                "Deployment.apps \"web\" is invalid: spec.replicas: Invalid value: -2: must be greater than or equal to 0",
                "web.yaml:6:13",
            ),
            (
                "Deployment",
                "Deployment.apps \"web\" is invalid: [spec.template.spec.containers[0].ports[0].containerPort: Required \
                 value, spec.template.spec.containers[0].image: Required value]",
                "web.yaml:12:30",
            ),
            // What is missing has no place: its parent's.
            (
                "Deployment",
                "spec.template.spec.containers[0].image: Required value",
                "web.yaml:10:11",
            ),
            (
                "Deployment",
                "failed to create typed patch object (default/web; apps/v1, Kind=Deployment): .spec.replica: field not \
                 declared in schema",
                "web.yaml:6:3",
            ),
            (
                "Service",
                "Service \"web\" is invalid: spec.ports[0].port: Invalid value: 0: must be between 1 and 65535",
                "web.yaml:21:22",
            ),
            (
                "Deployment",
                "admission webhook denied the request",
                "web.yaml:2:1",
            ),
            ("Deployment", "quota spec.[ is exceeded", "web.yaml:2:1"),
        ] {
            assert_eq!(place(kind, message), expected, "{message}");
        }
    }
}
