//! The options of the source `vector`.

use super::{
    components::DEFAULT_MAX_LINE_BYTES,
    kind::Word,
    notation::SocketAddress,
    number::{Bytes, Count},
    options::{Options, options},
    server,
};
use crate::source::{
    Decoding,
    server::Tls,
    vector::{Config, Version},
};

options! {
    Config {
        /// Where to listen. Port 0 takes any free one, which the log names.
        address: "address" SocketAddress, required;
        /// The version of the protocol, of which there is no other.
        version: "version" Word<Version>, default Version::Two;
        tls: "tls." Tls, group;
        /// The longest request, before and after it is unpacked. Larger ones are refused, and Vector sends them again:
        /// nothing is lost until this is raised, but nothing behind them comes either.
        max_body_bytes: "max_body_bytes" Bytes, default 64 << 20;
        /// How many bytes may come of one that was sent, once they are more than 48 MiB.
        max_decompression_ratio: "max_decompression_ratio" Count<usize>, default 1000;
        /// Connections at a time. More are taken for idle ones, which are closed.
        connection_limit: "connection_limit" Count<usize>, default 1000;
        /// Longer records are searched for decoys and reported, but not decoded.
        max_line_bytes: "max_line_bytes" Bytes, default DEFAULT_MAX_LINE_BYTES;
        /// What the records are: audit events in whatever wraps them, or detections that another
        /// baitline wrote as JSON. It is never guessed.
        decoding: "decoding.codec" Word<Decoding>, default Decoding::Audit;
    }
}

/// Options that only make sense together.
pub(super) fn check(config: &Config, options: &mut Options<'_, '_>) -> Option<()> {
    let sent = ("max_body_bytes", config.max_body_bytes);
    server::check_lengths(sent, config.max_line_bytes, options)?;
    server::check_tls(&config.tls, options)
}
