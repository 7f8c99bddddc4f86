//! Lines that a container runtime cut and a shipper passed on part by part, each in a record: what is found is what the uncut
//! lines would give.

mod shippers;

use std::{collections::HashSet, sync::LazyLock};

use baitline::{
    detect::{Detection, Detector, Technique},
    record::{
        framing::{Framer, Piece as Framed},
        msgpack, protobuf,
    },
    source::{Block, Provenance, Shape},
};
use jiff::{SignedDuration, Timestamp};
use proptest::{collection::vec, prelude::*, sample::Index};
use serde_json::{Value as Json, json};

use shippers::{
    FORMS, SHIPPERS, UNMARKED_LAST, docker_file, fluentd, forward, journald_of_service, lines,
    log_first, shipped, vector, whole_lines,
};

use crate::{
    msgpack::soundness::{HONEYPOT, RECORDED, detector},
    soundness::{escaped, events, run_with, wrapped},
};

static EVENTS: LazyLock<Vec<String>> =
    LazyLock::new(|| RECORDED.iter().map(Json::to_string).collect());

/// What is found in blocks, one after the other, in the order of ids.
fn found(blocks: impl IntoIterator<Item = (Shape, Vec<u8>)>) -> Vec<Detection> {
    let (mut detector, mut found) = (detector(HONEYPOT), Vec::new());
    let mut count = 0;
    for (shape, bytes) in blocks {
        scan(&mut detector, shape, &bytes, &mut found);
        count += 1;
    }
    assert!(count > 0, "nothing was looked at");
    detector.finish(Timestamp::UNIX_EPOCH, &mut found);
    found.sort_by_key(|detection| detection.detection_id);
    found
}

fn scan(detector: &mut Detector, shape: Shape, bytes: &[u8], found: &mut Vec<Detection>) {
    let block = Block {
        bytes,
        shape,
        header: None,
        first_part: None,
        provenance: &|_| Provenance::default(),
    };
    detector.scan(&block, Timestamp::UNIX_EPOCH, found);
}

/// As [`found`], of lines that come through a pipe.
fn found_in_pipe(lines: &[u8], reads: &[usize]) -> Vec<Detection> {
    let mut blocks = Vec::new();
    let mut keep = |piece: Framed<'_>| {
        blocks.push((piece.shape, piece.bytes.to_vec()));
    };
    let mut framer = Framer::new(16 << 20);
    let mut rest = lines;
    for length in reads.iter().cycle() {
        let space = framer.space(*length);
        let read = space.len().min(rest.len()).min(*length);
        space[..read].copy_from_slice(&rest[..read]);
        rest = &rest[read..];
        framer.commit(read, &mut keep);
        if rest.is_empty() {
            break;
        }
    }
    framer.finish(&mut keep);
    found(blocks)
}

/// The records of a block as JSON, one a line.
fn one_a_line(shape: Shape, bytes: Vec<u8>) -> Vec<u8> {
    match shape {
        Shape::MessagePack => written(&bytes, msgpack::entries(&bytes), msgpack::write_entry),
        Shape::PushEvents => written(&bytes, protobuf::entries(&bytes), protobuf::write_entry),
        Shape::Value => bytes
            .into_iter()
            .map(|byte| if byte == b'\n' { b' ' } else { byte })
            .collect(),
        _ => bytes,
    }
}

fn written<'b, E>(
    bytes: &'b [u8],
    entries: impl Iterator<Item = Result<&'b [u8], E>>,
    write: fn(&[u8], &mut Vec<u8>),
) -> Vec<u8> {
    let (mut lines, mut rest) = (Vec::new(), bytes);
    for entry in entries {
        // What cannot be read is one, to the end.
        let entry = entry.unwrap_or(rest);
        write(entry, &mut lines);
        lines.push(b'\n');
        rest = &rest[entry.len()..];
    }
    lines
}

/// An event of the decoy so long that its name lies across the end of the first part.
fn padded(before: usize) -> String {
    let event = |padding: usize| {
        json!({"kind": "Event", "apiVersion": "audit.k8s.io/v1", "auditID": "1", "requestURI": "x".repeat(padding),
            "requestReceivedTimestamp": "2026-11-23T17:21:08.912184Z", "stage": "ResponseComplete",
            "user": {"username": "system:serviceaccount:honeypot:backup-sa"}, "verb": "list"})
        .to_string()
    };
    let name = event(0).find("honeypot").expect("it is there");
    event((16 << 10) - before - name)
}

fn techniques(found: &[Detection]) -> Vec<Technique> {
    found.iter().map(|detection| detection.technique).collect()
}

#[test]
fn padding_cannot_cut_a_name_in_two() {
    for shipper in SHIPPERS {
        for form in FORMS {
            for before in [1, 5, 9, 17] {
                let records = shipped(shipper, &padded(before), &[16 << 10], (0, 0));
                let together = found([form(&records)]);
                assert_eq!(techniques(&together), [Technique::TokenUse], "{records:?}");
                let apart = found(records.chunks(1).map(form));
                assert_eq!(apart, together);
                let whole = found([form(&shipped(shipper, &padded(before), &[], (0, 0)))]);
                assert_eq!(apart, whole);
            }
        }
    }
}

#[test]
fn what_docker_cut_is_joined_where_the_order_of_its_fields_was_left() {
    for before in [1, 5, 9, 17] {
        let event = padded(before);
        let whole = shipped(docker_file, &event, &[], (0, 0));
        let longer = event.replace(
            "\"verb\"",
            &format!("\"userAgent\":\"{}\",\"verb\"", "y".repeat(20 << 10)),
        );
        for (event, cuts) in [(&event, &[16 << 10][..]), (&longer, &[16 << 10, 32 << 10])] {
            let records = shipped(docker_file, event, cuts, (0, 0));
            for form in [log_first, forward] {
                let together = found([form(&records)]);
                assert_eq!(techniques(&together), [Technique::TokenUse], "{before}");
                assert_eq!(found(records.chunks(1).map(form)), together);
                let others = [&records[..1], &whole, &records[1..]].concat();
                assert_eq!(
                    techniques(&found([form(&others)])),
                    [Technique::TokenUse; 2]
                );
            }
        }
    }
}

#[test]
fn lines_of_cri_that_a_shipper_kept_whole_are_joined() {
    for before in [1, 5, 9] {
        let event = padded(before);
        let cut = event.rfind("honeypot:").expect("it is there") + before;
        let records = shipped(whole_lines, &event, &[cut], (0, 0));
        let other = shipped(whole_lines, "{\"a\":1}", &[], (1, 0));
        for form in FORMS {
            let together = found([form(&records)]);
            assert_eq!(techniques(&together), [Technique::TokenUse], "{records:?}");
            assert_eq!(found(records.chunks(1).map(form)), together);
            let mixed = [&records[..1], &other, &records[1..]].concat();
            assert_eq!(techniques(&found([form(&mixed)])), [Technique::TokenUse]);
        }
        let records = shipped(whole_lines, &event, &[event.len() - 3], (0, 0));
        let lone = found([lines(&records[..1])]);
        assert_eq!(techniques(&lone), [Technique::Undecodable]);
        let whole = found([lines(&shipped(whole_lines, &event, &[], (0, 0)))]);
        assert_eq!(techniques(&whole), [Technique::TokenUse]);
    }
}

#[test]
fn a_lone_part_is_told_of_when_nothing_can_follow_it_and_not_before() {
    let event = padded(0).replace("honeypot", "honeypot:backup-sa honeypot");
    for shipper in SHIPPERS {
        let records = shipped(shipper, &event, &[event.len() - 3], (0, 0));
        for form in FORMS {
            let (shape, bytes) = form(&records[..1]);
            let (mut detector, mut found) = (detector(HONEYPOT), Vec::new());
            scan(&mut detector, shape, &bytes, &mut found);
            assert_eq!(found, []);
            detector.finish(Timestamp::UNIX_EPOCH, &mut found);
            assert_eq!(techniques(&found), [Technique::Undecodable]);
            found.clear();
            detector.finish(Timestamp::UNIX_EPOCH, &mut found);
            assert_eq!(found, []);
        }
    }
}

#[test]
fn a_part_is_waited_for_a_minute() {
    let records = shipped(fluentd, &padded(3), &[16 << 10], (0, 0));
    let parts = [lines(&records[..1]), lines(&records[1..])];
    let noise = format!("{}\n", json!("x".repeat(1 << 20))).into_bytes();
    for (seconds, noises, wanted) in [(60, 15, &[Technique::TokenUse][..]), (61, 0, &[])] {
        let (mut detector, mut found) = (detector(HONEYPOT), Vec::new());
        let mut scan = |(shape, bytes): (Shape, &[u8]), seconds| {
            let block = Block {
                bytes,
                shape,
                header: None,
                first_part: None,
                provenance: &|_| Provenance::default(),
            };
            let arrival = Timestamp::UNIX_EPOCH + SignedDuration::from_secs(seconds);
            detector.scan(&block, arrival, &mut found);
        };
        scan((parts[0].0, &parts[0].1), 0);
        for _ in 0..noises {
            scan((Shape::Lines, &noise), 0);
        }
        scan((Shape::Lines, b"{}\n"), seconds);
        scan((parts[1].0, &parts[1].1), seconds);
        detector.finish(Timestamp::UNIX_EPOCH, &mut found);
        assert_eq!(techniques(&found), wanted, "{seconds} {noises}");
    }
}

#[test]
fn no_part_of_another_stream_hides_an_event() {
    let event = padded(3);
    let lone = "{\"a\":\"".to_owned() + &"x".repeat(16 << 10);
    for shipper in SHIPPERS {
        for form in FORMS {
            let whole = shipped(shipper, &event, &[], (0, 0));
            let cut = shipped(shipper, &event, &[16 << 10], (0, 0));
            let lone = &shipped(shipper, &lone, &[16 << 10], (2, 0))[..1];
            for records in [
                [lone, &whole].concat(),
                [lone, &cut].concat(),
                [&cut[..1], lone, &cut[1..]].concat(),
                [lone, &cut[..1], lone, lone, &cut[1..]].concat(),
            ] {
                for blocks in [1, records.len()] {
                    let found = found(records.chunks(blocks).map(form));
                    assert_eq!(techniques(&found), [Technique::TokenUse], "{records:?}");
                }
            }
        }
    }
}

/// As where no shipper says which pod wrote a line.
#[test]
fn a_part_before_an_event_hides_it_not_even_in_the_same_stream() {
    let event = padded(3);
    let lone = "{\"a\":\"".to_owned() + &"x".repeat(16 << 10);
    for shipper in SHIPPERS {
        let lone = &shipped(shipper, &lone, &[16 << 10], (0, 0))[..1];
        let whole = shipped(shipper, &event, &[], (0, 1));
        let cut = shipped(shipper, &event, &[16 << 10], (0, 2));
        for records in [
            [lone, &whole].concat(),
            [lone, &cut].concat(),
            [lone, &whole, &cut].concat(),
            [&cut[..1], &whole, &cut[1..]].concat(),
            [lone, lone, &whole, lone, &cut].concat(),
        ] {
            let found = found(records.chunks(1).map(lines));
            let count = records
                .iter()
                .filter(|record| whole.contains(record))
                .count();
            let count = count + usize::from(cut.iter().all(|part| records.contains(part)));
            assert_eq!(
                techniques(&found),
                vec![Technique::TokenUse; count],
                "{records:?}"
            );
        }
    }
}

/// Parts of somebody's event, the body of which looks like events of the decoy.
#[test]
fn no_text_of_a_client_becomes_an_event_however_parts_are_lost() {
    let forged: Json = serde_json::from_str(&padded((16 << 10) - 300)).expect("it is JSON");
    let event = json!({"kind": "Event", "apiVersion": "audit.k8s.io/v1", "auditID": "quiet", "verb": "create",
        "user": {"username": "jane"}, "requestObject": {"a": forged, "b": [forged.to_string(), forged]}})
    .to_string();
    let places: Vec<usize> = memchr::memmem::find_iter(event.as_bytes(), "{\"").collect();
    let ends = memchr::memmem::find_iter(event.as_bytes(), "}").map(|at| at + 1);
    let cuts: Vec<usize> = places
        .iter()
        .copied()
        .chain(ends)
        .filter(|at| *at > 0 && *at < event.len())
        .collect();
    for (number, shipper) in SHIPPERS.into_iter().enumerate() {
        for one in &cuts {
            for other in cuts.iter().filter(|other| *other > one) {
                let records = shipped(shipper, &event, &[*one, *other], (0, 0));
                for kept in 0..8 {
                    let records: Vec<Json> = (0..3)
                        .filter(|part| kept >> part & 1 == 1)
                        .map(|part| records[part].clone())
                        .collect();
                    // What bears no mark cannot be told from a line that was never cut.
                    if records.is_empty() || kept == 4 && number >= UNMARKED_LAST {
                        continue;
                    }
                    let found = found([lines(&records)]);
                    let is_told =
                        |detection: &Detection| detection.technique != Technique::Undecodable;
                    assert!(
                        !found.iter().any(is_told),
                        "{kept} {one} {other}: {records:?}"
                    );
                }
            }
        }
    }
}

/// Journald cuts far longer lines than container runtimes, and says so; with blanks the client chooses where.
#[test]
fn what_stands_alone_in_a_part_of_journald_is_no_event() {
    let forged = padded(1);
    let blanks = " ".repeat(48 << 10);
    let event = json!({"kind": "Event", "apiVersion": "audit.k8s.io/v1", "auditID": "quiet", "verb": "create",
        "user": {"username": "jane"}, "requestObject": {"a": format!("{blanks}@{blanks}")}})
    .to_string()
    .replace('@', &forged);
    let cuts = [48 << 10, 96 << 10];
    let records = shipped(journald_of_service, &event, &cuts, (0, 0));
    let inner = records[1]["MESSAGE"].as_str().expect("a text").trim();
    assert_eq!(inner, forged, "it is all of the part");
    for records in [&records[..], &records[1..2], &records[1..], &records[..2]] {
        let found = techniques(&found([lines(records)]));
        let is_told = |technique: &Technique| *technique != Technique::Undecodable;
        assert!(!found.iter().any(is_told), "{found:?}");
    }
}

#[test]
fn what_is_kept_is_bounded_and_the_longest_goes_first() {
    let cut = shipped(vector, &padded(3), &[16 << 10], (0, 0));
    let long = shipped(vector, &"x".repeat(1 << 20), &[(1 << 20) - 1], (1, 0));
    let records = [&long[..1]; 14].into_iter().chain([&cut[..1]]);
    let records = records.chain([&long[..1]; 10]).chain([&cut[1..]]);
    let found = found(records.map(lines));
    assert_eq!(techniques(&found), [Technique::TokenUse]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn any_cut_finds_what_the_uncut_lines_give(
        events in vec((any::<Index>(), vec(any::<Index>(), 0..5), 0..4_usize), 1..12),
        order in vec(0..4_usize, 0..40),
        blocks in vec(1..7_usize, 1..5),
        reads in vec(100..100_000_usize, 1..5),
        shipper in 0..SHIPPERS.len(),
        form in 0..FORMS.len(),
    ) {
        let (shipper, form) = (SHIPPERS[shipper], FORMS[form]);
        let mut uncut = Vec::new();
        let mut streams = [(); 4].map(|()| Vec::new());
        let mut known = HashSet::new();
        for (line, (event, cuts, stream)) in events.iter().enumerate() {
            let event = event.get(&EVENTS);
            // Of what a record holds twice it is told once.
            if !known.insert(event) {
                continue;
            }
            let place = (*stream, line);
            uncut.extend(shipped(shipper, event, &[], place));
            let cuts = cuts.iter().map(|cut| 1 + cut.index(event.len() - 1));
            let cuts: Vec<usize> = cuts.filter(|cut| event.is_char_boundary(*cut)).collect();
            streams[*stream].extend(shipped(shipper, event, &cuts, place));
        }
        let mut streams = streams.map(Vec::into_iter);
        let mut cut = Vec::new();
        for stream in order.iter().chain(&[0, 1, 2, 3]).cycle() {
            cut.extend(streams[*stream].next());
            if streams.iter().all(|stream| stream.len() == 0) {
                break;
            }
        }
        let mut rest = &cut[..];
        let mut sent = Vec::new();
        for count in blocks.iter().cycle() {
            let (block, others) = rest.split_at(rest.len().min(*count));
            sent.push(form(block));
            rest = others;
            if rest.is_empty() {
                break;
            }
        }
        let wanted = found([form(&uncut)]);
        prop_assert_eq!(&found(sent), &wanted);
        for lines in [lines, log_first] {
            let in_pipe = found_in_pipe(&lines(&cut).1, &reads);
            let wanted = found_in_pipe(&lines(&uncut).1, &reads);
            prop_assert_eq!(&in_pipe, &wanted);
        }
    }

    #[test]
    fn the_scan_finds_in_parts_what_decoding_finds(
        names in prop::sample::select(vec![("honeypot", "backup-sa"), ("ci", "x1"), ("logtag", "partial")]),
        layers in vec(0..4_u8, 0..=2),
        cuts in vec(any::<Index>(), 1..4),
        shipper in 0..SHIPPERS.len(),
        form in 0..FORMS.len(),
        whole_namespace in any::<bool>(),
        dice in vec(0..9_u8, 64),
        damage in vec((any::<Index>(), any::<u8>()), 0..3),
    ) {
        let bait = (names.0, names.1, whole_namespace);
        let mut endless = dice.iter().copied().cycle();
        let mut records = Vec::new();
        for (line, (event, _)) in events(names, whole_namespace, &str::to_owned).iter().enumerate() {
            let text = escaped(&wrapped(event, &layers, &mut endless), &mut endless);
            let cuts: Vec<usize> = cuts.iter().map(|cut| 1 + cut.index(text.len() - 1)).collect();
            records.extend(shipped(SHIPPERS[shipper], &text, &cuts, (line % 4, line)));
        }
        let (shape, mut bytes) = FORMS[form](&records);
        // A value on many lines is another's bytes on one.
        for (at, byte) in damage.into_iter().filter(|_| shape != Shape::Value) {
            *at.get_mut(&mut bytes) = byte;
        }
        let mut scanned = Vec::new();
        let mut scanning = detector(bait);
        scan(&mut scanning, shape, &bytes, &mut scanned);
        scanning.finish(Timestamp::UNIX_EPOCH, &mut scanned);
        let decoded = run_with(Detector::decode_all, detector(bait), &one_a_line(shape, bytes));
        prop_assert_eq!(scanned, decoded);
    }
}
