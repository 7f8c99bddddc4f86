//! What clients write so that their events pass for something that is not searched, or what they send for an event: at most, an event that
//! may be one is `undecodable`, and never is it passed over.

use baitline::detect::{Detector, Technique};
use serde_json::{Value, json};

use super::{
    forged::{DECOY, hit},
    streamed,
};

const TIME: &str = "2026-11-23T17:21:08.912184Z";
const KLOG: &str = "I1123 17:21:08.912184       1 httplog.go:134] ";

/// How lines of baitline's own begin, and might.
const OWN: [&str; 4] = [
    r#"{"type":"alert","schema":"#,
    r#"{"type":"alert","schema":1,"#,
    r#"{"type":"detection","schema":1,"detection_id":"x","#,
    r#"{"type":"alert","schema":1,"alert_id":"00000000000000000000000000000000","incident_id":"00000000000000000000000000000000","#,
];

fn techniques(text: &str) -> Vec<Technique> {
    let all = streamed(Detector::scan, text.as_bytes());
    all.iter().map(|one| one.technique).collect()
}

/// Something is told of `text`, and no hit.
fn assert_doubted(text: &str) {
    let told = techniques(text);
    assert!(!told.is_empty(), "{text}");
    assert_no_hit(text);
}

fn assert_no_hit(text: &str) {
    let told = techniques(text);
    let mut all = told.iter();
    assert!(
        all.all(|one| *one == Technique::Undecodable),
        "{told:?} {text}"
    );
}

/// An event with `text` for its URI, in the order of the API server.
fn event(user: &str, uri: &str) -> String {
    let uri = Value::from(uri);
    format!(
        r#"{{"kind":"Event","apiVersion":"audit.k8s.io/v1","level":"Metadata","auditID":"1","stage":"ResponseComplete","requestURI":{uri},"verb":"list","user":{{"username":"{user}"}},"objectRef":{{"resource":"namespaces"}},"requestReceivedTimestamp":"{TIME}","stageTimestamp":"{TIME}"}}"#
    )
}

/// Maps of Go and Java of an event of `user` whose object is called `name`.
fn maps(user: &str, name: &str, agent: &str) -> [String; 2] {
    [
        format!(
            "map[apiVersion:audit.k8s.io/v1 auditID:1 kind:Event objectRef:map[name:{name} resource:pods] requestReceivedTimestamp:{TIME} requestURI:/api/v1/pods sourceIPs:[10.0.3.7] user:map[username:{user}] userAgent:{agent} verb:list]\n"
        ),
        format!(
            "{{apiVersion=audit.k8s.io/v1, auditID=1, kind=Event, objectRef={{name={name}, resource=pods}}, requestReceivedTimestamp={TIME}, requestURI=/api/v1/pods, sourceIPs=[10.0.3.7], user={{username={user}}}, userAgent={agent}, verb=list}}\n"
        ),
    ]
}

#[test]
fn the_rest_of_an_event_is_told_though_it_looks_like_a_line_of_klog() {
    let whole = event(DECOY, &format!("/api?x=\n{KLOG}y"));
    let rest = &whole[whole.find("\\nI1123").expect("it is there") + 2..];
    for rest in [
        rest.to_owned(),
        rest.replace('"', "\\\"") + "\"}",
        rest.replace('"', "\"\"") + "\"",
        rest.replace('"', "&quot;"),
    ] {
        assert_doubted(&rest);
        assert_doubted(&format!("x\n{rest}\nx"));
    }
    for printed in maps(DECOY, &format!("a\n{KLOG}"), "curl") {
        assert_doubted(&printed);
    }
    let quoted = Value::from(hit("forged").to_string()).to_string();
    assert_eq!(techniques(&format!("{KLOG}\"HTTP\" URI={quoted}\n")), []);
}

#[test]
fn what_begins_as_a_line_of_baitlines_own_hides_no_event() {
    for own in OWN {
        for separator in ["|", ";", ",", "\t"] {
            let user = json!({"username": DECOY});
            let cells = [
                own,
                "ResponseComplete",
                "/api/v1/namespaces",
                "list",
                &user.to_string(),
                "curl",
            ];
            assert_doubted(&(cells.join(separator) + "\n"));
            let cells = [
                "Event",
                own,
                "ResponseComplete",
                "/api/v1/namespaces",
                DECOY,
            ];
            assert_doubted(&(cells.join(separator) + "\n"));
        }
        for printed in maps(DECOY, &format!("a\n{own}"), "curl") {
            assert_doubted(&printed);
        }
        for printed in maps(DECOY, own, own) {
            assert_doubted(&printed);
            let at = printed.find(own).expect("it is there");
            assert_doubted(&printed[at..]);
            assert_doubted(&printed[at - 3..]);
        }
        let event = event(DECOY, own);
        let at = event.find("requestURI").expect("it is there");
        for text in [&event[at..], &event[at + 13..], &event[at + 14..]] {
            assert_doubted(text);
            assert_doubted(&(text.replace('"', "&quot;") + "</text>"));
            assert_doubted(&text.replace('"', "&#34;"));
        }
        let part = format!(
            "{own}\"a\":1}}}},\"user\":{{\"username\":\"{DECOY}\"}},\"stageTimestamp\":\"{TIME}\"}}"
        );
        assert_doubted(&json!({"log": part, "logtag": "F", "stream": "stdout"}).to_string());
    }
    let mut object = json!({"type": "alert", "schema": 1, "alert_id": "0".repeat(32), "log": hit("1").to_string()});
    assert_eq!(techniques(&object.to_string()), [Technique::TokenUse]);
    object["incident_id"] = "0".repeat(32).into();
    assert_eq!(techniques(&object.to_string()), []);
}

/// A client may choose the id of its request, and how it calls itself.
#[test]
fn a_time_that_a_client_sent_makes_no_row_whole() {
    let cell = |value: &str| format!("\"{}\"", value.replace('"', "\"\""));
    let row = |user: &str, [id, agent]: [&str; 2], times: &str, event: &str| {
        let user = cell(&json!({"username": user}).to_string());
        format!(
            "Event,{id},ResponseComplete,/api/v1/namespaces,list,{user},{agent},{times}{}\n",
            cell(event)
        )
    };
    let other = "2026-11-24T10:00:00.000001Z,2026-11-24T10:00:00.000002Z,";
    for chosen in [[TIME, "curl"], ["1", TIME], [TIME, TIME]] {
        assert_doubted(&row("thief", chosen, other, &event(DECOY, "/api")));
        assert_doubted(&row(DECOY, chosen, other, &event("bob", "/api")));
    }
    assert_doubted(&row("thief", ["1", TIME], "", &event(DECOY, "/api")));
    let own = format!("{TIME},{TIME},");
    let text = row(DECOY, ["1", "curl"], &own, &event(DECOY, "/api"));
    assert_eq!(techniques(&text), [Technique::TokenUse]);
}

/// Logstash writes the record as it came before the fields that it took out of it.
#[test]
fn a_body_in_a_record_that_was_cut_is_none_behind_the_whole_of_it() {
    let quiet = event("jane", "/api");
    let body = json!({"a": hit("forged")});
    let fields = format!("{},\"requestObject\":{body}", &quiet[1..quiet.len() - 1]);
    let original = Value::from(format!("{{{fields}}}"));
    let cut = &fields[..fields.len() - 1];
    for cut in [
        format!(r#"{{"@timestamp":"{TIME}","event":{{"original":{original}}},{cut}"#),
        format!(r#"{{"event":{original},{cut}"#),
    ] {
        assert_no_hit(&cut);
    }
    let fields = &event(DECOY, "/api")[1..];
    let original = Value::from(event(DECOY, "/api"));
    let cut = format!(
        r#"{{"event":{{"original":{original}}},{}"#,
        &fields[..fields.len() - 9]
    );
    assert!(techniques(&cut).contains(&Technique::TokenUse), "{cut}");
}

/// What another program printed of an event has its keys, and its text without quotes.
#[test]
fn what_a_client_sent_is_no_event_where_another_is_printed() {
    let forged = hit("forged").to_string();
    for text in [
        forged.clone(),
        format!("}}{forged}"),
        format!("}}}}{forged}"),
        format!("] {forged}"),
        format!("a\n{forged}"),
    ] {
        let [names, agents] = [maps("jane", &text, "curl"), maps("jane", "a", &text)];
        for printed in names.into_iter().chain(agents) {
            assert_no_hit(&printed);
        }
    }
    for line in [
        format!("stage:ResponseComplete\trequestURI:/api?q={forged}\tverb:list\tauditID:1\n"),
        format!("auditID:1\tverb:list\trequestURI:/api?q={forged}\n"),
        format!("auditID=1 verb=list requestURI=/api?q={forged} stageTimestamp=2026\n"),
        format!("requestURI:/api?q={forged}\n"),
    ] {
        assert_doubted(&line);
    }
}

/// As of `GET /api/v1/pods/a%0Ab`.
#[test]
fn a_cell_behind_a_newline_in_another_is_no_event() {
    let doubled = hit("forged").to_string().replace('"', "\"\"");
    for name in ["a\nb", "a\nb\"\"c", "\n"] {
        assert_doubted(&format!("x,list,\"{name}\",\"{doubled}\"\n"));
    }
    let names =
        format!("auditID,stage,requestURI,\"requestObject.metadata.annotations.{doubled}\n\"\n");
    assert_no_hit(&names);
}

#[test]
fn an_event_that_was_cut_in_front_is_told_however_it_names_its_fields() {
    let fields = [
        ("verb", "list"),
        ("user.username", DECOY),
        ("requestReceivedTimestamp", TIME),
        ("stageTimestamp", TIME),
    ];
    let items = |name: &str, item: &dyn Fn(&str) -> Value| {
        let item = |(key, value)| json!({name: key, "value": item(value)});
        let items: Vec<_> = fields
            .map(|(key, value)| item((key, value)).to_string())
            .into();
        items.join(",")
    };
    let otlp = items("key", &|value| json!({"stringValue": value}));
    let insights = items("field", &|value| value.into());
    let [user, time] = [json!({"username": DECOY}).to_string(), TIME.to_owned()];
    let cells = [
        json!([user]),
        json!([time]),
        json!(["requestReceivedTimestamp"]),
    ]
    .map(|cell| cell.to_string())
    .join(",");
    for cut in [
        format!(
            "AAA', 'verb': 'list', 'user': {{'username': '{DECOY}'}}, 'requestReceivedTimestamp': '{TIME}', 'stageTimestamp': '{TIME}'}}\n"
        ),
        format!("AAA\"}}}},{otlp}]}}]}}]}}]}}"),
        format!("AAA\"}},{insights}]],\"status\":\"Complete\"}}"),
        format!("\"requestReceivedTimestamp\",\"annotations\"],\"columns\":[{cells}]}}"),
    ] {
        assert_doubted(&cut);
        let behind = format!("{}\n{cut}", event("jane", "/api"));
        assert_doubted(&behind);
    }
}

/// As psql and mysql print them.
#[test]
fn a_row_of_a_table_with_aligned_columns_is_undecodable() {
    for row in [
        format!(" 1        | ResponseComplete | /api/v1/namespaces | list | {DECOY}\n"),
        format!("| 1        | ResponseComplete | /api/v1/namespaces | list | {DECOY} |\n"),
        format!(" /api | ResponseComplete | list | {DECOY}\n"),
    ] {
        assert_doubted(&row);
    }
}
