//! `albsync facts`: what account and cluster say now, as a file for `--facts`.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use clap::{Args, ValueEnum};

use super::{CliError, Common, Exit, check, client, connect, output};
use crate::{
    config::Config,
    converge::{load, world},
    manifest,
    model::facts::{file, needs::Needs},
    yaml,
};

#[derive(Debug, Args)]
pub struct FactsArgs {
    /// Directory of manifests: Secrets that sign-in with OIDC names in it are looked at too, never their values
    #[arg(value_name = "DIR")]
    pub directory: Option<String>,
    /// Form of the file; by default YAML where --output ends in .yaml or .yml, else JSON
    #[arg(short = 'o', value_name = "FORM")]
    pub form: Option<Form>,
    /// Write to a file in place of standard output
    #[arg(long, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Form {
    Json,
    Yaml,
}

/// Reads everything that the model may look up. What may not be read is absent from the file, and a warning.
///
/// # Errors
/// Account or cluster cannot be reached at all, or the file cannot be written.
pub fn facts(common: &Common, args: &FactsArgs) -> Result<Exit, CliError> {
    let config = client::config(common)?;
    let secrets = match &args.directory {
        None => BTreeSet::new(),
        Some(directory) => secrets(directory, &config)?,
    };
    let (facts, gaps) = connect::facts(&config, secrets)?;
    let value = file::write(&facts);
    let by_name = args.output.as_deref().is_some_and(is_yaml);
    let text = match args.form {
        Some(Form::Yaml) => yaml::write(&value),
        None if by_name => yaml::write(&value),
        Some(Form::Json) | None => format!("{value:#}\n"),
    };
    match &args.output {
        None => output::print(&text)?,
        Some(path) => fs::write(path, text).map_err(|error| {
            let message = format!("{} cannot be written: {error}", path.display());
            CliError::new(Exit::Failed, message)
        })?,
    }
    for gap in &gaps {
        eprintln!(
            "albsync: warning: could not be read and is left out: {}: {}",
            gap.what, gap.message
        );
    }
    Ok(if gaps.is_empty() {
        Exit::Done
    } else {
        Exit::Failed
    })
}

fn is_yaml(path: &Path) -> bool {
    path.extension()
        .is_some_and(|extension| extension == "yaml" || extension == "yml")
}

/// Secrets that the manifests name and do not hold.
fn secrets(directory: &str, config: &Config) -> Result<BTreeSet<String>, CliError> {
    let options = load::parse_options(config);
    let files = check::files(directory, Path::new("."), &options.watched)
        .map_err(|error| CliError::usage(error.to_string()))?;
    let manifests = manifest::parse(&files, &options).value;
    Ok(Needs::of(&manifests, &world::offline_settings(Some(config))).secrets)
}
