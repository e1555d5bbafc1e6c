//! What passed, in order, and the questions that tests ask of it (testbed-aws.md §8, P10 and P12).

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use hyper::header::{CONTENT_TYPE, HeaderMap};

use super::decode::{Call, Plane};

/// One call, at its place in the order of arrival.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Since the proxy was made.
    pub at: Duration,
    pub call: Call,
    /// What the server answered; none while it is on its way, or if the call was never forwarded.
    pub status: Option<u16>,
    /// Whether the caller got an answer (the server's or an injected one).
    pub answered: bool,
    /// The fault that hit the call.
    pub fault: Option<String>,
}

impl Entry {
    /// Whether the server carried it out.
    pub fn applied(&self) -> bool {
        self.status.is_some_and(|status| status < 400)
    }
}

/// A copy of the journal at one moment.
#[derive(Debug, Clone, Default)]
pub struct Journal {
    pub entries: Vec<Entry>,
    /// Answers that mean that the emulator lacks something, which an SDK's retries would hide as slowness.
    pub violations: Vec<String>,
}

/// Calls by operation, as `tests/run --calls` prints them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts {
    pub total: usize,
    pub writes: usize,
    pub by: BTreeMap<String, usize>,
}

impl Journal {
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The entries from number `from` on: what has passed since `len()` answered that.
    pub fn since(&self, from: usize) -> Journal {
        Journal {
            entries: self.entries.get(from..).unwrap_or_default().to_vec(),
            violations: self.violations.clone(),
        }
    }

    pub fn len(&self) -> usize {
        self.entries.len()
    }

    pub fn on(&self, plane: Plane) -> Journal {
        let entries = self
            .entries
            .iter()
            .filter(|entry| entry.call.plane == plane)
            .cloned()
            .collect();
        Journal {
            entries,
            violations: self.violations.clone(),
        }
    }

    /// Everything that could have changed state, whether it was carried out or not.
    pub fn writes(&self) -> Vec<&Entry> {
        self.entries
            .iter()
            .filter(|entry| entry.call.is_write())
            .collect()
    }

    /// Writes other than to `status`: none of these means "changed nothing".
    pub fn changes(&self) -> Vec<&Entry> {
        self.entries
            .iter()
            .filter(|entry| entry.call.is_write() && !entry.call.is_status())
            .collect()
    }

    /// Calls whose label is `operation` or starts with it and a space (`elasticloadbalancing:CreateRule`, `apply
    /// apps/deployments`), in order.
    pub fn calls(&self, operation: &str) -> Vec<&Entry> {
        self.entries
            .iter()
            .filter(|entry| is(&entry.call, operation))
            .collect()
    }

    pub fn count(&self, operation: &str) -> usize {
        self.calls(operation).len()
    }

    /// Counts of one plane's calls to the given services, or of all of them if none is given.
    pub fn counts(&self, plane: Plane, services: &[&str]) -> Counts {
        let mut counts = Counts::default();
        for entry in &self.entries {
            let call = &entry.call;
            if call.plane == plane
                && (services.is_empty() || services.contains(&call.service.as_str()))
            {
                counts.total += 1;
                counts.writes += usize::from(call.is_write());
                let label = match plane {
                    Plane::Aws => call.label(),
                    Plane::Kubernetes => format!("{} {}", call.operation, call.resource),
                };
                *counts.by.entry(label).or_default() += 1;
            }
        }
        counts
    }

    /// Fails unless each call of `before` came earlier than each of `after`, and both are there.
    #[track_caller]
    pub fn assert_order(&self, before: &str, after: &str) {
        let positions = |operation: &str| {
            let found: Vec<usize> = (0..self.entries.len())
                .filter(|&index| is(&self.entries[index].call, operation))
                .collect();
            assert!(
                !found.is_empty(),
                "{operation} was never called:\n{}",
                self.render()
            );
            found
        };
        let (first, second) = (positions(before), positions(after));
        assert!(
            first.last() < second.first(),
            "{before} must come before {after}, but was call {:?} and the other {:?}:\n{}",
            first.last(),
            second.first(),
            self.render()
        );
    }

    /// Fails if anything but events, access reviews, dry runs and status was written.
    #[track_caller]
    pub fn assert_changed_nothing(&self) {
        let changes: Vec<String> = self
            .changes()
            .iter()
            .map(|entry| entry.call.label())
            .collect();
        assert!(
            changes.is_empty(),
            "nothing was to change, but these calls were made: {changes:#?}"
        );
    }

    /// Fails if the emulator answered anything that means "I cannot do that". To be asked at each test's end.
    #[track_caller]
    pub fn assert_guard(&self) {
        assert!(
            self.violations.is_empty(),
            "the emulator could not serve: {:#?}",
            self.violations
        );
    }

    /// One line for each call.
    pub fn render(&self) -> String {
        let mut text = String::new();
        for (index, entry) in self.entries.iter().enumerate() {
            let mark = if entry.call.is_write() { "W" } else { " " };
            let status = entry
                .status
                .map_or_else(|| "-".to_owned(), |status| status.to_string());
            let fault = entry
                .fault
                .as_ref()
                .map(|fault| format!(" [{fault}]"))
                .unwrap_or_default();
            let at_ms = entry.at.as_millis();
            let _ = writeln!(
                text,
                "{index:4} {at_ms:7} ms {mark} {status:>3} {}{fault}",
                entry.call.label()
            );
        }
        text
    }
}

fn is(call: &Call, operation: &str) -> bool {
    call.label()
        .strip_prefix(operation)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
}

/// What an answer of the AWS emulator says about the emulator rather than about the request.
pub fn violation(call: &Call, status: u16, headers: &HeaderMap, body: &[u8]) -> Option<String> {
    if call.plane != Plane::Aws {
        return None;
    }
    let kind = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or("");
    let text = String::from_utf8_lossy(body);
    let what = if kind.starts_with("text/html") && is_page(&text) {
        "a page"
    } else if status == 501 {
        "501"
    } else if status >= 400 && text.contains("InvalidAction") {
        "InvalidAction"
    } else if status >= 400 && text.contains("UnknownService") {
        "UnknownService"
    } else {
        return None;
    };
    Some(format!(
        "{} was answered with {what} (status {status})",
        call.label()
    ))
}

/// Moto gives XML the content type of a page now and then.
fn is_page(text: &str) -> bool {
    let start = text
        .trim_start()
        .get(..15)
        .unwrap_or("")
        .to_ascii_lowercase();
    start.starts_with("<!doctype html") || start.starts_with("<html")
}
