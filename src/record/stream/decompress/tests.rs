use std::io::Write;

use flate2::{Compression, write::GzEncoder};
use proptest::{collection::vec, prelude::*};

use super::*;

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 1).unwrap()
}

/// Decodes `input`, read in pieces of `read` bytes, into room of `room` bytes.
fn decode(input: &[u8], read: usize, room: usize) -> (Vec<u8>, Result<(), Error>) {
    let mut decompressor = Decompressor::new();
    let mut rest = input;
    let mut out = Vec::new();
    let mut into = vec![0; room];
    loop {
        let made = decompressor.read(&mut into, &mut |target| {
            let count = read.min(target.len()).min(rest.len());
            target[..count].copy_from_slice(&rest[..count]);
            rest = &rest[count..];
            Ok(count)
        });
        match made {
            Ok(0) => break,
            Ok(count) => out.extend_from_slice(&into[..count]),
            Err(error) => return (out, Err(error)),
        }
    }
    match decompressor.end() {
        Ok(held) => {
            out.extend(held);
            (out, Ok(()))
        }
        Err(error) => (out, Err(error)),
    }
}

/// Text that compresses, but not to nothing.
fn sample(lines: usize) -> Vec<u8> {
    (0..lines)
        .flat_map(|n| format!("{n} {:x}\n", n * 0x9e37_79b9).into_bytes())
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn all_members_and_frames_come_out_whatever_the_reads(
        lengths in vec(0usize..600, 1..4),
        read in 1usize..70_000,
        room in 16usize..70_000,
    ) {
        for pack in [gzip, zstd, |bytes: &[u8]| [b"x", bytes].concat()] {
            let parts: Vec<Vec<u8>> = lengths.iter().map(|lines| sample(*lines)).collect();
            let packed: Vec<u8> = parts.iter().flat_map(|part| pack(part)).collect();
            let (out, end) = decode(&packed, read, room);
            prop_assert!(end.is_ok());
            let plain = packed.starts_with(b"x");
            let want = if plain { packed } else { parts.concat() };
            prop_assert!(out == want);
        }
    }

    #[test]
    fn a_cut_off_stream_gives_what_it_holds(cut in 0usize..100_000, read in 1usize..70_000) {
        let text = sample(5000);
        for pack in [gzip, zstd] {
            let packed = pack(&text);
            let cut = 5 + cut % (packed.len() - 6);
            let (out, end) = decode(&packed[..cut], read, 1000);
            prop_assert!(text.starts_with(&out));
            prop_assert!(matches!(end, Err(Error::CutOff { at, .. }) if at == cut as u64), "{end:?}");
        }
    }

    #[test]
    fn random_bytes_never_panic(bytes in vec(any::<u8>(), 0..2000), read in 1usize..500) {
        for magic in [&b"\x1f\x8b\x08\0\0\0\0\0\0\0"[..], b"\x28\xb5\x2f\xfd", b""] {
            let _ = decode(&[magic, &bytes].concat(), read, 333);
        }
    }
}

#[test]
fn everything_before_damage_comes_out_and_then_the_place() {
    let text = sample(60_000);
    for pack in [gzip, zstd] {
        let first = pack(&text);
        let mut packed = [&first[..], &first].concat();
        // Long enough to hide the header of a block, since the data itself need not show that it is wrong.
        let (at, length) = (first.len() + first.len() / 2, first.len() / 3);
        packed[at..at + length].fill(0xff);
        let (out, end) = decode(&packed, 10_000, 1 << 20);
        assert!(out.len() > text.len() + text.len() / 4, "{}", out.len());
        assert!(out[..text.len()] == text);
        let Err(Error::Damaged { at: told, .. }) = end else {
            panic!("{end:?}")
        };
        assert!(told >= at as u64, "{told} for {at}");
    }
}

#[test]
fn something_behind_a_member_is_damage_and_padding_is_not() {
    let packed = gzip(b"one\n");
    let (out, end) = decode(&[&packed[..], &[0; 512], &packed].concat(), 7, 100);
    assert_eq!((out.as_slice(), end.is_ok()), (&b"one\none\n"[..], true));
    let (out, end) = decode(&[&packed[..], b"plain"].concat(), 7, 100);
    assert_eq!(out, b"one\n");
    assert!(matches!(end, Err(Error::Damaged { at, .. }) if at == packed.len() as u64));
}

#[test]
fn a_first_byte_that_is_no_magic_is_handed_on_at_once() {
    let mut decompressor = Decompressor::new();
    let mut into = [0; 16];
    let mut reads = 0;
    let made = decompressor.read(&mut into, &mut |target| {
        reads += 1;
        assert_eq!(reads, 1, "asked for more than the first byte");
        target[0] = b'{';
        Ok(1)
    });
    assert_eq!((made.unwrap(), into[0]), (1, b'{'));
}

#[test]
fn the_beginning_of_a_magic_number_alone_is_plain_at_the_end() {
    for head in [&b"\x1f"[..], b"\x28", b"\x28\xb5\x2f", b""] {
        let (out, end) = decode(head, 1, 16);
        assert_eq!((out.as_slice(), end.is_ok()), (head, true));
    }
    assert_eq!(recognise(b"(plain"), Magic::Plain);
}

#[test]
fn what_a_live_stream_has_flushed_comes_out_before_it_goes_on() {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    let mut zstd = zstd::Encoder::new(Vec::new(), 1).unwrap();
    let line = sample(100);
    gzip.write_all(&line).unwrap();
    gzip.flush().unwrap();
    zstd.write_all(&line).unwrap();
    zstd.flush().unwrap();
    for packed in [gzip.get_ref().clone(), zstd.get_ref().clone()] {
        let (out, end) = decode(&packed, 100_000, line.len());
        assert!(out == line);
        assert!(end.is_err());
    }
}

#[test]
fn a_stream_that_grows_is_read_on() {
    let text = sample(1000);
    let packed = gzip(&text);
    let (one, two) = packed.split_at(packed.len() / 2);
    let mut decompressor = Decompressor::new();
    let mut out = Vec::new();
    for mut part in [one, two] {
        let mut into = [0; 500];
        while let made @ 1.. = decompressor
            .read(&mut into, &mut |target| io::Read::read(&mut part, target))
            .unwrap()
        {
            out.extend_from_slice(&into[..made]);
        }
    }
    assert!(out == text && decompressor.end().is_ok());
}

/// A frame that a decoder passes over, of this kind.
fn skippable(kind: u8) -> Vec<u8> {
    [&[0x50 | kind, 0x2a, 0x4d, 0x18, 4, 0, 0, 0][..], b"size"].concat()
}

#[test]
fn frames_that_are_skipped_may_stand_anywhere() {
    let text = sample(100);
    for kind in [0, 3, 0xf] {
        let (skipped, frame) = (skippable(kind), zstd(&text));
        let packed = [&skipped[..], &skipped, &frame, &skipped, &frame].concat();
        for read in [1, 2, 3, 1000] {
            let (out, end) = decode(&packed, read, 10_000);
            assert!(end.is_ok(), "{end:?}");
            assert!(out == [&text[..], &text].concat());
        }
    }
    for plain in [&b"["[..], b"P*M", b"[*M is no frame", b"PQRST"] {
        let (out, end) = decode(plain, 1, 10);
        assert_eq!((out.as_slice(), end.is_ok()), (plain, true));
    }
}

#[test]
fn what_was_packed_twice_is_unpacked_twice_and_no_more() {
    let text = sample(1000);
    for (outer, inner) in [
        (gzip as fn(&[u8]) -> Vec<u8>, gzip as fn(&[u8]) -> Vec<u8>),
        (gzip, zstd),
        (zstd, gzip),
    ] {
        let packed = outer(&inner(&text));
        for (read, room) in [(1, 7), (1000, 100), (100_000, 100_000)] {
            let (out, end) = decode(&packed, read, room);
            assert!(out == text && end.is_ok(), "{end:?}");
        }
        let (out, end) = decode(&packed[..packed.len() / 2], 1000, 1000);
        assert!(text.starts_with(&out));
        assert!(matches!(end, Err(Error::CutOff { at, .. }) if at == packed.len() as u64 / 2));
        // Cut off before it was packed a second time.
        let packed = outer(&inner(&text)[..1000]);
        let (out, end) = decode(&packed, 1000, 1000);
        assert!(text.starts_with(&out));
        assert!(
            matches!(end, Err(Error::CutOff { at: 1000, .. })),
            "{end:?}"
        );
        let thrice = gzip(&outer(&inner(&text)));
        assert!(decode(&thrice, 1000, 1000).0 == inner(&text));
    }
}

#[test]
fn a_window_that_is_too_wide_is_no_damage() {
    let mut encoder = zstd::Encoder::new(Vec::new(), 1).unwrap();
    encoder.window_log(28).unwrap();
    encoder.write_all(&sample(10)).unwrap();
    let wide = encoder.finish().unwrap();
    let (out, end) = decode(&[zstd(b"before\n"), wide].concat(), 1000, 1000);
    assert_eq!(out, b"before\n");
    assert!(matches!(end, Err(Error::WideWindow { .. })), "{end:?}");
}
