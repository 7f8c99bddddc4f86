//! Snappy: in one block, without frames, as Loki's clients and Vector pack what they post; or in frames.
//!
//! Frames show what they are. A block says how long it is unpacked, and then begins with a text of its own; nothing else shows what it is. So it is believed
//! once it comes out as long as it says, or as something that is known.

use std::io::Read;

use snap::{
    raw::{Decoder, decompress_len},
    read::FrameDecoder,
};

use super::loki;
use crate::record::decompress::{Error, Unpacked};

/// More than may come of each byte: three of them copy 64 at most.
const MAX_RATIO: usize = 22;

/// Bytes of a length, at most.
const MAX_LENGTH_BYTES: usize = 5;

/// How frames begin.
const FRAMES: &[u8] = b"\xff\x06\x00\x00sNaPpY";

/// Whether `packed` are frames.
pub(super) fn are_frames(packed: &[u8]) -> bool {
    packed.starts_with(FRAMES)
}

/// Takes the frames off `packed`, and gives no more than `limit` bytes of what is in them.
pub(super) fn unframe(packed: &[u8], limit: usize) -> Unpacked {
    let mut bytes = Vec::new();
    // One byte more shows that there is more.
    let mut frames = FrameDecoder::new(packed).take(limit as u64 + 1);
    let error = frames.read_to_end(&mut bytes).err();
    let is_beyond = bytes.len() > limit;
    bytes.truncate(limit);
    Unpacked {
        bytes,
        is_beyond,
        error: error.map(Error::from),
    }
}

/// Takes snappy off `packed`, which is said to be packed so, and gives no more than `limit` bytes of what is in it.
pub(super) fn unpack(packed: &[u8], limit: usize) -> Unpacked {
    // A length is believed as far as there is something that could come out.
    let most = limit.min(packed.len().saturating_mul(MAX_RATIO));
    let length = match decompress_len(packed) {
        Ok(length) => length,
        Err(error) => {
            return Unpacked {
                bytes: Vec::new(),
                is_beyond: false,
                error: Some(error.into()),
            };
        }
    };
    let mut bytes = vec![0; length.min(most)];
    let outcome = match length <= most {
        true => Decoder::new().decompress(packed, &mut bytes),
        false => Decoder::new().decompress(&shortened(packed, most), &mut bytes),
    };
    let error = outcome.err();
    if error.is_some() {
        // As far as it came.
        let end = bytes.iter().rposition(|byte| *byte != 0);
        bytes.truncate(end.map_or(0, |last| last + 1));
    }
    let is_beyond = length > limit;
    Unpacked {
        bytes,
        is_beyond,
        error: error.filter(|_| !is_beyond).map(Error::from),
    }
}

/// As [`unpack`], of what may be anything; `None` if it is not snappy.
pub(super) fn recognised(packed: &[u8], limit: usize) -> Option<Unpacked> {
    if !may_be(packed) {
        return None;
    }
    let unpacked = unpack(packed, limit);
    let is_whole = unpacked.error.is_none() && !unpacked.is_beyond;
    (is_whole || loki::begins_push(&unpacked.bytes)).then_some(unpacked)
}

/// Whether a length stands at the beginning, and a text behind it.
fn may_be(packed: &[u8]) -> bool {
    let has_length = decompress_len(packed).is_ok_and(|length| length > 0);
    let first = packed.get(header_bytes(packed));
    has_length && first.is_some_and(|tag| tag & 3 == 0)
}

/// `packed`, as if no more than `length` bytes were in it.
fn shortened(packed: &[u8], mut length: usize) -> Vec<u8> {
    let mut shortened = Vec::with_capacity(MAX_LENGTH_BYTES + packed.len());
    while length >= 0x80 {
        shortened.push(length as u8 | 0x80);
        length >>= 7;
    }
    shortened.push(length as u8);
    shortened.extend_from_slice(&packed[header_bytes(packed)..]);
    shortened
}

/// How many bytes the length has.
fn header_bytes(packed: &[u8]) -> usize {
    let last = packed.iter().position(|byte| *byte < 0x80);
    last.map_or(packed.len(), |last| last + 1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use snap::raw::Encoder;

    use super::*;

    fn packed(text: &[u8]) -> Vec<u8> {
        Encoder::new().compress_vec(text).unwrap()
    }

    #[test]
    fn what_is_cut_off_comes_out_as_far_as_it_is_there() {
        let text: Vec<u8> = (0..9000)
            .flat_map(|number: u32| number.to_string().into_bytes())
            .collect();
        let packed = packed(&text);
        let unpacked = unpack(&packed[..packed.len() / 2], 1 << 20);
        assert!(unpacked.error.is_some() && !unpacked.is_beyond);
        assert!(text.starts_with(&unpacked.bytes[..unpacked.bytes.len() - 64]));
        assert!(unpacked.bytes.len() > text.len() / 3);
        assert!(recognised(&packed[..packed.len() / 2], 1 << 20).is_none());
    }

    #[test]
    fn no_more_comes_out_than_is_allowed_and_no_length_is_believed() {
        let text = b"{\"kind\":\"Event\"}\n".repeat(1000);
        let packed = packed(&text);
        let unpacked = unpack(&packed, 5000);
        assert!(unpacked.is_beyond && unpacked.error.is_none());
        assert!(unpacked.bytes.len() <= 5000 && unpacked.bytes.len() > 4900);
        assert!(text.starts_with(&unpacked.bytes));
        let lie = [b"\xff\xff\xff\xff\x0f", &packed[3..]].concat();
        let unpacked = unpack(&lie, usize::MAX);
        assert!(unpacked.error.is_some());
        assert!(unpacked.bytes.capacity() <= 22 * lie.len());
        assert!(unpacked.bytes.starts_with(&text[..100]));
        assert!(recognised(&lie, usize::MAX).is_none());
    }

    proptest! {
        #[test]
        fn what_is_packed_comes_out(
            bytes in proptest::collection::vec(any::<u8>(), 1..300), times in 1..50_usize,
        ) {
            let text = bytes.repeat(times);
            let unpacked = recognised(&packed(&text), 1 << 20).unwrap();
            prop_assert_eq!(unpacked.bytes, text);
        }

        #[test]
        fn text_is_not_packed(text in "[ -~\n]{0,80}") {
            prop_assert!(recognised(text.as_bytes(), 1 << 20).is_none());
        }

        #[test]
        fn any_bytes_will_do(bytes in proptest::collection::vec(any::<u8>(), 0..100), limit in 0..2000_usize) {
            prop_assert!(unpack(&bytes, limit).bytes.len() <= limit);
            recognised(&bytes, limit);
        }
    }
}
