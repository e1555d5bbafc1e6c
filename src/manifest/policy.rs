//! IAM policy documents in manifests and in the files that they name (irsa.md §§6.4, 7.3, 7.4 G12).

use std::collections::BTreeMap;

use serde_json::Value;

use super::{
    document::Context,
    field::{Field, Report},
    irsa::PolicyDocument,
};
use crate::{
    id::RepoPath,
    problem::{Located, Origin, Problem, codes},
    source::snapshot::Snapshot,
    yaml::{self, Limits, Tree},
};

mod lint;
mod strict;
#[cfg(test)]
mod tests;

/// The files of the snapshot, for `file:`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Files<'a> {
    pub snapshot: &'a Snapshot,
    pub limits: &'a Limits,
}

/// Longest document that IAM takes as a parameter.
const MAX_RAW: usize = 131_072;
/// Characters without blanks: all inline policies of one role together, and one managed policy.
const MAX_INLINE: usize = 10_240;
const MAX_OWNED: usize = 6_144;

/// Reads `inline` or `owned`.
pub(super) fn documents(
    policies: &Field<'_>,
    key: &str,
    context: Context<'_>,
    report: &mut Report,
) -> Vec<Located<PolicyDocument>> {
    let is_owned = key == "owned";
    let known: &[&str] = if is_owned {
        &["name", "document", "file", "description"]
    } else {
        &["name", "document", "file"]
    };
    let mut read = Vec::new();
    let mut names: BTreeMap<String, Origin> = BTreeMap::new();
    let mut total = 0;
    for item in report.list(policies, key) {
        if !report.fields(&item, known) {
            continue;
        }
        let name = report.required_text(&item, "name");
        if let Some(name) = &name {
            // Stored under a prefix, which has to fit too.
            report.name(&item.path_of("name"), name, iam_name::<100>);
            if let Some(first) = names.get(&name.value) {
                report.add(
                    Problem::new(
                        codes::IAM_DUPLICATE,
                        name.origin.clone(),
                        format!("two {key} policies are named \"{}\"", name.value),
                    )
                    .also(first.clone()),
                );
            }
            names.insert(name.value.clone(), name.origin.clone());
        }
        let description = report.text(&item, "description");
        if let Some(text) = &description {
            super::irsa::check_description(&item.path_of("description"), text, report);
        }
        let Some(document) = document(&item, context, report) else {
            continue;
        };
        let size = size(&document);
        total += size;
        let limit = if is_owned { MAX_OWNED } else { MAX_INLINE };
        let counted = if is_owned { size } else { total };
        if counted > limit {
            let subject = if is_owned {
                "this policy has"
            } else {
                "the inline policies up to here have"
            };
            report.hinted(
                codes::IAM_QUOTA,
                item.origin(),
                format!("{subject} {counted} characters, blanks not counted; IAM takes {limit}"),
                "split it, or say the same shorter",
            );
        }
        let Some(name) = name else { continue };
        read.push(Located::new(
            PolicyDocument {
                name: name.value,
                description: description.map(|text| text.value).unwrap_or_default(),
                document,
            },
            item.origin(),
        ));
    }
    read
}

/// The document of one policy, from beside its name or from a file.
fn document(item: &Field<'_>, context: Context<'_>, report: &mut Report) -> Option<Value> {
    match (item.get("document"), item.get("file")) {
        (Some(_), Some(_)) => {
            report.hinted(
                codes::BAD_VALUE,
                item.node.key_origin("file"),
                format!("{} has a document and a file", item.path),
                "keep one of them",
            );
            None
        }
        (None, None) => {
            report.hinted(
                codes::MISSING_FIELD,
                item.origin(),
                format!("{} has no document", item.path),
                "write document or file",
            );
            None
        }
        (Some(document), None) => {
            lint::check(&document, report);
            document
                .value()
                .is_object()
                .then(|| document.value().clone())
        }
        (None, Some(_)) => from_file(&report.text(item, "file")?, context, report),
    }
}

fn from_file(name: &Located<String>, context: Context<'_>, report: &mut Report) -> Option<Value> {
    let mut refuse = |message: String, hint: &str| {
        report.hinted(codes::IAM_FILE, name.origin.clone(), message, hint);
        None
    };
    let path = match resolve(context.file, &name.value) {
        Ok(path) => path,
        Err(expected) => {
            return refuse(
                format!("\"{}\" is no file that can be read", name.value),
                expected,
            );
        }
    };
    let Some(bytes) = context.files.snapshot.files.get(&path) else {
        return refuse(
            format!("there is no file {path}"),
            "the path is relative to the manifest's directory",
        );
    };
    let file = path.as_str();
    let value = match strict::parse(bytes) {
        Ok(value) => value,
        Err(strict::Mistake {
            line,
            column,
            message,
        }) => {
            report.add(
                Problem::new(
                    codes::IAM_FILE,
                    Origin::new(file, line, column),
                    format!("the policy file is not JSON: {message}"),
                )
                .also(name.origin.clone()),
            );
            return None;
        }
    };
    // JSON is YAML but for tabs and such; where the reader of places fails, problems name the start of the file.
    let tree = yaml::parse(file, bytes, context.files.limits)
        .value
        .into_iter()
        .find(|tree| tree.value == value)
        .unwrap_or_else(|| Tree::without_places(file, value));
    lint::check(&Field::root(tree.root()), report);
    tree.value.is_object().then(|| tree.value.clone())
}

/// The path in the repository of a file that a manifest names, or what was expected.
pub(super) fn resolve(manifest: &str, name: &str) -> Result<RepoPath, &'static str> {
    if name.contains("://") {
        return Err("policies come from this repository only");
    }
    if name.is_empty() || name.starts_with('/') || name.contains(['\\', '\0']) {
        return Err("it is a path relative to the manifest's directory");
    }
    let mut parts: Vec<&str> = manifest.split('/').collect();
    parts.pop();
    for part in name.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop().ok_or("it must not leave the repository")?;
            }
            _ => parts.push(part),
        }
    }
    let is_manifest = parts.last().is_none_or(|last| {
        let last = last.to_ascii_lowercase();
        last.ends_with(".yaml") || last.ends_with(".yml")
    });
    if is_manifest {
        return Err("it is a JSON file, such as policy.json");
    }
    Ok(RepoPath::new(parts.join("/")))
}

/// The files that one document names, as paths in the repository; names that cannot be resolved are left out.
pub(super) fn named_by(manifest: &str, document: &Value) -> Vec<RepoPath> {
    let policies = document.pointer("/spec/policies");
    ["inline", "owned"]
        .into_iter()
        .filter_map(|key| policies?.get(key)?.as_array())
        .flatten()
        .filter_map(|item| resolve(manifest, item.get("file")?.as_str()?).ok())
        .collect()
}

/// Characters as IAM counts them for its quotas: of the document written without blanks.
fn size(document: &Value) -> usize {
    document
        .to_string()
        .chars()
        .filter(|c| !c.is_whitespace())
        .count()
}

/// IAM's names: letters, digits and a few signs, up to `N` characters.
pub(super) fn iam_name<const N: usize>(text: &str) -> Result<(), &'static str> {
    let fine = (1..=N).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"_+=,.@-".contains(&byte));
    fine.then_some(()).ok_or(if N == 64 {
        "up to 64 letters, digits and _ + = , . @ -"
    } else {
        "up to 100 letters, digits and _ + = , . @ -"
    })
}
