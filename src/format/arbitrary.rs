//! Any alert and any detection, for property tests.

use std::{collections::BTreeMap, fmt::Debug, sync::Arc};

use jiff::Timestamp;
use proptest::{collection::btree_map, collection::vec, option, prelude::*, sample::select};

use crate::{
    audit::{AlertId, DetectionId, IncidentId, IncidentKey, RequestId},
    dedupe::{
        Alert, AlertKind, Component, ComponentKind, Flood, RequestCount, SourceCount, TrailEntry,
    },
    detect::{
        Actor, Class, Detection, Origin, Request, Severity, Technique, Token, TokenKind, Tool,
    },
};

/// Text of any characters, those that act on a reader among them, and never empty: what is unknown is none. Boxed: strategies with many
/// fields else grow too large for the stack.
fn text() -> BoxedStrategy<String> {
    prop_oneof![
        "[a-z0-9:/.-]{1,12}",
        (any::<char>(), any::<String>()).prop_map(|(first, rest)| format!("{first}{rest}")),
        "[\u{0}-\u{1f}\"\\\\\u{7f}-\u{ad}\u{2028}-\u{202e}\u{feff}\u{e0000}-\u{10ffff}]{1,9}",
    ]
    .boxed()
}

fn name() -> BoxedStrategy<Arc<str>> {
    text().prop_map(Arc::from).boxed()
}

fn maybe<T: From<String> + Debug + 'static>() -> BoxedStrategy<Option<T>> {
    option::of(text().prop_map(T::from)).boxed()
}

fn texts() -> BoxedStrategy<Vec<String>> {
    vec(text(), 0..4).boxed()
}

/// Any time there is, to the microsecond.
fn time() -> impl Strategy<Value = Timestamp> {
    let range = Timestamp::MIN.as_microsecond()..=Timestamp::MAX.as_microsecond();
    range.prop_map(|time| Timestamp::from_microsecond(time).expect("it is in range"))
}

fn word<T: Clone + Debug + 'static>(all: &'static [T]) -> impl Strategy<Value = T> {
    select(all)
}

fn labels() -> impl Strategy<Value = Arc<BTreeMap<String, String>>> {
    btree_map(text(), text(), 0..4).prop_map(Arc::new)
}

prop_compose! {
    fn token()(kind in word(TokenKind::ALL), id in maybe()) -> Token {
        Token { kind, id }
    }
}

prop_compose! {
    fn actor()(
        username in maybe(),
        uid in maybe(),
        groups in texts(),
        impersonated in maybe(),
        credential_id in maybe(),
        pod in maybe(),
        node in maybe(),
    ) -> Actor {
        Actor { username, uid, groups, impersonated, credential_id, pod, node }
    }
}

prop_compose! {
    fn request()(
        [audit_id, stage, verb, uri, resource] in [maybe(), maybe(), maybe(), maybe(), maybe()],
        [subresource, namespace, name, decision] in [maybe(), maybe(), maybe(), maybe()],
        code in any::<Option<u16>>(),
    ) -> Request {
        Request {
            audit_id, stage, verb, uri, resource, subresource, namespace, name, code, decision,
        }
    }
}

prop_compose! {
    fn request_count()(
        verb in maybe(),
        resource in maybe(),
        code in any::<Option<u16>>(),
        count in any::<u64>(),
    ) -> RequestCount {
        RequestCount { verb, resource, code, count }
    }
}

prop_compose! {
    fn trail_entry()(
        time in time(),
        technique in word(Technique::ALL),
        class in word(Class::ALL),
        actor in maybe(),
        source_ip in maybe(),
        summary in text(),
    ) -> TrailEntry {
        TrailEntry { time, technique, class, actor, source_ip, summary }
    }
}

prop_compose! {
    fn component()(id in name(), kind in word(ComponentKind::ALL), r#type in name()) -> Component {
        Component { id, kind, r#type }
    }
}

prop_compose! {
    fn flood()(
        incidents in any::<u64>(),
        top_sources in vec(
            (maybe(), any::<u64>()).prop_map(|(source_ip, count)| SourceCount { source_ip, count }),
            0..3,
        ),
    ) -> Flood {
        Flood { incidents, top_sources }
    }
}

prop_compose! {
    /// What a wrapper tells.
    fn wrapped()(
        [cluster, node, pod, namespace] in [maybe(), maybe(), maybe(), maybe()],
        [container, project, account] in [maybe(), maybe(), maybe()],
        [region, log_group, log_stream] in [maybe(), maybe(), maybe()],
        time in option::of(time()),
    ) -> Origin {
        Origin {
            cluster, node, pod, namespace, container, project, account, region, log_group,
            log_stream, time, ..Origin::default()
        }
    }
}

prop_compose! {
    pub(crate) fn detection()(
        ids in any::<[u8; 3]>(),
        (class, technique, severity) in
            (word(Class::ALL), word(Technique::ALL), word(Severity::ALL)),
        (decoy, cluster) in (name(), option::of(name())),
        has_decoy in any::<bool>(),
        (time, stage_time) in (time(), option::of(time())),
        (actor, token, request) in (actor(), token(), request()),
        (source_ip, claimed_ips) in (maybe(), texts()),
        (user_agent, tool) in (option::of(name()), word(Tool::ALL)),
        (issued_credential_id, excerpt) in (maybe(), maybe()),
        granted in any::<bool>(),
        (source, position, key) in (name(), maybe(), maybe()),
        (headers, wrapped) in (labels(), wrapped()),
        labels in labels(),
    ) -> Detection {
        Detection {
            detection_id: DetectionId::of(&[&ids[..1]]),
            request_id: RequestId::of(&[&ids[1..2]]),
            incident_key: IncidentKey::of(&[&ids[2..]]),
            class, technique, severity, cluster, time, stage_time,
            decoy: (has_decoy || class != Class::Record).then_some(decoy),
            actor: actor.into(), token,
            source_ip, claimed_ips, user_agent, tool, issued_credential_id, request, granted,
            excerpt,
            origin: Origin { source, position, key, headers: (*headers).clone(), ..wrapped },
            labels,
        }
    }
}

prop_compose! {
    pub(crate) fn alert()(
        ids in any::<[u8; 3]>(),
        (sequence, kind, severity) in
            (any::<u32>(), word(AlertKind::ALL), word(Severity::ALL)),
        (title, decoy, cluster) in (text(), option::of(name()), option::of(name())),
        (token, source_ip, claimed_ips) in (option::of(token()), maybe(), texts()),
        (techniques, tools) in
            (vec(word(Technique::ALL), 0..4), vec(word(Tool::ALL), 0..4)),
        (count, total, granted) in any::<(u64, u64, bool)>(),
        (first_seen, last_seen) in (time(), time()),
        [actors, impersonated, user_agents] in [texts(), texts(), texts()],
        [pod, node, excerpt] in [maybe(), maybe(), maybe()],
        (requests, trail) in (vec(request_count(), 0..3), vec(trail_entry(), 0..3)),
        (flood, late_secs) in (option::of(flood()), any::<Option<u64>>()),
        (labels, component) in (labels(), option::of(component())),
    ) -> Alert {
        Alert {
            alert_id: AlertId::of(&[&ids[..1]]),
            incident_id: IncidentId::of(&[&ids[1..2]]),
            incident_key: IncidentKey::of(&[&ids[2..]]),
            sequence, kind, severity, title, decoy, cluster, token, source_ip, claimed_ips,
            techniques, count, total, granted, first_seen, last_seen, actors, impersonated,
            pod, node, user_agents, tools, requests, trail, flood, late_secs, excerpt, labels,
            component,
        }
    }
}
