//! The program is stopped at random instants and its data copied, as if it had died there: every copy is sound.

use std::{collections::BTreeSet, fs, path::Path, thread, time::Duration};

use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;

use super::{
    books::Books,
    files::{Writer, configuration},
    instance::Instance,
    kills,
    receiver::Receiver,
    stream::HIT,
};

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("the directory is ours");
    for entry in fs::read_dir(from).expect("it is there") {
        let entry = entry.expect("it can be read");
        let target = to.join(entry.file_name());
        if entry.file_type().expect("it can be read").is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).expect("there is room");
        }
    }
}

#[test]
fn a_copy_of_the_data_taken_at_any_instant_is_sound() {
    let directory = TempDir::new().expect("a temporary directory");
    let slack = Receiver::start(false);
    let mut baitline = Instance::new(directory.path(), &configuration(&slack.url()));
    let writer = Writer::start(directory.path());
    baitline.start();
    baitline.wait_until("the database", || {
        directory.path().join("data/baitline.db").exists()
    });
    for number in 0..kills() {
        thread::sleep(Duration::from_millis(fastrand::u64(5..300)));
        baitline.stand_still();
        let twin = directory.path().join(format!("copy-{number}"));
        copy(&directory.path().join("data"), &twin.join("data"));
        copy_files(directory.path(), &twin);
        baitline.signal(Signal::CONT);
        check_copy(&twin, &slack.url());
        // Each has all of the logs so far: a hundred would fill a disk.
        fs::remove_dir_all(&twin).expect("it is ours");
    }
    writer.end();
    baitline.end();
}

/// Copies the logs, which go on and are rotated meanwhile, and what the sinks wrote.
fn copy_files(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).expect("it is there").flatten() {
        let name = entry.file_name().into_string().expect("it is text");
        if name.starts_with("audit.log") || name.ends_with(".ndjson") {
            // It may have another name by now.
            let _ = fs::copy(entry.path(), to.join(name));
        }
    }
}

/// The auditIDs of the synthetic hits that stand in the logs, in whole lines.
fn logged_hits(directory: &Path) -> BTreeSet<String> {
    let mut hits = BTreeSet::new();
    for entry in fs::read_dir(directory).expect("it is there").flatten() {
        if !entry
            .file_name()
            .as_encoded_bytes()
            .starts_with(b"audit.log")
        {
            continue;
        }
        let text = fs::read_to_string(entry.path()).expect("it is text");
        let whole = &text[..text.rfind('\n').map_or(0, |newline| newline + 1)];
        let lines = whole.lines().filter(|line| line.contains(HIT));
        hits.extend(lines.map(|line| {
            let event: Value = serde_json::from_str(line).expect("a line is JSON");
            event["auditID"].as_str().expect("an id").to_owned()
        }));
    }
    hits
}

/// SQLite finds nothing wrong, baitline goes on from it, and what the logs hold is told.
fn check_copy(twin: &Path, slack: &str) {
    let database = rusqlite::Connection::open(twin.join("data/baitline.db")).expect("it opens");
    let verdict: String = database
        .query_row("PRAGMA integrity_check", [], |row| row.get(0))
        .expect("it can be checked");
    assert_eq!(verdict, "ok");
    drop(database);
    let mut configuration = configuration(slack);
    // It must not tell the real receiver what the original tells.
    let sinks = configuration["sinks"].as_object_mut().expect("a map");
    sinks.remove("slack");
    sinks.remove("http");
    let mut baitline = Instance::new(twin, &configuration);
    baitline.start();
    baitline.wait_until("its start", || baitline.log().contains("watching"));
    let logged = logged_hits(twin);
    let evidence = twin.join("evidence.ndjson");
    baitline.wait_until("every hit in the logs", || {
        let hits = Books::so_far(&evidence).hits();
        let told: BTreeSet<String> = hits.into_iter().map(|(audit_id, ..)| audit_id).collect();
        logged.is_subset(&told)
    });
    let told = twin.join("told.ndjson");
    baitline.wait_until("the end of every incident", || {
        Books::so_far(&told).all_closed()
    });
    assert_eq!(baitline.end(), Some(0), "{}", baitline.log());
    Books::of_file(&told).check_incidents("the copy");
    // What was torn was mended.
    Books::of_file(&evidence);
}
