//! Fingerprints of desired state: equal text means nothing to do.
//!
//! Places in git never take part: a move of a file or document is a no-op (gitops R11).

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{
    desired::{Desired, GroupStack, NetworkStack, RoleStack},
    iam::{PolicySpec, RoleSpec},
    policy,
};
use crate::id::StackId;

/// SHA-256 in lower-case hex over the value's canonical JSON: keys sorted, no whitespace.
pub fn digest<T: Serialize>(value: &T) -> String {
    match serde_json::to_value(value) {
        Ok(value) => hex(&Sha256::digest(canonical_text(&value).as_bytes())),
        Err(error) => unreachable!("BUG: the model must be expressible in JSON: {error}"),
    }
}

/// One text for equal values: keys sorted, no whitespace.
pub fn canonical_text(value: &Value) -> String {
    let mut text = String::new();
    write_canonical(value, &mut text);
    text
}

/// Bytes as lower-case hex.
pub fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    let text = String::with_capacity(2 * bytes.len());
    bytes.iter().fold(text, |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Sorts keys itself: the order in a [`Value`] depends on how serde_json was built.
fn write_canonical(value: &Value, out: &mut String) {
    match value {
        Value::Object(map) => {
            let sorted: BTreeMap<_, _> = map.iter().collect();
            out.push('{');
            for (index, (key, value)) in sorted.into_iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                out.push_str(&Value::from(key.as_str()).to_string());
                out.push(':');
                write_canonical(value, out);
            }
            out.push('}');
        }
        Value::Array(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                write_canonical(item, out);
            }
            out.push(']');
        }
        scalar => out.push_str(&scalar.to_string()),
    }
}

impl Desired {
    /// Every stack of this state with the digest of all that it asks for.
    ///
    /// Stacks that wait are absent: nothing is known of them but that they must be left alone.
    pub fn stacks(&self) -> BTreeMap<StackId, String> {
        let mut stacks = BTreeMap::new();
        if !self.objects.is_empty() {
            stacks.insert(StackId::Cluster, digest(&self.objects_without_places()));
        }
        if let Some(network) = &self.network {
            stacks.insert(StackId::Network, digest::<NetworkStack>(network));
        }
        if let Some(provider) = &self.provider {
            stacks.insert(StackId::Provider, digest(provider));
        }
        for (id, group) in &self.groups {
            stacks.insert(StackId::Group(id.clone()), group.digest());
        }
        for (id, role) in &self.roles {
            stacks.insert(StackId::Role(id.clone()), digest(&role.without_places()));
        }
        stacks
    }

    fn objects_without_places(&self) -> Value {
        self.objects
            .iter()
            .map(|object| {
                json!({
                    "reference": object.reference, "value": object.value, "after": object.after,
                    "keep": object.keep, "existing_only": object.existing_only, "waits": object.waits.is_some(),
                })
            })
            .collect()
    }
}

impl GroupStack {
    /// Of all that it asks for.
    pub fn digest(&self) -> String {
        digest(&self.without_places())
    }

    fn without_places(&self) -> Value {
        let Self {
            group_id,
            members,
            security_group,
            load_balancer,
            listeners,
            target_groups,
        } = self;
        let listeners: BTreeMap<_, _> = listeners
            .iter()
            .map(|(port, listener)| {
                let rules: Vec<_> = listener.rules.iter().map(|rule| &rule.spec).collect();
                (port, json!({ "spec": listener.spec, "rules": rules }))
            })
            .collect();
        let target_groups: BTreeMap<_, _> = target_groups
            .iter()
            .map(|(id, group)| (id, &group.spec))
            .collect();
        json!({
            "group_id": group_id,
            "members": members.iter().map(|member| &member.reference).collect::<Vec<_>>(),
            "security_group": security_group,
            "load_balancer": load_balancer,
            "listeners": listeners,
            "target_groups": target_groups,
        })
    }
}

impl RoleStack {
    fn without_places(&self) -> Value {
        let Self {
            origin: _,
            role,
            policies,
            service_account,
            retain,
            suspended,
        } = self;
        let policies: BTreeMap<_, _> = policies
            .iter()
            .map(|(name, policy)| {
                let document = policy::canonical(&policy.document);
                (
                    name,
                    PolicySpec {
                        document,
                        ..policy.clone()
                    },
                )
            })
            .collect();
        let role = RoleSpec {
            trust: policy::canonical(&role.trust),
            inline: role
                .inline
                .iter()
                .map(|(name, document)| (name.clone(), policy::canonical(document)))
                .collect(),
            ..role.clone()
        };
        json!({
            "role": role, "policies": policies, "service_account": service_account, "retain": retain,
            "suspended": suspended,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_sha_256_over_sorted_minified_json() {
        let value = json!({ "b": [1, { "d": null, "c": "x" }], "a": "é\n" });
        assert_eq!(
            canonical_text(&value),
            r#"{"a":"é\n","b":[1,{"c":"x","d":null}]}"#
        );
        // sha256 of `{}`
        assert_eq!(
            digest(&json!({})),
            "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
        );
    }

    #[test]
    fn different_values_have_different_texts() {
        let values = [
            json!(1),
            json!("1"),
            json!([1]),
            json!([[1]]),
            json!({ "1": 1 }),
            json!(null),
            json!(""),
        ];
        let texts: std::collections::BTreeSet<_> = values.iter().map(canonical_text).collect();
        assert_eq!(texts.len(), values.len());
    }
}
