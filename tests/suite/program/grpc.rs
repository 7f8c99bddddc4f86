//! A client of gRPC by hyper, over a real socket, that says what it is told to say.
//!
//! The tests of the source itself use it as well.

use std::{
    convert::Infallible,
    io,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::{
    HeaderMap, Request, Response,
    body::{Body, Frame, Incoming},
    client::conn::http2::{self, SendRequest},
    rt::{Read, Write},
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::{ClientConfig, pki_types::ServerName};
use tokio::{
    net::TcpStream,
    runtime::{Builder, Runtime},
    task::JoinHandle,
    time::timeout,
};

const PATIENCE: Duration = Duration::from_secs(60);

pub const PUSH_EVENTS: &str = "/vector.Vector/PushEvents";
pub const HEALTH_CHECK: &str = "/vector.Vector/HealthCheck";

/// A message behind its prefix.
pub fn frame(is_compressed: bool, message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(message.len()).expect("a short message");
    [
        &[u8::from(is_compressed)],
        &length.to_be_bytes()[..],
        message,
    ]
    .concat()
}

/// What came back.
#[derive(Debug)]
pub struct Answer {
    pub http: u16,
    /// `grpc-status`, from the trailers, or from the headers if there are none.
    pub status: Option<u16>,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

impl Answer {
    async fn of(response: Response<Incoming>) -> Self {
        let (head, body) = response.into_parts();
        let body = body.collect().await.expect("a whole answer");
        let trailers = body.trailers().cloned();
        let status = trailers
            .as_ref()
            .unwrap_or(&head.headers)
            .get("grpc-status")
            .map(|status| status.to_str().ok()?.parse().ok())
            .map(|status| status.expect("a number"));
        Self {
            http: head.status.as_u16(),
            status,
            headers: head.headers,
            body: body.to_bytes().to_vec(),
        }
    }
}

/// A call that goes on.
pub type Call = JoinHandle<Result<Answer, hyper::Error>>;

/// What is sent, and whether the end is.
struct Sent {
    data: Option<Bytes>,
    hangs: bool,
}

impl Body for Sent {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match self.data.take() {
            Some(data) => Poll::Ready(Some(Ok(Frame::data(data)))),
            None if self.hangs => Poll::Pending,
            None => Poll::Ready(None),
        }
    }
}

/// A connection that is kept.
pub struct Caller {
    runtime: Runtime,
    connection: SendRequest<Sent>,
}

impl Caller {
    pub fn connect(address: SocketAddr) -> io::Result<Self> {
        Self::new(async move {
            let stream = TcpStream::connect(address).await?;
            stream.set_nodelay(true)?;
            shake_hands(TokioIo::new(stream)).await
        })
    }

    /// By TLS, to `localhost`.
    pub fn connect_by_tls(address: SocketAddr, config: Arc<ClientConfig>) -> io::Result<Self> {
        Self::new(async move {
            let stream = TcpStream::connect(address).await?;
            stream.set_nodelay(true)?;
            let name = ServerName::try_from("localhost").expect("a name");
            let connector = tokio_rustls::TlsConnector::from(config);
            let stream = connector.connect(name, stream).await?;
            shake_hands(TokioIo::new(stream)).await
        })
    }

    fn new(connection: impl Future<Output = io::Result<SendRequest<Sent>>>) -> io::Result<Self> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()?;
        let connection = runtime.block_on(async { timeout(PATIENCE, connection).await })??;
        Ok(Self {
            runtime,
            connection,
        })
    }

    /// Posts `body` to `path`, as a call of gRPC and with further headers.
    pub fn begin(&self, path: &str, headers: &[(&str, &str)], body: Vec<u8>, hangs: bool) -> Call {
        let mut request = Request::post(path)
            .header("content-type", "application/grpc")
            .header("te", "trailers");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.begin_request(request, body, hangs)
    }

    pub fn begin_request(
        &self,
        request: hyper::http::request::Builder,
        body: Vec<u8>,
        hangs: bool,
    ) -> Call {
        let data = Some(Bytes::from(body));
        let request = request.body(Sent { data, hangs }).expect("a request");
        let mut connection = self.connection.clone();
        self.runtime.spawn(async move {
            let response = connection.send_request(request).await?;
            Ok(Answer::of(response).await)
        })
    }

    pub fn end(&self, call: Call) -> Result<Answer, hyper::Error> {
        let answer = self
            .runtime
            .block_on(async { timeout(PATIENCE, call).await });
        answer.expect("an answer in time").expect("no panic")
    }

    pub fn call(&self, path: &str, headers: &[(&str, &str)], body: Vec<u8>) -> Answer {
        let call = self.begin(path, headers, body, false);
        self.end(call).expect("an answer")
    }

    /// Pushes a request that is not compressed. Gives its status.
    pub fn push(&self, request: &[u8]) -> Option<u16> {
        self.call(PUSH_EVENTS, &[], frame(false, request)).status
    }
}

async fn shake_hands<S>(stream: S) -> io::Result<SendRequest<Sent>>
where
    S: Read + Write + Unpin + Send + 'static,
{
    let handshake = http2::handshake(TokioExecutor::new(), stream).await;
    let (connection, driver) = handshake.map_err(io::Error::other)?;
    tokio::spawn(driver);
    Ok(connection)
}
