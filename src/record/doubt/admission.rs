//! Admission reviews (`admission.k8s.io`), which an API server sends to webhooks: no audit events, but they tell who changes what.

use simd_json::{prelude::*, tape::Object};

use crate::audit::{Event, ObjectRef, User, field};

/// What is asked for in the admission review that `object` is, as the event of the same request would have it. The user, the
/// kind of object and its name are the API server's words, the object itself is the client's.
pub fn request<'v>(object: &Object<'v, 'v>) -> Option<Event<'v>> {
    let version = object
        .get("apiVersion")
        .and_then(|version| version.into_string());
    let is_one = object.get("kind")?.into_string() == Some("AdmissionReview")
        && version.is_none_or(|version| version.starts_with("admission.k8s.io/"));
    let request = object.get("request").filter(|_| is_one)?;
    let user = request.get("userInfo").filter(|user| user.is_object())?;
    let resource = request.get("resource");
    let of_resource = |key| resource.and_then(|resource| field(resource, key));
    Some(Event {
        user: User {
            username: field(user, "username"),
            ..User::default()
        },
        verb: field(request, "operation").and_then(verb),
        object: ObjectRef {
            resource: of_resource("resource"),
            api_group: of_resource("group"),
            subresource: field(request, "subResource"),
            namespace: field(request, "namespace"),
            name: field(request, "name"),
        },
        request_object: request.get("object"),
        ..Event::default()
    })
}

/// Whether what stands under `key` of an admission review is the client's, or the answer to it.
pub fn is_of_client(key: &str) -> bool {
    matches!(key, "request" | "response")
}

/// The verb of an audit event for `admissionv1.Operation`.
fn verb(operation: &str) -> Option<&'static str> {
    Some(match operation {
        "CREATE" => "create",
        "UPDATE" => "update",
        "DELETE" => "delete",
        "CONNECT" => "connect",
        _ => return None,
    })
}
