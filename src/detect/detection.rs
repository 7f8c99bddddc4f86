//! One audit event that touches a decoy.

use std::{collections::BTreeMap, sync::Arc};

use compact_str::CompactString;
use jiff::Timestamp;
use serde::{Deserialize, Serialize, Serializer};

use super::{Class, Severity, Technique, Tool};
use crate::audit::{DetectionId, IncidentKey, RequestId, wire_time, words};

/// One audit event that touches one decoy: who, from where, what, and how grave.
///
/// Text in it is as the event had it, cut to a bound but not neutralised: that is
/// done for the place where it is shown.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Detection {
    pub detection_id: DetectionId,
    pub request_id: RequestId,
    pub incident_key: IncidentKey,
    pub class: Class,
    pub technique: Technique,
    /// The technique's severity, raised to the decoy's floor.
    pub severity: Severity,
    /// `namespace/name`; `None` only for `impersonation_unnamed`.
    pub decoy: Option<Arc<str>>,
    pub cluster: Option<Arc<str>>,
    /// When the API server received the request; failing that the time of the
    /// stage, of the wrapper, of arrival. To the microsecond, as all times on the wire.
    pub time: Timestamp,
    pub stage_time: Option<Timestamp>,
    /// Most hits in a row are one actor's, and share it.
    pub actor: Arc<Actor>,
    /// What the incident is grouped by.
    pub token: Token,
    /// The last address that no untrusted party could forge.
    pub source_ip: Option<CompactString>,
    /// Addresses the client merely claims.
    #[serde(default)]
    pub claimed_ips: Vec<String>,
    pub user_agent: Option<Arc<str>>,
    pub tool: Tool,
    /// The credential that this request minted.
    pub issued_credential_id: Option<String>,
    pub request: Request,
    /// A `token_use` that succeeded on more than discovery, version, health and self reviews.
    #[serde(default)]
    pub granted: bool,
    /// What is left of a record that could not be decoded: cut.
    pub excerpt: Option<String>,
    pub origin: Origin,
    /// The decoy's labels.
    #[serde(default)]
    pub labels: Arc<BTreeMap<String, String>>,
}

impl Detection {
    /// As it is, but that nothing is an empty text, which says no more than none. Another may have written it.
    pub fn without_empty(mut self) -> Self {
        let Self {
            decoy,
            cluster,
            token,
            source_ip,
            claimed_ips,
            user_agent,
            issued_credential_id,
            excerpt,
            ..
        } = &mut self;
        for name in [decoy, cluster, user_agent] {
            unless_empty(name);
        }
        for text in [&mut token.id, issued_credential_id, excerpt] {
            unless_empty(text);
        }
        unless_empty(source_ip);
        claimed_ips.retain(|ip| !ip.is_empty());
        Arc::make_mut(&mut self.actor).drop_empty();
        self.request.drop_empty();
        self.origin.drop_empty();
        self
    }
}

impl Actor {
    fn drop_empty(&mut self) {
        let Self {
            username,
            uid,
            groups,
            impersonated,
            credential_id,
            pod,
            node,
        } = self;
        for text in [username, uid, impersonated, credential_id, pod, node] {
            unless_empty(text);
        }
        groups.retain(|group| !group.is_empty());
    }
}

impl Request {
    fn drop_empty(&mut self) {
        let Self {
            audit_id,
            stage,
            verb,
            uri,
            resource,
            subresource,
            namespace,
            name,
            code: _,
            decision,
        } = self;
        let object = [resource, subresource, namespace, name];
        for text in [audit_id, stage, verb, uri, decision]
            .into_iter()
            .chain(object)
        {
            unless_empty(text);
        }
    }
}

impl Origin {
    fn drop_empty(&mut self) {
        let Self {
            source: _,
            position,
            key,
            headers: _,
            cluster,
            node,
            pod,
            namespace,
            container,
            project,
            account,
            region,
            log_group,
            log_stream,
            time: _,
        } = self;
        let cloud = [cluster, project, account, region, log_group, log_stream];
        for text in cloud
            .into_iter()
            .chain([position, node, pod, namespace, container])
        {
            unless_empty(text);
        }
        unless_empty(key);
    }
}

fn unless_empty<T: AsRef<str>>(text: &mut Option<T>) {
    if text.as_ref().is_some_and(|text| text.as_ref().is_empty()) {
        *text = None;
    }
}

/// Who asked: the authenticated user and the credential it used.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Actor {
    pub username: Option<String>,
    pub uid: Option<String>,
    #[serde(default)]
    pub groups: Vec<String>,
    /// Whom the request was carried out as.
    pub impersonated: Option<String>,
    pub credential_id: Option<String>,
    /// The pod that the credential is bound to: where a stolen token came from.
    pub pod: Option<String>,
    pub node: Option<String>,
}

/// The identity that hits are grouped by.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Token {
    pub kind: TokenKind,
    /// credential-id (`JTI=…`), else the legacy token's Secret, else the
    /// ServiceAccount; for techniques other than `token_use` the actor stands in
    /// its place. `None` where nothing is known.
    pub id: Option<String>,
}

/// What kind of credential a [`Token`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TokenKind {
    /// From a TokenRequest; has a JTI.
    Bound,
    /// From a Secret of type `kubernetes.io/service-account-token`.
    Legacy,
    /// A client certificate.
    Certificate,
    /// Anything else, or unknown.
    Other,
}

words!(TokenKind {
    Bound = "bound",
    Legacy = "legacy",
    Certificate = "certificate",
    Other = "other",
});

/// What was asked of the API server.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Request {
    pub audit_id: Option<CompactString>,
    pub stage: Option<CompactString>,
    pub verb: Option<CompactString>,
    pub uri: Option<CompactString>,
    pub resource: Option<CompactString>,
    pub subresource: Option<CompactString>,
    pub namespace: Option<CompactString>,
    pub name: Option<CompactString>,
    /// The HTTP status; absent at stage `RequestReceived`.
    pub code: Option<u16>,
    /// `allow` or `forbid`, from the authorizer.
    pub decision: Option<CompactString>,
}

/// Where the event was read.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Origin {
    /// The id of the source.
    pub source: Arc<str>,
    /// Where in the source, in the source's own words (a file and a byte offset).
    pub position: Option<CompactString>,
    /// The key that a message bus had the record under.
    pub key: Option<String>,
    /// What a message bus said beside the record.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// The cluster by its wrapper's words. Where the configuration names none, it is the
    /// detection's too. This and what follows are as [`crate::record::Envelope`] has them, cut.
    pub cluster: Option<CompactString>,
    pub node: Option<CompactString>,
    pub pod: Option<CompactString>,
    pub namespace: Option<CompactString>,
    pub container: Option<CompactString>,
    pub project: Option<CompactString>,
    pub account: Option<CompactString>,
    pub region: Option<CompactString>,
    pub log_group: Option<CompactString>,
    pub log_stream: Option<CompactString>,
    #[serde(serialize_with = "optional_wire_time")]
    pub time: Option<Timestamp>,
}

fn optional_wire_time<S: Serializer>(
    time: &Option<Timestamp>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    time.map(wire_time).serialize(serializer)
}
