use std::io::Write;

use base64::prelude::*;
use proptest::prelude::*;

use super::*;

const MOST: usize = 1 << 20;

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).expect("memory takes all");
    encoder.finish().expect("memory takes all")
}

#[test]
fn a_bomb_goes_no_further_than_the_limit() {
    let packed = gzip(&vec![b'{'; 50 << 20]);
    let text = BASE64_STANDARD.encode(&packed);
    let found = decoded(text.as_bytes(), MOST);
    assert_eq!((found.bytes.len(), found.is_whole), (MOST, false));
    let found = decoded(text.as_bytes(), 0);
    assert_eq!((found.bytes.len(), found.is_whole), (packed.len(), false));
}

#[test]
fn what_is_not_packed_is_decoded_whatever_the_limit() {
    let found = decoded(BASE64_STANDARD.encode("{\"a\":1}").as_bytes(), 0);
    assert_eq!(
        (found.bytes.as_slice(), found.is_whole),
        (&b"{\"a\":1}"[..], true)
    );
}

#[test]
fn of_what_is_damaged_the_beginning_is_found() {
    let plain = br#"{"auditID":"1"}"#;
    let text = BASE64_STANDARD.encode(plain);
    let cut = decoded(&text.as_bytes()[..9], MOST);
    assert_eq!((cut.bytes.as_slice(), cut.is_whole), (&plain[..6], false));
    let damaged = decoded(format!("{}!{}", &text[..8], &text[8..]).as_bytes(), MOST);
    assert_eq!(
        (damaged.bytes.as_slice(), damaged.is_whole),
        (&plain[..6], false)
    );
    let stream = gzip(plain);
    let cut = decoded(
        BASE64_STANDARD
            .encode(&stream[..stream.len() - 4])
            .as_bytes(),
        MOST,
    );
    assert_eq!(
        (cut.bytes.as_slice(), cut.is_whole),
        (plain.as_slice(), false)
    );
}

#[test]
fn keys_and_values_that_may_hide_something() {
    for (text, expected) in [
        (r#"data":"eyJh"#, true),
        (r#"data" : "H4sIAA"#, true),
        (r#"data_base64":"KLUv/Q"#, true),
        (r#"data\\\":\\\"W3si"#, true),
        (r#"data\u0022\u003A\n\"eyJh"#, true),
        (r#"data":"\u0065yJh"#, true),
        (r#"Data":"eyJh"#, true),
        (r#"rawData\":\"H4sI"#, true),
        ("data\"\u{b}:\u{c}\u{1}\"\0eyJh", true),
        (r#"data":"\f\u000b\beyJh"#, true),
        (r#"metadata":"eyJh"#, false),
        (r#"ata":"eyJh"#, false),
        (r#"data":"-_-_"#, true),
        (r#"data":"84mawg"#, true),
        (r#"data":"eJyr"#, true),
        (r#"data":"eAGr"#, true),
        (r#"data":"eF6r"#, true),
        (r#"data":"eNqr"#, true),
        ("data&quot;:&quot;eyJh", true),
        ("data_base64&#34; : &#34;eyJh", true),
        ("data&quot;:&lt;eyJh", false),
        ("data': 'H4sI", true),
        (r#"data":"ey"#, false),
        (r#"data":"AAEC"#, false),
        (r#"data":{"a":1}"#, false),
        (r#"database":"eyJh"#, false),
        (r#"data","eyJh"#, false),
        (r#"MESSAGE":[123,34"#, true),
        (r#"MESSAGE\": ["#, true),
        (r#"MESSAGE":"text""#, false),
        (r#"MESSAGE_ID":[1]"#, false),
        ("", false),
    ] {
        assert_eq!(begins_at(text.as_bytes()), expected, "{text}");
    }
}

#[test]
fn values_in_what_is_cut_off_are_found_under_every_key() {
    let text = r#"{"data":"eyJ0","rawData":"eyJ1","Data" : "eyJ2","data_base64":"eyJ3","ata":"eyJ4","x":"eyJ5"#;
    let found: Vec<_> = base64_values(text.as_bytes())
        .map(|(at, value)| (at, std::str::from_utf8(value).expect("it is text")))
        .collect();
    assert_eq!(
        found,
        [(2, "eyJ0"), (19, "eyJ1"), (33, "eyJ2"), (49, "eyJ3")]
    );
}

proptest! {
    #[test]
    fn all_ways_of_writing_it_are_read(bytes in proptest::collection::vec(any::<u8>(), 0..300), break_at in 1_usize..80) {
        prop_assume!(!matches!(bytes.first(), Some(0x1f | 0x28 | b'x')));
        for text in [
            BASE64_STANDARD.encode(&bytes),
            BASE64_STANDARD_NO_PAD.encode(&bytes),
            BASE64_URL_SAFE.encode(&bytes),
            BASE64_URL_SAFE_NO_PAD.encode(&bytes),
            BASE64_STANDARD.encode(gzip(&bytes)),
        ] {
            let lines: Vec<&[u8]> = text.as_bytes().chunks(break_at).collect();
            let found = decoded(&lines.join(&b'\n'), MOST);
            prop_assert_eq!(&found.bytes, &bytes);
            prop_assert!(found.is_whole);
        }
    }

    #[test]
    fn json_and_gzip_are_told_by_their_heads(space in "[ \n\t]{0,3}|→ |\u{1e}|\u{1b}\\[0m", text in "[{\\[][ -~]{3,9}") {
        let text = format!("{space}{text}");
        prop_assert!(may_be_base64(BASE64_STANDARD.encode(&text).as_bytes()));
        prop_assert!(may_be_base64(BASE64_URL_SAFE_NO_PAD.encode(gzip(text.as_bytes())).as_bytes()));
    }

    #[test]
    fn nothing_panics(text in proptest::collection::vec(any::<u8>(), 0..200), tail in "[\\\\\":dataMESGnu0-9 ]{0,40}") {
        decoded(&text, MOST);
        begins_at(&text);
        begins_at(format!("data{tail}").as_bytes());
        base64_values(&text).count();
    }
}
