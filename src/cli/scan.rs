//! `baitline scan`: has a decoy ever been touched?

use std::{
    io::{self, BufWriter, ErrorKind, IsTerminal},
    num::NonZeroUsize,
    path::{Path, PathBuf},
    process::{ExitCode, exit},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread::{self, available_parallelism},
};

use clap::builder::{RangedU64ValueParser, TypedValueParser};
use jiff::Timestamp;
use tokio::runtime::Builder;
use tracing::{Level, enabled, error, info, warn};

use super::{
    BAD_CONFIGURATION, FAILED, HITS, given::Given, orders, progress::Progress, style, tell, time,
};
use crate::{
    scan::{self, Event, Report, Rules, Searched, Shown, Watch, Window},
    source::Stop,
};

#[derive(clap::Args)]
pub struct Arguments {
    /// Files, directories with all that is in them, globs, or - for standard input; gzip and zstd
    /// are recognised by their content
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    #[command(flatten)]
    pipeline: Given,
    /// Only events from then on: a time (RFC 3339), a date, or a span back from now (2h, 7d); of
    /// UTC where no zone is named
    #[arg(long, value_name = "TIME", value_parser = time::since, allow_hyphen_values = true)]
    from: Option<Timestamp>,
    /// Only events before then; of a date, before it begins
    #[arg(long, value_name = "TIME", value_parser = time::since, allow_hyphen_values = true)]
    to: Option<Timestamp>,
    /// How many threads search; as many as there are processors if not given
    #[arg(long, value_name = "NUMBER", value_parser = threads())]
    threads: Option<NonZeroUsize>,
    /// Write detections and alerts, one JSON object a line
    #[arg(long, conflicts_with = "summary")]
    json: bool,
    /// Show a timeline of each incident instead of its alerts
    #[arg(long)]
    summary: bool,
}

fn threads() -> impl TypedValueParser<Value = NonZeroUsize> {
    RangedU64ValueParser::<usize>::new()
        .range(1..=1024)
        .try_map(|number| NonZeroUsize::new(number).ok_or("at least 1"))
}

pub fn run(arguments: &Arguments) -> ExitCode {
    let rules = match rules(arguments) {
        Ok(rules) => rules,
        Err(faults) => {
            tell(faults);
            return BAD_CONFIGURATION.into();
        }
    };
    if arguments.paths.iter().any(|path| path == Path::new("-")) && io::stdin().is_terminal() {
        warn!("reading from the terminal; pipe a log in: zcat audit.log.gz | baitline scan -");
    }
    let stop = match Stop::new() {
        Ok(stop) => stop,
        Err(error) => {
            error!("the search cannot be made one that can be stopped: {error}");
            return FAILED.into();
        }
    };
    let is_troubled = AtomicBool::new(false);
    match scan(arguments, &rules, &stop, &is_troubled) {
        Ok(_) if is_troubled.into_inner() => FAILED.into(),
        Ok(true) => HITS.into(),
        Ok(false) => ExitCode::SUCCESS,
        Err(error) => {
            error!("{error}");
            FAILED.into()
        }
    }
}

/// What is to be found; or what is wrong with the configuration, in words.
fn rules(arguments: &Arguments) -> Result<Rules, String> {
    if let (Some(from), Some(to)) = (arguments.from, arguments.to)
        && from >= to
    {
        return Err(format!(
            "--from {from} is not before --to {to}: no event can be both"
        ));
    }
    let loaded = arguments
        .pipeline
        .load_for_search()
        .map_err(|faults| faults.to_string())?;
    for warning in &loaded.warnings {
        warn!("{warning}");
    }
    Rules::new(&loaded.pipeline).map_err(|lack| lack.to_string())
}

/// Searches and shows; true if there was a hit.
fn scan(
    arguments: &Arguments,
    rules: &Rules,
    stop: &Stop,
    is_troubled: &AtomicBool,
) -> Result<bool, scan::Error> {
    let threads = arguments.threads.or_else(|| available_parallelism().ok());
    let window = Window {
        from: arguments.from,
        to: arguments.to,
    };
    let progress = Progress::new(enabled!(Level::INFO));
    let is_over = Arc::new(AtomicBool::new(false));
    heed_orders(progress.clone(), stop.clone(), is_over.clone());
    let tell = |event| match event {
        Event::Begins(bytes) => progress.begin(bytes),
        Event::Read(bytes) => progress.advance(bytes),
        Event::Passed(remark) => progress.aside(|| info!("{remark}")),
        Event::Trouble(trouble) => {
            is_troubled.store(true, Relaxed);
            progress.aside(|| error!("{trouble}"));
        }
    };
    let threads = threads.unwrap_or(NonZeroUsize::MIN);
    let watch = Watch { tell: &tell, stop };
    let searched = scan::search(&arguments.paths, rules, window, threads, watch);
    is_over.store(true, Relaxed);
    progress.end();
    let searched = searched?;
    say_counts(&searched);
    match report(arguments, rules, &searched) {
        // Whoever reads has seen enough.
        Err(scan::Error::Output(error)) if error.kind() == ErrorKind::BrokenPipe => {}
        written => written?,
    }
    Ok(searched.has_hit())
}

/// Has the first order to stop end the search, so that what was found is told; or the process, if the search is over.
fn heed_orders(progress: Progress, stop: Stop, is_over: Arc<AtomicBool>) {
    let stop = move |order: &str| {
        if is_over.load(Relaxed) {
            error!("{order}: told to stop, leaving at once");
            exit(FAILED.into());
        }
        progress.aside(|| info!("{order}: stopping; a second signal leaves at once"));
        stop.trigger();
    };
    let heed = move || {
        let runtime = Builder::new_current_thread().enable_io().build();
        // Without one, signals end the process as they end any.
        runtime.map(|runtime| runtime.block_on(orders::heed(stop)))
    };
    // The same holds where the system gives no more threads.
    let _ = thread::Builder::new().spawn(heed);
}

fn report(arguments: &Arguments, rules: &Rules, searched: &Searched) -> Result<(), scan::Error> {
    let shown = match (arguments.json, arguments.summary) {
        (true, _) => Shown::Json,
        (false, true) => Shown::Summary(style()),
        (false, false) => Shown::Text(style()),
    };
    let out = BufWriter::new(io::stdout().lock());
    Report { out, shown }.write(searched, rules)
}

fn say_counts(searched: &Searched) {
    let counts = searched.counts;
    info!(
        inputs = searched.inputs,
        bytes = counts.bytes,
        candidates = counts.candidates,
        events = counts.events,
        detections = searched.detections(),
        hits = searched.hits(),
        expected = counts.expected,
        undecodable = counts.undecodable,
        oversized = counts.oversized,
        "searched"
    );
}
