//! HTTP/1.1 and HTTP/2 on the connections of a source: how they are served, and bodies, read whole within their bounds.

use std::{convert::Infallible, error::Error, future::Future, pin::pin, sync::Arc, time::Duration};

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::{
    Request, Response,
    body::{Body, Incoming},
    service::service_fn,
};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto,
};
use tokio::time::{Instant, timeout};

use super::{
    Connection, Refusal, Silence,
    inbox::{Room, Sender},
};

/// How long a connection may be silent. Go's clients, the API server among them, close after 90 s: it is better if they do, since
/// a request may be on its way.
pub(crate) const SILENCE: Silence = Silence {
    first: Duration::from_secs(30),
    later: Duration::from_secs(120),
};

/// After how long of silence TCP asks whether the peer is still there.
pub(crate) const KEEPALIVE: Duration = Duration::from_secs(60);

/// Bytes of headers, and bytes that are read at once.
const BUFFER_BYTES: usize = 64 << 10;

/// What a client of HTTP/2 may send before it is read, in all its requests together.
const WINDOW_BYTES: u32 = 256 << 10;

/// Requests at a time on one connection of HTTP/2.
const STREAMS: u32 = 64;

/// How often a client of HTTP/2 is asked whether it is there.
const PING: Duration = Duration::from_secs(30);

/// How long an answer may take to be written, once the connection is to end.
const PARTING: Duration = Duration::from_millis(250);

/// Room that is made at once, whatever length is announced.
const FIRST_BYTES: u64 = 4 << 20;

/// A client that sends fewer bytes a second than this, beyond the time that it has anyway, is too slow.
const LEAST_PER_SECOND: u64 = 4 << 10;

/// What is read of a body that is not taken, so that its sender hears why: most read no answer before they have written all.
const UNWANTED_BYTES: usize = 1 << 20;
const UNWANTED_TIME: Duration = Duration::from_secs(1);

/// How long anybody waits.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    /// For the next bytes of a body.
    pub body: Duration,
    /// For room, while too much waits.
    pub room: Duration,
    /// For what was found to be safe.
    pub answer: Duration,
}

/// The API server waits 30 s for its answer, Vector 60 s.
pub(crate) const PATIENCE: Patience = Patience {
    body: Duration::from_secs(20),
    room: Duration::from_secs(1),
    answer: Duration::from_secs(25),
};

/// The life of one connection, by HTTP/1.1 or HTTP/2: each request has its answer.
pub(crate) async fn serve<F, B>(connection: Connection, answer: impl Fn(Request<Incoming>) -> F)
where
    F: Future<Output = Response<B>> + Send + 'static,
    B: Body<Data: Send, Error: Into<Box<dyn Error + Send + Sync>>> + Send + 'static,
{
    let Connection {
        stream,
        closing,
        activity,
        counters,
        ..
    } = connection;
    let requests = Arc::clone(&activity);
    let service = service_fn(move |request| {
        let busy = requests.begin();
        let answer = answer(request);
        async move {
            let _busy = busy;
            Ok::<_, Infallible>(answer.await)
        }
    });
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().max_buf_size(BUFFER_BYTES);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(PING)
        .max_concurrent_streams(STREAMS)
        .initial_connection_window_size(WINDOW_BYTES)
        .initial_stream_window_size(WINDOW_BYTES);
    let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = closing.cancelled() => {
            connection.as_mut().graceful_shutdown();
            loop {
                if let Ok(ended) = timeout(PARTING, connection.as_mut()).await {
                    break ended;
                }
                // What is half a request is not waited for.
                if activity.idle().is_some_and(|idle| idle >= PARTING) {
                    return;
                }
            }
        }
    };
    let error = ended.err();
    let error = error
        .as_ref()
        .and_then(|error| error.downcast_ref::<hyper::Error>());
    if error.is_some_and(hyper::Error::is_parse) {
        counters.refuse(Refusal::Malformed);
    }
}

/// Why a body was not read to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unread {
    TooLarge,
    Slow,
    /// It broke off.
    Broken,
    Overloaded,
}

/// Reads `body`, of `most` bytes at most; the room that it takes is lent by `inbox`.
pub(crate) async fn read<D, A>(
    body: &mut Incoming,
    most: usize,
    patience: Patience,
    inbox: &Sender<D, A>,
) -> Result<(Vec<u8>, Room), Unread> {
    let announced = body.size_hint().lower();
    if announced > most as u64 {
        return Err(Unread::TooLarge);
    }
    // What fits into the constant fits into a usize.
    let mut bytes = Vec::with_capacity(announced.min(FIRST_BYTES) as usize);
    let mut room = Room::default();
    let began = Instant::now();
    loop {
        let frame = timeout(patience.body, body.frame()).await;
        let frame = match frame.map_err(|_| Unread::Slow)? {
            None => return Ok((bytes, room)),
            Some(frame) => frame.map_err(|_| Unread::Broken)?,
        };
        let Ok(data) = frame.into_data() else {
            continue;
        };
        if bytes.len() + data.len() > most {
            return Err(Unread::TooLarge);
        }
        let more = inbox.room_within(patience.room, data.len()).await;
        room.add(more.map_err(|_| Unread::Overloaded)?);
        bytes.extend_from_slice(&data);
        let earned = bytes.len() as u64 / LEAST_PER_SECOND;
        let late = began.elapsed().saturating_sub(patience.body);
        if late.as_secs() > earned {
            return Err(Unread::Slow);
        }
    }
}

/// Reads the rest of a body that is not taken, if it is short, and forgets it.
pub(crate) async fn forget(body: &mut Incoming) {
    let read = async {
        let mut length = 0;
        while length < UNWANTED_BYTES
            && let Some(Ok(frame)) = body.frame().await
        {
            length += frame.data_ref().map_or(0, Bytes::len);
        }
    };
    // What is longer, or comes more slowly, is broken off.
    let _ = timeout(UNWANTED_TIME, read).await;
}
