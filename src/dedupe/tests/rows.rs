//! What is stored of the machine, row by row.

use serde_json::Value;

use super::stream::*;
use crate::{
    dedupe::{Change, Config, Dedupe, Part},
    detect::Technique,
};

fn noting(config: Config) -> Told {
    let mut told = Told::new(config);
    told.machine.note_changes();
    told
}

/// The only change of `part`.
fn only(changes: &[Change], part: Part) -> Value {
    let mut of_part = changes.iter().filter(|change| change.part == part);
    let change = of_part.next().unwrap();
    assert_eq!(of_part.next(), None);
    serde_json::from_str(change.value.as_deref().unwrap()).unwrap()
}

#[test]
fn readers_find_what_they_rely_on() {
    let mut told = noting(Config::default());
    let opened = told.apply(&hit("a", 0)).remove(0);
    told.apply(&hit("b", 1));
    let incident = only(&told.machine.changes(), Part::Incident);
    let expected = [
        ("id", Value::from(opened.incident_id.to_string())),
        ("key", Value::from(opened.incident_key.to_string())),
        ("decoy", Value::from("honeypot/backup-sa")),
        ("cluster", Value::Null),
        ("severity", Value::from("critical")),
        ("first_seen", Value::from("2026-11-18T11:06:40Z")),
        ("last_seen", Value::from("2026-11-18T11:06:41Z")),
        ("total", Value::from(2)),
        ("told", Value::from(1)),
        ("sequence", Value::from(1)),
    ];
    for (field, value) in expected {
        assert_eq!(incident.get(field), Some(&value), "{field}");
    }
    assert!(incident["schedule"].is_object());
    told.run_to(1000);
    let closed = only(&told.machine.changes(), Part::Incident);
    assert_eq!(closed.get("schedule"), Some(&Value::Null));
    assert_eq!(closed["told"], 2);
}

#[test]
fn a_flood_is_an_incident_too() {
    let mut told = noting(Config {
        threshold: 1,
        ..Config::default()
    });
    told.apply(&hit("a", 0));
    told.machine.changes();
    let opened = told.apply(&from(hit("b", 0), "10.0.0.2")).remove(0);
    let changes = told.machine.changes();
    let flood = only(&changes, Part::Flood);
    assert_eq!(flood["id"], opened.incident_id.to_string());
    assert_eq!(flood["total"], 1);
    assert_eq!(only(&changes, Part::FloodKeys).as_array().unwrap().len(), 1);
    assert!(changes.iter().all(|change| change.part != Part::Incident));
}

#[test]
fn each_part_has_its_key() {
    let mut told = noting(Config::default());
    let mut mint = of(by(hit("a", 0), "jane"), Technique::TokenRequest);
    mint.issued_credential_id = Some("JTI=a/b".to_owned());
    told.apply(&mint);
    let mut record = by(hit("r", 0), "jane");
    record.class = crate::detect::Class::Record;
    record.decoy = None;
    told.apply(&record);
    let keys: Vec<_> = told
        .machine
        .changes()
        .into_iter()
        .map(|change| format!("{} {}", change.part, change.key))
        .collect();
    assert_eq!(
        keys,
        [
            "scope 0",
            "serial last",
            "incident 1",
            "request 1",
            "touches 0/token_request",
            "minted 0/JTI=a/b",
            r#"records [null,"jane","10.0.3.7"]"#,
        ]
    );
}

#[test]
fn a_request_is_a_small_row() {
    let mut told = noting(Config::default());
    told.apply(&answered(hit("a", 0), 403));
    let changes = told.machine.changes();
    let request = changes.iter().find(|change| change.part == Part::Request);
    insta::assert_snapshot!(request.unwrap().value.as_deref().unwrap(), @r#"{"request":"ae6121c88ba555f64c3d812123eb799d","scope":0,"known":{"class":"detect","technique":"token_use","severity":"critical","code":403,"counted":{"incident":1,"row":0}}}"#);
}

#[test]
fn without_notes_there_are_no_changes() {
    let mut told = Told::new(Config::default());
    told.apply(&hit("a", 0));
    assert_eq!(told.machine.changes(), []);
    told.machine.note_changes();
    assert_eq!(told.machine.changes(), []);
    assert_eq!(told.tick(1), []);
    assert_eq!(told.machine.changes(), []);
    told.apply(&hit("b", 1));
    let parts: Vec<_> = told.machine.changes().iter().map(|it| it.part).collect();
    assert_eq!(parts, [Part::Incident, Part::Request]);
}

#[test]
fn a_thousand_hits_of_one_incident_write_it_once() {
    let mut told = noting(Config::default());
    for number in 0..1000 {
        told.apply(&hit(&number.to_string(), 0));
    }
    let changes = told.machine.changes();
    only(&changes, Part::Incident);
    only(&changes, Part::Serial);
    assert_eq!(changes.len(), 3 + 1000);
}

#[test]
fn a_hit_of_a_large_flood_writes_little() {
    let mut told = noting(Config {
        threshold: 1,
        window_secs: 1_000_000,
        ..Config::default()
    });
    for number in 0..20_000 {
        told.apply(&from(hit(&number.to_string(), 0), &number.to_string()));
    }
    told.machine.changes();
    told.apply(&from(hit("last", 0), "last"));
    let changes = told.machine.changes();
    let bytes = |change: &Change| change.value.as_ref().map_or(0, String::len);
    assert!(changes.iter().map(bytes).sum::<usize>() < 12_000);
}

#[test]
fn requests_that_are_pushed_out_are_deleted() {
    let mut told = noting(Config::default());
    for number in 0..65_536 {
        told.apply(&hit(&number.to_string(), 0));
    }
    told.machine.changes();
    told.apply(&hit("one more", 0));
    let changes = told.machine.changes();
    let requests = changes.iter().filter(|it| it.part == Part::Request);
    let requests: Vec<_> = requests.map(|it| (&*it.key, it.value.is_some())).collect();
    assert_eq!(requests, [("1", false), ("65537", true)]);
}

#[test]
fn the_ends_of_time_are_stored_exactly() {
    let mut told = noting(Config {
        idle_secs: u64::MAX,
        digest_secs: u64::MAX,
        ..Config::default()
    });
    for (name, time) in [("a", jiff::Timestamp::MIN), ("b", jiff::Timestamp::MAX)] {
        let mut extreme = hit(name, 0);
        extreme.time = time;
        told.apply(&extreme);
    }
    let rows = told.machine.changes();
    let mut restored = Dedupe::restore(Config::default(), rows.clone()).unwrap();
    let mut again = restored.dump();
    let by_key = |change: &Change| (change.part, change.key.clone());
    let mut rows = rows;
    rows.sort_by_key(by_key);
    again.sort_by_key(by_key);
    assert_eq!(rows, again);
}

/// What `change` does to the rows of two incidents and a flood makes them unreadable.
#[test]
fn what_contradicts_itself_is_told_with_part_and_key() {
    let cases: &[(Part, &str, &str, &str, &str)] = &[
        (
            Part::Incident,
            "1",
            r#""total":1"#,
            r#""total":2"#,
            "its techniques do not add up to its hits",
        ),
        (
            Part::Incident,
            "1",
            r#""told":1"#,
            r#""told":2"#,
            "it has told of more hits than there were",
        ),
        (
            Part::Incident,
            "1",
            r#""serial":1"#,
            r#""serial":9"#,
            "its serial number was never given out",
        ),
        (
            Part::Incident,
            "1",
            r#""serial":1"#,
            r#""serial":2"#,
            "its serial number is not its key",
        ),
        (
            Part::Incident,
            "1",
            r#""scope":0"#,
            r#""scope":7"#,
            "its scope is not that of its decoy",
        ),
        (
            Part::Incident,
            "2",
            r#""arrival":2"#,
            r#""arrival":1"#,
            "its arrival is that of another",
        ),
        (
            Part::Flood,
            "0",
            r#""serial":3"#,
            r#""serial":2"#,
            "another has its serial number",
        ),
        (
            Part::Serial,
            "last",
            "3",
            "9007199254740993",
            "a number is too large",
        ),
        (
            Part::Scope,
            "0",
            r#""decoy":"#,
            r#""toy":"#,
            "missing field `decoy` at line 1 column 43",
        ),
        (
            Part::Request,
            "1",
            r#""row":0"#,
            r#""row":1"#,
            "its incident has not counted it",
        ),
        (
            Part::Request,
            "1",
            "token_use",
            "recon",
            "its incident has not counted it",
        ),
        (
            Part::Request,
            "1",
            r#""incident":1"#,
            r#""incident":4"#,
            "its incident never was",
        ),
        (
            Part::Request,
            "1",
            r#""scope":0"#,
            r#""scope":1"#,
            "its scope is unknown",
        ),
    ];
    let mut told = noting(Config {
        threshold: 2,
        ..Config::default()
    });
    for source in ["10.0.0.1", "10.0.0.2", "10.0.0.3"] {
        told.apply(&from(hit(source, 0), source));
    }
    let rows = told.machine.changes();
    for &(part, key, before, after, reason) in cases {
        let mut changed = rows.clone();
        let row = changed
            .iter_mut()
            .find(|row| (row.part, &*row.key) == (part, key));
        let value = row.unwrap().value.as_mut().unwrap();
        assert!(value.contains(before), "{value}");
        *value = value.replacen(before, after, 1);
        let error = Dedupe::restore(Config::default(), changed).err();
        let error = error.unwrap_or_else(|| panic!("{part} {key}: {reason}"));
        assert_eq!(
            (error.part, &*error.key, &*error.reason),
            (part, key, reason)
        );
    }
}

#[test]
fn keys_that_are_no_keys_are_told() {
    let cases = [
        (Part::Scope, "1", "a number before it is missing"),
        (Part::Scope, "x", "its key is no number"),
        (
            Part::Incident,
            "01",
            "the number in its key is not written as it should be",
        ),
        (
            Part::Incident,
            "9007199254740993",
            "the number in its key is too large",
        ),
        (Part::Serial, "first", "there is no such key"),
        (Part::FloodKeys, "0", "its key has no slash"),
        (Part::FloodKeys, "0/0", "there is no such flood"),
        (Part::Touches, "0/recon", "its scope is unknown"),
    ];
    for (part, key, reason) in cases {
        let row = Change {
            part,
            key: key.to_owned(),
            value: Some("{}".to_owned()),
        };
        let error = Dedupe::restore(Config::default(), [row]).err().unwrap();
        assert_eq!(
            (error.part, &*error.key, &*error.reason),
            (part, key, reason)
        );
    }
}

#[test]
fn a_request_whose_incident_is_forgotten_stands() {
    let mut told = noting(Config::default());
    told.apply(&hit("a", 0));
    let mut rows = told.machine.changes();
    rows.retain(|row| row.part != Part::Incident);
    let mut restored = noting(Config::default());
    restored.machine = Dedupe::restore(Config::default(), rows).unwrap();
    assert_eq!(restored.apply(&answered(hit("a", 0), 200)), []);
}

#[test]
fn fields_of_a_newer_version_are_passed_over() {
    let mut told = noting(Config::default());
    told.apply(&hit("a", 0));
    let mut rows = told.machine.changes();
    for row in &mut rows {
        let value = row.value.as_mut().unwrap();
        *value = value.replacen('{', r#"{"newer":[1],"#, 1);
    }
    assert!(Dedupe::restore(Config::default(), rows).is_ok());
}
