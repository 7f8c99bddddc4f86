//! JSON in a text whose backslashes were doubled: in a string that Python prints, `b'{"a":"\\\\"b\\\\""}'`, or in a cell of what databases print
//! with tabs (`mysql --batch`, PostgreSQL's `COPY`, ClickHouse's `TabSeparated`).

use memchr::{memchr, memchr2};
use serde::de::IgnoredAny;

use super::{
    escape::{first_quote, is_escaped},
    python,
};

/// The JSON in the string or the cell that the bracket at `start` of `text` begins, and how many bytes it takes there; `None` if it is
/// none, or is JSON as it stands.
///
/// Where backslashes were not doubled, each quote in a text of a client stands behind one alone. Where they were, it stands behind two: read
/// as it stands it ends its string, whose own quote then begins another that ends at the next key of the event, so that no text of
/// a client makes JSON of it.
pub fn json(text: &[u8], start: usize) -> Option<(Vec<u8>, usize)> {
    let (before, behind) = text.split_at(start);
    let length = match before.split_last() {
        None | Some((b'\n' | b'\t', _)) => memchr2(b'\t', b'\n', behind).unwrap_or(behind.len()),
        Some((b'\'', before)) if !is_escaped(before) => first_quote(behind, b'\'')?,
        Some(_) => return None,
    };
    let written = &behind[..length];
    memchr(b'\\', written)?;
    let json = undone(written, before.ends_with(b"b'"))?;
    (!is_json(written) && is_json(&json)).then_some((json, length))
}

/// `text` with what backslashes escape in it; `are_bytes` tells whether Python printed bytes, each by itself. `None` if something is
/// escaped otherwise: neither Python nor a database writes a backslash before what can be printed.
pub fn undone(text: &[u8], are_bytes: bool) -> Option<Vec<u8>> {
    let (mut out, mut at) = (Vec::with_capacity(text.len()), 0);
    while let Some(offset) = memchr(b'\\', &text[at..]) {
        out.extend_from_slice(&text[at..at + offset]);
        at += offset + 1;
        let letter = *text.get(at)?;
        match letter {
            b'\\' | b'\'' => out.push(letter),
            b'n' => out.push(b'\n'),
            b'r' => out.push(b'\r'),
            b't' => out.push(b'\t'),
            _ => {
                let code = python::code(&text[at..]).filter(|code| !(0x20..0x7f).contains(code))?;
                match are_bytes {
                    true => out.push(u8::try_from(code).ok()?),
                    false => {
                        let character = char::from_u32(code)?;
                        out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
                    }
                }
                at += python::digits_behind(letter)?;
            }
        }
        at += 1;
    }
    out.extend_from_slice(&text[at..]);
    Some(out)
}

fn is_json(text: &[u8]) -> bool {
    let mut values = serde_json::Deserializer::from_slice(text).into_iter::<IgnoredAny>();
    values.all(|value| value.is_ok())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn json_is_known_by_its_doubled_backslashes() {
        for (text, wanted) in [
            (r#"b'{"a":"\\"b\'"}' x"#, Some(r#"{"a":"\"b'"}"#)),
            (r#"'{\n "a":"\\"\xe9"}\n'"#, Some("{\n \"a\":\"\\\"é\"}\n")),
            (r#"b'[{"a":"\\"\xc3\xa9"}]'"#, Some(r#"[{"a":"\"é"}]"#)),
            (
                r#"b'{"a":"\\""}\n{"b":1}'"#,
                Some("{\"a\":\"\\\"\"}\n{\"b\":1}"),
            ),
            ("1\t{\"a\":\"\\\\\"\"}\tx", Some(r#"{"a":"\""}"#)),
            ("1\n{\"a\":\"\\\\\"}\"}", Some(r#"{"a":"\"}"}"#)),
            // As it is.
            (r#"b'{"a":"b"}'"#, None),
            (r#"'{"a":"\\n"}'"#, None),
            ("{\"a\":\"\\\\\"}\t1", None),
            // No JSON.
            (r#"b'{"a":"\\"}'"#, None),
            (r#"b'{"a":"\\"\n"}'"#, None),
            // Escaped otherwise.
            (r#"'{"a":"\"\\"}'"#, None),
            (r#"'{"a":"\u0026\\"b"}'"#, None),
            // In no string, or in one without an end.
            (r#"x {"a":"\\"b"}"#, None),
            (r#"'{"a":"\\"b"}"#, None),
            (r#"\'{"a":"\\"b"}'"#, None),
        ] {
            let start = text.find(['{', '[']).unwrap();
            let told = json(text.as_bytes(), start);
            let of = told.as_ref().map(|(json, _)| str::from_utf8(json).unwrap());
            assert_eq!(of, wanted, "{text}");
            let end = told.map(|(_, length)| &text[start + length..]);
            assert!(
                end.is_none_or(|end| end.is_empty() || end.starts_with(['\'', '\t'])),
                "{text}"
            );
        }
    }

    proptest! {
        #[test]
        fn a_value_is_read_where_it_was_doubled_and_only_there(text in "[\\\\\"'\n{}a]{0,9}", other in "[\\\\\"a]{0,9}") {
            let value = serde_json::json!({"a": text, "b": [other], "c": 1}).to_string();
            let doubled = value.replace('\\', "\\\\");
            // Without a quote in a text of a client it is JSON either way.
            let has_quotes = text.contains('"') || other.contains('"');
            let wanted = has_quotes.then(|| (value.clone().into_bytes(), doubled.len()));
            prop_assert_eq!(json(format!("1\t{doubled}").as_bytes(), 2), wanted);
            // As it stands it is never undone to anything else.
            prop_assert_eq!(json(value.as_bytes(), 0), None);
        }

        #[test]
        fn nothing_panics(text in "['\t][\\[{'\"\\\\xuU0-9a]{0,30}") {
            for start in 0..text.len() {
                json(text.as_bytes(), start);
            }
        }
    }
}
