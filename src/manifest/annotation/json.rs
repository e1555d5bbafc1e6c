//! JSON as Go's `encoding/json` reads it, as a tree that keeps what readers usually drop: the order of keys, keys that
//! stand twice, and numbers as they are written.

/// Nesting that a value may have. LBC takes more; nothing that anybody reads is deeper than six.
const DEEPEST: usize = 100;

#[derive(Clone, Debug, PartialEq)]
pub enum Json {
    Null,
    Boolean(bool),
    /// As written: `1e1` and `10` are one number and only one of them is an integer to LBC.
    Number(String),
    Text(String),
    List(Vec<Json>),
    /// In the order of the text, keys that stand twice included.
    Object(Vec<(String, Json)>),
}

impl Json {
    /// What it is, for messages.
    pub fn kind(&self) -> String {
        match self {
            Self::Null => "null".to_owned(),
            Self::Boolean(value) => format!("`{value}`"),
            Self::Number(text) => format!("`{text}`"),
            Self::Text(_) => "text".to_owned(),
            Self::List(_) => "a list".to_owned(),
            Self::Object(_) => "an object".to_owned(),
        }
    }
}

/// Reads the whole text as one value.
///
/// # Errors
/// What was expected, and where.
pub fn parse(text: &str) -> Result<Json, String> {
    let mut parser = Parser { text, at: 0 };
    let value = parser.value(0)?;
    parser.blanks();
    if parser.at < text.len() {
        return Err(parser.expected("nothing more"));
    }
    Ok(value)
}

struct Parser<'a> {
    text: &'a str,
    /// In bytes, always between two characters.
    at: usize,
}

impl Parser<'_> {
    fn rest(&self) -> &str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn expected(&self, what: &str) -> String {
        let before = self.text.get(..self.at).unwrap_or_default();
        let line = before.matches('\n').count() + 1;
        let column = before
            .rsplit('\n')
            .next()
            .unwrap_or_default()
            .chars()
            .count()
            + 1;
        let place = if self.text.trim_end().contains('\n') {
            format!("in its line {line} at character {column}")
        } else {
            format!("at character {column}")
        };
        match self.rest().chars().next() {
            Some(found) => format!(
                "it is JSON, which has {what} {place}, not `{}`",
                found.escape_debug()
            ),
            None => format!("it is JSON, which has {what} at its end"),
        }
    }

    fn blanks(&mut self) {
        let rest = self.rest();
        self.at += rest.len() - rest.trim_start_matches([' ', '\t', '\r', '\n']).len();
    }

    /// Passes the token where it comes next.
    fn pass(&mut self, token: &str) -> bool {
        let comes = self.rest().starts_with(token);
        if comes {
            self.at += token.len();
        }
        comes
    }

    fn value(&mut self, depth: usize) -> Result<Json, String> {
        self.blanks();
        if depth > DEEPEST {
            return Err(format!("it is JSON of up to {DEEPEST} levels"));
        }
        match self.peek() {
            Some(b'{') => self.object(depth),
            Some(b'[') => self.list(depth),
            Some(b'"') => self.string().map(Json::Text),
            Some(b'-' | b'0'..=b'9') => self.number(),
            _ if self.pass("null") => Ok(Json::Null),
            _ if self.pass("true") => Ok(Json::Boolean(true)),
            _ if self.pass("false") => Ok(Json::Boolean(false)),
            _ => Err(self.expected("a value")),
        }
    }

    fn list(&mut self, depth: usize) -> Result<Json, String> {
        self.at += 1;
        let mut items = Vec::new();
        self.blanks();
        if self.pass("]") {
            return Ok(Json::List(items));
        }
        loop {
            items.push(self.value(depth + 1)?);
            self.blanks();
            if self.pass("]") {
                return Ok(Json::List(items));
            }
            if !self.pass(",") {
                return Err(self.expected("`,` or `]`"));
            }
        }
    }

    fn object(&mut self, depth: usize) -> Result<Json, String> {
        self.at += 1;
        let mut entries = Vec::new();
        self.blanks();
        if self.pass("}") {
            return Ok(Json::Object(entries));
        }
        loop {
            self.blanks();
            if self.peek() != Some(b'"') {
                return Err(self.expected("a key in double quotes"));
            }
            let key = self.string()?;
            self.blanks();
            if !self.pass(":") {
                return Err(self.expected("`:`"));
            }
            entries.push((key, self.value(depth + 1)?));
            self.blanks();
            if self.pass("}") {
                return Ok(Json::Object(entries));
            }
            if !self.pass(",") {
                return Err(self.expected("`,` or `}`"));
            }
        }
    }

    /// `-` then `0` or digits without a leading zero, then fraction and exponent.
    fn number(&mut self) -> Result<Json, String> {
        let start = self.at;
        self.pass("-");
        if !self.pass("0") {
            self.digits()?;
        }
        if self.pass(".") {
            self.digits()?;
        }
        if self.pass("e") || self.pass("E") {
            if !self.pass("+") {
                self.pass("-");
            }
            self.digits()?;
        }
        let text = self.text.get(start..self.at).unwrap_or_default();
        Ok(Json::Number(text.to_owned()))
    }

    fn digits(&mut self) -> Result<(), String> {
        let rest = self.rest();
        let count = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        if count == 0 {
            return Err(self.expected("a digit"));
        }
        self.at += count;
        Ok(())
    }

    fn string(&mut self) -> Result<String, String> {
        self.at += 1;
        let mut value = String::new();
        loop {
            match self.rest().chars().next() {
                Some('"') => {
                    self.at += 1;
                    return Ok(value);
                }
                Some('\\') => {
                    self.at += 1;
                    value.push(self.escape()?);
                }
                Some(c) if c >= ' ' => {
                    self.at += c.len_utf8();
                    value.push(c);
                }
                _ => return Err(self.expected("the rest of a text and its `\"`")),
            }
        }
    }

    fn escape(&mut self) -> Result<char, String> {
        let known = [
            ("\"", '"'),
            ("\\", '\\'),
            ("/", '/'),
            ("b", '\u{8}'),
            ("f", '\u{c}'),
            ("n", '\n'),
            ("r", '\r'),
            ("t", '\t'),
        ];
        for (token, c) in known {
            if self.pass(token) {
                return Ok(c);
            }
        }
        if !self.pass("u") {
            return Err(self.expected("a known escape"));
        }
        let first = self.hex()?;
        if !(0xD800..0xDC00).contains(&first) {
            // Go puts the replacement character where half of a pair stands alone.
            return Ok(char::from_u32(first).unwrap_or(char::REPLACEMENT_CHARACTER));
        }
        let behind_first = self.at;
        if self.pass("\\u")
            && let Ok(second) = self.hex()
            && (0xDC00..0xE000).contains(&second)
        {
            let whole = 0x10000 + ((first - 0xD800) << 10) + (second - 0xDC00);
            return Ok(char::from_u32(whole).unwrap_or(char::REPLACEMENT_CHARACTER));
        }
        self.at = behind_first;
        Ok(char::REPLACEMENT_CHARACTER)
    }

    fn hex(&mut self) -> Result<u32, String> {
        let digits = self
            .text
            .get(self.at..self.at + 4)
            .filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()))
            .and_then(|digits| u32::from_str_radix(digits, 16).ok());
        let Some(value) = digits else {
            return Err(self.expected("four hexadecimal digits"));
        };
        self.at += 4;
        Ok(value)
    }
}

#[cfg(test)]
mod tests {
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
}
