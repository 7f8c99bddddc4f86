//! Events whose keys a store has joined: `"user.username"`, `"kubernetes.audit.objectRef.name"`, as Elastic, Datadog, Splunk and
//! Logstash do, or `"user_username"`, as Fluentd and Fluent Bit are told to.
//!
//! The keys of an event are the API server's, but those inside of bodies, annotations and extras are not. So what stands
//! behind one of an event's own keys never counts as a key of an event.

mod joint;
mod list;

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet, btree_map::Entry},
};

use simd_json::{prelude::*, tape::Object};

use super::Unclear;
use joint::{DOT, ITEMS, ITEMS_OF_OCSF, Joint, is_chosen, is_index, is_open};

use crate::{
    audit::{Event, Json, gke},
    record::{doubt::keys, key::at, rewrite, unwrap::lifted::Place},
};

pub use joint::{UNDERSCORE, is_of_pod};

/// Whether the keys of an entry, joined by dots or by `_`, may stand behind `prefix`: not within what clients choose.
pub fn is_prefix(prefix: &str) -> bool {
    Joint::ALL[..2].iter().any(|joint| joint.is_prefix(prefix))
}

/// What may have been taken apart.
struct Form {
    /// Keys that tell where the others are, with dots where some are joined.
    anchors: &'static [&'static str],
    /// The first key of the field that tells who it was, or of that which holds it.
    actor: &'static str,
    /// Whether this is the first key of a field that is looked at.
    is_field: fn(&str) -> bool,
    is_whole: fn(&Fields<'_>, Joint) -> bool,
}

const FORMS: [Form; 2] = [
    Form {
        anchors: &[
            "auditID",
            "requestURI",
            "requestReceivedTimestamp",
            "stageTimestamp",
            "user.username",
            "objectRef.resource",
        ],
        actor: "user",
        is_field: |key| Event::FIELDS.contains(&key),
        is_whole: is_event,
    },
    Form {
        anchors: &[
            "protoPayload.methodName",
            "protoPayload.serviceName",
            "protopayload_auditlog.methodName",
            "protopayload_auditlog.serviceName",
            "proto_payload.method_name",
            "proto_payload.audit_log.method_name",
            "gcp.audit.method_name",
            "gcp.audit.service_name",
            "googlecloud.audit.method_name",
            "googlecloud.audit.service_name",
        ],
        actor: gke::PAYLOADS[0],
        is_field: |key| {
            gke::PAYLOADS.contains(&key)
                || gke::RESPELLED_PAYLOADS.contains(&key)
                || gke::FIELDS.contains(&key)
                || key == "insert_id"
        },
        is_whole: |_, _| true,
    },
];

/// Prefixes that are tried: a shipper may have keys of its own that look like an event's.
const MAX_PREFIXES: usize = 4;

/// Fields of bodies whose text tells what is looked for. Keys of a client's that are joined to one do not take its place.
const TEXTS: [&str; 11] = [
    "kind",
    "name",
    "namespace",
    "username",
    "user",
    "serviceAccountName",
    "serviceAccount",
    "secretName",
    "op",
    "path",
    "value",
];

/// The event whose keys were joined in `object`, as it was written; `None` if there is none.
pub fn restored(object: &Object<'_, '_>) -> Option<Result<Vec<u8>, Unclear>> {
    // Most objects have none, and joints stand in many keys.
    let mut anchors = FORMS.iter().flat_map(|form| form.anchors);
    let is_anchored = anchors.any(|anchor| {
        let last = anchor.rsplit('.').next().unwrap_or(anchor);
        object.iter().any(|(key, _)| key.ends_with(last))
    });
    if !is_anchored {
        return None;
    }
    let is_there = |joint: &Joint| object.iter().any(|(key, _)| joint.stands_in(key));
    let read = |needs_actor: bool| {
        Joint::ALL.into_iter().filter(is_there).find_map(|joint| {
            FORMS.iter().find_map(|form| {
                let mut prefixes = prefixes(form.anchors, joint, object).into_iter();
                prefixes.find_map(|prefix| form.restored(prefix, joint, object, needs_actor))
            })
        })
    };
    // Where more than one joint stands in the keys, the one by which somebody did something.
    read(true).or_else(|| read(false))
}

/// Whether `key` is that of an event's field, which a store joined to others, or of Google's for the whole or for who did it.
pub fn leads_to_event(key: &str) -> bool {
    let mut payloads = gke::PAYLOADS.iter().chain(&gke::RESPELLED_PAYLOADS);
    let mut joints = Joint::ALL.into_iter();
    key == gke::PRINCIPAL
        || payloads.any(|payload| *payload == key)
        || joints.any(|joint| joint.stands_in(key) && is_anchor(key, joint))
}

/// Whether `key`, in which several may be joined by `joint`, tells where the others are.
pub fn is_anchor(key: &str, joint: Joint) -> bool {
    let mut anchors = FORMS.iter().flat_map(|form| form.anchors);
    anchors.any(|anchor| {
        let prefix = key.strip_suffix(joint.spelled(anchor).as_str());
        prefix.is_some_and(|prefix| joint.is_prefix(prefix))
    })
}

impl Form {
    fn restored(
        &self,
        prefix: &str,
        joint: Joint,
        object: &Object<'_, '_>,
        needs_actor: bool,
    ) -> Option<Result<Vec<u8>, Unclear>> {
        let is_field = |path: &str| {
            (self.is_field)(joint.head(path)) && (joint.head(path) == path || joint.joins(path))
        };
        let stands_beside = |key: &str| match prefix {
            "" => self.stands_beside(key),
            _ => keys::is_of_record(key) && !(self.is_field)(joint.head(key)),
        };
        let (mut fields, mut others) = (Fields::new(), Fields::new());
        for (key, value) in object.iter() {
            match key.strip_prefix(prefix).filter(|path| is_field(path)) {
                Some(path) => fields.push((path, value)),
                None if stands_beside(key) => others.push((key, value)),
                None => {}
            }
        }
        let is_joined = joint.is_shown_by(prefix, fields.iter().map(|(path, _)| *path));
        let is_actor = |(path, _): &(&str, Json<'_>)| joint.head(path) == self.actor;
        // Behind a prefix a whole event may stand beside what was picked out of it.
        let heads = fields.iter().map(|(path, _)| joint.head(path));
        let is_picked = || prefix.is_empty() && Event::may_be_picked(heads);
        let is_whole = is_joined
            && ((self.is_whole)(&fields, joint) || is_picked())
            && (!needs_actor || fields.iter().any(is_actor));
        is_whole.then(|| written(&fields, &others, joint))
    }

    /// Whether what stands under `key`, which is no field, may hold more than the fields tell, and leads to no others behind a prefix.
    fn stands_beside(&self, key: &str) -> bool {
        let mut anchors = self.anchors.iter();
        let is_prefixed = anchors.any(|anchor| key != *anchor && key.ends_with(anchor));
        Place::of(key) != Place::Event && !is_prefixed
    }
}

/// What stands behind the prefix, and its value.
type Fields<'v> = Vec<(&'v str, Json<'v>)>;

/// What may stand before the keys, the shortest first.
fn prefixes<'v>(anchors: &[&str], joint: Joint, object: &Object<'v, 'v>) -> Vec<&'v str> {
    let anchors: Vec<String> = anchors.iter().map(|anchor| joint.spelled(anchor)).collect();
    let mut prefixes = Vec::new();
    for (key, _) in object.iter() {
        let prefix = anchors.iter().find_map(|anchor| {
            key.strip_suffix(anchor.as_str())
                .filter(|prefix| joint.is_prefix(prefix))
        });
        if let Some(prefix) = prefix
            && !prefixes.contains(&prefix)
        {
            prefixes.push(prefix);
        }
        if prefixes.len() == MAX_PREFIXES {
            break;
        }
    }
    prefixes.sort_by_key(|prefix| prefix.len());
    prefixes
}

fn is_event(fields: &Fields<'_>, joint: Joint) -> bool {
    let has = |key: &str| fields.iter().any(|(path, _)| joint.head(path) == key);
    let text = |key: &str| {
        let (_, value) = fields.iter().find(|(path, _)| *path == key)?;
        value.into_string()
    };
    Event::has_the_fields_of_one(has, text)
}

/// A value, or what was taken apart.
#[derive(Clone)]
pub enum Node<'v> {
    Value(Json<'v>),
    /// A value as JSON.
    Text(&'v str),
    /// A value that is text.
    Word(Cow<'v, str>),
    /// The items of an array, which are texts.
    Words(Vec<&'v str>),
    Fields(BTreeMap<&'v str, Node<'v>>),
}

/// An event that is put together.
#[derive(Default)]
pub struct Tree<'v>(BTreeMap<&'v str, Node<'v>>);

impl<'v> Tree<'v> {
    /// Puts `node` to the end of `path`, whose keys are joined by dots.
    ///
    /// # Errors
    /// If something stands there, or on the way.
    pub fn put(&mut self, path: &'v str, node: Node<'v>) -> Result<(), Unclear> {
        insert(&mut self.0, &DOT.keys(path), node)
    }

    /// Puts what stands in `object` at the first place that has something to the end of each path.
    ///
    /// # Errors
    /// As of [`Tree::put`].
    pub fn put_from(
        &mut self,
        object: &Object<'v, 'v>,
        fields: &[(&'static str, &[&str])],
    ) -> Result<(), Unclear> {
        for (path, places) in fields {
            let mut values = places.iter().filter_map(|place| at(object, place));
            if let Some(value) = values.find(|value| !value.is_null()) {
                self.put(path, Node::Value(value))?;
            }
        }
        Ok(())
    }

    /// Puts `node` to the end of `path`, which lies in `part`.
    ///
    /// # Errors
    /// As of [`Tree::put`].
    pub fn put_below(
        &mut self,
        part: &'v str,
        path: &'v str,
        node: Node<'v>,
    ) -> Result<(), Unclear> {
        let keys = [vec![part], DOT.keys(path)].concat();
        insert(&mut self.0, &keys, node)
    }

    /// Puts `node` under `key` of `part`, whatever stands in the key.
    ///
    /// # Errors
    /// As of [`Tree::put`].
    pub fn put_in(&mut self, part: &'v str, key: &'v str, node: Node<'v>) -> Result<(), Unclear> {
        insert(&mut self.0, &[part, key], node)
    }

    /// Puts what a store left over of an event under `keys`, the last of which may be several that are joined by dots; not where something
    /// stands that it took out.
    ///
    /// # Errors
    /// As of [`Tree::put`].
    pub fn put_rest(&mut self, keys: &[&'v str], value: Json<'v>) -> Result<(), Unclear> {
        let joined: Vec<_> = match keys {
            [path] => DOT.keys(path),
            keys => keys.to_vec(),
        };
        // Of a body nothing else is told.
        if joined.first().is_some_and(|head| !is_open(head)) && self.holds(&joined) {
            return Ok(());
        }
        let path = keys.last().copied().unwrap_or_default();
        let node = match value.into_string() {
            Some(text) if path.contains(ITEMS_OF_OCSF) => list::of_text(&joined, text)?,
            _ => Some(Node::Value(value)),
        };
        node.map_or(Ok(()), |node| insert(&mut self.0, &joined, node))
    }

    /// Whether a value stands at the end of `keys`, or on the way.
    fn holds(&self, keys: &[&str]) -> bool {
        let mut fields = &self.0;
        for key in keys {
            match fields.get(key) {
                Some(Node::Fields(inner)) => fields = inner,
                found => return found.is_some(),
            }
        }
        false
    }

    /// # Errors
    /// If there is no one way to read it.
    pub fn written(self) -> Result<Vec<u8>, Unclear> {
        let mut out = Vec::new();
        write(&Node::Fields(self.0), &mut out)?;
        Ok(out)
    }
}

fn written(fields: &Fields<'_>, others: &Fields<'_>, joint: Joint) -> Result<Vec<u8>, Unclear> {
    let is_whole = |value: Json<'_>| value.is_object() || value.is_array();
    let (mut whole, mut joined) = (BTreeSet::new(), BTreeSet::new());
    for (path, value) in fields {
        let head = joint.head(path);
        if head != *path {
            joined.insert(head);
        } else if is_whole(*value) {
            whole.insert(head);
        }
    }
    let mut event = Tree::default();
    for (path, value) in fields {
        // Of a part that is there in both ways the whole one counts.
        let is_repeated = match joint.head(path) {
            head if head == *path => !is_whole(*value) && joined.contains(head),
            head => whole.contains(head),
        };
        if !is_repeated {
            let keys = joint.keys(path);
            let text = value.into_string();
            let json = text.filter(|text| list::is_text(&keys, text));
            if json.is_none() && text.is_some_and(|text| list::is_printed(&keys, text)) {
                return Err(Unclear);
            }
            let groups = || list::groups(&keys, text?);
            let node = json.map(Node::Text).or_else(|| groups().map(Node::Words));
            let node = node.unwrap_or(Node::Value(*value));
            insert(&mut event.0, &keys, node)?;
        }
    }
    for (key, value) in others {
        event.0.insert(key, Node::Value(*value));
    }
    event.written()
}

fn insert<'v>(
    mut fields: &mut BTreeMap<&'v str, Node<'v>>,
    path: &[&'v str],
    node: Node<'v>,
) -> Result<(), Unclear> {
    let [keys @ .., last] = path else {
        return Ok(());
    };
    for (depth, key) in keys.iter().enumerate() {
        let node = fields
            .entry(key)
            .or_insert_with(|| Node::Fields(BTreeMap::new()));
        if matches!(node, Node::Value(value) if gives_way(&path[..=depth], *value)) {
            *node = Node::Fields(BTreeMap::new());
        }
        match node {
            Node::Fields(inner) => fields = inner,
            Node::Value(_) | Node::Text(_) | Node::Word(_) | Node::Words(_) => return Err(Unclear),
        }
    }
    match fields.entry(last) {
        Entry::Vacant(place) => {
            place.insert(node);
            Ok(())
        }
        Entry::Occupied(place) => match (place.get(), node) {
            (Node::Fields(_), Node::Value(value)) if gives_way(path, value) => Ok(()),
            _ => Err(Unclear),
        },
    }
}

/// Whether fields at the same `path` may stand in place of `value`, as of the label `app` beside `app.kubernetes.io/name`.
fn gives_way(path: &[&str], value: Json<'_>) -> bool {
    let value = rewrite::single(value);
    let is_scalar = !value.is_object() && !value.is_array();
    let is_text = path.last().is_some_and(|key| TEXTS.contains(key));
    is_scalar && (!is_text || path.iter().any(|key| is_chosen(key)))
}

fn write(node: &Node<'_>, out: &mut Vec<u8>) -> Result<(), Unclear> {
    let fields = match node {
        Node::Value(value) => {
            rewrite::value(rewrite::single(*value), 0, out);
            return Ok(());
        }
        Node::Text(json) => {
            out.extend_from_slice(json.as_bytes());
            return Ok(());
        }
        Node::Word(text) => {
            rewrite::text(text, out);
            return Ok(());
        }
        Node::Words(texts) => {
            rewrite::items(texts.iter(), out, |text, out| rewrite::text(text, out));
            return Ok(());
        }
        Node::Fields(fields) => fields,
    };
    if let Some(items) = fields.get(ITEMS) {
        return match fields.len() {
            1 => list::write(items, out),
            _ => Err(Unclear),
        };
    }
    let mut written = Ok(());
    let mut inner = |key: &str, node: &Node<'_>, out: &mut Vec<u8>| {
        if written.is_ok() {
            written = match list::is_one(key, node) {
                true => list::write(node, out),
                false => write(node, out),
            };
        }
    };
    match fields.keys().filter(|key| is_index(key)).count() {
        0 => rewrite::fields(fields.iter(), out, |(key, node), out| {
            rewrite::name(key, out);
            inner(key, node, out);
        }),
        count if count == fields.len() => {
            if fields.values().any(list::is_mixed) {
                return Err(Unclear);
            }
            let mut items: Vec<_> = fields.iter().collect();
            items.sort_by_key(|(index, _)| (index.len(), **index));
            rewrite::items(items.into_iter(), out, |(key, node), out| {
                inner(key, node, out);
            });
        }
        _ => return Err(Unclear),
    }
    written
}

#[cfg(test)]
mod tests {
    use proptest::{prelude::*, sample::select};
    use serde_json::{Map, Value};

    use super::*;

    #[test]
    fn many_keys_take_no_longer_than_their_length() {
        let body = |index: usize| format!(r#""requestObject.data.{index}.a":1"#);
        let fields: Vec<String> = (0..1 << 17).map(body).collect();
        let text = format!(r#"{{"auditID":"1","verb":"create",{}}}"#, fields.join(","));
        let mut bytes = text.clone().into_bytes();
        let tape = simd_json::to_tape(&mut bytes).unwrap();
        let restored = restored(&tape.as_value().as_object().unwrap());
        assert!(restored.is_some_and(|restored| restored.is_ok()));
    }

    proptest! {
        #[test]
        fn what_is_restored_is_json_and_an_event_or_was_picked_out_of_one(joint in select(vec![".", "_", "/"]), fields in proptest::collection::vec((
            select(vec!["", "audit.", "kubernetes.audit.", "requestObject.", "a.labels."]),
            select(vec!["auditID", "verb", "user", "user.username", "user.extra", "user.extra.a.0", "objectRef.name", "requestObject",
                "requestObject.0", "requestObject.a", "requestObject.a.0", "requestObject..", "sourceIPs.1", "annotations.a.b",
                "sourceIPs{}", "user.groups[0]", "requestObject{}.op", "requestObject[1].op", "requestObject.env.a{}.b",
                "requestObject.subjects{}.name", "requestObject.subjects.kind", "requestObject.subjects.name"]),
            select(vec!["\"x\"", "1", "null", "[\"y\"]", "[1,[2]]", "\"[1]\"", "{}", "{\"username\":\"z\"}"])), 0..12)) {
            let fields = fields.iter().map(|(prefix, path, value)| {
                let value: Value = serde_json::from_str(value).unwrap();
                (format!("{prefix}{path}").replace('.', joint), value)
            });
            let mut text = Value::Object(Map::from_iter(fields)).to_string().into_bytes();
            let tape = simd_json::to_tape(&mut text).unwrap();
            if let Some(Ok(restored)) = restored(&tape.as_value().as_object().unwrap()) {
                let mut restored = restored;
                let tape = simd_json::to_tape(&mut restored).unwrap();
                let restored = tape.as_value().as_object().unwrap();
                let keys = restored.iter().map(|(key, _)| key);
                prop_assert!(Event::is_one(&restored) || Event::may_be_picked(keys));
            }
        }
    }
}
