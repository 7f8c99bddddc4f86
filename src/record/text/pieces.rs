//! What stands in a text that is more, or less, than one JSON value: several values back to
//! back, behind a log prefix, before trailing text, cut off at either end, or damaged.

use memchr::{memchr, memchr2, memmem};

use super::{
    backslashed,
    escape::{undoubled, without_entities},
    extent::{MAX_OPEN, doubled_end, entities_end, is_in_string, value_end, value_end_in_string},
    own, python,
};

/// Keys that only an audit event has; the last four are Google's.
const KEYS: [&str; 10] = [
    "auditID",
    "auditid",
    "AUDITID",
    "requestReceivedTimestamp",
    "stageTimestamp",
    "AuditId",
    "methodName",
    "insertId",
    "protoPayload",
    "protopayload_auditlog",
];

/// Words that only audit events hold, before their bodies or as the keys of these.
const MARKS: [&str; 20] = [
    "auditID",
    "auditid",
    "AUDITID",
    "requestURI",
    "requesturi",
    "REQUESTURI",
    "Timestamp",
    "AuditId",
    "protoPayload",
    "protopayload",
    "proto_payload",
    "authentication_info",
    AUDIT_LOG,
    // Of Google's methods, and before bodies.
    "io.k8s.",
    "requestObject",
    "responseObject",
    "RequestObject",
    "ResponseObject",
    "request_object",
    "response_object",
];

/// What Google calls an event that it made of one.
const AUDIT_LOG: &str = "cloud.audit.AuditLog";

/// Bytes that joined keys may have before the last.
const MAX_PREFIX_BYTES: usize = 128;

/// A part of a text.
#[derive(Debug, PartialEq, Eq)]
pub enum Piece<'r> {
    /// From a bracket to its partner.
    Value(&'r [u8]),
    /// The same within something that was cut off or damaged, so that nobody knows what it is there.
    Item(&'r [u8]),
    /// A value in a field of CSV, where each quote is written twice, to the end of the field.
    Doubled(&'r [u8]),
    /// A value in text of XML, with entities for its quotes, to the end of the text.
    Entities(&'r [u8]),
    /// A value that Python printed, and the same as JSON.
    Python(&'r [u8], Vec<u8>),
    /// Values in a text whose backslashes were doubled, and the same as JSON.
    Backslashed(&'r [u8], Vec<u8>),
    /// What is left of something that was cut off or damaged.
    Broken(&'r [u8]),
    /// The same, if nothing stands in the strings that begin so many bytes in, with escaped quotes.
    Strings(&'r [u8], usize),
}

impl<'r> Piece<'r> {
    /// What is left and may begin in a string, behind escaped quotes.
    fn rest(text: &'r [u8]) -> Self {
        let start = text.iter().position(|byte| !matches!(byte, b'{' | b'['));
        match start.is_some_and(|start| text[start] == b'\\') {
            true => Self::Strings(text, 0),
            false => Self::Broken(text),
        }
    }

    /// Whether it is known where it ends. In a field or a text of XML it ends with that, and a client's text may begin so.
    pub fn has_certain_end(&self) -> bool {
        !matches!(self, Self::Doubled(_) | Self::Entities(_))
    }

    /// It, as it stands in the text.
    pub fn text(&self) -> &'r [u8] {
        match self {
            Self::Value(text)
            | Self::Item(text)
            | Self::Doubled(text)
            | Self::Entities(text)
            | Self::Python(text, _)
            | Self::Backslashed(text, _)
            | Self::Broken(text)
            | Self::Strings(text, _) => text,
        }
    }
}

/// What became of a piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// It is no value, or cannot be decoded.
    Undecoded,
    /// It tells no event.
    Decoded,
    Event,
}

/// Calls `take` with the pieces of `text`, in order; into a value that it could not decode, this steps.
///
/// Behind a bracket without a partner, and inside what cannot be decoded, whole values are
/// still looked for, so that a damaged list gives its sound items; but not behind the mark of
/// an audit event, since what stands there may be a body of that event. What is damaged is not told beside an event of its items.
pub fn pieces<'r>(text: &'r [u8], take: &mut dyn FnMut(Piece<'r>) -> Taken) {
    let (values, tail) = text.split_at(headless(text).unwrap_or(text.len()));
    let mut front = values;
    step_through(values, 0, &mut |piece| {
        let start = piece.text().as_ptr().addr() - values.as_ptr().addr();
        // What is in the others is searched as a text of its own.
        let is_value = matches!(piece, Piece::Value(_));
        let taken = take(piece);
        if !is_value || taken != Taken::Decoded {
            front = &front[..start.min(front.len())];
        }
        taken
    });
    if ends_more(front) && bears_mark(front) {
        take(Piece::rest(front));
    }
    if !tail.is_empty() {
        take(Piece::rest(tail));
    }
}

/// Takes the values in `text`, which lies inside of `depth` values that cannot be decoded
/// and begins with the bracket of the innermost.
fn step_through<'r>(text: &'r [u8], depth: usize, take: &mut dyn FnMut(Piece<'r>) -> Taken) {
    let (mut at, mut open, mut python) = (depth.min(1), depth, Python::default());
    // What is broken and was not told begins there. Behind an item that told an event there may be nothing else, but what stands there
    // is still inside.
    let (mut broken, mut is_inside) = ((depth > 0).then_some(0), depth > 0);
    while let Some(offset) = memchr2(b'{', b'[', &text[at..]) {
        let start = at + offset;
        if is_inside && (open > MAX_OPEN || bears_mark(&text[at..start])) {
            broken = broken.or(Some(at));
            break;
        }
        if !is_inside && let Some(length) = own::cut_length(&text[start..]) {
            at = start + length;
        } else if let Some((json, length)) = backslashed::json(text, start) {
            take(Piece::Backslashed(&text[start..start + length], json));
            at = start + length;
        } else if text.get(start + 1) == Some(&b'\\') {
            let first = broken.unwrap_or(start);
            take(Piece::Strings(&text[first..], start - first));
            return;
        } else if let Some(length) = doubled_end(&text[start..]) {
            take(Piece::Doubled(&text[start..start + length]));
            at = start + length;
        } else if let Some(length) = entities_end(&text[start..]) {
            take(Piece::Entities(&text[start..start + length]));
            at = start + length;
        } else if let Some(length) = python.length(&text[start..], |value, json| {
            take(Piece::Python(value, json)) != Taken::Undecoded
        }) {
            at = start + length;
        } else if let Some(length) = value_end(&text[start..]) {
            let value = &text[start..start + length];
            let piece = match is_inside {
                true => Piece::Item(value),
                false => Piece::Value(value),
            };
            let tells = match take(piece) {
                Taken::Event => true,
                // Attributes of an event, or the names of columns: what follows may be a body.
                Taken::Decoded if is_inside && bears_mark(value) => {
                    broken = broken.or(Some(start));
                    break;
                }
                Taken::Decoded => false,
                Taken::Undecoded => {
                    if depth < MAX_OPEN {
                        step_through(value, depth + 1, take);
                    } else {
                        take(Piece::rest(value));
                    }
                    bears_mark_as_key(value)
                }
            };
            broken = broken.filter(|_| !tells);
            at = start + length;
        } else {
            (broken, is_inside) = (broken.or(Some(start)), true);
            open += 1;
            at = start + 1;
        }
    }
    if let Some(start) = broken {
        take(Piece::rest(&text[start..]));
    }
}

/// What looks like values of Python in one text. Each may reach to the end of it and be none, so that after a few no other is tried.
#[derive(Default)]
struct Python {
    /// How many were none.
    strays: usize,
}

impl Python {
    /// How long the value is at the beginning of `text`, if it is one that `is_taken`, given it and the same as JSON.
    fn length<'r>(
        &mut self,
        text: &'r [u8],
        is_taken: impl FnOnce(&'r [u8], Vec<u8>) -> bool,
    ) -> Option<usize> {
        if self.strays > MAX_OPEN || !python::is_one(text) {
            return None;
        }
        let value = python::json(text);
        let length =
            value.and_then(|(json, length)| is_taken(&text[..length], json).then_some(length));
        self.strays += usize::from(length.is_none());
        length
    }
}

/// Whether `text` ends something that began before it: behind a value of it stands the partner of a bracket that does not.
fn ends_more(text: &[u8]) -> bool {
    let mut at = 0;
    while let Some(offset) = memchr2(b'{', b'[', &text[at..]) {
        at += offset;
        let Some(length) = value_end(&text[at..]) else {
            return false;
        };
        at += length;
        let behind = text[at..].trim_ascii_start();
        if matches!(behind.first(), Some(b'}' | b']')) {
            return true;
        }
    }
    false
}

/// Where the rest of an event begins whose beginning was cut off: some of its fields stand
/// outside of all brackets. Whole events may come before it.
fn headless(text: &[u8]) -> Option<usize> {
    let (mut at, mut start, mut has_begun) = (0, 0, false);
    let mut python = Python::default();
    loop {
        let end = memchr2(b'{', b'[', &text[at..]).map_or(text.len(), |offset| at + offset);
        let between = &text[at..end];
        if has_field(between) {
            return Some(start);
        }
        has_begun |= memchr(b'"', between).is_some();
        let of_backslashed = || Some(backslashed::json(text, end)?.1);
        let length = doubled_end(&text[end..])
            .or_else(|| python.length(&text[end..], |_, _| true))
            .or_else(of_backslashed);
        at = end + length.or_else(|| value_end_in_string(&text[end..]))?;
        // An event in a string is whole, and what stands beside it was lifted out of it.
        let value = &text[end..at];
        if is_in_string(value) && !is_in_string(between) && has_field(value) {
            return None;
        }
        if !has_begun && bears_mark(&text[end..at]) {
            start = at;
        }
    }
}

/// Whether the rest of an event stands in `text`, however its quotes are written: not in a string that begins in it, as one does that
/// somebody logged.
pub fn holds_rest(text: &[u8]) -> bool {
    let has_quotes = memchr(b'"', text).is_some();
    let is_plain =
        |key: &str, text: &[u8]| memmem::find(text, format!("\"{key}\":").as_bytes()).is_some();
    let is_rest = |text: &[u8]| {
        headless(text).is_some()
            && (is_in_string(text) || KEYS.into_iter().any(|key| is_plain(key, text)))
    };
    is_rest(text) || is_rest(&undoubled(text)) || (!has_quotes && is_rest(&without_entities(text)))
}

/// Whether one of [`KEYS`] stands in `text` as a key: in quotes, before a colon.
pub fn has_field(text: &[u8]) -> bool {
    let is_key = |key: &str, at: usize| {
        let after = text[at + key.len()..].trim_ascii_start();
        let backslashes = after.iter().take_while(|byte| **byte == b'\\').count();
        begins_key(&text[..at])
            && after[backslashes..]
                .strip_prefix(b"\"")
                .is_some_and(|after| after.trim_ascii_start().starts_with(b":"))
    };
    KEYS.iter()
        .any(|key| memmem::find_iter(text, key).any(|at| is_key(key, at)))
}

/// Whether `before` ends where a key begins: at a quote, or behind keys that were joined to it, as in
/// `"kubernetes.audit.auditID"`.
pub fn begins_key(before: &[u8]) -> bool {
    let is_of_key =
        |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-' | b'@');
    let prefix = before.iter().rev().take(MAX_PREFIX_BYTES);
    let length = prefix.take_while(|byte| is_of_key(byte)).count();
    let (before, prefix) = before.split_at(before.len() - length);
    before.ends_with(b"\"") && (prefix.is_empty() || prefix.ends_with(b"."))
}

/// Whether `text` holds a word that stands only in audit events, before their bodies.
pub fn bears_mark(text: &[u8]) -> bool {
    MARKS
        .iter()
        .any(|mark| memmem::find(text, mark.as_bytes()).is_some())
}

/// The same, but not where such a key stands as a name beside its value, as in `{"key":"auditID","value":"1"}`.
fn bears_mark_as_key(text: &[u8]) -> bool {
    let is_of_key = |byte: &u8| byte.is_ascii_alphanumeric() || b"._-/@".contains(byte);
    let is_key = |end: usize| {
        let rest = &text[end..];
        let rest = &rest[rest.iter().take_while(|byte| is_of_key(byte)).count()..];
        let rest = &rest[rest.iter().take_while(|byte| **byte == b'\\').count()..];
        let behind = rest.strip_prefix(b"\"").or(rest.strip_prefix(b"'"));
        behind.is_none_or(|behind| behind.trim_ascii_start().starts_with(b":"))
    };
    MARKS.iter().any(|mark| {
        let mut places = memmem::find_iter(text, mark);
        places.any(|at| *mark == AUDIT_LOG || is_key(at + mark.len()))
    })
}

/// Where the first of the words of [`bears_mark`] ends in `text`: what begins before stands behind none.
pub fn first_mark_end(text: &[u8]) -> Option<usize> {
    MARKS
        .iter()
        .filter_map(|mark| Some(memmem::find(text, mark.as_bytes())? + mark.len()))
        .min()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The values and the broken parts.
    fn parts(record: &str) -> (Vec<&str>, Vec<&str>) {
        let (mut whole, mut broken) = (Vec::new(), Vec::new());
        pieces(record.as_bytes(), &mut |piece| {
            let (list, bytes) = match piece {
                Piece::Value(bytes)
                | Piece::Item(bytes)
                | Piece::Doubled(bytes)
                | Piece::Entities(bytes) => (&mut whole, bytes),
                Piece::Broken(bytes) => (&mut broken, bytes),
                Piece::Strings(bytes, at) => (&mut broken, &bytes[at..]),
                Piece::Python(..) | Piece::Backslashed(..) => return Taken::Undecoded,
            };
            list.push(std::str::from_utf8(bytes).unwrap());
            match bears_mark_as_key(bytes) {
                true => Taken::Event,
                false => Taken::Decoded,
            }
        });
        (whole, broken)
    }

    #[test]
    fn brackets_in_strings_do_not_count() {
        assert_eq!(
            parts(r#"x {"a":"}\"]["} [1] y"#),
            (vec![r#"{"a":"}\"]["}"#, "[1]"], vec![])
        );
    }

    #[test]
    fn a_stray_bracket_hides_nothing() {
        assert_eq!(parts(r#"[WARN app: {"a":1}"#).0, [r#"{"a":1}"#]);
        assert_eq!(parts(r#"{"a":{"b""#), (vec![], vec![r#"{"a":{"b""#]));
    }

    #[test]
    fn fields_outside_of_brackets_are_the_rest_of_an_event() {
        for rest in [
            r#"a"},"b":{"c":1},"auditID":"1","d":[]}"#,
            r#"\"a\":1,\"stageTimestamp\" : \"2026\"}","e":{}}"#,
            r#"1\"},\"a\":{\"b\":\"\\\"}[\"},\"auditID\":\"1\"}","e":{}}"#,
            r#"d":"1","protoPayload":{"methodName":"m"},"timestamp":"2026"}"#,
            r#"1","user":"{\"username\":\"[}\\\"\"}","auditID":"1"}"#,
        ] {
            assert_eq!(parts(rest), (vec![], vec![rest]));
            let behind = format!(r#"{{"auditID":1}}{rest}"#);
            assert_eq!(parts(&behind), (vec![r#"{"auditID":1}"#], vec![rest]));
            let body = format!(r#"{{"a":1}},{rest}"#);
            assert_eq!(parts(&body), (vec![], vec![body.as_str()]));
        }
        let carried = r#"a":"1","log":"{\"auditID\":\"1\",\"b\":{}}","stageTimestamp":"2026"}"#;
        let place = carried.find("{\\").unwrap();
        assert_eq!(parts(carried), (vec![], vec![&carried[place..]]));
        assert_eq!(parts(r#"the "auditID" of "x" {"a":1}"#).1.len(), 0);
    }

    #[test]
    fn a_field_of_csv_ends_at_a_single_quote() {
        let field = r#"{""a"":""\""}}\"""",""b"":[""x"","""",{}],""auditID"":1}"#;
        for record in [
            format!(r#"2026,"{field}",x"#),
            format!(r#""{field}""#),
            format!(r#""{field}"#),
            format!(r#"[WARN] "x, ""y""","{field}""#),
        ] {
            let (values, broken) = parts(&record);
            assert_eq!(values.last(), Some(&field), "{record}");
            assert_eq!(broken, [""; 0], "{record}");
        }
        let list = format!("[{field}]");
        assert_eq!(parts(&format!(r#""{list}""#)).0, [list]);
        let two = format!(r#""{field}","{field}""#);
        assert_eq!(parts(&two), (vec![field, field], vec![]));
        for plain in [
            r#"{"":1}"#,
            r#"{"" : 1}"#,
            r#"["",""]"#,
            r#"[""]"#,
            r#"[[""]]"#,
        ] {
            assert_eq!(parts(&format!("x {plain} y")).0, [plain]);
        }
    }

    #[test]
    fn a_text_of_xml_ends_where_the_next_begins() {
        let event = "{&quot;a&quot;:&quot;}]&amp;quot;&quot;,&quot;b&#34;:[1]}";
        for (record, wanted) in [
            (format!("<d>{event}</d><d>{event}</d>"), vec![event, event]),
            (format!("<d a=\"{event}\"/> {{}}"), vec![event, "{}"]),
            (format!("x {event}"), vec![event]),
        ] {
            assert_eq!(parts(&record), (wanted, vec![]), "{record}");
        }
    }

    proptest! {
        #[test]
        fn nothing_panics(record in proptest::collection::vec(prop_oneof![
            Just(b'{'), Just(b'}'), Just(b'['), Just(b']'), Just(b'"'), Just(b'\\'), any::<u8>()], 0..200)) {
            for taken in [Taken::Undecoded, Taken::Decoded, Taken::Event] {
                pieces(&record, &mut |_| taken);
            }
        }
    }
}
