//! The log: text on a terminal, JSON lines elsewhere, always on standard error.

use std::io::{self, IsTerminal};

use tracing_subscriber::{EnvFilter, fmt, layer::SubscriberExt, util::SubscriberInitExt};

use super::{CliError, LogFormat};

/// Starts the log of this process.
///
/// # Errors
/// The level is neither a level nor a filter.
pub fn start(level: &str, format: LogFormat) -> Result<(), CliError> {
    // A bare level is meant for our own messages: libraries stay at warnings, or one SDK's chatter drowns everything.
    let filter = match level {
        "error" | "warn" => level.to_owned(),
        "info" | "debug" | "trace" => format!("warn,albsync={level}"),
        other => other.to_owned(),
    };
    let filter = EnvFilter::try_new(&filter).map_err(|error| {
        CliError::usage(format!("`{level}` is no log level: {error}")).hint(
            "one of error, warn, info, debug, trace, or a filter such as `warn,albsync=debug`",
        )
    })?;
    let json = match format {
        LogFormat::Json => true,
        LogFormat::Text => false,
        LogFormat::Auto => !io::stderr().is_terminal(),
    };
    let registry = tracing_subscriber::registry().with(filter);
    let started = if json {
        registry
            .with(
                fmt::layer()
                    .json()
                    .flatten_event(true)
                    .with_current_span(true)
                    .with_writer(io::stderr),
            )
            .try_init()
    } else {
        registry
            .with(
                fmt::layer()
                    .with_ansi(io::stderr().is_terminal())
                    .with_target(false)
                    .with_writer(io::stderr),
            )
            .try_init()
    };
    started.map_err(|error| CliError::usage(format!("the log cannot be started: {error}")))
}
