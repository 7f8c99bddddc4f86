//! Messages as the body of a request.

use std::io::{self, Write};

use flate2::write::GzEncoder;
use sha2::{Digest, Sha256};

use super::{Codec, Compression, Framing};
use crate::{
    format::{falco, text::Style},
    sink,
    store::Message,
};

/// `message` in the words of `codec`, without the newline behind JSON.
pub(super) fn encode(codec: Codec, message: &Message) -> Vec<u8> {
    let mut bytes = Vec::new();
    match (codec, message) {
        (Codec::Text, message) => sink::Codec::Text.encode(message, Style::Plain, &mut bytes),
        (Codec::Falco, Message::Alert(alert)) => falco::alert(alert, &mut bytes),
        (Codec::Falco, Message::Detection(detection)) => falco::detection(detection, &mut bytes),
        (Codec::Json | Codec::Alertmanager, message) => {
            message.write_json(&mut bytes);
            bytes.truncate(bytes.trim_ascii_end().len());
        }
    }
    bytes
}

/// The most messages that go in one request, whatever `batch.max_events` says.
pub(super) fn most(codec: Codec, framing: Option<Framing>) -> usize {
    match (codec, framing) {
        (Codec::Falco, _) | (_, Some(Framing::Bytes)) => 1,
        _ => usize::MAX,
    }
}

/// Messages together, and what that is called.
pub(super) fn join<'a>(
    codec: Codec,
    framing: Option<Framing>,
    messages: impl Iterator<Item = &'a [u8]>,
) -> (Vec<u8>, &'static str) {
    let (opening, between, closing, content_type): (&[u8], &[u8], &[u8], _) = match (codec, framing)
    {
        (Codec::Json, None) => (b"[", b",", b"]", "application/json"),
        (Codec::Json, Some(Framing::NewlineDelimited)) => {
            (b"", b"\n", b"\n", "application/x-ndjson")
        }
        // Whole lines.
        (Codec::Text, _) => (b"", b"", b"", "text/plain; charset=utf-8"),
        (Codec::Json | Codec::Falco | Codec::Alertmanager, _) => {
            (b"", b"", b"", "application/json")
        }
    };
    let mut body = opening.to_vec();
    for (index, message) in messages.enumerate() {
        if index > 0 {
            body.extend_from_slice(between);
        }
        body.extend_from_slice(message);
    }
    body.extend_from_slice(closing);
    (body, content_type)
}

/// `body` as it is sent.
pub(super) fn compress(compression: Compression, body: Vec<u8>) -> io::Result<Vec<u8>> {
    match compression {
        Compression::None => Ok(body),
        Compression::Gzip => {
            let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::default());
            encoder.write_all(&body)?;
            encoder.finish()
        }
        Compression::Zstd => zstd::encode_all(&*body, zstd::DEFAULT_COMPRESSION_LEVEL),
    }
}

/// By what a receiver knows a repetition: the message's own id, or of several a hash of theirs, in order.
pub(super) fn idempotency_key(ids: &[String]) -> String {
    match ids {
        [id] => id.clone(),
        ids => {
            let hash = Sha256::digest(ids.join("\n"));
            hash.iter()
                .take(16)
                .map(|byte| format!("{byte:02x}"))
                .collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_is_an_array_or_lines() {
        let messages = || ["{\"a\":1}", "{\"b\":2}"].map(str::as_bytes).into_iter();
        let joined = |codec, framing| {
            let (body, content_type) = join(codec, framing, messages());
            (String::from_utf8(body).unwrap(), content_type)
        };
        assert_eq!(
            joined(Codec::Json, None),
            (r#"[{"a":1},{"b":2}]"#.to_owned(), "application/json")
        );
        let lines = Some(Framing::NewlineDelimited);
        assert_eq!(
            joined(Codec::Json, lines),
            ("{\"a\":1}\n{\"b\":2}\n".to_owned(), "application/x-ndjson")
        );
        assert_eq!(most(Codec::Json, lines), usize::MAX);
        assert_eq!(most(Codec::Json, Some(Framing::Bytes)), 1);
        assert_eq!(most(Codec::Falco, None), 1);
    }

    #[test]
    fn the_key_is_the_messages_own_or_one_of_all_in_order() {
        let key = |ids: &[&str]| {
            let ids: Vec<String> = ids.iter().map(|id| (*id).to_owned()).collect();
            idempotency_key(&ids)
        };
        assert_eq!(key(&["aa"]), "aa");
        assert_eq!(key(&["aa", "bb"]), key(&["aa", "bb"]));
        assert_ne!(key(&["aa", "bb"]), key(&["bb", "aa"]));
        assert_ne!(key(&["aa", "bb"]), key(&["aabb", ""]));
        assert_eq!(key(&["aa", "bb"]).len(), 32);
    }
}
