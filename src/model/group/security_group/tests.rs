use serde_json::{Value, json};

use super::super::{GroupModel, IngressSource, Later, SecurityGroupRef, fixture::*};
use crate::id::SecurityGroupId;

const SHARED: &str = "sg-shared";

fn world(annotations: Value) -> World {
    World::new().ingress("web", annotations, plain()).fact(
        "securityGroups",
        json!([
            {"id": SHARED, "tags": {"elbv2.k8s.aws/cluster": "mz-k8s", "elbv2.k8s.aws/resource": "backend-sg"}},
            {"id": "sg-foreign", "tags": {"elbv2.k8s.aws/cluster": "other", "elbv2.k8s.aws/resource": "backend-sg"}},
            {"id": "sg-2", "tags": {"Name": "edge"}},
            {"id": "sg-1", "tags": {"Name": "edge"}},
        ]),
    )
}

fn id(text: &str) -> SecurityGroupRef {
    SecurityGroupRef::Id(SecurityGroupId::from(text))
}

fn shared(text: &str) -> SecurityGroupRef {
    SecurityGroupRef::Backend(Some(SecurityGroupId::from(text)))
}

/// Who is let in to the targets.
fn source(group: &GroupModel) -> Option<SecurityGroupRef> {
    let target_group = group.target_groups.values().next()?;
    let networking = target_group.binding.networking.as_ref()?;
    Some(networking.source.clone())
}

#[test]
fn a_balancer_has_its_own_group_and_the_shared_one() {
    let mut world = world(json!({}));
    let group = world.group();
    assert_eq!(
        group.load_balancer.security_groups,
        [SecurityGroupRef::Managed, shared(SHARED)]
    );
    assert_eq!(source(&group), Some(shared(SHARED)));

    world.settings.flags.backend_security_group = "sg-configured".to_owned();
    assert_eq!(source(&world.group()), Some(shared("sg-configured")));

    world.settings.flags.enable_backend_security_group = false;
    let group = world.group();
    assert_eq!(
        group.load_balancer.security_groups,
        [SecurityGroupRef::Managed]
    );
    assert_eq!(source(&group), Some(SecurityGroupRef::Managed));
}

#[test]
fn the_shared_group_may_be_there_only_after_the_first_apply() {
    let group = world(json!({})).fact("securityGroups", json!([])).group();
    let later: Later<SecurityGroupId> = None;
    assert_eq!(source(&group), Some(SecurityGroupRef::Backend(later)));
}

#[test]
fn groups_that_the_user_names_stand_alone_unless_rules_are_managed() {
    let group = world(json!({"security-groups": "edge,sg-foreign"})).group();
    assert_eq!(
        group.load_balancer.security_groups,
        [id("sg-foreign"), id("sg-2"), id("sg-1")]
    );
    assert_eq!(
        (group.security_group.as_ref(), source(&group)),
        (None, None)
    );

    let managing =
        json!({"security-groups": "sg-1", "manage-backend-security-group-rules": "true"});
    let mut managed = world(managing);
    let group = managed.group();
    assert_eq!(
        group.load_balancer.security_groups,
        [id("sg-1"), shared(SHARED)]
    );
    assert_eq!(source(&group), Some(shared(SHARED)));

    managed.settings.flags.enable_backend_security_group = false;
    assert_eq!(
        managed.refusals(),
        [
            "network: the annotation alb.ingress.kubernetes.io/manage-backend-security-group-rules cannot be \"true\" without the shared backend group"
        ]
    );

    let mut by_flag = world(json!({"security-groups": "sg-1"}));
    by_flag
        .settings
        .flags
        .enable_manage_backend_security_group_rules = true;
    assert_eq!(source(&by_flag.group()), Some(shared(SHARED)));
}

#[test]
fn groups_that_do_not_exist_are_all_told() {
    let world = world(json!({"security-groups": "sg-1,sg-1,sg-3,egde"}));
    let mut said = world.refusals();
    said.sort();
    assert_eq!(
        said,
        [
            "network: no security group of the VPC is named \"egde\" by its tag Name, which security-groups wants",
            "network: security-groups names the security group sg-1 twice",
            "network: security-groups names the security group sg-3, which does not exist",
        ]
    );
}

/// What a list comes to among groups of which two have these names.
fn named(list: &str) -> World {
    World::new()
        .ingress("web", json!({"security-groups": list}), plain())
        .fact(
            "securityGroups",
            json!([
                {"id": "sg-9", "tags": {"Name": "edge-sg"}},
                {"id": "sg-2", "tags": {"Name": "other-sg"}},
                {"id": "sg-3", "tags": {"Name": "other-sg"}},
                {"id": "sg-4", "tags": {"Name": "star*"}},
                {"id": "sg-5", "tags": {"name": "edge-no"}},
            ]),
        )
}

#[test]
fn names_have_wildcards_as_ec2s_filters_do() {
    let taken = |list: &str| named(list).group().load_balancer.security_groups;
    assert_eq!(taken("edge-*"), [id("sg-9")]);
    assert_eq!(taken("ed?e-sg"), [id("sg-9")]);
    assert_eq!(taken("edge-sg,*-sg"), [id("sg-9"), id("sg-2"), id("sg-3")]);
    assert_eq!(taken("other-*, edge-*").len(), 3);
    assert_eq!(taken(r"star\*"), [id("sg-4")]);
    assert_eq!(taken("star*,sg-5"), [id("sg-5"), id("sg-4")]);
}

#[test]
fn as_many_names_are_found_as_are_asked_for() {
    for (list, counts) in [
        (
            "*-sg",
            "1, found by the tag Name: 2 (\"edge-sg\", \"other-sg\")",
        ),
        (
            "edge-sg,edge-*",
            "2, found by the tag Name: 1 (\"edge-sg\")",
        ),
    ] {
        let said = format!(
            "network: security-groups cannot be \"{list}\": different names asked for: {counts}"
        );
        assert_eq!(named(list).refusals(), [said.as_str()]);
        assert_eq!(named(list).lbc().refusals(), [said.as_str()]);
    }
    let absent = |name: &str| {
        format!(
            "network: no security group of the VPC is named \"{name}\" by its tag Name, which security-groups wants"
        )
    };
    assert_eq!(named("EDGE-*").lbc().refusals(), [absent("EDGE-*")]);
    assert_eq!(named(r"edge\*").lbc().refusals(), [absent(r"edge\*")]);
    // LBC does nothing but count, so one that takes two makes up for one that takes none.
    let made_up = named("*-sg,nobody");
    assert_eq!(made_up.refusals(), [absent("nobody")]);
    assert_eq!(
        made_up.lbc().group().load_balancer.security_groups,
        [id("sg-9"), id("sg-2"), id("sg-3")]
    );
}

#[test]
fn sources_are_sorted_and_ipv6_needs_a_dualstack_balancer() {
    let annotations = json!({
        "inbound-cidrs": "2001:db8::/32,198.51.100.0/24,192.0.2.0/24,192.0.2.0/24",
        "security-group-prefix-lists": "pl-2,pl-1",
    });
    let sources = |world: World| -> Vec<IngressSource> {
        let managed = world.group().security_group;
        let permissions = managed.map(|managed| managed.ingress).unwrap_or_default();
        permissions
            .into_iter()
            .map(|permission| permission.source)
            .collect()
    };
    let v4 = |text: &str| IngressSource::Ipv4(text.to_owned());
    let list = |text: &str| IngressSource::PrefixList(text.to_owned());
    assert_eq!(
        sources(world(annotations.clone())),
        [
            v4("192.0.2.0/24"),
            v4("198.51.100.0/24"),
            list("pl-1"),
            list("pl-2")
        ]
    );
    let mut dualstack = annotations;
    dualstack["ip-address-type"] = json!("dualstack");
    let subnet = |id: &str, az: &str| json!({"id": id, "az": az, "freeAddresses": 9, "ipv6Cidrs": ["2001:db8::/64"], "tags": {"kubernetes.io/role/internal-elb": ""}});
    let subnets = json!([subnet("subnet-1", "a"), subnet("subnet-2", "b")]);
    assert_eq!(
        sources(world(dualstack).fact("subnets", subnets.clone())),
        [
            v4("192.0.2.0/24"),
            v4("198.51.100.0/24"),
            IngressSource::Ipv6("2001:db8::/32".to_owned()),
            list("pl-1"),
            list("pl-2")
        ]
    );
    // Open to all by default; lists alone close it.
    let open = world(json!({"ip-address-type": "dualstack"})).fact("subnets", subnets);
    assert_eq!(
        sources(open),
        [v4("0.0.0.0/0"), IngressSource::Ipv6("::/0".to_owned())]
    );
    assert_eq!(
        sources(world(json!({"security-group-prefix-lists": "pl-1"}))),
        [list("pl-1")]
    );
}
