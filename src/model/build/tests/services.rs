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
              nor in the cluster, in namespace `default`; did you mean \"app1\"?"
        ]
    );
}

#[test]
fn offline_a_service_outside_of_git_is_waited_for() {
    let (reason, problems) = wait_with(|manifests, facts| {
        manifests.services.clear();
        facts.services = None;
    });
    assert!(reason.contains("was not looked up"), "{reason}");
    assert_eq!(problems, Vec::<String>::new());
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
fn a_backend_that_is_nowhere_answers_503_where_that_check_is_lowered() {
    let mut manifests = tutorial();
    manifests.ingresses[0].rules[0].paths[0].backend = backend("gone", 80, 121);
    let mut settings = settings();
    settings.lowered.insert("unknown-service".into());
    let result = build(&manifests, &facts(), &settings);
    assert_eq!(result.problems[0].severity, Severity::Warning);
    assert!(!result.is_rejected());
    let rules = &result.value.groups[GROUP].listeners[&80].rules;
    assert!(rules.iter().any(|rule| matches!(
        &rule.spec.actions[..],
        [RuleAction::FixedResponse { status_code, .. }] if status_code == "503"
    )));
}

#[test]
fn a_service_of_the_cluster_serves_without_being_in_git() {
    let from_git = group_with(|_, _, _| ());
    let from_cluster = group_with(|manifests, _, _| manifests.services.clear());
    assert_eq!(from_git.target_groups, from_cluster.target_groups);
}

#[test]
fn annotations_of_a_service_of_the_cluster_count_and_those_of_git_win() {
    let annotate = |facts: &mut Facts| {
        let key = "alb.ingress.kubernetes.io/healthcheck-path".to_owned();
        let services = facts.services.get_or_insert_default();
        let app1 = services.get_mut("default/app1").expect("app1");
        app1.annotations = AnnotationsFact::new([(key, "/up".to_owned())]);
    };
    let paths = |stack: GroupStack| -> BTreeSet<String> {
        let target_groups = stack.target_groups.into_values();
        target_groups.map(|it| it.spec.health_check.path).collect()
    };
    let of_cluster = group_with(|manifests, facts, _| {
        manifests.services.clear();
        annotate(facts);
    });
    assert_eq!(paths(of_cluster), ["/".to_owned(), "/up".to_owned()].into());
    let of_git = group_with(|_, facts, _| annotate(facts));
    assert_eq!(paths(of_git), ["/".to_owned()].into());
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
              its only port is 80 (`web`)"
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
        manifests.services[0].has_node_ports = false;
    });
    assert!(problems[0].contains("problem[node-port]"), "{problems:?}");
    assert!(problems[0].contains("app.yaml:121:1"), "{problems:?}");
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
    });
    for part in ["VPC", "subnets"] {
        assert!(reason.contains(part), "{reason}");
    }
}

#[test]
fn two_target_groups_of_one_name_are_refused() {
    // The name's hash runs over the parts without anything between them: `80` + `32672` is `803` + `2672`.
    let mut manifests = tutorial();
    let mut second = manifests.services[0].ports[0].clone();
    second.port = 803;
    manifests.services[0].ports.push(second);
    manifests.ingresses[0].rules[0].paths[1].backend = backend("app1", 803, 131);
    let mut facts = facts();
    let ports = [("80".into(), Some(32672)), ("803".into(), Some(2672))].into();
    let services = facts.services.as_mut().unwrap();
    services.get_mut("default/app1").unwrap().node_ports = ports;
    let result = built(&manifests, &facts);
    assert_eq!(result.problems.len(), 1);
    assert!(result.is_rejected());
    assert_eq!(result.problems[0].code, "name-collision");
    assert!(
        result.problems[0]
            .message
            .contains("k8s-default-app1-b86462c552")
    );
    assert!(result.value.groups.is_empty());
    assert_eq!(result.value.waiting.len(), 2);
    let of_group = result.value.waiting.iter();
    let reason = of_group
        .map(|it| it.reason.as_str())
        .find(|it| it.contains("stops it"));
    let told = result.problems[0].message.as_str();
    assert!(
        reason.is_some_and(|reason| reason.ends_with(told)),
        "{:#?}",
        result.value.waiting
    );
}
