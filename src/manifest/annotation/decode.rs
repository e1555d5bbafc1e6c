//! JSON trees into the shapes that LBC declares, with the rules of Go's `encoding/json` (ingress-model.md §0.3, §15.6).
//!
//! A value is read *into* what is there, as Go does, so that keys that stand twice give what LBC makes of them: the last
//! scalar, objects merged field by field, lists merged element by element. What is hardly meant is noted on the way.

use std::collections::BTreeMap;

use super::json::Json;
use crate::problem::nearest::did_you_mean;

/// A mistake: what stands where, and what should.
pub type Decoded = Result<(), String>;

/// Something that JSON can be read into.
pub trait Decode: Default {
    fn decode(&mut self, json: &Json, to: &mut Decoder) -> Decoded;
}

/// Where the reading is, and what it noticed.
#[derive(Debug, Default)]
pub struct Decoder {
    /// `targetGroups[0].weight`; empty at the top.
    path: String,
    /// What LBC takes without a word: message and hint.
    pub notes: Vec<(String, Option<String>)>,
}

/// Reads a whole text.
///
/// # Errors
/// What was expected.
pub fn from_text<T: Decode>(text: &str, to: &mut Decoder) -> Result<T, String> {
    let json = super::json::parse(text)?;
    let mut value = T::default();
    value.decode(&json, to)?;
    Ok(value)
}

impl Decoder {
    /// The refusal of what stands here.
    fn mismatch(&self, json: &Json, expected: &str) -> Decoded {
        let place = if self.path.is_empty() {
            "it"
        } else {
            &self.path
        };
        Err(format!("{place} is {expected}, not {}", json.kind()))
    }

    fn inside<R>(&mut self, step: &str, work: impl FnOnce(&mut Self) -> R) -> R {
        let length = self.path.len();
        self.path.push_str(step);
        let result = work(self);
        self.path.truncate(length);
        result
    }

    /// Reads the value of one key.
    pub fn field<T: Decode>(&mut self, key: &str, value: &mut T, json: &Json) -> Decoded {
        let dot = if self.path.is_empty() { "" } else { "." };
        self.inside(&format!("{dot}{key}"), |to| value.decode(json, to))
    }

    /// The entries of an object; none for null, which changes nothing. Notes keys that nobody reads or that stand twice.
    pub fn entries<'j>(
        &mut self,
        json: &'j Json,
        known: &[&str],
    ) -> Result<&'j [(String, Json)], String> {
        let entries = match json {
            Json::Object(entries) => entries.as_slice(),
            Json::Null => &[],
            _ => return self.mismatch(json, "an object").map(|()| [].as_slice()),
        };
        let of = if self.path.is_empty() {
            String::new()
        } else {
            format!(" in {}", self.path)
        };
        for (index, (key, _)) in entries.iter().enumerate() {
            if !known.iter().any(|name| is_same_key(name, key)) {
                self.notes.push((
                    format!("nothing reads the key \"{key}\"{of}"),
                    did_you_mean(key, known.iter().copied()),
                ));
            }
            self.note_twice(entries, index, &of, is_same_key);
        }
        Ok(entries)
    }

    fn note_twice(
        &mut self,
        entries: &[(String, Json)],
        index: usize,
        of: &str,
        is_same: fn(&str, &str) -> bool,
    ) {
        let Some((key, _)) = entries.get(index) else {
            return;
        };
        if entries
            .iter()
            .take(index)
            .any(|(other, _)| is_same(other, key))
        {
            self.notes.push((
                format!("the key \"{key}\" stands twice{of}"),
                Some("keep one of them".to_owned()),
            ));
        }
    }
}

/// Go's comparison of keys with the names of a struct's fields: simple folding, which includes two odd letters.
pub fn is_same_key(name: &str, key: &str) -> bool {
    let folded = |c: char| match c {
        '\u{17F}' => 's',
        '\u{212A}' => 'k',
        c => c.to_ascii_lowercase(),
    };
    name.chars().map(folded).eq(key.chars().map(folded))
}

impl Decode for String {
    fn decode(&mut self, json: &Json, to: &mut Decoder) -> Decoded {
        match json {
            Json::Null => Ok(()),
            Json::Text(text) => {
                self.clone_from(text);
                Ok(())
            }
            _ => to.mismatch(json, "text"),
        }
    }
}

impl Decode for bool {
    fn decode(&mut self, json: &Json, to: &mut Decoder) -> Decoded {
        match json {
            Json::Null => Ok(()),
            Json::Boolean(value) => {
                *self = *value;
                Ok(())
            }
            _ => to.mismatch(json, "`true` or `false`"),
        }
    }
}

impl Decode for i32 {
    fn decode(&mut self, json: &Json, to: &mut Decoder) -> Decoded {
        if *json == Json::Null {
            return Ok(());
        }
        // `1e1` and `80.0` are no integers to Go.
        let number = match json {
            Json::Number(text) => text.parse().ok(),
            _ => None,
        };
        match number {
            Some(number) => {
                *self = number;
                Ok(())
            }
            None => to.mismatch(json, "a whole number"),
        }
    }
}

/// A pointer: null takes the value away.
impl<T: Decode> Decode for Option<T> {
    fn decode(&mut self, json: &Json, to: &mut Decoder) -> Decoded {
        if *json == Json::Null {
            *self = None;
            return Ok(());
        }
        self.get_or_insert_default().decode(json, to)
    }
}

/// A slice: of the length of this list, its elements read into those that are there.
impl<T: Decode> Decode for Vec<T> {
    fn decode(&mut self, json: &Json, to: &mut Decoder) -> Decoded {
        let items = match json {
            Json::List(items) => items.as_slice(),
            Json::Null => &[],
            _ => return to.mismatch(json, "a list"),
        };
        self.resize_with(items.len(), T::default);
        for (index, (value, item)) in self.iter_mut().zip(items).enumerate() {
            to.inside(&format!("[{index}]"), |to| value.decode(item, to))?;
        }
        Ok(())
    }
}

/// A map: keys as they are; each value is read afresh, null is the zero value.
impl<T: Decode> Decode for BTreeMap<String, T> {
    fn decode(&mut self, json: &Json, to: &mut Decoder) -> Decoded {
        let entries = match json {
            Json::Object(entries) => entries,
            Json::Null => {
                self.clear();
                return Ok(());
            }
            _ => return to.mismatch(json, "an object"),
        };
        let of = if to.path.is_empty() {
            String::new()
        } else {
            format!(" in {}", to.path)
        };
        for (index, (key, json)) in entries.iter().enumerate() {
            to.note_twice(entries, index, &of, |a, b| a == b);
            let mut value = T::default();
            to.field(key, &mut value, json)?;
            self.insert(key.clone(), value);
        }
        Ok(())
    }
}

/// A struct as LBC declares it: fields with their keys.
macro_rules! structure {
    ($(#[$doc:meta])* $name:ident { $($field:ident: $kind:ty = $key:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, Default, PartialEq)]
        struct $name {
            $($field: $kind),+
        }

        impl $crate::manifest::annotation::decode::Decode for $name {
            fn decode(
                &mut self,
                json: &$crate::manifest::annotation::json::Json,
                to: &mut $crate::manifest::annotation::decode::Decoder,
            ) -> $crate::manifest::annotation::decode::Decoded {
                for (key, value) in to.entries(json, &[$($key),+])? {
                    $(if $crate::manifest::annotation::decode::is_same_key($key, key) {
                        to.field($key, &mut self.$field, value)?;
                    })+
                }
                Ok(())
            }
        }
    };
}
pub(super) use structure;

#[cfg(test)]
mod tests {
    use super::*;

    structure!(Inner { text: String = "text", number: Option<i32> = "number" });
    structure!(Outer {
        one: Option<Inner> = "one",
        plain: Inner = "plain",
        many: Vec<Inner> = "many",
        map: BTreeMap<String, i32> = "map",
        flag: Option<bool> = "flag",
    });

    fn read(text: &str) -> Result<Outer, String> {
        from_text(text, &mut Decoder::default())
    }

    fn inner(text: &str, number: Option<i32>) -> Inner {
        Inner {
            text: text.to_owned(),
            number,
        }
    }

    #[test]
    fn keys_fold_and_null_is_nothing() {
        let outer =
            read(r#"{"ONE": {"Text": "a"}, "plain": null, "flag": null, "map": {"A": null}}"#)
                .unwrap();
        assert_eq!(outer.one, Some(inner("a", None)));
        assert_eq!((outer.plain, outer.flag), (Inner::default(), None));
        assert_eq!(outer.map.get("A"), Some(&0));
        assert!(is_same_key("task", "taſK") && !is_same_key("a", "ab"));
    }

    #[test]
    fn what_stands_twice_merges_as_in_go() {
        let outer = read(
            r#"{"one": {"text": "a", "number": 1}, "one": {"text": "b"},
                "plain": {"text": "a"}, "plain": {"text": null, "number": 2},
                "many": [{"text": "a", "number": 1}, {"text": "b"}], "many": [{"text": "c"}],
                "map": {"a": 1}, "map": {"b": 2}}"#,
        )
        .unwrap();
        assert_eq!(outer.one, Some(inner("b", Some(1))));
        assert_eq!(outer.plain, inner("a", Some(2)));
        assert_eq!(outer.many, [inner("c", Some(1))]);
        assert_eq!(outer.map.len(), 2);
        let outer = read(r#"{"one": {"number": 1}, "one": null, "one": {"text": "b"}}"#).unwrap();
        assert_eq!(outer.one, Some(inner("b", None)));
    }

    #[test]
    fn the_wrong_kind_is_named_with_its_path() {
        let table = [
            ("[]", "it is an object, not a list"),
            (r#"{"one": 1}"#, "one is an object, not `1`"),
            (
                r#"{"many": [null, {"text": 1}]}"#,
                "many[1].text is text, not `1`",
            ),
            (r#"{"many": {}}"#, "many is a list, not an object"),
            (
                r#"{"map": {"a": "1"}}"#,
                "map.a is a whole number, not text",
            ),
            (
                r#"{"map": {"a": 1e1}}"#,
                "map.a is a whole number, not `1e1`",
            ),
            (
                r#"{"map": {"a": 80.0}}"#,
                "map.a is a whole number, not `80.0`",
            ),
            (
                r#"{"map": {"a": 2147483648}}"#,
                "map.a is a whole number, not `2147483648`",
            ),
            (r#"{"flag": "true"}"#, "flag is `true` or `false`, not text"),
        ];
        for (text, wanted) in table {
            assert_eq!(read(text), Err(wanted.to_owned()), "{text}");
        }
    }

    #[test]
    fn what_is_hardly_meant_is_noted() {
        let mut to = Decoder::default();
        let text = r#"{"ones": {}, "many": [{"text": "a", "Text": "b"}], "map": {"a": 1, "a": 2}}"#;
        from_text::<Outer>(text, &mut to).unwrap();
        let hint = |text: &str| Some(text.to_owned());
        assert_eq!(
            to.notes,
            [
                (
                    "nothing reads the key \"ones\"".to_owned(),
                    hint("did you mean \"one\"?")
                ),
                (
                    "the key \"Text\" stands twice in many[0]".to_owned(),
                    hint("keep one of them")
                ),
                (
                    "the key \"a\" stands twice in map".to_owned(),
                    hint("keep one of them")
                ),
            ]
        );
    }
}
