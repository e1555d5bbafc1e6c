use proptest::prelude::*;
use serde_json::{Value, json};

use super::document::{decode, encode};

#[test]
fn documents_are_decoded_by_percent_and_a_plus_stays_a_plus() {
    assert_eq!(
        decode("%7B%22Action%22%3A%22s3%3AGet%2A+x%22%7d"),
        Some(json!({"Action": "s3:Get*+x"}))
    );
    assert_eq!(decode(r#"{"a": "plain"}"#), Some(json!({"a": "plain"})));
}

#[test]
fn what_is_no_document_is_none() {
    for text in ["", "%", "%4", "%zz", "not json", "%FF", "{"] {
        assert_eq!(decode(text), None, "{text}");
    }
}

#[test]
fn only_latin_1_is_sent_raw() {
    let document = json!({"Sid": "Lesen für 東京 🚦"});
    let text = encode(&document);
    assert!(text.contains("für"));
    assert!(text.chars().all(|c| u32::from(c) <= 0xFF), "{text}");
    assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), document);
}

proptest! {
    #[test]
    fn any_text_survives_the_way_to_iam_and_back(text in ".*") {
        let document = json!({ "Sid": text });
        // As IAM returns it: everything but unreserved characters encoded.
        let returned: String = encode(&document)
            .bytes()
            .map(|byte| match byte {
                b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => char::from(byte).to_string(),
                byte => format!("%{byte:02X}"),
            })
            .collect();
        prop_assert_eq!(decode(&returned), Some(document));
    }

    #[test]
    fn decoding_never_panics(text in ".*") {
        let _ = decode(&text);
    }
}
