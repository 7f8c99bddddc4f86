//! The logs of OpenTelemetry in protobuf, as the Collector posts them: what is found is what is found in its JSON.

use std::io::Read;

use baitline::{
    detect::{Detection, Detector, Technique},
    source::{Block, Outlet, Progress, http_server::search},
};
use flate2::{Compression, read::GzEncoder};
use jiff::Timestamp;
use proptest::prelude::*;
use serde_json::{Value as Json, json};

use super::{Dice, message, number, shortest};
use crate::{
    msgpack::{
        bodies::http_server,
        soundness::{HONEYPOT, RECORDED, detector},
    },
    soundness::run_with,
    wrappers::forged::{forgeries, hit},
};

const NANOSECONDS: u64 = 1_795_454_469_250_000_000;

/// What the attributes of the resource say in these tests.
const RESOURCE: [(&str, &str); 7] = [
    ("k8s.cluster.name", "prod"),
    ("k8s.node.name", "cp-1"),
    ("k8s.pod.name", "kube-apiserver-cp-1"),
    ("k8s.namespace.name", "kube-system"),
    ("k8s.container.name", "kube-apiserver"),
    ("cloud.account.id", "111122223333"),
    ("cloud.region", "eu-central-1"),
];

fn fixed64(field: u8, bytes: [u8; 8]) -> Vec<u8> {
    [&[field << 3 | 1], &bytes[..]].concat()
}

fn pair(key: &str, value: &[u8], dice: Dice<'_>) -> Vec<u8> {
    [message(1, key.as_bytes(), dice), message(2, value, dice)].concat()
}

/// An `AnyValue`. The Collector's `json_parser` makes floating-point numbers of all numbers.
fn any_value(json: &Json, dice: Dice<'_>) -> Vec<u8> {
    match json {
        Json::Null => Vec::new(),
        Json::String(text) => message(1, text.as_bytes(), dice),
        Json::Bool(truth) => number(2, u64::from(*truth), dice),
        Json::Number(count) if dice.next() == Some(1) && count.is_i64() => {
            number(3, count.as_i64().unwrap_or(0).cast_unsigned(), dice)
        }
        Json::Number(count) => fixed64(4, count.as_f64().unwrap_or(0.0).to_le_bytes()),
        Json::Array(items) => {
            let item = |item: &Json| {
                let item = any_value(item, dice);
                message(1, &item, dice)
            };
            let items: Vec<u8> = items.iter().flat_map(item).collect();
            message(5, &items, dice)
        }
        Json::Object(fields) => {
            let field = |(key, value): (&String, &Json)| {
                let value = any_value(value, dice);
                let pair = pair(key, &value, dice);
                message(1, &pair, dice)
            };
            let fields: Vec<u8> = fields.iter().flat_map(field).collect();
            message(6, &fields, dice)
        }
    }
}

/// A `LogRecord` with this `AnyValue` and these attributes.
fn record(body: &[u8], attributes: &Json, dice: Dice<'_>) -> Vec<u8> {
    let mut record = fixed64(1, NANOSECONDS.to_le_bytes());
    record.extend(number(2, 9, dice));
    record.extend(message(5, body, dice));
    for (key, value) in attributes.as_object().into_iter().flatten() {
        let value = any_value(value, dice);
        let pair = pair(key, &value, dice);
        record.extend(message(6, &pair, dice));
    }
    record.extend(fixed64(11, NANOSECONDS.to_le_bytes()));
    record
}

/// An `ExportLogsServiceRequest` with these records of one resource.
pub fn request(records: &[Vec<u8>], dice: Dice<'_>) -> Vec<u8> {
    let mut resource = Vec::new();
    for (key, value) in RESOURCE {
        let value = message(1, value.as_bytes(), dice);
        let pair = pair(key, &value, dice);
        resource.extend(message(1, &pair, dice));
    }
    let mut logs = message(1, b"", dice);
    for record in records {
        logs.extend(message(2, record, dice));
    }
    let logs = [message(1, &resource, dice), message(2, &logs, dice)].concat();
    message(1, &logs, dice)
}

/// A request whose records are `texts`.
pub fn of_texts<'t>(texts: impl Iterator<Item = &'t str>) -> Vec<u8> {
    let mut dice = shortest();
    let records: Vec<_> = texts
        .map(|text| {
            let body = message(1, text.as_bytes(), &mut dice);
            record(&body, &json!({"log.file.name": "audit.log"}), &mut dice)
        })
        .collect();
    request(&records, &mut dice)
}

/// The same in OTLP's own JSON.
fn json_of_texts<'t>(texts: impl Iterator<Item = &'t str>) -> Vec<u8> {
    let attribute = |key: &str, value: &str| json!({"key": key, "value": {"stringValue": value}});
    let records: Vec<Json> = texts
        .map(|text| {
            json!({"timeUnixNano": NANOSECONDS.to_string(), "severityNumber": 9, "body": {"stringValue": text},
                "attributes": [attribute("log.file.name", "audit.log")], "observedTimeUnixNano": NANOSECONDS.to_string()})
        })
        .collect();
    let resource = RESOURCE.map(|(key, value)| attribute(key, value));
    json!({"resourceLogs": [{"resource": {"attributes": resource}, "scopeLogs": [{"scope": {}, "logRecords": records}]}]})
        .to_string()
        .into_bytes()
}

struct Pipeline {
    detector: Detector,
    found: Vec<Detection>,
}

impl Outlet for Pipeline {
    fn take(&mut self, block: &Block<'_>) -> bool {
        let before = self.found.len();
        self.detector
            .scan(block, Timestamp::UNIX_EPOCH, &mut self.found);
        self.found.len() > before
    }

    fn commit(&mut self, _: Progress) {}

    fn try_commit(&mut self, _: Progress) -> Result<(), Progress> {
        Ok(())
    }
}

/// What is found in a body that is posted, and taken.
fn posted(body: &[u8], coding: &str) -> Vec<Detection> {
    let (is_taken, found) = searched(body, coding, 8 << 20);
    assert!(is_taken);
    found
}

/// Whether a body that is posted is taken, and what is found in it.
fn searched(body: &[u8], coding: &str, max_body_bytes: usize) -> (bool, Vec<Detection>) {
    let config = http_server(max_body_bytes, 1 << 20);
    let mut pipeline = Pipeline {
        detector: detector(HONEYPOT),
        found: Vec::new(),
    };
    let is_taken = search(&config, body, coding, &mut pipeline);
    let Pipeline {
        mut detector,
        mut found,
    } = pipeline;
    detector.finish(Timestamp::UNIX_EPOCH, &mut found);
    (is_taken, found)
}

/// What is found in an event alone.
fn bare(text: &str) -> Vec<Detection> {
    run_with(Detector::scan, detector(HONEYPOT), text.as_bytes())
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let (mut packed, mut encoder) = (Vec::new(), GzEncoder::new(bytes, Compression::fast()));
    encoder.read_to_end(&mut packed).expect("memory takes all");
    packed
}

/// Some of the recorded events.
fn some_recorded() -> Vec<String> {
    let some = RECORDED.iter().step_by(43);
    some.map(Json::to_string).collect()
}

#[test]
fn protobuf_gives_what_json_gives_of_the_same_origin() {
    let events = some_recorded();
    let texts = || events.iter().map(String::as_str);
    let wanted = posted(&json_of_texts(texts()), "");
    assert!(wanted.len() > 10, "{}", wanted.len());
    let origin = serde_json::to_value(&wanted[0].origin).expect("it is plain");
    assert_eq!(origin["pod"], "kube-apiserver-cp-1");
    let body = of_texts(texts());
    let packed = gzip(&body);
    for (body, coding) in [(&body, ""), (&packed, "gzip"), (&packed, "")] {
        let found = posted(body, coding);
        assert_eq!(found, wanted, "{coding}");
    }
}

/// Each form in which a record may hold an event.
fn forms(text: &str, event: &Json, dice: Dice<'_>) -> Vec<(&'static str, Vec<u8>)> {
    let string = message(1, text.as_bytes(), dice);
    let map = any_value(event, dice);
    let beside = json!({"log.file.name": "audit.log"});
    let wrapped = any_value(&json!({"log": text, "stream": "stdout"}), dice);
    vec![
        ("a string", record(&string, &beside, dice)),
        ("a map", record(&map, &beside, dice)),
        (
            "bytes",
            record(&message(7, text.as_bytes(), dice), &beside, dice),
        ),
        (
            "packed",
            record(&message(7, &gzip(text.as_bytes()), dice), &beside, dice),
        ),
        ("a map around it", record(&wrapped, &beside, dice)),
        ("attributes", record(b"", event, dice)),
        // As the Collector's `json_parser` does by itself.
        ("both", record(&string, event, dice)),
        ("both as maps", record(&map, event, dice)),
    ]
}

#[test]
fn an_event_is_found_once_in_each_form_of_a_record() {
    for event in RECORDED.iter().step_by(97).chain([&hit("1")]) {
        let text = event.to_string();
        let wanted = posted(&json_of_texts([&*text].into_iter()), "");
        for (form, record) in forms(&text, event, &mut shortest()) {
            let found = posted(&request(&[record], &mut shortest()), "");
            assert_eq!(found, wanted, "{form}: {text}");
        }
    }
}

/// Vector's `native` codec has the fields of a log where a request has the attributes of a resource.
#[test]
fn a_log_of_vector_is_no_resource() {
    let text = hit("1").to_string();
    let mut dice = shortest();
    let value = message(1, text.as_bytes(), &mut dice);
    let fields = message(1, &pair("message", &value, &mut dice), &mut dice);
    let log = message(1, &fields, &mut dice);
    for logs in [log.clone(), log.repeat(2)] {
        let found = posted(&message(1, &logs, &mut dice), "");
        assert!(!found.is_empty());
        assert!(
            found.iter().all(|one| one.technique == Technique::TokenUse),
            "{found:?}"
        );
    }
}

/// The part behind the limit begins within some text.
#[test]
fn what_stands_behind_the_limit_of_a_body_is_told() {
    let event = hit("1");
    let clean = json!({"message": "x".repeat(1000)});
    let clean = record(
        &any_value(&clean, &mut shortest()),
        &Json::Null,
        &mut shortest(),
    );
    let fill = vec![clean; 300];
    for (form, record) in forms(&event.to_string(), &event, &mut shortest()) {
        if form == "packed" {
            continue;
        }
        let body = request(&[&fill[..], &[record]].concat(), &mut shortest());
        let (is_taken, found) = searched(&gzip(&body), "gzip", 256 << 10);
        assert!(!is_taken && !found.is_empty(), "{form}");
    }
}

/// An `AnyValue` in OTLP's JSON.
fn told(json: &Json) -> Json {
    match json {
        Json::Null => json!({}),
        Json::Bool(truth) => json!({"boolValue": truth}),
        Json::Number(number) => json!({"doubleValue": number.as_f64()}),
        Json::String(text) => json!({"stringValue": text}),
        Json::Array(items) => {
            let items: Vec<Json> = items.iter().map(told).collect();
            json!({"arrayValue": {"values": items}})
        }
        Json::Object(_) => json!({"kvlistValue": {"values": attributes(json)}}),
    }
}

fn attributes(json: &Json) -> Vec<Json> {
    let fields = json.as_object().into_iter().flatten();
    fields
        .map(|(key, value)| json!({"key": key, "value": told(value)}))
        .collect()
}

/// As the Collector's exporters to files and Kafka write it too.
#[test]
fn an_event_that_was_parsed_is_found_in_json_as_well() {
    let forged = {
        let mut event = hit("quiet");
        event["user"] = json!({"username": "jane"});
        event["requestObject"] = told(&hit("forged"));
        event["userAgent"] = json!({"resourceLogs": told(&hit("forged"))})
            .to_string()
            .into();
        event
    };
    let resource = RESOURCE.map(|(key, value)| (key.to_owned(), Json::from(value)));
    let resource = attributes(&Json::Object(resource.into_iter().collect()));
    for event in RECORDED.iter().step_by(97).chain([&hit("1"), &forged]) {
        let text = event.to_string();
        let of = |record: Json| {
            json!({"resourceLogs": [{"resource": {"attributes": resource}, "scopeLogs": [{"logRecords": [record]}]}]})
                .to_string()
                .into_bytes()
        };
        let time = NANOSECONDS.to_string();
        let wanted = posted(&json_of_texts([&*text].into_iter()), "");
        for record in [
            json!({"timeUnixNano": time, "body": told(event)}),
            json!({"timeUnixNano": time, "body": {}, "attributes": attributes(event)}),
            json!({"timeUnixNano": time, "body": {"stringValue": text}, "attributes": attributes(event)}),
            json!({"timeUnixNano": time, "body": told(event), "attributes": attributes(event)}),
        ] {
            let body = of(record);
            let found = posted(&body, "");
            assert_eq!(found, wanted, "{}", String::from_utf8_lossy(&body));
        }
    }
}

#[test]
fn what_a_client_writes_into_an_event_is_no_event() {
    let own =
        String::from_utf8_lossy(&of_texts([&*hit("forged").to_string()].into_iter())).into_owned();
    for forgery in forgeries().into_iter().chain([own.into()]) {
        let mut event = hit("quiet");
        event["user"] = json!({"username": "jane"});
        for key in ["requestURI", "userAgent", "requestObject", "annotations"] {
            event[key] = forgery.clone();
        }
        event["objectRef"] = json!({"resource": "pods", "name": forgery.clone()});
        let text = event.to_string();
        for (form, record) in forms(&text, &event, &mut shortest()) {
            let found = posted(&request(&[record], &mut shortest()), "");
            assert!(found.is_empty(), "{form}: {text}: {found:?}");
        }
    }
}

/// Wherever it is cut, and whatever byte in it is another, what still names the decoy in an event is told.
#[test]
fn what_is_damaged_is_undecodable_or_found() {
    let event = hit("1");
    let named = |bytes: &[u8]| {
        let text = String::from_utf8_lossy(bytes);
        let name = "system:serviceaccount:honeypot:backup-sa";
        let end = text.find(name).map(|at| at + name.len());
        // The next byte tells that the name is whole.
        end.is_some_and(|end| text.len() > end) && text.contains("auditID")
    };
    for (form, record) in forms(&event.to_string(), &event, &mut shortest()) {
        let whole = request(&[record], &mut shortest());
        if form == "packed" {
            continue;
        }
        for at in 0..whole.len() {
            let cut = &whole[..at];
            assert!(!posted(cut, "").is_empty() || !named(cut), "{form}: {at}");
        }
        // What changes a text makes no event of it, damaged or not; a bracket is the length of the name.
        let is_of_text = |at: &usize| whole[*at].is_ascii_graphic() && whole[*at] != b'(';
        for at in (0..whole.len()).filter(|at| !is_of_text(at)) {
            let mut changed = whole.clone();
            changed[at] ^= 0x80;
            assert!(
                !posted(&changed, "").is_empty() || !named(&changed),
                "{form}: {at}"
            );
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn however_numbers_are_written_the_same_is_found(
        place in any::<prop::sample::Index>(), form in 0..8_usize, dice in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        let event = place.get(&RECORDED);
        let text = event.to_string();
        let mut dice = dice.into_iter().chain(shortest());
        let (name, record) = forms(&text, event, &mut dice).swap_remove(form);
        let found = posted(&request(&[record], &mut dice), "");
        let wanted = bare(&text);
        let techniques = |all: &[Detection]| all.iter().map(|one| one.technique).collect::<Vec<Technique>>();
        prop_assert_eq!(techniques(&found), techniques(&wanted), "{}: {}", name, text);
    }
}
