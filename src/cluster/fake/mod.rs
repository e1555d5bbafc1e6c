//! An API server in memory, for tests: it keeps state and refuses what a real one refuses.
//!
//! It has namespaces, uids, resource versions, field managers, finalizers, node ports, rights, faults on demand, and a
//! journal of calls. It has no controllers: nothing happens by itself.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};

use super::{KindFact, Lease, ObjectEvent, Result, Right};
use crate::{
    id::{ObjectKey, ObjectRef},
    model::{
        call::{CallError, Effect},
        facts::Node,
    },
};

mod port;
mod ssa;
mod state;
#[cfg(test)]
mod tests;

use state::State;

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

impl FakeCluster {
    /// With the namespaces `default` and `kube-system` and the usual kinds.
    pub fn new() -> Self {
        let fake = Self::default();
        for (api_version, kind, plural, namespaced) in [
            ("v1", "Namespace", "namespaces", false),
            ("v1", "ConfigMap", "configmaps", true),
            ("v1", "Secret", "secrets", true),
            ("v1", "Service", "services", true),
            (
                "discovery.k8s.io/v1",
                "EndpointSlice",
                "endpointslices",
                true,
            ),
            ("v1", "ServiceAccount", "serviceaccounts", true),
            ("apps/v1", "Deployment", "deployments", true),
            ("networking.k8s.io/v1", "Ingress", "ingresses", true),
            (
                "networking.k8s.io/v1",
                "IngressClass",
                "ingressclasses",
                false,
            ),
            (
                "elbv2.k8s.aws/v1beta1",
                "IngressClassParams",
                "ingressclassparams",
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
