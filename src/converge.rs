//! THE SPINE: one pass, commit in → outcome out. Read this first.
//!
//! A pass does not decide when to run (`daemon::schedule` does), what to change (`plan` does) or how (`apply` does): it
//! puts the steps in their order and says what became of them.

use std::sync::Arc;

use futures::FutureExt;
use tracing::Instrument;

use crate::{
    apply::{self, Ports, Progress, Stop},
    aws::AwsWrite,
    cluster::ClusterWrite,
    config::Config,
    daemon::schedule::Trigger,
    id::Revision,
    model::call::chain,
    plan::{self, Inputs, op::Plan, record::Outcome},
    report::Reporter,
    source::Source,
    store::{Store, StoreError},
};

pub mod admission;
pub mod finish;
pub mod load;
pub mod partial;
pub mod preview;
pub mod remember;
pub mod survey;
pub mod tell;
pub mod world;

use load::Loaded;
use world::World;

/// Everything that passes work with.
pub struct Context {
    pub config: Arc<Config>,
    pub source: Arc<dyn Source>,
    pub aws: Arc<dyn AwsWrite>,
    pub cluster: Arc<dyn ClusterWrite>,
    pub store: Store,
    pub reporter: Reporter,
    pub world: World,
}

/// How a pass ended, as the schedule wants to know it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PassEnd {
    /// Nothing is left to do.
    Complete,
    /// Something failed, waits or could not be read: try again later.
    Incomplete,
    /// It was told to stop, or the world moved under it: go on at once.
    Interrupted,
    /// It could not be carried through, and did not look at all that it was to look at: try all of it again later.
    Stopped,
}

/// The two halves of a pass (decision 15 of the spec): uids and node ports of Services exist only after the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Half {
    /// IAM, then the cluster's objects.
    Prepare,
    /// Balancers, the Ingresses' status, then everything that goes away.
    Route,
}

impl Half {
    pub fn plan(self, inputs: &Inputs<'_>) -> Plan {
        match self {
            Self::Prepare => plan::prepare(inputs),
            Self::Route => plan::route(inputs),
        }
    }
}

/// One half's plan and what became of it.
#[derive(Clone, Debug)]
pub struct Run {
    pub plan: Plan,
    pub outcome: Outcome,
}

/// One pass: the tip if it is admitted, else what is in force, brought about in the cluster and in AWS.
pub async fn converge(
    cx: &Context,
    stop: &Stop,
    trigger: Trigger,
    tip: Option<&Revision>,
) -> PassEnd {
    let pass = finish::begin(cx, trigger, tip);
    let rev = tip.map(Revision::short);
    let span = tracing::info_span!("pass", rev, trigger = trigger.as_str());
    let end = match converge_to(cx, stop, trigger, tip).instrument(span).await {
        Ok(end) => end,
        Err(stopped) => {
            cx.reporter
                .failed(format!("{}: {}", stopped.reason, stopped.message));
            PassEnd::Stopped
        }
    };
    finish::end(cx, pass, end);
    end
}

async fn converge_to(
    cx: &Context,
    stop: &Stop,
    trigger: Trigger,
    tip: Option<&Revision>,
) -> Result<PassEnd, Stopped> {
    world::pin(cx).await?;
    // Only now: what an earlier process did is read back from where it did it, and nowhere else.
    tokio::select! {
        resumed = resume(cx) => resumed?,
        _ = stop.told() => return Ok(PassEnd::Interrupted),
    }
    let read_only = world::other_controller(cx).await?;
    let something_to_do = tip.is_some() || cx.store.in_force().is_some();
    tokio::select! {
        () = cx.world.begin(cx, trigger, something_to_do) => {}
        _ = stop.told() => return Ok(PassEnd::Interrupted),
    }

    // A tip that is admitted takes over; a refused one changes nothing.
    let choice = admission::choose(cx, tip).await?;
    let Some(loaded) = choice.chosen else {
        return Ok(choice.end);
    };

    if trigger.is_full() || trigger == Trigger::Cluster {
        tell::foreign_ingresses(cx, &loaded).await;
    }

    let options = finish::plan_options(cx, read_only);
    let (mut desired, mut sound) = (loaded.desired.clone(), loaded.is_sound());
    let mut facts = Arc::clone(&loaded.facts);
    let mut seen = Vec::new();
    let mut runs: Vec<Run> = Vec::new();
    for half in [Half::Prepare, Half::Route] {
        if half == Half::Route {
            // Only now the API server has given the Services their uids and node ports.
            (desired, facts, sound) = world::rebuild(cx, &loaded, &runs).await;
            remember::leaving_classes(cx, &loaded, &desired, &facts)?;
        }
        let applied = cx.store.applied();
        let scope = world::scope(cx, &desired, &applied, trigger, sound);
        // Reading may be given up at any time: a commit does not wait for a sweep.
        let observed = tokio::select! {
            observed = world::observe(cx, half, &desired, &applied, &scope, trigger, loaded.looked.as_ref()) => observed,
            _ = stop.told() => return Ok(PassEnd::Interrupted),
        };
        let inputs = Inputs {
            desired: &desired,
            observed: &observed,
            applied: &applied,
            revision: Some(&loaded.commit.revision),
            base: cx.store.generation(),
            scope: &scope,
            options: &options,
        };
        let plan = half.plan(&inputs);
        plan::audit::audit(&plan, &inputs).map_err(Stopped::bug)?;
        for overrun in plan::peak::overruns(&plan, &inputs) {
            let (limit, most) = (overrun.excess.limit.name(), overrun.excess.most);
            tracing::warn!(limit, most, "tried all the same: {}", overrun.excess);
        }
        let outcome = carry_out(cx, stop, trigger, &loaded, &plan).await?;
        let run = Run { plan, outcome };
        cx.world.learn(&observed, &run);
        let go_on = finish::may_go_on(&run);
        seen.push(observed);
        runs.push(run);
        if !go_on {
            break;
        }
    }
    remember::grounds(cx, &loaded, &desired, &facts, &seen)?;
    let end = finish::finish(cx, &loaded, &desired, &seen, &runs, &choice.held).await?;
    Ok(if end == PassEnd::Complete {
        choice.end
    } else {
        end
    })
}

/// Applies one plan; one without operations only notes what was found right.
async fn carry_out(
    cx: &Context,
    stop: &Stop,
    trigger: Trigger,
    loaded: &Loaded,
    plan: &Plan,
) -> Result<Outcome, Stopped> {
    if !plan.ops.is_empty() {
        finish::in_force(cx, loaded)?;
    }
    let total = u32::try_from(plan.ops.len()).unwrap_or(u32::MAX);
    apply::apply(
        plan,
        trigger.as_str(),
        Ports {
            aws: &*cx.aws,
            cluster: &*cx.cluster,
        },
        &cx.store,
        stop,
        &finish::apply_options(&cx.config),
        &|progress| match progress {
            Progress::Begun { op, .. } => {
                cx.reporter.doing(&plan::render::line(op).1, op.id.0, total);
            }
            Progress::Done { output, .. } => cx.world.learn_name(output),
            _ => {}
        },
    )
    .boxed()
    .await
    .map_err(|error| Stopped::new("StoreUnavailable", error.to_string()))
}

/// Settles what an earlier process left in the journal, once: what may have happened is read back, by name and tags.
async fn resume(cx: &Context) -> Result<(), Stopped> {
    if cx.world.is_resumed() {
        return Ok(());
    }
    let ports = Ports {
        aws: &*cx.aws,
        cluster: &*cx.cluster,
    };
    let resumed = apply::resume(ports, &cx.store, &finish::apply_options(&cx.config))
        .boxed()
        .await
        .map_err(|error| {
            Stopped::new(
                "StoreUnavailable",
                format!("what an earlier run left cannot be settled: {error}"),
            )
        })?;
    if resumed.plans > 0 {
        tracing::warn!(
            plans = resumed.plans,
            happened = resumed.happened,
            open = resumed.open,
            "an earlier run was cut off; its plans are settled"
        );
    }
    cx.world.resumed(resumed.stacks);
    Ok(())
}

/// Why a pass could not be carried through at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stopped {
    /// CamelCase, from the closed list of reasons (gitops G3).
    pub reason: String,
    pub message: String,
}

impl Stopped {
    pub fn new(reason: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            reason: reason.into(),
            message: message.into(),
        }
    }

    pub fn store(error: StoreError) -> Self {
        Self::new("StoreUnavailable", chain(&error))
    }

    fn bug(unfit: plan::audit::Unfit) -> Self {
        Self::new("Bug", unfit.to_string())
    }
}
