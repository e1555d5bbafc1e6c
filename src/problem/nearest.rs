//! "Did you mean": the nearest known word, for misspelt names.

/// Words longer than this are not compared: the cost grows with the square, and nobody misspells that much text.
const MAX_CHARS: usize = 120;

/// The candidate nearest to `word`, if one is near enough to be a misspelling of it: up to a third of its characters
/// differ, at most three. Case is ignored; among equally near ones the first in order wins.
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let allowed = (word.chars().count() / 3).clamp(1, 3);
    candidates
        .into_iter()
        .filter_map(|candidate| Some((distance(word, candidate)?, candidate)))
        .filter(|(distance, _)| *distance <= allowed)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// `did you mean "x"?`, or where nothing is near, what is known, if that is short enough to read.
pub fn did_you_mean<'a>(
    word: &str,
    candidates: impl IntoIterator<Item = &'a str> + Clone,
) -> Option<String> {
    if let Some(candidate) = nearest(word, candidates.clone()) {
        return Some(format!("did you mean \"{candidate}\"?"));
    }
    let known: Vec<&str> = candidates.into_iter().take(13).collect();
    match known.len() {
        0 | 13 => None,
        _ => Some(format!("known are: {}", known.join(", "))),
    }
}

/// How many insertions, deletions, replacements and swaps of neighbours lead from one word to the other, case ignored;
/// `None` where either is too long to ask.
pub fn distance(left: &str, right: &str) -> Option<usize> {
    let left: Vec<char> = left.chars().flat_map(char::to_lowercase).collect();
    let right: Vec<char> = right.chars().flat_map(char::to_lowercase).collect();
    if left.len() > MAX_CHARS || right.len() > MAX_CHARS {
        return None;
    }
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=right.len()).collect();
    for (i, a) in left.iter().enumerate() {
        let mut row = vec![i + 1; right.len() + 1];
        for (j, b) in right.iter().enumerate() {
            let mut best = (last[j + 1] + 1)
                .min(row[j] + 1)
                .min(last[j] + usize::from(a != b));
            if i > 0 && j > 0 && *a == right[j - 1] && left[i - 1] == *b {
                best = best.min(before[j - 1] + 1);
            }
            row[j + 1] = best;
        }
        before = std::mem::replace(&mut last, row);
    }
    last.last().copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_swap_of_neighbours_is_one_step() {
        assert_eq!(distance("paht", "path"), Some(1));
        assert_eq!(distance("", "abc"), Some(3));
        assert_eq!(distance("Ingres", "ingress"), Some(1));
    }

    #[test]
    fn only_a_near_word_is_offered() {
        let known = ["scheme", "target-type", "tags"];
        assert_eq!(nearest("shceme", known), Some("scheme"));
        assert_eq!(nearest("subnets", known), None);
        assert_eq!(nearest(&"x".repeat(5000), known), None);
    }

    #[test]
    fn where_nothing_is_near_a_short_list_is_shown() {
        assert_eq!(
            did_you_mean("zzz", ["a", "b"]).as_deref(),
            Some("known are: a, b")
        );
        assert_eq!(did_you_mean("zzz", []), None);
    }
}
