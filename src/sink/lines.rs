//! What console and file have in common: whole lines, written in batches by a thread of
//! the sink's own, so that a terminal that stands still or a disk that hangs blocks
//! neither the runtime nor another sink.

use std::{
    sync::{atomic::Ordering::Relaxed, mpsc},
    thread,
    time::Duration,
};

use tokio::{sync::mpsc as results, time::sleep};
use tracing::{info, warn};

use super::{Codec, Delivery, Ending, Report, backoff::Backoff};
use crate::format::text::Style;

/// A batch is written once it has this many bytes, or when no more is waiting. Each costs a
/// sync where it is written to a disk.
const BATCH_BYTES: usize = 1 << 20; // 1 MiB
/// The ceilings of the first and the longest wait after a failed write.
const RETRY_INITIAL: Duration = Duration::from_millis(100);
const RETRY_MOST: Duration = Duration::from_secs(10);

/// Where lines go. Called on a thread of its own: it may block.
pub(super) trait Target: Send + 'static {
    /// Writes what is left of `batch`. After a [`Fault::Passing`] it is called again with
    /// the same batch.
    fn write(&mut self, batch: &mut Batch) -> Result<(), Fault>;
}

/// Why a write failed.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// Nobody will ever read it.
    Closed,
    /// It may work later. What the log says of it.
    Passing(String),
}

/// Whole messages on their way out, and how far they have got.
#[derive(Debug, Default)]
pub(super) struct Batch {
    bytes: Vec<u8>,
    /// Where each message begins in `bytes`.
    starts: Vec<usize>,
    written: usize,
}

impl Batch {
    /// What is not yet written.
    pub fn rest(&self) -> &[u8] {
        &self.bytes[self.written..]
    }

    /// `count` more bytes are written.
    pub fn advance(&mut self, count: usize) {
        self.written += count;
    }

    /// Goes back to the start of the message that is half written, since the other half
    /// will go elsewhere.
    pub fn restart_message(&mut self) {
        if self.written < self.bytes.len() {
            let after = self.starts.partition_point(|start| *start <= self.written);
            self.written = after
                .checked_sub(1)
                .map_or(0, |message| self.starts[message]);
        }
    }

    /// Goes back to the beginning, since it is not known what of it was kept.
    pub fn restart(&mut self) {
        self.written = 0;
    }

    /// One message of these bytes.
    #[cfg(test)]
    pub fn of(bytes: &[u8]) -> Self {
        Self {
            bytes: bytes.to_vec(),
            starts: vec![0],
            written: 0,
        }
    }

    fn clear(&mut self) {
        self.bytes.clear();
        self.starts.clear();
        self.written = 0;
    }
}

/// Delivers to `target` until the outbox is drained, `target` is closed or the time is up.
pub(super) async fn run(
    mut delivery: Delivery,
    codec: Codec,
    style: Style,
    target: impl Target,
) -> Report {
    let mut writer = match Writer::spawn(&delivery.id, target) {
        Ok(writer) => writer,
        Err(error) => return delivery.end(Ending::Failed(error.to_string())),
    };
    let give_up = delivery.give_up.clone();
    let ending = tokio::select! {
        biased;
        () = give_up.cancelled() => Ending::GaveUp,
        ending = deliver(&mut delivery, codec, style, &mut writer) => ending,
    };
    delivery.end(ending)
}

async fn deliver(
    delivery: &mut Delivery,
    codec: Codec,
    style: Style,
    writer: &mut Writer,
) -> Ending {
    let mut batch = Batch::default();
    while let Some(first) = delivery.outbox.next().await {
        batch.clear();
        let mut next = Some(first);
        while let Some(message) = next {
            batch.starts.push(batch.bytes.len());
            codec.encode(&message, style, &mut batch.bytes);
            next = (batch.bytes.len() < BATCH_BYTES)
                .then(|| delivery.outbox.next_ready())
                .flatten();
        }
        match write(delivery, writer, batch).await {
            Ok(written) => batch = written,
            Err(ending) => return ending,
        }
        delivery
            .counters
            .delivered
            .fetch_add(batch.starts.len() as u64, Relaxed);
        delivery.outbox.done();
    }
    Ending::Drained
}

/// Writes `batch` and gives it back, however often that must be tried.
async fn write(delivery: &Delivery, writer: &mut Writer, batch: Batch) -> Result<Batch, Ending> {
    let id = &delivery.id;
    let mut backoff = Backoff::new(RETRY_INITIAL, RETRY_MOST);
    let mut trouble = String::new();
    let mut batch = batch;
    loop {
        let (returned, outcome) = writer.write(batch).await?;
        batch = returned;
        match outcome {
            Ok(()) => {
                if !trouble.is_empty() {
                    delivery.status.well();
                    info!(sink = %id, "writes again");
                }
                return Ok(batch);
            }
            Err(Fault::Closed) => return Err(Ending::TargetClosed),
            // The same trouble is told once.
            Err(Fault::Passing(reason)) if reason == trouble => {}
            Err(Fault::Passing(reason)) => {
                warn!(sink = %id, "cannot write, and tries on: {reason}");
                delivery.status.unwell(&*reason);
                trouble = reason;
            }
        }
        delivery.counters.retried.fetch_add(1, Relaxed);
        sleep(backoff.next_wait()).await;
    }
}

/// The thread that writes. It ends when this is dropped, once its last write returns.
struct Writer {
    batches: mpsc::Sender<Batch>,
    outcomes: results::UnboundedReceiver<(Batch, Result<(), Fault>)>,
}

impl Writer {
    fn spawn(id: &str, mut target: impl Target) -> std::io::Result<Self> {
        let (batches, jobs) = mpsc::channel::<Batch>();
        let (done, outcomes) = results::unbounded_channel();
        thread::Builder::new()
            .name(format!("sink {id}"))
            .spawn(move || {
                for mut batch in jobs {
                    let outcome = target.write(&mut batch);
                    if done.send((batch, outcome)).is_err() {
                        return;
                    }
                }
            })?;
        Ok(Self { batches, outcomes })
    }

    async fn write(&mut self, batch: Batch) -> Result<(Batch, Result<(), Fault>), Ending> {
        let gone = || Ending::Failed("the thread that writes has ended".into());
        self.batches.send(batch).map_err(|_| gone())?;
        self.outcomes.recv().await.ok_or_else(gone)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_half_written_message_can_be_begun_again() {
        let mut batch = Batch {
            bytes: b"one\ntwo\nthree\n".to_vec(),
            starts: vec![0, 4, 8],
            written: 0,
        };
        batch.restart_message();
        assert_eq!(batch.rest(), b"one\ntwo\nthree\n");
        batch.advance(6);
        batch.restart_message();
        assert_eq!(batch.rest(), b"two\nthree\n");
        batch.advance(4);
        batch.restart_message();
        assert_eq!(
            batch.rest(),
            b"three\n",
            "a message that is whole stays written"
        );
        batch.advance(6);
        batch.restart_message();
        assert_eq!(batch.rest(), b"");
    }
}
