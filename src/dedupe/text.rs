//! Attacker text is cut before it is kept or shown.

/// Longest string that an incident keeps, in characters.
pub(super) const KEPT_CHARS: usize = 256;

/// The first `chars` characters of `text`.
pub(super) fn cut(text: &str, chars: usize) -> &str {
    if text.len() <= chars {
        return text;
    }
    match text.char_indices().nth(chars) {
        Some((end, _)) => &text[..end],
        None => text,
    }
}

/// An owned copy of `text`, no longer than an incident keeps.
pub(super) fn kept(text: &str) -> String {
    cut(text, KEPT_CHARS).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cuts_between_characters() {
        assert_eq!(cut("äöü", 2), "äö");
        assert_eq!(cut("äöü", 3), "äöü");
        assert_eq!(cut("abc", 0), "");
        assert_eq!(kept(&"é".repeat(1000)).chars().count(), KEPT_CHARS);
    }
}
