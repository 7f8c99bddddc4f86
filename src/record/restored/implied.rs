//! The `objectRef` of an event from which a shipper dropped it, where the path that tells it is percent-encoded.

use std::borrow::Cow;

use serde_json::json;
use simd_json::{prelude::*, tape::Object};

use crate::{
    audit::{Json, ObjectRef, uri},
    record::rewrite,
};

/// Its name, and Azure's for it.
const OBJECT_REF: [&str; 2] = ["objectRef", "ObjectRef"];

/// `event` with the object that its path tells; `None` if it has one, or the path tells none, or needs no decoding.
pub fn event(event: &Object<'_, '_>) -> Option<Vec<u8>> {
    let uri = ["requestURI", "RequestUri"]
        .into_iter()
        .find_map(|key| event.get(key)?.into_string())?;
    let Cow::Owned(path) = uri::path(uri) else {
        return None;
    };
    let is_object = |(key, _): &(&str, Json<'_>)| OBJECT_REF.contains(key);
    let has_resource = |(_, value): (&str, Json<'_>)| value.get("resource").is_some();
    if event.iter().filter(is_object).any(has_resource) {
        return None;
    }
    let ObjectRef {
        resource,
        subresource,
        namespace,
        name,
        api_group,
    } = ObjectRef::from_path(&path);
    let object = json!({
        "resource": resource?, "subresource": subresource, "namespace": namespace, "name": name, "apiGroup": api_group,
    });
    let others = event.iter().filter(|field| !is_object(field)).map(Some);
    let mut out = Vec::new();
    rewrite::fields(others.chain([None]), &mut out, |field, out| match field {
        Some((key, value)) => rewrite::field(key, value, 0, out),
        None => {
            rewrite::name(OBJECT_REF[0], out);
            out.extend_from_slice(object.to_string().as_bytes());
        }
    });
    Some(out)
}
