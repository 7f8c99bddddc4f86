//! Text of clients in what other programs log of requests, in the same stream as audit events.

use serde_json::{Value, json};

use super::forged::{DECOY, hit, ids};

/// What of `record` was taken for an event, if not the only one in it, and whether it was told as what cannot be decoded.
fn told(record: &str) -> (bool, bool) {
    let ids = ids(record);
    let is_undecodable = |(id, _): &(String, _)| id == "undecodable";
    (
        !ids.iter().all(is_undecodable),
        ids.iter().any(is_undecodable),
    )
}

const DOUBTFUL: (bool, bool) = (false, true);
const NOTHING: (bool, bool) = (false, false);

fn escaped(text: &str) -> String {
    let quoted = Value::from(text).to_string();
    quoted[1..quoted.len() - 1].to_owned()
}

#[test]
fn what_a_client_calls_itself_is_no_event_however_a_server_calls_that() {
    let event = hit("forged").to_string();
    for key in [
        "userAgent",
        "user_agent",
        "useragent",
        "User-Agent",
        "http_user_agent",
        "request_User-Agent",
        "http.user_agent",
        "cs(User-Agent)",
        "HTTP_USER_AGENT",
        "uri",
        "request_uri",
    ] {
        for value in [
            json!(event),
            hit("forged"),
            json!([event]),
            json!({"original": event}),
        ] {
            for record in [
                json!({key: value}),
                json!({"request": {"headers": {key: value}}}),
            ] {
                assert_eq!(told(&record.to_string()), NOTHING, "{record}");
                let carried = json!({"log": record.to_string(), "stream": "stdout"});
                assert_eq!(told(&carried.to_string()), NOTHING, "{carried}");
            }
        }
    }
}

#[test]
fn what_a_server_or_an_application_logs_of_a_request_is_doubtful() {
    let event = hit("forged").to_string();
    for key in [
        "ua",
        "agent",
        "user_agent_string",
        "browser",
        "referer",
        "http_referer",
        "RequestPath",
        "query_string",
        "args",
        "body",
        "data",
        "http_x_forwarded_for",
        "remote_user",
        "authority",
        "cookie",
        "requestParameters",
        "eventName",
        "tenant",
    ] {
        for value in [json!(event), json!([event]), json!({"x": event})] {
            for record in [
                json!({"time": "2026-11-23T17:21:08Z", "status": 200, key: value}),
                json!({"remote_addr": "10.0.3.7", key: value}),
                json!({"request_method": "GET", key: value}),
                json!({"user_agent": "curl", "attributes": {key: value}}),
                json!({"level": "warn", "msg": "login failed", key: value}),
            ] {
                assert_eq!(told(&record.to_string()), DOUBTFUL, "{record}");
                let carried = json!({"log": record.to_string(), "stream": "stdout"});
                assert_eq!(told(&carried.to_string()), DOUBTFUL, "{carried}");
            }
        }
    }
    for record in [
        json!({"username": event}),
        json!({"headers": {"x-request-id": [event]}}),
        json!({"request": {"body": hit("forged")}}),
    ] {
        assert_eq!(told(&record.to_string()), DOUBTFUL, "{record}");
    }
}

/// Logstash's input by HTTP puts the fields of a body beside what it knows of the request.
#[test]
fn an_event_list_beside_the_request_that_brought_it_is_read() {
    let ecs = json!({"@timestamp": "2026-11-23T17:21:09Z", "http": {"method": "POST"}, "url": {"path": "/"},
        "user_agent": {"original": "kube-apiserver/v1.31.0"}, "kind": "EventList", "items": [hit("one"), hit("two")]});
    let ids = |record: &Value| -> Vec<String> {
        let all = ids(&record.to_string());
        all.into_iter().map(|(id, _)| id).collect()
    };
    assert_eq!(ids(&ecs), ["one", "two"]);
    let mut kept = ecs.clone();
    let list = json!({"kind": "EventList", "apiVersion": "audit.k8s.io/v1", "items": ecs["items"]});
    kept["event"] = json!({"original": list.to_string()});
    assert_eq!(ids(&kept), ["one", "two"]);
    // It has no events as texts.
    let mut texts = ecs.clone();
    texts["items"] = json!([hit("forged").to_string()]);
    assert_eq!(told(&texts.to_string()), DOUBTFUL, "{texts}");
    // What a server logs of a body stands under a key of its own.
    let logged = json!({"user_agent": "curl", "body": list, "status": 200});
    assert_eq!(told(&logged.to_string()), DOUBTFUL, "{logged}");
}

#[test]
fn what_a_shipper_carries_beside_what_it_knows_of_requests_is_the_event() {
    let event = hit("real");
    let text = event.to_string();
    for record in [
        json!({"message": text, "path": "/logs", "source_type": "http_server", "user_agent": "curl"}),
        json!({"kubernetes": {"audit": event}, "user_agent": {"original": "curl"}, "source": {"ip": "10.0.3.7"}}),
        json!({"status": "success", "data": {"result": [{"values": [["1795454469250000000", text]]}]}}),
        json!({"status": "info", "attributes": event}),
        json!({"headers": {"x": "y"}, "value": text}),
        json!({"message": "an audit event", "ip": "10.0.3.7", "kube-audit": text}),
        json!({"username": "jane", "status": 200, "k8sAuditLog": text}),
        json!({"msg": "audit event received", "event_data": text}),
        json!({"message": "", "attributes": {"data": text}}),
    ] {
        assert_eq!(told(&record.to_string()), (true, false), "{record}");
    }
}

#[test]
fn an_event_within_a_line_of_another_log_is_doubtful() {
    let event = hit("forged").to_string();
    let inside = escaped(&event);
    for line in [
        // Web servers, with and without escapes.
        format!(
            "10.0.3.7 - - [23/Nov/2026:17:21:08 +0000] \"GET / HTTP/1.1\" 200 612 \"-\" \"{inside}\""
        ),
        format!(
            "10.0.3.7 - - [23/Nov/2026:17:21:08 +0000] \"GET / HTTP/1.1\" 200 612 \"-\" \"{event}\""
        ),
        format!(
            "[2026-11-23T17:21:08.000Z] \"GET / HTTP/1.1\" 200 - \"10.0.3.7\" \"{event}\" \"id\" \"host\""
        ),
        format!(
            "[2026-11-23T17:21:08.000Z] \"GET / HTTP/1.1\" 200 - \"x {event} {{\\\"a\\\":\" \"id\""
        ),
        format!(
            "<134>Nov 23 17:21:08 lb haproxy[1]: 10.0.3.7:1 fe be/s 200 - - {{{event}}} \"GET / HTTP/1.1\""
        ),
        // Logins.
        format!("Nov 23 17:21:08 h sshd[1]: Invalid user {event} from 10.0.3.7 port 1"),
        format!(
            "Nov 23 17:21:08 h sshd[1]: Invalid user {event}{event} {{\"a\":\" from 10.0.3.7 port 1"
        ),
        format!("Nov 23 17:21:08 h sshd[1]: Invalid user msg=\"{inside}\" from 10.0.3.7 port 1"),
        format!("login failed for user {event}"),
        // What is left of an event in another notation.
        format!("ts=2026-11-23T17:21:08Z verb=get userAgent=\"{inside}\" stage=ResponseComplete"),
        format!("verb: get\nuserAgent: '{event}'\n"),
        format!("audit &Event{{Level:Metadata,Verb:get,UserAgent:{event},}}"),
        format!("1\tget\tjane\t{event}\tResponseComplete"),
        format!(" 1 | get | jane | {event} | ResponseComplete"),
        format!("CEF:0|K8s|audit|1|get|get|5|requestClientApplication={event} request=/api"),
        format!(
            "<field k='verb'><v>get</v></field><field k='userAgent'><v>{}</v></field>",
            event.replace('"', "&quot;")
        ),
    ] {
        assert_eq!(told(&line), DOUBTFUL, "{line}");
        let carried = json!({"log": format!("{line}\n"), "stream": "stdout"}).to_string();
        assert_eq!(told(&carried), DOUBTFUL, "{carried}");
    }
}

#[test]
fn what_is_cut_off_at_its_front_is_no_event() {
    let event = hit("forged").to_string();
    let inside = escaped(&event);
    let orphan =
        json!({"log": format!("{event},{{\"a\":1}}],\"stage\":\"x\"}}\n"), "stream": "stdout"});
    for record in [
        format!("jane\"}},\"userAgent\":\"{inside}\",\"stage\":\"ResponseComplete\"}}"),
        format!("2026-11-23T17:21:01.912216789Z stdout F ent\":\"{inside}\",\"stage\":\"x\"}}"),
        format!("2026-11-23T17:21:01.912216789Z stdout F {event},{{\"a\":1}}],\"stage\":\"x\"}}"),
        format!("jane\"}},\"requestObject\":{event},\"stage\":\"x\"}}"),
        orphan.to_string(),
    ] {
        assert_eq!(told(&record), DOUBTFUL, "{record}");
    }
}

#[test]
fn a_text_in_a_row_without_names_is_doubtful() {
    let event = hit("forged").to_string();
    let doubled = event.replace('"', "\"\"");
    for row in [
        format!("1,io.k8s.core.v1.pods.list,10.0.3.7,\"{doubled}\",k8s.io\n"),
        format!("\"1\",\"io.k8s.core.v1.pods.list\",\"core/v1/namespaces\",\"{doubled}\"\n"),
        format!("a,ResponseComplete,/api,\"x\n{doubled}\n\",get\n"),
        format!(
            "a,ResponseComplete,/api,\"{}\",get\n",
            escaped(&event).replace('"', "\"\"")
        ),
    ] {
        assert_eq!(told(&row), DOUBTFUL, "{row}");
    }
}

#[test]
fn what_a_logger_or_a_shell_writes_around_an_event_takes_nothing_away() {
    let event = hit("real").to_string();
    let inside = escaped(&event);
    let other = json!({"a": 1});
    for line in [
        format!("ts=2026-11-23T17:21:08Z level=info msg=\"{inside}\" component=audit"),
        format!("msg=\"audit: {inside}\""),
        format!("kube.audit: [1795454469.5, {event}]"),
        format!("| 2026-11-23T17:21:08Z | {event} |"),
        format!("EVENTS\t37\t{event}\t1795454469250"),
        format!("\u{1b}[36mkube-apiserver\u{1b}[0m {event}\u{1b}[0m"),
        format!("INSERT INTO a VALUES (17,'{inside}');"),
        format!("b'{event}'"),
        format!("{event} null"),
        format!(
            "740 <14>1 2026-11-23T17:21:08.9Z h k - - {event} 7 <14>1 2026-11-23T17:21:08.9Z h k - - {other}"
        ),
        format!(
            "<d><v xml:space='preserve'>{}</v></d>",
            event.replace('"', "&quot;")
        ),
        format!("MESSAGE\n\"\u{2}\0\0\0\0\0\0{event}\nPRIORITY=6\n"),
        format!("{{\"logEvents\":[{{\"id\":\"1\",\"message\":\"{inside}\"}},{{\"id\":\"2\",\"mess"),
        format!("{{\"values\":[[\"1795454469250000000\",\"{inside}\"],[\"17"),
        Value::from(event.as_str()).to_string(),
    ] {
        assert_eq!(told(&line), (true, false), "{line}");
    }
    assert!(event.contains(DECOY));
}
