use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;
use crate::{
    id::RepoPath,
    manifest::{self, ParseOptions},
    source::snapshot::Snapshot,
};

fn read(files: &[(String, String)]) -> Manifests {
    let files = files
        .iter()
        .map(|(path, text)| {
            (
                RepoPath::from(path.as_str()),
                text.clone().into_bytes().into(),
            )
        })
        .collect();
    let snapshot = Snapshot {
        commit: None,
        files,
    };
    let parsed = manifest::parse(&snapshot, &ParseOptions::default());
    assert_eq!(parsed.problems, []);
    parsed.value
}

/// A small repository: Ingress → (group, Service, path); Service → port; each may be absent.
#[derive(Clone, Debug)]
struct Repo {
    ingresses: [Option<(u8, u8, u8)>; 4],
    services: [Option<u8>; 3],
    class: u8,
}

impl Repo {
    fn manifests(&self) -> Manifests {
        let mut files = vec![(
            "class.yaml".to_owned(),
            format!(
                "apiVersion: networking.k8s.io/v1
kind: IngressClass
metadata: {{name: aws, labels: {{generation: \"{}\"}}}}
spec: {{controller: ingress.k8s.aws/alb}}
",
                self.class
            ),
        )];
        for (index, service) in self.services.iter().enumerate() {
            let Some(port) = service else { continue };
            files.push((
                format!("s{index}.yaml"),
                format!(
                    "apiVersion: v1
kind: Service
metadata: {{name: s{index}, namespace: default}}
spec: {{type: NodePort, ports: [{{port: 80, targetPort: {}}}]}}
",
                    8000 + u16::from(*port)
                ),
            ));
        }
        for (index, ingress) in self.ingresses.iter().enumerate() {
            let Some((group, service, path)) = ingress else {
                continue;
            };
            files.push((
                format!("i{index}.yaml"),
                format!(
                    "apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: i{index}
  namespace: default
  annotations: {{alb.ingress.kubernetes.io/group.name: g{group}}}
spec:
  ingressClassName: aws
  rules: [{{http: {{paths: [{{path: /{path}, pathType: Exact, backend: {{service: {{name: s{service}, port: {{number: 80}}}}}}}}]}}}}]
"
                ),
            ));
        }
        read(&files)
    }
}

fn repo() -> impl Strategy<Value = Repo> {
    let ingress = prop::option::weighted(0.8, (0..3_u8, 0..3_u8, 0..3_u8));
    let service = prop::option::weighted(0.8, 0..2_u8);
    (
        prop::array::uniform4(ingress),
        prop::array::uniform3(service),
        // Nearly always the same.
        prop::sample::select(vec![0_u8, 0, 0, 1]),
    )
        .prop_map(|(ingresses, services, class)| Repo {
            ingresses,
            services,
            class,
        })
}

fn problem(index: usize) -> Problem {
    let origin = Origin::new(format!("i{index}.yaml"), 1, 1);
    Problem::new(codes::BAD_ANNOTATION, origin, "wrong").of(format!("Ingress default/i{index}"))
}

/// Everything that a stack owns and uses, as text.
fn form(manifests: &Manifests, stack: &StackId) -> BTreeMap<ObjectKey, Option<Body>> {
    let parts = Parts::of(manifests);
    let index = index(manifests);
    parts
        .own(stack)
        .chain(parts.uses(stack))
        .map(|key| (key.clone(), body(&index, key).cloned()))
        .collect()
}

proptest! {
    #[test]
    fn a_held_part_is_as_it_was_and_every_other_as_the_commit_wants_it(
        base in repo(),
        tip in repo(),
        bad in 0..4_usize,
    ) {
        let (base, tip) = (base.manifests(), tip.manifests());
        let held = confine(&tip, &base, &[problem(bad)]).expect("it can be confined");
        let composed = compose(&tip, &base, &held).manifests;
        let all: BTreeSet<StackId> = [&base, &tip]
            .into_iter()
            .flat_map(|manifests| Parts::of(manifests).stacks().cloned().collect::<Vec<_>>())
            .collect();
        for stack in &all {
            let want = if held.contains_key(stack) { &base } else { &tip };
            prop_assert_eq!(form(&composed, stack), form(want, stack), "{}", stack);
        }
        let keys: Vec<ObjectKey> = composed.objects.iter().map(|it| it.reference.key()).collect();
        let once: BTreeSet<&ObjectKey> = keys.iter().collect();
        prop_assert_eq!(once.len(), keys.len());
        // What is kept of the base is enough to make the same again.
        let bases = held.keys().map(|stack| (stack.clone(), &base)).collect();
        let again = compose(&tip, &gather(&tip, &held, &bases), &held).manifests;
        prop_assert_eq!(again.objects, composed.objects);
        prop_assert_eq!(again.ingresses, composed.ingresses);
    }
}

fn repo_of(ingresses: &[(u8, u8, u8)], services: &[u8]) -> Repo {
    let mut repo = Repo {
        ingresses: [None; 4],
        services: [None; 3],
        class: 0,
    };
    for (place, it) in repo.ingresses.iter_mut().zip(ingresses) {
        *place = Some(*it);
    }
    for (place, it) in repo.services.iter_mut().zip(services) {
        *place = Some(*it);
    }
    repo
}

fn stacks_of(held: &Held) -> Vec<String> {
    held.keys().map(ToString::to_string).collect()
}

#[test]
fn a_problem_holds_the_group_of_its_ingress_and_no_other() {
    let repo = repo_of(&[(0, 0, 0), (1, 1, 0)], &[0, 0]).manifests();
    let held = confine(&repo, &repo, &[problem(1)]).expect("it can be confined");
    assert_eq!(stacks_of(&held), ["group g1"]);
}

#[test]
fn a_problem_of_a_service_holds_all_groups_that_use_it() {
    let repo = repo_of(&[(0, 0, 0), (1, 0, 0), (2, 1, 0)], &[0, 0]).manifests();
    let of_service = problem(0).of("Service default/s0");
    let held = confine(&repo, &repo, &[of_service]).expect("it can be confined");
    assert_eq!(stacks_of(&held), ["group g0", "group g1"]);
    let unused = problem(0).of("Service default/s2");
    assert!(confine(&repo, &repo, &[unused]).is_err());
}

#[test]
fn a_changed_class_holds_all_groups_of_it_together() {
    let base = repo_of(&[(0, 0, 0), (1, 1, 0)], &[0, 0]);
    let tip = Repo {
        class: 1,
        ..base.clone()
    };
    let held = confine(&tip.manifests(), &base.manifests(), &[problem(0)]).expect("confined");
    assert_eq!(stacks_of(&held), ["group g0", "group g1"]);
    let why = &held[&StackId::Group("g1".to_owned())][0];
    assert_eq!(why.code, codes::HELD_TOGETHER);
    assert!(why.message.contains("IngressClass aws"), "{}", why.message);
    assert_eq!(why.origin.file.as_ref(), "i1.yaml");
}

#[test]
fn what_nobody_can_be_blamed_for_alone_is_not_confined() {
    let repo = repo_of(&[(0, 0, 0)], &[0]).manifests();
    let at = Origin::start_of("x.yaml");
    for problem in [
        Problem::new(codes::YAML_SYNTAX, at.clone(), "no YAML"),
        Problem::new(codes::BAD_CLASS, at.clone(), "wrong").of("IngressClass aws"),
        Problem::new(codes::WRONG_TYPE, at.clone(), "wrong").of("ConfigMap default/a"),
        Problem::new(codes::DUPLICATE_OBJECT, at, "twice").of("Ingress default/i0"),
    ] {
        let all = [problem.clone(), self::problem(0)];
        assert_eq!(confine(&repo, &repo, &all), Err(vec![problem]));
    }
}

#[test]
fn a_warning_holds_nothing() {
    let repo = repo_of(&[(0, 0, 0)], &[0]).manifests();
    let held = confine(&repo, &repo, &[problem(0).warning()]).expect("nothing to confine");
    assert_eq!(held, Held::new());
}
