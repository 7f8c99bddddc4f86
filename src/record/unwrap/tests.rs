use std::cell::Cell;

use base64::prelude::*;
use proptest::{prelude::*, sample::subsequence};

use super::lifted::Place;
use super::*;

/// The auditIDs of the events found, and how many parts were broken.
fn unwrap(record: &str) -> (Vec<String>, usize) {
    let (mut ids, mut broken) = (Vec::new(), 0);
    Unwrapper::default().unwrap(record.as_bytes(), &mut |finding| match finding {
        Finding::Event(event, _) => ids.push(event.audit_id.unwrap_or("none").to_owned()),
        Finding::Broken(..) | Finding::Doubtful(..) => broken += 1,
    });
    (ids, broken)
}

fn event(id: &str) -> String {
    format!(
        r#"{{"kind":"Event","apiVersion":"audit.k8s.io/v1","auditID":"{id}","verb":"get","user":{{"username":"u"}}}}"#
    )
}

fn quoted(text: &str) -> String {
    serde_json::to_string(text).unwrap()
}

#[test]
fn an_event_is_found_in_every_wrapper() {
    let bare = event("1");
    let item = r#"{"level":"Metadata","auditID":"2","stage":"RequestReceived"}"#;
    let log = format!(r#"{{"date":1.5,"log":{}}}"#, quoted(&bare));
    let azure = format!(
        r#"{{"records":[{{"category":"kube-audit","properties":{{"log":{}}}}}]}}"#,
        quoted(&bare)
    );
    let four = (0..4).fold(bare.clone(), |text, _| {
        format!(r#"{{"m":{}}}"#, quoted(&text))
    });
    let deep = format!("{}{bare}{}", "[".repeat(63), "]".repeat(63));
    for record in [
        &bare,
        &log,
        &azure,
        &four,
        &deep,
        &format!("\u{feff} \0{bare}\r\n"),
    ] {
        assert_eq!(unwrap(record), (vec!["1".to_owned()], 0), "{record}");
    }
    let list =
        format!(r#"{{"kind":"EventList","apiVersion":"audit.k8s.io/v1","items":[{item},{bare}]}}"#);
    assert_eq!(unwrap(&list).0, ["2", "1"]);
    assert_eq!(unwrap(&format!("[{bare},{item}]")).0, ["1", "2"]);
}

/// As of a request that was refused with 401. What shippers have beside each event tells nobody.
#[test]
fn an_event_of_nobody_is_no_broken_one_for_a_time_or_a_number_beside_it() {
    let beside = |field: &str| {
        let event = format!(
            r#"{{"apiVersion":"audit.k8s.io/v1","auditID":"1","verb":"get","user":{{}},{field}}}"#
        );
        unwrap(&event).1
    };
    for field in [
        r#""date":1796066632.705714"#,
        r#""@timestamp":"2026-11-23T17:21:08.912Z""#,
        r#""offset":12,"stream":"","extra":{}"#,
    ] {
        assert_eq!(beside(field), 0, "{field}");
    }
    assert_eq!(beside(r#""actor":"jane""#), 1);
}

#[test]
fn several_values_and_log_prefixes_in_one_record() {
    let glued = format!("{}{}", event("1"), event("2"));
    assert_eq!(unwrap(&glued), (vec!["1".into(), "2".into()], 0));
    let prefixed = format!("2026-11-23T17:21:01.91Z stdout F {}", event("1"));
    assert_eq!(unwrap(&prefixed), (vec!["1".into()], 0));
    assert_eq!(
        unwrap(&format!(r#"{{"log":{}}}"#, quoted(&prefixed))).0,
        ["1"]
    );
}

#[test]
fn nothing_is_looked_for_inside_an_event() {
    let forged = event("forged");
    let mut outer: serde_json::Value = serde_json::from_str(&event("real")).unwrap();
    outer["requestObject"] = serde_json::from_str(&forged).unwrap();
    outer["requestURI"] = forged.clone().into();
    outer["userAgent"] = forged.into();
    assert_eq!(unwrap(&outer.to_string()), (vec!["real".into()], 0));
}

#[test]
fn other_objects_are_no_events() {
    for record in [
        r#"{"kind":"Event","apiVersion":"v1","reason":"Pulled","verb":"x","stageTimestamp":"y"}"#,
        r#"{"type":"alert","schema":1,"alert_id":"0123456789abcdef0123456789abcdef","incident_id":"0123456789abcdef0123456789abcdef","excerpt":"{\"auditID\":\"1\",\"verb\":"}"#,
        r#"{"message":"auditID honeypot backup-sa"}"#,
        "plain text with auditID",
        "",
    ] {
        assert_eq!(unwrap(record), (vec![], 0), "{record}");
    }
}

#[test]
fn what_is_cut_off_is_broken_and_what_stands_before_it_is_found() {
    let (first, second) = (event("1"), event("2"));
    let cut_list = format!(r#"{{"kind":"EventList","items":[{first},{}"#, &second[..90]);
    assert_eq!(unwrap(&cut_list), (vec!["1".into()], 1));
    assert_eq!(unwrap(&second[..90]), (vec![], 1));
    let nested = format!(r#"{{"log":{}}}"#, quoted(&second[..90]));
    assert_eq!(unwrap(&nested), (vec![], 1));
    let cut_wrapper = format!(r#"{{"log":{},"kuber"#, quoted(&first));
    assert_eq!(unwrap(&cut_wrapper), (vec!["1".into()], 0));
}

#[test]
fn a_cut_event_does_not_give_way_to_what_its_body_forges() {
    let cut = format!(
        r#"{{"kind":"Event","apiVersion":"audit.k8s.io/v1","auditID":"1","requestObject":{},"annot"#,
        event("forged")
    );
    assert_eq!(unwrap(&cut), (vec![], 1));
}

#[test]
fn depth_beyond_the_limit_is_broken_and_harmless() {
    for depth in [65, 10_000, 1_000_000] {
        let nested = format!("{}{}{}", "[".repeat(depth), event("1"), "]".repeat(depth));
        assert_eq!(unwrap(&nested), (vec![], 1), "{depth}");
        assert_eq!(unwrap(&"[".repeat(depth)).0.len(), 0);
        assert_eq!(unwrap(&r#"{"a":"#.repeat(depth)).0.len(), 0);
    }
    let layers = (0..5).fold(event("1"), |text, _| {
        format!(r#"{{"m":{}}}"#, quoted(&text))
    });
    assert_eq!(unwrap(&layers), (vec![], 1));
}

#[test]
fn a_body_that_is_deeper_than_the_parser_goes_hides_nothing() {
    for depth in [100, 1020, 1030, 100_000] {
        let deep = format!("{}1{}", r#"{"a":["#.repeat(depth), "]}".repeat(depth));
        let last = event("1").replace(r#""verb":"#, &format!(r#""requestObject":{deep},"verb":"#));
        let first = event("1").replace(r#""kind":"#, &format!(r#""annotations":{deep},"kind":"#));
        for event in [last, first] {
            assert_eq!(unwrap(&event), (vec!["1".to_owned()], 0), "{depth}");
            let beside = format!(r#"{{"items":[{event},{}]}}"#, self::event("2"));
            assert_eq!(unwrap(&beside).0, ["1", "2"], "{depth}");
            let log = format!(r#"{{"log":{}}}"#, quoted(&event));
            assert_eq!(unwrap(&log).0, ["1"], "{depth}");
        }
        let wrapper = format!(r#"{{"a":{deep},"log":{}}}"#, event("1"));
        assert_eq!(
            unwrap(&wrapper),
            (vec!["1".to_owned()], usize::from(depth > 31)),
            "{depth}"
        );
    }
}

#[test]
fn only_what_baitline_writes_is_passed_over_as_its_own() {
    let id = "0123456789abcdef0123456789abcdef";
    for (kind, key, other) in [
        ("alert", "alert_id", "incident_id"),
        ("detection", "detection_id", "request_id"),
    ] {
        let own = |schema: &str, id: &str| {
            format!(
                r#"{{"type":"{kind}","schema":{schema},"{key}":{id},"{other}":"0123456789abcdef0123456789abcdef","excerpt":{}}}"#,
                event("1")
            )
        };
        let whole = own("1", &quoted(id));
        assert_eq!(unwrap(&whole), (vec![], 0));
        assert_eq!(unwrap(&whole.replace(other, "id")).0, ["1"]);
        for (schema, id) in [
            ("1", "\"x\""),
            ("1", "1"),
            ("1", "null"),
            ("\"x\"", &quoted(id)),
            ("null", &quoted(id)),
        ] {
            assert_eq!(
                unwrap(&own(schema, id)),
                (vec!["1".to_owned()], 0),
                "{schema} {id}"
            );
        }
    }
}

#[test]
fn what_the_parser_refuses_and_the_api_server_takes_is_mended() {
    let odd = event("1").replace(
        r#""verb":"get""#,
        r#""verb":"get","requestObject":{"big":1e999,"long":123456789012345678901234567890,"half":"\ud83d"}"#,
    );
    assert_eq!(unwrap(&odd), (vec!["1".into()], 0));
    let mut bytes = event("1").into_bytes();
    let at = bytes.len() - 4;
    assert_eq!(bytes[at], b'u');
    bytes[at] = 0xff;
    let mut events = 0;
    Unwrapper::default().unwrap(&bytes, &mut |finding| {
        events += usize::from(matches!(finding, Finding::Event(..)));
    });
    assert_eq!(events, 1);
}

#[test]
fn many_base64_values_in_a_cut_record_take_no_longer_than_their_length() {
    let cut_text = format!(
        r#"{{"x":"honeypot backup-sa",{}"#,
        r#""data":"eyJ0","#.repeat(1 << 16)
    );
    let cut_list = format!(
        r#"["honeypot backup-sa",{}"#,
        r#"{"data":"eyJhIjoxfQ"},"#.repeat(1 << 16)
    );
    for record in [cut_text, cut_list] {
        let start = std::time::Instant::now();
        let (ids, broken) = unwrap(&record);
        assert_eq!(ids.len(), 0);
        assert!(broken > 0);
        let seconds = start.elapsed().as_secs_f64();
        assert!(seconds < 60.0, "{seconds}");
    }
}

#[test]
fn rows_and_depth_without_end_take_no_longer_than_their_length() {
    for part in [
        r#"{""a"#,
        r#"{""a" "#,
        r#"{""a"",{""a"" "#,
        r#"[{""a":"#,
        r#"{"a":["#,
        r#"{"protoPayload":"{}""#,
        r#"{"user.username":"#,
        "&auditID=",
    ] {
        let start = std::time::Instant::now();
        unwrap(&part.repeat(1 << 16));
        let seconds = start.elapsed().as_secs_f64();
        assert!(seconds < 60.0, "{part} {seconds}");
    }
}

#[test]
fn events_without_end_in_one_line_take_no_longer_than_their_length() {
    let item = r#"{"level":"Metadata","auditID":"2","stage":"RequestReceived"}"#;
    let escaped = item.replace('"', "\\\"");
    let doubled = format!("\"{}\",", item.replace('"', "\"\""));
    for (head, part) in [
        ("x ", format!("{item} y\" ")),
        ("{\"items\":[", format!("{item},")),
        ("x ", format!("{item}[{{\x1b</")),
        ("io,", doubled),
        ("", format!("msg=\"{escaped}\" ")),
        ("{", format!("\"message\":\"{escaped}\",")),
        ("{\"a\":[", format!("\"{escaped}\",")),
        ("<a>", format!("{} ", item.replace('"', "&quot;"))),
    ] {
        let start = std::time::Instant::now();
        unwrap(&format!("{head}{}", part.repeat(1 << 13)));
        let seconds = start.elapsed().as_secs_f64();
        assert!(seconds < 60.0, "{part} {seconds}");
    }
    let entries = (0..1 << 13).map(|number| format!("\"k{number}\":{}", quoted(item)));
    let start = std::time::Instant::now();
    unwrap(&format!("{{{}}}", entries.collect::<Vec<_>>().join(",")));
    let seconds = start.elapsed().as_secs_f64();
    assert!(seconds < 60.0, "{seconds}");
}

#[test]
fn base64_in_a_cut_record_is_searched_up_to_the_mark_of_an_event() {
    let value = |id: &str| format!(r#""data":"{}","#, BASE64_STANDARD.encode(event(id)));
    let (first, second) = (value("1"), value("forged"));
    for mark in ["auditID", "requestURI", "protoPayload"] {
        let cut = format!(r#"{{{first}"{mark}":"x",{second}"#);
        assert_eq!(unwrap(&cut).0, ["1"], "{mark}");
    }
}

/// Counts how often it is asked what lies around the record.
#[derive(Default)]
struct Root {
    envelope: Envelope<'static>,
    asked: Cell<usize>,
}

impl Wrapper for Root {
    fn envelope(&self) -> &Envelope<'_> {
        self.asked.set(self.asked.get() + 1);
        &self.envelope
    }

    fn is_of_client(&self, _: bool) -> bool {
        false
    }
}

/// The nodes of which `record` tells where it is `asked`, and how often that was read for the outermost object.
fn nodes(record: &str, asked: bool) -> (Vec<String>, usize) {
    let (root, mut nodes) = (Root::default(), Vec::new());
    let mut found = |finding: Finding<'_>| {
        let (Finding::Event(_, wrapper)
        | Finding::Broken(_, wrapper)
        | Finding::Doubtful(_, _, wrapper)) = finding;
        if asked {
            nodes.extend(wrapper.envelope().node.map(str::to_owned));
        }
    };
    let sightings = Sightings::default();
    let mut search = Search {
        found: &mut found,
        room: 0,
        aim: Aim::Tell(&sightings),
    };
    search.text(Unwrapper::default().layers(), record.as_bytes(), &root);
    (nodes, root.asked.get())
}

#[test]
fn wrappers_are_read_once_and_only_where_that_is_asked_for() {
    let events = [event("1"), event("2"), event("3")].join(",");
    let log = quoted(&format!("2026-11-23T17:21:08Z {}", event("4")));
    let record =
        format!(r#"{{"host":"cp-1","items":[{{"a":{{"b":[{events}]}}}},{{"log":{log}}}]}}"#);
    assert_eq!(nodes(&record, false), (vec![], 0));
    assert_eq!(nodes(&record, true), (vec!["cp-1".to_owned(); 4], 1));
}

#[test]
fn wrappers_are_read_through_all_levels_and_layers() {
    let nested = |text: String| format!(r#"{}{text}{}"#, r#"{"m":"#.repeat(60), "}".repeat(60));
    let inner = nested(event("1"));
    let record = (0..MAX_LAYERS).fold(inner, |text, _| nested(quoted(&text)));
    let record = format!(r#"{{"host":"cp-1","log":{record}}}"#);
    assert_eq!(nodes(&record, true), (vec!["cp-1".to_owned()], 1));
}

/// As Lambda hands on what Kinesis collected.
#[test]
fn a_batch_may_hold_more_than_one_value_may() {
    let mut random = 1u64;
    let noise: String = (0..1 << 13)
        .map(|_| {
            random = random
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            format!("{:08x}", random >> 32)
        })
        .collect();
    let lines = format!("{{\"noise\":\"{noise}\"}}\n").repeat(30);
    let values: Vec<String> = (0..20)
        .map(|number| {
            let text = format!("{lines}{}", event(&number.to_string()));
            let packed = zstd::encode_all(text.as_bytes(), 0).unwrap();
            format!(
                r#"{{"kinesis":{{"data":"{}"}}}}"#,
                BASE64_STANDARD.encode(packed)
            )
        })
        .collect();
    assert!(lines.len() * values.len() > MAX_DECOMPRESSED_BYTES);
    let (ids, broken) = unwrap(&format!(r#"{{"Records":[{}]}}"#, values.join(",")));
    assert_eq!((ids.len(), broken), (20, 0));
}

/// All that the API server writes into an event, as it does, and some of it otherwise.
const FIELDS: [&str; 30] = [
    r#""kind":"Event""#,
    r#""apiVersion":"audit.k8s.io/v1""#,
    r#""level":"Metadata""#,
    r#""auditID":"1""#,
    r#""stage":"ResponseComplete""#,
    r#""requestURI":"/api/v1/namespaces/n/pods/%70""#,
    r#""verb":"get""#,
    r#""user":{"username":"u"}"#,
    r#""impersonatedUser":{"username":"v"}"#,
    r#""authenticationMetadata":{"impersonationConstraint":"i"}"#,
    r#""sourceIPs":["10.0.0.1"]"#,
    r#""userAgent":"curl""#,
    // Whole, as the API server writes it.
    r#""objectRef":{"resource":"pods","namespace":"n","name":"p"}"#,
    r#""responseStatus":{"code":200}"#,
    r#""requestObject":{"kind":"Pod"}"#,
    r#""responseObject":{"kind":"Pod"}"#,
    r#""requestReceivedTimestamp":"2026-11-23T17:21:08.912184Z""#,
    r#""stageTimestamp":"2026-11-23T17:21:08.912184Z""#,
    r#""annotations":{"authorization.k8s.io/decision":"allow"}"#,
    r#""kind":"EventList""#,
    r#""apiVersion":"v1""#,
    r#""user":"{\"username\":\"u\"}""#,
    r#""objectRef":{"name":"p"}"#,
    r#""objectRef":null"#,
    r#""requestURI":7"#,
    r#""requestReceivedTimestamp":1795454468"#,
    r#""responseStatus":"{}""#,
    r#""message":"m""#,
    r#""user.username":"u""#,
    r#""host":"h""#,
];

proptest! {
    #[test]
    fn nothing_of_a_plain_event_needs_mending(fields in prop_oneof![
        3 => subsequence(FIELDS[..19].to_vec(), 12..=19),
        1 => subsequence(FIELDS.to_vec(), 0..=30),
    ]) {
        let mut text = format!("{{{}}}", fields.join(",")).into_bytes();
        let tape = simd_json::to_tape(&mut text).unwrap();
        let value = tape.as_value();
        let object = value.as_object().unwrap();
        let plain = Event::plain(&object);
        if let Some(event) = &plain {
            prop_assert_eq!(format!("{event:?}"), format!("{:?}", Event::from_object(&object)));
            prop_assert!(Event::is_one(&object) && Event::is_readable(&object));
            prop_assert_eq!(restored(&object, true), None);
            prop_assert_eq!(Part::of(&object), None);
            prop_assert!(object.iter().all(|(key, _)| Place::of(key) == Place::Event));
            prop_assert_eq!(Envelope::default().around(&object), Envelope::default());
        }
        if fields.iter().all(|field| FIELDS[..19].contains(field)) {
            let says_so = fields.starts_with(&FIELDS[..2]);
            let is_told = !fields.contains(&FIELDS[5]) || fields.contains(&FIELDS[12]);
            prop_assert_eq!(plain.is_some(), says_so && is_told, "{:?}", fields);
        }
    }
}
