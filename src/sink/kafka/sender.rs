//! One producer after another, until all of the outbox is with Kafka.

use std::{
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use rdkafka::error::RDKafkaErrorCode;
use tokio::{
    task::yield_now,
    time::{Instant, sleep, sleep_until},
};
use tracing::{debug, error, warn};

use super::{
    BATCH_BYTES, Config,
    link::{self, Event, Link},
    record::{self, Record},
    verdict::{Failure, in_words, is_refusal},
    window::Window,
};
use crate::{
    kafka::Events,
    sink::{Counters, Delivery, backoff::Backoff, given_up::GivenUp},
    store::Reader,
    telemetry::Status,
};

/// Requests become no smaller than this, however many are refused.
const BATCH_BYTES_LEAST: usize = 8 << 10;

/// Messages that are taken from the outbox in a row.
const RUN: usize = 64;

/// The ceilings of the first and the longest wait before a new producer.
const RETRY_INITIAL: Duration = Duration::from_secs(1);
const RETRY_MOST: Duration = Duration::from_secs(30);

/// When nothing is confirmed for so long, something is wrong, even if no broker says so.
const STALLED: Duration = Duration::from_secs(10);

/// A patience that is longer grows no more.
const PATIENCE_MOST: Duration = Duration::from_secs(60);

/// Delivers what the outbox holds, in order, and keeps what Kafka has not confirmed.
pub(super) struct Sender {
    config: Config,
    counters: Arc<Counters>,
    given_up: GivenUp,
    cluster: Arc<Events>,
    window: Window,
    /// The outbox has no more messages.
    is_closed: bool,
    batch_bytes: usize,
    link: Option<Link>,
    /// Why the producer of [`link`](Self::link) must end.
    failure: Option<Failure>,
    /// When something was last confirmed, or the first message of several was sent.
    progress: Instant,
    /// How long nothing may be confirmed. Grows while producers come to nothing, so that no setting is too short.
    patience: Duration,
}

impl Sender {
    pub(super) fn new(config: Config, delivery: &Delivery) -> Self {
        Self {
            patience: config.message_timeout,
            config,
            counters: Arc::clone(&delivery.counters),
            given_up: GivenUp::of(delivery),
            cluster: Arc::new(Events::new(
                Arc::clone(&delivery.id),
                delivery.status.clone(),
            )),
            window: Window::default(),
            is_closed: false,
            batch_bytes: BATCH_BYTES,
            link: None,
            failure: None,
            progress: Instant::now(),
        }
    }

    fn id(&self) -> &str {
        &self.cluster.id
    }

    fn status(&self) -> &Status {
        &self.cluster.status
    }

    /// One producer after another, until everything is delivered.
    pub(super) async fn drain(&mut self, outbox: &mut Reader) {
        let mut backoff = Backoff::new(RETRY_INITIAL, RETRY_MOST);
        let mut in_vain = 0;
        loop {
            let confirmed = self.counters.delivered.load(Relaxed);
            if self.use_link(outbox).await {
                return;
            }
            let is_complete = self.end_link().await;
            if self.counters.delivered.load(Relaxed) > confirmed {
                backoff = Backoff::new(RETRY_INITIAL, RETRY_MOST);
                self.patience = self.config.message_timeout;
                in_vain = 0;
            } else {
                in_vain += 1;
                if self.patience < PATIENCE_MOST {
                    self.patience *= 2;
                }
            }
            let is_sorted_out = self.sort_out(is_complete).await;
            self.settle(outbox);
            let again = self.window.restart();
            self.counters.retried.fetch_add(again as u64, Relaxed);
            let failure = self.failure.take();
            if !is_sorted_out {
                if let Some(mut failure) = failure {
                    failure.is_lasting |= failure.lasts_if_repeated && in_vain > 1;
                    self.in_trouble(&failure);
                }
                sleep(backoff.next_wait()).await;
            }
        }
    }

    /// Delivers by one producer; true once everything is delivered, false as soon as anything fails.
    async fn use_link(&mut self, outbox: &mut Reader) -> bool {
        let settings = link::settings(&self.config, self.batch_bytes);
        match Link::open(settings, Arc::clone(&self.cluster)).await {
            Ok(link) => self.link = Some(link),
            Err(failure) => self.failure = Some(failure),
        }
        self.progress = Instant::now();
        loop {
            self.send_waiting().await;
            self.settle(outbox);
            if self.failure.is_some() || self.window.refused() > 0 {
                return false;
            }
            if self.is_closed && self.window.is_empty() {
                return true;
            }
            let Some(link) = &mut self.link else {
                return false;
            };
            let may_take = !self.is_closed && self.window.has_room();
            let is_waited_for = self.window.in_flight() > 0;
            let is_late = self.progress.elapsed() >= STALLED;
            let alarm = self.progress
                + if is_late {
                    self.patience
                } else {
                    STALLED.min(self.patience)
                };
            tokio::select! {
                biased;
                event = link.events.recv() => {
                    let more: Vec<Event> = std::iter::from_fn(|| link.events.try_recv().ok()).collect();
                    event.into_iter().chain(more).for_each(|event| self.note(event));
                }
                message = outbox.next(), if may_take => match message {
                    Some(message) => {
                        self.window.push(message);
                        (1..RUN).map_while(|_| outbox.next_ready()).for_each(|message| self.window.push(message));
                        yield_now().await;
                    }
                    None => self.is_closed = true,
                },
                () = sleep_until(alarm), if is_waited_for => self.stalled(),
            }
        }
    }

    /// Gives the producer what may be sent now.
    async fn send_waiting(&mut self) {
        while let (Some(link), Some((number, message))) = (&self.link, self.window.next_to_send()) {
            let topic = self.config.topic.render(message);
            let key = self.config.key.render(message);
            let payload = record::payload(&self.config, message);
            let record = Record {
                topic: &topic,
                key: key.as_bytes(),
                payload: &payload,
                headers: record::headers(self.config.codec, message),
            };
            match link.send(number, record) {
                Ok(()) => {
                    if self.window.in_flight() == 0 {
                        self.progress = Instant::now();
                    }
                    self.window.sent(payload.len());
                }
                // As it stands alone in this, it need not be tried alone.
                Err(error) if is_refusal(&error) => {
                    self.given_up.take(message, &in_words(&error)).await;
                    self.window.give_up(number);
                }
                // With nothing on its way no report would say that there is room again.
                Err(error)
                    if error.rdkafka_error_code() == Some(RDKafkaErrorCode::QueueFull)
                        && self.window.in_flight() > 0 =>
                {
                    return;
                }
                Err(error) => return self.fails(Failure::of(&error)),
            }
        }
    }

    fn note(&mut self, event: Event) {
        match event {
            Event::Report {
                number,
                outcome: Ok(()),
            } => {
                if self.window.confirm(number) {
                    self.counters.delivered.fetch_add(1, Relaxed);
                    self.progress = Instant::now();
                    if let Some(link) = &self.link {
                        link.well();
                    }
                }
            }
            Event::Report {
                number,
                outcome: Err(error),
            } if is_refusal(&error) => self.window.refuse(number, in_words(&error)),
            Event::Report {
                outcome: Err(error),
                ..
            } => self.fails(Failure::of(&error)),
            Event::Fatal(failure) => self.fails(failure),
        }
    }

    /// Keeps the failure that says most.
    fn fails(&mut self, failure: Failure) {
        let is_known = self
            .failure
            .as_ref()
            .is_some_and(|known| !known.is_consequence || failure.is_consequence);
        if !is_known {
            self.failure = Some(failure);
        }
    }

    /// Nothing was confirmed for a while.
    fn stalled(&mut self) {
        let waited = self.progress.elapsed();
        let broker = self.cluster.last_error().clone();
        let broker = broker.map_or_else(String::new, |error| format!(": {error}"));
        let reason = format!("nothing was confirmed for {} s{broker}", waited.as_secs());
        let failure = Failure::passing(reason);
        if waited >= self.patience {
            self.fails(failure);
        } else if self.status().trouble().is_none() {
            self.in_trouble(&failure);
        }
    }

    /// Ends the producer, and notes what it tells at the end. True if that is all it ever had to tell.
    pub(super) async fn end_link(&mut self) -> bool {
        let Some(link) = self.link.take() else {
            return true;
        };
        let ended = link.end().await;
        ended.events.into_iter().for_each(|event| self.note(event));
        ended.is_complete
    }

    /// The outbox moves on over what is done.
    pub(super) fn settle(&mut self, outbox: &mut Reader) {
        let done = self.window.settle();
        if done > 0 {
            outbox.done_first(done);
        }
    }

    /// Finds the message that Kafka refuses, if it refused any: true if so, since then nothing is wrong with Kafka.
    /// Where several were refused together each may be to blame, and the next producer sends them one by one.
    async fn sort_out(&mut self, is_complete: bool) -> bool {
        let refused = self.window.refused();
        if let Some((number, message, reason)) = self.window.culprit().filter(|_| is_complete) {
            self.given_up.take(&message, &reason).await;
            self.window.give_up(number);
        } else if refused > 0 {
            self.batch_bytes = (self.batch_bytes / 2).max(BATCH_BYTES_LEAST);
            debug!(sink = %self.id(), refused, "Kafka refuses a request, its messages are sent one by one");
        }
        refused > 0
    }

    /// Says what is wrong: in the log once, until it is mended or grows worse.
    fn in_trouble(&self, failure: &Failure) {
        let Failure {
            reason, is_lasting, ..
        } = failure;
        let known = self.status().trouble();
        let is_told = known.is_some_and(|known| known.is_lasting || !is_lasting);
        if *is_lasting {
            self.status().broken(reason);
        } else {
            self.status().unwell(reason);
        }
        match (is_told, is_lasting) {
            (true, _) => debug!(sink = %self.id(), "still in trouble: {reason}"),
            (false, true) => {
                error!(sink = %self.id(), "Kafka does not take messages until this is mended, they are kept: {reason}");
            }
            (false, false) => {
                warn!(sink = %self.id(), "Kafka does not take messages, they are kept: {reason}");
            }
        }
    }
}
