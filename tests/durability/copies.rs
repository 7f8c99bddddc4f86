//! The program is stopped at random instants and its data copied, as if it had died there: every copy is sound.

use std::{fs, path::Path, thread, time::Duration};

use rustix::process::Signal;
use tempfile::TempDir;

use super::{
    books::Books,
    files::{Writer, configuration},
    instance::Instance,
    kills,
    receiver::Receiver,
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
        baitline.signal(Signal::STOP);
        let twin = directory.path().join(format!("copy-{number}"));
        copy(&directory.path().join("data"), &twin.join("data"));
        for name in ["told.ndjson", "evidence.ndjson"] {
            let _ = fs::copy(directory.path().join(name), twin.join(name));
        }
        baitline.signal(Signal::CONT);
        check_copy(&twin, &slack.url());
    }
    writer.end();
    baitline.end();
}

/// SQLite finds nothing wrong, and baitline goes on from it.
fn check_copy(twin: &Path, slack: &str) {
    let database = rusqlite::Connection::open(twin.join("data/baitline.db")).expect("it opens");
    let verdict: String = database
        .query_row("PRAGMA integrity_check", [], |row| row.get(0))
        .expect("it can be checked");
    assert_eq!(verdict, "ok");
    drop(database);
    let mut configuration = configuration(slack);
    // It must not tell the real receiver what the original tells.
    configuration["sinks"]
        .as_object_mut()
        .expect("a map")
        .remove("slack");
    let mut baitline = Instance::new(twin, &configuration);
    baitline.start();
    baitline.wait_until("its start", || baitline.log().contains("watching"));
    let told = twin.join("told.ndjson");
    baitline.wait_until("the end of every incident", || {
        Books::of_file(&told).all_closed()
    });
    assert_eq!(baitline.end(), Some(0), "{}", baitline.log());
    Books::of_file(&told).check_incidents("the copy");
}
