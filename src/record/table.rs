//! Tables in one document of JSON, which name their columns once: answers of Log Analytics, Kusto, Elasticsearch, Splunk, Databricks,
//! Snowflake and Athena, and the lists of named values of CloudWatch Insights.
//!
//! Each row is read as the object that it is with the names of its columns for keys.

use simd_json::{
    prelude::*,
    tape::{Array, Object},
};

use super::rewrite;
use crate::audit::Json;

/// Bytes of the name of a column that are read, since it is written once for each row. Those that tell of a touch are shorter; a
/// client chooses the names of what it makes.
const MAX_NAME_BYTES: usize = 128;

/// Bytes of names that all rows together are always given, and how many more for each byte of their cells. Real tables have names
/// a few times as long as what stands below them; a name that has a hundred bytes above a million cells of one would take seconds.
const FREE_BYTES: usize = 1 << 20;
const MAX_RATIO: usize = 8;

/// Where a table has what.
struct Form {
    /// The keys that lead to its columns.
    columns: &'static [&'static str],
    /// Those that lead to its rows.
    rows: &'static [&'static str],
}

const FORMS: [Form; 8] = [
    form(&["columns"], &["rows"]),
    form(&["columns"], &["values"]),
    form(&["Columns"], &["Rows"]),
    form(&["fields"], &["rows"]),
    form(&["resultSetMetaData", "rowType"], &["data"]),
    form(
        &["manifest", "schema", "columns"],
        &["result", "data_array"],
    ),
    form(&["ResultSetMetadata", "ColumnInfo"], &["Rows"]),
    // Athena's first row has the names of its columns.
    form(&["Rows", "0", "Data"], &["Rows"]),
];

const fn form(columns: &'static [&'static str], rows: &'static [&'static str]) -> Form {
    Form { columns, rows }
}

/// The key of the text in a cell of Athena's.
const CELL: &str = "VarCharValue";

/// The keys under which columns have their names.
const NAMES: [&str; 4] = ["name", "Name", "ColumnName", CELL];

/// A table. What else the object that it was read from holds is no part of it.
pub struct Table<'v> {
    names: Vec<&'v str>,
    rows: Array<'v, 'v>,
    /// The key in the object behind which the rows stand.
    pub key: &'static str,
}

/// A row of a table.
pub enum Row<'v> {
    /// As JSON, with its keys.
    Named(Vec<u8>),
    /// Something else than a cell for each column.
    Other(Json<'v>),
    /// Not read by its names, which are too long for that.
    Beyond(Json<'v>),
}

impl<'v> Table<'v> {
    pub fn of(object: &Object<'v, 'v>) -> Option<Self> {
        // Most objects are none, and are asked this once.
        let is_first = |key: &str| FORMS.iter().any(|form| form.columns[0] == key);
        if !object.iter().any(|(key, _)| is_first(key)) {
            return None;
        }
        FORMS.iter().find_map(|form| {
            let rows = at(object, form.rows)?.as_array()?;
            let columns = at(object, form.columns)?.as_array()?;
            let names: Vec<&str> = columns.iter().map(name).collect::<Option<_>>()?;
            let key = form.rows.first()?;
            (!names.is_empty()).then_some(Self { names, rows, key })
        })
    }

    pub fn rows(&self) -> impl Iterator<Item = Row<'v>> {
        let mut room = FREE_BYTES;
        self.rows.iter().map(move |row| {
            let cells = row.as_array().or_else(|| row.get("Data")?.as_array());
            let Some(cells) = cells.filter(|cells| cells.len() == self.names.len()) else {
                return Row::Other(row);
            };
            if room == 0 {
                return Row::Beyond(row);
            }
            let (object, name_bytes) = named(self.names.iter().copied().zip(cells.iter()));
            room += MAX_RATIO * (object.len() - name_bytes);
            room = room.saturating_sub(name_bytes);
            Row::Named(object)
        })
    }
}

/// The object that `array` is, if it is nothing but `{"field":…,"value":…}`, as CloudWatch Insights tells a row.
pub fn named_values(array: &Array<'_, '_>) -> Option<Vec<u8>> {
    let pair = |item: Json<'_>| -> Option<()> {
        let object = item.as_object().filter(|object| object.len() == 2)?;
        let is_named = object.get("field").is_some_and(|field| field.is_str());
        (is_named && object.get("value").is_some()).then_some(())
    };
    if array.is_empty() || array.iter().any(|item| pair(item).is_none()) {
        return None;
    }
    let fields = array.iter().filter_map(|item| {
        let name = item.get("field")?.into_string()?;
        Some((name, item.get("value")?))
    });
    Some(named(fields).0)
}

/// The object with these fields but for those that tell nothing: a row may have many more columns than it needs. And how much of it
/// are names.
fn named<'v>(fields: impl Iterator<Item = (&'v str, Json<'v>)>) -> (Vec<u8>, usize) {
    let tells = |cell: &Json<'_>| !cell.is_null() && cell.into_string() != Some("");
    let (mut out, mut name_bytes) = (Vec::new(), 0);
    let fields = fields.filter(|(_, cell)| tells(cell));
    rewrite::fields(fields, &mut out, |(name, cell), out| {
        let text = cell.get(CELL);
        let is_empty = || cell.as_object().is_some_and(|cell| cell.is_empty());
        let before = out.len();
        rewrite::name(name, out);
        name_bytes += out.len() - before;
        match text {
            None if is_empty() => out.extend_from_slice(b"null"),
            _ => rewrite::value(text.unwrap_or(cell), 0, out),
        }
    });
    (out, name_bytes)
}

/// What stands in `object` at the end of `path`, in which the index of an item may be.
fn at<'v>(object: &Object<'v, 'v>, path: &[&str]) -> Option<Json<'v>> {
    let (first, rest) = path.split_first()?;
    let value = object.get(*first)?;
    rest.iter()
        .try_fold(value, |value, key| match value.as_array() {
            Some(array) => array.get(key.parse().ok()?),
            None => value.get(*key),
        })
}

/// The name of a column. What looks like JSON is none, but a cell of a table that names no columns.
fn name<'v>(column: Json<'v>) -> Option<&'v str> {
    let of_object = || NAMES.iter().find_map(|key| column.get(*key)?.into_string());
    let name = column.into_string().or_else(of_object)?;
    let is_json = name.trim_start().starts_with(['{', '[']);
    let mut ends = (0..=name.len().min(MAX_NAME_BYTES)).rev();
    let end = ends.find(|end| name.is_char_boundary(*end))?;
    (!is_json).then_some(&name[..end])
}
