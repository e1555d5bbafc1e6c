//! Golden cases: small repositories, commit by commit, through the whole spine on an account and a cluster in memory.
//!
//! What each commit says, asks for and does is in `tests/cases/NAME/want`, for people to read in a review.
//! `UPDATE=1 cargo test golden` writes it anew. `tests/cases/_bad` holds repositories that must change nothing.

use std::{fmt::Write as _, fs, path::Path};

use albsync::{
    converge::PassEnd,
    daemon::schedule::Trigger,
    id::{RepoPath, Revision},
    plan::op::Plan,
    problem::{Problem, Severity},
    report::Health,
    source::Snapshot,
};
use serde_json::{Value, json};

mod case;
mod dump;
pub(crate) mod world;

use case::{Case, Step};
use world::World;

/// One commit and what came of it.
struct Seen {
    step: String,
    revision: Revision,
    desired: Value,
    state: String,
    identities: std::collections::BTreeMap<String, String>,
}

/// The texts that a case wants, as they are now.
#[derive(Default)]
struct Told {
    problems: String,
    plan: String,
    desired: serde_json::Map<String, Value>,
}

#[test]
fn every_case_says_asks_and_does_what_is_wanted() {
    let directory = case::package().join("tests/cases");
    let mut failures = Vec::new();
    for case in case::all(&directory) {
        eprintln!("{}: {}", case.name, case.title);
        let told = play(&case, &directory, &mut failures);
        let desired = format!("{:#}\n", Value::Object(told.desired));
        for (name, text) in [
            ("problems.txt", &told.problems),
            ("plan.txt", &told.plan),
            ("desired.json", &desired),
        ] {
            compare(&case.want(name), text, &mut failures);
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}

#[test]
fn every_broken_repository_is_refused_with_its_problems_and_changes_nothing() {
    let directory = case::package().join("tests/cases/_bad");
    let tutorial = case::package().join("examples/tutorial");
    let cases = case::all(&directory);
    assert!(cases.len() >= 20, "{} broken repositories", cases.len());
    let world = World::new();
    let first = world.commit("tutorial", &[], &tutorial);
    assert_eq!(world.pass(Trigger::Start, &first), PassEnd::Complete);

    let mut failures = Vec::new();
    for case in cases {
        eprintln!("{}: {}", case.name, case.title);
        refuse(&case, &world, &first, &tutorial, &mut failures);
    }
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}

fn play(case: &Case, cases: &Path, failures: &mut Vec<String>) -> Told {
    let world = World::new();
    let tree = tempfile::tempdir().expect("a directory");
    let mut told = Told::default();
    let mut seen: Vec<Seen> = Vec::new();
    let mut trees = Vec::new();
    if let Some(name) = &case.begins_as {
        let earlier = case::read(&cases.join(name));
        begin(&earlier, tree.path());
        for step in &earlier.steps {
            earlier.step_into(step, tree.path());
            let one = play_step(
                &earlier,
                step,
                &world,
                tree.path(),
                failures,
                &mut Told::default(),
            );
            trees.push((step.name.clone(), kept(tree.path())));
            seen.push(one);
        }
    } else {
        begin(case, tree.path());
    }
    for step in &case.steps {
        match &step.same_as {
            None => case.step_into(step, tree.path()),
            Some(name) => {
                let (_, earlier) = trees
                    .iter()
                    .find(|(step, _)| step == name)
                    .expect("that step");
                fs::remove_dir_all(tree.path()).expect("to be emptied");
                case::copy(earlier.path(), tree.path());
            }
        }
        let one = play_step(case, step, &world, tree.path(), failures, &mut told);
        match (&step.same_as, seen.last()) {
            (Some(name), Some(between)) => {
                let earlier = seen
                    .iter()
                    .find(|seen| seen.step == *name)
                    .expect("that step");
                reverted(case, earlier, between, &one, failures);
            }
            (None, Some(before)) => {
                let (before, after) = (by_name(&before.desired), by_name(&one.desired));
                let patch = difference(&before, &after).unwrap_or(json!({}));
                told.desired.insert(step.name.clone(), patch);
            }
            _ => {
                told.desired.insert(step.name.clone(), one.desired.clone());
            }
        }
        trees.push((step.name.clone(), kept(tree.path())));
        seen.push(one);
    }
    told
}

fn begin(case: &Case, tree: &Path) {
    if let Some(manifests) = &case.manifests {
        case::copy(manifests, tree);
    }
}

fn kept(tree: &Path) -> tempfile::TempDir {
    let directory = tempfile::tempdir().expect("a directory");
    case::copy(tree, directory.path());
    directory
}

/// Commits a tree and brings it about; what holds for every commit of every case is proved here.
fn play_step(
    case: &Case,
    step: &Step,
    world: &World,
    tree: &Path,
    failures: &mut Vec<String>,
    told: &mut Told,
) -> Seen {
    let place = format!("{}/{}", case.name, step.name);
    let mut must = |holds: bool, words: &dyn Fn() -> String| {
        if !holds {
            failures.push(format!("{place}: {}", words()));
        }
    };
    let revision = world.commit(&step.name, &step.trailers, tree);
    world.forget_writes();
    world.preview(&revision);
    must(world.writes().is_empty(), &|| {
        format!("a preview wrote {:?}", world.writes())
    });

    let generation = world.cx.store.generation();
    let trigger = if generation.0 == 0 {
        Trigger::Start
    } else {
        Trigger::Commit
    };
    let end = world.pass(trigger, &revision);
    let status = world.cx.reporter.status();
    let codes: Vec<&str> = status.held.iter().map(|held| held.code.as_str()).collect();
    must(codes == step.held, &|| format!("held is {:?}", status.held));
    let waiting = world.load(&revision).desired.waiting;
    let stacks: Vec<String> = waiting.iter().map(|it| it.stack.to_string()).collect();
    must(stacks == step.waits, &|| format!("{waiting:?} waits"));
    // What is not served waits for another commit, and is not tried again.
    let is_over = waiting.iter().all(|wait| wait.lasts);
    let wanted = match step.held.iter().all(|code| code == "WaitingForFacts") && is_over {
        true => PassEnd::Complete,
        false => PassEnd::Incomplete,
    };
    must(end == wanted, &|| format!("{end:?}: {:?}", status.failures));
    let record = world.cx.store.revision(&revision).expect("a record");
    let accepted = world.cx.store.in_force().as_ref() == Some(&revision);
    let plans = world.plans_since(generation);
    let reason = match record.reason.as_str() {
        "" => String::new(),
        reason => format!(" ({reason})"),
    };
    let _ = writeln!(told.problems, "# {}: {}{reason}", step.name, record.state);
    for problem in &record.problems {
        let _ = writeln!(told.problems, "{problem}");
    }
    let _ = writeln!(told.plan, "# {}", step.name);
    told.plan.push_str(&world::plan_text(&plans));
    // A plan that does nothing but hold is in no journal.
    for held in &status.held {
        let _ = writeln!(
            told.plan,
            "held [{}] {}; {}",
            held.code, held.message, held.release
        );
    }
    for waiting in &waiting {
        let _ = writeln!(told.plan, "waiting {}: {}", waiting.stack, waiting.reason);
    }
    // The text above goes by stack; this is the order in which AWS is asked.
    let calls = world.aws.writes();
    if !calls.is_empty() {
        told.plan.push_str("AWS is sent, in this order:\n");
    }
    for call in &calls {
        let _ = writeln!(told.plan, "  {call}");
    }
    told.plan.push('\n');
    must(accepted || world.writes().is_empty(), &|| {
        format!("it is not in force, and wrote {:?}", world.writes())
    });
    for plan in &plans {
        let text = serde_json::to_string(plan).expect("JSON");
        let again: Plan = serde_json::from_str(&text).expect("a plan");
        must(again == *plan, &|| {
            "a plan reads back differently".to_owned()
        });
    }

    for (how, again) in [
        (
            "a sweep",
            &(|| world.pass(Trigger::Sweep, &revision)) as &dyn Fn() -> PassEnd,
        ),
        ("a restart", &|| world.pass_after_restart(&revision)),
        ("a loss of the store", &|| world.pass_after_loss(&revision)),
    ] {
        // Without a store nothing tells that this commit must not come into force.
        if !accepted && how == "a loss of the store" {
            continue;
        }
        world.forget_writes();
        let end = again();
        must(end == wanted, &|| format!("{how} ends {end:?}"));
        must(world.writes().is_empty(), &|| {
            format!("{how} writes {:?}", world.writes())
        });
    }

    let mut desired = json!(world.load(&revision).desired);
    let (shuffled, _) = world.build(&shuffle(&world.files(&revision)));
    let mut shuffled = json!(shuffled);
    let places = desired.clone();
    without_places(&mut shuffled);
    without_places(&mut desired);
    let unlike = differing(&format!("{desired:#}"), &format!("{shuffled:#}"));
    must(unlike.is_none(), &|| {
        format!(
            "shuffled documents ask for something else {}",
            unlike.clone().unwrap_or_default()
        )
    });
    let state = world.aws.state();
    Seen {
        step: step.name.clone(),
        revision,
        desired: places,
        state: dump::dump(&state, &world.cluster),
        identities: dump::identities(&state, &world.cluster),
    }
}

/// A tree that was put back: everything is as it was, and what stayed all the while is the very same.
fn reverted(case: &Case, earlier: &Seen, between: &Seen, now: &Seen, failures: &mut Vec<String>) {
    let place = format!("{}/{} ({})", case.name, now.step, now.revision.short());
    if let Some(text) = differing(&earlier.state, &now.state) {
        failures.push(format!("{place} is not {} again:\n{text}", earlier.step));
    }
    if earlier.desired != now.desired {
        failures.push(format!(
            "{place} asks for something else than {}",
            earlier.step
        ));
    }
    for (name, id) in &earlier.identities {
        if between.identities.get(name) == Some(id) && now.identities.get(name) != Some(id) {
            failures.push(format!(
                "{place}: {name} was {id} and is {:?}",
                now.identities.get(name)
            ));
        }
    }
}

/// A broken commit on top of the tutorial.
fn refuse(
    case: &Case,
    world: &World,
    first: &Revision,
    tutorial: &Path,
    failures: &mut Vec<String>,
) {
    let mut must = |holds: bool, words: String| {
        if !holds {
            failures.push(format!("_bad/{}: {words}", case.name));
        }
    };
    let tree = tempfile::tempdir().expect("a directory");
    case::copy(tutorial, tree.path());
    for step in &case.steps {
        case.step_into(step, tree.path());
    }
    let revision = world.commit(&case.name, &[], tree.path());
    let before = dump::dump(&world.aws.state(), &world.cluster);
    world.forget_writes();
    let end = world.pass(Trigger::Commit, &revision);
    must(end == PassEnd::Complete, format!("it ends {end:?}"));

    let status = world.cx.reporter.status();
    let texts = |problems: &[Problem]| problems.iter().map(ToString::to_string).collect::<Vec<_>>();
    let told = texts(&status.problems);
    must(
        status.health == Health::Rejected,
        format!("its health is {:?}", status.health),
    );
    let head = status.head.expect("a tip");
    must(
        head.revision == revision && head.state == "Rejected",
        format!("the tip is {} {}", head.revision, head.state),
    );
    let record = world.cx.store.revision(&revision).expect("a record");
    must(
        record.problems == told,
        format!("the history says {:?}", record.problems),
    );
    must(
        world.cx.store.in_force().as_ref() == Some(first),
        format!("in force is {:?}", world.cx.store.in_force()),
    );
    must(
        world.pass(Trigger::Sweep, &revision) == PassEnd::Complete,
        "the sweep after it does not end".to_owned(),
    );
    must(
        world.writes().is_empty(),
        format!("it wrote {:?}", world.writes()),
    );
    must(
        dump::dump(&world.aws.state(), &world.cluster) == before,
        "it changed something".to_owned(),
    );

    // Warnings may say that the cluster was not read.
    let mut offline = world::check(tree.path());
    offline.retain(|problem| problem.severity == Severity::Problem);
    let offline = texts(&offline);
    if case.offline {
        must(
            offline == told,
            format!("the daemon says {told:#?}, `check` says {offline:#?}"),
        );
    } else {
        must(offline.is_empty(), format!("`check` says {offline:#?}"));
    }
    compare(
        &case.directory.join("want.txt"),
        &(told.join("\n") + "\n"),
        failures,
    );
}

/// The same documents, in other files and in another order.
fn shuffle(files: &Snapshot) -> Snapshot {
    let mut shuffled = Snapshot {
        commit: files.commit.clone(),
        ..Snapshot::default()
    };
    for (index, (path, bytes)) in files.files.iter().rev().enumerate() {
        let Some(name) = path.as_str().strip_suffix(".yaml") else {
            shuffled.files.insert(path.clone(), bytes.clone());
            continue;
        };
        let text = String::from_utf8(bytes.to_vec()).expect("UTF-8");
        // Each keeps its last line's end: to a block of text it belongs.
        let mut documents: Vec<String> = text
            .split("\n---\n")
            .map(|document| format!("{}\n", document.trim_end_matches('\n')))
            .collect();
        documents.reverse();
        // Beside where it was: files that it names are found from there.
        let directory = name
            .rsplit_once('/')
            .map_or(String::new(), |(above, _)| format!("{above}/"));
        let path = RepoPath::new(format!("{directory}{index:03}.yaml"));
        shuffled
            .files
            .insert(path, documents.join("---\n").into_bytes().into());
    }
    shuffled
}

fn without_places(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.remove("origin");
            fields.values_mut().for_each(without_places);
        }
        Value::Array(items) => items.iter_mut().for_each(without_places),
        _ => {}
    }
}

/// A desired state with its list of objects as a map, so that a difference names only those that differ.
fn by_name(desired: &Value) -> Value {
    let mut named = desired.clone();
    let objects = desired["objects"].as_array().into_iter().flatten();
    named["objects"] = objects
        .map(|object| {
            let reference = &object["reference"];
            let [kind, name] =
                ["kind", "name"].map(|key| reference[key].as_str().unwrap_or_default());
            (format!("{kind} {name}"), object.clone())
        })
        .collect();
    named
}

/// What must be merged into one value to make another of it (RFC 7386); absent where they are equal.
fn difference(before: &Value, after: &Value) -> Option<Value> {
    let (Value::Object(old), Value::Object(new)) = (before, after) else {
        return (before != after).then(|| after.clone());
    };
    let gone = old.keys().filter(|key| !new.contains_key(*key));
    let mut patch: serde_json::Map<String, Value> =
        gone.map(|key| (key.clone(), Value::Null)).collect();
    for (key, value) in new {
        let changed = old
            .get(key)
            .map_or_else(|| Some(value.clone()), |old| difference(old, value));
        patch.extend(changed.map(|changed| (key.clone(), changed)));
    }
    (!patch.is_empty()).then_some(Value::Object(patch))
}

/// Compares with what is wanted, or makes it what is wanted.
fn compare(path: &Path, text: &str, failures: &mut Vec<String>) {
    if std::env::var_os("UPDATE").is_some_and(|value| value == "1") {
        fs::create_dir_all(path.parent().expect("a directory")).expect("to be made");
        fs::write(path, text).expect("to be written");
        return;
    }
    let wanted = fs::read_to_string(path).unwrap_or_default();
    if let Some(difference) = differing(&wanted, text) {
        let place = path.strip_prefix(case::package()).unwrap_or(path).display();
        failures.push(format!("{place} (bless with UPDATE=1):\n{difference}"));
    }
}

/// The lines from the first difference to the last, `-` before and `+` after.
fn differing(before: &str, after: &str) -> Option<String> {
    const SHOWN: usize = 40;
    if before == after {
        return None;
    }
    let (old, new): (Vec<&str>, Vec<&str>) = (before.lines().collect(), after.lines().collect());
    let head = old.iter().zip(&new).take_while(|(a, b)| a == b).count();
    let rest = old.len().min(new.len()) - head;
    let ends = old.iter().rev().zip(new.iter().rev());
    let tail = ends.take(rest).take_while(|(a, b)| a == b).count();
    let mut text = format!("from line {}:\n", head + 1);
    for (sign, lines) in [
        ("-", &old[head..old.len() - tail]),
        ("+", &new[head..new.len() - tail]),
    ] {
        for line in lines.iter().take(SHOWN) {
            let _ = writeln!(text, "{sign} {line}");
        }
        if lines.len() > SHOWN {
            let _ = writeln!(text, "{sign} … {} more lines", lines.len() - SHOWN);
        }
    }
    Some(text)
}
