//! The command line: one file per verb.

use std::{fmt, path::PathBuf, process::ExitCode};

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::{config::Overrides, manifest::Checks, problem::Problem};

pub mod annotations;
pub mod check;
pub mod client;
pub mod completions;
#[cfg(feature = "live")]
pub mod connect;
#[cfg(feature = "live")]
pub mod facts;
pub mod facts_file;
pub mod history;
pub mod logging;
pub mod output;
pub mod plan;
pub mod render;
#[cfg(feature = "live")]
pub mod run;
pub mod status;

/// Makes a git repository the one place where AWS routing for Kubernetes is decided
///
/// albsync watches a git repository of Kubernetes manifests and converges the cluster and AWS (application load
/// balancers, security groups, IAM roles for ServiceAccounts) to each commit. `git push` changes routing, `git revert`
/// rolls it back, and what is changed by hand is seen and healed.
#[derive(Debug, Parser)]
#[command(
    name = "albsync",
    version,
    max_term_width = 100,
    disable_help_subcommand = true
)]
pub struct Cli {
    #[command(flatten)]
    pub common: Common,
    #[command(subcommand)]
    pub verb: Verb,
}

/// Options of every verb.
#[derive(Clone, Debug, Args)]
pub struct Common {
    /// Configuration file
    #[arg(long, global = true, value_name = "FILE", env = "ALBSYNC_CONFIG")]
    pub config: Option<PathBuf>,
    /// State directory, in place of the configured one
    #[arg(long, global = true, value_name = "DIR", env = "ALBSYNC_STATE_DIR")]
    pub state_dir: Option<PathBuf>,
    /// Socket of the running daemon, in place of the configured one
    #[arg(long, global = true, value_name = "PATH", env = "ALBSYNC_SOCKET")]
    pub socket: Option<PathBuf>,
    /// How much is logged: error, warn, info, debug, trace, or a filter such as `albsync=debug`
    #[arg(long, global = true, value_name = "LEVEL", env = "ALBSYNC_LOG_LEVEL")]
    pub log_level: Option<String>,
    /// Form of the log; by default text on a terminal and JSON elsewhere
    #[arg(long, global = true, value_name = "FORMAT", env = "ALBSYNC_LOG_FORMAT")]
    pub log_format: Option<LogFormat>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    Auto,
    Text,
    Json,
}

/// Whose checks hold, for verbs that judge manifests.
#[derive(Clone, Copy, Debug, Default, Args)]
pub struct ChecksArg {
    /// Whose checks hold, in place of the configured ones: ours, or only what AWS Load Balancer Controller refuses too
    #[arg(long, value_name = "MODE", env = "ALBSYNC_CHECKS_MODE")]
    pub checks: Option<ChecksMode>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ChecksMode {
    Strict,
    Lbc,
}

impl ChecksMode {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Strict => "strict",
            Self::Lbc => "lbc",
        }
    }
}

impl From<ChecksMode> for Checks {
    fn from(mode: ChecksMode) -> Self {
        match mode {
            ChecksMode::Strict => Self::Strict,
            ChecksMode::Lbc => Self::Lbc,
        }
    }
}

impl ChecksArg {
    /// Puts it among what the flags say.
    pub fn over(self, overrides: Overrides) -> Overrides {
        overrides.set(
            "checks.mode",
            "--checks",
            self.checks.map(ChecksMode::as_str),
        )
    }
}

/// Form of what a verb prints.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Output {
    #[default]
    Text,
    Json,
}

#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Run the daemon: watch the repository, converge, heal
    #[cfg(feature = "live")]
    Run(run::RunArgs),
    /// Check the manifests of a directory or a commit, offline
    Check(check::CheckArgs),
    /// Show what a commit would do, without doing it
    Plan(plan::PlanArgs),
    /// Print the model that the manifests ask for, in our own words or as AWS Load Balancer Controller logs it
    Render(render::RenderArgs),
    /// Write what account and cluster say to a file, for working without them
    #[cfg(feature = "live")]
    Facts(facts::FactsArgs),
    /// Show how things are
    Status(status::StatusArgs),
    /// Show the commits that were seen and what became of them
    History(history::HistoryArgs),
    /// Show all annotations that are read, with their values
    Annotations(annotations::AnnotationsArgs),
    /// Print a completion script for a shell
    Completions(completions::CompletionsArgs),
}

/// Exit codes (decision 8 of the spec); they never change their meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    Done = 0,
    Differs = 1,
    Usage = 2,
    TimedOut = 3,
    Rejected = 4,
    Held = 5,
    Failed = 6,
    Bug = 70,
}

impl Exit {
    /// The code that a daemon answered.
    pub fn from_code(code: u8) -> Self {
        match code {
            0 => Self::Done,
            1 => Self::Differs,
            2 => Self::Usage,
            3 => Self::TimedOut,
            4 => Self::Rejected,
            5 => Self::Held,
            6 => Self::Failed,
            _ => Self::Bug,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Why a verb could not do its work.
#[derive(Debug)]
pub struct CliError {
    pub exit: Exit,
    pub message: String,
    /// What to do about it, one phrase a line.
    pub hints: Vec<String>,
    /// Problems with places, printed first.
    pub problems: Vec<Problem>,
}

impl CliError {
    pub fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self {
            exit,
            message: message.into(),
            hints: Vec::new(),
            problems: Vec::new(),
        }
    }

    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, message)
    }

    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// The configuration is wrong: exit code 2.
    pub fn configuration(problems: Vec<Problem>) -> Self {
        Self {
            exit: Exit::Usage,
            message: "the configuration cannot be used; nothing was started".to_owned(),
            hints: Vec::new(),
            problems,
        }
    }
}

impl fmt::Display for CliError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for problem in &self.problems {
            writeln!(f, "{problem}")?;
        }
        write!(f, "albsync: {}", self.message)?;
        for hint in &self.hints {
            write!(f, "\n  hint: {hint}")?;
        }
        Ok(())
    }
}

/// Runs one verb.
///
/// # Errors
/// What the verb could not do, with its exit code.
pub fn run(cli: Cli) -> Result<Exit, CliError> {
    match cli.verb {
        #[cfg(feature = "live")]
        Verb::Run(args) => run::run(&cli.common, &args),
        Verb::Check(args) => check::check(&cli.common, &args),
        Verb::Plan(args) => plan::plan(&cli.common, &args),
        Verb::Render(args) => render::render(&cli.common, &args),
        #[cfg(feature = "live")]
        Verb::Facts(args) => facts::facts(&cli.common, &args),
        Verb::Status(args) => status::status(&cli.common, &args),
        Verb::History(args) => history::history(&cli.common, &args),
        Verb::Annotations(args) => annotations::annotations(&args),
        Verb::Completions(args) => completions::completions(&args),
    }
}
