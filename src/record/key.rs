//! Keys of objects: compared without what stores change in them, and joined to others.

use simd_json::tape::Object;

use crate::audit::Json;

/// How Log Analytics ends the names of columns, by what stands in them: text, a number, a truth, a time, a GUID.
const TYPES: [&str; 5] = ["_s", "_d", "_b", "_t", "_g"];

/// `key` without its type, if it is the name of such a column.
pub fn untyped(key: &str) -> &str {
    let mut names = TYPES.iter().filter_map(|end| key.strip_suffix(end));
    names.next().unwrap_or(key)
}

/// `key` in small letters, without what joins its words and without its type.
pub fn letters(key: &str) -> impl DoubleEndedIterator<Item = u8> + Clone {
    let letters = untyped(key).bytes().filter(u8::is_ascii_alphanumeric);
    letters.map(|byte| byte.to_ascii_lowercase())
}

/// Whether `key` ends with `end`, which is written so, but for its case, what joins its words and its type.
pub fn ends_with(key: &str, end: &str) -> bool {
    let mut letters = letters(key).rev();
    end.bytes().rev().all(|byte| letters.next() == Some(byte))
}

/// Whether `key` is `other`, which is written so, but for its case, what joins its words and its type.
pub fn is(key: &str, other: &str) -> bool {
    letters(key).eq(other.bytes())
}

/// What stands at `path`, whether its keys are nested or joined by dots.
pub fn at<'v>(object: &Object<'v, 'v>, path: &str) -> Option<Json<'v>> {
    object.get(path).or_else(|| {
        path.match_indices('.').find_map(|(dot, _)| {
            let inner = object.get(&path[..dot])?.as_object()?;
            at(&inner, &path[dot + 1..])
        })
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use simd_json::prelude::*;

    use super::*;

    #[test]
    fn cases_joints_and_types_count_for_nothing() {
        for key in [
            "userAgent",
            "user_agent",
            "User-Agent",
            "USERAGENT",
            "userAgent_s",
        ] {
            assert!(is(key, "useragent") && ends_with(key, "agent"), "{key}");
            assert!(!is(key, "agent") && !ends_with(key, "users"), "{key}");
        }
    }

    #[test]
    fn a_path_is_found_however_its_keys_are_joined() {
        for object in [
            json!({"a": {"b": {"c": 1}}}),
            json!({"a.b.c": 1}),
            json!({"a.b": {"c": 1}}),
            json!({"a": {"b.c": 1}}),
            json!({"a": {"x": 1}, "a.b": {"c": 1}}),
        ] {
            let mut text = object.to_string().into_bytes();
            let tape = simd_json::to_tape(&mut text).expect("it is JSON");
            let object = tape.as_value().as_object().expect("an object");
            assert_eq!(at(&object, "a.b.c").and_then(|one| one.as_u64()), Some(1));
            assert!(at(&object, "a.b.d").is_none() && at(&object, "").is_none());
        }
    }
}
