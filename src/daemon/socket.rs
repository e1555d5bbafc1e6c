//! The local socket: one JSON request a line, one JSON answer a line. Only the daemon's own user may connect.

use std::{
    io::{self, BufRead, BufReader, Write},
    os::unix::{fs::PermissionsExt, net::UnixStream},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use futures::future::BoxFuture;
use serde::{Deserialize, Serialize};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt},
    net::UnixListener,
};

use super::History;
use crate::{
    converge::preview::{Preview, PreviewTarget},
    model::settings::Checks,
    report::Status,
};

/// A longer request is refused.
const REQUEST_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// A Unix socket's path has room for this many bytes.
const PATH_BYTES_MAX: usize = 107;

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "verb")]
pub enum Request {
    Status,
    History {
        limit: usize,
        calls: bool,
    },
    Plan {
        target: PreviewTarget,
        /// Whose checks hold for this plan; absent: the daemon's own.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        checks: Option<Checks>,
    },
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Answer {
    Status(Box<Status>),
    History(Box<History>),
    Plan(Box<Preview>),
    /// The daemon could not answer: exit code and text for people.
    Error {
        exit: u8,
        message: String,
    },
}

/// Where the daemon listens when nothing is configured: the runtime directory under systemd (`RUNTIME_DIRECTORY`, or
/// `/run/albsync` for the packaged state directory), else beside the state.
pub fn default_path(state_dir: &Path) -> PathBuf {
    let runtime = std::env::var_os("RUNTIME_DIRECTORY").filter(|dir| !dir.is_empty());
    let directory = match runtime {
        // systemd separates several directories by colons; ours is the first.
        Some(dir) => PathBuf::from(dir.to_string_lossy().split(':').next().unwrap_or_default()),
        None if state_dir == Path::new("/var/lib/albsync") => PathBuf::from("/run/albsync"),
        None => state_dir.to_path_buf(),
    };
    directory.join("albsync.sock")
}

/// Binds the socket, replacing one that a killed daemon left. The caller holds the store, so nobody else listens there.
///
/// # Errors
/// The directory is missing or not writable, or the path is too long for a socket.
pub fn bind(path: &Path) -> io::Result<UnixListener> {
    if path.as_os_str().len() > PATH_BYTES_MAX {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            format!(
                "{} is longer than the {PATH_BYTES_MAX} bytes that a socket's path may have",
                path.display()
            ),
        ));
    }
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent)?;
    }
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}

/// Says what a request is answered with.
pub type Answerer = Arc<dyn Fn(Request) -> BoxFuture<'static, Answer> + Send + Sync>;

/// Answers requests until the task is dropped.
pub async fn serve(listener: UnixListener, answer: Answerer) {
    loop {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "socket: connection not accepted");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let answer = Arc::clone(&answer);
        tokio::spawn(async move {
            let (read, mut write) = stream.into_split();
            let mut line = String::new();
            let mut reader = tokio::io::BufReader::new(read.take(REQUEST_BYTES_MAX));
            let reply = match reader.read_line(&mut line).await {
                Ok(0) | Err(_) => return,
                Ok(_) => match serde_json::from_str(&line) {
                    Ok(request) => answer(request).await,
                    Err(error) => Answer::Error {
                        exit: 2,
                        message: format!("not a request: {error}"),
                    },
                },
            };
            if let Ok(mut text) = serde_json::to_vec(&reply) {
                text.push(b'\n');
                // The asker may have gone; that is its business.
                let _ = write.write_all(&text).await;
            }
        });
    }
}

/// Asks the daemon. `Ok(None)`: nobody listens there.
///
/// # Errors
/// The connection breaks, the answer does not come in time or is none.
pub fn ask(path: &Path, request: &Request, timeout: Duration) -> io::Result<Option<Answer>> {
    let mut stream = match UnixStream::connect(path) {
        Ok(stream) => stream,
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused
            ) =>
        {
            return Ok(None);
        }
        Err(error) => return Err(error),
    };
    stream.set_read_timeout(Some(timeout))?;
    stream.set_write_timeout(Some(timeout))?;
    let mut text = serde_json::to_vec(request)?;
    text.push(b'\n');
    stream.write_all(&text)?;
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line)?;
    if line.is_empty() {
        return Err(io::Error::new(
            io::ErrorKind::UnexpectedEof,
            "the daemon left before it answered",
        ));
    }
    Ok(Some(serde_json::from_str(&line)?))
}
