//! Words that were perhaps meant.

/// How many letters must be changed, added, left out or swapped with the next (without regard to
/// case).
pub fn distance(a: &str, b: &str) -> usize {
    let lower = |s: &str| {
        s.chars()
            .map(|c| c.to_ascii_lowercase())
            .take(64)
            .collect::<Vec<char>>()
    };
    let (a, b) = (lower(a), lower(b));
    let mut rows = vec![vec![0; b.len() + 1]; a.len() + 1];
    for i in 0..=a.len() {
        for j in 0..=b.len() {
            rows[i][j] = if i == 0 || j == 0 {
                i + j
            } else {
                let change = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
                let swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
                let swap = if swapped {
                    rows[i - 2][j - 2] + 1
                } else {
                    change
                };
                change
                    .min(swap)
                    .min(rows[i - 1][j] + 1)
                    .min(rows[i][j - 1] + 1)
            };
        }
    }
    rows[a.len()][b.len()]
}

/// The candidate that is nearest to a word, if one is near enough to have been meant: up to a third
/// of the word's letters, two at the least.
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let most = (word.chars().count() / 3).max(2);
    candidates
        .into_iter()
        .map(|candidate| (distance(word, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= most && *distance < candidate.len())
        .min()
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_word_is_found_where_one_is_near() {
        let words = ["title", "text", "check", "hints"];
        for (word, want) in [
            ("titel", Some("title")),
            ("Text", Some("text")),
            ("checks", Some("check")),
            ("solution", None),
            ("", None),
        ] {
            assert_eq!(nearest(word, words), want, "{word}");
        }
    }
}
