//! Whether the source can be one: place, branch, paths, credentials (gitops S4, S13).

use std::time::Duration;

use super::at_least;
use crate::{
    config::{Location, SHORTEST_INTERVAL, read::Reading},
    problem::codes,
};

/// All keys below `source`.
pub(super) fn check(reading: &mut Reading) {
    let source = reading.config.source.clone();
    let remote = match source.location() {
        Err(error) => {
            reading.complain(
                codes::CONFIG_VALUE,
                "source.url",
                format!("source.url: {error}"),
                "expected a path or a file, http or https URL",
            );
            None
        }
        Ok(Location::Local(_)) => None,
        Ok(Location::Remote(remote)) => Some(remote),
    };
    if let Err(error) = branch(&source.branch) {
        reading.complain(
            codes::CONFIG_VALUE,
            "source.branch",
            format!("source.branch is {:?}: {error}", source.branch),
            "expected a branch's name such as main, without refs/heads/",
        );
    }
    paths(reading, &source.paths);
    for (key, value, shortest) in [
        ("source.interval", source.interval, SHORTEST_INTERVAL),
        ("source.timeout", source.timeout, Duration::from_millis(100)),
    ] {
        at_least(reading, key, value, shortest);
    }
    let secret = if source.token_file.is_some() {
        "source.tokenFile"
    } else {
        "source.passwordFile"
    };
    if source.token_file.is_some() && source.password_file.is_some() {
        reading.complain(
            codes::CONFIG_VALUE,
            "source.passwordFile",
            "source.tokenFile and source.passwordFile are both set".to_owned(),
            "keep one; both are sent as the password",
        );
    }
    if source.password_file.is_some() && source.username.is_none() {
        reading.complain(
            codes::CONFIG_MISSING,
            "source.username",
            "source.passwordFile is set without source.username".to_owned(),
            "name the user, or use source.tokenFile",
        );
    }
    let credentials = source.token_file.is_some() || source.password_file.is_some();
    match remote {
        Some(remote)
            if credentials && !remote.secure && !remote.is_loopback() && !source.allow_insecure =>
        {
            reading.complain(
                codes::CONFIG_VALUE,
                "source.url",
                format!("{secret} would be sent over plain http"),
                "use https, or set source.allowInsecure: true",
            );
        }
        Some(_) => {}
        None if credentials && source.location().is_ok() => reading.complain(
            codes::CONFIG_VALUE,
            secret,
            format!("{secret} is set, but a repository on this machine takes no credentials"),
            "remove it",
        ),
        None => {}
    }
}

fn paths(reading: &mut Reading, paths: &[String]) {
    const KEY: &str = "source.paths";
    if paths.is_empty() {
        reading.complain(
            codes::CONFIG_VALUE,
            KEY,
            "source.paths is empty".to_owned(),
            "name directories of the repository, or \".\" for all of it",
        );
    }
    for (index, path) in paths.iter().enumerate() {
        let relative = path == "."
            || (!path.contains('\0')
                && path.split('/').all(|part| !matches!(part, "" | "." | "..")));
        if !relative {
            reading.complain(
                codes::CONFIG_VALUE,
                KEY,
                format!("source.paths holds {path:?}"),
                "expected a path inside the repository such as deploy/prod, without `.`, `..` and slashes at its ends",
            );
            continue;
        }
        let other = paths[..index].iter().find(|other| {
            let above = |upper: &str, lower: &str| {
                upper == "."
                    || upper == lower
                    || lower
                        .strip_prefix(upper)
                        .is_some_and(|rest| rest.starts_with('/'))
            };
            above(other, path) || above(path, other)
        });
        if let Some(other) = other {
            reading.complain(
                codes::CONFIG_VALUE,
                KEY,
                format!("source.paths holds {other:?} and {path:?}, one inside the other"),
                "keep one of them",
            );
        }
    }
}

/// Whether it can be a branch, by the rules of `git check-ref-format`.
pub(in crate::config) fn branch(name: &str) -> Result<(), &'static str> {
    if name.is_empty() {
        return Err("it is empty");
    }
    if name.starts_with("refs/") {
        return Err("it is a full ref");
    }
    if name.starts_with('-') || name == "HEAD" || name == "@" {
        return Err("git allows no such name");
    }
    if name.contains("..") || name.contains("@{") || name.contains("//") {
        return Err("it holds `..`, `@{` or `//`");
    }
    if name.chars().any(|c| {
        c.is_ascii_control() || matches!(c, ' ' | '~' | '^' | ':' | '?' | '*' | '[' | '\\')
    }) {
        return Err("it holds a character that git allows in no ref");
    }
    if name.ends_with('.') || name.starts_with('/') || name.ends_with('/') {
        return Err("it begins or ends with a slash or ends with a dot");
    }
    if name
        .split('/')
        .any(|part| part.starts_with('.') || part.ends_with(".lock"))
    {
        return Err("a part of it begins with a dot or ends with .lock");
    }
    Ok(())
}
