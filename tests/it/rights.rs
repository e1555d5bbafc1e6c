//! examples/iam-policy.json grants what the SDK adapter calls, and no more.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

/// Actions that AWS asks for beside the one that bears the operation's name: tags in a create are authorised as tagging,
/// and the first balancer of an account brings a role of the service.
const BESIDE: [(&str, &str); 8] = [
    (
        "elasticloadbalancing:CreateLoadBalancer",
        "elasticloadbalancing:AddTags",
    ),
    (
        "elasticloadbalancing:CreateLoadBalancer",
        "iam:CreateServiceLinkedRole",
    ),
    (
        "elasticloadbalancing:CreateTargetGroup",
        "elasticloadbalancing:AddTags",
    ),
    (
        "elasticloadbalancing:CreateRule",
        "elasticloadbalancing:AddTags",
    ),
    ("ec2:CreateSecurityGroup", "ec2:CreateTags"),
    ("iam:CreateRole", "iam:TagRole"),
    ("iam:CreatePolicy", "iam:TagPolicy"),
    (
        "iam:CreateOpenIDConnectProvider",
        "iam:TagOpenIDConnectProvider",
    ),
];

fn checkout(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// All files of the adapter but its tests.
fn adapter(directory: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory).expect("the adapter") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().and_then(|name| name.to_str());
        match name.expect("UTF-8") {
            "tests" | "tests.rs" => {}
            _ if path.is_dir() => files.extend(adapter(&path)),
            name if name.ends_with(".rs") => files.push(path),
            _ => {}
        }
    }
    files
}

/// `service:Operation` of every call through the governor, by the adapter's source.
fn operations() -> BTreeSet<String> {
    let services = BTreeMap::from([
        ("ELB", "elasticloadbalancing"),
        ("EC2", "ec2"),
        ("IAM", "iam"),
        ("STS", "sts"),
        ("EKS", "eks"),
        ("ACM", "acm"),
        ("WAF", "wafv2"),
    ]);
    let mut found = BTreeSet::new();
    for path in adapter(&checkout("src/aws/sdk")) {
        let text = fs::read_to_string(&path).expect("a file of the adapter");
        assert_eq!(
            text.matches(".send()").count(),
            text.matches("Class::").count(),
            "{}: a request goes past the governor, where nobody sees its operation",
            path.display()
        );
        // A macro's calls name their operations where it is used.
        for call in text.split("write!(").skip(1) {
            if let Some(literal) = argument(call, 1) {
                found.insert(format!("iam:{}", literal.trim_matches('"')));
            }
        }
        for (at, _) in text.match_indices("Class::") {
            let service = text[..at]
                .trim_end()
                .trim_end_matches(',')
                .rsplit(|c: char| !c.is_ascii_alphanumeric())
                .next()
                .expect("a word before the class");
            let service = services
                .get(service)
                .unwrap_or_else(|| panic!("{}: no service {service:?}", path.display()));
            let operation = match argument(&text[at..], 1).expect("a call's third argument") {
                "OPERATION" => {
                    let before = text[..at]
                        .rsplit("const OPERATION: &str = \"")
                        .next()
                        .expect("its constant");
                    before.split('"').next().expect("its value").to_owned()
                }
                // The macro itself.
                "$operation" => continue,
                literal => literal.trim_matches('"').to_owned(),
            };
            found.insert(format!("{service}:{operation}"));
        }
    }
    found
}

/// The n-th of arguments that are separated by commas.
fn argument(text: &str, n: usize) -> Option<&str> {
    text.split(',').nth(n).map(str::trim)
}

fn policy() -> Value {
    let text = fs::read(checkout("examples/iam-policy.json")).expect("the policy");
    serde_json::from_slice(&text).expect("the policy in JSON")
}

fn actions(policy: &Value, effect: &str) -> BTreeSet<String> {
    let statements = policy["Statement"].as_array().expect("statements");
    statements
        .iter()
        .filter(|statement| statement["Effect"] == effect)
        .flat_map(|statement| statement["Action"].as_array().expect("a list of actions"))
        .map(|action| action.as_str().expect("an action").to_owned())
        .collect()
}

#[test]
fn the_policy_allows_each_operation_and_nothing_else() {
    let operations = operations();
    for sample in [
        "sts:GetCallerIdentity",
        "iam:DeleteRole",
        "ec2:CreateTags",
        "elasticloadbalancing:ModifyRule",
        "acm:DescribeCertificate",
        "wafv2:ListWebACLs",
    ] {
        assert!(
            operations.contains(sample),
            "{sample} is not found in the source: {operations:#?}"
        );
    }
    let beside = BESIDE
        .iter()
        .filter(|(operation, _)| operations.contains(*operation))
        .map(|(_, action)| (*action).to_owned());
    let needed: BTreeSet<String> = operations.iter().cloned().chain(beside).collect();
    let allowed = actions(&policy(), "Allow");
    let missing: Vec<_> = needed.difference(&allowed).collect();
    let idle: Vec<_> = allowed.difference(&needed).collect();
    assert!(missing.is_empty(), "called and not allowed: {missing:?}");
    assert!(idle.is_empty(), "allowed and never called: {idle:?}");
}

#[test]
fn the_policy_is_confined_wherever_aws_can_confine_it() {
    // What AWS authorises for `*` only (aws-deploy.md §8.1, irsa.md §9.7).
    const EVERYWHERE: [&str; 6] = [
        "sts:GetCallerIdentity",
        "acm:ListCertificates",
        "wafv2:ListWebACLs",
        "iam:ListRoles",
        "iam:ListPolicies",
        "ec2:Describe",
    ];
    for statement in policy()["Statement"].as_array().expect("statements") {
        if statement["Effect"] == "Allow" && statement["Resource"] == "*" {
            for action in statement["Action"].as_array().expect("a list of actions") {
                let action = action.as_str().expect("an action");
                assert!(
                    EVERYWHERE.iter().any(|it| action.starts_with(it))
                        || action.starts_with("elasticloadbalancing:Describe"),
                    "{action} is allowed on everything"
                );
            }
        }
    }
}

#[test]
fn every_placeholder_of_the_policy_is_explained() {
    let text = fs::read_to_string(checkout("examples/iam-policy.json")).expect("the policy");
    let readme = fs::read_to_string(checkout("examples/README.md")).expect("the README");
    let words: BTreeSet<&str> = text
        .split(|c: char| !c.is_ascii_alphanumeric())
        .filter(|word| word.len() > 2 && word.chars().all(|c| c.is_ascii_uppercase()))
        .collect();
    assert!(words.contains("ACCOUNT"), "{words:?}");
    for word in words {
        assert!(
            readme.contains(&format!("| `{word}` |")),
            "{word} is not explained in examples/README.md"
        );
    }
}

#[cfg(feature = "live")]
mod live {
    use std::time::Duration;

    use crate::calls::is_healthy;
    use crate::support::bed::Bed;
    use crate::support::daemon::{self, Daemon};
    use crate::support::proxy::{Fault, Match, Rule};

    const PATIENCE: Duration = Duration::from_secs(60);

    #[test]
    fn a_refused_read_is_named_before_anything_is_written_and_waits_for_the_right() {
        for (service, operation, code) in [
            ("sts", "GetCallerIdentity", "AccessDenied"),
            (
                "elasticloadbalancing",
                "DescribeLoadBalancers",
                "AccessDenied",
            ),
            ("ec2", "DescribeSubnets", "UnauthorizedOperation"),
            ("iam", "ListRoles", "AccessDenied"),
        ] {
            let bed = Bed::shared();
            bed.proxy.add(Rule::always(
                Match::aws(service, operation),
                Fault::error(403, code, "not authorized to perform this"),
            ));
            let repo = bed.repo();
            repo.copy_from_checkout("examples/tutorial");
            let commit = repo.commit_and_push("The tutorial");
            let mut daemon = Daemon::start(&bed, &daemon::config(&bed, bed.git_path()));
            let action = format!("{service}:{operation}");
            let said = action.clone();
            daemon.wait_for("the refused action's name", PATIENCE, move |status| {
                status["failures"]
                    .as_array()
                    .is_some_and(|all| all.iter().any(|it| it.to_string().contains(&said)))
            });
            let text = daemon.cli(&["status"]).stdout;
            let text = String::from_utf8_lossy(&text);
            assert!(text.contains(&action), "{action} is not in:\n{text}");
            bed.proxy.journal().assert_changed_nothing();

            bed.proxy.clear_rules();
            daemon.wait_for("the commit is healthy", PATIENCE, |status| {
                is_healthy(status, &commit)
            });
        }
    }
}
