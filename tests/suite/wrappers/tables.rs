//! Tables in one document of JSON: names of columns on top, then rows of cells.

use baitline::detect::Technique;
use serde_json::{Value, json};

use super::{
    forged::{DECOY, forgeries, hit},
    found, told_event, without_origin,
};
use crate::soundness::events;

/// What a column is called, and what stands in it.
pub type Cells = Vec<(String, Value)>;

/// The fields of `event`, with those that are no scalars as text.
pub fn cells(event: &Value, name: impl Fn(&str) -> String) -> Cells {
    let text = |value: &Value| match value {
        Value::Object(_) | Value::Array(_) => value.to_string().into(),
        scalar => scalar.clone(),
    };
    let fields = event.as_object().expect("an object").iter();
    fields
        .map(|(key, value)| (name(key), text(value)))
        .collect()
}

/// The scalars in `value` under all keys on the way to them.
pub fn dotted(path: &str, value: &Value, out: &mut Cells) {
    match value {
        Value::Object(fields) => fields
            .iter()
            .for_each(|(key, inner)| dotted(&format!("{path}{key}."), inner, out)),
        Value::Array(items) => items
            .iter()
            .enumerate()
            .for_each(|(index, inner)| dotted(&format!("{path}{index}."), inner, out)),
        scalar => out.push((path.trim_end_matches('.').to_owned(), scalar.clone())),
    }
}

pub fn azure(key: &str) -> String {
    match key {
        "auditID" => "AuditId".to_owned(),
        "requestURI" => "RequestUri".to_owned(),
        "sourceIPs" => "SourceIps".to_owned(),
        "requestReceivedTimestamp" => "RequestReceivedTime".to_owned(),
        "stageTimestamp" => "StageReceivedTime".to_owned(),
        key => key[..1].to_uppercase() + &key[1..],
    }
}

fn names(cells: &Cells, key: &str) -> Value {
    cells
        .iter()
        .map(|(name, _)| json!({key: name, "type": "string"}))
        .collect()
}

fn row(cells: &Cells) -> Value {
    cells.iter().map(|(_, cell)| cell.clone()).collect()
}

/// `event` in each vendor's table, beside a row of something else.
fn tables(event: &Value) -> Vec<Value> {
    let mut all = Vec::new();
    for event in [cells(event, azure), cells(event, str::to_owned)] {
        let nothing: Value = event.iter().map(|_| Value::Null).collect();
        // Log Analytics and its like; Kusto; SQL of Elasticsearch; Splunk's `json_rows`; Databricks.
        all.push(json!({"tables": [{"name": "PrimaryResult", "columns": names(&event, "name"), "rows": [nothing, row(&event)]}]}));
        all.push(json!({"Tables": [{"TableName": "Table_0", "Columns": names(&event, "ColumnName"), "Rows": [row(&event)]}]}));
        all.push(json!({"columns": names(&event, "name"), "rows": [row(&event), nothing]}));
        let fields: Value = event.iter().map(|(name, _)| name.clone()).collect();
        all.push(json!({"preview": false, "fields": fields, "rows": [row(&event)]}));
        all.push(json!({"schema": names(&event, "name"), "datarows": [nothing, row(&event)], "total": 2, "size": 2, "status": 200}));
        // ClickHouse's `JSONCompact`, Pinot, Druid.
        all.push(json!({"meta": names(&event, "name"), "data": [row(&event), nothing], "rows": 2}));
        all.push(
            json!({"resultTable": {"dataSchema": {"columnNames": fields}, "rows": [row(&event)]}}),
        );
        all.push(json!([fields, nothing, row(&event)]));
        all.push(json!({"manifest": {"schema": {"columns": names(&event, "name")}}, "result": {"data_array": [row(&event)]}}));
    }
    let own = cells(event, str::to_owned);
    let column = |(_, cell): &(String, Value)| json!([cell, null, "x"]);
    let by_column: Value = own.iter().map(column).collect();
    let fields: Value = own.iter().map(|(name, _)| name.clone()).collect();
    // Splunk's `json_cols`; ES|QL's `columnar`; pandas' `split`, Trino.
    all.push(json!({"fields": fields, "columns": by_column}));
    all.push(json!({"columns": names(&own, "name"), "values": by_column}));
    // Grafana's frames.
    let frame = json!({"schema": {"name": "x", "fields": names(&own, "name")}, "data": {"values": by_column}});
    all.push(json!({"results": {"A": {"status": 200, "frames": [frame]}}}));
    all.push(json!({"columns": fields, "index": [0], "data": [row(&own)]}));
    // BigQuery, of text and of records.
    let texts: Value = own.iter().map(|(_, text)| cell(text)).collect();
    all.push(json!({"kind": "bigquery#queryResponse", "schema": {"fields": names(&own, "name")}, "rows": [{"f": texts}]}));
    all.push(json!({"schema": {"fields": field("", event)["fields"]}, "rows": [cell(event)["v"]]}));
    let upper = cells(event, str::to_uppercase);
    all.push(json!({"resultSetMetaData": {"numRows": 1, "rowType": names(&upper, "name")}, "data": [row(&upper)], "code": "090001"}));
    let lower = cells(event, str::to_lowercase);
    let data = |cell: &Value| match cell {
        Value::Null => json!({}),
        Value::String(text) => json!({"VarCharValue": text}),
        cell => json!({"VarCharValue": cell.to_string()}),
    };
    let values: Value = lower.iter().map(|(_, cell)| data(cell)).collect();
    let header: Value = lower
        .iter()
        .map(|(name, _)| json!({"VarCharValue": name}))
        .collect();
    all.push(json!({"ResultSet": {"Rows": [{"Data": header}, {"Data": values}]}}));
    all.push(json!({"ResultSet": {"Rows": [{"Data": header}, {"Data": values}], "ResultSetMetadata": {"ColumnInfo": names(&lower, "Name")}}}));
    all.push(json!({"ResultSet": {"Rows": [{"Data": values}], "ResultSetMetadata": {"ColumnInfo": names(&lower, "Name")}}}));
    let mut joined = Vec::new();
    dotted("", event, &mut joined);
    let fields: Value = joined
        .iter()
        .map(|(name, cell)| json!({"field": name, "value": cell}))
        .collect();
    all.push(json!({"results": [[{"field": "@ptr", "value": "x"}], fields], "status": "Complete"}));
    // Alibaba's Log Service, as its API and as its client in Go has it.
    for [key, value] in [["key", "value"], ["Key", "Value"]] {
        let pairs = own
            .iter()
            .map(|(name, cell)| json!({key: name, value: cell}));
        all.push(json!({"logs": [{"time": 1, "contents": pairs.collect::<Value>()}]}));
    }
    joined
        .iter_mut()
        .for_each(|(name, _)| name.insert_str(0, "kubernetes.audit."));
    all.push(json!({"took": 1, "columns": names(&joined, "name"), "values": [row(&joined)]}));
    all
}

/// What BigQuery tells of the column of `value`.
fn field(name: &str, value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            let fields: Value = fields
                .iter()
                .map(|(name, value)| field(name, value))
                .collect();
            json!({"name": name, "type": "RECORD", "fields": fields})
        }
        Value::Array(items) => {
            let mut item = items
                .first()
                .map_or_else(|| json!({"name": name}), |item| field(name, item));
            item["mode"] = "REPEATED".into();
            item
        }
        _ => json!({"name": name, "type": "STRING"}),
    }
}

/// `value` in one of its cells.
fn cell(value: &Value) -> Value {
    let inner = match value {
        Value::Object(fields) => json!({"f": fields.values().map(cell).collect::<Value>()}),
        Value::Array(items) => items.iter().map(cell).collect(),
        Value::Null => Value::Null,
        Value::String(text) => text.clone().into(),
        scalar => scalar.to_string().into(),
    };
    json!({"v": inner})
}

fn techniques(record: &Value) -> Vec<Technique> {
    let all = found(None, record.to_string().as_bytes());
    all.iter().map(|one| one.technique).collect()
}

#[test]
fn a_long_name_of_a_column_hides_no_row() {
    let mut cells = cells(&hit("1"), str::to_owned);
    for long in [
        "x".repeat(1000),
        "ä".repeat(500),
        format!("y{}", "ä".repeat(500)),
    ] {
        cells.push((
            format!("requestObject.metadata.annotations.{long}"),
            json!("z"),
        ));
        // Cut, it would be the same.
        cells.push((
            format!("requestObject.metadata.annotations.{long}2"),
            json!("z"),
        ));
        let table = json!({"columns": names(&cells, "name"), "rows": [row(&cells)]});
        assert_eq!(techniques(&table), [Technique::TokenUse]);
    }
}

/// Names that are written again for each row must not make a record of some megabytes one of gigabytes.
#[test]
fn long_names_of_columns_above_many_little_cells_hide_nothing() {
    let long = |number: usize| format!("requestObject.{number}{}", "x".repeat(100));
    let mut cells: Cells = (0..100).map(|number| (long(number), json!(1))).collect();
    let columns =
        |cells: &Cells, rows: Vec<Value>| json!({"columns": names(cells, "name"), "rows": rows});
    let clean = columns(&cells, vec![row(&cells); 10_000]);
    assert_eq!(techniques(&json!([DECOY, clean])), []);
    cells.extend(self::cells(&hit("1"), str::to_owned));
    let whole = json!([[hit("2").to_string()]]);
    let mut rows = vec![row(&cells); 10_000];
    for cells in &mut rows[..9_999] {
        *cells = cells
            .as_array()
            .expect("cells")
            .iter()
            .map(|_| json!(2))
            .collect();
    }
    rows.extend(whole.as_array().expect("a row").iter().cloned());
    assert_eq!(
        techniques(&columns(&cells, rows)),
        [Technique::TokenUse, Technique::Undecodable]
    );
}

#[test]
fn every_technique_is_found_in_a_row() {
    for (event, technique) in events(("honeypot", "backup-sa"), true, &str::to_owned) {
        let wanted: Vec<_> = technique.into_iter().collect();
        for table in tables(&event) {
            assert_eq!(techniques(&table), wanted, "{table}");
        }
    }
}

#[test]
fn a_row_tells_what_the_event_tells() {
    let (event, bare) = told_event();
    for table in tables(&event) {
        let told = without_origin(found(None, table.to_string().as_bytes()));
        assert_eq!(told, bare, "{table}");
    }
}

#[test]
fn each_row_counts_and_what_stands_beside_them() {
    let event = |id: &str| hit(id).to_string();
    let table = json!({"columns": [{"name": "TimeGenerated"}, {"name": "log_s"}], "rows": [["2026-11-23", event("1")], ["2026-11-24", event("2")],
        [event("3")], {"log": event("4")}], "more": event("5")});
    let all = found(None, table.to_string().as_bytes());
    let mut ids: Vec<_> = all
        .iter()
        .filter_map(|one| one.request.audit_id.as_deref())
        .collect();
    ids.sort_unstable();
    assert_eq!(ids, ["1", "2", "3", "4", "5"]);
}

#[test]
fn what_a_client_writes_into_a_row_is_no_event() {
    for forgery in forgeries() {
        let mut event = hit("quiet");
        event["user"] = json!({"username": "jane"});
        for key in ["userAgent", "requestURI", "requestObject", "responseObject"] {
            event[key] = forgery.clone();
        }
        event["annotations"] = json!({"a": forgery});
        for table in tables(&event) {
            let found = techniques(&table);
            assert!(
                found.iter().all(|one| *one == Technique::Undecodable),
                "{found:?} {table}"
            );
        }
        // A field of the event alone, taken out of it.
        for name in ["userAgent", "requestURI", "requestObject"] {
            let fields = json!({"results": [[{"field": "@timestamp", "value": "x"}, {"field": name, "value": forgery}]]});
            assert_eq!(techniques(&fields), [], "{fields}");
            let table =
                json!({"columns": [{"name": "a"}, {"name": name}], "rows": [["x", forgery]]});
            assert_eq!(techniques(&table), [], "{table}");
        }
    }
}

/// A client chooses the keys of what it makes, and a store joins them to names of columns.
#[test]
fn a_name_of_a_column_is_no_event() {
    let mut quiet = hit("quiet");
    quiet["user"] = json!({"username": "jane"});
    for forged in [hit("forged").to_string(), format!("x\n{}", hit("forged"))] {
        let mut event = quiet.clone();
        event["requestObject"] = json!({"metadata": {"annotations": {forged: "z"}}});
        for table in tables(&event) {
            assert_eq!(techniques(&table), [], "{table}");
        }
    }
}

#[test]
fn what_is_like_a_table_and_is_none_is_searched_as_it_is() {
    let event = hit("1").to_string();
    let long = "x".repeat(5000);
    for record in [
        json!({"columns": [{"name": "a"}], "rows": [event]}),
        json!({"columns": [{"x": "a"}], "rows": [[event]]}),
        json!({"columns": "a", "rows": [[event]]}),
        json!({"columns": [], "rows": [[event]]}),
        json!({"columns": ["a", "b"], "values": [[event, "x", "y"], ["x"]]}),
        json!({"columns": ["a", "b"], "values": [[event, "x", "y"], "x"]}),
        json!({"schema": {"fields": [{"name": "a"}]}, "rows": [{"f": [{"v": event}]}, {"f": [{"v": event}, {}]}, {"v": {"v": event}}]}),
        json!({"columns": [{"name": long}], "rows": [[event]]}),
        json!({"columns": [{"name": "a"}, {"name": "b"}], "rows": [[event]]}),
        json!({"columns": [{"name": "a"}], "rows": {"a": event}}),
        json!({"ResultSet": {"Rows": [{"Data": [{"VarCharValue": event}]}]}}),
        json!({"ResultSet": {"Rows": [{"Data": event}]}}),
        json!([[{"field": 1, "value": event}], [{"field": "x", "value": event, "more": 1}]]),
    ] {
        let found = techniques(&record);
        assert!(
            !found.is_empty() && found.iter().all(|one| *one == Technique::TokenUse),
            "{found:?} {record}"
        );
    }
}

/// Such a table of as many rows as columns is read by rows, unless it says what it is, or other cells would stand below the names.
/// ClickHouse's `JSONCompactEachRowWithNames` has the names of the columns in another record.
#[test]
fn a_row_whose_columns_nobody_knows_is_undecodable() {
    let texts = cells(&hit("8e3bf0f8-b495-450d-a404-cfdf2b51bc67"), str::to_owned);
    for record in [
        row(&texts),
        json!({ "row": row(&texts) }),
        json!([row(&texts)]),
    ] {
        assert_eq!(techniques(&record), [Technique::Undecodable], "{record}");
    }
    let mut quiet = hit("8e3bf0f8-b495-450d-a404-cfdf2b51bc67");
    quiet["user"] = json!({"username": "jane"});
    assert_eq!(techniques(&row(&cells(&quiet, str::to_owned))), []);
}

#[test]
fn a_table_as_long_as_wide_is_what_it_says() {
    let cells = cells(&hit("1"), str::to_owned);
    let fields: Value = cells.iter().map(|(name, _)| name.clone()).collect();
    let column = |(_, cell): &(String, Value)| Value::from(vec![cell.clone(); cells.len()]);
    let by_column: Value = cells.iter().map(column).collect();
    let rows = vec![row(&cells); cells.len()];
    for table in [
        json!({"fields": fields, "columns": by_column}),
        json!({"columns": fields, "values": by_column}),
        json!({"columns": fields, "values": rows}),
        json!({"fields": fields, "columns": rows}),
    ] {
        assert_eq!(techniques(&table), [Technique::TokenUse], "{table}");
    }
}

#[test]
fn what_does_not_fit_the_columns_of_events_hides_nothing() {
    let columns = json!(["auditID", "verb", "user.username", "requestURI"]);
    let cells = json!(["1", "get", DECOY, "/api"]);
    let user = |fields: Value| json!({"fields": [{"name": "auditID"}, {"name": "verb"}, {"name": "user", "fields": fields}]});
    let cell = |inner: Value| json!({"f": [{"v": "1"}, {"v": "get"}, {"v": {"f": inner}}]});
    let names = |rows: Value| json!({"columns": columns, "rows": rows}).to_string();
    let twice = |table: String, key: &str, value: Value| {
        table.replacen('{', &format!("{{\"{key}\":{value},"), 1)
    };
    for table in [
        names(json!([["1", "get", DECOY, "/api", "more"]])),
        names(json!([["1", "get", DECOY]])),
        json!({"schema": user(json!([{"name": "username"}])), "rows": [cell(json!([{"v": DECOY}, {"v": "more"}]))]}).to_string(),
        json!({"schema": user(json!([{"name": "uid"}, {"name": "username"}])), "rows": [cell(json!([{"v": DECOY}]))]}).to_string(),
        json!({"schema": user(json!([{"x": "uid"}, {"name": "username"}])), "rows": [cell(json!([{"v": "1"}, {"v": DECOY}]))]}).to_string(),
        twice(names(json!([cells])), "rows", json!([])),
        twice(names(json!([])), "rows", json!([cells])),
        twice(names(json!([cells])), "columns", json!(["a", "b", "c", "d"])),
    ] {
        let all = found(None, table.as_bytes());
        let techniques: Vec<_> = all.iter().map(|one| one.technique).collect();
        let is_true = |one: &Technique| matches!(one, Technique::TokenUse | Technique::Undecodable);
        let is_told = !techniques.is_empty() && techniques.iter().all(is_true);
        assert!(is_told, "{techniques:?} {table}");
    }
}

#[test]
fn a_column_that_stands_twice_is_undecodable() {
    for [first, second] in [["jane", DECOY], [DECOY, "jane"]] {
        let user = |name: &str| json!({"username": name}).to_string();
        let table = json!({"columns": [{"name": "auditID"}, {"name": "verb"}, {"name": "user"}, {"name": "user"}],
            "rows": [["1", "list", user(first), user(second)]]});
        let found = techniques(&table);
        assert!(found.contains(&Technique::Undecodable), "{found:?} {table}");
    }
}
