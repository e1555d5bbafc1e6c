//! The state of account and cluster, in a form in which what means the same is the same.

use std::collections::BTreeMap;

use albsync::{
    aws::fake::State,
    cluster::fake::FakeCluster,
    id::{ObjectKey, ObjectRef},
    model::{
        attribute::{AttributeKind, default_of},
        object::REVISION_ANNOTATIONS,
    },
};
use serde_json::Value;

/// Every id of things that are made, by what carries it.
pub fn identities(aws: &State, cluster: &FakeCluster) -> BTreeMap<String, String> {
    let mut ids = BTreeMap::new();
    for (arn, it) in &aws.load_balancers {
        ids.insert(format!("load balancer {}", it.name), arn.to_string());
    }
    for (arn, it) in &aws.target_groups {
        ids.insert(format!("target group {}", it.name), arn.to_string());
    }
    for (arn, it) in &aws.listeners {
        let balancer = &aws.load_balancers[&it.load_balancer].name;
        ids.insert(format!("listener {balancer} {}", it.port), arn.to_string());
    }
    for (id, it) in &aws.security_groups {
        ids.insert(format!("security group {}", it.name), id.to_string());
    }
    for (name, it) in &aws.roles {
        ids.insert(format!("role {name}"), it.role_id.clone());
    }
    for arn in aws.policies.keys().chain(aws.providers.keys()) {
        ids.insert(arn.to_string(), arn.to_string());
    }
    for (arn, it) in &aws.rules {
        let conditions = format!("{:?}", it.conditions);
        ids.insert(format!("rule {conditions}"), arn.to_string());
    }
    for (key, value) in objects(cluster) {
        let uid = value["metadata"]["uid"].as_str().unwrap_or_default();
        ids.insert(key.to_string(), uid.to_owned());
    }
    ids
}

/// Everything, one thing after the other: ids of things as what they are called, numbers of rules as their order,
/// attributes without those that are AWS's default, objects without versions and our notes of the commit.
pub fn dump(aws: &State, cluster: &FakeCluster) -> String {
    let mut names: Vec<(String, String)> = identities(aws, cluster)
        .into_iter()
        .map(|(name, id)| (id, format!("<{name}>")))
        .collect();
    for it in aws.load_balancers.values() {
        names.push((
            it.dns_name.to_lowercase(),
            format!("<address of {}>", it.name),
        ));
        names.push((it.dns_name.clone(), format!("<address of {}>", it.name)));
    }
    names.sort_by_key(|(id, _)| std::cmp::Reverse(id.len()));

    let mut things: Vec<String> = Vec::new();
    for it in aws.load_balancers.values() {
        let mut it = it.clone();
        it.attributes
            .retain(|key, value| default_of(AttributeKind::LoadBalancer, key) != Some(value));
        things.push(format!("{it:#?}"));
    }
    for it in aws.target_groups.values() {
        let mut it = it.clone();
        it.attributes
            .retain(|key, value| default_of(AttributeKind::TargetGroup, key) != Some(value));
        things.push(format!("{it:#?}"));
    }
    things.extend(aws.listeners.values().map(|it| format!("{it:#?}")));
    things.extend(aws.rules.values().map(|it| {
        let mut it = it.clone();
        let earlier = aws
            .rules
            .values()
            .filter(|other| other.listener == it.listener && other.priority < it.priority);
        it.priority = earlier.count() as u32;
        format!("{it:#?}")
    }));
    things.extend(aws.security_groups.values().map(|it| format!("{it:#?}")));
    things.extend(aws.roles.values().map(|it| format!("{it:#?}")));
    things.extend(aws.providers.values().map(|it| format!("{it:#?}")));
    things.extend(aws.policies.values().map(|it| {
        let mut it = it.clone();
        it.versions.clear();
        it.default_version.clear();
        format!("{it:#?}")
    }));
    things.extend(objects(cluster).into_iter().map(|(key, mut value)| {
        plain(&mut value);
        format!("{key} {value:#}")
    }));
    for thing in &mut things {
        for (id, name) in &names {
            if !id.is_empty() {
                *thing = thing.replace(id.as_str(), name);
            }
        }
    }
    things.sort();
    things.join("\n")
}

fn objects(cluster: &FakeCluster) -> Vec<(ObjectKey, Value)> {
    let keys = cluster.objects().into_iter();
    keys.filter_map(|key| {
        let api_version = if key.group.is_empty() {
            "v1".to_owned()
        } else {
            format!("{}/v1", key.group)
        };
        let reference = ObjectRef {
            api_version,
            kind: key.kind.clone(),
            namespace: key.namespace.clone(),
            name: key.name.clone(),
        };
        Some((key, cluster.object(&reference)?))
    })
    .collect()
}

/// Leaves out what every write changes.
fn plain(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            for key in ["resourceVersion", "uid"]
                .iter()
                .chain(&REVISION_ANNOTATIONS)
            {
                fields.remove(*key);
            }
            fields.values_mut().for_each(plain);
        }
        Value::Array(items) => items.iter_mut().for_each(plain),
        _ => {}
    }
}
