//! What the builders of one group share: what they may look at, and where they put what is wrong.

use std::{
    cell::RefCell,
    collections::{BTreeMap, HashMap},
};

use super::{
    GroupId, SecurityGroupRef,
    build::Built,
    certificate,
    reads::{Reads, Table},
};
use crate::{
    manifest::{
        Ingress, Manifests, SecretShape, Service, ServiceRef,
        annotation::{IngressOptions, PREFIX, Setting},
        ingress::IngressClassParams,
    },
    model::{
        facts::{
            Facts, LoadBalancerFact, NamedArn, SecretFact, SecurityGroupFact, ServiceFact, Subnet,
            Vpc,
        },
        settings::{Checks, Settings},
    },
    problem::{Origin, Problem, Severity, codes},
    shared::Shared,
};

/// What decides which groups there are, and who belongs to them.
#[derive(Clone, Copy)]
pub struct Whole<'a> {
    pub manifests: &'a Manifests,
    pub facts: &'a Facts,
    pub settings: &'a Settings,
}

/// Documents and facts as they are looked up; the same for all groups.
pub struct Tables<'a> {
    whole: Whole<'a>,
    services: Services<'a>,
    by_name: Option<ByName<'a>>,
    certificates: Option<certificate::Index<'a>>,
}

/// Services of git and of the cluster (by `namespace/name`).
#[derive(Default)]
struct ByName<'a> {
    in_git: HashMap<&'a ServiceRef, &'a Shared<Service>>,
    in_cluster: HashMap<&'a str, &'a ServiceFact>,
}

impl<'a> Tables<'a> {
    pub fn new(whole: Whole<'a>) -> Self {
        let is_ordered = whole.manifests.services.is_sorted_by(|a, b| in_order(a, b));
        Self::of_ordered(whole, is_ordered)
    }

    /// The same, where it is known whether the Services are in order, as parsing leaves them.
    pub(super) fn of_ordered(whole: Whole<'a>, is_ordered: bool) -> Self {
        Self {
            whole,
            services: Services::new(&whole.manifests.services, is_ordered),
            by_name: None,
            certificates: whole
                .facts
                .certificates
                .as_ref()
                .map(|certificates| certificate::Index::new(certificates, whole.settings)),
        }
    }

    /// Makes look-ups faster, which takes as long as some hundreds of them: worth it where many groups are built.
    pub(super) fn prepare(&mut self) {
        let mut by_name = ByName::default();
        by_name.in_git.reserve(self.whole.manifests.services.len());
        for service in (0..).map_while(|index| self.services.at(index)) {
            by_name.in_git.entry(&service.reference).or_insert(service);
        }
        let in_cluster = self.whole.facts.services.iter();
        let in_cluster = in_cluster.flat_map(|services| services.iter());
        by_name.in_cluster = in_cluster.map(|(key, it)| (key.as_str(), it)).collect();
        self.by_name = Some(by_name);
    }

    fn service(&self, wanted: &ServiceRef) -> Option<&'a Shared<Service>> {
        match &self.by_name {
            Some(by_name) => by_name.in_git.get(wanted).copied(),
            None => self.services.get(wanted),
        }
    }

    /// The outer `None`: the cluster's were not looked up.
    fn service_fact(&self, key: &str) -> Option<Option<&'a ServiceFact>> {
        let services = self.whole.facts.services.as_ref()?;
        Some(match &self.by_name {
            Some(by_name) => by_name.in_cluster.get(key).copied(),
            None => services.get(key),
        })
    }
}

/// Everything that the builders of one group may look at. Whatever is looked at is noted, so that the group is built again
/// only when something of it is different: there is no other way to documents and facts.
pub struct Input<'a> {
    pub settings: &'a Settings,
    tables: &'a Tables<'a>,
    reads: RefCell<Reads>,
}

impl<'a> Input<'a> {
    pub fn new(tables: &'a Tables<'a>) -> Self {
        Self {
            settings: tables.whole.settings,
            tables,
            reads: RefCell::default(),
        }
    }

    /// What was looked at.
    pub(super) fn into_reads(self) -> Reads {
        let mut reads = self.reads.into_inner();
        reads.settle();
        reads
    }

    fn table(&self, table: Table) -> &'a Facts {
        self.reads.borrow_mut().tables.insert(table);
        self.tables.whole.facts
    }

    /// `None`: the account's certificates were not looked up.
    pub fn certificates(&self) -> Option<&certificate::Index<'a>> {
        self.table(Table::Certificates);
        self.tables.certificates.as_ref()
    }

    pub fn security_groups(&self) -> Option<&'a Vec<SecurityGroupFact>> {
        self.table(Table::SecurityGroups).security_groups.as_ref()
    }

    pub fn subnets(&self) -> Option<&'a Vec<Subnet>> {
        self.table(Table::Subnets).subnets.as_ref()
    }

    pub fn target_groups(&self) -> Option<&'a Vec<NamedArn>> {
        self.table(Table::TargetGroups).target_groups.as_ref()
    }

    pub fn trust_stores(&self) -> Option<&'a Vec<NamedArn>> {
        self.table(Table::TrustStores).trust_stores.as_ref()
    }

    pub fn vpc(&self) -> Option<&'a Vpc> {
        self.table(Table::Vpc).vpc.as_ref()
    }

    pub fn web_acls(&self) -> Option<&'a Vec<NamedArn>> {
        self.table(Table::WebAcls).web_acls.as_ref()
    }

    /// The live balancer of a group; the outer `None`: balancers were not looked up.
    pub fn load_balancer(&self, group: &str) -> Option<Option<&'a LoadBalancerFact>> {
        let mut reads = self.reads.borrow_mut();
        reads.load_balancers.insert(group.to_owned());
        Some(self.tables.whole.facts.load_balancers.as_ref()?.get(group))
    }

    /// The Service as git holds it.
    pub fn service(&self, service: &ServiceRef) -> Option<&'a Service> {
        let document = self.tables.service(service);
        self.reads.borrow_mut().service(service, document);
        document.map(|document| &**document)
    }

    /// The Service as the cluster holds it; the outer `None`: the cluster's were not looked up.
    pub fn service_fact(&self, service: &ServiceRef) -> Option<Option<&'a ServiceFact>> {
        let document = self.tables.service(service);
        self.reads.borrow_mut().service(service, document);
        let key = [&service.namespace, "/", &service.name].concat();
        self.tables.service_fact(&key)
    }

    /// Names of a namespace's Services: some of git's, and some of the cluster's.
    pub fn service_names(&self, namespace: &str, most: usize) -> Vec<String> {
        self.reads.borrow_mut().all_services = true;
        let in_git = self.tables.services.of_namespace(namespace);
        let in_git = in_git.map(|it| it.name.clone()).take(most);
        let mut names: Vec<String> = in_git.collect();
        let prefix = format!("{namespace}/");
        let services = self.tables.whole.facts.services.iter();
        let in_cluster = services
            .flat_map(|services| services.range(prefix.clone()..))
            .map_while(|(key, _)| key.strip_prefix(&prefix));
        names.extend(in_cluster.take(most).map(str::to_owned));
        names
    }

    /// Names of a namespace's Secrets, as far as they are known: git's, and those that somebody asks for.
    pub fn secret_names(&self, namespace: &str) -> Vec<&'a str> {
        self.reads.borrow_mut().all_secrets = true;
        let Whole {
            manifests, facts, ..
        } = self.tables.whole;
        let in_git = manifests.secrets.keys();
        let in_cluster = facts.secrets.iter().flat_map(BTreeMap::keys);
        let of_namespace = in_git.chain(in_cluster).filter_map(|key| {
            let (of, name) = key.split_once('/')?;
            (of == namespace).then_some(name)
        });
        of_namespace.collect()
    }

    /// The Secret as git declares it, by `namespace/name`.
    pub fn secret(&self, key: &str) -> Option<&'a SecretShape> {
        self.reads.borrow_mut().secrets.insert(key.to_owned());
        self.tables.whole.manifests.secrets.get(key)
    }

    /// The Secret as the cluster holds it; the outer `None`: the cluster's were not looked up.
    pub fn secret_fact(&self, key: &str) -> Option<Option<&'a SecretFact>> {
        self.reads.borrow_mut().secrets.insert(key.to_owned());
        Some(self.tables.whole.facts.secrets.as_ref()?.get(key))
    }
}

/// Services in order: by name, and of one name by place. Two of one name are a problem found by parsing; the first
/// counts, whatever the order in which they come.
enum Services<'a> {
    AsTheyCome(&'a [Shared<Service>]),
    Sorted(Vec<&'a Shared<Service>>),
}

impl<'a> Services<'a> {
    fn new(services: &'a [Shared<Service>], is_ordered: bool) -> Self {
        if is_ordered {
            return Self::AsTheyCome(services);
        }
        let mut sorted: Vec<_> = services.iter().collect();
        sorted.sort_by(|a, b| (&a.reference, &a.origin).cmp(&(&b.reference, &b.origin)));
        Self::Sorted(sorted)
    }

    fn at(&self, index: usize) -> Option<&'a Shared<Service>> {
        match self {
            Self::AsTheyCome(services) => services.get(index),
            Self::Sorted(services) => services.get(index).copied(),
        }
    }

    /// From which on the names are not below.
    fn from(&self, is_below: impl Fn(&ServiceRef) -> bool) -> usize {
        match self {
            Self::AsTheyCome(services) => services.partition_point(|it| is_below(&it.reference)),
            Self::Sorted(services) => services.partition_point(|it| is_below(&it.reference)),
        }
    }

    fn get(&self, wanted: &ServiceRef) -> Option<&'a Shared<Service>> {
        let found = self.at(self.from(|reference| reference < wanted));
        found.filter(|found| found.reference == *wanted)
    }

    /// Names, each once.
    fn of_namespace(&self, namespace: &str) -> impl Iterator<Item = &'a ServiceRef> {
        let start = self.from(|reference| *reference.namespace < *namespace);
        let mut before: Option<&ServiceRef> = None;
        (start..)
            .map_while(|index| self.at(index))
            .map(|service| &service.reference)
            .take_while(move |it| it.namespace == namespace)
            .filter(move |it| before.replace(it) != Some(it))
    }
}

/// Whether two Services may stand so: by name, and of one name by place.
pub(super) fn in_order(a: &Service, b: &Service) -> bool {
    (&a.reference, &a.origin) <= (&b.reference, &b.origin)
}

/// One Ingress of a group with the parameters of its class.
#[derive(Clone, Copy, Debug)]
pub struct MemberInput<'a> {
    pub ingress: &'a Shared<Ingress>,
    /// Absent on the path of the older class annotation, and where the class has none.
    pub params: Option<&'a Shared<IngressClassParams>>,
}

impl<'a> MemberInput<'a> {
    pub fn options(&self) -> &'a IngressOptions {
        &self.ingress.options
    }

    /// `Ingress namespace/name`, as problems name it.
    pub fn object(&self) -> String {
        format!("Ingress {}", self.ingress.key())
    }
}

/// A group before it is built: members in group order.
pub struct GroupInput<'a> {
    pub id: GroupId,
    pub members: Vec<MemberInput<'a>>,
}

/// What of the balancer decides how its target groups are made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reach {
    /// It has IPv6 addresses; absent where that could not be told, and its problem has been.
    pub is_dualstack: Option<bool>,
    /// Whom the targets' security groups let in; absent where nobody manages them (ingress-model §3.5).
    pub source: Option<SecurityGroupRef>,
}

/// The problems of one group. A builder goes on after a mistake wherever it can, so that all are found; what it could not
/// make is [`Built`]'s error, without a word, because the problem has been told.
pub struct Report<'a> {
    settings: &'a Settings,
    problems: RefCell<Vec<Problem>>,
}

/// Told already: see the report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused;

impl<'a> Report<'a> {
    pub fn new(settings: &'a Settings) -> Self {
        Self {
            settings,
            problems: RefCell::new(Vec::new()),
        }
    }

    /// Whether only what LBC refuses is refused.
    pub fn is_lbc(&self) -> bool {
        self.settings.checks == Checks::Lbc
    }

    /// Notes a problem, as a warning where its check is lowered. Its code tells whether LBC's builder has the check too.
    pub fn add(&self, mut problem: Problem) -> Severity {
        if self.settings.lowers(&problem.code) {
            problem.severity = Severity::Warning;
        }
        let severity = problem.severity;
        self.problems.borrow_mut().push(problem);
        severity
    }

    /// Notes what LBC refuses too.
    pub fn refuse<T>(&self, problem: Problem) -> Built<T> {
        self.add(problem);
        Err(Refused)
    }

    /// Notes that an annotation has no effect because a feature gate is closed.
    pub fn closed(&self, (member, origin): (MemberInput<'_>, &Origin), name: &str, gate: &str) {
        self.add(
            Problem::new(
                codes::NO_EFFECT,
                origin.clone(),
                format!(
                    "the annotation {PREFIX}/{name} has no effect: the feature gate {gate} is closed"
                ),
            )
            .of(member.object())
            .hint(format!(
                "remove it, or set ingress.featureGates.{gate} in the configuration"
            )),
        );
    }

    /// Notes that a fact is needed that was not looked up.
    pub fn missing_fact<T>(&self, origin: &Origin, object: &str, what: &str) -> Built<T> {
        self.refuse(
            Problem::new(
                codes::FACT_MISSING,
                origin.clone(),
                format!("{what} was not looked up"),
            )
            .of(object),
        )
    }

    /// The value of an annotation that somebody asks for; what is wrong with it is told now.
    pub fn ask<'s, T>(&self, setting: Option<&'s Setting<T>>) -> Built<Option<&'s T>> {
        match setting.map(|setting| &setting.value) {
            None => Ok(None),
            Some(Ok(value)) => Ok(Some(value)),
            Some(Err(problem)) => self.refuse((**problem).clone()),
        }
    }

    pub fn is_refused(&self) -> bool {
        let problems = self.problems.borrow();
        problems.iter().any(Problem::is_grave)
    }

    pub fn finish(self) -> Vec<Problem> {
        self.problems.into_inner()
    }
}
