//! An API server in memory, for tests: it keeps state and refuses what a real one refuses.
//!
//! It has namespaces, uids, resource versions, field managers, finalizers, node ports, rights, faults on demand, and a
//! journal of calls. It has no controllers: nothing happens by itself.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use serde_json::{Value, json};

use super::{
    ClusterRead, ClusterWrite, FIELD_MANAGER, KindFact, Lease, ObjectEvent, Result, Right, convert,
    diff,
};
use crate::{
    id::{ObjectKey, ObjectRef},
    model::{
        call::{CallError, Effect},
        facts::{Node, ServiceFact},
        object::LiveObject,
        observed::DryRun,
    },
};

mod ssa;
#[cfg(test)]
mod tests;

/// One call that reached the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// Verb and kind, as in [`CallError::operation`]: `apply Ingress`.
    pub operation: String,
    pub object: Option<ObjectKey>,
    /// It changes something, Events apart.
    pub write: bool,
}

/// A failure to come.
#[derive(Clone, Debug)]
pub struct Fault {
    /// The operation, or its verb alone (`apply`).
    pub on: String,
    /// Which of the calls from now on: 1 is the next.
    pub nth: u32,
    pub error: CallError,
    /// The call takes effect, only its answer is lost.
    pub after_effect: bool,
}

/// Cheap to clone; clones are the same server.
#[derive(Clone, Default)]
pub struct FakeCluster {
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    serial: u64,
    kinds: BTreeMap<(String, String), KindFact>,
    objects: BTreeMap<ObjectKey, Stored>,
    nodes: Vec<Node>,
    leases: Vec<Lease>,
    denied: BTreeSet<Right>,
    refused: BTreeMap<ObjectKey, String>,
    faults: Vec<Fault>,
    calls: Vec<Call>,
    events: Vec<ObjectEvent>,
}

#[derive(Clone, Debug, PartialEq)]
struct Stored {
    reference: ObjectRef,
    value: Value,
    owners: ssa::Owners,
}

impl FakeCluster {
    /// With the namespaces `default` and `kube-system` and the usual kinds.
    pub fn new() -> Self {
        let fake = Self::default();
        for (api_version, kind, plural, namespaced) in [
            ("v1", "Namespace", "namespaces", false),
            ("v1", "ConfigMap", "configmaps", true),
            ("v1", "Secret", "secrets", true),
            ("v1", "Service", "services", true),
            ("v1", "ServiceAccount", "serviceaccounts", true),
            ("apps/v1", "Deployment", "deployments", true),
            ("networking.k8s.io/v1", "Ingress", "ingresses", true),
            (
                "networking.k8s.io/v1",
                "IngressClass",
                "ingressclasses",
                false,
            ),
        ] {
            fake.serve(api_version, kind, plural, namespaced);
        }
        for name in ["default", "kube-system"] {
            fake.put(
                "bootstrap",
                json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}),
            );
        }
        fake.clear_calls();
        fake
    }

    pub fn serve(&self, api_version: &str, kind: &str, plural: &str, namespaced: bool) {
        let fact = KindFact {
            plural: plural.to_owned(),
            namespaced,
        };
        let key = (api_version.to_owned(), kind.to_owned());
        self.lock().kinds.insert(key, fact);
    }

    pub fn set_nodes(&self, nodes: Vec<Node>) {
        self.lock().nodes = nodes;
    }

    pub fn set_leases(&self, leases: Vec<Lease>) {
        self.lock().leases = leases;
    }

    /// Takes a right away.
    pub fn deny(&self, right: Right) {
        self.lock().denied.insert(right);
    }

    /// An admission rule: this object is refused with this message.
    pub fn refuse(&self, object: &ObjectRef, message: &str) {
        let mut state = self.lock();
        state.refused.insert(object.key(), message.to_owned());
    }

    pub fn fail(&self, fault: Fault) {
        self.lock().faults.push(fault);
    }

    /// Applies an object as another manager, by force; not in the journal. Returns its uid.
    ///
    /// Does nothing and returns an empty text for what the server refuses.
    pub fn put(&self, manager: &str, value: Value) -> String {
        let mut state = self.lock();
        reference_of(&value)
            .and_then(|reference| state.apply(&reference, &value, manager, true).ok())
            .unwrap_or_default()
    }

    /// Changes an object by hand, as `kubectl edit` does; not in the journal. Returns whether it is there.
    pub fn edit(&self, object: &ObjectRef, change: impl FnOnce(&mut Value)) -> bool {
        let mut state = self.lock();
        let Some(mut stored) = state.objects.get(&object.key()).cloned() else {
            return false;
        };
        let mut value = stored.value.clone();
        change(&mut value);
        ssa::update(&mut stored.value, &mut stored.owners, "kubectl-edit", value);
        state.keep(stored);
        true
    }

    /// Removes an object at once, whatever its finalizers; not in the journal.
    pub fn remove(&self, object: &ObjectRef) {
        self.lock().objects.remove(&object.key());
    }

    pub fn object(&self, object: &ObjectRef) -> Option<Value> {
        let state = self.lock();
        state.objects.get(&object.key()).map(|it| it.value.clone())
    }

    pub fn objects(&self) -> Vec<ObjectKey> {
        self.lock().objects.keys().cloned().collect()
    }

    pub fn calls(&self) -> Vec<Call> {
        self.lock().calls.clone()
    }

    /// Operations and objects of the calls that change something, in order.
    pub fn writes(&self) -> Vec<String> {
        let state = self.lock();
        let writes = state.calls.iter().filter(|call| call.write);
        writes
            .map(|call| match &call.object {
                Some(object) => format!("{}: {object}", call.operation),
                None => call.operation.clone(),
            })
            .collect()
    }

    pub fn events(&self) -> Vec<ObjectEvent> {
        self.lock().events.clone()
    }

    pub fn clear_calls(&self) {
        self.lock().calls.clear();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Journal, faults, effect: the frame of every call.
    fn call<T>(
        &self,
        operation: &str,
        object: Option<&ObjectRef>,
        write: bool,
        effect: impl FnOnce(&mut State) -> Result<T>,
    ) -> Result<T> {
        let mut state = self.lock();
        state.calls.push(Call {
            operation: operation.to_owned(),
            object: object.map(ObjectRef::key),
            write,
        });
        match state.fault(operation) {
            Some(fault) if fault.after_effect => {
                let _ = effect(&mut state);
                Err(fault.error)
            }
            Some(fault) => Err(fault.error),
            None => effect(&mut state),
        }
    }
}

impl State {
    fn fault(&mut self, operation: &str) -> Option<Fault> {
        let verb = operation.split(' ').next().unwrap_or_default();
        let mut due = None;
        for (index, fault) in self.faults.iter_mut().enumerate() {
            if fault.on == operation || fault.on == verb {
                fault.nth = fault.nth.saturating_sub(1);
                if fault.nth == 0 && due.is_none() {
                    due = Some(index);
                }
            }
        }
        due.map(|index| self.faults.remove(index))
    }

    /// As the real one: kind, namespace, admission, merge, defaults; a version only for a real change.
    fn apply(
        &mut self,
        reference: &ObjectRef,
        value: &Value,
        manager: &str,
        force: bool,
    ) -> Result<String> {
        let stored = self.merged(reference, value, manager, force)?;
        let uid = convert_text(&stored.value["metadata"]["uid"]);
        if self.objects.get(&reference.key()) != Some(&stored) {
            self.keep(stored);
        }
        Ok(uid)
    }

    /// The object as it would be, without keeping it.
    fn merged(
        &mut self,
        reference: &ObjectRef,
        value: &Value,
        manager: &str,
        force: bool,
    ) -> Result<Stored> {
        let operation = format!("apply {}", reference.kind);
        let kind = (reference.api_version.clone(), reference.kind.clone());
        let Some(fact) = self.kinds.get(&kind) else {
            let message = format!("kind {} is not served", reference.kind);
            return Err(error(&operation, "KindNotServed", 404, message));
        };
        if let Some(namespace) = reference.namespace.as_ref().filter(|_| fact.namespaced)
            && !self.has_namespace(namespace)
        {
            let message = format!("namespaces \"{namespace}\" not found");
            return Err(error(&operation, "NotFound", 404, message));
        }
        if let Some(message) = self.refused.get(&reference.key()) {
            return Err(error(&operation, "Invalid", 422, message.clone()));
        }
        let mut stored = match self.objects.get(&reference.key()) {
            Some(stored) => stored.clone(),
            None => {
                let uid = format!("00000000-0000-4000-8000-{:012x}", self.next());
                Stored {
                    reference: reference.clone(),
                    value: json!({"metadata": {"uid": uid, "creationTimestamp": "2026-01-01T00:00:00Z"}}),
                    owners: ssa::Owners::new(),
                }
            }
        };
        let before = stored.value.clone();
        ssa::apply(&mut stored.value, &mut stored.owners, manager, value, force).map_err(
            |conflict| {
                let message = format!(
                    "conflict with \"{}\": .{}",
                    conflict.manager, conflict.field
                );
                error(&operation, "Conflict", 409, message)
            },
        )?;
        if reference.kind == "Service" {
            self.default_service(&before, &mut stored.value);
        }
        Ok(stored)
    }

    fn keep(&mut self, mut stored: Stored) {
        let version = self.next();
        stored.value["metadata"]["resourceVersion"] = json!(version.to_string());
        self.objects.insert(stored.reference.key(), stored);
    }

    /// Cluster address, families and node ports; what was assigned stays.
    fn default_service(&mut self, before: &Value, service: &mut Value) {
        let kind = match &service["spec"]["type"] {
            Value::String(kind) => kind.clone(),
            _ => "ClusterIP".to_owned(),
        };
        service["spec"]["type"] = json!(kind);
        service["spec"]["ipFamilies"] = json!(["IPv4"]);
        if service["spec"]["clusterIP"].is_null() {
            service["spec"]["clusterIP"] = json!(format!("10.100.0.{}", self.next() % 250));
        }
        let old = before["spec"]["ports"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        let mut ports = service["spec"]["ports"].take();
        for port in ports.as_array_mut().into_iter().flatten() {
            if port["protocol"].is_null() {
                port["protocol"] = json!("TCP");
            }
            if port["targetPort"].is_null() {
                port["targetPort"] = port["port"].clone();
            }
            if kind == "ClusterIP" || !port["nodePort"].is_null() {
                continue;
            }
            let same = old.iter().find(|it| it["port"] == port["port"]);
            port["nodePort"] = match same.map(|it| &it["nodePort"]) {
                Some(Value::Number(number)) => Value::Number(number.clone()),
                _ => json!(30000 + self.next() % 2767),
            };
        }
        service["spec"]["ports"] = ports;
    }

    fn has_namespace(&self, name: &str) -> bool {
        self.objects.contains_key(&ObjectKey {
            group: String::new(),
            kind: "Namespace".to_owned(),
            namespace: None,
            name: name.to_owned(),
        })
    }

    fn live(&self, object: &ObjectRef) -> Option<LiveObject> {
        self.objects.get(&object.key()).and_then(Stored::live)
    }

    fn next(&mut self) -> u64 {
        self.serial += 1;
        self.serial
    }
}

impl Stored {
    fn live(&self) -> Option<LiveObject> {
        let mut value = self.value.clone();
        let managers: Vec<Value> = self
            .owners
            .keys()
            .map(|manager| json!({"manager": manager}))
            .collect();
        value["metadata"]["managedFields"] = json!(managers);
        convert::live_object(value, &self.reference.api_version, &self.reference.kind)
    }
}

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

    async fn ingresses(&self) -> Result<Vec<LiveObject>> {
        self.call("list Ingress", None, false, |state| {
            let ingresses = state.objects.values();
            Ok(ingresses
                .filter(|it| it.reference.kind == "Ingress")
                .filter_map(Stored::live)
                .collect())
        })
    }

    async fn ingress_classes(&self) -> Result<BTreeMap<String, (String, bool)>> {
        self.call("list IngressClass", None, false, |state| {
            let classes = state.objects.values();
            Ok(classes
                .filter(|it| it.reference.kind == "IngressClass")
                .filter_map(|it| convert::ingress_class(&it.value))
                .collect())
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

/// A refusal in the API server's words.
pub fn error(operation: &str, code: &str, status: u16, message: String) -> CallError {
    CallError {
        service: "kubernetes".to_owned(),
        operation: operation.to_owned(),
        code: Some(code.to_owned()),
        status: Some(status),
        message,
        request_id: None,
        effect: Effect::None,
    }
}

/// An answer that never came.
pub fn lost(operation: &str) -> CallError {
    CallError {
        code: None,
        status: None,
        effect: Effect::Unknown,
        ..error(operation, "", 0, "no answer".to_owned())
    }
}

fn reference_of(value: &Value) -> Option<ObjectRef> {
    Some(ObjectRef {
        api_version: value["apiVersion"].as_str()?.to_owned(),
        kind: value["kind"].as_str()?.to_owned(),
        namespace: value["metadata"]["namespace"].as_str().map(str::to_owned),
        name: value["metadata"]["name"].as_str()?.to_owned(),
    })
}

fn convert_text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
