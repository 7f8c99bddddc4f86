//! The log holds live tokens and Secrets; nothing that comes out of the program does.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{
    harness::{Setting, decoy, show_everywhere, with_expected},
    inputs::{BODIES, joined, lines},
    receiver::{Manner, Receiver, SECRET},
};

/// Shorter values, such as an encoded namespace, are no secrets.
const SHORTEST: usize = 16;

/// Every Secret's data, encoded and decoded, and every token, by its parts: none of a token's parts may be seen either.
fn secrets(log: &[u8]) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for line in lines(log) {
        let event: Value = serde_json::from_slice(line).expect("an event is JSON");
        for body in ["requestObject", "responseObject"] {
            collect(&event[body], &mut found);
        }
    }
    let text = String::from_utf8_lossy(log);
    for (at, _) in text.match_indices("eyJ") {
        let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        let token: String = text[at..].chars().take_while(|c| is_part(*c)).collect();
        found.extend(token.split('.').map(str::to_owned));
    }
    let parts: Vec<String> = found
        .iter()
        .flat_map(|secret| secret.split('.'))
        .map(str::to_owned)
        .collect();
    found.extend(parts);
    found.retain(|secret| secret.len() >= SHORTEST);
    found
}

/// Adds what stands in `body` at the places where Secrets and tokens stand.
fn collect(body: &Value, found: &mut BTreeSet<String>) {
    for place in ["/status/token", "/spec/token"] {
        found.extend(
            body.pointer(place)
                .and_then(Value::as_str)
                .map(str::to_owned),
        );
    }
    let items = body["items"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default();
    for item in items {
        collect(item, found);
    }
    let is_secret = body["type"].is_string() || body["kind"] == "Secret";
    for value in body["data"]
        .as_object()
        .filter(|_| is_secret)
        .into_iter()
        .flat_map(|data| data.values())
    {
        let value = value.as_str().unwrap_or_default();
        found.insert(value.to_owned());
        found.insert(String::from_utf8_lossy(&from_base64(value)).into_owned());
    }
}

fn from_base64(text: &str) -> Vec<u8> {
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let digits = text
        .bytes()
        .filter_map(|byte| alphabet.iter().position(|digit| *digit == byte));
    let (mut bytes, mut bits, mut held) = (Vec::new(), 0, 0_usize);
    for digit in digits {
        held = held << 6 | digit;
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            bytes.push((held >> bits) as u8);
        }
    }
    bytes
}

/// The beginnings of the events that hold a token, plain or in base64, cut where a shipper might: these come out as
/// excerpts.
fn cut_events(log: &[u8]) -> Vec<&[u8]> {
    let holds = |line: &[u8], text: &str| memchr::memmem::find(line, text.as_bytes()).is_some();
    lines(log)
        .into_iter()
        .filter(|line| holds(line, "honeypot") && (holds(line, "eyJ") || holds(line, "ZXlK")))
        .flat_map(|line| (1..10).map(|tenth| &line[..line.len() * tenth / 10]))
        .collect()
}

#[test]
fn no_token_and_no_secret_comes_out() {
    let receiver = Receiver::start(Manner::Takes);
    let mut configuration = with_expected(decoy(true));
    show_everywhere(&mut configuration, &receiver.url());
    let cut = cut_events(&BODIES);
    let mut secrets = secrets(&BODIES);
    assert!(secrets.len() > 20 && cut.len() > 20);
    secrets.insert(SECRET.to_owned());

    let input = [BODIES.as_slice(), &joined(cut)].concat();
    let ran = Setting::with(&configuration).watch(&["-vv"], &input);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert!(ran.told().of_technique("undecodable").len() > 20);
    let slack = receiver.bodies();
    assert!(slack.len() > 100);
    for (place, text) in [
        ("stdout", &ran.stdout),
        ("stderr", &ran.stderr),
        ("alert.txt", &ran.file("alert.txt")),
        ("evidence.txt", &ran.file("evidence.txt")),
        ("told.ndjson", &ran.file("told.ndjson")),
        ("Slack", &slack.concat()),
    ] {
        assert!(!text.is_empty(), "{place} is told nothing");
        for secret in &secrets {
            // A part that was cut is a leak as well.
            let beginning = &secret[..SHORTEST.min(secret.len())];
            assert!(!text.contains(beginning), "{place} holds {secret}");
        }
    }
}
