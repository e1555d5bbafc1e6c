//! Conditions as ELBv2 returns them.

use aws_sdk_elasticloadbalancingv2::types as sdk;

use crate::model::elb::{Condition, Patterns, QueryPair};

/// Values stand in `Values`, in the field's own config, or in both; regular expressions likewise.
pub(super) fn condition(raw: sdk::RuleCondition) -> Condition {
    let field = raw.field.clone().unwrap_or_default();
    let short = raw.values.clone().filter(|values| !values.is_empty());
    let short_regex = raw.regex_values.clone().filter(|values| !values.is_empty());
    let either = |own: Option<Vec<String>>| {
        own.filter(|values| !values.is_empty())
            .or_else(|| short.clone())
            .unwrap_or_default()
    };
    // Both at once cannot be asked for, and must not look like one of ours.
    let whole = raw.clone();
    let patterns = |own: Option<Vec<String>>,
                    own_regex: Option<Vec<String>>,
                    of: &dyn Fn(Patterns) -> Condition| {
        let regex = own_regex
            .filter(|values| !values.is_empty())
            .or_else(|| short_regex.clone());
        match (either(own), regex) {
            (values, None) => of(Patterns::Values(values)),
            (values, Some(regex)) if values.is_empty() => of(Patterns::Regex(regex)),
            _ => other(&whole),
        }
    };
    match field.as_str() {
        "host-header" => {
            let (values, regex) = raw
                .host_header_config
                .map_or((None, None), |config| (config.values, config.regex_values));
            patterns(values, regex, &|values| Condition::HostHeader { values })
        }
        "path-pattern" => {
            let (values, regex) = raw
                .path_pattern_config
                .map_or((None, None), |config| (config.values, config.regex_values));
            patterns(values, regex, &|values| Condition::PathPattern { values })
        }
        "http-request-method" => Condition::HttpRequestMethod {
            values: either(
                raw.http_request_method_config
                    .and_then(|config| config.values),
            ),
        },
        "source-ip" => Condition::SourceIp {
            values: either(raw.source_ip_config.and_then(|config| config.values)),
        },
        "http-header" => {
            let (name, values, regex) =
                raw.http_header_config.map_or((None, None, None), |config| {
                    (config.http_header_name, config.values, config.regex_values)
                });
            let name = name.unwrap_or_default();
            patterns(values, regex, &|values| Condition::HttpHeader {
                name: name.clone(),
                values,
            })
        }
        "query-string" => Condition::QueryString {
            values: raw
                .query_string_config
                .and_then(|config| config.values)
                .unwrap_or_default()
                .into_iter()
                .map(|pair| QueryPair {
                    key: pair.key.filter(|key| !key.is_empty()),
                    value: pair.value.unwrap_or_default(),
                })
                .collect(),
        },
        _ => other(&raw),
    }
}

fn other(raw: &sdk::RuleCondition) -> Condition {
    Condition::Other {
        text: format!("{raw:?}"),
    }
}
