//! The known word that somebody probably meant.

use std::collections::BTreeSet;

use super::fault::quoted;

/// Of `candidates` the one that is nearest to `word`: few slips of the keyboard away,
/// or one that contains the other.
pub(crate) fn nearest<'a>(
    word: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let plain = |text: &str| text.to_lowercase().replace('-', "_");
    let word = plain(word);
    // Cost and memory of the comparison grow with the square of the length.
    if word.len() > 100 {
        return None;
    }
    let slips = (word.chars().count() / 3).max(1);
    let rank = |candidate: &str| {
        let candidate = plain(candidate);
        let distance = strsim::damerau_levenshtein(&word, &candidate);
        let shorter = word.len().min(candidate.len());
        let contained = shorter >= 3 && (candidate.contains(&word) || word.contains(&candidate));
        match (distance <= slips, contained) {
            (true, _) => Some(distance),
            (false, true) => Some(slips + distance),
            (false, false) => None,
        }
    };
    let ranked = candidates
        .into_iter()
        .filter_map(|candidate| Some((rank(candidate)?, candidate)));
    ranked
        .min_by_key(|(rank, _)| *rank)
        .map(|(_, candidate)| candidate)
}

/// The end of a fault about an unknown `word`: `; did you mean "x"?`, or what is known.
pub(crate) fn advice<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> String {
    let candidates: BTreeSet<&str> = candidates.into_iter().collect();
    match nearest(word, candidates.iter().copied()) {
        Some(meant) => format!("; did you mean {}?", quoted(meant)),
        None if candidates.is_empty() => String::new(),
        None => format!("; known: {}", listed(candidates)),
    }
}

/// `"a", "b", "c"`, cut after twenty.
pub(crate) fn listed<'a>(words: impl IntoIterator<Item = &'a str>) -> String {
    let mut words = words.into_iter();
    let mut shown: Vec<String> = words.by_ref().take(20).map(quoted).collect();
    match words.count() {
        0 => {}
        more => shown.push(format!("and {more} more")),
    }
    shown.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_of_the_keyboard_are_recognised() {
        let known = ["webhook_url", "request", "buffer", "inputs"];
        let meant = |word| nearest(word, known);
        assert_eq!(meant("input"), Some("inputs"));
        assert_eq!(meant("Webhook-URL"), Some("webhook_url"));
        assert_eq!(meant("url"), Some("webhook_url"));
        assert_eq!(meant("bufefr"), Some("buffer"));
        assert_eq!(meant("topic"), None);
        assert_eq!(meant(&"x".repeat(10_000)), None);
    }
}
