use std::{
    collections::BTreeSet, os::unix::fs::PermissionsExt, sync::Mutex, thread, time::Duration,
};

use proptest::prelude::*;
use tempfile::TempDir;
use tokio::time::timeout;

use super::*;
use crate::{
    format::{arbitrary, example},
    store::{BufferConfig, Opened, Options, SinkOutbox, WhenFull, open},
    telemetry::Status,
};

fn letters(folder: &TempDir) -> DeadLetters {
    DeadLetters::new(folder.path(), "slack".into())
}

fn alert(number: usize) -> Message {
    let mut alert = example::opened();
    alert.title = format!("number {number}");
    alert.alert_id = crate::audit::AlertId::of(&[&number.to_be_bytes()]);
    Message::Alert(Arc::new(alert))
}

fn read(letters: &DeadLetters) -> Vec<Entry> {
    let mut entries = Vec::new();
    letters.read(|entry, _| entries.push(entry)).unwrap();
    entries
}

fn messages(letters: &DeadLetters) -> Vec<Message> {
    let message = |entry| match entry {
        Entry::Letter(letter) => letter.message,
        Entry::Damaged { line, reason } => panic!("{line}: {reason}"),
    };
    read(letters).into_iter().map(message).collect()
}

fn append(letters: &DeadLetters, text: &str) {
    let mut file = OpenOptions::new()
        .append(true)
        .open(letters.path())
        .unwrap();
    file.write_all(text.as_bytes()).unwrap();
}

fn open_store(folder: &TempDir) -> Opened {
    let options = Options {
        data_dir: folder.path().into(),
        retention: Duration::from_secs(86_400),
    };
    let sink = SinkOutbox {
        id: "slack".into(),
        buffer: BufferConfig {
            max_events: None,
            max_size: None,
            when_full: WhenFull::Block,
        },
    };
    open(&options, &[sink], Status::default()).unwrap()
}

#[test]
fn a_letter_has_time_sink_reason_and_message_and_is_private() {
    let folder = TempDir::new().unwrap();
    let letters = letters(&folder);
    assert_eq!(read(&letters), []);
    let before = Timestamp::now();
    letters.bury(&alert(1), "400 \u{202e}").unwrap();
    letters.bury(&alert(2), "413").unwrap();
    let text = fs::read_to_string(letters.path()).unwrap();
    assert!(text.ends_with("}\n") && text.lines().count() == 2);
    let line: serde_json::Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
    assert_eq!(
        (&line["sink"], &line["message"]["type"]),
        (&"slack".into(), &"alert".into())
    );
    let Entry::Letter(first) = &read(&letters)[0] else {
        panic!("it is whole")
    };
    assert_eq!(
        (&*first.reason, &first.message),
        ("400 \u{202e}", &alert(1))
    );
    assert!(first.time.duration_since(before).abs() < jiff::SignedDuration::from_mins(1));
    for (name, mode) in [("", 0o700), ("slack.ndjson", 0o600), ("slack.lock", 0o600)] {
        let path = folder.path().join("dead-letters").join(name);
        let permissions = fs::metadata(path).unwrap().permissions();
        assert_eq!(permissions.mode() & 0o777, mode, "{name}");
    }
}

#[test]
fn a_letter_that_a_crash_left_half_written_is_cut_off_first() {
    let folder = TempDir::new().unwrap();
    let letters = letters(&folder);
    letters.bury(&alert(1), "a").unwrap();
    let whole = fs::read_to_string(letters.path()).unwrap();
    append(&letters, &whole[..whole.len() / 2]);
    assert!(matches!(read(&letters)[1], Entry::Damaged { line: 2, .. }));
    letters.bury(&alert(2), "b").unwrap();
    assert_eq!(messages(&letters), [alert(1), alert(2)]);
    // An editor may leave the last newline out.
    append(&letters, whole.trim_end());
    letters.bury(&alert(3), "c").unwrap();
    assert_eq!(messages(&letters), [alert(1), alert(2), alert(1), alert(3)]);
}

#[test]
fn what_cannot_be_written_is_an_error_and_leaves_nothing_half_done() {
    let folder = TempDir::new().unwrap();
    let letters = letters(&folder);
    let in_the_way = folder.path().join("dead-letters");
    fs::write(&in_the_way, "").unwrap();
    letters.bury(&alert(1), "a").unwrap_err();
    fs::remove_file(&in_the_way).unwrap();
    make_folder(folder.path()).unwrap();
    std::os::unix::fs::symlink("/dev/full", letters.path()).unwrap();
    let error = letters.bury(&alert(1), "a").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::StorageFull);
}

#[tokio::test]
async fn what_is_wanted_goes_back_to_the_outbox_and_the_rest_stays() {
    let folder = TempDir::new().unwrap();
    let letters = letters(&folder);
    let mut opened = open_store(&folder);
    assert_eq!(letters.replay(|_| true).unwrap(), Replayed::default());
    for number in 1..=3 {
        letters.bury(&alert(number), "a").unwrap();
    }
    append(&letters, "damaged\n");
    let came_to = letters.replay(|letter| letter.message == alert(2)).unwrap();
    let expected = Replayed {
        replayed: 1,
        left: 2,
        damaged: 1,
    };
    assert_eq!(came_to, expected);
    let left = read(&letters);
    assert!(matches!(&left[0], Entry::Letter(letter) if letter.message == alert(1)));
    assert!(matches!(&left[1], Entry::Letter(letter) if letter.message == alert(3)));
    assert!(matches!(left[2], Entry::Damaged { line: 3, .. }));
    assert_eq!(opened.readers[0].next().await, Some(alert(2)));
    // Nothing that is not there can be wanted, and nothing is left behind.
    assert_eq!(letters.replay(|_| false).unwrap().left, 2);
    let mut names: Vec<_> = fs::read_dir(folder.path().join("dead-letters"))
        .unwrap()
        .map(|file| file.unwrap().file_name())
        .collect();
    names.sort();
    assert_eq!(names, ["slack.lock", "slack.ndjson"]);
}

#[test]
fn a_file_of_which_all_is_replayed_goes() {
    let folder = TempDir::new().unwrap();
    let letters = letters(&folder);
    let _opened = open_store(&folder);
    letters.bury(&alert(1), "a").unwrap();
    assert_eq!(DeadLetters::all(folder.path()).unwrap()[0].sink(), "slack");
    assert_eq!(letters.replay(|_| true).unwrap().replayed, 1);
    assert!(!letters.path().exists());
    assert!(DeadLetters::all(folder.path()).unwrap().is_empty());
}

#[test]
fn letters_of_a_sink_that_no_outbox_is_for_stay() {
    let folder = TempDir::new().unwrap();
    let _opened = open_store(&folder);
    let letters = DeadLetters::new(folder.path(), "other".into());
    letters.bury(&alert(1), "a").unwrap();
    let error = letters.replay(|_| true).unwrap_err().to_string();
    assert!(error.contains("no sink \"other\""), "{error}");
    assert_eq!(messages(&letters), [alert(1)]);
    let elsewhere = TempDir::new().unwrap();
    assert!(DeadLetters::all(elsewhere.path()).is_err());
}

#[tokio::test]
async fn what_is_buried_while_others_are_replayed_is_not_lost() {
    const LETTERS: usize = 60;
    let folder = TempDir::new().unwrap();
    let mut opened = open_store(&folder);
    let letters = letters(&folder);
    let all_buried = Mutex::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            for number in 0..LETTERS {
                letters.bury(&alert(number), "a").unwrap();
            }
            *all_buried.lock().unwrap() = true;
        });
        while !*all_buried.lock().unwrap() {
            letters.replay(|_| true).unwrap();
        }
    });
    letters.replay(|_| true).unwrap();
    let mut seen = BTreeSet::new();
    for _ in 0..LETTERS {
        let next = timeout(Duration::from_secs(10), opened.readers[0].next());
        seen.insert(next.await.expect("it is not lost").unwrap().id());
    }
    assert_eq!(seen.len(), LETTERS);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn any_message_comes_back_as_it_was(
        alert in arbitrary::alert(),
        detection in arbitrary::detection(),
        reason in any::<String>(),
    ) {
        let folder = TempDir::new().unwrap();
        let letters = letters(&folder);
        let buried = [Message::Alert(Arc::new(alert)), Message::Detection(Arc::new(detection))];
        for message in &buried {
            letters.bury(message, &reason).unwrap();
        }
        prop_assert_eq!(messages(&letters), buried);
    }
}
