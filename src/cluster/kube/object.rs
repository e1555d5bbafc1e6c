//! One object of any kind: read, compare by a dry run, apply, delete, and the two patches of parts.

use ::kube::core::params::{DeleteParams, Patch, PatchParams, Preconditions};
use serde_json::{Value, json};

use super::{
    KubeCluster, Result, convert,
    discovery::base_path,
    refused,
    request::{Failure, checked, collection_path, unexpected},
};
use crate::{
    cluster::{FIELD_MANAGER, diff},
    id::ObjectRef,
    model::{call::CallError, object::LiveObject, observed::DryRun},
};

/// Where an object lives on the API server.
struct Place {
    api_version: String,
    /// Of its collection.
    path: String,
}

impl KubeCluster {
    /// The live object. A kind that is not served in any version has no objects.
    pub(super) async fn live(&self, object: &ObjectRef) -> Result<Option<LiveObject>> {
        let operation = format!("get {}", object.kind);
        checked(&operation, &object.name)?;
        // Twice: what discovery kept may be out of date.
        for _ in 0..2 {
            let Some(place) = self.any_place(&operation, object).await? else {
                return Ok(None);
            };
            match self.fetch(&place.path, &object.name).await {
                Ok(value) => {
                    return convert::live_object(value, &place.api_version, &object.kind)
                        .map(Some)
                        .ok_or_else(|| unexpected(&operation, "the answer is no object"));
                }
                Err(failure) if failure.is_absent() => return Ok(None),
                Err(failure) if failure.is_unserved() => {
                    self.inner.discovery.forget(&place.api_version);
                }
                Err(failure) => return Err(failure.read(&operation)),
            }
        }
        Ok(None)
    }

    /// Live object and what the dry run of a forced apply makes of it, asked for at once.
    pub(super) async fn compare(
        &self,
        object: &ObjectRef,
        value: &Value,
    ) -> Result<(Option<LiveObject>, DryRun)> {
        let operation = format!("check {}", object.kind);
        checked(&operation, &object.name)?;
        let Some(place) = self.place(&operation, object).await? else {
            let why = format!(
                "kind {} of {} is not served",
                object.kind, object.api_version
            );
            // The object may exist in another version of its kind.
            return Ok((self.live(object).await?, DryRun::Deferred(why)));
        };
        // A write between the two answers would look like a difference; then both are asked for once more.
        let patch = Patch::Apply(value);
        let mut last = None;
        for _ in 0..2 {
            let params = strict(true).dry_run();
            let (live, answer) = futures::join!(
                self.fetch(&place.path, &object.name),
                self.patch(&place.path, &object.name, &params, &patch),
            );
            let raw = match live {
                Ok(raw) => Some(raw),
                Err(failure) if failure.is_absent() => None,
                Err(failure) if failure.is_unserved() => {
                    self.inner.discovery.forget(&place.api_version);
                    return Err(not_served(&operation, object));
                }
                Err(failure) => return Err(failure.read(&format!("get {}", object.kind))),
            };
            let answer = match answer {
                Ok(answer) => answer,
                Err(failure) => {
                    let verdict = verdict(failure, value)
                        .map_err(|failure| scrubbed(failure.read(&operation), value))?;
                    return Ok((live_of(raw, &place, object), verdict));
                }
            };
            let Some(raw) = raw else {
                return Ok((None, DryRun::WouldCreate));
            };
            let changes = diff::field_changes(&raw, &answer);
            let settled = version(&raw) == version(&answer);
            let dry_run = match changes.is_empty() {
                true => DryRun::Same,
                false => DryRun::WouldChange(changes),
            };
            let same = dry_run == DryRun::Same;
            last = Some((live_of(Some(raw), &place, object), dry_run));
            if same || settled {
                break;
            }
        }
        last.ok_or_else(|| unexpected(&operation, "no answer"))
    }

    pub(super) async fn apply_object(
        &self,
        object: &ObjectRef,
        value: &Value,
        force: bool,
    ) -> Result<String> {
        let operation = format!("apply {}", object.kind);
        checked(&operation, &object.name)?;
        let Some(place) = self.place(&operation, object).await? else {
            return Err(not_served(&operation, object));
        };
        let answer = self
            .patch(
                &place.path,
                &object.name,
                &strict(force),
                &Patch::Apply(value),
            )
            .await;
        match answer {
            Ok(answer) => match answer["metadata"]["uid"].as_str() {
                Some(uid) => Ok(uid.to_owned()),
                None => Err(unexpected(&operation, "the applied object has no uid")),
            },
            Err(failure) if failure.is_unserved() => {
                self.inner.discovery.forget(&place.api_version);
                Err(not_served(&operation, object))
            }
            Err(failure) => Err(scrubbed(failure.write(&operation), value)),
        }
    }

    pub(super) async fn delete_object(&self, object: &ObjectRef, uid: &str) -> Result<()> {
        let operation = format!("delete {}", object.kind);
        checked(&operation, &object.name)?;
        let Some(place) = self.any_place(&operation, object).await? else {
            return Err(refused(
                &operation,
                "NotFound",
                format!("kind {} is not served", object.kind),
            ));
        };
        // With a uid: an object that somebody made anew meanwhile is not ours to delete (gitops R6).
        let params = DeleteParams::background().preconditions(Preconditions {
            uid: Some(uid.to_owned()),
            resource_version: None,
        });
        self.remove(&place.path, &object.name, &params)
            .await
            .map_err(|failure| failure.write(&operation))
    }

    /// Host name in lower case and the listeners' ports, as the AWS controller writes them (aws-deploy §6.1). An empty
    /// host name clears the status.
    pub(super) async fn set_status(
        &self,
        object: &ObjectRef,
        hostname: &str,
        ports: &[u16],
    ) -> Result<()> {
        let operation = "set status of Ingress";
        checked(operation, &object.name)?;
        let Some(place) = self.place(operation, object).await? else {
            return Err(not_served(operation, object));
        };
        let ports: Vec<Value> = ports.iter().map(|port| json!({"port": port})).collect();
        let entries = match hostname.is_empty() {
            true => json!([]),
            false => json!([{"hostname": hostname.to_lowercase(), "ports": ports}]),
        };
        let body = json!({"status": {"loadBalancer": {"ingress": entries}}});
        self.patch_status(&place.path, &object.name, &ours(), &Patch::Merge(&body))
            .await
            .map(|_| ())
            .map_err(|failure| failure.write(operation))
    }

    pub(super) async fn drop_finalizer(&self, object: &ObjectRef, finalizer: &str) -> Result<()> {
        let operation = format!("remove finalizer of {}", object.kind);
        let Some(live) = self.live(object).await? else {
            return Ok(());
        };
        let finalizers = live.value["metadata"]["finalizers"].as_array();
        let rest: Vec<&Value> = finalizers
            .into_iter()
            .flatten()
            .filter(|it| *it != finalizer)
            .collect();
        if finalizers.map_or(0, Vec::len) == rest.len() {
            return Ok(());
        }
        let Some(place) = self.any_place(&operation, object).await? else {
            return Ok(());
        };
        // With the version that was read: a finalizer that came meanwhile must not get lost.
        let body = json!({"metadata": {
            "resourceVersion": live.resource_version,
            "finalizers": rest,
        }});
        match self
            .patch(&place.path, &object.name, &ours(), &Patch::Merge(&body))
            .await
        {
            Ok(_) => Ok(()),
            Err(failure) if failure.is_absent() => Ok(()),
            Err(failure) => Err(failure.write(&operation)),
        }
    }

    /// Where the object lives, in exactly its version; `None` when that is not served.
    async fn place(&self, operation: &str, object: &ObjectRef) -> Result<Option<Place>> {
        let fact = self
            .inner
            .discovery
            .find(self, &object.api_version, &object.kind)
            .await
            .map_err(|failure| failure.read(&format!("discover {}", object.api_version)))?;
        match fact {
            Some(fact) => Ok(Some(Place {
                path: self.path(operation, object, &object.api_version, &fact)?,
                api_version: object.api_version.clone(),
            })),
            None => Ok(None),
        }
    }

    /// Where the object lives, in whatever version is served.
    async fn any_place(&self, operation: &str, object: &ObjectRef) -> Result<Option<Place>> {
        let found = self
            .inner
            .discovery
            .find_any(self, &object.api_version, &object.kind)
            .await
            .map_err(|failure| failure.read(&format!("discover {}", object.api_version)))?;
        match found {
            Some((api_version, fact)) => Ok(Some(Place {
                path: self.path(operation, object, &api_version, &fact)?,
                api_version,
            })),
            None => Ok(None),
        }
    }

    fn path(
        &self,
        operation: &str,
        object: &ObjectRef,
        api_version: &str,
        fact: &super::KindFact,
    ) -> Result<String> {
        let namespace = match (fact.namespaced, &object.namespace) {
            (true, Some(namespace)) => Some(checked(operation, namespace)?),
            (true, None) => {
                let message = format!("{object} needs a namespace");
                return Err(refused(operation, "Invalid", message));
            }
            (false, _) => None,
        };
        Ok(collection_path(
            &base_path(api_version),
            &fact.plural,
            namespace,
        ))
    }
}

/// Unknown and duplicate fields are refused, never dropped silently.
fn strict(force: bool) -> PatchParams {
    let params = PatchParams::apply(FIELD_MANAGER).validation_strict();
    match force {
        true => params.force(),
        false => params,
    }
}

fn ours() -> PatchParams {
    PatchParams {
        field_manager: Some(FIELD_MANAGER.to_owned()),
        ..PatchParams::default()
    }
}

/// What a refused dry run says of the object; `Err`: it says nothing of the object, it must be asked again.
fn verdict(failure: Failure, value: &Value) -> std::result::Result<DryRun, Failure> {
    let Failure::Api(status) = failure else {
        return Err(failure);
    };
    let said = |text: &str| status.message.contains(text);
    let kind = status.details.as_ref().map_or("", |it| it.kind.as_str());
    match status.code {
        404 if kind == "namespaces" => Ok(DryRun::Deferred(format!(
            "{} (it may come with this commit)",
            status.message
        ))),
        // A webhook that cannot tell a check from the real thing.
        400 if said("does not support dry run") => Ok(DryRun::Deferred(status.message.clone())),
        403 if said("because it is being terminated") => {
            Ok(DryRun::Deferred(status.message.clone()))
        }
        // RBAC refuses us, not the object.
        403 if said("cannot patch resource") || said("cannot create resource") => {
            Err(Failure::Api(status))
        }
        400 | 403 | 405 | 406 | 413 | 415 | 422 => {
            Ok(DryRun::Refused(scrub(&status.message, value)))
        }
        _ => Err(Failure::Api(status)),
    }
}

fn live_of(raw: Option<Value>, place: &Place, object: &ObjectRef) -> Option<LiveObject> {
    convert::live_object(raw?, &place.api_version, &object.kind)
}

fn version(value: &Value) -> Option<&str> {
    value["metadata"]["resourceVersion"].as_str()
}

fn not_served(operation: &str, object: &ObjectRef) -> CallError {
    let message = format!(
        "kind {} of {} is not served",
        object.kind, object.api_version
    );
    refused(operation, "KindNotServed", message)
}

fn scrubbed(mut error: CallError, value: &Value) -> CallError {
    error.message = scrub(&error.message, value);
    error
}

/// The API server may quote a Secret's values in what it finds wrong with them.
fn scrub(message: &str, value: &Value) -> String {
    if !convert::is_secret(value) {
        return message.to_owned();
    }
    let mut message = message.to_owned();
    for field in ["data", "stringData"] {
        let mut leaves = Vec::new();
        collect(&value[field], &mut leaves);
        // Longer ones first: one value may hold another.
        leaves.sort_by_key(|it| std::cmp::Reverse(it.len()));
        for leaf in leaves.iter().filter(|it| !it.is_empty()) {
            message = message.replace(leaf.as_str(), convert::MASK);
        }
    }
    message
}

fn collect(value: &Value, leaves: &mut Vec<String>) {
    match value {
        Value::Object(map) => map.values().for_each(|it| collect(it, leaves)),
        Value::Array(items) => items.iter().for_each(|it| collect(it, leaves)),
        Value::String(text) => leaves.push(text.clone()),
        Value::Null | Value::Bool(_) => {}
        Value::Number(number) => leaves.push(number.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use ::kube::core::response::Status;

    use super::*;

    fn answer(code: u16, message: &str, kind: &str) -> Failure {
        let text = json!({"code": code, "message": message, "reason": "x", "details": {"kind": kind, "name": "n"}});
        Failure::Api(Box::new(serde_json::from_value::<Status>(text).unwrap()))
    }

    #[test]
    fn a_missing_namespace_defers_and_a_missing_object_does_not() {
        let namespace = verdict(
            answer(404, "namespaces \"a\" not found", "namespaces"),
            &json!({}),
        );
        assert!(
            matches!(namespace, Ok(DryRun::Deferred(_))),
            "{namespace:?}"
        );
        let object = verdict(answer(404, "x \"a\" not found", "x"), &json!({}));
        assert!(object.is_err(), "{object:?}");
    }

    #[test]
    fn missing_rights_are_our_trouble_and_policies_the_objects() {
        let rbac = r#"ingresses "a" is forbidden: User "u" cannot patch resource "ingresses""#;
        assert!(verdict(answer(403, rbac, "ingresses"), &json!({})).is_err());
        let policy = verdict(
            answer(403, "pods \"a\" is forbidden: violates PodSecurity", "pods"),
            &json!({}),
        );
        assert!(matches!(policy, Ok(DryRun::Refused(_))), "{policy:?}");
    }

    #[test]
    fn trouble_of_the_server_says_nothing_of_the_object() {
        for code in [401, 409, 429, 500, 503, 504] {
            assert!(
                verdict(answer(code, "later", ""), &json!({})).is_err(),
                "{code}"
            );
        }
    }

    #[test]
    fn a_secrets_values_are_cut_out_of_what_the_server_says() {
        let secret =
            json!({"apiVersion": "v1", "kind": "Secret", "data": {"k": "canary", "l": 12345}});
        let refused = verdict(
            answer(422, "data.k: Invalid value: \"canary\", 12345", ""),
            &secret,
        );
        let want = DryRun::Refused("data.k: Invalid value: \"***\", ***".to_owned());
        assert_eq!(refused.unwrap(), want);
    }
}
