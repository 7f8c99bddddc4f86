//! Standard input: any shipper's pipe.
//!
//! Gzip and zstd are recognised and decoded. A record is handed on when its newline is there; the last needs none.
//! Nothing can be acknowledged to a pipe: what was read and not committed when the process is killed is gone.

use std::{io::ErrorKind, os::fd::BorrowedFd};

use compact_str::format_compact;
use tracing::warn;

use super::{Block, Context, Decoding, Ended, Error, Outlet, Progress, Stop};
use crate::record::{decompress::Decompressor, framing::Framer, read_to_end};

/// The size of the pipe that is asked for: with the usual 64 KiB, reader and writer wake each other sixteen
/// times as often. It is the most that a process without privileges may have.
#[cfg(target_os = "linux")]
const PIPE_BYTES: usize = 1 << 20;

/// Reads records from standard input until it ends.
#[derive(Clone, Debug)]
pub struct Config {
    /// Longer records are searched for decoys and reported, but not decoded. Default 16 MiB.
    pub max_line_bytes: usize,
    /// What the records are. Default audit.
    pub decoding: Decoding,
}

/// Reads standard input to its end, or until stopped.
///
/// # Errors
/// If it cannot be read, is compressed and damaged, or in a form that nobody here reads. What came before was handed on.
pub fn run(config: &Config, context: &Context, outlet: &mut dyn Outlet) -> Result<Ended, Error> {
    read(config, rustix::stdio::stdin(), &context.stop, outlet)
}

/// Reads `input` as [`run`] reads standard input.
pub(crate) fn read(
    config: &Config,
    input: BorrowedFd<'_>,
    stop: &Stop,
    outlet: &mut dyn Outlet,
) -> Result<Ended, Error> {
    #[cfg(target_os = "linux")]
    let _ = rustix::pipe::fcntl_setpipe_size(input, PIPE_BYTES); // Not a pipe, or not allowed: as it is, then.

    let framer = Framer::new(config.max_line_bytes);
    let mut decompressor = Decompressor::new();
    let mut emit = |piece: crate::record::framing::Piece<'_>| {
        let found = outlet.take(&Block {
            bytes: piece.bytes,
            shape: piece.shape,
            header: piece.header,
            first_part: piece.first_part,
            provenance: &|at| format_compact!("stdin:{}", piece.offset + at as u64).into(),
        });
        if found {
            outlet.commit(Progress::default());
        }
    };
    let mut is_stopped = false;
    let fill = |into: &mut [u8]| {
        let read = stop.read(input, into)?;
        is_stopped = read.is_none();
        Ok(read.ok_or(ErrorKind::Interrupted)?)
    };
    // When stopped in the middle of a record its bytes cannot be read again: it is searched as it is.
    let result = read_to_end(&mut decompressor, framer, fill, &mut emit);
    let foreign = decompressor.foreign();
    if is_stopped && result.is_err() {
        if let Some(foreign) = foreign {
            warn!("standard input: {foreign}");
        }
        return Ok(Ended::Stopped);
    }
    let result = result.and_then(|()| foreign.map_or(Ok(()), |foreign| Err(foreign.into())));
    result.map(|()| Ended::EndOfInput).map_err(Error::Stdin)
}

#[cfg(test)]
mod tests;
