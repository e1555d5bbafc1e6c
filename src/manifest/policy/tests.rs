use crate::manifest::tests::printed;

const MANIFEST: &str = "apiVersion: albsync.dev/v1alpha1
kind: IAMServiceAccount
metadata: {name: a, namespace: b}
spec:
  policies:
    owned:
    - {name: p, file: p.json}
";

/// What is said of this policy file, without the object's name.
fn of_file(policy: &str) -> Vec<String> {
    printed(&[("a.yaml", MANIFEST), ("p.json", policy)])
        .into_iter()
        .map(|found| found.replace("IAMServiceAccount b/a: ", ""))
        .collect()
}

/// A policy of one statement, which stands on line 3.
fn statement(fields: &str) -> String {
    format!("{{\"Version\": \"2012-10-17\",\n\"Statement\": [\n{{{fields}}}]}}")
}

#[test]
fn a_file_must_be_strict_json_with_statements() {
    let table = [
        (
            "{",
            "p.json:1:1: problem[iam-file]: the policy file is not JSON: EOF while parsing an object (see also a.yaml:7:23)",
        ),
        (
            "{\"Version\": \"2012-10-17\", \"Version\": \"2012-10-17\"}",
            "p.json:1:35: problem[iam-file]: the policy file is not JSON: the key \"Version\" stands twice in one object (see also a.yaml:7:23)",
        ),
        (
            "[]",
            "p.json:1:1: problem[wrong-type]: the document must be a mapping, not a list",
        ),
        (
            "{\"Version\": \"2012-10-17\"}",
            "p.json:1:1: problem[missing-field]: Statement is missing",
        ),
        (
            "{\"Version\": \"2012-10-17\", \"Statement\": []}",
            "p.json:1:40: problem[missing-field]: Statement is empty",
        ),
        (
            "{\"Version\": \"2008-10-17\", \"Statement\": [{\"Effect\": \"Deny\", \"Action\": \"*\", \"Resource\": \"*\"}]}",
            "p.json:1:13: problem[iam-policy]: Version cannot be \"2008-10-17\"; write 2012-10-17; variables are not read otherwise",
        ),
    ];
    for (policy, wanted) in table {
        assert_eq!(of_file(policy), [wanted], "{policy}");
    }
}

#[test]
fn a_file_indented_by_tabs_is_read_too() {
    let policy = "{\n\t\"Version\": \"2012-10-17\",\n\t\"Statement\": {\"Effect\": \"Allow\", \"Action\": \"s3:GetObject\", \"Resource\": \"*\"}\n}\n";
    assert_eq!(of_file(policy), [""; 0]);
}

#[test]
fn statements_follow_iams_rules() {
    let table = [
        (
            "\"Effect\": \"allow\", \"Action\": \"s3:Get\", \"Resource\": \"*\"",
            "3:12: problem[bad-value]: Statement[0].Effect cannot be \"allow\"; it is one of Allow, Deny",
        ),
        (
            "\"Effect\": \"Allow\", \"Resource\": \"*\"",
            "3:1: problem[missing-field]: Statement[0].Action is missing",
        ),
        (
            "\"Effect\": \"Allow\", \"Action\": \"s3:Get\"",
            "3:1: problem[missing-field]: Statement[0].Resource is missing",
        ),
        (
            "\"Effect\": \"Allow\", \"Action\": [], \"Resource\": \"*\"",
            "3:31: problem[missing-field]: Statement[0].Action is empty",
        ),
        (
            "\"Effect\": \"Allow\", \"Action\": \"s3 Get\", \"Resource\": \"*\"",
            "3:31: problem[iam-policy]: \"s3 Get\" is no action; it is service:Action",
        ),
        (
            "\"Effect\": \"Allow\", \"Action\": \"s3:Get\", \"Resource\": \"bucket\"",
            "3:53: problem[iam-policy]: the resource \"bucket\" is no ARN; it is `*` or begins with `arn:`",
        ),
        (
            "\"Effect\": \"Allow\", \"Principal\": \"*\", \"Action\": \"s3:Get\", \"Resource\": \"*\"",
            "3:21: problem[iam-policy]: a policy of a role has no Principal; who may take the role is written by albsync",
        ),
        (
            "\"Sid\": \"a b\", \"Effect\": \"Allow\", \"Action\": \"s3:Get\", \"Resource\": \"*\"",
            "3:9: problem[iam-policy]: Sid cannot be \"a b\"; letters and digits only",
        ),
        (
            "\"Effect\": \"Allow\", \"Acton\": \"s3:Get\", \"NotAction\": \"x:y\", \"Resource\": \"*\", \"Effekt\": 1",
            "3:21: problem[unknown-field]: there is no field Statement[0].Acton; did you mean \"Action\"?",
        ),
        (
            "\"Effect\": \"Allow\", \"Action\": \"s3:日\", \"Resource\": \"*\"",
            "1:1: problem[iam-policy]: the document holds the character `日`; IAM takes Latin-1 only",
        ),
    ];
    for (fields, wanted) in table {
        let found = of_file(&statement(fields));
        assert!(
            found.contains(&format!("p.json:{wanted}")),
            "{found:#?}\nwanted {wanted}"
        );
    }
}

#[test]
fn what_widens_ones_own_rights_is_refused() {
    for action in [
        "*",
        "*:*",
        "iam:*",
        "IAM:*",
        "sts:*",
        "organizations:*",
        "account:*",
        "iam:PutRolePolicy",
        "iam:Put*",
        "iam:CreateAccessKey",
        "i*:Attach?olePolicy",
        "iam:PassRole",
        "sts:AssumeRole",
        "sts:Assume*",
    ] {
        let found = of_file(&statement(&format!(
            "\"Effect\": \"Allow\", \"Action\": \"{action}\", \"Resource\": \"*\""
        )));
        assert_eq!(found.len(), 1, "{action}: {found:?}");
        assert!(
            found[0].starts_with("p.json:3:31: problem[iam-escalation]"),
            "{found:?}"
        );
    }
    for negative in [
        "\"NotAction\": \"s3:Get\", \"Resource\": \"*\"",
        "\"Action\": \"s3:Get\", \"NotResource\": \"*\"",
    ] {
        let found = of_file(&statement(&format!("\"Effect\": \"Allow\", {negative}")));
        assert!(found[0].contains("[iam-escalation]"), "{found:?}");
    }
}

#[test]
fn what_does_not_widen_ones_rights_is_taken() {
    for fields in [
        "\"Effect\": \"Deny\", \"Action\": \"*\", \"Resource\": \"*\"",
        "\"Effect\": \"Deny\", \"NotAction\": \"s3:*\", \"Resource\": \"*\"",
        "\"Effect\": \"Allow\", \"Action\": [\"iam:Get*\", \"s3:*\"], \"Resource\": \"*\"",
        "\"Effect\": \"Allow\", \"Action\": \"sts:AssumeRole\", \"Resource\": \"arn:aws:iam::111122223333:role/x\"",
        "\"Effect\": \"Allow\", \"Action\": \"iam:PassRole\", \"Resource\": \"arn:aws:iam::111122223333:role/x\", \"Condition\": {\"StringEquals\": {\"iam:PassedToService\": \"ec2.amazonaws.com\"}}",
    ] {
        assert_eq!(of_file(&statement(fields)), [""; 0], "{fields}");
    }
}

#[test]
fn sizes_are_counted_without_blanks() {
    let policy = |count: usize| {
        let actions: Vec<String> = (0..count).map(|n| format!("\"s3:Get{n:0>10}\"")).collect();
        statement(&format!(
            "\"Effect\": \"Allow\", \"Action\": [{}], \"Resource\": \"*\"",
            actions.join(",       ")
        ))
    };
    assert_eq!(of_file(&policy(300)), [""; 0]);
    assert_eq!(
        of_file(&policy(400)),
        [
            "a.yaml:7:7: problem[iam-quota]: this policy has 7683 characters, blanks not counted; IAM takes 6144; split it, or say the same shorter"
        ]
    );
}
