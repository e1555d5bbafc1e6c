//! `albsync completions SHELL`.

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use super::{Cli, CliError, Exit};

#[derive(Debug, Args)]
pub struct CompletionsArgs {
    /// The shell
    pub shell: Shell,
}

/// Prints the script to standard output.
///
/// # Errors
/// None; the type is that of every verb.
pub fn completions(args: &CompletionsArgs) -> Result<Exit, CliError> {
    clap_complete::generate(
        args.shell,
        &mut Cli::command(),
        "albsync",
        &mut std::io::stdout(),
    );
    Ok(Exit::Done)
}
