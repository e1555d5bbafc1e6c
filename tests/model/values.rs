//! Good and bad values of everything that manifests say: what is told of each, with its place, and what is built.
//!
//! `values/*.cases` is the table, for people to read in a review; `values/README.md` says how. `UPDATE=1 cargo test values`
//! writes anew what is told.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use albsync::{
    cli::render,
    config::{Config, Overrides},
    converge::{load, world},
    id::RepoPath,
    manifest::{
        self,
        annotation::{PREFIX, TABLE},
    },
    model::{self, facts::file},
    problem::Problem,
    source::Snapshot,
};
use serde_json::{Value, json};

mod params;
mod settings;

/// Any text is a value of these, and nobody can tell from git alone that it is a wrong one.
const FREE: &[(&str, &str)] = &[(
    "web-acl-id",
    "the older name of waf-acl-id, by which its problems are told",
)];

struct Case {
    title: String,
    /// Lines before what is wanted, as written.
    given: Vec<String>,
    /// `= POINTER VALUE`, as written.
    built: Vec<String>,
    /// What is told, a line each.
    told: Vec<String>,
    /// With nothing wrong, a case says so.
    is_good: bool,
}

/// One file of cases: what comes before its first case, and the cases.
struct Table {
    path: PathBuf,
    head: String,
    cases: Vec<Case>,
}

fn place(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/model/values")
        .join(name)
}

fn tables() -> Vec<Table> {
    let mut paths: Vec<PathBuf> = fs::read_dir(place(""))
        .expect("the directory")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "cases"))
        .collect();
    paths.sort();
    paths.into_iter().map(table).collect()
}

fn table(path: PathBuf) -> Table {
    let text = fs::read_to_string(&path).expect("UTF-8");
    let mut head = String::new();
    let mut cases: Vec<Case> = Vec::new();
    for line in text.lines() {
        if let Some(title) = line.strip_prefix("== ") {
            cases.push(Case {
                title: title.to_owned(),
                given: Vec::new(),
                built: Vec::new(),
                told: Vec::new(),
                is_good: false,
            });
            continue;
        }
        let Some(case) = cases.last_mut() else {
            head.push_str(line);
            head.push('\n');
            continue;
        };
        match line.split_at_checked(2) {
            Some(("! ", told)) => case.told.push(told.to_owned()),
            Some(("= ", built)) => case.built.push(built.to_owned()),
            _ if line == "ok" => case.is_good = true,
            _ if line.is_empty() => {}
            _ => case.given.push(line.to_owned()),
        }
    }
    Table { path, head, cases }
}

impl Table {
    fn name(&self) -> String {
        let name = self.path.file_name().and_then(|name| name.to_str());
        name.expect("UTF-8").to_owned()
    }

    fn write(&self) {
        let mut text = self.head.clone();
        for case in &self.cases {
            text.push_str(&format!("== {}\n", case.title));
            for line in &case.given {
                text.push_str(&format!("{line}\n"));
            }
            for line in &case.built {
                text.push_str(&format!("= {line}\n"));
            }
            for line in &case.told {
                text.push_str(&format!("! {line}\n"));
            }
            if case.is_good && case.built.is_empty() {
                text.push_str("ok\n");
            }
            text.push('\n');
        }
        fs::write(&self.path, format!("{}\n", text.trim_end())).expect("to be written");
    }
}

const INGRESS: &str = "\
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: NAME
ANNOTATIONSspec:
  ingressClassName: alb
  rules:
    - host: NAME.example.com
      http:
        paths:
          - path: /
            pathType: Prefix
            backend:
              service: {name: app, port: {number: 80}}
";

const SERVICE: &str = "\
apiVersion: v1
kind: Service
metadata:
  name: app
ANNOTATIONSspec:
  type: NodePort
  selector: {app: app}
  ports:
    - {name: http, port: 80, targetPort: 8080, nodePort: 30080}
";

const CLASS: &str = "\
apiVersion: networking.k8s.io/v1
kind: IngressClass
metadata:
  name: alb
spec:
  controller: ingress.k8s.aws/alb
";

const OF_PARAMS: &str =
    "  parameters: {apiGroup: elbv2.k8s.aws, kind: IngressClassParams, name: alb}\n";

const PARAMS: &str = "\
apiVersion: elbv2.k8s.aws/v1beta1
kind: IngressClassParams
metadata:
  name: alb
spec:
";

const CONFIG: &str = "
source: {url: /srv/manifests}
cluster: {name: demo}
aws: {region: eu-central-1}
iam: {permissionsBoundary: 'arn:aws:iam::123456789012:policy/boundary'}
";

/// A repository, facts and a configuration as a case changes them.
struct Given {
    annotations: BTreeMap<String, String>,
    params: String,
    edits: Vec<(String, String, String)>,
    files: BTreeMap<String, String>,
    facts: Value,
    config: String,
}

impl Given {
    fn of(case: &Case) -> Result<Self, String> {
        Self::of_lines(case.given.iter())
    }

    fn of_lines<'a>(lines: impl Iterator<Item = &'a String>) -> Result<Self, String> {
        let facts = fs::read_to_string(place("facts.json")).expect("the facts");
        let mut given = Self {
            annotations: BTreeMap::new(),
            params: String::new(),
            edits: Vec::new(),
            files: BTreeMap::new(),
            facts: serde_json::from_str(&facts).expect("JSON"),
            config: CONFIG.to_owned(),
        };
        for line in lines {
            given
                .read(line)
                .ok_or_else(|| format!("no such line: {line}"))?;
        }
        Ok(given)
    }

    /// One line of a case, by the rules of `values/README.md`.
    fn read(&mut self, line: &str) -> Option<()> {
        if line.starts_with('#') {
            return Some(());
        }
        if let Some(rest) = line.strip_prefix('@') {
            let (object, annotation) = rest.split_once(' ')?;
            let annotation = match annotation.split_once(' ') {
                Some((key, _)) if key.contains('/') => annotation.to_owned(),
                _ => format!("{PREFIX}/{annotation}"),
            };
            let of_object = self.annotations.entry(object.to_owned()).or_default();
            of_object.push_str(&format!("    {annotation}\n"));
            return Some(());
        }
        let (word, rest) = line.split_once(' ')?;
        match word {
            "params" => self.params.push_str(&format!("  {rest}\n")),
            "facts" => merge(&mut self.facts, serde_json::from_str(rest).ok()?),
            "config" => self.config.push_str(&format!("{rest}\n")),
            "file" => {
                let (name, text) = rest.split_once(' ')?;
                self.files
                    .insert(name.to_owned(), format!("{}\n", text.replace("\\n", "\n")));
            }
            "edit" => {
                let (name, change) = rest.split_once(' ')?;
                let (from, to) = change.split_once(" => ")?;
                let lines = |text: &str| text.replace("\\n", "\n");
                self.edits.push((name.to_owned(), lines(from), lines(to)));
            }
            _ => return None,
        }
        Some(())
    }

    fn files(&self) -> Result<Snapshot, String> {
        let annotated = |text: &str, object: &str| {
            let block = self.annotations.get(object);
            let block = block.map_or_else(String::new, |it| format!("  annotations:\n{it}"));
            text.replace("NAME", object).replace("ANNOTATIONS", &block)
        };
        let mut files = self.files.clone();
        let mut base = |name: &str, text: String| {
            files.entry(format!("{name}.yaml")).or_insert(text);
        };
        base("web", annotated(INGRESS, "web"));
        base("app", annotated(SERVICE, "app"));
        let edited = |name: &str| self.edits.iter().any(|(file, ..)| file == name);
        if self.annotations.contains_key("also") || edited("also.yaml") {
            base("also", annotated(INGRESS, "also"));
        }
        let mut class = CLASS.to_owned();
        if !self.params.is_empty() {
            class.push_str(OF_PARAMS);
            base("params", format!("{PARAMS}{}", self.params));
        }
        base("class", class);
        for (name, from, to) in &self.edits {
            let text = files.get_mut(name).ok_or_else(|| format!("no {name}"))?;
            if !text.contains(from) {
                return Err(format!("{name} does not hold {from:?}"));
            }
            *text = text.replacen(from, to, 1);
        }
        Ok(Snapshot {
            commit: None,
            files: files
                .into_iter()
                .map(|(name, text)| (RepoPath::from(name.as_str()), text.into_bytes().into()))
                .collect(),
        })
    }

    /// What comes of it, with some keys of the configuration at other values.
    fn outcome(&self, overrides: &Overrides) -> Result<Outcome, String> {
        let config = match Config::parse(
            "config.yaml",
            self.config.as_bytes(),
            &BTreeMap::new(),
            overrides,
        ) {
            Ok(config) => config,
            Err(problems) => {
                return Ok(Outcome {
                    told: lines(&problems),
                    ..Outcome::default()
                });
            }
        };
        let facts = file::read(&self.facts).map_err(|mistake| mistake.to_string())?;
        let options = load::parse_options(&config);
        let settings = world::offline_settings(Some(&config));
        let files = self.files()?;
        let rendered = render::of_files(&files, &options, &facts, &settings);
        let manifests = manifest::parse(&files, &options).value;
        let desired = model::build(&manifests, &facts, &settings).value;
        let printed = serde_json::to_value(rendered.as_lbc()).expect("JSON");
        Ok(Outcome {
            told: lines(&rendered.problems),
            groups: printed["groups"].clone(),
            desired: json!({
                "groups": desired.groups,
                "network": desired.network,
                "waiting": desired.waiting,
            }),
        })
    }
}

/// What comes of a case.
#[derive(Default, PartialEq)]
struct Outcome {
    told: Vec<String>,
    /// As `-o lbc` prints them.
    groups: Value,
    /// What is sent to AWS, of groups and what they share.
    desired: Value,
}

fn lines(problems: &[Problem]) -> Vec<String> {
    problems.iter().map(ToString::to_string).collect()
}

/// A merge patch (RFC 7386).
fn merge(into: &mut Value, patch: Value) {
    let Value::Object(patch) = patch else {
        *into = patch;
        return;
    };
    if !into.is_object() {
        *into = Value::Object(serde_json::Map::new());
    }
    for (key, value) in patch {
        match (value, into.as_object_mut()) {
            (Value::Null, Some(map)) => drop(map.remove(&key)),
            (value, Some(map)) => merge(map.entry(key).or_insert(Value::Null), value),
            (_, None) => unreachable!("made a map above"),
        }
    }
}

/// Plays a case; what is told becomes what it wants.
fn play(case: &mut Case) -> Vec<String> {
    let outcome = Given::of(case).and_then(|given| given.outcome(&Overrides::new()));
    let Outcome {
        told,
        groups,
        desired,
    } = match outcome {
        Ok(outcome) => outcome,
        Err(mistake) => return vec![mistake],
    };
    let mut failures = Vec::new();
    if told != case.told {
        for line in told.iter().filter(|line| !case.told.contains(line)) {
            failures.push(format!("told, not wanted: {line}"));
        }
        for line in case.told.iter().filter(|line| !told.contains(line)) {
            failures.push(format!("wanted, not told: {line}"));
        }
    }
    if case.is_good != told.is_empty() && case.built.is_empty() {
        failures.push("it says neither `ok` nor what is wrong".to_owned());
    }
    for built in &mut case.built {
        let Some((pointer, wanted)) = built.split_once(' ') else {
            failures.push(format!("no value: {built}"));
            continue;
        };
        let pointer = pointer.to_owned();
        let found = match pointer.strip_prefix("desired/") {
            Some(pointer) => at(Some(&desired), pointer),
            None => found(&groups, &pointer),
        };
        let found = serde_json::to_string(&found).expect("JSON");
        if found != wanted {
            failures.push(format!("{pointer} is {found}"));
        }
        *built = format!("{pointer} {found}");
    }
    case.is_good = told.is_empty();
    case.told = told;
    failures
}

/// A place in the model of the only group, or with `GROUP:` before it in that group's: a kind of resource, its id, and what
/// stands there; `*` is every entry.
fn found(groups: &Value, pointer: &str) -> Value {
    let (group, pointer) = match pointer.split_once(':') {
        Some((group, pointer)) if !group.contains('/') => (groups.get(group), pointer),
        _ => (
            groups.as_object().and_then(|groups| groups.values().next()),
            pointer,
        ),
    };
    let Some(group) = group else {
        return Value::Null;
    };
    let (kind, rest) = pointer.split_once('/').unwrap_or((pointer, ""));
    if kind == "id" {
        return group["id"].clone();
    }
    let resources = group["resources"].as_object();
    let of_kind = resources.and_then(|resources| {
        let named = |name: &&String| name.rsplit("::").next() == Some(kind);
        resources.get(resources.keys().find(named)?)
    });
    at(of_kind, rest)
}

/// What stands at that place; a list where `*` is part of it.
fn at(value: Option<&Value>, pointer: &str) -> Value {
    let mut at: Vec<&Value> = value.into_iter().collect();
    let mut is_many = false;
    for key in pointer.split('/').filter(|key| !key.is_empty()) {
        at = match key {
            "*" => {
                is_many = true;
                let all = at.into_iter().flat_map(|value| match value {
                    Value::Object(map) => map.values().collect::<Vec<_>>(),
                    Value::Array(items) => items.iter().collect(),
                    _ => Vec::new(),
                });
                all.collect()
            }
            key => {
                let each = at.into_iter().filter_map(|value| match value {
                    Value::Array(items) => items.get(key.parse::<usize>().ok()?),
                    value => value.get(key.replace("~1", "/")),
                });
                each.collect()
            }
        };
    }
    match (is_many, at.as_slice()) {
        (true, all) => all.iter().copied().cloned().collect(),
        (false, [one]) => (*one).clone(),
        (false, _) => Value::Null,
    }
}

#[test]
fn every_value_is_taken_or_told_as_the_table_says() {
    let is_update = std::env::var_os("UPDATE").is_some_and(|value| value == "1");
    let mut failures = String::new();
    for mut table in tables() {
        let mut titles = BTreeSet::new();
        let name = table.name();
        for case in &mut table.cases {
            let found = play(case);
            if !titles.insert(case.title.clone()) {
                failures.push_str(&format!("{name}: two cases {:?}\n", case.title));
            }
            let is_broken = case.told.is_empty() && !case.is_good;
            if !found.is_empty() && (!is_update || is_broken) {
                failures.push_str(&format!("{name}: {}\n", case.title));
                for line in found {
                    failures.push_str(&format!("    {line}\n"));
                }
            }
        }
        if is_update {
            table.write();
        }
    }
    assert!(failures.is_empty(), "\n{failures}(bless with UPDATE=1)");
}

/// Whether a case is about one value of that annotation.
fn is_about(case: &Case, name: &str, is_family: bool) -> bool {
    case.given.iter().any(|line| {
        let annotation = line.strip_prefix('@').and_then(|it| it.split_once(' '));
        annotation.is_some_and(|(_, annotation)| {
            let key = annotation.split_once(": ").map_or(annotation, |it| it.0);
            key == name || (is_family && key.starts_with(name))
        })
    })
}

#[test]
fn every_annotation_has_a_good_and_a_bad_value_in_the_table() {
    let tables = tables();
    let cases: Vec<&Case> = tables.iter().flat_map(|table| &table.cases).collect();
    let mut missing = Vec::new();
    for row in TABLE {
        let about = || {
            cases
                .iter()
                .filter(|case| is_about(case, row.name, row.is_family))
        };
        let is_told = |case: &Case| {
            let name = row.name.trim_end_matches('.');
            case.told
                .iter()
                .any(|line| line.contains("problem[") && line.contains(name))
        };
        // LBC writes it itself: it is never right in git.
        let is_written = row.name == "dry-run-plan";
        if !is_written && !about().any(|case| case.told.is_empty()) {
            missing.push(format!("{} has no good value", row.name));
        }
        let is_free = FREE.iter().any(|(name, _)| *name == row.name);
        if about().any(|case| is_told(case)) == is_free {
            missing.push(match is_free {
                true => format!("{} is no free text: a bad value is told", row.name),
                false => format!("{} has no bad value", row.name),
            });
        }
    }
    for (name, reason) in FREE {
        assert!(!reason.is_empty());
        if !TABLE.iter().any(|row| row.name == *name) {
            missing.push(format!("{name} is no annotation"));
        }
    }
    assert!(missing.is_empty(), "{}", missing.join("\n"));
}

/// Problems of manifests that the model finds; those of other rooms have their tests there.
#[test]
fn every_problem_that_the_model_tells_has_a_case() {
    const ELSEWHERE: &[&str] = &[
        "config-",
        "yaml-",
        "iam-",
        "role-",
        "boundary-",
        "policy-",
        "adoption-",
    ];
    let tables = tables();
    let told: BTreeSet<&str> = tables
        .iter()
        .flat_map(|table| &table.cases)
        .flat_map(|case| &case.told)
        .filter_map(|line| Some(line.split_once('[')?.1.split_once(']')?.0))
        .collect();
    let missing: Vec<&str> = albsync::problem::codes::ALL
        .iter()
        .map(|code| code.name)
        .filter(|name| !ELSEWHERE.iter().any(|start| name.starts_with(start)))
        .filter(|name| !OTHER_ROOMS.iter().any(|(other, _)| other == name))
        .filter(|name| !told.contains(name))
        .collect();
    assert!(missing.is_empty(), "no case tells {missing:?}");
}

/// What no repository alone can bring about, and where it is tested.
const OTHER_ROOMS: &[(&str, &str)] = &[
    (
        "class-lost",
        "tests/it/kept/leaving: a class against what was applied",
    ),
    ("held-together", "converge: two objects in one document"),
    ("not-in-git", "tests/it/cli: a check without cluster"),
    ("not-served", "manifest: fields of later versions"),
    ("node-group", "model/build: what nodes admit"),
    (
        "service-account-conflict",
        "model/build/role: bindings of roles",
    ),
];
