//! Mends JSON that the API server may well write and the fast parser refuses.

use super::extent::value_length;

/// Digits that a number may have before it is taken to be out of range.
const MAX_NUMBER_BYTES: usize = 15;

/// Levels that are kept: the parser takes twice as many, and more than are searched.
const MAX_DEPTH: usize = 512;

/// A copy of `text` in which invalid UTF-8 and lone surrogates are U+FFFD, control
/// characters in strings are spaces, numbers that may be out of range are 0, and values deeper than
/// [`MAX_DEPTH`] levels are null.
///
/// No field that baitline reads is such a number, and a name with such a character is
/// no decoy's.
pub fn repaired(text: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(text);
    let bytes = text.as_bytes();
    let mut mended = Vec::with_capacity(bytes.len());
    let mut at = 0;
    let (mut in_string, mut depth) = (false, 0_usize);
    while let Some(&byte) = bytes.get(at) {
        let length = match byte {
            b'\\' if in_string => push_escape(&bytes[at..], &mut mended),
            0..0x20 if in_string => push(b" ", 1, &mut mended),
            b'{' | b'[' if !in_string && depth == MAX_DEPTH => push_null(&bytes[at..], &mut mended),
            b'{' | b'[' if !in_string => {
                depth += 1;
                push(&[byte], 1, &mut mended)
            }
            b'}' | b']' if !in_string => {
                depth = depth.saturating_sub(1);
                push(&[byte], 1, &mut mended)
            }
            b'-' | b'0'..=b'9' if !in_string => push_number(&bytes[at..], &mut mended),
            _ => {
                in_string ^= byte == b'"';
                push(&[byte], 1, &mut mended)
            }
        };
        at += length;
    }
    mended
}

fn push(replacement: &[u8], length: usize, mended: &mut Vec<u8>) -> usize {
    mended.extend_from_slice(replacement);
    length
}

/// Replaces the value that begins with the bracket at the start of `bytes`; what is not closed is left out to its end.
fn push_null(bytes: &[u8], mended: &mut Vec<u8>) -> usize {
    let length = value_length(bytes.iter().copied());
    push(b"null", length.unwrap_or(bytes.len()), mended)
}

fn push_number(bytes: &[u8], mended: &mut Vec<u8>) -> usize {
    let length = bytes
        .iter()
        .position(|byte| !matches!(byte, b'-' | b'+' | b'.' | b'e' | b'E' | b'0'..=b'9'))
        .unwrap_or(bytes.len());
    let number = &bytes[..length];
    let is_safe =
        length <= MAX_NUMBER_BYTES && !number.iter().any(|byte| matches!(byte, b'e' | b'E'));
    push(if is_safe { number } else { b"0" }, length, mended)
}

fn push_escape(bytes: &[u8], mended: &mut Vec<u8>) -> usize {
    match unit(bytes) {
        Some(0xd800..=0xdbff) => match bytes.get(6..).and_then(unit) {
            Some(0xdc00..=0xdfff) => push(&bytes[..12], 12, mended),
            _ => push(b"\\ufffd", 6, mended),
        },
        Some(0xdc00..=0xdfff) => push(b"\\ufffd", 6, mended),
        _ => {
            let length = bytes.len().min(2);
            push(&bytes[..length], length, mended)
        }
    }
}

/// The UTF-16 unit of a `\uXXXX` at the start of `bytes`.
fn unit(bytes: &[u8]) -> Option<u16> {
    let digits = bytes.strip_prefix(b"\\u")?.get(..4)?;
    u16::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_odd_is_mended_and_the_rest_is_kept() {
        let text = b"{\"a\\\"1e9\":-1.5,\"b\":1e9,\"c\":[\"\\ud83d\\ude00\",\"\\ud83dx\",\"\t\"]}";
        assert_eq!(
            String::from_utf8(repaired(text)).unwrap(),
            "{\"a\\\"1e9\":-1.5,\"b\":0,\"c\":[\"\\ud83d\\ude00\",\"\\ufffdx\",\" \"]}"
        );
    }

    proptest! {
        #[test]
        fn nothing_panics(text in proptest::collection::vec(any::<u8>(), 0..200)) {
            repaired(&text);
        }

        #[test]
        fn sound_json_without_odd_numbers_is_unchanged(text in "\\PC*") {
            let json = serde_json::to_vec(&text).unwrap();
            prop_assert_eq!(repaired(&json), json);
        }
    }
}
