use std::collections::{BTreeMap, BTreeSet};

use super::{peaks, standing::Standing};
use crate::{
    id::{Arn, Generation, OpId, ResourceId, StackId},
    manifest::annotation::Scheme,
    model::{
        applied::Applied,
        desired::{Desired, Ref},
        elb::{
            HealthCheck, Listener, ListenerSpec, LoadBalancer, LoadBalancerSpec, Matcher, Rule,
            RuleAction, RuleSpec, Target, TargetGroup, TargetGroupSpec, TargetType, Tls, TlsSpec,
            WeightedTargetGroup,
        },
        observed::{Observed, ObservedGroup},
        quota::Limit,
    },
    plan::{
        Inputs, PlanOptions,
        draft::reason,
        op::{Action, Cause, Op, Plan, Stage},
    },
};

const GROUP: &str = "shop/web";

fn arn(name: &str) -> Arn {
    Arn::from(name)
}

fn forward(target_groups: &[Ref<Arn>]) -> Vec<RuleAction> {
    let target_groups = target_groups.iter().map(|arn| WeightedTargetGroup {
        arn: arn.clone(),
        weight: 1,
    });
    vec![RuleAction::Forward {
        target_groups: target_groups.collect(),
        stickiness_seconds: None,
    }]
}

fn known(name: &str) -> Ref<Arn> {
    Ref::Known(arn(name))
}

fn rule(number: u32, target_groups: &[Ref<Arn>]) -> Rule {
    Rule {
        arn: arn(&format!("r{number}")),
        listener: arn("l"),
        priority: number + 1,
        conditions: Vec::new(),
        actions: forward(target_groups),
        transforms: Vec::new(),
        tags: BTreeMap::new(),
    }
}

fn balancer() -> LoadBalancer {
    LoadBalancer {
        arn: arn("lb"),
        name: "lb".into(),
        dns_name: "lb".into(),
        kind: "application".into(),
        scheme: None,
        ip_address_type: "ipv4".into(),
        vpc_id: "vpc".into(),
        state: "active".into(),
        subnets: BTreeSet::new(),
        security_groups: Vec::new(),
        attributes: BTreeMap::new(),
        tags: BTreeMap::new(),
    }
}

fn listener(certificates: &[&str]) -> Listener {
    Listener {
        arn: arn("l"),
        load_balancer: arn("lb"),
        port: 443,
        protocol: "HTTPS".into(),
        default_actions: Vec::new(),
        tls: Tls {
            default_certificate: Some(arn("default")),
            certificates: certificates.iter().map(|name| arn(name)).collect(),
            ..Tls::default()
        },
        attributes: BTreeMap::new(),
        tags: BTreeMap::new(),
    }
}

fn targets(names: &[&str]) -> BTreeSet<Target> {
    let targets = names.iter().map(|name| Target {
        id: (*name).to_owned(),
        port: 80,
        all_zones: false,
    });
    targets.collect()
}

fn target_group(name: &str, targets: BTreeSet<Target>) -> TargetGroup {
    TargetGroup {
        arn: arn(name),
        name: name.into(),
        target_type: "ip".into(),
        port: 80,
        protocol: "HTTP".into(),
        protocol_version: "HTTP1".into(),
        ip_address_type: "ipv4".into(),
        vpc_id: "vpc".into(),
        target_control_port: None,
        health_check: HealthCheck {
            port: "traffic-port".into(),
            protocol: "HTTP".into(),
            path: "/".into(),
            interval_seconds: 15,
            timeout_seconds: 5,
            healthy_threshold: 2,
            unhealthy_threshold: 2,
            matcher: Matcher::HttpCode("200".into()),
        },
        attributes: BTreeMap::new(),
        tags: BTreeMap::new(),
        targets,
    }
}

/// A balancer with rules to one target group of two targets.
fn seen(rules: u32, certificates: &[&str]) -> ObservedGroup {
    ObservedGroup {
        load_balancers: vec![balancer()],
        listeners: vec![listener(certificates)],
        rules: (0..rules)
            .map(|number| rule(number, &[known("t")]))
            .collect(),
        target_groups: vec![target_group("t", targets(&["a", "b"]))],
        ..ObservedGroup::default()
    }
}

/// The most there was, and what there is at the end.
fn most(seen: &ObservedGroup, limit: Limit, actions: &[Action]) -> (u64, u64) {
    let mut standing = Standing::of(seen);
    let mut most = standing.now();
    for action in actions {
        let highest = standing.apply(action);
        most.raise(limit, highest.get(limit));
    }
    (most.get(limit), standing.end().get(limit))
}

fn create_rule(number: u32, target_groups: &[Ref<Arn>]) -> Action {
    Action::CreateRule {
        id: ResourceId::target_group(GROUP, &format!("r{number}")),
        listener: known("l"),
        priority: number,
        spec: RuleSpec {
            conditions: Vec::new(),
            actions: forward(target_groups),
            transforms: Vec::new(),
            tags: BTreeMap::new(),
        },
    }
}

fn modify_rule(number: u32, target_groups: &[Ref<Arn>]) -> Action {
    Action::ModifyRule {
        arn: rule(number, &[]).arn,
        spec: RuleSpec {
            conditions: Vec::new(),
            actions: forward(target_groups),
            transforms: Vec::new(),
            tags: BTreeMap::new(),
        },
    }
}

fn delete_rule(number: u32) -> Action {
    Action::DeleteRule {
        arn: rule(number, &[]).arn,
    }
}

fn register(target_group: &str, names: &[&str]) -> Action {
    Action::RegisterTargets {
        target_group: known(target_group),
        targets: targets(names),
    }
}

fn deregister(target_group: &str, names: &[&str]) -> Action {
    Action::DeregisterTargets {
        target_group: arn(target_group),
        targets: targets(names),
    }
}

#[test]
fn rules_that_come_before_the_old_ones_go_stand_beside_them() {
    let seen = seen(100, &[]);
    let swap = |first: fn(u32) -> Action, then: fn(u32) -> Action| -> Vec<Action> {
        (0..60).map(first).chain((0..60).map(then)).collect()
    };
    let create = |number| create_rule(number, &[]);
    assert_eq!(most(&seen, Limit::Rules, &[]), (100, 100));
    assert_eq!(
        most(&seen, Limit::Rules, &swap(create, delete_rule)),
        (160, 100)
    );
    assert_eq!(
        most(&seen, Limit::Rules, &swap(delete_rule, create)),
        (100, 100)
    );
}

#[test]
fn what_goes_takes_along_what_hangs_on_it() {
    let seen = seen(3, &["x"]);
    let listener = Action::DeleteListener { arn: arn("l") };
    let balancer = Action::DeleteLoadBalancer { arn: arn("lb") };
    for (limit, there) in [
        (Limit::Rules, 3),
        (Limit::Listeners, 1),
        (Limit::Certificates, 1),
        (Limit::BalancerTargetGroups, 1),
        (Limit::BalancerTargets, 2),
        (Limit::Registrations, 1),
    ] {
        for gone in [&listener, &balancer] {
            let counted = most(&seen, limit, std::slice::from_ref(gone));
            assert_eq!(counted, (there, 0), "{limit:?}");
        }
    }
    // It has its targets, whoever forwards to it.
    assert_eq!(most(&seen, Limit::GroupTargets, &[balancer]), (2, 2));
}

#[test]
fn a_second_listener_counts_from_its_creation() {
    let create = Action::CreateListener {
        id: ResourceId::listener(GROUP, 8443),
        load_balancer: known("lb"),
        spec: ListenerSpec {
            port: 8443,
            protocol: "HTTPS".into(),
            default_actions: forward(&[known("foreign")]),
            tls: Some(TlsSpec {
                default_certificate: arn("x"),
                certificates: BTreeSet::new(),
                ssl_policy: None,
                mutual_authentication: None,
            }),
            attributes: BTreeMap::new(),
            tags: BTreeMap::new(),
        },
    };
    let seen = seen(1, &["x"]);
    let actions = [create, Action::DeleteListener { arn: arn("l") }];
    assert_eq!(most(&seen, Limit::Listeners, &actions), (2, 1));
    assert_eq!(most(&seen, Limit::BalancerTargetGroups, &actions), (2, 1));
    // It is that listener's default one.
    assert_eq!(most(&seen, Limit::Certificates, &actions), (1, 0));
}

#[test]
fn certificates_that_are_offered_before_the_old_ones_are_withdrawn_count_beside_them() {
    let seen = seen(0, &["default", "a", "b"]);
    let add = Action::AddListenerCertificates {
        arn: known("l"),
        certificates: [arn("c"), arn("d")].into(),
    };
    let remove = Action::RemoveListenerCertificates {
        arn: arn("l"),
        certificates: [arn("a"), arn("b")].into(),
    };
    let first = [add.clone(), remove.clone()];
    assert_eq!(most(&seen, Limit::Certificates, &first), (4, 2));
    assert_eq!(most(&seen, Limit::Certificates, &[remove, add]), (2, 2));
}

#[test]
fn a_target_group_counts_once_and_while_anything_forwards_to_it() {
    let seen = seen(2, &[]);
    let id = ResourceId::target_group(GROUP, "new");
    let new = Ref::Output(id.clone());
    let live = target_group("new", BTreeSet::new());
    let spec = TargetGroupSpec {
        name: live.name,
        target_type: TargetType::Ip,
        port: live.port,
        protocol: live.protocol,
        protocol_version: live.protocol_version,
        ip_address_type: live.ip_address_type,
        vpc_id: live.vpc_id,
        target_control_port: None,
        health_check: live.health_check,
        attributes: live.attributes,
        tags: live.tags,
        targets: live.targets,
    };
    let replace = [
        Action::CreateTargetGroup { id, spec },
        Action::RegisterTargets {
            target_group: new.clone(),
            targets: targets(&["a", "b", "c"]),
        },
        modify_rule(0, std::slice::from_ref(&new)),
        modify_rule(1, &[new]),
        Action::DeleteTargetGroup { arn: arn("t") },
    ];
    assert_eq!(most(&seen, Limit::BalancerTargetGroups, &replace), (2, 1));
    assert_eq!(most(&seen, Limit::BalancerTargets, &replace), (5, 3));
    assert_eq!(most(&seen, Limit::Registrations, &replace), (2, 1));
    // The last rule that forwards to the old one takes the new one in the same breath.
    let both = [modify_rule(0, &[known("u")]), modify_rule(1, &[known("u")])];
    let one = &[rule(0, &[known("t")])][..];
    let single = ObservedGroup {
        rules: one.to_vec(),
        ..seen.clone()
    };
    assert_eq!(most(&seen, Limit::BalancerTargetGroups, &both), (2, 1));
    assert_eq!(
        most(&single, Limit::BalancerTargetGroups, &both[..1]),
        (1, 1)
    );
}

#[test]
fn a_target_that_is_deregistered_counts_until_it_has_drained() {
    let seen = seen(1, &[]);
    let turn = [deregister("t", &["a", "b"]), register("t", &["c", "d"])];
    for limit in [Limit::BalancerTargets, Limit::GroupTargets] {
        assert_eq!(most(&seen, limit, &turn), (4, 2), "{limit:?}");
    }
    let back = [deregister("t", &["a"]), register("t", &["a"])];
    assert_eq!(most(&seen, Limit::BalancerTargets, &back), (2, 2));
    // Without a rule that forwards there, no balancer has them.
    let idle = ObservedGroup {
        rules: Vec::new(),
        ..seen
    };
    assert_eq!(most(&idle, Limit::BalancerTargets, &turn), (0, 0));
    assert_eq!(most(&idle, Limit::GroupTargets, &turn), (4, 2));
}

#[test]
fn balancers_of_one_group_are_counted_apart() {
    let mut seen = seen(3, &[]);
    seen.load_balancers.push(LoadBalancer {
        arn: arn("other"),
        ..balancer()
    });
    seen.listeners.push(Listener {
        arn: arn("m"),
        load_balancer: arn("other"),
        ..listener(&[])
    });
    seen.rules.extend((10..14).map(|number| Rule {
        listener: arn("m"),
        ..rule(number, &[])
    }));
    assert_eq!(most(&seen, Limit::Rules, &[create_rule(9, &[])]), (4, 4));
}

#[test]
fn a_network_balancer_that_goes_makes_no_room_for_an_application_one() {
    let network = LoadBalancer {
        arn: arn("nlb"),
        kind: "network".into(),
        ..balancer()
    };
    let highest = |gone: &str| {
        let seen = ObservedGroup {
            load_balancers: vec![balancer(), network.clone()],
            ..ObservedGroup::default()
        };
        let observed = Observed {
            groups: [(GROUP.to_owned(), seen)].into(),
            ..Observed::default()
        };
        let op = |number, action| Op {
            id: OpId(number),
            stack: StackId::Group(GROUP.to_owned()),
            resource: ResourceId::load_balancer(GROUP),
            needs: BTreeSet::new(),
            action,
            reason: reason(Cause::Changed, None),
            record: Vec::new(),
        };
        let create = Action::CreateLoadBalancer {
            id: ResourceId::load_balancer(GROUP),
            spec: LoadBalancerSpec {
                name: "lb".into(),
                scheme: Scheme::Internal,
                ip_address_type: "ipv4".into(),
                subnets: Vec::new(),
                security_groups: Vec::new(),
                attributes: BTreeMap::new(),
                tags: BTreeMap::new(),
            },
        };
        let delete = Action::DeleteLoadBalancer { arn: arn(gone) };
        let plan = Plan {
            stage: Stage::Route,
            revision: None,
            base: Generation(0),
            ops: vec![op(0, delete), op(1, create)],
            held: Vec::new(),
            foreign: Vec::new(),
            irreversible: Vec::new(),
            settled: Vec::new(),
            withheld: Vec::new(),
        };
        let inputs = Inputs {
            desired: &Desired::default(),
            observed: &observed,
            applied: &Applied::default(),
            revision: None,
            base: Generation(0),
            scope: &BTreeSet::new(),
            options: &PlanOptions::default(),
        };
        peaks(&plan, &inputs).account.get(Limit::Balancers)
    };
    assert_eq!(highest("lb"), 1);
    assert_eq!(highest("nlb"), 2);
}
