//! What is named on the command line, and what is found there.

use std::{
    fs,
    os::unix::fs::symlink,
    process::Command,
    thread,
    time::{Duration, SystemTime},
};

use serde_json::json;

use super::{
    super::{
        harness::Setting,
        inputs::{joined, token_use},
        told::Told,
    },
    gzip, hit, scan, told,
};

/// What tells no time counts as written when its file was, whichever way that comes.
#[test]
fn a_file_on_standard_input_tells_when_it_was_written() {
    let setting = Setting::empty();
    let mut event = token_use(1, "10.0.3.7", json!({}));
    for key in ["requestReceivedTimestamp", "stageTimestamp"] {
        event.as_object_mut().expect("an object").remove(key);
    }
    setting.write("log", joined([event.to_string()]));
    let file = fs::File::open(setting.path("log")).expect("it is there");
    let written = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
    file.set_modified(written).expect("it is ours");
    let mut program = setting.program(&["scan", "--json", "-"]);
    let ran = setting.start(program.stdin(file)).wait();
    assert_eq!(ran.code, Some(2), "{}", ran.stderr);
    let told = Told::read(&ran.stdout);
    assert_eq!(told.detections[0]["time"], "2023-11-14T22:13:20.000000Z");
}

#[test]
fn a_directory_is_read_whole_and_in_order() {
    let setting = Setting::empty();
    fs::create_dir_all(setting.path("logs/2026/11")).expect("the directory is ours");
    setting.write("logs/b.log", hit(2, "2026-11-23T17:00:02Z"));
    setting.write("logs/2026/11/.hidden", hit(1, "2026-11-23T17:00:01Z"));
    // The same hit again, as a rotation that was copied has it.
    setting.write("logs/2026/11/z.gz", gzip(&hit(3, "2026-11-23T17:00:03Z")));
    setting.write("logs/a.log", hit(3, "2026-11-23T17:00:03Z"));
    symlink("../b.log", setting.path("logs/2026/link")).expect("the directory is ours");
    symlink("..", setting.path("logs/2026/loop")).expect("the directory is ours");
    let fifo = Command::new("mkfifo")
        .arg(setting.path("logs/fifo"))
        .status();
    assert!(fifo.expect("there is mkfifo").success());
    let told = told(&setting, &["logs"]);
    let positions: Vec<_> = told
        .detections
        .iter()
        .map(|detection| {
            detection["origin"]["position"]
                .as_str()
                .expect("a position")
        })
        .collect();
    let wanted = [
        "logs/2026/11/.hidden:0",
        "logs/2026/link:0",
        "logs/2026/11/z.gz:0",
        "logs/a.log:0",
    ];
    assert_eq!(positions, wanted);
    assert_eq!(told.count(), 3, "a repetition counts once");
    told.check_alerts();

    let by_glob = scan(&setting, &["logs/*.log"]);
    assert_eq!(by_glob.code, Some(2), "{}", by_glob.stderr);
    let none = scan(&setting, &["logs/*.zst", "logs/a.log"]);
    assert_eq!(none.code, Some(1));
    assert!(
        none.stderr
            .contains("logs/*.zst: there is no such file, and as a pattern it matches nothing"),
        "{}",
        none.stderr
    );
    assert!(
        none.stdout.contains("opened"),
        "the other is searched all the same"
    );
}

#[test]
fn an_empty_directory_is_an_error_only_where_it_is_named() {
    let setting = Setting::empty();
    fs::create_dir_all(setting.path("logs/empty/2026")).expect("the directory is ours");
    fs::create_dir_all(setting.path("logs/full")).expect("the directory is ours");
    setting.write("logs/full/a.log", hit(1, "2026-11-23T17:00:00Z"));
    let said = "logs/empty: there is no file in it";
    for (path, code, level) in [
        ("logs/*", 2, "INFO"),
        ("logs/empty", 1, "ERROR"),
        ("logs/emp*", 1, "INFO"),
    ] {
        let ran = scan(&setting, &[path]);
        assert_eq!(ran.code, Some(code), "{}", ran.stderr);
        let line = format!("{level} {said}");
        assert!(ran.stderr.contains(&line), "{}", ran.stderr);
        assert!(
            ran.stderr
                .contains(if code == 2 { " hits=1 " } else { " hits=0 " }),
            "{}",
            ran.stderr
        );
    }
}

#[test]
fn a_fifo_that_is_named_is_a_stream() {
    let setting = Setting::empty();
    let path = setting.path("fifo");
    let made = Command::new("mkfifo").arg(&path).status();
    assert!(made.expect("there is mkfifo").success());
    let writer = thread::spawn(move || fs::write(path, gzip(&hit(1, "2026-11-23T17:00:00Z"))));
    let told = told(&setting, &["fifo"]);
    writer.join().expect("no panic").expect("the program reads");
    assert_eq!(told.count(), 1);
}

fn make_fifo(setting: &Setting, name: &str) {
    let made = Command::new("mkfifo").arg(setting.path(name)).status();
    assert!(made.expect("there is mkfifo").success());
}

#[test]
fn a_glob_ends_and_waits_for_nobody() {
    let setting = Setting::empty();
    fs::create_dir_all(setting.path("logs/a/b")).expect("the directory is ours");
    setting.write("logs/a/b/hit.log", hit(1, "2026-11-23T17:00:00Z"));
    for loop_name in ["logs/loop", "logs/a/loop", "logs/a/b/loop"] {
        symlink("..", setting.path(loop_name)).expect("the directory is ours");
    }
    symlink("nowhere", setting.path("logs/dangling.log")).expect("the directory is ours");
    make_fifo(&setting, "logs/fifo.log");
    let ran = scan(&setting, &["logs/**/*.log"]);
    assert_eq!(ran.code, Some(1), "{}", ran.stderr);
    assert!(ran.stdout.contains("opened"), "{}", ran.stdout);
    assert!(
        ran.stderr.contains("ERROR logs/dangling.log: No such file"),
        "{}",
        ran.stderr
    );
    let passed = "INFO logs/fifo.log: passed: neither a file nor a directory";
    assert!(ran.stderr.contains(passed), "{}", ran.stderr);
    let listed = scan(&setting, &["logs"]);
    assert!(listed.stderr.contains(passed), "{}", listed.stderr);
    assert!(
        listed
            .stderr
            .contains("ERROR logs/dangling.log: No such file"),
        "{}",
        listed.stderr
    );
}

#[test]
fn a_stream_that_is_named_twice_is_read_once() {
    let setting = Setting::empty();
    make_fifo(&setting, "fifo");
    let path = setting.path("fifo");
    let writer = thread::spawn(move || fs::write(path, hit(1, "2026-11-23T17:00:00Z")));
    let ran = scan(&setting, &["--json", "fifo", "./fifo"]);
    writer.join().expect("no panic").expect("the program reads");
    assert_eq!(ran.code, Some(2), "{}", ran.stderr);
    assert_eq!(Told::read(&ran.stdout).count(), 1);
    assert!(
        ran.stderr
            .contains("INFO ./fifo: named twice, and read once"),
        "{}",
        ran.stderr
    );

    let ran = setting.run(
        &["scan", "--json", "-", "-"],
        &hit(1, "2026-11-23T17:00:00Z"),
    );
    assert_eq!(ran.code, Some(2), "{}", ran.stderr);
    assert!(
        ran.stderr.contains("INFO -: named twice, and read once"),
        "{}",
        ran.stderr
    );
    assert!(ran.stderr.contains("inputs=1"), "{}", ran.stderr);

    let ran = setting.run(
        &["scan", "--json", "-", "/dev/stdin"],
        &hit(1, "2026-11-23T17:00:00Z"),
    );
    assert_eq!(Told::read(&ran.stdout).count(), 1, "{}", ran.stderr);
    setting.write("hit", hit(1, "2026-11-23T17:00:00Z"));
    let file = fs::File::open(setting.path("hit")).expect("it was written");
    let mut program = setting.program(&["scan", "--json", "-", "hit"]);
    let ran = setting.start(program.stdin(file)).wait();
    assert_eq!(Told::read(&ran.stdout).count(), 1, "{}", ran.stderr);
}

#[test]
fn names_of_files_do_nothing_to_a_terminal() {
    let setting = Setting::empty();
    let hostile = "\u{1b}[31m\u{9b}1m\u{202e}\r\nERROR x";
    let name = |what: &str| format!("{hostile}/{what}{hostile}");
    fs::create_dir_all(setting.path(name("folder"))).expect("the directory is ours");
    setting.write(&name("hit"), hit(1, "2026-11-23T17:00:00Z"));
    setting.write(&name("cut"), &hit(2, "2026-11-23T17:00:00Z")[..400]);
    setting.write(&name("damaged"), &gzip(&[b'x'; 1000])[..20]);
    symlink("nowhere", setting.path(name("dangling"))).expect("the directory is ours");
    symlink(".", setting.path(name("link"))).expect("the directory is ours");
    make_fifo(&setting, &name("fifo"));
    let missing = name("missing");
    let pattern = name("*missing*");
    for shown in [
        &["--json"][..],
        &["--summary"],
        &["--log-format", "json"],
        &[],
    ] {
        let ran = scan(&setting, &[shown, &[hostile, &missing, &pattern]].concat());
        assert_eq!(ran.code, Some(1), "{}", ran.stderr);
        for (stream, text) in [("out", &ran.stdout), ("err", &ran.stderr)] {
            let acts = |char: char| char.is_control() && char != '\n' || char == '\u{202e}';
            assert!(!text.contains(acts), "{shown:?} {stream}: {text:?}");
            assert!(!text.contains("\nERROR x"), "{shown:?} {stream}: {text:?}");
        }
        assert!(ran.stderr.contains("neither a file nor"), "{}", ran.stderr);
    }
}
