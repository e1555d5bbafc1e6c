//! What a server-side dry run would change: live object against answer, field by field. Pure (gitops §2.3, points 2, 7).

use serde_json::{Map, Value};

use super::convert::is_secret;
use crate::model::object::{FieldChanges, strip_revision};

/// A value's text is cut here, in characters: enough to see what differs.
const TEXT_LIMIT: usize = 200;

/// Metadata that the API server keeps for itself.
const SERVER_METADATA: [&str; 6] = [
    "managedFields",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "uid",
    "selfLink",
];

/// Fields that differ between the live object and what the dry run answered; `status`, the server's own metadata and
/// our revision annotations are not compared. Values of a Secret are told apart and never shown.
pub fn field_changes(live: &Value, answer: &Value) -> FieldChanges {
    let mut walk = Walk {
        secret: is_secret(answer) || is_secret(live),
        path: Vec::new(),
        changes: FieldChanges::new(),
    };
    walk.value(&strip(live), &strip(answer));
    walk.changes
}

fn strip(value: &Value) -> Value {
    let mut value = value.clone();
    strip_revision(&mut value);
    if let Some(object) = value.as_object_mut() {
        object.remove("status");
        // The dry run may answer in another version of the same kind.
        object.remove("apiVersion");
    }
    if let Some(metadata) = value.get_mut("metadata").and_then(Value::as_object_mut) {
        for key in SERVER_METADATA {
            metadata.remove(key);
        }
    }
    value
}

struct Walk {
    secret: bool,
    path: Vec<String>,
    changes: FieldChanges,
}

impl Walk {
    fn value(&mut self, live: &Value, wanted: &Value) {
        match (live, wanted) {
            _ if live == wanted => {}
            (Value::Object(live), Value::Object(wanted)) => self.object(live, wanted),
            (Value::Array(live), Value::Array(wanted)) => self.array(live, wanted),
            _ => self.leaf(Some(live), Some(wanted)),
        }
    }

    fn object(&mut self, live: &Map<String, Value>, wanted: &Map<String, Value>) {
        for (key, value) in live {
            self.path.push(segment(key, self.path.is_empty()));
            match wanted.get(key) {
                Some(wanted) => self.value(value, wanted),
                None => self.leaf(Some(value), None),
            }
            self.path.pop();
        }
        for (key, value) in wanted.iter().filter(|(key, _)| !live.contains_key(*key)) {
            self.path.push(segment(key, self.path.is_empty()));
            self.leaf(None, Some(value));
            self.path.pop();
        }
    }

    /// Lists whose elements all have distinct names are compared by name, so that an inserted container does not make
    /// all that follow it look changed; others by position.
    fn array(&mut self, live: &[Value], wanted: &[Value]) {
        if let (Some(live_names), Some(wanted_names)) = (names(live), names(wanted)) {
            let mut seen = false;
            for (name, value) in live_names.iter().zip(live) {
                let other = wanted_names.iter().position(|it| it == name);
                let before = self.changes.len();
                self.path.push(format!("[name={name}]"));
                match other.and_then(|index| wanted.get(index)) {
                    Some(wanted) => self.value(value, wanted),
                    None => self.leaf(Some(value), None),
                }
                self.path.pop();
                seen |= self.changes.len() > before;
            }
            for (name, value) in wanted_names.iter().zip(wanted) {
                if !live_names.contains(name) {
                    self.path.push(format!("[name={name}]"));
                    self.leaf(None, Some(value));
                    self.path.pop();
                    seen = true;
                }
            }
            if !seen {
                // The same elements in another order.
                let text = |names: &[&str]| Some(names.join(", "));
                self.changes
                    .insert(self.path.concat(), (text(&live_names), text(&wanted_names)));
            }
            return;
        }
        for index in 0..live.len().max(wanted.len()) {
            self.path.push(format!("[{index}]"));
            match (live.get(index), wanted.get(index)) {
                (Some(live), Some(wanted)) => self.value(live, wanted),
                (live, wanted) => self.leaf(live, wanted),
            }
            self.path.pop();
        }
    }

    fn leaf(&mut self, live: Option<&Value>, wanted: Option<&Value>) {
        let path = self.path.concat();
        let change = if self.secret && !is_harmless(&path) {
            (
                live.map(|_| "*** (before)".to_owned()),
                wanted.map(|_| "*** (after)".to_owned()),
            )
        } else {
            (live.map(text), wanted.map(text))
        };
        self.changes.insert(path, change);
    }
}

/// Of a Secret, only these are shown: labels, the type, and annotations other than kubectl's copy of the whole.
fn is_harmless(path: &str) -> bool {
    path.starts_with("metadata.labels")
        || path == "type"
        || path == "immutable"
        || (path.starts_with("metadata.annotations[")
            && !path.contains("last-applied-configuration"))
}

fn names(items: &[Value]) -> Option<Vec<&str>> {
    let mut names = Vec::with_capacity(items.len());
    for item in items {
        let name = item.get("name")?.as_str()?;
        if names.contains(&name) {
            return None;
        }
        names.push(name);
    }
    Some(names)
}

/// `spec`, `.ports`, or `["alb.ingress.kubernetes.io/scheme"]` for keys that are no plain words.
fn segment(key: &str, first: bool) -> String {
    let plain = !key.is_empty()
        && key
            .chars()
            .all(|it| it.is_ascii_alphanumeric() || it == '_' || it == '-');
    match (plain, first) {
        (true, true) => key.to_owned(),
        (true, false) => format!(".{key}"),
        (false, _) => format!("[{}]", Value::from(key)),
    }
}

fn text(value: &Value) -> String {
    let whole = match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    if whole.chars().count() <= TEXT_LIMIT {
        return whole;
    }
    let mut cut: String = whole.chars().take(TEXT_LIMIT).collect();
    cut.push('…');
    cut
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn some(live: &str, wanted: &str) -> (Option<String>, Option<String>) {
        (Some(live.to_owned()), Some(wanted.to_owned()))
    }

    #[test]
    fn what_the_server_keeps_and_our_revision_are_not_compared() {
        let live = json!({"metadata": {"name": "a", "resourceVersion": "1", "uid": "u",
            "annotations": {"albsync.dev/revision": "1"}}, "status": {"x": 1}, "spec": {"a": 1}});
        let answer = json!({"metadata": {"name": "a", "resourceVersion": "2", "generation": 3}, "spec": {"a": 1}});
        assert_eq!(field_changes(&live, &answer), FieldChanges::new());
    }

    #[test]
    fn fields_are_named_by_path_with_both_values() {
        let live = json!({"metadata": {"annotations": {"alb.ingress.kubernetes.io/scheme": "internal", "gone": "x"}},
            "spec": {"replicas": 1, "list": [1, 2]}});
        let answer = json!({"metadata": {"annotations": {"alb.ingress.kubernetes.io/scheme": "internet-facing"}},
            "spec": {"replicas": 2, "list": [1], "new": {"a": "b"}}});
        let want = FieldChanges::from([
            (
                "metadata.annotations[\"alb.ingress.kubernetes.io/scheme\"]".to_owned(),
                some("internal", "internet-facing"),
            ),
            (
                "metadata.annotations.gone".to_owned(),
                (Some("x".to_owned()), None),
            ),
            ("spec.replicas".to_owned(), some("1", "2")),
            ("spec.list[1]".to_owned(), (Some("2".to_owned()), None)),
            (
                "spec.new".to_owned(),
                (None, Some("{\"a\":\"b\"}".to_owned())),
            ),
        ]);
        assert_eq!(field_changes(&live, &answer), want);
    }

    #[test]
    fn an_inserted_container_is_one_change() {
        let live = json!({"spec": {"containers": [{"name": "b", "image": "1"}]}});
        let answer = json!({"spec": {"containers": [{"name": "a", "image": "9"}, {"name": "b", "image": "2"}]}});
        let changes = field_changes(&live, &answer);
        let paths: Vec<_> = changes.keys().map(String::as_str).collect();
        assert_eq!(
            paths,
            ["spec.containers[name=a]", "spec.containers[name=b].image"]
        );
    }

    #[test]
    fn another_order_of_named_elements_is_a_change() {
        let live = json!({"env": [{"name": "a"}, {"name": "b"}]});
        let answer = json!({"env": [{"name": "b"}, {"name": "a"}]});
        let want = FieldChanges::from([("env".to_owned(), some("a, b", "b, a"))]);
        assert_eq!(field_changes(&live, &answer), want);
    }

    #[test]
    fn values_of_secrets_are_told_apart_and_never_shown() {
        let secret = |value: &str| {
            json!({"apiVersion": "v1", "kind": "Secret", "type": "Opaque", "data": {"k": value},
                "metadata": {"labels": {"l": "shown"}, "annotations": {
                    "kubectl.kubernetes.io/last-applied-configuration": format!("{{data: {value}}}")}}})
        };
        let changes = field_changes(&secret("canary-1"), &secret("canary-2"));
        assert_eq!(changes["data.k"], some("*** (before)", "*** (after)"));
        assert!(!format!("{changes:?}").contains("canary"), "{changes:?}");
        let changes = field_changes(
            &json!({"apiVersion": "v1", "kind": "Secret"}),
            &secret("canary"),
        );
        assert!(!format!("{changes:?}").contains("canary"), "{changes:?}");
    }

    #[test]
    fn long_values_are_cut_between_characters() {
        let changes = field_changes(&json!({"a": ""}), &json!({"a": "ü".repeat(1000)}));
        let wanted = changes["a"].1.clone().unwrap_or_default();
        assert_eq!(wanted.chars().count(), TEXT_LIMIT + 1);
    }
}
