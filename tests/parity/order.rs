//! The order of files, documents and keys changes no byte of what `render -o lbc` prints.

use albsync::cli::render::Rendered;
use serde_json::Value;

use crate::corpus::{AREAS, cases, read_json, render, render_files};

#[test]
fn the_order_of_files_documents_and_keys_changes_no_byte() {
    let account = read_json("account.json");
    let mut built = 0;
    for (case, seed) in AREAS.into_iter().flat_map(cases).zip(1..) {
        let whole = render(&case, &account);
        let shuffled = shuffled(&case.input, &mut Dice(seed));
        let apart = render_files(&case, &account, &shuffled);
        assert_eq!(groups(&whole), groups(&apart), "{}", case.slug);
        assert_eq!(messages(&whole), messages(&apart), "{}", case.slug);
        if !whole.is_rejected() {
            // Without a problem there is no place that moves.
            assert_eq!(printed(&whole), printed(&apart), "{}", case.slug);
            built += usize::from(!whole.groups.is_empty());
        }
    }
    assert_eq!(built, 292, "cases with something to print");
}

fn printed(rendered: &Rendered) -> String {
    serde_json::to_string_pretty(&rendered.as_lbc()).unwrap()
}

/// The text of the groups alone: everything before the problems.
fn groups(rendered: &Rendered) -> String {
    let printed = printed(rendered);
    let (groups, _) = printed.split_once("\n  \"problems\": ").unwrap();
    groups.to_owned()
}

fn messages(rendered: &Rendered) -> Vec<String> {
    let printed = serde_json::to_value(rendered.as_lbc()).unwrap();
    let problems = printed["problems"].as_array().unwrap().iter();
    let mut messages: Vec<String> = problems.map(|it| it["message"].to_string()).collect();
    messages.sort();
    messages
}

/// The documents in another order, in three files whose names are in another order too, with the keys of all mappings
/// in another order. What is no mapping of texts stays as it is written.
fn shuffled(input: &str, dice: &mut Dice) -> Vec<(&'static str, String)> {
    let mut documents: Vec<String> = input
        .split("\n---\n")
        .map(|text| match serde_yaml::from_str::<Value>(text) {
            Ok(value @ Value::Object(_)) => written(&value, dice),
            _ => text.to_owned(),
        })
        .collect();
    dice.shuffle(&mut documents);
    let mut files = [
        ("b.yaml", String::new()),
        ("a.yaml", String::new()),
        ("c.yaml", String::new()),
    ];
    for document in documents {
        let (_, text) = &mut files[dice.below(3)];
        text.push_str("---\n");
        text.push_str(&document);
        text.push('\n');
    }
    files.into()
}

/// As JSON, which is YAML too.
fn written(value: &Value, dice: &mut Dice) -> String {
    match value {
        Value::Object(map) => {
            let mut entries: Vec<String> = map
                .iter()
                .map(|(key, value)| {
                    format!("{}: {}", Value::from(key.as_str()), written(value, dice))
                })
                .collect();
            dice.shuffle(&mut entries);
            format!("{{{}}}", entries.join(", "))
        }
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(|item| written(item, dice)).collect();
            format!("[{}]", items.join(", "))
        }
        other => other.to_string(),
    }
}

/// The same throws for the same seed.
struct Dice(u64);

impl Dice {
    fn below(&mut self, count: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % count
    }

    fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last + 1));
        }
    }
}
