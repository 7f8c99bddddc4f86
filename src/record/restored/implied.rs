//! What a shipper dropped of an event's `objectRef`, where the request's URI tells it, but percent-encoded or by a field selector. What
//! stands there as it is needs no writing anew: see [`Event::from_object`](crate::audit::Event::from_object).

use std::borrow::Cow;

use serde_json::json;
use simd_json::{prelude::*, tape::Object};

use crate::{
    audit::{Json, ObjectRef, uri},
    record::rewrite,
};

/// Its name, and Azure's for it.
const OBJECT_REF: [&str; 2] = ["objectRef", "ObjectRef"];

/// Which objects a list is about if it is about one.
const NAME: &str = "metadata.name";

/// `event` with the object that its URI tells; `None` if that tells no more than what stands there already.
pub fn event(event: &Object<'_, '_>) -> Option<Vec<u8>> {
    let uri = ["requestURI", "RequestUri"]
        .into_iter()
        .find_map(|key| event.get(key)?.into_string())?;
    let path = uri::path(uri);
    let selected = uri::field_selectors(uri, NAME).into_iter().next().flatten();
    if matches!(path, Cow::Borrowed(_)) && selected.is_none() {
        return None;
    }
    let is_object = |(key, _): &(&str, Json<'_>)| OBJECT_REF.contains(key);
    let told = event.iter().filter(is_object).last();
    let told = told
        .map(|(_, value)| ObjectRef::from_value(value))
        .unwrap_or_default();
    let mut of_uri = ObjectRef::from_path(&path);
    of_uri.name = of_uri.name.or(selected.as_deref());
    let object = told.or(&of_uri);
    if object == told {
        return None;
    }
    let ObjectRef {
        resource,
        subresource,
        namespace,
        name,
        api_group,
    } = object;
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
