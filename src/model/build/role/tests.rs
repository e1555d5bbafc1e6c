use proptest::prelude::*;

use super::{
    super::{build, fixture::*},
    allowed::matches,
    cloud::bare_issuer,
    *,
};
use crate::{
    manifest::Manifests,
    model::{facts::Facts, settings::Settings},
    problem::Checked,
};

fn built(
    change: impl FnOnce(&mut IamServiceAccount, &mut Facts, &mut Settings),
) -> Checked<Desired> {
    let (mut account, mut facts, mut settings) = (account("app1"), facts(), settings());
    change(&mut account, &mut facts, &mut settings);
    let manifests = Manifests {
        iam_service_accounts: vec![account],
        ..Manifests::default()
    };
    build(&manifests, &facts, &settings)
}

fn role(change: impl FnOnce(&mut IamServiceAccount, &mut Facts, &mut Settings)) -> RoleStack {
    let result = built(change);
    assert_eq!(result.problems, []);
    result.value.roles["default/app1"].clone()
}

/// The only problem, which must keep the role from being built and from being taken down.
fn problem(change: impl FnOnce(&mut IamServiceAccount, &mut Facts, &mut Settings)) -> String {
    let result = built(change);
    assert!(result.is_rejected());
    assert!(result.value.roles.is_empty());
    assert_eq!(
        result.value.waiting[0].stack,
        StackId::Role("default/app1".into())
    );
    let [problem] = &result.problems[..] else {
        panic!("{:?}", result.problems)
    };
    problem.to_string()
}

#[test]
fn a_role_has_its_name_path_arn_and_tags_computed() {
    let stack = role(|_, _, _| ());
    let role = &stack.role;
    // sha256("arn:aws:eks:ap-northeast-1:123456789012:cluster/mz-k8s/default/app1")
    assert_eq!(role.name.as_str(), "mz-k8s-default-app1-e36d9e44");
    assert_eq!(role.path, "/albsync/mz-k8s/");
    assert_eq!(
        role.arn.as_str(),
        "arn:aws:iam::123456789012:role/albsync/mz-k8s/mz-k8s-default-app1-e36d9e44"
    );
    assert_eq!(role.max_session_duration_seconds, 3600);
    let tags = Tags::from([
        ("albsync.dev/owner".into(), "inst-1".into()),
        (
            "albsync.dev/cluster".into(),
            "arn:aws:eks:ap-northeast-1:123456789012:cluster/mz-k8s".into(),
        ),
        ("albsync.dev/object".into(), "default/app1".into()),
        ("albsync.dev/repo".into(), "repo-1".into()),
    ]);
    assert_eq!(role.tags, tags);
    assert_eq!(
        stack.service_account.unwrap().to_string(),
        "ServiceAccount default/app1"
    );

    let name = "mz-k8s-default-app1-e36d9e44-read";
    let policy = &stack.policies[name];
    assert_eq!(policy.name, name);
    assert_eq!(
        policy.arn.0,
        format!("arn:aws:iam::123456789012:policy/albsync/mz-k8s/{name}")
    );
    assert_eq!(policy.tags, tags);
    assert_eq!(
        role.attached,
        BTreeSet::from([Ref::Output(ResourceId::policy("default/app1", name))])
    );
}

#[test]
fn the_trust_document_names_one_service_account_and_its_audience() {
    let trust = role(|_, _, _| ()).role.trust;
    assert_eq!(
        trust,
        json!({
            "Version": "2012-10-17",
            "Statement": [{
                "Effect": "Allow",
                "Principal": { "Federated":
                    "arn:aws:iam::123456789012:oidc-provider/oidc.eks.ap-northeast-1.amazonaws.com/id/ABC123" },
                "Action": "sts:AssumeRoleWithWebIdentity",
                "Condition": { "StringEquals": {
                    "oidc.eks.ap-northeast-1.amazonaws.com/id/ABC123:aud": "sts.amazonaws.com",
                    "oidc.eks.ap-northeast-1.amazonaws.com/id/ABC123:sub": "system:serviceaccount:default:app1",
                }},
            }],
        })
    );
}

#[test]
fn the_provider_is_derived_from_the_issuer() {
    let provider = built(|_, _, _| ()).value.provider.unwrap().spec;
    assert_eq!(
        provider.url,
        "https://oidc.eks.ap-northeast-1.amazonaws.com/id/ABC123"
    );
    assert_eq!(
        provider.arn.as_str(),
        "arn:aws:iam::123456789012:oidc-provider/oidc.eks.ap-northeast-1.amazonaws.com/id/ABC123"
    );
    assert_eq!(
        provider.client_ids,
        BTreeSet::from(["sts.amazonaws.com".to_owned()])
    );
    assert!(provider.ensure);
    assert!(
        !built(|_, _, settings| settings.iam.ensure_provider = false)
            .value
            .provider
            .unwrap()
            .spec
            .ensure
    );
    assert_eq!(
        build(&tutorial(), &facts(), &settings()).value.provider,
        None
    );
}

#[test]
fn scheme_port_and_trailing_slash_are_no_part_of_an_issuer() {
    assert_eq!(
        bare_issuer("https://oidc.example.com/id/A"),
        "oidc.example.com/id/A"
    );
    assert_eq!(
        bare_issuer("https://oidc.example.com:8443/id/A"),
        "oidc.example.com/id/A"
    );
    assert_eq!(bare_issuer("https://oidc.example.com/"), "oidc.example.com");
}

#[test]
fn the_partition_is_the_clusters() {
    let stack = role(|_, facts, settings| {
        facts.cluster_arn = Some("arn:aws-cn:eks:cn-north-1:123456789012:cluster/mz-k8s".into());
        settings.iam.permissions_boundary =
            Some(Arn::from("arn:aws-cn:iam::123456789012:policy/b"));
    });
    assert!(
        stack
            .role
            .arn
            .as_str()
            .starts_with("arn:aws-cn:iam::123456789012:role/")
    );
    assert!(
        stack.role.trust.to_string().contains("sts.amazonaws.com\""),
        "the audience has no partition"
    );
}

#[test]
fn without_account_arn_or_issuer_everything_waits() {
    for (change, reason) in [
        (
            (|facts| facts.account = None) as fn(&mut Facts),
            "the AWS account was not read",
        ),
        (
            |facts| facts.cluster_arn = None,
            "the cluster's ARN was not read",
        ),
        (
            |facts| facts.oidc_issuer = None,
            "the cluster's OIDC issuer was not read",
        ),
    ] {
        let result = built(|_, facts, _| change(facts));
        assert_eq!(result.problems, []);
        let waiting: Vec<_> = result
            .value
            .waiting
            .iter()
            .map(|wait| (wait.stack.clone(), wait.reason.as_str()))
            .collect();
        let stacks = [StackId::Provider, StackId::Role("default/app1".into())];
        assert_eq!(waiting, stacks.map(|stack| (stack, reason)));
        let [account] = &result.value.objects[..] else {
            panic!("{:?}", result.value.objects)
        };
        assert_eq!(
            account.waits.as_deref(),
            Some(format!("its role waits: {reason}").as_str())
        );
    }
}

#[test]
fn the_boundary_is_the_configured_one_or_one_of_the_allowed() {
    let boundary = |arn: Option<&str>| {
        role(|account, _, _| {
            account.role.permissions_boundary = arn.map(|arn| located(Arn::from(arn)))
        })
        .role
        .permissions_boundary
        .unwrap()
    };
    let default = "arn:aws:iam::123456789012:policy/boundary/app";
    let other = "arn:aws:iam::123456789012:policy/boundary/other";
    assert_eq!(boundary(None).as_str(), default);
    assert_eq!(boundary(Some(default)).as_str(), default);
    assert_eq!(boundary(Some(other)).as_str(), other);
}

#[test]
fn a_boundary_that_is_not_allowed_or_not_there_is_refused() {
    let text = problem(|account, _, _| {
        account.role.permissions_boundary = Some(Located::new(
            Arn::from("arn:aws:iam::1:policy/wide"),
            at(333),
        ));
    });
    assert_eq!(
        text,
        "app.yaml:333:1: problem[boundary-not-allowed]: IAMServiceAccount default/app1: permissions boundary \
         arn:aws:iam::1:policy/wide is not allowed by the configuration; allowed: \
         arn:aws:iam::123456789012:policy/boundary/app, arn:aws:iam::123456789012:policy/boundary/other"
    );
    let text = problem(|_, _, settings| settings.iam.permissions_boundary = None);
    assert!(text.contains("problem[boundary-missing]"), "{text}");
}

#[test]
fn guards_cannot_be_lowered() {
    let text = problem(|account, _, settings| {
        settings.lowered.insert("boundary-not-allowed".into());
        account.role.permissions_boundary = Some(located(Arn::from("arn:aws:iam::1:policy/wide")));
    });
    assert!(text.contains("problem[boundary-not-allowed]"), "{text}");
}

#[test]
fn managed_policies_must_match_the_configured_globs() {
    let allowed = |arn: &str, globs: &[&str]| {
        let result = built(|account, _, settings| {
            account.policies.managed_arns = vec![located(arn.to_owned())];
            settings.iam.allowed_policies = globs.iter().map(|glob| (*glob).to_owned()).collect();
        });
        assert!(
            result
                .problems
                .iter()
                .all(|problem| problem.code == "policy-not-allowed")
        );
        !result.is_rejected()
    };
    let read_only = "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess";
    assert!(allowed(
        read_only,
        &["arn:${partition}:iam::aws:policy/*ReadOnly*"]
    ));
    assert!(allowed(
        "arn:${partition}:iam::${account}:policy/x",
        &["arn:*:iam::${account}:policy/*"]
    ));
    assert!(!allowed(
        "arn:aws:iam::999999999999:policy/x",
        &["arn:*:iam::${account}:policy/*"]
    ));
    assert!(!allowed(read_only, &[]));
    assert!(!allowed(
        "arn:aws:iam::aws:policy/AdministratorAccess",
        &["*"]
    ));
    assert!(!allowed(
        "arn:aws:iam::aws:policy/AmazonS3FullAccess",
        &["arn:aws:iam::aws:policy/*"]
    ));
    assert!(allowed(
        "arn:aws:iam::aws:policy/AmazonS3FullAccess",
        &["arn:aws:iam::aws:policy/AmazonS3FullAccess"]
    ));
    // Only AWS's own are dangerous by their name.
    assert!(allowed(
        "arn:aws:iam::123456789012:policy/AppFullAccess",
        &["arn:aws:iam::123456789012:policy/*"]
    ));
}

#[test]
fn managed_arns_are_attached_with_their_variables_filled_in() {
    let stack = role(|account, _, _| {
        account.policies.managed_arns = vec![located(
            "arn:${partition}:iam::aws:policy/AmazonS3ReadOnlyAccess".into(),
        )];
    });
    let known = Ref::Known(Arn::from("arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess"));
    assert!(stack.role.attached.contains(&known));
    assert_eq!(stack.role.attached.len(), 2);
}

#[test]
fn an_explicit_name_needs_the_prefix() {
    let named = |name: &str| {
        let name = Located::new(name.to_owned(), at(320));
        move |account: &mut IamServiceAccount, _: &mut Facts, settings: &mut Settings| {
            settings.iam.role_prefix = "team-".into();
            account.role.name = Some(name);
        }
    };
    assert_eq!(role(named("team-app")).role.name.as_str(), "team-app");
    assert_eq!(
        problem(named("app")),
        "app.yaml:320:1: problem[role-name]: IAMServiceAccount default/app1: role name `app` lacks the configured prefix; \
         begin it with `team-`, or leave it out"
    );
}

#[test]
fn one_role_has_one_declaration() {
    let mut accounts = [account("app1"), account("app2")];
    for (account, name) in accounts.iter_mut().zip(["shared", "Shared"]) {
        account.role.name = Some(located(name.into()));
    }
    let manifests = Manifests {
        iam_service_accounts: accounts.into(),
        ..Manifests::default()
    };
    let result = build(&manifests, &facts(), &settings());
    assert_eq!(result.problems.len(), 1);
    assert_eq!(result.problems[0].code, "iam-duplicate");
    assert!(result.problems[0].also.is_some());
    assert_eq!(
        result.value.roles.keys().collect::<Vec<_>>(),
        ["default/app1"]
    );
}

#[test]
fn inline_policies_bear_our_prefix_and_tags_of_the_user_never_ours() {
    let stack = role(|account, _, _| {
        account.policies.inline = vec![policy("queue", json!({"Statement": []}))];
        account.role.tags = [
            ("team".into(), "a".into()),
            ("Albsync.dev/Owner".into(), "me".into()),
        ]
        .into();
    });
    assert_eq!(
        stack.role.inline.into_keys().collect::<Vec<_>>(),
        ["albsync-queue"]
    );
    assert_eq!(stack.role.tags["team"], "a");
    assert_eq!(stack.role.tags["albsync.dev/owner"], "inst-1");
    assert_eq!(stack.role.tags.len(), 5);
}

#[test]
fn adoption_needs_the_administrators_consent() {
    let adopt = |allow| {
        move |account: &mut IamServiceAccount, _: &mut Facts, settings: &mut Settings| {
            account.role.adopt_role_id = Some(located("AROA1".into()));
            settings.iam.allow_adoption = allow;
        }
    };
    assert_eq!(
        role(adopt(true)).role.adopt_role_id.as_deref(),
        Some("AROA1")
    );
    assert!(problem(adopt(false)).contains("problem[adoption-not-allowed]"));
}

/// A document of exactly this minified size.
fn sized(size: usize) -> Value {
    let empty = policy::counted_size(&json!({ "Statement": "" }));
    json!({ "Statement": "x".repeat(size - empty) })
}

#[test]
fn quotas_are_forecast_to_the_character() {
    let owned = |size| {
        move |account: &mut IamServiceAccount, _: &mut Facts, _: &mut Settings| {
            account.policies.owned = vec![policy("big", sized(size))];
        }
    };
    role(owned(6_144));
    assert!(problem(owned(6_145)).contains("policy `big` has 6145 characters, IAM takes 6144"));

    let inline = |size: usize| {
        move |account: &mut IamServiceAccount, _: &mut Facts, _: &mut Settings| {
            account.policies.inline =
                vec![policy("a", sized(5_000)), policy("b", sized(size - 5_000))];
        }
    };
    role(inline(10_240));
    assert!(problem(inline(10_241)).contains("10241 characters together, IAM takes 10240"));

    let attached = |count| {
        move |account: &mut IamServiceAccount, _: &mut Facts, _: &mut Settings| {
            let names = (0..count - 1)
                .map(|index| located(format!("arn:aws:iam::aws:policy/ReadOnly{index}")));
            account.policies.managed_arns = names.collect();
        }
    };
    role(attached(10));
    assert!(problem(attached(11)).contains("11 managed policies, IAM attaches at most 10"));

    // The issuer and the subject stand in the document: their length decides.
    let trust = |size: usize| {
        move |account: &mut IamServiceAccount, _: &mut Facts, _: &mut Settings| {
            let short = policy::counted_size(&role(|_, _, _| ()).role.trust) - "app1".len();
            account.service_account.name = "x".repeat(size - short);
        }
    };
    role(trust(2_048));
    assert!(problem(trust(2_049)).contains("2049 characters, IAM takes 2048"));
}

#[test]
fn what_the_declaration_says_of_deletes_drift_and_suspension_is_kept() {
    let stack = role(|account, _, _| {
        account.deletion_policy = DeletionPolicy::Retain;
        account.drift_policy = DriftPolicy::Report;
        account.suspended = true;
        account.policies.additive = true;
        account.service_account.manage = Manage::None;
    });
    assert!(stack.retain && stack.suspended && stack.role.report_only && stack.role.additive);
    assert_eq!(stack.service_account, None);
}

#[test]
fn hyphens_do_not_make_two_accounts_one_role() {
    let name = |namespace, account| computed_name("", "c", "arn:c", namespace, account);
    assert_ne!(name("a-b", "c"), name("a", "b-c"));
    let base = |name: &RoleName| name.0.rsplit_once('-').map(|(base, _)| base.to_owned());
    assert_eq!(
        base(&name("a-b", "c")),
        base(&name("a", "b-c")),
        "only the hash tells them apart"
    );
}

#[test]
fn globs_take_any_text_for_a_star() {
    for (glob, text, expected) in [
        ("*", "", true),
        ("a*c", "abc", true),
        ("a*c", "ac", true),
        ("a*c", "abd", false),
        ("*b*", "abc", true),
        ("*Access", "ReadAccessX", false),
        ("a.c", "abc", false),
        ("", "", true),
        ("", "a", false),
    ] {
        assert_eq!(matches(glob, text), expected, "{glob} {text}");
    }
}

proptest! {
    #[test]
    fn computed_names_fit_iam_and_never_collide(
        one in ("[A-Za-z/_.]{0,12}", "[a-z0-9-]{1,63}", "[a-z0-9.-]{1,80}"),
        other in ("[a-z0-9-]{1,63}", "[a-z0-9.-]{1,80}"),
    ) {
        let (prefix, namespace, account) = &one;
        let name = computed_name(prefix, "Cluster_1", "arn:cluster", namespace, account);
        prop_assert!(name.0.len() <= 64);
        prop_assert!(name.0.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-'));
        let second = computed_name(prefix, "Cluster_1", "arn:cluster", &other.0, &other.1);
        prop_assert_eq!(name == second, (namespace, account) == (&other.0, &other.1));
        let elsewhere = computed_name(prefix, "Cluster_1", "arn:other", namespace, account);
        prop_assert_ne!(name, elsewhere);
    }
}
