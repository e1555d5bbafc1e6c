//! The recorded inputs as they are packed, and what albsync reads of them.

use std::{
    fs,
    path::{Path, PathBuf},
};

use albsync::{
    cli::render::{self, Rendered},
    id::RepoPath,
    manifest::{Checks, ParseOptions},
    model::{
        facts::{Facts, file},
        settings::Settings,
    },
    source::snapshot::Snapshot,
};
use serde_json::Value;

pub const AREAS: [&str; 5] = ["group", "lb", "listener", "rule", "tg"];

/// One input with what the controller made of it.
pub struct Case {
    pub slug: String,
    pub area: &'static str,
    pub input: String,
    pub facts: Value,
    pub answer: Value,
}

fn place(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/parity")
        .join(name)
}

pub fn read(name: &str) -> String {
    fs::read_to_string(place(name)).unwrap()
}

pub fn read_json(name: &str) -> Value {
    serde_json::from_str(&read(name)).unwrap()
}

pub fn cases(area: &'static str) -> Vec<Case> {
    let text = read(&format!("{area}.cases"));
    let mut cases: Vec<Case> = Vec::new();
    let mut values: Vec<Value> = Vec::new();
    for line in text.lines() {
        if let Some(slug) = line.strip_prefix("=== ") {
            cases.push(Case {
                slug: slug.to_owned(),
                area,
                input: String::new(),
                facts: Value::Null,
                answer: Value::Null,
            });
            continue;
        }
        let case = cases.last_mut().unwrap();
        let Some(json) = line.strip_prefix(">>> ") else {
            case.input.push_str(line);
            case.input.push('\n');
            continue;
        };
        values.push(serde_json::from_str(json).unwrap());
        if let [facts, answer] = &mut values[..] {
            case.facts = facts.take();
            case.answer = answer.take();
            values.clear();
        }
    }
    cases
}

/// What is known of the account and the cluster in this case.
pub fn facts(case: &Case, account: &Value) -> Facts {
    let mut facts = account.as_object().unwrap().clone();
    facts.extend(case.facts.as_object().unwrap().clone());
    file::read(&Value::Object(facts)).unwrap()
}

pub fn options() -> ParseOptions {
    ParseOptions {
        checks: Checks::Lbc,
        ..ParseOptions::default()
    }
}

pub fn settings(facts: &Facts) -> Settings {
    Settings {
        cluster_name: facts.cluster.clone().unwrap(),
        checks: Checks::Lbc,
        ..Settings::offline()
    }
}

pub fn snapshot(files: &[(&str, String)]) -> Snapshot {
    Snapshot {
        commit: None,
        files: files
            .iter()
            .map(|(path, text)| (RepoPath::from(*path), text.clone().into_bytes().into()))
            .collect(),
    }
}

/// What is built and told of a case's documents.
pub fn render(case: &Case, account: &Value) -> Rendered {
    render_files(case, account, &[("input.yaml", case.input.clone())])
}

pub fn render_files(case: &Case, account: &Value, files: &[(&str, String)]) -> Rendered {
    let facts = facts(case, account);
    render::of_files(&snapshot(files), &options(), &facts, &settings(&facts))
}
