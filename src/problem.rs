//! The user's mistakes: collected with their places, never thrown.

use std::{fmt, sync::Arc};

use serde::{Deserialize, Serialize};

pub mod codes;
pub mod nearest;

/// Where something stands in a file: all counted from 1; column in characters.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Origin {
    /// Shared: a large file has many places.
    pub file: Arc<str>,
    pub line: u32,
    pub column: u32,
}

impl Origin {
    pub fn new(file: impl Into<Arc<str>>, line: u32, column: u32) -> Self {
        Self {
            file: file.into(),
            line,
            column,
        }
    }

    /// The start of a file, for problems of the file as a whole.
    pub fn start_of(file: impl Into<Arc<str>>) -> Self {
        Self::new(file, 1, 1)
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

/// A value and where it was written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Located<T> {
    pub value: T,
    pub origin: Origin,
}

impl<T> Located<T> {
    pub fn new(value: T, origin: Origin) -> Self {
        Self { value, origin }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Shown, stops nothing.
    Warning,
    /// Rejects what it belongs to.
    Problem,
}

/// One mistake, complete: place, what is wrong, what was expected, what to do.
///
/// `code` comes from a closed list (kebab-case, one constant per check) so that tools and settings can name it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Problem {
    pub origin: Origin,
    pub severity: Severity,
    pub code: String,
    /// The object it belongs to, as `Kind namespace/name`, where known.
    pub object: Option<String>,
    /// What is wrong, with the offending value (never a secret).
    pub message: String,
    /// What was expected or what to do, a phrase without a full stop.
    pub hint: Option<String>,
    /// A second place that takes part, for conflicts.
    pub also: Option<Origin>,
}

impl Problem {
    pub fn new(code: &str, origin: Origin, message: impl Into<String>) -> Self {
        Self {
            origin,
            severity: Severity::Problem,
            code: code.to_owned(),
            object: None,
            message: message.into(),
            hint: None,
            also: None,
        }
    }

    /// Whether it rejects what it belongs to.
    pub fn is_grave(&self) -> bool {
        self.severity == Severity::Problem
    }

    pub fn warning(mut self) -> Self {
        self.severity = Severity::Warning;
        self
    }

    pub fn of(mut self, object: impl fmt::Display) -> Self {
        self.object = Some(object.to_string());
        self
    }

    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    pub fn also(mut self, origin: Origin) -> Self {
        self.also = Some(origin);
        self
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = match self.severity {
            Severity::Warning => "warning",
            Severity::Problem => "problem",
        };
        write!(f, "{}: {word}[{}]: ", self.origin, self.code)?;
        if let Some(object) = &self.object {
            write!(f, "{object}: ")?;
        }
        f.write_str(&self.message)?;
        if let Some(hint) = &self.hint {
            write!(f, "; {hint}")?;
        }
        if let Some(also) = &self.also {
            write!(f, " (see also {also})")?;
        }
        Ok(())
    }
}

/// Checks that parsing makes over the documents of git and that the builders make again with facts, at another place of the
/// same object.
const MADE_TWICE: &[&str] = &[
    codes::NODE_PORT,
    codes::SERVICE_PORT,
    codes::SEVERAL_DEFAULT_CLASSES,
    codes::WILDCARD_PATH,
];

/// Adds problems found later to those found before, without telling one mistake twice: where parsing has reported a check
/// for an object, the same check of that object, made again with facts, adds nothing.
pub fn merge(earlier: &mut Vec<Problem>, later: Vec<Problem>) {
    let key = |problem: &Problem| {
        let place = (!MADE_TWICE.contains(&problem.code.as_str())).then(|| problem.origin.clone());
        Some((problem.code.clone(), problem.object.clone()?, place))
    };
    let known: std::collections::BTreeSet<_> = earlier.iter().filter_map(key).collect();
    earlier.extend(
        later
            .into_iter()
            .filter(|problem| key(problem).is_none_or(|key| !known.contains(&key))),
    );
    earlier.sort();
    earlier.dedup();
}

/// A value together with what is wrong with its source; a problem never hides the good part.
#[derive(Clone, Debug, Default)]
pub struct Checked<T> {
    pub value: T,
    pub problems: Vec<Problem>,
}

impl<T> Checked<T> {
    /// Whether anything in it rejects.
    pub fn is_rejected(&self) -> bool {
        self.problems.iter().any(Problem::is_grave)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(code: &str, line: u32, object: &str) -> Problem {
        Problem::new(code, Origin::new("a.yaml", line, 1), "wrong").of(object)
    }

    #[test]
    fn a_mistake_is_told_once_though_two_steps_find_it() {
        let mut all = vec![problem("service-port", 7, "Ingress default/a")];
        let later = vec![
            problem("service-port", 8, "Ingress default/a"),
            problem("service-port", 2, "Ingress default/b"),
            problem("unknown-service", 9, "Ingress default/a"),
        ];
        merge(&mut all, later);
        let lines: Vec<u32> = all.iter().map(|problem| problem.origin.line).collect();
        assert_eq!(lines, [2, 7, 9]);
    }

    #[test]
    fn a_second_mistake_of_one_kind_in_one_object_is_told_too() {
        let mut all = vec![problem("bad-annotation", 7, "Ingress default/a")];
        let later = vec![
            problem("bad-annotation", 7, "Ingress default/a"),
            problem("bad-annotation", 8, "Ingress default/a"),
        ];
        merge(&mut all, later);
        let lines: Vec<u32> = all.iter().map(|problem| problem.origin.line).collect();
        assert_eq!(lines, [7, 8]);
    }
}
