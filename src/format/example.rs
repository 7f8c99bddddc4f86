//! Alerts and detections for tests: one theft, told at each of its turns.

use std::{collections::BTreeMap, sync::Arc};

use jiff::Timestamp;

use crate::{
    audit::{AlertId, DetectionId, IncidentId, IncidentKey, RequestId},
    dedupe::{
        Alert, AlertKind, Component, ComponentKind, Flood, RequestCount, SourceCount, TrailEntry,
    },
    detect::{
        Actor, Class, Detection, Origin, Request, Severity, Technique, Token, TokenKind, Tool,
    },
};

/// Text as an attacker writes it: every kind of markup, control and disguise.
pub(crate) const HOSTILE: &str = "<!channel> <https://evil.example|click> *b* `c` @here\r\nseverity low\x1b[31m\u{9b}2J\u{202e}exe\u{200b}\u{2028}";

pub(crate) fn time(text: &str) -> Timestamp {
    text.parse().expect("a test's own timestamp")
}

fn strings(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| text.to_string()).collect()
}

fn request(verb: &str, resource: &str, code: u16, count: u64) -> RequestCount {
    RequestCount {
        verb: Some(verb.into()),
        resource: Some(resource.into()),
        code: Some(code),
        count,
    }
}

fn labels() -> Arc<BTreeMap<String, String>> {
    Arc::new(BTreeMap::from([
        ("owner".into(), "secops".into()),
        (
            "runbook".into(),
            "https://wiki.example/runbooks/decoy".into(),
        ),
    ]))
}

/// The first hit: a token stolen from a pod is tried from outside.
pub(crate) fn opened() -> Alert {
    Alert {
        alert_id: AlertId::of(&[b"alert"]),
        incident_id: IncidentId::of(&[b"incident"]),
        incident_key: IncidentKey::of(&[b"key"]),
        sequence: 1,
        kind: AlertKind::Opened,
        severity: Severity::Critical,
        title: "The stolen token of honeypot/backup-sa was used from 10.0.3.7".into(),
        decoy: Some("honeypot/backup-sa".into()),
        cluster: Some("prod-eu".into()),
        token: Some(Token {
            kind: TokenKind::Bound,
            id: Some("JTI=8b3f0f9e-1a52-4c3b-9a51-6a4d2f0f7c11".into()),
        }),
        source_ip: Some("10.0.3.7".into()),
        claimed_ips: strings(&["8.8.8.8", "1.1.1.1"]),
        techniques: vec![Technique::TokenUse],
        count: 1,
        total: 1,
        granted: false,
        first_seen: time("2026-11-23T17:21:08.912184Z"),
        last_seen: time("2026-11-23T17:21:08.912184Z"),
        actors: strings(&["system:serviceaccount:honeypot:backup-sa"]),
        impersonated: vec![],
        pod: Some("file-backup".into()),
        node: Some("node-1".into()),
        user_agents: strings(&["curl/8.5.0"]),
        tools: vec![Tool::Curl],
        requests: vec![request("list", "namespaces", 403, 1)],
        trail: vec![
            TrailEntry {
                time: time("2026-11-23T17:19:40.1Z"),
                technique: Technique::TokenRequest,
                class: Class::Expected,
                actor: Some("system:node:node-1".into()),
                source_ip: Some("10.0.0.11".into()),
                summary: "minted this token for pod file-backup".into(),
            },
            TrailEntry {
                time: time("2026-11-23T17:20:51.25Z"),
                technique: Technique::PodExec,
                class: Class::Detect,
                actor: Some("jane@example.com".into()),
                source_ip: Some("10.0.3.7".into()),
                summary: "exec in pod file-backup: cat /opt/backup/token".into(),
            },
        ],
        flood: None,
        late_secs: None,
        excerpt: None,
        labels: labels(),
        component: None,
    }
}

/// The same token then gets something.
pub(crate) fn escalated() -> Alert {
    Alert {
        sequence: 2,
        kind: AlertKind::Escalated,
        title: "The stolen token of honeypot/backup-sa was granted access from 10.0.3.7".into(),
        techniques: vec![Technique::TokenUse, Technique::Impersonation],
        count: 4,
        total: 5,
        granted: true,
        last_seen: time("2026-11-23T17:21:55.5Z"),
        impersonated: strings(&["system:admin"]),
        user_agents: strings(&[
            "curl/8.5.0",
            "kubectl/v1.37.2 (linux/amd64) kubernetes/24a394e",
        ]),
        tools: vec![Tool::Curl, Tool::Kubectl],
        requests: vec![
            request("list", "namespaces", 403, 3),
            request("get", "secrets", 200, 1),
            RequestCount {
                verb: Some("get".into()),
                resource: Some("/version".into()),
                code: None,
                count: 1,
            },
        ],
        ..opened()
    }
}

/// It goes on, and the log comes late.
pub(crate) fn digest() -> Alert {
    Alert {
        sequence: 3,
        kind: AlertKind::Digest,
        title: "The stolen token of honeypot/backup-sa is still in use from 10.0.3.7".into(),
        count: 1_204,
        total: 1_209,
        last_seen: time("2026-11-23T18:22:10Z"),
        late_secs: Some(754),
        requests: vec![
            request("list", "namespaces", 403, 1_207),
            request("get", "secrets", 200, 1),
        ],
        trail: vec![],
        ..escalated()
    }
}

/// It fell quiet.
pub(crate) fn closed() -> Alert {
    Alert {
        sequence: 4,
        kind: AlertKind::Closed,
        title: "The stolen token of honeypot/backup-sa has been quiet for 15 minutes".into(),
        count: 0,
        late_secs: None,
        ..digest()
    }
}

/// Many addresses at once.
pub(crate) fn flood() -> Alert {
    let source = |address: &str, count| SourceCount {
        source_ip: Some(address.into()),
        count,
    };
    Alert {
        kind: AlertKind::Digest,
        title: "The token of honeypot/backup-sa is used from very many addresses".into(),
        token: None,
        source_ip: None,
        claimed_ips: vec![],
        pod: None,
        node: None,
        count: 41_873,
        total: 104_211,
        trail: vec![],
        flood: Some(Flood {
            incidents: 98_304,
            top_sources: vec![source("203.0.113.9", 4_100), source("2001:db8::17", 212)],
        }),
        ..opened()
    }
}

/// A record that names the decoy and was cut off.
pub(crate) fn undecodable() -> Alert {
    Alert {
        severity: Severity::High,
        title: "A record that names honeypot/backup-sa could not be decoded".into(),
        cluster: None,
        token: Some(Token {
            kind: TokenKind::Other,
            id: None,
        }),
        source_ip: None,
        claimed_ips: vec![],
        techniques: vec![Technique::Undecodable],
        actors: vec![],
        pod: None,
        node: None,
        user_agents: vec![],
        tools: vec![Tool::Unknown],
        requests: vec![RequestCount {
            verb: None,
            resource: None,
            code: None,
            count: 1,
        }],
        trail: vec![],
        excerpt: Some(format!(
            "{{\"kind\":\"Event\",\"user\":{{\"username\":\"system:serviceaccount:honeypot:backup-sa\"}},\"userAgent\":\"{HOSTILE}{}",
            "a".repeat(900)
        )),
        labels: Arc::default(),
        ..opened()
    }
}

/// A source that is silent.
pub(crate) fn silent() -> Alert {
    Alert {
        kind: AlertKind::SourceSilent,
        severity: Severity::High,
        title: "No audit events from source audit for 5 min: nothing would be seen".into(),
        decoy: None,
        token: None,
        source_ip: None,
        claimed_ips: vec![],
        techniques: vec![],
        count: 0,
        total: 0,
        last_seen: time("2026-11-23T17:26:08.912184Z"),
        actors: vec![],
        pod: None,
        node: None,
        user_agents: vec![],
        tools: vec![],
        requests: vec![],
        trail: vec![],
        labels: Arc::default(),
        component: Some(Component {
            id: "audit".into(),
            kind: ComponentKind::Source,
            r#type: "file".into(),
        }),
        ..opened()
    }
}

/// A sink that works again.
pub(crate) fn recovered() -> Alert {
    Alert {
        sequence: 2,
        kind: AlertKind::SinkRecovered,
        title: "Sink slack delivers again, after 5 min".into(),
        component: Some(Component {
            id: "slack".into(),
            kind: ComponentKind::Sink,
            r#type: "slack".into(),
        }),
        ..silent()
    }
}

/// As [`escalated`], but wherever the attacker has a say there stands `text`.
pub(crate) fn hostile(text: &str) -> Alert {
    let some = || Some(text.to_string());
    let many = || vec![text.to_string(); 30];
    let trail = TrailEntry {
        actor: some(),
        source_ip: some(),
        summary: text.into(),
        ..opened().trail[0].clone()
    };
    Alert {
        title: text.into(),
        cluster: Some(text.into()),
        token: Some(Token {
            kind: TokenKind::Other,
            id: some(),
        }),
        source_ip: some(),
        claimed_ips: many(),
        actors: many(),
        impersonated: many(),
        pod: some(),
        node: some(),
        user_agents: many(),
        requests: vec![
            RequestCount {
                verb: some(),
                resource: some(),
                code: Some(403),
                count: 1
            };
            30
        ],
        trail: vec![trail; 30],
        flood: Some(Flood {
            incidents: 2,
            top_sources: vec![
                SourceCount {
                    source_ip: some(),
                    count: 1
                };
                30
            ],
        }),
        techniques: Technique::ALL.to_vec(),
        tools: Tool::ALL.to_vec(),
        late_secs: Some(u64::MAX),
        excerpt: some(),
        ..escalated()
    }
}

/// One audit event of the theft.
pub(crate) fn detection() -> Detection {
    Detection {
        detection_id: DetectionId::of(&[b"detection"]),
        request_id: RequestId::of(&[b"request"]),
        incident_key: IncidentKey::of(&[b"key"]),
        class: Class::Detect,
        technique: Technique::TokenUse,
        severity: Severity::Critical,
        decoy: Some("honeypot/backup-sa".into()),
        cluster: Some("prod-eu".into()),
        time: time("2026-11-23T17:21:08.912184Z"),
        stage_time: Some(time("2026-11-23T17:21:08.914002Z")),
        actor: Actor {
            username: Some("system:serviceaccount:honeypot:backup-sa".into()),
            uid: Some("5f1c".into()),
            groups: strings(&["system:serviceaccounts", "system:authenticated"]),
            impersonated: None,
            credential_id: Some("JTI=8b3f0f9e-1a52-4c3b-9a51-6a4d2f0f7c11".into()),
            pod: Some("file-backup".into()),
            node: Some("node-1".into()),
        }
        .into(),
        token: opened().token.expect("the opened alert has a token"),
        source_ip: Some("10.0.3.7".into()),
        claimed_ips: strings(&["8.8.8.8"]),
        user_agent: Some("curl/8.5.0".into()),
        tool: Tool::Curl,
        issued_credential_id: None,
        request: Request {
            audit_id: Some("a3c1".into()),
            stage: Some("ResponseComplete".into()),
            verb: Some("list".into()),
            uri: Some("/api/v1/namespaces".into()),
            resource: Some("namespaces".into()),
            subresource: None,
            namespace: None,
            name: None,
            code: Some(403),
            decision: Some("forbid".into()),
        },
        granted: false,
        excerpt: None,
        origin: Origin {
            source: "audit".into(),
            position: Some("/var/log/audit.log:1048576".into()),
            ..Origin::default()
        },
        labels: labels(),
    }
}

/// As [`detection`], but wherever the attacker has a say there stands `text`.
pub(crate) fn hostile_detection(text: &str) -> Detection {
    fn some<T: for<'t> From<&'t str>>(text: &str) -> Option<T> {
        Some(text.into())
    }
    let many = || vec![text.to_string(); 30];
    let before = detection();
    Detection {
        actor: Actor {
            username: some(text),
            uid: some(text),
            groups: many(),
            impersonated: some(text),
            credential_id: some(text),
            pod: some(text),
            node: some(text),
        }
        .into(),
        token: Token {
            kind: TokenKind::Other,
            id: some(text),
        },
        source_ip: some(text),
        claimed_ips: many(),
        user_agent: some(text),
        issued_credential_id: some(text),
        request: Request {
            audit_id: some(text),
            stage: some(text),
            verb: some(text),
            uri: some(text),
            resource: some(text),
            subresource: some(text),
            namespace: some(text),
            name: some(text),
            code: Some(403),
            decision: some(text),
        },
        excerpt: some(text),
        origin: Origin {
            source: "audit".into(),
            position: some(text),
            key: some(text),
            headers: [(text.to_string(), text.to_string())].into(),
            cluster: some(text),
            node: some(text),
            pod: some(text),
            namespace: some(text),
            container: some(text),
            project: some(text),
            account: some(text),
            region: some(text),
            log_group: some(text),
            log_stream: some(text),
            time: None,
        },
        ..before
    }
}
