//! Listeners (ingress-model §4.1, §4.6, §4.7).

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Input, Report, Wait, group::Group, load_balancer, rule, tag, target_group::TargetGroups,
};
use crate::model::{
    desired::ListenerStack,
    elb::{ListenerSpec, RuleAction},
};

/// The only port that is served now: what an Ingress without certificates listens on.
const HTTP_PORT: u16 = 80;

/// Ports on which the group listens.
pub(super) fn ports(_group: &Group) -> BTreeSet<u16> {
    BTreeSet::from([HTTP_PORT])
}

/// All listeners of the group with their rules; reasons why something cannot be built go to `waits`.
pub(super) fn build_all(
    group: &Group,
    input: &Input,
    report: &mut Report,
    target_groups: &mut TargetGroups,
    waits: &mut Vec<Wait>,
) -> BTreeMap<u16, ListenerStack> {
    let Some(first) = group.members.first() else {
        unreachable!("BUG: a group has members");
    };
    ports(group)
        .into_iter()
        .map(|port| {
            let stack = ListenerStack {
                origin: first.origin.clone(),
                spec: build(group, input, port),
                rules: rule::build_all(group, input, report, target_groups, waits),
            };
            (port, stack)
        })
        .collect()
}

fn build(group: &Group, input: &Input, port: u16) -> ListenerSpec {
    let user_tags = load_balancer::user_tags(group);
    ListenerSpec {
        port,
        protocol: "HTTP".to_owned(),
        default_actions: vec![not_found()],
        tls: None,
        attributes: BTreeMap::new(),
        tags: tag::of_group(
            input,
            &group.id.to_string(),
            Some(&port.to_string()),
            user_tags,
        ),
    }
}

/// What a request gets that no rule matches.
fn not_found() -> RuleAction {
    RuleAction::FixedResponse {
        status_code: "404".to_owned(),
        content_type: Some("text/plain".to_owned()),
        message_body: None,
    }
}
