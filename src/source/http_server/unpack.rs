//! What a body is packed in: as its headers say, or as it shows.
//!
//! Headers lie: something says gzip and is plain, another says nothing and is packed, a third went through two proxies that
//! both packed it. Gzip, zstd and zlib show what they are, so the bytes are believed; what does not show it, raw deflate and snappy,
//! is tried where it is announced and the bytes are no text; and snappy wherever it may be, since Loki's clients announce nothing.
//!
//! Each layer gives no more than [`Limits`] allow, and there are few: a bomb costs no more than a large body.

use super::snappy;
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
    /// What was taken off, the outermost first.
    formats: Vec<Format>,
    trouble: Option<Trouble>,
    /// It is no text, and not in a coding that is announced.
    is_unfit: bool,
}

/// What the next layer is.
enum Packing {
    Stream(Format),
    /// As announced.
    Snappy,
    SnappyFrames,
    /// Snappy, or none.
    Unsaid,
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
            formats: Vec::new(),
            trouble: None,
            is_unfit: false,
        }
    }

    /// Takes the next layer off; `None` if there is none, or if there is [`trouble`](Self::trouble).
    pub(super) fn next(&mut self, bytes: &[u8]) -> Option<Unpacked> {
        let packing = self.packing(bytes)?;
        let unpacked = match packing {
            Packing::Stream(format) => decompress::unpack(bytes, format, self.most),
            Packing::Snappy => snappy::unpack(bytes, self.most),
            Packing::SnappyFrames => snappy::unframe(bytes, self.most),
            Packing::Unsaid => snappy::recognised(bytes, self.most)?,
        };
        if self.layers == MAX_LAYERS {
            self.trouble = Some(Trouble::TooDeep);
            return None;
        }
        self.layers += 1;
        if let Packing::Stream(format) = packing {
            self.formats.push(format);
        }
        Some(unpacked)
    }

    /// Bytes that may come of each layer.
    pub(super) fn most(&self) -> usize {
        self.most
    }

    /// What was taken off, the outermost first; `None` if something of it cannot be unpacked as it comes.
    pub(super) fn formats(&self) -> Option<&[Format]> {
        (self.formats.len() == self.layers).then_some(&*self.formats)
    }

    /// Whether what is beyond is so by the ratio.
    pub(super) fn is_most_by_ratio(&self) -> bool {
        self.is_most_by_ratio
    }

    pub(super) fn trouble(&self) -> Option<Trouble> {
        self.trouble
    }

    /// Whether something that was announced does not fit what is left, which is no text.
    pub(super) fn is_unfit(&self) -> bool {
        self.is_unfit
    }

    fn packing(&mut self, bytes: &[u8]) -> Option<Packing> {
        let (is_text, shown) = (begins_as_text(bytes), shown(bytes));
        if snappy::are_frames(bytes) {
            self.codings.pop();
            return Some(Packing::SnappyFrames);
        }
        loop {
            let announced = self.codings.pop();
            match (shown, announced.as_deref()) {
                (Some(format), _) => return Some(Packing::Stream(format)),
                (None, None) if is_text => return None,
                (None, None) => return Some(Packing::Unsaid),
                (None, Some("deflate")) if has_zlib_header(bytes) => {
                    return Some(Packing::Stream(Format::Zlib));
                }
                (None, Some("deflate")) if !is_text => {
                    return Some(Packing::Stream(Format::Deflate));
                }
                (None, Some("snappy")) if !is_text => return Some(Packing::Snappy),
                (None, Some("" | "identity")) => {}
                (None, Some("gzip" | "x-gzip" | "zstd" | "deflate" | "snappy")) => {
                    self.is_unfit |= !is_text;
                }
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
