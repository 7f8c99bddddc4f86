//! One `audit.k8s.io/v1` Event, borrowed from the decoded record.

use std::borrow::Cow;

use jiff::Timestamp;
use memchr::memchr;
use simd_json::{
    prelude::*,
    tape::{Object, Value},
};
use smallvec::SmallVec;

use super::{
    field::Field,
    http_code,
    repeated::{Seen, is_ambiguous_part},
    time::parse_time,
};

/// A decoded JSON value.
pub type Json<'v> = Value<'v, 'v>;

/// One stage of one request to the API server, as far as baitline looks at it.
///
/// Every field may be missing: shippers drop fields, policies omit them, and a value
/// of the wrong type counts as missing, but see [`Event::is_readable`]. So does an empty text, which stores have where nothing is
/// known.
#[derive(Clone, Debug, Default)]
pub struct Event<'v> {
    pub audit_id: Option<&'v str>,
    pub stage: Option<&'v str>,
    pub request_uri: Option<&'v str>,
    /// Empty where the API server has no word for it, as for `OPTIONS`.
    pub verb: Option<&'v str>,
    pub user: User<'v>,
    pub impersonated: Option<&'v str>,
    /// Whom the request was refused to act as, where the log tells that apart.
    pub refused_as: Option<&'v str>,
    /// Forgeable but for the last, which may be empty; see [`super::source_ip`].
    pub source_ips: Vec<&'v str>,
    pub user_agent: Option<&'v str>,
    pub object: ObjectRef<'v>,
    /// The path, where the log tells no URI and only the path says what was asked for: of a
    /// kubelet, or of no object at all.
    pub object_path: Option<&'v str>,
    pub code: Option<u16>,
    /// `responseStatus.message`.
    pub message: Option<&'v str>,
    /// `requestReceivedTimestamp` as written; part of the request's identity.
    pub received: Option<&'v str>,
    pub stage_time: Option<&'v str>,
    pub annotations: Annotations<'v>,
    /// Bodies hold tokens and Secrets: nothing of them may leave `detect`.
    pub request_object: Option<Json<'v>>,
    pub response_object: Option<Json<'v>>,
}

/// The authenticated user.
#[derive(Clone, Debug, Default)]
pub struct User<'v> {
    pub username: Option<&'v str>,
    pub uid: Option<&'v str>,
    pub groups: Vec<&'v str>,
    pub credential_id: Option<&'v str>,
    pub pod_name: Option<&'v str>,
    pub node_name: Option<&'v str>,
}

/// What the request was about, as the API server understood the path.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ObjectRef<'v> {
    pub resource: Option<&'v str>,
    pub subresource: Option<&'v str>,
    pub namespace: Option<&'v str>,
    pub name: Option<&'v str>,
    pub api_group: Option<&'v str>,
}

/// The annotations that say something about credentials and authorization.
#[derive(Clone, Debug, Default)]
pub struct Annotations<'v> {
    /// `allow` or `forbid`.
    pub decision: Option<&'v str>,
    /// The credential that a TokenRequest minted.
    pub issued_credential_id: Option<&'v str>,
    /// The ServiceAccount of a legacy token.
    pub legacy_token: Option<&'v str>,
    /// The Secret of a legacy token.
    pub legacy_secret: Option<&'v str>,
}

impl<'v> Event<'v> {
    /// The fields of an event that are looked at, as the API server calls them.
    pub const FIELDS: &'static [&'static str] = Field::READ;

    /// The fields of an event that are not looked at.
    pub const UNREAD_FIELDS: &'static [&'static str] = Field::UNREAD;

    /// The fields of an event that are no scalars, as the API server and as Azure calls them.
    pub const PARTS: &'static [&'static str] = Field::PARTS;

    /// The fields of an event that tell times, as the API server and as Azure calls them.
    pub const TIMES: [&'static str; 4] = [
        "requestReceivedTimestamp",
        "stageTimestamp",
        "RequestReceivedTime",
        "StageReceivedTime",
    ];

    /// The fields of an event that Azure has, as it calls them.
    pub const COLUMNS: &'static [&'static str] = Field::COLUMNS;

    /// Whether `object` is an audit event: see [`Event::has_the_fields_of_one`].
    pub fn is_one(object: &Object<'v, 'v>) -> bool {
        Self::has_the_fields_of_one(|key| object.get(key).is_some(), |key| text(object, key))
    }

    /// Whether what has these fields, some of them text, is an audit event: it says so by its `apiVersion`,
    /// or, as an item of an EventList or behind a shipper that drops fields, it has fields that
    /// nothing else has, or has together. Azure's table `AKSAudit` has them under names of its
    /// own (learn.microsoft.com/azure/azure-monitor/reference/tables/aksaudit).
    pub fn has_the_fields_of_one(
        has: impl Fn(&str) -> bool,
        text: impl Fn(&str) -> Option<&'v str>,
    ) -> bool {
        let asks = ["verb", "requestURI", "user", "stage"]
            .into_iter()
            .any(&has);
        if has("AuditId") && ["Verb", "RequestUri", "User"].into_iter().any(&has) {
            return true;
        }
        match text("apiVersion") {
            Some(version) if version.starts_with("audit.k8s.io/") => {
                return text("kind") == Some("Event") || has("auditID") || asks;
            }
            Some(_) if text("kind").is_some() => return false,
            _ => {}
        }
        let is_marked = ["auditID", "requestReceivedTimestamp", "stageTimestamp"]
            .into_iter()
            .any(&has);
        let is_request = [
            ["verb", "user", "requestURI", "objectRef", "sourceIPs"],
            ["Verb", "User", "RequestUri", "ObjectRef", "SourceIps"],
        ]
        .iter()
        .any(|[verb, user, others @ ..]| {
            has(verb) && has(user) && others.iter().any(|other| has(other))
        });
        // Go's own names of the fields, which are another case of the API server's.
        let is_recased = || ["AuditID", "RequestURI", "SourceIPs"].into_iter().any(&has);
        // An event of the core group has an `involvedObject`.
        let is_stub = has("verb") && has("objectRef") && text("kind") == Some("Event");
        is_marked && asks || is_request && !is_recased() || is_stub
    }

    /// Whether something with these keys, which is no event, may be what a query picked out of one: two of an event's own fields or
    /// more, one of which says who touched something, or what.
    pub fn may_be_picked<'k>(keys: impl Iterator<Item = &'k str>) -> bool {
        let (mut told, mut tells) = (0_u32, false);
        for field in keys.filter_map(Field::of_any) {
            match field {
                Field::User | Field::ImpersonatedUser | Field::ObjectRef | Field::RequestUri => {
                    tells = true;
                }
                Field::AuditId
                | Field::Stage
                | Field::Verb
                | Field::SourceIps
                | Field::ResponseStatus
                | Field::RequestReceived
                | Field::StageReached => {}
                _ => continue,
            }
            told |= 1 << field as u32;
        }
        tells && told.count_ones() > 1
    }

    /// Whether the parts of an event that say who touched what are objects, where they are
    /// there at all. A store may have made strings of them that cannot be read, or put the type of each value before it.
    pub fn is_readable(object: &Object<'v, 'v>) -> bool {
        let is_part = |key| {
            matches!(
                Field::of_any(key),
                Some(Field::User | Field::ImpersonatedUser | Field::ObjectRef)
            )
        };
        object
            .iter()
            .filter(|(key, _)| is_part(key))
            .all(|(_, value)| is_object_or_nothing(value) && value.get(TYPED).is_none())
    }

    /// The event that `object` is just as the API server writes it: all its keys are the server's, each stands once, and all that
    /// stands under them is of the type that it has there. So are most events; nothing of such a one needs mending, and nothing
    /// stands beside it.
    pub fn plain(object: &Object<'v, 'v>) -> Option<Self> {
        let (mut event, mut seen) = (Self::default(), Seen::default());
        for (key, value) in object.iter() {
            let field = Field::of(key)?;
            if seen.is_again(field as u32) || !is_plain(field, value) {
                return None;
            }
            event.take(field, value);
        }
        let says_so = [Field::Kind, Field::ApiVersion];
        let is_encoded = |uri: &str| memchr(b'%', uri.as_bytes()).is_some();
        let is_told = event.object.resource.is_some() || !event.request_uri.is_some_and(is_encoded);
        let is_one = is_told && says_so.iter().all(|field| seen.has(*field as u32));
        is_one.then(|| event.with_object())
    }

    /// Reads what is there.
    pub fn from_object(object: &Object<'v, 'v>) -> Self {
        let mut event = Self::default();
        for (key, value) in object.iter() {
            if let Some(field) = Field::of_any(key) {
                event.take(field, value);
            }
        }
        event.with_whole_object()
    }

    fn take(&mut self, field: Field, value: Json<'v>) {
        match field {
            Field::AuditId => self.audit_id = said(value),
            Field::Stage => self.stage = said(value),
            Field::RequestUri => self.request_uri = said(value),
            Field::Verb => self.verb = value.into_string(),
            Field::User => self.user = User::from_value(value),
            Field::ImpersonatedUser => self.impersonated = self::field(value, "username"),
            Field::SourceIps => self.source_ips = addresses(value),
            Field::UserAgent => self.user_agent = said(value),
            Field::ObjectRef => self.object = ObjectRef::from_value(value),
            Field::ResponseStatus => {
                self.code = number(value, "code")
                    .and_then(|code| u16::try_from(code).ok())
                    .or_else(|| http_code::from_reason(self::field(value, "reason")?));
                self.message = self::field(value, "message");
            }
            Field::RequestReceived => self.received = said(value),
            Field::StageReached => self.stage_time = said(value),
            Field::Annotations => self.annotations = Annotations::from_value(value),
            Field::RequestObject => self.request_object = Some(value),
            Field::ResponseObject => self.response_object = Some(value),
            Field::Kind | Field::ApiVersion | Field::Level | Field::AuthenticationMetadata => {}
        }
    }

    /// With what the path says of the object, where nothing else does.
    fn with_object(self) -> Self {
        match self.object.resource {
            Some(_) => self,
            None => self.with_whole_object(),
        }
    }

    /// The same of an event that may have lost parts of its object on the way.
    fn with_whole_object(mut self) -> Self {
        if let Some(uri) = self.request_uri {
            let path = uri.split('?').next().unwrap_or_default();
            self.object = self.object.or(&ObjectRef::from_path(path));
        }
        self
    }

    /// When the request was received; failing that when the stage was reached.
    pub fn time(&self) -> Option<Timestamp> {
        self.received
            .and_then(parse_time)
            .or_else(|| self.stage_time())
    }

    /// When the stage was reached.
    pub fn stage_time(&self) -> Option<Timestamp> {
        self.stage_time.and_then(parse_time)
    }

    /// Whether the request was refused.
    pub fn is_forbidden(&self) -> bool {
        self.annotations.decision == Some("forbid")
    }

    /// Whether the request acted as somebody else, or was refused to.
    pub fn impersonates(&self) -> bool {
        self.impersonated.is_some()
            || self.refused_as.is_some()
            || (self.code == Some(403)
                && self
                    .message
                    .is_some_and(|message| message.contains("cannot impersonate")))
    }
}

impl<'v> User<'v> {
    fn from_value(value: Json<'v>) -> Self {
        let mut user = Self::default();
        for (key, value) in fields(value) {
            match key {
                "username" => user.username = said(value),
                "uid" => user.uid = said(value),
                "groups" => {
                    user.groups = strings(value);
                    user.groups.retain(|group| !group.is_empty());
                }
                "extra" => user.take_extra(value),
                _ => {}
            }
        }
        user
    }

    fn take_extra(&mut self, extra: Json<'v>) {
        qualified("", extra, 0, &mut |key, value| {
            let field = match key {
                "authentication.kubernetes.io/credential-id" => &mut self.credential_id,
                "authentication.kubernetes.io/pod-name" => &mut self.pod_name,
                "authentication.kubernetes.io/node-name" => &mut self.node_name,
                _ => return,
            };
            let first = || value.get_idx(0).and_then(said);
            *field = said(value).or_else(first);
        });
    }
}

impl<'v> ObjectRef<'v> {
    /// This, with what `other` adds if both are about the same kind of object.
    pub fn or(self, other: &Self) -> Self {
        if self
            .resource
            .is_some_and(|resource| other.resource != Some(resource))
        {
            return self;
        }
        Self {
            resource: other.resource,
            subresource: self.subresource.or(other.subresource),
            namespace: self.namespace.or(other.namespace),
            name: self.name.or(other.name),
            api_group: self.api_group.or(other.api_group),
        }
    }

    pub fn from_value(value: Json<'v>) -> Self {
        let mut object = Self::default();
        for (key, value) in fields(value) {
            match key {
                "resource" => object.resource = said(value),
                "subresource" => object.subresource = said(value),
                "namespace" => object.namespace = said(value),
                "name" => object.name = said(value),
                "apiGroup" => object.api_group = said(value).and_then(named_group),
                _ => {}
            }
        }
        object
    }

    /// What a request is about by its decoded path, for events without an `objectRef`: the API server
    /// writes one for each object, but shippers drop fields.
    pub fn from_path(path: &'v str) -> Self {
        let parts = path.split('/').filter(|part| !part.is_empty());
        let segments: SmallVec<[&str; 8]> = parts.collect();
        let (api_group, rest) = match segments.as_slice() {
            ["api", _, rest @ ..] => (None, rest),
            ["apis", group, _, rest @ ..] => (Some(*group), rest),
            _ => return Self::default(),
        };
        match rest {
            ["watch" | "proxy", rest @ ..] => Self::from_segments(api_group, rest),
            rest => Self::from_segments(api_group, rest),
        }
    }

    /// What stands behind group and version in a path.
    pub(super) fn from_segments(api_group: Option<&'v str>, rest: &[&'v str]) -> Self {
        let (namespace, object) = match rest {
            ["namespaces", namespace] | ["namespaces", namespace, "status" | "finalize"] => {
                (Some(*namespace), rest)
            }
            ["namespaces", namespace, object @ ..] => (Some(*namespace), object),
            object => (None, object),
        };
        Self {
            resource: object.first().copied(),
            name: object.get(1).copied(),
            subresource: object.get(2).copied(),
            namespace,
            api_group,
        }
    }
}

impl<'v> Annotations<'v> {
    pub(super) fn from_value(value: Json<'v>) -> Self {
        let (mut annotations, mut generated_secret) = (Self::default(), None);
        qualified("", value, 0, &mut |key, value| {
            let field = match key {
                "authorization.k8s.io/decision" => &mut annotations.decision,
                "authentication.kubernetes.io/issued-credential-id" => {
                    &mut annotations.issued_credential_id
                }
                "authentication.k8s.io/legacy-token" => &mut annotations.legacy_token,
                "authentication.k8s.io/legacy-token-manual-secret" => {
                    &mut annotations.legacy_secret
                }
                "authentication.k8s.io/legacy-token-autogenerated-secret" => &mut generated_secret,
                _ => return,
            };
            *field = said(value).or(*field);
        });
        annotations.legacy_secret = annotations.legacy_secret.or(generated_secret);
        annotations
    }
}

/// What DynamoDB's JSON writes before an object.
const TYPED: &str = "M";

/// Levels of objects that stores make of the dots in a key.
const MAX_DOTS: usize = 8;

/// Calls `take` with the entries of an object whose keys have domains in them, as the API server writes those: stores take objects for the
/// dots, or underscores, and Panther `_slash_` for the slash.
fn qualified<'v>(
    before: &str,
    value: Json<'v>,
    depth: usize,
    take: &mut dyn FnMut(&str, Json<'v>),
) {
    for (key, value) in fields(value) {
        let key = match key.as_bytes().contains(&b'_') {
            true => Cow::Owned(key.replace("_slash_", "/").replace('_', ".")),
            false => Cow::Borrowed(key),
        };
        if value.is_object() && depth < MAX_DOTS {
            qualified(&format!("{before}{key}."), value, depth + 1, take);
        } else if before.is_empty() {
            take(&key, value);
        } else {
            take(&format!("{before}{key}"), value);
        }
    }
}

/// The entries of an object; none of anything else.
fn fields<'v>(value: Json<'v>) -> impl Iterator<Item = (&'v str, Json<'v>)> {
    let object = value.as_object();
    object.map(|object| object.iter()).into_iter().flatten()
}

pub(super) fn text<'v>(object: &Object<'v, 'v>, key: &str) -> Option<&'v str> {
    object.get(key).and_then(|value| value.into_string())
}

/// A non-empty string under `key`.
pub(crate) fn field<'v>(value: Json<'v>, key: &str) -> Option<&'v str> {
    value.get(key).and_then(said)
}

/// A non-empty string; an empty one says no more than a missing one.
pub(super) fn said<'v>(value: Json<'v>) -> Option<&'v str> {
    value.into_string().filter(|text| !text.is_empty())
}

/// Whether `value` is an object, or what stands for none; stores of text have an empty one.
pub(super) fn is_object_or_nothing(value: Json<'_>) -> bool {
    value.is_object() || value.is_null() || matches!(value.into_string(), Some("" | "null"))
}

/// The number under `key`, which some stores write as text.
pub(super) fn number(value: Json<'_>, key: &str) -> Option<u64> {
    let number = value.get(key)?;
    // MongoDB's.
    let mut kinds = ["$numberInt", "$numberLong"].iter();
    let number = kinds.find_map(|kind| number.get(*kind)).unwrap_or(number);
    let of_text = |text: &str| text.parse().ok().or_else(|| whole(text.parse().ok()?));
    number
        .as_u64()
        .or_else(|| whole(number.as_f64()?))
        .or_else(|| of_text(number.into_string()?))
}

/// A number that became a fraction on the way, as in tables whose columns of numbers have gaps: `403.0`.
fn whole(number: f64) -> Option<u64> {
    let is_whole = (0.0..1e15).contains(&number) && number.fract() == 0.0;
    is_whole.then_some(number as u64)
}

/// The core group has no name; converters of GKE's log call it `core`, stores may `null`, and in the path of a request `api` stands in
/// its place.
pub(super) fn named_group(group: &str) -> Option<&str> {
    Some(group).filter(|group| !matches!(*group, "" | "core" | "api" | "null"))
}

/// Whether `value` is of the type that `field` has as the API server writes it, and tells nothing twice.
fn is_plain(field: Field, value: Json<'_>) -> bool {
    match field {
        Field::Kind => value.into_string() == Some("Event"),
        Field::ApiVersion => {
            let version = value.into_string();
            version.is_some_and(|version| version.starts_with("audit.k8s.io/"))
        }
        Field::RequestUri | Field::RequestReceived | Field::StageReached => value.is_str(),
        Field::User | Field::ImpersonatedUser | Field::ObjectRef => {
            (value.is_object() || value.is_null()) && !is_ambiguous_part(field, value)
        }
        Field::ResponseStatus => !value.is_str() && !is_ambiguous_part(field, value),
        Field::SourceIps | Field::Annotations | Field::RequestObject | Field::ResponseObject => {
            !value.is_str()
        }
        Field::AuditId
        | Field::Stage
        | Field::Verb
        | Field::UserAgent
        | Field::Level
        | Field::AuthenticationMetadata => true,
    }
}

/// Addresses, of which some stores make one text: `6.6.6.6, 10.0.3.7`, perhaps in brackets, as Graylog, Kibana, Hive and Postgres do.
fn addresses<'v>(value: Json<'v>) -> Vec<&'v str> {
    let Some(text) = value.into_string() else {
        return strings(value);
    };
    let around = |letter: char| letter.is_whitespace() || "[]{}\"'".contains(letter);
    let items = text.split([',', '\n']);
    items.map(|item| item.trim_matches(around)).collect()
}

fn strings<'v>(value: Json<'v>) -> Vec<&'v str> {
    match value.as_array() {
        Some(array) => array.iter().filter_map(|item| item.into_string()).collect(),
        None => value.into_string().into_iter().collect(),
    }
}
