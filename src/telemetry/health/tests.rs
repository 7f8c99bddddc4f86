use insta::assert_snapshot;

use super::{super::snapshot::example, *};

/// The health of a running pipeline, one of whose components is in trouble.
fn with_trouble(kind: Kind, is_lasting: bool) -> Health {
    let mut snapshot = example::running();
    let mut components = snapshot.components.iter_mut();
    let component = components.find(|component| component.kind == kind);
    component.expect("the example has every kind").trouble =
        Some(example::trouble("it hurts", is_lasting));
    health(&snapshot)
}

#[test]
fn what_works_is_ok_and_ready() {
    let health = health(&example::running());
    assert_eq!(
        (health.status, health.live, health.ready),
        (Condition::Ok, true, true)
    );
    assert_eq!(health.reason, None);
}

#[test]
fn only_what_keeps_decoys_from_being_watched_makes_it_unready() {
    use Condition::{Degraded, Failing};
    for (kind, is_lasting, overall, ready, own) in [
        (Kind::Source, false, Degraded, true, Degraded),
        (Kind::Source, true, Failing, false, Failing),
        (Kind::Sink, false, Degraded, true, Degraded),
        (Kind::Sink, true, Degraded, true, Failing),
        (Kind::Store, false, Failing, false, Failing),
    ] {
        let health = with_trouble(kind, is_lasting);
        let component = health
            .components
            .iter()
            .find(|component| component.kind == kind);
        assert_eq!(
            (health.status, health.ready, component.unwrap().status),
            (overall, ready, own),
            "{kind} {is_lasting}"
        );
        assert!(health.live);
    }
}

#[test]
fn while_it_starts_or_stops_it_is_not_ready() {
    let snapshot = Snapshot {
        trouble: Some(example::trouble("the pipeline starts", false)),
        ..example::running()
    };
    let health = health(&snapshot);
    assert_eq!((health.status, health.ready), (Condition::Failing, false));
    assert_eq!(health.reason.as_deref(), Some("the pipeline starts"));
}

#[test]
fn the_gravest_trouble_is_the_reason() {
    let mut snapshot = example::running();
    snapshot.components[0].trouble = Some(example::trouble("the broker is away", false));
    snapshot.components[4].trouble = Some(example::trouble("the disk is full", false));
    let reason = health(&snapshot).reason;
    assert_eq!(reason.as_deref(), Some("store \"store\": the disk is full"));
}

#[test]
fn it_is_told_as_json_and_harmless() {
    let mut snapshot = example::running();
    snapshot.components.truncate(1);
    snapshot.components[0].trouble = Some(example::trouble("\u{1b}[31mgone\u{202e}", false));
    let text = serde_json::to_string_pretty(&health(&snapshot)).unwrap();
    assert_snapshot!(text, @r#"
    {
      "status": "degraded",
      "live": true,
      "ready": true,
      "reason": "source \"audit\": \\u{1b}[31mgone\\u{202e}",
      "components": [
        {
          "id": "audit",
          "kind": "source",
          "type": "file",
          "status": "degraded",
          "reason": "\\u{1b}[31mgone\\u{202e}",
          "since": "1970-01-01T00:00:00.000000Z"
        }
      ]
    }
    "#);
}
