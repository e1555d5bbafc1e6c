//! Facts files on disk: JSON, or YAML by the name's ending.

use std::{fs, path::Path};

use serde_json::Value;

use super::CliError;
use crate::{
    model::facts::{
        Facts,
        file::{self, Step},
    },
    yaml::{self, Limits, Segment, Tree},
};

/// Far above the largest cluster: 100,000 Services take about 20 MB.
const BYTES_MAX: usize = 256 << 20;
const KEYS_MAX: usize = 1_000_000;

/// Reads a facts file.
///
/// # Errors
/// It cannot be read, is neither JSON nor YAML, or holds something that is no fact: exit code 2.
pub fn read(path: &Path) -> Result<Facts, CliError> {
    let name = path.display().to_string();
    let bytes = fs::read(path).map_err(|error| {
        CliError::usage(format!("the facts file {name} cannot be read: {error}"))
    })?;
    parse(&name, &bytes)
}

fn parse(name: &str, bytes: &[u8]) -> Result<Facts, CliError> {
    let value = if is_yaml(name) {
        tree(name, bytes)?.value
    } else {
        serde_json::from_slice(bytes).map_err(|error| {
            CliError::usage(format!("the facts file {name} is not JSON: {error}"))
        })?
    };
    file::read(&value).map_err(|mistake| {
        let place = place(name, bytes, &mistake.path).unwrap_or_else(|| name.to_owned());
        CliError::usage(format!("{place}: {mistake}"))
            .hint("examples/facts.md describes every key of a facts file")
    })
}

fn is_yaml(name: &str) -> bool {
    [".yaml", ".yml"].iter().any(|end| name.ends_with(end))
}

/// The file's one document. JSON is YAML, near enough to find the place of a mistake.
fn tree(name: &str, bytes: &[u8]) -> Result<Tree, CliError> {
    let limits = Limits {
        bytes: BYTES_MAX,
        keys_per_map: KEYS_MAX,
        ..Limits::default()
    };
    let parsed = yaml::parse(name, bytes, &limits);
    if parsed.is_rejected() {
        return Err(CliError {
            problems: parsed.problems,
            ..CliError::usage(format!("the facts file {name} cannot be used"))
        });
    }
    let mut trees = parsed.value.into_iter();
    match (trees.next(), trees.next()) {
        (Some(tree), None) => Ok(tree),
        (None, _) => Ok(Tree::without_places(name, Value::Null)),
        (Some(_), Some(_)) => Err(CliError::usage(format!(
            "the facts file {name} holds more than one document"
        ))),
    }
}

/// `FILE:LINE:COLUMN` of the value at `path`.
fn place(name: &str, bytes: &[u8], path: &[Step]) -> Option<String> {
    let path: Vec<Segment> = path
        .iter()
        .map(|step| match step {
            Step::Key(key) => Segment::from(key.as_str()),
            Step::Index(index) => Segment::from(*index),
        })
        .collect();
    Some(tree(name, bytes).ok()?.key_origin(&path).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(name: &str, text: &str) -> String {
        let error = parse(name, text.as_bytes()).unwrap_err();
        assert_eq!(error.exit, super::super::Exit::Usage);
        error.to_string()
    }

    #[test]
    fn json_and_yaml_say_the_same() {
        let json = parse("f.json", br#"{"cluster": "demo", "nodes": ["i-1"]}"#).unwrap();
        let yaml = parse("f.yaml", b"cluster: demo\nnodes: [i-1]\n").unwrap();
        assert_eq!(json, yaml);
        assert_eq!(json.nodes.unwrap().len(), 1);
    }

    #[test]
    fn what_is_no_fact_is_told_with_file_line_and_key() {
        let text = refused(
            "f.json",
            "{\n  \"vpc\": {\"id\": \"vpc-1\",\n    \"name\": \"x\"}\n}",
        );
        assert!(
            text.contains("f.json:3:5: vpc.name: unknown field `name`"),
            "{text}"
        );
        assert!(text.contains("examples/facts.md"), "{text}");
        let text = refused("f.yaml", "account: 12\n");
        assert!(text.contains("f.yaml:1:1: account: invalid type"), "{text}");
    }

    #[test]
    fn what_is_no_file_of_facts_is_refused() {
        assert!(refused("f.json", "{").contains("f.json is not JSON"));
        assert!(refused("f.yaml", "a: [").contains("f.yaml"));
        assert!(refused("f.yaml", "{}\n---\n{}\n").contains("more than one document"));
        assert!(refused("f.yaml", "").contains("not a mapping of facts"));
        assert!(
            read(Path::new("no/such/facts.json"))
                .unwrap_err()
                .to_string()
                .contains("no/such/facts.json cannot be read")
        );
    }
}
