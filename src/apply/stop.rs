//! How a running plan is told to end early.

use tokio::sync::watch;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopReason {
    /// The daemon leaves: the running call gets the grace period to end (gitops Q8).
    Shutdown,
    /// A newer commit took over: the running call ends by itself (gitops G17).
    Superseded,
}

impl StopReason {
    pub fn text(self) -> &'static str {
        match self {
            Self::Shutdown => "the daemon was told to stop",
            Self::Superseded => "a newer commit took over",
        }
    }
}

/// The end that tells.
#[derive(Debug)]
pub struct Stopper(watch::Sender<Option<StopReason>>);

/// The end that listens. Clones hear the same.
#[derive(Clone, Debug)]
pub struct Stop(watch::Receiver<Option<StopReason>>);

impl Stop {
    pub fn pair() -> (Stopper, Self) {
        let (sender, receiver) = watch::channel(None);
        (Stopper(sender), Self(receiver))
    }

    /// One that never comes.
    pub fn never() -> Self {
        Self::pair().1
    }

    pub fn reason(&self) -> Option<StopReason> {
        *self.0.borrow()
    }

    /// Ends when told to stop; never, when nobody is left to tell.
    pub async fn told(&self) -> StopReason {
        let mut receiver = self.0.clone();
        loop {
            if let Some(reason) = *receiver.borrow_and_update() {
                return reason;
            }
            if receiver.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }
}

impl Stop {
    /// Ends when the word changes; never, when nobody is left to tell.
    pub(super) async fn changed(&self) {
        let mut receiver = self.0.clone();
        let before = *receiver.borrow_and_update();
        while *receiver.borrow_and_update() == before {
            if receiver.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }
}

impl Stopper {
    /// Leaving outranks being superseded; being told again changes nothing.
    pub fn stop(&self, reason: StopReason) {
        self.0.send_if_modified(|told| {
            let change = *told != Some(StopReason::Shutdown) && *told != Some(reason);
            if change {
                *told = Some(reason);
            }
            change
        });
    }
}
