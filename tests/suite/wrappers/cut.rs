//! Records of which a front or an end was cut off.

use baitline::detect::{Detection, Technique};
use serde_json::{Value, json};

use super::{
    forged::{DECOY, hit},
    found,
    google::any_value,
};

/// What only an event has. Of a record without any of these nobody can tell what it was.
const MARKS: [&str; 6] = [
    "auditID",
    "requestReceivedTimestamp",
    "stageTimestamp",
    "protoPayload",
    "methodName",
    "authenticationInfo",
];

/// An event in the order in which the API server writes it, refused, so that the answer names the decoy too.
fn event() -> String {
    let user = json!({"username": DECOY, "groups": ["system:serviceaccounts"], "extra": {"a/b": ["JTI=1"]}});
    let message =
        format!("secrets is forbidden: User \"{DECOY}\" cannot list resource \"secrets\"");
    let status = json!({"metadata": {}, "message": message, "code": 403});
    format!(
        r#"{{"kind":"Event","apiVersion":"audit.k8s.io/v1","auditID":"1","stage":"ResponseComplete","requestURI":"/api/v1/secrets?limit=5","verb":"list","user":{user},"sourceIPs":["10.0.3.7"],"userAgent":"curl","objectRef":{{"resource":"secrets"}},"responseStatus":{status},"requestReceivedTimestamp":"2026-11-23T17:21:08.912184Z","stageTimestamp":"2026-11-23T17:21:08.914002Z","annotations":{{"authorization.k8s.io/decision":"forbid"}}}}"#
    )
}

/// Google's, in the order of the alphabet.
fn entry() -> String {
    json!({"insertId": "1", "labels": {"authorization.k8s.io/decision": "forbid"},
        "operation": {"first": true, "id": "1", "last": true},
        "protoPayload": {"@type": "type.googleapis.com/google.cloud.audit.AuditLog",
            "authenticationInfo": {"principalEmail": DECOY},
            "authorizationInfo": [{"granted": false, "permission": "io.k8s.core.v1.secrets.list"}],
            "methodName": "io.k8s.core.v1.secrets.list", "requestMetadata": {"callerIp": "10.0.3.7"},
            "resourceName": "core/v1/secrets", "serviceName": "k8s.io", "status": {"code": 7}},
        "timestamp": "2026-11-23T17:21:08.912184Z"})
    .to_string()
}

/// `event` with its parts as text.
fn with_texts(event: &str) -> String {
    let mut event: Value = serde_json::from_str(event).expect("it is JSON");
    for (_, part) in event.as_object_mut().expect("an object") {
        if part.is_object() || part.is_array() {
            *part = part.to_string().into();
        }
    }
    event.to_string()
}

fn records() -> Vec<String> {
    let events = [event(), entry(), with_texts(&event())];
    let wrapped = events.iter().flat_map(|event| {
        [
            event.clone(),
            format!("2026-11-23T17:21:08.9Z stdout F {event}"),
            json!({"log": format!("{event}\n"), "stream": "stdout"}).to_string(),
            json!({"message": json!({"log": event}).to_string(), "host": "h"}).to_string(),
            json!({"records": [{"category": "kube-audit", "properties": {"log": event, "pod": "p"}}]}).to_string(),
            json!({"logGroup": "/aws/eks/a/cluster", "logEvents": [{"id": "1", "message": event}]}).to_string(),
            json!({"logRecords": [{"body": {"stringValue": event}, "attributes": [{"key": "a", "value": {"stringValue": "b"}}]}]})
                .to_string(),
        ]
    });
    wrapped.collect()
}

#[test]
fn no_front_that_was_cut_off_hides_what_is_behind_it() {
    for record in records() {
        let fronts = (1..record.len()).map(|front| &record[front..]);
        let fronts = fronts.take_while(|rest| rest.contains(DECOY));
        for rest in fronts
            .step_by(5)
            .filter(|rest| MARKS.iter().any(|mark| rest.contains(mark)))
        {
            assert!(!found(None, rest.as_bytes()).is_empty(), "{rest}");
        }
    }
}

#[test]
fn no_end_that_was_cut_off_hides_what_is_before_it() {
    for record in records() {
        for end in (1..record.len()).rev().step_by(5) {
            let front = &record[..end];
            let user = front.find(DECOY).filter(|at| at + DECOY.len() < end);
            if user.is_some() && MARKS.iter().any(|mark| front.contains(mark)) {
                assert!(!found(None, front.as_bytes()).is_empty(), "{front}");
            }
        }
    }
}

/// CloudWatch cuts an event, and a program in Python prints what it read there.
#[test]
fn no_end_that_was_cut_off_in_what_python_printed_hides_what_is_before_it() {
    for record in [event(), entry(), with_texts(&event())] {
        for end in (1..=record.len()).rev().step_by(3) {
            let front = &record[..end];
            let user = front.find(DECOY).filter(|at| at + DECOY.len() < end);
            if user.is_none() || !MARKS.iter().any(|mark| front.contains(mark)) {
                continue;
            }
            let text = front.replace('\\', r"\\").replace('\'', r"\'");
            let printed =
                format!("{{'events': [{{'timestamp': 1, 'message': '{text}', 'id': '3'}}]}}");
            assert!(!found(None, printed.as_bytes()).is_empty(), "{printed}");
        }
    }
}

/// A client decides by its length where a record is cut.
#[test]
fn a_body_in_which_a_record_was_cut_hides_nothing() {
    let body = json!({"kind": "ConfigMap", "data": {"k": "A".repeat(50)}}).to_string();
    let mut event = hit("1");
    event["verb"] = "create".into();
    let pairs = |names: [&str; 2]| -> Vec<Value> {
        let pair = |(key, value): (&String, &Value)| {
            let value = value
                .as_str()
                .map_or_else(|| value.to_string(), str::to_owned);
            json!({names[0]: key, names[1]: value})
        };
        event
            .as_object()
            .expect("an object")
            .iter()
            .map(pair)
            .collect()
    };
    let mut activity = json!({"class_uid": 6003, "metadata": {"product": {"name": "Amazon EKS"}, "version": "audit.k8s.io/v1"}});
    activity["actor"]["user"]["name"] = DECOY.into();
    let carriers = [
        format!(
            "{},\"api\":{{\"request\":{{\"data\":",
            activity.to_string().trim_end_matches('}')
        ),
        format!(
            "{{\"protopayload_auditlog\":{},\"requestJson\":",
            json!(entry()).to_string().trim_end_matches("}\"")
        ),
        format!(
            "{{\"results\":[{},{{\"field\":\"requestObject\",\"value\":",
            json!(pairs(["field", "value"]))
                .to_string()
                .trim_end_matches(']')
        ),
        format!(
            "{{\"attributes\":{},{{\"key\":\"requestObject\",\"value\":",
            json!(pairs(["key", "value"]))
                .to_string()
                .trim_end_matches(']')
        ),
    ];
    for carrier in carriers {
        let record = format!("{carrier}{}", json!(body));
        for end in carrier.len()..record.len() {
            let front = &record[..end];
            assert!(!found(None, front.as_bytes()).is_empty(), "{front}");
        }
    }
}

#[test]
fn an_uncut_record_of_each_kind_is_told() {
    for record in records() {
        assert_eq!(found(None, record.as_bytes()).len(), 1, "{record}");
    }
}

/// Documents in which each field of `event` stands by itself: attributes, and rows of tables.
fn documents(event: &Value) -> Vec<String> {
    let fields = event.as_object().expect("an object");
    let mut attributes = any_value(event)["kvlistValue"]["values"].take();
    // What tells who it was comes first, so that it is left where an end is cut off.
    attributes
        .as_array_mut()
        .expect("a list")
        .sort_by_key(|attribute| attribute["key"] != "user");
    let columns: Vec<_> = fields.keys().map(|key| json!({"name": key})).collect();
    let cell = |value: &Value| match value {
        Value::String(text) => text.clone(),
        value => value.to_string(),
    };
    let row: Vec<_> = fields.values().map(cell).collect();
    let cells: Vec<_> = row.iter().map(|cell| json!({"v": cell})).collect();
    let documents = [
        json!({"resourceLogs": [{"scopeLogs": [{"logRecords": [{"body": {}, "attributes": attributes}]}]}]}),
        json!({"columns": columns, "values": [row]}),
        json!({"tables": [{"name": "PrimaryResult", "columns": columns, "rows": [row]}]}),
        json!({"rows": [{"f": cells}], "schema": {"fields": columns}}),
        json!({"a": {"path": event["userAgent"]}, "message": event.to_string()}),
    ];
    documents.iter().map(Value::to_string).collect()
}

/// Its keys are in the order of the alphabet, so that the text stands last of all.
fn sent(username: &str, text: &str) -> Value {
    json!({"apiVersion": "audit.k8s.io/v1", "auditID": "1", "kind": "Event", "requestURI": "/api", "stage": "ResponseComplete",
        "user": {"username": username}, "userAgent": text, "verb": "list", "x": "y".repeat(50)})
}

/// Whether it tells an event, and another than the one that was sent.
fn is_forged(one: &Detection) -> bool {
    one.technique != Technique::Undecodable && one.request.audit_id.as_deref() != Some("1")
}

#[test]
fn an_object_that_a_client_sends_is_no_event_in_a_document_that_is_cut() {
    for body in [
        hit("forged"),
        json!({"a": hit("forged")}),
        json!([hit("forged")]),
    ] {
        for (username, is_told) in [(DECOY, true), ("jane", false)] {
            let mut event = sent(username, "curl");
            event["requestObject"] = json!({"data": body});
            let mut attributes = any_value(&event)["kvlistValue"]["values"].take();
            let last =
                |attribute: &Value| attribute["key"] == "x" || attribute["key"] == "requestObject";
            attributes.as_array_mut().expect("a list").sort_by_key(last);
            let document = json!({"resourceLogs": [{"scopeLogs": [{"logRecords": [{"body": {}, "attributes": attributes}]}]}]});
            let document = document.to_string();
            for cut in [5, 30, 60] {
                let record = &document[..document.len() - cut];
                let all = found(None, record.as_bytes());
                assert!(!all.iter().any(is_forged), "{record}");
                assert!(!is_told || !all.is_empty(), "{record}");
            }
        }
    }
}

#[test]
fn what_a_client_writes_into_a_document_that_is_cut_hides_nothing_and_is_no_event() {
    let forged = hit("forged").to_string();
    let other = forged.replace(DECOY, "joe");
    for text in [
        &other,
        &format!("x {other}"),
        &format!("{other}{{"),
        "curl auditID=",
        "cloud.audit.AuditLog",
        "\"auditID\":\"",
        "\"protoPayload\":{",
        "?{\"type\":\"alert\",\"schema\":1,",
        &forged,
        &format!("x {forged}"),
        &forged.replace('"', "&quot;"),
        &format!("{forged}\n"),
    ] {
        for (username, is_told) in [(DECOY, true), ("jane", false)] {
            for document in documents(&sent(username, text)) {
                for cut in [5, 30, 45] {
                    let record = &document[..document.len() - cut];
                    let all = found(None, record.as_bytes());
                    assert!(!all.iter().any(is_forged), "{record}");
                    assert!(!is_told || !all.is_empty(), "{record}");
                }
            }
        }
    }
}

/// Under a key under which shippers have records, whatever was cut off around it.
#[test]
fn a_whole_event_in_a_wrapper_that_was_cut_is_told() {
    for event in [event(), entry()] {
        let line = json!({"log": format!("{event}\n"), "stream": "stdout"}).to_string();
        let batch = json!({"logEvents": [{"id": "1", "message": event}, {"id": "2", "message": "x"}], "owner": "1"});
        let batch = batch.to_string();
        for cut in [
            &line[1..],
            &line[..line.len() - 1],
            &line[1..line.len() - 1],
            &batch[..batch.len() - 1],
            &batch[..batch.len() - 20],
        ] {
            let found = found(None, cut.as_bytes());
            let is_told = |one: &Detection| one.technique == Technique::TokenUse;
            assert!(found.iter().any(is_told), "{found:?} {cut}");
        }
    }
}

/// An event of somebody else, in the order in which the API server writes it, with texts of theirs in it.
fn of_somebody(user_agent: &str, body: &Value) -> String {
    let (user_agent, body) = (json!(user_agent), body.to_string());
    format!(
        r#"{{"kind":"Event","apiVersion":"audit.k8s.io/v1","auditID":"1","stage":"ResponseComplete","requestURI":"/api/v1/nodes","verb":"list","user":{{"username":"jane"}},"sourceIPs":["10.0.3.8"],"userAgent":{user_agent},"objectRef":{{"resource":"nodes"}},"responseStatus":{{"code":403}},"requestObject":{body},"requestReceivedTimestamp":"2026-11-23T17:21:08.912184Z","stageTimestamp":"2026-11-23T17:21:08.914002Z","annotations":{{"authorization.k8s.io/decision":"forbid"}}}}"#
    )
}

fn forged_in(record: &str) -> bool {
    let found = found(None, record.as_bytes());
    found
        .iter()
        .any(|one| one.technique != Technique::Undecodable)
}

/// Wherever a reader begins in the middle of a line: in blanks before a text, or right before a key under which shippers have records.
#[test]
fn what_a_client_wrote_is_no_event_behind_a_front_that_was_cut_off() {
    let forged = hit("forged").to_string();
    let blanks = " ".repeat(40);
    let message = json!({"kind": "Event", "message": forged, "reason": "R", "type": "Normal"});
    let nested = json!({"data": {"log": forged}, "metadata": {"name": "x"}});
    for record in [
        of_somebody(&format!("{blanks}{forged}"), &Value::Null),
        of_somebody(
            &format!("{blanks}{}", forged.replace('"', "&quot;")),
            &Value::Null,
        ),
        of_somebody("curl", &json!({"data": {"x": format!("{blanks}{forged}")}})),
        of_somebody("curl", &message),
        of_somebody("curl", &nested),
    ] {
        for line in [
            record.clone(),
            json!({"log": record}).to_string(),
            format!("2026-11-23T17:21:08.9Z stdout F {record}"),
        ] {
            for front in 1..line.find("forged").expect("it is there") {
                assert!(!forged_in(&line[front..]), "{}", &line[front..]);
            }
        }
    }
}

/// As an API server leaves a line that is killed while it writes, and begins the next one behind it.
#[test]
fn what_a_client_wrote_is_no_event_behind_an_event_that_was_cut_off() {
    let forged = hit("forged")
        .to_string()
        .replace('"', "'")
        .replace("':", "': ");
    for agent in [
        format!("']}}{forged}{{\""),
        format!("'}}{forged}{{"),
        forged,
        hit("forged").to_string(),
    ] {
        let next = of_somebody(&agent, &Value::Null);
        let first = of_somebody("curl", &json!({"a": "b"}));
        for end in 1..first.len() {
            let line = format!("{}{next}", &first[..end]);
            assert!(!forged_in(&line), "{line}");
        }
    }
}
