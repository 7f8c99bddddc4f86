//! Secrets, and texts that mean harm.

use baitline::config::SinkConfig;
use insta::assert_snapshot;
use proptest::prelude::*;

use super::{
    EVERY_OPTION_JSON, EVERY_OPTION_TOML, EVERY_OPTION_YAML, EXAMPLE, WEBHOOK, load, pipeline,
    told, told_of_decoy, told_of_sink,
};

#[test]
fn variables_are_expanded_and_never_shown() {
    let sinks = "  a: { type: console, inputs: [incidents], buffer: { max_events: $NUMBER } }\n  \
                 b: { type: file, inputs: [\"${NONE:-incidents}\"], path: '${EMPTY:-x}$$', buffer: { max_events: '${NUMBER}' } }\n";
    let loaded = load(&[("x.yaml", &pipeline(sinks, "    whole_namespace: ${YES}\n"))]).unwrap();
    let SinkConfig::Console(console) = &loaded.pipeline.sinks[0].config else {
        panic!()
    };
    let SinkConfig::File(file) = &loaded.pipeline.sinks[1].config else {
        panic!()
    };
    assert_eq!(
        (console.buffer.max_events, file.buffer.max_events),
        (Some(42), Some(42))
    );
    assert_eq!(file.path, "x$");
    assert!(loaded.pipeline.decoys[0].whole_namespace);

    assert_snapshot!(told_of_sink("  a: { type: console, inputs: ['${NONE}'], target: '${SECRET}', buffer: { max_events: '4${NUMBER}' } }\n  b: { type: $SECRET, inputs: [x$SECRET] }\n  c: { type: slack, inputs: [incidents], webhook_url: '${NO_URL:?make a webhook first}' }\n"), @r#"
    x.yaml:9:32: the variable NONE is not set; set it, or write ${NONE:-default}
    x.yaml:9:52: "target" of sink "a" (console) must be "stdout" or "stderr", found the string "${SECRET}"
    x.yaml:9:87: "buffer.max_events" of sink "a" (console) must be a whole number, at least 1, found the string "4${NUMBER}"
    x.yaml:10:14: unknown type "$SECRET" of sink "b"; known: "console", "file", "http", "kafka", "slack"
    x.yaml:10:32: unknown input "x$SECRET" of sink "b"; it can take "detections", "incidents"
    x.yaml:11:55: the variable NO_URL is not set: make a webhook first
    "#);
    assert_snapshot!(told_of_decoy("    secret: ${SECRET}_\n    pod: ${SECRET}/\n    expected: [{ user: '${SECRET}[' }]\n  - service_account: ${SECRET}\n  - service_account: honeypot/${SECRET}_\n  - service_account: honeypot/${SECRET}\n  - service_account: honeypot/${SECRET}\n"), @r#"
    x.yaml:3:13: "secret" of decoy "honeypot/backup-sa" must be a name: at most 253 of a-z, 0-9, "-" and ".", each part's first and last no "-"; found the string "${SECRET}_"
    x.yaml:4:10: "pod" of decoy "honeypot/backup-sa" must be a pod's name, or a pattern for it: a-z, 0-9, "-" and ".", with the wildcards *, ? and […]; found the string "${SECRET}/"
    x.yaml:5:24: "user" of an entry of "expected" of decoy "honeypot/backup-sa" must be a pattern, found the string "${SECRET}[": invalid range pattern
    x.yaml:6:22: "service_account" of decoy "${SECRET}" must be namespace/name, found the string "${SECRET}"
    x.yaml:7:22: "service_account" of decoy "honeypot/${SECRET}_" must have, after the "/", a name: at most 253 of a-z, 0-9, "-" and ".", each part's first and last no "-"; found the string "honeypot/${SECRET}_"
    x.yaml:9:22: decoy "honeypot/${SECRET}" already stands at x.yaml:8:22; remove one
    "#);
}

#[test]
fn a_webhook_is_never_shown() {
    let loaded = load(&[("example.yaml", EXAMPLE)]).unwrap();
    let mut seen = format!("{:?} {:#?}", loaded, loaded.pipeline);
    for url in [
        "\"${SLACK_WEBHOOK_URL}x:y\"",
        WEBHOOK,
        "ftp://hooks/T0SECRET",
        "https:///T0SECRET",
        "[https://x/T0SECRET]",
    ] {
        let url = url.to_owned();
        seen += &told_of_sink(&format!(
            "  a: {{ type: slack, inputs: [incidents], webhook_url: {url} }}\n"
        ));
        seen += &told_of_sink(&format!(
            "  a: {{ type: slack, inputs: [incidents], webhook_ur: {url} }}\n"
        ));
        seen += &told_of_sink(&format!(
            "  a: {{ type: slack, inputs: [incidents], webhook_url:{url} }}\n"
        ));
        seen += &told_of_sink(&format!(
            "  a: {{ type: slack, inputs: [{url}], encoding: {{ codec: {url} }}, request: {url} }}\n"
        ));
        seen += &told_of_sink(&format!("  a: {{ type: {url}, inputs: {url} }}\n"));
        seen += &told_of_sink(&format!(
            "  {url}: {{ type: console, inputs: [incidents] }}\n"
        ));
    }
    assert!(
        !seen.contains("SECRET/") && !seen.contains("T0SECRET"),
        "{seen}"
    );
    assert_snapshot!(told_of_sink("  a: { type: slack, inputs: [incidents], webhook_url: ftp://hooks/T0SECRET }\n"), @r#"x.yaml:9:55: "webhook_url" of sink "a" (slack) must be an http or https URL with a host (its value is not shown)"#);
}

/// Hundreds of thousands of values, most of them on one line: what takes quadratic time
/// does not come to an end here.
#[test]
fn many_values_take_no_quadratic_time() {
    let values = "é,".repeat(200_000);
    let quoted = "\"é\",".repeat(200_000);
    let keys: String = (0..50_000).map(|key| format!("  k{key}: v\n")).collect();
    for (name, content) in [
        ("x.yaml", format!("cluster: [{values}]")),
        ("x.toml", format!("cluster = [{quoted}]")),
        ("x.json", format!("{{\"cluster\": [{quoted}\"\"]}}")),
        ("x.yaml", format!("cluster:\n{keys}")),
    ] {
        assert!(load(&[(name, &content)]).is_err(), "{name}");
    }
}

#[test]
fn hostile_texts_stay_bounded() {
    let deep = |open: &str| open.repeat(100_000);
    for (name, content) in [
        ("x.yaml", deep("[")),
        ("x.yaml", deep("- ")),
        ("x.yaml", deep("{a: ")),
        ("x.yaml", deep("? ")),
        ("x.json", deep("[")),
        ("x.json", deep("{\"a\":")),
        ("x.toml", "a = ".to_owned() + &deep("[")),
        ("x.toml", "a = ".to_owned() + &deep("{a=")),
        ("x.toml", "[a".to_owned() + &deep(".a") + "]"),
        ("x.json", "[".repeat(100) + &"]".repeat(100)),
        ("x.yaml", "[".repeat(100) + &"]".repeat(100)),
    ] {
        let faults = load(&[(name, &content)]).unwrap_err().to_string();
        assert!(faults.len() < 300, "{name}: {faults}");
    }
    let mut laughs = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..20 {
        let alias = format!("*a{}, ", level - 1).repeat(10);
        laughs += &format!("a{level}: &a{level} [{alias}]\n");
    }
    assert_snapshot!(told(&[("x.yaml", &laughs)]), @"x.yaml:5:40: anchors and aliases repeat more than 100000 values");
    let anchors: String = (0..60).map(|level| format!("&a{level} [")).collect();
    let nested = format!("a: {anchors}{}{}", "x, ".repeat(5_000), "]".repeat(60));
    assert_snapshot!(told(&[("x.yaml", &nested)]), @"x.yaml:1:234: anchors and aliases repeat more than 100000 values");
}

proptest! {
    #[test]
    fn random_text_never_panics(content in r#"([\[\]{}:,"'=#&*!|>\n -]|\$\{|[[:word:]]{1,3}|.){0,60}"#) {
        for name in ["x.yaml", "x.toml", "x.json"] {
            let _ = load(&[(name, &content)]);
        }
    }

    /// A sound configuration, damaged in one place: it loads or is refused, and every fault
    /// is a line that begins with a place.
    #[test]
    fn damage_never_panics(at in 0..EVERY_OPTION_YAML.len(), cut in 0usize..12, new in "(.|\n){0,6}") {
        for (name, whole) in [("x.yaml", EVERY_OPTION_YAML), ("x.toml", EVERY_OPTION_TOML), ("x.json", EVERY_OPTION_JSON)] {
            let at = at.min(whole.len());
            let end = (at + cut).min(whole.len());
            if let (Some(before), Some(after)) = (whole.get(..at), whole.get(end..)) {
                let damaged = format!("{before}{new}{after}");
                if let Err(faults) = load(&[(name, &damaged)]) {
                    for line in faults.to_string().lines() {
                        prop_assert!(line.starts_with(name), "{}", line);
                        prop_assert!(!line.contains("T0SECRET"));
                    }
                }
            }
        }
    }
}
