use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::model::group::{
    fixture::{World, path, rules},
    request::{any_conditions, any_request, rule},
};

fn hosts(values: &[&str]) -> Condition {
    Condition::HostHeader {
        values: Patterns::Values(values.iter().map(|it| (*it).to_owned()).collect()),
    }
}

fn paths(values: &[&str]) -> Condition {
    Condition::PathPattern {
        values: Patterns::Values(values.iter().map(|it| (*it).to_owned()).collect()),
    }
}

fn sources(values: &[&str]) -> Condition {
    Condition::SourceIp {
        values: values.iter().map(|it| (*it).to_owned()).collect(),
    }
}

fn conditions(rules: &[Rule]) -> Vec<&[Condition]> {
    rules
        .iter()
        .map(|rule| rule.conditions.as_slice())
        .collect()
}

#[test]
fn a_rule_that_fits_stays_as_it_is() {
    let fits = rule(vec![hosts(&["a", "b"]), paths(&["/a", "/a/*", "/b"])]);
    assert_eq!(split(&fits), Ok(vec![fits]));
}

#[test]
fn four_paths_become_two_rules() {
    let four = rule(vec![paths(&["/a", "/a/*", "/b", "/b/*"])]);
    let parts = split(&four).unwrap();
    assert_eq!(
        conditions(&parts),
        [&[paths(&["/a", "/a/*", "/b"])][..], &[paths(&["/b/*"])]]
    );
}

#[test]
fn six_values_of_two_kinds_become_as_few_rules_as_possible() {
    let six = rule(vec![hosts(&["a", "b", "c", "d"]), paths(&["/a", "/a/*"])]);
    let parts = split(&six).unwrap();
    assert_eq!(
        conditions(&parts),
        [
            &[hosts(&["a", "b", "c"]), paths(&["/a", "/a/*"])][..],
            &[hosts(&["d"]), paths(&["/a", "/a/*"])],
        ]
    );
}

#[test]
fn conditions_of_a_kind_that_stands_once_become_what_they_have_in_common() {
    let twice = rule(vec![
        sources(&["10.0.0.0/8", "192.168.0.0/16"]),
        sources(&["10.1.0.0/16", "11.0.0.0/8"]),
    ]);
    assert_eq!(
        conditions(&split(&twice).unwrap()),
        [&[sources(&["10.1.0.0/16"])][..]]
    );
    let never = rule(vec![sources(&["10.0.0.0/8"]), sources(&["11.0.0.0/8"])]);
    assert_eq!(split(&never), Ok(Vec::new()));
}

#[test]
fn what_no_number_of_rules_holds_is_refused() {
    let header = |name: &str| Condition::HttpHeader {
        name: name.to_owned(),
        values: Patterns::Values(vec!["x".to_owned()]),
    };
    let six = rule(["a", "b", "c", "d", "e", "f"].map(header).to_vec());
    assert_eq!(split(&six), Err(TooMuch::Conditions(6)));
    let wild = rule(vec![paths(&["/*?*?*?"])]);
    assert_eq!(split(&wild), Err(TooMuch::Wildcards));
    let many: Vec<String> = (0..400).map(|n| format!("/{n}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    assert_eq!(split(&rule(vec![paths(&many)])), Err(TooMuch::Parts));
}

#[test]
fn a_rule_that_becomes_several_is_told_and_stays_whole_in_the_model() {
    let methods = r#"[{"field":"http-request-method","httpRequestMethodConfig":{"values":["GET","HEAD","POST","PUT"]}}]"#;
    let spec = rules("a.example.com", &[path("/a", "Prefix", "app1")]);
    let (group, said) = World::new()
        .ingress("web", json!({"conditions.app1": methods}), spec)
        .warned();
    let wanted = "this rule becomes 2 rules: ALB takes 5 values in one, 3 in a condition";
    assert_eq!(said, [wanted]);
    assert_eq!(group.listeners[&80].rules.len(), 1);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn the_parts_match_exactly_when_the_whole_does(
        conditions in any_conditions(),
        requests in proptest::collection::vec(any_request(), 30),
    ) {
        let whole = rule(conditions);
        let Ok(parts) = split(&whole) else {
            return Ok(());
        };
        for part in &parts {
            let counts: Vec<usize> = part.conditions.iter().map(count).collect();
            prop_assert!(counts.iter().all(|count| *count <= VALUES_PER_CONDITION));
            prop_assert!(counts.iter().sum::<usize>() <= VALUES_PER_RULE);
            prop_assert!(wildcards(&part.conditions) <= WILDCARDS_PER_RULE);
        }
        for request in requests {
            let is_met = parts.iter().any(|part| request.meets(&part.conditions));
            prop_assert_eq!(is_met, request.meets(&whole.conditions), "{:?}", request);
        }
    }
}
