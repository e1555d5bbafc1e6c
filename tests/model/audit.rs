//! ELBv2's own limits (aws-deploy §10.1, §10.2), held against a model as it goes to AWS.

use std::{collections::BTreeMap, ops::RangeInclusive};

use albsync::model::group::{GroupModel, HealthCheck, HealthCheckPort, Matcher, split};

pub mod limits;
mod rule;

const MAX_NAME: usize = 32;
/// Fifty, less the three tracking tags.
const MAX_TAGS: usize = 47;
const MAX_PATH: usize = 1024;

/// Attributes that are numbers.
const NUMBERS: &[(&str, &[RangeInclusive<u32>])] = &[
    ("idle_timeout.timeout_seconds", &[1..=4000]),
    ("client_keep_alive.seconds", &[60..=604_800]),
    ("deregistration_delay.timeout_seconds", &[0..=3600]),
    ("slow_start.duration_seconds", &[0..=0, 30..=900]),
    ("stickiness.lb_cookie.duration_seconds", &[1..=604_800]),
    ("stickiness.app_cookie.duration_seconds", &[1..=604_800]),
];

/// What ELBv2 would refuse.
pub fn against_elbv2(model: &GroupModel) -> Vec<String> {
    let mut wrong = Vec::new();
    let balancer = &model.load_balancer;
    name("load balancer", &balancer.name, &mut wrong);
    if balancer.name.starts_with("internal-") {
        wrong.push(format!("load balancer: the name {:?}", balancer.name));
    }
    tags("load balancer", &balancer.tags, &mut wrong);
    attributes("load balancer", &balancer.attributes, &mut wrong);
    if let Some(nlb) = &model.frontend_nlb {
        name("frontend NLB", &nlb.name, &mut wrong);
        tags("frontend NLB", &nlb.tags, &mut wrong);
    }
    if let Some(group) = &model.security_group {
        security_group_text("name", &group.name, &mut wrong);
        security_group_text("description", group.description, &mut wrong);
        tags("security group", &group.tags, &mut wrong);
    }
    for (id, group) in &model.target_groups {
        if let Some(text) = &group.name {
            name(id, text, &mut wrong);
        }
        tags(id, &group.tags, &mut wrong);
        attributes(id, &group.attributes, &mut wrong);
        health_check(id, &group.health_check, &mut wrong);
        for port in group.port.iter().chain(&group.target_control_port) {
            if !is_port(*port) {
                wrong.push(format!("{id}: port {port}"));
            }
        }
    }
    for (port, listener) in &model.listeners {
        let what = format!("listener {port}");
        if *port == 0 {
            wrong.push(what.clone());
        }
        tags(&what, &listener.tags, &mut wrong);
        rule::actions(&what, &listener.default_actions, &mut wrong);
        for rule in &listener.rules {
            let parts = match split::split(rule) {
                Ok(parts) => parts,
                Err(too_much) => {
                    wrong.push(format!("rule at {}: {too_much}", rule.origin));
                    continue;
                }
            };
            for part in parts {
                let what = format!("rule at {}", part.origin);
                rule::conditions(&part, &mut wrong);
                rule::transforms(&part, &mut wrong);
                rule::actions(&what, &part.actions, &mut wrong);
                tags(&what, &part.tags, &mut wrong);
            }
        }
    }
    wrong
}

fn is_port(number: i32) -> bool {
    (1..=65_535).contains(&number)
}

fn health_check(what: &str, check: &HealthCheck, wrong: &mut Vec<String>) {
    let mut number = |field: &str, value: i32, range: RangeInclusive<i32>| {
        if !range.contains(&value) {
            wrong.push(format!("{what}: {field} {value}"));
        }
    };
    number("interval", check.interval_seconds, 5..=300);
    number("timeout", check.timeout_seconds, 2..=120);
    number("healthy threshold", check.healthy_threshold_count, 2..=10);
    number(
        "unhealthy threshold",
        check.unhealthy_threshold_count,
        2..=10,
    );
    if let Some(HealthCheckPort::Number(port)) = check.port {
        number("health check port", port, 1..=65_535);
    }
    if !check.path.starts_with('/') || check.path.len() > MAX_PATH {
        wrong.push(format!(
            "{what}: health check path of {} bytes",
            check.path.len()
        ));
    }
    let (codes, range) = match &check.matcher {
        Matcher::HttpCode(codes) => (codes, 200..=499),
        Matcher::GrpcCode(codes) => (codes, 0..=99),
    };
    let fits = |code: &str| code.parse::<u32>().is_ok_and(|code| range.contains(&code));
    if !codes.split([',', '-']).all(fits) {
        wrong.push(format!("{what}: success codes {codes:?}"));
    }
}

fn attributes(what: &str, attributes: &BTreeMap<String, String>, wrong: &mut Vec<String>) {
    for (key, ranges) in NUMBERS {
        let Some(value) = attributes.get(*key) else {
            continue;
        };
        let number: Option<u32> = value.parse().ok();
        let fits = |number| ranges.iter().any(|range| range.contains(&number));
        if !number.is_some_and(fits) {
            wrong.push(format!("{what}: {key}={value}"));
        }
    }
}

fn security_group_text(what: &str, text: &str, wrong: &mut Vec<String>) {
    let is_fit = |c: char| c.is_ascii_alphanumeric() || " ._-:/()#,@[]+=&;{}!$*".contains(c);
    if text.is_empty() || text.len() > 255 || !text.chars().all(is_fit) || text.starts_with("sg-") {
        wrong.push(format!("security group: the {what} {text:?}"));
    }
}

fn name(what: &str, name: &str, wrong: &mut Vec<String>) {
    let fits = (1..=MAX_NAME).contains(&name.len())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        && !name.starts_with('-')
        && !name.ends_with('-');
    if !fits {
        wrong.push(format!("{what}: the name {name:?}"));
    }
}

fn tags(what: &str, tags: &BTreeMap<String, String>, wrong: &mut Vec<String>) {
    if tags.len() > MAX_TAGS {
        wrong.push(format!("{what}: {} tags", tags.len()));
    }
    let is_tag_char = |c: char| c.is_alphanumeric() || " _.:/=+-@".contains(c);
    for (key, value) in tags {
        let fits = (1..=128).contains(&key.chars().count())
            && value.chars().count() <= 256
            && key.chars().chain(value.chars()).all(is_tag_char)
            && !key.to_ascii_lowercase().starts_with("aws:");
        if !fits {
            wrong.push(format!("{what}: the tag {key:?}={value:?}"));
        }
    }
}
