//! What stands between keys that were joined, and how they are taken apart.

use crate::audit::{Event, gke};

/// Keys that are taken apart of those that were joined. Pod specs lie less deep.
const MAX_KEYS: usize = 24;

/// The keys of an event below which a client chooses some.
const HOLDERS_OF_CHOSEN: [&str; 6] = [
    "requestObject",
    "responseObject",
    "responseStatus",
    "annotations",
    "extra",
    "labels",
];

/// What a store writes between two keys that it joins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Joint(&'static str);

/// What Splunk writes behind the key of an array.
pub const ITEMS: &str = "{}";

/// Security Lake's form of it.
pub const ITEMS_OF_OCSF: &str = "[]";

/// That of most stores.
pub const DOT: Joint = Joint(".");

/// That of Fluentd, Log Analytics and others.
pub const UNDERSCORE: Joint = Joint("_");

impl Joint {
    /// Those that are known, the usual ones first.
    pub const ALL: [Self; 6] = [DOT, UNDERSCORE, Self("__"), Self("/"), Self(":"), Self("-")];

    pub fn stands_in(&self, key: &str) -> bool {
        key.contains(self.0)
    }

    /// `path`, whose keys are joined by dots, as this joins them.
    pub fn spelled(self, path: &str) -> String {
        path.replace(DOT.0, self.0)
    }

    /// The first of the keys in `path`.
    pub fn head(self, path: &str) -> &str {
        item(self.first(path)).0
    }

    fn first(self, path: &str) -> &str {
        self.split(path).map_or(path, |(first, _)| first)
    }

    /// Whether `path` is more than one key. All but a dot stand in other keys, too: `user_agent` is none of a `user`.
    pub fn joins(self, path: &str) -> bool {
        let is_list = item(self.first(path)).1.is_some();
        is_list
            || self.split(path).is_some_and(|(head, rest)| {
                self == DOT || is_inner(head, self.head(rest)) || is_payload(head)
            })
    }

    /// Whether `paths`, which stand behind `prefix`, show that this is what joins them. Clients choose some of the keys in bodies
    /// and annotations, which show nothing.
    pub fn is_shown_by<'p>(self, prefix: &str, mut paths: impl Iterator<Item = &'p str>) -> bool {
        let has_prefix = !prefix.is_empty();
        (has_prefix && self == DOT)
            || paths.any(|path| match self.head(path) {
                head if head == path => has_prefix && head == "user",
                head => self == DOT || (self.joins(path) && !is_open(head)),
            })
    }

    fn split(self, path: &str) -> Option<(&str, &str)> {
        // The one key of these that has a joint of its own.
        let payload = payloads().find_map(|payload| {
            let rest = path.strip_prefix(payload)?.strip_prefix(self.0)?;
            Some((payload, rest))
        });
        payload.or_else(|| path.split_once(self.0))
    }

    /// The keys that were joined in `path`. Those of annotations and extras have dots of their own.
    pub fn keys(self, path: &str) -> Vec<&str> {
        let mut keys = Vec::new();
        let mut take = |key| {
            let (key, place) = item(key);
            keys.push(key);
            keys.extend(place);
        };
        let Some((head, rest)) = self.split(path) else {
            take(path);
            return keys;
        };
        if matches!(head, "annotations" | "labels") {
            return vec![head, rest];
        }
        let most = match head {
            "user" | "impersonatedUser" => 2,
            _ if is_payload(head) && rest.starts_with("labels.") => 2,
            _ => MAX_KEYS - 1,
        };
        take(head);
        rest.splitn(most, self.0).for_each(take);
        if let [_, "extra", name] = keys[..]
            && let Some((name, index)) = name.rsplit_once(self.0)
            && is_index(index)
        {
            keys.truncate(2);
            keys.extend([name, index]);
        }
        keys
    }

    /// Whether the keys of an event may stand behind `prefix`, which may end in a dot whatever joins the keys of the event.
    pub fn is_prefix(self, prefix: &str) -> bool {
        let outer = prefix.strip_suffix(self.0);
        let Some(keys) = outer.or_else(|| prefix.strip_suffix(DOT.0)) else {
            return prefix.is_empty();
        };
        let is_inside = |key: &str| {
            Event::FIELDS.contains(&key) || is_payload(key) || matches!(key, "request" | "response")
        };
        let mut inner = keys.split(DOT.0).flat_map(|keys| keys.split(self.0));
        let is_of_payload = payloads().any(|payload| keys.contains(payload));
        // A client may join its keys by another mark than the store.
        let mut words = keys.split(['.', '_', '/', ':', '-']);
        let is_of_client = words.any(|word| HOLDERS_OF_CHOSEN.contains(&word));
        !is_of_pod(keys)
            && !is_of_payload
            && !is_of_client
            && !inner.any(|key| is_inside(key) || is_chosen(key))
    }
}

/// A key, and which items of the array under it are told, if it says so: all of them, or an index, as LogScale does.
fn item(key: &str) -> (&str, Option<&str>) {
    let all = || {
        let name = key.strip_suffix(ITEMS);
        Some((name.or_else(|| key.strip_suffix(ITEMS_OF_OCSF))?, ITEMS))
    };
    let one = || {
        let (name, index) = key.strip_suffix(']')?.rsplit_once('[')?;
        is_index(index).then_some((name, index))
    };
    match all().or_else(one) {
        Some((name, place)) if !name.is_empty() => (name, Some(place)),
        _ => (key, None),
    }
}

/// Where an entry of Google's has its payload.
fn payloads() -> impl Iterator<Item = &'static str> {
    gke::PAYLOADS.into_iter().chain(gke::RESPELLED_PAYLOADS)
}

fn is_payload(key: &str) -> bool {
    payloads().any(|payload| payload == key)
}

/// Whether the API server writes `key` into the part `head` of an event.
fn is_inner(head: &str, key: &str) -> bool {
    match head {
        "user" | "impersonatedUser" => matches!(key, "username" | "uid" | "groups" | "extra"),
        "objectRef" => matches!(
            key,
            "resource" | "subresource" | "namespace" | "name" | "uid" | "apiGroup" | "apiVersion"
        ),
        "responseStatus" => matches!(
            key,
            "metadata" | "status" | "message" | "reason" | "details" | "code"
        ),
        "sourceIPs" => is_index(key),
        head => is_open(head),
    }
}

/// Whether the part `head` of an event may hold any keys.
pub fn is_open(head: &str) -> bool {
    matches!(head, "annotations" | "requestObject" | "responseObject")
}

/// Whether `key`, in which several may be joined, leads to what shippers know of a pod. Whoever makes a pod chooses its labels
/// and annotations.
pub fn is_of_pod(key: &str) -> bool {
    let below = key.strip_prefix("kubernetes.");
    let is_audit = |key: &str| key == "audit" || key.starts_with("audit.");
    let of_fluent = key.strip_prefix("kubernetes_");
    key.split('.').any(is_chosen)
        || below.is_some_and(|key| !is_audit(key))
        || of_fluent.is_some_and(|key| key.split('_').any(is_chosen))
}

/// Whether all keys below `key` are chosen by whoever makes an object.
pub fn is_chosen(key: &str) -> bool {
    ["labels", "Labels", "annotations", "Annotations"]
        .iter()
        .any(|end| key.ends_with(end))
}

pub fn is_index(key: &str) -> bool {
    !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_annotations_and_extras_have_joints_of_their_own() {
        for (path, wanted) in [
            ("verb", &["verb"][..]),
            ("user.groups.0", &["user", "groups", "0"]),
            (
                "user.extra.authentication.kubernetes.io/pod-name.0",
                &[
                    "user",
                    "extra",
                    "authentication.kubernetes.io/pod-name",
                    "0",
                ],
            ),
            ("user.extra.a.b", &["user", "extra", "a.b"]),
            (
                "annotations.authorization.k8s.io/decision",
                &["annotations", "authorization.k8s.io/decision"],
            ),
            ("objectRef.name", &["objectRef", "name"]),
            ("user.groups[]", &["user", "groups", "{}"]),
            (
                "requestObject.subjects[].name",
                &["requestObject", "subjects", "{}", "name"],
            ),
        ] {
            assert_eq!(DOT.keys(path), wanted);
        }
        for (path, wanted) in [
            (
                "annotations_authorization.k8s.io/decision",
                &["annotations", "authorization.k8s.io/decision"][..],
            ),
            ("user_extra_a_b_0", &["user", "extra", "a_b", "0"]),
            ("requestObject_data_x", &["requestObject", "data", "x"]),
            (
                "protopayload_auditlog_status_code",
                &["protopayload_auditlog", "status", "code"],
            ),
        ] {
            assert_eq!(Joint("_").keys(path), wanted);
        }
    }

    #[test]
    fn what_only_looks_joined_is_one_key() {
        for key in ["user_agent", "user_name", "user", "verb_x", "sourceIPs_x"] {
            assert!(!Joint("_").joins(key), "{key}");
        }
        for key in ["user_username", "annotations_a", "objectRef_name"] {
            assert!(Joint("_").joins(key), "{key}");
        }
    }

    #[test]
    fn a_joint_is_shown_by_keys_that_no_client_chooses() {
        for (joint, prefix, path, wanted) in [
            ("_", "", "user_username", true),
            ("_", "", "user__username", false),
            ("__", "", "annotations__a", false),
            ("_", "a_", "user", true),
            ("_", "a_", "auditID", false),
            ("_", "", "user", false),
            (".", "a.", "auditID", true),
            (".", "", "requestObject.x", true),
        ] {
            let is_shown = Joint(joint).is_shown_by(prefix, [path].into_iter());
            assert_eq!(is_shown, wanted, "{joint} {prefix} {path}");
        }
    }
}
