//! Told to leave in the middle of a pass, and started again.

use std::time::{Duration, Instant};

use super::{LOOK, assert_becomes, config, settled_dump, tutorial, wait_healthy};
use crate::support::bed::Bed;
use crate::support::daemon::Daemon;
use crate::support::proxy::{Fault, Match, Rule};

#[test]
fn told_to_leave_the_daemon_ends_the_running_operation_records_it_and_the_next_one_goes_on() {
    let bed = Bed::shared();
    let (_repo, commit) = tutorial(&bed);
    let create = "elasticloadbalancing:CreateLoadBalancer";
    bed.proxy.add(Rule::once(
        Match::aws("elasticloadbalancing", "CreateLoadBalancer"),
        Fault::AnswerLate(Duration::from_secs(3)),
    ));
    let mut daemon = Daemon::start(&bed, &config(&bed));
    let deadline = Instant::now() + Duration::from_secs(60);
    while bed.proxy.journal().count(create) == 0 {
        assert!(
            Instant::now() < deadline && daemon.is_running(),
            "no load balancer is made:\n{}",
            daemon.logs()
        );
        std::thread::sleep(LOOK);
    }

    let told = Instant::now();
    let status = daemon
        .terminate(Duration::from_secs(20))
        .expect("it leaves within the grace period");

    assert!(
        status.success(),
        "it left with {status}:\n{}",
        daemon.logs()
    );
    let took = told.elapsed();
    assert!(
        took > Duration::from_secs(1),
        "the running operation was not waited for: {took:?}"
    );
    let journal = bed.proxy.journal();
    assert!(
        journal.calls(create)[0].answered,
        "the answer was not waited for"
    );
    let last = journal.writes().last().map(|entry| entry.call.label());
    assert_eq!(
        last.as_deref(),
        Some(create),
        "a further operation was begun:\n{}",
        journal.render()
    );
    let calls = String::from_utf8(daemon.cli(&["history", "--calls"]).stdout).expect("UTF-8");
    assert!(calls.contains("oad balancer"), "{calls}");
    // From the store: what ended is recorded with what came of it, and the plan has an end.
    let history: serde_json::Value =
        serde_json::from_slice(&daemon.cli(&["history", "--calls", "-o", "json"]).stdout)
            .expect("JSON");
    let text = history.to_string();
    let arn = bed.aws("elbv2", "DescribeLoadBalancers", serde_json::json!({}))["LoadBalancers"][0]
        ["LoadBalancerArn"]
        .as_str()
        .expect("one load balancer")
        .to_owned();
    assert!(
        text.contains(&arn),
        "the load balancer's ARN is not recorded:\n{history:#}"
    );

    daemon.run(&bed);
    wait_healthy(&mut daemon, &commit);

    let journal = bed.proxy.journal();
    assert_eq!(journal.count(create), 1, "{}", journal.render());
    journal.assert_guard();
    let interrupted = settled_dump(&bed);
    daemon.kill9();
    bed.reset();
    let (_repo, commit) = tutorial(&bed);
    let mut daemon = Daemon::start(&bed, &config(&bed));
    wait_healthy(&mut daemon, &commit);
    assert_becomes(&bed, &interrupted, "an uninterrupted run");
}

#[test]
fn told_to_leave_while_nothing_is_to_do_the_daemon_leaves_at_once() {
    let bed = Bed::shared();
    let (_repo, commit) = tutorial(&bed);
    let mut daemon = Daemon::start(&bed, &config(&bed));
    wait_healthy(&mut daemon, &commit);

    let told = Instant::now();
    let status = daemon
        .terminate(Duration::from_secs(10))
        .expect("it leaves");

    assert!(status.success(), "it left with {status}");
    assert!(
        told.elapsed() < Duration::from_secs(3),
        "{:?}",
        told.elapsed()
    );
    assert!(
        !daemon.state().join("albsync.sock").exists(),
        "the socket stays behind"
    );
}
