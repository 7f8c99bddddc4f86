//! Text of an event that may be shown: cut, and without what looks like a token.

use std::{borrow::Cow, ops::Range};

use crate::{audit::uri::percent_decoded, record::key::ends_with};

/// A run of token characters of this length or more is taken for a token. A UUID has 36
/// characters, a JWT hundreds.
const TOKEN_LENGTH: usize = 100;

/// A run of token characters that is shorter is no token.
const LEAST_LENGTH: usize = 20;

/// How the keys of credentials in queries end, in small letters and without what joins their words.
const CREDENTIALS: [&str; 17] = [
    "token",
    "secret",
    "assertion",
    "password",
    "passwd",
    "passphrase",
    "pass",
    "pwd",
    "authorization",
    "auth",
    "bearer",
    "jwt",
    "key",
    "sig",
    "signature",
    "credential",
    "credentials",
];

/// HTTP's schemes of authentication whose credentials are secrets as they stand (RFC 6750, RFC 7617).
const SCHEMES: [&str; 2] = ["bearer", "basic"];

/// A word behind a scheme's name that is shorter than this many bytes is no credential.
const LEAST_CREDENTIAL: usize = 6;

/// `text` without tokens, without what queries in it call a credential and without what URLs and HTTP's authentication have, cut to
/// `max` characters with `…` at the end if it is longer.
pub(super) fn redacted(text: &str, max: usize) -> Cow<'_, str> {
    let marks = Marks::in_text(text);
    match without_credentials(text, marks) {
        Some(text) => without_tokens(&text, max).into(),
        None if may_hold_token(text, marks) => without_tokens(text, max).into(),
        None => cut(text, max),
    }
}

/// Without which of these characters a text has no secret of some kind: most have few of them, which one look tells.
#[derive(Clone, Copy)]
struct Marks(u8);

impl Marks {
    /// Behind the keys of queries.
    const EQUALS: u8 = 1;
    /// Behind the users of URLs.
    const AT: u8 = 2;
    /// Behind the names of HTTP's schemes.
    const GAP: u8 = 4;
    /// In tokens.
    const UPPER: u8 = 8;

    fn in_text(text: &str) -> Self {
        let each = text.bytes().map(|byte| MARKS[usize::from(byte)]);
        Self(each.fold(0, |all, mark| all | mark))
    }

    fn have(self, mark: u8) -> bool {
        self.0 & mark != 0
    }
}

/// The mark of each byte.
static MARKS: [u8; 256] = {
    let mut marks = [0; 256];
    marks[b'=' as usize] = Marks::EQUALS;
    marks[b'@' as usize] = Marks::AT;
    marks[b' ' as usize] = Marks::GAP;
    marks[b'+' as usize] = Marks::GAP;
    marks[b'%' as usize] = Marks::GAP;
    let mut letter = b'A' as usize;
    while letter <= b'Z' as usize {
        marks[letter] = Marks::UPPER;
        letter += 1;
    }
    marks
};

/// `None` if there are none.
fn without_credentials(text: &str, marks: Marks) -> Option<String> {
    let mut credentials = Vec::new();
    if marks.have(Marks::EQUALS) {
        credentials.extend(in_query(text));
    }
    if marks.have(Marks::AT) {
        credentials.extend(in_authorities(text));
    }
    if marks.have(Marks::GAP) {
        credentials.extend(behind_schemes(text));
    }
    if credentials.is_empty() {
        return None;
    }
    credentials.sort_by_key(|credential| credential.start);
    let mut shown = String::new();
    let mut told = 0;
    for Range { start, end } in credentials {
        if start >= told {
            shown.push_str(&text[told..start]);
            shown.push_str("[redacted]");
        }
        told = told.max(end);
    }
    Some(shown + &text[told..])
}

/// The values of credentials' keys in queries.
fn in_query(text: &str) -> impl Iterator<Item = Range<usize>> {
    let query = memchr::memchr(b'?', text.as_bytes()).unwrap_or(text.len());
    let mut told = query;
    let equals = memchr::memchr_iter(b'=', &text.as_bytes()[query..]);
    equals.filter_map(move |at| {
        let start = query + at + 1;
        if start <= told || !ends_with_credential(&text[..start - 1]) {
            return None;
        }
        let value = &text[start..];
        // A client may begin a value with a quote; elsewhere one ends the text in which the query stands.
        let quotes = value.len() - value.trim_start_matches(['"', '\\']).len();
        let is_ended = |behind: &str| behind.is_empty() || behind.starts_with([',', '}', ']', ' ']);
        let quotes = Some(quotes)
            .filter(|quotes| !is_ended(&value[*quotes..]))
            .unwrap_or(0);
        told = start + quotes + length_until(&value[quotes..], &['&', '"', '\\']);
        (told > start).then_some(start..told)
    })
}

/// Users and passwords before the hosts of URLs.
fn in_authorities(text: &str) -> impl Iterator<Item = Range<usize>> {
    let starts = text.match_indices("://").map(|(at, mark)| at + mark.len());
    starts.filter_map(|start| {
        let length = length_until(&text[start..], &['/', '?', '#', '"', '\\']);
        let user = text[start..start + length].rfind('@')?;
        (user > 0).then_some(start..start + user)
    })
}

/// What stands behind the names of HTTP's schemes of authentication.
fn behind_schemes(text: &str) -> impl Iterator<Item = Range<usize>> {
    let gaps = memchr::memchr3_iter(b' ', b'+', b'%', text.as_bytes());
    let mut told = 0;
    gaps.filter_map(move |at| {
        if at < told {
            return None;
        }
        let is_behind = |name: &str| {
            let start = at.checked_sub(name.len());
            let said = start.and_then(|start| text.get(start..at));
            said.is_some_and(|said| said.eq_ignore_ascii_case(name))
        };
        if !SCHEMES.into_iter().any(is_behind) {
            return None;
        }
        let behind = &text[at..];
        let value = behind
            .strip_prefix([' ', '+'])
            .or_else(|| behind.strip_prefix("%20"))?;
        let start = text.len() - value.len();
        let length = value.find(|character| !is_of_credential(character));
        let length = length.unwrap_or(value.len());
        told = start + length;
        (length >= LEAST_CREDENTIAL).then_some(start..told)
    })
}

/// Whether `character` may be one of a `token68` (RFC 7235).
fn is_of_credential(character: char) -> bool {
    character.is_ascii_alphanumeric() || "-._~+/=".contains(character)
}

/// Bytes before the first of `ends` or white space.
fn length_until(text: &str, ends: &[char]) -> usize {
    let is_end = |character: char| ends.contains(&character) || character.is_whitespace();
    text.find(is_end).unwrap_or(text.len())
}

/// Bytes before a `=` in which its key is looked at: more than any of [`CREDENTIALS`] has in any spelling.
const MAX_KEY_BYTES: usize = 64;

/// Whether the last key in `query` is that of a credential.
fn ends_with_credential(query: &str) -> bool {
    let far = query.len().saturating_sub(MAX_KEY_BYTES);
    let far = (far..query.len()).find(|at| query.is_char_boundary(*at));
    let query = &query[far.unwrap_or(query.len())..];
    let start = query.rfind(['?', '&', ';']).map_or(0, |at| at + 1);
    let key = percent_decoded(&query[start..]);
    CREDENTIALS.iter().any(|end| ends_with(&key, end))
}

fn without_tokens(text: &str, max: usize) -> String {
    let mut shown = String::with_capacity(text.len().min(max));
    for run in text.split_inclusive(|character: char| !is_token_character(character)) {
        let token = run.trim_end_matches(|character: char| !is_token_character(character));
        if looks_like_token(token) {
            shown.push_str("[redacted]");
            shown.push_str(&run[token.len()..]);
        } else {
            shown.push_str(run);
        }
        if shown.len() > 4 * max {
            break;
        }
    }
    cut(&shown, max).into_owned()
}

/// `text` cut to `max` characters, with `…` at the end if it is longer.
pub(super) fn cut(text: &str, max: usize) -> Cow<'_, str> {
    if text.len() <= max {
        return text.into();
    }
    match text.char_indices().nth(max) {
        None => text.into(),
        Some((end, _)) => format!("{}…", &text[..end]).into(),
    }
}

/// Whether a run of `text` looks like a token, or may.
fn may_hold_token(text: &str, marks: Marks) -> bool {
    let bytes = text.as_bytes();
    if bytes.len() < LEAST_LENGTH || !marks.have(Marks::UPPER) {
        return false;
    }
    let has_jwt = memchr::memchr_iter(b'J', bytes).any(|at| bytes[..at].ends_with(b"ey"));
    has_jwt || (bytes.len() >= TOKEN_LENGTH && has_long_run(bytes))
}

/// Whether there are [`TOKEN_LENGTH`] token characters in a row. Of these one stands at each multiple of the length, so that
/// what lies between is looked at only around those that are token characters.
fn has_long_run(bytes: &[u8]) -> bool {
    let is_token = |byte: &&u8| is_token_character(char::from(**byte));
    let length = |run: &mut dyn Iterator<Item = &u8>| run.take_while(is_token).count();
    (TOKEN_LENGTH - 1..bytes.len())
        .step_by(TOKEN_LENGTH)
        .any(|at| {
            let (before, behind) = bytes.split_at(at);
            let behind = length(&mut behind.iter());
            behind > 0 && behind + length(&mut before.iter().rev()) >= TOKEN_LENGTH
        })
}

fn is_token_character(character: char) -> bool {
    character.is_ascii_alphanumeric() || matches!(character, '-' | '_' | '.' | '+' | '=')
}

/// A JWT begins with `eyJ`, which is `{"` in base64; other tokens are long and have
/// upper-case letters, which names have not.
fn looks_like_token(run: &str) -> bool {
    let is_jwt = run
        .match_indices("eyJ")
        .any(|(at, _)| run[at..].len() >= LEAST_LENGTH);
    let has_upper = run.bytes().any(|byte| byte.is_ascii_uppercase());
    is_jwt || (run.len() >= TOKEN_LENGTH && has_upper)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn tokens_are_left_out_and_names_are_kept() {
        let jwt = "eyJhbGciOiJSUzI1NiIsImtpZCI6IjEifQ.eyJpc3MiOiJrdWJlcm5ldGVzIn0.c2ln";
        assert_eq!(
            redacted(&format!("/x?sent={jwt}&a=b"), 99),
            "/x?[redacted]&a=b"
        );
        let name = "a".repeat(250);
        assert_eq!(redacted(&format!("get {name}"), 999), format!("get {name}"));
        assert_eq!(redacted(&"A1".repeat(60), 99), "[redacted]");
        assert_eq!(
            redacted("JTI=5a9dc2ea-d68c-45af-9328-14ac0d52aee9", 99),
            "JTI=5a9dc2ea-d68c-45af-9328-14ac0d52aee9"
        );
        assert_eq!(redacted("abc", 2), "ab…");
    }

    #[test]
    fn what_a_query_calls_a_credential_is_left_out_whatever_it_looks_like() {
        for (uri, shown) in [
            ("/x?access_token=opaque", "/x?access_token=[redacted]"),
            (
                "/x?a=b&Password=p;=\u{e4}'%20&token=t&c=d&token=",
                "/x?a=b&Password=[redacted]&token=[redacted]&c=d&token=",
            ),
            (
                r#"{"requestURI":"/x?client_secret=s","verb":"get"#,
                r#"{"requestURI":"/x?client_secret=[redacted]","verb":"get"#,
            ),
            (
                "/x?a?token=t&xtoken=t&token_id=t&\u{e4}token=t",
                "/x?a?token=[redacted]&xtoken=[redacted]&token_id=t&\u{e4}token=[redacted]",
            ),
            ("/token=t&password=p", "/token=t&password=p"),
            ("/x?token=a=b&=c", "/x?token=[redacted]&=c"),
            ("/x?token=\"value&a=b", "/x?token=[redacted]&a=b"),
            (
                r#"{"requestURI":"/x?token=","verb":"get""#,
                r#"{"requestURI":"/x?token=","verb":"get""#,
            ),
            (
                "/x?a=b;token[]=t&acc%65ss_token=t&X-Amz-Credential=c",
                "/x?a=b;token[]=[redacted]&acc%65ss_token=[redacted]&X-Amz-Credential=[redacted]",
            ),
            (
                "/x?aws_secret_access_key=k&db_password=p&fieldSelector=metadata.name=a&continue=c",
                "/x?aws_secret_access_key=[redacted]&db_password=[redacted]&fieldSelector=metadata.name=a&continue=c",
            ),
        ] {
            assert_eq!(redacted(uri, 999), shown);
            assert_eq!(redacted(shown, 999), shown);
        }
        for name in CREDENTIALS {
            assert!(redacted(&format!("/?{name}=opaque"), 99).ends_with("=[redacted]"));
        }
    }

    #[test]
    fn credentials_of_urls_and_of_http_are_left_out() {
        for (text, shown) in [
            (
                "git/2 (+https://user:pa@ss@host/x@y)",
                "git/2 (+https://[redacted]@host/x@y)",
            ),
            (
                "http://token@h and ftp://a:b@c?d",
                "http://[redacted]@h and ftp://[redacted]@c?d",
            ),
            ("http://@h https://h/a@b ://", "http://@h https://h/a@b ://"),
            (
                "curl/8 Authorization: Bearer s3cr3t-x",
                "curl/8 Authorization: Bearer [redacted]",
            ),
            ("basic dXNlcjpwYXNz, x", "basic [redacted], x"),
            (
                "/x?a=BEARER%20abcdef&b=Bearer+abcdef",
                "/x?a=BEARER%20[redacted]&b=Bearer+[redacted]",
            ),
            (
                "Basic auth, bearer of it, %20abcdefg",
                "Basic auth, bearer of it, %20abcdefg",
            ),
            ("/x?token=http://a:b@c&d", "/x?token=[redacted]&d"),
        ] {
            assert_eq!(redacted(text, 999), shown);
            assert_eq!(redacted(shown, 999), shown);
        }
    }

    /// A client makes its URI and its agent as long as it likes.
    #[test]
    fn a_text_that_is_sixteen_times_as_long_does_not_take_the_square_of_that() {
        for part in ["=", "x=", "token=", "bearer+", "+", "://", "://a@", "%3D="] {
            let seconds = |count: usize| {
                let text = format!("/?{}", part.repeat(count));
                let once = || {
                    let start = std::time::Instant::now();
                    std::hint::black_box(redacted(&text, 99));
                    start.elapsed().as_secs_f64()
                };
                (0..5).map(|_| once()).fold(f64::INFINITY, f64::min)
            };
            let (short, long) = (seconds(2_000), seconds(32_000));
            assert!(long < 80.0 * short, "{part}: {short} s, {long} s");
        }
    }

    proptest! {
        #[test]
        fn a_query_may_be_anything(
            text in "([?&=;# @/\u{e4}]|token|password|a|://|Bearer |basic%20|abcdefg){0,30}",
            max in 0_usize..50,
        ) {
            let once = redacted(&text, 999);
            prop_assert_eq!(&redacted(&once, 999), &once);
            prop_assert!(redacted(&text, max).chars().count() <= max + 1);
            let (some, all) = (Marks::in_text(&text), Marks(u8::MAX));
            prop_assert_eq!(without_credentials(&text, some), without_credentials(&text, all));
            prop_assert!(may_hold_token(&text, some) == may_hold_token(&text, all) || !some.have(Marks::UPPER));
        }

        #[test]
        fn the_length_is_bounded(text in "\\PC*", max in 0_usize..50) {
            prop_assert!(redacted(&text, max).chars().count() <= max + 1);
        }

        #[test]
        fn what_is_not_looked_through_holds_no_token(
            text in "([a-zA-Z0-9/. ]{0,12}(eyJ)?[a-zA-Z0-9]{0,45}){0,3}( ?[a-zA-Z]{80,120}){0,2}",
            max in 0_usize..450,
        ) {
            prop_assert_eq!(redacted(&text, max), without_tokens(&text, max));
        }

        #[test]
        fn nothing_is_left_out_of_what_is_left(text in "([a-zA-Z/. ]{0,9}(eyJ)?[A-Z]{0,99}){0,4}", max in 0_usize..150) {
            let once = redacted(&text, max);
            prop_assert_eq!(&redacted(&once, max), &once);
        }
    }
}
