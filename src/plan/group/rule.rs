//! Rules of one listener: matched by what they say, numbered by their order (decisions 4 and 17; lessons A9, B10, C1).
//!
//! Make before break: new rules, changed rules, then one call for those that move, then the deletes.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
};

use crate::{
    id::{Arn, OpId, ResourceId, ResourceKind},
    model::{
        applied::{AppliedChange, ResourceUpdate},
        desired::{ListenerStack, OrderedRule, Ref},
        digest::digest,
        elb::{Condition, Listener, Rule, RuleSpec},
        net::Tags,
        quota::Limit,
        tags,
    },
};

use super::{
    super::{
        diff::{
            difference,
            elb::{self, canonical_conditions, same_actions},
            priority::{self, Numbering},
            words::{self, conditions_text, transforms_text},
        },
        draft::{Draft, because},
        op::{Action, Cause, Difference, Foreign},
    },
    Group,
    listener::{client_differences, with_clients},
};

/// Identities of a listener's wanted rules, in order: the port and a digest of what the rule matches.
pub fn names(port: u16, rules: &[OrderedRule]) -> Vec<String> {
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    rules
        .iter()
        .map(|rule| {
            let name = name_of(port, &rule.spec.conditions);
            let count = seen.entry(name.clone()).or_default();
            *count += 1;
            // A second rule with the same conditions never matches; it exists all the same, as LBC builds it.
            if *count == 1 {
                name
            } else {
                format!("{name}-{count}")
            }
        })
        .collect()
}

fn name_of(port: u16, conditions: &[Condition]) -> String {
    let digest = digest(&canonical_conditions(conditions));
    format!("{port}/{}", digest.get(..8).unwrap_or(&digest))
}

/// The rules of one listener with what was found of them.
struct Rules<'w, 'a> {
    port: u16,
    listener: Ref<Arn>,
    listener_id: ResourceId,
    /// What turns the listener into one that takes these rules.
    listener_ready: Option<OpId>,
    wanted: &'w [OrderedRule],
    ids: Vec<ResourceId>,
    /// Wanted rules with references put in.
    resolved: Vec<RuleSpec>,
    /// By wanted rule: the live one that becomes it.
    matched: Vec<Option<&'a Rule>>,
    leaving: Vec<&'a Rule>,
    /// As many of those that leave go before anything else.
    make_room: usize,
    numbering: Numbering,
}

impl<'a> Group<'a> {
    /// Which rules are wanted: in parts, or as the whole where the balancer has that.
    pub(super) fn sort_out_rules(&mut self, draft: &Draft<'a>) {
        let Some(desired) = self.desired else { return };
        for (port, listener) in &desired.listeners {
            let live = self.listeners.get(port).copied();
            let rules = self.whole_where_live(draft, &listener.rules, live);
            self.rule_names.insert(*port, names(*port, &rules));
            self.rules.insert(*port, rules);
        }
    }

    fn whole_where_live(
        &self,
        draft: &Draft<'a>,
        rules: &'a [OrderedRule],
        listener: Option<&Listener>,
    ) -> Cow<'a, [OrderedRule]> {
        if rules.iter().all(|rule| rule.whole.is_none()) {
            return Cow::Borrowed(rules);
        }
        let live = self.observed.rules.iter();
        let mut live: Vec<BTreeSet<Condition>> = live
            .filter(|live| listener.is_some_and(|listener| listener.arn == live.listener))
            .filter(|live| self.is_ours(draft, ResourceKind::Rule, &live.arn, &live.tags))
            .map(|live| canonical_conditions(&live.conditions))
            .collect();
        // One that stands whole stands for one rule.
        let mut is_live = |whole: &[Condition]| {
            let wanted = canonical_conditions(whole);
            let found = live.iter().position(|live| *live == wanted);
            found.map(|index| live.swap_remove(index)).is_some()
        };
        let mut sorted = Vec::with_capacity(rules.len());
        for parts in rules.chunk_by(OrderedRule::is_part_of_the_same) {
            match parts {
                [
                    first @ OrderedRule {
                        whole: Some(whole), ..
                    },
                    ..,
                ] if is_live(whole) => {
                    let mut rule = first.clone();
                    rule.spec.conditions.clone_from(whole);
                    sorted.push(rule);
                }
                parts => sorted.extend_from_slice(parts),
            }
        }
        Cow::Owned(sorted)
    }

    pub(super) fn build_rules(
        &self,
        draft: &mut Draft<'a>,
        wanted: &ListenerStack,
        listener: Option<&'a Listener>,
        listener_ready: Option<OpId>,
    ) {
        let mut rules = self.sort_rules(draft, wanted, listener);
        rules.listener_ready = listener_ready;
        rules.make_room = self.overflow(draft, &rules);
        let mut before = BTreeSet::new();
        // At the limit of rules the surplus must go first, or nothing ever fits (lessons A10).
        for live in rules.leaving.iter().take(rules.make_room) {
            before.insert(self.delete_rule(draft, &rules, live, &BTreeSet::new()));
        }
        if rules.numbering.renumbered {
            before.extend(self.move_rules(draft, &rules, &before.clone()));
        }
        let mut others = before.clone();
        for index in 0..rules.wanted.len() {
            others.extend(match rules.matched[index] {
                Some(live) => self.mend_rule(draft, &rules, index, live),
                None => self.create_rule(draft, &rules, index, &before),
            });
        }
        if !rules.numbering.renumbered {
            others.extend(self.move_rules(draft, &rules, &others.clone()));
        }
        for live in rules.leaving.iter().skip(rules.make_room) {
            self.delete_rule(draft, &rules, live, &others);
        }
    }

    fn sort_rules<'w>(
        &'w self,
        draft: &mut Draft<'a>,
        wanted: &ListenerStack,
        listener: Option<&'a Listener>,
    ) -> Rules<'w, 'a> {
        let port = wanted.spec.port;
        let listener_id = ResourceId::listener(self.id, port);
        let mut live: Vec<&'a Rule> = self
            .observed
            .rules
            .iter()
            .filter(|rule| listener.is_some_and(|listener| listener.arn == rule.listener))
            .collect();
        live.sort_by_key(|rule| rule.priority);
        let (ours, foreign): (Vec<_>, Vec<_>) = live
            .into_iter()
            .partition(|rule| self.is_ours(draft, ResourceKind::Rule, &rule.arn, &rule.tags));
        for rule in &foreign {
            draft.foreign.push(Foreign {
                stack: self.stack.clone(),
                what: format!(
                    "rule {} on port {port}: {}",
                    rule.priority,
                    conditions_text(&rule.conditions)
                ),
                id: rule.arn.to_string(),
            });
        }
        let ids: Vec<ResourceId> = self
            .rule_names
            .get(&port)
            .into_iter()
            .flatten()
            .map(|name| ResourceId::new(self.stack.clone(), ResourceKind::Rule, name.as_str()))
            .collect();
        let wanted = self.rules.get(&port).map_or(&[][..], |rules| &**rules);
        let resolved: Vec<RuleSpec> = wanted
            .iter()
            .map(|rule| RuleSpec {
                conditions: rule.spec.conditions.clone(),
                actions: elb::resolve_actions(&rule.spec.actions, &draft.known),
                transforms: rule.spec.transforms.clone(),
                tags: rule.spec.tags.clone(),
            })
            .collect();
        let (matched, leaving) = match_rules(draft, &ids, &resolved, ours);
        let current: Vec<Option<u32>> = matched
            .iter()
            .map(|live| live.map(|live| live.priority))
            .collect();
        let numbering = priority::numbers(
            &current,
            &leaving.iter().map(|rule| rule.priority).collect(),
            &foreign.iter().map(|rule| rule.priority).collect(),
        );
        Rules {
            port,
            listener: elb::resolve(&Ref::Output(listener_id.clone()), &draft.known),
            listener_id,
            listener_ready: None,
            wanted,
            ids,
            resolved,
            matched,
            leaving,
            make_room: 0,
            numbering,
        }
    }

    /// How many of the leaving rules must go before the new ones come.
    fn overflow(&self, draft: &Draft<'a>, rules: &Rules<'_, 'a>) -> usize {
        let limit = Limit::Rules.most(&draft.inputs.options.limits);
        let Some(limit) = limit.and_then(|most| usize::try_from(most).ok()) else {
            return 0;
        };
        let created = rules.matched.iter().filter(|live| live.is_none()).count();
        // What is planned for other listeners comes before.
        let planned = |is: fn(&Action) -> bool| {
            let ops = draft.ops.iter().filter(|op| op.stack == self.stack);
            ops.filter(|op| is(&op.action)).count()
        };
        let come = planned(|action| matches!(action, Action::CreateRule { .. }));
        let gone = planned(|action| matches!(action, Action::DeleteRule { .. }));
        (self.observed.rules.len() + come + created)
            .saturating_sub(limit + gone)
            .min(rules.leaving.len())
    }

    fn create_rule(
        &self,
        draft: &mut Draft<'a>,
        rules: &Rules<'_, 'a>,
        index: usize,
        before: &BTreeSet<OpId>,
    ) -> BTreeSet<OpId> {
        let id = &rules.ids[index];
        let wanted = &rules.wanted[index];
        let digest = digest(&wanted.spec);
        let first = draft.ops.len();
        let cause = draft.cause(id, &digest, false);
        let priority = rules.numbering.numbers[index];
        let mut spec = rules.resolved[index].clone();
        // Says where the rule stood when it was made; nothing reads it (decision 17).
        spec.tags.insert(
            tags::RESOURCE.to_owned(),
            format!("{}:{priority}", rules.port),
        );
        let mut needs = self.fillers_of(draft, &spec.actions);
        needs.extend(draft.creators.get(&rules.listener_id));
        needs.extend(rules.listener_ready);
        needs.extend(before);
        let text = conditions_text(&spec.conditions);
        let action = Action::CreateRule {
            id: id.clone(),
            listener: rules.listener.clone(),
            priority,
            spec,
        };
        let reason = because(
            cause,
            Some(&wanted.origin),
            vec![difference("rule", None, text)],
        );
        draft.create(id, action, reason, needs);
        let update = update(draft, id, None, digest, &wanted.spec.tags);
        let update = with_clients(draft, id, update, &wanted.spec.actions);
        draft.note_resource(id, first, update);
        draft.since(first)
    }

    fn mend_rule(
        &self,
        draft: &mut Draft<'a>,
        rules: &Rules<'_, 'a>,
        index: usize,
        live: &Rule,
    ) -> BTreeSet<OpId> {
        let id = &rules.ids[index];
        let wanted = &rules.wanted[index];
        let spec = &rules.resolved[index];
        let digest = digest(&wanted.spec);
        let first = draft.ops.len();
        let cause = draft.cause(id, &digest, true);
        let origin = Some(&wanted.origin);
        let mut differences = self.rule_differences(spec, live);
        differences.extend(client_differences(draft, id, &spec.actions));
        if !differences.is_empty() {
            let mut needs = self.fillers_of(draft, &spec.actions);
            needs.extend(rules.listener_ready);
            let action = Action::ModifyRule {
                arn: live.arn.clone(),
                spec: spec.clone(),
            };
            draft.op(id, action, because(cause, origin, differences), needs);
        }
        let without = |found: &Tags| {
            let mut found = found.clone();
            found.remove(tags::RESOURCE);
            found
        };
        let (wanted_tags, live_tags) = (without(&spec.tags), without(&live.tags));
        self.mend_tags(
            draft,
            id,
            &live.arn,
            (&wanted_tags, &live_tags),
            (cause, origin),
        );
        let arn = Some(live.arn.as_str());
        let update = update(draft, id, arn, digest, &wanted.spec.tags);
        let update = with_clients(draft, id, update, &wanted.spec.actions);
        draft.note_resource(id, first, update);
        draft.since(first)
    }

    fn rule_differences(&self, wanted: &RuleSpec, live: &Rule) -> Vec<Difference> {
        let mut differences = Vec::new();
        if canonical_conditions(&wanted.conditions) != canonical_conditions(&live.conditions) {
            differences.push(difference(
                "conditions",
                conditions_text(&live.conditions),
                conditions_text(&wanted.conditions),
            ));
        }
        if !same_actions(&wanted.actions, &live.actions) {
            let names = self.target_group_names();
            differences.extend(words::actions(&live.actions, &wanted.actions, &names));
        }
        if !elb::same_transforms(&wanted.transforms, &live.transforms) {
            differences.push(difference(
                "rewrites",
                transforms_text(&live.transforms),
                transforms_text(&wanted.transforms),
            ));
        }
        differences
    }

    /// One call for all rules of the listener that move, those that will go included.
    fn move_rules(
        &self,
        draft: &mut Draft<'a>,
        rules: &Rules<'_, 'a>,
        needs: &BTreeSet<OpId>,
    ) -> Option<OpId> {
        let numbering = &rules.numbering;
        let Ref::Known(listener) = &rules.listener else {
            return None;
        };
        if numbering.moved.is_empty() {
            return None;
        }
        let mut priorities = BTreeMap::new();
        let mut differences = Vec::new();
        for index in &numbering.moved {
            let Some(live) = rules.matched[*index] else {
                continue;
            };
            let number = numbering.numbers[*index];
            priorities.insert(live.arn.clone(), number);
            differences.push(difference(
                format!("place of {}", conditions_text(&live.conditions)),
                live.priority.to_string(),
                number.to_string(),
            ));
        }
        for live in rules.leaving.iter().skip(rules.make_room) {
            if let Some(number) = numbering.parked.get(&live.priority) {
                priorities.insert(live.arn.clone(), *number);
            }
        }
        let recorded = draft.inputs.applied.stacks.get(&self.stack);
        let unchanged = draft
            .digests
            .get(&self.stack)
            .is_some_and(|digest| recorded.is_some_and(|recorded| recorded.digest == *digest));
        let cause = if unchanged {
            Cause::Drift
        } else {
            Cause::Changed
        };
        let action = Action::SetRulePriorities {
            listener: listener.clone(),
            priorities,
        };
        let reason = because(cause, self.origin(), differences);
        Some(draft.op(&rules.listener_id, action, reason, needs.iter().copied()))
    }

    fn delete_rule(
        &self,
        draft: &mut Draft<'a>,
        rules: &Rules<'_, 'a>,
        live: &Rule,
        needs: &BTreeSet<OpId>,
    ) -> OpId {
        let id = draft
            .recorded_as(&self.stack, ResourceKind::Rule, live.arn.as_str())
            .cloned()
            .unwrap_or_else(|| {
                let name = name_of(rules.port, &live.conditions);
                ResourceId::new(self.stack.clone(), ResourceKind::Rule, name)
            });
        let (id, cause) = self.surplus_id(draft, &id, live.arn.as_str());
        let text = conditions_text(&live.conditions);
        let reason = because(cause, None, vec![difference("rule", text, None)]);
        let action = Action::DeleteRule {
            arn: live.arn.clone(),
        };
        draft.op(&id, action, reason, needs.iter().copied())
    }

    /// Rules go with their listener: the store forgets them together.
    pub(super) fn forget_rules(&self, draft: &mut Draft<'a>, delete: OpId, listener: &Listener) {
        let gone: Vec<ResourceId> = self
            .observed
            .rules
            .iter()
            .filter(|rule| rule.listener == listener.arn)
            .filter_map(|rule| {
                draft.recorded_as(&self.stack, ResourceKind::Rule, rule.arn.as_str())
            })
            .filter(|id| !self.claims(id))
            .cloned()
            .collect();
        for id in gone {
            draft.record(delete, AppliedChange::RemoveResource(id));
        }
    }
}

/// What the store is to hold of a rule: not the tag that says where it stood when it was made.
fn update(
    draft: &Draft<'_>,
    id: &ResourceId,
    arn: Option<&str>,
    digest: String,
    wanted: &Tags,
) -> ResourceUpdate {
    let mut update = super::update(draft, id, arn, digest, &BTreeMap::new(), wanted);
    update.tags.insert(tags::RESOURCE.to_owned(), None);
    update
}

/// Which live rule becomes which wanted one: equal in everything, then equal in what it matches, then known by its ARN
/// (a hand changed its conditions). What is left goes.
fn match_rules<'a>(
    draft: &Draft<'a>,
    ids: &[ResourceId],
    wanted: &[RuleSpec],
    ours: Vec<&'a Rule>,
) -> (Vec<Option<&'a Rule>>, Vec<&'a Rule>) {
    type Live<'a> = (&'a Rule, BTreeSet<Condition>);
    let with_conditions = |live: &'a Rule| (live, canonical_conditions(&live.conditions));
    let mut left: Vec<Option<Live<'a>>> = ours
        .into_iter()
        .map(|live| Some(with_conditions(live)))
        .collect();
    let mut matched: Vec<Option<&'a Rule>> = vec![None; wanted.len()];
    let conditions: Vec<_> = wanted
        .iter()
        .map(|rule| canonical_conditions(&rule.conditions))
        .collect();
    let mut pass = |fits: &dyn Fn(usize, &Live<'a>) -> bool| {
        for (index, place) in matched.iter_mut().enumerate() {
            if place.is_none() {
                let found = left
                    .iter_mut()
                    .find(|live| live.as_ref().is_some_and(|live| fits(index, live)));
                *place = found.and_then(Option::take).map(|(live, _)| live);
            }
        }
    };
    pass(&|index, (live, found)| {
        conditions[index] == *found && same_actions(&wanted[index].actions, &live.actions)
    });
    pass(&|index, (_, found)| conditions[index] == *found);
    pass(&|index, (live, _)| {
        draft
            .applied(&ids[index])
            .and_then(|applied| applied.arn.as_ref())
            .is_some_and(|arn| *arn == live.arn)
    });
    let leaving = left.into_iter().flatten().map(|(live, _)| live).collect();
    (matched, leaving)
}
