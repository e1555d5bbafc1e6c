//! The long-running process: one loop that turns events into passes. What to do when is `schedule`'s; how, `converge`'s.

use std::{
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize};
use tokio::{
    net::UnixListener,
    signal::unix::{Signal, SignalKind, signal},
    sync::mpsc,
    task::JoinHandle,
};

use crate::{
    apply::{Stop, StopReason, Stopper},
    cluster::ClusterChange,
    config::Location,
    converge::{self, Context, PassEnd, preview},
    id::Revision,
    plan::history::RevisionRecord,
    report::{Status, now},
    source::{SourceError, watch},
    store::{JournaledPlan, Store, StoreError},
};

pub mod schedule;
pub mod socket;
pub mod systemd;

use schedule::{Cadence, Command, Event, Millis, Schedule};
use socket::{Answer, Request};
use systemd::Notifier;

/// How long the service manager is asked to wait while the first pass goes on.
const START_EXTENSION: Duration = Duration::from_secs(60);
/// How often the loop wakes up for the watchdog and the status line at the least.
const HEARTBEAT: Duration = Duration::from_secs(5);
/// Changes in the cluster that come within this time are one event.
const CLUSTER_DEBOUNCE: Duration = Duration::from_millis(200);

/// What `history` answers.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct History {
    /// Newest first.
    pub commits: Vec<RevisionRecord>,
    /// The journal's plans with their entries, newest first; empty unless asked for.
    #[serde(default)]
    pub plans: Vec<JournaledPlan>,
}

/// Reads the history from a store.
///
/// # Errors
/// The store cannot be read.
pub fn history(store: &Store, limit: usize, calls: bool) -> Result<History, StoreError> {
    let plans = if calls {
        store.plans(limit.saturating_mul(2))?
    } else {
        Vec::new()
    };
    Ok(History {
        commits: store.revisions(limit),
        plans,
    })
}

/// Something the loop hears.
enum Heard {
    Schedule(Event),
    /// Pods came or went behind Services.
    PodsChanged,
    Source(Result<Revision, SourceError>),
    PassEnded(PassEnd),
}

/// Runs until it is told to leave; then the running operation is ended and recorded.
pub async fn run(cx: Context, listener: UnixListener, changes: mpsc::Receiver<ClusterChange>) {
    let notifier = Notifier::from_environment().unwrap_or_else(|error| {
        tracing::warn!(%error, "the service manager cannot be notified");
        Notifier::silent()
    });
    // From the first moment on: what an earlier run left may take a while to settle.
    let mut signals = match Signals::new() {
        Ok(signals) => signals,
        Err(error) => {
            tracing::error!(%error, "signals cannot be received");
            return;
        }
    };
    let cx = Arc::new(cx);
    let (tell, hear) = mpsc::channel(64);
    let server = tokio::spawn(serve(Arc::clone(&cx), listener));
    let watcher = watch_source(&cx, &tell);
    let forward = tokio::spawn(forward_changes(changes, tell.clone()));

    Loop::new(&cx, tell, notifier).run(hear, &mut signals).await;

    server.abort();
    forward.abort();
    drop(watcher);
    if let Err(error) = cx.store.close() {
        tracing::error!(%error, "the store could not be closed cleanly");
    }
    tracing::info!("left");
}

/// How often to give a sign of life.
fn beat(notifier: &Notifier) -> Duration {
    notifier
        .watchdog
        .map_or(HEARTBEAT, |period| HEARTBEAT.min(period / 2))
}

/// What tells us to leave.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    async fn told(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

struct Loop<'a> {
    cx: &'a Arc<Context>,
    schedule: Schedule,
    began: Instant,
    tell: mpsc::Sender<Heard>,
    notifier: Notifier,
    /// Of the running pass.
    pass: Option<(Stopper, JoinHandle<()>)>,
    ready: bool,
    leaving: bool,
}

impl<'a> Loop<'a> {
    fn new(cx: &'a Arc<Context>, tell: mpsc::Sender<Heard>, notifier: Notifier) -> Self {
        let cadence = Cadence {
            poll_ms: millis(cx.config.source.interval),
            sweep_ms: millis(cx.config.sweep.period),
        };
        Self {
            cx,
            schedule: Schedule::new(cadence, 0),
            began: Instant::now(),
            tell,
            notifier,
            pass: None,
            ready: false,
            leaving: false,
        }
    }

    async fn run(mut self, mut hear: mpsc::Receiver<Heard>, signals: &mut Signals) {
        self.on(Event::Tick);
        loop {
            let wait = Duration::from_millis(self.schedule.next_tick().saturating_sub(self.now()))
                .min(beat(&self.notifier));
            tokio::select! {
                heard = hear.recv() => match heard {
                    Some(heard) => self.heard(heard),
                    None => break,
                },
                () = tokio::time::sleep(wait) => self.on(Event::Tick),
                () = signals.told() => break,
            }
            self.notify();
        }
        self.leave().await;
    }

    fn heard(&mut self, heard: Heard) {
        match heard {
            Heard::Schedule(event) => self.on(event),
            Heard::PodsChanged if self.cx.world.follows_pods() => self.on(Event::ClusterChanged),
            Heard::PodsChanged => {}
            Heard::Source(Ok(revision)) => {
                self.cx.reporter.source_ready();
                self.on(Event::Fetched(revision));
            }
            Heard::Source(Err(error)) => {
                tracing::warn!(reason = error.reason(), %error, "the repository cannot be fetched");
                self.cx
                    .reporter
                    .source_failed(error.reason(), &error.to_string());
                self.on(Event::FetchFailed);
            }
            Heard::PassEnded(end) => {
                self.pass = None;
                if !self.ready {
                    self.ready = true;
                    self.notifier.ready();
                }
                self.on(match end {
                    PassEnd::Complete => Event::PassComplete,
                    PassEnd::Incomplete => Event::PassIncomplete,
                    PassEnd::Interrupted => Event::PassInterrupted,
                    PassEnd::Stopped => Event::PassStopped,
                });
            }
        }
    }

    fn on(&mut self, event: Event) {
        let now = self.now();
        for command in self.schedule.on(event, now) {
            match command {
                Command::Fetch => self.fetch(),
                Command::Pass { trigger, revision } => self.begin(trigger, revision),
                Command::Preempt => {
                    if let Some((stopper, _)) = &self.pass {
                        stopper.stop(StopReason::Superseded);
                    }
                }
            }
        }
        let ahead = Duration::from_millis(self.schedule.sweep_at().saturating_sub(now));
        let at = jiff::Timestamp::now()
            .checked_add(jiff::SignedDuration::from_millis(
                i64::try_from(ahead.as_millis()).unwrap_or(i64::MAX),
            ))
            .map(|at| at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string())
            .ok();
        self.cx.reporter.change(|status| status.next_sweep_at = at);
    }

    fn fetch(&self) {
        let source = Arc::clone(&self.cx.source);
        let tell = self.tell.clone();
        tokio::spawn(async move {
            let fetched = match tokio::task::spawn_blocking(move || source.fetch()).await {
                Ok(fetched) => fetched,
                Err(error) => Err(SourceError::Corrupt {
                    detail: format!("BUG: fetching panicked: {error}"),
                }),
            };
            let _ = tell.send(Heard::Source(fetched)).await;
        });
    }

    fn begin(&mut self, trigger: schedule::Trigger, revision: Option<Revision>) {
        let (stopper, stop) = Stop::pair();
        let cx = Arc::clone(self.cx);
        let tell = self.tell.clone();
        let pass = tokio::spawn(async move {
            // A panic in a pass is a bug of ours; the daemon goes on and tries again (gitops Q4).
            let pass = tokio::spawn(async move {
                converge::converge(&cx, &stop, trigger, revision.as_ref()).await
            });
            let end = pass.await.unwrap_or_else(|error| {
                tracing::error!(%error, "BUG: a pass panicked");
                PassEnd::Stopped
            });
            let _ = tell.send(Heard::PassEnded(end)).await;
        });
        self.pass = Some((stopper, pass));
    }

    /// No new operation from here on; the running one may end within the grace period.
    async fn leave(&mut self) {
        self.leaving = true;
        tracing::info!("leaving");
        self.notifier.stopping();
        if let Some((stopper, pass)) = self.pass.take() {
            stopper.stop(StopReason::Shutdown);
            let grace = self.cx.config.shutdown_grace;
            if tokio::time::timeout(grace, pass).await.is_err() {
                // Its intent is in the journal: the next start finds out what became of it.
                tracing::warn!(
                    grace_s = grace.as_secs(),
                    "the running operation did not end in time"
                );
            }
        }
    }

    fn notify(&self) {
        self.notifier.alive();
        let status = self.cx.reporter.status();
        self.notifier.status(&status.line());
        if !self.ready {
            self.notifier.extend_start(START_EXTENSION);
        }
    }

    fn now(&self) -> Millis {
        millis(self.began.elapsed())
    }
}

fn millis(duration: Duration) -> Millis {
    Millis::try_from(duration.as_millis()).unwrap_or(Millis::MAX)
}

/// A local repository tells of new commits by its refs; everything else is polled.
fn watch_source(cx: &Context, tell: &mpsc::Sender<Heard>) -> Option<watch::Watcher> {
    let Ok(Location::Local(path)) = cx.config.source.location() else {
        return None;
    };
    let (hint, mut hints) = mpsc::channel(1);
    match watch::watch_refs(&path, hint) {
        Ok(watcher) => {
            let tell = tell.clone();
            tokio::spawn(async move {
                while hints.recv().await.is_some() {
                    if tell.send(Heard::Schedule(Event::SourceHint)).await.is_err() {
                        return;
                    }
                }
            });
            Some(watcher)
        }
        Err(error) => {
            tracing::warn!(%error, "the repository's refs cannot be watched; it is polled");
            None
        }
    }
}

/// Many changes come together: one look is enough. Echoes of our own writes are no news.
async fn forward_changes(mut changes: mpsc::Receiver<ClusterChange>, tell: mpsc::Sender<Heard>) {
    while let Some(change) = changes.recv().await {
        let is_pods = |change: &ClusterChange| change.object.kind == "EndpointSlice";
        let mut news = !change.ours && !is_pods(&change);
        let mut pods = is_pods(&change);
        let deadline = tokio::time::Instant::now() + CLUSTER_DEBOUNCE;
        while let Ok(Some(more)) = tokio::time::timeout_at(deadline, changes.recv()).await {
            news |= !more.ours && !is_pods(&more);
            pods |= is_pods(&more);
        }
        let heard = match (news, pods) {
            (true, _) => Heard::Schedule(Event::ClusterChanged),
            (false, true) => Heard::PodsChanged,
            (false, false) => continue,
        };
        if tell.send(heard).await.is_err() {
            return;
        }
    }
}

async fn serve(cx: Arc<Context>, listener: UnixListener) {
    let answerer: socket::Answerer = Arc::new(move |request| {
        let cx = Arc::clone(&cx);
        Box::pin(answer(cx, request))
    });
    socket::serve(listener, answerer).await;
}

async fn answer(cx: Arc<Context>, request: Request) -> Answer {
    match request {
        Request::Status => Answer::Status(Box::new(cx.reporter.status())),
        Request::History { limit, calls } => match history(&cx.store, limit, calls) {
            Ok(history) => Answer::History(Box::new(history)),
            Err(error) => Answer::Error {
                exit: 6,
                message: error.to_string(),
            },
        },
        Request::Plan { target, checks } => match preview::under(&cx, target, checks).await {
            Ok(preview) => Answer::Plan(Box::new(preview)),
            Err(error) => Answer::Error {
                exit: error.exit,
                message: error.message,
            },
        },
    }
}

/// The status of a daemon that has just begun.
pub fn first_status(config: &crate::config::Config) -> Status {
    Status {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        installation: config.installation.clone().unwrap_or_default(),
        pid: std::process::id(),
        started_at: now(),
        source: crate::report::SourceStatus {
            url: config.source.url.clone(),
            branch: config.source.branch.clone(),
            ..crate::report::SourceStatus::default()
        },
        ..Status::default()
    }
}

/// Where the socket of this configuration is.
pub fn socket_path(config: &crate::config::Config) -> PathBuf {
    config
        .socket
        .clone()
        .unwrap_or_else(|| socket::default_path(&config.state_dir))
}
