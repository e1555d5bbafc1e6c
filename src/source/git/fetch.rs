//! One fetch: connect, look at the tip, transfer what is missing, move our ref.

use std::{
    cell::RefCell,
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use git2::{
    AutotagOption, Cred, CredentialType, Direction, ErrorClass, ErrorCode, FetchOptions,
    ProxyOptions, RemoteCallbacks, Repository,
};

use crate::{
    config::{Location, SourceConfig},
    id::Revision,
    source::SourceError,
};

/// Branches that an error names.
const SHOWN_BRANCHES: usize = 5;
/// The user name that goes with a token: most servers want any, as long as there is one.
const TOKEN_USER: &str = "git";

/// What is to be fetched, from where, by which rules.
#[derive(Debug)]
pub(super) struct Order {
    pub(super) mirror: PathBuf,
    /// What libgit2 is given.
    pub(super) address: String,
    /// What people are shown; the same, since no URL with a user in it gets here.
    pub(super) shown: String,
    pub(super) timeout: Duration,
    pub(super) tip_ref: String,
    branch: String,
    local: Option<PathBuf>,
    /// Scheme, host and port that credentials are for; absent where none are ever sent.
    origin: Option<String>,
    username: Option<String>,
    secret: Option<PathBuf>,
}

impl Order {
    pub(super) fn new(location: &Location, config: &SourceConfig) -> Result<Self, SourceError> {
        let (address, local, origin) = match location {
            Location::Local(path) => {
                let path = std::path::absolute(path).unwrap_or_else(|_| path.clone());
                let Some(text) = path.to_str() else {
                    return Err(SourceError::Unsupported {
                        what: "a path that is not UTF-8".to_owned(),
                        detail: path.display().to_string(),
                    });
                };
                (text.to_owned(), Some(path.clone()), None)
            }
            Location::Remote(remote) => {
                let bound = remote.secure || remote.is_loopback() || config.allow_insecure;
                (remote.url(), None, bound.then(|| remote.origin()))
            }
        };
        Ok(Self {
            mirror: PathBuf::new(),
            shown: address.clone(),
            address,
            timeout: config.timeout,
            tip_ref: format!("refs/albsync/tip/{}", config.branch),
            branch: config.branch.clone(),
            local,
            origin,
            username: config.username.clone(),
            secret: config
                .token_file
                .clone()
                .or_else(|| config.password_file.clone()),
        })
    }
}

/// Whether anybody still waits for a fetch.
#[derive(Clone, Debug)]
pub(super) struct Live {
    waited_for: Arc<Mutex<bool>>,
    deadline: Instant,
}

impl Live {
    pub(super) fn until(timeout: Duration) -> Self {
        Self {
            waited_for: Arc::new(Mutex::new(true)),
            deadline: Instant::now() + timeout,
        }
    }

    /// From now on the fetch changes nothing that anybody sees.
    pub(super) fn abandon(&self) {
        *self
            .waited_for
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = false;
    }

    fn is_over(&self) -> bool {
        Instant::now() >= self.deadline
            || !*self
                .waited_for
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs `last` unless the fetch was abandoned; it cannot be abandoned meanwhile.
    fn finally<T>(&self, last: impl FnOnce() -> T) -> Option<T> {
        let waited_for = self
            .waited_for
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        waited_for.then(last)
    }
}

/// Does it, on the calling thread.
pub(super) fn fetch(order: &Order, live: &Live) -> Result<Revision, SourceError> {
    let offer = RefCell::new(Offer::default());
    let outcome = transfer(order, live, &offer);
    outcome.map_err(|failure| match failure {
        Failure::Git(error) => explained(order, live, &offer.borrow(), &error),
        Failure::Ours(error) => error,
    })
}

enum Failure {
    Git(git2::Error),
    Ours(SourceError),
}

impl From<git2::Error> for Failure {
    fn from(error: git2::Error) -> Self {
        Self::Git(error)
    }
}

fn transfer(order: &Order, live: &Live, offer: &RefCell<Offer>) -> Result<Revision, Failure> {
    if let Some(path) = &order.local {
        // Asked here, since libgit2 complains obscurely when it connects to such a place.
        Repository::open(path).map_err(|error| match error.code() {
            ErrorCode::NotFound => Failure::Ours(SourceError::RemoteUnavailable {
                url: order.shown.clone(),
                detail: format!("there is no git repository at {}", path.display()),
            }),
            ErrorCode::Owner => Failure::Ours(SourceError::ForeignOwner { path: path.clone() }),
            _ => Failure::Git(error),
        })?;
    }
    let mirror = Repository::open_bare(&order.mirror).map_err(|error| {
        Failure::Ours(SourceError::MirrorUnusable {
            path: order.mirror.clone(),
            detail: error.message().to_owned(),
        })
    })?;
    let branch_ref = format!("refs/heads/{}", order.branch);
    let mut remote = mirror.remote_anonymous(&order.address)?;
    let mut proxy = ProxyOptions::new();
    proxy.auto();
    let mut connection = remote.connect_auth(
        Direction::Fetch,
        Some(callbacks(order, live, offer)),
        Some(proxy),
    )?;
    let heads: Vec<(String, git2::Oid)> = connection
        .list()?
        .iter()
        .map(|head| (head.name().to_owned(), head.oid()))
        .collect();
    let Some(tip) = heads
        .iter()
        .find_map(|(name, oid)| (*name == branch_ref).then_some(*oid))
    else {
        return Err(Failure::Ours(no_branch(order, &heads)));
    };
    if mirror.refname_to_id(&order.tip_ref).ok() != Some(tip) || mirror.find_commit(tip).is_err() {
        let mut proxy = ProxyOptions::new();
        proxy.auto();
        let mut options = FetchOptions::new();
        options
            .remote_callbacks(callbacks(order, live, offer))
            .proxy_options(proxy)
            .download_tags(AutotagOption::None)
            .update_fetchhead(false);
        forget_dangling(&mirror)?;
        connection.remote().download(
            &[format!("+{branch_ref}:{}", order.tip_ref)],
            Some(&mut options),
        )?;
        drop(connection);
        mirror.find_commit(tip)?;
        live.finally(|| mirror.reference(&order.tip_ref, tip, true, "albsync: fetched"))
            .ok_or_else(|| Failure::Ours(given_up(order)))??;
    }
    Ok(Revision::new(tip.to_string()))
}

/// Deletes refs of ours that lead nowhere, so that what is missing is asked for again.
fn forget_dangling(mirror: &Repository) -> Result<(), git2::Error> {
    for reference in mirror.references_glob("refs/albsync/*")? {
        let mut reference = reference?;
        if reference.peel_to_commit().is_err() {
            tracing::warn!(name = %reference.name().unwrap_or_default(), "a commit is missing in the mirror");
            reference.delete()?;
        }
    }
    Ok(())
}

fn no_branch(order: &Order, heads: &[(String, git2::Oid)]) -> SourceError {
    let branches: Vec<String> = heads
        .iter()
        .filter_map(|(name, _)| name.strip_prefix("refs/heads/"))
        .map(str::to_owned)
        .collect();
    if branches.is_empty() && heads.iter().all(|(name, _)| name == "HEAD") {
        return SourceError::EmptyRepository {
            url: order.shown.clone(),
        };
    }
    SourceError::BranchNotFound {
        url: order.shown.clone(),
        branch: order.branch.clone(),
        branches: branches.into_iter().take(SHOWN_BRANCHES).collect(),
    }
}

fn given_up(order: &Order) -> SourceError {
    SourceError::Timeout {
        url: order.shown.clone(),
        after: order.timeout,
        detail: "the fetch was given up".to_owned(),
    }
}

/// What came of the server's wish for credentials.
#[derive(Default)]
struct Offer {
    /// libgit2 asks for ever when the answer stays wrong, so each is given once (lessons E2).
    made: bool,
    /// Why there is nothing (more) to offer.
    refusal: Option<String>,
}

fn callbacks<'a>(
    order: &'a Order,
    live: &'a Live,
    offer: &'a RefCell<Offer>,
) -> RemoteCallbacks<'a> {
    let mut callbacks = RemoteCallbacks::new();
    callbacks.credentials(move |url, _, allowed| {
        let mut offer = offer.borrow_mut();
        credentials(order, &mut offer, url, allowed).map_err(|detail| {
            offer.refusal = Some(detail.clone());
            git2::Error::new(ErrorCode::Auth, ErrorClass::Http, detail)
        })
    });
    callbacks.transfer_progress(|_| !live.is_over());
    callbacks.sideband_progress(|_| !live.is_over());
    callbacks
}

fn credentials(
    order: &Order,
    offer: &mut Offer,
    url: &str,
    allowed: CredentialType,
) -> Result<Cred, String> {
    if std::mem::replace(&mut offer.made, true) {
        return Err(
            "the credentials of the configuration were offered and not accepted".to_owned(),
        );
    }
    let Some(file) = &order.secret else {
        return Err(
            "it asks for credentials, and neither source.tokenFile nor source.passwordFile is set"
                .to_owned(),
        );
    };
    let Some(origin) = &order.origin else {
        return Err(
            "it asks for credentials over plain http; use https, or set source.allowInsecure"
                .to_owned(),
        );
    };
    let asking = match Location::parse(url) {
        Ok(Location::Remote(remote)) => remote.origin(),
        _ => "another place".to_owned(),
    };
    if asking != *origin {
        return Err(format!(
            "it leads to {asking}, which gets no credentials that are meant for {origin}"
        ));
    }
    if !allowed.contains(CredentialType::USER_PASS_PLAINTEXT) {
        return Err("it accepts neither token nor password".to_owned());
    }
    let secret = secret(file)?;
    Cred::userpass_plaintext(order.username.as_deref().unwrap_or(TOKEN_USER), &secret)
        .map_err(|_| format!("{} holds a NUL character", file.display()))
}

/// Read anew each time, so that tokens can be rotated under us.
fn secret(file: &Path) -> Result<String, String> {
    let text = fs::read_to_string(file)
        .map_err(|error| format!("{} cannot be read: {}", file.display(), error.kind()))?;
    let text = text.trim_end_matches(['\r', '\n']);
    if text.is_empty() {
        return Err(format!("{} is empty", file.display()));
    }
    Ok(text.to_owned())
}

/// Which of our reasons libgit2's error is. Its texts hold URLs and statuses, never credentials: those are only in
/// the callback's answer and in headers, which it does not print.
fn explained(order: &Order, live: &Live, offer: &Offer, error: &git2::Error) -> SourceError {
    let url = order.shown.clone();
    let message = error.message();
    let unavailable = |detail: String| SourceError::RemoteUnavailable {
        url: url.clone(),
        detail,
    };
    if let Some(detail) = &offer.refusal {
        return SourceError::AuthenticationFailed {
            url,
            detail: detail.clone(),
        };
    }
    if live.is_over() || error.code() == ErrorCode::Timeout || message.contains("timed out") {
        return SourceError::Timeout {
            url,
            after: order.timeout,
            detail: message.to_owned(),
        };
    }
    match (error.code(), error.class()) {
        (ErrorCode::Auth, _) => SourceError::AuthenticationFailed {
            url,
            detail: message.to_owned(),
        },
        (ErrorCode::Certificate, _) | (_, ErrorClass::Ssl) => SourceError::CertificateUntrusted {
            url,
            detail: message.to_owned(),
        },
        (_, ErrorClass::Http) if message.ends_with("status code: 403") => {
            SourceError::AuthenticationFailed {
                url,
                detail: "it answers 403 (forbidden)".to_owned(),
            }
        }
        (_, ErrorClass::Http) if message.ends_with("status code: 404") => unavailable(
            "it answers 404: there is no such repository, or it is hidden from these credentials"
                .to_owned(),
        ),
        (_, ErrorClass::Odb | ErrorClass::Object | ErrorClass::Zlib | ErrorClass::Indexer)
        | (ErrorCode::HashsumMismatch, _) => SourceError::Corrupt {
            detail: message.to_owned(),
        },
        _ => unavailable(message.to_owned()),
    }
}
