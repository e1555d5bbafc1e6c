//! What the API server makes of documents before any controller sees them (ingress-model.md §15.7): the model is built
//! from what would be stored, not from what is written.
//!
//! Not here: defaults that change nothing for the model, and what the cluster allocates (uid, node ports, most address
//! families), which facts say.

use std::collections::{BTreeMap, BTreeSet};

use super::{IngressClass, field::Field, ingress::PortRef};

/// A port's `targetPort` is its `port` (k8s `SetDefaults_Service`).
pub(super) fn target_port(written: Option<PortRef>, port: i32) -> PortRef {
    written.unwrap_or(PortRef::Number(port))
}

/// A port's protocol is TCP (k8s `SetDefaults_Service`).
pub(super) const PROTOCOL: &str = "TCP";

/// A Service's address families, where the document decides them (k8s `pkg/registry/core/service/storage/alloc.go`):
/// those that it lists, and both for headless ones without selector unless they ask for one. Everything else follows the
/// cluster.
pub(super) fn ip_families(
    listed: Vec<String>,
    policy: Option<&str>,
    service_type: &str,
    is_headless: bool,
    has_selector: bool,
) -> Option<Vec<String>> {
    if service_type == "ExternalName" {
        return None;
    }
    let mut families = listed;
    if is_headless && !has_selector && policy != Some("SingleStack") {
        for family in ["IPv4", "IPv6"] {
            if !families.iter().any(|given| given == family) {
                families.push(family.to_owned());
            }
        }
    }
    (!families.is_empty()).then_some(families)
}

/// Names of a Secret's keys: `stringData` is merged into `data` (k8s `strategy.go` of secrets). Never their values.
pub(super) fn secret_keys(secret: &Field<'_>) -> BTreeSet<String> {
    ["data", "stringData"]
        .iter()
        .filter_map(|key| secret.get(key))
        .flat_map(|map| {
            map.entries()
                .map(|(key, _, _)| key.to_owned())
                .collect::<Vec<_>>()
        })
        .collect()
}

/// A Namespace is labelled with its name (k8s `SetDefaults_Namespace`).
pub(super) fn namespace_labels(
    name: &str,
    mut labels: BTreeMap<String, String>,
) -> BTreeMap<String, String> {
    labels.insert("kubernetes.io/metadata.name".to_owned(), name.to_owned());
    labels
}

/// The class that an Ingress without class and class annotation gets when it is created (admission plugin
/// `DefaultIngressClass`). Of several, which only strict checks refuse, that plugin takes the newest, and those of one apply
/// are of one age: then the first by name.
pub fn default_class<'a>(
    classes: impl IntoIterator<Item = &'a IngressClass>,
) -> Option<&'a IngressClass> {
    classes
        .into_iter()
        .filter(|class| class.is_default)
        .min_by(|a, b| a.name.cmp(&b.name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headless_services_without_selector_have_both_families() {
        let families = |listed: &[&str], policy, headless, selector| {
            let listed = listed.iter().map(|family| (*family).to_owned()).collect();
            ip_families(listed, policy, "ClusterIP", headless, selector)
        };
        let both = Some(vec!["IPv4".to_owned(), "IPv6".to_owned()]);
        assert_eq!(families(&[], None, true, false), both);
        assert_eq!(
            families(&["IPv4"], Some("PreferDualStack"), true, false),
            both
        );
        assert_eq!(families(&[], Some("SingleStack"), true, false), None);
        assert_eq!(families(&[], None, true, true), None);
        assert_eq!(families(&[], None, false, false), None);
        assert_eq!(
            families(&["IPv6"], None, false, true),
            Some(vec!["IPv6".to_owned()])
        );
        assert_eq!(
            ip_families(Vec::new(), None, "ExternalName", true, false),
            None
        );
    }
}
