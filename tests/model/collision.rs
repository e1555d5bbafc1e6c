//! Which repositories want two things under one id or name: worked out from what the documents say and the formulas of
//! ingress-model §3.1, §6.1, §6.2 and §8, with nothing of how albsync builds them.

use std::collections::{BTreeMap, BTreeSet};

use albsync::problem::{Problem, codes};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::{
    CLUSTER,
    repository::{Ingress, Repository},
};

/// Two that would be one: the id or name that they share with its kind, and each of them with its line.
pub type Pair = (String, [(String, u32); 2]);

fn pair(shared: String, a: (String, u32), b: (String, u32)) -> Pair {
    let mut both = [a, b];
    both.sort();
    (shared, both)
}

/// What was told, in the words of its problems.
///
/// # Panics
/// A problem says it in other words.
pub fn told(problems: &[Problem]) -> BTreeSet<Pair> {
    let collisions = problems
        .iter()
        .filter(|it| it.code == codes::NAME_COLLISION);
    collisions.map(told_by).collect()
}

fn told_by(problem: &Problem) -> Pair {
    let message = problem.message.as_str();
    let at = problem.origin.line;
    let also = problem.also.as_ref().expect("both places").line;
    if let Some((both, id)) = message.split_once(" get one target group, ") {
        let (later, first) = both.split_once(" and ").expect(message);
        let shared = format!("id {}", id.trim_matches('"'));
        return pair(shared, (later.to_owned(), at), (first.to_owned(), also));
    }
    let (shared, both) = message.split_once(" is wanted twice, by ").expect(message);
    let (first, later) = both.split_once(" and ").expect(message);
    let shared = shared.strip_prefix("the ").expect(message).to_owned();
    pair(shared, (first.to_owned(), also), (later.to_owned(), at))
}

/// Whether both are among those that share the name: where the first of several is refused for another reason, the second
/// is told with the others.
pub fn is_founded((shared, both): &Pair, expected: &BTreeSet<Pair>) -> bool {
    let sharers: BTreeSet<&(String, u32)> = expected
        .iter()
        .filter(|(of, _)| of == shared)
        .flat_map(|(_, both)| both)
        .collect();
    both.iter().all(|one| sharers.contains(one))
}

/// Every pair that there is: of several that share a name the first with each of the others.
pub fn expected(repository: &Repository) -> BTreeSet<Pair> {
    let mut pairs = BTreeSet::new();
    let mut names: BTreeMap<String, Vec<(String, u32)>> = BTreeMap::new();
    let mut want = |kind: &str, name: String, who: String, line: u32| {
        let wanted = names.entry(format!("{kind} name `{name}`")).or_default();
        wanted.push((who, line));
    };
    for (id, members) in groups(repository) {
        let group = Group { id: &id, members };
        let first = group.members[0].line;
        let balancer = group.balancer_name();
        want(
            "load balancer",
            balancer.clone(),
            format!("group {id}"),
            first,
        );
        want(
            "security group",
            group.with_hash(&[CLUSTER, &id]),
            format!("group {id}"),
            first,
        );
        if group.has("enable-frontend-nlb", "true") {
            let who = format!("the frontend NLB of group {id}");
            let cut: String = balancer.chars().take(28).collect();
            want("load balancer", format!("{cut}-nlb"), who.clone(), first);
            for port in group.ports().keys() {
                let port = port.to_string();
                let parts = [CLUSTER, &id, &port, "alb", "TCP", "traffic-port", "HTTP"];
                want("target group", group.with_hash(&parts), who.clone(), first);
            }
        }
        for (target_id, backends) in group.backends(repository) {
            let (first, others) = backends.split_first().expect("one at least");
            for other in others {
                let shared = format!("id {target_id}");
                pairs.insert(pair(shared, first.told(), other.told()));
            }
            let who = format!("target group {target_id}");
            want("target group", first.name(&id), who, first.line);
        }
    }
    for (shared, who) in names {
        let (first, others) = who.split_first().expect("one at least");
        for other in others {
            pairs.insert(pair(shared.clone(), first.clone(), other.clone()));
        }
    }
    pairs
}

struct Member<'a> {
    ingress: &'a Ingress,
    line: u32,
}

/// By group id; members in group order (ingress-model §1.3).
fn groups(repository: &Repository) -> BTreeMap<String, Vec<Member<'_>>> {
    let mut groups: BTreeMap<String, Vec<Member<'_>>> = BTreeMap::new();
    for (index, ingress) in repository.ingresses.iter().enumerate() {
        let member = Member {
            ingress,
            line: Repository::line_of(index),
        };
        groups.entry(ingress.group()).or_default().push(member);
    }
    for members in groups.values_mut() {
        members.sort_by_key(|member| {
            let ingress = member.ingress;
            let order = ingress.annotations.get("group.order");
            let order: i32 = order.map_or(0, |order| order.parse().expect("a number"));
            (order, format!("{}/{}", ingress.namespace, ingress.name))
        });
    }
    groups
}

struct Group<'a> {
    id: &'a str,
    members: Vec<Member<'a>>,
}

/// One Service's port as one Ingress names it.
struct Backend<'a> {
    ingress: &'a Ingress,
    line: u32,
    service: String,
    port: String,
    uid: String,
    /// Target type and the target group's port.
    target: (&'static str, u16),
}

impl<'a> Group<'a> {
    fn has(&self, key: &str, value: &str) -> bool {
        let mut members = self.members.iter();
        members.any(|member| member.ingress.annotations.get(key) == Some(&value))
    }

    fn find(&self, key: &str) -> Option<&'static str> {
        let mut members = self.members.iter();
        members.find_map(|member| member.ingress.annotations.get(key).copied())
    }

    fn balancer_name(&self) -> String {
        match self.find("load-balancer-name") {
            Some(name) => name.to_owned(),
            None => {
                let scheme = self.find("scheme").unwrap_or("internal");
                self.with_hash(&[CLUSTER, self.id, scheme])
            }
        }
    }

    fn with_hash(&self, parts: &[&str]) -> String {
        let hash = hash(parts);
        match self.id.split_once('/') {
            Some((namespace, name)) => {
                format!("k8s-{}-{}-{hash}", cut(8, namespace), cut(8, name))
            }
            None => format!("k8s-{}-{hash}", cut(17, self.id)),
        }
    }

    /// Ports in order, each with the members that listen there.
    fn ports(&self) -> BTreeMap<u64, Vec<&Member<'a>>> {
        let mut ports: BTreeMap<u64, Vec<&Member<'a>>> = BTreeMap::new();
        for member in &self.members {
            for (_, port) in listens(member.ingress) {
                ports.entry(port).or_default().push(member);
            }
        }
        ports
    }

    /// By id, each in the order in which they are asked for. With a redirection nobody asks on plain ports.
    fn backends(&self, repository: &Repository) -> BTreeMap<String, Vec<Backend<'a>>> {
        let redirects = self.find("ssl-redirect").is_some();
        let mut backends: BTreeMap<String, Vec<Backend<'a>>> = BTreeMap::new();
        for (port, members) in self.ports() {
            for member in members {
                let ingress = member.ingress;
                if redirects && listens(ingress).contains(&("HTTP".to_owned(), port)) {
                    continue;
                }
                for (_, paths) in &ingress.rules {
                    let asked = paths.iter();
                    let asked =
                        asked.flat_map(|(_, _, service, port)| asked_for(ingress, service, port));
                    for (service, port) in asked {
                        let id = format!("{}/{}-{service}:{port}", ingress.namespace, ingress.name);
                        let same = backends.entry(id).or_default();
                        let is_known = |it: &Backend<'_>| {
                            (it.ingress.name, &it.service) == (ingress.name, &service)
                        };
                        if !same.iter().any(is_known) {
                            same.push(Backend {
                                ingress,
                                line: member.line,
                                uid: repository.uid(ingress.namespace, &service),
                                target: repository.target(ingress, &service, &port),
                                service,
                                port,
                            });
                        }
                    }
                }
            }
        }
        backends
    }
}

/// Services with their ports behind one path: itself, or those of its action (ingress-model §5.6).
fn asked_for(ingress: &Ingress, service: &str, port: &str) -> Vec<(String, String)> {
    if port != "use-annotation" {
        return vec![(service.to_owned(), port.to_owned())];
    }
    let action = ingress.annotations[format!("actions.{service}").as_str()];
    let action: Value = serde_json::from_str(action).expect("JSON");
    let groups = action["forwardConfig"]["targetGroups"].as_array();
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let groups = groups.into_iter().flatten();
    groups
        .map(|it| (text(&it["serviceName"]), text(&it["servicePort"])))
        .collect()
}

/// Protocols with ports (ingress-model §4.1).
fn listens(ingress: &Ingress) -> Vec<(String, u64)> {
    let Some(text) = ingress.annotations.get("listen-ports") else {
        return vec![match ingress.annotations.contains_key("certificate-arn") {
            true => ("HTTPS".to_owned(), 443),
            false => ("HTTP".to_owned(), 80),
        }];
    };
    let entries: Vec<BTreeMap<String, u64>> = serde_json::from_str(text).expect("JSON");
    entries.into_iter().flatten().collect()
}

impl Backend<'_> {
    fn told(&self) -> (String, u32) {
        let Ingress {
            namespace, name, ..
        } = self.ingress;
        let who = format!("Service `{}` of Ingress {namespace}/{name}", self.service);
        (who, self.line)
    }

    /// ingress-model §6.2.
    fn name(&self, group: &str) -> String {
        let (target_type, port) = self.target;
        let port = port.to_string();
        let of_ingress = |key: &str| self.ingress.annotations.get(key).copied();
        let control = format!("target-control-port.{}.{}", self.service, self.port);
        let control = of_ingress(&control);
        let hash = hash(&[
            CLUSTER,
            group,
            self.ingress.namespace,
            self.ingress.name,
            &self.uid,
            &self.port,
            &port,
            target_type,
            "HTTP",
            of_ingress("backend-protocol-version").unwrap_or("HTTP1"),
            control.unwrap_or_default(),
        ]);
        let (namespace, service) = (cut(8, self.ingress.namespace), cut(8, &self.service));
        format!("k8s-{namespace}-{service}-{hash}")
    }
}

/// The first ten digits of the parts' hash.
fn hash(parts: &[&str]) -> String {
    let digest = Sha256::digest(parts.concat());
    let digits = digest.iter().map(|byte| format!("{byte:02x}"));
    digits.take(5).collect()
}

/// Letters and digits, and of these the first.
fn cut(count: usize, text: &str) -> String {
    let kept = text.chars().filter(char::is_ascii_alphanumeric);
    kept.take(count).collect()
}
