//! The conditions of one rule: what the document says of host and path, joined with what an annotation adds
//! (ingress-model §5.2, §5.3).

use super::{
    build::Built,
    context::{MemberInput, Report},
};
use crate::{
    manifest::{
        IngressPath, IngressRule, PathType,
        annotation::{
            Setting,
            value::{Condition, Patterns},
        },
    },
    problem::{Problem, codes},
};

#[cfg(test)]
mod tests;

/// What every path matches.
pub const ANY_PATH: &str = "/*";

/// Values and regular expressions of one field.
#[derive(Debug, Default)]
struct Joined {
    values: Vec<String>,
    regex: Vec<String>,
}

impl Joined {
    fn add(&mut self, patterns: &Patterns) {
        match patterns {
            Patterns::Values(values) => self.values.extend_from_slice(values),
            Patterns::Regex(values) => self.regex.extend_from_slice(values),
        }
    }

    fn is_mixed(&self) -> bool {
        !self.values.is_empty() && !self.regex.is_empty()
    }

    fn into_patterns(self) -> Option<Patterns> {
        match (self.values.is_empty(), self.regex.is_empty()) {
            (false, _) => Some(Patterns::Values(self.values)),
            (true, false) => Some(Patterns::Regex(self.regex)),
            (true, true) => None,
        }
    }
}

/// The conditions in the model's order. Hosts and paths of the annotation stand beside the document's (any of them will
/// do); conditions of other kinds all have to hold.
///
/// # Errors
/// A path that its type does not allow, or a field with both values and regular expressions.
pub fn build(
    member: MemberInput<'_>,
    entry: &IngressRule,
    path: &IngressPath,
    annotated: Option<&Setting<Vec<Condition>>>,
    report: &Report<'_>,
) -> Built<Vec<Condition>> {
    let mut hosts = Joined::default();
    let host = entry.host.as_ref().map(|host| host.value.as_str());
    hosts
        .values
        .extend(host.filter(|host| !host.is_empty()).map(str::to_owned));
    let mut paths = Joined::default();
    let patterns = path_patterns(member, path, &mut paths, report);
    let asked = report.ask(annotated)?.map_or(&[][..], Vec::as_slice);
    let mut conditions = Vec::with_capacity(asked.len() + 2);
    for condition in asked {
        match condition {
            Condition::HostHeader { values } => hosts.add(values),
            Condition::PathPattern { values } => paths.add(values),
            other => conditions.push(other.clone()),
        }
    }
    patterns?;
    for (what, joined) in [("host", &hosts), ("path", &paths)] {
        if joined.is_mixed() {
            let origin = annotated.map_or(&path.origin, |setting| &setting.origin);
            return report.refuse(
                Problem::new(
                    codes::RULE_CONDITION,
                    origin.clone(),
                    format!(
                        "the {what} of one rule is given both as values ({}) and as regular expressions ({})",
                        joined.values.join(", "),
                        joined.regex.join(", ")
                    ),
                )
                .of(member.object())
                .hint("use one of the two")
                .also(path.origin.clone()),
            );
        }
    }
    let hosts = hosts.into_patterns();
    conditions.extend(hosts.map(|values| Condition::HostHeader { values }));
    let paths = paths.into_patterns();
    conditions.extend(paths.map(|values| Condition::PathPattern { values }));
    if conditions.is_empty() {
        let values = Patterns::Values(vec![ANY_PATH.to_owned()]);
        conditions.push(Condition::PathPattern { values });
    }
    Ok(conditions)
}

/// An empty path says nothing. Whether an implementation-specific one is a regular expression is asked only here.
fn path_patterns(
    member: MemberInput<'_>,
    path: &IngressPath,
    to: &mut Joined,
    report: &Report<'_>,
) -> Built<()> {
    let text = path.path.as_str();
    match path.path_type {
        _ if text.is_empty() => {}
        PathType::ImplementationSpecific => {
            let setting = member.options().rule.use_regex_path_match.as_ref();
            if report.ask(setting)? == Some(&true) {
                // Kubernetes wants the first slash, the expression does not.
                let mut regex = text.chars();
                regex.next();
                to.regex.push(regex.as_str().to_owned());
            } else {
                to.values.push(text.to_owned());
            }
        }
        PathType::Prefix if text == "/" => to.values.push(ANY_PATH.to_owned()),
        PathType::Exact | PathType::Prefix if text.contains(['*', '?']) => {
            return report.refuse(
                Problem::new(
                    codes::WILDCARD_PATH,
                    path.origin.clone(),
                    format!(
                        "the path cannot be \"{text}\": Exact and Prefix paths have no wildcards"
                    ),
                )
                .of(member.object())
                .hint("Prefix `/a` covers `/a` and all below it"),
            );
        }
        PathType::Exact => to.values.push(text.to_owned()),
        PathType::Prefix => {
            let text = text.strip_suffix('/').unwrap_or(text);
            to.values.push(text.to_owned());
            to.values.push([text, ANY_PATH].concat());
        }
    }
    Ok(())
}
