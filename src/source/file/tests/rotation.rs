//! Rotation of every kind: no line lost, none doubled.

use super::{
    super::{
        discovery::FileId,
        faults::Faults,
        feed::Feed,
        fingerprint::{Fingerprint, Head},
        tracked::{Next, Phase, Tracked},
    },
    *,
};

#[test]
fn a_renamed_file_is_read_to_its_end() {
    for glob in ["audit.log", "audit*"] {
        let running = Running::with(&[glob], |folder| append(folder.join("audit.log"), "one\n"));
        running.expect("one\n");
        let mut old = OpenOptions::new()
            .append(true)
            .open(running.path("audit.log"))
            .unwrap();
        fs::rename(running.path("audit.log"), running.path("audit-2026.log")).unwrap();
        old.write_all(b"two\n").unwrap();
        running.expect("two\n");
        append(running.path("audit.log"), "three\n");
        running.expect("three\n");
        old.write_all(b"the last").unwrap();
        running.expect("the last");
        running.expect_nothing();
    }
}

/// More than a fingerprint, that files may have in common without being copies.
const HEADER: &str = "# written by somebody who begins every file with the same lines\n";

#[test]
fn files_that_begin_alike_are_no_copies() {
    let header = HEADER.repeat(40);
    let running = Running::with(&["a.log*"], |folder| {
        append(folder.join("a.log"), &format!("{header}one\n"));
    });
    running.expect(&format!("{header}one\n"));
    fs::write(running.path("a.log.1"), format!("{header}two\n")).unwrap();
    running.expect(&format!("{header}two\n"));
    // The first is let go, and is no copy's original either.
    fs::rename(running.path("a.log"), running.path("a.log.2")).unwrap();
    thread::sleep(LONG_ENOUGH);
    fs::write(running.path("a.log.2.3"), format!("{header}three\n")).unwrap();
    running.expect(&format!("{header}three\n"));
    running.expect_nothing();
}

#[test]
fn a_rotated_file_that_grows_again_is_read_on() {
    let running = Running::with(&["a*"], |folder| append(folder.join("a.log"), "one\n"));
    running.expect("one\n");
    fs::rename(running.path("a.log"), running.path("a.log.1")).unwrap();
    thread::sleep(LONG_ENOUGH);
    append(running.path("a.log.1"), "two\n");
    running.expect("two\n");
    fs::rename(running.path("a.log.1"), running.path("a.log.2")).unwrap();
    running.expect_nothing();
}

#[test]
fn a_deleted_file_is_read_to_its_end() {
    let running = Running::with(&["a.log"], |folder| append(folder.join("a.log"), "one\n"));
    running.expect("one\n");
    let mut old = OpenOptions::new()
        .append(true)
        .open(running.path("a.log"))
        .unwrap();
    fs::remove_file(running.path("a.log")).unwrap();
    old.write_all(b"two\nthe last").unwrap();
    running.expect("two\nthe last");
    append(running.path("a.log"), "new\n");
    running.expect("new\n");
}

#[test]
fn a_truncated_file_is_read_from_its_beginning() {
    let running = Running::with(&["a.log"], |folder| {
        append(folder.join("a.log"), &lines(0..10))
    });
    running.expect(&lines(0..10));
    File::create(running.path("a.log")).unwrap();
    append(running.path("a.log"), &lines(10..12));
    running.expect(&lines(10..12));
    // Longer than it was, between two looks; then just as long.
    fs::write(running.path("a.log"), lines(20..40)).unwrap();
    running.expect(&lines(20..40));
    fs::write(running.path("a.log"), lines(40..60)).unwrap();
    running.expect(&lines(40..60));
}

#[test]
fn a_copy_is_read_from_where_its_original_was_read_to() {
    let running = Running::with(&["a.log*"], |folder| {
        append(folder.join("a.log"), "one\ntwo\nth")
    });
    running.expect("one\ntwo\n");
    // Read on only after the copy was made and grew beyond what was read: as if the source had been slow.
    fs::write(running.path("a.log.1"), "one\ntwo\nthree\nfour").unwrap();
    running.expect_nothing();
    fs::write(running.path("a.log"), "five\n").unwrap();
    let mut got = [running.next().0, running.next().0, running.next().0];
    got.sort();
    assert_eq!(got, ["five\n", "four", "three\n"]);
    fs::write(running.path("a.log.2.gz"), gzip(b"one\ntwo\nthree\nfour")).unwrap();
    fs::remove_file(running.path("a.log.1")).unwrap();
    running.expect_nothing();
}

#[test]
fn a_record_cut_in_two_by_a_truncation_counts_once_even_without_a_copy() {
    let running = Running::with(&["a.log"], |folder| {
        append(folder.join("a.log"), "one\nhalf")
    });
    running.expect("one\n");
    fs::write(running.path("a.log"), "new\n").unwrap();
    let mut got = [running.next().0, running.next().0];
    got.sort();
    assert_eq!(got, ["half", "new\n"]);
}

#[test]
fn a_record_cut_in_two_by_a_truncation_is_joined_in_a_compressed_copy() {
    let folder = TempDir::new().unwrap();
    append(folder.path().join("a.log"), "one\nhal");
    let config = Config {
        rotate_wait: PATIENCE,
        ..config(folder.path(), &["a.log*"])
    };
    let running = Running::start(folder, config);
    running.expect("one\n");
    running.expect_nothing();
    fs::write(running.path("a.log"), "new\n").unwrap();
    running.expect("new\n");
    fs::write(running.path("a.log.1.gz"), gzip(b"one\nhalf\n")).unwrap();
    running.expect("half\n");
}

#[test]
fn what_was_read_is_not_read_again_when_it_is_compressed() {
    let running = Running::with(&["a*"], |folder| {
        append(folder.join("a.log"), &lines(0..1000))
    });
    running.expect(&lines(0..1000));
    fs::rename(running.path("a.log"), running.path("a.log.1")).unwrap();
    fs::write(running.path("a.log.1.gz"), gzip(lines(0..1000).as_bytes())).unwrap();
    fs::remove_file(running.path("a.log.1")).unwrap();
    append(running.path("a.log"), "new\n");
    running.expect("new\n");
    running.expect_nothing();
    fs::rename(running.path("a.log.1.gz"), running.path("a.log.2.gz")).unwrap();
    fs::write(
        running.path("a.log.3.zst"),
        zstd::encode_all(&b"unknown\n"[..], 1).unwrap(),
    )
    .unwrap();
    running.expect("unknown\n");
    running.expect_nothing();
}

#[test]
fn a_compressed_file_that_is_still_being_written_is_read_on() {
    let text = lines(0..20_000);
    let packed = gzip(text.as_bytes());
    let (one, two) = packed.split_at(packed.len() / 2);
    let running = Running::with(&["*.gz"], |folder| {
        fs::write(folder.join("a.gz"), one).unwrap()
    });
    let mut got = running.next().0;
    thread::sleep(LONG_ENOUGH);
    let mut file = OpenOptions::new()
        .append(true)
        .open(running.path("a.gz"))
        .unwrap();
    file.write_all(two).unwrap();
    while got.len() < text.len() {
        got += &running.next().0;
    }
    assert!(got == text);
    running.expect_nothing();
}

/// Writes numbered lines to `audit.log`, rotating by `rotate` after some, `rotations` times. Returns how many lines.
fn write_and_rotate(
    folder: &Path,
    rotations: usize,
    mut rotate: impl FnMut(&Path, usize),
) -> usize {
    let path = folder.join("audit.log");
    let mut count = 0;
    for rotation in 0..rotations {
        let lines_now = fastrand::usize(1..400);
        for batch in 0..4 {
            let batch_end = count + (lines_now + batch) / 4;
            append(&path, &lines(count..batch_end));
            count = batch_end;
        }
        if fastrand::bool() {
            thread::sleep(Duration::from_micros(fastrand::u64(0..20_000)));
        }
        rotate(&path, rotation);
    }
    append(&path, &lines(count..count + 1));
    count + 1
}

/// How often each whole line was read.
#[derive(Default)]
struct Counts(BTreeMap<usize, usize>);

impl Counts {
    /// Counts what comes until nothing has come for `wait`.
    fn take(&mut self, running: &Running, wait: Duration) {
        while let Ok((text, _)) = running.blocks.recv_timeout(wait) {
            for number in whole_lines(&text) {
                *self.0.entry(number).or_default() += 1;
            }
        }
    }

    fn of(&self, number: usize) -> usize {
        self.0.get(&number).copied().unwrap_or_default()
    }
}

fn whole_lines(text: &str) -> impl Iterator<Item = usize> {
    let length = lines(0..1).len();
    let whole = text
        .split_inclusive('\n')
        .filter(move |line| line.len() == length);
    whole.map(|line| line[..8].parse().expect(line))
}

/// Counts lines until all of `wanted` have come, and then for a while longer.
fn count_lines<T>(
    running: &Running,
    writer: JoinHandle<T>,
    wanted: impl Fn(T) -> Vec<usize>,
) -> (Vec<usize>, Counts) {
    let mut counts = Counts::default();
    while !writer.is_finished() {
        counts.take(running, Duration::from_millis(20));
    }
    let wanted = wanted(writer.join().unwrap());
    // A machine under load may be slow, but not that slow.
    for _ in 0..20 {
        counts.take(running, LONG_ENOUGH);
        if wanted.iter().all(|number| counts.of(*number) > 0) {
            break;
        }
    }
    (wanted, counts)
}

/// The lines that were not read exactly once, and how often they were.
fn miscounted(running: &Running, writer: JoinHandle<usize>) -> Vec<(usize, usize)> {
    let (wanted, counts) = count_lines(running, writer, |total| (0..total).collect());
    let counts = wanted.into_iter().map(|number| (number, counts.of(number)));
    counts.filter(|(_, count)| *count != 1).collect()
}

#[test]
fn hundreds_of_renames_under_load() {
    let running = Running::with(&["audit*"], |_| {});
    let folder = running.folder.path().to_owned();
    let writer = thread::spawn(move || {
        write_and_rotate(&folder, 300, |path, rotation| {
            fs::rename(
                path,
                path.with_file_name(format!("audit-{rotation:04}.log")),
            )
            .unwrap();
        })
    });
    assert_eq!(miscounted(&running, writer), []);
}

#[test]
fn hundreds_of_shifts_of_numbered_files_under_load() {
    let running = Running::with(&["audit*"], |_| {});
    let folder = running.folder.path().to_owned();
    let writer = thread::spawn(move || {
        write_and_rotate(&folder, 200, |path, rotation| {
            for number in (0..rotation).rev() {
                let name = |number| path.with_file_name(format!("audit.log.{number}"));
                let _ = fs::rename(name(number), name(number + 1));
            }
            fs::rename(path, path.with_file_name("audit.log.0")).unwrap();
        })
    });
    assert_eq!(miscounted(&running, writer), []);
}

#[test]
fn hundreds_of_copies_and_truncations_under_load() {
    let running = Running::with(&["audit*"], |_| {});
    let folder = running.folder.path().to_owned();
    let writer = thread::spawn(move || {
        write_and_rotate(&folder, 300, |path, rotation| {
            fs::copy(path, path.with_file_name(format!("audit.log.{rotation}"))).unwrap();
            OpenOptions::new()
                .write(true)
                .truncate(true)
                .open(path)
                .unwrap();
        })
    });
    assert_eq!(miscounted(&running, writer), []);
}

/// What is written between the copy and the truncation is lost by nature. All that is left on the disk is read, and
/// nothing twice.
#[test]
fn copies_and_truncations_from_outside_lose_no_more_than_they_must() {
    let running = Running::with(&["audit*"], |_| {});
    let folder = running.folder.path().to_owned();
    let path = folder.join("audit.log");
    let rotator = {
        let path = path.clone();
        append(&path, &lines(0..10));
        thread::spawn(move || {
            for rotation in 0..150 {
                thread::sleep(Duration::from_millis(10));
                fs::copy(&path, path.with_file_name(format!("audit.log.{rotation}"))).unwrap();
                OpenOptions::new()
                    .write(true)
                    .truncate(true)
                    .open(&path)
                    .unwrap();
            }
        })
    };
    let writer = thread::spawn(move || {
        let mut count = 10;
        while !rotator.is_finished() {
            append(&path, &lines(count..count + 20));
            count += 20;
            thread::sleep(Duration::from_micros(fastrand::u64(0..200)));
        }
        count
    });
    let (left, counts) = count_lines(&running, writer, |_| {
        let texts = fs::read_dir(&folder).unwrap().map(|entry| {
            String::from_utf8_lossy(&fs::read(entry.unwrap().path()).unwrap()).into_owned()
        });
        texts
            .flat_map(|text| whole_lines(&text).collect::<Vec<_>>())
            .collect()
    });
    let missed: Vec<_> = left
        .iter()
        .filter(|number| counts.of(**number) == 0)
        .collect();
    let doubled: Vec<_> = counts.0.iter().filter(|(_, count)| **count > 1).collect();
    assert!(
        missed.is_empty() && doubled.is_empty(),
        "missed {missed:?}, doubled {doubled:?}"
    );
}

#[test]
fn a_file_that_leaves_the_globs_and_comes_back_is_known() {
    let running = Running::with(&["a.log"], |folder| append(folder.join("a.log"), "one\n"));
    running.expect("one\n");
    fs::rename(running.path("a.log"), running.path("elsewhere")).unwrap();
    thread::sleep(LONG_ENOUGH);
    fs::rename(running.path("elsewhere"), running.path("a.log")).unwrap();
    running.expect_nothing();
    append(running.path("a.log"), "two\n");
    running.expect("two\n");
}

/// Otherwise the copy would be taken for something new, and its original be read as well.
#[test]
fn a_copy_is_known_by_what_its_original_holds_now() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("a.log");
    append(&path, "not read yet\n");
    let file = File::open(&path).unwrap();
    let copy = Head::of(&file).unwrap().fingerprint;
    let id = FileId::of(&file.metadata().unwrap());
    let mut original = Tracked::new(id, path, Phase::Waiting(file.try_clone().unwrap(), 0));
    assert!(original.agrees_with(&copy));
    let empty = Head {
        fingerprint: Fingerprint::default(),
        is_compressed: false,
    };
    original.read_on(file, &empty, 0, None, 1000);
    assert!(original.agrees_with(&copy));
}

/// What cannot be read now may be later, as on a network's file system, and nobody would look at it again.
#[test]
fn a_rotated_file_that_cannot_be_read_is_kept_as_long_as_it_has_a_name() {
    let folder = TempDir::new().unwrap();
    let plain = folder.path().join("a.log");
    fs::write(&plain, "one\n").unwrap();
    let head = Head::of(&File::open(&plain).unwrap()).unwrap();
    // A directory can be opened, and not be read.
    let file = File::open(folder.path()).unwrap();
    let id = FileId::of(&file.metadata().unwrap());
    let waiting = Phase::Waiting(file.try_clone().unwrap(), 0);
    let mut tracked = Tracked::new(id, folder.path().to_owned(), waiting);
    tracked.read_on(file, &head, 0, None, 1 << 20);
    tracked.is_rotated = true;
    let config = Config {
        rotate_wait: Duration::ZERO,
        ..config(folder.path(), &["*"])
    };
    let mut faults = Faults::default();
    let mut turn = |tracked: &mut Tracked| {
        let mut nowhere = |_: &Block<'_>| false;
        tracked.turn(&config, &mut Feed::new(&mut nowhere), &mut faults)
    };
    turn(&mut tracked);
    assert!(matches!(tracked.phase, Phase::Reading(_)));
    tracked.path = folder.path().join("gone");
    assert!(matches!(turn(&mut tracked), Next::Gone(_)));
    assert_eq!(faults.paths().len(), 2);
}
