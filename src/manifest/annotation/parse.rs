//! The parsers of the annotations that are served, in the order of the table.

use std::collections::BTreeMap;

use super::{Given, IngressOptions, Scheme, Setting, TargetType, attribute, grammar::string_map};
use crate::{manifest::field::Report, problem::codes};

/// AWS's limit of fifty, less the tracking tags that every resource gets.
const MAX_TAGS: usize = 47;

pub(super) fn scheme(given: &Given, options: &mut IngressOptions, report: &mut Report) {
    let value = match given.value.value.as_str() {
        "internal" => Scheme::Internal,
        "internet-facing" => Scheme::InternetFacing,
        _ => return bad(given, "it is internal or internet-facing", report),
    };
    options.load_balancer.scheme = Some(located(given, value));
}

pub(super) fn load_balancer_attributes(
    given: &Given,
    options: &mut IngressOptions,
    report: &mut Report,
) {
    let Some(map) = map(given, report) else {
        return;
    };
    for (key, value) in &map {
        if let Err((message, hint)) = attribute::check_load_balancer(key, value) {
            let mut problem = crate::problem::Problem::new(
                codes::BAD_ATTRIBUTE,
                given.value.origin.clone(),
                message,
            );
            problem.hint = hint;
            report.add(problem);
        }
    }
    for log in ["access_logs", "connection_logs", "health_check_logs"] {
        let of = |key: &str| map.get(&format!("{log}.s3.{key}")).map(String::as_str);
        if of("enabled") == Some("true") && of("bucket").is_none_or(str::is_empty) {
            report.hinted(
                codes::BAD_ATTRIBUTE,
                given.value.origin.clone(),
                format!("{log}.s3.enabled needs a bucket"),
                format!("add {log}.s3.bucket"),
            );
        }
    }
    options.load_balancer.attributes = Some(located(given, map));
}

pub(super) fn tags(given: &Given, options: &mut IngressOptions, report: &mut Report) {
    let Some(map) = map(given, report) else {
        return;
    };
    for (key, value) in &map {
        if let Some((message, hint)) = bad_tag(key, value) {
            report.hinted(codes::BAD_TAG, given.value.origin.clone(), message, hint);
        }
    }
    if map.len() > MAX_TAGS {
        report.problem(
            codes::BAD_TAG,
            given.value.origin.clone(),
            format!(
                "{} tags are more than the {MAX_TAGS} that fit beside ours",
                map.len()
            ),
        );
    }
    options.tags = Some(located(given, map));
}

pub(super) fn target_type(given: &Given, options: &mut IngressOptions, report: &mut Report) {
    match given.value.value.as_str() {
        "instance" => {
            options.target_group.target_type = Some(located(given, TargetType::Instance));
        }
        "ip" => {
            let what = format!("the annotation {} with the value ip", given.key);
            report.not_served(given.value.origin.clone(), &what);
        }
        _ => bad(given, "it is instance (ip is not served yet)", report),
    }
}

pub(super) fn healthcheck_path(given: &Given, options: &mut IngressOptions, report: &mut Report) {
    let value = &given.value.value;
    let fine = value.starts_with('/')
        && value.len() <= 1024
        && value.bytes().all(|byte| byte.is_ascii_graphic());
    if !fine {
        report.hinted(
            codes::ODD_ANNOTATION,
            given.value.origin.clone(),
            format!("the annotation {} cannot be \"{value}\"", given.key),
            "it is a path that begins with `/`, up to 1024 characters without blanks",
        );
    }
    options.target_group.health_check_path = Some(located(given, value.clone()));
}

/// What is wrong with a tag and what was expected (aws-deploy.md §10.2).
pub(crate) fn bad_tag(key: &str, value: &str) -> Option<(String, String)> {
    let is_tag_char = |c: char| c.is_alphanumeric() || " _.:/=+-@".contains(c);
    if key.to_ascii_lowercase().starts_with("aws:") {
        return Some((
            format!("the tag key \"{key}\" belongs to AWS"),
            "keys do not begin with `aws:`".to_owned(),
        ));
    }
    // Tracking tags and ours: setting them by hand would make us lose what we own, or own what we do not.
    let reserved = [
        "elbv2.k8s.aws/",
        "ingress.k8s.aws/",
        "service.k8s.aws/",
        "albsync.dev/",
    ];
    if let Some(prefix) = reserved.iter().find(|prefix| key.starts_with(**prefix)) {
        return Some((
            format!("the tag key \"{key}\" marks ownership and cannot be set"),
            format!("keys do not begin with `{prefix}`"),
        ));
    }
    if !(1..=128).contains(&key.chars().count()) || !key.chars().all(is_tag_char) {
        return Some((
            format!("\"{key}\" is no tag key"),
            "up to 128 letters, digits, blanks and _ . : / = + - @".to_owned(),
        ));
    }
    if value.chars().count() > 256 || !value.chars().all(is_tag_char) {
        return Some((
            format!("the tag \"{key}\" cannot have the value \"{value}\""),
            "up to 256 letters, digits, blanks and _ . : / = + - @".to_owned(),
        ));
    }
    None
}

/// A map whose keys stand once each: LBC would take the last, and nobody could tell which was meant.
fn map(given: &Given, report: &mut Report) -> Option<BTreeMap<String, String>> {
    let pairs = match string_map(&given.value.value) {
        Ok(pairs) => pairs,
        Err(expected) => {
            bad(given, &expected, report);
            return None;
        }
    };
    let mut map = BTreeMap::new();
    for (key, value) in pairs {
        if map.insert(key.clone(), value).is_some() {
            report.hinted(
                codes::ODD_ANNOTATION,
                given.value.origin.clone(),
                format!("the annotation {} names \"{key}\" twice", given.key),
                "keep one of them",
            );
        }
    }
    Some(map)
}

fn bad(given: &Given, expected: &str, report: &mut Report) {
    report.hinted(
        codes::BAD_ANNOTATION,
        given.value.origin.clone(),
        format!(
            "the annotation {} cannot be \"{}\"",
            given.key, given.value.value
        ),
        expected,
    );
}

fn located<T>(given: &Given, value: T) -> Setting<T> {
    Setting {
        origin: given.value.origin.clone(),
        text: given.value.value.clone(),
        value: Ok(value),
    }
}
