//! The one small tree that YAML, TOML and JSON become. Every value and every key
//! knows where it stands.

use std::{
    borrow::Cow,
    cell::Cell,
    collections::{HashMap, hash_map},
};

use super::fault::{Fault, Place, Position, quoted};

/// How deep lists and maps may nest. The language itself needs six levels.
pub(crate) const MAX_DEPTH: usize = 64;

/// A value and where it begins.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub place: Place,
    pub value: Value,
}

#[derive(Clone, Debug)]
pub(crate) enum Value {
    Null,
    Bool(bool),
    Integer(i64),
    /// Also an integer that is too large. Keeps how it was written.
    Float(f64, String),
    String(Str),
    List(Vec<Node>),
    Map(Vec<Entry>),
    /// What stood here has its fault already: whoever reads it says no more.
    Faulty,
}

/// A string and where it came from.
#[derive(Clone, Debug)]
pub(crate) struct Str {
    pub value: String,
    pub origin: Origin,
}

/// What came from the environment may be a secret: faults show the text as written.
#[derive(Clone, Debug)]
pub(crate) enum Origin {
    /// As it stands in the file.
    Literal,
    /// Partly from the environment; as written.
    Mixed(String),
    /// One variable and nothing else, so it may be read as a number or a boolean; as written.
    Variable(String),
}

#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub key: String,
    pub place: Place,
    pub node: Node,
}

impl Str {
    pub fn literal(value: impl Into<String>) -> Self {
        Self {
            value: value.into(),
            origin: Origin::Literal,
        }
    }

    /// As a fault shows it.
    pub fn shown(&self) -> String {
        match &self.origin {
            Origin::Literal => quoted(&self.value),
            Origin::Mixed(written) | Origin::Variable(written) => quoted(written),
        }
    }

    pub fn is_literal(&self) -> bool {
        matches!(self.origin, Origin::Literal)
    }
}

impl Value {
    /// A map of `entries`. A key that stands there twice is a fault, and its first value counts.
    pub fn map(entries: Vec<Entry>, faults: &mut Vec<Fault>) -> Self {
        let mut seen: HashMap<String, Place> = HashMap::new();
        let mut kept = Vec::with_capacity(entries.len());
        for entry in entries {
            match seen.entry(entry.key.clone()) {
                hash_map::Entry::Vacant(slot) => {
                    slot.insert(entry.place.clone());
                    kept.push(entry);
                }
                hash_map::Entry::Occupied(first) => {
                    faults.push(duplicate_key(&entry.key, &entry.place, Some(first.get())));
                }
            }
        }
        Self::Map(kept)
    }

    /// What an unquoted scalar means: YAML's core schema.
    pub fn of_plain(text: &str) -> Self {
        match text {
            "" | "~" | "null" | "Null" | "NULL" => return Self::Null,
            "true" | "True" | "TRUE" => return Self::Bool(true),
            "false" | "False" | "FALSE" => return Self::Bool(false),
            _ => {}
        }
        let integer = match (text.strip_prefix("0x"), text.strip_prefix("0o")) {
            (Some(digits), _) => i64::from_str_radix(digits, 16),
            (_, Some(digits)) => i64::from_str_radix(digits, 8),
            _ => text.parse(),
        };
        if let Ok(integer) = integer {
            return Self::Integer(integer);
        }
        let numeric = text
            .bytes()
            .all(|b| b.is_ascii_digit() || b"+-.eE".contains(&b))
            && text.bytes().any(|b| b.is_ascii_digit());
        match text.parse() {
            Ok(float) if numeric => Self::Float(float, text.to_owned()),
            _ => Self::String(Str::literal(text)),
        }
    }
}

/// A key as it may be shown: what stands behind a colon is a value, and may be a secret.
pub(crate) fn without_value(key: &str) -> Cow<'_, str> {
    match key.split_once(':') {
        Some((key, _)) => Cow::Owned(format!("{key}:…")),
        None => Cow::Borrowed(key),
    }
}

/// The fault of a key that stands twice in one map.
pub(crate) fn duplicate_key(key: &str, place: &Place, first: Option<&Place>) -> Fault {
    let key = quoted(&without_value(key));
    match first {
        Some(first) => Fault::at(
            place,
            format!("{key} already stands at {first}; remove or rename one"),
        ),
        None => Fault::at(
            place,
            format!("{key} stands here a second time; remove or rename one"),
        ),
    }
}

impl Node {
    /// The value of an unquoted scalar where a number or a boolean is wanted: what one
    /// variable stands for counts as unquoted.
    fn scalar(&self) -> Value {
        match &self.value {
            Value::String(Str {
                value,
                origin: Origin::Variable(_),
            }) => Value::of_plain(value),
            Value::Bool(value) => Value::Bool(*value),
            Value::Integer(value) => Value::Integer(*value),
            Value::Float(value, written) => Value::Float(*value, written.clone()),
            _ => Value::Null,
        }
    }

    pub fn as_bool(&self) -> Option<bool> {
        match self.scalar() {
            Value::Bool(value) => Some(value),
            _ => None,
        }
    }

    pub fn as_integer(&self) -> Option<i64> {
        match self.scalar() {
            Value::Integer(value) => Some(value),
            _ => None,
        }
    }

    /// A number, with or without a fraction.
    pub fn as_float(&self) -> Option<f64> {
        match self.scalar() {
            Value::Integer(value) => Some(value as f64),
            Value::Float(value, _) => Some(value),
            _ => None,
        }
    }

    pub fn as_text(&self) -> Option<&Str> {
        match &self.value {
            Value::String(text) => Some(text),
            _ => None,
        }
    }

    pub fn is_faulty(&self) -> bool {
        matches!(self.value, Value::Faulty)
    }

    /// How many values it is made of, itself included.
    pub fn size(&self) -> usize {
        1 + match &self.value {
            Value::List(items) => items.iter().map(Self::size).sum(),
            Value::Map(entries) => entries.iter().map(|entry| entry.node.size()).sum(),
            _ => 0,
        }
    }

    /// What kind of value it is, for `…, found …` where it may be a secret.
    pub fn kind(&self) -> &'static str {
        match &self.value {
            Value::Null => "nothing",
            Value::Bool(_) => "true or false",
            Value::Integer(_) | Value::Float(..) => "a number",
            Value::String(_) => "a string",
            Value::List(_) => "a list",
            Value::Map(_) => "a map",
            Value::Faulty => "a fault",
        }
    }

    /// What it is, for `…, found …`.
    pub fn found(&self) -> String {
        match &self.value {
            Value::Null => "nothing".to_owned(),
            Value::Bool(value) => value.to_string(),
            Value::Integer(value) => format!("the number {value}"),
            Value::Float(_, written) => format!("the number {}", quoted(written).trim_matches('"')),
            Value::String(text) => format!("the string {}", text.shown()),
            Value::List(_) => "a list".to_owned(),
            Value::Map(_) => "a map".to_owned(),
            Value::Faulty => "a fault".to_owned(),
        }
    }
}

/// The parser's side of a file: turns offsets into places.
pub(crate) struct Lines<'a> {
    file: &'a Place,
    text: &'a str,
    /// The byte offset at which each line begins.
    starts: Vec<usize>,
    /// The last offset that was asked for, and its column. Parsers ask from front to back, so
    /// counting on from there keeps a file that is one long line from taking quadratic time.
    last: Cell<(usize, usize)>,
}

impl<'a> Lines<'a> {
    /// `file` is the place of the file as a whole.
    pub fn new(file: &'a Place, text: &'a str) -> Self {
        let after_newlines = text.match_indices('\n').map(|(at, _)| at + 1);
        Self {
            file,
            text,
            starts: std::iter::once(0).chain(after_newlines).collect(),
            last: Cell::new((0, 1)),
        }
    }

    /// Where the byte at `offset` stands.
    pub fn place(&self, offset: usize) -> Place {
        let offset = (0..=offset.min(self.text.len()))
            .rev()
            .find(|&at| self.text.is_char_boundary(at))
            .unwrap_or(0);
        let line = self.starts.partition_point(|&start| start <= offset);
        let start = self.starts[line - 1];
        let (from, column) = match self.last.get() {
            last @ (at, _) if (start..=offset).contains(&at) => last,
            _ => (start, 1),
        };
        let column = column + self.text[from..offset].chars().count();
        self.last.set((offset, column));
        self.at(line, column)
    }

    /// Line and column, both from 1.
    pub fn at(&self, line: usize, column: usize) -> Place {
        Place {
            file: self.file.file.clone(),
            position: Some(Position { line, column }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_become_lines_and_columns_in_characters() {
        let file = Place {
            file: "f".into(),
            position: None,
        };
        let lines = Lines::new(&file, "a\néx\n");
        let shown = |offset| lines.place(offset).to_string();
        assert_eq!(shown(0), "f:1:1");
        assert_eq!(shown(2), "f:2:1");
        assert_eq!(shown(3), "f:2:1", "inside é");
        assert_eq!(shown(4), "f:2:2");
        assert_eq!(shown(5), "f:2:3");
        assert_eq!(shown(2), "f:2:1", "backwards");
        assert_eq!(shown(6), "f:3:1");
        assert_eq!(shown(600), "f:3:1");
    }

    #[test]
    fn plain_scalars_mean_what_the_core_schema_says() {
        assert!(matches!(Value::of_plain("~"), Value::Null));
        assert!(matches!(Value::of_plain("+12"), Value::Integer(12)));
        assert!(matches!(Value::of_plain("0x1f"), Value::Integer(31)));
        assert!(matches!(Value::of_plain("-.5e1"), Value::Float(f, _) if f == -5.0));
        assert!(matches!(
            Value::of_plain("99999999999999999999"),
            Value::Float(..)
        ));
        for string in [
            "yes", "on", "inf", "nan", "1.2.3", "1_000", "e", "-", "True!",
        ] {
            assert!(
                matches!(Value::of_plain(string), Value::String(_)),
                "{string}"
            );
        }
    }
}
