//! MessagePack, read where it lies: no copy, no allocation, no recursion.
//!
//! Whatever a length says, only what is there is read: a length of 4 GB costs nothing. Encodings that are longer than they need
//! be are taken, as every shipper writes some. What is cut off is told from what is malformed, so that a stream can be read as it
//! comes.
//!
//! What shippers send is a run of *entries*: `[time, record]`, `[[time, metadata], record]` (Fluent Bit since 5.0.5), or a record
//! by itself. They are searched as they are ([`crate::detect`]); one that may concern a decoy is written as JSON and goes the way
//! of any record.

mod broken;
mod entry;
mod json;
mod walk;

pub use broken::with_quotes;
pub(crate) use entry::length as entry_length;
pub use entry::{begins_with_entry, entries};
pub use json::{entries_as_json, write_entry, write_record};
pub use walk::{Step, Walk, length};

/// Why no value can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The bytes end before the value does.
    #[error("the bytes end within a value")]
    CutOff,
    /// No value begins with 0xc1.
    #[error("a byte begins no value of MessagePack")]
    Malformed,
    /// A number, nil, true or false, in place of an entry: text has many of these.
    #[error("a value is no entry")]
    NoEntry,
}

/// A value, or the beginning of one that holds others, which follow it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Token<'b> {
    Nil,
    Bool(bool),
    /// Any that MessagePack has: from the least `i64` to the greatest `u64`.
    Integer(i128),
    Float(f64),
    /// A string, which ought to be UTF-8.
    Str(&'b [u8]),
    Bin(&'b [u8]),
    /// An extension, with its type.
    Ext(i8, &'b [u8]),
    /// So many values follow.
    Array(u32),
    /// So many pairs of values follow.
    Map(u32),
}

impl<'b> Token<'b> {
    /// The token at the beginning of `bytes`, and its length in bytes.
    ///
    /// # Errors
    /// If none is there, whole.
    pub fn read(bytes: &'b [u8]) -> Result<(Self, usize), Fault> {
        let head = Head::read(bytes)?;
        let length = head.length();
        let whole = usize::try_from(length).ok();
        let Some(whole) = whole.and_then(|length| bytes.get(..length)) else {
            return Err(Fault::CutOff);
        };
        let body = &whole[head.header..];
        // The body is as long as the number is wide.
        let unsigned = || body.iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte));
        let signed = || {
            let unused = 64 - 8 * body.len() as u32;
            i128::from((unsigned() << unused).cast_signed() >> unused)
        };
        let token = match whole[0] {
            fixed @ (0x00..=0x7f | 0xe0..=0xff) => Self::Integer(i128::from(fixed.cast_signed())),
            0x80..=0x8f | 0xde | 0xdf => Self::Map((head.children / 2) as u32),
            0x90..=0x9f | 0xdc | 0xdd => Self::Array(head.children as u32),
            0xa0..=0xbf | 0xd9..=0xdb => Self::Str(body),
            0xc0 | 0xc1 => Self::Nil,
            truth @ (0xc2 | 0xc3) => Self::Bool(truth == 0xc3),
            0xc4..=0xc6 => Self::Bin(body),
            0xc7..=0xc9 | 0xd4..=0xd8 => Self::Ext(whole[head.header - 1].cast_signed(), body),
            0xca => Self::Float(f64::from(f32::from_bits(unsigned() as u32))),
            0xcb => Self::Float(f64::from_bits(unsigned())),
            0xcc..=0xcf => Self::Integer(i128::from(unsigned())),
            0xd0..=0xd3 => Self::Integer(signed()),
        };
        Ok((token, whole.len()))
    }
}

/// Where the string ends that begins at `start`, if its header may stand before it: as far as it is there. Of several that may
/// be its header, the one that tells of most.
pub(crate) fn string_end(bytes: &[u8], start: usize) -> Option<usize> {
    let ends = [1, 2, 3, 5].into_iter().filter_map(|header| {
        let at = start.checked_sub(header)?;
        let is_header = match bytes.get(at)? {
            0xa0..=0xbf => header == 1,
            0xc4 | 0xd9 => header == 2,
            0xc5 | 0xda => header == 3,
            0xc6 | 0xdb => header == 5,
            _ => false,
        };
        let head = is_header.then(|| Head::read(&bytes[at..]).ok())??;
        let end = start.saturating_add(usize::try_from(head.body).ok()?);
        Some(end.min(bytes.len()))
    });
    ends.max()
}

/// What the first bytes of a value tell.
#[derive(Clone, Copy, Debug)]
struct Head {
    /// Bytes before the body.
    header: usize,
    /// Bytes of a string, of an extension, of a number.
    body: u32,
    /// Values that follow and belong to it.
    children: u64,
}

impl Head {
    fn read(bytes: &[u8]) -> Result<Self, Fault> {
        let first = *bytes.first().ok_or(Fault::CutOff)?;
        let with_body = |header, body| Self {
            header,
            body,
            children: 0,
        };
        let with_children = |header, children| Self {
            header,
            body: 0,
            children,
        };
        Ok(match first {
            0x00..=0x7f | 0xe0..=0xff | 0xc0 | 0xc2 | 0xc3 => with_body(1, 0),
            0x80..=0x8f => with_children(1, 2 * u64::from(first & 0x0f)),
            0x90..=0x9f => with_children(1, u64::from(first & 0x0f)),
            0xa0..=0xbf => with_body(1, u32::from(first & 0x1f)),
            0xc1 => return Err(Fault::Malformed),
            0xc4 | 0xd9 => with_body(2, size::<1>(bytes)?),
            0xc5 | 0xda => with_body(3, size::<2>(bytes)?),
            0xc6 | 0xdb => with_body(5, size::<4>(bytes)?),
            0xc7 => with_body(3, size::<1>(bytes)?),
            0xc8 => with_body(4, size::<2>(bytes)?),
            0xc9 => with_body(6, size::<4>(bytes)?),
            0xca => with_body(1, 4),
            0xcb => with_body(1, 8),
            0xcc..=0xcf => with_body(1, 1 << (first - 0xcc)),
            0xd0..=0xd3 => with_body(1, 1 << (first - 0xd0)),
            0xd4..=0xd8 => with_body(2, 1 << (first - 0xd4)),
            0xdc => with_children(3, u64::from(size::<2>(bytes)?)),
            0xdd => with_children(5, u64::from(size::<4>(bytes)?)),
            0xde => with_children(3, 2 * u64::from(size::<2>(bytes)?)),
            0xdf => with_children(5, 2 * u64::from(size::<4>(bytes)?)),
        })
    }

    /// Bytes of the token.
    fn length(self) -> u64 {
        self.header as u64 + u64::from(self.body)
    }
}

/// The number of `WIDTH` bytes behind the first.
fn size<const WIDTH: usize>(bytes: &[u8]) -> Result<u32, Fault> {
    let digits = bytes.get(1..=WIDTH).ok_or(Fault::CutOff)?;
    let size = digits
        .iter()
        .fold(0, |sum, byte| sum << 8 | u32::from(*byte));
    Ok(size)
}
