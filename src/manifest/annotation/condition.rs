//! `conditions.<name>` and `transforms.<name>` (ingress-model.md §5.5, §5.7).

use super::{
    decode::structure,
    limit,
    read::{Read, Reading},
    value::{Condition, Patterns, QueryPair, Rewrite, Transform},
};
use crate::problem::nearest::did_you_mean;

structure!(RuleCondition {
    field: String = "field",
    host_header: Option<Matched> = "hostHeaderConfig",
    path_pattern: Option<Matched> = "pathPatternConfig",
    http_header: Option<Header> = "httpHeaderConfig",
    http_request_method: Option<Listed> = "httpRequestMethodConfig",
    query_string: Option<Query> = "queryStringConfig",
    source_ip: Option<Listed> = "sourceIPConfig",
});
structure!(Matched { values: Vec<String> = "values", regex_values: Vec<String> = "regexValues" });
structure!(Header {
    name: String = "httpHeaderName",
    values: Vec<String> = "values",
    regex_values: Vec<String> = "regexValues",
});
structure!(Listed { values: Vec<String> = "values" });
structure!(Query { values: Vec<Pair> = "values" });
structure!(Pair { key: Option<String> = "key", value: String = "value" });

const FIELDS: &[&str] = &[
    "host-header",
    "path-pattern",
    "http-header",
    "http-request-method",
    "query-string",
    "source-ip",
];

pub(super) fn conditions(it: &mut Reading<'_>) -> Read<Vec<Condition>> {
    let setting = it.json(|conditions: Vec<RuleCondition>, notes| {
        let mut read = Vec::new();
        for (index, condition) in conditions.into_iter().enumerate() {
            let field = condition.field.clone();
            match checked(condition).map_err(|what| format!("[{index}].{what}"))? {
                Some(condition) => read.push(condition),
                None => notes.push((
                    format!("has a condition that nothing reads: [{index}].field is \"{field}\""),
                    Some(
                        did_you_mean(&field, FIELDS.iter().copied())
                            .unwrap_or_else(|| format!("it is one of {}", FIELDS.join(", "))),
                    ),
                )),
            }
        }
        Ok(read)
    });
    it.limited(setting, |conditions| limit::conditions(conditions))
}

/// None for fields that LBC passes over.
fn checked(condition: RuleCondition) -> Result<Option<Condition>, String> {
    Ok(Some(match condition.field.as_str() {
        "host-header" => {
            let config = needed(condition.host_header, "hostHeaderConfig")?;
            let values = patterns("hostHeaderConfig", config.values, config.regex_values)?;
            Condition::HostHeader { values }
        }
        "path-pattern" => {
            let config = needed(condition.path_pattern, "pathPatternConfig")?;
            let values = patterns("pathPatternConfig", config.values, config.regex_values)?;
            Condition::PathPattern { values }
        }
        "http-header" => {
            let config = needed(condition.http_header, "httpHeaderConfig")?;
            Condition::HttpHeader {
                name: config.name,
                values: patterns("httpHeaderConfig", config.values, config.regex_values)?,
            }
        }
        "http-request-method" => {
            let config = needed(condition.http_request_method, "httpRequestMethodConfig")?;
            let values = not_empty("httpRequestMethodConfig", config.values)?;
            Condition::HttpRequestMethod { values }
        }
        "source-ip" => {
            let config = needed(condition.source_ip, "sourceIPConfig")?;
            let values = not_empty("sourceIPConfig", config.values)?;
            Condition::SourceIp { values }
        }
        "query-string" => {
            let config = needed(condition.query_string, "queryStringConfig")?;
            let pairs = not_empty("queryStringConfig", config.values)?;
            if let Some(index) = pairs.iter().position(|pair| pair.value.is_empty()) {
                return Err(format!("queryStringConfig.values[{index}] needs a value"));
            }
            Condition::QueryString {
                values: pairs
                    .into_iter()
                    .map(|pair| QueryPair {
                        key: pair.key,
                        value: pair.value,
                    })
                    .collect(),
            }
        }
        _ => return Ok(None),
    }))
}

fn needed<T>(config: Option<T>, key: &str) -> Result<T, String> {
    config.ok_or_else(|| format!("{key} is missing"))
}

fn not_empty<T>(key: &str, values: Vec<T>) -> Result<Vec<T>, String> {
    if values.is_empty() {
        return Err(format!("{key}.values is empty"));
    }
    Ok(values)
}

fn patterns(key: &str, values: Vec<String>, regex: Vec<String>) -> Result<Patterns, String> {
    match (values.is_empty(), regex.is_empty()) {
        (false, true) => Ok(Patterns::Values(values)),
        (true, false) => Ok(Patterns::Regex(regex)),
        (true, true) => Err(format!("{key} needs values or regexValues")),
        (false, false) => Err(format!("{key} has values or regexValues, not both")),
    }
}

structure!(RuleTransform {
    kind: String = "type",
    host_header_rewrite: Option<Rewrites> = "hostHeaderRewriteConfig",
    url_rewrite: Option<Rewrites> = "urlRewriteConfig",
});
structure!(Rewrites { rewrites: Vec<OneRewrite> = "rewrites" });
structure!(OneRewrite {
    regex: String = "regex",
    replace: String = "replace"
});

pub(super) fn transforms(it: &mut Reading<'_>) -> Read<Vec<Transform>> {
    let setting = it.json(|transforms: Vec<RuleTransform>, _| {
        transforms
            .into_iter()
            .enumerate()
            .map(|(index, transform)| {
                transformed(transform).map_err(|what| format!("[{index}].{what}"))
            })
            .collect()
    });
    it.limited(setting, |transforms| limit::transforms(transforms))
}

fn transformed(transform: RuleTransform) -> Result<Transform, String> {
    match transform.kind.as_str() {
        "url-rewrite" => Ok(Transform::UrlRewrite {
            rewrites: rewrites("urlRewriteConfig", transform.url_rewrite)?,
        }),
        "host-header-rewrite" => Ok(Transform::HostHeaderRewrite {
            rewrites: rewrites("hostHeaderRewriteConfig", transform.host_header_rewrite)?,
        }),
        other => Err(format!(
            "type is url-rewrite or host-header-rewrite, not \"{other}\""
        )),
    }
}

fn rewrites(key: &str, config: Option<Rewrites>) -> Result<Vec<Rewrite>, String> {
    let rewrites = needed(config, key)?.rewrites;
    if rewrites.is_empty() {
        return Err(format!("{key}.rewrites is empty"));
    }
    Ok(rewrites
        .into_iter()
        .map(|rewrite| Rewrite {
            regex: rewrite.regex,
            replace: rewrite.replace,
        })
        .collect())
}
