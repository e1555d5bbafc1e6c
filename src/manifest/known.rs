//! All documents of a commit in their order, and what is wrong with them: kept, and put right by what changes.

use std::{
    cmp::Ordering,
    collections::{BTreeMap, HashMap, HashSet},
};

use rayon::slice::ParallelSliceMut;

use super::{
    IamServiceAccount, Ingress, IngressClass, IngressClassParams, Manifests, Object, ParseOptions,
    Service, ServiceAccount, ServiceRef,
    document::{Document, Typed},
    is_under, lower,
    validate::{self, Ownership, Whole, ownership},
    watchers::{Topic, Watchers},
};
use crate::{
    id::{ObjectKey, RepoPath},
    problem::Problem,
    shared::Shared,
};

/// More elements than this are exchanged by going over the whole list.
const FEW: usize = 64;

/// Documents that come and go, and files that have more or fewer of them.
#[derive(Debug, Default)]
pub(super) struct Change {
    gone: Documents,
    new: Documents,
    counts: Vec<(RepoPath, usize, usize)>,
}

impl Change {
    /// In one file some go and some come.
    pub fn file(
        &mut self,
        path: &RepoPath,
        gone: Vec<Shared<Document>>,
        new: Vec<Shared<Document>>,
    ) {
        if gone.len() != new.len() {
            self.counts.push((path.clone(), gone.len(), new.len()));
        }
        gone.into_iter().for_each(|it| self.gone.add(it));
        new.into_iter().for_each(|it| self.new.add(it));
    }
}

/// Documents by what they are.
#[derive(Debug, Default)]
struct Documents {
    objects: Vec<Shared<Object>>,
    ingresses: Vec<Shared<Document>>,
    classes: Vec<IngressClass>,
    params: Vec<Shared<IngressClassParams>>,
    services: Vec<Shared<Service>>,
    iam_service_accounts: Vec<IamServiceAccount>,
    service_accounts: Vec<ServiceAccount>,
    /// Namespaces and Secrets.
    by_name: Vec<Shared<Document>>,
}

impl Documents {
    fn add(&mut self, document: Shared<Document>) {
        let object = &document.object;
        match &document.typed {
            Typed::Class(class) => self.classes.push(class.clone()),
            Typed::Params(params) => self.params.push(params.clone()),
            Typed::Service(service) => self.services.push(service.clone()),
            Typed::ServiceAccount(account) => self.service_accounts.push(account.clone()),
            Typed::IamServiceAccount(account) => {
                // Never sent to the cluster.
                self.iam_service_accounts.push((**account).clone());
                return;
            }
            Typed::Ingress(..) => self.ingresses.push(document.clone()),
            Typed::Namespace(_) | Typed::Secret(_) => self.by_name.push(document.clone()),
            Typed::Other => {}
        }
        self.objects.push(object.clone());
    }
}

/// What all documents come to.
#[derive(Debug, Default)]
pub(super) struct Known {
    pub manifests: Manifests,
    /// Namespaces and Secrets in order.
    by_name: Vec<Shared<Document>>,
    watchers: Watchers,
    /// Problems of Ingresses of ours, by the addresses of their documents.
    of_ingresses: HashMap<usize, Vec<Problem>>,
    of_services: BTreeMap<ServiceRef, Vec<Problem>>,
    of_objects: BTreeMap<ObjectKey, Vec<Problem>>,
    of_all: Vec<Problem>,
}

impl Known {
    pub fn new(options: &ParseOptions) -> Self {
        let mut known = Self::default();
        for path in &options.watched {
            known.manifests.watched.insert(path.clone(), 0);
        }
        known
    }

    /// All problems: those of files, and those found across them.
    pub fn problems<'a>(
        &'a self,
        of_files: impl Iterator<Item = &'a Problem>,
        options: &ParseOptions,
    ) -> Vec<Problem> {
        let found = self.of_objects.values().chain(self.of_services.values());
        let found = found.chain(self.of_ingresses.values()).flatten();
        let mut problems: Vec<Problem> =
            of_files.chain(found).chain(&self.of_all).cloned().collect();
        lower(&mut problems, options);
        problems.sort();
        problems.dedup();
        problems
    }

    /// Puts everything right after a change. `all`: every document that is there now.
    pub fn take<'d, I: Iterator<Item = &'d Shared<Document>>>(
        &mut self,
        change: Change,
        all: impl Fn() -> I,
        options: &ParseOptions,
    ) {
        let Change { gone, new, counts } = change;
        let manifests = &mut self.manifests;
        for (path, before, now) in counts {
            for (watched, count) in &mut manifests.watched {
                if is_under(&path, watched) {
                    *count = *count + now - before;
                }
            }
        }
        let decides_classes = [&gone, &new]
            .iter()
            .any(|it| !it.classes.is_empty() || !it.params.is_empty());
        exchange_shared(
            &mut manifests.objects,
            &gone.objects,
            &new.objects,
            |a, b| (a.reference.identity(), &a.origin).cmp(&(b.reference.identity(), &b.origin)),
        );
        exchange_shared(
            &mut manifests.services,
            &gone.services,
            &new.services,
            |a, b| (&a.reference, &a.origin).cmp(&(&b.reference, &b.origin)),
        );
        exchange(
            &mut manifests.classes,
            &gone.classes,
            &new.classes,
            |a, b| (&a.name, &a.origin).cmp(&(&b.name, &b.origin)),
        );
        exchange(&mut manifests.params, &gone.params, &new.params, |a, b| {
            (&a.name, &a.origin).cmp(&(&b.name, &b.origin))
        });
        exchange(
            &mut manifests.iam_service_accounts,
            &gone.iam_service_accounts,
            &new.iam_service_accounts,
            |a, b| (a.key(), &a.origin).cmp(&(b.key(), &b.origin)),
        );
        exchange(
            &mut manifests.service_accounts,
            &gone.service_accounts,
            &new.service_accounts,
            |a, b| (&a.namespace, &a.name, &a.origin).cmp(&(&b.namespace, &b.name, &b.origin)),
        );
        self.take_by_name(&gone.by_name, &new.by_name);
        for document in &gone.ingresses {
            self.watchers.remove(document);
            self.of_ingresses.remove(&document.address());
        }
        self.watchers.add(&new.ingresses);
        let ingresses: Vec<Shared<Document>> = if decides_classes {
            let all = all().filter(|document| matches!(document.typed, Typed::Ingress(..)));
            all.cloned().collect()
        } else {
            self.concerned(&gone, &new)
        };
        self.decide(&gone.ingresses, &new.ingresses, &ingresses, options);
        self.look_at_services(&gone.services, &new.services, options);
        self.look_at_objects(&gone.objects, &new.objects, options);
        self.of_all = Whole::new(&self.manifests, &self.watchers, options, 0).of_all();
    }

    fn take_by_name(&mut self, gone: &[Shared<Document>], new: &[Shared<Document>]) {
        if gone.is_empty() && new.is_empty() {
            return;
        }
        exchange(&mut self.by_name, gone, new, |a, b| {
            let (a, b) = (&a.object, &b.object);
            (a.reference.identity(), &a.origin).cmp(&(b.reference.identity(), &b.origin))
        });
        let Manifests {
            namespaces,
            secrets,
            ..
        } = &mut self.manifests;
        namespaces.clear();
        secrets.clear();
        // Of two with one name, which is a problem, the last stays.
        for document in &self.by_name {
            let reference = &document.object.reference;
            match &document.typed {
                Typed::Namespace(labels) => {
                    namespaces.insert(reference.name.clone(), labels.clone());
                }
                Typed::Secret(shape) => {
                    let namespace = reference.namespace.as_deref().unwrap_or_default();
                    secrets.insert(format!("{namespace}/{}", reference.name), shape.clone());
                }
                _ => {}
            }
        }
    }

    /// The Ingresses that a change has to do with, each once.
    fn concerned(&self, gone: &Documents, new: &Documents) -> Vec<Shared<Document>> {
        let mut concerned = new.ingresses.clone();
        for service in gone.services.iter().chain(&new.services) {
            let ServiceRef { namespace, name } = &service.reference;
            let watchers = self.watchers.of(Topic::Service(namespace, name));
            concerned.extend(watchers.cloned());
        }
        for document in gone.ingresses.iter().chain(&new.ingresses) {
            let Typed::Ingress(ingress, _) = &document.typed else {
                continue;
            };
            if let Some(name) = &ingress.options.group.name
                && validate::speaks_for_group(ingress)
            {
                concerned.extend(self.watchers.of(Topic::Group(&name.text)).cloned());
            }
        }
        concerned.sort_unstable_by_key(Shared::address);
        concerned.dedup_by_key(|document| document.address());
        concerned
    }

    /// Which problems of these Ingresses count.
    fn decide(
        &mut self,
        gone: &[Shared<Document>],
        new: &[Shared<Document>],
        concerned: &[Shared<Document>],
        options: &ParseOptions,
    ) {
        let whole = Whole::new(&self.manifests, &self.watchers, options, concerned.len());
        let mut decided = Vec::with_capacity(concerned.len());
        for document in concerned {
            let Typed::Ingress(ingress, uses) = &document.typed else {
                continue;
            };
            let found = whole.of_ingress(ingress, uses);
            decided.push((document.address(), as_decided(ingress, found, &whole)));
        }
        let is_new: HashSet<usize> = new.iter().map(Shared::address).collect();
        let (mut fresh, mut again) = (Vec::new(), Vec::new());
        for (address, (ingress, problems)) in decided {
            if problems.is_empty() {
                self.of_ingresses.remove(&address);
            } else {
                self.of_ingresses.insert(address, problems);
            }
            if is_new.contains(&address) {
                fresh.push(ingress);
            } else {
                again.push(ingress);
            }
        }
        let gone: Vec<Shared<Ingress>> = gone
            .iter()
            .filter_map(|document| match &document.typed {
                Typed::Ingress(ingress, _) => Some(ingress.clone()),
                _ => None,
            })
            .collect();
        let order = |a: &Shared<Ingress>, b: &Shared<Ingress>| {
            a.cmp_key(b).then_with(|| a.origin.cmp(&b.origin))
        };
        let ingresses = &mut self.manifests.ingresses;
        exchange_shared(ingresses, &gone, &fresh, order);
        for ingress in again {
            let at = ingresses.binary_search_by(|other| order(other, &ingress));
            if let Ok(at) = at
                && ingresses[at] != ingress
            {
                ingresses[at] = ingress;
            }
        }
    }

    fn look_at_services(
        &mut self,
        gone: &[Shared<Service>],
        new: &[Shared<Service>],
        options: &ParseOptions,
    ) {
        let looked = gone.len() + new.len();
        let whole = Whole::new(&self.manifests, &self.watchers, options, looked);
        for service in gone.iter().chain(new) {
            let ServiceRef { namespace, name } = &service.reference;
            let last = whole.service(namespace, name);
            let problems = last.map(|service| whole.of_service(service));
            match problems.filter(|problems| !problems.is_empty()) {
                Some(problems) => {
                    self.of_services.insert(service.reference.clone(), problems);
                }
                None if self.of_services.is_empty() => {}
                None => {
                    self.of_services.remove(&service.reference);
                }
            }
        }
    }

    fn look_at_objects(
        &mut self,
        gone: &[Shared<Object>],
        new: &[Shared<Object>],
        options: &ParseOptions,
    ) {
        let whole = Whole::new(&self.manifests, &self.watchers, options, 0);
        let objects = &self.manifests.objects;
        if gone.len() + new.len() > FEW {
            self.of_objects.clear();
            let same = objects.chunk_by(|a, b| a.reference.identity() == b.reference.identity());
            for same in same.filter(|same| same.len() > 1) {
                let problems = whole.of_same(same);
                self.of_objects.insert(same[0].reference.key(), problems);
            }
            return;
        }
        for object in gone.iter().chain(new) {
            let identity = object.reference.identity();
            let start = objects.partition_point(|it| it.reference.identity() < identity);
            let rest = &objects[start..];
            let count = rest.partition_point(|it| it.reference.identity() == identity);
            if count > 1 {
                let problems = whole.of_same(&rest[..count]);
                self.of_objects.insert(object.reference.key(), problems);
            } else if !self.of_objects.is_empty() {
                self.of_objects.remove(&object.reference.key());
            }
        }
    }
}

/// The Ingress with those of its problems that wait for facts to decide whether it is ours, and those that count.
fn as_decided(
    ingress: &Shared<Ingress>,
    found: Vec<Problem>,
    whole: &Whole<'_>,
) -> (Shared<Ingress>, Vec<Problem>) {
    let mut ingress = ingress.clone();
    let mut problems = Vec::new();
    // Most have none: asking first leaves them shared.
    if ingress.deferred.is_empty() && found.is_empty() {
        return (ingress, problems);
    }
    ingress.deferred.extend(found);
    match ownership(&ingress, &whole.manifests.classes, whole.options) {
        Ownership::Ours => problems.append(&mut ingress.deferred),
        Ownership::Foreign => ingress.deferred.clear(),
        Ownership::Undecided => {
            lower(&mut ingress.deferred, whole.options);
            ingress.deferred.sort();
        }
    }
    (ingress, problems)
}

/// [`exchange`], leaving the list shared where nothing changes.
fn exchange_shared<T: Clone + Send>(
    list: &mut Shared<Vec<T>>,
    gone: &[T],
    new: &[T],
    order: impl Fn(&T, &T) -> Ordering + Sync,
) {
    if !gone.is_empty() || !new.is_empty() {
        exchange(list, gone, new, order);
    }
}

/// Takes elements out of a list that is in order, and puts others in. The order of files and documents never matters
/// (gitops R11): whatever has one name is in the order of its places.
fn exchange<T: Clone + Send>(
    list: &mut Vec<T>,
    gone: &[T],
    new: &[T],
    order: impl Fn(&T, &T) -> Ordering + Sync,
) {
    if gone.len() + new.len() <= FEW {
        for element in gone {
            if let Ok(at) = list.binary_search_by(|other| order(other, element)) {
                list.remove(at);
            }
        }
        for element in new {
            let at = list.partition_point(|other| order(other, element).is_le());
            list.insert(at, element.clone());
        }
        return;
    }
    let mut gone: Vec<&T> = gone.iter().collect();
    gone.sort_by(|a, b| order(a, b));
    let mut gone = gone.into_iter().peekable();
    list.retain(|element| {
        while gone.next_if(|it| order(it, element).is_lt()).is_some() {}
        gone.next_if(|it| order(it, element).is_eq()).is_none()
    });
    list.extend_from_slice(new);
    list.par_sort_by(order);
}
