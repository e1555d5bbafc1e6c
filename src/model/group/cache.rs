//! Groups as they were built last: after a change only those are built again that looked at something of it.

use std::{collections::BTreeMap, sync::Arc};

use rayon::iter::{IndexedParallelIterator, IntoParallelRefIterator, ParallelIterator};

use super::{
    GroupId, GroupModel,
    build::{self, Builder, Built},
    collision::Names,
    context::{GroupInput, Input, MemberInput, Report, Tables, Whole, in_order},
    member::{self, Placed},
    reads::{Changes, Exchanged, Inputs, Reads},
};
use crate::{
    manifest::{Ingress, IngressClassParams},
    model::desired,
    problem::Problem,
    shared::Shared,
};

/// Where more groups than this are built, looking things up is made ready first.
const FEW: usize = 8;

/// A memory only: with an empty one the same comes out.
#[derive(Debug, Default)]
pub struct Cache {
    /// What the groups were last found to fit.
    inputs: Option<Inputs>,
    groups: BTreeMap<String, Kept>,
    names: Names,
    /// Groups that the last build had to build.
    pub groups_built: usize,
}

/// One group, what it was made from, and what came of it.
#[derive(Debug)]
struct Kept {
    id: GroupId,
    members: Vec<Member>,
    reads: Reads,
    outcome: Outcome,
}

type Member = (Shared<Ingress>, Option<Shared<IngressClassParams>>);

/// A group with its problems.
#[derive(Clone, Debug)]
pub(super) struct Outcome {
    pub model: Built<Arc<GroupModel>>,
    /// For its problems, though there may be a model.
    pub is_refused: bool,
    pub problems: Vec<Problem>,
}

/// A build that uses what the last one left, and leaves what the next one may use.
pub(super) struct Rebuild<'a> {
    whole: Whole<'a>,
    tables: Tables<'a>,
    cache: &'a mut Cache,
    inputs: Option<Inputs>,
    /// `None`: nothing of the last build fits.
    changes: Option<Changes>,
    is_ordered: bool,
    before: BTreeMap<String, Kept>,
}

impl<'a> Rebuild<'a> {
    pub fn new(cache: &'a mut Cache, whole: Whole<'a>) -> Self {
        // Emptied until the build is through: what is half done must not be taken for whole.
        let before = std::mem::take(cache);
        cache.names = before.names;
        let services = &whole.manifests.services;
        let (changes, is_ordered) = match &before.inputs {
            Some(inputs) => (
                inputs.changes(whole.manifests, whole.facts, whole.settings),
                inputs.is_ordered(services),
            ),
            None => (None, services.is_sorted_by(|a, b| in_order(a, b))),
        };
        Self {
            whole,
            tables: Tables::of_ordered(whole, is_ordered),
            cache,
            inputs: before.inputs,
            changes,
            is_ordered,
            before: before.groups,
        }
    }

    /// All groups, where only a few Ingresses are different and nothing else that decides on groups: then those need not be
    /// put together again.
    pub fn few(&mut self) -> Option<Vec<(String, Outcome)>> {
        let inputs = self.inputs.take()?;
        let whole = Whole { ..self.whole };
        let changes = self.changes.take()?;
        let touched = inputs.exchanged(&whole).and_then(|it| touched(it, &whole));
        let Some(mut touched) = touched else {
            self.changes = Some(changes);
            return None;
        };
        let mut groups = Vec::with_capacity(self.before.len());
        let mut looked_at = Vec::new();
        for (id, kept) in std::mem::take(&mut self.before) {
            let touch = touched.remove(&id);
            if touch.is_none() && !kept.reads.meets(&changes) {
                groups.push((id, kept));
                continue;
            }
            let touch = touch.unwrap_or_else(|| Touch::new(kept.id.clone()));
            if !touch.leaves_nobody(&kept) {
                looked_at.push((id, Some(kept), touch));
            }
        }
        let new = touched
            .into_iter()
            .filter(|(_, touch)| !touch.new.is_empty());
        looked_at.extend(new.map(|(id, touch)| (id, None, touch)));
        if looked_at.len() > FEW {
            self.tables.prepare();
        }
        let tables = &self.tables;
        let built = looked_at.par_iter().map(|(_, kept, touch)| {
            let kept = kept.as_ref();
            let group = touch.group(kept);
            let fits = kept.is_some_and(|kept| kept.fits(&group, &changes));
            (!fits).then(|| Kept::new(tables, &group))
        });
        let built: Vec<Option<Kept>> = built.collect();
        self.cache.groups_built += built.iter().flatten().count();
        for ((id, kept, _), built) in looked_at.into_iter().zip(built) {
            groups.extend(built.or(kept).map(|kept| (id, kept)));
        }
        self.cache.groups = groups.into_iter().collect();
        let groups = self.cache.groups.iter();
        Some(
            groups
                .map(|(id, kept)| (id.clone(), kept.outcome.clone()))
                .collect(),
        )
    }

    /// The members of a group that was built.
    pub fn members(&self, id: &str) -> Vec<desired::Member> {
        let kept = self.cache.groups.get(id).into_iter();
        let members = kept.flat_map(|kept| &kept.members);
        members
            .map(|(ingress, _)| build::as_member(ingress))
            .collect()
    }

    /// All groups are there. `are_plain`: nothing was found to say of any Ingress when they were put together.
    pub fn finish(self, are_plain: bool) {
        let ingresses = &self.whole.manifests.ingresses;
        let are_plain = are_plain && ingresses.is_sorted_by(|a, b| a.cmp_key(b).is_lt());
        self.cache.inputs = Some(Inputs::of(&self.whole, self.is_ordered, are_plain));
    }

    /// The same after [`Self::few`], which has found them in order.
    pub fn finish_few(self) {
        self.cache.inputs = Some(Inputs::of(&self.whole, self.is_ordered, true));
    }
}

/// Who goes from a group and who comes.
struct Touch<'a> {
    id: GroupId,
    gone: Vec<&'a Ingress>,
    new: Vec<MemberInput<'a>>,
}

impl<'a> Touch<'a> {
    fn new(id: GroupId) -> Self {
        Self {
            id,
            gone: Vec::new(),
            new: Vec::new(),
        }
    }

    fn leaves_nobody(&self, kept: &Kept) -> bool {
        self.new.is_empty() && kept.members.iter().all(|(ingress, _)| self.takes(ingress))
    }

    /// The group as it is with them.
    fn group<'k>(&'k self, kept: Option<&'k Kept>) -> GroupInput<'k> {
        let stays = |(ingress, _): &&'k Member| !self.takes(ingress);
        let members = kept.into_iter().flat_map(|kept| &kept.members);
        let members = members.filter(stays).map(|(ingress, params)| MemberInput {
            ingress,
            params: params.as_ref(),
        });
        let mut members: Vec<MemberInput<'k>> = members.chain(self.new.iter().copied()).collect();
        member::sort(&mut members);
        GroupInput {
            id: self.id.clone(),
            members,
        }
    }

    /// By name: what a group was built from may be an equal document of an earlier reading.
    fn takes(&self, ingress: &Ingress) -> bool {
        self.gone.iter().any(|gone| gone.cmp_key(ingress).is_eq())
    }
}

/// The groups that Ingresses leave or join; none where one of them has to be spoken of.
fn touched<'a>(
    (gone, new): Exchanged<'a>,
    whole: &Whole<'a>,
) -> Option<BTreeMap<String, Touch<'a>>> {
    let mut touched: BTreeMap<String, Touch<'a>> = BTreeMap::new();
    let mut touch = |ingress: &'a Shared<Ingress>, is_new: bool| {
        if let Placed::Member(member, id) = member::place(ingress, whole)? {
            let entry = touched.entry(id.to_string());
            let touch = entry.or_insert_with(|| Touch::new(id));
            if is_new {
                touch.new.push(member);
            } else {
                touch.gone.push(ingress);
            }
        }
        Some(())
    };
    for ingress in gone {
        touch(ingress, false)?;
    }
    for ingress in new {
        touch(ingress, true)?;
    }
    Some(touched)
}

impl Builder for Rebuild<'_> {
    /// Each as it was built before, if nothing that it was made from is different; else built now.
    fn groups(&mut self, groups: &[(&str, &GroupInput<'_>)]) -> Vec<Outcome> {
        let kept = groups.iter().map(|(id, group)| {
            let kept = self.before.remove(*id);
            let changes = self.changes.as_ref();
            kept.filter(|kept| changes.is_some_and(|changes| kept.fits(group, changes)))
        });
        let kept: Vec<Option<Kept>> = kept.collect();
        let to_build = kept.iter().filter(|kept| kept.is_none()).count();
        if to_build > FEW {
            self.tables.prepare();
        }
        self.cache.groups_built += to_build;
        let tables = &self.tables;
        let all = groups.par_iter().zip(kept);
        let all = all.map(|((_, group), kept)| kept.unwrap_or_else(|| Kept::new(tables, group)));
        let all: Vec<Kept> = all.collect();
        let outcomes = all.iter().map(|kept| kept.outcome.clone()).collect();
        let ids = groups.iter().map(|(id, _)| (*id).to_owned());
        self.cache.groups.extend(ids.zip(all));
        outcomes
    }

    fn names(&mut self) -> &mut Names {
        &mut self.cache.names
    }
}

impl Kept {
    fn new(tables: &Tables<'_>, group: &GroupInput<'_>) -> Self {
        let (outcome, reads) = build_now(tables, group);
        let members = group.members.iter();
        Self {
            id: group.id.clone(),
            members: members
                .map(|member| (member.ingress.clone(), member.params.cloned()))
                .collect(),
            reads,
            outcome,
        }
    }

    fn fits(&self, group: &GroupInput<'_>, changes: &Changes) -> bool {
        let is_same = |(kept, member): (&Member, &MemberInput<'_>)| {
            kept.0 == *member.ingress && kept.1.as_ref() == member.params
        };
        self.members.len() == group.members.len()
            && self.members.iter().zip(&group.members).all(is_same)
            && !self.reads.meets(changes)
    }
}

/// Builds a group, and says what that looked at.
pub(super) fn build_now(tables: &Tables<'_>, group: &GroupInput<'_>) -> (Outcome, Reads) {
    let input = Input::new(tables);
    let report = Report::new(input.settings);
    let model = build::build(&input, group, &report).map(Arc::new);
    let outcome = Outcome {
        model,
        is_refused: report.is_refused(),
        problems: report.finish(),
    };
    (outcome, input.into_reads())
}
