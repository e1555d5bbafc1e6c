//! One group from its members, and all groups of a commit: each aspect in its file, in LBC's order (ingress-model §0.1).

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use rayon::iter::{IntoParallelRefIterator, ParallelIterator};

use super::{
    GroupId, GroupModel, add_on,
    cache::{self, Cache, Outcome},
    collision::{self, Collision, Names},
    context::{GroupInput, Input, Refused, Report, Tables, Whole},
    frontend_nlb, listener, load_balancer, member, port,
};
use crate::{
    id::ObjectRef,
    manifest::{Ingress, Manifests, annotation::Setting},
    model::{
        build::count_targets,
        desired::Member,
        facts::Facts,
        quota::{self, Forecast, Peaks},
        settings::{Checks, Settings},
    },
    problem::{Problem, Severity, codes},
};

/// The longest value of a label.
const MAX_LABEL: usize = 63;

/// A part of the model, or [`Refused`] when its problem has been told.
pub type Built<T> = Result<T, Refused>;

/// All groups of a commit.
#[derive(Debug, Default)]
pub struct GroupsResult {
    /// By group id; one that is refused has its reasons among the problems.
    pub groups: BTreeMap<String, Built<Arc<GroupModel>>>,
    /// In the order of their places, each once.
    pub problems: Vec<Problem>,
    /// Ingresses that are in no group.
    pub left_out: Vec<LeftOut>,
    /// What is not among the built groups.
    pub refused: BTreeMap<String, RefusedGroup>,
}

/// An Ingress that is kept out of its group: what was applied for it must not be taken down by a mistake (lessons B2).
#[derive(Clone, Debug)]
pub struct LeftOut {
    pub member: Member,
    /// The group that its annotations ask for. Which one its class asks for cannot be told without the class.
    pub group: String,
    /// What keeps it out; absent: it may be ours, and nobody looked up what the cluster's default class is.
    pub problem: Option<Problem>,
}

/// A group that could not be built whole, and why.
#[derive(Debug, Default)]
pub struct RefusedGroup {
    pub members: Vec<Member>,
    pub problems: Vec<Problem>,
}

impl GroupsResult {
    /// The groups that could be built.
    pub fn into_models(self) -> BTreeMap<String, Arc<GroupModel>> {
        let built = self.groups.into_iter();
        built
            .filter_map(|(id, model)| Some((id, model.ok()?)))
            .collect()
    }
}

/// Builds every group that the documents ask for; one that is refused holds up no other.
pub fn build_all(manifests: &Manifests, facts: &Facts, settings: &Settings) -> GroupsResult {
    let whole = Whole {
        manifests,
        facts,
        settings,
    };
    let mut all = All {
        tables: Tables::new(whole),
        names: Names::default(),
    };
    build_with(whole, &mut all).0
}

/// The same, building only the groups that look at something that is different since the cache's last build.
pub fn build_changed(
    manifests: &Manifests,
    facts: &Facts,
    settings: &Settings,
    cache: &mut Cache,
) -> GroupsResult {
    let whole = Whole {
        manifests,
        facts,
        settings,
    };
    let mut rebuild = cache::Rebuild::new(cache, whole);
    if let Some(outcomes) = rebuild.few() {
        let mut result = assemble(whole, Vec::new(), outcomes, rebuild.names());
        add_members(&mut result, |id| rebuild.members(id));
        rebuild.finish_few();
        return result;
    }
    let (result, is_plain) = build_with(whole, &mut rebuild);
    rebuild.finish(is_plain);
    result
}

/// Where the groups come from.
pub(super) trait Builder {
    /// In the order of the groups.
    fn groups(&mut self, groups: &[(&str, &GroupInput<'_>)]) -> Vec<Outcome>;
    fn names(&mut self) -> &mut Names;
}

/// Every group is built.
struct All<'a> {
    tables: Tables<'a>,
    names: Names,
}

impl Builder for All<'_> {
    fn groups(&mut self, groups: &[(&str, &GroupInput<'_>)]) -> Vec<Outcome> {
        self.tables.prepare();
        let built = groups.par_iter();
        built
            .map(|(_, group)| cache::build_now(&self.tables, group).0)
            .collect()
    }

    fn names(&mut self) -> &mut Names {
        &mut self.names
    }
}

/// The groups, and whether nothing was found to say of any Ingress when they were put together.
fn build_with(whole: Whole<'_>, builder: &mut impl Builder) -> (GroupsResult, bool) {
    let grouping = member::group(&whole);
    let is_plain = grouping.is_plain();
    let told = Report::new(whole.settings);
    for problem in grouping.problems {
        told.add(problem);
    }
    let told = told.finish();
    let mut left_out = left_out(whole.manifests, &told);
    left_out.extend(grouping.undecided.into_iter().map(|ingress| LeftOut {
        member: as_member(ingress),
        group: would_be(ingress),
        problem: None,
    }));
    let groups = &grouping.groups;
    let wanted = groups.iter().map(|(id, group)| (id.as_str(), group));
    let wanted: Vec<_> = wanted
        .filter(|(id, _)| !grouping.refused.contains(*id))
        .collect();
    let built = builder.groups(&wanted);
    let built = wanted.iter().map(|(id, _)| (*id).to_owned()).zip(built);
    let refused = grouping.refused.iter().map(|id| {
        let outcome = Outcome {
            model: Err(Refused),
            is_refused: true,
            problems: Vec::new(),
        };
        (id.clone(), outcome)
    });
    let outcomes = built.chain(refused).collect();
    let mut result = assemble(whole, told, outcomes, builder.names());
    add_members(&mut result, |id| {
        let members = groups.get(id).into_iter().flat_map(|it| &it.members);
        members.map(|it| as_member(it.ingress)).collect()
    });
    result.left_out = left_out;
    (result, is_plain)
}

/// `problems`: those of putting the groups together.
fn assemble(
    whole: Whole<'_>,
    mut problems: Vec<Problem>,
    outcomes: Vec<(String, Outcome)>,
    names: &mut Names,
) -> GroupsResult {
    let mut refused: BTreeMap<String, RefusedGroup> = BTreeMap::new();
    let mut groups = Vec::with_capacity(outcomes.len());
    // With those that are refused, so that what is wrong with their names is found at once.
    let mut named = Vec::with_capacity(outcomes.len());
    for (id, outcome) in outcomes {
        if let Ok(model) = &outcome.model {
            named.push((id.clone(), model.clone()));
        }
        let built = match outcome.is_refused {
            true => Err(Refused),
            false => outcome.model,
        };
        if built.is_err() {
            let entry = refused.entry(id.clone()).or_default();
            entry.problems.extend(outcome.problems.iter().cloned());
        }
        problems.extend(outcome.problems);
        groups.push((id, built));
    }
    let mut groups: BTreeMap<_, _> = groups.into_iter().collect();
    let named: BTreeMap<_, _> = named.into_iter().collect();
    let report = Report::new(whole.settings);
    if names.take(&named) {
        refuse_equal_names(&named, &mut groups, &report);
    }
    problems.extend(report.finish());
    problems.extend(forecast(whole, &groups, &Peaks::default()));
    settle(&mut problems);
    GroupsResult {
        groups,
        problems,
        left_out: Vec::new(),
        refused,
    }
}

/// Says who would be in the groups that are refused.
fn add_members(result: &mut GroupsResult, members: impl Fn(&str) -> Vec<Member>) {
    for (id, _) in result.groups.iter().filter(|(_, built)| built.is_err()) {
        let entry = result.refused.entry(id.clone()).or_default();
        entry.members.extend(members(id));
    }
}

/// The Ingresses of these groups on these facts, as `namespace/name`.
pub fn members_of(
    ids: &BTreeSet<&str>,
    manifests: &Manifests,
    facts: &Facts,
    settings: &Settings,
) -> BTreeSet<String> {
    let grouping = member::group(&Whole {
        manifests,
        facts,
        settings,
    });
    let groups = grouping.groups.iter();
    groups
        .filter(|(id, _)| ids.contains(id.as_str()))
        .flat_map(|(_, group)| &group.members)
        .map(|member| member.ingress.key())
        .collect()
}

/// Ingresses that a problem keeps out of their groups.
fn left_out(manifests: &Manifests, problems: &[Problem]) -> Vec<LeftOut> {
    let rejecting = || {
        let problems = problems.iter();
        problems.filter(|problem| problem.is_grave())
    };
    if rejecting().next().is_none() {
        return Vec::new();
    }
    // Of two with one name the first, as it is grouped.
    let mut ingresses = BTreeMap::new();
    for ingress in &manifests.ingresses {
        let object = format!("Ingress {}", ingress.key());
        ingresses.entry(object).or_insert(ingress);
    }
    let left_out = rejecting().filter_map(|problem| {
        let ingress = ingresses.get(problem.object.as_ref()?)?;
        Some(LeftOut {
            member: as_member(ingress),
            group: would_be(ingress),
            problem: Some(problem.clone()),
        })
    });
    left_out.collect()
}

/// The group that an Ingress names, or its own.
fn would_be(ingress: &Ingress) -> String {
    let named = ingress.options.group.name.as_ref();
    match named
        .and_then(Setting::good)
        .filter(|name| !name.is_empty())
    {
        Some(name) => name.clone(),
        None => ingress.key().to_string(),
    }
}

/// Names have to be unique in the account and region; two equal ones would fight over one resource (ingress-model §15.7).
fn refuse_equal_names(
    named: &BTreeMap<String, Arc<GroupModel>>,
    groups: &mut BTreeMap<String, Built<Arc<GroupModel>>>,
    report: &Report<'_>,
) {
    let named = named.iter().map(|(id, model)| (id, &**model));
    for Collision {
        problem,
        groups: both,
    } in collision::equal_names(named)
    {
        if report.add(problem) == Severity::Problem {
            groups.extend(both.map(|id| (id.to_owned(), Err(Refused))));
        }
    }
}

/// What will not fit the account's limits, where they were read.
pub fn forecast(
    whole: Whole<'_>,
    groups: &BTreeMap<String, Built<Arc<GroupModel>>>,
    peaks: &Peaks,
) -> Vec<Problem> {
    let Some(limits) = &whole.facts.account_limits else {
        return Vec::new();
    };
    let groups = groups
        .iter()
        .filter_map(|(id, built)| Some((id.as_str(), &**built.as_ref().ok()?)))
        .collect();
    let report = Report::new(whole.settings);
    let forecast = quota::forecast(Forecast {
        limits,
        groups: &groups,
        peaks,
        targets: &count_targets(whole.manifests, whole.facts, whole.settings),
    });
    for problem in forecast {
        report.add(problem);
    }
    report.finish()
}

/// Puts problems in order; of one told twice at one place the more severe stays.
pub fn settle(problems: &mut Vec<Problem>) {
    problems.sort_by(|a, b| {
        let key = |problem: &'_ Problem| std::cmp::Reverse(problem.severity);
        (&a.origin, &a.code, &a.object, &a.message, key(a)).cmp(&(
            &b.origin,
            &b.code,
            &b.object,
            &b.message,
            key(b),
        ))
    });
    problems.dedup_by(|next, kept| {
        (&next.origin, &next.code, &next.object, &next.message)
            == (&kept.origin, &kept.code, &kept.object, &kept.message)
    });
}

/// Builds one group; the problems are in the report, which says whether the group is refused for them. It goes on after a
/// mistake, so that all are found.
///
/// # Errors
/// Something of it could not be made.
pub fn build(input: &Input<'_>, group: &GroupInput<'_>, report: &Report<'_>) -> Built<GroupModel> {
    if input.settings.checks == Checks::Strict {
        // What parsing could not hold against an Ingress before it was known to be ours.
        for member in &group.members {
            for problem in &member.ingress.deferred {
                // Parameters that git does not hold may say that targets are no instances; the target groups know.
                let is_settled = problem.code == codes::NODE_PORT
                    && member
                        .params
                        .is_some_and(|params| params.spec.target_type.is_some());
                if !is_settled {
                    report.add(problem.clone());
                }
            }
        }
    }
    check_label(group, report);
    let ports = port::build(input, group, report);
    let placed = load_balancer::build(input, group, ports.as_ref().ok(), report);
    let listeners = ports
        .as_ref()
        .map_err(|refused| *refused)
        .and_then(|ports| listener::build_all(input, group, ports, &placed.reach, report));
    let add_ons = add_on::build(input, group, report);
    let frontend_nlb = match (&ports, &placed.load_balancer) {
        (Ok(ports), Ok(balancer)) => frontend_nlb::build(input, group, ports, balancer, report),
        _ => Err(Refused),
    };
    let (ports, listeners) = (ports?, listeners?);
    Ok(GroupModel {
        members: group
            .members
            .iter()
            .map(|member| as_member(member.ingress))
            .collect(),
        security_group: placed.security_groups?.managed,
        load_balancer: placed.load_balancer?,
        listeners: listeners.listeners,
        target_groups: listeners.target_groups,
        certificates: ports.requests,
        add_ons: add_ons?,
        frontend_nlb: frontend_nlb?,
    })
}

/// The bindings' label `ingress.k8s.aws/stack-name` is the Ingress's name, which may be longer than a label's value. LBC
/// finds that only after the target groups exist (ingress-model §15.5).
fn check_label(group: &GroupInput<'_>, report: &Report<'_>) {
    let (GroupId::Implicit { name, .. }, Some(member)) = (&group.id, group.members.first()) else {
        return;
    };
    if name.len() > MAX_LABEL {
        report.add(
            Problem::new(
                codes::TOO_LONG,
                member.ingress.origin.clone(),
                format!(
                    "metadata.name is longer than the {MAX_LABEL} characters that a label's value holds"
                ),
            )
            .of(member.object())
            .hint("target groups' bindings are labelled with it; a group.name of its own needs no such label"),
        );
    }
}

pub(super) fn as_member(ingress: &Ingress) -> Member {
    Member {
        reference: ObjectRef {
            api_version: "networking.k8s.io/v1".to_owned(),
            kind: "Ingress".to_owned(),
            namespace: Some(ingress.namespace.clone()),
            name: ingress.name.clone(),
        },
        origin: ingress.origin.clone(),
    }
}
