//! Arrays of objects that a store took apart, key by key: `"subjects{}.name":["a","b"]`, `"subjects{}.kind":["ServiceAccount","User"]`, as
//! Splunk does, or `"subjects.name":[…]`, as in the answers of Elasticsearch.
//!
//! Where an object lacks a key, the list of that key is shorter, and does not tell which one.

use std::collections::BTreeMap;

use simd_json::prelude::*;

use super::{
    Node, TEXTS, Unclear, insert,
    joint::{ITEMS, is_index},
    rewrite,
};

type Fields<'v> = BTreeMap<&'v str, Node<'v>>;

/// The keys of arrays of objects in which what is looked for stands.
const LISTS: [&str; 10] = [
    "subjects",
    "volumes",
    "sources",
    "containers",
    "initContainers",
    "ephemeralContainers",
    "env",
    "envFrom",
    "authorization_info",
    "authorizationInfo",
];

/// The keys of objects in bodies in which it stands.
const OBJECTS: [&str; 4] = ["metadata", "spec", "status", "template"];

/// Bodies, which are arrays of objects where they are JSON patches.
const BODIES: [&str; 2] = ["requestObject", "responseObject"];

/// The keys of objects that mean something together only: those of subjects, and of the operations of patches.
const TOGETHER: [&str; 6] = ["kind", "name", "namespace", "op", "path", "value"];

/// The array of such objects that is none of a patch.
const TOGETHER_KEY: &str = "subjects";

/// The keys of an operation of a patch.
const OPERATION: [&str; 4] = ["op", "path", "value", "from"];

/// Whether `text` is the JSON of an array, or of an object, that stands at the end of `path`, where the API server writes one.
pub fn is_text(path: &[&str], text: &str) -> bool {
    let bracket = match path {
        ["user" | "impersonatedUser", "extra"] => '{',
        ["user" | "impersonatedUser", "groups"] | ["user" | "impersonatedUser", "extra", _] => '[',
        [body, .., last] if BODIES.contains(body) && OBJECTS.contains(last) => '{',
        [.., last] if LISTS.contains(last) => '[',
        _ => return false,
    };
    rewrite::is_json(text, &[bracket])
}

/// The groups of a user, if a store made one `text` of them: `a, b`. What has more in it than names and commas is one name of a
/// directory: `CN=a,DC=b`.
pub fn groups<'v>(path: &[&str], text: &'v str) -> Option<Vec<&'v str>> {
    let is_list = matches!(path, ["user" | "impersonatedUser", "groups"])
        && text.contains(',')
        && !text.contains(['=', '[', '{', '"']);
    is_list.then(|| text.split(',').map(str::trim).collect())
}

/// Whether `text`, which stands at the end of `path` in a body, is an array of objects that nobody can read: `{kind=User, name=jane}`, as
/// Graylog has of what Java prints.
pub fn is_printed(path: &[&str], text: &str) -> bool {
    let is_list = path.last().is_some_and(|last| LISTS.contains(last));
    let is_body = path.first().is_some_and(|first| BODIES.contains(first));
    is_list && is_body && text.contains('{')
}

/// The items at the end of `path` of which a store made one `text`; `None` if nobody looks for them, and they may have commas in them.
///
/// # Errors
/// If it tells more than one of what means something only together with others: those may be fewer.
pub fn of_text<'v>(path: &[&str], text: &'v str) -> Result<Option<Node<'v>>, Unclear> {
    let last = path.iter().rfind(|key| **key != ITEMS);
    let is_body = path.first().is_some_and(|first| BODIES.contains(first));
    if is_body && !last.is_some_and(|last| TEXTS.contains(last)) {
        return Ok(None);
    }
    let are_together = path.get(1) == Some(&ITEMS) || path.contains(&TOGETHER_KEY);
    match text.contains(',') {
        true if is_body && are_together => Err(Unclear),
        _ => Ok(Some(Node::Words(text.split(',').collect()))),
    }
}

/// Whether what stands under `key` is an array that was taken apart without a sign of it.
pub fn is_one(key: &str, node: &Node<'_>) -> bool {
    let Node::Fields(fields) = node else {
        return false;
    };
    let is_plain = !fields.keys().any(|key| *key == ITEMS || is_index(key));
    let is_patch =
        || BODIES.contains(&key) && fields.contains_key("op") && fields.contains_key("path");
    is_plain && (LISTS.contains(&key) || is_patch())
}

/// Whether `item`, which stands under an index, is several: a client may have written a key that looks as if it led to one.
pub fn is_mixed(item: &Node<'_>) -> bool {
    let Node::Fields(fields) = item else {
        return false;
    };
    ["kind", "name", "namespace"]
        .iter()
        .any(|key| match fields.get(key) {
            Some(Node::Value(value)) => value.as_array().is_some_and(|array| array.len() > 1),
            Some(Node::Words(words)) => words.len() > 1,
            _ => false,
        })
}

/// The values of one key of all objects, and the keys that lead there.
struct Leaf<'v> {
    path: Vec<&'v str>,
    values: Values<'v>,
}

enum Values<'v> {
    Each(Vec<Node<'v>>),
    /// A list within the list, all of it.
    List(Node<'v>),
}

/// Writes the array that `items` are of.
pub fn write(items: &Node<'_>, out: &mut Vec<u8>) -> Result<(), Unclear> {
    let fields = match items {
        Node::Value(value) if value.is_array() => {
            rewrite::value(*value, 0, out);
            return Ok(());
        }
        Node::Fields(fields) => fields,
        Node::Words(_) => return super::write(items, out),
        single => {
            out.push(b'[');
            super::write(single, out)?;
            out.push(b']');
            return Ok(());
        }
    };
    let mut leaves = Vec::new();
    collect(&mut Vec::new(), fields, &mut leaves);
    let mut written = Ok(());
    rewrite::items(objects(leaves)?.into_iter(), out, |object, out| {
        if written.is_ok() {
            written = super::write(&Node::Fields(object), out);
        }
    });
    written
}

fn collect<'v>(path: &mut Vec<&'v str>, fields: &Fields<'v>, leaves: &mut Vec<Leaf<'v>>) {
    for (key, node) in fields {
        path.push(key);
        let values = match node {
            Node::Fields(inner) if !is_one(key, node) && !inner.contains_key(ITEMS) => {
                collect(path, inner, leaves);
                None
            }
            Node::Value(value) => {
                let items = value
                    .as_array()
                    .map(|array| array.iter().map(Node::Value).collect());
                Some(Values::Each(items.unwrap_or_else(|| vec![node.clone()])))
            }
            Node::Words(words) => {
                let items = words.iter().copied();
                Some(Values::Each(
                    items.map(|word| Node::Word(word.into())).collect(),
                ))
            }
            other => Some(Values::List(other.clone())),
        };
        leaves.extend(values.map(|values| Leaf {
            path: path.clone(),
            values,
        }));
        path.pop();
    }
}

/// The objects that had the `leaves`. Where that cannot be told of some values, each of them gets an object of its own; but for those
/// that mean something only together.
fn objects<'v>(leaves: Vec<Leaf<'v>>) -> Result<Vec<Fields<'v>>, Unclear> {
    let count = |leaf: &Leaf<'_>| match &leaf.values {
        Values::Each(values) => values.len(),
        Values::List(_) => 0,
    };
    // Each subject has the one, and each operation the other.
    let of_each = leaves
        .iter()
        .find(|leaf| matches!(leaf.path[..], ["kind" | "op"]));
    let are_together = of_each.is_some();
    // What has other keys than an operation may be an object that poses as one.
    let is_operation =
        |leaf: &Leaf<'_>| leaf.path.first().is_some_and(|key| OPERATION.contains(key));
    if of_each.is_some_and(|leaf| leaf.path == ["op"]) && !leaves.iter().all(is_operation) {
        return Err(Unclear);
    }
    let longest = || leaves.iter().map(count).max().unwrap_or(0);
    let length = of_each.map_or_else(longest, count);
    let mut objects = vec![Fields::new(); length];
    for leaf in leaves {
        let path = &leaf.path[..];
        match leaf.values {
            Values::Each(values) if values.len() == length => {
                for (object, value) in objects.iter_mut().zip(values) {
                    insert(object, path, value)?;
                }
            }
            Values::List(list) if length == 1 => insert(&mut objects[0], path, list)?,
            _ if are_together && path.first().is_some_and(|key| TOGETHER.contains(key)) => {
                return Err(Unclear);
            }
            Values::Each(values) => {
                for value in values {
                    objects.push(alone(path, value)?);
                }
            }
            Values::List(list) => objects.push(alone(path, list)?),
        }
    }
    Ok(objects)
}

fn alone<'v>(path: &[&'v str], node: Node<'v>) -> Result<Fields<'v>, Unclear> {
    let mut object = Fields::new();
    insert(&mut object, path, node)?;
    Ok(object)
}
