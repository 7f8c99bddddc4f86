//! Attacker text is cut before it is kept or shown, and numbers are written as people read them.

/// Longest string that an incident keeps, in characters.
pub(super) const KEPT_CHARS: usize = 256;

/// The first `chars` characters of `text`.
pub(crate) fn cut(text: &str, chars: usize) -> &str {
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

/// A number with its thousands set off: `104,211`.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_grouped_by_three() {
        let numbers = [0, 999, 1_000, 104_211, 1_000_000].map(grouped);
        assert_eq!(numbers, ["0", "999", "1,000", "104,211", "1,000,000"]);
    }

    #[test]
    fn cuts_between_characters() {
        assert_eq!(cut("äöü", 2), "äö");
        assert_eq!(cut("äöü", 3), "äöü");
        assert_eq!(cut("abc", 0), "");
        assert_eq!(kept(&"é".repeat(1000)).chars().count(), KEPT_CHARS);
    }
}
