//! What an incident is known by.

use std::sync::Arc;

use jiff::Timestamp;

use super::Field;
use crate::{
    audit::{IncidentId, IncidentKey, wire_time},
    detect::{Detection, Technique},
};

/// The key that `detection` is grouped by.
///
/// With the default fields it is the detection's own: a hash of cluster, decoy, token and
/// source address. Otherwise it is a hash of cluster, decoy and, for each of `fields` in the
/// order of declaration, its name and its value:
///
/// | field | value |
/// | --- | --- |
/// | `token` | the token's id |
/// | `source_ip` | the address that could not be forged |
/// | `username` | the authenticated user |
/// | `user_agent` | as the client sent it, cut |
/// | `technique` | that of the request's first event to arrive |
///
/// What is unknown is a value of its own. A record that could not be decoded has none of
/// these: it keeps its own key, the decoy and the source it came by.
pub(crate) fn incident_key(fields: &[Field], detection: &Detection) -> IncidentKey {
    let fields = Field::ALL.iter().filter(|field| fields.contains(field));
    let is_own = fields.clone().eq(&[Field::Token, Field::SourceIp]);
    if is_own || detection.technique == Technique::Undecodable {
        return detection.incident_key;
    }
    let cluster = detection.cluster.as_deref().unwrap_or_default();
    let decoy = detection.decoy.as_deref().unwrap_or_default();
    let mut parts: Vec<&[u8]> = vec![cluster.as_bytes(), decoy.as_bytes()];
    for field in fields {
        parts.push(field.as_str().as_bytes());
        match value(*field, detection) {
            Some(value) => parts.extend([b"known".as_slice(), value.as_bytes()]),
            None => parts.push(b"unknown"),
        }
    }
    IncidentKey::of(&parts)
}

fn value(field: Field, detection: &Detection) -> Option<&str> {
    match field {
        Field::Token => detection.token.id.as_deref(),
        Field::SourceIp => detection.source_ip.as_deref(),
        Field::Username => detection.actor.username.as_deref(),
        Field::UserAgent => detection.user_agent.as_deref(),
        Field::Technique => Some(detection.technique.as_str()),
    }
}

/// The key of the flood of `decoy`.
pub(super) fn flood_key(cluster: Option<&Arc<str>>, decoy: &str) -> IncidentKey {
    let cluster = cluster.map_or("", |cluster| cluster);
    IncidentKey::of(&[cluster.as_bytes(), decoy.as_bytes(), b"flood"])
}

/// The id of the incident of `key` whose first hit to arrive happened at `time`.
pub(super) fn incident_id(key: IncidentKey, time: Timestamp) -> IncidentId {
    IncidentId::of(&[&key.to_bytes(), wire_time(time).as_bytes()])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dedupe::tests::stream::hit;

    #[test]
    fn default_fields_in_any_order_keep_the_detections_own_key() {
        let detection = hit("r", 0);
        for fields in [
            [Field::Token, Field::SourceIp],
            [Field::SourceIp, Field::Token],
        ] {
            assert_eq!(incident_key(&fields, &detection), detection.incident_key);
        }
    }

    #[test]
    fn other_fields_group_by_their_values_alone() {
        let detection = hit("r", 0);
        let mut elsewhere = detection.clone();
        elsewhere.source_ip = Some("192.0.2.9".into());
        elsewhere.incident_key = IncidentKey::of(&[b"elsewhere"]);
        let by_user = |detection| incident_key(&[Field::Username], detection);
        assert_eq!(by_user(&detection), by_user(&elsewhere));

        let mut other = detection.clone();
        Arc::make_mut(&mut other.actor).username = Some("other".to_owned());
        assert_ne!(by_user(&detection), by_user(&other));

        let mut decoy = detection.clone();
        decoy.decoy = Some(Arc::from("honeypot/other"));
        assert_ne!(by_user(&detection), by_user(&decoy));
    }

    #[test]
    fn unknown_is_no_empty_string() {
        let mut unknown = hit("r", 0);
        unknown.user_agent = None;
        let mut empty = unknown.clone();
        empty.user_agent = Some("".into());
        let fields = [Field::UserAgent];
        assert_ne!(
            incident_key(&fields, &unknown),
            incident_key(&fields, &empty)
        );
    }

    #[test]
    fn what_cannot_be_decoded_keeps_its_own_key() {
        let mut detection = hit("r", 0);
        detection.technique = Technique::Undecodable;
        assert_eq!(
            incident_key(&[Field::Username], &detection),
            detection.incident_key
        );
    }
}
