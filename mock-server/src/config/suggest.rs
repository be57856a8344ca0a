//! Suggestions for a misspelt name.

/// Returns the name nearest to `word`, if it is near enough to be a typing error.
pub(super) fn did_you_mean<'a>(
    word: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let nearest = known
        .into_iter()
        .map(|name| (distance(word, name), name))
        .min()?;
    let (distance, name) = nearest;
    (distance <= 1 + name.chars().count() / 5).then_some(name)
}

/// Number of letters that have to be inserted, deleted, replaced or transposed.
fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut before: Vec<usize> = Vec::new();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    let mut last = None;
    for (i, a) in left.chars().enumerate() {
        let mut next = vec![i + 1];
        for (j, b) in right.iter().enumerate() {
            let replaced = row[j] + usize::from(a != *b);
            let mut best = replaced.min(row[j + 1] + 1).min(next[j] + 1);
            let swapped = j > 0 && last == Some(*b) && right[j - 1] == a;
            if swapped {
                best = best.min(before[j - 1] + 1);
            }
            next.push(best);
        }
        before = std::mem::replace(&mut row, next);
        last = Some(a);
    }
    row[right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_seen_and_other_words_are_not() {
        let known = ["code.single_use", "public_url", "app", "seed"];
        for (word, meant) in [
            ("code.singel_use", Some("code.single_use")),
            ("code.single-use", Some("code.single_use")),
            ("publicurl", Some("public_url")),
            ("apps", Some("app")),
            ("sede", Some("seed")),
            ("proxy", None),
            ("", None),
        ] {
            assert_eq!(did_you_mean(word, known), meant, "{word}");
        }
        assert_eq!(distance("ab", "ba"), 1);
        assert_eq!(distance("", "abc"), 3);
    }
}
