//! What the verbs that talk to a daemon share: where it listens, how it is asked, the store when none runs.

use std::{path::PathBuf, time::Duration};

use super::{CliError, Common, Exit};
use crate::{
    config::{Config, Overrides},
    daemon::socket::{self, Answer, Request},
    model::call::chain,
    store::{Store, StoreError},
};

/// Where state and socket are.
#[derive(Clone, Debug)]
pub struct Places {
    pub state_dir: PathBuf,
    pub socket: PathBuf,
    /// Absent where no configuration file was named.
    pub config: Option<Config>,
}

/// The configuration that the flags name.
///
/// # Errors
/// No file is named, or its content cannot be used.
pub fn config(common: &Common) -> Result<Config, CliError> {
    config_with(common, &overrides(common))
}

/// The same with more flags than every verb has.
///
/// # Errors
/// No file is named, or its content cannot be used.
pub fn config_with(common: &Common, overrides: &Overrides) -> Result<Config, CliError> {
    let path = common.config.clone().or_else(packaged).ok_or_else(|| {
        CliError::usage("no configuration file")
            .hint("name one with --config FILE; examples/config.yaml has every key")
    })?;
    Config::load(&path, overrides).map_err(CliError::configuration)
}

/// Places, from the configuration if one is named, else from the flags and defaults.
///
/// # Errors
/// A named configuration cannot be used.
pub fn places(common: &Common) -> Result<Places, CliError> {
    places_with(common, &overrides(common))
}

/// The same with more flags than every verb has.
///
/// # Errors
/// A named configuration cannot be used.
pub fn places_with(common: &Common, overrides: &Overrides) -> Result<Places, CliError> {
    let config = match common.config.clone().or_else(packaged) {
        Some(_) => Some(config_with(common, overrides)?),
        None => None,
    };
    let state_dir = match (&config, &common.state_dir) {
        (Some(config), _) => config.state_dir.clone(),
        (None, Some(dir)) => dir.clone(),
        (None, None) => PathBuf::from("state"),
    };
    let socket = common
        .socket
        .clone()
        .or_else(|| config.as_ref().and_then(|config| config.socket.clone()))
        .unwrap_or_else(|| socket::default_path(&state_dir));
    Ok(Places {
        state_dir,
        socket,
        config,
    })
}

/// What the flags say, by key of the configuration.
pub fn overrides(common: &Common) -> Overrides {
    let text = |path: &Option<PathBuf>| path.as_ref().map(|path| path.display().to_string());
    let format = common.log_format.map(|format| match format {
        super::LogFormat::Auto => "auto",
        super::LogFormat::Text => "text",
        super::LogFormat::Json => "json",
    });
    Overrides::new()
        .set("stateDir", "--state-dir", text(&common.state_dir))
        .set("socket", "--socket", text(&common.socket))
        .set("log.level", "--log-level", common.log_level.clone())
        .set("log.format", "--log-format", format)
}

/// Asks the daemon; `None` when none listens.
///
/// # Errors
/// It does not answer in time or says no.
pub fn ask(
    places: &Places,
    request: &Request,
    timeout: Duration,
) -> Result<Option<Answer>, CliError> {
    match socket::ask(&places.socket, request, timeout) {
        Ok(Some(Answer::Error { exit, message })) => {
            Err(CliError::new(Exit::from_code(exit), message))
        }
        Ok(answer) => Ok(answer),
        Err(error)
            if error.kind() == std::io::ErrorKind::WouldBlock
                || error.kind() == std::io::ErrorKind::TimedOut =>
        {
            Err(CliError::new(
                Exit::TimedOut,
                format!("the daemon did not answer within {} s", timeout.as_secs()),
            ))
        }
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
            Err(CliError::usage(format!(
                "{} belongs to the daemon's user: {error}",
                places.socket.display()
            ))
            .hint("ask as that user, or as root"))
        }
        Err(error) => Err(CliError::new(
            Exit::Failed,
            format!("{}: {error}", places.socket.display()),
        )),
    }
}

/// The store of a daemon that does not run.
///
/// # Errors
/// There is none, or somebody holds it without listening on the socket.
pub fn open_store(places: &Places) -> Result<Store, CliError> {
    if !places.state_dir.join("store").exists() {
        return Err(CliError::new(
            Exit::Failed,
            format!(
                "no daemon listens on {} and there is no store in {}",
                places.socket.display(),
                places.state_dir.display()
            ),
        )
        .hint(
            "start one with `albsync run --config FILE`, or name its configuration with --config",
        ));
    }
    Store::look(&places.state_dir).map_err(|error| match error {
        StoreError::Held { .. } => CliError::new(Exit::Failed, error.to_string()).hint(format!(
            "it does not listen on {}; name its socket with --socket",
            places.socket.display()
        )),
        error => CliError::new(Exit::Failed, chain(&error)),
    })
}

/// An answer to another question.
pub fn unexpected() -> CliError {
    CliError::new(
        Exit::Bug,
        "BUG: the daemon answered another question than was asked",
    )
}

fn packaged() -> Option<PathBuf> {
    let path = PathBuf::from("/etc/albsync/config.yaml");
    path.exists().then_some(path)
}
