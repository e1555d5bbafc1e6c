//! Where a source is: a path or a URL, taken apart without ever repeating what may be secret in it.

use std::path::PathBuf;

/// Where `source.url` points.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Location {
    /// A repository on this machine.
    Local(PathBuf),
    Remote(Remote),
}

/// An `http` or `https` URL without user, password, query or fragment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remote {
    pub secure: bool,
    /// Lower case, IPv6 addresses without brackets.
    pub host: String,
    pub port: u16,
    /// Begins with `/`.
    pub path: String,
}

impl Location {
    /// Takes `text` apart; the error says what is wrong and never repeats user or password.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Err("no repository is named".to_owned());
        }
        let Some((scheme, rest)) = text.split_once("://") else {
            return if looks_like_scp(text) {
                Err(SSH.to_owned())
            } else if text.contains('\0') {
                Err("a path cannot contain a NUL character".to_owned())
            } else {
                Ok(Self::Local(PathBuf::from(text)))
            };
        };
        match scheme.to_ascii_lowercase().as_str() {
            "file" => file_path(rest).map(Self::Local),
            "http" => remote(rest, false).map(Self::Remote),
            "https" => remote(rest, true).map(Self::Remote),
            "ssh" | "git+ssh" | "ssh+git" => Err(SSH.to_owned()),
            "git" => Err(
                "git:// URLs are neither encrypted nor authenticated and are not served".to_owned(),
            ),
            _ => Err("the URL's scheme is not file, http or https".to_owned()),
        }
    }
}

const SSH: &str = "SSH remotes are not served yet";

impl Remote {
    /// The URL, in one spelling.
    pub fn url(&self) -> String {
        format!("{}{}", self.origin(), self.path)
    }

    /// Scheme, host and port: what credentials are bound to (gitops S3).
    pub fn origin(&self) -> String {
        let scheme = if self.secure { "https" } else { "http" };
        let host = if self.host.contains(':') {
            format!("[{}]", self.host)
        } else {
            self.host.clone()
        };
        if self.port == default_port(self.secure) {
            format!("{scheme}://{host}")
        } else {
            format!("{scheme}://{host}:{}", self.port)
        }
    }

    /// Whether it never leaves this machine.
    pub fn is_loopback(&self) -> bool {
        self.host == "localhost"
            || self.host.ends_with(".localhost")
            || self
                .host
                .parse::<std::net::IpAddr>()
                .is_ok_and(|address| address.is_loopback())
    }
}

fn default_port(secure: bool) -> u16 {
    if secure { 443 } else { 80 }
}

/// `user@host:path` and `host:path`, as ssh's own tools write them; a path with a colon is written `./a:b`.
fn looks_like_scp(text: &str) -> bool {
    match text.split_once(':') {
        Some((host, _)) => !host.is_empty() && !host.contains('/'),
        None => false,
    }
}

fn file_path(rest: &str) -> Result<PathBuf, String> {
    let path = rest.strip_prefix("localhost").unwrap_or(rest);
    if !path.starts_with('/') {
        return Err("a file URL must hold an absolute path (file:///srv/git/repo)".to_owned());
    }
    percent_decoded(path)
        .map(PathBuf::from)
        .ok_or_else(|| "the file URL holds a broken %-escape".to_owned())
}

fn percent_decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        if first != b'%' {
            bytes.push(first);
            rest = tail;
            continue;
        }
        let digits = std::str::from_utf8(tail.get(..2)?).ok()?;
        if !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        rest = tail.get(2..)?;
    }
    if bytes.contains(&0) {
        return None;
    }
    String::from_utf8(bytes).ok()
}

fn remote(rest: &str, secure: bool) -> Result<Remote, String> {
    let (authority, path) = match rest.find(['/', '?', '#']) {
        Some(at) => rest.split_at(at),
        None => (rest, "/"),
    };
    if authority.contains('@') {
        return Err("the URL holds a user or password; those belong into `username`, `tokenFile` or `passwordFile`".to_owned());
    }
    if path.contains(['?', '#']) {
        return Err("the URL holds a query or fragment, which a repository has not".to_owned());
    }
    if rest.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Err("the URL holds white space".to_owned());
    }
    let (host, port) = match authority.strip_prefix('[') {
        Some(bracketed) => {
            let (host, after) = bracketed
                .split_once(']')
                .ok_or_else(|| "the URL's IPv6 address lacks its closing bracket".to_owned())?;
            if host.parse::<std::net::Ipv6Addr>().is_err() {
                return Err("the URL's brackets hold no IPv6 address".to_owned());
            }
            match after {
                "" => (host, None),
                _ => (
                    host,
                    Some(after.strip_prefix(':').ok_or("the URL's host is broken")?),
                ),
            }
        }
        None => match authority.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (authority, None),
        },
    };
    if host.is_empty() {
        return Err("the URL names no host".to_owned());
    }
    let port = match port {
        None | Some("") => default_port(secure),
        Some(text) => match text.parse::<u16>() {
            Ok(port) if port > 0 && text.bytes().all(|byte| byte.is_ascii_digit()) => port,
            _ => return Err("the URL's port is not a number from 1 to 65535".to_owned()),
        },
    };
    Ok(Remote {
        secure,
        host: host.to_ascii_lowercase(),
        port,
        path: path.to_owned(),
    })
}
