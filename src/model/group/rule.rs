//! The rules of one listener in their order of evaluation (ingress-model §5.1); numbers are the planner's.

use super::{
    Rule, action,
    build::Built,
    condition,
    context::{MemberInput, Refused},
    optimize::{self, Optimized},
    order::{self, Order},
    port::Port,
    shadow, split, tag,
    target_group::TargetGroups,
};
use crate::{
    manifest::{IngressPath, IngressRule, PathType},
    model::net::Tags,
};

#[cfg(test)]
mod tests;

/// The members that listen there in group order, their `rules` as written, the paths of each entry sorted; put into the
/// group's order; then what the optimizer leaves.
///
/// # Errors
/// A rule cannot be built; the others are looked at all the same.
pub fn build_all(
    task: &mut TargetGroups<'_, '_>,
    number: u16,
    port: &Port,
    order: Order,
) -> Built<Vec<Rule>> {
    let mut rules = Vec::new();
    let mut result = Ok(());
    for index in &port.members {
        let Some(member) = task.group.members.get(*index).copied() else {
            continue;
        };
        let mut tags = None;
        for entry in &member.ingress.rules {
            for path in sorted(&entry.paths) {
                let tags =
                    tags.get_or_insert_with(|| tag::own(task.input, member, false, task.report));
                match build(task, *index, member, port, entry, path, tags) {
                    Ok(rule) => rules.push(rule),
                    Err(Refused) => result = Err(Refused),
                }
            }
        }
    }
    result?;
    order::sort(order, task.group, &mut rules);
    let optimized = optimize::optimize(number, port.protocol, rules);
    if !task.report.is_lbc() {
        shadow::tell(task.group, order, &optimized, task.report);
        split::tell(task.group, &optimized.rules, task.report);
    }
    let Optimized { rules, dropped: _ } = optimized;
    Ok(rules)
}

fn build<'a>(
    task: &mut TargetGroups<'_, 'a>,
    index: usize,
    member: MemberInput<'a>,
    port: &Port,
    entry: &IngressRule,
    path: &'a IngressPath,
    tags: &Built<Tags>,
) -> Built<Rule> {
    let enhanced = action::read(task, member, &path.backend)?;
    let conditions = condition::build(member, entry, path, enhanced.conditions, task.report);
    let actions = action::build(task, index, port.protocol, &enhanced);
    Ok(Rule {
        origin: path.origin.clone(),
        member: index,
        conditions: conditions?,
        actions: actions?,
        transforms: enhanced.transforms.to_vec(),
        tags: tags.clone()?,
    })
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
