//! Request URIs, which the API server logs as the client wrote them.

use std::borrow::Cow;

/// Undoes percent-encoding once. A `%` that two hex digits do not follow stays.
pub fn percent_decoded(text: &str) -> Cow<'_, str> {
    if !text.contains('%') {
        return Cow::Borrowed(text);
    }
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let byte = (bytes[at] == b'%')
            .then(|| hex_pair(bytes.get(at + 1..at + 3)?))
            .flatten();
        at += if byte.is_some() { 3 } else { 1 };
        decoded.push(byte.unwrap_or(bytes[at - 1]));
    }
    Cow::Owned(String::from_utf8_lossy(&decoded).into_owned())
}

fn hex_pair(digits: &[u8]) -> Option<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    u8::try_from(digit(digits[0])? * 16 + digit(digits[1])?).ok()
}

/// The path of `uri`, decoded once; not cleaned. A request has no fragment: `#` is a
/// character like any other.
pub fn path(uri: &str) -> Cow<'_, str> {
    percent_decoded(uri.split('?').next().unwrap_or_default())
}

/// The segments of a decoded path after `.`, `..` and `//` have been resolved, as a
/// server does that cleans paths.
pub fn resolved_segments(path: &str) -> Vec<&str> {
    let mut segments = Vec::new();
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." => {
                segments.pop();
            }
            name => segments.push(name),
        }
    }
    segments
}

/// What Go writes for `&`, where it is read as it stands.
const AMPERSAND: &str = "\\u0026";

/// For each field selector of `uri`, as in `?fieldSelector=metadata.namespace%3Dshop`, the value
/// that `key` must equal by it, if it speaks of `key`. The server takes the first that is well
/// formed and ignores the others. Behind them are those of the URI that a database wrote with its backslashes doubled, if it is one.
pub fn field_selectors(uri: &str, key: &str) -> Vec<Option<String>> {
    let query = uri.split_once('?').map_or("", |(_, query)| query);
    let doubled = query.contains(AMPERSAND).then(|| query.split(AMPERSAND));
    query
        .split('&')
        .chain(doubled.into_iter().flatten())
        .filter_map(|pair| pair.split_once('='))
        .filter(|(name, _)| percent_decoded(&name.replace('+', " ")) == "fieldSelector")
        .map(|(_, value)| {
            let selector = percent_decoded(&value.replace('+', " ")).into_owned();
            selector.split(',').find_map(|term| {
                let (field, wanted) = term.split_once('=')?;
                let wanted = wanted.strip_prefix('=').unwrap_or(wanted);
                (field.trim() == key).then(|| wanted.trim().to_owned())
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_path_is_decoded_once_and_then_cleaned() {
        let path = path("/proxy/exec/%68oneypot/x/../%66ile-backup/c?command=id");
        assert_eq!(path, "/proxy/exec/honeypot/x/../file-backup/c");
        assert_eq!(
            resolved_segments(&path),
            ["proxy", "exec", "honeypot", "file-backup", "c"]
        );
        assert_eq!(resolved_segments("/../..//a/./b/"), ["a", "b"]);
        assert_eq!(percent_decoded("%2568%zz%4"), "%68%zz%4");
    }

    #[test]
    fn a_field_selector_is_found_however_it_is_encoded() {
        let namespace = |uri| {
            let mut found = field_selectors(uri, "metadata.namespace");
            found.pop().flatten()
        };
        assert_eq!(
            namespace("/s?fieldSelector=metadata.namespace%3Dhoneypot").as_deref(),
            Some("honeypot")
        );
        assert_eq!(
            namespace("/s?a=b&field%53elector=type=x,metadata.namespace==%68oneypot").as_deref(),
            Some("honeypot")
        );
        assert_eq!(
            namespace("/s?fieldSelector=metadata.namespace!%3Dhoneypot"),
            None
        );
        assert_eq!(
            namespace("/s?labelSelector=metadata.namespace%3Dhoneypot"),
            None
        );
        assert_eq!(namespace("/s"), None);
        assert_eq!(
            field_selectors("/s?fieldSelector=a%3Db&x=y&fieldSelector=c%3Dd", "c"),
            [None, Some("d".to_owned())]
        );
        assert_eq!(
            namespace(r"/s?a=b\u0026fieldSelector=metadata.namespace%3Dhoneypot\u0026limit=500")
                .as_deref(),
            Some("honeypot")
        );
    }

    proptest! {
        #[test]
        fn nothing_panics(uri in "\\PC*", key in "[a-z.]{0,4}") {
            resolved_segments(&path(&uri));
            field_selectors(&uri, &key);
        }
    }
}
