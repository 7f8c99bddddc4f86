//! The options of the sinks, but for those of HTTP.

use std::time::Duration;

use super::{
    kind::{Kind, Optional, Text, Word},
    notation::{Password, PathTemplate, WebhookUrl},
    number::{Count, Limit, Milliseconds, Seconds},
    options::{Options, Scope, Section, options},
    template::{KeyTemplate, TopicTemplate},
    tree::Node,
};
use crate::{
    kafka::Connection,
    sink,
    sink::{Codec, Field, Jitter, console::Target, kafka::Compression},
    store,
    store::WhenFull,
};

options! {
    store::BufferConfig {
        /// Messages that may wait for the sink. Without `data_dir` 10,000, if `max_size` is not set either.
        max_events: "max_events" Limit<1>, default None;
        /// Bytes of messages that may wait, as JSON. With `data_dir` 1 GiB, if `max_events` is not set either.
        max_size: "max_size" Limit<1>, default None;
        /// What happens when so much waits: hold up the sources, or drop, detections first.
        when_full: "when_full" Word<WhenFull>, default WhenFull::Block;
    }
}

options! {
    sink::RequestConfig {
        /// How long one request may take.
        timeout: "timeout_secs" Seconds<false>, default Duration::from_secs(60);
        /// Retries of one message before it is given up. A rate limit and a webhook that does not work cost none.
        retry_attempts: "retry_attempts" Limit<0>, default None;
        /// The wait before the first retry. Grows with each.
        retry_initial_backoff: "retry_initial_backoff_secs" Seconds<false>, default Duration::from_secs(1);
        /// The longest wait between two tries.
        retry_max_duration: "retry_max_duration_secs" Seconds<false>, default Duration::from_secs(30);
        /// How much of a wait is left to chance: all of it, or nothing.
        retry_jitter: "retry_jitter_mode" Word<Jitter>, default Jitter::Full;
    }
}

options! {
    sink::console::Config {
        /// How a message is written: for a person, or one JSON object a line.
        codec: "encoding.codec" Word<Codec>, default Codec::Text;
        /// Standard output or standard error.
        target: "target" Word<Target>, default Target::Stdout;
        buffer: "buffer." store::BufferConfig, group;
    }
}

options! {
    sink::file::Config {
        /// The file that is appended to. With strftime specifiers in UTC.
        path: "path" PathTemplate, required;
        /// How a message is written: for a person, or one JSON object a line.
        codec: "encoding.codec" Word<Codec>, default Codec::Text;
        buffer: "buffer." store::BufferConfig, group;
    }
}

options! {
    sink::slack::Access {
        /// The incoming webhook. It is a secret: write `${SLACK_WEBHOOK_URL}`. Either it or a bot.
        webhook_url: "webhook_url" Optional<WebhookUrl>, default None;
        /// The token of a bot that may write (`chat:write`). It is a secret: write `${SLACK_BOT_TOKEN}`. An incident is one
        /// message then, kept up to date, with a thread below.
        bot_token: "bot_token" Optional<Password>, default None;
        /// The channel that the bot writes to, such as `C0123456789`. The bot has to be in it.
        channel: "channel" Optional<Text>, default None;
        /// Where Slack's methods are, for the bot.
        endpoint: "endpoint" Endpoint, default SLACK_API.to_owned();
    }
}

options! {
    sink::slack::Config {
        access: "" sink::slack::Access, group;
        request: "request." sink::RequestConfig, group;
        /// Requests in one `rate_limit_duration_secs`, one at a time. The default is what Slack allows a channel.
        rate_limit_num: "request.rate_limit_num" Count<u64>, default 1;
        /// The time that `rate_limit_num` is counted in.
        rate_limit_duration: "request.rate_limit_duration_secs" Seconds<false>, default Duration::from_secs(1);
        buffer: "buffer." store::BufferConfig, group;
    }
}

options! {
    sink::kafka::Config {
        connection: "" Connection, group;
        /// The topic. May have the fields `{{ type }}` (`alert` or `detection`) and `{{ severity }}` in it.
        topic: "topic" TopicTemplate, required;
        /// What messages are keyed by: what has the same key stays in order. A field, or a text
        /// with fields in it: `{{ incident_key }}`, `{{ cluster }}`, `{{ decoy }}`,
        /// `{{ source_ip }}`, `{{ severity }}`, `{{ type }}`.
        key: "key_field" KeyTemplate, default Field::IncidentKey.into();
        /// How requests are compressed.
        compression: "compression" Word<Compression>, default Compression::None;
        /// How a message is written: one JSON object, or for a person.
        codec: "encoding.codec" Word<Codec>, default Codec::Json;
        /// How long nothing may be confirmed until all that is not is sent again over new
        /// connections. Nothing is given up.
        message_timeout: "message_timeout_ms" Milliseconds, default Duration::from_secs(300);
        buffer: "buffer." store::BufferConfig, group;
    }
}

const SLACK_API: &str = "https://slack.com/api";

/// Where the methods of an API are.
pub(super) struct Endpoint;

impl Kind for Endpoint {
    type Value = String;

    fn wanted() -> String {
        "an http or https URL with a host".to_owned()
    }

    fn read(node: &Node, scope: &mut Scope<'_, '_>) -> Option<String> {
        let url = WebhookUrl::read(node, scope)?;
        Some(url.reveal().trim_end_matches('/').to_owned())
    }

    fn show(value: &String) -> String {
        value.clone()
    }
}

/// There is one way to Slack.
pub(super) fn slack(options: &mut Options<'_, '_>) -> Option<sink::slack::Config> {
    let config = sink::slack::Config::read(options, "")?;
    let sink::slack::Access {
        webhook_url,
        bot_token,
        channel,
        ..
    } = &config.access;
    let message = match (webhook_url, bot_token, channel) {
        (Some(_), None, None) | (None, Some(_), Some(_)) => return Some(config),
        (None, None, None) => {
            options.missing::<WebhookUrl>("webhook_url", "or bot_token and channel");
            return None;
        }
        (Some(_), ..) => "either webhook_url, or bot_token and channel",
        (None, ..) => "bot_token and channel go together",
    };
    options.refuse(&["webhook_url", "bot_token", "channel"], message);
    None
}
