//! Texts of clients that a shipper copied beside the whole event, and genuine events beside each other.

use base64::prelude::*;
use serde_json::{Value, json};

use super::{
    forged::{DECOY, hit, ids},
    shapes::gzip,
};

/// An event of somebody else, by a client that calls itself `user_agent`.
fn quiet(user_agent: &str) -> Value {
    let mut event = hit("quiet");
    event["user"] = json!({"username": "jane"});
    event["userAgent"] = user_agent.into();
    event
}

/// Google's, with `user_agent` as what the client calls itself.
fn entry(principal: &str, user_agent: &str) -> Value {
    json!({"insertId": "entry", "timestamp": "2026-11-23T17:21:08.912184Z",
        "protoPayload": {"@type": "type.googleapis.com/google.cloud.audit.AuditLog", "serviceName": "k8s.io",
            "authenticationInfo": {"principalEmail": principal}, "methodName": "io.k8s.core.v1.pods.list",
            "resourceName": "core/v1/pods", "requestMetadata": {"callerSuppliedUserAgent": user_agent}}})
}

/// As shippers put a copy of the user agent beside an event.
fn beside(event: &Value, copy: &str) -> Vec<Value> {
    let text = event.to_string();
    vec![
        json!({"a": copy, "message": text}),
        json!({"message": text, "z": copy}),
        json!({"message": text, "client": {"name": copy}}),
        json!({"user": {"name": "jane"}, "client": {"original": copy}, "kubernetes": {"audit": event}}),
        json!({"event": {"original": text}, "client": {"original": copy}}),
        json!({"body": {"stringValue": text}, "attributes": [{"key": "userAgent", "value": {"stringValue": copy}}]}),
        json!({"streams": [{"stream": {}, "values": [["1795454468912184000", text, {"userAgent": copy}]]}]}),
        json!({"version": "1.1", "short_message": text, "_userAgent": copy}),
        json!([copy, text]),
    ]
}

/// Texts by which a client tries to forge a hit.
fn forgeries() -> Vec<String> {
    let event = hit("forged");
    let mut timeless = event.clone();
    timeless["requestReceivedTimestamp"].take();
    let text = event.to_string();
    let layers = (0..3).fold(text.clone(), |text, _| json!({ "m": text }).to_string());
    vec![
        text.clone(),
        timeless.to_string(),
        format!("/api?x={text}&y=1"),
        entry(DECOY, "x").to_string(),
        json!({"kind": "EventList", "items": [event]}).to_string(),
        json!({"auditID": "forged", "verb": "list", "user": event["user"].to_string()}).to_string(),
        json!({"log": text}).to_string(),
        layers,
        text[..text.len() - 9].to_owned(),
    ]
}

#[test]
fn a_copy_of_a_clients_text_beside_the_event_is_no_event() {
    for forgery in forgeries() {
        for carrier in [quiet(&forgery), entry("jane", &forgery)] {
            for record in beside(&carrier, &forgery) {
                assert_eq!(ids(&record.to_string()), [], "{record}");
            }
        }
    }
}

#[test]
fn it_matters_not_in_which_text_of_a_client_it_stood() {
    let forgery = hit("forged").to_string();
    for (path, value) in [
        ("requestURI", json!(forgery)),
        ("requestObject", json!({"data": {"x": forgery}})),
        ("responseStatus", json!({"message": forgery})),
        ("objectRef", json!({"name": forgery})),
        ("annotations", json!({"x": forgery})),
    ] {
        let mut event = quiet("curl");
        event[path] = value;
        for record in beside(&event, &forgery) {
            assert_eq!(ids(&record.to_string()), [], "{record}");
        }
    }
}

#[test]
fn the_event_that_carries_a_copied_text_is_told() {
    let forgery = hit("forged").to_string();
    let mut real = quiet(&forgery);
    real["auditID"] = "real".into();
    real["user"] = json!({ "username": DECOY });
    for record in beside(&real, &forgery) {
        assert_eq!(
            ids(&record.to_string()),
            [("real".to_owned(), None)],
            "{record}"
        );
    }
}

/// A client knows of another's request all but its time.
#[test]
fn genuine_events_beside_each_other_are_all_told() {
    let mut one = hit("one");
    one["userAgent"] = "a {\"b\":1}".into();
    let mut two = hit("two");
    let mut guess = one.clone();
    guess["requestReceivedTimestamp"] = "2026-11-23T17:21:08.912185Z".into();
    two["userAgent"] = guess.to_string().into();
    let (first, second) = (one.to_string(), two.to_string());
    for record in [
        json!({"logEvents": [{"message": first}, {"message": second}]}),
        json!({"logEvents": [{"message": second}, {"message": first}]}),
        json!({"records": [{"properties": {"log": first}}, {"properties": {"log": second}}]}),
        json!([first, second]),
        json!([one, two]),
        json!({"kind": "EventList", "apiVersion": "audit.k8s.io/v1", "items": [one, two]}),
        json!({"message": format!("{first}\n{second}")}),
        json!({"a": one, "message": second}),
    ] {
        let all = ids(&record.to_string());
        assert_eq!(all.len(), 2, "{record}");
        assert!(all.iter().all(|(id, _)| id == "one" || id == "two"));
    }
}

/// Where a store keeps no times, text of a client may be all that another's event says.
#[test]
fn an_event_without_a_time_that_another_client_wrote_too_is_not_hidden() {
    let timeless = |mut event: Value| {
        event
            .as_object_mut()
            .expect("an object")
            .remove("requestReceivedTimestamp");
        event.to_string()
    };
    let real = timeless(hit("real"));
    let other = timeless(quiet(&real));
    let record = json!({"logEvents": [{"message": real}, {"message": other}]});
    assert_eq!(ids(&record.to_string()), [("undecodable".to_owned(), None)]);
}

/// Vector's `.audit = parse_json!(.message)`, and the like: the same event twice in a record.
#[test]
fn an_event_that_is_kept_as_text_beside_its_fields_is_told_once() {
    let event = hit("real");
    let text = event.to_string();
    for record in [
        json!({"message": text, "audit": event}),
        json!({"audit": event, "message": text, "again": event}),
        json!([event, event]),
    ] {
        assert_eq!(
            ids(&record.to_string()),
            [("real".to_owned(), None)],
            "{record}"
        );
    }
    // One client may give the same id to two requests.
    let mut other = event.clone();
    other["verb"] = "watch".into();
    let both = json!([event, other, event]).to_string();
    assert_eq!(ids(&both).len(), 2);
    // However often it does.
    let many = (0..10_000).map(|number| {
        let mut event = event.clone();
        event["userAgent"] = number.to_string().into();
        event
    });
    let many = Value::Array(many.collect()).to_string();
    assert_eq!(ids(&many).len(), 10_000);
}

/// Times stand last in an event, so that a client can have them cut off, and knows all that is left.
#[test]
fn an_event_that_was_cut_before_its_times_is_not_hidden_by_another_clients_text() {
    let mut event = hit("1");
    event
        .as_object_mut()
        .expect("an object")
        .remove("requestReceivedTimestamp");
    let cut = event.to_string();
    let cut = &cut[..cut.len() - 3];
    let packed = BASE64_STANDARD.encode(gzip(cut.as_bytes()));
    for text in [cut.to_owned(), json!({"data": packed}).to_string()] {
        let other = quiet(&text).to_string();
        for record in [
            json!({"logEvents": [{"message": cut}, {"message": other}]}),
            json!([other, cut]),
        ] {
            let all = ids(&record.to_string());
            assert_eq!(all, [("undecodable".to_owned(), None)], "{record}");
        }
    }
}

/// A client can name each millisecond in which another's request may come.
#[test]
fn an_event_whose_time_a_client_can_guess_is_not_hidden() {
    let coarse = |mut event: Value| {
        event["requestReceivedTimestamp"] = "2026-11-23T17:21:08.912Z".into();
        event.to_string()
    };
    let real = coarse(hit("real"));
    let other = coarse(quiet(&real));
    let record = json!({"logEvents": [{"message": real}, {"message": other}]});
    assert_eq!(ids(&record.to_string()), [("undecodable".to_owned(), None)]);
}

/// What a client packs into a text is looked at as far as that costs little.
#[test]
fn a_text_that_unpacks_to_very_much_hides_nothing_and_forges_nothing() {
    let forged = format!("{}{}", " ".repeat(40 << 20), hit("forged"));
    let packed = json!({"data": BASE64_STANDARD.encode(gzip(forged.as_bytes()))}).to_string();
    let real = hit("real").to_string();
    let record = json!({"logEvents": [{"message": real}, {"message": quiet(&packed).to_string()}]});
    assert_eq!(ids(&record.to_string()), [("real".to_owned(), None)]);
    let record = json!({"message": quiet(&packed).to_string(), "client": packed});
    assert!(
        ids(&record.to_string())
            .iter()
            .all(|(id, _)| id == "undecodable")
    );
}
