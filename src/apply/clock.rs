//! Time as the walk knows it: elapsing, and worth waiting for. A trait, so that tests pass hours in no time.

use std::{future::Future, time::Duration};

use async_trait::async_trait;
use tokio::time::Instant;

#[async_trait]
pub trait Clock: Send + Sync {
    /// Since some fixed moment.
    fn elapsed(&self) -> Duration;

    async fn sleep(&self, duration: Duration);
}

/// The machine's.
#[derive(Debug)]
pub struct SystemClock(Instant);

impl Default for SystemClock {
    fn default() -> Self {
        Self(Instant::now())
    }
}

#[async_trait]
impl Clock for SystemClock {
    fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }

    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }
}

/// The answer, unless it takes longer.
pub(super) async fn within<T>(
    clock: &dyn Clock,
    limit: Duration,
    call: impl Future<Output = T>,
) -> Option<T> {
    tokio::select! {
        biased;
        answer = call => Some(answer),
        () = clock.sleep(limit) => None,
    }
}
