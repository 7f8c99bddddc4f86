//! The kinds of values that options have: how each is read, and how it is described.

use std::{collections::BTreeMap, marker::PhantomData, net::IpAddr, sync::Arc, time::Duration};

use ipnet::IpNet;

use super::{
    Secret,
    fault::quoted,
    nearest::nearest,
    options::{OptionDoc, Scope},
    tree::{Node, Value},
};
use crate::{dedupe, detect, sink, source, store};

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
                scope.wrong(node, "a string; write it in quotes")
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

/// A whole number, at least 1.
pub(crate) struct Count<T>(PhantomData<T>);

impl<T: TryFrom<i64> + ToString> Kind for Count<T> {
    type Value = T;

    fn wanted() -> String {
        "a whole number, at least 1".to_owned()
    }

    fn read(node: &Node, scope: &mut Scope<'_, '_>) -> Option<T> {
        let count = node.as_integer().filter(|&count| count >= 1);
        match (count, count.and_then(|count| T::try_from(count).ok())) {
            (_, Some(count)) => Some(count),
            (Some(_), None) => scope.refuse(node, "is too large a number"),
            (None, None) => scope.wrong(node, &Self::wanted()),
        }
    }

    fn show(value: &T) -> String {
        value.to_string()
    }
}

/// A whole number, at least 0, that limits something; without one there is no limit.
pub(crate) struct Limit;

impl Kind for Limit {
    type Value = Option<u64>;

    fn wanted() -> String {
        "a whole number, at least 0".to_owned()
    }

    fn read(node: &Node, scope: &mut Scope<'_, '_>) -> Option<Option<u64>> {
        match node.as_integer().map(u64::try_from) {
            Some(Ok(limit)) => Some(Some(limit)),
            _ => scope.wrong(node, &Self::wanted()),
        }
    }

    fn show(value: &Option<u64>) -> String {
        value.map_or_else(|| "no limit".to_owned(), |limit| limit.to_string())
    }
}

/// The longest time that an option may name, in seconds: ten years. More can only be a
/// slip, and could not be added to a point in time.
const LONGEST_SECS: u32 = 315_360_000;

/// Reads a number of seconds.
fn seconds(node: &Node) -> Option<Duration> {
    let secs = node
        .as_float()
        .filter(|secs| (0.0..=f64::from(LONGEST_SECS)).contains(secs))?;
    Duration::try_from_secs_f64(secs).ok()
}

/// Seconds, with or without a fraction; zero only where `ZERO` says so.
pub(crate) struct Seconds<const ZERO: bool>;

impl<const ZERO: bool> Kind for Seconds<ZERO> {
    type Value = Duration;

    fn wanted() -> String {
        let least = if ZERO {
            "from 0 to"
        } else {
            "above 0 and at most"
        };
        format!("a number of seconds {least} {LONGEST_SECS}")
    }

    fn read(node: &Node, scope: &mut Scope<'_, '_>) -> Option<Duration> {
        let read = seconds(node).filter(|time| ZERO || !time.is_zero());
        read.or_else(|| scope.wrong(node, &Self::wanted()))
    }

    fn show(value: &Duration) -> String {
        value.as_secs_f64().to_string()
    }
}

/// Whole seconds, at least 1.
pub(crate) struct WholeSeconds;

impl Kind for WholeSeconds {
    type Value = u64;

    fn wanted() -> String {
        format!("a whole number of seconds from 1 to {LONGEST_SECS}")
    }

    fn read(node: &Node, scope: &mut Scope<'_, '_>) -> Option<u64> {
        let secs = node
            .as_integer()
            .filter(|secs| (1..=i64::from(LONGEST_SECS)).contains(secs));
        secs.map(i64::unsigned_abs)
            .or_else(|| scope.wrong(node, &Self::wanted()))
    }

    fn show(value: &u64) -> String {
        value.to_string()
    }
}

/// Milliseconds, at least 1.
pub(crate) struct Milliseconds;

impl Kind for Milliseconds {
    type Value = Duration;

    fn wanted() -> String {
        format!("a whole number of milliseconds from 1 to {LONGEST_SECS}000")
    }

    fn read(node: &Node, scope: &mut Scope<'_, '_>) -> Option<Duration> {
        let longest = i64::from(LONGEST_SECS) * 1000;
        let millis = node
            .as_integer()
            .filter(|millis| (1..=longest).contains(millis));
        let time = millis.map(|millis| Duration::from_millis(millis.unsigned_abs()));
        time.or_else(|| scope.wrong(node, &Self::wanted()))
    }

    fn show(value: &Duration) -> String {
        value.as_millis().to_string()
    }
}

/// A size in bytes, as a number or with a unit.
pub(crate) struct Bytes;

const UNITS: [(&str, u64); 7] = [
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("kB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("B", 1),
];

impl Kind for Bytes {
    type Value = usize;

    fn wanted() -> String {
        "a number of bytes above 0, such as 65536 or \"16MiB\"".to_owned()
    }

    fn read(node: &Node, scope: &mut Scope<'_, '_>) -> Option<usize> {
        let bytes = match (node.as_integer(), node.as_text()) {
            (Some(bytes), _) => u64::try_from(bytes).ok(),
            (None, Some(text)) => UNITS.iter().find_map(|(unit, size)| {
                let number = text.value.trim().strip_suffix(unit)?.trim_end();
                number.parse::<u64>().ok()?.checked_mul(*size)
            }),
            (None, None) => None,
        };
        // No allocation can be larger than isize::MAX.
        let bytes = bytes
            .and_then(|bytes| isize::try_from(bytes).ok())
            .filter(|&bytes| bytes > 0);
        bytes
            .map(isize::unsigned_abs)
            .or_else(|| scope.wrong(node, &Self::wanted()))
    }

    fn show(value: &usize) -> String {
        let binary = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
        match binary
            .into_iter()
            .find(|(_, size)| *value >= *size && value % size == 0)
        {
            Some((unit, size)) => format!("{}{unit}", value / size),
            None => value.to_string(),
        }
    }
}

/// An enum whose values are words.
pub(crate) trait Named: Copy + 'static {
    /// Every value, in the order in which they are told.
    fn all() -> &'static [Self];

    fn name(self) -> &'static str;
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
    sink::Codec,
    sink::console::Target,
    source::file::ReadFrom,
    store::WhenFull,
);

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
        let meant = nearest(&text.value, names()).map_or_else(String::new, |meant| {
            format!("; did you mean {}?", quoted(meant))
        });
        let (wanted, found) = (Self::wanted(), node.found());
        scope.refuse(node, format!("must be {wanted}, found {found}{meant}"))
    }

    fn show(value: &T) -> String {
        value.name().to_owned()
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
            Value::String(text) => {
                let wanted = format!("a list; write [{}]", text.shown());
                return scope.wrong(node, &wanted);
            }
            _ => return scope.wrong(node, &Self::wanted()),
        };
        let option = format!("an entry of {}", scope.option);
        let mut entries = Scope {
            option: &option,
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

/// A pattern with `*`, `?` and `[…]`.
pub(crate) struct Glob;

impl Kind for Glob {
    type Value = String;

    fn wanted() -> String {
        "a string, in which *, ? and […] are wildcards".to_owned()
    }

    fn read(node: &Node, scope: &mut Scope<'_, '_>) -> Option<String> {
        let pattern = Text::read(node, scope)?;
        match glob::Pattern::new(&pattern) {
            Ok(_) => Some(pattern),
            Err(error) => {
                let shown = node.found();
                scope.refuse(
                    node,
                    format!("must be a pattern, found {shown}: {}", error.msg),
                )
            }
        }
    }

    fn show(value: &String) -> String {
        value.clone()
    }
}

/// A network in CIDR notation, or one address.
pub(crate) struct Network;

impl Kind for Network {
    type Value = IpNet;

    fn wanted() -> String {
        "a network such as 10.0.0.0/8 or an address".to_owned()
    }

    fn read(node: &Node, scope: &mut Scope<'_, '_>) -> Option<IpNet> {
        let Some(text) = node.as_text() else {
            return scope.wrong(node, &Self::wanted());
        };
        let address = text.value.parse::<IpAddr>().map(IpNet::from).ok();
        match address.or_else(|| text.value.parse().ok()) {
            Some(network) if network.trunc() == network => Some(network),
            Some(network) if text.is_literal() => {
                let (whole, one) = (network.trunc(), network.addr());
                scope.refuse(
                    node,
                    format!(
                        "has host bits set: {network}; write {whole} for the network, or {one}"
                    ),
                )
            }
            Some(_) => scope.refuse(node, "has host bits set"),
            None => scope.wrong(node, &Self::wanted()),
        }
    }

    fn show(value: &IpNet) -> String {
        value.to_string()
    }
}

/// The path of a file, in which strftime specifiers stand for the time in UTC.
pub(crate) struct PathTemplate;

impl Kind for PathTemplate {
    type Value = String;

    fn wanted() -> String {
        "a path, in which strftime specifiers such as %Y-%m-%d stand for the time".to_owned()
    }

    fn read(node: &Node, scope: &mut Scope<'_, '_>) -> Option<String> {
        let path = Text::read(node, scope)?;
        if path.ends_with('/') || path.contains('\0') {
            return scope.wrong(node, "the path of a file");
        }
        match jiff::fmt::strtime::format(&path, jiff::Timestamp::UNIX_EPOCH) {
            Ok(_) => Some(path),
            Err(error) => {
                let error = super::fault::harmless(&error.to_string());
                let found = node.found();
                scope.refuse(
                    node,
                    format!("must be a path, found {found}: {error}; %% is a %"),
                )
            }
        }
    }

    fn show(value: &String) -> String {
        value.clone()
    }
}

/// The URL of a webhook: a secret, which no fault shows.
pub(crate) struct WebhookUrl;

impl Kind for WebhookUrl {
    type Value = Secret;

    fn wanted() -> String {
        "an http or https URL with a host".to_owned()
    }

    fn read(node: &Node, scope: &mut Scope<'_, '_>) -> Option<Secret> {
        let Some(text) = node.as_text() else {
            return scope.wrong(node, &Self::wanted());
        };
        let sound = reqwest::Url::parse(&text.value).is_ok_and(|url| {
            matches!(url.scheme(), "http" | "https")
                && url.host_str().is_some_and(|h| !h.is_empty())
        });
        if !sound {
            return scope.refuse(
                node,
                format!("must be {} (its value is not shown)", Self::wanted()),
            );
        }
        Some(Secret::new(text.value.clone()))
    }

    fn show(_: &Secret) -> String {
        "****".to_owned()
    }
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
                    let option = format!("label {} in {}", quoted(&entry.key), scope.option);
                    let mut scope = Scope {
                        option: &option,
                        faults: scope.faults,
                    };
                    scope.wrong::<()>(&entry.node, "a string");
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
