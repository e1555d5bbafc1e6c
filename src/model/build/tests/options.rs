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
        options.attributes = Some(set(declared.clone()));
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
        manifests.ingresses[0].options.tags = Some(set(tags(&[
            ("team", "ingress"),
            ("cost", "user"),
            ("elbv2.k8s.aws/cluster", "stolen"),
        ])));
        manifests.services[0].options.tags = Some(set(tags(&[("team", "service")])));
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
        group.security_group.unwrap().tags,
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
            .health_check_path = Some(set("/all".into()));
        manifests.services[0].options.target_group.health_check_path = Some(set("/own".into()));
    });
    let paths: Vec<_> = group
        .target_groups
        .values()
        .map(|it| it.spec.health_check.path.as_str())
        .collect();
    assert_eq!(paths, ["/own", "/all"]);
}
