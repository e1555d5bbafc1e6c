//! ELBv2's own limits (aws-deploy.md §10.2), held against a model as it goes to AWS.

use albsync::{
    manifest::annotation::value::{Condition, Patterns},
    model::group::{Action, GroupModel, Rule, split},
};

const MAX_NAME: usize = 32;
/// Fifty, less the three tracking tags.
const MAX_TAGS: usize = 47;
const MAX_CONDITION_VALUES: usize = 5;
const MAX_WILDCARDS: usize = 6;
const MAX_TARGET_GROUPS: usize = 5;

/// What ELBv2 would refuse.
pub fn against_elbv2(model: &GroupModel) -> Vec<String> {
    let mut wrong = Vec::new();
    name("load balancer", &model.load_balancer.name, &mut wrong);
    tags("load balancer", &model.load_balancer.tags, &mut wrong);
    for (id, group) in &model.target_groups {
        if let Some(text) = &group.name {
            name(id, text, &mut wrong);
        }
        tags(id, &group.tags, &mut wrong);
    }
    for (port, listener) in &model.listeners {
        tags(&format!("listener {port}"), &listener.tags, &mut wrong);
        actions(
            &format!("listener {port}"),
            &listener.default_actions,
            &mut wrong,
        );
        for rule in &listener.rules {
            let parts = match split::split(rule) {
                Ok(parts) => parts,
                Err(too_much) => {
                    wrong.push(format!("rule at {}: {too_much}", rule.origin));
                    continue;
                }
            };
            for part in parts {
                conditions(&part, &mut wrong);
                actions(
                    &format!("rule at {}", part.origin),
                    &part.actions,
                    &mut wrong,
                );
                tags(&format!("rule at {}", part.origin), &part.tags, &mut wrong);
            }
        }
    }
    wrong
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

fn tags(what: &str, tags: &std::collections::BTreeMap<String, String>, wrong: &mut Vec<String>) {
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

fn conditions(rule: &Rule, wrong: &mut Vec<String>) {
    let (mut values, mut wildcards) = (0, 0);
    let mut once = std::collections::BTreeSet::new();
    for condition in &rule.conditions {
        let (kind, texts): (&str, Vec<&str>) = match condition {
            Condition::HostHeader { values } => ("host-header", patterns(values)),
            Condition::PathPattern { values } => ("path-pattern", patterns(values)),
            Condition::HttpHeader { values, .. } => ("", patterns(values)),
            Condition::HttpRequestMethod { values } => ("http-request-method", borrowed(values)),
            Condition::QueryString { values } => {
                ("", values.iter().map(|pair| pair.value.as_str()).collect())
            }
            Condition::SourceIp { values } => ("source-ip", borrowed(values)),
        };
        if !kind.is_empty() && !once.insert(kind) {
            wrong.push(format!("{}: two {kind} conditions", rule.origin));
        }
        if texts.is_empty() || texts.iter().any(|text| text.len() > 128) {
            wrong.push(format!("{}: values of {kind}", rule.origin));
        }
        values += texts.len();
        wildcards += texts
            .iter()
            .map(|text| text.matches(['*', '?']).count())
            .sum::<usize>();
    }
    if rule.conditions.is_empty() || values > MAX_CONDITION_VALUES || wildcards > MAX_WILDCARDS {
        wrong.push(format!(
            "{}: {values} values, {wildcards} wildcards",
            rule.origin
        ));
    }
}

fn patterns(patterns: &Patterns) -> Vec<&str> {
    match patterns {
        Patterns::Values(values) | Patterns::Regex(values) => borrowed(values),
    }
}

fn borrowed(texts: &[String]) -> Vec<&str> {
    texts.iter().map(String::as_str).collect()
}

fn actions(what: &str, actions: &[Action], wrong: &mut Vec<String>) {
    let (last, before) = match actions.split_last() {
        Some((last, before)) => (Some(last), before),
        None => (None, actions),
    };
    let answers = |action: &Action| {
        matches!(
            action,
            Action::Forward { .. } | Action::Redirect { .. } | Action::FixedResponse { .. }
        )
    };
    if !last.is_some_and(answers) || before.iter().any(answers) || before.len() > 1 {
        wrong.push(format!("{what}: {} actions", actions.len()));
    }
    if let Some(Action::Forward { target_groups, .. }) = last {
        let fits = (1..=MAX_TARGET_GROUPS).contains(&target_groups.len())
            && target_groups
                .iter()
                .all(|one| one.weight.is_none_or(|weight| (0..=999).contains(&weight)));
        if !fits {
            wrong.push(format!("{what}: {} target groups", target_groups.len()));
        }
    }
}
