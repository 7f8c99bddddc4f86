//! Entries of GKE whose keys are spelled as Google's libraries, Elastic's module and columns of stores have them.

use baitline::detect::{Detection, Technique};
use serde_json::{Map, Value, json};

use super::{
    forged::{DECOY, forgeries},
    found, without_origin,
};

/// An entry by which the decoy's token was used.
fn entry() -> Value {
    json!({"insertId": "1", "timestamp": "2026-11-23T17:21:08.912184Z",
        "resource": {"type": "k8s_cluster", "labels": {"cluster_name": "prod", "project_id": "p-1"}},
        "labels": {"authorization.k8s.io/decision": "forbid"},
        "operation": {"id": "1", "first": true, "last": true},
        "protoPayload": {"@type": "type.googleapis.com/google.cloud.audit.AuditLog", "serviceName": "k8s.io",
            "authenticationInfo": {"principalEmail": DECOY, "authoritySelector": "jane"},
            "authorizationInfo": [{"granted": false, "permission": "io.k8s.core.v1.secrets.list", "resource": "core/v1/namespaces/shop/secrets"}],
            "methodName": "io.k8s.core.v1.secrets.list", "resourceName": "core/v1/namespaces/shop/secrets",
            "requestMetadata": {"callerIp": "10.0.3.7", "callerSuppliedUserAgent": "curl"},
            "request": {"apiVersion": "v1", "kind": "x"}, "status": {"code": 7, "message": "no"}}})
}

fn snake(key: &str) -> String {
    let spelled = |letter: char| match letter.is_ascii_uppercase() {
        true => format!("_{}", letter.to_ascii_lowercase()),
        false => letter.into(),
    };
    key.chars().map(spelled).collect()
}

/// `value` with its keys as `spell` has them, but for those of bodies and labels.
fn respelled(value: &Value, spell: &dyn Fn(&str) -> String) -> Value {
    let field = |(key, inner): (&String, &Value)| {
        let is_open = matches!(key.as_str(), "labels" | "request" | "response");
        let inner = match is_open {
            true => inner.clone(),
            false => respelled(inner, spell),
        };
        (spell(key), inner)
    };
    match value {
        Value::Object(fields) => fields.iter().map(field).collect(),
        Value::Array(items) => items.iter().map(|item| respelled(item, spell)).collect(),
        scalar => scalar.clone(),
    }
}

/// As Go writes its `logging.Entry`.
fn go(entry: &Value) -> Value {
    json!({"Entry": {"Timestamp": entry["timestamp"], "Severity": 0, "Payload": respelled(&entry["protoPayload"], &snake),
        "Labels": entry["labels"], "InsertID": entry["insertId"], "Operation": entry["operation"],
        "LogName": "projects/p-1/logs/cloudaudit.googleapis.com/activity", "Resource": entry["resource"], "HTTPRequest": null}})
}

/// As Elastic's module for GCP takes an entry apart, with all keys nested.
fn elastic(module: &str, entry: &Value) -> Value {
    let mut audit = respelled(&entry["protoPayload"], &snake);
    let fields = audit.as_object_mut().expect("an object");
    let kind = fields.remove("@type").unwrap_or_default();
    fields.insert("type".into(), kind);
    fields.insert("labels".into(), entry["labels"].clone());
    json!({"@timestamp": entry["timestamp"], "cloud": {"project": {"id": "p-1"}},
        "event": {"id": entry["insertId"], "dataset": "gcp.audit", "kind": "event", "outcome": "failure"},
        "orchestrator": {"cluster": {"name": "prod"}}, module: {"audit": audit},
        "user_agent": {"original": "curl"}, "client": {"user": {"email": DECOY}}})
}

/// As Elastic's integration for GCP spreads an entry over fields of ECS. Newer versions tell the name of a resource in parts.
fn ecs(entry: &Value, in_parts: bool) -> Value {
    let payload = &entry["protoPayload"];
    let (who, name) = (&payload["authenticationInfo"], &payload["resourceName"]);
    let outcome = match payload["status"]["code"].is_null() {
        true => "success",
        false => "failure",
    };
    let mut record = json!({"@timestamp": entry["timestamp"], "client": {"user": {"email": who["principalEmail"]}},
        "cloud": {"project": {"id": "p-1"}, "provider": "gcp"},
        "event": {"id": entry["insertId"], "action": payload["methodName"], "dataset": "gcp.audit", "kind": "event", "outcome": outcome},
        "gcp": {"audit": {"type": payload["@type"], "authorization_info": payload["authorizationInfo"], "labels": entry["labels"],
            "authentication_info": {"authority_selector": who["authoritySelector"]},
            "request": payload["request"], "status": payload["status"], "resource": {"type": "k8s_cluster"}}},
        "orchestrator": {"cluster": {"name": "prod"}, "type": "kubernetes"}, "service": {"name": payload["serviceName"]},
        "source": {"ip": payload["requestMetadata"]["callerIp"]},
        "user_agent": {"original": payload["requestMetadata"]["callerSuppliedUserAgent"], "name": "Other"}});
    let segments: Vec<&str> = name.as_str().expect("a name").split('/').collect();
    match segments[..] {
        [_, version, _, namespace, kind, ref name @ ..] if in_parts => {
            let resource = json!({"type": kind, "name": name.first()});
            record["orchestrator"]["api_version"] = version.into();
            record["orchestrator"]["namespace"] = namespace.into();
            record["orchestrator"]["resource"] = resource;
        }
        _ => record["gcp"]["audit"]["resource_name"] = name.clone(),
    }
    record
}

/// As OpenTelemetry's collector spreads an entry over the attributes of a record, as OTLP has them and as stores do.
fn opentelemetry(entry: &Value) -> [Value; 3] {
    let payload = &entry["protoPayload"];
    let (who, how) = (&payload["authenticationInfo"], &payload["requestMetadata"]);
    let all = [
        ("log.record.uid", &entry["insertId"]),
        ("gcp.audit.service.name", &payload["serviceName"]),
        ("gcp.audit.method.name", &payload["methodName"]),
        ("gcp.audit.resource.name", &payload["resourceName"]),
        ("user.email", &who["principalEmail"]),
        (
            "gcp.audit.authentication.authority_selector",
            &who["authoritySelector"],
        ),
        ("gcp.audit.authorization", &payload["authorizationInfo"]),
        ("client.address", &how["callerIp"]),
        ("user_agent.original", &how["callerSuppliedUserAgent"]),
        ("rpc.jsonrpc.error_code", &payload["status"]["code"]),
        ("rpc.jsonrpc.error_message", &payload["status"]["message"]),
        (
            "gcp.label.authorization.k8s.io/decision",
            &entry["labels"]["authorization.k8s.io/decision"],
        ),
        ("gcp.operation.id", &entry["operation"]["id"]),
        ("gcp.operation.first", &entry["operation"]["first"]),
        ("gcp.operation.last", &entry["operation"]["last"]),
    ];
    let told = all.into_iter().filter(|(_, value)| !value.is_null());
    let map: Map<_, _> = told
        .map(|(key, value)| (key.to_owned(), value.clone()))
        .collect();
    let resource = json!({"gcp.resource_type": "k8s_cluster", "gcp.label.cluster_name": "prod", "gcp.label.project_id": "p-1"});
    let list = any_value(&Value::Object(map.clone()))["kvlistValue"]["values"].take();
    let of_resource = any_value(&resource)["kvlistValue"]["values"].take();
    let nano = "1795454468912184000";
    [
        json!({"resourceLogs": [{"resource": {"attributes": of_resource}, "scopeLogs": [{"scope": {}, "logRecords": [
            {"timeUnixNano": nano, "body": {}, "attributes": list}]}]}]}),
        json!({"@timestamp": entry["timestamp"], "resource": {"attributes": resource}, "attributes": map}),
        json!({"time": entry["timestamp"], "resource": {"attributes": resource}, "LogAttributes": with_dots("", &Value::Object(map))}),
    ]
}

/// As OpenTelemetry has a value.
pub fn any_value(value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            let field = |(key, value)| json!({"key": key, "value": any_value(value)});
            json!({"kvlistValue": {"values": fields.iter().map(field).collect::<Vec<_>>()}})
        }
        Value::Array(items) => {
            json!({"arrayValue": {"values": items.iter().map(any_value).collect::<Vec<_>>()}})
        }
        Value::Number(number) => json!({"intValue": number.to_string()}),
        Value::Bool(value) => json!({"boolValue": value}),
        text => json!({"stringValue": text}),
    }
}

#[test]
fn an_entry_says_the_same_where_opentelemetry_spread_it_over_attributes() {
    let mut exec = entry();
    let payload = &mut exec["protoPayload"];
    payload["authenticationInfo"] = json!({"principalEmail": "jane"});
    payload["methodName"] = "io.k8s.core.v1.pods.exec.create".into();
    payload["resourceName"] = "core/v1/namespaces/honeypot/pods/file-backup/exec".into();
    let mut impersonation = entry();
    let payload = &mut impersonation["protoPayload"];
    payload["authenticationInfo"] = json!({"principalEmail": "jane", "authoritySelector": DECOY});
    payload["status"] = json!({});
    let mut denied = impersonation.clone();
    let message = "serviceaccounts \"backup-sa\" is forbidden: User \"jane\" cannot impersonate resource \"serviceaccounts\" in API group \"\" in the namespace \"honeypot\"";
    denied["protoPayload"]["status"] = json!({"code": 7, "message": message});
    for (entry, technique) in [
        (entry(), Technique::TokenUse),
        (exec, Technique::PodExec),
        (impersonation, Technique::Impersonation),
        (denied, Technique::ImpersonationDenied),
    ] {
        let mut wanted = without_origin(found(None, entry.to_string().as_bytes()));
        assert_eq!(wanted.len(), 1, "{entry}");
        assert_eq!(wanted[0].technique, technique);
        wanted[0].stage_time = None;
        for record in opentelemetry(&entry) {
            let told = found(None, record.to_string().as_bytes());
            assert_eq!(told.len(), 1, "{record}");
            let mut told = without_origin(told);
            told[0].stage_time = None;
            // The time stands around the attributes.
            wanted[0].detection_id = told[0].detection_id;
            wanted[0].request_id = told[0].request_id;
            assert_eq!(told, wanted, "{record}");
        }
        for record in opentelemetry(&entry) {
            let told = found(None, record.to_string().as_bytes());
            assert_eq!(told[0].cluster.as_deref(), Some("prod"), "{record}");
            assert_eq!(told[0].origin.project.as_deref(), Some("p-1"), "{record}");
        }
    }
}

/// As Elasticsearch and Loki write the keys.
#[test]
fn attributes_of_opentelemetry_may_be_joined() {
    let entry = entry();
    let [_, stored, _] = opentelemetry(&entry);
    let attributes = stored["attributes"].as_object().expect("an object");
    let spelled = |spell: &dyn Fn(&str) -> String| -> Value {
        let field = |(key, value): (&String, &Value)| (spell(key), value.clone());
        Value::Object(attributes.iter().map(field).collect())
    };
    for record in [
        spelled(&|key| format!("attributes.{key}")),
        spelled(&|key| key.replace('.', "_")),
        json!({"fields": spelled(&|key| format!("attributes.{key}"))}),
        json!({"stream": spelled(&|key| key.replace('.', "_")), "values": [["1795454468912184000", ""]]}),
    ] {
        let all = found(None, record.to_string().as_bytes());
        assert_eq!(all.len(), 1, "{record}");
        assert_eq!(all[0].technique, Technique::TokenUse, "{record}");
        assert_eq!(all[0].source_ip.as_deref(), Some("10.0.3.7"), "{record}");
    }
    // Keys of a client's body are none.
    for prefix in [
        "requestObject.data.",
        "kubernetes.audit.requestObject.data.",
    ] {
        let mut forged = spelled(&|key| format!("{prefix}{key}"));
        forged["user.username"] = "jane".into();
        forged["auditID"] = "1".into();
        forged["verb"] = "get".into();
        assert_eq!(ids(&forged), [""; 0], "{forged}");
    }
}

#[test]
fn what_a_client_writes_into_it_is_no_event_where_opentelemetry_spread_it() {
    for forgery in forgeries() {
        let mut entry = entry();
        let payload = &mut entry["protoPayload"];
        payload["authenticationInfo"] = json!({"principalEmail": "jane"});
        payload["requestMetadata"]["callerSuppliedUserAgent"] = forgery.clone();
        payload["status"] = json!({"code": 7, "message": forgery});
        for record in opentelemetry(&entry) {
            assert_eq!(ids(&record), [""; 0], "{record}");
        }
    }
}

/// As answers of Elasticsearch have the fields of a document.
fn fields(record: &Value) -> Value {
    let Value::Object(joined) = with_dots("", record) else {
        return Value::Null;
    };
    let list = |value: Value| {
        if value.is_array() {
            value
        } else {
            json!([value])
        }
    };
    let fields: Map<_, _> = joined
        .into_iter()
        .map(|(key, value)| (key, list(value)))
        .collect();
    json!({"_index": "logs-gcp.audit", "fields": fields})
}

#[test]
fn an_entry_says_the_same_where_elastic_spread_it_over_its_fields() {
    let use_of_token = entry();
    let mut grant = entry();
    let payload = &mut grant["protoPayload"];
    payload["authenticationInfo"] = json!({"principalEmail": "jane"});
    payload["methodName"] = "io.k8s.authorization.rbac.v1.rolebindings.create".into();
    payload["resourceName"] = "rbac.authorization.k8s.io/v1/namespaces/shop/rolebindings/x".into();
    payload["authorizationInfo"][0]["permission"] = payload["methodName"].clone();
    payload["authorizationInfo"][0]["resource"] = payload["resourceName"].clone();
    payload["request"] = json!({"subjects": [{"kind": "ServiceAccount", "name": "backup-sa", "namespace": "honeypot"}]});
    let mut exec = entry();
    let payload = &mut exec["protoPayload"];
    payload["authenticationInfo"] = json!({"principalEmail": "jane"});
    payload["methodName"] = "io.k8s.core.v1.pods.exec.create".into();
    payload["resourceName"] = "core/v1/namespaces/honeypot/pods/file-backup/exec".into();
    payload["authorizationInfo"][0]["resource"] = payload["resourceName"].clone();
    let mut success = entry();
    success["protoPayload"]["status"] = json!({});
    for (entry, technique) in [
        (use_of_token, Technique::TokenUse),
        (success, Technique::TokenUse),
        (grant, Technique::PrivilegeGrant),
        (exec, Technique::PodExec),
    ] {
        let mut wanted = without_origin(found(None, entry.to_string().as_bytes()));
        assert_eq!(wanted.len(), 1, "{entry}");
        assert_eq!(wanted[0].technique, technique);
        wanted[0].request.stage = None;
        for in_parts in [false, true] {
            let nested = ecs(&entry, in_parts);
            let mut old = nested.clone();
            old["user"] = old["client"]["user"].take();
            for record in [
                with_dots("", &nested),
                json!({"_source": nested}),
                fields(&nested),
                old,
                nested,
            ] {
                let told = found(None, record.to_string().as_bytes());
                assert_eq!(told.len(), 1, "{record}");
                assert_eq!(told[0].cluster.as_deref(), Some("prod"), "{record}");
                let mut told = without_origin(told);
                // Elastic does not tell of an operation.
                told[0].detection_id = wanted[0].detection_id;
                assert_eq!(told, wanted, "{record}");
            }
        }
    }
}

#[test]
fn what_a_client_writes_into_it_is_no_event_where_elastic_spread_it() {
    for forgery in forgeries() {
        let mut entry = entry();
        let payload = &mut entry["protoPayload"];
        payload["authenticationInfo"] = json!({"principalEmail": "jane"});
        payload["request"] = forgery.clone();
        payload["requestMetadata"]["callerSuppliedUserAgent"] = forgery.clone();
        payload["status"] = json!({"code": 7, "message": forgery});
        let nested = ecs(&entry, true);
        for record in [with_dots("", &nested), fields(&nested), nested] {
            assert_eq!(ids(&record), [""; 0], "{record}");
        }
    }
}

/// The scalars and arrays in `value` under all keys on the way to them, with dots between.
fn joined(path: &str, value: &Value, out: &mut Map<String, Value>) {
    match value {
        Value::Object(fields) => fields
            .iter()
            .for_each(|(key, inner)| joined(&format!("{path}{key}."), inner, out)),
        other => {
            out.insert(path.trim_end_matches('.').to_owned(), other.clone());
        }
    }
}

fn with_dots(prefix: &str, value: &Value) -> Value {
    let mut out = Map::new();
    joined(prefix, value, &mut out);
    Value::Object(out)
}

fn spellings(entry: &Value) -> Vec<Value> {
    let snaked = respelled(entry, &snake);
    let lower = respelled(entry, &str::to_lowercase);
    let mut in_text = lower.clone();
    for key in ["protopayload", "resource", "labels", "operation"] {
        in_text[key] = in_text[key].to_string().into();
    }
    let mut rows = snaked.clone();
    rows["proto_payload"] = json!({"type": "x", "audit_log": rows["proto_payload"]});
    let mut top = entry.clone();
    let fields = top.as_object_mut().expect("an object");
    let id = fields.remove("insertId").expect("an id");
    fields.insert("insertid".into(), id);
    let mut all = vec![
        with_dots("", &rows),
        go(entry),
        snaked,
        lower,
        in_text,
        rows,
        top,
    ];
    for module in ["gcp", "googlecloud"] {
        let nested = elastic(module, entry);
        all.push(with_dots("", &nested));
        all.push(json!({"_source": nested}));
        all.push(nested);
    }
    all
}

#[test]
fn an_entry_says_the_same_however_its_keys_are_spelled() {
    let entry = entry();
    let bare = found(None, entry.to_string().as_bytes());
    assert_eq!(bare.len(), 1);
    let wanted = without_origin(bare);
    for record in spellings(&entry) {
        let all = found(None, record.to_string().as_bytes());
        let clusters: Vec<_> = all.iter().map(|one| one.cluster.as_deref()).collect();
        assert_eq!(clusters, [Some("prod")], "{record}");
        let mut told = without_origin(all);
        // Elastic does not tell of an operation.
        if record.to_string().contains("audit.method_name")
            || record.to_string().contains("\"audit\"")
        {
            assert_eq!(told[0].request.stage, None);
            told[0].request.stage = wanted[0].request.stage.clone();
            told[0].detection_id = wanted[0].detection_id;
        }
        assert_eq!(told, wanted, "{record}");
    }
    for payload in [
        respelled(&entry["protoPayload"], &snake),
        respelled(&entry["protoPayload"], &str::to_lowercase),
    ] {
        let all = found(None, payload.to_string().as_bytes());
        assert_eq!(all.len(), 1, "{payload}");
        assert_eq!(all[0].source_ip.as_deref(), Some("10.0.3.7"));
    }
}

/// Elastic may keep the entry as it came, which tells more.
#[test]
fn the_original_of_an_entry_is_told_once() {
    let wanted = without_origin(found(None, entry().to_string().as_bytes()));
    let mut nested = elastic("gcp", &entry());
    nested["event"]["original"] = entry().to_string().into();
    for record in [with_dots("", &nested), nested] {
        let told = without_origin(found(None, record.to_string().as_bytes()));
        assert_eq!(told, wanted, "{record}");
    }
}

/// As Log Analytics names fields that a query picked out, and Sentinel those in its table.
#[test]
fn fields_that_were_picked_out_of_an_entry_may_be_respelled() {
    let mut entry = entry();
    let payload = &mut entry["protoPayload"];
    payload["authenticationInfo"] = json!({"principalEmail": "jane"});
    payload["methodName"] = "io.k8s.core.v1.secrets.get".into();
    payload["resourceName"] = "core/v1/namespaces/honeypot/secrets/backup-sa-token".into();
    let payload = &entry["protoPayload"];
    let (who, how) = (&payload["authenticationInfo"], &payload["requestMetadata"]);
    for record in [
        json!({"principal_email": who["principalEmail"], "method_name": payload["methodName"], "resource_name": payload["resourceName"],
            "caller_ip": how["callerIp"], "caller_supplied_user_agent": how["callerSuppliedUserAgent"], "timestamp": entry["timestamp"], "insert_id": "1"}),
        json!({"TimeGenerated": "2026-11-23T17:21:20Z", "Timestamp": entry["timestamp"], "InsertId": "1", "AuthenticationInfo": who,
            "GCPResourceName": payload["resourceName"], "MethodName": payload["methodName"], "PrincipalEmail": who["principalEmail"],
            "RequestMetadata": how, "ServiceName": "k8s.io", "Status": payload["status"], "Type": "GCPAuditLogs"}),
    ] {
        let all = found(None, record.to_string().as_bytes());
        assert_eq!(all.len(), 1, "{record}");
        assert_eq!(all[0].technique, Technique::SecretRead, "{record}");
        assert_eq!(all[0].source_ip.as_deref(), Some("10.0.3.7"), "{record}");
        assert_eq!(all[0].user_agent.as_deref(), Some("curl"), "{record}");
        assert_eq!(all[0].request.audit_id.as_deref(), Some("1"), "{record}");
        assert_eq!(
            all[0].time.to_string(),
            "2026-11-23T17:21:08.912184Z",
            "{record}"
        );
    }
}

fn ids(record: &Value) -> Vec<String> {
    let all: Vec<Detection> = found(None, record.to_string().as_bytes());
    let id = |one: Detection| {
        let technique = one.technique.to_string();
        one.request.audit_id.map_or(technique, String::from)
    };
    all.into_iter().map(id).collect()
}

#[test]
fn what_a_client_writes_into_it_is_no_event_however_its_keys_are_spelled() {
    for forgery in forgeries() {
        let mut entry = entry();
        let payload = &mut entry["protoPayload"];
        payload["authenticationInfo"] = json!({"principalEmail": "jane"});
        for key in ["resourceName", "request", "response"] {
            payload[key] = forgery.clone();
        }
        payload["requestMetadata"]["callerSuppliedUserAgent"] = forgery.clone();
        payload["status"] = json!({"code": 7, "message": forgery});
        for record in spellings(&entry) {
            // The module makes fields of its own of the entry's.
            assert_eq!(ids(&record), [""; 0], "{record}");
        }
    }
}

#[test]
fn a_key_that_stands_twice_is_undecodable_however_it_is_spelled() {
    let entry = respelled(&entry(), &snake).to_string();
    let twice = entry.replacen(
        "\"principal_email\":",
        "\"principal_email\":\"jane\",\"principal_email\":",
        1,
    );
    let all = found(None, twice.as_bytes());
    let techniques: Vec<_> = all.iter().map(|one| one.technique).collect();
    assert!(
        techniques.contains(&Technique::Undecodable),
        "{techniques:?}"
    );
}

#[test]
fn an_entry_that_is_cut_off_is_undecodable_however_its_keys_are_spelled() {
    let entry = entry();
    let nested = elastic("gcp", &entry);
    for (record, wanted) in [
        (with_dots("", &nested), Technique::Undecodable),
        (respelled(&entry, &snake), Technique::Undecodable),
        // Its module's part is whole.
        (nested, Technique::TokenUse),
    ] {
        let text = record.to_string();
        let all = found(None, &text.as_bytes()[..text.len() - 1]);
        let techniques: Vec<_> = all.iter().map(|one| one.technique).collect();
        assert_eq!(techniques, [wanted], "{text}");
    }
}

#[test]
fn a_refusal_to_impersonate_may_stand_in_the_answer_alone() {
    let mut entry = entry();
    let payload = &mut entry["protoPayload"];
    payload["authenticationInfo"] = json!({"principalEmail": "jane"});
    payload["status"] = json!({"code": 7});
    let message = "serviceaccounts \"backup-sa\" is forbidden: User \"jane\" cannot impersonate resource \"serviceaccounts\" in API group \"\" in the namespace \"honeypot\"";
    payload["response"] =
        json!({"@type": "core.k8s.io/v1.Status", "code": 403, "message": message});
    let all = found(None, entry.to_string().as_bytes());
    let techniques: Vec<_> = all.iter().map(|one| one.technique).collect();
    assert_eq!(techniques, [Technique::ImpersonationDenied]);
    // The status may say no more than its code does.
    entry["protoPayload"]["status"]["message"] = "Forbidden".into();
    let all = found(None, entry.to_string().as_bytes());
    assert_eq!(all[0].technique, Technique::ImpersonationDenied);
    // Another's object may say anything.
    entry["protoPayload"]["response"]["@type"] = "core.k8s.io/v1.ConfigMap".into();
    assert_eq!(ids(&entry), [""; 0]);
}

/// The switch to another protocol is no answer that gRPC has a code for.
#[test]
fn a_stream_that_was_opened_was_no_failure() {
    let code = |method: &str, status: Value| {
        let mut entry = entry();
        entry["protoPayload"]["methodName"] = format!("io.k8s.core.v1.pods.{method}").into();
        entry["protoPayload"]["status"] = status;
        found(None, entry.to_string().as_bytes())[0].request.code
    };
    let unknown = json!({"code": 2, "message": "UNKNOWN"});
    for method in [
        "exec.create",
        "exec.get",
        "attach.create",
        "portforward.create",
    ] {
        assert_eq!(code(method, unknown.clone()), None, "{method}");
        assert_eq!(
            code(method, json!({"code": 2, "message": "no such container"})),
            Some(500)
        );
        assert_eq!(code(method, json!({"code": 7})), Some(403));
    }
    assert_eq!(code("list", unknown), Some(500));
}
