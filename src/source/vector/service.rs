//! Connections, and what happens to each request before it is searched and after.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::Relaxed},
};

use hyper::{
    HeaderMap, Method, Request, StatusCode, Version, body::Incoming, http::request::Parts,
};
use tokio::time::timeout;

use super::{
    Config, Patience,
    grpc::{self, Answer, Code, Message, PREFIX_BYTES},
    search::{Delivery, Extent, Outcome},
};
use crate::{
    record::decompress::Format,
    source::server::{
        Connection, Refusal,
        http::{self, Reader, Refusals, Text, Unread},
        inbox::{self, Room},
        visit,
    },
};

type Inbox = inbox::Sender<Delivery, Outcome>;

/// One connection.
pub(super) type Visit = visit::Visit<Service, Delivery, Outcome>;

const PUSH_EVENTS: &str = "/vector.Vector/PushEvents";
const HEALTH_CHECK: &str = "/vector.Vector/HealthCheck";

/// The same question as gRPC has it: Kubernetes' probes ask it, and Vector answers it too.
const HEALTH: &str = "/grpc.health.v1.Health/Check";

/// A message without fields, which says as well SERVING to who asks as Vector does; and SERVING as gRPC has it.
const NOTHING: &[u8] = b"";
const SERVING: &[u8] = b"\x08\x01";

/// What all connections have in common.
pub(super) struct Service {
    pub(super) max_body_bytes: usize,
    pub(super) patience: Patience,
    /// Of the requests so far.
    numbers: AtomicU64,
    refusals: Refusals,
}

/// Why a request is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// Not by HTTP/2.
    Version,
    /// Not by POST.
    Verb,
    /// Not gRPC.
    Type,
    /// A method that is not Vector's.
    Method,
    Encoding,
    TooLarge,
    /// More came of it than the ratio allows.
    TooTight,
    Overloaded,
    Slow,
    /// Its body broke off.
    BrokenOff,
    /// Not one whole message.
    Broken,
    /// It cannot be unpacked.
    Damaged,
    /// It is no protobuf at all.
    Malformed,
}

impl Refused {
    fn answer(self) -> Answer {
        let (code, why) = match self {
            Self::Version => {
                let status = StatusCode::HTTP_VERSION_NOT_SUPPORTED;
                return grpc::no_call(status, "this is a vector source: gRPC, by HTTP/2\n");
            }
            Self::Verb => {
                let status = StatusCode::METHOD_NOT_ALLOWED;
                return grpc::no_call(status, "gRPC is posted\n");
            }
            Self::Type => {
                let status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
                return grpc::no_call(status, "gRPC has content-type application/grpc\n");
            }
            Self::Method => (Code::Unimplemented, "there is no such method"),
            Self::Encoding => (Code::Unimplemented, "the grpc-encoding is not known"),
            Self::TooLarge => (
                Code::ResourceExhausted,
                "the request is larger than max_body_bytes",
            ),
            Self::TooTight => (
                Code::ResourceExhausted,
                "more comes of the request than max_decompression_ratio allows",
            ),
            Self::Overloaded => (Code::Unavailable, "too much waits: send it again"),
            Self::Slow => (
                Code::DeadlineExceeded,
                "the request came too slowly: send it again",
            ),
            Self::BrokenOff => (Code::Internal, "the body broke off"),
            Self::Broken => (Code::Internal, "the body is not one whole message"),
            Self::Damaged => (Code::Internal, "the message cannot be unpacked"),
            Self::Malformed => (Code::InvalidArgument, "the message is no protobuf"),
        };
        grpc::failed(code, why)
    }

    fn counted_as(self) -> Refusal {
        match self {
            Self::Method | Self::Verb => Refusal::Route,
            Self::Encoding => Refusal::Coding,
            Self::TooLarge | Self::TooTight => Refusal::TooLarge,
            Self::Overloaded => Refusal::Overload,
            Self::Slow => Refusal::Timeout,
            Self::BrokenOff => Refusal::BrokenOff,
            Self::Version | Self::Type | Self::Broken | Self::Damaged | Self::Malformed => {
                Refusal::Malformed
            }
        }
    }
}

impl From<Unread> for Refused {
    fn from(unread: Unread) -> Self {
        match unread {
            Unread::Slow => Self::Slow,
            Unread::Broken => Self::BrokenOff,
            Unread::Overloaded => Self::Overloaded,
        }
    }
}

impl Service {
    pub(super) fn new(config: &Config, patience: Patience, id: Arc<str>) -> Self {
        Self {
            max_body_bytes: config.max_body_bytes,
            patience,
            numbers: AtomicU64::new(0),
            refusals: Refusals::of(id),
        }
    }

    /// The life of one connection.
    pub(super) async fn serve(self: Arc<Self>, connection: Connection, inbox: Inbox) {
        let answer = |visit: Arc<Visit>, request| async move { visit.answer(request).await };
        Visit::serve(self, connection, inbox, answer).await;
    }
}

impl Visit {
    async fn answer(&self, request: Request<Incoming>) -> Answer {
        let (request, mut body) = request.into_parts();
        match self.call(&request, &mut body).await {
            Ok(message) => grpc::done(message),
            Err(refused) => {
                let (why, refusals) = (refused.counted_as(), &self.service.refusals);
                refusals.tell(why, &self.peer, &self.counters);
                if !matches!(refused, Refused::Slow | Refused::BrokenOff) {
                    http::forget(&mut body).await;
                }
                refused.answer()
            }
        }
    }

    async fn call(&self, request: &Parts, body: &mut Incoming) -> Result<&'static [u8], Refused> {
        if request.version != Version::HTTP_2 {
            return Err(Refused::Version);
        }
        if request.method != Method::POST {
            return Err(Refused::Verb);
        }
        if !grpc::is_call(&request.headers) {
            return Err(Refused::Type);
        }
        let answer = match request.uri.path() {
            PUSH_EVENTS => {
                self.push_events(&request.headers, body).await?;
                return Ok(NOTHING);
            }
            HEALTH_CHECK => NOTHING,
            HEALTH => SERVING,
            _ => return Err(Refused::Method),
        };
        // It has nothing in it, and takes no room: who waits for that is well.
        http::forget(body).await;
        Ok(answer)
    }

    async fn push_events(&self, headers: &HeaderMap, body: &mut Incoming) -> Result<(), Refused> {
        let service = &*self.service;
        let most = service.max_body_bytes.saturating_add(PREFIX_BYTES);
        let mut reader = Reader::new(body, service.patience);
        let Text {
            bytes,
            room,
            is_cut,
        } = reader.read(most, &self.activity, &self.inbox).await?;
        let message = match is_cut {
            true => Message::cut(bytes),
            false => Message::read(bytes),
        };
        let message = message.ok_or(Refused::Broken)?;
        let delivery = Delivery {
            packing: packing(&message, headers)?,
            message,
            extent: match is_cut {
                true => Extent::Beginning,
                false => Extent::Whole,
            },
            is_torn: false,
            peer: Arc::clone(&self.peer),
            number: service.numbers.fetch_add(1, Relaxed) + 1,
        };
        match is_cut && delivery.packing.is_none() {
            true => self.search_on(&mut reader, delivery, room).await,
            false => self.deliver(delivery, room).await,
        }
    }

    /// Returns once what was found in `delivery` is safe.
    pub(super) async fn deliver(&self, delivery: Delivery, room: Room) -> Result<(), Refused> {
        let patience = self.service.patience;
        let receipt = self.inbox.send_within(patience.room, delivery, room).await;
        let receipt = receipt.map_err(|_| Refused::Overloaded)?;
        match timeout(patience.answer, receipt.answer()).await {
            Ok(Some(Outcome::Taken)) => Ok(()),
            Ok(Some(Outcome::TooLarge)) => Err(Refused::TooLarge),
            Ok(Some(Outcome::TooTight)) => Err(Refused::TooTight),
            Ok(Some(Outcome::Damaged)) => Err(Refused::Damaged),
            Ok(Some(Outcome::Malformed)) => Err(Refused::Malformed),
            // It may be safe later, and is sent again.
            Ok(None) | Err(_) => Err(Refused::Overloaded),
        }
    }
}

/// What `message` is packed in, by the headers of its request.
fn packing(message: &Message, headers: &HeaderMap) -> Result<Option<Format>, Refused> {
    if !message.is_compressed() {
        return Ok(None);
    }
    match headers.get(grpc::ENCODING).map(|value| value.as_bytes()) {
        None | Some(b"identity") => Err(Refused::Broken),
        Some(encoding) => {
            let format = grpc::format(encoding).ok_or(Refused::Encoding)?;
            Ok(Some(format))
        }
    }
}
