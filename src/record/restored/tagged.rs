//! Events each of whose values tells its type: `{"verb":{"S":"get"},"user":{"M":{…}}}` of DynamoDB, `{"stringValue":"get"}` of Firestore and
//! of protobuf's `Struct`, `{"string":"get"}` of Avro, which has the names of its records for types as well.

use simd_json::tape::Object;

use crate::{audit::Json, record::rewrite};

/// The fields of an event that are texts, and that each has some of.
const TEXTS: [&str; 5] = ["auditID", "verb", "stage", "requestURI", "apiVersion"];

/// The types of scalars, of which some stores make texts. Where baitline reads a number, a text will do.
const SCALARS: [&str; 19] = [
    "S",
    "N",
    "B",
    "BOOL",
    "stringValue",
    "integerValue",
    "doubleValue",
    "numberValue",
    "booleanValue",
    "boolValue",
    "timestampValue",
    "bytesValue",
    "string",
    "int",
    "long",
    "float",
    "double",
    "boolean",
    "bytes",
];

/// The types of what is nothing.
const NOTHING: [&str; 2] = ["NULL", "nullValue"];

/// The types of lists and of maps, and the keys under which some have what is in them.
const LISTS: [(&str, Option<&str>); 6] = [
    ("L", None),
    ("SS", None),
    ("NS", None),
    ("array", None),
    ("arrayValue", Some("values")),
    ("listValue", Some("values")),
];
const MAPS: [(&str, Option<&str>); 4] = [
    ("M", None),
    ("map", None),
    ("mapValue", Some("fields")),
    ("structValue", Some("fields")),
];

/// Levels that are written. What lies deeper is in no body that is looked at.
const MAX_DEPTH: usize = 96;

/// `event` without types; `None` if it has none.
pub fn event(event: &Object<'_, '_>) -> Option<Vec<u8>> {
    // Of most events none is, and they are many.
    let is_tagged = |key: &&str| event.get(*key).and_then(tagged).is_some();
    TEXTS.iter().any(is_tagged).then(|| {
        let mut out = Vec::new();
        write_fields(event, 0, &mut out);
        out
    })
}

/// A value that was told with its type.
enum Tagged<'v> {
    Scalar(Json<'v>),
    Nothing,
    /// What stands in it is told so, too.
    Inner(Option<Json<'v>>),
}

/// `value` without its type; `None` if it has none.
fn tagged<'v>(value: Json<'v>) -> Option<Tagged<'v>> {
    let (kind, held) = only_field(value)?;
    let mut holders = LISTS.iter().chain(&MAPS);
    if SCALARS.contains(&kind) {
        return Some(Tagged::Scalar(held));
    } else if NOTHING.contains(&kind) {
        return Some(Tagged::Nothing);
    } else if let Some((_, key)) = holders.find(|(name, _)| *name == kind) {
        // What is empty may be left out.
        let inner = key.map_or(Some(held), |key| held.get(key));
        return Some(Tagged::Inner(inner));
    }
    let is_record = kind.contains('.') && held.is_object() && tagged(held).is_none();
    is_record.then_some(Tagged::Inner(Some(held)))
}

fn only_field<'v>(value: Json<'v>) -> Option<(&'v str, Json<'v>)> {
    let object = value.as_object().filter(|object| object.len() == 1)?;
    object.iter().next()
}

fn write(value: Json<'_>, depth: usize, out: &mut Vec<u8>) {
    let inner = match tagged(value) {
        Some(Tagged::Scalar(scalar)) => return rewrite::value(scalar, depth, out),
        Some(Tagged::Inner(Some(inner))) => inner,
        Some(Tagged::Inner(None) | Tagged::Nothing) => return out.extend_from_slice(b"null"),
        None => value,
    };
    if depth >= MAX_DEPTH {
        out.extend_from_slice(b"null");
    } else if let Some(fields) = inner.as_object() {
        write_fields(&fields, depth, out);
    } else if let Some(items) = inner.as_array() {
        rewrite::items(items.iter(), out, |item, out| write(item, depth + 1, out));
    } else {
        rewrite::value(inner, depth, out);
    }
}

fn write_fields(fields: &Object<'_, '_>, depth: usize, out: &mut Vec<u8>) {
    rewrite::fields(fields.iter(), out, |(key, value), out| {
        rewrite::name(key, out);
        write(value, depth + 1, out);
    });
}
