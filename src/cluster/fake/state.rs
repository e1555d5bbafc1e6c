//! What the server holds and how an apply changes it.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::{Call, Fault, error, ssa};
use crate::{
    cluster::{KindFact, Lease, ObjectEvent, Result, Right, convert},
    id::{ObjectKey, ObjectRef},
    model::{facts::Node, object::LiveObject},
};

#[derive(Default)]
pub struct State {
    pub serial: u64,
    pub kinds: BTreeMap<(String, String), KindFact>,
    pub objects: BTreeMap<ObjectKey, Stored>,
    pub nodes: Vec<Node>,
    pub leases: Vec<Lease>,
    pub denied: BTreeSet<Right>,
    pub refused: BTreeMap<ObjectKey, String>,
    pub faults: Vec<Fault>,
    pub calls: Vec<Call>,
    pub events: Vec<ObjectEvent>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Stored {
    pub reference: ObjectRef,
    pub value: Value,
    pub owners: ssa::Owners,
}

impl State {
    pub fn fault(&mut self, operation: &str) -> Option<Fault> {
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
    pub fn apply(
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
    pub fn merged(
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

    pub fn keep(&mut self, mut stored: Stored) {
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

    pub fn live(&self, object: &ObjectRef) -> Option<LiveObject> {
        self.objects.get(&object.key()).and_then(Stored::live)
    }

    fn next(&mut self) -> u64 {
        self.serial += 1;
        self.serial
    }
}

impl Stored {
    pub fn live(&self) -> Option<LiveObject> {
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

fn convert_text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
