//! Which commit to defend: a tip that passes every check takes over, a refused one changes nothing (gitops G10).

use super::{Context, PassEnd, Stopped, finish, load, load::Loaded, partial, tell, world};
use crate::{
    cluster::Right,
    config::HistoryPolicy,
    id::{Revision, StackId},
    model::{observed::Gap, previous::PreviousSet},
    plan::{
        guard,
        history::{CommitState, RevisionUpdate},
        op::Held,
    },
    problem::{Problem, codes},
    source::History,
};

/// What to work on.
pub struct Choice {
    /// Absent: nothing is in force and nothing may come into force.
    pub chosen: Option<Loaded>,
    /// Whether something of the tip is still open.
    pub end: PassEnd,
    /// Why the tip waits, while what is in force is worked on.
    pub held: Vec<Held>,
}

/// What becomes of a tip.
enum Verdict {
    Admitted(Box<Loaded>),
    /// It asks for exactly what is in force: only the records move (gitops G8).
    Same(Box<Loaded>),
    Rejected,
    /// A gate is closed; opened by something outside (a right is granted) or by another commit.
    Held {
        again: bool,
        held: Vec<Held>,
    },
    /// Something could not be read: tried again, no rejection (gitops G2).
    Deferred,
}

/// Judges the tip if it is new, and answers with the commit that is to be brought about.
pub async fn choose(cx: &Context, tip: Option<&Revision>) -> Result<Choice, Stopped> {
    let in_force = cx.store.in_force();
    let mut end = PassEnd::Complete;
    let mut tip_held = Vec::new();
    if let Some(tip) = tip
        && Some(tip) != in_force.as_ref()
    {
        match judge(cx, tip, in_force.as_ref()).await? {
            Verdict::Admitted(loaded) => {
                return Ok(Choice {
                    chosen: Some(*loaded),
                    end: PassEnd::Complete,
                    held: Vec::new(),
                });
            }
            Verdict::Same(loaded) => {
                finish::take_over(cx, &loaded)?;
                // Those of a refused tip before it are corrected.
                cx.reporter.problems(loaded.problems.clone());
                return Ok(Choice {
                    chosen: Some(*loaded),
                    end: PassEnd::Complete,
                    held: Vec::new(),
                });
            }
            Verdict::Rejected => {}
            Verdict::Held { again, held } => {
                tip_held = held;
                if again {
                    end = PassEnd::Incomplete;
                }
            }
            Verdict::Deferred => end = PassEnd::Incomplete,
        }
    } else if let Some(tip) = tip {
        tell::publish(cx, Some(tip));
        if let Some(loaded) = judge_again(cx, tip).await? {
            return Ok(Choice {
                chosen: Some(loaded),
                end: PassEnd::Complete,
                held: Vec::new(),
            });
        }
    }
    let Some(in_force) = in_force else {
        return Ok(Choice {
            chosen: None,
            end,
            held: tip_held,
        });
    };
    // What is in force was admitted once: what its documents miss now has its cause outside of git, and what was
    // applied stays (decision 7 of the spec).
    match partial::in_force(cx, &in_force).await {
        Ok(loaded) if loaded.parsed => {
            if tip == Some(&in_force) {
                cx.reporter.problems(told_of(&loaded));
            }
            Ok(Choice {
                chosen: Some(loaded),
                end,
                held: tip_held,
            })
        }
        // Admitted by other rules than today's: half of it would be taken for a wish to delete the other half.
        Ok(_) => Err(Stopped::new(
            "InForceInvalid",
            format!(
                "commit {} is in force and cannot be parsed any more; nothing is changed",
                in_force.short()
            ),
        )),
        Err(error) => Err(Stopped::new(
            error.reason(),
            format!(
                "commit {} is in force and cannot be read: {error}",
                in_force.short()
            ),
        )),
    }
}

/// What is said of a commit in force: why parts of it are held back, and its warnings. What else is wrong now has its
/// cause outside of git, and waits.
fn told_of(loaded: &Loaded) -> Vec<Problem> {
    let mut told = partial::problems_of(&loaded.held_back);
    let problems = loaded.problems.iter();
    told.extend(problems.filter(|problem| !problem.is_grave()).cloned());
    told
}

async fn judge(
    cx: &Context,
    tip: &Revision,
    in_force: Option<&Revision>,
) -> Result<Verdict, Stopped> {
    let digest = cx.world.config_digest(&cx.config);
    if cx.store.rejected(tip, &digest).is_some() && cx.reporter.knows_problems_of(tip) {
        return Ok(Verdict::Rejected);
    }
    let loaded = match load::load(cx, tip).await {
        Ok(loaded) => loaded,
        Err(error) => {
            let Some(problem) = load::problem_of(&error) else {
                return Err(Stopped::new(error.reason(), error.to_string()));
            };
            let source = std::sync::Arc::clone(&cx.source);
            let revision = tip.clone();
            let commit = tokio::task::spawn_blocking(move || source.commit(&revision)).await;
            if let Ok(Ok(commit)) = commit {
                finish::seen(cx, &commit, &digest)?;
            }
            return reject(cx, tip, vec![problem]).await;
        }
    };
    finish::seen(cx, &loaded.commit, &digest)?;
    set(cx, tip, CommitState::Fetched)?;
    if let Some(verdict) = history(cx, tip).await? {
        return Ok(verdict);
    }
    set(cx, tip, CommitState::Verified)?;

    let Checks {
        mut loaded,
        problems,
        guarded,
        looked,
    } = match check(cx, loaded, in_force).await? {
        Ok(checks) => checks,
        Err(problems) => return reject(cx, tip, problems).await,
    };
    let Some((unread, looked)) = looked else {
        return Ok(Verdict::Same(Box::new(loaded)));
    };
    let gaps: Vec<&Gap> = loaded.gaps.iter().chain(&unread).collect();
    // What may not be read is often for a right that is missing: all that are missing are named at once.
    if gaps.iter().all(|gap| gap.denied) {
        let missing = world::missing_rights(cx, &loaded.desired).await?;
        if !missing.is_empty() {
            return hold(cx, tip, vec![missing_rights(&missing)], true);
        }
    }
    if !gaps.is_empty() {
        let text = gaps
            .iter()
            .map(|gap| tell::unread(gap))
            .collect::<Vec<_>>()
            .join("; ");
        let reason = if gaps.iter().any(|gap| gap.denied) {
            "AccessDenied"
        } else {
            "FactsUnreadable"
        };
        update(
            cx,
            tip,
            CommitState::Deferred,
            reason,
            Some(vec![text.clone()]),
        )?;
        cx.reporter
            .failed(format!("commit {} is not judged yet: {text}", tip.short()));
        return Ok(Verdict::Deferred);
    }
    if !guarded.held.is_empty() {
        return hold(cx, tip, guarded.held, false);
    }
    let mut told = partial::problems_of(&loaded.held_back);
    for problem in &told {
        tracing::error!(revision = %tip, place = %problem.origin, code = %problem.code, "held back: {problem}");
    }
    tell::held_back(cx, tip, &loaded.held_back).await;
    told.extend(problems);
    let update = RevisionUpdate {
        reason: Some(String::new()),
        problems: Some(texts(&told)),
        held_back: Some(loaded.held_back.clone()),
        ..RevisionUpdate::default()
    };
    finish::advance(cx, tip, CommitState::Validated, update)?;
    cx.reporter.problems(told);
    loaded.looked = Some(looked);
    Ok(Verdict::Admitted(Box::new(loaded)))
}

/// Looks once more at what is held back of the commit in force, once in the life of a process: configuration and facts
/// may have changed, as a refused tip is judged again.
async fn judge_again(cx: &Context, tip: &Revision) -> Result<Option<Loaded>, Stopped> {
    let before = partial::held_back(cx, tip);
    let (false, Some(record)) = (
        before.is_empty() || cx.reporter.knows_problems_of(tip),
        cx.store.revision(tip),
    ) else {
        return Ok(None);
    };
    // What cannot be read or judged now stays as it is.
    let Ok(raw) = load::load(cx, tip).await else {
        return Ok(None);
    };
    let Ok(checks) = check(cx, raw, Some(tip)).await? else {
        return Ok(None);
    };
    let mut loaded = checks.loaded;
    let still = |stack: &StackId| loaded.held_back.iter().any(|held| held.stack == *stack);
    let fewer = loaded.held_back.len() < before.len()
        && before.iter().filter(|held| still(&held.stack)).count() == loaded.held_back.len();
    let Some((unread, looked)) = checks.looked.filter(|_| fewer) else {
        return Ok(None);
    };
    if !(unread.is_empty() && loaded.gaps.is_empty() && checks.guarded.held.is_empty()) {
        return Ok(None);
    }
    let mut told = partial::problems_of(&loaded.held_back);
    told.extend(checks.problems);
    tracing::info!(revision = %tip, before = before.len(), now = loaded.held_back.len(), "fewer parts are held back");
    let update = RevisionUpdate {
        problems: Some(texts(&told)),
        held_back: Some(loaded.held_back.clone()),
        ..RevisionUpdate::default()
    };
    finish::advance(cx, tip, record.state, update)?;
    finish::keep(cx, &loaded)?;
    cx.reporter.problems(told);
    loaded.looked = Some(looked);
    Ok(Some(loaded))
}

/// What may come into force of a commit, after every check of it.
struct Checks {
    /// Without the parts that have problems, where the configuration lets the others go on.
    loaded: Loaded,
    /// Warnings.
    problems: Vec<Problem>,
    guarded: guard::Admission,
    /// What the API server said of it; it is not asked of what is in force already.
    looked: Option<(Vec<Gap>, world::Looked)>,
}

/// Judges a commit; the inner error is what refuses it.
async fn check(
    cx: &Context,
    raw: Loaded,
    in_force: Option<&Revision>,
) -> Result<Result<Checks, Vec<Problem>>, Stopped> {
    let previous: Option<PreviousSet> = cx.store.previous_set().map_err(Stopped::store)?;
    let in_force_digest = in_force
        .and_then(|revision| cx.store.revision(revision))
        .and_then(|record| record.digest);
    let mut found = raw.problems.clone();
    found.extend(load::blamed(cx, &raw.manifests, &raw.facts, &raw.desired));
    loop {
        let part = match found.iter().any(Problem::is_grave) {
            true => partial::admissible(cx, &raw, in_force, &found).await?,
            false => None,
        };
        let loaded = part.as_ref().unwrap_or(&raw);
        let guarded = guard::admission(
            previous.as_ref(),
            &PreviousSet::of(&loaded.manifests),
            &loaded.commit.trailers,
            &finish::limits(&cx.config),
        );
        let fails = found.iter().any(Problem::is_grave) && part.is_none()
            || guarded.problems.iter().any(Problem::is_grave);
        set(cx, &raw.commit.revision, CommitState::Parsed)?;
        let mut problems = loaded.problems.clone();
        problems.extend(guarded.problems.iter().cloned());
        let mut looked = None;
        if fails || in_force_digest.as_ref() != Some(&loaded.set_digest) {
            // The API server's word on every object that would change, before anything is written (gitops R1).
            let (refused, unread, seen) =
                world::dry_run(cx, &loaded.files, &loaded.manifests, &loaded.desired).await;
            looked = Some((unread, seen));
            let refuses = refused.iter().any(Problem::is_grave);
            if fails || refuses && refused.iter().all(|problem| found.contains(problem)) {
                // All of them at once, also what the API server says for the first time.
                found.extend(guarded.problems);
                found.extend(refused);
                return Ok(Err(found));
            }
            if refuses {
                found.extend(refused);
                continue;
            }
            problems.extend(refused);
        }
        return Ok(Ok(Checks {
            loaded: part.unwrap_or(raw),
            problems,
            guarded,
            looked,
        }));
    }
}

/// How a tip stands to what was accepted before it, under the configured policy (decision 18 of the spec).
pub(super) enum Descent {
    Fine,
    /// Applied all the same; what is said of it.
    Warned(String),
    Held(Held),
}

/// Reads how the tip came about; decides and changes nothing.
pub(super) async fn descent(cx: &Context, tip: &Revision) -> Descent {
    let Some(accepted) = cx.store.accepted().filter(|accepted| accepted != tip) else {
        return Descent::Fine;
    };
    let source = std::sync::Arc::clone(&cx.source);
    let (old, new) = (accepted.clone(), tip.clone());
    let relation = tokio::task::spawn_blocking(move || source.relation(&old, &new)).await;
    let dropped = match relation {
        Ok(Ok(History::Same | History::Descends)) => return Descent::Fine,
        Ok(Ok(History::Rewritten { dropped })) => format!("{dropped} commits dropped"),
        // Undecidable counts as rewritten (gitops G21).
        Ok(Ok(History::Unknown) | Err(_)) | Err(_) => "how they relate cannot be told".to_owned(),
    };
    let text = format!(
        "the branch was rewritten: {} does not descend from {} ({dropped})",
        tip.short(),
        accepted.short()
    );
    match cx.config.source.history {
        HistoryPolicy::Any => Descent::Fine,
        HistoryPolicy::Warn => Descent::Warned(text),
        HistoryPolicy::FfOnly => Descent::Held(Held {
            stack: StackId::Cluster,
            resource: None,
            code: "HistoryRewritten".to_owned(),
            message: text,
            release: "push a commit that descends from what was accepted, or set source.history"
                .to_owned(),
        }),
    }
}

/// A branch that was rewritten is applied with a warning, held, or applied silently.
async fn history(cx: &Context, tip: &Revision) -> Result<Option<Verdict>, Stopped> {
    match descent(cx, tip).await {
        Descent::Fine => cx.reporter.rewritten(None),
        Descent::Warned(text) => {
            tracing::warn!(tip = %tip, "{text}");
            cx.reporter.problems(Vec::new());
            if cx.reporter.status().rewritten.as_ref() != Some(&text) {
                tell::rewritten(cx, &text).await;
            }
            cx.reporter.rewritten(Some(text));
        }
        Descent::Held(held) => return hold(cx, tip, vec![held], false).map(Some),
    }
    Ok(None)
}

async fn reject(
    cx: &Context,
    tip: &Revision,
    mut problems: Vec<Problem>,
) -> Result<Verdict, Stopped> {
    problems.sort();
    problems.dedup();
    let texts = texts(&problems);
    let reason = reason_of(&problems);
    update(cx, tip, CommitState::Rejected, reason, Some(texts))?;
    for problem in &problems {
        tracing::error!(revision = %tip, place = %problem.origin, code = %problem.code, "rejected: {problem}");
    }
    tell::rejected(cx, tip, &problems).await;
    cx.reporter.problems(problems);
    Ok(Verdict::Rejected)
}

fn hold(cx: &Context, tip: &Revision, held: Vec<Held>, again: bool) -> Result<Verdict, Stopped> {
    let reason = held
        .first()
        .map_or("Held", |held| held.code.as_str())
        .to_owned();
    let texts = held
        .iter()
        .map(|held| format!("{}; to release: {}", held.message, held.release))
        .collect();
    update(cx, tip, CommitState::Held, &reason, Some(texts))?;
    for held in &held {
        tracing::warn!(revision = %tip, code = %held.code, release = %held.release, "held: {}", held.message);
    }
    cx.reporter.problems(Vec::new());
    cx.reporter.held(held.clone());
    Ok(Verdict::Held { again, held })
}

/// One reason for a whole rejection, from gitops' closed list.
fn reason_of(problems: &[Problem]) -> &'static str {
    let has = |code: &str| {
        problems
            .iter()
            .any(|problem| problem.code.starts_with(code))
    };
    if has("yaml") {
        "ParseError"
    } else if has("empty") {
        "EmptyDesiredState"
    } else if has("duplicate") {
        "Duplicate"
    } else if has("refused-by-api-server") {
        "DryRun"
    } else if has("unknown") {
        "Reference"
    } else if has(codes::QUOTA_EXCEEDED) {
        "Quota"
    } else {
        "Invalid"
    }
}

fn texts(problems: &[Problem]) -> Vec<String> {
    problems.iter().map(ToString::to_string).collect()
}

/// Rights that must be granted before the first write.
pub(super) fn missing_rights(missing: &[Right]) -> Held {
    let list = missing
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(", ");
    Held {
        stack: StackId::Cluster,
        resource: None,
        code: "MissingRights".to_owned(),
        message: format!("albsync's ServiceAccount may not: {list}"),
        release: "grant them (examples/rbac.yaml)".to_owned(),
    }
}

fn set(cx: &Context, revision: &Revision, state: CommitState) -> Result<(), Stopped> {
    finish::advance(cx, revision, state, RevisionUpdate::default())
}

fn update(
    cx: &Context,
    revision: &Revision,
    state: CommitState,
    reason: &str,
    problems: Option<Vec<String>>,
) -> Result<(), Stopped> {
    let update = RevisionUpdate {
        reason: Some(reason.to_owned()),
        problems,
        ..RevisionUpdate::default()
    };
    finish::advance(cx, revision, state, update)
}
