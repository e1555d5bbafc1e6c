use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use proptest::prelude::*;
use serde_json::json;
use tempfile::TempDir;

use super::*;
use crate::{
    id::{Arn, ObjectRef, OpId, ResourceId, ResourceKind, StackId},
    model::applied::{
        AppliedChange, AppliedObject, AppliedResource, AppliedStack, ObjectUpdate, ResourceUpdate,
    },
    plan::{
        history::{CommitState, OpCounts, RevisionRecord, RevisionUpdate},
        op::{Action, Cause, Op, Plan, Reason, Stage},
        record::{Entry, Outcome, Output},
    },
};

const AT: &str = "2026-01-02T03:04:05Z";

fn group(name: &str) -> StackId {
    StackId::Group(name.to_owned())
}

fn op(id: u32, action: Action) -> Op {
    Op {
        id: OpId(id),
        stack: group("a/b"),
        resource: ResourceId::new(group("a/b"), ResourceKind::Object, id.to_string()),
        needs: BTreeSet::new(),
        action,
        reason: Reason {
            cause: Cause::Added,
            origin: None,
            differences: Vec::new(),
        },
        record: Vec::new(),
    }
}

fn delete_rule(id: u32) -> Op {
    op(
        id,
        Action::DeleteRule {
            arn: Arn(format!("arn:rule/{id}")),
        },
    )
}

fn plan(base: Generation, ops: Vec<Op>) -> Plan {
    Plan {
        stage: Stage::Route,
        revision: Some(revision(1)),
        base,
        ops,
        held: Vec::new(),
        foreign: Vec::new(),
        irreversible: Vec::new(),
        settled: Vec::new(),
        withheld: Vec::new(),
    }
}

fn revision(number: u32) -> Revision {
    Revision(format!("{number:040x}"))
}

fn begun(id: u32) -> Entry {
    Entry::Begun {
        op: OpId(id),
        attempt: 1,
        at: AT.to_owned(),
    }
}

fn closed() -> Entry {
    Entry::Closed {
        outcome: Outcome::default(),
        at: AT.to_owned(),
    }
}

fn resource(number: u32) -> (ResourceId, AppliedResource) {
    (
        ResourceId::new(group("a/b"), ResourceKind::Rule, format!("80/{number}")),
        AppliedResource {
            arn: Some(Arn(format!("arn:{number}"))),
            digest: "d".repeat(64),
            ..AppliedResource::default()
        },
    )
}

fn seen(number: u32) -> RevisionRecord {
    RevisionRecord {
        revision: revision(number),
        author: "A <a@example.org>".to_owned(),
        subject: format!("commit {number}"),
        committed_at: 1,
        seen_at: AT.to_owned(),
        config_digest: "c1".to_owned(),
        state: CommitState::Detected,
        reason: String::new(),
        problems: Vec::new(),
        digest: None,
        held_back: Vec::new(),
        ops: OpCounts::default(),
        state_at: AT.to_owned(),
        finished_at: None,
    }
}

fn at() -> RevisionUpdate {
    RevisionUpdate {
        at: AT.to_owned(),
        ..RevisionUpdate::default()
    }
}

/// A store with something in every tree.
fn fill(dir: &Path) {
    let store = Store::open(dir).unwrap();
    store
        .pin(&Pins {
            installation: Some("i".to_owned()),
            account: Some("123456789012".to_owned()),
            cluster: None,
        })
        .unwrap();
    for round in 0..5 {
        let ops = (0..4).map(delete_rule).collect();
        let journal = store
            .open_plan(&plan(store.generation(), ops), "test", AT)
            .unwrap();
        for id in 0..4 {
            journal.append(&begun(id)).unwrap();
            let (id, value) = resource(round * 10 + id);
            journal
                .append_with(
                    &Entry::Done {
                        op: OpId(0),
                        output: Output::default(),
                        at: AT.to_owned(),
                    },
                    &[AppliedChange::SetResource(id, value)],
                )
                .unwrap();
        }
        if round < 4 {
            journal.append(&closed()).unwrap();
        }
        store.seen(seen(round)).unwrap();
        store
            .set_state(&revision(round), CommitState::Healthy, &at())
            .unwrap();
    }
    store
        .set_previous_set(&json!({"x": "y".repeat(20_000)}))
        .unwrap();
}

#[test]
fn everything_is_there_after_opening_again() {
    let dir = TempDir::new().unwrap();
    fill(dir.path());
    let store = Store::open(dir.path()).unwrap();
    assert_eq!(*store.opened(), Opened::default());
    assert!(!store.opened().needs_full_scan());
    assert_eq!(store.generation(), Generation(5));
    assert_eq!(store.applied().resources.len(), 20);
    assert_eq!(store.pins().account.as_deref(), Some("123456789012"));
    assert_eq!(store.in_force(), Some(revision(4)));
    assert_eq!(store.last_healthy(), Some(revision(4)));
    assert_eq!(store.revisions(100).len(), 5);
    assert_eq!(store.plans(3).unwrap().len(), 3);
    let set: Value = store.previous_set().unwrap().unwrap();
    assert_eq!(set["x"].as_str().unwrap().len(), 20_000);

    let unfinished = store.unfinished().unwrap();
    assert_eq!(unfinished.len(), 1);
    assert_eq!(unfinished[0].generation, Generation(5));
    assert_eq!(unfinished[0].plan.ops.len(), 4);
    assert_eq!(unfinished[0].entries.len(), 8);
    assert_eq!(unfinished[0].trigger, "test");
}

#[test]
fn a_fresh_store_asks_for_a_full_scan() {
    let dir = TempDir::new().unwrap();
    let store = Store::open(dir.path()).unwrap();
    assert!(store.opened().fresh);
    assert!(store.opened().needs_full_scan());
}

#[test]
fn a_second_opening_names_the_holder_until_the_first_ends() {
    let dir = TempDir::new().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let clone = store.clone();
    drop(store);
    match Store::open(dir.path()) {
        Err(StoreError::Held { holder, .. }) => {
            assert_eq!(holder.unwrap().pid, std::process::id());
        }
        other => panic!("{:?}", other.map(|_| ())),
    }
    drop(clone);
    Store::open(dir.path()).unwrap();
}

#[test]
fn a_daemon_that_starts_waits_for_somebody_who_only_looks() {
    let dir = TempDir::new().unwrap();
    let looker = Store::look(dir.path()).unwrap();
    let path = dir.path().to_owned();
    let daemon = std::thread::spawn(move || Store::open(&path).map(|_| ()));
    // Longer than a daemon would wait for another daemon.
    std::thread::sleep(std::time::Duration::from_millis(1_500));
    assert!(!daemon.is_finished());
    drop(looker);
    daemon.join().unwrap().unwrap();
}

#[test]
fn a_plan_from_an_older_generation_is_refused() {
    let store = Store::ephemeral().unwrap();
    let base = store.generation();
    store
        .open_plan(&plan(base, vec![delete_rule(0)]), "one", AT)
        .unwrap();
    let second = store.open_plan(&plan(base, vec![delete_rule(0)]), "two", AT);
    assert!(matches!(second, Err(StoreError::Stale { .. })));
    assert_eq!(store.plans(9).unwrap().len(), 1);
    assert_eq!(store.generation(), Generation(base.0 + 1));
}

#[test]
fn a_newer_schema_is_refused_and_left_alone() {
    let dir = TempDir::new().unwrap();
    {
        let store = Store::open(dir.path()).unwrap();
        store
            .write(&[put(Part::Meta, KEY_SCHEMA, &(SCHEMA + 1)).unwrap()], true)
            .unwrap();
    }
    for _ in 0..5 {
        match Store::open(dir.path()) {
            Err(StoreError::NewerSchema { found, known, .. }) => {
                assert_eq!((found, known), (SCHEMA + 1, SCHEMA));
            }
            other => panic!("{:?}", other.map(|_| ())),
        }
    }
    assert!(!dir.path().join("store.corrupt-1").exists());
}

#[test]
fn an_account_that_changed_is_refused_and_nothing_is_pinned() {
    let store = Store::ephemeral().unwrap();
    let pins = |account: &str, cluster: Option<&str>| Pins {
        installation: None,
        account: Some(account.to_owned()),
        cluster: cluster.map(str::to_owned),
    };
    store.pin(&pins("1", None)).unwrap();
    assert!(matches!(
        store.pin(&pins("2", Some("u"))),
        Err(StoreError::PinMismatch { .. })
    ));
    assert_eq!(store.pins().cluster, None);
    store.pin(&pins("1", Some("u"))).unwrap();
    assert_eq!(store.pins().cluster.as_deref(), Some("u"));
}

#[test]
fn values_of_secrets_never_reach_the_disk() {
    const CANARY: &str = "Y2FuYXJ5LWluLWEtY29hbG1pbmU=";
    let dir = TempDir::new().unwrap();
    let secret = |kind: &str, field: &str| {
        op(
            0,
            Action::ApplyObject {
                reference: ObjectRef {
                    api_version: "v1".to_owned(),
                    kind: kind.to_owned(),
                    namespace: Some("n".to_owned()),
                    name: "s".to_owned(),
                },
                value: json!({
                    "apiVersion": "v1", "kind": kind,
                    "metadata": {"annotations": {
                        "kubectl.kubernetes.io/last-applied-configuration": CANARY,
                    }},
                    field: {"key": CANARY},
                }),
                force: false,
            },
        )
    };
    {
        let store = Store::open(dir.path()).unwrap();
        for field in ["data", "stringData"] {
            let mut plan = plan(store.generation(), vec![secret("Secret", field)]);
            plan.withheld = vec![secret("Secret", field)];
            store.open_plan(&plan, "t", AT).unwrap();
        }
        store.close().unwrap();
        let kept = &store.plans(1).unwrap()[0].plan.ops[0];
        assert!(matches!(&kept.action, Action::ApplyObject { value, .. }
            if value["stringData"]["key"].as_str().unwrap().starts_with("<masked ")));
    }
    for file in files(dir.path()) {
        let bytes = fs::read(&file).unwrap();
        assert!(
            !bytes.windows(CANARY.len()).any(|w| w == CANARY.as_bytes()),
            "{}",
            file.display()
        );
    }
    // The search would find it.
    let open = redact(&plan(Generation(0), vec![secret("ConfigMap", "data")]));
    assert!(serde_json::to_string(&open).unwrap().contains(CANARY));
}

#[test]
fn masks_tell_a_change_of_a_value() {
    let mask = |value: &str| {
        let reference = ObjectRef {
            api_version: "v1".to_owned(),
            kind: "Secret".to_owned(),
            namespace: None,
            name: "s".to_owned(),
        };
        let value = json!({"data": {"key": value}});
        let force = false;
        redact(&plan(
            Generation(0),
            vec![op(
                0,
                Action::ApplyObject {
                    reference,
                    value,
                    force,
                },
            )],
        ))
    };
    assert_eq!(mask("one"), mask("one"));
    assert_ne!(mask("one"), mask("two"));
}

#[test]
fn closed_plans_are_kept_up_to_a_count_and_open_ones_always() {
    let store = Store::ephemeral().unwrap();
    let open = store
        .open_plan(&plan(store.generation(), vec![delete_rule(0)]), "open", AT)
        .unwrap();
    for _ in 0..70 {
        let journal = store
            .open_plan(&plan(store.generation(), vec![delete_rule(0)]), "t", AT)
            .unwrap();
        journal.append(&begun(0)).unwrap();
        journal.append(&closed()).unwrap();
    }
    let plans = store.plans(usize::MAX).unwrap();
    assert_eq!(plans.len(), 51);
    assert_eq!(plans[0].generation, store.generation());
    assert_eq!(plans[50].generation, open.generation());
    assert_eq!(store.unfinished().unwrap().len(), 1);
    // 50 plans with header, operation and two entries, the open one with header and operation.
    assert_eq!(
        store.inner.disk.scan(Part::Journal, b"").unwrap().len(),
        202
    );
}

#[test]
fn closed_plans_are_kept_up_to_a_size() {
    let store = Store::ephemeral().unwrap();
    for _ in 0..12 {
        let big = op(
            0,
            Action::PutRolePolicy {
                role: "r".into(),
                name: "p".to_owned(),
                document: json!("x".repeat(1024 * 1024)),
            },
        );
        let journal = store
            .open_plan(&plan(store.generation(), vec![big]), "t", AT)
            .unwrap();
        journal.append(&closed()).unwrap();
    }
    let kept = store.plans(usize::MAX).unwrap();
    assert!((6..=8).contains(&kept.len()), "{}", kept.len());
    assert!(store.inner.disk.live_bytes().unwrap() < 10 * 1024 * 1024);
}

#[test]
fn an_entry_and_what_it_teaches_are_written_together() {
    let dir = TempDir::new().unwrap();
    {
        let store = Store::open(dir.path()).unwrap();
        let journal = store
            .open_plan(&plan(store.generation(), vec![delete_rule(0)]), "t", AT)
            .unwrap();
        let (id, value) = resource(1);
        journal
            .append_with(&begun(0), &[AppliedChange::SetResource(id, value)])
            .unwrap();
    }
    let store = Store::open(dir.path()).unwrap();
    assert_eq!(store.applied().resources.len(), 1);
    assert_eq!(store.unfinished().unwrap()[0].entries, [begun(0)]);
}

#[test]
fn appending_goes_on_after_the_last_entry() {
    let store = Store::ephemeral().unwrap();
    let journal = store
        .open_plan(&plan(store.generation(), vec![delete_rule(0)]), "t", AT)
        .unwrap();
    journal.append(&begun(0)).unwrap();
    let unfinished = store.unfinished().unwrap().remove(0);
    let again = store.reopen(&unfinished).unwrap();
    again.append(&closed()).unwrap();
    assert_eq!(store.plans(1).unwrap()[0].entries, [begun(0), closed()]);
    assert!(matches!(
        store.reopen(&unfinished),
        Err(StoreError::UnknownPlan(_))
    ));
}

#[test]
fn the_history_ring_forgets_the_oldest_and_keeps_what_is_in_force() {
    let dir = TempDir::new().unwrap();
    {
        let store = Store::open(dir.path()).unwrap();
        store.seen(seen(0)).unwrap();
        store
            .set_state(&revision(0), CommitState::Healthy, &at())
            .unwrap();
        for number in 1..=260 {
            store.seen(seen(number)).unwrap();
            store
                .set_state(&revision(number), CommitState::Rejected, &at())
                .unwrap();
        }
    }
    let store = Store::open(dir.path()).unwrap();
    let kept = store.revisions(usize::MAX);
    assert_eq!(kept.len(), 200);
    assert_eq!(kept[0].revision, revision(260));
    assert_eq!(kept[199].revision, revision(0));
}

#[test]
fn a_newer_commit_supersedes_the_one_in_force_only_when_it_takes_its_place() {
    let store = Store::ephemeral().unwrap();
    for number in [1, 2, 3] {
        store.seen(seen(number)).unwrap();
    }
    let set = |number, state| store.set_state(&revision(number), state, &at()).unwrap();
    let state = |number| store.revision(&revision(number)).unwrap().state;
    set(1, CommitState::Healthy);
    set(2, CommitState::Held);
    set(3, CommitState::Validated);
    assert_eq!(state(1), CommitState::Healthy);
    assert_eq!(state(2), CommitState::Superseded);
    assert_eq!(store.accepted(), Some(revision(3)));
    assert_eq!(store.in_force(), Some(revision(1)));
    set(3, CommitState::Applying);
    assert_eq!(state(1), CommitState::Superseded);
    assert_eq!(store.in_force(), Some(revision(3)));
    assert_eq!(store.last_healthy(), Some(revision(1)));
    set(3, CommitState::Healthy);
    assert_eq!(store.last_healthy(), Some(revision(3)));
}

#[test]
fn an_illegal_step_changes_nothing() {
    let store = Store::ephemeral().unwrap();
    store.seen(seen(1)).unwrap();
    store
        .set_state(&revision(1), CommitState::Applied, &at())
        .unwrap();
    assert!(matches!(
        store.set_state(&revision(1), CommitState::Rejected, &at()),
        Err(StoreError::IllegalTransition { .. })
    ));
    assert_eq!(
        store.revision(&revision(1)).unwrap().state,
        CommitState::Applied
    );
    assert!(matches!(
        store.set_state(&revision(9), CommitState::Fetched, &at()),
        Err(StoreError::UnknownRevision(_))
    ));
}

#[test]
fn a_verdict_holds_for_one_configuration() {
    let store = Store::ephemeral().unwrap();
    store.seen(seen(1)).unwrap();
    let update = RevisionUpdate {
        problems: Some(vec!["a.yaml:1:2: problem[x]: no".to_owned()]),
        ..at()
    };
    store
        .set_state(&revision(1), CommitState::Rejected, &update)
        .unwrap();
    assert_eq!(
        store.rejected(&revision(1), "c1").unwrap().problems.len(),
        1
    );
    assert!(store.rejected(&revision(1), "c2").is_none());
    // Seen again under the same configuration: the verdict stands; under another: judged anew.
    assert_eq!(store.seen(seen(1)).unwrap().state, CommitState::Rejected);
    let other = RevisionRecord {
        config_digest: "c2".to_owned(),
        ..seen(1)
    };
    assert_eq!(store.seen(other).unwrap().state, CommitState::Detected);
    assert_eq!(store.revisions(9).len(), 2);
}

#[test]
fn a_long_list_of_problems_is_cut() {
    let store = Store::ephemeral().unwrap();
    store.seen(seen(1)).unwrap();
    let update = RevisionUpdate {
        problems: Some(vec!["ü".repeat(5_000); 5_000]),
        ..at()
    };
    let record = store
        .set_state(&revision(1), CommitState::Rejected, &update)
        .unwrap();
    assert_eq!(record.problems.len(), 101);
    assert_eq!(record.problems[100], "and 4900 more");
    assert_eq!(record.problems[0].chars().count(), 1_001);
}

#[test]
fn the_export_is_whole_and_written_at_the_end() {
    let dir = TempDir::new().unwrap();
    fill(dir.path());
    let store = Store::open(dir.path()).unwrap();
    store.close().unwrap();
    let text = fs::read_to_string(dir.path().join("export.json")).unwrap();
    let export: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(export, store.export().unwrap());
    assert_eq!(export["resources"].as_array().unwrap().len(), 20);
    assert_eq!(export["journal"].as_array().unwrap().len(), 5);
    assert_eq!(export["history"].as_array().unwrap().len(), 5);
    assert_eq!(export["generation"], 5);
}

#[test]
fn data_older_than_its_last_plan_is_not_trusted() {
    let dir = TempDir::new().unwrap();
    let copy = TempDir::new().unwrap();
    fill(dir.path());
    copy_dir(&dir.path().join("store"), &copy.path().join("store"));
    {
        let store = Store::open(dir.path()).unwrap();
        store
            .open_plan(&plan(store.generation(), vec![delete_rule(0)]), "t", AT)
            .unwrap();
    }
    fs::remove_dir_all(dir.path().join("store")).unwrap();
    copy_dir(&copy.path().join("store"), &dir.path().join("store"));
    let store = Store::open(dir.path()).unwrap();
    assert!(store.opened().recovered.is_some());
    assert!(store.opened().needs_full_scan());
    // Never used twice.
    assert_eq!(store.generation(), Generation(6));
}

#[test]
fn a_store_that_keeps_ending_the_process_is_moved_aside() {
    let dir = TempDir::new().unwrap();
    fill(dir.path());
    fs::write(dir.path().join("store.opening"), "3").unwrap();
    let store = Store::open(dir.path()).unwrap();
    assert!(
        store
            .opened()
            .recovered
            .as_ref()
            .unwrap()
            .contains("3 times")
    );
    assert!(dir.path().join("store.corrupt-1").exists());
    assert!(!dir.path().join("store.opening").exists());
    drop(store);
    assert_eq!(Store::open(dir.path()).unwrap().opened().recovered, None);
}

#[test]
fn only_the_last_three_damaged_stores_are_kept() {
    let dir = TempDir::new().unwrap();
    for _ in 0..5 {
        drop(Store::open(dir.path()).unwrap());
        fs::write(dir.path().join("store.opening"), "3").unwrap();
    }
    drop(Store::open(dir.path()).unwrap());
    let mut kept: Vec<_> = fs::read_dir(dir.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.starts_with("store.corrupt-"))
        .collect();
    kept.sort();
    assert_eq!(
        kept,
        ["store.corrupt-3", "store.corrupt-4", "store.corrupt-5"]
    );
}

#[test]
fn a_crash_in_the_middle_of_compaction_loses_nothing() {
    let dir = TempDir::new().unwrap();
    fill(dir.path());
    let path = dir.path().join("store");
    // The copy is not complete yet.
    fs::create_dir(dir.path().join("store.compact")).unwrap();
    assert_eq!(Store::open(dir.path()).unwrap().generation(), Generation(5));
    assert!(!dir.path().join("store.compact").exists());
    // The old name is given up and the new one not taken.
    fs::rename(&path, dir.path().join("store.old")).unwrap();
    assert_eq!(Store::open(dir.path()).unwrap().generation(), Generation(5));
    assert!(path.exists());
}

/// Lessons F1. Each damage: the store opens, with all of its data or with a reason why not, and then works.
#[test]
fn flipped_and_cut_files_never_stop_the_daemon() {
    let whole = TempDir::new().unwrap();
    fill(whole.path());
    let mut tried = 0;
    for file in files(&whole.path().join("store")) {
        let length = fs::metadata(&file).unwrap().len();
        let relative = file.strip_prefix(whole.path()).unwrap();
        // Spread over the used part of the file; most of the rest is zeros.
        let used = used_length(&file).max(1);
        for step in 0..8 {
            let place = used * step / 8;
            for damage in [Damage::Flip(place), Damage::Cut(place), Damage::Zero(place)] {
                if length == 0 && !matches!(damage, Damage::Cut(_)) {
                    continue;
                }
                let dir = TempDir::new().unwrap();
                copy_dir(whole.path(), dir.path());
                damage.apply(&dir.path().join(relative));
                check_after_damage(dir.path(), &format!("{} {damage:?}", relative.display()));
                tried += 1;
            }
        }
    }
    assert!(tried >= 24, "only {tried} damages tried");
}

const KILLED_DIR: &str = "ALBSYNC_TEST_KILLED_DIR";

/// Not a test by itself: the process that [`nothing_acknowledged_is_lost_when_killed`] kills.
#[test]
fn writes_until_killed() {
    let Some(dir) = std::env::var_os(KILLED_DIR) else {
        return;
    };
    let store = Store::open(Path::new(&dir)).unwrap();
    assert_eq!(store.opened().recovered, None);
    loop {
        let journal = store
            .open_plan(&plan(store.generation(), vec![delete_rule(0)]), "t", AT)
            .unwrap();
        let generation = journal.generation().0;
        for count in 1..=20 {
            let (id, value) = resource(count);
            journal
                .append_with(&begun(count), &[AppliedChange::SetResource(id, value)])
                .unwrap();
            println!("acknowledged {generation} {count}");
        }
        journal.append(&closed()).unwrap();
    }
}

/// Lessons F1, gitops Q9: each cycle kills the writer at another moment.
#[test]
fn nothing_acknowledged_is_lost_when_killed() {
    use std::{
        io::{BufRead, BufReader},
        process::{Command, Stdio},
    };
    let dir = TempDir::new().unwrap();
    for cycle in 0..20 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "store::tests::writes_until_killed",
                "--nocapture",
            ])
            .env(KILLED_DIR, dir.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut acknowledged = (0, 0);
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        for (read, line) in lines.enumerate() {
            let line = line.unwrap_or_default();
            let mut words = line
                .split_whitespace()
                .skip_while(|word| *word != "acknowledged");
            if let (Some(_), Some(generation), Some(count)) =
                (words.next(), words.next(), words.next())
            {
                acknowledged = (generation.parse().unwrap(), count.parse().unwrap());
            }
            if read == 5 + cycle * 7 {
                child.kill().unwrap();
            }
        }
        child.wait().unwrap();
        let (generation, count): (u64, usize) = acknowledged;
        assert!(generation > 0, "cycle {cycle}: nothing was written");
        let store = Store::open(dir.path()).unwrap();
        assert_eq!(store.opened().recovered, None, "cycle {cycle}");
        assert!(store.generation().0 >= generation, "cycle {cycle}");
        let plans = store.plans(usize::MAX).unwrap();
        let last = plans.iter().find(|plan| plan.generation.0 == generation);
        assert!(last.unwrap().entries.len() >= count, "cycle {cycle}");
        assert!(
            store.applied().resources.len() >= count,
            "cycle {cycle}: an entry without what it teaches"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, max_shrink_iters: 20, ..ProptestConfig::default() })]

    #[test]
    fn random_garbage_never_stops_the_daemon(place in 0.0..1.0f64, garbage in prop::collection::vec(any::<u8>(), 1..64)) {
        let dir = TempDir::new().unwrap();
        fill(dir.path());
        let path = dir.path().join("store").join("db");
        let mut bytes = fs::read(&path).unwrap();
        let used = used_length(&path) as f64;
        let at = (used * place) as usize;
        for (offset, byte) in garbage.into_iter().enumerate() {
            if let Some(target) = bytes.get_mut(at + offset) {
                *target = byte;
            }
        }
        fs::write(&path, bytes).unwrap();
        check_after_damage(dir.path(), "garbage");
    }

    #[test]
    fn memory_and_disk_hold_the_same(changes in prop::collection::vec(change(), 1..40)) {
        let dir = TempDir::new().unwrap();
        let mut model = Applied::default();
        {
            let store = Store::open(dir.path()).unwrap();
            for chunk in changes.chunks(3) {
                store.commit(chunk).unwrap();
                for change in chunk {
                    model.change(change);
                }
            }
            prop_assert_eq!(&store.applied(), &model);
        }
        prop_assert_eq!(&Store::open(dir.path()).unwrap().applied(), &model);
    }
}

fn change() -> impl Strategy<Value = AppliedChange> {
    (0u32..8, 0u32..3, any::<bool>()).prop_map(|(kind, number, flag)| {
        let (id, value) = resource(number);
        let reference = ObjectRef {
            api_version: if flag { "x.io/v1" } else { "v1" }.to_owned(),
            kind: "K".to_owned(),
            namespace: flag.then(|| "n".to_owned()),
            name: number.to_string(),
        };
        let stack = if flag {
            StackId::Cluster
        } else {
            group(&number.to_string())
        };
        match kind {
            0 => AppliedChange::SetResource(id, value),
            1 => AppliedChange::UpdateResource(
                id,
                ResourceUpdate {
                    unique_id: Some(number.to_string()),
                    tags: [("k".to_owned(), flag.then(|| "v".to_owned()))].into(),
                    ..ResourceUpdate::default()
                },
            ),
            2 => AppliedChange::RemoveResource(id),
            3 => AppliedChange::SetObject(AppliedObject::intended(reference)),
            4 => AppliedChange::UpdateObject(
                reference,
                ObjectUpdate {
                    uid: Some("u".to_owned()),
                    ..ObjectUpdate::default()
                },
            ),
            5 => AppliedChange::RemoveObject(reference.key()),
            6 => AppliedChange::SetStack(
                stack,
                AppliedStack {
                    digest: "d".to_owned(),
                    revision: None,
                    grounds: None,
                },
            ),
            _ => AppliedChange::RemoveStack(stack),
        }
    })
}

#[derive(Debug)]
enum Damage {
    Flip(u64),
    Cut(u64),
    Zero(u64),
}

impl Damage {
    fn apply(&self, path: &Path) {
        let mut bytes = fs::read(path).unwrap();
        match self {
            Self::Flip(place) => bytes[*place as usize] ^= 0x55,
            Self::Cut(place) => bytes.truncate(*place as usize),
            Self::Zero(place) => {
                let end = bytes.len().min(*place as usize + 64);
                bytes[*place as usize..end].fill(0);
            }
        }
        fs::write(path, bytes).unwrap();
    }
}

/// Whatever was found: it opens, says what it lost, works, and opens again without further loss.
fn check_after_damage(dir: &Path, what: &str) {
    let generation;
    {
        let store = Store::open(dir).unwrap_or_else(|error| panic!("{what}: {error:?}"));
        if store.opened().recovered.is_none() {
            assert_eq!(store.generation(), Generation(5), "{what}");
        }
        let journal = store
            .open_plan(&plan(store.generation(), vec![delete_rule(0)]), "t", AT)
            .unwrap_or_else(|error| panic!("{what}: {error:?}"));
        journal.append(&begun(0)).unwrap();
        generation = store.generation();
        assert!(generation > Generation(5), "{what}");
    }
    let store = Store::open(dir).unwrap_or_else(|error| panic!("{what}: {error:?}"));
    assert_eq!(store.opened().recovered, None, "{what}");
    assert_eq!(store.generation(), generation, "{what}");
    assert!(
        store
            .unfinished()
            .unwrap()
            .iter()
            .any(|plan| plan.generation == generation && plan.entries == [begun(0)]),
        "{what}"
    );
}

fn used_length(path: &Path) -> u64 {
    let bytes = fs::read(path).unwrap();
    bytes
        .iter()
        .rposition(|byte| *byte != 0)
        .map_or(0, |last| last as u64 + 1)
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found
}

fn copy_dir(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy_dir(&path, &target);
        } else {
            fs::copy(&path, target).unwrap();
        }
    }
}
