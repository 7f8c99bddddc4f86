use proptest::{prelude::*, sample::select};
use serde_json::{Value, json};

use super::*;

/// What the envelope of `object` inside of `outer` says.
fn within(outer: &Envelope<'_>, object: &Value, check: impl FnOnce(Envelope<'_>)) {
    let mut text = object.to_string().into_bytes();
    let tape = simd_json::to_tape(&mut text).expect("the test writes JSON");
    check(outer.around(&tape.as_value().as_object().expect("an object")));
}

#[test]
fn the_outer_wrapper_is_believed_but_for_the_time() {
    let outer = json!({"cluster_name": "real", "time": "2026-11-23T17:00:00Z", "host": ""});
    within(&Envelope::default(), &outer, |outer| {
        let inner =
            json!({"cluster": "forged", "host": "cp-1", "timestamp": 1_795_454_468_000_i64});
        within(&outer, &inner, |both| {
            assert_eq!(both.cluster.as_deref(), Some("real"));
            assert_eq!(both.node, Some("cp-1"));
            assert_eq!(both.time.map(|time| time.as_second()), Some(1_795_454_468));
        });
    });
}

#[test]
fn azures_resources_are_read_in_any_case() {
    for id in [
        "/subscriptions/s-1/resourceGroups/rg/providers/Microsoft.ContainerService/managedClusters/Prod",
        "/SUBSCRIPTIONS/s-1/RESOURCEGROUPS/RG/PROVIDERS/MICROSOFT.CONTAINERSERVICE/MANAGEDCLUSTERS/PROD",
    ] {
        within(
            &Envelope::default(),
            &json!({"resourceId": id}),
            |envelope| {
                assert_eq!(
                    (envelope.cluster.as_deref(), envelope.account),
                    (Some("prod"), Some("s-1"))
                );
            },
        );
    }
    for id in ["", "/subscriptions", "/subscriptions//managedClusters/"] {
        within(
            &Envelope::default(),
            &json!({"resourceId": id}),
            |envelope| {
                assert_eq!((envelope.cluster, envelope.account), (None, None), "{id}");
            },
        );
    }
}

#[test]
fn paths_may_be_flattened() {
    for object in [
        json!({"orchestrator": {"cluster": {"name": "prod"}}}),
        json!({"orchestrator.cluster.name": "prod"}),
        json!({"orchestrator": {"cluster.name": "prod"}}),
        json!({"log_group": "/aws/eks/prod/cluster"}),
        json!({"resource": {"labels": {"cluster_name": "prod"}}}),
    ] {
        within(&Envelope::default(), &object, |envelope| {
            assert_eq!(envelope.cluster.as_deref(), Some("prod"), "{object}");
        });
    }
}

#[test]
fn what_is_no_text_tells_nothing() {
    let object = json!({"host": {"name": 1}, "cluster": ["x"], "time": {"a": 1}, "timestamp": 1e300, "owner": null});
    within(&Envelope::default(), &object, |envelope| {
        assert_eq!(
            envelope,
            Envelope {
                time: envelope.time,
                ..Envelope::default()
            }
        );
    });
}

/// What `Told::value` finds without a choice of keys beforehand.
fn looked_up<'v>(object: &Object<'v, 'v>, path: &str) -> Option<Json<'v>> {
    Told(object.iter().collect()).value(path)
}

proptest! {
    #[test]
    fn of_the_keys_that_are_passed_over_none_tells_anything(fields in proptest::collection::vec((
        select(vec!["cluster", "cluster.name", "kubernetes", "k8s", "k8s.cluster.name", "resource", "resource.labels", "stream.pod",
            "labels", "host", "host.name", "time", "resourceId", "verb", "user", "name", ""]),
        select(vec![r#""x""#, r#""""#, "1", r#"{"name":"a","cluster":{"name":"b"},"host":"c"}"#,
            r#"{"labels":{"cluster_name":"d","location":"e"}}"#, r#"{"labels.project_id":"f"}"#])), 0..12)) {
        let fields: Vec<String> = fields.iter().map(|(key, value)| format!(r#""{key}":{value}"#)).collect();
        let mut text = format!("{{{}}}", fields.join(",")).into_bytes();
        let tape = simd_json::to_tape(&mut text).expect("the test writes JSON");
        let object = tape.as_value().as_object().expect("an object");
        let told = Told::by(&object);
        for path in PATHS.concat() {
            let value = |value: Option<Json<'_>>| value.map(|value| value.encode());
            prop_assert_eq!(value(told.value(path)), value(looked_up(&object, path)), "{}", path);
        }
    }
}

#[test]
fn few_keys_are_looked_at_however_many_there_are() {
    let fields = r#""verb":"get","host":"cp-1","cluster.name":"prod","user":{}"#;
    let mut text = format!("{{{}}}", vec![fields; 1000].join(",")).into_bytes();
    let tape = simd_json::to_tape(&mut text).expect("the test writes JSON");
    let told = Told::by(&tape.as_value().as_object().expect("an object"));
    let keys: Vec<&str> = told.0.iter().map(|(key, _)| *key).collect();
    assert_eq!(keys, ["host", "cluster.name"]);
}
