use std::collections::BTreeSet;

use super::*;
use crate::{
    cluster::fake::{FakeCluster, Fault, error},
    id::{Arn, Generation, OpId, ResourceId, ResourceKind},
    plan::op::{Reason, Stage},
    problem::Origin,
};

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

fn object(kind: &str, name: &str) -> ObjectRef {
    let api_version = match kind {
        "Ingress" => "networking.k8s.io/v1",
        _ => "v1",
    };
    ObjectRef {
        api_version: api_version.to_owned(),
        kind: kind.to_owned(),
        namespace: Some("default".to_owned()),
        name: name.to_owned(),
    }
}

fn subject(kind: &str, name: &str) -> Subject {
    Subject {
        object: object(kind, name),
        uid: Some(format!("uid-{name}")),
    }
}

fn group() -> StackId {
    StackId::Group("default/app".to_owned())
}

fn subjects() -> Subjects {
    Subjects::from([
        (group(), vec![subject("Ingress", "app")]),
        (
            StackId::Group("default/other".to_owned()),
            vec![subject("Ingress", "other")],
        ),
    ])
}

fn op(id: u32, cause: Cause, action: Action, differences: Vec<Difference>) -> Op {
    Op {
        id: OpId(id),
        stack: group(),
        resource: ResourceId::new(group(), ResourceKind::Rule, format!("80/{id}")),
        needs: BTreeSet::new(),
        action,
        reason: Reason {
            cause,
            origin: None,
            differences,
        },
        record: Vec::new(),
    }
}

fn delete_rule() -> Action {
    Action::DeleteRule {
        arn: Arn::from("arn:rule"),
    }
}

fn plan(ops: Vec<Op>) -> Plan {
    Plan {
        stage: Stage::Route,
        revision: None,
        base: Generation(0),
        ops,
        held: Vec::new(),
        foreign: Vec::new(),
        irreversible: Vec::new(),
        settled: Vec::new(),
        withheld: Vec::new(),
    }
}

fn failed(id: u32) -> FailedOp {
    FailedOp {
        op: OpId(id),
        stack: group(),
        what: "delete rule".to_owned(),
        error: error("DeleteRule", "AccessDenied", 403, "not allowed".to_owned()),
        blocked: true,
    }
}

fn summary(events: &[ObjectEvent]) -> Vec<(&str, &str, &str)> {
    events
        .iter()
        .map(|it| {
            (
                it.object.name.as_str(),
                it.kind.as_str(),
                it.reason.as_str(),
            )
        })
        .collect()
}

#[test]
fn success_names_the_commit_and_counts_what_changed_on_its_own_ingress_only() {
    let plan = plan(vec![
        op(1, Cause::Changed, delete_rule(), vec![]),
        op(2, Cause::Changed, delete_rule(), vec![]),
    ]);
    let revision = Revision::from(COMMIT);
    let events = of_pass(
        Some(&revision),
        &[(&plan, &Outcome::default())],
        &subjects(),
    );
    assert_eq!(
        summary(&events),
        [("app", "Normal", "SuccessfullyReconciled")]
    );
    assert_eq!(
        events[0].message,
        format!("commit {COMMIT}: deleted rule ×2")
    );
    assert_eq!(events[0].uid.as_deref(), Some("uid-app"));
}

#[test]
fn one_pass_gives_one_success_over_both_of_its_plans() {
    let mut apply = op(
        1,
        Cause::Changed,
        Action::ApplyObject {
            reference: object("Ingress", "app"),
            value: serde_json::Value::Null,
            force: true,
        },
        vec![],
    );
    apply.stack = StackId::Cluster;
    apply.resource = object_id(&object("Ingress", "app").key());
    let (prepare, route) = (
        plan(vec![apply]),
        plan(vec![op(1, Cause::Changed, delete_rule(), vec![])]),
    );
    let done = Outcome::default();
    let events = of_pass(None, &[(&prepare, &done), (&route, &done)], &subjects());
    assert_eq!(
        summary(&events),
        [("app", "Normal", "SuccessfullyReconciled")]
    );
    assert!(
        events[0].message.ends_with("applied object, deleted rule"),
        "{}",
        events[0].message
    );
}

#[test]
fn a_pass_without_operations_says_nothing() {
    let events = of_pass(None, &[(&plan(vec![]), &Outcome::default())], &subjects());
    assert_eq!(events, []);
}

#[test]
fn a_failure_is_told_instead_of_success_and_an_interruption_not_at_all() {
    let plan = plan(vec![
        op(1, Cause::Changed, delete_rule(), vec![]),
        op(2, Cause::Drift, delete_rule(), vec![]),
    ]);
    let outcome = Outcome {
        failed: vec![failed(1)],
        ..Outcome::default()
    };
    let events = of_pass(
        Some(&Revision::from(COMMIT)),
        &[(&plan, &outcome)],
        &subjects(),
    );
    assert_eq!(summary(&events), [("app", "Warning", "FailedDeployModel")]);
    for part in [COMMIT, "delete rule", "AccessDenied", "not allowed"] {
        assert!(events[0].message.contains(part), "{}", events[0].message);
    }
    let interrupted = Outcome {
        interrupted: true,
        ..Outcome::default()
    };
    assert_eq!(of_pass(None, &[(&plan, &interrupted)], &subjects()), []);
}

#[test]
fn healed_drift_is_told_apart_from_what_the_commit_changed() {
    let difference = Difference {
        field: "priority".to_owned(),
        live: Some("1".to_owned()),
        wanted: None,
    };
    let drift = op(1, Cause::Drift, delete_rule(), vec![difference]);
    let only = plan(vec![drift.clone()]);
    let events = of_pass(None, &[(&only, &Outcome::default())], &subjects());
    assert_eq!(summary(&events), [("app", "Warning", "DriftHealed")]);
    assert!(
        events[0]
            .message
            .contains("rule 80/1: priority was 1, is absent"),
        "{}",
        events[0].message
    );
    let both = plan(vec![drift, op(2, Cause::Changed, delete_rule(), vec![])]);
    let events = of_pass(None, &[(&both, &Outcome::default())], &subjects());
    let want = [
        ("app", "Normal", "SuccessfullyReconciled"),
        ("app", "Warning", "DriftHealed"),
    ];
    assert_eq!(summary(&events), want);
}

#[test]
fn what_is_held_is_told_with_its_release_on_the_stack_or_the_object_itself() {
    let held = |stack, resource| Held {
        stack,
        resource,
        code: "AdoptionRequired".to_owned(),
        message: "it is another's".to_owned(),
        release: "adopt it".to_owned(),
    };
    let itself = object_id(&object("Ingress", "other").key());
    let events = of_held(
        &[held(group(), None), held(StackId::Cluster, Some(itself))],
        &subjects(),
    );
    assert_eq!(
        summary(&events),
        [("app", "Warning", "Held"), ("other", "Warning", "Held")]
    );
    assert_eq!(
        events[0].message,
        "AdoptionRequired: it is another's; to release: adopt it"
    );
}

#[test]
fn a_rejection_names_places_on_the_objects_that_live() {
    let at = |line, object: &str| {
        Problem::new(
            "bad-value",
            Origin::new("a.yaml", line, 3),
            "scheme is \"x\"",
        )
        .hint("expected internal or internet-facing")
        .of(object)
    };
    let problems = [
        at(4, "Ingress default/app"),
        at(5, "Ingress default/app").warning(),
        at(6, "Ingress default/absent"),
        at(7, "IAMServiceAccount default/app"),
    ];
    let live = [
        subject("Ingress", "app"),
        subject("Ingress", "other"),
        subject("ServiceAccount", "app"),
    ];
    let events = of_problems(Some(&Revision::from(COMMIT)), &problems, &live);
    assert_eq!(summary(&events), [("app", "Warning", "Rejected"); 2]);
    let message = &events[0].message;
    for part in [
        COMMIT,
        "a.yaml:4:3",
        "scheme is \"x\"",
        "expected internal or internet-facing",
    ] {
        assert!(message.contains(part), "{message}");
    }
    assert!(!message.contains("a.yaml:5:3"), "{message}");
    assert!(
        events[1].message.contains("a.yaml:7:3"),
        "{}",
        events[1].message
    );
}

#[test]
fn a_long_message_is_cut_between_characters_and_says_how_many_more() {
    let problem =
        Problem::new("c", Origin::start_of("a.yaml"), "ü".repeat(600)).of("Ingress default/app");
    let events = of_problems(None, &vec![problem; 3], &[subject("Ingress", "app")]);
    assert!(
        events[0].message.len() <= MESSAGE_LIMIT + "…".len() && events[0].message.ends_with('…')
    );
    let problem = Problem::new("c", Origin::start_of("a.yaml"), "short").of("Ingress default/app");
    let events = of_problems(
        None,
        &vec![problem; LISTED + 2],
        &[subject("Ingress", "app")],
    );
    assert!(
        events[0].message.ends_with("and 2 more"),
        "{}",
        events[0].message
    );
}

#[tokio::test]
async fn an_event_that_cannot_be_sent_keeps_none_of_the_others() {
    let fake = FakeCluster::new();
    let refused = error("create Event", "Forbidden", 403, "no".to_owned());
    fake.fail(Fault {
        on: "create Event".to_owned(),
        nth: 1,
        error: refused,
        after_effect: false,
    });
    let events: Vec<ObjectEvent> = ["a", "b", "c"]
        .iter()
        .map(|name| event(&subject("Ingress", name), "Normal", "Held", "x".to_owned()))
        .collect();
    send(&fake, &events).await;
    let sent: BTreeSet<String> = fake.events().into_iter().map(|it| it.object.name).collect();
    assert_eq!(sent, BTreeSet::from(["b".to_owned(), "c".to_owned()]));
}

#[test]
fn sending_can_be_done_on_another_thread() {
    fn sendable<T: Send>(_: T) {}
    sendable(send(&FakeCluster::new(), &[]));
}
