//! Single fields of an event that a shipper lifted out of it, beside the whole event or beside text of clients.

use serde_json::{Value, json};

use super::{
    forged::{DECOY, hit, ids},
    found,
};

/// The fields `keys` of `event`.
fn fields(event: &Value, keys: &[&str]) -> Value {
    let lifted = keys
        .iter()
        .map(|key| ((*key).to_owned(), event[key].clone()));
    Value::Object(lifted.collect())
}

/// `object` with `value` at `path`, whose keys have dots between them.
fn with(mut object: Value, path: &str, value: Value) -> Value {
    let value = path
        .rsplit('.')
        .fold(value, |value, key| json!({ key: value }));
    let added = value.as_object().expect("an object").clone();
    object.as_object_mut().expect("an object").extend(added);
    object
}

/// An event of somebody else, with nothing of the decoy but in what `key` has.
fn quiet(key: &str, text: Value) -> Value {
    let mut event = hit("quiet");
    event["user"] = json!({"username": "jane"});
    event[key] = text;
    event
}

/// What may be lifted out of an event, so that it still looks like one.
const LIFTED: [&[&str]; 6] = [
    &["auditID", "stage", "verb"],
    &["auditID", "user", "requestURI"],
    &["verb", "user", "sourceIPs"],
    &["auditID", "stage", "requestReceivedTimestamp"],
    &[
        "auditID",
        "verb",
        "user",
        "requestURI",
        "requestReceivedTimestamp",
        "sourceIPs",
    ],
    &["apiVersion", "kind", "auditID"],
];

fn once(id: &str) -> Vec<(String, Option<String>)> {
    vec![(id.to_owned(), None)]
}

#[test]
fn the_whole_event_is_found_beside_its_fields_and_told_once() {
    let real = hit("real");
    for keys in LIFTED {
        for place in [
            "message",
            "log",
            "msg",
            "MESSAGE",
            "@message",
            "_raw",
            "raw",
            "original",
            "event.original",
            "event",
            "kubernetes.audit",
            "audit",
            "payload",
            "json",
        ] {
            let object = with(fields(&real, keys), place, real.clone());
            assert_eq!(ids(&object.to_string()), once("real"), "{object}");
            for text in [
                real.to_string(),
                format!("2026-11-23T17:21:08Z stdout F {real}"),
            ] {
                if place == "event" {
                    continue;
                }
                let record = with(fields(&real, keys), place, text.into());
                assert_eq!(ids(&record.to_string()), once("real"), "{record}");
            }
        }
    }
}

#[test]
fn what_was_altered_on_the_way_out_hides_nothing() {
    let real = hit("real");
    for lifted in [
        json!({"auditID": "real", "verb": "list", "user": DECOY}),
        json!({"auditID": "real", "stage": "ResponseComplete", "requestReceivedTimestamp": "2026-11-23T17:21:08.912Z"}),
        json!({"auditID": "real", "stage": "ResponseComplete", "requestReceivedTimestamp": "2026-11-23 17:21:08.912184"}),
        json!({"auditID": "real", "verb": "LIST", "stage": 7}),
        json!({"auditID": "real", "verb": "list", "user": {"name": DECOY}}),
    ] {
        let record = with(lifted, "message", real.to_string().into());
        assert_eq!(ids(&record.to_string()), once("real"), "{record}");
    }
}

#[test]
fn an_unknown_place_is_believed_if_it_tells_a_time_that_only_the_server_knew() {
    let real = hit("real");
    let lifted = fields(&real, &["auditID", "stage", "requestReceivedTimestamp"]);
    for value in [real.clone(), real.to_string().into()] {
        let record = with(lifted.clone(), "entry", value);
        assert_eq!(ids(&record.to_string()), once("real"), "{record}");
    }
    let record = with(
        fields(&real, &["auditID", "stage", "verb"]),
        "entry",
        real.to_string().into(),
    );
    assert_eq!(ids(&record.to_string()), once("undecodable"), "{record}");
}

#[test]
fn text_of_a_client_that_a_shipper_lifted_out_is_no_event_and_hides_none() {
    for key in ["userAgent", "requestURI", "requestObject"] {
        for lifted in [
            "user_agent_original",
            "user_agent.original",
            "url.original",
            "body",
            "http.request.body",
            "labels",
        ] {
            let mut forged = hit("quiet");
            for value in [forged.clone(), forged.to_string().into()] {
                let record = with(quiet(key, value.clone()), lifted, value);
                assert_eq!(ids(&record.to_string()), [], "{record}");
            }
            // It knows all but when its request will be received.
            forged["user"] = json!({"username": "jane"});
            forged["requestReceivedTimestamp"] = "2026-11-23T17:21:08.912185Z".into();
            let mut real = quiet(key, forged.to_string().into());
            real["user"] = json!({"username": DECOY});
            for place in [lifted, "message", "log"] {
                let record = with(real.clone(), place, forged.to_string().into());
                assert_eq!(ids(&record.to_string()), once("quiet"), "{record}");
                let record = with(real.clone(), place, format!("list {forged}").into());
                assert_eq!(ids(&record.to_string()), once("quiet"), "{record}");
            }
        }
    }
}

#[test]
fn a_message_made_of_a_path_is_no_event() {
    let record = with(
        quiet("verb", "get".into()),
        "message",
        format!("get /{}", {
            let mut forged = hit("quiet");
            forged["requestReceivedTimestamp"] = "2026-11-23T17:21:07.5Z".into();
            forged
        })
        .into(),
    );
    assert_eq!(ids(&record.to_string()), [], "{record}");
}

#[test]
fn fields_without_a_time_do_not_let_text_of_a_client_hide_what_they_tell() {
    let mut real = fields(&hit("real"), &["auditID", "verb", "user"]);
    let forged = json!({"auditID": "real", "verb": "list", "user": {"username": "jane"}});
    for place in ["message", "entry"] {
        real = with(real, place, forged.to_string().into());
        assert_eq!(ids(&real.to_string()), once("real"), "{real}");
    }
}

#[test]
fn a_whole_event_that_is_cut_off_beside_its_fields_is_told() {
    let text = hit("real").to_string();
    let record = json!({"auditID": "real", "stage": "ResponseComplete", "verb": "list", "message": text[..text.len() - 9]});
    assert_eq!(ids(&record.to_string()), once("undecodable"));
}

/// Fields that stand in another object than the whole event: labels of Loki, attributes of OpenTelemetry, what Elastic's
/// integrations make of an event whose original they keep.
#[test]
fn fields_elsewhere_in_the_record_are_told_once_with_the_event() {
    let mut event = hit("real");
    event["responseStatus"] = json!({"code": 403});
    event["user"]["groups"] = json!(["a"]);
    let text = event.to_string();
    let labels = json!({"job": "audit", "user_username": DECOY, "verb": "list", "requestURI": "/api/v1/namespaces",
        "responseStatus_code": "403"});
    let named =
        json!({"job": "audit", "user": DECOY, "verb": "list", "responseStatus_code": "403"});
    let attribute = |key: &str, value: &str| json!({"key": key, "value": {"stringValue": value}});
    let attributes = [
        attribute("user.username", DECOY),
        attribute("verb", "list"),
        attribute("requestURI", "/api/v1/namespaces"),
    ];
    let mut timed = attributes.to_vec();
    timed.push(attribute(
        "requestReceivedTimestamp",
        "2026-11-23T17:21:08.912184Z",
    ));
    let mut beside = event.clone();
    beside["user"]
        .as_object_mut()
        .expect("a user")
        .remove("groups");
    let azure = json!({"category": "kube-audit", "properties": {"log": text}});
    for record in [
        json!({"streams": [{"stream": labels, "values": [["1795454469250000000", text]]}]}),
        json!({"streams": [{"stream": named, "values": [["1795454469250000000", text]]}]}),
        json!({"data": {"result": [{"stream": event, "values": [["1795454469250000000", text]]}]}}),
        json!([{"line": text, "date": "2026-11-23T17:21:09Z", "fields": labels}]),
        json!({"logRecords": [{"body": {"stringValue": text}, "attributes": attributes}]}),
        json!({"logRecords": [{"attributes": timed, "body": {"stringValue": text}}]}),
        json!({"event": {"original": azure.to_string()}, "kubernetes": {"audit": beside}}),
    ] {
        assert_eq!(ids(&record.to_string()), once("real"), "{record}");
    }
}

/// A client may give one id to all its requests, and rows of a table may tell none.
#[test]
fn what_says_the_same_of_two_requests_is_told_of_both() {
    let event = hit("chosen");
    let mut later = event.clone();
    later["requestReceivedTimestamp"] = "2026-11-23T17:21:08.912185Z".into();
    let mut begun = event.clone();
    begun["stage"] = "RequestReceived".into();
    let row =
        json!({"verb": "list", "user": {"username": DECOY}, "requestURI": "/api/v1/namespaces"});
    for records in [
        json!([event, later]),
        json!({"kind": "EventList", "items": [event, later]}),
        json!([begun, event]),
        json!([row, row]),
        json!([event, {"message": later.to_string()}]),
    ] {
        assert_eq!(ids(&records.to_string()).len(), 2, "{records}");
    }
}

/// Of Loki's `logcli`, which are those of the stream.
#[test]
fn fields_among_the_labels_of_a_line_are_an_event() {
    let labels = json!({"job": "audit", "auditID": "real", "user_username": DECOY, "verb": "list",
        "requestURI": "/api/v1/namespaces", "requestReceivedTimestamp": "2026-11-23T17:21:08.912184Z"});
    for line in ["list /api/v1/namespaces", &hit("real").to_string()] {
        let record = json!({"labels": labels, "line": line, "timestamp": "2026-11-23T17:21:09Z"});
        assert_eq!(ids(&record.to_string()), once("real"), "{record}");
    }
    let others =
        json!({"labels": labels, "line": "x", "timestamp": "2026-11-23T17:21:09Z", "pod": "a"});
    assert_eq!(ids(&others.to_string()), once("undecodable"), "{others}");
}

/// Whoever makes a pod chooses its labels.
#[test]
fn fields_among_other_labels_are_doubtful_unless_the_event_stands_beside_them() {
    let labels = |user: &str, agent: &str| json!({"auditID": "real", "user_username": user, "verb": "list", "requestURI": "/api/v1/namespaces", "userAgent": agent});
    let event = hit("real").to_string();
    for (message, labels, wanted) in [
        ("", labels(DECOY, "curl"), once("undecodable")),
        (&event, labels(DECOY, "curl"), once("real")),
        ("", labels("jane", "curl"), vec![]),
        ("", labels("jane", &event), vec![]),
        (
            "",
            json!({"app": "backup-sa", "namespace": "honeypot"}),
            vec![],
        ),
    ] {
        let record = json!({"@timestamp": "2026-11-23T17:21:09Z", "message": message, "labels": labels, "service": {"name": "k"}});
        assert_eq!(ids(&record.to_string()), wanted, "{record}");
    }
}

/// What a shipper knows of a pod has keys of its own, but for labels and annotations.
#[test]
fn an_event_under_the_key_of_a_pod_is_told() {
    let mut record = json!({"kubernetes": hit("real")});
    assert_eq!(ids(&record.to_string()), once("real"));
    record["kubernetes"] =
        json!({"pod_name": "a", "labels": hit("forged"), "annotations": {"a": hit("forged")}});
    assert_eq!(ids(&record.to_string()), []);
}

/// Behind a prefix, as GELF has what was added to a message. What the fields lack the whole event tells.
#[test]
fn the_whole_event_is_told_beside_fields_with_a_prefix() {
    let mut event = hit("real");
    event["user"]["extra"] = json!({"authentication.kubernetes.io/pod-name": ["file-backup"]});
    for (prefix, joint, place) in [
        ("_", "_", "short_message"),
        ("_", "_", "full_message"),
        ("kubernetes.audit.", ".", "event.original"),
        ("audit.", ".", "message"),
    ] {
        let mut record = json!({"version": "1.1", place: event.to_string()});
        for key in [
            "auditID",
            "stage",
            "verb",
            "requestURI",
            "requestReceivedTimestamp",
        ] {
            record[format!("{prefix}{key}")] = event[key].clone();
        }
        record[format!("{prefix}user{joint}username")] = DECOY.into();
        let [told] = found(None, record.to_string().as_bytes())
            .try_into()
            .expect("one");
        assert_eq!(told.actor.pod.as_deref(), Some("file-backup"), "{record}");
        // Nor does text of a client in that place hide what the fields tell.
        let mut forged = event.clone();
        forged["user"] = json!({"username": "jane"});
        forged["requestReceivedTimestamp"] = "2026-11-23T17:21:08.912185Z".into();
        record[place] = format!("list {forged}").into();
        assert_eq!(ids(&record.to_string()), once("real"), "{record}");
    }
}

#[test]
fn groups_that_became_one_text_are_those_of_the_whole_event() {
    let mut event = hit("real");
    for groups in [json!(["a", "b"]), json!(["CN=a,DC=b"])] {
        event["user"]["groups"] = groups.clone();
        let text: Vec<_> = groups
            .as_array()
            .expect("groups")
            .iter()
            .filter_map(Value::as_str)
            .collect();
        let mut record = fields(
            &event,
            &[
                "auditID",
                "stage",
                "verb",
                "requestURI",
                "requestReceivedTimestamp",
            ],
        );
        record["user_username"] = DECOY.into();
        record["user_groups"] = text.join(", ").into();
        let [told] = found(None, record.to_string().as_bytes())
            .try_into()
            .expect("one");
        assert_eq!(json!(told.actor.groups), groups);
        record["message"] = event.to_string().into();
        assert_eq!(ids(&record.to_string()), once("real"), "{record}");
    }
}

/// Loki's structured metadata, with keys in which nobody reads an event.
#[test]
fn what_loki_keeps_behind_a_line_that_tells_an_event_is_of_it() {
    let metadata = json!({"audit_id": "real", "user_username": DECOY});
    let pushed = |line: String| json!({"streams": [{"stream": {"job": "k"}, "values": [["1795454469250000000", line, metadata]]}]});
    assert_eq!(
        ids(&pushed(hit("real").to_string()).to_string()),
        once("real")
    );
    assert_eq!(
        ids(&pushed("list /api".to_owned()).to_string()),
        once("undecodable")
    );
}
