//! The service manager's notification protocol (sd_notify(3)): ready, status line, watchdog, stopping.

use std::{
    env, io,
    os::{
        linux::net::SocketAddrExt,
        unix::net::{SocketAddr, UnixDatagram},
    },
    time::Duration,
};

/// Speaks to the service manager that started us; says nothing when there is none.
#[derive(Debug)]
pub struct Notifier {
    socket: Option<UnixDatagram>,
    /// How often the manager wants to hear from us at the least; absent: no watchdog.
    pub watchdog: Option<Duration>,
}

impl Notifier {
    /// Reads `NOTIFY_SOCKET`, `WATCHDOG_USEC` and `WATCHDOG_PID` as sd_notify(3) and sd_watchdog_enabled(3) say.
    ///
    /// # Errors
    /// The address is malformed or nobody listens there.
    pub fn from_environment() -> io::Result<Self> {
        let socket = match env::var("NOTIFY_SOCKET") {
            Ok(address) if !address.is_empty() => Some(connect(&address)?),
            _ => None,
        };
        let usec = env::var("WATCHDOG_USEC")
            .ok()
            .and_then(|text| text.parse::<u64>().ok());
        let ours = env::var("WATCHDOG_PID")
            .ok()
            .and_then(|text| text.parse::<u32>().ok())
            .is_none_or(|pid| pid == std::process::id());
        Ok(Self {
            socket,
            watchdog: usec
                .filter(|usec| ours && *usec > 0)
                .map(Duration::from_micros),
        })
    }

    /// A notifier that says nothing.
    pub fn silent() -> Self {
        Self {
            socket: None,
            watchdog: None,
        }
    }

    /// The first pass has ended, in whatever state.
    pub fn ready(&self) {
        self.send("READY=1");
    }

    /// One line for `systemctl status`; line breaks are replaced.
    pub fn status(&self, line: &str) {
        self.send(&format!("STATUS={}", line.replace(['\n', '\r'], " ")));
    }

    /// Still alive; said only where a watchdog listens.
    pub fn alive(&self) {
        if self.watchdog.is_some() {
            self.send("WATCHDOG=1");
        }
    }

    /// Starting takes longer: the manager waits for this long from now.
    pub fn extend_start(&self, by: Duration) {
        self.send(&format!("EXTEND_TIMEOUT_USEC={}", by.as_micros()));
    }

    /// We are leaving.
    pub fn stopping(&self) {
        self.send("STOPPING=1");
    }

    fn send(&self, message: &str) {
        if let Some(socket) = &self.socket
            && let Err(error) = socket.send(message.as_bytes())
        {
            // The manager may be restarting; there is nothing to do about it and nothing depends on it.
            tracing::debug!(%error, "service manager not notified");
        }
    }
}

/// Connects to a path, or to an abstract address where the text begins with `@`.
fn connect(address: &str) -> io::Result<UnixDatagram> {
    let socket = UnixDatagram::unbound()?;
    // A manager that does not read must not stop us.
    socket.set_nonblocking(true)?;
    let address = match address.strip_prefix('@') {
        Some(name) => SocketAddr::from_abstract_name(name.as_bytes())?,
        None => SocketAddr::from_pathname(address)?,
    };
    socket.connect_addr(&address)?;
    Ok(socket)
}
