//! What holds of the ingress model whatever the documents say.

use std::{collections::BTreeMap, sync::Arc};

use albsync::{
    manifest::{self, Checks, ParseOptions},
    model::{
        facts::Facts,
        group::{self, GroupModel},
        lbc,
        settings::Settings,
    },
    problem::{Problem, Severity, codes},
    source::Snapshot,
};
use proptest::prelude::*;

mod again;
mod audit;
mod collision;
mod edits;
mod repository;
mod values;

use audit::limits::LIMITS;
use repository::{Repository, look_alikes, repositories};

const CLUSTER: &str = "demo";

fn settings(checks: Checks) -> Settings {
    Settings {
        cluster_name: CLUSTER.to_owned(),
        checks,
        ..Settings::offline()
    }
}

struct Built {
    groups: BTreeMap<String, Arc<GroupModel>>,
    lbc: String,
    /// Those that reject.
    problems: Vec<Problem>,
}

fn build(snapshot: &Snapshot, facts: &Facts, checks: Checks) -> Built {
    let options = ParseOptions {
        checks,
        ..ParseOptions::default()
    };
    let parsed = manifest::parse(snapshot, &options);
    let built = group::build::build_all(&parsed.value, facts, &settings(checks));
    let problems = parsed
        .problems
        .iter()
        .chain(&built.problems)
        .filter(|problem| problem.severity == Severity::Problem)
        .cloned()
        .collect();
    let groups = built.into_models();
    Built {
        lbc: serde_json::to_string(&lbc::Models(&groups)).expect("JSON"),
        problems,
        groups,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn the_order_of_files_documents_and_keys_changes_nothing(
        repository in repositories(),
        first in any::<u64>(),
        second in any::<u64>(),
    ) {
        for checks in [Checks::Lbc, Checks::Strict] {
            let one = build(&repository.written(first), &repository.facts(), checks);
            let other = build(&repository.written(second), &repository.facts(), checks);
            prop_assert_eq!(&one.lbc, &other.lbc);
            let texts = |built: &Built| {
                let texts = built.problems.iter();
                let mut texts: Vec<_> = texts.map(|it| (&it.code, &it.object, &it.message)).collect();
                texts.sort();
                format!("{texts:?}")
            };
            prop_assert_eq!(texts(&one), texts(&other));
        }
    }

    #[test]
    fn what_is_read_again_after_a_change_is_what_is_read_anew(
        before in repositories(),
        after in repositories(),
        seed in any::<u64>(),
    ) {
        let options = ParseOptions::default();
        let mut cache = manifest::Cache::default();
        for repository in [&before, &after, &before] {
            let snapshot = repository.written(seed);
            let changed = manifest::parse_changed(&snapshot, &options, &mut cache);
            let anew = manifest::parse(&snapshot, &options);
            prop_assert_eq!(format!("{changed:?}"), format!("{anew:?}"));
            manifest::parse_changed(&snapshot, &options, &mut cache);
            prop_assert_eq!(cache.files_read, 0);
        }
    }

    #[test]
    fn whatever_passes_the_checks_fits_elbv2(repository in repositories()) {
        let built = build(&repository.written(0), &repository.facts(), Checks::Strict);
        if built.problems.is_empty() {
            for (id, model) in &built.groups {
                prop_assert_eq!(audit::against_elbv2(model), Vec::<String>::new(), "{}", id);
            }
        }
    }

    #[test]
    fn equal_ids_and_names_are_found_each_with_both_places_and_no_others(
        repository in prop_oneof![look_alikes(), repositories()],
    ) {
        let strict = build(&repository.written(0), &repository.facts(), Checks::Strict);
        let wanted = collision::expected(&repository);
        let told = collision::told(&strict.problems);
        // What is refused for other reasons is not built, and so has neither ids nor names.
        if strict.problems.iter().all(|problem| problem.code == codes::NAME_COLLISION) {
            prop_assert_eq!(&told, &wanted);
        }
        let unfounded: Vec<_> = told
            .iter()
            .filter(|pair| !collision::is_founded(pair, &wanted))
            .collect();
        prop_assert!(unfounded.is_empty(), "told of nothing: {:?}", unfounded);
    }
}

#[test]
fn the_generator_makes_what_the_properties_are_about() {
    use proptest::{strategy::ValueTree, test_runner::TestRunner};
    let mut runner = TestRunner::deterministic();
    let (mut good, mut refused, mut rules, mut limits) = (0, 0, 0, (0, 0));
    for _ in 0..300 {
        let repository: Repository = repositories()
            .new_tree(&mut runner)
            .expect("a tree")
            .current();
        let built = build(&repository.written(1), &repository.facts(), Checks::Strict);
        let holds = |of: &audit::limits::Limit, part: &repository::Annotations| {
            let is_of = |it: &repository::Ingress| {
                part.iter()
                    .all(|(key, value)| it.annotations.get(key) == Some(value))
            };
            repository
                .ingresses
                .iter()
                .any(|it| is_of(it) && of.inside != of.outside)
        };
        limits.0 +=
            usize::from(built.problems.is_empty() && LIMITS.iter().any(|it| holds(it, &it.inside)));
        limits.1 += usize::from(LIMITS.iter().any(|it| holds(it, &it.outside)));
        let lenient = build(&repository.written(1), &repository.facts(), Checks::Lbc);
        rules += lenient
            .groups
            .values()
            .flat_map(|group| group.listeners.values())
            .map(|listener| listener.rules.len())
            .sum::<usize>();
        if built.problems.is_empty() && !built.groups.is_empty() {
            good += 1;
        } else {
            refused += 1;
        }
    }
    let mut colliding: BTreeMap<String, usize> = BTreeMap::new();
    for _ in 0..300 {
        let repository = look_alikes()
            .new_tree(&mut runner)
            .expect("a tree")
            .current();
        let built = build(&repository.written(0), &repository.facts(), Checks::Strict);
        for (shared, [a, b]) in collision::told(&built.problems) {
            let kind = shared.split_whitespace().next().unwrap_or_default();
            let of_nlb = [&a.0, &b.0].into_iter().filter(|who| who.contains("NLB"));
            let kind = format!("{kind}, {} of an NLB", of_nlb.count());
            *colliding.entry(kind).or_default() += 1;
        }
    }
    assert!(limits.0 > 10 && limits.1 > 10, "{limits:?} of limits");
    assert!(good > 30 && refused > 30, "{good} good, {refused} refused");
    let kinds = [
        "id, 0 of an NLB",
        "load, 0 of an NLB",
        "load, 1 of an NLB",
        "load, 2 of an NLB",
        "target, 0 of an NLB",
    ];
    assert!(colliding.keys().eq(kinds), "{colliding:?}");
    assert!(rules > 300, "{rules} rules");
}

#[test]
fn ties_of_the_order_go_by_the_bytes_of_namespace_and_name() {
    let named = |namespace, name, order: Option<&'static str>| repository::Ingress {
        namespace,
        name,
        annotations: [("group.name", "shop")]
            .into_iter()
            .chain(order.map(|order| ("group.order", order)))
            .collect(),
        rules: vec![("", vec![(name_path(namespace, name), "Exact", "app", "80")])],
    };
    let service = |namespace| repository::Service {
        namespace,
        name: "app",
        annotations: repository::Annotations::new(),
    };
    let repository = Repository {
        // A hyphen and a dot come before the slash, so that the longer namespace comes first.
        ingresses: vec![
            named("x", "web", None),
            named("x", "web-a", None),
            named("x-b", "web", Some("0")),
            named("x", "last", Some("1")),
            named("z", "first", Some("-1")),
        ],
        services: ["x", "x-b", "z"].map(service).into(),
    };
    for seed in 0..20 {
        let built = build(
            &repository.written(seed),
            &repository.facts(),
            Checks::Strict,
        );
        let members = built.groups["shop"].members.iter();
        let order: Vec<String> = members.map(|it| it.reference.to_string()).collect();
        let wanted = ["z/first", "x-b/web", "x/web", "x/web-a", "x/last"];
        assert_eq!(
            order,
            wanted.map(|name| format!("Ingress {name}")),
            "{seed}"
        );
    }
}

/// Of its own, so that no path hides another.
fn name_path(namespace: &str, name: &str) -> &'static str {
    format!("/{namespace}/{name}").leak()
}
