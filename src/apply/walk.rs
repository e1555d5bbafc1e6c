//! The walk over one plan's operations, in order; what has to wait lets the rest go on.

use std::{
    collections::{BTreeMap, BTreeSet},
    future::Future,
    time::Duration,
};

use tracing::Instrument;

use super::{
    ApplyError, ApplyOptions, Ports, Progress, Stop, StopReason,
    clock::within,
    effects, exec,
    find::{Found, find},
    nature::{name, service, takes_away},
    outputs::Outputs,
    retry::{self, Attempt},
};
use crate::{
    id::{OpId, StackId},
    model::{
        applied::AppliedChange,
        call::{CallError, Effect},
    },
    plan::{
        op::{Action, Op, Plan},
        record::{Entry, FailedOp, FailureClass, Outcome, Output},
    },
    store::{Journal, Store},
};

type ProgressFn<'a> = &'a (dyn for<'p> Fn(Progress<'p>) + Send + Sync);

pub(super) struct Walk<'a> {
    plan: &'a Plan,
    ports: Ports<'a>,
    store: &'a Store,
    journal: Journal,
    stop: &'a Stop,
    options: &'a ApplyOptions,
    progress: ProgressFn<'a>,
    outputs: Outputs,
    tracks: Vec<Track>,
    place: BTreeMap<OpId, usize>,
    /// Services that asked to slow down, until when.
    paused: BTreeMap<&'static str, Duration>,
    /// Stacks that must be planned anew: nothing more is done for them.
    moved: BTreeSet<StackId>,
    outcome: Outcome,
    deadline: Duration,
    /// The daemon leaves and a call's end is not known: the plan stays open for `resume`.
    abandoned: bool,
}

/// Where one operation stands.
#[derive(Default)]
struct Track {
    state: State,
    number: u32,
    attempt: Attempt,
    first: Option<Duration>,
    /// What is left of the action after part of it was found done.
    rest: Option<Action>,
    /// Why it is to be read back.
    doubt: Option<CallError>,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum State {
    #[default]
    Pending,
    Waiting {
        until: Duration,
        then: Step,
    },
    Done,
    Failed,
    Skipped,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Step {
    Call,
    ReadBack,
    /// The wait was the operation.
    Finish,
}

/// What became of a call that could be cut short.
enum Call<T> {
    Answered(T),
    TimedOut,
    Abandoned,
}

impl<'a> Walk<'a> {
    pub(super) fn new(
        plan: &'a Plan,
        ports: Ports<'a>,
        store: &'a Store,
        journal: Journal,
        stop: &'a Stop,
        options: &'a ApplyOptions,
        progress: ProgressFn<'a>,
    ) -> Self {
        Self {
            plan,
            ports,
            store,
            journal,
            stop,
            options,
            progress,
            outputs: store.read_applied(Outputs::new),
            tracks: plan.ops.iter().map(|_| Track::default()).collect(),
            place: plan
                .ops
                .iter()
                .enumerate()
                .map(|(place, op)| (op.id, place))
                .collect(),
            paused: BTreeMap::new(),
            moved: BTreeSet::new(),
            outcome: Outcome::default(),
            deadline: options.clock.elapsed() + options.plan_timeout,
            abandoned: false,
        }
    }

    pub(super) async fn run(mut self) -> Result<Outcome, ApplyError> {
        (self.progress)(Progress::Opened {
            generation: self.journal.generation(),
            ops: self.plan.ops.len(),
        });
        let why = loop {
            if let Some(reason) = self.stop.reason() {
                self.outcome.interrupted = true;
                break reason.text();
            }
            if self.elapsed() >= self.deadline {
                break "the plan took too long";
            }
            self.skip_hopeless()?;
            match self.next() {
                Next::Run(place, step) => self.step(place, step).await?,
                Next::Sleep(until) => {
                    let wait = until
                        .min(self.deadline)
                        .saturating_sub(self.options.clock.elapsed());
                    tokio::select! {
                        () = self.options.clock.sleep(wait) => {}
                        _ = self.stop.told() => {}
                    }
                }
                Next::Nothing => break "what it needs is not in the plan",
            }
        };
        self.skip_rest(why)?;
        self.close()
    }

    /// The first operation in order that may run now.
    fn next(&self) -> Next {
        let now = self.elapsed();
        let mut wake: Option<Duration> = None;
        // Stacks with something still to make: nothing is taken away there meanwhile (gitops G14).
        let mut making: BTreeSet<&StackId> = BTreeSet::new();
        for (place, op) in self.plan.ops.iter().enumerate() {
            let (until, step) = match self.tracks[place].state {
                State::Pending => (None, Step::Call),
                State::Waiting { until, then } => (Some(until), then),
                State::Done | State::Failed | State::Skipped => continue,
            };
            let takes = takes_away(&op.action);
            let ready = self.needs_are_done(op) && !(takes && making.contains(&op.stack));
            if ready {
                let until = until.max(self.paused.get(service(&op.action)).copied());
                match until {
                    Some(until) if until > now => {
                        wake = Some(wake.map_or(until, |wake| wake.min(until)));
                    }
                    _ => return Next::Run(place, step),
                }
            }
            if !takes {
                making.insert(&op.stack);
            }
        }
        wake.map_or(Next::Nothing, Next::Sleep)
    }

    fn needs_are_done(&self, op: &Op) -> bool {
        op.needs
            .iter()
            .all(|need| self.state_of(*need) == Some(State::Done))
    }

    fn state_of(&self, id: OpId) -> Option<State> {
        self.place.get(&id).map(|place| self.tracks[*place].state)
    }

    /// Leaves out what can never run any more, in one write.
    fn skip_hopeless(&mut self) -> Result<(), ApplyError> {
        let mut skipped = Vec::new();
        let mut broken: BTreeSet<&StackId> = BTreeSet::new();
        for (place, op) in self.plan.ops.iter().enumerate() {
            let takes = takes_away(&op.action);
            match self.tracks[place].state {
                State::Pending | State::Waiting { .. } => {
                    let lost = op.needs.iter().find(|need| {
                        matches!(
                            self.state_of(**need),
                            None | Some(State::Failed | State::Skipped)
                        )
                    });
                    let why = if let Some(need) = lost {
                        format!("it needs operation {need}")
                    } else if self.moved.contains(&op.stack) {
                        "its stack is planned anew".to_owned()
                    } else if takes && broken.contains(&op.stack) {
                        "something of its stack could not be made".to_owned()
                    } else {
                        continue;
                    };
                    self.tracks[place].state = State::Skipped;
                    if !takes {
                        broken.insert(&op.stack);
                    }
                    skipped.push((op, why));
                }
                State::Failed | State::Skipped if !takes => {
                    broken.insert(&op.stack);
                }
                _ => {}
            }
        }
        self.journal_skips(skipped)
    }

    fn skip_rest(&mut self, why: &str) -> Result<(), ApplyError> {
        let leaving = self.stop.reason() == Some(StopReason::Shutdown);
        let mut skipped = Vec::new();
        for (op, track) in self.plan.ops.iter().zip(&mut self.tracks) {
            if matches!(track.state, State::Pending | State::Waiting { .. }) {
                if track.doubt.is_some() {
                    self.outcome.unknown.insert(op.stack.clone());
                    // Left for `resume`, should nobody be there to read it now.
                    self.abandoned |= leaving;
                }
                track.state = State::Skipped;
                skipped.push((op, why.to_owned()));
            }
        }
        self.journal_skips(skipped)
    }

    fn journal_skips(&mut self, skipped: Vec<(&Op, String)>) -> Result<(), ApplyError> {
        if skipped.is_empty() {
            return Ok(());
        }
        let entries: Vec<_> = skipped
            .iter()
            .map(|(op, why)| Entry::Skipped {
                op: op.id,
                why: why.clone(),
            })
            .collect();
        self.journal.append_all(&entries, &[])?;
        for (op, why) in &skipped {
            self.outcome.skipped += 1;
            (self.progress)(Progress::Skipped { op, why });
        }
        Ok(())
    }

    async fn step(&mut self, place: usize, step: Step) -> Result<(), ApplyError> {
        let op = &self.plan.ops[place];
        match step {
            Step::Finish => self.done(place, &op.action, Output::default()),
            Step::Call => self.call(place).await,
            Step::ReadBack => self.read_back(place).await,
        }
    }

    async fn call(&mut self, place: usize) -> Result<(), ApplyError> {
        let op = &self.plan.ops[place];
        let now = self.elapsed();
        let track = &mut self.tracks[place];
        track.first.get_or_insert(now);
        track.number += 1;
        let number = track.number;
        let action = match self.action(place) {
            Ok(action) => action,
            Err(error) => return self.failed(place, &error, FailureClass::Replan),
        };
        let intents = self
            .store
            .read_applied(|applied| effects::intents(op, applied));
        self.journal.append_with(
            &Entry::Begun {
                op: op.id,
                attempt: number,
                at: self.now(),
            },
            &intents,
        )?;
        (self.progress)(Progress::Begun {
            op,
            attempt: number,
        });
        if let Action::Settle { seconds, .. } = action {
            self.tracks[place].state = State::Waiting {
                until: self.elapsed() + Duration::from_secs(u64::from(seconds)),
                then: Step::Finish,
            };
            return Ok(());
        }
        let stack = tracing::info_span!("stack", stack = %op.stack);
        let span = tracing::info_span!(parent: &stack, "op", op = %op.id, resource = %op.resource);
        span.in_scope(
            || tracing::debug!(attempt = number, cause = ?op.reason.cause, "operation begins"),
        );
        let began = self.elapsed();
        let answer = self
            .bounded(exec::execute(&action, self.ports))
            .instrument(span.clone())
            .await;
        let elapsed_ms = u64::try_from((self.elapsed() - began).as_millis()).unwrap_or(u64::MAX);
        span.in_scope(|| match &answer {
            Call::Answered(Ok(_)) => {
                tracing::info!(attempt = number, elapsed_ms, cause = ?op.reason.cause, "operation done");
            }
            Call::Answered(Err(error)) => tracing::info!(
                attempt = number,
                elapsed_ms,
                service = %error.service,
                operation = %error.operation,
                request_id = error.request_id.as_deref(),
                %error,
                "operation refused"
            ),
            Call::TimedOut | Call::Abandoned => {
                tracing::warn!(attempt = number, elapsed_ms, "operation without an answer");
            }
        });
        let error = match answer {
            Call::Answered(Ok(output)) => return self.done(place, &action, output),
            Call::Answered(Err(error)) => error,
            Call::TimedOut => self.no_answer(&action),
            Call::Abandoned => {
                // Begun without an end: the same as a crash.
                self.abandoned = true;
                self.outcome.unknown.insert(op.stack.clone());
                self.tracks[place].state = State::Skipped;
                return Ok(());
            }
        };
        self.refused(place, &action, error)
    }

    fn refused(
        &mut self,
        place: usize,
        action: &Action,
        error: CallError,
    ) -> Result<(), ApplyError> {
        let op = &self.plan.ops[place];
        let throttled = retry::is_throttled(&error);
        let now = self.elapsed();
        let track = &mut self.tracks[place];
        if throttled {
            track.attempt.throttles += 1;
        } else {
            track.attempt.throttles = 0;
            track.attempt.failures += 1;
        }
        track.attempt.seed = self.options.seed ^ (u64::from(op.id.0) << 20);
        let since_first = track
            .first
            .map_or(0, |first| millis(now.saturating_sub(first)));
        track.attempt.elapsed_ms = since_first.saturating_sub(track.attempt.throttled_ms);
        // The plan's action and not the resolved one: it tells what is new.
        let class = retry::classify(&error, &op.action, &track.attempt, &self.options.limits);
        match class {
            FailureClass::Retry { after_ms } => {
                let until = now + Duration::from_millis(after_ms);
                if throttled {
                    track.attempt.throttled_ms += after_ms;
                    self.paused.insert(service(&op.action), until);
                }
                track.state = State::Waiting {
                    until,
                    then: Step::Call,
                };
                self.attempt_failed(place, &error, class)
            }
            FailureClass::Verify { after_ms } => {
                track.state = State::Waiting {
                    until: now + Duration::from_millis(after_ms),
                    then: Step::ReadBack,
                };
                track.doubt = Some(error.clone());
                self.attempt_failed(place, &error, class)
            }
            FailureClass::AlreadyDone => {
                self.attempt_failed(place, &error, class)?;
                self.done(place, action, Output::default())
            }
            FailureClass::Replan | FailureClass::Blocked | FailureClass::GaveUp => {
                if error.effect == Effect::Unknown {
                    self.outcome.unknown.insert(op.stack.clone());
                }
                self.failed(place, &error, class)
            }
        }
    }

    async fn read_back(&mut self, place: usize) -> Result<(), ApplyError> {
        let op = &self.plan.ops[place];
        let action = match self.action(place) {
            Ok(action) => action,
            Err(error) => return self.failed(place, &error, FailureClass::Replan),
        };
        let found = match self.bounded(find(&action, self.ports)).await {
            Call::Answered(found) => found,
            Call::TimedOut => Err(self.no_answer(&action)),
            Call::Abandoned => {
                self.abandoned = true;
                self.outcome.unknown.insert(op.stack.clone());
                self.tracks[place].state = State::Skipped;
                return Ok(());
            }
        };
        // Present whenever an operation is read back.
        let Some(doubt) = self.tracks[place].doubt.clone() else {
            self.tracks[place].state = State::Pending;
            return Ok(());
        };
        match found {
            Ok(Found::Done(output)) => self.done(place, &action, output),
            Ok(Found::Rest(rest)) => {
                let track = &mut self.tracks[place];
                track.rest = Some(*rest);
                track.doubt = None;
                track.state = State::Pending;
                Ok(())
            }
            // A refusal by what cannot be seen yet: look again, never create anew (lessons A6).
            Ok(Found::NotDone) if doubt.effect == Effect::None => {
                self.refused(place, &action, doubt)
            }
            Ok(Found::NotDone) => {
                let track = &mut self.tracks[place];
                track.doubt = None;
                track.state = State::Pending;
                Ok(())
            }
            Ok(Found::Foreign(who)) => {
                let error = CallError {
                    message: who,
                    effect: Effect::None,
                    ..doubt
                };
                self.failed(place, &error, FailureClass::Blocked)
            }
            Ok(Found::Moved(how)) => {
                let error = CallError {
                    message: how,
                    effect: Effect::None,
                    ..doubt
                };
                self.failed(place, &error, FailureClass::Replan)
            }
            Err(error) => self.unreadable(place, error),
        }
    }

    /// Reading back failed: the doubt remains, and so does the wish to read.
    fn unreadable(&mut self, place: usize, error: CallError) -> Result<(), ApplyError> {
        let doubt = self.tracks[place].doubt.clone();
        let error = CallError {
            effect: Effect::Unknown,
            ..error
        };
        let action = self.plan.ops[place].action.clone();
        self.refused(place, &action, error)?;
        if let State::Waiting { then, .. } = &mut self.tracks[place].state {
            *then = Step::ReadBack;
            self.tracks[place].doubt = doubt;
        }
        Ok(())
    }

    fn done(&mut self, place: usize, action: &Action, output: Output) -> Result<(), ApplyError> {
        let op = &self.plan.ops[place];
        let changes = self
            .store
            .read_applied(|applied| effects::effects(op, action, &output, applied));
        self.journal.append_with(
            &Entry::Done {
                op: op.id,
                output: output.clone(),
                at: self.now(),
            },
            &changes,
        )?;
        if output.id.is_some() {
            self.outputs.insert(op.resource.clone(), output.clone());
        }
        let track = &mut self.tracks[place];
        track.state = State::Done;
        track.doubt = None;
        self.outcome.done += 1;
        (self.progress)(Progress::Done {
            op,
            output: &output,
        });
        Ok(())
    }

    fn failed(
        &mut self,
        place: usize,
        error: &CallError,
        class: FailureClass,
    ) -> Result<(), ApplyError> {
        let op = &self.plan.ops[place];
        self.tracks[place].state = State::Failed;
        if class == FailureClass::Replan {
            self.moved.insert(op.stack.clone());
            self.outcome.replan = true;
        } else {
            self.outcome.failed.push(FailedOp {
                op: op.id,
                stack: op.stack.clone(),
                what: op.resource.to_string(),
                error: error.clone(),
                blocked: class == FailureClass::Blocked,
            });
        }
        self.attempt_failed(place, error, class)
    }

    fn attempt_failed(
        &mut self,
        place: usize,
        error: &CallError,
        class: FailureClass,
    ) -> Result<(), ApplyError> {
        let op = &self.plan.ops[place];
        self.journal.append(&Entry::Failed {
            op: op.id,
            attempt: self.tracks[place].number,
            class,
            error: error.clone(),
            at: self.now(),
        })?;
        tracing::debug!(op = %op.id, resource = %op.resource, %error, ?class, "operation failed");
        (self.progress)(Progress::Failed { op, error, class });
        Ok(())
    }

    fn close(self) -> Result<Outcome, ApplyError> {
        let mut unsettled: BTreeSet<&StackId> = BTreeSet::new();
        for (op, track) in self.plan.ops.iter().zip(&self.tracks) {
            if track.state != State::Done {
                unsettled.insert(&op.stack);
            }
        }
        let changes: Vec<AppliedChange> = self
            .plan
            .settled
            .iter()
            .filter(|settled| !unsettled.contains(&settled.stack))
            .flat_map(|settled| settled.changes.iter().cloned())
            .collect();
        if self.abandoned {
            super::commit_new(self.store, &changes)?;
        } else {
            let at = self.now();
            self.journal.close(&self.outcome, &changes, &at)?;
        }
        (self.progress)(Progress::Closed {
            outcome: &self.outcome,
        });
        Ok(self.outcome)
    }

    fn action(&self, place: usize) -> Result<Action, CallError> {
        if let Some(rest) = &self.tracks[place].rest {
            return Ok(rest.clone());
        }
        let action = &self.plan.ops[place].action;
        self.outputs.resolve(action).map_err(|error| CallError {
            service: "albsync".to_owned(),
            operation: "resolve".to_owned(),
            code: Some("Unresolved".to_owned()),
            status: None,
            message: error.to_string(),
            request_id: None,
            effect: Effect::None,
        })
    }

    /// Waits for a call: no longer than its time, and when the daemon leaves no longer than the grace.
    async fn bounded<T>(&self, call: impl Future<Output = T>) -> Call<T> {
        let leaving = async {
            // A newer commit lets the call end by itself (gitops G17).
            while self.stop.told().await != StopReason::Shutdown {
                self.stop.changed().await;
            }
            self.options.clock.sleep(self.options.grace).await;
        };
        tokio::select! {
            biased;
            answer = within(&*self.options.clock, self.options.op_timeout, call) => match answer {
                Some(answer) => Call::Answered(answer),
                None => Call::TimedOut,
            },
            () = leaving => Call::Abandoned,
        }
    }

    fn no_answer(&self, action: &Action) -> CallError {
        CallError {
            service: service(action).to_owned(),
            operation: name(action),
            code: None,
            status: None,
            message: format!("no answer within {} s", self.options.op_timeout.as_secs()),
            request_id: None,
            effect: Effect::Unknown,
        }
    }

    fn elapsed(&self) -> Duration {
        self.options.clock.elapsed()
    }

    fn now(&self) -> String {
        (self.options.now)()
    }
}

enum Next {
    Run(usize, Step),
    Sleep(Duration),
    Nothing,
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
