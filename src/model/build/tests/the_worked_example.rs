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

    let managed = group.security_group.as_ref().unwrap();
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
    let backend_group = network.backend_group.expect("it is ours to make");
    assert_eq!(backend_group.name, "k8s-traffic-mzk8s-0276909bf6");
    assert_eq!(
        backend_group.description,
        "[k8s] Shared Backend SecurityGroup for LoadBalancer"
    );
    assert_eq!(
        backend_group.tags,
        Tags::from([
            ("elbv2.k8s.aws/cluster".into(), "mz-k8s".into()),
            ("elbv2.k8s.aws/resource".into(), "backend-sg".into())
        ])
    );
    assert_eq!(backend_group.ingress, BTreeSet::new());
    let to_nodes = Permission {
        protocol: "tcp".into(),
        from_port: 30243,
        to_port: 32672,
        source: PermissionSource::SecurityGroup(Ref::Output(ResourceId::backend_security_group())),
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
                    values: vec![HOST.into()].into()
                },
                Condition::PathPattern {
                    values: vec![format!("/{app}"), format!("/{app}/*")].into()
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
            all_zones: false,
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
