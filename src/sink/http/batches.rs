//! Messages that go together, and what becomes of a batch that is refused.

use std::sync::{Arc, atomic::Ordering::Relaxed};

use reqwest::header::HeaderValue;
use tokio::time::{Instant, timeout_at};
use tracing::debug;

use super::{
    Config,
    address::{Address, Addresses},
    content, payload,
};
use crate::{
    sink::{
        Counters, Delivery,
        given_up::GivenUp,
        request::{Courier, Refused, Request},
    },
    store::{Message, Reader},
};

/// Brings batches to the receiver, one after the other.
pub(super) struct Sender {
    id: Arc<str>,
    config: Arc<Config>,
    counters: Arc<Counters>,
    courier: Courier,
    given_up: GivenUp,
    addresses: Addresses,
    /// Taken from the outbox, and too much for the batch before.
    held: Option<Parcel>,
}

/// A message as it is sent.
struct Parcel {
    message: Message,
    bytes: Vec<u8>,
    /// An error says why it cannot be sent at all.
    address: Result<Address, &'static str>,
}

impl Sender {
    pub fn new(
        config: Arc<Config>,
        delivery: &Delivery,
        courier: Courier,
        addresses: Addresses,
    ) -> Self {
        Self {
            id: Arc::clone(&delivery.id),
            config,
            counters: Arc::clone(&delivery.counters),
            courier,
            given_up: GivenUp::of(delivery),
            addresses,
            held: None,
        }
    }

    pub async fn drain(&mut self, outbox: &mut Reader) {
        while let Some(batch) = self.gather(outbox).await {
            self.deliver(&batch, outbox).await;
        }
    }

    /// The next messages that go together, in order: at least one, and no more than a batch may have.
    async fn gather(&mut self, outbox: &mut Reader) -> Option<Vec<Parcel>> {
        let first = match self.held.take() {
            Some(parcel) => parcel,
            None => self.parcel(outbox.next().await?),
        };
        let limits = self.config.batch;
        let most = payload::most(self.config.codec, self.config.framing).min(limits.max_events);
        let deadline = Instant::now() + limits.timeout;
        let mut bytes = first.bytes.len();
        let mut batch = vec![first];
        while batch.len() < most && bytes < limits.max_bytes {
            let next = match outbox.next_ready() {
                None if limits.timeout.is_zero() => break,
                None => timeout_at(deadline, outbox.next()).await.ok().flatten(),
                ready => ready,
            };
            let Some(message) = next else { break };
            let parcel = self.parcel(message);
            // Each has a byte more, between it and the next.
            bytes += parcel.bytes.len() + 1;
            if bytes > limits.max_bytes || parcel.address != batch[0].address {
                self.held = Some(parcel);
                break;
            }
            batch.push(parcel);
        }
        Some(batch)
    }

    fn parcel(&self, message: Message) -> Parcel {
        Parcel {
            bytes: payload::encode(self.config.codec, &message),
            address: self.addresses.of(&message),
            message,
        }
    }

    /// Sends `batch` until the receiver has it. One that is refused goes again in two halves, and so on, until the message
    /// stands alone that is to blame.
    async fn deliver(&mut self, batch: &[Parcel], outbox: &mut Reader) {
        let mut parts = vec![batch];
        while let Some(part) = parts.pop() {
            let refused = match self.send(part).await {
                Ok(()) => {
                    let count = part.len();
                    self.counters.delivered.fetch_add(count as u64, Relaxed);
                    outbox.done_first(count);
                    continue;
                }
                Err(refused) => refused,
            };
            let refused = match refused {
                Refused::Content(reason) if part.len() > 1 => {
                    debug!(sink = %self.id, messages = part.len(), "sent again in parts, since {reason}");
                    let (first, second) = part.split_at(part.len() / 2);
                    parts.extend([second, first]);
                    continue;
                }
                Refused::Content(ref reason) if !self.courier.gives_up(reason).await => {
                    parts.push(part);
                    continue;
                }
                refused => refused,
            };
            for parcel in part {
                self.given_up.take(&parcel.message, refused.reason()).await;
                outbox.done_first(1);
            }
        }
    }

    async fn send(&mut self, part: &[Parcel]) -> Result<(), Refused> {
        let Config {
            codec,
            framing,
            compression,
            method,
            ..
        } = *self.config;
        let address = match part.first().map(|parcel| &parcel.address) {
            Some(Ok(address)) => address,
            Some(Err(reason)) => return Err(Refused::Unsendable((*reason).to_owned())),
            None => return Ok(()),
        };
        let bytes = part.iter().map(|parcel| &*parcel.bytes);
        let (body, content_type) = payload::join(codec, framing, bytes);
        let body = payload::compress(compression, body)
            .map_err(|error| Refused::Unsendable(format!("it cannot be compressed: {error}")))?;
        let ids: Vec<String> = part.iter().map(|parcel| parcel.message.id()).collect();
        let mut headers = content(content_type, compression);
        // It is made of hexadecimal digits.
        if let Ok(key) = HeaderValue::from_str(&payload::idempotency_key(&ids)) {
            headers.insert("idempotency-key", key);
        }
        // The user's own word counts.
        headers.extend(address.headers.clone());
        let redacted = self.addresses.redacted(address);
        let request = || Request {
            method: method.into(),
            url: address.url.clone(),
            headers: headers.clone(),
            body: body.clone(),
            redacted: redacted.clone(),
        };
        self.courier.send(&mut 0, request).await.map(drop)
    }
}
