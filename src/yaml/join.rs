//! Raw documents and `serde_yaml`'s values to trees: structure agreed, plain scalars read as Kubernetes does.

use std::{collections::BTreeMap, rc::Rc, sync::Arc};

use serde::Deserialize;
use serde_json::{Map, Value};

use super::{
    Inner, Mark, Place, Tree,
    load::{self, Content, Raw, RawKey},
    scalar,
};
use crate::problem::{Problem, codes};

/// Pairs the documents of both readers.
pub(super) fn documents(
    file: &str,
    text: &str,
    raw: Vec<Rc<Raw>>,
    problems: &mut Vec<Problem>,
) -> Vec<Tree> {
    let complete = problems.is_empty();
    let shared: Arc<str> = file.into();
    let mut trees = Vec::new();
    let mut values = serde_yaml::Deserializer::from_str(text);
    for raw in raw {
        let value = match values.next().map(serde_yaml::Value::deserialize) {
            Some(Ok(value)) => value,
            Some(Err(error)) => {
                if complete {
                    problems.push(refused(file, text, &raw, &error));
                }
                return trees;
            }
            None => {
                problems.push(disagree(file, raw.mark));
                return trees;
            }
        };
        let mut join = Join {
            file,
            is_cut_off: !text.ends_with('\n'),
            problems: &mut *problems,
        };
        let (value, root) = join.node(&value, &raw);
        if !value.is_null() {
            trees.push(Tree {
                value,
                file: Arc::clone(&shared),
                root,
            });
        }
    }
    // A file of comments only is one empty document to one reader and none to the other.
    let is_more = values
        .next()
        .and_then(|rest| serde_yaml::Value::deserialize(rest).ok())
        .is_some_and(|rest| !rest.is_null());
    if complete && is_more {
        problems.push(disagree(file, Mark { line: 1, column: 1 }));
    }
    trees
}

struct Join<'a> {
    file: &'a str,
    /// The file's last line does not end.
    is_cut_off: bool,
    problems: &'a mut Vec<Problem>,
}

impl Join<'_> {
    fn node(&mut self, value: &serde_yaml::Value, raw: &Raw) -> (Value, Place) {
        let mark = raw.mark;
        match (&raw.content, value) {
            (Content::Scalar { text, plain: true }, value) => self.plain(text, mark, value),
            (Content::Scalar { text, .. }, serde_yaml::Value::String(same)) if text == same => {
                (Value::String(text.clone()), leaf(mark))
            }
            // A block of text at the end of a file that does not end its last line: one reader adds the line break,
            // Kubernetes' does not.
            (Content::Scalar { text, .. }, serde_yaml::Value::String(same))
                if self.is_cut_off && text.strip_suffix('\n') == Some(same) =>
            {
                (Value::String(same.clone()), leaf(mark))
            }
            (Content::List(items), serde_yaml::Value::Sequence(values))
                if items.len() == values.len() =>
            {
                let (values, places) = items
                    .iter()
                    .zip(values)
                    .map(|(raw, value)| self.node(value, raw))
                    .unzip();
                let place = Place {
                    mark,
                    ambiguous: None,
                    inner: Inner::List(places),
                };
                (Value::Array(values), place)
            }
            (Content::Map(entries), serde_yaml::Value::Mapping(values))
                if entries.len() == values.len() =>
            {
                let joined: Vec<_> = entries
                    .iter()
                    .zip(values)
                    .map(|((key, raw), (_, value))| {
                        let (value, place) = self.node(value, raw);
                        (key.clone(), value, place)
                    })
                    .collect();
                self.map(mark, joined)
            }
            _ => {
                self.problems.push(disagree(self.file, mark));
                (Value::Null, leaf(mark))
            }
        }
    }

    fn plain(&mut self, text: &str, mark: Mark, value: &serde_yaml::Value) -> (Value, Place) {
        let agreed = match value {
            serde_yaml::Value::String(same) => same == text,
            serde_yaml::Value::Null | serde_yaml::Value::Bool(_) | serde_yaml::Value::Number(_) => {
                true
            }
            _ => false,
        };
        if !agreed {
            self.problems.push(disagree(self.file, mark));
        }
        let place = Place {
            ambiguous: scalar::is_ambiguous(text).then(|| text.to_owned()),
            ..leaf(mark)
        };
        let Some(value) = scalar::resolve(text) else {
            let at = load::origin(self.file, mark);
            self.problems.push(
                Problem::new(codes::YAML_AMBIGUOUS, at, "JSON has no such number")
                    .hint("put it in quotes if it is text"),
            );
            return (Value::Null, place);
        };
        (value, place)
    }

    /// Puts the mapping together; what merge keys bring in yields to what is written out (YAML 1.1 merge). Kubernetes'
    /// reader lets a merge key win over a key before it, so there the two must not meet.
    fn map(&mut self, mark: Mark, entries: Vec<(RawKey, Value, Place)>) -> (Value, Place) {
        let mut values = Map::new();
        let mut places = BTreeMap::new();
        let mut merges = Vec::new();
        for (key, value, place) in entries {
            if key.merges {
                let before: Vec<String> = values.keys().cloned().collect();
                merges.push((key.mark, before, value, place));
            } else {
                values.insert(key.text.clone(), value);
                places.insert(key.text, (key.mark, place));
            }
        }
        for (at, before, value, place) in merges {
            let sources = match (value, place.inner) {
                (Value::Object(source), Inner::Map(source_places)) => vec![(source, source_places)],
                (Value::Array(list), Inner::List(list_places)) => {
                    let maps: Vec<_> = list
                        .into_iter()
                        .zip(list_places)
                        .filter_map(|pair| match pair {
                            (
                                Value::Object(source),
                                Place {
                                    inner: Inner::Map(source_places),
                                    ..
                                },
                            ) => Some((source, source_places)),
                            _ => None,
                        })
                        .collect();
                    maps
                }
                _ => Vec::new(),
            };
            if sources.is_empty() {
                let problem = Problem::new(
                    codes::YAML_SYNTAX,
                    load::origin(self.file, at),
                    "a merge key `<<` needs a mapping or a list of mappings",
                );
                self.problems.push(problem);
            }
            for (source, mut source_places) in sources {
                for (key, value) in source {
                    if before.contains(&key) {
                        let problem = Problem::new(
                            codes::YAML_AMBIGUOUS,
                            load::origin(self.file, at),
                            format!("the merge key brings \"{key}\", which stands before it"),
                        )
                        .hint(
                            "write the merge key first: readers disagree on which of the two wins",
                        );
                        self.problems.push(problem);
                    } else if let (None, Some(place)) =
                        (values.get(&key), source_places.remove(&key))
                    {
                        values.insert(key.clone(), value);
                        places.insert(key, place);
                    }
                }
            }
        }
        let place = Place {
            mark,
            ambiguous: None,
            inner: Inner::Map(places),
        };
        (Value::Object(values), place)
    }
}

fn leaf(mark: Mark) -> Place {
    Place {
        mark,
        ambiguous: None,
        inner: Inner::Leaf,
    }
}

fn disagree(file: &str, mark: Mark) -> Problem {
    Problem::new(
        codes::YAML_AMBIGUOUS,
        load::origin(file, mark),
        "readers of YAML 1.1 and 1.2 disagree on what this is",
    )
    .hint("write it plainly, or in quotes")
}

/// What `serde_yaml` says, without its text: that may quote values.
fn refused(file: &str, text: &str, raw: &Raw, error: &serde_yaml::Error) -> Problem {
    let Some(location) = error.location() else {
        return disagree(file, raw.mark);
    };
    let mark = load::End::of(text).mark(location.line(), location.column());
    let at = load::origin(file, mark);
    load::tab(file, text, location.line())
        .unwrap_or_else(|| Problem::new(codes::YAML_SYNTAX, at, "YAML 1.1 readers refuse this"))
}
