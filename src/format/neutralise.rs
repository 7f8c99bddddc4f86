//! Attacker text made harmless for the place where it is shown.

use std::{
    borrow::Cow,
    fmt::{self, Write as _},
};

/// True for characters that a reader does not see as what they are: controls (C0, DEL,
/// C1), line and paragraph separators, bidi controls, everything that Unicode lets a
/// renderer ignore (zero-width characters, variation selectors, tags, annotations), and what looks like a space and is none.
pub(super) fn is_hidden(char: char) -> bool {
    if char.is_ascii() {
        return char.is_ascii_control();
    }
    matches!(char,
        '\u{80}'..='\u{a0}' // no-break space
        | '\u{ad}' // soft hyphen
        | '\u{34f}' // grapheme joiner
        | '\u{600}'..='\u{605}' // Arabic number signs
        | '\u{61c}' // Arabic letter mark
        | '\u{6dd}' // end of an ayah
        | '\u{70f}' // Syriac abbreviation
        | '\u{890}'..='\u{891}' // Arabic currency marks
        | '\u{8e2}' // disputed end of an ayah
        | '\u{115f}'..='\u{1160}' // Hangul fillers
        | '\u{1680}' // Ogham space
        | '\u{17b4}'..='\u{17b5}'
        | '\u{180b}'..='\u{180f}'
        | '\u{2000}'..='\u{200f}' // spaces, zero width, left-to-right and right-to-left marks
        | '\u{2028}'..='\u{202f}' // separators, embeddings and overrides, narrow space
        | '\u{205f}'..='\u{206f}' // a space, joiners, isolates
        | '\u{2800}' // Braille blank
        | '\u{3000}' // ideographic space
        | '\u{3164}' // Hangul filler
        | '\u{fe00}'..='\u{fe0f}' // variation selectors
        | '\u{feff}' // byte-order mark
        | '\u{ffa0}' // Hangul filler
        | '\u{fff0}'..='\u{fffc}' // unassigned, interlinear annotation, what stands for an object
        | '\u{110bd}' // Kaithi number signs
        | '\u{110cd}'
        | '\u{13430}'..='\u{1343f}' // what joins Egyptian hieroglyphs
        | '\u{13441}'..='\u{13442}' // Egyptian blanks
        | '\u{1bca0}'..='\u{1bca3}'
        | '\u{1d159}' // null notehead
        | '\u{1d173}'..='\u{1d17a}'
        | '\u{e0000}'..='\u{e0fff}' // tags, variation selectors
    )
}

/// How one character is shown: itself, or an escape that cannot act.
struct Visible(char);

impl fmt::Display for Visible {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            '\n' => f.write_str("\\n"),
            '\r' => f.write_str("\\r"),
            '\t' => f.write_str("\\t"),
            '\\' => f.write_char('∖'), // A look-alike: no escape can be forged.
            hidden if is_hidden(hidden) => write!(f, "\\u{{{:x}}}", u32::from(hidden)),
            plain => f.write_char(plain),
        }
    }
}

/// `text` for a terminal or a plain text file, on one line and at most `most`
/// characters long: hidden characters as escapes such as `\u{202e}`, and a backslash as
/// its look-alike, so that no escape is the attacker's. What is cut is followed by `…`, which counts as one of `most`.
pub fn visible(text: &str, most: usize) -> Cow<'_, str> {
    if text.len() <= most && !text.contains(|char| char == '\\' || is_hidden(char)) {
        return Cow::Borrowed(text);
    }
    cut(text, most, |char, _, out| {
        // Writing to a String cannot fail.
        let _ = write!(out, "{}", Visible(char));
    })
    .0
    .into()
}

/// As [`visible`], and says how many characters were left out: `… (4200 more characters)`.
/// The note comes on top of `most`.
pub(super) fn visible_with_rest(text: &str, most: usize) -> String {
    let (mut shown, left_out) = cut(text, most, |char, _, out| {
        let _ = write!(out, "{}", Visible(char));
    });
    if left_out > 0 {
        let _ = write!(shown, " ({left_out} more characters)");
    }
    shown
}

/// `text` for the one place where Slack may parse markup, the notification line, on one
/// line and at most `most` characters long. Beside what [`visible`] does, entities are
/// escaped, and whatever could be read as formatting, a mention or a link is replaced by
/// a look-alike.
pub(super) fn slack_markup(text: &str, most: usize) -> String {
    cut(text, most, |char, rest, out| {
        let _ = match (char, look_alike(char, rest)) {
            ('&', _) => out.write_str("&amp;"),
            ('<', _) => out.write_str("&lt;"),
            ('>', _) => out.write_str("&gt;"),
            ('_', _) => out.write_char('ˍ'),
            (_, Some(harmless)) => out.write_char(harmless),
            (other, None) => write!(out, "{}", Visible(other)),
        };
    })
    .0
}

/// `text` for a receiver that passes it on to who knows where, to a chat or into HTML or Markdown, on one line and at most
/// `most` characters long. Beside what [`visible`] does, whatever could be read as a tag, an entity, a mention or a link
/// is replaced by a look-alike.
pub(super) fn unmarked(text: &str, most: usize) -> String {
    cut(text, most, |char, rest, out| {
        let _ = match look_alike(char, rest) {
            Some(harmless) => out.write_char(harmless),
            None => write!(out, "{}", Visible(char)),
        };
    })
    .0
}

/// What stands for `char` where markup is read and `rest` follows it; `None` if it is harmless.
fn look_alike(char: char, rest: &str) -> Option<char> {
    Some(match char {
        '&' => '＆',
        '<' => '‹',
        '>' => '›',
        '*' => '∗',
        '~' => '∼',
        '`' => 'ˋ',
        '@' => '＠',
        '#' => '＃',
        '/' if rest.starts_with('/') => '∕',
        // `evil.com` is a link to Slack; the dots of an IPv4 address are none.
        '.' if !rest.starts_with(|next: char| next.is_ascii_digit()) => '․',
        _ => return None,
    })
}

/// Writes `text` with `write`, which is given each character and what follows it, until
/// `most` characters are written; ends with `…` if not all could be. Also gives the
/// number of characters left out.
fn cut(text: &str, most: usize, mut write: impl FnMut(char, &str, &mut String)) -> (String, usize) {
    let mut out = String::with_capacity(text.len().min(most * 4));
    let mut length = 0;
    // What is written and read at the last place that leaves room for the `…`.
    let (mut written, mut read) = (0, 0);
    for (index, char) in text.char_indices() {
        let start = out.len();
        let rest = &text[index + char.len_utf8()..];
        write(char, rest, &mut out);
        length += out[start..].chars().count();
        if length > most {
            out.truncate(written);
            out.push('…');
            return (out, text[read..].chars().count());
        }
        if length < most {
            (written, read) = (out.len(), index + char.len_utf8());
        }
    }
    (out, 0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_acts_is_shown_as_what_it_is() {
        for (hostile, shown) in [
            ("\x1b[31mred\x1b[0m", r"\u{1b}[31mred\u{1b}[0m"),
            ("\u{9b}31m", r"\u{9b}31m"),
            (
                "a\r\n  severity low\tx\0\x7f",
                r"a\r\n  severity low\tx\u{0}\u{7f}",
            ),
            ("exe\u{202e}gpj.sh", r"exe\u{202e}gpj.sh"),
            (
                "\u{2066}\u{2069}\u{61c}\u{200f}",
                r"\u{2066}\u{2069}\u{61c}\u{200f}",
            ),
            ("pay\u{200b}pal\u{feff}", r"pay\u{200b}pal\u{feff}"),
            ("\u{2028}\u{2029}\u{85}", r"\u{2028}\u{2029}\u{85}"),
            ("\u{e0041}\u{fff9}\u{fe0f}", r"\u{e0041}\u{fff9}\u{fe0f}"),
            ("a\u{2800}\u{a0}\u{3000}b", r"a\u{2800}\u{a0}\u{3000}b"),
            (
                "\u{1680}\u{2003}\u{202f}\u{205f}",
                r"\u{1680}\u{2003}\u{202f}\u{205f}",
            ),
            ("\u{fffc}\u{1d159}\u{13441}", r"\u{fffc}\u{1d159}\u{13441}"),
            ("Grüße, 世界 🙂", "Grüße, 世界 🙂"),
        ] {
            assert_eq!(visible(hostile, 200), shown);
        }
    }

    #[test]
    fn a_cut_never_splits_a_character_or_an_escape() {
        assert_eq!(visible("abcdef", 6), "abcdef");
        assert_eq!(visible("abcdefg", 6), "abcde…");
        assert_eq!(visible("ääääääää", 4), "äää…");
        assert_eq!(visible("ab\u{202e}cdef", 8), "ab…");
        assert_eq!(visible("abc", 0), "…");
        assert_eq!(
            visible_with_rest("abcdefg", 6),
            "abcde… (2 more characters)"
        );
        assert_eq!(visible_with_rest("abcdef", 6), "abcdef");
    }

    #[test]
    fn slack_sees_no_mention_link_or_markup() {
        let shown = slack_markup("<!channel> @here *b* _i_ ~s~ `c` https://evil.com/x", 200);
        assert_eq!(
            shown,
            "&lt;!channel&gt; ＠here ∗b∗ ˍiˍ ∼s∼ ˋcˋ https:∕/evil․com/x"
        );
        assert_eq!(
            slack_markup("from 10.0.3.7 by a/b", 200),
            "from 10.0.3.7 by a/b"
        );
    }

    #[test]
    fn nobody_sees_a_tag_a_mention_or_a_link() {
        let shown = unmarked(
            "<!channel> @here <b>x</b> &lt; [a](https://evil.com) token_use\n",
            200,
        );
        assert_eq!(
            shown,
            r"‹!channel› ＠here ‹b›x‹/b› ＆lt; [a](https:∕/evil․com) token_use\n"
        );
    }

    proptest! {
        #[test]
        fn nothing_hidden_comes_out_and_the_length_is_kept(text in any::<String>(), most in 1..300_usize) {
            let shown = visible(&text, most);
            prop_assert!(!shown.contains(is_hidden), "{shown:?}");
            prop_assert!(shown.chars().count() <= most);

            let shown = slack_markup(&text, most);
            prop_assert!(!shown.contains(is_hidden));
            prop_assert!(!shown.contains(['<', '>', '*', '_', '~', '`', '@', '#']) && !shown.contains("//"));
            prop_assert!(shown.chars().count() <= most);

            let shown = unmarked(&text, most);
            prop_assert!(!shown.contains(is_hidden));
            prop_assert!(!shown.contains(['<', '>', '&', '*', '~', '`', '@', '#']) && !shown.contains("//"));
            prop_assert!(shown.chars().count() <= most);
        }

        #[test]
        fn hidden_characters_never_come_out(text in "[\u{0}-\u{ad}\u{2000}-\u{2070}\u{fe00}-\u{ffff}\u{e0000}-\u{e01ff}]{0,80}") {
            prop_assert!(!visible(&text, 2000).contains(is_hidden));
        }

        #[test]
        fn what_formats_others_is_hidden(text in "[\\p{Cf}\\p{Zl}\\p{Zp}\\p{Cc}]{1,20}") {
            prop_assert!(text.chars().all(is_hidden), "{}", text.escape_unicode());
        }

        #[test]
        fn printable_ascii_is_unchanged_but_for_backslashes(text in "[ -~]{0,200}") {
            prop_assert_eq!(visible(&text, 200), text.replace('\\', "∖"));
        }
    }
}
