//! How fast we may call: one token bucket per class of operations, shared by everything in the process.
//!
//! AWS counts calls per account and region, so a busy process starves its neighbours (lessons A1). The default rates are
//! half of the published budgets (aws-deploy §7.1, §10.7). Work of a commit goes before reads of the sweep (A3), and a
//! throttled class slows down for everybody at once (A2). No call bypasses it; nothing here retries.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize};
use tokio::time::sleep;

/// Operations that AWS counts together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Class {
    ElbDescribe,
    /// `Modify*`.
    ElbModify,
    /// `RegisterTargets`, `DeregisterTargets`.
    ElbRegister,
    /// Creates, deletes, `Set*`, tags.
    ElbWrite,
    Ec2Read,
    Ec2Write,
    IamRead,
    IamWrite,
    /// STS, EKS, ACM and WAF: a handful of reads.
    Account,
}

impl Class {
    pub const ALL: [Self; 9] = [
        Self::ElbDescribe,
        Self::ElbModify,
        Self::ElbRegister,
        Self::ElbWrite,
        Self::Ec2Read,
        Self::Ec2Write,
        Self::IamRead,
        Self::IamWrite,
        Self::Account,
    ];
}

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Priority {
    /// What a commit needs. May use all tokens.
    Commit,
    /// Background reads. Half of the bucket is not theirs, so that a commit never queues behind them.
    Sweep,
}

/// One bucket: so many at once, refilled at so many per second.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Rate {
    pub per_second: f64,
    pub burst: u32,
}

/// The buckets of all classes.
///
/// The defaults are half of what AWS publishes, or of the careful guesses of aws-deploy §10.7 and irsa §6.7 where it
/// doesn't.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Rates {
    pub elb_describe: Rate,
    pub elb_modify: Rate,
    pub elb_register: Rate,
    pub elb_write: Rate,
    pub ec2_read: Rate,
    pub ec2_write: Rate,
    pub iam_read: Rate,
    pub iam_write: Rate,
    pub account: Rate,
}

impl Default for Rates {
    fn default() -> Self {
        let rate = |per_second, burst| Rate { per_second, burst };
        Self {
            elb_describe: rate(5.0, 20),
            elb_modify: rate(1.5, 10),
            elb_register: rate(2.0, 10),
            elb_write: rate(2.0, 20),
            ec2_read: rate(5.0, 25),
            ec2_write: rate(2.5, 25),
            iam_read: rate(10.0, 20),
            iam_write: rate(2.5, 10),
            account: rate(2.0, 10),
        }
    }
}

impl Rates {
    /// The same for all classes.
    pub const fn all(rate: Rate) -> Self {
        Self {
            elb_describe: rate,
            elb_modify: rate,
            elb_register: rate,
            elb_write: rate,
            ec2_read: rate,
            ec2_write: rate,
            iam_read: rate,
            iam_write: rate,
            account: rate,
        }
    }

    pub const fn of(&self, class: Class) -> Rate {
        match class {
            Class::ElbDescribe => self.elb_describe,
            Class::ElbModify => self.elb_modify,
            Class::ElbRegister => self.elb_register,
            Class::ElbWrite => self.elb_write,
            Class::Ec2Read => self.ec2_read,
            Class::Ec2Write => self.ec2_write,
            Class::IamRead => self.iam_read,
            Class::IamWrite => self.iam_write,
            Class::Account => self.account,
        }
    }
}

/// The share of its rate that a class keeps when throttled again and again.
const SLOWEST: f64 = 1.0 / 16.0;
/// Replies that arrive within this time after a throttle tell of the same congestion.
const SAME_CONGESTION: Duration = Duration::from_secs(1);
/// After this long without a throttle the rate doubles again, up to the configured one.
const RECOVERY: Duration = Duration::from_secs(10);
/// A rate of nothing would block for ever; a refusal is the configuration's to make.
const LOWEST_PER_SECOND: f64 = 0.01;
/// Longest single sleep, so that a rate that recovers meanwhile is noticed.
const LONGEST_NAP: Duration = Duration::from_secs(5);

/// See the module's text. Share it by `Arc`.
#[derive(Debug)]
pub struct Governor {
    buckets: BTreeMap<Class, Bucket>,
    /// `service:Operation` → calls sent.
    counts: Mutex<BTreeMap<String, u64>>,
}

#[derive(Debug)]
struct Bucket {
    rate: Rate,
    state: Mutex<State>,
    /// Waiters of one priority come in order: tokio's mutex is fair.
    commit_turn: tokio::sync::Mutex<()>,
    sweep_turn: tokio::sync::Mutex<()>,
}

#[derive(Debug)]
struct State {
    tokens: f64,
    refilled: Instant,
    /// Part of the configured rate that applies now, 1 when all is well.
    share: f64,
    /// When `share` last changed.
    share_changed: Instant,
    throttled: Option<Instant>,
}

impl Default for Governor {
    fn default() -> Self {
        Self::new(&Rates::default())
    }
}

impl Governor {
    pub fn new(rates: &Rates) -> Self {
        let now = Instant::now();
        Self {
            buckets: Class::ALL
                .into_iter()
                .map(|class| (class, Bucket::new(rates.of(class), now)))
                .collect(),
            counts: Mutex::default(),
        }
    }

    /// Waits for the right to send one call. Dropping the future gives the place in the queue up and costs no token.
    pub async fn take(&self, class: Class, priority: Priority) {
        let bucket = self.bucket(class);
        let _turn = match priority {
            Priority::Commit => bucket.commit_turn.lock().await,
            Priority::Sweep => bucket.sweep_turn.lock().await,
        };
        while let Some(wait) = bucket.try_take(priority, Instant::now()) {
            sleep(wait.min(LONGEST_NAP)).await;
        }
    }

    /// The other side asked to slow down: the class halves its rate and starts from an empty bucket. It recovers by
    /// itself.
    pub fn on_throttled(&self, class: Class) {
        self.bucket(class).slow_down(Instant::now());
    }

    /// The part of its configured rate that the class has now, for metrics.
    pub fn share(&self, class: Class) -> f64 {
        let bucket = self.bucket(class);
        let mut state = lock(&bucket.state);
        bucket.refill(&mut state, Instant::now());
        state.share
    }

    /// Notes one sent call.
    pub fn count(&self, service: &str, operation: &str) {
        *lock(&self.counts)
            .entry(format!("{service}:{operation}"))
            .or_default() += 1;
    }

    /// Calls sent since the start, by `service:Operation`.
    pub fn counts(&self) -> BTreeMap<String, u64> {
        lock(&self.counts).clone()
    }

    fn bucket(&self, class: Class) -> &Bucket {
        self.buckets
            .get(&class)
            .unwrap_or_else(|| unreachable!("BUG: a class without a bucket"))
    }
}

impl Bucket {
    fn new(rate: Rate, now: Instant) -> Self {
        let rate = Rate {
            per_second: if rate.per_second.is_finite() {
                rate.per_second.max(LOWEST_PER_SECOND)
            } else {
                LOWEST_PER_SECOND
            },
            // With less than two there is nothing to hold back from the sweep.
            burst: rate.burst.max(2),
        };
        Self {
            rate,
            state: Mutex::new(State {
                tokens: f64::from(rate.burst),
                refilled: now,
                share: 1.0,
                share_changed: now,
                throttled: None,
            }),
            commit_turn: tokio::sync::Mutex::default(),
            sweep_turn: tokio::sync::Mutex::default(),
        }
    }

    /// Tokens that must be there before one of this priority may be taken.
    fn needed(&self, priority: Priority) -> f64 {
        match priority {
            Priority::Commit => 1.0,
            Priority::Sweep => 1.0 + f64::from(self.rate.burst / 2),
        }
    }

    /// Takes a token, or says how long it will be until one is there.
    fn try_take(&self, priority: Priority, now: Instant) -> Option<Duration> {
        let mut state = lock(&self.state);
        self.refill(&mut state, now);
        let missing = self.needed(priority) - state.tokens;
        if missing <= 0.0 {
            state.tokens -= 1.0;
            return None;
        }
        let seconds = missing / (self.rate.per_second * state.share);
        // Rounded up, so that a waiter doesn't wake just before its token and spin.
        Some(Duration::from_secs_f64(seconds) + Duration::from_millis(1))
    }

    fn refill(&self, state: &mut State, now: Instant) {
        while state.share < 1.0 && now.duration_since(state.share_changed) >= RECOVERY {
            let at = state.share_changed + RECOVERY;
            self.earn(state, at);
            state.share = (state.share * 2.0).min(1.0);
            state.share_changed = at;
        }
        self.earn(state, now);
    }

    fn earn(&self, state: &mut State, now: Instant) {
        let earned =
            now.duration_since(state.refilled).as_secs_f64() * self.rate.per_second * state.share;
        state.tokens = (state.tokens + earned).min(f64::from(self.rate.burst));
        state.refilled = state.refilled.max(now);
    }

    fn slow_down(&self, now: Instant) {
        let mut state = lock(&self.state);
        self.refill(&mut state, now);
        if state
            .throttled
            .is_some_and(|at| now.duration_since(at) < SAME_CONGESTION)
        {
            return;
        }
        state.throttled = Some(now);
        state.share = (state.share / 2.0).max(SLOWEST);
        state.share_changed = now;
        state.tokens = 0.0;
    }
}

/// What a panicking holder leaves behind are still plain numbers.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    /// A bucket with a clock that moves only when somebody waits.
    struct Bench {
        bucket: Bucket,
        start: Instant,
        now: Instant,
    }

    impl Bench {
        fn new(per_second: f64, burst: u32) -> Self {
            let now = Instant::now();
            Self {
                bucket: Bucket::new(Rate { per_second, burst }, now),
                start: now,
                now,
            }
        }

        /// Seconds that so many calls of one priority wait in all.
        fn take(&mut self, priority: Priority, calls: u32) -> f64 {
            let start = self.now;
            for _ in 0..calls {
                while let Some(wait) = self.bucket.try_take(priority, self.now) {
                    self.now += wait;
                }
            }
            self.now.duration_since(start).as_secs_f64()
        }

        fn share(&self) -> f64 {
            let mut state = lock(&self.bucket.state);
            self.bucket.refill(&mut state, self.now);
            state.share
        }
    }

    fn close(left: f64, right: f64) -> bool {
        (left - right).abs() < 0.1
    }

    #[test]
    fn a_burst_goes_at_once_and_then_the_rate_holds() {
        let mut bench = Bench::new(10.0, 20);
        assert!(close(bench.take(Priority::Commit, 20), 0.0));
        assert!(close(bench.take(Priority::Commit, 30), 3.0));
    }

    #[test]
    fn no_window_holds_more_calls_than_burst_and_rate_allow() {
        let mut bench = Bench::new(5.0, 20);
        let calls = 200;
        bench.take(Priority::Commit, calls);
        let elapsed = bench.now.duration_since(bench.start).as_secs_f64();
        assert!(f64::from(calls) <= 20.0 + elapsed * 5.0 + 1e-6);
    }

    #[test]
    fn a_sweep_leaves_half_of_the_burst_to_a_commit() {
        let mut bench = Bench::new(1.0, 20);
        assert!(close(bench.take(Priority::Sweep, 10), 0.0));
        assert!(
            bench.bucket.try_take(Priority::Sweep, bench.now).is_some(),
            "the eleventh must wait"
        );
        assert!(close(bench.take(Priority::Commit, 10), 0.0));
    }

    #[test]
    fn a_throttle_halves_the_rate_once_and_recovers() {
        let mut bench = Bench::new(10.0, 20);
        bench.bucket.slow_down(bench.now);
        bench.bucket.slow_down(bench.now);
        assert_eq!(bench.share(), 0.5);
        assert!(close(bench.take(Priority::Commit, 10), 2.0));
        bench.now += RECOVERY;
        assert_eq!(bench.share(), 1.0);
    }

    #[test]
    fn throttles_without_end_never_stop_a_class() {
        let mut bench = Bench::new(16.0, 20);
        for _ in 0..50 {
            bench.bucket.slow_down(bench.now);
            bench.now += SAME_CONGESTION;
        }
        assert_eq!(bench.share(), SLOWEST);
        assert!(bench.take(Priority::Commit, 2) < 2.1);
    }

    #[test]
    fn an_absurd_rate_is_slow_and_not_endless() {
        for rate in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(Bench::new(rate, 0).take(Priority::Commit, 3) < 200.0);
        }
    }

    #[tokio::test]
    async fn classes_do_not_share_a_bucket() {
        let governor = slow_describes();
        let start = Instant::now();
        governor.take(Class::ElbModify, Priority::Commit).await;
        governor.on_throttled(Class::ElbDescribe);
        assert_eq!(governor.share(Class::ElbModify), 1.0);
        assert_eq!(governor.share(Class::ElbDescribe), 0.5);
        assert!(start.elapsed() < Duration::from_millis(50));
    }

    #[tokio::test]
    async fn waiting_commit_calls_go_before_waiting_sweep_reads() {
        let governor = Arc::new(slow_describes());
        for _ in 0..2 {
            governor.take(Class::ElbDescribe, Priority::Commit).await;
        }
        let done = Arc::new(Mutex::new(Vec::new()));
        let mut tasks = Vec::new();
        for (name, priority) in [
            ("sweep", Priority::Sweep),
            ("commit 1", Priority::Commit),
            ("commit 2", Priority::Commit),
        ] {
            let (governor, done) = (governor.clone(), done.clone());
            tasks.push(tokio::spawn(async move {
                governor.take(Class::ElbDescribe, priority).await;
                done.lock().unwrap().push(name);
            }));
            tokio::task::yield_now().await;
        }
        for task in tasks {
            task.await.unwrap();
        }
        assert_eq!(*done.lock().unwrap(), ["commit 1", "commit 2", "sweep"]);
    }

    #[tokio::test]
    async fn a_given_up_wait_takes_no_token_and_blocks_nobody() {
        let governor = slow_describes();
        for _ in 0..2 {
            governor.take(Class::ElbDescribe, Priority::Commit).await;
        }
        let waiting = governor.take(Class::ElbDescribe, Priority::Commit);
        tokio::time::timeout(Duration::from_millis(1), waiting)
            .await
            .unwrap_err();
        let start = Instant::now();
        governor.take(Class::ElbDescribe, Priority::Commit).await;
        assert!(start.elapsed() < Duration::from_millis(90));
    }

    #[test]
    fn calls_are_counted_by_service_and_operation() {
        let governor = Governor::default();
        governor.count("ec2", "DescribeSubnets");
        governor.count("ec2", "DescribeSubnets");
        governor.count("iam", "GetRole");
        assert_eq!(
            governor.counts(),
            BTreeMap::from([
                ("ec2:DescribeSubnets".to_owned(), 2),
                ("iam:GetRole".to_owned(), 1)
            ])
        );
    }

    /// 20 per second, two at once.
    fn slow_describes() -> Governor {
        Governor::new(&Rates {
            elb_describe: Rate {
                per_second: 20.0,
                burst: 2,
            },
            ..Rates::default()
        })
    }
}
