//! Subnets and security groups by name, prefix lists and source ranges (ingress-model §3.4–3.6).

use serde_json::json;

use super::served::{elb_writes, ingress, paths};
use super::*;

fn web(annotations: &[(&str, &str)]) -> Value {
    ingress("web", annotations, &[paths("", &[("/", "app1")])])
}

/// A managed prefix list of ours; its id.
fn prefix_list(scene: &Scene, name: &str) -> String {
    let parameters = json!({
        "PrefixListName": name, "MaxEntries": 2, "AddressFamily": "IPv4", "Entries": [{"Cidr": "192.0.2.0/24"}],
    });
    let made = scene.bed.aws("ec2", "CreateManagedPrefixList", parameters);
    text(&made["PrefixList"]["PrefixListId"]).to_owned()
}

/// A security group of somebody else's with this tag Name; its id.
fn security_group(scene: &Scene, name: &str) -> String {
    let parameters = json!({
        "GroupName": format!("group-{name}"), "Description": "by hand", "VpcId": scene.bed.fact("/aws/vpc"),
        "TagSpecifications": [{"ResourceType": "security-group", "Tags": [{"Key": "Name", "Value": name}]}],
    });
    text(&scene.bed.aws("ec2", "CreateSecurityGroup", parameters)["GroupId"]).to_owned()
}

/// Subnets of the seeded account by their tag Name.
fn subnets(scene: &Scene, names: &[&str]) -> Vec<String> {
    let filter = json!({"Filters": [{"Name": "tag:Name", "Values": names}]});
    let found = scene.bed.aws("ec2", "DescribeSubnets", filter);
    let mut ids: Vec<String> = list(&found["Subnets"])
        .iter()
        .map(|it| text(&it["SubnetId"]).to_owned())
        .collect();
    assert_eq!(ids.len(), names.len(), "{names:?}");
    ids.sort();
    ids
}

fn sorted(items: &Value, name: &str) -> Vec<String> {
    let mut ids: Vec<String> = list(items)
        .iter()
        .map(|item| text(if name.is_empty() { item } else { &item[name] }).to_owned())
        .collect();
    ids.sort();
    ids
}

#[test]
fn named_subnets_and_security_groups_are_those_of_the_balancer() {
    let (mut scene, _) = Scene::serving(&["app1"]);
    let edge = security_group(&scene, "edge");
    let office = security_group(&scene, "office");
    let seed = scene.bed.dump_with_ids()["aws"].take();
    let private = ["mz-k8s-private-a", "mz-k8s-private-b"];
    scene.put(
        "web.yaml",
        &[web(&[
            ("subnets", &private.join(", ")),
            ("security-groups", &format!("edge, {office}")),
            ("manage-backend-security-group-rules", "true"),
            ("load-balancer-name", "the-web"),
        ])],
    );
    let created = scene.edit("Serve the office");
    let balancer = scene.balancer();
    assert_eq!(balancer["LoadBalancerName"], "the-web");
    assert_eq!(balancer["Scheme"], "internal");
    assert_eq!(
        sorted(&balancer["AvailabilityZones"], "SubnetId"),
        subnets(&scene, &private)
    );
    // The shared group beside them: it is what the nodes let in.
    let backend = scene.security_group("k8s-traffic-mzk8s-0276909bf6")["GroupId"].take();
    let mut expected = vec![edge.clone(), office.clone(), text(&backend).to_owned()];
    expected.sort();
    assert_eq!(sorted(&balancer["SecurityGroups"], ""), expected);
    assert_eq!(
        created.count("ec2:CreateSecurityGroup"),
        1,
        "the shared one alone"
    );
    assert!(
        scene
            .node_permissions()
            .iter()
            .any(|it| it.to_string().contains(text(&backend)))
    );
    scene.assert_settled();

    // A third zone and one group less, without touching the nodes any more.
    let three = ["mz-k8s-private-a", "mz-k8s-private-b", "mz-k8s-private-c"];
    scene.put(
        "web.yaml",
        &[web(&[
            ("subnets", &three.join(",")),
            ("security-groups", "edge"),
            ("load-balancer-name", "the-web"),
        ])],
    );
    let changed = scene.edit("Everywhere, for fewer");
    assert_eq!(elb_writes(&changed), ["SetSecurityGroups", "SetSubnets"]);
    let balancer = scene.balancer();
    assert_eq!(
        sorted(&balancer["AvailabilityZones"], "SubnetId"),
        subnets(&scene, &three)
    );
    assert_eq!(sorted(&balancer["SecurityGroups"], ""), [edge.as_str()]);
    assert!(
        !scene
            .node_permissions()
            .iter()
            .any(|it| it.to_string().contains("targetGroupBinding")),
        "nobody asked for permissions of the nodes"
    );
    scene.assert_settled();

    // A name that is not there is a problem with its place, and nothing is touched.
    let (mark, audited) = (scene.bed.proxy.mark(), scene.audit().len());
    scene.put(
        "web.yaml",
        &[web(&[
            ("subnets", "mz-k8s-private-z"),
            ("security-groups", "edge"),
            ("load-balancer-name", "the-web"),
        ])],
    );
    let commit = scene.repo.commit_and_push("A subnet that is not there");
    let status = scene.rejected(&commit);
    assert!(
        status["problems"].to_string().contains("mz-k8s-private-z"),
        "{status:#}"
    );
    scene.assert_changed_nothing(mark, audited);

    // What people made stays.
    scene.assert_leaves_nothing(&seed);
}

#[test]
fn source_ranges_and_prefix_lists_are_what_the_listeners_let_in() {
    let (mut scene, seed) = Scene::serving(&["app1"]);
    let (first, second) = (prefix_list(&scene, "first"), prefix_list(&scene, "second"));
    let with = |cidrs: &str, lists: &str| {
        web(&[
            ("inbound-cidrs", cidrs),
            ("security-group-prefix-lists", lists),
            ("scheme", "internet-facing"),
        ])
    };
    let admitted = |scene: &Scene| {
        let groups = sorted(&scene.balancer()["SecurityGroups"], "");
        let described = scene
            .bed
            .aws("ec2", "DescribeSecurityGroups", json!({"GroupIds": groups}));
        let managed = list(&described["SecurityGroups"])
            .iter()
            .find(|it| text(&it["GroupName"]).starts_with("k8s-default-web-"))
            .expect("the group's own security group")
            .clone();
        scene.admitted(&managed)
    };
    let lines = |sources: &[&str]| {
        let mut lines: Vec<String> = sources
            .iter()
            .map(|source| format!("80 {source}"))
            .collect();
        lines.sort();
        lines
    };
    scene.put(
        "web.yaml",
        &[with(
            "192.0.2.0/24, 198.51.100.7/32",
            &format!("{first}, {second}"),
        )],
    );
    scene.edit("For some only");
    assert_eq!(
        admitted(&scene),
        lines(&["192.0.2.0/24", "198.51.100.7/32", &first, &second])
    );
    scene.assert_settled();

    // One source for another: the new one is in before the old one is out, the rest stays.
    scene.put("web.yaml", &[with("192.0.2.0/24, 203.0.113.0/24", &first)]);
    let changed = scene.edit("For others");
    let aws: Vec<String> = changed
        .on(Plane::Aws)
        .writes()
        .iter()
        .map(|entry| entry.call.label())
        .collect();
    assert_eq!(
        aws,
        [
            "ec2:AuthorizeSecurityGroupIngress",
            "ec2:RevokeSecurityGroupIngress"
        ]
    );
    let authorized = changed.calls("ec2:AuthorizeSecurityGroupIngress")[0]
        .call
        .parameters
        .clone();
    assert!(
        authorized.values().any(|value| value == "203.0.113.0/24"),
        "{authorized:#?}"
    );
    assert!(
        !authorized.values().any(|value| value == "192.0.2.0/24"),
        "{authorized:#?}"
    );
    assert_eq!(
        admitted(&scene),
        lines(&["192.0.2.0/24", "203.0.113.0/24", &first])
    );
    scene.assert_settled();
    scene.assert_leaves_nothing(&seed);
}

/// Starts the daemon again with another configuration.
fn reconfigure(scene: &mut Scene, change: impl FnOnce(&mut Value)) {
    let text = std::fs::read(scene.daemon.config()).expect("the configuration");
    let mut config: Value = serde_json::from_slice(&text).expect("JSON");
    change(&mut config);
    scene.daemon.terminate(PATIENCE).expect("it ends in time");
    scene.daemon.configure(&config);
    scene.daemon.run(&scene.bed);
}

#[test]
fn a_shared_security_group_that_is_given_is_used_and_left() {
    let (mut scene, _) = Scene::serving(&["app1"]);
    let given = security_group(&scene, "shared");
    let seed = scene.bed.dump_with_ids()["aws"].take();
    reconfigure(&mut scene, |config| {
        config["ingress"]["backendSecurityGroup"] = json!(given);
    });
    scene.put("web.yaml", &[web(&[])]);
    let created = scene.edit("Through the given group");
    let groups = sorted(&scene.balancer()["SecurityGroups"], "");
    assert_eq!(groups.len(), 2, "its own and the given one: {groups:?}");
    assert!(groups.contains(&given));
    assert_eq!(
        created.count("ec2:CreateSecurityGroup"),
        1,
        "the balancer's own alone"
    );
    let admitted = |scene: &Scene, group: &str| {
        let permissions = scene.node_permissions();
        permissions.iter().any(|it| it.to_string().contains(group))
    };
    assert!(admitted(&scene, &given));
    scene.assert_settled();

    // Without it, one of ours takes its place before the nodes close to it.
    reconfigure(&mut scene, |config| {
        config["ingress"]["backendSecurityGroup"] = json!("");
    });
    scene.put("web.yaml", &[web(&[("tags", "team=shop")])]);
    scene.edit("Through one of ours");
    let backend = scene.security_group("k8s-traffic-mzk8s-0276909bf6")["GroupId"].take();
    let groups = sorted(&scene.balancer()["SecurityGroups"], "");
    assert!(groups.contains(&text(&backend).to_owned()), "{groups:?}");
    assert!(!groups.contains(&given), "{groups:?}");
    assert!(admitted(&scene, text(&backend)));
    assert!(!admitted(&scene, &given));
    scene.assert_settled();
    scene.assert_leaves_nothing(&seed);
}
