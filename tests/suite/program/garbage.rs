//! Whatever comes in: no panic, bounded memory, a counter and a line in the log, and no hit beside it is lost.

use serde_json::{Value, json};

use crate::recordings::recording;

use super::{
    harness::{Ran, Setting, configuration, decoy, watch},
    inputs::{BODIES, METADATA, joined, line_with, lines, noise, token_use},
};

fn hit(number: u32) -> String {
    token_use(number, "10.0.3.7", json!({})).to_string()
}

/// Runs on `input`, in which `hits` whole events stand.
fn check(input: &[u8], hits: usize) -> Ran {
    let ran = watch(&configuration(decoy(true)), input);
    assert!(!ran.stderr.contains("panicked"), "{}", ran.stderr);
    let told = ran.told();
    told.check_alerts();
    assert_eq!(told.of_technique("token_use").len(), hits);
    ran
}

#[test]
fn random_bytes() {
    let mut input = Vec::new();
    for (number, noise) in (1..).zip(noise(4 << 20).chunks(1 << 20)) {
        input.extend_from_slice(noise);
        input.push(b'\n');
        input.extend_from_slice(hit(number).as_bytes());
        input.push(b'\n');
    }
    check(&input, 4);
}

/// Marks and names strewn into noise: alarming, but whole events beside it are found.
#[test]
fn random_bytes_around_names_and_marks() {
    let noise = noise(256 << 10);
    let words: [&[u8]; 6] = [
        b"system:serviceaccount:honeypot:backup-sa",
        b"\"auditID\":\"",
        b"\\u0068oneypot",
        b"{\"log\":\"{\\\"",
        b"\n",
        b"[[[{",
    ];
    let mut input = Vec::new();
    for (place, noise) in noise.chunks(64).enumerate() {
        input.extend_from_slice(noise);
        input.extend_from_slice(words[place % words.len()]);
    }
    input.push(b'\n');
    input.extend_from_slice(hit(1).as_bytes());
    let ran = check(&input, 1);
    assert!(!ran.told().of_technique("undecodable").is_empty());
}

#[test]
fn an_event_that_is_cut_off_anywhere_behind_the_decoys_name() {
    let named = |line: &[u8]| {
        memchr::memmem::find(line, b"honeypot").expect("it names the decoy") + "honeypot".len()
    };
    for line in [
        line_with(
            &METADATA,
            &[
                "\"username\":\"system:serviceaccount:honeypot:backup-sa\"",
                "ResponseComplete",
            ],
        ),
        line_with(
            &BODIES,
            &[
                "honeypot/secrets/backup-sa-token",
                "ResponseComplete",
                "responseObject",
            ],
        ),
    ] {
        let cuts = |from: usize| (from..line.len()).step_by(7).map(|end| &line[..end]);
        let ran = check(&joined(cuts(7)), 0);
        let told = ran.told();
        let undecodable = told.of_technique("undecodable");
        let wanted = (7..line.len())
            .step_by(7)
            .filter(|end| *end >= named(line))
            .count();
        assert!(wanted > 50);
        assert_eq!(undecodable.len(), wanted);
        assert_eq!(told.count(), wanted as u64);
        assert!(
            ran.stderr.contains("could not be decoded"),
            "{}",
            ran.stderr
        );
        let counter = counter(&ran, "undecodable");
        assert!(counter >= wanted as u64, "{counter}");
    }
}

/// Of a list that is cut off, the events in front are found, or the whole is told as undecodable.
#[test]
fn a_list_that_is_cut_off() {
    let lists = recording("metadata", "eventlist.ndjson.gz");
    let name = b"system:serviceaccount:honeypot:backup-sa\"";
    let holds_name = |list: &&[u8]| memchr::memmem::find(list, name).is_some();
    let list = lines(&lists)
        .into_iter()
        .find(holds_name)
        .expect("there is such a list");
    let named = memchr::memmem::find(list, name).expect("it holds it") + name.len();
    for tenth in 0..10 {
        let end = named + (list.len() - named) * tenth / 10;
        let ran = watch(&configuration(decoy(true)), &list[..end]);
        let told = ran.told();
        told.check_alerts();
        assert!(told.count() > 0, "cut at {end}");
    }
}

/// A counter in the line of the log that tells what a source has read.
fn counter(ran: &Ran, name: &str) -> u64 {
    let prefix = format!("{name}=");
    ran.stderr
        .lines()
        .filter(|line| line.contains("source ended"))
        .flat_map(str::split_whitespace)
        .find_map(|word| word.strip_prefix(&prefix)?.parse().ok())
        .expect("the source tells its counters")
}

#[test]
fn nesting_of_ten_thousand_layers() {
    let deep = 10_000;
    let event = hit(1);
    let mut in_strings = hit(2);
    for _ in 0..12 {
        in_strings = json!({ "log": in_strings }).to_string();
    }
    let input = joined([
        format!("{}{event}{}", "[".repeat(deep), "]".repeat(deep)),
        format!("{}{event}{}", "{\"a\":".repeat(deep), "}".repeat(deep)),
        format!("{}{event}", "[".repeat(deep)),
        format!("{}\"honeypot\"", "{\"auditID\":".repeat(deep)),
        in_strings,
        hit(3),
    ]);
    let ran = check(&input, 1);
    assert_eq!(ran.told().of_technique("undecodable").len(), 5);
}

/// A stream that says by its first line that it is one JSON value, and is none.
#[test]
fn an_array_that_never_ends() {
    let input = format!("[\n{}\n{},\n{}", "[".repeat(10_000), hit(1), hit(2));
    let ran = check(input.as_bytes(), 0);
    assert_eq!(ran.told().of_technique("undecodable").len(), 1);
}

#[test]
fn a_hundred_megabytes_without_a_newline() {
    let mut running = Setting::with(&configuration(decoy(true))).start_watch(&[]);
    let piece = vec![b'x'; 10 << 20];
    for _ in 0..10 {
        running.write(&piece);
    }
    let peak = running.peak_kib();
    running.write(format!("\n{}\n", hit(1)).as_bytes());
    running.stdout.wait_for("opened");
    let peak = peak.max(running.peak_kib());
    let ran = running.end();
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert!(
        ran.stderr.contains("longer than max_line_bytes"),
        "{}",
        ran.stderr
    );
    assert_eq!(counter(&ran, "oversized"), 1);
    // The default max_line_bytes, twice, since a buffer is copied when it grows; and the program.
    assert!(peak < 96 << 10, "{peak} KiB");
}

#[test]
fn a_record_that_is_too_long_is_searched_all_the_same() {
    let mut configuration = configuration(decoy(true));
    configuration["sources"]["audit"]["max_line_bytes"] = 9000.into();
    let filler = "f".repeat(40_000);
    let before = token_use(1, "10.0.3.7", json!({"annotations": {"a": filler}}));
    let after = token_use(2, "10.0.3.7", json!({"zzz": filler}));
    let elsewhere = after.to_string().replace("honeypot", "elsewhere");
    let input = joined([before.to_string(), after.to_string(), elsewhere, hit(3)]);
    let ran = watch(&configuration, &input);
    let told = ran.told();
    told.check_alerts();
    assert_eq!(told.of_technique("undecodable").len(), 2);
    assert_eq!(told.of_technique("token_use").len(), 1);
    assert_eq!(counter(&ran, "oversized"), 3);
    // However many there are: who sends them is not to fill the log.
    assert_eq!(ran.stderr.matches("longer than max_line_bytes").count(), 1);
}

/// Each line is whole, whatever stands between and in front of the lines.
#[test]
fn marks_of_other_systems() {
    let ends = |end: &str| (1..=3).map(|number| hit(number) + end).collect::<String>();
    for input in [
        ends("\r\n"),
        format!("\u{feff}{}", ends("\n")),
        format!("\u{feff}\r\n\r\n{}", ends("\r\n\r\n")),
        ends("\n\n \n\t\n"),
        ends("\n\0\0\n"),
        ends("\0\n"),
        format!("\0{}", ends("\n\0")),
    ] {
        check(input.as_bytes(), 3);
    }
}

#[test]
fn invalid_utf_8_and_control_characters_inside_an_event() {
    for bytes in [
        b"\xff\xfe".as_slice(),
        b"\xc3",
        b"\xed\xa0\x80",
        b"\0",
        b"\x1b[31m",
        b"\t",
        br"\ud800",
        br"\u0000",
    ] {
        let event = hit(1);
        let (head, tail) = event.split_once("curl/8.5.0").expect("its user agent");
        let input = [
            head.as_bytes(),
            bytes,
            tail.as_bytes(),
            b"\n",
            hit(2).as_bytes(),
        ]
        .concat();
        check(&input, 2);
    }
}

#[test]
fn archives_that_are_cut_or_are_none() {
    let packed = std::fs::read(crate::recordings::path("metadata", "audit.ndjson.gz"))
        .expect("the recording is there");
    let zstd = zstd::encode_all(METADATA.as_slice(), 1).expect("memory takes all");
    let mut flipped = packed.clone();
    flipped[packed.len() * 9 / 10] ^= 0xff;
    for (input, has_hits) in [
        (&packed[..packed.len() * 9 / 10], true),
        (&flipped, true),
        (&zstd[..zstd.len() * 9 / 10], true),
        (&[0x1f, 0x8b], false),
        (&[&[0x1f, 0x8b], noise(100_000).as_slice()].concat(), false),
        (
            &[&[0x28, 0xb5, 0x2f, 0xfd], noise(100_000).as_slice()].concat(),
            false,
        ),
    ] {
        let ran = Setting::with(&configuration(decoy(true))).watch(&[], input);
        // What was read before the fault is told; the fault is an error.
        assert_eq!(ran.code, Some(1), "{}", ran.stderr);
        assert!(
            ran.stderr.contains("ERROR source \"audit\""),
            "{}",
            ran.stderr
        );
        let told = ran.told();
        told.check_alerts();
        assert_eq!(told.count() > 0, has_hits);
    }
}

/// Values of the wrong type, in every field of an event, lose none of the others.
#[test]
fn fields_of_other_types_than_they_should_be() {
    let strange = [
        json!(null),
        json!(7),
        json!("x"),
        json!([]),
        json!({}),
        json!([{"a": [null]}]),
    ];
    let mut lines = Vec::new();
    let fields = token_use(0, "10.0.3.7", json!({}));
    let names = fields.as_object().expect("an object").keys();
    // Without these it is no event, or no hit.
    for name in names.filter(|name| !["kind", "apiVersion", "user"].contains(&name.as_str())) {
        for value in &strange {
            let number = lines.len() as u32;
            let mut event = token_use(
                number,
                "10.0.3.7",
                json!({"requestURI": format!("/api/{number}")}),
            );
            event[name] = Value::clone(value);
            lines.push(event.to_string());
        }
    }
    let ran = watch(&configuration(decoy(true)), &joined(&lines));
    let told = ran.told();
    told.check_alerts();
    assert_eq!(told.detections.len(), lines.len());
}
