//! What a Kafka source subscribes to, and where it begins.

use rdkafka::ClientConfig;

use super::{
    fault::harmless,
    kind::{Kind, Text, Word},
    options::Scope,
    tree::Node,
};
use crate::source::kafka::AutoOffsetReset;

/// The longest name that a topic may have.
const MAX_TOPIC_BYTES: usize = 249;

/// The name of a topic, or a regular expression that begins with `^`.
pub(crate) struct Topic;

impl Kind for Topic {
    type Value = String;

    fn wanted() -> String {
        "the name of a topic, or a regular expression that begins with ^".to_owned()
    }

    fn read(node: &Node, scope: &mut Scope<'_, '_>) -> Option<String> {
        let topic = Text::read(node, scope)?;
        if topic.starts_with('^') {
            return match regex_fault(&topic) {
                None => Some(topic),
                Some(fault) => {
                    let shown = node.found();
                    let message = format!("must be a regular expression, found {shown}: {fault}");
                    scope.refuse(node, message)
                }
            };
        }
        let is_legal = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        let is_sound = topic.len() <= MAX_TOPIC_BYTES
            && topic.bytes().all(is_legal)
            && !matches!(topic.as_str(), "." | "..");
        match is_sound {
            true => Some(topic),
            false => scope.wrong(node, &Self::wanted()),
        }
    }

    fn show(value: &String) -> String {
        value.clone()
    }
}

/// What librdkafka, which is to use it, has against a regular expression.
fn regex_fault(regex: &str) -> Option<String> {
    let mut client = ClientConfig::new();
    client.set("topic.blacklist", without_commas(regex));
    let error = client.create_native_config().err()?.to_string();
    // `Failed to parse pattern "^(": missing terminating )`
    let reason = error.rsplit("\": ").next().unwrap_or_default();
    let reason = reason.split(" topic.blacklist ").next().unwrap_or_default();
    Some(harmless(reason.trim()))
}

/// librdkafka would take it for a list. No topic has a comma, so that one makes sense in `{2,3}` only, which is
/// as sound as `{2}`.
fn without_commas(regex: &str) -> String {
    let mut parts = regex.split(',');
    let mut whole = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        whole += part.trim_start_matches(|char: char| char.is_ascii_digit());
    }
    whole
}

/// Where to begin, in any of the words that librdkafka has for it.
pub(crate) struct Reset;

impl Kind for Reset {
    type Value = AutoOffsetReset;

    fn wanted() -> String {
        Word::<AutoOffsetReset>::wanted()
    }

    fn read(node: &Node, scope: &mut Scope<'_, '_>) -> Option<AutoOffsetReset> {
        match node.as_text().map(|text| text.value.as_str()) {
            Some("smallest" | "beginning") => Some(AutoOffsetReset::Earliest),
            Some("largest" | "end") => Some(AutoOffsetReset::Latest),
            _ => Word::read(node, scope),
        }
    }

    fn show(value: &AutoOffsetReset) -> String {
        Word::show(value)
    }
}
