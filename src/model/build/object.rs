//! The cluster's objects in the order in which they are applied.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::{Input, Report, role::Binding};
use crate::{
    id::{ObjectKey, StackId},
    manifest::{Object, irsa::Manage},
    model::{desired::Desired, object::ObjectSpec},
    problem::{Origin, Problem, codes},
};

/// Kinds from what others need to what needs others, as `group/Kind`, the core group without a group. What is not here is
/// applied at [`OTHERS`]: custom resources need their definition, and workloads may need them.
///
/// | first | Namespace; CustomResourceDefinition; classes of all sorts |
/// | then | quotas and policies; ServiceAccount; roles; role bindings; configuration and volumes; Service |
/// | then | everything else |
/// | then | workloads; what scales and guards them; webhooks and API services |
/// | last | Ingress, which needs its Services |
const ORDER: [&[&str]; 14] = [
    &["Namespace"],
    &["apiextensions.k8s.io/CustomResourceDefinition"],
    &[
        "elbv2.k8s.aws/IngressClassParams",
        "networking.k8s.io/IngressClass",
        "node.k8s.io/RuntimeClass",
        "scheduling.k8s.io/PriorityClass",
        "storage.k8s.io/StorageClass",
    ],
    &[
        "LimitRange",
        "ResourceQuota",
        "networking.k8s.io/NetworkPolicy",
    ],
    &["ServiceAccount"],
    &[
        "rbac.authorization.k8s.io/ClusterRole",
        "rbac.authorization.k8s.io/Role",
    ],
    &[
        "rbac.authorization.k8s.io/ClusterRoleBinding",
        "rbac.authorization.k8s.io/RoleBinding",
    ],
    &[
        "ConfigMap",
        "PersistentVolume",
        "PersistentVolumeClaim",
        "Secret",
    ],
    &["Service"],
    OTHERS,
    &[
        "Pod",
        "ReplicationController",
        "apps/DaemonSet",
        "apps/Deployment",
        "apps/ReplicaSet",
        "apps/StatefulSet",
        "batch/CronJob",
        "batch/Job",
    ],
    &[
        "autoscaling/HorizontalPodAutoscaler",
        "policy/PodDisruptionBudget",
    ],
    &[
        "admissionregistration.k8s.io/MutatingWebhookConfiguration",
        "admissionregistration.k8s.io/ValidatingWebhookConfiguration",
        "apiregistration.k8s.io/APIService",
    ],
    &["networking.k8s.io/Ingress"],
];
/// The place of all that the table does not name.
const OTHERS: &[&str] = &[];

/// Never deleted when it leaves git (gitops §2.4).
const PRUNE: &str = "albsync.dev/prune";
const PRUNE_DISABLED: &str = "disabled";

const MANAGED_BY: (&str, &str) = ("app.kubernetes.io/managed-by", "albsync");
const ROLE_ARN: &str = "eks.amazonaws.com/role-arn";
const TOKEN_EXPIRATION: &str = "eks.amazonaws.com/token-expiration";
const STS_REGIONAL_ENDPOINTS: &str = "eks.amazonaws.com/sts-regional-endpoints";

/// What the API server fills in: declaring it would claim or contradict it.
const SERVER_FIELDS: [&str; 5] = [
    "managedFields",
    "uid",
    "resourceVersion",
    "creationTimestamp",
    "generation",
];

/// All objects of git and the ServiceAccounts that declarations ask for.
pub(super) fn build_all(
    input: &Input,
    bindings: &[Binding],
    report: &mut Report,
    desired: &mut Desired,
) {
    let mut documents: Vec<&Object> = input
        .manifests
        .objects
        .iter()
        .map(|object| &**object)
        .collect();
    documents.sort_by(|a, b| (a.reference.key(), &a.origin).cmp(&(b.reference.key(), &b.origin)));
    // Of two documents for one object, which parsing reports, the first.
    let mut objects: BTreeMap<ObjectKey, ObjectSpec> = BTreeMap::new();
    for document in documents {
        objects
            .entry(document.reference.key())
            .or_insert_with(|| from_document(document));
    }
    for binding in bindings {
        if binding.account.service_account.manage != Manage::None {
            bind(binding, input, &mut objects, report);
        }
    }
    for object in objects.values_mut() {
        wait_for_roles(object, bindings);
    }
    let mut objects: Vec<ObjectSpec> = objects.into_values().collect();
    objects.sort_by_cached_key(|object| (rank(object), object.reference.key()));
    desired.objects = objects;
}

fn from_document(document: &Object) -> ObjectSpec {
    let mut value = document.body.value();
    if let Some(object) = value.as_object_mut() {
        object.remove("status");
    }
    if let Some(metadata) = value.get_mut("metadata").and_then(Value::as_object_mut) {
        SERVER_FIELDS.iter().for_each(|field| {
            metadata.remove(*field);
        });
    }
    let keep = value
        .pointer("/metadata/annotations")
        .and_then(|annotations| annotations.get(PRUNE))
        == Some(&json!(PRUNE_DISABLED));
    ObjectSpec {
        reference: document.reference.clone(),
        value,
        origin: document.origin.clone(),
        after: Vec::new(),
        keep,
        existing_only: false,
        waits: None,
        revision: None,
    }
}

/// Makes the ServiceAccount that a role is bound to, or completes git's own (irsa §9.2, §9.5).
fn bind(
    binding: &Binding,
    input: &Input,
    objects: &mut BTreeMap<ObjectKey, ObjectSpec>,
    report: &mut Report,
) {
    let account = binding.account;
    let reference = binding.service_account();
    let wanted = Additions::of(binding);
    let full = account.service_account.manage == Manage::Full;
    let object = objects.entry(reference.key()).or_insert_with(|| {
        let mut value = json!({
            "apiVersion": "v1",
            "kind": "ServiceAccount",
            "metadata": { "name": reference.name, "namespace": reference.namespace },
        });
        if full {
            // Only on accounts that are ours altogether (irsa §9.5).
            let (key, label) = MANAGED_BY;
            value["metadata"]["labels"] = json!({ key: label });
        }
        ObjectSpec {
            reference: reference.clone(),
            value,
            origin: account.origin.clone(),
            after: Vec::new(),
            keep: !full,
            existing_only: !full,
            waits: None,
            revision: None,
        }
    });
    let conflicts = wanted.merge_into(&mut object.value);
    for field in &conflicts {
        let origin = place_of(field, binding, input).unwrap_or(&object.origin);
        report.add(conflict(binding, field, origin));
    }
    object.waits = match (&binding.role, conflicts.first()) {
        (Err(reason), _) => Some(reason.clone()),
        (Ok(_), Some(field)) => Some(format!("{field} is declared twice, differently")),
        (Ok(_), None) => None,
    };
}

/// Where git's ServiceAccount has the field, as far as that was kept.
fn place_of<'a>(field: &str, binding: &Binding, input: &Input<'a>) -> Option<&'a Origin> {
    let bound = binding.service_account();
    let mut documents = input.manifests.service_accounts.iter().filter(|document| {
        Some(&document.namespace) == bound.namespace.as_ref() && document.name == bound.name
    });
    let role_arn = documents.find_map(|document| document.role_arn.as_ref())?;
    field.ends_with(ROLE_ARN).then_some(&role_arn.origin)
}

fn conflict(binding: &Binding, field: &str, origin: &Origin) -> Problem {
    let account = binding.account;
    let problem = Problem::new(
        codes::SERVICE_ACCOUNT_CONFLICT,
        origin.clone(),
        format!(
            "{field} differs from what IAMServiceAccount {} asks for",
            account.key()
        ),
    )
    .of(binding.service_account())
    .also(account.origin.clone());
    match &binding.role {
        Ok(arn) if field.ends_with(ROLE_ARN) => problem.hint(format!("remove it, or write {arn}")),
        _ => problem.hint("remove it from one of the two"),
    }
}

/// What a declaration adds to its ServiceAccount.
struct Additions {
    labels: BTreeMap<String, String>,
    annotations: BTreeMap<String, String>,
    /// Top-level fields.
    fields: BTreeMap<&'static str, Value>,
}

impl Additions {
    fn of(binding: &Binding) -> Self {
        let spec = &binding.account.service_account;
        let mut annotations = spec.annotations.clone();
        let role = binding
            .role
            .as_ref()
            .ok()
            .map(|arn| (ROLE_ARN, arn.to_string()));
        let expiration = spec
            .token_expiration_seconds
            .map(|it| (TOKEN_EXPIRATION, it.to_string()));
        let regional = spec
            .sts_regional_endpoints
            .map(|it| (STS_REGIONAL_ENDPOINTS, it.to_string()));
        let ours = [role, expiration, regional].into_iter().flatten();
        annotations.extend(ours.map(|(key, value)| (key.to_owned(), value)));

        let mut fields = BTreeMap::new();
        if let Some(automount) = spec.automount_token {
            fields.insert("automountServiceAccountToken", json!(automount));
        }
        if !spec.image_pull_secrets.is_empty() {
            let secrets = spec
                .image_pull_secrets
                .iter()
                .map(|name| json!({ "name": name }));
            fields.insert("imagePullSecrets", secrets.collect());
        }
        Self {
            labels: spec.labels.clone(),
            annotations,
            fields,
        }
    }

    /// Adds what is absent; returns the fields that are there with another value, and leaves those.
    fn merge_into(self, object: &mut Value) -> Vec<String> {
        let mut conflicts = Vec::new();
        let Some(object) = object.as_object_mut() else {
            return conflicts;
        };
        for (field, value) in self.fields {
            merge(object, field, value, "", &mut conflicts);
        }
        let metadata = map_at(object, "metadata");
        for (name, additions) in [("labels", self.labels), ("annotations", self.annotations)] {
            if additions.is_empty() {
                continue;
            }
            let map = map_at(metadata, name);
            for (key, value) in additions {
                merge(
                    map,
                    &key,
                    Value::String(value),
                    &format!("metadata.{name}."),
                    &mut conflicts,
                );
            }
        }
        conflicts
    }
}

fn merge(
    map: &mut Map<String, Value>,
    key: &str,
    value: Value,
    place: &str,
    conflicts: &mut Vec<String>,
) {
    match map.get(key) {
        Some(there) if *there != value => conflicts.push(format!("{place}{key}")),
        Some(_) => {}
        None => {
            map.insert(key.to_owned(), value);
        }
    }
}

/// The object under a key, made where it is absent or null.
fn map_at<'a>(parent: &'a mut Map<String, Value>, key: &str) -> &'a mut Map<String, Value> {
    let value = parent.entry(key).or_insert(Value::Null);
    if !value.is_object() {
        *value = Value::Object(Map::new());
    }
    match value {
        Value::Object(map) => map,
        _ => unreachable!("BUG: just made an object"),
    }
}

/// A pod gets its role only when it is created, so its ServiceAccount must be bound before (irsa §1.6, §9.4 step 6).
fn wait_for_roles(object: &mut ObjectSpec, bindings: &[Binding]) {
    let account = match object.reference.kind.as_str() {
        "ServiceAccount" if object.reference.group().is_empty() => {
            Some(object.reference.name.clone())
        }
        _ => pod_service_account(&object.value),
    };
    let Some(account) = account else {
        return;
    };
    for binding in bindings {
        let bound = binding.service_account();
        if bound.namespace == object.reference.namespace && bound.name == account {
            let stack: StackId = binding.stack();
            object.after.push(stack);
            if let (Err(reason), None, false) =
                (&binding.role, &object.waits, binding.account.suspended)
            {
                object.waits = Some(format!("ServiceAccount {account} waits, {reason}"));
            }
        }
    }
    object.after.sort();
    object.after.dedup();
}

/// The ServiceAccount of a workload's pods, `default` where none is given; nothing for other kinds.
fn pod_service_account(value: &Value) -> Option<String> {
    let api_version = value.get("apiVersion")?.as_str()?;
    let group = api_version.split_once('/').map_or("", |(group, _)| group);
    let spec = match (group, value.get("kind")?.as_str()?) {
        ("", "Pod") => "/spec",
        ("", "ReplicationController") | ("apps", _) | ("batch", "Job") => "/spec/template/spec",
        ("batch", "CronJob") => "/spec/jobTemplate/spec/template/spec",
        _ => return None,
    };
    let spec = value.pointer(spec)?;
    let name = |key: &str| {
        spec.get(key)
            .and_then(Value::as_str)
            .filter(|name| !name.is_empty())
    };
    Some(
        name("serviceAccountName")
            .or_else(|| name("serviceAccount"))
            .unwrap_or("default")
            .to_owned(),
    )
}

fn rank(object: &ObjectSpec) -> usize {
    let reference = &object.reference;
    let kind = match reference.group() {
        "" => reference.kind.clone(),
        group => format!("{group}/{}", reference.kind),
    };
    let of = |kinds: &[&str]| kinds.contains(&kind.as_str());
    let others = ORDER.iter().position(|kinds| kinds.is_empty());
    ORDER
        .iter()
        .position(|kinds| of(kinds))
        .or(others)
        .unwrap_or(ORDER.len())
}

#[cfg(test)]
mod tests;
