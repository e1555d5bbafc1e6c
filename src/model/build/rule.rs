//! Rules in their order of evaluation (ingress-model §5.1–5.3).
//!
//! The list's order is the order of evaluation; numbers are the planner's, and so is the tag `ingress.k8s.aws/resource`,
//! which holds `PORT:PRIORITY` as of creation (decision 17 of the spec). It is not in [`RuleSpec::tags`].

use super::{Input, Report, Wait, group::Group, keep, tag, target_group::TargetGroups};
use crate::{
    id::ResourceId,
    manifest::{Ingress, IngressPath, IngressRule, PathType, annotation::Setting},
    model::{
        desired::{OrderedRule, Ref},
        elb::{Condition, RuleAction, RuleSpec, WeightedTargetGroup},
    },
    problem::{Problem, Severity, codes},
};

/// What AWS takes for a target group that is alone in its action.
const WHOLE_WEIGHT: i32 = 1;

/// The rules of one listener: members in group order, their `rules` as written, the paths of each sorted.
pub(super) fn build_all(
    group: &Group,
    input: &Input,
    report: &mut Report,
    target_groups: &mut TargetGroups,
    waits: &mut Vec<Wait>,
) -> Vec<OrderedRule> {
    let mut rules: Vec<OrderedRule> = Vec::new();
    for ingress in &group.members {
        for entry in &ingress.rules {
            for path in sorted(&entry.paths) {
                let built = build(ingress, entry, path, &rules, input, report, target_groups);
                rules.extend(keep(waits, built).flatten());
            }
        }
    }
    rules
}

/// One rule; none where an equal one stands before and that check is lowered.
fn build(
    ingress: &Ingress,
    entry: &IngressRule,
    path: &IngressPath,
    earlier: &[OrderedRule],
    input: &Input,
    report: &mut Report,
    target_groups: &mut TargetGroups,
) -> Result<Option<OrderedRule>, Wait> {
    let patterns = path_patterns(path).map_err(|reason| Wait::new(&path.origin, reason))?;
    let conditions = conditions(entry, patterns);
    // A rule is known by its conditions; the second of two equal ones could never match anyway.
    if let Some(earlier) = earlier
        .iter()
        .find(|earlier| earlier.spec.conditions == conditions)
    {
        return refuse_duplicate(ingress, path, earlier, report).map(|()| None);
    }
    let group = target_groups.group_id();
    let target_group = target_groups.of(ingress, &path.backend, report)?;
    let user_tags = ingress
        .options
        .tags
        .as_ref()
        .and_then(Setting::good)
        .cloned();
    Ok(Some(OrderedRule {
        origin: path.origin.clone(),
        spec: RuleSpec {
            conditions,
            actions: vec![RuleAction::Forward {
                target_groups: vec![WeightedTargetGroup {
                    arn: Ref::Output(ResourceId::target_group(&group, &target_group)),
                    weight: WHOLE_WEIGHT,
                }],
                stickiness_seconds: None,
            }],
            transforms: Vec::new(),
            tags: tag::of_group(input, &group, None, user_tags.unwrap_or_default()),
        },
    }))
}

/// Exact paths as written, then prefixes from the longest to the shortest (bytes as written, equal ones as written), then
/// the others as written. Only within one entry of `spec.rules`.
fn sorted(paths: &[IngressPath]) -> Vec<&IngressPath> {
    let mut sorted: Vec<&IngressPath> = paths.iter().collect();
    sorted.sort_by_key(|path| match path.path_type {
        PathType::Exact => (0, 0),
        PathType::Prefix => (1, usize::MAX - path.path.len()),
        PathType::ImplementationSpecific => (2, 0),
    });
    sorted
}

fn path_patterns(path: &IngressPath) -> Result<Vec<String>, String> {
    let text = path.path.as_str();
    let kind = match path.path_type {
        PathType::ImplementationSpecific => {
            return Err("path type ImplementationSpecific is not served yet".to_owned());
        }
        PathType::Exact => "Exact",
        PathType::Prefix if text == "/" => return Ok(vec!["/*".to_owned()]),
        PathType::Prefix => "Prefix",
    };
    if text.contains(['*', '?']) {
        // ALB would take them as wildcards. Parsing reports it.
        return Err(format!(
            "a path of type {kind} must not contain `*` or `?`: `{text}`"
        ));
    }
    Ok(match path.path_type {
        _ if text.is_empty() => Vec::new(),
        PathType::Prefix => {
            let text = text.strip_suffix('/').unwrap_or(text);
            vec![text.to_owned(), format!("{text}/*")]
        }
        _ => vec![text.to_owned()],
    })
}

/// Host, then path; a rule without either matches every path, because ALB wants at least one condition.
fn conditions(entry: &IngressRule, patterns: Vec<String>) -> Vec<Condition> {
    let host = entry.host.as_ref().filter(|host| !host.value.is_empty());
    let host = host.map(|host| Condition::HostHeader {
        values: vec![host.value.clone()].into(),
    });
    let patterns = if host.is_none() && patterns.is_empty() {
        vec!["/*".to_owned()]
    } else {
        patterns
    };
    let path = (!patterns.is_empty()).then_some(Condition::PathPattern {
        values: patterns.into(),
    });
    host.into_iter().chain(path).collect()
}

fn refuse_duplicate(
    ingress: &Ingress,
    path: &IngressPath,
    earlier: &OrderedRule,
    report: &mut Report,
) -> Result<(), Wait> {
    let problem = Problem::new(
        codes::DUPLICATE_PATH,
        path.origin.clone(),
        "this path can never match: an earlier one has the same host and path",
    )
    .of(format!("Ingress {}", ingress.key()))
    .hint("remove one of the two")
    .also(earlier.origin.clone());
    let wait = Wait::for_problem(&problem);
    match report.add(problem) {
        Severity::Problem => Err(wait),
        Severity::Warning => Ok(()),
    }
}
