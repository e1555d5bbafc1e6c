//! Every key of the configuration's part `ingress` does something, and its bad values are told.

use std::collections::BTreeSet;

use super::*;

/// The part that shapes the model.
const SECTION: &str = "ingress";

/// The keys of that part with their defaults, as the configuration itself has them; a list or map is one key.
fn keys() -> Vec<(String, Value)> {
    let defaults = serde_json::to_value(Config::default()).expect("JSON");
    let mut keys = Vec::new();
    collect(SECTION, &defaults[SECTION], &mut keys);
    keys
}

fn collect(key: &str, value: &Value, keys: &mut Vec<(String, Value)>) {
    match value {
        Value::Object(map) if !map.is_empty() => {
            for (name, value) in map {
                collect(&format!("{key}.{name}"), value, keys);
            }
        }
        value => keys.push((key.to_owned(), value.clone())),
    }
}

/// A default as a flag would say it.
fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Bool(flag) => flag.to_string(),
        Value::Array(items) if items.is_empty() => String::new(),
        Value::Object(map) if map.is_empty() => String::new(),
        other => panic!("no text for the default {other}"),
    }
}

fn sets(case: &Case, key: &str) -> bool {
    let name = key.rsplit('.').next().expect("a name");
    case.given.iter().any(|line| {
        line.strip_prefix("config ").is_some_and(|line| {
            line.contains(&format!("{{{name}: ")) || line.contains(&format!(", {name}: "))
        })
    })
}

#[test]
fn every_key_changes_what_is_built_or_told_and_has_a_bad_value() {
    let keys = keys();
    assert!(keys.len() > 20, "{keys:?}");
    let tables = tables();
    let cases: Vec<&Case> = tables.iter().flat_map(|table| &table.cases).collect();
    let mut missing = Vec::new();
    for (key, default) in &keys {
        let about = || cases.iter().copied().filter(|case| sets(case, key));
        let back = Overrides::new().set(key, "--default", Some(text(default)));
        let differs = |case: &Case| {
            let given = Given::of(case).expect("a case");
            let with = |overrides: &Overrides| given.outcome(overrides).expect("an outcome");
            let is_configured = |told: &[String]| told.iter().any(|it| it.contains("[config-"));
            let outcome = with(&Overrides::new());
            !is_configured(&outcome.told) && outcome != with(&back)
        };
        if !about().any(differs) {
            missing.push(format!("{key}: no case differs from its default"));
        }
        let is_refused = |case: &Case| {
            case.told
                .iter()
                .any(|line| line.starts_with("config.yaml:") && line.contains(&format!(": {key} ")))
        };
        if !about().any(is_refused) {
            missing.push(format!("{key}: no bad value"));
        }
    }
    assert!(missing.is_empty(), "{}", missing.join("\n"));
}

/// LBC's flags and gates that alter the model with LBC's defaults (ingress-model §9), by the keys that they have here.
/// What names cluster, class and tags stands elsewhere in the configuration or is required.
const OF_LBC: &[(&str, &str)] = &[
    ("ingress.class", "alb"),
    ("ingress.watchNamespace", ""),
    ("ingress.defaultTags", ""),
    ("ingress.externalManagedTags", ""),
    ("ingress.defaultTargetType", "instance"),
    ("ingress.defaultScheme", "internal"),
    ("ingress.defaultSslPolicy", "ELBSecurityPolicy-2016-08"),
    ("ingress.enableBackendSecurityGroup", "true"),
    ("ingress.backendSecurityGroup", ""),
    ("ingress.enableManageBackendSecurityGroupRules", "false"),
    ("ingress.disableRestrictedSgRules", "false"),
    ("ingress.tolerateNonExistentBackendService", "true"),
    ("ingress.tolerateNonExistentBackendAction", "true"),
    ("ingress.allowedCertificateAuthorityArns", ""),
    ("ingress.defaultPcaArn", ""),
    ("ingress.requiredSecretsLabel", ""),
    ("ingress.serviceTargetEniSecurityGroupTags", ""),
    ("ingress.featureGates.ListenerRulesTagging", "true"),
    ("ingress.featureGates.WeightedTargetGroups", "true"),
    ("ingress.featureGates.EnableIPTargetType", "true"),
    ("ingress.featureGates.EndpointsFailOpen", "true"),
    ("ingress.featureGates.SubnetsClusterTagCheck", "true"),
    ("ingress.featureGates.SubnetDiscoveryByReachability", "true"),
    ("ingress.featureGates.ALBSingleSubnet", "false"),
    ("ingress.featureGates.LBCapacityReservation", "true"),
    ("ingress.featureGates.EnableDefaultTagsLowPriority", "false"),
    ("ingress.featureGates.EnableCertificateManagement", "false"),
    ("ingress.featureGates.EnhancedDefaultBehavior", "false"),
];

#[test]
fn flags_and_gates_have_the_defaults_of_lbc() {
    let found: BTreeSet<(String, String)> = keys()
        .into_iter()
        // Ours alone.
        .filter(|(key, _)| key != "ingress.ownerTag")
        .map(|(key, default)| (key, text(&default)))
        .collect();
    let wanted: BTreeSet<(String, String)> = OF_LBC
        .iter()
        .map(|(key, default)| ((*key).to_owned(), (*default).to_owned()))
        .collect();
    assert_eq!(found, wanted);
}
