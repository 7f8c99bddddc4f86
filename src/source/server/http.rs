//! HTTP/1.1 and HTTP/2 on the connections of a source: how they are served, and how long anybody waits.

use std::{
    convert::Infallible, error::Error, future::Future, net::SocketAddr, pin::pin, sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::{
    HeaderMap, Request, Response, StatusCode,
    body::{Body, Incoming},
    header::EXPECT,
    service::service_fn,
};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto,
};
use tokio::time::timeout;
use tracing::{debug, warn};

use super::{Address, Connection, Counters, Listen, Refusal, Silence, Tls};
use crate::telemetry::Seldom;

mod body;

pub(crate) use body::{Reader, Text, Unread};

/// How long a connection may be silent. Go's clients, the API server among them, close after 90 s: it is better if they do, since
/// a request may be on its way.
const SILENCE: Silence = Silence {
    first: Duration::from_secs(30),
    later: Duration::from_secs(120),
};

/// After how long of silence TCP asks whether the peer is still there.
const KEEPALIVE: Duration = Duration::from_secs(60);

/// Bytes of headers, and bytes that are read at once.
const BUFFER_BYTES: usize = 64 << 10;

/// What a client of HTTP/2 may send before it is read, in all its requests together.
const WINDOW_BYTES: u32 = 256 << 10;

/// Requests at a time on one connection of HTTP/2: as many as Go's clients begin with before they are told how many may be, and as
/// RFC 9113 wants at least.
const STREAMS: u32 = 100;

/// How often a client of HTTP/2 is asked whether it is there.
const PING: Duration = Duration::from_secs(30);

/// How long an answer may take to be written, once the connection is to end.
const PARTING: Duration = Duration::from_millis(250);

/// What is read of a body that is not taken, so that its sender hears why: most read no answer before they have written all.
const UNWANTED_BYTES: usize = 1 << 20;
const UNWANTED_TIME: Duration = Duration::from_secs(1);

/// Bytes that may come of a body however small it was. What one letter repeated makes of a URI packs better than any ratio allows, and
/// a thief may choose it: so it is allowed what an event may be long, which is 30 MiB, in a shipper's wrapper and with what came beside
/// it. Of a body that is refused shippers send the same again without end, or throw it away.
const FREE_BYTES: usize = 48 << 20;

/// How long anybody waits.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    /// For the next bytes of a body, and for what shows how fast it comes.
    pub body: Duration,
    /// For a whole body.
    pub whole: Duration,
    /// For a whole body, while somebody else waits for the room that it takes.
    pub crowded: Duration,
    /// For room, while too much waits.
    pub room: Duration,
    /// For what was found to be safe.
    pub answer: Duration,
}

/// The API server waits 30 s for its answer, Vector 60 s.
pub(crate) const PATIENCE: Patience = Patience {
    body: Duration::from_secs(10),
    whole: Duration::from_secs(120),
    crowded: Duration::from_secs(5),
    room: Duration::from_secs(1),
    answer: Duration::from_secs(25),
};

/// How a source listens whose requests have bodies of up to `max_body_bytes`.
pub(crate) fn listen(
    address: SocketAddr,
    tls: &Tls,
    alpn: &'static [&'static [u8]],
    connection_limit: usize,
    max_body_bytes: usize,
) -> Listen {
    Listen {
        address: Address::Socket(address),
        tls: tls.clone(),
        alpn,
        connection_limit,
        // One that is as large as may be is searched while another is read.
        room: max_body_bytes.saturating_mul(2),
        silence: Some(SILENCE),
        keepalive: Some(KEEPALIVE),
        receive_buffer_bytes: None,
    }
}

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
    let (requests, taken) = (Arc::clone(&activity), Arc::clone(&counters));
    let service = service_fn(move |request| {
        let busy = requests.begin();
        // What it takes is given back before the answer is read, which a client of HTTP/2 may put off.
        let (answer, taken) = (Box::pin(answer(request)), Arc::clone(&taken));
        async move {
            let mut busy = busy;
            // Until it is known.
            busy.ends_well(false);
            let answer = answer.await;
            let status = answer.status();
            if is_taken(&answer) {
                taken.took();
            }
            busy.ends_well(!status.is_client_error() || status == StatusCode::TOO_MANY_REQUESTS);
            Ok::<_, Infallible>(answer)
        }
    });
    let builder = protocols();
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

/// HTTP/1.1 and HTTP/2, within these bounds.
fn protocols() -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().max_buf_size(BUFFER_BYTES);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(PING)
        .max_concurrent_streams(STREAMS)
        .initial_connection_window_size(WINDOW_BYTES)
        .initial_stream_window_size(WINDOW_BYTES);
    builder
}

/// Whether `answer` says that the request was taken. gRPC has a status of its own for that.
fn is_taken<B>(answer: &Response<B>) -> bool {
    let of_grpc = answer.headers().get("grpc-status");
    answer.status().is_success() && of_grpc.is_none_or(|status| status == "0")
}

/// What is said of requests that are refused: a line each, but seldom where everybody sees it.
pub(crate) struct Refusals {
    source: Arc<str>,
    warning: Seldom,
}

impl Refusals {
    pub(crate) fn of(source: Arc<str>) -> Self {
        Self {
            source,
            warning: Seldom::default(),
        }
    }

    /// Counts a request of `peer` that brought nothing, and is answered as it can be.
    pub(crate) fn tell_probe(&self, why: Refusal, peer: &str, counters: &Counters) {
        counters.refuse_probe(why);
        let (source, why) = (&*self.source, why.as_str());
        debug!(source, peer, why, "a request was refused");
    }

    /// Counts and says that a request of `peer` is refused.
    pub(crate) fn tell(&self, why: Refusal, peer: &str, counters: &Counters) {
        counters.refuse(why);
        let source = &*self.source;
        // Who goes away does so now and then, and sends it again.
        let is_loss = why != Refusal::BrokenOff;
        let why = why.as_str();
        if is_loss && self.warning.is_due() {
            warn!(source, peer, why, "a request was refused");
        } else {
            debug!(source, peer, why, "a request was refused");
        }
    }
}

/// How much may come of a body that is packed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub bytes: usize,
    /// Bytes that may come of it however small it was.
    pub free: usize,
    /// Bytes for each that was sent, beyond those.
    pub ratio: usize,
}

impl Limits {
    pub(crate) fn new(max_body_bytes: usize, max_decompression_ratio: usize) -> Self {
        Self {
            bytes: max_body_bytes,
            free: FREE_BYTES,
            ratio: max_decompression_ratio,
        }
    }

    /// Bytes that may come of a body of `sent`.
    pub(crate) fn most(&self, sent: usize) -> usize {
        let by_ratio = sent.saturating_mul(self.ratio).max(self.free);
        self.bytes.min(by_ratio)
    }
}

/// Whether the body of a request with such headers, of which nothing was read yet, need not be read to know that it is larger than
/// `most`: its sender waits until it is wanted.
pub(crate) fn need_not_come(headers: &HeaderMap, body: &Incoming, most: usize) -> bool {
    awaits_invitation(headers) && body.size_hint().lower() > most as u64
}

/// Whether who sends a request with such headers waits before the body is sent. Reading at it invites it.
pub(crate) fn awaits_invitation(headers: &HeaderMap) -> bool {
    let expected = headers.get(EXPECT).map(|value| value.as_bytes());
    expected.is_some_and(|expected| expected.eq_ignore_ascii_case(b"100-continue"))
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
