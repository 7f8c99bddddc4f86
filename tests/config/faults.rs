//! What is said about configurations that do not load, and about those that are unwise.

use insta::assert_snapshot;

use super::{TERMINAL, pipeline, told, told_of_decoy, told_of_sink};

/// What is told about further options of the transforms and sources, in TOML.
fn told_of_toml(more: &str) -> String {
    let rest = "[[decoys]]\nservice_account = 'honeypot/backup-sa'\n\
                [sinks.terminal]\ntype = 'console'\ninputs = ['incidents']\n";
    told(&[("rest.toml", rest), ("x.toml", more)])
}

#[test]
fn syntax_faults_have_a_place() {
    assert_snapshot!(told(&[("x.yaml", "decoys: [\nsources: }")]), @"x.yaml:2:1: not valid YAML: invalid indentation");
    assert_snapshot!(told(&[("x.yaml", "a: b: c")]), @"x.yaml:1:5: not valid YAML: mapping values are not allowed in this context");
    assert_snapshot!(told(&[("x.yaml", "a: 1\n\tb: 2")]), @"x.yaml:1:4: not valid YAML: while scanning a plain scalar, found a tab");
    assert_snapshot!(told(&[("x.yaml", "a: !custom 1")]), @"x.yaml:1:4: tags have no meaning here; remove it");
    assert_snapshot!(told(&[("x.yaml", "a: 1\n---\nb: 2")]), @"x.yaml:2:1: a second document begins here; write it to a file of its own");
    assert_snapshot!(told(&[("x.yaml", "[a]: 1")]), @"x.yaml:1:1: a key must be a word, found a list or a map");
    assert_snapshot!(told(&[("x.yaml", "a: &a [*a]")]), @"x.yaml:1:8: this alias stands inside what it names; write it out");
    assert_snapshot!(told(&[("x.yaml", "a: *nothing")]), @"x.yaml:1:4: not valid YAML: while parsing node, found unknown anchor");
    assert_snapshot!(told(&[("x.yaml", "- a\n- b")]), @r#"x.yaml:1:1: a configuration is a map with the keys "api", "cluster", "data_dir", "decoys", "retention_days", "shutdown_timeout_secs", "sinks", "sources", "transforms", found a list"#);
    assert_snapshot!(told(&[("x.toml", "cluster = prod")]), @"x.toml:1:11: not valid TOML: string values must be quoted, expected literal string");
    assert_snapshot!(told(&[("x.toml", "a = 1\n[b\n")]), @"x.toml:2:3: not valid TOML: unclosed table, expected `]`");
    assert_snapshot!(told(&[("x.json", "{\n  // no\n}")]), @"x.json:2:3: not valid JSON: comments are not allowed; remove it, or write YAML or TOML");
    assert_snapshot!(told(&[("x.json", "{\"a\": [1, ],}")]), @"x.json:1:9: not valid JSON: trailing commas are not allowed; remove the last comma");
    assert_snapshot!(told(&[("x.json", "{\"a\": 'b'}")]), @"x.json:1:7: not valid JSON: single-quoted strings are not allowed");
    assert_snapshot!(told(&[("x.json", "{\"a\": 0x1}")]), @"x.json:1:7: not valid JSON: hexadecimal numbers are not allowed");
    assert_snapshot!(told(&[("x.json", "{a: 1}")]), @"x.json:1:2: not valid JSON: expected string for object property");
    assert_snapshot!(told(&[("x.json", "")]), @"x.json:1:1: not valid JSON: the file is empty");
    assert_snapshot!(told(&[("x.json", "{} {}")]), @"x.json:1:4: not valid JSON: text cannot contain more than one json value");
}

#[test]
fn a_byte_order_mark_is_no_column() {
    for (name, content) in [
        ("x.yaml", "\u{feff}sorces: {}"),
        ("x.toml", "\u{feff}sorces = {}"),
        ("x.json", "\u{feff}{\"sorces\": {}}"),
    ] {
        let column = if name == "x.json" { 2 } else { 1 };
        let expected = format!(
            "{name}:1:{column}: unknown option \"sorces\" at the top level; did you mean \"sources\"?"
        );
        assert_eq!(told(&[(name, content)]), expected);
    }
}

#[test]
fn a_broken_file_hides_no_fault_of_another_and_causes_none() {
    assert_snapshot!(told(&[
        ("a.yaml", "sources: [}"),
        ("b.yaml", "transforms:\n  d: { type: detect, inputs: [audit], trusted: 1 }"),
    ]), @r#"
    a.yaml:1:11: not valid YAML: while parsing a node, did not find expected node content
    b.yaml:2:39: unknown option "trusted" for transform "d" (detect); did you mean "trusted_proxies"?
    "#);
}

#[test]
fn keys_that_stand_twice_are_told_with_both_places() {
    assert_snapshot!(told_of_sink("  a: { type: console, inputs: [incidents], target: stdout, target: stderr }\n"), @r#"x.yaml:9:60: "target" already stands at x.yaml:9:44; remove or rename one"#);
    assert_snapshot!(told(&[("x.yaml", &(pipeline(TERMINAL, "") + TERMINAL))]), @r#"x.yaml:10:3: "terminal" already stands at x.yaml:9:3; remove or rename one"#);
    assert_snapshot!(told(&[("x.json", "{\"cluster\": \"a\",\n \"cluster\": \"b\"}")]), @r#"
    x.json: no decoys; write decoys: [{ service_account: honeypot/backup-sa }]
    x.json: no sinks; write sinks: { terminal: { type: console, inputs: [a transform] } }
    x.json: no sources; write sources: { audit: { type: stdin } }
    x.json:2:2: "cluster" already stands at x.json:1:2; remove or rename one
    "#);
    assert_snapshot!(told(&[("x.toml", "cluster = 'a'\n cluster = 'b'")]), @r#"x.toml:2:2: "cluster" already stands at x.toml:1:1; remove or rename one"#);
    assert_snapshot!(told(&[("x.toml", "[sources.a]\ntype = 'file'\n[sources.b]\n[sources.a]\ntype = 'stdin'")]), @r#"x.toml:4:10: "a" already stands at x.toml:1:10; remove or rename one"#);
    assert_snapshot!(told(&[("x.toml", "[sources.a]\ntype = 'file'\ninclude = [\n'a']\ntype = 'x'")]), @r#"x.toml:5:1: "type" already stands at x.toml:2:1; remove or rename one"#);
    assert_snapshot!(told(&[("x.toml", "[[decoys]]\npod = 'a'\n[[decoys]]\npod = 'a'\npod = 'b'")]), @r#"x.toml:5:1: "pod" already stands at x.toml:4:1; remove or rename one"#);
    assert_snapshot!(told(&[("x.toml", "a = { b = 1, b = 2 }")]), @r#"x.toml:1:14: "b" stands here a second time; remove or rename one"#);
}

#[test]
fn unknown_options_are_told_with_what_was_meant() {
    assert_snapshot!(told_of_sink("  a: { type: console, inputs: [incidents], targt: stdout }\n"), @r#"x.yaml:9:44: unknown option "targt" for sink "a" (console); did you mean "target"?"#);
    assert_snapshot!(told_of_sink("  a: { type: console, inputs: [incidents], codec: text }\n"), @r#"x.yaml:9:44: unknown option "codec" for sink "a" (console); write encoding: { codec: … }"#);
    assert_snapshot!(told_of_sink("  a: { type: console, inputs: [incidents], encoding: { target: stdout } }\n"), @r#"x.yaml:9:56: unknown option "encoding.target" for sink "a" (console); write "target" one level up"#);
    assert_snapshot!(told_of_sink("  a: { type: console, inputs: [incidents], encoding.codec: text }\n"), @r#"x.yaml:9:44: unknown option "encoding.codec" for sink "a" (console); write encoding: { codec: … }"#);
    assert_snapshot!(told_of_sink("  a: { type: console, inputs: [incidents], encoding: text }\n"), @r#"x.yaml:9:54: "encoding" of sink "a" (console) must be a map, such as { codec: … }, found the string "text""#);
    assert_snapshot!(told_of_sink("  a: { type: console, inputs: [incidents], buffer: { max_event: 5 } }\n"), @r#"x.yaml:9:54: unknown option "buffer.max_event" for sink "a" (console); did you mean "buffer.max_events"?"#);
    assert_snapshot!(told_of_sink("  a: { type: console, inputs: [incidents], webhook_url: x }\n"), @r#"x.yaml:9:44: unknown option "webhook_url" for sink "a" (console); it is an option of the slack sink"#);
    assert_snapshot!(told_of_sink("  a: { type: console, inputs: [incidents], silence_secs: 9 }\n"), @r#"x.yaml:9:44: unknown option "silence_secs" for sink "a" (console); it is an option of every source"#);
    assert_snapshot!(told_of_sink("  a: { type: console, inputs: [incidents], cluster: x }\n"), @r#"x.yaml:9:44: unknown option "cluster" for sink "a" (console); it stands at the top level of a file"#);
    assert_snapshot!(told_of_sink("  a: { type: slack, inputs: [incidents], url: x }\n"), @r#"x.yaml:9:42: unknown option "url" for sink "a" (slack); did you mean "webhook_url"?"#);
    assert_snapshot!(told_of_sink("  a: { type: console, inputs: [incidents], colour: always, \"\\e[31m\": 1 }\n"), @r#"
    x.yaml:9:44: unknown option "colour" for sink "a" (console); known: "buffer", "encoding", "inputs", "target", "type"
    x.yaml:9:60: unknown option "\u{1b}[31m" for sink "a" (console); known: "buffer", "encoding", "inputs", "target", "type"
    "#);
    assert_snapshot!(told_of_decoy("    namespace: x\n    secret_name: y\n    expected: [{ user: x, verb: get }, { verbs: [get] }]\n"), @r#"
    x.yaml:3:5: unknown option "namespace" for decoy "honeypot/backup-sa"; write service_account: namespace/name
    x.yaml:4:5: unknown option "secret_name" for decoy "honeypot/backup-sa"; did you mean "secret"?
    x.yaml:5:27: unknown option "verb" for an entry of "expected" of decoy "honeypot/backup-sa"; did you mean "verbs"?
    x.yaml:5:40: an entry of "expected" of decoy "honeypot/backup-sa" lacks "user"; write a string, in which *, ? and […] are wildcards
    "#);
    assert_snapshot!(told(&[("x.yaml", "sinks:\nsource:\ndata_directory: x\nretention_days: 0\ndata_dir: \"\"\n")]), @r#"
    x.yaml:2:1: unknown option "source" at the top level; did you mean "sources"?
    x.yaml:3:1: unknown option "data_directory" at the top level; did you mean "data_dir"?
    x.yaml:4:17: "retention_days" must be a whole number, at least 1, found the number 0
    x.yaml:5:11: "data_dir" is empty; write a value, or remove it
    "#);
}

#[test]
fn values_of_the_wrong_kind_are_told_with_what_is_wanted() {
    assert_snapshot!(told_of_toml(r#"
shutdown_timeout_secs = -1
cluster = 5
[sources.audit]
type = "file"
include = []
exclude = "/var/log/*"
read_from = "begining"
max_line_bytes = "16 MegaBytes"
glob_minimum_cooldown_ms = 0
rotate_wait_secs = nan
[transforms.detections]
type = "detect"
inputs = ["audit"]
emit_expected = "yes"
trusted_proxies = ["10.0.0.1/8", "10.0.0.256", 5, "fe80::1/64"]
[transforms.incidents]
type = "dedupe"
inputs = ["detections"]
fields.match = ["token", "ip"]
idle_secs = 1.5
digest_secs = 100
digest_max_secs = 10
rate_limit.threshold = 5000000000
rate_limit.window_secs = 0
cache.num_events = "many"
"#), @r#"
    x.toml:2:25: "shutdown_timeout_secs" must be a number of seconds from 0 to 315360000, found the number -1
    x.toml:3:11: "cluster" must be a string, found the number 5; write it in quotes
    x.toml:6:11: "include" of source "audit" (file) is an empty list; write at least one entry
    x.toml:7:11: "exclude" of source "audit" (file) must be a list, found the string "/var/log/*"; write ["/var/log/*"]
    x.toml:8:13: "read_from" of source "audit" (file) must be "beginning" or "end", found the string "begining"; did you mean "beginning"?
    x.toml:9:18: "max_line_bytes" of source "audit" (file) must be a number of bytes above 0, such as 65536 or "16MiB", found the string "16 MegaBytes"
    x.toml:10:28: "glob_minimum_cooldown_ms" of source "audit" (file) must be a whole number of milliseconds from 1 to 315360000000, found the number 0
    x.toml:11:20: "rotate_wait_secs" of source "audit" (file) must be a number of seconds from 0 to 315360000, found the number NaN
    x.toml:15:17: "emit_expected" of transform "detections" (detect) must be true or false, found the string "yes"
    x.toml:16:20: an entry of "trusted_proxies" of transform "detections" (detect) has host bits set: 10.0.0.1/8; write 10.0.0.0/8 for the network, or 10.0.0.1 for the address
    x.toml:16:34: an entry of "trusted_proxies" of transform "detections" (detect) must be a network such as 10.0.0.0/8 or an address, found the string "10.0.0.256"
    x.toml:16:48: an entry of "trusted_proxies" of transform "detections" (detect) must be a network such as 10.0.0.0/8 or an address, found the number 5
    x.toml:16:51: an entry of "trusted_proxies" of transform "detections" (detect) has host bits set: fe80::1/64; write fe80::/64 for the network, or fe80::1 for the address
    x.toml:20:26: an entry of "fields.match" of transform "incidents" (dedupe) must be "token", "source_ip", "username", "user_agent" or "technique", found the string "ip"
    x.toml:21:13: "idle_secs" of transform "incidents" (dedupe) must be a whole number of seconds from 1 to 315360000, found the number 1.5
    x.toml:24:24: "rate_limit.threshold" of transform "incidents" (dedupe) is too large a number
    x.toml:25:26: "rate_limit.window_secs" of transform "incidents" (dedupe) must be a whole number of seconds from 1 to 315360000, found the number 0
    x.toml:26:20: "cache.num_events" of transform "incidents" (dedupe) must be a whole number, at least 1, found the string "many"
    "#);
    assert_snapshot!(told_of_sink("  a: { type: file, inputs: [incidents], path: alerts-%J.txt, encoding: { codec: [] } }\n  b: { type: file, inputs: [incidents], path: alerts/ }\n  c: { type: file, inputs: [incidents], path: }\n"), @r#"
    x.yaml:9:47: "path" of sink "a" (file) must be a path, found the string "alerts-%J.txt": strftime formatting failed: found unrecognized specifier directive `J`; %% is a %
    x.yaml:9:81: "encoding.codec" of sink "a" (file) must be "text" or "json", found a list
    x.yaml:10:47: "path" of sink "b" (file) must be the path of a file, found the string "alerts/"
    x.yaml:11:45: "path" of sink "c" (file) must be a string, found nothing
    "#);
    assert_snapshot!(told_of_sink("  a: { type: console, inputs: [incidents], buffer: { max_events: 0, when_full: overflow }, target: \"\\e[2J\" }\n"), @r#"
    x.yaml:9:66: "buffer.max_events" of sink "a" (console) must be a whole number, at least 1, found the number 0
    x.yaml:9:80: "buffer.when_full" of sink "a" (console) must be "block" or "drop_newest", found the string "overflow"
    x.yaml:9:100: "target" of sink "a" (console) must be "stdout" or "stderr", found the string "\u{1b}[2J"
    "#);
    assert_snapshot!(told_of_sink("  a: { type: file, inputs: [incidents], path: '100%' }\n  b: { type: file, inputs: [incidents] }\n"), @r#"
    x.yaml:9:47: "path" of sink "a" (file) must be a path, found the string "100%": strftime formatting failed: invalid format string, expected byte after `%`, but found end of format string; %% is a %
    x.yaml:10:3: sink "b" (file) lacks "path"; write a path, in which strftime specifiers such as %Y-%m-%d stand for the time
    "#);
    assert_snapshot!(told(&[("x.toml", "[[sources.a]]\ntype='file'\ninclude = ['[']\n[sources]\n")]), @r#"
    x.toml: no decoys; write decoys: [{ service_account: honeypot/backup-sa }]
    x.toml: no sinks; write sinks: { terminal: { type: console, inputs: [a transform] } }
    x.toml:1:11: source "a" must be a map with a "type", found a list
    "#);
    assert_snapshot!(told(&[("x.yaml", "sources: { a: { type: file, include: ['a['] } }\ntransforms: [a]\nsinks: 5\ndecoys: {}")]), @r#"
    x.yaml:1:39: an entry of "include" of source "a" (file) must be a pattern, found the string "a[": invalid range pattern
    x.yaml:2:13: "transforms" must be a map of ids to transforms, found a list
    x.yaml:3:8: "sinks" must be a map of ids to sinks, found the number 5
    x.yaml:4:9: "decoys" must be a list, such as [{ service_account: honeypot/backup-sa }], found a map
    "#);
}

#[test]
fn digests_must_be_able_to_grow() {
    assert_snapshot!(told(&[("x.yaml", &pipeline(TERMINAL, "").replace("[detections]", "[detections], digest_max_secs: 30"))]), @r#"x.yaml:7:69: transform "incidents" (dedupe): digest_secs (60) must not be above digest_max_secs (30)"#);
}

#[test]
fn decoys_are_checked() {
    assert_snapshot!(told_of_decoy("    secret: Backup_Token\n    pod: \"backup-[\"\n    whole_namespace: 1\n    severity: hi\n    labels: { a: [], b: ~ }\n"), @r#"
    x.yaml:3:13: "secret" of decoy "honeypot/backup-sa" must be a name: at most 253 of a-z, 0-9, "-" and ".", each part's first and last no "-"; found the string "Backup_Token"; did you mean "backup-token"?
    x.yaml:4:10: "pod" of decoy "honeypot/backup-sa" must be a pod's name, or a pattern for it: a-z, 0-9, "-" and ".", with the wildcards *, ? and […]; found the string "backup-["
    x.yaml:5:22: "whole_namespace" of decoy "honeypot/backup-sa" must be true or false, found the number 1
    x.yaml:6:15: "severity" of decoy "honeypot/backup-sa" must be "low", "medium", "high" or "critical", found the string "hi"
    x.yaml:7:18: label "a" in "labels" of decoy "honeypot/backup-sa" must be a string, found a list
    x.yaml:7:25: label "b" in "labels" of decoy "honeypot/backup-sa" must be a string, found nothing
    "#);
    assert_snapshot!(told_of_decoy("    secret: honeypot/token\n    expected:\n      - { user: 'a[', verbs: GET, resources: [pods/log/x], techniques: [token_us] }\n      - 5\n      - { verbs: [Get] }\n"), @r#"
    x.yaml:3:13: "secret" of decoy "honeypot/backup-sa" must be a name: at most 253 of a-z, 0-9, "-" and ".", each part's first and last no "-"; found the string "honeypot/token"; did you mean "token"?
    x.yaml:5:17: "user" of an entry of "expected" of decoy "honeypot/backup-sa" must be a pattern, found the string "a[": invalid range pattern
    x.yaml:5:30: "verbs" of an entry of "expected" of decoy "honeypot/backup-sa" must be a list, found the string "GET"; write ["GET"]
    x.yaml:5:47: an entry of "resources" of an entry of "expected" of decoy "honeypot/backup-sa" must be a resource such as pods or pods/log, found the string "pods/log/x"
    x.yaml:5:73: an entry of "techniques" of an entry of "expected" of decoy "honeypot/backup-sa" must be "token_use", "impersonation", "token_request", "privilege_grant", "impersonation_denied", "pod_exec", "pod_as_decoy", "tamper", "secret_read", "recon" or "namespace_touch", found the string "token_us"; did you mean "token_use"?
    x.yaml:6:9: an entry of "expected" of decoy "honeypot/backup-sa" must be a map, found the number 5
    x.yaml:7:9: an entry of "expected" of decoy "honeypot/backup-sa" lacks "user"; write a string, in which *, ? and […] are wildcards
    x.yaml:7:19: an entry of "verbs" of an entry of "expected" of decoy "honeypot/backup-sa" must be a verb in lower-case letters, such as get or list, found the string "Get"
    "#);
    assert_snapshot!(told_of_decoy("  - service_account: backup-sa\n  - service_account: Honeypot/backup-sa\n  - service_account: honeypot/backup_sa\n  - service_account: system:serviceaccount:honeypot:backup-sa\n  - service_account: a.b/c\n  - {}\n  - 5\n"), @r#"
    x.yaml:3:22: "service_account" of decoy "backup-sa" must be namespace/name, found the string "backup-sa"
    x.yaml:4:22: "service_account" of decoy "Honeypot/backup-sa" must have, before the "/", a namespace: at most 63 of a-z, 0-9 and "-", the first and last no "-"; found the string "Honeypot/backup-sa"; did you mean "honeypot"?
    x.yaml:5:22: "service_account" of decoy "honeypot/backup_sa" must have, after the "/", a name: at most 253 of a-z, 0-9, "-" and ".", each part's first and last no "-"; found the string "honeypot/backup_sa"; did you mean "backup-sa"?
    x.yaml:6:22: "service_account" of decoy "system:serviceaccount:honeypot:backup-sa" must be namespace/name, found the string "system:serviceaccount:honeypot:backup-sa"; did you mean "honeypot/backup-sa"?
    x.yaml:7:22: "service_account" of decoy "a.b/c" must have, before the "/", a namespace: at most 63 of a-z, 0-9 and "-", the first and last no "-"; found the string "a.b/c"
    x.yaml:8:5: a decoy lacks "service_account"; write namespace/name
    x.yaml:9:5: a decoy must be a map, found the number 5
    "#);
    assert_snapshot!(told_of_decoy("  - service_account: honeypot/other\n  - service_account: honeypot/backup-sa\n"), @r#"x.yaml:4:22: decoy "honeypot/backup-sa" already stands at x.yaml:2:22; remove one"#);
    assert_snapshot!(told(&[("x.yaml", &pipeline(TERMINAL, "").replace("decoys:\n  - service_account: honeypot/backup-sa\n", "decoys: []\n"))]), @"x.yaml: no decoys; write decoys: [{ service_account: honeypot/backup-sa }]");
}

#[test]
fn types_and_ids_are_checked() {
    assert_snapshot!(told(&[("x.yaml", r#"
decoys: [{ service_account: honeypot/backup-sa }]
sources:
  audit: { type: stdn }
  "a b": { type: slack }
  nothing:
transforms:
  detections: { inputs: [audit, "a b", nothing], type: 5 }
  audit: { type: dedupe, inputs: [detections] }
sinks:
  terminal: { type: syslog, inputs: [detections], brokers: x }
"#)]), @r#"
    x.yaml:4:18: unknown type "stdn" of source "audit"; did you mean "stdin"?
    x.yaml:5:3: the id "a b" must be made of A-Z, a-z, 0-9, "_" and "-"
    x.yaml:5:18: unknown type "slack" of source "a b"; it is a sink: write it under sinks
    x.yaml:6:10: source "nothing" must be a map with a "type", found nothing
    x.yaml:8:56: "type" of transform "detections" must be a string, found the number 5; known: "detect", "dedupe"
    x.yaml:9:3: the id "audit" is taken by the source at x.yaml:4:3; rename one, ids are unique over sources, transforms and sinks
    x.yaml:11:21: unknown type "syslog" of sink "terminal"; known: "console", "file", "http", "kafka", "slack"
    "#);
}

#[test]
fn inputs_are_checked() {
    assert_snapshot!(told_of_sink("  a: { type: console, inputs: [incident, b, audit, nothing] }\n  b: { type: console, inputs: incidents }\n  c: { type: console, inputs: [] }\n  d: { type: console }\n  e: { type: console, inputs: [5, detections] }\n"), @r#"
    x.yaml:9:32: unknown input "incident" of sink "a" (console); did you mean "incidents"?
    x.yaml:9:42: sink "a" (console) cannot read sink "b" (console): a sink gives nothing on; remove it
    x.yaml:9:45: sink "a" (console) cannot read source "audit" (stdin): it takes the output of transforms, or a source with decoding.codec: detection
    x.yaml:9:52: unknown input "nothing" of sink "a" (console); it can take "detections", "incidents"
    x.yaml:10:31: the inputs of sink "b" (console) must be a list; write ["incidents"]
    x.yaml:11:31: the inputs of sink "c" (console) are empty; write a list of ids
    x.yaml:12:3: sink "d" (console) lacks "inputs"; write a list of ids
    x.yaml:13:32: an input of sink "e" (console) must be an id, found the number 5
    "#);
    assert_snapshot!(told_of_sink("  a: { type: console, inputs: ['aud*'] }\n  b: { type: console, inputs: ['[', incidents] }\n"), @r#"
    x.yaml:9:32: the input "aud*" of sink "a" (console) matches nothing it can take; it can take "detections", "incidents"
    x.yaml:10:32: the input "[" of sink "b" (console) is no pattern: invalid range pattern
    "#);
    assert_snapshot!(told(&[("x.yaml", r#"
decoys: [{ service_account: honeypot/backup-sa }]
sources:
  audit: { type: stdin, inputs: [out] }
transforms:
  a: { type: detect, inputs: [audit, b] }
  b: { type: dedupe, inputs: [a] }
  c: { type: dedupe, inputs: [c, a] }
  d: { type: dedupe, inputs: [audit] }
  e: { type: detect, inputs: [d] }
sinks:
  out: { type: console, inputs: [a, b, c, e] }
"#)]), @r#"
    x.yaml:4:25: unknown option "inputs" for source "audit" (stdin); a source has no inputs: name it in the inputs of a transform
    x.yaml:6:38: transform "a" (detect) reads its own output: "a" reads "b" reads "a"; remove one of these inputs
    x.yaml:8:31: transform "c" (dedupe) reads itself; remove it from its inputs
    x.yaml:9:31: transform "d" (dedupe) cannot read source "audit" (stdin): it takes the output of a detect transform, or a source with decoding.codec: detection
    x.yaml:10:31: transform "e" (detect) cannot read transform "d" (dedupe): it takes sources
    "#);
}

#[test]
fn a_misspelt_word_is_told_once() {
    assert_snapshot!(
        told_of_sink("  a: { type: console, input: [incidents] }\n"),
        @r#"x.yaml:9:23: unknown option "input" for sink "a" (console); did you mean "inputs"?"#
    );
    assert_snapshot!(
        told(&[("x.yaml", &pipeline(TERMINAL, "").replace("[audit]", "[audt]"))]),
        @r#"x.yaml:6:40: unknown input "audt" of transform "detections" (detect); did you mean "audit"?"#
    );
    assert_snapshot!(
        told(&[("x.yaml", &pipeline(TERMINAL, "").replace("sources:", "source:"))]),
        @r#"x.yaml:3:1: unknown option "source" at the top level; did you mean "sources"?"#
    );
}

#[test]
fn what_nobody_reads_is_told() {
    assert_snapshot!(told(&[("x.yaml", r#"
decoys: [{ service_account: honeypot/backup-sa }]
sources:
  audit: { type: stdin }
  unread: { type: file, include: [a] }
transforms:
  detections: { type: detect, inputs: [audit] }
  incidents: { type: dedupe, inputs: [detections] }
sinks:
  terminal: { type: console, inputs: [detections] }
"#)]), @r#"
    x.yaml:5:3: nothing reads source "unread" (file): name it in the inputs of "detections", or remove it
    x.yaml:8:3: nothing reads transform "incidents" (dedupe): name it in the inputs of "terminal", or remove it
    "#);
    assert_snapshot!(told(&[("x.yaml", "cluster: x")]), @r#"
    x.yaml: no decoys; write decoys: [{ service_account: honeypot/backup-sa }]
    x.yaml: no sinks; write sinks: { terminal: { type: console, inputs: [a transform] } }
    x.yaml: no sources; write sources: { audit: { type: stdin } }
    "#);
    assert_snapshot!(told(&[("x.yaml", "decoys: [{ service_account: honeypot/backup-sa }]\nsources: { audit: { type: stdin } }")]), @r#"
    x.yaml: no sinks; write sinks: { terminal: { type: console, inputs: [a transform] } }
    x.yaml:2:12: nothing reads source "audit" (stdin): name it in the inputs of a detect transform, or remove it
    "#);
    assert_snapshot!(told(&[]), @r#"
    no decoys; write decoys: [{ service_account: honeypot/backup-sa }]
    no sinks; write sinks: { terminal: { type: console, inputs: [a transform] } }
    no sources; write sources: { audit: { type: stdin } }
    "#);
}

#[test]
fn what_audit_logs_are_full_of_is_a_warning_wherever_it_is_written() {
    let decoy = "{ service_account: vault-ops/rotate-bot, secret: user, pod: 'kube-*' }";
    let others = ["'*'", "'vault-*'", "rotate-kube"].map(|pod| {
        let number = pod.len();
        format!("  - {{ service_account: vault-{number}/rotate-{number}, pod: {pod} }}\n")
    });
    let text = pipeline(TERMINAL, &format!("  - {decoy}\n{}", others.concat()));
    assert_snapshot!(told(&[("x.yaml", &text)]), @r#"
    loads
    x.yaml:3:54: decoy "vault-ops/rotate-bot" has the secret "user", a word that many records contain, so that each of them must be decoded, ten times the work of passing it; a longer, rarer one costs less
    x.yaml:3:65: decoy "vault-ops/rotate-bot" has the pod "kube-*", a word that many records contain, so that each of them must be decoded, ten times the work of passing it; a longer, rarer one costs less
    "#);
}

#[test]
fn a_file_that_two_sinks_write_or_a_source_reads_back_is_a_warning() {
    let text = "decoys: [{ service_account: vault-ops/rotate-bot }]
sources: { audit: { type: file, include: ['./*.json'], exclude: [kept.json] } }
transforms: { detections: { type: detect, inputs: [audit] }, incidents: { type: dedupe, inputs: [detections] } }
sinks:
  one: { type: file, inputs: [incidents], path: out.json }
  two: { type: file, inputs: [incidents], path: ./out.json }
  kept: { type: file, inputs: [incidents], path: kept.json }
  below: { type: file, inputs: [incidents], path: out/out.json }
  text: { type: file, inputs: [incidents], path: out.txt }
";
    assert_snapshot!(told(&[("x.yaml", text)]), @r#"
    loads
    x.yaml:2:12: source "audit" (file) includes the file that sink "one" (file) at x.yaml:5:3 writes; exclude it, or write it elsewhere
    x.yaml:2:12: source "audit" (file): there is no file yet that include names; it is read when it comes
    x.yaml:6:3: sink "two" (file) writes the file that sink "one" (file) at x.yaml:5:3 writes; give it another path, or one sink the inputs of both
    "#);
}

#[test]
fn what_would_silence_a_theft_is_a_warning() {
    let decoy = |user, rest: &str| {
        format!(
            "  - {{ service_account: vault-ops/rotate-bot, expected: [{{ user: '{user}', {rest} }}] }}\n"
        )
    };
    let own = "system:serviceaccount:vault-ops:rotate-bot";
    let silent = [
        (own, "techniques: [token_use]"),
        ("system:serviceaccount:*", "techniques: [token_use, recon]"),
        ("*", "techniques: [impersonation]"),
    ];
    for (user, rest) in silent {
        let text = pipeline(TERMINAL, &decoy(user, rest));
        let said = told(&[("x.yaml", &text)]);
        assert!(said.contains("alerted"), "{user} {rest}: {said}");
    }
    let sound = [
        (
            own,
            "techniques: [token_use], verbs: [get], resources: [configmaps]",
        ),
        ("system:serviceaccount:ops:*", "techniques: [token_use]"),
        ("admin", "techniques: [impersonation]"),
        (own, "techniques: [recon]"),
    ];
    for (user, rest) in sound {
        let text = pipeline(TERMINAL, &decoy(user, rest));
        assert_eq!(told(&[("x.yaml", &text)]).trim(), "loads", "{user} {rest}");
    }
}

#[test]
fn what_is_unwise_is_a_warning() {
    let text = pipeline(
        TERMINAL,
        "  - service_account: ci/ci\n  - { service_account: default/default, whole_namespace: true }\n  - { service_account: kube-system/deployer, whole_namespace: true, expected: [{ user: '*' }] }\n",
    );
    let files = "  one: { type: file, include: [a, b] }\n  two: { type: file, include: [b, a] }\n";
    let text = text
        .replace("  audit: { type: stdin }\n", files)
        .replace("[audit]", "['*']");
    assert_snapshot!(told(&[("x.yaml", &text)]), @r#"
    loads
    x.yaml:3:22: decoy "ci/ci" has the name "ci", a word that many records contain, so that each of them must be decoded, ten times the work of passing it; a longer, rarer one costs less
    x.yaml:3:22: decoy "ci/ci" has the namespace "ci", a word that many records contain, so that each of them must be decoded, ten times the work of passing it; a longer, rarer one costs less
    x.yaml:4:24: decoy "default/default" has the name "default", a word that many records contain, so that each of them must be decoded, ten times the work of passing it; a longer, rarer one costs less
    x.yaml:4:24: decoy "default/default" has the namespace "default", a word that many records contain, so that each of them must be decoded, ten times the work of passing it; a longer, rarer one costs less
    x.yaml:4:58: decoy "default/default" counts any touch of the namespace default, where much else lives; give it a namespace of its own, or write whole_namespace: false
    x.yaml:5:24: decoy "kube-system/deployer" has the namespace "kube-system", a word that many records contain, so that each of them must be decoded, ten times the work of passing it; a longer, rarer one costs less
    x.yaml:5:63: decoy "kube-system/deployer" counts any touch of the namespace kube-system, where much else lives; give it a namespace of its own, or write whole_namespace: false
    x.yaml:5:79: decoy "kube-system/deployer" expects every user to do anything with its objects, so that none of that is alerted; name users, verbs, resources or techniques
    x.yaml:7:3: source "one" (file): there is no file yet that include names; it is read when it comes
    x.yaml:8:3: source "two" (file) includes the same files as source "one" (file) at x.yaml:7:3, so that every record is read twice; remove one
    x.yaml:8:3: source "two" (file): there is no file yet that include names; it is read when it comes
    "#);
    let apart = "  one: { type: file, include: [a], exclude: [b] }\n  two: { type: file, include: [a], exclude: [c] }\n";
    assert!(!told(&[("x.yaml", &text.replace(files, apart))]).contains("read twice"));
    let twice = "  one: { type: stdin }\n  two: { type: stdin }\n";
    let text = text.replace(files, twice);
    assert_snapshot!(told(&[("x.yaml", &text)]), @r#"x.yaml:8:3: source "two" (stdin) reads standard input, as source "one" (stdin) at x.yaml:7:3 does; remove one"#);
}

#[test]
fn two_that_listen_at_one_address_are_refused() {
    let of = |api: &str, one: &str, two: &str| {
        let text = format!(
            "api: {{ enabled: true, address: '{api}' }}\ndecoys: [{{ service_account: honeypot/backup-sa }}]\nsources:\n  \
             one: {{ type: http_server, {one} }}\n  two: {{ type: fluent, {two} }}\n\
             transforms: {{ found: {{ type: detect, inputs: [one, two] }} }}\n\
             sinks: {{ terminal: {{ type: console, inputs: [found] }} }}\n"
        );
        let told = told(&[("x.yaml", &text)]);
        let faults = told.lines().filter(|line| !line.contains("other machines"));
        faults.collect::<Vec<_>>().join("\n")
    };
    let (api, at_8080) = ("127.0.0.1:8686", "address: '127.0.0.1:8080'");
    assert_snapshot!(of(api, at_8080, at_8080), @r#"x.yaml:5:3: source "two" (fluent) listens at the address that source "one" (http_server) at x.yaml:4:3 listens at; give one of them another port"#);
    for shared in ["0.0.0.0:8080", "[::]:8080", "[::ffff:127.0.0.1]:8080"] {
        let shared = format!("address: '{shared}'");
        assert_eq!(of(api, at_8080, &shared), of(api, at_8080, at_8080));
        assert_eq!(of(api, &shared, at_8080), of(api, at_8080, at_8080));
    }
    assert_snapshot!(of("0.0.0.0:8080", at_8080, "address: '127.0.0.1:24224'"), @r#"x.yaml:4:3: source "one" (http_server) listens at the address that "api" at x.yaml:1:6 listens at; give one of them another port"#);
    let sound = [
        ("127.0.0.1:8080", "127.0.0.1:8081"),
        ("127.0.0.1:8080", "127.0.0.2:8080"),
        ("0.0.0.0:8080", "[::1]:8080"),
        ("127.0.0.1:0", "127.0.0.1:0"),
    ];
    for (one, two) in sound {
        let [one, two] = [one, two].map(|address| format!("address: '{address}'"));
        assert_eq!(of("127.0.0.1:0", &one, &two), "loads", "{one} {two}");
    }
    let text = "
decoys: [{ service_account: honeypot/backup-sa }]
sources:
  one: { type: fluent, mode: unix, path: /run/a.sock }
  two: { type: fluent, mode: unix, path: /run/a.sock }
transforms: { found: { type: detect, inputs: [one, two] } }
sinks: { terminal: { type: console, inputs: [found] } }
";
    assert_snapshot!(told(&[("x.yaml", text)]), @r#"x.yaml:5:3: source "two" (fluent) listens at the address that source "one" (fluent) at x.yaml:4:3 listens at; give one of them another path"#);
    assert_eq!(
        told(&[("x.yaml", &text.replacen("a.sock", "b.sock", 1))]),
        "loads"
    );
}

#[test]
fn what_users_of_vector_write_is_told_with_what_there_is_here() {
    let of_source = |kind: &str, options: &str| {
        let source = format!("{{ type: {kind}, {options} }}");
        told(&[(
            "x.yaml",
            &pipeline(TERMINAL, "").replace("{ type: stdin }", &source),
        )])
    };
    let http = "http_server, address: '127.0.0.1:1'";
    let tls = "tls: { enabled: true, crt_file: /a, key_file: /b, key_pass: hunter2, verify_hostname: true }";
    assert_snapshot!(of_source(http, "acknowledgements: true, keepalive: {}, headers: [a], query_parameters: [b]"), @r#"
    x.yaml:4:55: unknown option "acknowledgements" for source "audit" (http_server); leave it out: a source always acknowledges once all that came of it is safe
    x.yaml:4:79: unknown option "keepalive" for source "audit" (http_server); leave it out: who is idle makes room for who comes
    x.yaml:4:94: unknown option "headers" for source "audit" (http_server); leave it out: headers of a request are in no detection
    x.yaml:4:108: unknown option "query_parameters" for source "audit" (http_server); leave it out: parameters of a request are in no detection
    "#);
    assert_snapshot!(of_source(http, "framing: { method: bytes }, decoding: { codec: json }"), @r#"
    x.yaml:4:55: unknown option "framing" for source "audit" (http_server); leave it out: records are told apart by what they are
    x.yaml:4:102: "decoding.codec" of source "audit" (http_server) must be "audit" or "detection", found the string "json"; leave it out: whatever wraps audit events is read for what it is
    "#);
    assert_snapshot!(of_source(http, tls), @r#"
    x.yaml:4:105: unknown option "tls.key_pass" for source "audit" (http_server); a key with a password is not read: take it off, with openssl pkey -in KEY -out FILE, and keep the file to its owner
    x.yaml:4:124: unknown option "tls.verify_hostname" for source "audit" (http_server); leave it out: clients are known by their authority, tls.ca_file
    "#);
    assert_snapshot!(of_source(http, "auth: { username: a, password: hunter2 }"), @r#"x.yaml:4:86: source "audit" (http_server): nobody is asked for anything without auth.strategy; write auth.strategy: basic, as it is in Vector without one"#);
    assert_snapshot!(of_source(http, "auth: { token: hunter2 }"), @r#"x.yaml:4:70: source "audit" (http_server): nobody is asked for anything without auth.strategy; write auth.strategy: bearer"#);
    assert_snapshot!(of_source("fluent, mode: unix, path: /a", "socket_file_mode: 511"), @r#"x.yaml:4:48: unknown option "socket_file_mode" for source "audit" (fluent); leave it out, and let the permissions of its directory say who may connect"#);
    let of_sink = |options: &str| {
        told_of_sink(&format!(
            "  a: {{ type: http, inputs: [incidents], uri: 'http://a', {options} }}\n"
        ))
    };
    assert_snapshot!(of_sink("buffer: { type: disk, max_size: 5 }, acknowledgements: { enabled: true }, healthcheck: false"), @r#"
    x.yaml:9:68: unknown option "buffer.type" for sink "a" (http); leave it out: what waits is on the disk if there is a data_dir, and else in memory
    x.yaml:9:95: unknown option "acknowledgements" for sink "a" (http); leave it out: sources always wait for data_dir, or without one for the sinks
    x.yaml:9:132: unknown option "healthcheck" for sink "a" (http); leave it out: a sink that cannot deliver is told of by the others and by /health
    "#);
    assert_snapshot!(of_sink("request: { concurrency: 5 }, payload_prefix: a, payload_suffix: b, retry_strategy: { type: all }"), @r#"
    x.yaml:9:69: unknown option "request.concurrency" for sink "a" (http); leave it out: one request at a time keeps the order
    x.yaml:9:87: unknown option "payload_prefix" for sink "a" (http); leave it out: messages go as an array, or as framing.method says
    x.yaml:9:106: unknown option "payload_suffix" for sink "a" (http); leave it out: messages go as an array, or as framing.method says
    x.yaml:9:125: unknown option "retry_strategy" for sink "a" (http); leave it out: all is tried again but what is refused for its content
    "#);
    assert_snapshot!(of_sink("tls: { key_pass: hunter2 }, compression: snappy"), @r#"
    x.yaml:9:65: unknown option "tls.key_pass" for sink "a" (http); a key with a password is not read: take it off, with openssl pkey -in KEY -out FILE, and keep the file to its owner
    x.yaml:9:99: "compression" of sink "a" (http) must be "none", "gzip" or "zstd", found the string "snappy"
    "#);
}

/// What is told about a kafka sink with these options, which stand in line 9.
fn told_of_kafka(options: &str) -> String {
    told_of_sink(&format!(
        "  siem: {{ type: kafka, inputs: [incidents], {options} }}\n"
    ))
}

#[test]
fn kafka_sinks_are_checked() {
    let sound = "bootstrap_servers: 'a:9092, b', topic: alerts";
    assert_snapshot!(told_of_kafka(sound), @"loads");
    assert_snapshot!(told_of_kafka(&format!("{sound}, key_field: cluster, compression: zstd, message_timeout_ms: 5, encoding: {{ codec: text }}")), @"loads");
    assert_snapshot!(told_of_kafka("topics: x"), @r#"
    x.yaml:9:3: sink "siem" (kafka) lacks "bootstrap_servers"; write host:port, or several with commas between them
    x.yaml:9:3: sink "siem" (kafka) lacks "topic"; write a topic's name: letters, digits, ".", "_" and "-"
    x.yaml:9:45: unknown option "topics" for sink "siem" (kafka); it is an option of the kafka source
    "#);
    assert_snapshot!(told_of_kafka(&format!("{sound}, key_field: clutser")), @r#"x.yaml:9:103: "key_field" of sink "siem" (kafka) has no field "clutser"; did you mean "cluster"?"#);
    assert_snapshot!(told_of_kafka(&format!("{sound}, key_field: '{{{{ clutser }}}}/{{{{ decoy }}}}'")), @r#"x.yaml:9:103: "key_field" of sink "siem" (kafka) has no field "clutser"; did you mean "cluster"?"#);
    assert_snapshot!(told_of_kafka(&format!("{sound}, key_field: '{{{{ cluster'")), @r#"x.yaml:9:103: "key_field" of sink "siem" (kafka) must be a text with fields in it: a "{{" has no "}}" behind it"#);
    assert_snapshot!(told_of_kafka(&format!("{sound}, key_field: 'a }}}} b'")), @r#"x.yaml:9:103: "key_field" of sink "siem" (kafka) must be a text with fields in it: a "}}" has no "{{" before it"#);
    assert_snapshot!(told_of_kafka(&format!("{sound}, key_field: '${{SECRET}}'")), @r#"x.yaml:9:103: "key_field" of sink "siem" (kafka) must be a text with fields in it: there is no such field"#);
    assert_snapshot!(told_of_kafka("bootstrap_servers: a, topic: '{{ cluster }}'"), @r#"x.yaml:9:74: "topic" of sink "siem" (kafka) has no field "cluster"; known: "severity", "type""#);
    assert_snapshot!(told_of_kafka("bootstrap_servers: a, topic: 'audit alerts'"), @r#"x.yaml:9:74: "topic" of sink "siem" (kafka) must be a topic's name: letters, digits, ".", "_" and "-", found the string "audit alerts""#);
    assert_snapshot!(told_of_kafka("bootstrap_servers: a, topic: '..'"), @r#"x.yaml:9:74: "topic" of sink "siem" (kafka) must be a topic's name: letters, digits, ".", "_" and "-", found the string "..""#);
    assert_snapshot!(told_of_kafka("bootstrap_servers: 'kafka://a', topic: 'alerts-{{ severity }}'"), @r#"x.yaml:9:64: "bootstrap_servers" of sink "siem" (kafka) must be host:port, or several with commas between them, found the string "kafka://…""#);
    assert_snapshot!(told_of_kafka(&format!("{sound}, compression: gz, acks: 1")), @r#"
    x.yaml:9:105: "compression" of sink "siem" (kafka) must be "none", "gzip", "snappy", "lz4" or "zstd", found the string "gz"
    x.yaml:9:109: unknown option "acks" for sink "siem" (kafka); known: "bootstrap_servers", "buffer", "compression", "encoding", "inputs", "key_field", "librdkafka_options", "message_timeout_ms", "sasl", "socket_timeout_ms", "tls", "topic", "type"
    "#);
    assert_snapshot!(told_of_kafka(&format!("{sound}, sasl: {{ enabled: true, username: x }}")), @r#"x.yaml:9:109: sink "siem" (kafka): sasl.enabled needs sasl.username and sasl.password"#);
    assert_snapshot!(told_of_kafka(&format!("{sound}, tls: {{ enabled: true, crt_file: x.pem }}")), @r#"x.yaml:9:124: sink "siem" (kafka): tls.crt_file and tls.key_file go together"#);
    assert_snapshot!(told_of_kafka(&format!("{sound}, librdkafka_options: {{ acks: '1', message.timeout.ms: '5', delivery.report.only.error: 'true', retries: '3', linger.ms: '${{SECRET}}', no.such: 'x' }}")), @r#"
    x.yaml:9:112: "librdkafka_options" of sink "siem" (kafka) cannot have "linger.ms": Client config error: Invalid value for configuration property "queue.buffering.max.ms" linger.ms ****
    x.yaml:9:112: "librdkafka_options" of sink "siem" (kafka) cannot have "no.such": Client config error: No such configuration property: "no.such" no.such ****
    x.yaml:9:112: "librdkafka_options" of sink "siem" (kafka) must not have "acks": baitline always waits for all replicas
    x.yaml:9:112: "librdkafka_options" of sink "siem" (kafka) must not have "delivery.report.only.error": baitline needs to know what has arrived
    x.yaml:9:112: "librdkafka_options" of sink "siem" (kafka) must not have "message.timeout.ms": write message_timeout_ms
    x.yaml:9:112: "librdkafka_options" of sink "siem" (kafka) must not have "retries": baitline tries until it succeeds
    "#);
}

#[test]
fn silence_is_longer_than_nothing_and_no_misspelling_of_it_is_passed() {
    let told_of = |option: &str| {
        let audit = format!("{{ type: stdin, {option} }}");
        told(&[(
            "x.yaml",
            &pipeline(TERMINAL, "").replace("{ type: stdin }", &audit),
        )])
    };
    assert_eq!(told_of("silence_secs: 0.5"), "loads");
    let faults = [
        "silence_secs: 0",
        "silence_secs: -3",
        "silence_secs: 5m",
        "silence_secs: ",
        "silent_secs: 5",
    ]
    .map(told_of);
    assert_snapshot!(faults.join("\n"), @r#"
    x.yaml:4:39: "silence_secs" of source "audit" (stdin) must be a number of seconds above 0 and at most 315360000, found the number 0
    x.yaml:4:39: "silence_secs" of source "audit" (stdin) must be a number of seconds above 0 and at most 315360000, found the number -3
    x.yaml:4:39: "silence_secs" of source "audit" (stdin) must be a number of seconds above 0 and at most 315360000, found the string "5m"; write 300
    x.yaml:4:37: "silence_secs" of source "audit" (stdin) must be a number of seconds above 0 and at most 315360000, found nothing
    x.yaml:4:25: unknown option "silent_secs" for source "audit" (stdin); did you mean "silence_secs"?
    "#);
}

#[test]
fn slack_is_reached_in_one_way() {
    let of = |options: &str| {
        told_of_sink(&format!(
            "  a: {{ type: slack, inputs: [incidents]{options} }}\n"
        ))
    };
    assert_snapshot!(of(""), @r#"x.yaml:9:3: sink "a" (slack) lacks "webhook_url"; write an http or https URL with a host, or bot_token and channel"#);
    assert_snapshot!(of(", webhook_ur: 'https://a.example'"), @r#"x.yaml:9:42: unknown option "webhook_ur" for sink "a" (slack); did you mean "webhook_url"?"#);
    assert_snapshot!(of(", bot_token: xoxb-1"), @r#"x.yaml:9:53: sink "a" (slack): bot_token and channel go together"#);
    assert_snapshot!(of(", bot_token: xoxb-1, channel: C1, webhook_url: 'https://a.example'"), @r#"x.yaml:9:70: sink "a" (slack): either webhook_url, or bot_token and channel"#);
    let loaded = of(", bot_token: '${SECRET}', channel: C1");
    assert_eq!(loaded, "loads");
}

#[test]
fn what_may_be_a_secret_is_not_shown() {
    let of_http = |options: &str| {
        told_of_sink(&format!(
            "  a: {{ type: http, inputs: [incidents], uri: 'https://a.example', {options} }}\n"
        ))
    };
    let mut told = Vec::new();
    for options in [
        "auth: { strategy: bearer, token:s3cr3t }",
        "auth: \"Bearer s3cr3t\"",
        "auth: { strategy: s3cr3t }",
        "auth: [s3cr3t]",
        "auth: { password:s3cr3t, password:s3cr3t }",
        "token:s3cr3t",
        "request: 'Authorization: s3cr3t'",
        "request: { headers: s3cr3t }",
        "request: { headers: { X-Key: [s3cr3t] } }",
        "tls: s3cr3t",
        "tls: { verify_certificate: s3cr3t }",
    ] {
        told.push(of_http(options));
    }
    told.push(super::told(&[("x.yaml", "token:s3cr3t: 5")]));
    told.push(told_of_kafka(
        "bootstrap_servers: a, topic: b, sasl: s3cr3t",
    ));
    told.push(told_of_kafka(
        "bootstrap_servers: a, topic: b, librdkafka_options: s3cr3t",
    ));
    for setting in ["sasl.password:s3cr3t", "'sasl.password:s3cr3t': x"] {
        let options = format!("librdkafka_options: {{ {setting} }}");
        told.push(told_of_kafka(&format!(
            "bootstrap_servers: a, topic: b, {options}"
        )));
    }
    let told = told.join("\n");
    assert!(!told.contains("s3cr3t"), "{told}");
    assert_snapshot!(told, @r#"
    x.yaml:9:85: sink "a" (http): auth.strategy: bearer takes auth.token
    x.yaml:9:93: unknown option "auth.token:…" for sink "a" (http); write a space behind the colon
    x.yaml:9:73: "auth" of sink "a" (http) must be a map, such as { strategy: … }, found a string
    x.yaml:9:85: "auth.strategy" of sink "a" (http) must be "basic" or "bearer", found a string
    x.yaml:9:73: "auth" of sink "a" (http) must be a map, such as { strategy: … }, found a list
    x.yaml:9:75: unknown option "auth.password:…" for sink "a" (http); write a space behind the colon
    x.yaml:9:92: "password:…" already stands at x.yaml:9:75; remove or rename one
    x.yaml:9:67: unknown option "token:…" for sink "a" (http); write a space behind the colon
    x.yaml:9:76: "request" of sink "a" (http) must be a map, such as { timeout_secs: … }, found a string
    x.yaml:9:87: "request.headers" of sink "a" (http) must be a map of names of headers to strings, found a string
    x.yaml:9:96: header "X-Key" in "request.headers" of sink "a" (http) must be a string, found a list
    x.yaml:9:72: "tls" of sink "a" (http) must be a map, such as { ca_file: … }, found a string
    x.yaml:9:94: "tls.verify_certificate" of sink "a" (http) must be true or false, found a string
    x.yaml: no decoys; write decoys: [{ service_account: honeypot/backup-sa }]
    x.yaml: no sinks; write sinks: { terminal: { type: console, inputs: [a transform] } }
    x.yaml: no sources; write sources: { audit: { type: stdin } }
    x.yaml:1:1: unknown option "token:…" at the top level; known: "api", "cluster", "data_dir", "decoys", "retention_days", "shutdown_timeout_secs", "sinks", "sources", "transforms"
    x.yaml:9:83: "sasl" of sink "siem" (kafka) must be a map, such as { enabled: … }, found a string
    x.yaml:9:97: "librdkafka_options" of sink "siem" (kafka) must be a map of names to strings, found a string
    x.yaml:9:120: label "sasl.password:…" in "librdkafka_options" of sink "siem" (kafka) must be a string, found nothing
    x.yaml:9:97: "librdkafka_options" of sink "siem" (kafka) has a setting with a colon in its name; write a space behind the colon
    "#);
}

#[test]
fn what_can_never_be_expected_is_refused_with_the_reason() {
    let of = |techniques: &str| {
        told_of_decoy(&format!(
            "    expected: [{{ user: x, techniques: [{techniques}] }}]\n"
        ))
    };
    let all = "token_use, impersonation, token_request, privilege_grant, impersonation_denied, pod_exec, pod_as_decoy, \
               tamper, secret_read, recon, namespace_touch";
    assert_eq!(of(all), "loads");
    let told = ["token_review", "undecodable", "impersonation_unnamed"].map(of);
    assert_snapshot!(told.join("\n"), @r#"
    x.yaml:3:40: an entry of "techniques" of an entry of "expected" of decoy "honeypot/backup-sa" must be "token_use", "impersonation", "token_request", "privilege_grant", "impersonation_denied", "pod_exec", "pod_as_decoy", "tamper", "secret_read", "recon" or "namespace_touch", found the string "token_review"; the user of a review is who was shown the token, not who showed it, and that is never expected
    x.yaml:3:40: an entry of "techniques" of an entry of "expected" of decoy "honeypot/backup-sa" must be "token_use", "impersonation", "token_request", "privilege_grant", "impersonation_denied", "pod_exec", "pod_as_decoy", "tamper", "secret_read", "recon" or "namespace_touch", found the string "undecodable"; of what cannot be decoded it is not known who did it
    x.yaml:3:40: an entry of "techniques" of an entry of "expected" of decoy "honeypot/backup-sa" must be "token_use", "impersonation", "token_request", "privilege_grant", "impersonation_denied", "pod_exec", "pod_as_decoy", "tamper", "secret_read", "recon" or "namespace_touch", found the string "impersonation_unnamed"; it is never alerted, and not known to be about a decoy
    "#);
}

#[test]
fn what_no_request_has_is_not_expected_in_silence() {
    assert_snapshot!(told_of_decoy("    expected: [{ user: x, verbs: [read, get], resources: [pod/log, secrets, widget] }]\n"), @r#"
    loads
    x.yaml:3:15: decoy "honeypot/backup-sa" expects the resource "pod/log", which no request has; write "pods/log"
    x.yaml:3:15: decoy "honeypot/backup-sa" expects the verb "read", which no request has; known: "connect", "create", "delete", "deletecollection", "get", "head", "list", "options", "patch", "post", "proxy", "put", "update", "watch"
    "#);
}

#[test]
fn times_with_a_unit_are_told_as_they_are_to_be_written() {
    let transform = |option: &str| {
        let text = pipeline(TERMINAL, "");
        told(&[(
            "x.yaml",
            &text.replace("[detections]", &format!("[detections], {option}")),
        )])
    };
    let source = |option: &str| {
        let text = pipeline(TERMINAL, "");
        let file = format!("{{ type: file, include: [/], {option} }}");
        told(&[("x.yaml", &text.replace("{ type: stdin }", &file))])
    };
    let told = [
        transform("idle_secs: 15m"),
        transform("idle_secs: 1h30m"),
        transform("idle_secs: 15x"),
        source("silence_secs: 5m"),
        source("glob_minimum_cooldown_ms: 2s"),
    ];
    assert_snapshot!(told.join("\n"), @r#"
    x.yaml:7:63: "idle_secs" of transform "incidents" (dedupe) must be a whole number of seconds from 1 to 315360000, found the string "15m"; write 900
    x.yaml:7:63: "idle_secs" of transform "incidents" (dedupe) must be a whole number of seconds from 1 to 315360000, found the string "1h30m"; write 5400
    x.yaml:7:63: "idle_secs" of transform "incidents" (dedupe) must be a whole number of seconds from 1 to 315360000, found the string "15x"
    x.yaml:4:52: "silence_secs" of source "audit" (file) must be a number of seconds above 0 and at most 315360000, found the string "5m"; write 300
    x.yaml:4:64: "glob_minimum_cooldown_ms" of source "audit" (file) must be a whole number of milliseconds from 1 to 315360000000, found the string "2s"; write 2000
    "#);
}

#[test]
fn paths_mean_what_they_say() {
    assert_snapshot!(told_of_sink("  a: { type: file, inputs: [incidents], path: '/tmp/{{ cluster }}.txt' }\n  b: { type: file, inputs: [incidents], path: '~/alerts.txt' }\n"), @r#"
    x.yaml:9:47: "path" of sink "a" (file) is one path for all messages, and has no fields; leave out what stands in {{ … }}: each message tells it
    x.yaml:10:47: "path" of sink "b" (file) begins with ~, which only a shell knows; write "${HOME}/…", or the path as it is
    "#);
    assert_snapshot!(told(&[("x.yaml", &(pipeline(TERMINAL, "") + "data_dir: ~/x\n"))]), @r#"x.yaml:10:11: "data_dir" begins with ~, which only a shell knows; write "${HOME}/…", or the path as it is"#);
}

#[test]
fn what_reads_detections_needs_no_decoys_whatever_else_it_lacks() {
    let text = pipeline(TERMINAL, "").replace(
        "{ type: stdin }",
        "{ type: http_server, decoding: { codec: detection } }",
    );
    let (_, text) = text.split_once("sources:").expect("it has some");
    let text = format!("sources:{text}")
        .replace("  detections: { type: detect, inputs: [audit] }\n", "")
        .replace("[detections]", "[audit]");
    assert_snapshot!(told(&[("x.yaml", &text)]), @r#"x.yaml:2:3: source "audit" (http_server) lacks "address"; write an IP address and a port, such as 127.0.0.1:8686"#);
}
