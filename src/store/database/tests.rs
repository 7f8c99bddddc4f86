use std::{
    fs,
    os::unix::fs::PermissionsExt,
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
    time::Instant,
};

use rusqlite::Connection;

use super::{
    super::{BufferConfig, Message, Outgoing, Reader, Tally, WhenFull, history::History},
    *,
};
use crate::{
    audit::AlertId,
    dedupe::{AlertKind, Change, Part},
    format::example,
    source::{Position, Progress},
};

const PATIENCE: Duration = Duration::from_secs(30);

fn sink(id: &str) -> SinkOutbox {
    SinkOutbox {
        id: id.into(),
        buffer: BufferConfig {
            max_events: None,
            max_size: None,
            when_full: WhenFull::Block,
        },
    }
}

fn options(data_dir: &Path) -> Options {
    Options {
        data_dir: data_dir.to_owned(),
        retention: Duration::from_secs(86_400),
    }
}

/// Opens the store as soon as the one before has let go of it.
fn open_with(data_dir: &Path, sinks: &[SinkOutbox]) -> Opened {
    let start = Instant::now();
    loop {
        match open(&options(data_dir), sinks, Status::default()) {
            Err(Error::InUse { .. }) if start.elapsed() < PATIENCE => {
                std::thread::sleep(Duration::from_millis(5));
            }
            opened => return opened.unwrap(),
        }
    }
}

fn open_one(data_dir: &Path) -> (Store, Reader) {
    let mut opened = open_with(data_dir, &[sink("a")]);
    (opened.store, opened.readers.remove(0))
}

fn alert(sequence: u32) -> Message {
    let mut alert = example::opened();
    alert.sequence = sequence;
    alert.alert_id = AlertId::of(&[&sequence.to_be_bytes()]);
    alert.kind = AlertKind::Digest;
    Message::Alert(Arc::new(alert))
}

fn detection(code: u16) -> Message {
    let mut detection = example::detection();
    detection.request.code = Some(code);
    Message::Detection(Arc::new(detection))
}

/// To all of the first `sinks`.
fn messages(messages: impl IntoIterator<Item = Message>, sinks: usize) -> Commit {
    let outgoing = messages.into_iter().map(|message| Outgoing {
        message,
        sinks: (0..sinks).collect(),
    });
    Commit {
        messages: outgoing.collect(),
        ..Commit::default()
    }
}

async fn next(reader: &mut Reader) -> Option<Message> {
    tokio::time::timeout(PATIENCE, reader.next()).await.unwrap()
}

fn rows(data_dir: &Path, table: &str) -> u64 {
    let connection = Connection::open(file(data_dir)).unwrap();
    let count = format!("SELECT count(*) FROM {table}");
    connection.query_row(&count, [], |row| row.get(0)).unwrap()
}

/// As often as it takes to look at everything.
fn tidy(connection: &Connection, keep: Duration) {
    let mut retention = retention::Retention::new(keep);
    (0..3).for_each(|_| retention.step(connection).unwrap());
}

async fn until(condition: impl Fn() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < PATIENCE);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn what_waits_is_there_again_after_a_restart_and_alerts_come_first() {
    let folder = tempfile::tempdir().unwrap();
    let (store, reader) = open_one(folder.path());
    let all = [detection(1), alert(1), detection(2), alert(2)];
    store.commit(messages(all, 1)).await;
    store.close().await;
    drop((store, reader));

    let (store, mut reader) = open_one(folder.path());
    assert_eq!(
        store.waiting(0),
        Tally {
            alerts: 2,
            detections: 2
        }
    );
    store.commit(messages([alert(3)], 1)).await;
    store.close().await;
    for expected in [alert(1), alert(2), alert(3), detection(1), detection(2)] {
        assert_eq!(next(&mut reader).await, Some(expected));
    }
    assert_eq!(next(&mut reader).await, None);
}

#[tokio::test]
async fn what_is_done_is_gone_and_the_rest_comes_again() {
    let folder = tempfile::tempdir().unwrap();
    let (store, mut reader) = open_one(folder.path());
    store
        .commit(messages([alert(1), detection(1), detection(2)], 1))
        .await;
    for _ in 0..3 {
        next(&mut reader).await;
    }
    reader.done_first(2);
    store.close().await;
    drop((store, reader));

    let (store, mut reader) = open_one(folder.path());
    store.close().await;
    assert_eq!(next(&mut reader).await, Some(detection(2)));
    assert_eq!(next(&mut reader).await, None);
    assert_eq!(
        rows(folder.path(), "message"),
        2,
        "the alert is history, a detection waits"
    );
}

#[tokio::test]
async fn a_detection_stays_for_as_long_as_one_sink_waits_for_it() {
    let folder = tempfile::tempdir().unwrap();
    let mut opened = open_with(folder.path(), &[sink("a"), sink("b")]);
    opened.store.commit(messages([detection(1)], 2)).await;
    for (reader, left) in opened.readers.iter_mut().zip([1, 0]) {
        next(reader).await;
        reader.done();
        opened.store.close().await;
        assert_eq!(rows(folder.path(), "message"), left);
    }
}

#[tokio::test]
async fn far_more_than_a_window_comes_in_order_while_more_arrives() {
    let folder = tempfile::tempdir().unwrap();
    let (store, mut reader) = open_one(folder.path());
    for first in [0, 600, 1200] {
        store
            .commit(messages((first..first + 600).map(alert), 1))
            .await;
    }
    for expected in 0..900 {
        assert_eq!(next(&mut reader).await, Some(alert(expected)));
        if expected % 7 == 0 {
            reader.done();
        }
    }
    store.commit(messages((1800..2000).map(alert), 1)).await;
    store.close().await;
    for expected in 900..2000 {
        assert_eq!(next(&mut reader).await, Some(alert(expected)));
    }
    assert_eq!(next(&mut reader).await, None);
}

#[tokio::test]
async fn state_and_positions_come_back_as_they_were_last() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _reader) = open_one(folder.path());
    let change = |key: &str, value: Option<&str>| Change {
        part: Part::Incident,
        key: key.into(),
        value: value.map(str::to_owned),
    };
    let position = |key: &str, value: Option<&str>| Position {
        key: key.into(),
        value: value.map(str::to_owned),
    };
    let steps = [
        (
            vec![change("1", Some("{}")), change("2", Some("{}"))],
            position("f", Some("1")),
        ),
        (
            vec![change("1", Some("[]")), change("2", None)],
            position("f", Some("2")),
        ),
    ];
    for (changes, position) in steps {
        let progress = Progress {
            positions: vec![position],
            acknowledge: None,
        };
        let commit = Commit {
            state: vec![("incidents".into(), changes)],
            progress: vec![("audit".into(), progress)],
            ..Commit::default()
        };
        store.commit(commit).await;
    }
    store.close().await;
    drop((store, _reader));
    let saved = open_with(folder.path(), &[sink("a")]).saved;
    assert_eq!(saved.state["incidents"], [change("1", Some("[]"))]);
    assert_eq!(saved.positions["audit"], [position("f", Some("2"))]);
}

#[tokio::test]
async fn a_source_is_acknowledged_only_after_its_commit() {
    let folder = tempfile::tempdir().unwrap();
    let (store, mut reader) = open_one(folder.path());
    let path = folder.path().to_owned();
    let seen = Arc::new(AtomicUsize::new(usize::MAX));
    let at_acknowledgement = Arc::clone(&seen);
    let mut commit = messages([alert(1)], 1);
    let acknowledge = move || {
        at_acknowledgement.store(rows(&path, "delivery") as usize, Relaxed);
    };
    let progress = Progress {
        acknowledge: Some(Box::new(acknowledge)),
        ..Progress::default()
    };
    commit.progress.push(("audit".into(), progress));
    store.commit(commit).await;
    next(&mut reader).await;
    store.close().await;
    assert_eq!(seen.load(Relaxed), 1);
}

#[tokio::test]
async fn a_disk_that_is_full_blocks_and_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("baitline.db");
    let (writer, reader, status, full) = writer_on_a_small_disk(&path);
    let (acknowledged, commands) = (Arc::new(AtomicUsize::new(0)), writer);
    let mut reader = reader;
    for sequence in 0..50 {
        let count = Arc::clone(&acknowledged);
        let mut commit = messages([alert(sequence)], 1);
        let progress = Progress {
            acknowledge: Some(Box::new(move || {
                count.fetch_add(1, Relaxed);
            })),
            ..Progress::default()
        };
        commit.progress.push(("audit".into(), progress));
        commands.send(Command::Commit {
            commit,
            place: None,
        });
    }
    until(|| status.trouble().is_some()).await;
    assert_eq!(status.trouble().unwrap().reason, "the disk is full");
    assert!(acknowledged.load(Relaxed) < 50);
    full.store(0, Relaxed);
    until(|| acknowledged.load(Relaxed) == 50).await;
    assert_eq!(status.trouble(), None);
    for sequence in 0..50 {
        assert_eq!(next(&mut reader).await, Some(alert(sequence)));
    }
}

/// A writer whose database cannot grow until what is given back last is zero.
fn writer_on_a_small_disk(path: &Path) -> (Arc<Commands>, Reader, Status, Arc<AtomicUsize>) {
    let mut connection = schema::open(path).unwrap();
    let sinks = [sink("a")];
    let numbers = rows::number_sinks(&mut connection, &sinks).unwrap();
    let pages: i64 = connection
        .pragma_query_value(None, "page_count", |row| row.get(0))
        .unwrap();
    let is_full = Arc::new(AtomicUsize::new(1));
    let watched = Arc::clone(&is_full);
    connection
        .pragma_update_and_check(None, "max_page_count", pages + 4, |_| Ok(()))
        .unwrap();
    let outbox = Outbox::new(0, sinks[0].buffer, Arc::new(Notify::new()));
    let (sender, inbox) = std::sync::mpsc::channel();
    let commands = Arc::new(Commands(sender));
    let status = Status::default();
    let reader = outbox.reader(commands.clone());
    let folder = path.parent().unwrap();
    let mut writer = Writer::new(Parts {
        connection,
        numbers,
        outboxes: Arc::new([outbox]),
        status: status.clone(),
        retention: Duration::from_secs(1),
        commit_seconds: commit_seconds(),
        lock: Lock::take(folder).unwrap(),
    })
    .unwrap();
    writer.before_write(move |connection| {
        if watched.load(Relaxed) == 0 {
            let _ = connection.pragma_update_and_check(None, "max_page_count", 1 << 30, |_| Ok(()));
        }
    });
    std::thread::spawn(move || writer.run(&inbox));
    (commands, reader, status, is_full)
}

#[tokio::test]
async fn a_second_process_is_told_who_holds_the_directory() {
    let folder = tempfile::tempdir().unwrap();
    let _first = open_one(folder.path());
    let Err(error) = open(&options(folder.path()), &[], Status::default()) else {
        panic!("opened twice");
    };
    let process = format!("process {}", std::process::id());
    assert!(error.to_string().contains(&process), "{error}");
}

#[tokio::test]
async fn files_are_private() {
    let folder = tempfile::tempdir().unwrap();
    let data_dir = folder.path().join("new/data");
    let (store, _reader) = open_one(&data_dir);
    store.commit(messages([alert(1)], 1)).await;
    store.close().await;
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&data_dir), 0o700);
    let check = || {
        for entry in fs::read_dir(&data_dir).unwrap() {
            let path = entry.unwrap().path();
            assert_eq!(mode(&path), 0o600, "{}", path.display());
        }
    };
    check();
    drop((store, _reader));
    // As somebody may have copied it.
    let open = fs::Permissions::from_mode(0o644);
    fs::set_permissions(file(&data_dir), open).unwrap();
    let _opened = open_one(&data_dir);
    check();
}

fn fails_to_open(data_dir: &Path) -> String {
    match open(&options(data_dir), &[], Status::default()) {
        Ok(_) => panic!("it was opened"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn a_file_that_is_not_ours_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = file(folder.path());
    fs::write(&path, [b'x'; 5000]).unwrap();
    let error = fails_to_open(folder.path());
    assert!(
        error.contains("is damaged") && error.contains("move the data_dir away"),
        "{error}"
    );

    fs::remove_file(&path).unwrap();
    let other = Connection::open(&path).unwrap();
    other.execute_batch("CREATE TABLE t (x)").unwrap();
    drop(other);
    assert!(fails_to_open(folder.path()).contains("was not made by baitline"));
}

#[tokio::test]
async fn a_newer_schema_and_a_damaged_file_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    drop(open_one(folder.path()));
    let path = file(folder.path());
    // As soon as the writer has let go.
    drop(open_one(folder.path()));
    let connection = Connection::open(&path).unwrap();
    connection.pragma_update(None, "user_version", 99).unwrap();
    drop(connection);
    let error = wait_for_lock(folder.path());
    assert!(
        error.contains("newer baitline (schema 99, this one knows 1)"),
        "{error}"
    );

    let connection = Connection::open(&path).unwrap();
    connection.pragma_update(None, "user_version", 1).unwrap();
    connection
        .pragma_update(None, "journal_mode", "DELETE")
        .unwrap();
    drop(connection);
    let mut bytes = fs::read(&path).unwrap();
    bytes[4096..].fill(0xa5);
    fs::write(&path, bytes).unwrap();
    let error = wait_for_lock(folder.path());
    assert!(error.contains("is damaged"), "{error}");
}

fn wait_for_lock(data_dir: &Path) -> String {
    let start = Instant::now();
    loop {
        let error = fails_to_open(data_dir);
        if !error.contains("in use") || start.elapsed() > PATIENCE {
            return error;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[tokio::test]
async fn what_waits_for_a_sink_that_is_gone_is_kept_until_it_is_too_old() {
    let folder = tempfile::tempdir().unwrap();
    let opened = open_with(folder.path(), &[sink("a"), sink("b")]);
    opened.store.commit(messages([detection(1)], 2)).await;
    opened.store.close().await;
    drop(opened);
    drop(open_with(folder.path(), &[sink("renamed"), sink("b")]));
    let opened = open_with(folder.path(), &[sink("a")]);
    assert_eq!(opened.store.waiting(0).total(), 1, "it came back");
    drop(opened);

    // Whoever holds the database still may write when it is tidied.
    let last = open_with(folder.path(), &[sink("c")]);
    last.store.close().await;
    last.store.end().await;
    drop(last);
    let tidy = || {
        let connection = Connection::open(file(folder.path())).unwrap();
        let hour = Duration::from_secs(3600);
        tidy(&connection, hour);
        connection
    };
    let connection = tidy();
    assert_eq!(rows(folder.path(), "message"), 1, "too young");
    connection
        .execute(
            "UPDATE sink SET gone = '2020-01-01T00:00:00.000000Z' WHERE gone IS NOT NULL",
            [],
        )
        .unwrap();
    tidy();
    assert_eq!(rows(folder.path(), "message"), 0);
    assert_eq!(rows(folder.path(), "sink"), 1);
}

#[tokio::test]
async fn what_is_replayed_reaches_a_store_that_is_open() {
    let folder = tempfile::tempdir().unwrap();
    let (store, mut reader) = open_one(folder.path());
    store.commit(messages([alert(1)], 1)).await;
    assert_eq!(next(&mut reader).await, Some(alert(1)));
    reader.done();
    let path = folder.path().to_owned();
    let replaying =
        tokio::task::spawn_blocking(move || replay(&path, "a", &[alert(2), detection(1)]));
    replaying.await.unwrap().unwrap();
    assert_eq!(next(&mut reader).await, Some(alert(2)));
    assert_eq!(next(&mut reader).await, Some(detection(1)));
    store.commit(messages([alert(3)], 1)).await;
    assert_eq!(next(&mut reader).await, Some(alert(3)));
    let error = replay(folder.path(), "b", &[]).unwrap_err();
    assert!(error.to_string().contains("no sink \"b\""), "{error}");
}

/// What `reader` is given until `count` messages are done, in the order of coming.
async fn deliver(reader: &mut Reader, count: usize) -> Vec<Message> {
    let mut given = Vec::new();
    while given.len() < count {
        given.extend(next(reader).await);
        reader.done();
    }
    given
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_replayed_while_others_commit_is_delivered_once() {
    let folder = tempfile::tempdir().unwrap();
    let (store, mut reader) = open_one(folder.path());
    // So that a replay falls between what a commit looks at and what it writes.
    let path = folder.path().to_owned();
    let replaying = tokio::task::spawn_blocking(move || {
        for sequence in 1000..1200 {
            replay(&path, "a", &[alert(sequence), detection(1)]).unwrap();
        }
    });
    let committing = tokio::spawn(async move {
        for sequence in 0..1000 {
            store.commit(messages([alert(sequence)], 1)).await;
        }
        store
    });
    let given = deliver(&mut reader, 1400).await;
    replaying.await.unwrap();
    let store = committing.await.unwrap();
    store.close().await;
    assert_eq!(next(&mut reader).await, None, "each once");
    let sequences: std::collections::BTreeSet<u32> = given
        .iter()
        .filter_map(|message| match message {
            Message::Alert(alert) => Some(alert.sequence),
            Message::Detection(_) => None,
        })
        .collect();
    assert_eq!(sequences, (0..1200).collect());
    until(|| rows(folder.path(), "delivery") == 0).await;
}

#[tokio::test]
async fn a_store_that_is_never_idle_is_tidied() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _reader) = open_one(folder.path());
    store.commit(messages([alert(1)], 0)).await;
    store.close().await;
    let connection = Connection::open(file(folder.path())).unwrap();
    let told = "UPDATE incident SET told = '2020-01-01T00:00:00.000000Z'";
    connection.execute(told, []).unwrap();
    let deadline = std::time::Instant::now() + Duration::from_secs(20);
    while rows(folder.path(), "incident") > 0 {
        assert!(std::time::Instant::now() < deadline, "nothing is tidied");
        store.commit(messages([detection(1)], 1)).await;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test]
async fn nothing_waits_for_a_sink_that_is_released() {
    let folder = tempfile::tempdir().unwrap();
    let mut opened = open_with(folder.path(), &[sink("a"), sink("b")]);
    let (store, b) = (opened.store, opened.readers.remove(1));
    let both = || messages([alert(1), detection(1)], 2);
    store.commit(both()).await;
    until(|| rows(folder.path(), "delivery") == 4).await;
    b.release();
    until(|| rows(folder.path(), "delivery") == 2).await;
    store.commit(both()).await;
    until(|| rows(folder.path(), "delivery") == 4).await;
    assert_eq!(
        (store.waiting(1), store.waiting_bytes(1)),
        (Tally::default(), 0)
    );
    assert_eq!(store.dropped(1).total(), 2, "what came afterwards");
    deliver(&mut opened.readers[0], 4).await;
    until(|| rows(folder.path(), "message") == 2).await;
}

#[tokio::test]
async fn old_incidents_are_forgotten_unless_a_sink_still_waits() {
    let folder = tempfile::tempdir().unwrap();
    let (store, mut reader) = open_one(folder.path());
    store.commit(messages([alert(1)], 0)).await;
    store.commit(messages([alert(2)], 1)).await;
    store.close().await;
    let connection = Connection::open(file(folder.path())).unwrap();
    let mut retention = retention::Retention::new(Duration::from_secs(3600));
    retention.step(&connection).unwrap();
    assert_eq!(rows(folder.path(), "incident"), 1, "too young");
    connection
        .execute(
            "UPDATE incident SET told = '2020-01-01T00:00:00.000000Z'",
            [],
        )
        .unwrap();
    tidy(&connection, Duration::from_secs(3600));
    assert_eq!(rows(folder.path(), "incident"), 0);
    assert_eq!(rows(folder.path(), "message"), 1);
    assert_eq!(next(&mut reader).await, Some(alert(2)));
    reader.done();
    until(|| rows(folder.path(), "delivery") == 0).await;
    tidy(&connection, Duration::from_secs(3600));
    assert_eq!(rows(folder.path(), "message"), 0);
}

#[tokio::test]
async fn the_file_shrinks_when_a_backlog_was_delivered() {
    let folder = tempfile::tempdir().unwrap();
    let (store, mut reader) = open_one(folder.path());
    for _ in 0..10 {
        store.commit(messages((0..1500).map(detection), 1)).await;
    }
    store.close().await;
    while next(&mut reader).await.is_some() {}
    let pages = |name| {
        let connection = Connection::open(file(folder.path())).unwrap();
        connection
            .pragma_query_value(None, name, |row| row.get::<_, i64>(0))
            .unwrap()
    };
    let before = pages("page_count");
    reader.done();
    until(|| pages("page_count") < before / 2).await;
}

#[tokio::test]
async fn the_history_tells_what_was_told() {
    let folder = tempfile::tempdir().unwrap();
    let missing = History::open(folder.path()).err().unwrap();
    assert!(missing.to_string().contains("is this the data_dir?"));
    let (store, _reader) = open_one(folder.path());
    store.commit(messages([alert(1), alert(2)], 1)).await;
    store.close().await;
    let history = History::open(folder.path()).unwrap();
    let incidents = history.incidents(&Default::default()).unwrap();
    let [incident] = &incidents[..] else {
        panic!("{incidents:?}");
    };
    assert_eq!((incident.alerts, incident.is_open), (2, true));
    assert_eq!(history.find(&incident.id[..6]).unwrap(), incidents);
    let alerts = history.alerts(&incident.id).unwrap();
    let alerts: Vec<Message> = alerts
        .into_iter()
        .map(|alert| Message::Alert(Arc::new(alert)))
        .collect();
    assert_eq!(alerts, [alert(1), alert(2)]);
}
