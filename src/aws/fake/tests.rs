use futures::executor::block_on;

use super::*;
use crate::{
    aws::{Ec2Read, Ec2Write, ElbRead, ElbWrite, GroupQuery, IamWrite, Query},
    model::{
        desired::Ref,
        elb::{
            Condition, JwtValidation, ListenerSpec, LoadBalancerSpec, RuleAction, RuleSpec, Scheme,
            TargetGroupSpec, TlsSpec, WeightedTargetGroup,
        },
        iam::RoleSpec,
        net::{Permission, PermissionSource, SecurityGroupSpec},
    },
};

fn group(name: &str) -> SecurityGroupSpec {
    SecurityGroupSpec {
        name: name.to_owned(),
        description: "d".to_owned(),
        vpc_id: "vpc-0a0a0a0a0a0a0a0a0".to_owned(),
        tags: BTreeMap::new(),
        ingress: BTreeSet::new(),
    }
}

fn balancer(name: &str, groups: &[SecurityGroupId]) -> LoadBalancerSpec {
    LoadBalancerSpec {
        name: name.to_owned(),
        scheme: Scheme::Internal,
        ip_address_type: "ipv4".to_owned(),
        subnets: vec![SubnetId::from("subnet-int0"), SubnetId::from("subnet-int1")],
        security_groups: groups.iter().cloned().map(Ref::Known).collect(),
        attributes: BTreeMap::new(),
        tags: BTreeMap::new(),
    }
}

fn target_group(name: &str) -> TargetGroupSpec {
    TargetGroupSpec {
        vpc_id: "vpc-0a0a0a0a0a0a0a0a0".to_owned(),
        ..sample::target_group(name)
    }
}

fn listener(port: u16) -> ListenerSpec {
    ListenerSpec {
        tls: None,
        port,
        protocol: "HTTP".to_owned(),
        default_actions: vec![RuleAction::FixedResponse {
            status_code: "404".to_owned(),
            content_type: None,
            message_body: None,
        }],
        attributes: BTreeMap::new(),
        tags: BTreeMap::new(),
    }
}

fn rule(target_group: &Arn) -> RuleSpec {
    RuleSpec {
        transforms: Vec::new(),
        conditions: vec![Condition::PathPattern {
            values: vec!["/*".to_owned()].into(),
        }],
        actions: vec![RuleAction::Forward {
            target_groups: vec![WeightedTargetGroup {
                arn: Ref::Known(target_group.clone()),
                weight: 1,
            }],
            stickiness_seconds: None,
        }],
        tags: BTreeMap::new(),
    }
}

fn code<T: std::fmt::Debug>(result: Result<T>) -> String {
    result.unwrap_err().code.unwrap_or_default()
}

#[test]
fn a_target_group_in_use_is_not_deleted_and_serves_one_balancer_only() {
    block_on(async {
        let aws = FakeAccount::seeded("c");
        let first = aws
            .create_load_balancer(&balancer("a", &[]))
            .await
            .unwrap()
            .arn;
        let second = aws
            .create_load_balancer(&balancer("b", &[]))
            .await
            .unwrap()
            .arn;
        let targets = aws.create_target_group(&target_group("t")).await.unwrap();
        let one = aws.create_listener(&first, &listener(80)).await.unwrap();
        let two = aws.create_listener(&second, &listener(80)).await.unwrap();
        let made = aws.create_rule(&one, 1, &rule(&targets)).await.unwrap();
        assert_eq!(
            code(aws.delete_target_group(&targets).await),
            "ResourceInUse"
        );
        let elsewhere = aws.create_rule(&two, 1, &rule(&targets)).await;
        assert_eq!(code(elsewhere), "TargetGroupAssociationLimit");
        assert_eq!(
            code(aws.create_rule(&one, 1, &rule(&targets)).await),
            "PriorityInUse"
        );
        aws.delete_load_balancer(&first).await.unwrap();
        assert_eq!(code(aws.delete_rule(&made).await), "RuleNotFound");
        aws.delete_target_group(&targets).await.unwrap();
    });
}

#[test]
fn numbers_are_set_all_or_none() {
    block_on(async {
        let aws = FakeAccount::seeded("c");
        let balancer = aws
            .create_load_balancer(&balancer("a", &[]))
            .await
            .unwrap()
            .arn;
        let targets = aws.create_target_group(&target_group("t")).await.unwrap();
        let on = aws.create_listener(&balancer, &listener(80)).await.unwrap();
        let one = aws.create_rule(&on, 1, &rule(&targets)).await.unwrap();
        let two = aws.create_rule(&on, 2, &rule(&targets)).await.unwrap();
        let wanted = BTreeMap::from([(one.clone(), 7), (two.clone(), 1)]);
        assert_eq!(
            code(aws.set_rule_priorities(&wanted).await),
            "PriorityInUse"
        );
        assert_eq!(aws.state().rules[&one].priority, 1);
        aws.set_rule_priorities(&BTreeMap::from([(one.clone(), 7), (two, 8)]))
            .await
            .unwrap();
        assert_eq!(aws.state().rules[&one].priority, 7);
    });
}

#[test]
fn a_security_group_goes_only_when_no_balancer_and_no_permission_names_it() {
    block_on(async {
        let aws = FakeAccount::seeded("c");
        aws.edit(|state| state.lingering = 1);
        let id = aws.create_security_group(&group("g")).await.unwrap();
        assert_eq!(
            code(aws.create_security_group(&group("G")).await),
            "InvalidGroup.Duplicate"
        );
        let on = aws
            .create_load_balancer(&balancer("a", std::slice::from_ref(&id)))
            .await
            .unwrap()
            .arn;
        let nodes = SecurityGroupId::from("sg-nodes");
        let from = Permission {
            protocol: "tcp".to_owned(),
            from_port: 1,
            to_port: 2,
            source: PermissionSource::SecurityGroup(Ref::Known(id.clone())),
            description: String::new(),
        };
        aws.authorize_ingress(&nodes, std::slice::from_ref(&from))
            .await
            .unwrap();
        let again = aws
            .authorize_ingress(&nodes, std::slice::from_ref(&from))
            .await;
        assert_eq!(code(again), "InvalidPermission.Duplicate");
        assert_eq!(
            code(aws.delete_security_group(&id).await),
            "DependencyViolation"
        );
        aws.delete_load_balancer(&on).await.unwrap();
        aws.revoke_ingress(&nodes, &[from]).await.unwrap();
        // The interfaces outlive the balancer for one attempt.
        assert_eq!(
            code(aws.delete_security_group(&id).await),
            "DependencyViolation"
        );
        aws.delete_security_group(&id).await.unwrap();
    });
}

#[test]
fn a_create_that_times_out_after_its_effect_left_the_thing_behind() {
    block_on(async {
        let aws = FakeAccount::seeded("c");
        aws.fail(Fault {
            operation: "CreateSecurityGroup".to_owned(),
            nth: 2,
            times: 1,
            kind: FaultKind::TimeoutAfter,
        });
        aws.create_security_group(&group("a")).await.unwrap();
        let error = aws.create_security_group(&group("b")).await.unwrap_err();
        assert_eq!(
            (error.effect, error.operation.as_str()),
            (Effect::Unknown, "CreateSecurityGroup")
        );
        let found = aws
            .security_groups(&GroupQuery::Name("b".to_owned()))
            .await
            .unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!(aws.writes().len(), 2);
    });
}

#[test]
fn new_things_show_only_after_the_lag() {
    block_on(async {
        let aws = FakeAccount::seeded("c");
        aws.edit(|state| state.lag = 2);
        aws.create_target_group(&target_group("t")).await.unwrap();
        let mut seen = Vec::new();
        for _ in 0..3 {
            seen.push(aws.target_groups(&Query::All).await.unwrap().len());
        }
        assert_eq!(seen, vec![0, 0, 1]);
    });
}

#[test]
fn a_role_with_policies_is_not_deleted() {
    block_on(async {
        let aws = FakeAccount::seeded("c");
        let role = RoleName::from("r");
        let spec = RoleSpec {
            name: role.clone(),
            path: "/".to_owned(),
            arn: Arn::from("arn:aws:iam::123456789012:role/r"),
            description: String::new(),
            max_session_duration_seconds: 3600,
            trust: Value::Null,
            permissions_boundary: None,
            tags: BTreeMap::new(),
            attached: BTreeSet::new(),
            inline: BTreeMap::new(),
            additive: false,
            adopt_role_id: None,
            report_only: false,
        };
        aws.create_role(&spec).await.unwrap();
        assert_eq!(code(aws.create_role(&spec).await), "EntityAlreadyExists");
        aws.put_role_policy(&role, "p", &Value::Null).await.unwrap();
        assert_eq!(code(aws.delete_role(&role).await), "DeleteConflict");
        aws.delete_role_policy(&role, "p").await.unwrap();
        aws.delete_role(&role).await.unwrap();
        assert_eq!(code(aws.delete_role(&role).await), "NoSuchEntity");
    });
}

#[test]
fn https_needs_a_certificate_that_exists_and_http_takes_none() {
    let aws = FakeAccount::seeded("c");
    let balancer = block_on(aws.create_load_balancer(&balancer("a", &[])))
        .unwrap()
        .arn;
    let certificate = Arn::from("arn:aws:acm:eu-central-1:123456789012:certificate/a");
    let mut spec = listener(443);
    spec.protocol = "HTTPS".to_owned();
    assert_eq!(
        code(block_on(aws.create_listener(&balancer, &spec))),
        "ValidationError"
    );
    spec.tls = Some(TlsSpec {
        default_certificate: certificate.clone(),
        certificates: BTreeSet::new(),
        ssl_policy: None,
        mutual_authentication: None,
    });
    assert_eq!(
        code(block_on(aws.create_listener(&balancer, &spec))),
        "CertificateNotFound"
    );
    aws.edit(|state| state.certificates.insert(certificate.clone()));
    let arn = block_on(aws.create_listener(&balancer, &spec)).unwrap();
    spec.protocol = "HTTP".to_owned();
    assert_eq!(
        code(block_on(aws.modify_listener(&arn, &spec))),
        "InvalidConfigurationRequest"
    );
    let other = Arn::from("arn:aws:acm:eu-central-1:123456789012:certificate/b");
    assert_eq!(
        code(block_on(
            aws.add_listener_certificates(&arn, &BTreeSet::from([other]))
        )),
        "CertificateNotFound"
    );
}

#[test]
fn a_rule_has_one_to_five_values_one_answer_and_signs_in_on_https_only() {
    let aws = FakeAccount::seeded("c");
    let balancer = block_on(aws.create_load_balancer(&balancer("a", &[])))
        .unwrap()
        .arn;
    let listener = block_on(aws.create_listener(&balancer, &listener(80))).unwrap();
    let target_group = block_on(aws.create_target_group(&target_group("a"))).unwrap();
    let fails = |change: &dyn Fn(&mut RuleSpec)| {
        let mut spec = rule(&target_group);
        change(&mut spec);
        code(block_on(aws.create_rule(&listener, 1, &spec)))
    };
    assert_eq!(fails(&|spec| spec.conditions.clear()), "ValidationError");
    assert_eq!(
        fails(&|spec| spec.conditions = vec![Condition::SourceIp {
            values: (0..6).map(|n| format!("10.0.0.{n}/32")).collect(),
        }]),
        "ValidationError"
    );
    assert_eq!(fails(&|spec| spec.actions.clear()), "ValidationError");
    assert_eq!(
        fails(&|spec| {
            let again = spec.actions.clone();
            spec.actions.extend(again);
        }),
        "InvalidLoadBalancerAction"
    );
    assert_eq!(
        fails(&|spec| spec.actions.insert(
            0,
            RuleAction::JwtValidation(JwtValidation {
                jwks_endpoint: "https://keys".to_owned(),
                issuer: "https://issuer".to_owned(),
                additional_claims: Vec::new(),
            })
        )),
        "InvalidLoadBalancerAction"
    );
}
