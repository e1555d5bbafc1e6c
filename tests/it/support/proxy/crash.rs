//! Crash points: the world stops at a given write until the test has killed the daemon (testbed-aws.md §8, P13).

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::decode::{Call, Plane};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The server never hears of the write.
    Before,
    /// The server has carried it out, but the daemon never hears of that.
    After,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CrashPoint {
    /// Which write, counted from 1 since the point was armed.
    pub nth: usize,
    pub side: Side,
    /// Count only writes to this plane; without it, those to both.
    pub plane: Option<Plane>,
}

/// An armed crash point. Dropping it lets everything go on; what was held is never answered.
pub struct Crash {
    crashes: Arc<Crashes>,
}

impl Crash {
    pub(super) fn arm(crashes: &Arc<Crashes>, point: CrashPoint) -> Crash {
        crashes.lock().armed = Some(Armed {
            point,
            seen: 0,
            hit: false,
            reached: None,
        });
        Crash {
            crashes: Arc::clone(crashes),
        }
    }

    /// Waits until the write has come and, for `Side::After`, been carried out. None: it has not come in time.
    pub fn reached(&self, timeout: Duration) -> Option<Call> {
        let deadline = Instant::now() + timeout;
        let mut state = self.crashes.lock();
        loop {
            if let Some(call) = state.armed.as_ref().and_then(|armed| armed.reached.clone()) {
                return Some(call);
            }
            let left = deadline.checked_duration_since(Instant::now())?;
            state = self
                .crashes
                .changed
                .wait_timeout(state, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }

    /// The number of writes counted so far.
    pub fn seen(&self) -> usize {
        self.crashes
            .lock()
            .armed
            .as_ref()
            .map_or(0, |armed| armed.seen)
    }
}

impl Drop for Crash {
    fn drop(&mut self) {
        self.crashes.disarm();
    }
}

/// What a write is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Pass,
    HoldBefore,
    HoldAfter,
    /// The crash point is reached already: as far as the server is concerned the daemon is dead.
    Frozen,
}

#[derive(Default)]
pub(super) struct Crashes {
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    armed: Option<Armed>,
    /// Counts the releases: whoever holds a call waits for the next.
    released: watch::Sender<u64>,
}

struct Armed {
    point: CrashPoint,
    seen: usize,
    hit: bool,
    reached: Option<Call>,
}

impl Default for State {
    fn default() -> State {
        State {
            armed: None,
            released: watch::Sender::new(0),
        }
    }
}

impl Crashes {
    pub(super) fn see(&self, call: &Call) -> Verdict {
        let mut state = self.lock();
        let Some(armed) = &mut state.armed else {
            return Verdict::Pass;
        };
        if armed.hit {
            return Verdict::Frozen;
        }
        if armed.point.plane.is_some_and(|plane| plane != call.plane) {
            return Verdict::Pass;
        }
        armed.seen += 1;
        if armed.seen < armed.point.nth {
            return Verdict::Pass;
        }
        armed.hit = true;
        match armed.point.side {
            Side::Before => Verdict::HoldBefore,
            Side::After => Verdict::HoldAfter,
        }
    }

    /// Tells the test (if this is the call that it waits for), and waits for the release.
    pub(super) async fn hold(&self, call: &Call, verdict: &Verdict) {
        let mut released = {
            let mut state = self.lock();
            // Subscribed under the lock: a release can't slip in between.
            let released = state.released.subscribe();
            match &mut state.armed {
                Some(armed) if *verdict != Verdict::Frozen => armed.reached = Some(call.clone()),
                Some(_) => {}
                None => return,
            }
            released
        };
        self.changed.notify_all();
        let _ = released.changed().await;
    }

    pub(super) fn disarm(&self) {
        let mut state = self.lock();
        state.armed = None;
        state.released.send_modify(|count| *count += 1);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
