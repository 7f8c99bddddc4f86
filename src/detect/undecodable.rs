//! Records that name a decoy and cannot be decoded. Clouds and shippers do cut events;
//! an attacker may try to have one cut. They are detections all the same.

use memchr::{memmem, memrchr_iter};

use super::{
    decoy::{Decoy, longest_literal},
    redact::redacted,
};
use crate::{
    audit::{Event, gke, uri::percent_decoded},
    record::{
        MAX_LAYERS, begins_key,
        escape::{first_quote, unescaped},
        printed, python,
    },
};

/// Keys and values that only an audit event has, each behind a quote, or behind that and keys that a store joined to it: prose
/// and baitline's own text alerts, whose quotes are single, do not have them.
const MARKS: [&str; 19] = [
    "audit.k8s.io",
    "auditID",
    "auditid",
    "AUDITID",
    "requestReceivedTimestamp",
    "stageTimestamp",
    "protoPayload",
    "protopayload_auditlog",
    "proto_payload",
    "authentication_info",
    "AuditId",
    // Of Google's entries, behind the front of one that was cut off.
    "authenticationInfo",
    "callerSuppliedUserAgent",
    "io.k8s.",
    // Of OCSF's.
    "class_uid",
    // Where stores joined keys in ways of their own.
    "user_username",
    "User_username",
    "USER_USERNAME",
    "userUsername",
];

/// What stands only before bodies, however the rest is damaged.
const HEAD_MARKS: [&str; 4] = ["\"audit.k8s.io", "\"auditID", "\"protoPayload", "\"AuditId"];

/// Where bodies begin, which hold tokens and Secrets; without their first quote, since some
/// shippers put the names of the outer keys before them. Then Azure's and Google's.
const BODIES: [&str; 17] = [
    "requestObject",
    "responseObject",
    "RequestObject",
    "ResponseObject",
    "requestobject",
    "responseobject",
    "REQUESTOBJECT",
    "RESPONSEOBJECT",
    "request_object",
    "response_object",
    "REQUEST_OBJECT",
    "RESPONSE_OBJECT",
    "\"request\"",
    "\"response\"",
    "requestJson",
    "responseJson",
    // Behind joined keys; what else begins so stands in no head that is told.
    "protoPayload.re",
];

/// How requests for objects of all namespaces begin, and what of them selects those of one name.
const LISTS: [&str; 6] = [
    "/api/v1/secrets?",
    "/api/v1/serviceaccounts?",
    "/api/v1/pods?",
    "/api/v1/watch/secrets?",
    "/api/v1/watch/serviceaccounts?",
    "/api/v1/watch/pods?",
];
const BY_NAME: &str = "metadata.name";

/// The fields of an entry of Google's that are not looked at, and stand before its payload.
const UNREAD_OF_ENTRY: [&str; 4] = ["logName", "receiveTimestamp", "resource", "severity"];

/// Brackets before the mark of an event in which its beginning is looked for.
const MAX_BRACKETS: usize = 64;

/// Characters of an excerpt.
const EXCERPT: usize = 400;

/// Text that could not be decoded, with its escapes undone as far as they can be.
pub(super) struct BrokenText<'t> {
    /// As it came: where a client's quotes are escaped it is seen which end a text.
    bytes: &'t [u8],
    plain: String,
    decoded: Option<String>,
}

impl<'t> BrokenText<'t> {
    pub fn new(bytes: &'t [u8]) -> Self {
        let mut plain = String::from_utf8_lossy(bytes).into_owned();
        for _ in 0..=MAX_LAYERS {
            if !plain.contains('\\') {
                break;
            }
            plain = unescaped(&plain);
        }
        let decoded = plain
            .contains('%')
            .then(|| percent_decoded(&plain).into_owned());
        Self {
            bytes,
            plain,
            decoded,
        }
    }

    /// Whether it was an audit event, before whatever happened to it.
    pub fn bears_mark(&self) -> bool {
        let text = self.plain.as_bytes();
        MARKS
            .iter()
            .any(|mark| memmem::find_iter(text, mark).any(|at| begins_key(&text[..at])))
            || printed::bears_marks(text)
            || (self.bytes != text && printed::bears_marks(self.bytes))
    }

    /// What of the decoy it names.
    pub fn names(&self, decoy: &Decoy) -> Names {
        let texts = || {
            [Some(&self.plain), self.decoded.as_ref()]
                .into_iter()
                .flatten()
        };
        let holds = |name: &str| texts().any(|text| holds_name(text, name));
        let namespace = holds(&decoy.namespace);
        let asks_everywhere = |text: &String| {
            let mut lists = LISTS.iter();
            text.contains(BY_NAME) && lists.any(|list| text.contains(list))
        };
        Names {
            everywhere: texts().any(asks_everywhere),
            user: namespace && holds(&decoy.user),
            namespace,
            object: holds(&decoy.service_account)
                || decoy.secret.as_deref().is_some_and(holds)
                || decoy
                    .pod
                    .as_ref()
                    .is_some_and(|pod| texts().any(|text| holds_literal(text, pod.as_str()))),
        }
    }

    /// From where an event begins to its first body. What stands before may be the rest of a body, in which a Secret may lie.
    pub fn excerpt(&self) -> Option<String> {
        let end = BODIES
            .iter()
            .filter_map(|body| self.plain.find(body))
            .min()
            .unwrap_or(self.plain.len());
        let head = &self.plain[..end];
        let mark = HEAD_MARKS.iter().filter_map(|mark| head.find(mark)).min()?;
        let brackets = memrchr_iter(b'{', &head.as_bytes()[..mark]).take(MAX_BRACKETS);
        let mut starts = brackets.filter(|start| is_of_event(&head[*start..mark]));
        Some(excerpt(&head[starts.next()?..]))
    }
}

/// Whether `object`, which is cut off, is an event by all keys that stand in it, and not in an object or array in it.
fn is_of_event(object: &str) -> bool {
    let (mut depth, mut rest) = (0_usize, object);
    while let Some(at) = rest.find(['{', '[', '}', ']', '"']) {
        let (byte, behind) = (rest.as_bytes()[at], &rest[at + 1..]);
        rest = behind;
        match byte {
            b'{' | b'[' => depth += 1,
            b'"' => {
                let length = first_quote(behind.as_bytes(), b'"').unwrap_or(behind.len());
                rest = behind.get(length + 1..).unwrap_or_default();
                let is_key = rest.trim_start().starts_with(':');
                if depth == 1 && is_key && !is_key_of_event(&behind[..length]) {
                    return false;
                }
            }
            _ if depth == 1 => return false,
            _ => depth -= 1,
        }
    }
    depth == 1
}

/// Whether `key`, in which several may be joined, is one of an event's, or of an entry's of Google's.
fn is_key_of_event(key: &str) -> bool {
    let all = [
        Event::FIELDS,
        Event::UNREAD_FIELDS,
        gke::FIELDS,
        &gke::PAYLOADS,
        &UNREAD_OF_ENTRY,
    ];
    let is_one = |key: &str| {
        all.iter()
            .any(|keys| keys.iter().any(|known| known.eq_ignore_ascii_case(key)))
    };
    key.split('.').any(is_one)
}

/// What may be shown of `text`, which holds no body: long runs without a break, such as tokens, are left out, and quotes are
/// single, so that an alert that is fed back in is not taken for what it quotes.
pub(crate) fn excerpt(text: &str) -> String {
    let text = redacted(text, EXCERPT).replace('"', "'");
    python::without_beginnings(printed::without_keys_of_python(text))
}

/// Which of a decoy's names stand in a text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Names {
    user: bool,
    namespace: bool,
    object: bool,
    /// Not a name of the decoy's, but what makes that of an object enough: it is asked for in all namespaces.
    everywhere: bool,
}

impl Names {
    /// The full user name; the namespace, or a request for all of them, together with the ServiceAccount, the Secret or
    /// the pod; or, where the whole namespace is bait, the namespace alone.
    pub fn name_decoy(self, decoy: &Decoy) -> bool {
        self.user
            || self.object && (self.namespace || self.everywhere)
            || self.namespace && decoy.whole_namespace
    }

    /// What this and another part of the same record name together.
    pub fn and(self, other: Self) -> Self {
        Self {
            user: self.user || other.user,
            namespace: self.namespace || other.namespace,
            object: self.object || other.object,
            everywhere: self.everywhere || other.everywhere,
        }
    }
}

/// Whether `name` stands in `text` as a whole name, not as a part of a longer one.
fn holds_name(text: &str, name: &str) -> bool {
    memmem::find_iter(text.as_bytes(), name).any(|at| {
        let before = text.as_bytes()[..at].last();
        let after = &text.as_bytes()[at + name.len()..];
        !before.is_some_and(|byte| is_name_byte(*byte)) && !continues_name(after)
    })
}

/// A pod's glob stands for many names: what they have in common will do.
fn holds_literal(text: &str, glob: &str) -> bool {
    match longest_literal(glob) {
        Some(literal) if literal.len() == glob.len() => holds_name(text, glob),
        Some(literal) => text.contains(literal),
        None => true,
    }
}

fn continues_name(after: &[u8]) -> bool {
    match after {
        [b'.', next, ..] => is_name_byte(*next),
        [next, ..] => is_name_byte(*next),
        [] => false,
    }
}

fn is_name_byte(byte: u8) -> bool {
    matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is left of a list of events begins within the Secret of another client.
    #[test]
    fn what_stands_before_the_event_is_in_no_excerpt() {
        let event = r#"{"kind":"Event","apiVersion":"audit.k8s.io/v1","auditID":"1","user":{"username":"a"},"requestObject":{"#;
        for before in [
            r#"{"data":{"password":"secret"}}},"#,
            r#"{"kind":"Secret","apiVersion":"v1","data":{"password":"secret"}}},"#,
            r#"{"annotations":{"password":"secret"}}},"#,
            r#"{"columns":[{"name":"auditID"}],"rows":[["secret","#,
            r#"{"log":"secret "#,
            "2026-11-23T17:21:08Z stdout P ",
        ] {
            let text = format!("{before}{event}");
            let excerpt = BrokenText::new(text.as_bytes()).excerpt();
            let excerpt = excerpt.unwrap_or_default();
            assert!(!excerpt.contains("secret"), "{before} {excerpt}");
        }
        let wrapped = serde_json::json!({"log": event}).to_string();
        for whole in [
            event,
            &format!("2026-11-23T17:21:08Z stdout P {event}"),
            &wrapped,
        ] {
            let excerpt = BrokenText::new(whole.as_bytes()).excerpt().unwrap();
            assert!(excerpt.contains("'username':'a'"), "{excerpt}");
        }
    }

    #[test]
    fn no_body_is_in_an_excerpt() {
        for body in [
            r#""requestObject":"#,
            r#""kubernetes.audit.requestObject.data":"#,
            r#""request":"#,
            r#""requestJson":"#,
            r#""responseJson":"#,
            r#""protoPayload.request.data":"#,
            r#""protoPayload.response":"#,
            r#""requestobject":"#,
            r#""RESPONSEOBJECT":"#,
        ] {
            let text = format!(r#"{{"protoPayload.methodName":"m",{body}"secret"#);
            let excerpt = BrokenText::new(text.as_bytes()).excerpt();
            let excerpt = excerpt.expect("it is the beginning of an event");
            assert!(
                excerpt.contains("methodName") && !excerpt.contains("secret"),
                "{excerpt}"
            );
        }
    }
}
