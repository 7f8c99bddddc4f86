use std::sync::{Arc, atomic::Ordering::Relaxed};

use tempfile::TempDir;
use tokio::{task::JoinHandle, time::timeout};

use super::*;
use crate::{
    sink::{
        Counters,
        tests::{BUFFER, Log, PATIENCE, alert, delivery, detection},
    },
    store::{DeadLetters, Writer},
};

fn config(path: &Path) -> Config {
    Config {
        path: path.to_str().unwrap().into(),
        codec: Codec::Text,
        buffer: BUFFER,
    }
}

fn start(path: &Path) -> (Writer, Arc<Counters>, JoinHandle<Report>) {
    let (outbox, counters, _, delivery) = delivery();
    (outbox, counters, tokio::spawn(run(config(path), delivery)))
}

/// Delivers `title` and waits until it is written.
async fn deliver(outbox: &Writer, title: &str) {
    outbox.push(alert(title));
    let written = async {
        while outbox.waiting().total() > 0 {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, written).await.unwrap();
}

fn titles(path: &Path) -> Vec<String> {
    let text = fs::read_to_string(path).unwrap();
    let lines = text
        .lines()
        .filter_map(|line| line.strip_prefix("CRITICAL opened: "));
    lines
        .map(|line| line.split(' ').next().unwrap().into())
        .collect()
}

#[tokio::test]
async fn it_appends_to_a_private_file_in_new_folders() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("a/b/alert.txt");
    let (outbox, _, sink) = start(&path);
    deliver(&outbox, "one").await;
    deliver(&outbox, "two").await;
    outbox.close();
    assert_eq!(
        timeout(PATIENCE, sink).await.unwrap().unwrap().ending,
        Ending::Drained
    );
    assert_eq!(titles(&path), ["one", "two"]);
    assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.ends_with("\n\n") && !text.contains('\x1b'));
}

#[tokio::test]
async fn a_file_that_is_rotated_away_or_deleted_is_opened_anew() {
    let folder = TempDir::new().unwrap();
    let (path, rotated) = (
        folder.path().join("alert.txt"),
        folder.path().join("alert.txt.1"),
    );
    let (outbox, _, _sink) = start(&path);
    deliver(&outbox, "one").await;
    fs::rename(&path, &rotated).unwrap();
    deliver(&outbox, "two").await;
    assert_eq!(
        (titles(&rotated), titles(&path)),
        (vec!["one".into()], vec!["two".into()])
    );
    fs::remove_file(&path).unwrap();
    deliver(&outbox, "three").await;
    assert_eq!(titles(&path), ["three"]);
    // As logrotate's `create` does it: the new file is there before the sink looks.
    fs::rename(&path, &rotated).unwrap();
    fs::write(&path, "").unwrap();
    deliver(&outbox, "four").await;
    assert_eq!(
        (titles(&rotated), titles(&path)),
        (vec!["three".into()], vec!["four".into()])
    );
}

#[tokio::test]
async fn a_torn_last_line_is_ended_first() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("alert.txt");
    fs::write(&path, "torn").unwrap();
    let (outbox, _, _sink) = start(&path);
    deliver(&outbox, "whole").await;
    assert!(
        fs::read_to_string(&path)
            .unwrap()
            .starts_with("torn\nCRITICAL opened: whole ")
    );
}

#[tokio::test]
async fn half_a_message_is_cut_off_where_it_comes_again() {
    for codec in [Codec::Json, Codec::Text] {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("told");
        let config = Config {
            codec,
            ..config(&path)
        };
        let (mut whole, mut half) = (Vec::new(), Vec::new());
        codec.encode(&alert("whole"), Style::Plain, &mut whole);
        codec.encode(&alert("half"), Style::Plain, &mut half);
        let torn = &half[..half.len() - 100];
        fs::write(&path, [&whole, torn].concat()).unwrap();
        let (outbox, _, _, mut delivery) = delivery();
        delivery.dead_letters = Some(DeadLetters::new(folder.path(), "under_test".into()));
        outbox.push(alert("half"));
        outbox.close();
        run(config, delivery).await;
        assert_eq!(fs::read(&path).unwrap(), [whole, half.clone()].concat());
    }
}

#[test]
fn a_batch_is_on_the_disk_when_it_is_written() {
    let folder = TempDir::new().unwrap();
    let mut appender = Appender {
        id: "under_test".into(),
        path: folder.path().join("a/told").to_str().unwrap().into(),
        may_cut: None,
        file: None,
    };
    appender.write(&mut Batch::of(b"one\n")).unwrap();
    let file = appender.file.as_mut().unwrap();
    assert!(file.is_regular && !file.is_dirty);

    // Nor is what went to a file that was taken away in the middle.
    file.is_dirty = true;
    fs::remove_file(folder.path().join("a/told")).unwrap();
    appender.write(&mut Batch::of(b"two\n")).unwrap();
    assert_eq!(fs::read(folder.path().join("a/told")).unwrap(), b"two\n");
    assert!(!appender.file.unwrap().is_dirty);
}

#[test]
fn a_message_of_which_half_was_truncated_away_is_begun_again() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("told");
    let mut appender = Appender {
        id: "under_test".into(),
        path: path.to_str().unwrap().into(),
        may_cut: None,
        file: None,
    };
    for (is_truncated, wanted) in [(false, "one\nwhole\n"), (true, "whole\n")] {
        fs::write(&path, "").unwrap();
        appender.write(&mut Batch::of(b"one\n")).unwrap();
        // The disk is full in the middle of the next one.
        let mut batch = Batch::of(b"whole\n");
        let file = appender.file.as_mut().unwrap();
        file.file.write_all(b"who").unwrap();
        batch.advance(3);
        if is_truncated {
            fs::write(&path, "").unwrap();
        }
        appender.write(&mut batch).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), wanted);
    }
}

#[tokio::test]
async fn json_goes_to_the_file_of_the_day() {
    let folder = TempDir::new().unwrap();
    let template = folder.path().join("alerts-%Y-%m-%d.json");
    let (outbox, _, _, delivery) = delivery();
    outbox.push(detection());
    outbox.close();
    let before = Timestamp::now();
    run(
        Config {
            codec: Codec::Json,
            ..config(&template)
        },
        delivery,
    )
    .await;
    let days = [before, Timestamp::now()].map(|time| time.strftime("%Y-%m-%d").to_string());
    let written = days
        .iter()
        .find_map(|day| fs::read_to_string(folder.path().join(format!("alerts-{day}.json"))).ok());
    assert!(
        written
            .unwrap()
            .starts_with("{\"type\":\"detection\",\"schema\":1,")
    );
}

#[test]
fn what_is_no_strftime_is_an_error() {
    let time = "2026-11-23T17:21:08Z".parse().unwrap();
    assert_eq!(
        path_at("a-%Y%m%d-%H.txt", time).unwrap(),
        Path::new("a-20261123-17.txt")
    );
    assert!(path_at("100%!.txt", time).is_err());
}

#[tokio::test]
async fn a_full_disk_is_said_once_and_loses_nothing() {
    let (log, _guard) = Log::capture();
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("alert.txt");
    std::os::unix::fs::symlink("/dev/full", &path).unwrap();
    let (outbox, counters, _, delivery) = delivery();
    let status = delivery.status.clone();
    let sink = tokio::spawn(run(config(&path), delivery));
    outbox.push(alert("kept"));
    let tried = async {
        while counters.retried.load(Relaxed) < 3 {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, tried).await.unwrap();
    assert_eq!(outbox.waiting().alerts, 1);
    let trouble = status.trouble().unwrap();
    assert!(
        !trouble.is_lasting && trouble.reason.contains("alert.txt"),
        "{trouble:?}"
    );
    fs::remove_file(&path).unwrap();
    outbox.close();
    assert_eq!(
        timeout(PATIENCE, sink).await.unwrap().unwrap().left.total(),
        0
    );
    assert_eq!(titles(&path), ["kept"]);
    assert_eq!(status.trouble(), None);
    assert_eq!(
        log.text().matches("cannot write").count(),
        1,
        "{}",
        log.text()
    );
    assert!(log.text().contains("alert.txt") && log.text().contains("writes again"));
}
