//! Writes JSON: decoded values anew, where a store has changed the shape of an event, and what came in other encodings.

use std::borrow::Cow;

use serde::de::IgnoredAny;
use simd_json::{prelude::*, tape::Object};

use crate::audit::Json;

/// Levels that are written. What lies deeper is in no body that is looked at.
const MAX_DEPTH: usize = 96;

/// Whole numbers up to this are the same as floating-point numbers.
const MAX_WHOLE: f64 = 9_007_199_254_740_992.0;

/// Whether `text` is one JSON value, and nothing but that, which begins with one of `brackets`: nothing of it may end up beside what it
/// is written for.
pub fn is_json(text: &str, brackets: &[char]) -> bool {
    text.trim_start().starts_with(brackets) && serde_json::from_str::<IgnoredAny>(text).is_ok()
}

/// `object` with the JSON that `replace` tells for a field in place of its value; `None` if it tells none.
pub fn object<'v>(
    object: &Object<'v, 'v>,
    replace: impl Fn(&str, Json<'v>) -> Option<Cow<'v, [u8]>>,
) -> Option<Vec<u8>> {
    let replaced: Vec<_> = object
        .iter()
        .map(|(key, value)| replace(key, value))
        .collect();
    if replaced.iter().all(Option::is_none) {
        return None;
    }
    let mut out = Vec::new();
    fields(
        object.iter().zip(replaced),
        &mut out,
        |new, out| match new {
            ((key, _), Some(json)) => {
                name(key, out);
                out.extend_from_slice(&json);
            }
            ((key, value), None) => field(key, value, 0, out),
        },
    );
    Some(out)
}

/// Appends a key and its value, which lies `depth` levels deep.
pub fn field(key: &str, value: Json<'_>, depth: usize, out: &mut Vec<u8>) {
    name(key, out);
    self::value(value, depth, out);
}

/// Appends `value`, which lies `depth` levels deep.
pub fn value(value: Json<'_>, depth: usize, out: &mut Vec<u8>) {
    if depth == MAX_DEPTH {
        scalar(&(), out);
    } else if let Some(object) = value.as_object() {
        fields(object.iter(), out, |(key, inner), out| {
            field(key, inner, depth + 1, out);
        });
    } else if let Some(array) = value.as_array() {
        items(array.iter(), out, |item, out| {
            self::value(item, depth + 1, out);
        });
    } else if let Some(text) = value.into_string() {
        scalar(text, out);
    } else if let Some(is) = value.as_bool() {
        scalar(&is, out);
    } else if let Some(number) = value.as_u64() {
        scalar(&number, out);
    } else if let Some(number) = value.as_i64() {
        scalar(&number, out);
    } else {
        scalar(&value.as_f64(), out);
    }
}

/// Elastic has the fields of a document as arrays, most of one item. Where baitline reads a list, one item will do.
pub fn single(value: Json<'_>) -> Json<'_> {
    let item = value
        .as_array()
        .filter(|array| array.len() == 1)
        .and_then(|array| array.get(0));
    item.filter(|item| !item.is_object() && !item.is_array())
        .unwrap_or(value)
}

/// Appends an object, of which `write` appends each field.
pub fn fields<T>(
    fields: impl Iterator<Item = T>,
    out: &mut Vec<u8>,
    write: impl FnMut(T, &mut Vec<u8>),
) {
    list(*b"{}", fields, out, write);
}

/// Appends an array, of which `write` appends each item.
pub fn items<T>(
    items: impl Iterator<Item = T>,
    out: &mut Vec<u8>,
    write: impl FnMut(T, &mut Vec<u8>),
) {
    list(*b"[]", items, out, write);
}

/// Appends a key and its colon. A client may have chosen it, quotes and all.
pub fn name(key: &str, out: &mut Vec<u8>) {
    scalar(key, out);
    out.push(b':');
}

/// Appends text.
pub fn text(text: &str, out: &mut Vec<u8>) {
    scalar(text, out);
}

/// Appends a floating-point number, as OpenTelemetry's Collector makes of all numbers in JSON: one that is whole without a point. What is
/// no number, such as NaN, is null.
pub fn float(number: f64, out: &mut Vec<u8>) {
    match number.fract() == 0.0 && number.abs() < MAX_WHOLE {
        true => scalar(&(number as i64), out),
        false => scalar(&number, out),
    }
}

/// Appends text. What is not UTF-8 in it is replaced, byte for byte of what a name has by itself.
pub fn lossy_text(bytes: &[u8], out: &mut Vec<u8>) {
    text(&String::from_utf8_lossy(bytes), out);
}

fn list<T>(
    [open, close]: [u8; 2],
    parts: impl Iterator<Item = T>,
    out: &mut Vec<u8>,
    mut write: impl FnMut(T, &mut Vec<u8>),
) {
    out.push(open);
    for (number, part) in parts.enumerate() {
        if number > 0 {
            out.push(b',');
        }
        write(part, out);
    }
    out.push(close);
}

fn scalar<T: serde::Serialize + ?Sized>(value: &T, out: &mut Vec<u8>) {
    serde_json::to_writer(out, value).expect("memory takes all, and a scalar has no keys");
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn rewritten(json: &str) -> Value {
        let mut bytes = json.as_bytes().to_vec();
        let tape = simd_json::to_tape(&mut bytes).unwrap();
        let mut out = Vec::new();
        value(tape.as_value(), 0, &mut out);
        serde_json::from_slice(&out).unwrap()
    }

    #[test]
    fn depth_has_an_end() {
        let nested = format!("{}1{}", "[".repeat(1000), "]".repeat(1000));
        let text = rewritten(&nested).to_string();
        let wanted = format!("{}null{}", "[".repeat(MAX_DEPTH), "]".repeat(MAX_DEPTH));
        assert_eq!(text, wanted);
    }

    proptest! {
        #[test]
        fn what_was_read_is_written(key in "\\PC{0,9}", text in "[\\x00-\\x7f]{0,9}", number in any::<i64>(), big in any::<u64>()) {
            let json = json!({key: [text, number, big, 1.5, true, null, {}, []], "a\"b": {"c\\": 1}});
            prop_assert_eq!(rewritten(&json.to_string()), json);
        }
    }
}
