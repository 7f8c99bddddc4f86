//! Bytes that say by nothing but how they begin that they are packed: values in records, bodies of requests, messages.

use super::decompress::{self, Format, Magic, Unpacked, recognise};

/// Layers that are taken off, at most: more than anybody puts on.
pub const MAX_LAYERS: usize = 4;

/// Bytes that tell whether something is text.
pub const HEAD_BYTES: usize = 64;

/// What everything begins with that [`shown`] tells of, but for the first byte of a skippable frame of zstd, which stands
/// before the last of these.
pub const MAGICS: [&[u8]; 7] = [
    b"\x1f\x8b\x08",
    b"\x28\xb5\x2f\xfd",
    b"x\x01",
    b"x^",
    b"x\x9c",
    b"x\xda",
    SKIPPABLE,
];

/// What stands behind the first byte of a skippable frame, which may be any of sixteen.
pub const SKIPPABLE: &[u8] = b"*M\x18";

/// What `bytes` are packed in, if they show it.
pub fn shown(bytes: &[u8]) -> Option<Format> {
    match (recognise(bytes), bytes) {
        (Magic::Compressed(format), _) => Some(format),
        // As zlib writes it at its levels. With "x^" text may begin, and with the letter x before one of Arabic.
        (_, [0x78, 0x01 | 0x5e | 0x9c | 0xda, ..]) if !begins_as_text(bytes) => Some(Format::Zlib),
        _ => None,
    }
}

/// Whether a string shows that it is packed, and is no text: else a client could choose a text that is taken for something else.
pub fn is_packed(string: &[u8]) -> bool {
    shown(string).is_some() && std::str::from_utf8(string).is_err()
}

/// Whether the beginning of `bytes` is text.
pub fn begins_as_text(bytes: &[u8]) -> bool {
    is_text(&bytes[..bytes.len().min(HEAD_BYTES)])
}

/// Whether `bytes`, which may be cut off, are UTF-8 without control characters. Loggers colour their lines.
fn is_text(bytes: &[u8]) -> bool {
    let is_cut = |error: std::str::Utf8Error| error.error_len().is_none();
    let is_control =
        |byte: &u8| byte.is_ascii_control() && !byte.is_ascii_whitespace() && *byte != b'\x1b';
    std::str::from_utf8(bytes).map_or_else(is_cut, |_| true) && !bytes.iter().any(is_control)
}

/// What came of bytes from which all layers were taken off.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Plain {
    pub bytes: Vec<u8>,
    /// What could not be unpacked to its end: it was damaged, cut off, packed too often, or more came of it than was allowed.
    pub trouble: Option<Vec<u8>>,
    /// Bytes that came of all layers together.
    pub made: usize,
}

/// Takes off of `packed` what it shows to be packed in, and gives no more than `most` bytes of each layer.
pub fn unpacked(packed: Vec<u8>, most: usize) -> Plain {
    let mut plain = Plain {
        bytes: packed,
        ..Plain::default()
    };
    for _ in 0..MAX_LAYERS {
        let Some(format) = shown(&plain.bytes) else {
            return plain;
        };
        let Unpacked {
            bytes,
            is_beyond,
            error,
        } = decompress::unpack(&plain.bytes, format, most);
        plain.made += bytes.len();
        let packed = std::mem::replace(&mut plain.bytes, bytes);
        if is_beyond || error.is_some() {
            plain.trouble.get_or_insert(packed);
        }
    }
    if shown(&plain.bytes).is_some() {
        plain.trouble.get_or_insert_with(Vec::new);
    }
    plain
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use flate2::{
        Compression,
        read::{GzEncoder, ZlibEncoder},
    };
    use proptest::prelude::*;

    use super::*;

    fn read(mut reader: impl Read) -> Vec<u8> {
        let mut bytes = Vec::new();
        reader.read_to_end(&mut bytes).unwrap();
        bytes
    }

    /// By gzip, zstd, and zlib at each of its levels.
    fn packed(bytes: &[u8], how: u32) -> Vec<u8> {
        match how {
            0 => read(GzEncoder::new(bytes, Compression::fast())),
            1 => zstd::encode_all(bytes, 1).unwrap(),
            level => read(ZlibEncoder::new(bytes, Compression::new(level - 2))),
        }
    }

    proptest! {
        #[test]
        fn what_is_packed_shows_it_and_is_unpacked_however_often(
            bytes in "[{\\[][ -~]{0,300}", layers in proptest::collection::vec(0..12_u32, 0..=MAX_LAYERS),
        ) {
            let bytes = bytes.into_bytes();
            let packed = layers.iter().fold(bytes.clone(), |bytes, how| packed(&bytes, *how));
            let begins = |magic: &&[u8]| packed.starts_with(magic);
            prop_assert_eq!(MAGICS.iter().any(begins), !layers.is_empty());
            let plain = unpacked(packed, 1 << 20);
            prop_assert_eq!(plain.bytes, bytes);
            prop_assert_eq!(plain.trouble, None);
        }

        #[test]
        fn any_bytes_will_do(magic in 0..MAGICS.len(), bytes in proptest::collection::vec(any::<u8>(), 0..99)) {
            unpacked([MAGICS[magic], &bytes].concat(), 1000);
        }
    }

    #[test]
    fn text_is_not_packed() {
        for text in ["x^2 + y^2", "x\u{6a9}", "x", "(\u{b5}/\u{fd}", "P*M", ""] {
            assert_eq!(shown(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn of_what_cannot_be_unpacked_both_are_kept() {
        let bytes = b"{\"kind\":\"Event\"}".repeat(100);
        for how in [0, 1, 8] {
            let packed = packed(&bytes, how);
            let cut = packed[..packed.len() - 2].to_vec();
            let plain = unpacked(cut.clone(), 1 << 20);
            assert_eq!(plain.trouble, Some(cut));
            assert!(bytes.starts_with(&plain.bytes));
            let plain = unpacked(packed.clone(), 100);
            assert_eq!((plain.bytes.len(), plain.made), (100, 100));
            assert_eq!(plain.trouble, Some(packed));
        }
        let often = (0..=MAX_LAYERS).fold(bytes, |bytes, _| packed(&bytes, 0));
        let plain = unpacked(often, 1 << 20);
        assert_eq!(plain.trouble, Some(Vec::new()));
    }
}
