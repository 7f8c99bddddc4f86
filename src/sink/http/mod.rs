//! Whatever takes HTTP: a SIEM, a webhook, another baitline, falcosidekick, Alertmanager.
//!
//! Requests go one after the other, in the order of the messages; what waits meanwhile goes together in the next
//! (`batches`). A message waits until the receiver has it: through outages, rate limits, and an address or a password that
//! somebody has to mend. Only what the receiver refuses for its content is given up, and it takes none of its batch along.
//! Alertmanager is told otherwise: what is open is repeated until it is over (`alertmanager`).
//!
//! ```yaml
//! siem: { type: http, inputs: [detections], uri: "https://siem.example/ingest", encoding: { codec: json } }
//! ```

use std::{sync::Arc, time::Duration};

use reqwest::{
    Method,
    header::{HeaderMap, HeaderName},
};
use tokio::time::sleep;
use tracing::error;

use self::{address::Addresses, alertmanager::Board, batches::Sender};
use super::{
    Delivery, Ending, Report, Template,
    request::{Client, Courier, Manners, RateLimit, RequestConfig, Tls, Verdict},
};
use crate::{audit::words, config::Secret, store::BufferConfig};

mod address;
mod alertmanager;
mod batches;
mod payload;

/// Sends to a receiver that takes HTTP.
#[derive(Clone, Debug)]
pub struct Config {
    /// Required; an http or https URL. Fields stand in its path or its query alone, and are escaped.
    pub uri: Secret<Template>,
    /// Default POST.
    pub method: Verb,
    pub auth: Auth,
    pub tls: Tls,
    /// `encoding.codec`. Default JSON.
    pub codec: Codec,
    /// `framing.method`. Default an array of JSON, lines of text.
    pub framing: Option<Framing>,
    /// Default none.
    pub compression: Compression,
    pub batch: Batch,
    /// `alertmanager.repeat_secs`: how often Alertmanager is told what is open. Default one minute.
    pub repeat: Duration,
    pub request: RequestConfig,
    /// `request.headers`: beside our own.
    pub headers: Headers,
    /// Requests in one `rate_limit_duration`. Default without limit.
    pub rate_limit_num: Option<u64>,
    /// Default 1 s.
    pub rate_limit_duration: Duration,
    pub buffer: BufferConfig,
}

/// Names of headers, each with what they hold.
pub type Headers = Vec<(HeaderName, Secret<Template>)>;

/// The methods that have a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    Post,
    Put,
    Patch,
}

words!(Verb { Post = "post", Put = "put", Patch = "patch" });

impl From<Verb> for Method {
    fn from(verb: Verb) -> Self {
        match verb {
            Verb::Post => Self::POST,
            Verb::Put => Self::PUT,
            Verb::Patch => Self::PATCH,
        }
    }
}

/// Who baitline says it is (`auth.*`). The configuration sees to it that what the strategy needs is there.
#[derive(Clone, Debug, Default)]
pub struct Auth {
    pub strategy: Option<Strategy>,
    pub user: Option<String>,
    pub password: Option<Secret>,
    pub token: Option<Secret>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strategy {
    Basic,
    Bearer,
}

words!(Strategy { Basic = "basic", Bearer = "bearer" });

/// How a message is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Codec {
    /// One object: the schema that the README gives.
    Json,
    /// What a person reads.
    Text,
    /// As Falco writes its events. One message a request.
    Falco,
    /// As Alertmanager's API takes alerts. Incidents alone.
    Alertmanager,
}

words!(Codec {
    Json = "json",
    Text = "text",
    Falco = "falco",
    Alertmanager = "alertmanager",
});

/// How the messages of a batch are told apart, in Vector's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// Each with a newline behind it.
    NewlineDelimited,
    /// Not at all: one message a request.
    Bytes,
}

words!(Framing { NewlineDelimited = "newline_delimited", Bytes = "bytes" });

/// How bodies are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    None,
    Gzip,
    Zstd,
}

words!(Compression { None = "none", Gzip = "gzip", Zstd = "zstd" });

/// How much goes in one request (`batch.*`).
#[derive(Clone, Copy, Debug)]
pub struct Batch {
    /// Messages. Default 1000.
    pub max_events: usize,
    /// Bytes of the messages before they are compressed. One that has more goes alone. Default 1 MB.
    pub max_bytes: usize,
    /// How long a batch waits for more (`timeout_secs`). Default not at all.
    pub timeout: Duration,
}

const RECEIVER: Manners = Manners {
    name: "The receiver",
    mend: "check uri, auth, tls and encoding",
    judge: |status, _| Verdict::of(status),
};

/// Delivers by HTTP until the outbox is drained or the time is up.
pub async fn run(config: Config, mut delivery: Delivery) -> Report {
    let give_up = delivery.give_up.clone();
    let ending = tokio::select! {
        biased;
        () = give_up.cancelled() => Ending::GaveUp,
        () = deliver(config, &mut delivery) => Ending::Drained,
    };
    delivery.end(ending)
}

async fn deliver(config: Config, delivery: &mut Delivery) {
    let config = Arc::new(config);
    let client = set_up(&config, delivery).await;
    let rate_limit = RateLimit {
        num: config.rate_limit_num,
        duration: config.rate_limit_duration,
    };
    let courier = Courier::new(
        delivery,
        client,
        config.request.clone(),
        rate_limit,
        RECEIVER,
    );
    let addresses = Addresses::new(&config);
    match config.codec {
        Codec::Alertmanager => {
            let mut board = Board::new(&config, delivery, courier, addresses.fixed());
            board.drain(&mut delivery.outbox).await;
        }
        Codec::Json | Codec::Text | Codec::Falco => {
            let mut sender = Sender::new(config, delivery, courier, addresses);
            sender.drain(&mut delivery.outbox).await;
        }
    }
}

/// A client, as soon as the files are there that it needs.
async fn set_up(config: &Config, delivery: &Delivery) -> Client {
    let mut trouble = String::new();
    loop {
        match Client::new(config.request.timeout, Some(config.tls.clone())).await {
            Ok(client) => {
                delivery.status.well();
                return client;
            }
            Err(error) => {
                let reason = error.to_string();
                if reason != trouble {
                    error!(sink = %delivery.id, "{reason}; messages are kept");
                }
                delivery.status.broken(&*reason);
                trouble = reason;
            }
        }
        sleep(config.request.retry_max_duration).await;
    }
}

/// Headers that say what the body is.
fn content(content_type: &'static str, compression: Compression) -> HeaderMap {
    use reqwest::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderValue};
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    if compression != Compression::None {
        let encoding = HeaderValue::from_static(compression.as_str());
        headers.insert(CONTENT_ENCODING, encoding);
    }
    headers
}

#[cfg(test)]
mod tests;
