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
    add_doubles(&mut manifests);
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

/// Second documents of the same names, which parsing refuses: even then the result depends on their places alone.
fn add_doubles(manifests: &mut Manifests) {
    let mut ingress = ingress("second", vec![path("/other", PathType::Exact, "app1", 500)]);
    ingress.origin = at(499);
    manifests.ingresses.push(ingress);
    let mut service = service("app2");
    service.origin = at(510);
    service.options.target_group.health_check_path = Some(set("/other".into()));
    manifests.services.push(service);
    let mut account = account("app1");
    account.origin = at(520);
    account.role.description = "other".into();
    manifests.iam_service_accounts.push(account);
    let mut class = class("aws", "k8s.io/nginx", false);
    class.origin = at(530);
    manifests.classes.push(class);
    let mut object = bare("v1", "Service", Some("default"), "app1");
    object.origin = at(540);
    edit(&mut object, |it| it["spec"] = json!({ "other": true }));
    manifests.objects.push(object);
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
