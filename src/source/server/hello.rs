//! Who speaks TLS to a port that does not: told by the first bytes, since what they mean to the protocol tells nobody.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::Stream;

/// With what a handshake of TLS begins: a record of that kind, of version 3.
const HANDSHAKE: &[u8] = b"\x16\x03";

/// A stream that says once if TLS is spoken on it.
pub(super) struct Listening<F> {
    stream: Stream,
    /// Until the first bytes have come.
    say: Option<F>,
}

impl<F: FnOnce() + Send + Unpin> Listening<F> {
    pub(super) fn new(stream: Stream, say: F) -> Self {
        Self {
            stream,
            say: Some(say),
        }
    }
}

impl<F: FnOnce() + Send + Unpin> AsyncRead for Listening<F> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = into.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(context, into);
        let came = &into.filled()[before..];
        if !came.is_empty()
            && let Some(say) = self.say.take()
            && came.starts_with(HANDSHAKE)
        {
            say();
        }
        read
    }
}

impl<F: Unpin> AsyncWrite for Listening<F> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
