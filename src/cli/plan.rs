//! `albsync plan`: what a commit would do, without doing it.

use std::{collections::BTreeMap, path::Path, time::Duration};

use clap::Args;
use serde_json::json;

use super::{ChecksArg, CliError, Common, Exit, Output, client, output};
use crate::{
    converge::preview::{Preview, PreviewTarget},
    daemon::socket::{Answer, Request},
    model::settings::Checks,
    problem::Problem,
    source::directory,
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
    let target = target(args, &places)?;
    let checks = args.checks.checks.map(Checks::from);
    let request = Request::Plan {
        target: target.clone(),
        checks,
    };
    let preview = match client::ask(&places, &request, TIMEOUT)? {
        Some(Answer::Plan(preview)) => {
            if checks.is_some() && preview.checks != checks {
                // It did not read that part of the request, and planned under its own.
                return Err(CliError::new(
                    Exit::Failed,
                    "the daemon is of an older version, which plans under its own checks alone",
                )
                .hint("restart it, or ask without --checks"));
            }
            *preview
        }
        Some(_) => return Err(client::unexpected()),
        None => alone(&places, &target)?,
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

fn target(args: &PlanArgs, places: &client::Places) -> Result<PreviewTarget, CliError> {
    let Some(target) = &args.target else {
        return Ok(PreviewTarget::Tip);
    };
    let directory = Path::new(target);
    if !directory.is_dir() {
        return Ok(PreviewTarget::Commit {
            text: target.clone(),
        });
    }
    let paths = places.config.as_ref().map_or_else(
        || vec![".".to_owned()],
        |config| config.source.paths.clone(),
    );
    let paths: Vec<_> = paths.into_iter().map(crate::id::RepoPath::new).collect();
    let unreadable = |error: crate::source::SourceError| CliError::usage(error.to_string());
    let files = directory::read(directory, &paths).map_err(unreadable)?;
    let named = crate::manifest::named_files(&files);
    let files = directory::read_named(directory, &paths, &named).map_err(unreadable)?;
    let mut texts = BTreeMap::new();
    for (path, bytes) in files.files {
        let text = yaml::utf8(path.as_str(), &bytes)
            .map_err(|problem| CliError::new(Exit::Rejected, problem.to_string()))?;
        texts.insert(path, text.to_owned());
    }
    Ok(PreviewTarget::Files { files: texts })
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
