//! The value grammars of annotations (ingress-model.md §0.3, §15.2), exactly as LBC reads them.

/// Go's `strconv.ParseBool`: nothing trimmed.
pub fn boolean(text: &str) -> Result<bool, String> {
    match text {
        "1" | "t" | "T" | "TRUE" | "true" | "True" => Ok(true),
        "0" | "f" | "F" | "FALSE" | "false" | "False" => Ok(false),
        _ => Err("it is `true` or `false`".to_owned()),
    }
}

/// Base 10, optional sign, no blanks.
pub fn int32(text: &str) -> Result<i32, String> {
    text.parse()
        .map_err(|_| format!("it is a whole number from {} to {}", i32::MIN, i32::MAX))
}

/// Base 10, optional sign, no blanks.
pub fn int64(text: &str) -> Result<i64, String> {
    text.parse()
        .map_err(|_| format!("it is a whole number from {} to {}", i64::MIN, i64::MAX))
}

/// Split at commas, parts trimmed, empty parts dropped; the empty text is the empty list.
pub fn string_list(text: &str) -> Vec<String> {
    text.split(',')
        .map(str::trim)
        .filter(|part| !part.is_empty())
        .map(str::to_owned)
        .collect()
}

/// `key=value,key=value` in the order of the text, duplicates kept (LBC lets the last win). The empty text is the empty
/// map.
///
/// A backslash takes the next byte literally, and a last lone one is kept. A comma ends an item only if a `=` comes
/// anywhere behind it; before nothing it belongs to the value, and before text without `=` that text becomes the last,
/// failing item. Items split at their first `=` after unescaping; keys and values are trimmed.
pub fn string_map(text: &str) -> Result<Vec<(String, String)>, String> {
    if text.is_empty() {
        return Ok(Vec::new());
    }
    items(text)
        .into_iter()
        .map(|item| {
            let item = item.trim();
            let (key, value) = item
                .split_once('=')
                .ok_or_else(|| format!("\"{item}\" is no key=value"))?;
            let key = key.trim();
            if key.is_empty() {
                return Err(format!("\"{item}\" has no key before the `=`"));
            }
            Ok((key.to_owned(), value.trim().to_owned()))
        })
        .collect()
}

fn items(text: &str) -> Vec<String> {
    let mut items = Vec::new();
    let mut item = String::new();
    let mut rest = text.chars();
    // By characters rather than bytes: an escaped or special byte is never inside of a longer character, so both agree.
    while let Some(c) = rest.next() {
        match c {
            '\\' => item.push(rest.next().unwrap_or('\\')),
            ',' => {
                let remainder = rest.as_str().trim();
                if remainder.contains('=') {
                    items.push(std::mem::take(&mut item));
                } else if remainder.is_empty() {
                    item.push(',');
                } else {
                    items.push(std::mem::take(&mut item));
                    items.push(remainder.to_owned());
                    return items;
                }
            }
            _ => item.push(c),
        }
    }
    items.push(item);
    items
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn map(text: &str) -> Result<Vec<(String, String)>, String> {
        string_map(text)
    }

    fn pairs(wanted: &[(&str, &str)]) -> Result<Vec<(String, String)>, String> {
        Ok(wanted
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect())
    }

    #[test]
    fn booleans_are_gos() {
        for text in ["1", "t", "T", "TRUE", "true", "True"] {
            assert_eq!(boolean(text), Ok(true));
        }
        for text in ["", " true", "tRUE", "yes", "on", "2"] {
            assert!(boolean(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn integers_take_a_sign_and_no_blanks() {
        assert_eq!(int32("+5"), Ok(5));
        assert_eq!(int32("-2147483648"), Ok(i32::MIN));
        for text in ["", "2147483648", "1_000", " 1", "1.0", "0x1", "-"] {
            assert!(int32(text).is_err(), "{text:?}");
        }
        assert_eq!(int64("2147483648"), Ok(2_147_483_648));
    }

    #[test]
    fn lists_drop_empty_parts() {
        assert_eq!(string_list(" a, b,,\n c ,"), ["a", "b", "c"]);
        assert!(string_list("").is_empty() && string_list(" , ").is_empty());
    }

    #[test]
    fn maps_follow_lbcs_tokenizer() {
        assert_eq!(map(""), pairs(&[]));
        assert_eq!(map("a=b,c=d"), pairs(&[("a", "b"), ("c", "d")]));
        assert_eq!(map(" a = b , c = d "), pairs(&[("a", "b"), ("c", "d")]));
        assert_eq!(map("a=b=c"), pairs(&[("a", "b=c")]));
        assert_eq!(map("a="), pairs(&[("a", "")]));
        assert_eq!(map("a=\"b\""), pairs(&[("a", "\"b\"")]));
        assert_eq!(map("a=b,a=c"), pairs(&[("a", "b"), ("a", "c")]));
        assert_eq!(map("a=b\n,c=d\n"), pairs(&[("a", "b"), ("c", "d")]));
    }

    #[test]
    fn a_trailing_comma_belongs_to_the_value() {
        assert_eq!(map("a=b,"), pairs(&[("a", "b,")]));
        assert_eq!(map("a=b, "), pairs(&[("a", "b,")]));
    }

    #[test]
    fn backslashes_protect_commas_but_neither_equals_nor_blanks() {
        assert_eq!(map("a=b\\,c,d=e"), pairs(&[("a", "b,c"), ("d", "e")]));
        assert_eq!(map("a=b\\\\"), pairs(&[("a", "b\\")]));
        assert_eq!(map("a=b\\"), pairs(&[("a", "b\\")]));
        assert_eq!(map("a\\=b=c"), pairs(&[("a", "b=c")]));
        assert_eq!(map("a=b\\ "), pairs(&[("a", "b")]));
        assert_eq!(map("a=\\ä,b=c"), pairs(&[("a", "ä"), ("b", "c")]));
    }

    #[test]
    fn malformed_maps_name_the_bad_item() {
        assert_eq!(map("a=b,,c=d"), Err("\"\" is no key=value".to_owned()));
        assert_eq!(map("a=b,c"), Err("\"c\" is no key=value".to_owned()));
        assert_eq!(map("a=b,c,d"), Err("\"c,d\" is no key=value".to_owned()));
        assert_eq!(map(" "), Err("\"\" is no key=value".to_owned()));
        assert_eq!(map(","), Err("\",\" is no key=value".to_owned()));
        assert_eq!(
            map("=b"),
            Err("\"=b\" has no key before the `=`".to_owned())
        );
    }

    proptest! {
        #[test]
        fn escaped_values_come_back(values in proptest::collection::vec("[a-z,\\\\=]{0,8}", 1..5)) {
            let text = values
                .iter()
                .map(|value| format!("k={}", value.replace('\\', "\\\\").replace(',', "\\,")))
                .collect::<Vec<_>>()
                .join(",");
            let read: Vec<String> = map(&text).unwrap().into_iter().map(|(_, value)| value).collect();
            prop_assert_eq!(read, values);
        }

        #[test]
        fn no_text_makes_a_grammar_panic(text in any::<String>()) {
            let _ = (map(&text), string_list(&text), boolean(&text), int32(&text), int64(&text));
        }
    }
}
