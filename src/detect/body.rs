//! What only the bodies of requests and responses tell. Nothing of a body goes out of
//! here but yes or no.

use simd_json::prelude::*;

use super::decoy::Decoy;
use crate::audit::{Event, Json};

/// Levels of a pod spec that are searched for a Secret.
const MAX_DEPTH: usize = 16;

/// The name of an object about to be created, where the event itself tells none.
pub(super) fn new_name<'v>(event: &Event<'v>) -> Option<&'v str> {
    if event.verb != Some("create") || event.object.subresource.is_some() {
        return None;
    }
    string(get(event.request_object?, "metadata")?, "name")
}

/// A TokenReview or SubjectAccessReview about the decoy: its token was shown to whoever asks.
pub(super) fn reviews_token(event: &Event<'_>, decoy: &Decoy) -> bool {
    let asks_about = |body: Option<Json<'_>>, path: [&str; 2], key| {
        body.and_then(|body| get(body, path[0]))
            .and_then(|inner| match path[1] {
                "" => Some(inner),
                deeper => get(inner, deeper),
            })
            .and_then(|inner| string(inner, key))
            == Some(decoy.user.as_str())
    };
    event.verb == Some("create")
        && match event.object.resource {
            Some("tokenreviews") => {
                asks_about(event.response_object, ["status", "user"], "username")
            }
            Some("subjectaccessreviews" | "localsubjectaccessreviews") => {
                let has_at_top = |body| string(body, "user") == Some(decoy.user.as_str());
                asks_about(event.request_object, ["spec", ""], "user")
                    || asks_about(event.response_object, ["spec", ""], "user")
                    // OpenShift's own.
                    || event.request_object.is_some_and(has_at_top)
            }
            _ => false,
        }
}

/// Both tell what an object becomes; either may be missing, or a mere note that it was too large.
fn bodies<'v>(event: &Event<'v>) -> impl Iterator<Item = Json<'v>> + use<'v> {
    [event.request_object, event.response_object]
        .into_iter()
        .flatten()
}

/// Where a binding has its subjects. OpenShift's own have their names, too, and the last two stand in its SecurityContextConstraints.
const SUBJECTS: [&str; 5] = ["subjects", "userNames", "groupNames", "users", "groups"];

/// A role binding, or one of OpenShift's constraints, that gets the decoy as a subject.
pub(super) fn grants_role(event: &Event<'_>, decoy: &Decoy) -> bool {
    let is_binding = matches!(
        event.object.resource,
        Some("rolebindings" | "clusterrolebindings" | "securitycontextconstraints")
    );
    if !is_binding || event.object.subresource.is_some() {
        return false;
    }
    match event.verb {
        Some("create" | "update") => bodies(event).any(|binding| has_subject(binding, decoy)),
        // Without a verb, which a shipper dropped, what is asked for is judged alone: the answer may be to a read.
        Some("patch") | None => event
            .request_object
            .is_some_and(|asked| patch_adds_subject(asked, event.response_object, decoy)),
        _ => false,
    }
}

/// `patch` is a part of a binding, or the operations of a JSON patch. Where an operation
/// changes only a field of a subject, or takes it from elsewhere in the binding, the outcome
/// tells who it is now.
fn patch_adds_subject(patch: Json<'_>, outcome: Option<Json<'_>>, decoy: &Decoy) -> bool {
    let Some(operations) = patch.as_array() else {
        return has_subject(patch, decoy);
    };
    let in_outcome = || outcome.is_some_and(|binding| has_subject(binding, decoy));
    operations.iter().any(|operation| {
        let path = string(operation, "path").unwrap_or_default();
        let below = SUBJECTS
            .iter()
            .find_map(|list| path.strip_prefix('/')?.strip_prefix(list));
        if matches!(string(operation, "op"), Some("move" | "copy")) {
            return (path.is_empty() || below.is_some()) && in_outcome();
        }
        let Some((_, value)) = added(operation) else {
            return false;
        };
        match below {
            None => path.is_empty() && has_subject(value, decoy),
            Some("") => any_item(value, |subject| is_decoy(subject, decoy)),
            Some(_) if value.is_object() => is_decoy(value, decoy),
            Some(_) => is_decoy(value, decoy) || in_outcome(),
        }
    })
}

/// Path and value of a JSON patch operation that adds or replaces something.
fn added<'v>(operation: Json<'v>) -> Option<(&'v str, Json<'v>)> {
    matches!(string(operation, "op")?, "add" | "replace")
        .then(|| Some((string(operation, "path")?, get(operation, "value")?)))
        .flatten()
}

fn has_subject(binding: Json<'_>, decoy: &Decoy) -> bool {
    binding.as_object().is_some_and(|binding| {
        binding.iter().any(|(key, value)| {
            SUBJECTS.contains(&key) && any_item(value, |subject| is_decoy(subject, decoy))
        })
    })
}

/// A subject may be its name alone.
fn is_decoy(subject: Json<'_>, decoy: &Decoy) -> bool {
    if let Some(name) = subject.into_string() {
        return name == decoy.user || name == decoy.group;
    }
    let Some(name) = string(subject, "name") else {
        return false;
    };
    match string(subject, "kind") {
        Some("ServiceAccount") => {
            name == decoy.service_account && string(subject, "namespace") == Some(&decoy.namespace)
        }
        Some("User" | "SystemUser") => name == decoy.user,
        Some("Group" | "SystemGroup") => name == decoy.group,
        _ => false,
    }
}

/// A pod, or a workload that makes pods, in the decoy's namespace that runs as the decoy
/// or mounts its Secret. The decoy's own pod is none.
pub(super) fn runs_as(event: &Event<'_>, decoy: &Decoy) -> bool {
    let object = &event.object;
    let name = object.name.or_else(|| new_name(event));
    let is_own_pod = object.resource == Some("pods") && name.is_some_and(|name| decoy.is_pod(name));
    if !decoy.holds(object) || object.subresource.is_some() || is_own_pod {
        return false;
    }
    match event.verb {
        Some("create" | "update") => bodies(event).any(|body| has_pod_spec(body, decoy)),
        Some("patch") => event
            .request_object
            .is_some_and(|patch| match patch.as_array() {
                None => has_pod_spec(patch, decoy),
                Some(operations) => operations.iter().any(|operation| {
                    added(operation)
                        .is_some_and(|(path, value)| patches_pod_spec(path, value, decoy))
                }),
            }),
        _ => false,
    }
}

/// Where the pod spec stands in a CronJob, in a Deployment and its like, in a
/// PodTemplate, and in a pod.
const POD_SPECS: [&[&str]; 4] = [
    &["spec", "jobTemplate", "spec", "template", "spec"],
    &["spec", "template", "spec"],
    &["template", "spec"],
    &["spec"],
];

fn has_pod_spec(body: Json<'_>, decoy: &Decoy) -> bool {
    POD_SPECS.iter().any(|path| {
        path.iter()
            .try_fold(body, |inner, key| get(inner, key))
            .is_some_and(|spec| {
                let is_spec = path.len() > 1 || get(spec, "template").is_none();
                is_spec && pod_spec_names(spec, decoy, 0)
            })
    })
}

/// A JSON patch whose path leads into a pod spec, or to something that holds one.
fn patches_pod_spec(path: &str, value: Json<'_>, decoy: &Decoy) -> bool {
    let keys: Vec<&str> = path.split('/').skip(1).collect();
    let inside = POD_SPECS.iter().find_map(|spec| keys.strip_prefix(*spec));
    match inside {
        Some([.., key]) if field_names(key, value, decoy) => true,
        Some([.., key, "name"]) if refers_to_secret(key) => value
            .into_string()
            .is_some_and(|name| decoy.is_secret(name)),
        Some(_) => pod_spec_names(value, decoy, 0),
        None => POD_SPECS.iter().any(|spec| {
            spec.strip_prefix(keys.as_slice()).is_some_and(|rest| {
                rest.iter()
                    .try_fold(value, |inner, key| get(inner, key))
                    .is_some_and(|spec| pod_spec_names(spec, decoy, 0))
            })
        }),
    }
}

/// Whether a pod spec, or a part of one, names the decoy's ServiceAccount or Secret
/// where it has a meaning.
fn pod_spec_names(value: Json<'_>, decoy: &Decoy, depth: usize) -> bool {
    if depth == MAX_DEPTH {
        return false;
    }
    if let Some(object) = value.as_object() {
        return object.iter().any(|(key, inner)| {
            field_names(key, inner, decoy) || pod_spec_names(inner, decoy, depth + 1)
        });
    }
    any_item(value, |item| pod_spec_names(item, decoy, depth + 1))
}

fn field_names(key: &str, value: Json<'_>, decoy: &Decoy) -> bool {
    let is_secret = |name: Option<&str>| name.is_some_and(|name| decoy.is_secret(name));
    match key {
        "serviceAccountName" | "serviceAccount" => {
            value.into_string() == Some(&decoy.service_account)
        }
        "secretName" => is_secret(value.into_string()),
        _ => refers_to_secret(key) && is_secret(string(value, "name")),
    }
}

/// Whether the value of `key` has a Secret's `name` in it.
fn refers_to_secret(key: &str) -> bool {
    matches!(
        key,
        "secret" | "secretRef" | "secretKeyRef" | "nodePublishSecretRef"
    )
}

/// What stands under `key`: the last of several, which the API server takes, too.
fn get<'v>(value: Json<'v>, key: &str) -> Option<Json<'v>> {
    let fields = value.as_object()?;
    let same = fields.iter().filter(|(name, _)| *name == key);
    same.last().map(|(_, value)| value)
}

fn string<'v>(value: Json<'v>, key: &str) -> Option<&'v str> {
    get(value, key)?.into_string()
}

fn any_item<'v>(value: Json<'v>, holds: impl FnMut(Json<'v>) -> bool) -> bool {
    value
        .as_array()
        .is_some_and(|array| array.iter().any(holds))
}
