//! A message as Kafka gets it.

use rdkafka::message::{Header, OwnedHeaders};

use super::Config;
use crate::{
    format::{json, text::Style},
    sink::Codec,
    store::Message,
};

/// One Kafka record.
pub(super) struct Record<'a> {
    pub topic: &'a str,
    /// Empty where no field of the key is known: then it has none.
    pub key: &'a [u8],
    pub payload: &'a [u8],
    pub headers: OwnedHeaders,
}

/// The message in the words of `config`, without the newlines at its end: a record is one message.
pub(super) fn payload(config: &Config, message: &Message) -> Vec<u8> {
    let mut payload = Vec::new();
    config.codec.encode(message, Style::Plain, &mut payload);
    payload.truncate(payload.trim_ascii_end().len());
    payload
}

pub(super) fn headers(codec: Codec, message: &Message) -> OwnedHeaders {
    let content_type = match codec {
        Codec::Text => "text/plain",
        Codec::Json => "application/json",
    };
    let (name, id) = identity(message);
    let header = |key, value| Header {
        key,
        value: Some(value),
    };
    OwnedHeaders::new_with_capacity(3)
        .insert(header("content-type", content_type))
        .insert(header("baitline-schema", &json::SCHEMA.to_string()))
        .insert(header(name, &id))
}

/// By what a receiver knows a message: `alert-id` or `detection-id`, and the id.
pub(super) fn identity(message: &Message) -> (&'static str, String) {
    match message {
        Message::Alert(alert) => ("alert-id", alert.alert_id.to_string()),
        Message::Detection(detection) => ("detection-id", detection.detection_id.to_string()),
    }
}
