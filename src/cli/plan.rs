//! `albsync plan`: what a commit would do, without doing it.

use std::{collections::BTreeMap, path::Path, time::Duration};

use clap::Args;
use serde_json::json;

use super::{ChecksArg, CliError, Common, Exit, Output, check, client, output};
use crate::{
    converge::{
        load,
        preview::{Preview, PreviewTarget},
    },
    daemon::socket::{Answer, Request},
    manifest,
    model::settings::Checks,
    problem::{self, Problem},
    yaml,
};

#[derive(Debug, Args)]
pub struct PlanArgs {
    /// A commit of the watched repository, or a directory of manifests; by default the tip of the branch
    #[arg(value_name = "COMMIT|PATH")]
    pub target: Option<String>,
    /// End with 1 when there is something to change
    #[arg(long)]
    pub exit_code: bool,
    #[command(flatten)]
    pub checks: ChecksArg,
    /// Form of the answer
    #[arg(short, long, value_name = "FORM", default_value = "text")]
    pub output: Output,
}

/// Reading a whole account takes a while.
const TIMEOUT: Duration = Duration::from_secs(120);

/// Asks the daemon, or, when none runs, reads account and cluster itself; writes nothing either way.
///
/// # Errors
/// The target cannot be read, or account or cluster cannot be reached.
pub fn plan(common: &Common, args: &PlanArgs) -> Result<Exit, CliError> {
    let places = client::places_with(common, &args.checks.over(client::overrides(common)))?;
    let checks = args.checks.checks.map(Checks::from);
    let preview = match target(args, &places)? {
        Ok(target) => ask(&places, target, checks)?,
        Err(problems) => Preview {
            problems,
            ..Preview::default()
        },
    };
    print(&preview, args.output)?;
    let rejected = preview.problems.iter().any(Problem::is_grave);
    Ok(if rejected {
        Exit::Rejected
    } else if !preview.held.is_empty() {
        Exit::Held
    } else if args.exit_code && preview.has_changes() {
        Exit::Differs
    } else {
        Exit::Done
    })
}

fn ask(
    places: &client::Places,
    target: PreviewTarget,
    checks: Option<Checks>,
) -> Result<Preview, CliError> {
    let request = Request::Plan {
        target: target.clone(),
        checks,
    };
    match client::ask(places, &request, TIMEOUT)? {
        Some(Answer::Plan(preview)) => {
            if checks.is_some() && preview.checks != checks {
                // It did not read that part of the request, and planned under its own.
                return Err(CliError::new(
                    Exit::Failed,
                    "the daemon is of an older version, which plans under its own checks alone",
                )
                .hint("restart it, or ask without --checks"));
            }
            Ok(*preview)
        }
        Some(_) => Err(client::unexpected()),
        None => alone(places, &target),
    }
}

/// What is asked for; or, of a directory that cannot be sent because files of it are no text, all that can be said of it
/// without account and cluster.
fn target(
    args: &PlanArgs,
    places: &client::Places,
) -> Result<Result<PreviewTarget, Vec<Problem>>, CliError> {
    let Some(target) = &args.target else {
        return Ok(Ok(PreviewTarget::Tip));
    };
    if !Path::new(target).is_dir() {
        return Ok(Ok(PreviewTarget::Commit {
            text: target.clone(),
        }));
    }
    let mut options = places
        .config
        .as_ref()
        .map(load::parse_options)
        .unwrap_or_default();
    if let Some(mode) = args.checks.checks {
        options.checks = mode.into();
    }
    let files = match check::files(target, Path::new("."), &options.watched) {
        Ok(files) => files,
        Err(error) => {
            return load::problem_of(&error)
                .map(|problem| Err(vec![problem]))
                .ok_or_else(|| check::unreadable(target, &error));
        }
    };
    let mut texts = BTreeMap::new();
    let mut problems = Vec::new();
    for (path, bytes) in &files.files {
        match yaml::utf8(path.as_str(), bytes) {
            Ok(text) => {
                texts.insert(path.clone(), text.to_owned());
            }
            Err(problem) => problems.push(*problem),
        }
    }
    if problems.is_empty() {
        return Ok(Ok(PreviewTarget::Files { files: texts }));
    }
    problem::merge(&mut problems, manifest::parse(&files, &options).problems);
    problems.sort();
    problems.dedup();
    Ok(Err(problems))
}

#[cfg(feature = "live")]
fn alone(places: &client::Places, target: &PreviewTarget) -> Result<Preview, CliError> {
    super::connect::preview(places, target)
}

#[cfg(not(feature = "live"))]
fn alone(places: &client::Places, _: &PreviewTarget) -> Result<Preview, CliError> {
    Err(CliError::new(
        Exit::Failed,
        format!("no daemon listens on {}", places.socket.display()),
    ))
}

fn print(preview: &Preview, form: Output) -> Result<(), CliError> {
    if form == Output::Json {
        return output::print_json(&json!({
            "revision": preview.revision,
            "problems": preview.problems,
            "waiting": preview.waiting,
            "held": preview.held,
            "heldBack": preview.held_back,
            "warnings": preview.warnings,
            "unread": preview.unread,
            "changes": preview.has_changes(),
            "plans": preview.json(),
        }));
    }
    let colour = output::colour();
    let mut text = String::new();
    if let Some(revision) = &preview.revision {
        text.push_str(&format!("commit {revision}\n"));
    }
    for problem in &preview.problems {
        let code = if problem.is_grave() {
            output::RED
        } else {
            output::YELLOW
        };
        text.push_str(&output::paint(&problem.to_string(), code, colour));
        text.push('\n');
    }
    text.push_str(&preview.text(colour));
    output::print(&text)
}
