use proptest::{prelude::*, sample::subsequence};
use serde_json::json;

use super::*;

fn with(statement: Value) -> Value {
    json!({ "Version": "2012-10-17", "Statement": [statement] })
}

fn allow(key: &str, value: Value) -> Value {
    let mut statement =
        json!({ "Effect": "Allow", "Action": ["s3:GetObject"], "Resource": ["arn:x"] });
    statement[key] = value;
    with(statement)
}

#[test]
fn spellings_of_one_meaning_are_the_same() {
    let statement = json!({ "Effect": "Allow", "Action": "a:b", "Resource": "*" });
    let pairs = [
        (
            with(statement.clone()),
            json!({ "Version": "2012-10-17", "Statement": statement }),
        ),
        (
            json!({ "Statement": [] }),
            json!({ "Version": "2008-10-17", "Statement": [] }),
        ),
        (
            allow("Action", json!("s3:GetObject")),
            allow("Action", json!(["S3:getobject", "s3:GetObject"])),
        ),
        (
            allow("NotAction", json!(["b:B", "a:A"])),
            allow("NotAction", json!(["a:a", "b:b"])),
        ),
        (
            allow("Resource", json!("arn:x")),
            allow("Resource", json!(["arn:x", "arn:x"])),
        ),
        (allow("Sid", json!("")), allow("Effect", json!("Allow"))),
        (
            allow("Condition", json!({})),
            allow("Effect", json!("Allow")),
        ),
        (
            allow("Principal", json!("*")),
            allow("Principal", json!({ "AWS": "*" })),
        ),
        (
            allow(
                "Principal",
                json!({ "AWS": ["123456789012", "arn:aws:iam::1:user/x"] }),
            ),
            allow(
                "Principal",
                json!({ "AWS": ["arn:aws:iam::1:user/x", "arn:aws:iam::123456789012:root"] }),
            ),
        ),
        (
            allow(
                "Condition",
                json!({ "Bool": { "aws:SecureTransport": true }, "NumericLess": { "X": 5 } }),
            ),
            allow(
                "Condition",
                json!({ "NumericLess": { "x": ["5"] }, "Bool": { "AWS:securetransport": "true" } }),
            ),
        ),
    ];
    for (one, other) in pairs {
        assert!(same_document(&one, &other), "{one} and {other}");
    }
}

#[test]
fn edits_of_the_meaning_are_not_the_same() {
    let base = allow("Sid", json!("One"));
    let statement = base["Statement"][0].clone();
    let others = [
        json!({ "Statement": [statement] }),
        json!({ "Version": "2012-10-17", "Statement": [statement, statement] }),
        json!({ "Version": "2012-10-17", "Statement": [] }),
        json!({ "Version": "2012-10-17", "Statement": [statement], "Id": "x" }),
        allow("Sid", json!("one")),
        allow("Effect", json!("Deny")),
    ];
    for other in others {
        assert!(!same_document(&base, &other), "{other}");
    }
    let pairs = [
        (
            allow("Resource", json!("arn:x")),
            allow("Resource", json!("arn:X")),
        ),
        (
            allow("Action", json!("s3:Get*")),
            allow("Action", json!("s3:GetObject")),
        ),
        (
            allow("Action", json!("a:b")),
            allow("NotAction", json!("a:b")),
        ),
        (
            allow("Condition", json!({ "StringEquals": { "k": "V" } })),
            allow("Condition", json!({ "StringEquals": { "k": "v" } })),
        ),
        (
            allow("Condition", json!({ "StringEquals": { "k": "v" } })),
            allow("Condition", json!({ "StringLike": { "k": "v" } })),
        ),
        (
            allow("Principal", json!({ "AWS": "123456789012" })),
            allow("Principal", json!({ "AWS": "210987654321" })),
        ),
        (
            allow("Principal", json!({ "Service": "*" })),
            allow("Principal", json!("*")),
        ),
    ];
    for (one, other) in pairs {
        assert!(!same_document(&one, &other), "{one} and {other}");
    }
}

#[test]
fn two_spellings_of_one_condition_key_are_not_merged() {
    let both = allow(
        "Condition",
        json!({ "StringEquals": { "k": "a", "K": "b" } }),
    );
    let merged = allow("Condition", json!({ "StringEquals": { "k": ["a", "b"] } }));
    assert!(!same_document(&both, &merged));
}

#[test]
fn what_is_no_document_equals_itself_alone() {
    for value in [
        json!(null),
        json!("text"),
        json!([1]),
        json!({ "Statement": 5 }),
        json!({ "Statement": ["x"] }),
    ] {
        assert!(same_document(&value, &value));
        assert!(!same_document(&value, &json!({ "Version": "2012-10-17" })));
    }
}

#[test]
fn whitespace_does_not_count() {
    assert_eq!(
        counted_size(&json!({ "a": [1, "x y"] })),
        r#"{"a":[1,"xy"]}"#.len()
    );
    assert_eq!(counted_size(&json!({ "a": "ü" })), 9);
}

/// One statement as the tests change it; written out in many ways.
#[derive(Clone, Debug, PartialEq)]
struct Draft {
    sid: String,
    allow: bool,
    actions: Vec<&'static str>,
    resources: Vec<&'static str>,
    conditions: Vec<(&'static str, &'static str, Vec<&'static str>)>,
}

fn draft() -> impl Strategy<Value = Draft> {
    let actions = vec!["s3:getobject", "s3:putobject", "sqs:*", "ec2:describe*"];
    let resources = vec!["*", "arn:aws:s3:::b", "arn:aws:s3:::B", "arn:aws:s3:::b/*"];
    let conditions = vec![
        ("StringEquals", "aws:a", vec!["x", "X"]),
        ("StringLike", "aws:a", vec!["x*"]),
        ("Bool", "aws:securetransport", vec!["true"]),
        ("NumericLessThan", "s3:max-keys", vec!["10"]),
    ];
    (
        "[A-C]?",
        any::<bool>(),
        subsequence(actions, 1..=4),
        subsequence(resources, 1..=4),
        subsequence(conditions, 0..=4),
    )
        .prop_map(|(sid, allow, actions, resources, conditions)| Draft {
            sid,
            allow,
            actions,
            resources,
            conditions,
        })
}

/// Choices of spelling, drawn bit by bit.
struct Spelling(u64);

impl Spelling {
    fn flip(&mut self) -> bool {
        // A small generator of its own: the drawn number alone decides.
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 63 == 1
    }

    fn shuffle<T>(&mut self, items: &mut [T]) {
        for end in 1..items.len() {
            for index in (1..=end).rev() {
                if self.flip() {
                    items.swap(index, index - 1);
                }
            }
        }
    }

    fn list(&mut self, items: &[&str], mut spell: impl FnMut(&mut Self, &str) -> Value) -> Value {
        let mut values: Vec<Value> = items.iter().map(|item| spell(self, item)).collect();
        if self.flip() {
            let again = spell(self, items[0]);
            values.push(again);
        }
        self.shuffle(&mut values);
        match &values[..] {
            [one] if self.flip() => one.clone(),
            _ => Value::Array(values),
        }
    }

    fn case(&mut self, text: &str) -> Value {
        text.chars()
            .map(|letter| {
                if self.flip() {
                    letter.to_ascii_uppercase()
                } else {
                    letter
                }
            })
            .collect::<String>()
            .into()
    }

    fn condition_value(&mut self, text: &str) -> Value {
        match serde_json::from_str(text) {
            Ok(value @ (Value::Bool(_) | Value::Number(_))) if self.flip() => value,
            _ => text.into(),
        }
    }

    fn statement(&mut self, draft: &Draft) -> Value {
        let mut statement = json!({ "Effect": if draft.allow { "Allow" } else { "Deny" } });
        if !draft.sid.is_empty() || self.flip() {
            statement["Sid"] = json!(draft.sid);
        }
        statement["Action"] = self.list(&draft.actions, |spelling, text| spelling.case(text));
        statement["Resource"] = self.list(&draft.resources, |_, text| json!(text));
        if !draft.conditions.is_empty() || self.flip() {
            let mut block = json!({});
            for (operator, key, values) in &draft.conditions {
                let key = self.case(key);
                block[operator][key.as_str().unwrap()] = self.list(values, Self::condition_value);
            }
            statement["Condition"] = block;
        }
        statement
    }

    fn document(&mut self, drafts: &[Draft]) -> Value {
        let mut statements: Vec<Value> = drafts.iter().map(|draft| self.statement(draft)).collect();
        self.shuffle(&mut statements);
        match &statements[..] {
            [one] if self.flip() => json!({ "Version": "2012-10-17", "Statement": one }),
            _ => json!({ "Statement": statements, "Version": "2012-10-17" }),
        }
    }
}

/// What a document means, whatever the order.
fn meaning(drafts: &[Draft]) -> Vec<String> {
    let mut texts: Vec<String> = drafts.iter().map(|draft| format!("{draft:?}")).collect();
    texts.sort();
    texts
}

proptest! {
    #[test]
    fn equivalent_rewrites_never_differ(
        drafts in proptest::collection::vec(draft(), 0..4), one in any::<u64>(), other in any::<u64>(),
    ) {
        let (one, other) = (Spelling(one).document(&drafts), Spelling(other).document(&drafts));
        prop_assert!(same_document(&one, &other), "{} and {}", one, other);
        prop_assert_eq!(canonical(&canonical(&one)), canonical(&one));
    }

    #[test]
    fn documents_of_different_meaning_always_differ(
        drafts in proptest::collection::vec(draft(), 1..3),
        others in proptest::collection::vec(draft(), 0..3),
        spellings in any::<[u64; 2]>(),
    ) {
        let (one, other) = (Spelling(spellings[0]).document(&drafts), Spelling(spellings[1]).document(&others));
        prop_assert_eq!(same_document(&one, &other), meaning(&drafts) == meaning(&others));
    }

    #[test]
    fn one_real_edit_always_differs(
        drafts in proptest::collection::vec(draft(), 1..4),
        edit in 0..6_usize, at in any::<prop::sample::Index>(), spellings in any::<[u64; 2]>(),
    ) {
        let mut edited = drafts.clone();
        let at = at.index(edited.len());
        match edit {
            0 => edited[at].allow = !edited[at].allow,
            1 => edited[at].actions.push("iam:passrole"),
            2 => edited[at].resources[0] = "arn:aws:s3:::other",
            3 => edited[at].sid.push('Z'),
            4 => drop(edited.remove(at)),
            _ => edited.push(edited[at].clone()),
        }
        let (one, other) = (Spelling(spellings[0]).document(&drafts), Spelling(spellings[1]).document(&edited));
        prop_assert!(!same_document(&one, &other), "{} and {}", one, other);
    }

    #[test]
    fn no_value_makes_it_fail(text in "\\PC{0,40}", number in any::<i64>()) {
        let values = [json!(text), json!(number), json!([text]), json!({ text.clone(): number }), json!(null)];
        for value in &values {
            for key in ["Statement", "Version", "Id"] {
                let document = json!({ key: value });
                prop_assert!(same_document(&document, &document.clone()));
            }
            for key in ["Action", "Resource", "Principal", "Condition", "Sid"] {
                let document = with(json!({ key: value }));
                prop_assert!(same_document(&document, &document.clone()));
            }
        }
    }
}
