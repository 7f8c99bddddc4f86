//! What sinks have in common that deliver by HTTP: one request after the other, at a pace, until the receiver has it.
//!
//! A request waits until the receiver has taken it: through rate limits, outages, and an address or a password that
//! somebody has to mend. Only what is refused for its content, and what runs out of the retries that the configuration
//! allows, comes back. Redirects are not followed, and what a receiver says is shown without secrets.

use std::{
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use reqwest::StatusCode;
use tokio::time::sleep;
use tracing::{error, info, warn};

use self::pace::Pace;
use super::{Counters, Delivery, Jitter, backoff::Backoff};
use crate::telemetry::Status;

mod answer;
mod client;
mod pace;
#[cfg(test)]
pub(super) mod receiver;
mod redacted;
mod tls;

pub use self::tls::Tls;
pub(super) use self::{
    answer::Verdict,
    client::{Client, Outcome, Request},
    redacted::Redacted,
};

/// How HTTP requests are made (`request.*`), as in Vector.
#[derive(Clone, Debug)]
pub struct RequestConfig {
    /// `timeout_secs`: default 60 s.
    pub timeout: Duration,
    /// Retries of one message before it is given up. Default without end. Neither a receiver that
    /// asks for patience nor one that refuses everything until somebody mends it costs one.
    pub retry_attempts: Option<u64>,
    /// `retry_initial_backoff_secs`: default 1 s.
    pub retry_initial_backoff: Duration,
    /// `retry_max_duration_secs`: the longest wait between two tries. Default 30 s.
    pub retry_max_duration: Duration,
    /// `retry_jitter_mode`: default full.
    pub retry_jitter: Jitter,
}

/// How often requests are made (`request.rate_limit_*`), as in Vector.
#[derive(Clone, Copy, Debug)]
pub struct RateLimit {
    /// Requests in one `duration`; `None` for any number.
    pub num: Option<u64>,
    pub duration: Duration,
}

/// How a receiver is called in the log, and what its answers mean.
#[derive(Clone, Copy)]
pub(super) struct Manners {
    /// `Slack`.
    pub name: &'static str,
    /// Where to look when it refuses everything: `check webhook_url`.
    pub mend: &'static str,
    /// What a status and the beginning of the body mean.
    pub judge: fn(StatusCode, &str) -> Verdict,
}

/// Why a request is given up: in words for a person, without secrets.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// The receiver refuses what is in it.
    Content(String),
    /// No retries are left.
    Exhausted(String),
    /// It cannot be sent at all.
    Unsendable(String),
}

impl Refused {
    pub fn reason(&self) -> &str {
        match self {
            Self::Content(reason) | Self::Exhausted(reason) | Self::Unsendable(reason) => reason,
        }
    }
}

/// Messages in a row that are taken to be to blame themselves for being refused, with nothing taken between.
const IN_A_ROW: u32 = 3;

/// Tries of each further one, `retry_max_duration` apart, before it is given up all the same: else a few messages that
/// nobody takes would hold up all that follow.
const TRIES: u32 = 10;

/// How often a conflict with an earlier try of the same request may pass by itself.
const CONFLICTS: u32 = 10;

/// Brings requests to one receiver.
pub(super) struct Courier {
    id: Arc<str>,
    counters: Arc<Counters>,
    status: Status,
    client: Client,
    pace: Pace,
    request: RequestConfig,
    manners: Manners,
    /// What was last said to be wrong, so that the same is said once.
    trouble: Option<String>,
    /// Messages refused since the last was taken, at most [`IN_A_ROW`].
    refused: u32,
    /// Tries of a message beyond them.
    tries: u32,
}

impl Courier {
    pub fn new(
        delivery: &Delivery,
        client: Client,
        request: RequestConfig,
        rate_limit: RateLimit,
        manners: Manners,
    ) -> Self {
        Self {
            id: Arc::clone(&delivery.id),
            counters: Arc::clone(&delivery.counters),
            status: delivery.status.clone(),
            client,
            pace: Pace::new(rate_limit),
            request,
            manners,
            trouble: None,
            refused: 0,
            tries: 0,
        }
    }

    /// Sends what `make` gives, made anew for each try, until the receiver has taken it: its answer. `retries` are those that
    /// it has cost so far.
    pub async fn send(
        &mut self,
        retries: &mut u64,
        mut make: impl FnMut() -> Request,
    ) -> Result<String, Refused> {
        let RequestConfig {
            retry_initial_backoff,
            retry_max_duration,
            retry_jitter,
            ..
        } = self.request;
        let mut backoff = Backoff::with(retry_initial_backoff, retry_max_duration, retry_jitter);
        // Tries that may have arrived for all we know.
        let mut is_unanswered = false;
        let mut conflicts = 0;
        loop {
            let Outcome {
                verdict,
                is_conflict,
                answer,
                reason,
                retry_after,
            } = self.attempt(make()).await;
            is_unanswered |= verdict == Verdict::Unavailable;
            let wait = match verdict {
                // The receiver is still at work on the try before.
                Verdict::MessageRefused
                    if is_conflict && is_unanswered && conflicts < CONFLICTS =>
                {
                    conflicts += 1;
                    backoff.next_wait().max(retry_after.unwrap_or_default())
                }
                Verdict::Delivered => return Ok(answer),
                Verdict::MessageRefused => {
                    let name = self.manners.name;
                    return Err(Refused::Content(format!("{name} refuses it: {reason}")));
                }
                // Who asks for no wait is not to be asked again and again all the same.
                Verdict::Throttled => retry_after
                    .filter(|wait| !wait.is_zero())
                    .unwrap_or_else(|| backoff.next_wait()),
                Verdict::Unavailable => {
                    *retries += 1;
                    if self
                        .request
                        .retry_attempts
                        .is_some_and(|most| *retries > most)
                    {
                        let reason = format!("no retries are left: {reason}");
                        return Err(Refused::Exhausted(reason));
                    }
                    backoff.next_wait().max(retry_after.unwrap_or_default())
                }
                Verdict::ReceiverRefused => retry_max_duration,
            };
            self.counters.retried.fetch_add(1, Relaxed);
            sleep(wait).await;
        }
    }

    /// Sends `request` once, and says how the receiver is.
    pub async fn attempt(&mut self, request: Request) -> Outcome {
        self.pace.wait().await;
        let outcome = self.client.send(request, self.manners.judge).await;
        match outcome.verdict {
            Verdict::Delivered => {
                (self.refused, self.tries) = (0, 0);
                self.mended();
            }
            Verdict::MessageRefused if self.refused < IN_A_ROW => self.mended(),
            Verdict::MessageRefused => {}
            verdict => self.in_trouble(verdict, &outcome.reason),
        }
        outcome
    }

    /// Says whether a message is given up that was refused for its content and stood alone. If not, since so many were
    /// refused in a row that the receiver seems to be to blame, it returns after a wait, and the message is tried again.
    pub async fn gives_up(&mut self, reason: &str) -> bool {
        if !self.blames_receiver(reason) || self.tries == TRIES {
            self.tries = 0;
            return true;
        }
        self.tries += 1;
        self.counters.retried.fetch_add(1, Relaxed);
        sleep(self.request.retry_max_duration).await;
        false
    }

    /// Counts what was refused for its content and stood alone. From the fourth in a row, with nothing taken between, the
    /// receiver is to blame.
    pub fn blames_receiver(&mut self, reason: &str) -> bool {
        if self.refused < IN_A_ROW {
            self.refused += 1;
            return false;
        }
        self.in_trouble(Verdict::ReceiverRefused, reason);
        true
    }

    /// Has what follows judged so.
    pub fn judge_by(&mut self, judge: fn(StatusCode, &str) -> Verdict) {
        self.manners.judge = judge;
    }

    fn in_trouble(&mut self, verdict: Verdict, reason: &str) {
        let is_lasting = verdict == Verdict::ReceiverRefused;
        if is_lasting {
            self.status.broken(reason);
        } else {
            self.status.unwell(reason);
        }
        if self.trouble.as_deref() == Some(reason) {
            return;
        }
        self.trouble = Some(reason.into());
        let Manners { name, mend, .. } = self.manners;
        match verdict {
            Verdict::ReceiverRefused => {
                error!(sink = %self.id, "{name} does not take messages, {mend}; messages are kept: {reason}");
            }
            Verdict::Throttled => {
                warn!(sink = %self.id, "{name} wants no more for now, messages are kept: {reason}");
            }
            _ => warn!(sink = %self.id, "{name} cannot be reached, messages are kept: {reason}"),
        }
    }

    fn mended(&mut self) {
        self.status.well();
        if self.trouble.take().is_some() {
            info!(sink = %self.id, "{} takes messages again", self.manners.name);
        }
    }
}
