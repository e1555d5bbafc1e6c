//! Reading documents field by field: every mistake with its path and place, absent told from wrong.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{
    Checks,
    name::{self, Grammar},
};
use crate::{
    problem::{Located, Origin, Problem, codes, nearest::did_you_mean},
    yaml::Node,
};

/// A value with its place and its path in the document, as people write it (`spec.rules[0].host`).
#[derive(Clone, Debug)]
pub(super) struct Field<'a> {
    pub node: Node<'a>,
    pub path: String,
}

impl<'a> Field<'a> {
    pub fn root(node: Node<'a>) -> Self {
        Self {
            node,
            path: String::new(),
        }
    }

    /// The field of that name; `None` where it is absent or null, which Kubernetes does not tell apart.
    pub fn get(&self, key: &str) -> Option<Field<'a>> {
        let node = self.node.get(key)?;
        (!node.value().is_null()).then(|| Field {
            node,
            path: self.path_of(key),
        })
    }

    pub fn items(&self) -> impl Iterator<Item = Field<'a>> + use<'a> {
        let path = self.path.clone();
        self.node
            .items()
            .enumerate()
            .map(move |(index, node)| Field {
                node,
                path: format!("{path}[{index}]"),
            })
    }

    pub fn entries(&self) -> impl Iterator<Item = (&'a str, Origin, Field<'a>)> + use<'a> {
        let parent = self.clone();
        self.node.entries().map(move |(key, origin, node)| {
            let path = parent.path_of(key);
            (key, origin, Field { node, path })
        })
    }

    pub fn value(&self) -> &'a Value {
        self.node.value()
    }

    pub fn origin(&self) -> Origin {
        self.node.origin()
    }

    /// The number 0, which Kubernetes' types do not tell from an absent one.
    pub fn is_zero(&self) -> bool {
        self.value().as_i64() == Some(0) && self.node.ambiguous().is_none()
    }

    pub fn path_of(&self, key: &str) -> String {
        if self.path.is_empty() {
            key.to_owned()
        } else {
            format!("{}.{key}", self.path)
        }
    }
}

/// Collects the problems of one document.
#[derive(Debug, Default)]
pub(super) struct Report {
    pub problems: Vec<Problem>,
    /// `Kind namespace/name` once known.
    pub object: Option<String>,
    /// The document is a Secret: none of its values may be shown.
    pub secret: bool,
    pub checks: Checks,
}

impl Report {
    pub fn add(&mut self, mut problem: Problem) {
        if problem.object.is_none() {
            problem.object.clone_from(&self.object);
        }
        self.problems.push(problem);
    }

    pub fn problem(&mut self, code: &str, origin: Origin, message: impl Into<String>) {
        self.add(Problem::new(code, origin, message));
    }

    pub fn hinted(
        &mut self,
        code: &str,
        origin: Origin,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) {
        self.add(Problem::new(code, origin, message).hint(hint));
    }

    /// A known thing that we do not do yet.
    pub fn not_served(&mut self, origin: Origin, what: &str) {
        self.problem(
            codes::NOT_SERVED,
            origin,
            format!("{what} is not served yet"),
        );
    }

    /// The value as messages may show it.
    pub fn shown(&self, field: &Field<'_>) -> String {
        if self.secret {
            return "(hidden)".to_owned();
        }
        shown(field)
    }

    /// The field is not what it must be.
    pub fn wrong_type(&mut self, field: &Field<'_>, expected: &str) {
        let found = match field.value() {
            Value::Null => "nothing".to_owned(),
            Value::Bool(_) | Value::Number(_) => format!("`{}`", self.shown(field)),
            Value::String(_) => "text".to_owned(),
            Value::Array(_) => "a list".to_owned(),
            Value::Object(_) => "a mapping".to_owned(),
        };
        let place = if field.path.is_empty() {
            "the document"
        } else {
            &field.path
        };
        let mut problem = Problem::new(
            codes::WRONG_TYPE,
            field.origin(),
            format!("{place} must be {expected}, not {found}"),
        );
        if expected == "text" && !field.value().is_array() && !field.value().is_object() {
            problem = problem.hint("put it in quotes");
        }
        self.add(problem);
    }

    /// Reports keys that this mapping does not have. False where it is no mapping at all.
    pub fn fields(&mut self, field: &Field<'_>, known: &[&str]) -> bool {
        if !self.is_map(field) {
            return false;
        }
        for (key, origin, child) in field.entries() {
            if !known.contains(&key) {
                let mut problem = Problem::new(
                    codes::UNKNOWN_FIELD,
                    origin,
                    format!("there is no field {}", child.path),
                );
                problem.hint = did_you_mean(key, known.iter().copied());
                if self.checks == Checks::Lbc && !self.is_never_sent() {
                    // The API server drops it, so LBC never sees it.
                    problem = problem.warning();
                }
                self.add(problem);
            }
        }
        true
    }

    /// Documents of a kind that no API server looks at (decision 29 of the spec).
    fn is_never_sent(&self) -> bool {
        let object = self.object.as_deref().unwrap_or_default();
        object.starts_with("IAMServiceAccount")
    }

    pub fn is_map(&mut self, field: &Field<'_>) -> bool {
        let is = field.value().is_object();
        if !is {
            self.wrong_type(field, "a mapping");
        }
        is
    }

    /// The items of a list field; none where it is absent or no list.
    pub fn list<'a>(&mut self, parent: &Field<'a>, key: &str) -> Vec<Field<'a>> {
        let Some(field) = parent.get(key) else {
            return Vec::new();
        };
        if !field.value().is_array() {
            self.wrong_type(&field, "a list");
        }
        field.items().collect()
    }

    /// A list that must hold something; the hint says what.
    pub fn items_required(&mut self, parent: &Field<'_>, key: &str, hint: &str) {
        let is_empty = |list: &Field<'_>| list.value().as_array().is_some_and(Vec::is_empty);
        let what = match parent.get(key) {
            None => "missing",
            Some(list) if is_empty(&list) => "empty",
            Some(_) => return,
        };
        self.hinted(
            codes::MISSING_FIELD,
            parent.node.key_origin(key),
            format!("{} is {what}", parent.path_of(key)),
            hint,
        );
    }

    /// A field that must be there.
    pub fn required<'a>(&mut self, parent: &Field<'a>, key: &str) -> Option<Field<'a>> {
        let found = parent.get(key);
        if found.is_none() && parent.value().is_object() {
            self.problem(
                codes::MISSING_FIELD,
                parent.node.key_origin(key),
                format!("{} is missing", parent.path_of(key)),
            );
        }
        found
    }

    pub fn text(&mut self, parent: &Field<'_>, key: &str) -> Option<Located<String>> {
        self.as_text(&parent.get(key)?)
    }

    pub fn required_text(&mut self, parent: &Field<'_>, key: &str) -> Option<Located<String>> {
        let field = self.required(parent, key)?;
        self.as_text(&field)
    }

    /// The field as text; anything that some reader of YAML would not see as this text is refused (lessons E10). With
    /// LBC's checks it is taken as written: only a reader that sees text can have brought it to where LBC found it.
    pub fn as_text(&mut self, field: &Field<'_>) -> Option<Located<String>> {
        match (field.value(), field.node.ambiguous()) {
            (Value::String(text), None) => Some(Located::new(text.clone(), field.origin())),
            (_, Some(text)) if self.checks == Checks::Lbc => {
                Some(Located::new(text.to_owned(), field.origin()))
            }
            (Value::String(_), Some(_)) => {
                let message = format!(
                    "{} is written as `{}`, which some readers of YAML take for a number",
                    field.path,
                    self.shown(field)
                );
                self.hinted(
                    codes::YAML_AMBIGUOUS,
                    field.origin(),
                    message,
                    "put it in quotes",
                );
                None
            }
            _ => {
                self.wrong_type(field, "text");
                None
            }
        }
    }

    pub fn boolean(&mut self, parent: &Field<'_>, key: &str) -> Option<bool> {
        let field = parent.get(key)?;
        match field.value() {
            Value::Bool(value) if field.node.ambiguous().is_none() => Some(*value),
            Value::Bool(_) => {
                self.ambiguous(&field, "true or false");
                None
            }
            _ => {
                self.wrong_type(&field, "true or false");
                None
            }
        }
    }

    /// A whole number within a range.
    pub fn integer(
        &mut self,
        parent: &Field<'_>,
        key: &str,
        range: std::ops::RangeInclusive<i64>,
    ) -> Option<Located<i64>> {
        let field = parent.get(key)?;
        self.as_integer(&field, range)
    }

    pub fn as_integer(
        &mut self,
        field: &Field<'_>,
        range: std::ops::RangeInclusive<i64>,
    ) -> Option<Located<i64>> {
        let Value::Number(number) = field.value() else {
            self.wrong_type(field, "a whole number");
            return None;
        };
        if field.node.ambiguous().is_some() {
            self.ambiguous(field, "a decimal number");
            return None;
        }
        match number.as_i64().filter(|number| range.contains(number)) {
            Some(number) => Some(Located::new(number, field.origin())),
            None => {
                self.problem(
                    codes::BAD_VALUE,
                    field.origin(),
                    format!(
                        "{} must be a whole number from {} to {}, not {number}",
                        field.path,
                        range.start(),
                        range.end()
                    ),
                );
                None
            }
        }
    }

    fn ambiguous(&mut self, field: &Field<'_>, expected: &str) {
        let message = format!(
            "{} is written as `{}`, which readers of YAML take for different things",
            field.path,
            self.shown(field)
        );
        self.hinted(
            codes::YAML_AMBIGUOUS,
            field.origin(),
            message,
            format!("write {expected}"),
        );
    }

    /// One of a closed set of words.
    pub fn one_of<T: Copy>(
        &mut self,
        parent: &Field<'_>,
        key: &str,
        words: &[(&str, T)],
    ) -> Option<Located<T>> {
        let text = self.text(parent, key)?;
        if let Some((_, value)) = words.iter().find(|(word, _)| *word == text.value) {
            return Some(Located::new(*value, text.origin));
        }
        let known: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        self.hinted(
            codes::BAD_VALUE,
            text.origin,
            format!("{} cannot be \"{}\"", parent.path_of(key), text.value),
            format!("it is one of {}", known.join(", ")),
        );
        None
    }

    /// The same for a field that the API server fills in where it is the empty text, as where it is absent.
    pub fn word<T: Copy>(
        &mut self,
        parent: &Field<'_>,
        key: &str,
        words: &[(&str, T)],
    ) -> Option<Located<T>> {
        let is_empty = parent.value().get(key).and_then(Value::as_str) == Some("");
        (!is_empty).then(|| self.one_of(parent, key, words))?
    }

    /// A mapping of text to text; entries that are none are reported and left out. The API server takes null as the empty
    /// text; the strict checks do not, for it is hardly meant.
    pub fn text_map(
        &mut self,
        parent: &Field<'_>,
        key: &str,
    ) -> BTreeMap<String, (Origin, Located<String>)> {
        let Some(field) = parent.get(key) else {
            return BTreeMap::new();
        };
        if !self.is_map(&field) {
            return BTreeMap::new();
        }
        field
            .entries()
            .filter_map(|(key, origin, child)| {
                let as_stored = self.checks == Checks::Lbc && !self.is_never_sent();
                let text = if as_stored && child.value().is_null() {
                    Located::new(String::new(), child.origin())
                } else {
                    self.as_text(&child)?
                };
                Some((key.to_owned(), (origin, text)))
            })
            .collect()
    }

    /// A mapping of keys to values as labels have them.
    pub fn labels(&mut self, parent: &Field<'_>, key: &str) -> BTreeMap<String, String> {
        let path = parent.path_of(key);
        self.text_map(parent, key)
            .into_iter()
            .map(|(key, (origin, value))| {
                self.key((&path, &key), origin, name::qualified);
                self.name(&format!("{path}.{key}"), &value, name::label_value);
                (key, value.value)
            })
            .collect()
    }

    /// Reports a key of the mapping at this path that breaks its grammar.
    pub fn key(&mut self, (path, key): (&str, &str), origin: Origin, grammar: Grammar) {
        if let Err(expected) = grammar(key) {
            self.hinted(
                codes::BAD_NAME,
                origin,
                format!("{path} cannot hold the key \"{key}\""),
                expected,
            );
        }
    }

    /// Reports a name that breaks its grammar.
    pub fn name(&mut self, path: &str, name: &Located<String>, grammar: Grammar) {
        if let Err(expected) = grammar(&name.value) {
            self.hinted(
                codes::BAD_NAME,
                name.origin.clone(),
                format!("{path} cannot be \"{}\"", name.value),
                expected,
            );
        }
    }
}

/// A scalar as it was written, as far as that is known.
fn shown(field: &Field<'_>) -> String {
    match (field.node.ambiguous(), field.value()) {
        (Some(text), _) => text.to_owned(),
        (None, Value::String(text)) => text.clone(),
        (None, value) => value.to_string(),
    }
}
