//! IAM documents by meaning: what AWS returns differs in form from what was sent (irsa §6.6, lessons A5).

use std::collections::BTreeMap;

use serde_json::{Map, Value};

/// Version of a document that names none; its meaning differs from the current one.
const OLD_VERSION: &str = "2008-10-17";

/// Whether two documents mean the same, however they are written.
pub fn same_document(a: &Value, b: &Value) -> bool {
    canonical(a) == canonical(b)
}

/// One form for all spellings of a document (irsa §6.6): lists sorted and without duplicates, scalars as lists of one,
/// actions and condition keys in lower case, statements as a sorted multiset, absent version and Sid spelled out.
///
/// What is no policy document comes back as it is.
pub fn canonical(document: &Value) -> Value {
    let Value::Object(document) = document else {
        return document.clone();
    };
    let mut result = Map::new();
    result.insert("Version".to_owned(), OLD_VERSION.into());
    for (key, value) in document {
        let value = match key.as_str() {
            "Statement" => statements(value),
            _ => value.clone(),
        };
        result.insert(key.clone(), value);
    }
    Value::Object(result)
}

/// Characters that count against IAM's quotas: the minified document, whitespace left out (irsa §6.4).
pub fn counted_size(document: &Value) -> usize {
    document
        .to_string()
        .chars()
        .filter(|character| !character.is_whitespace())
        .count()
}

fn statements(value: &Value) -> Value {
    let mut statements: Vec<Value> = list(value).into_iter().map(statement).collect();
    // A multiset: a statement that stands twice is not the same document as one that stands once.
    statements.sort_by_key(sort_text);
    Value::Array(statements)
}

fn statement(value: &Value) -> Value {
    let Value::Object(statement) = value else {
        return value.clone();
    };
    let mut result = Map::new();
    result.insert("Sid".to_owned(), "".into());
    for (key, value) in statement {
        let value = match key.as_str() {
            "Action" | "NotAction" => set(list(value).into_iter().map(lower_case)),
            "Resource" | "NotResource" => set(list(value).into_iter().cloned()),
            "Principal" | "NotPrincipal" => principal(value),
            "Condition" => match conditions(value) {
                // No condition and an empty block both always hold.
                Value::Object(block) if block.is_empty() => continue,
                block => block,
            },
            _ => value.clone(),
        };
        result.insert(key.clone(), value);
    }
    Value::Object(result)
}

fn principal(value: &Value) -> Value {
    match value {
        Value::Object(kinds) => kinds
            .iter()
            .map(|(kind, names)| {
                let names = list(names).into_iter().map(|name| match kind.as_str() {
                    "AWS" => account_of_root(name),
                    _ => name.clone(),
                });
                (kind.clone(), set(names))
            })
            .collect(),
        Value::String(everybody) if everybody == "*" => {
            Value::Object(Map::from_iter([("AWS".to_owned(), set([value.clone()]))]))
        }
        other => other.clone(),
    }
}

/// `arn:PARTITION:iam::ACCOUNT:root` and the bare account number name the same principal; the number needs no partition.
fn account_of_root(name: &Value) -> Value {
    let account = name.as_str().and_then(|text| {
        let parts: Vec<_> = text.split(':').collect();
        match parts[..] {
            ["arn", _, "iam", "", account, "root"] => Some(account.to_owned()),
            _ => None,
        }
    });
    account.map_or_else(|| name.clone(), Value::String)
}

fn conditions(value: &Value) -> Value {
    let Value::Object(operators) = value else {
        return value.clone();
    };
    operators
        .iter()
        .map(|(operator, keys)| (operator.clone(), condition_keys(keys)))
        .collect()
}

fn condition_keys(value: &Value) -> Value {
    let Value::Object(keys) = value else {
        return value.clone();
    };
    let lowered: BTreeMap<String, &Value> = keys
        .iter()
        .map(|(key, values)| (key.to_lowercase(), values))
        .collect();
    let texts = |values: &Value| set(list(values).into_iter().map(printed));
    if lowered.len() == keys.len() {
        lowered
            .into_iter()
            .map(|(key, values)| (key, texts(values)))
            .collect()
    } else {
        // Two spellings of one key: what IAM makes of that is its own affair, so nothing is merged or lost here.
        keys.iter()
            .map(|(key, values)| (key.clone(), texts(values)))
            .collect()
    }
}

fn list(value: &Value) -> Vec<&Value> {
    match value {
        Value::Array(items) => items.iter().collect(),
        one => vec![one],
    }
}

/// Sorted, each once.
fn set(items: impl IntoIterator<Item = Value>) -> Value {
    let by_text: BTreeMap<String, Value> = items
        .into_iter()
        .map(|item| (sort_text(&item), item))
        .collect();
    Value::Array(by_text.into_values().collect())
}

fn lower_case(value: &Value) -> Value {
    match value {
        Value::String(text) => Value::String(text.to_lowercase()),
        other => other.clone(),
    }
}

/// Condition values are texts to IAM: `true` and `"true"`, `5` and `"5"` are one.
fn printed(value: &Value) -> Value {
    match value {
        Value::Bool(_) | Value::Number(_) => Value::String(value.to_string()),
        other => other.clone(),
    }
}

/// A text that is equal for equal values, whatever order their keys stand in.
fn sort_text(value: &Value) -> String {
    super::digest::canonical_text(value)
}

#[cfg(test)]
mod tests;
