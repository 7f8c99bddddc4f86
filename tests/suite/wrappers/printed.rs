//! Events that something printed as anything but JSON.

use baitline::detect::Technique;
use base64::prelude::*;
use serde_json::{Value, json};

use super::{
    forged::{DECOY, hit, ids},
    found, without_origin,
};
use crate::recordings::recording;

fn techniques(record: &str) -> Vec<Technique> {
    let all = found(None, record.as_bytes());
    all.iter().map(|one| one.technique).collect()
}

/// An event of `username` by a client that calls itself `user_agent`.
fn event(username: &str, user_agent: &str) -> Value {
    let mut event = hit("real");
    event["user"]["username"] = username.into();
    event["userAgent"] = user_agent.into();
    event["objectRef"] = json!({"resource": "pods", "namespace": "shop"});
    event
}

/// As the values of Java print themselves.
fn java(value: &Value) -> String {
    match value {
        Value::Object(fields) => {
            let fields: Vec<_> = fields
                .iter()
                .map(|(key, value)| format!("{key}={}", java(value)))
                .collect();
            format!("{{{}}}", fields.join(", "))
        }
        Value::Array(items) => format!(
            "[{}]",
            items.iter().map(java).collect::<Vec<_>>().join(", ")
        ),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// As Go prints a map.
fn go(value: &Value) -> String {
    match value {
        Value::Object(fields) => {
            let fields: Vec<_> = fields
                .iter()
                .map(|(key, value)| format!("{key}:{}", go(value)))
                .collect();
            format!("map[{}]", fields.join(" "))
        }
        Value::Array(items) => format!("[{}]", items.iter().map(go).collect::<Vec<_>>().join(" ")),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn logfmt(path: &str, value: &Value) -> String {
    match value {
        Value::Object(fields) => {
            let inner = |(key, value): (&String, &Value)| match path {
                "" => logfmt(key, value),
                path => logfmt(&format!("{path}.{key}"), value),
            };
            fields.iter().map(inner).collect::<Vec<_>>().join(" ")
        }
        other => format!("{path}={}", java(other)),
    }
}

fn python(value: &Value) -> String {
    match value {
        Value::Object(fields) => {
            let fields: Vec<_> = fields
                .iter()
                .map(|(key, value)| format!("'{key}': {}", python(value)))
                .collect();
            format!("{{{}}}", fields.join(", "))
        }
        Value::Array(items) => format!(
            "[{}]",
            items.iter().map(python).collect::<Vec<_>>().join(", ")
        ),
        Value::String(text) if text.contains('\'') && !text.contains('"') => {
            format!("\"{}\"", text.replace('\\', "\\\\"))
        }
        Value::String(text) => format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'")),
        Value::Null => "None".to_owned(),
        other => other.to_string(),
    }
}

fn xml(text: &str) -> String {
    let text = text.replace('&', "&amp;").replace('"', "&quot;");
    format!(
        "<Event><Data>{}</Data></Event>",
        text.replace('<', "&lt;").replace('>', "&gt;")
    )
}

fn percent_encoded(text: &str) -> String {
    let encoded = text.bytes().map(|byte| match byte {
        byte if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) => {
            char::from(byte).to_string()
        }
        byte => format!("%{byte:02X}"),
    });
    format!("payload={}", encoded.collect::<String>())
}

/// Whatever a client calls itself.
const AGENTS: [&str; 9] = [
    "curl/8",
    "}",
    "]}'\"",
    "{\"",
    "[\"",
    "it's \" {'a': 1",
    "\"auditID\":\"1\"",
    "{\"auditID\":1} x",
    "&quot; %22 {&quot;",
];

#[test]
fn what_escapes_json_or_prints_all_of_it_is_the_event() {
    for agent in AGENTS {
        let event = event(DECOY, agent);
        let bare = found(None, event.to_string().as_bytes());
        for line in [
            xml(&event.to_string()),
            format!("INFO {}", python(&event)),
            python(&event),
        ] {
            for record in [line.clone(), json!({"message": line}).to_string()] {
                let all = found(None, record.as_bytes());
                let same =
                    |one: &baitline::detect::Detection| one.detection_id == bare[0].detection_id;
                assert!(all.iter().any(same), "{record}");
            }
        }
    }
}

/// As a consumer prints what it polled: text of JSON in values of Python, several in a line.
#[test]
fn several_values_that_python_printed_in_a_line_are_told() {
    let text = |agent: &str| event(DECOY, agent).to_string();
    let client = json!({"verb": "x", "auditID": "y"}).to_string();
    for line in [
        format!(
            "in={} out={}",
            python(&json!({"log": text("a")})),
            python(&json!({"log": text("b")}))
        ),
        format!(
            "{} {}",
            python(&json!({"Body": text("a")})),
            python(&event(DECOY, &client))
        ),
    ] {
        assert_eq!(techniques(&line), [Technique::TokenUse; 2], "{line}");
    }
}

/// As a function prints what it was called with: `{'awslogs': {'data': 'H4sI…'}}`.
#[test]
fn base64_in_what_python_printed_is_searched() {
    let packed = BASE64_STANDARD.encode(event(DECOY, "curl/8").to_string());
    for record in [
        json!({"awslogs": {"data": packed}}),
        json!({"Records": [{"kinesis": {"partitionKey": "1", "data": packed}}]}),
        json!({"message": {"data": packed, "messageId": "1"}, "subscription": "s"}),
    ] {
        let printed = python(&record);
        assert_eq!(techniques(&printed), [Technique::TokenUse], "{printed}");
        let line = format!("[INFO]\t2026-11-23T17:21:08.912Z\t0f1c\t{printed}");
        assert_eq!(techniques(&line), [Technique::TokenUse], "{line}");
    }
}

#[test]
fn base64_in_json_in_xml_is_searched() {
    let packed = BASE64_STANDARD.encode(event(DECOY, "curl/8").to_string());
    for key in ["data", "Data", "rawData", "data_base64"] {
        let record = xml(&json!({key: packed}).to_string());
        assert_eq!(techniques(&record), [Technique::TokenUse], "{record}");
    }
}

#[test]
fn what_no_parser_can_be_sure_of_is_undecodable() {
    for agent in AGENTS {
        for (username, wanted) in [(DECOY, &[Technique::Undecodable][..]), ("jane", &[])] {
            let event = event(username, agent);
            for line in [
                java(&event),
                go(&event),
                logfmt("", &event),
                percent_encoded(&event.to_string()),
            ] {
                for record in [
                    line.clone(),
                    format!("2026-11-23 INFO {line}"),
                    json!({"message": line}).to_string(),
                    json!({"log": json!({"message": line}).to_string()}).to_string(),
                ] {
                    assert_eq!(techniques(&record), wanted, "{record}");
                }
            }
        }
    }
}

#[test]
fn what_python_printed_and_was_cut_off_is_undecodable() {
    for agent in AGENTS {
        for (username, wanted) in [(DECOY, &[Technique::Undecodable][..]), ("jane", &[])] {
            // In the order in which the API server writes it.
            let line = format!(
                "{{'kind': 'Event', 'apiVersion': 'audit.k8s.io/v1', 'auditID': 'real', 'user': {{'username': '{username}'}}, 'userAgent': {}, 'objectRef': {{'resource': 'pods'",
                python(&agent.into())
            );
            let named = line.find("'userAgent'").expect("it stands there");
            for end in [named, line.len() - 9, line.len()] {
                let line = &line[..end];
                for record in [
                    line.to_owned(),
                    format!("INFO got [{line}"),
                    json!({"message": line}).to_string(),
                    json!({"log": json!({"message": line}).to_string()}).to_string(),
                ] {
                    assert_eq!(techniques(&record), wanted, "{record}");
                }
            }
        }
    }
}

/// However it is printed there.
#[test]
fn what_a_client_writes_into_an_event_is_no_printed_event() {
    let forged = hit("forged");
    for text in [
        java(&forged),
        go(&forged),
        logfmt("", &forged),
        python(&forged),
        python(&forged).trim_end_matches('}').to_owned(),
        xml(&forged.to_string()),
        percent_encoded(&forged.to_string()),
    ] {
        let quiet = event("jane", &text);
        let line = quiet.to_string();
        for record in [
            line.clone(),
            format!("2026-11-23T17:21:08.9Z stdout F {line}"),
            format!("INFO {line} done"),
            json!({"message": line}).to_string(),
            json!({"message": line, "client": text}).to_string(),
            json!({"verb": "get", "userAgent": text}).to_string(),
            format!("x,\"{}\"", line.replace('"', "\"\"")),
            xml(&line),
        ] {
            assert_eq!(ids(&record), [], "{record}");
        }
    }
}

/// The event is JSON in a string of Python's, in which its backslashes stand twice.
#[test]
fn no_text_of_a_client_ends_a_string_that_python_printed() {
    let forged = hit("forged").to_string();
    let escaped = json!(forged).to_string();
    for text in [
        "\"}",
        "\\\"}",
        "'}",
        "}}|,{\"data\":1}",
        "\":}}",
        "\",}}",
        &forged,
        &escaped,
        &format!("\"}}/\" {escaped}"),
    ] {
        for body in [
            json!({}),
            json!({"x{}": {"a": text}, "stringValue": forged}),
        ] {
            let record = |username: &str| {
                let mut event = event(username, text);
                event["requestObject"] = body.clone();
                // Before the fields by which the rest of an event is known.
                event["annotations"] = json!({"a": text});
                python(&json!({"log": event.to_string(), "time": "x"}))
            };
            assert_eq!(ids(&record("jane")), [], "{text}");
            assert_eq!(ids(&record(DECOY)), [("real".to_owned(), None)], "{text}");
        }
    }
}

/// As Python prints the bytes of `text`, which has double quotes.
fn bytes_of_python(text: &str) -> String {
    let escaped = text.bytes().map(|byte| match byte {
        b'\n' => "\\n".to_owned(),
        b'\\' | b'\'' => format!("\\{}", char::from(byte)),
        b' '..=b'~' => char::from(byte).to_string(),
        byte => format!("\\x{byte:02x}"),
    });
    format!("b'{}'", escaped.collect::<String>())
}

#[test]
fn an_event_whose_backslashes_were_doubled_is_the_event() {
    let forged = hit("forged").to_string();
    for text in AGENTS.into_iter().chain([
        "\\\"}",
        "'}",
        "\"}}|,{\"data\":1}",
        "b'{\"a\"",
        "\n\t\\n",
        "\u{e9}\u{7f}",
        &forged,
        &json!(forged).to_string(),
        &bytes_of_python(&forged),
    ]) {
        for (username, wanted) in [(DECOY, "real"), ("jane", "")] {
            let mut event = event(username, text);
            // In the order in which the API server writes it.
            event["annotations"] = json!({"a": text});
            let pretty = serde_json::to_string_pretty(&event).expect("it is JSON");
            for printed in [event.to_string(), pretty].map(|json| bytes_of_python(&json)) {
                let doubled = event.to_string().replace('\\', "\\\\");
                for line in [
                    printed.clone(),
                    printed[1..].to_owned(),
                    format!("2026-11-23 17:21:09,123 INFO got {printed}"),
                    format!("{{'topic': 'audit', 'value': {printed}}}"),
                    // As `mysql --batch` and PostgreSQL's COPY have it.
                    doubled.clone(),
                    format!("17\t{doubled}\t2026-11-23 17:21:09"),
                ] {
                    for record in [line.clone(), json!({"message": line}).to_string()] {
                        let told: Vec<_> = ids(&record).into_iter().map(|(id, _)| id).collect();
                        assert_eq!(told.concat(), wanted, "{record}");
                    }
                }
            }
        }
    }
}

/// It is JSON as it stands.
#[test]
fn a_selector_before_an_ampersand_with_a_doubled_backslash_is_known() {
    let mut event = event("jane", "curl");
    event["requestURI"] =
        json!("/api/v1/secrets?fieldSelector=metadata.namespace%3Dhoneypot\\u0026limit=500");
    event["verb"] = json!("list");
    event["objectRef"] = json!({"resource": "secrets", "apiVersion": "v1"});
    for record in [event.to_string(), format!("1\t{event}")] {
        let all = found(None, record.as_bytes());
        assert_eq!(all.len(), 1, "{record}");
        assert_eq!(all[0].technique, Technique::SecretRead, "{record}");
    }
}

/// Postgres writes a backslash once.
#[test]
fn a_string_of_sql_is_none_of_python() {
    let forged = hit("forged").to_string();
    for text in ["a", "\\", &forged, &json!(forged).to_string()] {
        for (username, wanted) in [(DECOY, "real"), ("jane", "")] {
            let event = event(username, text).to_string().replace('\'', "''");
            let record = format!("INSERT INTO audit VALUES (17, '{event}');");
            let told: Vec<_> = ids(&record).into_iter().map(|(id, _)| id).collect();
            assert_eq!(told.concat(), wanted, "{record}");
        }
    }
}

#[test]
fn what_a_client_writes_into_fields_of_logfmt_is_no_event() {
    let forged = json!(hit("forged").to_string());
    for field in [
        "requestObject.data.log",
        "requestObject.message",
        "responseStatus.message",
        "impersonatedUser.extra.log",
    ] {
        let mut line = logfmt("", &event("jane", "curl"));
        line.push_str(&format!(" {field}={forged}"));
        let all = ids(&line);
        assert!(all.iter().all(|(id, _)| id == "undecodable"), "{line}");
    }
}

/// One of its keys stands in many a log, and so do the names of a decoy.
#[test]
fn names_beside_a_single_key_are_no_event() {
    for record in [
        format!("level=info msg=denied auditID=1 user={DECOY}"),
        format!("GET /?requestURI=1&user={DECOY}"),
        format!("10.0.0.1 - - \"GET /ui?auditID=1&requestURI=2&user={DECOY} HTTP/1.1\" 200"),
        format!("{{user={DECOY}, verb=list}}"),
        format!("{{'user': '{DECOY}', 'verb': 'list'}}"),
    ] {
        assert_eq!(techniques(&record), [], "{record}");
    }
}

/// As Go's `%q`.
fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for letter in text.chars() {
        match letter {
            '"' | '\\' => out.extend(['\\', letter]),
            '\n' => out.push_str("\\n"),
            '\u{7f}' | '\0'..' ' => out.push_str(&format!("\\x{:02x}", letter as u32)),
            letter => out.push(letter),
        }
    }
    out + "\""
}

/// As the API server writes it with `--audit-log-format=legacy`.
fn legacy(event: &Value) -> String {
    let text = |value: &Value, none: &str| quoted(value.as_str().unwrap_or(none));
    let groups = event["user"]["groups"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    let groups: Vec<_> = groups
        .iter()
        .filter_map(Value::as_str)
        .map(quoted)
        .collect();
    let code = event["responseStatus"]["code"].as_u64();
    format!(
        "{} AUDIT: id={} stage={} ip={} method={} user={} groups={} as={} asgroups=\"<lookup>\" user-agent={} namespace={} uri={} response=\"{}\"",
        event["requestReceivedTimestamp"].as_str().expect("a time"),
        text(&event["auditID"], ""),
        text(&event["stage"], ""),
        text(&event["sourceIPs"][0], "<unknown>"),
        text(&event["verb"], ""),
        text(&event["user"]["username"], "<none>"),
        quoted(&groups.join(",")),
        text(&event["impersonatedUser"]["username"], "<self>"),
        text(&event["userAgent"], ""),
        text(&event["objectRef"]["namespace"], "<none>"),
        text(&event["requestURI"], ""),
        code.map_or("<deferred>".to_owned(), |code| code.to_string()),
    )
}

/// Nor does it hide the event in which it stands, or another beside it.
#[test]
fn the_beginning_of_a_legacy_line_in_a_text_hides_nothing() {
    let whole = legacy(&event("jane", "curl"));
    for text in [
        "a 2026-11-23T17:21:08Z AUDIT: id=x",
        "2026-11-23T17:21:08Z AUDIT: id=x y=z",
        &whole,
        &format!("a {whole} b=c"),
    ] {
        let mut of_id = hit(text);
        of_id["userAgent"] = "curl".into();
        for event in [event(DECOY, text), of_id] {
            let quiet = event.to_string().replace(DECOY, "jane");
            for record in [
                format!("2026-11-23T17:21:09Z stdout F {event}"),
                json!({"log": format!("2026-11-23T17:21:09Z stdout F {event}\n")}).to_string(),
                format!("<14>1 2026-11-23T17:21:08.9Z h k - - {event}"),
                format!("2026-11-23T17:21:09Z {event}"),
                format!("msg={}", json!(event.to_string())),
                format!("2026,\"{}\"", event.to_string().replace('"', "\"\"")),
                xml(&event.to_string()),
                format!("{event}{quiet}"),
                format!("{quiet}{event}"),
                json!({"message": format!("event received:\n{}", serde_json::to_string_pretty(&event).expect("it is JSON"))}).to_string(),
                bytes_of_python(&event.to_string()),
            ] {
                let told = techniques(&record);
                assert!(!told.is_empty(), "{record}");
            }
        }
    }
}

/// It has the path of a request, and no object but by it.
#[test]
fn a_line_in_the_legacy_format_is_the_hit_that_the_event_is() {
    let text = String::from_utf8(recording("metadata", "audit.ndjson.gz")).expect("it is text");
    let mut hits = 0;
    for line in text.lines() {
        let event: Value = serde_json::from_str(line).expect("an event is JSON");
        let mut left = json!({"kind": "Event", "apiVersion": "audit.k8s.io/v1", "user": {"username": event["user"]["username"]}});
        for key in [
            "auditID",
            "stage",
            "verb",
            "requestURI",
            "userAgent",
            "requestReceivedTimestamp",
        ] {
            left[key] = event[key].clone();
        }
        left["sourceIPs"] = json!([event["sourceIPs"][0]]);
        if let Some(user) = event["impersonatedUser"]["username"].as_str() {
            left["impersonatedUser"] = json!({"username": user});
        }
        if let Some(code) = event["responseStatus"]["code"].as_u64() {
            left["responseStatus"] = json!({"code": code});
        }
        let told = |record: &str| without_origin(found(None, record.as_bytes()));
        let (wanted, legacy) = (told(&left.to_string()), legacy(&event));
        for record in [
            legacy.clone(),
            format!("2026-11-23T17:21:09Z stdout F {legacy}"),
            json!({"log": format!("{legacy}\n"), "stream": "stdout"}).to_string(),
            json!({"logEvents": [{"message": legacy}]}).to_string(),
        ] {
            assert_eq!(told(&record), wanted, "{record}");
        }
        hits += wanted.len();
    }
    assert!(hits > 100, "{hits}");
}

#[test]
fn what_a_client_writes_into_the_legacy_format_or_as_it_is_no_event() {
    let forged = legacy(&hit("forged"));
    let mut quiet = event("jane", &format!("x {forged}"));
    quiet["requestURI"] = format!("/a\n{forged}").into();
    for record in [
        legacy(&quiet),
        quiet.to_string(),
        format!("2026-11-23T17:21:09Z stdout F {quiet}"),
        format!("2026-11-23T17:21:09Z stdout F {}", legacy(&quiet)),
        json!({"log": legacy(&quiet)}).to_string(),
    ] {
        assert_eq!(ids(&record), [], "{record}");
    }
    let real = event(DECOY, &forged);
    for record in [
        format!("2026-11-23T17:21:09Z stdout F {real}"),
        legacy(&real),
    ] {
        assert_eq!(ids(&record), [("real".to_owned(), None)], "{record}");
    }
    // Where a text of a client stands as it is.
    for record in [
        format!("ua={forged}"),
        format!("ua='{forged}'"),
        format!("GET / \"{forged}\""),
    ] {
        assert!(
            ids(&record).iter().all(|(id, _)| id == "undecodable"),
            "{record}"
        );
    }
    for end in 0..forged.len() {
        let told = ids(&forged[..end]);
        // Cut behind a field, it is a line with fewer.
        let known = ["undecodable", "forged"];
        assert!(told.iter().all(|(id, _)| known.contains(&&**id)), "{end}");
    }
    assert_eq!(
        ids(&forged[..forged.len() - 3]),
        [("undecodable".to_owned(), None)]
    );
}
