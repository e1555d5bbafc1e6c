//! A commit without the parts of it that have problems: those stay as earlier commits had them (gitops G12).

use std::{collections::BTreeMap, sync::Arc};

use super::{
    Context, Stopped, finish,
    load::{self, Loaded},
    world,
};
use crate::{
    config::Admission,
    id::{ObjectKey, Revision, StackId},
    manifest::{self, Manifests},
    model::{
        confine::{self, Composed, Held},
        desired::Desired,
        digest::digest,
    },
    plan::{history::HeldBack, op},
    problem::{self, Checked, Origin, Problem},
    source::SourceError,
};

/// Code of what is held for its own problems.
const CODE: &str = "Rejected";

/// A commit whose parts with problems are as they are in force.
pub struct Parts {
    pub composed: Composed,
    pub held: Held,
    pub held_back: Vec<HeldBack>,
    base: Arc<Manifests>,
}

impl Parts {
    /// Drops what is wrong with the commit's own documents of held parts.
    pub fn drop_held(&self, problems: &mut Vec<Problem>, tip: &Manifests) {
        confine::drop_held(problems, &self.held, tip, &self.base);
    }
}

/// The commit with every part that has one of these problems as it is in force now; `None` if one of them cannot be
/// confined, or if the configuration wants whole commits.
///
/// # Errors
/// What is in force cannot be read.
pub async fn split(
    cx: &Context,
    tip: &Manifests,
    in_force: Option<&Revision>,
    problems: &[Problem],
) -> Result<Option<Parts>, Stopped> {
    if cx.config.admission != Admission::Group {
        return Ok(None);
    }
    let (base, bases) = match in_force {
        Some(revision) => in_force_manifests(cx, revision).await?,
        None => (Arc::default(), Vec::new()),
    };
    let Ok(held) = confine::confine(tip, &base, problems) else {
        return Ok(None);
    };
    let held_back = held
        .iter()
        .map(|(stack, problems)| HeldBack {
            stack: stack.clone(),
            members: confine::members(stack, tip, &base),
            base: match bases.iter().find(|held| held.stack == *stack) {
                Some(held) => held.base.clone(),
                None => in_force.filter(|_| confine::has(&base, stack)).cloned(),
            },
            problems: problems.clone(),
        })
        .collect();
    Ok(Some(Parts {
        composed: confine::compose(tip, &base, &held),
        held,
        held_back,
        base,
    }))
}

/// The same with everything that is known of it; found are the problems of the commit as it is. It goes on until no part
/// that goes on has a problem.
///
/// # Errors
/// What is in force cannot be read.
pub async fn admissible(
    cx: &Context,
    raw: &Loaded,
    in_force: Option<&Revision>,
    found: &[Problem],
) -> Result<Option<Loaded>, Stopped> {
    let mut problems = rejecting(found);
    let mut before = 0;
    loop {
        let Some(parts) = split(cx, &raw.manifests, in_force, &problems).await? else {
            return Ok(None);
        };
        let loaded = assemble(cx, raw, parts).await;
        // Of parts that are not held yet.
        let more = rejecting(&loaded.problems);
        if more.is_empty() {
            return Ok(Some(loaded));
        }
        problems.extend(more);
        if loaded.held_back.len() == before {
            return Ok(None);
        }
        before = loaded.held_back.len();
    }
}

/// What is in force, its held parts as it has them.
///
/// # Errors
/// The commit, or an earlier one that it takes parts from, cannot be read.
pub async fn in_force(cx: &Context, revision: &Revision) -> Result<Loaded, SourceError> {
    let held_back = held_back(cx, revision);
    if held_back.is_empty() {
        cx.world.set_earlier(BTreeMap::new());
        return load::load(cx, revision).await;
    }
    let (commit, files) = load::snapshot(&cx.source, revision).await?;
    let parsed = load::parse(cx, &files);
    let held = held_of(&held_back);
    let base = gathered(cx, &parsed.value, &held, &held_back).await?;
    let parts = Parts {
        composed: confine::compose(&parsed.value, &base, &held),
        held,
        held_back,
        base: Arc::new(base),
    };
    let mut raw = Loaded::read(commit, files, parsed.value);
    raw.of_files = parsed.problems;
    Ok(assemble(cx, &raw, parts).await)
}

/// Which parts of this commit are not in force.
pub fn held_back(cx: &Context, revision: &Revision) -> Vec<HeldBack> {
    let record = cx.store.revision(revision);
    record.map(|record| record.held_back).unwrap_or_default()
}

/// Held parts as people see them.
pub fn shown(held_back: &[HeldBack]) -> Vec<op::Held> {
    let shown = held_back.iter().map(|held| {
        let problems: Vec<String> = held
            .problems
            .iter()
            .map(|problem| format!("{}: {}", problem.origin, problem.message))
            .collect();
        let stays = match &held.base {
            Some(base) => format!("commit {} stays in force for it", base.short()),
            None => "no earlier commit is known for it, and nothing of it is touched".to_owned(),
        };
        op::Held {
            stack: held.stack.clone(),
            resource: None,
            code: CODE.to_owned(),
            message: format!("{stays}: {}", problems.join("; ")),
            release: "push a commit without these problems".to_owned(),
        }
    });
    shown.collect()
}

/// All problems of held parts, in the order of their places.
pub fn problems_of(held_back: &[HeldBack]) -> Vec<Problem> {
    let of_parts = held_back
        .iter()
        .flat_map(|held| held.problems.iter().cloned());
    let mut problems: Vec<Problem> = of_parts.collect();
    problems.sort();
    problems.dedup();
    problems
}

/// The desired state of a commit without its held parts, given what was built from its manifests: marked where it is
/// older, and with parts of which nothing is known waiting.
pub fn settle(
    built: Checked<Desired>,
    manifests: &Manifests,
    held_back: &[HeldBack],
    older: &BTreeMap<ObjectKey, StackId>,
) -> Checked<Desired> {
    let mut built = built;
    if held_back.is_empty() {
        return built;
    }
    for object in &mut built.value.objects {
        let stack = older.get(&object.reference.key());
        let held = held_back.iter().find(|held| Some(&held.stack) == stack);
        object.revision = held.and_then(|held| held.base.clone());
    }
    for held in held_back.iter().filter(|held| held.base.is_none()) {
        let first = held.problems.first();
        let origin = first.map_or_else(|| Origin::start_of("."), |it| it.origin.clone());
        let reason = "it has problems, and no earlier commit is known for it";
        built.value.set_aside(&held.stack, &origin, reason);
    }
    let held = held_of(held_back);
    for problem in confine::drop_held(&mut built.problems, &held, manifests, manifests) {
        // It was good when it came into force: facts have changed, and it waits with what it has (decision 7 of the spec).
        if problem.is_grave() {
            tracing::warn!(place = %problem.origin, code = %problem.code, "a held part cannot be built now: {problem}");
        }
    }
    built
}

async fn assemble(cx: &Context, raw: &Loaded, parts: Parts) -> Loaded {
    let mut problems = raw.of_files.clone();
    parts.drop_held(&mut problems, &raw.manifests);
    let Parts {
        composed: Composed { manifests, older },
        held_back,
        ..
    } = parts;
    let (facts, gaps) = world::facts(cx, &manifests).await;
    let built = settle(
        load::build(cx, &manifests, &facts),
        &manifests,
        &held_back,
        &older,
    );
    let of_parts: Vec<_> = held_back
        .iter()
        .map(|held| (&held.stack, &held.base))
        .collect();
    let parsed = rejecting(&problems).is_empty();
    problem::merge(&mut problems, built.problems);
    Loaded {
        commit: raw.commit.clone(),
        parsed,
        desired: built.value,
        problems,
        of_files: raw.of_files.clone(),
        gaps,
        facts: Arc::new(facts),
        // Never taken for the same files without problems.
        set_digest: digest(&(&raw.set_digest, of_parts)),
        looked: None,
        files: Arc::clone(&raw.files),
        manifests,
        held_back,
        older,
    }
}

/// The documents that are in force, and what of the commit in force is older.
async fn in_force_manifests(
    cx: &Context,
    revision: &Revision,
) -> Result<(Arc<Manifests>, Vec<HeldBack>), Stopped> {
    let unreadable = |error: SourceError| {
        Stopped::new(
            error.reason(),
            format!(
                "commit {} is in force and cannot be read: {error}",
                revision.short()
            ),
        )
    };
    let held_back = held_back(cx, revision);
    let raw = read(cx, revision).await.map_err(unreadable)?;
    if held_back.is_empty() {
        return Ok((raw, held_back));
    }
    let held = held_of(&held_back);
    let base = gathered(cx, &raw, &held, &held_back)
        .await
        .map_err(unreadable)?;
    Ok((
        Arc::new(confine::compose(&raw, &base, &held).manifests),
        held_back,
    ))
}

/// The documents of the earlier commits that parts are taken from.
async fn gathered(
    cx: &Context,
    tip: &Manifests,
    held: &Held,
    held_back: &[HeldBack],
) -> Result<Manifests, SourceError> {
    let mut commits: BTreeMap<Revision, Arc<Manifests>> = BTreeMap::new();
    for base in held_back.iter().filter_map(|held| held.base.as_ref()) {
        if !commits.contains_key(base) {
            let manifests = match cx.world.earlier(base) {
                Some(manifests) => manifests,
                None => read(cx, base).await?,
            };
            commits.insert(base.clone(), manifests);
        }
    }
    let bases: BTreeMap<StackId, &Manifests> = held_back
        .iter()
        .filter_map(|held| Some((held.stack.clone(), &**commits.get(held.base.as_ref()?)?)))
        .collect();
    let gathered = confine::gather(tip, held, &bases);
    cx.world.set_earlier(commits);
    Ok(gathered)
}

/// An earlier commit's documents, read beside those of the tip, which are remembered file by file.
async fn read(cx: &Context, revision: &Revision) -> Result<Arc<Manifests>, SourceError> {
    let (_, files) = load::snapshot(&cx.source, revision).await?;
    let parsed = manifest::parse(&files, &load::parse_options(&cx.config));
    Ok(Arc::new(parsed.value))
}

fn held_of(held_back: &[HeldBack]) -> Held {
    held_back
        .iter()
        .map(|held| (held.stack.clone(), held.problems.clone()))
        .collect()
}

fn rejecting(problems: &[Problem]) -> Vec<Problem> {
    let grave = problems.iter().filter(|problem| problem.is_grave());
    grave.cloned().collect()
}

/// Pins the commits that parts are taken from, whatever the server does to its history (gitops G23).
pub fn keep(cx: &Context, held_back: &[HeldBack]) {
    for base in held_back.iter().filter_map(|held| held.base.as_ref()) {
        finish::pin(cx, base);
    }
}
