//! Events on objects, at a bounded rate.

use ::kube::core::params::{Patch, PatchParams};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::{KubeCluster, Result, lock, request::checked};
use crate::cluster::{FIELD_MANAGER, ObjectEvent, event_rate::Verdict};

/// Events of cluster-scoped objects live here, as Kubernetes' own do.
const DEFAULT_NAMESPACE: &str = "default";

impl KubeCluster {
    /// Sends the Event unless the same one went out within ten minutes (gitops G81). Without a live object: nothing.
    pub(super) async fn send_event(&self, event: &ObjectEvent) -> Result<()> {
        let operation = "create Event";
        let namespace = event
            .object
            .namespace
            .as_deref()
            .unwrap_or(DEFAULT_NAMESPACE);
        checked(operation, namespace)?;
        let path = format!("/api/v1/namespaces/{namespace}/events");
        let now = Timestamp::now();
        let mut verdict = lock(&self.inner.events).admit(event, now);
        if let Verdict::Again { name, count } = &verdict {
            let body = json!({"count": count, "lastTimestamp": seconds(now)});
            let params = PatchParams {
                field_manager: Some(FIELD_MANAGER.to_owned()),
                ..PatchParams::default()
            };
            match self.patch(&path, name, &params, &Patch::Merge(&body)).await {
                Ok(_) => return Ok(()),
                // Gone before its time.
                Err(failure) if failure.is_absent() => {
                    let mut events = lock(&self.inner.events);
                    events.forget(event);
                    verdict = events.admit(event, now);
                }
                Err(failure) => {
                    lock(&self.inner.events).forget(event);
                    return Err(failure.write("patch Event"));
                }
            }
        }
        let Verdict::Create { name } = verdict else {
            return Ok(());
        };
        let sent = self.create_event(&path, namespace, &name, event, now).await;
        if sent.is_err() {
            lock(&self.inner.events).forget(event);
        }
        sent
    }

    async fn create_event(
        &self,
        path: &str,
        namespace: &str,
        name: &str,
        event: &ObjectEvent,
        now: Timestamp,
    ) -> Result<()> {
        let uid = match &event.uid {
            Some(uid) => uid.clone(),
            None => match self.live(&event.object).await? {
                Some(live) => live.uid,
                None => {
                    lock(&self.inner.events).forget(event);
                    return Ok(());
                }
            },
        };
        let body = body(namespace, name, event, &uid, now);
        self.create(path, &body)
            .await
            .map(|_| ())
            .map_err(|failure| failure.write("create Event"))
    }
}

fn body(namespace: &str, name: &str, event: &ObjectEvent, uid: &str, now: Timestamp) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": name, "namespace": namespace},
        "involvedObject": {
            "apiVersion": event.object.api_version,
            "kind": event.object.kind,
            "namespace": event.object.namespace,
            "name": event.object.name,
            "uid": uid,
        },
        "type": event.kind,
        "reason": event.reason,
        "message": event.message,
        "source": {"component": FIELD_MANAGER},
        "reportingComponent": FIELD_MANAGER,
        "reportingInstance": FIELD_MANAGER,
        "firstTimestamp": seconds(now),
        "lastTimestamp": seconds(now),
        "count": 1,
    })
}

/// These two fields hold whole seconds.
fn seconds(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}
