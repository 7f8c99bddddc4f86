//! Detections for tests, and a machine that keeps what it told.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use crate::{
    audit::{DetectionId, IncidentKey, RequestId},
    dedupe::{Alert, AlertKind, Config, Dedupe},
    detect::{Actor, Class, Detection, Origin, Request, Technique, Token, TokenKind, Tool},
};

/// A point in time, in seconds from when the tests begin.
pub(in crate::dedupe) fn at(second: i64) -> Timestamp {
    at_micros(second * 1_000_000)
}

/// The same in microseconds.
pub(in crate::dedupe) fn at_micros(micros: i64) -> Timestamp {
    Timestamp::UNIX_EPOCH
        + SignedDuration::from_secs(1_795_000_000)
        + SignedDuration::from_micros(micros)
}

/// The only event of request `name`, made at `second` with the decoy's token from 10.0.3.7.
pub(in crate::dedupe) fn hit(name: &str, second: i64) -> Detection {
    let token = Token {
        kind: TokenKind::Bound,
        id: Some("JTI=1".to_owned()),
    };
    let detection = Detection {
        detection_id: DetectionId::of(&[name.as_bytes()]),
        request_id: RequestId::of(&[name.as_bytes()]),
        incident_key: IncidentKey::of(&[]),
        class: Class::Detect,
        technique: Technique::TokenUse,
        severity: Technique::TokenUse.severity(),
        decoy: Some(Arc::from("honeypot/backup-sa")),
        cluster: None,
        time: at(second),
        stage_time: None,
        actor: Actor {
            username: Some("system:serviceaccount:honeypot:backup-sa".to_owned()),
            ..Actor::default()
        }
        .into(),
        token,
        source_ip: None,
        claimed_ips: Vec::new(),
        user_agent: Some("curl/8.5.0".into()),
        tool: Tool::Curl,
        issued_credential_id: None,
        request: Request {
            verb: Some("list".into()),
            resource: Some("namespaces".into()),
            ..Request::default()
        },
        granted: false,
        excerpt: None,
        origin: Origin::default(),
        labels: Arc::default(),
    };
    from(detection, "10.0.3.7")
}

/// The same from another address.
pub(in crate::dedupe) fn from(mut detection: Detection, source_ip: &str) -> Detection {
    detection.source_ip = Some(source_ip.into());
    keyed(detection)
}

/// The same as another technique.
pub(in crate::dedupe) fn of(mut detection: Detection, technique: Technique) -> Detection {
    detection.technique = technique;
    detection.severity = technique.severity();
    detection
}

/// The same at a stage that knows the code.
pub(in crate::dedupe) fn answered(mut detection: Detection, code: u16) -> Detection {
    detection.request.code = Some(code);
    detection
}

/// The actor of `detection`, to be changed.
pub(in crate::dedupe) fn actor_of(detection: &mut Detection) -> &mut Actor {
    Arc::make_mut(&mut detection.actor)
}

/// The same by another user, who is the token's stand-in.
pub(in crate::dedupe) fn by(mut detection: Detection, user: &str) -> Detection {
    actor_of(&mut detection).username = Some(user.to_owned());
    detection.token = Token {
        kind: TokenKind::Other,
        id: Some(user.to_owned()),
    };
    keyed(detection)
}

/// With the key that belongs to it.
pub(in crate::dedupe) fn keyed(mut detection: Detection) -> Detection {
    let token = detection.token.id.as_deref().unwrap_or_default();
    let source_ip = detection.source_ip.as_deref().unwrap_or_default();
    let decoy = detection.decoy.as_deref().unwrap_or_default();
    detection.incident_key =
        IncidentKey::of(&[decoy.as_bytes(), token.as_bytes(), source_ip.as_bytes()]);
    detection
}

/// A machine, and what it told.
pub(in crate::dedupe) struct Told {
    pub(in crate::dedupe) machine: Dedupe,
    pub(in crate::dedupe) alerts: Vec<Alert>,
}

impl Told {
    pub(in crate::dedupe) fn new(config: Config) -> Self {
        Self {
            machine: Dedupe::new(config),
            alerts: Vec::new(),
        }
    }

    /// Applies `detection` when it happens, and gives what that told.
    pub(in crate::dedupe) fn apply(&mut self, detection: &Detection) -> Vec<Alert> {
        self.apply_at(detection, detection.time)
    }

    pub(in crate::dedupe) fn apply_at(
        &mut self,
        detection: &Detection,
        now: Timestamp,
    ) -> Vec<Alert> {
        self.told(|machine, out| machine.apply(detection, now, out))
    }

    pub(in crate::dedupe) fn tick(&mut self, second: i64) -> Vec<Alert> {
        self.told(|machine, out| machine.tick(at(second), out))
    }

    pub(in crate::dedupe) fn drain(&mut self, second: i64) -> Vec<Alert> {
        self.told(|machine, out| machine.drain(at(second), out))
    }

    /// Ticks whenever the machine asks for it, up to `second`.
    pub(in crate::dedupe) fn run_to(&mut self, second: i64) -> Vec<Alert> {
        let before = self.alerts.len();
        while let Some(next) = self.machine.next_tick().filter(|next| *next <= at(second)) {
            self.told(|machine, out| machine.tick(next, out));
            assert_ne!(
                self.machine.next_tick(),
                Some(next),
                "a tick that did nothing"
            );
        }
        self.alerts[before..].to_vec()
    }

    fn told(&mut self, act: impl FnOnce(&mut Dedupe, &mut Vec<Alert>)) -> Vec<Alert> {
        let mut out = Vec::new();
        act(&mut self.machine, &mut out);
        self.alerts.extend(out.iter().cloned());
        out
    }
}

/// Kind and count of each.
pub(in crate::dedupe) fn kinds(alerts: &[Alert]) -> Vec<(AlertKind, u64)> {
    alerts
        .iter()
        .map(|alert| (alert.kind, alert.count))
        .collect()
}
