//! Status and history in plain words.

use std::fmt::Write;

use super::{Health, Status};
use crate::plan::{history::RevisionRecord, record::Entry, render};

/// Wraps text in a colour of a terminal when wanted.
pub fn paint(text: &str, code: &str, colour: bool) -> String {
    if colour {
        format!("\x1b[{code}m{text}\x1b[0m")
    } else {
        text.to_owned()
    }
}

pub const GREEN: &str = "32";
pub const YELLOW: &str = "33";
pub const RED: &str = "31";

/// The answer to `albsync status`.
pub fn status(status: &Status, running: bool, colour: bool) -> String {
    let mut out = String::new();
    let code = match status.health {
        Health::Healthy => GREEN,
        Health::Starting | Health::Progressing | Health::Held => YELLOW,
        Health::Rejected | Health::Partial | Health::Degraded => RED,
    };
    let health = paint(&format!("{:?}", status.health), code, colour);
    let _ = match running {
        true => writeln!(
            out,
            "health      {health} (daemon {}, since {})",
            status.pid, status.started_at
        ),
        false => writeln!(
            out,
            "health      unknown: no daemon runs; this is what its store remembers"
        ),
    };
    if !status.source.url.is_empty() {
        let source = &status.source;
        let state = match (&source.reason, &source.message) {
            (Some(reason), Some(message)) => paint(&format!("{reason}: {message}"), RED, colour),
            _ if source.ready => format!(
                "fetched {}",
                source.fetched_at.as_deref().unwrap_or("never")
            ),
            _ => "not fetched yet".to_owned(),
        };
        let _ = writeln!(out, "source      {} {}: {state}", source.url, source.branch);
    }
    for (label, revision) in [("in force", &status.in_force), ("tip", &status.head)] {
        let _ = match revision {
            Some(it) => {
                let reason = if it.reason.is_empty() {
                    String::new()
                } else {
                    format!(" ({})", it.reason)
                };
                writeln!(
                    out,
                    "{label:<11} {} {}{reason} {} “{}”",
                    it.revision.short(),
                    it.state,
                    it.since,
                    it.subject
                )
            }
            None => writeln!(out, "{label:<11} none"),
        };
    }
    if let Some(rewritten) = &status.rewritten {
        let _ = writeln!(out, "warning     {}", paint(rewritten, YELLOW, colour));
    }
    if let Some(why) = &status.read_only {
        let _ = writeln!(out, "read-only   {}", paint(why, YELLOW, colour));
    }
    if let Some(pass) = &status.pass {
        let _ = writeln!(
            out,
            "now         {} pass: {} ({}/{})",
            pass.trigger, pass.doing, pass.done, pass.total
        );
    }
    if let Some(pass) = &status.last_pass {
        let calls: u64 = pass.aws_calls.values().sum();
        let _ = writeln!(
            out,
            "last pass   {} at {}: {} done, {} failed, {} skipped, {calls} calls to AWS, {} ms",
            pass.trigger, pass.finished_at, pass.done, pass.failed, pass.skipped, pass.duration_ms
        );
    }
    if let Some(next) = &status.next_sweep_at {
        let _ = writeln!(out, "next sweep  {next}");
    }
    for balancer in &status.load_balancers {
        let _ = writeln!(
            out,
            "balancer    {}: {} {}",
            balancer.group, balancer.name, balancer.dns_name
        );
    }
    list(
        &mut out,
        "problems",
        status.problems.iter().map(ToString::to_string),
        RED,
        colour,
    );
    list(
        &mut out,
        "held",
        status.held.iter().map(|held| {
            format!(
                "{}: {}: {}; to release: {}",
                held.stack, held.code, held.message, held.release
            )
        }),
        YELLOW,
        colour,
    );
    list(
        &mut out,
        "waits",
        status
            .waits
            .iter()
            .map(|wait| format!("{}: {}", wait.stack, wait.reason)),
        YELLOW,
        colour,
    );
    list(
        &mut out,
        "failures",
        status.failures.iter().cloned(),
        RED,
        colour,
    );
    list(
        &mut out,
        "foreign",
        status
            .foreign
            .iter()
            .map(|foreign| format!("{}: {} {}", foreign.stack, foreign.what, foreign.id))
            .chain(
                status
                    .foreign_ingresses
                    .iter()
                    .map(|it| format!("Ingress {it} is in the cluster and not in git")),
            ),
        YELLOW,
        colour,
    );
    list(
        &mut out,
        "drift",
        status.drift.iter().rev().map(|drift| {
            let what: Vec<String> = drift
                .differences
                .iter()
                .map(|it| {
                    let text = |value: &Option<String>| {
                        value.clone().unwrap_or_else(|| "absent".to_owned())
                    };
                    format!("{}: {} → {}", it.field, text(&it.live), text(&it.wanted))
                })
                .collect();
            let healed = if drift.healed {
                "put back"
            } else {
                "not put back"
            };
            format!(
                "{} {} ({}), {healed}: {}",
                drift.at,
                drift.resource,
                drift.stack,
                what.join(", ")
            )
        }),
        YELLOW,
        colour,
    );
    out
}

fn list(
    out: &mut String,
    title: &str,
    lines: impl Iterator<Item = String>,
    code: &str,
    colour: bool,
) {
    let lines: Vec<String> = lines.collect();
    if lines.is_empty() {
        return;
    }
    let _ = writeln!(out, "{}", paint(title, code, colour));
    for line in lines {
        let _ = writeln!(out, "  {line}");
    }
}

/// The answer to `albsync history`.
pub fn commits(records: &[RevisionRecord], colour: bool) -> String {
    let mut out = String::new();
    if records.is_empty() {
        out.push_str("no commit was seen yet\n");
    }
    for record in records {
        let state = record.state.to_string();
        let code = match state.as_str() {
            "Healthy" => GREEN,
            "Rejected" | "ApplyFailed" | "Degraded" => RED,
            _ => YELLOW,
        };
        let reason = if record.reason.is_empty() {
            String::new()
        } else {
            format!(" ({})", record.reason)
        };
        let _ = writeln!(
            out,
            "{} {}{reason} {} {} “{}”  {} done, {} failed",
            record.revision.short(),
            paint(&state, code, colour),
            record.state_at,
            record.author,
            record.subject,
            record.ops.done,
            record.ops.failed
        );
        for problem in &record.problems {
            let _ = writeln!(out, "  {problem}");
        }
    }
    out
}

/// One journaled plan: which calls, why, and what became of them.
pub fn calls(generation: u64, at: &str, plan: &crate::plan::op::Plan, entries: &[Entry]) -> String {
    let mut out = String::new();
    let revision = plan
        .revision
        .as_ref()
        .map_or("no commit", |revision| revision.short());
    let _ = writeln!(
        out,
        "plan {generation} of {revision} at {at}: {:?}, {} operations",
        plan.stage,
        plan.ops.len()
    );
    for op in &plan.ops {
        let state = entries.iter().rev().find_map(|entry| match entry {
            Entry::Done { op: id, .. } if *id == op.id => Some("done".to_owned()),
            Entry::Failed { op: id, error, .. } if *id == op.id => Some(format!("failed: {error}")),
            Entry::Skipped { op: id, why } if *id == op.id => Some(format!("skipped: {why}")),
            Entry::Begun { op: id, .. } if *id == op.id => Some("begun".to_owned()),
            _ => None,
        });
        let place = op
            .reason
            .origin
            .as_ref()
            .map(|origin| format!(" {origin}"))
            .unwrap_or_default();
        let _ = writeln!(
            out,
            "  {} {}: {:?}{place}: {}",
            op.id,
            render::line(op).1,
            op.reason.cause,
            state.as_deref().unwrap_or("not begun")
        );
    }
    out
}
