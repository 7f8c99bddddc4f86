//! Incidents as a table for people.

use super::state;
use crate::{
    format::{clock, date, grouped, text::Style, visible},
    store::history::Incident,
};

/// Digits of an id that tell incidents apart for a person; `show` takes them.
const SHORT_ID: usize = 8;

/// Most characters of a name.
const NAME: usize = 60;

const HEADINGS: [&str; 9] = [
    "ID",
    "SEVERITY",
    "STATE",
    "DECOY",
    "CLUSTER",
    "FIRST SEEN (UTC)",
    "LAST SEEN (UTC)",
    "HITS",
    "ALERTS",
];
const SEVERITY: usize = 1;
const CLUSTER: usize = 4;
/// From here on columns are numbers.
const HITS: usize = 7;

/// `incidents` as a table with a heading, with the first digits of each id.
pub(super) fn short(incidents: &[Incident], style: Style) -> String {
    table(incidents, SHORT_ID, style)
}

/// As [`short`], with the whole ids.
pub(super) fn whole(incidents: &[Incident], style: Style) -> String {
    table(incidents, usize::MAX, style)
}

fn table(incidents: &[Incident], id_digits: usize, style: Style) -> String {
    let rows: Vec<_> = incidents
        .iter()
        .map(|incident| cells(incident, id_digits))
        .collect();
    let widths: [usize; HEADINGS.len()] = std::array::from_fn(|column| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells.max().unwrap_or(0).max(HEADINGS[column].len())
    });
    let names_clusters = incidents.iter().any(|incident| incident.cluster.is_some());
    let line = |cells: &dyn Fn(usize) -> String| {
        let shown = (0..HEADINGS.len()).filter(|column| names_clusters || *column != CLUSTER);
        shown.map(cells).collect::<Vec<_>>().join("  ") + "\n"
    };
    let pad = |cell: &str, column: usize| {
        let width = widths[column];
        match column >= HITS {
            true => format!("{cell:>width$}"),
            false => format!("{cell:width$}"),
        }
    };
    let mut out = line(&|column| style.paint("1", &pad(HEADINGS[column], column)));
    for (row, incident) in rows.iter().zip(incidents) {
        out += &line(&|column| match column {
            SEVERITY => style.by_severity(incident.severity, &pad(&row[column], column)),
            _ => pad(&row[column], column),
        });
    }
    out
}

fn cells(incident: &Incident, id_digits: usize) -> [String; HEADINGS.len()] {
    let name = |name: &Option<String>| match name {
        Some(name) => visible(name, NAME).into_owned(),
        None => "-".to_owned(),
    };
    let time = |time| format!("{} {}", date(time), clock(time));
    [
        incident.id.chars().take(id_digits).collect(),
        incident.severity.to_string(),
        state(incident).to_owned(),
        name(&incident.decoy),
        name(&incident.cluster),
        time(incident.first_seen),
        time(incident.last_seen),
        grouped(incident.total),
        grouped(incident.alerts.into()),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{detect::Severity, format::example::time};

    fn incident(id: &str, cluster: Option<&str>) -> Incident {
        Incident {
            id: id.repeat(8),
            decoy: Some("honeypot/backup-sa".into()),
            cluster: cluster.map(str::to_owned),
            severity: Severity::Critical,
            is_open: true,
            first_seen: time("2026-11-23T17:21:08.912184Z"),
            last_seen: time("2026-11-24T00:00:00Z"),
            total: 104_211,
            alerts: 7,
            told: time("2026-11-24T00:00:01Z"),
        }
    }

    #[test]
    fn columns_are_as_wide_as_what_is_in_them() {
        let quiet = Incident {
            severity: Severity::Low,
            is_open: false,
            decoy: None,
            total: 1,
            ..incident("07fe", None)
        };
        let rows = [incident("3f21", Some("prod-eu")), quiet];
        insta::assert_snapshot!(short(&rows, Style::Plain), @"
        ID        SEVERITY  STATE   DECOY               CLUSTER  FIRST SEEN (UTC)     LAST SEEN (UTC)         HITS  ALERTS
        3f213f21  critical  open    honeypot/backup-sa  prod-eu  2026-11-23 17:21:08  2026-11-24 00:00:00  104,211       7
        07fe07fe  low       closed  -                   -        2026-11-23 17:21:08  2026-11-24 00:00:00        1       7
        ");
        insta::assert_snapshot!(whole(&rows[1..], Style::Plain), @"
        ID                                SEVERITY  STATE   DECOY  FIRST SEEN (UTC)     LAST SEEN (UTC)      HITS  ALERTS
        07fe07fe07fe07fe07fe07fe07fe07fe  low       closed  -      2026-11-23 17:21:08  2026-11-24 00:00:00     1       7
        ");
    }

    #[test]
    fn colour_adds_nothing_but_colour() {
        let rows = [incident("3f21", None)];
        let mut coloured = short(&rows, Style::Colour);
        assert!(coloured.contains("\x1b[1;97;41mcritical\x1b[0m"));
        while let Some(start) = coloured.find('\x1b') {
            let end = start + coloured[start..].find('m').unwrap();
            coloured.replace_range(start..=end, "");
        }
        assert_eq!(coloured, short(&rows, Style::Plain));
    }

    #[test]
    fn a_hostile_name_forges_no_row_and_no_colour() {
        let endless = "\u{202e}x".repeat(1000);
        for hostile in ["\x1b[31m\n12345678  critical", &endless] {
            let row = Incident {
                decoy: Some(hostile.into()),
                ..incident("3f21", Some(hostile))
            };
            let text = short(&[row], Style::Plain);
            assert_eq!(text.lines().count(), 2, "{text}");
            assert!(!text.contains(['\x1b', '\u{202e}']), "{text}");
            assert!(text.lines().all(|line| line.chars().count() < 300));
        }
    }
}
