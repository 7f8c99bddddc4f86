//! What Python prints of a decoded event: `{'kind': 'Event', 'user': {'username': '…'}}`.
//!
//! Its strings are in single quotes, or in double ones where a single one stands in them, and it has words of its own for
//! `true`, `false` and `null`. Nothing else tells it from JSON.

use std::fmt::Write as _;

use super::{backslashed::undone, escape::first_quote, extent::open_brackets};

/// The words, and what JSON has for them.
const WORDS: [(&[u8], &[u8]); 3] = [(b"True", b"true"), (b"False", b"false"), (b"None", b"null")];

/// Whether `text` begins as such a value does.
pub fn is_one(text: &[u8]) -> bool {
    let brackets = open_brackets(text);
    brackets > 0 && text.get(brackets) == Some(&b'\'')
}

/// The value at the beginning of `text` as JSON, and its length; `None` if there is none, or no end of it.
pub fn json(text: &[u8]) -> Option<(Vec<u8>, usize)> {
    if !is_one(text) {
        return None;
    }
    let (mut out, mut at, mut depth) = (Vec::new(), 0, 0_usize);
    while let Some(byte) = text.get(at) {
        let rest = &text[at..];
        match byte {
            b'\'' | b'"' => at += string(rest, &mut out)?,
            b'b' if matches!(rest.get(1), Some(b'\'' | b'"')) => {
                let string = &rest[2..][..first_quote(&rest[2..], rest[1])?];
                let bytes = undone(string, true)?;
                serde_json::to_writer(&mut out, &String::from_utf8_lossy(&bytes)).ok()?;
                at += string.len() + "b''".len();
            }
            _ => match WORDS.iter().find(|(word, _)| rest.starts_with(word)) {
                Some((word, json)) => {
                    out.extend_from_slice(json);
                    at += word.len();
                }
                None => {
                    out.push(*byte);
                    at += 1;
                }
            },
        }
        match byte {
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return Some((out, at));
        }
    }
    None
}

/// `text` with a space where such a value would begin, so that it is none. baitline's own texts hold those of clients, and may be
/// fed back in.
pub fn without_beginnings(mut text: String) -> String {
    for bracket in ['{', '['] {
        let beginning = format!("{bracket}'");
        if text.contains(&beginning) {
            text = text.replace(&beginning, &format!("{bracket} '"));
        }
    }
    text
}

/// Appends the string at the beginning of `text`, a quote, as JSON has it; how long it is, with its quotes. Go's `%q` writes it so, too.
pub fn string(text: &[u8], out: &mut Vec<u8>) -> Option<usize> {
    let (quote, mut at) = (text[0], 1);
    out.push(b'"');
    loop {
        let byte = *text.get(at)?;
        at += 1;
        match byte {
            _ if byte == quote => {
                out.push(b'"');
                return Some(at);
            }
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => at += escape(&text[at..], out)?,
            _ => out.push(byte),
        }
    }
}

/// Appends what stands behind a backslash; how long that is.
fn escape(text: &[u8], out: &mut Vec<u8>) -> Option<usize> {
    let letter = *text.first()?;
    let Some(count) = digits_behind(letter) else {
        match letter {
            b'\'' => out.push(b'\''),
            letter => out.extend_from_slice(&[b'\\', letter]),
        }
        return Some(1);
    };
    let character = char::from_u32(code(text)?);
    let mut escaped = String::new();
    for unit in character
        .unwrap_or(char::REPLACEMENT_CHARACTER)
        .encode_utf16(&mut [0; 2])
    {
        // Writing to a String cannot fail.
        let _ = write!(escaped, "\\u{unit:04x}");
    }
    out.extend_from_slice(escaped.as_bytes());
    Some(1 + count)
}

/// How many hexadecimal digits follow `letter` behind a backslash, if it stands for a character by its number.
pub fn digits_behind(letter: u8) -> Option<usize> {
    match letter {
        b'x' => Some(2),
        b'u' => Some(4),
        b'U' => Some(8),
        _ => None,
    }
}

/// The number that `text`, which stands behind a backslash, has for a character.
pub fn code(text: &[u8]) -> Option<u32> {
    let (letter, digits) = text.split_first()?;
    let digits = digits.get(..digits_behind(*letter)?)?;
    u32::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn read(text: &str) -> Option<(Value, usize)> {
        let (json, length) = json(text.as_bytes())?;
        Some((serde_json::from_slice(&json).ok()?, length))
    }

    #[test]
    fn what_python_prints_is_read() {
        let text = r#"{'a': 'it"s', 'b': "it's}", 'c': [True, False, None, 1.5], 'd': '\\\'\x7f\u2028\U0001f600\n', 'e': {}, 'f': b'\xc3\xa9"\n'} tail"#;
        let wanted = json!({"a": "it\"s", "b": "it's}", "c": [true, false, null, 1.5], "d": "\\'\u{7f}\u{2028}\u{1f600}\n", "e": {}, "f": "é\"\n"});
        assert_eq!(read(text), Some((wanted, text.len() - " tail".len())));
        for none in [
            "{'a': 'b'",
            r#"{"a": 'b'}"#,
            "{'a': '\\",
            "{'a': '\\x7",
            "'a'",
            "{}",
            "",
        ] {
            assert_eq!(read(none), None, "{none}");
        }
    }

    proptest! {
        #[test]
        fn nothing_panics(text in "[\\[{'\"\\\\xuU0-9a]{0,30}", bytes in proptest::collection::vec(any::<u8>(), 0..30)) {
            json(text.as_bytes());
            json(format!("{{'{text}").as_bytes());
            json(&[b"{'".as_slice(), &bytes].concat());
            let harmless = without_beginnings(text);
            let mut starts = 0..harmless.len();
            prop_assert!(starts.all(|start| json(&harmless.as_bytes()[start..]).is_none()));
        }
    }
}
