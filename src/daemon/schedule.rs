//! When to do what: decides without waiting and without a clock of its own. Pure.
//!
//! One pass and one fetch run at a time. A fetched commit pre-empts a running pass (gitops G17); sweeps, cluster changes
//! and retries wait for it. Back-off for failing fetches and passes doubles from 1 s to 5 min (gitops G2).

use crate::id::Revision;

/// Milliseconds on a monotonic clock.
pub type Millis = u64;

const BACKOFF_FIRST_MS: Millis = 1_000;
const BACKOFF_MAX_MS: Millis = 300_000;

/// Passes that are cut short by a moving world are repeated at once this often.
const INTERRUPTIONS_MAX: u32 = 3;

/// How often things happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cadence {
    /// Between two looks at the repository.
    pub poll_ms: Millis,
    /// Between two sweeps over everything.
    pub sweep_ms: Millis,
}

/// Why a pass runs.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum Trigger {
    /// First pass of this process: finishes what an earlier one left, and looks at everything.
    Start,
    /// The branch has a new tip.
    Commit,
    /// Something in the cluster changed (nodes, Services, objects of ours).
    Cluster,
    /// The period is over: look at everything.
    Sweep,
    /// The last pass left something undone.
    Retry,
}

impl Trigger {
    /// As people read it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Commit => "commit",
            Self::Cluster => "cluster",
            Self::Sweep => "sweep",
            Self::Retry => "retry",
        }
    }

    /// Looks at every stack, not only at changed ones.
    pub fn is_full(self) -> bool {
        matches!(self, Self::Start | Self::Sweep)
    }
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Time went by.
    Tick,
    /// The repository may have changed: look at once.
    SourceHint,
    /// A fetch found this tip.
    Fetched(Revision),
    FetchFailed,
    /// Something in the cluster changed.
    ClusterChanged,
    /// A pass ended and nothing is left to do.
    PassComplete,
    /// A pass ended and something is left: try again later.
    PassIncomplete,
    /// A pass could not be carried through: it looked at nothing, or not at all that it was to look at.
    PassStopped,
    /// A pass ended early because the world moved or a newer commit came: go on at once.
    PassInterrupted,
}

/// What to do now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    Fetch,
    Pass {
        trigger: Trigger,
        revision: Option<Revision>,
    },
    /// End the running operation, then the pass.
    Preempt,
}

/// The loop's memory.
#[derive(Clone, Debug)]
pub struct Schedule {
    cadence: Cadence,
    fetching: bool,
    /// A hint came while a fetch was under way: its answer may be older than the hint.
    hint_again: bool,
    passing: bool,
    started: bool,
    fetched_once: bool,
    head: Option<Revision>,
    /// The tip that the last pass was given.
    passed: Option<Revision>,
    /// Why the running pass, or the last one, runs.
    running: Trigger,
    /// A pass over everything was cut short: what it did not get to is still to be looked at.
    full_due: bool,
    /// The same of a pass over the cluster's objects.
    cluster_owed: bool,
    cluster_changed: bool,
    interrupted: bool,
    /// In a row, without a new tip.
    interruptions: u32,
    fetch_at: Millis,
    sweep_at: Millis,
    retry_at: Option<Millis>,
    fetch_failures: u32,
    pass_failures: u32,
}

impl Schedule {
    pub fn new(cadence: Cadence, now: Millis) -> Self {
        Self {
            cadence,
            fetching: false,
            hint_again: false,
            passing: false,
            started: false,
            fetched_once: false,
            head: None,
            passed: None,
            running: Trigger::Start,
            full_due: false,
            cluster_owed: false,
            cluster_changed: false,
            interrupted: false,
            interruptions: 0,
            fetch_at: now,
            sweep_at: now.saturating_add(cadence.sweep_ms),
            retry_at: None,
            fetch_failures: 0,
            pass_failures: 0,
        }
    }

    /// Takes one event and says what to do about it, in order.
    pub fn on(&mut self, event: Event, now: Millis) -> Vec<Command> {
        match event {
            Event::Tick => {}
            Event::SourceHint if self.fetching => self.hint_again = true,
            Event::SourceHint => self.fetch_at = now,
            Event::Fetched(revision) => {
                self.fetching = false;
                self.fetched_once = true;
                self.fetch_failures = 0;
                self.fetch_at = if std::mem::take(&mut self.hint_again) {
                    now
                } else {
                    now.saturating_add(self.cadence.poll_ms)
                };
                self.head = Some(revision);
            }
            Event::FetchFailed => {
                self.fetching = false;
                self.fetched_once = true;
                self.fetch_failures = self.fetch_failures.saturating_add(1);
                let pause =
                    backoff(self.fetch_failures).min(self.cadence.poll_ms.max(BACKOFF_FIRST_MS));
                self.fetch_at = now.saturating_add(pause);
                self.hint_again = false;
            }
            Event::ClusterChanged => self.cluster_changed = true,
            Event::PassComplete => {
                self.passing = false;
                self.interruptions = 0;
                self.pass_failures = 0;
                self.retry_at = None;
            }
            Event::PassIncomplete => {
                self.passing = false;
                self.pass_failures = self.pass_failures.saturating_add(1);
                self.retry_at = Some(now.saturating_add(backoff(self.pass_failures)));
            }
            Event::PassStopped => {
                self.passing = false;
                self.owe();
                self.pass_failures = self.pass_failures.saturating_add(1);
                self.retry_at = Some(now.saturating_add(backoff(self.pass_failures)));
            }
            Event::PassInterrupted => {
                self.passing = false;
                self.owe();
                let new_tip = self.head.is_some() && self.head != self.passed;
                if new_tip || self.interruptions < INTERRUPTIONS_MAX {
                    self.interruptions = if new_tip {
                        0
                    } else {
                        self.interruptions.saturating_add(1)
                    };
                    self.interrupted = true;
                } else {
                    // A world that keeps moving under every pass is fought with patience.
                    self.pass_failures = self.pass_failures.saturating_add(1);
                    self.retry_at = Some(now.saturating_add(backoff(self.pass_failures)));
                }
            }
        }
        self.commands(now)
    }

    /// The running pass did not get to all that it was to look at: a later one must.
    fn owe(&mut self) {
        self.full_due |= self.running.is_full();
        self.cluster_owed |= self.running == Trigger::Cluster;
    }

    /// When to come back with a [`Event::Tick`] if nothing else happens.
    pub fn next_tick(&self) -> Millis {
        let fetch = if self.fetching {
            Millis::MAX
        } else {
            self.fetch_at
        };
        let (sweep, retry) = if self.passing {
            (Millis::MAX, Millis::MAX)
        } else {
            (self.sweep_at, self.retry_at.unwrap_or(Millis::MAX))
        };
        fetch.min(sweep).min(retry)
    }

    /// When the next sweep is due.
    pub fn sweep_at(&self) -> Millis {
        self.sweep_at
    }

    fn commands(&mut self, now: Millis) -> Vec<Command> {
        let mut commands = Vec::new();
        if !self.fetching && self.fetch_at <= now {
            self.fetching = true;
            commands.push(Command::Fetch);
        }
        let new_tip = self.head.is_some() && self.head != self.passed;
        if self.passing {
            if new_tip {
                commands.push(Command::Preempt);
            }
            return commands;
        }
        // Before the first answer of the repository there is nothing to decide on, unless it cannot be reached: then
        // what is in force is defended.
        if !self.fetched_once {
            return commands;
        }
        let trigger = if !self.started {
            Some(Trigger::Start)
        } else if new_tip {
            Some(Trigger::Commit)
        } else if self.sweep_at <= now {
            Some(Trigger::Sweep)
        } else if self.interrupted || self.retry_at.is_some_and(|at| at <= now) {
            // As wide as what was cut short: else a change that it had not got to waits for the next period.
            Some(if self.full_due {
                Trigger::Sweep
            } else if self.cluster_owed {
                Trigger::Cluster
            } else {
                Trigger::Retry
            })
        } else if self.full_due && self.retry_at.is_none() {
            Some(Trigger::Sweep)
        } else if self.cluster_changed || self.cluster_owed && self.retry_at.is_none() {
            Some(Trigger::Cluster)
        } else {
            None
        };
        if let Some(trigger) = trigger {
            if trigger.is_full() {
                self.sweep_at = now.saturating_add(self.cadence.sweep_ms);
                self.full_due = false;
            }
            if trigger.is_full() || trigger == Trigger::Cluster {
                self.cluster_owed = false;
            }
            self.running = trigger;
            self.started = true;
            self.passing = true;
            self.interrupted = false;
            self.retry_at = None;
            self.cluster_changed = false;
            self.passed.clone_from(&self.head);
            commands.push(Command::Pass {
                trigger,
                revision: self.head.clone(),
            });
        }
        commands
    }
}

fn backoff(failures: u32) -> Millis {
    BACKOFF_FIRST_MS
        .saturating_mul(
            1_u64
                .checked_shl(failures.saturating_sub(1))
                .unwrap_or(Millis::MAX),
        )
        .min(BACKOFF_MAX_MS)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schedule() -> Schedule {
        Schedule::new(
            Cadence {
                poll_ms: 30_000,
                sweep_ms: 300_000,
            },
            0,
        )
    }

    fn tip(text: &str) -> Revision {
        Revision::from(text)
    }

    fn pass(trigger: Trigger, revision: Option<&str>) -> Command {
        Command::Pass {
            trigger,
            revision: revision.map(Revision::from),
        }
    }

    #[test]
    fn the_first_pass_waits_for_the_first_answer_of_the_repository() {
        let mut schedule = schedule();
        assert_eq!(schedule.on(Event::Tick, 0), [Command::Fetch]);
        assert_eq!(schedule.on(Event::ClusterChanged, 1), []);
        assert_eq!(
            schedule.on(Event::Fetched(tip("a")), 2),
            [pass(Trigger::Start, Some("a"))]
        );
    }

    #[test]
    fn an_unreachable_repository_still_lets_the_first_pass_defend_what_is_in_force() {
        let mut schedule = schedule();
        schedule.on(Event::Tick, 0);
        assert_eq!(
            schedule.on(Event::FetchFailed, 5),
            [pass(Trigger::Start, None)]
        );
    }

    #[test]
    fn a_new_commit_preempts_a_running_pass_and_is_next() {
        let mut schedule = schedule();
        schedule.on(Event::Tick, 0);
        schedule.on(Event::Fetched(tip("a")), 1);
        schedule.on(Event::SourceHint, 2);
        assert_eq!(schedule.on(Event::Fetched(tip("b")), 3), [Command::Preempt]);
        assert_eq!(
            schedule.on(Event::PassInterrupted, 4),
            [pass(Trigger::Commit, Some("b"))],
            "the interrupted pass is not repeated for the old commit"
        );
    }

    #[test]
    fn an_idle_poll_that_finds_the_same_tip_starts_no_pass() {
        let mut schedule = schedule();
        schedule.on(Event::Tick, 0);
        schedule.on(Event::Fetched(tip("a")), 1);
        schedule.on(Event::PassComplete, 2);
        assert_eq!(schedule.on(Event::Tick, 30_001), [Command::Fetch]);
        assert_eq!(schedule.on(Event::Fetched(tip("a")), 30_002), []);
    }

    #[test]
    fn a_hint_during_a_fetch_leads_to_another_fetch() {
        let mut schedule = schedule();
        schedule.on(Event::Tick, 0);
        assert_eq!(schedule.on(Event::SourceHint, 1), []);
        let commands = schedule.on(Event::Fetched(tip("a")), 2);
        assert!(commands.contains(&Command::Fetch), "{commands:?}");
    }

    #[test]
    fn sweeps_are_periodic_and_a_failing_pass_backs_off_to_five_minutes() {
        let mut schedule = Schedule::new(
            Cadence {
                poll_ms: 1 << 40,
                sweep_ms: 1 << 40,
            },
            0,
        );
        schedule.on(Event::Tick, 0);
        schedule.on(Event::Fetched(tip("a")), 0);
        let mut now = 0;
        let mut pauses = Vec::new();
        for _ in 0..12 {
            schedule.on(Event::PassIncomplete, now);
            let next = schedule.next_tick();
            pauses.push(next - now);
            now = next;
            assert_eq!(
                schedule.on(Event::Tick, now),
                [pass(Trigger::Retry, Some("a"))]
            );
        }
        assert_eq!(pauses[..4], [1_000, 2_000, 4_000, 8_000]);
        assert_eq!(pauses.last(), Some(&300_000));

        let mut schedule = self::schedule();
        schedule.on(Event::Tick, 0);
        schedule.on(Event::Fetched(tip("a")), 0);
        schedule.on(Event::PassComplete, 1);
        let sweep = schedule.on(Event::Tick, 300_000);
        assert!(
            sweep.contains(&pass(Trigger::Sweep, Some("a"))),
            "{sweep:?}"
        );
    }

    #[test]
    fn passes_that_are_cut_short_again_and_again_back_off() {
        let mut schedule = schedule();
        schedule.on(Event::Tick, 0);
        schedule.on(Event::Fetched(tip("a")), 0);
        for _ in 0..INTERRUPTIONS_MAX {
            assert_eq!(
                schedule.on(Event::PassInterrupted, 1),
                [pass(Trigger::Sweep, Some("a"))],
                "the first pass looks at everything, however often it is cut short"
            );
        }
        assert_eq!(schedule.on(Event::PassInterrupted, 1), []);
        assert_eq!(schedule.next_tick(), 1_001);
    }

    #[test]
    fn a_sweep_that_a_commit_cut_short_is_made_up_for_after_the_commit() {
        let mut schedule = schedule();
        schedule.on(Event::Tick, 0);
        schedule.on(Event::Fetched(tip("a")), 0);
        schedule.on(Event::PassComplete, 1);
        schedule.on(Event::Tick, 300_000);
        schedule.on(Event::Fetched(tip("b")), 300_001);
        assert_eq!(
            schedule.on(Event::PassInterrupted, 300_002),
            [pass(Trigger::Commit, Some("b"))]
        );
        assert_eq!(
            schedule.on(Event::PassComplete, 300_003),
            [pass(Trigger::Sweep, Some("b"))]
        );
        assert_eq!(schedule.on(Event::PassComplete, 300_004), []);
    }

    #[test]
    fn a_narrow_pass_that_is_cut_short_is_repeated_as_it_was() {
        let mut schedule = schedule();
        schedule.on(Event::Tick, 0);
        schedule.on(Event::Fetched(tip("a")), 0);
        schedule.on(Event::PassComplete, 1);
        schedule.on(Event::Fetched(tip("b")), 2);
        assert_eq!(
            schedule.on(Event::PassInterrupted, 3),
            [pass(Trigger::Retry, Some("b"))]
        );
        schedule.on(Event::PassComplete, 4);
        schedule.on(Event::ClusterChanged, 5);
        assert_eq!(
            schedule.on(Event::PassInterrupted, 6),
            [pass(Trigger::Cluster, Some("b"))]
        );
    }

    #[test]
    fn a_first_pass_that_could_not_be_carried_through_is_tried_again_in_full() {
        let mut schedule = schedule();
        schedule.on(Event::Tick, 0);
        schedule.on(Event::Fetched(tip("a")), 0);
        assert_eq!(schedule.on(Event::PassStopped, 1), []);
        assert_eq!(schedule.next_tick(), 1_001);
        assert_eq!(
            schedule.on(Event::Tick, 1_001),
            [pass(Trigger::Sweep, Some("a"))]
        );
    }

    #[test]
    fn a_cluster_change_during_a_pass_is_not_lost() {
        let mut schedule = schedule();
        schedule.on(Event::Tick, 0);
        schedule.on(Event::Fetched(tip("a")), 0);
        assert_eq!(schedule.on(Event::ClusterChanged, 1), []);
        assert_eq!(
            schedule.on(Event::PassComplete, 2),
            [pass(Trigger::Cluster, Some("a"))]
        );
    }
}
