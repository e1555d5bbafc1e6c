//! Plain block YAML in one go: what nearly all manifests are written in, read without the two libraries.
//!
//! It knows a small part of YAML and nothing of its mistakes: whatever is not in that part, or might be read in more than
//! one way, is left to the libraries, which are the measure of it (the tests compare). In that part are block mappings and
//! block lists indented by blanks, keys of plain letters, scalars of one line that are plain or quoted without escapes,
//! empty `{}` and `[]`, comments, and documents between `---`.

use std::{collections::BTreeMap, sync::Arc};

use serde_json::{Map, Value};

use super::{Inner, Limits, Mark, Place, Tree, scalar};

/// Deeper nesting is left to the libraries, which know the limits.
const MAX_DEPTH: usize = 32;
/// Longer keys are not looked for on one line by every reader.
const MAX_KEY: usize = 256;

/// The documents of a text, or none where it goes beyond the part that is known here.
pub(super) fn documents(file: &str, text: &str, limits: &Limits) -> Option<Vec<Tree>> {
    // Blanks and line feeds are the only white space, and a column is a byte.
    if !text
        .bytes()
        .all(|byte| byte == b'\n' || (b' '..=b'~').contains(&byte))
    {
        return None;
    }
    let shared: Arc<str> = file.into();
    let mut reader = Reader {
        rest: text,
        number: 0,
        line: None,
        depth: 0,
        limits,
    };
    reader.advance()?;
    let mut trees = Vec::new();
    loop {
        if let Some(line) = reader.line
            && line.is_boundary()
        {
            reader.advance()?;
        }
        // An empty document is none to some readers.
        let line = reader.line?;
        if line.is_boundary() || line.indent > 0 || trees.len() >= limits.documents {
            return None;
        }
        let (value, root) = reader.block()?;
        trees.push(Tree {
            value,
            file: Arc::clone(&shared),
            root,
        });
        match reader.line {
            None => return Some(trees),
            Some(line) if line.is_boundary() => {}
            Some(_) => return None,
        }
    }
}

/// A line that holds something, or what is left of it behind a `- `.
#[derive(Clone, Copy)]
struct Line<'t> {
    number: u32,
    indent: usize,
    /// Without blanks before and behind it.
    content: &'t str,
}

impl Line<'_> {
    fn is_boundary(&self) -> bool {
        self.indent == 0 && self.content == "---"
    }

    fn is_item(&self) -> bool {
        self.content.starts_with("- ")
    }

    fn mark(&self) -> Mark {
        self.mark_at(self.indent)
    }

    fn mark_at(&self, offset: usize) -> Mark {
        Mark {
            line: self.number,
            column: super::number(offset + 1),
        }
    }
}

struct Reader<'t, 'l> {
    rest: &'t str,
    /// Of the line before `rest`.
    number: u32,
    line: Option<Line<'t>>,
    depth: usize,
    limits: &'l Limits,
}

impl<'t> Reader<'t, '_> {
    /// On to the next line that holds something.
    fn advance(&mut self) -> Option<()> {
        self.line = None;
        while !self.rest.is_empty() {
            let (line, rest) = self.rest.split_once('\n').unwrap_or((self.rest, ""));
            self.rest = rest;
            self.number = self.number.checked_add(1)?;
            let content = line.trim_start_matches(' ');
            if content.is_empty() || content.starts_with('#') {
                continue;
            }
            let line = Line {
                number: self.number,
                indent: line.len() - content.len(),
                content: content.trim_end_matches(' '),
            };
            // The end of a document, a directive, and what begins on the line of a document's start.
            let is_strange = |start: &str| line.content.starts_with(start);
            if line.indent == 0
                && !line.is_boundary()
                && ["---", "...", "%"].into_iter().any(is_strange)
            {
                return None;
            }
            self.line = Some(line);
            break;
        }
        Some(())
    }

    /// The mapping or list that begins at the line.
    fn block(&mut self) -> Option<(Value, Place)> {
        self.depth += 1;
        if self.depth >= MAX_DEPTH.min(self.limits.depth) {
            return None;
        }
        let line = self.line?;
        let read = if line.is_item() {
            self.list(line)
        } else {
            self.map(line)
        };
        self.depth -= 1;
        read
    }

    fn map(&mut self, first: Line<'t>) -> Option<(Value, Place)> {
        let mut values = Map::new();
        let mut places = BTreeMap::new();
        while let Some(line) = self.line {
            if line.indent < first.indent || line.is_boundary() {
                break;
            }
            if line.indent > first.indent || values.len() >= self.limits.keys_per_map {
                return None;
            }
            let key = key_of(line.content)?;
            let behind = &line.content[key.len() + 1..];
            let text = behind.trim_start_matches(' ');
            let (value, place) = if text.is_empty() || text.starts_with('#') {
                self.advance()?;
                let next = self.line?;
                // A list may stand below its key without being indented; then its place is that of its first item.
                // Nothing at all is null, which is left to the libraries.
                let is_beside = next.indent == first.indent && next.is_item();
                if next.indent <= first.indent && !is_beside {
                    return None;
                }
                let (value, mut place) = self.block()?;
                if let (true, Inner::List(items)) = (is_beside, &place.inner) {
                    place.mark = items.first()?.mark;
                }
                (value, place)
            } else {
                let offset = line.indent + line.content.len() - text.len();
                let read = leaf(text, line.mark_at(offset))?;
                self.advance()?;
                read
            };
            places.insert(key.to_owned(), (line.mark(), place));
            if values.insert(key.to_owned(), value).is_some() {
                return None;
            }
        }
        let place = Place {
            mark: first.mark(),
            ambiguous: None,
            inner: Inner::Map(places),
        };
        Some((Value::Object(values), place))
    }

    fn list(&mut self, first: Line<'t>) -> Option<(Value, Place)> {
        let (mut values, mut places) = (Vec::new(), Vec::new());
        while let Some(line) = self.line {
            if line.indent < first.indent || line.is_boundary() {
                break;
            }
            if line.indent > first.indent {
                return None;
            }
            if !line.is_item() {
                // A key of the mapping that the list is in, which stands as far to the left.
                break;
            }
            let content = line.content[1..].trim_start_matches(' ');
            if content.starts_with('#') {
                return None;
            }
            let inner = Line {
                number: line.number,
                indent: line.indent + line.content.len() - content.len(),
                content,
            };
            let (value, place) = if inner.is_item() || key_of(content).is_some() {
                self.line = Some(inner);
                self.block()?
            } else {
                let read = leaf(content, inner.mark())?;
                self.advance()?;
                read
            };
            values.push(value);
            places.push(place);
        }
        let place = Place {
            mark: first.mark(),
            ambiguous: None,
            inner: Inner::List(places),
        };
        Some((Value::Array(values), place))
    }
}

/// The plain key that a line begins with, a colon and a blank or nothing behind it.
fn key_of(content: &str) -> Option<&str> {
    let is_inner = |byte: &u8| byte.is_ascii_alphanumeric() || b"_./-".contains(byte);
    let length = content.bytes().take_while(|byte| is_inner(byte)).count();
    let (key, rest) = content.split_at(length);
    let behind = rest.strip_prefix(':')?;
    let is_key = key.starts_with(|c: char| c.is_ascii_alphabetic())
        && key.len() <= MAX_KEY
        && (behind.is_empty() || behind.starts_with(' '))
        && !is_word(key);
    is_key.then_some(key)
}

/// Whether a text that begins with a letter is not read as that text, or not by everybody.
fn is_word(text: &str) -> bool {
    // The longest is `false`.
    text.len() <= 5
        && (scalar::is_ambiguous(text) || !matches!(scalar::resolve(text), Some(Value::String(_))))
}

/// What one line holds behind a key or a `- `.
fn leaf(text: &str, mark: Mark) -> Option<(Value, Place)> {
    let place = |ambiguous, inner| Place {
        mark,
        ambiguous,
        inner,
    };
    let first = text.bytes().next()?;
    if matches!(first, b'"' | b'\'') {
        let (inside, behind) = text[1..].split_once(char::from(first))?;
        if inside.contains('\\') || !is_end(behind) {
            return None;
        }
        return Some((Value::String(inside.to_owned()), place(None, Inner::Leaf)));
    }
    let text = match text.find(" #") {
        Some(end) => text[..end].trim_end_matches(' '),
        None => text,
    };
    match text {
        "[]" => {
            return Some((
                Value::Array(Vec::new()),
                place(None, Inner::List(Vec::new())),
            ));
        }
        "{}" => {
            return Some((
                Value::Object(Map::new()),
                place(None, Inner::Map(BTreeMap::new())),
            ));
        }
        _ => {}
    }
    if text.contains(": ") || text.ends_with(':') {
        return None;
    }
    if first.is_ascii_alphabetic() || matches!(first, b'/' | b'_' | b'$' | b'^' | b'(') {
        if !is_word(text) {
            return Some((Value::String(text.to_owned()), place(None, Inner::Leaf)));
        }
        let ambiguous = scalar::is_ambiguous(text).then(|| text.to_owned());
        return Some((scalar::resolve(text)?, place(ambiguous, Inner::Leaf)));
    }
    if !first.is_ascii_digit() {
        return None;
    }
    // Numbers of other forms, and what might be one that is too large for somebody, are left to the libraries.
    let is_whole = text.bytes().all(|byte| byte.is_ascii_digit());
    if is_whole && text.len() <= 15 && (text.len() == 1 || first != b'0') {
        return Some((scalar::resolve(text)?, place(None, Inner::Leaf)));
    }
    let value = scalar::resolve(text)?;
    if is_whole || text.len() > 15 && text.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return None;
    }
    let ambiguous = scalar::is_ambiguous(text).then(|| text.to_owned());
    value
        .is_string()
        .then(|| (value, place(ambiguous, Inner::Leaf)))
}

/// Whether nothing but a comment stands behind a quoted text.
fn is_end(behind: &str) -> bool {
    let rest = behind.trim_start_matches(' ');
    rest.is_empty() || (rest.starts_with('#') && rest.len() < behind.len())
}
