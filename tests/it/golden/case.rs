//! What a case says: a small repository, its successive commits, and what is wanted of each.

use std::{
    collections::BTreeMap,
    fs, io,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

use serde_json::Value;

/// A directory of `tests/cases`.
pub struct Case {
    pub name: String,
    pub directory: PathBuf,
    pub title: String,
    /// A case whose commits come first: what they do is wanted there, not here.
    pub begins_as: Option<String>,
    /// The files of the first commit, beside those of its step.
    pub manifests: Option<PathBuf>,
    /// Whether everything that is wrong can be said without account and cluster.
    pub offline: bool,
    pub steps: Vec<Step>,
}

/// One commit.
pub struct Step {
    /// `2-changed-path`: also the directory of its files under `steps`.
    pub name: String,
    /// What it takes away of the commit before it; `*` is everything.
    pub remove: Vec<String>,
    /// Its tree is that of this step, which is put back.
    pub same_as: Option<String>,
    pub trailers: Vec<(String, String)>,
    /// Codes of what waits for a person.
    pub held: Vec<String>,
    /// Stacks that wait and so keep what was applied for them.
    pub waits: Vec<String>,
}

/// The directory of this package.
pub fn package() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// All cases of a directory, `_` aside.
pub fn all(directory: &Path) -> Vec<Case> {
    let mut cases: Vec<Case> = entries(directory)
        .into_iter()
        .filter(|path| path.is_dir() && !file_name(path).starts_with('_'))
        .map(|path| read(&path))
        .collect();
    cases.sort_by(|a, b| a.name.cmp(&b.name));
    cases
}

pub fn read(directory: &Path) -> Case {
    let path = directory.join("case.toml");
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path:?}: {error}"));
    let mut sections = toml(&text).into_iter();
    let (_, head) = sections.next().expect("a head");
    let of = |section: &BTreeMap<String, Value>, key: &str| {
        section.get(key).and_then(Value::as_str).map(str::to_owned)
    };
    let list = |section: &BTreeMap<String, Value>, key: &str| -> Vec<String> {
        let values = section.get(key).and_then(Value::as_array);
        let texts = values.into_iter().flatten().filter_map(Value::as_str);
        texts.map(str::to_owned).collect()
    };
    for key in ["title", "why"] {
        assert!(of(&head, key).is_some(), "{path:?} has no {key}");
    }
    Case {
        name: file_name(directory),
        directory: directory.to_owned(),
        title: of(&head, "title").unwrap_or_default(),
        begins_as: of(&head, "begins-as"),
        manifests: of(&head, "manifests").map(|path| package().join(path)),
        offline: head.get("offline") != Some(&Value::Bool(false)),
        steps: sections
            .map(|(name, section)| Step {
                same_as: of(&section, "same-as"),
                remove: list(&section, "remove"),
                held: list(&section, "held"),
                waits: list(&section, "waits"),
                trailers: list(&section, "trailers")
                    .iter()
                    .filter_map(|line| line.split_once(": "))
                    .map(|(key, value)| (key.to_owned(), value.to_owned()))
                    .collect(),
                name,
            })
            .collect(),
    }
}

impl Case {
    pub fn want(&self, name: &str) -> PathBuf {
        self.directory.join("want").join(name)
    }

    /// Turns the tree of the commit before a step, in `tree`, into the step's own.
    pub fn step_into(&self, step: &Step, tree: &Path) {
        for name in &step.remove {
            if name == "*" {
                empty(tree);
            } else {
                fs::remove_file(tree.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
            }
        }
        let files = self.directory.join("steps").join(&step.name);
        if files.exists() {
            copy(&files, tree);
        }
    }
}

/// Copies a directory over another, links as links.
pub fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a directory");
    for path in entries(from) {
        let target = to.join(path.file_name().expect("a name"));
        let done: io::Result<()> = if path.is_symlink() {
            fs::read_link(&path).and_then(|link| symlink(link, &target))
        } else if path.is_dir() {
            copy(&path, &target);
            Ok(())
        } else {
            fs::copy(&path, &target).map(|_| ())
        };
        done.unwrap_or_else(|error| panic!("{path:?}: {error}"));
    }
}

fn empty(directory: &Path) {
    for path in entries(directory) {
        let done = if path.is_dir() && !path.is_symlink() {
            fs::remove_dir_all(&path)
        } else {
            fs::remove_file(&path)
        };
        done.unwrap_or_else(|error| panic!("{path:?}: {error}"));
    }
}

pub fn entries(directory: &Path) -> Vec<PathBuf> {
    let listing = fs::read_dir(directory).unwrap_or_else(|error| panic!("{directory:?}: {error}"));
    let mut paths: Vec<PathBuf> = listing
        .map(|entry| entry.expect("an entry").path())
        .collect();
    paths.sort();
    paths
}

pub fn file_name(path: &Path) -> String {
    let name = path.file_name().and_then(|name| name.to_str());
    name.expect("a name in UTF-8").to_owned()
}

type Section = (String, BTreeMap<String, Value>);

/// The little of TOML that cases use: sections, and on one line each texts, lists of texts and booleans, which are
/// written as in JSON.
fn toml(text: &str) -> Vec<Section> {
    let mut sections: Vec<Section> = vec![(String::new(), BTreeMap::new())];
    for line in text.lines().map(str::trim) {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if let Some(name) = line
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'))
        {
            sections.push((name.to_owned(), BTreeMap::new()));
            continue;
        }
        let (key, value) = line.split_once(" = ").unwrap_or_else(|| panic!("{line}"));
        let value = serde_json::from_str(value).unwrap_or_else(|error| panic!("{line}: {error}"));
        let section = sections.last_mut().expect("a section");
        section.1.insert(key.to_owned(), value);
    }
    sections
}
