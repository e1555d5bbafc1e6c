//! JSON with the one check that `serde_json` leaves out: no key twice in one object.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

/// Why a file is not the JSON we take; the message holds no values.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Mistake {
    pub line: u32,
    pub column: u32,
    pub message: String,
}

pub(super) fn parse(bytes: &[u8]) -> Result<Value, Mistake> {
    serde_json::from_slice::<Strict>(bytes)
        .map(|Strict(value)| value)
        .map_err(|error| {
            let number = |count: usize| u32::try_from(count).unwrap_or(u32::MAX).max(1);
            let text = error.to_string();
            // The library adds the place, which we keep apart.
            let message = text
                .rsplit_once(" at line ")
                .map_or(text.as_str(), |(message, _)| message);
            Mistake {
                line: number(error.line()),
                column: number(error.column()),
                message: message.to_owned(),
            }
        })
}

struct Strict(Value);

impl<'de> Deserialize<'de> for Strict {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(StrictVisitor)
    }
}

struct StrictVisitor;

impl<'de> Visitor<'de> for StrictVisitor {
    type Value = Strict;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Strict, E> {
        Ok(Strict(value.into()))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Strict, E> {
        Ok(Strict(value.into()))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Strict, E> {
        Ok(Strict(value.into()))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Strict, E> {
        Ok(Strict(value.into()))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Strict, E> {
        Ok(Strict(value.into()))
    }

    fn visit_unit<E: Error>(self) -> Result<Strict, E> {
        Ok(Strict(Value::Null))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Strict, A::Error> {
        let mut items = Vec::new();
        while let Some(Strict(item)) = access.next_element()? {
            items.push(item);
        }
        Ok(Strict(Value::Array(items)))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Strict, A::Error> {
        let mut map = Map::new();
        while let Some(key) = access.next_key::<String>()? {
            if map.contains_key(&key) {
                return Err(A::Error::custom(format!(
                    "the key \"{key}\" stands twice in one object"
                )));
            }
            let Strict(value) = access.next_value()?;
            map.insert(key, value);
        }
        Ok(Strict(Value::Object(map)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_twice_is_named_with_its_place() {
        assert_eq!(
            parse(b"{\"a\": {\"b\": 1,\n \"b\": 2}}"),
            Err(Mistake {
                line: 2,
                column: 4,
                message: "the key \"b\" stands twice in one object".to_owned(),
            })
        );
    }

    #[test]
    fn trailing_text_is_refused() {
        assert!(parse(b"{} x").is_err());
        assert!(parse(b"").is_err());
        assert_eq!(
            parse(b" {\"a\": [1, null, \"x\"]} "),
            Ok(serde_json::json!({"a": [1, null, "x"]}))
        );
    }
}
