//! One annotation being read: its grammar turned into a value, or into the problem that asking for it will find.

use std::collections::BTreeMap;

use super::{
    Annotation, Given, Grammar, Setting, attribute,
    decode::{self, Decode, Decoder},
    grammar,
    options::{Map, Written},
};
use crate::{
    manifest::{Checks, field::Report},
    problem::{Problem, codes},
};

/// AWS's limit of fifty, less the tracking tags that every resource gets.
const MAX_TAGS: usize = 47;
/// How much of a value messages repeat.
const SHOWN: usize = 120;

pub(super) struct Reading<'a> {
    pub given: &'a Given,
    pub row: &'static Annotation,
    /// What follows the part of the name that a family shares.
    pub free_name: &'a str,
    pub report: &'a mut Report,
}

/// A parsed setting; where its value is bad, the reason is kept in it, and reported too unless LBC's ways are asked for.
pub(super) type Read<T> = Option<Setting<T>>;

impl Reading<'_> {
    pub fn value(&self) -> &str {
        &self.given.value.value
    }

    /// The whole value, as it is.
    pub fn text(&mut self) -> Read<String> {
        self.setting(|text, _| Ok(text.to_owned()))
    }

    pub fn boolean(&mut self) -> Read<bool> {
        self.setting(|text, _| grammar::boolean(text))
    }

    pub fn list(&mut self) -> Read<Vec<String>> {
        self.setting(|text, _| Ok(grammar::string_list(text)))
    }

    /// One of the words of the row's grammar, exactly.
    pub fn word<T>(&mut self, from_word: fn(&str) -> Option<T>) -> Read<T> {
        let words = match self.row.grammar {
            Grammar::OneOf(words) => words,
            _ => &[],
        };
        self.setting(|text, _| from_word(text).ok_or_else(|| one_of(words)))
    }

    /// Pairs; of a key that stands twice the last, as LBC has it.
    pub fn map(&mut self) -> Read<Map> {
        self.setting(|text, notes| {
            let mut map = BTreeMap::new();
            for (key, value) in grammar::string_map(text)? {
                if map.insert(key.clone(), value).is_some() {
                    notes.push((
                        format!("names \"{key}\" twice"),
                        Some("keep one of them".to_owned()),
                    ));
                }
            }
            Ok(map)
        })
    }

    /// Puts a member of a family under its free name.
    pub fn keep<T>(
        &mut self,
        family: &mut BTreeMap<String, Setting<T>>,
        read: impl FnOnce(&mut Self) -> Read<T>,
    ) {
        if let Some(setting) = read(self) {
            family.insert(self.free_name.to_owned(), setting);
        }
    }

    /// JSON of a shape of LBC's, then the rules that LBC has for it.
    pub fn json<T: Decode, V>(
        &mut self,
        check: impl FnOnce(T, &mut Notes) -> Result<V, String>,
    ) -> Read<V> {
        self.setting(|text, notes| {
            let mut to = Decoder::default();
            let shape = decode::from_text(text, &mut to)?;
            notes.extend(
                to.notes
                    .into_iter()
                    .map(|(message, hint)| (format!("holds JSON in which {message}"), hint)),
            );
            check(shape, notes)
        })
    }

    /// Any other grammar: the value or what was expected.
    pub fn setting<T>(
        &mut self,
        read: impl FnOnce(&str, &mut Notes) -> Result<T, String>,
    ) -> Read<T> {
        let mut notes = Vec::new();
        let value = read(&self.given.value.value, &mut notes).map_err(|expected| {
            let mut problem = self.problem(codes::BAD_ANNOTATION, self.refusal());
            problem.hint = Some(expected);
            Box::new(problem)
        });
        for (message, hint) in notes {
            let message = format!("the annotation {} {message}", self.given.key);
            let mut problem = self.problem(codes::ODD_ANNOTATION, message);
            problem.hint = hint;
            self.report.add(problem);
        }
        if let Err(problem) = &value
            && self.report.checks == Checks::Strict
        {
            self.report.add((**problem).clone());
        }
        let written = Written {
            origin: self.given.value.origin.clone(),
            text: self.given.value.value.clone(),
            value,
        };
        Some(written.into())
    }

    /// `the annotation X cannot be "V"`.
    pub fn refusal(&self) -> String {
        let text = self.value();
        let end = text.char_indices().nth(SHOWN).map(|(at, _)| at);
        let shown = match end.and_then(|end| text.get(..end)) {
            Some(start) => format!("{start}…"),
            None => text.to_owned(),
        };
        format!(
            "the annotation {} cannot be \"{}\"",
            self.given.key,
            shown.trim_end().replace('\n', " ")
        )
    }

    fn problem(&self, code: &str, message: String) -> Problem {
        let mut problem = Problem::new(code, self.given.value.origin.clone(), message);
        problem.object.clone_from(&self.report.object);
        problem
    }

    /// What is wrong with a part of the value.
    fn within(&self, message: &str) -> String {
        format!("in the annotation {}, {message}", self.given.key)
    }

    /// Reports what LBC takes and AWS does not, or what is hardly meant.
    pub fn beyond(&mut self, code: &str, message: String, hint: Option<String>) {
        let mut problem = self.problem(code, message);
        problem.hint = hint;
        self.report.add(problem);
    }
}

/// What LBC takes without a word, said behind "the annotation X", with a hint.
pub(super) type Notes = Vec<(String, Option<String>)>;

/// `it is a or b`, `it is a, b or c`.
fn one_of(words: &[&str]) -> String {
    match words.split_last() {
        Some((last, [])) => format!("it is {last}"),
        Some((last, others)) => format!("it is {} or {last}", others.join(", ")),
        None => String::new(),
    }
}

/// `load-balancer-attributes`, with ELBv2's own limits.
pub(super) fn load_balancer_attributes(it: &mut Reading<'_>) -> Read<Map> {
    let setting = it.map();
    let Some(map) = setting.as_ref().and_then(Setting::good) else {
        return setting;
    };
    known_attributes(it, map, attribute::check_load_balancer);
    for log in ["access_logs", "connection_logs", "health_check_logs"] {
        let of = |key: &str| map.get(&format!("{log}.s3.{key}")).map(String::as_str);
        if of("enabled") == Some("true") && of("bucket").is_none_or(str::is_empty) {
            it.beyond(
                codes::BAD_ATTRIBUTE,
                it.within(&format!("{log}.s3.enabled needs a bucket")),
                Some(format!("add {log}.s3.bucket")),
            );
        }
    }
    setting
}

/// `target-group-attributes`, with ELBv2's own limits.
pub(super) fn target_group_attributes(it: &mut Reading<'_>) -> Read<Map> {
    let setting = it.map();
    if let Some(map) = setting.as_ref().and_then(Setting::good) {
        known_attributes(it, map, attribute::check_target_group);
    }
    setting
}

/// `listener-attributes.<PROTOCOL>-<PORT>`, with ELBv2's own limits.
pub(super) fn listener_attributes(it: &mut Reading<'_>) -> Read<Map> {
    let setting = it.map();
    if let Some(map) = setting.as_ref().and_then(Setting::good) {
        known_attributes(it, map, attribute::check_listener);
    }
    setting
}

fn known_attributes(it: &mut Reading<'_>, map: &Map, check: fn(&str, &str) -> attribute::Checked) {
    for (key, value) in map {
        if let Err((message, hint)) = check(key, value) {
            it.beyond(codes::BAD_ATTRIBUTE, it.within(&message), hint);
        }
    }
}

/// `tags` and `frontend-nlb-tags`, with AWS's own limits.
pub(super) fn tags(it: &mut Reading<'_>) -> Read<Map> {
    let setting = it.map();
    let Some(map) = setting.as_ref().and_then(Setting::good) else {
        return setting;
    };
    for (key, value) in map {
        if let Some((message, hint)) = bad_tag(key, value) {
            it.beyond(codes::BAD_TAG, it.within(&message), Some(hint));
        }
    }
    if map.len() > MAX_TAGS {
        let message = format!(
            "{} tags are more than the {MAX_TAGS} that fit beside ours",
            map.len()
        );
        it.beyond(codes::BAD_TAG, it.within(&message), None);
    }
    setting
}

/// `healthcheck-path` and its like.
pub(super) fn health_check_path(it: &mut Reading<'_>) -> Read<String> {
    let value = it.value();
    // The path of gRPC services is one too.
    let fine = value.starts_with('/')
        && value.len() <= 1024
        && value.bytes().all(|byte| byte.is_ascii_graphic());
    if !fine {
        let message = it.refusal();
        let hint = "it is a path that begins with `/`, up to 1024 characters without blanks";
        it.beyond(codes::ODD_ANNOTATION, message, Some(hint.to_owned()));
    }
    it.text()
}

/// `create-acm-cert`: LBC takes what is no boolean for false, without a word (ingress-model.md §2.3).
pub(super) fn lenient_boolean(it: &mut Reading<'_>) -> Read<bool> {
    if let Err(expected) = grammar::boolean(it.value()) {
        let message = it.refusal();
        it.beyond(codes::ODD_ANNOTATION, message, Some(expected));
    }
    it.setting(|text, _| Ok(grammar::boolean(text).unwrap_or(false)))
}

/// What is wrong with a tag and what was expected (aws-deploy.md §10.2).
pub(crate) fn bad_tag(key: &str, value: &str) -> Option<(String, String)> {
    let is_tag_char = |c: char| c.is_alphanumeric() || " _.:/=+-@".contains(c);
    if key.to_ascii_lowercase().starts_with("aws:") {
        return Some((
            format!("the tag key \"{key}\" belongs to AWS"),
            "keys do not begin with `aws:`".to_owned(),
        ));
    }
    // Tracking tags and ours: setting them by hand would make us lose what we own, or own what we do not.
    let reserved = [
        "elbv2.k8s.aws/",
        "ingress.k8s.aws/",
        "service.k8s.aws/",
        "albsync.dev/",
    ];
    if let Some(prefix) = reserved.iter().find(|prefix| key.starts_with(**prefix)) {
        return Some((
            format!("the tag key \"{key}\" marks ownership and cannot be set"),
            format!("keys do not begin with `{prefix}`"),
        ));
    }
    if !(1..=128).contains(&key.chars().count()) || !key.chars().all(is_tag_char) {
        return Some((
            format!("\"{key}\" is no tag key"),
            "up to 128 letters, digits, blanks and _ . : / = + - @".to_owned(),
        ));
    }
    if value.chars().count() > 256 || !value.chars().all(is_tag_char) {
        return Some((
            format!("the tag \"{key}\" cannot have the value \"{value}\""),
            "up to 256 letters, digits, blanks and _ . : / = + - @".to_owned(),
        ));
    }
    None
}
