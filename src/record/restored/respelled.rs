//! Entries of Google's whose keys are spelled in another way: with underscores, as its libraries, Log Analytics and Elastic's module have
//! them, in upper case, as those of Go's `logging.Entry`, or in lower, as columns of Hive are.
//!
//! The keys inside of bodies and labels are left as they are.

use simd_json::{prelude::*, tape::Object};

use super::{elastic, recased::named};
use crate::{
    audit::{Json, gke},
    record::{key::at, rewrite},
};

/// The fields of an entry beside its payload that are looked at.
const ENTRY: &[&str] = &["insertId", "timestamp", "labels", "operation", "resource"];

/// Those that may stand beside an `AuditLog` that was taken out of its entry.
const BESIDE: &[&str] = &["insertId", "timestamp"];

/// The fields of an `AuditLog`.
const LOG: &[&str] = &[
    "serviceName",
    "methodName",
    "resourceName",
    "authenticationInfo",
    "authorizationInfo",
    "requestMetadata",
    "request",
    "response",
    "requestJson",
    "responseJson",
    "status",
];

/// Fields of an `AuditLog` that lie further in, as a query picks them out.
const PICKED: &[&str] = &[
    gke::PRINCIPAL,
    "principalSubject",
    "authoritySelector",
    "callerIp",
    "callerSuppliedUserAgent",
];

/// What Sentinel calls a field of an `AuditLog` (learn.microsoft.com/azure/azure-monitor/reference/tables/gcpauditlogs).
const IN_SENTINEL: (&str, &str) = ("resourceName", "GCPResourceName");

/// The names that Elastic has had for its module for Google.
const MODULES: [[&str; 2]; 2] = [["gcp", "gcp.audit"], ["googlecloud", "googlecloud.audit"]];

/// The entry that `object` would be with Google's own keys; `None` if it is none, or has them.
pub fn entry(object: &Object<'_, '_>) -> Option<Vec<u8>> {
    of_elastic(object)
        .or_else(|| of_library(object))
        .or_else(|| of_log(object))
}

/// What a library, or a store, made of an entry.
fn of_library(object: &Object<'_, '_>) -> Option<Vec<u8>> {
    let mut fields = Vec::new();
    let mut is_changed = is_respelled(object, ENTRY);
    for (key, value) in object.iter() {
        if gke::PAYLOADS.contains(&key) {
            let log = value.as_object();
            is_changed |= log.is_some_and(|log| is_respelled(&log, LOG));
            fields.push((key, value));
        } else if let Some(payload) = payload(key, value) {
            is_changed = true;
            fields.push((gke::PAYLOADS[0], payload));
        }
    }
    if !is_changed || fields.is_empty() {
        return None;
    }
    let beside = named(object, ENTRY, is_spelling);
    fields.extend(beside.into_iter().filter(|(key, _)| ENTRY.contains(key)));
    Some(written(fields))
}

/// An `AuditLog` that stands alone, or fields that were picked out of one; perhaps with some of the entry's beside them.
fn of_log(object: &Object<'_, '_>) -> Option<Vec<u8>> {
    if !is_log(object) && !is_picked(object) {
        return None;
    }
    let names = [LOG, PICKED].concat();
    is_respelled(object, &names).then(|| {
        let is_spelling =
            |key: &str, name: &str| is_spelling(key, name) || (name, key) == IN_SENTINEL;
        let mut out = Vec::new();
        let beside = named(object, BESIDE, self::is_spelling);
        let beside = beside.into_iter().filter(|(key, _)| BESIDE.contains(key));
        rewrite::fields(
            beside.map(Some).chain([None]),
            &mut out,
            |entry, out| match entry {
                Some((key, value)) => rewrite::field(key, value, 0, out),
                None => {
                    rewrite::name(gke::PAYLOADS[0], out);
                    rewrite::fields(named(object, &names, is_spelling).into_iter(), out, field);
                }
            },
        );
        out
    })
}

/// Whether `object` has fields that a query picked out of an entry of the API server's.
fn is_picked(object: &Object<'_, '_>) -> bool {
    let is_method = |(key, value): (&str, Json<'_>)| {
        let method = value
            .into_string()
            .filter(|_| is_spelling(key, "methodName"));
        method.is_some_and(|method| method.starts_with("io.k8s."))
    };
    has(object, gke::PRINCIPAL) && object.iter().any(is_method)
}

/// What Elastic's module made of an entry, or the entry itself if it was kept.
fn of_elastic(object: &Object<'_, '_>) -> Option<Vec<u8>> {
    let log = MODULES.iter().find_map(|[module, joined]| {
        let log = object.get(*joined);
        let log = log.or_else(|| object.get(*module)?.get("audit"))?;
        let fields = log.as_object()?;
        (has(&fields, "methodName") || has(&fields, "serviceName")).then_some(log)
    })?;
    if let Some(original) = elastic::original(object) {
        return Some(original);
    }
    let fields = [
        (gke::PAYLOADS[0], Some(log)),
        ("insertId", at(object, "event.id")),
        ("timestamp", object.get("@timestamp")),
        ("labels", log.get("labels")),
    ];
    let fields = fields.into_iter();
    Some(written(
        fields
            .filter_map(|(key, value)| Some((key, value?)))
            .collect(),
    ))
}

/// The payload that stands under `key`, or the text of it. In the rows of Log Analytics it is one of several.
fn payload<'v>(key: &str, value: Json<'v>) -> Option<Json<'v>> {
    let is_payload = gke::PAYLOADS.iter().any(|name| is_spelling(key, name));
    if let Some(text) = value.into_string() {
        return (is_payload && is_object(text)).then_some(value);
    }
    let log = value.get("audit_log").unwrap_or(value);
    let is_log = log.as_object().is_some_and(|log| is_log(&log));
    (is_log && (is_payload || is_spelling(key, "payload"))).then_some(log)
}

/// Whether `object` has what each `AuditLog` has, however it is spelled.
fn is_log(object: &Object<'_, '_>) -> bool {
    has(object, "authenticationInfo") && (has(object, "methodName") || has(object, "serviceName"))
}

fn has(object: &Object<'_, '_>, name: &str) -> bool {
    object.iter().any(|(key, _)| is_spelling(key, name))
}

fn is_respelled(object: &Object<'_, '_>, names: &[&str]) -> bool {
    let is_other =
        |key: &str| !names.contains(&key) && names.iter().any(|name| is_spelling(key, name));
    object.iter().any(|(key, _)| is_other(key))
}

fn is_spelling(key: &str, name: &str) -> bool {
    let letters = |byte: &u8| *byte != b'_';
    let (key, name) = (key.bytes(), name.bytes());
    key.filter(letters)
        .map(|byte| byte.to_ascii_lowercase())
        .eq(name.filter(letters).map(|byte| byte.to_ascii_lowercase()))
}

fn is_object(text: &str) -> bool {
    rewrite::is_json(text, &['{'])
}

fn written(fields: Vec<(&str, Json<'_>)>) -> Vec<u8> {
    let mut out = Vec::new();
    rewrite::fields(fields.into_iter(), &mut out, field);
    out
}

fn field((name, value): (&str, Json<'_>), out: &mut Vec<u8>) {
    let names = inner(name);
    let item = |value: Json<'_>, out: &mut Vec<u8>| match value.as_object() {
        Some(object) if !names.is_empty() => write(&object, names, out),
        _ => rewrite::value(value, 0, out),
    };
    rewrite::name(name, out);
    match value.as_array() {
        Some(array) => rewrite::items(array.iter(), out, item),
        None => item(value, out),
    }
}

fn write(object: &Object<'_, '_>, names: &'static [&'static str], out: &mut Vec<u8>) {
    rewrite::fields(named(object, names, is_spelling).into_iter(), out, field);
}

/// What is looked at of the value of `name`. What is called so within a body is not reached.
fn inner(name: &str) -> &'static [&'static str] {
    match name {
        "protoPayload" | "protopayload_auditlog" => LOG,
        "authenticationInfo" => &["principalEmail", "principalSubject", "authoritySelector"],
        "authorizationInfo" => &["permission", "resource", "granted"],
        "requestMetadata" => &["callerIp", "callerSuppliedUserAgent"],
        "status" => &["code", "message"],
        "operation" => &["id", "first", "last"],
        _ => &[],
    }
}
