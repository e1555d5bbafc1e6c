//! What a pass knows of the world: who we are, facts that last for a while, and how stacks are looked at.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use jiff::Timestamp;

use futures::FutureExt;

use super::{Context, Half, Run, Stopped, load, load::Loaded};
use crate::{
    aws::{GroupQuery, Identity},
    cluster::Right,
    config::{Config, ProviderPolicy, SchemeConfig},
    daemon::schedule::Trigger,
    id::{Arn, ObjectKey, ResourceKind, SecurityGroupId, StackId},
    manifest::{
        Manifests,
        annotation::{Scheme, Setting, TargetType},
    },
    model::{
        applied::{Applied, changed_stacks},
        desired::Desired,
        digest::digest,
        facts::{Facts, LoadBalancerFact},
        observed::{DryRun, Gap, Observed},
        settings::{Checks, FeatureGates, Flags, IamSettings, Settings},
    },
    observe::{
        self,
        aws::{GroupKnown, IamScan, NetworkKnown, RoleKnown, Scan},
        cluster::Scope,
    },
    plan::{Plane, ReadOnly, history::OpCounts, record::Output},
    problem::{Problem, Severity},
    store::{Pins, StoreError},
};

/// What lasts longer than a pass. Only a cache: everything in it can be read again.
pub struct World {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    vpc_id: String,
    identity: Option<Identity>,
    /// AWS's part of the facts, kept from sweep to sweep.
    facts: Option<KeptFacts>,
    /// Live balancers by group id, for subnets that stick (ingress-model §3.4). Absent: not read yet.
    load_balancers: Option<BTreeMap<String, LoadBalancerFact>>,
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
    /// Operations of the running pass.
    ops: OpCounts,
}

struct KeptFacts {
    facts: Facts,
    /// Whether the EKS cluster was asked.
    eks: bool,
    schemes: BTreeSet<Scheme>,
    instances: BTreeSet<String>,
}

impl World {
    /// `must_scan`: the store does not know what exists.
    pub fn new(vpc_id: String, must_scan: bool) -> Self {
        Self {
            state: Mutex::new(State {
                vpc_id,
                must_scan,
                ..State::default()
            }),
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
        settings(config, account.as_deref())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Settings without any account, for checking manifests offline.
pub fn offline_settings(config: Option<&Config>) -> Settings {
    match config {
        Some(config) => settings(config, None),
        None => Settings::offline(),
    }
}

fn settings(config: &Config, account: Option<&str>) -> Settings {
    let arns = |texts: &BTreeSet<String>| texts.iter().map(|text| Arn::new(text.clone())).collect();
    Settings {
        cluster_name: config.cluster.name.clone(),
        installation: installation(config, account.unwrap_or_default()),
        repo_id: digest(&config.source.url).chars().take(12).collect(),
        ingress_class: config.ingress.class.clone(),
        default_scheme: match config.ingress.default_scheme {
            SchemeConfig::Internal => Scheme::Internal,
            SchemeConfig::InternetFacing => Scheme::InternetFacing,
        },
        default_target_type: TargetType::Instance,
        default_tags: config.ingress.default_tags.clone(),
        flags: Flags::default(),
        gates: FeatureGates::default(),
        checks: Checks::default(),
        alb_owner_tag: config.ingress.owner_tag,
        iam: IamSettings {
            path: config.iam_path(),
            role_prefix: config.iam.role_prefix.clone(),
            permissions_boundary: config.iam.permissions_boundary.clone().map(Arn::new),
            allowed_boundaries: arns(&config.iam.allowed_boundaries),
            allowed_policies: config.iam.allowed_policies.clone(),
            ensure_provider: config.iam.oidc_provider == ProviderPolicy::Ensure,
            allow_adoption: config.iam.allow_adoption,
        },
        lowered: config.checks.lowered.clone(),
    }
}

/// Decision 27 of the spec: by default a hash over account, region and cluster, so that it survives the store's loss.
pub fn installation(config: &Config, account: &str) -> String {
    config.installation.clone().unwrap_or_else(|| {
        digest(&(account, &config.aws.region, &config.cluster.name))
            .chars()
            .take(16)
            .collect()
    })
}

/// Who we are, asked once, and compared with who we were: another account or cluster is never written to (gitops G72).
pub async fn pin(cx: &Context) -> Result<(), Stopped> {
    let known = cx.world.state().identity.clone();
    if known.is_some() {
        return Ok(());
    }
    let (identity, cluster) = futures::join!(cx.aws.identity(), cx.cluster.identity());
    let identity = identity
        .map_err(|error| Stopped::new("AccountUnknown", format!("who we are in AWS: {error}")))?;
    let cluster = cluster.map_err(|error| {
        Stopped::new(
            "ClusterUnreachable",
            format!("which cluster this is: {error}"),
        )
    })?;
    let installation = installation(&cx.config, &identity.account);
    let pins = Pins {
        installation: Some(installation.clone()),
        account: Some(identity.account.clone()),
        cluster: Some(cluster),
    };
    cx.store.pin(&pins).map_err(|error| match error {
        StoreError::PinMismatch { .. } => Stopped::new(
            "TargetIdentityMismatch",
            format!("{error}; nothing is written. Give this target a state directory of its own"),
        ),
        error => Stopped::store(error),
    })?;
    cx.reporter
        .change(|status| status.installation = installation);
    cx.world.state().identity = Some(identity);
    Ok(())
}

/// While the AWS Load Balancer Controller's lease is renewed, AWS is read-only (decision 28 of the spec).
pub async fn other_controller(cx: &Context) -> Result<Option<ReadOnly>, Stopped> {
    let found = observe::cluster::lbc_active(&*cx.cluster, &cx.config.leases.lbc, Timestamp::now())
        .boxed()
        .await;
    let why = match found {
        Ok(holder) => {
            holder.map(|holder| format!("the AWS Load Balancer Controller runs: lease {holder}"))
        }
        // Could not read is not absent: two writers on one listener cost traffic.
        Err(gap) => Some(format!(
            "whether the AWS Load Balancer Controller runs is not known: {}",
            gap.message
        )),
    };
    cx.reporter.read_only(why.clone());
    Ok(why.map(|why| ReadOnly {
        plane: Plane::Aws,
        why,
    }))
}

/// The facts of the moment: the cluster's are read, AWS's kept from sweep to sweep.
pub async fn facts(cx: &Context, manifests: &Manifests) -> (Facts, Vec<Gap>) {
    let namespaces = manifests
        .ingresses
        .iter()
        .map(|ingress| ingress.namespace.clone());
    let wanted = observe::cluster::FactsWanted {
        service_namespaces: Some(namespaces.collect()),
        nodes: !manifests.ingresses.is_empty(),
        ingress_classes: !manifests.ingresses.is_empty(),
        declared_classes: manifests
            .classes
            .iter()
            .map(|class| class.name.clone())
            .collect(),
    };
    let (mut facts, mut gaps) = observe::cluster::facts(&*cx.cluster, &wanted).boxed().await;
    let instances = facts
        .nodes
        .as_deref()
        .map(observe::aws::instance_ids)
        .unwrap_or_default();
    let (aws, unread) = aws_facts(cx, manifests, instances).await;
    gaps.extend(unread);
    facts.account = aws.account;
    facts.partition = aws.partition;
    facts.region = Some(cx.config.aws.region.clone());
    facts.cluster = Some(cx.config.cluster.name.clone());
    facts.cluster_arn = aws.cluster_arn;
    facts.oidc_issuer = aws.oidc_issuer;
    facts.vpc = aws.vpc;
    facts.subnets = aws.subnets;
    facts.security_groups = aws.security_groups;
    facts.instance_groups = aws.instance_groups;
    let (balancers, unread) = load_balancers(cx).await;
    facts.load_balancers = balancers;
    gaps.extend(unread);
    if !manifests.iam_service_accounts.is_empty()
        && let Some(scan) = &cx.world.state().iam_scan
    {
        // Named before the first write.
        gaps.extend(scan.gaps());
    }
    (facts, gaps)
}

/// Account and network: read when a sweep forgot them, when nodes came, or when a scheme is asked for the first time.
async fn aws_facts(
    cx: &Context,
    manifests: &Manifests,
    instances: BTreeSet<String>,
) -> (Facts, Vec<Gap>) {
    let default = match cx.config.ingress.default_scheme {
        SchemeConfig::Internal => Scheme::Internal,
        SchemeConfig::InternetFacing => Scheme::InternetFacing,
    };
    let schemes: BTreeSet<Scheme> = manifests
        .ingresses
        .iter()
        .map(|ingress| {
            ingress
                .options
                .load_balancer
                .scheme
                .as_ref()
                .and_then(Setting::good)
                .map_or(default, |scheme| *scheme)
        })
        .collect();
    let eks = !manifests.iam_service_accounts.is_empty();
    let vpc_id = {
        let state = cx.world.state();
        if let Some(kept) = &state.facts
            && (kept.eks || !eks)
            && instances.is_subset(&kept.instances)
            && schemes.is_subset(&kept.schemes)
        {
            return (kept.facts.clone(), Vec::new());
        }
        state.vpc_id.clone()
    };
    let wanted = observe::aws::FactsWanted {
        region: cx.config.aws.region.clone(),
        cluster: cx.config.cluster.name.clone(),
        vpc_id,
        vpc_cidrs: false,
        identity: true,
        eks,
        subnets_for: schemes.clone(),
        instances: Some(instances.clone()),
    };
    let (facts, gaps) = observe::aws::facts(&*cx.aws, &wanted).boxed().await;
    if gaps.is_empty() {
        cx.world.state().facts = Some(KeptFacts {
            facts: facts.clone(),
            eks,
            schemes,
            instances,
        });
    }
    (facts, gaps)
}

async fn load_balancers(cx: &Context) -> (Option<BTreeMap<String, LoadBalancerFact>>, Vec<Gap>) {
    let scan = {
        let state = cx.world.state();
        if let Some(known) = &state.load_balancers {
            return (Some(known.clone()), Vec::new());
        }
        state.scan.clone()
    };
    let (read, gaps) = observe::aws::load_balancers(&*cx.aws, &cx.store.applied(), scan.as_deref())
        .boxed()
        .await;
    cx.world.state().load_balancers.clone_from(&read);
    (read, gaps)
}

/// What a server-side dry run says against objects that would change, as problems at their places; and what could not
/// be asked.
pub async fn dry_run(cx: &Context, desired: &Desired) -> (Vec<Problem>, Vec<Gap>) {
    let inventory = cx.store.applied().inventory;
    let scope = observe::cluster::Scope::Changed {
        also: BTreeSet::new(),
    };
    let (objects, gaps) =
        observe::cluster::objects(&*cx.cluster, &desired.objects, &inventory, &scope)
            .boxed()
            .await;
    let problems = desired
        .objects
        .iter()
        .filter_map(|object| {
            let DryRun::Refused(message) =
                objects.get(&object.reference.key())?.dry_run.as_ref()?
            else {
                return None;
            };
            Some(
                Problem::new(
                    "refused-by-api-server",
                    object.origin.clone(),
                    format!("the API server refuses it: {message}"),
                )
                .of(&object.reference),
            )
        })
        .collect();
    (problems, gaps)
}

/// Rights in the cluster that this commit needs and we do not have.
pub async fn missing_rights(cx: &Context, desired: &Desired) -> Result<Vec<Right>, Stopped> {
    let inventory = cx.store.applied().inventory;
    let (missing, gaps) =
        observe::cluster::missing_rights(&*cx.cluster, &desired.objects, &inventory)
            .boxed()
            .await;
    match gaps.into_iter().next() {
        None => Ok(missing),
        Some(gap) => Err(Stopped::new(
            "ClusterUnreachable",
            format!("{}: {}", gap.what, gap.message),
        )),
    }
}

/// The desired state for the second half: built anew when the first half changed what it is made from, or when
/// something waited for that.
pub async fn rebuild(cx: &Context, loaded: &Loaded, runs: &[Run]) -> (Desired, bool) {
    let wrote = runs.iter().any(|run| run.outcome.done > 0);
    if !wrote && loaded.desired.waiting.is_empty() {
        return (loaded.desired.clone(), loaded.is_sound());
    }
    let (facts, gaps) = facts(cx, &loaded.manifests).await;
    let built = load::build(cx, &loaded.manifests, &facts);
    for problem in &built.problems {
        tracing::warn!(place = %problem.origin, code = %problem.code, "cannot be built now: {problem}");
    }
    let sound = gaps.is_empty()
        && !built
            .problems
            .iter()
            .any(|problem| problem.severity == Severity::Problem);
    (built.value, sound)
}

/// Which stacks a pass works on: what differs from what was applied last; in a full pass everything. Where something
/// could not be built (`!sound`), nothing is taken down: invalid never means delete.
pub fn scope(
    cx: &Context,
    desired: &Desired,
    applied: &Applied,
    trigger: Trigger,
    sound: bool,
) -> BTreeSet<StackId> {
    let mut scope = changed_stacks(desired, applied);
    scope.extend(cx.world.unfinished());
    let wanted: BTreeSet<StackId> = desired.stacks().into_keys().collect();
    let known = applied.known_stacks();
    scope.extend(
        cx.world
            .again()
            .into_iter()
            .filter(|stack| wanted.contains(stack) || known.contains(stack)),
    );
    if trigger.is_full() {
        scope.extend(wanted.iter().cloned());
        scope.extend(known);
    }
    if trigger == Trigger::Cluster {
        scope.insert(StackId::Cluster);
    }
    if !sound {
        scope.retain(|stack| wanted.contains(stack));
    }
    for wait in &desired.waiting {
        scope.remove(&wait.stack);
    }
    scope
}

/// Looks at what one half of a pass needs, no more.
pub async fn observe(
    cx: &Context,
    half: Half,
    desired: &Desired,
    applied: &Applied,
    scope: &BTreeSet<StackId>,
    trigger: Trigger,
) -> Observed {
    cx.reporter.doing("reading", 0, 0);
    match half {
        Half::Prepare => observe_prepare(cx, desired, applied, scope, trigger).await,
        Half::Route => observe_route(cx, desired, applied, scope).await,
    }
}

async fn observe_prepare(
    cx: &Context,
    desired: &Desired,
    applied: &Applied,
    scope: &BTreeSet<StackId>,
    trigger: Trigger,
) -> Observed {
    let mut observed = Observed::default();
    if scope.contains(&StackId::Provider)
        && let Some(provider) = &desired.provider
    {
        let (seen, gaps) = observe::aws::provider(&*cx.aws, &provider.spec.arn)
            .boxed()
            .await;
        observed.provider = Some(seen);
        observed.gaps.extend(gaps);
    }
    let wanted = scope.iter().filter_map(|stack| match stack {
        StackId::Role(key) if desired.roles.contains_key(key) => Some(key),
        _ => None,
    });
    observe_roles(cx, desired, applied, wanted, &mut observed).await;
    let all = trigger.is_full()
        || trigger == Trigger::Cluster
        || cx.world.again().contains(&StackId::Cluster);
    let looking = if all {
        Scope::All
    } else {
        Scope::Changed {
            also: BTreeSet::new(),
        }
    };
    if scope.contains(&StackId::Cluster) {
        observe_objects(cx, desired, applied, &looking, &mut observed).await;
    }
    observed
}

async fn observe_route(
    cx: &Context,
    desired: &Desired,
    applied: &Applied,
    scope: &BTreeSet<StackId>,
) -> Observed {
    let mut observed = Observed::default();
    let scan = cx.world.state().scan.clone();
    if scan.is_none() {
        read_security_groups(cx, applied, scope).await;
    }
    let mut members: BTreeSet<ObjectKey> = BTreeSet::new();
    for stack in scope {
        let StackId::Group(group) = stack else {
            continue;
        };
        let wanted = desired.groups.get(group);
        let mut known = GroupKnown::new(group, wanted, applied);
        known.scan.clone_from(&scan);
        let (seen, gaps) = observe::aws::group(&*cx.aws, group, &cx.config.cluster.name, &known)
            .boxed()
            .await;
        observed.groups.insert(group.clone(), seen);
        observed.gaps.extend(gaps);
        members.extend(
            wanted
                .iter()
                .flat_map(|wanted| wanted.members.iter().map(|member| member.reference.key())),
        );
    }
    if scope.contains(&StackId::Network) {
        let nodes = cx
            .world
            .state()
            .facts
            .iter()
            .flat_map(|kept| kept.facts.instance_groups.iter().flatten())
            .flat_map(|(_, groups)| groups.iter().cloned())
            .collect::<BTreeSet<_>>();
        let named = desired
            .network
            .iter()
            .flat_map(|network| network.node_permissions.keys().cloned());
        let mut known = NetworkKnown::new(nodes.into_iter().chain(named).collect(), applied);
        known.scan.clone_from(&scan);
        let (seen, gaps) = observe::aws::network(&*cx.aws, &cx.config.cluster.name, &known)
            .boxed()
            .await;
        observed.network = Some(seen);
        observed.gaps.extend(gaps);
    }
    let leaving = scope.iter().filter_map(|stack| match stack {
        StackId::Role(key) if !desired.roles.contains_key(key) => Some(key),
        _ => None,
    });
    observe_roles(cx, desired, applied, leaving, &mut observed).await;
    observe_objects(
        cx,
        desired,
        applied,
        &Scope::Changed { also: members },
        &mut observed,
    )
    .await;
    observed
}

/// One call for the security groups of all stacks: they are remembered, and each stack asks the memory. What could not
/// be read here is asked for again by the stack that needs it.
async fn read_security_groups(cx: &Context, applied: &Applied, scope: &BTreeSet<StackId>) {
    let ids: BTreeSet<SecurityGroupId> = applied
        .resources
        .iter()
        .filter(|(id, _)| id.kind == ResourceKind::SecurityGroup && scope.contains(&id.stack))
        .filter_map(|(_, resource)| Some(SecurityGroupId(resource.arn.as_ref()?.0.clone())))
        .collect();
    if ids.len() > 1 {
        let query = GroupQuery::Ids(ids.into_iter().collect());
        if let Err(error) = cx.aws.security_groups(&query).await {
            tracing::debug!(%error, "the security groups could not be read together");
        }
    }
}

async fn observe_roles(
    cx: &Context,
    desired: &Desired,
    applied: &Applied,
    keys: impl Iterator<Item = &String>,
    observed: &mut Observed,
) {
    let scan = cx.world.state().iam_scan.clone();
    let path = cx.config.iam_path();
    for key in keys {
        let mut known = RoleKnown::new(key, &path, desired.roles.get(key), applied);
        known.scan.clone_from(&scan);
        let (seen, gaps) = observe::aws::role(&*cx.aws, key, &known).boxed().await;
        observed.roles.insert(key.clone(), seen);
        observed.gaps.extend(gaps);
    }
}

async fn observe_objects(
    cx: &Context,
    desired: &Desired,
    applied: &Applied,
    looking: &Scope,
    observed: &mut Observed,
) {
    let (objects, gaps) =
        observe::cluster::objects(&*cx.cluster, &desired.objects, &applied.inventory, looking)
            .boxed()
            .await;
    observed.objects = objects;
    observed.gaps.extend(gaps);
}
