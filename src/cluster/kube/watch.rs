//! Watches on what routing depends on. A watch that ends, errs or falls silent is begun anew (lessons G1).

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use ::kube::core::{Request, WatchEvent, params::WatchParams};
use futures::{StreamExt, future::join_all, pin_mut};
use serde_json::Value;
use tokio::sync::mpsc::Sender;

use super::{
    KubeCluster, convert,
    request::{Collection, Failure},
};
use crate::{
    cluster::{Change, ClusterChange},
    id::ObjectKey,
};

const WATCHED: [Collection; 6] = [
    Collection::NODES,
    Collection::SERVICES,
    Collection::ENDPOINT_SLICES,
    Collection::SERVICE_ACCOUNTS,
    Collection::INGRESSES,
    Collection::INGRESS_CLASSES,
];

/// What was missed for whatever reason is found by then.
const RELIST: Duration = Duration::from_secs(900);
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// Rights come by a person's hand.
const DENIED_PAUSE: Duration = Duration::from_secs(60);

/// Follows all kinds until nobody listens any more.
pub(super) async fn run(cluster: KubeCluster, tx: Sender<ClusterChange>) {
    let (cluster, tx) = (&cluster, &tx);
    join_all(WATCHED.map(|collection| async move {
        tokio::select! {
            () = tx.closed() => {}
            () = follow_for_ever(cluster, collection, tx) => {}
        }
    }))
    .await;
}

/// What is known of one kind.
#[derive(Default)]
struct State {
    /// Fingerprint by object; `None` before the first list.
    known: Option<BTreeMap<ObjectKey, u64>>,
    /// Where the next watch begins; `None`: a list is needed first.
    version: Option<String>,
    listed: Option<Instant>,
}

async fn follow_for_ever(
    cluster: &KubeCluster,
    collection: Collection,
    tx: &Sender<ClusterChange>,
) {
    let mut state = State::default();
    let mut pause = FIRST_PAUSE;
    loop {
        if state.listed.is_some_and(|it| it.elapsed() > RELIST) {
            state.version = None;
        }
        let begun = Instant::now();
        let ended = follow(cluster, collection, &mut state, tx).await;
        if begun.elapsed() > LONGEST_PAUSE {
            pause = FIRST_PAUSE;
        }
        let wait = match ended {
            // The server ended it in good order. Never faster than the first pause, or a server that closes at once
            // would be asked without end.
            Ok(()) => FIRST_PAUSE,
            Err(failure) => {
                let wait = match failure.is_forbidden() {
                    true => DENIED_PAUSE,
                    false => pause,
                };
                pause = (pause * 2).min(LONGEST_PAUSE);
                let error = failure.read(&format!("watch {}", collection.kind));
                tracing::warn!(kind = collection.kind, %error, wait_ms = wait.as_millis(), "watch broken");
                wait
            }
        };
        tokio::time::sleep(wait).await;
    }
}

/// Lists if needed, then watches once.
async fn follow(
    cluster: &KubeCluster,
    collection: Collection,
    state: &mut State,
    tx: &Sender<ClusterChange>,
) -> Result<(), Failure> {
    let version = match &state.version {
        Some(version) => version.clone(),
        None => relist(cluster, collection, state, tx).await?,
    };
    let timeout = cluster.inner.options.watch_timeout;
    let params = WatchParams {
        bookmarks: true,
        ..WatchParams::default()
    }
    .timeout(u32::try_from(timeout.as_secs()).unwrap_or(u32::MAX).max(1));
    let request = Request::new(collection.path(None))
        .watch(&params, &version)
        .map_err(|error| Failure::Unsent(error.to_string()))?;
    let deadline = tokio::time::Instant::now() + timeout + cluster.inner.options.watch_grace;
    let silent = || Failure::Lost("the watch fell silent".to_owned());
    let opened = tokio::time::timeout(
        cluster.inner.options.call_timeout,
        cluster.inner.client.request_events::<Value>(request),
    );
    let events = match opened.await {
        Ok(Ok(events)) => events,
        Ok(Err(error)) => return Err(state.failed(error.into())),
        Err(_) => return Err(silent()),
    };
    pin_mut!(events);
    loop {
        let event = match tokio::time::timeout_at(deadline, events.next()).await {
            Ok(Some(Ok(event))) => event,
            Ok(Some(Err(error))) => return Err(state.failed(error.into())),
            Ok(None) => return Ok(()),
            Err(_) => return Err(silent()),
        };
        let (change, object) = match event {
            WatchEvent::Added(object) => (Change::Added, object),
            WatchEvent::Modified(object) => (Change::Modified, object),
            WatchEvent::Deleted(object) => (Change::Deleted, object),
            WatchEvent::Bookmark(bookmark) => {
                state.version = Some(bookmark.metadata.resource_version);
                continue;
            }
            WatchEvent::Error(status) => return Err(state.failed(Failure::Api(status))),
        };
        if let Some(version) = object["metadata"]["resourceVersion"].as_str() {
            state.version = Some(version.to_owned());
        }
        if let Some(change) = state.learn(collection, change, &object) {
            send(tx, change).await;
        }
    }
}

/// Reads all objects of the kind and tells what differs from what was known.
async fn relist(
    cluster: &KubeCluster,
    collection: Collection,
    state: &mut State,
    tx: &Sender<ClusterChange>,
) -> Result<String, Failure> {
    let (items, version) = cluster.list_path(&collection.path(None), None).await?;
    for change in state.replace(collection, &items) {
        send(tx, change).await;
    }
    state.version = Some(version.clone());
    state.listed = Some(Instant::now());
    Ok(version)
}

async fn send(tx: &Sender<ClusterChange>, change: ClusterChange) {
    // Closed: the loop around this ends by itself.
    let _ = tx.send(change).await;
}

impl State {
    /// After "too old a version" only a list helps.
    fn failed(&mut self, failure: Failure) -> Failure {
        if failure.is_expired() {
            self.version = None;
        }
        failure
    }

    fn learn(
        &mut self,
        collection: Collection,
        change: Change,
        object: &Value,
    ) -> Option<ClusterChange> {
        let key = key(collection, object)?;
        let known = self.known.get_or_insert_default();
        let change = match change {
            Change::Deleted => {
                known.remove(&key);
                Change::Deleted
            }
            Change::Added | Change::Modified => {
                let print = convert::fingerprint(object, collection.kind);
                match known.insert(key.clone(), print) {
                    Some(before) if before == print => return None,
                    Some(_) => Change::Modified,
                    None => Change::Added,
                }
            }
        };
        Some(ClusterChange {
            object: key,
            change,
            ours: change != Change::Deleted && convert::last_written_by_us(object),
        })
    }

    fn replace(&mut self, collection: Collection, items: &[Value]) -> Vec<ClusterChange> {
        let Some(before) = self.known.take() else {
            for item in items {
                self.learn(collection, Change::Added, item);
            }
            self.known.get_or_insert_default();
            return Vec::new();
        };
        let mut gone = before.clone();
        self.known = Some(before);
        let mut changes = Vec::new();
        for item in items {
            if let Some(key) = key(collection, item) {
                gone.remove(&key);
            }
            changes.extend(self.learn(collection, Change::Modified, item));
        }
        for key in gone.into_keys() {
            if let Some(known) = &mut self.known {
                known.remove(&key);
            }
            changes.push(ClusterChange {
                object: key,
                change: Change::Deleted,
                ours: false,
            });
        }
        changes
    }
}

fn key(collection: Collection, object: &Value) -> Option<ObjectKey> {
    let metadata = &object["metadata"];
    Some(ObjectKey {
        group: collection.group.to_owned(),
        kind: collection.kind.to_owned(),
        namespace: metadata["namespace"].as_str().map(str::to_owned),
        name: metadata["name"].as_str()?.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn service(name: &str, kind: &str) -> Value {
        json!({"metadata": {"namespace": "a", "name": name}, "spec": {"type": kind}})
    }

    fn summary(changes: Vec<ClusterChange>) -> Vec<(String, Change)> {
        let one = |it: ClusterChange| (it.object.name, it.change);
        changes.into_iter().map(one).collect()
    }

    #[test]
    fn the_first_list_says_nothing_and_a_later_one_what_was_missed() {
        let mut state = State::default();
        let first = [
            service("same", "x"),
            service("changed", "x"),
            service("gone", "x"),
        ];
        assert_eq!(state.replace(Collection::SERVICES, &first), []);
        let second = [
            service("same", "x"),
            service("changed", "y"),
            service("new", "x"),
        ];
        let changes = summary(state.replace(Collection::SERVICES, &second));
        let want = [
            ("changed".to_owned(), Change::Modified),
            ("new".to_owned(), Change::Added),
            ("gone".to_owned(), Change::Deleted),
        ];
        assert_eq!(changes, want);
        assert_eq!(state.replace(Collection::SERVICES, &second), []);
    }

    #[test]
    fn an_event_that_changes_nothing_for_us_is_not_told() {
        let mut state = State::default();
        state.replace(Collection::SERVICES, &[service("a", "x")]);
        let echo = state.learn(Collection::SERVICES, Change::Modified, &service("a", "x"));
        assert_eq!(echo, None);
        let gone = state.learn(Collection::SERVICES, Change::Deleted, &service("a", "x"));
        assert_eq!(gone.map(|it| it.change), Some(Change::Deleted));
        let back = state.learn(Collection::SERVICES, Change::Added, &service("a", "x"));
        assert_eq!(back.map(|it| it.change), Some(Change::Added));
    }

    #[test]
    fn an_expired_version_asks_for_a_list_and_another_error_does_not() {
        let gone = |code| {
            Failure::Api(Box::new(
                serde_json::from_value(json!({"code": code})).unwrap(),
            ))
        };
        let mut state = State {
            version: Some("7".to_owned()),
            ..State::default()
        };
        state.failed(gone(500));
        assert_eq!(state.version.as_deref(), Some("7"));
        state.failed(gone(410));
        assert_eq!(state.version, None);
    }
}
