//! "Did you mean": the nearest of the names that exist.

/// A hint that names what is near to a misspelt name, else all there is while that is short.
pub(super) fn near<'a>(
    what: &str,
    wrong: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> String {
    let mut known: Vec<&str> = known.into_iter().collect();
    known.sort_unstable();
    known.dedup();
    let nearest = known
        .iter()
        .map(|name| (distance(wrong, name), *name))
        .min()
        .filter(|(distance, _)| *distance <= (wrong.chars().count() / 3).max(1));
    match nearest {
        Some((_, name)) => format!("did you mean `{name}`?"),
        None if known.is_empty() => format!("there is no {what}"),
        None if known.len() <= 8 => format!("known: {}", quoted(&known)),
        None => format!("{} others are known, none of a similar name", known.len()),
    }
}

fn quoted(names: &[&str]) -> String {
    names
        .iter()
        .map(|name| format!("`{name}`"))
        .collect::<Vec<_>>()
        .join(", ")
}

/// Least number of letters to insert, delete, replace or swap with their neighbour.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut rows: Vec<Vec<usize>> = vec![(0..=b.len()).collect()];
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let replaced = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut least = replaced.min(rows[i - 1][j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                least = least.min(rows[i - 2][j - 2] + 1);
            }
            row.push(least);
        }
        rows.push(row);
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_name_finds_the_one_that_was_meant() {
        assert_eq!(
            near("Service", "ap1", ["app1", "web"]),
            "did you mean `app1`?"
        );
        assert_eq!(
            near("Service", "wbe", ["app1", "web"]),
            "did you mean `web`?"
        );
    }

    #[test]
    fn a_far_name_gets_the_list_or_that_there_is_none() {
        assert_eq!(
            near("Service", "billing", ["web", "app"]),
            "known: `app`, `web`"
        );
        assert_eq!(
            near("Service in prod", "billing", []),
            "there is no Service in prod"
        );
    }

    #[test]
    fn distance_counts_edits() {
        assert_eq!(distance("app1", "app1"), 0);
        assert_eq!(distance("app", "app1"), 1);
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("", "abc"), 3);
    }
}
