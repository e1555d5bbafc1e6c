use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::{
    aws::fake::sample,
    id::{ObjectRef, ResourceId, ResourceKind, StackId},
    model::{
        elb::{ListenerSpec, LoadBalancerSpec, RuleSpec, Scheme, WeightedTargetGroup},
        iam::{PolicySpec, ProviderSpec, RoleSpec},
        net::{Permission, SecurityGroupSpec},
    },
};

/// Expected classes, without times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Class {
    Retry,
    Verify,
    Done,
    Replan,
    Blocked,
    GaveUp,
}
use Class::*;

fn class(class: FailureClass) -> Class {
    match class {
        FailureClass::Retry { .. } => Retry,
        FailureClass::Verify { .. } => Verify,
        FailureClass::AlreadyDone => Done,
        FailureClass::Replan => Replan,
        FailureClass::Blocked => Blocked,
        FailureClass::GaveUp => GaveUp,
    }
}

fn error(service: &str, code: &str, message: &str) -> CallError {
    CallError {
        service: service.to_owned(),
        operation: "X".to_owned(),
        code: Some(code.to_owned()),
        status: Some(400),
        message: message.to_owned(),
        request_id: None,
        effect: Effect::None,
    }
}

fn first() -> Attempt {
    Attempt {
        failures: 1,
        throttles: 0,
        elapsed_ms: 10,
        throttled_ms: 0,
        seed: 7,
    }
}

/// Longer than any limit.
fn late() -> Attempt {
    Attempt {
        failures: 30,
        elapsed_ms: 3_600_000,
        ..first()
    }
}

fn id(kind: ResourceKind) -> ResourceId {
    ResourceId::new(StackId::Group("a/b".to_owned()), kind, "x")
}

fn new<T>() -> Ref<T> {
    Ref::Output(id(ResourceKind::TargetGroup))
}

fn old_arn() -> Ref<crate::id::Arn> {
    Ref::Known("arn:x".into())
}

fn forward(arn: Ref<crate::id::Arn>) -> RuleAction {
    RuleAction::Forward {
        target_groups: vec![WeightedTargetGroup { arn, weight: 1 }],
        stickiness_seconds: None,
    }
}

fn permission() -> Permission {
    Permission {
        protocol: "tcp".to_owned(),
        from_port: 80,
        to_port: 80,
        source: PermissionSource::Cidr("0.0.0.0/0".to_owned()),
        description: String::new(),
    }
}

fn create_group() -> Action {
    Action::CreateSecurityGroup {
        id: id(ResourceKind::SecurityGroup),
        spec: SecurityGroupSpec {
            name: "n".to_owned(),
            description: "d".to_owned(),
            vpc_id: "vpc-1".to_owned(),
            tags: BTreeMap::new(),
            ingress: BTreeSet::new(),
        },
    }
}

fn authorize(group: Ref<crate::id::SecurityGroupId>, permissions: usize) -> Action {
    Action::AuthorizeIngress {
        group,
        permissions: vec![permission(); permissions],
    }
}

fn revoke(permissions: usize) -> Action {
    Action::RevokeIngress {
        group: "sg-1".into(),
        permissions: vec![permission(); permissions],
    }
}

fn create_balancer(group: Ref<crate::id::SecurityGroupId>) -> Action {
    Action::CreateLoadBalancer {
        id: id(ResourceKind::LoadBalancer),
        spec: LoadBalancerSpec {
            name: "n".to_owned(),
            scheme: Scheme::Internal,
            ip_address_type: "ipv4".to_owned(),
            subnets: Vec::new(),
            security_groups: vec![group],
            attributes: BTreeMap::new(),
            tags: BTreeMap::new(),
        },
    }
}

fn create_target_group() -> Action {
    Action::CreateTargetGroup {
        id: id(ResourceKind::TargetGroup),
        spec: sample::target_group("n"),
    }
}

fn register(target_group: Ref<crate::id::Arn>) -> Action {
    Action::RegisterTargets {
        target_group,
        targets: BTreeSet::new(),
    }
}

fn create_listener(load_balancer: Ref<crate::id::Arn>) -> Action {
    Action::CreateListener {
        id: id(ResourceKind::Listener),
        load_balancer,
        spec: ListenerSpec {
            tls: None,
            port: 80,
            protocol: "HTTP".to_owned(),
            default_actions: Vec::new(),
            attributes: BTreeMap::new(),
            tags: BTreeMap::new(),
        },
    }
}

fn rule() -> RuleSpec {
    RuleSpec {
        transforms: Vec::new(),
        conditions: Vec::new(),
        actions: vec![forward(old_arn())],
        tags: BTreeMap::new(),
    }
}

fn create_rule(listener: Ref<crate::id::Arn>) -> Action {
    Action::CreateRule {
        id: id(ResourceKind::Rule),
        listener,
        priority: 100,
        spec: rule(),
    }
}

fn modify_rule() -> Action {
    Action::ModifyRule {
        arn: "arn:r".into(),
        spec: rule(),
    }
}

fn priorities() -> Action {
    Action::SetRulePriorities {
        listener: "arn:l".into(),
        priorities: BTreeMap::new(),
    }
}

fn delete(kind: ResourceKind) -> Action {
    let arn = "arn:x".into();
    match kind {
        ResourceKind::SecurityGroup => Action::DeleteSecurityGroup {
            group: "sg-1".into(),
        },
        ResourceKind::LoadBalancer => Action::DeleteLoadBalancer { arn },
        ResourceKind::Listener => Action::DeleteListener { arn },
        ResourceKind::Rule => Action::DeleteRule { arn },
        ResourceKind::TargetGroup => Action::DeleteTargetGroup { arn },
        ResourceKind::Policy => Action::DeletePolicy { arn },
        ResourceKind::Role => Action::DeleteRole { role: "r".into() },
        ResourceKind::OidcProvider | ResourceKind::Object => Action::DeleteObject {
            reference: object(),
            uid: "u".to_owned(),
        },
    }
}

fn object() -> ObjectRef {
    ObjectRef {
        api_version: "v1".to_owned(),
        kind: "ConfigMap".to_owned(),
        namespace: Some("n".to_owned()),
        name: "c".to_owned(),
    }
}

fn apply_object() -> Action {
    Action::ApplyObject {
        reference: object(),
        value: json!({}),
        force: true,
    }
}

fn create_role() -> Action {
    Action::CreateRole {
        id: id(ResourceKind::Role),
        spec: RoleSpec {
            name: "r".into(),
            path: "/".to_owned(),
            arn: "arn:r".into(),
            description: String::new(),
            max_session_duration_seconds: 3_600,
            trust: json!({}),
            permissions_boundary: None,
            tags: BTreeMap::new(),
            attached: BTreeSet::new(),
            inline: BTreeMap::new(),
            additive: false,
            adopt_role_id: None,
            report_only: false,
        },
    }
}

fn create_policy() -> Action {
    Action::CreatePolicy {
        id: id(ResourceKind::Policy),
        spec: PolicySpec {
            name: "p".to_owned(),
            path: "/".to_owned(),
            arn: "arn:p".into(),
            description: String::new(),
            document: json!({}),
            tags: BTreeMap::new(),
        },
    }
}

fn create_provider() -> Action {
    Action::CreateOidcProvider {
        id: id(ResourceKind::OidcProvider),
        spec: ProviderSpec {
            url: "https://x".to_owned(),
            arn: "arn:o".into(),
            client_ids: BTreeSet::new(),
            ensure: true,
            tags: BTreeMap::new(),
        },
    }
}

fn trust() -> Action {
    Action::UpdateAssumeRolePolicy {
        role: "r".into(),
        document: json!({}),
    }
}

fn add_tags(arn: Ref<crate::id::Arn>) -> Action {
    Action::AddTags {
        arn,
        tags: BTreeMap::new(),
    }
}

fn attach() -> Action {
    Action::AttachRolePolicy {
        role: "r".into(),
        policy: old_arn(),
    }
}

/// Every row: the call, the code, what it means at first and after a long time.
#[test]
fn every_row_of_the_error_table_has_its_class() {
    let elb = "elasticloadbalancing";
    let rows: Vec<(Action, &str, &str, Class, Class)> = vec![
        // any
        (
            create_rule(old_arn()),
            elb,
            "AccessDenied",
            Blocked,
            Blocked,
        ),
        (
            create_group(),
            "ec2",
            "UnauthorizedOperation",
            Blocked,
            Blocked,
        ),
        (modify_rule(), elb, "ExpiredToken", Retry, Blocked),
        // CreateLoadBalancer
        (
            create_balancer(new()),
            elb,
            "DuplicateLoadBalancerName",
            Verify,
            GaveUp,
        ),
        (
            create_balancer(new()),
            elb,
            "TooManyLoadBalancers",
            Blocked,
            Blocked,
        ),
        (
            create_balancer(new()),
            elb,
            "InvalidSubnet",
            Blocked,
            Blocked,
        ),
        (
            create_balancer(new()),
            elb,
            "SubnetNotFound",
            Blocked,
            Blocked,
        ),
        (
            create_balancer(new()),
            elb,
            "InvalidSecurityGroup",
            Retry,
            Blocked,
        ),
        (
            create_balancer(Ref::Known("sg-1".into())),
            elb,
            "InvalidSecurityGroup",
            Blocked,
            Blocked,
        ),
        (
            create_balancer(new()),
            elb,
            "InvalidConfigurationRequest",
            Blocked,
            Blocked,
        ),
        (
            create_balancer(new()),
            elb,
            "AvailabilityZoneNotSupported",
            Blocked,
            Blocked,
        ),
        (
            create_balancer(new()),
            elb,
            "InvalidScheme",
            Blocked,
            Blocked,
        ),
        (create_balancer(new()), elb, "ResourceInUse", Retry, GaveUp),
        (
            create_balancer(new()),
            elb,
            "OperationNotPermitted",
            Blocked,
            Blocked,
        ),
        // CreateTargetGroup
        (
            create_target_group(),
            elb,
            "DuplicateTargetGroupName",
            Verify,
            GaveUp,
        ),
        (
            create_target_group(),
            elb,
            "TooManyTargetGroups",
            Blocked,
            Blocked,
        ),
        // CreateListener
        (
            create_listener(old_arn()),
            elb,
            "DuplicateListener",
            Verify,
            GaveUp,
        ),
        (
            create_listener(old_arn()),
            elb,
            "TooManyListeners",
            Blocked,
            Blocked,
        ),
        (
            create_listener(old_arn()),
            elb,
            "TooManyCertificates",
            Blocked,
            Blocked,
        ),
        (
            create_listener(old_arn()),
            elb,
            "TooManyUniqueTargetGroupsPerLoadBalancer",
            Blocked,
            Blocked,
        ),
        (
            create_listener(old_arn()),
            elb,
            "CertificateNotFound",
            Retry,
            Blocked,
        ),
        (
            create_listener(old_arn()),
            elb,
            "SSLPolicyNotFound",
            Blocked,
            Blocked,
        ),
        (
            create_listener(old_arn()),
            elb,
            "IncompatibleProtocols",
            Blocked,
            Blocked,
        ),
        (
            create_listener(old_arn()),
            elb,
            "TargetGroupAssociationLimit",
            Retry,
            Blocked,
        ),
        (
            create_listener(new()),
            elb,
            "LoadBalancerNotFound",
            Retry,
            Replan,
        ),
        (
            create_listener(old_arn()),
            elb,
            "LoadBalancerNotFound",
            Replan,
            Replan,
        ),
        // Rules
        (create_rule(new()), elb, "PriorityInUse", Verify, GaveUp),
        (create_rule(new()), elb, "TooManyRules", Blocked, Blocked),
        (create_rule(new()), elb, "ListenerNotFound", Retry, Replan),
        (
            create_rule(new()),
            elb,
            "TargetGroupNotFound",
            Retry,
            Replan,
        ),
        (
            create_rule(old_arn()),
            elb,
            "ListenerNotFound",
            Replan,
            Replan,
        ),
        (modify_rule(), elb, "RuleNotFound", Replan, Replan),
        (priorities(), elb, "RuleNotFound", Replan, Replan),
        (priorities(), elb, "PriorityInUse", Replan, Replan),
        (
            modify_rule(),
            elb,
            "OperationNotPermitted",
            Blocked,
            Blocked,
        ),
        (delete(ResourceKind::Rule), elb, "RuleNotFound", Done, Done),
        (
            delete(ResourceKind::Rule),
            elb,
            "OperationNotPermitted",
            Blocked,
            Blocked,
        ),
        // Deletes
        (
            delete(ResourceKind::LoadBalancer),
            elb,
            "OperationNotPermitted",
            Blocked,
            Blocked,
        ),
        (
            delete(ResourceKind::LoadBalancer),
            elb,
            "ResourceInUse",
            Retry,
            GaveUp,
        ),
        (
            delete(ResourceKind::LoadBalancer),
            elb,
            "LoadBalancerNotFound",
            Done,
            Done,
        ),
        (
            delete(ResourceKind::Listener),
            elb,
            "ListenerNotFound",
            Done,
            Done,
        ),
        (
            delete(ResourceKind::TargetGroup),
            elb,
            "ResourceInUse",
            Retry,
            GaveUp,
        ),
        (
            delete(ResourceKind::TargetGroup),
            elb,
            "TargetGroupNotFound",
            Done,
            Done,
        ),
        // Targets
        (
            register(old_arn()),
            elb,
            "TargetGroupNotFound",
            Replan,
            Replan,
        ),
        (register(new()), elb, "TargetGroupNotFound", Retry, Replan),
        (register(new()), elb, "InvalidTarget", Retry, GaveUp),
        (register(new()), elb, "TooManyTargets", Blocked, Blocked),
        (
            register(new()),
            elb,
            "TooManyRegistrationsForTargetId",
            Blocked,
            Blocked,
        ),
        // Tags
        (
            add_tags(old_arn()),
            elb,
            "TargetGroupNotFound",
            Replan,
            Replan,
        ),
        (
            add_tags(old_arn()),
            elb,
            "DuplicateTagKeys",
            Blocked,
            Blocked,
        ),
        (add_tags(old_arn()), elb, "TooManyTags", Blocked, Blocked),
        // Security groups
        (
            create_group(),
            "ec2",
            "InvalidGroup.Duplicate",
            Verify,
            GaveUp,
        ),
        (
            create_group(),
            "ec2",
            "SecurityGroupLimitExceeded",
            Blocked,
            Blocked,
        ),
        (
            authorize(new(), 1),
            "ec2",
            "InvalidPermission.Duplicate",
            Done,
            Done,
        ),
        (
            authorize(new(), 2),
            "ec2",
            "InvalidPermission.Duplicate",
            Verify,
            GaveUp,
        ),
        (
            authorize(new(), 1),
            "ec2",
            "RulesPerSecurityGroupLimitExceeded",
            Blocked,
            Blocked,
        ),
        (
            authorize(new(), 1),
            "ec2",
            "InvalidGroup.NotFound",
            Retry,
            Replan,
        ),
        (
            authorize(Ref::Known("sg-1".into()), 1),
            "ec2",
            "InvalidGroup.NotFound",
            Replan,
            Replan,
        ),
        (revoke(1), "ec2", "InvalidPermission.NotFound", Done, Done),
        (
            revoke(2),
            "ec2",
            "InvalidPermission.NotFound",
            Verify,
            GaveUp,
        ),
        (revoke(2), "ec2", "InvalidGroup.NotFound", Done, Done),
        (
            delete(ResourceKind::SecurityGroup),
            "ec2",
            "DependencyViolation",
            Retry,
            GaveUp,
        ),
        (
            delete(ResourceKind::SecurityGroup),
            "ec2",
            "InvalidGroup.NotFound",
            Done,
            Done,
        ),
        // IAM
        (create_role(), "iam", "EntityAlreadyExists", Verify, GaveUp),
        (
            create_policy(),
            "iam",
            "EntityAlreadyExists",
            Verify,
            GaveUp,
        ),
        (
            create_provider(),
            "iam",
            "EntityAlreadyExists",
            Verify,
            GaveUp,
        ),
        (
            delete(ResourceKind::Role),
            "iam",
            "NoSuchEntity",
            Done,
            Done,
        ),
        (
            delete(ResourceKind::Policy),
            "iam",
            "NoSuchEntity",
            Done,
            Done,
        ),
        (
            delete(ResourceKind::Role),
            "iam",
            "DeleteConflict",
            Retry,
            Blocked,
        ),
        (attach(), "iam", "NoSuchEntity", Retry, Replan),
        (trust(), "iam", "ConcurrentModification", Retry, GaveUp),
        (
            create_role(),
            "iam",
            "EntityTemporarilyUnmodifiable",
            Retry,
            GaveUp,
        ),
        (create_role(), "iam", "LimitExceeded", Blocked, Blocked),
        (
            create_role(),
            "iam",
            "MalformedPolicyDocument",
            Blocked,
            Blocked,
        ),
        (trust(), "iam", "UnmodifiableEntity", Blocked, Blocked),
        (trust(), "iam", "InvalidInput", Blocked, Blocked),
        (attach(), "iam", "PolicyNotAttachable", Blocked, Blocked),
        (
            create_provider(),
            "iam",
            "OpenIdIdpCommunicationError",
            Retry,
            Blocked,
        ),
        // Kubernetes
        (apply_object(), "kubernetes", "Invalid", Blocked, Blocked),
        (apply_object(), "kubernetes", "Forbidden", Blocked, Blocked),
        (apply_object(), "kubernetes", "NotFound", Retry, Blocked),
        (apply_object(), "kubernetes", "Conflict", Retry, GaveUp),
        (apply_object(), "kubernetes", "AlreadyExists", Retry, GaveUp),
        (apply_object(), "kubernetes", "InternalError", Retry, GaveUp),
        (
            apply_object(),
            "kubernetes",
            "ServiceUnavailable",
            Retry,
            GaveUp,
        ),
        (apply_object(), "kubernetes", "Timeout", Retry, GaveUp),
        (
            delete(ResourceKind::Object),
            "kubernetes",
            "NotFound",
            Done,
            Done,
        ),
    ];
    for (action, service, code, early, later) in rows {
        let error = error(service, code, "");
        let limits = Limits::default();
        assert_eq!(
            class(classify(&error, &action, &first(), &limits)),
            early,
            "first {code} on {action:?}"
        );
        assert_eq!(
            class(classify(&error, &action, &late(), &limits)),
            later,
            "late {code} on {action:?}"
        );
    }
}

#[test]
fn messages_decide_where_codes_do_not() {
    let limits = Limits::default();
    let is = |service: &str, code: &str, message: &str, action: &Action| {
        class(classify(
            &error(service, code, message),
            action,
            &first(),
            &limits,
        ))
    };
    assert_eq!(
        is(
            "iam",
            "MalformedPolicyDocument",
            "Invalid principal in policy: \"AWS\":\"arn:…\"",
            &trust()
        ),
        Retry
    );
    assert_eq!(
        is(
            "kubernetes",
            "Conflict",
            "Apply failed with 1 conflict: conflict with \"kubectl\": .data.x",
            &apply_object()
        ),
        Blocked
    );
    assert_eq!(
        is(
            "kubernetes",
            "Conflict",
            "Precondition failed: UID in precondition: a, UID in object meta: b",
            &delete(ResourceKind::Object)
        ),
        Done
    );
    assert_eq!(
        is(
            "kubernetes",
            "Forbidden",
            "unable to create new content in namespace n because it is being terminated",
            &apply_object()
        ),
        Retry
    );
}

fn no_answer() -> CallError {
    CallError {
        code: None,
        status: None,
        effect: Effect::Unknown,
        ..error("elasticloadbalancing", "", "no answer")
    }
}

#[test]
fn an_unknown_effect_is_read_back_only_where_a_repeat_could_hurt() {
    let limits = Limits::default();
    let is = |action: &Action| class(classify(&no_answer(), action, &first(), &limits));
    for action in [
        create_group(),
        create_balancer(new()),
        create_target_group(),
        create_listener(new()),
        create_rule(new()),
        priorities(),
        create_role(),
        create_policy(),
        create_provider(),
        authorize(new(), 2),
        revoke(1),
        Action::CreatePolicyVersion {
            arn: "arn:p".into(),
            document: json!({}),
        },
    ] {
        assert_eq!(is(&action), Verify, "{action:?}");
    }
    for action in [
        modify_rule(),
        register(new()),
        add_tags(old_arn()),
        attach(),
        trust(),
        delete(ResourceKind::LoadBalancer),
        delete(ResourceKind::SecurityGroup),
    ] {
        assert_eq!(is(&action), Retry, "{action:?}");
    }
    assert_eq!(
        class(classify(
            &no_answer(),
            &create_rule(new()),
            &late(),
            &limits
        )),
        GaveUp
    );
}

#[test]
fn throttling_is_waiting_however_many_failures_there_were() {
    let limits = Limits::default();
    let throttled = [
        error("ec2", "RequestLimitExceeded", ""),
        error("elasticloadbalancing", "Throttling", ""),
        error("iam", "TooManyRequestsException", ""),
        CallError {
            status: Some(429),
            ..error("kubernetes", "TooManyRequests", "")
        },
    ];
    for error in throttled {
        for action in [create_rule(new()), delete(ResourceKind::SecurityGroup)] {
            let attempt = Attempt {
                throttles: 40,
                ..late()
            };
            match classify(&error, &action, &attempt, &limits) {
                FailureClass::Retry { after_ms } => assert!(after_ms <= 60_000),
                other => panic!("{error}: {other:?}"),
            }
            let endless = Attempt {
                throttled_ms: limits.throttled_ms + 1,
                ..attempt
            };
            assert_eq!(class(classify(&error, &action, &endless, &limits)), GaveUp);
        }
    }
}

proptest! {
    #[test]
    fn waits_are_bounded_repeatable_and_spread(failures in 1u32..100, seed: u64) {
        let attempt = Attempt { failures, seed, ..first() };
        let limits = Limits::default();
        let wait = |attempt: &Attempt| match classify(&no_answer(), &modify_rule(), attempt, &limits) {
            FailureClass::Retry { after_ms } => after_ms,
            other => panic!("{other:?}"),
        };
        let after = wait(&attempt);
        prop_assert!((FLOOR_MS..=TRANSIENT.cap_ms + FLOOR_MS).contains(&after));
        prop_assert_eq!(after, wait(&attempt));
        let spread: BTreeSet<u64> = (0..20).map(|n| wait(&Attempt { seed: seed ^ n, ..attempt })).collect();
        prop_assert!(spread.len() > 10, "{:?}", spread);
    }

    #[test]
    fn nothing_waits_for_ever(code in "[A-Z][A-Za-z]{3,20}", status in prop::option::of(400u16..600), unknown: bool) {
        let error = CallError {
            status,
            effect: if unknown { Effect::Unknown } else { Effect::None },
            ..error("elasticloadbalancing", &code, "")
        };
        prop_assume!(!is_throttled(&error));
        for action in [create_rule(new()), modify_rule(), delete(ResourceKind::SecurityGroup)] {
            let class = class(classify(&error, &action, &late(), &Limits::default()));
            prop_assert!(!matches!(class, Retry | Verify), "{:?}", class);
        }
    }
}
