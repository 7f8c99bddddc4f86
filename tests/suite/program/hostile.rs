//! Attackers choose much of what is told. None of it acts on the terminal or in the file where it is shown.

use serde_json::json;

use super::{
    harness::{Setting, configuration, decoy, show_everywhere},
    inputs::{joined, token_use},
    receiver::{Manner, Receiver},
};

const ATTACKS: [&str; 8] = [
    "\u{1b}[2J\u{1b}]0;pwned\u{7}",
    "\u{9b}31m\u{90}q\u{9c}",
    "\u{202e}gnp.exe\u{2066}\u{200f}",
    "a\nCRITICAL opened: forged\r\n",
    "\u{2028}\u{85}\u{b}\u{c}",
    "<!channel> <@U123> @here",
    "<https://evil|x> https://evil.example *b* `c`",
    "\0\u{7f}\u{8}\u{8}\u{feff}\u{e0041}",
];

/// One hit for each attack in each field that a client chooses.
fn input() -> Vec<u8> {
    let mut events = Vec::new();
    for (number, attack) in (0..).zip(ATTACKS) {
        let ip = format!("10.0.{number}.1");
        let secret =
            json!({"resource": "secrets", "namespace": "honeypot", "name": "backup-sa-token"});
        let target = json!({"resource": attack, "subresource": attack, "namespace": "honeypot", "name": attack});
        events.push(token_use(
            number,
            &ip,
            json!({"userAgent": attack, "requestURI": attack, "verb": attack}),
        ));
        events.push(token_use(
            100 + number,
            &ip,
            json!({"user": {"username": attack, "groups": [attack]}, "objectRef": secret}),
        ));
        events.push(token_use(
            200 + number,
            &ip,
            json!({"user": {"username": "jane"}, "objectRef": target}),
        ));
        events.push(token_use(
            300 + number,
            &ip,
            json!({"auditID": attack, "sourceIPs": [attack, ip]}),
        ));
        events.push(token_use(400 + number, attack, json!({"stage": attack})));
    }
    let mut lines: Vec<Vec<u8>> = events
        .iter()
        .map(|event| event.to_string().into_bytes())
        .collect();
    // Cut off, with the attack unescaped, as only a broken shipper would pass it on.
    for attack in ATTACKS {
        let event = token_use(1, "10.0.3.7", json!({"auditID": "ATTACK"})).to_string();
        lines.push(
            event[..event.len() - 9]
                .replace("ATTACK", attack)
                .replace('\n', "")
                .into_bytes(),
        );
    }
    joined(lines)
}

/// Characters that act on a terminal, or make text look like other text.
fn acts(char: char) -> bool {
    matches!(char, '\0'..='\x09' | '\x0b'..='\x1f' | '\x7f'..='\u{9f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{e0000}'..='\u{e0fff}')
}

#[test]
fn attackers_text_reaches_no_terminal_no_file_and_no_channel_raw() {
    let receiver = Receiver::start(Manner::Takes);
    let mut configuration = configuration(decoy(true));
    show_everywhere(&mut configuration, &receiver.url());
    // Every incident on its own, so that all titles are told.
    configuration["transforms"]["incidents"]["rate_limit"] = json!({"threshold": 1000});
    let ran = Setting::with(&configuration).watch(&["-vv"], &input());
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    ran.told().check_alerts();
    assert!(ran.told().detections.len() >= 40);
    for (place, text) in [
        ("stdout", &ran.stdout),
        ("stderr", &ran.stderr),
        ("alert.txt", &ran.file("alert.txt")),
        ("evidence.txt", &ran.file("evidence.txt")),
        ("told.ndjson", &ran.file("told.ndjson")),
    ] {
        let raw = text.lines().find(|line| line.contains(acts));
        assert_eq!(
            raw.map(str::escape_debug).map(|line| line.to_string()),
            None,
            "{place}"
        );
        assert!(
            !text.contains("\nCRITICAL opened: forged"),
            "{place} has a forged line"
        );
    }
    assert!(ran.stdout.contains("pwned"), "the attacks are shown");

    let bodies = receiver.bodies();
    assert!(bodies.len() > 40);
    for body in bodies {
        let message: serde_json::Value = serde_json::from_str(&body).expect("Slack is sent JSON");
        let notification = message["text"].as_str().expect("the notification line");
        for markup in ["<", ">", "*b*", "`", "@", "https://"] {
            assert!(!notification.contains(markup), "{notification}");
        }
        // All attacker text in blocks is plain_text, where Slack parses no markup.
        let blocks = message["blocks"].to_string();
        assert!(!blocks.contains("mrkdwn"), "{blocks}");
        let raw = |text: &serde_json::Value| {
            text.as_str()
                .is_some_and(|text| text.contains(|c| c != '\n' && acts(c)))
        };
        assert!(
            !raw(&message["text"]) && !strings(&message["blocks"]).any(raw),
            "{body}"
        );
    }
}

/// All strings in `value`.
fn strings(value: &serde_json::Value) -> Box<dyn Iterator<Item = &serde_json::Value> + '_> {
    match value {
        serde_json::Value::Array(items) => Box::new(items.iter().flat_map(strings)),
        serde_json::Value::Object(fields) => Box::new(fields.values().flat_map(strings)),
        other => Box::new(std::iter::once(other)),
    }
}
