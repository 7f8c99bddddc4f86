//! `baitline dead-letters`: what receivers refused for good, and sending it again.

use std::{
    io::{self, BufWriter, ErrorKind, Write},
    path::Path,
    process::ExitCode,
};

use clap::Subcommand;

use super::{BAD_CONFIGURATION, FAILED, data_dir::DataDir, tell};
use crate::{
    format::visible,
    store::{DeadLetters, Entry, Letter, Message},
};

/// Characters of a title and of a reason that are shown.
const SHOWN: usize = 120;

#[derive(clap::Args)]
pub struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Show them: when, for which sink, what, and why
    List(List),
    /// Put them back into the outbox of their sink, also while baitline runs
    ///
    /// What is delivered again has the same ids.
    Replay(Replay),
}

#[derive(clap::Args)]
struct List {
    #[command(flatten)]
    data_dir: DataDir,
    /// Only those of this sink
    #[arg(long, value_name = "ID")]
    sink: Option<String>,
    /// One JSON object a line
    #[arg(long)]
    json: bool,
}

#[derive(clap::Args)]
struct Replay {
    #[command(flatten)]
    data_dir: DataDir,
    #[command(flatten)]
    choice: Choice,
}

/// Which letters are meant.
#[derive(clap::Args)]
#[group(required = true, multiple = true)]
struct Choice {
    /// Those of this sink
    #[arg(long, value_name = "ID")]
    sink: Option<String>,
    /// The one with this alert_id or detection_id
    #[arg(long, value_name = "ID", conflicts_with = "all")]
    id: Vec<String>,
    /// All of them
    #[arg(long)]
    all: bool,
}

pub fn run(arguments: &Arguments) -> ExitCode {
    let (data_dir, sink) = match &arguments.verb {
        Verb::List(list) => (&list.data_dir, &list.sink),
        Verb::Replay(replay) => (&replay.data_dir, &replay.choice.sink),
    };
    let data_dir = match data_dir.find() {
        Ok(data_dir) => data_dir,
        Err(error) => {
            tell(error);
            return BAD_CONFIGURATION.into();
        }
    };
    let letters = match letters(&data_dir, sink.as_deref()) {
        Ok(letters) => letters,
        Err(error) => return fail(error),
    };
    match &arguments.verb {
        Verb::List(list) => show(&letters, list.json),
        Verb::Replay(replay) => send_again(&letters, &replay.choice.id),
    }
}

fn letters(data_dir: &Path, sink: Option<&str>) -> Result<Vec<DeadLetters>, crate::store::Error> {
    let mut letters = DeadLetters::all(data_dir)?;
    letters.retain(|letters| sink.is_none_or(|sink| letters.sink() == sink));
    Ok(letters)
}

fn fail(error: impl std::fmt::Display) -> ExitCode {
    tell(error);
    FAILED.into()
}

/// Lines that cannot be read make it fail, after all others were shown.
fn show(letters: &[DeadLetters], is_json: bool) -> ExitCode {
    let mut out = BufWriter::new(io::stdout().lock());
    let (mut shown, mut damaged) = (0_u64, 0_u64);
    for letters in letters {
        let mut written = Ok(());
        let read = letters.read(|entry, line| match entry {
            Entry::Letter(_) if written.is_err() => {}
            Entry::Letter(letter) => {
                shown += 1;
                written = match is_json {
                    true => out.write_all(line).and_then(|()| out.write_all(b"\n")),
                    false => writeln!(out, "{}", row(letters.sink(), &letter)),
                };
            }
            Entry::Damaged { line, reason } => {
                damaged += 1;
                tell_damaged(letters, line, &reason);
            }
        });
        if let Err(error) = read {
            return fail(format_args!("{}: {error}", letters.path().display()));
        }
        if let Err(error) = written.and_then(|()| out.flush()) {
            return match error.kind() {
                // Whoever reads has seen enough.
                ErrorKind::BrokenPipe => ExitCode::SUCCESS,
                _ => fail(error),
            };
        }
    }
    if shown == 0 && damaged == 0 {
        tell("there are no dead letters");
    }
    match damaged {
        0 => ExitCode::SUCCESS,
        _ => FAILED.into(),
    }
}

fn tell_damaged(letters: &DeadLetters, line: u64, reason: &str) {
    let path = letters.path();
    let reason = visible(reason, SHOWN);
    tell(format_args!(
        "{}:{line}: not a dead letter, passed: {reason}",
        path.display()
    ));
}

/// A letter in one line of text.
fn row(sink: &str, letter: &Letter) -> String {
    let (kind, severity, incident, title) = match &letter.message {
        Message::Alert(alert) => (
            alert.kind.as_str(),
            alert.severity,
            alert.incident_id.to_string(),
            visible(&alert.title, SHOWN),
        ),
        Message::Detection(detection) => (
            "detection",
            detection.severity,
            "-".to_owned(),
            detection.technique.as_str().into(),
        ),
    };
    format!(
        "{:.0}  {sink}  {:9}  {severity:8}  {}  incident {incident}  {title}  ({})",
        letter.time,
        kind,
        letter.message.id(),
        visible(&letter.reason, SHOWN),
    )
}

fn send_again(letters: &[DeadLetters], ids: &[String]) -> ExitCode {
    let mut missing: Vec<&String> = ids.iter().collect();
    let mut total = 0;
    for letters in letters {
        let replayed = letters.replay(|letter| {
            let id = letter.message.id();
            missing.retain(|missing| **missing != id);
            ids.is_empty() || ids.contains(&id)
        });
        let came_to = match replayed {
            Ok(came_to) => came_to,
            Err(error) => return fail(format_args!("cannot replay: {error}")),
        };
        if came_to.replayed > 0 {
            let sink = letters.sink();
            tell(format_args!(
                "{} for sink {sink:?} put back into its outbox",
                came_to.replayed
            ));
        }
        if came_to.damaged > 0 {
            tell(format_args!(
                "{}: {} lines cannot be read and are left: see baitline dead-letters list",
                letters.path().display(),
                came_to.damaged
            ));
        }
        total += came_to.replayed;
    }
    for id in &missing {
        tell(format_args!(
            "no dead letter has the id {}",
            visible(id, SHOWN)
        ));
    }
    if total == 0 && ids.is_empty() {
        tell("there are no dead letters");
    }
    match missing.is_empty() {
        true => ExitCode::SUCCESS,
        false => FAILED.into(),
    }
}
