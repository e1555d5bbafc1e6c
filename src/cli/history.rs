//! `albsync history`.

use std::time::Duration;

use clap::Args;

use super::{CliError, Common, Exit, Output, client, output};
use crate::{
    daemon::{
        History,
        socket::{Answer, Request},
    },
    report::text,
};

#[derive(Debug, Args)]
pub struct HistoryArgs {
    /// How many commits, newest first
    #[arg(short = 'n', long, value_name = "COUNT", default_value_t = 20)]
    pub limit: usize,
    /// Also list the calls that each commit's plans sent
    #[arg(long)]
    pub calls: bool,
    /// Form of the answer
    #[arg(short, long, value_name = "FORM", default_value = "text")]
    pub output: Output,
}

const TIMEOUT: Duration = Duration::from_secs(10);

/// Asks the daemon; without one, reads its store.
///
/// # Errors
/// Neither a daemon nor a store is there, or one of them cannot be read.
pub fn history(common: &Common, args: &HistoryArgs) -> Result<Exit, CliError> {
    let places = client::places(common)?;
    let request = Request::History {
        limit: args.limit,
        calls: args.calls,
    };
    let history = match client::ask(&places, &request, TIMEOUT)? {
        Some(Answer::History(history)) => *history,
        Some(_) => return Err(client::unexpected()),
        None => {
            let store = client::open_store(&places)?;
            crate::daemon::history(&store, args.limit, args.calls)
                .map_err(|error| CliError::new(Exit::Failed, error.to_string()))?
        }
    };
    match args.output {
        Output::Json => output::print_json(&history)?,
        Output::Text => output::print(&words(&history))?,
    }
    Ok(Exit::Done)
}

fn words(history: &History) -> String {
    let mut words = text::commits(&history.commits, output::colour());
    for plan in &history.plans {
        words.push_str(&text::calls(
            plan.generation.0,
            &plan.at,
            &plan.plan,
            &plan.entries,
        ));
    }
    words
}
