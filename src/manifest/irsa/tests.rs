use serde_json::json;

use super::*;
use crate::manifest::tests::{good, printed, read};

/// A document that uses every field that is served.
pub(in crate::manifest) const FULL: &str = "apiVersion: albsync.dev/v1alpha1
kind: IAMServiceAccount
metadata:
  name: reader
  namespace: shop
  annotations:
    albsync.dev/suspend: \"true\"
spec:
  binding: IRSA
  serviceAccount:
    name: reader-sa
    manage: Full
    labels: {app: shop}
    annotations: {team: shop}
    automountServiceAccountToken: false
    imagePullSecrets: [one, {name: two}]
    tokenExpirationSeconds: 3600
    stsRegionalEndpoints: true
  role:
    name: albsync-reader
    adopt: {roleId: AROAEXAMPLEEXAMPLE}
    description: Reads the shop's bucket
    maxSessionDurationSeconds: 7200
    permissionsBoundaryArn: arn:aws:iam::111122223333:policy/boundary
    tags: {team: shop}
  policies:
    mode: Additive
    managedArns:
    - arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess
    - arn:${partition}:iam::${account}:policy/own/thing
    inline:
    - name: beside
      document:
        Version: 2012-10-17
        Statement:
          Effect: Allow
          Action: s3:GetObject
          Resource: \"*\"
  deletionPolicy: Retain
  driftPolicy: Report
";

const POLICY: &str = "{
  \"Version\": \"2012-10-17\",
  \"Statement\": [{\"Sid\": \"Read\", \"Effect\": \"Allow\", \"Action\": [\"s3:GetObject\"], \"Resource\": \"arn:aws:s3:::shop/*\"}]
}
";

/// A document with only this in its spec, from line 5 on.
fn with_spec(spec: &str) -> String {
    format!(
        "apiVersion: albsync.dev/v1alpha1\nkind: IAMServiceAccount\nmetadata: {{name: a, namespace: b}}\nspec:\n{spec}"
    )
}

#[test]
fn every_served_field_is_read() {
    let manifests = good(&[("a.yaml", FULL)]);
    assert!(manifests.objects.is_empty());
    let account = &manifests.iam_service_accounts[0];
    assert_eq!(account.key(), "shop/reader");
    assert!(account.suspended);
    let spec = &account.service_account;
    assert_eq!(spec.name, "reader-sa");
    assert_eq!(spec.image_pull_secrets, ["one", "two"]);
    assert_eq!(spec.automount_token, Some(false));
    assert_eq!(spec.token_expiration_seconds, Some(3600));
    assert_eq!(spec.sts_regional_endpoints, Some(true));
    assert_eq!(spec.labels["app"], "shop");
    assert_eq!(spec.annotations["team"], "shop");
    assert_eq!(account.role.max_session_duration_seconds, Some(7200));
    assert_eq!(account.role.name.as_ref().unwrap().value, "albsync-reader");
    assert_eq!(account.role.tags["team"], "shop");
    assert!(account.policies.additive);
    assert_eq!(account.policies.managed_arns.len(), 2);
    assert_eq!(
        account.policies.inline[0].value.document["Version"],
        json!("2012-10-17")
    );
    assert_eq!(account.deletion_policy, DeletionPolicy::Retain);
    assert_eq!(account.drift_policy, DriftPolicy::Report);
}

#[test]
fn defaults_hold_where_nothing_is_said() {
    let manifests = good(&[("a.yaml", &with_spec("  deletionPolicy: Delete\n"))]);
    let account = &manifests.iam_service_accounts[0];
    assert_eq!(account.service_account.name, "a");
    assert_eq!(account.service_account.manage, Manage::Full);
    assert_eq!(account.role, RoleOptions::default());
    assert!(!account.suspended);
}

#[test]
fn an_owned_policy_comes_from_the_file_beside_the_manifest() {
    let text =
        with_spec("  policies:\n    owned:\n    - {name: p, file: p.json, description: d}\n");
    let manifests = good(&[("app/a.yaml", &text), ("app/p.json", POLICY)]);
    let owned = &manifests.iam_service_accounts[0].policies.owned[0];
    assert_eq!(owned.value.name, "p");
    assert_eq!(owned.value.description, "d");
    assert_eq!(owned.value.document["Statement"][0]["Sid"], "Read");
    assert_eq!(owned.origin.line, 7);
}

#[test]
fn each_bad_field_has_its_place() {
    let table = [
        (
            "  bindng: IRSA\n",
            "5:3: problem[unknown-field]: IAMServiceAccount b/a: there is no field spec.bindng; did you mean \"binding\"?",
        ),
        (
            "  binding: PodIdentity\n",
            "5:12: problem[not-served]: IAMServiceAccount b/a: the binding PodIdentity is not served yet",
        ),
        (
            "  binding: irsa\n",
            "5:12: problem[bad-value]: IAMServiceAccount b/a: spec.binding cannot be \"irsa\"; it is one of IRSA, PodIdentity",
        ),
        (
            "  podIdentity: {}\n",
            "5:3: problem[not-served]: IAMServiceAccount b/a: spec.podIdentity is not served yet",
        ),
        (
            "  trust:\n    subjectPatterns: [\"*\"]\n",
            "6:5: problem[not-served]: IAMServiceAccount b/a: spec.trust.subjectPatterns is not served yet",
        ),
        (
            "  trust:\n    additionalServiceAccounts: [{namespace: x, name: y}]\n",
            "6:5: problem[not-served]: IAMServiceAccount b/a: spec.trust.additionalServiceAccounts is not served yet",
        ),
        (
            "  role:\n    existingArn: arn:aws:iam::111122223333:role/x\n",
            "6:5: problem[not-served]: IAMServiceAccount b/a: role.existingArn is not served yet",
        ),
        (
            "  policies:\n    wellKnown: [ebs]\n",
            "6:5: problem[not-served]: IAMServiceAccount b/a: spec.policies.wellKnown is not served yet",
        ),
        (
            "  serviceAccount:\n    annotations: {eks.amazonaws.com/role-arn: x}\n",
            "6:19: problem[bad-value]: IAMServiceAccount b/a: keys under eks.amazonaws.com/ are reserved; albsync writes what the role needs",
        ),
        (
            "  serviceAccount:\n    annotations: {eks.amazon.com/role-arn: x}\n",
            "6:19: problem[unknown-annotation]: IAMServiceAccount b/a: nothing reads the annotation eks.amazon.com/role-arn; did you mean \"eks.amazonaws.com/role-arn\"?",
        ),
        (
            "  serviceAccount:\n    manage: None\n    automountServiceAccountToken: true\n",
            "7:5: problem[bad-value]: IAMServiceAccount b/a: spec.serviceAccount.automountServiceAccountToken needs manage: Full; otherwise the ServiceAccount is not ours to fill",
        ),
        (
            "  serviceAccount:\n    tokenExpirationSeconds: 599\n",
            "6:29: problem[bad-value]: IAMServiceAccount b/a: spec.serviceAccount.tokenExpirationSeconds must be a whole number from 600 to 86400, not 599",
        ),
        (
            "  serviceAccount:\n    stsRegionalEndpoints: on\n",
            "6:27: problem[yaml-ambiguous]: IAMServiceAccount b/a: spec.serviceAccount.stsRegionalEndpoints is written as `on`, which readers of YAML take for different things; write true or false",
        ),
        (
            "  role:\n    name: a/b\n",
            "6:11: problem[bad-name]: IAMServiceAccount b/a: spec.role.name cannot be \"a/b\"; up to 64 letters, digits and _ + = , . @ -",
        ),
        (
            "  role:\n    adopt: {roleId: AIDA1234567890123}\n",
            "6:21: problem[bad-name]: IAMServiceAccount b/a: spec.role.adopt.roleId cannot be \"AIDA1234567890123\"; a role's id begins with AROA: see RoleId of get-role",
        ),
        (
            "  role:\n    tags: {Team: x}\n",
            "6:12: problem[bad-value]: IAMServiceAccount b/a: the tag key \"Team\" has capital letters; IAM does not tell them apart on roles: write lower case",
        ),
        (
            "  role:\n    tags: {albsync.dev/owner: x}\n",
            "6:12: problem[bad-value]: IAMServiceAccount b/a: the tag key \"albsync.dev/owner\" marks ownership and cannot be set; keys do not begin with `albsync.dev/`",
        ),
        (
            "  role:\n    permissionsBoundaryArn: arn:aws:iam::1:policy/x\n",
            "6:29: problem[bad-name]: IAMServiceAccount b/a: spec.role.permissionsBoundaryArn cannot be \"arn:aws:iam::1:policy/x\"; it is arn:aws:iam::<account or aws>:policy/<path and name>; ${partition} and ${account} are filled in",
        ),
        (
            "  policies:\n    managedArns: [\"arn:aws:iam::aws:policy/A\", \"arn:aws:iam::aws:policy/A\"]\n",
            "6:48: problem[bad-value]: IAMServiceAccount b/a: spec.policies.managedArns[1] repeats \"arn:aws:iam::aws:policy/A\"; remove one (see also a.yaml:6:19)",
        ),
        (
            "  policies:\n    inline:\n    - {name: p}\n",
            "7:7: problem[missing-field]: IAMServiceAccount b/a: spec.policies.inline[0] has no document; write document or file",
        ),
        (
            "  policies:\n    inline:\n    - {name: p, file: p.json, document: {}}\n",
            "7:17: problem[bad-value]: IAMServiceAccount b/a: spec.policies.inline[0] has a document and a file; keep one of them",
        ),
        (
            "  policies:\n    inline:\n    - {name: p, description: x, file: p.json}\n",
            "7:17: problem[unknown-field]: IAMServiceAccount b/a: there is no field spec.policies.inline[0].description; known are: name, document, file",
        ),
        (
            "  policies:\n    owned:\n    - {name: p, file: ../p.json}\n",
            "7:23: problem[iam-file]: IAMServiceAccount b/a: \"../p.json\" is no file that can be read; it must not leave the repository",
        ),
        (
            "  policies:\n    owned:\n    - {name: p, file: \"https://x/p.json\"}\n",
            "7:23: problem[iam-file]: IAMServiceAccount b/a: \"https://x/p.json\" is no file that can be read; policies come from this repository only",
        ),
        (
            "  policies:\n    owned:\n    - {name: p, file: b.yaml}\n",
            "7:23: problem[iam-file]: IAMServiceAccount b/a: \"b.yaml\" is no file that can be read; it is a JSON file, such as policy.json",
        ),
        (
            "  policies:\n    owned:\n    - {name: p, file: none.json}\n",
            "7:23: problem[iam-file]: IAMServiceAccount b/a: there is no file none.json; the path is relative to the manifest's directory",
        ),
    ];
    for (spec, wanted) in table {
        let found = printed(&[("a.yaml", &with_spec(spec)), ("p.json", POLICY)]);
        assert_eq!(found, [format!("a.yaml:{wanted}")], "{spec}");
    }
}

#[test]
fn a_spec_is_required() {
    let text = "apiVersion: albsync.dev/v1alpha1\nkind: IAMServiceAccount\nmetadata: {name: a}\n";
    assert_eq!(
        printed(&[("a.yaml", text)]),
        ["a.yaml:1:1: problem[missing-field]: IAMServiceAccount default/a: spec is missing"]
    );
}

#[test]
fn one_account_or_role_is_declared_once() {
    let one = with_spec("  role: {name: r}\n");
    let two = one
        .replace("name: a,", "name: c,")
        .replace("role:", "serviceAccount: {name: a}\n  role:")
        .replace("{name: r}", "{name: R}");
    assert_eq!(
        printed(&[("a.yaml", &one), ("b.yaml", &two)]),
        [
            "b.yaml:1:1: problem[iam-duplicate]: IAMServiceAccount b/c: the ServiceAccount b/a is declared twice; one of the documents must go (see also a.yaml:1:1)",
            "b.yaml:6:16: problem[iam-duplicate]: IAMServiceAccount b/c: the role \"R\" is declared twice; one of the documents must go (see also a.yaml:5:16)",
        ]
    );
}

#[test]
fn near_misses_on_service_accounts_are_found() {
    let account = |key: &str, value: &str| {
        format!(
            "apiVersion: v1\nkind: ServiceAccount\nmetadata:\n  name: a\n  annotations:\n    {key}: {value}\n"
        )
    };
    let arn = "arn:aws:iam::111122223333:role/x";
    for (key, right) in [
        ("eks.amazon.com/role-arn", "role-arn"),
        ("eks.amazonaws.co/role-arn", "role-arn"),
        ("eks.amazonaws.com/role-arm", "role-arn"),
        ("eks.aws.com/role-arn", "role-arn"),
        ("eks.amazonaws.com/rolearn", "role-arn"),
        ("eks.amazonaws.com/token-expiraton", "token-expiration"),
    ] {
        let found = printed(&[("a.yaml", &account(key, arn))]);
        let wanted = format!(
            "a.yaml:6:5: problem[unknown-annotation]: ServiceAccount default/a: nothing reads the annotation {key}; did you mean \"eks.amazonaws.com/{right}\"?"
        );
        assert_eq!(found, [wanted]);
    }
    for key in [
        "eks.amazonaws.com/role-arn",
        "example.com/role-arn",
        "eks.amazonaws.com/something-else",
    ] {
        let read = read(&[("a.yaml", &account(key, arn))]);
        assert_eq!(read.problems, [], "{key}");
        let bound = &read.value.service_accounts[0].role_arn;
        assert_eq!(bound.is_some(), key == ROLE_ARN);
    }
    assert_eq!(
        printed(&[("a.yaml", &account(ROLE_ARN, "my-role"))]),
        [
            "a.yaml:6:33: problem[bad-name]: ServiceAccount default/a: the annotation eks.amazonaws.com/role-arn cannot be \"my-role\"; it is arn:aws:iam::<account>:role/<path and name>"
        ]
    );
    assert_eq!(
        printed(&[("a.yaml", &account("albsync.dev/iam", "enabled"))]),
        [
            "a.yaml:6:5: problem[not-served]: ServiceAccount default/a: albsync.dev/iam is not served yet"
        ]
    );
}
