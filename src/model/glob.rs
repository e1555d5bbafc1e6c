//! Values of EC2's filters: `*` is any text, `?` is one character, and a backslash before either of them or before
//! another backslash makes it stand for itself (EC2 user guide, "List and filter your resources"). Case counts.
//!
//! What a user names goes to EC2 as such a value, so it means there what EC2 makes of it.

#[derive(Clone, Copy, PartialEq, Eq)]
enum Step {
    Letter(char),
    One,
    Any,
}

/// Whether a text is among those that a filter's value takes.
pub fn matches(value: &str, text: &str) -> bool {
    let steps = steps(value);
    let text: Vec<char> = text.chars().collect();
    let (mut step, mut at) = (0, 0);
    // The last `*`, and how far it reaches.
    let mut any: Option<(usize, usize)> = None;
    while let Some(letter) = text.get(at) {
        match steps.get(step) {
            Some(Step::Any) => {
                any = Some((step, at));
                step += 1;
                continue;
            }
            Some(Step::One) => {
                step += 1;
                at += 1;
                continue;
            }
            Some(Step::Letter(wanted)) if wanted == letter => {
                step += 1;
                at += 1;
                continue;
            }
            _ => {}
        }
        let Some((star, reach)) = any else {
            return false;
        };
        any = Some((star, reach + 1));
        step = star + 1;
        at = reach + 1;
    }
    steps.iter().skip(step).all(|step| *step == Step::Any)
}

fn steps(value: &str) -> Vec<Step> {
    let mut letters = value.chars().peekable();
    let mut steps = Vec::with_capacity(value.len());
    while let Some(letter) = letters.next() {
        steps.push(match letter {
            '*' => Step::Any,
            '?' => Step::One,
            '\\' => Step::Letter(letters.next_if(|next| is_special(*next)).unwrap_or(letter)),
            _ => Step::Letter(letter),
        });
    }
    steps
}

fn is_special(letter: char) -> bool {
    matches!(letter, '*' | '?' | '\\')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn wildcards_take_texts_as_ec2s_filters_do() {
        for (value, takes, leaves) in [
            (
                "edge-*",
                &["edge-", "edge-sg", "edge-a-b"][..],
                &["edge", "Edge-sg", "my-edge-sg"][..],
            ),
            ("*-sg", &["-sg", "edge-sg", "a-sg-sg"], &["edge-sg2"]),
            ("e?ge", &["edge", "eäge"], &["ege", "eddge"]),
            ("*", &["", "a"], &[]),
            ("", &[""], &["a"]),
            (r"edge\*", &["edge*"], &["edge-sg", r"edge\*"]),
            (r"\*amazon\?\\", &[r"*amazon?\"], &["an amazon!\\"]),
            (r"a\b\", &[r"a\b\"], &["ab"]),
        ] {
            for text in takes {
                assert!(matches(value, text), "{value} takes {text}");
            }
            for text in leaves {
                assert!(!matches(value, text), "{value} leaves {text}");
            }
        }
    }

    /// By the definition: every length is tried for each `*`.
    fn takes(steps: &[Step], text: &[char]) -> bool {
        match (steps.split_first(), text.split_first()) {
            (None, rest) => rest.is_none(),
            (Some((Step::Any, steps)), _) => {
                (0..=text.len()).any(|taken| takes(steps, &text[taken..]))
            }
            (Some(_), None) => false,
            (Some((Step::One, steps)), Some((_, text))) => takes(steps, text),
            (Some((Step::Letter(wanted), steps)), Some((letter, text))) => {
                wanted == letter && takes(steps, text)
            }
        }
    }

    fn escaped(text: &str) -> String {
        let mut value = String::new();
        for letter in text.chars() {
            if is_special(letter) {
                value.push('\\');
            }
            value.push(letter);
        }
        value
    }

    proptest! {
        #[test]
        fn a_value_takes_what_its_definition_takes(value in r"[aä*?\\]{0,7}", text in r"[aä*?\\]{0,7}") {
            let letters: Vec<char> = text.chars().collect();
            prop_assert_eq!(matches(&value, &text), takes(&steps(&value), &letters));
        }

        #[test]
        fn an_escaped_text_takes_itself_alone(text in r"[ab*?\\]{0,6}", other in r"[ab*?\\]{0,6}") {
            let value = escaped(&text);
            prop_assert!(matches(&value, &text));
            prop_assert_eq!(matches(&value, &other), text == other);
        }

        #[test]
        fn stars_take_whatever_stands_in_their_place(parts in prop::collection::vec("[ab]{0,3}", 1..4), between in "[ab]{0,3}") {
            prop_assert!(matches(&parts.join("*"), &parts.join(&between)));
        }
    }
}
