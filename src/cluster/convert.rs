//! The API server's JSON to our own words. Pure, and lenient: what is absent or of another type is left out.

use std::{collections::BTreeMap, hash::Hasher};

use k8s_openapi::ByteString;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{FIELD_MANAGER, Lease};
use crate::{
    id::ObjectRef,
    model::{
        client::ClientCredentials,
        facts::{
            AnnotationsFact, ClassFact, EndpointFact, Node, ParametersFact, ParamsFact, SecretFact,
            ServiceFact, ServicePortFact,
        },
        object::{LiveObject, strip_revision},
    },
};

/// What stands for a Secret's values wherever an object could be printed or kept.
pub const MASK: &str = "***";

/// kubectl's copy of the whole object; of a Secret it holds the values too.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// An object as it is kept: without `metadata.managedFields`, a Secret's values masked.
///
/// `None` when it has no name or uid, which the API server never answers.
pub fn live_object(mut value: Value, api_version: &str, kind: &str) -> Option<LiveObject> {
    let metadata = &value["metadata"];
    let reference = ObjectRef {
        api_version: api_version.to_owned(),
        kind: kind.to_owned(),
        namespace: text(&metadata["namespace"]),
        name: text(&metadata["name"])?,
    };
    let uid = text(&metadata["uid"])?;
    let resource_version = text(&metadata["resourceVersion"]).unwrap_or_default();
    let deleting = metadata["deletionTimestamp"].is_string();
    let managers = managers(&value);
    // Items of a list come without these two.
    value["apiVersion"] = json!(api_version);
    value["kind"] = json!(kind);
    if let Some(metadata) = value
        .pointer_mut("/metadata")
        .and_then(Value::as_object_mut)
    {
        metadata.remove("managedFields");
    }
    mask_secret(&mut value);
    Some(LiveObject {
        reference,
        uid,
        resource_version,
        value,
        managers,
        deleting,
    })
}

/// Field managers that own something outside of subresources: a controller that only writes the status is no owner.
pub fn managers(value: &Value) -> Vec<String> {
    let mut names: Vec<String> = value["metadata"]["managedFields"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(|entry| entry["subresource"].as_str().unwrap_or_default().is_empty())
        .filter_map(|entry| text(&entry["manager"]))
        .collect();
    names.sort();
    names.dedup();
    names
}

/// Whether the last write (status and other subresources apart) was ours. Times have whole seconds: on a tie it is not.
pub fn last_written_by_us(value: &Value) -> bool {
    let mut ours = None;
    let mut others = None;
    for entry in value["metadata"]["managedFields"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(|entry| entry["subresource"].as_str().unwrap_or_default().is_empty())
    {
        let latest = if entry["manager"] == FIELD_MANAGER {
            &mut ours
        } else {
            &mut others
        };
        *latest = (*latest).max(entry["time"].as_str());
    }
    ours.is_some() && ours > others
}

/// Whether values of this object must never be shown or kept.
pub fn is_secret(value: &Value) -> bool {
    value["kind"] == "Secret" && value["apiVersion"].as_str().is_none_or(|it| it == "v1")
}

/// Replaces a Secret's values by [`MASK`]; leaves everything else alone.
pub fn mask_secret(value: &mut Value) {
    if !is_secret(value) {
        return;
    }
    for field in ["data", "stringData"] {
        match value.get_mut(field) {
            None => {}
            Some(Value::Object(map)) => map.values_mut().for_each(|it| *it = json!(MASK)),
            Some(other) => *other = json!(MASK),
        }
    }
    if let Some(annotations) = value.pointer_mut("/metadata/annotations")
        && let Some(copy) = annotations.get_mut(LAST_APPLIED)
    {
        *copy = json!(MASK);
    }
}

/// The OIDC client in a Secret (ingress-model §5.8): `clientID` before `clientId`, spaces behind the id and control
/// characters behind the secret cut off. `Err` names the missing key.
pub fn oidc_client(secret: &Value) -> Result<ClientCredentials, &'static str> {
    let value = |key: &str| -> Option<String> {
        let bytes = ByteString::deserialize(secret.get("data")?.get(key)?).ok()?;
        String::from_utf8(bytes.0).ok()
    };
    let id = value("clientID")
        .or_else(|| value("clientId"))
        .ok_or("clientID")?;
    let secret = value("clientSecret").ok_or("clientSecret")?;
    Ok(ClientCredentials {
        id: id.trim_end().to_owned(),
        secret: secret.trim_end_matches(char::is_control).to_owned(),
    })
}

/// The part of a Node that decides whether it is a target (aws-deploy §4.3).
pub fn node(value: &Value) -> Option<Node> {
    let mut taints: Vec<(String, String)> = value["spec"]["taints"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|taint| Some((text(&taint["key"])?, text(&taint["effect"])?)))
        .collect();
    taints.sort();
    Some(Node {
        name: text(&value["metadata"]["name"])?,
        provider_id: text(&value["spec"]["providerID"]),
        labels: texts(&value["metadata"]["labels"]),
        taints,
        ready: value["status"]["conditions"]
            .as_array()
            .into_iter()
            .flatten()
            .find(|condition| condition["type"] == "Ready")
            .and_then(|condition| text(&condition["status"]))
            .unwrap_or_else(|| "Unknown".to_owned()),
    })
}

/// The pods that slices list, by `namespace/name` of their Service (aws-deploy §4.4): pods only, the first address of
/// each; one that is about to end takes no traffic.
pub fn endpoints(slices: &[Value]) -> BTreeMap<String, Vec<EndpointFact>> {
    let mut found: BTreeMap<String, Vec<EndpointFact>> = BTreeMap::new();
    for slice in slices {
        let metadata = &slice["metadata"];
        let service = metadata["labels"]["kubernetes.io/service-name"].as_str();
        let (Some(namespace), Some(service)) = (metadata["namespace"].as_str(), service) else {
            continue;
        };
        let ports: BTreeMap<String, u16> = slice["ports"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|port| {
                let number = u16::try_from(port["port"].as_u64()?).ok()?;
                Some((text(&port["name"]).unwrap_or_default(), number))
            })
            .collect();
        let pods = slice["endpoints"].as_array().into_iter().flatten();
        let pods = pods
            .filter(|endpoint| endpoint["targetRef"]["kind"] == "Pod")
            .filter_map(|endpoint| {
                let conditions = &endpoint["conditions"];
                Some(EndpointFact {
                    address: text(&endpoint["addresses"][0])?,
                    is_ready: conditions["ready"].as_bool().unwrap_or(true)
                        && conditions["terminating"] != true,
                    node: text(&endpoint["nodeName"]),
                    ports: ports.clone(),
                })
            });
        found
            .entry(format!("{namespace}/{service}"))
            .or_default()
            .extend(pods);
    }
    // The order of slices must not show in a plan.
    for pods in found.values_mut() {
        pods.sort_by(|a, b| (&a.address, &a.ports).cmp(&(&b.address, &b.ports)));
    }
    found
}

/// `namespace/name` and what the API server assigned.
pub fn service(value: &Value) -> Option<(String, ServiceFact)> {
    let key = format!(
        "{}/{}",
        text(&value["metadata"]["namespace"])?,
        text(&value["metadata"]["name"])?
    );
    let spec = &value["spec"];
    let mut fact = ServiceFact {
        uid: text(&value["metadata"]["uid"]),
        ip_families: spec["ipFamilies"]
            .as_array()
            .map(|families| families.iter().filter_map(text).collect()),
        service_type: text(&spec["type"]),
        annotations: AnnotationsFact::new(texts(&value["metadata"]["annotations"])),
        ..ServiceFact::default()
    };
    for port in spec["ports"].as_array().into_iter().flatten() {
        let Some(number) = port["port"].as_i64().and_then(|it| i32::try_from(it).ok()) else {
            continue;
        };
        let node_port = port["nodePort"]
            .as_u64()
            .and_then(|it| u16::try_from(it).ok())
            .filter(|it| *it != 0);
        // A port may be declared for TCP and for UDP; a balancer's targets are on TCP.
        let tcp = port["protocol"].as_str().is_none_or(|it| it == "TCP");
        if tcp || !fact.node_ports.contains_key(&number.to_string()) {
            fact.node_ports.insert(number.to_string(), node_port);
        }
        fact.ports.push(ServicePortFact {
            name: text(&port["name"]),
            port: number,
            target_port: match &port["targetPort"] {
                Value::Null => json!(number),
                target => target.clone(),
            },
        });
    }
    Some((key, fact))
}

/// Name and class. To be the default, the annotation must be exactly `true` (ingress-model §1.1).
pub fn ingress_class(value: &Value) -> Option<(String, ClassFact)> {
    let default = &value["metadata"]["annotations"]["ingressclass.kubernetes.io/is-default-class"];
    let parameters = &value["spec"]["parameters"];
    let class = ClassFact {
        controller: text(&value["spec"]["controller"]).unwrap_or_default(),
        is_default: default == "true",
        parameters: text(&parameters["name"]).map(|name| ParametersFact {
            api_group: text(&parameters["apiGroup"]).unwrap_or_default(),
            kind: text(&parameters["kind"]).unwrap_or_default(),
            name,
        }),
    };
    Some((text(&value["metadata"]["name"])?, class))
}

/// Name and what they say; none at all counts as saying nothing.
pub fn ingress_class_params(value: &Value) -> Option<(String, ParamsFact)> {
    let name = text(&value["metadata"]["name"])?;
    let spec = match &value["spec"] {
        Value::Null => json!({}),
        spec => spec.clone(),
    };
    let params = ParamsFact::new(&name, spec);
    Some((name, params))
}

/// Name and labels.
pub fn namespace(value: &Value) -> Option<(String, BTreeMap<String, String>)> {
    let metadata = &value["metadata"];
    Some((text(&metadata["name"])?, texts(&metadata["labels"])))
}

/// Labels and names of keys; no value leaves this function.
pub fn secret(value: &Value) -> SecretFact {
    SecretFact {
        labels: texts(&value["metadata"]["labels"]),
        keys: value["data"]
            .as_object()
            .into_iter()
            .flat_map(|data| data.keys().cloned())
            .collect(),
        resource_version: text(&value["metadata"]["resourceVersion"]),
    }
}

pub fn lease(value: &Value) -> Option<Lease> {
    let spec = &value["spec"];
    Some(Lease {
        namespace: text(&value["metadata"]["namespace"])?,
        name: text(&value["metadata"]["name"])?,
        holder: text(&spec["holderIdentity"]).filter(|holder| !holder.is_empty()),
        renewed_at: text(&spec["renewTime"]),
        duration_seconds: spec["leaseDurationSeconds"]
            .as_i64()
            .and_then(|it| i32::try_from(it).ok())
            .unwrap_or_default(),
    })
}

/// A number that changes when something changes that bears on us: heartbeats, other controllers' status and our own
/// revision annotations do not. Of Nodes only what decides whether they are targets counts.
pub fn fingerprint(value: &Value, kind: &str) -> u64 {
    let part = match kind {
        "Node" => serde_json::to_value(node(value)).unwrap_or_default(),
        "EndpointSlice" => {
            serde_json::to_value(endpoints(std::slice::from_ref(value))).unwrap_or_default()
        }
        _ => {
            let metadata = &value["metadata"];
            let mut stripped = json!({"metadata": {"annotations": metadata["annotations"]}});
            strip_revision(&mut stripped);
            // An Ingress' status is ours to write: changed by hand it must come back.
            let status = match kind {
                "Ingress" => value["status"].clone(),
                _ => Value::Null,
            };
            json!([
                metadata["uid"],
                metadata["labels"],
                stripped["metadata"]["annotations"],
                metadata["finalizers"],
                metadata["deletionTimestamp"],
                value["spec"],
                value["imagePullSecrets"],
                value["automountServiceAccountToken"],
                status,
            ])
        }
    };
    // Only ever compared within one process.
    let mut hasher = std::hash::DefaultHasher::new();
    hasher.write(part.to_string().as_bytes());
    hasher.finish()
}

fn text(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned)
}

fn texts(value: &Value) -> BTreeMap<String, String> {
    value
        .as_object()
        .into_iter()
        .flatten()
        .filter_map(|(key, value)| Some((key.clone(), text(value)?)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secrets_values_never_leave_in_a_live_object() {
        let live = live_object(
            json!({
                "metadata": {"name": "s", "namespace": "a", "uid": "u", "annotations": {LAST_APPLIED: "canary"}},
                "data": {"password": "canary"},
            }),
            "v1",
            "Secret",
        );
        let live = live.map(|it| it.value);
        assert_eq!(
            live.as_ref().map(|it| &it["data"]["password"]),
            Some(&json!(MASK))
        );
        assert!(!format!("{live:?}").contains("canary"));
    }

    #[test]
    fn a_secret_without_values_gets_none() {
        let mut secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}});
        let before = secret.clone();
        mask_secret(&mut secret);
        assert_eq!(secret, before);
    }

    #[test]
    fn a_controller_that_writes_only_the_status_is_no_manager() {
        let value = json!({"metadata": {"managedFields": [
            {"manager": "albsync", "operation": "Apply"},
            {"manager": "kube-controller-manager", "operation": "Update", "subresource": "status"},
            {"manager": "kubectl-edit", "operation": "Update"},
            {"manager": "kubectl-edit", "operation": "Update"},
        ]}});
        assert_eq!(managers(&value), ["albsync", "kubectl-edit"]);
    }

    #[test]
    fn the_latest_writer_is_ours_only_when_strictly_later() {
        let at = |ours: &str, other: &str| {
            json!({"metadata": {"managedFields": [
                {"manager": "albsync", "time": ours},
                {"manager": "kubectl-edit", "time": other},
                {"manager": "albsync", "time": "2027-01-01T00:00:00Z", "subresource": "status"},
            ]}})
        };
        let (early, late) = ("2026-01-01T00:00:00Z", "2026-01-01T00:00:01Z");
        assert!(last_written_by_us(&at(late, early)));
        assert!(!last_written_by_us(&at(early, late)));
        assert!(!last_written_by_us(&at(late, late)));
        assert!(!last_written_by_us(&json!({"metadata": {}})));
    }

    #[test]
    fn a_node_without_conditions_is_unknown() {
        let node = node(&json!({"metadata": {"name": "n"}, "spec": {
            "providerID": "aws:///eu-west-1a/i-1", "taints": [{"key": "b", "effect": "NoSchedule"}, {"key": "a", "effect": "NoExecute"}],
        }}));
        let node = node.map(|it| (it.ready, it.provider_id, it.taints));
        assert_eq!(
            node,
            Some((
                "Unknown".to_owned(),
                Some("aws:///eu-west-1a/i-1".to_owned()),
                vec![
                    ("a".to_owned(), "NoExecute".to_owned()),
                    ("b".to_owned(), "NoSchedule".to_owned())
                ],
            ))
        );
    }

    #[test]
    fn node_ports_are_those_of_tcp() {
        let found = service(&json!({
            "metadata": {"name": "s", "namespace": "a", "uid": "u"},
            "spec": {"type": "NodePort", "ipFamilies": ["IPv4"], "ports": [
                {"name": "dns", "port": 53, "protocol": "TCP", "nodePort": 30001, "targetPort": "dns"},
                {"name": "dns-udp", "port": 53, "protocol": "UDP", "nodePort": 30002},
                {"port": 80, "protocol": "TCP"},
            ]},
        }));
        let Some((key, fact)) = found else {
            panic!("not read")
        };
        assert_eq!(key, "a/s");
        assert_eq!(fact.node_ports["53"], Some(30001));
        assert_eq!(fact.node_ports["80"], None);
        assert_eq!(fact.ports[0].target_port, json!("dns"));
        assert_eq!(fact.ports[2].target_port, json!(80));
    }

    #[test]
    fn of_a_services_annotations_those_under_our_prefix_are_kept() {
        let read = service(&json!({
            "metadata": {"namespace": "a", "name": "s", "annotations": {
                "alb.ingress.kubernetes.io/target-type": "ip", "example.com/secret": "canary",
            }},
            "spec": {"type": "ClusterIP"},
        }));
        let (_, fact) = read.expect("a Service");
        assert_eq!(
            serde_json::to_value(&fact.annotations).expect("JSON"),
            json!({"alb.ingress.kubernetes.io/target-type": "ip"})
        );
        assert!(fact.annotations.options().is_some());
    }

    #[test]
    fn a_class_tells_its_parameters() {
        let class = ingress_class(&json!({
            "metadata": {"name": "aws"},
            "spec": {"controller": "c", "parameters": {"apiGroup": "g", "kind": "k", "name": "n"}},
        }));
        let parameters = class.and_then(|(_, class)| class.parameters);
        let parameters = parameters.map(|it| (it.api_group, it.kind, it.name));
        assert_eq!(
            parameters,
            Some(("g".to_owned(), "k".to_owned(), "n".to_owned()))
        );
        let params = ingress_class_params(&json!({"metadata": {"name": "n"}}));
        assert!(params.is_some_and(|(_, params)| params.read.is_ok()));
    }

    #[test]
    fn endpoints_are_ready_pods_by_service_in_one_order() {
        let pod = |address: &str, conditions: Value| {
            json!({"addresses": [address, "10.9.9.9"], "conditions": conditions,
                "nodeName": "n", "targetRef": {"kind": "Pod"}})
        };
        let slice = |pods: Vec<Value>| {
            json!({
                "metadata": {"namespace": "a", "labels": {"kubernetes.io/service-name": "s"}},
                "ports": [{"name": "http", "port": 8080}, {"port": 9090}, {"name": "any"}],
                "endpoints": pods,
            })
        };
        let slices = [
            slice(vec![
                pod("10.0.0.3", json!({})),
                pod("10.0.0.2", json!({"ready": false})),
            ]),
            slice(vec![
                pod("10.0.0.1", json!({"ready": true, "terminating": true})),
                json!({"addresses": ["10.0.0.9"], "targetRef": {"kind": "Node"}}),
                json!({"addresses": ["10.0.0.8"]}),
            ]),
            json!({"metadata": {"namespace": "a"}, "endpoints": [pod("10.0.0.7", json!({}))]}),
        ];
        let found = endpoints(&slices);
        assert_eq!(found.keys().collect::<Vec<_>>(), ["a/s"]);
        let pods = &found["a/s"];
        let seen: Vec<_> = pods
            .iter()
            .map(|pod| (pod.address.as_str(), pod.is_ready))
            .collect();
        let wanted = [("10.0.0.1", false), ("10.0.0.2", false), ("10.0.0.3", true)];
        assert_eq!(seen, wanted, "one that nobody asked counts as ready");
        let ports = BTreeMap::from([("http".to_owned(), 8080), (String::new(), 9090)]);
        assert!(pods.iter().all(|pod| pod.ports == ports));
    }

    #[test]
    fn a_clients_id_and_secret_are_told_apart_and_line_ends_are_cut() {
        let of = |data: Value| oidc_client(&json!({"data": data}));
        // "id\n" and "se cret\n", as a Secret holds them.
        let read = of(json!({"clientID": "aWQK", "clientSecret": "c2UgY3JldAo="}));
        assert_eq!(
            read.map(|it| (it.id, it.secret)),
            Ok(("id".to_owned(), "se cret".to_owned()))
        );
        let older = of(json!({"clientId": "aWQ=", "clientSecret": "eA=="}));
        assert_eq!(older.map(|it| it.id), Ok("id".to_owned()));
        let both = of(json!({"clientID": "YQ==", "clientId": "Yg==", "clientSecret": "eA=="}));
        assert_eq!(both.map(|it| it.id), Ok("a".to_owned()));
        assert_eq!(of(json!({"clientSecret": "eA=="})).err(), Some("clientID"));
        assert_eq!(of(json!({"clientID": "YQ=="})).err(), Some("clientSecret"));
        // Not text, and not base 64.
        assert_eq!(
            of(json!({"clientID": "/w==", "clientSecret": "eA=="})).err(),
            Some("clientID")
        );
        assert_eq!(
            of(json!({"clientID": "?", "clientSecret": "eA=="})).err(),
            Some("clientID")
        );
        assert_eq!(oidc_client(&json!({})).err(), Some("clientID"));
    }

    #[test]
    fn only_exactly_true_makes_a_default_class() {
        for (text, default) in [("true", true), ("True", false), ("", false)] {
            let class = ingress_class(&json!({
                "metadata": {"name": "aws", "annotations": {"ingressclass.kubernetes.io/is-default-class": text}},
                "spec": {"controller": "ingress.k8s.aws/alb"},
            }));
            let want = ClassFact {
                controller: "ingress.k8s.aws/alb".to_owned(),
                is_default: default,
                parameters: None,
            };
            assert_eq!(class, Some(("aws".to_owned(), want)));
        }
    }

    #[test]
    fn a_released_lease_has_no_holder() {
        let released = lease(&json!({
            "metadata": {"name": "l", "namespace": "kube-system"},
            "spec": {"holderIdentity": "", "leaseDurationSeconds": 1, "renewTime": "2026-01-01T00:00:00.000000Z"},
        }));
        assert_eq!(released.and_then(|it| it.holder), None);
    }

    #[test]
    fn heartbeats_do_not_change_a_nodes_fingerprint() {
        let at = |time: &str, ready: &str| {
            json!({"metadata": {"name": "n", "resourceVersion": time}, "status": {"conditions": [
                {"type": "Ready", "status": ready, "lastHeartbeatTime": time},
            ]}})
        };
        let base = fingerprint(&at("1", "True"), "Node");
        assert_eq!(base, fingerprint(&at("2", "True"), "Node"));
        assert_ne!(base, fingerprint(&at("1", "Unknown"), "Node"));
    }

    #[test]
    fn our_revision_annotations_do_not_change_a_fingerprint() {
        let plain = json!({"metadata": {"name": "i"}});
        let sent = json!({"metadata": {"name": "i", "annotations": {"albsync.dev/revision": "1"}}});
        let other = json!({"metadata": {"name": "i", "annotations": {"other": "1"}}});
        let print = |value: &Value| fingerprint(value, "Ingress");
        assert_eq!(print(&plain), print(&sent));
        assert_ne!(print(&plain), print(&other));
    }

    #[test]
    fn a_status_changed_by_hand_changes_an_ingress_but_not_a_service() {
        let at = |host: &str| json!({"metadata": {"name": "i"}, "status": {"loadBalancer": {"ingress": [{"hostname": host}]}}});
        assert_ne!(
            fingerprint(&at("a"), "Ingress"),
            fingerprint(&at("b"), "Ingress")
        );
        assert_eq!(
            fingerprint(&at("a"), "Service"),
            fingerprint(&at("b"), "Service")
        );
    }
}
