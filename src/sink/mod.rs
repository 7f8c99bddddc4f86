//! Deliver what the outbox holds, each sink at its own pace.
//!
//! Every sink is one function, `run(config, delivery)`, to be spawned as a task. It
//! delivers until its outbox is closed and empty, or until it is told to give up, and
//! reports what it could not deliver. No sink waits for another: what may block runs on
//! a thread of its own.

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
};

use tokio_util::sync::CancellationToken;
use tracing::{debug, error, warn};

use crate::{
    audit::{IncidentId, words},
    dedupe::Alert,
    format::text::{self, Style},
    store::{DeadLetters, Message, Reader, Tally},
    telemetry::Status,
};

mod backoff;
pub mod console;
pub mod file;
mod given_up;
pub mod http;
pub mod kafka;
mod lines;
mod request;
pub mod slack;
mod template;

pub use backoff::Jitter;
pub use request::{RateLimit, RequestConfig, Tls};
pub(crate) use template::TemplateError;
pub use template::{Field, Template};

/// How a message is written (`encoding.codec`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Codec {
    /// What a person reads.
    Text,
    /// One object a line: the schema that the README gives.
    Json,
}

words!(Codec { Text = "text", Json = "json" });

impl Codec {
    /// Appends `message` to `out`, as whole lines.
    fn encode(self, message: &Message, style: Style, out: &mut Vec<u8>) {
        match (self, message) {
            (Self::Text, Message::Alert(alert)) => out.extend(text::alert(alert, style).bytes()),
            (Self::Text, Message::Detection(detection)) => {
                out.extend(text::detection(detection, style).bytes());
            }
            (Self::Json, message) => message.write_json(out),
        }
    }
}

/// What every sink is given to work with.
pub struct Delivery {
    /// The sink's id in the configuration, for the log.
    pub id: Arc<str>,
    pub outbox: Reader,
    pub counters: Arc<Counters>,
    /// What the sink says of its receiver.
    pub status: Status,
    /// Where messages go that the receiver refuses for good; `None` where nothing is stored.
    pub dead_letters: Option<DeadLetters>,
    /// Where a sink may keep what it has to remember, under a name of its own; `None` where nothing is stored.
    pub data_dir: Option<PathBuf>,
    /// What is known at the start; empty but for a sink that repeats what is open.
    pub incidents: Incidents,
    /// Cancelled when the time to drain is over: the sink stops where it is.
    pub give_up: CancellationToken,
    /// Sinks that are at work, this one among them.
    pub at_work: Arc<AtomicUsize>,
}

/// What a `data_dir` knows of incidents that a sink was told of.
#[derive(Clone, Debug, Default)]
pub struct Incidents {
    /// What is open, as the sink was last told of it.
    pub open: Vec<Alert>,
    /// The last that were over.
    pub over: Vec<IncidentId>,
}

/// What a sink has done so far. Read it at any time.
#[derive(Debug, Default)]
pub struct Counters {
    /// Messages that the receiver has taken.
    pub delivered: AtomicU64,
    /// Messages given up: refused for good, or out of retries. With a `data_dir` they are dead letters.
    pub failed: AtomicU64,
    /// Tries that were repeated.
    pub retried: AtomicU64,
    /// Messages that were left when the sink ended, and are kept nowhere.
    pub dropped: AtomicU64,
}

/// How a sink's work ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    pub id: Arc<str>,
    pub ending: Ending,
    /// What was not delivered. A message that was under way may have arrived all the same.
    pub left: Tally,
}

/// Why a sink stopped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The outbox was closed and everything in it dealt with.
    Drained,
    /// The time to drain was over.
    GaveUp,
    /// The time to drain was over, and what is left lies in the `data_dir` for the next start.
    Kept,
    /// The other end was closed, such as the pipe behind standard output. The program
    /// may go on without this sink.
    TargetClosed,
    /// The sink cannot work at all, and why. Names no secret.
    Failed(String),
}

impl Delivery {
    /// Counts what is left, says so in the log, and reports.
    fn end(self, ending: Ending) -> Report {
        let left = self.outbox.waiting();
        let is_durable = self.dead_letters.is_some();
        let is_last = self.at_work.fetch_sub(1, Relaxed) == 1;
        let ending = match ending {
            Ending::GaveUp if left.total() == 0 => Ending::Drained,
            Ending::GaveUp if is_durable => Ending::Kept,
            ending => ending,
        };
        if !is_durable {
            self.counters.dropped.fetch_add(left.total(), Relaxed);
        }
        let rest = match is_durable {
            true => "kept with what follows for the next start",
            false => "left undelivered, and what follows is dropped",
        };
        self.tell(&ending, &left, rest);
        // With nobody left to tell, the program ends, and what is left is not acknowledged.
        if ending == Ending::TargetClosed && !is_durable && !is_last {
            self.outbox.release();
        }
        Report {
            id: self.id,
            ending,
            left,
        }
    }

    /// `rest` is what becomes of what is `left`, in words.
    fn tell(&self, ending: &Ending, left: &Tally, rest: &str) {
        let Self {
            id,
            counters,
            status,
            ..
        } = self;
        match ending {
            Ending::Drained => {
                let (delivered, failed, retried) = (
                    counters.delivered.load(Relaxed),
                    counters.failed.load(Relaxed),
                    counters.retried.load(Relaxed),
                );
                debug!(sink = %id, delivered, failed, retried, "everything is delivered");
            }
            Ending::GaveUp => {
                error!(sink = %id, "the time to deliver is over: {left} left undelivered")
            }
            Ending::Kept => {
                warn!(sink = %id, "the time to deliver is over: {left} left, kept for the next start");
            }
            Ending::TargetClosed => {
                status.broken("the other end was closed");
                warn!(sink = %id, "the other end was closed: {left} {rest}");
            }
            Ending::Failed(reason) => {
                status.broken(reason.clone());
                error!(sink = %id, "cannot work: {reason}; {left} {rest}");
            }
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::{
        io,
        sync::{Mutex, MutexGuard},
        time::Duration,
    };

    use tracing::subscriber::DefaultGuard;

    use super::*;
    use crate::{
        format::example,
        store::{BufferConfig, WhenFull, Writer, outbox},
    };

    /// Longer than anything may take that a test waits for.
    pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

    pub(crate) const BUFFER: BufferConfig = BufferConfig {
        max_events: Some(100),
        max_size: None,
        when_full: WhenFull::Block,
    };

    /// What a sink needs, and the test's ends of it.
    pub(crate) fn delivery() -> (Writer, Arc<Counters>, CancellationToken, Delivery) {
        let (writer, reader) = outbox(BUFFER);
        let counters = Arc::new(Counters::default());
        let give_up = CancellationToken::new();
        let delivery = Delivery {
            id: "under_test".into(),
            outbox: reader,
            counters: Arc::clone(&counters),
            status: Status::default(),
            dead_letters: None,
            data_dir: None,
            incidents: Incidents::default(),
            give_up: give_up.clone(),
            at_work: Arc::new(AtomicUsize::new(1)),
        };
        (writer, counters, give_up, delivery)
    }

    /// An alert that can be told from others by its title.
    pub(crate) fn alert(title: &str) -> Message {
        let mut alert = example::opened();
        alert.title = title.into();
        Message::Alert(Arc::new(alert))
    }

    pub(crate) fn detection() -> Message {
        Message::Detection(Arc::new(example::detection()))
    }

    /// Everything that is logged on this thread, from now until it is dropped.
    #[derive(Clone, Default)]
    pub(crate) struct Log(Arc<Mutex<Vec<u8>>>);

    impl Log {
        pub(crate) fn capture() -> (Self, DefaultGuard) {
            let log = Self::default();
            let target = log.clone();
            let subscriber = tracing_subscriber::fmt()
                .with_max_level(tracing::Level::TRACE)
                .with_ansi(false)
                .with_writer(move || target.clone())
                .finish();
            (log, tracing::subscriber::set_default(subscriber))
        }

        fn lock(&self) -> MutexGuard<'_, Vec<u8>> {
            self.0.lock().unwrap()
        }

        pub(crate) fn text(&self) -> String {
            String::from_utf8(self.lock().clone()).unwrap()
        }
    }

    impl io::Write for Log {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.lock().extend(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
}
