//! An incident as an alert.

use jiff::Timestamp;

use super::{
    Alert, AlertKind,
    incident::Incident,
    requests::Known,
    title::{Subject, title},
    touch::Touch,
};
use crate::{
    audit::{AlertId, wire_time},
    detect::{Detection, Technique},
};

/// An alert that lags behind its last hit by more than this says so, in seconds.
const LATE_SECS: u64 = 60;

/// Tells of `incident` all that no alert has told. `cause`: the event that made it worth
/// telling, and what is known of its request.
pub(super) fn tell(
    incident: &mut Incident,
    kind: AlertKind,
    cause: Option<(&Detection, &Known)>,
) -> Alert {
    let count = incident.untold();
    incident.told = incident.total;
    incident.sequence += 1;
    let techniques = incident.techniques.list();
    Alert {
        alert_id: alert_id(incident, kind, count, &techniques),
        incident_id: incident.id,
        incident_key: incident.key,
        sequence: incident.sequence,
        kind,
        severity: incident.severity,
        title: title(kind, &subject(incident, count, &techniques, cause)),
        decoy: Some(incident.decoy.clone()),
        cluster: incident.cluster.clone(),
        token: incident.token.clone(),
        source_ip: incident.source_ip.clone(),
        claimed_ips: incident.claimed_ips.as_slice().to_vec(),
        techniques,
        count,
        total: incident.total,
        granted: incident.granted,
        first_seen: incident.first_seen,
        last_seen: incident.last_seen,
        actors: incident.actors.as_slice().to_vec(),
        impersonated: incident.impersonated.as_slice().to_vec(),
        pod: incident.pod.clone(),
        node: incident.node.clone(),
        user_agents: incident.user_agents.as_slice().to_vec(),
        tools: incident.tools.clone(),
        requests: incident.rows.list(),
        trail: incident.trail.iter().map(Touch::told).collect(),
        flood: incident
            .flood
            .as_ref()
            .map(|flood| flood.told(incident.total)),
        late_secs: (incident.lag_secs > LATE_SECS).then_some(incident.lag_secs),
        excerpt: incident.excerpt.clone(),
        labels: incident.labels.clone(),
        component: None,
    }
}

/// A hash of all that makes an alert this one: a replay gives the same, and another alert
/// never does, not even that of an incident which was forgotten and begins again at the same
/// time with another request. The title is left out: its wording may change with a version.
fn alert_id(incident: &Incident, kind: AlertKind, count: u64, techniques: &[Technique]) -> AlertId {
    let names: Vec<_> = techniques
        .iter()
        .map(|technique| technique.as_str())
        .collect();
    let seen = |time: Timestamp| wire_time(time).into_bytes();
    AlertId::of(&[
        &incident.id.to_bytes(),
        &incident.sequence.to_le_bytes(),
        kind.as_str().as_bytes(),
        incident.severity.as_str().as_bytes(),
        &[u8::from(incident.granted)],
        &count.to_le_bytes(),
        &incident.total.to_le_bytes(),
        names.join(" ").as_bytes(),
        &seen(incident.first_seen),
        &seen(incident.last_seen),
        &incident.first.to_bytes(),
    ])
}

fn subject<'a>(
    incident: &'a Incident,
    count: u64,
    techniques: &[Technique],
    cause: Option<(&'a Detection, &Known)>,
) -> Subject<'a> {
    let gravest = techniques
        .first()
        .copied()
        .unwrap_or(Technique::NamespaceTouch);
    Subject {
        technique: cause.map_or(gravest, |(_, request)| request.technique),
        was_done: match cause {
            Some((_, request)) => request.let_in,
            None => incident.techniques.was_done(gravest),
        },
        decoy: &incident.decoy,
        actor: match cause {
            Some((detection, _)) => detection.actor.username.as_deref(),
            None => incident.actors.as_slice().first().map(String::as_str),
        },
        source_ip: match cause {
            Some((detection, _)) => detection.source_ip.as_deref(),
            None => incident.source_ip.as_deref(),
        },
        request: cause.map(|(detection, _)| &detection.request),
        severity: incident.severity,
        granted: incident.granted,
        count,
        total: incident.total,
        flood: incident
            .flood
            .as_ref()
            .map(|flood| flood.told(incident.total)),
    }
}
