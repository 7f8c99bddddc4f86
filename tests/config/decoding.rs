//! `decoding.codec`: what a source reads decides who may read it.

use baitline::source::Decoding;
use insta::assert_snapshot;

use super::{load, told};

const AGGREGATOR: &str = "
sources:
  agents: { type: file, include: [/var/lib/*.ndjson], decoding: { codec: detection } }
transforms:
  incidents: { type: dedupe, inputs: [agents] }
sinks:
  terminal: { type: console, inputs: [incidents] }
  evidence: { type: file, inputs: ['*'], path: /tmp/evidence.ndjson, encoding: { codec: json } }
";

#[test]
fn an_aggregator_needs_neither_decoys_nor_detect() {
    let pipeline = load(&[("x.yaml", AGGREGATOR)]).unwrap().pipeline;
    assert_eq!(pipeline.sources[0].config.decoding(), Decoding::Detection);
    let inputs: Vec<&str> = pipeline.sinks[1].inputs.iter().map(|id| &**id).collect();
    assert_eq!(inputs, ["agents", "incidents"]);
}

#[test]
fn audit_events_are_the_default_and_need_decoys() {
    let audit = AGGREGATOR.replace("detection }", "audit }");
    assert_eq!(
        audit,
        AGGREGATOR.replace("codec: detection", "codec: audit")
    );
    let told_of = |decoding: &str| {
        let text = AGGREGATOR.replace("decoding: { codec: detection }", decoding);
        told(&[("x.yaml", &text.replace("'*'", "agents"))])
    };
    assert_eq!(told_of("decoding: { codec: audit }"), told_of(""));
    assert_snapshot!(told_of(""), @r#"
    x.yaml: no decoys; write decoys: [{ service_account: honeypot/backup-sa }]
    x.yaml:5:39: transform "incidents" (dedupe) cannot read source "agents" (file): it takes the output of a detect transform, or a source with decoding.codec: detection
    x.yaml:8:36: sink "evidence" (file) cannot read source "agents" (file): it takes the output of transforms, or a source with decoding.codec: detection
    "#);
}

#[test]
fn who_reads_the_wrong_kind_is_told_why() {
    assert_snapshot!(told(&[("x.yaml", r#"
sources:
  agents: { type: stdin, decoding: { codec: detection } }
  unread: { type: file, include: [/x], decoding: { codec: detection } }
  odd: { type: file, include: [/y], decoding: { codec: json } }
transforms:
  detections: { type: detect, inputs: [agents] }
  incidents: { type: dedupe, inputs: [detections, odd] }
sinks:
  out: { type: console, inputs: [incidents, odd] }
"#)]), @r#"
    x.yaml:4:3: nothing reads source "unread" (file): name it in the inputs of "incidents", "out", or remove it
    x.yaml:5:56: "decoding.codec" of source "odd" (file) must be "audit" or "detection", found the string "json"; leave it out: whatever wraps audit events is read for what it is
    x.yaml:7:40: transform "detections" (detect) cannot read source "agents" (stdin): it takes audit events, and the decoding.codec of "agents" is detection; let a dedupe transform or a sink read it
    "#);
}
