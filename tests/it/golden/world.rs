//! The spine on an account, a cluster and a branch in memory.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use albsync::{
    apply::Stop,
    aws::fake::FakeAccount,
    cli::{
        Output,
        check::{CheckArgs, inspect},
        render::{Rendered, of_files},
    },
    cluster::fake::FakeCluster,
    config::{Config, Overrides},
    converge::{self, Context, PassEnd, load, preview, world},
    daemon::{self, schedule::Trigger},
    id::{Generation, RepoPath, Revision},
    model::{desired::Desired, facts::Node, settings::Checks},
    plan::{
        op::{Plan, Stage},
        render::{self, TextOptions},
    },
    problem::Problem,
    report::Reporter,
    source::{Commit, History, Snapshot, Source, SourceError, directory},
    store::Store,
};
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};

const CLUSTER: &str = "mz-k8s";

const CONFIG: &str = "
source: {url: /srv/manifests}
cluster: {name: mz-k8s}
aws: {region: eu-central-1}
iam:
  permissionsBoundary: arn:aws:iam::123456789012:policy/albsync/boundary
  oidcProvider: Ensure
  # Nobody waits for roles that only exist in memory.
  settle: 0s
";

/// A daemon without its loop, and all that it works on.
pub struct World {
    pub aws: Arc<FakeAccount>,
    pub cluster: FakeCluster,
    pub cx: Context,
    branch: Arc<Branch>,
    runtime: Runtime,
}

impl World {
    pub fn new() -> Self {
        Self::with("")
    }

    /// With more keys in its configuration.
    pub fn with(more: &str) -> Self {
        let config = Config::parse(
            "config.yaml",
            format!("{CONFIG}{more}").as_bytes(),
            &BTreeMap::new(),
            &Overrides::new(),
        )
        .expect("a configuration");
        let aws = Arc::new(FakeAccount::seeded(CLUSTER));
        let cluster = FakeCluster::new();
        cluster.set_nodes(nodes());
        let branch = Arc::new(Branch::default());
        let store = Store::ephemeral().expect("a store");
        Self {
            cx: context(Arc::new(config), &aws, &cluster, &branch, store),
            aws,
            cluster,
            branch,
            runtime: Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("a runtime"),
        }
    }

    /// Commits a directory on top of the branch.
    pub fn commit(&self, subject: &str, trailers: &[(String, String)], tree: &Path) -> Revision {
        self.branch.commit(subject, trailers, tree)
    }

    /// Commits that were pinned since the last question, in this order.
    pub fn pinned(&self) -> Vec<Revision> {
        std::mem::take(&mut *self.branch.kept.lock().expect("the branch"))
    }

    pub fn pass(&self, trigger: Trigger, tip: &Revision) -> PassEnd {
        self.pass_of(&self.cx, trigger, tip)
    }

    fn pass_of(&self, cx: &Context, trigger: Trigger, tip: &Revision) -> PassEnd {
        let (_stopper, stop) = Stop::pair();
        let pass = Box::pin(converge::converge(cx, &stop, trigger, Some(tip)));
        self.runtime.block_on(pass)
    }

    /// The same after a restart: only the store is left.
    pub fn pass_after_restart(&self, tip: &Revision) -> PassEnd {
        let cx = self.again(self.cx.store.clone());
        self.pass_of(&cx, Trigger::Start, tip)
    }

    /// The same after the store is lost too.
    pub fn pass_after_loss(&self, tip: &Revision) -> PassEnd {
        let cx = self.again(Store::ephemeral().expect("a store"));
        self.pass_of(&cx, Trigger::Start, tip)
    }

    fn again(&self, store: Store) -> Context {
        context(
            Arc::clone(&self.cx.config),
            &self.aws,
            &self.cluster,
            &self.branch,
            store,
        )
    }

    pub fn preview(&self, revision: &Revision) -> preview::Preview {
        let target = preview::PreviewTarget::Commit {
            text: revision.to_string(),
        };
        let preview = Box::pin(preview::preview(&self.cx, target));
        self.runtime.block_on(preview).expect("a preview")
    }

    /// The same under other checks than the configured ones.
    pub fn preview_under(&self, revision: &Revision, checks: Checks) -> preview::Preview {
        let target = preview::PreviewTarget::Commit {
            text: revision.to_string(),
        };
        let preview = Box::pin(preview::under(&self.cx, target, Some(checks)));
        self.runtime.block_on(preview).expect("a preview")
    }

    /// What `albsync check` with this configuration says of a commit.
    pub fn check(&self, revision: &Revision) -> Vec<Problem> {
        let (_, directory) = self.branch.find(revision).expect("a commit");
        inspect(&check_args(&directory), Some(&self.cx.config))
            .expect("a directory")
            .problems
    }

    /// What `albsync render` with this configuration makes of a commit.
    pub fn render(&self, revision: &Revision) -> Rendered {
        let files = self.files(revision);
        let parsed = load::parse(&self.cx, &files);
        let facts = Box::pin(world::facts(&self.cx, &parsed.value));
        let (facts, gaps) = self.runtime.block_on(facts);
        assert_eq!(gaps, []);
        let config = &self.cx.config;
        let settings = world::offline_settings(Some(config));
        of_files(&files, &load::parse_options(config), &facts, &settings)
    }

    pub fn load(&self, revision: &Revision) -> load::Loaded {
        let loaded = Box::pin(load::load(&self.cx, revision));
        self.runtime
            .block_on(loaded)
            .expect("a commit that can be read")
    }

    pub fn files(&self, revision: &Revision) -> Snapshot {
        let read = load::snapshot(&self.cx.source, revision);
        self.runtime
            .block_on(read)
            .expect("a commit that can be read")
            .1
    }

    /// What these files ask for, under the facts of the moment.
    pub fn build(&self, files: &Snapshot) -> (Desired, Vec<Problem>) {
        let mut parsed = load::parse(&self.cx, files);
        let facts = Box::pin(world::facts(&self.cx, &parsed.value));
        let (facts, gaps) = self.runtime.block_on(facts);
        assert_eq!(gaps, []);
        let built = load::build(&self.cx, &parsed.value, &facts);
        parsed.problems.extend(built.problems);
        (built.value, parsed.problems)
    }

    /// Plans that were opened after a generation, oldest first.
    pub fn plans_since(&self, generation: Generation) -> Vec<Plan> {
        let plans = self.cx.store.plans(usize::MAX).expect("the journal");
        let mut plans: Vec<_> = plans
            .into_iter()
            .filter(|plan| plan.generation > generation)
            .collect();
        plans.sort_by_key(|plan| plan.generation);
        plans.into_iter().map(|plan| plan.plan).collect()
    }

    /// Everything that was written to AWS and the cluster so far, Events apart.
    pub fn writes(&self) -> Vec<String> {
        let mut writes = self.aws.writes();
        writes.extend(self.cluster.writes());
        writes
    }

    pub fn forget_writes(&self) {
        self.aws.forget_calls();
        self.cluster.clear_calls();
    }
}

fn context(
    config: Arc<Config>,
    aws: &Arc<FakeAccount>,
    cluster: &FakeCluster,
    branch: &Arc<Branch>,
    store: Store,
) -> Context {
    let must_scan = store.opened().needs_full_scan();
    Context {
        source: Arc::clone(branch) as Arc<dyn Source>,
        aws: Arc::clone(aws) as Arc<dyn albsync::aws::AwsWrite>,
        cluster: Arc::new(cluster.clone()),
        reporter: Reporter::new(daemon::first_status(&config)),
        world: world::World::new(aws.state().vpc.id, must_scan),
        config,
        store,
    }
}

fn nodes() -> Vec<Node> {
    (0..3)
        .map(|index| Node {
            name: format!("node-{index}"),
            provider_id: Some(format!("aws:///eu-central-1a/i-{index:017}")),
            labels: BTreeMap::new(),
            taints: Vec::new(),
            ready: "True".to_owned(),
        })
        .collect()
}

/// The plans of a pass as people read them; a half without operations is in no journal, and is said.
pub fn plan_text(plans: &[Plan]) -> String {
    let mut text = String::new();
    for (stage, words) in [
        (Stage::Prepare, "roles and objects"),
        (Stage::Route, "balancers and what leaves"),
    ] {
        let mut of_stage = plans.iter().filter(|plan| plan.stage == stage).peekable();
        if of_stage.peek().is_none() {
            text.push_str(&format!("{words}: nothing to do\n"));
        }
        for plan in of_stage {
            text.push_str(&render::text(plan, &TextOptions::default()));
        }
    }
    text
}

/// What `albsync check` says of a directory: without account, cluster and configuration.
pub fn check(directory: &Path) -> Vec<Problem> {
    inspect(&check_args(directory), None)
        .expect("a directory")
        .problems
}

fn check_args(directory: &Path) -> CheckArgs {
    CheckArgs {
        target: directory.display().to_string(),
        repository: PathBuf::from("."),
        paths: Vec::new(),
        checks: albsync::cli::ChecksArg::default(),
        output: Output::Text,
    }
}

/// A branch whose commits are directories: read by the rules of trees, without git.
#[derive(Default)]
pub struct Branch {
    commits: Mutex<Vec<(Commit, TempDir)>>,
    /// Pinned, in this order.
    kept: Mutex<Vec<Revision>>,
}

impl Branch {
    fn commit(&self, subject: &str, trailers: &[(String, String)], tree: &Path) -> Revision {
        let directory = tempfile::tempdir().expect("a directory");
        super::case::copy(tree, directory.path());
        let mut commits = self.commits.lock().expect("the branch");
        let number = commits.len() + 1;
        let revision = Revision::from(format!("{number:040x}").as_str());
        let commit = Commit {
            revision: revision.clone(),
            author: "A Person <person@example.com>".to_owned(),
            time: 1_760_000_000,
            subject: subject.to_owned(),
            trailers: trailers.to_vec(),
        };
        commits.push((commit, directory));
        revision
    }

    fn find(&self, revision: &Revision) -> Result<(Commit, PathBuf), SourceError> {
        let commits = self.commits.lock().expect("the branch");
        let found = commits
            .iter()
            .find(|(commit, _)| commit.revision == *revision);
        found
            .map(|(commit, directory)| (commit.clone(), directory.path().to_owned()))
            .ok_or_else(|| SourceError::UnknownRevision {
                revision: revision.clone(),
            })
    }
}

impl Source for Branch {
    fn fetch(&self) -> Result<Revision, SourceError> {
        let commits = self.commits.lock().expect("the branch");
        let (tip, _) = commits.last().expect("a commit");
        Ok(tip.revision.clone())
    }

    fn resolve(&self, text: &str) -> Result<Revision, SourceError> {
        let (commit, _) = self.find(&Revision::from(text))?;
        Ok(commit.revision)
    }

    fn commit(&self, revision: &Revision) -> Result<Commit, SourceError> {
        Ok(self.find(revision)?.0)
    }

    fn snapshot(
        &self,
        revision: &Revision,
        named: &BTreeSet<RepoPath>,
    ) -> Result<Snapshot, SourceError> {
        let (commit, directory) = self.find(revision)?;
        let files = directory::read_named(&directory, &[RepoPath::from(".")], named)?;
        Ok(Snapshot {
            commit: Some(commit),
            ..files
        })
    }

    fn relation(&self, old: &Revision, new: &Revision) -> Result<History, SourceError> {
        Ok(match old.as_str().cmp(new.as_str()) {
            std::cmp::Ordering::Less => History::Descends,
            std::cmp::Ordering::Equal => History::Same,
            std::cmp::Ordering::Greater => History::Rewritten { dropped: 1 },
        })
    }

    fn keep(&self, revision: &Revision) -> Result<(), SourceError> {
        let mut kept = self.kept.lock().expect("the branch");
        kept.push(revision.clone());
        Ok(())
    }
}
