//! What a request is answered, in the words of who asks.
//!
//! Most look at the status only. Firehose wants its request id back, with the time, or it sends again. Event Grid sends a
//! code first, and wants it back before it sends any event; CloudEvents ask in another way whether they may. OpenTelemetry wants a
//! message in the form of its own, and throws away what it hears 408 of, as Promtail does: to them 503 says that they may try again.

use bytes::Bytes;
use http_body_util::Full;
use hyper::{
    HeaderMap, Response, StatusCode,
    header::{
        ACCEPT_ENCODING, ALLOW, CONNECTION, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER,
        WWW_AUTHENTICATE,
    },
};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::service::Refused;
use crate::source::server::Credentials;

pub(super) type Answer = Response<Full<Bytes>>;

/// Firehose's token.
pub(super) const FIREHOSE_ACCESS_KEY: HeaderName =
    HeaderName::from_static("x-amz-firehose-access-key");

const FIREHOSE_REQUEST: HeaderName = HeaderName::from_static("x-amz-firehose-request-id");

/// Of which events the first is a question.
const EVENT_GRID_TYPE: HeaderName = HeaderName::from_static("aeg-event-type");

/// Who asks whether it may post CloudEvents, and what it is told.
pub(super) const HOOK_ORIGIN: HeaderName = HeaderName::from_static("webhook-request-origin");
const HOOK_ALLOWED_ORIGIN: HeaderName = HeaderName::from_static("webhook-allowed-origin");
const HOOK_ALLOWED_RATE: HeaderName = HeaderName::from_static("webhook-allowed-rate");

/// Where OpenTelemetry posts to, unless it is told another path; the end of it.
const OTLP_PATH: &str = "/v1/logs";

const PROTOBUF: &str = "application/x-protobuf";
const JSON: &str = "application/json";

/// Bytes of Firehose's request id that are sent back; it has 36.
const REQUEST_ID_BYTES: usize = 256;

/// Bytes of Event Grid's question, at most.
const QUESTION_BYTES: usize = 64 << 10;

/// Seconds after which a shipper may try again: what it waits for is most often one commit.
const RETRY_SECS: HeaderValue = HeaderValue::from_static("1");

/// Who sent a request, as far as it wants an answer of its own kind.
pub(super) enum Asker {
    Anybody,
    /// With the id of its request.
    Firehose(String),
    /// With a code to be sent back.
    EventGrid,
    /// In protobuf: OpenTelemetry, or a client of Loki's, which looks at the status only.
    Protobuf,
    /// OpenTelemetry in JSON.
    OtlpJson,
}

impl Asker {
    pub(super) fn of(headers: &HeaderMap, path: &str) -> Self {
        let text = |name: HeaderName| headers.get(name)?.to_str().ok();
        if let Some(id) = text(FIREHOSE_REQUEST) {
            return Self::Firehose(id.chars().take(REQUEST_ID_BYTES).collect());
        }
        if let Some(kind) = text(EVENT_GRID_TYPE)
            && kind.eq_ignore_ascii_case("SubscriptionValidation")
        {
            return Self::EventGrid;
        }
        let content_type = text(CONTENT_TYPE).and_then(|text| text.split(';').next());
        let is = |wanted| content_type.is_some_and(|is| is.trim().eq_ignore_ascii_case(wanted));
        match path.ends_with(OTLP_PATH) {
            _ if is(PROTOBUF) => Self::Protobuf,
            true if is(JSON) => Self::OtlpJson,
            _ => Self::Anybody,
        }
    }

    /// `body`, plain, is safe.
    pub(super) fn acceptance(&self, status: StatusCode, body: &[u8]) -> Answer {
        match self {
            Self::Anybody => empty(status),
            // A message that says nothing has no bytes.
            Self::Protobuf => with_body(status, PROTOBUF, Vec::new()),
            Self::OtlpJson => with_json(status, &json!({})),
            // It takes no other status.
            Self::Firehose(id) => firehose(StatusCode::OK, id, None),
            Self::EventGrid => match validation_code(body) {
                Some(code) => with_json(StatusCode::OK, &json!({"validationResponse": code})),
                None => empty(status),
            },
        }
    }

    /// The request is not taken.
    pub(super) fn refusal(
        &self,
        why: Refused,
        credentials: Option<&Credentials>,
        method: &'static str,
    ) -> Answer {
        let (status, reason) = why.in_words();
        // They take 408 for final.
        let status = match (self, why) {
            (Self::Protobuf | Self::OtlpJson, Refused::Slow) => StatusCode::SERVICE_UNAVAILABLE,
            _ => status,
        };
        let mut answer = match self {
            Self::Firehose(id) => firehose(status, id, Some(reason)),
            Self::Protobuf => with_body(status, PROTOBUF, status_message(reason)),
            Self::OtlpJson => with_json(status, &json!({"message": reason})),
            Self::Anybody | Self::EventGrid => with_text(status, reason),
        };
        let headers = answer.headers_mut();
        match why {
            Refused::Method => {
                headers.insert(ALLOW, HeaderValue::from_static(method));
            }
            Refused::Auth => {
                let challenge = credentials.map_or("Basic", Credentials::challenge);
                headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
            }
            Refused::Coding => {
                let known = HeaderValue::from_static("gzip, deflate, zstd, snappy");
                headers.insert(ACCEPT_ENCODING, known);
            }
            Refused::Overloaded => {
                headers.insert(RETRY_AFTER, RETRY_SECS);
            }
            // What was not read of it is not waited for. HTTP/2 drops this header, and ends the stream.
            Refused::Slow | Refused::TooLarge | Refused::Unwanted => {
                headers.insert(CONNECTION, HeaderValue::from_static("close"));
                if status == StatusCode::SERVICE_UNAVAILABLE {
                    headers.insert(RETRY_AFTER, RETRY_SECS);
                }
            }
            Refused::Path | Refused::Broken | Refused::TooTight | Refused::TooDeep => {}
        }
        answer
    }

    /// `origin` may post CloudEvents, as often as it likes, by `method`.
    pub(super) fn welcome(origin: &HeaderValue, method: &'static str) -> Answer {
        let mut answer = empty(StatusCode::OK);
        let headers = answer.headers_mut();
        headers.insert(ALLOW, HeaderValue::from_static(method));
        headers.insert(HOOK_ALLOWED_ORIGIN, origin.clone());
        headers.insert(HOOK_ALLOWED_RATE, HeaderValue::from_static("*"));
        answer
    }
}

impl Refused {
    /// The status that says so, and why in words.
    fn in_words(self) -> (StatusCode, &'static str) {
        match self {
            Self::Path => (StatusCode::NOT_FOUND, "nothing is served at this path"),
            Self::Method => (StatusCode::METHOD_NOT_ALLOWED, "this method is not served"),
            Self::Auth => (StatusCode::UNAUTHORIZED, "credentials are missing or wrong"),
            Self::TooLarge | Self::Unwanted => (
                StatusCode::PAYLOAD_TOO_LARGE,
                "the body is larger than max_body_bytes",
            ),
            Self::TooTight => (
                StatusCode::PAYLOAD_TOO_LARGE,
                "more comes of the body than max_decompression_ratio allows",
            ),
            Self::TooDeep => (
                StatusCode::PAYLOAD_TOO_LARGE,
                "the body is packed too often",
            ),
            Self::Coding => (
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "the Content-Encoding is not known, or is not that of the body",
            ),
            Self::Overloaded => (
                StatusCode::TOO_MANY_REQUESTS,
                "too much waits: send it again",
            ),
            Self::Slow => (
                StatusCode::REQUEST_TIMEOUT,
                "the body came too slowly: send it again",
            ),
            Self::Broken => (StatusCode::BAD_REQUEST, "the body broke off"),
        }
    }
}

fn firehose(status: StatusCode, id: &str, error: Option<&str>) -> Answer {
    let mut answer = json!({"requestId": id, "timestamp": Timestamp::now().as_millisecond()});
    if let Some(error) = error {
        answer["errorMessage"] = error.into();
    }
    with_json(status, &answer)
}

/// A `google.rpc.Status` with the message alone, its second field: the code is for gRPC.
fn status_message(reason: &str) -> Vec<u8> {
    // None is so long that its length takes two bytes.
    let length = reason.len().min(0x7f);
    [&[0x12, length as u8], &reason.as_bytes()[..length]].concat()
}

/// The code in Event Grid's first event.
fn validation_code(body: &[u8]) -> Option<String> {
    if body.len() > QUESTION_BYTES {
        return None;
    }
    let events: Value = serde_json::from_slice(body).ok()?;
    let event = events.get(0).unwrap_or(&events);
    let code = event.get("data")?.get("validationCode")?.as_str()?;
    Some(code.to_owned())
}

fn empty(status: StatusCode) -> Answer {
    let mut answer = Response::new(Full::default());
    *answer.status_mut() = status;
    answer
}

fn with_text(status: StatusCode, text: &str) -> Answer {
    let text = format!("{text}\n");
    with_body(status, "text/plain; charset=utf-8", text.into())
}

fn with_json(status: StatusCode, json: &Value) -> Answer {
    with_body(status, JSON, json.to_string().into())
}

fn with_body(status: StatusCode, content_type: &'static str, body: Vec<u8>) -> Answer {
    let mut answer = Response::new(Full::from(body));
    *answer.status_mut() = status;
    let content_type = HeaderValue::from_static(content_type);
    answer.headers_mut().insert(CONTENT_TYPE, content_type);
    answer
}
