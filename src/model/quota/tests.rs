use super::*;
use crate::{
    id::ObjectRef,
    manifest::{
        ServiceRef,
        annotation::value::{IpAddressType, Protocol, ProtocolVersion, Scheme},
        ingress::PortRef,
    },
    model::{
        desired::Member,
        group::{
            AddOns, FrontendNlb, HealthCheck, HealthCheckPort, Listener, LoadBalancer, Matcher,
            NlbListener, Rule, TargetGroup, TargetGroupBinding, WeightedTargetGroup,
        },
    },
    problem::Severity,
};

fn at(line: u32) -> Origin {
    Origin::new("app.yaml", line, 1)
}

fn member_of(name: &str, line: u32) -> Member {
    Member {
        reference: ObjectRef {
            api_version: "networking.k8s.io/v1".into(),
            kind: "Ingress".into(),
            namespace: Some("shop".into()),
            name: name.into(),
        },
        origin: at(line),
    }
}

fn rule(line: u32, member: usize) -> Rule {
    Rule {
        origin: at(line),
        member,
        conditions: Vec::new(),
        actions: Vec::new(),
        transforms: Vec::new(),
        tags: Default::default(),
    }
}

fn forward(arns: &[&str]) -> Action {
    let target_groups = arns.iter().map(|arn| WeightedTargetGroup {
        target_group: TargetGroupRef::Arn((*arn).into()),
        weight: Some(1),
    });
    Action::Forward {
        target_groups: target_groups.collect(),
        stickiness: None,
    }
}

fn listener(rules: Vec<Rule>, certificates: &[&str]) -> Listener {
    Listener {
        origin: at(5),
        protocol: Protocol::Https,
        default_actions: Vec::new(),
        certificates: certificates
            .iter()
            .map(|arn| Certificate::Arn((*arn).into()))
            .collect(),
        ssl_policy: None,
        mutual_authentication: None,
        attributes: Default::default(),
        tags: Default::default(),
        rules,
    }
}

fn target_group(line: u32, target_type: TargetType) -> TargetGroup {
    TargetGroup {
        origin: at(line),
        member: 0,
        name: None,
        target_type,
        port: None,
        protocol: Protocol::Http,
        protocol_version: ProtocolVersion::Http1,
        is_ipv6: false,
        target_control_port: None,
        health_check: HealthCheck {
            port: Some(HealthCheckPort::TrafficPort),
            protocol: Protocol::Http,
            path: "/".into(),
            matcher: Matcher::HttpCode("200".into()),
            interval_seconds: 15,
            timeout_seconds: 5,
            healthy_threshold_count: 2,
            unhealthy_threshold_count: 2,
        },
        attributes: Default::default(),
        tags: Default::default(),
        binding: TargetGroupBinding {
            service: ServiceRef {
                namespace: "shop".into(),
                name: "web".into(),
            },
            port: PortRef::Number(80),
            vpc_id: "vpc-1".into(),
            node_selector: None,
            multi_cluster: false,
            networking: None,
        },
    }
}

fn group(listeners: Vec<Listener>, target_groups: Vec<TargetGroup>) -> GroupModel {
    GroupModel {
        members: vec![member_of("a", 1), member_of("b", 2)],
        security_group: None,
        load_balancer: LoadBalancer {
            name: "lb".into(),
            scheme: Scheme::Internal,
            ip_address_type: IpAddressType::Ipv4,
            subnets: Vec::new(),
            security_groups: Vec::new(),
            customer_owned_ipv4_pool: None,
            ipv4_ipam_pool: None,
            minimum_capacity_units: None,
            attributes: Default::default(),
            tags: Default::default(),
        },
        listeners: (80..).zip(listeners).collect(),
        target_groups: (0..)
            .map(|number: u32| number.to_string())
            .zip(target_groups)
            .collect(),
        certificates: BTreeMap::new(),
        add_ons: AddOns::default(),
        frontend_nlb: None,
    }
}

fn with_rules(count: u32) -> GroupModel {
    let rules = (0..count).map(|number| rule(10 + number, usize::from(number > 2)));
    group(vec![listener(rules.collect(), &[])], Vec::new())
}

fn told_at(limits: &[(Limit, u64)], model: &GroupModel, peaks: &Peaks) -> Vec<Problem> {
    let limits = limits
        .iter()
        .map(|(limit, most)| (limit.name().to_owned(), *most))
        .collect();
    forecast(Forecast {
        limits: &limits,
        groups: &[("shop/a", model)].into(),
        peaks,
        targets: &|target_group| {
            Some(match target_group.target_type {
                TargetType::Instance => 3,
                TargetType::Ip => 2,
            })
        },
    })
}

fn told(limits: &[(Limit, u64)], model: &GroupModel) -> Vec<Problem> {
    told_at(limits, model, &Peaks::default())
}

#[test]
fn what_goes_over_a_limit_is_a_problem_at_the_place_that_goes_over() {
    let problems = told(&[(Limit::Rules, 4)], &with_rules(6));
    let [problem] = &problems[..] else {
        panic!("{problems:#?}");
    };
    assert_eq!(problem.severity, Severity::Problem);
    assert_eq!(problem.code, codes::QUOTA_EXCEEDED);
    // The fifth rule, of the second member.
    assert_eq!(problem.origin, at(14));
    assert_eq!(problem.object.as_deref(), Some("Ingress shop/b"));
    assert_eq!(
        problem.message,
        "the balancer of group shop/a would have 6 rules, and 4 are allowed"
    );
    assert!(
        problem
            .hint
            .as_ref()
            .unwrap()
            .contains("rules-per-application-load-balancer is 4")
    );
}

#[test]
fn what_comes_near_is_a_warning_and_the_rest_is_silent() {
    let near = told(&[(Limit::Rules, 10)], &with_rules(9));
    assert_eq!(near[0].severity, Severity::Warning);
    assert_eq!(near[0].code, codes::QUOTA_NEAR);
    assert!(near[0].message.contains("9 of the 10 rules"), "{near:#?}");
    assert_eq!(
        told(&[(Limit::Rules, 10)], &with_rules(10))[0].severity,
        Severity::Warning
    );
    assert_eq!(told(&[(Limit::Rules, 10)], &with_rules(8)), []);
}

#[test]
fn a_limit_that_is_not_known_is_no_limit() {
    assert_eq!(told(&[], &with_rules(1000)), []);
}

/// Something of everything, and how much it is.
fn varied() -> (GroupModel, Vec<(Limit, u64)>) {
    let mut first = rule(10, 0);
    first.actions = vec![forward(&["x", "y"])];
    let own = vec![
        target_group(20, TargetType::Instance),
        target_group(21, TargetType::Instance),
        target_group(22, TargetType::Ip),
    ];
    let listeners = vec![
        listener(vec![first, rule(11, 1)], &["a", "b", "c", "d", "e"]),
        listener(vec![rule(12, 1)], &["a", "b"]),
    ];
    let mut model = group(listeners, own);
    let health_check = model.target_groups["0"].health_check.clone();
    let frontend = |alb_port| NlbListener {
        alb_port,
        target_group_name: format!("nlb-{alb_port}"),
        health_check: health_check.clone(),
    };
    model.frontend_nlb = Some(FrontendNlb {
        name: "nlb".into(),
        scheme: Scheme::Internal,
        ip_address_type: IpAddressType::Ipv4,
        subnets: Vec::new(),
        security_groups: Vec::new(),
        attributes: Default::default(),
        tags: Default::default(),
        listeners: [(80, frontend(80)), (81, frontend(81))].into(),
    });
    let counts = vec![
        (Limit::Rules, 3),
        (Limit::Listeners, 2),
        (Limit::Certificates, 4),
        // Three of its own, and two that others own.
        (Limit::BalancerTargetGroups, 5),
        (Limit::BalancerTargets, 3 + 3 + 2),
        // Every node is in both target groups of type instance.
        (Limit::Registrations, 2),
        (Limit::GroupTargets, 3),
        (Limit::NetworkListeners, 2),
        (Limit::Balancers, 1),
        (Limit::NetworkBalancers, 1),
        // And one for each listener of the frontend.
        (Limit::TargetGroups, 5),
    ];
    (model, counts)
}

#[test]
fn every_limit_is_told_at_the_end_and_on_the_way() {
    let (model, counts) = varied();
    let judged: Vec<Limit> = counts.iter().map(|(limit, _)| *limit).collect();
    let all: Vec<Limit> = [&Limit::OF_BALANCER[..], &Limit::OF_ACCOUNT[..]].concat();
    assert_eq!(judged, all);
    for (limit, count) in counts {
        let peaks = |highest: u64| {
            let mut of_one = Counts::default();
            of_one.raise(limit, highest);
            Peaks {
                groups: [("shop/a".to_owned(), of_one.clone())].into(),
                account: of_one,
            }
        };
        let only = |most, highest| -> Problem {
            let mut told = told_at(&[(limit, most)], &model, &peaks(highest));
            assert_eq!(told.len(), 1, "{limit:?} {most} {highest}: {told:#?}");
            told.remove(0)
        };
        assert_eq!(told(&[(limit, count * 2)], &model), [], "{limit:?}");

        let over = only(count - 1, 0);
        assert_eq!(over.severity, Severity::Problem, "{limit:?}");
        assert_eq!(over.code, codes::QUOTA_EXCEEDED);
        let text = format!("{count} {}, and {} are allowed", limit.words(), count - 1);
        assert!(over.message.ends_with(&text), "{over:#?}");
        let hint = over.hint.unwrap_or_default();
        assert!(hint.contains(limit.name()), "{limit:?}: {hint}");
        let leaves_out = hint.contains("what others have in the account is not counted");
        assert_eq!(leaves_out, Limit::OF_ACCOUNT.contains(&limit), "{hint}");

        let near = only(count, 0);
        assert_eq!(near.code, codes::QUOTA_NEAR, "{limit:?}");

        let passing = only(count + 1, count + 2);
        assert_eq!(passing.severity, Severity::Warning, "{limit:?}");
        let text = format!(
            "would have up to {} {} while this is carried out, and {} are allowed; {count} in the end",
            count + 2,
            limit.words(),
            count + 1
        );
        assert!(passing.message.ends_with(&text), "{passing:#?}");
    }
}

#[test]
fn certificates_count_once_and_without_the_default_ones() {
    let model = group(
        vec![
            listener(Vec::new(), &["a", "a", "b", "c"]),
            listener(Vec::new(), &["a", "b"]),
        ],
        Vec::new(),
    );
    assert_eq!(told(&[(Limit::Certificates, 3)], &model), []);
    let over = told(&[(Limit::Certificates, 1)], &model);
    assert!(
        over[0]
            .message
            .contains("2 certificates besides the default ones"),
        "{over:#?}"
    );
}

#[test]
fn target_groups_of_others_count_for_the_balancer_alone_and_the_places_are_those_that_go_over() {
    let mut first = rule(10, 0);
    first.actions = vec![forward(&["x", "y"])];
    let mut second = rule(11, 1);
    second.actions = vec![forward(&["y"])];
    let own = vec![
        target_group(20, TargetType::Instance),
        target_group(21, TargetType::Ip),
    ];
    let model = group(vec![listener(vec![first, second], &[])], own);
    let over = told(&[(Limit::BalancerTargetGroups, 3)], &model);
    assert!(over[0].message.contains("4 target groups"), "{over:#?}");
    let in_region = told(&[(Limit::TargetGroups, 1)], &model);
    assert_eq!(in_region[0].origin, at(21));
    assert!(
        in_region[0]
            .message
            .starts_with("this repository would have 2 target groups")
    );
    let targets = told(&[(Limit::BalancerTargets, 2)], &model);
    assert!(targets[0].message.contains("5 targets"), "{targets:#?}");
    assert_eq!(targets[0].origin, at(20));
    let largest = told(&[(Limit::GroupTargets, 2)], &model);
    assert_eq!((largest.len(), &largest[0].origin), (1, &at(20)));
    assert_eq!(
        largest[0].message,
        "a target group of group shop/a would have 3 targets, and 2 are allowed"
    );
    let one_action = told(&[(Limit::ActionTargetGroups, 1)], &model);
    assert_eq!((one_action.len(), &one_action[0].origin), (1, &at(10)));
}

#[test]
fn wildcards_are_counted_by_the_rule_that_alb_gets() {
    let with = |values: &[&str]| {
        let mut one = rule(10, 0);
        one.conditions = vec![Condition::PathPattern {
            values: Patterns::Values(values.iter().map(|value| (*value).into()).collect()),
        }];
        told(
            &[(Limit::Wildcards, 5)],
            &group(vec![listener(vec![one], &[])], Vec::new()),
        )
    };
    // Seven in all, and no more than five in each of its rules.
    assert_eq!(with(&["/a*?", "/b*?", "/c*?", "/d*"]), []);
    let over = with(&["/a", "/*/?/*/*/*/*"]);
    assert!(
        over[0].message.contains("\"/*/?/*/*/*/*\" has 6 wildcards"),
        "{over:#?}"
    );
}

#[test]
fn balancers_and_listeners_are_counted() {
    let model = group(
        vec![listener(Vec::new(), &[]), listener(Vec::new(), &[])],
        Vec::new(),
    );
    assert_eq!(
        told(&[(Limit::Listeners, 1)], &model)[0].severity,
        Severity::Problem
    );
    assert_eq!(
        told(&[(Limit::Balancers, 1)], &model)[0].severity,
        Severity::Warning
    );
    assert_eq!(
        told(&[(Limit::Balancers, 0)], &model)[0].severity,
        Severity::Problem
    );
}

#[test]
fn a_rule_that_alb_takes_in_parts_counts_as_many_rules() {
    let mut long = rule(10, 0);
    long.conditions = vec![Condition::HttpHeader {
        name: "x".into(),
        values: Patterns::Values((0..7).map(|number| format!("v{number}")).collect()),
    }];
    let model = group(vec![listener(vec![rule(9, 0), long], &[])], Vec::new());
    let over = told(&[(Limit::Rules, 3)], &model);
    assert_eq!(over[0].severity, Severity::Problem);
    assert_eq!(over[0].origin, at(10));
    assert!(over[0].message.contains("4 rules"), "{over:#?}");
    // Seven values, dealt out to rules of three.
    assert_eq!(told(&[(Limit::Values, 5)], &model), []);
    let over = told(&[(Limit::Values, 2)], &model);
    assert!(over[0].message.contains("a rule has 3 values"), "{over:#?}");
}
