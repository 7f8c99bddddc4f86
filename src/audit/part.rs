//! Whether one event holds no more than some of the fields of another.

use jiff::Timestamp;

use super::{event::Event, time::parse_time};

impl Event<'_> {
    /// Whether `whole` tells all that this tells of who did what. Bodies are not compared.
    pub fn is_part_of(&self, whole: &Self) -> bool {
        let texts = [
            (self.audit_id, whole.audit_id),
            (self.stage, whole.stage),
            (self.request_uri, whole.request_uri),
            (self.verb, whole.verb),
            (self.user.username, whole.user.username),
            (self.user.uid, whole.user.uid),
            (self.user.credential_id, whole.user.credential_id),
            (self.user.pod_name, whole.user.pod_name),
            (self.user.node_name, whole.user.node_name),
            (self.impersonated, whole.impersonated),
            (self.user_agent, whole.user_agent),
            (self.object.resource, whole.object.resource),
            (self.object.subresource, whole.object.subresource),
            (self.object.namespace, whole.object.namespace),
            (self.object.name, whole.object.name),
            (self.object.api_group, whole.object.api_group),
            (self.message, whole.message),
            (self.annotations.decision, whole.annotations.decision),
            (
                self.annotations.issued_credential_id,
                whole.annotations.issued_credential_id,
            ),
            (
                self.annotations.legacy_token,
                whole.annotations.legacy_token,
            ),
            (
                self.annotations.legacy_secret,
                whole.annotations.legacy_secret,
            ),
        ];
        texts
            .iter()
            .all(|(part, whole)| part.is_none() || part == whole)
            && (self.code.is_none() || self.code == whole.code)
            && (self.source_ips.is_empty() || self.source_ips == whole.source_ips)
            && (self.user.groups.is_empty() || self.user.groups == whole.user.groups)
    }

    pub fn has_body(&self) -> bool {
        self.request_object.is_some() || self.response_object.is_some()
    }

    /// Whether both tell the same time: to the microsecond the server alone knows it, so that no client can have written it.
    /// `None` if they tell none of the same stage, or if this tells it to the millisecond at most, as some stores do.
    pub fn shares_time_with(&self, whole: &Self) -> Option<bool> {
        let pairs = [
            (self.received, whole.received),
            (self.stage_time, whole.stage_time),
        ];
        pairs
            .into_iter()
            .filter_map(|(part, whole)| is_same(parse_time(part?)?, parse_time(whole?)?))
            .min()
    }

    /// Whether it tells a time that no client can guess.
    pub fn is_finely_timed(&self) -> bool {
        let times = [self.received, self.stage_time];
        times.into_iter().flatten().any(tells_time_finely)
    }
}

/// Whether `text` is a time that is finer than to the millisecond. A client can name all milliseconds in which its request may come.
pub(crate) fn tells_time_finely(text: &str) -> bool {
    parse_time(text).is_some_and(|time| time.as_microsecond() % 1_000 != 0)
}

fn is_same(part: Timestamp, whole: Timestamp) -> Option<bool> {
    (!may_be_cut_from(part, whole)).then_some(part.as_microsecond() == whole.as_microsecond())
}

/// Whether `part` is `whole` to the millisecond, or to the second, as some stores keep times.
pub(crate) fn may_be_cut_from(part: Timestamp, whole: Timestamp) -> bool {
    let (part, whole) = (part.as_microsecond(), whole.as_microsecond());
    let is_cut_to = |unit: i64| part % unit == 0 && part == whole - whole.rem_euclid(unit);
    is_cut_to(1_000_000) || is_cut_to(1_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(received: Option<&'static str>, stage_time: Option<&'static str>) -> Event<'static> {
        Event {
            received,
            stage_time,
            ..Event::default()
        }
    }

    #[test]
    fn a_time_is_shared_if_it_is_known_to_the_microsecond() {
        let whole = at(
            Some("2026-11-23T17:21:08.912184Z"),
            Some("2026-11-23T17:21:08.914002Z"),
        );
        for (received, stage_time, shared) in [
            (Some("2026-11-23T17:21:08.912184Z"), None, Some(true)),
            (None, Some("2026-11-23 17:21:08.914002"), Some(true)),
            (Some("2026-11-23T17:21:08.912Z"), None, None),
            (Some("2026-11-23T17:21:08Z"), None, None),
            (Some("2026-11-23T17:21:08.911Z"), None, Some(false)),
            (Some("2026-11-23T17:21:08.912185Z"), None, Some(false)),
            (
                Some("2026-11-23T17:21:08.912184Z"),
                Some("2026-11-23T17:21:08.914003Z"),
                Some(false),
            ),
            (Some("yesterday"), None, None),
            (None, None, None),
        ] {
            let part = at(received, stage_time);
            assert_eq!(
                part.shares_time_with(&whole),
                shared,
                "{received:?} {stage_time:?}"
            );
        }
    }

    #[test]
    fn what_the_whole_does_not_tell_is_no_part_of_it() {
        let whole = Event {
            verb: Some("get"),
            code: Some(200),
            ..Event::default()
        };
        assert!(Event::default().is_part_of(&whole));
        assert!(whole.is_part_of(&whole));
        assert!(!whole.is_part_of(&Event::default()));
        let other = Event {
            verb: Some("list"),
            ..Event::default()
        };
        assert!(!other.is_part_of(&whole));
    }
}
