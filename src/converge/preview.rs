//! What a commit would do, without doing it: the same steps as a pass, handed only the reading ports.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write,
    sync::Arc,
};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Context, Stopped, admission, finish, load, partial, tell, world};
use crate::{
    config::Config,
    daemon::schedule::Trigger,
    id::{RepoPath, ResourceId, Revision},
    manifest,
    model::{
        desired::{Desired, Waiting},
        elb::RuleAction,
        facts::Facts,
        group::{SecretRef, build, context::Whole},
        observed::Gap,
        previous::PreviousSet,
        quota::Peaks,
        settings::Checks,
    },
    plan::{
        Inputs, guard,
        history::HeldBack,
        op::{Action, Held, Plan},
        peak,
        render::{self, Tone},
    },
    problem::{self, Checked, Problem, codes},
    report::text::paint,
    source::snapshot::Snapshot,
    store,
};

/// What to plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "target")]
pub enum PreviewTarget {
    /// The tip of the branch.
    Tip,
    /// A commit of the mirror: an id, at least its first four digits.
    Commit { text: String },
    /// Files that the asker read from a directory.
    Files { files: BTreeMap<RepoPath, String> },
}

/// The answer: problems that would reject, or the plans of both halves.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Preview {
    pub revision: Option<Revision>,
    /// Whose checks held; absent in the answer of a daemon that knows its own alone.
    #[serde(default)]
    pub checks: Option<Checks>,
    pub problems: Vec<Problem>,
    /// With Secrets masked.
    pub plans: Vec<Plan>,
    /// Why the commit as a whole would be held: nothing of the plans is done before that is released.
    #[serde(default)]
    pub held: Vec<Held>,
    /// Parts that stay as they are for their problems, while the others go on.
    #[serde(default)]
    pub held_back: Vec<Held>,
    /// Said of the commit, and no reason to hold it.
    #[serde(default)]
    pub warnings: Vec<String>,
    /// What could not be read: nothing is known of it.
    #[serde(default)]
    pub unread: Vec<String>,
    /// Stacks that cannot be planned yet, and why.
    pub waiting: Vec<Waiting>,
    /// Resources of which name, port or id are known only once their Service exists.
    pub unknown: BTreeSet<ResourceId>,
    /// The names that such resources have in the plans: made from stand-ins, never printed.
    pub stand_ins: BTreeSet<String>,
}

impl Preview {
    pub fn has_changes(&self) -> bool {
        self.plans
            .iter()
            .any(|plan| !plan.ops.is_empty() || !plan.withheld.is_empty())
    }

    /// A problem stops all of it.
    pub fn is_refused(&self) -> bool {
        grave(&self.problems) && self.held_back.is_empty()
    }

    /// In plain words.
    pub fn text(&self, colour: bool) -> String {
        let mut text = String::new();
        if self.is_refused() {
            text.push_str("rejected: nothing would be changed, what is in force stays\n");
            return text;
        }
        let options = render::TextOptions {
            paint: if colour {
                dress
            } else {
                render::TextOptions::default().paint
            },
            ..render::TextOptions::default()
        };
        for plan in &self.plans {
            text.push_str(&self.without_stand_ins(render::text(plan, &options)));
        }
        for wait in &self.waiting {
            let _ = writeln!(
                text,
                "{}: {} waits: {}",
                wait.origin, wait.stack, wait.reason
            );
        }
        for unread in &self.unread {
            let _ = writeln!(text, "{unread}");
        }
        for warning in &self.warnings {
            let _ = writeln!(text, "warning: {warning}");
        }
        for held in &self.held_back {
            let _ = writeln!(
                text,
                "held: {} stays as it is: {}; to release: {}",
                held.stack, held.message, held.release
            );
        }
        for held in &self.held {
            let _ = writeln!(
                text,
                "held: nothing of this would be done: {}: {}; to release: {}",
                held.code, held.message, held.release
            );
        }
        let all_known = self.unread.is_empty() && self.waiting.is_empty();
        if !self.has_changes() && all_known && self.plans.iter().all(|plan| plan.held.is_empty()) {
            text.push_str("nothing to change\n");
        }
        text
    }
}

impl Preview {
    /// The plans as JSON, values that only the cluster can assign replaced by words.
    pub fn json(&self) -> Vec<Value> {
        let mut plans: Vec<Value> = self.plans.iter().map(render::json).collect();
        if !self.unknown.is_empty() {
            plans
                .iter_mut()
                .for_each(|plan| self.replace_stand_ins(plan));
        }
        plans
    }

    fn without_stand_ins(&self, mut text: String) -> String {
        if self.unknown.is_empty() {
            return text;
        }
        for name in &self.stand_ins {
            text = text.replace(name.as_str(), &format!("name {KNOWN_LATER}"));
        }
        text.replace(&UNKNOWN_PORT.to_string(), &format!("({KNOWN_LATER})"))
    }

    fn replace_stand_ins(&self, value: &mut Value) {
        match value {
            Value::Number(number) if number.as_u64() == Some(u64::from(UNKNOWN_PORT)) => {
                *value = KNOWN_LATER.into()
            }
            Value::String(text) if self.stand_ins.contains(text) => *value = KNOWN_LATER.into(),
            Value::Array(items) => items
                .iter_mut()
                .for_each(|item| self.replace_stand_ins(item)),
            Value::Object(map) => map
                .values_mut()
                .for_each(|item| self.replace_stand_ins(item)),
            _ => {}
        }
    }
}

/// Colours of a terminal.
fn dress(tone: Tone, text: &str) -> String {
    let code = match tone {
        Tone::Heading => "1",
        Tone::Create => "32",
        Tone::Change | Tone::Move | Tone::Held => "33",
        Tone::Delete => "31",
        Tone::Foreign => "35",
        Tone::Quiet => "2",
    };
    paint(text, code, true)
}

/// Why there is no preview: exit code and text.
#[derive(Clone, Debug)]
pub struct PreviewError {
    pub exit: u8,
    pub message: String,
}

impl PreviewError {
    fn new(exit: u8, message: impl Into<String>) -> Self {
        Self {
            exit,
            message: message.into(),
        }
    }
}

/// The same under these checks, if any, in place of the configured ones; what later passes work with is left as it is.
///
/// # Errors
/// As those of [`preview`].
pub async fn under(
    cx: &Context,
    target: PreviewTarget,
    checks: Option<Checks>,
) -> Result<Preview, PreviewError> {
    let mut config = Config::clone(&cx.config);
    let Some(checks) = checks.filter(|checks| *checks != config.checks.mode) else {
        return preview(cx, target).await;
    };
    config.checks.mode = checks;
    let beside = Context {
        config: Arc::new(config),
        source: Arc::clone(&cx.source),
        aws: Arc::clone(&cx.aws),
        cluster: Arc::clone(&cx.cluster),
        store: cx.store.clone(),
        reporter: cx.reporter.clone(),
        world: cx.world.beside(),
    };
    preview(&beside, target).await
}

/// Plans a target against the world as it is.
///
/// # Errors
/// The target cannot be read, or account or cluster are not those that are pinned.
pub async fn preview(cx: &Context, target: PreviewTarget) -> Result<Preview, PreviewError> {
    // Of a branch only its tip is a statement about its history; an older commit is asked for to look at it.
    let is_tip = target == PreviewTarget::Tip;
    let (revision, trailers, files) = files(cx, target).await?;
    world::pin(cx)
        .await
        .map_err(|stopped| PreviewError::new(6, stopped.message))?;
    let read_only = world::other_controller(cx)
        .await
        .map_err(|stopped| PreviewError::new(6, stopped.message))?;
    let Built {
        manifests,
        mut desired,
        facts,
        gaps,
        placeholders,
        held_back,
        mut problems,
        looked: (unasked, looked),
    } = build(cx, &files)
        .await
        .map_err(|stopped| PreviewError::new(6, stopped.message))?;
    // As at admission: what a commit may not do without saying so.
    let previous = cx
        .store
        .previous_set()
        .map_err(|error| PreviewError::new(6, error.to_string()))?;
    let guarded = guard::admission(
        previous.as_ref(),
        &PreviousSet::of(&manifests),
        &trailers,
        &finish::limits(&cx.config),
    );
    let is_partial = !held_back.is_empty() && !grave(&problems) && !grave(&guarded.problems);
    problems.extend(guarded.problems);
    problems.extend(partial::problems_of(&held_back));
    problems.sort();
    problems.dedup();
    let (mut held, mut warnings) = (guarded.held, Vec::new());
    if is_tip && let Some(revision) = &revision {
        match admission::descent(cx, revision).await {
            admission::Descent::Fine => {}
            admission::Descent::Warned(text) => warnings.push(text),
            admission::Descent::Held(rewritten) => held.push(rewritten),
        }
    }
    let mut unread = unread(gaps.iter().chain(&unasked));
    match world::missing_rights(cx, &desired).await {
        Ok(missing) if missing.is_empty() => {}
        Ok(missing) => held.push(admission::missing_rights(&missing)),
        Err(stopped) => unread.push(stopped.message),
    }
    let unknown = unknown(&desired, &placeholders);
    let mut preview = Preview {
        revision,
        checks: Some(cx.config.checks.mode),
        problems,
        plans: Vec::new(),
        held,
        warnings,
        unread,
        held_back: match is_partial {
            true => partial::shown(&held_back),
            false => Vec::new(),
        },
        waiting: waiting(&desired),
        stand_ins: names(&desired, &unknown),
        unknown,
    };
    if preview.is_refused() {
        return Ok(preview);
    }
    let applied = cx.store.applied();
    let mut scope = world::scope(cx, &desired, &applied, Trigger::Commit, gaps.is_empty());
    let options = finish::plan_options(cx, read_only);
    let looked = Some(&looked).filter(|_| unasked.is_empty());
    for half in [super::Half::Prepare, super::Half::Route] {
        let mut observed = world::observe(
            cx,
            half,
            &desired,
            &applied,
            &scope,
            Trigger::Commit,
            looked,
        )
        .await;
        observed.gaps.extend(gaps.iter().cloned());
        let inputs = Inputs {
            desired: &desired,
            observed: &observed,
            applied: &applied,
            revision: preview.revision.as_ref(),
            base: cx.store.generation(),
            scope: &scope,
            options: &options,
        };
        preview.unread.extend(self::unread(&observed.gaps));
        let plan = half.plan(&inputs);
        let peaks = (half == super::Half::Route).then(|| peak::peaks(&plan, &inputs));
        if half == super::Half::Prepare {
            renew_clients(&mut desired, &plan);
            scope = world::scope(cx, &desired, &applied, Trigger::Commit, gaps.is_empty());
        }
        if let Some(peaks) = peaks {
            forecast(cx, &manifests, &facts, &peaks, &mut preview.problems);
        }
        preview.plans.push(store::redact(&plan));
    }
    preview.unread.sort();
    preview.unread.dedup();
    Ok(preview)
}

/// Secrets that the plan applies have another version afterwards, which only the cluster can tell.
fn renew_clients(desired: &mut Desired, plan: &Plan) {
    let applied: BTreeSet<SecretRef> = plan
        .ops
        .iter()
        .filter_map(|op| match &op.action {
            Action::ApplyObject { reference, .. } if reference.kind == "Secret" => {
                Some(SecretRef {
                    namespace: reference.namespace.clone()?,
                    name: reference.name.clone(),
                })
            }
            _ => None,
        })
        .collect();
    if applied.is_empty() {
        return;
    }
    let listeners = desired
        .groups
        .values_mut()
        .flat_map(|group| group.listeners.values_mut());
    let actions = listeners.flat_map(|listener| {
        let of_rules = listener.rules.iter_mut().map(|rule| &mut rule.spec.actions);
        of_rules.chain([&mut listener.spec.default_actions])
    });
    for action in actions.flatten() {
        if let RuleAction::AuthenticateOidc {
            client: Some(client),
            ..
        } = action
            && applied.contains(&client.secret)
        {
            client.version = Some(KNOWN_LATER.to_owned());
        }
    }
}

/// What a commit asks for, without the parts that are held.
struct Built {
    manifests: manifest::Manifests,
    desired: Desired,
    facts: Facts,
    gaps: Vec<Gap>,
    /// Services with stand-ins.
    placeholders: BTreeSet<String>,
    held_back: Vec<HeldBack>,
    /// Not those of held parts.
    problems: Vec<Problem>,
    looked: (Vec<Gap>, world::Looked),
}

/// As at admission: parts with problems are taken out until none that goes on has one.
async fn build(cx: &Context, files: &Snapshot) -> Result<Built, Stopped> {
    let parsed = load::parse(cx, files);
    let in_force = cx.store.in_force();
    let mut built = build_parts(cx, files, &parsed, None).await;
    let mut found = built.problems.clone();
    let mut before = 0;
    while grave(&built.problems) {
        let parts = partial::split(cx, &parsed.value, in_force.as_ref(), &found).await?;
        let Some(parts) = parts.filter(|parts| parts.held_back.len() > before) else {
            // Nothing of it would be done: all that is wrong with it.
            built.problems = found;
            built.held_back.clear();
            break;
        };
        before = parts.held_back.len();
        built = build_parts(cx, files, &parsed, Some(parts)).await;
        found.extend(built.problems.iter().cloned());
    }
    Ok(built)
}

async fn build_parts(
    cx: &Context,
    files: &Snapshot,
    parsed: &Checked<manifest::Manifests>,
    parts: Option<partial::Parts>,
) -> Built {
    let mut problems = parsed.problems.clone();
    let (manifests, held_back, older) = match parts {
        None => (parsed.value.clone(), Vec::new(), BTreeMap::new()),
        Some(parts) => {
            parts.drop_held(&mut problems, &parsed.value);
            let composed = parts.composed;
            (composed.manifests, parts.held_back, composed.older)
        }
    };
    let (mut facts, gaps) = world::facts(cx, &manifests).await;
    let placeholders = assume(&mut facts, &manifests);
    let built = load::build(cx, &manifests, &facts);
    let built = partial::settle(built, &manifests, &held_back, &older);
    problem::merge(&mut problems, built.problems);
    let desired = built.value;
    problems.extend(load::blamed(cx, &manifests, &facts, &desired));
    let (refused, unasked, looked) = world::dry_run(cx, files, &manifests, &desired).await;
    problems.extend(refused);
    Built {
        manifests,
        desired,
        facts,
        gaps,
        placeholders,
        held_back,
        problems,
        looked: (unasked, looked),
    }
}

fn grave(problems: &[Problem]) -> bool {
    problems.iter().any(Problem::is_grave)
}

/// What will not fit the account's limits, in place of what was said of them when only the end was known.
fn forecast(
    cx: &Context,
    manifests: &manifest::Manifests,
    facts: &Facts,
    peaks: &Peaks,
    problems: &mut Vec<Problem>,
) {
    if facts.account_limits.is_none() {
        return;
    }
    let settings = load::settings(cx);
    let groups = build::build_changed(manifests, facts, &settings, &mut cx.world.groups()).groups;
    let of_quota = [codes::QUOTA_EXCEEDED, codes::QUOTA_NEAR];
    problems.retain(|problem| !of_quota.contains(&problem.code.as_str()));
    let whole = Whole {
        manifests,
        facts,
        settings: &settings,
    };
    problems.extend(build::forecast(whole, &groups, peaks));
    build::settle(problems);
}

/// Stacks that wait, and those that go on but for a part.
fn waiting(desired: &Desired) -> Vec<Waiting> {
    let kept = desired.kept.iter().map(|kept| Waiting {
        stack: kept.stack.clone(),
        origin: kept.problem.origin.clone(),
        reason: format!("{}: {}", kept.what(), kept.problem.message),
        lasts: false,
    });
    desired.waiting.iter().cloned().chain(kept).collect()
}

fn unread<'a>(gaps: impl IntoIterator<Item = &'a Gap>) -> Vec<String> {
    gaps.into_iter().map(tell::unread).collect()
}

/// A commit's trailers, as the guards read them.
type Trailers = Vec<(String, String)>;

async fn files(
    cx: &Context,
    target: PreviewTarget,
) -> Result<(Option<Revision>, Trailers, Snapshot), PreviewError> {
    let text = match target {
        PreviewTarget::Files { files } => {
            let files = files
                .into_iter()
                .map(|(path, text)| (path, text.into_bytes().into()))
                .collect();
            return Ok((
                None,
                Trailers::new(),
                Snapshot {
                    commit: None,
                    files,
                },
            ));
        }
        PreviewTarget::Tip => None,
        PreviewTarget::Commit { text } => Some(text),
    };
    let source = Arc::clone(&cx.source);
    let found = tokio::task::spawn_blocking(move || match text {
        None => source.fetch(),
        Some(text) => source.resolve(&text),
    })
    .await
    .map_err(|error| {
        PreviewError::new(70, format!("BUG: reading the repository panicked: {error}"))
    })?;
    let revision = found.map_err(|error| PreviewError::new(2, error.to_string()))?;
    let (commit, files) = load::snapshot(&cx.source, &revision)
        .await
        .map_err(|error| PreviewError::new(4, error.to_string()))?;
    Ok((Some(revision), commit.trailers, files))
}

/// A node port that no Service ever has: it stands for one that the API server will choose.
const UNKNOWN_PORT: u16 = 65_535;
/// What is printed in its place.
const KNOWN_LATER: &str = "known after apply";

/// Services that only git holds get stand-ins for what the API server will assign, so that the rest of the plan can be
/// shown (decision 15 of the spec). Answers the Services that were given some.
fn assume(facts: &mut Facts, manifests: &manifest::Manifests) -> BTreeSet<String> {
    let mut assumed = BTreeSet::new();
    let Some(services) = &mut facts.services else {
        return assumed;
    };
    for service in &manifests.services {
        let key = service.reference.to_string();
        if services.contains_key(&key) || service.service_type == "ClusterIP" {
            continue;
        }
        let ports = service.ports.iter().map(|port| {
            let number = port
                .node_port
                .and_then(|port| u16::try_from(port).ok())
                .unwrap_or(UNKNOWN_PORT);
            (port.port.to_string(), Some(number))
        });
        let fact = crate::model::facts::ServiceFact {
            uid: Some("known after apply".to_owned()),
            node_ports: ports.collect(),
            ip_families: Some(vec!["IPv4".to_owned()]),
            ..crate::model::facts::ServiceFact::default()
        };
        services.insert(key.clone(), fact);
        assumed.insert(key);
    }
    assumed
}

/// What of the desired state hangs on stand-ins.
fn unknown(desired: &Desired, assumed: &BTreeSet<String>) -> BTreeSet<ResourceId> {
    let mut unknown = BTreeSet::new();
    for (group, stack) in &desired.groups {
        for member in &stack.members {
            let Some(namespace) = &member.reference.namespace else {
                continue;
            };
            let of_member = assumed
                .iter()
                .filter_map(|service| service.strip_prefix(&format!("{namespace}/")))
                .map(|service| format!("{namespace}/{}-{service}:", member.reference.name));
            for prefix in of_member {
                let ids = stack
                    .target_groups
                    .keys()
                    .filter(|id| id.starts_with(&prefix));
                unknown.extend(ids.map(|id| ResourceId::target_group(group, id)));
            }
        }
    }
    unknown
}

fn names(desired: &Desired, unknown: &BTreeSet<ResourceId>) -> BTreeSet<String> {
    desired
        .groups
        .iter()
        .flat_map(|(group, stack)| {
            stack
                .target_groups
                .iter()
                .filter(|(id, _)| unknown.contains(&ResourceId::target_group(group, id)))
                .map(|(_, target_group)| target_group.spec.name.clone())
        })
        .collect()
}
