//! gRPC over HTTP/2, as far as a call with one message each way needs it.
//!
//! A body is a message behind five bytes: whether it is compressed, and its length. An answer has its status in trailers behind
//! its message; without a message, in the headers.

use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use hyper::{
    HeaderMap, Response, StatusCode,
    body::{Body, Frame, SizeHint},
    header::{ALLOW, CONTENT_TYPE, HeaderName, HeaderValue},
};

use crate::record::decompress::Format;

/// Bytes before a message.
pub(super) const PREFIX_BYTES: usize = 5;

pub(super) const ENCODING: HeaderName = HeaderName::from_static("grpc-encoding");
const ACCEPT_ENCODING: HeaderName = HeaderName::from_static("grpc-accept-encoding");
const STATUS: HeaderName = HeaderName::from_static("grpc-status");
const MESSAGE: HeaderName = HeaderName::from_static("grpc-message");

const MEDIA_TYPE: &str = "application/grpc";

/// What [`format`] knows.
const KNOWN_ENCODINGS: HeaderValue = HeaderValue::from_static("identity, deflate, gzip, zstd");

/// How a call ended. Vector sends again whatever hears anything but OK, INVALID_ARGUMENT, UNIMPLEMENTED and a few that are
/// not said here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Code {
    Ok = 0,
    InvalidArgument = 3,
    DeadlineExceeded = 4,
    ResourceExhausted = 8,
    Unimplemented = 12,
    Internal = 13,
    Unavailable = 14,
}

impl From<Code> for HeaderValue {
    fn from(code: Code) -> Self {
        // It fits: they are named above.
        Self::from(code as u16)
    }
}

/// A request's message, behind its prefix.
#[derive(Debug)]
pub(super) struct Message {
    body: Vec<u8>,
    is_compressed: bool,
}

impl Message {
    /// The message that `body` is; `None` if it is none, or not one.
    pub(super) fn read(body: Vec<u8>) -> Option<Self> {
        let [flag, a, b, c, d] = *body.first_chunk::<PREFIX_BYTES>()?;
        let length = u32::from_be_bytes([a, b, c, d]);
        let is_whole = usize::try_from(length) == Ok(body.len() - PREFIX_BYTES);
        (flag <= 1 && is_whole).then_some(Self {
            body,
            is_compressed: flag == 1,
        })
    }

    /// The message that `body` is the beginning of; `None` if it is none.
    pub(super) fn cut(body: Vec<u8>) -> Option<Self> {
        let flag = *body.first_chunk::<PREFIX_BYTES>()?.first()?;
        (flag <= 1).then_some(Self {
            body,
            is_compressed: flag == 1,
        })
    }

    /// One that is not packed, of two pieces.
    pub(super) fn of(first: &[u8], second: &[u8]) -> Self {
        Self {
            body: [&[0; PREFIX_BYTES], first, second].concat(),
            is_compressed: false,
        }
    }

    /// The last `length` bytes.
    pub(super) fn end(&self, length: usize) -> &[u8] {
        let bytes = self.bytes();
        &bytes[bytes.len().saturating_sub(length)..]
    }

    /// Leaves the first `length` bytes, and gives the rest.
    pub(super) fn split_off(&mut self, length: usize) -> Vec<u8> {
        self.body.split_off(PREFIX_BYTES + length)
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.body[PREFIX_BYTES..]
    }

    pub(super) fn is_compressed(&self) -> bool {
        self.is_compressed
    }
}

/// What an encoding of gRPC is; `None` if nobody here undoes it.
pub(super) fn format(encoding: &[u8]) -> Option<Format> {
    match encoding {
        b"gzip" => Some(Format::Gzip),
        b"zstd" => Some(Format::Zstd),
        // That with a header, as in HTTP.
        b"deflate" => Some(Format::Zlib),
        _ => None,
    }
}

/// Whether a request with such headers is a call of gRPC, in protobuf.
pub(super) fn is_call(headers: &HeaderMap) -> bool {
    let content_type = headers
        .get(CONTENT_TYPE)
        .map_or(&[][..], HeaderValue::as_bytes);
    let rest = content_type.strip_prefix(MEDIA_TYPE.as_bytes());
    rest.is_some_and(|rest| {
        let rest = rest.strip_prefix(b"+proto").unwrap_or(rest);
        matches!(rest.first(), None | Some(b';' | b' '))
    })
}

pub(super) type Answer = Response<Reply>;

/// The body of an answer.
#[derive(Debug, Default)]
pub(super) struct Reply {
    data: Option<Bytes>,
    trailers: Option<HeaderMap>,
}

impl Body for Reply {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let data = self.data.take().map(Frame::data);
        let frame = data.or_else(|| self.trailers.take().map(Frame::trailers));
        Poll::Ready(frame.map(Ok))
    }

    fn is_end_stream(&self) -> bool {
        self.data.is_none() && self.trailers.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        match (&self.data, &self.trailers) {
            // As gRPC has it, without a length.
            (_, Some(_)) => SizeHint::default(),
            (data, None) => SizeHint::with_exact(data.as_ref().map_or(0, Bytes::len) as u64),
        }
    }
}

/// The call is done, and answered with `message`, which is short.
pub(super) fn done(message: &[u8]) -> Answer {
    let status = (STATUS, HeaderValue::from(Code::Ok));
    let length = (message.len() as u32).to_be_bytes();
    headed(Reply {
        data: Some([&[0], &length[..], message].concat().into()),
        trailers: Some(HeaderMap::from_iter([status])),
    })
}

/// The call is not done. `why` is for people: plain ASCII, without a percent sign.
pub(super) fn failed(code: Code, why: &'static str) -> Answer {
    let mut answer = headed(Reply::default());
    let headers = answer.headers_mut();
    headers.insert(STATUS, code.into());
    headers.insert(MESSAGE, HeaderValue::from_static(why));
    answer
}

fn headed(reply: Reply) -> Answer {
    let mut answer = Response::new(reply);
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
    headers.insert(ACCEPT_ENCODING, KNOWN_ENCODINGS);
    answer
}

/// What is no call of gRPC is answered as HTTP answers.
pub(super) fn no_call(status: StatusCode, why: &'static str) -> Answer {
    let mut answer = Response::new(Reply {
        data: Some(Bytes::from_static(why.as_bytes())),
        trailers: None,
    });
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    if status == StatusCode::METHOD_NOT_ALLOWED {
        headers.insert(ALLOW, HeaderValue::from_static("POST"));
    }
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_one_message_or_none() {
        let read = |bytes: &[u8]| {
            let message = Message::read(bytes.to_vec())?;
            Some((message.is_compressed(), message.bytes().to_vec()))
        };
        assert_eq!(read(b"\0\0\0\0\0"), Some((false, Vec::new())));
        assert_eq!(read(b"\x01\0\0\0\x02ab"), Some((true, b"ab".to_vec())));
        for bytes in [
            &b""[..],
            b"\0\0\0\0",
            b"\0\0\0\0\x02a",
            b"\0\0\0\0\x01ab",
            b"\x02\0\0\0\x01a",
            b"\0\xff\xff\xff\xffa",
        ] {
            assert_eq!(read(bytes), None, "{bytes:x?}");
        }
    }

    #[test]
    fn calls_are_told_by_their_type() {
        let is_call = |text: &'static str| {
            let value = HeaderValue::from_static(text);
            is_call(&HeaderMap::from_iter([(CONTENT_TYPE, value)]))
        };
        for text in [
            "application/grpc",
            "application/grpc+proto",
            "application/grpc; charset=utf-8",
        ] {
            assert!(is_call(text), "{text}");
        }
        for text in [
            "",
            "application/grpc-web",
            "application/grpc+json",
            "application/json",
        ] {
            assert!(!is_call(text), "{text}");
        }
    }
}
