//! What a sink is told about an incident, or about a part of baitline that does not work.

use std::{collections::BTreeMap, sync::Arc};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{sketch::HASHES, text::grouped};
use crate::{
    audit::{AlertId, IncidentId, IncidentKey, words},
    detect::{Class, Severity, Technique, Token, Tool, is_beyond_discovery, is_success},
};

/// What a sink is told about an incident. Text in it is not neutralised: that is
/// done for the place where it is shown.
///
/// A source that is silent and a sink that fails are told as an incident too, of a `component`
/// in place of a decoy: without token, address, technique and hits.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Alert {
    pub alert_id: AlertId,
    pub incident_id: IncidentId,
    pub incident_key: IncidentKey,
    /// Counts the alerts of one incident, from 1.
    pub sequence: u32,
    pub kind: AlertKind,
    /// The gravest that the incident has reached.
    pub severity: Severity,
    /// What happened, in one sentence.
    pub title: String,
    /// `namespace/name`; `None` where it is about a component.
    pub decoy: Option<Arc<str>>,
    pub cluster: Option<Arc<str>>,
    /// `None` in a flood, and of a component.
    pub token: Option<Token>,
    /// `None` in a flood, of a component, and where the event told none.
    pub source_ip: Option<String>,
    #[serde(default)]
    pub claimed_ips: Vec<String>,
    /// In order of precedence.
    pub techniques: Vec<Technique>,
    /// Hits since the incident's previous alert.
    pub count: u64,
    /// Hits since the incident began.
    pub total: u64,
    /// A stolen token succeeded on more than discovery.
    pub granted: bool,
    pub first_seen: Timestamp,
    pub last_seen: Timestamp,
    #[serde(default)]
    pub actors: Vec<String>,
    /// Whom requests were carried out as.
    #[serde(default)]
    pub impersonated: Vec<String>,
    /// The pod the token was taken from, if the token tells.
    pub pod: Option<String>,
    pub node: Option<String>,
    #[serde(default)]
    pub user_agents: Vec<String>,
    #[serde(default)]
    pub tools: Vec<Tool>,
    /// The most frequent requests, most frequent first.
    #[serde(default)]
    pub requests: Vec<RequestCount>,
    /// How it came to this: the touches that explain the incident, oldest first.
    #[serde(default)]
    pub trail: Vec<TrailEntry>,
    pub flood: Option<Flood>,
    /// Seconds between the last hit and this alert, where that is more than a minute:
    /// a backlog, or a late shipper.
    pub late_secs: Option<u64>,
    /// What is left of a record that could not be decoded.
    pub excerpt: Option<String>,
    #[serde(default)]
    pub labels: Arc<BTreeMap<String, String>>,
    /// The source or sink that it is about; `None` where it is about a decoy.
    pub component: Option<Component>,
}

impl Alert {
    /// The kind of request that stands for all, where there is room for one: of a token that was let in the last that was granted,
    /// where it became graver the last, and else the most frequent.
    pub fn chief_request(&self) -> Option<&RequestCount> {
        let mut rows = self.requests.iter().rev();
        let told = match self.kind {
            _ if self.granted => rows.find(|request| request.is_granted()),
            AlertKind::Escalated => rows.find(|request| request.is_known()),
            _ => None,
        };
        told.or(self.requests.first())
    }
}

/// Why an alert is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AlertKind {
    /// The first hit of an incident.
    Opened,
    /// It became graver.
    Escalated,
    /// It goes on.
    Digest,
    /// It fell quiet.
    Closed,
    /// Nothing has come from a source for longer than it may be silent.
    SourceSilent,
    /// Something came from it again.
    SourceResumed,
    /// A sink cannot deliver.
    SinkFailing,
    /// It delivers again.
    SinkRecovered,
}

words!(AlertKind {
    Opened = "opened",
    Escalated = "escalated",
    Digest = "digest",
    Closed = "closed",
    SourceSilent = "source_silent",
    SourceResumed = "source_resumed",
    SinkFailing = "sink_failing",
    SinkRecovered = "sink_recovered",
});

impl AlertKind {
    /// Whether it is about a source or a sink, and not about a decoy.
    pub fn tells_of_component(self) -> bool {
        match self {
            Self::SourceSilent | Self::SourceResumed | Self::SinkFailing | Self::SinkRecovered => {
                true
            }
            Self::Opened | Self::Escalated | Self::Digest | Self::Closed => false,
        }
    }

    /// Whether the incident is over with it.
    pub fn ends_incident(self) -> bool {
        match self {
            Self::Closed | Self::SourceResumed | Self::SinkRecovered => true,
            Self::Opened
            | Self::Escalated
            | Self::Digest
            | Self::SourceSilent
            | Self::SinkFailing => false,
        }
    }
}

/// A part of the pipeline that an alert is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Component {
    /// Its id in the configuration.
    pub id: Arc<str>,
    pub kind: ComponentKind,
    /// As it stands under `type`: `file`, `slack`.
    pub r#type: Arc<str>,
}

/// The kinds of component that alerts can be about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ComponentKind {
    Source,
    Sink,
}

words!(ComponentKind { Source = "source", Sink = "sink" });

/// How often one kind of request was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestCount {
    pub verb: Option<String>,
    /// `resource` or `resource/subresource`; the path where there is no resource.
    pub resource: Option<String>,
    pub code: Option<u16>,
    pub count: u64,
}

impl RequestCount {
    /// Not the rest of an incident's requests, counted together.
    pub fn is_known(&self) -> bool {
        self.verb.is_some() || self.resource.is_some()
    }

    /// Whether such a request succeeded on more than discovery.
    fn is_granted(&self) -> bool {
        let asked = self.resource.as_deref();
        let is_beyond = match asked {
            Some(path) if path.starts_with('/') => is_beyond_discovery(None, asked),
            Some(resource) => is_beyond_discovery(resource.split('/').next(), None),
            None => false,
        };
        is_beyond && self.code.is_some_and(is_success)
    }
}

/// An earlier touch that explains an incident.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct TrailEntry {
    pub time: Timestamp,
    pub technique: Technique,
    pub class: Class,
    pub actor: Option<String>,
    pub source_ip: Option<String>,
    /// What was done, in a few words.
    pub summary: String,
}

/// Many incidents told as one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flood {
    /// Distinct incidents folded in, at most as many as hits; exact below 4,096, estimated from there.
    pub incidents: u64,
    /// The heaviest sources, heaviest first; counts are upper bounds.
    #[serde(default)]
    pub top_sources: Vec<SourceCount>,
}

impl Flood {
    /// How many incidents: `1 incident`, `about 12,345 incidents`.
    pub fn size(&self) -> String {
        match self.incidents {
            1 => "1 incident".to_owned(),
            many if self.is_estimate() => format!("about {} incidents", grouped(many)),
            many => format!("{} incidents", grouped(many)),
        }
    }

    /// Whether the incidents are so many that they are estimated, within a few per cent.
    pub(super) fn is_estimate(&self) -> bool {
        self.incidents >= HASHES as u64
    }
}

/// How many hits came from one address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceCount {
    pub source_ip: Option<String>,
    pub count: u64,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::example;

    #[test]
    fn what_was_granted_stands_for_an_alert_that_says_so() {
        let request = |resource: &str, code, count| RequestCount {
            verb: Some("get".into()),
            resource: Some(resource.into()),
            code,
            count,
        };
        let rest = RequestCount {
            verb: None,
            resource: None,
            code: None,
            count: 7,
        };
        let requests = vec![
            request("pods", Some(403), 9),
            request("selfsubjectrulesreviews", Some(201), 2),
            request("secrets", Some(200), 1),
            request("/version", Some(200), 1),
            request("pods/log", None, 1),
            rest,
        ];
        let chief = |kind, granted, requests: &[RequestCount]| {
            let alert = Alert {
                kind,
                granted,
                requests: requests.to_vec(),
                ..example::opened()
            };
            let chief = alert.chief_request();
            chief.and_then(|request| request.resource.clone())
        };
        let of_all = |kind, granted| chief(kind, granted, &requests).unwrap();
        assert_eq!(of_all(AlertKind::Escalated, true), "secrets");
        assert_eq!(of_all(AlertKind::Closed, true), "secrets");
        assert_eq!(of_all(AlertKind::Escalated, false), "pods/log");
        assert_eq!(of_all(AlertKind::Digest, false), "pods");
        // It is not among those that are told apart.
        let unknown = chief(AlertKind::Escalated, true, &requests[..2]);
        assert_eq!(unknown.as_deref(), Some("pods"));
        assert_eq!(chief(AlertKind::Opened, false, &[]), None);
    }
}
