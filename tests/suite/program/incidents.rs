//! `baitline incidents`: what a `data_dir` knows, while another process writes it and afterwards.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::pipe,
    thread,
    time::{Duration, Instant},
};

use baitline::detect::Class;
use serde_json::{Value, json};

use super::{
    harness::{PATIENCE, Ran, Setting, configuration, decoy},
    inputs::{METADATA, joined, token_use},
    told::Told,
};
use crate::{recall::expected, recordings::labels};

/// A configuration with a `data_dir`, whose incidents are told of again after a second.
fn durable() -> Value {
    let mut configuration = configuration(decoy(true));
    configuration["data_dir"] = "data".into();
    configuration["transforms"]["incidents"]["digest_secs"] = 1.into();
    configuration["transforms"]["incidents"]["rate_limit"] = json!({"threshold": 1000});
    configuration
}

/// `baitline incidents` with `arguments`, on the `data_dir` in `setting`.
fn incidents(setting: &Setting, arguments: &[&str]) -> Ran {
    let arguments = [&["incidents"], arguments, &["--data-dir", "data"]].concat();
    setting.run(&arguments, b"")
}

/// As [`incidents`], which is all well.
fn said(setting: &Setting, arguments: &[&str]) -> String {
    let ran = incidents(setting, arguments);
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));
    ran.stdout
}

fn lines(text: &str) -> Vec<Value> {
    text.lines()
        .map(|line| serde_json::from_str(line).expect("a line is JSON"))
        .collect()
}

fn listed(setting: &Setting, filter: &[&str]) -> Vec<Value> {
    lines(&said(setting, &[&["list", "--json"], filter].concat()))
}

fn id(line: &Value) -> &str {
    line["incident_id"].as_str().expect("an id")
}

fn totals(incidents: &[Value]) -> u64 {
    let total = |incident: &Value| incident["total"].as_u64().expect("a number");
    incidents.iter().map(total).sum()
}

fn alerts(told: &str) -> BTreeMap<String, Value> {
    let told = Told::read(told);
    told.alerts
        .into_iter()
        .map(|alert| (alert["alert_id"].to_string(), alert))
        .collect()
}

/// Hits among the requests of the recording.
fn labelled_hits() -> u64 {
    let labels = expected(&labels("metadata", "labels.ndjson"), |_| true);
    let hits = labels.values().filter(|(_, class)| *class == Class::Detect);
    hits.count() as u64
}

#[test]
fn every_hit_is_known_while_run_writes_and_after_a_kill() {
    let setting = Setting::with(&durable());
    let mut running = setting.start_watch(&[]);
    running.write(&METADATA);
    let hits = labelled_hits();
    let began = Instant::now();
    let list = loop {
        // There may be no database yet.
        let ran = incidents(&setting, &["list", "--json"]);
        let list = lines(&ran.stdout);
        if totals(&list) == hits {
            break list;
        }
        assert!(totals(&list) < hits, "{list:#?}");
        assert!(
            began.elapsed() < PATIENCE,
            "{list:#?}\n{}",
            running.stderr.text()
        );
        thread::sleep(Duration::from_millis(50));
    };
    assert!(list.len() > 5);
    assert!(list.iter().all(|incident| incident["state"] == "open"));
    assert_eq!(listed(&setting, &["--open"]).len(), list.len());
    running.signal("KILL");
    let ran = running.wait();

    assert_eq!(totals(&listed(&setting, &[])), hits);
    let exported = said(&setting, &["export"]);
    let exported = alerts(&exported);
    // What the file was not yet given is in the database all the same.
    for (alert_id, alert) in alerts(&whole_lines(&ran.file("told.ndjson"))) {
        assert_eq!(exported.get(&alert_id), Some(&alert));
    }
    let of_incidents: BTreeSet<&str> = exported.values().map(id).collect();
    assert_eq!(of_incidents, list.iter().map(id).collect());
}

/// `text` up to the last newline: the process may have died in the middle of a line.
fn whole_lines(text: &str) -> String {
    let end = text.rfind('\n').map_or(0, |newline| newline + 1);
    text[..end].to_owned()
}

/// The recording, watched from its beginning to its end.
fn recorded() -> (Setting, Ran) {
    let setting = Setting::with(&durable());
    let ran = setting.watch(&[], &METADATA);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    (setting, ran)
}

#[test]
fn after_an_orderly_end_the_database_alone_is_the_whole() {
    let (setting, _) = recorded();
    let lists = listed(&setting, &[]);
    let left = fs::metadata(setting.path("data/baitline.db-wal")).map_or(0, |log| log.len());
    assert_eq!(left, 0);
    fs::create_dir(setting.path("copy")).expect("the directory is ours");
    fs::copy(
        setting.path("data/baitline.db"),
        setting.path("copy/baitline.db"),
    )
    .expect("it is there");
    let list = ["incidents", "list", "--json", "--data-dir", "copy"];
    let ran = setting.run(&list, b"");
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert!(!lists.is_empty() && lines(&ran.stdout) == lists);
}

#[test]
fn a_copy_without_its_log_is_told_to_be_one() {
    let setting = Setting::empty();
    fs::create_dir(setting.path("data")).expect("the directory is ours");
    setting.write("data/baitline.db", "");
    let ran = incidents(&setting, &["list"]);
    assert_eq!(ran.code, Some(1));
    assert!(ran.stderr.contains("is there, but empty"), "{}", ran.stderr);
    assert!(ran.stderr.contains(".backup"), "{}", ran.stderr);
}

#[test]
fn who_is_renamed_is_told_what_is_left_behind() {
    let (setting, ran) = recorded();
    assert!(
        !ran.stderr.contains("not in the configuration"),
        "{}",
        ran.stderr
    );
    let mut renamed = durable();
    let transforms = renamed["transforms"].as_object_mut().expect("a map");
    let incidents = transforms.remove("incidents").expect("it is there");
    transforms.insert("alarms".into(), incidents);
    for sink in renamed["sinks"]
        .as_object_mut()
        .expect("a map")
        .values_mut()
    {
        sink["inputs"] = json!(["alarms"]);
    }
    setting.write("renamed.json", renamed.to_string());
    let ran = setting.run(&["run", "--config", "renamed.json"], b"");
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert!(
        ran.stderr
            .contains("if it was renamed, give it its name back")
            && ran.stderr.contains("incidents"),
        "{}",
        ran.stderr
    );
}

#[test]
fn what_is_shown_and_exported_is_what_the_sinks_were_told() {
    let (setting, ran) = recorded();
    let told = alerts(&ran.file("told.ndjson"));
    let exported = said(&setting, &["export"]);
    assert_eq!(exported.lines().count(), told.len(), "each once");
    assert_eq!(alerts(&exported), told);

    let mut shown = BTreeMap::new();
    for incident in listed(&setting, &[]) {
        let short = &id(&incident)[..8];
        let json = said(&setting, &["show", short, "--json"]);
        let sequences: Vec<Value> = lines(&json)
            .iter()
            .map(|alert| alert["sequence"].clone())
            .collect();
        let wanted: Vec<Value> = (1..=sequences.len()).map(Value::from).collect();
        assert_eq!(sequences, wanted, "in the order in which it was told");
        assert_eq!(incident["alerts"], sequences.len());
        let text = said(&setting, &["show", &short.to_uppercase()]);
        let first = text.split("\n\n").next().expect("a text");
        assert!(ran.file("alert.txt").contains(first), "{text}");
        let names_itself = |line: &&str| {
            line.starts_with("  incident ") && line.contains(&format!(" {short}, alert "))
        };
        let count = text.lines().filter(names_itself).count();
        assert_eq!(count, sequences.len(), "{text}");
        assert!(!text.contains('\u{1b}'), "no colour in a pipe");
        shown.extend(alerts(&json));
    }
    assert_eq!(shown, told);
}

#[test]
fn the_table_has_a_line_for_each_incident_and_the_latest_last() {
    let (setting, _) = recorded();
    let table = said(&setting, &["list"]);
    let list = listed(&setting, &[]);
    let mut rows = table.lines();
    let heading = rows.next().expect("a heading");
    assert!(heading.starts_with("ID        SEVERITY  STATE"), "{table}");
    assert!(!heading.contains("CLUSTER"), "none is known");
    let mut last = String::new();
    for (row, incident) in rows.by_ref().zip(&list) {
        let word = |key: &str| incident[key].as_str().expect("a word").to_owned();
        for shown in [
            &word("incident_id")[..8],
            &word("severity"),
            &word("state"),
            &word("decoy"),
            &word("first_seen")[..19].replace('T', " "),
            &word("last_seen")[..19].replace('T', " "),
        ] {
            assert!(row.contains(shown), "{shown}: {row}");
        }
        let counts = [&incident["total"], &incident["alerts"]].map(Value::to_string);
        let cells: Vec<&str> = row.split_whitespace().collect();
        assert_eq!(cells[cells.len() - 2..], counts, "{row}");
        assert!(last <= word("last_seen"), "{table}");
        last = word("last_seen");
    }
    assert_eq!(table.lines().count(), list.len() + 1);
}

#[test]
fn an_incident_moves_to_the_end_with_each_hit() {
    let setting = Setting::with(&durable());
    let hits = [
        ("10.0.3.7", "17:21"),
        ("10.0.3.8", "17:22"),
        ("10.0.3.7", "17:23"),
    ];
    let hits = (1..).zip(hits).map(|(number, (address, minute))| {
        let time = format!("2026-11-23T{minute}:00.000000Z");
        let times = json!({"requestReceivedTimestamp": time, "stageTimestamp": time});
        token_use(number, address, times).to_string()
    });
    let mut running = setting.start_watch(&[]);
    running.write(&joined(hits));
    let began = Instant::now();
    loop {
        let ran = incidents(&setting, &["list", "--json"]);
        let totals: Vec<u64> = lines(&ran.stdout)
            .iter()
            .map(|incident| incident["total"].as_u64().expect("a number"))
            .collect();
        if totals == [1, 2] {
            break;
        }
        assert!(began.elapsed() < PATIENCE, "{}", ran.stdout);
        thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn filters_take_what_fits_and_say_if_nothing_does() {
    let mut configuration = durable();
    let till = json!({"service_account": "shop/till", "severity": "low"});
    configuration["decoys"]
        .as_array_mut()
        .expect("a list")
        .push(till);
    configuration["cluster"] = "prod-eu".into();
    let setting = Setting::with(&configuration);
    let recon = json!({
        "user": {"username": "jane"}, "verb": "get",
        "objectRef": {"resource": "serviceaccounts", "namespace": "shop", "name": "till"},
        "requestReceivedTimestamp": "2026-11-25T08:00:00.000000Z",
        "stageTimestamp": "2026-11-25T08:00:00.000000Z",
    });
    let events = [
        token_use(1, "10.0.3.7", json!({})),
        token_use(2, "10.0.3.8", recon),
    ];
    let ran = setting.watch(&[], &joined(events.map(|event| event.to_string())));
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);

    let (theft, recon) = ("honeypot/backup-sa", "shop/till");
    for (filter, wanted) in [
        (&[][..], &[theft, recon][..]),
        (&["--decoy", "shop/*"], &[recon]),
        (&["--decoy", "*"], &[theft, recon]),
        (&["--decoy", "honeypot"], &[]),
        (&["--severity", "critical"], &[theft]),
        (&["--severity", "medium"], &[theft, recon]),
        (&["--since", "2026-11-24"], &[recon]),
        (&["--since", "2026-11-23T17:21:08.912184Z"], &[theft, recon]),
        (&["--since", "2026-11-23T17:21:08.912185Z"], &[recon]),
        (&["--until", "2026-11-23"], &[theft]),
        (&["--until", "2026-11-22"], &[]),
        (&["--until", "2026-11-23 17:21:09"], &[theft]),
        (&["--since", "2026-11-25", "--decoy", "honeypot/*"], &[]),
        (&["--since", "10000d"], &[theft, recon]),
    ] {
        let ran = incidents(&setting, &[&["list", "--json"], filter].concat());
        assert_eq!(ran.code, Some(0));
        let decoys: Vec<String> = lines(&ran.stdout)
            .iter()
            .map(|incident| incident["decoy"].as_str().expect("a word").to_owned())
            .collect();
        assert_eq!(decoys, wanted, "{filter:?}");
        let nothing = if wanted.is_empty() {
            "no incident fits\n"
        } else {
            ""
        };
        assert_eq!(ran.stderr, nothing, "{filter:?}");

        let ran = incidents(&setting, &[&["export"], filter].concat());
        let exported = lines(&ran.stdout);
        let exported: BTreeSet<&str> = exported
            .iter()
            .map(|alert| alert["decoy"].as_str().expect("a word"))
            .collect();
        assert_eq!(exported, wanted.iter().copied().collect(), "{filter:?}");
        let table = incidents(&setting, &[&["list"], filter].concat());
        assert_eq!(table.stderr, nothing);
        assert_eq!(table.stdout.contains("prod-eu"), !wanted.is_empty());
    }
    let states = [["--open"], ["--closed"]].map(|filter| {
        let ran = incidents(&setting, &["list", "--json", filter[0]]);
        ran.stdout.lines().count()
    });
    assert_eq!(states.iter().sum::<usize>(), 2, "each is one of both");
}

#[test]
fn an_id_may_be_short_but_must_be_one_incidents() {
    let setting = Setting::with(&durable());
    // More than there are hexadecimal digits: two begin with the same.
    let hits = (1..=17)
        .map(|number| token_use(number, &format!("10.0.3.{number}"), json!({})).to_string());
    let ran = setting.watch(&[], &joined(hits));
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let list = listed(&setting, &[]);
    assert_eq!(list.len(), 17);
    let mut by_digit: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for incident in &list {
        by_digit
            .entry(&id(incident)[..1])
            .or_default()
            .push(id(incident));
    }
    let (digit, candidates) = by_digit
        .iter()
        .find(|(_, ids)| ids.len() > 1)
        .expect("two of 17");
    let ran = incidents(&setting, &["show", digit]);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(1), ""));
    let count = format!("{} incidents have an id that begins", candidates.len());
    assert!(ran.stderr.starts_with(&count), "{}", ran.stderr);
    for candidate in candidates {
        assert!(ran.stderr.contains(candidate), "{}", ran.stderr);
    }

    for unknown in ["xyz", "%", &"0".repeat(40), &format!("{}0", candidates[0])] {
        let ran = incidents(&setting, &["show", unknown]);
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(1), ""));
        let words = format!("no incident has an id that begins with {unknown:?}\n");
        assert_eq!(ran.stderr, words);
    }
}

#[test]
fn what_is_wrong_is_said_and_by_the_exit_code_too() {
    let setting = Setting::with(&configuration(decoy(true)));
    for (arguments, code, words) in [
        (&["list"][..], 78, "--data-dir <DIR>"),
        (&["show", "--data-dir", "data"], 78, "<ID>"),
        (&["list", "-c", "baitline.json"], 78, "has no data_dir"),
        (
            &["list", "-c", "none.json"],
            78,
            "none.json: cannot be read",
        ),
        (
            &["list", "--data-dir", "data", "--since", "x"],
            78,
            "a date (2026-11-23)",
        ),
        (
            &["list", "--data-dir", "data", "--decoy", "[a"],
            78,
            "--decoy <GLOB>",
        ),
        (
            &["list", "--data-dir", "data", "--severity", "bad"],
            78,
            "low, medium, high",
        ),
        (
            &["list", "--data-dir", "data", "--open", "--closed"],
            78,
            "cannot be used with",
        ),
        (&["list", "--data-dir", "data"], 1, "is this the data_dir?"),
        (
            &["show", "0", "--data-dir", "data"],
            1,
            "is this the data_dir?",
        ),
        (
            &["export", "--data-dir", "baitline.json"],
            1,
            "cannot use the data_dir",
        ),
    ] {
        let ran = setting.run(&[&["incidents"], arguments].concat(), b"");
        assert_eq!(ran.code, Some(code), "{arguments:?}: {}", ran.stderr);
        assert!(ran.stdout.is_empty());
        assert!(ran.stderr.contains(words), "{arguments:?}: {}", ran.stderr);
    }
    assert!(!setting.path("data").exists(), "to look makes nothing");

    fs::create_dir(setting.path("data")).expect("the directory is ours");
    setting.write("data/baitline.db", [b'x'; 5000]);
    let ran = incidents(&setting, &["list"]);
    assert_eq!(ran.code, Some(1));
    assert!(ran.stderr.contains("is damaged"), "{}", ran.stderr);
}

#[test]
fn an_empty_data_dir_has_no_incidents_and_the_configuration_names_it() {
    let setting = Setting::with(&durable());
    setting.watch(&[], b"");
    for verb in ["list", "export"] {
        let ran = setting.run(&["incidents", verb, "--config", "baitline.json"], b"");
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(0), ""));
        assert_eq!(ran.stderr, "no incidents yet\n");
    }
}

#[test]
fn a_reader_that_has_seen_enough_is_no_error() {
    let (setting, _) = recorded();
    for verb in ["list", "export"] {
        let (reader, writer) = pipe().expect("a pipe");
        drop(reader);
        let mut program = setting.program(&["incidents", verb, "--data-dir", "data"]);
        let ran = setting.start(program.stdout(writer)).end();
        assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));
    }
}
