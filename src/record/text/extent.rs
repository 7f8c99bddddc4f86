//! How far what begins in a text reaches.

use memchr::{memchr, memchr2};

use super::escape::{backslashes, entity};

/// Brackets within each other that are stepped into in search of whole values: those without a partner, and those around what cannot be
/// decoded.
pub const MAX_OPEN: usize = 8;

/// The length of the rest of a field of CSV, if what begins with the brackets at the start of `text` has its quotes doubled:
/// `{""kind"":""Event""}`.
///
/// Within a string of JSON a quote stands behind a backslash, so that no text of a client looks like this. A key that is
/// empty is followed by a colon, an item by a comma or a bracket.
pub fn doubled_end(text: &[u8]) -> Option<usize> {
    let brackets = open_brackets(text);
    let first = text[brackets..].strip_prefix(b"\"\"")?.first()?;
    if first.is_ascii_whitespace() || matches!(first, b':' | b',' | b']' | b'}') {
        return None;
    }
    let mut at = brackets;
    while let Some(offset) = memchr(b'"', &text[at..]) {
        at += offset;
        if text.get(at + 1) != Some(&b'"') {
            return Some(at);
        }
        at += 2;
    }
    Some(text.len())
}

/// The length of the rest of a text of XML, if what begins with the brackets at the start of `text` has entities for its quotes:
/// `{&quot;kind&quot;:&quot;Event&quot;}`. Brackets in its strings cannot be told from others, so that all of it is one.
pub fn entities_end(text: &[u8]) -> Option<usize> {
    let brackets = open_brackets(text);
    let is_quote = entity(&text[brackets..]).is_some_and(|(character, _)| character == b'"');
    is_quote.then(|| memchr2(b'<', b'"', text).unwrap_or(text.len()))
}

/// How many brackets `text` begins with, as far as they are stepped into.
pub fn open_brackets(text: &[u8]) -> usize {
    let is_bracket = |byte: &&u8| matches!(byte, b'{' | b'[');
    text.iter().take(MAX_OPEN).take_while(is_bracket).count()
}

/// The length of the value that begins with the bracket at the start of `text`.
pub fn value_end(text: &[u8]) -> Option<usize> {
    value_length(text.iter().copied())
}

/// As [`value_end`], also if the value stands in strings, each quote of it behind as many backslashes as the first.
pub fn value_end_in_string(text: &[u8]) -> Option<usize> {
    let layers = layers(text);
    if layers == 0 {
        return value_end(text);
    }
    let (mut open, mut before) = (Open::default(), 0_usize);
    for (index, byte) in text.iter().enumerate() {
        if *byte == b'\\' {
            before += 1;
            continue;
        }
        // Within a string of the value a quote is behind one more backslash, and as many for each layer again.
        let is_escaped = *byte == b'"' && before % (2 * (layers + 1)) != layers;
        if *byte == b'"' && before < layers {
            return None;
        }
        if !is_escaped && open.is_over_behind(*byte) {
            return Some(index + 1);
        }
        before = 0;
    }
    None
}

/// Whether the first quote in `text` is escaped.
pub fn is_in_string(text: &[u8]) -> bool {
    memchr(b'"', text).is_some_and(|quote| backslashes(&text[..quote]) > 0)
}

/// How many backslashes stand before the first quote of the value that begins with the bracket at the start of `text`. Behind the value
/// none is looked for: there may be many, and no quote for long.
fn layers(text: &[u8]) -> usize {
    let mut depth = 0_usize;
    for (index, byte) in text.iter().enumerate() {
        match byte {
            b'"' => return backslashes(&text[..index]),
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            break;
        }
    }
    0
}

/// How many of `bytes`, the first of which is a bracket, are the value that it begins; nothing behind it is taken.
pub fn value_length(bytes: impl Iterator<Item = u8>) -> Option<usize> {
    let (mut open, mut escaped) = (Open::default(), false);
    for (index, byte) in bytes.enumerate() {
        if escaped {
            escaped = false;
        } else if byte == b'\\' {
            escaped = open.in_string;
        } else if open.is_over_behind(byte) {
            return Some(index + 1);
        }
    }
    None
}

/// What of a value is open.
#[derive(Default)]
struct Open {
    depth: usize,
    in_string: bool,
}

impl Open {
    /// Takes the next byte, which is not escaped; whether the value ends with it.
    fn is_over_behind(&mut self, byte: u8) -> bool {
        match byte {
            b'"' => self.in_string = !self.in_string,
            b'{' | b'[' if !self.in_string => self.depth += 1,
            b'}' | b']' if !self.in_string => {
                self.depth -= 1;
                return self.depth == 0;
            }
            _ => {}
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    /// `text` as it stands in so many strings in one another.
    fn in_strings(text: String, layers: usize) -> String {
        (0..layers).fold(text, |text, _| {
            let string = Value::from(text).to_string();
            string[1..string.len() - 1].to_owned()
        })
    }

    proptest! {
        #[test]
        fn a_value_ends_where_it_ends_in_any_layer_of_strings(
            texts in proptest::collection::vec("[a{}\\[\\]\"\\\\,:]{0,6}", 1..4),
            layers in 0_usize..4,
        ) {
            let value = json!({"a": [texts, {"b": {}}], "c": 1}).to_string();
            let value = in_strings(value, layers);
            let tail = in_strings(r#","d":"}]"}"#.to_owned(), layers);
            let text = format!("{value}{tail}");
            prop_assert_eq!(value_end_in_string(text.as_bytes()), Some(value.len()), "{}", text);
            // The string ends before the value does.
            let cut = &value[..value.len() - 1];
            let cut = format!("{cut}\",\"e\":1}}");
            if layers > 0 {
                prop_assert_eq!(value_end_in_string(cut.as_bytes()), None, "{}", cut);
            }
        }

        #[test]
        fn nothing_panics(text in "[{\\[][a{}\\[\\]\"\\\\&quot;<]{0,30}") {
            let text = text.as_bytes();
            value_end_in_string(text);
            doubled_end(text);
            entities_end(text);
        }
    }
}
