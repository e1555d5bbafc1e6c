//! Every field of IngressClassParams does something, and its bad values are told.

use super::*;

/// Fields whose right value changes nothing, and why.
const ADMITTING: &[(&str, &str)] = &[(
    "namespaceSelector",
    "it lets Ingresses in or keeps them out, and the base is let in",
)];

fn sets(case: &Case, field: &str) -> bool {
    let start = format!("params {field}: ");
    case.given.iter().any(|line| line.starts_with(&start))
}

/// What comes of a case without that field.
fn without(case: &Case, field: &str) -> Result<Outcome, String> {
    let start = format!("params {field}: ");
    let lines = case.given.iter().filter(|line| !line.starts_with(&start));
    Given::of_lines(lines).and_then(|given| given.outcome(&Overrides::new()))
}

#[test]
fn every_field_changes_what_is_built_and_has_a_bad_value() {
    let tables = tables();
    let cases: Vec<&Case> = tables.iter().flat_map(|table| &table.cases).collect();
    let mut missing = Vec::new();
    for field in manifest::ingress::PARAMS_FIELDS {
        let about = || cases.iter().copied().filter(|case| sets(case, field));
        let is_told = |case: &Case| case.told.iter().any(|line| line.contains("problem["));
        let differs = |case: &Case| {
            let given = Given::of(case).expect("a case");
            let outcome = given.outcome(&Overrides::new()).expect("an outcome");
            // An edit of the parameters has nothing to edit without them.
            without(case, field).is_ok_and(|without| without != outcome)
        };
        let is_admitting = ADMITTING.iter().any(|(name, _)| name == field);
        if !about().any(|case| !is_told(case) && (is_admitting || differs(case))) {
            missing.push(format!("{field}: no good value that changes something"));
        }
        let is_refused = |case: &Case| {
            case.told.iter().any(|line| {
                let rest = line.strip_prefix("params.yaml:");
                rest.is_some_and(|rest| rest.contains(": problem[") || rest.contains(": warning["))
            })
        };
        if !about().any(is_refused) {
            missing.push(format!("{field}: no bad value"));
        }
    }
    for (name, reason) in ADMITTING {
        assert!(!reason.is_empty());
        assert!(manifest::ingress::PARAMS_FIELDS.contains(name), "{name}");
    }
    assert!(missing.is_empty(), "{}", missing.join("\n"));
}
