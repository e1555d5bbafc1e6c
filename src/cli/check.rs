//! `albsync check PATH`: everything that can be said of manifests without cluster and account.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use clap::Args;
use serde_json::json;

use super::{ChecksArg, CliError, Common, Exit, Output, client, output};
use crate::{
    config::{Admission, Config},
    converge::{load, world},
    id::{RepoPath, StackId},
    manifest::{self, Manifests},
    model::{self, confine, facts::Facts},
    problem::{self, Problem},
    source::{SourceError, directory, git, snapshot::Snapshot},
};

#[derive(Debug, Args)]
pub struct CheckArgs {
    /// A directory, or a commit of the repository (a branch, a tag, an id, HEAD~1 …)
    #[arg(value_name = "PATH|COMMIT", default_value = ".")]
    pub target: String,
    /// Repository that a commit is looked up in
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub repository: PathBuf,
    /// Check only what is under these paths of it, in place of the configured ones
    #[arg(long = "path", value_name = "PATH")]
    pub paths: Vec<String>,
    #[command(flatten)]
    pub checks: ChecksArg,
    /// Form of the answer
    #[arg(short, long, value_name = "FORM", default_value = "text")]
    pub output: Output,
}

/// Prints all problems; exit code 4 if one of them rejects.
///
/// # Errors
/// The directory or commit cannot be read.
pub fn check(common: &Common, args: &CheckArgs) -> Result<Exit, CliError> {
    let config = if common.config.is_some() {
        Some(client::config_with(
            common,
            &args.checks.over(client::overrides(common)),
        )?)
    } else {
        None
    };
    let Findings {
        files,
        documents,
        problems,
        held,
    } = inspect(args, config.as_ref())?;
    let rejected = problems.iter().any(Problem::is_grave);
    match args.output {
        Output::Json => output::print_json(&json!({
            "files": files, "documents": documents, "rejected": rejected, "problems": problems,
            "held": held,
        }))?,
        Output::Text => output::print(&text(&problems, files, documents, &held))?,
    }
    Ok(if rejected { Exit::Rejected } else { Exit::Done })
}

/// What there is, and everything that is wrong with it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Findings {
    pub files: usize,
    pub documents: usize,
    /// In the order of their places.
    pub problems: Vec<Problem>,
    /// With `admission: group`, and where all problems can be confined: what would stay as it is, while the rest goes on;
    /// without what only a comparison with the commit in force can tell.
    pub held: Vec<StackId>,
}

/// Reads, parses and builds what is named, without facts.
///
/// # Errors
/// The directory or commit cannot be read.
pub fn inspect(args: &CheckArgs, config: Option<&Config>) -> Result<Findings, CliError> {
    let paths = watched(args, config);
    let mut options = config.map(load::parse_options).unwrap_or_default();
    options.watched.clone_from(&paths);
    let mut settings = world::offline_settings(config);
    if let Some(mode) = args.checks.checks {
        options.checks = mode.into();
        settings.checks = mode.into();
    }

    let (files, mut problems) = match files(&args.target, &args.repository, &paths) {
        Ok(files) => (files, Vec::new()),
        Err(error) => match load::problem_of(&error) {
            Some(problem) => (Snapshot::default(), vec![problem]),
            None => {
                return Err(unreadable(&args.target, &error));
            }
        },
    };
    let parsed = manifest::parse(&files, &options);
    let documents = parsed.value.objects.len() + parsed.value.iam_service_accounts.len();
    problems.extend(parsed.problems);
    // Without facts only what the documents themselves say can be wrong; everything else waits.
    problem::merge(
        &mut problems,
        model::build(&parsed.value, &Facts::default(), &settings).problems,
    );
    problems.extend(model::elsewhere::references(&parsed.value, &options));
    problems.sort();
    problems.dedup();
    let by_group = config.is_some_and(|config| config.admission == Admission::Group);
    let held = match by_group {
        true => confine::confine(&parsed.value, &Manifests::default(), &problems),
        false => Err(Vec::new()),
    };
    Ok(Findings {
        files: files.files.len(),
        documents,
        problems,
        held: held.map_or_else(|_| Vec::new(), |held| held.into_keys().collect()),
    })
}

/// The files of a directory or a commit, with those that its manifests name.
pub(super) fn files(
    target: &str,
    repository: &Path,
    paths: &[RepoPath],
) -> Result<Snapshot, SourceError> {
    let directory = Path::new(target);
    if directory.is_dir() {
        let files = directory::read(directory, paths)?;
        return directory::read_named(directory, paths, &manifest::named_files(&files));
    }
    let files = git::read_commit(repository, target, paths, &BTreeSet::new())?;
    let named = manifest::named_files(&files);
    git::read_commit(repository, target, paths, &named)
}

fn watched(args: &CheckArgs, config: Option<&Config>) -> Vec<RepoPath> {
    let texts = match (args.paths.is_empty(), config) {
        (false, _) => args.paths.clone(),
        (true, Some(config)) => config.source.paths.clone(),
        (true, None) => vec![".".to_owned()],
    };
    texts.into_iter().map(RepoPath::new).collect()
}

fn text(problems: &[Problem], files: usize, documents: usize, held: &[StackId]) -> String {
    let colour = output::colour();
    let mut text = String::new();
    for problem in problems {
        let code = if problem.is_grave() {
            output::RED
        } else {
            output::YELLOW
        };
        text.push_str(&output::paint(&problem.to_string(), code, colour));
        text.push('\n');
    }
    for stack in held {
        text.push_str(&format!(
            "{stack} would stay as it is, and the rest would go on (admission: group)\n"
        ));
    }
    let wrong = problems.iter().filter(|problem| problem.is_grave()).count();
    let warnings = problems.len() - wrong;
    text.push_str(&format!(
        "{} in {}: {}, {}\n",
        counted(documents, "document"),
        counted(files, "file"),
        counted(wrong, "problem"),
        counted(warnings, "warning"),
    ));
    text
}

/// A target that is neither.
pub(super) fn unreadable(target: &str, error: &SourceError) -> CliError {
    CliError::usage(format!("{target} cannot be read: {error}"))
        .hint("name a directory, or a commit of the repository that --repository names")
}

fn counted(count: usize, noun: &str) -> String {
    match count {
        1 => format!("1 {noun}"),
        _ => format!("{count} {noun}s"),
    }
}
