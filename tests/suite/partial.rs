//! Lines that a container runtime cut: what is found is what the uncut log would give.

use std::sync::LazyLock;

use crate::recordings::{decoy, recording};
use baitline::{
    detect::{Config, Detection, Detector, Technique},
    record::framing::{Framer, Piece},
    source::{Block, Shape},
};
use jiff::Timestamp;
use proptest::{collection::vec, prelude::*, sample::Index};

const TIME: &str = "2026-11-23T17:21:01.912216789Z";

static RECORDED: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    let names = ["metadata", "request-response"];
    let logs = names.map(|name| recording(name, "audit.ndjson.gz"));
    let lines = logs.iter().flat_map(|log| log.split(|byte| *byte == b'\n'));
    let lines = lines.filter(|line| !line.is_empty());
    lines.map(<[u8]>::to_vec).collect()
});

/// Writes a text in parts, as a runtime does.
type Runtime = fn(stream: &str, parts: &[&[u8]]) -> Vec<u8>;

const RUNTIMES: [Runtime; 2] = [cri, docker];

fn cri(stream: &str, parts: &[&[u8]]) -> Vec<u8> {
    let mut lines = Vec::new();
    for (number, part) in parts.iter().enumerate() {
        let tag = if number + 1 < parts.len() { "P" } else { "F" };
        lines.extend_from_slice(format!("{TIME} {stream} {tag} ").as_bytes());
        lines.extend_from_slice(part);
        lines.push(b'\n');
    }
    lines
}

fn docker(stream: &str, parts: &[&[u8]]) -> Vec<u8> {
    let mut lines = Vec::new();
    for (number, part) in parts.iter().enumerate() {
        let newline = if number + 1 < parts.len() { "" } else { "\n" };
        let log = String::from_utf8_lossy(part) + newline;
        let line = serde_json::json!({"log": log, "stream": stream, "time": TIME});
        // In Docker's order, which is also that of the alphabet.
        lines.extend_from_slice(line.to_string().as_bytes());
        lines.push(b'\n');
    }
    lines
}

fn detector() -> Detector {
    let decoys = [decoy("honeypot", "backup-sa", true)];
    Detector::new(&Config::default(), &decoys, None, "test".into()).expect("the globs are globs")
}

/// What is found in `log`, read in pieces of the given lengths. The place in the log is not compared.
fn found(log: &[u8], reads: &[usize]) -> Vec<Detection> {
    let (mut detector, mut detections) = (detector(), Vec::new());
    let mut scan = |piece: Piece<'_>| {
        let block = Block {
            bytes: piece.bytes,
            shape: piece.shape,
            header: piece.header,
            first_part: piece.first_part,
            provenance: &|_| String::new().into(),
        };
        detector.scan(&block, Timestamp::UNIX_EPOCH, &mut detections);
    };
    let mut framer = Framer::new(16 << 20);
    let mut rest = log;
    for length in reads.iter().cycle() {
        let space = framer.space(*length);
        let read = space.len().min(rest.len()).min(*length);
        space[..read].copy_from_slice(&rest[..read]);
        rest = &rest[read..];
        framer.commit(read, &mut scan);
        if rest.is_empty() {
            break;
        }
    }
    framer.finish(&mut scan);
    detections.sort_by_key(|detection| detection.detection_id);
    detections
}

/// An event with so long a user agent that the name of the user, which comes behind it, begins `before` bytes in front of the
/// cut after 16 KiB.
fn padded(before: usize) -> Vec<u8> {
    let event = |padding: usize| {
        let agent = "x".repeat(padding);
        format!(
            r#"{{"kind":"Event","apiVersion":"audit.k8s.io/v1","auditID":"1","stage":"ResponseComplete","verb":"list","userAgent":"{agent}","user":{{"username":"system:serviceaccount:honeypot:backup-sa"}},"requestReceivedTimestamp":"2026-11-23T17:21:08.912184Z"}}"#
        )
    };
    let name = event(0).find("honeypot").expect("it is there");
    event((16 << 10) - before - name).into_bytes()
}

#[test]
fn padding_cannot_cut_a_name_in_two() {
    for runtime in RUNTIMES {
        let mut missed = 0;
        for before in 1.."honeypot:backup-sa".len() {
            let event = padded(before);
            let parts: Vec<&[u8]> = event.chunks(16 << 10).collect();
            let log = runtime("stdout", &parts);
            let detections = found(&log, &[usize::MAX]);
            assert_eq!(detections.len(), 1, "{before} bytes before the cut");
            assert_eq!(detections[0].technique, Technique::TokenUse);

            let mut unjoined = Vec::new();
            let block = Block {
                bytes: &log,
                shape: Shape::Lines,
                header: None,
                first_part: None,
                provenance: &|_| String::new().into(),
            };
            detector().scan(&block, Timestamp::UNIX_EPOCH, &mut unjoined);
            missed += usize::from(unjoined.is_empty());
        }
        // Docker's look like a shipper's, which the detector joins by itself.
        let is_docker = std::ptr::fn_addr_eq(runtime, docker as Runtime);
        assert_eq!(missed > 0, !is_docker, "without joining");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_cut_finds_what_the_uncut_log_gives(
        events in vec((any::<Index>(), vec(any::<Index>(), 0..6), any::<bool>()), 1..20),
        order in vec(any::<bool>(), 0..40),
        reads in vec(100usize..300_000, 1..5),
        runtime in 0..RUNTIMES.len(),
    ) {
        let runtime = RUNTIMES[runtime];
        let mut uncut = Vec::new();
        let mut streams = [Vec::new(), Vec::new()];
        for (event, cuts, is_stderr) in &events {
            let event = event.get(&RECORDED);
            let stream = ["stdout", "stderr"][usize::from(*is_stderr)];
            uncut.extend(runtime(stream, &[event]));
            let mut bounds: Vec<usize> = cuts.iter().map(|cut| 1 + cut.index(event.len() - 1)).collect();
            bounds.extend([0, event.len()]);
            bounds.sort_unstable();
            bounds.dedup();
            let parts: Vec<&[u8]> = bounds.windows(2).map(|bound| &event[bound[0]..bound[1]]).collect();
            let lines = runtime(stream, &parts);
            let lines = lines.split_inclusive(|byte| *byte == b'\n');
            streams[usize::from(*is_stderr)].extend(lines.map(<[u8]>::to_vec));
        }
        let mut streams = streams.map(Vec::into_iter);
        let mut cut = Vec::new();
        for stream in order.iter().chain(&[false, true]).cycle() {
            cut.extend(streams[usize::from(*stream)].next().unwrap_or_default());
            if streams.iter().all(|stream| stream.len() == 0) {
                break;
            }
        }
        prop_assert_eq!(found(&cut, &reads), found(&uncut, &[usize::MAX]));
    }
}

/// Parts of any length, as conmon writes them, each record among so many other lines that few of those one looks at are a runtime's.
/// What stands behind its tabs looks like the names of an event's fields.
#[test]
fn a_part_in_the_first_line_is_no_header() {
    let event = padded(3);
    let (head, tail) = event.split_at(16 << 10);
    let names = b"x\tauditID\tverb\tstage\tuser.username".as_slice();
    let log = [cri("stdout", &[names, b""]), cri("stdout", &[head, tail])].concat();
    let all = found(&log, &[1 << 20]);
    assert_eq!(all.len(), 1, "{all:?}");
    assert_eq!(all[0].technique, Technique::TokenUse);
}

/// A shipper may strip the newline by which a line that was cut is told from one that was not.
#[test]
fn an_event_that_is_whole_is_no_part_however_long_it_is() {
    let docker = |event: &[u8]| {
        let log = String::from_utf8_lossy(event);
        serde_json::json!({"log": log, "stream": "stdout", "time": TIME}).to_string() + "\n"
    };
    let long = padded(0);
    let short = String::from_utf8(long.clone())
        .expect("text")
        .replace("\"auditID\":\"1\"", "\"auditID\":\"2\"");
    let short = short.replace(&"x".repeat(16 << 9), "");
    let log = docker(&long)
        + &docker(short.as_bytes())
        + &docker(&long).replace("\\\"1\\\"", "\\\"3\\\"");
    let all = found(log.as_bytes(), &[1 << 20]);
    assert_eq!(all.len(), 3, "{all:?}");
    assert!(all.iter().all(|one| one.technique == Technique::TokenUse));
}

#[test]
fn parts_among_other_lines_are_joined_however_they_are_read() {
    let event = |number: usize| {
        format!(
            r#"{{"kind":"Event","apiVersion":"audit.k8s.io/v1","auditID":"{number}","stage":"ResponseComplete","verb":"list","user":{{"username":"system:serviceaccount:honeypot:backup-sa"}},"requestReceivedTimestamp":"2026-11-23T17:21:08.912184Z"}}"#
        )
    };
    for (between, last) in [("", "\n"), ("I1123 17:21:01 between\n", "\r\n")] {
        let mut log = String::new();
        for number in 1..=40 {
            let event = event(number);
            let (first, rest) = event.split_at(event.find("eypot:").expect("it is there"));
            for line in 0..200 {
                log += &format!(
                    "I1123 17:21:01.{line:06} 1 trace.go:236] \"List\" stdout P: {number}ms\n"
                );
            }
            log += &format!("{TIME} stderr P {first}\n{between}{TIME} stderr F {rest}{last}");
        }
        let whole = found(log.as_bytes(), &[usize::MAX]);
        assert_eq!(whole.len(), 40);
        assert!(whole.iter().all(|one| one.technique == Technique::TokenUse));
        for reads in [
            &[1][..],
            &[100, 7000],
            &[4096],
            &[9000, 70_000],
            &[64 << 10],
        ] {
            assert_eq!(found(log.as_bytes(), reads), whole, "{reads:?}");
        }
    }
}
