//! What happened, in one sentence.

use super::{
    AlertKind, Flood,
    act::{act, object},
    text::{cut, grouped},
};
use crate::detect::{Request, Severity, Technique};

/// Longest name in a title, in characters.
const NAME: usize = 100;

/// What a title is made of. Its text is the attacker's, and is cut here.
pub(super) struct Subject<'a> {
    pub(super) technique: Technique,
    pub(super) decoy: &'a str,
    pub(super) actor: Option<&'a str>,
    pub(super) source_ip: Option<&'a str>,
    /// What made it worth telling; `None` if it was but the time.
    pub(super) request: Option<&'a Request>,
    pub(super) severity: Severity,
    pub(super) granted: bool,
    /// The request, or one of the technique, is known to have been let in.
    pub(super) was_done: bool,
    /// Hits not yet told of.
    pub(super) count: u64,
    /// All hits.
    pub(super) total: u64,
    pub(super) flood: Option<Flood>,
}

/// The title of an alert.
pub(super) fn title(kind: AlertKind, subject: &Subject<'_>) -> String {
    let what = match &subject.flood {
        Some(flood) => flood_sentence(subject, flood),
        None => sentence(subject),
    };
    match kind {
        AlertKind::Opened
        // These are of a component, never of an incident.
        | AlertKind::SourceSilent
        | AlertKind::SourceResumed
        | AlertKind::SinkFailing
        | AlertKind::SinkRecovered => what,
        AlertKind::Escalated => {
            if subject.granted {
                format!("Access granted, {}: {what}", subject.severity)
            } else {
                format!("Now {}: {what}", subject.severity)
            }
        }
        AlertKind::Digest => {
            format!(
                "{} more ({} in all): {what}",
                hits(subject.count),
                grouped(subject.total)
            )
        }
        AlertKind::Closed => format!("Quiet again after {}: {what}", hits(subject.total)),
    }
}

/// `Token of decoy honeypot/backup-sa used from 10.0.3.7: list namespaces (403)`.
fn sentence(subject: &Subject<'_>) -> String {
    let decoy = cut(subject.decoy, 2 * NAME);
    let by = subject
        .actor
        .map_or(String::new(), |actor| format!(" by {}", cut(actor, NAME)));
    // What was refused was not done, and what nothing says of may not have been.
    let done = |done, asked| if subject.was_done { done } else { asked };
    let (what, names_request) = match subject.technique {
        Technique::TokenUse => (format!("Token of decoy {decoy} used"), false),
        Technique::Impersonation => (format!("Decoy {decoy} impersonated{by}"), false),
        Technique::TokenReview => (
            format!("Token of decoy {decoy} shown to another service, reviewed{by}"),
            false,
        ),
        Technique::TokenRequest => {
            let done = done("minted", "asked for");
            (format!("Token of decoy {decoy} {done}{by}"), false)
        }
        Technique::PrivilegeGrant => {
            let done = done("bound to a role", "named for a role");
            (format!("Decoy {decoy} {done}{by}"), false)
        }
        Technique::ImpersonationDenied => {
            (format!("Refused to impersonate decoy {decoy}{by}"), false)
        }
        Technique::PodExec => {
            let done = done("entered", "knocked at");
            (format!("Pod of decoy {decoy} {done}{by}"), false)
        }
        Technique::PodAsDecoy => {
            let done = done("created", "asked for");
            (format!("Pod that uses decoy {decoy} {done}{by}"), false)
        }
        Technique::Tamper => {
            let done = done("tampered with", "attacked");
            (format!("Decoy {decoy} {done}{by}"), false)
        }
        Technique::SecretRead => {
            let done = done("read", "asked for");
            match secret(subject.request) {
                Some(secret) => (format!("Secret {secret} {done}{by}"), true),
                None => (format!("Secret of decoy {decoy} {done}{by}"), false),
            }
        }
        Technique::Undecodable => (
            format!("Record that names decoy {decoy} cannot be decoded"),
            true,
        ),
        Technique::Recon => (format!("Decoy {decoy} looked at{by}"), false),
        Technique::NamespaceTouch => (format!("Namespace of decoy {decoy} touched{by}"), false),
        Technique::ImpersonationUnnamed => (
            format!("Refused to impersonate a ServiceAccount{by}"),
            false,
        ),
    };
    let from = subject
        .source_ip
        .map_or(String::new(), |ip| format!(" from {}", cut(ip, NAME)));
    let request = subject
        .request
        .map_or(String::new(), |request| aside(request, names_request));
    format!("{what}{from}{request}")
}

/// `: list namespaces (403)`; only ` (403)` where the sentence itself says what was done.
fn aside(request: &Request, named: bool) -> String {
    let act = if named { String::new() } else { act(request) };
    let act = if act.is_empty() {
        act
    } else {
        format!(": {act}")
    };
    match request.code {
        Some(code) => format!("{act} ({code})"),
        None => act,
    }
}

/// `namespace/name` of the one Secret that was asked for.
fn secret(request: Option<&Request>) -> Option<String> {
    let request = request.filter(|request| request.resource.as_deref() == Some("secrets"))?;
    request.name.is_some().then(|| object(request)).flatten()
}

/// `Flood: about 12,345 incidents on decoy honeypot/backup-sa, heaviest source 10.0.0.1 (512 hits)`.
fn flood_sentence(subject: &Subject<'_>, flood: &Flood) -> String {
    let incidents = flood.size();
    let decoy = cut(subject.decoy, 2 * NAME);
    let heaviest = match flood.top_sources.first() {
        Some(source) => {
            let source_ip = source.source_ip.as_deref().unwrap_or("unknown");
            format!(
                ", heaviest source {} ({})",
                cut(source_ip, NAME),
                hits(source.count)
            )
        }
        None => String::new(),
    };
    format!("Flood: {incidents} on decoy {decoy}{heaviest}")
}

fn hits(count: u64) -> String {
    match count {
        1 => "1 hit".to_owned(),
        many => format!("{} hits", grouped(many)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dedupe::SourceCount;

    fn request(verb: &str, resource: &str, name: Option<&str>, code: Option<u16>) -> Request {
        Request {
            verb: Some(verb.into()),
            resource: Some(resource.into()),
            namespace: name.map(|_| "honeypot".into()),
            name: name.map(Into::into),
            code,
            ..Request::default()
        }
    }

    fn subject(technique: Technique, request: Option<&Request>) -> Subject<'_> {
        Subject {
            technique,
            decoy: "honeypot/backup-sa",
            actor: Some("jane@example.com"),
            source_ip: Some("10.0.3.7"),
            request,
            severity: technique.severity(),
            granted: false,
            was_done: request
                .and_then(|request| request.code)
                .is_some_and(|code| code < 400),
            count: 1,
            total: 1,
            flood: None,
        }
    }

    #[test]
    fn says_who_did_what_from_where() {
        let list = request("list", "namespaces", None, Some(403));
        let token = request("get", "secrets", Some("backup-sa-token"), None);
        let refused = request("get", "secrets", Some("backup-sa-token"), Some(403));
        let all = request("list", "secrets", None, Some(200));
        let mint = request("create", "serviceaccounts", Some("backup-sa"), Some(201));
        let cases = [
            (
                Technique::TokenUse,
                &list,
                "Token of decoy honeypot/backup-sa used from 10.0.3.7: list namespaces (403)",
            ),
            (
                Technique::SecretRead,
                &token,
                "Secret honeypot/backup-sa-token asked for by jane@example.com from 10.0.3.7",
            ),
            (
                Technique::SecretRead,
                &refused,
                "Secret honeypot/backup-sa-token asked for by jane@example.com from 10.0.3.7 (403)",
            ),
            (
                Technique::SecretRead,
                &all,
                "Secret of decoy honeypot/backup-sa read by jane@example.com from 10.0.3.7: list secrets (200)",
            ),
            (
                Technique::TokenRequest,
                &mint,
                "Token of decoy honeypot/backup-sa minted by jane@example.com from 10.0.3.7: create serviceaccounts honeypot/backup-sa (201)",
            ),
        ];
        for (technique, request, title_of) in cases {
            assert_eq!(
                title(AlertKind::Opened, &subject(technique, Some(request))),
                title_of
            );
        }
    }

    #[test]
    fn says_why_it_is_told_again() {
        let list = request("list", "secrets", None, Some(200));
        let mut it = subject(Technique::TokenUse, Some(&list));
        it.granted = true;
        assert_eq!(
            title(AlertKind::Escalated, &it),
            "Access granted, critical: Token of decoy honeypot/backup-sa used from 10.0.3.7: list secrets (200)"
        );
        it = Subject {
            request: None,
            count: 4,
            total: 1012,
            ..it
        };
        assert_eq!(
            title(AlertKind::Digest, &it),
            "4 hits more (1,012 in all): Token of decoy honeypot/backup-sa used from 10.0.3.7"
        );
        assert_eq!(
            title(AlertKind::Closed, &it),
            "Quiet again after 1,012 hits: Token of decoy honeypot/backup-sa used from 10.0.3.7"
        );
    }

    #[test]
    fn a_flood_is_told_by_its_size() {
        let top_sources = vec![SourceCount {
            source_ip: Some("10.0.0.1".to_owned()),
            count: 512,
        }];
        let mut it = subject(Technique::TokenUse, None);
        it.flood = Some(Flood {
            incidents: 12_345,
            top_sources,
        });
        assert_eq!(
            title(AlertKind::Opened, &it),
            "Flood: about 12,345 incidents on decoy honeypot/backup-sa, heaviest source 10.0.0.1 (512 hits)"
        );
        it.flood = Some(Flood {
            incidents: 1,
            top_sources: Vec::new(),
        });
        assert_eq!(
            title(AlertKind::Opened, &it),
            "Flood: 1 incident on decoy honeypot/backup-sa"
        );
    }

    #[test]
    fn every_technique_has_a_title_that_is_bounded() {
        let long = "x".repeat(10_000);
        let request = request(&long, &long, Some(&long), Some(200));
        for &technique in Technique::ALL {
            let it = Subject {
                actor: Some(&long),
                source_ip: Some(&long),
                decoy: &long,
                ..subject(technique, Some(&request))
            };
            for &kind in AlertKind::ALL {
                assert!((20..1000).contains(&title(kind, &it).len()));
            }
        }
    }
}
