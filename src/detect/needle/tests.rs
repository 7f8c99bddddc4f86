use std::sync::Arc;

use proptest::{collection::vec, prelude::*};

use super::{groups::Groups, *};
use crate::config;

/// Words as audit logs are full of.
const WORDS: &str = "events users metrics tracing stages requests status objects names levels kinds groups \
                     reasons agents sources annotations decisions timers codes verbs systems masters \
                     controllers schedulers operators proxies readers writers builders runners syncers mirrors";

/// Where a search finds the first needle, from each place where it goes on: `record` bytes behind the last.
type Scan = dyn Fn(&[u8], &dyn Fn(usize, usize) -> bool, &mut dyn FnMut(usize) -> usize);

fn searches(needles: &[&[u8]]) -> Vec<Box<Scan>> {
    let groups = Groups::new(needles);
    let mut all: Vec<Box<Scan>> = vec![Box::new(move |bytes, is_needle, found| {
        groups.scan(bytes, is_needle, found);
    })];
    #[cfg(target_arch = "x86_64")]
    for vector in [Vector::by_seven_bits(needles), Vector::by_halves(needles)] {
        all.extend(vector.map(|vector| -> Box<Scan> {
            Box::new(move |bytes, is_needle, found| vector.scan(bytes, is_needle, found))
        }));
    }
    all
}

/// Which of the lines have a needle in them.
fn lines(scan: &Scan, needles: &[&[u8]], bytes: &[u8]) -> Vec<usize> {
    let mut lines = Vec::new();
    let is_needle = |number: usize, start: usize| {
        bytes
            .get(start..)
            .is_some_and(|rest| rest.starts_with(needles[number]))
    };
    scan(bytes, &is_needle, &mut |at| {
        lines.push(bytes[..at].iter().filter(|byte| **byte == b'\n').count());
        let end = bytes[at..].iter().position(|byte| *byte == b'\n');
        end.map_or(bytes.len(), |end| at + end + 1)
    });
    lines
}

fn expected(needles: &[&[u8]], bytes: &[u8]) -> Vec<usize> {
    let holds = |line: &[u8]| {
        let mut needles = needles.iter();
        needles.any(|needle| memchr::memmem::find(line, needle).is_some())
    };
    let lines = bytes.split(|byte| *byte == b'\n').enumerate();
    lines
        .filter(|(_, line)| holds(line))
        .map(|(number, _)| number)
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Of few letters, so that needles overlap, hold each other and stand across the borders of blocks.
    #[test]
    fn every_search_finds_what_stands_there(
        letters in prop::sample::select(vec![b"ab%-".as_slice(), b"ab%-\xc3"]),
        needles in vec(vec(any::<prop::sample::Index>(), 2..9), 1..24),
        bytes in vec(prop::sample::select(b"ab%-\n\xc3".as_slice()), 0..400),
    ) {
        let spelt = |needle: &Vec<prop::sample::Index>| needle.iter().map(|at| *at.get(letters)).collect();
        let needles: Vec<Vec<u8>> = needles.iter().map(spelt).collect();
        let needles: Vec<&[u8]> = needles.iter().map(Vec::as_slice).collect();
        for scan in searches(&needles) {
            prop_assert_eq!(lines(&*scan, &needles, &bytes), expected(&needles, &bytes));
        }
    }

    /// Of any bytes, with needles set into them.
    #[test]
    fn every_search_finds_what_is_set_in(
        most in prop::sample::select(vec![127u8, 255]),
        needles in vec(vec(any::<u8>(), 2..40), 1..50),
        bytes in vec(any::<u8>(), 0..600),
        places in vec((any::<prop::sample::Index>(), any::<prop::sample::Index>()), 0..6),
    ) {
        let mut bytes = bytes;
        let bounded = |needle: &Vec<u8>| needle.iter().map(|byte| byte % (most - 10) + 11).collect();
        let needles: Vec<Vec<u8>> = needles.iter().map(bounded).collect();
        for (place, needle) in places {
            let needle = &needles[needle.index(needles.len())];
            let place = place.index(bytes.len() + 1);
            bytes.splice(place..place, needle.iter().copied());
        }
        let needles: Vec<&[u8]> = needles.iter().map(Vec::as_slice).collect();
        for scan in searches(&needles) {
            prop_assert_eq!(lines(&*scan, &needles, &bytes), expected(&needles, &bytes));
        }
    }
}

/// So many that the last of them are left to the automaton.
#[test]
fn a_needle_that_is_refused_hides_none_that_began_before() {
    let others: Vec<String> = (0..1100).map(|number| format!("zz{number:04}")).collect();
    let needles: Vec<&[u8]> = others.iter().map(String::as_bytes).collect();
    let needles = [&needles[..], &[b"aw", b"rawData"]].concat();
    for scan in searches(&needles) {
        let mut found = Vec::new();
        let is_needle = |number: usize, _: usize| needles[number] != b"aw";
        scan(b"{\"rawData\":", &is_needle, &mut |at| {
            found.push(at);
            usize::MAX
        });
        assert_eq!(found, [2]);
    }
}

#[test]
fn what_follows_a_short_needle_may_be_any_byte_or_none() {
    let needles = [b"ci".as_slice(), b"%6e"];
    for text in ["ci\u{e9}", "ci", "%6e\u{e9}", "%6e", "x\nci\n\u{e9}"] {
        for scan in searches(&needles) {
            let found = lines(&*scan, &needles, text.as_bytes());
            assert_eq!(found.len(), 1, "{text}");
        }
    }
}

/// A decoy for each pair of names.
pub fn decoys(names: &[(&str, &str)]) -> Vec<Decoy> {
    let decoy = |(namespace, name): &(&str, &str)| {
        let decoy = config::Decoy {
            namespace: (*namespace).to_owned(),
            service_account: (*name).to_owned(),
            secret: None,
            pod: None,
            whole_namespace: false,
            severity: crate::detect::Severity::Medium,
            labels: Arc::default(),
            expected: Vec::new(),
        };
        Decoy::compile(&decoy).expect("no glob")
    };
    names.iter().map(decoy).collect()
}

/// The needles of these.
fn needles(names: &[(&str, &str)]) -> Vec<Vec<u8>> {
    let decoys = decoys(names);
    patterns(&decoys)
        .into_iter()
        .map(|pattern| pattern.bytes)
        .collect()
}

/// Small enough for Miri, which `.ci/miri` runs it under.
#[test]
fn a_needle_is_found_at_every_border_of_a_block() {
    let few = [b"honeypot".as_slice(), b"backup-sa", b"ci", b"%6e"];
    let many: Vec<&[u8]> = WORDS.split_whitespace().map(str::as_bytes).collect();
    for needles in [&few[..], &many[..if cfg!(miri) { 12 } else { many.len() }]] {
        let searches = searches(needles);
        for length in [0, 3, 63, 64, 67, 131] {
            for place in [0, length / 2, length] {
                let mut bytes = vec![b'x'; length];
                bytes.splice(place..place, needles[1].iter().copied());
                for scan in &searches {
                    assert_eq!(lines(&**scan, needles, &bytes), [0], "{length}, {place}");
                }
            }
        }
    }
}

/// Of eight buckets.
fn cost<const TABLES: usize>(typical: &fingerprint::Typical<TABLES>, needles: &[&[u8]]) -> f64 {
    let buckets = typical.merged(typical.buckets(needles), 8);
    assert_eq!(buckets.len(), 8);
    buckets.iter().map(|bucket| bucket.cost).sum()
}

#[test]
fn a_typical_log_seldom_stops_the_search() {
    for (namespace, name) in [
        ("honeypot", "backup-sa"),
        ("payments", "db-admin"),
        ("kube-tools", "cluster-operator"),
        ("monitoring-old", "prometheus-reader"),
    ] {
        let needles = needles(&[(namespace, name)]);
        let needles: Vec<&[u8]> = needles.iter().map(Vec::as_slice).collect();
        let costs = [
            cost(&fingerprint::BY_SEVEN_BITS, &needles),
            cost(&fingerprint::BY_HALVES, &needles),
        ];
        for cost in costs {
            assert!(cost < 0.001, "{namespace}/{name}: {cost}");
        }
    }
}

/// However many decoys are called alike, what all their names have is looked for, and not what tells them apart.
#[test]
fn names_that_are_alike_are_looked_for_by_what_they_share() {
    let names: Vec<(String, String)> = (1..=64)
        .map(|number| (format!("trap-{number}"), format!("bait-{number}-sa")))
        .collect();
    let pairs: Vec<(&str, &str)> = names.iter().map(|(one, two)| (&**one, &**two)).collect();
    let cost = |names: &[(&str, &str)]| {
        let needles = needles(names);
        let needles: Vec<&[u8]> = needles.iter().map(Vec::as_slice).collect();
        cost(&fingerprint::BY_SEVEN_BITS, &needles)
    };
    assert!(cost(&pairs) < 1.2 * cost(&pairs[10..11]));
}

/// A search with eight buckets would often stop for nothing, and no two names share what they could be looked for by.
#[test]
fn many_needles_are_found_by_sixteen_buckets() {
    let names: Vec<(String, String)> = WORDS
        .split_whitespace()
        .map(|word| (word.to_owned(), word.chars().rev().collect()))
        .collect();
    let pairs: Vec<(&str, &str)> = names
        .iter()
        .map(|(one, other)| (&**one, &**other))
        .collect();
    let needles = needles(&pairs);
    let needles: Vec<&[u8]> = needles.iter().map(Vec::as_slice).collect();
    let mut bytes = Vec::new();
    for needle in &needles {
        bytes.extend_from_slice(b"nothing here \n\n stneve snosaer\nsome ");
        bytes.extend_from_slice(needle);
        bytes.push(b'\n');
    }
    for scan in searches(&needles) {
        assert_eq!(lines(&*scan, &needles, &bytes), expected(&needles, &bytes));
    }
    #[cfg(target_arch = "x86_64")]
    for vector in [Vector::by_seven_bits(&needles), Vector::by_halves(&needles)] {
        assert!(vector.is_none_or(|vector| vector.is_wide()));
    }
}

#[test]
fn what_is_passed_ends_before_the_first_candidate_or_part_of_one() {
    let needles = Needles::new(&decoys(&[("honeypot", "backup-sa")]));
    let clean = "{\"name\":\"events\"}\n".repeat(20);
    assert_eq!(needles.find(clean.as_bytes()), None);
    let tag = std::str::from_utf8(part_mark::CRI[0]).unwrap();
    for first in ["backup-sa", "\\u0062", tag] {
        let line = format!("some {first} more\n");
        let text = [&clean, &line, &clean, "backup-sa\n"].concat();
        let place = needles.find(text.as_bytes());
        let lines = clean.len()..clean.len() + line.len();
        assert!(place.is_some_and(|at| lines.contains(&at)), "{first}");
    }
}

#[test]
fn a_name_is_common_as_it_is_looked_for() {
    for (name, wanted) in [
        ("update", true),
        ("service", true),
        ("kube-*", true),
        ("serviceaccounts-x", false),
        ("backup-sa", false),
    ] {
        assert_eq!(is_common(name), wanted, "{name}");
    }
}
