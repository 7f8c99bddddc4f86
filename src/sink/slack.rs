//! Slack, by incoming webhook.
//!
//! One message, one request, in order and no faster than Slack allows: a channel takes one a
//! second, so several at a time would gain nothing and lose the order. A message waits
//! until Slack has it: through rate limits, outages and a webhook that somebody has to
//! mend. Only what Slack refuses for its content, twice, and what runs out of the
//! retries that the configuration allows, is given up; with a `data_dir` it is kept as a
//! dead letter.

use std::{
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use reqwest::{
    Method, StatusCode, Url,
    header::{CONTENT_TYPE, HeaderMap, HeaderValue},
};
use tracing::warn;

use super::{
    Delivery, Ending, Report,
    given_up::{GivenUp, name},
    request::{
        Client, Courier, Manners, RateLimit, Redacted, Refused, Request, RequestConfig, Verdict,
    },
};
use crate::{
    config::Secret,
    format::slack,
    store::{BufferConfig, Message},
};

/// Sends to a Slack incoming webhook.
#[derive(Clone, Debug)]
pub struct Config {
    /// Required; an http or https URL.
    pub webhook_url: Secret,
    pub request: RequestConfig,
    /// Requests in one `rate_limit_duration`. Default 1, which is what Slack allows a channel.
    pub rate_limit_num: u64,
    /// Default 1 s.
    pub rate_limit_duration: Duration,
    pub buffer: BufferConfig,
}

const SLACK: Manners = Manners {
    name: "Slack",
    mend: "check webhook_url",
    judge,
};

/// What Slack says of a webhook or its channel, whatever the status: `user_not_found`, for one,
/// comes as a 400.
const ABOUT_THE_WEBHOOK: [&str; 12] = [
    "action_prohibited",
    "channel_is_archived",
    "channel_not_found",
    "invalid_token",
    "no_active_hooks",
    "no_service",
    "no_service_id",
    "no_team",
    "posting_to_general_channel_denied",
    "team_disabled",
    "token_revoked",
    "user_not_found",
];

fn judge(status: StatusCode, answer: &str) -> Verdict {
    match status.is_client_error() && ABOUT_THE_WEBHOOK.contains(&answer.trim()) {
        true => Verdict::ReceiverRefused,
        false => Verdict::of(status),
    }
}

/// Delivers to Slack until the outbox is drained or the time is up.
pub async fn run(config: Config, mut delivery: Delivery) -> Report {
    let mut sender = match Sender::new(config, &delivery).await {
        Ok(sender) => sender,
        Err(reason) => return delivery.end(Ending::Failed(reason)),
    };
    let give_up = delivery.give_up.clone();
    let ending = tokio::select! {
        biased;
        () = give_up.cancelled() => Ending::GaveUp,
        () = sender.drain(&mut delivery) => Ending::Drained,
    };
    delivery.end(ending)
}

struct Sender {
    id: Arc<str>,
    courier: Courier,
    given_up: GivenUp,
    url: Url,
}

impl Sender {
    /// An error says, without naming the URL, why the webhook cannot be used at all.
    async fn new(config: Config, delivery: &Delivery) -> Result<Self, String> {
        let url = Url::parse(config.webhook_url.reveal()).ok();
        let url = url
            .filter(|url| matches!(url.scheme(), "http" | "https"))
            .ok_or("webhook_url is not an http or https URL")?;
        let rate_limit = RateLimit {
            num: Some(config.rate_limit_num),
            duration: config.rate_limit_duration,
        };
        let client = Client::new(config.request.timeout, None).await;
        let client = client.map_err(|error| error.to_string())?;
        Ok(Self {
            id: Arc::clone(&delivery.id),
            courier: Courier::new(delivery, client, config.request, rate_limit, SLACK),
            given_up: GivenUp::of(delivery),
            url,
        })
    }

    async fn drain(&mut self, delivery: &mut Delivery) {
        while let Some(message) = delivery.outbox.next().await {
            match self.deliver(&message).await {
                Ok(()) => {
                    delivery.counters.delivered.fetch_add(1, Relaxed);
                }
                Err(reason) => self.given_up.take(&message, &reason).await,
            }
            delivery.outbox.done();
        }
    }

    /// Sends `message` until Slack has it; an error says why it must be given up.
    async fn deliver(&mut self, message: &Message) -> Result<(), String> {
        let mut retries = 0;
        match self.post(&mut retries, &blocks(message)).await {
            Ok(()) => return Ok(()),
            Err(Refused::Exhausted(reason)) => return Err(reason),
            Err(Refused::Content(reason)) => {
                warn!(sink = %self.id, message = %name(message), "sent again as plain text, since {reason}");
            }
        }
        match self.post(&mut retries, &plain(message)).await {
            Ok(()) => Ok(()),
            Err(Refused::Content(reason) | Refused::Exhausted(reason)) => Err(reason),
        }
    }

    /// Posts a JSON body.
    async fn post(&mut self, retries: &mut u64, body: &str) -> Result<(), Refused> {
        let json = HeaderValue::from_static("application/json");
        let request = || Request {
            method: Method::POST,
            url: self.url.clone(),
            headers: HeaderMap::from_iter([(CONTENT_TYPE, json.clone())]),
            body: body.as_bytes().to_vec(),
            redacted: Redacted::secret_url(&self.url),
        };
        self.courier.send(retries, request).await.map(drop)
    }
}

fn blocks(message: &Message) -> String {
    match message {
        Message::Alert(alert) => slack::alert(alert),
        Message::Detection(detection) => slack::detection(detection),
    }
}

fn plain(message: &Message) -> String {
    match message {
        Message::Alert(alert) => slack::plain_alert(alert),
        Message::Detection(detection) => slack::plain_detection(detection),
    }
}

#[cfg(test)]
mod tests;
