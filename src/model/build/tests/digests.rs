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
                        grounds: None,
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
        std::slice::from_ref(&group)
    );
    assert_eq!(
        changed(&|it, _| it.ingresses[0].rules[0].paths.reverse()),
        std::slice::from_ref(&group)
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
        changed(&|it, _| edit(&mut it.objects[0], |it| it["spec"] = json!({"a": 1}))),
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
