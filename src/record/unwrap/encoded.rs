//! Bytes that wrappers write as something else: base64 in Pub/Sub, Kinesis (`data`, `Data`), Firehose (also `rawData`),
//! Lambda's `awslogs.data` and CloudEvents (`data_base64`), perhaps of what is compressed; numbers in journald's `MESSAGE`.

use base64::{
    Engine,
    alphabet::STANDARD,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use memchr::memmem;
use simd_json::prelude::*;

use crate::{
    audit::Json,
    record::{
        stream::packing::{Plain, unpacked},
        text::escape::entity,
    },
};

/// The keys of base64.
const BASE64_KEYS: [&str; 4] = ["data", "data_base64", "Data", "rawData"];

/// The key under which journald's JSON has an array of numbers, where it takes text for binary.
const NUMBERS_KEY: &str = "MESSAGE";

/// All of them.
pub const KEYS: [&str; 5] = [
    BASE64_KEYS[0],
    BASE64_KEYS[1],
    BASE64_KEYS[2],
    BASE64_KEYS[3],
    NUMBERS_KEY,
];

/// Characters of base64 by which it is told what was encoded.
const HEAD_CHARACTERS: usize = 4;

/// What cannot be told apart in the last character is ignored, as other decoders do.
const ENGINE: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::RequireNone),
);

/// What was hidden.
#[derive(Debug, PartialEq, Eq)]
pub struct Decoded {
    pub bytes: Vec<u8>,
    /// Nothing of it was cut off, damaged, or beyond the limit.
    pub is_whole: bool,
    /// What is packed, and could not be unpacked to its end.
    pub damaged: Vec<u8>,
    /// Bytes that came of it, with those in between.
    pub made: usize,
}

/// Whether the value of `key` may be base64.
pub fn is_base64_key(key: &str) -> bool {
    BASE64_KEYS.contains(&key)
}

/// Whether what begins with `head` may be base64 of text or of compressed data.
pub fn may_be_base64(head: &[u8]) -> bool {
    let Some(head) = head.first_chunk::<HEAD_CHARACTERS>() else {
        return false;
    };
    let mut bytes = [0; 3];
    let is_decoded = ENGINE.decode_slice(head.map(standard), &mut bytes);
    // Of any language, perhaps coloured, or with the separator of JSON text sequences (RFC 7464) before it.
    let is_text = || {
        let mut bytes = bytes.iter();
        bytes.all(|byte| {
            byte.is_ascii_graphic()
                || byte.is_ascii_whitespace()
                || !byte.is_ascii()
                || matches!(byte, b'\x1b' | b'\x1e')
        })
    };
    is_decoded.is_ok()
        && (matches!(&bytes, b"\x1f\x8b\x08" | b"\x28\xb5\x2f" | b"\xef\xbb\xbf")
            || matches!(&bytes, [0x78, 0x01 | 0x5e | 0x9c | 0xda, _])
            || is_text())
}

/// The bytes that `value`, which stands under `key`, has as numbers.
pub fn numbers(key: &str, value: Json<'_>) -> Option<Vec<u8>> {
    let array = value.as_array().filter(|_| key == NUMBERS_KEY)?;
    let bytes = array.iter().map(|item| u8::try_from(item.as_u64()?).ok());
    bytes.collect()
}

/// Decodes `text`, the standard or the URL-safe alphabet, padded or not, and takes gzip, zstd and zlib off, up to `most` bytes, if it is
/// packed.
pub fn decoded(text: &[u8], most: usize) -> Decoded {
    let mut plain: Vec<u8> = text
        .iter()
        .copied()
        .filter(|byte| !byte.is_ascii_whitespace())
        .collect();
    let end = plain
        .iter()
        .position(|byte| !is_character(*byte))
        .unwrap_or(plain.len());
    let padding = &plain[end..];
    let mut is_whole = padding.len() < HEAD_CHARACTERS && padding.iter().all(|byte| *byte == b'=');
    plain.truncate(end);
    if plain.len() % 4 == 1 {
        is_whole = false;
        plain.pop();
    }
    // All that the engine could refuse was taken off.
    plain.iter_mut().for_each(|byte| *byte = standard(*byte));
    let encoded = ENGINE.decode(plain).unwrap_or_default();
    let length = encoded.len();
    let most = most.max(length);
    let Plain {
        mut bytes,
        trouble,
        made,
    } = unpacked(encoded, most);
    is_whole &= trouble.is_none() && bytes.len() <= most;
    bytes.truncate(most);
    Decoded {
        bytes,
        is_whole,
        damaged: trouble.unwrap_or_default(),
        made: length + made,
    }
}

/// Appends `packed` as wrappers write it.
pub fn write(packed: &[u8], into: &mut Vec<u8>) {
    into.extend_from_slice(b"{\"data_base64\":\"");
    into.extend_from_slice(ENGINE.encode(packed).as_bytes());
    into.extend_from_slice(b"\"}");
}

/// What `text`, which cannot be decoded, has as base64, as far as it goes, and where its key stands.
pub fn base64_values(text: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    memmem::find_iter(text, b"ata").filter_map(|behind| {
        let at = behind.checked_sub(1)?;
        let value = behind_base64_key(&text[at..])?;
        let end = value
            .iter()
            .position(|byte| !is_character(*byte))
            .unwrap_or(value.len());
        may_be_base64(value).then(|| (at, &value[..end]))
    })
}

/// Whether `text`, which begins with the name of a key, goes on as if bytes were written there. In doubt, where what
/// follows is escaped, it does.
pub fn begins_at(text: &[u8]) -> bool {
    if let Some(rest) = text.strip_prefix(NUMBERS_KEY.as_bytes()) {
        return matches!(behind_colon(rest).first(), Some(b'[' | b'\\'));
    }
    let text = text.strip_prefix(b"raw").unwrap_or(text);
    if text.starts_with(b"data_base\\u") || text.starts_with(b"data_base6\\u") {
        return true;
    }
    behind_base64_key(text).is_some_and(|value| {
        let head = &value[..value.len().min(HEAD_CHARACTERS)];
        head.contains(&b'\\') || may_be_base64(value)
    })
}

/// What stands behind a key, as far as all such keys are alike.
fn behind_base64_key(text: &[u8]) -> Option<&[u8]> {
    let rest = text
        .strip_prefix(b"data")
        .or_else(|| text.strip_prefix(b"Data"))?;
    let rest = rest.strip_prefix(b"_base64").unwrap_or(rest);
    matches!(rest.first(), Some(b'"' | b'\'' | b'\\' | b'&')).then(|| behind_colon(rest))
}

/// What stands behind the quotes, the colon and the white space between a key and its value, in any layer of escapes, or
/// as XML and Python write quotes.
fn behind_colon(text: &[u8]) -> &[u8] {
    let mut rest = text;
    loop {
        rest = match rest {
            // Control characters, too, are mended to spaces where they stand in a string.
            [b'"' | b'\'' | b':' | 0..=b' ', after @ ..] => after,
            [b'\\', after @ ..] => match gap_escape(after) {
                Some(length) => &after[length..],
                None => return rest,
            },
            [b'&', ..] => match entity(rest) {
                Some((b'"', length)) => &rest[length..],
                _ => return rest,
            },
            _ => return rest,
        };
    }
}

/// The length of an escape, without its backslash, that may stand between a key and its value. A quote or another backslash
/// is looked at by itself.
fn gap_escape(escape: &[u8]) -> Option<usize> {
    match escape {
        [b'"' | b'\\', ..] => Some(0),
        [b'n' | b'r' | b't', ..] => Some(1),
        [b'u', b'0', b'0', digits @ ..] => {
            let digits = digits
                .first_chunk::<2>()?
                .map(|digit| digit.to_ascii_lowercase());
            matches!(&digits, b"22" | b"3a" | b"20" | b"09" | b"0a" | b"0d").then_some(5)
        }
        _ => None,
    }
}

fn is_character(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'-' | b'_')
}

/// `character` of either alphabet, in the standard one.
fn standard(character: u8) -> u8 {
    match character {
        b'-' => b'+',
        b'_' => b'/',
        other => other,
    }
}

#[cfg(test)]
mod tests;
