//! How a component states its options, once: the decoding of a configuration and
//! the reference documentation both come from that statement.

use super::{
    fault::{Fault, Place, quoted},
    kind::Kind,
    nearest::{advice, nearest},
    tree::{Entry, Node, Value, without_value},
};

/// What the reference documentation says about one option.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OptionDoc {
    /// With its path, as in `encoding.codec`.
    pub name: String,
    /// What its value is, for a sentence: `a number of bytes, such as 65536 or "16MiB"`.
    pub kind: String,
    /// As it would be written; `None` if the option is required.
    pub default: Option<String>,
    /// What it is for.
    pub doc: String,
}

/// A group of options that is read into one struct.
pub(crate) trait Section: Sized {
    /// Reads the options whose names begin with `prefix`. Reads them all before it gives up,
    /// so that every fault is told.
    fn read(options: &mut Options<'_, '_>, prefix: &str) -> Option<Self>;

    /// Adds what there is to say about each option.
    fn describe(prefix: &str, docs: &mut Vec<OptionDoc>);
}

/// States the options of a struct:
///
/// ```ignore
/// options! {
///     sink::file::Config {
///         /// What it is for.
///         path: "path" PathTemplate, required;
///         /// How a message is written.
///         codec: "encoding.codec" Word<Codec>, default Codec::Text;
///         buffer: "buffer." BufferConfig, group;
///     }
/// }
/// ```
macro_rules! options {
    ($config:ty { $($(#[doc = $doc:literal])* $field:ident: $name:literal $kind:ty, $rule:ident $($default:expr)?;)+ }) => {
        impl $crate::config::options::Section for $config {
            fn read(
                options: &mut $crate::config::options::Options<'_, '_>,
                prefix: &str,
            ) -> Option<Self> {
                $(let $field = {
                    let name = format!("{prefix}{}", $name);
                    $crate::config::options::options!(@read $rule options, &name, $kind $(, $default)?)
                };)+
                Some(Self { $($field: $field?),+ })
            }

            fn describe(prefix: &str, docs: &mut Vec<$crate::config::options::OptionDoc>) {
                $({
                    let name = format!("{prefix}{}", $name);
                    let doc = concat!($($doc, "\n"),*);
                    $crate::config::options::options!(@describe $rule docs, name, doc, $kind $(, $default)?)
                })+
            }
        }
    };
    (@read required $options:ident, $name:expr, $kind:ty) => {
        $options.required::<$kind>($name)
    };
    (@read default $options:ident, $name:expr, $kind:ty, $default:expr) => {
        $options.or_default::<$kind>($name, || $default)
    };
    (@read group $options:ident, $name:expr, $kind:ty) => {
        <$kind as $crate::config::options::Section>::read($options, $name)
    };
    (@describe required $docs:ident, $name:ident, $doc:ident, $kind:ty) => {
        <$kind as $crate::config::kind::Kind>::describe($name, None, $doc, $docs)
    };
    (@describe default $docs:ident, $name:ident, $doc:ident, $kind:ty, $default:expr) => {
        <$kind as $crate::config::kind::Kind>::describe($name, Some(&$default), $doc, $docs)
    };
    (@describe group $docs:ident, $name:ident, $doc:ident, $kind:ty) => {{
        let _: &str = $doc;
        <$kind as $crate::config::options::Section>::describe(&$name, $docs)
    }};
}
pub(crate) use options;

/// The map of one component, while it is read.
pub(crate) struct Options<'a, 'f> {
    /// Whose options they are: `sink "siem" (kafka)`.
    subject: String,
    /// Where it begins: what is missing is missing there.
    place: &'a Place,
    entries: &'a [Entry],
    faults: &'f mut Vec<Fault>,
    /// Options that a misspelt key seems to have meant: they are not missing as well.
    meant: Vec<String>,
}

/// What is known of an option that there is not.
pub(crate) enum Advice {
    /// Another program has it: what to do in place of it.
    Instead(&'static str),
    /// Who else has one of its name, where it is not one that stands at the wrong level.
    Elsewhere(String),
}

type Adviser<'x> = &'x dyn Fn(&str) -> Option<Advice>;

/// What stands under a path.
enum Found<'a> {
    Nothing,
    /// It cannot be read, and that has been told, or will be by [`Options::refuse_unknown`].
    Faulty,
    Node(&'a Node),
}

impl<'a, 'f> Options<'a, 'f> {
    pub fn new(
        subject: String,
        place: &'a Place,
        entries: &'a [Entry],
        faults: &'f mut Vec<Fault>,
    ) -> Self {
        Self {
            subject,
            place,
            entries,
            faults,
            meant: Vec::new(),
        }
    }

    pub fn required<K: Kind>(&mut self, path: &str) -> Option<K::Value> {
        match self.find(path) {
            Found::Node(node) => self.value::<K>(path, node),
            Found::Faulty => None,
            Found::Nothing => {
                self.missing::<K>(path, "");
                None
            }
        }
    }

    /// The option of `path` is missing, unless a misspelt key seems to have meant it: a fault, in which `rather` says
    /// what would do in its place.
    pub fn missing<K: Kind>(&mut self, path: &str, rather: &str) {
        if self.meant.iter().any(|name| name == path) {
            return;
        }
        let (subject, wanted) = (&self.subject, K::wanted());
        let rather = match rather {
            "" => String::new(),
            rather => format!(", {rather}"),
        };
        let message = format!("{subject} lacks {}; write {wanted}{rather}", quoted(path));
        self.faults.push(Fault::at(self.place, message));
    }

    pub fn or_default<K: Kind>(
        &mut self,
        path: &str,
        default: impl FnOnce() -> K::Value,
    ) -> Option<K::Value> {
        match self.find(path) {
            Found::Node(node) => self.value::<K>(path, node),
            Found::Faulty => None,
            Found::Nothing => Some(default()),
        }
    }

    /// Options that are sound by themselves do not go together: a fault at the last of
    /// `paths` that is given.
    pub fn refuse(&mut self, paths: &[&str], message: &str) {
        let given = paths.iter().rev().find_map(|path| match self.find(path) {
            Found::Node(node) => Some(&node.place),
            Found::Nothing | Found::Faulty => None,
        });
        let message = format!("{}: {message}", self.subject);
        self.faults
            .push(Fault::at(given.unwrap_or(self.place), message));
    }

    fn value<K: Kind>(&mut self, path: &str, node: &Node) -> Option<K::Value> {
        let option = format!("{} of {}", quoted(path), self.subject);
        K::read(
            node,
            &mut Scope {
                option: &option,
                is_secretive: is_secretive(path),
                faults: self.faults,
            },
        )
    }

    fn find(&self, path: &str) -> Found<'a> {
        let mut entries = self.entries;
        let mut keys = path.split('.').peekable();
        while let Some(key) = keys.next() {
            let Some(entry) = entries.iter().find(|entry| entry.key == key) else {
                return Found::Nothing;
            };
            match (&entry.node.value, keys.peek()) {
                (Value::Faulty, _) => return Found::Faulty,
                (_, None) => return Found::Node(&entry.node),
                (Value::Map(inner), Some(_)) => entries = inner,
                (_, Some(_)) => return Found::Faulty,
            }
        }
        Found::Nothing
    }

    /// A fault for every key that no option has. `docs` are the options there are,
    /// `common` other keys that the component may have; `adviser` is asked about the others.
    pub fn refuse_unknown(&mut self, docs: &[OptionDoc], common: &[&str], adviser: Adviser<'_>) {
        let mut known: Vec<&str> = docs.iter().map(|doc| doc.name.as_str()).collect();
        known.extend(common);
        for entry in self.entries {
            self.refuse_unknown_entry(entry, "", &known, adviser);
        }
    }

    fn refuse_unknown_entry(
        &mut self,
        entry: &Entry,
        prefix: &str,
        known: &[&str],
        adviser: Adviser<'_>,
    ) {
        let path = format!("{prefix}{}", entry.key);
        let group = format!("{path}.");
        let inside = known
            .iter()
            .find_map(|name| name.strip_prefix(group.as_str()));
        match (inside, &entry.node.value) {
            // "encoding.codec" as one key is not the option: that stands in a map.
            _ if entry.key.contains('.') => self.unknown(entry, prefix, known, adviser),
            (None, _) if known.contains(&path.as_str()) => {}
            (None, _) => self.unknown(entry, prefix, known, adviser),
            (Some(_), Value::Map(inner)) => {
                for entry in inner {
                    self.refuse_unknown_entry(entry, &group, known, adviser);
                }
            }
            (Some(_), Value::Faulty) => {}
            (Some(inside), _) => {
                let found = match is_secretive(&path) {
                    true => entry.node.kind().to_owned(),
                    false => entry.node.found(),
                };
                let (subject, path) = (&self.subject, quoted(&path));
                let message = format!(
                    "{path} of {subject} must be a map, such as {{ {inside}: … }}, found {found}"
                );
                self.faults.push(Fault::at(&entry.node.place, message));
            }
        }
    }

    /// A key with a value in it, which may be a secret: YAML wants a space behind the colon.
    fn unspaced(&mut self, entry: &Entry, path: &str) {
        self.meant.push(path.to_owned());
        let (shown, subject) = (quoted(&without_value(&format!("{path}:"))), &self.subject);
        let message =
            format!("unknown option {shown} for {subject}; write a space behind the colon");
        self.faults.push(Fault::at(&entry.place, message));
    }

    fn unknown(&mut self, entry: &Entry, prefix: &str, known: &[&str], adviser: Adviser<'_>) {
        if let Some((key, _)) = entry.key.split_once(':') {
            return self.unspaced(entry, &format!("{prefix}{key}"));
        }
        let key = entry.key.as_str();
        let path = format!("{prefix}{key}");
        let last = |name: &str| name.rsplit('.').next() == Some(key);
        let misplaced = known.iter().find(|name| **name == path || last(name));
        let near = nearest(key, level(prefix, known)).map(|name| format!("{prefix}{name}"));
        let advice = match (adviser(&path), misplaced, near) {
            (Some(Advice::Instead(advice)), _, _) => format!("; {advice}"),
            (_, Some(name), _) => {
                self.meant.push((*name).to_owned());
                match name.rsplit_once('.') {
                    Some((group, option)) => format!("; write {group}: {{ {option}: … }}"),
                    None => format!("; write {} one level up", quoted(name)),
                }
            }
            (Some(Advice::Elsewhere(advice)), None, _) => format!("; {advice}"),
            (None, None, Some(name)) => {
                let advice = format!("; did you mean {}?", quoted(&name));
                self.meant.push(name);
                advice
            }
            (None, None, None) => advice(key, level(prefix, known)),
        };
        let message = format!(
            "unknown option {} for {}{advice}",
            quoted(&path),
            self.subject
        );
        self.faults.push(Fault::at(&entry.place, message));
    }
}

/// Groups of options of which some are secrets, or are secrets in Vector.
const SECRETIVE: [&str; 6] = [
    "auth",
    "librdkafka_options",
    "request",
    "sasl",
    "tls",
    "users",
];

fn is_secretive(path: &str) -> bool {
    path.split('.')
        .next()
        .is_some_and(|group| SECRETIVE.contains(&group))
}

/// The keys that may stand below `prefix`.
fn level<'k>(prefix: &str, known: &[&'k str]) -> impl Iterator<Item = &'k str> {
    known
        .iter()
        .filter_map(move |name| name.strip_prefix(prefix)?.split('.').next())
}

/// The reading of one value: which option it belongs to, and where faults go.
pub(crate) struct Scope<'o, 'f> {
    /// `"include" of source "files" (file)`.
    pub option: &'o str,
    /// What was found may be a secret in the wrong place: faults tell its kind alone.
    pub is_secretive: bool,
    pub faults: &'f mut Vec<Fault>,
}

impl Scope<'_, '_> {
    /// The value is not what is wanted. Gives `None`, for the reader to hand on.
    pub fn wrong<T>(&mut self, node: &Node, wanted: &str) -> Option<T> {
        let found = self.found(node);
        self.refuse(node, format!("must be {wanted}, found {found}"))
    }

    /// Reads an entry of the map that the value is: `what` it is, as in `header "a" in …`, and its key.
    pub fn within<T>(
        &mut self,
        what: &str,
        key: &str,
        read: impl FnOnce(&mut Scope<'_, '_>) -> T,
    ) -> T {
        let key = quoted(&without_value(key));
        read(&mut Scope {
            option: &format!("{what} {key} in {}", self.option),
            is_secretive: self.is_secretive,
            faults: self.faults,
        })
    }

    /// What `node` is, for `…, found …`.
    pub fn found(&self, node: &Node) -> String {
        match self.is_secretive {
            true => node.kind().to_owned(),
            false => node.found(),
        }
    }

    /// The option, at `node`, has a fault: `message` goes on after its name.
    pub fn refuse<T>(&mut self, node: &Node, message: impl std::fmt::Display) -> Option<T> {
        if !node.is_faulty() {
            self.faults
                .push(Fault::at(&node.place, format!("{} {message}", self.option)));
        }
        None
    }
}
