use std::{
    collections::BTreeMap,
    fs::{self, File, OpenOptions},
    io::Write,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use flate2::{Compression, write::GzEncoder};
use tempfile::TempDir;

use super::*;
use crate::source::{Block, Stop};

mod kills;
mod restart;
mod rotation;

const PATIENCE: Duration = Duration::from_secs(60);

/// Longer than a look at resting files and at globs takes here: what has not come by then is not coming.
const LONG_ENOUGH: Duration = Duration::from_millis(400);

/// A source that follows `*` in a temporary directory, on a thread of its own.
struct Running {
    folder: TempDir,
    stop: Stop,
    blocks: Receiver<(String, String)>,
    thread: Option<JoinHandle<Ended>>,
}

fn config(folder: &Path, include: &[&str]) -> Config {
    Config {
        include: include
            .iter()
            .map(|glob| folder.join(glob).display().to_string())
            .collect(),
        exclude: Vec::new(),
        read_from: ReadFrom::Beginning,
        max_line_bytes: 1 << 20,
        decoding: Decoding::Audit,
        glob_minimum_cooldown: Duration::from_millis(50),
        rotate_wait: Duration::from_millis(100),
    }
}

impl Running {
    fn start(folder: TempDir, config: Config) -> Self {
        let stop = Stop::new().unwrap();
        let (sender, blocks): (Sender<(String, String)>, _) = channel();
        let thread = {
            let stop = stop.clone();
            thread::spawn(move || {
                run(&config, &Context::new(stop), &mut |block: &Block<'_>| {
                    let text = String::from_utf8_lossy(block.bytes).into_owned();
                    let position = (block.provenance)(0).position.into();
                    sender.send((text, position)).unwrap();
                    true
                })
                .unwrap()
            })
        };
        Self {
            folder,
            stop,
            blocks,
            thread: Some(thread),
        }
    }

    /// Follows everything in a folder that `prepare` has filled.
    fn with(include: &[&str], prepare: impl FnOnce(&Path)) -> Self {
        let folder = TempDir::new().unwrap();
        prepare(folder.path());
        let config = config(folder.path(), include);
        Self::start(folder, config)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn next(&self) -> (String, String) {
        self.blocks.recv_timeout(PATIENCE).expect("a block")
    }

    /// The next text, which may come in several blocks.
    #[track_caller]
    fn expect(&self, text: &str) {
        let mut got = String::new();
        while got.len() < text.len() {
            got += &self.next().0;
        }
        assert_eq!(got, text);
    }

    #[track_caller]
    fn expect_nothing(&self) {
        match self.blocks.recv_timeout(LONG_ENOUGH) {
            Err(RecvTimeoutError::Timeout) => {}
            other => panic!("{other:?}"),
        }
    }

    /// What comes until the source has stopped.
    fn stop(mut self) -> String {
        self.stop.trigger();
        assert_eq!(self.thread.take().unwrap().join().unwrap(), Ended::Stopped);
        self.blocks.iter().map(|(text, _)| text).collect()
    }
}

fn append(path: impl AsRef<Path>, text: &str) {
    let mut file = OpenOptions::new()
        .append(true)
        .create(true)
        .open(path)
        .unwrap();
    file.write_all(text.as_bytes()).unwrap();
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// Numbered lines.
fn lines(numbers: std::ops::Range<usize>) -> String {
    numbers
        .map(|number| format!("{number:08} some text\n"))
        .collect()
}

#[test]
fn reads_what_is_there_and_what_is_added() {
    let running = Running::with(&["*.log"], |folder| append(folder.join("a.log"), "one\ntw"));
    let path = running.path("a.log");
    assert_eq!(
        running.next(),
        ("one\n".into(), format!("{}:0", path.display()))
    );
    append(&path, "o\n");
    assert_eq!(
        running.next(),
        ("two\n".into(), format!("{}:4", path.display()))
    );
    append(&path, "half");
    running.expect_nothing();
    assert_eq!(running.stop(), "", "the next run finds it again");
}

#[test]
fn reads_from_the_end_what_was_there_at_the_start_only() {
    let folder = TempDir::new().unwrap();
    append(folder.path().join("a.log"), "old\nunfin");
    fs::write(folder.path().join("b.log"), gzip(b"old\n")).unwrap();
    append(folder.path().join("empty.log"), "");
    let config = Config {
        read_from: ReadFrom::End,
        ..config(folder.path(), &["*.log", "later/*.log"])
    };
    let running = Running::start(folder, config);
    running.expect_nothing();
    append(running.path("a.log"), "ished\n");
    running.expect("unfinished\n");
    append(running.path("empty.log"), "first\n");
    running.expect("first\n");
    fs::create_dir(running.path("later")).unwrap();
    append(running.path("later/c.log"), "new\n");
    running.expect("new\n");
}

#[test]
fn what_is_appended_while_the_last_record_is_handed_on_is_read() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("a.log.gz");
    fs::write(&path, gzip(b"one")).unwrap();
    let config = config(folder.path(), &["*"]);
    let stop = Stop::new().unwrap();
    let (sender, texts) = channel();
    let context = Context::new(stop.clone());
    let thread = thread::spawn(move || {
        run(&config, &context, &mut |block: &Block<'_>| {
            let text = String::from_utf8_lossy(block.bytes).into_owned();
            if text == "one" {
                let mut file = OpenOptions::new().append(true).open(&path).unwrap();
                file.write_all(&gzip(b"\ntwo\n")).unwrap();
            }
            sender.send(text).unwrap();
            true
        })
    });
    assert_eq!(texts.recv_timeout(PATIENCE).unwrap(), "one");
    while !texts.recv_timeout(PATIENCE).unwrap().contains("two") {}
    stop.trigger();
    thread.join().unwrap().unwrap();
}

#[test]
fn leaves_out_what_is_excluded() {
    let folder = TempDir::new().unwrap();
    append(folder.path().join("a.log"), "a\n");
    append(folder.path().join("b.log"), "b\n");
    let exclude = vec![folder.path().join("b*").display().to_string()];
    let config = Config {
        exclude,
        ..config(folder.path(), &["*.log"])
    };
    let running = Running::start(folder, config);
    running.expect("a\n");
    running.expect_nothing();
}

#[test]
fn a_malformed_glob_is_an_error() {
    let config = config(Path::new("/"), &["a***"]);
    let error = run(
        &config,
        &Context::new(Stop::new().unwrap()),
        &mut |_: &Block<'_>| false,
    )
    .unwrap_err();
    assert!(error.to_string().contains("/a***"), "{error}");
}

#[test]
fn a_file_with_several_paths_is_read_once() {
    let running = Running::with(&["*.log", "**/*.log"], |folder| {
        append(folder.join("a.log"), "a\n");
        symlink(folder.join("a.log"), folder.join("link.log")).unwrap();
        fs::hard_link(folder.join("a.log"), folder.join("hard.log")).unwrap();
    });
    running.expect("a\n");
    running.expect_nothing();
    append(running.path("link.log"), "b\n");
    running.expect("b\n");
}

#[test]
fn a_symlink_that_points_elsewhere_is_a_new_file() {
    let running = Running::with(&["link.log"], |folder| {
        append(folder.join("one"), "one\n");
        symlink(folder.join("one"), folder.join("link.log")).unwrap();
    });
    running.expect("one\n");
    append(running.path("two"), "two\n");
    fs::remove_file(running.path("link.log")).unwrap();
    symlink(running.path("two"), running.path("link.log")).unwrap();
    running.expect("two\n");
}

#[test]
fn equal_files_are_different_files() {
    let running = Running::with(&["*/*.log", "*.log"], |folder| {
        for name in ["x", "y"] {
            fs::create_dir(folder.join(name)).unwrap();
            append(folder.join(name).join("a.log"), "same\n");
        }
        append(folder.join("some.log"), "same\n");
        append(folder.join("other.log"), "same\n");
    });
    running.expect("same\nsame\nsame\nsame\n");
    running.expect_nothing();
}

#[test]
fn the_same_line_after_a_rotation_is_a_new_line() {
    let running = Running::with(&["a.log*"], |folder| append(folder.join("a.log"), "same\n"));
    running.expect("same\n");
    fs::rename(running.path("a.log"), running.path("a.log.1")).unwrap();
    append(running.path("a.log"), "same\n");
    running.expect("same\n");
    thread::sleep(LONG_ENOUGH);
    fs::remove_file(running.path("a.log.1")).unwrap();
    fs::remove_file(running.path("a.log")).unwrap();
    thread::sleep(LONG_ENOUGH);
    append(running.path("a.log"), "same\n");
    running.expect("same\n");
    running.expect_nothing();
}

#[test]
fn many_files_are_read_side_by_side() {
    let text = lines(0..400_000);
    let running = Running::with(&["*.log"], |folder| {
        for name in ["a.log", "b.log"] {
            append(folder.join(name), &format!("{name}\n{text}"));
        }
    });
    let mut turns: Vec<char> = Vec::new();
    let mut bytes = 0;
    while bytes < 2 * (text.len() + 6) {
        let (block, position) = running.next();
        let name = position
            .rsplit_once(".log:")
            .unwrap()
            .0
            .chars()
            .last()
            .unwrap();
        bytes += block.len();
        if turns.last() != Some(&name) {
            turns.push(name);
        }
    }
    assert!(turns.len() > 6, "{turns:?}");
}

#[test]
fn stop_wakes_a_source_that_rests() {
    let running = Running::with(&["*.log"], |folder| append(folder.join("a.log"), "a\n"));
    running.expect("a\n");
    let began = Instant::now();
    running.stop();
    assert!(began.elapsed() < Duration::from_secs(10));
}
