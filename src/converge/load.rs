//! One commit, read, parsed and built against the facts of the moment.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::{Context, world};
use crate::{
    id::{ObjectKey, RepoPath, Revision, StackId},
    manifest::{self, Manifests, ParseOptions},
    model::{
        self,
        desired::Desired,
        digest::{digest, hex},
        facts::Facts,
        leaving,
        object::ObjectSpec,
        observed::Gap,
        settings::Settings,
    },
    plan::history::HeldBack,
    problem::{self, Checked, Origin, Problem, codes},
    source::{
        Source, SourceError,
        snapshot::{Commit, Snapshot},
    },
};

/// A commit and what it asks for.
#[derive(Clone, Debug)]
pub struct Loaded {
    pub commit: Commit,
    pub manifests: Manifests,
    pub desired: Desired,
    /// Parsing alone found nothing that rejects: no document is missing.
    pub parsed: bool,
    /// Of parsing and building, in the order of their places.
    pub problems: Vec<Problem>,
    /// Those of parsing alone.
    pub of_files: Vec<Problem>,
    /// Facts that could not be read.
    pub gaps: Vec<Gap>,
    /// On which `desired` was built.
    pub facts: Arc<Facts>,
    /// Digest of the files that matter: equal digests ask for the same (gitops G8).
    pub set_digest: String,
    /// Its objects as the API server answered at admission, in this very pass: not asked for again.
    pub looked: Option<world::Looked>,
    /// As read, to find places in them.
    pub files: Arc<Snapshot>,
    /// Parts of it that are not in force: `manifests` have them as earlier commits did.
    pub held_back: Vec<HeldBack>,
    /// Documents of those earlier commits.
    pub older: BTreeMap<ObjectKey, StackId>,
}

impl Loaded {
    /// A commit that was read and of which nothing else is known.
    pub fn read(commit: Commit, files: Snapshot, manifests: Manifests) -> Self {
        Self {
            commit,
            manifests,
            desired: Desired::default(),
            parsed: false,
            problems: Vec::new(),
            of_files: Vec::new(),
            gaps: Vec::new(),
            facts: Arc::default(),
            set_digest: set_digest(&files),
            looked: None,
            files: Arc::new(files),
            held_back: Vec::new(),
            older: BTreeMap::new(),
        }
    }

    /// Everything could be built: what is absent from it is really not wanted.
    pub fn is_sound(&self) -> bool {
        self.gaps.is_empty() && !self.problems.iter().any(Problem::is_grave)
    }
}

/// Reads a commit's files on a thread for blocking work.
///
/// # Errors
/// The commit is not there, or its tree cannot be served.
pub async fn snapshot(
    source: &Arc<dyn Source>,
    revision: &Revision,
) -> Result<(Commit, Snapshot), SourceError> {
    let source = Arc::clone(source);
    let revision = revision.clone();
    let read = move || {
        let commit = source.commit(&revision)?;
        let files = source.snapshot(&revision, &BTreeSet::new())?;
        let named = manifest::named_files(&files);
        let files = if named.is_empty() {
            files
        } else {
            source.snapshot(&revision, &named)?
        };
        Ok((commit, files))
    };
    match tokio::task::spawn_blocking(read).await {
        Ok(read) => read,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}

/// Parses a snapshot as the configuration says; only files that changed since the last one are read again.
pub fn parse(cx: &Context, files: &Snapshot) -> Checked<Manifests> {
    let options = parse_options(&cx.config);
    manifest::parse_changed(files, &options, &mut cx.world.documents())
}

/// How manifests are read under this configuration.
pub fn parse_options(config: &crate::config::Config) -> ParseOptions {
    ParseOptions {
        watched: config
            .source
            .paths
            .iter()
            .map(|path| RepoPath::new(path.clone()))
            .collect(),
        lowered: config.checks.lowered.clone(),
        checks: config.checks.mode,
        default_target_type: world::target_type(config),
        ingress_class: config.ingress.class.clone(),
        ..ParseOptions::default()
    }
}

/// Everything of one commit under the facts of the moment.
///
/// # Errors
/// The commit cannot be read.
pub async fn load(cx: &Context, revision: &Revision) -> Result<Loaded, SourceError> {
    let (commit, files) = snapshot(&cx.source, revision).await?;
    let parsed = parse(cx, &files);
    let (facts, gaps) = world::facts(cx, &parsed.value).await;
    let built = build(cx, &parsed.value, &facts);
    let mut problems = parsed.problems.clone();
    problem::merge(&mut problems, built.problems);
    problems.sort();
    problems.dedup();
    Ok(Loaded {
        parsed: !parsed.is_rejected(),
        of_files: parsed.problems,
        desired: built.value,
        problems,
        gaps,
        facts: Arc::new(facts),
        ..Loaded::read(commit, files, parsed.value)
    })
}

/// The desired state under these facts; without the account nothing can be named, and everything waits.
pub fn build(cx: &Context, manifests: &Manifests, facts: &Facts) -> Checked<Desired> {
    let settings = settings(cx);
    cx.store.read_applied(|applied| {
        model::build_on(manifests, facts, &settings, applied, &mut cx.world.groups())
    })
}

/// What the commit itself is to blame for, where what was applied last is still there: a part that asks anew for what is
/// gone, and what it takes away from its own Ingresses.
pub fn blamed(
    cx: &Context,
    manifests: &Manifests,
    facts: &Facts,
    desired: &Desired,
) -> Vec<Problem> {
    let mut problems = asked_anew(cx, desired);
    problems.extend(taken_away(cx, manifests, facts, desired));
    problems
}

/// What a commit asks of groups for which facts are missing is a problem of it where it asks anew; where nothing of it
/// changed, the cause is not in git (decisions 7 and 25 of the spec).
fn asked_anew(cx: &Context, desired: &Desired) -> Vec<Problem> {
    if desired.kept.is_empty() {
        return Vec::new();
    }
    let ingresses = desired.objects.iter();
    let ingresses: BTreeMap<String, &ObjectSpec> = ingresses
        .filter(|object| object.reference.kind == "Ingress")
        .map(|object| (object.reference.to_string(), object))
        .collect();
    let changed = |problem: &Problem| {
        let named = problem.object.as_ref();
        let ingress = named.and_then(|object| ingresses.get(object));
        ingress.is_none_or(|ingress| {
            let digest = ingress.digest();
            cx.store.read_applied(|applied| {
                let last = applied.inventory.get(&ingress.reference.key());
                last.is_none_or(|last| last.digest != digest)
            })
        })
    };
    let kept = desired.kept.iter().map(|kept| &kept.problem);
    kept.filter(|problem| problem.code != codes::FACT_MISSING && changed(problem))
        .cloned()
        .collect()
}

/// What a commit takes away from its own Ingresses.
fn taken_away(
    cx: &Context,
    manifests: &Manifests,
    facts: &Facts,
    desired: &Desired,
) -> Vec<Problem> {
    let settings = settings(cx);
    let mut problems = cx.store.read_applied(|applied| {
        let mut problems = leaving::still_needed(manifests, facts, desired, applied);
        let disowned = leaving::disowned(manifests, facts, &settings, desired, applied);
        problems.extend(disowned);
        problems
    });
    manifest::lower(&mut problems, &parse_options(&cx.config));
    problems
}

/// The part of the configuration that shapes the model.
pub fn settings(cx: &Context) -> Settings {
    cx.world.settings(&cx.config)
}

/// A tree that cannot be served is a mistake of the commit, with the path as its place.
pub fn problem_of(error: &SourceError) -> Option<Problem> {
    let path = error.path()?;
    Some(
        Problem::new(
            "source-tree",
            Origin::start_of(path.as_str()),
            error.to_string(),
        )
        .hint("remove it from the watched paths, or watch other paths"),
    )
}

fn set_digest(files: &Snapshot) -> String {
    let of_each: Vec<(&str, String)> = files
        .files
        .iter()
        .map(|(path, file)| (path.as_str(), hex(file.digest())))
        .collect();
    digest(&of_each)
}
