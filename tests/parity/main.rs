//! All recorded inputs against what AWS Load Balancer Controller made of them (README.md gives the rules).

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a recording that cannot be read fails the test"
)]

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write,
};

use albsync::{cli::render::Rendered, problem::Severity};
use serde_json::{Map, Value, json};

mod corpus;
mod deployed;
mod order;
mod takeover;

use corpus::{AREAS, Case, cases, read, read_json, render};

/// Differences that are shown of one case.
const SHOWN: usize = 4;

#[test]
fn every_recorded_input_gives_what_the_controller_made_of_it() {
    let account = read_json("account.json");
    let only = std::env::var("PARITY").unwrap_or_default();
    let mut chosen = chosen_differences();
    let mut report = String::new();
    let mut scores: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    for case in AREAS.into_iter().flat_map(cases) {
        let is_chosen = chosen.remove(&case.slug);
        if !case.slug.contains(&only) {
            continue;
        }
        let differences = differences(&case, &account);
        let score = scores.entry(case.area).or_default();
        score.1 += 1;
        match (differences.is_empty(), is_chosen) {
            (true, false) => score.0 += 1,
            (false, true) => {}
            (true, true) => {
                writeln!(report, "{}: a chosen difference that is none", case.slug).unwrap();
            }
            (false, false) => {
                writeln!(report, "{}/{}", case.area, case.slug).unwrap();
                for difference in differences.iter().take(SHOWN) {
                    writeln!(report, "    {difference}").unwrap();
                }
            }
        }
    }
    for slug in chosen {
        writeln!(report, "{slug}: a chosen difference without a case").unwrap();
    }
    assert!(report.is_empty(), "\n{report}equal of all: {scores:?}");
}

fn chosen_differences() -> BTreeSet<String> {
    let text = read("differences");
    let lines = text
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines
        .map(|line| {
            let (slug, reason) = line.split_once(": ").expect("slug: reason");
            assert!(!reason.trim().is_empty(), "{slug} has no reason");
            slug.to_owned()
        })
        .collect()
}

fn differences(case: &Case, account: &Value) -> Vec<String> {
    let rendered = render(case, account);
    let printed = serde_json::to_value(rendered.as_lbc()).unwrap();
    let groups = printed["groups"].as_object().unwrap();
    let told: Vec<String> = rendered
        .problems
        .iter()
        .filter(|problem| problem.severity == Severity::Problem)
        .map(ToString::to_string)
        .collect();
    let outcome = case.answer["outcome"].as_str().unwrap();
    let is_refused = matches!(outcome, "refused" | "rejected-by-apiserver");
    let mut found = Vec::new();
    if is_refused || case.answer.get("leavesOut").is_some() {
        if told.is_empty() {
            return vec![format!(
                "refused by LBC, not by us: {}",
                case.answer["error"]
            )];
        }
        found.extend(without_place(&rendered, case));
    } else if !told.is_empty() {
        return vec![format!(
            "{outcome} by LBC, refused by us: {}",
            told.join(" | ")
        )];
    }
    if is_refused || outcome == "ignored" {
        let built: Vec<&String> = groups.keys().collect();
        if !built.is_empty() {
            found.push(format!("{outcome} by LBC, built by us: {built:?}"));
        }
        return found;
    }
    let none = Map::new();
    let wanted = case.answer["groups"].as_object().unwrap_or(&none);
    for (id, model) in wanted {
        let Some(ours) = groups.get(id) else {
            found.push(format!("group {id} is not built: {}", told.join(" | ")));
            continue;
        };
        compare(
            &canonical(model, "", false),
            &canonical(ours, "", false),
            id,
            &mut found,
        );
        let deployed = case.answer["certificates"].get(id);
        for (port, deployed) in deployed.and_then(Value::as_object).unwrap_or(&none) {
            let ours = certificates(ours, port);
            if ours != *deployed {
                found.push(format!(
                    "{id} certificates of {port}: LBC {deployed}, ours {ours}"
                ));
            }
        }
    }
    let more = groups.keys().filter(|id| !wanted.contains_key(*id));
    found.extend(more.map(|id| format!("group {id}: built by us only")));
    found
}

fn without_place(rendered: &Rendered, case: &Case) -> Vec<String> {
    let lines = case.input.matches('\n').count() + 1;
    let is_placed = |problem: &albsync::problem::Problem| {
        let origin = &problem.origin;
        &*origin.file == "input.yaml"
            && (1..=lines).contains(&usize::try_from(origin.line).unwrap())
            && origin.column >= 1
            && !problem.message.trim().is_empty()
    };
    rendered
        .problems
        .iter()
        .filter(|problem| !is_placed(problem))
        .map(|problem| format!("a problem without place or text: {problem}"))
        .collect()
}

/// The default certificate and the others, sorted, once each.
fn certificates(model: &Value, port: &str) -> Value {
    let listener = &model["resources"]["AWS::ElasticLoadBalancingV2::Listener"][port];
    let certificates = listener["spec"]["certificates"].as_array();
    let arns: Vec<&Value> = certificates
        .into_iter()
        .flatten()
        .map(|certificate| &certificate["certificateARN"])
        .collect();
    let default: Vec<_> = arns.iter().take(1).collect();
    let others: BTreeSet<&str> = arns
        .iter()
        .filter(|arn| !default.contains(arn))
        .filter_map(|arn| arn.as_str())
        .collect();
    json!([default, others])
}

/// Sorts what LBC itself writes in changing order, and leaves out what it does not write.
fn canonical(value: &Value, key: &str, in_security_group: bool) -> Value {
    match value {
        Value::Object(map) => map
            .iter()
            .filter(|(key, _)| *key != "certificateARN")
            .map(|(key, value)| {
                let in_group = in_security_group || key == "AWS::EC2::SecurityGroup";
                (key.clone(), canonical(value, key, in_group))
            })
            .collect(),
        Value::Array(items) => {
            let items = items.iter();
            let mut items: Vec<Value> = items
                .map(|item| canonical(item, "", in_security_group))
                .collect();
            if key.contains("ttributes") || (in_security_group && key == "ingress") {
                items.sort_by_key(ToString::to_string);
            }
            Value::Array(items)
        }
        _ => value.clone(),
    }
}

fn compare(lbc: &Value, ours: &Value, path: &str, found: &mut Vec<String>) {
    match (lbc, ours) {
        (Value::Object(a), Value::Object(b)) => {
            for key in a.keys().chain(b.keys()).collect::<BTreeSet<_>>() {
                let path = format!("{path}/{key}");
                match (a.get(key), b.get(key)) {
                    (Some(a), Some(b)) => compare(a, b, &path, found),
                    (Some(a), None) => found.push(format!("{path}: only LBC has it: {a}")),
                    (None, Some(b)) => found.push(format!("{path}: only ours has it: {b}")),
                    (None, None) => {}
                }
            }
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            for (index, (a, b)) in a.iter().zip(b).enumerate() {
                compare(a, b, &format!("{path}[{index}]"), found);
            }
        }
        _ if lbc == ours => {}
        _ => found.push(format!("{path}: LBC {lbc}, ours {ours}")),
    }
}
