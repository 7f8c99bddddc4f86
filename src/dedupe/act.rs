//! What a request did, in a few words.

use std::borrow::Cow;

use super::text::cut;
use crate::detect::Request;

/// Longest piece of a sentence, in characters.
const PIECE: usize = 100;

/// `list namespaces`, `get secrets honeypot/backup-sa-token`, `exec in pod honeypot/file-backup`,
/// `get /version`; empty if nothing is known.
pub(crate) fn act(request: &Request) -> String {
    if request.resource.as_deref() == Some("pods")
        && let Some(subresource @ ("exec" | "attach" | "portforward" | "proxy")) =
            request.subresource.as_deref()
        && let Some(name) = object(request)
    {
        return format!("{subresource} in pod {name}");
    }
    let verb = request
        .verb
        .as_deref()
        .map(|verb| cut(verb, PIECE).to_owned());
    let resource = resource(request).map(|resource| cut(&resource, PIECE).to_owned());
    let words: Vec<_> = [verb, resource, object(request)]
        .into_iter()
        .flatten()
        .collect();
    words.join(" ")
}

/// `resource` or `resource/subresource`; the path where there is no resource.
pub(super) fn resource(request: &Request) -> Option<Cow<'_, str>> {
    match (&request.resource, &request.subresource) {
        (Some(resource), Some(subresource)) => Some(format!("{resource}/{subresource}").into()),
        (Some(resource), None) => Some(resource.into()),
        (None, _) => {
            let uri = request.uri.as_deref()?;
            Some(uri.split('?').next().unwrap_or(uri).into())
        }
    }
}

/// `namespace/name`, or what there is of it.
pub(super) fn object(request: &Request) -> Option<String> {
    match (request.namespace.as_deref(), request.name.as_deref()) {
        (Some(namespace), Some(name)) => {
            Some(format!("{}/{}", cut(namespace, PIECE), cut(name, PIECE)))
        }
        (Some(namespace), None) => Some(format!("in {}", cut(namespace, PIECE))),
        (None, Some(name)) => Some(cut(name, PIECE).to_owned()),
        (None, None) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(verb: &str, resource: &str, object: (Option<&str>, Option<&str>)) -> Request {
        let (resource, subresource) = match resource.split_once('/') {
            Some((resource, subresource)) => (resource, Some(subresource.into())),
            None => (resource, None),
        };
        Request {
            verb: Some(verb.into()),
            resource: Some(resource.into()),
            subresource,
            namespace: object.0.map(Into::into),
            name: object.1.map(Into::into),
            ..Request::default()
        }
    }

    #[test]
    fn says_what_was_done() {
        let (ns, pod) = (Some("honeypot"), Some("file-backup"));
        let cases = [
            (
                request("list", "namespaces", (None, None)),
                "list namespaces",
            ),
            (
                request("list", "secrets", (ns, None)),
                "list secrets in honeypot",
            ),
            (
                request("get", "secrets", (ns, Some("t"))),
                "get secrets honeypot/t",
            ),
            (
                request("create", "pods/exec", (ns, pod)),
                "exec in pod honeypot/file-backup",
            ),
            (
                request("get", "pods/log", (ns, pod)),
                "get pods/log honeypot/file-backup",
            ),
            (Request::default(), ""),
        ];
        for (request, words) in cases {
            assert_eq!(act(&request), words);
        }
    }

    #[test]
    fn where_there_is_no_resource_the_path_stands_for_it() {
        let request = Request {
            verb: Some("get".into()),
            uri: Some("/version?timeout=32s".into()),
            ..Request::default()
        };
        assert_eq!(act(&request), "get /version");
    }

    #[test]
    fn long_pieces_are_cut() {
        let long = "x".repeat(10_000);
        let words = act(&request(&long, &long, (Some(&long), Some(&long))));
        assert!(words.len() <= 4 * PIECE + 3);
    }
}
