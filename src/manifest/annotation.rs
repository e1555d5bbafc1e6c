//! THE TABLE: every annotation we know → its parser → the field of [`IngressOptions`] it fills.

use super::field::Report;
use crate::problem::{
    Located, Origin, Problem, codes,
    nearest::{distance, nearest},
};

mod action;
pub(super) mod attribute;
mod auth;
mod condition;
mod decode;
pub mod grammar;
mod json;
pub(super) mod limit;
mod listener;
pub mod options;
mod read;
pub mod reference;
mod table;
pub mod value;
#[cfg(test)]
mod tests;

pub use options::{IngressOptions, Setting};
pub(crate) use read::bad_tag;
pub use table::TABLE;
pub use value::{Scheme, TargetType};

/// The prefix of all annotations of the table.
pub const PREFIX: &str = "alb.ingress.kubernetes.io";
/// The older way to say which controller serves an Ingress (ingress-model.md §1.1).
pub const CLASS: &str = "kubernetes.io/ingress.class";

/// One row: what an annotation is called, where it stands and what it means.
#[derive(Clone, Copy, Debug)]
pub struct Annotation {
    /// What follows the prefix; for a family, the part before the free name (`actions.`).
    pub name: &'static str,
    pub is_family: bool,
    pub on: On,
    pub grammar: Grammar,
    /// What holds where it is absent, in words.
    pub default: &'static str,
    pub merge: Merge,
    pub doc: &'static str,
    pub example: &'static str,
    /// Fills its field of [`IngressOptions`].
    read: fn(&mut read::Reading<'_>, &mut IngressOptions),
}

/// The kinds that carry an annotation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum On {
    Ingress,
    /// Ingress and Service; the Service wins (ingress-model.md §0.3).
    Both,
}

/// The type of a value (ingress-model.md §0.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grammar {
    Text,
    OneOf(&'static [&'static str]),
    Boolean,
    Int32,
    Int64,
    /// `a, b`.
    List,
    /// `key=value,key=value`.
    Map,
    Json,
    /// A number, `traffic-port` or a Service port's name.
    Port,
}

/// What members of one group make of their values (ingress-model.md §2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Merge {
    /// All that say something say the same.
    Exclusive,
    /// The same, listener by listener.
    ExclusivePerPort,
    /// All values together.
    Joined,
    /// All keys together; one key has one value.
    PerKey,
    /// Only its own rules and target groups.
    Own,
    /// True where the Ingress or the Service says so.
    Either,
}

/// One annotation as written.
#[derive(Clone, Debug)]
pub(super) struct Given {
    /// The whole key.
    pub key: String,
    pub key_origin: Origin,
    pub value: Located<String>,
}

/// The row of that suffix.
pub fn find(suffix: &str) -> Option<&'static Annotation> {
    TABLE.iter().find(|row| {
        if row.is_family {
            suffix
                .strip_prefix(row.name)
                .is_some_and(|rest| !rest.is_empty())
        } else {
            row.name == suffix
        }
    })
}

/// Reads the annotations of an Ingress or Service that stand under our prefix, or nearly (lessons J3).
pub(super) fn read(annotations: &[Given], on: On, report: &mut Report) -> IngressOptions {
    let mut options = IngressOptions::default();
    for given in annotations {
        let Some((prefix, suffix)) = given.key.split_once('/') else {
            continue;
        };
        if prefix == PREFIX {
            one(given, suffix, on, &mut options, report);
        } else if distance(prefix, PREFIX).is_some_and(|distance| distance <= 3) {
            report.hinted(
                codes::UNKNOWN_ANNOTATION,
                given.key_origin.clone(),
                format!("nothing reads the annotation {}", given.key),
                format!("did you mean \"{PREFIX}/{suffix}\"?"),
            );
        }
    }
    options
}

fn one(given: &Given, suffix: &str, on: On, options: &mut IngressOptions, report: &mut Report) {
    let Some(row) = find(suffix) else {
        let mut problem = Problem::new(
            codes::UNKNOWN_ANNOTATION,
            given.key_origin.clone(),
            format!("there is no annotation {}", given.key),
        );
        problem.hint = near(suffix).map(|name| format!("did you mean \"{PREFIX}/{name}\"?"));
        report.add(problem);
        return;
    };
    if on == On::Both && row.on == On::Ingress {
        report.hinted(
            codes::MISPLACED_ANNOTATION,
            given.key_origin.clone(),
            format!("the annotation {} is not read on a Service", given.key),
            "write it on the Ingress",
        );
        return;
    }
    let free_name = suffix.strip_prefix(row.name).unwrap_or_default();
    let mut reading = read::Reading {
        given,
        row,
        free_name,
        report,
    };
    (row.read)(&mut reading, options);
}

/// The name that was probably meant; of a family, the part before the free name is compared.
fn near(suffix: &str) -> Option<String> {
    let whole = TABLE.iter().filter(|row| !row.is_family);
    if let Some(name) = nearest(suffix, whole.map(|row| row.name)) {
        return Some(name.to_owned());
    }
    let head = format!("{}.", suffix.split_once('.')?.0);
    let families = TABLE.iter().filter(|row| row.is_family);
    nearest(&head, families.map(|row| row.name)).map(|name| format!("{name}<name>"))
}

/// Refuses annotations of the table on kinds where nobody reads them.
pub(super) fn refuse_elsewhere(annotations: &[Given], kind: &str, report: &mut Report) {
    for given in annotations {
        if given
            .key
            .split_once('/')
            .is_some_and(|(prefix, _)| prefix == PREFIX)
        {
            report.hinted(
                codes::MISPLACED_ANNOTATION,
                given.key_origin.clone(),
                format!("the annotation {} is not read on a {kind}", given.key),
                "it belongs on an Ingress or a Service",
            );
        }
    }
}
