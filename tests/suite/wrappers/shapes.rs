//! The shapes in `tests/data/wrappers/`, filled with events.

use std::{fs, io::Write};

use base64::prelude::*;
use serde_json::{Map, Value, json};

use crate::recordings::path;

/// One wrapper, as its vendor documents it.
pub struct Wrapper {
    pub name: String,
    /// From the event outwards. A string is text around a record, anything else is JSON.
    layers: Vec<Value>,
    /// What the detection's origin says.
    pub origin: Map<String, Value>,
}

pub fn all() -> Vec<Wrapper> {
    let folder = fs::read_dir(path("wrappers", "")).expect("the folder is there");
    let mut wrappers: Vec<Wrapper> = folder
        .map(|file| {
            let file = file.expect("the folder can be read").path();
            let text = fs::read(&file).expect("the file can be read");
            let shape: Value = serde_json::from_slice(&text).expect("a shape is JSON");
            Wrapper {
                name: file
                    .file_stem()
                    .expect("a name")
                    .to_string_lossy()
                    .into_owned(),
                layers: shape["layers"].as_array().expect("layers").clone(),
                origin: shape["origin"].as_object().expect("an origin").clone(),
            }
        })
        .collect();
    wrappers.sort_by(|one, other| one.name.cmp(&other.name));
    wrappers
}

impl Wrapper {
    /// `record` in this wrapper, each layer of which is JSON that goes through `write`.
    pub fn wrap(&self, record: &str, mut write: impl FnMut(String) -> String) -> String {
        self.layers
            .iter()
            .fold(record.to_owned(), |inner, layer| match layer {
                Value::String(text) => text
                    .replace("@VALUE@", &inner)
                    .replace("@CSV@", &inner.replace('"', "\"\"")),
                shape => write(filled(shape, &inner).to_string()),
            })
    }
}

/// `shape` with `record` where its placeholders stand.
fn filled(shape: &Value, record: &str) -> Value {
    let value = || serde_json::from_str(record).expect("it is JSON");
    match shape {
        Value::String(text) => match text.as_str() {
            "@STRING@" => record.into(),
            "@OBJECT@" => value(),
            "@BASE64@" => BASE64_STANDARD.encode(record).into(),
            "@BASE64_URL@" => BASE64_URL_SAFE_NO_PAD.encode(record).into(),
            "@GZIP_BASE64@" => BASE64_STANDARD.encode(gzip(record.as_bytes())).into(),
            "@NUMBERS@" => json!(record.as_bytes()),
            text => text.into(),
        },
        Value::Array(items) => items.iter().map(|item| filled(item, record)).collect(),
        Value::Object(fields) => {
            let mut object = Map::new();
            for (key, field) in fields {
                let event = || -> Value { value() };
                match key.as_str() {
                    "@FIELDS@" => object.extend(event().as_object().expect("an event").clone()),
                    "@FIELDS_AS_STRINGS@" => object.extend(fields_as_strings(&event())),
                    "@KEYS_JOINED@" => {
                        let prefix = field.as_str().expect("a prefix");
                        join_keys(prefix, &event(), false, &mut object);
                    }
                    "@KEYS_AND_INDICES_JOINED@" => {
                        let prefix = field.as_str().expect("a prefix");
                        join_keys(prefix, &event(), true, &mut object);
                    }
                    _ => {
                        object.insert(key.clone(), filled(field, record));
                    }
                }
            }
            Value::Object(object)
        }
        other => other.clone(),
    }
}

/// The fields of `event`, of which those that are no scalars are text.
fn fields_as_strings(event: &Value) -> Map<String, Value> {
    let fields = event.as_object().expect("an event").iter();
    let text = |value: &Value| match value {
        Value::Object(_) | Value::Array(_) => value.to_string().into(),
        scalar => scalar.clone(),
    };
    fields
        .map(|(key, value)| (key.clone(), text(value)))
        .collect()
}

/// Puts the scalars in `value` into `object`, under all keys on the way to them; arrays as they are, or their items too.
fn join_keys(path: &str, value: &Value, with_indices: bool, object: &mut Map<String, Value>) {
    let mut join = |key: &str, inner: &Value| {
        let dot = if path.is_empty() || path.ends_with('.') {
            ""
        } else {
            "."
        };
        join_keys(&format!("{path}{dot}{key}"), inner, with_indices, object);
    };
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            fields.iter().for_each(|(key, inner)| join(key, inner));
        }
        Value::Array(items) if with_indices && !items.is_empty() => {
            let items = items.iter().enumerate();
            items.for_each(|(index, inner)| join(&index.to_string(), inner));
        }
        _ => {
            object.insert(path.to_owned(), value.clone());
        }
    }
}

pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).expect("memory takes all");
    encoder.finish().expect("memory takes all")
}
