//! Tables in one document of JSON, which name their columns once: answers of Log Analytics, Kusto, Elasticsearch, Splunk, Databricks,
//! Snowflake, Athena, BigQuery and Trino, and the lists of named values of CloudWatch Insights.
//!
//! Each row is read as the object that it is with the names of its columns for keys.

use simd_json::{
    prelude::*,
    tape::{Array, Object},
};

use crate::{
    audit::Json,
    record::{rewrite, stream::csv_row::is_stage, unwrap::lifted},
};

/// Bytes of the name of a column that are read, since it is written once for each row. Those that tell of a touch are shorter; a
/// client chooses the names of what it makes.
const MAX_NAME_BYTES: usize = 128;

/// Bytes of names that all rows together are always given, and how many more for each byte of their cells. Real tables have names
/// a few times as long as what stands below them; a name that has a hundred bytes above a million cells of one would take seconds.
const FREE_BYTES: usize = 1 << 20;
const MAX_RATIO: usize = 8;

/// Levels of records in one another that are read.
const MAX_DEPTH: usize = 64;

/// Where a table has what.
struct Form {
    /// The keys that lead to its columns.
    columns: &'static [&'static str],
    /// Those that lead to its rows, or to the cells of each column.
    rows: &'static [&'static str],
}

const FORMS: [Form; 15] = [
    form(&["columns"], &["rows"]),
    form(&["columns"], &["values"]),
    form(&["columns"], &["data"]),
    form(&["Columns"], &["Rows"]),
    form(&["fields"], &["rows"]),
    BY_COLUMN,
    form(&["schema", "fields"], &["rows"]),
    // SQL and PPL of OpenSearch.
    form(&["schema"], &["datarows"]),
    // Grafana's frames, ClickHouse's `JSONCompact`, Pinot.
    IN_FRAMES,
    form(&["meta"], &["data"]),
    form(&["dataSchema", "columnNames"], &["rows"]),
    form(&["resultSetMetaData", "rowType"], &["data"]),
    form(
        &["manifest", "schema", "columns"],
        &["result", "data_array"],
    ),
    form(&["ResultSetMetadata", "ColumnInfo"], &["Rows"]),
    // Athena's first row has the names of its columns.
    form(&["Rows", "0", "Data"], &["Rows"]),
];

/// Splunk's `json_cols`. Others have the cells of a column together where they were asked to (ES|QL's `columnar`), and do not say so.
const BY_COLUMN: Form = form(&["fields"], &["columns"]);

/// Grafana's, which always have the cells of a column together.
const IN_FRAMES: Form = form(&["schema", "fields"], &["data", "values"]);

/// Of no object.
const HEADED: Form = form(&["0"], &["0"]);

const fn form(columns: &'static [&'static str], rows: &'static [&'static str]) -> Form {
    Form { columns, rows }
}

/// The keys of the cells in a row of Athena's and of BigQuery's.
const CELLS: [&str; 2] = ["Data", ROW];
const ROW: &str = "f";

/// The key of the text in a cell of Athena's, and that of the value in one of BigQuery's.
const CELL: &str = "VarCharValue";
const VALUE: &str = "v";

/// The keys under which columns have their names.
const NAMES: [&str; 4] = ["name", "Name", "ColumnName", CELL];

/// A table. What else the object that it was read from holds is no part of it.
pub struct Table<'v> {
    columns: Vec<Column<'v>>,
    rows: Array<'v, 'v>,
    /// The rows are columns.
    is_by_column: bool,
    form: &'static Form,
}

#[derive(Clone, Copy)]
struct Column<'v> {
    name: &'v str,
    /// It tells nothing: a client chose so long a name within an event. Cut, two of them might be one.
    is_beyond: bool,
    /// What the table tells of it.
    told: Json<'v>,
}

/// A row of a table.
pub enum Row<'v> {
    /// As JSON, with its keys.
    Named(Vec<u8>),
    /// No row.
    Other(Json<'v>),
    /// More cells than columns, or fewer.
    Misfit(Json<'v>),
    /// Not read by its names, which are too long for that.
    Beyond(Vec<Json<'v>>),
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
            let columns = columns.iter().map(Column::read);
            let columns: Vec<_> = columns.collect::<Option<_>>()?;
            let is_said = [BY_COLUMN.rows, IN_FRAMES.rows].contains(&form.rows);
            (!columns.is_empty()).then(|| Self {
                is_by_column: is_by_column(&rows, &columns, is_said),
                columns,
                rows,
                form,
            })
        })
    }

    /// Of an array whose first row has the names of its columns: Druid's.
    pub fn of_rows(rows: &Array<'v, 'v>) -> Option<Self> {
        let first = rows.iter().next()?.as_array()?;
        let columns = first.iter().map(Column::read);
        let table = Self {
            columns: columns.collect::<Option<_>>()?,
            rows: *rows,
            is_by_column: false,
            form: &HEADED,
        };
        table.is_of_events().then_some(table)
    }

    /// The keys in the object behind which the columns and the rows stand.
    pub fn keys(&self) -> [&'static str; 2] {
        [self.form.columns[0], self.form.rows[0]]
    }

    /// Whether `object`, which it was read from, has two such keys, or two for the columns.
    pub fn is_ambiguous(&self, object: &Object<'v, 'v>) -> bool {
        self.keys().iter().any(|key| {
            let mut same = object.iter().filter(|(other, _)| other == key);
            same.nth(1).is_some()
        })
    }

    /// Whether its rows are events.
    pub fn is_of_events(&self) -> bool {
        lifted::are_of_events(self.columns.iter().map(|column| column.name))
    }

    pub fn rows(&self) -> impl Iterator<Item = Row<'v>> {
        let mut room = FREE_BYTES;
        self.cells().map(move |cells| {
            let cells = match cells {
                Ok(cells) => cells,
                Err(other) if cells_of(other).is_some() => return Row::Misfit(other),
                Err(other) => return Row::Other(other),
            };
            if room == 0 {
                return Row::Beyond(cells);
            }
            let fields = self.columns.iter().zip(cells);
            let (object, name_bytes) = named(fields.map(|(column, cell)| (*column, cell)));
            room += MAX_RATIO * (object.len() - name_bytes);
            room = room.saturating_sub(name_bytes);
            Row::Named(object)
        })
    }

    /// A cell for each column, or what is no row.
    fn cells(&self) -> Box<dyn Iterator<Item = Result<Vec<Json<'v>>, Json<'v>>> + '_> {
        if self.is_by_column {
            let columns = self.rows.iter().filter_map(|column| column.as_array());
            let mut columns: Vec<_> = columns.map(|cells| cells.into_iter()).collect();
            let next = move || columns.iter_mut().map(Iterator::next).collect();
            return Box::new(std::iter::from_fn(next).map(Ok));
        }
        Box::new(self.rows.iter().map(|row| {
            let cells = cells_of(row).filter(|cells| cells.len() == self.columns.len());
            cells.map(|cells| cells.iter().collect()).ok_or(row)
        }))
    }
}

impl<'v> Column<'v> {
    /// What looks like JSON is no name, but a cell of a table that names no columns.
    fn read(told: Json<'v>) -> Option<Self> {
        let of_object = || NAMES.iter().find_map(|key| told.get(*key)?.into_string());
        let name = told.into_string().or_else(of_object)?;
        let is_json = name.trim_start().starts_with(['{', '[']);
        (!is_json).then(|| Self::new(name, told))
    }

    fn new(name: &'v str, told: Json<'v>) -> Self {
        let mut ends = (0..=name.len().min(MAX_NAME_BYTES)).rev();
        let end = ends.find(|end| name.is_char_boundary(*end)).unwrap_or(0);
        Self {
            name: &name[..end],
            is_beyond: end < name.len() && lifted::field(name).is_some(),
            told,
        }
    }

    /// What tells whether a text may stand in its cells, if something does.
    fn check(&self) -> Option<fn(&str) -> bool> {
        match lifted::known(self.name.rsplit('.').next()?)? {
            "stage" => Some(|text| is_stage(text.as_bytes())),
            "requestURI" => Some(|text| text.starts_with('/')),
            _ => None,
        }
    }
}

/// The cells of `row`, if it is one.
fn cells_of<'v>(row: Json<'v>) -> Option<Array<'v, 'v>> {
    let of_object = || CELLS.iter().find_map(|key| row.get(*key)?.as_array());
    row.as_array().or_else(of_object)
}

/// Whether `rows` are the cells of each of `columns`: if they would fit no row, or what stands in them would not, or the table says so.
fn is_by_column(rows: &Array<'_, '_>, columns: &[Column<'_>], is_said: bool) -> bool {
    let length = |row: Json<'_>| row.as_array().map(|cells| cells.len());
    let Some(first) = rows.get(0).and_then(length) else {
        return false;
    };
    if rows.len() != columns.len() || rows.iter().any(|row| length(row) != Some(first)) {
        return false;
    }
    if first != columns.len() {
        return true;
    }
    let checks: Vec<_> = columns.iter().map(Column::check).collect();
    // The index of the column is that of the cell, or that of the row.
    let (mut fits_rows, mut fits_columns) = (true, true);
    for (row, cells) in rows.iter().filter_map(|row| row.as_array()).enumerate() {
        for (index, cell) in cells.iter().enumerate() {
            let Some(text) = cell.into_string().filter(|text| !text.is_empty()) else {
                continue;
            };
            fits_rows &= checks[index].is_none_or(|fits| fits(text));
            fits_columns &= checks[row].is_none_or(|fits| fits(text));
        }
    }
    match fits_rows == fits_columns {
        true => is_said,
        false => fits_columns,
    }
}

/// How the name of a value and the value are called: in CloudWatch Insights, and in Alibaba's Log Service and its clients.
const PAIRS: [[&str; 2]; 3] = [["field", "value"], ["key", "value"], ["Key", "Value"]];

/// The object that `array` is, if it is nothing but [`PAIRS`] of one kind.
pub fn named_values(array: &Array<'_, '_>) -> Option<Vec<u8>> {
    let first = array.iter().next()?.as_object()?;
    let [field, value] = PAIRS
        .iter()
        .find(|[field, _]| first.get(*field).is_some())?;
    let pair = |item: Json<'_>| -> Option<()> {
        let object = item.as_object().filter(|object| object.len() == 2)?;
        let is_named = object.get(*field).is_some_and(|field| field.is_str());
        (is_named && object.get(*value).is_some()).then_some(())
    };
    if array.iter().any(|item| pair(item).is_none()) {
        return None;
    }
    let fields = array.iter().filter_map(|told| {
        let name = told.get(*field)?.into_string()?;
        Some((Column::new(name, told), told.get(*value)?))
    });
    Some(named(fields).0)
}

/// The object with these fields but for those that tell nothing: a row may have many more columns than it needs. And how much of it
/// are names.
fn named<'v>(fields: impl Iterator<Item = (Column<'v>, Json<'v>)>) -> (Vec<u8>, usize) {
    let tells = |cell: &Json<'_>| !cell.is_null() && cell.into_string() != Some("");
    let (mut out, mut name_bytes) = (Vec::new(), 0);
    let fields = fields.filter(|(column, cell)| !column.is_beyond && tells(cell));
    rewrite::fields(fields, &mut out, |(column, cell), out| {
        write_name(&column, &mut name_bytes, out);
        write(column.told, cell, 0, &mut name_bytes, out);
    });
    (out, name_bytes)
}

fn write_name(column: &Column<'_>, name_bytes: &mut usize, out: &mut Vec<u8>) {
    let before = out.len();
    rewrite::name(column.name, out);
    *name_bytes += out.len() - before;
}

/// Appends what stands in a cell of the column of which the table tells `told`; adds to how many of the bytes are names.
fn write(told: Json<'_>, cell: Json<'_>, depth: usize, name_bytes: &mut usize, out: &mut Vec<u8>) {
    let is_empty = || cell.as_object().is_some_and(|cell| cell.is_empty());
    let value = || {
        let cell = cell.as_object().filter(|cell| cell.len() == 1)?;
        cell.get(VALUE)
    };
    if let Some(text) = cell.get(CELL) {
        rewrite::value(text, depth, out);
    } else if is_empty() {
        out.extend_from_slice(b"null");
    } else if let Some(value) = value().filter(|_| depth < MAX_DEPTH) {
        write_value(told, value, depth + 1, name_bytes, out);
    } else {
        rewrite::value(cell, depth, out);
    }
}

/// Appends a value of BigQuery's, in which records and arrays are made of cells themselves.
fn write_value(
    told: Json<'_>,
    value: Json<'_>,
    depth: usize,
    name_bytes: &mut usize,
    out: &mut Vec<u8>,
) {
    let columns = told.get("fields").and_then(|fields| fields.as_array());
    let cells = value.get(ROW).and_then(|cells| cells.as_array());
    if let (Some(columns), Some(cells)) = (columns, cells) {
        let has_room = *name_bytes <= FREE_BYTES + MAX_RATIO * (out.len() - *name_bytes);
        // Each is read again for each of very many cells.
        let is_record = columns.len() == cells.len() && has_room;
        let read = || columns.iter().map(Column::read).collect::<Option<Vec<_>>>();
        match is_record.then(read).flatten() {
            Some(columns) => {
                let fields = columns.iter().zip(cells.iter());
                let fields = fields.filter(|(column, _)| !column.is_beyond);
                rewrite::fields(fields, out, |(column, cell), out| {
                    write_name(column, name_bytes, out);
                    write(column.told, cell, depth, name_bytes, out);
                });
            }
            // What is no object is no part of an event that could be read.
            None => rewrite::items(cells.iter(), out, |cell, out| {
                rewrite::value(cell, depth, out);
            }),
        }
    } else if let Some(items) = value.as_array() {
        rewrite::items(items.iter(), out, |item, out| {
            write(told, item, depth, name_bytes, out);
        });
    } else {
        rewrite::value(value, depth, out);
    }
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn long_names_in_records_take_no_more_than_their_share() {
        let long = |number: usize| json!({"name": format!("{number}{}", "x".repeat(100))});
        let fields: Vec<_> = (0..1000).map(long).collect();
        let item = json!({"v": {"f": vec![json!({"v": 1}); 1000]}});
        let table = json!({"schema": {"fields": [{"name": "a", "fields": fields}]}, "rows": [{"f": [{"v": vec![item; 300]}]}]});
        let mut text = table.to_string().into_bytes();
        let most = FREE_BYTES + (1 + MAX_RATIO) * text.len();
        let tape = simd_json::to_tape(&mut text).unwrap();
        let object = tape.as_value().as_object().unwrap();
        let table = Table::of(&object).unwrap();
        let Some(Row::Named(row)) = table.rows().next() else {
            panic!("a row");
        };
        assert!(row.len() < most, "{} {most}", row.len());
        assert!(row.len() > FREE_BYTES, "{}", row.len());
    }
}
