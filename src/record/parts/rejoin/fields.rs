//! What stands in a record that a shipper made of a line.

use std::{borrow::Cow, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};
use serde_json::value::RawValue;

use super::{is_whole, unquoted};
use crate::{
    audit::parse_time,
    record::parts::{
        part_mark::{DOCKER_PART_BYTES, Marks, Part, Said, is_mark},
        partial::Kept,
    },
};

/// Where shippers put the text of a line. The first that is there counts.
const TEXTS: [&str; 8] = [
    "log", "message", "MESSAGE", "msg", "line", "text", "content", "body",
];

/// Marks that all parts of a line bear, the last too. Docker's own do not: its last part may have the id of the line, or nothing.
const LASTING_MARKS: [&str; 2] = ["logtag", "_p"];

/// Marks that are the same in all parts of a line.
const MARKS_OF_LINE: [&str; 3] = ["partial_id", "CONTAINER_PARTIAL_ID", "container_partial_id"];

/// What each record has of its own.
const OWN: [&str; 11] = [
    "time",
    "timestamp",
    "@timestamp",
    "date",
    "datetime",
    "ts",
    "offset",
    "_id",
    "id",
    "uuid",
    "insertId",
];

/// Where Docker and conmon tell journald stdout from stderr: a number that counts.
const PRIORITIES: [&str; 2] = ["PRIORITY", "priority"];

/// Longer texts tell no stream.
const MAX_TEXT_BYTES: usize = 1 << 10;

/// Objects in one another that are looked through.
const MAX_DEPTH: usize = 8;

/// The fields of an object, as they stand in it.
pub struct Fields<'r>(Vec<(String, &'r str)>);

/// The text of a line, or of a part of one.
pub struct Text<'r> {
    pub key: &'static str,
    /// As it stands in the record.
    pub json: &'r str,
    pub plain: Cow<'r, str>,
    /// What the runtime's own line says that the shipper kept whole: which part it is, and of which stream.
    kept: Option<(Part, &'static str)>,
}

impl<'r> Text<'r> {
    fn new(key: &'static str, json: &'r str, plain: Cow<'r, str>) -> Self {
        let (plain, kept) = match Kept::read(&plain) {
            Some(Kept { text, part, stream }) => {
                (Cow::Owned(text.to_owned()), Some((part, stream)))
            }
            None => (plain, None),
        };
        Self {
            key,
            json,
            plain,
            kept,
        }
    }
}

impl<'r> Fields<'r> {
    /// `None` if `object` is none.
    pub fn read(object: &'r str) -> Option<Self> {
        serde_json::from_str(object).ok()
    }

    /// Which part its text is, if it says so.
    pub fn part(&self) -> Option<Part> {
        let mut marks = Marks::default();
        for (key, value) in &self.0 {
            let text = unquoted(value);
            let said = match (&text, *value) {
                (Some(text), _) => Said::Text(text),
                (None, "true") => Said::True,
                (None, "null") => Said::Null,
                (None, _) => Said::Other,
            };
            marks.see(key, said);
        }
        marks
            .part()
            .or_else(|| self.is_cut_by_docker().then_some(Part::Open))
            .or_else(|| Some(self.text()?.kept?.0))
    }

    fn is_cut_by_docker(&self) -> bool {
        let mut keys = self.0.iter();
        let is_of_container = keys.any(|(key, _)| key == "stream");
        let text = self.text().filter(|_| is_of_container);
        text.is_some_and(|text| {
            text.key == "log"
                && text.plain.len() >= DOCKER_PART_BYTES
                && !text.plain.ends_with('\n')
                && !is_whole(&text.plain)
        })
    }

    /// Its text.
    pub fn text(&self) -> Option<Text<'r>> {
        TEXTS.into_iter().find_map(|text| {
            let (_, json) = self.0.iter().find(|(key, _)| key == text)?;
            Some(Text::new(text, json, unquoted(json)?))
        })
    }

    /// All but the marks and what holds `text`, each behind a comma.
    pub fn others(&self, text: &Text<'_>) -> String {
        let mut others = String::new();
        for (key, value) in &self.0 {
            if !is_mark(key) && !value.contains(text.json) {
                // A string can always be written.
                let key = serde_json::to_string(key).unwrap_or_default();
                others.push_str(&format!(",{key}:{value}"));
            }
        }
        others
    }

    /// Adds what tells the stream of a line from others, each with its key and that of the object it stands in: the marks that all
    /// of its parts bear, and texts that are no times, no numbers, not long, and no copies of `text`.
    pub fn add_to(&self, text: &Text<'_>, add: &mut dyn FnMut((&str, &str, &str))) {
        if let Some((_, stream)) = text.kept {
            add(("", text.key, stream));
        }
        for (key, value) in &self.0 {
            let key = key.as_str();
            if LASTING_MARKS.contains(&key) {
                add(("", key, ""));
            } else if key != text.key
                && !OWN.contains(&key)
                && (!is_mark(key) || MARKS_OF_LINE.contains(&key))
            {
                add_value("", key, value, text, MAX_DEPTH, add);
            }
        }
    }
}

fn add_value(
    outer: &str,
    key: &str,
    value: &str,
    text: &Text<'_>,
    depth: usize,
    add: &mut dyn FnMut((&str, &str, &str)),
) {
    if value.starts_with('{') && depth > 0 {
        let inner = Fields::read(value).map_or(Vec::new(), |fields| fields.0);
        for (inner, value) in &inner {
            add_value(key, inner, value, text, depth - 1, add);
        }
    } else if value.len() <= MAX_TEXT_BYTES
        && !key.starts_with("__")
        && value != text.json
        && let Some(told) = unquoted(value)
        && parse_time(&told).is_none()
        && (PRIORITIES.contains(&key) || !told.bytes().all(|byte| byte.is_ascii_digit()))
    {
        add((outer, key, &told));
    }
}

impl<'de: 'r, 'r> Deserialize<'de> for Fields<'r> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Read;

        impl<'de> Visitor<'de> for Read {
            type Value = Fields<'de>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Self::Value, M::Error> {
                let mut fields = Vec::new();
                while let Some((key, value)) = map.next_entry::<String, &RawValue>()? {
                    fields.push((key, value.get()));
                }
                Ok(Fields(fields))
            }
        }

        deserializer.deserialize_map(Read)
    }
}
