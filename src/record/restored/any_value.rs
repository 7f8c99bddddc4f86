//! OpenTelemetry's JSON, in which a value tells what it is: `{"kvlistValue":{"values":[{"key":"verb","value":{"stringValue":"get"}}]}}`. An
//! event that the Collector had parsed is such a list, in the body of a record or among its attributes.

use simd_json::{prelude::*, tape::Array, tape::Object};

use crate::{audit::Json, record::rewrite};

const MAP: &str = "kvlistValue";
const ARRAY: &str = "arrayValue";
const TEXT: &str = "stringValue";
const INTEGER: &str = "intValue";

/// Values of other kinds, as they are in any JSON.
const OTHERS: [&str; 3] = ["boolValue", "doubleValue", "bytesValue"];

/// Values in one another that are written. What lies deeper is in no body that is looked at.
const MAX_DEPTH: usize = 96;

/// The plain object that `object` is, if it is a map and nothing else.
pub fn map(object: &Object<'_, '_>) -> Option<Vec<u8>> {
    if object.len() != 1 {
        return None;
    }
    let pairs = object.get(MAP)?.get("values")?.as_array()?;
    written(&pairs)
}

/// The plain object that `array` is, if it is nothing but attributes.
pub fn attributes(array: &Array<'_, '_>) -> Option<Vec<u8>> {
    match array.is_empty() {
        true => None,
        false => written(array),
    }
}

fn written(pairs: &Array<'_, '_>) -> Option<Vec<u8>> {
    if pairs.iter().any(|pair| key_and_value(pair).is_none()) {
        return None;
    }
    let mut out = Vec::new();
    write_pairs(pairs, 0, &mut out);
    Some(out)
}

/// Of an attribute. What has no value is null.
fn key_and_value<'v>(pair: Json<'v>) -> Option<(&'v str, Option<Json<'v>>)> {
    let pair = pair.as_object()?;
    let key = pair.get("key")?.into_string()?;
    let value = pair.get("value");
    let is_one = |value: Json<'v>| {
        let value = value.as_object()?;
        let (kind, _) = match value.len() {
            0 => return Some(()),
            1 => value.iter().next()?,
            _ => return None,
        };
        let is_known = [MAP, ARRAY, TEXT, INTEGER].contains(&kind) || OTHERS.contains(&kind);
        is_known.then_some(())
    };
    let is_pair = pair.len() == 1 + usize::from(value.is_some());
    (is_pair && value.is_none_or(|value| is_one(value).is_some())).then_some((key, value))
}

fn write_pairs(pairs: &Array<'_, '_>, depth: usize, out: &mut Vec<u8>) {
    let pairs = pairs.iter().filter_map(key_and_value);
    rewrite::fields(pairs, out, |(key, value), out| {
        rewrite::name(key, out);
        match value {
            Some(value) => write(value, depth + 1, out),
            None => out.extend_from_slice(b"null"),
        }
    });
}

fn write(value: Json<'_>, depth: usize, out: &mut Vec<u8>) {
    let only = value.as_object().filter(|value| value.len() == 1);
    let Some((kind, held)) = only.as_ref().and_then(|value| value.iter().next()) else {
        return out.extend_from_slice(b"null");
    };
    // What is empty may be left out.
    let list = held.get("values").and_then(|values| values.as_array());
    match (kind, list) {
        (MAP | ARRAY, _) if depth >= MAX_DEPTH => out.extend_from_slice(b"null"),
        (MAP, Some(pairs)) => write_pairs(&pairs, depth, out),
        (MAP, None) => out.extend_from_slice(b"{}"),
        (ARRAY, Some(items)) => {
            rewrite::items(items.iter(), out, |item, out| write(item, depth + 1, out));
        }
        (ARRAY, None) => out.extend_from_slice(b"[]"),
        // By the rules of protobuf it is text.
        (INTEGER, _) => match held.into_string().and_then(|text| text.parse::<i64>().ok()) {
            Some(integer) => out.extend_from_slice(integer.to_string().as_bytes()),
            None => rewrite::value(held, depth, out),
        },
        _ => write_scalar(held, depth, out),
    }
}

fn write_scalar(held: Json<'_>, depth: usize, out: &mut Vec<u8>) {
    let float = held.as_f64();
    match float.filter(|_| !held.is_i64() && !held.is_u64()) {
        Some(float) => rewrite::float(float, out),
        None => rewrite::value(held, depth, out),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    /// What is told of `json`.
    fn read(json: &Value) -> Option<Value> {
        let mut bytes = json.to_string().into_bytes();
        let tape = simd_json::to_tape(&mut bytes).unwrap();
        let value = tape.as_value();
        let plain = match (value.as_object(), value.as_array()) {
            (Some(object), _) => map(&object),
            (_, Some(array)) => attributes(&array),
            _ => None,
        };
        plain.map(|plain| serde_json::from_slice(&plain).unwrap())
    }

    /// `plain` as OpenTelemetry writes it.
    fn told(plain: &Value) -> Value {
        match plain {
            Value::Null => json!({}),
            Value::Bool(truth) => json!({"boolValue": truth}),
            Value::Number(number) if number.is_i64() => json!({"intValue": number.to_string()}),
            Value::Number(number) => json!({"doubleValue": number}),
            Value::String(text) => json!({"stringValue": text}),
            Value::Array(items) => {
                json!({"arrayValue": {"values": items.iter().map(told).collect::<Value>()}})
            }
            Value::Object(_) => json!({"kvlistValue": {"values": pairs(plain)}}),
        }
    }

    fn pairs(object: &Value) -> Value {
        let fields = object.as_object().unwrap().iter();
        fields
            .map(|(key, value)| json!({"key": key, "value": told(value)}))
            .collect()
    }

    #[test]
    fn other_objects_and_arrays_stay() {
        for other in [
            json!({"kvlistValue": {"values": []}, "b": 1}),
            json!({"kvlistValue": [1]}),
            json!([]),
            json!([1]),
            json!([{"key": "app", "value": "x"}]),
            json!([{"key": "app", "value": {"stringValue": "x"}, "effect": "NoSchedule"}]),
            json!([{"key": "app", "value": {"stringValue": "x"}}, {"key": "app", "operator": "Exists"}]),
        ] {
            assert_eq!(read(&other), None, "{other}");
        }
    }

    #[test]
    fn what_is_left_out_is_empty_and_numbers_are_numbers() {
        let list = json!([
            {"key": "a"}, {"key": "b", "value": {}}, {"key": "c", "value": {"kvlistValue": {}}}, {"key": "d", "value": {"arrayValue": {}}},
            {"key": "e", "value": {"doubleValue": 403.0}}, {"key": "f", "value": {"intValue": 403}},
        ]);
        let plain = json!({"a": null, "b": null, "c": {}, "d": [], "e": 403, "f": 403});
        assert_eq!(read(&list), Some(plain));
    }

    fn tree() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            (-1e9..1e9).prop_map(|number: f64| Value::from(number.trunc() + 0.5)),
            "\\PC{0,9}".prop_map(Value::from),
        ];
        leaf.prop_recursive(5, 30, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map("[a-z.\"]{0,5}", inner, 0..4)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_was_told_comes_out(value in tree()) {
            let plain = json!({"a": value});
            prop_assert_eq!(read(&told(&plain)), Some(plain.clone()));
            prop_assert_eq!(read(&pairs(&plain)), Some(plain));
        }
    }
}
