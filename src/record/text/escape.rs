//! The escapes of JSON, of CSV and of XML, undone without a parser: for text that is no longer JSON, or not yet.

use memchr::{memchr, memchr_iter, memmem, memrchr_iter};

/// Whether a backslash escapes what stands behind `before`.
pub fn is_escaped(before: &[u8]) -> bool {
    backslashes(before) % 2 == 1
}

/// How many backslashes `text` ends with.
pub fn backslashes(text: &[u8]) -> usize {
    text.iter().rev().take_while(|byte| **byte == b'\\').count()
}

/// Where the first `quote` stands in `text` that no backslash escapes: there ends the string in which it begins.
pub fn first_quote(text: &[u8], quote: u8) -> Option<usize> {
    memchr_iter(quote, text).find(|at| !is_escaped(&text[..*at]))
}

/// Where the last quote stands in `text` that no backslash escapes.
pub fn last_quote(text: &[u8]) -> Option<usize> {
    memrchr_iter(b'"', text).find(|at| !is_escaped(&text[..*at]))
}

/// Whether `text`, which stands in a string of JSON, ends with a newline, and not with an `n` behind an escaped backslash.
pub fn ends_in_newline(text: &[u8]) -> bool {
    text.strip_suffix(b"n").is_some_and(is_escaped)
}

/// A copy of `text` with one layer of escapes undone. Escaped white space and control
/// characters become spaces, a lone surrogate becomes U+FFFD.
pub fn unescaped(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        plain.push_str(&rest[..at]);
        let escape = &rest[at + 1..];
        let mut characters = escape.chars();
        let length = match characters.next() {
            None => 0,
            Some('u') => match code_point(escape) {
                Some(character) => {
                    plain.push(if character.is_control() {
                        ' '
                    } else {
                        character
                    });
                    5
                }
                None => 1,
            },
            Some('n' | 'r' | 't' | 'b' | 'f') => {
                plain.push(' ');
                1
            }
            Some(character) => {
                plain.push(character);
                character.len_utf8()
            }
        };
        rest = &escape[length..];
    }
    plain.push_str(rest);
    plain
}

/// A copy of a field of CSV in which each quote is written once.
pub fn undoubled(field: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some(at) = memmem::find(rest, b"\"\"") {
        plain.extend_from_slice(&rest[..=at]);
        rest = &rest[at + 2..];
    }
    plain.extend_from_slice(rest);
    plain
}

/// XML's names for the characters that it escapes; a quote has numbers, too.
const ENTITIES: [(&[u8], u8); 9] = [
    (b"&quot;", b'"'),
    (b"&#34;", b'"'),
    (b"&#x22;", b'"'),
    (b"&amp;", b'&'),
    (b"&lt;", b'<'),
    (b"&gt;", b'>'),
    (b"&apos;", b'\''),
    (b"&#39;", b'\''),
    (b"&#x27;", b'\''),
];

/// The character that the entity at the beginning of `text` stands for, and the length of that.
pub fn entity(text: &[u8]) -> Option<(u8, usize)> {
    let mut entities = ENTITIES.iter();
    let (name, character) = entities.find(|(name, _)| text.starts_with(name))?;
    Some((*character, name.len()))
}

/// A copy of text of XML with one layer of entities undone; those that are not known stay.
pub fn without_entities(text: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = memchr(b'&', rest) {
        plain.extend_from_slice(&rest[..at]);
        let (character, length) = entity(&rest[at..]).unwrap_or((b'&', 1));
        plain.push(character);
        rest = &rest[at + length..];
    }
    plain.extend_from_slice(rest);
    plain
}

/// The character of `uXXXX` at the start of `escape`.
fn code_point(escape: &str) -> Option<char> {
    let unit = u32::from_str_radix(escape.get(1..5)?, 16).ok()?;
    Some(char::from_u32(unit).unwrap_or(char::REPLACEMENT_CHARACTER))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn one_layer_is_undone() {
        assert_eq!(
            unescaped(r#"{\"a\":\"\u002d\/\n\\u002d\"}\"#),
            r#"{"a":"-/ \u002d"}"#
        );
        assert_eq!(unescaped(r"\ud83d\u00e9\u12"), "\u{fffd}é12");
    }

    #[test]
    fn what_escapes_is_not_escaped_itself() {
        assert_eq!(first_quote(br#"a\"b\\"c""#, b'"'), Some(6));
        assert_eq!(first_quote(br#"\""#, b'"'), None);
        assert_eq!(last_quote(br#"a"b\\"c\""#), Some(5));
        assert_eq!(last_quote(br#"\""#), None);
        let ends = [&br"n"[..], br"\n", br"\\n", br"\\\n", b""].map(ends_in_newline);
        assert_eq!(ends, [false, true, false, true, false]);
    }

    #[test]
    fn quotes_are_written_once() {
        let plain = undoubled(br#"{""a"":""\""b"""",""c"":""""}""#);
        assert_eq!(plain, br#"{"a":"\"b"","c":""}""#);
    }

    #[test]
    fn one_layer_of_entities_is_undone() {
        let plain = without_entities(b"{&quot;a&#34;:&#x22;&amp;quot;&lt;&gt;&apos;&x; & &amp;");
        assert_eq!(plain, br#"{"a":"&quot;<>'&x; & &"#);
    }

    proptest! {
        #[test]
        fn a_field_comes_back(text in "[a\"{}\\\\]*") {
            let field = text.replace('"', "\"\"");
            prop_assert_eq!(undoubled(field.as_bytes()), text.as_bytes());
        }

        #[test]
        fn a_json_string_without_control_characters_comes_back(text in "[^\\x00-\\x1f\\x7f-\\x9f]*") {
            let json = serde_json::to_string(&text).unwrap();
            prop_assert_eq!(unescaped(&json[1..json.len() - 1]), text);
        }
    }
}
