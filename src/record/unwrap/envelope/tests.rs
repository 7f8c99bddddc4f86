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
fn where_it_comes_from_is_told_in_many_words() {
    let live_tail =
        json!({"logGroupIdentifier": "111122223333:/aws/eks/prod-1/cluster", "message": "{}"});
    within(&Envelope::default(), &live_tail, |told| {
        assert_eq!(
            (told.cluster.as_deref(), told.account),
            (Some("prod-1"), Some("111122223333"))
        );
        assert_eq!(told.log_group, Some("/aws/eks/prod-1/cluster"));
    });
    let arc = json!({"_ResourceId": "/subscriptions/s-1/resourcegroups/rg/providers/microsoft.kubernetes/connectedclusters/Edge"});
    within(&Envelope::default(), &arc, |told| {
        assert_eq!(told.cluster.as_deref(), Some("edge"));
    });
    let stern = json!({"nodeName": "cp-1", "podName": "kube-apiserver", "containerName": "api"});
    within(&Envelope::default(), &stern, |told| {
        assert_eq!(
            (told.node, told.pod, told.container),
            (Some("cp-1"), Some("kube-apiserver"), Some("api"))
        );
    });
    for key in ["Hostname", "_host"] {
        within(&Envelope::default(), &json!({key: "cp-1"}), |told| {
            assert_eq!(told.node, Some("cp-1"));
        });
    }
    within(
        &Envelope::default(),
        &json!({"observedTimeUnixNano": "1795454468000000000"}),
        |told| {
            assert_eq!(told.time.map(|time| time.as_second()), Some(1_795_454_468));
        },
    );
}

/// Elsewhere `location` is where a log came from, as Wazuh has it.
#[test]
fn a_location_is_that_of_a_resource() {
    let resource = "/subscriptions/s-1/resourceGroups/rg";
    for (object, region) in [
        (
            json!({"location": "westeurope", "resourceId": resource}),
            Some("westeurope"),
        ),
        (
            json!({"location": "/var/log/audit.log", "rule": {"level": 5}}),
            None,
        ),
    ] {
        within(&Envelope::default(), &object, |envelope| {
            assert_eq!(envelope.region, region, "{object}");
        });
    }
}

/// As protobuf's libraries, BigQuery's client for Node and MongoDB have it; and Google's second choice.
#[test]
fn a_time_may_be_an_object() {
    for object in [
        json!({"timestamp": {"seconds": "1795454468", "nanos": 912_000_000}}),
        json!({"timestamp": {"seconds": 1_795_454_468, "nanos": 912_000_000}}),
        json!({"timestamp": {"value": "2026-11-23T17:21:08.912Z"}}),
        json!({"time": {"$date": "2026-11-23T17:21:08.912Z"}}),
        json!({"timestamp": null, "receiveTimestamp": "2026-11-23T17:21:08.912Z"}),
    ] {
        within(&Envelope::default(), &object, |envelope| {
            let time = envelope.time.map(|time| time.as_millisecond());
            assert_eq!(time, Some(1_795_454_468_912), "{object}");
        });
    }
    for object in [
        json!({"timestamp": {"seconds": "x"}}),
        json!({"timestamp": {"seconds": i64::MAX}}),
    ] {
        within(&Envelope::default(), &object, |envelope| {
            assert_eq!(envelope.time, None)
        });
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
fn a_key_of_one_shipper_tells_what_those_of_others_do() {
    // EventBridge; `aws logs filter-log-events`; AKS's `properties` as a text.
    let object = json!({"account": "123456789012", "logStreamName": "kube-apiserver-audit-7", "pod": "kube-apiserver-1"});
    within(&Envelope::default(), &object, |envelope| {
        let Envelope {
            account,
            log_stream,
            pod,
            ..
        } = envelope;
        assert_eq!(account, Some("123456789012"));
        assert_eq!(log_stream, Some("kube-apiserver-audit-7"));
        assert_eq!(pod, Some("kube-apiserver-1"));
    });
}

#[test]
fn attributes_of_opentelemetry_are_read_as_a_list_and_as_an_object() {
    let text = |text: &str| json!({"stringValue": text});
    let list = |text: &str| json!({"arrayValue": {"values": [{"stringValue": text}]}});
    for attributes in [
        json!([{"key": "cloudwatch.log.group.name", "value": text("/aws/eks/prod/cluster")}, {"key": "cloudwatch.log.stream", "value": text("s")},
            {"key": "aws.region", "value": text("eu-west-1")}]),
        json!([{"key": "aws.log.group.names", "value": list("/aws/eks/prod/cluster")}, {"key": "aws.log.stream.names", "value": list("s")},
            {"key": "cloud.region", "value": text("eu-west-1")}]),
        json!({"cloudwatch.log.group.name": "/aws/eks/prod/cluster", "cloudwatch.log.stream": "s", "aws.region": "eu-west-1"}),
    ] {
        let object = json!({"resource": {"attributes": attributes}});
        within(&Envelope::default(), &object, |envelope| {
            assert_eq!(envelope.cluster.as_deref(), Some("prod"), "{object}");
            assert_eq!(envelope.log_stream, Some("s"), "{object}");
            assert_eq!(envelope.region, Some("eu-west-1"), "{object}");
        });
    }
}

/// As OpenTelemetry's exporters and stores have the resource: Splunk's collector, ClickHouse, SigNoz, Log Analytics, Loki.
#[test]
fn a_resource_of_opentelemetry_is_read_whatever_it_is_called() {
    let resource = json!({"k8s.cluster.name": "prod", "k8s.node.name": "cp-1", "k8s.pod.name": "kube-apiserver-1",
        "k8s.namespace.name": "kube-system", "k8s.container.name": "api", "cloud.region": "eu-west-1", "cloud.account.id": "a-1"});
    for key in ORIGINS {
        let object = json!({key: resource, "host": ""});
        within(&Envelope::default(), &object, |envelope| {
            check_labels(&envelope);
            assert_eq!(envelope.region, Some("eu-west-1"), "{object}");
            assert_eq!(envelope.account, Some("a-1"), "{object}");
        });
        // What stands nearest counts, wherever it stands.
        let mut object = object;
        object["zone"] = json!(1);
        object["k8s.cluster.name"] = "nearest".into();
        within(&Envelope::default(), &object, |envelope| {
            assert_eq!(envelope.cluster.as_deref(), Some("nearest"), "{object}");
        });
    }
    let names = resource.as_object().expect("an object").iter();
    let labels: serde_json::Map<_, _> = names
        .map(|(name, value)| (name.replace('.', "_"), value.clone()))
        .collect();
    within(
        &Envelope::default(),
        &json!({"stream": labels}),
        |envelope| {
            check_labels(&envelope);
            assert_eq!(envelope.region, Some("eu-west-1"));
        },
    );
}

/// What they say in each of the forms in which Loki's labels stand elsewhere than in `stream`.
#[track_caller]
fn check_labels(envelope: &Envelope<'_>) {
    assert_eq!(envelope.cluster.as_deref(), Some("prod"));
    assert_eq!(envelope.node, Some("cp-1"));
    assert_eq!(envelope.pod, Some("kube-apiserver-1"));
    assert_eq!(envelope.namespace, Some("kube-system"));
    assert_eq!(envelope.container, Some("api"));
}

#[test]
fn labels_of_loki_are_read_wherever_they_stand() {
    let labels = json!({"cluster": "prod", "node": "cp-1", "pod": "kube-apiserver-1", "namespace": "kube-system", "container": "api"});
    let mut packed = labels.clone();
    packed["_entry"] = json!("{}");
    let outer = Envelope::default();
    within(&outer, &packed, |envelope| check_labels(&envelope));
    let jsonl = json!({"labels": labels, "line": "{}", "timestamp": "2026-11-23T17:00:00Z"});
    within(&outer, &jsonl, |envelope| check_labels(&envelope));
    for metadata in [labels.clone(), json!({"structuredMetadata": labels})] {
        let mut text = json!(["1795454468000000000", "{}", metadata])
            .to_string()
            .into_bytes();
        let tape = simd_json::to_tape(&mut text).expect("the test writes JSON");
        check_labels(&outer.among(&tape.as_value().as_array().expect("an array")));
    }
    for line in [
        r#"2026-11-23T17:00:00Z {cluster="prod", container="api", namespace="kube-system", node="cp-1", pod="kube-apiserver-1"} {"a":1}"#,
        r#"2026-11-23T17:00:00Z {a="}\" {", cluster="prod",container="api", node="cp-1", namespace="kube-system", pod="kube-apiserver-1"}       {"#,
    ] {
        check_labels(&outer.behind(line.as_bytes()));
    }
    for line in [
        r#"{"cluster":"x"}"#,
        r#"2026-11-23T17:00:00Z {"cluster":"x","a":"{cluster=\"x\"}"}"#,
        r#"2026-11-23T17:00:00Z x {cluster="x"} {"#,
        r#"{cluster="x"} {"#,
    ] {
        assert_eq!(outer.behind(line.as_bytes()).cluster, None, "{line}");
    }
    let mut text = json!([{}, {}, {"cluster": "x"}]).to_string().into_bytes();
    let tape = simd_json::to_tape(&mut text).expect("the test writes JSON");
    let records = tape.as_value().as_array().expect("an array");
    assert_eq!(outer.among(&records), outer);
    // Beside anything else a namespace may be that of the event.
    let other = json!({"namespace": "shop", "container": "c", "labels": {"namespace": "shop"}});
    within(&outer, &other, |envelope| assert_eq!(envelope, outer));
}

/// <https://github.com/aws/aws-cli/blob/2.22.0/awscli/customizations/logs/tail.py>: the time, the stream, and the message.
#[test]
fn a_line_of_aws_logs_tail_tells_its_stream() {
    let outer = Envelope::default();
    let line = br#"2026-11-23T17:00:00.123000+00:00 kube-apiserver-audit-0123456789abcdef {"kind":"Event"}"#;
    let envelope = outer.behind(line);
    assert_eq!(
        envelope.log_stream,
        Some("kube-apiserver-audit-0123456789abcdef")
    );
    assert!(envelope.time.is_some());
    for other in ["audit", "kube-apiserver-audit-", "x kube-apiserver-audit-0"] {
        let line = format!("2026-11-23T17:00:00.123000+00:00 {other} {{");
        assert_eq!(outer.behind(line.as_bytes()).log_stream, None, "{other}");
    }
}

#[test]
fn an_empty_text_tells_nothing() {
    for object in [
        json!({"@log": ":", "host": "", "kubernetes": {"pod_name": ""}}),
        json!({"_entry": "x", "pod": ""}),
        json!({"line": "x", "labels": {"pod": "", "cluster": ""}}),
    ] {
        within(&Envelope::default(), &object, |envelope| {
            assert_eq!(envelope, Envelope::default(), "{object}");
        });
    }
    let line = br#"2026-11-23T17:21:08Z {cluster="", pod=""} {"a":1}"#;
    let behind = Envelope::default().behind(line);
    assert_eq!((behind.cluster, behind.pod), (None, None));
    let mut items = br#"["2026-11-23T17:21:08Z", "x", {"pod": ""}]"#.to_vec();
    let tape = simd_json::to_tape(&mut items).expect("the test writes JSON");
    let array = tape.as_value().as_array().expect("an array");
    assert_eq!(Envelope::default().among(&array).pod, None);
}

#[test]
fn what_is_no_text_tells_nothing() {
    let object = json!({"host": {"name": 1}, "cluster": ["x", "y"], "time": {"a": 1}, "timestamp": 1e300, "owner": null});
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
    let origins = object.iter().filter(|(key, _)| ORIGINS.contains(key));
    let origins = origins.filter_map(|(_, value)| value.as_object());
    let inner = origins.flat_map(|origin| origin.iter().collect::<Vec<_>>());
    Told(object.iter().chain(inner).collect()).value(path)
}

proptest! {
    #[test]
    fn of_the_keys_that_are_passed_over_none_tells_anything(fields in proptest::collection::vec((
        select(vec!["cluster", "cluster.name", "kubernetes", "k8s", "k8s.cluster.name", "resource", "resource.labels", "fields", "stream.pod",
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
