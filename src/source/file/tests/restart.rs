//! What a start goes on from, after a stop and after a kill.

use std::{
    os::unix::fs::MetadataExt,
    sync::{Arc, Mutex, MutexGuard, atomic::Ordering::Relaxed},
};

use super::{
    super::{
        discovery::FileId,
        fingerprint::Head,
        past::Past,
        positions::{Changes, Key, Place},
    },
    *,
};
use crate::source::{Outlet, Position, Progress};

/// What outlives the source, and what it did since it was started.
#[derive(Default)]
pub(super) struct Disk {
    pub(super) positions: BTreeMap<String, String>,
    /// All that was committed, by all runs.
    pub(super) committed: String,
    /// What was handed on since the last commit.
    pub(super) held: String,
    /// What this run handed on.
    pub(super) handed_on: String,
    pub(super) commits: usize,
    /// The process dies with this commit.
    pub(super) dies_at: Option<usize>,
    pub(super) is_dead: bool,
    /// The pipeline is full.
    is_full: bool,
    /// Everything is found, not only hits.
    finds_all: bool,
    /// The last block came with the names of its columns.
    is_named: bool,
}

impl Disk {
    fn commit(&mut self, progress: Progress) {
        if self.is_dead {
            return;
        }
        self.committed += &std::mem::take(&mut self.held);
        for Position { key, value } in progress.positions {
            match value {
                Some(value) => self.positions.insert(key, value),
                None => self.positions.remove(&key),
            };
        }
        self.commits += 1;
        self.is_dead = self.dies_at == Some(self.commits);
    }

    /// The positions of files.
    fn files(&self) -> Vec<(&str, serde_json::Value)> {
        let files = self.positions.iter().filter(|(key, _)| *key != "started");
        files
            .map(|(key, value)| (key.as_str(), serde_json::from_str(value).unwrap()))
            .collect()
    }

    fn offsets(&self) -> Vec<u64> {
        let files = self.files().into_iter();
        files
            .map(|(_, value)| value["offset"].as_u64().unwrap())
            .collect()
    }
}

struct Teller(Arc<Mutex<Disk>>);

impl Outlet for Teller {
    fn take(&mut self, block: &Block<'_>) -> bool {
        let mut disk = self.0.lock().unwrap();
        if disk.is_dead {
            return false;
        }
        let text = String::from_utf8_lossy(block.bytes);
        disk.held += &text;
        disk.handed_on += &text;
        disk.is_named = block.header.is_some();
        disk.finds_all || text.contains("hit")
    }

    fn commit(&mut self, progress: Progress) {
        self.0.lock().unwrap().commit(progress);
    }

    fn try_commit(&mut self, progress: Progress) -> Result<(), Progress> {
        let mut disk = self.0.lock().unwrap();
        if disk.is_full {
            return Err(progress);
        }
        disk.commit(progress);
        Ok(())
    }
}

/// A folder, and a source that is started and ended.
pub(super) struct Machine {
    pub(super) folder: TempDir,
    pub(super) config: Config,
    pub(super) disk: Arc<Mutex<Disk>>,
}

pub(super) struct Run {
    context: Arc<Context>,
    disk: Arc<Mutex<Disk>>,
    thread: JoinHandle<()>,
}

impl Machine {
    pub(super) fn new(include: &[&str]) -> Self {
        let folder = TempDir::new().unwrap();
        Self {
            config: config(folder.path(), include),
            folder,
            disk: Arc::default(),
        }
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(super) fn append(&self, name: &str, text: &str) {
        append(self.path(name), text);
    }

    fn rename(&self, from: &str, to: &str) {
        fs::rename(self.path(from), self.path(to)).unwrap();
    }

    /// As `gzip` does.
    pub(super) fn compress(&self, name: &str) {
        let packed = gzip(&fs::read(self.path(name)).unwrap());
        fs::write(self.path(&format!("{name}.gz")), packed).unwrap();
        fs::remove_file(self.path(name)).unwrap();
    }

    /// As `logrotate` does with `copytruncate`.
    pub(super) fn copy_and_truncate(&self, name: &str, copy: &str) {
        fs::copy(self.path(name), self.path(copy)).unwrap();
        File::options()
            .write(true)
            .truncate(true)
            .open(self.path(name))
            .unwrap();
    }

    pub(super) fn disk(&self) -> MutexGuard<'_, Disk> {
        self.disk.lock().unwrap()
    }

    pub(super) fn start(&self) -> Run {
        let positions = {
            let mut disk = self.disk();
            disk.handed_on.clear();
            disk.held.clear();
            disk.is_dead = false;
            disk.commits = 0;
            let stored = disk.positions.clone().into_iter();
            stored
                .map(|(key, value)| Position {
                    key,
                    value: Some(value),
                })
                .collect()
        };
        let context = Arc::new(Context {
            positions,
            ..Context::new(Stop::new().unwrap())
        });
        let (for_source, config) = (Arc::clone(&context), self.config.clone());
        let mut teller = Teller(Arc::clone(&self.disk));
        Run {
            context,
            disk: Arc::clone(&self.disk),
            thread: thread::spawn(move || {
                run(&config, &for_source, &mut teller).unwrap();
            }),
        }
    }

    /// A run that hands on `text` and no more; it ends as `end` says.
    #[track_caller]
    fn expect(&self, text: &str, end: fn(Run)) {
        let run = self.start();
        run.expect(text);
        end(run);
        assert_lines(&self.disk().handed_on, text);
    }

    /// A run that finds nothing new.
    #[track_caller]
    fn expect_nothing(&self) {
        let run = self.start();
        thread::sleep(LONG_ENOUGH);
        run.stop();
        assert_eq!(self.disk().handed_on, "");
    }
}

/// The same lines; those of different files in any order.
#[track_caller]
fn assert_lines(got: &str, wanted: &str) {
    let [mut got, mut wanted] = [got, wanted].map(|text| text.lines().collect::<Vec<_>>());
    got.sort_unstable();
    wanted.sort_unstable();
    assert_eq!(got, wanted);
}

/// Both ways to end; where nothing was committed since the last hit, they come to the same.
const ENDS: [fn(Run); 2] = [Run::stop, Run::kill];

impl Run {
    pub(super) fn wait_until(&self, mut holds: impl FnMut(&Disk) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !holds(&self.disk.lock().unwrap()) {
            assert!(
                Instant::now() < deadline,
                "waited in vain; handed on: {:?}",
                self.disk.lock().unwrap().handed_on
            );
            thread::sleep(Duration::from_millis(2));
        }
    }

    /// Waits for `text`, and until its hits are committed.
    #[track_caller]
    fn expect(&self, text: &str) {
        self.wait_until(|disk| disk.handed_on.len() >= text.len() && !disk.held.contains("hit"));
        assert_lines(&self.disk.lock().unwrap().handed_on, text);
    }

    pub(super) fn stop(self) {
        self.context.stop.trigger();
        self.thread.join().unwrap();
    }

    pub(super) fn kill(self) {
        self.disk.lock().unwrap().is_dead = true;
        self.stop();
    }
}

#[test]
fn a_start_goes_on_behind_the_last_whole_record() {
    for end in ENDS {
        let machine = Machine::new(&["a.log"]);
        machine.append("a.log", "one\nhit\nunfin");
        machine.expect("one\nhit\n", end);
        machine.append("a.log", "ished\nhit 2\n");
        machine.expect("unfinished\nhit 2\n", end);
        machine.expect_nothing();
    }
}

#[test]
fn what_was_not_committed_is_read_again() {
    let machine = Machine::new(&["a.log"]);
    machine.append("a.log", "hit\n");
    let run = machine.start();
    run.expect("hit\n");
    machine.append("a.log", "clean\n");
    run.wait_until(|disk| disk.handed_on == "hit\nclean\n");
    let committed = machine.disk().committed.clone();
    run.kill();
    let again = if committed == "hit\n" { "clean\n" } else { "" };
    machine.append("a.log", "more\n");
    machine.expect(&format!("{again}more\n"), Run::stop);
}

#[test]
fn a_position_is_stored_about_once_a_second_and_at_the_end() {
    let machine = Machine::new(&["a.log"]);
    machine.append("a.log", "clean\n");
    machine.disk().is_full = true;
    let run = machine.start();
    run.expect("clean\n");
    thread::sleep(COMMIT_INTERVAL + LONG_ENOUGH);
    assert_eq!(machine.disk().offsets(), [0; 0], "the pipeline is full");
    machine.disk().is_full = false;
    run.wait_until(|disk| disk.offsets() == [6]);
    machine.append("a.log", "clean\n");
    run.expect("clean\nclean\n");
    run.stop();
    assert_eq!(machine.disk().offsets(), [12]);
    let commits = machine.disk().commits;
    assert!((3..=5).contains(&commits), "{commits}");
}

#[test]
fn what_is_found_is_committed_at_once_with_all_that_moved() {
    let machine = Machine::new(&["*.log"]);
    machine.append("clean.log", "clean\n");
    let run = machine.start();
    run.expect("clean\n");
    machine.append("a.log", "hit\n");
    run.wait_until(|disk| disk.committed.contains("hit"));
    assert_eq!(machine.disk().offsets().iter().sum::<u64>(), 10);
    run.kill();
}

#[test]
fn a_position_can_be_read_by_people_and_holds_no_content() {
    let machine = Machine::new(&["a.log"]);
    machine.append("a.log", "hit with a token\n");
    machine.expect("hit with a token\n", Run::stop);
    let disk = machine.disk();
    let (key, value) = &disk.files()[0];
    let metadata = fs::metadata(machine.path("a.log")).unwrap();
    assert_eq!(*key, format!("{}:{}", metadata.dev(), metadata.ino()));
    let path = machine.path("a.log").display().to_string();
    assert_eq!(value["path"], path);
    assert_eq!(
        (&value["offset"], &value["fingerprint"]["bytes"]),
        (&17.into(), &17.into())
    );
    assert!(!value.to_string().contains("token"), "{value}");
    disk.positions["started"]
        .parse::<jiff::Timestamp>()
        .unwrap();
}

#[test]
fn a_file_that_was_renamed_meanwhile_is_read_on() {
    for end in ENDS {
        let machine = Machine::new(&["a.log*"]);
        machine.append("a.log", "hit 1\n");
        machine.append("a.log.1", "hit 0\n");
        machine.expect("hit 1\nhit 0\n", end);
        machine.append("a.log", "hit 2\n");
        machine.rename("a.log.1", "a.log.2");
        machine.rename("a.log", "a.log.1");
        machine.append("a.log", "hit 3\n");
        machine.expect("hit 3\nhit 2\n", end);
        machine.expect_nothing();
    }
}

#[test]
fn a_file_that_was_compressed_meanwhile_is_read_on() {
    for end in ENDS {
        let machine = Machine::new(&["a*"]);
        machine.append("a.log", &(lines(0..2000) + "hit 1\n"));
        machine.expect(&(lines(0..2000) + "hit 1\n"), end);
        machine.append("a.log", "hit 2\n");
        machine.rename("a.log", "a.log.1");
        machine.append("a.log", "new hit\n");
        machine.compress("a.log.1");
        machine.expect("new hit\nhit 2\n", end);
        // Nor again when it is moved, or packed otherwise.
        machine.rename("a.log.1.gz", "a.log.2.gz");
        machine.expect_nothing();
        let packed = zstd::encode_all(&*(lines(0..2000) + "hit 1\nhit 2\n").into_bytes(), 1);
        fs::write(machine.path("a.log.2.zst"), packed.unwrap()).unwrap();
        fs::remove_file(machine.path("a.log.2.gz")).unwrap();
        machine.expect_nothing();
    }
}

#[test]
fn what_a_rotation_made_meanwhile_is_read_on_though_no_glob_names_it() {
    type Rotation = fn(&Machine);
    let rotations: [Rotation; 3] = [
        |machine| machine.rename("a.log", "a.log.1"),
        |machine| {
            machine.rename("a.log", "a-2026-11-30.log");
            machine.compress("a-2026-11-30.log");
        },
        |machine| machine.copy_and_truncate("a.log", "a.log.1"),
    ];
    for (rotate, end) in rotations.into_iter().zip(ENDS.into_iter().cycle()) {
        let machine = Machine::new(&["a.log"]);
        machine.append("a.log", &(lines(0..2000) + "hit 1\n"));
        machine.append("a-policy.log", "not a hit of this log\n");
        machine.append("a.log.0", "hit of an older log\n");
        machine.expect(&(lines(0..2000) + "hit 1\n"), end);
        machine.append("a.log", "hit 2\n");
        rotate(&machine);
        machine.append("a.log", "new hit\n");
        machine.expect("new hit\nhit 2\n", end);
        machine.expect_nothing();
    }
}

/// The source has forgotten the file, but not what it held.
#[test]
fn a_file_that_was_deleted_and_turns_up_compressed_after_a_start_is_known() {
    let machine = Machine::new(&["a*"]);
    machine.append("a.log", "hit 1\n");
    let run = machine.start();
    run.expect("hit 1\n");
    let packed = gzip(b"hit 1\nhit 2\n");
    fs::remove_file(machine.path("a.log")).unwrap();
    run.wait_until(|disk| disk.files().iter().any(|(key, _)| key.ends_with("/1")));
    run.kill();
    machine.expect_nothing();
    fs::write(machine.path("a.log.1.gz"), packed).unwrap();
    machine.expect("hit 2\n", Run::stop);
    let disk = machine.disk();
    assert_eq!(disk.files().len(), 1, "{:?}", disk.positions);
}

#[test]
fn a_file_that_was_copied_and_truncated_meanwhile_is_read_on_in_its_copy() {
    for (end, new) in ENDS.into_iter().zip(["new hit\n", ""]) {
        let machine = Machine::new(&["a.log*"]);
        machine.append("a.log", "hit 1\nunfin");
        machine.expect("hit 1\n", end);
        machine.append("a.log", "ished hit\n");
        machine.copy_and_truncate("a.log", "a.log.1");
        machine.append("a.log", new);
        machine.expect(&format!("{new}unfinished hit\n"), end);
        machine.append("a.log", "another hit\n");
        machine.expect("another hit\n", end);
        machine.expect_nothing();
    }
}

#[test]
fn a_truncation_that_was_seen_is_known_to_the_next_start() {
    let machine = Machine::new(&["a.log*"]);
    machine.append("a.log", "hit 1\nunfin");
    let run = machine.start();
    run.expect("hit 1\n");
    fs::write(machine.path("a.log"), "hit 2\n").unwrap();
    run.wait_until(|disk| disk.committed.ends_with("hit 2\n"));
    run.kill();
    fs::write(machine.path("a.log.1"), "hit 1\nunfinished hit\n").unwrap();
    machine.expect("unfinished hit\n", Run::stop);
}

/// As when its inode is used again for another file.
#[test]
fn a_file_that_begins_otherwise_is_read_from_its_beginning() {
    for end in ENDS {
        let machine = Machine::new(&["a.log"]);
        machine.append("a.log", "hit 1\n");
        machine.expect("hit 1\n", end);
        let longer = "other hit\nand more\n";
        fs::write(machine.path("a.log"), longer).unwrap();
        machine.expect(longer, Run::stop);
        machine.expect_nothing();
    }
}

#[test]
fn a_file_that_is_shorter_than_it_was_read_is_read_from_its_beginning() {
    let machine = Machine::new(&["a.log"]);
    machine.append("a.log", &(lines(0..100) + "hit\n"));
    machine.expect(&(lines(0..100) + "hit\n"), Run::kill);
    fs::write(machine.path("a.log"), lines(0..99)).unwrap();
    machine.expect(&lines(0..99), Run::stop);
}

#[test]
fn a_compressed_file_is_read_on_in_what_is_packed_in_it() {
    for end in ENDS {
        let machine = Machine::new(&["*.gz"]);
        let packed = gzip(b"one\nhit\nunfin");
        fs::write(machine.path("a.gz"), &packed).unwrap();
        let run = machine.start();
        // It is complete, so its last record is too.
        run.expect("one\nhit\nunfin");
        run.wait_until(|disk| disk.offsets() == [13]);
        end(run);
        machine.expect_nothing();
        let more = [packed, gzip(b"more hit\n")].concat();
        fs::write(machine.path("a.gz"), more).unwrap();
        machine.expect("more hit\n", end);
    }
}

#[test]
fn a_compressed_file_is_read_on_after_a_kill_in_the_middle() {
    let machine = Machine::new(&["*.gz"]);
    let text = |part: usize| lines(part * 50_000..(part + 1) * 50_000) + "hit\n";
    let all = text(0) + &text(1) + &text(2);
    fs::write(machine.path("a.gz"), gzip(all.as_bytes())).unwrap();
    machine.disk().dies_at = Some(2);
    let run = machine.start();
    run.wait_until(|disk| disk.is_dead);
    run.kill();
    let before = machine.disk().committed.len();
    assert!((1..all.len()).contains(&before));
    machine.disk().dies_at = None;
    let run = machine.start();
    run.wait_until(|disk| disk.committed.len() >= all.len());
    run.stop();
    assert!(machine.disk().committed == all);
}

#[test]
fn only_the_first_start_reads_from_the_end() {
    let mut machine = Machine::new(&["*.log"]);
    machine.config.read_from = ReadFrom::End;
    machine.append("a.log", "old\nunfin");
    machine.expect("", Run::kill);
    // Killed as soon as the beginning is stored, if at all.
    machine.expect_nothing();
    machine.append("a.log", "ished\n");
    machine.append("b.log", "new\n");
    machine.expect("unfinished\nnew\n", Run::stop);
    machine.expect_nothing();
}

#[test]
fn a_first_start_that_finds_nothing_is_the_first_start_all_the_same() {
    let mut machine = Machine::new(&["*.log"]);
    machine.config.read_from = ReadFrom::End;
    let run = machine.start();
    run.wait_until(|disk| !disk.positions.is_empty());
    run.kill();
    machine.append("a.log", "new\n");
    machine.expect("new\n", Run::stop);
}

#[test]
fn a_position_that_cannot_be_read_is_forgotten_and_its_file_read_from_the_beginning() {
    let machine = Machine::new(&["*.log"]);
    machine.append("a.log", "hit\n");
    machine.expect("hit\n", Run::stop);
    let good = machine.disk().positions.clone();
    let key = good.keys().find(|key| *key != "started").unwrap();
    let bad = [
        (key.as_str(), "\u{1b}[31m{"),
        (key, "{}"),
        (key, &good[key].replace("\"bytes\":4", "\"bytes\":0")),
        ("8:", &good[key]),
        ("-1", &good[key]),
        ("1:2/x", &good[key]),
    ];
    for (bad_key, bad_value) in bad {
        machine.disk().positions = BTreeMap::from([(bad_key.into(), bad_value.into())]);
        machine.expect("hit\n", Run::stop);
        assert_eq!(machine.disk().positions[key], good[key]);
        assert_eq!(machine.disk().positions.len(), 2);
    }
}

#[test]
fn a_record_that_is_handed_on_in_parts_is_read_again_whole() {
    let mut machine = Machine::new(&["a.log"]);
    machine.config.max_line_bytes = 10_000;
    machine.disk().finds_all = true;
    let long = "x".repeat(100_000);
    for begin in ["", "{\"items\":[1,2,"] {
        let before = format!("clean {begin:?}\n");
        machine.append("a.log", &format!("{before}{begin}{long}"));
        let run = machine.start();
        run.wait_until(|disk| disk.committed.len() > before.len() + 5000);
        let size = fs::metadata(machine.path("a.log")).unwrap().len();
        let offset = size - (begin.len() + long.len()) as u64;
        assert_eq!(machine.disk().offsets(), [offset]);
        run.kill();
        machine.append("a.log", "\n");
        let run = machine.start();
        run.wait_until(|disk| disk.offsets() == [size + 1]);
        run.stop();
        machine.disk().committed.clear();
    }
}

#[test]
fn a_part_that_was_not_joined_is_read_again() {
    let line = |stream, tag, text| format!("2026-11-23T17:21:01Z {stream} {tag} {text}\n");
    for end in ENDS {
        let machine = Machine::new(&["a*"]);
        let first = line("stdout", "P", "hi");
        let between = line("stderr", "F", "a hit");
        machine.append("a.log", &first);
        machine.append("a.log", &between);
        machine.expect(&between, end);
        assert_eq!(machine.disk().offsets(), [] as [u64; 0]);
        machine.append("a.log", &line("stdout", "F", "t"));
        machine.rename("a.log", "a.log.1");
        let whole = line("stdout", "F", "hit");
        machine.expect(&format!("{between}{whole}"), end);
        machine.append("a.log", &line("stdout", "F", "new hit"));
        machine.expect(&line("stdout", "F", "new hit"), end);
    }
}

#[test]
fn the_rest_of_a_file_that_is_deleted_is_handed_on_at_the_end_and_that_of_others_is_not() {
    let mut machine = Machine::new(&["a*"]);
    machine.config.rotate_wait = PATIENCE;
    for name in ["a.gone", "a.renamed"] {
        machine.append(name, &format!("hit {name}\nunfinished {name}"));
    }
    let run = machine.start();
    let both = "hit a.gone\nhit a.renamed\n";
    run.expect(both);
    fs::remove_file(machine.path("a.gone")).unwrap();
    machine.rename("a.renamed", "a.renamed.1");
    thread::sleep(LONG_ENOUGH);
    run.stop();
    assert_eq!(machine.disk().handed_on, format!("{both}unfinished a.gone"));
    machine.append("a.renamed.1", " hit\n");
    machine.expect("unfinished a.renamed hit\n", Run::stop);
}

#[test]
fn what_is_gone_is_forgotten_unless_nobody_can_tell() {
    let folder = TempDir::new().unwrap();
    append(folder.path().join("file"), "");
    let mut past = Past::of(
        [("gone", 1), ("file/below", 2)]
            .map(|(name, inode)| {
                let id = FileId { device: 1, inode };
                let digest = Head::of(&File::open("Cargo.toml").unwrap()).unwrap();
                let place = Place::new(&folder.path().join(name), 5, digest.fingerprint.digest());
                (Key { id, past: 0 }, place)
            })
            .into(),
    );
    let mut changes = Changes::default();
    past.forget(Duration::from_secs(60), &mut changes);
    assert!(changes.is_empty());
    past.forget(Duration::ZERO, &mut changes);
    let forgotten = changes.take().positions;
    assert_eq!(
        forgotten,
        [Position {
            key: "1:1".into(),
            value: None
        }]
    );
}

#[test]
fn a_device_may_have_another_number_after_a_boot() {
    let machine = Machine::new(&["a.log"]);
    machine.append("a.log", "hit 1\n");
    machine.expect("hit 1\n", Run::stop);
    {
        let positions = &mut machine.disk().positions;
        let key = positions
            .keys()
            .find(|key| *key != "started")
            .unwrap()
            .clone();
        let value = positions.remove(&key).unwrap();
        let (_, inode) = key.split_once(':').unwrap();
        positions.insert(format!("999999:{inode}"), value);
    }
    machine.append("a.log", "hit 2\n");
    machine.expect("hit 2\n", Run::stop);
    assert_eq!(machine.disk().files().len(), 1);
}

#[test]
fn a_file_that_cannot_be_read_shows_until_it_can() {
    let machine = Machine::new(&["*.log"]);
    symlink(machine.path("a.log"), machine.path("a.log")).unwrap();
    let run = machine.start();
    let trouble = || run.context.status.trouble();
    run.wait_until(|_| trouble().is_some());
    thread::sleep(LONG_ENOUGH);
    let reason = trouble().unwrap().reason;
    assert!(reason.contains("a.log: "), "{reason}");
    assert!(!trouble().unwrap().is_lasting);
    let errors = || run.context.counters.errors.load(Relaxed);
    assert_eq!(errors(), 1);
    fs::remove_file(machine.path("a.log")).unwrap();
    machine.append("a.log", "hit\n");
    run.expect("hit\n");
    run.wait_until(|_| trouble().is_none());
    assert_eq!(errors(), 1);
    run.stop();
}

#[test]
fn the_names_of_columns_are_known_after_a_start() {
    // More than the fingerprint holds.
    let names = format!("auditID,user,{}\n", "c,".repeat(1000));
    for end in ENDS {
        let machine = Machine::new(&["*.csv"]);
        machine.append("a.csv", &format!("{names}a hit\n"));
        machine.expect(&format!("{names}a hit\n"), end);
        machine.append("a.csv", "another hit\n");
        machine.disk().is_named = false;
        machine.expect("another hit\n", end);
        assert!(machine.disk().is_named);
    }
}
