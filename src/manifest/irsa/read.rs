//! The schema of `IAMServiceAccount`, strictly (irsa.md §9.2).

use std::collections::BTreeMap;

use super::{
    DeletionPolicy, DriftPolicy, IamServiceAccount, Manage, PolicyOptions, RoleOptions,
    ServiceAccount, ServiceAccountSpec,
};
use crate::{
    id::Arn,
    manifest::{
        annotation::bad_tag,
        document::{Context, Metadata},
        field::{Field, Report},
        name, policy,
    },
    problem::{
        Located, Origin, Problem, codes,
        nearest::{distance, nearest},
    },
};

/// The prefix of the annotations that the pod identity webhook reads (irsa.md §1.5).
const EKS: &str = "eks.amazonaws.com";
/// The annotation that binds a ServiceAccount to its role.
pub const ROLE_ARN: &str = "eks.amazonaws.com/role-arn";
const ON_ACCOUNTS: &[&str] = &[
    "role-arn",
    "audience",
    "sts-regional-endpoints",
    "token-expiration",
];
/// Fifty tags on a role, ten of them kept for ours.
const MAX_TAGS: usize = 40;

pub(in crate::manifest) fn iam_service_account(
    field: &Field<'_>,
    metadata: &Metadata,
    context: Context<'_>,
    report: &mut Report,
) -> IamServiceAccount {
    report.fields(field, &["apiVersion", "kind", "metadata", "spec", "status"]);
    let mut account = IamServiceAccount {
        origin: field.origin(),
        namespace: metadata.namespace.clone(),
        name: metadata.name.clone(),
        suspended: metadata
            .annotations
            .iter()
            .any(|given| given.key == "albsync.dev/suspend" && given.value.value == "true"),
        service_account: ServiceAccountSpec {
            name: metadata.name.clone(),
            manage: Manage::Full,
            labels: BTreeMap::new(),
            annotations: BTreeMap::new(),
            automount_token: None,
            image_pull_secrets: Vec::new(),
            token_expiration_seconds: None,
            sts_regional_endpoints: None,
        },
        role: RoleOptions::default(),
        policies: PolicyOptions::default(),
        deletion_policy: DeletionPolicy::default(),
        drift_policy: DriftPolicy::default(),
    };
    let known = [
        "binding",
        "serviceAccount",
        "role",
        "policies",
        "trust",
        "podIdentity",
        "deletionPolicy",
        "driftPolicy",
    ];
    let Some(spec) = report.required(field, "spec") else {
        return account;
    };
    if !report.fields(&spec, &known) {
        return account;
    }
    let bindings = [("IRSA", true), ("PodIdentity", false)];
    if let Some(binding) = report.one_of(&spec, "binding", &bindings)
        && !binding.value
    {
        report.not_served(binding.origin, "the binding PodIdentity");
    }
    if let Some(section) = spec.get("serviceAccount") {
        service_account_spec(&section, &mut account.service_account, report);
    }
    if let Some(section) = spec.get("role") {
        account.role = role(&section, report);
    }
    if let Some(section) = spec.get("policies") {
        account.policies = policies(&section, context, report);
    }
    if let Some(section) = spec.get("trust") {
        let later = [
            "additionalServiceAccounts",
            "subjectPatterns",
            "additionalClusters",
        ];
        report.fields(&section, &later);
        refuse_later(&section, &later, report);
    }
    if spec.get("podIdentity").is_some() {
        report.not_served(spec.node.key_origin("podIdentity"), "spec.podIdentity");
    }
    let deletions = [
        ("Delete", DeletionPolicy::Delete),
        ("Retain", DeletionPolicy::Retain),
    ];
    if let Some(word) = report.one_of(&spec, "deletionPolicy", &deletions) {
        account.deletion_policy = word.value;
    }
    let drifts = [
        ("Correct", DriftPolicy::Correct),
        ("Report", DriftPolicy::Report),
    ];
    if let Some(word) = report.one_of(&spec, "driftPolicy", &drifts) {
        account.drift_policy = word.value;
    }
    account
}

fn service_account_spec(field: &Field<'_>, spec: &mut ServiceAccountSpec, report: &mut Report) {
    let known = [
        "name",
        "manage",
        "labels",
        "annotations",
        "automountServiceAccountToken",
        "imagePullSecrets",
        "tokenExpirationSeconds",
        "stsRegionalEndpoints",
    ];
    if !report.fields(field, &known) {
        return;
    }
    if let Some(text) = report.text(field, "name") {
        report.name(&field.path_of("name"), &text, name::subdomain);
        spec.name = text.value;
    }
    let words = [
        ("Full", Manage::Full),
        ("AnnotateOnly", Manage::AnnotateOnly),
        ("None", Manage::None),
    ];
    if let Some(word) = report.one_of(field, "manage", &words) {
        spec.manage = word.value;
    }
    for (key, (origin, value)) in report.text_map(field, "labels") {
        let text = Located::new(key.clone(), origin);
        report.name(&field.path_of("labels"), &text, name::qualified);
        let path = format!("{}.{key}", field.path_of("labels"));
        report.name(&path, &value, name::label_value);
        spec.labels.insert(key, value.value);
    }
    for (key, (origin, value)) in report.text_map(field, "annotations") {
        let text = Located::new(key.clone(), origin.clone());
        report.name(&field.path_of("annotations"), &text, name::annotation_key);
        let prefix = key.split_once('/').map_or("", |(prefix, _)| prefix);
        if prefix == EKS || prefix == "albsync.dev" {
            report.hinted(
                codes::BAD_VALUE,
                origin,
                format!("keys under {prefix}/ are reserved"),
                "albsync writes what the role needs",
            );
        } else {
            near_miss(&key, &origin, report);
            spec.annotations.insert(key, value.value);
        }
    }
    spec.automount_token = report.boolean(field, "automountServiceAccountToken");
    for item in report.list(field, "imagePullSecrets") {
        // As in a ServiceAccount, or just the name.
        let text = if item.value().is_object() {
            report.fields(&item, &["name"]);
            report.required_text(&item, "name")
        } else {
            report.as_text(&item)
        };
        spec.image_pull_secrets.extend(text.map(|text| text.value));
    }
    if spec.manage != Manage::Full {
        for key in ["automountServiceAccountToken", "imagePullSecrets"] {
            if field.get(key).is_some() {
                report.hinted(
                    codes::BAD_VALUE,
                    field.node.key_origin(key),
                    format!("{} needs manage: Full", field.path_of(key)),
                    "otherwise the ServiceAccount is not ours to fill",
                );
            }
        }
    }
    spec.token_expiration_seconds = report
        .integer(field, "tokenExpirationSeconds", 600..=86_400)
        .map(|number| number.value);
    spec.sts_regional_endpoints = report.boolean(field, "stsRegionalEndpoints");
}

fn role(field: &Field<'_>, report: &mut Report) -> RoleOptions {
    let known = [
        "name",
        "existingArn",
        "adopt",
        "description",
        "maxSessionDurationSeconds",
        "permissionsBoundaryArn",
        "tags",
    ];
    let mut role = RoleOptions::default();
    if !report.fields(field, &known) {
        return role;
    }
    role.name = report.text(field, "name");
    if let Some(text) = &role.name {
        report.name(&field.path_of("name"), text, policy::iam_name::<64>);
    }
    if field.get("existingArn").is_some() {
        report.not_served(field.node.key_origin("existingArn"), "role.existingArn");
    }
    if let Some(adopt) = field.get("adopt")
        && report.fields(&adopt, &["roleId"])
    {
        role.adopt_role_id = report.required_text(&adopt, "roleId");
        if let Some(id) = &role.adopt_role_id {
            report.name(&adopt.path_of("roleId"), id, role_id);
        }
    }
    if let Some(text) = report.text(field, "description") {
        check_description(&field.path_of("description"), &text, report);
        role.description = text.value;
    }
    role.max_session_duration_seconds = report
        .integer(field, "maxSessionDurationSeconds", 3_600..=43_200)
        .and_then(|number| i32::try_from(number.value).ok());
    role.permissions_boundary = report.text(field, "permissionsBoundaryArn").map(|text| {
        report.name(&field.path_of("permissionsBoundaryArn"), &text, policy_arn);
        Located::new(Arn::new(text.value), text.origin)
    });
    role.tags = tags(field, report);
    role
}

/// Tags of a role: IAM takes their keys without case, so only lower case is allowed (irsa.md §6.4).
fn tags(field: &Field<'_>, report: &mut Report) -> BTreeMap<String, String> {
    let map = report.text_map(field, "tags");
    if map.len() > MAX_TAGS {
        report.problem(
            codes::TOO_LONG,
            field.node.key_origin("tags"),
            format!(
                "{} tags are more than the {MAX_TAGS} that a role may have",
                map.len()
            ),
        );
    }
    map.into_iter()
        .map(|(key, (origin, value))| {
            if let Some((message, hint)) = bad_tag(&key, &value.value) {
                report.hinted(codes::BAD_VALUE, origin, message, hint);
            } else if key.chars().any(char::is_uppercase) {
                report.hinted(
                    codes::BAD_VALUE,
                    origin,
                    format!("the tag key \"{key}\" has capital letters"),
                    "IAM does not tell them apart on roles: write lower case",
                );
            }
            (key, value.value)
        })
        .collect()
}

fn policies(field: &Field<'_>, context: Context<'_>, report: &mut Report) -> PolicyOptions {
    let mut policies = PolicyOptions::default();
    let known = ["mode", "managedArns", "wellKnown", "inline", "owned"];
    if !report.fields(field, &known) {
        return policies;
    }
    let modes = [("Authoritative", false), ("Additive", true)];
    if let Some(word) = report.one_of(field, "mode", &modes) {
        policies.additive = word.value;
    }
    refuse_later(field, &["wellKnown"], report);
    let mut seen: BTreeMap<String, Origin> = BTreeMap::new();
    for item in report.list(field, "managedArns") {
        let Some(text) = report.as_text(&item) else {
            continue;
        };
        report.name(&item.path, &text, policy_arn);
        once(&mut seen, &text, &item.path, report);
        policies.managed_arns.push(text);
    }
    policies.inline = policy::documents(field, "inline", context, report);
    policies.owned = policy::documents(field, "owned", context, report);
    policies
}

/// Fields that are designed and not built: refused unless they say nothing.
fn refuse_later(field: &Field<'_>, keys: &[&str], report: &mut Report) {
    for key in keys {
        let says_something = field
            .get(key)
            .is_some_and(|child| child.value().as_array().is_none_or(|list| !list.is_empty()));
        if says_something {
            report.not_served(field.node.key_origin(key), &field.path_of(key));
        }
    }
}

fn once(
    seen: &mut BTreeMap<String, Origin>,
    text: &Located<String>,
    path: &str,
    report: &mut Report,
) {
    if let Some(first) = seen.get(&text.value) {
        report.add(
            Problem::new(
                codes::BAD_VALUE,
                text.origin.clone(),
                format!("{path} repeats \"{}\"", text.value),
            )
            .hint("remove one")
            .also(first.clone()),
        );
    } else {
        seen.insert(text.value.clone(), text.origin.clone());
    }
}

/// Reads a ServiceAccount of git as far as a role's binding must agree with it, and looks for near misses of the
/// webhook's annotations (lessons H6).
pub(in crate::manifest) fn service_account(
    field: &Field<'_>,
    metadata: &Metadata,
    report: &mut Report,
) -> ServiceAccount {
    let known = [
        "apiVersion",
        "kind",
        "metadata",
        "automountServiceAccountToken",
        "imagePullSecrets",
        "secrets",
    ];
    report.fields(field, &known);
    let mut role_arn_value = None;
    for given in &metadata.annotations {
        near_miss(&given.key, &given.key_origin, report);
        if given.key == ROLE_ARN {
            report.name(
                &format!("the annotation {ROLE_ARN}"),
                &given.value,
                role_arn,
            );
            role_arn_value = Some(given.value.clone());
        }
    }
    ServiceAccount {
        origin: field.origin(),
        namespace: metadata.namespace.clone(),
        name: metadata.name.clone(),
        role_arn: role_arn_value,
    }
}

/// A key that is nearly one that the pod identity webhook reads, and is not.
fn near_miss(key: &str, origin: &Origin, report: &mut Report) {
    let Some((prefix, suffix)) = key.split_once('/') else {
        return;
    };
    let right_suffix = nearest(suffix, ON_ACCOUNTS.iter().copied());
    let is_near_prefix = prefix != EKS
        && distance(prefix, EKS)
            .is_some_and(|steps| steps <= 3 || (steps <= 6 && right_suffix.is_some()));
    let right = match (prefix == EKS, right_suffix) {
        (true, Some(right)) if right != suffix => right,
        (false, right) if is_near_prefix => right.unwrap_or(suffix),
        _ => return,
    };
    report.hinted(
        codes::UNKNOWN_ANNOTATION,
        origin.clone(),
        format!("nothing reads the annotation {key}"),
        format!("did you mean \"{EKS}/{right}\"?"),
    );
}

pub(in crate::manifest) fn check_description(
    path: &str,
    text: &Located<String>,
    report: &mut Report,
) {
    let is_fine = |c: char| matches!(c, '\t' | '\n' | '\r' | ' '..='~' | '\u{A1}'..='\u{FF}');
    if text.value.chars().count() > 1000 || !text.value.chars().all(is_fine) {
        report.hinted(
            codes::BAD_VALUE,
            text.origin.clone(),
            format!("{path} is not what IAM takes"),
            "up to 1000 characters of Latin-1",
        );
    }
}

/// A role's unique id.
fn role_id(text: &str) -> Result<(), &'static str> {
    let fine = text.strip_prefix("AROA").is_some_and(|rest| {
        (12..=124).contains(&rest.len())
            && rest
                .bytes()
                .all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
    });
    fine.then_some(())
        .ok_or("a role's id begins with AROA: see RoleId of get-role")
}

/// What the webhook takes for a role's ARN (irsa.md §1.5).
fn role_arn(text: &str) -> Result<(), &'static str> {
    iam_arn(text, "role/", false)
        .then_some(())
        .ok_or("it is arn:aws:iam::<account>:role/<path and name>")
}

/// A managed policy's ARN, `${partition}` and `${account}` allowed.
fn policy_arn(text: &str) -> Result<(), &'static str> {
    iam_arn(text, "policy/", true)
        .then_some(())
        .ok_or("it is arn:aws:iam::<account or aws>:policy/<path and name>; ${partition} and ${account} are filled in")
}

fn iam_arn(text: &str, resource: &str, is_policy: bool) -> bool {
    let mut parts = text.splitn(6, ':');
    let mut next = || parts.next().unwrap_or_default();
    let (arn, partition, service, region, account, rest) =
        (next(), next(), next(), next(), next(), next());
    let is_partition = (is_policy && partition == "${partition}")
        || (partition.starts_with("aws")
            && partition
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-'));
    let is_account = (account.len() == 12 && account.bytes().all(|byte| byte.is_ascii_digit()))
        || (is_policy && matches!(account, "aws" | "${account}"));
    arn == "arn"
        && is_partition
        && service == "iam"
        && region.is_empty()
        && is_account
        && rest.strip_prefix(resource).is_some_and(|path| {
            !path.is_empty()
                && !path.ends_with('/')
                && path
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || b"_+=,.@-/".contains(&byte))
        })
}
