//! Whatever a cloud or a log shipper wrapped around audit events is taken off.
//!
//! An audit event is looked for inside objects and arrays ([`MAX_DEPTH`] levels) and
//! inside strings that hold JSON ([`MAX_LAYERS`] layers). It is never looked for inside
//! another audit event: what a client writes into a body, a URI or a user agent must
//! not be taken for an event of its own.

use simd_json::{
    Buffers,
    prelude::*,
    tape::{Object, Tape},
};

use super::{
    escape::unescaped,
    pieces::{Piece, bears_mark, pieces},
    repair::repaired,
};
use crate::audit::{Event, Json};

/// Levels of objects and arrays that are searched.
pub const MAX_DEPTH: usize = 64;

/// Layers of JSON in a string that are searched, beside the record itself.
pub const MAX_LAYERS: usize = 4;

/// Working memory above this is given back after a record that needed it.
const KEPT_BYTES: usize = 1 << 20;

/// What a record turned out to hold.
pub enum Finding<'v> {
    Event(&'v Event<'v>),
    /// Bytes that look like JSON and cannot be decoded: cut off, malformed, nested beyond
    /// the limits, or an event with something else where its user or object belongs.
    Broken(&'v [u8]),
}

/// Finds the audit events of records. Holds working memory from one record to the next.
pub struct Unwrapper {
    layers: Vec<Layer>,
}

impl Default for Unwrapper {
    fn default() -> Self {
        Self {
            layers: (0..=MAX_LAYERS).map(|_| Layer::default()).collect(),
        }
    }
}

impl Unwrapper {
    /// Calls `found` with each audit event in `record` and with each part of it that
    /// cannot be decoded.
    pub fn unwrap(&mut self, record: &[u8], found: &mut dyn FnMut(Finding<'_>)) {
        search_text(&mut self.layers, record, found);
        for layer in &mut self.layers {
            layer.give_back();
        }
    }
}

/// The working memory of one layer: simd-json writes into what it reads, so each layer
/// has a copy.
struct Layer {
    copy: Vec<u8>,
    buffers: Buffers,
    tape: Tape<'static>,
}

impl Default for Layer {
    fn default() -> Self {
        Self {
            copy: Vec::new(),
            buffers: Buffers::default(),
            tape: Tape(Vec::new()),
        }
    }
}

impl Layer {
    /// Decodes `text` and calls `visit` with it; false if it is not one JSON value.
    fn decode(&mut self, text: &[u8], visit: impl FnOnce(Json<'_>)) -> bool {
        self.copy.clear();
        self.copy.extend_from_slice(text);
        let mut tape = std::mem::replace(&mut self.tape, Tape(Vec::new())).reset();
        let decoded = simd_json::fill_tape(&mut self.copy, &mut self.buffers, &mut tape).is_ok();
        if decoded {
            visit(tape.as_value());
        }
        self.tape = tape.reset();
        decoded
    }

    fn give_back(&mut self) {
        if self.copy.capacity() > KEPT_BYTES {
            *self = Self::default();
        }
    }
}

fn search_text(layers: &mut [Layer], text: &[u8], found: &mut dyn FnMut(Finding<'_>)) {
    let text = trimmed(text);
    let Some((layer, deeper)) = layers.split_first_mut() else {
        return found(Finding::Broken(text));
    };
    let is_whole = matches!(text.first(), Some(b'{' | b'['))
        && layer.decode(text, |value| search_value(deeper, value, text, found));
    if is_whole {
        return;
    }
    pieces(text, &mut |piece| match piece {
        Piece::Value(bytes) => {
            layer.decode(bytes, |value| search_value(deeper, value, bytes, found))
                || layer.decode(&repaired(bytes), |value| {
                    search_value(deeper, value, bytes, found);
                })
        }
        Piece::Broken(bytes) => {
            search_broken(deeper, bytes, found);
            true
        }
    });
}

/// Where a wrapper is cut off behind a string that holds an event, that event is still
/// whole, but its quotes are escaped.
fn search_broken(deeper: &mut [Layer], bytes: &[u8], found: &mut dyn FnMut(Finding<'_>)) {
    let start = bytes.iter().position(|byte| !matches!(byte, b'{' | b'['));
    if start.is_some_and(|start| bytes[start..].starts_with(b"\\")) && !deeper.is_empty() {
        let plain = unescaped(&String::from_utf8_lossy(bytes));
        search_text(deeper, plain.as_bytes(), found);
    } else {
        found(Finding::Broken(bytes));
    }
}

/// Searches a decoded value; `text` is what it was decoded from, and is broken if something
/// in it cannot be searched: once, however much that is.
fn search_value(
    deeper: &mut [Layer],
    value: Json<'_>,
    text: &[u8],
    found: &mut dyn FnMut(Finding<'_>),
) {
    if !search(deeper, value, 0, found) {
        found(Finding::Broken(text));
    }
}

/// Whether all of `value` could be searched.
fn search(
    deeper: &mut [Layer],
    value: Json<'_>,
    depth: usize,
    found: &mut dyn FnMut(Finding<'_>),
) -> bool {
    let mut is_searched = true;
    if let Some(object) = value.as_object() {
        if Event::is_one(&object) {
            let is_readable = Event::is_readable(&object);
            if is_readable {
                found(Finding::Event(&Event::from_object(&object)));
            }
            return is_readable;
        }
        if is_own_output(&object) {
            return true;
        }
        if depth == MAX_DEPTH {
            return false;
        }
        for (_, inner) in object.iter() {
            is_searched &= search(deeper, inner, depth + 1, found);
        }
    } else if let Some(array) = value.as_array() {
        if depth == MAX_DEPTH {
            return false;
        }
        for inner in array.iter() {
            is_searched &= search(deeper, inner, depth + 1, found);
        }
    } else if let Some(string) = value.into_string()
        && holds_json(string)
    {
        search_text(deeper, string.as_bytes(), found);
    }
    is_searched
}

/// baitline's own alerts and detections may come back by the same pipe; the excerpts in
/// them are no events.
fn is_own_output(object: &Object<'_, '_>) -> bool {
    let kind = object.get("type").and_then(|kind| kind.into_string());
    let id = match kind {
        Some("alert") => "alert_id",
        Some("detection") => "detection_id",
        _ => return false,
    };
    object.get("schema").is_some() && object.get(id).is_some()
}

/// Whether a string is JSON, or a log line with JSON in it, or with the rest of an event.
fn holds_json(string: &str) -> bool {
    let start = string.trim_start().as_bytes().first();
    matches!(start, Some(b'{' | b'['))
        || string.contains("{\"")
        || string.contains("{\\\"")
        || bears_mark(string.as_bytes())
}

fn trimmed(text: &[u8]) -> &[u8] {
    let is_padding = |byte: &u8| byte.is_ascii_whitespace() || *byte == 0;
    let start = text.iter().position(|byte| !is_padding(byte));
    let end = text.iter().rposition(|byte| !is_padding(byte));
    match (start, end) {
        (Some(start), Some(end)) => &text[start..=end],
        _ => &[],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The auditIDs of the events found, and how many parts were broken.
    fn unwrap(record: &str) -> (Vec<String>, usize) {
        let (mut ids, mut broken) = (Vec::new(), 0);
        Unwrapper::default().unwrap(record.as_bytes(), &mut |finding| match finding {
            Finding::Event(event) => ids.push(event.audit_id.unwrap_or("none").to_owned()),
            Finding::Broken(_) => broken += 1,
        });
        (ids, broken)
    }

    fn event(id: &str) -> String {
        format!(
            r#"{{"kind":"Event","apiVersion":"audit.k8s.io/v1","auditID":"{id}","verb":"get","user":{{"username":"u"}}}}"#
        )
    }

    fn quoted(text: &str) -> String {
        serde_json::to_string(text).unwrap()
    }

    #[test]
    fn an_event_is_found_in_every_wrapper() {
        let bare = event("1");
        let item = r#"{"level":"Metadata","auditID":"2","stage":"RequestReceived"}"#;
        let log = format!(r#"{{"date":1.5,"log":{}}}"#, quoted(&bare));
        let azure = format!(
            r#"{{"records":[{{"category":"kube-audit","properties":{{"log":{}}}}}]}}"#,
            quoted(&bare)
        );
        let four = (0..4).fold(bare.clone(), |text, _| {
            format!(r#"{{"m":{}}}"#, quoted(&text))
        });
        let deep = format!("{}{bare}{}", "[".repeat(63), "]".repeat(63));
        for record in [
            &bare,
            &log,
            &azure,
            &four,
            &deep,
            &format!("\u{feff} \0{bare}\r\n"),
        ] {
            assert_eq!(unwrap(record), (vec!["1".to_owned()], 0), "{record}");
        }
        let list = format!(
            r#"{{"kind":"EventList","apiVersion":"audit.k8s.io/v1","items":[{item},{bare}]}}"#
        );
        assert_eq!(unwrap(&list).0, ["2", "1"]);
        assert_eq!(unwrap(&format!("[{bare},{item}]")).0, ["1", "2"]);
    }

    #[test]
    fn several_values_and_log_prefixes_in_one_record() {
        let glued = format!("{}{}", event("1"), event("2"));
        assert_eq!(unwrap(&glued), (vec!["1".into(), "2".into()], 0));
        let prefixed = format!("2026-11-23T17:21:01.91Z stdout F {}", event("1"));
        assert_eq!(unwrap(&prefixed), (vec!["1".into()], 0));
        assert_eq!(
            unwrap(&format!(r#"{{"log":{}}}"#, quoted(&prefixed))).0,
            ["1"]
        );
    }

    #[test]
    fn nothing_is_looked_for_inside_an_event() {
        let forged = event("forged");
        let mut outer: serde_json::Value = serde_json::from_str(&event("real")).unwrap();
        outer["requestObject"] = serde_json::from_str(&forged).unwrap();
        outer["requestURI"] = forged.clone().into();
        outer["userAgent"] = forged.into();
        assert_eq!(unwrap(&outer.to_string()), (vec!["real".into()], 0));
    }

    #[test]
    fn other_objects_are_no_events() {
        for record in [
            r#"{"kind":"Event","apiVersion":"v1","reason":"Pulled","verb":"x","stageTimestamp":"y"}"#,
            r#"{"type":"alert","schema":1,"alert_id":"a","excerpt":"{\"auditID\":\"1\",\"verb\":"}"#,
            r#"{"message":"auditID honeypot backup-sa"}"#,
            "plain text with auditID",
            "",
        ] {
            assert_eq!(unwrap(record), (vec![], 0), "{record}");
        }
    }

    #[test]
    fn what_is_cut_off_is_broken_and_what_stands_before_it_is_found() {
        let (first, second) = (event("1"), event("2"));
        let cut_list = format!(r#"{{"kind":"EventList","items":[{first},{}"#, &second[..90]);
        assert_eq!(unwrap(&cut_list), (vec!["1".into()], 1));
        assert_eq!(unwrap(&second[..90]), (vec![], 1));
        let nested = format!(r#"{{"log":{}}}"#, quoted(&second[..90]));
        assert_eq!(unwrap(&nested), (vec![], 1));
        let cut_wrapper = format!(r#"{{"log":{},"kuber"#, quoted(&first));
        assert_eq!(unwrap(&cut_wrapper), (vec!["1".into()], 0));
    }

    #[test]
    fn a_cut_event_does_not_give_way_to_what_its_body_forges() {
        let cut = format!(
            r#"{{"kind":"Event","apiVersion":"audit.k8s.io/v1","auditID":"1","requestObject":{},"annot"#,
            event("forged")
        );
        assert_eq!(unwrap(&cut), (vec![], 1));
    }

    #[test]
    fn depth_beyond_the_limit_is_broken_and_harmless() {
        for depth in [65, 10_000, 1_000_000] {
            let nested = format!("{}{}{}", "[".repeat(depth), event("1"), "]".repeat(depth));
            assert_eq!(unwrap(&nested), (vec![], 1), "{depth}");
            assert_eq!(unwrap(&"[".repeat(depth)).0.len(), 0);
            assert_eq!(unwrap(&r#"{"a":"#.repeat(depth)).0.len(), 0);
        }
        let layers = (0..5).fold(event("1"), |text, _| {
            format!(r#"{{"m":{}}}"#, quoted(&text))
        });
        assert_eq!(unwrap(&layers), (vec![], 1));
    }

    #[test]
    fn what_the_parser_refuses_and_the_api_server_takes_is_mended() {
        let odd = event("1").replace(
            r#""verb":"get""#,
            r#""verb":"get","requestObject":{"big":1e999,"long":123456789012345678901234567890,"half":"\ud83d"}"#,
        );
        assert_eq!(unwrap(&odd), (vec!["1".into()], 0));
        let mut bytes = event("1").into_bytes();
        let at = bytes.len() - 4;
        assert_eq!(bytes[at], b'u');
        bytes[at] = 0xff;
        let mut events = 0;
        Unwrapper::default().unwrap(&bytes, &mut |finding| {
            events += usize::from(matches!(finding, Finding::Event(_)));
        });
        assert_eq!(events, 1);
    }
}
