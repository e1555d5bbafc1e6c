//! What an identity policy may say (irsa.md §7.3, §7.1 T4–T6): IAM's own rules, and no way to widen one's rights.

use serde_json::Value;

use super::MAX_RAW;
use crate::{
    manifest::field::{Field, Report},
    problem::{Problem, codes},
};

const VERSION: &str = "2012-10-17";

/// Actions that let their holder become more than it is (irsa.md §7.1 T4).
const ESCALATIONS: &[&str] = &[
    "iam:addusertogroup",
    "iam:attachgrouppolicy",
    "iam:attachrolepolicy",
    "iam:attachuserpolicy",
    "iam:createaccesskey",
    "iam:createloginprofile",
    "iam:createpolicyversion",
    "iam:putgrouppolicy",
    "iam:putrolepolicy",
    "iam:putuserpolicy",
    "iam:setdefaultpolicyversion",
    "iam:updateassumerolepolicy",
    "iam:updateloginprofile",
];

/// Services whose whole is never granted.
const WHOLE: &[&str] = &["iam", "sts", "organizations", "account"];

/// Checks one document.
pub(super) fn check(document: &Field<'_>, report: &mut Report) {
    for (key, origin, _) in document.entries() {
        if key == "Id" {
            report.hinted(
                codes::IAM_POLICY,
                origin,
                "a policy of a role has no Id",
                "remove it",
            );
        }
    }
    if !report.fields(document, &["Version", "Statement", "Id"]) {
        return;
    }
    let raw = document.value().to_string();
    let is_latin = |c: char| matches!(c, '\t' | '\n' | '\r' | ' '..='\u{FF}');
    if raw.chars().count() > MAX_RAW {
        let message =
            format!("the document is longer than the {MAX_RAW} characters that IAM takes");
        report.problem(codes::IAM_POLICY, document.origin(), message);
    }
    if let Some(c) = raw.chars().find(|c| !is_latin(*c)) {
        report.hinted(
            codes::IAM_POLICY,
            document.origin(),
            format!("the document holds the character `{c}`"),
            "IAM takes Latin-1 only",
        );
    }
    match report.required_text(document, "Version") {
        Some(version) if version.value != VERSION => report.hinted(
            codes::IAM_POLICY,
            version.origin,
            format!("Version cannot be \"{}\"", version.value),
            format!("write {VERSION}; variables are not read otherwise"),
        ),
        _ => {}
    }
    let Some(statements) = report.required(document, "Statement") else {
        return;
    };
    let list: Vec<Field<'_>> = if statements.value().is_object() {
        vec![statements]
    } else {
        not_empty(&statements, "a statement or a list of some", report);
        statements.items().collect()
    };
    let mut sids = std::collections::BTreeMap::new();
    for statement in &list {
        check_statement(statement, report);
        let Some(sid) = statement.get("Sid") else {
            continue;
        };
        let Some(text) = report.as_text(&sid) else {
            continue;
        };
        if !text.value.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            report.hinted(
                codes::IAM_POLICY,
                text.origin.clone(),
                format!("Sid cannot be \"{}\"", text.value),
                "letters and digits only",
            );
        }
        if let Some(first) = sids.insert(text.value.clone(), text.origin.clone()) {
            report.add(
                Problem::new(
                    codes::IAM_POLICY,
                    text.origin,
                    format!("two statements have the Sid \"{}\"", text.value),
                )
                .also(first),
            );
        }
    }
}

fn check_statement(statement: &Field<'_>, report: &mut Report) {
    for key in ["Principal", "NotPrincipal"] {
        if statement.get(key).is_some() {
            report.hinted(
                codes::IAM_POLICY,
                statement.node.key_origin(key),
                format!("a policy of a role has no {key}"),
                "who may take the role is written by albsync",
            );
        }
    }
    let known = [
        "Sid",
        "Effect",
        "Action",
        "NotAction",
        "Resource",
        "NotResource",
        "Condition",
        "Principal",
        "NotPrincipal",
    ];
    if !report.fields(statement, &known) {
        return;
    }
    report.required(statement, "Effect");
    let effects = [("Allow", true), ("Deny", false)];
    let allows = report
        .one_of(statement, "Effect", &effects)
        .is_some_and(|effect| effect.value);
    for (positive, negative) in [("Action", "NotAction"), ("Resource", "NotResource")] {
        match (statement.get(positive), statement.get(negative)) {
            (Some(_), Some(_)) => report.problem(
                codes::IAM_POLICY,
                statement.node.key_origin(negative),
                format!("{} has {positive} and {negative}", statement.path),
            ),
            (None, None) => report.problem(
                codes::MISSING_FIELD,
                statement.origin(),
                format!("{} is missing", statement.path_of(positive)),
            ),
            (None, Some(_)) if allows => report.hinted(
                codes::IAM_ESCALATION,
                statement.node.key_origin(negative),
                format!("Allow with {negative} grants all that is not named"),
                format!("name what is needed by {positive}"),
            ),
            _ => {}
        }
    }
    let actions = words(statement, "Action", report);
    words(statement, "NotAction", report);
    let resources = words(statement, "Resource", report);
    words(statement, "NotResource", report);
    for resource in &resources {
        if resource.text != "*" && !resource.text.starts_with("arn:") {
            report.hinted(
                codes::IAM_POLICY,
                resource.field.origin(),
                format!("the resource \"{}\" is no ARN", resource.text),
                "it is `*` or begins with `arn:`",
            );
        }
    }
    if let Some(condition) = statement.get("Condition")
        && report.is_map(&condition)
    {
        for (_, _, operator) in condition.entries() {
            report.is_map(&operator);
        }
    }
    for action in &actions {
        check_action(action, statement, allows, &resources, report);
    }
}

fn check_action(
    action: &Word<'_>,
    statement: &Field<'_>,
    allows: bool,
    resources: &[Word<'_>],
    report: &mut Report,
) {
    let text = action.text.to_ascii_lowercase();
    let is_action = text == "*"
        || text.split_once(':').is_some_and(|(service, name)| {
            let fine = |part: &str, more: &[u8]| {
                !part.is_empty()
                    && part
                        .bytes()
                        .all(|byte| byte.is_ascii_alphanumeric() || more.contains(&byte))
            };
            fine(service, b"-*") && fine(name, b"*?")
        });
    if !is_action {
        report.hinted(
            codes::IAM_POLICY,
            action.field.origin(),
            format!("\"{}\" is no action", action.text),
            "it is service:Action",
        );
        return;
    }
    if !allows {
        return;
    }
    let mut refuse = |message: String, hint: &str| {
        report.hinted(codes::IAM_ESCALATION, action.field.origin(), message, hint);
    };
    let is_wide = |resource: &Word<'_>| resource.text.trim_matches('*').is_empty();
    let service = text.split_once(':').map_or("*", |(service, _)| service);
    let is_whole = text == "*"
        || text
            .split_once(':')
            .is_some_and(|(_, name)| name.trim_matches('*').is_empty() && WHOLE.contains(&service))
        || text.trim_matches(['*', ':']).is_empty();
    if is_whole {
        return refuse(
            format!("\"{}\" grants everything of it", action.text),
            "name the actions that are needed",
        );
    }
    if let Some(found) = ESCALATIONS.iter().find(|found| matches(&text, found)) {
        return refuse(
            format!(
                "\"{}\" covers {found}, which lets the role widen its own rights",
                action.text
            ),
            "no role made from git may have it",
        );
    }
    if matches(&text, "iam:passrole") {
        let names_service = statement
            .get("Condition")
            .is_some_and(|condition| holds_key(condition.value(), "iam:passedtoservice"));
        if resources.iter().any(is_wide) || !names_service {
            refuse(
                format!("\"{}\" passes any role to any service", action.text),
                "name the roles as Resource and the service by a condition on iam:PassedToService",
            );
        }
    }
    if matches(&text, "sts:assumerole") && resources.iter().any(is_wide) {
        refuse(
            format!("\"{}\" on every role", action.text),
            "name the roles as Resource",
        );
    }
}

struct Word<'a> {
    field: Field<'a>,
    text: String,
}

/// A text or a list of some, none of them empty.
fn words<'a>(statement: &Field<'a>, key: &str, report: &mut Report) -> Vec<Word<'a>> {
    let Some(field) = statement.get(key) else {
        return Vec::new();
    };
    let fields: Vec<Field<'a>> = match field.value() {
        Value::Array(list) if !list.is_empty() => field.items().collect(),
        Value::Array(_) => {
            not_empty(&field, "text or a list of some", report);
            Vec::new()
        }
        _ => vec![field],
    };
    fields
        .into_iter()
        .filter_map(|field| {
            let text = report.as_text(&field)?.value;
            Some(Word { field, text })
        })
        .collect()
}

/// Reports what is no list, or one of nothing.
fn not_empty(field: &Field<'_>, expected: &str, report: &mut Report) {
    match field.value().as_array() {
        None => report.wrong_type(field, expected),
        Some(list) if list.is_empty() => {
            let message = format!("{} is empty", field.path);
            report.problem(codes::MISSING_FIELD, field.origin(), message);
        }
        Some(_) => {}
    }
}

/// Whether a condition block asks for that key, compared without case as IAM does.
fn holds_key(condition: &Value, key: &str) -> bool {
    condition
        .as_object()
        .into_iter()
        .flat_map(serde_json::Map::values)
        .filter_map(Value::as_object)
        .flat_map(serde_json::Map::keys)
        .any(|found| found.eq_ignore_ascii_case(key))
}

/// IAM's globs: `*` any text, `?` one character. Both in lower case.
fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    let (mut p, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(byte) if *byte == b'?' || *byte == text[t] => {
                p += 1;
                t += 1;
            }
            _ => match star {
                // The last star takes one character more.
                Some((at, taken)) => {
                    p = at + 1;
                    t = taken + 1;
                    star = Some((at, taken + 1));
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|byte| *byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn globs_match_as_iams() {
        assert!(matches("iam:put*policy", "iam:putrolepolicy"));
        assert!(matches("*", "iam:passrole") && matches("iam:pass????", "iam:passrole"));
        assert!(matches("i*m:*role", "iam:passrole"));
        assert!(!matches("iam:get*", "iam:passrole"));
        assert!(!matches("iam:passrol", "iam:passrole"));
        assert!(!matches("", "a") && matches("", "") && matches("**", "x"));
    }
}
