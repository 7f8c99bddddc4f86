//! TOML to the tree.

use std::ops::Range;

use toml_edit::{Document, Item, Key, TableLike, Value as Toml};

use super::{
    fault::{Fault, Place, harmless},
    tree::{Entry, Lines, Node, Str, Value, duplicate_key},
};

/// The tree of `text`, or `None` with a fault if it is not TOML.
pub(super) fn parse(text: &str, lines: &Lines<'_>, faults: &mut Vec<Fault>) -> Option<Node> {
    match Document::parse(text) {
        Ok(document) => {
            let mut reader = Reader { lines, faults };
            Some(reader.table(document.as_table(), lines.at(1, 1)))
        }
        Err(error) => {
            let span = error.span().unwrap_or_default();
            let place = lines.place(span.start);
            faults.push(if error.message() == "duplicate key" {
                let key = text.get(span.clone()).unwrap_or_default();
                let first = first_of_duplicate(text, span).map(|offset| lines.place(offset));
                duplicate_key(key, &place, first.as_ref())
            } else {
                Fault::at(
                    &place,
                    format!("not valid TOML: {}", harmless(error.message())),
                )
            });
            None
        }
    }
}

struct Reader<'a, 'f> {
    lines: &'a Lines<'a>,
    faults: &'f mut Vec<Fault>,
}

/// Recursion is bounded: the parser refuses what nests deeper than 80 levels.
impl Reader<'_, '_> {
    fn table(&mut self, table: &dyn TableLike, place: Place) -> Node {
        let entries = table.iter().map(|(name, item)| {
            let span = table.key(name).and_then(Key::span).or_else(|| item.span());
            let place = self.lines.place(span.unwrap_or_default().start);
            Entry {
                key: name.to_owned(),
                node: self.item(item, place.clone()),
                place,
            }
        });
        let entries = entries.collect();
        Node {
            place,
            value: Value::map(entries, self.faults),
        }
    }

    /// `key` is the place of the key: a table that is built from headers begins there.
    fn item(&mut self, item: &Item, key: Place) -> Node {
        match item {
            Item::None => Node {
                place: key,
                value: Value::Null,
            },
            Item::Value(value) => self.value(value, key),
            Item::Table(table) => self.table(table, key),
            Item::ArrayOfTables(tables) => {
                let nodes = tables.iter().map(|table| {
                    let place = table
                        .span()
                        .map_or_else(|| key.clone(), |at| self.lines.place(at.start));
                    self.table(table, place)
                });
                Node {
                    value: Value::List(nodes.collect()),
                    place: key,
                }
            }
        }
    }

    fn value(&mut self, toml: &Toml, key: Place) -> Node {
        let place = toml.span().map_or(key, |at| self.lines.place(at.start));
        let value = match toml {
            Toml::String(string) => Value::String(Str::literal(string.value().as_str())),
            Toml::Integer(integer) => Value::Integer(*integer.value()),
            Toml::Float(float) => Value::Float(*float.value(), float.value().to_string()),
            Toml::Boolean(boolean) => Value::Bool(*boolean.value()),
            Toml::Datetime(time) => Value::String(Str::literal(time.value().to_string())),
            Toml::Array(items) => Value::List(
                items
                    .iter()
                    .map(|item| self.value(item, place.clone()))
                    .collect(),
            ),
            Toml::InlineTable(table) => return self.table(table, place),
        };
        Node { place, value }
    }
}

/// Where the key that stands a second time at `second` stands the first time: the
/// parser tells only the second. What comes before that line is sound, so it is parsed by
/// itself, and the dotted path on the line is looked up in it.
fn first_of_duplicate(text: &str, second: Range<usize>) -> Option<usize> {
    let line_start = text
        .get(..second.start)?
        .rfind('\n')
        .map_or(0, |newline| newline + 1);
    let before = Document::parse(&text[..line_start]).ok()?;
    let written = text.get(line_start..second.end)?.trim_start();
    let path = Key::parse(written.trim_start_matches('[').trim_start()).ok()?;
    let (last, parents) = path.split_last()?;
    let root: &dyn TableLike = before.as_table();
    let mut table = if written.starts_with('[') {
        root
    } else {
        last_header(root)
    };
    for key in parents {
        table = match table.get(key.get())? {
            Item::ArrayOfTables(tables) => tables.iter().last()?,
            item => item.as_table_like()?,
        };
    }
    table.key(last.get())?.span().map(|span| span.start)
}

/// The table of the header that stands last below `root`; `root` if there is none.
fn last_header(root: &dyn TableLike) -> &dyn TableLike {
    fn visit<'a>(item: &'a Item, last: &mut (usize, &'a dyn TableLike)) {
        match item {
            Item::Table(table) => {
                let at = table.span().map_or(0, |span| span.start);
                if !table.is_implicit() && !table.is_dotted() && at >= last.0 {
                    *last = (at, table);
                }
                table.iter().for_each(|(_, item)| visit(item, last));
            }
            Item::ArrayOfTables(tables) => {
                for table in tables {
                    let at = table.span().map_or(0, |span| span.start);
                    if at >= last.0 {
                        *last = (at, table);
                    }
                    table.iter().for_each(|(_, item)| visit(item, last));
                }
            }
            Item::None | Item::Value(_) => {}
        }
    }
    let mut last = (0, root);
    root.iter().for_each(|(_, item)| visit(item, &mut last));
    last.1
}
