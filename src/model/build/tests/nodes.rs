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
