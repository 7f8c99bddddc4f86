//! `baitline incidents`: what was told of incidents, out of a `data_dir`, also while a
//! baitline writes it.

mod table;

use std::{
    io::{self, BufWriter, ErrorKind, StdoutLock, Write},
    process::ExitCode,
};

use clap::{
    Subcommand,
    builder::{PossibleValuesParser, TypedValueParser},
};
use glob::Pattern;
use jiff::Timestamp;
use serde::Serialize;

use super::{BAD_CONFIGURATION, FAILED, data_dir, data_dir::DataDir, style, tell, time};
use crate::{
    audit::wire_time,
    detect::Severity,
    format::{
        grouped, json,
        text::{self, Style},
    },
    store::{
        self,
        history::{Filter, History, Incident},
    },
};

/// Most candidates that are listed for an id that fits several incidents.
const CANDIDATES: usize = 20;

#[derive(clap::Args)]
pub struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// List incidents, those with the latest hits last
    List {
        #[command(flatten)]
        data_dir: DataDir,
        #[command(flatten)]
        wanted: Wanted,
        /// Write one JSON object a line
        #[arg(long)]
        json: bool,
    },
    /// Show everything that was told of one incident
    Show {
        /// The incident's id, or its first digits
        id: String,
        #[command(flatten)]
        data_dir: DataDir,
        /// Write one JSON object a line, an alert each
        #[arg(long)]
        json: bool,
    },
    /// Write every alert of the incidents, one JSON object a line
    ///
    /// The lines are those that a sink with encoding.codec json is given.
    Export {
        #[command(flatten)]
        data_dir: DataDir,
        #[command(flatten)]
        wanted: Wanted,
    },
}

/// Which incidents are meant.
#[derive(clap::Args)]
struct Wanted {
    /// Those with a hit then or later: a time (RFC 3339), a date, or a span back from now (2h, 7d);
    /// of UTC where no zone is named
    #[arg(long, value_name = "TIME", value_parser = time::since, allow_hyphen_values = true)]
    since: Option<Timestamp>,
    /// Those that began then or earlier
    #[arg(long, value_name = "TIME", value_parser = time::until, allow_hyphen_values = true)]
    until: Option<Timestamp>,
    /// Those of a decoy whose namespace/name fits; * stands for any characters
    #[arg(long, value_name = "GLOB")]
    decoy: Option<Pattern>,
    /// Those as grave as that, or graver
    #[arg(long, value_name = "LEVEL", value_parser = severities())]
    severity: Option<Severity>,
    /// Those that go on
    #[arg(long, conflicts_with = "closed")]
    open: bool,
    /// Those that are over
    #[arg(long)]
    closed: bool,
}

fn severities() -> impl TypedValueParser<Value = Severity> {
    let words = Severity::ALL.iter().map(|severity| severity.as_str());
    PossibleValuesParser::new(words)
        .try_map(|word| Severity::from_name(&word).ok_or("no such severity"))
}

impl Wanted {
    fn filter(&self) -> Filter {
        Filter {
            since: self.since,
            until: self.until,
            decoy: self.decoy.clone(),
            severity: self.severity,
            is_open: (self.open || self.closed).then_some(self.open),
        }
    }
}

/// Why nothing, or not all, could be shown.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    DataDir(#[from] data_dir::Error),
    #[error(transparent)]
    Store(#[from] store::Error),
    #[error("no incident has an id that begins with {0:?}")]
    Unknown(String),
    #[error("{0}")]
    Ambiguous(String),
    #[error("cannot write to standard output: {0}")]
    Output(#[from] io::Error),
}

pub fn run(arguments: &Arguments) -> ExitCode {
    let done = match &arguments.verb {
        Verb::List {
            data_dir,
            wanted,
            json,
        } => list(data_dir, wanted, *json),
        Verb::Show { id, data_dir, json } => show(data_dir, id, *json),
        Verb::Export { data_dir, wanted } => export(data_dir, wanted),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever reads has seen enough.
        Err(Failure::Output(error)) if error.kind() == ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(failure) => {
            tell(&failure);
            match failure {
                Failure::DataDir(_) => BAD_CONFIGURATION.into(),
                _ => FAILED.into(),
            }
        }
    }
}

fn list(data_dir: &DataDir, wanted: &Wanted, is_json: bool) -> Result<(), Failure> {
    let history = History::open(&data_dir.find()?)?;
    let mut incidents = found(&history, wanted)?;
    incidents.sort_by_key(|incident| incident.last_seen);
    let mut out = output();
    if is_json {
        let mut line = Vec::new();
        for incident in &incidents {
            line.clear();
            json::line(&Line::from(incident), &mut line);
            out.write_all(&line)?;
        }
    } else if !incidents.is_empty() {
        out.write_all(table::short(&incidents, style()).as_bytes())?;
    }
    Ok(out.flush()?)
}

fn show(data_dir: &DataDir, id: &str, is_json: bool) -> Result<(), Failure> {
    let history = History::open(&data_dir.find()?)?;
    let incident = the_one(&history, id)?;
    let alerts = history.alerts(&incident.id)?;
    let mut out = output();
    let mut line = Vec::new();
    for alert in &alerts {
        line.clear();
        match is_json {
            true => json::alert(alert, &mut line),
            false => line.extend(text::alert(alert, style()).bytes()),
        }
        out.write_all(&line)?;
    }
    let told = alerts.iter().map(|alert| alert.total).max().unwrap_or(0);
    let untold = incident.total.saturating_sub(told);
    if untold > 0 && !is_json {
        let s = if untold == 1 { "" } else { "s" };
        writeln!(out, "{} more hit{s} since, not told yet", grouped(untold))?;
    }
    Ok(out.flush()?)
}

/// Holds the incidents' rows in memory, and the alerts of one incident at a time. No look at the
/// database is longer than that: a reader that stands still holds up nobody.
fn export(data_dir: &DataDir, wanted: &Wanted) -> Result<(), Failure> {
    let history = History::open(&data_dir.find()?)?;
    let mut out = output();
    let mut line = Vec::new();
    for incident in found(&history, wanted)? {
        for alert in history.alerts(&incident.id)? {
            line.clear();
            json::alert(&alert, &mut line);
            out.write_all(&line)?;
        }
    }
    Ok(out.flush()?)
}

/// The incidents that are wanted; says so if there are none.
fn found(history: &History, wanted: &Wanted) -> Result<Vec<Incident>, store::Error> {
    let filter = wanted.filter();
    let incidents = history.incidents(&filter)?;
    if incidents.is_empty() {
        let is_all = history.incidents(&Filter::default())?.is_empty();
        tell(match is_all {
            true => "no incidents yet",
            false => "no incident fits",
        });
    }
    Ok(incidents)
}

/// The incident whose id begins with `id`.
fn the_one(history: &History, id: &str) -> Result<Incident, Failure> {
    let mut candidates = history.find(&id.to_ascii_lowercase())?;
    match candidates.len() {
        0 => Err(Failure::Unknown(id.to_owned())),
        1 => Ok(candidates.remove(0)),
        count => {
            let shown = count.min(CANDIDATES);
            let mut text = format!(
                "{count} incidents have an id that begins with {id:?}: write more of it\n{}",
                table::whole(&candidates[..shown], Style::Plain).trim_end()
            );
            if count > shown {
                text += &format!("\n… and {} more", count - shown);
            }
            Err(Failure::Ambiguous(text))
        }
    }
}

fn output() -> BufWriter<StdoutLock<'static>> {
    BufWriter::new(io::stdout().lock())
}

/// An incident as a line of JSON. What an alert says of it too has the same name there.
#[derive(Serialize)]
struct Line<'a> {
    r#type: &'static str,
    schema: u32,
    incident_id: &'a str,
    severity: Severity,
    state: &'static str,
    decoy: Option<&'a str>,
    cluster: Option<&'a str>,
    first_seen: String,
    last_seen: String,
    total: u64,
    alerts: u32,
    last_alert: String,
}

impl<'a> From<&'a Incident> for Line<'a> {
    fn from(incident: &'a Incident) -> Self {
        Self {
            r#type: "incident",
            schema: 1,
            incident_id: &incident.id,
            severity: incident.severity,
            state: state(incident),
            decoy: incident.decoy.as_deref(),
            cluster: incident.cluster.as_deref(),
            first_seen: wire_time(incident.first_seen),
            last_seen: wire_time(incident.last_seen),
            total: incident.total,
            alerts: incident.alerts,
            last_alert: wire_time(incident.told),
        }
    }
}

fn state(incident: &Incident) -> &'static str {
    if incident.is_open { "open" } else { "closed" }
}
