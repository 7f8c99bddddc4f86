//! An attacker with many addresses cannot bury anything, and every hit is counted.

use serde_json::{Value, json};

use super::{
    harness::{configuration, decoy, watch},
    inputs::{joined, token_use},
    told::Told,
};

const ADDRESSES: u32 = 2000;

fn address(number: u32) -> String {
    format!("10.1.{}.{}", number / 256, number % 256)
}

fn of_severity<'a>(told: &'a Told, severity: &str) -> Vec<&'a Value> {
    let is_it = |alert: &&Value| alert["severity"] == severity;
    told.alerts.iter().filter(is_it).collect()
}

#[test]
fn thousands_of_addresses_are_a_few_alerts() {
    let hits =
        (0..ADDRESSES).map(|number| token_use(number, &address(number), json!({})).to_string());
    let told = watch(&configuration(decoy(true)), &joined(hits)).told();
    told.check_alerts();
    assert_eq!(told.count(), u64::from(ADDRESSES));
    let opened: Vec<&Value> = told
        .alerts
        .iter()
        .filter(|alert| alert["kind"] == "opened")
        .collect();
    assert!(
        opened.len() <= 21,
        "a budget of 20, and the flood itself: {}",
        opened.len()
    );
    assert!(told.alerts.len() <= 50, "{}", told.alerts.len());
    let flood = told.alerts.iter().rfind(|alert| !alert["flood"].is_null());
    assert_eq!(
        flood.expect("a flood")["flood"]["incidents"],
        ADDRESSES - 20
    );
}

#[test]
fn noise_does_not_hide_a_theft() {
    let noise = |number: u32| {
        let leases = json!({"resource": "leases", "namespace": "honeypot", "name": "x"});
        token_use(
            number,
            &address(number),
            json!({"user": {"username": "jane"}, "objectRef": leases}),
        )
    };
    let mut hits: Vec<String> = (0..ADDRESSES)
        .map(|number| noise(number).to_string())
        .collect();
    hits.push(token_use(ADDRESSES, "192.0.2.1", json!({})).to_string());
    let told = watch(&configuration(decoy(true)), &joined(hits)).told();
    told.check_alerts();
    assert_eq!(told.count(), u64::from(ADDRESSES) + 1);
    let critical = of_severity(&told, "critical");
    assert_eq!(critical[0]["kind"], "opened");
    assert_eq!(critical[0]["source_ip"], "192.0.2.1");
    assert!(of_severity(&told, "low").len() <= 50);
}
