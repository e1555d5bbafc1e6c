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
    facts.services = Some(BTreeMap::new().into());
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

#[test]
fn a_group_that_is_given_takes_the_place_of_ours() {
    let mut settings = settings();
    settings.flags.backend_security_group = "sg-given".into();
    let desired = build(&tutorial(), &facts(), &settings).value;
    assert_eq!(desired.waiting, []);
    let given = SecurityGroupId::from("sg-given");
    let balancer = &desired.groups[GROUP].load_balancer;
    assert_eq!(
        balancer.security_groups.last(),
        Some(&Ref::Known(given.clone()))
    );
    let network = desired.network.unwrap();
    assert_eq!(network.backend_group, None, "it is not ours to make");
    assert_eq!(network.given_group, Some(given.clone()));
    let sources: BTreeSet<_> = network
        .node_permissions
        .values()
        .flatten()
        .map(|permission| permission.source.clone())
        .collect();
    let given = PermissionSource::SecurityGroup(Ref::Known(given));
    assert_eq!(sources, BTreeSet::from([given]));
}
