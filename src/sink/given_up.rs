//! What becomes of messages that a receiver refuses for good.

use std::{
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use tokio::{task::spawn_blocking, time::sleep};
use tracing::error;

use super::{Counters, Delivery, backoff::Backoff};
use crate::{
    store::{DeadLetters, Message},
    telemetry::{Seldom, Status},
};

/// The ceilings of the first and the longest wait before a letter that could not be written is
/// written again.
const RETRY_INITIAL: Duration = Duration::from_millis(100);
const RETRY_MOST: Duration = Duration::from_secs(10);

/// Where a sink puts the messages that it gives up.
pub(super) struct GivenUp {
    id: Arc<str>,
    counters: Arc<Counters>,
    status: Status,
    dead_letters: Option<DeadLetters>,
    warning: Seldom,
}

impl GivenUp {
    pub fn of(delivery: &Delivery) -> Self {
        Self {
            id: Arc::clone(&delivery.id),
            counters: Arc::clone(&delivery.counters),
            status: delivery.status.clone(),
            dead_letters: delivery.dead_letters.clone(),
            warning: Seldom::default(),
        }
    }

    /// Gives `message` up: counts it, says so, and makes a dead letter of it where anything is
    /// stored. Returns when that is on the disk, however often it must be tried.
    pub async fn take(&mut self, message: &Message, reason: &str) {
        let mut backoff = Backoff::new(RETRY_INITIAL, RETRY_MOST);
        let mut has_failed = false;
        while let Err(error) = self.bury(message, reason).await {
            has_failed = true;
            let reason = format!("cannot write a dead letter: {error}");
            if self.warning.is_due() {
                error!(sink = %self.id, message = %name(message), "{reason}; the message waits");
            }
            self.status.unwell(reason);
            sleep(backoff.next_wait()).await;
        }
        if has_failed {
            self.status.well();
        }
        self.counters.failed.fetch_add(1, Relaxed);
        let fate = match self.dead_letters {
            Some(_) => "and kept as a dead letter",
            None => "and lost, since there is no data_dir",
        };
        error!(sink = %self.id, message = %name(message), "a message is given up {fate}: {reason}");
    }

    async fn bury(&self, message: &Message, reason: &str) -> std::io::Result<()> {
        let Some(dead_letters) = self.dead_letters.clone() else {
            return Ok(());
        };
        let (message, reason) = (message.clone(), reason.to_owned());
        let buried = spawn_blocking(move || dead_letters.bury(&message, &reason));
        buried.await.map_err(std::io::Error::other)?
    }
}

/// How the log calls a message: by what a receiver of JSON knows it by.
pub(super) fn name(message: &Message) -> String {
    let kind = match message {
        Message::Alert(_) => "alert_id",
        Message::Detection(_) => "detection_id",
    };
    format!("{kind} {}", message.id())
}
