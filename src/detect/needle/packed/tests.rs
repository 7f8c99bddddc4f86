use super::{
    super::{groups::Groups, tests::decoys},
    *,
};

/// A string of fewer than 32 bytes.
fn text(text: &str) -> Vec<u8> {
    [&[0xa0 | text.len() as u8], text.as_bytes()].concat()
}

/// A map of one pair.
fn map(key: &[u8], value: &[u8]) -> Vec<u8> {
    [b"\x81", key, value].concat()
}

/// Whether `entry` is a candidate, by either search, alone and among others.
fn is_candidate(names: (&str, &str), entry: &[u8]) -> bool {
    let decoys = decoys(&[names]);
    let mut needles = PackedNeedles::new(&decoys);
    let mut found = Vec::new();
    let bytes: Vec<&[u8]> = needles
        .patterns
        .iter()
        .map(|pattern| &*pattern.bytes)
        .collect();
    let groups = Search::Groups(Groups::new(&bytes));
    let clean = map(&text("k"), b"\xc0");
    let run = [&clean, entry, &clean].concat();
    for search in [None, Some(groups)] {
        if let Some(search) = search {
            needles.search = search;
        }
        let mut entries = Vec::new();
        needles.scan::<MessagePack>(&run, |entry| {
            entries.push(entry.clone());
            entry.end
        });
        found.push(entries);
    }
    assert_eq!(found[0], found[1]);
    let all = [0..clean.len(), clean.len()..clean.len() + entry.len()];
    match found[0].as_slice() {
        [] => false,
        [one] if *one == all[1] => true,
        // Where a decoy is called like a number.
        [_, _, _] => true,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_name_is_found_as_a_whole_and_only_so() {
    let is_candidate = |entry: &[u8]| is_candidate(("honeypot", "backup-sa"), entry);
    let value = |value: &str| map(&text("k"), &text(value));
    for (value, wanted) in [
        ("honeypot", true),
        ("x:honeypot:y", true),
        (r"\nhoneypot", true),
        ("%2fhoneypot", true),
        ("honeypot-2", false),
        ("x-honeypot", false),
        ("honeypots", false),
        ("%68oneypot", true),
        (r"\u0068oneypot", true),
    ] {
        assert_eq!(
            is_candidate(&map(&text("k"), &text(value))),
            wanted,
            "{value}"
        );
    }
    assert!(is_candidate(&map(&text("honeypot"), b"\xc0")));
    // A length, a type or the next value may look like a letter.
    let long = format!("honeypot {}", " ".repeat(88));
    let long = [&[0xd9, b'a'], long.as_bytes()].concat();
    assert!(is_candidate(&map(&text("k"), &long)));
    assert!(is_candidate(&map(&text("k"), b"\xd7ahoneypot")));
    assert!(is_candidate(
        &[b"\x92", value("honeypot").as_slice(), b"x"].concat()
    ));
    assert!(is_candidate(b"\x93a\xa8honeypotz"));
    assert!(!is_candidate(&value("kube-system")));
}

#[test]
fn what_hides_names_is_found_where_it_is_a_value_or_a_key() {
    let is_candidate = |entry: &[u8]| is_candidate(("honeypot", "backup-sa"), entry);
    for (value, wanted) in [
        (text("proxy"), true),
        (b"\xd9\x05proxy".to_vec(), true),
        (b"\xc6\0\0\0\x05proxy".to_vec(), true),
        (text(r#"{"a":"proxy"}"#), true),
        (text(r"\u0022proxy"), true),
        (text("kube-proxy"), false),
        (text("proxies"), false),
        (text(r#"{"data":"eyJr"}"#), true),
        (text(r#"{"data":"a b c"}"#), false),
    ] {
        assert_eq!(is_candidate(&map(&text("k"), &value)), wanted, "{value:x?}");
    }
    for (key, value, wanted) in [
        (text("data"), text("eyJraW5k"), true),
        (text("Data"), text("eyJraW5k"), true),
        (text("rawData"), text("eyJraW5k"), true),
        (text("data_base64"), text("\u{a0} eyJraW5k"), true),
        (b"\xda\x00\x04data".to_vec(), b"\xc4\x04eyJr".to_vec(), true),
        (text("MESSAGE"), b"\x91{".to_vec(), true),
        (text("metadata"), text("eyJraW5k"), false),
        (text("data"), text("a b c"), false),
        (text("data"), b"\x80".to_vec(), false),
        (text("MESSAGE"), text("eyJraW5k"), false),
    ] {
        assert_eq!(is_candidate(&map(&key, &value)), wanted, "{key:x?}");
    }
}

#[test]
fn what_is_packed_may_hide_a_name_where_a_string_begins() {
    let is_candidate = |entry: &[u8]| is_candidate(("honeypot", "backup-sa"), entry);
    for magic in [
        b"\x1f\x8b\x08\0".as_slice(),
        b"\x28\xb5\x2f\xfd",
        b"\x50*M\x18",
        b"\x5f*M\x18",
        b"x\x01\x01\x02",
        b"x^\xab\xcd",
        b"x\x9c\xab\xcd",
        b"x\xda\xab\xcd",
    ] {
        let value = [magic, b"0123456789"].concat();
        let length = value.len() as u8;
        for header in [
            vec![0xa0 | length],
            vec![0xd9, length],
            vec![0xc4, length],
            vec![0xda, 0, length],
            vec![0xc5, 0, length],
            vec![0xdb, 0, 0, 0, length],
            vec![0xc6, 0, 0, 0, length],
        ] {
            let entry = map(&text("k"), &[header, value.clone()].concat());
            assert!(is_candidate(&entry), "{entry:x?}");
        }
        let within = [b"- ", magic, b" "].concat();
        let entry = map(
            &text("k"),
            &[vec![0xd9, within.len() as u8], within].concat(),
        );
        assert!(!is_candidate(&entry), "{entry:x?}");
    }
    for words in ["x^2 + y^2 = z^2", "x\u{6a9}", "P*M"] {
        assert!(!is_candidate(&map(&text("k"), &text(words))), "{words}");
    }
}

#[test]
fn a_word_that_hides_names_hides_no_name_that_begins_with_it() {
    let names = ("database", "proxy-sa");
    for (value, wanted) in [
        ("database", true),
        ("x/database", true),
        ("proxy-sa", true),
        ("proxy", true),
        ("metadata", false),
        ("proxy-sas", false),
    ] {
        assert_eq!(
            is_candidate(names, &map(&text("k"), &text(value))),
            wanted,
            "{value}"
        );
    }
    assert!(is_candidate(
        ("data", "proxy"),
        &map(&text("k"), &text("x data y"))
    ));
}

#[test]
fn where_a_decoy_is_called_like_a_number_every_entry_is_looked_at() {
    assert!(is_candidate(
        ("200", "backup-sa"),
        &map(&text("code"), b"\xcc\xc8")
    ));
    assert!(is_candidate(
        ("ull", "backup-sa"),
        &map(&text("code"), b"\xc0")
    ));
    assert!(!is_candidate(
        ("x200", "backup-sa"),
        &map(&text("code"), b"\xcc\xc8")
    ));
}
