//! YAML to JSON values with their places: the only module that names a YAML library (decision 11 of the spec).
//!
//! Plain block YAML is read in one go ([`block`]). For everything else, and as the measure of that, there are two
//! libraries: `saphyr-parser` reads first and gives places, duplicate keys and budgets, so that bombs never reach `serde_yaml`, which
//! gives the values. Both must agree on the structure; plain scalars are read as Kubernetes reads them ([`scalar`]).
//! Values never appear in problems here: a file may hold Secrets.

use std::{collections::BTreeMap, fmt, sync::Arc};

use serde_json::Value;

use crate::problem::{Checked, Origin, Problem, codes};

mod block;
mod join;
mod load;
pub mod scalar;
#[cfg(test)]
mod tests;

/// Budgets of one file (gitops Q2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    pub bytes: usize,
    pub documents: usize,
    /// Nesting, aliases expanded.
    pub depth: usize,
    /// Nodes that all aliases of the file expand to.
    pub alias_nodes: usize,
    pub keys_per_map: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            bytes: 4 << 20,
            documents: 50_000,
            depth: 64,
            alias_nodes: 10_000,
            keys_per_map: 10_000,
        }
    }
}

/// One step into a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Segment {
    Key(String),
    Index(usize),
}

impl From<&str> for Segment {
    fn from(key: &str) -> Self {
        Self::Key(key.to_owned())
    }
}

impl From<usize> for Segment {
    fn from(index: usize) -> Self {
        Self::Index(index)
    }
}

impl fmt::Display for Segment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key(key) => f.write_str(key),
            Self::Index(index) => write!(f, "[{index}]"),
        }
    }
}

/// Line and column, from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Mark {
    line: u32,
    column: u32,
}

/// The places of a value and of all that is in it, in the value's own shape.
#[derive(Clone, Debug, PartialEq)]
struct Place {
    mark: Mark,
    /// The scalar as written, where readers may disagree on it.
    ambiguous: Option<String>,
    inner: Inner,
}

#[derive(Clone, Debug, PartialEq)]
enum Inner {
    Leaf,
    Map(BTreeMap<String, (Mark, Place)>),
    List(Vec<Place>),
}

impl Place {
    fn start_of(value: &Value) -> Self {
        let mark = Mark { line: 1, column: 1 };
        let inner = match value {
            Value::Array(items) => Inner::List(items.iter().map(Self::start_of).collect()),
            Value::Object(map) => Inner::Map(
                map.iter()
                    .map(|(key, value)| (key.clone(), (mark, Self::start_of(value))))
                    .collect(),
            ),
            _ => Inner::Leaf,
        };
        Self {
            mark,
            ambiguous: None,
            inner,
        }
    }
}

/// One document: its value and where each part of it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Tree {
    pub value: Value,
    file: Arc<str>,
    root: Place,
}

impl Tree {
    /// The place of the value at `path`, or of its nearest parent that exists.
    pub fn origin(&self, path: &[Segment]) -> Origin {
        self.at(self.walk(path).0)
    }

    /// The place of the key that leads to `path`, or of the nearest parent's value where there is none.
    pub fn key_origin(&self, path: &[Segment]) -> Origin {
        let Some((last, parents)) = path.split_last() else {
            return self.at(self.root.mark);
        };
        let (mark, place) = self.walk(parents);
        match (last, place.map(|place| &place.inner)) {
            (Segment::Key(key), Some(Inner::Map(entries))) => {
                self.at(entries.get(key).map_or(mark, |(key, _)| *key))
            }
            (Segment::Index(index), Some(Inner::List(items))) => {
                self.at(items.get(*index).map_or(mark, |item| item.mark))
            }
            _ => self.at(mark),
        }
    }

    /// A value of which only the file is known: every place is the file's start.
    pub fn without_places(file: &str, value: Value) -> Self {
        let root = Place::start_of(&value);
        Self {
            value,
            file: file.into(),
            root,
        }
    }

    /// The whole document as a value that knows its place.
    pub fn root(&self) -> Node<'_> {
        Node {
            value: &self.value,
            place: &self.root,
            file: &self.file,
        }
    }

    /// How far the path leads: the last place's mark, and the place itself where the whole path exists.
    fn walk(&self, path: &[Segment]) -> (Mark, Option<&Place>) {
        let mut place = &self.root;
        for segment in path {
            let next = match (segment, &place.inner) {
                (Segment::Key(key), Inner::Map(entries)) => {
                    entries.get(key).map(|(_, place)| place)
                }
                (Segment::Index(index), Inner::List(items)) => items.get(*index),
                _ => None,
            };
            match next {
                Some(next) => place = next,
                None => return (place.mark, None),
            }
        }
        (place.mark, Some(place))
    }

    fn at(&self, mark: Mark) -> Origin {
        Origin::new(Arc::clone(&self.file), mark.line, mark.column)
    }
}

/// A value together with its place; the way to read a document field by field.
#[derive(Clone, Copy, Debug)]
pub struct Node<'a> {
    value: &'a Value,
    place: &'a Place,
    file: &'a Arc<str>,
}

impl<'a> Node<'a> {
    pub fn value(&self) -> &'a Value {
        self.value
    }

    pub fn origin(&self) -> Origin {
        self.at(self.place.mark)
    }

    /// The scalar as written, where readers of YAML may disagree on it ([`scalar::is_ambiguous`]).
    pub fn ambiguous(&self) -> Option<&'a str> {
        self.place.ambiguous.as_deref()
    }

    /// The value under `key`; `None` where this is no mapping or has no such key.
    pub fn get(&self, key: &str) -> Option<Node<'a>> {
        let Inner::Map(places) = &self.place.inner else {
            return None;
        };
        Some(Node {
            value: self.value.get(key)?,
            place: &places.get(key)?.1,
            file: self.file,
        })
    }

    /// The place of `key` itself, or of this mapping where the key is absent.
    pub fn key_origin(&self, key: &str) -> Origin {
        match &self.place.inner {
            Inner::Map(places) => {
                self.at(places.get(key).map_or(self.place.mark, |(mark, _)| *mark))
            }
            _ => self.origin(),
        }
    }

    /// All entries of a mapping in order of their keys, with the key's place; nothing for other values.
    pub fn entries(&self) -> impl Iterator<Item = (&'a str, Origin, Node<'a>)> + use<'a> {
        let node = *self;
        let places = match &self.place.inner {
            Inner::Map(places) => Some(places),
            _ => None,
        };
        places
            .into_iter()
            .flatten()
            .filter_map(move |(key, (mark, place))| {
                Some((
                    key.as_str(),
                    node.at(*mark),
                    Node {
                        value: node.value.get(key)?,
                        place,
                        file: node.file,
                    },
                ))
            })
    }

    /// All items of a list; nothing for other values.
    pub fn items(&self) -> impl Iterator<Item = Node<'a>> + use<'a> {
        let node = *self;
        let places = match &self.place.inner {
            Inner::List(places) => places.as_slice(),
            _ => &[],
        };
        let values = self.value.as_array().map_or(&[][..], Vec::as_slice);
        values.iter().zip(places).map(move |(value, place)| Node {
            value,
            place,
            file: node.file,
        })
    }

    fn at(&self, mark: Mark) -> Origin {
        Origin::new(Arc::clone(self.file), mark.line, mark.column)
    }
}

/// A value as YAML, for people.
pub fn write(value: &Value) -> String {
    // Values of JSON are values of YAML.
    serde_yaml::to_string(value).unwrap_or_default()
}

/// All documents of one file that are not empty. Documents before a syntax error are kept.
///
/// Limits and readings: lessons E10, gitops Q2 and Q3.
pub fn parse(file: &str, bytes: &[u8], limits: &Limits) -> Checked<Vec<Tree>> {
    let mut problems = Vec::new();
    let text = match text_of(file, bytes, limits) {
        Ok(text) => text,
        Err(problem) => {
            problems.push(*problem);
            return Checked {
                value: Vec::new(),
                problems,
            };
        }
    };
    let value = block::documents(file, text, limits)
        .unwrap_or_else(|| by_libraries(file, text, limits, &mut problems));
    Checked { value, problems }
}

/// The documents as they are read in one go and as the libraries read them, to be compared by tests and by fuzzing;
/// `None` where they are left to the libraries.
#[doc(hidden)]
pub fn both_readings(
    file: &str,
    bytes: &[u8],
    limits: &Limits,
) -> Option<(Vec<Tree>, Checked<Vec<Tree>>)> {
    let text = text_of(file, bytes, limits).ok()?;
    let quick = block::documents(file, text, limits)?;
    let mut problems = Vec::new();
    let value = by_libraries(file, text, limits, &mut problems);
    Some((quick, Checked { value, problems }))
}

/// The documents as the two libraries read them.
fn by_libraries(file: &str, text: &str, limits: &Limits, problems: &mut Vec<Problem>) -> Vec<Tree> {
    let raw = load::documents(file, text, limits, problems);
    // A file with structural problems is refused anyway; its good documents are still typed, so that all mistakes show
    // at once. Bombs end here.
    join::documents(file, text, raw, problems)
}

/// The bytes as text.
///
/// # Errors
/// They are not UTF-8; the place is where they stop being it.
pub fn utf8<'a>(file: &str, bytes: &'a [u8]) -> Result<&'a str, Box<Problem>> {
    std::str::from_utf8(bytes).map_err(|error| {
        let good = std::str::from_utf8(&bytes[..error.valid_up_to()]).unwrap_or_default();
        let message = "the file is not UTF-8 from here";
        Box::new(
            Problem::new(codes::YAML_ENCODING, end_of(file, good), message)
                .hint("save it as UTF-8"),
        )
    })
}

/// The bytes as text that both readers understand alike.
fn text_of<'a>(file: &str, bytes: &'a [u8], limits: &Limits) -> Result<&'a str, Box<Problem>> {
    let fail = |origin, message: &str, hint: &str| {
        Box::new(Problem::new(codes::YAML_ENCODING, origin, message).hint(hint))
    };
    if bytes.len() > limits.bytes {
        let message = format!(
            "the file has {} bytes, more than the {} that are read",
            bytes.len(),
            limits.bytes
        );
        return Err(Box::new(Problem::new(
            codes::YAML_LIMIT,
            Origin::start_of(file),
            message,
        )));
    }
    if bytes.starts_with(&[0xEF, 0xBB, 0xBF]) {
        return Err(fail(
            Origin::start_of(file),
            "the file begins with a byte order mark",
            "save it as UTF-8 without one",
        ));
    }
    if bytes.starts_with(&[0xFF, 0xFE]) || bytes.starts_with(&[0xFE, 0xFF]) {
        return Err(fail(
            Origin::start_of(file),
            "the file is UTF-16",
            "save it as UTF-8",
        ));
    }
    let text = utf8(file, bytes)?;
    if bytes.iter().all(|byte| matches!(byte, b'\n' | b' '..=b'~')) {
        return Ok(text);
    }
    let control = text.char_indices().find(|(_, c)| {
        (c.is_control() && !matches!(c, '\t' | '\n' | '\r' | '\u{85}'))
            || matches!(c, '\u{FEFF}' | '\u{FFFE}' | '\u{FFFF}')
    });
    if let Some((at, c)) = control {
        return Err(fail(
            end_of(file, &text[..at]),
            &format!(
                "the file holds the control character U+{:04X}",
                u32::from(c)
            ),
            "remove it, or write it as an escape in double quotes",
        ));
    }
    Ok(text)
}

/// The place right behind `text`.
fn end_of(file: &str, text: &str) -> Origin {
    let line = text.matches('\n').count() + 1;
    let column = text.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    Origin::new(file, number(line), number(column))
}

/// Lines and columns beyond four thousand millions do not exist in files of four megabytes.
fn number(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}
