//! The ports on the server in memory.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use serde_json::{Value, json};

use super::{FakeCluster, error, state::Stored};
use crate::{
    cluster::{
        ClusterRead, ClusterWrite, FIELD_MANAGER, KindFact, Lease, ObjectEvent, Result, Right,
        convert, diff,
    },
    id::{ObjectKey, ObjectRef},
    model::{
        facts::{ClassFact, EndpointFact, Node, ParamsFact, SecretFact, ServiceFact},
        object::LiveObject,
        observed::DryRun,
    },
};

#[async_trait]
impl ClusterRead for FakeCluster {
    async fn identity(&self) -> Result<String> {
        let reference = ObjectRef {
            api_version: "v1".to_owned(),
            kind: "Namespace".to_owned(),
            namespace: None,
            name: "kube-system".to_owned(),
        };
        self.call("get Namespace", Some(&reference), false, |state| {
            state
                .live(&reference)
                .map(|it| it.uid)
                .ok_or_else(|| error("get Namespace", "NotFound", 404, String::new()))
        })
    }

    async fn kind(&self, api_version: &str, kind: &str) -> Result<Option<KindFact>> {
        let operation = format!("discover {api_version}");
        let key = (api_version.to_owned(), kind.to_owned());
        self.call(&operation, None, false, |state| {
            Ok(state.kinds.get(&key).cloned())
        })
    }

    async fn get(&self, object: &ObjectRef) -> Result<Option<LiveObject>> {
        let operation = format!("get {}", object.kind);
        self.call(&operation, Some(object), false, |state| {
            Ok(state.live(object))
        })
    }

    async fn dry_run(&self, object: &ObjectRef, value: &Value) -> Result<DryRun> {
        let operation = format!("check {}", object.kind);
        self.call(&operation, Some(object), false, |state| {
            let serial = state.serial;
            let merged = state.merged(object, value, FIELD_MANAGER, true);
            state.serial = serial;
            let stored = match merged {
                Ok(stored) => stored,
                Err(error) if error.status == Some(404) => {
                    return Ok(DryRun::Deferred(error.message));
                }
                Err(error) => return Ok(DryRun::Refused(error.message)),
            };
            let Some(live) = state.objects.get(&object.key()) else {
                return Ok(DryRun::WouldCreate);
            };
            let changes = diff::field_changes(&live.value, &stored.value);
            Ok(match changes.is_empty() {
                true => DryRun::Same,
                false => DryRun::WouldChange(changes),
            })
        })
    }

    async fn nodes(&self) -> Result<Vec<Node>> {
        self.call("list Node", None, false, |state| Ok(state.nodes.clone()))
    }

    async fn services(
        &self,
        namespaces: Option<&BTreeSet<String>>,
    ) -> Result<BTreeMap<String, ServiceFact>> {
        self.call("list Service", None, false, |state| {
            let wanted = |key: &ObjectKey| {
                let namespace = key.namespace.as_deref().unwrap_or_default();
                key.kind == "Service" && namespaces.is_none_or(|it| it.contains(namespace))
            };
            let services = state.objects.iter().filter(|(key, _)| wanted(key));
            Ok(services
                .filter_map(|(_, stored)| convert::service(&stored.value))
                .collect())
        })
    }

    async fn endpoints(
        &self,
        namespaces: &BTreeSet<String>,
    ) -> Result<BTreeMap<String, Vec<EndpointFact>>> {
        self.call("list EndpointSlice", None, false, |state| {
            let slices: Vec<Value> = state
                .objects
                .iter()
                .filter(|(key, _)| {
                    let namespace = key.namespace.as_deref().unwrap_or_default();
                    key.kind == "EndpointSlice" && namespaces.contains(namespace)
                })
                .map(|(_, stored)| stored.value.clone())
                .collect();
            Ok(convert::endpoints(&slices))
        })
    }

    async fn ingresses(&self) -> Result<Vec<LiveObject>> {
        self.call("list Ingress", None, false, |state| {
            let ingresses = state.objects.values();
            Ok(ingresses
                .filter(|it| it.reference.kind == "Ingress")
                .filter_map(Stored::live)
                .collect())
        })
    }

    async fn ingress_classes(&self) -> Result<BTreeMap<String, ClassFact>> {
        self.call("list IngressClass", None, false, |state| {
            let classes = state.objects.values();
            Ok(classes
                .filter(|it| it.reference.kind == "IngressClass")
                .filter_map(|it| convert::ingress_class(&it.value))
                .collect())
        })
    }

    async fn ingress_class_params(&self) -> Result<BTreeMap<String, ParamsFact>> {
        self.call("list IngressClassParams", None, false, |state| {
            let params = state.objects.values();
            Ok(params
                .filter(|it| it.reference.kind == "IngressClassParams")
                .filter_map(|it| convert::ingress_class_params(&it.value))
                .collect())
        })
    }

    async fn namespaces(&self) -> Result<BTreeMap<String, BTreeMap<String, String>>> {
        self.call("list Namespace", None, false, |state| {
            let namespaces = state.objects.values();
            Ok(namespaces
                .filter(|it| it.reference.kind == "Namespace")
                .filter_map(|it| convert::namespace(&it.value))
                .collect())
        })
    }

    async fn secret(&self, namespace: &str, name: &str) -> Result<Option<SecretFact>> {
        let reference = secret(namespace, name);
        self.call("get Secret", Some(&reference), false, |state| {
            let live = state.live(&reference);
            Ok(live.map(|live| convert::secret(&live.value)))
        })
    }

    async fn lease(&self, namespace: &str, name: &str) -> Result<Option<Lease>> {
        self.call("get Lease", None, false, |state| {
            let mut leases = state.leases.iter();
            Ok(leases
                .find(|it| it.namespace == namespace && it.name == name)
                .cloned())
        })
    }

    async fn leases_named(&self, name: &str) -> Result<Vec<Lease>> {
        self.call("list Lease", None, false, |state| {
            let leases = state.leases.iter();
            Ok(leases.filter(|it| it.name == name).cloned().collect())
        })
    }

    async fn missing_rights(&self, rights: &[Right]) -> Result<Vec<Right>> {
        let operation = "create SelfSubjectAccessReview";
        self.call(operation, None, false, |state| {
            let rights = rights.iter();
            Ok(rights
                .filter(|right| state.denied.contains(right))
                .cloned()
                .collect())
        })
    }
}

fn secret(namespace: &str, name: &str) -> ObjectRef {
    ObjectRef {
        api_version: "v1".to_owned(),
        kind: "Secret".to_owned(),
        namespace: Some(namespace.to_owned()),
        name: name.to_owned(),
    }
}

#[async_trait]
impl ClusterWrite for FakeCluster {
    async fn apply(&self, object: &ObjectRef, value: &Value, force: bool) -> Result<String> {
        let operation = format!("apply {}", object.kind);
        self.call(&operation, Some(object), true, |state| {
            state.apply(object, value, FIELD_MANAGER, force)
        })
    }

    async fn delete(&self, object: &ObjectRef, uid: &str) -> Result<()> {
        let operation = format!("delete {}", object.kind);
        self.call(&operation, Some(object), true, |state| {
            let missing = || error(&operation, "NotFound", 404, format!("{object} not found"));
            let mut stored = state
                .objects
                .get(&object.key())
                .cloned()
                .ok_or_else(missing)?;
            if stored.value["metadata"]["uid"] != uid {
                let message = format!("{object} has another uid");
                return Err(error(&operation, "Conflict", 409, message));
            }
            let guarded = stored.value["metadata"]["finalizers"]
                .as_array()
                .is_some_and(|it| !it.is_empty());
            if guarded {
                stored.value["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
                state.keep(stored);
            } else {
                state.objects.remove(&object.key());
            }
            Ok(())
        })
    }

    async fn set_ingress_status(
        &self,
        object: &ObjectRef,
        hostname: &str,
        ports: &[u16],
    ) -> Result<()> {
        let operation = "set status of Ingress";
        self.call(operation, Some(object), true, |state| {
            let missing = || error(operation, "NotFound", 404, format!("{object} not found"));
            let mut stored = state
                .objects
                .get(&object.key())
                .cloned()
                .ok_or_else(missing)?;
            let ports: Vec<Value> = ports.iter().map(|port| json!({"port": port})).collect();
            stored.value["status"]["loadBalancer"]["ingress"] = match hostname.is_empty() {
                true => json!([]),
                false => json!([{"hostname": hostname.to_lowercase(), "ports": ports}]),
            };
            state.keep(stored);
            Ok(())
        })
    }

    async fn remove_finalizer(&self, object: &ObjectRef, finalizer: &str) -> Result<()> {
        let operation = format!("remove finalizer of {}", object.kind);
        self.call(&operation, Some(object), true, |state| {
            let Some(mut stored) = state.objects.get(&object.key()).cloned() else {
                return Ok(());
            };
            let mut empty = true;
            let finalizers = stored.value.pointer_mut("/metadata/finalizers");
            if let Some(finalizers) = finalizers.and_then(Value::as_array_mut) {
                finalizers.retain(|it| it != finalizer);
                empty = finalizers.is_empty();
            }
            if empty && stored.value["metadata"]["deletionTimestamp"].is_string() {
                state.objects.remove(&object.key());
            } else {
                state.keep(stored);
            }
            Ok(())
        })
    }

    async fn event(&self, event: &ObjectEvent) -> Result<()> {
        self.call("create Event", Some(&event.object), false, |state| {
            state.events.push(event.clone());
            Ok(())
        })
    }
}
