//! Who may import whom: the table of the architecture (style §3.3), compared with the sources.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// A module (or a file of one, by its longer name) and the modules of ours that it may import.
struct Row(&'static str, &'static [&'static str]);

const EVERYTHING: &[&str] = &[
    "id", "problem", "shared", "yaml", "source", "manifest", "model", "observe", "plan", "apply",
    "store", "report", "aws", "cluster", "config", "converge", "daemon", "cli",
];

/// The longest name that fits a file is its row; its own module is always allowed.
const TABLE: &[Row] = &[
    Row("id", &[]),
    Row("problem", &["id"]),
    Row("shared", &[]),
    Row("yaml", &["problem"]),
    Row(
        "manifest",
        &["id", "problem", "shared", "yaml", "source::snapshot"],
    ),
    Row("model", &["id", "problem", "shared", "manifest"]),
    Row("plan", &["id", "problem", "model"]),
    // What it classifies into is part of the plan's record.
    Row("apply::retry", &["id", "problem", "model", "plan"]),
    Row("daemon::schedule", &["id", "problem", "model"]),
    // Told where the repository is by the configuration; its problems have places like everybody's.
    Row("source", &["id", "config"]),
    Row("config", &["id", "problem", "yaml", "model::settings"]),
    Row("aws", &["id", "model"]),
    Row("cluster", &["id", "model"]),
    Row(
        "observe",
        &["id", "shared", "aws", "cluster", "model", "manifest"],
    ),
    Row("store", &["id", "model", "plan"]),
    Row("apply", &["id", "plan", "model", "aws", "cluster", "store"]),
    Row("report", &["id", "plan", "problem", "config", "cluster"]),
    Row("converge", EVERYTHING),
    Row("daemon", EVERYTHING),
    Row("cli", EVERYTHING),
    Row("main", EVERYTHING),
];

/// What the pure modules never name: here time, files and the network arrive as arguments.
const IMPURE: &[&str] = &[
    "tokio::",
    "git2::",
    "kube::",
    "std::fs",
    "std::env",
    "TcpStream",
    "TcpListener",
    "UdpSocket",
    "ToSocketAddrs",
    "std::thread",
    "SystemTime::now",
    "Instant::now",
    "Timestamp::now",
    "async fn",
    ".await",
];
const PURE: &[&str] = &[
    "id",
    "problem",
    "shared",
    "yaml",
    "manifest",
    "model",
    "plan",
    "apply::retry",
    "daemon::schedule",
];

/// Crates that one module keeps to itself.
const KEPT: &[(&str, &[&str])] = &[
    ("aws_sdk_", &["aws::sdk"]),
    ("aws_smithy_", &["aws::sdk"]),
    ("aws_config", &["aws::sdk"]),
    ("kube::", &["cluster::kube"]),
    ("sled::", &["store"]),
    ("git2::", &["source"]),
    ("notify::", &["source"]),
    ("serde_yaml::", &["yaml"]),
    ("saphyr_parser::", &["yaml"]),
    ("clap::", &["cli", "main"]),
    ("anyhow::", &["cli", "main"]),
];

#[test]
fn modules_import_only_what_the_table_allows() {
    let mut wrong = Vec::new();
    for source in sources() {
        let Some(Row(name, allowed)) = row(&source.module) else {
            wrong.push(format!("{}: no row in the table", source.path.display()));
            continue;
        };
        let own = source.module.split("::").next().unwrap_or_default();
        for target in imports(&source.code) {
            let fits =
                |allowed: &str| target == allowed || target.starts_with(&format!("{allowed}::"));
            // A row for part of a module sees no more of the module than others do.
            let of_own = target == own || target.starts_with(&format!("{own}::"));
            if !(allowed.iter().any(|allowed| fits(allowed))
                || of_own && *name == own
                || fits(name))
            {
                wrong.push(format!(
                    "{}: {name} may not import {target}",
                    source.path.display()
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn pure_modules_do_no_io_and_read_no_clock() {
    let mut wrong = Vec::new();
    for source in sources()
        .iter()
        .filter(|source| PURE.iter().any(|name| within(&source.module, name)))
    {
        for token in IMPURE.iter().filter(|token| names(&source.code, token)) {
            wrong.push(format!("{}: names {token}", source.path.display()));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn libraries_stay_behind_their_module() {
    let mut wrong = Vec::new();
    for source in sources() {
        for (library, modules) in KEPT {
            if names(&source.code, library)
                && !modules.iter().any(|name| within(&source.module, name))
            {
                wrong.push(format!("{}: names {library}", source.path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn imports_are_found_in_all_their_forms() {
    let code = "use crate::id::Revision;\nuse crate::{model::{self, elb}, plan};\nlet x = crate::store::open();\n\
                pub(crate) use crate::aws::{sdk, fake::Fake};\nuse xcrate::cli;";
    let found: Vec<String> = imports(code).into_iter().collect();
    assert_eq!(
        found,
        [
            "aws::fake",
            "aws::sdk",
            "id",
            "model",
            "model::elb",
            "plan",
            "store::open"
        ]
    );
    assert!(names("let a = kube::Client::new();", "kube::"));
    assert!(!names(
        "use crate::cluster::kube::Client; let b = mykube::x;",
        "kube::"
    ));
    let code = product_code(
        "use a; // crate::cli\n/* b */ c\n#[cfg(test)]\nmod tests {\n use crate::cli;\n}\n",
    );
    assert!(code.contains("use a;") && !code.contains("cli"));
}

struct Source {
    path: PathBuf,
    /// `plan::diff::elb` for `src/plan/diff/elb.rs`.
    module: String,
    code: String,
}

/// The product's sources; tests may import what they like.
fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut paths = Vec::new();
    walk(&root, &mut paths);
    assert!(paths.len() > 20, "no sources under {}", root.display());
    paths
        .into_iter()
        .filter_map(|path| {
            let inside = path.strip_prefix(&root).ok()?.with_extension("");
            let mut parts: Vec<String> = inside
                .iter()
                .map(|part| part.to_string_lossy().into_owned())
                .collect();
            if parts.last().is_some_and(|last| last == "mod") {
                parts.pop();
            }
            let for_tests = parts
                .iter()
                .any(|part| matches!(part.as_str(), "tests" | "fixture" | "fake"));
            let code = product_code(&fs::read_to_string(&path).expect("a source file"));
            (!for_tests && parts != ["lib"]).then(|| Source {
                path,
                module: parts.join("::"),
                code,
            })
        })
        .collect()
}

fn walk(directory: &Path, paths: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).expect("a source directory") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            walk(&path, paths);
        } else if path.extension().is_some_and(|end| end == "rs") {
            paths.push(path);
        }
    }
}

/// Without comments, and without the test module at the end.
fn product_code(text: &str) -> String {
    let end = text.find("#[cfg(test)]\nmod tests {").unwrap_or(text.len());
    text[..end]
        .lines()
        .map(|line| line.split("//").next().unwrap_or(""))
        .collect::<Vec<_>>()
        .join("\n")
}

fn row(module: &str) -> Option<&'static Row> {
    TABLE
        .iter()
        .filter(|Row(name, _)| within(module, name))
        .max_by_key(|Row(name, _)| name.len())
}

fn within(module: &str, name: &str) -> bool {
    module == name
        || module
            .strip_prefix(name)
            .is_some_and(|rest| rest.starts_with("::"))
}

/// The first two parts of every path that begins with `crate::`; one part where the second is a type or a macro.
fn imports(code: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (at, _) in code.match_indices("crate::") {
        if !code[..at].ends_with(|before: char| before.is_alphanumeric() || before == '_') {
            expand("", &code[at + "crate::".len()..], &mut found);
        }
    }
    found
}

fn expand(prefix: &str, rest: &str, found: &mut BTreeSet<String>) {
    if let Some(group) = rest.strip_prefix('{') {
        for item in items(group) {
            expand(prefix, item.trim(), found);
        }
        return;
    }
    let end = rest
        .find(|c: char| !c.is_alphanumeric() && c != '_')
        .unwrap_or(rest.len());
    let (name, after) = rest.split_at(end);
    let is_module = name.starts_with(|c: char| c.is_ascii_lowercase()) && name != "self";
    if !prefix.is_empty() {
        found.insert(if is_module {
            format!("{prefix}::{name}")
        } else {
            prefix.to_owned()
        });
    } else if is_module {
        match after.strip_prefix("::") {
            Some(after) => expand(name, after, found),
            None => {
                found.insert(name.to_owned());
            }
        }
    }
}

/// The parts of `a, b::{c, d}}…` up to the closing brace.
fn items(group: &str) -> Vec<&str> {
    let (mut depth, mut start, mut found) = (0, 0, Vec::new());
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth > 0 => depth -= 1,
            ',' | '}' if depth == 0 => {
                found.push(&group[start..at]);
                start = at + 1;
                if c == '}' {
                    break;
                }
            }
            _ => {}
        }
    }
    found.retain(|item| !item.trim().is_empty());
    found
}

/// Whether the code names `token` itself, not as the end of another name or path.
fn names(code: &str, token: &str) -> bool {
    code.match_indices(token).any(|(at, _)| {
        token.starts_with('.')
            || !code[..at]
                .ends_with(|before: char| before.is_alphanumeric() || "_:".contains(before))
    })
}
