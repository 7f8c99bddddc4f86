//! Strict JSON to the tree.

use jsonc_parser::{
    ParseOptions,
    ast::{ObjectProp, Value as Json},
    common::Ranged,
    errors::ParseErrorKind,
};

use super::{
    fault::{Fault, harmless},
    tree::{Entry, Lines, MAX_DEPTH, Node, Str, Value},
};

const STRICT: ParseOptions = ParseOptions {
    allow_comments: false,
    allow_loose_object_property_names: false,
    allow_trailing_commas: false,
    allow_missing_commas: false,
    allow_single_quoted_strings: false,
    allow_hexadecimal_numbers: false,
    allow_unary_plus_numbers: false,
    allow_bare_decimal_point_numbers: false,
    allow_extended_string_escapes: false,
    allow_non_finite_numbers: false,
};

/// The tree of `text`, or `None` with a fault if it is not JSON.
pub(super) fn parse(text: &str, lines: &Lines<'_>, faults: &mut Vec<Fault>) -> Option<Node> {
    match jsonc_parser::parse_to_ast(text, &Default::default(), &STRICT) {
        Ok(parsed) => match parsed.value {
            Some(value) => Reader { lines, faults }.node(&value, 0),
            None => {
                faults.push(Fault::at(
                    &lines.at(1, 1),
                    "not valid JSON: the file is empty",
                ));
                None
            }
        },
        Err(error) => {
            let place = lines.place(error.range().start);
            let advice = match error.kind() {
                ParseErrorKind::CommentsNotAllowed => "; remove it, or write YAML or TOML",
                ParseErrorKind::TrailingCommasNotAllowed => "; remove the last comma",
                _ => "",
            };
            let reason = harmless(&error.kind().to_string()).to_lowercase();
            faults.push(Fault::at(
                &place,
                format!("not valid JSON: {reason}{advice}"),
            ));
            None
        }
    }
}

struct Reader<'a, 'f> {
    lines: &'a Lines<'a>,
    faults: &'f mut Vec<Fault>,
}

impl Reader<'_, '_> {
    fn node(&mut self, json: &Json<'_>, depth: usize) -> Option<Node> {
        let place = self.lines.place(json.start());
        if depth > MAX_DEPTH {
            self.faults.push(Fault::at(
                &place,
                format!("nested deeper than {MAX_DEPTH} levels"),
            ));
            return None;
        }
        let value = match json {
            Json::NullKeyword(_) => Value::Null,
            Json::BooleanLit(literal) => Value::Bool(literal.value),
            Json::NumberLit(literal) => Value::of_plain(literal.value),
            Json::StringLit(literal) => Value::String(Str::literal(literal.value.as_ref())),
            Json::Array(array) => Value::List(
                array
                    .elements
                    .iter()
                    .map(|element| self.node(element, depth + 1))
                    .collect::<Option<_>>()?,
            ),
            Json::Object(object) => {
                let entries = object
                    .properties
                    .iter()
                    .map(|property| self.entry(property, depth))
                    .collect::<Option<_>>()?;
                Value::map(entries, self.faults)
            }
        };
        Some(Node { place, value })
    }

    fn entry(&mut self, property: &ObjectProp<'_>, depth: usize) -> Option<Entry> {
        Some(Entry {
            key: property.name.as_str().to_owned(),
            place: self.lines.place(property.start()),
            node: self.node(&property.value, depth + 1)?,
        })
    }
}
