//! The escapes of JSON and of CSV, undone without a parser: for text that is no longer JSON, or not yet.

use memchr::memmem;

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
    fn quotes_are_written_once() {
        let plain = undoubled(br#"{""a"":""\""b"""",""c"":""""}""#);
        assert_eq!(plain, br#"{"a":"\"b"","c":""}""#);
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
