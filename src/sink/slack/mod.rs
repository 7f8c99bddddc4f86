//! Slack, by incoming webhook (`webhook`) or by the token of a bot (`bot`).
//!
//! One message after the other, in order and no faster than Slack allows: a channel takes one a
//! second, so several at a time would gain nothing and lose the order. A message waits
//! until Slack has it: through rate limits, outages and a webhook or a token that somebody has to
//! mend. Only what Slack refuses for its content, twice, and what runs out of the
//! retries that the configuration allows, is given up; with a `data_dir` it is kept as a
//! dead letter.

use std::{sync::Arc, sync::atomic::Ordering::Relaxed, time::Duration};

use tracing::warn;

use self::{bot::Bot, webhook::Webhook};
use super::{
    Delivery, Ending, Report,
    given_up::{GivenUp, name},
    request::{Courier, RateLimit, Refused, RequestConfig},
};
use crate::{
    config::Secret,
    format::slack,
    store::{BufferConfig, Message},
};

mod bot;
mod threads;
mod webhook;

/// Sends to Slack.
#[derive(Clone, Debug)]
pub struct Config {
    pub access: Access,
    pub request: RequestConfig,
    /// Requests in one `rate_limit_duration`. Default 1, which is what Slack allows a channel.
    pub rate_limit_num: u64,
    /// Default 1 s.
    pub rate_limit_duration: Duration,
    pub buffer: BufferConfig,
}

/// How Slack is reached. The configuration sees to it that there is one way.
#[derive(Clone, Debug, Default)]
pub struct Access {
    /// An incoming webhook: an http or https URL.
    pub webhook_url: Option<Secret>,
    /// The token of a bot, with the right `chat:write`, and the channel it writes to.
    pub bot_token: Option<Secret>,
    pub channel: Option<String>,
    /// Where Slack's methods are, without the last slash. Default that of slack.com.
    pub endpoint: String,
}

impl Config {
    fn rate_limit(&self) -> RateLimit {
        RateLimit {
            num: Some(self.rate_limit_num),
            duration: self.rate_limit_duration,
        }
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
    way: Way,
    given_up: GivenUp,
}

enum Way {
    Webhook(Box<Webhook>),
    Bot(Box<Bot>),
}

/// A message as Slack may take it.
#[derive(Clone, Copy)]
enum Form {
    Blocks,
    /// For a receiver that refused the blocks.
    Plain,
}

impl Sender {
    /// An error says, without naming a secret, why Slack cannot be reached at all.
    async fn new(config: Config, delivery: &Delivery) -> Result<Self, String> {
        let way = match &config.access.webhook_url {
            Some(url) => Way::Webhook(Box::new(Webhook::new(url, &config, delivery).await?)),
            None => Way::Bot(Box::new(Bot::new(&config, delivery).await?)),
        };
        Ok(Self {
            id: Arc::clone(&delivery.id),
            way,
            given_up: GivenUp::of(delivery),
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
        loop {
            match self.send(&mut retries, message, Form::Blocks).await {
                Ok(()) => return Ok(()),
                Err(Refused::Content(reason)) => {
                    warn!(sink = %self.id, message = %name(message), "sent again as plain text, since {reason}");
                }
                Err(refused) => return Err(refused.reason().to_owned()),
            }
            match self.send(&mut retries, message, Form::Plain).await {
                Ok(()) => return Ok(()),
                Err(Refused::Content(reason)) if !self.courier().gives_up(&reason).await => {}
                Err(refused) => return Err(refused.reason().to_owned()),
            }
        }
    }

    fn courier(&mut self) -> &mut Courier {
        match &mut self.way {
            Way::Webhook(webhook) => webhook.courier(),
            Way::Bot(bot) => bot.courier(),
        }
    }

    async fn send(
        &mut self,
        retries: &mut u64,
        message: &Message,
        form: Form,
    ) -> Result<(), Refused> {
        match &mut self.way {
            Way::Webhook(webhook) => webhook.send(retries, message, form).await,
            Way::Bot(bot) => bot.send(retries, message, form).await,
        }
    }
}

/// The JSON that a webhook takes.
fn body(message: &Message, form: Form) -> String {
    match (message, form) {
        (Message::Alert(alert), Form::Blocks) => slack::alert(alert),
        (Message::Alert(alert), Form::Plain) => slack::plain_alert(alert),
        (Message::Detection(detection), Form::Blocks) => slack::detection(detection),
        (Message::Detection(detection), Form::Plain) => slack::plain_detection(detection),
    }
}

#[cfg(test)]
mod tests;
