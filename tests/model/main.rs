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
    problem::Severity,
    source::Snapshot,
};
use proptest::prelude::*;

mod again;
mod audit;
mod collision;
mod repository;
mod values;

use repository::{Repository, look_alikes, repositories};

fn is_collision(code: &str) -> bool {
    code.ends_with("collision")
}

fn settings(checks: Checks) -> Settings {
    Settings {
        cluster_name: "demo".to_owned(),
        checks,
        ..Settings::offline()
    }
}

struct Built {
    groups: BTreeMap<String, Arc<GroupModel>>,
    lbc: String,
    /// Codes of the problems that reject, with their texts.
    problems: Vec<(String, String)>,
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
        .map(|problem| (problem.code.clone(), problem.message.clone()))
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
                let mut texts = built.problems.clone();
                texts.sort();
                texts
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
    fn equal_ids_and_names_are_always_found(
        repository in prop_oneof![look_alikes(), repositories()],
    ) {
        let strict = build(&repository.written(0), &repository.facts(), Checks::Strict);
        let wanted = collision::expected(&repository);
        // What is refused for other reasons is not built, and so has neither ids nor names.
        let others = strict.problems.iter().any(|(code, _)| !is_collision(code));
        let found = strict.problems.iter().any(|(code, _)| is_collision(code));
        prop_assert!(
            found || others || wanted.is_empty(),
            "not found: {:?}; told: {:?}", wanted, strict.problems
        );
    }
}

#[test]
fn the_generator_makes_what_the_properties_are_about() {
    use proptest::{strategy::ValueTree, test_runner::TestRunner};
    let mut runner = TestRunner::deterministic();
    let (mut good, mut refused, mut colliding, mut rules) = (0, 0, 0, 0);
    for _ in 0..300 {
        let repository: Repository = repositories()
            .new_tree(&mut runner)
            .expect("a tree")
            .current();
        let built = build(&repository.written(1), &repository.facts(), Checks::Strict);
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
    for _ in 0..300 {
        let repository = look_alikes()
            .new_tree(&mut runner)
            .expect("a tree")
            .current();
        let built = build(&repository.written(0), &repository.facts(), Checks::Strict);
        let is_told = built.problems.iter().all(|(code, _)| is_collision(code));
        colliding += usize::from(is_told && !collision::expected(&repository).is_empty());
    }
    assert!(good > 30 && refused > 30, "{good} good, {refused} refused");
    assert!(colliding > 10, "{colliding} colliding");
    assert!(rules > 300, "{rules} rules");
}
