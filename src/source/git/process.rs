//! What libgit2 can only be told for the whole process: network deadlines and certificates.
//!
//! The only place of the crate that may hold `unsafe`: git2 marks these setters so because they write C globals
//! without a lock. The test below holds us to that.
#![allow(unsafe_code)]

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    sync::{Mutex, Once, PoisonError},
};

/// To connect to one address of a server.
const CONNECT_TIMEOUT_MS: i32 = 10_000;
/// Silence of a connected server (lessons E1: libgit2 itself would wait for ever).
const IDLE_TIMEOUT_MS: i32 = 20_000;

static TIMEOUTS: Once = Once::new();
static TRUSTED: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());

/// Sets libgit2's network deadlines; must run before anything connects, so every [`super::Mirror`] is opened by it.
pub(super) fn set_timeouts() {
    TIMEOUTS.call_once(|| {
        // SAFETY: these write two C integers that only libgit2's connecting code reads. All our connecting is done by
        // mirrors, each opened after this has returned (`Once` orders that), and nothing else in the process writes them.
        let set = unsafe {
            git2::opts::set_server_connect_timeout_in_milliseconds(CONNECT_TIMEOUT_MS)
                .and_then(|()| git2::opts::set_server_timeout_in_milliseconds(IDLE_TIMEOUT_MS))
        };
        if let Err(error) = set {
            tracing::warn!(%error, "cannot set network deadlines of git");
        }
    });
}

/// Trusts the certificates of a PEM file besides the system's, in the whole process and until its end.
pub(super) fn trust(file: &Path) -> Result<(), git2::Error> {
    let mut trusted = TRUSTED.lock().unwrap_or_else(PoisonError::into_inner);
    if !trusted.contains(file) {
        // SAFETY: the lock keeps two of these calls apart. The call adds to OpenSSL's certificate store, which has a
        // lock of its own against connections that read it.
        unsafe { git2::opts::set_ssl_cert_file(file) }?;
        trusted.insert(file.to_owned());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    /// All files below `dir` that switch the lint off.
    fn exempt(dir: &Path, into: &mut Vec<String>) {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                exempt(&path, into);
            } else if fs::read_to_string(&path).is_ok_and(|text| {
                text.contains(concat!("allow(", "unsafe_code"))
                    || text.contains(concat!("unsafe", " {"))
            }) {
                into.push(path.display().to_string());
            }
        }
    }

    #[test]
    fn no_other_file_holds_unsafe_code() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut found = Vec::new();
        exempt(&root.join("src"), &mut found);
        let this = root.join("src/source/git/process.rs").display().to_string();
        assert_eq!(found, [this]);
    }
}
