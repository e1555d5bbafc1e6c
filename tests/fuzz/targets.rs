//! What is fuzzed: everything between bytes that a commit may hold and the model. Nothing may panic, every problem has a
//! place in its file, and YAML that is read in one go is read as the libraries read it.
#![allow(dead_code, reason = "each fuzz target uses one of them")]

use std::{collections::BTreeMap, sync::OnceLock};

use albsync::{
    id::RepoPath,
    manifest::{self, Checks, ParseOptions},
    model::{
        facts::{Facts, file},
        group, lbc,
        settings::Settings,
    },
    problem::Problem,
    source::Snapshot,
    yaml::{self, Limits},
};

/// A whole file.
pub fn yaml(data: &[u8]) {
    is_read_in_one_go(data);
    look(data.to_vec());
}

/// Whether the file is plain block YAML, read without the libraries: then as they read it, in values, places and problems.
pub fn is_read_in_one_go(data: &[u8]) -> bool {
    let Some((quick, measure)) = yaml::both_readings("a.yaml", data, &Limits::default()) else {
        return false;
    };
    assert_eq!(measure.problems, []);
    assert_eq!(quick, measure.value);
    true
}

/// An annotation: its name up to the first line break, then its value. On an Ingress, and on its Service.
pub fn annotation(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let (name, value) = text.split_once('\n').unwrap_or((text, ""));
    look(repository(name, value));
}

/// A value for each annotation that holds JSON.
pub fn json(data: &[u8]) {
    let Ok(value) = std::str::from_utf8(data) else {
        return;
    };
    for name in [
        "listen-ports",
        "mutual-authentication",
        "actions.app",
        "conditions.app",
        "transforms.app",
        "jwt-validation",
        "auth-idp-cognito",
        "auth-idp-oidc",
    ] {
        look(repository(name, value));
    }
}

fn look(bytes: Vec<u8>) {
    // As YAML counts them: a carriage return alone ends a line too.
    let text = String::from_utf8_lossy(&bytes).replace("\r\n", "\n");
    let lines = text.split(['\n', '\r']).count();
    let snapshot = Snapshot {
        commit: None,
        files: BTreeMap::from([(RepoPath::from("a.yaml"), bytes.into())]),
    };
    for checks in [Checks::Strict, Checks::Lbc] {
        let options = ParseOptions {
            checks,
            ..ParseOptions::default()
        };
        let parsed = manifest::parse(&snapshot, &options);
        let settings = Settings {
            cluster_name: "demo".to_owned(),
            checks,
            ..Settings::offline()
        };
        let built = group::build::build_all(&parsed.value, facts(), &settings);
        for problem in parsed.problems.iter().chain(&built.problems) {
            placed(problem, lines);
        }
        let models = built.into_models();
        let text = serde_json::to_vec(&lbc::Models(&models)).expect("JSON");
        assert!(!text.is_empty());
    }
}

/// An account in which most look-ups find something, so that inputs get past them.
fn facts() -> &'static Facts {
    static FACTS: OnceLock<Facts> = OnceLock::new();
    FACTS.get_or_init(|| {
        let text = include_str!("../model/values/facts.json");
        let value = serde_json::from_str(text).expect("JSON");
        file::read(&value).expect("facts")
    })
}

fn placed(problem: &Problem, lines: usize) {
    let origin = &problem.origin;
    assert!(&*origin.file == "a.yaml" && origin.column >= 1, "{problem}");
    assert!(
        (1..=lines.max(1)).contains(&(origin.line as usize)),
        "{problem}"
    );
    assert!(!problem.message.is_empty());
}

/// An Ingress and its Service, both with the annotation.
fn repository(name: &str, value: &str) -> Vec<u8> {
    // A JSON text is a YAML text.
    let quoted = |text: &str| serde_json::Value::from(text).to_string();
    let key = quoted(&format!("alb.ingress.kubernetes.io/{name}"));
    let value = quoted(value);
    format!(
        "apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: web
  annotations:
    {key}: {value}
    kubernetes.io/ingress.class: alb
spec:
  rules:
  - http:
      paths:
      - {{path: /a, pathType: Prefix, backend: {{service: {{name: app, port: {{number: 80}}}}}}}}
      - {{path: /b, pathType: ImplementationSpecific, backend: {{service: {{name: app, port: {{name: use-annotation}}}}}}}}
---
apiVersion: v1
kind: Service
metadata:
  name: app
  annotations:
    {key}: {value}
spec:
  type: NodePort
  ports:
  - port: 80
"
    )
    .into_bytes()
}
