//! The JSON values in a record that is more, or less, than one JSON value: several
//! back to back, behind a log prefix, before trailing text, or cut off.

use memchr::{memchr2, memmem};

use super::unwrap::begins_as_own_output;

/// Brackets without a partner that are stepped into in search of whole values behind them.
const MAX_OPEN: usize = 8;

/// A part of a record.
#[derive(Debug, PartialEq, Eq)]
pub enum Piece<'r> {
    /// From a bracket to its partner.
    Whole(&'r [u8]),
    /// From a bracket without a partner to the end.
    Cut(&'r [u8]),
}

/// The pieces of `record`, in order.
///
/// Behind a bracket without a partner, whole values are still looked for, so that a
/// list that is cut off gives its whole items; but not behind the mark of an audit
/// event, since what stands there may be a body of that event.
pub fn pieces(record: &[u8]) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    let (mut at, mut open) = (0, 0);
    let mut cut: Option<usize> = None;
    while let Some(offset) = memchr2(b'{', b'[', &record[at..]) {
        let start = at + offset;
        // What a line of our own shows of an event is none; whatever is glued to it may be.
        let in_own_output = cut.is_some_and(|cut| begins_as_own_output(&record[cut..]));
        let in_event = !in_own_output && cut.is_some_and(|cut| bears_mark(&record[cut..start]));
        if in_event || open > MAX_OPEN {
            break;
        }
        if record.get(start + 1) == Some(&b'\\') {
            if in_own_output {
                at = start + 1;
                continue;
            }
            cut = Some(start);
            break;
        }
        at = match value_end(&record[start..]) {
            Some(length) => {
                let value = &record[start..start + length];
                if !in_own_output || has_audit_id(value) {
                    pieces.push(Piece::Whole(value));
                    cut = cut.filter(|_| !bears_mark(value));
                }
                start + length
            }
            None => {
                cut = cut.or(Some(start));
                open += 1;
                start + 1
            }
        };
    }
    pieces.extend(cut.map(|cut| Piece::Cut(&record[cut..])));
    pieces
}

/// Whether `text` holds a key that only an audit event has.
fn bears_mark(text: &[u8]) -> bool {
    [&b"auditID"[..], b"requestURI", b"Timestamp"]
        .iter()
        .any(|mark| memmem::find(text, mark).is_some())
}

/// Whether a key of `value` is an audit event's, and not a quotation: there its quotes would be escaped.
fn has_audit_id(value: &[u8]) -> bool {
    [&b"{\"auditID\""[..], b",\"auditID\""]
        .iter()
        .any(|key| memmem::find(value, key).is_some())
}

/// The length of the value that begins with the bracket at the start of `text`.
fn value_end(text: &[u8]) -> Option<usize> {
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    for (index, byte) in text.iter().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = in_string,
            b'"' => in_string = !in_string,
            b'{' | b'[' if !in_string => depth += 1,
            b'}' | b']' if !in_string => {
                depth -= 1;
                if depth == 0 {
                    return Some(index + 1);
                }
            }
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn whole(record: &str) -> Vec<&str> {
        pieces(record.as_bytes())
            .into_iter()
            .filter_map(|piece| match piece {
                Piece::Whole(bytes) => Some(std::str::from_utf8(bytes).unwrap()),
                Piece::Cut(_) => None,
            })
            .collect()
    }

    #[test]
    fn brackets_in_strings_do_not_count() {
        assert_eq!(
            whole(r#"x {"a":"}\"]["} [1] y"#),
            [r#"{"a":"}\"]["}"#, "[1]"]
        );
    }

    #[test]
    fn a_stray_bracket_hides_nothing() {
        assert_eq!(whole(r#"[WARN app: {"a":1}"#), [r#"{"a":1}"#]);
        assert_eq!(pieces(b"{\"a\":{\"b\""), [Piece::Cut(b"{\"a\":{\"b\"")]);
    }

    proptest! {
        #[test]
        fn nothing_panics(record in proptest::collection::vec(prop_oneof![
            Just(b'{'), Just(b'}'), Just(b'['), Just(b']'), Just(b'"'), Just(b'\\'), any::<u8>()], 0..200)) {
            pieces(&record);
        }
    }
}
