//! Every port method against an emulator at `ALBSYNC_TEST_AWS` (an address like `http://127.0.0.1:5000`), which has a
//! default VPC with subnets, as moto has. Skipped without.

use std::collections::BTreeSet;

use serde_json::json;

use super::*;
use crate::{
    aws::{
        Ec2Read, Ec2Write, ElbRead, ElbWrite, GroupQuery, IamRead, IamWrite, Query, fake::sample,
    },
    id::{Arn, RoleName, SubnetId},
    model::{
        desired::Ref,
        elb::{
            Condition, HealthCheck, ListenerSpec, LoadBalancerSpec, Matcher, QueryPair, RuleAction,
            RuleSpec, Scheme, TargetGroupSpec, WeightedTargetGroup,
        },
        iam::{PolicySpec, ProviderSpec, RoleSpec},
        net::{Permission, PermissionSource, SecurityGroupSpec, Tags},
        tags,
    },
    observe::aws::{GroupKnown, Scan, group},
};

const CLUSTER: &str = "emulated";
const GROUP: &str = "default/app";

/// An account of our own for each test, in the VPC that is there.
async fn account() -> Option<Sdk> {
    let url = std::env::var("ALBSYNC_TEST_AWS").ok()?;
    let mut options = options(&url);
    let config = shared_config(&options)
        .await
        .into_builder()
        .endpoint_url(url.clone())
        .credentials_provider(SharedCredentialsProvider::new(Credentials::new(
            "test", "test", None, None, "tests",
        )))
        .build();
    let vpcs = aws_sdk_ec2::Client::new(&config)
        .describe_vpcs()
        .send()
        .await
        .unwrap();
    options.vpc_id = vpcs
        .vpcs()
        .iter()
        .find(|vpc| vpc.is_default() == Some(true))
        .and_then(|vpc| vpc.vpc_id())
        .unwrap()
        .to_owned();
    Some(Sdk::of_config(&config, &options))
}

/// A name that no other run used.
fn fresh(prefix: &str) -> String {
    let nanos = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap()
        .as_nanos();
    format!("{prefix}-{:x}", nanos & 0xffff_ffff_ffff)
}

fn marks(resource: &str, stack: &str) -> Tags {
    Tags::from([
        (tags::CLUSTER.to_owned(), CLUSTER.to_owned()),
        (tags::STACK.to_owned(), stack.to_owned()),
        (tags::RESOURCE.to_owned(), resource.to_owned()),
    ])
}

fn permission(port: i32, source: PermissionSource, description: &str) -> Permission {
    Permission {
        protocol: "tcp".into(),
        from_port: port,
        to_port: port,
        source,
        description: description.into(),
    }
}

fn forward(groups: &[(&Arn, i32)], stickiness_seconds: Option<i32>) -> RuleAction {
    let mut target_groups: Vec<_> = groups
        .iter()
        .map(|(arn, weight)| WeightedTargetGroup {
            arn: Ref::Known((*arn).clone()),
            weight: *weight,
        })
        .collect();
    target_groups.sort();
    RuleAction::Forward {
        target_groups,
        stickiness_seconds,
    }
}

fn security_group(name: &str, vpc_id: &str, tags: Tags) -> SecurityGroupSpec {
    SecurityGroupSpec {
        name: name.to_owned(),
        description: "[k8s] a test".into(),
        vpc_id: vpc_id.to_owned(),
        tags,
        ingress: BTreeSet::new(),
    }
}

fn target_group(name: &str, vpc_id: &str, tags: Tags) -> TargetGroupSpec {
    TargetGroupSpec {
        vpc_id: vpc_id.to_owned(),
        tags,
        ..sample::target_group(name)
    }
}

#[tokio::test]
async fn security_groups_live_their_whole_life() {
    let Some(sdk) = account().await else { return };
    assert_eq!(sdk.vpc().await.unwrap().id, sdk.vpc_id());
    let subnets = sdk.subnets(true).await.unwrap();
    assert!(subnets.len() >= 2);
    assert!(subnets.iter().all(|subnet| subnet.public.is_some()));
    assert_eq!(
        sdk.instance_groups(&["i-0123456789abcdef0".into()]).await,
        Ok(BTreeMap::new())
    );

    let name = fresh("sg");
    let marks = Tags::from([("mark".to_owned(), name.clone())]);
    let id = sdk
        .create_security_group(&security_group(&name, &sdk.vpc_id(), marks))
        .await
        .unwrap();
    let other = sdk
        .create_security_group(&security_group(&fresh("other"), &sdk.vpc_id(), Tags::new()))
        .await
        .unwrap();
    let permissions = [
        permission(80, PermissionSource::Cidr("0.0.0.0/0".into()), ""),
        permission(80, PermissionSource::Cidr("10.0.0.0/8".into()), "office"),
        permission(80, PermissionSource::Ipv6Cidr("::/0".into()), ""),
        permission(
            30080,
            PermissionSource::SecurityGroup(Ref::Known(other.clone())),
            tags::NODE_PERMISSION_MARK,
        ),
    ];
    sdk.authorize_ingress(&id, &permissions).await.unwrap();
    let read = || async {
        let found = sdk
            .security_groups(&GroupQuery::Ids(vec![
                id.clone(),
                "sg-0123456789abcdef0".into(),
            ]))
            .await
            .unwrap();
        assert_eq!(found.len(), 1, "the unknown one is left out");
        found.into_iter().next().unwrap()
    };
    let live = read().await;
    assert_eq!(live.ingress, BTreeSet::from(permissions.clone()));
    assert_eq!(live.name, name);
    assert_eq!(live.vpc_id, sdk.vpc_id());

    let again = sdk
        .authorize_ingress(&id, &permissions[..1])
        .await
        .unwrap_err();
    assert!(again.has_code(&["InvalidPermission.Duplicate"]), "{again}");
    assert_eq!(again.effect, Effect::None);

    sdk.revoke_ingress(&id, &permissions[1..]).await.unwrap();
    assert_eq!(
        read().await.ingress,
        BTreeSet::from([permissions[0].clone()])
    );

    sdk.create_tags(&id, &Tags::from([("a".into(), "1".into())]))
        .await
        .unwrap();
    sdk.delete_tags(&id, &BTreeSet::from(["mark".to_owned()]))
        .await
        .unwrap();
    assert_eq!(read().await.tags, Tags::from([("a".into(), "1".into())]));
    let by_name = GroupQuery::Name(name.clone());
    assert_eq!(sdk.security_groups(&by_name).await.unwrap().len(), 1);
    // Wildcards in a value count, unless a backslash stands before them.
    for (value, is_found) in [("1", true), ("*", true), ("?", true), (r"\?", false)] {
        let by_tags = GroupQuery::Tags([("a".to_owned(), Some(value.to_owned()))].into());
        let found = sdk.security_groups(&by_tags).await.unwrap();
        assert_eq!(found.iter().any(|live| live.id == id), is_found, "{value}");
    }

    sdk.delete_security_group(&id).await.unwrap();
    sdk.delete_security_group(&other).await.unwrap();
    assert!(sdk.security_groups(&by_name).await.unwrap().is_empty());
    assert!(
        sdk.delete_security_group(&id)
            .await
            .unwrap_err()
            .is_not_found()
    );
}

#[tokio::test]
async fn a_balancer_lives_its_whole_life() {
    let Some(sdk) = account().await else { return };
    let stack = fresh(GROUP);
    let subnets: Vec<SubnetId> = {
        let all = sdk.subnets(false).await.unwrap();
        all.into_iter().map(|subnet| subnet.id).take(3).collect()
    };
    let group_id = sdk
        .create_security_group(&security_group(
            &fresh("managed"),
            &sdk.vpc_id(),
            marks("ManagedLBSecurityGroup", &stack),
        ))
        .await
        .unwrap();
    let spec = LoadBalancerSpec {
        name: fresh("lb"),
        scheme: Scheme::InternetFacing,
        ip_address_type: "ipv4".into(),
        subnets: subnets[..2].to_vec(),
        security_groups: vec![Ref::Known(group_id.clone())],
        attributes: BTreeMap::new(),
        tags: marks("LoadBalancer", &stack),
    };
    let created = sdk.create_load_balancer(&spec).await.unwrap();
    let lb = created.arn.clone();
    let read = || async {
        let query = Query::Arns(vec![lb.clone(), Arn(format!("{lb}0"))]);
        let found = sdk.load_balancers(&query).await.unwrap();
        assert_eq!(found.len(), 1, "the unknown one is left out");
        found.into_iter().next().unwrap()
    };
    let live = read().await;
    assert_eq!(live.name, spec.name);
    assert_eq!(live.scheme, Some(Scheme::InternetFacing));
    assert_eq!(live.dns_name, created.dns_name);
    assert_eq!(live.kind, "application");
    assert_eq!(live.vpc_id, sdk.vpc_id());
    assert_eq!(live.subnets, subnets[..2].iter().cloned().collect());
    assert_eq!(live.security_groups, std::slice::from_ref(&group_id));
    assert!(
        sdk.load_balancers(&Query::All)
            .await
            .unwrap()
            .iter()
            .any(|live| live.arn == lb)
    );
    let by_name = Query::Names(vec![spec.name.clone(), fresh("nobody")]);
    assert_eq!(sdk.load_balancers(&by_name).await.unwrap().len(), 1);

    sdk.set_subnets(&lb, &subnets).await.unwrap();
    sdk.set_security_groups(&lb, std::slice::from_ref(&group_id))
        .await
        .unwrap();
    sdk.set_ip_address_type(&lb, "dualstack").await.unwrap();
    let live = read().await;
    assert_eq!(live.subnets.len(), subnets.len());
    assert_eq!(live.ip_address_type, "dualstack");
    let attributes = BTreeMap::from([("idle_timeout.timeout_seconds".to_owned(), "30".to_owned())]);
    sdk.modify_load_balancer_attributes(&lb, &attributes)
        .await
        .unwrap();
    let read_back = sdk.load_balancer_attributes(&lb).await.unwrap();
    assert_eq!(read_back["idle_timeout.timeout_seconds"], "30");

    let a = target_groups_live(&sdk, &stack, "a").await;
    let b = target_groups_live(&sdk, &stack, "b").await;
    let listener = listeners_live(&sdk, &lb, &stack, &a).await;
    rules_live(&sdk, &listener, &stack, (&a, &b)).await;
    tags_live(&sdk, [&lb, &listener, &a]).await;
    observing_finds_it(&sdk, &stack, (&lb, &listener, &a, &b)).await;

    let of = Query::OfLoadBalancer(lb.clone());
    let hanging = sdk.target_groups(&of).await.unwrap();
    assert!(hanging.iter().any(|live| live.arn == a));
    sdk.delete_listener(&listener).await.unwrap();
    sdk.delete_load_balancer(&lb).await.unwrap();
    for target_group in [&a, &b] {
        sdk.delete_target_group(target_group).await.unwrap();
        assert_eq!(
            sdk.target_groups(&Query::Arns(vec![target_group.clone()]))
                .await,
            Ok(vec![])
        );
    }
    sdk.delete_security_group(&group_id).await.unwrap();
    assert_eq!(sdk.load_balancers(&by_name).await, Ok(vec![]));
    assert_eq!(sdk.listeners(&lb).await, Ok(vec![]));
    assert_eq!(sdk.rules(&listener).await, Ok(vec![]));
}

async fn target_groups_live(sdk: &Sdk, stack: &str, name: &str) -> Arn {
    let spec = target_group(&fresh(name), &sdk.vpc_id(), marks(name, stack));
    let arn = sdk.create_target_group(&spec).await.unwrap();
    let read = || async {
        let names = Query::Names(vec![spec.name.clone()]);
        let found = sdk.target_groups(&names).await.unwrap();
        found.into_iter().next().unwrap()
    };
    let live = read().await;
    assert_eq!(live.arn, arn);
    assert_eq!(live.health_check, spec.health_check);
    assert_eq!(
        (
            live.port,
            live.protocol.as_str(),
            live.protocol_version.as_str(),
            live.target_type.as_str()
        ),
        (30080, "HTTP", "HTTP1", "instance")
    );
    assert_eq!(
        (live.ip_address_type.as_str(), &live.vpc_id),
        ("ipv4", &sdk.vpc_id())
    );

    let check = HealthCheck {
        path: "/healthz".into(),
        interval_seconds: 20,
        matcher: Matcher::HttpCode("200-299".into()),
        ..spec.health_check.clone()
    };
    sdk.modify_target_group(&arn, &check).await.unwrap();
    assert_eq!(read().await.health_check, check);
    let attributes = BTreeMap::from([(
        "deregistration_delay.timeout_seconds".to_owned(),
        "10".to_owned(),
    )]);
    sdk.modify_target_group_attributes(&arn, &attributes)
        .await
        .unwrap();
    assert_eq!(
        sdk.target_group_attributes(&arn).await.unwrap()["deregistration_delay.timeout_seconds"],
        "10"
    );

    let target = |id: &str| crate::model::elb::Target {
        all_zones: false,
        id: id.to_owned(),
        port: 30080,
    };
    let two = BTreeSet::from([target("i-0000000000000000a"), target("i-0000000000000000b")]);
    sdk.register_targets(&arn, &two).await.unwrap();
    assert_eq!(sdk.targets(&arn).await.unwrap(), two);
    sdk.deregister_targets(&arn, &BTreeSet::from([target("i-0000000000000000a")]))
        .await
        .unwrap();
    assert_eq!(
        sdk.targets(&arn).await.unwrap(),
        BTreeSet::from([target("i-0000000000000000b")])
    );
    arn
}

async fn listeners_live(sdk: &Sdk, lb: &Arn, stack: &str, target_group: &Arn) -> Arn {
    let mut spec = ListenerSpec {
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
    };
    let arn = sdk.create_listener(lb, &spec).await.unwrap();
    let read = || async { sdk.listeners(lb).await.unwrap().into_iter().next().unwrap() };
    let live = read().await;
    assert_eq!((&live.arn, &live.load_balancer, live.port), (&arn, lb, 80));
    assert_eq!(live.default_actions, spec.default_actions);
    spec.default_actions = vec![forward(&[(target_group, 1)], None)];
    sdk.modify_listener(&arn, &spec).await.unwrap();
    assert_eq!(read().await.default_actions, spec.default_actions);
    let attributes = BTreeMap::from([(
        "routing.http.response.server.enabled".to_owned(),
        "false".to_owned(),
    )]);
    sdk.modify_listener_attributes(&arn, &attributes)
        .await
        .unwrap();
    assert_eq!(
        sdk.listener_attributes(&arn).await.unwrap()["routing.http.response.server.enabled"],
        "false"
    );
    arn
}

async fn rules_live(sdk: &Sdk, listener: &Arn, stack: &str, (a, b): (&Arn, &Arn)) {
    let conditions = vec![
        Condition::HostHeader {
            values: vec!["sample-app.mamezou-tech.com".into()].into(),
        },
        Condition::PathPattern {
            values: vec!["/app1".into(), "/app1/*".into()].into(),
        },
        Condition::HttpHeader {
            name: "X-A".into(),
            values: vec!["1".into()].into(),
        },
        Condition::HttpRequestMethod {
            values: vec!["GET".into()],
        },
    ];
    let more = vec![
        Condition::QueryString {
            values: vec![
                QueryPair {
                    key: Some("k".into()),
                    value: "v".into(),
                },
                QueryPair {
                    key: None,
                    value: "alone".into(),
                },
            ],
        },
        Condition::SourceIp {
            values: vec!["10.0.0.0/8".into()],
        },
    ];
    let spec = |conditions: &[Condition], action: RuleAction, number: u32| RuleSpec {
        transforms: Vec::new(),
        conditions: conditions.to_vec(),
        actions: vec![action],
        tags: marks(&format!("80:{number}"), stack),
    };
    let redirect = RuleAction::Redirect {
        protocol: "HTTPS".into(),
        host: "#{host}".into(),
        port: "443".into(),
        path: "/#{path}".into(),
        query: "#{query}".into(),
        status_code: "HTTP_301".into(),
    };
    let weighted = forward(&[(a, 1), (b, 9)], Some(60));
    let first = sdk
        .create_rule(listener, 1000, &spec(&conditions, weighted.clone(), 1000))
        .await
        .unwrap();
    let second = sdk
        .create_rule(listener, 2000, &spec(&more, redirect.clone(), 2000))
        .await
        .unwrap();
    let busy = sdk
        .create_rule(listener, 1000, &spec(&more, redirect.clone(), 1000))
        .await
        .unwrap_err();
    assert!(busy.has_code(&["PriorityInUse"]), "{busy}");

    let rules = sdk.rules(listener).await.unwrap();
    assert_eq!(
        rules.iter().map(|rule| rule.priority).collect::<Vec<_>>(),
        [1000, 2000]
    );
    assert_eq!(rules[0].conditions, conditions);
    assert_eq!(rules[0].actions, [weighted]);
    assert_eq!(rules[1].conditions, more);
    assert_eq!(rules[1].actions, std::slice::from_ref(&redirect));

    let changed = RuleSpec {
        conditions: more[1..].to_vec(),
        actions: vec![forward(&[(b, 1)], None)],
        transforms: Vec::new(),
        tags: Tags::new(),
    };
    sdk.modify_rule(&second, &changed).await.unwrap();
    sdk.set_rule_priorities(&BTreeMap::from([(second.clone(), 500)]))
        .await
        .unwrap();
    let rules = sdk.rules(listener).await.unwrap();
    assert_eq!(rules[0].arn, second);
    assert_eq!(rules[0].priority, 500);
    assert_eq!(rules[0].conditions, more[1..]);
    assert_eq!(rules[0].actions, [forward(&[(b, 1)], None)]);
    sdk.delete_rule(&first).await.unwrap();
    assert_eq!(sdk.rules(listener).await.unwrap().len(), 1);
}

async fn tags_live(sdk: &Sdk, arns: [&Arn; 3]) {
    for arn in arns {
        sdk.add_tags(arn, &Tags::from([("mine".into(), "1".into())]))
            .await
            .unwrap();
    }
    let all: Vec<Arn> = arns.into_iter().cloned().collect();
    let found = sdk.tags(&all).await.unwrap();
    assert_eq!(found.len(), 3);
    assert!(
        found
            .values()
            .all(|tags| tags["mine"] == "1" && tags[tags::CLUSTER] == CLUSTER)
    );
    for arn in arns {
        sdk.remove_tags(arn, &BTreeSet::from(["mine".to_owned()]))
            .await
            .unwrap();
    }
    let found = sdk.tags(&all).await.unwrap();
    assert!(found.values().all(|tags| !tags.contains_key("mine")));
}

/// By ARN and by tags alike.
async fn observing_finds_it(
    sdk: &Sdk,
    stack: &str,
    (lb, listener, a, b): (&Arn, &Arn, &Arn, &Arn),
) {
    let scan = Scan::read(sdk, CLUSTER, &sdk.vpc_id()).await;
    assert_eq!(scan.failures(), []);
    assert!(scan.groups().contains(stack));
    let scanned = GroupKnown {
        scan: Some(Arc::new(scan)),
        ..GroupKnown::default()
    };
    let by_tags = group(sdk, stack, CLUSTER, &scanned).await;
    assert_eq!(by_tags.1, []);
    let found = &by_tags.0;
    assert_eq!(
        found
            .load_balancers
            .iter()
            .map(|live| &live.arn)
            .collect::<Vec<_>>(),
        [lb]
    );
    assert_eq!(
        found
            .listeners
            .iter()
            .map(|live| &live.arn)
            .collect::<Vec<_>>(),
        [listener]
    );
    assert_eq!(found.rules.len(), 1);
    assert_eq!(found.rules[0].tags[tags::STACK], stack);
    assert_eq!(found.target_groups.len(), 2);
    assert!(
        found
            .target_groups
            .iter()
            .all(|live| live.targets.len() == 1)
    );
    assert_eq!(found.security_groups.len(), 1);

    let known = GroupKnown {
        load_balancers: BTreeSet::from([lb.clone()]),
        target_groups: BTreeSet::from([a.clone(), b.clone()]),
        security_groups: found
            .security_groups
            .iter()
            .map(|live| live.id.clone())
            .collect(),
        ..GroupKnown::default()
    };
    let before: u64 = sdk.governor().counts().values().sum();
    let mut by_arn = group(sdk, stack, CLUSTER, &known).await;
    let calls = sdk.governor().counts().values().sum::<u64>() - before;
    by_arn
        .0
        .target_groups
        .sort_by(|left, right| left.arn.cmp(&right.arn));
    let mut by_tags = by_tags;
    by_tags
        .0
        .target_groups
        .sort_by(|left, right| left.arn.cmp(&right.arn));
    assert_eq!(by_arn, by_tags);
    assert!(calls <= 8, "{calls} calls");
}

#[tokio::test]
async fn roles_and_policies_live_their_whole_life() {
    let Some(sdk) = account().await else { return };
    let identity = sdk.identity().await.unwrap();
    assert_eq!(
        (identity.account.len(), identity.partition.as_str()),
        (12, "aws")
    );
    let missing = sdk.eks_cluster("nobody").await.unwrap_err();
    assert!(missing.is_not_found(), "{missing}");

    let path = format!("/{}/", fresh("p"));
    let issuer = format!("https://oidc.example.com/id/{}", fresh("X"));
    let arn =
        |kind: &str, name: &str| Arn(format!("arn:aws:iam::{}:{kind}{name}", identity.account));
    let provider_arn = arn("oidc-provider/", issuer.trim_start_matches("https://"));
    assert_eq!(sdk.provider(&provider_arn).await, Ok(None));
    let mut tags = Tags::from([(tags::OWNER.to_owned(), "us".to_owned())]);
    let created = sdk
        .create_provider(&ProviderSpec {
            url: issuer,
            arn: provider_arn.clone(),
            client_ids: BTreeSet::from(["one".to_owned()]),
            ensure: true,
            tags: tags.clone(),
        })
        .await
        .unwrap();
    assert_eq!(created, provider_arn);
    let mut clients = BTreeSet::from(["one".to_owned()]);
    match sdk.add_client_id(&created, "sts.amazonaws.com").await {
        Ok(()) => drop(clients.insert("sts.amazonaws.com".to_owned())),
        // moto has no such operation.
        Err(error) => assert!(
            error.message.contains("does not know this operation"),
            "{error}"
        ),
    }
    let provider = sdk.provider(&created).await.unwrap().unwrap();
    assert_eq!(provider.client_ids, clients);
    assert_eq!(provider.tags, tags);

    tags.insert(tags::OBJECT.to_owned(), "default/app".to_owned());
    let document = |action: &str| json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": action, "Resource": "*"}]});
    let spec = PolicySpec {
        name: fresh("policy"),
        arn: Arn(String::new()),
        path: path.clone(),
        description: "a test".into(),
        document: document("s3:GetObject"),
        tags: tags.clone(),
    };
    let policy = sdk.create_policy(&spec).await.unwrap();
    assert_eq!(policy, arn("policy", &format!("{path}{}", spec.name)));
    sdk.create_policy_version(&policy, &document("s3:PutObject"))
        .await
        .unwrap();
    let live = sdk.policy(&policy).await.unwrap().unwrap();
    assert_eq!(
        (live.default_version.as_str(), live.versions.len()),
        ("v2", 2)
    );
    assert_eq!(
        (live.document, live.description),
        (document("s3:PutObject"), "a test".to_owned())
    );
    assert_eq!(live.tags, tags);
    assert_eq!(
        sdk.policy_version(&policy, "v1").await.unwrap(),
        document("s3:GetObject")
    );
    sdk.set_default_policy_version(&policy, "v1").await.unwrap();
    sdk.delete_policy_version(&policy, "v2").await.unwrap();
    sdk.tag_policy(&policy, &Tags::from([("a".into(), "1".into())]))
        .await
        .unwrap();
    sdk.untag_policy(&policy, &BTreeSet::from([tags::OBJECT.to_owned()]))
        .await
        .unwrap();
    let live = sdk.policy(&policy).await.unwrap().unwrap();
    assert_eq!(
        (live.default_version.as_str(), live.versions.as_slice()),
        ("v1", &["v1".to_owned()][..])
    );
    assert_eq!(live.tags.keys().collect::<Vec<_>>(), ["a", tags::OWNER]);
    assert_eq!(
        sdk.policies_under(&path).await.unwrap(),
        std::slice::from_ref(&policy)
    );

    roles_live(&sdk, &path, &policy, &tags).await;

    sdk.delete_policy(&policy).await.unwrap();
    assert_eq!(sdk.policy(&policy).await, Ok(None));
}

async fn roles_live(sdk: &Sdk, path: &str, policy: &Arn, tags: &Tags) {
    let trust = |sub: &str| {
        json!({"Version": "2012-10-17", "Statement": [{
            "Effect": "Allow", "Principal": {"Federated": "arn:aws:iam::123456789012:oidc-provider/x"},
            "Action": "sts:AssumeRoleWithWebIdentity", "Condition": {"StringEquals": {"x:sub": sub}}}]})
    };
    let name = RoleName(fresh("role"));
    let spec = RoleSpec {
        name: name.clone(),
        path: path.to_owned(),
        arn: Arn(String::new()),
        description: "a test".into(),
        max_session_duration_seconds: 7200,
        trust: trust("a"),
        permissions_boundary: Some(policy.clone()),
        tags: tags.clone(),
        attached: BTreeSet::new(),
        inline: BTreeMap::new(),
        additive: false,
        adopt_role_id: None,
        report_only: false,
    };
    assert_eq!(sdk.role(&name).await, Ok(None));
    let created = sdk.create_role(&spec).await.unwrap();
    let again = sdk.create_role(&spec).await.unwrap_err();
    assert!(again.has_code(&["EntityAlreadyExists"]), "{again}");
    let read = || async { sdk.role(&name).await.unwrap().unwrap() };
    let live = read().await;
    assert_eq!(
        (&live.arn, &live.role_id, &live.name),
        (&created.arn, &created.role_id, &name)
    );
    assert_eq!(
        (live.path.as_str(), live.description.as_str()),
        (path, "a test")
    );
    assert_eq!(
        (live.max_session_duration_seconds, &live.trust),
        (7200, &spec.trust)
    );
    assert_eq!(
        (live.permissions_boundary.as_ref(), &live.tags),
        (Some(policy), tags)
    );
    assert!(live.attached.is_empty() && live.inline.is_empty());

    let inline = json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}]});
    sdk.attach_role_policy(&name, policy).await.unwrap();
    sdk.put_role_policy(&name, "albsync-x", &inline)
        .await
        .unwrap();
    sdk.update_assume_role_policy(&name, &trust("b"))
        .await
        .unwrap();
    sdk.update_role(&name, "changed", 3600).await.unwrap();
    sdk.put_permissions_boundary(&name, policy).await.unwrap();
    sdk.tag_role(&name, &Tags::from([("a".into(), "1".into())]))
        .await
        .unwrap();
    sdk.untag_role(&name, &BTreeSet::from([tags::OBJECT.to_owned()]))
        .await
        .unwrap();
    let live = read().await;
    assert_eq!(
        (live.description.as_str(), live.max_session_duration_seconds),
        ("changed", 3600)
    );
    assert_eq!(live.trust, trust("b"));
    assert_eq!(live.attached, BTreeSet::from([policy.clone()]));
    assert_eq!(
        live.inline,
        BTreeMap::from([("albsync-x".to_owned(), inline)])
    );
    assert_eq!(live.tags.keys().collect::<Vec<_>>(), ["a", tags::OWNER]);
    assert_eq!(sdk.policy(policy).await.unwrap().unwrap().attachments, 1);
    assert_eq!(
        sdk.roles_under(path).await.unwrap(),
        std::slice::from_ref(&name)
    );
    let busy = sdk.delete_role(&name).await.unwrap_err();
    assert!(busy.has_code(&["DeleteConflict"]), "{busy}");

    sdk.detach_role_policy(&name, policy).await.unwrap();
    sdk.delete_role_policy(&name, "albsync-x").await.unwrap();
    sdk.delete_role(&name).await.unwrap();
    assert_eq!(sdk.role(&name).await, Ok(None));
    assert!(sdk.delete_role(&name).await.unwrap_err().is_not_found());
}
