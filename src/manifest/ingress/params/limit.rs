//! What ELBv2, EC2 and WAF refuse of values that LBC takes unchecked: the limits of the annotations that the fields stand
//! for (aws-deploy.md §10.2).

use crate::{
    manifest::{
        annotation::{
            attribute::{self, Checked},
            bad_tag,
            limit::load_balancer_name,
        },
        field::{Field, Report},
    },
    problem::codes,
};

/// A check of a text, and what it expects.
type Limit = (&'static str, fn(&str) -> bool, &'static str);

const TEXTS: &[Limit] = &[
    (
        "loadBalancerName",
        load_balancer_name,
        "it has 1 to 32 letters, digits and inner `-`, and does not begin with `internal-`",
    ),
    (
        "sslPolicy",
        |text| text.is_empty() || text.starts_with("ELBSecurityPolicy-"),
        "names of policies begin with `ELBSecurityPolicy-`",
    ),
    (
        "wafv2AclArn",
        |text| matches!(text, "" | "none") || text.starts_with("arn:"),
        "it is an ARN, or none",
    ),
];

const ITEMS: &[Limit] = &[
    (
        "certificateArn",
        |text| text.starts_with("arn:"),
        "ARNs of certificates begin with `arn:`",
    ),
    (
        "prefixListsIDs",
        |text| text.starts_with("pl-"),
        "ids of prefix lists begin with `pl-`",
    ),
    (
        "PrefixListsIDs",
        |text| text.starts_with("pl-"),
        "ids of prefix lists begin with `pl-`",
    ),
];

pub(super) fn check(spec: &Field<'_>, report: &mut Report) {
    for (key, is_fine, expected) in TEXTS {
        // An empty name is no name.
        let text = spec.get(key);
        let text = text.filter(|text| text.value().as_str().is_some_and(|it| !it.is_empty()));
        text_within(text, *is_fine, expected, report);
    }
    for (key, is_fine, expected) in ITEMS {
        for item in items(spec, key) {
            text_within(Some(item), *is_fine, expected, report);
        }
    }
    for item in items(spec, "tags") {
        let Some((key, value)) = pair(&item) else {
            continue;
        };
        if let Some((message, hint)) = bad_tag(key, value) {
            let message = format!("in {}, {message}", item.path);
            report.hinted(codes::BAD_TAG, item.origin(), message, hint);
        }
    }
    attributes(
        spec,
        "loadBalancerAttributes",
        attribute::check_load_balancer,
        report,
    );
    for listener in items(spec, "listeners") {
        attributes(
            &listener,
            "listenerAttributes",
            attribute::check_listener,
            report,
        );
        let protocol = listener.get("protocol");
        let is_protocol = |text: &str| matches!(text, "HTTP" | "HTTPS");
        text_within(protocol, is_protocol, "it is HTTP or HTTPS", report);
        let number = listener.get("port");
        if let Some(number) = number
            && let Some(port) = number.value().as_i64()
            && !(1..=65535).contains(&port)
        {
            let message = format!("{} cannot be {port}", number.path);
            let hint = "ports are from 1 to 65535";
            report.hinted(codes::OUT_OF_RANGE, number.origin(), message, hint);
        }
    }
}

fn items<'a>(parent: &Field<'a>, key: &str) -> Vec<Field<'a>> {
    parent
        .get(key)
        .map(|list| list.items().collect())
        .unwrap_or_default()
}

/// What is no text has been told as such.
fn text_within(
    field: Option<Field<'_>>,
    is_fine: fn(&str) -> bool,
    expected: &str,
    report: &mut Report,
) {
    let Some(field) = field else { return };
    if let Some(text) = field.value().as_str()
        && !is_fine(text)
    {
        let message = format!("{} cannot be \"{text}\"", field.path);
        report.hinted(codes::OUT_OF_RANGE, field.origin(), message, expected);
    }
}

fn pair<'a>(item: &'a Field<'_>) -> Option<(&'a str, &'a str)> {
    let map = item.value();
    Some((map.get("key")?.as_str()?, map.get("value")?.as_str()?))
}

fn attributes(
    parent: &Field<'_>,
    key: &str,
    check: fn(&str, &str) -> Checked,
    report: &mut Report,
) {
    for item in items(parent, key) {
        let Some((key, value)) = pair(&item) else {
            continue;
        };
        if let Err((message, hint)) = check(key, value) {
            let message = format!("in {}, {message}", item.path);
            match hint {
                Some(hint) => report.hinted(codes::BAD_ATTRIBUTE, item.origin(), message, hint),
                None => report.problem(codes::BAD_ATTRIBUTE, item.origin(), message),
            }
        }
    }
}
