//! Exports of CSV: a row for each event, with or without the names of their columns in the first line.

use baitline::{
    detect::{Detector, Technique},
    record::Header,
};
use base64::prelude::*;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{
    forged::{DECOY, forgeries, hit},
    found, streamed,
    tables::{Cells, azure, cells, dotted},
    told_event, without_origin,
};
use crate::soundness::events;

/// `cells` as a row of CSV, with quotes around all that is no word, as Kibana has them.
fn csv(cells: &Cells, separator: char) -> String {
    let cell = |cell: &Value| match cell {
        Value::Null => String::new(),
        Value::String(text) if text.contains(|letter: char| !letter.is_alphanumeric()) => {
            format!("\"{}\"", text.replace('"', "\"\""))
        }
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let cells: Vec<_> = cells.iter().map(|(_, value)| cell(value)).collect();
    cells.join(&separator.to_string())
}

/// The names of the columns stand in another line.
#[test]
fn a_row_of_csv_that_names_a_decoy_is_undecodable() {
    for id in ["8e3bf0f8-b495-450d-a404-cfdf2b51bc67", "chosen by a client"] {
        for separator in [',', ';', '\t', '|'] {
            let row = |user: &str| {
                let mut event = hit(id);
                event["user"] = json!({"username": user, "groups": ["a"]});
                let mut joined = Vec::new();
                dotted("", &event, &mut joined);
                [
                    csv(&cells(&event, azure), separator),
                    csv(&joined, separator),
                ]
            };
            for (hit, quiet) in row(DECOY).into_iter().zip(row("jane")) {
                let text = format!("{quiet}\r\n{hit}\r\n");
                let found = found(None, text.as_bytes());
                let techniques: Vec<_> = found.iter().map(|one| one.technique).collect();
                assert_eq!(techniques, [Technique::Undecodable], "{text}");
                assert_eq!(found[0].excerpt, None);
            }
        }
    }
}

#[test]
fn a_row_of_csv_with_the_whole_event_in_it_is_told_once() {
    let event = hit("1");
    let whole = event.to_string().replace('"', "\"\"");
    let row =
        |time: &str| format!("x,\"{whole}\",ResponseComplete,{time},{time},/api/v1/namespaces\n");
    let techniques = |row: String| -> Vec<_> {
        let all = found(None, row.as_bytes());
        all.iter().map(|one| one.technique).collect()
    };
    assert_eq!(
        techniques(row("2026-11-23T17:21:08.912184Z")),
        [Technique::TokenUse]
    );
    // It may be a text of a client, who does not know when the server has it.
    let forged = row("2026-11-23T17:21:09Z");
    assert_eq!(techniques(forged.clone()), [Technique::Undecodable]);
    let many = format!("/api?x={}", whole.repeat(300));
    for uri in ["", "/api?x=", many.as_str()] {
        for row in [
            format!("ResponseComplete,/x,\"{uri}{whole}\"\n"),
            format!("\"{uri}{whole}\",\"ResponseComplete\",/x\n"),
            format!("1\tResponseComplete\t/x?{event}\tget\n"),
            format!("1|ResponseComplete|/x?{event}|get\n"),
            format!("1|ResponseComplete|/x?|2026-11-23T17:21:08.912184Z|{event}|get\n"),
            // What tells that the line is a row stands in another value.
            format!("x,\"{uri}{whole}\",[\"a\",\"ResponseComplete\",\"/x\"]\n"),
        ] {
            assert_eq!(techniques(row.clone()), [Technique::Undecodable], "{row}");
        }
    }
    // The rest of what begins in a row, and is no cell, stands on other lines.
    let pretty = serde_json::to_string_pretty(&event).expect("it is JSON");
    let row = format!("ResponseComplete,/x,\"{}\"", pretty.replace('"', "\"\""));
    let wrapped = json!({"log": row}).to_string();
    assert_eq!(techniques(wrapped), [Technique::Undecodable]);
    // In other lines a client's text makes no row.
    let mut event = event;
    event["userAgent"] =
        "x|ResponseComplete|/x|\tResponseComplete\t/x\t,ResponseComplete,/x,".into();
    let mut other = event.clone();
    other["auditID"] = "2".into();
    for line in [format!("audit: {event}\n"), format!("{event}{other}\n")] {
        let all = techniques(line.clone());
        let wanted = line.matches("auditID").count();
        assert_eq!(all, vec![Technique::TokenUse; wanted], "{line}");
    }
    let backslashed = format!(
        "id,verb,user,stage,uri\n\"1\",\"get\",\"{}\",\"a\",\"b\"\n",
        event.to_string().replace('"', "\\\"")
    );
    let told = streamed(Detector::scan, backslashed.as_bytes());
    assert_eq!(told.len(), 1, "{backslashed}");
    assert_eq!(told[0].technique, Technique::Undecodable);
    let quiet = whole.replace(DECOY, "jane");
    for rest in [
        "\",ResponseComplete,2026-11-23T17:21:09Z,/api".to_owned(),
        ",2026-11-23T17:21:08.912184Z,\",ResponseComplete,/api".to_owned(),
        "\",ResponseComplete,/api?;2026-11-23T17:21:08.912184Z;".to_owned(),
    ] {
        let row = format!("{DECOY},\"{quiet}{rest}\n");
        assert_eq!(techniques(row.clone()), [Technique::Undecodable], "{row}");
    }
}

/// The names of columns as the first line.
fn names(cells: &Cells, separator: char) -> String {
    let names: Vec<_> = cells.iter().map(|(name, _)| name.as_str()).collect();
    names.join(&separator.to_string())
}

fn techniques(text: &str) -> Vec<Technique> {
    let all = streamed(Detector::scan, text.as_bytes());
    all.iter().map(|one| one.technique).collect()
}

/// `event` in the columns of several stores.
fn exports(event: &Value) -> Vec<Cells> {
    let mut joined = Vec::new();
    dotted("", event, &mut joined);
    let prefixed =
        |(name, cell): &(String, Value)| (format!("kubernetes.audit.{name}"), cell.clone());
    let prefixed: Cells = joined.iter().map(prefixed).collect();
    let below = |(name, cell): &(String, Value)| (name.replace('.', "_"), cell.clone());
    let below = prefixed.iter().map(below).collect();
    let attributes = joined.iter();
    let attributes = attributes.map(|(name, cell)| (format!("@{name}"), cell.clone()));
    let attributes = attributes.collect();
    let whole = vec![
        ("@timestamp".to_owned(), json!("2026-11-23 17:21:08.912")),
        ("@message".to_owned(), event.to_string().into()),
    ];
    vec![
        cells(event, azure),
        cells(event, str::to_owned),
        cells(event, str::to_lowercase),
        joined,
        prefixed,
        below,
        attributes,
        whole,
    ]
}

#[test]
fn every_technique_is_found_in_a_row_whose_columns_have_names() {
    for (event, technique) in events(("honeypot", "backup-sa"), true, &str::to_owned) {
        let wanted: Vec<_> = technique.into_iter().collect();
        for (export, separator) in exports(&event)
            .into_iter()
            .zip([',', ';', '\t', '|'].into_iter().cycle())
        {
            let text = format!(
                "{}\r\n{}\r\n",
                names(&export, separator),
                csv(&export, separator)
            );
            assert_eq!(techniques(&text), wanted, "{text}");
        }
    }
}

#[test]
fn a_row_whose_columns_have_names_tells_what_the_event_tells() {
    let (event, bare) = told_event();
    for export in exports(&event) {
        let text = format!("{}\n{}\n", names(&export, ','), csv(&export, ','));
        let told = without_origin(streamed(Detector::scan, text.as_bytes()));
        assert_eq!(told, bare, "{text}");
    }
}

#[test]
fn an_export_of_cloudwatch_insights_tells_where_its_events_come_from() {
    let event = hit("1").to_string().replace('"', "\"\"");
    let text = format!(
        "@timestamp,@message,@logStream,@log\n2026-11-23 17:21:08.912,\"{event}\",kube-apiserver-audit-1,1234:/aws/eks/prod/cluster\n"
    );
    let all = streamed(Detector::scan, text.as_bytes());
    assert_eq!(all.len(), 1);
    assert_eq!(all[0].technique, Technique::TokenUse);
    assert_eq!(all[0].cluster.as_deref(), Some("prod"));
    let origin = &all[0].origin;
    assert_eq!(origin.log_group.as_deref(), Some("/aws/eks/prod/cluster"));
    assert_eq!(origin.log_stream.as_deref(), Some("kube-apiserver-audit-1"));
    assert_eq!(origin.account.as_deref(), Some("1234"));
}

#[test]
fn an_export_of_log_analytics_tells_which_pod_wrote_its_events() {
    let event = hit("1").to_string().replace('"', "\"\"");
    let text = format!(
        "\"TimeGenerated [UTC]\",Category,log_s,pod_s\n\"11/23/2026, 5:21:08.912 PM\",kube-audit,\"{event}\",kube-apiserver-1\n"
    );
    let all = streamed(Detector::scan, text.as_bytes());
    assert_eq!(all.len(), 1);
    assert_eq!(all[0].technique, Technique::TokenUse);
    assert_eq!(all[0].origin.pod.as_deref(), Some("kube-apiserver-1"));
    let time = all[0].origin.time.map(|time| time.to_string());
    assert_eq!(time.as_deref(), Some("2026-11-23T17:21:08.912Z"));
}

/// Whatever joins the keys, and though a client has a newline in a name.
#[test]
fn an_entry_of_gke_is_found_in_columns_of_csv() {
    let entry = |name: &str| {
        json!({"insertId": "1", "timestamp": "2026-11-23T17:21:08.912184Z", "protopayload_auditlog": {
            "authenticationInfo": {"principalEmail": DECOY},
            "authorizationInfo": "[{\"granted\":true,\"permission\":\"io.k8s.core.v1.pods.get\"}]",
            "methodName": "io.k8s.core.v1.pods.get",
            "requestMetadata": {"callerIp": "10.0.3.7"},
            "resourceName": format!("core/v1/namespaces/default/pods/{name}"),
            "serviceName": "k8s.io",
        }})
    };
    for joint in [".", "_", "__", "/", ":", "-"] {
        for (name, wanted) in [("a", Technique::TokenUse), ("a\nb", Technique::Undecodable)] {
            let mut joined = Vec::new();
            dotted("", &entry(name), &mut joined);
            for (key, _) in &mut joined {
                *key = key.replace('.', joint);
            }
            let text = format!("{}\n{}\n", names(&joined, ','), csv(&joined, ','));
            assert_eq!(techniques(&text), [wanted], "{text}");
        }
    }
    let picked = format!(
        "timestamp,principalEmail,methodName,resourceName,callerIp\n2026-11-23 17:21:08.912184 UTC,{DECOY},io.k8s.core.v1.pods.get,core/v1/namespaces/default/pods/a,10.0.3.7\n"
    );
    assert_eq!(techniques(&picked), [Technique::Undecodable], "{picked}");
    let picked = picked.replace(DECOY, &format!("\"{DECOY}\""));
    assert_eq!(techniques(&picked), [Technique::TokenUse], "{picked}");
    let pretty = serde_json::to_string_pretty(&entry("a")["protopayload_auditlog"]).unwrap();
    let text = format!(
        "insertId,protoPayload\n1,\"{}\"\n",
        pretty.replace('"', "\"\"")
    );
    assert_eq!(techniques(&text), [Technique::Undecodable], "{text}");
}

/// A client makes the first line so long, or puts a newline into it, by the keys of a body; others do by what stands before it.
#[test]
fn a_row_of_gke_whose_columns_nobody_knows_hides_nothing() {
    let entry = json!({"insertId": "1", "timestamp": "2026-11-23T17:21:08.912184Z", "protoPayload": {
        "authenticationInfo": {"principalEmail": DECOY},
        "methodName": "io.k8s.core.v1.configmaps.update",
        "resourceName": "core/v1/namespaces/default/configmaps/a",
    }});
    let mut joined = Vec::new();
    dotted("", &entry, &mut joined);
    let (names, row) = (names(&joined, ','), csv(&joined, ','));
    let key = |name: &str| format!("{names},protoPayload.request.data.{name}\n{row},x\n");
    let many: Vec<_> = (0..300)
        .map(|number| format!("protoPayload.request.data.{number}{}", "x".repeat(230)))
        .collect();
    let long = format!("{names},{}\n{row}{}\n", many.join(","), ",x".repeat(300));
    let undecodable = Technique::Undecodable;
    for (text, wanted) in [
        (long, undecodable),
        (key("\"a\nb\""), undecodable),
        (format!("exported by jane\n{names}\n{row}\n"), undecodable),
        (format!("{row}\n"), undecodable),
        (format!("{row}\n").replace(',', ";"), undecodable),
        (key(&"x".repeat(300)), Technique::TokenUse),
        (key("it's"), Technique::TokenUse),
        (
            format!("sep=,\r\n{names}\r\n{row}\r\n"),
            Technique::TokenUse,
        ),
    ] {
        assert_eq!(techniques(&text), [wanted], "{text}");
        let quiet = techniques(&text.replace(DECOY, "jane@example.com"));
        assert_eq!(quiet, [], "{text}");
    }
}

#[test]
fn what_a_client_writes_into_a_row_whose_columns_have_names_is_no_event() {
    for forgery in forgeries() {
        let mut event = hit("quiet");
        event["user"] = json!({"username": "jane"});
        for key in ["userAgent", "requestURI", "requestObject", "responseObject"] {
            event[key] = forgery.clone();
        }
        event["annotations"] = json!({"a": forgery});
        for export in exports(&event) {
            let text = format!("{}\n{}\n", names(&export, ','), csv(&export, ','));
            let found = techniques(&text);
            assert!(
                found.iter().all(|one| *one == Technique::Undecodable),
                "{found:?} {text}"
            );
        }
    }
}

/// Nobody knows what such a row tells, but that it names a decoy.
#[test]
fn a_row_that_does_not_fit_the_names_hides_nothing() {
    let event = hit("8e3bf0f8-b495-450d-a404-cfdf2b51bc67");
    let event = cells(&event, azure);
    let names = names(&event, ',');
    let row = csv(&event, ',');
    let mut rotated = event.clone();
    rotated.rotate_left(1);
    for other in [
        format!("{row},more"),
        format!("{row},\"open"),
        csv(&rotated, ','),
        csv(&event, ';'),
    ] {
        let text = format!("{names}\n{other}\n");
        assert_eq!(techniques(&text), [Technique::Undecodable], "{text}");
    }
    let whole = hit("1");
    let text = format!("{names}\n{whole}\n{row}\n{whole}\n");
    assert_eq!(techniques(&text), [Technique::TokenUse; 3]);
}

/// The first line may be anybody's, where others write to the same stream.
#[test]
fn a_first_line_of_names_hides_no_event_in_json_and_forges_none() {
    let event = |id: &str, user: &str, agent: &Value| {
        let mut event = hit(id);
        event["user"] = json!({"username": user});
        event["userAgent"] = format!("x;{agent};y, ,1,get,jane").into();
        event
    };
    let python = |event: &Value| event.to_string().replace('"', "'");
    let spaced = |event: &Value| event.to_string().replace(",\"", ", \"");
    for write in [Value::to_string, python, spaced] {
        let is_python = write(&json!({"a": 1})).contains('\'');
        let (hidden, forged) = match is_python {
            true => (json!("z"), json!("z")),
            false => (
                hit("quiet").to_string().replace(DECOY, "jane").into(),
                hit("forged").to_string().into(),
            ),
        };
        let text = write(&event("true", DECOY, &hidden)) + "\n";
        let commas = "kind,".repeat(text.matches(',').count() - 3);
        let quiet = write(&event("quiet", "jane", &forged)) + "\n";
        for names in [
            "a;log;b".to_owned(),
            format!("{commas},auditID,verb,user.username"),
        ] {
            for before in ["", "Nov 23 17:21:08 host app: "] {
                let stream = |line: &str| format!("{before}{names}\n{before}{line}");
                assert!(Header::at_start(stream("").as_bytes(), usize::MAX).is_some());
                // What Python prints has no quotes that text in a cell has not.
                let wanted = match is_python && names.contains("verb") {
                    true => Technique::Undecodable,
                    false => Technique::TokenUse,
                };
                assert_eq!(techniques(&stream(&text)), [wanted], "{text}");
                assert_eq!(techniques(&stream(&quiet)), [], "{quiet}");
            }
        }
    }
}

/// As of `GET /api/v1/pods/a%0Ab`, or of a body.
#[test]
fn a_line_that_may_stand_within_a_cell_is_no_event() {
    let names = "auditID,verb,user.username,requestURI,objectRef.name,requestObject.a\n";
    let forged = format!("forged,get,{DECOY},/api/v1/pods,a,b");
    let row = |user: &str, name: &str, body: &str| {
        let [name, body] = [name, body].map(|text| text.replace('"', "\"\""));
        format!("{names}1,get,{user},/api/v1/pods,\"{name}\",\"{body}\"\n")
    };
    for inner in [
        format!("a\n{forged}\nb"),
        format!("a\n{}\nb", forged.replace(',', "\",\"")),
        format!("a\n{}\nb", forged.replace(",get,", ",\"get\",")),
        format!("a\n{}\nb", hit("forged")),
        format!("a\n{forged},"),
        format!("a\n{forged},\""),
        format!("a\nforged,get,{DECOY},/api/v1/pods,"),
    ] {
        for text in [
            row("jane", &inner, "x"),
            row("jane", "x", &inner),
            row("jane", &inner, &format!(",b\n{inner}")),
        ] {
            let found = techniques(&text);
            assert!(
                found.iter().all(|one| *one == Technique::Undecodable),
                "{found:?} {text}"
            );
        }
    }
    for text in [
        row(DECOY, "a\nb", ""),
        row(DECOY, "a", "b\n"),
        row("jane", "a", "b").replace("jane", &format!("\"a\n\",{DECOY}")),
    ] {
        assert_eq!(techniques(&text), [Technique::Undecodable], "{text}");
    }
    assert_eq!(techniques(&row(DECOY, "a", "b")), [Technique::TokenUse]);
}

/// Whether the line begins the cell, goes on in it, or ends one and begins another; and however the text is quoted.
#[test]
fn an_event_in_a_cell_is_none_where_columns_are_fields() {
    let names = "auditID,verb,user.username,objectRef.name,requestObject.a";
    let event = hit("forged").to_string();
    let texts = [
        event.clone(),
        event.replace('"', "'"),
        event.replace('"', "&quot;"),
    ];
    for text in texts {
        for [name, body] in [
            [format!("{text}\n"), "x".to_owned()],
            ["x".to_owned(), format!("{text}\n")],
            [format!("a\n{text}\nb"), "x".to_owned()],
            ["a\nb".to_owned(), format!("{text}\n")],
            [format!("{text}\n"), format!("{text}\n")],
        ] {
            let [name, body] = [name, body].map(|text| text.replace('"', "\"\""));
            let text = format!("{names}\n1,get,jane,\"{name}\",\"{body}\"\n");
            let found = techniques(&text);
            assert!(
                found.iter().all(|one| *one == Technique::Undecodable),
                "{found:?} {text}"
            );
        }
        for few in [
            format!(
                "id,time,userAgent\n1,2026,\"{}\"\n",
                text.replace('"', "\"\"")
            ),
            format!("id\ttime\tuserAgent\n1\t2026\t{text}\n"),
            format!("auditID,time\n\"{}\",2026\n", text.replace('"', "\"\"")),
        ] {
            assert!(!techniques(&few).contains(&Technique::TokenUse), "{few}");
        }
    }
}

/// It may stand in a cell of its own, as an audit id does.
#[test]
fn a_cell_that_a_client_chose_hides_no_row_of_unknown_columns() {
    for id in [
        "x",
        "{&quot;",
        "{&quot;a&quot;:1}",
        "{\"\"k\"\"",
        "{\"type\":\"alert\",\"schema\":",
    ] {
        let quoted = format!("\"{}\"", id.replace('"', "\"\""));
        for row in [
            format!(
                "{quoted},ResponseComplete,/api/v1/namespaces,list,{DECOY},2026-11-23T17:21:08Z\n"
            ),
            format!(
                "{id}\tResponseComplete\t/api/v1/namespaces\tlist\t{DECOY}\t2026-11-23T17:21:08Z\n"
            ),
        ] {
            let quiet = row.replace(DECOY, "jane").replace(id, "y");
            for text in [row.clone(), format!("{quiet}{row}{quiet}")] {
                let told = techniques(&text);
                assert!(!told.is_empty(), "{text}");
                assert!(told.iter().all(|one| *one == Technique::Undecodable));
            }
        }
    }
}

/// As of a request that made the API server panic.
#[test]
fn the_last_stage_of_all_is_one() {
    let row = format!("1,Panic,/api/v1/pods,get,{DECOY}\n");
    assert_eq!(techniques(&row), [Technique::Undecodable]);
    let names = "auditID,stage,requestURI,verb,user.username\n";
    assert_eq!(techniques(&format!("{names}{row}")), [Technique::TokenUse]);
}

/// Nobody joins its lines, but a line that names the decoy is told.
#[test]
fn an_event_that_is_spread_over_lines_in_a_cell_is_undecodable() {
    for (username, wanted) in [(DECOY, &[Technique::Undecodable][..]), ("jane", &[])] {
        let mut event = hit("spread");
        event["user"]["username"] = username.into();
        let pretty = serde_json::to_string_pretty(&event).expect("it is JSON");
        let cell = pretty.replace('"', "\"\"");
        for (names, row) in [
            ("", format!("2026,\"{cell}\"\n")),
            ("@timestamp,@message\n", format!("2026,\"{cell}\"\n")),
            ("id;_raw;host\n", format!("1;\"{cell}\";a\n")),
            (
                "\"id\",\"event\"\r\n",
                format!("\"1\",\"{}\"\r\n", cell.replace('\n', "\r\n")),
            ),
        ] {
            assert_eq!(techniques(&format!("{names}{row}")), wanted, "{names}{row}");
        }
    }
}

/// Clients choose the keys in bodies, which are names of columns where a store joins them.
#[test]
fn names_of_columns_that_a_client_chose_hide_nothing() {
    let names = "auditID,verb,user.username,requestURI";
    let row = format!("1,get,\"{DECOY}\",/api/v1/pods");
    for (others, wanted) in [
        (vec!["requestObject.spec.é".to_owned()], Technique::TokenUse),
        (
            vec!["\"audit.requestObject.spec.it's \"\"so\"\"\"".to_owned()],
            Technique::TokenUse,
        ),
        (
            vec![format!("requestObject.metadata.labels.{}", "x".repeat(300))],
            Technique::TokenUse,
        ),
        (
            (0..1500)
                .map(|number| format!("requestObject.metadata.labels.{number}"))
                .collect(),
            Technique::TokenUse,
        ),
        (
            vec![
                "requestObject.spec.name".to_owned(),
                "requestObject.spec.name.x".to_owned(),
            ],
            Technique::Undecodable,
        ),
        (vec!["auditID".to_owned()], Technique::Undecodable),
        (
            vec!["requestObject.data.a".to_owned(); 5000],
            Technique::Undecodable,
        ),
    ] {
        let text = format!(
            "{names},{}\n{row}{}\n",
            others.join(","),
            ",x".repeat(others.len())
        );
        assert_eq!(techniques(&text), [wanted], "{text}");
    }
}

/// `2026-… stdout P` begins a part of a line of CRI.
#[test]
fn a_cell_that_looks_like_a_runtimes_line_hides_no_row_and_joins_none() {
    let part = "2026-11-23T17:00:00Z stdout P curl";
    let rest = "2026-11-23T17:00:00Z stdout F curl";
    for (name, agents) in [("userAgent", [part, rest]), ("auditID", [part, "2"])] {
        let names = format!("{name},verb,user.username,requestURI,stage,requestReceivedTimestamp");
        let row = |cell: &str| {
            format!(
                "{cell},list,{DECOY},/api/v1/secrets,ResponseComplete,2026-11-23T17:21:08.912184Z"
            )
        };
        let text = format!("{names}\n{}\n{}\n", row(agents[0]), row(agents[1]));
        assert_eq!(techniques(&text), [Technique::TokenUse; 2], "{text}");
    }
}

/// A part, and another with a body behind it in which an event is packed.
#[test]
fn lines_in_cells_of_a_client_are_no_parts_of_one() {
    let names =
        "user.username,verb,objectRef.name,requestObject,requestURI,stage,requestReceivedTimestamp";
    let row = |line: &str, body: &str| {
        format!(
            "\"jane\",\"get\",\"\n{line}\",\"{body}\",\"/api/v1/secrets\",\"ResponseComplete\",\"2026-11-23T17:21:08.912184Z\""
        )
    };
    let forged = BASE64_STANDARD.encode(hit("forged").to_string());
    let body = format!("{{\"\"data\"\":\"\"{forged}\"\"}}");
    let part = row("2026-11-23T17:00:00Z stdout P ", "");
    let rest = row("2026-11-23T17:00:00Z stdout F ", &body);
    let told = techniques(&format!("{names}\n{part}\n{rest}\n"));
    assert!(
        told.iter().all(|one| *one == Technique::Undecodable),
        "{told:?}"
    );
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    #[test]
    fn the_scan_finds_in_rows_what_decoding_finds(
        pick in 0..7_usize,
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..3),
    ) {
        let mut text = Vec::new();
        for (event, _) in events(("honeypot", "backup-sa"), false, &str::to_owned) {
            let export = &exports(&event)[pick];
            if text.is_empty() {
                text.extend(format!("{}\n", names(export, ',')).into_bytes());
            }
            text.extend(format!("{}\n", csv(export, ',')).into_bytes());
        }
        let is_named = Header::at_start(&text, usize::MAX).is_some();
        for (at, byte) in damage {
            *at.get_mut(&mut text) = byte;
        }
        prop_assert!(is_named);
        prop_assert_eq!(streamed(Detector::scan, &text), streamed(Detector::decode_all, &text));
    }
}

/// As Kibana exports a table: with a dash where there is nothing, and times as it shows them.
#[test]
fn what_kibana_writes_where_nothing_is_tells_nothing() {
    let names = "\"@timestamp\",\"kubernetes.audit.auditID\",\"kubernetes.audit.verb\",\"kubernetes.audit.user.username\",\
        \"kubernetes.audit.impersonatedUser.username\",\"kubernetes.audit.objectRef.resource\",\"kubernetes.audit.objectRef.namespace\",\
        \"kubernetes.audit.objectRef.name\",\"kubernetes.audit.objectRef.apiGroup\",\"kubernetes.audit.requestReceivedTimestamp\"";
    let time = "\"Nov 23, 2026 @ 17:21:08.912\"";
    for nothing in ["-", "\"-\"", "NULL", "None", "N/A", ""] {
        let row = format!(
            "{time},1,get,jane,{nothing},secrets,honeypot,backup-sa-token,{nothing},{time}"
        );
        let all = streamed(Detector::scan, format!("{names}\n{row}\n").as_bytes());
        assert_eq!(all.len(), 1, "{row}");
        assert_eq!(all[0].technique, Technique::SecretRead, "{row}");
        assert_eq!(all[0].actor.impersonated, None, "{row}");
        assert_eq!(all[0].time.as_millisecond(), 1_795_454_468_912, "{row}");
    }
}
