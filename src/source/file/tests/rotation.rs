//! Rotation of every kind: no line lost, none doubled.

use super::*;

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

/// Counts lines until all `total` have come, and then for a while longer. Returns those not read exactly once.
fn miscounted(running: &Running, writer: JoinHandle<usize>) -> Vec<(usize, usize)> {
    let mut counts: BTreeMap<usize, usize> = BTreeMap::new();
    let mut take = |text: String| {
        for line in text.lines() {
            *counts.entry(line[..8].parse().expect(line)).or_default() += 1;
        }
        counts.len()
    };
    let mut total = None;
    let mut writer = Some(writer);
    let mut last = Instant::now();
    loop {
        match running.blocks.recv_timeout(LONG_ENOUGH) {
            Ok((text, _)) => {
                take(text);
                last = Instant::now();
            }
            Err(_) if writer.as_ref().is_some_and(|writer| !writer.is_finished()) => {}
            Err(_) => {
                if let Some(writer) = writer.take() {
                    total = Some(writer.join().unwrap());
                }
                // A machine under load may be slow, but not that slow.
                let complete = Some(take(String::new())) == total;
                if complete || last.elapsed() > Duration::from_secs(10) {
                    break;
                }
            }
        }
    }
    let total = total.unwrap_or_default();
    (0..total)
        .map(|number| (number, counts.get(&number).copied().unwrap_or_default()))
        .filter(|(_, count)| *count != 1)
        .collect()
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
            for number in (0..rotation.min(20)).rev() {
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
