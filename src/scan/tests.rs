//! What cannot be seen from outside: where files are cut, and in which order inputs come.

use std::{
    cell::Cell,
    fs::{self, File},
    io::Write,
    num::NonZeroUsize,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    sync::Mutex,
};

use jiff::Timestamp;
use memchr::{memmem, memrchr};
use proptest::prelude::*;
use rustix::fs::{CWD, FileType, Mode, mknodat};
use tempfile::{NamedTempFile, TempDir};

use super::{
    Event, Remark, Rules, Watch, Window,
    find::{Found, find},
    inputs::{Input, Inputs, Kind},
    plan::{Opened, Part, Plan},
    read::{Reader, Take},
    search::search_units,
};
use crate::{
    detect::Technique,
    record::{decompress, framing::Piece, part_mark, partial::is_cut},
    source::{Shape, Stop},
};

fn file(bytes: &[u8]) -> NamedTempFile {
    let mut file = NamedTempFile::new().unwrap();
    file.write_all(bytes).unwrap();
    file
}

fn find_all(paths: &[PathBuf], tell: &(dyn Fn(Event) + Sync)) -> Found {
    let stop = &Stop::new().unwrap();
    find(paths, Watch { tell, stop }).unwrap()
}

/// A line, or a part of an oversized record, with where it begins.
type Read = (u64, Vec<u8>, Shape);

/// Keeps all that is not passed, line by line.
struct Taken<'t> {
    lines: Vec<Read>,
    passed: &'t dyn Fn(&[u8]) -> usize,
}

impl Take for Taken<'_> {
    fn take(&mut self, piece: &Piece<'_>, _: Timestamp) {
        let (start, mut at) = (piece.offset, piece.offset);
        let pieces: Vec<&[u8]> = match piece.shape {
            Shape::Lines => piece.bytes.split_inclusive(|byte| *byte == b'\n').collect(),
            _ => vec![piece.bytes],
        };
        for bytes in pieces {
            if let Some(first) = piece.first_part
                && is_cut(bytes)
            {
                first.set((at - start) as usize).unwrap();
                return;
            }
            self.lines.push((at, bytes.to_vec(), piece.shape));
            at += bytes.len() as u64;
        }
    }

    fn passed(&mut self, lines: &[u8]) -> usize {
        (self.passed)(lines)
    }
}

/// What is read of `part`, line by line.
fn read(part: &Part, max_line_bytes: usize) -> Vec<Read> {
    read_but(&|_| 0, part, max_line_bytes)
}

fn read_but(passed: &dyn Fn(&[u8]) -> usize, part: &Part, max_line_bytes: usize) -> Vec<Read> {
    let (lines, result) = try_read(passed, part, max_line_bytes);
    result.unwrap();
    lines
}

fn try_read(
    passed: &dyn Fn(&[u8]) -> usize,
    part: &Part,
    max_line_bytes: usize,
) -> (Vec<Read>, Result<(), decompress::Error>) {
    let mut taken = Taken {
        lines: Vec::new(),
        passed,
    };
    let mut reader = Reader {
        max_line_bytes,
        mapped_bytes: 2 << 20,
        take: &mut taken,
        progress: &|_| Ok(()),
        stop: &Stop::new().unwrap(),
    };
    let result = reader.read(part);
    (taken.lines, result)
}

/// What is read of `part` until the search is stopped, with the fourth look at how far it has come.
fn read_until_stopped(part: &Part) -> Vec<Read> {
    let mut taken = Taken {
        lines: Vec::new(),
        passed: &|_| 0,
    };
    let looks = Cell::new(0);
    let stop = Stop::new().unwrap();
    let mut reader = Reader {
        max_line_bytes: 16 << 20,
        mapped_bytes: 2 << 20,
        take: &mut taken,
        progress: &|_| {
            looks.set(looks.get() + 1);
            match looks.get() {
                1..4 => Ok(()),
                _ => Err(std::io::ErrorKind::Interrupted.into()),
            }
        },
        stop: &stop,
    };
    assert!(reader.read(part).is_err());
    taken.lines
}

fn opened(path: &Path) -> Opened {
    let file = File::open(path).unwrap();
    let metadata = file.metadata().unwrap();
    Opened::new(file, &metadata).unwrap()
}

/// The ranges of a file, cut at `cuts`.
fn ranges(path: &Path, cuts: &[u64]) -> Vec<Part> {
    let bounds = [&[0], cuts, &[u64::MAX]].concat();
    let range = |bounds: &[u64]| Part::Range {
        file: opened(path),
        start: bounds[0],
        end: bounds[1],
    };
    bounds.windows(2).map(range).collect()
}

/// Lines of all sorts, with and without brackets, the last with or without its newline.
fn log() -> impl Strategy<Value = Vec<u8>> {
    let line = prop_oneof![
        4 => "\\{\"a\": ?\"[a-z\\\\]{0,30}\"\\}",
        1 => "\\PC{0,20}\r?",
        1 => "[{\\[]?[a-z\":,{}]{20,60}",
        1 => Just(String::new()),
    ];
    let lines = proptest::collection::vec(line, 1..30);
    (lines, any::<bool>()).prop_map(|(lines, is_ended)| {
        let end = if is_ended { "\n" } else { "" };
        format!("{{\"first\": 1}}\n{}{end}", lines.join("\n")).into_bytes()
    })
}

proptest! {
    #[test]
    fn ranges_cut_anywhere_hold_what_the_whole_holds(
        log in log(),
        mut cuts in proptest::collection::btree_set(1_u64..1500, 0..12),
        max_line_bytes in prop_oneof![Just(40_usize), Just(1 << 20)],
    ) {
        let file = file(&log);
        cuts.retain(|cut| *cut < log.len() as u64);
        let cuts: Vec<u64> = cuts.into_iter().collect();
        let whole = read(&Part::Whole(opened(file.path())), max_line_bytes);
        let parts: Vec<Read> = ranges(file.path(), &cuts)
            .iter()
            .flat_map(|part| read(part, max_line_bytes))
            .collect();
        prop_assert_eq!(whole, parts);
    }
}

#[test]
fn a_line_longer_than_ranges_and_reads_is_one_record() {
    let log = [b"{\"a\":1}\n".as_slice(), &vec![b'x'; 100_000], b"\nlast\n"].concat();
    let file = file(&log);
    let cuts: Vec<u64> = (1..20).map(|range| range * 5000).collect();
    let parts: Vec<Read> = ranges(file.path(), &cuts)
        .iter()
        .flat_map(|part| read(part, 1 << 20))
        .collect();
    let lengths: Vec<_> = parts
        .iter()
        .map(|(at, bytes, _)| (*at, bytes.len()))
        .collect();
    assert_eq!(lengths, [(0, 8), (8, 100_001), (100_009, 5)]);
}

/// Lines of some hundred kilobytes, one in a hundred of which holds a mark, and perhaps a long one.
fn long_log() -> impl Strategy<Value = Vec<u8>> {
    let line = (0_usize..400, proptest::bool::weighted(0.01));
    let lines = proptest::collection::vec(line, 1..2000);
    let long = (0_usize..200_000, any::<bool>());
    (lines, proptest::option::of(long), any::<bool>()).prop_map(|(lines, long, is_ended)| {
        let line = |(length, is_marked): (usize, bool)| {
            let mark = if is_marked { "mark" } else { "" };
            format!("{{\"{}{mark}\"}}", "x".repeat(length))
        };
        let mut log: Vec<String> = lines.into_iter().chain(long).map(line).collect();
        let middle = log.len() / 2;
        log.rotate_left(middle);
        let end = if is_ended { "\n" } else { "" };
        (log.join("\n") + end).into_bytes()
    })
}

fn is_marked(lines: &[u8]) -> bool {
    memmem::find(lines, b"mark").is_some()
}

/// The length of the lines before the first with a mark.
fn unmarked(lines: &[u8]) -> usize {
    let marked = memmem::find(lines, b"mark");
    marked.map_or(lines.len(), |at| start_of_line(lines, at))
}

fn start_of_line(lines: &[u8], at: usize) -> usize {
    memrchr(b'\n', &lines[..at]).map_or(0, |newline| newline + 1)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_is_looked_through_is_read_where_it_is_worth_it(
        log in long_log(),
        cuts in proptest::collection::btree_set(1_u64..600_000, 0..4),
        max_line_bytes in prop_oneof![Just(5000_usize), Just(1 << 20)],
    ) {
        let file = file(&log);
        let cuts: Vec<u64> = cuts.into_iter().filter(|cut| *cut < log.len() as u64).collect();
        let whole = read(&Part::Whole(opened(file.path())), max_line_bytes);
        let looked_at: Vec<Read> = ranges(file.path(), &cuts)
            .iter()
            .flat_map(|part| read_but(&unmarked, part, max_line_bytes))
            .collect();
        let marked = |all: &[Read]| {
            let marked = all.iter().filter(|(_, bytes, _)| is_marked(bytes)).cloned();
            marked.collect::<Vec<_>>()
        };
        prop_assert_eq!(marked(&whole), marked(&looked_at));
        let mut rest = whole.iter();
        prop_assert!(looked_at.iter().all(|line| rest.any(|other| other == line)));
    }
}

#[test]
fn only_what_is_worth_it_is_read() {
    let line = [b"{\"a\":\"".as_slice(), &[b'x'; 90], b"\"}\n"].concat();
    let log = [&line.repeat(5000)[..], b"mark\n", &line.repeat(5000)[..]].concat();
    let file = file(&log);
    let part = &ranges(file.path(), &[])[0];
    let read = read_but(&unmarked, part, 16 << 20);
    let bytes: usize = read.iter().map(|(_, bytes, _)| bytes.len()).sum();
    assert!(read.iter().any(|(_, bytes, _)| bytes == b"mark\n"));
    assert!(bytes <= 64 << 10, "{bytes} bytes were read");
}

#[test]
fn parts_among_other_lines_are_read_and_joined() {
    let other = b"{\"a\":1}\n".repeat(20_000);
    let part = |flag: &str, text: &str| {
        format!("2026-11-23T17:21:01.912216789Z stdout {flag} {text}\n").into_bytes()
    };
    let passed = |lines: &[u8]| {
        let part = memmem::find(lines, part_mark::CRI[0]);
        let whole = part.map_or(lines.len(), |at| start_of_line(lines, at));
        whole.min(unmarked(lines))
    };
    let long = "x".repeat(16 << 10);
    let before = b"{\"mark\":\"no part\"}\n";
    let short = [before, &other[..(65_000 / 8) * 8]].concat();
    for (before, text) in [(&b""[..], &*long), (b"", ""), (&short, "")] {
        let (first, last) = (part("P", &format!("{text}ma")), part("F", "rked"));
        let log = [&other[..], before, &first, &other, &last, &other].concat();
        let file = file(&log);
        let read = read_but(&passed, &ranges(file.path(), &[])[0], 16 << 20);
        let joined = read
            .iter()
            .filter(|(_, bytes, _)| memmem::find(bytes, b"marked").is_some());
        assert_eq!(joined.count(), 1, "{} bytes before", before.len());
    }
}

#[test]
fn a_file_that_is_made_shorter_under_a_look_is_read_as_far_as_it_goes() {
    let log = b"{\"a\":1}\n".repeat(1_000_000);
    let file = file(&log);
    let looks = Cell::new(0);
    let passed = |lines: &[u8]| {
        looks.set(looks.get() + 1);
        if looks.get() == 3 {
            file.as_file().set_len(5_000_000).unwrap();
        }
        // All of it is touched.
        unmarked(lines)
    };
    let (read, result) = try_read(&passed, &ranges(file.path(), &[])[0], 16 << 20);
    let told = result.unwrap_err().to_string();
    assert!(told.contains("became shorter"), "{told}");
    let bytes: usize = read.iter().map(|(_, bytes, _)| bytes.len()).sum();
    // The first two looks passed what they saw.
    assert!((1..1_000_000).contains(&bytes), "{bytes} bytes were read");
    assert!(
        read.iter()
            .all(|(_, bytes, _)| b"{\"a\":1}\n".starts_with(bytes))
    );
}

#[test]
fn a_file_that_became_shorter_is_told_of_once() {
    let file = file(&b"{\"a\":1}\n".repeat(1000));
    let opened = opened(file.path());
    let whole = Part::Whole(opened.clone());
    let range = |start, end| Part::Range {
        file: opened.clone(),
        start,
        end,
    };
    let read = |part: &Part| try_read(&|_| 0, part, 1 << 20).1;
    assert!(read(&whole).is_ok());
    file.as_file().set_len(8080).unwrap();
    assert!(read(&whole).is_ok(), "longer is none");
    file.as_file().set_len(100).unwrap();
    let told = [range(0, 4096), range(4096, u64::MAX), whole].map(|part| read(&part).is_err());
    assert_eq!(told, [true, false, false]);
}

#[test]
fn a_file_that_became_shorter_before_it_was_opened_is_told_of() {
    let folder = TempDir::new().unwrap();
    let path = |name: &str| folder.path().join(name);
    for name in ["a.log", "b.log"] {
        fs::write(path(name), "{}\n{}\n").unwrap();
    }
    let found = find_all(&[folder.path().to_owned()], &|event| panic!("{event:?}"));
    fs::write(path("a.log"), "{}\n").unwrap();
    let mut plan = Plan::new(found.inputs);
    let mut tell = |event| panic!("{event:?}");
    let units = std::iter::from_fn(|| plan.next(&mut tell).unwrap());
    let told: Vec<_> = units
        .map(|unit| try_read(&|_| 0, &unit.part, 1000).1)
        .map(|result| result.map_err(|error| error.to_string()))
        .collect();
    let [first, second] = told.as_slice() else {
        panic!("{told:?}");
    };
    assert!(
        first
            .as_ref()
            .is_err_and(|told| told.contains("became shorter")),
        "{first:?}"
    );
    assert_eq!(second, &Ok(()));
}

#[test]
fn a_file_in_the_place_of_another_is_told_of() {
    let folder = TempDir::new().unwrap();
    let path = |name: &str| folder.path().join(name);
    for name in ["a.log", "b.log", "c.log"] {
        fs::write(path(name), "{}\n").unwrap();
    }
    let found = find_all(&[folder.path().to_owned()], &|event| panic!("{event:?}"));
    let mut plan = Plan::new(found.inputs);
    // As logrotate does.
    fs::rename(path("a.log"), path("a.log.1")).unwrap();
    fs::write(path("a.log"), "{}\n").unwrap();
    fs::remove_file(path("b.log")).unwrap();
    fs::create_dir(path("b.log")).unwrap();
    let mut told = Vec::new();
    let mut count = 0;
    while plan
        .next(&mut |event| told.push(format!("{event:?}")))
        .unwrap()
        .is_some()
    {
        count += 1;
    }
    assert_eq!((count, told.len()), (2, 2), "{told:?}");
    assert!(
        told[0].contains("a.log") && told[0].contains("not the file"),
        "{told:?}"
    );
    assert!(
        told[1].contains("b.log") && told[1].contains("no file any more"),
        "{told:?}"
    );
}

/// The names and kinds of all units.
fn units(mut plan: Plan) -> Vec<(String, &'static str)> {
    let mut units = Vec::new();
    while let Some(unit) = plan.next(&mut |event| panic!("{event:?}")).unwrap() {
        assert_eq!(unit.number, units.len() as u64);
        let part = match unit.part {
            Part::Stdin => "stdin",
            Part::Stream(_) => "stream",
            Part::Whole(_) => "whole",
            Part::Range { .. } => "range",
        };
        let name = Path::new(&*unit.name).file_name().unwrap();
        units.push((name.to_string_lossy().into_owned(), part));
    }
    units
}

fn plan(paths: &[PathBuf], range_bytes: u64) -> Plan {
    let found = find_all(paths, &|event| panic!("{event:?}"));
    Plan::with_ranges(found.inputs, range_bytes)
}

#[test]
fn only_what_is_one_record_a_line_is_divided() {
    let folder = TempDir::new().unwrap();
    let line = b"{\"a\":1}\n".repeat(100);
    let gzip = [b"\x1f\x8b\x08".as_slice(), &line].concat();
    let pretty = [b"{\n  \"items\": [\n".as_slice(), &line].concat();
    let blank = vec![b' '; 5000];
    for (name, bytes) in [
        ("a-lines", line.as_slice()),
        ("b-gzip", &gzip),
        ("c-pretty", &pretty),
        ("d-blank", &blank),
        ("e-short", b"{\"a\":1}\n"),
        ("f-empty", b""),
    ] {
        fs::write(folder.path().join(name), bytes).unwrap();
    }
    let units = units(plan(&[folder.path().to_owned()], 300));
    let wanted = [
        ("a-lines", "range"),
        ("a-lines", "range"),
        ("a-lines", "range"),
        ("b-gzip", "whole"),
        ("c-pretty", "whole"),
        ("d-blank", "whole"),
        ("e-short", "whole"),
        ("f-empty", "whole"),
    ];
    assert_eq!(units, wanted.map(|(name, part)| (name.to_owned(), part)));
}

/// Or one thread would search what could be shared.
#[test]
fn what_is_longer_than_a_quarter_of_a_range_is_divided() {
    let file = file(&b"{\"a\":1}\n".repeat(100));
    for (range_bytes, wanted) in [(3199, "range"), (3200, "whole")] {
        let units = units(plan(&[file.path().to_owned()], range_bytes));
        assert!(units.iter().all(|(_, part)| *part == wanted), "{units:?}");
    }
}

/// Or one thread would wait for another's last one.
#[test]
fn the_ranges_at_the_end_of_a_file_are_short() {
    let file = file(&b"{\"a\":1}\n".repeat(4 << 20));
    let (length, longest) = (32_u64 << 20, 9_u64 << 20);
    let mut plan = plan(&[file.path().to_owned()], longest);
    let mut lengths = Vec::new();
    let mut next = 0;
    while let Some(unit) = plan.next(&mut |event| panic!("{event:?}")).unwrap() {
        let Part::Range { start, end, .. } = unit.part else {
            panic!("{:?}", unit.part);
        };
        assert_eq!(start, next);
        next = end;
        lengths.push(end.min(length) - start);
    }
    assert_eq!(next, u64::MAX);
    assert!(lengths.iter().all(|bytes| *bytes <= 8 << 20), "{lengths:?}");
    assert!(lengths.is_sorted_by(|one, next| one >= next), "{lengths:?}");
    assert!(lengths.last().unwrap() <= &(2 << 20), "{lengths:?}");
    assert!(lengths.len() < 15, "{lengths:?}");
}

/// The inputs that `arguments` give, relative to `folder`, and what is told of the others.
fn found(folder: &Path, arguments: &[&str]) -> (Vec<(String, Kind)>, Vec<String>) {
    let arguments: Vec<_> = arguments
        .iter()
        .map(|argument| match *argument {
            "-" => "-".into(),
            path => folder.join(path),
        })
        .collect();
    let troubles = Mutex::new(Vec::new());
    let relative = |path: &Path| {
        let path = path.strip_prefix(folder).unwrap_or(path);
        path.display().to_string()
    };
    let tell = |event| {
        let (sort, remark): (_, Remark) = match event {
            Event::Trouble(remark) => ("", remark),
            Event::Passed(remark) => ("passed ", remark),
            other => panic!("{other:?}"),
        };
        let text = remark.to_string();
        let text = text.replace(&format!("{}/", folder.display()), "");
        troubles.lock().unwrap().push(format!("{sort}{text}"));
    };
    let mut inputs: Inputs = find_all(&arguments, &tell).inputs;
    let mut all = Vec::new();
    while let Some(Input { path, kind }) = inputs.next().unwrap() {
        all.push((relative(&path), kind));
    }
    (all, troubles.into_inner().unwrap())
}

#[test]
fn inputs_come_in_the_order_of_the_arguments_and_then_of_paths() {
    let folder = TempDir::new().unwrap();
    for path in [
        "logs/b",
        "logs/a/2",
        "logs/a/10",
        "logs/.hidden",
        "c-2",
        "c-1",
        "[",
    ] {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "x").unwrap();
    }
    let (inputs, troubles) = found(
        folder.path(),
        &["logs", "c-*", "-", "[", "logs/b", "logs/b"],
    );
    let wanted = [
        ("logs/.hidden", Kind::Listed),
        ("logs/a/10", Kind::Listed),
        ("logs/a/2", Kind::Listed),
        ("logs/b", Kind::Listed),
        ("c-1", Kind::Listed),
        ("c-2", Kind::Listed),
        ("-", Kind::Stdin),
        ("[", Kind::Named),
        ("logs/b", Kind::Named),
        ("logs/b", Kind::Named),
    ];
    assert_eq!(inputs, wanted.map(|(path, kind)| (path.to_owned(), kind)));
    assert_eq!(troubles, [""; 0]);
    // But no file is read twice, nor counted.
    let paths = [folder.path().join("logs"), folder.path().join("logs/b")];
    assert_eq!(units(plan(&paths, 100)).len(), 4);
    let found = find_all(&paths, &|event| panic!("{event:?}"));
    assert_eq!(found.bytes, Some(4));
}

#[test]
fn links_to_files_are_followed_and_loops_are_not() {
    let folder = TempDir::new().unwrap();
    let path = |name: &str| folder.path().join(name);
    fs::create_dir(path("logs")).unwrap();
    fs::write(path("target"), "x").unwrap();
    symlink(path("target"), path("logs/link")).unwrap();
    symlink(path("logs"), path("logs/loop")).unwrap();
    symlink(path("nowhere"), path("logs/dangling")).unwrap();
    symlink(path("logs"), path("alias")).unwrap();
    let (inputs, troubles) = found(folder.path(), &["alias"]);
    assert_eq!(inputs, [("alias/link".to_owned(), Kind::Listed)]);
    let mut troubles = troubles;
    troubles.sort();
    assert_eq!(troubles.len(), 2, "{troubles:?}");
    // Of a folder of which nobody knows whether files are in it, it is not said that there are none.
    fs::remove_file(path("target")).unwrap();
    assert_eq!(found(folder.path(), &["alias"]).1.len(), 3);
    assert!(
        troubles[0].starts_with("alias/dangling: No such file"),
        "{troubles:?}"
    );
    assert_eq!(
        troubles[1],
        "passed alias/loop: passed: a link to a directory"
    );
}

#[test]
fn a_pattern_of_nothing_but_what_is_passed_is_told() {
    let folder = TempDir::new().unwrap();
    mknodat(
        CWD,
        folder.path().join("fifo"),
        FileType::Fifo,
        Mode::RWXU,
        0,
    )
    .unwrap();
    let (inputs, troubles) = found(folder.path(), &["f*"]);
    assert_eq!(inputs, []);
    let wanted = [
        "passed fifo: passed: neither a file nor a directory",
        "f*: as a pattern it matches no file",
    ];
    assert_eq!(troubles, wanted);
    fs::write(folder.path().join("file"), "x").unwrap();
    assert_eq!(found(folder.path(), &["f*"]).1, wanted[..1]);
}

#[test]
fn what_is_not_there_is_told() {
    let folder = TempDir::new().unwrap();
    fs::create_dir(folder.path().join("empty")).unwrap();
    // Whether there is such a file nobody can tell.
    let long = format!("e*/{}", "x".repeat(300));
    let (inputs, troubles) = found(
        folder.path(),
        &["none", "*.log", "empty", "a[", "\u{1b}[31m", &long],
    );
    assert_eq!(inputs, []);
    let beginnings = [
        "none: No such file",
        "*.log: there is no such file, and as a pattern it matches nothing",
        "empty: there is no file",
        "a[: there is no such file",
        "\\u{1b}",
        "empty/xxx",
    ];
    assert_eq!(troubles.len(), beginnings.len(), "{troubles:?}");
    for (trouble, beginning) in troubles.iter().zip(beginnings) {
        assert!(
            trouble.starts_with(beginning),
            "{trouble} should begin with {beginning}"
        );
    }
}

fn rules() -> Rules {
    let text = crate::config::Text {
        name: "x.yaml".into(),
        format: crate::config::Format::Yaml,
        text: "decoys: [{ service_account: honeypot/backup-sa }]\n\
               sources: { audit: { type: stdin } }\n\
               transforms: { found: { type: detect, inputs: [audit] } }\n\
               sinks: { terminal: { type: console, inputs: [found] } }\n"
            .into(),
    };
    Rules::new(&crate::config::parse(&[text], &|_| None).unwrap().pipeline).unwrap()
}

#[test]
fn the_line_in_which_a_search_is_stopped_is_no_record() {
    let line = format!("{{\"a\":\"{}\"}}\n", "b".repeat(1000));
    let file = file(line.repeat(5000).as_bytes());
    let range = Part::Range {
        file: opened(file.path()),
        start: 0,
        end: u64::MAX,
    };
    for part in [Part::Whole(opened(file.path())), range] {
        let lines = read_until_stopped(&part);
        assert!(!lines.is_empty());
        for (at, bytes, _) in lines {
            assert_eq!(bytes.len(), line.len(), "{part:?} {at}");
        }
    }
}

#[test]
fn the_half_line_that_a_pipe_had_when_a_search_is_stopped_is_no_record() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("pipe");
    mknodat(CWD, &path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    let stop = Stop::new().unwrap();
    let mut taken = Taken {
        lines: Vec::new(),
        passed: &|_| 0,
    };
    // A FIFO that this process has opened to read and to write has a writer as long.
    let mut writer = File::options().read(true).write(true).open(&path).unwrap();
    writer.write_all(b"{\"a\":1}\n{\"a\":").unwrap();
    let mut reader = Reader {
        max_line_bytes: 16 << 20,
        mapped_bytes: 2 << 20,
        take: &mut taken,
        progress: &|_| {
            stop.trigger();
            Ok(())
        },
        stop: &stop,
    };
    assert!(reader.read(&Part::Stream(path)).is_err());
    let lines: Vec<_> = taken.lines.into_iter().map(|(_, bytes, _)| bytes).collect();
    assert_eq!(lines, [b"{\"a\":1}\n"]);
}

/// Where detections are, by so many threads that share ranges of so many bytes.
fn places(log: &str, threads: usize, range_bytes: u64) -> Vec<String> {
    let file = file(log.as_bytes());
    let plan = plan(&[file.path().to_owned()], range_bytes);
    let threads = NonZeroUsize::new(threads).unwrap();
    let troubles = Mutex::new(Vec::new());
    let tell = |event| {
        if let Event::Trouble(trouble) = event {
            troubles.lock().unwrap().push(trouble);
        }
    };
    let watch = Watch {
        tell: &tell,
        stop: &Stop::new().unwrap(),
    };
    let searched = search_units(plan, &rules(), Window::default(), threads, watch).unwrap();
    assert_eq!(troubles.into_inner().unwrap(), []);
    let mut places = Vec::new();
    searched
        .ordered
        .each(|detection, _| {
            assert_eq!(detection.technique, Technique::TokenUse);
            let position = detection.origin.position.clone().unwrap();
            places.push(position.rsplit(':').next().unwrap().to_owned());
            Ok(())
        })
        .unwrap();
    places
}

/// A hit. All are of the same moment: only their places put them in order.
fn hit(number: usize) -> String {
    format!(
        "{{\"kind\":\"Event\",\"apiVersion\":\"audit.k8s.io/v1\",\"auditID\":\"{number}\",\"stage\":\"ResponseComplete\",\
         \"verb\":\"list\",\"user\":{{\"username\":\"system:serviceaccount:honeypot:backup-sa\"}},\
         \"requestReceivedTimestamp\":\"2026-11-23T17:21:08.912184Z\"}}\n"
    )
}

#[test]
fn neither_threads_nor_the_length_of_ranges_change_what_is_found() {
    // A range costs more than a hit, and of one byte there are many.
    for (hits, threads, range_bytes) in [(200, 1, 1000), (20, 2, 1), (200, 4, 333), (200, 9, 5000)]
    {
        let log: String = (0..hits).map(hit).collect();
        let wanted = places(&log, 1, 1 << 20);
        assert_eq!(wanted.len(), hits);
        assert!(
            places(&log, threads, range_bytes) == wanted,
            "{threads} {range_bytes}"
        );
    }
}

#[test]
fn records_that_a_container_runtime_cut_are_found_whatever_the_ranges() {
    let cut = |number: usize| {
        let hit = hit(number);
        // No part names anything.
        let (head, rest) = hit.split_at(hit.find("eypot").unwrap());
        let (middle, tail) = rest.split_at(rest.find("kup-sa").unwrap());
        let time = "2026-11-23T17:21:01.912216789Z stdout";
        format!("{time} P {head}\n{time} P {middle}\n{time} F {tail}")
    };
    let clean = "{\"a\":\"clean\"}\n";
    // As one log, and with other lines in front and behind.
    let log: String = (0..200).map(cut).collect();
    let behind = clean.repeat(30_000) + &log;
    let between = behind.clone() + &clean.repeat(100_000);
    for log in [log, behind, between] {
        let wanted = places(&log, 1, 1 << 30);
        assert_eq!(wanted.len(), 200);
        for range_bytes in [1000, 333, 5000, 100_000, 1_000_000] {
            assert!(places(&log, 2, range_bytes) == wanted, "{range_bytes}");
        }
    }
}

#[test]
fn parts_that_are_longer_than_what_is_looked_at_are_found_whatever_the_ranges() {
    let time = "2026-11-23T17:21:01.912216789Z stdout";
    let pad = "x".repeat(250_000);
    let cut = |number: usize| {
        let hit = hit(number).replacen('{', &format!("{{\"pad\":\"{pad}\","), 1);
        let (head, tail) = hit.split_at(hit.find("eypot").unwrap());
        format!("{time} P {head}\n{time} F {tail}")
    };
    let long = format!("{{\"a\":\"{pad}\"}}\n");
    let parts: String = (0..5).map(cut).collect();
    for log in [parts.clone(), long.repeat(2) + &parts] {
        let wanted = places(&log, 1, 1 << 30);
        assert_eq!(wanted.len(), 5);
        for range_bytes in [150_000, 200_000, 333_333] {
            assert!(places(&log, 2, range_bytes) == wanted, "{range_bytes}");
        }
    }
    // Ordinary lines of that length are shared all the same.
    let file = file(long.repeat(4).as_bytes());
    let units = units(plan(&[file.path().to_owned()], 150_000));
    assert_eq!(units.len(), 7);
}

#[test]
fn rows_of_csv_are_read_by_the_names_of_their_columns_whatever_the_ranges() {
    let hits = (0..200).map(|number| {
        let user = r#"{""username"":""system:serviceaccount:honeypot:backup-sa""}"#;
        format!("{number},list,\"{user}\",ResponseComplete,/api/v1/pods\n")
    });
    let quiet = "x,get,\"{\"\"username\"\":\"\"jane\"\"}\",ResponseComplete,/api\n";
    let hits: Vec<String> = hits.collect();
    let names = "AuditId,Verb,User,Stage,RequestUri\n".to_owned();
    for log in [
        names.clone() + &hits.concat(),
        names + &quiet.repeat(20_000) + &hits.join(&quiet.repeat(50)),
    ] {
        let wanted = places(&log, 1, 1 << 30);
        assert_eq!(wanted.len(), 200);
        for range_bytes in [1000, 5000, 100_000] {
            assert!(places(&log, 2, range_bytes) == wanted, "{range_bytes}");
        }
    }
}

#[test]
fn documents_over_many_lines_are_found_whatever_the_ranges() {
    let pretty = |event: &serde_json::Value| serde_json::to_string_pretty(event).unwrap() + "\n";
    // Short and long ones, by turns a hit and another's whose body is full of what looks like one.
    let document = |number: usize| {
        let mut event: serde_json::Value = serde_json::from_str(&hit(number)).unwrap();
        let items = if number.is_multiple_of(7) { 400 } else { 4 };
        event["requestObject"] = match number % 2 {
            0 => vec!["x".repeat(200); items].into(),
            _ => vec![serde_json::json!({"log": hit(0)}); items].into(),
        };
        if number % 2 == 1 {
            event["user"]["username"] = "jane".into();
        }
        pretty(&event)
    };
    let clean = "{\"a\":\"clean\"}\n";
    let documents: Vec<String> = (0..200).map(document).collect();
    for log in [
        clean.to_owned() + &documents.concat(),
        clean.to_owned() + &documents.join(clean),
        clean.repeat(30_000) + &documents.join(&clean.repeat(3000)),
    ] {
        let wanted = places(&log, 1, 1 << 30);
        assert_eq!(wanted.len(), 100);
        for range_bytes in [1000, 333, 5000, 100_000, 1_000_000] {
            assert!(places(&log, 2, range_bytes) == wanted, "{range_bytes}");
        }
    }
}
