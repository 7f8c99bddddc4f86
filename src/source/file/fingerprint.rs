//! What a file begins with, by which it is known again under another name or inode.

use std::{fs::File, io};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::read_at;
use crate::record::decompress::{Decompressor, Magic, recognise};

/// How much of a file is its fingerprint. An audit event of this length has its id and its time in it.
pub(super) const FINGERPRINT_BYTES: usize = 1024;

/// The first bytes of a file, of a compressed file decoded: 1,024, or all there are.
///
/// They are kept as they are, not hashed, since files of different lengths are compared by what both have.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Fingerprint(Vec<u8>);

/// A fingerprint as it is stored: the bytes themselves may hold what a Secret holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Digest {
    /// How many bytes it is made of, 1 to 1,024.
    bytes: usize,
    /// In hexadecimal digits.
    sha256: String,
}

impl Digest {
    fn of(bytes: &[u8]) -> Self {
        let hash = Sha256::digest(bytes);
        Self {
            bytes: bytes.len(),
            sha256: hash.iter().map(|byte| format!("{byte:02x}")).collect(),
        }
    }

    /// It is one that can be made: of no bytes it would agree with everything.
    pub(super) fn is_sound(&self) -> bool {
        (1..=FINGERPRINT_BYTES).contains(&self.bytes)
    }

    /// `fingerprint` begins with all the bytes that this was made of.
    pub(super) fn agrees_with(&self, fingerprint: &Fingerprint) -> bool {
        let same_bytes = fingerprint.0.get(..self.bytes);
        same_bytes.is_some_and(|bytes| Self::of(bytes) == *self)
    }
}

/// What a file begins with now.
pub(super) struct Head {
    pub(super) fingerprint: Fingerprint,
    pub(super) is_compressed: bool,
}

impl Head {
    /// Reads it. The fingerprint is empty if the file is, or cannot be told yet.
    pub(super) fn of(file: &File) -> io::Result<Self> {
        let raw = Fingerprint::of_raw(file)?;
        Ok(match recognise(&raw.0) {
            Magic::Plain => Self {
                fingerprint: raw,
                is_compressed: false,
            },
            Magic::Unclear => Self {
                fingerprint: Fingerprint::default(),
                is_compressed: false,
            },
            Magic::Compressed(_) => Self {
                fingerprint: Fingerprint::of_packed(file),
                is_compressed: true,
            },
        })
    }
}

impl Fingerprint {
    fn of_raw(file: &File) -> io::Result<Self> {
        let mut bytes = [0; FINGERPRINT_BYTES];
        let count = read_at(file, &mut bytes, 0)?;
        Ok(Self(bytes[..count].to_vec()))
    }

    /// As far as it can be decoded.
    fn of_packed(file: &File) -> Self {
        let mut decompressor = Decompressor::new();
        // The decompressor wants room for the four bytes of a magic number, which are no part of what it makes.
        let mut bytes = [0; FINGERPRINT_BYTES + 4];
        let (mut count, mut offset) = (0, 0);
        let mut read = |into: &mut [u8]| {
            let read = read_at(file, into, offset)?;
            offset += read as u64;
            Ok(read)
        };
        while count < FINGERPRINT_BYTES {
            match decompressor.read(&mut bytes[count..], &mut read) {
                Ok(made @ 1..) => count += made,
                Ok(0) | Err(_) => break,
            }
        }
        Self(bytes[..count.min(FINGERPRINT_BYTES)].to_vec())
    }

    /// What of it is stored.
    pub(super) fn digest(&self) -> Digest {
        Digest::of(&self.0)
    }

    pub(super) fn length(&self) -> usize {
        self.0.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// One begins as the other does, as far as both are known.
    pub(super) fn agrees_with(&self, other: &Self) -> bool {
        let common = self.0.len().min(other.0.len());
        common > 0 && self.0[..common] == other.0[..common]
    }

    /// Adds `chunk`, which was read at `offset` from `file`, if that still begins as this fingerprint and the chunk say. If not, the
    /// file has been truncated before or while the chunk was read.
    pub(super) fn confirm(&mut self, file: &File, offset: u64, chunk: &[u8]) -> io::Result<bool> {
        let known = self.0.len();
        let behind = usize::try_from(offset)
            .ok()
            .and_then(|offset| known.checked_sub(offset));
        if let Some(behind) = behind
            && behind < chunk.len()
        {
            let more = chunk.len().min(behind + FINGERPRINT_BYTES - known);
            self.0.extend_from_slice(&chunk[behind..more]);
        }
        let mut now = [0; FINGERPRINT_BYTES];
        let count = read_at(file, &mut now[..self.0.len()], 0)?;
        let confirmed = now[..count] == self.0[..];
        if !confirmed {
            self.0.truncate(known);
        }
        Ok(confirmed)
    }
}
