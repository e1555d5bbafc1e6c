//! How a plain scalar is read: as Kubernetes' own YAML-to-JSON conversion does.
//!
//! kubectl and the API server convert by `sigs.k8s.io/yaml`, which resolves plain scalars as go-yaml v2 does: YAML 1.1
//! booleans (`yes`, `on`, `y` …), octal `017` and `0o17`, `_` inside numbers; no base 60; dates stay text. The table in
//! the tests was recorded from that library (gitops Q3).

use serde_json::{Number, Value};

/// The value of a plain scalar. `None`: a number that JSON cannot hold (infinities, not a number).
pub fn resolve(text: &str) -> Option<Value> {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Some(Value::Null),
        "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => {
            return Some(Value::Bool(true));
        }
        "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => {
            return Some(Value::Bool(false));
        }
        ".nan" | ".NaN" | ".NAN" | ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF"
        | "-.inf" | "-.Inf" | "-.INF" => return None,
        _ => {}
    }
    Some(number(text).map_or_else(|| Value::String(text.to_owned()), Value::Number))
}

/// Whether readers of YAML 1.1, of YAML 1.2's core schema and Kubernetes' do not all see the same value here
/// (lessons E10): such a scalar should be quoted.
pub fn is_ambiguous(text: &str) -> bool {
    let Some(ours) = resolve(text) else {
        return false;
    };
    match ours {
        Value::Bool(_) => !matches!(text, "true" | "True" | "TRUE" | "false" | "False" | "FALSE"),
        Value::Number(_) => !is_core_number(text),
        Value::String(_) => is_base_60(text) || is_core_number(text),
        _ => false,
    }
}

/// Numbers that every schema reads alike: decimal without leading zeros, underscores or a bare sign in front.
fn is_core_number(text: &str) -> bool {
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (unsigned, None),
    };
    let (whole, fraction) = match mantissa.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (mantissa, None),
    };
    digits(whole)
        && (whole == "0" || !whole.starts_with('0'))
        && fraction.is_none_or(digits)
        // YAML 1.1 wants a dot and a sign in front of the exponent's digits; without them `1e3` is text there.
        && exponent.is_none_or(|exponent| {
            fraction.is_some()
                && exponent
                    .strip_prefix(['+', '-'])
                    .is_some_and(digits)
        })
}

/// YAML 1.1's base 60: `1:30`, `190:20:30`, `1:30.5`.
fn is_base_60(text: &str) -> bool {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
    if !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return false;
    }
    let mut parts = whole.split(':');
    let first = parts.next().unwrap_or_default();
    let mut rest = parts.peekable();
    !first.is_empty()
        && first.bytes().all(|byte| byte.is_ascii_digit())
        && rest.peek().is_some()
        && rest.all(|part| {
            (1..=2).contains(&part.len())
                && part.bytes().all(|byte| byte.is_ascii_digit())
                && part.parse::<u8>().is_ok_and(|part| part < 60)
        })
}

fn number(text: &str) -> Option<Number> {
    let first = text.bytes().next()?;
    if !(first.is_ascii_digit() || matches!(first, b'+' | b'-' | b'.')) {
        return None;
    }
    if first == b'.' {
        // go-yaml looks no further than a plain float here: no underscores.
        return style_float(text).and_then(float);
    }
    let plain: String = text.chars().filter(|c| *c != '_').collect();
    integer(&plain).or_else(|| style_float(&plain).and_then(float))
}

/// Go's `strconv.ParseInt(text, 0, 64)`, then `ParseUint`.
fn integer(text: &str) -> Option<Number> {
    let (negative, signed, unsigned) = match text.as_bytes().first()? {
        b'-' => (true, true, &text[1..]),
        b'+' => (false, true, &text[1..]),
        _ => (false, false, text),
    };
    let lower = unsigned.get(..2).map(str::to_ascii_lowercase);
    let (radix, digits) = match lower.as_deref() {
        Some("0x") => (16, &unsigned[2..]),
        Some("0b") => (2, &unsigned[2..]),
        Some("0o") => (8, &unsigned[2..]),
        _ if unsigned.len() > 1 && unsigned.starts_with('0') => (8, &unsigned[1..]),
        _ => (10, unsigned),
    };
    if digits.is_empty() || !digits.chars().all(|c| c.is_digit(radix)) {
        return None;
    }
    let magnitude = u64::from_str_radix(digits, radix).ok()?;
    if negative {
        let value = 0i128 - i128::from(magnitude);
        return i64::try_from(value).ok().map(Number::from);
    }
    if signed && i64::try_from(magnitude).is_err() {
        return None;
    }
    Some(Number::from(magnitude))
}

/// go-yaml's `^[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$`.
fn style_float(text: &str) -> Option<f64> {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (unsigned, None),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    let exponent_is_fine = exponent.is_none_or(|exponent| {
        let exponent = exponent.strip_prefix(['-', '+']).unwrap_or(exponent);
        !exponent.is_empty() && digits(exponent)
    });
    let fine = digits(whole)
        && digits(fraction)
        && !(whole.is_empty() && fraction.is_empty())
        && exponent_is_fine;
    let value: f64 = text.parse().ok().filter(|_| fine)?;
    value.is_finite().then_some(value)
}

/// JSON has one kind of number, and Go prints a whole float without a fraction.
fn float(value: f64) -> Option<Number> {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    if value.fract() == 0.0 && value.abs() <= EXACT {
        #[allow(clippy::cast_possible_truncation)]
        return Some(Number::from(value as i64));
    }
    Number::from_f64(value)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn plain_scalars_resolve_as_recorded_from_kubernetes_own_converter() {
        let table = [
            ("yes", json!(true)),
            ("y", json!(true)),
            ("N", json!(false)),
            ("on", json!(true)),
            ("Off", json!(false)),
            ("oN", json!("oN")),
            ("true", json!(true)),
            ("True", json!(true)),
            ("tRUE", json!("tRUE")),
            ("~", json!(null)),
            ("Null", json!(null)),
            ("nULL", json!("nULL")),
            ("", json!(null)),
            ("0o17", json!(15)),
            ("0O17", json!(15)),
            ("017", json!(15)),
            ("0777", json!(511)),
            ("08", json!(8)),
            ("0o8", json!("0o8")),
            ("0b11", json!(3)),
            ("0B11", json!(3)),
            ("-0b11", json!(-3)),
            ("0x1F", json!(31)),
            ("-0x1F", json!(-31)),
            ("0x", json!("0x")),
            ("0b", json!("0b")),
            ("0x10000000000000000", json!("0x10000000000000000")),
            ("0x1p4", json!("0x1p4")),
            ("+5", json!(5)),
            ("1_000", json!(1000)),
            ("_1", json!("_1")),
            ("1_", json!(1)),
            ("0_7", json!(7)),
            ("0x_1f", json!(31)),
            ("1_0.5", json!(10.5)),
            ("1:30", json!("1:30")),
            ("190:20:30", json!("190:20:30")),
            ("1e3", json!(1000)),
            ("1e", json!("1e")),
            ("1e400", json!("1e400")),
            ("12e03", json!(12000)),
            (".5", json!(0.5)),
            ("5.", json!(5)),
            ("-.5", json!(-0.5)),
            ("0.1e-3", json!(0.0001)),
            ("1.0", json!(1)),
            ("-0", json!(0)),
            ("00", json!(0)),
            ("1.5.2", json!("1.5.2")),
            ("1,000", json!("1,000")),
            ("2024-01-01", json!("2024-01-01")),
            (
                "18446744073709551615",
                json!(18_446_744_073_709_551_615_u64),
            ),
            ("18446744073709551616", json!(18_446_744_073_709_552_000.0)),
            ("Infinity", json!("Infinity")),
            ("nan", json!("nan")),
            ("+", json!("+")),
            (".", json!(".")),
            ("=", json!("=")),
        ];
        for (text, value) in table {
            assert_eq!(resolve(text), Some(value), "{text}");
        }
        assert_eq!(resolve(".inf"), None);
        assert_eq!(resolve("-.Inf"), None);
        assert_eq!(resolve(".NaN"), None);
    }

    #[test]
    fn scalars_that_the_schemas_read_differently_are_known() {
        for text in [
            "yes",
            "y",
            "off",
            "0o17",
            "017",
            "08",
            "1_000",
            "1:30",
            "190:20:30",
            "1:30.5",
            "+5",
            "0x1F",
            "0b11",
            "1e3",
            ".5",
        ] {
            assert!(is_ambiguous(text), "{text}");
        }
        for text in [
            "true",
            "False",
            "null",
            "~",
            "5",
            "-5",
            "1.5",
            "0.1e-3",
            "text",
            "1:99",
            "a:30",
            "2024-01-01",
            "10.0.0.0/8",
            "80,443",
            "1.30.2",
            "0",
        ] {
            assert!(!is_ambiguous(text), "{text}");
        }
    }
}
