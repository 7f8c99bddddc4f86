//! The `decoys` section.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    Decoy, Expected,
    fault::{Fault, Place},
    kind::{Flag, Kind, List, Named, Text, Word},
    names::{ObjectName, PodName, ServiceAccount},
    notation::Glob,
    options::{Advice, OptionDoc, Options, Scope, Section, options},
    tree::{Node, Value},
};
use crate::detect::{Severity, Technique};

mod unwise;

/// A decoy as it is written: the identity in one piece.
struct Written {
    service_account: (String, String),
    secret: Option<String>,
    pod: Option<String>,
    whole_namespace: bool,
    severity: Severity,
    labels: Arc<BTreeMap<String, String>>,
    expected: Vec<Expected>,
}

options! {
    Written {
        /// The ServiceAccount that nothing legitimate uses. Only this one, never another that
        /// has its name as a part.
        service_account: "service_account" ServiceAccount, required;
        /// The Secret that holds its token. Reading it is the theft itself.
        secret: "secret" ObjectName, default None;
        /// The pod that exposes its token. Exec into it is how it is stolen.
        pod: "pod" PodName, default None;
        /// Nothing else lives in the namespace: any touch of it counts.
        whole_namespace: "whole_namespace" Flag, default false;
        /// The least severity of what it raises.
        severity: "severity" Word<Severity>, default Severity::Low;
        /// What its alerts bear, such as an owner and a runbook.
        labels: "labels" Labels, default Arc::default();
        /// Legitimate touches: counted, never alerted. Added to those that are built in.
        expected: "expected" Rules, default Vec::new();
    }
}

options! {
    Expected {
        /// The authenticated user.
        user: "user" Glob, required;
        /// Verbs of requests. None given: any.
        verbs: "verbs" List<Verb>, default Vec::new();
        /// Resources, as `resource` or `resource/subresource`. None given: any.
        resources: "resources" List<Resource>, default Vec::new();
        /// Techniques. None given: any of these but the use of the token and impersonation.
        techniques: "techniques" List<Excusable>, default Vec::new();
    }
}

/// A technique that may be expected of somebody.
#[derive(Clone, Copy)]
struct Excused(Technique);

impl Excused {
    /// All but those of which it is not known who did it, or to which decoy.
    const ALL: [Self; 11] = [
        Self(Technique::TokenUse),
        Self(Technique::Impersonation),
        Self(Technique::TokenRequest),
        Self(Technique::PrivilegeGrant),
        Self(Technique::ImpersonationDenied),
        Self(Technique::PodExec),
        Self(Technique::PodAsDecoy),
        Self(Technique::Tamper),
        Self(Technique::SecretRead),
        Self(Technique::Recon),
        Self(Technique::NamespaceTouch),
    ];
}

impl Named for Excused {
    fn all() -> &'static [Self] {
        &Self::ALL
    }

    fn name(self) -> &'static str {
        self.0.as_str()
    }

    fn instead(word: &str) -> Option<&'static str> {
        match Technique::from_name(word)? {
            Technique::TokenReview => Some(
                "the user of a review is who was shown the token, not who showed it, and that is never expected",
            ),
            Technique::Undecodable => Some("of what cannot be decoded it is not known who did it"),
            Technique::ImpersonationUnnamed => {
                Some("it is never alerted, and not known to be about a decoy")
            }
            _ => None,
        }
    }
}

/// The name of a technique that may be expected.
struct Excusable;

impl Kind for Excusable {
    type Value = Technique;

    fn wanted() -> String {
        Word::<Excused>::wanted()
    }

    fn read(node: &Node, scope: &mut Scope<'_, '_>) -> Option<Technique> {
        Word::<Excused>::read(node, scope).map(|excused| excused.0)
    }

    fn show(value: &Technique) -> String {
        value.as_str().to_owned()
    }
}

/// A verb, as audit events have it.
struct Verb;

impl Kind for Verb {
    type Value = String;

    fn wanted() -> String {
        "a verb such as get or list".to_owned()
    }

    fn read(node: &Node, scope: &mut Scope<'_, '_>) -> Option<String> {
        let verb = Text::read(node, scope)?;
        match verb.bytes().all(|b| b.is_ascii_lowercase()) {
            true => Some(verb),
            false => scope.wrong(node, "a verb in lower-case letters, such as get or list"),
        }
    }

    fn show(value: &String) -> String {
        value.clone()
    }
}

/// `resource` or `resource/subresource`.
struct Resource;

impl Kind for Resource {
    type Value = String;

    fn wanted() -> String {
        "a resource such as pods or pods/log".to_owned()
    }

    fn read(node: &Node, scope: &mut Scope<'_, '_>) -> Option<String> {
        let resource = Text::read(node, scope)?;
        let legal = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-.".contains(&b);
        let parts: Vec<&str> = resource.split('/').collect();
        let sound = parts.len() <= 2
            && parts
                .iter()
                .all(|part| !part.is_empty() && part.bytes().all(legal));
        if sound {
            Some(resource)
        } else {
            scope.wrong(node, &Self::wanted())
        }
    }

    fn show(value: &String) -> String {
        value.clone()
    }
}

/// The list of legitimate touches.
struct Rules;

impl Kind for Rules {
    type Value = Vec<Expected>;

    fn wanted() -> String {
        "a list of maps, such as [{ user: \"system:serviceaccount:argocd:*\" }]".to_owned()
    }

    fn read(node: &Node, scope: &mut Scope<'_, '_>) -> Option<Vec<Expected>> {
        let Value::List(items) = &node.value else {
            return scope.wrong(node, &Self::wanted());
        };
        let subject = format!("an entry of {}", scope.option);
        let docs = options_of::<Expected>();
        let rules: Vec<_> = items
            .iter()
            .map(|item| section::<Expected>(item, &subject, &docs, scope.faults))
            .collect();
        rules.into_iter().collect()
    }

    fn show(_: &Vec<Expected>) -> String {
        "[]".to_owned()
    }

    fn describe(
        name: String,
        default: Option<&Vec<Expected>>,
        doc: &str,
        docs: &mut Vec<OptionDoc>,
    ) {
        docs.push(OptionDoc {
            name: name.clone(),
            kind: "a list of maps".to_owned(),
            default: default.map(Self::show),
            doc: doc.split_whitespace().collect::<Vec<_>>().join(" "),
        });
        Expected::describe(&format!("{name}[]."), docs);
    }
}

/// The options of a section, to be asked once for all maps that are one.
fn options_of<S: Section>() -> Vec<OptionDoc> {
    let mut docs = Vec::new();
    S::describe("", &mut docs);
    docs.retain(|doc| !doc.name.contains("[]"));
    docs
}

/// Reads a map that is a section of its own, with the options that `docs` tell of.
fn section<S: Section>(
    node: &Node,
    subject: &str,
    docs: &[OptionDoc],
    faults: &mut Vec<Fault>,
) -> Option<S> {
    let entries = match &node.value {
        Value::Map(entries) => entries,
        Value::Faulty => return None,
        _ => {
            let message = format!("{subject} must be a map, found {}", node.found());
            faults.push(Fault::at(&node.place, message));
            return None;
        }
    };
    let mut options = Options::new(subject.to_owned(), &node.place, entries, faults);
    options.refuse_unknown(docs, &[], &|name| {
        let is_identity = matches!(name, "namespace" | "name");
        is_identity.then(|| Advice::Elsewhere("write service_account: namespace/name".into()))
    });
    S::read(&mut options, "")
}

/// A map of names to strings, numbers or booleans, all taken as strings.
pub(crate) struct Labels;

impl Kind for Labels {
    type Value = Arc<BTreeMap<String, String>>;

    fn wanted() -> String {
        "a map of names to strings".to_owned()
    }

    fn read(node: &Node, scope: &mut Scope<'_, '_>) -> Option<Self::Value> {
        let Value::Map(entries) = &node.value else {
            return scope.wrong(node, &Self::wanted());
        };
        let mut labels = BTreeMap::new();
        let mut sound = true;
        for entry in entries {
            let value = match &entry.node.value {
                Value::String(text) => text.value.clone(),
                Value::Bool(value) => value.to_string(),
                Value::Integer(value) => value.to_string(),
                Value::Float(_, written) => written.clone(),
                Value::Null | Value::List(_) | Value::Map(_) | Value::Faulty => {
                    scope.within("label", &entry.key, |scope| {
                        scope.wrong::<()>(&entry.node, "a string")
                    });
                    sound = false;
                    continue;
                }
            };
            labels.insert(entry.key.clone(), value);
        }
        sound.then(|| Arc::new(labels))
    }

    fn show(value: &Self::Value) -> String {
        let pairs: Vec<_> = value
            .iter()
            .map(|(name, value)| format!("{name}: {value}"))
            .collect();
        format!("{{{}}}", pairs.join(", "))
    }
}

/// What the reference documentation says about the options of a decoy.
pub(super) fn describe() -> Vec<OptionDoc> {
    let mut docs = Vec::new();
    Written::describe("", &mut docs);
    docs
}

/// Reads all `decoys` sections, one a file.
pub(super) fn read(
    sections: &[&Node],
    faults: &mut Vec<Fault>,
    warnings: &mut Vec<Fault>,
) -> Vec<Decoy> {
    let mut decoys = Vec::new();
    let mut planted: BTreeMap<(String, String), &Place> = BTreeMap::new();
    let items: Vec<&Node> = sections
        .iter()
        .flat_map(|section| items(section, faults))
        .collect();
    let docs = options_of::<Written>();
    for node in items {
        let subject = subject(node);
        let Some(decoy) = section::<Written>(node, &subject, &docs, faults) else {
            continue;
        };
        let place = option(node, "service_account").map_or(&node.place, |node| &node.place);
        if let Some(first) = planted.get(&decoy.service_account) {
            let message = format!("{subject} already stands at {first}; remove one");
            faults.push(Fault::at(place, message));
            continue;
        }
        planted.insert(decoy.service_account.clone(), place);
        unwise::warn(&decoy, &subject, place, node, warnings);
        let (namespace, service_account) = decoy.service_account;
        decoys.push(Decoy {
            namespace,
            service_account,
            secret: decoy.secret,
            pod: decoy.pod,
            whole_namespace: decoy.whole_namespace,
            severity: decoy.severity,
            labels: decoy.labels,
            expected: decoy.expected,
        });
    }
    decoys
}

/// The entries of one `decoys` section.
fn items<'a>(section: &'a Node, faults: &mut Vec<Fault>) -> &'a [Node] {
    match &section.value {
        Value::List(items) => items,
        Value::Null | Value::Faulty => &[],
        _ => {
            let message = format!(
                "\"decoys\" must be a list, such as [{{ service_account: honeypot/backup-sa }}], found {}",
                section.found()
            );
            faults.push(Fault::at(&section.place, message));
            &[]
        }
    }
}

/// What faults call the decoy.
fn subject(node: &Node) -> String {
    match option(node, "service_account").and_then(Node::as_text) {
        Some(text) => format!("decoy {}", text.shown()),
        None => "a decoy".to_owned(),
    }
}

fn option<'a>(node: &'a Node, key: &str) -> Option<&'a Node> {
    let Value::Map(entries) = &node.value else {
        return None;
    };
    entries
        .iter()
        .find(|entry| entry.key == key)
        .map(|entry| &entry.node)
}
