use std::sync::Arc;

use super::*;
use crate::model::{build::build_on, confine::Naming, grounds::Grounds, group::cache::Cache};

/// The tutorial, its Services and its class being the cluster's own.
fn outside() -> (Manifests, Facts) {
    let mut manifests = tutorial();
    manifests.services.clear();
    manifests.classes.clear();
    let mut facts = facts();
    let mut class = class_fact("ingress.k8s.aws/alb", false);
    class.parameters = Some(ParametersFact {
        api_group: "elbv2.k8s.aws".to_owned(),
        kind: "IngressClassParams".to_owned(),
        name: "team".to_owned(),
    });
    let spec = json!({
        "loadBalancerAttributes": [{"key": "idle_timeout.timeout_seconds", "value": "90"}],
    });
    let params = ParamsFact::new("team", spec);
    facts.ingress_class_params = Some([("team".to_owned(), params)].into());
    facts.ingress_classes = Some([("aws".to_owned(), class)].into());
    (manifests, facts)
}

/// The group as it was applied last, and what the store knows of it.
fn applied(manifests: &Manifests, facts: &Facts) -> (GroupStack, Applied) {
    let result = built(manifests, facts);
    assert_eq!(result.problems, []);
    let group = result.value.groups[GROUP].clone();
    let grounds = Grounds::of(&group, &Naming::of(manifests), facts);
    let targets = group.target_groups.iter().map(|(name, target_group)| {
        let applied = AppliedResource {
            targets: target_group.spec.targets.clone(),
            ..AppliedResource::default()
        };
        (ResourceId::target_group(GROUP, name), applied)
    });
    let stack = AppliedStack {
        digest: String::new(),
        revision: None,
        grounds: Some(Arc::new(grounds)),
    };
    let applied = Applied {
        stacks: [(StackId::Group(GROUP.into()), stack)].into(),
        resources: targets.collect(),
        ..Applied::default()
    };
    (group, applied)
}

/// The group once more, with what the store knows of it.
fn rebuilt(manifests: &Manifests, facts: &Facts, applied: &Applied) -> Checked<Desired> {
    build_on(
        manifests,
        facts,
        &settings(),
        applied,
        &mut Cache::default(),
    )
}

/// What may go away, by name.
type Loss = (&'static str, fn(&mut Facts));

const LOSSES: [Loss; 6] = [
    ("one Service", |facts| {
        let services = facts.services.as_mut().expect("Services");
        services.remove("default/app1");
    }),
    ("the other Service", |facts| {
        let services = facts.services.as_mut().expect("Services");
        services.remove("default/app2");
    }),
    ("all subnets", |facts| facts.subnets = Some(Vec::new())),
    ("what subnets are tagged with", |facts| {
        for subnet in facts.subnets.iter_mut().flatten() {
            subnet.tags.clear();
            subnet.public = Some(false);
        }
    }),
    ("the class", |facts| {
        facts.ingress_classes = Some(BTreeMap::new())
    }),
    ("the class's parameters", |facts| {
        facts.ingress_class_params = Some(BTreeMap::new())
    }),
];

proptest! {
    #[test]
    fn whatever_facts_are_lost_the_group_is_as_it_was_applied(lost in prop::collection::vec(any::<bool>(), LOSSES.len())) {
        let (manifests, mut facts) = outside();
        let (before, applied) = applied(&manifests, &facts);
        for ((_, lose), _) in LOSSES.iter().zip(lost).filter(|(_, lost)| *lost) {
            lose(&mut facts);
        }
        let now = rebuilt(&manifests, &facts, &applied);
        prop_assert_eq!(now.problems, []);
        prop_assert_eq!(now.value.waiting, []);
        prop_assert_eq!(&now.value.groups[GROUP], &before);
    }
}

#[test]
fn each_loss_is_told_and_without_memory_the_group_waits() {
    for (what, lose) in LOSSES {
        let (manifests, mut facts) = outside();
        let (_, applied) = applied(&manifests, &facts);
        lose(&mut facts);
        let now = rebuilt(&manifests, &facts, &applied);
        let [kept] = &now.value.kept[..] else {
            panic!("{what}: {:#?}", now.value.kept);
        };
        assert_eq!(kept.stack, StackId::Group(GROUP.into()), "{what}");
        assert_eq!(
            kept.problem.object.as_deref(),
            Some("Ingress default/app-aws-ingress"),
            "{what}"
        );
        let network = now.value.network.expect("the shared part");
        assert!(!network.hold_revokes.is_empty(), "{what}");

        let forgotten = built(&manifests, &facts);
        assert!(forgotten.value.groups.is_empty(), "{what}");
        assert!(!forgotten.value.waiting.is_empty(), "{what}");
        assert!(forgotten.value.kept.is_empty(), "{what}");
    }
}

#[test]
fn what_could_not_be_read_is_not_gone() {
    let (manifests, mut facts) = outside();
    let (_, applied) = applied(&manifests, &facts);
    facts.services = None;
    let now = rebuilt(&manifests, &facts, &applied);
    assert!(now.value.groups.is_empty());
    assert!(!now.value.waiting.is_empty());
}

#[test]
fn a_mistake_of_git_is_not_covered_up() {
    let (mut manifests, facts) = outside();
    let (_, applied) = applied(&manifests, &facts);
    manifests.ingresses[0].rules[0].paths[0].backend = backend("never", 80, 121);
    let now = rebuilt(&manifests, &facts, &applied);
    assert!(now.is_rejected());
    assert!(now.value.groups.is_empty());
}

#[test]
fn rules_of_what_is_gone_keep_their_place_among_new_ones() {
    let (mut manifests, mut facts) = outside();
    let (before, applied) = applied(&manifests, &facts);
    let paths = &mut manifests.ingresses[0].rules[0].paths;
    paths.insert(0, path("/first", PathType::Exact, "app2", 110));
    paths.push(path("/last", PathType::Exact, "app2", 140));
    (LOSSES[0].1)(&mut facts);
    let now = rebuilt(&manifests, &facts, &applied);
    let group = &now.value.groups[GROUP];
    let specs = |group: &GroupStack| -> Vec<_> {
        let rules = group.listeners[&80].rules.iter();
        rules.map(|rule| rule.spec.clone()).collect()
    };
    let (old, new) = (specs(&before), specs(group));
    assert_eq!(new.len(), old.len() + 2);
    let kept: Vec<_> = new.iter().filter(|rule| old.contains(rule)).collect();
    assert_eq!(kept, old.iter().collect::<Vec<_>>());
    let gone = "default/app-aws-ingress-app1:80";
    assert_eq!(group.target_groups[gone], before.target_groups[gone]);
}

#[test]
fn a_fact_that_is_back_in_another_form_counts_again() {
    let (manifests, mut facts) = outside();
    let (_, applied) = applied(&manifests, &facts);
    let services = facts.services.as_mut().expect("Services");
    services.insert("default/app1".into(), service_fact(UID_2, 80, 31_000));
    let now = rebuilt(&manifests, &facts, &applied);
    assert_eq!(now.value.kept, []);
    let ports = now.value.groups[GROUP].target_groups.values();
    assert!(ports.into_iter().any(|it| it.spec.port == 31_000));
}

#[test]
fn what_is_remembered_reads_back_from_the_store_and_so_does_what_an_older_one_remembered() {
    let (manifests, facts) = outside();
    let (_, applied) = applied(&manifests, &facts);
    let grounds = applied.stacks[&StackId::Group(GROUP.into())]
        .grounds
        .clone();
    let grounds = Arc::unwrap_or_clone(grounds.expect("what it was built on"));
    let mut written = serde_json::to_value(&grounds).unwrap();
    let read: Grounds = serde_json::from_value(written.clone()).unwrap();
    assert_eq!(read, grounds);
    assert!(read.ingress_class_params["team"].read.is_ok());
    assert!(read.members.contains(GROUP));

    let fields = written.as_object_mut().unwrap();
    fields
        .remove("ingress_class_params")
        .expect("it is written");
    fields.remove("members").expect("it is written");
    let older: Grounds = serde_json::from_value(written).unwrap();
    assert_eq!(older.services, grounds.services);
    assert!(older.ingress_class_params.is_empty() && older.members.is_empty());
}
