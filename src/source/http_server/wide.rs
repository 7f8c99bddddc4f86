//! Text of two or four bytes a character: what Windows calls Unicode.
//!
//! JSON begins with two characters of ASCII, or with a mark, so that the NULs among the first bytes tell how wide its characters are and
//! which byte comes first.

/// How characters are written.
#[derive(Clone, Copy)]
enum Width {
    Two(fn([u8; 2]) -> u16),
    Four(fn([u8; 4]) -> u32),
}

/// `bytes` as UTF-8, if they are text in UTF-16 or UTF-32. What stands for no character becomes U+FFFD.
pub(super) fn narrow(bytes: &[u8]) -> Option<Vec<u8>> {
    let (width, mark) = width(bytes)?;
    let bytes = &bytes[mark..];
    let text: String = match width {
        Width::Two(read) => {
            let units = bytes.as_chunks().0.iter().map(|unit| read(*unit));
            char::decode_utf16(units)
                .map(|character| character.unwrap_or(char::REPLACEMENT_CHARACTER))
                .collect()
        }
        Width::Four(read) => {
            let units = bytes.as_chunks().0.iter().map(|unit| read(*unit));
            units
                .map(|unit| char::from_u32(unit).unwrap_or(char::REPLACEMENT_CHARACTER))
                .collect()
        }
    };
    Some(text.into_bytes())
}

/// How the characters of `bytes` are written, and how many bytes the mark has.
fn width(bytes: &[u8]) -> Option<(Width, usize)> {
    let found = match bytes.first_chunk()? {
        [0xff, 0xfe, 0, 0] => (Width::Four(u32::from_le_bytes), 4),
        [0, 0, 0xfe, 0xff] => (Width::Four(u32::from_be_bytes), 4),
        [0xff, 0xfe, ..] => (Width::Two(u16::from_le_bytes), 2),
        [0xfe, 0xff, ..] => (Width::Two(u16::from_be_bytes), 2),
        [0, 0, 0, 1..=0x7f] => (Width::Four(u32::from_be_bytes), 0),
        [1..=0x7f, 0, 0, 0] => (Width::Four(u32::from_le_bytes), 0),
        [0, 1..=0x7f, 0, 1..=0x7f] => (Width::Two(u16::from_be_bytes), 0),
        [1..=0x7f, 0, 1..=0x7f, 0] => (Width::Two(u16::from_le_bytes), 0),
        _ => return None,
    };
    Some(found)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_wide_is_narrowed_with_or_without_a_mark(text in "[{\\[ ][ -~].{0,50}") {
            for marked in [text.clone(), format!("\u{feff}{text}")] {
                let units: Vec<u16> = marked.encode_utf16().collect();
                let little: Vec<u8> = units.iter().copied().flat_map(u16::to_le_bytes).collect();
                let big: Vec<u8> = units.iter().copied().flat_map(u16::to_be_bytes).collect();
                let characters = || marked.chars().map(u32::from);
                let wide_little: Vec<u8> = characters().flat_map(u32::to_le_bytes).collect();
                let wide_big: Vec<u8> = characters().flat_map(u32::to_be_bytes).collect();
                for bytes in [little, big, wide_little, wide_big] {
                    prop_assert_eq!(narrow(&bytes), Some(text.clone().into_bytes()));
                }
            }
        }

        #[test]
        fn what_is_narrow_stays(text in "[^\0]{0,20}") {
            prop_assert_eq!(narrow(text.as_bytes()), None);
        }

        #[test]
        fn any_bytes_will_do(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            narrow(&bytes);
        }
    }
}
