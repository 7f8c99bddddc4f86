//! A stream from its beginning to its end.

use std::io;

use super::{
    decompress::{Decompressor, Error},
    framing::{Framer, Piece, READ_BYTES},
};

/// Unpacks all that `fill` gives and hands on the records in it; where it cannot be read on, also what was read of the last.
///
/// # Errors
/// Those of `fill`, and if what is compressed is damaged, or does not end.
pub fn read_to_end(
    decompressor: &mut Decompressor,
    mut framer: Framer,
    mut fill: impl FnMut(&mut [u8]) -> io::Result<usize>,
    emit: &mut dyn FnMut(Piece<'_>),
) -> Result<(), Error> {
    let result = loop {
        match decompressor.read(framer.space(READ_BYTES), &mut fill) {
            Ok(0) => break decompressor.end(),
            Ok(count) => framer.commit(count, emit),
            Err(error) => break Err(error),
        }
    };
    if let Ok(held) = &result {
        framer.space(held.len())[..held.len()].copy_from_slice(held);
        framer.commit(held.len(), emit);
    }
    framer.finish(emit);
    result.map(drop)
}
