use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use serde_json::json;

use super::*;
use crate::{
    aws::{
        AwsRead, AwsWrite, ElbWrite, GroupQuery,
        fake::{FakeAccount, sample},
    },
    id::{Arn, ResourceId, RoleName, SecurityGroupId, SubnetId},
    model::{
        applied::{Applied, AppliedResource},
        desired::Ref,
        elb::{
            Condition, ListenerSpec, LoadBalancerSpec, RuleAction, RuleSpec, Scheme, Target,
            TargetGroupSpec, WeightedTargetGroup,
        },
        facts::{Node, needs::Needs},
        iam::{PolicySpec, RoleSpec},
        net::{Permission, PermissionSource, SecurityGroupSpec, Tags},
        tags,
    },
};

const CLUSTER: &str = "c";
const GROUP: &str = "default/app";
const VPC: &str = "vpc-0a0a0a0a0a0a0a0a0";

/// What one group has in AWS.
struct Built {
    load_balancer: Arn,
    listener: Arn,
    rule: Arn,
    target_group: Arn,
    security_group: SecurityGroupId,
}

async fn build(aws: &dyn AwsWrite, stack: &str, suffix: &str) -> Built {
    let security_group = aws
        .create_security_group(&security_group(
            &format!("sg-{suffix}"),
            marks("ManagedLBSecurityGroup", stack),
        ))
        .await
        .unwrap();
    let target_group = aws
        .create_target_group(&target_group(
            &format!("tg-{suffix}"),
            marks("default/app-svc:80", stack),
        ))
        .await
        .unwrap();
    let load_balancer = aws
        .create_load_balancer(&load_balancer(
            &format!("lb-{suffix}"),
            &security_group,
            marks("LoadBalancer", stack),
        ))
        .await
        .unwrap()
        .arn;
    let listener = aws
        .create_listener(
            &load_balancer,
            &ListenerSpec {
                tls: None,
                port: 80,
                protocol: "HTTP".into(),
                default_actions: vec![RuleAction::FixedResponse {
                    status_code: "404".into(),
                    content_type: Some("text/plain".into()),
                    message_body: None,
                }],
                attributes: BTreeMap::new(),
                tags: marks("80", stack),
            },
        )
        .await
        .unwrap();
    let rule = aws
        .create_rule(&listener, 10, &rule(&target_group, marks("80:10", stack)))
        .await
        .unwrap();
    let targets = BTreeSet::from([Target {
        all_zones: false,
        id: "i-00000000000000001".into(),
        port: 30080,
    }]);
    aws.register_targets(&target_group, &targets).await.unwrap();
    Built {
        load_balancer,
        listener,
        rule,
        target_group,
        security_group,
    }
}

fn marks(resource: &str, stack: &str) -> Tags {
    Tags::from([
        (tags::CLUSTER.to_owned(), CLUSTER.to_owned()),
        (tags::STACK.to_owned(), stack.to_owned()),
        (tags::RESOURCE.to_owned(), resource.to_owned()),
    ])
}

fn security_group(name: &str, tags: Tags) -> SecurityGroupSpec {
    SecurityGroupSpec {
        name: name.to_owned(),
        description: "d".into(),
        vpc_id: VPC.into(),
        tags,
        ingress: BTreeSet::new(),
    }
}

fn load_balancer(name: &str, group: &SecurityGroupId, tags: Tags) -> LoadBalancerSpec {
    LoadBalancerSpec {
        name: name.to_owned(),
        scheme: Scheme::InternetFacing,
        ip_address_type: "ipv4".into(),
        subnets: vec![SubnetId::from("subnet-pub0"), SubnetId::from("subnet-pub1")],
        security_groups: vec![Ref::Known(group.clone())],
        attributes: BTreeMap::new(),
        tags,
    }
}

fn target_group(name: &str, tags: Tags) -> TargetGroupSpec {
    TargetGroupSpec {
        vpc_id: VPC.into(),
        tags,
        ..sample::target_group(name)
    }
}

fn rule(target_group: &Arn, tags: Tags) -> RuleSpec {
    RuleSpec {
        transforms: Vec::new(),
        conditions: vec![Condition::PathPattern {
            values: vec!["/app1".into()].into(),
        }],
        actions: vec![RuleAction::Forward {
            target_groups: vec![WeightedTargetGroup {
                arn: Ref::Known(target_group.clone()),
                weight: 1,
            }],
            stickiness_seconds: None,
        }],
        tags,
    }
}

/// What the store would know.
fn known(built: &Built) -> GroupKnown {
    GroupKnown {
        load_balancers: BTreeSet::from([built.load_balancer.clone()]),
        target_groups: BTreeSet::from([built.target_group.clone()]),
        security_groups: BTreeSet::from([built.security_group.clone()]),
        ..GroupKnown::default()
    }
}

/// What is wanted while the store knows nothing.
fn wanted(suffix: &str) -> GroupKnown {
    GroupKnown {
        names: Names {
            load_balancer: Some(format!("lb-{suffix}")),
            target_groups: BTreeSet::from([format!("tg-{suffix}")]),
            security_group: Some(format!("sg-{suffix}")),
        },
        ..GroupKnown::default()
    }
}

async fn scanned(aws: &dyn AwsRead, known: GroupKnown) -> GroupKnown {
    GroupKnown {
        scan: Some(Arc::new(Scan::read(aws, CLUSTER, VPC).await)),
        ..known
    }
}

async fn built() -> (FakeAccount, Built) {
    let account = FakeAccount::seeded(CLUSTER);
    let built = build(&account, GROUP, "a").await;
    account.forget_calls();
    (account, built)
}

/// Calls since they were last forgotten: operation → how often.
fn calls(account: &FakeAccount) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for call in account.calls() {
        let operation = call.operation.split(':').next_back().unwrap_or_default();
        *counts.entry(operation.to_owned()).or_default() += 1;
    }
    counts
}

fn counts(expected: &[(&str, usize)]) -> BTreeMap<String, usize> {
    expected
        .iter()
        .map(|(operation, count)| ((*operation).to_owned(), *count))
        .collect()
}

#[tokio::test]
async fn arns_tags_and_names_lead_to_the_same() {
    let (account, built) = built().await;
    build(&account, "default/other", "b").await;
    let by_arn = group(&account, GROUP, CLUSTER, &known(&built)).await;
    let by_tags = group(
        &account,
        GROUP,
        CLUSTER,
        &scanned(&account, GroupKnown::default()).await,
    )
    .await;
    let by_name = group(&account, GROUP, CLUSTER, &wanted("a")).await;
    assert_eq!(by_arn.1, []);
    let seen = &by_arn.0;
    assert_eq!(seen.load_balancers[0].arn, built.load_balancer);
    assert_eq!(seen.load_balancers[0].tags, marks("LoadBalancer", GROUP));
    assert_eq!(seen.listeners[0].arn, built.listener);
    assert_eq!(seen.rules[0].arn, built.rule);
    assert_eq!(seen.rules[0].tags, marks("80:10", GROUP));
    assert_eq!(seen.target_groups[0].targets.len(), 1);
    assert_eq!(seen.security_groups[0].id, built.security_group);
    assert_eq!(seen.name_taken, []);
    assert_eq!(by_tags, by_arn);
    assert_eq!(by_name, by_arn);
}

#[tokio::test]
async fn a_group_that_the_store_knows_takes_one_call_of_each_kind() {
    let (account, built) = built().await;
    group(&account, GROUP, CLUSTER, &known(&built)).await;
    assert_eq!(
        calls(&account),
        counts(&[
            ("DescribeListeners", 1),
            ("DescribeLoadBalancers", 1),
            ("DescribeRules", 1),
            ("DescribeSecurityGroups", 1),
            ("DescribeTags", 1),
            ("DescribeTargetGroups", 1),
            ("DescribeTargetHealth", 1),
        ])
    );
}

#[tokio::test]
async fn an_empty_account_is_scanned_with_three_calls_for_all_groups() {
    let account = FakeAccount::seeded(CLUSTER);
    let scan = Arc::new(Scan::read(&account, CLUSTER, VPC).await);
    for suffix in ["a", "b", "c"] {
        let known = GroupKnown {
            scan: Some(scan.clone()),
            ..wanted(suffix)
        };
        let (seen, gaps) = group(&account, suffix, CLUSTER, &known).await;
        assert_eq!((seen, gaps), Default::default());
    }
    let network_known = NetworkKnown {
        node_groups: BTreeSet::from(["sg-nodes".into()]),
        scan: Some(scan),
        ..NetworkKnown::default()
    };
    let (seen, gaps) = network(&account, CLUSTER, &network_known).await;
    assert_eq!(gaps, []);
    assert_eq!(seen.node_groups.len(), 1);
    assert_eq!(
        calls(&account),
        counts(&[
            ("DescribeLoadBalancers", 1),
            ("DescribeSecurityGroups", 1),
            ("DescribeTargetGroups", 1),
        ])
    );
}

#[tokio::test]
async fn a_scan_names_groups_that_git_and_store_lost() {
    let (account, _) = built().await;
    build(&account, "default/other", "b").await;
    let scan = Scan::read(&account, CLUSTER, VPC).await;
    assert_eq!(
        scan.groups(),
        [GROUP, "default/other"].map(str::to_owned).into()
    );
    let elsewhere = Scan::read(&account, "another", VPC).await;
    assert_eq!(elsewhere.groups(), BTreeSet::new());
}

#[tokio::test]
async fn a_stranger_with_our_name_is_told_and_not_looked_into() {
    let account = FakeAccount::seeded(CLUSTER);
    build(&account, "default/stranger", "a").await;
    let found = group(&account, GROUP, CLUSTER, &wanted("a")).await;
    let scanned = group(
        &account,
        GROUP,
        CLUSTER,
        &scanned(&account, wanted("a")).await,
    )
    .await;
    for (seen, gaps) in [found, scanned] {
        assert_eq!(gaps, []);
        let names: BTreeSet<_> = seen
            .name_taken
            .iter()
            .map(|taken| taken.name.as_str())
            .collect();
        assert_eq!(names, BTreeSet::from(["lb-a", "sg-a", "tg-a"]));
        assert!(
            seen.name_taken
                .iter()
                .all(|taken| taken.tags[tags::STACK] == "default/stranger")
        );
        assert!(seen.load_balancers.is_empty());
        assert!(seen.listeners.is_empty());
        assert!(seen.rules.is_empty());
        assert!(seen.target_groups.is_empty());
        assert!(seen.security_groups.is_empty());
    }
}

#[tokio::test]
async fn what_the_store_knows_is_ours_even_without_tags() {
    let (account, built) = built().await;
    account.edit(|state| {
        state
            .load_balancers
            .get_mut(&built.load_balancer)
            .unwrap()
            .tags
            .clear();
        state
            .target_groups
            .get_mut(&built.target_group)
            .unwrap()
            .tags
            .clear();
        state
            .security_groups
            .get_mut(&built.security_group)
            .unwrap()
            .tags
            .clear();
    });
    for known in [known(&built), scanned(&account, known(&built)).await] {
        let (seen, gaps) = group(&account, GROUP, CLUSTER, &known).await;
        assert_eq!(gaps, []);
        assert_eq!(seen.load_balancers.len(), 1);
        assert_eq!(seen.target_groups.len(), 1);
        assert_eq!(seen.security_groups.len(), 1);
        assert_eq!(seen.name_taken, []);
    }
}

#[tokio::test]
async fn foreign_rules_are_seen_and_foreign_target_groups_are_not() {
    let (account, built) = built().await;
    let foreign = account
        .create_target_group(&target_group("foreign", Tags::new()))
        .await
        .unwrap();
    let by_hand = account
        .create_rule(&built.listener, 7, &rule(&foreign, Tags::new()))
        .await
        .unwrap();
    let (seen, _) = group(&account, GROUP, CLUSTER, &known(&built)).await;
    assert!(seen.rules.iter().any(|rule| rule.arn == by_hand));
    assert_eq!(seen.target_groups.len(), 1);
    assert_eq!(seen.target_groups[0].arn, built.target_group);
}

#[tokio::test]
async fn a_target_group_without_a_balancer_is_found_by_its_arn() {
    let (account, built) = built().await;
    account.delete_rule(&built.rule).await.unwrap();
    let (seen, _) = group(&account, GROUP, CLUSTER, &known(&built)).await;
    assert_eq!(seen.target_groups.len(), 1);
}

#[tokio::test]
async fn attributes_are_read_only_of_what_has_some_to_compare() {
    let (account, built) = built().await;
    let (seen, _) = group(&account, GROUP, CLUSTER, &known(&built)).await;
    assert!(seen.load_balancers[0].attributes.is_empty());

    let mut known = known(&built);
    known.attributes_of = BTreeSet::from([
        ResourceId::load_balancer(GROUP),
        ResourceId::target_group(GROUP, "default/app-svc:80"),
        ResourceId::listener(GROUP, 443),
    ]);
    account.forget_calls();
    let (seen, _) = group(&account, GROUP, CLUSTER, &known).await;
    assert!(!seen.load_balancers[0].attributes.is_empty());
    assert!(!seen.target_groups[0].attributes.is_empty());
    assert!(!calls(&account).contains_key("DescribeListenerAttributes"));
}

#[tokio::test]
async fn what_is_gone_is_absent_and_no_gap() {
    let (account, built) = built().await;
    account.edit(|state| {
        state.load_balancers.clear();
        state.listeners.clear();
        state.rules.clear();
        state.target_groups.clear();
        state.security_groups.remove(&built.security_group);
    });
    let mut known = known(&built);
    known.names = wanted("a").names;
    let (seen, gaps) = group(&account, GROUP, CLUSTER, &known).await;
    assert_eq!((seen, gaps), Default::default());
}

#[tokio::test]
async fn every_read_that_fails_is_a_gap_of_its_group() {
    for operation in [
        "DescribeLoadBalancers",
        "DescribeListeners",
        "DescribeRules",
        "DescribeTargetGroups",
        "DescribeTags",
        "DescribeTargetHealth",
        "DescribeSecurityGroups",
    ] {
        let (account, built) = built().await;
        account.refuse_next(operation, "AccessDenied");
        let (_, gaps) = group(&account, GROUP, CLUSTER, &known(&built)).await;
        assert_eq!(gaps.len(), 1, "{operation}: {gaps:?}");
        assert_eq!(gaps[0].stack, StackId::Group(GROUP.to_owned()));
        assert!(gaps[0].what.ends_with(operation));
        assert!(gaps[0].denied);
    }
}

#[tokio::test]
async fn what_a_scan_could_not_read_is_a_gap_of_every_group() {
    let (account, built) = built().await;
    account.refuse_next("DescribeTargetGroups", "Throttling");
    let known = scanned(&account, known(&built)).await;
    for name in [GROUP, "default/other"] {
        let (_, gaps) = group(&account, name, CLUSTER, &known).await;
        assert_eq!(gaps.len(), 1);
        assert!(!gaps[0].denied);
    }
    let (found, gaps) = load_balancers(&account, &Applied::default(), known.scan.as_deref()).await;
    assert_eq!((found, gaps.len()), (None, 1));
}

#[tokio::test]
async fn known_things_and_names_come_from_store_and_model() {
    let (_, built) = built().await;
    let mut applied = Applied::default();
    let resource = |arn: &str, attribute: Option<&str>| AppliedResource {
        arn: Some(Arn::from(arn)),
        attributes: attribute
            .into_iter()
            .map(|key| (key.to_owned(), String::new()))
            .collect(),
        ..AppliedResource::default()
    };
    let balancer = ResourceId::load_balancer(GROUP);
    applied.resources.insert(
        balancer.clone(),
        resource(built.load_balancer.as_str(), Some("idle")),
    );
    applied.resources.insert(
        ResourceId::managed_security_group(GROUP),
        resource("sg-1", None),
    );
    applied.resources.insert(
        ResourceId::load_balancer("default/other"),
        resource("arn:other", None),
    );
    let known = GroupKnown::new(GROUP, None, &applied);
    assert_eq!(known.load_balancers, BTreeSet::from([built.load_balancer]));
    assert_eq!(known.security_groups, BTreeSet::from(["sg-1".into()]));
    assert_eq!(known.attributes_of, BTreeSet::from([balancer]));
    assert_eq!(known.names, Names::default());
}

#[tokio::test]
async fn balancers_of_the_store_are_read_at_once_for_their_subnets() {
    let (account, built) = built().await;
    let other = build(&account, "default/other", "b").await;
    account.forget_calls();
    let mut applied = Applied::default();
    for (name, built) in [(GROUP, &built), ("default/other", &other)] {
        applied.resources.insert(
            ResourceId::load_balancer(name),
            AppliedResource {
                arn: Some(built.load_balancer.clone()),
                ..AppliedResource::default()
            },
        );
    }
    let (found, gaps) = load_balancers(&account, &applied, None).await;
    assert_eq!(gaps, []);
    let found = found.unwrap();
    assert_eq!(found.len(), 2);
    assert_eq!(found[GROUP].scheme, Some(Scheme::InternetFacing));
    assert_eq!(found[GROUP].subnets.len(), 2);
    assert_eq!(calls(&account), counts(&[("DescribeLoadBalancers", 1)]));

    let scan = Scan::read(&account, CLUSTER, VPC).await;
    let (by_tags, _) = load_balancers(&account, &Applied::default(), Some(&scan)).await;
    assert_eq!(by_tags, Some(found));
}

#[tokio::test]
async fn the_backend_group_is_found_by_id_or_by_tags() {
    let account = FakeAccount::seeded(CLUSTER);
    let tags = Tags::from([
        (tags::CLUSTER.to_owned(), CLUSTER.to_owned()),
        (
            tags::SHARED_RESOURCE.to_owned(),
            tags::BACKEND_SG.to_owned(),
        ),
    ]);
    let id = {
        use crate::aws::Ec2Write;
        account
            .create_security_group(&security_group("k8s-traffic", tags))
            .await
            .unwrap()
    };
    let mut known = NetworkKnown {
        node_groups: BTreeSet::from(["sg-nodes".into()]),
        ..NetworkKnown::default()
    };
    account.forget_calls();
    let (by_tags, gaps) = network(&account, CLUSTER, &known).await;
    assert_eq!(gaps, []);
    assert_eq!(by_tags.backend_groups[0].id, id);
    assert_eq!(by_tags.node_groups.len(), 1);
    assert_eq!(calls(&account), counts(&[("DescribeSecurityGroups", 2)]));

    known.backend_groups = BTreeSet::from([id]);
    account.forget_calls();
    let (by_id, _) = network(&account, CLUSTER, &known).await;
    assert_eq!(by_id, by_tags);
    assert_eq!(calls(&account), counts(&[("DescribeSecurityGroups", 1)]));
}

#[tokio::test]
async fn a_scan_finds_our_permissions_in_groups_that_no_node_has_any_more() {
    let account = FakeAccount::seeded(CLUSTER);
    account.edit(|state| {
        let mut old = state.security_groups[&SecurityGroupId::from("sg-nodes")].clone();
        old.id = "sg-old".into();
        old.ingress.insert(Permission {
            protocol: "tcp".into(),
            from_port: 1,
            to_port: 2,
            source: PermissionSource::Cidr("10.0.0.0/8".into()),
            description: tags::NODE_PERMISSION_MARK.to_owned(),
        });
        state.security_groups.insert(old.id.clone(), old);
    });
    let known = NetworkKnown {
        scan: Some(Arc::new(Scan::read(&account, CLUSTER, VPC).await)),
        ..NetworkKnown::default()
    };
    let (seen, _) = network(&account, CLUSTER, &known).await;
    assert_eq!(
        seen.node_groups.keys().collect::<Vec<_>>(),
        [&SecurityGroupId::from("sg-old")]
    );
}

fn facts_wanted() -> FactsWanted {
    FactsWanted {
        region: "eu-central-1".into(),
        cluster: CLUSTER.into(),
        vpc_id: VPC.into(),
        identity: true,
        instances: Some(BTreeSet::from(["i-00000000000000001".to_owned()])),
        needs: Needs {
            eks: true,
            schemes: BTreeSet::from([Scheme::InternetFacing]),
            ..Needs::default()
        },
    }
}

#[tokio::test]
async fn facts_say_account_cluster_and_network() {
    let account = FakeAccount::seeded(CLUSTER);
    let (found, gaps) = facts(&account, &facts_wanted()).await;
    assert_eq!(gaps, []);
    assert_eq!(found.account.as_deref(), Some("123456789012"));
    assert_eq!(found.partition.as_deref(), Some("aws"));
    assert!(found.oidc_issuer.unwrap().starts_with("https://"));
    assert!(found.cluster_arn.unwrap().contains(":cluster/c"));
    assert_eq!(found.vpc.unwrap().id, VPC);
    assert_eq!(found.subnets.unwrap().len(), 6);
    assert_eq!(
        found.instance_groups.unwrap(),
        BTreeMap::from([(
            "i-00000000000000001".to_owned(),
            vec![SecurityGroupId::from("sg-nodes")]
        )])
    );
    assert_eq!(found.security_groups.unwrap()[0].name, "nodes");
    assert_eq!(
        calls(&account),
        counts(&[
            ("DescribeCluster", 1),
            ("DescribeInstances", 1),
            ("DescribeSecurityGroups", 1),
            ("DescribeSubnets", 1),
            ("GetCallerIdentity", 1),
        ])
    );
}

#[tokio::test]
async fn routes_are_read_only_where_no_subnet_is_tagged_for_a_scheme() {
    let account = FakeAccount::seeded(CLUSTER);
    account.edit(|state| {
        for subnet in &mut state.subnets {
            subnet.tags.remove(tags::ROLE_INTERNAL_ELB);
        }
    });
    let mut wanted = facts_wanted();
    facts(&account, &wanted).await;
    assert_eq!(calls(&account)["DescribeSubnets"], 1);
    wanted.needs.schemes.insert(Scheme::Internal);
    account.forget_calls();
    facts(&account, &wanted).await;
    assert!(calls(&account)["DescribeSubnets"] > 1);
}

#[tokio::test]
async fn a_fact_that_cannot_be_read_is_unknown_and_a_gap() {
    let account = FakeAccount::seeded(CLUSTER);
    for operation in [
        "GetCallerIdentity",
        "DescribeCluster",
        "DescribeSubnets",
        "DescribeInstances",
    ] {
        account.refuse_next(operation, "UnauthorizedOperation");
    }
    let (found, gaps) = facts(&account, &facts_wanted()).await;
    assert_eq!(gaps.len(), 4);
    assert!(gaps.iter().all(|gap| gap.denied));
    assert_eq!(
        (found.account, found.oidc_issuer, found.subnets),
        (None, None, None)
    );
    assert_eq!((found.instance_groups, found.security_groups), (None, None));
}

#[test]
fn instances_are_told_by_the_last_part_of_the_provider_id() {
    let node = |provider_id: Option<&str>| Node {
        name: "n".into(),
        provider_id: provider_id.map(str::to_owned),
        labels: BTreeMap::new(),
        taints: Vec::new(),
        ready: "True".into(),
    };
    let nodes = [
        node(Some("aws:///eu-central-1a/i-1")),
        node(Some("eks-hybrid:///r/c/mi-2")),
        node(None),
    ];
    assert_eq!(instance_ids(&nodes), BTreeSet::from(["i-1".to_owned()]));
}

fn iam_tags(object: &str) -> Tags {
    Tags::from([
        (tags::OWNER.to_owned(), "us".to_owned()),
        (tags::OBJECT.to_owned(), object.to_owned()),
    ])
}

async fn build_role(account: &FakeAccount, object: &str, name: &str) -> Arn {
    use crate::aws::IamWrite;

    let policy = account
        .create_policy(&PolicySpec {
            name: format!("{name}-own"),
            path: "/albsync/".into(),
            arn: Arn(format!(
                "arn:aws:iam::123456789012:policy/albsync/{name}-own"
            )),
            description: String::new(),
            document: json!({"Version": "2012-10-17", "Statement": []}),
            tags: iam_tags(object),
        })
        .await
        .unwrap();
    let role = RoleName::from(name);
    account
        .create_role(&RoleSpec {
            name: role.clone(),
            path: "/albsync/".into(),
            arn: Arn(format!("arn:aws:iam::123456789012:role/albsync/{name}")),
            description: String::new(),
            max_session_duration_seconds: 3600,
            trust: json!({}),
            permissions_boundary: None,
            tags: iam_tags(object),
            attached: BTreeSet::new(),
            inline: BTreeMap::new(),
            additive: false,
            adopt_role_id: None,
            report_only: false,
        })
        .await
        .unwrap();
    account.attach_role_policy(&role, &policy).await.unwrap();
    policy
}

#[tokio::test]
async fn a_role_comes_with_the_policies_attached_under_our_path() {
    let account = FakeAccount::seeded(CLUSTER);
    let policy = build_role(&account, "default/app", "app").await;
    let mut applied = Applied::default();
    applied.resources.insert(
        ResourceId::role("default/app"),
        AppliedResource {
            arn: Some(Arn::from("arn:aws:iam::123456789012:role/albsync/app")),
            ..AppliedResource::default()
        },
    );
    let known = RoleKnown::new("default/app", "/albsync/", None, &applied);
    assert_eq!(known.name, Some(RoleName::from("app")));
    let (seen, gaps) = role(&account, "default/app", &known).await;
    assert_eq!(gaps, []);
    assert_eq!(seen.role.unwrap().name, RoleName::from("app"));
    assert_eq!(seen.policies.keys().collect::<Vec<_>>(), [&policy]);
}

#[tokio::test]
async fn roles_and_policies_that_the_store_lost_are_found_by_tags() {
    let account = FakeAccount::seeded(CLUSTER);
    let policy = build_role(&account, "default/app", "app").await;
    build_role(&account, "default/other", "other").await;
    let scan = IamScan::read(&account, "/albsync/", "us").await;
    assert_eq!(
        scan.objects(),
        ["default/app", "default/other"].map(str::to_owned).into()
    );
    assert_eq!(
        IamScan::read(&account, "/albsync/", "them").await.objects(),
        BTreeSet::new()
    );
    let known = RoleKnown {
        path: "/albsync/".into(),
        scan: Some(Arc::new(scan)),
        ..RoleKnown::default()
    };
    let (seen, gaps) = role(&account, "default/app", &known).await;
    assert_eq!(gaps, []);
    assert_eq!(seen.role.unwrap().name, RoleName::from("app"));
    assert_eq!(seen.policies.keys().collect::<Vec<_>>(), [&policy]);
}

#[tokio::test]
async fn an_absent_provider_is_absent_and_a_refused_one_is_a_gap() {
    let account = FakeAccount::seeded(CLUSTER);
    let arn = Arn::from("arn:aws:iam::123456789012:oidc-provider/x");
    let (seen, gaps) = provider(&account, &arn).await;
    assert_eq!((seen.provider, gaps.len()), (None, 0));
    account.refuse_next("GetOpenIDConnectProvider", "AccessDenied");
    let (seen, gaps) = provider(&account, &arn).await;
    assert_eq!((seen.provider, gaps.len()), (None, 1));
}

/// The daemon's passes move between threads.
#[allow(dead_code, reason = "compiling is the test")]
fn observing_may_change_threads(aws: &'static dyn AwsRead, known: &'static GroupKnown) {
    fn check(_: impl Send) {}
    check(group(aws, GROUP, CLUSTER, known));
    check(Scan::read(aws, CLUSTER, VPC));
    check(IamScan::read(aws, "/", "us"));
    check(aws.security_groups(&GroupQuery::Name(String::new())));
}

#[allow(dead_code, reason = "compiling is the test")]
fn reading_the_rest_may_change_threads(
    aws: &'static dyn AwsRead,
    network_known: &'static NetworkKnown,
    role_known: &'static RoleKnown,
    wanted: &'static FactsWanted,
    applied: &'static Applied,
) {
    fn check(_: impl Send) {}
    check(network(aws, CLUSTER, network_known));
    check(role(aws, "", role_known));
    check(facts(aws, wanted));
    check(load_balancers(aws, applied, None));
}

mod lookups;
