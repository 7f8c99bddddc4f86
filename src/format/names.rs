//! Names, lists and times as other tools take them.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::neutralise::{is_hidden, unmarked};

/// Labels of a decoy that are passed on.
const LABELS: usize = 32;
/// Characters of a label's name.
const NAME: usize = 120;
/// Names shown of a list of them.
const NAMES: usize = 5;
/// Characters of a link.
const LINK: usize = 1_000;

/// What the name of a label begins with that is written in Prometheus' escapes.
const ESCAPED: &str = "U__";

/// The labels of a decoy under names that Prometheus and Alertmanager take (`[a-zA-Z_][a-zA-Z0-9_]*`), no two under one, and
/// none under one of `taken`.
///
/// Other characters become `_`, as everywhere with Prometheus. Where two would come to the same, Prometheus' own escapes
/// tell them apart: `U__app_2e_name`.
pub(super) fn label_names<'a>(
    labels: &'a BTreeMap<String, String>,
    taken: &[&str],
) -> Vec<(String, &'a str)> {
    let is_legal = |name: &str| {
        name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
            && name
                .chars()
                .all(|char| char.is_ascii_alphanumeric() || char == '_')
    };
    let is_free = |name: &str| {
        is_legal(name)
            && name.len() <= NAME
            && !name.starts_with("__")
            && !name.starts_with(ESCAPED)
            && !taken.contains(&name)
    };
    // A name that needs no change keeps it, whatever others come to.
    let kept: BTreeSet<&str> = labels
        .keys()
        .map(String::as_str)
        .filter(|n| is_free(n))
        .collect();
    let mut used: BTreeSet<String> = kept.iter().map(|name| (*name).to_owned()).collect();
    let mut named = Vec::new();
    for (name, value) in labels.iter().filter(|(_, value)| !value.is_empty()) {
        if named.len() == LABELS {
            break;
        }
        if kept.contains(name.as_str()) {
            named.push((name.clone(), value.as_str()));
            continue;
        }
        let plain = replaced(name);
        let wanted = match is_free(&plain) && !used.contains(&plain) {
            true => plain,
            false => escaped(name),
        };
        // Escapes are cut: what is the same up to there is numbered.
        let numbered = (2..).map(|number| format!("{wanted}_{number}"));
        let name = std::iter::once(wanted.clone())
            .chain(numbered)
            .find(|name| !used.contains(name));
        named.extend(name.map(|name| {
            used.insert(name.clone());
            (name, value.as_str())
        }));
    }
    named
}

fn replaced(name: &str) -> String {
    let legal = |char: char| {
        if char.is_ascii_alphanumeric() {
            char
        } else {
            '_'
        }
    };
    let name: String = name.chars().map(legal).collect();
    match name.starts_with(|first: char| first.is_ascii_digit()) {
        true => format!("_{name}"),
        false => name,
    }
}

/// `name` in Prometheus' escapes for names: `_` doubled, other characters as `_HEX_`. What is too long is cut.
fn escaped(name: &str) -> String {
    let mut out = ESCAPED.to_owned();
    for char in name.chars() {
        match char {
            '_' => out.push_str("__"),
            char if char.is_ascii_alphanumeric() => out.push(char),
            char => out.push_str(&format!("_{:x}_", u32::from(char))),
        }
        if out.len() > NAME {
            break;
        }
    }
    out
}

/// The first names of a list, with commas between them, each cut so that all fit in `most` characters; `None` for none.
/// One alone may have all of them.
pub(super) fn joined(names: &[String], most: usize) -> Option<String> {
    let names: Vec<&String> = names.iter().filter(|name| !name.is_empty()).collect();
    let each = match names.len().min(NAMES) {
        0 | 1 => most,
        count => most / count - 2,
    };
    let mut shown: Vec<String> = names
        .iter()
        .take(NAMES)
        .map(|name| super::visible(name, each).into_owned())
        .collect();
    if names.len() > NAMES {
        shown.push("…".to_owned());
    }
    (!shown.is_empty()).then(|| shown.join(", "))
}

/// `value` if it is an http(s) URL that can be shown as it is.
pub(super) fn link(value: &str) -> Option<String> {
    let is_url = value.starts_with("https://") || value.starts_with("http://");
    let is_plain = value.len() <= LINK && !value.contains(|char| char == '\\' || is_hidden(char));
    (is_url && is_plain).then(|| value.to_owned())
}

/// `time`, or 1970 if it is before: a time that is zero to some programs, or that they cannot read.
pub(super) fn since_1970(time: Timestamp) -> Timestamp {
    time.max(Timestamp::UNIX_EPOCH)
}

/// `text` at most `most` characters long; `None` for nothing.
pub(super) fn shown(text: Option<&str>, most: usize) -> Option<String> {
    text.filter(|text| !text.is_empty())
        .map(|text| unmarked(text, most))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn named(names: &[&str]) -> Vec<String> {
        let labels = names
            .iter()
            .map(|name| ((*name).to_owned(), "x".to_owned()));
        let labels: BTreeMap<_, _> = labels.collect();
        let names = label_names(&labels, &["severity"]);
        names.into_iter().map(|(name, _)| name).collect()
    }

    #[test]
    fn names_are_as_prometheus_takes_them() {
        assert_eq!(named(&["owner"]), ["owner"]);
        assert_eq!(
            named(&["app.kubernetes.io/name"]),
            ["app_kubernetes_io_name"]
        );
        assert_eq!(
            named(&["a-b", "a.b", "a_b"]),
            ["U__a_2d_b", "U__a_2e_b", "a_b"]
        );
        assert_eq!(named(&["a-b", "a.b"]), ["a_b", "U__a_2e_b"]);
        assert_eq!(named(&["severity"]), ["U__severity"]);
        assert_eq!(named(&["1st"]), ["_1st"]);
        assert_eq!(named(&["", "__name__"]), ["U__", "U______name____"]);
        assert_eq!(named(&["größe"]), ["gr__e"]);
        let long = |end: &str| "/".repeat(200) + end;
        let long = named(&[&long("a"), &long("b")]);
        assert_eq!(format!("{}_2", long[0]), long[1]);
    }

    #[test]
    fn a_lone_name_is_cut_no_shorter_than_it_must_be() {
        let long = "n".repeat(300);
        let of = |count: usize| joined(&vec![long.clone(); count], 240).unwrap();
        assert_eq!(of(1), super::super::visible(&long, 240));
        assert_eq!(of(1).chars().count(), 240);
        for count in 2..=5 {
            let joined = of(count);
            assert_eq!(joined.split(", ").count(), count);
            assert!((225..=240).contains(&joined.chars().count()), "{joined}");
        }
        let with_nothing = joined(&[String::new(), long.clone()], 240).unwrap();
        assert_eq!(with_nothing, of(1));
        assert_eq!(joined(&[String::new()], 240), None);
    }

    proptest! {
        #[test]
        fn no_two_labels_come_under_one_name(
            labels in proptest::collection::btree_map("[a-zA-Z0-9_./ ä-]{0,6}|U__[a-z_]{0,3}|severity", "[a-z]{1,3}", 0..32),
        ) {
            let names = label_names(&labels, &["severity"]);
            prop_assert_eq!(names.len(), labels.len());
            let set: BTreeSet<&String> = names.iter().map(|(name, _)| name).collect();
            prop_assert_eq!(set.len(), names.len());
            for (name, _) in &names {
                prop_assert!(name != "severity" && !name.starts_with("__"));
                prop_assert!(name.chars().all(|char| char.is_ascii_alphanumeric() || char == '_'));
                prop_assert!(!name.starts_with(|first: char| first.is_ascii_digit()));
            }
        }
    }
}
