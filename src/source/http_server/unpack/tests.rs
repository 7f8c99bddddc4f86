use std::io::Read;

use flate2::{
    Compression,
    read::{DeflateEncoder, GzEncoder, ZlibEncoder},
};
use proptest::prelude::*;

use super::*;

const LIMITS: Limits = Limits {
    bytes: 8 << 20,
    free: 1 << 20,
    ratio: 1000,
};

/// What comes of a body that is announced to be in `codings`.
fn unpacked(bytes: &[u8], codings: &[&str]) -> (Vec<u8>, Option<Trouble>) {
    let codings = codings.iter().map(|coding| (*coding).to_owned()).collect();
    let mut unpacker = Unpacker::new(LIMITS, bytes.len(), codings);
    let mut bytes = bytes.to_vec();
    while let Some(unpacked) = unpacker.next(&bytes) {
        assert!(unpacked.error.is_none(), "{:?}", unpacked.error);
        assert!(!unpacked.is_beyond);
        bytes = unpacked.bytes;
    }
    (bytes, unpacker.trouble())
}

fn read(mut reader: impl Read) -> Vec<u8> {
    let mut bytes = Vec::new();
    reader.read_to_end(&mut bytes).unwrap();
    bytes
}

fn packed(bytes: &[u8], coding: &str) -> Vec<u8> {
    let level = Compression::fast();
    match coding {
        "gzip" => read(GzEncoder::new(bytes, level)),
        "zstd" => zstd::encode_all(bytes, 1).unwrap(),
        "deflate" => read(ZlibEncoder::new(bytes, level)),
        "raw" => read(DeflateEncoder::new(bytes, level)),
        _ => panic!("{coding}"),
    }
}

const TEXT: &[u8] =
    b"{\"kind\":\"Event\",\"user\":{\"username\":\"system:serviceaccount:honeypot:backup-sa\"}}\n";

#[test]
fn what_is_announced_is_taken_off_and_what_is_not_too() {
    for coding in ["gzip", "zstd", "deflate"] {
        let packed = packed(TEXT, coding);
        for announced in [
            &[coding][..],
            &[],
            &["gzip"],
            &["zstd"],
            &["br"],
            &["identity"],
        ] {
            assert_eq!(
                unpacked(&packed, announced),
                (TEXT.to_vec(), None),
                "{coding} {announced:?}"
            );
        }
    }
    // Raw deflate shows nothing, and must be announced.
    assert_eq!(
        unpacked(&packed(TEXT, "raw"), &["deflate"]),
        (TEXT.to_vec(), None)
    );
}

#[test]
fn what_is_announced_and_is_not_there_is_plain() {
    for announced in [
        &["gzip"][..],
        &["zstd"],
        &["deflate"],
        &["br"],
        &["gzip", "deflate"],
        &["x-unheard-of", "zstd"],
    ] {
        assert_eq!(
            unpacked(TEXT, announced),
            (TEXT.to_vec(), None),
            "{announced:?}"
        );
    }
    assert_eq!(unpacked(b"", &["gzip"]), (Vec::new(), None));
}

#[test]
fn zlib_of_any_level_is_known_and_so_is_one_behind_another() {
    for level in 0..=9 {
        let packed = read(ZlibEncoder::new(TEXT, Compression::new(level)));
        assert_eq!(unpacked(&packed, &[]), (TEXT.to_vec(), None), "{level}");
    }
    let two = packed(TEXT, "deflate").repeat(2);
    for announced in [&["deflate"][..], &[]] {
        assert_eq!(unpacked(&two, announced), (TEXT.repeat(2), None));
    }
    assert_eq!(unpacked(b"x^ is text", &[]).0, b"x^ is text");
}

#[test]
fn layers_come_off_in_turn_but_not_without_end() {
    let twice = packed(&packed(TEXT, "gzip"), "zstd");
    for announced in [&["gzip", "zstd"][..], &[], &["gzip"], &["zstd", "gzip"]] {
        assert_eq!(
            unpacked(&twice, announced),
            (TEXT.to_vec(), None),
            "{announced:?}"
        );
    }
    let raw_within = packed(&packed(TEXT, "raw"), "gzip");
    assert_eq!(
        unpacked(&raw_within, &["deflate", "gzip"]),
        (TEXT.to_vec(), None)
    );
    let mut deep = TEXT.to_vec();
    for _ in 0..MAX_LAYERS {
        deep = packed(&deep, "gzip");
    }
    assert_eq!(unpacked(&deep, &[]), (TEXT.to_vec(), None));
    assert_eq!(
        unpacked(&packed(&deep, "gzip"), &[]).1,
        Some(Trouble::TooDeep)
    );
}

#[test]
fn what_nobody_knows_is_said() {
    let brotli = b"\x1b\x0a\x00\x00\xa4\xb0\xb2\xea\x81\x47\x02\x8a";
    assert_eq!(
        unpacked(brotli, &["br"]),
        (brotli.to_vec(), Some(Trouble::Unknown))
    );
}

#[test]
fn a_bomb_gives_no_more_than_is_allowed() {
    for coding in ["gzip", "zstd", "deflate"] {
        let bomb = packed(&vec![b'a'; LIMITS.bytes + 1], coding);
        let mut unpacker = Unpacker::new(LIMITS, bomb.len(), Vec::new());
        let unpacked = unpacker.next(&bomb).unwrap();
        assert!(unpacked.is_beyond, "{coding}");
        let most = LIMITS.bytes.min(LIMITS.free.max(bomb.len() * LIMITS.ratio));
        assert_eq!(unpacked.bytes.len(), most, "{coding}");

        let just = packed(&vec![b'a'; LIMITS.free], coding);
        let mut unpacker = Unpacker::new(LIMITS, just.len(), Vec::new());
        assert!(!unpacker.next(&just).unwrap().is_beyond);
    }
    let few = Limits {
        ratio: 10,
        ..LIMITS
    };
    let tight = packed(&vec![b'a'; 2 << 20], "zstd");
    let mut unpacker = Unpacker::new(few, tight.len(), Vec::new());
    let unpacked = unpacker.next(&tight).unwrap();
    assert_eq!(
        (unpacked.is_beyond, unpacked.bytes.len()),
        (true, LIMITS.free)
    );
    assert!(unpacker.is_most_by_ratio());
    assert!(!Unpacker::new(LIMITS, 1 << 20, Vec::new()).is_most_by_ratio());
}

#[test]
fn of_what_is_damaged_all_before_comes_out() {
    for coding in ["gzip", "deflate", "raw", "zstd"] {
        let text = TEXT.repeat(5000);
        let whole = packed(&text, coding);
        let cut = &whole[..whole.len() - 5];
        let announced = if coding == "raw" { "deflate" } else { coding };
        let mut unpacker = Unpacker::new(LIMITS, cut.len(), vec![announced.to_owned()]);
        let unpacked = unpacker.next(cut).unwrap();
        assert!(unpacked.error.is_some(), "{coding}");
        assert!(text.starts_with(&unpacked.bytes), "{coding}");
        assert!(
            unpacked.bytes.len() >= TEXT.len(),
            "{coding}: {}",
            unpacked.bytes.len()
        );
    }
    let followed = [&packed(TEXT, "deflate")[..], b"more"].concat();
    let unpacked = Unpacker::new(LIMITS, followed.len(), vec![])
        .next(&followed)
        .unwrap();
    assert_eq!(unpacked.bytes, TEXT);
    assert!(unpacked.error.is_some());
}

proptest! {
    /// Whatever is packed how often and announced as what comes out.
    #[test]
    fn text_comes_out(
        text in "\\{\"[a-z]{1,80}",
        layers in proptest::collection::vec(prop_oneof!["gzip", "zstd", "deflate"], 0..=MAX_LAYERS),
        announced in proptest::collection::vec(prop_oneof!["gzip", "zstd", "deflate", "br", "identity"], 0..4),
    ) {
        let mut bytes = text.clone().into_bytes();
        for layer in &layers {
            bytes = packed(&bytes, layer);
        }
        let announced: Vec<&str> = announced.iter().map(String::as_str).collect();
        prop_assert_eq!(unpacked(&bytes, &announced), (text.into_bytes(), None));
    }

    #[test]
    fn random_bytes_end(bytes in proptest::collection::vec(any::<u8>(), 0..500), announced in "gzip|zstd|deflate|br") {
        let mut unpacker = Unpacker::new(LIMITS, bytes.len(), vec![announced]);
        let mut bytes = bytes;
        for _ in 0..=MAX_LAYERS {
            match unpacker.next(&bytes) {
                None => return Ok(()),
                Some(unpacked) => bytes = unpacked.bytes,
            }
        }
        prop_assert!(false, "it goes on and on");
    }
}
