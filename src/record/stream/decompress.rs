//! Takes gzip and zstd off a stream, recognised by how it begins.
//!
//! A plain stream passes through without a copy. All members of a gzip stream and all frames of a zstd stream are
//! decoded, as far as the bytes that are there allow: a live pipe is not held up, and nothing is held whole.
//! Of a damaged or cut-off stream everything before the damage comes out first, and then the error.

mod layer;

use std::io::{self, Read};

use layer::Layer;

use super::foreign::{Beginning, Ending, Foreign};

/// Bytes that are unpacked at first.
const UNPACKED_BYTES: usize = 64 << 10;

/// What a compressed stream is packed in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Gzip,
    Zstd,
    /// Deflate with zlib's header. Not recognised by how a stream begins, since text may begin so.
    Zlib,
    /// Deflate alone, which nothing tells.
    Deflate,
}

/// Why a stream could not be decoded.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Read(#[from] io::Error),
    /// What was decoded before byte `at` has been handed out.
    #[error("damaged {format:?} data at byte {at}: {reason}")]
    Damaged {
        format: Format,
        at: u64,
        reason: String,
    },
    #[error("{format:?} data is cut off at byte {at}")]
    CutOff { format: Format, at: u64 },
    /// What was decoded before byte `at` has been handed out.
    #[error(
        "the Zstd data at byte {at} needs a window of more than 128 MiB, which is not read; unpack it first, with \
         zstd -dc --long=31"
    )]
    WideWindow { at: u64 },
    #[error("damaged Snappy data: {0}")]
    Snappy(#[from] snap::Error),
    /// It was handed out as it is.
    #[error("{0}")]
    Foreign(Foreign),
}

impl From<Foreign> for Error {
    fn from(foreign: Foreign) -> Self {
        Self::Foreign(foreign)
    }
}

/// What the first bytes of a stream tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Magic {
    Plain,
    Compressed(Format),
    /// More bytes are needed. Said of no more than three.
    Unclear,
}

/// Tells by the first bytes of a stream what it is packed in.
pub fn recognise(head: &[u8]) -> Magic {
    const KNOWN: [(&[u8], Format); 3] = [
        (b"\x1f\x8b", Format::Gzip),
        (b"\x28\xb5\x2f\xfd", Format::Zstd),
        (b"\x50\x2a\x4d\x18", Format::Zstd),
    ];
    let mut start = [0; 4];
    let length = head.len().min(start.len());
    let start = &mut start[..length];
    start.copy_from_slice(&head[..length]);
    if let Some(first @ 0x50..=0x5f) = start.first_mut() {
        // A skippable frame, as parallel compressors write it in front, may begin with any of these.
        *first = 0x50;
    }
    for (magic, format) in KNOWN {
        if start.starts_with(magic) {
            return Magic::Compressed(format);
        }
        if magic.starts_with(start) {
            return Magic::Unclear;
        }
    }
    Magic::Plain
}

/// What came out of one layer.
#[derive(Debug)]
pub struct Unpacked {
    pub bytes: Vec<u8>,
    /// More would have come than was allowed.
    pub is_beyond: bool,
    /// Why nothing more came, if that is not the end.
    pub error: Option<Error>,
}

/// Takes one layer, of `format`, off `packed`, and gives no more than `limit` bytes of what is in it.
pub fn unpack(packed: &[u8], format: Format, limit: usize) -> Unpacked {
    let mut layer = Layer::of(format);
    let mut rest = packed;
    let mut fill = |into: &mut [u8]| Ok(rest.read(into)?);
    let mut unpacked = Unpacked {
        bytes: Vec::new(),
        is_beyond: false,
        error: None,
    };
    let bytes = &mut unpacked.bytes;
    let mut length = 0;
    loop {
        // One byte more shows that there is more.
        if length == bytes.len() {
            let wanted = (2 * length).max(UNPACKED_BYTES).min(limit + 1);
            bytes.resize(wanted, 0);
        }
        match layer.read(&mut bytes[length..], &mut fill) {
            Ok(0) => {
                unpacked.error = layer.end().err();
                break;
            }
            Ok(made) => length += made,
            Err(error) => {
                unpacked.error = Some(error);
                break;
            }
        }
        if length > limit {
            unpacked.is_beyond = true;
            length = limit;
            break;
        }
    }
    bytes.truncate(length);
    unpacked
}

/// The decoding state of one stream.
pub struct Decompressor {
    outer: Layer,
    /// What comes out of the first may be compressed once more.
    inner: Option<Layer>,
    beginning: Beginning,
    ending: Ending,
}

impl Default for Decompressor {
    fn default() -> Self {
        Self::new()
    }
}

impl Decompressor {
    /// A stream of which nothing is known yet. What somebody compressed twice is taken off twice.
    pub fn new() -> Self {
        Self {
            inner: Some(Layer::new()),
            ..Self::of_record()
        }
    }

    /// What is known to be packed in `format`, once.
    pub fn of(format: Format) -> Self {
        Self {
            outer: Layer::of(format),
            ..Self::of_record()
        }
    }

    /// What stands in a record. It is compressed once at most, so that the work it makes is bounded by what comes out.
    pub fn of_record() -> Self {
        Self {
            outer: Layer::new(),
            inner: None,
            beginning: Beginning::default(),
            ending: Ending::default(),
        }
    }

    /// Fills the front of `into`, which has room for 4 bytes at least, with decoded bytes and returns how many.
    ///
    /// `read` gets more of the stream; if it returns 0, so does this, and the next call asks it again, so that a stream which
    /// has grown is simply read on.
    pub fn read(
        &mut self,
        into: &mut [u8],
        read: &mut dyn FnMut(&mut [u8]) -> io::Result<usize>,
    ) -> Result<usize, Error> {
        let made = self.decode(into, &mut |into| Ok(read(into)?))?;
        self.beginning.take(&into[..made]);
        self.ending.take(&into[..made]);
        Ok(made)
    }

    fn decode(
        &mut self,
        into: &mut [u8],
        read: &mut dyn FnMut(&mut [u8]) -> Result<usize, Error>,
    ) -> Result<usize, Error> {
        let outer = &mut self.outer;
        if let Some(plain) = outer.begin(into, read)? {
            return Ok(plain);
        }
        match &mut self.inner {
            Some(inner) if outer.is_compressed() => {
                inner.read(into, &mut |packed| outer.read(packed, read))
            }
            _ => outer.read(into, read),
        }
    }

    /// The stream has ended. Returns what was held back as the possible beginning of a compressed stream.
    ///
    /// # Errors
    /// If the stream ended within a member or frame.
    pub fn end(&mut self) -> Result<Vec<u8>, Error> {
        let held = self.outer.end()?;
        match &mut self.inner {
            Some(inner) if held.is_empty() => inner.end(),
            _ => Ok(held),
        }
    }

    /// What came out so far, if that is a form that nobody here reads.
    pub fn foreign(&self) -> Option<Foreign> {
        let foreign = self.beginning.foreign();
        foreign.or_else(|| self.beginning.packed_rest(&self.ending))
    }
}

#[cfg(test)]
mod tests;
