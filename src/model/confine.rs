//! What of a commit stands and falls together, so that a mistake in one part need not stop the others (gitops G12).
//!
//! A part is an Ingress group or a role with the documents that are its own: its Ingresses; its IAMServiceAccount and
//! ServiceAccount. A part with a problem is taken whole from an earlier commit, together with what its last good form uses:
//! Services, Secrets, IngressClasses and their parameters. Two parts are held together where they would pull one document
//! into two directions: an Ingress that moves from one to the other, or something that both use and the commit changes.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    id::{ObjectKey, StackId},
    manifest::{Body, Ingress, Manifests},
    model::{desired::Member, facts::needs},
    problem::{Origin, Problem, codes},
};

mod parts;
#[cfg(test)]
mod tests;

use parts::{INGRESS, NAMESPACE, Parts, SECRET, SERVICE, kind, named};

/// The parts of a commit that are held, each with what is wrong in it.
pub type Held = BTreeMap<StackId, Vec<Problem>>;

/// A commit whose held parts come from an earlier one.
#[derive(Clone, Debug, Default)]
pub struct Composed {
    pub manifests: Manifests,
    /// What was taken from the earlier one, by the part that it was taken for.
    pub older: BTreeMap<ObjectKey, StackId>,
}

/// Problems of these checks are of the commit as a whole, whatever object they name: which of several documents is meant
/// cannot be told.
const OF_THE_WHOLE: [&str; 3] = [
    codes::DUPLICATE_OBJECT,
    codes::IAM_DUPLICATE,
    codes::SEVERAL_DEFAULT_CLASSES,
];

/// Finds the parts that problems are confined to, and those that are held with them. `base`: what is in force.
///
/// # Errors
/// The problems that cannot be confined: of files that could not be taken apart, of objects that belong to no part, and
/// of what all parts hang on.
pub fn confine(
    tip: &Manifests,
    base: &Manifests,
    problems: &[Problem],
) -> Result<Held, Vec<Problem>> {
    let (now, before) = (Parts::of(tip), Parts::of(base));
    let mut held = Held::new();
    let mut of_the_whole = Vec::new();
    for problem in problems {
        if !problem.is_grave() {
            continue;
        }
        let stacks = stacks(problem, &now, &before);
        if stacks.is_empty() {
            of_the_whole.push(problem.clone());
        }
        for stack in stacks {
            let own = held.entry(stack).or_default();
            if !own.contains(problem) {
                own.push(problem.clone());
            }
        }
    }
    if !of_the_whole.is_empty() {
        return Err(of_the_whole);
    }
    let (new, old) = (index(tip), index(base));
    let joint = Joint {
        changed: before
            .all_uses()
            .filter(|key| kind(key) != NAMESPACE && body(&new, key) != body(&old, key))
            .collect(),
        now: &now,
        before: &before,
        places: [&new, &old],
    };
    while let Some((stack, problem)) = joint.next(&held) {
        held.insert(stack, vec![problem]);
    }
    Ok(held)
}

/// Drops the problems that are of held parts alone, and answers with them.
pub fn drop_held(
    problems: &mut Vec<Problem>,
    held: &Held,
    tip: &Manifests,
    base: &Manifests,
) -> Vec<Problem> {
    let (now, before) = (Parts::of(tip), Parts::of(base));
    let is_of = |problem: &Problem| {
        let stacks = stacks(problem, &now, &before);
        !stacks.is_empty() && stacks.iter().all(|stack| held.contains_key(stack))
    };
    let (of_held, rest) = std::mem::take(problems).into_iter().partition(is_of);
    *problems = rest;
    of_held
}

/// The objects that stand for a part: its Ingresses, its ServiceAccount; of the commit or of what is in force.
pub fn members(stack: &StackId, tip: &Manifests, base: &Manifests) -> Vec<ObjectKey> {
    let (now, before) = (Parts::of(tip), Parts::of(base));
    let own: BTreeSet<&ObjectKey> = now.own(stack).chain(before.own(stack)).collect();
    own.into_iter()
        .filter(|key| matches!(kind(key), INGRESS | parts::SERVICE_ACCOUNT))
        .cloned()
        .collect()
}

/// What the Ingresses of one group name.
#[derive(Debug, Default)]
pub struct Uses {
    pub objects: BTreeSet<ObjectKey>,
    /// Target groups of the user's, by name.
    pub target_groups: BTreeSet<String>,
    /// Some of them names no class, so the default one is theirs.
    pub unclassed: bool,
}

/// What the Ingresses of a commit name, for many groups.
pub struct Naming<'a> {
    ingresses: BTreeMap<(&'a str, &'a str), &'a Ingress>,
    uses: parts::UsesOf<'a>,
}

impl<'a> Naming<'a> {
    pub fn of(manifests: &'a Manifests) -> Self {
        let ingresses = manifests.ingresses.iter();
        Self {
            ingresses: ingresses
                .map(|it| ((it.namespace.as_str(), it.name.as_str()), &**it))
                .collect(),
            uses: parts::UsesOf::new(manifests),
        }
    }

    /// Whether git holds such a class.
    pub fn has_class(&self, name: &str) -> bool {
        self.uses.has_class(name)
    }

    /// Whether git holds such parameters of classes.
    pub fn has_params(&self, name: &str) -> bool {
        self.uses.has_params(name)
    }

    pub fn uses(&self, members: &[Member]) -> Uses {
        let mut uses = Uses::default();
        for member in members {
            let reference = &member.reference;
            let namespace = reference.namespace.as_deref().unwrap_or_default();
            if let Some(ingress) = self.ingresses.get(&(namespace, reference.name.as_str())) {
                self.uses.add(ingress, &mut uses.objects);
                let named = needs::named_target_groups(&ingress.options);
                uses.target_groups.extend(named);
                uses.unclassed |= ingress.names_no_class();
            }
        }
        uses
    }
}

/// The documents of these groups alone. `members`: their Ingresses that git alone would not know for such, as
/// `namespace/name`.
pub fn groups(
    ids: &BTreeSet<&str>,
    members: &BTreeSet<String>,
    manifests: &Manifests,
) -> Manifests {
    let parts = Parts::of(manifests);
    let is_member = |key: &ObjectKey| {
        kind(key) == INGRESS
            && key.namespace.as_ref().is_some_and(|namespace| {
                let key = format!("{namespace}/{}", key.name);
                members.contains(&key)
            })
    };
    let of_groups = parts.stacks().filter(|stack| {
        matches!(stack, StackId::Group(id) if ids.contains(id.as_str()))
            || parts.own(stack).any(is_member)
    });
    let keys: BTreeSet<&ObjectKey> = of_groups
        .flat_map(|stack| parts.own(stack).chain(parts.uses(stack)))
        .collect();
    pick(manifests, |key| keys.contains(key))
}

/// Whether there is such a part.
pub fn has(manifests: &Manifests, stack: &StackId) -> bool {
    Parts::of(manifests).stacks().any(|it| it == stack)
}

/// The parts that a problem belongs to; none if it cannot be confined.
fn stacks(problem: &Problem, now: &Parts, before: &Parts) -> BTreeSet<StackId> {
    if OF_THE_WHOLE.contains(&problem.code.as_str()) {
        return BTreeSet::new();
    }
    let Some(key) = problem.object.as_deref().and_then(named) else {
        return BTreeSet::new();
    };
    let mut stacks: BTreeSet<StackId> = now.owners(&key).chain(before.owners(&key)).collect();
    if stacks.is_empty() {
        if kind(&key) == SERVICE || kind(&key) == SECRET {
            stacks = now.users(&key).collect();
        } else if let (INGRESS, Some(namespace)) = (kind(&key), &key.namespace) {
            // So bad that it was not even read, and new.
            stacks.insert(StackId::Group(format!("{namespace}/{}", key.name)));
        }
    }
    stacks
}

/// What ties parts together.
struct Joint<'a> {
    /// Documents that parts use and that the commit changes.
    changed: BTreeSet<&'a ObjectKey>,
    now: &'a Parts,
    before: &'a Parts,
    places: [&'a Index<'a>; 2],
}

impl Joint<'_> {
    /// The next part that cannot go on without a held one.
    fn next(&self, held: &Held) -> Option<(StackId, Problem)> {
        let all: BTreeSet<&StackId> = self.now.stacks().chain(self.before.stacks()).collect();
        let others = all.into_iter().filter(|stack| !held.contains_key(*stack));
        others.into_iter().find_map(|stack| {
            let own: BTreeSet<&ObjectKey> = self.own(stack).collect();
            let (with, key, how) = held.keys().find_map(|with| {
                let moved = self.own(with).find(|key| own.contains(key));
                let shared = self.before.uses(with).find(|key| {
                    self.changed.contains(key) && self.now.uses(stack).any(|used| used == *key)
                });
                moved
                    .map(|key| (with, key, "moves between the two"))
                    .or_else(|| shared.map(|key| (with, key, "is used by both and changes")))
            })?;
            let first = own.first().copied().unwrap_or(key);
            let problem = Problem::new(
                codes::HELD_TOGETHER,
                self.place(&own, key),
                format!("{stack} is held together with {with}: {key} {how}"),
            );
            let problem = problem.of(first).hint(format!("correct {with}"));
            Some((stack.clone(), problem))
        })
    }

    fn own<'a>(&'a self, stack: &StackId) -> impl Iterator<Item = &'a ObjectKey> {
        self.now.own(stack).chain(self.before.own(stack))
    }

    /// The first place of any of these: in the tip, else before.
    fn place(&self, own: &BTreeSet<&ObjectKey>, key: &ObjectKey) -> Origin {
        let keys = || own.iter().copied().chain([key]);
        let mut places = self.places.iter();
        places
            .find_map(|index| keys().find_map(|key| Some(index.get(key)?.0.clone())))
            .unwrap_or_else(|| Origin::start_of("."))
    }
}

/// The commit with its held parts as `base` has them; a part that `base` has not is left out.
pub fn compose(tip: &Manifests, base: &Manifests, held: &Held) -> Composed {
    let (now, before) = (Parts::of(tip), Parts::of(base));
    let new = index(tip);
    let elsewhere: BTreeSet<&ObjectKey> = now
        .stacks()
        .filter(|stack| !held.contains_key(*stack))
        .flat_map(|stack| now.uses(stack))
        .collect();
    let mut back: BTreeMap<ObjectKey, StackId> = BTreeMap::new();
    for (stack, problems) in held {
        let own = now.own(stack).chain(before.own(stack)).cloned();
        let blamed = problems
            .iter()
            .filter(|problem| problem.code != codes::HELD_TOGETHER)
            .filter_map(|problem| named(problem.object.as_deref()?));
        let used = before.uses(stack).filter(|key| {
            // Others live in a namespace too: it only has to be there.
            kind(key) != NAMESPACE || !new.contains_key(*key)
        });
        let only_here = now
            .uses(stack)
            .filter(|key| matches!(kind(key), SERVICE | SECRET) && !elsewhere.contains(key));
        for key in own.chain(blamed).chain(used.chain(only_here).cloned()) {
            back.entry(key).or_insert_with(|| stack.clone());
        }
    }
    let mut manifests = pick(tip, |key| !back.contains_key(key));
    let older = pick(base, |key| back.contains_key(key));
    let of_base = index(base);
    back.retain(|key, _| of_base.contains_key(key));
    manifests.watched.clone_from(&tip.watched);
    merge(&mut manifests, older);
    Composed {
        manifests,
        older: back,
    }
}

/// One base of several commits: of each the documents that [`compose`] takes for its part of `tip`.
pub fn gather(tip: &Manifests, held: &Held, bases: &BTreeMap<StackId, &Manifests>) -> Manifests {
    let now = Parts::of(tip);
    let mut all = Manifests::default();
    for (stack, problems) in held {
        let Some(base) = bases.get(stack) else {
            continue;
        };
        let before = Parts::of(base);
        let blamed = problems
            .iter()
            .filter_map(|problem| named(problem.object.as_deref()?));
        let keys: BTreeSet<ObjectKey> = before
            .own(stack)
            .chain(before.uses(stack))
            .chain(now.uses(stack))
            .cloned()
            .chain(blamed)
            .collect();
        let known: BTreeSet<ObjectKey> = index(&all).into_keys().collect();
        let more = pick(base, |key| keys.contains(key) && !known.contains(key));
        merge(&mut all, more);
    }
    all
}

/// Every document with its place; ours, which never reach the cluster, without their text.
type Index<'a> = BTreeMap<ObjectKey, (&'a Origin, Option<&'a Body>)>;

fn index(manifests: &Manifests) -> Index<'_> {
    let objects = manifests.objects.iter();
    let accounts = manifests.iam_service_accounts.iter();
    objects
        .map(|it| (it.reference.key(), (&it.origin, Some(&it.body))))
        .chain(accounts.map(|it| (parts::iam_key(it), (&it.origin, None))))
        .collect()
}

fn body<'a>(index: &Index<'a>, key: &ObjectKey) -> Option<&'a Body> {
    index.get(key)?.1
}

/// The documents whose keys pass.
fn pick(manifests: &Manifests, keep: impl Fn(&ObjectKey) -> bool) -> Manifests {
    let keep = &keep;
    let namespaced = |group: &str, kind: &str, namespace: &str, name: &str| {
        keep(&parts::key(group, kind, Some(namespace), name))
    };
    let objects = manifests.objects.iter();
    let ingresses = manifests.ingresses.iter();
    let classes = manifests.classes.iter();
    let params = manifests.params.iter();
    let services = manifests.services.iter();
    let iam = manifests.iam_service_accounts.iter();
    let accounts = manifests.service_accounts.iter();
    let namespaces = manifests.namespaces.iter();
    let secrets = manifests.secrets.iter();
    Manifests {
        objects: objects
            .filter(|object| keep(&object.reference.key()))
            .cloned()
            .collect(),
        ingresses: ingresses
            .filter(|it| keep(&parts::ingress_key(it)))
            .cloned()
            .collect(),
        classes: classes
            .filter(|it| keep(&parts::class_key(&it.name)))
            .cloned()
            .collect(),
        params: params
            .filter(|it| keep(&parts::params_key(&it.name)))
            .cloned()
            .collect(),
        services: services
            .filter(|it| namespaced("", SERVICE, &it.reference.namespace, &it.reference.name))
            .cloned()
            .collect(),
        iam_service_accounts: iam
            .filter(|it| keep(&parts::iam_key(it)))
            .cloned()
            .collect(),
        service_accounts: accounts
            .filter(|it| namespaced("", parts::SERVICE_ACCOUNT, &it.namespace, &it.name))
            .cloned()
            .collect(),
        namespaces: namespaces
            .filter(|(name, _)| keep(&parts::key("", NAMESPACE, None, name)))
            .map(|(name, labels)| (name.clone(), labels.clone()))
            .collect(),
        secrets: secrets
            .filter(|(text, _)| {
                let (namespace, name) = text.split_once('/').unwrap_or(("", text));
                namespaced("", SECRET, namespace, name)
            })
            .map(|(text, shape)| (text.clone(), shape.clone()))
            .collect(),
        watched: BTreeMap::new(),
    }
}

/// Adds documents of which none is there yet, in the order in which parsing leaves them.
fn merge(manifests: &mut Manifests, more: Manifests) {
    let Manifests {
        objects,
        ingresses,
        classes,
        params,
        services,
        iam_service_accounts,
        service_accounts,
        namespaces,
        secrets,
        watched: _,
    } = more;
    manifests.objects.extend(objects);
    manifests
        .objects
        .sort_by_cached_key(|object| (object.reference.key(), object.origin.clone()));
    manifests.ingresses.extend(ingresses);
    manifests.ingresses.sort_by_key(|ingress| ingress.key());
    manifests.classes.extend(classes);
    manifests.classes.sort_by(|a, b| a.name.cmp(&b.name));
    manifests.params.extend(params);
    manifests.params.sort_by(|a, b| a.name.cmp(&b.name));
    manifests.services.extend(services);
    manifests
        .services
        .sort_by(|a, b| a.reference.cmp(&b.reference));
    manifests.iam_service_accounts.extend(iam_service_accounts);
    manifests
        .iam_service_accounts
        .sort_by_key(|account| account.key());
    manifests.service_accounts.extend(service_accounts);
    manifests
        .service_accounts
        .sort_by(|a, b| (&a.namespace, &a.name).cmp(&(&b.namespace, &b.name)));
    manifests.namespaces.extend(namespaces);
    manifests.secrets.extend(secrets);
}
