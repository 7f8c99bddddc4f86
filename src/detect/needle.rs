//! The needle scan: where in raw bytes a record stands that may touch a decoy.
//!
//! Every record that decoding would find must be a candidate, however its bytes are
//! escaped. What makes one:
//!
//! - a name of a decoy: its namespace, ServiceAccount, Secret or pod. Every touch spells
//!   at least one of them out, but for the next;
//! - `impersonate-on:serviceaccount`: the refusal that names nobody;
//! - the key under which a wrapper has bytes as base64 or as numbers ([`crate::record::encoded`]),
//!   if what follows may be such: it can hold any name;
//! - a JSON escape (`\u0068`) of a character that such a needle has. Go escapes only
//!   `&`, `<`, `>` and control characters so, none of which a needle has; `\u005c` is
//!   the backslash of an escape one layer down;
//! - a percent-encoding of a character of a decoy's name, in a path or a field selector:
//!   only odd clients encode letters;
//! - the mark of a text that goes on in another record ([`crate::record::part_mark`]): a name may
//!   be cut in two.
//!
//! All are looked for in one pass, by the few bytes of each that are rarest.

mod fingerprint;
mod groups;
mod packed;
#[cfg(target_arch = "x86_64")]
#[expect(unsafe_code, reason = "vector registers are loaded through pointers")]
mod vector;

use std::collections::BTreeSet;

use groups::Groups;
use hashbrown::HashSet;
use memchr::memmem;
pub(super) use packed::{Format, MessagePack, PackedNeedles, Protobuf};
#[cfg(target_arch = "x86_64")]
use vector::Vector;

use super::decoy::{Decoy, longest_literal};
use crate::record::{encoded, part_mark};

/// Finds candidates.
#[derive(Debug)]
pub(super) struct Needles {
    patterns: Vec<Pattern<Condition>>,
    search: Search,
}

#[derive(Debug)]
enum Search {
    #[cfg(target_arch = "x86_64")]
    Vector(Vector),
    Groups(Groups),
}

/// What is looked for, and what must hold where it stands.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Pattern<C> {
    bytes: Vec<u8>,
    condition: C,
}

/// What must hold of a match.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Condition {
    Nothing,
    /// It is not a part of a longer name.
    WholeName,
    /// It begins a key, so many bytes in, whose value may hide a record.
    Encoded(usize),
    /// It may stand in a part of a candidate; it makes one if that is a line, or a shipper kept one whole.
    Part,
    /// It may stand in a part of a candidate; it makes one if Docker cut the text before it.
    Docker,
    /// It is a key that says that the text beside it goes on in another record.
    Mark,
}

impl Needles {
    pub fn new(decoys: &[Decoy]) -> Self {
        let patterns = sorted(patterns(decoys));
        Self {
            search: Search::new(&patterns),
            patterns,
        }
    }

    /// Calls `found` with the position of a needle; it returns where to go on, which must
    /// lie behind that position: behind the record that the needle stands in.
    pub fn scan(&self, bytes: &[u8], mut found: impl FnMut(usize) -> usize) {
        let is_needle = |number: usize, start: usize| {
            let pattern = &self.patterns[number];
            pattern.stands_at(bytes, start)
                && match pattern.condition {
                    Condition::Part => part_mark::begins_line(&bytes[..start]),
                    Condition::Docker => part_mark::is_cut_by_docker(&bytes[..start]),
                    _ => true,
                }
        };
        self.search.scan(bytes, &is_needle, &mut found);
    }

    /// Whether any needle stands in `bytes`.
    pub fn stand_in(&self, bytes: &[u8]) -> bool {
        let mut any = false;
        self.scan(bytes, |_| {
            any = true;
            bytes.len()
        });
        any
    }

    /// In the first line of which a candidate may come, or that may be a part of one that a container runtime cut, the place of a
    /// needle or of the mark of such parts.
    pub fn find(&self, bytes: &[u8]) -> Option<usize> {
        let is_any = |number: usize, start: usize| self.patterns[number].stands_at(bytes, start);
        let mut place = None;
        self.search.scan(bytes, &is_any, &mut |at| {
            place = Some(at);
            bytes.len()
        });
        place
    }
}

impl Search {
    fn new<C>(patterns: &[Pattern<C>]) -> Self {
        let needles: Vec<&[u8]> = patterns.iter().map(|pattern| &*pattern.bytes).collect();
        #[cfg(target_arch = "x86_64")]
        if let Some(vector) = Vector::new(&needles) {
            return Self::Vector(vector);
        }
        Self::Groups(Groups::new(&needles))
    }

    /// Calls `found` with where a needle begins, if `is_needle` says by its number and that place that one does.
    fn scan(
        &self,
        bytes: &[u8],
        is_needle: &dyn Fn(usize, usize) -> bool,
        found: &mut dyn FnMut(usize) -> usize,
    ) {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Vector(vector) => vector.scan(bytes, is_needle, found),
            Self::Groups(groups) => groups.scan(bytes, is_needle, found),
        }
    }
}

impl Pattern<Condition> {
    fn stands_at(&self, bytes: &[u8], start: usize) -> bool {
        let end = start + self.bytes.len();
        bytes.get(start..end) == Some(&self.bytes)
            && match self.condition {
                Condition::Nothing | Condition::Part | Condition::Docker => true,
                Condition::WholeName => is_whole_name(bytes, start, end),
                Condition::Encoded(quote) => encoded::begins_at(&bytes[start + quote..]),
                Condition::Mark => part_mark::says_open(&bytes[end..]),
            }
    }
}

/// Whether the match does not stand in a longer name. In doubt it does not: what looks
/// like a letter before it may belong to an escape (`\nci`, `%2fci`, `\u0022ci`).
fn is_whole_name(bytes: &[u8], start: usize, end: usize) -> bool {
    let is_name_byte = |byte: &u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-');
    let before = &bytes[start.saturating_sub(6)..start];
    let is_joined = before.last().is_some_and(is_name_byte)
        && !before.iter().any(|byte| matches!(byte, b'\\' | b'%'));
    !is_joined && !bytes.get(end).is_some_and(is_name_byte)
}

/// Whether what is looked for because of `name`, which may be a glob, stands in much that has nothing to do with a decoy.
pub fn is_common(name: &str) -> bool {
    longest_literal(name).is_some_and(|word| {
        // As a part of longer names, too, is looked for what a glob has in common, and what is a part of something else that is looked for.
        let is_part = word.len() < name.len() || UNNAMED.contains(word);
        let is_whole = |start| is_whole_name(fingerprint::TEXT, start, start + word.len());
        memmem::find_iter(fingerprint::TEXT, word).any(|start| is_part || is_whole(start))
    })
}

/// By their second byte, as [`Groups`] would have them.
fn sorted<C: Ord>(mut patterns: Vec<Pattern<C>>) -> Vec<Pattern<C>> {
    patterns.sort_by(|one, other| {
        let second = |pattern: &Pattern<C>| pattern.bytes.get(1).copied();
        second(one).cmp(&second(other)).then_with(|| one.cmp(other))
    });
    patterns
}

/// Stands in the refusal to act as a ServiceAccount that is not named.
const UNNAMED: &str = "impersonate-on:serviceaccount";

/// What the decoys are called.
struct Words<'d> {
    /// Whole names.
    names: BTreeSet<&'d str>,
    /// What the names that a glob stands for have in common, and the like.
    globs: BTreeSet<&'d str>,
}

impl<'d> Words<'d> {
    fn of(decoys: &'d [Decoy]) -> Self {
        let mut names = BTreeSet::new();
        let mut globs = BTreeSet::from([UNNAMED]);
        for decoy in decoys {
            names.extend([decoy.namespace.as_str(), &decoy.service_account]);
            names.extend(decoy.secret.as_deref());
            match decoy.pod.as_ref().map(|pod| pod.as_str()) {
                Some(glob) if glob.contains(['*', '?', '[']) => globs.extend(longest_literal(glob)),
                name => names.extend(name),
            }
        }
        Self { names, globs }
    }

    /// What is looked for as it is, and whether it has to be a whole name.
    fn spelt_out(&self) -> impl Iterator<Item = (&'d str, bool)> {
        let Self { names, globs } = self;
        let nested = Nested::among(&names.iter().chain(globs).copied().collect());
        let globs = globs.iter().map(|glob| (*glob, false));
        let names = names.iter().filter_map(move |name| {
            let is_outer = nested.outer.contains(name);
            (!is_outer).then(|| (*name, !nested.inner.contains(name)))
        });
        globs.chain(names)
    }

    /// The escapes and encodings under which they may hide.
    fn hidden(&self) -> impl Iterator<Item = String> {
        let Self { names, globs } = self;
        let letters: BTreeSet<u8> = names
            .iter()
            .chain(globs)
            .flat_map(|needle| needle.bytes())
            .collect();
        let encodings = percent_encodings(names, globs);
        json_escapes(&letters).into_iter().chain(encodings)
    }
}

fn patterns(decoys: &[Decoy]) -> Vec<Pattern<Condition>> {
    let words = Words::of(decoys);
    let mut patterns = BTreeSet::new();
    patterns.extend(words.hidden().map(raw));
    patterns.extend(encoded_keys());
    patterns.extend(part_mark::CRI.map(|tag| Pattern {
        bytes: tag.to_vec(),
        condition: Condition::Part,
    }));
    patterns.insert(Pattern {
        bytes: part_mark::DOCKER_TAIL.to_vec(),
        condition: Condition::Docker,
    });
    patterns.extend(part_mark::KEYS.map(|key| Pattern {
        bytes: format!("\"{key}\"").into_bytes(),
        condition: Condition::Mark,
    }));
    patterns.extend(words.spelt_out().map(|(word, is_whole)| Pattern {
        bytes: word.as_bytes().to_vec(),
        condition: match is_whole {
            true => Condition::WholeName,
            false => Condition::Nothing,
        },
    }));
    patterns.into_iter().collect()
}

/// Words that stand in one another.
struct Nested<'w> {
    outer: HashSet<&'w str>,
    inner: HashSet<&'w str>,
}

impl<'w> Nested<'w> {
    fn among(words: &HashSet<&'w str>) -> Self {
        let (mut outer, mut inner) = (HashSet::new(), HashSet::new());
        // Of few lengths, so that most parts of a word need not be looked up.
        let lengths: BTreeSet<usize> = words.iter().map(|word| word.len()).collect();
        for word in words {
            let shorter = lengths.range(..word.len());
            let places = shorter.flat_map(|length| {
                (0..=word.len() - length).map(move |start| start..start + length)
            });
            let parts = places.filter_map(|place| word.get(place));
            for part in parts.filter(|part| words.contains(part)) {
                outer.insert(*word);
                inner.insert(part);
            }
        }
        Self { outer, inner }
    }
}

fn raw(text: String) -> Pattern<Condition> {
    Pattern {
        bytes: text.into_bytes(),
        condition: Condition::Nothing,
    }
}

/// The beginnings of the keys under which bytes are written as something else, in any layer of escapes.
fn encoded_keys() -> impl Iterator<Item = Pattern<Condition>> {
    [
        ("\"", "data"),
        ("\"", "Data"),
        ("\"", "MESSAGE"),
        ("\\u0022", "data"),
        ("\\u0022", "Data"),
        ("\\u0022", "MESSAGE"),
        // Behind the name of a quote in XML.
        (";", "data"),
        (";", "Data"),
        // As Python prints a dictionary.
        ("'", "data"),
        ("'", "Data"),
        // So rare that its quote need not tell it.
        ("", "rawData"),
    ]
    .into_iter()
    .map(|(quote, key)| Pattern {
        bytes: [quote, key].concat().into_bytes(),
        condition: Condition::Encoded(quote.len()),
    })
}

/// The escapes under which JSON may hide `letters`, a backslash or a percent sign.
/// Letters all begin with `\u004` to `\u007`, as nothing does that Go escapes.
fn json_escapes(letters: &BTreeSet<u8>) -> Vec<String> {
    let others = letters.iter().copied().filter(|letter| *letter < b'@');
    let others = others
        .chain([b'%'])
        .flat_map(|other| [format!("\\u{other:04x}"), format!("\\u{other:04X}")]);
    let letters = (4..8).map(|high| format!("\\u00{high}"));
    letters.chain(others).collect()
}

/// The encodings under which a path or a field selector may hide a name. What is no letter, digit, dash or dot stands in
/// no name.
fn percent_encodings(names: &BTreeSet<&str>, globs: &BTreeSet<&str>) -> BTreeSet<String> {
    let names = names.iter().chain(globs);
    let bytes: BTreeSet<u8> = names.flat_map(|name| name.bytes()).collect();
    bytes
        .into_iter()
        .filter(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.'))
        .flat_map(|byte| [format!("%{byte:02x}"), format!("%{byte:02X}")])
        .collect()
}

#[cfg(test)]
mod tests;
