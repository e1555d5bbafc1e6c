//! JSON as Go's `encoding/json` reads it, as a tree that keeps what readers usually drop: the order of keys, keys that
//! stand twice, and numbers as they are written.

#[cfg(test)]
mod tests;

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
