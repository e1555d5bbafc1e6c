use proptest::prelude::*;

use super::*;

#[test]
fn what_readers_usually_drop_is_kept() {
    let number = |text: &str| Json::Number(text.to_owned());
    assert_eq!(
        parse(" {\"b\": 1e1, \"a\": [null, true], \"b\": -0.5} \n"),
        Ok(Json::Object(vec![
            ("b".to_owned(), number("1e1")),
            (
                "a".to_owned(),
                Json::List(vec![Json::Null, Json::Boolean(true)])
            ),
            ("b".to_owned(), number("-0.5")),
        ]))
    );
    assert_eq!(
        parse(r#""\u00e4\n\ud83d\ude00\ud800x""#),
        Ok(Json::Text("ä\n😀\u{fffd}x".to_owned()))
    );
}

#[test]
fn mistakes_name_their_place() {
    let table = [
        ("", "it is JSON, which has a value at its end"),
        (
            "[1,]",
            "it is JSON, which has a value at character 4, not `]`",
        ),
        (
            "{a:1}",
            "it is JSON, which has a key in double quotes at character 2, not `a`",
        ),
        (
            "{\"a\" 1}",
            "it is JSON, which has `:` at character 6, not `1`",
        ),
        (
            "[1] x",
            "it is JSON, which has nothing more at character 5, not `x`",
        ),
        (
            "[01]",
            "it is JSON, which has `,` or `]` at character 3, not `1`",
        ),
        (
            "[\n 1\n 2]",
            "it is JSON, which has `,` or `]` in its line 3 at character 2, not `2`",
        ),
        (
            "\"a",
            "it is JSON, which has the rest of a text and its `\"` at its end",
        ),
        (
            "\"\\x\"",
            "it is JSON, which has a known escape at character 3, not `x`",
        ),
        (
            "nul",
            "it is JSON, which has a value at character 1, not `n`",
        ),
        (
            "+1",
            "it is JSON, which has a value at character 1, not `+`",
        ),
    ];
    for (text, wanted) in table {
        assert_eq!(parse(text), Err(wanted.to_owned()), "{text}");
    }
    assert!(parse(&"[".repeat(200_000)).is_err());
}

/// Values alike, as far as serde_json can tell; keys twice and halves of surrogate pairs are not generated.
fn same(ours: &Json, theirs: &serde_json::Value) -> bool {
    use serde_json::Value;
    match (ours, theirs) {
        (Json::Null, Value::Null) => true,
        (Json::Boolean(a), Value::Bool(b)) => a == b,
        (Json::Number(a), Value::Number(b)) => *a == b.to_string(),
        (Json::Text(a), Value::String(b)) => a == b,
        (Json::List(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b))
        }
        (Json::Object(a), Value::Object(b)) => {
            a.len() == b.len()
                && a.iter()
                    .all(|(key, a)| b.get(key).is_some_and(|b| same(a, b)))
        }
        _ => false,
    }
}

fn value() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(serde_json::Value::from),
        any::<i64>().prop_map(serde_json::Value::from),
        any::<String>().prop_map(serde_json::Value::from),
    ];
    leaf.prop_recursive(4, 32, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(serde_json::Value::from),
            proptest::collection::btree_map(any::<String>(), inner, 0..4)
                .prop_map(|map| serde_json::Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn what_others_write_is_read_alike(value in value()) {
        let compact = parse(&value.to_string()).unwrap();
        prop_assert!(same(&compact, &value));
        let pretty = parse(&serde_json::to_string_pretty(&value).unwrap()).unwrap();
        prop_assert_eq!(pretty, compact);
    }

    #[test]
    fn any_text_is_read_or_refused_as_others_do(text in "[\\[\\]{}\",:0-9eE.+\\- ntrufalse\\\\]{0,12}") {
        let theirs = serde_json::from_str::<serde_json::Value>(&text);
        // Half a surrogate pair, and numbers beyond f64, are read by Go.
        if !text.contains("\\u") && !text.to_lowercase().contains('e') {
            prop_assert_eq!(parse(&text).is_ok(), theirs.is_ok(), "{}", text);
        }
    }

    #[test]
    fn no_text_makes_it_panic(text in any::<String>()) {
        let _ = parse(&text);
    }
}
