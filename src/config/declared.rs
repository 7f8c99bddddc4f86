//! The `sources`, `transforms` and `sinks` of all files together.

use std::{collections::HashMap, sync::Arc, time::Duration};

use super::{
    components::{COMPONENTS, Component, Config, Role, SourceOptions, Stream},
    fault::{Fault, Place, quoted},
    loader::GLOBALS,
    nearest::{advice, listed, nearest},
    options::{Advice, Options, Section},
    tree::{Entry, Node, Str, Value},
    vectors_words::instead,
};
use crate::source::Decoding;

/// A component as it was declared. What is unsound about it has been told.
pub(super) struct Declared<'a> {
    pub role: Role,
    pub id: Arc<str>,
    /// Where its id stands.
    pub place: &'a Place,
    /// `None` if its type is unknown.
    pub component: Option<&'static Component>,
    /// `None` if its options have faults.
    pub config: Option<Config>,
    /// `None` if they cannot be read. Empty for a source.
    pub inputs: Option<Vec<Input<'a>>>,
    /// A source's `silence_secs`.
    pub silence: Option<Duration>,
    /// `decoding.codec` says so, whether or not its options have faults.
    pub reads_detections: bool,
    /// The values of its options `include` and `exclude`, in order, for comparisons.
    pub globs: [Option<Vec<&'a str>>; 2],
}

/// One entry of `inputs`.
pub(super) struct Input<'a> {
    pub text: &'a Str,
    pub place: &'a Place,
}

/// What flows out of a component.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Gives {
    Stream(Stream),
    Nothing,
    /// Its type is unknown, or it is a source whose options have faults.
    Unknown,
}

impl Declared<'_> {
    pub fn gives(&self) -> Gives {
        match (self.role, self.component, &self.config) {
            (Role::Sink, _, _) => Gives::Nothing,
            (Role::Source, _, Some(Config::Source(config))) => {
                Gives::Stream(match config.decoding() {
                    Decoding::Audit => Stream::Records,
                    Decoding::Detection => Stream::Detections,
                })
            }
            (_, Some(component), _) => component.gives.map_or(Gives::Unknown, Gives::Stream),
            (_, None, _) => Gives::Unknown,
        }
    }

    /// What may flow into it; `None` if its type is unknown.
    pub fn takes(&self) -> Option<&'static [Stream]> {
        match &self.config {
            Some(Config::Sink(config)) if config.repeats_what_is_open() => Some(&[Stream::Alerts]),
            _ => self.component.map(|component| component.takes),
        }
    }

    /// What faults call it: `sink "siem" (kafka)`.
    pub fn subject(&self) -> String {
        subject(self.role, &self.id, self.component)
    }
}

fn subject(role: Role, id: &str, component: Option<&Component>) -> String {
    match component {
        Some(component) => format!("{role} {} ({})", quoted(id), component.name),
        None => format!("{role} {}", quoted(id)),
    }
}

/// Reads the sections of all files. An id that is taken already is a fault, and what
/// stands under it is not looked at.
pub(super) fn read<'a>(
    sections: &[(Role, &'a Node)],
    faults: &mut Vec<Fault>,
) -> Vec<Declared<'a>> {
    let mut taken: HashMap<&str, (Role, &Place)> = HashMap::new();
    let mut declared = Vec::new();
    for (role, section) in sections {
        for entry in entries(*role, section, faults) {
            if let Some((other, first)) = taken.get(entry.key.as_str()) {
                let id = quoted(&entry.key);
                let message = format!(
                    "the id {id} is taken by the {other} at {first}; rename one, \
                     ids are unique over sources, transforms and sinks"
                );
                faults.push(Fault::at(&entry.place, message));
                continue;
            }
            taken.insert(&entry.key, (*role, &entry.place));
            check_id(&entry.key, &entry.place, faults);
            declared.push(component(*role, entry, faults));
        }
    }
    declared
}

fn entries<'a>(role: Role, section: &'a Node, faults: &mut Vec<Fault>) -> &'a [Entry] {
    match &section.value {
        Value::Map(entries) => entries,
        Value::Null | Value::Faulty => &[],
        _ => {
            let (name, found) = (role.section(), section.found());
            let message = format!("\"{name}\" must be a map of ids to {name}, found {found}");
            faults.push(Fault::at(&section.place, message));
            &[]
        }
    }
}

fn check_id(id: &str, place: &Place, faults: &mut Vec<Fault>) {
    let legal = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
    if id.is_empty() || !id.bytes().all(legal) {
        let shown = quoted(id);
        let message = format!("the id {shown} must be made of A-Z, a-z, 0-9, \"_\" and \"-\"");
        faults.push(Fault::at(place, message));
    }
}

fn component<'a>(role: Role, entry: &'a Entry, faults: &mut Vec<Fault>) -> Declared<'a> {
    let mut declared = Declared {
        role,
        id: entry.key.as_str().into(),
        place: &entry.place,
        component: None,
        config: None,
        inputs: None,
        silence: None,
        reads_detections: false,
        globs: [None, None],
    };
    let entries = match &entry.node.value {
        Value::Map(entries) => entries,
        Value::Faulty => return declared,
        _ => {
            let found = entry.node.found();
            let message = format!(
                "{} must be a map with a \"type\", found {found}",
                declared.subject()
            );
            faults.push(Fault::at(&entry.node.place, message));
            return declared;
        }
    };
    declared.component = component_type(&declared, value_of("type", entries), faults);
    declared.globs = ["include", "exclude"].map(|option| value_of(option, entries).and_then(texts));
    declared.reads_detections = codec(entries) == Some(Decoding::Detection.as_str());
    declared.inputs = match role {
        Role::Source => Some(Vec::new()),
        Role::Transform | Role::Sink => inputs(&declared, entries, faults),
    };
    let Some(component) = declared.component else {
        return declared;
    };
    let docs = component.options();
    let mut options = Options::new(declared.subject(), &entry.place, entries, faults);
    let common: &[&str] = if role == Role::Source {
        &["type"]
    } else {
        &["type", "inputs"]
    };
    options.refuse_unknown(&docs, common, &|name| {
        let instead = instead(role, component.name, name).map(Advice::Instead);
        instead.or_else(|| elsewhere(role, name).map(Advice::Elsewhere))
    });
    declared.config = (component.read)(&mut options);
    if role == Role::Source {
        let common = SourceOptions::read(&mut options, "");
        declared.silence = common.and_then(|common| common.silence);
    }
    declared
}

fn value_of<'a>(key: &str, entries: &'a [Entry]) -> Option<&'a Node> {
    let entry = entries.iter().find(|entry| entry.key == key)?;
    Some(&entry.node)
}

/// What `decoding.codec` says.
fn codec(entries: &[Entry]) -> Option<&str> {
    let Value::Map(decoding) = &value_of("decoding", entries)?.value else {
        return None;
    };
    let codec = value_of("codec", decoding)?.as_text()?;
    Some(&codec.value)
}

fn texts(node: &Node) -> Option<Vec<&str>> {
    let Value::List(items) = &node.value else {
        return None;
    };
    let mut texts: Vec<&str> = items
        .iter()
        .filter_map(Node::as_text)
        .map(|text| text.value.as_str())
        .collect();
    texts.sort_unstable();
    texts.dedup();
    Some(texts)
}

fn component_type(
    declared: &Declared<'_>,
    node: Option<&Node>,
    faults: &mut Vec<Fault>,
) -> Option<&'static Component> {
    let role = declared.role;
    let subject = declared.subject();
    let names = || {
        COMPONENTS
            .iter()
            .filter(|known| known.role == role)
            .map(|known| known.name)
    };
    let Some(node) = node else {
        let message = format!("{subject} lacks \"type\"; known: {}", listed(names()));
        faults.push(Fault::at(declared.place, message));
        return None;
    };
    let Some(text) = node.as_text() else {
        if !node.is_faulty() {
            let known = listed(names());
            let message = format!(
                "\"type\" of {subject} must be a string, found {}; known: {known}",
                node.found()
            );
            faults.push(Fault::at(&node.place, message));
        }
        return None;
    };
    let known = |role| {
        COMPONENTS
            .iter()
            .find(|known| known.role == role && known.name == text.value)
    };
    if let Some(component) = known(role) {
        return Some(component);
    }
    let advice = match Role::ALL.into_iter().find_map(known) {
        Some(other) => format!(
            "; it is a {}: write it under {}",
            other.role,
            other.role.section()
        ),
        None => advice(&text.value, names()),
    };
    let message = format!("unknown type {} of {subject}{advice}", text.shown());
    faults.push(Fault::at(&node.place, message));
    None
}

fn inputs<'a>(
    declared: &Declared<'_>,
    entries: &'a [Entry],
    faults: &mut Vec<Fault>,
) -> Option<Vec<Input<'a>>> {
    let subject = declared.subject();
    let Some(node) = value_of("inputs", entries) else {
        // One that is misspelt is told as an unknown option, and is not missing as well.
        let is_like_it = |entry: &Entry| nearest(&entry.key, ["inputs"]).is_some();
        let is_misspelt = declared.component.is_some() && entries.iter().any(is_like_it);
        if !is_misspelt {
            let message = format!("{subject} lacks \"inputs\"; write a list of ids");
            faults.push(Fault::at(declared.place, message));
        }
        return None;
    };
    let entry_of = |item: &'a Node, faults: &mut Vec<Fault>| match item.as_text() {
        Some(text) => Some(Input {
            text,
            place: &item.place,
        }),
        None => {
            let found = item.found();
            refuse(
                item,
                format!("an input of {subject} must be an id, found {found}"),
                faults,
            )
        }
    };
    match &node.value {
        Value::List(items) if items.is_empty() => {
            let message = format!("the inputs of {subject} are empty; write a list of ids");
            refuse(node, message, faults)
        }
        Value::List(items) => {
            // All entries are read before the first unsound one counts.
            let read: Vec<_> = items.iter().map(|item| entry_of(item, faults)).collect();
            read.into_iter().collect()
        }
        Value::String(text) => {
            let shown = text.shown();
            let message = format!("the inputs of {subject} must be a list; write [{shown}]");
            refuse(node, message, faults)
        }
        _ => {
            let found = node.found();
            let message = format!("the inputs of {subject} must be a list of ids, found {found}");
            refuse(node, message, faults)
        }
    }
}

/// A fault at `node`, unless it has one already.
fn refuse<T>(node: &Node, message: String, faults: &mut Vec<Fault>) -> Option<T> {
    if !node.is_faulty() {
        faults.push(Fault::at(&node.place, message));
    }
    None
}

/// Who else has an option of this name.
fn elsewhere(role: Role, name: &str) -> Option<String> {
    if role == Role::Source && name == "inputs" {
        return Some("a source has no inputs: name it in the inputs of a transform".to_owned());
    }
    let owns = |component: &&Component| {
        let mut options = component.options().into_iter();
        options.any(|option| option.name == name)
    };
    let mut owners = Vec::new();
    for role in Role::ALL {
        let all = || COMPONENTS.iter().filter(|component| component.role == role);
        match all().filter(owns).count() {
            several if several > 1 && several == all().count() => {
                owners.push(format!("every {role}"));
            }
            _ => owners.extend(
                all()
                    .filter(owns)
                    .map(|owner| format!("the {} {role}", owner.name)),
            ),
        }
    }
    match owners.as_slice() {
        [] => top_level(name),
        owners => Some(format!("it is an option of {}", owners.join(" and "))),
    }
}

fn top_level(name: &str) -> Option<String> {
    GLOBALS
        .contains(&name)
        .then(|| "it stands at the top level of a file".to_owned())
}
