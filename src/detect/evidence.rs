//! What a detection says: the facts of an event, cut to bounds, and the identities it is
//! counted under.

use std::{borrow::Cow, cell::OnceCell, collections::BTreeMap, sync::Arc};

use ipnet::IpNet;
use jiff::Timestamp;

use super::{
    Class, Detection, Origin, Request, Severity, Technique, Token, TokenKind, Tool,
    client::Client,
    decoy::Decoy,
    redact::{cut, redacted},
};
use crate::{
    audit::{
        Annotations, DetectionId, Event, IncidentKey, RequestId, as_server,
        source_ip::split_claimed, to_microsecond, uri,
    },
    record::{Envelope, Provenance},
};

/// Characters of a name, an address or the like.
const NAME: usize = 256;
/// Characters of a URI: the API server takes several thousand.
const URI: usize = 8192;
/// Characters of an auditID, which is kept to the letter, so that the event can be found
/// by it; clients may choose it, and it may be long.
const AUDIT_ID: usize = 4096;
/// Groups of a user, and addresses that a client claims.
pub(super) const LIST: usize = 16;

/// What a detector knows beside what it reads.
#[derive(Clone)]
pub(super) struct Setting {
    pub cluster: Option<Arc<str>>,
    pub source: Arc<str>,
    pub trusted_proxies: Vec<IpNet>,
}

impl Setting {
    /// A copy that shares nothing.
    pub fn apart(&self) -> Self {
        Self {
            cluster: self.cluster.as_deref().map(Arc::from),
            source: Arc::from(&*self.source),
            trusted_proxies: self.trusted_proxies.clone(),
        }
    }

    /// Of what was read at `provenance`, in the wrappers that `envelope` tells of. The configuration knows the cluster better than a
    /// wrapper does.
    pub fn context(
        &self,
        provenance: Provenance,
        envelope: &Envelope<'_>,
        arrival: Timestamp,
    ) -> Context<'_> {
        let origin = origin(&self.source, provenance, envelope);
        let of_wrapper = || origin.cluster.as_deref().map(Arc::from);
        Context {
            cluster: self.cluster.clone().or_else(of_wrapper),
            trusted_proxies: &self.trusted_proxies,
            arrival: origin.time.unwrap_or(arrival),
            origin,
        }
    }
}

/// What is known beside the event itself.
#[derive(Clone)]
pub(super) struct Context<'c> {
    pub cluster: Option<Arc<str>>,
    pub trusted_proxies: &'c [IpNet],
    pub origin: Origin,
    /// Stands in for the time of events that tell none.
    pub arrival: Timestamp,
}

/// What `source` read at `provenance`, in the wrappers that `envelope` tells of.
fn origin(source: &Arc<str>, provenance: Provenance, envelope: &Envelope<'_>) -> Origin {
    Origin {
        source: source.clone(),
        position: Some(provenance.position),
        key: provenance.key.filter(|key| !key.is_empty()),
        headers: provenance.headers,
        cluster: envelope.cluster.as_deref().map(name),
        node: envelope.node.map(name),
        pod: envelope.pod.map(name),
        namespace: envelope.namespace.map(name),
        container: envelope.container.map(name),
        project: envelope.project.map(name),
        account: envelope.account.map(name),
        region: envelope.region.map(name),
        log_group: envelope.log_group.map(name),
        log_stream: envelope.log_stream.map(name),
        time: envelope.time.map(to_microsecond),
    }
}

/// Where an event was read: it is the `number`th in a record.
pub(super) struct Place<'r> {
    record: &'r [u8],
    pub number: u64,
    /// What the record is known by. It may be long, and many events in it nameless.
    id: OnceCell<[u8; 16]>,
}

impl<'r> Place<'r> {
    pub fn before_all(record: &'r [u8]) -> Self {
        Self {
            record,
            number: 0,
            id: OnceCell::new(),
        }
    }

    fn record_id(&self) -> &[u8; 16] {
        let id = || RequestId::of(&[self.record]).to_bytes();
        self.id.get_or_init(id)
    }
}

/// The detection that `event`, read at `place`, is.
pub(super) fn detection(
    event: &Event<'_>,
    place: &Place<'_>,
    technique: Technique,
    class: Class,
    decoy: Option<&Decoy>,
    client: &mut Client,
    context: Context<'_>,
) -> Detection {
    let request_id = request_id(event, place, &context);
    let (source_ip, claimed_ips) = split_claimed(&event.source_ips, context.trusted_proxies);
    let token_id = token_id(event, technique);
    Detection {
        detection_id: detection_id(request_id, event.stage, decoy),
        request_id,
        incident_key: client.incident_key([
            cluster(&context),
            decoy_name(decoy),
            token_id.unwrap_or_default().as_bytes(),
            source_ip.unwrap_or_default().as_bytes(),
        ]),
        class,
        technique,
        severity: severity(technique, decoy),
        decoy: decoy.map(|decoy| decoy.name.clone()),
        cluster: context.cluster,
        time: to_microsecond(event.time().unwrap_or(context.arrival)),
        stage_time: event.stage_time().map(to_microsecond),
        actor: client.actor.clone(),
        token: Token {
            kind: token_kind(event),
            id: token_id.map(name),
        },
        source_ip: source_ip.map(name),
        claimed_ips: claimed_ips.into_iter().take(LIST).map(name).collect(),
        user_agent: client.user_agent.clone(),
        tool: client.tool,
        issued_credential_id: event.annotations.issued_credential_id.map(name),
        request: request(event),
        granted: technique == Technique::TokenUse && is_granted(event),
        excerpt: None,
        origin: context.origin,
        labels: labels(decoy),
    }
}

/// The detection that a record is which names `decoy` and cannot be decoded. It has no
/// token and no address: its incident is that of the decoy and the source.
pub(super) fn undecodable(
    record: &[u8],
    excerpt: Option<String>,
    decoy: &Decoy,
    context: &Context<'_>,
) -> Detection {
    let technique = Technique::Undecodable;
    let request_id = RequestId::of(&[cluster(context), b"undecodable", record]);
    Detection {
        detection_id: detection_id(request_id, None, Some(decoy)),
        request_id,
        incident_key: IncidentKey::of(&[
            cluster(context),
            decoy.name.as_bytes(),
            b"undecodable",
            context.origin.source.as_bytes(),
        ]),
        class: Class::Detect,
        technique,
        severity: severity(technique, Some(decoy)),
        decoy: Some(decoy.name.clone()),
        cluster: context.cluster.clone(),
        time: to_microsecond(context.arrival),
        stage_time: None,
        actor: Arc::default(),
        token: Token {
            kind: TokenKind::Other,
            id: None,
        },
        source_ip: None,
        claimed_ips: Vec::new(),
        user_agent: None,
        tool: Tool::Unknown,
        issued_credential_id: None,
        request: Request::default(),
        granted: false,
        excerpt,
        origin: context.origin.clone(),
        labels: decoy.labels.clone(),
    }
}

/// The client may choose the auditID, so it alone does not tell requests apart. Where
/// nothing does, its place in the record's own bytes does.
fn request_id(event: &Event<'_>, place: &Place<'_>, context: &Context<'_>) -> RequestId {
    fn bytes(text: Option<&str>) -> &[u8] {
        text.unwrap_or_default().as_bytes()
    }
    let is_nameless = event.audit_id.is_none() && event.received.is_none();
    let peer = event.source_ips.last().copied();
    let number = place.number.to_le_bytes();
    RequestId::of(&[
        cluster(context),
        bytes(event.audit_id),
        event.received.map(as_server).unwrap_or_default().as_bytes(),
        bytes(event.user.username),
        bytes(event.verb),
        bytes(event.request_uri),
        bytes(peer),
        if is_nameless { place.record_id() } else { &[] },
        if is_nameless { &number } else { &[] },
    ])
}

fn detection_id(request_id: RequestId, stage: Option<&str>, decoy: Option<&Decoy>) -> DetectionId {
    DetectionId::of(&[
        &request_id.to_bytes(),
        stage.unwrap_or_default().as_bytes(),
        decoy_name(decoy),
    ])
}

/// credential-id, else the legacy token's Secret, else the ServiceAccount. For techniques
/// other than token use the actor stands in its place: credential-id, else the user.
fn token_id<'v>(event: &Event<'v>, technique: Technique) -> Option<&'v str> {
    let legacy_secret = event
        .annotations
        .legacy_secret
        .filter(|_| technique == Technique::TokenUse);
    event
        .user
        .credential_id
        .or(legacy_secret)
        .or(event.user.username)
}

fn token_kind(event: &Event<'_>) -> TokenKind {
    let Annotations {
        legacy_token,
        legacy_secret,
        ..
    } = event.annotations;
    match event.user.credential_id {
        Some(credential) if credential.starts_with("JTI=") => TokenKind::Bound,
        Some(credential) if credential.starts_with("X509") => TokenKind::Certificate,
        None if legacy_token.is_some() || legacy_secret.is_some() => TokenKind::Legacy,
        _ => TokenKind::Other,
    }
}

fn request(event: &Event<'_>) -> Request {
    let object = &event.object;
    Request {
        audit_id: event.audit_id.map(|id| cut(id, AUDIT_ID).into()),
        stage: event.stage.map(name),
        verb: event.verb.filter(|verb| !verb.is_empty()).map(name),
        uri: event.request_uri.map(|uri| redacted(uri, URI).into()),
        resource: object.resource.map(name),
        subresource: object.subresource.map(name),
        namespace: object.namespace.map(name),
        name: object.name.map(name),
        code: event.code,
        decision: event.annotations.decision.map(name),
    }
}

/// Whether the request succeeded on more than every ServiceAccount may do: discovery,
/// version, health and reviews of itself.
fn is_granted(event: &Event<'_>) -> bool {
    let path = event.request_uri.or(event.object_path);
    event.code.is_some_and(is_success) && is_beyond_discovery(event.object.resource, path)
}

pub(crate) fn is_success(code: u16) -> bool {
    code < 400
}

/// Whether a request for `resource`, or if that is unknown for `path`, is more than every ServiceAccount may make.
pub(crate) fn is_beyond_discovery(resource: Option<&str>, path: Option<&str>) -> bool {
    match resource {
        Some(resource) => !matches!(
            resource,
            "selfsubjectaccessreviews" | "selfsubjectrulesreviews" | "selfsubjectreviews"
        ),
        None => !path.is_some_and(is_open_to_all),
    }
}

/// Paths that the built-in roles `system:discovery`, `system:public-info-viewer` and
/// `system:service-account-issuer-discovery` open to every ServiceAccount.
fn is_open_to_all(uri: &str) -> bool {
    let path = uri::path(uri);
    let segments = uri::resolved_segments(&path);
    matches!(
        segments.first().copied(),
        None | Some(
            "api"
                | "apis"
                | "openapi"
                | "openid"
                | ".well-known"
                | "version"
                | "healthz"
                | "livez"
                | "readyz"
        )
    )
}

fn severity(technique: Technique, decoy: Option<&Decoy>) -> Severity {
    let floor = decoy.map_or(Severity::Low, |decoy| decoy.floor);
    technique.severity().max(floor)
}

fn labels(decoy: Option<&Decoy>) -> Arc<BTreeMap<String, String>> {
    decoy.map(|decoy| decoy.labels.clone()).unwrap_or_default()
}

fn cluster<'c>(context: &'c Context<'_>) -> &'c [u8] {
    context
        .cluster
        .as_ref()
        .map(|cluster| cluster.as_bytes())
        .unwrap_or_default()
}

fn decoy_name(decoy: Option<&Decoy>) -> &[u8] {
    decoy.map_or(&[], |decoy| decoy.name.as_bytes())
}

/// A name, an address or the like, cut.
pub(super) fn name<T>(text: &str) -> T
where
    T: for<'t> From<Cow<'t, str>>,
{
    redacted(text, NAME).into()
}
