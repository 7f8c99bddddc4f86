//! Columns whose names end with the type of what stands in them, as the HTTP Data Collector API of Log Analytics has them.

use baitline::detect::Technique;
use serde_json::{Value, json};

use super::{
    forged::{DECOY, forgeries, hit, ids},
    found, told_event, without_origin,
};
use crate::soundness::events;

/// The columns of `value`, which stands under `path`: lists are text, and so is what lies deeper than `depth`.
fn typed(path: &str, value: &Value, depth: usize, row: &mut Value) {
    let is_time = |text: &str| text.starts_with("20") && text.ends_with('Z');
    let is_guid = |text: &str| text.len() == 36 && text.matches('-').count() == 4;
    let kind = match value {
        Value::Object(fields) if depth > 0 => {
            for (key, inner) in fields {
                let path = if path.is_empty() {
                    key
                } else {
                    &format!("{path}_{key}")
                };
                typed(path, inner, depth - 1, row);
            }
            return;
        }
        Value::Null => return,
        Value::Bool(_) => "b",
        Value::Number(_) => "d",
        Value::String(text) if is_time(text) => "t",
        Value::String(text) if is_guid(text) => "g",
        _ => "s",
    };
    let is_scalar = !value.is_object() && !value.is_array();
    let cell = if is_scalar {
        value.clone()
    } else {
        value.to_string().into()
    };
    row[format!("{path}_{kind}")] = cell;
}

fn row(event: &Value, depth: usize) -> Value {
    let mut row = json!({"TimeGenerated": "2026-11-23T17:21:09.1Z", "Type": "audit_CL", "SourceSystem": "RestAPI"});
    typed("", event, depth, &mut row);
    row
}

fn techniques(record: &Value) -> Vec<Technique> {
    let all = found(None, record.to_string().as_bytes());
    all.iter().map(|one| one.technique).collect()
}

#[test]
fn every_technique_is_found_in_typed_columns() {
    for (event, technique) in events(("honeypot", "backup-sa"), true, &str::to_owned) {
        for depth in [1, 2, 3] {
            let row = row(&event, depth);
            assert_eq!(techniques(&row), Vec::from_iter(technique), "{row}");
        }
    }
}

#[test]
fn typed_columns_tell_what_the_event_tells() {
    let (mut event, _) = told_event();
    event["auditID"] = "5f2c91aa-0001-4c3a-8e0b-7d1a2b3c4d5e".into();
    event["user"]["extra"] = json!({"authentication.kubernetes.io/credential-id": ["JTI=a5607c27-099a-43a1-9096-1f3d2780f590"]});
    let bare = without_origin(found(None, event.to_string().as_bytes()));
    for depth in [1, 2] {
        let row = row(&event, depth);
        let (names, cells): (Vec<_>, Vec<_>) = row.as_object().expect("a row").iter().unzip();
        let columns: Vec<_> = names.iter().map(|name| json!({"name": name})).collect();
        let mut empty = row.clone();
        for column in ["auditID_s", "objectRef_name_g", "user_username_g"] {
            empty[column] = "".into();
        }
        let quoted = |cell: &&Value| {
            format!(
                "\"{}\"",
                cell.as_str()
                    .map_or(cell.to_string(), |text| text.replace('"', "\"\""))
            )
        };
        let fields: Vec<_> = cells.iter().map(quoted).collect();
        let names: Vec<_> = names.iter().map(|name| name.as_str()).collect();
        for record in [
            row.to_string(),
            empty.to_string(),
            json!({"tables": [{"name": "PrimaryResult", "columns": columns, "rows": [cells]}]})
                .to_string(),
            format!("{}\n{}\n", names.join(","), fields.join(",")),
        ] {
            let told = without_origin(super::streamed(
                baitline::detect::Detector::scan,
                record.as_bytes(),
            ));
            assert_eq!(told, bare, "{record}");
        }
    }
}

/// Names of columns have no dots, and numbers are floating-point.
#[test]
fn what_is_lost_in_names_and_numbers_of_columns_is_known() {
    let record = json!({"auditID_g": "5f2c91aa-0001-4c3a-8e0b-7d1a2b3c4d5e", "verb_s": "list", "user_username_s": DECOY,
        "user_extra_authentication_kubernetes_io_credential_id_s": "[\"JTI=a5607c27-099a-43a1-9096-1f3d2780f590\"]",
        "annotations_authorization_k8s_io_decision_s": "forbid", "responseStatus_code_d": 403.0});
    let [told] = found(None, record.to_string().as_bytes())
        .try_into()
        .expect("one");
    assert_eq!(
        told.token.id.as_deref(),
        Some("JTI=a5607c27-099a-43a1-9096-1f3d2780f590")
    );
    assert_eq!(told.request.decision.as_deref(), Some("forbid"));
    assert_eq!(told.request.code, Some(403));
}

/// Cloud Logging's export, and what a whole event is kept in beside its columns.
#[test]
fn typed_columns_of_an_entry_of_gke_and_beside_a_whole_event_are_read() {
    let entry = json!({"insertId": "1", "timestamp": "2026-11-23T17:21:08.912184Z", "protoPayload": {"serviceName": "k8s.io",
        "authenticationInfo": {"principalEmail": DECOY}, "methodName": "io.k8s.core.v1.secrets.list",
        "resourceName": "core/v1/namespaces/shop/secrets", "requestMetadata": {"callerIp": "10.0.3.7"}}});
    for depth in [1, 2, 3] {
        let row = row(&entry, depth);
        assert_eq!(techniques(&row), [Technique::TokenUse], "{row}");
    }
    let mut beside = row(&hit("real"), 2);
    beside["log_s"] = hit("real").to_string().into();
    assert_eq!(ids(&beside.to_string()), [("real".to_owned(), None)]);
}

#[test]
fn what_a_client_writes_into_typed_columns_is_no_event() {
    for forgery in forgeries() {
        let mut event = hit("quiet");
        event["user"] = json!({"username": "jane"});
        for key in [
            "requestURI",
            "userAgent",
            "requestObject",
            "responseObject",
            "auditID",
        ] {
            event[key] = forgery.to_string().into();
        }
        event["annotations"] = json!({"a": forgery});
        event["responseStatus"] = json!({"code": 403, "message": forgery.to_string()});
        for depth in [1, 2, 3] {
            let row = row(&event, depth);
            assert_eq!(techniques(&row), [], "{row}");
        }
    }
    // Azure's logs of other servers have such columns, too.
    for column in [
        "userAgent_s",
        "requestUri_s",
        "requestQuery_s",
        "httpReferer_s",
        "requestObject_data_x_s",
    ] {
        for text in [hit("forged").to_string(), format!("x {}", hit("forged"))] {
            let record = json!({"TimeGenerated": "2026-11-23T17:21:09Z", "Category": "ApplicationGatewayAccessLog", column: text});
            let told = techniques(&record);
            assert!(
                told.iter().all(|one| *one == Technique::Undecodable),
                "{record}"
            );
        }
    }
}
