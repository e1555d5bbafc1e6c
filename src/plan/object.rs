//! The cluster's objects: applied as git declares them, deleted when git drops them (gitops R4–R6, G40, G45; decision 22).

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::{
    id::{ObjectKey, OpId, ResourceId, StackId},
    model::{
        applied::{AppliedChange, AppliedObject, ObjectUpdate},
        object::{FieldChanges, LiveObject, ObjectSpec, REVISION_ANNOTATIONS},
        observed::{DryRun, ObservedObject},
    },
};

use super::{
    diff::difference,
    draft::{Draft, because, code, missing, object_id, removed},
    op::{Action, Cause, Difference, Foreign},
};

/// The field manager of everything we apply; an object that bears it is ours though the store lost it.
const FIELD_MANAGER: &str = "albsync";
/// Annotation that allows taking over an object that others manage (gitops G66).
const ADOPT: &str = "albsync.dev/adopt";

/// Plans the applies, in the order in which the desired state lists the objects.
pub fn apply(draft: &mut Draft<'_>) {
    if !draft.in_scope(&StackId::Cluster) {
        return;
    }
    let desired = draft.inputs.desired;
    let mut appliers: BTreeMap<ObjectKey, OpId> = BTreeMap::new();
    for spec in &desired.objects {
        let key = spec.reference.key();
        let Some(seen) = draft.inputs.observed.objects.get(&key) else {
            continue;
        };
        let Some(cause) = admit(draft, spec, seen) else {
            continue;
        };
        let Some(needs) = needs(draft, spec, &appliers) else {
            continue;
        };
        let id = object_id(&key);
        let differences = match &seen.dry_run {
            Some(DryRun::WouldChange(changes)) => field_differences(&key, changes),
            _ if cause == Cause::Drift && seen.live.is_none() => vec![missing(&id.name)],
            _ => Vec::new(),
        };
        let action = Action::ApplyObject {
            reference: spec.reference.clone(),
            value: stamped(draft, spec),
            force: seen.live.is_some(),
        };
        let op = draft.op(
            &id,
            action,
            because(cause, Some(&spec.origin), differences),
            needs,
        );
        draft.record(op, note(spec, None));
        appliers.insert(key, op);
    }
}

/// Whether and why the object is applied; notes or holds it otherwise.
fn admit(draft: &mut Draft<'_>, spec: &ObjectSpec, seen: &ObservedObject) -> Option<Cause> {
    let key = spec.reference.key();
    let id = Some(object_id(&key));
    let stack = &StackId::Cluster;
    let recorded = draft.inputs.applied.inventory.get(&key);
    let digest = spec.digest();
    if let Some(why) = &spec.waits {
        let message = format!("{}: {}: {why}", spec.origin, spec.reference);
        draft.hold(
            stack,
            id,
            code::WAITING,
            message,
            "applied once that is known",
        );
        return None;
    }
    if let Some(live) = &seen.live {
        if live.deleting {
            let message = format!("{} is being deleted", spec.reference);
            draft.hold(
                stack,
                id,
                code::TERMINATING,
                message,
                "applied anew once it is gone",
            );
            return None;
        }
        if !may_take(spec, live, recorded) {
            let managers = others(live);
            draft.hold(
                stack,
                id,
                code::ADOPTION_REQUIRED,
                format!("{} exists and is managed by {managers}", spec.reference),
                format!("add the annotation {ADOPT}: \"true\" in git to have it taken over"),
            );
            return None;
        }
    } else if spec.existing_only {
        let message = format!(
            "{} does not exist and only its annotations are ours",
            spec.reference
        );
        draft.hold(
            stack,
            id,
            code::OBJECT_MISSING,
            message,
            "create it, or let albsync manage it fully",
        );
        return None;
    }
    let known = recorded.is_some_and(|recorded| recorded.digest == digest);
    match (&seen.dry_run, &seen.live) {
        (Some(DryRun::Same), live) => {
            let uid = live.as_ref().map(|live| live.uid.clone());
            let complete = recorded.is_some_and(|recorded| {
                known
                    && recorded.keep == spec.keep
                    && recorded.annotated == spec.existing_only
                    && recorded.uid == uid
            });
            if !complete {
                draft.note(stack, note(spec, uid));
            }
            None
        }
        (Some(DryRun::Refused(message)), _) => {
            let message = format!(
                "{}: the API server refuses {}: {message}",
                spec.origin, spec.reference
            );
            draft.hold(stack, id, code::REFUSED, message, "correct it in git");
            None
        }
        (None, _) if known => None,
        (Some(DryRun::WouldCreate | DryRun::Deferred(_)) | None, None) => Some(match known {
            true => Cause::Drift,
            false => Cause::Added,
        }),
        (Some(_) | None, _) => Some(match recorded {
            Some(_) if known => Cause::Drift,
            Some(recorded) if recorded.digest.is_empty() => Cause::Added,
            Some(_) => Cause::Changed,
            None => Cause::Unrecorded,
        }),
    }
}

/// An object of the inventory, one that bears our mark, one that nobody manages, or one whose document says so.
fn may_take(spec: &ObjectSpec, live: &LiveObject, recorded: Option<&AppliedObject>) -> bool {
    let ours =
        recorded.is_some_and(|recorded| recorded.uid.as_ref().is_none_or(|uid| *uid == live.uid));
    let bears_mark = live.managers.iter().any(|manager| manager == FIELD_MANAGER);
    let adopted = spec.value["metadata"]["annotations"][ADOPT].as_str() == Some("true");
    // Its document says that it exists and that we only annotate it.
    ours || bears_mark || adopted || spec.existing_only || live.managers.is_empty()
}

fn others(live: &LiveObject) -> String {
    let names: BTreeSet<&str> = live.managers.iter().map(String::as_str).collect();
    names.into_iter().collect::<Vec<_>>().join(", ")
}

/// What must be done before: the namespace or definition it stands in, and the roles it uses. `None`: held.
fn needs(
    draft: &mut Draft<'_>,
    spec: &ObjectSpec,
    appliers: &BTreeMap<ObjectKey, OpId>,
) -> Option<BTreeSet<OpId>> {
    let mut needs = BTreeSet::new();
    let reference = &spec.reference;
    for (key, op) in appliers {
        let namespace = key.group.is_empty()
            && key.kind == "Namespace"
            && reference.namespace.as_deref() == Some(key.name.as_str());
        if namespace || defines(draft, key, spec) {
            needs.insert(*op);
        }
    }
    for stack in &spec.after {
        if draft.blocked.contains(stack) && !role_stands(draft, stack) {
            let message = format!("{reference} waits for {stack}, which is held");
            let id = Some(object_id(&reference.key()));
            draft.hold(
                &StackId::Cluster,
                id,
                code::WAITING,
                message,
                "applied after that role",
            );
            return None;
        }
        needs.extend(draft.ops_where(|op| op.stack == *stack));
        let StackId::Role(name) = stack else { continue };
        let account = draft
            .inputs
            .desired
            .roles
            .get(name)
            .and_then(|role| role.service_account.as_ref())
            .map(|account| account.key())
            .filter(|account| *account != reference.key());
        needs.extend(account.and_then(|account| appliers.get(&account)));
    }
    Some(needs)
}

/// Whether the object named by `key` is the definition of the kind of `spec`.
fn defines(draft: &Draft<'_>, key: &ObjectKey, spec: &ObjectSpec) -> bool {
    key.kind == "CustomResourceDefinition"
        && draft.inputs.desired.objects.iter().any(|object| {
            let definition = &object.value["spec"];
            object.reference.key() == *key
                && definition["group"].as_str() == Some(spec.reference.group())
                && definition["names"]["kind"].as_str() == Some(spec.reference.kind.as_str())
        })
}

/// A role that was bound before goes on serving while something about it is held.
fn role_stands(draft: &Draft<'_>, stack: &StackId) -> bool {
    draft.inputs.applied.resources.iter().any(|(id, applied)| {
        id.stack == *stack
            && id.kind == crate::id::ResourceKind::Role
            && applied.unique_id.is_some()
    })
}

fn note(spec: &ObjectSpec, uid: Option<String>) -> AppliedChange {
    let update = ObjectUpdate {
        uid,
        digest: Some(spec.digest()),
        keep: Some(spec.keep),
        annotated: Some(spec.existing_only),
    };
    AppliedChange::UpdateObject(spec.reference.clone(), update)
}

/// The object as sent: with the commit and the line it comes from (gitops G81).
fn stamped(draft: &Draft<'_>, spec: &ObjectSpec) -> Value {
    let mut value = spec.value.clone();
    let [revision_key, source_key] = REVISION_ANNOTATIONS;
    let Some(metadata) = value.get_mut("metadata").and_then(Value::as_object_mut) else {
        return value;
    };
    let annotations = metadata
        .entry("annotations")
        .or_insert_with(|| Value::Object(serde_json::Map::new()));
    if annotations.is_null() {
        *annotations = Value::Object(serde_json::Map::new());
    }
    if let Some(annotations) = annotations.as_object_mut() {
        if let Some(revision) = spec.revision.as_ref().or(draft.inputs.revision) {
            annotations.insert(revision_key.to_owned(), revision.as_str().into());
        }
        let place = format!("{}:{}", spec.origin.file, spec.origin.line);
        annotations.insert(source_key.to_owned(), place.into());
    }
    value
}

/// Contents of Secrets never show, whatever the reader of the cluster did.
fn field_differences(key: &ObjectKey, changes: &FieldChanges) -> Vec<Difference> {
    let secret = key.group.is_empty() && key.kind == "Secret";
    changes
        .iter()
        .map(|(field, (live, wanted))| {
            let masked = secret && !field.starts_with("metadata");
            let text = |text: &Option<String>| {
                text.as_ref().map(|text| {
                    if masked {
                        "(hidden)".to_owned()
                    } else {
                        text.clone()
                    }
                })
            };
            difference(field, text(live), text(wanted))
        })
        .collect()
}

/// An object of the inventory that git dropped and that may be deleted.
pub struct Leaving<'a> {
    pub recorded: &'a AppliedObject,
    pub live: &'a LiveObject,
    pub finalizers: Vec<String>,
}

/// Finalizers of the controller that we take over from (aws-deploy §5.1).
fn is_lbc_finalizer(finalizer: &str) -> bool {
    finalizer == "ingress.k8s.aws/resources" || finalizer.starts_with("group.ingress.k8s.aws/")
}

/// Inventory minus git: what may go, after each proof (gitops G40, G45). The rest is noted, reported or held.
pub fn leaving<'a>(draft: &mut Draft<'a>) -> Vec<Leaving<'a>> {
    let inputs = draft.inputs;
    let stack = StackId::Cluster;
    let mut leaving = Vec::new();
    if !draft.in_scope(&stack) {
        return leaving;
    }
    let wanted: BTreeSet<ObjectKey> = inputs
        .desired
        .objects
        .iter()
        .map(|object| object.reference.key())
        .collect();
    let unread = draft.has_gap(&stack);
    for (key, recorded) in inputs
        .applied
        .inventory
        .iter()
        .filter(|(key, _)| !wanted.contains(key))
    {
        let id = object_id(key);
        // Not looked at: nothing is known, nothing is done.
        let Some(seen) = inputs.observed.objects.get(key) else {
            continue;
        };
        let Some(live) = &seen.live else {
            if !unread {
                draft.note(&stack, AppliedChange::RemoveObject(key.clone()));
            }
            continue;
        };
        let same = match &recorded.uid {
            Some(uid) => *uid == live.uid,
            // Intended and never confirmed: ours if it bears our mark.
            None => live.managers.iter().any(|manager| manager == FIELD_MANAGER),
        };
        let left = if !same {
            Some("another one than ours, made anew by somebody else")
        } else if recorded.keep && !recorded.annotated {
            Some("left in the cluster as its document asked")
        } else if !recorded.annotated && inputs.options.protected_kinds.contains(&key.kind) {
            Some("left in the cluster, its kind is protected")
        } else {
            None
        };
        if let Some(why) = left {
            draft.foreign.push(Foreign {
                stack: stack.clone(),
                what: format!("{}: {why}", recorded.reference),
                id: live.uid.clone(),
            });
            draft.note(&stack, AppliedChange::RemoveObject(key.clone()));
            continue;
        }
        if unread {
            let message = format!(
                "{} stays while parts of the cluster cannot be read",
                recorded.reference
            );
            draft.hold(
                &stack,
                Some(id),
                code::READ_FAILED,
                message,
                "deleted by a later pass",
            );
            continue;
        }
        if !inputs.options.allow_prune {
            let message = format!("{} left git and stays", recorded.reference);
            let release = "allow the deletes by the commit's trailer";
            draft.hold(&stack, Some(id), code::PRUNE_LIMIT, message, release);
            continue;
        }
        let finalizers = live.value["metadata"]["finalizers"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .filter(|finalizer| key.kind == "Ingress" && is_lbc_finalizer(finalizer))
            .map(str::to_owned)
            .collect();
        leaving.push(Leaving {
            recorded,
            live,
            finalizers,
        });
    }
    leaving.sort_by_key(|object| {
        let key = object.recorded.reference.key();
        (rank(&key.kind), key)
    });
    leaving
}

/// Users of things before the things: the reverse of the order of applying.
fn rank(kind: &str) -> u8 {
    match kind {
        "Ingress" => 0,
        "Deployment" | "StatefulSet" | "DaemonSet" | "Job" | "CronJob" | "Pod" | "ReplicaSet" => 1,
        "Service" => 2,
        "IngressClass" => 4,
        "ServiceAccount" | "ConfigMap" | "Secret" => 5,
        "Role" | "RoleBinding" | "ClusterRole" | "ClusterRoleBinding" => 6,
        "CustomResourceDefinition" => 8,
        "Namespace" => 9,
        _ => 3,
    }
}

impl Leaving<'_> {
    pub fn key(&self) -> ObjectKey {
        self.recorded.reference.key()
    }

    /// The delete, only of this very object; nothing when it is on its way out already. What we only annotated loses
    /// what we set, and stays.
    pub fn delete(&self, draft: &mut Draft<'_>, needs: BTreeSet<OpId>) -> Option<OpId> {
        if self.live.deleting {
            return None;
        }
        if self.recorded.annotated {
            return Some(self.strip(draft, needs));
        }
        let action = Action::DeleteObject {
            reference: self.recorded.reference.clone(),
            uid: self.live.uid.clone(),
        };
        Some(draft.op(&object_id(&self.key()), action, removed(), needs))
    }

    /// Applying an object without any field gives up every field that we own: the API server takes out those that nobody
    /// else owns (irsa §9.4 R1).
    fn strip(&self, draft: &mut Draft<'_>, needs: BTreeSet<OpId>) -> OpId {
        let reference = &self.recorded.reference;
        let action = Action::ApplyObject {
            reference: reference.clone(),
            value: json!({
                "apiVersion": reference.api_version,
                "kind": reference.kind,
                "metadata": { "name": reference.name, "namespace": reference.namespace },
            }),
            force: true,
        };
        let op = draft.op(&object_id(&self.key()), action, removed(), needs);
        draft.record(op, AppliedChange::RemoveObject(self.key()));
        op
    }

    /// Another controller's finalizers, whose work is done (decision 5).
    pub fn release(&self, draft: &mut Draft<'_>, needs: &BTreeSet<OpId>) -> BTreeSet<OpId> {
        let id: ResourceId = object_id(&self.key());
        self.finalizers
            .iter()
            .map(|finalizer| {
                let action = Action::RemoveFinalizer {
                    reference: self.recorded.reference.clone(),
                    finalizer: finalizer.clone(),
                };
                draft.op(&id, action, removed(), needs.iter().copied())
            })
            .collect()
    }
}
