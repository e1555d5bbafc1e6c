//! Events to raw documents: structure, places, duplicate keys, budgets.

use std::{collections::BTreeMap, rc::Rc};

use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, Span, Tag};

use super::{Limits, Mark, number};
use crate::problem::{Origin, Problem, codes};

/// One document as written, aliases expanded; what an alias names is shared, not copied.
#[derive(Debug)]
pub(super) struct Raw {
    pub mark: Mark,
    pub content: Content,
    /// Nodes in it, itself included.
    size: usize,
    /// Bytes of text in it.
    bytes: usize,
    /// Levels in it, itself included.
    depth: usize,
}

#[derive(Debug)]
pub(super) enum Content {
    /// `plain`: neither quoted nor a block, nor forced to text by a tag.
    Scalar {
        text: String,
        plain: bool,
    },
    /// In the order of the file.
    Map(Vec<(RawKey, Rc<Raw>)>),
    List(Vec<Rc<Raw>>),
}

#[derive(Clone, Debug)]
pub(super) struct RawKey {
    pub mark: Mark,
    /// As JSON will have it.
    pub text: String,
    /// A plain `<<`, YAML 1.1's merge key.
    pub merges: bool,
}

/// Reads the file's documents; stops at the first mistake that leaves no structure to go on with.
pub(super) fn documents(
    file: &str,
    text: &str,
    limits: &Limits,
    problems: &mut Vec<Problem>,
) -> Vec<Rc<Raw>> {
    let end = End::of(text);
    let mut loader = Loader {
        file,
        end,
        limits,
        problems,
        documents: Vec::new(),
        open: Vec::new(),
        anchors: BTreeMap::new(),
        expanded: 0,
        expanded_bytes: 0,
        root: None,
    };
    for event in Parser::new_from_str(text) {
        let stop = match event {
            Ok((event, span)) => loader.take(event, span).err(),
            Err(error) => Some(Box::new(syntax(file, text, end, &error))),
        };
        if let Some(problem) = stop {
            loader.problems.push(*problem);
            break;
        }
    }
    loader.documents
}

struct Loader<'a> {
    file: &'a str,
    end: End,
    limits: &'a Limits,
    problems: &'a mut Vec<Problem>,
    documents: Vec<Rc<Raw>>,
    open: Vec<Open>,
    /// Complete anchored nodes by the parser's number.
    anchors: BTreeMap<usize, Rc<Raw>>,
    expanded: usize,
    expanded_bytes: usize,
    root: Option<Rc<Raw>>,
}

/// A collection that has begun and not ended.
struct Open {
    mark: Mark,
    anchor: usize,
    size: usize,
    bytes: usize,
    depth: usize,
    content: OpenContent,
}

enum OpenContent {
    Map {
        entries: Vec<(RawKey, Rc<Raw>)>,
        seen: BTreeMap<String, Mark>,
        key: Option<RawKey>,
    },
    List(Vec<Rc<Raw>>),
}

impl Loader<'_> {
    /// Takes one event. An error ends the file.
    fn take(&mut self, event: Event<'_>, span: Span) -> Result<(), Box<Problem>> {
        let mark = self.end.mark(span.start.line(), span.start.col() + 1);
        match event {
            Event::Nothing | Event::StreamStart | Event::StreamEnd => Ok(()),
            Event::DocumentStart(_) => {
                if self.documents.len() >= self.limits.documents {
                    return Err(self.limit(
                        mark,
                        format!("more than {} documents in one file", self.limits.documents),
                    ));
                }
                self.anchors.clear();
                self.root = None;
                Ok(())
            }
            Event::DocumentEnd => {
                if let Some(root) = self.root.take() {
                    self.documents.push(root);
                }
                Ok(())
            }
            Event::Alias(id) => {
                let Some(target) = self.anchors.get(&id) else {
                    return Err(self.problem(
                        codes::YAML_SYNTAX,
                        mark,
                        "an alias names an anchor that is not complete here",
                    ));
                };
                self.expanded = self.expanded.saturating_add(target.size);
                if self.expanded > self.limits.alias_nodes {
                    return Err(self.limit(
                        mark,
                        format!(
                            "aliases expand to more than {} nodes",
                            self.limits.alias_nodes
                        ),
                    ));
                }
                // One long text, named ten thousand times, is a bomb of few nodes.
                self.expanded_bytes = self.expanded_bytes.saturating_add(target.bytes);
                if self.expanded_bytes > self.limits.bytes {
                    return Err(self.limit(
                        mark,
                        format!("aliases expand to more than {} bytes", self.limits.bytes),
                    ));
                }
                let target = Rc::clone(target);
                self.put(target, mark)
            }
            Event::Scalar(text, style, anchor, tag) => {
                let forced = self.tag(tag.as_deref(), "str", mark)?;
                let node = Rc::new(Raw {
                    mark,
                    bytes: text.len(),
                    content: Content::Scalar {
                        text: text.into_owned(),
                        plain: style == ScalarStyle::Plain && !forced,
                    },
                    size: 1,
                    depth: 1,
                });
                self.anchor(anchor, &node);
                self.put(node, mark)
            }
            Event::SequenceStart(anchor, tag) => {
                self.tag(tag.as_deref(), "seq", mark)?;
                self.begin(mark, anchor, OpenContent::List(Vec::new()))
            }
            Event::MappingStart(anchor, tag) => {
                self.tag(tag.as_deref(), "map", mark)?;
                let content = OpenContent::Map {
                    entries: Vec::new(),
                    seen: BTreeMap::new(),
                    key: None,
                };
                self.begin(mark, anchor, content)
            }
            Event::SequenceEnd | Event::MappingEnd => self.end(mark),
        }
    }

    fn begin(
        &mut self,
        mark: Mark,
        anchor: usize,
        content: OpenContent,
    ) -> Result<(), Box<Problem>> {
        if self.open.len() >= self.limits.depth {
            return Err(self.limit(
                mark,
                format!("nested deeper than {} levels", self.limits.depth),
            ));
        }
        self.open.push(Open {
            mark,
            anchor,
            size: 1,
            bytes: 0,
            depth: 1,
            content,
        });
        Ok(())
    }

    fn end(&mut self, mark: Mark) -> Result<(), Box<Problem>> {
        let Some(open) = self.open.pop() else {
            return Err(self.problem(
                codes::YAML_SYNTAX,
                mark,
                "a collection ends here that never began",
            ));
        };
        let content = match open.content {
            OpenContent::Map { entries, .. } => Content::Map(entries),
            OpenContent::List(items) => Content::List(items),
        };
        let node = Rc::new(Raw {
            mark: open.mark,
            content,
            size: open.size,
            bytes: open.bytes,
            depth: open.depth,
        });
        self.anchor(open.anchor, &node);
        let at = node.mark;
        self.put(node, at)
    }

    fn anchor(&mut self, anchor: usize, node: &Rc<Raw>) {
        if anchor > 0 {
            self.anchors.insert(anchor, Rc::clone(node));
        }
    }

    /// Puts a complete node where it belongs. `at` is where it stands in the text, which for an alias is not where it
    /// was written.
    fn put(&mut self, node: Rc<Raw>, at: Mark) -> Result<(), Box<Problem>> {
        if self.open.len() + node.depth > self.limits.depth + 1 {
            return Err(self.limit(
                at,
                format!("nested deeper than {} levels", self.limits.depth),
            ));
        }
        let Some(open) = self.open.last_mut() else {
            self.root = Some(node);
            return Ok(());
        };
        open.size = open.size.saturating_add(node.size);
        open.bytes = open.bytes.saturating_add(node.bytes);
        open.depth = open.depth.max(node.depth + 1);
        match &mut open.content {
            OpenContent::List(items) => items.push(node),
            OpenContent::Map { entries, seen, key } => {
                if let Some(key) = key.take() {
                    entries.push((key, node));
                    return Ok(());
                }
                if seen.len() >= self.limits.keys_per_map {
                    return Err(self.limit(
                        at,
                        format!("more than {} keys in one mapping", self.limits.keys_per_map),
                    ));
                }
                let found = match raw_key(&node, at) {
                    Ok(found) => found,
                    Err((message, hint)) => {
                        let problem = Problem::new(codes::YAML_KEY, origin(self.file, at), message)
                            .hint(hint);
                        self.problems.push(problem);
                        // Goes on with a name that no field has, so that the rest of the file is still looked at.
                        RawKey {
                            mark: at,
                            text: format!("\u{0}{}", seen.len()),
                            merges: false,
                        }
                    }
                };
                if let Some(first) = seen.get(&found.text) {
                    let problem = Problem::new(
                        codes::YAML_DUPLICATE_KEY,
                        origin(self.file, at),
                        format!("the key \"{}\" stands twice in one mapping", found.text),
                    )
                    .hint("keep one of them; is a `---` missing?")
                    .also(origin(self.file, *first));
                    self.problems.push(problem);
                } else {
                    seen.insert(found.text.clone(), at);
                }
                *key = Some(found);
            }
        }
        Ok(())
    }

    /// Whether the tag forces text; tags that mean anything else are refused, since readers differ on them.
    fn tag(&mut self, tag: Option<&Tag>, expected: &str, mark: Mark) -> Result<bool, Box<Problem>> {
        match tag {
            None => Ok(false),
            Some(tag) if tag.is_yaml_core_schema() && tag.suffix == expected => Ok(true),
            Some(_) => {
                let message = "an explicit tag that is not read here";
                let problem = Problem::new(codes::YAML_TAG, origin(self.file, mark), message)
                    .hint("write the value without a tag; only !!str, !!map and !!seq are read");
                Err(Box::new(problem))
            }
        }
    }

    fn limit(&self, mark: Mark, message: String) -> Box<Problem> {
        Box::new(Problem::new(
            codes::YAML_LIMIT,
            origin(self.file, mark),
            message,
        ))
    }

    fn problem(&self, code: &str, mark: Mark, message: &str) -> Box<Problem> {
        Box::new(Problem::new(code, origin(self.file, mark), message))
    }
}

/// The node as a key: text, or a whole number that every reader sees alike.
fn raw_key(node: &Raw, at: Mark) -> Result<RawKey, (&'static str, &'static str)> {
    let Content::Scalar { text, plain } = &node.content else {
        return Err((
            "a mapping's key is a mapping or a list",
            "keys are text; templates such as {{ x }} are not run here",
        ));
    };
    let is_text = !plain
        || match super::scalar::resolve(text) {
            Some(serde_json::Value::String(_)) => true,
            Some(serde_json::Value::Number(number)) => number.to_string() == *text,
            _ => false,
        };
    if !is_text || (*plain && super::scalar::is_ambiguous(text)) {
        return Err((
            "a mapping's key is not read as the text that is written",
            "put it in quotes",
        ));
    }
    Ok(RawKey {
        mark: at,
        text: text.clone(),
        merges: *plain && text == "<<",
    })
}

pub(super) fn origin(file: &str, mark: Mark) -> Origin {
    Origin::new(file, mark.line, mark.column)
}

/// Where a text ends: its last line, and the column right behind it.
#[derive(Clone, Copy, Debug)]
pub(super) struct End(Mark);

impl End {
    pub fn of(text: &str) -> Self {
        let lines = text.split('\n').flat_map(parts_at_returns);
        let (count, last) = lines.fold((0, ""), |(count, _), line| (count + 1, line));
        Self(Mark {
            line: number(count),
            column: number(last.chars().count() + 1),
        })
    }

    /// The place that a reader names, both counted from 1. At the end of a text whose last line is not ended, readers
    /// name the line after it, which nobody can go to: then the end of the last line is meant.
    pub fn mark(self, line: usize, column: usize) -> Mark {
        let line = number(line.max(1));
        if line > self.0.line {
            return self.0;
        }
        Mark {
            line,
            column: number(column.max(1)),
        }
    }
}

/// A carriage return alone ends a line too (YAML 1.2 §5.4).
fn parts_at_returns(line: &str) -> impl Iterator<Item = &str> {
    line.strip_suffix('\r').unwrap_or(line).split('\r')
}

/// What the scanner says, and where it is a tab: that.
fn syntax(file: &str, text: &str, end: End, error: &ScanError) -> Problem {
    let line = error.marker().line();
    let at = origin(file, end.mark(line, error.marker().col() + 1));
    // The scanner has a limit of its own and looks ahead, so it may come first.
    if error.info().contains("recursion limit") {
        return Problem::new(codes::YAML_LIMIT, at, "nested too deep");
    }
    let column = error.marker().col();
    tab(file, text, line)
        .or_else(|| tab_at(file, text, line, column))
        .unwrap_or_else(|| {
            let message = format!("this is not YAML: {}", error.info());
            let problem = Problem::new(codes::YAML_SYNTAX, at, message);
            if error.info().contains("indentation") {
                problem.hint("indent it deeper than the key that it belongs to")
            } else {
                problem
            }
        })
}

/// A problem for the tab in the indentation of that line or the next, if there is one: readers stop at what comes
/// before it.
pub(super) fn tab(file: &str, text: &str, line: usize) -> Option<Problem> {
    let mut lines = (line..).zip(text.lines().skip(line.checked_sub(1)?).take(2));
    lines.find_map(|(line, content)| {
        let indentation = content
            .chars()
            .take_while(|c| matches!(c, ' ' | '\t'))
            .position(|c| c == '\t')?;
        let at = Origin::new(file, number(line), number(indentation + 1));
        Some(Problem::new(codes::YAML_TAB, at, "a tab in the indentation").hint("indent by spaces"))
    })
}

/// A problem for a tab at that column (from 0) or shortly before it: between a key and its value it does not count as a
/// blank for every reader.
fn tab_at(file: &str, text: &str, line: usize, column: usize) -> Option<Problem> {
    let content = text.lines().nth(line.checked_sub(1)?)?;
    let first = column.saturating_sub(2);
    let (at, _) = content
        .chars()
        .enumerate()
        .skip(first)
        .take(column - first + 1)
        .find(|(_, c)| *c == '\t')?;
    let at = Origin::new(file, number(line), number(at + 1));
    let message = "a tab where YAML wants a space";
    Some(Problem::new(codes::YAML_TAB, at, message).hint("write a space"))
}
