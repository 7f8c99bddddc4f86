//! What a body is packed in: as its headers say, or as it shows.
//!
//! Headers lie: something says gzip and is plain, another says nothing and is packed, a third went through two proxies that
//! both packed it. Gzip, zstd and zlib show what they are, so the bytes are believed; what does not show it, raw deflate, is
//! tried where it is announced and the bytes are no text.
//!
//! Each layer gives no more than [`Limits`] allow, and there are few: a bomb costs no more than a large body.

use crate::{
    record::{
        decompress::{self, Format, Unpacked},
        packing::{MAX_LAYERS, begins_as_text, shown},
    },
    source::server::http::Limits,
};

/// What is known of a body's packing.
pub(super) struct Unpacker {
    most: usize,
    is_most_by_ratio: bool,
    /// What is announced and was not looked at yet, in the order in which it was put on.
    codings: Vec<String>,
    layers: usize,
    trouble: Option<Trouble>,
}

/// Why what is left cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    /// It is in a coding that nobody here knows.
    Unknown,
    /// It is packed more often than anybody does.
    TooDeep,
}

impl Unpacker {
    /// For a body of `sent` bytes that is announced to be in `codings`.
    pub(super) fn new(limits: Limits, sent: usize, codings: Vec<String>) -> Self {
        let most = limits.most(sent);
        Self {
            most,
            is_most_by_ratio: most < limits.bytes,
            codings,
            layers: 0,
            trouble: None,
        }
    }

    /// Takes the next layer off; `None` if there is none, or if there is [`trouble`](Self::trouble).
    pub(super) fn next(&mut self, bytes: &[u8]) -> Option<Unpacked> {
        let format = self.format(bytes)?;
        if self.layers == MAX_LAYERS {
            self.trouble = Some(Trouble::TooDeep);
            return None;
        }
        self.layers += 1;
        Some(decompress::unpack(bytes, format, self.most))
    }

    /// Whether what is beyond is so by the ratio.
    pub(super) fn is_most_by_ratio(&self) -> bool {
        self.is_most_by_ratio
    }

    pub(super) fn trouble(&self) -> Option<Trouble> {
        self.trouble
    }

    fn format(&mut self, bytes: &[u8]) -> Option<Format> {
        let (is_text, shown) = (begins_as_text(bytes), shown(bytes));
        loop {
            let announced = self.codings.pop();
            match (shown, announced.as_deref()) {
                (Some(format), _) => return Some(format),
                (None, None) => return None,
                (None, Some("deflate")) if has_zlib_header(bytes) => return Some(Format::Zlib),
                (None, Some("deflate")) if !is_text => return Some(Format::Deflate),
                (None, Some("" | "identity" | "gzip" | "x-gzip" | "zstd" | "deflate")) => {}
                (None, Some(_)) if is_text => {}
                (None, Some(_)) => {
                    self.trouble = Some(Trouble::Unknown);
                    return None;
                }
            }
        }
    }
}

/// Whether zlib's header stands there: deflate, with a sum that fits.
fn has_zlib_header(bytes: &[u8]) -> bool {
    match bytes {
        [first, second, ..] => {
            first & 0x0f == 8 && u16::from_be_bytes([*first, *second]).is_multiple_of(31)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests;
