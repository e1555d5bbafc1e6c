//! `albsync status`.

use std::time::Duration;

use clap::Args;

use super::{CliError, Common, Exit, Output, client, output};
use crate::{
    daemon::socket::{Answer, Request},
    report::{Status, text},
    store::Store,
};

#[derive(Debug, Args)]
pub struct StatusArgs {
    /// Form of the answer
    #[arg(short, long, value_name = "FORM", default_value = "text")]
    pub output: Output,
}

/// How long a daemon may take to say how it is.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Asks the daemon; without one, shows what its store remembers.
///
/// # Errors
/// Neither a daemon nor a store is there, or one of them cannot be read.
pub fn status(common: &Common, args: &StatusArgs) -> Result<Exit, CliError> {
    let places = client::places(common)?;
    let (status, running) = match client::ask(&places, &Request::Status, TIMEOUT)? {
        Some(Answer::Status(status)) => (*status, true),
        Some(_) => return Err(client::unexpected()),
        None => (remembered(&client::open_store(&places)?), false),
    };
    match args.output {
        Output::Json => output::print_json(&status)?,
        Output::Text => output::print(&text::status(&status, running, output::colour()))?,
    }
    Ok(Exit::Done)
}

/// What a store says when no daemon runs.
fn remembered(store: &Store) -> Status {
    let head = store.revisions(1).into_iter().next();
    let in_force = store
        .in_force()
        .and_then(|revision| store.revision(&revision));
    Status::remembered(head.as_ref(), in_force.as_ref())
}
