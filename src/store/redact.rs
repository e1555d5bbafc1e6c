//! What of a plan may be kept: everything but the values of Secrets (gitops Q14).

use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use crate::plan::op::{Action, Plan};

/// The copy of kubectl's last input: it repeats the data.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// The plan as it may be written to disk or shown: each value of a Secret is replaced by a short digest, which tells a
/// change and is too short to tell the value.
pub fn redact(plan: &Plan) -> Plan {
    let mut plan = plan.clone();
    for op in plan.ops.iter_mut().chain(&mut plan.withheld) {
        if let Action::ApplyObject {
            reference, value, ..
        } = &mut op.action
            && reference.kind == "Secret"
            && reference.group().is_empty()
        {
            let place = reference.to_string();
            for field in ["data", "stringData"] {
                match value.get_mut(field) {
                    Some(Value::Object(entries)) => mask_all(&place, entries),
                    Some(other) => *other = Value::String("<masked>".to_owned()),
                    None => {}
                }
            }
            if let Some(annotation) = value.pointer_mut(&format!(
                "/metadata/annotations/{}",
                LAST_APPLIED.replace('/', "~1")
            )) {
                *annotation = Value::String("<masked>".to_owned());
            }
        }
    }
    plan
}

fn mask_all(place: &str, entries: &mut Map<String, Value>) {
    for (key, value) in entries {
        let text = value
            .as_str()
            .map_or_else(|| value.to_string(), str::to_owned);
        // The place goes in, so that equal values in different places do not look equal.
        let digest = Sha256::digest(format!("{place}\0{key}\0{text}"));
        let short: String = digest
            .iter()
            .take(3)
            .map(|byte| format!("{byte:02x}"))
            .collect();
        *value = Value::String(format!("<masked {short}>"));
    }
}
