//! Entries of MessagePack to blocks, as they come by Forward, and in bodies of HTTP.

use std::io::Read;

use super::{Block, Outlet, Provenance, Shape};
use crate::record::{
    decompress::{self, Decompressor, Format, Unpacked, unpack},
    framing::parts,
    msgpack::{self, Fault, entries, with_quotes, write_entry},
    packing,
};

/// Bytes of small records that are searched together: few enough to stay in the cache.
pub(super) const BLOCK_BYTES: usize = 256 << 10;

/// Bytes that are decompressed at once.
const READ_BYTES: usize = 64 << 10;

/// Why entries are not all read. What could be read of them was searched.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// They are cut off, or no MessagePack.
    #[error("an entry cannot be read: {0}")]
    Entry(#[from] Fault),
    #[error("{0}")]
    Packed(#[from] decompress::Error),
    /// More comes out than may.
    #[error("unpacked it is longer than {limit} bytes")]
    TooLarge { limit: usize },
}

/// Whether `bytes` are so long, and so much of them is written as JSON in six bytes for each, as control characters are, that this
/// takes memory which nobody expects: in events there is next to none.
pub(crate) fn swells(bytes: &[u8]) -> bool {
    swells_by(bytes, u8::is_ascii_control)
}

/// As [`swells`], of MessagePack, whose words are as long. In UTF-8 their bytes are those of letters such as é.
fn entry_swells(entry: &[u8]) -> bool {
    swells_by(entry, |byte| {
        byte.is_ascii_control() || matches!(byte, 0xc0..=0xc3)
    })
}

fn swells_by(bytes: &[u8], is_short_for_many: fn(&u8) -> bool) -> bool {
    let count = || bytes.iter().filter(|byte| is_short_for_many(byte)).count();
    bytes.len() > READ_BYTES && count() > bytes.len() / 4
}

/// Entries that are packed.
#[derive(Clone, Copy)]
pub(crate) struct Packed<'b> {
    pub bytes: &'b [u8],
    pub format: Format,
    /// Bytes of an entry, and of what is packed once more in these.
    pub max_entry_bytes: usize,
    /// Bytes of all entries.
    pub max_bytes: usize,
}

/// How entries are searched.
pub(crate) struct Search<'s> {
    /// Longer entries are searched for decoys and reported, but not decoded.
    pub max_line_bytes: usize,
    pub provenance: &'s (dyn Fn() -> Provenance + Sync),
    pub outlet: &'s mut dyn Outlet,
    /// Whether anything was found.
    pub found: bool,
}

impl Search<'_> {
    /// Searches `bytes`, which are entries, one after the other.
    ///
    /// # Errors
    /// If they are not; what is left is searched as what cannot be decoded.
    pub(crate) fn entries(&mut self, bytes: &[u8]) -> Result<(), Error> {
        let searched = self.whole_entries(bytes);
        match searched {
            (_, None) => Ok(()),
            (end, Some(fault)) => {
                self.entry(&bytes[end..]);
                Err(fault.into())
            }
        }
    }

    /// As [`entries`](Self::entries), of what is packed, perhaps more than once.
    pub(crate) fn packed_entries(&mut self, packed: Packed<'_>) -> Result<(), Error> {
        self.layer(packed, packing::MAX_LAYERS)
    }

    /// As [`packed_entries`](Self::packed_entries), of so many layers at most.
    fn layer(&mut self, packed: Packed<'_>, layers: usize) -> Result<(), Error> {
        let Packed {
            max_entry_bytes,
            max_bytes,
            ..
        } = packed;
        let mut rest = packed.bytes;
        let mut fill = |into: &mut [u8]| rest.read(into);
        let mut decompressor = Decompressor::of(packed.format);
        let (mut bytes, mut total) = (Vec::new(), 0);
        let mut is_known = layers == 1;
        // What is left of an entry is looked at again when there is twice as much.
        let mut due = BLOCK_BYTES;
        let outcome = loop {
            let held = bytes.len();
            bytes.resize(held + READ_BYTES, 0);
            let made = decompressor.read(&mut bytes[held..], &mut fill);
            bytes.truncate(held + made.as_ref().copied().unwrap_or(0));
            match made {
                Ok(0) => {
                    break decompressor
                        .end()
                        .map(|more| bytes.extend(more))
                        .map_err(Error::from);
                }
                Ok(made) => total += made,
                Err(error) => break Err(error.into()),
            }
            if !is_known && bytes.len() >= packing::HEAD_BYTES {
                is_known = true;
                if let Some(inner) = packing::shown(&bytes) {
                    return self.inner_layer(packed, inner, layers - 1);
                }
            }
            if total > max_bytes {
                break Err(Error::TooLarge { limit: max_bytes });
            }
            if bytes.len() >= due {
                // What cannot be read is searched together with all that follows.
                let (end, _) = self.whole_entries(&bytes);
                bytes.drain(..end);
                due = BLOCK_BYTES.max(2 * bytes.len());
                if bytes.len() > max_entry_bytes {
                    let limit = max_entry_bytes;
                    break Err(Error::TooLarge { limit });
                }
            }
        };
        if !is_known && let Some(inner) = packing::shown(&bytes) {
            return self.inner_layer(packed, inner, layers - 1);
        }
        let searched = self.entries(&bytes);
        outcome.and(searched)
    }

    /// As [`layer`](Self::layer), of what is in `packed`, and packed in `format` there.
    fn inner_layer(
        &mut self,
        packed: Packed<'_>,
        format: Format,
        layers: usize,
    ) -> Result<(), Error> {
        let limit = packed.max_entry_bytes;
        let Unpacked {
            bytes,
            is_beyond,
            error,
        } = unpack(packed.bytes, packed.format, limit);
        let inner = Packed {
            bytes: &bytes,
            format,
            ..packed
        };
        let searched = self.layer(inner, layers);
        match error {
            Some(error) => Err(error.into()),
            None if is_beyond => Err(Error::TooLarge { limit }),
            None => searched,
        }
    }

    /// Searches the entries at the beginning of `bytes` that are whole, and gives where they end, and why no other does.
    fn whole_entries(&mut self, bytes: &[u8]) -> (usize, Option<Fault>) {
        let (mut start, mut end) = (0, 0);
        for entry in entries(bytes) {
            let entry = match entry {
                Ok(entry) => entry,
                Err(fault) => {
                    self.block(&bytes[start..end]);
                    return (end, Some(fault));
                }
            };
            if entry.len() > self.max_line_bytes {
                self.block(&bytes[start..end]);
                self.entry(entry);
                start = end + entry.len();
            }
            end += entry.len();
            if end - start >= BLOCK_BYTES {
                self.block(&bytes[start..end]);
                start = end;
            }
        }
        self.block(&bytes[start..end]);
        (end, None)
    }

    /// Searches one entry, whole or not, however long it is.
    fn entry(&mut self, entry: &[u8]) {
        if entry.len() <= self.max_line_bytes {
            return self.block(entry);
        }
        let mut text = Vec::new();
        match msgpack::length(entry) {
            Ok(length) if length == entry.len() && !entry_swells(entry) => {
                write_entry(entry, &mut text)
            }
            // Junk may begin with something that can be read.
            _ => text = with_quotes(entry),
        }
        for (part, shape) in parts(&text) {
            self.take(part, shape);
        }
    }

    fn block(&mut self, bytes: &[u8]) {
        if !bytes.is_empty() {
            self.take(bytes, Shape::MessagePack);
        }
    }

    fn take(&mut self, bytes: &[u8], shape: Shape) {
        self.found |= self.outlet.take(&Block {
            bytes,
            shape,
            header: None,
            first_part: None,
            provenance: &|_| (self.provenance)(),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As JSON each of these bytes would be six.
    #[test]
    fn an_entry_takes_hardly_more_than_it_is_long() {
        let text = [&[0x01; 1 << 20][..], b"honeypot"].concat();
        let length = (text.len() as u32).to_be_bytes();
        let text = [b"\x92\x07\x81\xa1k\xdb", &length[..], &text].concat();
        let words = [
            b"\x92\x07\x81\xa1k\xdd\x00\x10\x00\x00",
            &[0xc2; 1 << 20][..],
        ]
        .concat();
        for entry in [text, words] {
            let (mut seen, mut bytes) = (Vec::new(), 0);
            let mut search = Search {
                max_line_bytes: 100,
                provenance: &Provenance::default,
                outlet: &mut |block: &Block<'_>| {
                    bytes += block.bytes.len();
                    seen = block.bytes.to_vec();
                    true
                },
                found: false,
            };
            search.entries(&entry).unwrap();
            assert!(bytes < entry.len() * 3 / 2, "{bytes}");
            assert!(seen.ends_with(&entry[entry.len() - 8..]));
        }
    }

    /// As JSON each of these bytes would be six.
    #[test]
    fn junk_takes_no_more_than_it_is_long() {
        for junk in [[0x01; 1000], [b'['; 1000], [0xc1; 1000]] {
            let mut seen = Vec::new();
            let mut search = Search {
                max_line_bytes: 100,
                provenance: &Provenance::default,
                outlet: &mut |block: &Block<'_>| {
                    seen.extend_from_slice(block.bytes);
                    true
                },
                found: false,
            };
            assert!(search.entries(&junk).is_err());
            assert_eq!(seen, junk);
        }
    }
}
