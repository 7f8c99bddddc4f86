//! The legacy format of the API server's log (`--audit-log-format=legacy`): a line of keys with values as Go quotes them
//! (<https://github.com/kubernetes/apiserver/blob/v0.33.3/pkg/audit/format.go>, `EventString`).
//!
//! ```text
//! 2026-11-23T17:21:08.912184Z AUDIT: id="…" stage="…" ip="…" method="…" user="…" groups="…" as="<self>" … uri="…" response="403"
//! ```
//!
//! It tells nothing of the object but by the path of the request.

use memchr::memmem;

use super::python;
use crate::{audit::parse_time, record::rewrite};

/// What stands between the time and the fields.
const MARK: &[u8] = b" AUDIT: id=";

/// Of that, what is no field.
const HEAD: &[u8] = b" AUDIT: ";

/// The fields of a line, in their order. One that was cut has fewer.
const KEYS: [&[u8]; 12] = [
    b"id",
    b"stage",
    b"ip",
    b"method",
    b"user",
    b"groups",
    b"as",
    b"asgroups",
    b"user-agent",
    b"namespace",
    b"uri",
    b"response",
];

/// What stands in no head of a line that a runtime or a shipper writes, but before text of a client.
const BEFORE_TEXTS: &[u8] = b"{\"'`=\t";

/// The fields that tell something, in the order in which they are written anew.
const FIELDS: [(&[u8], Field); 9] = [
    (b"id", Field::Text("auditID")),
    (b"stage", Field::Text("stage")),
    (b"method", Field::Text("verb")),
    (b"uri", Field::Text("requestURI")),
    (b"user-agent", Field::Text("userAgent")),
    (b"user", Field::In("user", "username")),
    (b"as", Field::In("impersonatedUser", "username")),
    (b"ip", Field::List("sourceIPs")),
    (b"response", Field::In("responseStatus", "code")),
];

/// Where a value stands in an event.
#[derive(Clone, Copy)]
enum Field {
    Text(&'static str),
    In(&'static str, &'static str),
    List(&'static str),
}

/// `text` with nothing in it that makes it look like one.
pub fn without_marks(text: String) -> String {
    match may_be_in(text.as_bytes()) {
        true => text.replace(" AUDIT: id=", " AUDIT : id="),
        false => text,
    }
}

/// Whether such a line may stand in `text`.
pub fn may_be_in(text: &[u8]) -> bool {
    memmem::find(text, MARK).is_some()
}

/// The event that `line` tells of, as JSON, and where it begins in the line: behind what a runtime or a shipper put before it.
///
/// A client may write such a line into a text, but where that stands in anything else, its quotes are escaped.
pub fn event(line: &[u8]) -> Option<(usize, Vec<u8>)> {
    let mark = memmem::find(line, MARK)?;
    let start = line[..mark].iter().rposition(|byte| *byte == b' ');
    let start = start.map_or(0, |space| space + 1);
    let time = std::str::from_utf8(&line[start..mark]).ok()?;
    parse_time(time)?;
    if line[..start].iter().any(|byte| BEFORE_TEXTS.contains(byte)) {
        return None;
    }
    let values = values(&line[mark + HEAD.len()..])?;
    let mut out =
        b"{\"kind\":\"Event\",\"apiVersion\":\"audit.k8s.io/v1\",\"requestReceivedTimestamp\":"
            .to_vec();
    rewrite::text(time, &mut out);
    for (name, field) in FIELDS {
        let value = values.iter().find(|(key, _)| *key == name);
        // `<none>`, `<self>` and the like stand for nothing.
        let tells = |value: &[u8]| !value.is_empty() && !value.starts_with(b"\"<");
        if let Some((_, value)) = value.filter(|(_, value)| tells(value)) {
            write(field, value, &mut out);
        }
    }
    out.push(b'}');
    Some((start, out))
}

/// The first of [`KEYS`] with their values as JSON, if nothing else stands in `text`.
fn values(text: &[u8]) -> Option<Vec<(&'static [u8], Vec<u8>)>> {
    let (mut values, mut rest) = (Vec::new(), text.trim_ascii_end());
    for key in KEYS {
        if rest.is_empty() {
            break;
        }
        let value = rest.strip_prefix(key)?.strip_prefix(b"=")?;
        let mut json = Vec::new();
        let length = python::string(value.starts_with(b"\"").then_some(value)?, &mut json)?;
        values.push((key, json));
        rest = &value[length..];
        rest = rest.strip_prefix(b" ").unwrap_or(rest);
    }
    rest.is_empty().then_some(values)
}

fn write(field: Field, value: &[u8], out: &mut Vec<u8>) {
    out.push(b',');
    match field {
        Field::Text(key) => {
            rewrite::name(key, out);
            out.extend_from_slice(value);
        }
        Field::In(key, inner) => {
            rewrite::name(key, out);
            out.push(b'{');
            rewrite::name(inner, out);
            out.extend_from_slice(value);
            out.push(b'}');
        }
        Field::List(key) => {
            rewrite::name(key, out);
            out.push(b'[');
            out.extend_from_slice(value);
            out.push(b']');
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    const LINE: &str = r#"2026-11-23T17:21:08.912184-04:00 AUDIT: id="1" stage="ResponseComplete" ip="10.0.3.7" method="list" user="a" groups="\"b\",\"c\"" as="<self>" asgroups="<lookup>" user-agent="x\" uri=\"/y\u00e9" namespace="d" uri="/api/v1/pods?a=b" response="403""#;

    fn read(line: &str) -> Option<(usize, Value)> {
        let (start, json) = event(line.as_bytes())?;
        Some((start, serde_json::from_slice(&json).unwrap()))
    }

    #[test]
    fn a_line_is_an_event() {
        let wanted = json!({"kind": "Event", "apiVersion": "audit.k8s.io/v1", "auditID": "1", "stage": "ResponseComplete",
            "requestReceivedTimestamp": "2026-11-23T17:21:08.912184-04:00", "verb": "list", "requestURI": "/api/v1/pods?a=b",
            "userAgent": "x\" uri=\"/yé", "user": {"username": "a"}, "sourceIPs": ["10.0.3.7"], "responseStatus": {"code": "403"}});
        assert_eq!(read(LINE), Some((0, wanted.clone())));
        let prefix = "2026-11-23T17:21:09Z stdout F ";
        assert_eq!(
            read(&format!("{prefix}{LINE}\n")),
            Some((prefix.len(), wanted))
        );
        for none in [
            &LINE[1..],
            &LINE[..LINE.len() - 1],
            "x AUDIT: id=\"1\"",
            "",
            " AUDIT: ",
        ] {
            assert_eq!(read(none), None, "{none}");
        }
    }

    proptest! {
        #[test]
        fn nothing_panics(text in "[a-z=\" \\\\<]{0,40}", bytes in proptest::collection::vec(any::<u8>(), 0..30)) {
            event(format!("2026-11-23T17:21:08Z AUDIT: {text}").as_bytes());
            event(&[b"2026-11-23T17:21:08Z AUDIT: id=\"".as_slice(), &bytes].concat());
        }
    }
}
