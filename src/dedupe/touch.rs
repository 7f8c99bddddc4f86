//! One touch of a decoy that may explain an incident.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{TrailEntry, act::act, encoding::positive, text::kept};
use crate::{
    audit::RequestId,
    detect::{Class, Detection, Technique},
};

/// A touch, and its repetitions by the same actor from the same address.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Touch {
    /// The first.
    pub(super) time: Timestamp,
    pub(super) technique: Technique,
    pub(super) class: Class,
    pub(super) actor: Option<String>,
    pub(super) source_ip: Option<String>,
    /// What was done, in a few words.
    what: String,
    /// Of the latest whose code is known.
    code: Option<u16>,
    /// Requests.
    #[serde(deserialize_with = "positive")]
    count: u64,
    /// The latest.
    request: RequestId,
    /// The credential that the latest minted, if any.
    pub(super) issued: Option<String>,
    /// The serial number of the incident that it was counted in, if any.
    pub(super) incident: Option<u64>,
}

impl Touch {
    /// The touch that `detection` tells of, as one of `technique` and `class`.
    pub(super) fn new(
        detection: &Detection,
        technique: Technique,
        class: Class,
        incident: Option<u64>,
    ) -> Self {
        Self {
            time: detection.time,
            technique,
            class,
            actor: detection.actor.username.as_deref().map(kept),
            source_ip: detection.source_ip.as_deref().map(kept),
            what: act(&detection.request),
            code: detection.request.code,
            count: 1,
            request: detection.request_id,
            issued: detection.issued_credential_id.as_deref().map(kept),
            incident,
        }
    }

    /// Whether the two are told as one.
    pub(super) fn repeats(&self, other: &Self) -> bool {
        self.technique == other.technique
            && self.incident == other.incident
            && self.actor == other.actor
            && self.source_ip == other.source_ip
            && self.what == other.what
    }

    /// Takes in a repetition, or, if `again` is false, another stage of a request that it holds already.
    pub(super) fn take_in(&mut self, later: Self, again: bool) {
        self.time = self.time.min(later.time);
        self.code = later.code.or(self.code);
        self.issued = later.issued.or(self.issued.take());
        self.class = self.class.max(later.class);
        self.request = later.request;
        self.count += u64::from(again);
    }

    /// Whether it is (the latest repetition made by) `request`.
    pub(super) fn is_of(&self, request: RequestId) -> bool {
        self.request == request
    }

    /// Gives up one repetition; false if it was the only one.
    pub(super) fn give_up_one(&mut self) -> bool {
        self.count -= 1;
        self.count > 0
    }

    /// As it is told: `get secrets honeypot/backup-sa-token 200 (3 times)`.
    pub(super) fn told(&self) -> TrailEntry {
        let mut summary = self.what.clone();
        if let Some(code) = self.code {
            summary.push_str(&format!(" {code}"));
        }
        if self.count > 1 {
            summary.push_str(&format!(" ({} times)", self.count));
        }
        TrailEntry {
            time: self.time,
            technique: self.technique,
            class: self.class,
            actor: self.actor.clone(),
            source_ip: self.source_ip.clone(),
            summary: summary.trim_start().to_owned(),
        }
    }
}
