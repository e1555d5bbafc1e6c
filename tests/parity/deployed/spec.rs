//! A JSON object of which nothing may be overlooked.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

/// Panics when it goes while one of its keys was never asked for.
pub struct Spec<'a> {
    map: &'a Map<String, Value>,
    seen: BTreeSet<String>,
}

impl<'a> Spec<'a> {
    pub fn new(value: &'a Value) -> Self {
        Self {
            map: value.as_object().unwrap_or_else(|| panic!("{value}")),
            seen: BTreeSet::new(),
        }
    }

    /// It needs no translation.
    pub fn seen(&mut self, key: &str) {
        self.seen.insert(key.to_owned());
    }

    pub fn take(&mut self, key: &str) -> Option<&'a Value> {
        self.seen(key);
        self.map.get(key).filter(|value| !value.is_null())
    }

    pub fn sub(&mut self, key: &str) -> Self {
        Self::new(self.take(key).unwrap_or(&Value::Null))
    }

    /// Absent is empty.
    pub fn list(&mut self, key: &str) -> &'a [Value] {
        self.take(key)
            .map_or(&[], |list| list.as_array().unwrap().as_slice())
    }

    pub fn text(&mut self, key: &str) -> String {
        let text = self.take(key).and_then(Value::as_str);
        text.unwrap_or_else(|| panic!("{key} of {:?}", self.map))
            .to_owned()
    }

    pub fn number<T: TryFrom<i64>>(&mut self, key: &str) -> T {
        let value = self.take(key);
        number(value.unwrap_or_else(|| panic!("{key} of {:?}", self.map)))
    }

    /// A mapping of texts; absent is empty.
    pub fn texts(&mut self, key: &str) -> BTreeMap<String, String> {
        let map = self.take(key).and_then(Value::as_object);
        map.into_iter()
            .flatten()
            .map(|(key, value)| (key.clone(), plain(value)))
            .collect()
    }

    /// A list of keys and values.
    pub fn pairs(&mut self, list: &str, key: &str, value: &str) -> BTreeMap<String, String> {
        let pairs = self.list(list).iter();
        pairs
            .map(|pair| {
                let mut pair = Spec::new(pair);
                (pair.text(key), pair.text(value))
            })
            .collect()
    }
}

impl Drop for Spec<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        let overlooked = self.map.keys().find(|key| !self.seen.contains(*key));
        assert_eq!(overlooked, None, "overlooked in {:?}", self.map);
    }
}

/// A text or a number as text.
pub fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

pub fn number<T: TryFrom<i64>>(value: &Value) -> T {
    let number = value.as_i64().and_then(|number| T::try_from(number).ok());
    number.unwrap_or_else(|| panic!("{value}"))
}
