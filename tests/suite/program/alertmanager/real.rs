//! With a real Alertmanager, that `BAITLINE_TEST_ALERTMANAGER` names as `.ci/alertmanager` prints it: its address, and the
//! one at which it tells a webhook.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
};

use super::*;

/// The body of what `address` answers to a GET.
fn get(address: SocketAddr, path: &str) -> Value {
    let mut stream = TcpStream::connect(address).expect("Alertmanager is there");
    write!(stream, "GET {path} HTTP/1.0\r\nhost: {address}\r\n\r\n").expect("it reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("it answers");
    let (head, body) = answer.split_once("\r\n\r\n").expect("it speaks HTTP");
    assert!(head.contains(" 200 "), "{answer}");
    serde_json::from_str(body).expect("it answers in JSON")
}

#[test]
fn an_incident_fires_in_alertmanager_and_is_resolved() {
    let Ok(addresses) = std::env::var("BAITLINE_TEST_ALERTMANAGER") else {
        eprintln!("NOT RUN: needs a real Alertmanager; see .ci/alertmanager");
        return;
    };
    let addresses: Vec<SocketAddr> = addresses
        .split(' ')
        .map(|address| address.parse().expect("two addresses"))
        .collect();
    let webhook = Receiver::start_at(addresses[1], Manner::Takes);
    // Firing and resolved, with what each alert is called and how grave it is.
    let told = || -> Vec<(String, String, String)> {
        let bodies = webhook.bodies();
        let read = |body: &String| serde_json::from_str::<Value>(body).expect("JSON");
        let alerts = bodies.iter().map(read).flat_map(|body| {
            let alerts = body["alerts"].as_array().cloned();
            alerts.unwrap_or_default()
        });
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let seen = alerts.map(|alert| {
            let labels = &alert["labels"];
            (
                text(&alert["status"]),
                text(&labels["alertname"]),
                text(&labels["severity"]),
            )
        });
        seen.collect()
    };
    let setting = Setting::empty();
    let origin = format!("http://{}", addresses[0]);
    setting.write("x.json", to(&setting, &origin, 3).to_string());
    let start = || setting.start(&mut setting.program(&["run", "--config", "x.json"]));
    let alerts = || get(addresses[0], "/api/v2/alerts");
    let ours = || {
        let alerts = alerts();
        let list = alerts.as_array().cloned().unwrap_or_default();
        let is_ours = |alert: &Value| alert["labels"]["cluster"] == "prod-eu";
        list.into_iter().filter(is_ours).collect::<Vec<Value>>()
    };

    // Somebody looks at the decoy first, which is less grave than to use its token.
    let mut running = start();
    let look = json!({
        "user": {"username": "jane"}, "verb": "get", "requestURI": "/api/v1/namespaces/honeypot/serviceaccounts/backup-sa",
        "objectRef": {"resource": "serviceaccounts", "namespace": "honeypot", "name": "backup-sa", "apiVersion": "v1"},
    });
    running.write(&joined([token_use(1, "10.0.3.7", look).to_string()]));
    running.write(&hit(2));
    wait("two alerts", &running, || ours().len() == 2);
    let firing = ours();
    for alert in &firing {
        assert_eq!(alert["status"]["state"], "active", "{alert}");
        assert_eq!(alert["labels"]["decoy"], "honeypot/backup-sa");
    }
    let is_of = |severity: &str| {
        let fired = (
            "firing".to_owned(),
            "BaitlineDecoyTouched".to_owned(),
            severity.to_owned(),
        );
        move |told: &[(String, String, String)]| told.contains(&fired)
    };
    let (medium, critical) = (is_of("medium"), is_of("critical"));
    wait("both to be told", &running, || {
        medium(&told()) && critical(&told())
    });
    assert!(running.stderr.text().is_empty() || !running.stderr.text().contains("WARN"));
    // The token is let in: that is an alert of its own, in place of the one before.
    let granted = json!({"responseStatus": {"code": 200}});
    running.write(&joined([token_use(3, "10.0.3.7", granted).to_string()]));
    wait("the escalation", &running, || {
        let ours = ours();
        let is_granted = |alert: &Value| alert["labels"]["granted"] == "true";
        ours.len() == 2 && ours.iter().any(is_granted)
    });
    // A restart changes nothing.
    running.signal("KILL");
    running.wait();
    let running = start();
    wait("all to be resolved", &running, || {
        let is_over = |(status, _, _): &&(String, String, String)| status == "resolved";
        told().iter().filter(is_over).count() >= 3 && ours().is_empty()
    });
    let fired = told();
    let count = fired
        .iter()
        .filter(|(status, _, _)| status == "firing")
        .count();
    let resolved = fired.len() - count;
    eprintln!("Alertmanager told of {count} firing and {resolved} resolved alerts");
    let ran = running.end();
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
}
