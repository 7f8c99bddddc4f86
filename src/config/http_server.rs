//! The options of the source `http_server`.

use super::{
    components::DEFAULT_MAX_LINE_BYTES,
    kind::{Flag, Word},
    notation::{SocketAddress, UrlPath},
    number::{Bytes, Count, Success},
    options::{Options, options},
    server,
};
use crate::source::{
    Decoding,
    http_server::{Config, Encoding, Method},
    server::{Auth, Tls},
};

options! {
    Config {
        /// Where to listen. Port 0 takes any free one, which the log names.
        address: "address" SocketAddress, required;
        /// The path that is posted to.
        path: "path" UrlPath, default "/".to_owned();
        /// Serve `path` alone, and no paths below it.
        strict_path: "strict_path" Flag, default true;
        /// The method that is served.
        method: "method" Word<Method>, default Method::Post;
        auth: "auth." Auth, group;
        tls: "tls." Tls, group;
        /// What Vector takes a body for. Here a body is read for what it is, whatever this says.
        encoding: "encoding" Word<Encoding>, default Encoding::Json;
        /// What a request is answered once all that came of it is safe.
        response_code: "response_code" Success, default 200;
        /// The longest body, before and after it is unpacked. Larger ones are refused.
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
    let tls = server::check_tls(&config.tls, options);
    server::check_auth(&config.auth, options).and(tls)
}
