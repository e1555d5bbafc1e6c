//! IngressClassParams: what the schema of its CRD allows (ingress-model.md §1.2, §15.1, §15.7).
//!
//! What only LBC's webhook refuses goes beyond its builder and may be lowered.

use std::collections::BTreeMap;

use super::{
    IngressClassParams, IngressClassParamsSpec, LabelSelector, ParamsListener, SubnetSelector,
};
use crate::{
    manifest::{
        Checks,
        annotation::{
            limit::network,
            value::{IpAddressType, Scheme, TargetType},
        },
        document::Metadata,
        field::{Field, Report},
    },
    problem::{Located, Problem, codes},
};

mod limit;
#[cfg(test)]
mod tests;

/// All fields of a spec.
pub const FIELDS: &[&str] = &[
    "loadBalancerName",
    "certificateArn",
    "namespaceSelector",
    "group",
    "scheme",
    "inboundCIDRs",
    "sslPolicy",
    "sslRedirectPort",
    "subnets",
    "ipAddressType",
    "tags",
    "targetType",
    "loadBalancerAttributes",
    "listeners",
    "minimumLoadBalancerCapacity",
    "ipamConfiguration",
    "prefixListsIDs",
    "PrefixListsIDs",
    "wafv2AclArn",
    "wafv2AclName",
];

const INT32: std::ops::RangeInclusive<i64> = i32::MIN as i64..=i32::MAX as i64;

pub(in crate::manifest) fn params(
    field: &Field<'_>,
    metadata: &Metadata,
    report: &mut Report,
) -> IngressClassParams {
    report.fields(field, &["apiVersion", "kind", "metadata", "spec"]);
    IngressClassParams {
        origin: field.origin(),
        name: metadata.name.clone(),
        spec: field
            .get("spec")
            .filter(|spec| report.fields(spec, FIELDS))
            .map(|spec| read(&spec, report))
            .unwrap_or_default(),
    }
}

fn read(spec: &Field<'_>, report: &mut Report) -> IngressClassParamsSpec {
    limit::check(spec, report);
    let group = spec.get("group").and_then(|group| {
        report.fields(&group, &["name"]);
        report.required_text(&group, "name")
    });
    let capacity = spec
        .get("minimumLoadBalancerCapacity")
        .and_then(|capacity| {
            report.fields(&capacity, &["capacityUnits"]);
            report.required(&capacity, "capacityUnits");
            let units = report.integer(&capacity, "capacityUnits", INT32)?;
            Some(Located::new(i32::try_from(units.value).ok()?, units.origin))
        });
    let ipam = spec.get("ipamConfiguration").and_then(|ipam| {
        report.fields(&ipam, &["ipv4IPAMPoolId"]);
        report.text(&ipam, "ipv4IPAMPoolId")
    });
    IngressClassParamsSpec {
        load_balancer_name: report.text(spec, "loadBalancerName"),
        certificate_arns: texts(spec, "certificateArn", report),
        namespace_selector: spec
            .get("namespaceSelector")
            .and_then(|selector| label_selector(&selector, report)),
        group,
        scheme: word(spec, "scheme", Scheme::WORDS, Scheme::from_word, report),
        inbound_cidrs: cidrs(spec, report),
        ssl_policy: report.text(spec, "sslPolicy"),
        ssl_redirect_port: report.text(spec, "sslRedirectPort"),
        subnets: spec
            .get("subnets")
            .and_then(|subnets| subnet_selector(&subnets, report)),
        ip_address_type: word(
            spec,
            "ipAddressType",
            IpAddressType::WORDS,
            IpAddressType::from_word,
            report,
        ),
        tags: pairs(spec, "tags", report),
        target_type: word(
            spec,
            "targetType",
            TargetType::WORDS,
            TargetType::from_word,
            report,
        ),
        load_balancer_attributes: pairs(spec, "loadBalancerAttributes", report),
        listeners: report
            .list(spec, "listeners")
            .iter()
            .filter_map(|listener| self::listener(listener, report))
            .collect(),
        minimum_capacity_units: capacity,
        ipam_ipv4_pool_id: ipam,
        prefix_lists: prefix_lists(spec, report),
        wafv2_acl_arn: report.text(spec, "wafv2AclArn"),
        wafv2_acl_name: report.text(spec, "wafv2AclName"),
    }
}

fn texts(parent: &Field<'_>, key: &str, report: &mut Report) -> Vec<Located<String>> {
    report
        .list(parent, key)
        .iter()
        .filter_map(|item| report.as_text(item))
        .collect()
}

fn word<T: Copy>(
    spec: &Field<'_>,
    key: &str,
    words: &[&'static str],
    from_word: fn(&str) -> Option<T>,
    report: &mut Report,
) -> Option<Located<T>> {
    let words: Vec<(&str, T)> = words
        .iter()
        .filter_map(|word| Some((*word, from_word(word)?)))
        .collect();
    report.one_of(spec, key, &words)
}

/// `[{key, value}]`, both required.
fn pairs(parent: &Field<'_>, key: &str, report: &mut Report) -> Vec<(String, String)> {
    report
        .list(parent, key)
        .iter()
        .filter_map(|item| {
            if !report.fields(item, &["key", "value"]) {
                return None;
            }
            let key = report.required_text(item, "key");
            let value = report.required_text(item, "value");
            Some((key?.value, value?.value))
        })
        .collect()
}

fn listener(field: &Field<'_>, report: &mut Report) -> Option<ParamsListener> {
    if !report.fields(field, &["protocol", "port", "listenerAttributes"]) {
        return None;
    }
    let protocol = report.text(field, "protocol");
    let port = report.integer(field, "port", INT32);
    Some(ParamsListener {
        protocol: protocol.map(|text| text.value).unwrap_or_default(),
        port: port.map(|number| number.value).unwrap_or_default(),
        attributes: pairs(field, "listenerAttributes", report),
    })
}

/// Read as written: that they parse is checked when they are used, and that they have no host bits by LBC's webhook only.
fn cidrs(spec: &Field<'_>, report: &mut Report) -> Vec<Located<String>> {
    let cidrs = texts(spec, "inboundCIDRs", report);
    for (index, cidr) in cidrs.iter().enumerate() {
        if let Some(network) = network(&cidr.value).filter(|network| *network != cidr.value) {
            report.hinted(
                codes::ODD_PARAMS,
                cidr.origin.clone(),
                format!(
                    "spec.inboundCIDRs[{index}] is \"{}\", which has bits behind its length",
                    cidr.value
                ),
                format!("write {network}"),
            );
        }
    }
    cidrs
}

/// The CRD knows two spellings and refuses both at once.
fn prefix_lists(spec: &Field<'_>, report: &mut Report) -> Vec<Located<String>> {
    let lists = texts(spec, "prefixListsIDs", report);
    let older = texts(spec, "PrefixListsIDs", report);
    if spec.get("prefixListsIDs").is_some() && spec.get("PrefixListsIDs").is_some() {
        report.add(
            Problem::new(
                codes::BAD_VALUE,
                spec.node.key_origin("PrefixListsIDs"),
                "spec has both prefixListsIDs and PrefixListsIDs",
            )
            .hint("keep prefixListsIDs")
            .also(spec.node.key_origin("prefixListsIDs")),
        );
    }
    if lists.is_empty() { older } else { lists }
}

/// A tag whose values are null is none with LBC's checks: the API server prunes it, as every null that a CRD's schema does
/// not provide for. The strict checks refuse it, for without the tag more subnets are selected.
fn subnet_selector(field: &Field<'_>, report: &mut Report) -> Option<Located<SubnetSelector>> {
    if !report.fields(field, &["ids", "tags"]) {
        return None;
    }
    let is_id = |id: &str| {
        id.strip_prefix("subnet-").is_some_and(|hex| {
            !hex.is_empty()
                && hex
                    .bytes()
                    .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
        })
    };
    let ids = field.get("ids").map(|list| {
        let ids = texts(field, "ids", report);
        if ids.is_empty() && list.value().is_array() {
            at_least_one(&list, report);
        }
        for id in ids.iter().filter(|id| !is_id(&id.value)) {
            report.hinted(
                codes::BAD_VALUE,
                id.origin.clone(),
                format!("{} cannot hold \"{}\"", list.path, id.value),
                "ids are `subnet-` and hexadecimal digits",
            );
        }
        ids.into_iter().map(|id| id.value).collect()
    });
    let mut tags = field
        .get("tags")
        .filter(|tags| report.is_map(tags))
        .map(|tags| {
            tags.entries()
                .filter_map(|(key, _, values)| {
                    if values.value().is_null() {
                        if report.checks == Checks::Lbc {
                            return None;
                        }
                        report.wrong_type(&values, "a list");
                    }
                    let values = texts(&tags, key, report);
                    let values = values.into_iter().map(|value| value.value).collect();
                    Some((key.to_owned(), values))
                })
                .collect::<BTreeMap<String, Vec<String>>>()
        });
    webhook_subnets(field, ids.as_deref(), tags.as_ref(), report);
    // What was refused is not looked for.
    if let Some(tags) = &mut tags {
        tags.retain(|key, _| !field.value()["tags"][key].is_null());
    }
    Some(Located::new(SubnetSelector { ids, tags }, field.origin()))
}

fn at_least_one(list: &Field<'_>, report: &mut Report) {
    report.hinted(
        codes::BAD_VALUE,
        list.origin(),
        format!("{} is empty", list.path),
        "it holds at least one",
    );
}

/// What LBC's webhook refuses and its builder takes (ingress-model.md §1.2).
fn webhook_subnets(
    field: &Field<'_>,
    ids: Option<&[String]>,
    tags: Option<&BTreeMap<String, Vec<String>>>,
    report: &mut Report,
) {
    let mut odd = |message: String, hint: &str| {
        report.hinted(codes::ODD_PARAMS, field.origin(), message, hint);
    };
    let path = &field.path;
    match (ids, tags) {
        (Some(_), Some(_)) => odd(format!("{path} has ids and tags"), "keep one of them"),
        (None, None) => odd(
            format!("{path} is empty and selects every subnet"),
            "write ids or tags, or leave it out",
        ),
        (None, Some(tags)) if tags.is_empty() => odd(
            format!("{path}.tags is empty and selects every subnet"),
            "write a tag, or leave it out",
        ),
        _ => {}
    }
    let twice = |list: &[String]| {
        let mut seen = std::collections::BTreeSet::new();
        list.iter().find(|item| !seen.insert(*item)).cloned()
    };
    if let Some(id) = ids.and_then(twice) {
        odd(format!("{path}.ids names {id} twice"), "keep one of them");
    }
    for (key, values) in tags.into_iter().flatten() {
        if let Some(value) = twice(values) {
            odd(
                format!("{path}.tags.{key} names \"{value}\" twice"),
                "keep one of them",
            );
        }
    }
}

/// Operators are not checked here: the CRD takes any, and a class with an unknown one is invalid (§15.1).
fn label_selector(field: &Field<'_>, report: &mut Report) -> Option<Located<LabelSelector>> {
    if !report.fields(field, &["matchLabels", "matchExpressions"]) {
        return None;
    }
    // With LBC's checks, as the API server stores it: of a CRD's nulls nothing is left.
    let is_pruned = |key: &str| field.value()["matchLabels"][key].is_null();
    let match_labels = report
        .text_map(field, "matchLabels")
        .into_iter()
        .filter(|(key, _)| !is_pruned(key))
        .map(|(key, (_, value))| (key, value.value))
        .collect();
    let match_expressions = report
        .list(field, "matchExpressions")
        .iter()
        .filter_map(|expression| {
            if !report.fields(expression, &["key", "operator", "values"]) {
                return None;
            }
            let key = report.required_text(expression, "key");
            let operator = report.required_text(expression, "operator");
            let values = texts(expression, "values", report);
            let values = values.into_iter().map(|value| value.value).collect();
            Some((key?.value, operator?.value, values))
        })
        .collect();
    let selector = LabelSelector {
        match_labels,
        match_expressions,
    };
    Some(Located::new(selector, field.origin()))
}
