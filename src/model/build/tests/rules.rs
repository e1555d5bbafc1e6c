use super::*;

/// Path patterns of the rules that these paths become.
fn patterns(paths: &[(&str, PathType)]) -> Vec<Vec<String>> {
    let group = group_with(|manifests, _, _| {
        let paths = paths.iter().enumerate();
        manifests.ingresses[0].rules[0].paths = paths
            .map(|(index, (text, kind))| path(text, *kind, "app1", 120 + 2 * index as u32))
            .collect();
    });
    let rules = group.listeners[&80].rules.iter();
    rules
        .map(|rule| {
            rule.spec
                .conditions
                .iter()
                .find_map(|condition| match condition {
                    Condition::PathPattern { values } => Some(values.texts().to_vec()),
                    _ => None,
                })
                .unwrap_or_default()
        })
        .collect()
}

#[test]
fn exact_paths_come_first_then_the_longest_prefix() {
    use PathType::{Exact, Prefix};
    let order = patterns(&[
        ("/", Prefix),
        ("/bb", Prefix),
        ("/aa", Prefix),
        ("/exact-2", Exact),
        ("/longest/prefix", Prefix),
        ("/exact-1", Exact),
    ]);
    assert_eq!(
        order,
        [
            vec!["/exact-2"],
            vec!["/exact-1"],
            vec!["/longest/prefix", "/longest/prefix/*"],
            vec!["/bb", "/bb/*"],
            vec!["/aa", "/aa/*"],
            vec!["/*"],
        ]
    );
}

#[test]
fn a_third_path_that_is_longer_comes_first_and_the_others_stay() {
    use PathType::Prefix;
    let before = patterns(&[("/app1", Prefix), ("/app2", Prefix)]);
    let after = patterns(&[("/app1", Prefix), ("/app2", Prefix), ("/app1/deep", Prefix)]);
    assert_eq!(after[0], ["/app1/deep", "/app1/deep/*"]);
    assert_eq!(after[1..], before);
}

#[test]
fn a_trailing_slash_counts_for_the_order_and_not_for_the_pattern() {
    use PathType::Prefix;
    let order = patterns(&[("/foo", Prefix), ("/bar/", Prefix)]);
    assert_eq!(order, [vec!["/bar", "/bar/*"], vec!["/foo", "/foo/*"]]);
}

#[test]
fn entries_of_one_host_are_not_sorted_across() {
    let group = group_with(|manifests, _, _| {
        let mut second = manifests.ingresses[0].rules[0].clone();
        second.paths = vec![path("/much/longer", PathType::Prefix, "app1", 140)];
        manifests.ingresses[0].rules.push(second);
    });
    let lines: Vec<_> = group.listeners[&80]
        .rules
        .iter()
        .map(|rule| rule.origin.line)
        .collect();
    assert_eq!(lines, [120, 130, 140]);
}

#[test]
fn a_rule_without_host_and_path_matches_every_path() {
    let group = group_with(|manifests, _, _| {
        let rule = &mut manifests.ingresses[0].rules[0];
        rule.host = None;
        rule.paths = vec![path("", PathType::Prefix, "app1", 120)];
    });
    let every = Condition::PathPattern {
        values: vec!["/*".into()].into(),
    };
    assert_eq!(group.listeners[&80].rules[0].spec.conditions, [every]);
}

#[test]
fn an_empty_path_under_a_host_is_the_host_alone() {
    let group = group_with(|manifests, _, _| {
        manifests.ingresses[0].rules[0].paths = vec![path("", PathType::Prefix, "app1", 120)];
    });
    let host = Condition::HostHeader {
        values: vec![HOST.into()].into(),
    };
    assert_eq!(group.listeners[&80].rules[0].spec.conditions, [host]);
}
