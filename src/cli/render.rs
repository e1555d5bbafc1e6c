//! `albsync render`: the model that the manifests ask for, in our own words or as LBC logs it.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::Arc,
};

use clap::{Args, ValueEnum};
use serde::Serialize;
use serde_json::Value;

use super::{ChecksArg, CliError, Common, Exit, check, client, facts_file, output};
#[cfg(feature = "live")]
use crate::model::facts::needs::Needs;
use crate::{
    config::Config,
    converge::{load, world},
    id::RepoPath,
    manifest::{self, ParseOptions},
    model::{
        facts::Facts,
        group::{GroupModel, build},
        lbc,
        settings::Settings,
    },
    problem::{self, Problem},
    source::snapshot::Snapshot,
    yaml,
};

#[derive(Debug, Args)]
pub struct RenderArgs {
    /// A directory, or a commit of the repository (a branch, a tag, an id, HEAD~1 …)
    #[arg(value_name = "PATH|COMMIT", default_value = ".")]
    pub target: String,
    /// Repository that a commit is looked up in
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub repository: PathBuf,
    /// Read only what is under these paths of it, in place of the configured ones
    #[arg(long = "path", value_name = "PATH")]
    pub paths: Vec<String>,
    /// What account and cluster say, as `albsync facts` writes it; without it they are asked
    #[arg(long, value_name = "FILE")]
    pub facts: Option<PathBuf>,
    #[command(flatten)]
    pub checks: ChecksArg,
    /// Form of the answer: our own words, or the JSON that AWS Load Balancer Controller logs
    #[arg(short, long, value_name = "FORM", default_value = "yaml")]
    pub output: Form,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Form {
    Yaml,
    Json,
    Lbc,
}

/// Prints the model of every group that can be built; exit code 4 where something cannot.
///
/// # Errors
/// The directory or commit, the facts or the configuration cannot be read.
pub fn render(common: &Common, args: &RenderArgs) -> Result<Exit, CliError> {
    // Facts of a file need no configuration; reading them from account and cluster does.
    let config = if common.config.is_some() || args.facts.is_none() {
        Some(client::config_with(
            common,
            &args.checks.over(client::overrides(common)),
        )?)
    } else {
        None
    };
    let options = options(args, config.as_ref());
    let files = check::files(&args.target, &args.repository, &options.watched);
    let rendered = match files {
        Ok(files) => {
            let facts = match (&args.facts, &config) {
                (None, Some(config)) => live(&files, &options, config)?,
                (None, None) => Facts::default(),
                (Some(file), _) => facts_file::read(file)?,
            };
            let settings = settings(args, config.as_ref(), &facts)?;
            of_files(&files, &options, &facts, &settings)
        }
        Err(error) => match load::problem_of(&error) {
            Some(problem) => Rendered {
                problems: vec![problem],
                ..Rendered::default()
            },
            None => return Err(check::unreadable(&args.target, &error)),
        },
    };
    print(&rendered, args.output)?;
    Ok(if rendered.is_rejected() {
        Exit::Rejected
    } else {
        Exit::Done
    })
}

/// The cluster's settings: the configuration's, or LBC's defaults for the cluster of the facts.
fn settings(
    args: &RenderArgs,
    config: Option<&Config>,
    facts: &Facts,
) -> Result<Settings, CliError> {
    let mut settings = world::offline_settings(config);
    if config.is_none() {
        let Some(cluster) = &facts.cluster else {
            return Err(
                CliError::usage("the cluster's name is not known, and names hold it")
                    .hint("write it to the facts file as `cluster`, or give a configuration"),
            );
        };
        settings.cluster_name.clone_from(cluster);
    }
    if let Some(mode) = args.checks.checks {
        settings.checks = mode.into();
    }
    Ok(settings)
}

fn options(args: &RenderArgs, config: Option<&Config>) -> ParseOptions {
    let mut options = config.map(load::parse_options).unwrap_or_default();
    if let Some(mode) = args.checks.checks {
        options.checks = mode.into();
    }
    if !args.paths.is_empty() {
        let paths = args.paths.iter();
        options.watched = paths.map(|path| RepoPath::new(path.clone())).collect();
    }
    options
}

/// What account and cluster say now; what cannot be read is absent, and told.
#[cfg(feature = "live")]
fn live(files: &Snapshot, options: &ParseOptions, config: &Config) -> Result<Facts, CliError> {
    let manifests = manifest::parse(files, options).value;
    let needs = Needs::of(&manifests, &world::offline_settings(Some(config)));
    let (facts, gaps) = super::connect::facts(config, needs.secrets)?;
    for gap in &gaps {
        eprintln!(
            "albsync: warning: could not be read: {}: {}",
            gap.what, gap.message
        );
    }
    Ok(facts)
}

#[cfg(not(feature = "live"))]
fn live(_: &Snapshot, _: &ParseOptions, _: &Config) -> Result<Facts, CliError> {
    Err(
        CliError::usage("render needs the facts of account and cluster")
            .hint("give them with --facts FILE; examples/facts.md describes the file"),
    )
}

/// The groups that can be built, and everything that was found.
#[derive(Debug, Default)]
pub struct Rendered {
    pub groups: BTreeMap<String, Arc<GroupModel>>,
    /// In the order of their places.
    pub problems: Vec<Problem>,
}

impl Rendered {
    pub fn is_rejected(&self) -> bool {
        self.rejecting().next().is_some()
    }

    fn rejecting(&self) -> impl Iterator<Item = &Problem> + Clone {
        self.problems.iter().filter(|problem| problem.is_grave())
    }

    /// As `-o lbc` prints it.
    pub fn as_lbc(&self) -> impl Serialize {
        AsLbc {
            groups: lbc::Models(&self.groups),
            problems: self.rejecting().map(Told::of).collect(),
        }
    }
}

/// Parses and builds. A document that cannot be read takes down what may depend on it: an Ingress its group, any other
/// document everything.
pub fn of_files(
    files: &Snapshot,
    options: &ParseOptions,
    facts: &Facts,
    settings: &Settings,
) -> Rendered {
    let parsed = manifest::parse(files, options);
    let unread: BTreeSet<Option<&str>> = parsed
        .problems
        .iter()
        .filter(|problem| problem.is_grave())
        .map(|problem| problem.object.as_deref())
        .collect();
    let touches_all = unread
        .iter()
        .any(|object| object.is_none_or(|object| !object.starts_with("Ingress ")));
    let built = build::build_all(&parsed.value, facts, settings);
    let groups = built.groups.into_iter().filter_map(|(id, model)| {
        let model = model.ok()?;
        let is_unread = model.members.iter().any(|member| {
            let object = member.reference.to_string();
            unread.contains(&Some(object.as_str()))
        });
        (!touches_all && !is_unread).then_some((id, model))
    });
    let groups = groups.collect();
    let mut problems = parsed.problems;
    problem::merge(&mut problems, built.problems);
    build::settle(&mut problems);
    Rendered { groups, problems }
}

fn print(rendered: &Rendered, form: Form) -> Result<(), CliError> {
    match form {
        Form::Lbc => output::print_json(&rendered.as_lbc()),
        Form::Json => output::print_json(&own_words(rendered)),
        Form::Yaml => output::print(&yaml::write(&own_words(rendered))),
    }
}

/// The models in our own words; what is not set is left out.
fn own_words(rendered: &Rendered) -> Value {
    #[derive(Serialize)]
    struct Own<'a> {
        groups: &'a BTreeMap<String, Arc<GroupModel>>,
        problems: &'a [Problem],
    }
    let own = Own {
        groups: &rendered.groups,
        problems: &rendered.problems,
    };
    // Texts, numbers, lists and maps with text keys: there is nothing that JSON could not hold.
    let mut value = serde_json::to_value(own).unwrap_or_default();
    if let Some(groups) = value.get_mut("groups").and_then(Value::as_object_mut) {
        groups.values_mut().for_each(drop_unset);
    }
    value
}

/// Takes out what is absent or empty; a text that is set and empty stays.
fn drop_unset(value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.values_mut().for_each(drop_unset);
            map.retain(|_, value| match value {
                Value::Null => false,
                Value::Object(map) => !map.is_empty(),
                Value::Array(items) => !items.is_empty(),
                _ => true,
            });
        }
        Value::Array(items) => items.iter_mut().for_each(drop_unset),
        _ => {}
    }
}

#[derive(Serialize)]
struct AsLbc<'a> {
    groups: lbc::Models<'a>,
    problems: Vec<Told<'a>>,
}

#[derive(Serialize)]
struct Told<'a> {
    file: &'a str,
    line: u32,
    column: u32,
    message: String,
}

impl<'a> Told<'a> {
    fn of(problem: &'a Problem) -> Self {
        let mut message = match &problem.object {
            Some(object) => format!("{object}: {}", problem.message),
            None => problem.message.clone(),
        };
        if let Some(hint) = &problem.hint {
            message.push_str("; ");
            message.push_str(hint);
        }
        Self {
            file: &problem.origin.file,
            line: problem.origin.line,
            column: problem.origin.column,
            message,
        }
    }
}

#[cfg(test)]
mod tests;
