//! What lasts from pass to pass: who we are, facts, and what has to be looked at again. Its rooms say how the world is
//! looked at.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use futures::FutureExt;

use super::{Context, Run};
use crate::{
    aws::Identity,
    config::Config,
    daemon::schedule::Trigger,
    id::{Arn, Revision, StackId},
    manifest::{self, Manifests},
    model::{
        digest::digest,
        facts::{Facts, LoadBalancerFact, needs::Needs},
        group,
        observed::Observed,
        quota::Limits,
        settings::Settings,
    },
    observe::aws::{IamScan, Scan},
    plan::{history::OpCounts, record::Output},
};

mod facts;
mod identity;
mod observing;
mod scope;

pub use facts::facts;
pub use identity::{offline_settings, other_controller, pin, target_type};
pub use observing::observe;
pub use scope::{Looked, dry_run, missing_rights, rebuild, scope};

use identity::installation;

/// What lasts longer than a pass. Only a cache: everything in it can be read again.
pub struct World {
    state: Mutex<State>,
    /// Files as they were read for earlier commits.
    documents: Mutex<manifest::Cache>,
    /// Documents of earlier commits from which parts of the one in force are taken.
    earlier: Mutex<BTreeMap<Revision, Arc<Manifests>>>,
    /// Groups as they were built for earlier commits and facts.
    groups: Mutex<group::cache::Cache>,
}

#[derive(Clone, Default)]
struct State {
    vpc_id: String,
    identity: Option<Identity>,
    /// AWS's part of the facts, kept from sweep to sweep.
    facts: Option<KeptFacts>,
    /// Live balancers by group id, for subnets that stick (ingress-model §3.4). Absent: not read yet.
    load_balancers: Option<BTreeMap<String, LoadBalancerFact>>,
    /// As they were read last; empty: not read.
    account_limits: Limits,
    dns_names: BTreeMap<Arn, String>,
    /// The store cannot tell what there is, or somebody was cut off: the next pass looks by tags and names.
    must_scan: bool,
    scan: Option<Arc<Scan>>,
    iam_scan: Option<Arc<IamScan>>,
    /// Stacks that an earlier plan left in an unknown state.
    unfinished: BTreeSet<StackId>,
    /// Stacks that the last pass could not read or set right.
    again: BTreeSet<StackId>,
    /// The journal of an earlier process is settled.
    resumed: bool,
    /// Group id → its Ingresses that are in the cluster and not in git, as of the last look.
    foreign_members: BTreeMap<String, BTreeSet<String>>,
    /// Somebody's targets are pods: their coming and going matters.
    follows_pods: bool,
    /// Operations of the running pass.
    ops: OpCounts,
}

#[derive(Clone)]
struct KeptFacts {
    facts: Facts,
    /// What was asked for.
    needs: Needs,
    instances: BTreeSet<String>,
}

impl World {
    /// `vpc_id`: empty where only the EKS cluster can tell. `must_scan`: the store does not know what exists.
    pub fn new(vpc_id: String, must_scan: bool) -> Self {
        Self {
            documents: Mutex::default(),
            earlier: Mutex::default(),
            groups: Mutex::default(),
            state: Mutex::new(State {
                vpc_id,
                must_scan,
                ..State::default()
            }),
        }
    }

    /// What is known now, for a look under other settings: nothing of that look gets into this one.
    pub fn beside(&self) -> Self {
        Self {
            documents: Mutex::default(),
            earlier: Mutex::default(),
            groups: Mutex::default(),
            state: Mutex::new(self.state().clone()),
        }
    }

    /// A pass begins: a full one reads everything anew, and looks by tags where the store cannot be trusted alone.
    pub async fn begin(&self, cx: &Context, trigger: Trigger, something_to_do: bool) {
        let (scan, vpc_id, installation) = {
            let mut state = self.state();
            state.scan = None;
            state.iam_scan = None;
            state.ops = OpCounts::default();
            if trigger.is_full() || state.must_scan {
                cx.aws.forget();
                state.facts = None;
                state.load_balancers = None;
            }
            let account = state
                .identity
                .as_ref()
                .map(|identity| identity.account.clone());
            // Without any commit nothing will be compared with what is found.
            let scan = something_to_do && (state.must_scan || trigger == Trigger::Start);
            (
                scan,
                state.vpc_id.clone(),
                installation(&cx.config, &account.unwrap_or_default()),
            )
        };
        if !scan {
            return;
        }
        let path = cx.config.iam_path();
        let (elb, iam) = futures::join!(
            Scan::read(&*cx.aws, &cx.config.cluster.name, &vpc_id).boxed(),
            IamScan::read(&*cx.aws, &path, &installation).boxed(),
        );
        let mut state = self.state();
        state.scan = Some(Arc::new(elb));
        state.iam_scan = Some(Arc::new(iam));
    }

    /// A pass ended: what was found by tags is not true for long.
    pub fn end(&self) {
        let mut state = self.state();
        state.scan = None;
        state.iam_scan = None;
    }

    fn has_vpc(&self) -> bool {
        !self.state().vpc_id.is_empty()
    }

    fn set_vpc(&self, vpc_id: String) {
        self.state().vpc_id = vpc_id;
    }

    pub fn is_resumed(&self) -> bool {
        self.state().resumed
    }

    /// The journal of an earlier process is settled; these stacks must be looked at by tags in the next pass.
    pub fn resumed(&self, stacks: impl IntoIterator<Item = StackId>) {
        let mut state = self.state();
        state.resumed = true;
        state.unfinished.extend(stacks);
        state.must_scan |= !state.unfinished.is_empty();
    }

    /// What the next pass, however narrow, looks at besides what changed: the last one could not read it or set it
    /// right.
    pub fn look_again(&self, stacks: BTreeSet<StackId>) {
        self.state().again = stacks;
    }

    pub fn again(&self) -> BTreeSet<StackId> {
        self.state().again.clone()
    }

    pub fn unfinished(&self) -> BTreeSet<StackId> {
        self.state().unfinished.clone()
    }

    pub fn set_foreign_members(&self, members: BTreeMap<String, BTreeSet<String>>) {
        self.state().foreign_members = members;
    }

    pub fn foreign_members(&self) -> BTreeMap<String, BTreeSet<String>> {
        self.state().foreign_members.clone()
    }

    pub fn follows_pods(&self) -> bool {
        self.state().follows_pods
    }

    pub fn count(&self, ops: OpCounts) {
        self.state().ops = ops;
    }

    pub fn ops(&self) -> OpCounts {
        self.state().ops
    }

    /// Learns from what was seen and done: names, subnets, and what is settled now.
    pub fn learn(&self, observed: &Observed, run: &Run) {
        let mut state = self.state();
        for (group, seen) in &observed.groups {
            for balancer in &seen.load_balancers {
                state
                    .dns_names
                    .insert(balancer.arn.clone(), balancer.dns_name.to_lowercase());
            }
            match seen.load_balancers.first() {
                Some(balancer) => {
                    let fact = LoadBalancerFact {
                        scheme: balancer.scheme,
                        subnets: balancer.subnets.iter().cloned().collect(),
                    };
                    if let Some(known) = &mut state.load_balancers {
                        known.insert(group.clone(), fact);
                    }
                }
                None => {
                    if let Some(known) = &mut state.load_balancers {
                        known.remove(group);
                    }
                }
            }
        }
        if run.outcome.replan || !run.outcome.failed.is_empty() {
            // Something was not as it was taken to be.
            state.facts = None;
            state.load_balancers = None;
        }
        if !run.outcome.unknown.is_empty() {
            state.unfinished.extend(run.outcome.unknown.iter().cloned());
            state.must_scan = true;
        }
    }

    /// A fresh balancer's name is in the answer that made it; nobody reads it again before the next sweep.
    pub fn learn_name(&self, output: &Output) {
        if let (Some(arn), Some(name)) = (&output.id, &output.dns_name) {
            let name = name.to_lowercase();
            self.state().dns_names.insert(arn.clone(), name);
        }
    }

    /// A whole pass went through: nothing is unknown any more.
    pub fn settled(&self) {
        let mut state = self.state();
        state.unfinished.clear();
        state.must_scan = false;
    }

    /// The account's limits as they were read last.
    pub fn account_limits(&self) -> Limits {
        self.state().account_limits.clone()
    }

    pub fn dns_names(&self) -> BTreeMap<Arn, String> {
        self.state().dns_names.clone()
    }

    /// Under which configuration a commit is judged (gitops G2, S11).
    pub fn config_digest(&self, config: &Config) -> String {
        digest(config)
    }

    /// The part of the configuration that shapes the model, with what only the account can tell.
    pub fn settings(&self, config: &Config) -> Settings {
        let account = self
            .state()
            .identity
            .as_ref()
            .map(|identity| identity.account.clone());
        identity::settings(config, account.as_deref())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The documents of an earlier commit, if they were needed last time too.
    pub(super) fn earlier(&self, revision: &Revision) -> Option<Arc<Manifests>> {
        self.all_earlier().get(revision).cloned()
    }

    /// Those that are needed now; others are forgotten.
    pub(super) fn set_earlier(&self, commits: BTreeMap<Revision, Arc<Manifests>>) {
        *self.all_earlier() = commits;
    }

    fn all_earlier(&self) -> MutexGuard<'_, BTreeMap<Revision, Arc<Manifests>>> {
        self.earlier.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was read of the repository's files before.
    pub(super) fn documents(&self) -> MutexGuard<'_, manifest::Cache> {
        self.documents
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Groups as they were built before.
    pub(super) fn groups(&self) -> MutexGuard<'_, group::cache::Cache> {
        self.groups.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
