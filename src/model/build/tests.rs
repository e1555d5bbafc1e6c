use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use serde_json::json;

use super::{build, fixture::*};
use crate::{
    id::{Arn, ObjectRef, ResourceId, SecurityGroupId, StackId, SubnetId},
    manifest::{Backend, Manifests, PathType, annotation::Scheme, ingress::PortRef},
    model::{
        applied::{Applied, AppliedObject, AppliedResource, AppliedStack, changed_stacks},
        desired::{Desired, GroupStack, Ref},
        elb::{
            Condition, HealthCheck, Matcher, RuleAction, Target, TargetType, WeightedTargetGroup,
        },
        facts::{Facts, LoadBalancerFact, Node},
        net::{Permission, PermissionSource, Tags},
        settings::Settings,
    },
    problem::{Checked, Problem, Severity},
};

const GROUP: &str = "default/app-aws-ingress";

fn built(manifests: &Manifests, facts: &Facts) -> Checked<Desired> {
    build(manifests, facts, &settings())
}

/// The tutorial's group after a change to its inputs, built without a problem.
fn group_with(change: impl FnOnce(&mut Manifests, &mut Facts, &mut Settings)) -> GroupStack {
    let (mut manifests, mut facts, mut settings) = (tutorial(), facts(), settings());
    change(&mut manifests, &mut facts, &mut settings);
    let result = build(&manifests, &facts, &settings);
    assert_eq!(result.problems, []);
    assert_eq!(result.value.waiting, []);
    result.value.groups[GROUP].clone()
}

/// Why the tutorial's group waits after a change, and the problems found.
fn wait_with(change: impl FnOnce(&mut Manifests, &mut Facts)) -> (String, Vec<String>) {
    let (mut manifests, mut facts) = (tutorial(), facts());
    change(&mut manifests, &mut facts);
    let result = built(&manifests, &facts);
    assert!(result.value.groups.is_empty());
    let stack = StackId::Group(GROUP.into());
    let wait = result.value.waiting.iter().find(|wait| wait.stack == stack);
    let problems = result.problems.iter().map(ToString::to_string).collect();
    (
        wait.expect("the group must wait, or it would be taken down")
            .reason
            .clone(),
        problems,
    )
}

fn tracking(resource: Option<&str>) -> Tags {
    let resource = resource.map(|id| ("ingress.k8s.aws/resource".to_owned(), id.to_owned()));
    [
        ("elbv2.k8s.aws/cluster".to_owned(), "mz-k8s".to_owned()),
        ("ingress.k8s.aws/stack".to_owned(), GROUP.to_owned()),
    ]
    .into_iter()
    .chain(resource)
    .collect()
}

mod the_worked_example {
    use super::*;

    #[test]
    fn makes_the_balancer_and_its_security_groups() {
        let Checked {
            value: desired,
            problems,
        } = built(&tutorial(), &facts());
        assert_eq!(problems, []);
        assert_eq!(desired.waiting, []);
        let group = &desired.groups[GROUP];

        let balancer = &group.load_balancer;
        assert_eq!(balancer.name, "k8s-default-appawsin-d61ace8b4a");
        assert_eq!(balancer.scheme, Scheme::InternetFacing);
        assert_eq!(balancer.ip_address_type, "ipv4");
        assert_eq!(
            balancer.subnets,
            ["subnet-1", "subnet-2", "subnet-3"].map(SubnetId::from)
        );
        assert_eq!(
            balancer.security_groups,
            [
                Ref::Output(ResourceId::managed_security_group(GROUP)),
                Ref::Output(ResourceId::backend_security_group())
            ]
        );
        assert_eq!(balancer.attributes, BTreeMap::new());
        assert_eq!(balancer.tags, tracking(Some("LoadBalancer")));

        let managed = &group.security_group;
        assert_eq!(managed.name, "k8s-default-appawsin-e24e482dfa");
        assert_eq!(
            managed.description,
            "[k8s] Managed SecurityGroup for LoadBalancer"
        );
        assert_eq!(managed.vpc_id, "vpc-1");
        assert_eq!(managed.tags, tracking(Some("ManagedLBSecurityGroup")));
        let open = Permission {
            protocol: "tcp".into(),
            from_port: 80,
            to_port: 80,
            source: PermissionSource::Cidr("0.0.0.0/0".into()),
            description: String::new(),
        };
        assert_eq!(managed.ingress, BTreeSet::from([open]));

        let network = desired.network.expect("a group is wanted");
        assert_eq!(network.backend_group.name, "k8s-traffic-mzk8s-0276909bf6");
        assert_eq!(
            network.backend_group.description,
            "[k8s] Shared Backend SecurityGroup for LoadBalancer"
        );
        assert_eq!(
            network.backend_group.tags,
            Tags::from([
                ("elbv2.k8s.aws/cluster".into(), "mz-k8s".into()),
                ("elbv2.k8s.aws/resource".into(), "backend-sg".into())
            ])
        );
        assert_eq!(network.backend_group.ingress, BTreeSet::new());
        let to_nodes = Permission {
            protocol: "tcp".into(),
            from_port: 30243,
            to_port: 32672,
            source: PermissionSource::SecurityGroup(Ref::Output(
                ResourceId::backend_security_group(),
            )),
            description: "elbv2.k8s.aws/targetGroupBinding=shared".into(),
        };
        assert_eq!(
            network.node_permissions,
            BTreeMap::from([(SecurityGroupId::from("sg-nodes"), vec![to_nodes])])
        );
        assert_eq!(network.hold_revokes, BTreeSet::new());
    }

    #[test]
    fn makes_one_listener_with_rules_in_order() {
        let group = group_with(|_, _, _| ());
        assert_eq!(group.listeners.keys().collect::<Vec<_>>(), [&80]);
        let listener = &group.listeners[&80];
        assert_eq!(listener.spec.protocol, "HTTP");
        assert_eq!(listener.spec.tags, tracking(Some("80")));
        assert_eq!(
            listener.spec.default_actions,
            [RuleAction::FixedResponse {
                status_code: "404".into(),
                content_type: Some("text/plain".into()),
                message_body: None,
            }]
        );
        let rules: Vec<_> = listener
            .rules
            .iter()
            .map(|rule| rule.spec.clone())
            .collect();
        assert_eq!(rules.len(), 2);
        for (rule, app) in rules.iter().zip(["app1", "app2"]) {
            assert_eq!(
                rule.conditions,
                [
                    Condition::HostHeader {
                        values: vec![HOST.into()]
                    },
                    Condition::PathPattern {
                        values: vec![format!("/{app}"), format!("/{app}/*")]
                    },
                ]
            );
            let id = format!("{GROUP}-{app}:80");
            assert_eq!(
                rule.actions,
                [RuleAction::Forward {
                    target_groups: vec![WeightedTargetGroup {
                        arn: Ref::Output(ResourceId::target_group(GROUP, &id)),
                        weight: 1,
                    }],
                    stickiness_seconds: None,
                }]
            );
            assert_eq!(rule.tags, tracking(None));
        }
    }

    #[test]
    fn makes_a_target_group_per_service() {
        let group = group_with(|_, _, _| ());
        let health_check = HealthCheck {
            port: "traffic-port".into(),
            protocol: "HTTP".into(),
            path: "/".into(),
            interval_seconds: 15,
            timeout_seconds: 5,
            healthy_threshold: 2,
            unhealthy_threshold: 2,
            matcher: Matcher::HttpCode("200".into()),
        };
        let expected = [
            (
                "default/app-aws-ingress-app1:80",
                "k8s-default-app1-b86462c552",
                32672,
            ),
            (
                "default/app-aws-ingress-app2:80",
                "k8s-default-app2-4bea82d521",
                30243,
            ),
        ];
        assert_eq!(group.target_groups.len(), 2);
        for (id, name, port) in expected {
            let spec = &group.target_groups[id].spec;
            assert_eq!(spec.name, name);
            assert_eq!(spec.target_type, TargetType::Instance);
            assert_eq!((spec.port, spec.protocol.as_str()), (port, "HTTP"));
            assert_eq!(spec.protocol_version, "HTTP1");
            assert_eq!(
                (spec.ip_address_type.as_str(), spec.vpc_id.as_str()),
                ("ipv4", "vpc-1")
            );
            assert_eq!(spec.health_check, health_check);
            assert_eq!(spec.attributes, BTreeMap::new());
            assert_eq!(spec.tags, tracking(Some(id)));
            let targets = ["i-1", "i-2"].map(|id| Target {
                id: id.into(),
                port,
            });
            assert_eq!(spec.targets, BTreeSet::from(targets));
        }
    }

    #[test]
    fn names_its_members_and_places() {
        let group = group_with(|_, _, _| ());
        let [member] = &group.members[..] else {
            panic!("{:?}", group.members)
        };
        assert_eq!(
            member.reference.to_string(),
            "Ingress default/app-aws-ingress"
        );
        assert_eq!(member.origin, at(100));
        let places: Vec<_> = group.listeners[&80]
            .rules
            .iter()
            .map(|rule| rule.origin.line)
            .collect();
        assert_eq!(places, [120, 130]);
    }
}

mod rules {
    use super::*;

    /// Path patterns of the rules that these paths become.
    fn patterns(paths: &[(&str, PathType)]) -> Vec<Vec<String>> {
        let group = group_with(|manifests, _, _| {
            let paths = paths.iter().enumerate();
            manifests.ingresses[0].rules[0].paths = paths
                .map(|(index, (text, kind))| path(text, *kind, "app1", 120 + 2 * index as u32))
                .collect();
        });
        let rules = group.listeners[&80].rules.iter();
        rules
            .map(|rule| {
                rule.spec
                    .conditions
                    .iter()
                    .find_map(|condition| match condition {
                        Condition::PathPattern { values } => Some(values.clone()),
                        _ => None,
                    })
                    .unwrap_or_default()
            })
            .collect()
    }

    #[test]
    fn exact_paths_come_first_then_the_longest_prefix() {
        use PathType::{Exact, Prefix};
        let order = patterns(&[
            ("/", Prefix),
            ("/bb", Prefix),
            ("/aa", Prefix),
            ("/exact-2", Exact),
            ("/longest/prefix", Prefix),
            ("/exact-1", Exact),
        ]);
        assert_eq!(
            order,
            [
                vec!["/exact-2"],
                vec!["/exact-1"],
                vec!["/longest/prefix", "/longest/prefix/*"],
                vec!["/bb", "/bb/*"],
                vec!["/aa", "/aa/*"],
                vec!["/*"],
            ]
        );
    }

    #[test]
    fn a_third_path_that_is_longer_comes_first_and_the_others_stay() {
        use PathType::Prefix;
        let before = patterns(&[("/app1", Prefix), ("/app2", Prefix)]);
        let after = patterns(&[("/app1", Prefix), ("/app2", Prefix), ("/app1/deep", Prefix)]);
        assert_eq!(after[0], ["/app1/deep", "/app1/deep/*"]);
        assert_eq!(after[1..], before);
    }

    #[test]
    fn a_trailing_slash_counts_for_the_order_and_not_for_the_pattern() {
        use PathType::Prefix;
        let order = patterns(&[("/foo", Prefix), ("/bar/", Prefix)]);
        assert_eq!(order, [vec!["/bar", "/bar/*"], vec!["/foo", "/foo/*"]]);
    }

    #[test]
    fn entries_of_one_host_are_not_sorted_across() {
        let group = group_with(|manifests, _, _| {
            let mut second = manifests.ingresses[0].rules[0].clone();
            second.paths = vec![path("/much/longer", PathType::Prefix, "app1", 140)];
            manifests.ingresses[0].rules.push(second);
        });
        let lines: Vec<_> = group.listeners[&80]
            .rules
            .iter()
            .map(|rule| rule.origin.line)
            .collect();
        assert_eq!(lines, [120, 130, 140]);
    }

    #[test]
    fn a_rule_without_host_and_path_matches_every_path() {
        let group = group_with(|manifests, _, _| {
            let rule = &mut manifests.ingresses[0].rules[0];
            rule.host = None;
            rule.paths = vec![path("", PathType::Prefix, "app1", 120)];
        });
        let every = Condition::PathPattern {
            values: vec!["/*".into()],
        };
        assert_eq!(group.listeners[&80].rules[0].spec.conditions, [every]);
    }

    #[test]
    fn an_empty_path_under_a_host_is_the_host_alone() {
        let group = group_with(|manifests, _, _| {
            manifests.ingresses[0].rules[0].paths = vec![path("", PathType::Prefix, "app1", 120)];
        });
        let host = Condition::HostHeader {
            values: vec![HOST.into()],
        };
        assert_eq!(group.listeners[&80].rules[0].spec.conditions, [host]);
    }

    #[test]
    fn a_path_that_stands_twice_is_refused_with_both_places() {
        let (reason, problems) = wait_with(|manifests, _| {
            manifests.ingresses[0].rules[0].paths.push(path(
                "/app1/",
                PathType::Prefix,
                "app2",
                140,
            ));
        });
        assert!(reason.contains("can never match"), "{reason}");
        // `/app1/` is longer as written, so it comes first and shadows `/app1`.
        assert_eq!(
            problems,
            [
                "app.yaml:120:1: problem[duplicate-path]: Ingress default/app-aws-ingress: this path can never match: an \
              earlier one has the same host and path; remove one of the two (see also app.yaml:140:1)"
            ]
        );
    }

    #[test]
    fn a_path_that_stands_twice_is_left_out_where_that_check_is_lowered() {
        let mut manifests = tutorial();
        let paths = &mut manifests.ingresses[0].rules[0].paths;
        paths.push(path("/app2/", PathType::Prefix, "app1", 140));
        let mut settings = settings();
        settings.lowered.insert("duplicate-path".into());
        let result = build(&manifests, &facts(), &settings);
        assert!(!result.is_rejected() && result.problems.len() == 1);
        let group = &result.value.groups[GROUP];
        let lines: Vec<_> = group.listeners[&80]
            .rules
            .iter()
            .map(|rule| rule.origin.line)
            .collect();
        assert_eq!(lines, [140, 120]);
        assert_eq!(
            group.target_groups.len(),
            1,
            "what no rule uses is not made"
        );
    }

    #[test]
    fn what_is_not_served_makes_the_group_wait() {
        let (reason, _) = wait_with(|manifests, _| {
            manifests.ingresses[0].rules[0].paths[0].path_type = PathType::ImplementationSpecific;
        });
        assert_eq!(reason, "path type ImplementationSpecific is not served yet");
        let (reason, _) = wait_with(|manifests, _| {
            manifests.ingresses[0].default_backend = Some(backend("app1", 80, 105));
        });
        assert_eq!(reason, "default backends are not served yet");
        let (reason, _) = wait_with(|manifests, _| {
            manifests.ingresses[0].rules[0].paths[0].backend.value = Backend::Resource;
        });
        assert_eq!(reason, "resource backends cannot be served by ALB");
        let (reason, _) = wait_with(|manifests, _| {
            manifests.ingresses[0].rules[0].paths[0].path = "/a*".into();
        });
        assert!(reason.contains("must not contain `*`"), "{reason}");
    }
}

mod classes {
    use super::*;

    fn is_ours(change: impl FnOnce(&mut Manifests, &mut Facts, &mut Settings)) -> bool {
        let (mut manifests, mut facts, mut settings) = (tutorial(), facts(), settings());
        change(&mut manifests, &mut facts, &mut settings);
        let result = build(&manifests, &facts, &settings);
        assert_eq!(result.problems, []);
        assert_eq!(result.value.waiting, []);
        result.value.groups.contains_key(GROUP)
    }

    #[test]
    fn the_controller_decides_and_the_name_does_not() {
        assert!(is_ours(|_, _, _| ()));
        assert!(!is_ours(|manifests, _, _| manifests.classes[0]
            .controller =
            "k8s.io/nginx".into()));
    }

    #[test]
    fn a_class_of_the_cluster_counts_like_one_of_git_and_git_wins() {
        let in_cluster = |controller: &str| ("aws".to_owned(), (controller.to_owned(), false));
        assert!(is_ours(|manifests, facts, _| {
            manifests.classes.clear();
            facts.ingress_classes = Some([in_cluster("ingress.k8s.aws/alb")].into());
        }));
        assert!(!is_ours(|manifests, facts, _| {
            manifests.classes.clear();
            facts.ingress_classes = Some([in_cluster("k8s.io/nginx")].into());
        }));
        assert!(is_ours(|_, facts, _| {
            facts.ingress_classes = Some([in_cluster("k8s.io/nginx")].into());
        }));
    }

    #[test]
    fn the_older_annotation_is_compared_with_the_configuration_and_no_class_is_read() {
        let annotated = |value: &'static str, configured: &'static str| {
            is_ours(|manifests, _, settings| {
                manifests.classes.clear();
                manifests.ingresses[0].class_annotation = Some(located(value.into()));
                settings.ingress_class = configured.into();
            })
        };
        assert!(annotated("alb", "alb"));
        assert!(!annotated("aws", "alb"));
        assert!(annotated("internal", "internal"));
        assert!(!annotated("", "alb"));
        assert!(annotated("", ""));
        assert!(annotated("alb", ""));
        assert!(!annotated("nginx", ""));
    }

    #[test]
    fn without_a_class_the_default_one_counts() {
        let classless = |controller: &'static str, is_default: bool, configured: &'static str| {
            is_ours(|manifests, _, settings| {
                manifests.ingresses[0].class_name = None;
                manifests.classes = vec![class("some", controller, is_default)];
                settings.ingress_class = configured.into();
            })
        };
        assert!(classless("ingress.k8s.aws/alb", true, "alb"));
        assert!(!classless("k8s.io/nginx", true, ""));
        assert!(!classless("ingress.k8s.aws/alb", false, "alb"));
        assert!(classless("ingress.k8s.aws/alb", false, ""));
    }

    #[test]
    fn a_class_that_exists_nowhere_is_a_problem_and_the_group_stays() {
        let (reason, problems) = wait_with(|manifests, _| {
            manifests.ingresses[0].class_name = Some(located("awss".into()));
        });
        assert_eq!(reason, "IngressClass `awss` does not exist");
        assert_eq!(
            problems,
            [
                "app.yaml:1:1: problem[unknown-ingress-class]: Ingress default/app-aws-ingress: IngressClass `awss` does not \
              exist; did you mean `aws`?"
            ]
        );
    }

    #[test]
    fn a_class_that_could_be_in_the_cluster_is_a_warning_while_the_cluster_is_unknown() {
        let (_, problems) = wait_with(|manifests, facts| {
            manifests.classes.clear();
            facts.ingress_classes = None;
        });
        assert!(
            problems[0].contains("warning[unknown-ingress-class]"),
            "{problems:?}"
        );
        let (reason, problems) = wait_with(|manifests, facts| {
            manifests.ingresses[0].class_name = None;
            facts.ingress_classes = None;
        });
        assert_eq!(
            reason,
            "no class is given, and the cluster's default class was not read"
        );
        assert_eq!(problems, Vec::<String>::new());
    }

    #[test]
    fn several_default_classes_are_a_problem() {
        let (_, problems) = wait_with(|manifests, facts| {
            manifests.ingresses[0].class_name = None;
            manifests.classes[0].is_default = true;
            facts.ingress_classes = Some([("nginx".into(), ("k8s.io/nginx".into(), true))].into());
        });
        assert!(
            problems[0].contains("several default ones: aws, nginx"),
            "{problems:?}"
        );
    }

    #[test]
    fn problems_that_waited_for_the_class_count_once_it_is_ours() {
        let found = |controller: &str| {
            let mut manifests = tutorial();
            manifests.classes.clear();
            let problem = Problem::new("not-served", at(7), "groups are not served yet");
            manifests.ingresses[0].deferred = vec![problem];
            let mut facts = facts();
            facts.ingress_classes = Some([("aws".into(), (controller.into(), false))].into());
            let result = built(&manifests, &facts);
            (
                result.is_rejected(),
                result.value.waiting.len(),
                result.value.groups.len(),
            )
        };
        assert_eq!(found("ingress.k8s.aws/alb"), (true, 2, 0));
        assert_eq!(found("k8s.io/nginx"), (false, 0, 0));
    }

    #[test]
    fn parameters_of_a_class_are_not_ignored() {
        let (reason, _) = wait_with(|manifests, _| {
            let parameters = (
                "elbv2.k8s.aws".into(),
                "IngressClassParams".into(),
                "x".into(),
            );
            manifests.classes[0].parameters = Some(located(parameters));
        });
        assert_eq!(reason, "IngressClassParams are not served yet");
    }
}

mod services {
    use super::*;

    #[test]
    fn a_service_that_is_nowhere_is_a_problem_at_the_backend() {
        let (_, problems) = wait_with(|manifests, _| {
            manifests.ingresses[0].rules[0].paths[0].backend = backend("ap1", 80, 121);
        });
        assert_eq!(
            problems,
            [
                "app.yaml:121:1: problem[unknown-service]: Ingress default/app-aws-ingress: Service `ap1` is neither in git \
              nor in the cluster, in namespace `default`; did you mean `app1`?"
            ]
        );
    }

    #[test]
    fn offline_a_service_outside_of_git_is_a_warning() {
        let (reason, problems) = wait_with(|manifests, facts| {
            manifests.services.clear();
            facts.services = None;
        });
        assert!(reason.contains("the cluster's were not read"), "{reason}");
        assert_eq!(problems.len(), 2);
        assert!(
            problems
                .iter()
                .all(|it| it.contains("warning[unknown-service]")),
            "{problems:?}"
        );
    }

    #[test]
    fn offline_a_service_of_git_only_waits() {
        let (reason, problems) = wait_with(|_, facts| facts.services = None);
        assert!(
            reason.contains("uid and node port of Service `app1` are not known"),
            "{reason}"
        );
        assert_eq!(problems, Vec::<String>::new());
    }

    #[test]
    fn a_lowered_problem_is_a_warning_and_still_builds_nothing() {
        let mut manifests = tutorial();
        manifests.ingresses[0].rules[0].paths[0].backend = backend("gone", 80, 121);
        let mut settings = settings();
        settings.lowered.insert("unknown-service".into());
        let result = build(&manifests, &facts(), &settings);
        assert_eq!(result.problems[0].severity, Severity::Warning);
        assert!(!result.is_rejected());
        assert_eq!(result.value.waiting[0].stack, StackId::Network);
        assert_eq!(result.value.waiting[1].stack, StackId::Group(GROUP.into()));
    }

    #[test]
    fn a_service_of_the_cluster_serves_without_being_in_git() {
        let from_git = group_with(|_, _, _| ());
        let from_cluster = group_with(|manifests, _, _| manifests.services.clear());
        assert_eq!(from_git.target_groups, from_cluster.target_groups);
    }

    #[test]
    fn an_unknown_port_lists_those_there_are() {
        let (_, problems) = wait_with(|manifests, _| {
            manifests.services[0].ports[0].name = Some("web".into());
            let backend = &mut manifests.ingresses[0].rules[0].paths[0].backend;
            backend.value = Backend::Service {
                name: "app1".into(),
                port: PortRef::Name("http".into()),
            };
        });
        assert_eq!(
            problems,
            [
                "app.yaml:121:1: problem[service-port]: Ingress default/app-aws-ingress: Service `app1` has no port `http`; \
              its ports are 80 (`web`)"
            ]
        );
    }

    #[test]
    fn a_port_by_name_is_a_target_group_of_its_own() {
        let group = group_with(|manifests, _, _| {
            manifests.services[0].ports[0].name = Some("http".into());
            let mut by_name = path("/named", PathType::Prefix, "app1", 140);
            by_name.backend.value = Backend::Service {
                name: "app1".into(),
                port: PortRef::Name("http".into()),
            };
            manifests.ingresses[0].rules[0].paths.push(by_name);
        });
        assert_eq!(
            group.target_groups["default/app-aws-ingress-app1:http"]
                .spec
                .name,
            "k8s-default-app1-10664de42e"
        );
        assert_eq!(group.target_groups.len(), 3);
    }

    #[test]
    fn a_cluster_ip_service_has_no_node_port() {
        let (_, problems) = wait_with(|manifests, _| {
            manifests.services[0].service_type = "ClusterIP".into();
        });
        assert_eq!(
            problems,
            [
                "app.yaml:121:1: problem[node-port]: Ingress default/app-aws-ingress: Service `app1` is of type ClusterIP, \
              which has no node ports for target type instance; make it of type NodePort"
            ]
        );
    }

    #[test]
    fn what_the_api_server_assigns_is_waited_for() {
        let reason = |change: fn(&mut Manifests, &mut Facts)| {
            let (reason, problems) = wait_with(change);
            assert_eq!(problems, Vec::<String>::new());
            reason
        };
        assert_eq!(
            reason(|_, facts| drop(facts.services.as_mut().unwrap().remove("default/app1"))),
            "Service `app1` is not in the cluster yet"
        );
        assert_eq!(
            reason(|_, facts| {
                facts
                    .services
                    .as_mut()
                    .unwrap()
                    .get_mut("default/app1")
                    .unwrap()
                    .uid = None;
            }),
            "the uid of Service `app1` is not known yet"
        );
        assert_eq!(
            reason(|_, facts| {
                let services = facts.services.as_mut().unwrap();
                services.get_mut("default/app1").unwrap().node_ports = [("80".into(), None)].into();
            }),
            "port 80 of Service `app1` has no node port yet"
        );
        assert_eq!(
            reason(|manifests, _| manifests.services[0].ports[0].node_port = Some(31000)),
            "Service `app1` does not have its new node port 31000 yet"
        );
    }

    #[test]
    fn all_reasons_are_told_at_once() {
        let (reason, _) = wait_with(|_, facts| {
            facts.vpc = None;
            facts.subnets = None;
            facts.services.as_mut().unwrap().remove("default/app2");
        });
        for part in ["VPC", "subnets", "app2"] {
            assert!(reason.contains(part), "{reason}");
        }
    }
}

mod options {
    use super::*;

    #[test]
    fn load_balancer_attributes_are_passed_as_declared() {
        let declared = BTreeMap::from([
            ("access_logs.s3.enabled".to_owned(), "true".to_owned()),
            ("access_logs.s3.bucket".to_owned(), "logs".to_owned()),
            ("access_logs.s3.prefix".to_owned(), "app".to_owned()),
        ]);
        let group = group_with(|manifests, _, _| {
            let options = &mut manifests.ingresses[0].options.load_balancer;
            options.attributes = Some(located(declared.clone()));
        });
        assert_eq!(group.load_balancer.attributes, declared);
    }

    #[test]
    fn the_scheme_defaults_to_the_configuration_and_picks_name_and_subnets() {
        let group = group_with(|manifests, _, _| {
            manifests.ingresses[0].options.load_balancer.scheme = None;
        });
        assert_eq!(group.load_balancer.scheme, Scheme::Internal);
        assert_eq!(group.load_balancer.name, "k8s-default-appawsin-ccf9862bb7");
        assert_eq!(
            group.load_balancer.subnets,
            ["subnet-4", "subnet-5"].map(SubnetId::from)
        );
    }

    #[test]
    fn tracking_tags_beat_default_tags_and_these_beat_the_users() {
        let tags = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
            pairs
                .iter()
                .map(|(key, value)| ((*key).into(), (*value).into()))
                .collect()
        };
        let group = group_with(|manifests, _, settings| {
            manifests.ingresses[0].options.tags = Some(located(tags(&[
                ("team", "ingress"),
                ("cost", "user"),
                ("elbv2.k8s.aws/cluster", "stolen"),
            ])));
            manifests.services[0].options.tags = Some(located(tags(&[("team", "service")])));
            settings.default_tags = tags(&[("cost", "default"), ("ingress.k8s.aws/stack", "x")]);
            settings.alb_owner_tag = true;
        });
        let expected = |resource: Option<&str>, team: &str| {
            let mut all = tracking(resource);
            all.extend(tags(&[
                ("team", team),
                ("cost", "default"),
                ("albsync.dev/owner", "inst-1"),
            ]));
            all
        };
        assert_eq!(
            group.load_balancer.tags,
            expected(Some("LoadBalancer"), "ingress")
        );
        assert_eq!(
            group.security_group.tags,
            expected(Some("ManagedLBSecurityGroup"), "ingress")
        );
        let listener = &group.listeners[&80];
        assert_eq!(listener.spec.tags, expected(Some("80"), "ingress"));
        assert_eq!(listener.rules[0].spec.tags, expected(None, "ingress"));
        let of = |app: &str| {
            let id = format!("{GROUP}-{app}:80");
            (group.target_groups[&id].spec.tags.clone(), id)
        };
        let (app1, app2) = (of("app1"), of("app2"));
        assert_eq!(app1.0, expected(Some(&app1.1), "service"));
        assert_eq!(app2.0, expected(Some(&app2.1), "ingress"));
    }

    #[test]
    fn a_service_overrides_the_health_check_path_for_itself() {
        let group = group_with(|manifests, _, _| {
            manifests.ingresses[0]
                .options
                .target_group
                .health_check_path = Some(located("/all".into()));
            manifests.services[0].options.target_group.health_check_path =
                Some(located("/own".into()));
        });
        let paths: Vec<_> = group
            .target_groups
            .values()
            .map(|it| it.spec.health_check.path.as_str())
            .collect();
        assert_eq!(paths, ["/own", "/all"]);
    }

    #[test]
    fn target_type_ip_makes_the_group_wait() {
        let (reason, _) = wait_with(|manifests, _| {
            manifests.services[0].options.target_group.target_type = Some(located(TargetType::Ip));
        });
        assert_eq!(reason, "target type ip is not served yet");
    }
}

mod nodes {
    use super::*;

    fn targets(change: impl FnOnce(&mut Vec<Node>, &mut Facts)) -> Vec<String> {
        let group = group_with(|_, facts, _| {
            let mut nodes = facts.nodes.take().unwrap();
            change(&mut nodes, facts);
            facts.nodes = Some(nodes);
        });
        let targets = &group.target_groups[&format!("{GROUP}-app1:80")]
            .spec
            .targets;
        targets.iter().map(|target| target.id.clone()).collect()
    }

    #[test]
    fn excluded_nodes_are_no_targets() {
        for label in [
            "node-role.kubernetes.io/master",
            "node.kubernetes.io/exclude-from-external-load-balancers",
            "alpha.service-controller.kubernetes.io/exclude-balancer",
        ] {
            let ids = targets(|nodes, _| drop(nodes[0].labels.insert(label.into(), String::new())));
            assert_eq!(ids, ["i-1"], "{label}");
        }
        let fargate = "eks.amazonaws.com/compute-type";
        assert_eq!(
            targets(|nodes, _| drop(nodes[0].labels.insert(fargate.into(), "fargate".into()))),
            ["i-1"]
        );
        assert_eq!(
            targets(|nodes, _| drop(nodes[0].labels.insert(fargate.into(), "ec2".into()))),
            ["i-1", "i-2"]
        );
        for (taint, effect, excluded) in [
            ("ToBeDeletedByClusterAutoscaler", "NoSchedule", true),
            ("ToBeDeletedByClusterAutoscaler", "PreferNoSchedule", true),
            ("karpenter.sh/disrupted", "NoSchedule", true),
            ("karpenter.sh/disrupted", "NoExecute", false),
            ("node.kubernetes.io/unschedulable", "NoSchedule", false),
        ] {
            let ids = targets(|nodes, _| nodes[0].taints.push((taint.into(), effect.into())));
            assert_eq!(ids.len(), if excluded { 1 } else { 2 }, "{taint}:{effect}");
        }
    }

    #[test]
    fn ready_nodes_only_unless_there_is_none() {
        assert_eq!(targets(|nodes, _| nodes[0].ready = "False".into()), ["i-1"]);
        assert_eq!(
            targets(|nodes, _| nodes[0].ready = "Unknown".into()),
            ["i-1"]
        );
        let none_ready = targets(|nodes, _| {
            nodes[0].ready = "Unknown".into();
            nodes[1].ready = "False".into();
        });
        assert_eq!(none_ready, ["i-2"]);
    }

    #[test]
    fn what_is_no_instance_that_ec2_knows_is_left_out() {
        assert_eq!(targets(|nodes, _| nodes[0].provider_id = None), ["i-1"]);
        assert_eq!(
            targets(|nodes, _| nodes[0].provider_id = Some("eks-hybrid:///r/c/mi-1".into())),
            ["i-1"]
        );
        assert_eq!(
            targets(|_, facts| drop(facts.instance_groups.as_mut().unwrap().remove("i-2"))),
            ["i-1"]
        );
    }

    #[test]
    fn a_cluster_without_nodes_has_groups_without_targets() {
        let ids = targets(|nodes, facts| {
            nodes.clear();
            facts.instance_groups = None;
        });
        assert_eq!(ids, Vec::<String>::new());
    }

    #[test]
    fn unread_nodes_are_waited_for() {
        let (reason, _) = wait_with(|_, facts| facts.nodes = None);
        assert_eq!(reason, "the cluster's nodes were not read");
        let (reason, _) = wait_with(|_, facts| facts.instance_groups = None);
        assert_eq!(
            reason,
            "the security groups of the nodes' instances were not read"
        );
    }

    #[test]
    fn of_several_groups_the_one_tagged_for_the_cluster_is_opened() {
        let (manifests, mut facts) = (tutorial(), facts());
        let both = vec![
            SecurityGroupId::from("sg-other"),
            SecurityGroupId::from("sg-nodes"),
        ];
        facts
            .instance_groups
            .as_mut()
            .unwrap()
            .insert("i-1".into(), both);
        let result = built(&manifests, &facts);
        assert_eq!(result.problems, []);
        let network = result.value.network.unwrap();
        assert_eq!(
            network.node_permissions.into_keys().collect::<Vec<_>>(),
            [SecurityGroupId::from("sg-nodes")]
        );
    }

    #[test]
    fn a_node_whose_group_cannot_be_told_stops_revokes_and_nothing_else() {
        let (manifests, mut facts) = (tutorial(), facts());
        let both = vec![SecurityGroupId::from("sg-a"), SecurityGroupId::from("sg-b")];
        facts
            .instance_groups
            .as_mut()
            .unwrap()
            .insert("i-1".into(), both);
        let result = built(&manifests, &facts);
        assert!(!result.is_rejected());
        assert_eq!(
            result.problems[0].to_string(),
            "app.yaml:100:1: warning[node-group]: 0 of the 2 security groups of i-1 are tagged kubernetes.io/cluster/mz-k8s; \
             exactly one of an instance's security groups must be tagged kubernetes.io/cluster/mz-k8s"
        );
        let network = result.value.network.unwrap();
        assert_eq!(network.node_permissions.len(), 1);
        assert_eq!(network.hold_revokes.len(), 1);
        assert!(result.value.groups.contains_key(GROUP));
    }

    #[test]
    fn a_node_that_is_not_ready_keeps_its_permission() {
        let (manifests, mut facts) = (tutorial(), facts());
        let nodes = facts.nodes.as_mut().unwrap();
        nodes
            .iter_mut()
            .for_each(|node| node.ready = "False".into());
        let network = built(&manifests, &facts).value.network.unwrap();
        assert_eq!(network.node_permissions.len(), 1);
    }
}

mod network {
    use super::*;

    #[test]
    fn without_a_group_there_is_nothing_to_share() {
        let mut manifests = tutorial();
        manifests.ingresses.clear();
        let desired = built(&manifests, &facts()).value;
        assert_eq!(desired.network, None);
        assert_eq!(desired.waiting, []);
    }

    #[test]
    fn while_every_group_waits_the_shared_parts_wait_too() {
        let mut facts = facts();
        facts.services = Some(BTreeMap::new());
        let desired = built(&tutorial(), &facts).value;
        assert_eq!(desired.network, None);
        let stacks: Vec<_> = desired
            .waiting
            .iter()
            .map(|wait| wait.stack.clone())
            .collect();
        assert_eq!(stacks, [StackId::Network, StackId::Group(GROUP.into())]);
    }

    #[test]
    fn while_one_group_waits_nothing_is_revoked() {
        let mut manifests = tutorial();
        manifests.ingresses.push(ingress(
            "other",
            vec![path("/", PathType::Prefix, "app3", 400)],
        ));
        manifests.services.push(service("app3"));
        let desired = built(&manifests, &facts()).value;
        let network = desired.network.unwrap();
        assert_eq!(
            network.hold_revokes,
            BTreeSet::from(["group default/other waits".to_owned()])
        );
        assert_eq!(desired.groups.len(), 1);
    }
}

mod sticky_subnets {
    use super::*;

    fn chosen(scheme: Option<Scheme>) -> Vec<SubnetId> {
        let group = group_with(|_, facts, _| {
            let live = LoadBalancerFact {
                scheme,
                subnets: ["subnet-9", "subnet-8"].map(SubnetId::from).into(),
            };
            facts.load_balancers = Some([(GROUP.into(), live)].into());
        });
        group.load_balancer.subnets
    }

    #[test]
    fn a_live_balancer_keeps_its_subnets_while_its_scheme_stays() {
        let kept = ["subnet-8", "subnet-9"].map(SubnetId::from);
        assert_eq!(chosen(Some(Scheme::InternetFacing)), kept);
        assert_eq!(chosen(None), kept);
        assert_eq!(
            chosen(Some(Scheme::Internal)),
            ["subnet-1", "subnet-2", "subnet-3"].map(SubnetId::from)
        );
    }

    #[test]
    fn discovery_never_runs_before_existing_balancers_were_read() {
        let (reason, _) = wait_with(|_, facts| facts.load_balancers = None);
        assert!(
            reason.contains("existing balancers were not read"),
            "{reason}"
        );
    }
}

mod digests {
    use super::*;

    fn stacks(manifests: &Manifests, facts: &Facts) -> BTreeMap<StackId, String> {
        let result = built(manifests, facts);
        assert_eq!(result.problems, []);
        result.value.stacks()
    }

    fn whole() -> Manifests {
        Manifests {
            iam_service_accounts: vec![account("app1")],
            ..tutorial()
        }
    }

    fn applied(stacks: BTreeMap<StackId, String>) -> Applied {
        let stacks = stacks.into_iter();
        Applied {
            stacks: stacks
                .map(|(id, digest)| {
                    (
                        id,
                        AppliedStack {
                            digest,
                            revision: None,
                        },
                    )
                })
                .collect(),
            ..Applied::default()
        }
    }

    #[test]
    fn every_stack_has_one() {
        let ids: Vec<_> = stacks(&whole(), &facts()).into_keys().collect();
        assert_eq!(
            ids,
            [
                StackId::Cluster,
                StackId::Network,
                StackId::Provider,
                StackId::Group(GROUP.into()),
                StackId::Role("default/app1".into())
            ]
        );
    }

    #[test]
    fn moving_every_document_changes_none() {
        let before = stacks(&whole(), &facts());
        let mut moved = whole();
        let mut line = 1000;
        let mut place = || {
            line += 1;
            crate::problem::Origin::new("moved/elsewhere.yaml", line, 7)
        };
        for object in &mut moved.objects {
            object.origin = place();
        }
        for ingress in &mut moved.ingresses {
            ingress.origin = place();
            for path in &mut ingress.rules[0].paths {
                path.origin = place();
                path.backend.origin = place();
            }
        }
        for service in &mut moved.services {
            service.origin = place();
        }
        for account in &mut moved.iam_service_accounts {
            account.origin = place();
        }
        assert_ne!(
            built(&moved, &facts()).value,
            built(&whole(), &facts()).value
        );
        assert_eq!(stacks(&moved, &facts()), before);
    }

    #[test]
    fn a_change_changes_its_stack_alone() {
        let before = applied(stacks(&whole(), &facts()));
        let changed = |change: &dyn Fn(&mut Manifests, &mut Facts)| {
            let (mut manifests, mut facts) = (whole(), facts());
            change(&mut manifests, &mut facts);
            let desired = built(&manifests, &facts).value;
            changed_stacks(&desired, &before)
                .into_iter()
                .collect::<Vec<_>>()
        };
        let group = StackId::Group(GROUP.into());
        assert_eq!(changed(&|_, _| ()), []);
        assert_eq!(
            changed(&|it, _| it.ingresses[0].rules[0].paths[0].path = "/x".into()),
            [group.clone()]
        );
        assert_eq!(
            changed(&|it, _| it.ingresses[0].rules[0].paths.reverse()),
            [group.clone()]
        );
        assert_eq!(
            changed(&|_, facts| drop(facts.nodes.as_mut().unwrap().pop())),
            [group]
        );
        assert_eq!(
            changed(&|it, _| it.iam_service_accounts[0].role.description = "new".into()),
            [StackId::Role("default/app1".into())]
        );
        assert_eq!(
            changed(&|it, _| it.objects[0].value["spec"] = json!({"a": 1})),
            [StackId::Cluster]
        );
    }

    #[test]
    fn another_spelling_of_a_policy_changes_none() {
        let with = |document| {
            let mut manifests = whole();
            manifests.iam_service_accounts[0].policies.owned = vec![policy("read", document)];
            stacks(&manifests, &facts())
        };
        let one = with(
            json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}]}),
        );
        let other = with(
            json!({"Statement": {"Resource": ["*"], "Action": ["S3:getobject"], "Effect": "Allow"}, "Version": "2012-10-17"}),
        );
        let third = with(
            json!({"Statement": {"Resource": ["*"], "Action": ["s3:PutObject"], "Effect": "Allow"}, "Version": "2012-10-17"}),
        );
        assert_eq!(one, other);
        assert_ne!(one, third);
    }

    #[test]
    fn what_left_git_is_changed_and_what_waits_is_not() {
        let before = applied(stacks(&whole(), &facts()));
        let gone = built(&Manifests::default(), &facts()).value;
        let changed = changed_stacks(&gone, &before);
        // The provider is never taken down.
        let left = [
            StackId::Cluster,
            StackId::Network,
            StackId::Group(GROUP.into()),
            StackId::Role("default/app1".into()),
        ];
        assert_eq!(changed, BTreeSet::from(left));

        let nothing_read = built(&whole(), &Facts::default()).value;
        assert_eq!(nothing_read.groups.len() + nothing_read.roles.len(), 0);
        let changed = changed_stacks(&nothing_read, &before);
        assert_eq!(
            changed,
            BTreeSet::from([StackId::Cluster]),
            "the ServiceAccount waits for its role"
        );
    }

    #[test]
    fn a_half_made_stack_that_left_git_is_looked_at() {
        let nothing = Desired::default();
        let mut applied = Applied::default();
        applied.resources.insert(
            ResourceId::load_balancer("default/old"),
            AppliedResource {
                arn: Some(Arn::from("arn:x")),
                ..AppliedResource::default()
            },
        );
        let reference = ObjectRef {
            api_version: "v1".into(),
            kind: "ConfigMap".into(),
            namespace: Some("default".into()),
            name: "left".into(),
        };
        applied
            .inventory
            .insert(reference.key(), AppliedObject::intended(reference));
        assert_eq!(
            changed_stacks(&nothing, &applied),
            BTreeSet::from([StackId::Cluster, StackId::Group("default/old".into())])
        );
    }
}

mod order {
    use super::*;

    fn rich() -> (Manifests, Facts) {
        let mut manifests = tutorial();
        manifests.ingresses.push(ingress(
            "second",
            vec![path("/", PathType::Prefix, "app2", 400)],
        ));
        manifests.ingresses.push(ingress(
            "broken",
            vec![path("/", PathType::Prefix, "ap3", 410)],
        ));
        manifests.iam_service_accounts = vec![account("app1"), account("app2"), account("app3")];
        manifests.iam_service_accounts[2].role.permissions_boundary =
            Some(located(Arn::from("arn:bad")));
        manifests
            .objects
            .push(bare("v1", "Namespace", None, "default"));
        manifests
            .objects
            .push(bare("v1", "ConfigMap", Some("default"), "app1"));
        manifests.objects.push(deployment("app3", "app3"));
        let mut facts = facts();
        facts.nodes.as_mut().unwrap().push(node("i-3", "True"));
        let groups = ["sg-a", "sg-b"].map(SecurityGroupId::from).into();
        facts
            .instance_groups
            .as_mut()
            .unwrap()
            .insert("i-3".into(), groups);
        (manifests, facts)
    }

    /// Sorts by keys that the test draws: any permutation.
    fn shuffle<T>(items: &mut Vec<T>, keys: &[u8]) {
        let mut keyed: Vec<_> = items.drain(..).enumerate().collect();
        keyed.sort_by_key(|(index, _)| keys[index % keys.len()].wrapping_mul(*index as u8 + 1));
        items.extend(keyed.into_iter().map(|(_, item)| item));
    }

    proptest! {
        #[test]
        fn of_documents_and_facts_never_matters(keys in proptest::collection::vec(any::<u8>(), 7..20)) {
            let (manifests, facts) = rich();
            let expected = built(&manifests, &facts);
            prop_assert!(!expected.problems.is_empty() && !expected.value.groups.is_empty());
            let (mut shuffled, mut other) = (manifests, facts);
            shuffle(&mut shuffled.objects, &keys);
            shuffle(&mut shuffled.ingresses, &keys);
            shuffle(&mut shuffled.classes, &keys);
            shuffle(&mut shuffled.services, &keys);
            shuffle(&mut shuffled.iam_service_accounts, &keys);
            shuffle(other.subnets.as_mut().unwrap(), &keys);
            shuffle(other.nodes.as_mut().unwrap(), &keys);
            shuffle(other.security_groups.as_mut().unwrap(), &keys);
            let result = built(&shuffled, &other);
            prop_assert_eq!(result.problems, expected.problems);
            prop_assert_eq!(result.value, expected.value);
        }
    }

    #[test]
    fn a_bad_member_stops_itself_alone() {
        let (manifests, facts) = rich();
        let result = built(&manifests, &facts);
        assert_eq!(
            result.value.groups.keys().collect::<Vec<_>>(),
            [GROUP, "default/second"]
        );
        assert_eq!(
            result.value.roles.keys().collect::<Vec<_>>(),
            ["default/app1", "default/app2"]
        );
        let codes: Vec<_> = result
            .problems
            .iter()
            .map(|problem| problem.code.as_str())
            .collect();
        assert_eq!(codes.len(), 3, "{:?}", result.problems);
        for code in ["node-group", "unknown-service", "boundary-not-allowed"] {
            assert!(codes.contains(&code), "{code}");
        }
    }
}
