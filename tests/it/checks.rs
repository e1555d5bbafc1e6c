//! Whose checks hold: one meaning in `run`, `plan`, `check` and `render`; on a world in memory.

use std::collections::BTreeSet;

use albsync::{
    converge::{PassEnd, preview::Preview},
    daemon::schedule::Trigger,
    model::{elb::Condition, settings::Checks},
    plan::op::Action,
    problem::{Problem, Severity},
};
use serde_json::Value;

use crate::{
    golden::world::World,
    tree::{NOTHING, SHOP, Tree, ingress, paths},
};

/// A misspelt annotation, an action that nothing asks for, and a path that stands twice: LBC's builder passes over all.
fn lenient() -> Tree {
    let more = "    alb.ingress.kubernetes.io/healthcheck-intervall-seconds: '10'
    alb.ingress.kubernetes.io/actions.ghost: '{\"type\": \"fixed-response\", \"fixedResponseConfig\": {\"statusCode\": \"404\"}}'
";
    let cart = ingress("cart", "shop", "cart", &["/cart", "/cart"], more);
    Tree::new().with("shop/cart.yaml", cart)
}

/// A target type that there is none of, and two schemes for one balancer: LBC builds neither. `blog` is good.
fn beyond_lbc() -> Tree {
    let cart = "    alb.ingress.kubernetes.io/target-type: pod
    alb.ingress.kubernetes.io/scheme: internal
";
    let pay = "    alb.ingress.kubernetes.io/scheme: internet-facing\n";
    Tree::new()
        .with(
            "shop/cart.yaml",
            ingress("cart", "shop", "cart", &["/cart"], cart),
        )
        .with(
            "shop/pay.yaml",
            ingress("pay", "shop", "pay", &["/pay"], pay),
        )
}

/// `/cart` twice, as LBC has it.
const TWICE: [&str; 6] = ["/cart", "/cart", "/cart/*", "/cart/*", "/pay", "/pay/*"];

fn told(problems: &[Problem]) -> BTreeSet<String> {
    problems.iter().map(ToString::to_string).collect()
}

/// The codes of the problems of this weight, in order.
fn codes(problems: &[Problem], severity: Severity) -> Vec<&str> {
    let mut codes: Vec<&str> = problems
        .iter()
        .filter(|problem| problem.severity == severity)
        .map(|problem| problem.code.as_str())
        .collect();
    codes.sort_unstable();
    codes
}

/// The paths of the rules that a plan makes for `shop`, sorted.
fn planned(preview: &Preview) -> Vec<String> {
    let ops = preview.plans.iter().flat_map(|plan| &plan.ops);
    let rules = ops.filter_map(|op| match &op.action {
        Action::CreateRule { id, spec, .. } if id.stack.to_string() == "group shop" => Some(spec),
        _ => None,
    });
    let conditions = rules.flat_map(|rule| &rule.conditions);
    let paths = conditions.filter_map(|condition| match condition {
        Condition::PathPattern { values } => Some(values.texts().to_vec()),
        _ => None,
    });
    let mut paths: Vec<String> = paths.flatten().collect();
    paths.sort();
    paths
}

/// Those of the rules that `render -o lbc` prints, sorted.
fn rendered(model: &Value) -> Vec<String> {
    let rules = &model["groups"]["shop"]["resources"]["AWS::ElasticLoadBalancingV2::ListenerRule"];
    let rules = rules.as_object().expect("rules").values();
    let mut paths: Vec<String> = rules
        .flat_map(|rule| rule["spec"]["conditions"].as_array().expect("conditions"))
        .filter_map(|condition| condition["pathPatternConfig"]["values"].as_array())
        .flatten()
        .map(|path| path.as_str().expect("a path").to_owned())
        .collect();
    paths.sort();
    paths
}

#[test]
fn what_only_strict_checks_refuse_is_the_same_to_run_plan_check_and_render() {
    const LENIENT: [&str; 3] = ["duplicate-path", "no-effect", "unknown-annotation"];
    for (config, severity) in [
        ("checks: lbc\n", Severity::Warning),
        ("", Severity::Problem),
    ] {
        let world = World::with(config);
        let tip = lenient().commit(&world);
        let is_lbc = severity == Severity::Warning;

        let plan = world.preview(&tip);
        let check = world.check(&tip);
        let render = world.render(&tip);
        let end = world.pass(Trigger::Start, &tip);
        let status = world.cx.reporter.status();

        assert_eq!(codes(&check, severity), LENIENT, "{config}: {check:#?}");
        assert_eq!(check.len(), LENIENT.len(), "{config}: {check:#?}");
        assert_eq!(told(&plan.problems), told(&check), "plan, {config}");
        assert_eq!(told(&render.problems), told(&check), "render, {config}");
        assert_eq!(told(&status.problems), told(&check), "run, {config}");

        assert_eq!(plan.is_refused(), !is_lbc, "plan, {config}");
        assert_eq!(render.is_rejected(), !is_lbc, "render, {config}");
        assert_eq!(status.in_force.is_some(), is_lbc, "run, {config}");
        assert_eq!(end, PassEnd::Complete, "{config}");
        let model = serde_json::to_value(render.as_lbc()).expect("JSON");
        if is_lbc {
            assert_eq!(planned(&plan), TWICE);
            assert_eq!(rendered(&model), TWICE);
            assert_eq!(paths(&world, "shop"), TWICE);
        } else {
            assert_eq!(planned(&plan), NOTHING);
            assert!(model["groups"].get("shop").is_none(), "{model:#}");
            assert_eq!(paths(&world, "shop"), NOTHING);
        }
    }
}

#[test]
fn what_lbc_refuses_too_is_refused_alike_by_run_plan_check_and_render_whatever_the_checks() {
    const REFUSED: [&str; 2] = ["bad-annotation", "group-conflict"];
    let mut of_modes = Vec::new();
    for config in ["checks: lbc\n", ""] {
        let world = World::with(config);
        let tip = beyond_lbc().commit(&world);

        let plan = world.preview(&tip);
        let check = world.check(&tip);
        let render = world.render(&tip);
        let end = world.pass(Trigger::Start, &tip);
        let status = world.cx.reporter.status();

        assert_eq!(
            codes(&check, Severity::Problem),
            REFUSED,
            "{config}: {check:#?}"
        );
        assert_eq!(check.len(), REFUSED.len(), "{config}: {check:#?}");
        assert_eq!(told(&plan.problems), told(&check), "plan, {config}");
        assert_eq!(told(&render.problems), told(&check), "render, {config}");
        assert_eq!(told(&status.problems), told(&check), "run, {config}");

        assert!(plan.is_refused(), "plan, {config}");
        assert!(render.is_rejected(), "render, {config}");
        assert_eq!(status.in_force, None, "run, {config}");
        assert_eq!(end, PassEnd::Complete, "{config}");
        assert_eq!(planned(&plan), NOTHING, "{config}");
        assert_eq!(paths(&world, "blog"), NOTHING, "{config}");
        let model = serde_json::to_value(render.as_lbc()).expect("JSON");
        let groups = model["groups"].as_object().expect("groups");
        assert_eq!(groups.keys().collect::<Vec<_>>(), ["blog"], "{config}");
        of_modes.push(told(&check));
    }
    assert_eq!(of_modes[0], of_modes[1]);
}

#[test]
fn a_plan_under_other_checks_leaves_those_of_the_daemon_alone() {
    let world = World::new();
    let first = Tree::new().commit(&world);
    assert_eq!(world.pass(Trigger::Start, &first), PassEnd::Complete);
    let tip = lenient().commit(&world);
    world.pass(Trigger::Commit, &tip);
    let before = world.cx.reporter.status();
    world.forget_writes();

    let strict = world.preview(&tip);
    assert!(strict.is_refused());
    assert_eq!(strict.checks, Some(Checks::Strict));
    let lbc = world.preview_under(&tip, Checks::Lbc);
    assert!(!lbc.is_refused(), "{:#?}", lbc.problems);
    assert_eq!(lbc.checks, Some(Checks::Lbc));
    assert_eq!(planned(&lbc), ["/cart", "/cart/*"], "the second time");

    let after = world.cx.reporter.status();
    assert_eq!(told(&after.problems), told(&before.problems));
    assert!(world.preview(&tip).is_refused());
    world.pass(Trigger::Sweep, &tip);
    let status = world.cx.reporter.status();
    assert_eq!(status.in_force.map(|it| it.revision), Some(first));
    assert_eq!(paths(&world, "shop"), SHOP);
    assert_eq!(world.writes(), NOTHING);
}
