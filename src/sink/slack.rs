//! Slack, by incoming webhook.
//!
//! One message, one request, in order and no faster than Slack allows. A message waits
//! until Slack has it: through rate limits, outages and a webhook that somebody has to
//! mend. Only what Slack refuses for its content, twice, and what runs out of the
//! retries that the configuration allows, is given up, and that is counted and logged.

use std::{
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use tokio::time::{Instant, sleep};
use tracing::{error, info, warn};

use super::{
    Counters, Delivery, Ending, Report,
    answer::Verdict,
    backoff::Backoff,
    webhook::{Outcome, Webhook},
};
use crate::{
    config::Secret,
    format::slack,
    store::{BufferConfig, Message},
    telemetry::Status,
};

/// Sends to a Slack incoming webhook.
#[derive(Clone, Debug)]
pub struct Config {
    /// Required; an http or https URL.
    pub webhook_url: Secret,
    pub request: RequestConfig,
    pub buffer: BufferConfig,
}

/// How HTTP requests are made (`request.*`), as in Vector.
#[derive(Clone, Debug)]
pub struct RequestConfig {
    /// `timeout_secs`: default 60 s.
    pub timeout: Duration,
    /// Retries of one message before it is given up. Default without end.
    pub retry_attempts: Option<u64>,
    /// `retry_initial_backoff_secs`: default 1 s.
    pub retry_initial_backoff: Duration,
    /// `retry_max_duration_secs`: the longest wait between two tries. Default 30 s.
    pub retry_max_duration: Duration,
    /// Requests in one `rate_limit_duration`. Default 1, which is what Slack allows a channel.
    pub rate_limit_num: u64,
    /// `rate_limit_duration_secs`: default 1 s.
    pub rate_limit_duration: Duration,
}

/// Delivers to Slack until the outbox is drained or the time is up.
pub async fn run(config: Config, mut delivery: Delivery) -> Report {
    let webhook = match Webhook::new(&config.webhook_url, config.request.timeout) {
        Ok(webhook) => webhook,
        Err(error) => return delivery.end(Ending::Failed(error.to_string())),
    };
    let mut sender = Sender {
        id: Arc::clone(&delivery.id),
        counters: Arc::clone(&delivery.counters),
        webhook,
        pace: Pace::new(
            config.request.rate_limit_num,
            config.request.rate_limit_duration,
        ),
        request: config.request,
        trouble: None,
        status: delivery.status.clone(),
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
    counters: Arc<Counters>,
    webhook: Webhook,
    pace: Pace,
    request: RequestConfig,
    /// What was last said to be wrong, so that the same is said once.
    trouble: Option<String>,
    status: Status,
}

impl Sender {
    async fn drain(&mut self, delivery: &mut Delivery) {
        while let Some(message) = delivery.outbox.next().await {
            let delivered = self.deliver(&message).await;
            let counter = if delivered {
                &self.counters.delivered
            } else {
                &self.counters.failed
            };
            counter.fetch_add(1, Relaxed);
            delivery.outbox.done();
        }
    }

    /// Sends `message` until Slack has it or it must be given up; true if Slack has it.
    async fn deliver(&mut self, message: &Message) -> bool {
        let RequestConfig {
            retry_initial_backoff,
            retry_max_duration,
            ..
        } = self.request;
        let mut backoff = Backoff::new(retry_initial_backoff, retry_max_duration);
        let mut body = blocks(message);
        let mut is_plain = false;
        let mut retries = 0;
        loop {
            self.pace.wait().await;
            let Outcome {
                verdict,
                reason,
                retry_after,
            } = self.webhook.post(body.clone()).await;
            let wait = match verdict {
                Verdict::Delivered => {
                    self.mended();
                    return true;
                }
                Verdict::MessageRefused if is_plain => {
                    self.given_up(message, "Slack refuses it", &reason);
                    return false;
                }
                Verdict::MessageRefused => {
                    warn!(sink = %self.id, message = %name(message), "Slack refuses the blocks, sent again as plain text: {reason}");
                    body = plain(message);
                    is_plain = true;
                    continue;
                }
                Verdict::Throttled => {
                    self.in_trouble(verdict, &reason);
                    retry_after.unwrap_or_else(|| backoff.next_wait())
                }
                Verdict::Unavailable => {
                    self.in_trouble(verdict, &reason);
                    backoff.next_wait().max(retry_after.unwrap_or_default())
                }
                Verdict::ReceiverRefused => {
                    self.in_trouble(verdict, &reason);
                    retry_max_duration
                }
            };
            // A receiver that asks for patience has not failed: that costs no retry.
            retries += u64::from(verdict != Verdict::Throttled);
            if self
                .request
                .retry_attempts
                .is_some_and(|most| retries > most)
            {
                self.given_up(message, "no retries are left", &reason);
                return false;
            }
            self.counters.retried.fetch_add(1, Relaxed);
            sleep(wait).await;
        }
    }

    fn in_trouble(&mut self, verdict: Verdict, reason: &str) {
        if verdict == Verdict::ReceiverRefused {
            self.status.broken(reason);
        } else {
            self.status.unwell(reason);
        }
        if self.trouble.as_deref() == Some(reason) {
            return;
        }
        self.trouble = Some(reason.into());
        if verdict == Verdict::ReceiverRefused {
            error!(sink = %self.id, "Slack does not take messages by this webhook, check webhook_url; messages are kept: {reason}");
        } else {
            warn!(sink = %self.id, "Slack cannot be reached, messages are kept: {reason}");
        }
    }

    fn mended(&mut self) {
        self.status.well();
        if self.trouble.take().is_some() {
            info!(sink = %self.id, "Slack takes messages again");
        }
    }

    fn given_up(&self, message: &Message, why: &str, reason: &str) {
        error!(sink = %self.id, message = %name(message), "a message is given up, {why}: {reason}");
    }
}

/// How the log calls a message: by what a receiver of JSON knows it by.
fn name(message: &Message) -> String {
    match message {
        Message::Alert(alert) => format!("alert_id {}", alert.alert_id),
        Message::Detection(detection) => format!("detection_id {}", detection.detection_id),
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

/// At most so many requests in a window, which begins with the first of them.
struct Pace {
    most: u64,
    window: Duration,
    began: Option<Instant>,
    sent: u64,
}

impl Pace {
    fn new(most: u64, window: Duration) -> Self {
        Self {
            most,
            window,
            began: None,
            sent: 0,
        }
    }

    /// Waits until one more request is allowed, and counts it.
    async fn wait(&mut self) {
        if let Some(began) = self.began
            && self.sent >= self.most
        {
            sleep(self.window.saturating_sub(began.elapsed())).await;
        }
        let now = Instant::now();
        if self
            .began
            .is_none_or(|began| now.duration_since(began) >= self.window)
        {
            self.began = Some(now);
            self.sent = 0;
        }
        self.sent += 1;
    }
}

#[cfg(test)]
mod receiver;
#[cfg(test)]
mod tests;
