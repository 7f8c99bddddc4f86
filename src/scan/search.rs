//! The search: threads that share the units and keep what they find.

use std::{
    io,
    num::NonZeroUsize,
    path::PathBuf,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread,
};

use jiff::Timestamp;
use tracing::warn;

use super::{
    Error, Event, Remark, Rules, Watch, Window,
    find::{Found, find},
    ordered::{Entry, Ordered},
    plan::{Plan, Unit},
    read::{Reader, Take},
};
use crate::{
    config::DEFAULT_MAX_LINE_BYTES,
    detect::{Counts, Detection, Detector},
    record::framing::Piece,
    source::Block,
};

/// Bytes that all threads together map at once: they count as memory of the process. The fewer each has, the oftener it makes an end of
/// a mapping, which interrupts the other threads (with 2 MiB each, 64 decoys take two threads 0.08 s a GB instead of 0.07).
const MAPPED_BYTES: usize = 32 << 20; // 32 MiB

/// However many threads there are, each maps so many.
const LEAST_MAPPED_BYTES: usize = 1 << 20; // 1 MiB

/// What a search gave.
pub struct Searched {
    pub(super) ordered: Ordered,
    /// Of all threads together.
    pub counts: Counts,
    /// How many inputs were read.
    pub inputs: u64,
}

impl Searched {
    /// Whether a decoy was touched by anybody who is not expected to.
    pub fn has_hit(&self) -> bool {
        self.hits() > 0
    }

    /// How many events of others touch a decoy: what is told.
    pub fn hits(&self) -> u64 {
        self.ordered.hits()
    }

    /// How many events touch a decoy, those of expected actors among them.
    pub fn detections(&self) -> u64 {
        self.ordered.count()
    }
}

/// Searches all that `paths` name (files, directories, globs, `-` for standard input) for touches of decoys in `window`.
///
/// # Errors
/// If what was found cannot be kept. An input that cannot be read is told to `watch` and passed.
pub fn search(
    paths: &[PathBuf],
    rules: &Rules,
    window: Window,
    threads: NonZeroUsize,
    watch: Watch<'_>,
) -> Result<Searched, Error> {
    let Found { inputs, bytes } = find(paths, watch)?;
    (watch.tell)(Event::Begins(bytes));
    search_units(Plan::new(inputs), rules, window, threads, watch)
}

pub(super) fn search_units(
    plan: Plan,
    rules: &Rules,
    window: Window,
    threads: NonZeroUsize,
    watch: Watch<'_>,
) -> Result<Searched, Error> {
    let shared = Shared {
        detector: rules.detector()?,
        window,
        mapped_bytes: (MAPPED_BYTES / threads.get()).max(LEAST_MAPPED_BYTES),
        plan: Mutex::new(plan),
        ordered: Mutex::new(Ordered::default()),
        has_failed: AtomicBool::new(false),
        watch,
    };
    let counts = thread::scope(|scope| {
        let work = || Worker::new(&shared).work();
        let spawn = |_| thread::Builder::new().spawn_scoped(scope, work).ok();
        // Where the system gives no more threads, those that there are do it all.
        let others: Vec<_> = (1..threads.get()).map_while(spawn).collect();
        let mut all = vec![work()];
        for other in others {
            all.push(
                other
                    .join()
                    .unwrap_or_else(|panic| std::panic::resume_unwind(panic)),
            );
        }
        all.into_iter().try_fold(Counts::default(), |sum, counts| {
            Ok::<_, Error>(sum + counts?)
        })
    });
    if counts.is_err() {
        let count = lock(&shared.ordered).count();
        let lost = format!("{count} events that touch a decoy were found, and cannot be told");
        (watch.tell)(Event::Trouble(Remark::of("stopped", lost)));
    } else if watch.stop.is_triggered() {
        let rest = "what was not read by then is not searched; what was found is told";
        (watch.tell)(Event::Trouble(Remark::of("stopped", rest)));
    }
    Ok(Searched {
        counts: counts?,
        inputs: into_inner(shared.plan).taken,
        ordered: into_inner(shared.ordered),
    })
}

/// What the threads share.
struct Shared<'s> {
    detector: Detector,
    window: Window,
    /// For each of them.
    mapped_bytes: usize,
    // Std mutexes: each is held for a moment.
    plan: Mutex<Plan>,
    ordered: Mutex<Ordered>,
    /// What was found can no longer be kept.
    has_failed: AtomicBool,
    watch: Watch<'s>,
}

/// What one thread works with.
struct Worker<'s> {
    shared: &'s Shared<'s>,
    detector: Detector,
}

impl<'s> Worker<'s> {
    fn new(shared: &'s Shared<'s>) -> Self {
        Self {
            shared,
            detector: shared.detector.another(),
        }
    }

    /// Searches units until there are no more, or one thread has failed.
    fn work(mut self) -> Result<Counts, Error> {
        match self.units() {
            Ok(()) => Ok(self.detector.counts()),
            Err(error) => {
                lock(&self.shared.plan).stop();
                Err(error)
            }
        }
    }

    fn units(&mut self) -> Result<(), Error> {
        while let Some(unit) = self.next()? {
            self.unit(&unit)?;
        }
        Ok(())
    }

    fn next(&self) -> Result<Option<Unit>, Error> {
        let Watch { tell, stop } = self.shared.watch;
        match stop.is_triggered() {
            true => Ok(None),
            false => Ok(lock(&self.shared.plan).next(&mut |event| tell(event))?),
        }
    }

    fn unit(&mut self, unit: &Unit) -> Result<(), Error> {
        let Self { shared, detector } = self;
        let mut kept = Kept {
            shared,
            unit,
            detector,
            detections: Vec::new(),
            count: 0,
            arrival: Timestamp::UNIX_EPOCH,
            failure: None,
        };
        let Watch { tell, stop } = shared.watch;
        let is_over = || stop.is_triggered() || shared.has_failed.load(Relaxed);
        let mut reader = Reader {
            max_line_bytes: DEFAULT_MAX_LINE_BYTES,
            mapped_bytes: shared.mapped_bytes,
            take: &mut kept,
            progress: &|bytes| {
                tell(Event::Read(bytes));
                match is_over() {
                    false => Ok(()),
                    true => Err(io::ErrorKind::Interrupted.into()),
                }
            },
            stop,
        };
        let outcome = reader.read(&unit.part);
        kept.finish();
        if let Some(error) = kept.failure {
            return Err(error.into());
        }
        if let Err(error) = outcome
            && !is_over()
        {
            tell(Event::Trouble(Remark::of(&unit.name, error)));
        }
        Ok(())
    }
}

/// The way from one unit to what all units gave.
struct Kept<'s> {
    shared: &'s Shared<'s>,
    unit: &'s Unit,
    detector: &'s mut Detector,
    /// Working memory.
    detections: Vec<Detection>,
    /// How many detections of the unit were kept.
    count: u64,
    /// Of what was taken last.
    arrival: Timestamp,
    /// Why no more is kept.
    failure: Option<rusqlite::Error>,
}

impl Take for Kept<'_> {
    fn take(&mut self, piece: &Piece<'_>, arrival: Timestamp) {
        let block = Block {
            bytes: piece.bytes,
            shape: piece.shape,
            header: piece.header,
            first_part: piece.first_part,
            provenance: &|at| format!("{}:{}", self.unit.name, piece.offset + at as u64).into(),
        };
        self.arrival = arrival;
        let oversized = self.detector.counts().oversized;
        self.detector.scan(&block, arrival, &mut self.detections);
        if self.detector.counts().oversized > oversized {
            warn!(
                position = &*(block.provenance)(0).position,
                "a record is longer than max_line_bytes; it is searched for decoys, but not decoded"
            );
        }
        self.keep();
    }

    fn passed(&mut self, lines: &[u8]) -> usize {
        self.detector.passed(lines)
    }
}

impl Kept<'_> {
    /// The unit has ended.
    fn finish(&mut self) {
        self.detector.finish(self.arrival, &mut self.detections);
        self.keep();
    }

    fn keep(&mut self) {
        let (window, arrival) = (self.shared.window, self.arrival);
        self.detections
            .retain(|detection| window.holds(detection, arrival));
        if self.detections.is_empty() || self.failure.is_some() {
            self.detections.clear();
            return;
        }
        // The costly part needs no lock.
        let entries: Vec<_> = self
            .detections
            .drain(..)
            .map(|detection| Entry::new(&detection))
            .collect();
        let mut ordered = lock(&self.shared.ordered);
        // The first reason is the one to tell: nothing is to be had of a database behind it.
        if self.shared.has_failed.load(Relaxed) {
            return;
        }
        let kept = ordered.add(self.unit.number, self.count, &entries);
        self.count += entries.len() as u64;
        if let Err(error) = kept {
            // What else is read would be read in vain.
            self.shared.has_failed.store(true, Relaxed);
            self.failure = Some(error);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A thread that panicked ends the search.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn into_inner<T>(mutex: Mutex<T>) -> T {
    mutex.into_inner().unwrap_or_else(PoisonError::into_inner)
}
