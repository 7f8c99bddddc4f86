//! The kinds of values that options have: how each is read, and how it is described.

use std::marker::PhantomData;

use super::{
    fault::quoted,
    nearest::nearest,
    options::{OptionDoc, Scope},
    tree::{Node, Value},
};
use crate::{dedupe, detect, kafka, sink, source, store};

/// A kind of value. The types that implement it are names; they are never made.
pub(crate) trait Kind {
    type Value;

    /// What is wanted, after "must be" or "write".
    fn wanted() -> String;

    /// The value, or `None` with a fault.
    fn read(node: &Node, scope: &mut Scope<'_, '_>) -> Option<Self::Value>;

    /// The value as it would be written.
    fn show(value: &Self::Value) -> String;

    /// Adds what there is to say about an option of this kind.
    fn describe(name: String, default: Option<&Self::Value>, doc: &str, docs: &mut Vec<OptionDoc>) {
        docs.push(OptionDoc {
            name,
            kind: Self::wanted(),
            default: default.map(Self::show),
            doc: doc
                .trim()
                .lines()
                .map(str::trim)
                .collect::<Vec<_>>()
                .join(" "),
        });
    }
}

/// A string that is not empty.
pub(crate) struct Text;

impl Kind for Text {
    type Value = String;

    fn wanted() -> String {
        "a string".to_owned()
    }

    fn read(node: &Node, scope: &mut Scope<'_, '_>) -> Option<String> {
        match (&node.value, node.as_text()) {
            (_, Some(text)) if text.value.trim().is_empty() => {
                scope.refuse(node, "is empty; write a value, or remove it")
            }
            (_, Some(text)) => Some(text.value.clone()),
            (Value::Bool(_) | Value::Integer(_) | Value::Float(..), None) => {
                let found = scope.found(node);
                scope.refuse(
                    node,
                    format!("must be a string, found {found}; write it in quotes"),
                )
            }
            _ => scope.wrong(node, &Self::wanted()),
        }
    }

    fn show(value: &String) -> String {
        value.clone()
    }
}

/// `true` or `false`.
pub(crate) struct Flag;

impl Kind for Flag {
    type Value = bool;

    fn wanted() -> String {
        "true or false".to_owned()
    }

    fn read(node: &Node, scope: &mut Scope<'_, '_>) -> Option<bool> {
        node.as_bool()
            .or_else(|| scope.wrong(node, &Self::wanted()))
    }

    fn show(value: &bool) -> String {
        value.to_string()
    }
}

/// An enum whose values are words.
pub(crate) trait Named: Copy + 'static {
    /// Every value, in the order in which they are told.
    fn all() -> &'static [Self];

    fn name(self) -> &'static str;

    /// What to write in place of a word that another program has here.
    fn instead(_word: &str) -> Option<&'static str> {
        None
    }
}

macro_rules! named {
    ($($word:ty),+ $(,)?) => {$(
        impl Named for $word {
            fn all() -> &'static [Self] {
                Self::ALL
            }

            fn name(self) -> &'static str {
                self.as_str()
            }
        }
    )+};
}
named!(
    dedupe::Field,
    detect::Severity,
    detect::Technique,
    kafka::Mechanism,
    sink::Codec,
    sink::Jitter,
    sink::console::Target,
    sink::http::Codec,
    sink::http::Compression,
    sink::http::Framing,
    sink::http::Strategy,
    sink::http::Verb,
    sink::kafka::Compression,
    source::file::ReadFrom,
    source::fluent::Mode,
    source::http_server::Encoding,
    source::http_server::Method,
    source::kafka::AutoOffsetReset,
    source::server::Strategy,
    source::vector::Version,
    store::WhenFull,
);

impl Named for source::Decoding {
    fn all() -> &'static [Self] {
        Self::ALL
    }

    fn name(self) -> &'static str {
        self.as_str()
    }

    fn instead(word: &str) -> Option<&'static str> {
        // Vector's.
        matches!(
            word,
            "bytes" | "json" | "native_json" | "otlp" | "syslog" | "vrl"
        )
        .then_some("leave it out: whatever wraps audit events is read for what it is")
    }
}

/// One of a few words.
pub(crate) struct Word<T>(PhantomData<T>);

impl<T: Named> Kind for Word<T> {
    type Value = T;

    fn wanted() -> String {
        let mut names: Vec<String> = T::all().iter().map(|word| quoted(word.name())).collect();
        match names.pop() {
            Some(last) if !names.is_empty() => format!("{} or {last}", names.join(", ")),
            last => last.unwrap_or_default(),
        }
    }

    fn read(node: &Node, scope: &mut Scope<'_, '_>) -> Option<T> {
        let Some(text) = node.as_text() else {
            return scope.wrong(node, &Self::wanted());
        };
        if let Some(word) = T::all().iter().find(|word| word.name() == text.value) {
            return Some(*word);
        }
        let names = || T::all().iter().map(|word| word.name());
        let meant = match (T::instead(&text.value), nearest(&text.value, names())) {
            (Some(instead), _) => format!("; {instead}"),
            (None, Some(meant)) => format!("; did you mean {}?", quoted(meant)),
            (None, None) => String::new(),
        };
        let (wanted, found) = (Self::wanted(), scope.found(node));
        scope.refuse(node, format!("must be {wanted}, found {found}{meant}"))
    }

    fn show(value: &T) -> String {
        value.name().to_owned()
    }
}

/// A value that may be left out.
pub(crate) struct Optional<K>(PhantomData<K>);

impl<K: Kind> Kind for Optional<K> {
    type Value = Option<K::Value>;

    fn wanted() -> String {
        K::wanted()
    }

    fn read(node: &Node, scope: &mut Scope<'_, '_>) -> Option<Option<K::Value>> {
        K::read(node, scope).map(Some)
    }

    fn show(value: &Option<K::Value>) -> String {
        value.as_ref().map_or_else(|| "none".to_owned(), K::show)
    }
}

/// A list of values of one kind.
pub(crate) struct List<K>(PhantomData<K>);

impl<K: Kind> Kind for List<K> {
    type Value = Vec<K::Value>;

    fn wanted() -> String {
        format!("a list, each entry {}", K::wanted())
    }

    fn read(node: &Node, scope: &mut Scope<'_, '_>) -> Option<Vec<K::Value>> {
        let items = match &node.value {
            Value::List(items) => items,
            Value::String(text) if !scope.is_secretive => {
                let shown = text.shown();
                let message = format!("must be a list, found the string {shown}; write [{shown}]");
                return scope.refuse(node, message);
            }
            _ => return scope.wrong(node, &Self::wanted()),
        };
        let option = format!("an entry of {}", scope.option);
        let mut entries = Scope {
            option: &option,
            is_secretive: scope.is_secretive,
            faults: scope.faults,
        };
        let values: Vec<_> = items
            .iter()
            .map(|item| K::read(item, &mut entries))
            .collect();
        values.into_iter().collect()
    }

    fn show(value: &Vec<K::Value>) -> String {
        format!(
            "[{}]",
            value.iter().map(K::show).collect::<Vec<_>>().join(", ")
        )
    }
}

/// A list with at least one entry.
pub(crate) struct NonEmptyList<K>(PhantomData<K>);

impl<K: Kind> Kind for NonEmptyList<K> {
    type Value = Vec<K::Value>;

    fn wanted() -> String {
        List::<K>::wanted()
    }

    fn read(node: &Node, scope: &mut Scope<'_, '_>) -> Option<Vec<K::Value>> {
        let values = List::<K>::read(node, scope)?;
        if values.is_empty() {
            return scope.refuse(node, "is an empty list; write at least one entry");
        }
        Some(values)
    }

    fn show(value: &Vec<K::Value>) -> String {
        List::<K>::show(value)
    }
}
